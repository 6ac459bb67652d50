//! Evaluation of the nodes. Values are series over the steps; a scalar is one series without
//! labels that has a point at every step.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::plan::{Node, NodeKind, Selector, SubqueryPlan};
use super::{
    ErrorKind, EvalError, FloatPoint, HistogramPoint, Recall, Series, Settings, sample_size,
};
use crate::promql::aggregations::Groups;
use crate::promql::annotations::{Annotations, Note};
use crate::promql::ast::{Extension, Span, ValueType};
use crate::promql::duration::NANOS_PER_MILLI;
use crate::promql::functions::rate::{interpolate, interpolate_histograms};
use crate::promql::functions::{FunctionId, elementwise, label_functions, ordering};
use crate::promql::gofmt::parse_float;
use crate::promql::histogram::{Histogram, ResetHint};
use crate::promql::labels::{BUCKET_BOUND, Labels, Matcher};
use crate::promql::series::{Floats, HistogramSample, SeriesData, SeriesId, Store, is_stale};
use crate::promql::{aggregations, binary};

/// The times of an evaluation, in milliseconds; `step` is positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Steps {
    pub start: i64,
    pub end: i64,
    pub step: i64,
}

impl Steps {
    pub fn count(self) -> usize {
        if self.end < self.start {
            return 0;
        }
        // A division less.
        if self.is_instant() {
            return 1;
        }
        usize::try_from((self.end - self.start) / self.step).unwrap_or(usize::MAX - 1) + 1
    }

    pub fn iter(self) -> impl Iterator<Item = i64> {
        (0..self.count()).map(move |i| self.start + i as i64 * self.step)
    }

    /// The number of the step at `time`.
    pub fn index(self, time: i64) -> usize {
        usize::try_from((time - self.start) / self.step).unwrap_or(0)
    }

    pub fn is_instant(self) -> bool {
        self.start == self.end
    }
}

/// Finds the steps of points that mostly follow each other.
pub(crate) struct StepCursor {
    steps: Steps,
    next: usize,
    next_time: i64,
}

impl StepCursor {
    pub fn new(steps: Steps) -> Self {
        Self {
            steps,
            next: 0,
            next_time: steps.start,
        }
    }

    /// The number of the step at `time`.
    pub fn index(&mut self, time: i64) -> usize {
        let index = if time == self.next_time {
            self.next
        } else {
            self.steps.index(time)
        };
        self.next = index.saturating_add(1);
        self.next_time = time.saturating_add(self.steps.step);
        index
    }
}

/// A point's value, borrowed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PointValue<'a> {
    Float(f64),
    Histogram(&'a Arc<Histogram>),
}

/// A series on its way to what takes it up.
pub(crate) struct PassingSeries<'a> {
    /// The series of the store that it is of, if its labels are those of that one.
    pub id: Option<SeriesId>,
    pub labels: &'a Labels,
    /// The series is without name, type and unit, though `labels` has them.
    pub nameless: bool,
    pub drop_name: bool,
    /// May be taken out.
    pub floats: &'a mut Vec<FloatPoint>,
    pub histograms: &'a mut Vec<HistogramPoint>,
}

impl PassingSeries<'_> {
    pub fn sample_size(&self) -> usize {
        sample_size(self.floats, self.histograms)
    }

    /// The labels that the series has.
    pub fn own_labels(&self) -> Labels {
        own_labels(self.labels, self.nameless)
    }
}

/// The labels of a series, without name, type and unit if it is `nameless`.
pub(super) fn own_labels(labels: &Labels, nameless: bool) -> Labels {
    if nameless {
        labels.drop_metadata()
    } else {
        labels.clone()
    }
}

/// Floats of stored series at the only step, on their way to what takes them up.
#[derive(Clone, Copy)]
pub(crate) struct PassingFloats<'a> {
    pub floats: &'a [(SeriesId, f64)],
    /// The series are without name, type and unit.
    pub nameless: bool,
    pub drop_name: bool,
}

