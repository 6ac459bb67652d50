//! `invalid-reference`.

use crate::lint::context::{Context, RefusalKind};
use crate::lint::{Findings, Rule};
use crate::source::Severity;

pub static RULE: Rule = Rule {
    name: "invalid-reference",
    summary: "what the rollout refers to does not fit",
    severity: Severity::Error,
    finds: "
Services whose selector is not that of the pods, templates that cannot be merged or whose arguments
get no value, metrics without an end where the rollout waits for them, Ingresses, VirtualServices and
other routes without the services of the rollout, and workloads that cannot be used. All of them are
in the files; what is missing is told by `unknown-template` and `unknown-reference`.",
    hurts: "
The controller refuses the Rollout (condition `InvalidSpec`), or traffic goes to pods that it does not
control.",
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
    blueGreen:
      activeService: shop
      previewService: shop-preview
---
apiVersion: v1
kind: Service
metadata:
  name: shop
spec:
  selector: {app: shop-v2}
  ports:
    - port: 80
---
apiVersion: v1
kind: Service
metadata:
  name: shop-preview
spec:
  selector: {app: shop}
  ports:
    - port: 80
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
    blueGreen:
      activeService: shop
      previewService: shop-preview
---
apiVersion: v1
kind: Service
metadata:
  name: shop
spec:
  selector: {app: shop}
  ports:
    - port: 80
---
apiVersion: v1
kind: Service
metadata:
  name: shop-preview
spec:
  selector: {app: shop}
  ports:
    - port: 80
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for rollout in &context.rollouts {
        for refusal in &rollout.refusals {
            if refusal.kind == RefusalKind::Reference {
                findings.report_refusal(refusal);
            }
        }
    }
}
