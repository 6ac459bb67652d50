//! What rules look at, computed once for all of them.

mod analysis;
mod query;
mod refusals;
mod resolve;
mod rollout;
mod text_places;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::settings::Settings;
use crate::source::{Problem, Sources, Span};
use crate::spec::bundle::{Bundle, Object, Typed};
use crate::spec::experiment::Experiment;
use crate::spec::schema::check::{SchemaError, check};
use crate::spec::schema::shape_of;

pub use analysis::{
    AnalysisPlace, AnalysisUse, ArgumentOrigin, ArgumentView, LATEST_HASH, MetricView,
    MissingTemplate, STABLE_HASH, TemplateUse,
};
pub use query::{ConditionView, FilledText, Placeholder, QueryView, argument_names};
pub use refusals::{Refusal, RefusalKind};
pub use rollout::{RolloutView, ServiceUse};
pub use text_places::TextPlaces;

/// Everything that was read, resolved.
#[derive(Debug)]
pub struct Context<'b> {
    pub sources: &'b Sources,
    pub bundle: &'b Bundle,
    /// Problems of reading.
    pub problems: Vec<Problem>,
    pub settings: &'b Settings,
    /// What the API server refuses of objects by their schemas.
    pub schema_errors: Vec<(&'b Object, SchemaError)>,
    /// What is referred to and not among the files, with the object that refers to it.
    pub missing: Vec<(&'b Object, Problem)>,
    /// All rollouts that could be typed.
    pub rollouts: Vec<RolloutView<'b>>,
    /// Analyses of Experiments, and AnalysisRuns.
    pub runs: Vec<AnalysisUse<'b>>,
    /// Every template by itself.
    pub templates: Vec<AnalysisUse<'b>>,
    index: Index<'b>,
    /// Templates that rollouts and experiments use.
    used: BTreeSet<Span>,
}

impl<'b> Context<'b> {
    pub(super) fn new(
        sources: &'b Sources,
        bundle: &'b Bundle,
        problems: Vec<Problem>,
        settings: &'b Settings,
    ) -> Self {
        let index = Index::new(bundle);
        let mut context = Self {
            sources,
            bundle,
            problems,
            settings,
            schema_errors: Vec::new(),
            missing: bundle.missing_references(),
            rollouts: Vec::new(),
            runs: Vec::new(),
            templates: Vec::new(),
            index: Index::default(),
            used: BTreeSet::new(),
        };
        for object in bundle.objects() {
            if let Some(shape) = shape_of(&object.api_version, &object.kind) {
                let errors = check(shape, &object.node);
                context
                    .schema_errors
                    .extend(errors.into_iter().map(|error| (object, error)));
            }
            match &object.typed {
                Typed::Rollout(rollout) => context
                    .rollouts
                    .push(RolloutView::new(sources, bundle, &index, object, rollout)),
                Typed::AnalysisTemplate(template) => {
                    context
                        .templates
                        .push(resolve::alone(sources, object, &template.spec))
                }
                Typed::ClusterAnalysisTemplate(template) => {
                    context
                        .templates
                        .push(resolve::alone(sources, object, &template.spec))
                }
                Typed::AnalysisRun(run) => {
                    context.runs.push(resolve::run(sources, object, &run.spec));
                }
                Typed::Experiment(experiment) => {
                    context.add_experiment(object, experiment);
                }
                Typed::Service(_) | Typed::Deployment(_) | Typed::Broken | Typed::Untyped => {}
            }
        }
        context.index = index;
        context.used = context
            .rollouts
            .iter()
            .flat_map(|rollout| &rollout.analyses)
            .chain(&context.runs)
            .flat_map(|analysis| &analysis.templates)
            .map(|template| template.object.span)
            .collect();
        context
    }

    /// All analyses of rollouts, experiments and runs, and templates by themselves.
    pub fn analyses(&self) -> impl Iterator<Item = &AnalysisUse<'b>> {
        self.rollouts
            .iter()
            .flat_map(|rollout| &rollout.analyses)
            .chain(&self.runs)
            .chain(&self.templates)
    }

    /// All metrics, each in every place of use. One that needs arguments and is used somewhere is
    /// not given by itself: the guesses would tell nothing new. Findings on the same text that say
    /// the same are put together.
    pub fn metrics(&self) -> impl Iterator<Item = (&AnalysisUse<'b>, &MetricView<'b>)> {
        self.analyses().flat_map(move |analysis| {
            let is_used =
                analysis.place == AnalysisPlace::Alone && self.used.contains(&analysis.owner.span);
            analysis
                .metrics
                .iter()
                .filter(move |metric| !(is_used && metric.has_stand_ins()))
                .map(move |metric| (analysis, metric))
        })
    }

    /// The object that holds a place.
    pub fn object_at(&self, span: Option<Span>) -> Option<&'b Object> {
        let span = span?;
        // Objects are in the order of their texts.
        let objects = self.bundle.objects();
        let after =
            objects.partition_point(|object| object.span <= span || object.span.holds(span));
        let object = objects.get(after.checked_sub(1)?)?;
        object.span.holds(span).then_some(object)
    }

    /// HorizontalPodAutoscalers and KEDA ScaledObjects on an object of the namespace.
    pub fn autoscalers_of(&self, namespace: &str, kind: &str, name: &str) -> Vec<&'b Object> {
        self.index.autoscalers_of(namespace, kind, name)
    }

    /// Objects of a kind in a namespace, of any group, in order.
    pub fn objects_of(&self, kind: &str, namespace: &str) -> Vec<&'b Object> {
        let found = self.index.by_kind.get(&(kind, namespace));
        found.cloned().unwrap_or_default()
    }

    /// Ingresses with this service as a backend.
    pub fn ingresses_of(&self, namespace: &str, service: &str) -> Vec<&'b Object> {
        self.index.ingresses_of(namespace, service)
    }

    fn add_experiment(&mut self, object: &'b Object, experiment: &'b Experiment) {
        for (index, analysis) in experiment.spec.analyses.iter().enumerate() {
            let path = format!("spec.analyses[{index}]");
            let reference = rollout::template_reference(
                &analysis.template_name,
                analysis.is_cluster_scope(),
                &path,
            );
            let args = format!("{path}.args");
            let wanted = resolve::Wanted {
                place: AnalysisPlace::Experiment { analysis: index },
                owner: object,
                references: vec![reference],
                given: resolve::given_by_experiment(object, &args, &analysis.args),
                dry_run: &experiment.spec.dry_run,
                path,
            };
            let resolved = resolve::resolve(self.sources, self.bundle, wanted);
            self.runs.push(resolved);
        }
    }
}

