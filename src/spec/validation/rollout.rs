//! `spec` of a rollout (argo-rollouts `pkg/apis/rollouts/validation/validation.go`).

use serde_json::Value;

use super::field::{FieldError, Path};
use super::pod::validate_pod_template;
use super::selector::validate_label_selector;
use super::strategy::validate_strategy;
use crate::spec::rollout::{Rollout, RolloutSpec};

/// Errors of the rollout itself, without what it refers to, in the reference's order.
///
/// With a `workloadRef` call this before resolving it and once more with the template and selector
/// filled in.
pub fn validate_rollout(rollout: &Rollout) -> Vec<FieldError> {
    let spec = &rollout.spec;
    let path = Path::new("spec");
    let mut errors = Vec::new();
    errors.extend(non_negative(
        spec.replicas_or_default(),
        &path.child("replicas"),
    ));
    errors.extend(validate_selector_and_template(spec, &path));
    errors.extend(non_negative(
        spec.min_ready_seconds,
        &path.child("minReadySeconds"),
    ));
    errors.extend(non_negative(
        spec.revision_history_limit_or_default(),
        &path.child("revisionHistoryLimit"),
    ));
    let deadline = spec.progress_deadline_seconds_or_default();
    let deadline_path = path.child("progressDeadlineSeconds");
    errors.extend(non_negative(deadline, &deadline_path));
    if deadline <= spec.min_ready_seconds {
        errors.push(deadline_path.invalid(deadline, "must be greater than minReadySeconds"));
    }
    errors.extend(validate_strategy(rollout, &path.child("strategy")));
    errors
}

/// The error of a rollout whose `workloadRef` cannot be used, for the given reason.
pub fn invalid_workload_ref(rollout: &Rollout, reason: &str) -> FieldError {
    Path::new("spec")
        .child("workloadRef")
        .invalid(&rollout.spec.workload_ref, reason)
}

pub(super) fn non_negative(value: i32, path: &Path) -> Option<FieldError> {
    (value < 0).then(|| path.invalid(value, "must be greater than or equal to 0"))
}

fn validate_selector_and_template(spec: &RolloutSpec, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let selector_path = path.child("selector");
    let template_path = path.child("template");
    if spec.workload_ref.is_none() {
        match &spec.selector {
            None => {
                errors.push(selector_path.required("Rollout has missing field '.spec.selector'"))
            }
            Some(selector) => {
                errors.extend(validate_label_selector(selector, &selector_path));
                if selector.is_empty() {
                    errors.push(
                        selector_path.invalid(selector, "empty selector is invalid for deployment"),
                    );
                }
            }
        }
    }
    let has_metadata =
        !spec.template.labels().is_empty() || !spec.template.annotations().is_empty();
    if !spec.template_resolved_from_ref && spec.workload_ref.is_some() && has_metadata {
        errors
            .push(template_path.internal("template must be empty for workload reference rollout"));
    }
    // A selector that cannot be evaluated keeps the reference from looking at the template.
    if let Some(selector) = &spec.selector
        && !validate_label_selector(selector, &selector_path).is_empty()
    {
        errors.push(selector_path.invalid(selector, "invalid label selector"));
        return errors;
    }
    if !spec.template_resolved_from_ref && spec.workload_ref.is_some() {
        return errors;
    }
    let labels = spec.template.labels();
    let is_match = match &spec.selector {
        // No selector matches nothing, an empty one everything.
        None => false,
        Some(selector) => selector.matches(&labels) == Some(true),
    };
    if !is_match {
        let written = spec
            .template
            .as_object()
            .get("metadata")
            .and_then(|metadata| metadata.get("labels"));
        let value = match written {
            Some(Value::Object(_)) => serde_json::to_value(&labels).unwrap_or(Value::Null),
            _ => Value::Null,
        };
        errors.push(
            template_path
                .child("metadata.labels")
                .invalid(value, "`selector` does not match template `labels`"),
        );
    }
    errors.extend(validate_pod_template(&spec.template, &template_path));
    errors
}
