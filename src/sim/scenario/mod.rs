//! Scenarios: what happens to a rollout, and what is expected of it.
//!
//! A scenario is a YAML file. Its times count from the moment of the release: the objects are
//! applied and come to rest before, so that second 0 is the first of the update. The format is
//! published as a JSON schema (`schemas/scenario.json`), which a test generates from these types.

pub(super) mod metrics;
pub mod random;
mod read;
pub mod traffic;
mod write;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use read::read_bytes;
pub use write::write;

use crate::source::Span;
use crate::time::Duration;

/// A length of time as Go and Prometheus users write it: `90s`, `5m`, `1h30m`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[schemars(with = "String", extend("pattern" = r"^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$"))]
#[serde(transparent)]
pub struct Period(pub Duration);

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Number(serde_json::Number),
        }
        let duration = match Written::deserialize(deserializer)? {
            Written::Text(text) => Duration::parse_go(&text).map_err(serde::de::Error::custom)?,
            Written::Number(number) if number.as_i64() == Some(0) => Duration::ZERO,
            Written::Number(number) => {
                return Err(serde::de::Error::custom(format!(
                    "a length of time needs a unit: {number}s, {number}m or {number}h"
                )));
            }
        };
        if duration < Duration::ZERO {
            return Err(serde::de::Error::custom(
                "a length of time cannot be negative",
            ));
        }
        Ok(Self(duration))
    }
}

/// What happens to a rollout, and what is expected of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Scenario {
    /// What the scenario shows, in a sentence.
    pub about: String,
    /// Name of the Rollout; may be absent if there is only one.
    pub rollout: Option<String>,
    /// Its namespace; may be absent if the name is unique.
    pub namespace: Option<String>,
    /// Seed of everything random.
    pub seed: Option<u64>,
    /// When to stop at the latest, from the release on. Without it the simulation ends when
    /// nothing is going to happen any more, after 24 hours at the latest.
    pub until: Option<Period>,
    pub cluster: Cluster,
    /// The update at second 0. Without it, and without any event, a new image is released.
    pub release: Option<Release>,
    /// Answers of the metric providers, by metric name.
    pub metrics: BTreeMap<String, MetricScript>,
    /// Users' requests: what queries of Prometheus metrics without a script are evaluated on.
    pub traffic: Option<traffic::TrafficModel>,
    /// Series that such queries see, too: `load` blocks in promtool's notation, with times from the
    /// release on.
    pub series: Option<String>,
    /// Recorded series that such queries see, too.
    pub traces: Vec<TraceFile>,
    /// What goes wrong by chance.
    pub random: Option<random::RandomTrouble>,
    /// The releases that `rollproof whatif` compares; other commands do not look at it.
    pub what_if: Option<random::WhatIf>,
    /// What users and surroundings do.
    pub events: Vec<ScenarioEvent>,
    /// What must hold.
    pub expect: Vec<Expectation>,
}

/// A file with recorded series, in a format that `rollproof promql --trace` reads.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TraceFile {
    /// Path from the scenario's folder.
    pub file: String,
    /// The time in the trace that is the moment of the release: RFC 3339, seconds since 1970,
    /// `+5m` after its start or `-5m` before its end; its start if absent.
    pub release_at: Option<String>,
}

/// How fast the cluster is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Cluster {
    /// From a pod's creation to its readiness; 5s if absent.
    pub pod_ready_after: Option<Period>,
    /// From a change of a traffic router's objects to its effect; none if absent.
    pub router_lag: Option<Period>,
    /// From a change to the controller's reaction; 20ms if absent.
    pub reconcile_delay: Option<Period>,
}

/// The update that the scenario is about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Release {
    /// The new image, of every container or as `container=image`.
    pub image: Option<String>,
    /// A JSON merge patch of the Rollout instead.
    pub patch: Option<serde_json::Value>,
}

/// Answers of one metric, in the order of its measurements; the last one repeats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum MetricScript {
    /// A number, a list for a vector of several samples, an object, or one of `"NaN"`, `"Inf"`,
    /// `"-Inf"`, `"scalar"`, `"error"` (HTTP status 500), `"timeout"`; `[]` is an empty vector.
    Answers(Vec<serde_json::Value>),
    /// Different answers for the versions that are measured.
    ByVersion(VersionScripts),
}

/// Answers by the version that an analysis judges.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct VersionScripts {
    /// Answers in analyses of the release of second 0.
    pub release: Vec<serde_json::Value>,
    /// Answers in all others.
    pub others: Vec<serde_json::Value>,
}

