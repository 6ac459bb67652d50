//! `oversized-first-weight`.

use crate::lint::context::{Context, RolloutView};
use crate::lint::{Confidence, Findings, Rule, Setting};
use crate::source::Severity;
use crate::spec::rollout::CanaryStep;

pub static RULE: Rule = Rule {
    name: "oversized-first-weight",
    summary: "the first step sends much of the traffic to the new version at once",
    severity: Severity::Warning,
    finds: "
The first `setWeight` of a canary, where it gives the new version more than `max_first_weight`
percent of the requests. Without a traffic router the weight is what the number of pods makes of
it. Nothing is found where a step that shows the new version to few stands before: a header route,
a mirror, an experiment, or pods without traffic (`setCanaryScale`).",
    hurts: "
Nobody has seen the new version serve a request yet. A fault that every request meets hits that
share of the users until it is noticed, however careful the later steps are.",
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
    settings: &[Setting {
        name: "max_first_weight",
        default: "20",
        about: "percent of the requests that a first step may send",
    }],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for rollout in &context.rollouts {
        check_rollout(rollout, context.settings.max_first_weight, findings);
    }
}

fn check_rollout(rollout: &RolloutView<'_>, limit: i32, findings: &mut Findings<'_>) {
    let Some(canary) = rollout.canary() else {
        return;
    };
    let first = canary
        .steps
        .iter()
        .enumerate()
        .find_map(|(step, canary_step)| match canary_step.set_weight {
            // A weight of nothing shows nothing.
            Some(weight) if weight > 0 => Some(Some((step, weight))),
            Some(_) | None if is_shown_to_few(canary_step) => Some(None),
            Some(_) | None => None,
        })
        .flatten();
    let Some((step, weight)) = first else {
        return;
    };
    // One pod cannot be split: that is `single-replica-canary`.
    if !rollout.has_router() && rollout.rollout.spec.replicas_or_default() < 2 {
        return;
    }
    let Some(percent) = rollout.percent_at(weight).filter(|p| *p > f64::from(limit)) else {
        return;
    };
    let path = rollout.step_path(step, "setWeight");
    let by_pods = if rollout.has_router() {
        ""
    } else {
        ", by its share of the pods"
    };
    findings
        .report(
            rollout.object,
            path,
            format!(
                "the first step sends {percent:.0}% of the requests to the new version at once{by_pods}"
            ),
        )
        .help(format!(
            "start with a step of {limit}% or less, with a pause or an analysis behind it"
        ))
        .confidence(if rollout.has_router() {
            Confidence::High
        } else {
            Confidence::Medium
        });
}

/// Whether the step lets somebody look at the new version without giving it a share of the traffic.
fn is_shown_to_few(step: &CanaryStep) -> bool {
    step.set_header_route.is_some()
        || step.set_mirror_route.is_some()
        || step.set_canary_scale.is_some()
        || step.experiment.is_some()
}
