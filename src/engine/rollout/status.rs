//! The rollout's next status: counts, promotion, conditions, phase.

use std::sync::Arc;

use crate::engine::{Event, REVISION_ANNOTATION, ReplicaSet};
use crate::spec::analysis::AnalysisPhase;
use crate::spec::meta::{ConditionStatus, LabelSelector};
use crate::spec::rollout_status::{
    CompletionStatus, PingPongType, RolloutConditionType, RolloutPhase, RolloutStatus,
};
use crate::time::Duration;

use super::context::{Context, has_scale_down_deadline, is_older};
use super::{conditions, messages, phase, replicas, steps};

/// How much later than the progress deadline it is looked at; for all else it is less. The reference
/// does so, too.
pub(super) const WOKEN_LATE: Duration = Duration::SECOND;

impl Context<'_> {
    /// Sum of a count over all ReplicaSets.
    pub(super) fn total(&self, count: impl Fn(&ReplicaSet) -> i32) -> i32 {
        self.replica_sets
            .iter()
            .map(|set| count(set))
            .fold(0, i32::saturating_add)
    }

    pub(super) fn revision_number(&self) -> i64 {
        self.rollout
            .metadata
            .annotations
            .get(REVISION_ANNOTATION)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    }

    /// Whether the pod template differs from the one that the status has recorded.
    pub(super) fn template_changed(&self) -> bool {
        let recorded = &self.rollout.status.current_pod_hash;
        !recorded.is_empty()
            && match self.new_set() {
                Some(new) => new.hash() != recorded,
                None => self.template_hash() != *recorded,
            }
    }

    pub(super) fn rollout_selector_text(&self) -> String {
        self.rollout
            .spec
            .selector
            .as_ref()
            .map(selector_text)
            .unwrap_or_default()
    }

    pub(super) fn base_status(&self) -> RolloutStatus {
        let stored = &self.rollout.status;
        let mut status = self.next.clone();
        status.current_pod_hash = match self.new_set() {
            Some(new) => new.hash().to_owned(),
            None => self.template_hash(),
        };
        status.replicas = self.total(|set| set.status.replicas);
        status.updated_replicas = self.new_set().map_or(0, |new| new.status.replicas);
        status.ready_replicas = self.total(|set| set.status.ready_replicas);
        status.collision_count = stored.collision_count;
        status.conditions.clone_from(&stored.conditions);
        // The spec was found valid at the start of the pass.
        conditions::remove_condition(&mut status, RolloutConditionType::InvalidSpec);
        // `stable_rs` is not known here yet: a full promotion ends with the pass that promotes.
        status.promote_full = !status.current_pod_hash.is_empty() && stored.promote_full;
        status
    }

    /// The status as at the beginning of an update.
    pub(super) fn reset_status(&mut self, status: &mut RolloutStatus) {
        self.pause.clear();
        self.pause.remove_abort();
        status.restarted_at = self.rollout.spec.restart_at;
        status.promote_full = false;
        status.blue_green.pre_promotion_analysis_run_status = None;
        status.blue_green.post_promotion_analysis_run_status = None;
        status.blue_green.scale_up_preview_check_point = false;
        status.canary.current_step_analysis_run_status = None;
        status.canary.current_background_analysis_run_status = None;
        status.canary.step_plugin_statuses.clear();
        let has_steps = self
            .rollout
            .spec
            .strategy
            .canary
            .as_ref()
            .is_some_and(|canary| !canary.steps.is_empty());
        status.current_step_index = has_steps.then_some(0);
    }

    /// Whether the present pod template is that of the stable or of an older ReplicaSet. Also true
    /// for a rollout at rest.
    pub(super) fn is_rollback(&self) -> bool {
        match (self.new_set(), self.stable_set()) {
            (Some(new), Some(stable)) => {
                self.rollout.status.stable_rs == new.hash() || is_older(new, stable)
            }
            _ => false,
        }
    }

    /// A rollback that may skip steps, pauses and analyses. Also true for a rollout at rest.
    pub(super) fn is_fast_rollback(&self) -> bool {
        self.is_rollback()
            && (self.is_rollback_within_window()
                || (self.new_within_scale_down_delay
                    && self.rollout.spec.strategy.blue_green.is_some())
                || self.rollout.status.stable_rs == self.new_hash())
    }

    pub(super) fn is_rollback_within_window(&self) -> bool {
        let (Some(new), Some(stable)) = (self.new_set(), self.stable_set()) else {
            return false;
        };
        let Some(window) = &self.rollout.spec.rollback_window else {
            return false;
        };
        if window.revisions <= 0 || !is_older(new, stable) {
            return false;
        }
        let between = self
            .replica_sets
            .iter()
            .filter(|set| is_older(set, stable) && is_older(new, set))
            .count();
        i64::try_from(between).unwrap_or(i64::MAX) < i64::from(window.revisions)
    }

    /// Why the present pod template is to become stable now, if it is.
    pub(super) fn full_promotion_reason(&self, status: &RolloutStatus) -> Option<String> {
        if self.stable.is_none() {
            return Some("Initial deploy".to_owned());
        }
        let rollback_reason = || {
            self.is_fast_rollback().then(|| {
                if self.is_rollback_within_window() {
                    "Rollback within window".to_owned()
                } else {
                    "Fast rollback".to_owned()
                }
            })
        };
        let full_promotion = self
            .rollout
            .status
            .promote_full
            .then(|| "Full promotion requested".to_owned());
        if let Some(canary) = &self.rollout.spec.strategy.canary {
            if self.is_aborted() {
                return None;
            }
            let new = self.new_set()?;
            let wanted = self.replicas();
            let enough = new.status.available_replicas >= wanted
                || replicas::replica_progress_threshold_met(
                    canary.replica_progress_threshold.as_ref(),
                    Some(new),
                    wanted,
                );
            if !enough {
                return None;
            }
            let count = canary.steps.len();
            let all_steps_done =
                count == 0 || steps::current_step_index(&self.rollout) == Some(count);
            return full_promotion
                .or_else(rollback_reason)
                .or_else(|| all_steps_done.then(|| format!("Completed all {count} canary steps")));
        }
        let blue_green = self.rollout.spec.strategy.blue_green.as_ref()?;
        if status.blue_green.active_selector.is_empty() {
            return Some("Initial deploy".to_owned());
        }
        if !self.is_blue_green_stable(status) {
            return None;
        }
        if let Some(reason) = full_promotion.or_else(rollback_reason) {
            return Some(reason);
        }
        if self.is_aborted() {
            return None;
        }
        let run = self.current_runs.post_promotion.as_ref();
        let analysis_passed = blue_green.post_promotion_analysis.is_none()
            || run.is_some_and(|run| run.status.phase == AnalysisPhase::Successful);
        analysis_passed.then(|| "Completed blue-green update".to_owned())
    }

    pub(super) fn promote_stable(&mut self, status: &mut RolloutStatus, reason: &str) {
        self.pause.clear();
        self.pause.remove_abort();
        status.promote_full = false;
        status.blue_green.scale_up_preview_check_point = false;
        if let Some(canary) = &self.rollout.spec.strategy.canary {
            let count = i32::try_from(canary.steps.len()).unwrap_or(i32::MAX);
            status.current_step_index = (count > 0).then_some(count);
        }
        let revision = self.revision_number();
        if status.stable_rs != status.current_pod_hash {
            let ping_pong = self
                .rollout
                .spec
                .strategy
                .canary
                .as_ref()
                .is_some_and(|canary| canary.ping_pong.is_some());
            if ping_pong {
                status.canary.stable_ping_pong = match self.rollout.status.canary.stable_ping_pong {
                    PingPongType::Ping => PingPongType::Pong,
                    PingPongType::Pong | PingPongType::Unset => PingPongType::Ping,
                };
            }
            if let Some(duration) = &mut status.duration
                && duration.completion_status.is_none()
            {
                duration.completion_status = Some(if self.rollout.status.promote_full {
                    CompletionStatus::FastPromoted
                } else {
                    CompletionStatus::Promoted
                });
            }
            status.stable_rs.clone_from(&status.current_pod_hash);
            self.event(Event::normal(
                messages::ROLLOUT_COMPLETED_REASON,
                format!(
                    "Rollout completed update to revision {revision} ({}): {reason}",
                    status.current_pod_hash
                ),
            ));
        }
        let scales_down = self
            .rollout
            .spec
            .workload_ref
            .as_ref()
            .is_some_and(|workload| workload.scale_down == "onsuccess");
        if revision == 1 && self.rollout.status.phase == RolloutPhase::Healthy && scales_down {
            self.scale_workload(0);
        }
    }

    /// Completes the status with pauses, conditions and the phase, and decides to store it.
    pub(super) fn store(&mut self, mut status: RolloutStatus) {
        status.observed_generation = self.rollout.metadata.generation.to_string();
        status.workload_observed_generation = if self.rollout.spec.template_resolved_from_ref {
            self.rollout
                .metadata
                .annotations
                .get(crate::engine::WORKLOAD_GENERATION_ANNOTATION)
                .cloned()
                .unwrap_or_default()
        } else {
            String::new()
        };
        self.abort_on_missed_deadline(&status);
        self.pause.apply(&self.rollout, &mut status, self.now);
        self.set_conditions(&mut status);
        (status.phase, status.message) = phase::rollout_phase(&self.rollout.spec, &status);
        status.duration = self.duration(&status);
        self.announce_pause(&status);
        self.wake_for_deadline(&status);
        if status != self.rollout.status {
            self.decision.status = Some(status);
        }
    }

    fn announce_pause(&mut self, status: &RolloutStatus) {
        let was_paused = !self.rollout.status.pause_conditions.is_empty();
        match status.pause_conditions.first() {
            Some(condition) if !was_paused => self.event(Event::normal(
                messages::ROLLOUT_PAUSED_REASON,
                format!(
                    "{} ({})",
                    messages::ROLLOUT_PAUSED_MESSAGE,
                    condition.reason
                ),
            )),
            None if was_paused && status.aborted_at.is_none() => self.event(Event::normal(
                messages::ROLLOUT_RESUMED_REASON,
                messages::ROLLOUT_RESUMED_MESSAGE,
            )),
            Some(_) | None => {}
        }
    }

    /// A step that may take any time does not count against the progress deadline.
    fn is_indefinite_step(&self) -> bool {
        let at_step = steps::current_step(&self.rollout).is_some_and(|(_, step)| {
            step.experiment.is_some() || step.analysis.is_some() || step.pause.is_some()
        });
        at_step
            || conditions::condition(&self.rollout.status, RolloutConditionType::Paused)
                .is_some_and(|condition| condition.status == ConditionStatus::True)
    }

    fn waits_for_scale_down(&self) -> bool {
        self.other_sets().into_iter().any(has_scale_down_deadline)
    }

    /// `progressDeadlineAbort`.
    fn abort_on_missed_deadline(&mut self, status: &RolloutStatus) {
        let missed = self.rollout.spec.progress_deadline_abort
            && !self.is_aborted()
            && !conditions::rollout_completed(status)
            && !conditions::rollout_progressing(&self.rollout, status)
            && !self.is_indefinite_step()
            && !self.waits_for_scale_down()
            && conditions::rollout_timed_out(&self.rollout, &self.rollout.status, self.now);
        if missed {
            let message = self.timeout_message();
            self.event(Event::warning(
                messages::ROLLOUT_ABORTED_REASON,
                message.clone(),
            ));
            self.pause.add_abort(message);
        }
    }

    fn timeout_message(&self) -> String {
        match self.new_set() {
            Some(new) => messages::replica_set_timed_out(new.name()),
            None => messages::rollout_timed_out(&self.rollout.metadata.name),
        }
    }

    /// Looks again when the progress deadline passes.
    fn wake_for_deadline(&mut self, status: &RolloutStatus) {
        let Some(progressing) = conditions::condition(status, RolloutConditionType::Progressing)
        else {
            return;
        };
        let waits = !conditions::rollout_healthy(&self.rollout, status)
            && progressing.reason != messages::TIMED_OUT_REASON
            && status.pause_conditions.is_empty()
            && !self.rollout.spec.paused
            && !status.abort
            && !self.is_indefinite_step();
        if let Some(deadline) = conditions::progress_deadline(&self.rollout, progressing)
            && waits
        {
            let at = deadline + WOKEN_LATE;
            if at > self.now {
                self.decision.wake(at);
            }
        }
    }

    /// Sets a condition, see [`conditions::set_condition`]. It is made only where something changes.
    fn set_condition(
        &self,
        status: &mut RolloutStatus,
        type_: RolloutConditionType,
        wanted: ConditionStatus,
        reason: &str,
        message: impl FnOnce() -> String,
    ) -> bool {
        if conditions::is_set(status, type_, wanted, reason) {
            return false;
        }
        let condition = conditions::new_condition(type_, wanted, reason, message(), self.now);
        conditions::set_condition(status, condition)
    }

    fn set_conditions(&mut self, status: &mut RolloutStatus) {
        use ConditionStatus::{False, True};
        use RolloutConditionType::{Available, Completed, Healthy, Progressing, ReplicaFailure};

        let paused = !status.pause_conditions.is_empty() || self.rollout.spec.paused;
        let aborted = self.is_aborted();
        let healthy = conditions::rollout_healthy(&self.rollout, status);
        let mut became_unhealthy = false;
        if !paused && healthy {
            let message = || messages::ROLLOUT_HEALTHY_MESSAGE.to_owned();
            let reason = messages::ROLLOUT_HEALTHY_REASON;
            self.set_condition(status, Healthy, True, reason, message);
        } else if conditions::condition(&self.rollout.status, Healthy).is_some() {
            let message = || messages::ROLLOUT_NOT_HEALTHY_MESSAGE.to_owned();
            let reason = messages::ROLLOUT_HEALTHY_REASON;
            became_unhealthy = self.set_condition(status, Healthy, False, reason, message);
        }

        if aborted {
            let mut message = messages::rollout_aborted(self.revision_number());
            if !self.pause.abort_message.is_empty() {
                message = format!("{message}: {}", self.pause.abort_message);
            }
            let reason = messages::ROLLOUT_ABORTED_REASON;
            if self.set_condition(status, Progressing, False, reason, || message.clone()) {
                self.event(Event::warning(reason, message));
            }
        } else if healthy {
            let message =
                || messages::replica_set_completed(self.new_set().map_or("", ReplicaSet::name));
            let reason = messages::NEW_REPLICA_SET_AVAILABLE_REASON;
            self.set_condition(status, Progressing, True, reason, message);
        } else if conditions::rollout_progressing(&self.rollout, status) || became_unhealthy {
            let was_promoted = status.stable_rs == status.current_pod_hash && became_unhealthy;
            let (reason, message) = if was_promoted {
                (
                    messages::REPLICA_SET_NOT_AVAILABLE_REASON,
                    messages::NOT_AVAILABLE_MESSAGE.to_owned(),
                )
            } else {
                let message = match self.new_set() {
                    Some(new) => messages::replica_set_progressing(new.name()),
                    None => messages::rollout_progressing(&self.rollout.metadata.name),
                };
                (messages::REPLICA_SET_UPDATED_REASON, message)
            };
            let mut condition =
                conditions::new_condition(Progressing, True, reason, message, self.now);
            if let Some(current) = conditions::condition(&self.rollout.status, Progressing) {
                if current.status == True {
                    condition.last_transition_time = current.last_transition_time;
                }
                conditions::remove_condition(status, Progressing);
            }
            conditions::set_condition(status, condition);
        } else if !self.is_indefinite_step()
            && !self.waits_for_scale_down()
            && conditions::rollout_timed_out(&self.rollout, status, self.now)
        {
            let message = || self.timeout_message();
            let reason = messages::TIMED_OUT_REASON;
            self.set_condition(status, Progressing, False, reason, message);
        }

        let available = match (
            &self.rollout.spec.strategy.blue_green,
            &self.rollout.spec.strategy.canary,
        ) {
            (Some(_), _) => self
                .replica_sets
                .iter()
                .find(|set| {
                    !set.hash().is_empty() && set.hash() == status.blue_green.active_selector
                })
                .is_some_and(|active| replicas::is_saturated(&self.rollout, Some(active))),
            (None, Some(_)) => self.total(|set| set.status.available_replicas) >= self.replicas(),
            (None, None) => false,
        };
        let (available, message) = if available {
            (True, messages::AVAILABLE_MESSAGE)
        } else {
            (False, messages::NOT_AVAILABLE_MESSAGE)
        };
        let reason = messages::AVAILABLE_REASON;
        self.set_condition(status, Available, available, reason, || message.to_owned());

        let failure = self
            .new_set()
            .into_iter()
            .chain(self.replica_sets.iter().map(Arc::as_ref))
            .flat_map(|set| &set.status.conditions)
            .find_map(conditions::condition_of_replica_set);
        match failure {
            Some(failure) => {
                conditions::set_condition(status, failure);
            }
            None => conditions::remove_condition(status, ReplicaFailure),
        }

        let completed = conditions::rollout_completed(status);
        let wanted = if completed { True } else { False };
        let reason = messages::ROLLOUT_COMPLETED_REASON;
        let changed = self.set_condition(status, Completed, wanted, reason, || reason.to_owned());
        if changed && !completed {
            let message =
                messages::rollout_not_completed(self.revision_number(), &status.current_pod_hash);
            self.event(Event::normal(
                messages::ROLLOUT_NOT_COMPLETED_REASON,
                message,
            ));
        }
    }
}

/// A label selector as text: `app=demo,tier in (a,b)`.
pub(super) fn selector_text(selector: &LabelSelector) -> String {
    let (mut text, mut separator) = (String::new(), "");
    let mut add = |parts: &[&str]| {
        text.push_str(separator);
        text.extend(parts.iter().copied());
        separator = ",";
    };
    for (key, value) in selector.match_labels.iter() {
        add(&[key, "=", value]);
    }
    for requirement in &selector.match_expressions {
        let (key, values) = (&requirement.key, requirement.values.join(","));
        match requirement.operator.as_str() {
            "In" => add(&[key, " in (", &values, ")"]),
            "NotIn" => add(&[key, " notin (", &values, ")"]),
            "DoesNotExist" => add(&["!", key]),
            _ => add(&[key]),
        }
    }
    text
}
