//! What counts of measurements mean for a metric, and metrics for a run (argo-rollouts
//! `analysis/analysis.go`). Nothing here takes a measurement or knows the time.

use std::collections::BTreeSet;

use crate::spec::analysis::{AnalysisPhase, Metric, MetricResult, RunSummary};
use crate::spec::defaults;
use crate::spec::meta::IntOrString;

/// Message of a run that was told to end.
const TERMINATED: &str = "Run Terminated";

/// A phase other than Successful that a metric has come to, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub phase: AnalysisPhase,
    /// In the reference's words, such as `failed (1) > failureLimit (0)`.
    pub reason: String,
}

/// A run's state by the state of its metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct RunAssessment {
    /// Running, or completed.
    pub phase: AnalysisPhase,
    pub message: String,
    /// Metrics that count, by outcome.
    pub run_summary: RunSummary,
    /// Metrics in dry run, by outcome.
    pub dry_run_summary: RunSummary,
    /// Metrics that have just come to an end, in the order of the spec.
    pub completed: Vec<(String, AnalysisPhase)>,
}

/// Adds a finished measurement of this phase to the counts; an unfinished one does not count.
pub fn count_measurement(result: &mut MetricResult, phase: AnalysisPhase) {
    let (counter, succeeded) = match phase {
        AnalysisPhase::Successful => (&mut result.successful, true),
        AnalysisPhase::Failed => (&mut result.failed, false),
        AnalysisPhase::Inconclusive => (&mut result.inconclusive, false),
        AnalysisPhase::Error => {
            increment(&mut result.error);
            increment(&mut result.consecutive_error);
            result.consecutive_success = 0;
            return;
        }
        AnalysisPhase::Unset | AnalysisPhase::Pending | AnalysisPhase::Running => return,
    };
    increment(counter);
    increment(&mut result.count);
    result.consecutive_error = 0;
    if succeeded {
        increment(&mut result.consecutive_success);
    } else {
        result.consecutive_success = 0;
    }
}

/// The limit that these counts exceed. Errors weigh most, then inconclusive measurements.
///
/// `failureLimit` below 0 is no limit; `consecutiveErrorLimit` is 4 if absent, the others 0.
pub fn exceeded_limit(metric: &Metric, result: &MetricResult) -> Option<Verdict> {
    let error_limit = metric.consecutive_error_limit.as_ref().map_or_else(
        || i64::from(defaults::CONSECUTIVE_ERROR_LIMIT),
        IntOrString::int_value,
    );
    let errors = i64::from(result.consecutive_error);
    if errors > error_limit {
        return Some(Verdict {
            phase: AnalysisPhase::Error,
            reason: format!("consecutiveErrors ({errors}) > consecutiveErrorLimit ({error_limit})"),
        });
    }
    let inconclusive_limit = limit(&metric.inconclusive_limit);
    let inconclusive = i64::from(result.inconclusive);
    if inconclusive > inconclusive_limit {
        return Some(Verdict {
            phase: AnalysisPhase::Inconclusive,
            reason: format!(
                "inconclusive ({inconclusive}) > inconclusiveLimit ({inconclusive_limit})"
            ),
        });
    }
    let failure_limit = limit(&metric.failure_limit);
    let failed = i64::from(result.failed);
    (failure_limit >= 0 && failed > failure_limit).then(|| Verdict {
        phase: AnalysisPhase::Failed,
        reason: format!("failed ({failed}) > failureLimit ({failure_limit})"),
    })
}

/// The verdict on a metric that took all its measurements without the successes in a row that it
/// wants: Failed where failures have no limit, Inconclusive where they had one and kept it.
///
/// The reference decides so too, but gives no reason.
pub fn unreached_success(metric: &Metric, result: &MetricResult) -> Option<Verdict> {
    let wanted = limit(&metric.consecutive_success_limit);
    if wanted <= 0 || i64::from(result.consecutive_success) >= wanted || !took_all(metric, result) {
        return None;
    }
    let count = result.count;
    let reason = format!("consecutiveSuccessLimit ({wanted}) not reached within count ({count})");
    let failure_limit = limit(&metric.failure_limit);
    Some(if failure_limit >= 0 {
        Verdict {
            phase: AnalysisPhase::Inconclusive,
            reason: format!("{reason} and failureLimit ({failure_limit}) not exceeded"),
        }
    } else {
        Verdict {
            phase: AnalysisPhase::Failed,
            reason,
        }
    })
}

/// Whether `count` measurements without an error were taken.
pub fn took_all(metric: &Metric, result: &MetricResult) -> bool {
    metric
        .effective_count()
        .is_some_and(|count| i64::from(result.count) >= count.int_value())
}

