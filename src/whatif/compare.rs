//! Two versions of the manifests, played with the same chance.

use serde::Serialize;
use serde_json::Value;

use crate::promql::Store;

use super::Evaluation;
use super::pairs::{Changes, Pairs};
use super::releases::Releases;
use super::runs::{Effort, Variant, play_all};
use super::summary::Tally;

/// What came of two versions of the manifests.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    pub before: Evaluation,
    pub after: Evaluation,
    /// Differences run by run, after less before.
    pub healthy_changes: Changes,
    pub bad_changes: Changes,
}

/// Plays both versions with both releases in each run, all with the same chance.
///
/// # Errors
/// See [`play_all`].
pub fn compare(
    before: &[Value],
    after: &[Value],
    releases: &Releases,
    traces: &Store,
    effort: &Effort<'_>,
) -> Result<Comparison, String> {
    let variants: Vec<Variant<'_>> = [before, after]
        .into_iter()
        .flat_map(|objects| {
            [&releases.healthy, &releases.bad].map(|release| Variant {
                objects,
                scenario: &release.scenario,
                traces,
            })
        })
        .collect();
    let tallies = play_all(&variants, &[(0, 2), (1, 3)], effort)?;
    let summary = |index: usize| {
        let tally = tallies.variants.get(index).cloned().unwrap_or_default();
        Tally::summary(&tally)
    };
    let changes = |index: usize| {
        let pairs = tallies.pairs.get(index).cloned().unwrap_or_default();
        Pairs::changes(&pairs)
    };
    Ok(Comparison {
        before: Evaluation {
            healthy: summary(0),
            bad: summary(1),
        },
        after: Evaluation {
            healthy: summary(2),
            bad: summary(3),
        },
        healthy_changes: changes(0),
        bad_changes: changes(1),
    })
}
