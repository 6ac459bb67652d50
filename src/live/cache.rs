//! What the controller knows of the cluster: the newest version of each object it has seen.
//!
//! Watches and the answers to the controller's own writes both end up here, in any order. An object
//! is replaced only by a newer version of it, and what was deleted does not come back, so that a
//! lagging watch never undoes what the controller knows it has done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::Observed;
use crate::engine::objects::{self, Kind, Object, ObjectRef};
use crate::sim::simulation::rollout_refers_to;
use crate::spec::analysis::ClusterAnalysisTemplate;
use crate::spec::meta::ObjectMeta;
use crate::spec::rollout::Rollout;

/// How long the uid of a deleted object is remembered; a watch does not lag longer.
const REMEMBER_DELETED: Duration = Duration::from_secs(600);

/// The objects of a namespace.
#[derive(Debug, Default)]
pub struct Place {
    pub rollouts: BTreeMap<String, Arc<Rollout>>,
    pub observed: Observed,
    /// Rollouts that cannot be read.
    pub broken: BTreeMap<String, Arc<Broken>>,
}

/// A Rollout whose spec cannot be read.
#[derive(Debug, Clone, Default)]
pub struct Broken {
    /// It with an empty spec.
    pub rest: Rollout,
    pub message: String,
}

/// All objects.
#[derive(Debug, Default)]
pub struct Cache {
    places: BTreeMap<String, Place>,
    cluster_templates: BTreeMap<String, Arc<ClusterAnalysisTemplate>>,
    deleted: BTreeMap<String, Instant>,
}

impl Cache {
    pub fn place(&self, namespace: &str) -> Option<&Place> {
        self.places.get(namespace)
    }

    /// A namespace with objects, for what is to be seen by one decision.
    pub fn known_place_mut(&mut self, namespace: &str) -> Option<&mut Place> {
        self.places.get_mut(namespace)
    }

    fn place_mut(&mut self, namespace: &str) -> &mut Place {
        let templates = &self.cluster_templates;
        self.places
            .entry(namespace.to_owned())
            .or_insert_with(|| Place {
                observed: Observed {
                    namespace: namespace.to_owned(),
                    cluster_analysis_templates: templates.clone(),
                    ..Observed::default()
                },
                ..Place::default()
            })
    }

    pub fn get(&self, object: &ObjectRef) -> Option<Object> {
        if object.kind == Kind::ClusterAnalysisTemplate {
            let template = self.cluster_templates.get(&*object.name)?;
            return Some(Object::ClusterAnalysisTemplate(template.clone()));
        }
        let place = self.places.get(&*object.namespace)?;
        objects::get(&place.rollouts, &place.observed, object)
    }

    /// Whether an object is known in this or a newer version, or known to be deleted.
    pub fn is_known(&self, reference: &ObjectRef, uid: &str, version: &str) -> bool {
        if self.deleted.contains_key(uid) {
            return true;
        }
        match self.get(reference) {
            Some(known) => !is_newer(version, known.identity().1),
            None => false,
        }
    }

    /// Takes an object in, unless it is known in this or a newer version. Tells whether it was new.
    pub fn put(&mut self, reference: &ObjectRef, object: Object, now: Instant) -> bool {
        let (uid, version) = object.identity();
        if self.is_known(reference, uid, version) {
            return false;
        }
        if let Some(known) = self.get(reference) {
            let (known_uid, _) = known.identity();
            if known_uid != uid {
                self.deleted.insert(known_uid.to_owned(), now);
            }
        }
        if let Object::ClusterAnalysisTemplate(template) = object {
            for place in self.places.values_mut() {
                let templates = &mut place.observed.cluster_analysis_templates;
                templates.insert(reference.name.to_string(), template.clone());
            }
            self.cluster_templates
                .insert(reference.name.to_string(), template);
            return true;
        }
        let place = self.place_mut(&reference.namespace);
        if reference.kind == Kind::Rollout {
            place.broken.remove(&*reference.name);
        }
        let name: &str = &reference.name;
        objects::insert(&mut place.rollouts, &mut place.observed, name, object);
        true
    }

    /// Takes in a Rollout that cannot be read; what was known of it before is forgotten.
    pub fn put_broken(&mut self, reference: &ObjectRef, broken: Broken) -> bool {
        let meta = &broken.rest.metadata;
        if self.deleted.contains_key(&meta.uid) {
            return false;
        }
        let place = self.place_mut(&reference.namespace);
        let version = &meta.resource_version;
        let known = place.broken.get(&*reference.name);
        let known = known.map(|known| &known.rest.metadata.resource_version);
        let readable = place.rollouts.get(&*reference.name);
        let readable = readable.map(|known| &known.metadata.resource_version);
        if known
            .into_iter()
            .chain(readable)
            .any(|known| !is_newer(version, known))
        {
            return false;
        }
        place.rollouts.remove(&*reference.name);
        place
            .broken
            .insert(reference.name.to_string(), Arc::new(broken));
        true
    }

