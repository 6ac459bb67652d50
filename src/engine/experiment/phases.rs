//! Questions about an Experiment's spec and status (argo-rollouts `utils/experiment/experiment.go`,
//! `utils/analysis/helpers.go`).

use crate::spec::analysis::AnalysisPhase;
use crate::spec::experiment::{
    Experiment, ExperimentAnalysisRunStatus, ExperimentSpec, ExperimentStatus, TemplateSpec,
    TemplateStatus, TemplateStatusCode,
};
use crate::time::Timestamp;

/// Whether nothing new is to be started and everything is to be taken down: it was asked for, the
/// Experiment has finished, a part of it went wrong, or all required analyses have succeeded.
pub(super) fn is_terminating(spec: &ExperimentSpec, status: &ExperimentStatus) -> bool {
    let template_went_wrong = |template: &TemplateStatus| match template.status {
        TemplateStatusCode::Failed | TemplateStatusCode::Error => true,
        TemplateStatusCode::Unset
        | TemplateStatusCode::Progressing
        | TemplateStatusCode::Running
        | TemplateStatusCode::Successful => false,
    };
    spec.terminate
        || status.phase.is_completed()
        || status.template_statuses.iter().any(template_went_wrong)
        || status.analysis_runs.iter().any(|run| went_wrong(run.phase))
        || required_analyses_succeeded(spec, status)
}

pub(super) fn has_required_analyses(spec: &ExperimentSpec) -> bool {
    spec.analyses
        .iter()
        .any(|analysis| analysis.required_for_completion)
}

/// Whether there are required analyses, and all of them were successful.
pub(super) fn required_analyses_succeeded(
    spec: &ExperimentSpec,
    status: &ExperimentStatus,
) -> bool {
    let succeeded = |name: &str| {
        analysis_status(status, name).is_some_and(|run| run.phase == AnalysisPhase::Successful)
    };
    has_required_analyses(spec)
        && spec
            .analyses
            .iter()
            .filter(|analysis| analysis.required_for_completion)
            .all(|analysis| succeeded(&analysis.name))
}

/// When the duration is over; none before all templates were available, and for a duration that
/// is absent or cannot be read.
pub(super) fn ends_at(spec: &ExperimentSpec, status: &ExperimentStatus) -> Option<Timestamp> {
    if spec.duration.is_empty() {
        return None;
    }
    Some(status.available_at? + spec.duration.parse().ok()?)
}

pub(super) fn has_passed_duration(
    spec: &ExperimentSpec,
    status: &ExperimentStatus,
    now: Timestamp,
) -> bool {
    ends_at(spec, status).is_some_and(|end| now > end)
}

/// Pods a template shall have, according to `status`.
pub(super) fn desired_replicas(
    experiment: &Experiment,
    status: &ExperimentStatus,
    template: &TemplateSpec,
) -> i32 {
    let completed = template_status(status, &template.name)
        .is_some_and(|template| template.status.is_completed());
    if completed || is_terminating(&experiment.spec, status) {
        0
    } else {
        replicas_or_default(template)
    }
}

pub(super) fn replicas_or_default(template: &TemplateSpec) -> i32 {
    template.replicas.unwrap_or(crate::spec::defaults::REPLICAS)
}

pub(super) fn template_status<'a>(
    status: &'a ExperimentStatus,
    name: &str,
) -> Option<&'a TemplateStatus> {
    status
        .template_statuses
        .iter()
        .find(|template| template.name == name)
}

pub(super) fn set_template_status(status: &mut ExperimentStatus, new: TemplateStatus) {
    match status
        .template_statuses
        .iter_mut()
        .find(|template| template.name == new.name)
    {
        Some(present) => *present = new,
        None => status.template_statuses.push(new),
    }
}

pub(super) fn analysis_status<'a>(
    status: &'a ExperimentStatus,
    name: &str,
) -> Option<&'a ExperimentAnalysisRunStatus> {
    status.analysis_runs.iter().find(|run| run.name == name)
}

pub(super) fn set_analysis_status(status: &mut ExperimentStatus, new: ExperimentAnalysisRunStatus) {
    match status
        .analysis_runs
        .iter_mut()
        .find(|run| run.name == new.name)
    {
        Some(present) => *present = new,
        None => status.analysis_runs.push(new),
    }
}

/// Order of badness; a phase that was not reported yet counts as good.
pub(super) const fn analysis_badness(phase: AnalysisPhase) -> u8 {
    match phase {
        AnalysisPhase::Unset | AnalysisPhase::Successful => 0,
        AnalysisPhase::Running => 1,
        AnalysisPhase::Pending => 2,
        AnalysisPhase::Inconclusive => 3,
        AnalysisPhase::Error => 4,
        AnalysisPhase::Failed => 5,
    }
}

/// Order of badness; a status that was not reported yet counts as good.
pub(super) const fn template_badness(status: TemplateStatusCode) -> u8 {
    match status {
        TemplateStatusCode::Unset | TemplateStatusCode::Successful => 0,
        TemplateStatusCode::Running => 1,
        TemplateStatusCode::Progressing => 2,
        TemplateStatusCode::Error => 3,
        TemplateStatusCode::Failed => 4,
    }
}

/// Whether an analysis ended otherwise than well.
pub(super) const fn went_wrong(phase: AnalysisPhase) -> bool {
    match phase {
        AnalysisPhase::Failed | AnalysisPhase::Error | AnalysisPhase::Inconclusive => true,
        AnalysisPhase::Unset
        | AnalysisPhase::Pending
        | AnalysisPhase::Running
        | AnalysisPhase::Successful => false,
    }
}
