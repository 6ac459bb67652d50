//! `indefinite-pause`.

use crate::lint::context::Context;
use crate::lint::facts::canary_course::wanted_percent;
use crate::lint::{Findings, Rule};
use crate::source::Severity;
use crate::spec::rollout::{RolloutExperimentStep, RolloutExperimentStepAnalysisTemplateRef};

pub static RULE: Rule = Rule {
    name: "indefinite-pause",
    summary: "a step waits until somebody promotes",
    severity: Severity::Info,
    finds: "
Steps `pause: {}`, which have no duration, and experiment steps that do not end by themselves: they have
neither a `duration` nor an analysis with `requiredForCompletion`.",
    hurts: "
That may well be what is wanted. But a release over which nobody watches stays half done: over night
the canary serves its share of the users with two versions running, and no newer version gets out
unless somebody promotes or aborts.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
  replicas: 10
  selector:
    matchLabels: {app: shop}
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers:
        - name: shop
          image: shop:1.0.0
  strategy:
    canary:
      steps:
        - setWeight: 20
        - pause: {}
",
    good: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
  replicas: 10
  selector:
    matchLabels: {app: shop}
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers:
        - name: shop
          image: shop:1.0.0
  strategy:
    canary:
      steps:
        - setWeight: 20
        - pause: {duration: 30m}
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for rollout in &context.rollouts {
        let steps = rollout.steps();
        for (step, canary_step) in steps.iter().enumerate() {
            let pause = canary_step.pause.as_ref();
            let experiment = canary_step.experiment.as_deref();
            if pause.is_some_and(|pause| pause.duration.is_none()) {
                let weight = wanted_percent(rollout, rollout.rollout.weight_at_step(step));
                findings
                    .report(
                        rollout.object,
                        rollout.step_path(step, "pause"),
                        format!("the rollout waits here, at {weight:.0}%, until somebody promotes or aborts it"),
                    )
                    .help("give the pause a `duration`, or see that somebody is told of it");
            } else if experiment.is_some_and(never_ends) {
                let path = rollout.step_path(step, "experiment");
                let place = rollout.object.node.span_of(&path);
                findings
                    .report_at(
                        rollout.object,
                        path,
                        place.key.unwrap_or(place.value),
                        "the experiment does not end by itself: the rollout waits here until somebody ends it, promotes or aborts",
                    )
                    .help("give it a `duration`, or one of its analyses `requiredForCompletion: true`");
            }
        }
    }
}

/// Whether only people, or a failure, end the experiment.
fn never_ends(experiment: &RolloutExperimentStep) -> bool {
    let is_required =
        |analysis: &RolloutExperimentStepAnalysisTemplateRef| analysis.required_for_completion;
    experiment.duration.is_empty() && !experiment.analyses.iter().any(is_required)
}
