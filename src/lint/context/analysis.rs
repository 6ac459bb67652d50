//! Analyses as they would run: templates, arguments and metrics of one place of use.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use regex::Regex;

use super::query::{ConditionView, FilledText, QueryView};
use crate::lint::Finding;
use crate::lint::evaluate::MetricOutcome;
use crate::promql::ast::Expr;
use crate::providers::conditions::Compiled;
use crate::source::{Sources, Span};
use crate::spec::analysis::{Argument, DryRun, Metric};
use crate::spec::bundle::Object;
use crate::spec::metric_provider::MetricProvider;
use crate::spec::templates::resolve_metric_arguments;
use crate::time::Duration;

/// One analysis: where it is used, and all that takes part.
#[derive(Clone, Debug)]
pub struct AnalysisUse<'b> {
    pub place: AnalysisPlace,
    /// The rollout, experiment or run that uses it; the template itself for [`AnalysisPlace::Alone`].
    pub owner: &'b Object,
    /// Path in the owner of the analysis, such as `spec.strategy.canary.steps[1].analysis`.
    pub path: String,
    /// Templates named by the owner and those they pull in, each once.
    pub templates: Vec<TemplateUse<'b>>,
    /// Templates that are not among the files.
    pub missing: Vec<MissingTemplate<'b>>,
    /// Arguments declared by the templates, with the values they get here.
    pub arguments: Arc<Vec<ArgumentView>>,
    /// Arguments the owner passes and no template declares: name and place.
    pub undeclared: Vec<(String, Span)>,
    /// Metrics of all templates, in order.
    pub metrics: Vec<MetricView<'b>>,
}

impl AnalysisUse<'_> {
    /// Adds to a finding on a metric the place where its template is named; nothing for what is
    /// judged by itself.
    pub fn relate(&self, metric: &MetricView<'_>, finding: &mut Finding) {
        let template = self
            .templates
            .iter()
            .find(|template| std::ptr::eq(template.object, metric.object));
        if let Some(template) = template {
            finding.related(
                template.span,
                format!("used here, in {}", self.place.describe()),
            );
        }
    }
}

/// Where an analysis is used. Indices count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AnalysisPlace {
    /// Beside the steps of a canary, from this step on.
    Background {
        starting_step: usize,
    },
    /// An inline step of a canary.
    Step {
        step: usize,
    },
    PrePromotion,
    PostPromotion,
    /// An analysis of an experiment step of a canary.
    ExperimentStep {
        step: usize,
        analysis: usize,
    },
    /// An analysis of an Experiment.
    Experiment {
        analysis: usize,
    },
    /// An AnalysisRun.
    Run,
    /// A template judged by itself, with its own default arguments.
    Alone,
}

impl AnalysisPlace {
    /// In words, for messages.
    pub fn describe(self) -> String {
        match self {
            AnalysisPlace::Background { starting_step: _ } => "the background analysis".to_owned(),
            AnalysisPlace::Step { step } => format!("the analysis of step {step}"),
            AnalysisPlace::PrePromotion => "the analysis before promotion".to_owned(),
            AnalysisPlace::PostPromotion => "the analysis after promotion".to_owned(),
            AnalysisPlace::ExperimentStep { step, analysis } => {
                format!("analysis {analysis} of the experiment of step {step}")
            }
            AnalysisPlace::Experiment { analysis } => format!("analysis {analysis}"),
            AnalysisPlace::Run => "this run".to_owned(),
            AnalysisPlace::Alone => "the template by itself".to_owned(),
        }
    }

    /// Whether the run has to end by itself for its owner to go on.
    pub fn must_end(self) -> bool {
        match self {
            AnalysisPlace::Step { step: _ }
            | AnalysisPlace::PrePromotion
            | AnalysisPlace::PostPromotion => true,
            AnalysisPlace::Background { starting_step: _ }
            | AnalysisPlace::ExperimentStep {
                step: _,
                analysis: _,
            }
            | AnalysisPlace::Experiment { analysis: _ }
            | AnalysisPlace::Run
            | AnalysisPlace::Alone => false,
        }
    }
}

