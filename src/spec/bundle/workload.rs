//! The workload that a rollout takes its pod template from.

use serde_json::Value;

use super::{Bundle, Object};
use crate::spec::decode::decode;
use crate::spec::kubernetes::{Deployment, PodTemplate};
use crate::spec::rollout::Rollout;

/// What came of a `workloadRef`.
#[derive(Clone, Debug)]
pub enum Workload<'b> {
    /// There is none.
    None,
    Resolved(&'b Object),
    /// Not among the files; in the reference's words.
    Missing(String),
    /// It cannot be used; in the reference's words.
    Refused(String),
}

impl Bundle {
    /// Fills in the template and, where it has none, the selector of the rollout from its
    /// `workloadRef`, looked up in the rollout's namespace (argo-rollouts
    /// `utils/unstructured`, `rollout/templateref.go`).
    pub fn resolve_workload(&self, rollout: &mut Rollout) -> Workload<'_> {
        let Some(reference) = &rollout.spec.workload_ref else {
            return Workload::None;
        };
        let template = &rollout.spec.template;
        if !template.labels().is_empty() || !template.annotations().is_empty() {
            return Workload::Refused(
                "template must be empty for workload reference rollout".into(),
            );
        }
        let group = reference
            .api_version
            .split_once('/')
            .map_or("", |(group, _)| group);
        let kind = reference.kind.as_str();
        if !matches!(
            (group, kind),
            ("apps", "Deployment" | "ReplicaSet") | ("", "PodTemplate")
        ) {
            return Workload::Refused(format!("workload of type {group}/{kind} is not supported"));
        }
        let Some(object) = self.find(group, kind, &rollout.metadata.namespace, &reference.name)
        else {
            return Workload::Missing(format!("{kind} \"{}\" not found", reference.name));
        };
        if kind == "PodTemplate" {
            let template = object.json().get("template").and_then(Value::as_object);
            rollout.spec.template = PodTemplate::from(template.cloned().unwrap_or_default());
        } else {
            let workload: Deployment = match decode(object.json().clone()) {
                Ok(workload) => workload,
                Err(error) => return Workload::Refused(error.to_string()),
            };
            rollout.spec.template = workload.spec.template;
            if rollout.spec.selector.is_none() {
                rollout.spec.selector = workload.spec.selector;
                rollout.spec.selector_resolved_from_ref = true;
            }
        }
        rollout.spec.template_resolved_from_ref = true;
        Workload::Resolved(object)
    }
}
