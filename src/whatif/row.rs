//! What is kept of one run.

use serde::Serialize;

use crate::sim::play::{Outcome, Totals, Verdict};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Ending {
    /// The release is stable, and all is healthy.
    Promoted,
    Aborted,
    /// An analysis or an experiment decided nothing: somebody has to.
    Inconclusive,
    /// Waits for somebody to promote, as the steps want it.
    WaitsForPeople,
    /// Nothing will change any more, but it is not healthy.
    Stuck,
    /// Not at rest at the end of the simulation.
    Unfinished,
    /// Nothing was released, or the spec is refused.
    NotReleased,
}

impl Ending {
    pub const ALL: [Ending; 7] = [
        Ending::Promoted,
        Ending::Aborted,
        Ending::Inconclusive,
        Ending::WaitsForPeople,
        Ending::Stuck,
        Ending::Unfinished,
        Ending::NotReleased,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Ending::Promoted => "promoted",
            Ending::Aborted => "aborted",
            Ending::Inconclusive => "inconclusive",
            Ending::WaitsForPeople => "waits for people",
            Ending::Stuck => "stuck",
            Ending::Unfinished => "unfinished",
            Ending::NotReleased => "not released",
        }
    }
}

/// One run. Times in milliseconds from the release on, requests in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub ending: Ending,
    pub time_to_promotion: Option<u64>,
    /// To the first failed measurement of an aborted release, else to its abort.
    pub time_to_detect: Option<u64>,
    pub time_to_abort: Option<u64>,
    /// Until an aborted release had no traffic any more.
    pub time_to_return: Option<u64>,
    /// Since the release, up to the end of the simulation.
    pub requests: Option<u64>,
    /// See [`crate::sim::TrafficTotals::failed_because_of_release`].
    pub failed_because_of_release: Option<u64>,
    pub peak_pods: u64,
    pub measurements: u64,
}

impl Row {
    pub fn of(outcome: &Outcome, totals: &Totals) -> Self {
        let Outcome {
            verdict,
            phase: _,
            message: _,
            stable_image: _,
            inconclusive,
            ended_after: _,
        } = outcome;
        let Totals {
            time_to_full_promotion,
            time_to_first_failure,
            time_to_abort,
            time_to_return,
            time_at_share: _,
            served_by_release: _,
            highest_share: _,
            peak_pods,
            measurements,
            traffic,
        } = totals;
        let ending = match verdict {
            Verdict::Promoted => Ending::Promoted,
            Verdict::Aborted => Ending::Aborted,
            Verdict::WaitsForPeople if *inconclusive => Ending::Inconclusive,
            Verdict::WaitsForPeople => Ending::WaitsForPeople,
            Verdict::Stuck => Ending::Stuck,
            Verdict::Unfinished => Ending::Unfinished,
            Verdict::Healthy | Verdict::Invalid => Ending::NotReleased,
        };
        let detected = time_to_abort
            .map(|abort| time_to_first_failure.map_or(abort, |failure| failure.min(abort)));
        Self {
            ending,
            time_to_promotion: time_to_full_promotion.map(thousandths),
            time_to_detect: detected.map(thousandths),
            time_to_abort: time_to_abort.map(thousandths),
            time_to_return: time_to_return.map(thousandths),
            requests: traffic.map(|traffic| thousandths(traffic.requests)),
            failed_because_of_release: traffic
                .map(|traffic| thousandths(traffic.failed_because_of_release)),
            peak_pods: u64::try_from(*peak_pods).unwrap_or(0),
            measurements: *measurements as u64,
        }
    }
}

/// In whole thousandths; what is negative or no number is 0.
fn thousandths(value: f64) -> u64 {
    (value * 1000.0).round() as u64
}
