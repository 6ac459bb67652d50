//! `surge-ignored-with-steps`.

use crate::lint::context::Context;
use crate::lint::edits::remove_entry;
use crate::lint::{Applicability, Findings, Rule};
use crate::source::Severity;

pub static RULE: Rule = Rule {
    name: "surge-ignored-with-steps",
    summary: "`maxSurge` and `maxUnavailable` do nothing beside a traffic router",
    severity: Severity::Info,
    finds: "
`maxSurge` and `maxUnavailable` of a canary with steps and a traffic router.",
    hurts: "
With a router, the steps say how many pods the new version has, and the stable version keeps all of its
own. Who sets `maxSurge` to bound the pods of an update gets up to twice as many all the same;
`maxUnavailable` only bounds restarts and the end of old versions.",
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
      canaryService: shop-canary
      stableService: shop-stable
      maxSurge: 1
      trafficRouting:
        istio:
          virtualService: {name: shop}
      steps:
        - setWeight: 20
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
---
apiVersion: v1
kind: Service
metadata:
  name: shop-stable
spec:
  selector: {app: shop}
  ports:
    - port: 80
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: shop
spec:
  hosts: [shop]
  http:
    - route:
        - destination: {host: shop-stable}
          weight: 100
        - destination: {host: shop-canary}
          weight: 0
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
      canaryService: shop-canary
      stableService: shop-stable
      trafficRouting:
        istio:
          virtualService: {name: shop}
      steps:
        - setWeight: 20
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
---
apiVersion: v1
kind: Service
metadata:
  name: shop-stable
spec:
  selector: {app: shop}
  ports:
    - port: 80
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: shop
spec:
  hosts: [shop]
  http:
    - route:
        - destination: {host: shop-stable}
          weight: 100
        - destination: {host: shop-canary}
          weight: 0
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for rollout in &context.rollouts {
        let Some(canary) = rollout.canary() else {
            continue;
        };
        if !rollout.has_router() || canary.steps.is_empty() {
            continue;
        }
        let strategy = "spec.strategy.canary";
        let routing = rollout
            .object
            .node
            .span_of(&format!("{strategy}.trafficRouting"));
        let related = routing.key.unwrap_or(routing.value);
        if canary.max_surge.is_some() {
            let finding = findings
                .report(
                    rollout.object,
                    format!("{strategy}.maxSurge"),
                    "`maxSurge` does nothing: with a traffic router, an update may take up to twice the pods",
                )
                .help("leave it out; `setCanaryScale` and `dynamicStableScale` bound the pods")
                .related(related, "the router");
            let map = rollout.object.node.at(strategy);
            if let Some(edit) = map.and_then(|map| remove_entry(context.sources, map, "maxSurge")) {
                finding.fix(Applicability::Safe, "remove `maxSurge`", vec![edit]);
            }
        }
        if canary.max_unavailable.is_some() {
            findings
                .report(
                    rollout.object,
                    format!("{strategy}.maxUnavailable"),
                    "`maxUnavailable` does not bear on the steps: with a traffic router, it only bounds restarts and the end of old versions",
                )
                .help("leave it out if it was meant for updates")
                .related(related, "the router");
        }
    }
}
