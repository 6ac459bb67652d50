//! Sums, differences and means of histograms, with layouts reconciled on the way: the coarser
//! schema, the wider zero bucket, the custom bounds both sides share.

use std::sync::Arc;

use super::{Bucket, Histogram, ResetHint, exponential_bound};
use crate::promql::kahan;

/// Exponential and custom buckets cannot be combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IncompatibleSchemas;

/// What happened while two histograms were combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[must_use]
pub struct Combined {
    /// One side claimed a counter reset, the other claimed none.
    pub reset_collision: bool,
    /// The custom bounds differed and only the shared ones were kept.
    pub bounds_reconciled: bool,
}

/// The compensation terms of a Kahan sum of histograms, bucket by bucket in the sum's layout.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Compensation {
    pub(super) zero_count: f64,
    count: f64,
    sum: f64,
    pub(super) positive: Vec<f64>,
    pub(super) negative: Vec<f64>,
}

impl Compensation {
    fn of(histogram: &Histogram) -> Self {
        Self {
            positive: vec![0.0; histogram.positive.len()],
            negative: vec![0.0; histogram.negative.len()],
            ..Self::default()
        }
    }

    fn scale(&mut self, scale: impl Fn(f64) -> f64) {
        for value in [&mut self.zero_count, &mut self.count, &mut self.sum]
            .into_iter()
            .chain(&mut self.positive)
            .chain(&mut self.negative)
        {
            *value = scale(*value);
        }
    }
}

/// The bounds in both lists.
pub(super) fn shared_bounds(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut shared = Vec::new();
    let (mut i, mut j) = (0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        if x == y {
            shared.push(*x);
        }
        i += usize::from(x <= y);
        j += usize::from(y <= x || x.is_nan() || y.is_nan());
    }
    shared
}

/// The buckets at the coarser `target` schema.
pub(super) fn reduced(buckets: &[Bucket], schema: i32, target: i32) -> Vec<Bucket> {
    if target >= schema {
        return buckets.to_vec();
    }
    let mut out: Vec<Bucket> = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        let index = coarser_index(bucket.index, schema, target);
        match out.last_mut() {
            Some(last) if last.index == index => last.count += bucket.count,
            _ => out.push(Bucket {
                index,
                count: bucket.count,
            }),
        }
    }
    out
}

fn coarser_index(index: i32, schema: i32, target: i32) -> i32 {
    let shift = schema.abs_diff(target).min(31);
    (((i64::from(index) - 1) >> shift) + 1) as i32
}

fn kahan_reduced(
    buckets: &[Bucket],
    compensation: &mut Vec<f64>,
    schema: i32,
    target: i32,
) -> Vec<Bucket> {
    if target >= schema {
        return buckets.to_vec();
    }
    let mut out: Vec<Bucket> = Vec::with_capacity(buckets.len());
    let mut out_compensation: Vec<f64> = Vec::with_capacity(buckets.len());
    for (bucket, c) in buckets.iter().zip(compensation.iter()) {
        let index = coarser_index(bucket.index, schema, target);
        match (out.last_mut(), out_compensation.last_mut()) {
            (Some(last), Some(last_c)) if last.index == index => {
                (last.count, *last_c) = kahan::add(bucket.count, last.count, *last_c);
                (last.count, *last_c) = kahan::add(*c, last.count, *last_c);
            }
            _ => {
                out.push(Bucket {
                    index,
                    count: bucket.count,
                });
                out_compensation.push(*c);
            }
        }
    }
    *compensation = out_compensation;
    out
}

