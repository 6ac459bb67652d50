//! Pauses and aborts that a reconciliation adds or removes.

use crate::spec::rollout::{Rollout, RolloutPause};
use crate::spec::rollout_status::{PauseCondition, PauseReason, RolloutStatus};
use crate::time::{Duration, Timestamp};

/// Collects pauses and aborts during a reconciliation, and applies them to the status at its end.
#[derive(Debug, Default)]
pub(super) struct PauseChanges {
    added: Vec<PauseReason>,
    removed: Vec<PauseReason>,
    cleared: bool,
    abort_added: bool,
    abort_removed: bool,
    pub(super) abort_message: String,
}

impl PauseChanges {
    pub(super) fn has_added(&self) -> bool {
        !self.added.is_empty()
    }

    pub(super) fn add(&mut self, reason: PauseReason) {
        self.added.push(reason);
    }

    pub(super) fn remove(&mut self, reason: PauseReason) {
        self.removed.push(reason);
    }

    pub(super) fn clear(&mut self) {
        self.cleared = true;
    }

    pub(super) fn add_abort(&mut self, message: String) {
        self.abort_added = true;
        self.abort_message = message;
    }

    pub(super) fn remove_abort(&mut self) {
        self.abort_removed = true;
    }

    pub(super) fn is_aborted(&self, rollout: &Rollout) -> bool {
        !self.abort_removed && (self.abort_added || rollout.status.abort)
    }

    /// Writes abort and pause fields. `now` is stored in whole seconds.
    pub(super) fn apply(&self, rollout: &Rollout, status: &mut RolloutStatus, now: Timestamp) {
        let now = now.truncate_to_seconds();
        let previous = &rollout.status;
        if self.abort_added || (!self.abort_removed && previous.abort) {
            status.abort = true;
            status.aborted_at = previous.aborted_at.or(Some(now));
            return;
        }
        status.abort = false;
        status.aborted_at = None;
        if self.cleared {
            return;
        }
        let mut controller_pause = previous.controller_pause;
        let mut conditions: Vec<PauseCondition> = previous
            .pause_conditions
            .iter()
            .filter(|condition| !self.removed.contains(&condition.reason))
            .cloned()
            .collect();
        for reason in &self.added {
            let exists = previous
                .pause_conditions
                .iter()
                .chain(&conditions)
                .any(|condition| condition.reason == *reason);
            if !exists {
                conditions.push(PauseCondition {
                    reason: *reason,
                    start_time: Some(now),
                });
                controller_pause = true;
            }
        }
        if conditions.is_empty() {
            return;
        }
        status.controller_pause = controller_pause;
        status.pause_conditions = conditions;
    }
}

/// The pause condition of that reason in the stored status.
pub(super) fn pause_condition(rollout: &Rollout, reason: PauseReason) -> Option<&PauseCondition> {
    rollout
        .status
        .pause_conditions
        .iter()
        .find(|condition| condition.reason == reason)
}

/// When a pause that began with `condition` is over after `seconds`.
pub(super) fn pause_end(condition: &PauseCondition, seconds: i64) -> Option<Timestamp> {
    condition
        .start_time
        .map(|start| start + Duration::from_secs(seconds))
}

/// Whether a pause step is over: its time has passed, or somebody resumed the rollout.
///
/// A pause of another reason that was added meanwhile does not count as a resume; in the
/// reference controller it does, so that an inconclusive background analysis skips the step.
pub(super) fn is_pause_step_over(rollout: &Rollout, pause: &RolloutPause, now: Timestamp) -> bool {
    match pause_condition(rollout, PauseReason::CanaryPauseStep) {
        None => rollout.status.controller_pause && rollout.status.pause_conditions.is_empty(),
        Some(condition) => pause
            .seconds()
            .and_then(|seconds| pause_end(condition, i64::from(seconds)))
            .is_some_and(|end| now > end),
    }
}

/// Why ReplicaSets and services are to be left alone, if they are.
pub(super) fn halt_reason(rollout: &Rollout) -> Option<&'static str> {
    if rollout.spec.paused {
        return Some("the user has paused the rollout");
    }
    pause_condition(rollout, PauseReason::InconclusiveAnalysis)
        .map(|_| "an analysis was inconclusive")
}
