//! `Rollout` as the API has it (field names, optionality and emptiness rules of
//! argo-rollouts `pkg/apis/rollouts/v1alpha1/types.go`).
//!
//! Values validation has to judge (`specRef`, `scaleDown`, ...) stay strings.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::analysis::{DryRun, MeasurementRetention};
use super::experiment::TemplateService;
use super::kubernetes::PodTemplate;
use super::meta::{
    DurationString, IntOrString, LabelSelector, ObjectMeta, OwnerReference, is_false, is_zero,
};
use super::rollout_status::{PingPongType, RolloutStatus};
use super::shared::{Shared, is_empty_list};
use super::string_map::StringMap;
use super::traffic_routing::RolloutTrafficRouting;
use crate::time::{Duration, Timestamp};

/// A `Rollout` (argoproj.io/v1alpha1).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Rollout {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[schemars(extend("x-optional" = true))]
    pub metadata: ObjectMeta,
    pub spec: RolloutSpec,
    /// What the controller last reported; its whole memory between decisions.
    #[schemars(extend("x-optional" = true))]
    pub status: RolloutStatus,
}

/// What the user asks for. A `Rollout` has either a template and selector of its own or a `workloadRef`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutSpec {
    /// Whether `template` was filled in from `workloadRef`; never in the API.
    #[serde(skip)]
    pub template_resolved_from_ref: bool,
    /// Whether `selector` was filled in from `workloadRef`; never in the API.
    #[serde(skip)]
    pub selector_resolved_from_ref: bool,
    /// Desired pods; absent means 1, which differs from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [
        {"message": ".spec.selector is immutable", "rule": "self == oldSelf"}
    ]))]
    pub selector: Option<LabelSelector>,
    #[serde(skip_serializing_if = "PodTemplate::is_empty")]
    pub template: PodTemplate,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_ref: Option<ObjectRef>,
    /// Seconds a pod must stay ready to count as available.
    #[serde(skip_serializing_if = "is_zero")]
    pub min_ready_seconds: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_window: Option<RollbackWindow>,
    #[schemars(extend("x-optional" = true))]
    pub strategy: RolloutStrategy,
    /// Old ReplicaSets to keep; absent means 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision_history_limit: Option<i32>,
    #[serde(skip_serializing_if = "is_false")]
    pub paused: bool,
    /// Seconds without progress after which the rollout counts as failed; absent means 600.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_deadline_seconds: Option<i32>,
    #[serde(skip_serializing_if = "is_false")]
    pub progress_deadline_abort: bool,
    /// Pods created before this instant are to be replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis: Option<AnalysisRunStrategy>,
}

/// Names the workload a rollout takes its pod template from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectRef {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// `never`, `onsuccess` or `progressively`; kept as written because unknown values are only seen by the controller.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scale_down: String,
}

/// Exactly one strategy has to be set; validation says so when not.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutStrategy {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blue_green: Option<Shared<BlueGreenStrategy>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<Shared<CanaryStrategy>>,
}

/// Two full stacks and a service switched between them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BlueGreenStrategy {
    pub active_service: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub preview_service: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview_replica_count: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_promotion_enabled: Option<bool>,
    /// Seconds to wait before promoting by itself; 0 means no countdown.
    #[serde(skip_serializing_if = "is_zero")]
    pub auto_promotion_seconds: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<IntOrString>,
    /// Seconds the old ReplicaSet outlives the switch; absent means 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_down_delay_seconds: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_down_delay_revision_limit: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre_promotion_analysis: Option<RolloutAnalysis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anti_affinity: Option<AntiAffinity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_promotion_analysis: Option<RolloutAnalysis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview_metadata: Option<PodTemplateMetadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_metadata: Option<PodTemplateMetadata>,
    /// Seconds the preview ReplicaSet outlives an abort; 0 means it is kept, absent means 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort_scale_down_delay_seconds: Option<i32>,
}

/// A new version that grows by steps beside the stable one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CanaryStrategy {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub canary_service: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stable_service: String,
    #[serde(skip_serializing_if = "is_empty_list")]
    pub steps: Shared<Vec<CanaryStep>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic_routing: Option<Box<RolloutTrafficRouting>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<IntOrString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_surge: Option<IntOrString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis: Option<RolloutAnalysisBackground>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anti_affinity: Option<AntiAffinity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_metadata: Option<PodTemplateMetadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable_metadata: Option<PodTemplateMetadata>,
    /// Seconds the old ReplicaSet outlives promotion; only with traffic routing, absent means 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_down_delay_seconds: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_down_delay_revision_limit: Option<i32>,
    /// Seconds the canary outlives an abort; 0 means it is kept, absent means 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort_scale_down_delay_seconds: Option<i32>,
    #[serde(skip_serializing_if = "is_false")]
    pub dynamic_stable_scale: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ping_pong: Option<PingPongSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_pods_per_replica_set: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica_progress_threshold: Option<ReplicaProgressThreshold>,
}

