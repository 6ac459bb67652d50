//! The simulated API server: objects, their stamps, and who owns whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::engine::{ObjectKey, Observed, Pod, ReplicaSet};
use crate::spec::analysis::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate};
use crate::spec::decode::decode;
use crate::spec::experiment::Experiment;
use crate::spec::kubernetes::Service;
use crate::spec::meta::{ObjectMeta, OwnerReference};
use crate::spec::rollout::Rollout;
use crate::time::Timestamp;

use super::observer::{Change, ChangeKind};
use super::world::{Kind, Namespace, ObjectRef, World};

/// An object of any kind.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Object {
    Rollout(Arc<Rollout>),
    AnalysisTemplate(Arc<AnalysisTemplate>),
    ClusterAnalysisTemplate(Arc<ClusterAnalysisTemplate>),
    AnalysisRun(Arc<AnalysisRun>),
    Experiment(Arc<Experiment>),
    ReplicaSet(Arc<ReplicaSet>),
    Pod(Arc<Pod>),
    Service(Arc<Service>),
    /// Decoded data, by name.
    Secret {
        name: String,
        data: BTreeMap<String, String>,
    },
    Other {
        key: ObjectKey,
        value: Arc<Value>,
    },
}

/// What a write did.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Written {
    pub change: Change,
    pub owners: Vec<OwnerReference>,
    pub uid: String,
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
            let found = self.cluster_templates.get(&object.name)?;
            return Some(Object::ClusterAnalysisTemplate(found.clone()));
        }
        let namespace = self.world.namespaces.get(&object.namespace)?;
        let (observed, name) = (&namespace.observed, &object.name);
        Some(match &object.kind {
            Kind::Rollout => Object::Rollout(namespace.rollouts.get(name)?.clone()),
            Kind::AnalysisTemplate => {
                Object::AnalysisTemplate(observed.analysis_templates.get(name)?.clone())
            }
            Kind::ClusterAnalysisTemplate => return None,
            Kind::AnalysisRun => Object::AnalysisRun(observed.analysis_runs.get(name)?.clone()),
            Kind::Experiment => Object::Experiment(observed.experiments.get(name)?.clone()),
            Kind::ReplicaSet => Object::ReplicaSet(observed.replica_sets.get(name)?.clone()),
            Kind::Pod => Object::Pod(observed.pods.get(name)?.clone()),
            Kind::Service => Object::Service(observed.services.get(name)?.clone()),
            Kind::Secret => Object::Secret {
                name: name.clone(),
                data: observed.secrets.get(name)?.clone(),
            },
            Kind::Other { group, kind } => {
                let key = ObjectKey {
                    group: group.clone(),
                    kind: kind.clone(),
                    name: name.clone(),
                };
                let value = observed.others.get(&key)?.clone();
                Object::Other { key, value }
            }
        })
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
        let mut meta = object.meta();
        if meta.name.is_empty() && !meta.generate_name.is_empty() {
            let number = self.last_uid.wrapping_add(1);
            meta.name = format!(
                "{}{}",
                meta.generate_name,
                short_code(mix(self.seed, number))
            );
        }
        if meta.name.is_empty() {
            return Err("metadata.name: Required value: name or generateName is required".into());
        }
        let reference = object.reference(namespace, &meta.name);
        if self.get(&reference).is_some() {
            return Err(format!(
                "{} {:?} already exists",
                reference.kind.as_str(),
                meta.name
            ));
        }
        meta.namespace = reference.namespace.clone();
        meta.uid = self.new_uid();
        meta.resource_version = self.new_resource_version();
        meta.generation = 1;
        meta.creation_timestamp = Some(now.truncate_to_seconds());
        meta.deletion_timestamp = None;
        let (owners, uid) = (meta.owner_references.clone(), meta.uid.clone());
        object.set_meta(meta);
        self.insert(&reference, object);
        Ok(Written {
            change: Change {
                object: reference,
                kind: ChangeKind::Created,
            },
            owners,
            uid,
        })
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
        let old_meta = old.meta();
        let mut meta = object.meta();
        meta.name.clone_from(&old_meta.name);
        meta.namespace.clone_from(&old_meta.namespace);
        meta.uid.clone_from(&old_meta.uid);
        meta.resource_version.clone_from(&old_meta.resource_version);
        meta.generation = old_meta.generation;
        meta.creation_timestamp = old_meta.creation_timestamp;
        meta.deletion_timestamp = old_meta.deletion_timestamp;
        object.set_meta(meta.clone());
        if object == old {
            return Ok(None);
        }
        if object.spec_differs(&old) {
            meta.generation = meta.generation.saturating_add(1);
        }
        meta.resource_version = self.new_resource_version();
        let (owners, uid) = (meta.owner_references.clone(), meta.uid.clone());
        object.set_meta(meta);
        self.insert(reference, object);
        Ok(Some(Written {
            change: Change {
                object: reference.clone(),
                kind: ChangeKind::Updated,
            },
            owners,
            uid,
        }))
    }

    /// Removes an object; none where there is none. What it owned stays, see [`Self::owned_by`].
    pub fn delete(&mut self, reference: &ObjectRef) -> Option<Written> {
        let meta = self.get(reference)?.meta();
        let name = &reference.name;
        if reference.kind == Kind::ClusterAnalysisTemplate {
            self.cluster_templates.remove(name);
            for namespace in self.world.namespaces.values_mut() {
                namespace.observed.cluster_analysis_templates.remove(name);
            }
        } else {
            let namespace = self.world.namespaces.get_mut(&reference.namespace)?;
            let observed = &mut namespace.observed;
            match &reference.kind {
                Kind::Rollout => {
                    namespace.rollouts.remove(name);
                    namespace.traffic.remove(name);
                }
                Kind::AnalysisTemplate => {
                    observed.analysis_templates.remove(name);
                }
                Kind::ClusterAnalysisTemplate => {}
                Kind::AnalysisRun => {
                    observed.analysis_runs.remove(name);
                }
                Kind::Experiment => {
                    observed.experiments.remove(name);
                }
                Kind::ReplicaSet => {
                    observed.replica_sets.remove(name);
                }
                Kind::Pod => {
                    observed.pods.remove(name);
                }
                Kind::Service => {
                    observed.services.remove(name);
                }
                Kind::Secret => {
                    observed.secrets.remove(name);
                }
                Kind::Other { group, kind } => {
                    observed.others.remove(&ObjectKey {
                        group: group.clone(),
                        kind: kind.clone(),
                        name: name.clone(),
                    });
                }
            }
        }
        self.last_resource_version = self.last_resource_version.saturating_add(1);
        Some(Written {
            change: Change {
                object: reference.clone(),
                kind: ChangeKind::Deleted,
            },
            owners: meta.owner_references,
            uid: meta.uid,
        })
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
        let name = reference.name.clone();
        if let Object::ClusterAnalysisTemplate(template) = object {
            for namespace in self.world.namespaces.values_mut() {
                namespace
                    .observed
                    .cluster_analysis_templates
                    .insert(name.clone(), template.clone());
            }
            self.cluster_templates.insert(name, template);
            return;
        }
        let namespace = self.namespace_mut(&reference.namespace);
        let observed = &mut namespace.observed;
        match object {
            Object::Rollout(object) => {
                namespace.rollouts.insert(name, object);
            }
            Object::AnalysisTemplate(object) => {
                observed.analysis_templates.insert(name, object);
            }
            Object::ClusterAnalysisTemplate(_) => {}
            Object::AnalysisRun(object) => {
                observed.analysis_runs.insert(name, object);
            }
            Object::Experiment(object) => {
                observed.experiments.insert(name, object);
            }
            Object::ReplicaSet(object) => {
                observed.replica_sets.insert(name, object);
            }
            Object::Pod(object) => {
                observed.pods.insert(name, object);
            }
            Object::Service(object) => {
                observed.services.insert(name, object);
            }
            Object::Secret { name: _, data } => {
                observed.secrets.insert(name, data);
            }
            Object::Other { key, value } => {
                observed.others.insert(key, value);
            }
        }
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

impl Object {
    /// Reads an object of the API.
    ///
    /// # Errors
    /// A tree that is no object of its kind.
    pub fn from_json(value: Value) -> Result<Self, String> {
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind) = (text("apiVersion").to_owned(), text("kind").to_owned());
        if api_version.is_empty() || kind.is_empty() {
            return Err("apiVersion and kind must be set".into());
        }
        Self::from_json_of(&Kind::of(&api_version, &kind), value)
    }

    /// Reads an object whose kind is known.
    ///
    /// # Errors
    /// A tree that is no object of this kind.
    pub fn from_json_of(kind: &Kind, value: Value) -> Result<Self, String> {
        let failed = |error: crate::spec::decode::DecodeError| {
            format!("{} cannot be read: {error}", kind.as_str())
        };
        Ok(match kind {
            Kind::Rollout => Object::Rollout(Arc::new(decode(value).map_err(failed)?)),
            Kind::AnalysisTemplate => {
                Object::AnalysisTemplate(Arc::new(decode(value).map_err(failed)?))
            }
            Kind::ClusterAnalysisTemplate => {
                Object::ClusterAnalysisTemplate(Arc::new(decode(value).map_err(failed)?))
            }
            Kind::AnalysisRun => Object::AnalysisRun(Arc::new(decode(value).map_err(failed)?)),
            Kind::Experiment => Object::Experiment(Arc::new(decode(value).map_err(failed)?)),
            Kind::ReplicaSet => Object::ReplicaSet(Arc::new(
                decode(flatten_replica_set(value)).map_err(failed)?,
            )),
            Kind::Pod => Object::Pod(Arc::new(decode(value).map_err(failed)?)),
            Kind::Service => Object::Service(Arc::new(decode(value).map_err(failed)?)),
            Kind::Secret => secret(&value)?,
            Kind::Other { group, kind } => {
                let value = with_defaults(group, kind, value);
                let name = value.pointer("/metadata/name").and_then(Value::as_str);
                Object::Other {
                    key: ObjectKey {
                        group: group.clone(),
                        kind: kind.clone(),
                        name: name.unwrap_or_default().to_owned(),
                    },
                    value: Arc::new(value),
                }
            }
        })
    }

    /// The object as the API writes it.
    pub fn to_json(&self) -> Value {
        let written = match self {
            Object::Rollout(object) => serde_json::to_value(object),
            Object::AnalysisTemplate(object) => serde_json::to_value(object),
            Object::ClusterAnalysisTemplate(object) => serde_json::to_value(object),
            Object::AnalysisRun(object) => serde_json::to_value(object),
            Object::Experiment(object) => serde_json::to_value(object),
            Object::ReplicaSet(object) => {
                return json!({
                    "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": object.metadata,
                    "spec": {
                        "replicas": object.replicas, "minReadySeconds": object.min_ready_seconds,
                        "selector": object.selector, "template": object.template,
                    },
                    "status": object.status,
                });
            }
            Object::Pod(object) => serde_json::to_value(object),
            Object::Service(object) => serde_json::to_value(object),
            Object::Secret { name, data } => {
                return json!({
                    "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data,
                });
            }
            Object::Other { key: _, value } => return value.as_ref().clone(),
        };
        // Our own types always serialize.
        written.unwrap_or(Value::Null)
    }

    pub fn meta(&self) -> ObjectMeta {
        match self {
            Object::Rollout(object) => object.metadata.clone(),
            Object::AnalysisTemplate(object) => object.metadata.clone(),
            Object::ClusterAnalysisTemplate(object) => object.metadata.clone(),
            Object::AnalysisRun(object) => object.metadata.clone(),
            Object::Experiment(object) => object.metadata.clone(),
            Object::ReplicaSet(object) => object.metadata.clone(),
            Object::Pod(object) => object.metadata.clone(),
            Object::Service(object) => object.metadata.clone(),
            Object::Secret { name, data: _ } => ObjectMeta {
                name: name.clone(),
                ..ObjectMeta::default()
            },
            Object::Other { key, value } => {
                let meta = value.get("metadata").cloned().unwrap_or_default();
                decode(meta).unwrap_or_else(|_| ObjectMeta {
                    name: key.name.clone(),
                    ..ObjectMeta::default()
                })
            }
        }
    }

    fn set_meta(&mut self, meta: ObjectMeta) {
        match self {
            Object::Rollout(object) => Arc::make_mut(object).metadata = meta,
            Object::AnalysisTemplate(object) => Arc::make_mut(object).metadata = meta,
            Object::ClusterAnalysisTemplate(object) => Arc::make_mut(object).metadata = meta,
            Object::AnalysisRun(object) => Arc::make_mut(object).metadata = meta,
            Object::Experiment(object) => Arc::make_mut(object).metadata = meta,
            Object::ReplicaSet(object) => Arc::make_mut(object).metadata = meta,
            Object::Pod(object) => Arc::make_mut(object).metadata = meta,
            Object::Service(object) => Arc::make_mut(object).metadata = meta,
            Object::Secret { name, data: _ } => *name = meta.name,
            Object::Other { key, value } => {
                key.name.clone_from(&meta.name);
                let meta = serde_json::to_value(meta).unwrap_or(Value::Null);
                if let Value::Object(members) = Arc::make_mut(value) {
                    members.insert("metadata".into(), meta);
                }
            }
        }
    }

    pub fn reference(&self, namespace: &str, name: &str) -> ObjectRef {
        let kind = match self {
            Object::Rollout(_) => Kind::Rollout,
            Object::AnalysisTemplate(_) => Kind::AnalysisTemplate,
            Object::ClusterAnalysisTemplate(_) => {
                return ObjectRef::new(Kind::ClusterAnalysisTemplate, "", name);
            }
            Object::AnalysisRun(_) => Kind::AnalysisRun,
            Object::Experiment(_) => Kind::Experiment,
            Object::ReplicaSet(_) => Kind::ReplicaSet,
            Object::Pod(_) => Kind::Pod,
            Object::Service(_) => Kind::Service,
            Object::Secret { name: _, data: _ } => Kind::Secret,
            Object::Other { key, value: _ } => kind_of(key),
        };
        ObjectRef::new(kind, namespace, name)
    }

    /// Whether the generation counts up from `old` to this.
    fn spec_differs(&self, old: &Object) -> bool {
        match (self, old) {
            (Object::Rollout(new), Object::Rollout(old)) => new.spec != old.spec,
            (Object::AnalysisTemplate(new), Object::AnalysisTemplate(old)) => new.spec != old.spec,
            (Object::ClusterAnalysisTemplate(new), Object::ClusterAnalysisTemplate(old)) => {
                new.spec != old.spec
            }
            (Object::AnalysisRun(new), Object::AnalysisRun(old)) => new.spec != old.spec,
            (Object::Experiment(new), Object::Experiment(old)) => new.spec != old.spec,
            (Object::ReplicaSet(new), Object::ReplicaSet(old)) => {
                (new.replicas, new.min_ready_seconds) != (old.replicas, old.min_ready_seconds)
                    || new.selector != old.selector
                    || new.template != old.template
            }
            (Object::Other { key: _, value: new }, Object::Other { key: _, value: old }) => {
                content(new) != content(old)
            }
            // These have no generation.
            (Object::Pod(_) | Object::Service(_) | Object::Secret { name: _, data: _ }, _) => false,
            // Kinds do not change.
            _ => true,
        }
    }
}

