//! Which settings are best: fast for healthy releases, harmless for users, few wrong decisions.

use serde::Serialize;
use serde_json::Value;

use crate::whatif::Evaluation;
use crate::whatif::vary::Field;

/// What has to hold of settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Demands {
    /// Share of the healthy releases that may fail to reach everybody, 0 to 1.
    pub max_false_abort: f64,
    /// Share of the bad releases that have to be aborted, 0 to 1.
    pub min_detect: f64,
}

/// A field that is set to another value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// `Kind/name:path`.
    pub field: String,
    /// Null where it is not set.
    pub before: Value,
    pub after: Value,
    #[serde(skip)]
    pub place: Field,
}

/// Settings and what came of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tuned {
    /// Against the manifests as they are.
    pub changes: Vec<FieldChange>,
    #[serde(flatten)]
    pub evaluation: Evaluation,
    /// Mean time to the full promotion of healthy releases; none where none is promoted.
    pub seconds: Option<f64>,
    /// Mean number of requests that fail because of a bad release; without traffic in the scenario the mean
    /// seconds until its abort.
    pub harm: Option<f64>,
    /// Whether the demands are met by the estimates.
    pub is_allowed: bool,
    /// Whether they are met also by the worse ends of the 95 % intervals.
    pub is_surely_allowed: bool,
}

impl Tuned {
    pub(super) fn new(
        changes: Vec<FieldChange>,
        evaluation: Evaluation,
        demands: &Demands,
    ) -> Self {
        let merits = Merits::of_estimates(&evaluation, demands);
        let (healthy, bad) = (&evaluation.healthy, &evaluation.bad);
        Self {
            seconds: finite(merits.seconds),
            harm: finite(merits.harm),
            is_allowed: missed_by(1.0 - healthy.promoted.share, bad.aborted.share, demands) <= 0.0,
            is_surely_allowed: missed_by(1.0 - healthy.promoted.low, bad.aborted.low, demands)
                <= 0.0,
            changes,
            evaluation,
        }
    }

    /// By how much the demands are missed, 0 where they are met.
    pub fn missed_by(&self, demands: &Demands) -> f64 {
        Merits::of_estimates(&self.evaluation, demands).violation
    }
}

/// By how much these shares of stopped healthy and caught bad releases miss the demands.
fn missed_by(stopped: f64, caught: f64, demands: &Demands) -> f64 {
    (stopped - demands.max_false_abort).max(0.0) + (demands.min_detect - caught).max(0.0)
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// What came of the search.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tuning {
    pub demands: Demands,
    /// Of each release for each of the settings that are told.
    pub runs: u64,
    /// Simulations that were played in all.
    pub plays: u64,
    /// Different settings that were played.
    pub tried: usize,
    /// The manifests as they are.
    pub present: Tuned,
    /// None of these is both slower and more harmful than another; the fastest first. All meet the demands.
    pub front: Vec<Tuned>,
    /// Where nothing meets the demands: what misses them least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<Tuned>,
    /// All settings that were tried, for a picture; the figures of most are of few runs.
    pub dots: Vec<Dot>,
}

/// Settings that were tried.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dot {
    pub seconds: f64,
    pub harm: f64,
    /// Whether they may meet the demands.
    pub is_allowed: bool,
}

/// Which settings of a front to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    Fastest,
    Safest,
    /// With the least product of time and harm.
    Balanced,
    /// Counted from 1.
    Number(usize),
}

impl Choice {
    /// Its index in the front; none where there is no such.
    pub fn index(self, front: &[Tuned]) -> Option<usize> {
        let product = |tuned: &Tuned| {
            let (seconds, harm) = (tuned.seconds.unwrap_or(0.0), tuned.harm.unwrap_or(0.0));
            (seconds + 1.0) * (harm + 1.0)
        };
        let index = match self {
            Choice::Fastest => 0,
            Choice::Safest => front.len().checked_sub(1)?,
            Choice::Balanced => {
                let order = |a: &(usize, &Tuned), b: &(usize, &Tuned)| {
                    product(a.1).total_cmp(&product(b.1))
                };
                front.iter().enumerate().min_by(order)?.0
            }
            Choice::Number(number) => number.checked_sub(1)?,
        };
        (index < front.len()).then_some(index)
    }
}

/// What settings are compared by: less is better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Merits {
    /// By how much the demands are missed.
    pub violation: f64,
    pub seconds: f64,
    pub harm: f64,
}

impl Merits {
    /// Demands are missed if they are at the better ends of the 95 % intervals.
    pub fn of(evaluation: &Evaluation, demands: &Demands) -> Self {
        let (healthy, bad) = (&evaluation.healthy, &evaluation.bad);
        let missed = missed_by(1.0 - healthy.promoted.high, bad.aborted.high, demands);
        Self::with(evaluation, missed)
    }

