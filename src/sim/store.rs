//! The simulated API server: objects, their stamps, and who owns whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

pub(super) use crate::engine::objects::{Object, kind_of};
use crate::engine::{Observed, ReplicaSetStatus};
use crate::engine::{objects, rollout};
use crate::spec::analysis::{AnalysisRunStatus, ClusterAnalysisTemplate};
use crate::spec::experiment::ExperimentStatus;
use crate::spec::meta::ObjectMeta;
use crate::spec::rollout_status::RolloutStatus;
use crate::time::Timestamp;

use super::observer::{Change, ChangeKind};
use super::world::{Kind, Namespace, ObjectRef, World};

/// A status as the controller of its kind stores it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Status {
    Rollout(Box<RolloutStatus>),
    AnalysisRun(Box<AnalysisRunStatus>),
    Experiment(Box<ExperimentStatus>),
    ReplicaSet(ReplicaSetStatus),
    Pod(PodStatus),
}

/// What a node says of a pod, see [`crate::engine::Pod`].
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PodStatus {
    pub ready_since: Option<Timestamp>,
    pub waiting_reason: String,
}

/// What a write did.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Written {
    pub change: Change,
    /// The owners with `controller: true`.
    pub controllers: Vec<ObjectRef>,
    pub uid: String,
    /// Whether it changed something that a rollout reads.
    pub shows: bool,
}

impl Written {
    fn new(object: ObjectRef, kind: ChangeKind, meta: &ObjectMeta) -> Self {
        let controllers = meta.owner_references.iter();
        let controllers = controllers.filter(|owner| owner.controller == Some(true));
        Self {
            controllers: controllers
                .map(|owner| {
                    let kind = Kind::of(&owner.api_version, &owner.kind);
                    object.neighbour(kind, &owner.name)
                })
                .collect(),
            uid: meta.uid.clone(),
            shows: true,
            change: Change { object, kind },
        }
    }
}

/// The objects and the counters that stamp them.
#[derive(Debug, Clone, Default)]
pub(super) struct Store {
    pub world: World,
    cluster_templates: BTreeMap<String, Arc<ClusterAnalysisTemplate>>,
    last_resource_version: u64,
    last_uid: u64,
    seed: u64,
}

impl Store {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// What names and uids are made of.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The namespace, made where it is missing.
    pub fn namespace_mut(&mut self, name: &str) -> &mut Namespace {
        let templates = &self.cluster_templates;
        self.world
            .namespaces
            .entry(name.to_owned())
            .or_insert_with(|| Namespace {
                observed: Observed {
                    namespace: name.to_owned(),
                    cluster_analysis_templates: templates.clone(),
                    ..Observed::default()
                },
                ..Namespace::default()
            })
    }

    pub fn get(&self, object: &ObjectRef) -> Option<Object> {
        if object.kind == Kind::ClusterAnalysisTemplate {
            let found = self.cluster_templates.get(&*object.name)?;
            return Some(Object::ClusterAnalysisTemplate(found.clone()));
        }
        let place = self.world.namespaces.get(&*object.namespace)?;
        objects::get(&place.rollouts, &place.observed, object)
    }

    pub fn contains(&self, object: &ObjectRef) -> bool {
        if object.kind == Kind::ClusterAnalysisTemplate {
            return self.cluster_templates.contains_key(&*object.name);
        }
        let place = self.world.namespaces.get(&*object.namespace);
        place.is_some_and(|place| objects::contains(&place.rollouts, &place.observed, object))
    }

