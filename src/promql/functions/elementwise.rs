//! Functions of instant vectors and scalars that look at one element at a time, and the few that
//! only look at which elements there are.

use super::FunctionId;
use super::date;
use crate::promql::eval::plan::{Node, NodeKind, go_max, go_min};
use crate::promql::eval::{EvalError, Evaluator, FloatPoint, Series, Steps, constant_series};
use crate::promql::histogram::Histogram;
use crate::promql::kahan;
use crate::promql::labels::{Labels, METRIC_NAME, MatchOp};

/// Evaluates a call whose arguments are instant vectors and scalars.
pub(crate) fn eval(
    evaluator: &mut Evaluator<'_>,
    id: FunctionId,
    args: &[Node<'_>],
    steps: Steps,
) -> Result<Vec<Series>, EvalError> {
    match id {
        FunctionId::Time => {
            let floats = steps
                .iter()
                .map(|time| FloatPoint {
                    time,
                    value: time as f64 / 1000.0,
                })
                .collect();
            return Ok(vec![Series {
                floats,
                ..Series::default()
            }]);
        }
        FunctionId::Pi => return Ok(vec![constant_series(std::f64::consts::PI, steps)]),
        FunctionId::Vector => {
            return match args.first() {
                Some(arg) => evaluator.eval(arg, steps),
                None => Ok(Vec::new()),
            };
        }
        FunctionId::MaxOf | FunctionId::MinOf => {
            let pick = if id == FunctionId::MaxOf {
                go_max
            } else {
                go_min
            };
            let [a, b] = scalars(evaluator, args, steps)?;
            let floats = steps
                .iter()
                .zip(a.iter().zip(&b))
                .map(|(time, (a, b))| FloatPoint {
                    time,
                    value: pick(*a, *b),
                })
                .collect();
            return Ok(vec![Series {
                floats,
                ..Series::default()
            }]);
        }
        _ => {}
    }
    let Some(first) = args.first() else {
        // The date functions, of the evaluation time.
        let floats = steps
            .iter()
            .filter_map(|time| {
                Some(FloatPoint {
                    time,
                    value: date::part(id, (time / 1000) as f64)?,
                })
            })
            .collect();
        return Ok(vec![Series {
            floats,
            ..Series::default()
        }]);
    };
    let mut series = evaluator.eval(first, steps)?;
    let [a, b] = scalars(evaluator, args.get(1..).unwrap_or_default(), steps)?;
    let scalar =
        |values: &[f64], time: i64| values.get(steps.index(time)).copied().unwrap_or(f64::NAN);
    for one in &mut series {
        evaluator.drop_name(one);
        if let Some(of_histogram) = histogram_function(id) {
            let floats = one
                .histograms
                .iter()
                .map(|point| FloatPoint {
                    time: point.time,
                    value: of_histogram(&point.histogram),
                })
                .collect();
            one.floats = floats;
            one.histograms.clear();
            continue;
        }
        if id == FunctionId::Timestamp {
            // What was evaluated has the time of the step.
            let histogram_times = one.histograms.drain(..).map(|point| FloatPoint {
                time: point.time,
                value: 0.0,
            });
            one.floats.extend(histogram_times);
            one.floats.sort_by_key(|point| point.time);
            for point in &mut one.floats {
                point.value = point.time as f64 / 1000.0;
            }
            continue;
        }
        one.histograms.clear();
        one.floats.retain_mut(|point| {
            let v = point.value;
            let result = match id {
                FunctionId::Clamp | FunctionId::ClampMin | FunctionId::ClampMax => {
                    let (low, high) = match id {
                        FunctionId::Clamp => (scalar(&a, point.time), scalar(&b, point.time)),
                        FunctionId::ClampMin => (scalar(&a, point.time), f64::INFINITY),
                        _ => (f64::NEG_INFINITY, scalar(&a, point.time)),
                    };
                    if high < low {
                        None
                    } else {
                        Some(go_max(low, go_min(high, v)))
                    }
                }
                FunctionId::Round => {
                    let nearest = if args.len() > 1 {
                        scalar(&a, point.time)
                    } else {
                        1.0
                    };
                    let inverse = 1.0 / nearest;
                    Some((v * inverse + 0.5).floor() / inverse)
                }
                _ => float_function(id, v),
            };
            point.value = result.unwrap_or(f64::NAN);
            result.is_some()
        });
    }
    series.retain(|one| !one.is_empty());
    evaluator.resolve_collisions(series)
}

/// Up to two scalar arguments over the steps; absent ones are empty.
fn scalars(
    evaluator: &mut Evaluator<'_>,
    args: &[Node<'_>],
    steps: Steps,
) -> Result<[Vec<f64>; 2], EvalError> {
    let mut values = [Vec::new(), Vec::new()];
    for (slot, arg) in values.iter_mut().zip(args) {
        *slot = evaluator.eval_scalar(arg, steps)?;
    }
    Ok(values)
}

/// A function of one float. `None`: there is no such function, and no result.
fn float_function(id: FunctionId, v: f64) -> Option<f64> {
    Some(match id {
        FunctionId::Abs => v.abs(),
        FunctionId::Acos => v.acos(),
        FunctionId::Acosh => {
            // Exact near 1 and without overflow far from it.
            let t = v - 1.0;
            if v > 1e8 {
                v.ln() + std::f64::consts::LN_2
            } else {
                (t + (2.0 * t + t * t).sqrt()).ln_1p()
            }
        }
        FunctionId::Asin => v.asin(),
        FunctionId::Asinh => v.asinh(),
        FunctionId::Atan => v.atan(),
        FunctionId::Atanh => v.atanh(),
        FunctionId::Ceil => v.ceil(),
        FunctionId::Cos => v.cos(),
        FunctionId::Cosh => v.cosh(),
        FunctionId::Deg => v * 180.0 / std::f64::consts::PI,
        FunctionId::Exp => v.exp(),
        FunctionId::Floor => v.floor(),
        FunctionId::Ln => v.ln(),
        FunctionId::Log10 => v.ln() * std::f64::consts::LOG10_E,
        FunctionId::Log2 => v.log2(),
        FunctionId::Rad => v * std::f64::consts::PI / 180.0,
        FunctionId::Sgn if v < 0.0 => -1.0,
        FunctionId::Sgn if v > 0.0 => 1.0,
        FunctionId::Sgn => v,
        FunctionId::Sin => v.sin(),
        FunctionId::Sinh => v.sinh(),
        FunctionId::Sqrt => v.sqrt(),
        FunctionId::Tan => v.tan(),
        FunctionId::Tanh => v.tanh(),
        _ => return date::part(id, v),
    })
}

fn histogram_function(id: FunctionId) -> Option<fn(&Histogram) -> f64> {
    Some(match id {
        FunctionId::HistogramCount => |h| h.count,
        FunctionId::HistogramSum => |h| h.sum,
        FunctionId::HistogramAvg => |h| h.sum / h.count,
        FunctionId::HistogramStddev => |h| variance(h).sqrt(),
        FunctionId::HistogramStdvar => variance,
        _ => return None,
    })
}

/// The estimated variance: each bucket's observations are taken to lie at its middle.
fn variance(histogram: &Histogram) -> f64 {
    let mean = histogram.sum / histogram.count;
    let mut variance = kahan::Sum::default();
    for bucket in histogram
        .all_buckets()
        .iter()
        .filter(|bucket| bucket.count != 0.0)
    {
        let middle = if histogram.uses_custom_buckets() {
            (bucket.upper + bucket.lower) / 2.0
        } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
            0.0
        } else {
            let middle = (bucket.upper * bucket.lower).sqrt();
            if bucket.upper < 0.0 { -middle } else { middle }
        };
        let delta = middle - mean;
        variance.add(bucket.count * delta * delta);
    }
    variance.total() / histogram.count
}

/// `scalar`: the only float of the vector, else NaN.
pub(crate) fn scalar(
    evaluator: &mut Evaluator<'_>,
    args: &[Node<'_>],
    steps: Steps,
) -> Result<Vec<Series>, EvalError> {
    let Some(arg) = args.first() else {
        return Ok(Vec::new());
    };
    let series = evaluator.eval(arg, steps)?;
    let mut found: Vec<(u32, f64)> = vec![(0, f64::NAN); steps.count()];
    for point in series.iter().flat_map(|one| &one.floats) {
        if let Some((count, value)) = found.get_mut(steps.index(point.time)) {
            *count += 1;
            *value = point.value;
        }
    }
    let floats = steps
        .iter()
        .zip(found)
        .map(|(time, (count, value))| FloatPoint {
            time,
            value: if count == 1 { value } else { f64::NAN },
        })
        .collect();
    Ok(vec![Series {
        floats,
        ..Series::default()
    }])
}

/// `absent`: 1 where the vector is empty.
pub(crate) fn absent(
    evaluator: &mut Evaluator<'_>,
    args: &[Node<'_>],
    steps: Steps,
) -> Result<Vec<Series>, EvalError> {
    let Some(arg) = args.first() else {
        return Ok(Vec::new());
    };
    let series = evaluator.eval(arg, steps)?;
    let mut present = vec![false; steps.count()];
    for one in &series {
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
        return Ok(Vec::new());
    }
    Ok(vec![Series {
        labels: absent_labels(arg),
        floats,
        ..Series::default()
    }])
}

/// The labels that a selector pins down by equality, each by one matcher.
pub(crate) fn absent_labels(node: &Node<'_>) -> Labels {
    let matchers = match &node.kind {
        NodeKind::Vector(selector) => selector.matchers,
        NodeKind::Matrix(range) => range.selector.matchers,
        _ => return Labels::default(),
    };
    let mut pinned: Vec<(&str, &str)> = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for matcher in matchers
        .iter()
        .filter(|matcher| matcher.name != METRIC_NAME)
    {
        let name = matcher.name.as_str();
        if matcher.op == MatchOp::Equal && !seen.contains(&name) {
            pinned.push((name, &matcher.value));
            seen.push(name);
        } else {
            pinned.retain(|(pinned_name, _)| *pinned_name != name);
        }
    }
    Labels::new(pinned)
}
