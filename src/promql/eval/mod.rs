//! The engine: evaluates a query over a store, at one time or over a range of times.

mod evaluator;
mod histograms;
mod info;
pub(crate) mod plan;
mod recall;
mod window;

use std::fmt;
use std::sync::Arc;

pub(crate) use evaluator::{
    Collector, Evaluator, PassingFloats, PassingSeries, PointValue, Sink, StepCursor, Steps,
    Walker, constant_series, merge_same_labels,
};
pub use recall::Recall;
pub(crate) use window::{RangeCall, RangeValue, Window};

use super::ast::{Expr, ExprKind, ValueType};
use super::gofmt::quote;
use super::histogram::Histogram;
use super::labels::Labels;
use super::series::Store;
use plan::plan;

/// How queries are evaluated. The default is that of a stock server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How old a sample may be and still be the current one, in milliseconds.
    pub lookback: i64,
    /// Step of a subquery that names none, in milliseconds.
    pub default_subquery_step: i64,
    /// Keep metric names until the end of the evaluation (feature `promql-delayed-name-removal`).
    pub delayed_name_removal: bool,
    /// Let start timestamps show counter resets (feature `use-start-timestamps`).
    pub use_start_timestamps: bool,
    /// Judge counters by the label `__type__` (feature `type-and-unit-labels`).
    pub type_and_unit_labels: bool,
    /// Most samples a query may hold at a time.
    pub max_samples: usize,
    /// Most steps of work, the clockless stand-in for a timeout.
    pub max_work: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lookback: 5 * 60_000,
            default_subquery_step: 60_000,
            delayed_name_removal: false,
            use_start_timestamps: false,
            type_and_unit_labels: false,
            max_samples: 50_000_000,
            max_work: 20_000_000_000,
        }
    }
}

impl Settings {
    /// The settings of Prometheus' own test scripts.
    pub fn promqltest() -> Self {
        Self {
            delayed_name_removal: true,
            use_start_timestamps: true,
            max_samples: 10_000,
            ..Self::default()
        }
    }
}

/// A float at a time in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FloatPoint {
    pub time: i64,
    pub value: f64,
}

/// A histogram at a time in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramPoint {
    pub time: i64,
    pub histogram: Arc<Histogram>,
}

/// A series of a result.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Series {
    pub labels: Labels,
    pub floats: Vec<FloatPoint>,
    pub histograms: Vec<HistogramPoint>,
    /// The metric name does not fit the values any more and is to be removed.
    pub(crate) drop_name: bool,
}

impl Series {
    /// Without any point.
    pub(crate) fn of(labels: Labels) -> Self {
        Self {
            labels,
            floats: Vec::new(),
            histograms: Vec::new(),
            drop_name: false,
        }
    }

    pub(crate) fn sample_size(&self) -> usize {
        sample_size(&self.floats, &self.histograms)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.floats.is_empty() && self.histograms.is_empty()
    }
}

fn sample_size(floats: &[FloatPoint], histograms: &[HistogramPoint]) -> usize {
    let of_histograms = histograms.iter().map(|p| p.histogram.sample_size());
    floats.len() + of_histograms.sum::<usize>()
}

#[derive(Clone, Debug, PartialEq)]
pub enum SampleValue {
    Float(f64),
    Histogram(Arc<Histogram>),
}

/// An element of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub labels: Labels,
    pub value: SampleValue,
}

/// What a query evaluates to.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// At the query's time; in the order of `sort` and `topk` if that is the outermost call.
    Vector(Vec<Sample>),
    /// Sorted by labels.
    Matrix(Vec<Series>),
    Scalar(f64),
    String(String),
}

/// A result with the remarks on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub value: Value,
    /// As the HTTP API renders them, sorted.
    pub warnings: Vec<String>,
    pub infos: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The query cannot be evaluated on these series.
    Execution,
    /// It needs more samples than `Settings::max_samples`.
    TooManySamples,
    /// It needs more work than `Settings::max_work`.
    Timeout,
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalError {
    pub kind: ErrorKind,
    pub message: String,
}

impl EvalError {
    pub(crate) fn execution(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Execution,
            message: message.into(),
        }
    }

    pub(crate) fn same_labelset() -> Self {
        Self::execution("vector cannot contain metrics with the same labelset")
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for EvalError {}

/// Times a query is evaluated at, in milliseconds since the epoch; `step` is 0 for an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeRange {
    pub start: i64,
    pub end: i64,
    pub step: i64,
}

