//! Times and numbers of many runs: mean and quantiles, in constant memory.

use std::collections::BTreeMap;

use serde::Serialize;

use super::share::Z95;

/// Different values that are counted one by one; beyond it, they are counted rounded.
const EXACT_MAX: usize = 4096;
/// Leading bits that rounding keeps: quantiles are then off by 0.4 % at most.
const KEPT_BITS: u32 = 8;

/// Values of many runs. Whole numbers throughout, so that the order of adding does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Amounts {
    count: u64,
    sum: u128,
    squares: u128,
    min: u64,
    max: u64,
    is_rounded: bool,
    /// How often each value was seen.
    values: BTreeMap<u64, u64>,
}

impl Amounts {
    pub fn add(&mut self, value: u64) {
        let wide = u128::from(value);
        self.min = if self.count == 0 {
            value
        } else {
            self.min.min(value)
        };
        self.max = self.max.max(value);
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(wide);
        self.squares = self.squares.saturating_add(wide.saturating_mul(wide));
        let key = if self.is_rounded {
            rounded(value)
        } else {
            value
        };
        count_into(&mut self.values, key, 1);
        self.keep_bound();
    }

    /// Adds what another has seen.
    pub fn merge(&mut self, other: &Self) {
        let Self {
            count,
            sum,
            squares,
            min,
            max,
            is_rounded,
            values,
        } = other;
        if *count == 0 {
            return;
        }
        self.min = if self.count == 0 {
            *min
        } else {
            self.min.min(*min)
        };
        self.max = self.max.max(*max);
        self.count = self.count.saturating_add(*count);
        self.sum = self.sum.saturating_add(*sum);
        self.squares = self.squares.saturating_add(*squares);
        if *is_rounded {
            self.round();
        }
        for (value, times) in values {
            let key = if self.is_rounded {
                rounded(*value)
            } else {
                *value
            };
            count_into(&mut self.values, key, *times);
        }
        self.keep_bound();
    }

    fn keep_bound(&mut self) {
        if !self.is_rounded && self.values.len() > EXACT_MAX {
            self.round();
        }
    }

    fn round(&mut self) {
        if self.is_rounded {
            return;
        }
        self.is_rounded = true;
        let mut values = BTreeMap::new();
        for (value, times) in std::mem::take(&mut self.values) {
            count_into(&mut values, rounded(value), times);
        }
        self.values = values;
    }

    /// What there is to say of the values, each divided by `unit`; none where there are none.
    pub fn summary(&self, unit: f64) -> Option<Amount> {
        if self.count == 0 {
            return None;
        }
        let runs = self.count as f64;
        let mean = self.sum as f64 / runs;
        let spread = if self.count > 1 {
            let deviations = (self.squares as f64 - mean * self.sum as f64).max(0.0);
            (deviations / (runs - 1.0)).sqrt()
        } else {
            0.0
        };
        let half = Z95 * spread / runs.sqrt();
        let low = (mean - half).max(self.min as f64);
        let high = (mean + half).min(self.max as f64);
        Some(Amount {
            runs: self.count,
            mean: Estimate {
                value: mean / unit,
                low: low / unit,
                high: high / unit,
            },
            p5: self.quantile(0.05, unit),
            median: self.quantile(0.5, unit),
            p95: self.quantile(0.95, unit),
            min: self.min as f64 / unit,
            max: self.max as f64 / unit,
        })
    }

    fn quantile(&self, part: f64, unit: f64) -> Estimate {
        let runs = self.count as f64;
        // The number of values below a quantile is binomial: that bounds its rank.
        let half = Z95 * (part * (1.0 - part) * runs).sqrt();
        let value = |rank: f64| self.value_at(rank) / unit;
        Estimate {
            value: value(part * runs),
            low: value(part * runs - half),
            high: value(part * runs + half + 1.0),
        }
    }

    /// The value of this rank, counted from 1, in rising order.
    fn value_at(&self, rank: f64) -> f64 {
        let rank = rank.ceil().clamp(1.0, self.count as f64) as u64;
        let mut below = 0_u64;
        for (value, times) in &self.values {
            below = below.saturating_add(*times);
            if below >= rank {
                return (*value).clamp(self.min, self.max) as f64;
            }
        }
        self.max as f64
    }

