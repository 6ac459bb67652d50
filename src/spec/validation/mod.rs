//! What the reference controller refuses, with its paths, types and messages.
//!
//! Pure functions over typed objects. The engine turns their errors into conditions, lint maps
//! their paths to places in files.

mod analysis;
mod canary_step;
mod experiment;
mod field;
pub(crate) mod istio;
mod pod;
mod reference_config;
mod referenced;
mod references;
mod rollout;
mod selector;
mod strategy;
pub(crate) mod syntax;

pub use analysis::{
    AnalysisError, validate_analysis_run, validate_analysis_template, validate_metric,
    validate_metrics,
};
pub use experiment::{validate_experiment, validate_experiment_analyses};
pub use field::{FieldError, FieldErrorKind};
pub use pod::validate_replica_set_template;
pub use referenced::validate_rollout_references;
pub use references::{
    AnalysisRole, ReferenceSource, ReferencedAnalysis, ReferencedResources, ReferencedService,
    ServiceRole, Templates, referenced_analyses, referenced_services, resolve_references,
    resolve_template_references, virtual_service_name,
};
pub use rollout::{invalid_workload_ref, validate_rollout};