/// The phase of a metric. A completed one stays as it is; Pending before the first measurement.
///
/// `terminating`: whether the run is to end, see [`is_terminating`]. What has not failed by then
/// counts as Successful.
pub fn assess_metric(metric: &Metric, result: &MetricResult, terminating: bool) -> AnalysisPhase {
    if result.phase.is_completed() {
        return result.phase;
    }
    let Some(last) = result.measurements.last() else {
        return if terminating {
            AnalysisPhase::Successful
        } else {
            AnalysisPhase::Pending
        };
    };
    if !last.phase.is_completed() {
        return AnalysisPhase::Running;
    }
    if let Some(verdict) = exceeded_limit(metric, result) {
        return verdict.phase;
    }
    let wanted = limit(&metric.consecutive_success_limit);
    if wanted > 0 && i64::from(result.consecutive_success) >= wanted {
        return AnalysisPhase::Successful;
    }
    if took_all(metric, result) {
        return unreached_success(metric, result)
            .map_or(AnalysisPhase::Successful, |verdict| verdict.phase);
    }
    if terminating {
        AnalysisPhase::Successful
    } else {
        AnalysisPhase::Running
    }
}

/// Whether a run is to end: it was told to, or a metric that counts has gone wrong.
pub fn is_terminating(told_to: bool, results: &[MetricResult]) -> bool {
    told_to
        || results
            .iter()
            .any(|result| !result.dry_run && went_wrong(result.phase))
}

/// Sets phase and message of every result, and gives the run's state: Running until every metric
/// has come to an end or the run is terminating, then the worst phase of those that count.
///
/// `metrics` with resolved arguments; `dry_run` names those that do not count; `told_to_end` is
/// `spec.terminate`.
pub fn assess_run(
    metrics: &[Metric],
    dry_run: &BTreeSet<String>,
    told_to_end: bool,
    results: &mut [MetricResult],
) -> RunAssessment {
    let terminating = is_terminating(told_to_end, results);
    let mut worst = None;
    let mut message = if told_to_end {
        TERMINATED.to_owned()
    } else {
        String::new()
    };
    let mut all_completed = true;
    let mut run_summary = RunSummary::default();
    let mut dry_run_summary = RunSummary::default();
    let mut completed = Vec::new();
    for metric in metrics {
        let is_dry_run = dry_run.contains(&metric.name);
        let summary = if is_dry_run {
            &mut dry_run_summary
        } else {
            &mut run_summary
        };
        increment(&mut summary.count);
        let Some(result) = results.iter_mut().find(|result| result.name == metric.name) else {
            all_completed = false;
            continue;
        };
        let phase = assess_metric(metric, result, terminating);
        if result.phase != phase {
            if phase.is_completed() {
                completed.push((metric.name.clone(), phase));
            }
            if let Some(last) = result.measurements.last() {
                result.message.clone_from(&last.message);
            }
            result.phase = phase;
        }
        if !phase.is_completed() {
            all_completed = false;
            continue;
        }
        let exceeded = exceeded_limit(metric, result);
        // As in the reference, a metric that lacks successes is summed up as successful.
        count_outcome(
            summary,
            exceeded
                .as_ref()
                .map_or(AnalysisPhase::Successful, |verdict| verdict.phase),
        );
        let reason = exceeded
            .or_else(|| unreached_success(metric, result))
            .filter(|verdict| verdict.phase == phase)
            .map(|verdict| verdict.reason);
        if is_dry_run {
            worst.get_or_insert(AnalysisPhase::Successful);
            if let Some(reason) = reason {
                result.message = format!("Metric assessed {phase} due to {reason}");
            }
        } else if worst.is_none_or(|worst| badness(phase) > badness(worst)) {
            worst = Some(phase);
            if let Some(reason) = reason {
                message = format!(
                    "Metric \"{}\" assessed {phase} due to {reason}",
                    metric.name
                );
                if !result.message.is_empty() {
                    message.push_str(&format!(": \"Error Message: {}\"", result.message));
                }
            }
        }
    }
    let (phase, message) = match worst {
        Some(worst) if all_completed || terminating => (worst, message),
        None if terminating => (AnalysisPhase::Successful, message),
        Some(_) | None => (AnalysisPhase::Running, String::new()),
    };
    RunAssessment {
        phase,
        message: message.trim().to_owned(),
        run_summary,
        dry_run_summary,
        completed,
    }
}

/// Whether a phase is an end other than success.
pub const fn went_wrong(phase: AnalysisPhase) -> bool {
    match phase {
        AnalysisPhase::Failed | AnalysisPhase::Error | AnalysisPhase::Inconclusive => true,
        AnalysisPhase::Unset
        | AnalysisPhase::Pending
        | AnalysisPhase::Running
        | AnalysisPhase::Successful => false,
    }
}

/// Orders phases from best to worst.
pub const fn badness(phase: AnalysisPhase) -> u8 {
    match phase {
        AnalysisPhase::Unset | AnalysisPhase::Successful => 0,
        AnalysisPhase::Running => 1,
        AnalysisPhase::Pending => 2,
        AnalysisPhase::Inconclusive => 3,
        AnalysisPhase::Error => 4,
        AnalysisPhase::Failed => 5,
    }
}

fn limit(field: &Option<IntOrString>) -> i64 {
    field.as_ref().map_or(0, IntOrString::int_value)
}

