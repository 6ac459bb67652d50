//! What counts and limits of a metric make of measurements.

use std::sync::Arc;

use super::is_number_guessed;
use crate::engine::analysis::assess;
use crate::lint::context::MetricView;
use crate::spec::analysis::{AnalysisPhase, Measurement, Metric, MetricResult};
use crate::spec::meta::IntOrString;

/// Numbers of a metric, with their defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Limits {
    /// Measurements that end the metric; `None`: it goes on until it is ended.
    pub count: Option<i64>,
    /// Below 0 there is no limit.
    pub failures: i64,
    /// Successes in a row that end the metric; 0 if none do.
    pub successes: i64,
}

impl Limits {
    /// `None` where a number depends on an argument without a known value.
    pub fn of(view: &MetricView<'_>) -> Option<Self> {
        let written = view.written;
        let numbers = [
            &written.count,
            &written.failure_limit,
            &written.inconclusive_limit,
            &written.consecutive_success_limit,
            &written.consecutive_error_limit,
        ];
        if numbers
            .into_iter()
            .any(|number| is_number_guessed(view, number.as_ref()))
            || super::is_guessed(view, written.interval.as_str())
        {
            return None;
        }
        let metric = &view.metric;
        let number = |field: &Option<IntOrString>| field.as_ref().map_or(0, IntOrString::int_value);
        Some(Self {
            count: metric.effective_count().map(|count| count.int_value()),
            failures: number(&metric.failure_limit),
            successes: number(&metric.consecutive_success_limit),
        })
    }
}

/// The phase of a metric after so many measurements that all came out alike, none before. Running
/// where more would follow.
pub fn phase_after(metric: &Metric, phase: AnalysisPhase, measurements: i64) -> AnalysisPhase {
    let number = i32::try_from(measurements).unwrap_or(i32::MAX);
    let mut result = MetricResult {
        name: metric.name.clone(),
        phase: AnalysisPhase::Running,
        measurements: vec![Arc::new(Measurement {
            phase,
            ..Measurement::default()
        })]
        .into(),
        ..MetricResult::default()
    };
    match phase {
        AnalysisPhase::Successful => {
            result.successful = number;
            result.consecutive_success = number;
            result.count = number;
        }
        AnalysisPhase::Failed => {
            result.failed = number;
            result.count = number;
        }
        AnalysisPhase::Inconclusive => {
            result.inconclusive = number;
            result.count = number;
        }
        AnalysisPhase::Error => {
            result.error = number;
            result.consecutive_error = number;
        }
        AnalysisPhase::Unset | AnalysisPhase::Pending | AnalysisPhase::Running => {}
    }
    assess::assess_metric(metric, &result, false)
}

/// The phase of a metric whose run is ended before its first measurement.
pub fn phase_without_measurement(metric: &Metric) -> AnalysisPhase {
    assess::assess_metric(metric, &MetricResult::default(), true)
}

/// A failure limit for so many measurements that neither one odd measurement exceeds nor many bad
/// ones keep: a quarter.
pub fn moderate_failure_limit(measurements: i64) -> i64 {
    measurements / 4
}
