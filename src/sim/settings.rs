//! Settings of a simulation.

use crate::time::{Duration, Timestamp};

/// How fast the simulated cluster is, and where its clock and randomness start.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub start: Timestamp,
    pub seed: u64,
    /// From a pod's creation to its readiness, where the pod model asks for nothing else.
    pub pod_ready_after: Duration,
    /// How much later each further batch of new pods of a ReplicaSet is started. Its controller
    /// makes them in batches of 1, 2, 4, ... (Kubernetes `slowStartBatch`).
    /// By default long enough for the rollout controller to see each batch, as it was recorded to.
    pub pod_batch_delay: Duration,
    /// From a change to the reconciliation that it causes in the rollout controller.
    pub reconcile_delay: Duration,
    /// The same for the built-in controllers (ReplicaSet, Deployment, Job).
    pub built_in_delay: Duration,
    /// From a lowered `spec.replicas` of a ReplicaSet to its effect: its controller sees each pod that
    /// it deletes go before it counts again.
    pub pod_removal_delay: Duration,
    /// From a router's configuration to its effect on traffic.
    pub router_lag: Duration,
    /// What a Job takes besides its own command: its pod's start and the controllers' notice.
    pub job_overhead: Duration,
    /// Bound on decisions per object and virtual instant; beyond it the object is held back for a
    /// second, so that a decision that never settles cannot hang the simulation.
    pub decisions_per_second: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            start: Timestamp::from_secs(1_700_000_000),
            seed: 0,
            pod_ready_after: Duration::from_secs(5),
            pod_batch_delay: Duration::from_millis(25),
            reconcile_delay: Duration::from_millis(20),
            built_in_delay: Duration::from_millis(3),
            pod_removal_delay: Duration::from_millis(15),
            router_lag: Duration::ZERO,
            job_overhead: Duration::from_millis(1400),
            decisions_per_second: 1000,
        }
    }
}
