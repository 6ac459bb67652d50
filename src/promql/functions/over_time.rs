//! Functions that boil a window of samples down to one value.

use super::FunctionId;
use super::quantile::quantile;
use super::rate::start_shows_reset;
use crate::promql::annotations::{Annotations, Note, Operation};
use crate::promql::ast::Extension;
use crate::promql::eval::{EvalError, RangeCall, RangeValue, Window};
use crate::promql::gofmt::format_f_precision;
use crate::promql::histogram::{
    Combined, Histogram, HistogramMean, IncompatibleSchemas, ResetHint,
};
use crate::promql::kahan;

/// Evaluates one of the functions of this family; others have no value here.
pub(crate) fn eval(
    call: &RangeCall<'_>,
    window: Window<'_>,
    annotations: &mut Annotations,
) -> Result<Option<RangeValue>, EvalError> {
    let Window {
        times,
        values,
        starts: _,
        falls: _,
        histograms,
    } = window;
    let float = |value: f64| Some(RangeValue::Float(value));
    Ok(match call.id {
        FunctionId::CountOverTime => float((times.len() + histograms.len()) as f64),
        FunctionId::PresentOverTime | FunctionId::AbsentOverTime => float(1.0),
        FunctionId::FirstOverTime => match (times.first(), histograms.first()) {
            (Some(t), Some(sample)) if *t >= sample.time => copied(&sample.histogram),
            (None, Some(sample)) => copied(&sample.histogram),
            (Some(_), _) => values.first().copied().and_then(float),
            (None, None) => None,
        },
        FunctionId::LastOverTime => match (times.last(), histograms.last()) {
            (Some(t), Some(sample)) if sample.time >= *t => copied(&sample.histogram),
            (None, Some(sample)) => copied(&sample.histogram),
            (Some(_), _) => values.last().copied().and_then(float),
            (None, None) => None,
        },
        FunctionId::TsOfFirstOverTime => {
            let first = times
                .first()
                .copied()
                .into_iter()
                .chain(histograms.first().map(|s| s.time))
                .min();
            first.and_then(|time| float(time as f64 / 1000.0))
        }
        FunctionId::TsOfLastOverTime => {
            // 0 stands for "none" on either side.
            let last = times
                .last()
                .copied()
                .unwrap_or(0)
                .max(histograms.last().map_or(0, |s| s.time));
            float(last as f64 / 1000.0)
        }
        FunctionId::SumOverTime | FunctionId::AvgOverTime => {
            return Ok(sum_or_mean(call, window, annotations));
        }
        FunctionId::MinOverTime => {
            extreme(call, window, annotations, |new, old| new < old).map(|(v, _)| v)
        }
        FunctionId::MaxOverTime => {
            extreme(call, window, annotations, |new, old| new > old).map(|(v, _)| v)
        }
        FunctionId::TsOfMinOverTime => {
            extreme(call, window, annotations, |new, old| new <= old).map(|(_, t)| t)
        }
        FunctionId::TsOfMaxOverTime => {
            extreme(call, window, annotations, |new, old| new >= old).map(|(_, t)| t)
        }
        FunctionId::StddevOverTime | FunctionId::StdvarOverTime => {
            if values.is_empty() {
                return Ok(None);
            }
            note_ignored_histograms(call, window, annotations);
            let variance = variance(values);
            float(if call.id == FunctionId::StddevOverTime {
                variance.sqrt()
            } else {
                variance
            })
        }
        FunctionId::QuantileOverTime => {
            let q = call.scalars.first().copied().unwrap_or(f64::NAN);
            if values.is_empty() {
                return Ok(None);
            }
            if !(0.0..=1.0).contains(&q) {
                annotations.add(Note::InvalidQuantile(q), call.span);
            }
            note_ignored_histograms(call, window, annotations);
            float(quantile(q, &mut values.to_vec()))
        }
        FunctionId::MadOverTime => {
            if values.is_empty() {
                return Ok(None);
            }
            note_ignored_histograms(call, window, annotations);
            if values.iter().any(|value| value.is_nan()) {
                return Ok(float(f64::NAN));
            }
            let mut sorted = values.to_vec();
            let median = quantile(0.5, &mut sorted);
            let mut deviations: Vec<f64> =
                values.iter().map(|value| (value - median).abs()).collect();
            float(quantile(0.5, &mut deviations))
        }
        FunctionId::Deriv | FunctionId::PredictLinear => {
            if !enough_floats(call, window, annotations) {
                return Ok(None);
            }
            note_ignored_histograms(call, window, annotations);
            if call.id == FunctionId::Deriv {
                let origin = times.first().copied().unwrap_or(0);
                float(linear_regression(times, values, origin).0)
            } else {
                let ahead = call.scalars.first().copied().unwrap_or(f64::NAN);
                let (slope, intercept) = linear_regression(times, values, call.time);
                float(slope * ahead + intercept)
            }
        }
        FunctionId::DoubleExponentialSmoothing => {
            let [smoothing, trend] =
                [0, 1].map(|i| call.scalars.get(i).copied().unwrap_or(f64::NAN));
            for (name, symbol, factor) in [("smoothing", "sf", smoothing), ("trend", "tf", trend)] {
                if factor <= 0.0 || factor >= 1.0 {
                    return Err(EvalError::execution(format!(
                        "invalid {name} factor. Expected: 0 < {symbol} < 1, got: {}",
                        format_f_precision(factor, 6)
                    )));
                }
            }
            if !enough_floats(call, window, annotations) {
                return Ok(None);
            }
            note_ignored_histograms(call, window, annotations);
            float(double_exponential_smoothing(values, smoothing, trend))
        }
        FunctionId::Resets | FunctionId::Changes => count_transitions(call, window),
        _ => None,
    })
}

