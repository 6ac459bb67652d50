//! The working copy of one reconciliation.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::analysis::templates::CurrentRuns;
use crate::engine::hash::{pod_template_hash, step_hash};
use crate::engine::observed::{Observed, ReplicaSet};
use crate::engine::{Action, Decision, Event, POD_TEMPLATE_HASH_LABEL};
use crate::spec::analysis::AnalysisRun;
use crate::spec::experiment::Experiment;
use crate::spec::kubernetes::{PodTemplate, Service};
use crate::spec::meta::OwnerReference;
use crate::spec::rollout::Rollout;
use crate::spec::rollout_status::RolloutStatus;
use crate::time::Timestamp;

use super::pause::PauseChanges;
use super::{anti_affinity, metadata};

/// Everything a reconciliation knows and has decided so far.
///
/// ReplicaSets keep the scale that was observed, also after it was decided to change it: what is
/// decided later in the same pass must not rely on pods that do not exist yet.
pub(super) struct Context<'a> {
    /// The object with a resolved workloadRef; its status is the stored one.
    pub(super) rollout: Cow<'a, Rollout>,
    pub(super) observed: &'a Observed,
    pub(super) now: Timestamp,
    pub(super) decision: Decision<RolloutStatus>,
    /// ReplicaSets of the rollout, oldest first.
    pub(super) replica_sets: Vec<Arc<ReplicaSet>>,
    /// Index of the ReplicaSet of the present pod template.
    pub(super) new: Option<usize>,
    /// Index of the ReplicaSet that status.stableRS names.
    pub(super) stable: Option<usize>,
    /// Sizes of ReplicaSets as written by this pass, by index.
    written_sizes: BTreeMap<usize, i32>,
    /// Services as written by this pass.
    pub(super) services: BTreeMap<String, Service>,
    pub(super) current_runs: CurrentRuns,
    pub(super) other_runs: Vec<Arc<AnalysisRun>>,
    pub(super) current_experiment: Option<Arc<Experiment>>,
    pub(super) other_experiments: Vec<Arc<Experiment>>,
    pub(super) pause: PauseChanges,
    /// Fields of the next status that are settled during the pass.
    pub(super) next: RolloutStatus,
    /// The new ReplicaSet had a scale-down deadline in the future when the pass began.
    pub(super) new_within_scale_down_delay: bool,
    /// Hash of the canary's steps; "" for any other strategy.
    pub(super) step_hash: String,
}

impl<'a> Context<'a> {
    pub(super) fn new(rollout: Cow<'a, Rollout>, observed: &'a Observed, now: Timestamp) -> Self {
        let owned = |owner: Option<&OwnerReference>| {
            owner.is_some_and(|owner| owner.uid == rollout.metadata.uid && owner.kind == "Rollout")
        };
        let mut replica_sets: Vec<Arc<ReplicaSet>> = observed
            .replica_sets
            .values()
            .filter(|set| owned(set.metadata.controller()))
            .cloned()
            .collect();
        replica_sets
            .sort_by(|left, right| by_age(left, right).then_with(|| left.name().cmp(right.name())));

        let status = &rollout.status;
        let mut current_runs = CurrentRuns::default();
        let mut other_runs = Vec::new();
        for run in observed.analysis_runs.values() {
            let is = |status: &Option<crate::spec::rollout_status::RolloutAnalysisRunStatus>| {
                status
                    .as_ref()
                    .is_some_and(|status| status.name == run.metadata.name)
            };
            if !owned(run.metadata.controller()) {
                continue;
            }
            if is(&status.canary.current_step_analysis_run_status) {
                current_runs.canary_step = Some(run.clone());
            } else if is(&status.canary.current_background_analysis_run_status) {
                current_runs.canary_background = Some(run.clone());
            } else if is(&status.blue_green.pre_promotion_analysis_run_status) {
                current_runs.pre_promotion = Some(run.clone());
            } else if is(&status.blue_green.post_promotion_analysis_run_status) {
                current_runs.post_promotion = Some(run.clone());
            } else {
                other_runs.push(run.clone());
            }
        }
        let mut current_experiment = None;
        let mut other_experiments = Vec::new();
        for experiment in observed.experiments.values() {
            if !owned(experiment.metadata.controller()) {
                continue;
            }
            if experiment.metadata.name == status.canary.current_experiment {
                current_experiment = Some(experiment.clone());
            } else {
                other_experiments.push(experiment.clone());
            }
        }
        let next = RolloutStatus {
            restarted_at: status.restarted_at,
            alb: status.alb.clone(),
            albs: status.albs.clone(),
            duration: status.duration.clone(),
            ..RolloutStatus::default()
        };
        let mut context = Self {
            observed,
            now,
            decision: Decision::default(),
            new: None,
            stable: None,
            written_sizes: BTreeMap::new(),
            services: BTreeMap::new(),
            current_runs,
            other_runs,
            current_experiment,
            other_experiments,
            pause: PauseChanges::default(),
            next,
            new_within_scale_down_delay: false,
            step_hash: step_hash(&rollout),
            replica_sets,
            rollout,
        };
        context.new = context.find_new();
        context.stable = context.find_stable();
        context.new_within_scale_down_delay = context
            .new_set()
            .and_then(scale_down_deadline)
            .is_some_and(|deadline| deadline > now);
        context
    }

