//! What a rollout would do to its users: many simulations with chance, and what they say.
//!
//! A question is asked of two releases, a healthy and a bad one, in the same runs:
//! how often is the healthy one aborted, how often does the bad one reach everybody, how fast is it
//! caught, how many requests does it cost?
//!
//! | module | job |
//! |---|---|
//! | `releases` | the healthy and the bad release of a scenario |
//! | `runs` | many runs on several threads |
//! | `row`, `summary` | what is kept of a run; sums over runs and what they say |
//! | `share`, `amounts` | shares, times and numbers with intervals |
//! | `pairs` | two variants compared run by run |
//! | `compare` | two versions of the manifests in the same runs |
//! | `gates` | conditions on results, for pipelines |
//! | `hints` | what to change in the scenario |
//! | `vary` | fields of manifests by their address |
//! | `sweep` | the same for several values of one or two things |
//! | `prove` | what can happen at all: an exhaustive search within bounds |
//! | `suggestions` | what to change, each change played |
//! | `backtest` | analysis templates on real history |
//! | `tune` | the best settings under limits for wrong decisions |

mod amounts;
pub mod backtest;
mod compare;
pub mod gates;
mod hints;
mod pairs;
pub mod prove;
mod releases;
mod row;
mod runs;
mod share;
mod suggestions;
mod summary;
mod sweep;
pub mod tune;
pub mod vary;

use serde::Serialize;
use serde_json::Value;

pub use amounts::{Amount, Amounts, Estimate, Histogram};
pub use compare::{Comparison, compare};
pub use hints::hints;
pub use pairs::{Change, Changes, Pairs};
pub use releases::{Release, Releases, altered, releases, with_requests};
pub use row::{Ending, Row};
pub use runs::{Effort, Tallies, Variant, notes_on_answers, play_all, run_seed, typical_run};
pub use share::{Share, Z95, wilson};
pub use suggestions::{Sensitivity, Suggestion, Worth, sensitivity};
pub use summary::{Summary, Tally};
pub use sweep::{Axis, Cell, Dimension, Results, Sweep, Varied, sweep};

use crate::promql::Store;

/// What came of a healthy and of a bad release.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Evaluation {
    pub healthy: Summary,
    pub bad: Summary,
}

/// Plays both releases in each run.
///
/// # Errors
/// See [`play_all`].
pub fn evaluate(
    objects: &[Value],
    releases: &Releases,
    traces: &Store,
    effort: &Effort<'_>,
) -> Result<Evaluation, String> {
    let variants = [&releases.healthy, &releases.bad].map(|release| Variant {
        objects,
        scenario: &release.scenario,
        traces,
    });
    let tallies = play_all(&variants, &[], effort)?;
    let summary = |index: usize| {
        tallies
            .variants
            .get(index)
            .map(Tally::summary)
            .unwrap_or_else(|| Tally::default().summary())
    };
    Ok(Evaluation {
        healthy: summary(0),
        bad: summary(1),
    })
}
