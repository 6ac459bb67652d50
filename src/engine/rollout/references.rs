//! What a rollout's spec refers to: its workload, and objects that must exist and fit.

use std::collections::BTreeMap;

use crate::engine::{Action, ObjectKey, Observed, RolloutPatch, WORKLOAD_GENERATION_ANNOTATION};
use crate::spec::kubernetes::PodTemplate;
use crate::spec::meta::LabelSelector;
use crate::spec::rollout::Rollout;

use super::context::Context;

/// The rollout with pod template and selector of its workloadRef, and the error if that fails.
pub(super) fn resolve_workload(
    rollout: &Rollout,
    observed: &Observed,
) -> (Rollout, Option<String>) {
    let mut resolved = rollout.clone();
    let Some(reference) = &rollout.spec.workload_ref else {
        return (resolved, None);
    };
    if !rollout.spec.template.is_empty() {
        let error = "template must be empty for workload reference rollout".to_owned();
        return (resolved, Some(error));
    }
    let key = ObjectKey::new(&reference.api_version, &reference.kind, &reference.name);
    let (template_path, selector_path, resource) =
        match (key.group.as_str(), reference.kind.as_str()) {
            ("", "PodTemplate") => ("/template", None, "podtemplates"),
            ("apps", "Deployment") => {
                ("/spec/template", Some("/spec/selector"), "deployments.apps")
            }
            ("apps", "ReplicaSet") => {
                ("/spec/template", Some("/spec/selector"), "replicasets.apps")
            }
            (group, kind) => {
                return (
                    resolved,
                    Some(format!("workload of type {group}/{kind} is not supported")),
                );
            }
        };
    let Some(workload) = observed.others.get(&key) else {
        let error = format!("{resource} \"{}\" not found", reference.name);
        return (resolved, Some(error));
    };
    if let Some(serde_json::Value::Object(template)) = workload.pointer(template_path) {
        resolved.spec.template = PodTemplate(template.clone());
        resolved.spec.template_resolved_from_ref = true;
    }
    if resolved.spec.selector.is_none()
        && let Some(selector) = selector_path
            .and_then(|path| workload.pointer(path))
            .and_then(|selector| serde_json::from_value::<LabelSelector>(selector.clone()).ok())
    {
        resolved.spec.selector = Some(selector);
        resolved.spec.selector_resolved_from_ref = true;
    }
    let generation = workload
        .pointer("/metadata/generation")
        .and_then(serde_json::Value::as_i64)
        .unwrap_or(0);
    resolved.metadata.annotations.insert(
        WORKLOAD_GENERATION_ANNOTATION.to_owned(),
        generation.to_string(),
    );
    (resolved, None)
}

impl Context<'_> {
    /// Notes the generation of the workload on the rollout where it has changed.
    pub(super) fn sync_workload_generation(&mut self, stored: &Rollout) {
        let key = WORKLOAD_GENERATION_ANNOTATION;
        let wanted = self
            .rollout
            .spec
            .workload_ref
            .as_ref()
            .and_then(|_| self.rollout.metadata.annotations.get(key).cloned());
        if stored.metadata.annotations.get(key) == wanted.as_ref() {
            return;
        }
        match &wanted {
            Some(wanted) => {
                self.rollout
                    .metadata
                    .annotations
                    .insert(key.to_owned(), wanted.clone());
            }
            None => {
                self.rollout.metadata.annotations.remove(key);
            }
        }
        self.act(Action::PatchRollout(RolloutPatch {
            annotations: BTreeMap::from([(key.to_owned(), wanted)]),
            replicas: None,
        }));
    }

    /// The first error of the spec or of what it refers to, as the `InvalidSpec` condition has it.
    pub(super) fn validation_error(&self) -> Option<String> {
        None
    }
}