    /// Forgets an object; given a uid, only if that is it. What was known of it, if anything.
    pub fn remove(
        &mut self,
        reference: &ObjectRef,
        uid: Option<&str>,
        now: Instant,
    ) -> Option<Object> {
        self.deleted
            .retain(|_, at| now.duration_since(*at) < REMEMBER_DELETED);
        if let Some(uid) = uid.filter(|uid| !uid.is_empty()) {
            self.deleted.insert(uid.to_owned(), now);
        }
        if let Some(place) = self.places.get_mut(&*reference.namespace)
            && reference.kind == Kind::Rollout
        {
            place.broken.remove(&*reference.name);
        }
        let known = self.get(reference);
        if let Some(known) = &known {
            let (known_uid, _) = known.identity();
            if uid.is_some_and(|uid| uid != known_uid) {
                return None;
            }
            self.deleted.insert(known_uid.to_owned(), now);
            self.drop_object(reference);
        }
        self.drop_empty(&reference.namespace);
        known
    }

    fn drop_object(&mut self, reference: &ObjectRef) {
        if reference.kind == Kind::ClusterAnalysisTemplate {
            self.cluster_templates.remove(&*reference.name);
            for place in self.places.values_mut() {
                let templates = &mut place.observed.cluster_analysis_templates;
                templates.remove(&*reference.name);
            }
        } else if let Some(place) = self.places.get_mut(&*reference.namespace) {
            objects::remove(&mut place.rollouts, &mut place.observed, reference);
        }
    }

    fn drop_empty(&mut self, namespace: &str) {
        let is_empty = self.places.get(namespace).is_some_and(|place| {
            let Place {
                rollouts,
                observed,
                broken,
            } = place;
            rollouts.is_empty()
                && broken.is_empty()
                && observed.replica_sets.is_empty()
                && observed.pods.is_empty()
                && observed.services.is_empty()
                && observed.analysis_templates.is_empty()
                && observed.analysis_runs.is_empty()
                && observed.experiments.is_empty()
                && observed.others.is_empty()
        });
        if is_empty {
            self.places.remove(namespace);
        }
    }

    /// Names of all known objects of a kind.
    pub fn of_kind(&self, kind: &Kind) -> Vec<ObjectRef> {
        if *kind == Kind::ClusterAnalysisTemplate {
            let names = self.cluster_templates.keys();
            return names
                .map(|name| ObjectRef::new(kind.clone(), "", name))
                .collect();
        }
        let mut found = Vec::new();
        for (namespace, place) in &self.places {
            let observed = &place.observed;
            let mut add =
                |name: &String| found.push(ObjectRef::new(kind.clone(), namespace, name.clone()));
            match kind {
                Kind::Rollout => place
                    .rollouts
                    .keys()
                    .chain(place.broken.keys())
                    .for_each(&mut add),
                Kind::AnalysisTemplate => observed.analysis_templates.keys().for_each(&mut add),
                Kind::ClusterAnalysisTemplate => {}
                Kind::AnalysisRun => observed.analysis_runs.keys().for_each(&mut add),
                Kind::Experiment => observed.experiments.keys().for_each(&mut add),
                Kind::ReplicaSet => observed.replica_sets.keys().for_each(&mut add),
                Kind::Pod => observed.pods.keys().for_each(&mut add),
                Kind::Service => observed.services.keys().for_each(&mut add),
                Kind::Secret => observed.secrets.keys().for_each(&mut add),
                Kind::Other { group, kind } => observed
                    .others
                    .keys()
                    .filter(|key| key.group == *group && key.kind == *kind)
                    .for_each(|key| add(&key.name)),
            }
        }
        found
    }

    /// The objects of the controller to be looked at when `object` has changed: itself, its owner,
    /// and those that refer to it.
    pub fn concerned(&self, reference: &ObjectRef, object: &Object) -> Vec<ObjectRef> {
        let mut found = Vec::new();
        if decides_on(&reference.kind) {
            found.push(reference.clone());
        }
        if let Some(owner) = owners(object) {
            let kind = Kind::of(&owner.0, &owner.1);
            if decides_on(&kind) {
                found.push(ObjectRef::new(kind, &reference.namespace, owner.2));
            }
        }
        self.add_referrers(reference, &mut found);
        found
    }

