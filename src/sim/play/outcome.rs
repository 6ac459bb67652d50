//! What came of a scenario: sums over it, and where the rollout ended.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::spec::rollout::Rollout;
use crate::spec::rollout_status::{PauseReason, RolloutPhase};
use crate::time::Duration;

use super::expectations::Check;
use super::player::{Player, is_refused, waits_for_people};
use crate::sim::telemetry::TrafficTotals;
use crate::sim::timeline::{Entry, EntryKind, Explanation, Sample};

/// What came of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Play {
    pub namespace: String,
    pub rollout: String,
    pub seed: u64,
    pub timeline: Vec<Entry>,
    pub outcome: Outcome,
    pub totals: Totals,
    pub samples: Vec<Sample>,
    pub checks: Vec<Check>,
    /// What the reader should know of how this was found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    #[serde(skip)]
    pub explanations: Vec<Explanation>,
}

/// Where the rollout ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    pub verdict: Verdict,
    pub phase: String,
    pub message: String,
    pub stable_image: String,
    /// Whether it waits because an analysis or an experiment decided nothing.
    pub inconclusive: bool,
    /// Seconds from the release to the end of the simulation.
    pub ended_after: f64,
}

/// The outcome in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// The released version is stable, and all is healthy.
    Promoted,
    Aborted,
    /// Waits for somebody to promote.
    WaitsForPeople,
    /// Healthy, and nothing was released.
    Healthy,
    /// The spec or a reference is refused.
    Invalid,
    /// Not at rest when the simulation ended.
    Unfinished,
    /// Nothing will change any more, but it is not healthy.
    Stuck,
}

impl Verdict {
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Promoted => "promoted",
            Verdict::Aborted => "aborted",
            Verdict::WaitsForPeople => "waits for somebody to promote",
            Verdict::Healthy => "healthy",
            Verdict::Invalid => "invalid",
            Verdict::Unfinished => "unfinished",
            Verdict::Stuck => "stuck",
        }
    }
}

/// Sums over a simulation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Seconds from the release until its version was stable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_full_promotion: Option<f64>,
    /// Seconds from the release to its first measurement that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_first_failure: Option<f64>,
    /// Seconds from the release to its abort.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_abort: Option<f64>,
    /// Seconds from the release until, after its abort, it had no traffic any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_return: Option<f64>,
    /// How long the release had which share of the traffic, up to its promotion or abort.
    pub time_at_share: Vec<TimeAtShare>,
    /// Share of all requests, if traffic is even, that the release served before it was stable or
    /// given up: 0 to 1 of the time until then.
    pub served_by_release: f64,
    /// The highest share of the traffic that the release had, 0 to 1.
    pub highest_share: f64,
    pub peak_pods: i32,
    pub measurements: usize,
    /// Requests since the release, where the scenario has traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficTotals>,
}

/// A share of the traffic and how long the release had it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TimeAtShare {
    /// 0 to 1.
    pub share: f64,
    pub seconds: f64,
}

/// What came of one of many runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    pub seed: u64,
    pub outcome: Outcome,
    pub totals: Totals,
}

