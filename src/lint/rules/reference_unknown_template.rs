//! `unknown-template`.

use crate::lint::context::Context;
use crate::lint::{Findings, Rule};
use crate::source::Severity;
use crate::spec::bundle::TEMPLATE_MISSING;

pub static RULE: Rule = Rule {
    name: "unknown-template",
    summary: "an analysis template is not among the files",
    severity: Severity::Warning,
    finds: "
References to an AnalysisTemplate or ClusterAnalysisTemplate that none of the files holds, in
rollouts, experiments and other templates. With `--complete` this is an error, as then the cluster
holds nothing else.",
    hurts: "
If the cluster does not have it either, the controller refuses the Rollout (condition `InvalidSpec`)
or the Experiment ends with an error.",
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
      analysis:
        templates:
          - templateName: success-rate
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
      steps:
        - setWeight: 10
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
      successCondition: result[0] >= 0.95
      provider:
        prometheus:
          address: http://prometheus.monitoring:9090
          query: sum(rate(http_requests_total{code!~\"5..\"}[5m])) / sum(rate(http_requests_total[5m]))
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for (object, problem) in &context.missing {
        if problem.code == TEMPLATE_MISSING {
            let finding = findings.report_problem(problem, Some(object));
            // Secrets seldom lie beside manifests.
            if context.settings.complete && finding.severity == Severity::Warning {
                finding.severity(Severity::Error);
            }
        }
    }
}