    fn add_referrers(&self, reference: &ObjectRef, found: &mut Vec<ObjectRef>) {
        match &reference.kind {
            Kind::AnalysisTemplate
            | Kind::ClusterAnalysisTemplate
            | Kind::Service
            | Kind::Other { .. } => {}
            Kind::Rollout
            | Kind::AnalysisRun
            | Kind::Experiment
            | Kind::ReplicaSet
            | Kind::Pod
            | Kind::Secret => return,
        }
        let everywhere = reference.kind == Kind::ClusterAnalysisTemplate;
        let places = self
            .places
            .iter()
            .filter(|(name, _)| everywhere || **name == *reference.namespace);
        for (namespace, place) in places {
            for (name, rollout) in &place.rollouts {
                if rollout_refers_to(rollout, reference) {
                    found.push(ObjectRef::new(Kind::Rollout, namespace, name));
                }
            }
            if matches!(
                reference.kind,
                Kind::AnalysisTemplate | Kind::ClusterAnalysisTemplate
            ) {
                for name in place.observed.experiments.keys() {
                    found.push(ObjectRef::new(Kind::Experiment, namespace, name));
                }
            }
        }
    }
}

/// Whether the controller decides on objects of this kind.
pub fn decides_on(kind: &Kind) -> bool {
    match kind {
        Kind::Rollout | Kind::AnalysisRun | Kind::Experiment => true,
        Kind::AnalysisTemplate
        | Kind::ClusterAnalysisTemplate
        | Kind::ReplicaSet
        | Kind::Pod
        | Kind::Service
        | Kind::Secret
        | Kind::Other { .. } => false,
    }
}

/// Whether a resource version is newer than another: they are numbers that the API server counts up
/// over all objects.
pub fn is_newer(version: &str, known: &str) -> bool {
    match (version.parse::<u64>(), known.parse::<u64>()) {
        (Ok(version), Ok(known)) => version > known,
        _ => version != known,
    }
}

/// `apiVersion`, kind and name of the controlling owner.
fn owners(object: &Object) -> Option<(String, String, String)> {
    let of_meta = |meta: &ObjectMeta| {
        let owner = meta.controller()?;
        let (api_version, kind) = (owner.api_version.clone(), owner.kind.clone());
        Some((api_version, kind, owner.name.clone()))
    };
    match object {
        Object::Rollout(object) => of_meta(&object.metadata),
        Object::AnalysisRun(object) => of_meta(&object.metadata),
        Object::Experiment(object) => of_meta(&object.metadata),
        Object::ReplicaSet(object) => of_meta(&object.metadata),
        Object::Service(object) => of_meta(&object.metadata),
        Object::Other { key: _, value: _ } => of_meta(&object.metadata()),
        Object::AnalysisTemplate(_)
        | Object::ClusterAnalysisTemplate(_)
        | Object::Pod(_)
        | Object::Secret { name: _, data: _ } => None,
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // Any instant will do.
mod tests {
    use super::*;
    use serde_json::json;

    fn service(uid: &str, version: &str) -> Object {
        Object::from_json(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "s", "uid": uid, "resourceVersion": version}
        }))
        .unwrap()
    }

    #[test]
    fn older_versions_and_deleted_objects_do_not_come_back() {
        let now = Instant::now();
        let mut cache = Cache::default();
        let reference = ObjectRef::new(Kind::Service, "ns", "s");
        assert!(cache.put(&reference, service("a", "10"), now));
        assert!(!cache.put(&reference, service("a", "9"), now));
        assert!(!cache.put(&reference, service("a", "10"), now));
        assert!(cache.put(&reference, service("a", "11"), now));
        assert!(cache.remove(&reference, Some("b"), now).is_none());
        assert!(cache.remove(&reference, Some("a"), now).is_some());
        assert!(!cache.put(&reference, service("a", "12"), now));
        assert!(cache.put(&reference, service("c", "13"), now));
        assert!(cache.get(&reference).is_some());
    }

    #[test]
    fn templates_of_the_cluster_are_seen_in_every_namespace() {
        let now = Instant::now();
        let mut cache = Cache::default();
        let template = Object::from_json(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "ClusterAnalysisTemplate",
            "metadata": {"name": "t", "uid": "u", "resourceVersion": "1"}, "spec": {"metrics": []}
        }))
        .unwrap();
        let reference = ObjectRef::new(Kind::ClusterAnalysisTemplate, "", "t");
        cache.place_mut("before");
        cache.put(&reference, template, now);
        for namespace in ["before", "after"] {
            let observed = &cache.place_mut(namespace).observed;
            assert!(observed.cluster_analysis_templates.contains_key("t"));
        }
        cache.remove(&reference, None, now);
        let observed = &cache.place_mut("before").observed;
        assert!(observed.cluster_analysis_templates.is_empty());
    }
}