/// Merges two sorted sides; `both` combines a bucket present in both, `right` carries one over.
fn merged(
    a: &[Bucket],
    b: impl Iterator<Item = Bucket>,
    both: impl Fn(f64, f64) -> f64,
    right: impl Fn(f64) -> f64,
) -> Vec<Bucket> {
    let mut out = Vec::with_capacity(a.len());
    let mut a = a.iter().copied().peekable();
    for bucket in b {
        while let Some(first) = a.next_if(|x| x.index < bucket.index) {
            out.push(first);
        }
        match a.next_if(|x| x.index == bucket.index) {
            Some(x) => out.push(Bucket {
                index: x.index,
                count: both(x.count, bucket.count),
            }),
            None => out.push(Bucket {
                index: bucket.index,
                count: right(bucket.count),
            }),
        }
    }
    out.extend(a);
    out
}

fn kahan_merged(
    a: &[Bucket],
    compensation: &mut Vec<f64>,
    b: impl Iterator<Item = (Bucket, f64)>,
) -> Vec<Bucket> {
    let mut out = Vec::with_capacity(a.len());
    let mut out_compensation = Vec::with_capacity(a.len());
    let mut a = a
        .iter()
        .copied()
        .zip(compensation.iter().copied())
        .peekable();
    for (bucket, c) in b {
        while let Some((first, first_c)) = a.next_if(|(x, _)| x.index < bucket.index) {
            out.push(first);
            out_compensation.push(first_c);
        }
        match a.next_if(|(x, _)| x.index == bucket.index) {
            Some((x, x_c)) => {
                let (mut count, mut sum_c) = kahan::add(bucket.count, x.count, x_c);
                if c != 0.0 {
                    (count, sum_c) = kahan::add(c, count, sum_c);
                }
                out.push(Bucket {
                    index: x.index,
                    count,
                });
                out_compensation.push(sum_c);
            }
            None => {
                out.push(bucket);
                out_compensation.push(c);
            }
        }
    }
    for (x, c) in a {
        out.push(x);
        out_compensation.push(c);
    }
    *compensation = out_compensation;
    out
}

/// Adds the counts of a custom layout to `(count, compensation)` per shared bound.
fn spread(
    buckets: &[Bucket],
    compensation: Option<&[f64]>,
    bounds: &[f64],
    shared: &[f64],
    sign: f64,
    target: &mut [(f64, f64)],
) {
    for (i, bucket) in buckets.iter().enumerate() {
        let bound = usize::try_from(bucket.index)
            .ok()
            .and_then(|index| bounds.get(index));
        let slot = bound.map_or(shared.len(), |bound| shared.partition_point(|s| s < bound));
        let Some((count, c)) = target.get_mut(slot) else {
            continue;
        };
        (*count, *c) = kahan::add(sign * bucket.count, *count, *c);
        if let Some(extra) = compensation.and_then(|values| values.get(i)) {
            (*count, *c) = kahan::add(*extra, *count, *c);
        }
    }
}

impl Histogram {
    /// Multiplies all counts and the sum. A negative factor makes a gauge.
    pub fn scale_by(&mut self, factor: f64) {
        self.scale(|value| value * factor);
        if factor < 0.0 {
            self.hint = ResetHint::Gauge;
        }
    }

    /// Divides all counts and the sum. Division by 0 leaves no buckets.
    pub fn divide_by(&mut self, divisor: f64) {
        if divisor == 0.0 {
            self.positive.clear();
            self.negative.clear();
        }
        self.scale(|value| value / divisor);
        if divisor < 0.0 {
            self.hint = ResetHint::Gauge;
        }
    }

    fn scale(&mut self, scale: impl Fn(f64) -> f64) {
        for value in [&mut self.zero_count, &mut self.count, &mut self.sum] {
            *value = scale(*value);
        }
        for bucket in self.positive.iter_mut().chain(&mut self.negative) {
            bucket.count = scale(bucket.count);
        }
    }

    /// At a coarser schema; a copy when the schema is not coarser.
    pub fn at_schema(&self, target: i32) -> Self {
        if target >= self.schema || self.uses_custom_buckets() {
            return self.clone();
        }
        Self {
            hint: ResetHint::Unknown,
            schema: target,
            positive: reduced(&self.positive, self.schema, target),
            negative: reduced(&self.negative, self.schema, target),
            ..self.clone()
        }
    }

