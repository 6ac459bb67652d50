//! Status of a `Rollout` (argo-rollouts `pkg/apis/rollouts/v1alpha1/types.go`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::analysis::AnalysisPhase;
use super::meta::{ConditionStatus, DurationString, is_false, is_zero};
use super::shared::{Shared, is_empty_list};
use super::text_enum::{text_enum, unset_by_default};
use crate::time::Timestamp;

/// The status subresource of a `Rollout`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutStatus {
    #[serde(skip_serializing_if = "is_false")]
    pub abort: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pause_conditions: Vec<PauseCondition>,
    #[serde(skip_serializing_if = "is_false")]
    pub controller_pause: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aborted_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub current_pod_hash: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub current_step_hash: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub replicas: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub updated_replicas: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub ready_replicas: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub available_replicas: i32,
    /// Index of the step in progress; equal to the number of steps when all are done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_step_index: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collision_count: Option<i32>,
    /// `metadata.generation` as a string.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub observed_generation: String,
    #[serde(skip_serializing_if = "is_empty_list")]
    pub conditions: Shared<Vec<RolloutCondition>>,
    #[schemars(extend("x-optional" = true))]
    pub canary: CanaryStatus,
    #[schemars(extend("x-optional" = true))]
    pub blue_green: BlueGreenStatus,
    #[serde(rename = "HPAReplicas", skip_serializing_if = "is_zero")]
    pub hpa_replicas: i32,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub selector: String,
    #[serde(rename = "stableRS", skip_serializing_if = "String::is_empty")]
    pub stable_rs: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarted_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "is_false")]
    pub promote_full: bool,
    #[serde(skip_serializing_if = "RolloutPhase::is_unset")]
    pub phase: RolloutPhase,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub workload_observed_generation: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alb: Option<Box<AlbStatus>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub albs: Vec<AlbStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<RolloutDurationStatus>,
}

/// Why and since when the controller pauses.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PauseCondition {
    pub reason: PauseReason,
    pub start_time: Option<Timestamp>,
}

/// One condition; its times are whole seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutCondition {
    #[serde(rename = "type")]
    pub type_: RolloutConditionType,
    pub status: ConditionStatus,
    pub last_update_time: Option<Timestamp>,
    pub last_transition_time: Option<Timestamp>,
    pub reason: String,
    pub message: String,
}

/// Canary part of the status.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CanaryStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_step_analysis_run_status: Option<RolloutAnalysisRunStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_background_analysis_run_status: Option<RolloutAnalysisRunStatus>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub current_experiment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<Box<TrafficWeights>>,
    #[serde(skip_serializing_if = "PingPongType::is_unset")]
    pub stable_ping_pong: PingPongType,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub step_plugin_statuses: Vec<StepPluginStatus>,
}

/// Blue-green part of the status; selectors are pod template hashes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BlueGreenStatus {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub preview_selector: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub active_selector: String,
    #[serde(skip_serializing_if = "is_false")]
    pub scale_up_preview_check_point: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre_promotion_analysis_run_status: Option<RolloutAnalysisRunStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_promotion_analysis_run_status: Option<RolloutAnalysisRunStatus>,
}

/// Weights last set on the routers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TrafficWeights {
    pub canary: WeightDestination,
    pub stable: WeightDestination,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional: Vec<WeightDestination>,
    /// Whether the router reported that the weights took effect; absent when it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
}

/// A share of the traffic.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WeightDestination {
    pub weight: i32,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pod_template_hash: String,
}

/// The current AnalysisRun of one role.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutAnalysisRunStatus {
    pub name: String,
    pub status: AnalysisPhase,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Result of one operation of a step plugin.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StepPluginStatus {
    pub index: i32,
    pub name: String,
    pub operation: StepPluginOperation,
    #[serde(skip_serializing_if = "StepPluginPhase::is_unset")]
    pub phase: StepPluginPhase,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "DurationString::is_empty")]
    pub backoff: DurationString,
    #[serde(skip_serializing_if = "is_zero")]
    pub executions: i32,
    #[serde(skip_serializing_if = "is_false")]
    pub disabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<serde_json::Value>,
}

/// AWS resources behind one ingress.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AlbStatus {
    #[schemars(extend("x-optional" = true))]
    pub load_balancer: AwsResourceRef,
    #[schemars(extend("x-optional" = true))]
    pub canary_target_group: AwsResourceRef,
    #[schemars(extend("x-optional" = true))]
    pub stable_target_group: AwsResourceRef,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ingress: String,
}

/// Name and ARN of an AWS resource.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AwsResourceRef {
    pub name: String,
    pub arn: String,
    #[schemars(extend("x-optional" = true))]
    pub full_name: String,
}

/// When the current attempt began and ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutDurationStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout_started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manual_pause_started_at: Option<Timestamp>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_manual_pause_duration_seconds: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_status: Option<CompletionStatus>,
}

text_enum! {
    /// Overall phase of a rollout as health checks read it.
    pub enum RolloutPhase {
        Unset = "",
        Healthy = "Healthy",
        Degraded = "Degraded",
        Progressing = "Progressing",
        Paused = "Paused",
    }
}
unset_by_default!(RolloutPhase);

text_enum! {
    /// Why the controller pauses.
    #[derive(Default)]
    pub enum PauseReason {
        InconclusiveAnalysis = "InconclusiveAnalysisRun",
        InconclusiveExperiment = "InconclusiveExperiment",
        #[default]
        CanaryPauseStep = "CanaryPauseStep",
        BlueGreenPause = "BlueGreenPause",
    }
}

text_enum! {
    /// Kind of a rollout condition.
    #[derive(Default)]
    pub enum RolloutConditionType {
        InvalidSpec = "InvalidSpec",
        Available = "Available",
        #[default]
        Progressing = "Progressing",
        ReplicaFailure = "ReplicaFailure",
        Paused = "Paused",
        Completed = "Completed",
        Healthy = "Healthy",
    }
}

text_enum! {
    /// How an attempt ended.
    pub enum CompletionStatus {
        Promoted = "Promoted",
        FastPromoted = "FastPromoted",
        Aborted = "Aborted",
        Superseded = "Superseded",
        RolledBack = "RolledBack",
        FastRolledBack = "FastRolledBack",
    }
}

text_enum! {
    /// Which of the two ping-pong services is stable.
    pub enum PingPongType {
        Unset = "",
        Ping = "ping",
        Pong = "pong",
    }
}
unset_by_default!(PingPongType);

text_enum! {
    /// Result of a step plugin's operation.
    pub enum StepPluginPhase {
        Unset = "",
        Running = "Running",
        Successful = "Successful",
        Failed = "Failed",
        Error = "Error",
    }
}
unset_by_default!(StepPluginPhase);

text_enum! {
    /// What a step plugin was asked to do.
    #[derive(Default)]
    pub enum StepPluginOperation {
        #[default]
        Run = "Run",
        Terminate = "Terminate",
        Abort = "Abort",
    }
}
