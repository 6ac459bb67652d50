//! Scaling ReplicaSets, and the deadlines after which they are scaled down.

use crate::engine::{
    Action, DESIRED_REPLICAS_ANNOTATION, Event, ReplicaSet, SCALE_DOWN_DEADLINE_ANNOTATION,
};
use crate::spec::string_map::StringMap;

use crate::spec::defaults::AbortScaleDown;
use crate::spec::rollout_status::RolloutPhase;
use crate::time::{Duration, Timestamp};

use super::context::{Context, has_scale_down_deadline, scale_down_deadline};
use super::{just_after, messages, replicas};

impl Context<'_> {
    /// Scales a ReplicaSet and says so in an event; true if its size changes.
    pub(super) fn scale(&mut self, index: usize, replicas: i32) -> bool {
        let Some(set) = self.set(index) else {
            return false;
        };
        let rollout_replicas = self.replicas();
        let resized = set.replicas != replicas;
        if !resized && !needs_replicas_annotation(set, rollout_replicas) {
            return false;
        }
        let event = Event::normal(
            messages::SCALING_REPLICA_SET_REASON,
            messages::scaling_replica_set(set.name(), set.revision(), set.replicas, replicas),
        );
        let drop_deadline = replicas == 0 && !self.delays_scale_down_on_abort();
        self.update_set(index, |set| {
            set.replicas = replicas;
            let annotations = set.metadata.annotations.make_mut();
            annotations.insert(
                DESIRED_REPLICAS_ANNOTATION.to_owned(),
                rollout_replicas.to_string(),
            );
            if drop_deadline {
                annotations.remove(SCALE_DOWN_DEADLINE_ANNOTATION);
            }
        });
        if resized {
            self.event(event);
        }
        resized
    }

    /// Whether an active new or stable ReplicaSet was last scaled for another `spec.replicas`.
    pub(super) fn is_scaling_event(&self) -> bool {
        let wanted = self.replicas();
        [self.new_set(), self.stable_set()]
            .into_iter()
            .flatten()
            .filter(|set| set.replicas > 0)
            .filter_map(ReplicaSet::desired_replicas)
            .any(|desired| desired != wanted)
    }

    /// Brings the new ReplicaSet to its size; true if that changed.
    pub(super) fn reconcile_new_set(&mut self) -> bool {
        let (Some(index), Some(set)) = (self.new, self.new_set()) else {
            return false;
        };
        let Ok(mut wanted) = replicas::new_replica_set_replicas(
            &self.rollout,
            &self.all_sets(),
            set,
            self.next.canary.weights.as_deref(),
        ) else {
            return false;
        };
        if self.delays_scale_down_on_abort() {
            if set.annotation(SCALE_DOWN_DEADLINE_ANNOTATION).is_some() {
                match scale_down_deadline(set) {
                    Some(deadline) if deadline > self.now => {
                        self.reason(format!(
                            "ReplicaSet {} is kept until {deadline} after the abort",
                            set.name()
                        ));
                        self.decision.wake(just_after(deadline));
                        self.sync_replicas_annotation(index);
                        return false;
                    }
                    Some(_) => wanted = 0,
                    None => {}
                }
            } else if let AbortScaleDown::After { delay, .. } =
                self.rollout.spec.abort_scale_down_or_default()
            {
                self.sync_replicas_annotation(index);
                let stable_serves_all = self
                    .stable_set()
                    .is_some_and(|stable| stable.status.available_replicas >= self.replicas());
                if stable_serves_all {
                    self.add_scale_down_deadline(index, delay);
                }
                return false;
            }
        }
        let scaled = self.scale(index, wanted);
        self.scale_workload_progressively(wanted);
        scaled
    }

    /// `scaleDown: progressively` of a workloadRef, for the first revision only.
    fn scale_workload_progressively(&mut self, wanted: i32) {
        let Some(set) = self.new_set() else { return };
        let Some(workload) = &self.rollout.spec.workload_ref else {
            return;
        };
        if set.revision() != 1 || workload.scale_down != "progressively" {
            return;
        }
        if self.rollout.status.phase == RolloutPhase::Healthy {
            self.scale_workload(0);
        } else if self.rollout.status.ready_replicas > 0 || set.replicas > wanted {
            self.scale_workload(
                self.replicas()
                    .saturating_sub(self.rollout.status.ready_replicas),
            );
        }
    }

    /// Scales the Deployment of the workloadRef, if it exists and has another size.
    pub(super) fn scale_workload(&mut self, replicas: i32) {
        let Some(reference) = &self.rollout.spec.workload_ref else {
            return;
        };
        let replicas = replicas.max(0);
        let key = crate::engine::ObjectKey::new("apps/v1", "Deployment", &reference.name);
        let present = self.observed.others.get(&key).map(|object| {
            object
                .pointer("/spec/replicas")
                .and_then(|count| count.as_i64())
                .unwrap_or(1)
        });
        if present.is_some_and(|present| present != i64::from(replicas)) {
            let name = reference.name.clone();
            self.act(Action::ScaleDeployment { name, replicas });
        }
    }

    /// Whether the canary or preview is kept for a while after an abort.
    pub(super) fn delays_scale_down_on_abort(&self) -> bool {
        if !self.is_aborted() || self.stable.is_none() {
            return false;
        }
        let canary = self.rollout.spec.strategy.canary.as_ref();
        if canary.is_some_and(|canary| canary.traffic_routing.is_none()) {
            return false;
        }
        match self.rollout.spec.abort_scale_down_or_default() {
            AbortScaleDown::Never => false,
            AbortScaleDown::After { explicit, .. } => {
                explicit || !canary.is_some_and(|canary| canary.dynamic_stable_scale)
            }
        }
    }

    /// Notes a changed `spec.replicas` on a ReplicaSet whose size stays.
    fn sync_replicas_annotation(&mut self, index: usize) {
        if let Some(set) = self.set(index) {
            let replicas = set.replicas;
            self.scale(index, replicas);
        }
    }

    pub(super) fn add_scale_down_deadline(&mut self, index: usize, delay: Duration) {
        if delay == Duration::ZERO {
            self.remove_scale_down_deadline(index);
            return;
        }
        let deadline: Timestamp = (self.now + delay).truncate_to_seconds();
        self.update_set(index, |set| {
            set.metadata.annotations.make_mut().insert(
                SCALE_DOWN_DEADLINE_ANNOTATION.to_owned(),
                deadline.to_string(),
            );
        });
        self.decision.wake(just_after(deadline));
    }

    fn remove_scale_down_deadline(&mut self, index: usize) {
        if self.set(index).is_some_and(has_scale_down_deadline) {
            self.update_set(index, |set| {
                let annotations = set.metadata.annotations.make_mut();
                annotations.remove(SCALE_DOWN_DEADLINE_ANNOTATION);
            });
        }
    }

    /// Takes the deadline from the new and the stable ReplicaSet, in case the rollout went back
    /// to a revision that was about to be scaled down.
    pub(super) fn remove_scale_down_deadlines(&mut self) {
        let keep_new = self.delays_scale_down_on_abort();
        if let Some(new) = self.new
            && !keep_new
        {
            self.remove_scale_down_deadline(new);
        }
        if let Some(stable) = self.stable
            && (keep_new || self.new != self.stable)
        {
            self.remove_scale_down_deadline(stable);
        }
    }

    /// The size that a ReplicaSet with a scale-down delay is to have now. `delayed` counts the
    /// ReplicaSets that are kept so, up to `scaleDownDelayRevisionLimit`.
    pub(super) fn size_in_scale_down_delay(
        &mut self,
        index: usize,
        delayed: &mut i32,
        kept_size: i32,
    ) -> i32 {
        let Some(set) = self.set(index) else {
            return 0;
        };
        let limit = self.scale_down_delay_revision_limit();
        let size = set.replicas;
        if !has_scale_down_deadline(set) {
            if size == 0 || *delayed >= limit {
                return 0;
            }
            let delay = self.rollout.spec.scale_down_delay_or_default();
            if delay == Duration::ZERO {
                return 0;
            }
            *delayed += 1;
            self.add_scale_down_deadline(index, delay);
            return size;
        }
        *delayed += 1;
        if *delayed > limit {
            return 0;
        }
        match scale_down_deadline(set) {
            Some(deadline) if deadline > self.now => {
                self.decision.wake(just_after(deadline));
                kept_size
            }
            Some(_) | None => 0,
        }
    }

    fn scale_down_delay_revision_limit(&self) -> i32 {
        let strategy = &self.rollout.spec.strategy;
        strategy
            .blue_green
            .as_ref()
            .and_then(|blue_green| blue_green.scale_down_delay_revision_limit)
            .or_else(|| {
                strategy
                    .canary
                    .as_ref()
                    .and_then(|canary| canary.scale_down_delay_revision_limit)
            })
            .unwrap_or(i32::MAX)
    }

    /// Whether traffic may still reach the ReplicaSet.
    pub(super) fn is_referenced(&self, set: &ReplicaSet) -> bool {
        let hash = set.hash();
        if hash.is_empty() {
            return false;
        }
        let status = &self.rollout.status;
        let mut hashes = vec![
            status.stable_rs.as_str(),
            &status.current_pod_hash,
            &status.blue_green.active_selector,
            &status.blue_green.preview_selector,
        ];
        if let Some(weights) = &status.canary.weights {
            hashes.push(&weights.canary.pod_template_hash);
            hashes.push(&weights.stable.pod_template_hash);
        }
        let strategy = &self.rollout.spec.strategy;
        let services: Vec<&str> = match (&strategy.canary, &strategy.blue_green) {
            (Some(canary), _) => {
                let mut named = vec![&*canary.canary_service, &*canary.stable_service];
                // Ping-pong services too, which the reference forgets; after an update the one of
                // the canary leads to what was stable before, and gets no requests.
                if !self.is_fully_promoted() {
                    named.push(self.rollout.ping_pong_or_named_services().1);
                }
                named
            }
            (None, Some(blue_green)) => {
                vec![&blue_green.active_service, &blue_green.preview_service]
            }
            (None, None) => return false,
        };
        hashes.contains(&hash)
            || services.into_iter().any(|name| {
                self.service(name)
                    .is_some_and(|service| super::services::selected_hash(service) == hash)
            })
    }

    /// Deletes the oldest ReplicaSets beyond `revisionHistoryLimit`, with their runs and
    /// experiments.
    pub(super) fn delete_old_sets(&mut self) {
        let limit = self.rollout.spec.revision_history_limit_or_default();
        let cleanable: Vec<ReplicaSet> = self
            .other_sets()
            .into_iter()
            .filter(|set| set.metadata.deletion_timestamp.is_none())
            .cloned()
            .collect();
        let excess = i64::try_from(cleanable.len()).unwrap_or(i64::MAX) - i64::from(limit);
        for set in cleanable.iter().take(usize::try_from(excess).unwrap_or(0)) {
            let busy = set.status.replicas != 0
                || set.replicas != 0
                || set.metadata.generation > set.status.observed_generation;
            if busy {
                continue;
            }
            self.act(Action::DeleteReplicaSet {
                name: set.name().to_owned(),
            });
            let label = |labels: &StringMap| {
                labels
                    .get(crate::engine::POD_TEMPLATE_HASH_LABEL)
                    .is_some_and(|hash| hash == set.hash())
            };
            let runs: Vec<Action> = self
                .other_runs
                .iter()
                .filter(|run| {
                    label(&run.metadata.labels) && run.metadata.deletion_timestamp.is_none()
                })
                .map(|run| Action::DeleteAnalysisRun {
                    name: run.metadata.name.clone(),
                })
                .collect();
            let experiments: Vec<Action> = self
                .other_experiments
                .iter()
                .filter(|it| label(&it.metadata.labels) && it.metadata.deletion_timestamp.is_none())
                .map(|it| Action::DeleteExperiment {
                    name: it.metadata.name.clone(),
                })
                .collect();
            self.decision.actions.extend(runs);
            self.decision.actions.extend(experiments);
        }
    }

    /// Scales down ReplicaSets that are neither new nor stable; true if any is scaled.
    pub(super) fn reconcile_other_sets(&mut self) -> bool {
        let others: Vec<usize> = self
            .other_indices()
            .into_iter()
            .filter(|index| {
                self.replica_sets
                    .get(*index)
                    .is_some_and(|set| set.replicas > 0)
            })
            .collect();
        if others.is_empty() {
            return false;
        }
        if self.rollout.spec.strategy.canary.is_some() {
            self.scale_down_others_of_canary(others)
        } else {
            self.scale_down_others_of_blue_green(others)
        }
    }

    /// Newest revision first.
    pub(super) fn sort_by_revision(&self, indices: &mut [usize]) {
        indices.sort_by_key(|index| {
            std::cmp::Reverse(self.set(*index).map(|set| {
                (
                    set.revision(),
                    set.metadata.creation_timestamp,
                    set.name().to_owned(),
                )
            }))
        });
    }
}

fn needs_replicas_annotation(set: &ReplicaSet, rollout_replicas: i32) -> bool {
    set.annotation(DESIRED_REPLICAS_ANNOTATION) != Some(rollout_replicas.to_string().as_str())
        || (rollout_replicas == 0 && has_scale_down_deadline(set))
}