/// A template and the reference that names it.
#[derive(Clone, Debug)]
pub struct TemplateUse<'b> {
    pub object: &'b Object,
    /// Who names it: the owner of the analysis, or another template.
    pub from: &'b Object,
    /// The place of the name.
    pub span: Span,
}

/// A reference to a template that is not among the files.
#[derive(Clone, Debug)]
pub struct MissingTemplate<'b> {
    /// `AnalysisTemplate` or `ClusterAnalysisTemplate`.
    pub kind: &'static str,
    pub name: String,
    pub from: &'b Object,
    /// Path of the name in `from`.
    pub path: String,
}

/// An argument of an analysis.
#[derive(Clone, Debug)]
pub struct ArgumentView {
    pub name: String,
    /// The value, as far as it is known; stand-ins for pod template hashes.
    pub value: Option<String>,
    pub origin: ArgumentOrigin,
    /// Where the value is written; where the argument is declared if it has none.
    pub span: Span,
    /// Where a template declares it.
    pub declared: Span,
}

/// Where the value of an argument comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgumentOrigin {
    /// Passed by the owner.
    Given,
    /// The template's own value.
    Default,
    /// Pod template hash of the new version.
    LatestHash,
    /// Pod template hash of the stable version.
    StableHash,
    /// A field of the owner, by its path.
    Field(String),
    /// A key of a Secret.
    Secret,
    /// Nothing gives it a value.
    Missing,
}

/// The value of an argument that stands for the hash of the new version.
pub const LATEST_HASH: &str = "latest-hash";
/// The value of an argument that stands for the hash of the stable version.
pub const STABLE_HASH: &str = "stable-hash";

/// A metric in one place of use.
#[derive(Clone, Debug)]
pub struct MetricView<'b> {
    /// The object that the metric is written in.
    pub object: &'b Object,
    /// Its path there, such as `spec.metrics[0]`.
    pub path: String,
    /// Without arguments filled in.
    pub written: &'b Metric,
    /// With arguments filled in; unknown ones are `1`. As written where that fails.
    pub metric: Metric,
    /// Why arguments could not be filled in.
    pub unresolved: Option<String>,
    /// Whether a dry-run rule covers it, so that its result does not count.
    pub is_dry_run: bool,
    pub arguments: Arc<Vec<ArgumentView>>,
    /// Of a Prometheus metric that has one.
    pub query: Option<QueryView>,
    pub success: Option<ConditionView>,
    pub failure: Option<ConditionView>,
    /// The conditions, for judging answers.
    pub(in crate::lint) compiled: RefCell<Compiled>,
    /// What it makes of series on which nothing happens; see `facts::idle`.
    pub(in crate::lint) idle: OnceLock<Option<MetricOutcome>>,
}

impl<'b> MetricView<'b> {
    pub(super) fn new(
        sources: &Sources,
        object: &'b Object,
        path: String,
        written: &'b Metric,
        arguments: &Arc<Vec<ArgumentView>>,
        dry_run: &[Regex],
    ) -> Self {
        let values = valued(arguments, STAND_IN);
        let (metric, unresolved) = match resolve_metric_arguments(written, &values) {
            Ok(metric) => (metric, None),
            Err(reason) => (written.clone(), Some(reason)),
        };
        let node = object.node.at(&path);
        let filled = |field: &str, text: &str| {
            let node = node.and_then(|node| node.at(field)).unwrap_or(&object.node);
            (!text.is_empty()).then(|| FilledText::new(sources, node, text, arguments))
        };
        let query = written
            .provider
            .prometheus
            .as_ref()
            .and_then(|prometheus| filled("provider.prometheus.query", &prometheus.query));
        let is_dry_run = dry_run.iter().any(|pattern| pattern.is_match(&metric.name));
        Self {
            object,
            written,
            query: query.map(QueryView::new),
            success: filled("successCondition", &written.success_condition).map(ConditionView::new),
            failure: filled("failureCondition", &written.failure_condition).map(ConditionView::new),
            compiled: RefCell::default(),
            idle: OnceLock::new(),
            metric,
            unresolved,
            is_dry_run,
            arguments: Arc::clone(arguments),
            path,
        }
    }

