//! Aggregations: one value a group (`sum`), or some of a group's series (`topk`).

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use fnv::FnvHasher;

use super::annotations::{Annotations, Note, Operation};
use super::ast::{AggregateOp, Span};
use super::eval::plan::{AggregatePlan, NodeKind, go_max, go_min};
use super::eval::{
    Collector, EvalError, Evaluator, FloatPoint, HistogramPoint, PassingFloats, PassingSeries,
    PointValue, Series, Sink, StepCursor, Steps, Walker,
};
use super::functions::ordering::nan_last;
use super::functions::quantile::quantile;
use super::histogram::{Compensation, Histogram, HistogramMean, ResetHint};
use super::labels::{Labels, METRIC_NAME, is_metadata, is_valid_name};
use super::series::SeriesId;
use super::{gofmt, kahan};

pub(crate) fn eval(
    evaluator: &mut Evaluator<'_>,
    plan: &AggregatePlan<'_>,
    span: Span,
    steps: Steps,
) -> Result<Vec<Series>, EvalError> {
    if plan.op == AggregateOp::CountValues {
        return count_values(evaluator, plan, steps);
    }
    let (parameters, parameter_span) = match &plan.parameter {
        Some(parameter) => (evaluator.eval_scalar(parameter, steps)?, parameter.span),
        None => (Vec::new(), span),
    };
    match plan.op {
        AggregateOp::Topk
        | AggregateOp::Bottomk
        | AggregateOp::Limitk
        | AggregateOp::LimitRatio => {
            let input = evaluator.eval(&plan.node, steps)?;
            let selection = Selection {
                op: plan.op,
                parameters,
                span,
                parameter_span,
            };
            let groups = Groups::new(plan.without, plan.grouping, false);
            selection.eval(evaluator, &input, groups, steps)
        }
        AggregateOp::Avg
        | AggregateOp::Count
        | AggregateOp::CountValues
        | AggregateOp::Group
        | AggregateOp::Max
        | AggregateOp::Min
        | AggregateOp::Quantile
        | AggregateOp::Stddev
        | AggregateOp::Stdvar
        | AggregateOp::Sum => reduce(evaluator, plan, &parameters, parameter_span, steps),
    }
}

/// The groups met so far.
#[derive(Clone, Debug)]
pub(crate) struct Groups {
    without: bool,
    grouping: Vec<String>,
    labels: Vec<Labels>,
    /// By the hash of their labels; of equal hashes the second number counts on. Looked up only.
    index: BTreeMap<(u64, u32), usize>,
    /// None where what is known of one series does not hold for another one.
    known: Option<KnownTexts>,
    /// The groups of the store's series, if they are remembered from query to query.
    by_series: Option<Vec<Option<usize>>>,
    are_of_stored_series: bool,
}

/// Series of a store share the texts of their labels, which tell a group faster than what is in
/// them.
#[derive(Clone, Debug, Default)]
struct KnownTexts {
    /// The texts of the labels that are grouped by, and the group.
    groups: Vec<(Texts<Arc<str>>, usize)>,
    /// Series mostly come in the order of those before.
    next: usize,
    /// Where the labels that are grouped by stood last.
    places: [usize; MOST_TEXTS],
}

/// More labels than this are not worth it.
const MOST_TEXTS: usize = 4;
const MOST_KNOWN: usize = 64;
type Texts<T> = [Option<T>; MOST_TEXTS];

impl KnownTexts {
    fn texts<'l>(&mut self, grouping: &[String], labels: &'l Labels) -> Texts<&'l Arc<str>> {
        let mut texts = [None; MOST_TEXTS];
        for ((text, place), name) in texts.iter_mut().zip(&mut self.places).zip(grouping) {
            *text = labels.value_near(name, place);
        }
        texts
    }

    fn find(&mut self, texts: &Texts<&Arc<str>>) -> Option<usize> {
        let is_same = |(known, _): &(Texts<Arc<str>>, usize)| {
            let pairs = known.iter().zip(texts);
            pairs.into_iter().all(|(known, text)| match (known, text) {
                (Some(known), Some(text)) => Arc::ptr_eq(known, text),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            })
        };
        let is_next = self.groups.get(self.next).is_some_and(is_same);
        let at = if is_next {
            self.next
        } else {
            self.groups.iter().position(is_same)?
        };
        self.next = at + 1;
        self.groups.get(at).map(|(_, group)| *group)
    }

    fn add(&mut self, texts: &Texts<&Arc<str>>, group: usize) {
        if self.groups.len() < MOST_KNOWN {
            let texts = texts.map(|text| text.cloned());
            self.groups.push((texts, group));
        }
        self.next = 0;
    }
}

