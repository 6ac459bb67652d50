//! Experiments (argo-rollouts `utils/conditions/experiments.go`).

use std::collections::BTreeSet;

use crate::spec::experiment::Experiment;

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
