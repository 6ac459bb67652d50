//! Which combinations are played, and how often: few runs for all, more for those that survive, the full number
//! for the last ones. All have the same chance, so that small numbers of runs compare well.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use serde_json::Value;

use crate::promql::Store;
use crate::sim::mix;
use crate::whatif::{Effort, Evaluation, Releases, Tally, Variant, play_all};

use super::front::{Demands, Dot, Merits, Tuned, Tuning, front, ranked};
use super::knobs::{Board, Group, Positions};

/// Runs of settings that are tried for the first time.
const FIRST_RUNS: u64 = 24;
/// Runs of those that others are made from.
const SECOND_RUNS: u64 = 96;
/// Settings that others are made from.
const PARENTS: usize = 8;
/// Settings that are made from them in each round.
const CHILDREN: usize = 16;
/// Settings that are played with the full number of runs.
const FINALISTS: usize = 8;
/// Settings that those are chosen from.
const SEMIFINALISTS: usize = 16;
/// Tries to make settings that are new.
const TRIES: u64 = 40;
/// Rounds that are played whatever the bounds: without them nothing is searched.
const ROUNDS_MIN: usize = 3;
const ROUNDS_MAX: usize = 40;

/// How much is played.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Of each release for the settings that are told. The effort's own number does not matter.
    pub runs: u64,
    /// Simulations in all, about: a first search is played in any case.
    pub plays: u64,
}

/// Looks for the settings that are fast and do little harm.
///
/// # Errors
/// There is nothing to set, no release is ever promoted, or a simulation is refused (see [`play_all`]).
pub fn tune(
    objects: &[Value],
    releases: &Releases,
    traces: &Store,
    demands: Demands,
    bounds: Bounds,
    effort: &Effort<'_>,
) -> Result<Tuning, String> {
    let board = Board::new(objects);
    if board.knobs.is_empty() {
        return Err(
            "nothing can be tuned: there are no steps with weights or pauses, and no metrics"
                .to_owned(),
        );
    }
    let mut search = Search {
        board,
        releases,
        traces,
        demands,
        effort: *effort,
        plays: 0,
        known: BTreeMap::new(),
    };
    let present = search.board.present();
    let mut first = vec![present.clone()];
    for notches in [-1, 1] {
        let groups = Group::ALL.into_iter();
        first.extend(groups.filter_map(|it| search.board.moved_together(&present, it, notches)));
        let knobs = 0..search.board.knobs.len();
        first.extend(knobs.filter_map(|knob| search.board.moved(&present, knob, notches)));
    }
    first.retain(|positions| search.board.is_sensible(positions));
    search.play(&first, FIRST_RUNS.min(bounds.runs))?;
    // What the last two stages need.
    let semifinal = SEMIFINALISTS as u64 * 2 * SECOND_RUNS.min(bounds.runs);
    let last = (FINALISTS as u64 + 1) * 2 * bounds.runs + semifinal;
    let reserve = last.saturating_add(FINALISTS as u64 * 6 * FIRST_RUNS);
    for round in 0..ROUNDS_MAX {
        let parents = search.best(PARENTS);
        search.play(&parents, SECOND_RUNS.min(bounds.runs))?;
        let children = search.children(&search.best(PARENTS), mix(effort.seed, round as u64));
        let round_plays = (PARENTS as u64 * SECOND_RUNS + CHILDREN as u64 * FIRST_RUNS) * 2;
        let spent = search.plays.saturating_add(round_plays);
        let is_spent = round >= ROUNDS_MIN && spent.saturating_add(reserve) > bounds.plays;
        if children.is_empty() || is_spent || search.is_stopped() {
            break;
        }
        search.play(&children, FIRST_RUNS.min(bounds.runs))?;
    }
    let second_runs = SECOND_RUNS.min(bounds.runs);
    search.play(&search.best(SEMIFINALISTS), second_runs)?;
    let finalists = search.best_by_estimates(FINALISTS, second_runs);
    let finalists = search.without_idle_changes(finalists)?;
    let mut told = vec![present.clone()];
    told.extend(finalists.iter().filter(|it| **it != present).cloned());
    search.play(&told, bounds.runs)?;
    search.tuning(&present, &told)
}

