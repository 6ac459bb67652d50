//! Shares of runs with their intervals.

use serde::Serialize;

/// The 97.5th percentile of the standard normal distribution: all intervals are of 95 %.
pub const Z95: f64 = 1.959_963_984_540_054;

/// In how many of the runs something happened.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    pub count: u64,
    pub runs: u64,
    /// 0 to 1; 0 without runs.
    pub share: f64,
    /// The 95 % Wilson score interval (Wilson 1927): where the share of endlessly many runs is to be
    /// looked for. 0 to 1 without runs.
    pub low: f64,
    pub high: f64,
}

impl Share {
    pub fn new(count: u64, runs: u64) -> Self {
        let (low, high) = wilson(count, runs, Z95);
        Self {
            count,
            runs,
            share: if runs == 0 {
                0.0
            } else {
                count as f64 / runs as f64
            },
            low,
            high,
        }
    }
}

/// The Wilson score interval of a share for this many standard deviations.
pub fn wilson(count: u64, runs: u64, z: f64) -> (f64, f64) {
    if runs == 0 {
        return (0.0, 1.0);
    }
    let of = runs as f64;
    let share = count as f64 / of;
    let middle = share + z * z / (2.0 * of);
    let half = z * (share * (1.0 - share) / of + z * z / (4.0 * of * of)).sqrt();
    let whole = 1.0 + z * z / of;
    // The ends are exact where rounding would leave a trace.
    let low = if count == 0 {
        0.0
    } else {
        (middle - half) / whole
    };
    let high = if count >= runs {
        1.0
    } else {
        (middle + half) / whole
    };
    (low.clamp(0.0, 1.0), high.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Newcombe 1998, Statistics in Medicine 17, table I (method 3).
    #[test]
    fn intervals_are_the_published_ones() {
        for (count, runs, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let share = Share::new(count, runs);
            assert!((share.low - low).abs() < 5e-5, "{share:?}");
            assert!((share.high - high).abs() < 5e-5, "{share:?}");
        }
        assert_eq!(Share::new(7, 7).high, 1.0);
        assert_eq!((Share::new(0, 0).low, Share::new(0, 0).high), (0.0, 1.0));
    }
}