/// The error of the API server for a missing object.
pub(super) fn not_found(reference: &ObjectRef) -> String {
    format!("{} {:?} not found", reference.kind.as_str(), reference.name)
}

/// The kind of an object that is kept as JSON.
pub(super) fn kind_of(key: &ObjectKey) -> Kind {
    Kind::Other {
        group: key.group.clone(),
        kind: key.kind.clone(),
    }
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
pub(super) fn mix(seed: u64, count: u64) -> u64 {
    let mut z = seed.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// All members but metadata and status.
fn content(value: &Value) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = value
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| !matches!(key.as_str(), "metadata" | "status"))
        .collect();
    members.sort_by_key(|(key, _)| *key);
    members
}

/// From the API's form, with a `spec`, to that of [`ReplicaSet`].
fn flatten_replica_set(mut value: Value) -> Value {
    let mut flat = Map::new();
    if let Value::Object(members) = &mut value {
        if let Some(Value::Object(spec)) = members.remove("spec") {
            flat = spec;
        }
        flat.entry("replicas").or_insert(json!(1));
        for key in ["metadata", "status"] {
            if let Some(member) = members.remove(key) {
                flat.insert(key.into(), member);
            }
        }
    }
    Value::Object(flat)
}

/// The API server's defaults that matter to a rollout controller.
fn with_defaults(group: &str, kind: &str, mut value: Value) -> Value {
    if (group, kind) == ("apps", "Deployment")
        && let Some(Value::Object(spec)) = value.get_mut("spec")
        && spec.get("replicas").is_none_or(Value::is_null)
    {
        spec.insert("replicas".into(), json!(1));
    }
    value
}

