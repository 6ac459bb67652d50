//! What a controller can see: one namespace, as values.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::routers::TargetWeights;
use crate::spec::analysis::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate};
use crate::spec::experiment::Experiment;
use crate::spec::kubernetes::{PodTemplate, Service};
use crate::spec::meta::{ConditionStatus, LabelSelector, ObjectMeta};
use crate::time::Timestamp;

use super::{DESIRED_REPLICAS_ANNOTATION, ObjectKey, POD_TEMPLATE_HASH_LABEL, REVISION_ANNOTATION};

/// The objects of one namespace (and the cluster-wide templates), by name.
///
/// Shared pointers make a snapshot cheap: a driver may hand out its own store, or keep
/// a copy of it beside each decision.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    pub namespace: String,
    pub replica_sets: BTreeMap<String, Arc<ReplicaSet>>,
    pub pods: BTreeMap<String, Arc<Pod>>,
    pub services: BTreeMap<String, Arc<Service>>,
    pub analysis_templates: BTreeMap<String, Arc<AnalysisTemplate>>,
    pub cluster_analysis_templates: BTreeMap<String, Arc<ClusterAnalysisTemplate>>,
    pub analysis_runs: BTreeMap<String, Arc<AnalysisRun>>,
    pub experiments: BTreeMap<String, Arc<Experiment>>,
    /// Decoded data of secrets.
    pub secrets: BTreeMap<String, BTreeMap<String, String>>,
    /// All else, as JSON: workloads, ingresses, the objects of traffic routers.
    pub others: BTreeMap<ObjectKey, Arc<serde_json::Value>>,
    /// What AWS load balancers do; none where weights are not to be verified, which is the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_weights: Option<Arc<TargetWeights>>,
}

impl Observed {
    /// An object of [`Observed::others`].
    pub fn other(&self, api_version: &str, kind: &str, name: &str) -> Option<&serde_json::Value> {
        self.others
            .get(&ObjectKey::new(api_version, kind, name))
            .map(Arc::as_ref)
    }
}

/// An apps/v1 ReplicaSet, as far as a rollout controller reads and writes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaSet {
    pub metadata: ObjectMeta,
    /// `spec.replicas`
    pub replicas: i32,
    /// `spec.minReadySeconds`
    pub min_ready_seconds: i32,
    /// `spec.selector`
    pub selector: LabelSelector,
    /// `spec.template`
    pub template: PodTemplate,
    pub status: ReplicaSetStatus,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaSetStatus {
    /// Pods that exist and are not being deleted.
    pub replicas: i32,
    pub ready_replicas: i32,
    pub available_replicas: i32,
    pub observed_generation: i64,
    pub conditions: Vec<ReplicaSetCondition>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaSetCondition {
    #[serde(rename = "type")]
    pub type_: String,
    pub status: ConditionStatus,
    pub last_transition_time: Option<Timestamp>,
    pub reason: String,
    pub message: String,
}

impl ReplicaSet {
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// The pod template hash of its label, "" where there is none.
    pub fn hash(&self) -> &str {
        self.metadata
            .labels
            .get(POD_TEMPLATE_HASH_LABEL)
            .map_or("", String::as_str)
    }

    /// Its revision number; 0 where the annotation is absent or not a number.
    pub fn revision(&self) -> i64 {
        self.annotation(REVISION_ANNOTATION)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    }

    /// The `spec.replicas` of the rollout that it was last scaled for.
    pub fn desired_replicas(&self) -> Option<i32> {
        self.annotation(DESIRED_REPLICAS_ANNOTATION)?.parse().ok()
    }

    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.annotations.get(key).map(String::as_str)
    }
}

/// A pod, as far as a rollout controller reads and writes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pod {
    pub metadata: ObjectMeta,
    /// Since when it has been ready without a break; none while it is not.
    pub ready_since: Option<Timestamp>,
    /// Why it is not ready, as a waiting reason (`ImagePullBackOff`, ...), "" if unknown.
    pub waiting_reason: String,
}
