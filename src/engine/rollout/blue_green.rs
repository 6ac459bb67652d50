//! The blue-green strategy.

use crate::spec::analysis::AnalysisPhase;
use crate::spec::rollout::BlueGreenStrategy;
use crate::spec::rollout_status::{PauseReason, RolloutStatus};

use super::context::Context;
use super::pause::{halt_reason, pause_condition, pause_end};
use super::services::selected_hash;
use super::{just_after, replicas};

impl Context<'_> {
    pub(super) fn reconcile_blue_green(&mut self) {
        self.reconcile_preview_service();
        if self.template_changed() {
            self.finish_blue_green();
            return;
        }
        self.restart_pods();
        self.reconcile_blue_green_sets();
        self.reconcile_blue_green_pause();
        self.reconcile_active_service();
        self.reconcile_analysis_runs();
        if self.decision.failure.is_some() {
            return;
        }
        self.reconcile_pod_metadata();
        self.finish_blue_green();
    }

    fn blue_green(&self) -> Option<&BlueGreenStrategy> {
        self.rollout.spec.strategy.blue_green.as_deref()
    }

    pub(super) fn reconcile_blue_green_sets(&mut self) {
        self.remove_scale_down_deadlines();
        if let Some(stable) = self.stable
            && self.new != self.stable
        {
            let replicas = self.replicas();
            self.scale(stable, replicas);
        }
        self.reconcile_new_set();
        self.reconcile_other_sets();
        self.delete_old_sets();
    }

    /// Hash that the active service selects at present.
    fn active_hash(&self) -> String {
        self.blue_green()
            .and_then(|blue_green| self.service(&blue_green.active_service))
            .map(|service| selected_hash(service).to_owned())
            .unwrap_or_default()
    }

    /// Whether the update skips its pause.
    pub(super) fn is_fast_tracked(&self) -> bool {
        let active = self.active_hash();
        self.is_fast_rollback()
            || self.rollout.status.promote_full
            || active.is_empty()
            || self.new_set().is_some_and(|new| new.hash() == active)
    }

    /// Whether the new ReplicaSet has the size and availability that a pause asks for.
    pub(super) fn is_ready_for_pause(&self) -> bool {
        self.new_set().is_some_and(|new| {
            replicas::new_replica_set_replicas(&self.rollout, &self.all_sets(), new, None)
                .is_ok_and(|wanted| {
                    new.replicas == wanted && new.status.available_replicas == wanted
                })
        })
    }

    pub(super) fn reconcile_blue_green_pause(&mut self) {
        if self.rollout.status.abort || !self.is_ready_for_pause() {
            return;
        }
        if let Some(reason) = halt_reason(&self.rollout) {
            self.reason(format!("the pause stays as it is: {reason}"));
            return;
        }
        let Some(blue_green) = self.blue_green() else {
            return;
        };
        let seconds = blue_green.auto_promotion_seconds;
        let wants_pause = blue_green.auto_promotion_enabled == Some(false) || seconds > 0;
        if self.is_fast_tracked()
            || self.rollout.status.blue_green.scale_up_preview_check_point
            || !wants_pause
        {
            self.pause.remove(PauseReason::BlueGreenPause);
            return;
        }
        if !self.is_pre_promotion_analysis_over() {
            self.reason("waits for the pre-promotion analysis");
            return;
        }
        match pause_condition(&self.rollout, PauseReason::BlueGreenPause) {
            Some(condition) => {
                if self.is_blue_green_pause_over() {
                    self.pause.remove(PauseReason::BlueGreenPause);
                } else if seconds > 0
                    && let Some(end) = pause_end(condition, i64::from(seconds))
                {
                    if end >= self.now {
                        self.decision.wake(just_after(end));
                    }
                    self.reason(format!("paused until {end} before the switch"));
                } else {
                    self.reason("paused before the switch: waits for promote");
                }
            }
            None => {
                if !self.rollout.status.controller_pause {
                    self.pause.add(PauseReason::BlueGreenPause);
                }
            }
        }
    }

    pub(super) fn is_pre_promotion_analysis_over(&self) -> bool {
        let wanted = self
            .blue_green()
            .is_some_and(|blue_green| blue_green.pre_promotion_analysis.is_some());
        !wanted
            || self
                .current_runs
                .pre_promotion
                .as_ref()
                .is_some_and(|run| run.status.phase == AnalysisPhase::Successful)
    }

    /// Whether the pause before the switch is behind us: its time has passed, or somebody resumed.
    ///
    /// A promotion before `autoPromotionSeconds` have run out counts; in the reference controller
    /// it restarts the countdown.
    pub(super) fn is_blue_green_pause_over(&self) -> bool {
        let Some(blue_green) = self.blue_green() else {
            return false;
        };
        if self.pause.has_added() {
            return false;
        }
        let status = &self.rollout.status;
        if status.blue_green.scale_up_preview_check_point {
            return true;
        }
        let condition = pause_condition(&self.rollout, PauseReason::BlueGreenPause);
        let resumed = status.controller_pause && condition.is_none();
        if !self.rollout.spec.auto_promotion_enabled_or_default() {
            return resumed;
        }
        let seconds = blue_green.auto_promotion_seconds;
        if seconds == 0 {
            return true;
        }
        match condition {
            Some(condition) => {
                pause_end(condition, i64::from(seconds)).is_some_and(|end| self.now > end)
            }
            None => resumed,
        }
    }

    pub(super) fn scale_down_others_of_blue_green(&mut self, mut others: Vec<usize>) -> bool {
        if pause_condition(&self.rollout, PauseReason::InconclusiveAnalysis).is_some() {
            self.reason("old ReplicaSets stay while an analysis is inconclusive");
            return false;
        }
        let Some(blue_green) = self.blue_green() else {
            return false;
        };
        if blue_green.post_promotion_analysis.is_some()
            && blue_green.scale_down_delay_seconds.is_none()
            && !self.skips_post_promotion_analysis()
        {
            let passed = self
                .current_runs
                .post_promotion
                .as_ref()
                .is_some_and(|run| run.status.phase == AnalysisPhase::Successful);
            if !passed {
                self.reason("old ReplicaSets stay until the post-promotion analysis has passed");
                return false;
            }
        }
        self.sort_by_revision(&mut others);
        let kept_size = self.replicas();
        let mut delayed = 0;
        let mut scaled = false;
        for index in others {
            let Some(set) = self.set(index) else {
                continue;
            };
            let size = set.replicas;
            if size == 0 || self.is_referenced(set) {
                continue;
            }
            let wanted = self.size_in_scale_down_delay(index, &mut delayed, kept_size);
            if size != wanted {
                self.scale(index, wanted);
                scaled = true;
            }
        }
        scaled
    }

    fn finish_blue_green(&mut self) {
        let Some(blue_green) = self.blue_green().cloned() else {
            return;
        };
        let mut status = self.base_status();
        status.stable_rs.clone_from(&self.rollout.status.stable_rs);
        if self.template_changed() {
            self.reset_status(&mut status);
        }
        if self.rollout.status.promote_full || self.is_rollback_within_window() {
            self.pause.clear();
            self.pause.remove_abort();
        }
        let selected = |name: &str| {
            self.service(name)
                .map(|service| selected_hash(service).to_owned())
                .unwrap_or_default()
        };
        status.blue_green.preview_selector = selected(&blue_green.preview_service);
        status.blue_green.active_selector = selected(&blue_green.active_service);
        if let Some(reason) = self.full_promotion_reason(&status) {
            self.promote_stable(&mut status, &reason);
        } else {
            status.blue_green.scale_up_preview_check_point = self.preview_check_point(&blue_green);
        }
        let active = self
            .replica_sets
            .iter()
            .find(|set| !set.hash().is_empty() && set.hash() == status.blue_green.active_selector);
        match active {
            Some(active) => {
                status.hpa_replicas = active.status.replicas;
                status.selector = super::status::selector_text(&active.selector);
                status.available_replicas = active.status.available_replicas;
                status.ready_replicas = active.status.ready_replicas;
            }
            None => {
                status.hpa_replicas = self.total(|set| set.status.replicas);
                status.selector = self.rollout_selector_text();
                status.available_replicas = self.total(|set| set.status.available_replicas);
            }
        }
        self.store(status);
    }

    /// `status.blueGreen.scaleUpPreviewCheckPoint`: set once the preview of
    /// `previewReplicaCount` pods has been approved, and kept until the rollout is over.
    fn preview_check_point(&self, blue_green: &BlueGreenStrategy) -> bool {
        let Some(count) = blue_green.preview_replica_count else {
            return false;
        };
        self.rollout.status.blue_green.scale_up_preview_check_point
            || (self.is_pre_promotion_analysis_over()
                && self.is_blue_green_pause_over()
                && self
                    .new_set()
                    .map_or(0, |new| new.status.available_replicas)
                    == count)
    }

    pub(super) fn is_blue_green_stable(&self, status: &RolloutStatus) -> bool {
        status.blue_green.active_selector == status.current_pod_hash
    }
}
