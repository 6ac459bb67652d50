//! Aggregations: one value a group (`sum`), or some of a group's series (`topk`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::annotations::{Note, Operation};
use super::ast::{AggregateOp, Span};
use super::eval::plan::{AggregatePlan, NodeKind, go_max, go_min};
use super::eval::{
    Collector, EvalError, Evaluator, FloatPoint, HistogramPoint, PointValue, Series, Steps, Walker,
};
use super::functions::ordering::nan_last;
use super::functions::quantile::quantile;
use super::histogram::{Compensation, Histogram, HistogramMean, ResetHint};
use super::labels::{Labels, is_valid_name};
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
    let input = evaluator.eval(&plan.node, steps)?;
    let groups = Groups::of(&input, plan.without, plan.grouping);
    match plan.op {
        AggregateOp::Topk
        | AggregateOp::Bottomk
        | AggregateOp::Limitk
        | AggregateOp::LimitRatio => {
            let selection = Selection {
                op: plan.op,
                parameters,
                span,
                parameter_span,
            };
            selection.eval(evaluator, &input, &groups, steps)
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
        | AggregateOp::Sum => {
            if plan.op == AggregateOp::Quantile {
                check_quantiles(evaluator, &parameters, parameter_span);
            }
            reduce(evaluator, plan, &parameters, &input, &groups, steps)
        }
    }
}

/// Which group each input series belongs to; groups in the order they come up.
struct Groups {
    labels: Vec<Labels>,
    of_series: Vec<usize>,
}

