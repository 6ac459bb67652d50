//! Range vectors: the windows of samples that a range selector or a subquery gives, and the
//! functions called on them, series by series.

use std::borrow::Cow;
use std::sync::Arc;

use super::evaluator::{advance, has_same_labels, stats_view};
use super::plan::{Node, NodeKind, RangeSelector, Selector};
use super::{EvalError, Evaluator, FloatPoint, HistogramPoint, Series, Steps};
use crate::promql::annotations::Note;
use crate::promql::ast::{Extension, Span};
use crate::promql::duration::NANOS_PER_MILLI;
use crate::promql::functions::elementwise::absent_labels;
use crate::promql::functions::{FunctionId, over_time, rate};
use crate::promql::histogram::{Histogram, ResetHint};
use crate::promql::labels::Labels;
use crate::promql::series::{HistogramSample, SeriesData, is_stale};

/// The samples of one series in one window, without staleness markers.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a> {
    pub times: &'a [i64],
    pub values: &'a [f64],
    /// Start timestamps of the floats; empty when not used.
    pub starts: &'a [i64],
    pub histograms: &'a [HistogramSample],
}

/// What a range function knows besides the samples.
pub(crate) struct RangeCall<'a> {
    pub id: FunctionId,
    /// Evaluation time.
    pub time: i64,
    /// The window proper, without what anchored and smoothed add: after `start`, up to `end`.
    pub start: i64,
    pub end: i64,
    pub range_seconds: f64,
    pub extension: Extension,
    /// Whether start timestamps count.
    pub use_starts: bool,
    /// The scalar arguments.
    pub scalars: &'a [f64],
    pub metric: &'a str,
    /// Where annotations point.
    pub span: Span,
}

/// A function's result for one window.
pub(crate) enum RangeValue {
    Float(f64),
    Histogram(Histogram),
}

/// The samples of one series, ready for windows.
struct Column<'a> {
    labels: Cow<'a, Labels>,
    drop_name: bool,
    times: Cow<'a, [i64]>,
    values: Cow<'a, [f64]>,
    starts: Cow<'a, [i64]>,
    histograms: Cow<'a, [HistogramSample]>,
}

impl<'a> Column<'a> {
    fn stored(
        labels: &'a Labels,
        data: &'a SeriesData,
        selector: &Selector<'_>,
        first: i64,
    ) -> Self {
        let histograms = if selector.stats_only {
            Cow::Owned(stats_view(&data.histograms, first))
        } else {
            Cow::Borrowed(data.histograms.as_slice())
        };
        let mut column = Self {
            labels: Cow::Borrowed(labels),
            drop_name: false,
            times: Cow::Borrowed(&data.times),
            values: Cow::Borrowed(&data.values),
            starts: Cow::Borrowed(&data.starts),
            histograms,
        };
        if data.has_stale {
            let fresh = |i: &usize| data.values.get(*i).is_some_and(|value| !is_stale(*value));
            let kept: Vec<usize> = (0..data.values.len()).filter(fresh).collect();
            let pick = |from: &[i64]| kept.iter().filter_map(|i| from.get(*i).copied()).collect();
            column.times = Cow::Owned(pick(&data.times));
            column.starts = Cow::Owned(pick(&data.starts));
            column.values = Cow::Owned(
                kept.iter()
                    .filter_map(|i| data.values.get(*i).copied())
                    .collect(),
            );
        }
        column
    }

    /// From a subquery's result. Its reset hints tell nothing, because samples may be skipped or
    /// repeated.
    fn computed(series: Series) -> Self {
        let histograms: Vec<HistogramSample> = series
            .histograms
            .into_iter()
            .map(|mut point| {
                if matches!(point.histogram.hint, ResetHint::Reset | ResetHint::NotReset) {
                    Arc::make_mut(&mut point.histogram).hint = ResetHint::Unknown;
                }
                HistogramSample {
                    time: point.time,
                    start: 0,
                    histogram: point.histogram,
                }
            })
            .collect();
        Self {
            labels: Cow::Owned(series.labels),
            drop_name: series.drop_name,
            times: series.floats.iter().map(|point| point.time).collect(),
            values: series.floats.iter().map(|point| point.value).collect(),
            starts: Cow::Owned(Vec::new()),
            histograms: Cow::Owned(histograms),
        }
    }