/// `stringData` goes over `data`, which is base64.
fn secret(value: &Value) -> Result<Object, String> {
    let strings = |key: &str| {
        value
            .get(key)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned())))
            .collect::<BTreeMap<String, String>>()
    };
    let mut data = BTreeMap::new();
    for (key, text) in strings("data") {
        let decoded = decode_base64(&text)
            .ok_or_else(|| format!("Secret cannot be read: data.{key} is not base64"))?;
        data.insert(key, decoded);
    }
    data.extend(strings("stringData"));
    let name = value.pointer("/metadata/name").and_then(Value::as_str);
    Ok(Object::Secret {
        name: name.unwrap_or_default().to_owned(),
        data,
    })
}

/// Bytes that are no UTF-8 are replaced: arguments of analyses are texts.
fn decode_base64(text: &str) -> Option<String> {
    use base64::Engine as _;
    let compact: String = text.split_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(compact)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let first = store.get(&reference).unwrap().meta();
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
        let second = store.get(&reference).unwrap().meta();
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
            store.get(&reference).unwrap().meta().generation
        };
        assert_eq!(generation_after(rollout(1, "y", 0)), 1);
        assert_eq!(generation_after(rollout(1, "y", 3)), 1);
        assert_eq!(generation_after(rollout(2, "y", 3)), 2);
    }

    #[test]
    fn secrets_are_decoded() {
        let object = Object::from_json(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
            "data": {"a": "aGVsbG8=", "b": "eA=="}, "stringData": {"b": "y"}
        }))
        .unwrap();
        let Object::Secret { name, data } = object else {
            panic!("not a secret");
        };
        assert_eq!(name, "s");
        assert_eq!(data.get("a").map(String::as_str), Some("hello"));
        assert_eq!(data.get("b").map(String::as_str), Some("y"));
    }
}