impl Groups {
    pub fn new(without: bool, grouping: &[String], are_remembered: bool) -> Self {
        let is_simple = !without
            && grouping.len() <= MOST_TEXTS
            && !grouping.iter().any(|name| is_metadata(name));
        Self {
            without,
            grouping: grouping.to_vec(),
            labels: Vec::new(),
            index: BTreeMap::new(),
            known: is_simple.then(KnownTexts::default),
            by_series: (is_simple && are_remembered).then(Vec::new),
            are_of_stored_series: true,
        }
    }

    pub fn are_by(&self, without: bool, grouping: &[String]) -> bool {
        self.without == without && self.grouping == grouping
    }

    /// Whether all groups are those of series of the store.
    pub fn are_of_stored_series(&self) -> bool {
        self.are_of_stored_series
    }

    /// The number of the group of a series of the store, if it is known.
    #[inline]
    fn known(&self, id: SeriesId) -> Option<usize> {
        let by_series = self.by_series.as_ref()?;
        by_series.get(id.number()).copied().flatten()
    }

    /// The number of the group of a series; `id` if its labels are those of one of the store.
    #[inline]
    fn of(&mut self, id: Option<SeriesId>, labels: &Labels, nameless: bool) -> usize {
        let known = id.and_then(|id| self.known(id));
        known.unwrap_or_else(|| self.of_new(id, labels, nameless))
    }

    fn of_new(&mut self, id: Option<SeriesId>, labels: &Labels, nameless: bool) -> usize {
        let group = self.of_labels(labels, nameless);
        let Some(id) = id else {
            self.are_of_stored_series = false;
            return group;
        };
        if let Some(by_series) = &mut self.by_series {
            if by_series.len() <= id.number() {
                by_series.resize(id.number() + 1, None);
            }
            if let Some(known) = by_series.get_mut(id.number()) {
                *known = Some(group);
            }
        }
        group
    }

    /// The number of the group of labels; `nameless` if their metadata is not to be seen. Builds
    /// no labels unless the group is new.
    fn of_labels(&mut self, labels: &Labels, nameless: bool) -> usize {
        let Some(known) = &mut self.known else {
            return self.find(labels, nameless);
        };
        let texts = known.texts(&self.grouping, labels);
        if let Some(group) = known.find(&texts) {
            return group;
        }
        let group = self.find(labels, nameless);
        if let Some(known) = &mut self.known {
            known.add(&texts, group);
        }
        group
    }

    fn find(&mut self, labels: &Labels, nameless: bool) -> usize {
        let is_kept = |name: &str| {
            let named = self.grouping.iter().any(|n| n == name);
            let kept = if self.without {
                !named && name != METRIC_NAME
            } else {
                named
            };
            kept && !(nameless && is_metadata(name))
        };
        let key = || labels.iter().filter(|(name, _)| is_kept(name));
        let mut hasher = FnvHasher::default();
        for label in key() {
            label.hash(&mut hasher);
        }
        let mut place = (hasher.finish(), 0);
        while let Some(group) = self.index.get(&place) {
            let known = self.labels.get(*group);
            if known.is_some_and(|known| known.iter().eq(key())) {
                return *group;
            }
            place.1 += 1;
        }
        let group = self.labels.len();
        let labels = labels.filtered(is_kept);
        self.index.insert(place, group);
        self.labels.push(labels);
        group
    }
}

fn group_key(labels: &Labels, without: bool, grouping: &[String]) -> Labels {
    if without {
        labels.without_and_name(grouping)
    } else if grouping.is_empty() {
        Labels::default()
    } else {
        labels.keep(grouping)
    }
}

