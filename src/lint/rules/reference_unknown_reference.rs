//! `unknown-reference`.

use crate::lint::context::Context;
use crate::lint::{Findings, Rule};
use crate::source::Severity;
use crate::spec::bundle::REFERENCE_MISSING;

pub static RULE: Rule = Rule {
    name: "unknown-reference",
    summary: "an object that is referred to is not among the files",
    severity: Severity::Warning,
    finds: "
Services, Ingresses, workloads and objects of traffic routers that a Rollout or Experiment names and
none of the files holds. With `--complete` this is an error. Secrets are only a note, as they seldom
lie beside manifests.",
    hurts: "
If the cluster does not have it either, the controller refuses the Rollout (condition `InvalidSpec`).",
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
      canaryService: shop-canary
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
      canaryService: shop-canary
      steps:
        - setWeight: 10
        - pause: {duration: 10m}
---
apiVersion: v1
kind: Service
metadata:
  name: shop-canary
spec:
  selector: {app: shop}
  ports:
    - port: 80
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for (object, problem) in &context.missing {
        if problem.code == REFERENCE_MISSING {
            let finding = findings.report_problem(problem, Some(object));
            // Secrets seldom lie beside manifests.
            if context.settings.complete && finding.severity == Severity::Warning {
                finding.severity(Severity::Error);
            }
        }
    }
}
