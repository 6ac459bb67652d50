//! What goes wrong by chance, and which releases a what-if question compares.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Period;
use super::traffic::{Behaviour, ErrorShare, Latency, LatencyModel, behaviour_problem};

/// What goes wrong by chance from the release on, drawn from `seed`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RandomTrouble {
    /// How pods fare that are created after the release.
    pub pods: RandomPods,
    /// What measurements get instead of an answer; the first entry for a metric counts.
    pub measurements: Vec<RandomMeasurements>,
}

/// How pods fare. A pod has at most one of `slow`, `neverReady` and `crash`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RandomPods {
    /// From a pod's creation to its readiness, drawn for each pod; `cluster.podReadyAfter` if absent.
    pub ready_after: Option<Latency>,
    /// Some pods take longer.
    pub slow: Option<SlowPods>,
    /// Share of the pods that never become ready, 0 to 1.
    pub never_ready: Option<f64>,
    /// Some pods crash.
    pub crash: Option<CrashingPods>,
}

/// Pods that take longer to become ready.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlowPods {
    /// Share of the pods, 0 to 1.
    pub share: f64,
    pub ready_after: Latency,
}

/// Pods that crash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CrashingPods {
    /// Share of the pods, 0 to 1.
    pub share: f64,
    /// From readiness to the crash.
    pub after: Latency,
    /// Ready again after this; never if absent.
    pub ready_again_after: Option<Period>,
}

/// What measurements get instead of an answer: shares of the measurements, each 0 to 1, together
/// at most 1. Metrics that are Kubernetes Jobs are not concerned.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RandomMeasurements {
    /// Only those of this metric.
    pub metric: Option<String>,
    /// The provider answers with an empty result.
    pub no_data: Option<f64>,
    /// The provider answers with HTTP status 500.
    pub error: Option<f64>,
    /// The value is one that the metric's conditions take as a failure.
    pub failed: Option<f64>,
    /// The value is one on which the metric's conditions decide nothing.
    pub inconclusive: Option<f64>,
}

/// The two releases that `rollproof whatif` compares.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct WhatIf {
    /// A release that should be promoted; as `traffic.stable` if absent.
    pub healthy: ReleaseKind,
    /// A release that should be aborted; if absent as `traffic.release`, or where that is absent too,
    /// with 5 times the errors of `traffic.stable`.
    pub bad: ReleaseKind,
}

/// How a release fares; what is absent is as of `traffic.stable`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ReleaseKind {
    /// Share of the requests that fail, 0 to 1.
    pub errors: Option<ErrorShare>,
    pub latency: Option<LatencyModel>,
    /// Every request takes this much longer than `latency` says.
    pub added_latency: Option<Period>,
    /// HTTP status of failed requests.
    pub error_code: Option<u16>,
    /// What measurements get instead of an answer, before what `random` says.
    pub measurements: Vec<RandomMeasurements>,
}

impl ReleaseKind {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl RandomTrouble {
    /// What is wrong with the numbers, as (path below `random`, message).
    pub fn problems(&self) -> Vec<(String, String)> {
        let Self { pods, measurements } = self;
        let RandomPods {
            ready_after,
            slow,
            never_ready,
            crash,
        } = pods;
        let mut problems = Vec::new();
        let shares = [
            slow.as_ref().map(|slow| slow.share),
            *never_ready,
            crash.as_ref().map(|crash| crash.share),
        ];
        problems.extend(shares_problem(&shares).map(|message| ("pods".to_owned(), message)));
        let times = [
            ("pods.readyAfter", *ready_after),
            ("pods.slow", slow.as_ref().map(|slow| slow.ready_after)),
            ("pods.crash", crash.as_ref().map(|crash| crash.after)),
        ];
        for (path, time) in times {
            let model = time.map(LatencyModel::Always);
            let problem = behaviour_problem(&None, &model, None);
            problems.extend(problem.map(|message| (path.to_owned(), message)));
        }
        problems.extend(measurement_problems(measurements));
        problems
    }
}

impl WhatIf {
    /// What is wrong with the numbers, as (path below `whatIf`, message).
    pub fn problems(&self) -> Vec<(String, String)> {
        let Self { healthy, bad } = self;
        let mut problems = Vec::new();
        for (name, kind) in [("healthy", healthy), ("bad", bad)] {
            let ReleaseKind {
                errors,
                latency,
                added_latency: _,
                error_code,
                measurements,
            } = kind;
            let problem = behaviour_problem(errors, latency, *error_code);
            problems.extend(problem.map(|message| (name.to_owned(), message)));
            let of_measurements = measurement_problems(measurements);
            problems.extend(
                of_measurements
                    .into_iter()
                    .map(|(path, message)| (format!("{name}.{path}"), message)),
            );
        }
        problems
    }
}

fn measurement_problems(measurements: &[RandomMeasurements]) -> Vec<(String, String)> {
    let problem = |(index, entry): (usize, &RandomMeasurements)| {
        let RandomMeasurements {
            metric: _,
            no_data,
            error,
            failed,
            inconclusive,
        } = entry;
        let message = shares_problem(&[*no_data, *error, *failed, *inconclusive])?;
        Some((format!("measurements[{index}]"), message))
    };
    measurements
        .iter()
        .enumerate()
        .filter_map(problem)
        .collect()
}

fn shares_problem(shares: &[Option<f64>]) -> Option<String> {
    let given: Vec<f64> = shares.iter().copied().flatten().collect();
    let outside = given.iter().any(|share| !(0.0..=1.0).contains(share));
    (outside || given.iter().sum::<f64>() > 1.0 + 1e-9)
        .then(|| "shares are from 0 to 1, and together at most 1".to_owned())
}

impl LatencyModel {
    /// The same with every request taking this much longer.
    #[must_use]
    pub fn longer_by(&self, added: Period) -> Self {
        match self {
            LatencyModel::Always(latency) => LatencyModel::Always(latency.longer_by(added)),
            LatencyModel::Changing(changes) => {
                let mut changes = changes.clone();
                for change in &mut changes.from {
                    change.latency = change.latency.longer_by(added);
                }
                LatencyModel::Changing(changes)
            }
        }
    }
}

impl Behaviour {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
