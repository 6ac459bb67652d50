//! Native histograms with float counts: exponential buckets (schemas -4 to 8) and custom bounds
//! (schema -53).
//!
//! A side is a list of `(index, count)` sorted by index. A bucket may be present with count 0,
//! as in Prometheus' span layout; `compact` removes such buckets.

mod arithmetic;
mod trim;

use std::fmt;
use std::sync::Arc;

pub use arithmetic::{Combined, Compensation, HistogramMean, IncompatibleSchemas};

use super::{gofmt, kahan};

/// The schema number of histograms with custom bounds.
pub const CUSTOM_SCHEMA: i32 = -53;

/// What is known about a counter reset between a histogram and the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ResetHint {
    #[default]
    Unknown,
    Reset,
    NotReset,
    Gauge,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    pub index: i32,
    pub count: f64,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct Histogram {
    pub hint: ResetHint,
    pub schema: i32,
    /// Half the width of the zero bucket.
    pub zero_threshold: f64,
    pub zero_count: f64,
    pub count: f64,
    pub sum: f64,
    pub positive: Vec<Bucket>,
    pub negative: Vec<Bucket>,
    /// Upper bounds, without the last (+Inf); only with the custom schema.
    pub custom_bounds: Arc<[f64]>,
}

/// A bucket with its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounded {
    pub lower: f64,
    pub upper: f64,
    pub lower_inclusive: bool,
    pub upper_inclusive: bool,
    pub count: f64,
}

impl Bounded {
    /// The share of the bucket's width below `value`, which lies within finite bounds.
    pub fn fraction_below(&self, value: f64, linear: bool) -> f64 {
        if linear {
            return (value - self.lower) / (self.upper - self.lower);
        }
        let log_lower = self.lower.abs().log2();
        let log_upper = self.upper.abs().log2();
        let log_value = value.abs().log2();
        if value > 0.0 {
            (log_value - log_lower) / (log_upper - log_lower)
        } else {
            1.0 - (log_value - log_upper) / (log_lower - log_upper)
        }
    }
}

impl fmt::Display for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{},{}{}:{}",
            if self.lower_inclusive { '[' } else { '(' },
            gofmt::format_g(self.lower),
            gofmt::format_g(self.upper),
            if self.upper_inclusive { ']' } else { ')' },
            gofmt::format_g(self.count)
        )
    }
}

fn power_of_two(exponent: i64) -> f64 {
    match exponent {
        1024.. => f64::INFINITY,
        -1022..=1023 => f64::from_bits(((exponent + 1023) as u64) << 52),
        -1074..=-1023 => f64::from_bits(1u64 << (exponent + 1074)),
        _ => 0.0,
    }
}

/// The upper bound of the exponential bucket `index`, in absolute terms.
pub(crate) fn exponential_bound(index: i64, schema: i32) -> f64 {
    // The last regular bucket ends at the largest float, not at infinity.
    let schema = schema.clamp(-52, 52);
    if schema < 0 {
        let exponent = index.saturating_mul(1i64 << -schema);
        return if exponent == 1024 {
            f64::MAX
        } else {
            power_of_two(exponent)
        };
    }
    let steps = 1i64 << schema;
    let (whole, part) = (index.div_euclid(steps), index.rem_euclid(steps));
    if whole == 1024 && part == 0 {
        return f64::MAX;
    }
    if part == 0 {
        return power_of_two(whole);
    }
    let fraction = (part as f64 / steps as f64).exp2();
    if whole >= 1024 {
        f64::INFINITY
    } else {
        fraction * power_of_two(whole)
    }
}

