//! What the simulated API server stores.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

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
    pub namespace: String,
    pub name: String,
}

impl ObjectRef {
    pub fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind,
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}

/// Key of a Deployment among the other objects.
pub(super) fn deployment_key(name: &str) -> ObjectKey {
    ObjectKey::new("apps/v1", "Deployment", name)
}

/// Key of a Job among the other objects.
pub(super) fn job_key(name: &str) -> ObjectKey {
    ObjectKey::new("batch/v1", "Job", name)
}
