//! Conditions of a Rollout's status, and the questions they answer (argo-rollouts
//! `utils/conditions/conditions.go`).

use crate::engine::ReplicaSetCondition;
use crate::spec::meta::ConditionStatus;
use crate::spec::rollout::Rollout;
use crate::spec::rollout_status::{RolloutCondition, RolloutConditionType, RolloutStatus};
use crate::time::{Duration, Timestamp};

use super::messages;

/// A condition that began and was reported at `now`, in whole seconds.
pub fn new_condition(
    type_: RolloutConditionType,
    status: ConditionStatus,
    reason: impl Into<String>,
    message: impl Into<String>,
    now: Timestamp,
) -> RolloutCondition {
    let now = now.truncate_to_seconds();
    RolloutCondition {
        type_,
        status,
        last_update_time: Some(now),
        last_transition_time: Some(now),
        reason: reason.into(),
        message: message.into(),
    }
}

pub fn condition(status: &RolloutStatus, type_: RolloutConditionType) -> Option<&RolloutCondition> {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == type_)
}

/// Puts the condition last in the list, in place of the one of its type. Keeps the time of the
/// last transition where the condition's status stays, and does nothing at all where the reason
/// stays, too, whatever the message. Returns whether something changed.
pub fn set_condition(status: &mut RolloutStatus, mut new: RolloutCondition) -> bool {
    if is_set(status, new.type_, new.status, &new.reason) {
        return false;
    }
    if let Some(present) = condition(status, new.type_)
        && present.status == new.status
    {
        new.last_transition_time = present.last_transition_time;
    }
    let conditions = status.conditions.make_mut();
    conditions.retain(|condition| condition.type_ != new.type_);
    conditions.push(new);
    true
}

/// Whether the condition of this type has this status for this reason, so that [`set_condition`]
/// would change nothing.
pub fn is_set(
    status: &RolloutStatus,
    type_: RolloutConditionType,
    wanted: ConditionStatus,
    reason: &str,
) -> bool {
    condition(status, type_)
        .is_some_and(|present| present.status == wanted && present.reason == reason)
}

pub fn remove_condition(status: &mut RolloutStatus, type_: RolloutConditionType) {
    if condition(status, type_).is_some() {
        let conditions = status.conditions.make_mut();
        conditions.retain(|condition| condition.type_ != type_);
    }
}

/// Whether the status moved forward since `rollout.status`: pods were updated, became ready or
/// available, old ones went, or the strategy got on.
pub fn rollout_progressing(rollout: &Rollout, new: &RolloutStatus) -> bool {
    let old = &rollout.status;
    let strategy = &rollout.spec.strategy;
    let mut strategy_progressed = false;
    if strategy.blue_green.is_some() {
        strategy_progressed = old.blue_green.active_selector != new.blue_green.active_selector
            || old.blue_green.preview_selector != new.blue_green.preview_selector;
    }
    if strategy.canary.is_some() {
        let step_changed = match (old.current_step_index, new.current_step_index) {
            (Some(old), Some(new)) => old != new,
            (Some(_) | None, _) => false,
        };
        strategy_progressed = old.stable_rs != new.stable_rs
            || step_changed
            || old.current_step_hash != new.current_step_hash;
    }
    new.updated_replicas != old.updated_replicas
        || old_pods(new) < old_pods(old)
        || new.ready_replicas > old.ready_replicas
        || new.available_replicas > old.available_replicas
        || strategy_progressed
}

/// Whether all desired pods are updated and available, and the strategy has nothing left to do.
/// The spec has to have been observed before this reconciliation.
pub fn rollout_healthy(rollout: &Rollout, new: &RolloutStatus) -> bool {
    let replicas = rollout.spec.replicas_or_default();
    let strategy = &rollout.spec.strategy;
    let mut strategy_done = true;
    if let Some(blue_green) = &strategy.blue_green {
        let current = &new.current_pod_hash;
        strategy_done = new.blue_green.active_selector == *current
            && (blue_green.preview_service.is_empty()
                || new.blue_green.preview_selector == *current);
    }
    if let Some(canary) = &strategy.canary {
        let all_steps_done = match new.current_step_index {
            Some(index) if !canary.steps.is_empty() => {
                usize::try_from(index).is_ok_and(|index| index == canary.steps.len())
            }
            Some(_) | None => true,
        };
        strategy_done = all_steps_done && rollout_completed(new) && new.replicas == replicas;
    }
    new.updated_replicas == replicas
        && new.available_replicas == replicas
        && rollout.is_observed()
        && strategy_done
}

/// Whether the present pod template is the stable one.
pub fn rollout_completed(new: &RolloutStatus) -> bool {
    !new.stable_rs.is_empty() && new.stable_rs == new.current_pod_hash
}

/// Whether nothing has progressed for longer than `progressDeadlineSeconds`. Never while paused
/// or aborted.
pub fn rollout_timed_out(rollout: &Rollout, new: &RolloutStatus, now: Timestamp) -> bool {
    let Some(progressing) = condition(new, RolloutConditionType::Progressing) else {
        return false;
    };
    match progressing.reason.as_str() {
        messages::ROLLOUT_ABORTED_REASON | messages::ROLLOUT_PAUSED_REASON => false,
        messages::TIMED_OUT_REASON => true,
        _ => progress_deadline(rollout, progressing).is_none_or(|deadline| deadline < now),
    }
}