struct Search<'a> {
    board: Board<'a>,
    releases: &'a Releases,
    traces: &'a Store,
    demands: Demands,
    effort: Effort<'a>,
    plays: u64,
    /// Settings that were played, with the sums of the most runs.
    known: BTreeMap<Positions, Known>,
}

struct Known {
    healthy: Tally,
    bad: Tally,
}

impl Known {
    fn evaluation(&self) -> Evaluation {
        Evaluation {
            healthy: self.healthy.summary(),
            bad: self.bad.summary(),
        }
    }
}

impl Search<'_> {
    fn is_stopped(&self) -> bool {
        self.effort.stop.load(Ordering::Relaxed)
    }

    /// Plays settings that were not played that often.
    fn play(&mut self, settings: &[Positions], runs: u64) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        let is_new = |positions: &&Positions| {
            let known = self.known.get(*positions);
            known.is_none_or(|known| known.healthy.runs() < runs)
                && seen.insert((*positions).clone())
        };
        let settings: Vec<&Positions> = settings.iter().filter(is_new).collect();
        if settings.is_empty() || self.is_stopped() {
            return Ok(());
        }
        let settings: Vec<Positions> = settings.into_iter().cloned().collect();
        let outcomes = self.outcomes(&settings, runs)?;
        for (positions, (healthy, bad)) in settings.into_iter().zip(outcomes) {
            let known = self.known.get(&positions);
            let known = known.map_or(0, |it| it.healthy.runs());
            // Ended early, there may be fewer runs than before.
            if healthy.runs() > known {
                self.known.insert(positions, Known { healthy, bad });
            }
        }
        Ok(())
    }

    /// The best so far, the best first, as far as few runs can tell: what may meet the demands counts as
    /// meeting them.
    fn best(&self, count: usize) -> Vec<Positions> {
        self.ranked(count, 0, Merits::of)
    }

    /// The best of those with at least so many runs, by what the runs say.
    fn best_by_estimates(&self, count: usize, runs: u64) -> Vec<Positions> {
        self.ranked(count, runs, Merits::of_estimates)
    }

    fn ranked(
        &self,
        count: usize,
        runs: u64,
        merits: fn(&Evaluation, &Demands) -> Merits,
    ) -> Vec<Positions> {
        let known = self.known.iter();
        let (all, merits): (Vec<&Positions>, Vec<Merits>) = known
            .filter(|(_, known)| known.healthy.runs() >= runs)
            .map(|(positions, known)| (positions, merits(&known.evaluation(), &self.demands)))
            .unzip();
        let order = ranked(&merits).into_iter();
        order
            .filter_map(|index| all.get(index).map(|it| (*it).clone()))
            .take(count)
            .collect()
    }

    /// New settings: of two parents, with one knob or one group of knobs moved.
    fn children(&self, parents: &[Positions], seed: u64) -> Vec<Positions> {
        let mut children: Vec<Positions> = Vec::new();
        let mut chance = Chance { seed, drawn: 0 };
        for _ in 0..TRIES * CHILDREN as u64 {
            if children.len() >= CHILDREN {
                break;
            }
            let (Some(one), Some(other)) = (
                parents.get(chance.below(parents.len())),
                parents.get(chance.below(parents.len())),
            ) else {
                break;
            };
            let mut child: Positions = Positions::with_capacity(one.len());
            for (one, other) in one.iter().zip(other) {
                child.push(if chance.below(2) == 0 { *one } else { *other });
            }
            let notches = [-2, -1, 1, 2].get(chance.below(4)).copied().unwrap_or(1);
            let knob = chance.below(self.board.knobs.len());
            let group = self.board.knobs.get(knob).and_then(|knob| knob.group);
            let moved = match group.filter(|_| chance.below(2) == 0) {
                Some(group) => self.board.moved_together(&child, group, notches),
                None => self.board.moved(&child, knob, notches),
            };
            let child = moved.unwrap_or(child);
            let is_new = !self.known.contains_key(&child) && !children.contains(&child);
            if is_new && self.board.is_sensible(&child) {
                children.push(child);
            }
        }
        children
    }

    /// Settings without those changes that change nothing in the first runs.
    fn without_idle_changes(&mut self, settings: Vec<Positions>) -> Result<Vec<Positions>, String> {
        let runs = FIRST_RUNS.min(self.effort.runs.max(1));
        let mut cleaned: Vec<Positions> = Vec::new();
        for positions in settings {
            let mut simplest = positions;
            let knobs = 0..self.board.knobs.len();
            let others: Vec<Positions> = knobs
                .filter_map(|knob| self.board.reset(&simplest, knob))
                .collect();
            let mut all = others.clone();
            all.push(simplest.clone());
            let outcomes = self.outcomes(&all, runs)?;
            let Some(wanted) = outcomes.last().cloned() else {
                cleaned.push(simplest);
                continue;
            };
            for (other, outcome) in others.iter().zip(&outcomes) {
                if *outcome == wanted {
                    let present = self.board.present();
                    for (at, (reset, present)) in
                        simplest.iter_mut().zip(other.iter().zip(&present))
                    {
                        if reset == present {
                            *at = *present;
                        }
                    }
                }
            }
            // Together they may matter after all.
            let both = [simplest.clone()];
            let same = self.outcomes(&both, runs)?.first() == Some(&wanted);
            let chosen = if same {
                simplest
            } else {
                all.pop().unwrap_or(simplest)
            };
            if !cleaned.contains(&chosen) {
                cleaned.push(chosen);
            }
        }
        Ok(cleaned)
    }

    /// What comes of settings in the first runs.
    fn outcomes(
        &mut self,
        settings: &[Positions],
        runs: u64,
    ) -> Result<Vec<(Tally, Tally)>, String> {
        let objects: Vec<Vec<Value>> = settings.iter().map(|it| self.board.objects(it)).collect();
        let variants: Vec<Variant<'_>> = objects
            .iter()
            .flat_map(|objects| {
                [&self.releases.healthy, &self.releases.bad].map(|release| Variant {
                    objects,
                    scenario: &release.scenario,
                    traces: self.traces,
                })
            })
            .collect();
        let effort = Effort {
            runs,
            ..self.effort
        };
        let tallies = play_all(&variants, &[], &effort)?;
        let played: u64 = tallies.variants.iter().map(Tally::runs).sum();
        self.plays = self.plays.saturating_add(played);
        let pairs = tallies.variants.chunks_exact(2);
        Ok(pairs
            .filter_map(|pair| match pair {
                [healthy, bad] => Some((healthy.clone(), bad.clone())),
                _ => None,
            })
            .collect())
    }

    fn tuning(&self, present: &Positions, told: &[Positions]) -> Result<Tuning, String> {
        let tuned = |positions: &Positions| {
            let known = self.known.get(positions)?;
            let changes = self.board.changes(positions);
            Some(Tuned::new(changes, known.evaluation(), &self.demands))
        };
        let now = tuned(present).ok_or("ended before anything was played")?;
        let all: Vec<Tuned> = told.iter().filter_map(tuned).collect();
        if all.iter().all(|it| it.seconds.is_none()) {
            return Err(
                "no healthy release is promoted: there is no time to make shorter. If the steps wait for \
                 somebody, let `events` of the scenario promote"
                    .to_owned(),
            );
        }
        let least = |a: &&Tuned, b: &&Tuned| {
            a.missed_by(&self.demands)
                .total_cmp(&b.missed_by(&self.demands))
        };
        let nearest = all.iter().min_by(least).cloned();
        let front = front(all);
        let dots = self.known.values().filter_map(|known| {
            let merits = Merits::of(&known.evaluation(), &self.demands);
            (merits.seconds.is_finite() && merits.harm.is_finite()).then_some(Dot {
                seconds: merits.seconds,
                harm: merits.harm,
                is_allowed: merits.violation <= 0.0,
            })
        });
        Ok(Tuning {
            demands: self.demands,
            runs: now.evaluation.healthy.runs,
            plays: self.plays,
            tried: self.known.len(),
            nearest: nearest.filter(|_| front.is_empty()),
            front,
            dots: dots.collect(),
            present: now,
        })
    }
}

/// Random numbers from a seed.
struct Chance {
    seed: u64,
    drawn: u64,
}

impl Chance {
    /// A number below `end`, or 0.
    fn below(&mut self, end: usize) -> usize {
        self.drawn = self.drawn.saturating_add(1);
        let number = mix(self.seed, self.drawn);
        usize::try_from(number % (end.max(1) as u64)).unwrap_or(0)
    }
}
