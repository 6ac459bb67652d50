//! The Deployment controller: a ReplicaSet a template, rolled over within surge and unavailability
//! (`k8s.io/kubernetes` `pkg/controller/deployment`).

use std::sync::Arc;

use serde_json::{Value, json};

use crate::engine::{ReplicaSet, hash};
use crate::spec::decode::decode;
use crate::spec::kubernetes::{Deployment, PodTemplate};
use crate::spec::meta::{IntOrString, ObjectMeta, OwnerReference};
use crate::spec::string_map::StringMap;

use super::metrics::MetricSource;
use super::observer::Observer;
use super::pods::PodModel;
use super::simulation::Simulation;
use super::store::Object;
use super::world::{Kind, ObjectRef};

const HASH_LABEL: &str = "pod-template-hash";
const REVISION_ANNOTATION: &str = "deployment.kubernetes.io/revision";

impl<M: MetricSource, P: PodModel> Simulation<M, P> {
    pub(super) fn reconcile_deployment(&mut self, object: &ObjectRef, observer: &mut dyn Observer) {
        let Some(Object::Other { key: _, value }) = self.store.get(object) else {
            return;
        };
        let Ok(deployment) = decode::<Deployment>(value.as_ref().clone()) else {
            return;
        };
        let sets = self.sets_of(&object.namespace, &deployment.metadata.uid);
        let same = |set: &&Arc<ReplicaSet>| without_hash(&set.template) == deployment.spec.template;
        let current = sets.iter().find(same).cloned();
        let olds: Vec<Arc<ReplicaSet>> = sets
            .iter()
            .filter(|set| {
                current
                    .as_ref()
                    .is_none_or(|current| current.name() != set.name())
            })
            .cloned()
            .collect();
        let limits = Limits::of(&deployment);
        match &current {
            None => self.create_set(object, &deployment, &olds, limits, observer),
            Some(current) => self.roll(object, current, &olds, limits, observer),
        }
        let sets = self.sets_of(&object.namespace, &deployment.metadata.uid);
        self.write_deployment_status(object, &deployment, &sets, observer);
    }

    fn sets_of(&self, namespace: &str, uid: &str) -> Vec<Arc<ReplicaSet>> {
        let Some(observed) = self.store.world.observed(namespace) else {
            return Vec::new();
        };
        let mut sets: Vec<_> = observed
            .replica_sets
            .values()
            .filter(|set| {
                set.metadata
                    .controller()
                    .is_some_and(|owner| owner.uid == uid)
            })
            .cloned()
            .collect();
        sets.sort_by_key(|set| deployment_revision(set));
        sets
    }

    fn create_set(
        &mut self,
        object: &ObjectRef,
        deployment: &Deployment,
        olds: &[Arc<ReplicaSet>],
        limits: Limits,
        observer: &mut dyn Observer,
    ) {
        let template_hash = hash::pod_template_hash(&deployment.spec.template, None);
        let mut template = deployment.spec.template.clone();
        template
            .labels_mut()
            .insert(HASH_LABEL.into(), template_hash.clone().into());
        let mut selector = deployment.spec.selector.clone().unwrap_or_default();
        selector
            .match_labels
            .make_mut()
            .insert(HASH_LABEL.into(), template_hash.clone());
        let revision = olds
            .iter()
            .map(|set| deployment_revision(set))
            .max()
            .unwrap_or(0)
            + 1;
        let set = ReplicaSet {
            metadata: ObjectMeta {
                name: format!("{}-{template_hash}", object.name),
                labels: template.labels().into(),
                annotations: StringMap::from([(
                    REVISION_ANNOTATION.to_owned(),
                    revision.to_string(),
                )])
                .into(),
                owner_references: vec![OwnerReference {
                    api_version: "apps/v1".into(),
                    kind: "Deployment".into(),
                    name: object.name.to_string(),
                    uid: deployment.metadata.uid.clone(),
                    controller: Some(true),
                    block_owner_deletion: Some(true),
                }]
                .into(),
                ..ObjectMeta::default()
            },
            replicas: new_set_replicas(0, olds, limits),
            min_ready_seconds: min_ready_seconds(deployment),
            selector,
            template,
            ..ReplicaSet::default()
        };
        let created = self.store.create(
            &object.namespace,
            Object::ReplicaSet(Arc::new(set)),
            self.now,
        );
        // A name that is taken by a stranger blocks the Deployment, as in a cluster.
        self.wrote(created.ok(), observer);
    }