    fn window(&self, floats: (usize, usize), histograms: (usize, usize)) -> Window<'_> {
        let (low, high) = floats;
        Window {
            times: self.times.get(low..high).unwrap_or_default(),
            values: self.values.get(low..high).unwrap_or_default(),
            starts: self.starts.get(low..high).unwrap_or_default(),
            histograms: self
                .histograms
                .get(histograms.0..histograms.1)
                .unwrap_or_default(),
        }
    }
}

/// What the windows of a call are cut from.
struct Source<'a> {
    columns: Vec<Column<'a>>,
    range_nanos: i64,
    offset: i64,
    at: Option<i64>,
    extension: Extension,
}

impl Evaluator<'_> {
    /// A range selector as the result of an instant query.
    pub(super) fn range_vector(
        &mut self,
        range: &RangeSelector<'_>,
        steps: Steps,
    ) -> Result<Vec<Series>, EvalError> {
        let selector = &range.selector;
        let end = selector.at.unwrap_or(steps.start) - selector.offset;
        let start = end.saturating_sub(range.range_nanos / NANOS_PER_MILLI);
        let (before, after) = self.extended_by(selector.extension);
        let mut out = Vec::new();
        let store = self.store;
        for (labels, data) in store.select(selector.matchers) {
            let column = Column::stored(labels, data, selector, start - before);
            let floats = bounds(&column.times, |t| *t, start - before, end + after);
            let histograms = bounds(
                &column.histograms,
                |sample| sample.time,
                start - before,
                end + after,
            );
            let window = column.window(floats, histograms);
            let floats = match selector.extension {
                Extension::None => window
                    .times
                    .iter()
                    .zip(window.values)
                    .map(|(time, value)| FloatPoint {
                        time: *time,
                        value: *value,
                    })
                    .collect(),
                extension @ (Extension::Anchored | Extension::Smoothed) => {
                    if !window.histograms.is_empty() {
                        let name = extension_name(extension);
                        return Err(EvalError::execution(format!(
                            "{name} modifier is not supported with histograms"
                        )));
                    }
                    rate::extended_points(window.times, window.values, start, end, extension)
                }
            };
            let histograms = window
                .histograms
                .iter()
                .map(|s| HistogramPoint {
                    time: s.time,
                    histogram: Arc::clone(&s.histogram),
                })
                .collect();
            let series = Series {
                labels: labels.clone(),
                floats,
                histograms,
                drop_name: false,
            };
            if !series.is_empty() {
                self.hold(series.sample_size())?;
                out.push(series);
            }
        }
        Ok(out)
    }

    /// How far an extension reaches beyond the window, before and after.
    fn extended_by(&self, extension: Extension) -> (i64, i64) {
        let lookback = self.settings.lookback;
        match extension {
            Extension::None => (0, 0),
            Extension::Anchored => (lookback, 0),
            Extension::Smoothed => (lookback, lookback),
        }
    }

    /// A function of a range vector.
    pub(super) fn range_call(
        &mut self,
        id: FunctionId,
        args: &[Node<'_>],
        matrix_at: usize,
        steps: Steps,
    ) -> Result<Vec<Series>, EvalError> {
        let Some(matrix) = args.get(matrix_at) else {
            return Ok(Vec::new());
        };
        let source = match &matrix.kind {
            NodeKind::Subquery(subquery) => {
                let (series, _) = self.subquery(subquery, steps)?;
                Source {
                    columns: series.into_iter().map(Column::computed).collect(),
                    range_nanos: subquery.range_nanos,
                    offset: subquery.offset,
                    at: subquery.at,
                    extension: Extension::None,
                }
            }
            NodeKind::Matrix(range) => {
                let RangeSelector {
                    selector,
                    range_nanos,
                } = range;
                check_extension(id, selector.extension)?;
                let (before, _) = self.extended_by(selector.extension);
                let end = selector.at.unwrap_or(steps.start) - selector.offset;
                let first = end.saturating_sub(range_nanos / NANOS_PER_MILLI) - before;
                Source {
                    columns: self
                        .store
                        .select(selector.matchers)
                        .map(|(labels, data)| Column::stored(labels, data, selector, first))
                        .collect(),
                    range_nanos: *range_nanos,
                    offset: selector.offset,
                    at: selector.at,
                    extension: selector.extension,
                }
            }
            _ => return Ok(Vec::new()),
        };
        let mut scalars = Vec::new();
        for (i, arg) in args.iter().enumerate() {
            if i != matrix_at {
                scalars.push(self.eval_scalar(arg, steps)?);
            }
        }
        let span = args.first().map_or(matrix.span, |first| first.span);
        let mut out = Vec::new();
        for column in &source.columns {
            if let Some(series) = self.range_call_on(id, column, &source, &scalars, span, steps)? {
                out.push(series);
            }
        }
        if id == FunctionId::AbsentOverTime {
            return Ok(absent_over_time(&out, matrix, steps));
        }
        if !self.settings.delayed_name_removal && has_same_labels(&out) {
            return Err(EvalError::same_labelset());
        }
        Ok(out)
    }

    fn range_call_on(
        &mut self,
        id: FunctionId,
        column: &Column<'_>,
        source: &Source<'_>,
        scalars: &[Vec<f64>],
        span: Span,
        steps: Steps,
    ) -> Result<Option<Series>, EvalError> {
        let keeps_name = matches!(id, FunctionId::LastOverTime | FunctionId::FirstOverTime);
        let mut series = Series {
            labels: Labels::clone(&column.labels),
            ..Series::default()
        };
        if !keeps_name || column.drop_name {
            self.drop_name(&mut series);
        }
        let range = source.range_nanos / NANOS_PER_MILLI;
        let (before, after) = self.extended_by(source.extension);
        let metric = column.labels.metric_name();
        let mut step_scalars = vec![0.0; scalars.len()];
        let (mut float_low, mut float_high, mut histogram_low, mut histogram_high) = (0, 0, 0, 0);
        self.spend(steps.count())?;
        for (step, time) in steps.iter().enumerate() {
            let end = match source.at {
                Some(at) => at - source.offset,
                None => time - source.offset,
            };
            let start = end.saturating_sub(range);
            let (from, to) = (start - before, end + after);
            float_low = advance(float_low, &column.times, |t| *t <= from);
            float_high = advance(float_high.max(float_low), &column.times, |t| *t <= to);
            histogram_low = advance(histogram_low, &column.histograms, |s| s.time <= from);
            histogram_high = advance(histogram_high.max(histogram_low), &column.histograms, |s| {
                s.time <= to
            });
            let window = column.window((float_low, float_high), (histogram_low, histogram_high));
            if window.times.is_empty() && window.histograms.is_empty() {
                continue;
            }
            self.spend(window.times.len() + window.histograms.len())?;
            for (slot, values) in step_scalars.iter_mut().zip(scalars) {
                *slot = values.get(step).copied().unwrap_or(f64::NAN);
            }
            let call = RangeCall {
                id,
                time,
                start,
                end,
                range_seconds: source.range_nanos as f64 / 1e9,
                extension: source.extension,
                use_starts: self.settings.use_start_timestamps,
                scalars: &step_scalars,
                metric,
                span,
            };
            let value = match id {
                FunctionId::Rate | FunctionId::Increase | FunctionId::Delta => {
                    rate::extrapolated(&call, window, &mut self.annotations)
                }
                FunctionId::Irate | FunctionId::Idelta => {
                    rate::instant(&call, window, &mut self.annotations)
                }
                _ => over_time::eval(&call, window, &mut self.annotations)?,
            };
            match value {
                None => {}
                Some(RangeValue::Float(value)) => series.floats.push(FloatPoint { time, value }),
                Some(RangeValue::Histogram(histogram)) => {
                    series.histograms.push(HistogramPoint {
                        time,
                        histogram: Arc::new(histogram),
                    });
                }
            }
        }
        if series.is_empty() {
            return Ok(None);
        }
        self.hold(series.sample_size())?;
        if matches!(id, FunctionId::Rate | FunctionId::Increase)
            && !metric.is_empty()
            && !series.floats.is_empty()
        {
            self.judge_counter(&column.labels, metric, span);
        }
        Ok(Some(series))
    }

    /// Notes a metric that does not look like a counter.
    fn judge_counter(&mut self, labels: &Labels, metric: &str, span: Span) {
        let metric_owned = || metric.to_owned();
        if self.settings.type_and_unit_labels {
            let type_label = labels.get("__type__");
            if !matches!(type_label, "counter" | "histogram") {
                let type_label = type_label.to_owned();
                self.note(
                    Note::PossibleNonCounterType {
                        metric: metric_owned(),
                        type_label,
                    },
                    span,
                );
            }
        } else if !["_total", "_sum", "_count", "_bucket"]
            .iter()
            .any(|suffix| metric.ends_with(suffix))
        {
            self.note(
                Note::PossibleNonCounter {
                    metric: metric_owned(),
                },
                span,
            );
        }
    }
}

