//! How the latencies of requests fall into a histogram's buckets.

use std::f64::consts::SQRT_2;

use crate::sim::scenario::traffic::Latency;

use super::binomial::Part;

/// What part of all requests falls into a bucket, and how long they take there on average.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct BucketShare {
    pub share: f64,
    /// Seconds.
    pub mean: f64,
}

/// How latencies are distributed over buckets.
#[derive(Debug)]
pub(super) struct Spread {
    /// One above another, the last one without an upper bound.
    pub buckets: Vec<BucketShare>,
    /// The numbers of the buckets that take requests, the largest first, each with its part of
    /// what those before it left over: the last one takes all.
    pub largest_first: Vec<(usize, Part)>,
}

impl Spread {
    /// Over the buckets with these upper bounds in seconds, and the one above them.
    pub fn new(latency: Latency, bounds: &[f64]) -> Self {
        let buckets = bucket_shares(latency, bounds);
        let mut taking: Vec<(usize, f64)> = (buckets.iter().map(|bucket| bucket.share).enumerate())
            .filter(|(_, share)| *share > 0.0)
            .collect();
        taking.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        // Added up from the smallest on, so that small ones are not lost.
        let mut left = 0.0;
        for (_, part) in taking.iter_mut().rev() {
            left += *part;
            *part /= left;
        }
        let parts = taking.into_iter().map(|(at, part)| (at, Part::new(part)));
        Self {
            buckets,
            largest_first: parts.collect(),
        }
    }
}

fn bucket_shares(latency: Latency, bounds: &[f64]) -> Vec<BucketShare> {
    // Part of the requests up to a bound, and their part of the mean latency.
    let up_to: Box<dyn Fn(f64) -> (f64, f64)> = match latency {
        Latency::Constant(period) => {
            let seconds = period.0.as_secs_f64();
            Box::new(move |bound| {
                if seconds <= bound {
                    (1.0, seconds)
                } else {
                    (0.0, 0.0)
                }
            })
        }
        Latency::Percentiles(_) | Latency::Moments(_) => {
            let (mu, sigma) = latency.log_normal().unwrap_or_default();
            log_normal(mu, sigma)
        }
    };
    let mut below = (0.0, 0.0);
    bounds
        .iter()
        .chain(&[f64::INFINITY])
        .map(|bound| {
            let now = up_to(*bound);
            let (share, seconds) = (now.0 - below.0, now.1 - below.1);
            below = now;
            let mean = if share > 0.0 { seconds / share } else { 0.0 };
            BucketShare { share, mean }
        })
        .collect()
}

fn log_normal(mu: f64, sigma: f64) -> Box<dyn Fn(f64) -> (f64, f64)> {
    let mean = libm::exp(mu + sigma * sigma / 2.0);
    Box::new(move |bound| {
        if bound <= 0.0 {
            return (0.0, 0.0);
        }
        if bound.is_infinite() {
            return (1.0, mean);
        }
        let distance = libm::log(bound) - mu;
        if sigma <= 0.0 {
            return if distance >= 0.0 {
                (1.0, mean)
            } else {
                (0.0, 0.0)
            };
        }
        let share = normal(distance / sigma);
        (share, mean * normal(distance / sigma - sigma))
    })
}

/// The standard normal distribution function.
fn normal(z: f64) -> f64 {
    libm::erfc(-z / SQRT_2) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shares(latency: serde_json::Value, bounds: &[f64]) -> Vec<BucketShare> {
        bucket_shares(serde_json::from_value(latency).unwrap(), bounds)
    }

    #[test]
    fn percentiles_are_where_they_were_asked_for() {
        let found = shares(json!({"p50": "100ms", "p99": "800ms"}), &[0.1, 0.8]);
        let rounded: Vec<f64> = found
            .iter()
            .map(|bucket| (bucket.share * 1e9).round() / 1e9)
            .collect();
        assert_eq!(rounded, [0.5, 0.49, 0.01]);
    }

    #[test]
    fn parts_of_what_is_left_give_the_shares() {
        let latency = serde_json::from_value(json!({"p50": "100ms", "p99": "800ms"})).unwrap();
        let bounds = [0.001, 0.05, 0.1, 0.2, 0.8, 3.0];
        let Spread {
            buckets,
            largest_first,
        } = Spread::new(latency, &bounds);
        let mut left = 1.0;
        let mut before = f64::INFINITY;
        for (bucket, part) in &largest_first {
            let share = buckets[*bucket].share;
            assert!(share <= before && (left * part.share - share).abs() < 1e-15);
            before = share;
            left -= share;
        }
        assert_eq!(largest_first.last().map(|(_, part)| part.share), Some(1.0));
        let taking = buckets.iter().filter(|bucket| bucket.share > 0.0);
        assert_eq!(largest_first.len(), taking.count());
    }

    #[test]
    fn bucket_means_add_up_to_the_mean() {
        for latency in [
            json!("250ms"),
            json!({"mean": "250ms", "sd": "400ms"}),
            json!({"mean": "250ms", "sd": "0s"}),
        ] {
            let found = shares(latency.clone(), &[0.05, 0.1, 0.5, 1.0]);
            let total: f64 = found.iter().map(|bucket| bucket.share).sum();
            let mean: f64 = found.iter().map(|bucket| bucket.share * bucket.mean).sum();
            assert!((total - 1.0).abs() < 1e-12, "{latency}: {total}");
            assert!((mean - 0.25).abs() < 1e-9, "{latency}: {mean}");
        }
    }
}