    /// # Errors
    /// One side has custom buckets, the other has not.
    pub fn add(&mut self, other: &Self) -> Result<Combined, IncompatibleSchemas> {
        self.combine(other, 1.0)
    }

    /// # Errors
    /// One side has custom buckets, the other has not.
    pub fn subtract(&mut self, other: &Self) -> Result<Combined, IncompatibleSchemas> {
        self.combine(other, -1.0)
    }

    fn combine(&mut self, other: &Self, sign: f64) -> Result<Combined, IncompatibleSchemas> {
        if self.uses_custom_buckets() != other.uses_custom_buckets() {
            return Err(IncompatibleSchemas);
        }
        let reset_collision = self.reconcile_hint(other);
        if self.uses_custom_buckets() {
            self.count += sign * other.count;
            self.sum += sign * other.sum;
            let bounds_reconciled = self.custom_bounds != other.custom_bounds;
            if bounds_reconciled {
                self.combine_custom(other, sign, None);
            } else {
                self.positive = merged(
                    &self.positive,
                    other.positive.iter().copied(),
                    |a, b| a + sign * b,
                    |b| sign * b,
                );
            }
            return Ok(Combined {
                reset_collision,
                bounds_reconciled,
            });
        }
        let (other_zero_count, _) = self.reconcile_zero_buckets(other, None);
        self.zero_count += sign * other_zero_count;
        self.count += sign * other.count;
        self.sum += sign * other.sum;
        let schema = self.schema.min(other.schema);
        let combine_side = |a: &[Bucket], b: &[Bucket], threshold: f64| {
            let a = reduced(a, self.schema, schema);
            let b = reduced(b, other.schema, schema);
            let b = outside_zero_bucket(b.into_iter(), |b| b.index, schema, threshold);
            merged(&a, b, |a, b| a + sign * b, |b| sign * b)
        };
        let positive = combine_side(&self.positive, &other.positive, self.zero_threshold);
        let negative = combine_side(&self.negative, &other.negative, self.zero_threshold);
        (self.positive, self.negative, self.schema) = (positive, negative, schema);
        Ok(Combined {
            reset_collision,
            bounds_reconciled: false,
        })
    }

    /// Adds with compensation; `comp` is made on the first use.
    ///
    /// # Errors
    /// One side has custom buckets, the other has not.
    pub fn kahan_add(
        &mut self,
        other: &Self,
        comp: &mut Option<Compensation>,
    ) -> Result<Combined, IncompatibleSchemas> {
        if self.uses_custom_buckets() != other.uses_custom_buckets() {
            return Err(IncompatibleSchemas);
        }
        let reset_collision = self.reconcile_hint(other);
        let mut c = comp.take().unwrap_or_else(|| Compensation::of(self));
        let custom = self.uses_custom_buckets();
        if !custom {
            let (zero_count, zero_compensation) = self.reconcile_zero_buckets(other, Some(&mut c));
            (self.zero_count, c.zero_count) = kahan::add(zero_count, self.zero_count, c.zero_count);
            (self.zero_count, c.zero_count) =
                kahan::add(zero_compensation, self.zero_count, c.zero_count);
        }
        (self.count, c.count) = kahan::add(other.count, self.count, c.count);
        (self.sum, c.sum) = kahan::add(other.sum, self.sum, c.sum);
        let mut bounds_reconciled = false;
        if custom && self.custom_bounds != other.custom_bounds {
            bounds_reconciled = true;
            self.combine_custom(other, 1.0, Some(&mut c));
        } else {
            let schema = self.schema.min(other.schema);
            let threshold = self.zero_threshold;
            for (side, comp_side, other_side) in [
                (&mut self.positive, &mut c.positive, &other.positive),
                (&mut self.negative, &mut c.negative, &other.negative),
            ] {
                let a = kahan_reduced(side, comp_side, self.schema, schema);
                let mut other_comp = vec![0.0; other_side.len()];
                let b = kahan_reduced(other_side, &mut other_comp, other.schema, schema);
                let b = b.into_iter().zip(other_comp);
                *side = if custom {
                    kahan_merged(&a, comp_side, b)
                } else {
                    let b = outside_zero_bucket(b, |(b, _)| b.index, schema, threshold);
                    kahan_merged(&a, comp_side, b)
                };
            }
            self.schema = schema;
        }
        *comp = Some(c);
        Ok(Combined {
            reset_collision,
            bounds_reconciled,
        })
    }

