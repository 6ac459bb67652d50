//! How sure the verdicts of a ratio are, by the number of requests it is taken from.
//!
//! Requests and errors come at random (Poisson); windows that overlap share them. Releases are
//! simulated with fixed seeds, so that the same metric gives the same shares.

use std::ops::Range;
use std::sync::Arc;

use crate::engine::analysis::assess::{assess_metric, count_measurement, took_all};
use crate::lint::context::MetricView;
use crate::lint::evaluate::{ProviderAnswer, evaluate_outcome};
use crate::spec::analysis::{AnalysisPhase, Measurement, MetricResult};

/// A metric that judges the share of bad requests, and when it is measured.
#[derive(Clone, Debug)]
pub struct Sampled<'m> {
    pub metric: &'m MetricView<'m>,
    /// Largest share of bad requests that passes, above 0 and below 1.
    pub limit: f64,
    /// Time of each measurement in seconds.
    pub times: Vec<f64>,
    /// Seconds that a measurement looks back.
    pub window: f64,
}

/// What becomes of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Stopped,
    Passed,
}

const RELEASES: u32 = 1000;
/// After so many releases each, it is looked whether more are needed.
const BATCH: u32 = 50;
const SEED: u64 = 0x5eed;

/// The largest share of bad requests that the conditions let pass, of a ratio that is the share of
/// good requests or that of bad ones, in parts of `whole` (1 or 100). `None` where the conditions
/// have no such limit.
pub fn limit_of(metric: &MetricView<'_>, whole: f64) -> Option<f64> {
    let passes = |ratio: f64| {
        evaluate_outcome(metric, &ProviderAnswer::Number(ratio * whole))
            .map(|outcome| outcome.phase == AnalysisPhase::Successful)
    };
    let is_of_good = match (passes(0.0)?, passes(1.0)?) {
        (false, true) => true,
        (true, false) => false,
        (true, true) | (false, false) => return None,
    };
    let bad_passes = |bad: f64| passes(if is_of_good { 1.0 - bad } else { bad });
    let (mut good, mut bad) = (0.0, 1.0);
    // As fine as the digits that are kept.
    for _ in 0..22 {
        let middle = (good + bad) / 2.0;
        if bad_passes(middle)? {
            good = middle;
        } else {
            bad = middle;
        }
    }
    // People write few digits.
    let limit = (good * 1e6_f64).round() / 1e6;
    (limit > 0.0 && limit < 1.0).then_some(limit)
}

