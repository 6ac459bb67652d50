//! Analysis runs of a rollout: started, watched, ended, cleaned up.

use std::sync::Arc;

use crate::engine::analysis::templates::{self, CurrentRuns};
use crate::engine::{Action, Event, REVISION_ANNOTATION, STEP_INDEX_LABEL};
use crate::spec::analysis::{AnalysisPhase, AnalysisRun, AnalysisRunStatus};
use crate::spec::rollout::RolloutAnalysis;
use crate::spec::rollout_status::{PauseReason, RolloutAnalysisRunStatus};
use crate::spec::string_map::StringMap;

use super::context::Context;
use super::pause::pause_condition;
use super::{replicas, steps};

type Run = Option<Arc<AnalysisRun>>;

/// Whether a rollout decides alike on a run with either status: it does not look at measurements.
pub fn shows_the_same(one: &AnalysisRunStatus, other: &AnalysisRunStatus) -> bool {
    let AnalysisRunStatus {
        phase,
        message,
        metric_results: _,
        started_at: _,
        completed_at: _,
        run_summary: _,
        dry_run_summary: _,
    } = one;
    *phase == other.phase && *message == other.message
}

impl Context<'_> {
    pub(super) fn reconcile_analysis_runs(&mut self) {
        let stop = self.is_fully_promoted()
            || self.is_aborted()
            || self.rollout.status.promote_full
            || self.is_fast_rollback()
            || self.rollout.status.stable_rs.is_empty();
        let mut current = CurrentRuns::default();
        if stop {
            let running = self.current_runs.clone();
            self.terminate_runs(running.iter());
            // Blue-green goes on to show its runs, canary does not.
            current.pre_promotion = running.pre_promotion;
            current.post_promotion = running.post_promotion;
        } else if self.rollout.spec.strategy.canary.is_some() {
            match self.reconcile_step_run() {
                Ok(run) => current.canary_step = run,
                Err(failure) => return self.fail(failure),
            }
            match self.reconcile_background_run() {
                Ok(run) => current.canary_background = run,
                Err(failure) => return self.fail(failure),
            }
        } else {
            match self.reconcile_promotion_run(Promotion::Pre) {
                Ok(run) => current.pre_promotion = run,
                Err(failure) => return self.fail(failure),
            }
            self.judge(
                &current.pre_promotion.clone(),
                "Blue/green pre-promotion analysis phase error/failed",
            );
            match self.reconcile_promotion_run(Promotion::Post) {
                Ok(run) => current.post_promotion = run,
                Err(failure) => return self.fail(failure),
            }
            self.judge(
                &current.post_promotion.clone(),
                "Blue/green post-promotion analysis phase error/failed",
            );
        }
        self.show_runs(&current);

        let is_shown = |run: &Arc<AnalysisRun>| {
            let mut shown = current.iter();
            shown.any(|shown| shown.metadata.name == run.metadata.name)
        };
        let others = self.other_runs.iter().filter(|run| !is_shown(run));
        let others: Vec<Arc<AnalysisRun>> = others.cloned().collect();
        self.terminate_runs(others.iter());
        let spec = &self.rollout.spec;
        let expired = templates::runs_to_delete(
            &others,
            &self.all_sets(),
            spec.successful_run_history_limit_or_default(),
            spec.unsuccessful_run_history_limit_or_default(),
        );
        for run in expired {
            if run.metadata.deletion_timestamp.is_none() {
                self.act(Action::DeleteAnalysisRun {
                    name: run.metadata.name.clone(),
                });
            }
        }
        self.announce_changes(&current);
    }

    pub(super) fn fail(&mut self, failure: String) {
        self.decision.failure.get_or_insert(failure);
    }

    fn terminate_runs<'r>(&mut self, runs: impl Iterator<Item = &'r Arc<AnalysisRun>>) {
        for run in runs {
            if !run.spec.terminate && !run.status.phase.is_completed() {
                self.act(Action::TerminateAnalysisRun {
                    name: run.metadata.name.clone(),
                });
            }
        }
    }

    /// Writes the runs into the next status, and keeps them for the rest of the pass.
    fn show_runs(&mut self, current: &CurrentRuns) {
        let shown = |run: &Run| {
            run.as_ref().map(|run| RolloutAnalysisRunStatus {
                name: run.metadata.name.clone(),
                status: run.status.phase,
                message: run.status.message.clone(),
            })
        };
        if self.rollout.spec.strategy.canary.is_some() {
            self.next.canary.current_background_analysis_run_status =
                shown(&current.canary_background);
            self.next.canary.current_step_analysis_run_status = shown(&current.canary_step);
        } else {
            self.next.blue_green.pre_promotion_analysis_run_status = shown(&current.pre_promotion);
            self.next.blue_green.post_promotion_analysis_run_status =
                shown(&current.post_promotion);
        }
        self.current_runs = current.clone();
    }

    /// Pauses on an inconclusive run, aborts on a failed one.
    fn judge(&mut self, run: &Run, failure: &str) {
        let Some(run) = run else { return };
        match run.status.phase {
            AnalysisPhase::Inconclusive => self.pause.add(PauseReason::InconclusiveAnalysis),
            AnalysisPhase::Error | AnalysisPhase::Failed => {
                let message = if run.status.message.is_empty() {
                    failure.to_owned()
                } else {
                    format!("{failure}: {}", run.status.message)
                };
                self.pause.add_abort(message);
            }
            AnalysisPhase::Unset
            | AnalysisPhase::Pending
            | AnalysisPhase::Running
            | AnalysisPhase::Successful => {}
        }
    }

    fn reconcile_step_run(&mut self) -> Result<Run, String> {
        let current = self.current_runs.canary_step.clone();
        if !self.rollout.status.pause_conditions.is_empty() || self.rollout.status.abort {
            return Ok(current);
        }
        let index = steps::current_step_index(&self.rollout);
        let analysis =
            steps::current_step(&self.rollout).and_then(|(_, step)| step.analysis.clone());
        let of_earlier_step = current.as_ref().is_some_and(|run| {
            run.metadata.labels.get(STEP_INDEX_LABEL)
                != index.map(|index| index.to_string()).as_ref()
        });
        let (Some(analysis), Some(index), false) = (analysis, index, of_earlier_step) else {
            self.terminate_runs(current.iter());
            return Ok(None);
        };
        if analysis.templates.is_empty() {
            self.terminate_runs(current.iter());
            return Ok(None);
        }
        if self.needs_new_run(&current) {
            let labels = templates::step_labels(index, self.new_hash());
            return self.create_run(&analysis, &index.to_string(), labels);
        }
        self.judge(&current, "Step-based analysis phase error/failed");
        Ok(current)
    }

    fn reconcile_background_run(&mut self) -> Result<Run, String> {
        let current = self.current_runs.canary_background.clone();
        let canary = self.rollout.spec.strategy.canary.clone();
        let background = canary.as_ref().and_then(|canary| canary.analysis.as_ref());
        let Some(background) =
            background.filter(|background| !background.analysis.templates.is_empty())
        else {
            self.terminate_runs(current.iter());
            return Ok(None);
        };
        let status = &self.rollout.status;
        if status.current_pod_hash.is_empty() || steps::before_starting_step(&self.rollout) {
            return Ok(None);
        }
        if pause_condition(&self.rollout, PauseReason::InconclusiveAnalysis).is_some() {
            return Ok(current);
        }
        if self.needs_new_run(&current) {
            let labels = templates::background_labels(self.new_hash());
            return self.create_run(&background.analysis, "", labels);
        }
        self.judge(&current, "Background analysis phase error/failed");
        Ok(current)
    }

    fn reconcile_promotion_run(&mut self, promotion: Promotion) -> Result<Run, String> {
        let Some(blue_green) = &self.rollout.spec.strategy.blue_green else {
            return Ok(None);
        };
        let (analysis, current, skip, infix) = match promotion {
            Promotion::Pre => (
                blue_green.pre_promotion_analysis.clone(),
                self.current_runs.pre_promotion.clone(),
                self.skips_pre_promotion_analysis(),
                "pre",
            ),
            Promotion::Post => (
                blue_green.post_promotion_analysis.clone(),
                self.current_runs.post_promotion.clone(),
                self.skips_post_promotion_analysis(),
                "post",
            ),
        };
        let Some(analysis) = analysis.filter(|analysis| !analysis.templates.is_empty()) else {
            self.terminate_runs(current.iter());
            return Ok(None);
        };
        if skip {
            self.terminate_runs(current.iter());
            return Ok(current);
        }
        if pause_condition(&self.rollout, PauseReason::InconclusiveAnalysis).is_some() {
            return Ok(current);
        }
        if self.needs_new_run(&current) {
            let labels = match promotion {
                Promotion::Pre => templates::pre_promotion_labels(self.new_hash()),
                Promotion::Post => templates::post_promotion_labels(self.new_hash()),
            };
            return self.create_run(&analysis, infix, labels);
        }
        Ok(current)
    }

    fn skips_pre_promotion_analysis(&self) -> bool {
        let hash = self.new_hash();
        let active = &self.rollout.status.blue_green.active_selector;
        if self.rollout.status.stable_rs == hash
            || active.is_empty()
            || active == hash
            || hash.is_empty()
        {
            return true;
        }
        if self.current_runs.pre_promotion.is_some() {
            return false;
        }
        let preview = self
            .rollout
            .spec
            .strategy
            .blue_green
            .as_ref()
            .and_then(|blue_green| blue_green.preview_replica_count);
        self.new_set().is_none_or(|new| match preview {
            Some(count) => new.replicas != count || new.status.available_replicas != count,
            None => !replicas::is_saturated(&self.rollout, Some(new)),
        })
    }

    pub(super) fn skips_post_promotion_analysis(&self) -> bool {
        let hash = self.new_hash();
        let status = &self.rollout.status;
        if status.stable_rs == hash || status.blue_green.active_selector != hash || hash.is_empty()
        {
            return true;
        }
        self.current_runs.post_promotion.is_none()
            && self
                .new_set()
                .is_none_or(|new| !replicas::is_saturated(&self.rollout, Some(new)))
    }

    /// A run is wanted where there is none, where the last one was inconclusive and somebody has
    /// resumed since, and after an abort.
    fn needs_new_run(&self, current: &Run) -> bool {
        let Some(run) = current else { return true };
        let status = &self.rollout.status;
        let resumed = status.controller_pause
            && pause_condition(&self.rollout, PauseReason::CanaryPauseStep).is_none()
            && pause_condition(&self.rollout, PauseReason::BlueGreenPause).is_none();
        if resumed {
            return run.status.phase == AnalysisPhase::Inconclusive;
        }
        status.aborted_at.is_some()
    }

    pub(super) fn new_hash(&self) -> &str {
        self.new_set().map_or("", |new| new.hash())
    }

    fn create_run(
        &mut self,
        analysis: &RolloutAnalysis,
        infix: &str,
        mut labels: StringMap,
    ) -> Result<Run, String> {
        let Some(new) = self.new_set() else {
            return Ok(None);
        };
        let arguments =
            templates::build_arguments(&analysis.args, self.stable_set(), new, &self.rollout)?;
        let (own, cluster) = templates::resolve_templates(self.observed, &analysis.templates)?;
        let revision = self
            .rollout
            .metadata
            .annotations
            .get(REVISION_ANNOTATION)
            .cloned()
            .unwrap_or_default();
        let mut name = format!("{}-{}-{revision}", self.rollout.metadata.name, new.hash());
        if !infix.is_empty() {
            name = format!("{name}-{infix}");
        }
        let mut annotations = StringMap::from([(REVISION_ANNOTATION.to_owned(), revision)]);
        labels.extend(templates::instance_id_label(&self.rollout.metadata));
        if let Some(metadata) = &analysis.analysis_run_metadata {
            labels.extend(metadata.labels.clone());
            annotations.extend(metadata.annotations.clone());
        }
        if let Some(selector) = &self.rollout.spec.selector {
            labels.extend(StringMap::clone(&selector.match_labels));
        }
        let mut run = templates::new_run(
            &own,
            &cluster,
            &arguments,
            &analysis.dry_run,
            &analysis.measurement_retention,
            labels,
            annotations,
            &name,
            "",
            &self.rollout.metadata.namespace,
        )?;
        run.metadata.owner_references = vec![self.rollout.owner_reference()].into();
        let run = match templates::create_with_collision_counter(&self.observed.analysis_runs, run)
        {
            templates::Created::New(run) => {
                self.act(Action::CreateAnalysisRun(Box::new(run.clone())));
                Arc::new(run)
            }
            templates::Created::Existing(run) => run,
        };
        Ok(Some(run))
    }

    /// One event for each shown run whose phase differs from the one in the stored status.
    fn announce_changes(&mut self, current: &CurrentRuns) {
        let status = &self.rollout.status;
        let pairs = [
            (
                &status.blue_green.post_promotion_analysis_run_status,
                &current.post_promotion,
                "PostPromotion",
            ),
            (
                &status.blue_green.pre_promotion_analysis_run_status,
                &current.pre_promotion,
                "PrePromotion",
            ),
            (
                &status.canary.current_step_analysis_run_status,
                &current.canary_step,
                "Step",
            ),
            (
                &status.canary.current_background_analysis_run_status,
                &current.canary_background,
                "Background",
            ),
        ];
        let mut events = Vec::new();
        for (previous, run, kind) in pairs {
            let Some(run) = run else { continue };
            let phase = run.status.phase;
            let changed = previous.as_ref().is_none_or(|previous| {
                previous.name == run.metadata.name && previous.status != phase
            });
            if phase == AnalysisPhase::Unset || !changed {
                continue;
            }
            let previous = previous
                .as_ref()
                .map_or("NoPreviousStatus", |previous| previous.status.as_str());
            let message = format!(
                "{kind} Analysis Run '{}' Status New: '{phase}' Previous: '{previous}'",
                run.metadata.name
            );
            let reason = format!("AnalysisRun{phase}");
            events.push(match phase {
                AnalysisPhase::Failed | AnalysisPhase::Error => Event::warning(reason, message),
                AnalysisPhase::Unset
                | AnalysisPhase::Pending
                | AnalysisPhase::Running
                | AnalysisPhase::Successful
                | AnalysisPhase::Inconclusive => Event::normal(reason, message),
            });
        }
        self.decision.events.extend(events);
    }
}

#[derive(Clone, Copy)]
enum Promotion {
    Pre,
    Post,
}
