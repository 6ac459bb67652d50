//! `header-route-unsupported-router`.

use crate::lint::context::{Context, RolloutView};
use crate::lint::facts::router_abilities::{RouterAbilities, named_routers};
use crate::lint::{Findings, Rule};
use crate::source::Severity;

pub static RULE: Rule = Rule {
    name: "header-route-unsupported-router",
    summary: "a traffic router cannot do what a step asks for",
    severity: Severity::Warning,
    finds: "
Steps with `setHeaderRoute` or `setMirrorRoute` where a traffic router of the rollout has no such
routes. Where no router has them the controller refuses the rollout, and the severity is error; where
several routers are named, those without are skipped in silence. Plugins are taken to have both.",
    hurts: "
The requests that were to reach the new version first, those of testers or copies of real ones, do not
reach it. The step passes all the same, and the next weight meets users unprepared.",
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
      trafficRouting:
        managedRoutes:
          - name: testers
        nginx:
          stableIngress: shop
      steps:
        - setHeaderRoute:
            name: testers
            match:
              - headerName: X-Tester
                headerValue: {exact: \"yes\"}
        - pause: {duration: 10m}
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
      canaryService: shop-canary
      stableService: shop-stable
      trafficRouting:
        managedRoutes:
          - name: testers
        istio:
          virtualService: {name: shop}
      steps:
        - setHeaderRoute:
            name: testers
            match:
              - headerName: X-Tester
                headerValue: {exact: \"yes\"}
        - pause: {duration: 10m}
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
        let routing = canary.traffic_routing.as_deref();
        let routers = routing.map(named_routers).unwrap_or_default();
        let has_plugins = routing.is_some_and(|routing| !routing.plugins.is_empty());
        for (step, canary_step) in canary.steps.iter().enumerate() {
            let asked = [
                (
                    canary_step.set_header_route.is_some(),
                    "setHeaderRoute",
                    "route by header",
                    (|router| router.header_routes) as fn(&RouterAbilities) -> bool,
                ),
                (
                    canary_step.set_mirror_route.is_some(),
                    "setMirrorRoute",
                    "mirror requests",
                    |router| router.mirror_routes,
                ),
            ];
            for (_, field, what, can) in asked.into_iter().filter(|(is_asked, ..)| *is_asked) {
                let names: Vec<&str> = routers
                    .iter()
                    .filter(|router| !can(router))
                    .map(|router| router.name)
                    .collect();
                let is_refused = !has_plugins && names.len() == routers.len();
                if !names.is_empty() || is_refused {
                    report(rollout, step, field, what, &names, is_refused, findings);
                }
            }
        }
    }
}

fn report(
    rollout: &RolloutView<'_>,
    step: usize,
    field: &str,
    what: &str,
    names: &[&str],
    is_refused: bool,
    findings: &mut Findings<'_>,
) {
    let path = rollout.step_path(step, field);
    let place = rollout.object.node.span_of(&path);
    let span = place.key.unwrap_or(place.value);
    let message = match (names, is_refused) {
        ([], _) => format!(
            "without a traffic router nothing can {what}: the controller refuses the rollout"
        ),
        (_, true) => format!(
            "{} cannot {what}: the controller refuses the rollout",
            names.join(" and ")
        ),
        (_, false) => format!(
            "{} cannot {what}: the step changes nothing for the requests that come through there",
            names.join(" and ")
        ),
    };
    let finding = findings.report_at(rollout.object, path, span, message).help(
        "take the step out, or use a router that can: Istio for both, ALB and Apisix for header routes",
    );
    if is_refused {
        finding.severity(Severity::Error);
    }
    let routing = "spec.strategy.canary.trafficRouting";
    if !names.is_empty() {
        finding.related(rollout.span_of(routing), "the routers");
    }
}
