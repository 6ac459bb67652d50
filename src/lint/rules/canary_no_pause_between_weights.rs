//! `no-pause-between-weights`.

use crate::lint::context::Context;
use crate::lint::facts::canary_course::{Hold, holds_between, weight_steps};
use crate::lint::{Findings, Rule};
use crate::source::Severity;

pub static RULE: Rule = Rule {
    name: "no-pause-between-weights",
    summary: "a weight is followed by the next one at once",
    severity: Severity::Warning,
    finds: "
Two `setWeight` steps with neither a pause nor an analysis nor an experiment between them; a step
plugin counts as one of these, a pause of no length does not. Scaling the canary and setting header
or mirror routes hold nothing up. A background analysis does not either: it runs beside the steps.",
    hurts: "
The first of the two weights lasts only until its pods are ready: nobody and nothing looks at the new
version at that share, so the step protects no user.",
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
        - setWeight: 10
        - setWeight: 50
        - pause: {duration: 10m}
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
        - setWeight: 10
        - pause: {duration: 10m}
        - setWeight: 50
        - pause: {duration: 10m}
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for rollout in &context.rollouts {
        let weights = weight_steps(rollout);
        for (from, to) in weights.iter().zip(weights.iter().skip(1)) {
            let is_held = holds_between(rollout, from.step, to.step).any(|hold| hold != Hold::None);
            // At a weight of nothing there is nothing to look at.
            if is_held || from.weight == 0 {
                continue;
            }
            findings
                .report(
                    rollout.object,
                    rollout.step_path(from.step, "setWeight"),
                    format!(
                        "weight {} lasts no time: nothing waits before weight {} follows",
                        from.weight, to.weight
                    ),
                )
                .help("put a pause or an analysis between the two, or leave the first one out")
                .related(
                    rollout.span_of(&rollout.step_path(to.step, "setWeight")),
                    "the next weight",
                );
        }
    }
}