impl Player {
    pub(super) fn totals(&mut self) -> Totals {
        let promoted_at = self
            .recorder
            .entries
            .iter()
            .find(|entry| entry.kind == EntryKind::Promotion)
            .map(|entry| entry.at);
        let aborted_at = self
            .recorder
            .entries
            .iter()
            .find(|entry| entry.kind == EntryKind::Abort)
            .map(|entry| entry.at);
        let end = self.simulation.now().since(self.origin);
        let update_end = promoted_at
            .into_iter()
            .chain(aborted_at)
            .min()
            .unwrap_or(end);
        let samples = &self.recorder.samples;
        let mut at_share: BTreeMap<u64, f64> = BTreeMap::new();
        let (mut served, mut highest) = (0.0, 0.0_f64);
        for (index, sample) in samples.iter().enumerate() {
            if sample.at > update_end {
                break;
            }
            let until = samples
                .get(index.saturating_add(1))
                .map_or(update_end, |next| next.at.min(update_end));
            let seconds = (until - sample.at).as_secs_f64();
            highest = highest.max(sample.share);
            if seconds > 0.0 {
                served += sample.share * seconds;
                *at_share.entry(sample.share.to_bits()).or_insert(0.0) += seconds;
            }
        }
        // Shares are not negative: their bits have the order of the numbers.
        let time_at_share = at_share
            .into_iter()
            .map(|(share, seconds)| TimeAtShare {
                share: f64::from_bits(share),
                seconds,
            })
            .collect();
        let length = update_end.as_secs_f64();
        let returned_at = aborted_at.and_then(|aborted| {
            let before = samples.partition_point(|sample| sample.at <= aborted);
            let present = before.checked_sub(1).and_then(|index| samples.get(index));
            if present.is_some_and(|sample| sample.share <= 0.0) {
                return Some(aborted);
            }
            let mut after = samples.iter().skip(before);
            after.find(|sample| sample.share <= 0.0).map(|it| it.at)
        });
        Totals {
            time_to_full_promotion: promoted_at.map(Duration::as_secs_f64),
            time_to_first_failure: self.recorder.first_failure.map(Duration::as_secs_f64),
            time_to_abort: aborted_at.map(Duration::as_secs_f64),
            time_to_return: returned_at.map(Duration::as_secs_f64),
            time_at_share,
            served_by_release: if length > 0.0 { served / length } else { 0.0 },
            highest_share: highest,
            peak_pods: samples.iter().map(|sample| sample.pods).max().unwrap_or(0),
            measurements: self.recorder.measurements,
            traffic: self.traffic_totals(),
        }
    }

    pub(super) fn traffic_totals(&mut self) -> Option<TrafficTotals> {
        let now = self.simulation.now();
        self.simulation.metrics.traffic_totals(now)
    }

    pub fn verdict(&self, rollout: &Rollout) -> Verdict {
        let status = &rollout.status;
        if is_refused(rollout) {
            return Verdict::Invalid;
        }
        if status.abort {
            return Verdict::Aborted;
        }
        match status.phase {
            RolloutPhase::Healthy => {
                let promoted = self
                    .recorder
                    .entries
                    .iter()
                    .any(|entry| entry.kind == EntryKind::Promotion);
                if promoted {
                    Verdict::Promoted
                } else {
                    Verdict::Healthy
                }
            }
            RolloutPhase::Paused if waits_for_people(rollout) => Verdict::WaitsForPeople,
            RolloutPhase::Degraded => Verdict::Stuck,
            RolloutPhase::Paused | RolloutPhase::Progressing | RolloutPhase::Unset => {
                if self.simulation.next_event().is_some() {
                    Verdict::Unfinished
                } else {
                    Verdict::Stuck
                }
            }
        }
    }

    pub(super) fn finish(mut self, seed: u64, checks: Vec<Check>) -> Play {
        let rollout = self.rollout().cloned().unwrap_or_default();
        let outcome = Outcome {
            verdict: self.verdict(&rollout),
            phase: rollout.status.phase.to_string(),
            message: rollout.status.message.clone(),
            stable_image: self.present_image(),
            inconclusive: rollout.status.pause_conditions.iter().any(|condition| {
                match condition.reason {
                    PauseReason::InconclusiveAnalysis | PauseReason::InconclusiveExperiment => true,
                    PauseReason::CanaryPauseStep | PauseReason::BlueGreenPause => false,
                }
            }),
            ended_after: self.simulation.now().since(self.origin).as_secs_f64(),
        };
        let totals = self.totals();
        let mut timeline = self.recorder.entries;
        let mut notes = Vec::new();
        if let Some(telemetry) = &self.simulation.metrics.telemetry
            && self.recorder.tells
        {
            notes = telemetry.notes();
            timeline.extend(telemetry.entries());
            // What caused a change stands before the change.
            timeline.sort_by_key(|entry| entry.at);
        }
        Play {
            namespace: self.namespace,
            rollout: self.name,
            seed,
            timeline,
            outcome,
            totals,
            samples: self.recorder.samples,
            checks,
            notes,
            explanations: self.recorder.explanations,
        }
    }
}
