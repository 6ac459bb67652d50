//! ReplicaSets of an Experiment's templates, and the templates' statuses (argo-rollouts
//! `experiments/experiment.go`, `experiments/replicaset.go`).

use std::sync::Arc;

use crate::engine::hash::pod_template_hash;
use crate::engine::rollout::messages;
use crate::engine::{
    Action, Event, POD_TEMPLATE_HASH_LABEL, ReplicaSet, SCALE_DOWN_DEADLINE_ANNOTATION,
};
use crate::spec::experiment::{TemplateSpec, TemplateStatus, TemplateStatusCode};
use crate::spec::validation::validate_replica_set_template;
use crate::time::{Duration, Timestamp};

use super::context::Context;
use super::phases;

impl Context<'_> {
    /// Brings the template's ReplicaSet and Service where they shall be, and its status up to date.
    pub(super) fn reconcile_template(&mut self, template: &TemplateSpec) {
        let stored = phases::template_status(&self.experiment.status, &template.name);
        let previous = stored.cloned().unwrap_or_else(|| TemplateStatus {
            name: template.name.clone(),
            ..TemplateStatus::default()
        });
        let mut status = previous.clone();
        let desired = phases::desired_replicas(self.experiment, &self.experiment.status, template);
        let mut changed = match self.replica_sets.get(&template.name).cloned() {
            None => self.create_replica_set(template, &mut status),
            Some(set) => {
                self.reconcile_service(template, &set, desired, &mut status);
                self.reconcile_scale(template, desired)
            }
        };

        let set = self.replica_sets.get(&template.name);
        let counts = set.map(|set| &set.status).cloned().unwrap_or_default();
        status.replicas = counts.replicas;
        status.updated_replicas = counts.replicas;
        status.ready_replicas = counts.ready_replicas;
        status.available_replicas = counts.available_replicas;
        changed |= previous.replicas != status.replicas
            || previous.updated_replicas != status.updated_replicas
            || previous.ready_replicas != status.ready_replicas
            || previous.available_replicas != status.available_replicas;
        let progressed_at = match previous.last_transition_time {
            Some(earlier) if !changed => earlier,
            Some(_) | None => self.now,
        };
        if changed {
            status.last_transition_time = Some(self.now.truncate_to_seconds());
        }

        if !status.status.is_completed() {
            self.assess_template(template, desired, progressed_at, &mut status);
        }
        if previous.status != status.status {
            self.announce_template(&previous, &status);
        }
        phases::set_template_status(&mut self.next, status);
    }

    fn assess_template(
        &mut self,
        template: &TemplateSpec,
        desired: i32,
        progressed_at: Timestamp,
        status: &mut TemplateStatus,
    ) {
        let (spec, stored) = (&self.experiment.spec, &self.experiment.status);
        let available = status.available_replicas;
        status.status = if desired == available {
            if self.is_terminating || phases::has_passed_duration(spec, stored, self.now) {
                TemplateStatusCode::Successful
            } else {
                TemplateStatusCode::Running
            }
        } else {
            let seconds = self.experiment.progress_deadline_seconds_or_default();
            let deadline = progressed_at + Duration::from_secs(i64::from(seconds));
            if self.now > deadline {
                status.message = format!(
                    "Template '{}' exceeded its progressDeadlineSeconds ({seconds})",
                    template.name
                );
                TemplateStatusCode::Failed
            } else if self.is_terminating {
                TemplateStatusCode::Successful
            } else {
                self.reason(format!(
                    "template '{}' has {available} of {desired} pods available",
                    template.name
                ));
                TemplateStatusCode::Progressing
            }
        };
    }

    fn announce_template(&mut self, previous: &TemplateStatus, status: &TemplateStatus) {
        let mut message = format!(
            "Template '{}' transitioned from {} -> {}",
            status.name, previous.status, status.status
        );
        if !status.message.is_empty() {
            message = format!("{message}: {}", status.message);
        }
        let reason = format!("Template{}", status.status);
        self.event(match status.status {
            TemplateStatusCode::Failed | TemplateStatusCode::Error => {
                Event::warning(reason, message)
            }
            TemplateStatusCode::Unset
            | TemplateStatusCode::Progressing
            | TemplateStatusCode::Running
            | TemplateStatusCode::Successful => Event::normal(reason, message),
        });
    }

    /// Creates the ReplicaSet without pods; they come with the next pass. Returns whether it did.
    ///
    /// What an API server would refuse becomes an error of the template. The reference controller
    /// instead retries forever where the name is taken by somebody else.
    fn create_replica_set(&mut self, template: &TemplateSpec, status: &mut TemplateStatus) -> bool {
        let set = self.new_replica_set(template, status.collision_count);
        let name = set.name();
        let refused = if self.observed.replica_sets.contains_key(name) {
            Some(format!("replicasets.apps {name:?} already exists"))
        } else {
            invalid_parts(&set)
                .map(|errors| format!("ReplicaSet.apps {name:?} is invalid: {errors}"))
        };
        if let Some(error) = refused {
            self.event(Event::normal(
                messages::FAILED_REPLICA_SET_CREATE_REASON,
                messages::failed_replica_set_create(name, &error),
            ));
            status.status = TemplateStatusCode::Error;
            status.message = format!(
                "Failed to create ReplicaSet for template '{}': {error}",
                template.name
            );
            return false;
        }
        self.act(Action::CreateReplicaSet(Box::new(set.clone())));
        self.replica_sets
            .insert(template.name.clone(), Arc::new(set));
        true
    }

    fn new_replica_set(&self, template: &TemplateSpec, collision_count: Option<i32>) -> ReplicaSet {
        let mut pod_template = template.template.clone();
        if pod_template.labels().contains_key(POD_TEMPLATE_HASH_LABEL) {
            pod_template
                .labels_mut()
                .shift_remove(POD_TEMPLATE_HASH_LABEL);
        }
        let hash = pod_template_hash(&pod_template, collision_count);
        let key = POD_TEMPLATE_HASH_LABEL.to_owned();
        pod_template
            .labels_mut()
            .insert(key.clone(), hash.clone().into());
        let mut selector = template.selector.clone().unwrap_or_default();
        selector.match_labels.make_mut().insert(key, hash);
        let name = format!("{}-{}", self.experiment.metadata.name, template.name);
        let mut metadata = self.template_metadata(name, &template.name);
        metadata.labels = pod_template.labels().into();
        ReplicaSet {
            metadata,
            replicas: 0,
            min_ready_seconds: template.min_ready_seconds,
            selector,
            template: pod_template,
            ..ReplicaSet::default()
        }
    }

    /// Returns whether the ReplicaSet has not, or had not, the desired size.
    fn reconcile_scale(&mut self, template: &TemplateSpec, desired: i32) -> bool {
        if desired == 0 {
            self.sync_scale_down_deadline(template);
        }
        let Some(set) = self.replica_sets.get(&template.name).cloned() else {
            return false;
        };
        if set.replicas == desired {
            return false;
        }
        let deadline = scale_down_deadline(&set).filter(|deadline| *deadline > self.now);
        let size = match deadline {
            Some(deadline) if desired == 0 => {
                self.decision.wake(deadline);
                self.reason(format!(
                    "pods of template '{}' stay until {deadline}",
                    template.name
                ));
                phases::replicas_or_default(template)
            }
            Some(_) | None => desired,
        };
        if set.replicas != size {
            let direction = if set.replicas < size { "up" } else { "down" };
            self.event(Event::normal(
                messages::SCALING_REPLICA_SET_REASON,
                format!(
                    "Scaled {direction} ReplicaSet {} from {} to {size}",
                    set.name(),
                    set.replicas
                ),
            ));
            let mut scaled = ReplicaSet::clone(&set);
            scaled.replicas = size;
            self.write(template, scaled);
        }
        true
    }

    /// Gives a ReplicaSet that is to lose its pods a deadline; takes it away where there is to be
    /// no delay.
    fn sync_scale_down_deadline(&mut self, template: &TemplateSpec) {
        let Some(set) = self.replica_sets.get(&template.name) else {
            return;
        };
        let delay = self.experiment.scale_down_delay_or_default();
        if delay.is_zero() != has_scale_down_deadline(set) {
            return;
        }
        let mut set = ReplicaSet::clone(set);
        let annotations = set.metadata.annotations.make_mut();
        if delay.is_zero() {
            annotations.remove(SCALE_DOWN_DEADLINE_ANNOTATION);
        } else {
            let deadline = (self.now + delay).truncate_to_seconds();
            annotations.insert(
                SCALE_DOWN_DEADLINE_ANNOTATION.to_owned(),
                deadline.to_string(),
            );
        }
        self.write(template, set);
    }

    fn write(&mut self, template: &TemplateSpec, set: ReplicaSet) {
        self.act(Action::UpdateReplicaSet(Box::new(set.clone())));
        self.replica_sets
            .insert(template.name.clone(), Arc::new(set));
    }
}

fn has_scale_down_deadline(set: &ReplicaSet) -> bool {
    set.annotation(SCALE_DOWN_DEADLINE_ANNOTATION)
        .is_some_and(|text| !text.is_empty())
}

/// None also for text that is no time: then nothing is waited for.
fn scale_down_deadline(set: &ReplicaSet) -> Option<Timestamp> {
    Timestamp::parse(set.annotation(SCALE_DOWN_DEADLINE_ANNOTATION)?).ok()
}

/// What an API server would say against it.
fn invalid_parts(set: &ReplicaSet) -> Option<String> {
    let labels = set.template.labels();
    let mut errors = Vec::new();
    if set.selector.matches(&labels) != Some(true) {
        errors.push(format!(
            "spec.template.metadata.labels: Invalid value: {}: `selector` does not match template \
             `labels`",
            serde_json::json!(labels)
        ));
    }
    let of_template = validate_replica_set_template(&set.template);
    errors.extend(of_template.iter().map(ToString::to_string));
    match errors.as_slice() {
        [] => None,
        [only] => Some(only.clone()),
        several => Some(format!("[{}]", several.join(", "))),
    }
}
