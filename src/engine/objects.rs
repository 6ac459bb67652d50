//! Objects of the API as the drivers of the engine keep them: read from JSON, named, written back.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{ObjectKey, Observed, Pod, ReplicaSet, ReplicaSetStatus};
use crate::spec::analysis::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate};
use crate::spec::decode::decode;
use crate::spec::experiment::Experiment;
use crate::spec::kubernetes::{PodTemplate, Service};
use crate::spec::meta::{LabelSelector, ObjectMeta};
use crate::spec::rollout::Rollout;
use crate::spec::string_map::StringMap;

/// The kind of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Rollout,
    AnalysisTemplate,
    ClusterAnalysisTemplate,
    AnalysisRun,
    Experiment,
    ReplicaSet,
    Pod,
    Service,
    Secret,
    /// Kept as JSON; versions of one group are the same kind.
    Other {
        group: String,
        kind: String,
    },
}

impl Kind {
    /// The kind that an object's `apiVersion` and `kind` name.
    pub fn of(api_version: &str, kind: &str) -> Self {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        match (group, kind) {
            ("argoproj.io", "Rollout") => Kind::Rollout,
            ("argoproj.io", "AnalysisTemplate") => Kind::AnalysisTemplate,
            ("argoproj.io", "ClusterAnalysisTemplate") => Kind::ClusterAnalysisTemplate,
            ("argoproj.io", "AnalysisRun") => Kind::AnalysisRun,
            ("argoproj.io", "Experiment") => Kind::Experiment,
            ("apps", "ReplicaSet") => Kind::ReplicaSet,
            ("", "Pod") => Kind::Pod,
            ("", "Service") => Kind::Service,
            ("", "Secret") => Kind::Secret,
            _ => Kind::Other {
                group: group.to_owned(),
                kind: kind.to_owned(),
            },
        }
    }

    /// The kind that a user names on a command line: `rollout`, `svc`, `virtualservices`, ...
    ///
    /// # Errors
    /// A word that names no kind known here.
    pub fn parse(word: &str) -> Result<Self, String> {
        let other = |group: &str, kind: &str| Kind::Other {
            group: group.to_owned(),
            kind: kind.to_owned(),
        };
        let lower = word.to_lowercase();
        let resource = lower.split('.').next().unwrap_or_default();
        Ok(match resource {
            "rollout" | "rollouts" | "ro" => Kind::Rollout,
            "analysistemplate" | "analysistemplates" | "at" => Kind::AnalysisTemplate,
            "clusteranalysistemplate" | "clusteranalysistemplates" | "cat" => {
                Kind::ClusterAnalysisTemplate
            }
            "analysisrun" | "analysisruns" | "ar" => Kind::AnalysisRun,
            "experiment" | "experiments" | "exp" => Kind::Experiment,
            "replicaset" | "replicasets" | "rs" => Kind::ReplicaSet,
            "pod" | "pods" | "po" => Kind::Pod,
            "service" | "services" | "svc" => Kind::Service,
            "secret" | "secrets" => Kind::Secret,
            "configmap" | "configmaps" | "cm" => other("", "ConfigMap"),
            "deployment" | "deployments" | "deploy" => other("apps", "Deployment"),
            "job" | "jobs" => other("batch", "Job"),
            "horizontalpodautoscaler" | "horizontalpodautoscalers" | "hpa" => {
                other("autoscaling", "HorizontalPodAutoscaler")
            }
            "ingress" | "ingresses" | "ing" => other("networking.k8s.io", "Ingress"),
            "virtualservice" | "virtualservices" | "vs" => {
                other("networking.istio.io", "VirtualService")
            }
            "destinationrule" | "destinationrules" | "dr" => {
                other("networking.istio.io", "DestinationRule")
            }
            "trafficsplit" | "trafficsplits" => other("split.smi-spec.io", "TrafficSplit"),
            "apisixroute" | "apisixroutes" => other("apisix.apache.org", "ApisixRoute"),
            "httproute" | "httproutes" => other("gateway.networking.k8s.io", "HTTPRoute"),
            _ => return Err(format!("the server doesn't have a resource type {word:?}")),
        })
    }