impl Histogram {
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_SCHEMA
    }

    fn bound(&self, index: i64) -> f64 {
        if !self.uses_custom_buckets() {
            return exponential_bound(index, self.schema);
        }
        match usize::try_from(index) {
            Ok(index) => self
                .custom_bounds
                .get(index)
                .copied()
                .unwrap_or(f64::INFINITY),
            Err(_) => f64::NEG_INFINITY,
        }
    }

    fn bounded(&self, bucket: Bucket, positive: bool) -> Bounded {
        let index = i64::from(bucket.index);
        let (outer, inner) = (self.bound(index), self.bound(index - 1));
        let (lower, upper) = if positive {
            (inner, outer)
        } else {
            (-outer, -inner)
        };
        let custom = self.uses_custom_buckets();
        Bounded {
            lower,
            upper,
            lower_inclusive: if custom { index == 0 } else { lower < 0.0 },
            upper_inclusive: custom || upper > 0.0,
            count: bucket.count,
        }
    }

    fn positive_bounded(&self) -> impl DoubleEndedIterator<Item = Bounded> {
        self.positive
            .iter()
            .map(|bucket| self.bounded(*bucket, true))
    }

    /// From the zero bucket downwards.
    fn negative_bounded(&self) -> impl DoubleEndedIterator<Item = Bounded> {
        self.negative
            .iter()
            .map(|bucket| self.bounded(*bucket, false))
    }

    fn zero_bucket(&self) -> Bounded {
        Bounded {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
        }
    }

    /// All buckets in ascending order; those next to the zero bucket end at its threshold.
    pub fn all_buckets(&self) -> Vec<Bounded> {
        let clip = |mut bucket: Bounded| {
            if bucket.upper < 0.0 && bucket.upper > -self.zero_threshold {
                bucket.upper = -self.zero_threshold;
            } else if bucket.lower > 0.0 && bucket.lower < self.zero_threshold {
                bucket.lower = self.zero_threshold;
            }
            bucket
        };
        let mut buckets: Vec<Bounded> = self.negative_bounded().rev().map(clip).collect();
        if self.zero_count > 0.0 {
            buckets.push(self.zero_bucket());
        }
        buckets.extend(self.positive_bounded().map(clip));
        buckets
    }

    /// Removes buckets with count 0.
    pub fn compact(&mut self) {
        self.positive.retain(|bucket| bucket.count != 0.0);
        self.negative.retain(|bucket| bucket.count != 0.0);
    }

    /// Bit-equal counts in the same buckets. The reset hint does not matter, nor do empty buckets.
    pub fn same_data(&self, other: &Self) -> bool {
        let same_side = |a: &[Bucket], b: &[Bucket]| {
            let populated = |buckets: &[Bucket]| -> Vec<(i32, u64)> {
                buckets
                    .iter()
                    .filter(|b| b.count != 0.0)
                    .map(|b| (b.index, b.count.to_bits()))
                    .collect()
            };
            populated(a) == populated(b)
        };
        self.schema == other.schema
            && self.count.to_bits() == other.count.to_bits()
            && self.sum.to_bits() == other.sum.to_bits()
            && (!self.uses_custom_buckets() || self.custom_bounds == other.custom_bounds)
            && self.zero_threshold == other.zero_threshold
            && self.zero_count.to_bits() == other.zero_count.to_bits()
            && same_side(&self.negative, &other.negative)
            && same_side(&self.positive, &other.positive)
    }

    /// Size in units of one float sample (16 bytes), as Prometheus charges it to the query.
    pub fn sample_size(&self) -> usize {
        (self.size_in_bytes() + 8) / 16
    }

    pub(crate) fn size_in_bytes(&self) -> usize {
        let spans = |buckets: &[Bucket]| {
            usize::from(!buckets.is_empty())
                + buckets
                    .windows(2)
                    .filter(|pair| pair[0].index.saturating_add(1) != pair[1].index)
                    .count()
        };
        168 + 8
            * (spans(&self.positive)
                + spans(&self.negative)
                + self.positive.len()
                + self.negative.len()
                + self.custom_bounds.len())
    }

    /// Whether a count, the sum or a bound is infinite.
    pub fn has_overflow(&self) -> bool {
        self.zero_count.is_infinite()
            || self.count.is_infinite()
            || self.sum.is_infinite()
            || self
                .positive
                .iter()
                .chain(&self.negative)
                .any(|bucket| bucket.count.is_infinite())
            || self.custom_bounds.iter().any(|bound| bound.is_infinite())
    }

    /// Only count and sum, as `histogram_count` and its kin read histograms.
    pub fn stats_only(&self, hint: ResetHint) -> Self {
        Self {
            hint,
            schema: self.schema,
            count: self.count,
            sum: self.sum,
            ..Self::default()
        }
    }

    /// Whether a counter reset happened between `previous` and this histogram: by the hint, or
    /// because a count went down, or a bucket or the resolution changed as only a reset can.
    pub fn detect_reset(&self, previous: &Self) -> bool {
        match self.hint {
            ResetHint::Reset => return true,
            ResetHint::NotReset => return false,
            ResetHint::Unknown | ResetHint::Gauge => {}
        }
        if self.count < previous.count {
            return true;
        }
        if self.uses_custom_buckets() {
            if !previous.uses_custom_buckets() {
                return true;
            }
            if self.custom_bounds != previous.custom_bounds {
                return self.detect_reset_across_bounds(previous);
            }
        }
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let (previous_zero_count, threshold) = previous.zero_count_at(self.zero_threshold);
        if threshold != self.zero_threshold || self.zero_count < previous_zero_count {
            return true;
        }
        let decreased = |current: &[Bucket], earlier: &[Bucket]| {
            let current = self.above_zero_threshold(current.to_vec());
            let earlier = self.above_zero_threshold(arithmetic::reduced(
                earlier,
                previous.schema,
                self.schema,
            ));
            let mut current = current.iter().peekable();
            earlier.iter().any(|before| {
                while current.next_if(|now| now.index < before.index).is_some() {}
                match current.peek() {
                    Some(now) if now.index == before.index => now.count < before.count,
                    _ => before.count != 0.0,
                }
            })
        };
        decreased(&self.positive, &previous.positive)
            || decreased(&self.negative, &previous.negative)
    }

    fn above_zero_threshold(&self, mut buckets: Vec<Bucket>) -> Vec<Bucket> {
        if self.zero_threshold != 0.0 && !self.uses_custom_buckets() {
            let first = buckets
                .iter()
                .position(|b| {
                    exponential_bound(i64::from(b.index), self.schema) > self.zero_threshold
                })
                .unwrap_or(buckets.len());
            buckets.drain(..first);
        }
        buckets
    }

    /// Compares two custom layouts at the bounds they share.
    fn detect_reset_across_bounds(&self, previous: &Self) -> bool {
        let shared = arithmetic::shared_bounds(&self.custom_bounds, &previous.custom_bounds);
        let bounds = shared.iter().copied().chain(std::iter::once(f64::INFINITY));
        let mut lower = f64::NEG_INFINITY;
        let population = |h: &Self, lower: f64, upper: f64| -> f64 {
            h.positive_bounded()
                .filter(|b| b.upper > lower && b.upper <= upper)
                .map(|b| b.count)
                .sum()
        };
        for upper in bounds {
            if population(self, lower, upper) < population(previous, lower, upper) {
                return true;
            }
            lower = upper;
        }
        false
    }

    /// The zero count if the zero bucket reached to `threshold`, which is not below the present
    /// one. A threshold inside a populated bucket moves to that bucket's outer bound.
    fn zero_count_at(&self, threshold: f64) -> (f64, f64) {
        let (count, threshold, _) = self.zero_count_with(threshold, None);
        (count, threshold)
    }

    fn zero_count_with(&self, mut threshold: f64, comp: Option<&Compensation>) -> (f64, f64, f64) {
        let mut compensation = comp.map_or(0.0, |c| c.zero_count);
        if threshold <= self.zero_threshold {
            return (self.zero_count, threshold, compensation);
        }
        loop {
            let mut count = self.zero_count;
            let mut merge = |bucket: f64, c: Option<&f64>, count: &mut f64| {
                (*count, compensation) = kahan::add(bucket, *count, compensation);
                if let Some(c) = c {
                    (*count, compensation) = kahan::add(*c, *count, compensation);
                }
            };
            for (i, bucket) in self.positive_bounded().enumerate() {
                if bucket.lower >= threshold {
                    break;
                }
                merge(
                    bucket.count,
                    comp.and_then(|c| c.positive.get(i)),
                    &mut count,
                );
                if bucket.upper > threshold {
                    if bucket.count != 0.0 {
                        threshold = bucket.upper;
                    }
                    break;
                }
            }
            let mut grown = false;
            for (i, bucket) in self.negative_bounded().enumerate() {
                if bucket.upper <= -threshold {
                    break;
                }
                merge(
                    bucket.count,
                    comp.and_then(|c| c.negative.get(i)),
                    &mut count,
                );
                if bucket.lower < -threshold {
                    if bucket.count != 0.0 {
                        threshold = -bucket.lower;
                        grown = true;
                    }
                    break;
                }
            }
            if !grown {
                return (count, threshold, compensation);
            }
        }
    }

    /// In the load notation: `{{schema:1 count:3 buckets:[1 2]}}`.
    pub fn to_notation(&self) -> String {
        let mut parts = Vec::new();
        if self.schema != 0 {
            parts.push(format!("schema:{}", self.schema));
        }
        for (key, value) in [
            ("count", self.count),
            ("sum", self.sum),
            ("z_bucket", self.zero_count),
            ("z_bucket_w", self.zero_threshold),
        ] {
            if value != 0.0 {
                parts.push(format!("{key}:{}", gofmt::format_g(value)));
            }
        }
        let list = |values: &mut dyn Iterator<Item = f64>| {
            let texts: Vec<String> = values.map(gofmt::format_g).collect();
            format!("[{}]", texts.join(" "))
        };
        if self.uses_custom_buckets() {
            parts.push(format!(
                "custom_values:{}",
                list(&mut self.custom_bounds.iter().copied())
            ));
        }
        match self.hint {
            ResetHint::Unknown => {}
            ResetHint::Reset => parts.push("counter_reset_hint:reset".to_owned()),
            ResetHint::NotReset => parts.push("counter_reset_hint:not_reset".to_owned()),
            ResetHint::Gauge => parts.push("counter_reset_hint:gauge".to_owned()),
        }
        for (side, buckets_key, offset_key) in [
            (&self.positive, "buckets", "offset"),
            (&self.negative, "n_buckets", "n_offset"),
        ] {
            let populated: Vec<&Bucket> =
                side.iter().filter(|bucket| bucket.count != 0.0).collect();
            let (Some(first), Some(last)) = (populated.first(), populated.last()) else {
                continue;
            };
            if first.index != 0 {
                parts.push(format!("{offset_key}:{}", first.index));
            }
            // Far apart buckets would need endless zeros; no real histogram has them.
            let width = i64::from(last.index) - i64::from(first.index) + 1;
            let mut dense = vec![0.0; usize::try_from(width).unwrap_or(0).min(1 << 16)];
            for bucket in &populated {
                let at = i64::from(bucket.index) - i64::from(first.index);
                if let Some(slot) = usize::try_from(at).ok().and_then(|at| dense.get_mut(at)) {
                    *slot = bucket.count;
                }
            }
            parts.push(format!("{buckets_key}:{}", list(&mut dense.into_iter())));
        }
        format!("{{{{{}}}}}", parts.join(" "))
    }
}

impl fmt::Display for Histogram {
    /// As `count_values` labels a histogram.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{{count:{}, sum:{}",
            gofmt::format_g(self.count),
            gofmt::format_g(self.sum)
        )?;
        for bucket in self
            .negative_bounded()
            .rev()
            .filter(|bucket| bucket.count != 0.0)
        {
            write!(f, ", {bucket}")?;
        }
        if self.zero_count != 0.0 {
            write!(f, ", {}", self.zero_bucket())?;
        }
        for bucket in self.positive_bounded().filter(|bucket| bucket.count != 0.0) {
            write!(f, ", {bucket}")?;
        }
        f.write_str("}")
    }
}