    /// Demands are missed if the estimates miss them.
    pub fn of_estimates(evaluation: &Evaluation, demands: &Demands) -> Self {
        let (healthy, bad) = (&evaluation.healthy, &evaluation.bad);
        let missed = missed_by(1.0 - healthy.promoted.share, bad.aborted.share, demands);
        Self::with(evaluation, missed)
    }

    fn with(evaluation: &Evaluation, violation: f64) -> Self {
        let (healthy, bad) = (&evaluation.healthy, &evaluation.bad);
        let mean = |amount: Option<crate::whatif::Amount>| {
            amount.map_or(f64::INFINITY, |amount| amount.mean.value)
        };
        Self {
            violation,
            seconds: mean(healthy.seconds_to_promotion),
            harm: mean(bad.failed_because_of_release.or(bad.seconds_to_abort)),
        }
    }

    /// Whether it is better in something and worse in nothing; what meets the demands better is better.
    fn beats(&self, other: &Self) -> bool {
        if self.violation != other.violation {
            return self.violation < other.violation;
        }
        self.seconds <= other.seconds
            && self.harm <= other.harm
            && (self.seconds < other.seconds || self.harm < other.harm)
    }
}

/// Indices in the order of merit: by the number of layers of better ones (non-dominated sorting), within a
/// layer those first that are far from their neighbours (as in NSGA-II, Deb 2002).
pub(super) fn ranked(merits: &[Merits]) -> Vec<usize> {
    let mut left: Vec<usize> = (0..merits.len()).collect();
    let mut order = Vec::with_capacity(merits.len());
    let of = |index: usize| merits.get(index);
    while !left.is_empty() {
        let (mut layer, rest): (Vec<usize>, Vec<usize>) = left.iter().partition(|index| {
            !left.iter().any(|other| match (of(*other), of(**index)) {
                (Some(other), Some(this)) => other.beats(this),
                (None, _) | (_, None) => false,
            })
        });
        if layer.is_empty() {
            // Cannot be: "beats" has no circles.
            order.extend(rest);
            break;
        }
        let distances = crowding(&layer, merits);
        let mut with: Vec<(usize, f64)> = layer.drain(..).zip(distances).collect();
        with.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        order.extend(with.into_iter().map(|(index, _)| index));
        left = rest;
    }
    order
}

/// How far the neighbours of each are.
fn crowding(layer: &[usize], merits: &[Merits]) -> Vec<f64> {
    let mut distances = vec![0.0; layer.len()];
    for value in [|it: &Merits| it.seconds, |it: &Merits| it.harm] {
        let mut sorted: Vec<(usize, f64)> = layer
            .iter()
            .enumerate()
            .filter_map(|(place, index)| Some((place, value(merits.get(*index)?))))
            .collect();
        sorted.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else {
            continue;
        };
        let span = last.1 - first.1;
        for end in [first.0, last.0] {
            if let Some(distance) = distances.get_mut(end) {
                *distance = f64::INFINITY;
            }
        }
        for three in sorted.windows(3) {
            if let [before, this, after] = three
                && span > 0.0
                && span.is_finite()
                && let Some(distance) = distances.get_mut(this.0)
            {
                *distance += (after.1 - before.1) / span;
            }
        }
    }
    distances
}

/// Those that are not both slower and more harmful than another, the fastest first.
pub(super) fn front(tuned: Vec<Tuned>) -> Vec<Tuned> {
    let mut allowed: Vec<Tuned> = tuned.into_iter().filter(|it| it.is_allowed).collect();
    let number = |value: Option<f64>| value.unwrap_or(f64::INFINITY);
    // Of equals, those that change less first.
    allowed.sort_by(|a, b| {
        number(a.seconds)
            .total_cmp(&number(b.seconds))
            .then(number(a.harm).total_cmp(&number(b.harm)))
            .then(a.changes.len().cmp(&b.changes.len()))
    });
    let mut least = f64::INFINITY;
    allowed.retain(|it| {
        let harm = number(it.harm);
        let is_less = harm < least;
        least = least.min(harm);
        is_less
    });
    allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_come_first() {
        let merits = |violation, seconds, harm| Merits {
            violation,
            seconds,
            harm,
        };
        let all = [
            merits(0.2, 1.0, 1.0),
            merits(0.0, 10.0, 50.0),
            merits(0.0, 50.0, 10.0),
            merits(0.0, 50.0, 60.0),
            merits(0.0, 30.0, 30.0),
            merits(0.1, 5.0, 5.0),
            merits(0.0, f64::INFINITY, 1.0),
        ];
        let order = ranked(&all);
        assert_eq!(order.len(), all.len());
        let place = |index: usize| order.iter().position(|it| *it == index);
        assert!(place(1) < place(3) && place(2) < place(3) && place(4) < place(3));
        assert!(place(3) < place(5) && place(5) < place(0), "{order:?}");
    }
}
