//! Native histograms from lists of buckets, as promtool's dumps and the HTTP API show them.
//!
//! Such a list names the bounds of populated buckets, not the layout. Bounds that are powers of
//! `2^(2^-schema)` give an exponential layout; any other bounds make the whole series one of
//! custom bounds: all that its samples name. What a list cannot show (an empty bucket's custom
//! bound, the width of an empty zero bucket) is taken from the series' other samples.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::promql::histogram::{Bounded, Bucket, CUSTOM_SCHEMA, Histogram, exponential_bound};

/// A histogram by its populated buckets.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct BucketList {
    pub count: f64,
    pub sum: f64,
    pub buckets: Vec<Bounded>,
}

/// How far a bound may be off, relative to itself: logarithms are not exact to the last bit.
const BOUND_TOLERANCE: f64 = 1e-9;
const SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;

/// The histograms of a series' samples in order of time; `None` where a sample has no list.
pub(super) fn layouts<T>(
    rows: &[T],
    list: impl Fn(&T) -> Option<&BucketList>,
) -> Vec<Option<Histogram>> {
    let lists: Vec<Option<&BucketList>> = rows.iter().map(list).collect();
    if lists.iter().all(Option::is_none) {
        return vec![None; lists.len()];
    }
    let shapes: Vec<Option<Shape>> = lists.iter().map(|list| Some(shape((*list)?))).collect();
    if shapes.contains(&Some(Shape::Custom)) {
        return custom(&lists);
    }
    // Nothing in an empty histogram shows its layout: it is that of its neighbours.
    let known: Vec<Option<i32>> = shapes
        .iter()
        .map(|shape| match shape {
            Some(Shape::Exponential(schema)) => Some(*schema),
            Some(Shape::Any | Shape::Custom) | None => None,
        })
        .collect();
    let schemas = filled(known);
    let thresholds = filled(
        lists
            .iter()
            .map(|list| Some(zero_bucket((*list)?)?.upper))
            .collect(),
    );
    lists
        .iter()
        .zip(schemas.into_iter().zip(thresholds))
        .map(|(list, (schema, threshold))| {
            Some(exponential(
                (*list)?,
                schema.unwrap_or(0),
                threshold.unwrap_or(0.0),
            ))
        })
        .collect()
}

/// Gaps take the value before them, those at the start the first one.
fn filled<T: Copy>(mut values: Vec<Option<T>>) -> Vec<Option<T>> {
    let mut last = values.iter().copied().flatten().next();
    for value in &mut values {
        last = value.or(last);
        *value = last;
    }
    values
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    /// Nothing but a zero bucket, or nothing at all.
    Any,
    Exponential(i32),
    Custom,
}

fn is_zero_bucket(bucket: &Bounded) -> bool {
    bucket.lower_inclusive
        && bucket.upper_inclusive
        && bucket.lower == -bucket.upper
        && bucket.upper.is_finite()
}

fn zero_bucket(list: &BucketList) -> Option<&Bounded> {
    list.buckets.iter().find(|bucket| is_zero_bucket(bucket))
}

/// The bounds next to zero and away from it, as absolute numbers; whether the bucket is positive.
fn sides(bucket: &Bounded) -> Option<(f64, f64, bool)> {
    if bucket.lower >= 0.0 && !bucket.lower_inclusive {
        Some((bucket.lower, bucket.upper, true))
    } else if bucket.upper <= 0.0 && !bucket.upper_inclusive {
        Some((-bucket.upper, -bucket.lower, false))
    } else {
        None
    }
}

fn shape(list: &BucketList) -> Shape {
    let threshold = zero_bucket(list).map(|zero| zero.upper);
    let mut schema = None;
    let mut regular = Vec::new();
    for bucket in list.buckets.iter().filter(|bucket| !is_zero_bucket(bucket)) {
        let Some((inner, outer, _)) = sides(bucket) else {
            return Shape::Custom;
        };
        regular.push(outer);
        // A bucket that reaches into the zero bucket is shown cut off.
        if Some(inner) == threshold {
            continue;
        }
        // The topmost regular bucket ends at the largest float instead of a power.
        if outer == f64::MAX || outer == f64::INFINITY {
            continue;
        }
        let Some(own) = schema_of(inner, outer) else {
            return Shape::Custom;
        };
        if *schema.get_or_insert(own) != own {
            return Shape::Custom;
        }
    }
    match schema {
        Some(schema) => {
            if regular
                .iter()
                .all(|outer| index_of(*outer, schema).is_some())
            {
                Shape::Exponential(schema)
            } else {
                Shape::Custom
            }
        }
        None if regular.is_empty() => Shape::Any,
        // One bucket that ends at its zero bucket: any schema whose power the bound is will do.
        None => SCHEMAS
            .rev()
            .find(|schema| {
                regular
                    .iter()
                    .all(|outer| index_of(*outer, *schema).is_some())
            })
            .map_or(Shape::Custom, Shape::Exponential),
    }
}

fn schema_of(inner: f64, outer: f64) -> Option<i32> {
    if !(inner > 0.0 && outer > inner) {
        return None;
    }
    let schema = -(outer / inner).log2().log2();
    let rounded = schema.round();
    if (schema - rounded).abs() > 1e-6 || !(-4.0..=8.0).contains(&rounded) {
        return None;
    }
    Some(rounded as i32)
}