/// Something that happens, at a time. Exactly one kind of happening is given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ScenarioEvent {
    /// When, from the release on.
    pub at: Option<Period>,
    /// A new image, of every container or as `container=image`.
    pub set_image: Option<String>,
    /// `promote`: ends a pause.
    pub promote: Option<Always>,
    /// `promote --full`: skips all steps, pauses and analyses.
    pub promote_full: Option<Always>,
    pub skip_current_step: Option<Always>,
    pub skip_all_steps: Option<Always>,
    pub abort: Option<Always>,
    pub retry: Option<Always>,
    pub pause: Option<Always>,
    /// Back to the previous revision, or to the one of this number.
    pub undo: Option<Undo>,
    pub restart: Option<Always>,
    /// Sets `spec.replicas`.
    pub scale: Option<i32>,
    /// Ends a running AnalysisRun; `true` for the one that the rollout shows.
    pub terminate_analysis: Option<Target>,
    /// Ends a running Experiment; `true` for the one that the rollout shows.
    pub terminate_experiment: Option<Target>,
    /// A JSON merge patch of the Rollout.
    pub patch: Option<serde_json::Value>,
    /// An object to apply, in full.
    pub apply: Option<serde_json::Value>,
    /// `KIND NAME` of an object to delete.
    pub delete: Option<String>,
    /// Deletes pods; they are replaced.
    pub delete_pods: Option<PodChoice>,
    /// Ready pods crash.
    pub crash_pods: Option<CrashPods>,
    /// How pods live from now on.
    pub pods: Option<PodTrouble>,
    /// Metric providers do not answer.
    pub outage: Option<Outage>,
    /// The controller is down for this long.
    pub controller_down: Option<Period>,
    /// The controller's clock jumps forward by this.
    pub clock_jump: Option<Period>,
    /// The API server refuses this many of the controller's writes.
    pub refuse_writes: Option<u32>,
}

/// The value `true`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(extend("const" = true))]
pub struct Always(pub bool);

impl<'de> Deserialize<'de> for Always {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if bool::deserialize(deserializer)? {
            Ok(Self(true))
        } else {
            Err(serde::de::Error::custom(
                "write `true`, or leave the event out",
            ))
        }
    }
}

/// `true` for the current one, or a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Target {
    Current(Always),
    Named(String),
}

/// `true` for the previous revision, or a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Undo {
    Previous(Always),
    Revision(i64),
}

/// Some pods of the rollout.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PodChoice {
    /// Only pods with this image.
    pub image: Option<String>,
    /// Only pods of this revision.
    pub revision: Option<i64>,
    /// At most this many.
    pub count: Option<usize>,
}

/// A crash of ready pods.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CrashPods {
    pub image: Option<String>,
    pub revision: Option<i64>,
    pub count: Option<usize>,
    /// Ready again after this; never if absent.
    pub ready_again_after: Option<Period>,
}

/// How pods live: exactly one of the three is given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PodTrouble {
    pub image: Option<String>,
    pub revision: Option<i64>,
    /// They never become ready, for this reason (such as `ImagePullBackOff`).
    pub never_ready: Option<String>,
    /// They become ready this long after their creation.
    pub ready_after: Option<Period>,
    /// They crash this long after they became ready.
    pub crash_after: Option<Period>,
    /// After a crash they are ready again after this; never if absent.
    pub ready_again_after: Option<Period>,
}

/// An outage of metric providers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Outage {
    /// Only this metric.
    pub metric: Option<String>,
    /// How long; for ever if absent.
    #[serde(rename = "for")]
    pub lasts: Option<Period>,
    /// The error that measurements report.
    pub message: Option<String>,
}

/// What must hold at a moment, by a moment, or at the end. All that is given must hold together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Expectation {
    /// At this time. Neither `at` nor `by`: at the end.
    pub at: Option<Period>,
    /// At some time up to this one.
    pub by: Option<Period>,
    /// `Progressing`, `Paused`, `Healthy` or `Degraded`.
    pub phase: Option<String>,
    /// A part of the rollout's message.
    pub message: Option<String>,
    /// Index of the current step, counted from 0.
    pub step: Option<i32>,
    /// The canary's weight at the traffic router, or its share of ready pods in percent.
    pub weight: Option<Range>,
    pub aborted: Option<bool>,
    /// Image of the stable version.
    pub stable_image: Option<String>,
    /// Number of pods of all versions.
    pub pods: Option<Range>,
    /// Phases of analysis runs: the latest measurement's run for each metric name.
    pub analysis: BTreeMap<String, String>,
    /// Highest weight of the release so far.
    pub max_weight: Option<Range>,
    /// Share of all requests since the release that the release served, in percent, if traffic is
    /// even.
    pub served: Option<Range>,
    /// Requests that failed since the release, where the scenario has `traffic`.
    pub failed_requests: Option<Range>,
    /// How many of them the stable version would have answered.
    pub failed_because_of_release: Option<Range>,
}

/// A number, or bounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Range {
    Exactly(f64),
    Between(Bounds),
}

/// Bounds, each inclusive and optional.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Bounds {
    pub min: Option<f64>,
    pub max: Option<f64>,
}

impl Range {
    /// Whether `value` is meant; percentages computed from pods are compared to a thousandth.
    pub fn holds(&self, value: f64) -> bool {
        const TOLERANCE: f64 = 1e-3;
        match self {
            Range::Exactly(wanted) => (value - wanted).abs() <= TOLERANCE,
            Range::Between(bounds) => {
                bounds.min.is_none_or(|min| value >= min - TOLERANCE)
                    && bounds.max.is_none_or(|max| value <= max + TOLERANCE)
            }
        }
    }
}

/// A scenario with the places of its parts in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct ScenarioFile {
    pub scenario: Scenario,
    /// The whole document.
    pub span: Span,
    /// Of each event, in order.
    pub events: Vec<Span>,
    /// Of each expectation, in order.
    pub expectations: Vec<Span>,
}

/// The JSON schema of the format, for editors.
pub fn json_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Scenario).to_value();
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("title".to_owned(), "rollproof scenario".into());
    }
    schema
}
