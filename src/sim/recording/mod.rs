//! Recordings: every decision with what it was made from, to be decided again.
//!
//! A recording is a list of lines of JSON. The first says which format follows; each other one is
//!
//! - what has changed in a namespace since the last line about it ([`Changes`]), or
//! - a decision ([`Decided`]) on an object in that namespace, as it is then.
//!
//! So each version of an object is written once, and a recording can be read from its start only.
//!
//! # Secrets
//! A recording holds none. The values of Secrets, and what metrics authenticate with ([`hide`]), are
//! replaced by asterisks *in what is decided from*, and what is recorded is the decision on that, so
//! that a replay finds the same. It is the decision that was taken but for the metrics to be
//! measured; where it is not, because a decision hangs on the value of a secret, the line says so
//! ([`Decided::hangs_on_secrets`]).

mod hide;
mod replay;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::analysis::MeasurementAnswer;
use crate::engine::{ObjectKey, Pod, ReplicaSet};
use crate::routers::TargetWeights;
use crate::spec::analysis::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate};
use crate::spec::experiment::Experiment;
use crate::spec::kubernetes::Service;
use crate::time::Timestamp;

pub use hide::is_secret_header;
pub use replay::{Difference, LineError, Replay, Replayed};
pub use write::{Encoder, Recording};

/// The format of the lines that follow.
const FORMAT: u32 = 1;

/// A line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Line {
    Recording(Header),
    Changes(Box<Changes>),
    Decided(Box<Decided>),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    /// Version of rollproof.
    by: String,
}

type Changed<K, T> = BTreeMap<K, Option<Arc<T>>>;

/// Objects of [`crate::engine::Observed`] that are new or other than before; none: it is gone.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Changes {
    namespace: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    replica_sets: Changed<String, ReplicaSet>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pods: Changed<String, Pod>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    services: Changed<String, Service>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    analysis_templates: Changed<String, AnalysisTemplate>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    cluster_analysis_templates: Changed<String, ClusterAnalysisTemplate>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    analysis_runs: Changed<String, AnalysisRun>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    experiments: Changed<String, Experiment>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    others: Changed<ObjectKey, Value>,
    /// Of the one namespace, under the name "".
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    target_weights: Changed<String, TargetWeights>,
}

/// A decision.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Decided {
    kind: DecidedKind,
    namespace: String,
    name: String,
    now: Timestamp,
    /// The object that was decided on, where it is not as in the last decision on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    object: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    answers: Vec<MeasurementAnswer>,
    /// Names and keys of Secrets that were read, values hidden.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    secrets: BTreeMap<String, BTreeMap<String, String>>,
    /// The decision taken was another one, because of the value of a secret.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    hangs_on_secrets: bool,
    decision: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum DecidedKind {
    Rollout,
    AnalysisRun,
    Experiment,
}
