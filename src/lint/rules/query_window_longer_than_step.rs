//! `query-window-longer-than-step`.

use crate::lint::context::{AnalysisPlace, Context, QueryView, RolloutView};
use crate::lint::facts::canary::{Telling, telling};
use crate::lint::facts::schedule::{Length, Schedule, is_timing_guessed, metric_length};
use crate::lint::facts::selectors::{known_window, selectors};
use crate::lint::facts::{Used, metrics_in_use};
use crate::lint::{Confidence, Findings, Rule};
use crate::source::{Severity, Span};
use crate::time::Duration;

pub static RULE: Rule = Rule {
    name: "query-window-longer-than-step",
    summary: "the query looks back to before the weight was set",
    severity: Severity::Warning,
    finds: "
Range windows of a canary's analysis that are longer than the time at a weight: for a step analysis, the
pauses since the weight was set and the `initialDelay` (or how long the analysis takes, where there is no
pause); for background analysis, the shortest time with a pause at any weight that it goes along with.
Windows that come from an argument without a known value, and pauses without a duration, are left alone.",
    hurts: "
Part of what is measured happened at the weight before, or before the new version was there: a fault
that the larger share brings about is diluted, and shows when the rollout is a step further.",
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
        - pause: {duration: 1m}
        - setWeight: 40
        - pause: {duration: 10m}
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
        - pause: {duration: 10m}
        - setWeight: 40
        - pause: {duration: 10m}
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
        let Some(rollout) = used.rollout else {
            continue;
        };
        let (Some(query), Some(schedule)) = (&used.metric.query, Schedule::new(rollout)) else {
            continue;
        };
        let Some((window, span)) = longest_window(query) else {
            continue;
        };
        if let Some((time, step)) = time_at_weight(&used, &schedule)
            && window > time
        {
            report(&used, rollout, (window, span), (time, step), findings);
        }
    }
}

/// The longest window of the query that is known, and its place.
fn longest_window(query: &QueryView) -> Option<(Duration, Span)> {
    let parsed = query.parsed().as_ref().ok()?;
    selectors(parsed)
        .iter()
        .filter_map(|selected| {
            let (window, place) = known_window(query, selected)?;
            Some((window, query.text.span(place.start, place.end)))
        })
        // Of equal ones the first.
        .reduce(|longest, next| if next.0 > longest.0 { next } else { longest })
}

/// The shortest time at a weight that the metric is measured in, and the step that sets the weight.
fn time_at_weight(used: &Used<'_, '_>, schedule: &Schedule) -> Option<(Duration, usize)> {
    match used.analysis.place {
        AnalysisPlace::Step { step } => {
            let stretch = schedule
                .stretches()
                .into_iter()
                .find(|stretch| stretch.from <= step && step < stretch.to)?;
            if is_timing_guessed(used.metric) {
                return None;
            }
            let before = schedule.time(stretch.from, step)?;
            let time = if before.is_zero() {
                metric_length(used.metric)?
            } else {
                before + used.metric.initial_delay()
            };
            Some((time, stretch.from))
        }
        AnalysisPlace::Background { starting_step } => schedule
            .stretches()
            .into_iter()
            .filter(|stretch| stretch.to > starting_step)
            .filter_map(|stretch| {
                let time = schedule.time(stretch.from, stretch.to)?;
                (!time.is_zero() && has_pause(schedule, stretch.from, stretch.to))
                    .then_some((time, stretch.from))
            })
            .min(),
        AnalysisPlace::PrePromotion
        | AnalysisPlace::PostPromotion
        | AnalysisPlace::ExperimentStep {
            step: _,
            analysis: _,
        }
        | AnalysisPlace::Experiment { analysis: _ }
        | AnalysisPlace::Run
        | AnalysisPlace::Alone => None,
    }
}

fn has_pause(schedule: &Schedule, from: usize, to: usize) -> bool {
    let steps = schedule.steps.get(from..to).unwrap_or_default();
    steps
        .iter()
        .any(|length| matches!(length, Length::Known(time) if !time.is_zero()))
}

fn report(
    used: &Used<'_, '_>,
    rollout: &RolloutView<'_>,
    (window, span): (Duration, Span),
    (time, step): (Duration, usize),
    findings: &mut Findings<'_>,
) {
    let metric = used.metric;
    let message = if time.is_zero() {
        format!(
            "metric `{}` looks back {window}, but the weight has only just been set",
            metric.metric.name
        )
    } else {
        format!(
            "metric `{}` looks back {window}, but the weight has been set for {time}: part of what it measures is older",
            metric.metric.name
        )
    };
    let finding = findings.report_at(
        metric.object,
        metric.path_of("provider.prometheus.query"),
        span,
        message,
    );
    finding
        .help("look back for less, pause for longer, or wait with `initialDelay`")
        // Of the new version alone, older traffic is still its own.
        .confidence(if telling(used) == Some(Telling::Apart) {
            Confidence::Low
        } else {
            Confidence::Medium
        })
        .related(
            rollout.span_of(&rollout.step_path(step, "")),
            "the weight is set here",
        );
    used.analysis.relate(metric, finding);
}
