//! What a rollout's spec refers to: its workload, and objects that must exist and fit.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::engine::{Action, ObjectKey, Observed, RolloutPatch, WORKLOAD_GENERATION_ANNOTATION};
use crate::spec::analysis::{AnalysisTemplate, ClusterAnalysisTemplate};
use crate::spec::kubernetes::{PodTemplate, Service};
use crate::spec::meta::LabelSelector;
use crate::spec::rollout::Rollout;
use crate::spec::rollout_status::RolloutConditionType;
use crate::spec::validation::{self, ReferenceSource};

use super::conditions;
use super::context::Context;

/// The rollout with pod template and selector of its workloadRef, and the error if that fails.
pub(super) fn resolve_workload<'a>(
    rollout: &'a Rollout,
    observed: &Observed,
) -> (Cow<'a, Rollout>, Option<String>) {
    let mut resolved = Cow::Borrowed(rollout);
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
        let error = format!(
            "{resource} \"{}/{}\" not found",
            rollout.metadata.namespace, reference.name
        );
        return (resolved, Some(error));
    };
    let copy = resolved.to_mut();
    if let Some(Value::Object(template)) = workload.pointer(template_path) {
        copy.spec.template = PodTemplate::from(template.clone());
        copy.spec.template_resolved_from_ref = true;
    }
    if copy.spec.selector.is_none()
        && let Some(selector) = selector_path
            .and_then(|path| workload.pointer(path))
            .and_then(|selector| serde_json::from_value::<LabelSelector>(selector.clone()).ok())
    {
        copy.spec.selector = Some(selector);
        copy.spec.selector_resolved_from_ref = true;
    }
    let generation = workload
        .pointer("/metadata/generation")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    copy.metadata.annotations.make_mut().insert(
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
        let annotations = self.rollout.to_mut().metadata.annotations.make_mut();
        match &wanted {
            Some(wanted) => annotations.insert(key.to_owned(), wanted.clone()),
            None => annotations.remove(key),
        };
        self.act(Action::PatchRollout(RolloutPatch {
            annotations: BTreeMap::from([(key.to_owned(), wanted)]),
            replicas: None,
        }));
    }

    /// Whether this very spec was found valid by an earlier pass, whose status says so. A workload's
    /// template may change without the rollout's generation.
    fn is_known_as_valid(&self) -> bool {
        let Rollout { spec, status, .. } = self.rollout.as_ref();
        spec.workload_ref.is_none()
            && !status.phase.is_unset()
            && self.rollout.is_observed()
            && conditions::condition(status, RolloutConditionType::InvalidSpec).is_none()
    }

    /// The first error of the spec or of what it refers to, as the `InvalidSpec` condition has it.
    pub(super) fn validation_error(&self) -> Option<String> {
        let of_spec = || {
            if self.is_known_as_valid() {
                return None;
            }
            validation::validate_rollout(&self.rollout)
                .into_iter()
                .next()
        };
        let (found, mut missing) = validation::resolve_references(&self.rollout, self.observed);
        let error = of_spec().or_else(|| {
            if missing.is_empty() {
                validation::validate_rollout_references(&self.rollout, &found)
                    .into_iter()
                    .next()
            } else {
                Some(missing.remove(0))
            }
        });
        error.map(|error| error.to_string())
    }
}

impl ReferenceSource for Observed {
    fn service(&self, name: &str) -> Option<&Service> {
        self.services.get(name).map(Arc::as_ref)
    }

    fn analysis_template(&self, name: &str) -> Option<&AnalysisTemplate> {
        self.analysis_templates.get(name).map(Arc::as_ref)
    }

    fn cluster_analysis_template(&self, name: &str) -> Option<&ClusterAnalysisTemplate> {
        self.cluster_analysis_templates.get(name).map(Arc::as_ref)
    }
    fn ingress(&self, name: &str) -> Option<&Value> {
        let other = |version: &str| self.other(version, "Ingress", name);
        other("networking.k8s.io/v1").or_else(|| other("extensions/v1beta1"))
    }

    fn virtual_service(&self, namespace: &str, name: &str) -> Option<&Value> {
        // Objects of other namespaces are not observed.
        (namespace.is_empty() || namespace == self.namespace)
            .then(|| self.other("networking.istio.io/v1", "VirtualService", name))
            .flatten()
    }

    fn ambassador_mapping(&self, name: &str) -> Option<&Value> {
        self.other("getambassador.io/v2", "Mapping", name)
    }

    fn app_mesh_virtual_service(&self, name: &str) -> Option<&Value> {
        self.other("appmesh.k8s.aws/v1beta2", "VirtualService", name)
    }

    fn app_mesh_virtual_router(&self, namespace: &str, name: &str) -> Option<&Value> {
        (namespace.is_empty() || namespace == self.namespace)
            .then(|| self.other("appmesh.k8s.aws/v1beta2", "VirtualRouter", name))
            .flatten()
    }
}
