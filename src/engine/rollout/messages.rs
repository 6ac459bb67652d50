//! Reasons and messages that tools read (argo-rollouts `utils/conditions/conditions.go`).

pub const INVALID_SPEC_REASON: &str = "InvalidSpec";
pub const AVAILABLE_REASON: &str = "AvailableReason";
pub const AVAILABLE_MESSAGE: &str = "Rollout has minimum availability";
pub const NOT_AVAILABLE_MESSAGE: &str = "Rollout does not have minimum availability";
pub const REPLICA_SET_UPDATED_REASON: &str = "ReplicaSetUpdated";
pub const FAILED_REPLICA_SET_CREATE_REASON: &str = "ReplicaSetCreateError";
pub const NEW_REPLICA_SET_REASON: &str = "NewReplicaSetCreated";
pub const ROLLOUT_UPDATED_REASON: &str = "RolloutUpdated";
pub const ROLLOUT_COMPLETED_REASON: &str = "RolloutCompleted";
pub const ROLLOUT_NOT_COMPLETED_REASON: &str = "RolloutNotCompleted";
pub const ROLLOUT_HEALTHY_REASON: &str = "RolloutHealthy";
pub const ROLLOUT_HEALTHY_MESSAGE: &str = "Rollout is healthy";
pub const ROLLOUT_NOT_HEALTHY_MESSAGE: &str = "Rollout is not healthy";
pub const ROLLOUT_ABORTED_REASON: &str = "RolloutAborted";
pub const ROLLOUT_RETRY_REASON: &str = "RolloutRetry";
pub const ROLLOUT_RETRY_MESSAGE: &str = "Retrying Rollout after abort";
pub const ROLLOUT_PAUSED_REASON: &str = "RolloutPaused";
pub const ROLLOUT_PAUSED_MESSAGE: &str = "Rollout is paused";
pub const REPLICA_SET_NOT_AVAILABLE_REASON: &str = "ReplicaSetNotAvailable";
pub const ROLLOUT_RESUMED_REASON: &str = "RolloutResumed";
pub const ROLLOUT_RESUMED_MESSAGE: &str = "Rollout is resumed";
pub const ROLLOUT_STEP_COMPLETED_REASON: &str = "RolloutStepCompleted";
pub const TRAFFIC_WEIGHT_UPDATED_REASON: &str = "TrafficWeightUpdated";
pub const NEW_REPLICA_SET_AVAILABLE_REASON: &str = "NewReplicaSetAvailable";
pub const TIMED_OUT_REASON: &str = "ProgressDeadlineExceeded";
pub const SCALING_REPLICA_SET_REASON: &str = "ScalingReplicaSet";
pub fn rollout_progressing(name: &str) -> String {
    format!("Rollout {name:?} is progressing.")
}

pub fn replica_set_progressing(name: &str) -> String {
    format!("ReplicaSet {name:?} is progressing.")
}

pub fn failed_replica_set_create(name: &str, error: &str) -> String {
    format!("Failed to create new replica set {name:?}: {error}")
}

pub fn new_replica_set(name: &str) -> String {
    format!("Created new replica set {name:?}")
}

pub fn new_replica_set_with_revision(name: &str, revision: i64) -> String {
    format!("Created ReplicaSet {name} (revision {revision})")
}

/// `revision` is the text of the annotation.
pub fn rollout_updated(revision: &str) -> String {
    format!("Rollout updated to revision {revision}")
}

pub fn rollout_completed(revision: i64, hash: &str, reason: &str) -> String {
    format!("Rollout completed update to revision {revision} ({hash}): {reason}")
}

pub fn rollout_not_completed(revision: i64, hash: &str) -> String {
    format!("Rollout not completed, started update to revision {revision} ({hash})")
}

pub fn rollout_aborted(revision: i64) -> String {
    format!("Rollout aborted update to revision {revision}")
}

/// `number` counts from 1; `step` is the step's text.
pub fn rollout_step_completed(number: i32, count: i32, step: &str) -> String {
    format!("Rollout step {number}/{count} completed ({step})")
}

pub fn traffic_weight_updated(change: &str) -> String {
    format!("Traffic weight updated {change}")
}

pub fn rollout_timed_out(name: &str) -> String {
    format!("Rollout {name:?} has timed out progressing.")
}

pub fn replica_set_timed_out(name: &str) -> String {
    format!("ReplicaSet {name:?} has timed out progressing.")
}

pub fn replica_set_completed(name: &str) -> String {
    format!("ReplicaSet {name:?} has successfully progressed.")
}

/// For a ReplicaSet of a Rollout.
pub fn scaling_replica_set(name: &str, revision: i64, from: i32, to: i32) -> String {
    let direction = if from < to { "up" } else { "down" };
    format!("Scaled {direction} ReplicaSet {name} (revision {revision}) from {from} to {to}")
}
