//! Phase and message that health checks and people read (argo-rollouts
//! `utils/rollout/rolloututil.go`).

use crate::spec::rollout::RolloutSpec;
use crate::spec::rollout_status::{RolloutConditionType, RolloutPhase, RolloutStatus};

use super::messages;

/// Phase of a Rollout with this spec and status, and why it is not healthy.
pub fn rollout_phase(spec: &RolloutSpec, status: &RolloutStatus) -> (RolloutPhase, String) {
    for condition in status.conditions.iter() {
        if condition.type_ == RolloutConditionType::InvalidSpec {
            let message = format!("{}: {}", condition.type_, condition.message);
            return (RolloutPhase::Degraded, message);
        }
        if [messages::ROLLOUT_ABORTED_REASON, messages::TIMED_OUT_REASON]
            .contains(&condition.reason.as_str())
        {
            let message = format!("{}: {}", condition.reason, condition.message);
            return (RolloutPhase::Degraded, message);
        }
    }
    if spec.paused {
        return (RolloutPhase::Paused, "manually paused".to_owned());
    }
    if let Some(pause) = status.pause_conditions.first() {
        return (RolloutPhase::Paused, pause.reason.to_string());
    }
    match progress_left(spec, status) {
        Some(message) => (RolloutPhase::Progressing, message.to_owned()),
        None => (RolloutPhase::Healthy, String::new()),
    }
}

/// Whether the present pod template is the stable one, or none has been recorded yet.
pub fn is_fully_promoted(status: &RolloutStatus) -> bool {
    status.stable_rs == status.current_pod_hash
}

fn progress_left(spec: &RolloutSpec, status: &RolloutStatus) -> Option<&'static str> {
    if spec.restart_at.is_some() && spec.restart_at != status.restarted_at {
        return Some("rollout is restarting");
    }
    if status.updated_replicas < spec.replicas_or_default() {
        return Some("more replicas need to be updated");
    }
    if status.available_replicas < status.updated_replicas {
        return Some("updated replicas are still becoming available");
    }
    let promoted = !status.stable_rs.is_empty() && is_fully_promoted(status);
    if let Some(blue_green) = &spec.strategy.blue_green {
        let active = &status.blue_green.active_selector;
        if active.is_empty() || *active != status.current_pod_hash {
            return Some("active service cutover pending");
        }
        let analysis_runs = blue_green.post_promotion_analysis.is_some()
            && status
                .blue_green
                .post_promotion_analysis_run_status
                .as_ref()
                .is_none_or(|run| !run.status.is_completed());
        return match (promoted, analysis_runs) {
            (true, _) => None,
            (false, true) => Some("waiting for analysis to complete"),
            (false, false) => Some("waiting for post-promotion verification to complete"),
        };
    }
    let canary = spec.strategy.canary.as_ref()?;
    // With traffic routing old pods may stay for the scale-down delay.
    if canary.traffic_routing.is_none() && status.replicas > status.updated_replicas {
        return Some("old replicas are pending termination");
    }
    (!promoted).then_some("waiting for all steps to complete")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::spec::rollout::Rollout;

    fn phase(spec: Value, status: Value) -> (String, String) {
        let rollout: Rollout =
            serde_json::from_value(json!({"spec": spec, "status": status})).unwrap();
        let (phase, message) = rollout_phase(&rollout.spec, &rollout.status);
        (phase.to_string(), message)
    }

    fn check(spec: Value, status: Value, expected_phase: &str, message: &str) {
        let expected = (expected_phase.to_owned(), message.to_owned());
        assert_eq!(
            phase(spec.clone(), status.clone()),
            expected,
            "{spec} {status}"
        );
    }

    #[test]
    fn conditions_and_pauses_come_first() {
        let condition = |type_: &str, reason: &str| {
            json!({"conditions": [
                {"type": type_, "status": "True", "reason": reason, "message": "why"}
            ]})
        };
        let canary = json!({"strategy": {"canary": {}}});
        check(
            canary.clone(),
            condition("InvalidSpec", "x"),
            "Degraded",
            "InvalidSpec: why",
        );
        for reason in ["RolloutAborted", "ProgressDeadlineExceeded"] {
            let status = condition("Progressing", reason);
            check(
                canary.clone(),
                status,
                "Degraded",
                &format!("{reason}: why"),
            );
        }
        let paused = json!({"paused": true, "strategy": {"canary": {}}});
        check(paused, json!({}), "Paused", "manually paused");
        let status = json!({"pauseConditions": [{"reason": "CanaryPauseStep"}]});
        check(canary, status, "Paused", "CanaryPauseStep");
    }

    #[test]
    fn progress_names_what_is_left() {
        let canary = json!({"strategy": {"canary": {}}});
        let routed = json!({"strategy": {"canary": {"trafficRouting": {}}}});
        let up = |extra: Value| {
            let mut status = json!({
                "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "currentPodHash": "a"
            });
            for (key, value) in extra.as_object().unwrap() {
                status[key] = value.clone();
            }
            status
        };
        for (spec, status, message) in [
            (
                json!({"restartAt": "2024-01-01T00:00:00Z"}),
                json!({}),
                "rollout is restarting",
            ),
            (
                canary.clone(),
                json!({}),
                "more replicas need to be updated",
            ),
            (
                canary.clone(),
                json!({"updatedReplicas": 1}),
                "updated replicas are still becoming available",
            ),
            (
                canary.clone(),
                up(json!({"replicas": 2})),
                "old replicas are pending termination",
            ),
            (
                routed,
                up(json!({"replicas": 2})),
                "waiting for all steps to complete",
            ),
            (
                canary.clone(),
                up(json!({"stableRS": "b"})),
                "waiting for all steps to complete",
            ),
            (
                json!({"strategy": {"blueGreen": {}}}),
                up(json!({"blueGreen": {"activeSelector": "b"}})),
                "active service cutover pending",
            ),
            (
                json!({"strategy": {"blueGreen": {}}}),
                up(json!({"blueGreen": {"activeSelector": "a"}})),
                "waiting for post-promotion verification to complete",
            ),
            (
                json!({"strategy": {"blueGreen": {"postPromotionAnalysis": {}}}}),
                up(json!({"blueGreen": {"activeSelector": "a"}})),
                "waiting for analysis to complete",
            ),
        ] {
            check(spec, status, "Progressing", message);
        }
        check(canary, up(json!({"stableRS": "a"})), "Healthy", "");
    }
}
