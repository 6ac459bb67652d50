//! `experiment-without-port`.

use crate::engine::experiment::services::offers_ports;
use crate::lint::context::{Context, RolloutView};
use crate::lint::{Findings, Rule};
use crate::source::Severity;
use crate::spec::bundle::Typed;

pub static RULE: Rule = Rule {
    name: "experiment-without-port",
    summary: "a template of an experiment gets no Service",
    severity: Severity::Error,
    finds: "
Templates of an experiment step with a `weight`, and templates with a `service`, whose containers name
no `ports`. The controller makes a Service out of the ports of the containers, and without any it makes
none and says nothing. Pods that come from a workload which is not among the files are not judged.",
    hurts: "
The weight of the template is written all the same, to a destination without a name: that share of the
users gets errors, or the router takes no change of its routes any more.",
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
        istio:
          virtualService: {name: shop}
      steps:
        - experiment:
            duration: 10m
            templates:
              - name: candidate
                specRef: canary
                weight: 5
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
          ports:
            - containerPort: 8080
  strategy:
    canary:
      canaryService: shop-canary
      stableService: shop-stable
      trafficRouting:
        istio:
          virtualService: {name: shop}
      steps:
        - experiment:
            duration: 10m
            templates:
              - name: candidate
                specRef: canary
                weight: 5
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
        check_steps(rollout, findings);
    }
    for object in context.bundle.objects() {
        let Typed::Experiment(experiment) = &object.typed else {
            continue;
        };
        for (index, template) in experiment.spec.templates.iter().enumerate() {
            if template.service.is_some() && !offers_ports(&template.template) {
                findings
                    .report(
                        object,
                        format!("spec.templates[{index}].service"),
                        "no container has a port, so that there will be no Service".to_owned(),
                    )
                    .severity(Severity::Warning)
                    .help(HELP);
            }
        }
    }
}

const HELP: &str =
    "give the container that serves requests its `ports`, for instance `- containerPort: 8080`";

fn check_steps(rollout: &RolloutView<'_>, findings: &mut Findings<'_>) {
    let pods = &rollout.rollout.spec.template;
    if pods.containers().next().is_none() || offers_ports(pods) {
        return;
    }
    let steps = rollout.steps();
    for (step, canary_step) in steps.iter().enumerate() {
        let Some(experiment) = &canary_step.experiment else {
            continue;
        };
        for (index, template) in experiment.templates.iter().enumerate() {
            let path = |field: &str| {
                rollout.step_path(step, &format!("experiment.templates[{index}].{field}"))
            };
            if let Some(weight) = template.weight.filter(|weight| *weight > 0) {
                let message = format!(
                    "no container has a port, so that there will be no Service, and {weight}% of the traffic \
                     goes nowhere"
                );
                findings
                    .report(rollout.object, path("weight"), message)
                    .help(HELP);
            } else if template.service.is_some() {
                let message =
                    "no container has a port, so that there will be no Service".to_owned();
                findings
                    .report(rollout.object, path("service"), message)
                    .severity(Severity::Warning)
                    .help(HELP);
            }
        }
    }
}
