//! Analysis runs of an Experiment (argo-rollouts `experiments/experiment.go`,
//! `utils/template/template.go`).

use std::collections::BTreeMap;

use crate::engine::analysis::templates::{self, Created};
use crate::engine::{Action, Event};
use crate::spec::analysis::{AnalysisPhase, Argument};
use crate::spec::experiment::{ExperimentAnalysisRunStatus, ExperimentAnalysisTemplateRef};
use crate::spec::rollout::AnalysisTemplateRef;
use crate::spec::string_map::StringMap;
use crate::spec::templates::substitute;

use super::context::Context;
use super::phases;

const REQUIRED_COMPLETED_MESSAGE: &str = "Required AnalysisRuns completed";

impl Context<'_> {
    /// Starts, watches or ends the run of one analysis.
    pub(super) fn reconcile_analysis(&mut self, analysis: &ExperimentAnalysisTemplateRef) {
        let stored = phases::analysis_status(&self.experiment.status, &analysis.name);
        let previous = stored
            .cloned()
            .unwrap_or_else(|| ExperimentAnalysisRunStatus {
                name: analysis.name.clone(),
                ..ExperimentAnalysisRunStatus::default()
            });
        let mut status = previous.clone();
        self.advance_analysis(analysis, &mut status);
        if previous.phase != status.phase && status.phase != AnalysisPhase::Unset {
            self.announce_analysis(&previous, &status);
        }
        phases::set_analysis_status(&mut self.next, status);
    }

    /// The worst phase of all analyses with its message. Successful where there are none, and as
    /// soon as all required ones are unless another went wrong.
    ///
    /// There the reference controller waits for the others, but never sees them end, since it has
    /// begun to terminate them.
    pub(super) fn assess_analyses(&self) -> (AnalysisPhase, String) {
        let mut worst = AnalysisPhase::Successful;
        let mut message = String::new();
        for analysis in &self.experiment.spec.analyses {
            let Some(run) = phases::analysis_status(&self.next, &analysis.name) else {
                continue;
            };
            if phases::analysis_badness(run.phase) > phases::analysis_badness(worst) {
                worst = run.phase;
                message.clone_from(&run.message);
            }
        }
        if !phases::went_wrong(worst)
            && phases::required_analyses_succeeded(&self.experiment.spec, &self.next)
        {
            return (
                AnalysisPhase::Successful,
                REQUIRED_COMPLETED_MESSAGE.to_owned(),
            );
        }
        if worst == AnalysisPhase::Pending {
            worst = AnalysisPhase::Running;
        }
        (worst, message)
    }

    fn advance_analysis(
        &mut self,
        analysis: &ExperimentAnalysisTemplateRef,
        status: &mut ExperimentAnalysisRunStatus,
    ) {
        if self.experiment.status.available_at.is_none() {
            if let Some(message) = self.missing_template(analysis) {
                fail(status, message);
            }
            return;
        }
        if status.analysis_run.is_empty() {
            if self.is_terminating {
                return;
            }
            match self.create_run(analysis) {
                Ok(name) => {
                    status.phase = AnalysisPhase::Pending;
                    status.analysis_run = name;
                }
                Err(error) => fail(
                    status,
                    format!(
                        "Failed to create AnalysisRun for analysis '{}': {error}",
                        analysis.name
                    ),
                ),
            }
            return;
        }
        if status.phase.is_completed() {
            return;
        }
        let name = status.analysis_run.clone();
        let Some(run) = self.observed.analysis_runs.get(&name) else {
            fail(
                status,
                format!("analysisruns.argoproj.io {name:?} not found"),
            );
            return;
        };
        if self.is_terminating {
            if !run.status.phase.is_completed() && !run.spec.terminate {
                self.event(Event::normal(
                    "AnalysisRunTerminating",
                    format!("Terminating {} ({name})", analysis.name),
                ));
                self.act(Action::TerminateAnalysisRun { name });
            }
            return;
        }
        status.phase = run.status.phase;
        status.message.clone_from(&run.status.message);
    }

    /// A missing template is an error even before anything runs.
    fn missing_template(&self, analysis: &ExperimentAnalysisTemplateRef) -> Option<String> {
        let template = &analysis.template_name;
        let (kind, present) = if analysis.is_cluster_scope() {
            let templates = &self.observed.cluster_analysis_templates;
            ("ClusterAnalysisTemplate", templates.contains_key(template))
        } else {
            (
                "AnalysisTemplate",
                self.observed.analysis_templates.contains_key(template),
            )
        };
        (!present).then(|| {
            format!(
                "{kind} verification failed for analysis '{}': {}.argoproj.io {template:?} not found",
                analysis.name,
                kind.to_ascii_lowercase()
            )
        })
    }

    /// Returns the run's name.
    fn create_run(&mut self, analysis: &ExperimentAnalysisTemplateRef) -> Result<String, String> {
        let experiment = self.experiment;
        let arguments = self.resolve_arguments(&analysis.args)?;
        let reference = AnalysisTemplateRef {
            template_name: analysis.template_name.clone(),
            cluster_scope: analysis.cluster_scope,
        };
        let (own, cluster) = templates::resolve_templates(self.observed, &[reference])?;
        let metadata = &experiment.spec.analysis_run_metadata;
        let mut labels: StringMap = templates::instance_id_label(&experiment.metadata)
            .into_iter()
            .collect();
        labels.extend(metadata.labels.clone());
        let mut run = templates::new_run(
            &own,
            &cluster,
            &arguments,
            &experiment.spec.dry_run,
            &experiment.spec.measurement_retention,
            labels,
            metadata.annotations.clone(),
            &format!("{}-{}", experiment.metadata.name, analysis.name),
            "",
            &experiment.metadata.namespace,
        )?;
        run.metadata.owner_references = vec![self.owner_reference()].into();
        match templates::create_with_collision_counter(&self.observed.analysis_runs, run) {
            Created::New(run) => {
                let name = run.metadata.name.clone();
                self.act(Action::CreateAnalysisRun(Box::new(run)));
                Ok(name)
            }
            Created::Existing(run) => Ok(run.metadata.name.clone()),
        }
    }

    /// Values with what the Experiment knows filled in; an argument without a value stays so.
    fn resolve_arguments(&self, arguments: &[Argument]) -> Result<Vec<Argument>, String> {
        let mut values = BTreeMap::new();
        let (spec, status) = (&self.experiment.spec, &self.experiment.status);
        if let Some(available_at) = status.available_at {
            values.insert(
                "experiment.availableAt".to_owned(),
                available_at.to_string(),
            );
        }
        for (template, set) in &self.replica_sets {
            values.insert(
                format!("templates.{template}.podTemplateHash"),
                set.hash().to_owned(),
            );
            values.insert(
                format!("templates.{template}.replicaset.name"),
                set.name().to_owned(),
            );
        }
        let mut resolved = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let value = match &argument.value {
                Some(value) => {
                    if !spec.duration.is_empty() {
                        spec.duration.parse().map_err(|error| error.to_string())?;
                    }
                    if let Some(end) = phases::ends_at(spec, status) {
                        values.insert("experiment.finishedAt".to_owned(), end.to_string());
                    }
                    Some(substitute(value, &values)?)
                }
                None => None,
            };
            resolved.push(Argument {
                name: argument.name.clone(),
                value,
                value_from: None,
            });
        }
        Ok(resolved)
    }

    fn announce_analysis(
        &mut self,
        previous: &ExperimentAnalysisRunStatus,
        status: &ExperimentAnalysisRunStatus,
    ) {
        let mut message = format!(
            "AnalysisRun '{}' transitioned from {} -> {}",
            status.name, previous.phase, status.phase
        );
        if !status.message.is_empty() {
            message = format!("{message}: {}", status.message);
        }
        let reason = format!("AnalysisRun{}", status.phase);
        self.event(if phases::went_wrong(status.phase) {
            Event::warning(reason.clone(), message.clone())
        } else {
            Event::normal(reason.clone(), message.clone())
        });
        let owners = &self.experiment.metadata.owner_references;
        if owners.iter().any(|owner| owner.kind == "Rollout") {
            // Notifications are subscribed to on the Rollout.
            self.event(Event {
                about_owner: true,
                ..Event::warning(reason, message)
            });
        }
    }
}

fn fail(status: &mut ExperimentAnalysisRunStatus, message: String) {
    status.phase = AnalysisPhase::Error;
    status.message = message;
}
