//! A rollout with everything in the files that belongs to it.

use super::Index;
use super::analysis::{AnalysisPlace, AnalysisUse};
use super::refusals::{Refusal, refusals};
use super::resolve::{Wanted, given_by_rollout, resolve};
use crate::engine::rollout::replicas::{ReplicaCounts, pods_for_weight};
use crate::source::{Sources, Span};
use crate::spec::bundle::{Bundle, Object, Typed, Workload};
use crate::spec::kubernetes::Service;
use crate::spec::rollout::{
    AnalysisTemplateRef, CanaryStep, CanaryStrategy, Rollout, RolloutAnalysis,
};
use crate::spec::validation::{ServiceRole, referenced_services};

/// A rollout as the controller would see it.
#[derive(Clone, Debug)]
pub struct RolloutView<'b> {
    pub object: &'b Object,
    /// With its namespace, and with the template and selector of its workload. Defaults are given
    /// by the methods of the parts (`replicas_or_default()`, `weight_at_step(..)`, ...).
    pub rollout: Rollout,
    pub workload: Workload<'b>,
    pub services: Vec<ServiceUse<'b>>,
    /// HorizontalPodAutoscalers (and KEDA ScaledObjects) on the rollout.
    pub autoscalers: Vec<&'b Object>,
    /// The same on the workload that it takes its template from.
    pub workload_autoscalers: Vec<&'b Object>,
    /// Ingresses with a backend that is one of its services.
    pub ingresses: Vec<&'b Object>,
    /// What the controller refuses.
    pub refusals: Vec<Refusal<'b>>,
    /// In the order pre-promotion, post-promotion, background, steps.
    pub analyses: Vec<AnalysisUse<'b>>,
}

/// A service that a rollout names.
#[derive(Clone, Debug)]
pub struct ServiceUse<'b> {
    pub role: ServiceRole,
    pub name: String,
    /// Path of the name in the rollout.
    pub path: String,
    pub span: Span,
    /// `None` where it is not among the files, or could not be typed.
    pub found: Option<(&'b Object, &'b Service)>,
}

impl<'b> RolloutView<'b> {
    pub(super) fn new(
        sources: &Sources,
        bundle: &'b Bundle,
        index: &Index<'b>,
        object: &'b Object,
        written: &'b Rollout,
    ) -> Self {
        let namespace = object.namespace_or_default();
        let mut rollout = written.clone();
        namespace.clone_into(&mut rollout.metadata.namespace);
        // Only a workload changes it.
        let before = rollout.spec.workload_ref.is_some().then(|| rollout.clone());
        let workload = bundle.resolve_workload(&mut rollout);
        let written = before.as_ref().unwrap_or(&rollout);
        let refusals = refusals(bundle, object, written, &rollout, &workload);
        let services: Vec<ServiceUse<'b>> = referenced_services(&rollout)
            .into_iter()
            .map(|(role, name)| service_use(bundle, object, role, name))
            .collect();
        let workload_autoscalers = rollout
            .spec
            .workload_ref
            .as_ref()
            .map(|workload| index.autoscalers_of(namespace, &workload.kind, &workload.name))
            .unwrap_or_default();
        let mut ingresses: Vec<&'b Object> = Vec::new();
        for service in &services {
            for ingress in index.ingresses_of(namespace, &service.name) {
                if !ingresses.iter().any(|known| std::ptr::eq(*known, ingress)) {
                    ingresses.push(ingress);
                }
            }
        }
        let analyses = wanted_analyses(&rollout, object)
            .into_iter()
            .map(|wanted| resolve(sources, bundle, wanted))
            .collect();
        Self {
            object,
            workload,
            refusals,
            services,
            autoscalers: index.autoscalers_of(namespace, "Rollout", &object.name),
            workload_autoscalers,
            ingresses,
            analyses,
            rollout,
        }
    }

    /// The canary strategy, unless the rollout is blue-green (which goes first where both are set).
    pub fn canary(&self) -> Option<&CanaryStrategy> {
        let strategy = &self.rollout.spec.strategy;
        match &strategy.blue_green {
            Some(_) => None,
            None => strategy.canary.as_deref(),
        }
    }

    /// The steps of the canary strategy; none where there is no such strategy.
    pub fn steps(&self) -> &[CanaryStep] {
        self.canary().map_or(&[], |canary| &canary.steps)
    }

    /// Whether a traffic router splits requests.
    pub fn has_router(&self) -> bool {
        self.canary()
            .and_then(|canary| canary.traffic_routing.as_deref())
            .is_some_and(crate::spec::traffic_routing::RolloutTrafficRouting::has_router)
    }

    /// Percent of requests that the new version gets at a `setWeight`: by the router, or by the
    /// share of pods. `None` where pods carry the weight and their number is not known, as an
    /// autoscaler sets it.
    pub fn percent_at(&self, weight: i32) -> Option<f64> {
        let max_weight = self.rollout.spec.max_traffic_weight_or_default().max(1);
        if self.has_router() {
            return Some(f64::from(weight) * 100.0 / f64::from(max_weight));
        }
        if self.rollout.spec.replicas.is_none() && !self.autoscalers.is_empty() {
            return None;
        }
        let ReplicaCounts { canary, stable } = pods_for_weight(&self.rollout, weight);
        let all = canary.saturating_add(stable);
        (all > 0).then(|| f64::from(canary) * 100.0 / f64::from(all))
    }