/// The least and the greatest parameter; NaN if any is.
fn extent(parameters: &[f64]) -> (f64, f64) {
    parameters
        .iter()
        .fold((f64::MAX, -f64::MAX), |(low, high), p| {
            (go_min(low, *p), go_max(high, *p))
        })
}

fn check_quantiles(evaluator: &mut Evaluator<'_>, parameters: &[f64], span: Span) {
    let (low, high) = extent(parameters);
    if parameters.iter().any(|q| q.is_nan()) {
        evaluator.note(Note::InvalidQuantile(f64::NAN), span);
    }
    if high > 1.0 {
        evaluator.note(Note::InvalidQuantile(high), span);
    }
    if low < 0.0 {
        evaluator.note(Note::InvalidQuantile(low), span);
    }
}

/// The sum or mean of histograms so far.
enum Histograms {
    Sum {
        sum: Histogram,
        compensation: Option<Compensation>,
    },
    Mean(HistogramMean),
}

/// What the floats of a group come to.
#[derive(Default)]
enum Floats {
    #[default]
    None,
    Sum {
        sum: f64,
        compensation: f64,
    },
    Mean(kahan::Mean),
    /// The least or the greatest.
    Extreme(f64),
    /// Mean, and sum of the squared distances from it.
    Spread {
        mean: f64,
        squares: f64,
    },
    Values(Vec<f64>),
}

/// A group at one step.
#[derive(Default)]
struct Accumulator {
    seen: bool,
    has_float: bool,
    has_histogram: bool,
    incompatible: bool,
    reset_seen: bool,
    no_reset_seen: bool,
    drop_name: bool,
    count: f64,
    floats: Floats,
    histograms: Option<Box<Histograms>>,
}

impl Accumulator {
    fn see_hint(&mut self, histogram: &Histogram) {
        match histogram.hint {
            ResetHint::Reset => self.reset_seen = true,
            ResetHint::NotReset => self.no_reset_seen = true,
            ResetHint::Unknown | ResetHint::Gauge => {}
        }
    }
}

/// The groups as far as series have been taken up.
struct Reduction {
    op: AggregateOp,
    /// Of what is aggregated.
    span: Span,
    groups: Groups,
    rows: Rows,
    /// Kept apart, because they count as given after all those of the input.
    notes: Annotations,
}

/// The accumulators of groups.
struct Rows {
    steps: Steps,
    /// By number of group, empty for those that did not come up.
    by_group: Vec<Vec<Accumulator>>,
    /// In which order groups came up.
    order: Vec<usize>,
    /// Spent in the end: the input's errors come first.
    work: usize,
}

impl Rows {
    /// The accumulators of a group for so many further points. None if there is no room for them,
    /// which is told in the end.
    #[inline]
    fn of(
        &mut self,
        evaluator: &Evaluator<'_>,
        group: usize,
        points: usize,
    ) -> Option<&mut [Accumulator]> {
        if self.by_group.get(group).is_none_or(Vec::is_empty) {
            self.begin(evaluator, group);
        }
        self.work = self.work.saturating_add(points);
        let row = self.by_group.get_mut(group);
        row.filter(|_| evaluator.can_spend(self.work))
            .map(Vec::as_mut_slice)
    }

    #[inline(never)]
    fn begin(&mut self, evaluator: &Evaluator<'_>, group: usize) {
        let count = self.steps.count();
        self.work = self.work.saturating_add(count);
        if !evaluator.can_spend(self.work) {
            return;
        }
        if self.by_group.len() <= group {
            self.by_group.resize_with(group + 1, Vec::new);
        }
        if let Some(row) = self.by_group.get_mut(group) {
            row.resize_with(count, Accumulator::default);
            self.order.push(group);
        }
    }
}

