//! Range vectors: the windows of samples that a range selector or a subquery gives, and the
//! functions called on them, series by series.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::evaluator::{PassingFloats, PassingSeries, Sink, advance, own_labels, stats_view};
use super::plan::{Node, NodeKind, RangeSelector, Selector};
use super::{EvalError, Evaluator, FloatPoint, HistogramPoint, Series, Steps};
use crate::promql::annotations::Note;
use crate::promql::ast::{Extension, Span};
use crate::promql::duration::NANOS_PER_MILLI;
use crate::promql::functions::elementwise::absent_labels;
use crate::promql::functions::{FunctionId, over_time, rate};
use crate::promql::histogram::{Histogram, ResetHint};
use crate::promql::labels::{Labels, METRIC_NAME, MatchOp};
use crate::promql::series::{Floats, HistogramSample, SeriesData, SeriesId};
use crate::promql::times::ListedTimes;

/// The samples of one series in one window, without staleness markers.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a> {
    pub times: &'a [i64],
    pub values: &'a [f64],
    /// Start timestamps of the floats; empty when not used.
    pub starts: &'a [i64],
    /// Where floats fall, if the function asks for it.
    pub falls: &'a [Fall],
    pub histograms: &'a [HistogramSample],
}

/// A float that is below the one before it: as a counter it was reset.
#[derive(Clone, Copy)]
pub(crate) struct Fall {
    /// The number of the lower float in its column.
    at: usize,
    pub before: f64,
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
    pub labels: &'a Labels,
    /// Where annotations point.
    pub span: Span,
}

impl RangeCall<'_> {
    pub fn metric(&self) -> String {
        self.labels.metric_name().to_owned()
    }
}

/// A function's result for one window.
pub(crate) enum RangeValue {
    Float(f64),
    Histogram(Histogram),
}

/// The samples of one series, ready for windows.
struct Column<'a> {
    id: Option<SeriesId>,
    labels: Cow<'a, Labels>,
    drop_name: bool,
    floats: Floats<'a>,
    /// After and up to which time floats were taken, where they were taken for a window.
    taken: Option<(i64, i64)>,
    falls: Vec<Fall>,
    histograms: Cow<'a, [HistogramSample]>,
}

/// What part of a column a window has: from the first number up to, without, the second.
#[derive(Clone, Copy, Default)]
struct Bounds {
    floats: (usize, usize),
    falls: (usize, usize),
    histograms: (usize, usize),
}

impl<'a> Column<'a> {
    /// With the floats after `after`, up to `until`.
    fn stored(
        id: SeriesId,
        (labels, data): (&'a Labels, &'a SeriesData),
        selector: &Selector<'_>,
        (after, until): (i64, i64),
        listed: &'a mut ListedTimes,
    ) -> Self {
        let histograms = if selector.stats_only {
            Cow::Owned(stats_view(data.histograms(), after))
        } else {
            Cow::Borrowed(data.histograms())
        };
        Self {
            id: Some(id),
            labels: Cow::Borrowed(labels),
            drop_name: false,
            floats: data.fresh_floats_among(after, until, listed),
            taken: Some((after, until)),
            falls: Vec::new(),
            histograms,
        }
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
            id: None,
            labels: Cow::Owned(series.labels),
            drop_name: series.drop_name,
            floats: Floats {
                times: series.floats.iter().map(|point| point.time).collect(),
                values: series.floats.iter().map(|point| point.value).collect(),
                starts: Cow::Owned(Vec::new()),
            },
            taken: None,
            falls: Vec::new(),
            histograms: Cow::Owned(histograms),
        }
    }

    /// All of it as one window.
    fn whole(&self) -> Window<'_> {
        Window {
            times: &self.floats.times,
            values: &self.floats.values,
            starts: &self.floats.starts,
            falls: &self.falls,
            histograms: &self.histograms,
        }
    }
}