impl Sampled<'_> {
    /// Share of releases, 0 to 1, that come out so when this share of their requests is bad; `rate`
    /// gives the requests per second at a time in seconds. `None` as soon as it is clear that the
    /// share is not above `bound`.
    pub fn share_above(
        &self,
        bound: f64,
        outcome: Outcome,
        bad_share: f64,
        rate: &dyn Fn(f64) -> f64,
    ) -> Option<f64> {
        let course = self.course(rate, bad_share);
        let mut random = Random(SEED);
        let mut counted = 0_u32;
        for done in 1..=RELEASES {
            let came_out = match self.release(&course, &mut random) {
                AnalysisPhase::Failed | AnalysisPhase::Inconclusive | AnalysisPhase::Error => {
                    Outcome::Stopped
                }
                AnalysisPhase::Successful
                | AnalysisPhase::Unset
                | AnalysisPhase::Pending
                | AnalysisPhase::Running => Outcome::Passed,
            };
            counted += u32::from(came_out == outcome);
            if done % BATCH == 0 && upper_bound(counted, done) < bound {
                return None;
            }
        }
        let share = f64::from(counted) / f64::from(RELEASES);
        (share > bound).then_some(share)
    }

    /// Requests that a measurement is taken from, on average, at its time.
    pub fn requests(&self, rate: &dyn Fn(f64) -> f64) -> Vec<f64> {
        let slices = self.slices(rate);
        let sum = |time: &f64| {
            slices
                .iter()
                .filter(|slice| self.sees(*time, slice))
                .map(|slice| slice.requests)
                .sum()
        };
        self.times.iter().map(sum).collect()
    }

    /// Time cut where a window begins or ends.
    fn slices(&self, rate: &dyn Fn(f64) -> f64) -> Vec<Slice> {
        let mut cuts: Vec<f64> = self
            .times
            .iter()
            .flat_map(|time| [*time, *time - self.window])
            .collect();
        cuts.sort_by(f64::total_cmp);
        cuts.dedup();
        cuts.windows(2)
            .filter_map(|pair| match pair {
                [from, to] => Some(Slice {
                    from: *from,
                    to: *to,
                    // The rate changes at steps: eight looks come near enough.
                    requests: (0..8)
                        .map(|part| {
                            let at = from + (to - from) * (f64::from(part) + 0.5) / 8.0;
                            rate(at) * (to - from) / 8.0
                        })
                        .sum(),
                }),
                _ => None,
            })
            .collect()
    }

    fn sees(&self, time: f64, slice: &Slice) -> bool {
        slice.to <= time && slice.from >= time - self.window
    }

    /// What every release of a simulation has in common.
    fn course(&self, rate: &dyn Fn(f64) -> f64, bad_share: f64) -> Course {
        let slices = self.slices(rate);
        let events = |share: f64| {
            let means = slices.iter().map(|slice| slice.requests * share);
            means.map(Events::new).collect()
        };
        let seen = |time: &f64| {
            let mut seen = slices.iter().map(|slice| self.sees(*time, slice));
            let start = seen.by_ref().take_while(|is_seen| !is_seen).count();
            let length = seen.take_while(|is_seen| *is_seen).count();
            // The first one that is seen has been taken above.
            let length = if start < slices.len() { length + 1 } else { 0 };
            start..start + length
        };
        Course {
            bad: events(bad_share),
            good: events(1.0 - bad_share),
            seen: self.times.iter().map(seen).collect(),
        }
    }

    fn release(&self, course: &Course, random: &mut Random) -> AnalysisPhase {
        // Requests up to the end of each slice: whole numbers, so that differences are exact.
        let (mut bad, mut all) = (0.0, 0.0);
        let mut sums = Vec::with_capacity(course.bad.len() + 1);
        sums.push((bad, all));
        for (of_bad, of_good) in course.bad.iter().zip(&course.good) {
            let (more_bad, more_good) = (random.number(of_bad), random.number(of_good));
            bad += more_bad;
            all += more_bad + more_good;
            sums.push((bad, all));
        }
        let metric = &self.metric.metric;
        let mut result = MetricResult {
            phase: AnalysisPhase::Running,
            ..MetricResult::default()
        };
        for seen in &course.seen {
            let Some(((bad_before, all_before), (bad, all))) =
                sums.get(seen.start).zip(sums.get(seen.end))
            else {
                continue;
            };
            let (bad, all) = (bad - bad_before, all - all_before);
            // Without requests there is nothing to judge; that is a danger of its own.
            if all == 0.0 {
                continue;
            }
            let phase = if bad / all <= self.limit + 1e-9 {
                AnalysisPhase::Successful
            } else {
                AnalysisPhase::Failed
            };
            count_measurement(&mut result, phase);
            // Only the last one is looked at.
            let measurements = result.measurements.make_mut();
            match measurements.last_mut() {
                Some(last) => Arc::make_mut(last).phase = phase,
                None => measurements.push(Arc::new(Measurement {
                    phase,
                    ..Measurement::default()
                })),
            }
            let phase = assess_metric(metric, &result, false);
            if phase.is_completed() || took_all(metric, &result) {
                return phase;
            }
        }
        assess_metric(metric, &result, true)
    }
}

/// What every release of a simulation has in common.
struct Course {
    /// Requests of each slice.
    bad: Vec<Events>,
    good: Vec<Events>,
    /// The slices that each measurement sees.
    seen: Vec<Range<usize>>,
}

/// Upper end of the 99 % Wilson score interval of a share.
fn upper_bound(counted: u32, of: u32) -> f64 {
    const Z: f64 = 2.576;
    let (share, of) = (f64::from(counted) / f64::from(of), f64::from(of));
    let middle = share + Z * Z / (2.0 * of);
    let half = Z * (share * (1.0 - share) / of + Z * Z / (4.0 * of * of)).sqrt();
    (middle + half) / (1.0 + Z * Z / of)
}

#[derive(Clone, Copy, Debug)]
struct Slice {
    from: f64,
    to: f64,
    requests: f64,
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Above 0, at most 1.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// A number of events.
    fn number(&mut self, of: &Events) -> f64 {
        let Events { mean, floor } = *of;
        if mean <= 0.0 {
            return 0.0;
        }
        if mean > 50.0 {
            // Near enough to normal; twelve uniform numbers have a variance of 1.
            let normal: f64 = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
            return (mean + mean.sqrt() * normal).round().max(0.0);
        }
        let mut product = self.unit();
        let mut events = 0.0;
        while product > floor {
            product *= self.unit();
            events += 1.0;
        }
        events
    }
}

/// Events that come at random.
#[derive(Clone, Copy, Debug)]
struct Events {
    /// How many are expected.
    mean: f64,
    /// Chance that none comes.
    floor: f64,
}

impl Events {
    fn new(mean: f64) -> Self {
        Self {
            mean,
            floor: (-mean).exp(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_events_have_mean_and_variance_of_a_poisson_distribution() {
        for mean in [0.3, 7.0, 200.0] {
            let mut random = Random(SEED);
            let drawn: Vec<f64> = (0..20_000)
                .map(|_| random.number(&Events::new(mean)))
                .collect();
            let count = drawn.len() as f64;
            let average = drawn.iter().sum::<f64>() / count;
            let variance = drawn.iter().map(|x| (x - average).powi(2)).sum::<f64>() / count;
            assert!((average - mean).abs() < 0.05 * mean + 0.01, "{average}");
            assert!((variance - mean).abs() < 0.05 * mean + 0.02, "{variance}");
        }
    }
}
