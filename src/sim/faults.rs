//! What can go wrong at a command.

use crate::engine::{Pod, ReplicaSet};
use crate::time::{Duration, Timestamp};

/// A disturbance, from the moment of the command on.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// New pods of the selection, and its present ones that are not ready, live like this.
    /// A later fault of an equal selection replaces it; [`PodFaultEffect::None`] ends it.
    Pods {
        selection: PodSelection,
        effect: PodFaultEffect,
    },
    /// The present ready pods of the selection crash and are ready again after the delay (none: never).
    CrashPods {
        selection: PodSelection,
        restart_after: Option<Duration>,
    },
    /// The metric provider does not answer: every measurement errs with the message. `metric`
    /// limits it to one metric; `until` ends it.
    ProviderOutage {
        metric: Option<String>,
        message: String,
        until: Option<Timestamp>,
    },
    /// Ends all provider outages.
    ProviderRecovery,
    /// The rollout controller is down; it starts again after the delay, or by [`Fault::ControllerUp`].
    ControllerDown {
        up_after: Option<Duration>,
    },
    ControllerUp,
    /// The rollout controller's clock is off by this from now on.
    ClockOffset(Duration),
    /// The next `count` writes of the rollout controller are refused.
    RefuseWrites {
        count: u32,
    },
}

/// Which pods of a namespace a fault is about; what is none does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodSelection {
    pub namespace: String,
    /// Name of the owning Rollout, Deployment or Experiment of the pod's ReplicaSet.
    pub owner: Option<String>,
    /// Image of the first container.
    pub image: Option<String>,
    /// Pod template hash.
    pub hash: Option<String>,
    /// Revision of the ReplicaSet.
    pub revision: Option<i64>,
    /// At most this many pods, in the order of their names.
    pub limit: Option<usize>,
}

/// How pods live under a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodFaultEffect {
    None,
    NeverReady {
        waiting_reason: String,
    },
    ReadyAfter(Duration),
    CrashAfter {
        ready_for: Duration,
        restart_after: Option<Duration>,
    },
}

impl PodSelection {
    /// Whether all pods of the namespace are meant.
    pub(super) fn is_open(&self) -> bool {
        let Self {
            namespace: _,
            owner,
            image,
            hash,
            revision,
            limit: _,
        } = self;
        owner.is_none() && image.is_none() && hash.is_none() && revision.is_none()
    }

    /// Whether pods of this ReplicaSet are meant.
    pub(super) fn covers(&self, namespace: &str, replica_set: &ReplicaSet) -> bool {
        let Self {
            namespace: wanted_namespace,
            owner,
            image,
            hash,
            revision,
            limit: _,
        } = self;
        let owner_name = replica_set
            .metadata
            .controller()
            .map(|owner| owner.name.as_str());
        wanted_namespace == namespace
            && owner.as_deref().is_none_or(|name| owner_name == Some(name))
            && image
                .as_deref()
                .is_none_or(|image| replica_set.template.first_image() == Some(image))
            && hash
                .as_deref()
                .is_none_or(|hash| replica_set.hash() == hash)
            && revision.is_none_or(|revision| replica_set.revision() == revision)
    }
}

/// Name of the ReplicaSet that owns a pod.
pub(super) fn owning_replica_set(pod: &Pod) -> Option<&str> {
    pod.metadata
        .controller()
        .filter(|owner| owner.kind == "ReplicaSet")
        .map(|owner| owner.name.as_str())
}

/// What is wrong at present.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    pub pods: Vec<(PodSelection, PodFaultEffect)>,
    pub outages: Vec<Outage>,
    pub clock_offset: Duration,
    pub writes_to_refuse: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outage {
    pub metric: Option<String>,
    pub message: String,
    pub until: Option<Timestamp>,
}

impl Faults {
    /// Why the provider of this metric does not answer now.
    pub fn outage(&mut self, metric: &str, now: Timestamp) -> Option<String> {
        self.outages
            .retain(|outage| outage.until.is_none_or(|until| now < until));
        self.outages
            .iter()
            .find(|outage| outage.metric.as_deref().is_none_or(|name| name == metric))
            .map(|outage| outage.message.clone())
    }

    /// How new pods of this ReplicaSet live: the last fault that covers it says so.
    pub fn pod_effect(&self, namespace: &str, replica_set: &ReplicaSet) -> Option<&PodFaultEffect> {
        self.pods
            .iter()
            .rev()
            .find(|(selection, _)| selection.covers(namespace, replica_set))
            .map(|(_, effect)| effect)
    }

    pub fn set_pods(&mut self, selection: PodSelection, effect: PodFaultEffect) {
        self.pods.retain(|(known, _)| *known != selection);
        match effect {
            PodFaultEffect::None => {}
            PodFaultEffect::NeverReady { .. }
            | PodFaultEffect::ReadyAfter(_)
            | PodFaultEffect::CrashAfter { .. } => self.pods.push((selection, effect)),
        }
    }

    /// Whether the rollout controller's next write is refused.
    pub fn refuse_write(&mut self) -> bool {
        let refused = self.writes_to_refuse > 0;
        self.writes_to_refuse = self.writes_to_refuse.saturating_sub(1);
        refused
    }
}