/// Times are kept this far from the ends of their type, so that sums of offsets stay within it.
const TIME_LIMIT: i64 = i64::MAX / 16;

/// Evaluates queries. Same store, query and time give the same bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Engine {
    pub settings: Settings,
}

impl Engine {
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Evaluates at one time, in milliseconds since the epoch.
    ///
    /// # Errors
    /// See [`ErrorKind`].
    pub fn instant(&self, store: &Store, expr: &Expr, at: i64) -> Result<Outcome, EvalError> {
        self.instant_recalling(store, expr, at, None)
    }

    /// As [`Engine::instant`], with what earlier queries found.
    ///
    /// # Errors
    /// See [`ErrorKind`].
    pub fn instant_recalling(
        &self,
        store: &Store,
        expr: &Expr,
        at: i64,
        recall: Option<&mut Recall>,
    ) -> Result<Outcome, EvalError> {
        let at = at.clamp(-TIME_LIMIT, TIME_LIMIT);
        let value_type = expr.value_type();
        if let ExprKind::String(text) = &expr.unparenthesized().kind {
            return Ok(Outcome {
                value: Value::String(text.clone()),
                warnings: Vec::new(),
                infos: Vec::new(),
            });
        }
        let times = TimeRange {
            start: at,
            end: at,
            step: 0,
        };
        self.run(store, expr, times, recall, |mut series| {
            Ok(match value_type {
                ValueType::Scalar => {
                    let point = series.first().and_then(|s| s.floats.first());
                    Value::Scalar(point.map_or(f64::NAN, |point| point.value))
                }
                ValueType::Vector => {
                    Value::Vector(series.into_iter().filter_map(to_sample).collect())
                }
                ValueType::Matrix | ValueType::String => {
                    series.sort_by(|a, b| a.labels.cmp(&b.labels));
                    Value::Matrix(series)
                }
            })
        })
    }

    /// Evaluates at `start`, `start + step`, and so on up to `end`, all in milliseconds.
    ///
    /// # Errors
    /// See [`ErrorKind`]; also for a step that is not positive.
    pub fn range(
        &self,
        store: &Store,
        expr: &Expr,
        start: i64,
        end: i64,
        step: i64,
    ) -> Result<Outcome, EvalError> {
        let value_type = expr.value_type();
        if !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
            return Err(EvalError::execution(format!(
                "invalid expression type {} for range query, must be Scalar or instant Vector",
                quote(value_type.documented())
            )));
        }
        if step <= 0 {
            return Err(EvalError::execution(
                "zero or negative query resolution step widths are not accepted",
            ));
        }
        let start = start.clamp(-TIME_LIMIT, TIME_LIMIT);
        let end = end.clamp(-TIME_LIMIT, TIME_LIMIT);
        let times = TimeRange { start, end, step };
        self.run(store, expr, times, None, |mut series| {
            series.sort_by(|a, b| a.labels.cmp(&b.labels));
            Ok(Value::Matrix(series))
        })
    }

    fn run(
        &self,
        store: &Store,
        expr: &Expr,
        times: TimeRange,
        recall: Option<&mut Recall>,
        finish: impl FnOnce(Vec<Series>) -> Result<Value, EvalError>,
    ) -> Result<Outcome, EvalError> {
        let node = plan(expr, times)?;
        let mut evaluator = Evaluator::new(store, self.settings, recall);
        let steps = Steps {
            start: times.start,
            end: times.end,
            step: times.step.max(1),
        };
        let mut series = evaluator.eval(&node, steps)?;
        if self.settings.delayed_name_removal {
            for series in series.iter_mut().filter(|series| series.drop_name) {
                series.labels = series.labels.drop_metadata();
            }
            series = evaluator::merge_same_labels(series)?;
        }
        let value = finish(series)?;
        let (warnings, infos) = evaluator.annotations.into_texts();
        Ok(Outcome {
            value,
            warnings,
            infos,
        })
    }
}

fn to_sample(series: Series) -> Option<Sample> {
    let Series {
        labels,
        floats,
        histograms,
        drop_name: _,
    } = series;
    let value = match (histograms.into_iter().next(), floats.first()) {
        (Some(point), _) => SampleValue::Histogram(point.histogram),
        (None, Some(point)) => SampleValue::Float(point.value),
        (None, None) => return None,
    };
    Some(Sample { labels, value })
}
