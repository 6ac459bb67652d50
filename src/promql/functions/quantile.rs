//! Quantiles and fractions: of floats, of classic buckets, of native histograms.

use crate::promql::annotations::{Annotations, Monotonicity, Note};
use crate::promql::ast::Span;
use crate::promql::histogram::{Bounded, Histogram};
use crate::promql::series::is_stale;

/// Differences between neighbouring bucket counts below this share are rounding errors.
const SMALL_DELTA_TOLERANCE: f64 = 1e-12;

/// Whether two floats differ by less than `tolerance` of their sum; NaN equals NaN.
pub fn almost_equal(a: f64, b: f64, tolerance: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if (a.is_nan() && b.is_nan()) || a == b {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < tolerance * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < tolerance
}

/// The quantile of values, between neighbours by weight. Sorts the values, NaN first.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(|a, b| match (a.is_nan(), b.is_nan()) {
        (true, true) => std::cmp::Ordering::Equal,
        (true, false) => std::cmp::Ordering::Less,
        (false, true) => std::cmp::Ordering::Greater,
        (false, false) => a.total_cmp(b),
    });
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = (rank.floor() as usize).min(last);
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// A bucket of a classic histogram: observations up to a bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ClassicBucket {
    pub upper: f64,
    pub count: f64,
}

/// Sorts by bound and joins equal bounds. `None` without a bucket for +Inf.
fn prepare(buckets: &mut Vec<ClassicBucket>) -> Option<()> {
    buckets.sort_by(|a, b| {
        a.upper
            .partial_cmp(&b.upper)
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    if buckets.last()?.upper != f64::INFINITY {
        return None;
    }
    buckets.dedup_by(|next, kept| {
        let same = next.upper == kept.upper;
        if same {
            kept.count += next.count;
        }
        same
    });
    Some(())
}

/// Makes counts grow with their bounds; tells how far they had to be changed beyond rounding.
fn make_monotonic(buckets: &mut [ClassicBucket], time: i64) -> Option<Monotonicity> {
    let mut forced: Option<Monotonicity> = None;
    let mut previous = buckets.first()?.count;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        if count == previous {
            continue;
        }
        if almost_equal(previous, count, SMALL_DELTA_TOLERANCE) {
            bucket.count = previous;
        } else if count < previous {
            bucket.count = previous;
            let extent = forced.get_or_insert(Monotonicity {
                min_time: time,
                max_time: time,
                min_bucket: f64::INFINITY,
                max_bucket: f64::NEG_INFINITY,
                max_diff: 0.0,
                merges: 0,
            });
            extent.min_bucket = extent.min_bucket.min(bucket.upper);
            extent.max_bucket = extent.max_bucket.max(bucket.upper);
            extent.max_diff = extent.max_diff.max(previous - count);
        } else {
            previous = count;
        }
    }
    forced
}

/// `histogram_quantile` of classic buckets.
pub(crate) fn classic_quantile(
    q: f64,
    buckets: &mut Vec<ClassicBucket>,
    time: i64,
) -> (f64, Option<Monotonicity>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if prepare(buckets).is_none() {
        return (f64::NAN, None);
    }
    let forced = make_monotonic(buckets, time);
    let [lower @ .., last] = buckets.as_slice() else {
        return (f64::NAN, forced);
    };
    let Some(highest) = lower.last() else {
        return (f64::NAN, forced);
    };
    if last.count == 0.0 {
        return (f64::NAN, forced);
    }
    let rank = q * last.count;
    let at = lower.partition_point(|bucket| is_short_of(bucket.count, rank));
    let value = match lower.get(at) {
        // In the last bucket: its lower bound is all that is known.
        None => highest.upper,
        Some(bucket) if at == 0 && bucket.upper <= 0.0 => bucket.upper,
        Some(bucket) => {
            let below = at.checked_sub(1).and_then(|i| lower.get(i));
            let (start, count_below) = below.map_or((0.0, 0.0), |b| (b.upper, b.count));
            let (rank, count) = (rank - count_below, bucket.count - count_below);
            start + (bucket.upper - start) * (rank / count)
        }
    };
    (value, forced)
}

/// `histogram_fraction` of classic buckets.
pub(crate) fn classic_fraction(lower: f64, upper: f64, buckets: &mut Vec<ClassicBucket>) -> f64 {
    if prepare(buckets).is_none() {
        return f64::NAN;
    }
    let count = buckets.last().map_or(0.0, |bucket| bucket.count);
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let mut bound_below = if buckets.first().is_some_and(|first| first.upper <= 0.0) {
        f64::NEG_INFINITY
    } else {
        0.0
    };
    let mut rank = 0.0;
    let (mut lower_rank, mut upper_rank) = (None, None);
    for bucket in buckets.iter() {
        for (limit, found) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
            if found.is_some() {
                continue;
            }
            if bound_below >= limit {
                *found = Some(rank);
            } else if bucket.upper > limit {
                *found = Some(if bound_below == f64::NEG_INFINITY {
                    bucket.count
                } else {
                    rank + (bucket.count - rank) * (limit - bound_below)
                        / (bucket.upper - bound_below)
                });
            }
        }
        if lower_rank.is_some() && upper_rank.is_some() {
            break;
        }
        rank = bucket.count;
        bound_below = bucket.upper;
    }
    let settle = |found| settled(found, count);
    (settle(upper_rank) - settle(lower_rank)) / count
}

