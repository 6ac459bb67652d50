//! `zero-measurements-pass`.

use crate::lint::context::{AnalysisPlace, Context};
use crate::lint::facts::limits::phase_without_measurement;
use crate::lint::facts::schedule::{Ending, Schedule, ending, is_timing_guessed};
use crate::lint::facts::{Used, metrics_in_use};
use crate::lint::{Confidence, Counterexample, Findings, Rule};
use crate::source::Severity;
use crate::time::Duration;

pub static RULE: Rule = Rule {
    name: "zero-measurements-pass",
    summary: "the analysis may end as a success before it measured",
    severity: Severity::Warning,
    finds: "
Metrics of background analysis (and of experiments with a `duration`) that may be ended before their
first conclusive measurement on the normal path through all steps: the `initialDelay` is longer than the
steps that the run goes along with, the steps take no time at all, or the `interval` is longer than they
are and the first measurement is taken before the new version has any traffic. A run that is ended
counts a metric without a measurement as successful. Pauses without a duration count as long enough.
Nothing is found where at least one measurement must finish first.",
    hurts: "
The rollout shows an analysis that passed, and nobody has measured anything.",
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
      analysis:
        templates:
          - templateName: success-rate
        args:
          - name: hash
            valueFrom:
              podTemplateHashValue: Latest
      steps:
        - setWeight: 10
        - pause: {duration: 5m}
        - setWeight: 50
        - pause: {duration: 5m}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  args:
    - name: hash
  metrics:
    - name: success-rate
      initialDelay: 15m
      interval: 1m
      successCondition: result[0] >= 0.95
      failureLimit: 1
      provider:
          prometheus:
            address: http://prometheus.monitoring:9090
            query: |
              sum(rate(http_requests_total{app=\"shop\",code!~\"5..\",pod_template_hash=\"{{args.hash}}\"}[5m]))
              /
              sum(rate(http_requests_total{app=\"shop\",pod_template_hash=\"{{args.hash}}\"}[5m]))
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
      analysis:
        templates:
          - templateName: success-rate
        args:
          - name: hash
            valueFrom:
              podTemplateHashValue: Latest
      steps:
        - setWeight: 10
        - pause: {duration: 5m}
        - setWeight: 50
        - pause: {duration: 5m}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  args:
    - name: hash
  metrics:
    - name: success-rate
      initialDelay: 2m
      interval: 1m
      successCondition: result[0] >= 0.95
      failureLimit: 1
      provider:
          prometheus:
            address: http://prometheus.monitoring:9090
            query: |
              sum(rate(http_requests_total{app=\"shop\",code!~\"5..\",pod_template_hash=\"{{args.hash}}\"}[5m]))
              /
              sum(rate(http_requests_total{app=\"shop\",pod_template_hash=\"{{args.hash}}\"}[5m]))
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for used in metrics_in_use(context) {
        let metric = used.metric;
        if metric.is_dry_run || is_timing_guessed(metric) {
            continue;
        }
        let Ending::After(time) = ending(&used) else {
            continue;
        };
        let delay = metric.initial_delay();
        if delay > time {
            let message = format!(
                "the run is ended after {time}, before metric `{}` is measured for the first time",
                metric.metric.name
            );
            report(
                &used,
                "initialDelay",
                message,
                time,
                Confidence::High,
                findings,
            );
            continue;
        }
        let AnalysisPlace::Background { starting_step } = used.analysis.place else {
            continue;
        };
        if time.is_zero() {
            let message = format!(
                "no step takes any time, so the run may be ended before metric `{}` gives an answer",
                metric.metric.name
            );
            report(&used, "name", message, time, Confidence::Medium, findings);
        } else if delay.is_zero()
            && metric.interval().is_some_and(|interval| interval > time)
            && starts_without_traffic(&used, starting_step)
        {
            let message = format!(
                "the run is ended after {time}, and metric `{}` is measured only at its start, before the new version has traffic",
                metric.metric.name
            );
            report(
                &used,
                "interval",
                message,
                time,
                Confidence::Medium,
                findings,
            );
        }
    }
}

/// Whether the new version has no requests when the run starts; where the first step sets the
/// weight, it has none yet.
fn starts_without_traffic(used: &Used<'_, '_>, starting_step: usize) -> bool {
    used.rollout
        .and_then(Schedule::new)
        .is_some_and(|schedule| {
            schedule
                .first_traffic()
                .is_none_or(|first| first >= starting_step)
        })
}

fn report(
    used: &Used<'_, '_>,
    field: &str,
    message: String,
    time: Duration,
    confidence: Confidence,
    findings: &mut Findings<'_>,
) {
    let metric = used.metric;
    let finding = findings.report(metric.object, metric.path_of(field), message);
    finding.confidence(confidence).help(
        "measure within the time of the steps, or use an analysis step, which waits for its measurements",
    );
    if metric.initial_delay() > time || time.is_zero() {
        finding.counterexample(Counterexample {
            given: format!("the run is ended after {time}, without a measurement"),
            evaluated: format!("metric `{}`", metric.metric.name),
            outcome: phase_without_measurement(&metric.metric)
                .as_str()
                .to_owned(),
        });
    }
    used.analysis.relate(metric, finding);
}