    /// Stores a new object.
    ///
    /// # Errors
    /// An object without a name, or one that exists.
    pub fn create(
        &mut self,
        namespace: &str,
        mut object: Object,
        now: Timestamp,
    ) -> Result<Written, String> {
        let meta = object.metadata();
        let name = if meta.name.is_empty() && !meta.generate_name.is_empty() {
            let number = self.last_uid.wrapping_add(1);
            let code = short_code(mix(self.seed, number));
            format!("{}{code}", meta.generate_name)
        } else {
            meta.name.clone()
        };
        if name.is_empty() {
            return Err("metadata.name: Required value: name or generateName is required".into());
        }
        let reference = object.reference(namespace, &name);
        if self.contains(&reference) {
            return Err(format!(
                "{} {name:?} already exists",
                reference.kind.as_str()
            ));
        }
        let (uid, resource_version) = (self.new_uid(), self.new_resource_version());
        let written = change_metadata(&mut object, |meta| {
            meta.name = name;
            meta.namespace = reference.namespace.to_string();
            meta.uid = uid;
            meta.resource_version = resource_version;
            meta.generation = 1;
            meta.creation_timestamp = Some(now.truncate_to_seconds());
            meta.deletion_timestamp = None;
            Written::new(reference, ChangeKind::Created, meta)
        });
        self.insert(&written.change.object, object);
        Ok(written)
    }

    /// Stores a changed object; none where nothing differs.
    ///
    /// # Errors
    /// An object that does not exist.
    pub fn update(
        &mut self,
        reference: &ObjectRef,
        mut object: Object,
    ) -> Result<Option<Written>, String> {
        let Some(old) = self.get(reference) else {
            return Err(not_found(reference));
        };
        let old_meta = old.metadata();
        change_metadata(&mut object, |meta| {
            meta.name.clone_from(&old_meta.name);
            meta.namespace.clone_from(&old_meta.namespace);
            meta.uid.clone_from(&old_meta.uid);
            meta.resource_version.clone_from(&old_meta.resource_version);
            meta.generation = old_meta.generation;
            meta.creation_timestamp = old_meta.creation_timestamp;
            meta.deletion_timestamp = old_meta.deletion_timestamp;
        });
        if object == old {
            return Ok(None);
        }
        let generations = i64::from(object.spec_differs(&old));
        let resource_version = self.new_resource_version();
        let written = change_metadata(&mut object, |meta| {
            meta.generation = meta.generation.saturating_add(generations);
            meta.resource_version = resource_version;
            Written::new(reference.clone(), ChangeKind::Updated, meta)
        });
        self.insert(reference, object);
        Ok(Some(written))
    }

    /// Stores a changed status, in the stored object where nobody shares it; none where nothing
    /// differs.
    ///
    /// # Errors
    /// An object that does not exist.
    pub fn update_status(
        &mut self,
        reference: &ObjectRef,
        status: Status,
    ) -> Result<Option<Written>, String> {
        let missing = || not_found(reference);
        let place = self.world.namespaces.get_mut(&*reference.namespace);
        let place = place.ok_or_else(missing)?;
        let (name, observed): (&str, _) = (&reference.name, &mut place.observed);
        let mut shows = true;
        let meta = match status {
            Status::Rollout(status) => {
                let stored = place.rollouts.get_mut(name).ok_or_else(missing)?;
                if stored.status == *status {
                    return Ok(None);
                }
                let changed = Arc::make_mut(stored);
                changed.status = *status;
                &mut changed.metadata
            }
            Status::AnalysisRun(status) => {
                let stored = observed.analysis_runs.get_mut(name).ok_or_else(missing)?;
                if stored.status == *status {
                    return Ok(None);
                }
                shows = !rollout::shows_the_same(&stored.status, &status);
                let changed = Arc::make_mut(stored);
                changed.status = *status;
                &mut changed.metadata
            }
            Status::Experiment(status) => {
                let stored = observed.experiments.get_mut(name).ok_or_else(missing)?;
                if stored.status == *status {
                    return Ok(None);
                }
                let changed = Arc::make_mut(stored);
                changed.status = *status;
                &mut changed.metadata
            }
            Status::ReplicaSet(status) => {
                let stored = observed.replica_sets.get_mut(name).ok_or_else(missing)?;
                if stored.status == status {
                    return Ok(None);
                }
                let changed = Arc::make_mut(stored);
                changed.status = status;
                &mut changed.metadata
            }
            Status::Pod(status) => {
                let stored = observed.pods.get_mut(name).ok_or_else(missing)?;
                let PodStatus {
                    ready_since,
                    waiting_reason,
                } = status;
                if stored.ready_since == ready_since && stored.waiting_reason == waiting_reason {
                    return Ok(None);
                }
                let changed = Arc::make_mut(stored);
                changed.ready_since = ready_since;
                changed.waiting_reason = waiting_reason;
                &mut changed.metadata
            }
        };
        self.last_resource_version = self.last_resource_version.saturating_add(1);
        meta.resource_version = self.last_resource_version.to_string();
        let written = Written::new(reference.clone(), ChangeKind::Updated, meta);
        Ok(Some(Written { shows, ..written }))
    }

