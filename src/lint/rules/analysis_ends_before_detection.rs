//! `analysis-ends-before-detection`.

use crate::lint::context::{AnalysisPlace, AnalysisUse, Context, RolloutView};
use crate::lint::facts::schedule::{Length, Schedule, Stretch, analysis_length, metric_length};
use crate::lint::{Confidence, Findings, Rule};
use crate::source::Severity;
use crate::time::Duration;

pub static RULE: Rule = Rule {
    name: "analysis-ends-before-detection",
    summary: "nothing measures the new version for the rest of the steps",
    severity: Severity::Warning,
    finds: "
Canaries with analysis where all of it has ended, by `count` and `interval`, before the last weight short
of the whole traffic has. Background analysis without an end, analysis at the end of that weight, and an
analysis whose template is not among the files may go on and are left alone; pauses without a duration
are for people to look, and count as no time.",
    hurts: "
Most faults show at the largest share of the traffic, or after a while. By then nobody looks any more:
the rollout goes on to everybody whatever happens.",
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
        - pause: {duration: 10m}
        - setWeight: 50
        - pause: {duration: 1h}
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
      count: 5
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
        - setWeight: 50
        - pause: {duration: 1h}
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
      failureLimit: 10
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
    for rollout in &context.rollouts {
        if let Some(schedule) = Schedule::new(rollout)
            && !rollout.analyses.is_empty()
            && let Some(last) = schedule.stretches().last().copied()
        {
            check_rollout(rollout, &schedule, last, findings);
        }
    }
}

fn check_rollout(
    rollout: &RolloutView<'_>,
    schedule: &Schedule,
    last: Stretch,
    findings: &mut Findings<'_>,
) {
    let end = schedule.known_time(0, last.to);
    let mut latest: Option<(Duration, &AnalysisUse<'_>)> = None;
    for analysis in &rollout.analyses {
        match ends_at(schedule, analysis, last) {
            Some(time) if time >= end => return,
            Some(time) => {
                if latest.is_none_or(|(known, _)| time > known) {
                    latest = Some((time, analysis));
                }
            }
            None => return,
        }
    }
    let Some((time, analysis)) = latest else {
        return;
    };
    let begin = schedule.known_time(0, last.from);
    let percent = f64::from(last.weight) * 100.0 / f64::from(schedule.whole);
    let message = if time <= begin {
        format!("nothing measures the new version at {percent:.0}%: all analysis has ended before")
    } else {
        format!(
            "all analysis has ended {} before the end of the time at {percent:.0}%",
            end - time
        )
    };
    let path = rollout.step_path(last.from, "setWeight");
    let what = if matches!(
        analysis.place,
        AnalysisPlace::Background { starting_step: _ }
    ) {
        format!("ends after {time}, by `count` and `interval`")
    } else {
        "the last one".to_owned()
    };
    findings
        .report(rollout.object, path, message)
        .help(advice(schedule, analysis, last, end))
        .confidence(if time <= begin {
            Confidence::High
        } else {
            Confidence::Low
        })
        .related(rollout.span_of(&analysis.path), what);
}

/// What to change, with the number that lasts until `end`.
fn advice(schedule: &Schedule, analysis: &AnalysisUse<'_>, last: Stretch, end: Duration) -> String {
    let step = format!("an analysis step behind step {}", last.to.saturating_sub(1));
    let AnalysisPlace::Background { starting_step } = analysis.place else {
        return format!("add {step}, or let an analysis run beside the steps, without `count`");
    };
    let longest = analysis.metrics.iter().max_by_key(|it| metric_length(it));
    let Some(metric) = longest else {
        return format!("add {step}");
    };
    let name = &metric.metric.name;
    let Some(interval) = metric.interval().filter(|it| *it > Duration::ZERO) else {
        return format!(
            "metric `{name}` is measured once: set `interval: 1m` without `count`, and the analysis goes on until the rollout has ended; or add {step}"
        );
    };
    let started = schedule.known_time(0, starting_step) + metric.initial_delay();
    let between = interval.as_millis().max(1);
    let missing = (end - started).as_millis().max(0);
    // The first one comes at the start, and the last one not before the end.
    let count = missing / between + i64::from(missing % between > 0) + 1;
    let present = metric
        .metric
        .effective_count()
        .map_or(1, |count| count.int_value());
    format!(
        "raise `count` of metric `{name}` from {present} to {count}, or leave it out: a background analysis is ended with the rollout; or add {step}"
    )
}

/// When an analysis has ended at the latest, from the start of the steps; `None` where it may go
/// on until the end.
fn ends_at(schedule: &Schedule, analysis: &AnalysisUse<'_>, last: Stretch) -> Option<Duration> {
    match analysis.place {
        AnalysisPlace::Background { starting_step } => match analysis_length(analysis) {
            Length::Known(length) => Some(schedule.known_time(0, starting_step) + length),
            Length::UntilPromoted | Length::Unknown => None,
        },
        // The next step waits for it; what it takes is in the time of the steps.
        AnalysisPlace::Step { step } | AnalysisPlace::ExperimentStep { step, analysis: _ } => {
            let is_unknown = schedule.steps.get(step) == Some(&Length::Unknown);
            if is_unknown && step >= last.from {
                None
            } else {
                Some(schedule.known_time(0, step + 1))
            }
        }
        AnalysisPlace::PrePromotion
        | AnalysisPlace::PostPromotion
        | AnalysisPlace::Experiment { analysis: _ }
        | AnalysisPlace::Run
        | AnalysisPlace::Alone => None,
    }
}