    /// The ReplicaSet whose pod template is the rollout's: by hash, else by equality, since
    /// another controller may have named it with another hash.
    fn find_new(&self) -> Option<usize> {
        let hash = self.template_hash();
        let position = |matches: &dyn Fn(&ReplicaSet) -> bool| {
            self.replica_sets.iter().position(|set| matches(set))
        };
        position(&|set| set.hash() == hash).or_else(|| {
            position(&|set| {
                let mut plain = set.clone();
                metadata::sync_replica_set_metadata(&mut plain, None);
                let affinity = anti_affinity::affinity_without_injected_rule(
                    template_affinity(&plain.template),
                    &self.rollout,
                );
                set_template_affinity(&mut plain.template, affinity);
                plain.template.labels_mut().remove(POD_TEMPLATE_HASH_LABEL);
                let mut desired = self.rollout.spec.template.clone();
                desired.labels_mut().remove(POD_TEMPLATE_HASH_LABEL);
                plain.template == desired
            })
        })
    }

    fn find_stable(&self) -> Option<usize> {
        let hash = self.rollout.status.stable_rs.as_str();
        if hash.is_empty() {
            return None;
        }
        self.replica_sets.iter().position(|set| set.hash() == hash)
    }

    /// The hash that a ReplicaSet of the present pod template would get.
    pub(super) fn template_hash(&self) -> String {
        pod_template_hash(
            &self.rollout.spec.template,
            self.rollout.status.collision_count,
        )
    }

    pub(super) fn new_set(&self) -> Option<&ReplicaSet> {
        self.set(self.new?)
    }

    pub(super) fn stable_set(&self) -> Option<&ReplicaSet> {
        self.set(self.stable?)
    }

    /// The ReplicaSet at `index`, oldest first.
    pub(super) fn set(&self, index: usize) -> Option<&ReplicaSet> {
        self.replica_sets.get(index).map(Arc::as_ref)
    }

    /// Indices of ReplicaSets that are neither new nor stable, oldest first.
    pub(super) fn other_indices(&self) -> Vec<usize> {
        (0..self.replica_sets.len())
            .filter(|index| Some(*index) != self.new && Some(*index) != self.stable)
            .collect()
    }

    pub(super) fn other_sets(&self) -> Vec<&ReplicaSet> {
        self.other_indices()
            .into_iter()
            .filter_map(|index| self.set(index))
            .collect()
    }

    pub(super) fn all_sets(&self) -> Vec<&ReplicaSet> {
        self.replica_sets.iter().map(Arc::as_ref).collect()
    }

    /// Whether stable is the present pod template (also when neither is known yet).
    pub(super) fn is_fully_promoted(&self) -> bool {
        self.rollout.status.stable_rs == self.rollout.status.current_pod_hash
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.pause.is_aborted(&self.rollout)
    }

    pub(super) fn replicas(&self) -> i32 {
        self.rollout.spec.replicas_or_default()
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

    /// Changes the metadata or template of a ReplicaSet, here and in the world.
    pub(super) fn update_set(&mut self, index: usize, change: impl FnOnce(&mut ReplicaSet)) {
        let Some(local) = self.replica_sets.get_mut(index) else {
            return;
        };
        let local = Arc::make_mut(local);
        let observed_size = local.replicas;
        if let Some(size) = self.written_sizes.get(&index) {
            local.replicas = *size;
        }
        change(local);
        let latest = local.clone();
        local.replicas = observed_size;
        self.written_sizes.insert(index, latest.replicas);
        self.act(Action::UpdateReplicaSet(Box::new(latest)));
    }

    /// The service as it stands, with what this pass has written.
    pub(super) fn service(&self, name: &str) -> Option<&Service> {
        self.services
            .get(name)
            .or_else(|| self.observed.services.get(name).map(Arc::as_ref))
    }
}

/// Annotations and labels that give the order of revisions where creation times, which are whole
/// seconds, cannot: the revision a ReplicaSet had first.
pub(super) fn original_revision(set: &ReplicaSet) -> i64 {
    set.annotation(crate::engine::REVISION_HISTORY_ANNOTATION)
        .and_then(|history| history.split(',').next())
        .and_then(|first| first.trim().parse().ok())
        .unwrap_or_else(|| set.revision())
}

/// Whether `left` was created before `right`; within the same second the revision decides.
pub(super) fn is_older(left: &ReplicaSet, right: &ReplicaSet) -> bool {
    by_age(left, right).is_lt()
}

fn by_age(left: &ReplicaSet, right: &ReplicaSet) -> Ordering {
    let created = |set: &ReplicaSet| set.metadata.creation_timestamp;
    let by_time = created(left).cmp(&created(right));
    by_time.then_with(|| original_revision(left).cmp(&original_revision(right)))
}

/// The time after which a ReplicaSet is to be scaled down, if it carries one.
pub(super) fn scale_down_deadline(set: &ReplicaSet) -> Option<Timestamp> {
    set.annotation(crate::engine::SCALE_DOWN_DEADLINE_ANNOTATION)
        .and_then(|text| Timestamp::parse(text).ok())
}

/// Whether a ReplicaSet carries a scale-down deadline at all, readable or not.
pub(super) fn has_scale_down_deadline(set: &ReplicaSet) -> bool {
    set.annotation(crate::engine::SCALE_DOWN_DEADLINE_ANNOTATION)
        .is_some_and(|text| !text.is_empty())
}

/// `spec.affinity` of a pod template.
pub(super) fn template_affinity(template: &PodTemplate) -> Option<&serde_json::Value> {
    template.spec().and_then(|spec| spec.get("affinity"))
}

/// Sets `spec.affinity` of a pod template, or takes it out.
pub(super) fn set_template_affinity(
    template: &mut PodTemplate,
    affinity: Option<serde_json::Value>,
) {
    match affinity {
        Some(affinity) => {
            template.spec_mut().insert("affinity".to_owned(), affinity);
        }
        None if template_affinity(template).is_some() => {
            template.spec_mut().shift_remove("affinity");
        }
        None => {}
    }
}
