//! `invalid-pod-template`.

use crate::lint::context::{Context, RefusalKind};
use crate::lint::{Findings, Rule};
use crate::source::Severity;

pub static RULE: Rule = Rule {
    name: "invalid-pod-template",
    summary: "the pods of the rollout cannot be made",
    severity: Severity::Error,
    finds: "
A pod template that Kubernetes would refuse in a ReplicaSet: containers, ports, environment,
resources, probes, volumes, scheduling, security, and labels that the selector does not match. For a
Rollout with a `workloadRef` the template is that of the workload.",
    hurts: "
The controller refuses the Rollout (condition `InvalidSpec`), or no pod of the new version starts.",
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
          ports:
            - containerPort: 70000
  strategy:
    canary: {}
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
          ports:
            - containerPort: 7000
  strategy:
    canary: {}
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for rollout in &context.rollouts {
        for refusal in &rollout.refusals {
            if refusal.kind == RefusalKind::PodTemplate {
                findings.report_refusal(refusal);
            }
        }
    }
}
