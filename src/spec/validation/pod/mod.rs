//! Pod templates as Kubernetes 1.34 validates them for ReplicaSets, after its defaults
//! (`pkg/apis/core/validation/validation.go`, `ValidatePodTemplateSpecForReplicaSet`).
//!
//! The reference reads the template into Kubernetes' internal types, where `hostNetwork` and its
//! like have other names and are lost, so that nothing depends on them here either. Left out:
//! annotations for seccomp and AppArmor, Windows options, and volume types whose drivers have
//! been removed from Kubernetes.

mod container;
mod node;
mod probe;
mod resources;
mod scheduling;
mod security;
mod spec;
mod volume;
mod volume_mount;

use super::field::{FieldError, Path};
use super::selector::validate_labels;
use super::syntax;
use crate::spec::kubernetes::PodTemplate;
use node::Node;

/// Most bytes that keys and values of annotations have together.
const ANNOTATION_BYTE_LIMIT: usize = 256 * 1024;

/// Errors an API server would find in `spec.template` of a ReplicaSet.
pub fn validate_replica_set_template(template: &PodTemplate) -> Vec<FieldError> {
    validate_pod_template(template, &Path::new("spec.template"))
}

/// Errors of a pod template. Those of labels are at `labels`, not `metadata.labels`.
pub(super) fn validate_pod_template(template: &PodTemplate, path: &Path) -> Vec<FieldError> {
    let mut errors = validate_labels(&template.labels(), &path.child("labels"));
    errors.extend(validate_annotations(template, &path.child("annotations")));
    let empty = serde_json::Map::new();
    let spec = Node::new(template.spec().unwrap_or(&empty), path.child("spec"));
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

fn validate_annotations(template: &PodTemplate, path: &Path) -> Vec<FieldError> {
    let annotations = template.annotations();
    let mut errors = Vec::new();
    for key in annotations.keys() {
        let details = syntax::qualified_name(&key.to_lowercase());
        errors.extend(details.into_iter().map(|detail| path.invalid(key, detail)));
    }
    let size: usize = annotations
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    if size > ANNOTATION_BYTE_LIMIT {
        errors.push(path.too_long(ANNOTATION_BYTE_LIMIT));
    }
    errors
}