/// What takes up series.
pub(crate) trait Sink<'s> {
    fn take(
        &mut self,
        evaluator: &mut Evaluator<'s>,
        series: PassingSeries<'_>,
    ) -> Result<(), EvalError>;

    /// The same as taking one after the other.
    fn take_floats(
        &mut self,
        evaluator: &mut Evaluator<'s>,
        floats: PassingFloats<'_>,
    ) -> Result<(), EvalError>;
}

pub(crate) struct Evaluator<'s> {
    pub store: &'s Store,
    pub settings: Settings,
    pub annotations: Annotations,
    recall: Option<&'s mut Recall>,
    samples: usize,
    work: u64,
}

impl<'s> Evaluator<'s> {
    pub fn new(store: &'s Store, settings: Settings, mut recall: Option<&'s mut Recall>) -> Self {
        if let Some(recall) = &mut recall {
            recall.look_at(store);
        }
        Self {
            store,
            settings,
            annotations: Annotations::default(),
            recall,
            samples: 0,
            work: 0,
        }
    }

    pub fn note(&mut self, note: Note, span: Span) {
        self.annotations.add(note, span);
    }

    /// The series all matchers fit, in the order they came.
    pub fn select(&mut self, matchers: &[Matcher]) -> Arc<Vec<SeriesId>> {
        match &mut self.recall {
            Some(recall) => recall.select(self.store, matchers),
            None => Arc::new(self.store.select_since(matchers, 0)),
        }
    }

    /// The groups of an aggregation, with those that are known from earlier queries.
    pub fn groups(&mut self, without: bool, grouping: &[String]) -> Groups {
        let recall = self.recall.as_mut();
        let known = recall.and_then(|recall| recall.take_groups(without, grouping));
        known.unwrap_or_else(|| Groups::new(without, grouping, self.recall.is_some()))
    }

    /// Keeps the groups for later queries.
    pub fn keep_groups(&mut self, groups: Groups) {
        if let Some(recall) = &mut self.recall {
            recall.keep_groups(groups);
        }
    }

    /// The upper bound of the bucket that a series is, if it can be read.
    pub fn bucket_bound(&mut self, labels: &Labels) -> Option<f64> {
        let parse = |text: &str| {
            let (bound, is_out_of_range) = parse_float(text)?;
            (!is_out_of_range).then_some(bound)
        };
        let text = labels.value_near(BUCKET_BOUND, &mut 0);
        match (&mut self.recall, text) {
            (Some(recall), Some(text)) => recall.bound(text, parse),
            (None, Some(text)) => parse(text),
            (Some(_) | None, None) => parse(""),
        }
    }

    /// Counts samples held; releases are counted by [`Evaluator::hold_only`].
    #[inline]
    pub fn hold(&mut self, samples: usize) -> Result<(), EvalError> {
        self.samples = self.samples.saturating_add(samples);
        if self.samples > self.settings.max_samples {
            return Err(EvalError {
                kind: ErrorKind::TooManySamples,
                message:
                    "query processing would load too many samples into memory in query execution"
                        .to_owned(),
            });
        }
        Ok(())
    }

    fn hold_only(&mut self, base: usize, series: &[Series]) -> Result<(), EvalError> {
        self.samples = base;
        self.hold(series.iter().map(Series::sample_size).sum())
    }

    /// Counts work done.
    #[inline]
    pub fn spend(&mut self, work: usize) -> Result<(), EvalError> {
        self.work = self.work.saturating_add(work as u64);
        if self.work > self.settings.max_work {
            return Err(EvalError {
                kind: ErrorKind::Timeout,
                message: "query timed out in expression evaluation".to_owned(),
            });
        }
        Ok(())
    }

    /// Whether there is room for so much work.
    pub fn can_spend(&self, work: usize) -> bool {
        self.work.saturating_add(work as u64) <= self.settings.max_work
    }