/// Which anti-affinity term is injected into new pods.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AntiAffinity {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_during_scheduling_ignored_during_execution:
        Option<PreferredDuringSchedulingIgnoredDuringExecution>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required_during_scheduling_ignored_during_execution:
        Option<RequiredDuringSchedulingIgnoredDuringExecution>,
}

/// Soft anti-affinity with a weight of 1 to 100.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PreferredDuringSchedulingIgnoredDuringExecution {
    pub weight: i32,
}

/// Hard anti-affinity; has no settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RequiredDuringSchedulingIgnoredDuringExecution {}

/// How much of a step's replicas must be available for the step to count as done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaProgressThreshold {
    /// `Percent` or `Pods`.
    #[serde(rename = "type")]
    pub type_: String,
    pub value: i32,
}

/// Two services that take turns at being stable.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PingPongSpec {
    pub ping_service: String,
    pub pong_service: String,
}

/// Labels and annotations put on pods while they play a role.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PodTemplateMetadata {
    #[serde(skip_serializing_if = "StringMap::is_empty")]
    pub labels: StringMap,
    #[serde(skip_serializing_if = "StringMap::is_empty")]
    pub annotations: StringMap,
}

/// How many revisions back a rollback skips the steps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RollbackWindow {
    #[serde(skip_serializing_if = "is_zero")]
    pub revisions: i32,
}

/// How many finished AnalysisRuns and Experiments are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AnalysisRunStrategy {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successful_run_history_limit: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsuccessful_run_history_limit: Option<i32>,
}

/// One step; the API sets one field a step, validation refuses some but not all mixtures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CanaryStep {
    /// Percent of traffic, or of `maxTrafficWeight`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_weight: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<RolloutPause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiment: Option<Box<RolloutExperimentStep>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Box<RolloutAnalysis>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_canary_scale: Option<SetCanaryScale>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_header_route: Option<Box<SetHeaderRoute>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_mirror_route: Option<Box<SetMirrorRoute>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<Box<PluginStep>>,
}

/// A pause; without `duration` it lasts until promoted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutPause {
    /// Seconds as a number, or a Go duration, or digits in a string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<IntOrString>,
}

impl Rollout {
    /// What objects that the rollout creates carry as their controller.
    pub fn owner_reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: "argoproj.io/v1alpha1".to_owned(),
            kind: "Rollout".to_owned(),
            name: self.metadata.name.clone(),
            uid: self.metadata.uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }
    }

    /// Whether the status was found for this generation of the spec.
    pub fn is_observed(&self) -> bool {
        let (text, generation) = (&self.status.observed_generation, self.metadata.generation);
        let digits = generation.unsigned_abs().checked_ilog10().unwrap_or(0) as usize + 1;
        // Exactly as it is written: no zeros before it, no plus.
        text.len() == digits + usize::from(generation < 0) && text.parse() == Ok(generation)
    }

    /// Stable and canary service as they are now: ping-pong services, if there are some, before
    /// those that are named.
    pub fn ping_pong_or_named_services(&self) -> (&str, &str) {
        let Some(canary) = &self.spec.strategy.canary else {
            return ("", "");
        };
        match &canary.ping_pong {
            Some(pair) => match self.status.canary.stable_ping_pong {
                PingPongType::Ping => (&pair.ping_service, &pair.pong_service),
                PingPongType::Pong | PingPongType::Unset => {
                    (&pair.pong_service, &pair.ping_service)
                }
            },
            None => (&canary.stable_service, &canary.canary_service),
        }
    }

    /// Stable and canary service as they are now: those that are named before ping-pong services.
    pub fn named_or_ping_pong_services(&self) -> (&str, &str) {
        let Some(canary) = &self.spec.strategy.canary else {
            return ("", "");
        };
        if canary.stable_service.is_empty() && canary.canary_service.is_empty() {
            self.ping_pong_or_named_services()
        } else {
            (&canary.stable_service, &canary.canary_service)
        }
    }
}

impl RolloutPause {
    /// Length in seconds, cut to whole ones; 0 without a duration, and negative for text that is
    /// no duration or one beyond 32 bits, both of which validation refuses.
    pub fn duration_seconds(&self) -> i32 {
        let seconds = match &self.duration {
            None => 0,
            Some(IntOrString::Int(seconds)) => i64::from(*seconds),
            Some(IntOrString::String(text)) => match text.parse::<i32>() {
                Ok(seconds) => i64::from(seconds),
                Err(_) => Duration::parse_go(text).map_or(-1, Duration::as_secs),
            },
        };
        // What the reference's conversion gives on amd64.
        i32::try_from(seconds).unwrap_or(i32::MIN)
    }

