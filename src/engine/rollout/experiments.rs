//! Experiments that canary steps start.

use std::sync::Arc;

use crate::engine::{Action, Event};
use crate::spec::analysis::AnalysisPhase;
use crate::spec::experiment::Experiment;
use crate::spec::rollout_status::PauseReason;

use super::context::Context;
use super::pause::pause_condition;
use super::{experiment_step, steps};

impl Context<'_> {
    pub(super) fn reconcile_experiments(&mut self) {
        if self.is_aborted() || self.rollout.status.promote_full {
            let all: Vec<Arc<Experiment>> = self
                .other_experiments
                .iter()
                .chain(&self.current_experiment)
                .cloned()
                .collect();
            self.terminate_experiments(&all);
            return;
        }
        // The reference controller starts a second experiment while it is paused for an
        // inconclusive one; here that waits for somebody to resume.
        if pause_condition(&self.rollout, PauseReason::InconclusiveAnalysis).is_some()
            || pause_condition(&self.rollout, PauseReason::InconclusiveExperiment).is_some()
        {
            return;
        }
        let at_experiment =
            steps::current_step(&self.rollout).is_some_and(|(_, step)| step.experiment.is_some());
        let mut shown = None;
        if at_experiment {
            let current = match self.current_experiment.clone() {
                Some(current) => current,
                None if self.stable.is_none() => {
                    self.reason("an experiment waits until there is a stable version");
                    return;
                }
                None => match self.create_experiment() {
                    Ok(Some(created)) => created,
                    Ok(None) => return,
                    Err(failure) => return self.fail(failure),
                },
            };
            match current.status.phase {
                AnalysisPhase::Inconclusive => self.pause.add(PauseReason::InconclusiveExperiment),
                AnalysisPhase::Error | AnalysisPhase::Failed => {
                    let mut message = "Experiment analysis phase is error/failed".to_owned();
                    if !current.status.message.is_empty() {
                        message = format!("{message}: {}", current.status.message);
                    }
                    self.pause.add_abort(message);
                }
                AnalysisPhase::Successful => {}
                AnalysisPhase::Unset | AnalysisPhase::Pending | AnalysisPhase::Running => {
                    self.next
                        .canary
                        .current_experiment
                        .clone_from(&current.metadata.name);
                    shown = Some(current.metadata.name.clone());
                    self.current_experiment = Some(current);
                }
            }
        }
        let mut others: Vec<Arc<Experiment>> = self
            .other_experiments
            .iter()
            .filter(|other| Some(&other.metadata.name) != shown.as_ref())
            .cloned()
            .collect();
        if !at_experiment {
            others.extend(self.current_experiment.clone());
        }
        self.terminate_experiments(&others);
        let spec = &self.rollout.spec;
        let expired = experiment_step::experiments_to_delete(
            &others,
            &self.all_sets(),
            spec.successful_run_history_limit_or_default(),
            spec.unsuccessful_run_history_limit_or_default(),
        );
        for experiment in expired {
            if experiment.metadata.deletion_timestamp.is_none() {
                self.act(Action::DeleteExperiment {
                    name: experiment.metadata.name.clone(),
                });
            }
        }
    }

    fn create_experiment(&mut self) -> Result<Option<Arc<Experiment>>, String> {
        let (Some(stable), Some(new)) = (self.stable_set(), self.new_set()) else {
            return Ok(None);
        };
        let Some(mut wanted) = experiment_step::experiment_of_step(&self.rollout, stable, new)?
        else {
            return Ok(None);
        };
        wanted.metadata.owner_references = vec![self.rollout.owner_reference()].into();
        let created =
            match experiment_step::create_with_collision(&self.observed.experiments, wanted) {
                experiment_step::Created::New(experiment) => {
                    self.act(Action::CreateExperiment(experiment.clone()));
                    Arc::from(experiment)
                }
                experiment_step::Created::Existing(experiment) => experiment,
            };
        self.event(Event::normal(
            "ExperimentCreated",
            format!("Created Experiment '{}'", created.metadata.name),
        ));
        Ok(Some(created))
    }

    fn terminate_experiments(&mut self, experiments: &[Arc<Experiment>]) {
        for experiment in experiments {
            if !experiment.spec.terminate && !experiment.status.phase.is_completed() {
                self.act(Action::TerminateExperiment {
                    name: experiment.metadata.name.clone(),
                });
            }
        }
    }
}