fn extension_name(extension: Extension) -> &'static str {
    match extension {
        Extension::None => "",
        Extension::Anchored => "anchored",
        Extension::Smoothed => "smoothed",
    }
}

/// Anchored and smoothed windows hold samples from outside, which few functions can take.
fn check_extension(id: FunctionId, extension: Extension) -> Result<(), EvalError> {
    let allowed: &[(FunctionId, &str)] = match extension {
        Extension::None => return Ok(()),
        Extension::Anchored => &[
            (FunctionId::Changes, "changes"),
            (FunctionId::Delta, "delta"),
            (FunctionId::Increase, "increase"),
            (FunctionId::Rate, "rate"),
            (FunctionId::Resets, "resets"),
        ],
        Extension::Smoothed => &[
            (FunctionId::Delta, "delta"),
            (FunctionId::Increase, "increase"),
            (FunctionId::Rate, "rate"),
        ],
    };
    if allowed.iter().any(|(allowed, _)| *allowed == id) {
        return Ok(());
    }
    let names: Vec<&str> = allowed.iter().map(|(_, name)| *name).collect();
    let given = crate::promql::functions::FUNCTIONS
        .iter()
        .find(|f| f.id == id)
        .map_or("", |function| function.name);
    Err(EvalError::execution(format!(
        "{} modifier can only be used with: {} - not with {given}",
        extension_name(extension),
        names.join(", ")
    )))
}

fn bounds<T>(items: &[T], time: impl Fn(&T) -> i64, after: i64, until: i64) -> (usize, usize) {
    let low = items.partition_point(|item| time(item) <= after);
    (
        low,
        items.partition_point(|item| time(item) <= until).max(low),
    )
}

/// One series with the value 1 at the steps at which no series has a point.
fn absent_over_time(series: &[Series], matrix: &Node<'_>, steps: Steps) -> Vec<Series> {
    let mut present = vec![false; steps.count()];
    for one in series {
        let times = one
            .floats
            .iter()
            .map(|p| p.time)
            .chain(one.histograms.iter().map(|p| p.time));
        for time in times {
            if let Some(slot) = present.get_mut(steps.index(time)) {
                *slot = true;
            }
        }
    }
    let floats: Vec<FloatPoint> = steps
        .iter()
        .zip(present)
        .filter(|(_, present)| !present)
        .map(|(time, _)| FloatPoint { time, value: 1.0 })
        .collect();
    if floats.is_empty() {
        return Vec::new();
    }
    vec![Series {
        labels: absent_labels(matrix),
        floats,
        histograms: Vec::new(),
        drop_name: true,
    }]
}