    /// Removes an object; none where there is none. What it owned stays, see [`Self::owned_by`].
    pub fn delete(&mut self, reference: &ObjectRef) -> Option<Written> {
        let object = self.get(reference)?;
        let name: &str = &reference.name;
        if reference.kind == Kind::ClusterAnalysisTemplate {
            self.cluster_templates.remove(name);
            for namespace in self.world.namespaces.values_mut() {
                namespace.observed.cluster_analysis_templates.remove(name);
            }
        } else {
            let namespace = self.world.namespaces.get_mut(&*reference.namespace)?;
            objects::remove(&mut namespace.rollouts, &mut namespace.observed, reference);
            if reference.kind == Kind::Rollout {
                namespace.traffic.remove(name);
            }
        }
        self.last_resource_version = self.last_resource_version.saturating_add(1);
        let meta = object.metadata();
        Some(Written::new(reference.clone(), ChangeKind::Deleted, &meta))
    }

    /// The objects of a namespace that name this uid as an owner.
    pub fn owned_by(&self, namespace: &str, uid: &str) -> Vec<ObjectRef> {
        let Some(place) = self.world.namespaces.get(namespace) else {
            return Vec::new();
        };
        let owned = |meta: &ObjectMeta| meta.owner_references.iter().any(|owner| owner.uid == uid);
        let observed = &place.observed;
        let mut found = Vec::new();
        let mut add = |kind: Kind, name: &str| found.push(ObjectRef::new(kind, namespace, name));
        for (name, object) in &place.rollouts {
            if owned(&object.metadata) {
                add(Kind::Rollout, name);
            }
        }
        for (name, object) in &observed.experiments {
            if owned(&object.metadata) {
                add(Kind::Experiment, name);
            }
        }
        for (name, object) in &observed.analysis_runs {
            if owned(&object.metadata) {
                add(Kind::AnalysisRun, name);
            }
        }
        for (name, object) in &observed.replica_sets {
            if owned(&object.metadata) {
                add(Kind::ReplicaSet, name);
            }
        }
        for (name, object) in &observed.services {
            if owned(&object.metadata) {
                add(Kind::Service, name);
            }
        }
        for (name, object) in &observed.pods {
            if owned(&object.metadata) {
                add(Kind::Pod, name);
            }
        }
        for (key, value) in &observed.others {
            let owners = value
                .pointer("/metadata/ownerReferences")
                .and_then(Value::as_array);
            let is_owned = owners
                .into_iter()
                .flatten()
                .any(|owner| owner.get("uid").and_then(Value::as_str) == Some(uid));
            if is_owned {
                add(kind_of(key), &key.name);
            }
        }
        found
    }

    fn insert(&mut self, reference: &ObjectRef, object: Object) {
        let name: &str = &reference.name;
        if let Object::ClusterAnalysisTemplate(template) = object {
            for namespace in self.world.namespaces.values_mut() {
                let known = &mut namespace.observed.cluster_analysis_templates;
                known.insert(name.to_owned(), template.clone());
            }
            self.cluster_templates.insert(name.to_owned(), template);
            return;
        }
        let namespace = self.namespace_mut(&reference.namespace);
        objects::insert(
            &mut namespace.rollouts,
            &mut namespace.observed,
            name,
            object,
        );
    }

