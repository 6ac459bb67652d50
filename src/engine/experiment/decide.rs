//! One pass over an Experiment (argo-rollouts `experiments/controller.go`,
//! `experiments/experiment.go`).

use crate::engine::{Decision, Event, Observed};
use crate::spec::analysis::AnalysisPhase;
use crate::spec::experiment::{Experiment, ExperimentStatus, TemplateStatusCode};
use crate::spec::validation::validate_experiment;
use crate::time::{Duration, Timestamp};

use super::context::Context;
use super::{conditions, phases};

/// Decides what to do for an Experiment, given what is observed in its namespace.
///
/// `now` is the wall clock, to be given in full resolution; what is stored has whole seconds.
/// Errors of the spec become an `InvalidSpec` condition.
pub fn decide(
    experiment: &Experiment,
    observed: &Observed,
    now: Timestamp,
) -> Decision<ExperimentStatus> {
    if experiment.metadata.deletion_timestamp.is_some() {
        return Decision::default();
    }
    if let Some(message) = validate_experiment(experiment) {
        let mut decision = Decision::default();
        decision
            .reasons
            .push(format!("the spec is invalid: {message}"));
        let mut next = experiment.status.clone();
        conditions::set_invalid_spec(&mut next, message, now);
        decision.status = (next != experiment.status).then_some(next);
        return decision;
    }
    match Context::new(experiment, observed, now) {
        Ok(mut context) => {
            context.reconcile();
            context.decision
        }
        Err(failure) => Decision {
            failure: Some(failure),
            ..Decision::default()
        },
    }
}

impl Context<'_> {
    fn reconcile(&mut self) {
        let experiment = self.experiment;
        for template in &experiment.spec.templates {
            self.reconcile_template(template);
        }
        for analysis in &experiment.spec.analyses {
            self.reconcile_analysis(analysis);
        }
        self.update_phase();
        conditions::update(experiment, &mut self.next, self.now);
        self.wake_for_deadlines();
        if self.next != experiment.status {
            if self.next.phase != experiment.status.phase {
                self.announce_phase();
            }
            self.decision.status = Some(self.next.clone());
        }
    }

    fn update_phase(&mut self) {
        match self.next.phase {
            AnalysisPhase::Unset => self.next.phase = AnalysisPhase::Pending,
            AnalysisPhase::Pending | AnalysisPhase::Running => self.update_unfinished_phase(),
            AnalysisPhase::Successful
            | AnalysisPhase::Failed
            | AnalysisPhase::Error
            | AnalysisPhase::Inconclusive => {}
        }
    }

    fn update_unfinished_phase(&mut self) {
        let spec = &self.experiment.spec;
        let of_templates = self.assess_templates();
        let of_analyses = self.assess_analyses();
        if of_templates.0 == AnalysisPhase::Running && self.next.available_at.is_none() {
            self.next.available_at = Some(self.now.truncate_to_seconds());
        }
        let analyses_decide = if of_templates.0.is_completed() {
            of_templates.0 == AnalysisPhase::Successful
                && (of_analyses.0.is_completed() || phases::has_required_analyses(spec))
        } else {
            phases::went_wrong(of_analyses.0)
                || phases::required_analyses_succeeded(spec, &self.next)
        };
        (self.next.phase, self.next.message) = if analyses_decide {
            of_analyses
        } else {
            of_templates
        };
    }

    /// The worst of the templates' statuses as a phase, with its message.
    fn assess_templates(&self) -> (AnalysisPhase, String) {
        let mut worst = TemplateStatusCode::Successful;
        let mut message = String::new();
        for template in &self.experiment.spec.templates {
            let Some(status) = phases::template_status(&self.next, &template.name) else {
                continue;
            };
            if phases::template_badness(status.status) > phases::template_badness(worst) {
                worst = status.status;
                message.clone_from(&status.message);
            }
        }
        let phase = match worst {
            TemplateStatusCode::Progressing => AnalysisPhase::Pending,
            TemplateStatusCode::Failed => AnalysisPhase::Failed,
            TemplateStatusCode::Error => AnalysisPhase::Error,
            TemplateStatusCode::Successful => AnalysisPhase::Successful,
            TemplateStatusCode::Running | TemplateStatusCode::Unset => AnalysisPhase::Running,
        };
        (phase, message)
    }

    fn announce_phase(&mut self) {
        let (old, new) = (self.experiment.status.phase, self.next.phase);
        let reason = format!("Experiment{new}");
        let message = format!("Experiment transitioned from {old} -> {new}");
        self.event(if phases::went_wrong(new) {
            Event::warning(reason, message)
        } else {
            Event::normal(reason, message)
        });
    }

    /// The end of the duration, and deadlines of templates that lack pods.
    fn wake_for_deadlines(&mut self) {
        let experiment = self.experiment;
        let (spec, next) = (&experiment.spec, &self.next);
        if phases::is_terminating(spec, next) {
            return;
        }
        let seconds = experiment.progress_deadline_seconds_or_default();
        let deadline = Duration::from_secs(i64::from(seconds));
        let mut wakes = Vec::new();
        let mut reasons = Vec::new();
        for template in &spec.templates {
            let Some(status) = phases::template_status(next, &template.name) else {
                continue;
            };
            let lacks_pods =
                status.available_replicas != phases::desired_replicas(experiment, next, template);
            if let Some(progressed_at) = status.last_transition_time
                && lacks_pods
                && !status.status.is_completed()
            {
                wakes.push(progressed_at + deadline);
            }
        }
        match phases::ends_at(spec, next) {
            Some(end) if self.now <= end => {
                wakes.push(end);
                reasons.push(format!("it runs until {end}"));
            }
            Some(_) => {}
            None if !spec.duration.is_empty() && spec.duration.parse().is_err() => {
                reasons.push(format!(
                    "its duration {:?} cannot be read, so that it does not end by itself",
                    spec.duration.as_str()
                ));
            }
            None => {}
        }
        if next.available_at.is_some() && phases::has_required_analyses(spec) {
            reasons.push("it waits for its required analyses".to_owned());
        }
        for reason in reasons {
            self.reason(reason);
        }
        for wake in wakes {
            // Both are compared strictly.
            self.decision.wake(wake + Duration::from_millis(1));
        }
    }
}