    /// How many values fall into each of equal parts from 0 to the greatest value, in `unit`s; none
    /// where there are no values.
    pub fn histogram(&self, unit: f64) -> Option<Histogram> {
        if self.count == 0 {
            return None;
        }
        let width = round_up(self.max as f64 / unit / HISTOGRAM_PARTS as f64);
        let mut counts = vec![0_u64; HISTOGRAM_PARTS];
        for (value, times) in &self.values {
            let at = (*value as f64 / unit / width) as usize;
            if let Some(part) = counts.get_mut(at.min(HISTOGRAM_PARTS - 1)) {
                *part = part.saturating_add(*times);
            }
        }
        while counts.last() == Some(&0) {
            counts.pop();
        }
        Some(Histogram { width, counts })
    }
}

/// Parts of a histogram at most.
const HISTOGRAM_PARTS: usize = 24;

/// The next of 1, 2, 3, 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = libm::pow(10.0, libm::log10(value).floor());
    let steps = [1.0, 2.0, 3.0, 5.0, 10.0];
    let found = steps
        .into_iter()
        .find(|step| step * power >= value * 0.999_999);
    found.unwrap_or(10.0) * power
}

/// How often values of each size came.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Histogram {
    /// Of each part; the first begins at 0.
    pub width: f64,
    pub counts: Vec<u64>,
}

fn count_into(values: &mut BTreeMap<u64, u64>, value: u64, times: u64) {
    let known = values.entry(value).or_insert(0);
    *known = known.saturating_add(times);
}

/// The middle of the values that share the leading bits.
fn rounded(value: u64) -> u64 {
    let bits = 64 - value.leading_zeros();
    let dropped = bits.saturating_sub(KEPT_BITS);
    if dropped == 0 {
        return value;
    }
    ((value >> dropped) << dropped) | (1 << (dropped - 1))
}

/// An estimate with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

/// Values of those runs that have one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Amount {
    /// How many runs have a value.
    pub runs: u64,
    pub mean: Estimate,
    /// 5 % of the runs are not above it.
    pub p5: Estimate,
    pub median: Estimate,
    pub p95: Estimate,
    pub min: f64,
    pub max: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_adding_does_not_matter() {
        let values: Vec<u64> = (0..10_000_u64)
            .map(|n| (n * n * 7919) % 1_000_003)
            .collect();
        let mut at_once = Amounts::default();
        for value in &values {
            at_once.add(*value);
        }
        let mut merged = Amounts::default();
        for part in values.rchunks(777) {
            let mut amounts = Amounts::default();
            for value in part.iter().rev() {
                amounts.add(*value);
            }
            merged.merge(&amounts);
        }
        assert_eq!(at_once, merged);
        assert!(at_once.values.len() < 3000, "{}", at_once.values.len());
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        for (count, tolerance) in [(1000_u64, 0.0), (100_000, 0.004)] {
            let mut amounts = Amounts::default();
            for value in 1..=count {
                amounts.add(value * 10);
            }
            let summary = amounts.summary(10.0).expect("values");
            let of = count as f64;
            for (found, wanted) in [
                (summary.p5, 0.05),
                (summary.median, 0.5),
                (summary.p95, 0.95),
            ] {
                assert!(
                    (found.value - wanted * of).abs() <= tolerance * of,
                    "{found:?}"
                );
                assert!(
                    found.low <= found.value && found.value <= found.high && found.low < found.high,
                    "{found:?}"
                );
            }
            assert_eq!((summary.min, summary.max), (1.0, of));
            assert!((summary.mean.value - (of + 1.0) / 2.0).abs() < 1e-9);
        }
        assert_eq!(Amounts::default().summary(1.0), None);
    }

    #[test]
    fn one_value_is_certain() {
        let mut amounts = Amounts::default();
        amounts.add(5);
        amounts.add(5);
        let summary = amounts.summary(1.0).expect("values");
        let certain = Estimate {
            value: 5.0,
            low: 5.0,
            high: 5.0,
        };
        assert_eq!(
            (summary.mean, summary.median, summary.p95),
            (certain, certain, certain)
        );
    }
}
