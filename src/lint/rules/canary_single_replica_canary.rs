//! `single-replica-canary`.

use crate::engine::rollout::replicas::{ReplicaCounts, pods_for_weight};
use crate::lint::context::Context;
use crate::lint::facts::canary_course::weight_steps;
use crate::lint::{Findings, Rule};
use crate::source::Severity;

pub static RULE: Rule = Rule {
    name: "single-replica-canary",
    summary: "one pod cannot be split by weights",
    severity: Severity::Warning,
    finds: "
Canaries of one pod without a traffic router that have steps with a weight between nothing and all:
`spec.replicas` is 1, or is not set and no autoscaler among the files scales the Rollout.",
    hurts: "
With one pod there is no small share. The second pod that an update starts gets half of the requests,
or replaces the old one at once, whatever the steps say.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
  replicas: 1
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
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for rollout in &context.rollouts {
        let spec = &rollout.rollout.spec;
        let is_single = match spec.replicas {
            Some(replicas) => replicas == 1,
            None => rollout.autoscalers.is_empty(),
        };
        let all = spec.max_traffic_weight_or_default();
        let weights = weight_steps(rollout);
        let Some(first) = weights
            .iter()
            .find(|step| step.weight > 0 && step.weight < all)
        else {
            continue;
        };
        if rollout.has_router() || !is_single {
            continue;
        }
        let ReplicaCounts { canary, stable } = pods_for_weight(&rollout.rollout, first.weight);
        let what = match (canary, stable) {
            (0, _) => "the new version gets no request at".to_owned(),
            (_, 0) => "the new version gets all requests at".to_owned(),
            (_, _) => format!(
                "the new version gets {:.0}% of the requests at",
                first.percent
            ),
        };
        let span = rollout.span_of(&rollout.step_path(first.step, "setWeight"));
        let message = format!("one pod cannot be split: {what} weight {}", first.weight);
        let help = "run several pods, split the requests by a traffic router, or use blue-green";
        // Without the field, the weight is the nearest text that shows it.
        let finding = if spec.replicas.is_some() {
            findings
                .report(rollout.object, "spec.replicas", message)
                .related(span, "the first weight")
        } else {
            findings.report_at(rollout.object, "spec.replicas", span, message)
        };
        finding.help(help);
    }
}
