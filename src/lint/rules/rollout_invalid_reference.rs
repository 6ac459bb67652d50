//! `invalid-reference`.

use serde_json::Value as Json;

use crate::lint::context::{Context, RefusalKind};
use crate::lint::{Findings, Rule};
use crate::source::Severity;
use crate::spec::bundle::Object;

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

/// On objects that a rollout changes; the controller writes it.
const MANAGED_BY_ANNOTATION: &str =
    "/metadata/annotations/argo-rollouts.argoproj.io~1managed-by-rollouts";

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for rollout in &context.rollouts {
        for refusal in &rollout.refusals {
            if refusal.kind == RefusalKind::Reference {
                findings.report_refusal(refusal);
            }
        }
    }
    for object in context
        .bundle
        .of_kind("networking.istio.io", "VirtualService")
    {
        check_manager(context, object, findings);
    }
}

/// A VirtualService that says that a rollout manages it, where the rollout has no Istio routing.
fn check_manager(context: &Context<'_>, object: &Object, findings: &mut Findings<'_>) {
    let manager = object.json().pointer(MANAGED_BY_ANNOTATION);
    let Some(manager) = manager.and_then(Json::as_str) else {
        return;
    };
    let namespace = object.namespace_or_default();
    for rollout in &context.rollouts {
        let is_manager =
            rollout.object.name == manager && rollout.object.namespace_or_default() == namespace;
        let routing = rollout
            .canary()
            .and_then(|canary| canary.traffic_routing.as_deref());
        if is_manager && routing.is_none_or(|routing| routing.istio.is_none()) {
            let path = "spec.strategy.canary.trafficRouting.istio";
            let message =
                format!("{path}: Rollout object is not configured with Istio traffic routing");
            findings.report(rollout.object, path, message).related(
                object.span_of("metadata.annotations"),
                "this object is annotated as managed by the rollout",
            );
        }
    }
}