/// Not at least `rank`; a NaN never is.
fn is_short_of(count: f64, rank: f64) -> bool {
    let reached = count >= rank;
    !reached
}

/// The rank found for a limit, all observations if none was, or if it is beyond them.
fn settled(found: Option<f64>, count: f64) -> f64 {
    match found {
        Some(rank) if rank > count => count,
        Some(rank) => rank,
        None => count,
    }
}

/// A zero bucket of a histogram with buckets on one side only ends at 0.
fn clip_zero_bucket(histogram: &Histogram, bucket: &mut Bounded) {
    match (histogram.negative.is_empty(), histogram.positive.is_empty()) {
        (true, false) => bucket.lower = 0.0,
        (false, true) => bucket.upper = 0.0,
        (true, true) | (false, false) => {}
    }
}

/// `histogram_quantile` of a native histogram: linear within custom buckets and the zero bucket,
/// exponential within the others.
pub(crate) fn native_quantile(
    q: f64,
    histogram: &Histogram,
    metric: &str,
    span: Span,
    annotations: &mut Annotations,
) -> f64 {
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    if histogram.count == 0.0 || q.is_nan() {
        return f64::NAN;
    }
    let custom = histogram.uses_custom_buckets();
    // Observations of NaN count, but are in no bucket; they can only be left out at the top.
    let has_nans = histogram.sum.is_nan();
    let forward = has_nans || q < 0.5;
    let mut buckets = histogram.all_buckets();
    if !forward {
        buckets.reverse();
    }
    let mut rank = if forward {
        q * histogram.count
    } else {
        (1.0 - q) * histogram.count
    };
    let mut count = 0.0;
    let mut bucket = Bounded {
        lower: 0.0,
        upper: 0.0,
        lower_inclusive: false,
        upper_inclusive: false,
        count: 0.0,
    };
    let mut rest = buckets.iter();
    for candidate in rest.by_ref() {
        bucket = *candidate;
        if bucket.count == 0.0 {
            continue;
        }
        count += bucket.count;
        if count >= rank {
            break;
        }
    }
    if !custom && bucket.lower < 0.0 && bucket.upper > 0.0 {
        clip_zero_bucket(histogram, &mut bucket);
    } else if custom {
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return bucket.upper;
            }
            bucket.lower = 0.0;
        } else if bucket.upper == f64::INFINITY {
            return bucket.lower;
        }
    }
    if count > histogram.count {
        count = histogram.count;
    }
    let metric_owned = || metric.to_owned();
    if count < rank {
        if has_nans {
            annotations.add(
                Note::QuantileOfNans {
                    metric: metric_owned(),
                },
                span,
            );
            return f64::NAN;
        }
        return bucket.upper;
    }
    if forward {
        rank -= count - bucket.count;
    } else {
        rank = count - rank;
    }
    if has_nans {
        // As in the reference, the last bucket walked over also serves for what follows.
        for other in rest {
            bucket = *other;
            count += other.count;
        }
        if count < histogram.count {
            annotations.add(
                Note::QuantileSkewedByNans {
                    metric: metric_owned(),
                },
                span,
            );
        }
    }
    let fraction = rank / bucket.count;
    if custom || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
        return bucket.lower + (bucket.upper - bucket.lower) * fraction;
    }
    let (log_lower, log_upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
    if bucket.lower > 0.0 {
        (log_lower + (log_upper - log_lower) * fraction).exp2()
    } else {
        -(log_upper + (log_lower - log_upper) * (1.0 - fraction)).exp2()
    }
}

/// `histogram_fraction` of a native histogram.
pub(crate) fn native_fraction(
    lower: f64,
    upper: f64,
    histogram: &Histogram,
    metric: &str,
    span: Span,
    annotations: &mut Annotations,
) -> f64 {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let custom = histogram.uses_custom_buckets();
    let (mut count, mut rank) = (0.0, 0.0);
    let (mut lower_rank, mut upper_rank) = (None, None);
    let buckets = histogram.all_buckets();
    let mut rest = buckets.iter();
    for bucket in rest.by_ref() {
        let mut bucket = *bucket;
        count += bucket.count;
        let zero = bucket.lower <= 0.0 && bucket.upper >= 0.0;
        if zero {
            clip_zero_bucket(histogram, &mut bucket);
        }
        for (limit, found) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
            if found.is_some() {
                continue;
            }
            if bucket.lower >= limit {
                *found = Some(rank);
            } else if bucket.lower < limit && bucket.upper > limit {
                let linear = custom || zero;
                *found = Some(if linear && bucket.lower == f64::NEG_INFINITY {
                    bucket.count
                } else {
                    rank + bucket.count * bucket.fraction_below(limit, linear)
                });
            }
        }
        if lower_rank.is_some() && upper_rank.is_some() {
            break;
        }
        rank += bucket.count;
    }
    if histogram.sum.is_nan() {
        count += rest.map(|bucket| bucket.count).sum::<f64>();
        if count < histogram.count {
            annotations.add(
                Note::FractionWithoutNans {
                    metric: metric.to_owned(),
                },
                span,
            );
        }
    } else {
        count = histogram.count;
    }
    let settle = |found| settled(found, count);
    (settle(upper_rank) - settle(lower_rank)) / histogram.count
}