impl<'s> Sink<'s> for Reduction {
    fn take(
        &mut self,
        evaluator: &mut Evaluator<'s>,
        series: PassingSeries<'_>,
    ) -> Result<(), EvalError> {
        let (op, span) = (self.op, self.span);
        let group = self.groups.of(series.id, series.labels, series.nameless);
        let points = series.floats.len() + series.histograms.len();
        let mut cursor = StepCursor::new(self.rows.steps);
        let Some(row) = self.rows.of(evaluator, group, points) else {
            return Ok(());
        };
        for point in series.floats.iter() {
            if let Some(accumulator) = row.get_mut(cursor.index(point.time)) {
                add_float(op, accumulator, point.value, series.drop_name);
            }
        }
        for point in series.histograms.iter() {
            if let Some(accumulator) = row.get_mut(cursor.index(point.time)) {
                let (notes, histogram) = (&mut self.notes, &point.histogram);
                add_histogram(notes, op, accumulator, histogram, &series, span);
            }
        }
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
        let (op, store) = (self.op, evaluator.store);
        for (id, value) in floats.iter().copied() {
            let group = match self.groups.known(id) {
                Some(group) => group,
                None => {
                    let Some((labels, _)) = store.get(id) else {
                        continue;
                    };
                    self.groups.of(Some(id), labels, nameless)
                }
            };
            if let Some([accumulator]) = self.rows.of(evaluator, group, 1) {
                add_float(op, accumulator, value, drop_name);
            }
        }
        Ok(())
    }
}

fn reduce(
    evaluator: &mut Evaluator<'_>,
    plan: &AggregatePlan<'_>,
    parameters: &[f64],
    parameter_span: Span,
    steps: Steps,
) -> Result<Vec<Series>, EvalError> {
    let groups = evaluator.groups(plan.without, plan.grouping);
    let known = groups.labels.len();
    let mut reduction = Reduction {
        op: plan.op,
        span: plan.node.span,
        groups,
        rows: Rows {
            steps,
            by_group: Vec::with_capacity(known),
            order: Vec::with_capacity(known),
            work: 0,
        },
        notes: Annotations::default(),
    };
    evaluator.for_each(&plan.node, steps, &mut reduction)?;
    let Reduction {
        op: _,
        span,
        groups,
        mut rows,
        mut notes,
    } = reduction;
    evaluator.spend(rows.work)?;
    if plan.op == AggregateOp::Quantile {
        check_quantiles(evaluator, parameters, parameter_span);
    }
    let mut out = Vec::with_capacity(rows.order.len());
    for group in rows.order {
        let row = rows.by_group.get_mut(group);
        let (Some(labels), Some(row)) = (groups.labels.get(group), row) else {
            continue;
        };
        let mut series = Series::of(labels.clone());
        for ((step, time), accumulator) in steps.iter().enumerate().zip(std::mem::take(row)) {
            if !accumulator.seen {
                continue;
            }
            let q = parameters.get(step).copied().unwrap_or(f64::NAN);
            let drop_name = accumulator.drop_name;
            match finish(&mut notes, plan.op, accumulator, q, span) {
                None => continue,
                Some(Finished::Float(value)) => series.floats.push(FloatPoint { time, value }),
                Some(Finished::Histogram(histogram)) => {
                    series.histograms.push(HistogramPoint {
                        time,
                        histogram: Arc::new(histogram),
                    });
                }
            }
            series.drop_name = drop_name;
        }
        if !series.is_empty() {
            out.push(series);
        }
    }
    evaluator.annotations.merge(notes);
    evaluator.keep_groups(groups);
    Ok(out)
}

#[inline(always)]
fn add_float(op: AggregateOp, group: &mut Accumulator, value: f64, drop_name: bool) {
    if group.incompatible {
        return;
    }
    group.seen = true;
    group.drop_name |= drop_name;
    group.has_float = true;
    group.count += 1.0;
    if let (AggregateOp::Sum, Floats::Sum { sum, compensation }) = (op, &mut group.floats) {
        (*sum, *compensation) = kahan::add(value, *sum, *compensation);
    } else {
        add_other_float(op, group, value);
    }
}

