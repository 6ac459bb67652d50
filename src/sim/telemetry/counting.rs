//! Counts of requests by outcome and latency, expected or drawn.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution as _, Poisson};

use super::latency::BucketShare;

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
    /// Of all latencies.
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
    pub requests: ChaCha8Rng,
    pub latencies: ChaCha8Rng,
}

impl Dice {
    /// Requests that came where `expected` were expected, of independent senders.
    pub fn count(&mut self, expected: f64) -> f64 {
        if expected > 0.0
            && let Ok(poisson) = Poisson::new(expected)
        {
            poisson.sample(&mut self.requests)
        } else {
            0.0
        }
    }

    /// Makes `tally` a number of requests with their latencies.
    pub fn tally(&mut self, requests: f64, shares: &[BucketShare], tally: &mut Tally) {
        let buckets = &mut tally.buckets;
        buckets.clear();
        buckets.resize(shares.len(), 0.0);
        let mut left = requests;
        let mut share_left = 1.0;
        for (bucket, it) in buckets.iter_mut().zip(shares) {
            if left < 1.0 || it.share <= 0.0 {
                continue;
            }
            let part = (it.share / share_left).clamp(0.0, 1.0);
            *bucket = part_of(&mut self.latencies, left, part);
            left -= *bucket;
            share_left -= it.share;
        }
        // What rounding left over belongs to the last bucket that takes requests.
        if left > 0.0
            && let Some(at) = shares.iter().rposition(|it| it.share > 0.0)
            && let Some(bucket) = buckets.get_mut(at)
        {
            *bucket += left;
        }
        tally.requests = requests;
        tally.seconds = buckets.iter().zip(shares).map(|(n, it)| n * it.mean).sum();
    }

    /// How many of the requests are of a kind that has this share.
    pub fn part(&mut self, requests: f64, share: f64) -> f64 {
        part_of(&mut self.requests, requests, share)
    }
}

fn part_of(random: &mut ChaCha8Rng, whole: f64, part: f64) -> f64 {
    // A share that makes no request in the long run need not be drawn.
    if part >= 1.0 {
        return whole;
    }
    if whole < 16.0 {
        let mut hits = 0.0;
        for _ in 0..whole as u32 {
            if random.random::<f64>() < part {
                hits += 1.0;
            }
        }
        return hits;
    }
    match Binomial::new(whole as u64, part) {
        Ok(binomial) => binomial.sample(random) as f64,
        Err(_) => 0.0,
    }
}
