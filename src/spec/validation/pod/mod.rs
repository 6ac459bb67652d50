//! Pod templates as Kubernetes 1.34 validates them for ReplicaSets, after its defaults
//! (`pkg/apis/core/validation/validation.go`, `ValidatePodTemplateSpecForReplicaSet`).
//!
//! The reference reads the template into Kubernetes' internal types, where `hostNetwork` and its
//! like have other names and are lost, so that nothing depends on them here either.

mod annotations;
mod container;
mod network_volume;
mod node;
mod probe;
mod projected;
mod resources;
mod scheduling;
mod security;
mod spec;
mod types;
mod volume;
mod volume_claim;
mod volume_mount;
mod windows;

use super::field::{FieldError, Path};
use super::selector::validate_labels;
use crate::spec::kubernetes::PodTemplate;
use annotations::validate_annotations;
use node::Node;

/// Errors an API server would find in `spec.template` of a ReplicaSet.
pub fn validate_replica_set_template(template: &PodTemplate) -> Vec<FieldError> {
    validate_pod_template(template, &Path::new("spec.template"))
}

/// Errors of a pod template. Those of labels are at `labels`, not `metadata.labels`.
pub(super) fn validate_pod_template(template: &PodTemplate, path: &Path) -> Vec<FieldError> {
    let empty = serde_json::Map::new();
    let spec = Node::new(template.spec().unwrap_or(&empty), path.child("spec"));
    if let Some(volumes) = spec.get("volumes") {
        let errors = types::validate_volume_types(volumes, &spec.path("volumes"));
        if !errors.is_empty() {
            return errors;
        }
    }
    let mut errors = validate_labels(&template.labels(), &path.child("labels"));
    let at_annotations = path.child("annotations");
    errors.extend(validate_annotations(template, &at_annotations, &spec));
    errors.extend(spec::validate_pod_spec(&spec));
    if !spec.items("ephemeralContainers").is_empty() {
        let path = spec.path("ephemeralContainers");
        errors.push(path.forbidden("ephemeral containers not allowed in pod template"));
    }
    let restart_policy = spec.text_or("restartPolicy", "Always");
    if restart_policy != "Always" {
        errors.push(
            spec.path("restartPolicy")
                .not_supported(restart_policy, &["Always"]),
        );
    }
    if spec.int("activeDeadlineSeconds").is_some() {
        let path = spec.path("activeDeadlineSeconds");
        errors.push(path.forbidden("activeDeadlineSeconds in ReplicaSet is not Supported"));
    }
    errors
}

#[cfg(test)]
mod tests;