    /// The series of the node. Strings have none.
    pub fn eval(&mut self, node: &Node<'_>, steps: Steps) -> Result<Vec<Series>, EvalError> {
        if steps.end < steps.start {
            return Ok(Vec::new());
        }
        let base = self.samples;
        let count = steps.count();
        self.spend(count)?;
        let series = match &node.kind {
            NodeKind::Text(_) => Vec::new(),
            NodeKind::Number(value) => {
                self.hold(count)?;
                vec![constant_series(*value, steps)]
            }
            NodeKind::Vector(selector) => match selector.extension {
                Extension::Smoothed => self.smoothed(selector, node.span, steps)?,
                Extension::None | Extension::Anchored => self.instant_selector(selector, steps)?,
            },
            NodeKind::Matrix(range) => self.range_vector(range, steps)?,
            NodeKind::Subquery(subquery) => self.subquery(subquery, steps)?.0,
            NodeKind::Negate(inner) => {
                let series = self.eval(inner, steps)?;
                self.negate(series)?
            }
            NodeKind::Binary(plan) => binary::eval(self, plan, node.span, steps)?,
            NodeKind::Aggregate(plan) => aggregations::eval(self, plan, node.span, steps)?,
            NodeKind::Fixed(inner) => self.fixed(inner, steps)?,
            NodeKind::Call { function, args } => self.call(function.id, args, node.span, steps)?,
        };
        self.hold_only(base, &series)?;
        Ok(series)
    }

    /// Gives the series of the node to `sink`: those of a range function as they come up, so that
    /// they never fill the memory together.
    pub fn for_each(
        &mut self,
        node: &Node<'_>,
        steps: Steps,
        sink: &mut dyn Sink<'s>,
    ) -> Result<(), EvalError> {
        if let NodeKind::Call { function, args } = &node.kind
            && function.id != FunctionId::AbsentOverTime
            && let Some(at) = matrix_argument(args)
        {
            if steps.end < steps.start {
                return Ok(());
            }
            self.spend(steps.count())?;
            return self.range_call_each(function.id, args, at, steps, sink);
        }
        for mut series in self.eval(node, steps)? {
            let passing = PassingSeries {
                id: None,
                labels: &series.labels,
                nameless: false,
                drop_name: series.drop_name,
                floats: &mut series.floats,
                histograms: &mut series.histograms,
            };
            sink.take(self, passing)?;
        }
        Ok(())
    }

    /// The values of a scalar node at the steps.
    pub fn eval_scalar(&mut self, node: &Node<'_>, steps: Steps) -> Result<Vec<f64>, EvalError> {
        let series = self.eval(node, steps)?;
        let points = series.first().map_or(&[][..], |series| &series.floats);
        Ok((0..steps.count())
            .map(|i| points.get(i).map_or(f64::NAN, |point| point.value))
            .collect())
    }

