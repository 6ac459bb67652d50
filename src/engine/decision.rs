//! What a decision consists of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::routers::{Change, Split};
use crate::spec::analysis::{AnalysisRun, Measurement, Metric};
use crate::spec::experiment::Experiment;
use crate::spec::kubernetes::Service;
use crate::spec::rollout_status::RolloutStatus;
use crate::spec::string_map::StringMap;
use crate::time::Timestamp;

use super::observed::ReplicaSet;

/// The outcome of one reconciliation. `S` is the type of the object's status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision<S> {
    /// The object's next `.status`; none when it is to stay as it is.
    pub status: Option<S>,
    /// What to do to the world, in this order.
    pub actions: Vec<Action>,
    /// When to decide again although nothing else happened.
    pub wake_at: Option<Timestamp>,
    /// Kubernetes events about the object, in order.
    pub events: Vec<Event>,
    /// In words, why this and not more was done.
    pub reasons: Vec<String>,
    /// Why the reconciliation broke off. What was decided before stands; the driver tries again
    /// after a back-off, or as soon as something observed has changed.
    pub failure: Option<String>,
}

impl<S> Default for Decision<S> {
    fn default() -> Self {
        Self {
            status: None,
            actions: Vec::new(),
            wake_at: None,
            events: Vec::new(),
            reasons: Vec::new(),
            failure: None,
        }
    }
}

impl<S> Decision<S> {
    /// Asks to be called at `at`, or earlier if that was asked before.
    pub fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }
}

/// A Kubernetes event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub kind: EventKind,
    pub reason: String,
    pub message: String,
    /// It is about the Rollout that owns the decided object, instead of that object.
    #[serde(default)]
    pub about_owner: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    Normal,
    Warning,
}

impl Event {
    pub fn normal(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind: EventKind::Normal,
            reason: reason.into(),
            message: message.into(),
            about_owner: false,
        }
    }

    pub fn warning(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind: EventKind::Warning,
            reason: reason.into(),
            message: message.into(),
            about_owner: false,
        }
    }
}

/// Something to do to the world. Names are of objects in the decided object's namespace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// Change the decided Rollout itself, outside its status.
    PatchRollout(RolloutPatch),
    /// Create it, with the status left to the ReplicaSet controller.
    CreateReplicaSet(Box<ReplicaSet>),
    /// Replace metadata and spec; the status given is ignored.
    UpdateReplicaSet(Box<ReplicaSet>),
    DeleteReplicaSet {
        name: String,
    },
    CreateService(Box<Service>),
    DeleteService {
        name: String,
    },
    /// Point a service at the pods with this template hash (none: drop the hash from its selector, and
    /// the annotation); `managed_by` is written as [`super::MANAGED_BY_ANNOTATION`] where given.
    SelectService {
        name: String,
        hash: Option<String>,
        managed_by: Option<String>,
    },
    /// Split the traffic so; `changes` are what the objects of the traffic routers need for it, in
    /// order. Routers that are not built have none.
    SetTraffic {
        split: Box<Split>,
        changes: Vec<Change>,
    },
    /// Change the objects of the traffic routers, in order, without new weights.
    ChangeRouters {
        changes: Vec<Change>,
    },
    CreateAnalysisRun(Box<AnalysisRun>),
    TerminateAnalysisRun {
        name: String,
    },
    DeleteAnalysisRun {
        name: String,
    },
    CreateExperiment(Box<Experiment>),
    TerminateExperiment {
        name: String,
    },
    DeleteExperiment {
        name: String,
    },
    /// Set `spec.replicas` of the Deployment of a workloadRef.
    ScaleDeployment {
        name: String,
        replicas: i32,
    },
    /// Evict a pod (restartAt).
    EvictPod {
        name: String,
    },
    /// Replace labels and annotations of a running pod.
    UpdatePodMetadata {
        name: String,
        labels: StringMap,
        annotations: StringMap,
    },
    /// Take a measurement of this metric, arguments resolved. The answer is an argument of the
    /// next decision on the run. `resume` is the unfinished measurement to go on with.
    Measure {
        metric: Box<Metric>,
        resume: Option<Box<Measurement>>,
    },
    /// Delete the Job of a measurement that is not wanted any more: unfinished when its run ends, or
    /// no longer kept.
    StopMeasurement {
        metric: Box<Metric>,
        measurement: Box<Measurement>,
    },
}

/// Changes of a Rollout outside its status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutPatch {
    /// Annotations to set, or to remove where none.
    pub annotations: BTreeMap<String, Option<String>>,
    /// `spec.replicas` to set.
    pub replicas: Option<i32>,
}

/// The decision on a Rollout.
pub type RolloutDecision = Decision<RolloutStatus>;

impl Action {
    /// What is done, in a few words.
    pub fn describe(&self) -> String {
        match self {
            Action::PatchRollout(patch) => {
                let RolloutPatch {
                    annotations,
                    replicas,
                } = patch;
                let mut parts: Vec<String> = annotations
                    .iter()
                    .map(|(key, value)| format!("{key}={}", value.as_deref().unwrap_or("-")))
                    .collect();
                parts.extend(replicas.map(|replicas| format!("spec.replicas={replicas}")));
                format!("note on the rollout: {}", parts.join(", "))
            }
            Action::CreateReplicaSet(set) => format!("create ReplicaSet {}", set.name()),
            Action::UpdateReplicaSet(set) => {
                format!("update ReplicaSet {} ({} pods)", set.name(), set.replicas)
            }
            Action::DeleteReplicaSet { name } => format!("delete ReplicaSet {name}"),
            Action::CreateService(service) => format!("create Service {}", service.metadata.name),
            Action::DeleteService { name } => format!("delete Service {name}"),
            Action::SelectService {
                name,
                hash,
                managed_by: _,
            } => format!(
                "point Service {name} at {}",
                hash.as_deref().unwrap_or("nothing")
            ),
            Action::SetTraffic { split, changes: _ } => format!(
                "set traffic: canary {}, stable {}",
                split.canary.weight, split.stable.weight
            ),
            Action::ChangeRouters { changes } => {
                let names: Vec<&str> = changes
                    .iter()
                    .map(|change| change.key().name.as_str())
                    .collect();
                format!("take managed routes out of {}", names.join(", "))
            }
            Action::CreateAnalysisRun(run) => format!("create AnalysisRun {}", run.metadata.name),
            Action::TerminateAnalysisRun { name } => format!("terminate AnalysisRun {name}"),
            Action::DeleteAnalysisRun { name } => format!("delete AnalysisRun {name}"),
            Action::CreateExperiment(experiment) => {
                format!("create Experiment {}", experiment.metadata.name)
            }
            Action::TerminateExperiment { name } => format!("terminate Experiment {name}"),
            Action::DeleteExperiment { name } => format!("delete Experiment {name}"),
            Action::ScaleDeployment { name, replicas } => {
                format!("scale Deployment {name} to {replicas}")
            }
            Action::EvictPod { name } => format!("evict Pod {name}"),
            Action::UpdatePodMetadata { name, .. } => format!("update metadata of Pod {name}"),
            Action::Measure { metric, resume: _ } => format!("measure {}", metric.name),
            Action::StopMeasurement {
                metric,
                measurement: _,
            } => format!("stop measuring {}", metric.name),
        }
    }
}