/// But for the further ones of a sum, of which there are most.
#[inline(never)]
fn add_other_float(op: AggregateOp, group: &mut Accumulator, value: f64) {
    match (op, &mut group.floats) {
        (AggregateOp::Sum, floats) => {
            *floats = Floats::Sum {
                sum: value,
                compensation: 0.0,
            }
        }
        (AggregateOp::Avg, Floats::Mean(mean)) => mean.add(value),
        (AggregateOp::Avg, floats) => *floats = Floats::Mean(kahan::Mean::new(value)),
        (AggregateOp::Max, Floats::Extreme(most)) => {
            if *most < value || most.is_nan() {
                *most = value;
            }
        }
        (AggregateOp::Min, Floats::Extreme(least)) => {
            if *least > value || least.is_nan() {
                *least = value;
            }
        }
        (AggregateOp::Max | AggregateOp::Min, floats) => *floats = Floats::Extreme(value),
        (AggregateOp::Stddev | AggregateOp::Stdvar, Floats::Spread { mean, squares }) => {
            let delta = value - *mean;
            *mean += delta / group.count;
            *squares += delta * (value - *mean);
        }
        (AggregateOp::Stddev | AggregateOp::Stdvar, floats) => {
            *floats = Floats::Spread {
                mean: value,
                squares: if value.is_finite() { 0.0 } else { f64::NAN },
            }
        }
        (AggregateOp::Quantile, Floats::Values(values)) => values.push(value),
        (AggregateOp::Quantile, floats) => *floats = Floats::Values(vec![value]),
        (
            AggregateOp::Count
            | AggregateOp::Group
            | AggregateOp::CountValues
            | AggregateOp::Topk
            | AggregateOp::Bottomk
            | AggregateOp::Limitk
            | AggregateOp::LimitRatio,
            _,
        ) => {}
    }
}

fn add_histogram(
    notes: &mut Annotations,
    op: AggregateOp,
    group: &mut Accumulator,
    histogram: &Arc<Histogram>,
    series: &PassingSeries<'_>,
    span: Span,
) {
    match op {
        AggregateOp::Max
        | AggregateOp::Min
        | AggregateOp::Stddev
        | AggregateOp::Stdvar
        | AggregateOp::Quantile => {
            notes.add(
                Note::HistogramIgnoredInAggregation {
                    aggregation: op.text(),
                },
                span,
            );
            return;
        }
        AggregateOp::Count
        | AggregateOp::Group
        | AggregateOp::Sum
        | AggregateOp::Avg
        | AggregateOp::CountValues
        | AggregateOp::Topk
        | AggregateOp::Bottomk
        | AggregateOp::Limitk
        | AggregateOp::LimitRatio => {}
    }
    if group.incompatible {
        return;
    }
    let first = !group.seen;
    group.seen = true;
    group.drop_name |= series.drop_name;
    group.count += 1.0;
    if !matches!(op, AggregateOp::Sum | AggregateOp::Avg) {
        return;
    }
    group.has_histogram = true;
    if first {
        group.see_hint(histogram);
        let copy = Histogram::clone(histogram);
        group.histograms = Some(Box::new(if op == AggregateOp::Sum {
            Histograms::Sum {
                sum: copy,
                compensation: None,
            }
        } else {
            Histograms::Mean(HistogramMean::new(copy))
        }));
        return;
    }
    if group.histograms.is_some() {
        group.see_hint(histogram);
    }
    let combined = match group.histograms.as_deref_mut() {
        // Floats came before: the group is void anyway.
        None => return,
        Some(Histograms::Sum { sum, compensation }) => sum.kahan_add(histogram, compensation),
        Some(Histograms::Mean(mean)) => mean.add(histogram),
    };
    match combined {
        Ok(combined) => {
            if combined.bounds_reconciled {
                notes.add(Note::MismatchedCustomBuckets(Operation::Aggregation), span);
            }
        }
        Err(_) => {
            let metric = if series.nameless {
                String::new()
            } else {
                series.labels.metric_name().to_owned()
            };
            notes.add(Note::MixedExponentialCustom { metric }, span);
            group.incompatible = true;
        }
    }
}

enum Finished {
    Float(f64),
    Histogram(Histogram),
}

