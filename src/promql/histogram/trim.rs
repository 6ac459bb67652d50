//! The trim operators `</` and `>/`: keep the observations below or above a value, estimating
//! within the bucket that holds it.

use super::{Bounded, Histogram};

/// Which observations are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    Below,
    Above,
}

impl Histogram {
    /// Keeps what lies below `limit` (`</`).
    pub fn trim_above(&mut self, limit: f64) {
        self.trim(limit, Keep::Below);
    }

    /// Keeps what lies above `limit` (`>/`).
    pub fn trim_below(&mut self, limit: f64) {
        self.trim(limit, Keep::Above);
    }

    fn trim(&mut self, limit: f64, keep: Keep) {
        let custom = self.uses_custom_buckets();
        let mut count = 0.0;
        let mut sum = 0.0;
        let mut trimmed = false;
        let mut populated = [false, false];
        let sides: [(Vec<Bounded>, bool); 2] = [
            (self.positive_bounded().collect(), true),
            (self.negative_bounded().collect(), false),
        ];
        for (side, (bounds, positive)) in sides.into_iter().enumerate() {
            let buckets = if positive {
                &mut self.positive
            } else {
                &mut self.negative
            };
            for (bucket, bounded) in buckets.iter_mut().zip(bounds) {
                if bounded.count == 0.0 {
                    continue;
                }
                populated[side] = true;
                let (inside, partly) = match keep {
                    Keep::Below => (bounded.upper <= limit, bounded.lower < limit),
                    Keep::Above => (bounded.lower >= limit, bounded.upper > limit),
                };
                let (kept, midpoint) = if inside {
                    (
                        bounded.count,
                        midpoint(bounded.lower, bounded.upper, positive, custom),
                    )
                } else if partly {
                    trim_bucket(bounded, limit, keep, positive, custom)
                } else {
                    (0.0, 0.0)
                };
                count += kept;
                sum += midpoint * kept;
                if !inside && bucket.count != kept {
                    bucket.count = kept;
                    trimmed = true;
                }
            }
        }
        if self.zero_count > 0.0 {
            let [has_positive, has_negative] = populated;
            let (kept, midpoint) =
                trim_zero_bucket(self.zero_bucket(), limit, keep, has_positive, has_negative);
            trimmed |= self.zero_count != kept;
            self.zero_count = kept;
            sum += midpoint * kept;
            count += kept;
        }
        if trimmed {
            self.count = count;
            self.sum = sum;
            self.compact();
        }
    }
}

/// The kept count of a bucket that holds the limit, and where its observations are taken to be.
fn trim_bucket(
    bucket: Bounded,
    limit: f64,
    keep: Keep,
    positive: bool,
    custom: bool,
) -> (f64, f64) {
    if bucket.lower == f64::NEG_INFINITY || bucket.upper == f64::INFINITY {
        return trim_infinite_bucket(bucket, limit, keep);
    }
    let below = if limit <= bucket.lower {
        0.0
    } else if limit >= bucket.upper {
        bucket.count
    } else {
        bucket.count * bucket.fraction_below(limit, custom)
    };
    match keep {
        Keep::Below => (below, midpoint(bucket.lower, limit, positive, custom)),
        Keep::Above => (
            bucket.count - below,
            midpoint(limit, bucket.upper, positive, custom),
        ),
    }
}

/// Nothing is known about where observations lie in a bucket without an end, so it is kept or
/// dropped whole, except that a first bucket with a positive bound is taken to begin at 0.
fn trim_infinite_bucket(bucket: Bounded, limit: f64, keep: Keep) -> (f64, f64) {
    let finite_or_zero = |x: f64| if x.is_infinite() { 0.0 } else { x };
    if bucket.lower == f64::NEG_INFINITY {
        return match keep {
            Keep::Below if limit >= bucket.upper => (bucket.count, 0.0),
            Keep::Below if limit > 0.0 && bucket.upper > 0.0 && bucket.upper != f64::INFINITY => {
                (bucket.count * limit / bucket.upper, limit / 2.0)
            }
            Keep::Below if bucket.upper <= 0.0 => (bucket.count, limit),
            Keep::Above if limit <= bucket.lower => (bucket.count, 0.0),
            Keep::Above
                if limit >= 0.0 && bucket.upper > limit && bucket.upper != f64::INFINITY =>
            {
                (
                    bucket.count * (1.0 - limit / bucket.upper),
                    (limit + bucket.upper) / 2.0,
                )
            }
            Keep::Below | Keep::Above => (0.0, finite_or_zero(bucket.upper)),
        };
    }
    match keep {
        Keep::Above if limit >= bucket.lower => (bucket.count, limit),
        Keep::Below | Keep::Above => (0.0, finite_or_zero(bucket.lower)),
    }
}

fn trim_zero_bucket(
    bucket: Bounded,
    limit: f64,
    keep: Keep,
    has_positive: bool,
    has_negative: bool,
) -> (f64, f64) {
    let upper = if has_negative && !has_positive {
        0.0
    } else {
        bucket.upper
    };
    let lower = if has_positive && !has_negative {
        0.0
    } else {
        bucket.lower
    };
    let whole = (bucket.count, (lower + upper) / 2.0);
    let nothing = (0.0, 0.0);
    let (fraction, midpoint) = match keep {
        Keep::Below if limit <= lower => return nothing,
        Keep::Below if limit >= upper => return whole,
        Keep::Below => ((limit - lower) / (upper - lower), (lower + limit) / 2.0),
        Keep::Above if limit <= lower => return whole,
        Keep::Above if limit >= upper => return nothing,
        Keep::Above => ((upper - limit) / (upper - lower), (limit + upper) / 2.0),
    };
    (bucket.count * fraction, midpoint)
}

/// Where the observations between two bounds are taken to be: the arithmetic mean of custom
/// bounds, the geometric mean of exponential ones, the finite bound if the other is not.
fn midpoint(lower: f64, upper: f64, positive: bool, linear: bool) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => 0.0,
        (true, false) if upper > 0.0 => upper / 2.0,
        (true, false) => upper,
        (false, true) => lower,
        (false, false) if linear => (lower + upper) / 2.0,
        (false, false) => {
            let mean = (lower * upper).abs().sqrt();
            if positive { mean } else { -mean }
        }
    }
}
