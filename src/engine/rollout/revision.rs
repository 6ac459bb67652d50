//! ReplicaSets for revisions: creating the new one, numbering, annotations.

use std::collections::BTreeMap;

use crate::engine::{
    Action, DESIRED_REPLICAS_ANNOTATION, Event, POD_TEMPLATE_HASH_LABEL, REVISION_ANNOTATION,
    REVISION_HISTORY_ANNOTATION, ReplicaSet, ReplicaSetStatus, RolloutPatch,
};
use crate::spec::meta::{ConditionStatus, ObjectMeta};
use crate::spec::rollout_status::RolloutConditionType;
use crate::spec::string_map::StringMap;

use super::context::{Context, set_template_affinity, template_affinity};
use super::{anti_affinity, conditions, messages, metadata};

/// Annotations of the Rollout that its ReplicaSets do not inherit.
const NOT_INHERITED: [&str; 5] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION_ANNOTATION,
    REVISION_HISTORY_ANNOTATION,
    DESIRED_REPLICAS_ANNOTATION,
    "notified.notifications.argoproj.io",
];

impl Context<'_> {
    fn highest_other_revision(&self) -> i64 {
        (0..self.replica_sets.len())
            .filter(|index| Some(*index) != self.new)
            .filter_map(|index| self.set(index))
            .map(ReplicaSet::revision)
            .max()
            .unwrap_or(0)
    }

    fn inherited_annotations(&self) -> impl Iterator<Item = (&String, &String)> {
        let annotations = self.rollout.metadata.annotations.iter();
        annotations.filter(|(key, _)| !NOT_INHERITED.contains(&key.as_str()))
    }

    /// Creates the ReplicaSet of the present pod template, with no pods yet.
    pub(super) fn create_new_set(&mut self) {
        let hash = self.template_hash();
        let name = format!("{}-{hash}", self.rollout.metadata.name);
        if self.observed.replica_sets.contains_key(&name) {
            // Somebody else's ReplicaSet has that name: the next hash will differ.
            let mut status = self.rollout.status.clone();
            status.collision_count = Some(status.collision_count.unwrap_or(0).saturating_add(1));
            self.reason(format!(
                "ReplicaSet {name} exists and is not ours: another hash is tried"
            ));
            self.decision.status = Some(status);
            return;
        }
        let revision = self.highest_other_revision().saturating_add(1);
        let spec = &self.rollout.spec;
        let mut template = spec.template.clone();
        set_template_affinity(
            &mut template,
            anti_affinity::affinity_with_injected_rule(&self.rollout),
        );
        template
            .labels_mut()
            .insert(POD_TEMPLATE_HASH_LABEL.to_owned(), hash.clone().into());
        let mut selector = spec.selector.clone().unwrap_or_default();
        selector
            .match_labels
            .make_mut()
            .insert(POD_TEMPLATE_HASH_LABEL.to_owned(), hash);
        let inherited = self.inherited_annotations();
        let mut annotations: StringMap = inherited
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        annotations.insert(REVISION_ANNOTATION.to_owned(), revision.to_string());
        annotations.insert(
            DESIRED_REPLICAS_ANNOTATION.to_owned(),
            self.replicas().to_string(),
        );
        let mut set = ReplicaSet {
            metadata: ObjectMeta {
                name: name.clone(),
                namespace: self.rollout.metadata.namespace.clone(),
                labels: template.labels().into(),
                annotations: annotations.into(),
                owner_references: vec![self.rollout.owner_reference()].into(),
                ..ObjectMeta::default()
            },
            replicas: 0,
            min_ready_seconds: spec.min_ready_seconds,
            selector,
            template,
            status: ReplicaSetStatus::default(),
        };
        let strategy = &spec.strategy;
        let updates = self.stable.is_some();
        let injected = match (&strategy.canary, &strategy.blue_green) {
            (Some(canary), _) if updates => canary.canary_metadata.as_ref(),
            (Some(canary), _) => canary.stable_metadata.as_ref(),
            (None, Some(blue_green)) if updates => blue_green.preview_metadata.as_ref(),
            (None, Some(blue_green)) => blue_green.active_metadata.as_ref(),
            (None, None) => None,
        };
        metadata::sync_replica_set_metadata(&mut set, injected);
        self.act(Action::CreateReplicaSet(Box::new(set)));
        self.set_rollout_revision(revision.to_string());
        self.event(Event::normal(
            messages::NEW_REPLICA_SET_REASON,
            messages::new_replica_set_with_revision(&name, revision),
        ));
        let mut status = self.rollout.status.clone();
        let condition = conditions::new_condition(
            RolloutConditionType::Progressing,
            ConditionStatus::True,
            messages::NEW_REPLICA_SET_REASON,
            messages::new_replica_set(&name),
            self.now,
        );
        if conditions::set_condition(&mut status, condition) {
            self.decision.status = Some(status);
        }
        self.reason(format!(
            "the pod template is new: ReplicaSet {name} is created"
        ));
    }

    fn set_rollout_revision(&mut self, revision: String) {
        let annotations = &self.rollout.metadata.annotations;
        if annotations.get(REVISION_ANNOTATION) == Some(&revision) {
            return;
        }
        let annotations = self.rollout.to_mut().metadata.annotations.make_mut();
        annotations.insert(REVISION_ANNOTATION.to_owned(), revision.clone());
        self.act(Action::PatchRollout(RolloutPatch {
            annotations: BTreeMap::from([(REVISION_ANNOTATION.to_owned(), Some(revision.clone()))]),
            replicas: None,
        }));
        self.event(Event::normal(
            messages::ROLLOUT_UPDATED_REASON,
            messages::rollout_updated(&revision),
        ));
    }

    /// Gives the new ReplicaSet the highest revision number and the rollout's annotations, and the
    /// rollout that number.
    pub(super) fn sync_revision(&mut self) {
        let (Some(index), Some(set)) = (self.new, self.new_set()) else {
            return;
        };
        let revision = set
            .revision()
            .max(self.highest_other_revision().saturating_add(1));
        let annotations_change = set.revision() != revision
            || self
                .inherited_annotations()
                .any(|(key, value)| set.metadata.annotations.get(key) != Some(value));
        let min_ready = self.rollout.spec.min_ready_seconds;
        let affinity_changes = anti_affinity::anti_affinity(&self.rollout).is_some()
            && anti_affinity::injected_rule_needs_update(
                template_affinity(&set.template),
                &self.rollout,
            );
        if annotations_change || set.min_ready_seconds != min_ready || affinity_changes {
            let previous = set.annotation(REVISION_ANNOTATION).map(str::to_owned);
            let inherited: Vec<(String, String)> = self
                .inherited_annotations()
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            let rollout = self.rollout.clone();
            self.update_set(index, |set| {
                let annotations = set.metadata.annotations.make_mut();
                annotations.extend(inherited.iter().cloned());
                annotations.insert(REVISION_ANNOTATION.to_owned(), revision.to_string());
                if let (true, Some(previous)) = (annotations_change, &previous) {
                    let history = annotations
                        .get(REVISION_HISTORY_ANNOTATION)
                        .filter(|history| !history.is_empty())
                        .map_or_else(
                            || previous.clone(),
                            |history| format!("{history},{previous}"),
                        );
                    annotations.insert(REVISION_HISTORY_ANNOTATION.to_owned(), history);
                }
                set.min_ready_seconds = min_ready;
                set_template_affinity(
                    &mut set.template,
                    anti_affinity::affinity_with_injected_rule(&rollout),
                );
            });
        }
        self.set_rollout_revision(revision.to_string());
    }
}