    /// The place of a field such as `spec.replicas`.
    pub fn span_of(&self, path: &str) -> Span {
        self.object.span_of(path)
    }

    /// Path of a canary step, or of a field in it.
    pub fn step_path(&self, step: usize, field: &str) -> String {
        let dot = if field.is_empty() { "" } else { "." };
        format!("spec.strategy.canary.steps[{step}]{dot}{field}")
    }
}

fn service_use<'b>(
    bundle: &'b Bundle,
    object: &'b Object,
    role: ServiceRole,
    name: &str,
) -> ServiceUse<'b> {
    let path = match role {
        ServiceRole::Active => "spec.strategy.blueGreen.activeService",
        ServiceRole::Preview => "spec.strategy.blueGreen.previewService",
        ServiceRole::Stable => "spec.strategy.canary.stableService",
        ServiceRole::Canary => "spec.strategy.canary.canaryService",
        ServiceRole::Ping => "spec.strategy.canary.pingPong.pingService",
        ServiceRole::Pong => "spec.strategy.canary.pingPong.pongService",
    };
    let found = bundle
        .find("", "Service", object.namespace_or_default(), name)
        .and_then(|service| match &service.typed {
            Typed::Service(typed) => Some((service, typed.as_ref())),
            Typed::Rollout(_)
            | Typed::AnalysisTemplate(_)
            | Typed::ClusterAnalysisTemplate(_)
            | Typed::AnalysisRun(_)
            | Typed::Experiment(_)
            | Typed::Deployment(_)
            | Typed::Broken
            | Typed::Untyped => None,
        });
    ServiceUse {
        role,
        name: name.to_owned(),
        span: object.span_of(path),
        path: path.to_owned(),
        found,
    }
}

fn wanted_analyses<'b, 'r>(rollout: &'r Rollout, object: &'b Object) -> Vec<Wanted<'b, 'r>> {
    let mut wanted = Vec::new();
    let mut add = |place, path: String, analysis: &'r RolloutAnalysis| {
        let references = analysis
            .templates
            .iter()
            .enumerate()
            .map(|(index, reference)| {
                (
                    reference.clone(),
                    format!("{path}.templates[{index}].templateName"),
                )
            })
            .collect();
        wanted.push(Wanted {
            place,
            owner: object,
            references,
            given: given_by_rollout(rollout, object, &format!("{path}.args"), &analysis.args),
            dry_run: &analysis.dry_run,
            path,
        });
    };
    if let Some(blue_green) = &rollout.spec.strategy.blue_green {
        let base = "spec.strategy.blueGreen";
        if let Some(analysis) = &blue_green.pre_promotion_analysis {
            let path = format!("{base}.prePromotionAnalysis");
            add(AnalysisPlace::PrePromotion, path, analysis);
        }
        if let Some(analysis) = &blue_green.post_promotion_analysis {
            let path = format!("{base}.postPromotionAnalysis");
            add(AnalysisPlace::PostPromotion, path, analysis);
        }
        return wanted;
    }
    let Some(canary) = &rollout.spec.strategy.canary else {
        return wanted;
    };
    if let Some(background) = &canary.analysis {
        let starting_step = background.starting_step.unwrap_or(0);
        let place = AnalysisPlace::Background {
            starting_step: usize::try_from(starting_step).unwrap_or(0),
        };
        let path = "spec.strategy.canary.analysis".to_owned();
        add(place, path, &background.analysis);
    }
    for (step, canary_step) in canary.steps.iter().enumerate() {
        if let Some(analysis) = &canary_step.analysis {
            let path = format!("spec.strategy.canary.steps[{step}].analysis");
            add(AnalysisPlace::Step { step }, path, analysis);
        }
    }
    for (step, canary_step) in canary.steps.iter().enumerate() {
        let Some(experiment) = &canary_step.experiment else {
            continue;
        };
        for (index, analysis) in experiment.analyses.iter().enumerate() {
            let path = format!("spec.strategy.canary.steps[{step}].experiment.analyses[{index}]");
            wanted.push(Wanted {
                place: AnalysisPlace::ExperimentStep {
                    step,
                    analysis: index,
                },
                owner: object,
                references: vec![template_reference(
                    &analysis.template_name,
                    analysis.is_cluster_scope(),
                    &path,
                )],
                given: given_by_rollout(rollout, object, &format!("{path}.args"), &analysis.args),
                dry_run: &experiment.dry_run,
                path,
            });
        }
    }
    wanted
}

/// A reference as those of rollouts, from where a name stands alone.
pub(super) fn template_reference(
    name: &str,
    is_cluster_scope: bool,
    path: &str,
) -> (AnalysisTemplateRef, String) {
    let reference = AnalysisTemplateRef {
        template_name: name.to_owned(),
        cluster_scope: Some(is_cluster_scope),
    };
    (reference, format!("{path}.templateName"))
}
