//! `analysis-starts-before-traffic`.

use crate::lint::context::{AnalysisPlace, Context, RolloutView};
use crate::lint::edits::set_entry;
use crate::lint::evaluate::evaluate_without_series;
use crate::lint::facts::canary::needs_canary_traffic;
use crate::lint::facts::schedule::{Schedule, is_timing_guessed};
use crate::lint::facts::{Used, metrics_in_use};
use crate::lint::{Applicability, Confidence, Counterexample, Findings, Rule};
use crate::source::Severity;

pub static RULE: Rule = Rule {
    name: "analysis-starts-before-traffic",
    summary: "background analysis measures the new version before it has traffic",
    severity: Severity::Warning,
    finds: "
Background analysis that begins while the new version has no weight, with a query for requests that only
the new version serves: the first weight comes at a step behind `startingStep` (the first step where it is
unset). Nothing is found where the run begins with the step that sets the first weight or later, and
where `initialDelay` covers the steps before it. A mirrored share of the traffic counts as traffic.",
    hurts: "
There are no requests to measure. By the conditions that is an error, which aborts the rollout before
it begins after five measurements in a row, a failure, or a success that says nothing.",
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
        - pause: {duration: 10m}
        - setWeight: 10
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
        startingStep: 1
        args:
          - name: hash
            valueFrom:
              podTemplateHashValue: Latest
      steps:
        - pause: {duration: 10m}
        - setWeight: 10
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
        let AnalysisPlace::Background { starting_step } = used.analysis.place else {
            continue;
        };
        let Some((rollout, schedule)) = used
            .rollout
            .and_then(|rollout| Some((rollout, Schedule::new(rollout)?)))
        else {
            continue;
        };
        if schedule.steps.is_empty() || used.metric.is_dry_run || !needs_canary_traffic(&used) {
            continue;
        }
        let first = first_traffic(rollout, &schedule);
        if first <= starting_step || is_covered(&used, &schedule, starting_step, first) {
            continue;
        }
        report(context, &used, rollout, first, findings);
    }
}

/// The first step that gives the new version requests; behind the last one if none does.
fn first_traffic(rollout: &RolloutView<'_>, schedule: &Schedule) -> usize {
    let mirrored = rollout.canary().and_then(|canary| {
        canary.steps.iter().position(|step| {
            step.set_mirror_route
                .as_ref()
                .is_some_and(|mirror| !mirror.match_.is_empty())
        })
    });
    let weighted = schedule.first_traffic().unwrap_or(schedule.steps.len());
    mirrored.map_or(weighted, |mirrored| mirrored.min(weighted))
}

/// Whether the metric waits for as long as the steps before the first weight take.
fn is_covered(
    used: &Used<'_, '_>,
    schedule: &Schedule,
    starting_step: usize,
    first: usize,
) -> bool {
    let delay = used.metric.initial_delay();
    is_timing_guessed(used.metric)
        || !delay.is_zero()
            && schedule
                .time(starting_step, first)
                .is_some_and(|time| delay >= time)
}

fn report(
    context: &Context<'_>,
    used: &Used<'_, '_>,
    rollout: &RolloutView<'_>,
    first: usize,
    findings: &mut Findings<'_>,
) {
    let analysis = used.analysis;
    let metric = used.metric;
    let starting_step = format!("{}.startingStep", analysis.path);
    let path = if rollout.object.node.at(&starting_step).is_some() {
        starting_step
    } else {
        analysis.path.clone()
    };
    let until = rollout
        .canary()
        .and_then(|canary| canary.steps.get(first))
        .map_or("the end of the steps".to_owned(), |_| {
            format!("step {first}")
        });
    let message = format!(
        "metric `{}` is measured from the start, but the new version has no traffic before {until}",
        metric.metric.name
    );
    let span = if path == analysis.path {
        // The key says more than the whole block.
        rollout
            .object
            .node
            .span_of(&path)
            .key
            .unwrap_or_else(|| rollout.span_of(&path))
    } else {
        rollout.span_of(&path)
    };
    let finding = findings.report_at(rollout.object, path, span, message);
    finding
        .help(format!(
            "set `startingStep: {first}`, or an `initialDelay` that covers the steps before"
        ))
        .confidence(Confidence::Medium)
        .related(
            metric.span_of("name"),
            "this metric needs requests to the new version",
        );
    if rollout
        .canary()
        .is_some_and(|canary| first < canary.steps.len())
    {
        finding.related(
            rollout.span_of(&rollout.step_path(first, "")),
            "its first traffic comes here",
        );
        let node = rollout.object.node.at(&analysis.path);
        if let Some(edit) = node
            .and_then(|node| set_entry(context.sources, node, "startingStep", &first.to_string()))
        {
            let message = format!("start the analysis with step {first}");
            finding.fix(Applicability::Unsafe, message, vec![edit]);
        }
    }
    let query = metric.parsed_query();
    if let Some(outcome) = query.and_then(|query| evaluate_without_series(metric, query)) {
        finding.counterexample(Counterexample::measurement(
            format!(
                "no requests to the new version; the query gives {}",
                outcome.answer
            ),
            format!("metric `{}`", metric.metric.name),
            outcome.phase,
        ));
    }
}