/// The index of the exponential bucket that ends at `outer`.
fn index_of(outer: f64, schema: i32) -> Option<i32> {
    if outer.is_nan() || outer <= 0.0 {
        return None;
    }
    let steps = f64::from(schema).exp2();
    let index = if outer == f64::MAX {
        1024.0 * steps
    } else if outer == f64::INFINITY {
        1024.0 * steps + 1.0
    } else {
        (outer.log2() * steps).round()
    };
    let bound = exponential_bound(index as i64, schema);
    (bound == outer || (bound / outer - 1.0).abs() <= BOUND_TOLERANCE).then_some(index as i32)
}

fn exponential(list: &BucketList, schema: i32, threshold: f64) -> Histogram {
    let mut histogram = Histogram {
        schema,
        count: list.count,
        sum: list.sum,
        zero_threshold: threshold,
        ..Histogram::default()
    };
    for bucket in &list.buckets {
        if is_zero_bucket(bucket) {
            histogram.zero_threshold = bucket.upper;
            histogram.zero_count = bucket.count;
            continue;
        }
        let Some((_, outer, positive)) = sides(bucket) else {
            continue;
        };
        let Some(index) = index_of(outer, schema) else {
            continue;
        };
        let count = bucket.count;
        if positive {
            histogram.positive.push(Bucket { index, count });
        } else {
            histogram.negative.push(Bucket { index, count });
        }
    }
    histogram.positive.sort_by_key(|bucket| bucket.index);
    histogram.negative.sort_by_key(|bucket| bucket.index);
    histogram
}

fn custom(lists: &[Option<&BucketList>]) -> Vec<Option<Histogram>> {
    // Sortable keys of finite floats, so that a set can hold them.
    let key = |bound: f64| {
        let bits = bound.to_bits() as i64;
        bits ^ (((bits >> 63) as u64) >> 1) as i64
    };
    let mut seen: BTreeSet<i64> = BTreeSet::new();
    let mut bounds: Vec<f64> = Vec::new();
    for bucket in lists.iter().flatten().flat_map(|list| &list.buckets) {
        for bound in [bucket.lower, bucket.upper] {
            if bound.is_finite() && seen.insert(key(bound + 0.0)) {
                bounds.push(bound + 0.0);
            }
        }
    }
    bounds.sort_by(f64::total_cmp);
    let shared: Arc<[f64]> = Arc::from(bounds);
    lists
        .iter()
        .map(|list| {
            let list = (*list)?;
            let mut positive: Vec<Bucket> = list
                .buckets
                .iter()
                .map(|bucket| Bucket {
                    index: shared.partition_point(|bound| *bound < bucket.upper) as i32,
                    count: bucket.count,
                })
                .collect();
            positive.sort_by_key(|bucket| bucket.index);
            Some(Histogram {
                schema: CUSTOM_SCHEMA,
                count: list.count,
                sum: list.sum,
                positive,
                custom_bounds: Arc::clone(&shared),
                ..Histogram::default()
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(histogram: &Histogram) -> BucketList {
        BucketList {
            count: histogram.count,
            sum: histogram.sum,
            buckets: histogram
                .all_buckets()
                .into_iter()
                .filter(|bucket| bucket.count != 0.0)
                .collect(),
        }
    }

    fn round_trip(histograms: &[Histogram]) {
        let lists: Vec<BucketList> = histograms.iter().map(listed).collect();
        let found = layouts(&lists, |list| Some(list));
        for (given, found) in histograms.iter().zip(found) {
            let found = found.expect("a histogram");
            assert!(given.same_data(&found), "{given:?} became {found:?}");
        }
    }

    fn side(range: std::ops::Range<i32>) -> Vec<Bucket> {
        range
            .map(|index| Bucket {
                index,
                count: f64::from(index.rem_euclid(3)),
            })
            .collect()
    }

    #[test]
    fn exponential_layouts_are_found_again() {
        for schema in SCHEMAS {
            round_trip(&[Histogram {
                schema,
                count: 30.0,
                sum: 4.5,
                zero_count: 2.0,
                zero_threshold: 1e-128,
                positive: side(-7..12),
                negative: side(-1..5),
                ..Histogram::default()
            }]);
        }
    }

    #[test]
    fn a_series_fills_in_what_a_sample_does_not_show() {
        let full = Histogram {
            schema: 2,
            count: 9.0,
            sum: 4.0,
            zero_count: 1.0,
            zero_threshold: 0.001,
            positive: side(1..6),
            ..Histogram::default()
        };
        let mut no_zero = full.clone();
        no_zero.zero_count = 0.0;
        let mut empty = no_zero.clone();
        empty.positive.clear();
        empty.count = 0.0;
        round_trip(&[empty.clone(), full, no_zero, empty]);
    }

    #[test]
    fn custom_bounds_are_those_of_the_series() {
        let bounds: Arc<[f64]> = Arc::from([-1.0, 0.0, 0.25, 0.3, 10.0]);
        let sample = |positive: Vec<Bucket>| Histogram {
            schema: CUSTOM_SCHEMA,
            count: 4.0,
            sum: 2.0,
            positive,
            custom_bounds: Arc::clone(&bounds),
            ..Histogram::default()
        };
        round_trip(&[sample(side(0..6)), sample(side(2..4)), sample(side(0..0))]);
    }
}