/// Puts where floats fall into `falls`.
#[inline]
fn find_falls(values: &[f64], falls: &mut Vec<Fall>) {
    falls.clear();
    // Mostly there are none.
    if values.windows(2).any(|pair| pair[1] < pair[0]) {
        let pairs = values.windows(2).enumerate();
        let found = pairs.filter(|(_, pair)| pair[1] < pair[0]);
        falls.extend(found.map(|(i, pair)| Fall {
            at: i + 1,
            before: pair[0],
        }));
    }
}

impl<'a> Window<'a> {
    /// Moves to the samples after `from`, up to `to`; cheap if they are not far from the last ones.
    #[inline]
    fn slide(&self, bounds: &mut Bounds, from: i64, to: i64) {
        let Bounds {
            floats,
            falls,
            histograms,
        } = bounds;
        floats.0 = advance(floats.0, self.times, |t| *t <= from);
        floats.1 = advance(floats.1.max(floats.0), self.times, |t| *t <= to);
        // The first float of a window is compared with none.
        falls.0 = advance(falls.0, self.falls, |fall| fall.at <= floats.0);
        falls.1 = advance(falls.1.max(falls.0), self.falls, |fall| fall.at < floats.1);
        histograms.0 = advance(histograms.0, self.histograms, |s| s.time <= from);
        histograms.1 = advance(histograms.1.max(histograms.0), self.histograms, |s| {
            s.time <= to
        });
    }

    #[inline]
    fn part(&self, bounds: &Bounds) -> Window<'a> {
        fn cut<T>(items: &[T], (low, high): (usize, usize)) -> &[T] {
            items.get(low..high).unwrap_or_default()
        }
        Window {
            times: cut(self.times, bounds.floats),
            values: cut(self.values, bounds.floats),
            starts: cut(self.starts, bounds.floats),
            falls: cut(self.falls, bounds.falls),
            histograms: cut(self.histograms, bounds.histograms),
        }
    }
}

/// The series that the windows of a call are cut from.
enum Origin<'e> {
    Stored {
        series: Arc<Vec<SeriesId>>,
        selector: &'e Selector<'e>,
    },
    Computed(Vec<Series>),
}

/// How the windows of a call are cut.
struct Source {
    range_nanos: i64,
    /// Milliseconds.
    range: i64,
    offset: i64,
    at: Option<i64>,
    extension: Extension,
}

/// Keeps what a call gives.
struct Kept {
    series: Vec<Series>,
    /// That of the only step, if there is one.
    time: i64,
}

impl<'s> Sink<'s> for Kept {
    fn take(&mut self, _: &mut Evaluator<'s>, passing: PassingSeries<'_>) -> Result<(), EvalError> {
        self.series.push(Series {
            labels: passing.own_labels(),
            floats: std::mem::take(passing.floats),
            histograms: std::mem::take(passing.histograms),
            drop_name: passing.drop_name,
        });
        Ok(())
    }

    fn take_floats(
        &mut self,
        evaluator: &mut Evaluator<'s>,
        passing: PassingFloats<'_>,
    ) -> Result<(), EvalError> {
        let PassingFloats {
            floats,
            nameless,
            drop_name,
        } = passing;
        let time = self.time;
        self.series.reserve(floats.len());
        for (id, value) in floats.iter().copied() {
            let Some((labels, _)) = evaluator.store.get(id) else {
                continue;
            };
            self.series.push(Series {
                labels: own_labels(labels, nameless),
                floats: vec![FloatPoint { time, value }],
                histograms: Vec::new(),
                drop_name,
            });
        }
        Ok(())
    }
}