    /// The word in an object's `kind` field.
    pub fn as_str(&self) -> &str {
        match self {
            Kind::Rollout => "Rollout",
            Kind::AnalysisTemplate => "AnalysisTemplate",
            Kind::ClusterAnalysisTemplate => "ClusterAnalysisTemplate",
            Kind::AnalysisRun => "AnalysisRun",
            Kind::Experiment => "Experiment",
            Kind::ReplicaSet => "ReplicaSet",
            Kind::Pod => "Pod",
            Kind::Service => "Service",
            Kind::Secret => "Secret",
            Kind::Other { group: _, kind } => kind,
        }
    }
}

/// Names an object; the namespace of a cluster-wide object is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    pub kind: Kind,
    pub namespace: Arc<str>,
    pub name: Arc<str>,
}

impl ObjectRef {
    pub fn new(kind: Kind, namespace: impl AsRef<str>, name: impl AsRef<str>) -> Self {
        Self {
            kind,
            namespace: namespace.as_ref().into(),
            name: name.as_ref().into(),
        }
    }

    /// Another object of the same namespace.
    pub fn neighbour(&self, kind: Kind, name: &str) -> Self {
        Self {
            kind,
            namespace: self.namespace.clone(),
            name: name.into(),
        }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}

/// An object of any kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Object {
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

    /// Reads the text of an object whose kind is known.
    ///
    /// # Errors
    /// Text that is no JSON, or no object of this kind.
    pub fn from_text_of(kind: &Kind, text: &str) -> Result<Self, String> {
        fn typed<T: DeserializeOwned>(kind: &Kind, text: &str) -> Result<Arc<T>, String> {
            let read = serde_json::from_str(text);
            read.map_err(|error| format!("{} cannot be read: {error}", kind.as_str()))
        }
        // A null counts as absent wherever it is, which only a tree can show.
        let has_nulls = text.contains(":null") || text.contains(": null");
        Ok(match kind {
            Kind::Rollout if !has_nulls => Object::Rollout(typed(kind, text)?),
            Kind::AnalysisTemplate if !has_nulls => Object::AnalysisTemplate(typed(kind, text)?),
            Kind::ClusterAnalysisTemplate if !has_nulls => {
                Object::ClusterAnalysisTemplate(typed(kind, text)?)
            }
            Kind::AnalysisRun if !has_nulls => Object::AnalysisRun(typed(kind, text)?),
            Kind::Experiment if !has_nulls => Object::Experiment(typed(kind, text)?),
            Kind::Service if !has_nulls => Object::Service(typed(kind, text)?),
            Kind::ReplicaSet if !has_nulls => {
                let read: Arc<ReplicaSetInApi> = typed(kind, text)?;
                let read = Arc::unwrap_or_clone(read);
                Object::ReplicaSet(Arc::new(read.into()))
            }
            _ => {
                let tree = serde_json::from_str(text);
                let tree =
                    tree.map_err(|error| format!("{} is no JSON: {error}", kind.as_str()))?;
                return Self::from_json_of(kind, tree);
            }
        })
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
            Kind::Pod => Object::Pod(Arc::new(decode(flatten_pod(value)).map_err(failed)?)),
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

    /// Metadata; a copy only of what is kept without or as JSON.
    pub fn metadata(&self) -> Cow<'_, ObjectMeta> {
        Cow::Borrowed(match self {
            Object::Rollout(object) => &object.metadata,
            Object::AnalysisTemplate(object) => &object.metadata,
            Object::ClusterAnalysisTemplate(object) => &object.metadata,
            Object::AnalysisRun(object) => &object.metadata,
            Object::Experiment(object) => &object.metadata,
            Object::ReplicaSet(object) => &object.metadata,
            Object::Pod(object) => &object.metadata,
            Object::Service(object) => &object.metadata,
            Object::Secret { name, data: _ } => {
                return Cow::Owned(ObjectMeta {
                    name: name.to_owned(),
                    ..ObjectMeta::default()
                });
            }
            Object::Other { key, value } => {
                let meta = value.get("metadata").cloned().unwrap_or_default();
                return Cow::Owned(decode(meta).unwrap_or_else(|_| ObjectMeta {
                    name: key.name.clone(),
                    ..ObjectMeta::default()
                }));
            }
        })
    }

