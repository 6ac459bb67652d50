//! The working copy of one reconciliation.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::{
    Action, Decision, EXPERIMENT_NAME_ANNOTATION, EXPERIMENT_TEMPLATE_NAME_ANNOTATION, Event,
    Observed, ReplicaSet,
};
use crate::spec::experiment::{Experiment, ExperimentStatus};
use crate::spec::kubernetes::Service;
use crate::spec::meta::{ObjectMeta, OwnerReference};
use crate::spec::string_map::StringMap;
use crate::time::Timestamp;

use super::phases;

/// Everything a reconciliation knows and has decided so far.
pub(super) struct Context<'a> {
    pub(super) experiment: &'a Experiment,
    pub(super) observed: &'a Observed,
    /// In full resolution.
    pub(super) now: Timestamp,
    /// By template; with the changes that this pass has decided.
    pub(super) replica_sets: BTreeMap<String, Arc<ReplicaSet>>,
    /// By template, as observed.
    pub(super) services: BTreeMap<String, Arc<Service>>,
    /// As the stored status asks for it.
    pub(super) is_terminating: bool,
    pub(super) next: ExperimentStatus,
    pub(super) decision: Decision<ExperimentStatus>,
}

impl<'a> Context<'a> {
    /// # Errors
    /// Two ReplicaSets or Services claim to be of the same template.
    pub(super) fn new(
        experiment: &'a Experiment,
        observed: &'a Observed,
        now: Timestamp,
    ) -> Result<Self, String> {
        let replica_sets = observed
            .replica_sets
            .values()
            .map(|set| (&set.metadata, set));
        let services = observed
            .services
            .values()
            .map(|service| (&service.metadata, service));
        Ok(Self {
            experiment,
            observed,
            now,
            replica_sets: by_template(experiment, replica_sets, "ReplicaSets")?,
            services: by_template(experiment, services, "Services")?,
            is_terminating: phases::is_terminating(&experiment.spec, &experiment.status),
            next: experiment.status.clone(),
            decision: Decision::default(),
        })
    }

    pub(super) fn act(&mut self, action: Action) {
        self.decision.actions.push(action);
    }

    pub(super) fn event(&mut self, event: Event) {
        self.decision.events.push(event);
    }

    pub(super) fn reason(&mut self, reason: impl Into<String>) {
        self.decision.reasons.push(reason.into());
    }

    /// Metadata of something that belongs to a template, apart from labels.
    pub(super) fn template_metadata(&self, name: String, template_name: &str) -> ObjectMeta {
        let annotations = [
            (
                EXPERIMENT_NAME_ANNOTATION,
                self.experiment.metadata.name.as_str(),
            ),
            (EXPERIMENT_TEMPLATE_NAME_ANNOTATION, template_name),
        ];
        ObjectMeta {
            name,
            namespace: self.experiment.metadata.namespace.clone(),
            owner_references: vec![self.owner_reference()].into(),
            annotations: StringMap::from(
                annotations.map(|(key, value)| (key.to_owned(), value.to_owned())),
            )
            .into(),
            ..ObjectMeta::default()
        }
    }

    pub(super) fn owner_reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: "argoproj.io/v1alpha1".to_owned(),
            kind: "Experiment".to_owned(),
            name: self.experiment.metadata.name.clone(),
            uid: self.experiment.metadata.uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }
    }
}

/// The template's name in the metadata of an object that this Experiment owns.
pub(super) fn template_of<'m>(
    experiment: &Experiment,
    metadata: &'m ObjectMeta,
) -> Option<&'m str> {
    let owner = metadata.controller()?;
    let annotations = &metadata.annotations;
    let owned = owner.uid == experiment.metadata.uid
        && annotations.get(EXPERIMENT_NAME_ANNOTATION) == Some(&experiment.metadata.name);
    let name = annotations.get(EXPERIMENT_TEMPLATE_NAME_ANNOTATION)?;
    (owned && !name.is_empty()).then_some(name)
}

fn by_template<'o, T: 'o>(
    experiment: &Experiment,
    objects: impl Iterator<Item = (&'o ObjectMeta, &'o Arc<T>)>,
    kinds: &str,
) -> Result<BTreeMap<String, Arc<T>>, String> {
    let mut found = BTreeMap::new();
    for (metadata, object) in objects {
        let Some(name) = template_of(experiment, metadata) else {
            continue;
        };
        if !experiment
            .spec
            .templates
            .iter()
            .any(|template| template.name == name)
        {
            continue;
        }
        if found.insert(name.to_owned(), Arc::clone(object)).is_some() {
            return Err(format!(
                "multiple {kinds} match single experiment template: {name}"
            ));
        }
    }
    Ok(found)
}