impl<'s> Evaluator<'s> {
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
        let found = self.select(selector.matchers);
        for (id, series) in found.iter().filter_map(|id| Some((*id, store.get(*id)?))) {
            let mut listed = ListedTimes::default();
            let reach = (start - before, end + after);
            let column = Column::stored(id, series, selector, reach, &mut listed);
            let mut bounds = Bounds::default();
            let whole = column.whole();
            whole.slide(&mut bounds, start - before, end + after);
            let window = whole.part(&bounds);
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
                labels: column.labels.into_owned(),
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
        let mut kept = Kept {
            series: Vec::new(),
            time: steps.start,
        };
        self.range_call_each(id, args, matrix_at, steps, &mut kept)?;
        match args.get(matrix_at) {
            Some(matrix) if id == FunctionId::AbsentOverTime => {
                Ok(absent_over_time(&kept.series, matrix, steps))
            }
            _ => Ok(kept.series),
        }
    }

    /// As [`Evaluator::range_call`], as they come up; of `absent_over_time`, those that are there.
    pub(super) fn range_call_each(
        &mut self,
        id: FunctionId,
        args: &[Node<'_>],
        matrix_at: usize,
        steps: Steps,
        sink: &mut dyn Sink<'s>,
    ) -> Result<(), EvalError> {
        let Some(matrix) = args.get(matrix_at) else {
            return Ok(());
        };
        let store = self.store;
        let (origin, source) = match &matrix.kind {
            NodeKind::Subquery(subquery) => {
                let (series, _) = self.subquery(subquery, steps)?;
                let source = Source {
                    range_nanos: subquery.range_nanos,
                    range: subquery.range_nanos / NANOS_PER_MILLI,
                    offset: subquery.offset,
                    at: subquery.at,
                    extension: Extension::None,
                };
                (Origin::Computed(series), source)
            }
            NodeKind::Matrix(range) => {
                let RangeSelector {
                    selector,
                    range_nanos,
                } = range;
                check_extension(id, selector.extension)?;
                let source = Source {
                    range_nanos: *range_nanos,
                    range: *range_nanos / NANOS_PER_MILLI,
                    offset: selector.offset,
                    at: selector.at,
                    extension: selector.extension,
                };
                let series = self.select(selector.matchers);
                (Origin::Stored { series, selector }, source)
            }
            _ => return Ok(()),
        };
        let mut scalars = Vec::new();
        for (i, arg) in args.iter().enumerate() {
            if i != matrix_at {
                scalars.push(self.eval_scalar(arg, steps)?);
            }
        }
        let by_step = by_step(&scalars, steps);
        let mut call = SeriesCall {
            id,
            scalars: &by_step,
            scalar_count: scalars.len(),
            extended_by: self.extended_by(source.extension),
            source,
            span: args.first().map_or(matrix.span, |first| first.span),
            steps,
            // The names are what may keep series apart.
            seen: (!self.settings.delayed_name_removal && id != FunctionId::AbsentOverTime)
                .then(BTreeSet::new),
            has_same_labels: false,
            has_one_name: false,
            judged: None,
            falls: Vec::new(),
            results: Results::default(),
            waiting: Vec::new(),
        };
        match origin {
            Origin::Stored { series, selector } => {
                call.has_one_name = selector.matchers.iter().any(|matcher| {
                    matcher.name == METRIC_NAME
                        && matcher.op == MatchOp::Equal
                        && !matcher.value.is_empty()
                });
                if keeps_name(id) || (call.has_one_name && !store.has_types_or_units()) {
                    call.seen = None;
                }
                let result = call.apply_to_stored(self, &series, selector, sink);
                // What came up before an error may have one of its own.
                call.pass_waiting(self, sink)?;
                result?;
            }
            Origin::Computed(series) => {
                for one in series {
                    call.apply(self, Column::computed(one), sink)?;
                }
            }
        }
        if call.has_same_labels {
            return Err(EvalError::same_labelset());
        }
        Ok(())
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

/// `last_over_time` and `first_over_time` give samples as they are.
fn keeps_name(id: FunctionId) -> bool {
    matches!(id, FunctionId::LastOverTime | FunctionId::FirstOverTime)
}

/// `rate` and the like take the increase between samples on to the borders of the window.
fn is_extrapolated(id: FunctionId) -> bool {
    matches!(
        id,
        FunctionId::Rate | FunctionId::Increase | FunctionId::Delta
    )
}

/// The scalars of step after step.
fn by_step(scalars: &[Vec<f64>], steps: Steps) -> Vec<f64> {
    if scalars.is_empty() {
        return Vec::new();
    }
    let of_step = |step: usize| {
        scalars
            .iter()
            .map(move |values| values.get(step).copied().unwrap_or(f64::NAN))
    };
    (0..steps.count()).flat_map(of_step).collect()
}

/// A function of a range vector, applied to one series after the other.
struct SeriesCall<'c> {
    id: FunctionId,
    source: Source,
    extended_by: (i64, i64),
    /// All of the first step, all of the second step, and so on.
    scalars: &'c [f64],
    scalar_count: usize,
    span: Span,
    steps: Steps,
    /// Labels of results so far, if two may be the same.
    seen: Option<BTreeSet<Labels>>,
    has_same_labels: bool,
    /// All series are of the same metric.
    has_one_name: bool,
    /// The metric last judged by its name.
    judged: Option<String>,
    /// Reused from series to series.
    falls: Vec<Fall>,
    results: Results,
    /// Results at the only step that wait to be passed together.
    waiting: Vec<(SeriesId, f64)>,
}

/// So many results are passed together.
const PASSED_TOGETHER: usize = 1024;

/// What a call gives for the windows of a series.
#[derive(Default)]
struct Results {
    floats: Vec<FloatPoint>,
    histograms: Vec<HistogramPoint>,
    /// Serves all series.
    spacing: rate::KnownSpacing,
}

impl Results {
    #[inline]
    fn clear(&mut self) {
        self.floats.clear();
        self.histograms.clear();
    }

    /// Calls the function on a window that is not empty.
    #[inline]
    fn add(
        &mut self,
        evaluator: &mut Evaluator<'_>,
        call: &RangeCall<'_>,
        window: &Window<'_>,
    ) -> Result<(), EvalError> {
        evaluator.spend(window.times.len() + window.histograms.len())?;
        let annotations = &mut evaluator.annotations;
        let value = match call.id {
            id if is_extrapolated(id) => {
                rate::extrapolated(call, window, &mut self.spacing, annotations)
            }
            FunctionId::Irate | FunctionId::Idelta => rate::instant(call, *window, annotations),
            _ => over_time::eval(call, *window, annotations)?,
        };
        let time = call.time;
        match value {
            None => {}
            Some(RangeValue::Float(value)) => self.floats.push(FloatPoint { time, value }),
            Some(RangeValue::Histogram(histogram)) => {
                let histogram = Arc::new(histogram);
                self.histograms.push(HistogramPoint { time, histogram });
            }
        }
        Ok(())
    }
}

impl<'c> SeriesCall<'c> {
    /// The window at an evaluation time: after the first time, up to the second.
    fn window(&self, time: i64) -> (i64, i64) {
        let end = self.source.at.unwrap_or(time) - self.source.offset;
        (end.saturating_sub(self.source.range), end)
    }

    /// What all windows together span, with what an extension adds.
    fn reach(&self) -> (i64, i64) {
        let (before, after) = self.extended_by;
        let (start, _) = self.window(self.steps.start);
        let (_, end) = self.window(self.steps.end);
        (start - before, end + after)
    }

    /// The call, but for what differs from window to window.
    fn range_call<'l>(&self, evaluator: &Evaluator<'_>, labels: &'l Labels) -> RangeCall<'l>
    where
        'c: 'l,
    {
        let (start, end) = self.window(self.steps.start);
        RangeCall {
            id: self.id,
            time: self.steps.start,
            start,
            end,
            range_seconds: self.source.range_nanos as f64 / 1e9,
            extension: self.source.extension,
            use_starts: evaluator.settings.use_start_timestamps,
            scalars: &[],
            labels,
            span: self.span,
        }
    }

    fn is_rate(&self) -> bool {
        matches!(self.id, FunctionId::Rate | FunctionId::Increase)
    }

    /// At all steps.
    fn apply<'s>(
        &mut self,
        evaluator: &mut Evaluator<'s>,
        mut column: Column<'_>,
        sink: &mut dyn Sink<'s>,
    ) -> Result<(), EvalError> {
        if self.is_rate() {
            find_falls(&column.floats.values, &mut column.falls);
        }
        let steps = self.steps;
        let (before, after) = self.extended_by;
        let mut call = self.range_call(evaluator, &column.labels);
        let whole = column.whole();
        let mut bounds = Bounds::default();
        self.results.clear();
        evaluator.spend(steps.count())?;
        for (step, time) in steps.iter().enumerate() {
            let (start, end) = self.window(time);
            let (from, to) = (start - before, end + after);
            let window = if column.taken == Some((from, to)) && whole.histograms.is_empty() {
                whole
            } else {
                whole.slide(&mut bounds, from, to);
                whole.part(&bounds)
            };
            if window.times.is_empty() && window.histograms.is_empty() {
                continue;
            }
            let first_scalar = step * self.scalar_count;
            call.scalars = self
                .scalars
                .get(first_scalar..first_scalar + self.scalar_count)
                .unwrap_or_default();
            (call.time, call.start, call.end) = (time, start, end);
            self.results.add(evaluator, &call, &window)?;
        }
        self.pass(evaluator, column.id, &column.labels, column.drop_name, sink)
    }

    /// To series of the store, one after the other.
    fn apply_to_stored<'s>(
        &mut self,
        evaluator: &mut Evaluator<'s>,
        series: &[SeriesId],
        selector: &Selector<'_>,
        sink: &mut dyn Sink<'s>,
    ) -> Result<(), EvalError> {
        let store = evaluator.store;
        let (after, until) = self.reach();
        let mut listed = ListedTimes::default();
        let Some((labels, _)) = series.first().and_then(|id| store.get(*id)) else {
            return Ok(());
        };
        let mut call = self.range_call(evaluator, labels);
        call.scalars = self.scalars;
        let is_instant = self.steps.is_instant();
        let waits = self.may_wait(evaluator);
        let is_simple = waits && is_extrapolated(self.id) && call.extension == Extension::None;
        if is_instant && waits {
            self.waiting.reserve(series.len().min(PASSED_TOGETHER));
        }
        for id in series.iter().copied() {
            let Some((labels, data)) = store.get(id) else {
                continue;
            };
            let plain = if is_instant {
                data.plain_floats_among(after, until, &mut listed)
            } else {
                None
            };
            match plain {
                Some((times, values)) if is_simple => {
                    evaluator.spend(1 + times.len())?;
                    let spacing = &mut self.results.spacing;
                    let value = rate::extrapolated_floats(&call, times, values, spacing);
                    if let Some(value) = value {
                        self.wait(evaluator, (id, value), sink)?;
                    }
                }
                Some((times, values)) => {
                    call.labels = labels;
                    self.apply_once(evaluator, &call, id, times, values, sink)?;
                }
                None => {
                    self.pass_waiting(evaluator, sink)?;
                    let (series, reach) = ((labels, data), (after, until));
                    let column = Column::stored(id, series, selector, reach, &mut listed);
                    self.apply(evaluator, column, sink)?;
                }
            }
        }
        Ok(())
    }