    /// Metadata for changing; none of what is kept without or as JSON.
    pub fn metadata_mut(&mut self) -> Option<&mut ObjectMeta> {
        Some(match self {
            Object::Rollout(object) => &mut Arc::make_mut(object).metadata,
            Object::AnalysisTemplate(object) => &mut Arc::make_mut(object).metadata,
            Object::ClusterAnalysisTemplate(object) => &mut Arc::make_mut(object).metadata,
            Object::AnalysisRun(object) => &mut Arc::make_mut(object).metadata,
            Object::Experiment(object) => &mut Arc::make_mut(object).metadata,
            Object::ReplicaSet(object) => &mut Arc::make_mut(object).metadata,
            Object::Pod(object) => &mut Arc::make_mut(object).metadata,
            Object::Service(object) => &mut Arc::make_mut(object).metadata,
            Object::Secret { name: _, data: _ } | Object::Other { key: _, value: _ } => {
                return None;
            }
        })
    }

    /// The uid and the resource version; empty for secrets, of which only data are kept.
    pub fn identity(&self) -> (&str, &str) {
        let meta = match self {
            Object::Rollout(object) => &object.metadata,
            Object::AnalysisTemplate(object) => &object.metadata,
            Object::ClusterAnalysisTemplate(object) => &object.metadata,
            Object::AnalysisRun(object) => &object.metadata,
            Object::Experiment(object) => &object.metadata,
            Object::ReplicaSet(object) => &object.metadata,
            Object::Pod(object) => &object.metadata,
            Object::Service(object) => &object.metadata,
            Object::Secret { name: _, data: _ } => return ("", ""),
            Object::Other { key: _, value } => {
                let text = |path| value.pointer(path).and_then(Value::as_str);
                return (
                    text("/metadata/uid").unwrap_or_default(),
                    text("/metadata/resourceVersion").unwrap_or_default(),
                );
            }
        };
        (&meta.uid, &meta.resource_version)
    }