/// When a Rollout times out whose `Progressing` condition stays as given; none if that condition
/// has no time, which counts as past.
pub fn progress_deadline(rollout: &Rollout, progressing: &RolloutCondition) -> Option<Timestamp> {
    let seconds = rollout.spec.progress_deadline_seconds_or_default();
    Some(progressing.last_update_time? + Duration::from_secs(i64::from(seconds)))
}

/// A failure of a ReplicaSet as a condition of its Rollout; none if Rollouts have no such
/// condition.
pub fn condition_of_replica_set(condition: &ReplicaSetCondition) -> Option<RolloutCondition> {
    (condition.type_ == RolloutConditionType::ReplicaFailure.as_str()).then(|| RolloutCondition {
        type_: RolloutConditionType::ReplicaFailure,
        status: condition.status,
        last_update_time: condition.last_transition_time,
        last_transition_time: condition.last_transition_time,
        reason: condition.reason.clone(),
        message: condition.message.clone(),
    })
}

fn old_pods(status: &RolloutStatus) -> i64 {
    i64::from(status.replicas) - i64::from(status.updated_replicas)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(100_700_000_000);

    fn progressing(status: ConditionStatus, reason: &str, now: Timestamp) -> RolloutCondition {
        new_condition(RolloutConditionType::Progressing, status, reason, "m", now)
    }

    #[test]
    fn times_of_a_condition_are_whole_seconds_and_survive() {
        let mut status = RolloutStatus::default();
        let later = NOW + Duration::from_secs(5);
        assert!(set_condition(
            &mut status,
            progressing(ConditionStatus::True, "A", NOW)
        ));
        assert!(!set_condition(
            &mut status,
            progressing(ConditionStatus::True, "A", later)
        ));
        assert!(set_condition(
            &mut status,
            progressing(ConditionStatus::True, "B", later)
        ));
        let first = Some(Timestamp::from_secs(100));
        let second = Some(Timestamp::from_secs(105));
        let found = condition(&status, RolloutConditionType::Progressing).unwrap();
        assert_eq!(
            (found.last_transition_time, found.last_update_time),
            (first, second)
        );
        assert!(set_condition(
            &mut status,
            progressing(ConditionStatus::False, "B", later)
        ));
        assert_eq!(status.conditions.len(), 1);
        assert_eq!(status.conditions[0].last_transition_time, second);
        remove_condition(&mut status, RolloutConditionType::Progressing);
        assert!(status.conditions.is_empty());
    }

    #[test]
    fn time_runs_out_strictly_after_the_deadline() {
        let rollout: Rollout =
            serde_json::from_value(json!({"spec": {"progressDeadlineSeconds": 10}})).unwrap();
        let timed_out = |reason: &str, now| {
            let mut status = RolloutStatus::default();
            set_condition(&mut status, progressing(ConditionStatus::True, reason, NOW));
            rollout_timed_out(&rollout, &status, now)
        };
        let deadline = Timestamp::from_secs(110);
        assert!(!timed_out("ReplicaSetUpdated", deadline));
        assert!(timed_out(
            "ReplicaSetUpdated",
            deadline + Duration::from_millis(1)
        ));
        assert!(timed_out("ProgressDeadlineExceeded", NOW));
        for reason in ["RolloutAborted", "RolloutPaused"] {
            assert!(!timed_out(reason, deadline + Duration::from_secs(100)));
        }
        assert!(!rollout_timed_out(
            &rollout,
            &RolloutStatus::default(),
            Timestamp::MAX
        ));
    }

    #[test]
    fn health_needs_every_part() {
        let healthy = json!({
            "metadata": {"generation": 3},
            "spec": {"replicas": 2, "strategy": {"canary": {"steps": [{"setWeight": 1}]}}},
            "status": {
                "observedGeneration": "3", "replicas": 2, "updatedReplicas": 2,
                "availableReplicas": 2, "currentStepIndex": 1, "stableRS": "a", "currentPodHash": "a"
            },
        });
        let is_healthy = |value: serde_json::Value| {
            let rollout: Rollout = serde_json::from_value(value).unwrap();
            rollout_healthy(&rollout, &rollout.status)
        };
        assert!(is_healthy(healthy.clone()));
        for (pointer, value) in [
            ("/metadata/generation", json!(4)),
            ("/spec/replicas", json!(3)),
            ("/status/replicas", json!(3)),
            ("/status/updatedReplicas", json!(1)),
            ("/status/availableReplicas", json!(1)),
            ("/status/currentStepIndex", json!(0)),
            ("/status/stableRS", json!("b")),
        ] {
            let mut changed = healthy.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            assert!(!is_healthy(changed), "{pointer}");
        }
    }

    #[test]
    fn progress_is_seen_in_counts_and_strategy() {
        let rollout: Rollout = serde_json::from_value(json!({
            "spec": {"strategy": {"canary": {}}},
            "status": {"replicas": 3, "updatedReplicas": 1, "readyReplicas": 2, "availableReplicas": 2},
        }))
        .unwrap();
        let moved = |change: fn(&mut RolloutStatus)| {
            let mut new = rollout.status.clone();
            change(&mut new);
            rollout_progressing(&rollout, &new)
        };
        assert!(!moved(|_| {}));
        assert!(moved(|status| status.updated_replicas = 2));
        assert!(moved(|status| status.replicas = 2));
        assert!(!moved(|status| status.replicas = 4));
        assert!(moved(|status| status.ready_replicas = 3));
        assert!(!moved(|status| status.ready_replicas = 1));
        assert!(moved(|status| status.stable_rs = "a".into()));
        assert!(!moved(|status| status.current_step_index = Some(1)));
        assert!(!moved(
            |status| status.blue_green.active_selector = "a".into()
        ));
    }
}