fn copied(histogram: &Histogram) -> Option<RangeValue> {
    Some(RangeValue::Histogram(histogram.clone()))
}

fn note_ignored_histograms(
    call: &RangeCall<'_>,
    window: Window<'_>,
    annotations: &mut Annotations,
) {
    if !window.histograms.is_empty() {
        let note = Note::HistogramIgnoredInMixedRange {
            metric: call.metric(),
        };
        annotations.add(note, call.span);
    }
}

/// Two floats at least; a single one beside histograms is remarked on.
fn enough_floats(call: &RangeCall<'_>, window: Window<'_>, annotations: &mut Annotations) -> bool {
    if window.values.len() == 1 {
        note_ignored_histograms(call, window, annotations);
    }
    window.values.len() >= 2
}

/// The value that beats all others and its time; a NaN is beaten by anything.
fn extreme(
    call: &RangeCall<'_>,
    window: Window<'_>,
    annotations: &mut Annotations,
    beats: impl Fn(f64, f64) -> bool,
) -> Option<(RangeValue, RangeValue)> {
    let (mut best, mut best_time) = (*window.values.first()?, *window.times.first()?);
    note_ignored_histograms(call, window, annotations);
    for (value, time) in window.values.iter().zip(window.times) {
        if beats(*value, best) || best.is_nan() {
            (best, best_time) = (*value, *time);
        }
    }
    Some((
        RangeValue::Float(best),
        RangeValue::Float(best_time as f64 / 1000.0),
    ))
}

fn variance(values: &[f64]) -> f64 {
    let mut count = 0.0;
    let mut mean = kahan::Sum::default();
    let mut squares = kahan::Sum::default();
    for value in values {
        count += 1.0;
        let delta = value - mean.total();
        mean.add(delta / count);
        squares.add(delta * (value - mean.total()));
    }
    squares.total() / count
}

/// Slope per second and value at `origin` of the least-squares line.
fn linear_regression(times: &[i64], values: &[f64], origin: i64) -> (f64, f64) {
    let Some(first) = values.first() else {
        return (f64::NAN, f64::NAN);
    };
    if values.iter().skip(1).all(|value| value == first) {
        return if first.is_infinite() {
            (f64::NAN, f64::NAN)
        } else {
            (0.0, *first)
        };
    }
    let n = values.len() as f64;
    let [mut sum_x, mut sum_y, mut sum_xy, mut sum_xx] = [kahan::Sum::default(); 4];
    for (time, y) in times.iter().zip(values) {
        let x = (time - origin) as f64 / 1e3;
        sum_x.add(x);
        sum_y.add(*y);
        sum_xy.add(x * y);
        sum_xx.add(x * x);
    }
    let (x, y, xy, xx) = (sum_x.total(), sum_y.total(), sum_xy.total(), sum_xx.total());
    let slope = (xy - x * y / n) / (xx - x * x / n);
    (slope, y / n - slope * x / n)
}

fn double_exponential_smoothing(values: &[f64], smoothing: f64, trend: f64) -> f64 {
    let [first, second, ..] = values else {
        return f64::NAN;
    };
    let (mut before, mut level, mut slope) = (0.0, *first, second - first);
    for (i, value) in values.iter().enumerate().skip(1) {
        if i > 1 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        let next = smoothing * value + (1.0 - smoothing) * (level + slope);
        (before, level) = (level, next);
    }
    level
}

