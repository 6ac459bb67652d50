//! What users and surroundings do to the cluster.

use serde_json::Value;

use crate::engine::verbs::Verb;

use super::faults::{Fault, PodSelection};
use super::world::ObjectRef;

/// Something that is done at the present instant.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// `kubectl apply`: creates the object, or changes what differs from what was applied last.
    /// `namespace` holds where the object names none.
    Apply {
        namespace: String,
        object: Value,
    },
    /// `kubectl delete`; what it owns goes with it.
    Delete {
        object: ObjectRef,
    },
    /// A JSON merge patch; `.status` is left alone where it is a subresource.
    Patch {
        object: ObjectRef,
        patch: Value,
    },
    /// A command of the kubectl plugin, about a Rollout.
    Rollout {
        namespace: String,
        name: String,
        verb: Verb,
    },
    /// Sets `spec.replicas` of a Rollout through its scale subresource, as an autoscaler does.
    Scale {
        namespace: String,
        name: String,
        replicas: i32,
    },
    DeletePods(PodSelection),
    Fault(Fault),
}