fn finish(
    notes: &mut Annotations,
    op: AggregateOp,
    group: Accumulator,
    q: f64,
    span: Span,
) -> Option<Finished> {
    if matches!(op, AggregateOp::Sum | AggregateOp::Avg) {
        if group.has_float && group.has_histogram {
            notes.add(Note::MixedFloatsHistogramsInAggregation, span);
            return None;
        }
        if group.incompatible {
            return None;
        }
        if group.reset_seen && group.no_reset_seen {
            notes.add(Note::ResetCollision(Operation::Aggregation), span);
        }
        if let Some(histograms) = group.histograms {
            let mut result = match *histograms {
                Histograms::Sum {
                    mut sum,
                    compensation,
                } => {
                    if let Some(compensation) = &compensation {
                        sum.settle(compensation);
                    }
                    sum
                }
                Histograms::Mean(mean) => mean.finish(),
            };
            result.compact();
            return Some(Finished::Histogram(result));
        }
    }
    Some(Finished::Float(match op {
        AggregateOp::Count => group.count,
        AggregateOp::Group => 1.0,
        AggregateOp::Sum
        | AggregateOp::Avg
        | AggregateOp::Max
        | AggregateOp::Min
        | AggregateOp::Stddev
        | AggregateOp::Stdvar
        | AggregateOp::Quantile
        | AggregateOp::CountValues
        | AggregateOp::Topk
        | AggregateOp::Bottomk
        | AggregateOp::Limitk
        | AggregateOp::LimitRatio => match group.floats {
            Floats::None => f64::NAN,
            Floats::Sum { sum, compensation } => sum + compensation,
            Floats::Mean(mean) => mean.value(),
            Floats::Extreme(value) => value,
            Floats::Spread { mean: _, squares } if op == AggregateOp::Stddev => {
                (squares / group.count).sqrt()
            }
            Floats::Spread { mean: _, squares } => squares / group.count,
            Floats::Values(mut values) => quantile(q, &mut values),
        },
    }))
}

/// Aggregations that pick series of a group.
struct Selection {
    op: AggregateOp,
    parameters: Vec<f64>,
    span: Span,
    parameter_span: Span,
}

/// A candidate: number of the input series and value.
type Candidate<'a> = (usize, PointValue<'a>);

impl Selection {
    /// `false`: nothing can be picked at any step.
    fn check(&self, evaluator: &mut Evaluator<'_>) -> Result<bool, EvalError> {
        let (low, high) = extent(&self.parameters);
        let any_nan = self.parameters.iter().any(|p| p.is_nan());
        if self.op == AggregateOp::LimitRatio {
            if low == 0.0 && high == 0.0 {
                return Ok(false);
            }
            if any_nan {
                return Err(EvalError::execution("Ratio value is NaN"));
            }
            if high > 1.0 {
                evaluator.note(
                    Note::InvalidRatio {
                        got: high,
                        capped_to: 1.0,
                    },
                    self.parameter_span,
                );
            }
            if low < -1.0 {
                evaluator.note(
                    Note::InvalidRatio {
                        got: low,
                        capped_to: -1.0,
                    },
                    self.parameter_span,
                );
            }
            return Ok(true);
        }
        if high < 1.0 {
            return Ok(false);
        }
        if any_nan {
            return Err(EvalError::execution("Parameter value is NaN"));
        }
        for (value, beyond, direction) in [
            (low, low <= i64::MIN as f64, "underflows"),
            (high, high >= i64::MAX as f64, "overflows"),
        ] {
            if beyond {
                let shown = gofmt::format_g(value);
                return Err(EvalError::execution(format!(
                    "Scalar value {shown} {direction} int64"
                )));
            }
        }
        Ok(true)
    }