    /// At the only step, whose window holds these floats of a stored series: the same as
    /// [`SeriesCall::apply`] without what windows that move need.
    #[inline]
    fn apply_once<'s>(
        &mut self,
        evaluator: &mut Evaluator<'s>,
        call: &RangeCall<'_>,
        id: SeriesId,
        times: &[i64],
        values: &[f64],
        sink: &mut dyn Sink<'s>,
    ) -> Result<(), EvalError> {
        evaluator.spend(1)?;
        if times.is_empty() {
            return Ok(());
        }
        if self.is_rate() {
            find_falls(values, &mut self.falls);
        }
        let window = Window {
            times,
            values,
            starts: &[],
            falls: &self.falls,
            histograms: &[],
        };
        self.results.clear();
        self.results.add(evaluator, call, &window)?;
        match (&*self.results.floats, &*self.results.histograms) {
            ([], []) => Ok(()),
            ([point], []) if self.may_wait(evaluator) => {
                self.wait(evaluator, (id, point.value), sink)
            }
            _ => {
                self.pass_waiting(evaluator, sink)?;
                self.pass(evaluator, Some(id), call.labels, false, sink)
            }
        }
    }

    /// Passes a result at the only step later, together with others.
    #[inline]
    fn wait<'s>(
        &mut self,
        evaluator: &mut Evaluator<'s>,
        result: (SeriesId, f64),
        sink: &mut dyn Sink<'s>,
    ) -> Result<(), EvalError> {
        self.waiting.push(result);
        if self.waiting.len() < PASSED_TOGETHER {
            return Ok(());
        }
        self.pass_waiting(evaluator, sink)
    }

    /// Whether nothing is to be found out of the labels of each series.
    fn may_wait(&self, evaluator: &Evaluator<'_>) -> bool {
        let is_judged_at_once = self.has_one_name && !evaluator.settings.type_and_unit_labels;
        self.seen.is_none() && (is_judged_at_once || !self.is_rate())
    }

    /// Gives the results that wait to the sink.
    fn pass_waiting<'s>(
        &mut self,
        evaluator: &mut Evaluator<'s>,
        sink: &mut dyn Sink<'s>,
    ) -> Result<(), EvalError> {
        let store = evaluator.store;
        let Some((labels, _)) = self.waiting.first().and_then(|(id, _)| store.get(*id)) else {
            return Ok(());
        };
        self.judge(evaluator, labels);
        evaluator.hold(self.waiting.len())?;
        let drop_name = !keeps_name(self.id);
        let passing = PassingFloats {
            floats: &self.waiting,
            nameless: drop_name && !evaluator.settings.delayed_name_removal,
            drop_name,
        };
        let result = sink.take_floats(evaluator, passing);
        self.waiting.clear();
        result
    }

    /// Looks whether a series with floats seems to be no counter.
    fn judge(&mut self, evaluator: &mut Evaluator<'_>, labels: &Labels) {
        if !self.is_rate() || (self.has_one_name && self.judged.is_some()) {
            return;
        }
        let metric = labels.metric_name();
        if !metric.is_empty() && self.judged.as_deref() != Some(metric) {
            evaluator.judge_counter(labels, metric, self.span);
            if !evaluator.settings.type_and_unit_labels {
                self.judged = Some(metric.to_owned());
            }
        }
    }

    /// Gives the results for a series to the sink, if there are any.
    #[inline]
    fn pass<'s>(
        &mut self,
        evaluator: &mut Evaluator<'s>,
        id: Option<SeriesId>,
        labels: &Labels,
        drop_name: bool,
        sink: &mut dyn Sink<'s>,
    ) -> Result<(), EvalError> {
        if !self.results.floats.is_empty() {
            self.judge(evaluator, labels);
        }
        let Results {
            floats,
            histograms,
            spacing: _,
        } = &mut self.results;
        if floats.is_empty() && histograms.is_empty() {
            return Ok(());
        }
        let drop_name = !keeps_name(self.id) || drop_name;
        let passing = PassingSeries {
            id,
            labels,
            nameless: drop_name && !evaluator.settings.delayed_name_removal,
            drop_name,
            floats,
            histograms,
        };
        evaluator.hold(passing.sample_size())?;
        if let Some(seen) = &mut self.seen {
            self.has_same_labels |= !seen.insert(passing.own_labels());
        }
        sink.take(evaluator, passing)
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