/// Objects by what they point at.
#[derive(Debug, Default)]
struct Index<'b> {
    /// By namespace, kind and name of the target.
    autoscalers: BTreeMap<(&'b str, &'b str, &'b str), Vec<&'b Object>>,
    /// By kind and namespace.
    by_kind: BTreeMap<(&'b str, &'b str), Vec<&'b Object>>,
    /// By namespace and name of the service.
    ingresses: BTreeMap<(&'b str, &'b str), Vec<&'b Object>>,
}

impl<'b> Index<'b> {
    fn new(bundle: &'b Bundle) -> Self {
        let mut index = Self::default();
        for object in bundle.objects() {
            let namespace = object.namespace_or_default();
            let kind = (object.kind.as_str(), namespace);
            index.by_kind.entry(kind).or_default().push(object);
            match (object.group(), object.kind.as_str()) {
                ("autoscaling", "HorizontalPodAutoscaler") | ("keda.sh", "ScaledObject") => {
                    let target = object.json().pointer("/spec/scaleTargetRef");
                    let text = |key| target?.get(key)?.as_str();
                    // KEDA's default.
                    let kind = text("kind").unwrap_or("Deployment");
                    if let Some(name) = text("name") {
                        let key = (namespace, kind, name);
                        index.autoscalers.entry(key).or_default().push(object);
                    }
                }
                ("networking.k8s.io" | "extensions", "Ingress") => {
                    let mut services = Vec::new();
                    collect_backends(object.json().get("spec"), &mut services);
                    services.sort_unstable();
                    services.dedup();
                    for service in services {
                        let key = (namespace, service);
                        index.ingresses.entry(key).or_default().push(object);
                    }
                }
                (_, _) => {}
            }
        }
        index
    }

    fn autoscalers_of(&self, namespace: &str, kind: &str, name: &str) -> Vec<&'b Object> {
        let found = self.autoscalers.get(&(namespace, kind, name));
        found.cloned().unwrap_or_default()
    }

    fn ingresses_of(&self, namespace: &str, service: &str) -> Vec<&'b Object> {
        let found = self.ingresses.get(&(namespace, service));
        found.cloned().unwrap_or_default()
    }
}

/// Names of the services that an Ingress sends requests to.
fn collect_backends<'b>(spec: Option<&'b Json>, services: &mut Vec<&'b str>) {
    let Some(spec) = spec else {
        return;
    };
    let paths = spec
        .get("rules")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(|rule| rule.pointer("/http/paths")?.as_array())
        .flatten()
        .filter_map(|path| path.get("backend"));
    let defaults = [spec.get("defaultBackend"), spec.get("backend")];
    for backend in paths.chain(defaults.into_iter().flatten()) {
        let name = backend
            .pointer("/service/name")
            .or_else(|| backend.get("serviceName"));
        services.extend(name.and_then(Json::as_str));
    }
}