    fn eval(
        &self,
        evaluator: &mut Evaluator<'_>,
        input: &[Series],
        mut groups: Groups,
        steps: Steps,
    ) -> Result<Vec<Series>, EvalError> {
        if !self.check(evaluator)? {
            return Ok(Vec::new());
        }
        let group_of: Vec<usize> = input
            .iter()
            .map(|one| groups.of_labels(&one.labels, false))
            .collect();
        let mut walkers: Vec<Walker<'_>> = input.iter().map(Walker::new).collect();
        let mut collector = Collector::new(evaluator, steps);
        let mut slots = vec![None; input.len()];
        let ratios: Vec<f64> = if self.op == AggregateOp::LimitRatio {
            input
                .iter()
                .map(|one| one.labels.hash64() as f64 / u64::MAX as f64)
                .collect()
        } else {
            Vec::new()
        };
        for (step, time) in steps.iter().enumerate() {
            evaluator.spend(input.len() + 1)?;
            let parameter = self.parameters.get(step).copied().unwrap_or(0.0);
            let k = (parameter as i64).min(input.len() as i64);
            let picks_none = if self.op == AggregateOp::LimitRatio {
                parameter == 0.0
            } else {
                k < 1
            };
            let mut picked: Vec<Vec<Candidate<'_>>> = vec![Vec::new(); groups.labels.len()];
            for (i, (walker, group)) in walkers.iter_mut().zip(&group_of).enumerate() {
                let (Some(value), false, Some(picked)) =
                    (walker.at(time), picks_none, picked.get_mut(*group))
                else {
                    continue;
                };
                match self.op {
                    AggregateOp::Topk | AggregateOp::Bottomk => match value {
                        PointValue::Float(_) => picked.push((i, value)),
                        PointValue::Histogram(_) => {
                            let note = Note::HistogramIgnoredInAggregation {
                                aggregation: self.op.text(),
                            };
                            evaluator.note(note, self.span);
                        }
                    },
                    AggregateOp::LimitRatio => {
                        let offset = ratios.get(i).copied().unwrap_or(0.0);
                        let limit = parameter.clamp(-1.0, 1.0);
                        if (limit >= 0.0 && offset < limit)
                            || (limit < 0.0 && offset >= 1.0 + limit)
                        {
                            picked.push((i, value));
                        }
                    }
                    _ => {
                        if (picked.len() as i64) < k {
                            picked.push((i, value));
                        }
                    }
                }
            }
            for mut candidates in picked {
                if matches!(self.op, AggregateOp::Topk | AggregateOp::Bottomk) {
                    let descending = self.op == AggregateOp::Topk;
                    candidates.sort_by(|(_, a), (_, b)| nan_last(float(*a), float(*b), descending));
                    candidates.truncate(usize::try_from(k).unwrap_or(0));
                }
                for (i, value) in candidates {
                    let (Some(one), Some(slot)) = (input.get(i), slots.get_mut(i)) else {
                        continue;
                    };
                    let slot =
                        *slot.get_or_insert_with(|| collector.slot(&one.labels, one.drop_name));
                    collector.push(slot, time, value)?;
                }
            }
        }
        Ok(collector.finish())
    }
}

fn float(value: PointValue<'_>) -> f64 {
    match value {
        PointValue::Float(value) => value,
        PointValue::Histogram(_) => f64::NAN,
    }
}

fn count_values(
    evaluator: &mut Evaluator<'_>,
    plan: &AggregatePlan<'_>,
    steps: Steps,
) -> Result<Vec<Series>, EvalError> {
    let name = match plan.parameter.as_ref().map(|parameter| &parameter.kind) {
        Some(NodeKind::Text(name)) => *name,
        _ => "",
    };
    if !is_valid_name(name) {
        return Err(EvalError::execution(format!(
            "invalid label name {}",
            gofmt::quote(name)
        )));
    }
    let mut grouping = plan.grouping.to_vec();
    if !plan.without {
        grouping.push(name.to_owned());
    }
    let input = evaluator.eval(&plan.node, steps)?;
    let mut walkers: Vec<Walker<'_>> = input.iter().map(Walker::new).collect();
    let mut collector = Collector::new(evaluator, steps);
    for time in steps.iter() {
        evaluator.spend(input.len() + 1)?;
        let mut order: Vec<Labels> = Vec::new();
        let mut counts: BTreeMap<Labels, f64> = BTreeMap::new();
        for (one, walker) in input.iter().zip(&mut walkers) {
            let text = match walker.at(time) {
                None => continue,
                Some(PointValue::Float(value)) => gofmt::format_f(value),
                Some(PointValue::Histogram(histogram)) => histogram.to_string(),
            };
            let key = group_key(&one.labels.with(name, &text), plan.without, &grouping);
            let count = counts.entry(key).or_insert_with_key(|key| {
                order.push(key.clone());
                0.0
            });
            *count += 1.0;
        }
        for labels in order {
            let slot = collector.slot(&labels, false);
            collector.push(
                slot,
                time,
                PointValue::Float(counts.get(&labels).copied().unwrap_or(0.0)),
            )?;
        }
    }
    Ok(collector.finish())
}
