//! `invalid-rollout`.

use crate::lint::context::{Context, RefusalKind};
use crate::lint::{Findings, Rule};
use crate::source::Severity;

pub static RULE: Rule = Rule {
    name: "invalid-rollout",
    summary: "the controller refuses the rollout",
    severity: Severity::Error,
    finds: "
Values of a Rollout that the controller's validation refuses: strategies, steps, weights, durations,
services of the strategy, selectors and limits. The message names the field as the controller does,
which leaves `canary` and `blueGreen` out of paths.",
    hurts: "
The API server accepts the object, and then nothing happens: the Rollout gets the condition
`InvalidSpec` and no new version goes out until somebody looks.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
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
        - setWeight: 150
        - pause: {duration: 10m}
",
    good: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
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
        - setWeight: 15
        - pause: {duration: 10m}
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for rollout in &context.rollouts {
        for refusal in &rollout.refusals {
            if refusal.kind == RefusalKind::Spec {
                findings.report_refusal(refusal);
            }
        }
    }
}
