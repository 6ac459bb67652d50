//! Many runs at once, with the same result for any number of threads.
//!
//! Each run's seed comes from the question's seed and the run's number alone, and sums are of whole
//! numbers, so that it does not matter who plays which run, and when. Runs are handed out in their order
//! and each that was begun is finished: whoever stops early has the first n runs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;

use crate::promql::Store;
use crate::sim::mix;
use crate::sim::play::{Play, Prepared};
use crate::sim::scenario::Scenario;

use super::pairs::Pairs;
use super::row::{Ending, Row};
use super::summary::{Summary, Tally};

/// What is played in each run.
#[derive(Debug, Clone, Copy)]
pub struct Variant<'a> {
    pub objects: &'a [Value],
    pub scenario: &'a Scenario,
    /// The series of the scenario's traces, with times from the release on.
    pub traces: &'a Store,
}

/// How many runs, with which chance, by whom.
#[derive(Clone, Copy)]
pub struct Effort<'a> {
    pub runs: u64,
    pub seed: u64,
    /// At least 1.
    pub threads: usize,
    /// Set by others to end early.
    pub stop: &'a AtomicBool,
    /// Told of each simulation that is done.
    pub progress: &'a (dyn Fn() + Sync),
}

/// Sums of each variant, and of each pair of variants that was asked for. All variants have the same
/// number of runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tallies {
    pub variants: Vec<Tally>,
    pub pairs: Vec<Pairs>,
}

/// Runs among which a typical one is looked for.
const TYPICAL_OF: u64 = 20;

/// The seed of a run, counted from 0. Variants get the same one, so that they differ by what they are
/// and not by chance.
pub fn run_seed(seed: u64, run: u64) -> u64 {
    mix(seed, run)
}

/// Plays all variants in each run. `pairs` names variants whose rows are compared run by run.
///
/// # Errors
/// What the simulator says of the first variant that cannot be played (see [`Prepared::new`]).
pub fn play_all(
    variants: &[Variant<'_>],
    pairs: &[(usize, usize)],
    effort: &Effort<'_>,
) -> Result<Tallies, String> {
    let prepared: Vec<Prepared> = variants
        .iter()
        .map(|it| {
            let prepared = Prepared::new(it.objects, it.scenario, it.traces);
            prepared.map(|prepared| prepared.among(variants.len()))
        })
        .collect::<Result<_, _>>()?;
    let next = AtomicU64::new(0);
    let work = || {
        let mut tallies = Tallies {
            variants: vec![Tally::default(); variants.len()],
            pairs: vec![Pairs::default(); pairs.len()],
        };
        let mut rows: Vec<Row> = Vec::with_capacity(variants.len());
        while !effort.stop.load(Ordering::Relaxed) {
            let run = next.fetch_add(1, Ordering::Relaxed);
            if run >= effort.runs {
                break;
            }
            rows.clear();
            let seed = run_seed(effort.seed, run);
            for variant in &prepared {
                let outcome = variant.outcome(seed);
                rows.push(Row::of(&outcome.outcome, &outcome.totals));
                (effort.progress)();
            }
            for (tally, row) in tallies.variants.iter_mut().zip(&rows) {
                tally.add(row);
            }
            for (sums, (before, after)) in tallies.pairs.iter_mut().zip(pairs) {
                if let (Some(before), Some(after)) = (rows.get(*before), rows.get(*after)) {
                    sums.add(before, after);
                }
            }
        }
        tallies
    };
    let parts: Vec<Tallies> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..effort.threads).map(|_| scope.spawn(work)).collect();
        let mut parts = vec![work()];
        for other in others {
            match other.join() {
                Ok(part) => parts.push(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        parts
    });
    let mut parts = parts.into_iter();
    let mut all = parts.next().unwrap_or_default();
    for part in parts {
        for (sum, more) in all.variants.iter_mut().zip(&part.variants) {
            sum.merge(more);
        }
        for (sum, more) in all.pairs.iter_mut().zip(&part.pairs) {
            sum.merge(more);
        }
    }
    Ok(all)
}

/// Of the first runs, one that ends as most do, in the time that is nearest to the median.
///
/// # Errors
/// See [`Prepared::new`].
pub fn typical_run(variant: Variant<'_>, summary: &Summary, seed: u64) -> Result<Play, String> {
    let prepared = Prepared::new(variant.objects, variant.scenario, variant.traces)?;
    let usual = Ending::ALL
        .into_iter()
        .max_by_key(|ending| summary.share(*ending).count)
        .unwrap_or(Ending::Promoted);
    let distance = |run: &u64| {
        let outcome = prepared.outcome(run_seed(seed, *run));
        let row = Row::of(&outcome.outcome, &outcome.totals);
        let (time, median) = match usual {
            Ending::Aborted => (row.time_to_abort, summary.seconds_to_abort),
            Ending::Promoted
            | Ending::Inconclusive
            | Ending::WaitsForPeople
            | Ending::Stuck
            | Ending::Unfinished
            | Ending::NotReleased => (row.time_to_promotion, summary.seconds_to_promotion),
        };
        let median = median.map_or(0.0, |amount| amount.median.value * 1000.0);
        let away = time.map_or(0, |time| (time as f64 - median).abs() as u64);
        (row.ending != usual, away)
    };
    let run = (0..TYPICAL_OF).min_by_key(distance).unwrap_or(0);
    Ok(prepared.play(run_seed(seed, run)))
}

/// What the reader should know of how the metrics of the first run were answered, such as queries that
/// find no data.
///
/// # Errors
/// See [`Prepared::new`].
pub fn notes_on_answers(variant: Variant<'_>, seed: u64) -> Result<Vec<String>, String> {
    let prepared = Prepared::new(variant.objects, variant.scenario, variant.traces)?;
    Ok(prepared.play(run_seed(seed, 0)).notes)
}
