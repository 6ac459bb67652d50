//! Reasons and messages that tools read (argo-rollouts `utils/conditions/conditions.go`).

pub const INVALID_SPEC_REASON: &str = "InvalidSpec";
pub const AVAILABLE_REASON: &str = "AvailableReason";
pub const AVAILABLE_MESSAGE: &str = "Rollout has minimum availability";
pub const NOT_AVAILABLE_MESSAGE: &str = "Rollout does not have minimum availability";
pub const REPLICA_SET_UPDATED_REASON: &str = "ReplicaSetUpdated";
pub const FAILED_REPLICA_SET_CREATE_REASON: &str = "ReplicaSetCreateError";
pub const NEW_REPLICA_SET_REASON: &str = "NewReplicaSetCreated";
pub const FOUND_NEW_REPLICA_SET_REASON: &str = "FoundNewReplicaSet";
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
pub const ANALYSIS_RUN_FAILED_REASON: &str = "AnalysisRunFailed";
pub const EXPERIMENT_FAILED_REASON: &str = "ExperimentFailed";
pub const RECONCILIATION_ERROR_REASON: &str = "ReconciliationError";
pub const TIMED_OUT_REASON: &str = "ProgressDeadlineExceeded";
pub const SCALING_REPLICA_SET_REASON: &str = "ScalingReplicaSet";
pub const SERVICE_REFERENCE_REASON: &str = "ServiceReferenceError";
pub const STEP_PLUGIN_TRANSITION_REASON: &str = "StepPluginTransition";
pub const TARGET_GROUP_VERIFIED_REASON: &str = "TargetGroupVerified";
pub const TARGET_GROUP_UNVERIFIED_REASON: &str = "TargetGroupUnverified";
pub const TARGET_GROUP_VERIFY_ERROR_REASON: &str = "TargetGroupVerifyError";
pub const WEIGHT_VERIFY_ERROR_REASON: &str = "WeightVerifyError";
pub const LOAD_BALANCER_NOT_FOUND_REASON: &str = "LoadBalancerNotFound";
pub const ROLLOUT_ADDED_TO_INFORMER_REASON: &str = "RolloutAddedToInformer";

pub fn missing_field(path: &str) -> String {
    format!("Rollout has missing field '{path}'")
}

pub const SELECTS_ALL_MESSAGE: &str =
    "This rollout is selecting all pods. A non-empty selector is required.";

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

pub fn found_new_replica_set(name: &str) -> String {
    format!("Found new replica set {name:?}")
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
pub fn rollout_step_completed(number: usize, count: usize, step: &str) -> String {
    format!("Rollout step {number}/{count} completed ({step})")
}

pub fn traffic_weight_updated(change: &str) -> String {
    format!("Traffic weight updated {change}")
}

pub fn analysis_run_failed(run: &str, rollout: &str) -> String {
    format!("AnalysisRun '{run}' owned by the Rollout '{rollout:?}' failed.")
}

pub fn experiment_failed(experiment: &str, rollout: &str) -> String {
    format!("Experiment '{experiment}' owned by the Rollout '{rollout:?}' has timed out.")
}

pub fn reconciliation_error(error: &str) -> String {
    format!("Reconciliation failed with error: {error}")
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

/// `direction` is `up` or `down`.
pub fn scaling_replica_set(
    direction: &str,
    name: &str,
    revision: i64,
    from: i32,
    to: i32,
) -> String {
    format!("Scaled {direction} ReplicaSet {name} (revision {revision}) from {from} to {to}")
}

pub fn service_managed_by_another(service: &str) -> String {
    format!("Service {service:?} is managed by another Rollout")
}

pub fn step_plugin_transition(plugin: &str, step_number: usize, phase: &str) -> String {
    format!("Step plugin {plugin} (step {step_number}) transitioned to {phase}")
}

pub fn step_plugin_aborted(plugin: &str, step_number: usize, phase: &str) -> String {
    format!("Step plugin {plugin} (step {step_number}) aborted ({phase})")
}

pub fn step_plugin_terminated(plugin: &str, step_number: usize, phase: &str) -> String {
    format!("Step plugin {plugin} (step {step_number}) terminated ({phase})")
}

pub fn weight_verify_error(error: &str) -> String {
    format!("Failed to verify weight: {error}")
}