fn sum_or_mean(
    call: &RangeCall<'_>,
    window: Window<'_>,
    annotations: &mut Annotations,
) -> Option<RangeValue> {
    let Window {
        times: _,
        values,
        starts: _,
        falls: _,
        histograms,
    } = window;
    let is_mean = call.id == FunctionId::AvgOverTime;
    if !values.is_empty() && !histograms.is_empty() {
        annotations.add(
            Note::MixedFloatsHistograms {
                metric: call.metric(),
            },
            call.span,
        );
        return None;
    }
    if let Some((first, rest)) = values.split_first() {
        if is_mean {
            let mut mean = kahan::Mean::new(*first);
            for value in rest {
                mean.add(*value);
            }
            return Some(RangeValue::Float(mean.value()));
        }
        let mut sum = kahan::Sum::default();
        for value in values {
            sum.add(*value);
        }
        return Some(RangeValue::Float(if sum.sum.is_infinite() {
            sum.sum
        } else {
            sum.total()
        }));
    }
    let (first, rest) = histograms.split_first()?;
    let hint_seen = |hint| {
        histograms
            .iter()
            .any(|sample| sample.histogram.hint == hint)
    };
    let mut reconciled = false;
    let mut note = |combined: Combined| reconciled |= combined.bounds_reconciled;
    let result: Result<Histogram, IncompatibleSchemas> = (|| {
        if is_mean {
            let mut mean = HistogramMean::new(Histogram::clone(&first.histogram));
            for sample in rest {
                note(mean.add(&sample.histogram)?);
            }
            return Ok(mean.finish());
        }
        let mut sum = Histogram::clone(&first.histogram);
        let mut compensation = None;
        for sample in rest {
            note(sum.kahan_add(&sample.histogram, &mut compensation)?);
        }
        if let Some(compensation) = &compensation {
            sum.settle(compensation);
        }
        Ok(sum)
    })();
    let Ok(histogram) = result else {
        annotations.add(
            Note::MixedExponentialCustom {
                metric: call.metric(),
            },
            call.span,
        );
        return None;
    };
    if hint_seen(ResetHint::Reset) && hint_seen(ResetHint::NotReset) {
        annotations.add(Note::ResetCollision(Operation::Aggregation), call.span);
    }
    if reconciled {
        annotations.add(
            Note::MismatchedCustomBuckets(Operation::Aggregation),
            call.span,
        );
    }
    Some(RangeValue::Histogram(histogram))
}

/// One sample of either kind.
#[derive(Clone, Copy)]
enum Either<'a> {
    Float(f64),
    Histogram(&'a Histogram),
}

/// `resets` and `changes`: transitions between neighbours of either kind.
fn count_transitions(call: &RangeCall<'_>, window: Window<'_>) -> Option<RangeValue> {
    let Window {
        times,
        values,
        starts,
        falls: _,
        histograms,
    } = window;
    let mut samples: Vec<(i64, i64, Either<'_>)> =
        Vec::with_capacity(times.len() + histograms.len());
    let mut floats = times.iter().zip(values).enumerate().peekable();
    for sample in histograms {
        while let Some((i, (time, value))) = floats.next_if(|(_, (time, _))| **time <= sample.time)
        {
            samples.push((
                *time,
                starts.get(i).copied().unwrap_or(0),
                Either::Float(*value),
            ));
        }
        samples.push((
            sample.time,
            sample.start,
            Either::Histogram(&sample.histogram),
        ));
    }
    for (i, (time, value)) in floats {
        samples.push((
            *time,
            starts.get(i).copied().unwrap_or(0),
            Either::Float(*value),
        ));
    }
    if call.extension == Extension::Anchored {
        // The last sample at or before the window's start is what the rest is compared with.
        let after = samples.partition_point(|(time, _, _)| *time <= call.start);
        if after == samples.len() {
            return None;
        }
        samples.drain(..after.saturating_sub(1));
    }
    let resets = call.id == FunctionId::Resets;
    let by_start = |before: (i64, i64), after: (i64, i64)| {
        call.use_starts && start_shows_reset((before.1, before.0), (after.1, after.0))
    };
    let count = samples
        .windows(2)
        .filter(|pair| {
            let ((t0, s0, before), (t1, s1, after)) = (pair[0], pair[1]);
            match (before, after) {
                (Either::Float(a), Either::Float(b)) if resets => {
                    b < a || by_start((t0, s0), (t1, s1))
                }
                (Either::Float(a), Either::Float(b)) => b != a && !(a.is_nan() && b.is_nan()),
                (Either::Histogram(a), Either::Histogram(b)) if resets => {
                    by_start((t0, s0), (t1, s1)) || b.detect_reset(a)
                }
                (Either::Histogram(a), Either::Histogram(b)) => !b.same_data(a),
                (Either::Float(_), Either::Histogram(_))
                | (Either::Histogram(_), Either::Float(_)) => true,
            }
        })
        .count();
    Some(RangeValue::Float(count as f64))
}