    fn call(
        &mut self,
        id: FunctionId,
        args: &[Node<'_>],
        span: Span,
        steps: Steps,
    ) -> Result<Vec<Series>, EvalError> {
        if let (
            FunctionId::Timestamp | FunctionId::StartTimestamp,
            Some(NodeKind::Vector(selector)),
        ) = (id, args.first().map(|arg| &arg.kind))
        {
            return self.timestamps(id, selector, steps);
        }
        if let Some(at) = matrix_argument(args) {
            return self.range_call(id, args, at, steps);
        }
        match id {
            FunctionId::LabelReplace => label_functions::label_replace(self, args, steps),
            FunctionId::LabelJoin => label_functions::label_join(self, args, steps),
            FunctionId::Info => self.info(args, steps),
            FunctionId::HistogramQuantile
            | FunctionId::HistogramQuantiles
            | FunctionId::HistogramFraction => self.histogram_call(id, args, steps),
            FunctionId::Sort
            | FunctionId::SortDesc
            | FunctionId::SortByLabel
            | FunctionId::SortByLabelDesc => ordering::sort(self, id, args, span, steps),
            FunctionId::Absent => elementwise::absent(self, args, steps),
            FunctionId::Scalar => elementwise::scalar(self, args, steps),
            _ => elementwise::eval(self, id, args, steps),
        }
    }

    fn fixed(&mut self, inner: &Node<'_>, steps: Steps) -> Result<Vec<Series>, EvalError> {
        let mut series = self.eval(
            inner,
            Steps {
                end: steps.start,
                ..steps
            },
        )?;
        if matches!(inner.kind, NodeKind::Matrix(_) | NodeKind::Subquery(_)) {
            return Ok(series);
        }
        for one in &mut series {
            self.hold(
                one.sample_size()
                    .saturating_mul(steps.count().saturating_sub(1)),
            )?;
            if let Some(first) = one.floats.first().copied() {
                one.floats = steps
                    .iter()
                    .map(|time| FloatPoint { time, ..first })
                    .collect();
            } else if let Some(first) = one.histograms.first().cloned() {
                one.histograms = steps
                    .iter()
                    .map(|time| HistogramPoint {
                        time,
                        ..first.clone()
                    })
                    .collect();
            }
        }
        Ok(series)
    }

    fn negate(&mut self, mut series: Vec<Series>) -> Result<Vec<Series>, EvalError> {
        for one in &mut series {
            self.drop_name(one);
            for point in &mut one.floats {
                point.value = -point.value;
            }
            for point in &mut one.histograms {
                Arc::make_mut(&mut point.histogram).scale_by(-1.0);
            }
        }
        if self.settings.delayed_name_removal {
            Ok(series)
        } else {
            merge_same_labels(series)
        }
    }

    /// Marks the name for removal, and removes it unless that is left to the end.
    pub fn drop_name(&self, series: &mut Series) {
        if !self.settings.delayed_name_removal {
            series.labels = series.labels.drop_metadata();
        }
        series.drop_name = true;
    }

    /// Each matching series with its current sample at every step.
    fn instant_selector(
        &mut self,
        selector: &Selector<'_>,
        steps: Steps,
    ) -> Result<Vec<Series>, EvalError> {
        let lookback = self.settings.lookback;
        let between = references(selector, steps);
        let mut out = Vec::new();
        let store = self.store;
        let found = self.select(selector.matchers);
        for (labels, data) in found.iter().filter_map(|id| store.get(*id)) {
            self.spend(steps.count())?;
            let stats = selector.stats_only.then(|| {
                let first = selector.at.unwrap_or(steps.start) - selector.offset - lookback;
                stats_view(data.histograms(), first)
            });
            let histograms = stats.as_deref().unwrap_or(data.histograms());
            let mut series = Series::of(labels.clone());
            let mut cursor = Cursor::new(data, histograms, between, lookback);
            for time in steps.iter() {
                let reference = selector.at.unwrap_or(time) - selector.offset;
                match cursor.current(reference) {
                    None => {}
                    Some((_, PointValue::Float(value))) => {
                        series.floats.push(FloatPoint { time, value })
                    }
                    Some((_, PointValue::Histogram(histogram))) => {
                        let histogram = Arc::clone(histogram);
                        series.histograms.push(HistogramPoint { time, histogram });
                    }
                }
            }
            if !series.is_empty() {
                self.hold(series.sample_size())?;
                out.push(series);
            }
        }
        Ok(out)
    }

    /// `timestamp` and `start_timestamp` of a selector see the samples' own times.
    fn timestamps(
        &mut self,
        id: FunctionId,
        selector: &Selector<'_>,
        steps: Steps,
    ) -> Result<Vec<Series>, EvalError> {
        let mut out = Vec::new();
        if id == FunctionId::StartTimestamp && !self.settings.use_start_timestamps {
            return Ok(out);
        }
        // An @ replaces the offset here.
        let between = match selector.at {
            Some(at) => (at, at),
            None => references(selector, steps),
        };
        let store = self.store;
        let found = self.select(selector.matchers);
        for (labels, data) in found.iter().filter_map(|id| store.get(*id)) {
            self.spend(steps.count())?;
            let mut series = Series::of(labels.clone());
            let mut cursor = Cursor::new(data, data.histograms(), between, self.settings.lookback);
            for time in steps.iter() {
                let reference = selector.at.unwrap_or(time - selector.offset);
                if let Some((found, _)) = cursor.current(reference) {
                    let millis = match id {
                        FunctionId::StartTimestamp => cursor.start_of_current(),
                        _ => found,
                    };
                    series.floats.push(FloatPoint {
                        time,
                        value: millis as f64 / 1000.0,
                    });
                }
            }
            if !series.is_empty() {
                self.hold(series.sample_size())?;
                self.drop_name(&mut series);
                out.push(series);
            }
        }
        self.resolve_collisions(out)
    }

    /// For results whose names were just removed: one series for equal labels.
    pub fn resolve_collisions(&self, series: Vec<Series>) -> Result<Vec<Series>, EvalError> {
        if self.settings.delayed_name_removal {
            Ok(series)
        } else {
            merge_same_labels(series)
        }
    }

    /// The info series' sample times at every step, for [`Evaluator::info`].
    pub fn sample_times(
        &mut self,
        matches: impl Fn(&Labels) -> bool,
        selector: &Selector<'_>,
        steps: Steps,
    ) -> Result<Vec<Series>, EvalError> {
        let mut out = Vec::new();
        let store = self.store;
        for (labels, data) in store.series().filter(|(labels, _)| matches(labels)) {
            self.spend(steps.count())?;
            let mut series = Series::of(labels.clone());
            let between = references(selector, steps);
            let mut cursor = Cursor::new(data, data.histograms(), between, self.settings.lookback);
            for time in steps.iter() {
                let reference = selector.at.unwrap_or(time) - selector.offset;
                match cursor.current(reference) {
                    None => {}
                    Some((found, PointValue::Float(_))) => {
                        series.floats.push(FloatPoint {
                            time,
                            value: found as f64,
                        });
                    }
                    Some((_, PointValue::Histogram(_))) => {
                        return Err(EvalError::execution(format!(
                            "this should be an info metric, with float samples: {labels}"
                        )));
                    }
                }
            }
            if !series.is_empty() {
                self.hold(series.sample_size())?;
                out.push(series);
            }
        }
        Ok(out)
    }

    /// Interpolates between the samples around each step, within the lookback on both sides.
    fn smoothed(
        &mut self,
        selector: &Selector<'_>,
        span: Span,
        steps: Steps,
    ) -> Result<Vec<Series>, EvalError> {
        let lookback = self.settings.lookback;
        let mut out = Vec::new();
        let store = self.store;
        let found = self.select(selector.matchers);
        for (labels, data) in found.iter().filter_map(|id| store.get(*id)) {
            self.spend(steps.count())?;
            let (first, last) = references(selector, steps);
            let Floats {
                times,
                values,
                starts: _,
            } = data.fresh_floats_between(first - lookback, last + lookback);
            let metric = labels.metric_name();
            let mut series = Series::of(labels.clone());
            for time in steps.iter() {
                let reference = selector.at.unwrap_or(time) - selector.offset;
                let (after, until) = (reference - lookback, reference + lookback);
                let floats =
                    times.partition_point(|t| *t <= after)..times.partition_point(|t| *t <= until);
                let histograms = data.histograms();
                let histograms = &histograms[histograms.partition_point(|h| h.time <= after)
                    ..histograms.partition_point(|h| h.time <= until)];
                if !floats.is_empty() && !histograms.is_empty() {
                    self.note(
                        Note::MixedFloatsHistograms {
                            metric: metric.to_owned(),
                        },
                        span,
                    );
                    continue;
                }
                if !histograms.is_empty() {
                    if let Some(histogram) =
                        self.smoothed_histogram(histograms, reference, metric, span)
                    {
                        series.histograms.push(HistogramPoint { time, histogram });
                    }
                    continue;
                }
                let (times, values) = (&times[floats.clone()], &values[floats]);
                let next = times.partition_point(|t| *t < reference);
                let value = match (times.get(next), next.checked_sub(1)) {
                    (Some(t), _) if *t == reference => values[next],
                    (Some(t), Some(previous)) => interpolate(
                        (times[previous], values[previous]),
                        (*t, values[next]),
                        reference,
                        false,
                    ),
                    (None, Some(previous)) => values[previous],
                    (_, None) => continue,
                };
                series.floats.push(FloatPoint { time, value });
            }
            if !series.is_empty() {
                self.hold(series.sample_size())?;
                out.push(series);
            }
        }
        Ok(out)
    }

    fn smoothed_histogram(
        &mut self,
        samples: &[HistogramSample],
        reference: i64,
        metric: &str,
        span: Span,
    ) -> Option<Arc<Histogram>> {
        let next = samples.partition_point(|sample| sample.time < reference);
        let previous = next.checked_sub(1).and_then(|i| samples.get(i));
        match (samples.get(next), previous) {
            (Some(exact), _) if exact.time == reference => Some(Arc::clone(&exact.histogram)),
            (Some(next), Some(previous)) => {
                let (before, after) = (&previous.histogram, &next.histogram);
                let mixed = Note::MixedExponentialCustom {
                    metric: metric.to_owned(),
                };
                if before.uses_custom_buckets() != after.uses_custom_buckets() {
                    self.note(mixed, span);
                    return None;
                }
                let is_counter = before.hint != ResetHint::Gauge || after.hint != ResetHint::Gauge;
                let interpolated = interpolate_histograms(
                    (previous.time, before),
                    (next.time, after),
                    reference,
                    is_counter,
                    &mut self.annotations,
                    span,
                );
                match interpolated {
                    Ok(histogram) => Some(Arc::new(histogram)),
                    Err(_) => {
                        self.note(mixed, span);
                        None
                    }
                }
            }
            (None, Some(previous)) => {
                let mut histogram = Histogram::clone(&previous.histogram);
                histogram.hint = ResetHint::Unknown;
                Some(Arc::new(histogram))
            }
            (_, None) => None,
        }
    }

    /// Evaluates a subquery on its own grid of times; also gives the end of the data for each
    /// outer time `t`: `t - offset`, or a fixed time under `@`.
    pub fn subquery(
        &mut self,
        subquery: &SubqueryPlan<'_>,
        steps: Steps,
    ) -> Result<(Vec<Series>, Steps), EvalError> {
        let range = subquery.range_nanos / NANOS_PER_MILLI;
        let step = subquery
            .step
            .unwrap_or(self.settings.default_subquery_step)
            .max(1);
        let last = steps.start + (steps.end - steps.start) / steps.step * steps.step;
        let (first, end) = match subquery.at {
            Some(at) => (at - subquery.offset, at - subquery.offset),
            None => (steps.start - subquery.offset, last - subquery.offset),
        };
        let before = first.saturating_sub(range);
        let mut start = before / step * step;
        if start <= before {
            start += step;
        }
        let grid = Steps { start, end, step };
        let series = self.eval(&subquery.node, grid)?;
        Ok((series, grid))
    }
}

fn matrix_argument(args: &[Node<'_>]) -> Option<usize> {
    args.iter()
        .position(|arg| arg.value_type == ValueType::Matrix)
}

/// One series without labels, the same value at every step.
pub(crate) fn constant_series(value: f64, steps: Steps) -> Series {
    Series {
        floats: steps
            .iter()
            .map(|time| FloatPoint { time, value })
            .collect(),
        ..Series::default()
    }
}

/// Joins series of equal labels whose points are at different times.
///
/// # Errors
/// Two of them have a point at the same time.
pub(crate) fn merge_same_labels(series: Vec<Series>) -> Result<Vec<Series>, EvalError> {
    if series.len() < 2 {
        return Ok(series);
    }
    let mut index: BTreeMap<Labels, usize> = BTreeMap::new();
    let mut merged: Vec<Series> = Vec::with_capacity(series.len());
    let mut collided = Vec::new();
    for one in series {
        match index
            .get(&one.labels)
            .and_then(|at| Some((*at, merged.get_mut(*at)?)))
        {
            Some((at, first)) => {
                first.floats.extend(one.floats);
                first.histograms.extend(one.histograms);
                collided.push(at);
            }
            None => {
                index.insert(one.labels.clone(), merged.len());
                merged.push(one);
            }
        }
    }
    for at in collided {
        let Some(one) = merged.get_mut(at) else {
            continue;
        };
        one.floats.sort_by_key(|point| point.time);
        one.histograms.sort_by_key(|point| point.time);
        if one
            .floats
            .windows(2)
            .any(|pair| pair[0].time == pair[1].time)
            || one
                .histograms
                .windows(2)
                .any(|pair| pair[0].time == pair[1].time)
        {
            return Err(EvalError::same_labelset());
        }
    }
    Ok(merged)
}

/// Gathers the results of step after step into series.
pub(crate) struct Collector {
    out: Vec<Series>,
    index: BTreeMap<Labels, usize>,
    last_times: Vec<i64>,
    /// Two results of equal labels at a time are let through, to be settled at the end.
    allow_duplicates: bool,
}

impl Collector {
    pub fn new(evaluator: &Evaluator<'_>, steps: Steps) -> Self {
        Self {
            allow_duplicates: steps.is_instant() && evaluator.settings.delayed_name_removal,
            ..Self::strict()
        }
    }

    /// Never lets duplicates through.
    pub fn strict() -> Self {
        Self {
            out: Vec::new(),
            index: BTreeMap::new(),
            last_times: Vec::new(),
            allow_duplicates: false,
        }
    }

    /// The number of the series for these labels.
    pub fn slot(&mut self, labels: &Labels, drop_name: bool) -> usize {
        if !self.allow_duplicates
            && let Some(slot) = self.index.get(labels)
        {
            return *slot;
        }
        let slot = self.out.len();
        self.index.insert(labels.clone(), slot);
        self.out.push(Series {
            drop_name,
            ..Series::of(labels.clone())
        });
        self.last_times.push(i64::MIN);
        slot
    }

    /// # Errors
    /// The series already has a point at the time.
    pub fn push(&mut self, slot: usize, time: i64, value: PointValue<'_>) -> Result<(), EvalError> {
        let (Some(series), Some(last)) = (self.out.get_mut(slot), self.last_times.get_mut(slot))
        else {
            return Ok(());
        };
        if *last == time {
            return Err(EvalError::same_labelset());
        }
        *last = time;
        match value {
            PointValue::Float(value) => series.floats.push(FloatPoint { time, value }),
            PointValue::Histogram(histogram) => {
                series.histograms.push(HistogramPoint {
                    time,
                    histogram: Arc::clone(histogram),
                });
            }
        }
        Ok(())
    }

    pub fn finish(self) -> Vec<Series> {
        self.out
            .into_iter()
            .filter(|series| !series.is_empty())
            .collect()
    }
}

/// Walks a result series from step to step.
pub(crate) struct Walker<'a> {
    series: &'a Series,
    float: usize,
    histogram: usize,
}

impl<'a> Walker<'a> {
    pub fn new(series: &'a Series) -> Self {
        Self {
            series,
            float: 0,
            histogram: 0,
        }
    }