    pub fn set_meta(&mut self, meta: ObjectMeta) {
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
    pub fn spec_differs(&self, old: &Object) -> bool {
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

/// The object of this name among a namespace's Rollouts and what a controller sees there.
pub fn get(
    rollouts: &BTreeMap<String, Arc<Rollout>>,
    observed: &Observed,
    object: &ObjectRef,
) -> Option<Object> {
    let name: &str = &object.name;
    Some(match &object.kind {
        Kind::Rollout => Object::Rollout(rollouts.get(name)?.clone()),
        Kind::AnalysisTemplate => {
            Object::AnalysisTemplate(observed.analysis_templates.get(name)?.clone())
        }
        Kind::ClusterAnalysisTemplate => {
            let templates = &observed.cluster_analysis_templates;
            Object::ClusterAnalysisTemplate(templates.get(name)?.clone())
        }
        Kind::AnalysisRun => Object::AnalysisRun(observed.analysis_runs.get(name)?.clone()),
        Kind::Experiment => Object::Experiment(observed.experiments.get(name)?.clone()),
        Kind::ReplicaSet => Object::ReplicaSet(observed.replica_sets.get(name)?.clone()),
        Kind::Pod => Object::Pod(observed.pods.get(name)?.clone()),
        Kind::Service => Object::Service(observed.services.get(name)?.clone()),
        Kind::Secret => Object::Secret {
            name: name.to_owned(),
            data: observed.secrets.get(name)?.clone(),
        },
        Kind::Other { group, kind } => {
            let key = other_key(group, kind, name);
            let value = observed.others.get(&key)?.clone();
            Object::Other { key, value }
        }
    })
}

/// Whether [`get`] finds an object.
pub fn contains(
    rollouts: &BTreeMap<String, Arc<Rollout>>,
    observed: &Observed,
    object: &ObjectRef,
) -> bool {
    // What is found is shared, so that it costs little more than to look.
    get(rollouts, observed, object).is_some()
}

/// Puts an object of a namespace where [`get`] finds it.
pub fn insert(
    rollouts: &mut BTreeMap<String, Arc<Rollout>>,
    observed: &mut Observed,
    name: &str,
    object: Object,
) {
    match object {
        Object::Rollout(object) => put(rollouts, name, object),
        Object::AnalysisTemplate(object) => put(&mut observed.analysis_templates, name, object),
        Object::ClusterAnalysisTemplate(object) => {
            put(&mut observed.cluster_analysis_templates, name, object)
        }
        Object::AnalysisRun(object) => put(&mut observed.analysis_runs, name, object),
        Object::Experiment(object) => put(&mut observed.experiments, name, object),
        Object::ReplicaSet(object) => put(&mut observed.replica_sets, name, object),
        Object::Pod(object) => put(&mut observed.pods, name, object),
        Object::Service(object) => put(&mut observed.services, name, object),
        Object::Secret { name: _, data } => put(&mut observed.secrets, name, data),
        Object::Other { key, value } => {
            observed.others.insert(key, value);
        }
    }
}

/// Without a new name where there is one.
fn put<T>(objects: &mut BTreeMap<String, T>, name: &str, object: T) {
    match objects.get_mut(name) {
        Some(known) => *known = object,
        None => {
            objects.insert(name.to_owned(), object);
        }
    }
}

/// Takes an object away.
pub fn remove(
    rollouts: &mut BTreeMap<String, Arc<Rollout>>,
    observed: &mut Observed,
    object: &ObjectRef,
) {
    let name: &str = &object.name;
    match &object.kind {
        Kind::Rollout => {
            rollouts.remove(name);
        }
        Kind::AnalysisTemplate => {
            observed.analysis_templates.remove(name);
        }
        Kind::ClusterAnalysisTemplate => {
            observed.cluster_analysis_templates.remove(name);
        }
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
            observed.others.remove(&other_key(group, kind, name));
        }
    }
}

fn other_key(group: &str, kind: &str, name: &str) -> ObjectKey {
    ObjectKey {
        group: group.to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
    }
}

/// The kind of an object that is kept as JSON.
pub fn kind_of(key: &ObjectKey) -> Kind {
    Kind::Other {
        group: key.group.clone(),
        kind: key.kind.clone(),
    }
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

/// A ReplicaSet as the API has it.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct ReplicaSetInApi {
    metadata: ObjectMeta,
    spec: ReplicaSetSpecInApi,
    status: ReplicaSetStatus,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ReplicaSetSpecInApi {
    replicas: Option<i32>,
    min_ready_seconds: i32,
    selector: LabelSelector,
    template: PodTemplate,
}

impl From<ReplicaSetInApi> for ReplicaSet {
    fn from(read: ReplicaSetInApi) -> Self {
        let ReplicaSetInApi {
            metadata,
            spec,
            status,
        } = read;
        let ReplicaSetSpecInApi {
            replicas,
            min_ready_seconds,
            selector,
            template,
        } = spec;
        ReplicaSet {
            metadata,
            replicas: replicas.unwrap_or(1),
            min_ready_seconds,
            selector,
            template,
            status,
        }
    }
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

/// From the API's form to that of [`Pod`].
fn flatten_pod(mut value: Value) -> Value {
    let Value::Object(members) = &mut value else {
        return value;
    };
    let Some(status) = members.remove("status") else {
        return value;
    };
    let list = |path: &str| {
        let items = status.pointer(path).and_then(Value::as_array);
        items.cloned().unwrap_or_default()
    };
    let ready = list("/conditions").into_iter().find(|condition| {
        condition.get("type").and_then(Value::as_str) == Some("Ready")
            && condition.get("status").and_then(Value::as_str) == Some("True")
    });
    let ready_since = ready.and_then(|ready| ready.get("lastTransitionTime").cloned());
    let waiting = list("/containerStatuses")
        .into_iter()
        .find_map(|container| container.pointer("/state/waiting/reason").cloned());
    members.remove("spec");
    members.insert("readySince".into(), ready_since.unwrap_or_default());
    members.extend(waiting.map(|reason| ("waitingReason".to_owned(), reason)));
    value
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
            .collect::<StringMap>()
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
