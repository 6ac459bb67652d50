//! `hpa-conflict`.

use crate::lint::context::{Context, RolloutView};
use crate::lint::edits::remove_entry;
use crate::lint::{Applicability, Confidence, Findings, Rule};
use crate::source::Severity;
use crate::spec::bundle::Object;

pub static RULE: Rule = Rule {
    name: "hpa-conflict",
    summary: "two hands set the number of pods",
    severity: Severity::Warning,
    finds: "
`spec.replicas` of a rollout that an autoscaler scales (a HorizontalPodAutoscaler or a KEDA
ScaledObject); several autoscalers on one rollout; and an autoscaler that still scales the Deployment
that the rollout replaces: the one that its `workloadRef` names, or one of the rollout's name that is
not among the files.",
    hurts: "
Each time the file is applied, the number in it replaces what the autoscaler had chosen, in the middle
of the day's load. Two autoscalers pull to and fro. One on the replaced Deployment scales pods that are
to go, and the rollout not at all.",
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
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: shop
spec:
  scaleTargetRef:
    apiVersion: argoproj.io/v1alpha1
    kind: Rollout
    name: shop
  minReplicas: 5
  maxReplicas: 20
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
      steps:
        - setWeight: 20
        - pause: {duration: 10m}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: shop
spec:
  scaleTargetRef:
    apiVersion: argoproj.io/v1alpha1
    kind: Rollout
    name: shop
  minReplicas: 5
  maxReplicas: 20
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for rollout in &context.rollouts {
        check_replicas(context, rollout, findings);
        if let [first, second, ..] = rollout.autoscalers.as_slice() {
            findings
                .report(
                    second,
                    "spec.scaleTargetRef.name",
                    format!(
                        "{} and {} both set the number of pods of {}",
                        first.title(),
                        second.title(),
                        rollout.object.title()
                    ),
                )
                .help("keep one of them, with all the metrics")
                .related(first.span_of("spec.scaleTargetRef.name"), "the other one");
        }
        for autoscaler in &rollout.workload_autoscalers {
            report_replaced(rollout, autoscaler, Confidence::High, findings);
        }
        let name = &rollout.object.name;
        let namespace = rollout.object.namespace_or_default();
        let is_migrated = rollout.rollout.spec.workload_ref.is_none()
            && rollout.autoscalers.is_empty()
            && context
                .bundle
                .find("apps", "Deployment", namespace, name)
                .is_none();
        if is_migrated {
            for autoscaler in context.autoscalers_of(namespace, "Deployment", name) {
                report_replaced(rollout, autoscaler, Confidence::Medium, findings);
            }
        }
    }
}

fn check_replicas(context: &Context<'_>, rollout: &RolloutView<'_>, findings: &mut Findings<'_>) {
    let (Some(replicas), Some(autoscaler)) =
        (rollout.rollout.spec.replicas, rollout.autoscalers.first())
    else {
        return;
    };
    let finding = findings
        .report(
            rollout.object,
            "spec.replicas",
            format!(
                "each time this file is applied, the number of pods goes back to {replicas}, whatever {} had chosen",
                autoscaler.title()
            ),
        )
        .help("leave `spec.replicas` out; keep the present number in the cluster while you do: without it, an apply may go down to 1 first")
        .related(autoscaler.span_of("spec.scaleTargetRef.name"), "scales the rollout");
    let spec = rollout.object.node.at("spec");
    if let Some(edit) = spec.and_then(|spec| remove_entry(context.sources, spec, "replicas")) {
        finding.fix(Applicability::Unsafe, "remove `spec.replicas`", vec![edit]);
    }
}

fn report_replaced(
    rollout: &RolloutView<'_>,
    autoscaler: &Object,
    confidence: Confidence,
    findings: &mut Findings<'_>,
) {
    let place = match &rollout.rollout.spec.workload_ref {
        Some(_) => "spec.workloadRef.name",
        None => "metadata.name",
    };
    findings
        .report(
            autoscaler,
            "spec.scaleTargetRef.kind",
            format!(
                "{} scales the Deployment that {} replaces, and not the rollout",
                autoscaler.title(),
                rollout.object.title()
            ),
        )
        .help(format!(
            "let it scale the rollout: `apiVersion: argoproj.io/v1alpha1`, `kind: Rollout`, `name: {}`",
            rollout.object.name
        ))
        .confidence(confidence)
        .related(rollout.span_of(place), "replaces it");
}