impl Groups {
    fn of(input: &[Series], without: bool, grouping: &[String]) -> Self {
        let mut index: BTreeMap<Labels, usize> = BTreeMap::new();
        let mut labels: Vec<Labels> = Vec::new();
        let of_series = input
            .iter()
            .map(|one| {
                let key = group_key(&one.labels, without, grouping);
                *index.entry(key).or_insert_with_key(|key| {
                    labels.push(key.clone());
                    labels.len() - 1
                })
            })
            .collect();
        Self { labels, of_series }
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
    value: f64,
    mean: f64,
    compensation: f64,
    floats: Option<kahan::Mean>,
    histograms: Option<Box<Histograms>>,
    values: Vec<f64>,
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

fn reduce(
    evaluator: &mut Evaluator<'_>,
    plan: &AggregatePlan<'_>,
    parameters: &[f64],
    input: &[Series],
    groups: &Groups,
    steps: Steps,
) -> Result<Vec<Series>, EvalError> {
    let count = steps.count();
    let span = plan.node.span;
    evaluator.spend(groups.labels.len().saturating_mul(count))?;
    let mut rows: Vec<Vec<Accumulator>> = Vec::with_capacity(groups.labels.len());
    for _ in &groups.labels {
        rows.push(
            std::iter::repeat_with(Accumulator::default)
                .take(count)
                .collect(),
        );
    }
    for (one, group) in input.iter().zip(&groups.of_series) {
        evaluator.spend(one.floats.len() + one.histograms.len())?;
        let Some(row) = rows.get_mut(*group) else {
            continue;
        };
        for point in &one.floats {
            if let Some(accumulator) = row.get_mut(steps.index(point.time)) {
                add_float(plan.op, accumulator, point.value, one.drop_name);
            }
        }
        for point in &one.histograms {
            if let Some(accumulator) = row.get_mut(steps.index(point.time)) {
                add_histogram(evaluator, plan.op, accumulator, &point.histogram, one, span);
            }
        }
    }
    let mut out = Vec::with_capacity(rows.len());
    for (labels, row) in groups.labels.iter().zip(rows) {
        let mut series = Series {
            labels: labels.clone(),
            ..Series::default()
        };
        for ((step, time), accumulator) in steps.iter().enumerate().zip(row) {
            if !accumulator.seen {
                continue;
            }
            let q = parameters.get(step).copied().unwrap_or(f64::NAN);
            let drop_name = accumulator.drop_name;
            match finish(evaluator, plan.op, accumulator, q, span) {
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
    Ok(out)
}

fn add_float(op: AggregateOp, group: &mut Accumulator, value: f64, drop_name: bool) {
    if group.incompatible {
        return;
    }
    let first = !group.seen;
    group.seen = true;
    group.drop_name |= drop_name;
    group.has_float = true;
    group.count += 1.0;
    match op {
        AggregateOp::Sum if first => group.value = value,
        AggregateOp::Sum => {
            (group.value, group.compensation) = kahan::add(value, group.value, group.compensation);
        }
        AggregateOp::Avg => match &mut group.floats {
            Some(mean) => mean.add(value),
            None => group.floats = Some(kahan::Mean::new(value)),
        },
        AggregateOp::Max if first || group.value < value || group.value.is_nan() => {
            group.value = value
        }
        AggregateOp::Min if first || group.value > value || group.value.is_nan() => {
            group.value = value
        }
        AggregateOp::Stddev | AggregateOp::Stdvar => {
            if first {
                group.mean = value;
                group.value = if value.is_finite() { 0.0 } else { f64::NAN };
            } else {
                let delta = value - group.mean;
                group.mean += delta / group.count;
                group.value += delta * (value - group.mean);
            }
        }
        AggregateOp::Quantile => group.values.push(value),
        AggregateOp::Max
        | AggregateOp::Min
        | AggregateOp::Count
        | AggregateOp::Group
        | AggregateOp::CountValues
        | AggregateOp::Topk
        | AggregateOp::Bottomk
        | AggregateOp::Limitk
        | AggregateOp::LimitRatio => {}
    }
}

fn add_histogram(
    evaluator: &mut Evaluator<'_>,
    op: AggregateOp,
    group: &mut Accumulator,
    histogram: &Arc<Histogram>,
    series: &Series,
    span: Span,
) {
    match op {
        AggregateOp::Max
        | AggregateOp::Min
        | AggregateOp::Stddev
        | AggregateOp::Stdvar
        | AggregateOp::Quantile => {
            evaluator.note(
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
                evaluator.note(Note::MismatchedCustomBuckets(Operation::Aggregation), span);
            }
        }
        Err(_) => {
            let metric = series.labels.metric_name().to_owned();
            evaluator.note(Note::MixedExponentialCustom { metric }, span);
            group.incompatible = true;
        }
    }
}

enum Finished {
    Float(f64),
    Histogram(Histogram),
}

fn finish(
    evaluator: &mut Evaluator<'_>,
    op: AggregateOp,
    group: Accumulator,
    q: f64,
    span: Span,
) -> Option<Finished> {
    if matches!(op, AggregateOp::Sum | AggregateOp::Avg) {
        if group.has_float && group.has_histogram {
            evaluator.note(Note::MixedFloatsHistogramsInAggregation, span);
            return None;
        }
        if group.incompatible {
            return None;
        }
        if group.reset_seen && group.no_reset_seen {
            evaluator.note(Note::ResetCollision(Operation::Aggregation), span);
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
        AggregateOp::Sum => group.value + group.compensation,
        AggregateOp::Avg => group.floats.map_or(f64::NAN, kahan::Mean::value),
        AggregateOp::Count => group.count,
        AggregateOp::Group => 1.0,
        AggregateOp::Stdvar => group.value / group.count,
        AggregateOp::Stddev => (group.value / group.count).sqrt(),
        AggregateOp::Quantile => {
            let mut values = group.values;
            quantile(q, &mut values)
        }
        AggregateOp::Max
        | AggregateOp::Min
        | AggregateOp::CountValues
        | AggregateOp::Topk
        | AggregateOp::Bottomk
        | AggregateOp::Limitk
        | AggregateOp::LimitRatio => group.value,
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
        groups: &Groups,
        steps: Steps,
    ) -> Result<Vec<Series>, EvalError> {
        if !self.check(evaluator)? {
            return Ok(Vec::new());
        }
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
            for (i, (walker, group)) in walkers.iter_mut().zip(&groups.of_series).enumerate() {
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
