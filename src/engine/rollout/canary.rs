//! The canary strategy.

use crate::engine::Event;
use crate::spec::analysis::AnalysisPhase;
use crate::spec::rollout_status::{PauseReason, RolloutStatus};

use super::context::{Context, has_scale_down_deadline};
use super::pause::{halt_reason, is_pause_step_over, pause_condition, pause_end};
use super::{just_after, messages, replicas, steps};

impl Context<'_> {
    pub(super) fn reconcile_canary(&mut self) {
        if self.template_or_steps_changed() {
            self.finish_canary();
            return;
        }
        if self.restart_pods() > 0 {
            self.reason("pods were restarted: nothing else is done until they are counted");
            return;
        }
        self.reconcile_pod_metadata();
        self.delete_old_sets();
        self.reconcile_canary_services();
        self.reconcile_traffic();
        if self.decision.failure.is_some() {
            return;
        }
        self.reconcile_experiments();
        if self.decision.failure.is_some() {
            return;
        }
        self.reconcile_analysis_runs();
        if self.pause.has_added() {
            self.reason("an analysis or experiment is inconclusive: paused");
            self.finish_canary();
            return;
        }
        if self.decision.failure.is_some() {
            return;
        }
        if self.reconcile_canary_sets(false) {
            self.finish_canary();
            return;
        }
        self.reconcile_canary_pause();
        self.finish_canary();
    }

    /// Scales stable, new and other ReplicaSets, one kind a pass; true if any was scaled.
    ///
    /// A changed `spec.replicas` is applied also while the rollout is paused; the reference
    /// controller does so for blue-green only.
    pub(super) fn reconcile_canary_sets(&mut self, scaling_event: bool) -> bool {
        if let Some(reason) = halt_reason(&self.rollout)
            && !scaling_event
        {
            self.reason(format!("ReplicaSets stay: {reason}"));
            return false;
        }
        self.remove_scale_down_deadlines();
        self.reconcile_canary_stable_set()
            || self.reconcile_new_set()
            || self.reconcile_other_sets()
    }

    fn reconcile_canary_stable_set(&mut self) -> bool {
        let (Some(index), Some(canary)) = (self.stable, &self.rollout.spec.strategy.canary) else {
            return false;
        };
        if self.new == self.stable {
            return false;
        }
        let counts = if canary.traffic_routing.is_some() {
            // The weights that were stored before this pass: stable is scaled down only after
            // traffic has left it.
            replicas::routed_canary_replica_counts(
                &self.rollout,
                self.new_set(),
                self.stable_set(),
                self.rollout.status.canary.weights.as_deref(),
            )
        } else {
            replicas::basic_canary_replica_counts(
                &self.rollout,
                self.new_set(),
                self.stable_set(),
                &self.other_sets(),
            )
        };
        self.scale(index, counts.stable)
    }

    fn reconcile_canary_pause(&mut self) {
        let status = &self.rollout.status;
        if self.rollout.spec.paused || status.promote_full {
            return;
        }
        let step = steps::current_step(&self.rollout);
        let Some(pause) = step.and_then(|(_, step)| step.pause.as_ref()) else {
            return;
        };
        match pause_condition(&self.rollout, PauseReason::CanaryPauseStep) {
            None => {
                if !status.controller_pause {
                    self.pause.add(PauseReason::CanaryPauseStep);
                }
            }
            Some(condition) => {
                let end = pause
                    .seconds()
                    .and_then(|seconds| pause_end(condition, i64::from(seconds)));
                if let Some(end) = end {
                    if end >= self.now {
                        self.decision.wake(just_after(end));
                    }
                    self.reason(format!("pause step until {end}"));
                } else {
                    self.reason("pause step without a duration: waits for promote");
                }
            }
        }
    }

    pub(super) fn scale_down_others_of_canary(&mut self, others: Vec<usize>) -> bool {
        let Some(canary) = self.rollout.spec.strategy.canary.clone() else {
            return false;
        };
        let routed = canary.traffic_routing.is_some();
        let mut scaled_down = 0_i64;
        // Pods that do not serve go first, they would hold up the rest.
        let mut sizes = std::collections::BTreeMap::new();
        for index in &others {
            let Some(set) = self.set(*index) else {
                continue;
            };
            let (size, available) = (set.replicas, set.status.available_replicas);
            if size == 0 || size <= available {
                continue;
            }
            scaled_down += i64::from(size - available);
            self.scale(*index, available);
            sizes.insert(*index, available);
        }
        let available: i64 = self
            .replica_sets
            .iter()
            .map(|set| i64::from(set.status.available_replicas))
            .sum();
        let min_available =
            i64::from(self.replicas()) - i64::from(replicas::max_unavailable(&self.rollout.spec));
        let mut may_scale_down = available - min_available;
        if may_scale_down <= 0 {
            // The reference reports no scaling here, so that the pass goes on to its pause.
            return false;
        }
        let mut others = others;
        self.sort_by_revision(&mut others);
        let mut delayed = 0;
        for index in others {
            let Some(set) = self.set(index) else {
                continue;
            };
            if routed && self.is_referenced(set) {
                continue;
            }
            if may_scale_down <= 0 {
                break;
            }
            let size = sizes.get(&index).copied().unwrap_or(set.replicas);
            if size == 0 {
                continue;
            }
            let mut wanted = 0;
            if !routed {
                if i64::from(size) > may_scale_down {
                    wanted = i32::try_from(i64::from(size) - may_scale_down).unwrap_or(0);
                }
            } else if (self.is_fully_promoted() || has_scale_down_deadline(set))
                && !canary.dynamic_stable_scale
            {
                wanted = self.size_in_scale_down_delay(index, &mut delayed, size);
            }
            if size == wanted {
                continue;
            }
            self.scale(index, wanted);
            let count = i64::from(size - wanted);
            may_scale_down -= count;
            scaled_down += count;
        }
        scaled_down > 0
    }

    fn is_current_step_completed(&self) -> bool {
        if self.rollout.spec.paused {
            return false;
        }
        let Some((_, step)) = steps::current_step(&self.rollout) else {
            return false;
        };
        let weights = self.next.canary.weights.as_deref();
        let at_size = || {
            replicas::at_desired_replica_counts(
                &self.rollout,
                self.new_set(),
                self.stable_set(),
                &self.other_sets(),
                weights,
            )
        };
        if let Some(pause) = &step.pause {
            is_pause_step_over(&self.rollout, pause, self.now)
        } else if step.set_canary_scale.is_some() {
            at_size()
        } else if step.set_weight.is_some() {
            at_size() && weights.and_then(|weights| weights.verified) != Some(false)
        } else if step.experiment.is_some() {
            self.current_experiment
                .as_ref()
                .is_some_and(|experiment| experiment.status.phase == AnalysisPhase::Successful)
        } else if step.analysis.is_some() {
            self.current_runs
                .canary_step
                .as_ref()
                .is_some_and(|run| run.status.phase == AnalysisPhase::Successful)
        } else {
            step.set_header_route.is_some() || step.set_mirror_route.is_some()
        }
    }

    pub(super) fn finish_canary(&mut self) {
        let mut status = self.base_status();
        status.available_replicas = self.total(|set| set.status.available_replicas);
        status.hpa_replicas = self.total(|set| set.status.replicas);
        status.selector = self.rollout_selector_text();
        status.canary.stable_ping_pong = self.rollout.status.canary.stable_ping_pong;
        status.canary.step_plugin_statuses =
            self.rollout.status.canary.step_plugin_statuses.clone();
        status.stable_rs.clone_from(&self.rollout.status.stable_rs);
        status.current_step_hash.clone_from(&self.step_hash);
        let step_count = self
            .rollout
            .spec
            .strategy
            .canary
            .as_ref()
            .map_or(0, |canary| {
                i32::try_from(canary.steps.len()).unwrap_or(i32::MAX)
            });

        if self.template_or_steps_changed() {
            self.reset_status(&mut status);
            self.skip_steps_on_rollback(&mut status, step_count);
            self.store(status);
            return;
        }
        let mut index = steps::current_step_index(&self.rollout)
            .map(|index| i32::try_from(index).unwrap_or(i32::MAX));
        if self.rollout.status.promote_full || self.is_rollback_within_window() {
            self.pause.clear();
            self.pause.remove_abort();
            if step_count > 0 {
                index = Some(step_count);
            }
        }
        if let Some(reason) = self.full_promotion_reason(&status) {
            self.promote_stable(&mut status, &reason);
            self.store(status);
            return;
        }
        if self.is_aborted() {
            if step_count > 0 {
                let promoted = status.stable_rs == status.current_pod_hash;
                status.current_step_index = Some(if promoted { step_count } else { 0 });
            }
            self.store(status);
            return;
        }
        self.note_unsupported_plugin();
        if self.is_current_step_completed()
            && let Some((_, step)) = steps::current_step(&self.rollout)
        {
            let text = steps::step_text(step);
            index = index.map(|index| index.saturating_add(1));
            status.canary.current_step_analysis_run_status = None;
            self.event(Event::normal(
                messages::ROLLOUT_STEP_COMPLETED_REASON,
                messages::rollout_step_completed(index.unwrap_or_default(), step_count, &text),
            ));
            self.pause.remove(PauseReason::CanaryPauseStep);
        }
        status.current_step_index = index;
        self.store(status);
    }

    /// Going back to the stable or, within the rollback window, to an active revision takes no
    /// steps.
    fn skip_steps_on_rollback(&mut self, status: &mut RolloutStatus, step_count: i32) {
        let Some(new) = self.new_set() else { return };
        if step_count == 0 {
            return;
        }
        let message = if self.rollout.status.stable_rs == new.hash() {
            "Rollback to stable ReplicaSets"
        } else if self.is_rollback_within_window() && new.replicas > 0 {
            "Rollback to active ReplicaSets within RollbackWindow"
        } else {
            return;
        };
        self.event(Event::normal("SkipSteps", message));
        status.current_step_index = Some(step_count);
    }

    /// A plugin step is never passed silently: it is said that nothing runs it.
    fn note_unsupported_plugin(&mut self) {
        let plugin = steps::current_step(&self.rollout).and_then(|(_, step)| step.plugin.clone());
        if let Some(plugin) = plugin {
            self.reason(format!(
                "unsupported plugin: no step plugin \"{}\" is registered, the step does not complete",
                plugin.name
            ));
            // Repeated in each pass; the event recorder counts repetitions.
            self.event(Event::warning(
                "UnsupportedPlugin",
                format!("No step plugin \"{}\" is registered", plugin.name),
            ));
        }
    }

    pub(super) fn template_or_steps_changed(&self) -> bool {
        let stored = &self.rollout.status.current_step_hash;
        stored.is_empty() || *stored != self.step_hash || self.template_changed()
    }
}