    /// Adds the compensation of a finished sum.
    pub fn settle(&mut self, comp: &Compensation) {
        self.zero_count += comp.zero_count;
        self.count += comp.count;
        self.sum += comp.sum;
        for (side, values) in [
            (&mut self.positive, &comp.positive),
            (&mut self.negative, &comp.negative),
        ] {
            for (bucket, c) in side.iter_mut().zip(values) {
                bucket.count += c;
            }
        }
    }

    fn combine_custom(&mut self, other: &Self, sign: f64, comp: Option<&mut Compensation>) {
        let shared = shared_bounds(&self.custom_bounds, &other.custom_bounds);
        let mut target = vec![(0.0, 0.0); shared.len() + 1];
        let own_comp = comp.as_ref().map(|c| c.positive.as_slice());
        spread(
            &self.positive,
            own_comp,
            &self.custom_bounds,
            &shared,
            1.0,
            &mut target,
        );
        spread(
            &other.positive,
            None,
            &other.custom_bounds,
            &shared,
            sign,
            &mut target,
        );
        let populated = || {
            target
                .iter()
                .enumerate()
                .filter(|(_, (count, c))| *count != 0.0 || *c != 0.0)
        };
        self.positive = populated()
            .map(|(i, (count, _))| Bucket {
                index: i as i32,
                count: *count,
            })
            .collect();
        if let Some(comp) = comp {
            comp.positive = populated().map(|(_, (_, c))| *c).collect();
        }
        self.custom_bounds = Arc::from(shared);
    }

    /// The hint of a combination; `true` on a direct contradiction.
    fn reconcile_hint(&mut self, other: &Self) -> bool {
        use ResetHint::{Gauge, NotReset, Reset, Unknown};
        match (self.hint, other.hint) {
            (a, b) if a == b => {}
            (Gauge | Unknown, Reset | NotReset | Unknown) => {}
            (_, Gauge) => self.hint = Gauge,
            (_, Unknown) => self.hint = Unknown,
            (_, Reset | NotReset) => {
                self.hint = Unknown;
                return true;
            }
        }
        false
    }

    /// Widens the zero bucket of `self` until it fits both sides; returns what the zero count of
    /// `other` is there, and the compensation of that count.
    fn reconcile_zero_buckets(
        &mut self,
        other: &Self,
        mut comp: Option<&mut Compensation>,
    ) -> (f64, f64) {
        let mut other_count = other.zero_count;
        let mut other_threshold = other.zero_threshold;
        let mut other_compensation = 0.0;
        // A NaN threshold equals nothing, so the loop is bounded by progress instead.
        while other_threshold != self.zero_threshold {
            let before = (other_threshold, self.zero_threshold);
            if self.zero_threshold > other_threshold {
                (other_count, other_threshold, other_compensation) =
                    other.zero_count_with(self.zero_threshold, None);
            }
            if other_threshold > self.zero_threshold {
                let (count, threshold, compensation) =
                    self.zero_count_with(other_threshold, comp.as_deref());
                (self.zero_count, self.zero_threshold) = (count, threshold);
                if let Some(c) = comp.as_deref_mut() {
                    c.zero_count = compensation;
                }
                self.drop_buckets_in_zero_bucket(comp.as_deref_mut());
            }
            if (other_threshold, self.zero_threshold) == before || other_threshold.is_nan() {
                break;
            }
        }
        (other_count, other_compensation)
    }

