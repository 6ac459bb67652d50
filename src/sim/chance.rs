//! Draws what a scenario says goes wrong by chance.

use std::collections::BTreeMap;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution as _, StandardNormal};
use serde_json::Value;

use crate::time::Duration;

use super::pods::{JobRun, PodLife, PodModel, PodStart, SteadyPods};
use super::scenario::random::{CrashingPods, RandomMeasurements, RandomPods, SlowPods};
use super::scenario::traffic::Latency;
use super::store::mix;

/// Pods that fare as a scenario's `random.pods` says, from the release on.
#[derive(Debug, Clone)]
pub(super) struct RandomPodLives {
    steady: SteadyPods,
    random: RandomPods,
    has_trouble: bool,
}

impl RandomPodLives {
    pub fn new(random: RandomPods) -> Self {
        Self {
            steady: SteadyPods::default(),
            random,
            has_trouble: false,
        }
    }

    /// The release begins: until then all pods become ready, so that there is something to release to.
    pub fn start_trouble(&mut self) {
        self.has_trouble = true;
    }
}

impl PodModel for RandomPodLives {
    fn start(&mut self, pod: &mut PodStart<'_>) -> PodLife {
        let mut life = self.steady.start(pod);
        if !self.has_trouble {
            return life;
        }
        let RandomPods {
            ready_after,
            slow,
            never_ready,
            crash,
        } = &self.random;
        let mut luck: f64 = pod.random.random();
        if let Some(latency) = ready_after {
            let usual = pod.default_ready_after;
            let own = life
                .ready_after
                .map_or(Duration::ZERO, |after| after - usual);
            life.ready_after = Some(own + draw(*latency, pod.random));
        }
        let mut hits = |share: f64| {
            let hit = (0.0..share).contains(&luck);
            luck -= share;
            hit
        };
        if hits(never_ready.unwrap_or(0.0)) {
            return PodLife::never_ready("CrashLoopBackOff");
        }
        if let Some(SlowPods { share, ready_after }) = slow
            && hits(*share)
        {
            life.ready_after = Some(draw(*ready_after, pod.random));
        } else if let Some(CrashingPods {
            share,
            after,
            ready_again_after,
        }) = crash
            && hits(*share)
        {
            life.crash_after = Some(draw(*after, pod.random));
            life.restart_after = ready_again_after.map(|after| after.0);
        }
        life
    }

    fn run_job(&mut self, spec: &Value, random: &mut ChaCha8Rng) -> JobRun {
        self.steady.run_job(spec, random)
    }
}

/// A length of time of a distribution.
fn draw(latency: Latency, random: &mut ChaCha8Rng) -> Duration {
    match (latency, latency.log_normal()) {
        (Latency::Constant(period), _) => period.0,
        (Latency::Percentiles(_) | Latency::Moments(_), parameters) => {
            let (mu, sigma) = parameters.unwrap_or_default();
            let normal: f64 = StandardNormal.sample(random);
            Duration::from_secs_f64(libm::exp(mu + sigma * normal))
        }
    }
}

/// What a measurement gets instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Mishap {
    NoData,
    Error,
    Failed,
    Inconclusive,
}

/// Draws the mishaps of measurements. The n-th measurement of a metric has the same luck whatever
/// else happens.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Mishaps {
    entries: Vec<RandomMeasurements>,
    /// None before the release.
    seed: Option<u64>,
    asked: BTreeMap<String, u64>,
}

impl Mishaps {
    pub fn new(entries: Vec<RandomMeasurements>) -> Self {
        Self {
            entries,
            seed: None,
            asked: BTreeMap::new(),
        }
    }

    /// From now on there may be mishaps, drawn with this seed.
    pub fn start(&mut self, seed: u64) {
        self.seed = Some(seed);
    }

    /// The fate of the next measurement of a metric; none: it is answered.
    pub fn next(&mut self, metric: &str) -> Option<Mishap> {
        use std::hash::Hasher as _;
        let seed = self.seed?;
        let RandomMeasurements {
            metric: _,
            no_data,
            error,
            failed,
            inconclusive,
        } = self
            .entries
            .iter()
            .find(|entry| entry.metric.as_deref().is_none_or(|name| name == metric))?;
        let asked = self.asked.entry(metric.to_owned()).or_insert(0);
        *asked = asked.wrapping_add(1);
        let mut hasher = fnv::FnvHasher::default();
        hasher.write(b"measurement/");
        hasher.write(metric.as_bytes());
        let own = mix(seed ^ hasher.finish(), *asked);
        let mut luck: f64 = ChaCha8Rng::seed_from_u64(own).random();
        for (share, mishap) in [
            (no_data, Mishap::NoData),
            (error, Mishap::Error),
            (failed, Mishap::Failed),
            (inconclusive, Mishap::Inconclusive),
        ] {
            luck -= share.unwrap_or(0.0);
            if luck < 0.0 {
                return Some(mishap);
            }
        }
        None
    }
}
