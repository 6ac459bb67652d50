//! `pause-exceeds-progress-deadline`.

use crate::lint::context::{Context, RolloutView};
use crate::lint::facts::demonstrate::demonstrate;
use crate::lint::facts::pod_templates::{self, PodTemplatePlace};
use crate::lint::{Confidence, Counterexample, Finding, Findings, Rule};
use crate::sim::scenario::{Period, PodTrouble, Release, Scenario, ScenarioEvent};
use crate::source::Severity;
use crate::spec::yaml::{Node, Value};
use crate::time::Duration;

pub static RULE: Rule = Rule {
    name: "pause-exceeds-progress-deadline",
    summary: "a rollout is given up while its pods are still waiting to be ready",
    severity: Severity::Warning,
    finds: "
Pods that cannot be ready, or available, before `progressDeadlineSeconds` (600 if not set) is over: the
delays of the readiness and startup probes, or `minReadySeconds`, take longer than that. The confidence is
medium for a startup probe that only permits a container to take that long. Pauses of steps do not count:
the deadline does not run while a rollout is paused.",
    hurts: "
Every update ends as Degraded, or is aborted with `progressDeadlineAbort`, although nothing is wrong with
the version: its pods had no chance to be in time.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
  replicas: 10
  progressDeadlineSeconds: 120
  selector:
    matchLabels: {app: shop}
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers:
        - name: shop
          image: shop:1.0.0
          readinessProbe:
            initialDelaySeconds: 300
            httpGet: {path: /ready, port: 8080}
  strategy:
    canary:
      steps:
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
  progressDeadlineSeconds: 120
  selector:
    matchLabels: {app: shop}
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers:
        - name: shop
          image: shop:1.0.0
          readinessProbe:
            initialDelaySeconds: 30
            httpGet: {path: /ready, port: 8080}
  strategy:
    canary:
      steps:
        - setWeight: 20
        - pause: {duration: 10m}
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for rollout in &context.rollouts {
        let spec = &rollout.rollout.spec;
        let deadline = i64::from(spec.progress_deadline_seconds_or_default());
        if i64::from(spec.min_ready_seconds) > deadline {
            let message = format!(
                "a pod is available {} s after it is ready, but the update is given up after {deadline} s",
                spec.min_ready_seconds
            );
            let finding = findings.report(rollout.object, "spec.minReadySeconds", message);
            relate_deadline(rollout, finding);
        }
        let Some(template) = pod_templates::of_rollout(rollout) else {
            continue;
        };
        let containers = template.node.at("spec.containers").and_then(Node::as_seq);
        for (index, container) in containers.into_iter().flatten().enumerate() {
            let path = format!("{}.spec.containers[{index}]", template.path);
            check_container(context, rollout, &template, container, &path, findings);
        }
    }
}

fn check_container(
    context: &Context<'_>,
    rollout: &RolloutView<'_>,
    template: &PodTemplatePlace<'_>,
    container: &Node,
    path: &str,
    findings: &mut Findings<'_>,
) {
    let deadline = i64::from(rollout.rollout.spec.progress_deadline_seconds_or_default());
    let name = container
        .get("name")
        .and_then(Node::as_str)
        .unwrap_or_default();
    // What the API server fills in.
    let number = |field: &str, default: i64| match container.at(field).map(|node| &node.value) {
        Some(Value::Int(number)) => *number,
        Some(_) | None => default,
    };
    let readiness = number("readinessProbe.initialDelaySeconds", 0).saturating_add(
        number("readinessProbe.successThreshold", 1)
            .saturating_sub(1)
            .saturating_mul(number("readinessProbe.periodSeconds", 10)),
    );
    let startup = number("startupProbe.initialDelaySeconds", 0);
    let (probe, earliest) = if startup > readiness {
        ("startupProbe", startup)
    } else {
        ("readinessProbe", readiness)
    };
    if earliest > deadline {
        let message = format!(
            "container `{name}` is ready after {earliest} s at the earliest, but the update is given up after {deadline} s"
        );
        let path = format!("{path}.{probe}.initialDelaySeconds");
        let finding = findings.report(template.object, path, message);
        relate_deadline(rollout, finding);
        if let Some(example) = late_pods(context, rollout, earliest) {
            finding.counterexample(example);
        }
        return;
    }
    let permitted = startup.saturating_add(
        number("startupProbe.failureThreshold", 3)
            .saturating_mul(number("startupProbe.periodSeconds", 10)),
    );
    if container.get("startupProbe").is_some() && permitted > deadline {
        let message = format!(
            "the startup probe gives container `{name}` {permitted} s to start, but the update is given up after {deadline} s"
        );
        let finding = findings
            .report(
                template.object,
                format!("{path}.startupProbe.failureThreshold"),
                message,
            )
            .confidence(Confidence::Medium);
        relate_deadline(rollout, finding);
    }
}

fn relate_deadline(rollout: &RolloutView<'_>, finding: &mut Finding) {
    finding
        .help("set `progressDeadlineSeconds` above the time that a pod may take, or shorten that");
    if rollout.rollout.spec.progress_deadline_seconds.is_some() {
        finding.related(
            rollout.span_of("spec.progressDeadlineSeconds"),
            "the deadline",
        );
    }
}

/// An update whose pods are ready after so many seconds.
fn late_pods(
    context: &Context<'_>,
    rollout: &RolloutView<'_>,
    seconds: i64,
) -> Option<Counterexample> {
    let late = Duration::from_secs(seconds);
    let scenario = Scenario {
        until: Some(Period(late)),
        release: Some(Release::default()),
        events: vec![ScenarioEvent {
            at: Some(Period(Duration::ZERO)),
            pods: Some(PodTrouble {
                ready_after: Some(Period(late)),
                ..PodTrouble::default()
            }),
            ..ScenarioEvent::default()
        }],
        ..Scenario::default()
    };
    let play = demonstrate(context, rollout, scenario)?;
    let is_given_up = play.outcome.phase == "Degraded";
    is_given_up.then(|| Counterexample {
        given: format!("pods that are ready after {late}"),
        evaluated: "simulation of an update".to_owned(),
        outcome: format!("{}: {}", play.outcome.phase, play.outcome.message),
    })
}