fn increment(counter: &mut i32) {
    *counter = counter.saturating_add(1);
}

fn count_outcome(summary: &mut RunSummary, phase: AnalysisPhase) {
    increment(match phase {
        AnalysisPhase::Error => &mut summary.error,
        AnalysisPhase::Failed => &mut summary.failed,
        AnalysisPhase::Inconclusive => &mut summary.inconclusive,
        AnalysisPhase::Unset
        | AnalysisPhase::Pending
        | AnalysisPhase::Running
        | AnalysisPhase::Successful => &mut summary.successful,
    });
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::spec::analysis::Measurement;
    use crate::spec::decode::decode;

    fn metric(fields: Value) -> Metric {
        let mut metric: Metric = decode(fields).unwrap();
        metric.name = "m".into();
        metric
    }

    fn measured(metric: &Metric, phases: &str) -> MetricResult {
        let mut result = MetricResult {
            name: metric.name.clone(),
            phase: AnalysisPhase::Running,
            ..MetricResult::default()
        };
        for letter in phases.chars() {
            let phase = match letter {
                's' => AnalysisPhase::Successful,
                'f' => AnalysisPhase::Failed,
                'i' => AnalysisPhase::Inconclusive,
                _ => AnalysisPhase::Error,
            };
            count_measurement(&mut result, phase);
            let measurement = Measurement {
                phase,
                ..Measurement::default()
            };
            result.measurements.make_mut().push(measurement.into());
        }
        result
    }

    fn phase(fields: Value, phases: &str) -> AnalysisPhase {
        let metric = metric(fields);
        assess_metric(&metric, &measured(&metric, phases), false)
    }

    #[test]
    fn limits_are_exceeded_by_one_more() {
        use AnalysisPhase::{Error, Failed, Inconclusive, Running, Successful};
        let endless = json!({"interval": "1s", "failureLimit": 1, "inconclusiveLimit": 1});
        assert_eq!(phase(endless.clone(), "sf"), Running);
        assert_eq!(phase(endless.clone(), "fsf"), Failed);
        assert_eq!(phase(endless.clone(), "isi"), Inconclusive);
        assert_eq!(phase(endless.clone(), "eeee"), Running);
        assert_eq!(phase(endless.clone(), "eeeee"), Error);
        assert_eq!(phase(endless.clone(), "eeeesee"), Running);
        assert_eq!(phase(endless, "ffii"), Inconclusive);
        assert_eq!(phase(json!({}), "s"), Successful);
        assert_eq!(phase(json!({}), "e"), Running);
        assert_eq!(
            phase(json!({"count": "2", "interval": "1s"}), "ss"),
            Successful
        );
        assert_eq!(
            phase(
                json!({"interval": "1s", "failureLimit": -1, "consecutiveSuccessLimit": 2}),
                "fffsfss"
            ),
            Successful
        );
    }

    #[test]
    fn missing_successes_are_a_verdict_with_a_reason() {
        let strict = metric(json!({
            "interval": "1s", "count": 4, "failureLimit": -1, "consecutiveSuccessLimit": 3
        }));
        let result = measured(&strict, "ssfs");
        assert_eq!(
            assess_metric(&strict, &result, false),
            AnalysisPhase::Failed
        );
        assert_eq!(
            unreached_success(&strict, &result).map(|verdict| verdict.reason),
            Some("consecutiveSuccessLimit (3) not reached within count (4)".into())
        );
        let lenient = metric(json!({
            "interval": "1s", "count": 4, "failureLimit": 1, "consecutiveSuccessLimit": 3
        }));
        let result = measured(&lenient, "ssfs");
        assert_eq!(
            assess_metric(&lenient, &result, false),
            AnalysisPhase::Inconclusive
        );
    }

    #[test]
    fn the_worst_metric_that_counts_decides() {
        let metrics: Vec<Metric> = ["a", "b", "c"]
            .iter()
            .map(|name| Metric {
                name: (*name).into(),
                ..metric(json!({"consecutiveErrorLimit": 0}))
            })
            .collect();
        let mut results: Vec<MetricResult> = metrics
            .iter()
            .zip(["e", "f", "i"])
            .map(|(metric, phases)| measured(metric, phases))
            .collect();
        let assessed = assess_run(&metrics, &BTreeSet::new(), false, &mut results.clone());
        assert_eq!(assessed.phase, AnalysisPhase::Failed);
        assert_eq!(
            assessed.message,
            "Metric \"b\" assessed Failed due to failed (1) > failureLimit (0)"
        );
        assert_eq!(assessed.completed.len(), 3);
        assert_eq!(assessed.run_summary.count, 3);
        let dry = BTreeSet::from(["a".into(), "b".into()]);
        for result in &mut results {
            result.dry_run = dry.contains(&result.name);
        }
        let assessed = assess_run(&metrics, &dry, false, &mut results);
        assert_eq!(assessed.phase, AnalysisPhase::Inconclusive);
        assert_eq!(assessed.dry_run_summary.failed, 1);
        assert!(is_terminating(false, &results));
    }
}