    /// The value at `time`; times may only go up.
    pub fn at(&mut self, time: i64) -> Option<PointValue<'a>> {
        if let Some(point) = self.series.floats.get(self.float)
            && point.time == time
        {
            self.float += 1;
            return Some(PointValue::Float(point.value));
        }
        if let Some(point) = self.series.histograms.get(self.histogram)
            && point.time == time
        {
            self.histogram += 1;
            return Some(PointValue::Histogram(&point.histogram));
        }
        None
    }
}

/// The first and the last time at which a selector looks for a current sample.
fn references(selector: &Selector<'_>, steps: Steps) -> (i64, i64) {
    let at = |time| selector.at.unwrap_or(time) - selector.offset;
    (at(steps.start), at(steps.end))
}

/// Finds the current sample of a stored series, for times that mostly go up.
struct Cursor<'a> {
    floats: Floats<'a>,
    histograms: &'a [HistogramSample],
    lookback: i64,
    /// Number of floats, and of histograms, at or before the last reference.
    float_end: usize,
    histogram_end: usize,
    current_is_float: bool,
}

impl<'a> Cursor<'a> {
    /// For references from the first to the last of `between`.
    fn new(
        data: &'a SeriesData,
        histograms: &'a [HistogramSample],
        between: (i64, i64),
        lookback: i64,
    ) -> Self {
        Self {
            floats: data.floats_between(between.0 - lookback, between.1),
            histograms,
            lookback,
            float_end: 0,
            histogram_end: 0,
            current_is_float: false,
        }
    }

