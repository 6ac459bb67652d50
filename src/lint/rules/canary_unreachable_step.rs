//! `unreachable-step`.

use crate::lint::context::{Context, RolloutView};
use crate::lint::{Confidence, Findings, Rule};
use crate::source::Severity;
use crate::spec::rollout::CanaryStrategy;

pub static RULE: Rule = Rule {
    name: "unreachable-step",
    summary: "something that can never run",
    severity: Severity::Warning,
    finds: "
A `startingStep` of a background analysis that lies behind the last step; and, as an info, a last step
`setWeight` to all requests: that is what follows the steps anyway.",
    hurts: "
The analysis that was to judge the release does not run: every version passes, and it looks watched.",
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
      analysis:
        templates:
          - templateName: success-rate
        startingStep: 4
      steps:
        - setWeight: 20
        - pause: {duration: 10m}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  metrics:
    - name: success-rate
      interval: 1m
      count: 5
      failureLimit: 1
      successCondition: result[0] >= 0.95
      provider:
        prometheus:
          address: http://prometheus.monitoring:9090
          query: |
            sum(rate(http_requests_total{app=\"shop-canary\",code!~\"5..\"}[5m]))
            /
            sum(rate(http_requests_total{app=\"shop-canary\"}[5m]))
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
      analysis:
        templates:
          - templateName: success-rate
        startingStep: 1
      steps:
        - setWeight: 20
        - pause: {duration: 10m}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  metrics:
    - name: success-rate
      interval: 1m
      count: 5
      failureLimit: 1
      successCondition: result[0] >= 0.95
      provider:
        prometheus:
          address: http://prometheus.monitoring:9090
          query: |
            sum(rate(http_requests_total{app=\"shop-canary\",code!~\"5..\"}[5m]))
            /
            sum(rate(http_requests_total{app=\"shop-canary\"}[5m]))
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for rollout in &context.rollouts {
        let Some(canary) = rollout.canary() else {
            continue;
        };
        check_starting_step(rollout, canary, findings);
        check_last_weight(rollout, canary, findings);
    }
}

fn check_starting_step(
    rollout: &RolloutView<'_>,
    canary: &CanaryStrategy,
    findings: &mut Findings<'_>,
) {
    let count = canary.steps.len();
    let starting_step = canary.analysis.as_ref().and_then(|it| it.starting_step);
    let Some(start) = starting_step.and_then(|start| usize::try_from(start).ok()) else {
        return;
    };
    // Without steps nothing is waited for.
    if count == 0 || start < count {
        return;
    }
    findings
        .report(
            rollout.object,
            "spec.strategy.canary.analysis.startingStep",
            format!(
                "the analysis never judges a step: it starts at step {start}, and the last one is {}",
                count - 1
            ),
        )
        .help("steps count from 0: start it behind the first weight")
        .confidence(if start == count {
            Confidence::Medium
        } else {
            Confidence::High
        })
        .related(
            rollout.span_of(&rollout.step_path(count - 1, "")),
            "the last step",
        );
}

fn check_last_weight(
    rollout: &RolloutView<'_>,
    canary: &CanaryStrategy,
    findings: &mut Findings<'_>,
) {
    let all = rollout.rollout.spec.max_traffic_weight_or_default();
    let Some(last) = canary.steps.len().checked_sub(1) else {
        return;
    };
    let is_all = canary
        .steps
        .get(last)
        .is_some_and(|step| step.set_weight == Some(all));
    // A single step is no sequence: somebody asks for an update at once.
    if is_all && last > 0 {
        findings
            .report(
                rollout.object,
                rollout.step_path(last, "setWeight"),
                "the last step changes nothing: all requests go to the new version behind the steps anyway",
            )
            .help("leave it out, or let a pause or an analysis follow that keeps the old version until it is over")
            .severity(Severity::Info);
    }
}
