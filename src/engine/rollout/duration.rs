//! `status.duration`: how long an attempt took, without the time it waited for people.

use crate::spec::rollout_status::{
    CompletionStatus, PauseReason, RolloutConditionType, RolloutDurationStatus, RolloutStatus,
};

use super::context::Context;
use super::{conditions, messages, steps};

impl Context<'_> {
    /// The duration record after this pass, from the stored and the next status.
    pub(super) fn duration(&self, status: &RolloutStatus) -> Option<RolloutDurationStatus> {
        if conditions::condition(status, RolloutConditionType::InvalidSpec).is_some() {
            return status.duration.clone();
        }
        let now = self.now.truncate_to_seconds();
        let stored = &self.rollout.status;
        let changed = stored.current_pod_hash.is_empty()
            || if self.rollout.spec.strategy.canary.is_some() {
                self.template_or_steps_changed()
            } else {
                self.template_changed()
            };
        let promoted = status.stable_rs == status.current_pod_hash;
        let has_pods = self
            .new_set()
            .is_some_and(|new| new.status.available_replicas >= self.replicas());
        let completed = promoted && has_pods;
        let aborted = self.is_aborted();
        let retried = !aborted
            && conditions::condition(stored, RolloutConditionType::Progressing)
                .is_some_and(|condition| condition.reason == messages::ROLLOUT_ABORTED_REASON);
        let in_progress = stored.duration.as_ref().is_some_and(|duration| {
            duration.rollout_started_at.is_some() && duration.finished_at.is_none()
        });
        let mut was_paused = stored
            .duration
            .as_ref()
            .is_some_and(|duration| duration.manual_pause_started_at.is_some());

        let mut record = status.duration.clone();
        if let Some(duration) = record.as_mut().filter(|_| in_progress) {
            if changed {
                if self.is_rollback() {
                    duration.completion_status = Some(if self.is_fast_rollback() {
                        CompletionStatus::FastRolledBack
                    } else {
                        CompletionStatus::RolledBack
                    });
                } else {
                    duration.completion_status = Some(CompletionStatus::Superseded);
                    duration.finished_at = Some(now);
                }
            }
            if duration.finished_at.is_none() {
                if completed {
                    duration
                        .completion_status
                        .get_or_insert(CompletionStatus::Promoted);
                    duration.finished_at = Some(now);
                    return record;
                }
                if aborted {
                    duration
                        .completion_status
                        .get_or_insert(CompletionStatus::Aborted);
                    duration.finished_at = Some(now);
                }
            }
        }
        let ended = record
            .as_ref()
            .is_none_or(|duration| duration.finished_at.is_some() && !completed);
        if ended {
            was_paused = false;
            if (changed && !completed) || retried {
                record = Some(RolloutDurationStatus {
                    rollout_started_at: Some(now),
                    ..RolloutDurationStatus::default()
                });
            }
        }
        let duration = record.as_mut()?;
        if duration.finished_at.is_some() {
            return record;
        }
        let waits_for_people = self.rollout.spec.paused
            || status
                .pause_conditions
                .iter()
                .any(|condition| self.needs_people(condition.reason));
        if was_paused && !waits_for_people {
            if let Some(since) = duration.manual_pause_started_at.take() {
                let seconds = now.since(since).as_secs_f64() as i64;
                let total = duration.total_manual_pause_duration_seconds.unwrap_or(0);
                duration.total_manual_pause_duration_seconds = Some(total.saturating_add(seconds));
            }
        } else if !was_paused && waits_for_people {
            duration.manual_pause_started_at.get_or_insert(now);
        }
        record
    }

    fn needs_people(&self, reason: PauseReason) -> bool {
        match reason {
            PauseReason::InconclusiveAnalysis | PauseReason::InconclusiveExperiment => true,
            PauseReason::CanaryPauseStep => steps::current_step(&self.rollout)
                .and_then(|(_, step)| step.pause.as_ref())
                .is_some_and(|pause| pause.duration.is_none()),
            PauseReason::BlueGreenPause => self
                .rollout
                .spec
                .strategy
                .blue_green
                .as_ref()
                .is_some_and(|blue_green| blue_green.auto_promotion_enabled == Some(false)),
        }
    }
}