    /// The newest sample not after `reference` and newer than the lookback, unless it is stale.
    fn current(&mut self, reference: i64) -> Option<(i64, PointValue<'a>)> {
        let Floats {
            times,
            values,
            starts: _,
        } = &self.floats;
        self.float_end = advance(self.float_end, times, |t| *t <= reference);
        self.histogram_end = advance(self.histogram_end, self.histograms, |sample| {
            sample.time <= reference
        });
        let float = self.float_end.checked_sub(1);
        let float = float.and_then(|i| Some((*times.get(i)?, *values.get(i)?)));
        let histogram = self
            .histogram_end
            .checked_sub(1)
            .and_then(|i| self.histograms.get(i));
        let (time, value) = match (float, histogram) {
            (Some((time, value)), None) => (time, PointValue::Float(value)),
            (Some((time, value)), Some(sample)) if time > sample.time => {
                (time, PointValue::Float(value))
            }
            (_, Some(sample)) => (sample.time, PointValue::Histogram(&sample.histogram)),
            (None, None) => return None,
        };
        self.current_is_float = matches!(value, PointValue::Float(_));
        let stale = match value {
            PointValue::Float(value) => is_stale(value),
            PointValue::Histogram(histogram) => is_stale(histogram.sum),
        };
        (time > reference - self.lookback && !stale).then_some((time, value))
    }