    fn roll(
        &mut self,
        object: &ObjectRef,
        current: &Arc<ReplicaSet>,
        olds: &[Arc<ReplicaSet>],
        limits: Limits,
        observer: &mut dyn Observer,
    ) {
        let wanted = new_set_replicas(current.replicas, olds, limits);
        if wanted != current.replicas {
            self.scale_set(object, current, wanted, observer);
            return;
        }
        for (set, replicas) in old_set_replicas(current, olds, limits) {
            self.scale_set(object, &set, replicas, observer);
        }
    }

    fn scale_set(
        &mut self,
        object: &ObjectRef,
        set: &Arc<ReplicaSet>,
        replicas: i32,
        observer: &mut dyn Observer,
    ) {
        let reference = ObjectRef::new(Kind::ReplicaSet, &object.namespace, set.name());
        let mut scaled = set.as_ref().clone();
        scaled.replicas = replicas;
        let written = self
            .store
            .update(&reference, Object::ReplicaSet(Arc::new(scaled)));
        self.wrote(written.ok().flatten(), observer);
    }

    fn write_deployment_status(
        &mut self,
        object: &ObjectRef,
        deployment: &Deployment,
        sets: &[Arc<ReplicaSet>],
        observer: &mut dyn Observer,
    ) {
        let Some(Object::Other { key, mut value }) = self.store.get(object) else {
            return;
        };
        let total =
            |count: fn(&ReplicaSet) -> i32| -> i32 { sets.iter().map(|set| count(set)).sum() };
        let updated: i32 = sets
            .iter()
            .filter(|set| without_hash(&set.template) == deployment.spec.template)
            .map(|set| set.status.replicas)
            .sum();
        let status = json!({
            "observedGeneration": deployment.metadata.generation,
            "replicas": total(|set| set.status.replicas),
            "updatedReplicas": updated,
            "readyReplicas": total(|set| set.status.ready_replicas),
            "availableReplicas": total(|set| set.status.available_replicas),
        });
        if let Value::Object(members) = Arc::make_mut(&mut value) {
            members.insert("status".into(), status);
        }
        let written = self.store.update(object, Object::Other { key, value });
        self.wrote(written.ok().flatten(), observer);
    }
}

/// Bounds of a rolling update.
#[derive(Debug, Clone, Copy)]
struct Limits {
    replicas: i32,
    max_surge: i32,
    max_unavailable: i32,
    recreate: bool,
}

impl Limits {
    fn of(deployment: &Deployment) -> Self {
        let replicas = deployment.spec.replicas.unwrap_or(1).max(0);
        let strategy = deployment.spec.rest.get("strategy");
        let setting = |key: &str| -> IntOrString {
            strategy
                .and_then(|strategy| strategy.pointer(&format!("/rollingUpdate/{key}")))
                .and_then(|value| serde_json::from_value(value.clone()).ok())
                .unwrap_or_else(|| "25%".into())
        };
        // Text that is no percentage counts as none; the API server refuses it before.
        let max_surge = setting("maxSurge").scaled(replicas, true).unwrap_or(0);
        let mut max_unavailable = setting("maxUnavailable")
            .scaled(replicas, false)
            .unwrap_or(0);
        if max_surge == 0 && max_unavailable == 0 {
            max_unavailable = 1;
        }
        Self {
            replicas,
            max_surge,
            max_unavailable: max_unavailable.min(replicas),
            recreate: strategy
                .and_then(|strategy| strategy.get("type"))
                .and_then(Value::as_str)
                == Some("Recreate"),
        }
    }
}

