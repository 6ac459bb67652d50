//! Experiments (argo-rollouts `pkg/apis/rollouts/v1alpha1/experiment_types.go`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::analysis::{AnalysisPhase, Argument, DryRun, MeasurementRetention};
use super::kubernetes::PodTemplate;
use super::meta::{ConditionStatus, DurationString, LabelSelector, ObjectMeta, is_false, is_zero};
use super::rollout::AnalysisRunMetadata;
use super::text_enum::{text_enum, unset_by_default};
use crate::time::Timestamp;

/// Runs some ReplicaSets and analyses for a while.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Experiment {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[schemars(extend("x-optional" = true))]
    pub metadata: ObjectMeta,
    pub spec: ExperimentSpec,
    #[schemars(extend("x-optional" = true))]
    pub status: ExperimentStatus,
}

/// What to run and for how long.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ExperimentSpec {
    pub templates: Vec<TemplateSpec>,
    /// Go duration, counted from when all templates are available; absent means until analyses end.
    #[serde(skip_serializing_if = "DurationString::is_empty")]
    pub duration: DurationString,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_deadline_seconds: Option<i32>,
    #[serde(skip_serializing_if = "is_false")]
    pub terminate: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub analyses: Vec<ExperimentAnalysisTemplateRef>,
    /// Seconds pods outlive the experiment; absent means 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_down_delay_seconds: Option<i32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub measurement_retention: Vec<MeasurementRetention>,
    #[schemars(extend("x-optional" = true))]
    pub analysis_run_metadata: AnalysisRunMetadata,
}

/// A ReplicaSet of an experiment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TemplateSpec {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    #[serde(skip_serializing_if = "is_zero")]
    pub min_ready_seconds: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-required" = true))]
    pub selector: Option<LabelSelector>,
    pub template: PodTemplate,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<TemplateService>,
}

/// A Service to be made for a template; without a name it is called like the ReplicaSet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TemplateService {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// An analysis of an experiment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ExperimentAnalysisTemplateRef {
    pub name: String,
    pub template_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_scope: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Argument>,
    #[serde(skip_serializing_if = "is_false")]
    pub required_for_completion: bool,
}

impl ExperimentAnalysisTemplateRef {
    /// Whether the template is a `ClusterAnalysisTemplate`.
    pub fn is_cluster_scope(&self) -> bool {
        self.cluster_scope == Some(true)
    }
}

/// Progress and outcome of an experiment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ExperimentStatus {
    #[serde(skip_serializing_if = "AnalysisPhase::is_unset")]
    pub phase: AnalysisPhase,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub template_statuses: Vec<TemplateStatus>,
    /// When all templates were first available; the duration counts from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<ExperimentCondition>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub analysis_runs: Vec<ExperimentAnalysisRunStatus>,
}

/// State of one template's ReplicaSet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TemplateStatus {
    pub name: String,
    pub replicas: i32,
    pub updated_replicas: i32,
    pub ready_replicas: i32,
    pub available_replicas: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collision_count: Option<i32>,
    #[serde(skip_serializing_if = "TemplateStatusCode::is_unset")]
    pub status: TemplateStatusCode,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pod_template_hash: String,
}

/// One condition; its times are whole seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ExperimentCondition {
    #[serde(rename = "type")]
    pub type_: ExperimentConditionType,
    pub status: ConditionStatus,
    pub last_update_time: Option<Timestamp>,
    pub last_transition_time: Option<Timestamp>,
    pub reason: String,
    pub message: String,
}

/// State of one analysis of an experiment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ExperimentAnalysisRunStatus {
    pub name: String,
    pub analysis_run: String,
    pub phase: AnalysisPhase,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

text_enum! {
    /// Phase of one template's ReplicaSet.
    pub enum TemplateStatusCode {
        Unset = "",
        Progressing = "Progressing",
        Running = "Running",
        Successful = "Successful",
        Failed = "Failed",
        Error = "Error",
    }
}
unset_by_default!(TemplateStatusCode);

impl TemplateStatusCode {
    /// Whether nothing will change any more.
    pub const fn is_completed(self) -> bool {
        match self {
            TemplateStatusCode::Successful
            | TemplateStatusCode::Failed
            | TemplateStatusCode::Error => true,
            TemplateStatusCode::Unset
            | TemplateStatusCode::Progressing
            | TemplateStatusCode::Running => false,
        }
    }
}

text_enum! {
    /// Kind of an experiment condition.
    #[derive(Default)]
    pub enum ExperimentConditionType {
        InvalidSpec = "InvalidSpec",
        Completed = "Completed",
        #[default]
        Progressing = "Progressing",
        Running = "Running",
        ReplicaFailure = "ReplicaFailure",
    }
}
