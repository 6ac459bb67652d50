//! Experiments (argo-rollouts `utils/conditions/experiments.go`).

use std::collections::BTreeSet;

use super::field::{FieldError, Path};
use super::references::{ReferenceSource, resolve_templates};
use crate::spec::analysis::Argument;
use crate::spec::experiment::{Experiment, ExperimentAnalysisTemplateRef};
use crate::spec::rollout::AnalysisTemplateRef;
use crate::spec::templates::{merge_arguments, merge_rules, merge_templates};

/// The first mistake of an experiment's templates, as the reference puts it into the InvalidSpec
/// condition.
pub fn validate_experiment(experiment: &Experiment) -> Option<String> {
    let name = &experiment.metadata.name;
    let mut names = BTreeSet::new();
    experiment.spec.templates.iter().enumerate().find_map(|(i, template)| {
        let Some(selector) = &template.selector else {
            return Some(format!("Rollout has missing field '.Spec.Templates[{i}].Selector'"));
        };
        if selector.is_empty() {
            return Some(format!(
                "This experiment is selecting all pods at index {i}. A non-empty selector is required."
            ));
        }
        if template.min_ready_seconds > experiment.progress_deadline_seconds_or_default() {
            return Some(format!(
                "MinReadySeconds cannot be longer than ProgressDeadlineSeconds. Check template index {i}"
            ));
        }
        if template.name.is_empty() {
            return Some(format!("Experiment {name} has empty template name at index {i}"));
        }
        if !names.insert(&template.name) {
            return Some(format!("Experiment {name} has repeated template name '{}' in templates", template.name));
        }
        None
    })
}

/// What keeps analyses of an experiment from being started: templates that are missing or do not
/// fit together, arguments without a value.
pub fn validate_experiment_analyses(
    experiment: &Experiment,
    source: &impl ReferenceSource,
) -> Vec<FieldError> {
    let analyses = experiment.spec.analyses.iter().enumerate();
    analyses
        .filter_map(|(i, analysis)| {
            let path = Path::new("spec.analyses").index(i);
            let reference = [AnalysisTemplateRef {
                template_name: analysis.template_name.clone(),
                cluster_scope: analysis.cluster_scope,
            }];
            let (templates, cluster_templates) =
                match resolve_templates(&reference, path.clone(), source) {
                    Ok(templates) => templates,
                    Err(error) => return Some(*error),
                };
            let specs = templates.iter().map(|template| &template.spec);
            let specs: Vec<_> = specs
                .chain(cluster_templates.iter().map(|template| &template.spec))
                .collect();
            let merged = merge_templates(&specs).and_then(|merged| {
                let spec = &experiment.spec;
                merge_arguments(&given_arguments(analysis), &merged.args)?;
                let own = (
                    spec.dry_run.as_slice(),
                    spec.measurement_retention.as_slice(),
                );
                merge_rules(own, (&merged.dry_run, &merged.measurement_retention))
            });
            let reason = merged.err()?;
            let detail = format!(
                "Failed to create AnalysisRun for analysis '{}': {reason}",
                analysis.name
            );
            Some(path.invalid(&analysis.template_name, detail))
        })
        .collect()
}

/// The reference passes values on, but nothing by reference.
fn given_arguments(analysis: &ExperimentAnalysisTemplateRef) -> Vec<Argument> {
    let arguments = analysis.args.iter().cloned();
    arguments
        .map(|argument| Argument {
            value_from: None,
            ..argument
        })
        .collect()
}
