//! Analysis templates and runs (argo-rollouts `pkg/apis/rollouts/v1alpha1/analysis_types.go`).

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::meta::{DurationString, IntOrString, ObjectMeta, is_false, is_zero};
use super::metric_provider::MetricProvider;
use super::rollout::{AnalysisTemplateRef, FieldRef};
use super::shared::{Shared, is_empty_list, is_empty_map};
use super::string_map::StringMap;
use super::text_enum::{text_enum, unset_by_default};
use crate::time::Timestamp;

/// An analysis template of one namespace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AnalysisTemplate {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[schemars(extend("x-optional" = true))]
    pub metadata: ObjectMeta,
    pub spec: AnalysisTemplateSpec,
}

/// An analysis template for all namespaces.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterAnalysisTemplate {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[schemars(extend("x-optional" = true))]
    pub metadata: ObjectMeta,
    pub spec: AnalysisTemplateSpec,
}

/// Metrics and their arguments; `templates` pulls in those of others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AnalysisTemplateSpec {
    #[serde(skip_serializing_if = "is_empty_list")]
    pub metrics: Shared<Vec<Metric>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Argument>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub measurement_retention: Vec<MeasurementRetention>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<AnalysisTemplateRef>,
}

/// One metric: what to ask, how often, and how to judge the answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Metric {
    pub name: String,
    /// Go duration between measurements; absent means one measurement.
    #[serde(skip_serializing_if = "DurationString::is_empty")]
    pub interval: DurationString,
    /// Go duration before the first measurement.
    #[serde(skip_serializing_if = "DurationString::is_empty")]
    pub initial_delay: DurationString,
    /// Number of measurements; a string may hold a `{{args.x}}` placeholder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<IntOrString>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub success_condition: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub failure_condition: String,
    /// Failures allowed before the metric fails; -1 turns the limit off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_limit: Option<IntOrString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inconclusive_limit: Option<IntOrString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_error_limit: Option<IntOrString>,
    pub provider: MetricProvider,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_success_limit: Option<IntOrString>,
}

impl Metric {
    /// Number of measurements to take: 1 without count and interval, `None` (no end) with an
    /// interval alone; a count of 0 counts as absent.
    pub fn effective_count(&self) -> Option<IntOrString> {
        match &self.count {
            Some(count) if count.int_value() != 0 => Some(count.clone()),
            Some(_) | None if self.interval.is_empty() => Some(IntOrString::Int(1)),
            Some(_) | None => None,
        }
    }
}

/// A metric (or all, by `*` or a regular expression) whose result does not count.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DryRun {
    pub metric_name: String,
}

/// How many measurements of a metric are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MeasurementRetention {
    pub metric_name: String,
    pub limit: i32,
}

/// A template argument; one without a value must be given by whoever starts the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Argument {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ValueFrom>,
}

/// Where the value of an argument comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ValueFrom {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_ref: Option<FieldRef>,
}

/// A key of a Secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SecretKeyRef {
    pub name: String,
    pub key: String,
}

/// An instance of one or more templates.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AnalysisRun {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[schemars(extend("x-optional" = true))]
    pub metadata: ObjectMeta,
    pub spec: AnalysisRunSpec,
    #[schemars(extend("x-optional" = true))]
    pub status: AnalysisRunStatus,
}

/// Metrics with arguments that have values or references to secrets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AnalysisRunSpec {
    pub metrics: Shared<Vec<Metric>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Argument>,
    #[serde(skip_serializing_if = "is_false")]
    pub terminate: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub measurement_retention: Vec<MeasurementRetention>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_strategy: Option<TtlStrategy>,
}

/// Seconds a finished run is kept, by result.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TtlStrategy {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_after_completion: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_after_failure: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_after_success: Option<i32>,
}

/// Progress and outcome of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AnalysisRunStatus {
    pub phase: AnalysisPhase,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metric_results: Vec<MetricResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[schemars(extend("x-optional" = true))]
    pub run_summary: RunSummary,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run_summary: Option<RunSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
}

/// Number of metrics by outcome.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RunSummary {
    #[serde(skip_serializing_if = "is_zero")]
    pub count: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub successful: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub inconclusive: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub error: i32,
}

/// Measurements of one metric and their tally.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MetricResult {
    pub name: String,
    pub phase: AnalysisPhase,
    #[serde(skip_serializing_if = "is_empty_list")]
    pub measurements: Shared<Vec<Arc<Measurement>>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Measurements without errors.
    #[serde(skip_serializing_if = "is_zero")]
    pub count: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub successful: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub inconclusive: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub error: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub consecutive_error: i32,
    #[serde(skip_serializing_if = "is_false")]
    pub dry_run: bool,
    #[serde(skip_serializing_if = "is_empty_map")]
    pub metadata: Shared<StringMap>,
    #[serde(skip_serializing_if = "is_zero")]
    pub consecutive_success: i32,
}

/// One measurement.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Measurement {
    pub phase: AnalysisPhase,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    #[serde(skip_serializing_if = "StringMap::is_empty")]
    pub metadata: StringMap,
    /// When an asynchronous measurement is to be looked at again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume_at: Option<Timestamp>,
}

text_enum! {
    /// Phase of a run, a metric or a measurement.
    pub enum AnalysisPhase {
        Unset = "",
        Pending = "Pending",
        Running = "Running",
        Successful = "Successful",
        Failed = "Failed",
        Error = "Error",
        Inconclusive = "Inconclusive",
    }
}
unset_by_default!(AnalysisPhase);

impl AnalysisPhase {
    /// Whether nothing will change any more.
    pub const fn is_completed(self) -> bool {
        match self {
            AnalysisPhase::Successful
            | AnalysisPhase::Failed
            | AnalysisPhase::Error
            | AnalysisPhase::Inconclusive => true,
            AnalysisPhase::Unset | AnalysisPhase::Pending | AnalysisPhase::Running => false,
        }
    }
}
