//! Counts of requests by outcome and latency, expected or drawn.

use rand::rngs::Xoshiro256PlusPlus;

use super::latency::{BucketShare, Spread};

/// What became of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Answered,
    Failed,
    /// There was no pod to answer: the gateway says 503.
    NoPod,
}

pub(super) const OUTCOMES: [Outcome; 3] = [Outcome::Answered, Outcome::Failed, Outcome::NoPod];

/// Requests so far, of one outcome.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Tally {
    pub requests: f64,
    /// By latency, not cumulative, the last one above all bounds.
    pub buckets: Vec<f64>,
    /// Of all latencies; 0 of drawn ones where nobody looks.
    pub seconds: f64,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.requests += other.requests;
        self.seconds += other.seconds;
        self.buckets.resize(other.buckets.len(), 0.0);
        for (sum, part) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum += part;
        }
    }

    /// Makes it as many as are expected.
    pub fn expect(&mut self, requests: f64, shares: &[BucketShare]) {
        self.requests = requests;
        self.buckets.clear();
        let counts = shares.iter().map(|it| requests * it.share);
        self.buckets.extend(counts);
        self.seconds = shares.iter().map(|it| requests * it.share * it.mean).sum();
    }

    /// Makes it requests that found no pod: refused at once.
    pub fn refuse(&mut self, requests: f64, buckets: usize) {
        self.requests = requests;
        self.buckets.clear();
        self.buckets.resize(buckets, 0.0);
        if let Some(first) = self.buckets.first_mut() {
            *first = requests;
        }
        self.seconds = 0.0;
    }
}

/// Draws counts for one place where requests arrive. Numbers of requests and latencies come from
/// different streams, so that the former do not depend on whether the latter are looked at.
#[derive(Debug, Clone)]
pub(super) struct Dice {
    pub requests: Xoshiro256PlusPlus,
    pub latencies: Xoshiro256PlusPlus,
}

impl Dice {
    /// Makes `tally` a number of requests with their latencies.
    pub fn tally(
        &mut self,
        requests: f64,
        latency: &Spread,
        wants_seconds: bool,
        tally: &mut Tally,
    ) {
        let Spread {
            buckets,
            largest_first,
        } = latency;
        tally.requests = requests;
        tally.buckets.clear();
        tally.buckets.resize(buckets.len(), 0.0);
        let mut left = requests;
        for (at, part) in largest_first {
            if left <= 0.0 {
                break;
            }
            let drawn = part.draw(&mut self.latencies, left);
            if let Some(bucket) = tally.buckets.get_mut(*at) {
                *bucket = drawn;
            }
            left -= drawn;
        }
        tally.seconds = 0.0;
        if wants_seconds {
            let counts = tally.buckets.iter().zip(buckets);
            tally.seconds = counts.map(|(count, it)| *count * it.mean).sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use serde_json::json;

    use super::super::poisson::Counts;
    use super::*;

    /// Sums of numbers, and of products of two of them.
    struct Moments {
        sums: Vec<f64>,
        products: Vec<Vec<f64>>,
        count: f64,
    }

    impl Moments {
        fn of(draws: impl Iterator<Item = Vec<f64>>) -> Self {
            let mut moments = Self {
                sums: Vec::new(),
                products: Vec::new(),
                count: 0.0,
            };
            for draw in draws {
                let Self {
                    sums,
                    products,
                    count,
                } = &mut moments;
                sums.resize(draw.len(), 0.0);
                products.resize(draw.len(), vec![0.0; draw.len()]);
                *count += 1.0;
                for (i, a) in draw.iter().enumerate() {
                    sums[i] += a;
                    for (j, b) in draw.iter().enumerate() {
                        products[i][j] += a * b;
                    }
                }
            }
            moments
        }

        fn mean(&self, i: usize) -> f64 {
            self.sums[i] / self.count
        }

        fn covariance(&self, i: usize, j: usize) -> f64 {
            self.products[i][j] / self.count - self.mean(i) * self.mean(j)
        }
    }

    fn dice() -> Dice {
        Dice {
            requests: Xoshiro256PlusPlus::seed_from_u64(1),
            latencies: Xoshiro256PlusPlus::seed_from_u64(2),
        }
    }

    fn spread() -> Spread {
        let latency = serde_json::from_value(json!({"p50": "80ms", "p99": "300ms"}));
        let bounds = [0.005, 0.025, 0.05, 0.1, 0.25, 0.5];
        Spread::new(latency.expect("a latency"), &bounds)
    }

    #[test]
    fn latencies_of_so_many_requests_are_multinomial() {
        let (mut dice, spread, mut tally) = (dice(), spread(), Tally::default());
        let requests = 150.0;
        let moments = Moments::of((0..20_000).map(|_| {
            dice.tally(requests, &spread, true, &mut tally);
            assert_eq!(tally.buckets.iter().sum::<f64>(), requests);
            tally.buckets.clone()
        }));
        for (i, a) in spread.buckets.iter().enumerate() {
            for (j, b) in spread.buckets.iter().enumerate() {
                let (x, y) = (a.share, b.share);
                let expected = requests * if i == j { x * (1.0 - x) } else { -x * y };
                let spread = requests * (x * y).sqrt() + 1.0;
                let found = moments.covariance(i, j);
                assert!(
                    (found - expected).abs() < 0.03 * spread,
                    "{i} {j}: {found} {expected}"
                );
            }
            let (found, expected) = (moments.mean(i), requests * a.share);
            let deviation = (expected / moments.count).sqrt();
            assert!(
                (found - expected).abs() < 4.0 * deviation + 1e-3,
                "{i}: {found} {expected}"
            );
        }
    }

    #[test]
    fn latencies_of_senders_that_do_not_know_of_each_other_are_independent() {
        let (mut dice, spread, mut tally) = (dice(), spread(), Tally::default());
        let (counts, expected_requests) = (Counts::default(), 150.0);
        let moments = Moments::of((0..20_000).map(|_| {
            let requests = counts.draw(&mut dice.requests, expected_requests);
            dice.tally(requests, &spread, true, &mut tally);
            tally.buckets.clone()
        }));
        // Each bucket is Poisson distributed for itself.
        for (i, a) in spread.buckets.iter().enumerate() {
            for (j, b) in spread.buckets.iter().enumerate() {
                let expected = if i == j {
                    expected_requests * a.share
                } else {
                    0.0
                };
                let spread = expected_requests * (a.share * b.share).sqrt() + 1.0;
                let found = moments.covariance(i, j);
                assert!(
                    (found - expected).abs() < 0.04 * spread,
                    "{i} {j}: {found} {expected}"
                );
            }
        }
    }
}
