//! `no-analysis`.

use crate::lint::context::{Context, RolloutView};
use crate::lint::facts::canary_course::Hold;
use crate::lint::{Confidence, Findings, Rule};
use crate::source::Severity;

pub static RULE: Rule = Rule {
    name: "no-analysis",
    summary: "nothing measures the new version",
    severity: Severity::Warning,
    finds: "
Rollouts without any analysis: none beside the steps, none as a step or in an experiment step, none
before or after a blue-green promotion. The confidence is lower where a step plugin may judge the new
version, and where people have to promote.",
    hurts: "
A version that answers its readiness probe is taken for a good one. Errors, latency and lost orders
stop nothing: somebody has to see them, and abort in time.",
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
        let strategy = &rollout.rollout.spec.strategy;
        let path = match (&strategy.blue_green, &strategy.canary) {
            (Some(_), _) => "spec.strategy.blueGreen",
            (None, Some(_)) => "spec.strategy.canary",
            (None, None) => continue,
        };
        if !rollout.analyses.is_empty() {
            continue;
        }
        let place = rollout.object.node.span_of(path);
        let span = place.key.unwrap_or(place.value);
        findings
            .report_at(
                rollout.object,
                path,
                span,
                "no analysis judges the new version: every version whose pods become ready is released to all users",
            )
            .help(if strategy.blue_green.is_some() {
                "add a `prePromotionAnalysis` that measures the preview, or a `postPromotionAnalysis`"
            } else {
                "add an `analysis` beside the steps, or as a step behind the first weight"
            })
            .confidence(if is_judged_otherwise(rollout) {
                Confidence::Medium
            } else {
                Confidence::High
            });
    }
}

/// Whether people or plugins may judge the new version.
fn is_judged_otherwise(rollout: &RolloutView<'_>) -> bool {
    match rollout.canary() {
        None => !rollout.rollout.spec.auto_promotion_enabled_or_default(),
        Some(canary) => canary
            .steps
            .iter()
            .map(Hold::of)
            .any(|hold| matches!(hold, Hold::Plugin | Hold::UntilPromoted)),
    }
}