    /// As [`Self::duration_seconds`], but `None` without a duration, when only a promotion ends
    /// the pause.
    pub fn seconds(&self) -> Option<i32> {
        self.duration.as_ref().map(|_| self.duration_seconds())
    }
}

/// Sets canary pods apart from the traffic weight.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SetCanaryScale {
    /// Percent of `spec.replicas`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    #[serde(skip_serializing_if = "is_false")]
    pub match_traffic_weight: bool,
}

/// Sends requests with given headers to the canary; without `match` the route is removed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SetHeaderRoute {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub match_: Vec<HeaderRoutingMatch>,
}

/// A header and what its value must be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HeaderRoutingMatch {
    pub header_name: String,
    pub header_value: Option<StringMatch>,
}

/// Mirrors matching requests to the canary; without `match` the route is removed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SetMirrorRoute {
    pub name: String,
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub match_: Vec<RouteMatch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percentage: Option<i32>,
}

/// Conditions on one request, all of which must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteMatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<StringMatch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<StringMatch>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, StringMatch>,
}

/// One of exact, prefix, regex.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StringMatch {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub exact: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub regex: String,
}

/// A step done by a plugin.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PluginStep {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<serde_json::Value>,
}

/// An experiment run as a canary step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutExperimentStep {
    pub templates: Vec<RolloutExperimentTemplate>,
    /// Go duration; absent runs until its analyses end.
    #[serde(skip_serializing_if = "DurationString::is_empty")]
    pub duration: DurationString,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub analyses: Vec<RolloutExperimentStepAnalysisTemplateRef>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    #[schemars(extend("x-optional" = true))]
    pub analysis_run_metadata: AnalysisRunMetadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_down_delay_seconds: Option<i32>,
}

/// A ReplicaSet of an experiment step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutExperimentTemplate {
    pub name: String,
    /// `canary` or `stable`.
    pub spec_ref: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    #[schemars(extend("x-optional" = true))]
    pub metadata: PodTemplateMetadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// Percent of traffic sent to this template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<TemplateService>,
}

/// An analysis of an experiment step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutExperimentStepAnalysisTemplateRef {
    pub name: String,
    pub template_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_scope: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<AnalysisRunArgument>,
    #[serde(skip_serializing_if = "is_false")]
    pub required_for_completion: bool,
}

impl RolloutExperimentStepAnalysisTemplateRef {
    /// Whether the template is a `ClusterAnalysisTemplate`.
    pub fn is_cluster_scope(&self) -> bool {
        self.cluster_scope == Some(true)
    }
}

/// Analysis that runs beside the steps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutAnalysisBackground {
    #[serde(flatten)]
    pub analysis: RolloutAnalysis,
    /// Index of the step from which it runs; absent means from the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starting_step: Option<i32>,
}

/// Which templates to run, with which arguments.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutAnalysis {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<AnalysisTemplateRef>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<AnalysisRunArgument>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub measurement_retention: Vec<MeasurementRetention>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis_run_metadata: Option<AnalysisRunMetadata>,
}

/// Labels and annotations put on created AnalysisRuns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AnalysisRunMetadata {
    #[serde(skip_serializing_if = "StringMap::is_empty")]
    pub labels: StringMap,
    #[serde(skip_serializing_if = "StringMap::is_empty")]
    pub annotations: StringMap,
}

/// Names an AnalysisTemplate, or a ClusterAnalysisTemplate when `clusterScope`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AnalysisTemplateRef {
    #[schemars(extend("x-optional" = true))]
    pub template_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_scope: Option<bool>,
}

impl AnalysisTemplateRef {
    /// Whether the template is a `ClusterAnalysisTemplate`.
    pub fn is_cluster_scope(&self) -> bool {
        self.cluster_scope == Some(true)
    }
}

/// An argument a rollout passes to an analysis.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AnalysisRunArgument {
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ArgumentValueFrom>,
}

/// Where the value of an argument comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ArgumentValueFrom {
    /// `Stable` or `Latest`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_template_hash_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_ref: Option<FieldRef>,
}

/// Path to a field of the rollout.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FieldRef {
    pub field_path: String,
}

#[cfg(test)]
mod tests {
    use super::Rollout;

    #[test]
    fn a_status_is_of_the_generation_that_it_names() {
        let mut rollout = Rollout::default();
        for (generation, text, is_observed) in [
            (7, "7", true),
            (10, "10", true),
            (0, "0", true),
            (-3, "-3", true),
            (7, "8", false),
            (7, "07", false),
            (7, "+7", false),
            (0, "-0", false),
            (0, "", false),
            (i64::MIN, "-9223372036854775808", true),
        ] {
            rollout.metadata.generation = generation;
            rollout.status.observed_generation = text.to_owned();
            assert_eq!(rollout.is_observed(), is_observed, "{generation} {text:?}");
        }
    }
}