    fn start_of_current(&self) -> i64 {
        if self.current_is_float {
            self.float_end
                .checked_sub(1)
                .and_then(|i| self.floats.starts.get(i))
                .copied()
                .unwrap_or(0)
        } else {
            self.histogram_end
                .checked_sub(1)
                .and_then(|i| self.histograms.get(i))
                .map_or(0, |s| s.start)
        }
    }
}

/// Moves `end` so that the items before it are those that `is_before`; cheap for small moves up.
#[inline]
pub(crate) fn advance<T>(end: usize, items: &[T], is_before: impl Fn(&T) -> bool) -> usize {
    let mut end = end.min(items.len());
    if end > 0 && !is_before(&items[end - 1]) {
        return search(items, 0, end, is_before);
    }
    for _ in 0..4 {
        match items.get(end) {
            Some(item) if is_before(item) => end += 1,
            _ => return end,
        }
    }
    search(items, end, items.len(), is_before)
}

#[inline(never)]
fn search<T>(items: &[T], from: usize, to: usize, is_before: impl Fn(&T) -> bool) -> usize {
    from + items
        .get(from..to)
        .map_or(0, |items| items.partition_point(is_before))
}

/// Histograms reduced to count and sum. A reset is looked for on the way, between histograms at
/// or after `first`, because it cannot be seen without the buckets.
pub(crate) fn stats_view(samples: &[HistogramSample], first: i64) -> Vec<HistogramSample> {
    let mut previous: Option<&HistogramSample> = None;
    samples
        .iter()
        .map(|sample| {
            let hint = match previous.filter(|previous| previous.time >= first) {
                Some(previous) if sample.histogram.hint == ResetHint::Unknown => {
                    if sample.histogram.detect_reset(&previous.histogram) {
                        ResetHint::Reset
                    } else {
                        ResetHint::NotReset
                    }
                }
                _ => sample.histogram.hint,
            };
            previous = Some(sample);
            let histogram = Arc::new(sample.histogram.stats_only(hint));
            HistogramSample {
                time: sample.time,
                start: sample.start,
                histogram,
            }
        })
        .collect()
}