    /// The metric with another value for the arguments that have none; `None` where that fails.
    pub fn filled_with(&self, stand_in: &str) -> Option<Metric> {
        if self.unresolved.is_none() && self.arguments.iter().all(|it| it.value.is_some()) {
            return Some(self.metric.clone());
        }
        resolve_metric_arguments(self.written, &valued(&self.arguments, stand_in)).ok()
    }

    /// The query, where there is one and it can be parsed.
    pub fn parsed_query(&self) -> Option<&Expr> {
        self.query.as_ref()?.parsed().as_ref().ok()
    }

    /// Path in [`Self::object`] of a field of the metric.
    pub fn path_of(&self, field: &str) -> String {
        format!("{}.{field}", self.path)
    }

    /// Place of a field of the metric.
    pub fn span_of(&self, field: &str) -> Span {
        self.object.span_of(&self.path_of(field))
    }

    /// Whether the query or a condition holds a guessed value.
    pub fn has_stand_ins(&self) -> bool {
        let texts = self.query.iter().map(|query| &query.text);
        let conditions = self.success.iter().chain(&self.failure);
        texts
            .chain(conditions.map(|condition| &condition.text))
            .any(FilledText::has_stand_ins)
    }

    /// Time between measurements; `None` without an interval and where it is no duration.
    pub fn interval(&self) -> Option<Duration> {
        let interval = &self.metric.interval;
        (!interval.is_empty())
            .then(|| interval.parse().ok())
            .flatten()
    }

    /// Time before the first measurement; 0 where it is no duration.
    pub fn initial_delay(&self) -> Duration {
        self.metric.initial_delay.parse().unwrap_or(Duration::ZERO)
    }

    /// The name of the provider's field, such as `prometheus`; `None` where there is not exactly
    /// one.
    pub fn provider(&self) -> Option<&'static str> {
        let MetricProvider {
            prometheus,
            kayenta,
            web,
            datadog,
            wavefront,
            new_relic,
            job,
            cloud_watch,
            graphite,
            influxdb,
            skywalking,
            plugin,
        } = &self.metric.provider;
        let mut set = [
            (prometheus.is_some(), "prometheus"),
            (kayenta.is_some(), "kayenta"),
            (web.is_some(), "web"),
            (datadog.is_some(), "datadog"),
            (wavefront.is_some(), "wavefront"),
            (new_relic.is_some(), "newRelic"),
            (job.is_some(), "job"),
            (cloud_watch.is_some(), "cloudWatch"),
            (graphite.is_some(), "graphite"),
            (influxdb.is_some(), "influxdb"),
            (skywalking.is_some(), "skywalking"),
            (!plugin.is_empty(), "plugin"),
        ]
        .into_iter()
        .filter_map(|(is_set, name)| is_set.then_some(name));
        let only = set.next();
        if set.next().is_some() { None } else { only }
    }
}

/// What arguments without a value are filled in with.
const STAND_IN: &str = "1";

fn valued(arguments: &[ArgumentView], stand_in: &str) -> Vec<Argument> {
    arguments
        .iter()
        .map(|argument| Argument {
            name: argument.name.clone(),
            value: Some(
                argument
                    .value
                    .clone()
                    .unwrap_or_else(|| stand_in.to_owned()),
            ),
            value_from: None,
        })
        .collect()
}

/// The patterns of dry-run rules; those that are none match nothing.
pub(super) fn patterns<'r>(rules: impl IntoIterator<Item = &'r DryRun>) -> Vec<Regex> {
    rules
        .into_iter()
        .filter_map(|rule| Regex::new(&rule.metric_name).ok())
        .collect()
}
