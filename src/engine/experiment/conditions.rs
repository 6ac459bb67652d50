//! Conditions of an Experiment's status (argo-rollouts `experiments/conditions.go`,
//! `utils/conditions/experiments.go`).

use crate::engine::rollout::messages;
use crate::spec::analysis::AnalysisPhase;
use crate::spec::experiment::{
    Experiment, ExperimentCondition, ExperimentConditionType, ExperimentStatus,
};
use crate::spec::meta::ConditionStatus;
use crate::time::Timestamp;

use super::phases;

/// Adds the `InvalidSpec` condition, or replaces one with another message.
pub(super) fn set_invalid_spec(status: &mut ExperimentStatus, message: String, now: Timestamp) {
    if condition(status, ExperimentConditionType::InvalidSpec)
        .is_some_and(|present| present.message != message)
    {
        remove(status, ExperimentConditionType::InvalidSpec);
    }
    let invalid = new(
        ExperimentConditionType::InvalidSpec,
        ConditionStatus::True,
        messages::INVALID_SPEC_REASON,
        message,
        now,
    );
    set(status, invalid);
}

/// Brings the conditions of `next` in line with it, for a spec that is valid.
pub(super) fn update(experiment: &Experiment, next: &mut ExperimentStatus, now: Timestamp) {
    let (name, stored) = (&experiment.metadata.name, &experiment.status);
    remove(next, ExperimentConditionType::InvalidSpec);
    let progressing = |status, reason: &str, message: String| {
        new(
            ExperimentConditionType::Progressing,
            status,
            reason,
            message,
            now,
        )
    };
    if next.phase == AnalysisPhase::Successful {
        let message = format!("Experiment {name:?} has successfully ran and completed.");
        set(
            next,
            progressing(ConditionStatus::False, "ExperimentCompleted", message),
        );
    } else if has_progressed(stored, next) {
        let message = format!("Experiment {name:?} is progressing.");
        let mut latest = progressing(
            ConditionStatus::True,
            messages::REPLICA_SET_UPDATED_REASON,
            message,
        );
        // Progress is reported anew each time, also for the same reason.
        if let Some(present) = condition(stored, ExperimentConditionType::Progressing) {
            if present.status == ConditionStatus::True {
                latest.last_transition_time = present.last_transition_time;
            }
            remove(next, ExperimentConditionType::Progressing);
        }
        set(next, latest);
    } else if stored.available_at.is_some()
        && !phases::has_passed_duration(&experiment.spec, stored, now)
    {
        let message = format!("Experiment {name:?} is running.");
        let reason = messages::NEW_REPLICA_SET_AVAILABLE_REASON;
        set(next, progressing(ConditionStatus::True, reason, message));
    }
}

fn new(
    type_: ExperimentConditionType,
    status: ConditionStatus,
    reason: &str,
    message: String,
    now: Timestamp,
) -> ExperimentCondition {
    let now = now.truncate_to_seconds();
    ExperimentCondition {
        type_,
        status,
        last_update_time: Some(now),
        last_transition_time: Some(now),
        reason: reason.to_owned(),
        message,
    }
}

fn condition(
    status: &ExperimentStatus,
    type_: ExperimentConditionType,
) -> Option<&ExperimentCondition> {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == type_)
}

/// As for Rollouts: nothing changes where status and reason stay.
fn set(status: &mut ExperimentStatus, mut new: ExperimentCondition) {
    if let Some(present) = condition(status, new.type_)
        && present.status == new.status
    {
        if present.reason == new.reason {
            return;
        }
        new.last_transition_time = present.last_transition_time;
    }
    remove(status, new.type_);
    status.conditions.push(new);
}

fn remove(status: &mut ExperimentStatus, type_: ExperimentConditionType) {
    status
        .conditions
        .retain(|condition| condition.type_ != type_);
}

/// Whether a template is new or its pods have changed.
fn has_progressed(old: &ExperimentStatus, new: &ExperimentStatus) -> bool {
    old.template_statuses.len() < new.template_statuses.len()
        || old.template_statuses.iter().any(|old| {
            phases::template_status(new, &old.name).is_some_and(|new| {
                old.replicas != new.replicas
                    || old.updated_replicas != new.updated_replicas
                    || old.ready_replicas != new.ready_replicas
                    || old.available_replicas != new.available_replicas
            })
        })
}
