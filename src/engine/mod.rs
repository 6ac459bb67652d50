//! What a controller decides, as a function of values.
//!
//! For a Rollout, an AnalysisRun and an Experiment alike:
//!
//! ```text
//! decide(&object, &Observed, now) -> Decision { status, actions, wake_at, events, reasons, failure }
//! ```
//!
//! One call is one reconciliation of the reference controller (argo-rollouts, `rollout/`,
//! `analysis/`, `experiments/`): it looks at [`Observed`], says what to do to the world as
//! [`Action`]s, and gives the object's next `.status`. Nothing here holds a client, reads a
//! clock or sleeps. A driver (the simulator, the live controller) carries out the actions in
//! order, stores the status, and calls again when something that was observed has changed or
//! when `wake_at` has come.

pub mod analysis;
pub mod decision;
pub mod experiment;
pub mod hash;
pub mod objects;
pub mod observed;
pub mod rollout;
pub mod verbs;

pub use crate::routers::Split;
pub use crate::spec::meta::{MANAGED_BY_ANNOTATION, POD_TEMPLATE_HASH_LABEL};
pub use crate::spec::object_key::ObjectKey;
pub use decision::{Action, Decision, Event, EventKind, RolloutPatch};
pub use observed::{Observed, Pod, ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};

/// Annotation with the revision number, on Rollouts, ReplicaSets, runs and experiments.
pub const REVISION_ANNOTATION: &str = "rollout.argoproj.io/revision";
/// Annotation with the earlier revision numbers of a ReplicaSet, comma-separated, oldest first.
pub const REVISION_HISTORY_ANNOTATION: &str = "rollout.argoproj.io/revision-history";
/// Annotation with the `spec.replicas` that a ReplicaSet was last scaled for.
pub const DESIRED_REPLICAS_ANNOTATION: &str = "rollout.argoproj.io/desired-replicas";
/// Annotation with the generation of the referenced workload.
pub const WORKLOAD_GENERATION_ANNOTATION: &str = "rollout.argoproj.io/workload-generation";
/// Annotation with the RFC 3339 time after which a ReplicaSet is scaled to zero.
pub const SCALE_DOWN_DEADLINE_ANNOTATION: &str = "scale-down-deadline";
/// Annotation with the JSON of the pod metadata that was injected into a ReplicaSet.
pub const EPHEMERAL_METADATA_ANNOTATION: &str = "rollout.argoproj.io/ephemeral-metadata";
/// Label on an AnalysisRun: which part of a rollout started it.
pub const ROLLOUT_TYPE_LABEL: &str = "rollout-type";
/// Label on an AnalysisRun: the canary step that started it.
pub const STEP_INDEX_LABEL: &str = "step-index";
/// Label of the controller instance an object belongs to.
pub const INSTANCE_ID_LABEL: &str = "argo-rollouts.argoproj.io/controller-instance-id";
/// Annotation on a ReplicaSet, Service or AnalysisRun of an Experiment: the experiment's name.
pub const EXPERIMENT_NAME_ANNOTATION: &str = "experiment.argoproj.io/name";
/// Annotation on a ReplicaSet of an Experiment: the template's name.
pub const EXPERIMENT_TEMPLATE_NAME_ANNOTATION: &str = "experiment.argoproj.io/template-name";
