//! What the simulated API server stores.

use std::collections::BTreeMap;
use std::sync::Arc;

pub use crate::engine::objects::{Kind, ObjectRef};
use crate::engine::{ObjectKey, Observed};
use crate::spec::rollout::Rollout;

use super::traffic::Traffic;

/// All objects, by namespace.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct World {
    pub namespaces: BTreeMap<String, Namespace>,
}

impl World {
    pub fn rollout(&self, namespace: &str, name: &str) -> Option<&Arc<Rollout>> {
        self.namespaces.get(namespace)?.rollouts.get(name)
    }

    pub fn observed(&self, namespace: &str) -> Option<&Observed> {
        self.namespaces.get(namespace).map(|found| &found.observed)
    }
}

/// The objects of one namespace. Cluster-wide templates are repeated in each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Namespace {
    pub rollouts: BTreeMap<String, Arc<Rollout>>,
    /// All else: what a controller of this namespace sees.
    pub observed: Observed,
    /// What the routers were told and what has taken effect, by rollout.
    pub traffic: BTreeMap<String, Traffic>,
}

/// Key of a Deployment among the other objects.
pub(super) fn deployment_key(name: &str) -> ObjectKey {
    ObjectKey::new("apps/v1", "Deployment", name)
}

/// Key of a Job among the other objects.
pub(super) fn job_key(name: &str) -> ObjectKey {
    ObjectKey::new("batch/v1", "Job", name)
}
