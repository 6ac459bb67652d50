//! When a metric is measured next (argo-rollouts `analysis/analysis.go`).

use crate::spec::analysis::{AnalysisPhase, Metric, MetricResult};
use crate::spec::defaults::ERROR_RETRY_INTERVAL;
use crate::time::{Duration, Timestamp};

use super::assess;

/// The next measurement of a metric that has not come to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Now,
    /// A first measurement that waits for `initialDelay`, from the start of the run.
    AfterStart,
    At(Timestamp, Waiting),
    /// `count` is reached, or the spec does not say when.
    Never,
}

/// What a measurement waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    InitialDelay,
    Interval,
    ErrorRetry,
    /// Another look at one that is unfinished.
    Resume,
}

impl Next {
    pub fn is_due(self, now: Timestamp) -> bool {
        match self {
            Next::Now => true,
            Next::At(at, _) => at <= now,
            Next::AfterStart | Next::Never => false,
        }
    }
}

/// When to measure next. `started_at` is when the run was first decided on.
///
/// Times in a status are whole seconds, rounded down, and an interval has to be exceeded:
/// a measurement follows the last one `interval` after the second that one finished in, and one
/// millisecond.
pub fn next_measurement(
    metric: &Metric,
    result: Option<&MetricResult>,
    started_at: Option<Timestamp>,
) -> Next {
    let Some((result, last)) =
        result.and_then(|result| Some((result, result.measurements.last()?)))
    else {
        if metric.initial_delay.is_empty() {
            return Next::Now;
        }
        return match (started_at, metric.initial_delay.parse()) {
            (Some(start), Ok(delay)) => Next::At(start + delay, Waiting::InitialDelay),
            (None, Ok(_)) => Next::AfterStart,
            (Some(_) | None, Err(_)) => Next::Never,
        };
    };
    let Some(finished_at) = last.finished_at else {
        return match last.resume_at {
            Some(at) => Next::At(at, Waiting::Resume),
            None => Next::Now,
        };
    };
    if assess::took_all(metric, result) {
        return Next::Never;
    }
    let (interval, waiting) = if last.phase == AnalysisPhase::Error {
        (ERROR_RETRY_INTERVAL, Waiting::ErrorRetry)
    } else {
        match metric.interval.parse() {
            Ok(interval) => (interval, Waiting::Interval),
            Err(_) => return Next::Never,
        }
    };
    Next::At(finished_at + interval + JUST_AFTER, waiting)
}

const JUST_AFTER: Duration = Duration::from_millis(1);