/// `NewRSNewReplicas`: as many as fit under the surge, never fewer than there are unless the
/// Deployment shrank.
fn new_set_replicas(present: i32, olds: &[Arc<ReplicaSet>], limits: Limits) -> i32 {
    let old: i32 = olds.iter().map(|set| set.replicas).sum();
    if limits.recreate {
        let running: i32 = olds
            .iter()
            .map(|set| set.status.replicas.max(set.replicas))
            .sum();
        return if running == 0 {
            limits.replicas
        } else {
            present
        };
    }
    if present > limits.replicas {
        return limits.replicas;
    }
    let room = limits.replicas.saturating_add(limits.max_surge) - old - present;
    present + room.clamp(0, limits.replicas - present)
}

/// Old sets that shrink, and to what: unready pods first, then as far as availability allows.
fn old_set_replicas(
    current: &ReplicaSet,
    olds: &[Arc<ReplicaSet>],
    limits: Limits,
) -> Vec<(Arc<ReplicaSet>, i32)> {
    if limits.recreate {
        let running = olds.iter().filter(|set| set.replicas > 0);
        return running.map(|set| (set.clone(), 0)).collect();
    }
    let total: i32 = olds.iter().map(|set| set.replicas).sum::<i32>() + current.replicas;
    let min_available = limits.replicas - limits.max_unavailable;
    let new_unavailable = (current.replicas - current.status.available_replicas).max(0);
    let mut removable = (total - min_available - new_unavailable).max(0);
    let mut wanted: Vec<(Arc<ReplicaSet>, i32)> =
        olds.iter().map(|set| (set.clone(), set.replicas)).collect();
    for (set, replicas) in &mut wanted {
        let unhealthy = (set.replicas - set.status.available_replicas).max(0);
        let removed = unhealthy.min(removable);
        *replicas -= removed;
        removable -= removed;
    }
    let available: i32 = olds
        .iter()
        .map(|set| set.status.available_replicas)
        .sum::<i32>()
        + current.status.available_replicas;
    let mut spare = (available - min_available).max(0);
    for (_, replicas) in &mut wanted {
        let removed = (*replicas).min(spare);
        *replicas -= removed;
        spare -= removed;
    }
    wanted.retain(|(set, replicas)| set.replicas != *replicas);
    wanted
}

fn deployment_revision(set: &ReplicaSet) -> i64 {
    set.annotation(REVISION_ANNOTATION)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

fn min_ready_seconds(deployment: &Deployment) -> i32 {
    let seconds = deployment
        .spec
        .rest
        .get("minReadySeconds")
        .and_then(Value::as_i64);
    seconds
        .and_then(|seconds| i32::try_from(seconds).ok())
        .unwrap_or(0)
}

fn without_hash(template: &PodTemplate) -> PodTemplate {
    let mut template = template.clone();
    template.labels_mut().shift_remove(HASH_LABEL);
    template
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(replicas: i32, available: i32) -> Arc<ReplicaSet> {
        let mut set = ReplicaSet {
            replicas,
            ..ReplicaSet::default()
        };
        set.status.available_replicas = available;
        Arc::new(set)
    }

    #[test]
    fn a_rolling_update_stays_within_its_limits() {
        let limits = Limits {
            replicas: 4,
            max_surge: 1,
            max_unavailable: 1,
            recreate: false,
        };
        assert_eq!(new_set_replicas(0, &[set(4, 4)], limits), 1);
        assert_eq!(new_set_replicas(0, &[], limits), 4);
        assert_eq!(new_set_replicas(6, &[], limits), 4);
        let shrunk: Vec<i32> = old_set_replicas(&set(1, 0), &[set(4, 4)], limits)
            .iter()
            .map(|(_, n)| *n)
            .collect();
        assert_eq!(shrunk, [3]);
        let broken: Vec<i32> = old_set_replicas(&set(2, 0), &[set(3, 3)], limits)
            .iter()
            .map(|(_, n)| *n)
            .collect();
        assert!(broken.is_empty());
    }
}