    fn new_resource_version(&mut self) -> String {
        self.last_resource_version = self.last_resource_version.saturating_add(1);
        self.last_resource_version.to_string()
    }

    /// Looks like a random UUID, but follows from the seed and the count alone.
    fn new_uid(&mut self) -> String {
        self.last_uid = self.last_uid.saturating_add(1);
        let (high, low) = (
            mix(self.seed, self.last_uid),
            mix(!self.seed, self.last_uid),
        );
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | ((low >> 48) & 0x3fff),
            low & 0xffff_ffff_ffff
        )
    }
}

/// Changes metadata where they stand, or in a copy where they are kept as JSON.
fn change_metadata<T>(object: &mut Object, change: impl FnOnce(&mut ObjectMeta) -> T) -> T {
    if let Some(meta) = object.metadata_mut() {
        return change(meta);
    }
    let mut meta = object.metadata().into_owned();
    let changed = change(&mut meta);
    object.set_meta(meta);
    changed
}

/// The error of the API server for a missing object.
pub(super) fn not_found(reference: &ObjectRef) -> String {
    format!("{} {:?} not found", reference.kind.as_str(), reference.name)
}

/// Five letters that cannot form words, as Kubernetes appends to generated names.
pub(super) fn short_code(mut number: u64) -> String {
    const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    (0..5)
        .map(|_| {
            let index = usize::try_from(number % 27).unwrap_or(0);
            number /= 27;
            char::from(LETTERS[index])
        })
        .collect()
}

/// A well-spread number out of two (the finalizer of SplitMix64).
pub(crate) fn mix(seed: u64, count: u64) -> u64 {
    let mut z = seed.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(selector: Value) -> Object {
        Object::from_json(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"selector": selector}
        }))
        .unwrap()
    }

    #[test]
    fn objects_are_stamped_and_equal_writes_are_no_writes() {
        let mut store = Store::new(7);
        let now = Timestamp::from_nanos(1_500_000_000);
        let created = store.create("ns", service(json!({"a": "b"})), now).unwrap();
        let reference = created.change.object;
        assert!(store.create("ns", service(json!({})), now).is_err());
        let first = store.get(&reference).unwrap().metadata().into_owned();
        assert_eq!(first.creation_timestamp, Some(Timestamp::from_secs(1)));
        assert_eq!(first.uid.len(), 36);
        assert_eq!(
            store.update(&reference, service(json!({"a": "b"}))),
            Ok(None)
        );
        assert!(
            store
                .update(&reference, service(json!({"a": "c"})))
                .unwrap()
                .is_some()
        );
        let second = store.get(&reference).unwrap().metadata().into_owned();
        assert_eq!(second.uid, first.uid);
        assert_ne!(second.resource_version, first.resource_version);
        assert!(store.delete(&reference).is_some());
        assert_eq!(store.delete(&reference), None);
        assert!(store.update(&reference, service(json!({}))).is_err());
    }

    #[test]
    fn generation_counts_spec_changes_only() {
        let mut store = Store::new(0);
        let rollout = |replicas: i32, annotation: &str, step: i32| {
            Object::from_json(json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
                "metadata": {"name": "r", "annotations": {"a": annotation}},
                "spec": {"replicas": replicas}, "status": {"currentStepIndex": step}
            }))
            .unwrap()
        };
        let created = store
            .create("ns", rollout(1, "x", 0), Timestamp::EPOCH)
            .unwrap();
        let reference = created.change.object;
        let mut generation_after = |object: Object| {
            store.update(&reference, object).unwrap();
            store.get(&reference).unwrap().metadata().generation
        };
        assert_eq!(generation_after(rollout(1, "y", 0)), 1);
        assert_eq!(generation_after(rollout(1, "y", 3)), 1);
        assert_eq!(generation_after(rollout(2, "y", 3)), 2);
    }
}