    /// Removes the buckets that the zero bucket now holds, and other empty ones.
    fn drop_buckets_in_zero_bucket(&mut self, mut comp: Option<&mut Compensation>) {
        let threshold = self.zero_threshold;
        let inside_positive = self
            .positive_bounded()
            .take_while(|b| b.lower < threshold)
            .count();
        let inside_negative = self
            .negative_bounded()
            .take_while(|b| b.upper > -threshold)
            .count();
        for (side, inside, positive) in [
            (&mut self.positive, inside_positive, true),
            (&mut self.negative, inside_negative, false),
        ] {
            let mut none = Vec::new();
            let comp_side = match comp.as_deref_mut() {
                Some(c) if positive => &mut c.positive,
                Some(c) => &mut c.negative,
                None => &mut none,
            };
            let keep: Vec<bool> = side
                .iter()
                .enumerate()
                .map(|(i, bucket)| {
                    i >= inside
                        && (bucket.count != 0.0 || comp_side.get(i).is_some_and(|c| *c != 0.0))
                })
                .collect();
            let mut kept = keep.iter();
            side.retain(|_| kept.next().copied().unwrap_or(true));
            let mut kept = keep.iter();
            comp_side.retain(|_| kept.next().copied().unwrap_or(true));
        }
    }
}

fn outside_zero_bucket<T>(
    buckets: impl Iterator<Item = T>,
    index: impl Fn(&T) -> i32,
    schema: i32,
    threshold: f64,
) -> impl Iterator<Item = T> {
    buckets.skip_while(move |b| exponential_bound(i64::from(index(b)), schema) <= threshold)
}

/// Adds up histograms for a mean, by the same rule as for floats: the mean of the sum while the
/// sum is finite, then the mean carried along.
#[derive(Clone, Debug)]
pub struct HistogramMean {
    sum: Histogram,
    comp: Option<Compensation>,
    count: f64,
    incremental: bool,
}

impl HistogramMean {
    pub fn new(first: Histogram) -> Self {
        Self {
            sum: first,
            comp: None,
            count: 1.0,
            incremental: false,
        }
    }

    /// # Errors
    /// The histogram's buckets are of the other kind.
    pub fn add(&mut self, other: &Histogram) -> Result<Combined, IncompatibleSchemas> {
        self.count += 1.0;
        let mut combined = Combined::default();
        if !self.incremental {
            let (mut sum, mut comp) = (self.sum.clone(), self.comp.clone());
            combined = sum.kahan_add(other, &mut comp)?;
            if !sum.has_overflow() {
                (self.sum, self.comp) = (sum, comp);
                return Ok(combined);
            }
            self.incremental = true;
            self.sum.divide_by(self.count - 1.0);
            if let Some(comp) = &mut self.comp {
                comp.scale(|value| value / (self.count - 1.0));
            }
        }
        let weight = (self.count - 1.0) / self.count;
        self.sum.scale_by(weight);
        if let Some(comp) = &mut self.comp {
            comp.scale(|value| value * weight);
        }
        let mut share = other.clone();
        share.divide_by(self.count);
        let last = self.sum.kahan_add(&share, &mut self.comp)?;
        combined.bounds_reconciled |= last.bounds_reconciled;
        combined.reset_collision |= last.reset_collision;
        Ok(combined)
    }

    pub fn finish(mut self) -> Histogram {
        if !self.incremental {
            self.sum.divide_by(self.count);
            if let Some(comp) = &mut self.comp {
                comp.scale(|value| value / self.count);
            }
        }
        if let Some(comp) = &self.comp {
            self.sum.settle(comp);
        }
        self.sum
    }
}
