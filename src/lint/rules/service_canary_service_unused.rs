//! `canary-service-unused`.

use crate::lint::context::{Context, RolloutView, ServiceUse};
use crate::lint::facts::service_mentions::ServiceMentions;
use crate::lint::{Confidence, Findings, Rule};
use crate::source::Severity;

pub static RULE: Rule = Rule {
    name: "canary-service-unused",
    summary: "nothing sends requests to the canary or stable service",
    severity: Severity::Info,
    finds: "
`canaryService` and `stableService` of a canary without a traffic router that nothing in the files
mentions: no Ingress, no route of any kind, no argument or query of an analysis. The users of the
service may be elsewhere, so the confidence is low.",
    hurts: "
Without a router, the weights work by the number of pods behind the service that users call. Services
that nobody calls split no traffic: who believes that they do is wrong about who sees the new version.",
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
      stableService: shop-stable
      steps:
        - setWeight: 20
        - pause: {duration: 10m}
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
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: shop
spec:
  defaultBackend:
    service:
      name: shop-stable
      port:
        number: 80
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    let rollouts = context.rollouts.iter();
    let candidates: Vec<&RolloutView<'_>> = rollouts
        .filter(|it| !it.has_router() && it.canary().is_some() && !it.services.is_empty())
        .collect();
    if candidates.is_empty() {
        return;
    }
    let services = candidates.iter().flat_map(|it| &it.services);
    let mentions = ServiceMentions::new(context, services.map(|service| service.name.as_str()));
    for rollout in candidates {
        let unused: Vec<&ServiceUse<'_>> = rollout
            .services
            .iter()
            .filter(|service| !mentions.holds(rollout, &service.name))
            .collect();
        let Some((first, others)) = unused.split_first() else {
            continue;
        };
        let names: Vec<String> = unused
            .iter()
            .map(|service| format!("`{}`", service.name))
            .collect();
        let finding = findings
            .report(
                rollout.object,
                first.path.clone(),
                format!(
                    "nothing in these files sends requests to {}, and without a traffic router the weights do not use {}",
                    names.join(" or "),
                    if others.is_empty() { "it" } else { "them" },
                ),
            )
            .help("name a traffic router, or leave the services out; ignore this if somebody outside of these files calls them")
            .confidence(Confidence::Low);
        for other in others {
            finding.related(other.span, "nor to this one");
        }
    }
}
