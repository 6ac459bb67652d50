//! `nan-passes`.

use crate::lint::context::Context;
use crate::lint::evaluate::{MetricOutcome, ProviderAnswer, evaluate_outcome};
use crate::lint::facts::{Used, idle, metrics_in_use};
use crate::lint::{Confidence, Counterexample, Findings, Rule};
use crate::source::Severity;
use crate::spec::analysis::AnalysisPhase;

pub static RULE: Rule = Rule {
    name: "nan-passes",
    summary: "0/0 counts as a success",
    severity: Severity::Warning,
    finds: "
Metrics for which NaN is a Successful measurement. A Prometheus query is run over series on which
nothing happens, as those of a new version without requests: where NaN comes out (0/0, or a quantile
of no observations), the conditions are asked about it. `result[0] < 0.95` is false for NaN, so as a
`failureCondition` it lets NaN pass; so does `isNaN(result[0]) || ...`. For other providers only
conditions that name `isNaN` are tried. Nothing is found where NaN fails, errs or is inconclusive.",
    hurts: "
A new version that gets no requests, or whose metric is called otherwise, is measured as healthy and
promoted to everybody.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  metrics:
    - name: success-rate
      interval: 1m
      count: 5
      failureCondition: result[0] < 0.95
      failureLimit: 1
      provider:
          prometheus:
            address: http://prometheus.monitoring:9090
            query: |
              sum(rate(http_requests_total{app=\"shop\",code!~\"5..\"}[5m]))
              /
              sum(rate(http_requests_total{app=\"shop\"}[5m]))
",
    good: "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
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
              sum(rate(http_requests_total{app=\"shop\",code!~\"5..\"}[5m]))
              /
              sum(rate(http_requests_total{app=\"shop\"}[5m]))
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for used in metrics_in_use(context) {
        // What does not count passes nothing.
        if used.metric.is_dry_run {
            continue;
        }
        if let Some((given, outcome)) = nan_outcome(&used)
            && outcome.phase == AnalysisPhase::Successful
        {
            report(&used, given, &outcome, findings);
        }
    }
}

/// How NaN comes about, and what the metric makes of it.
fn nan_outcome(used: &Used<'_, '_>) -> Option<(&'static str, MetricOutcome)> {
    let metric = used.metric;
    if let Some(outcome) = idle::idle_outcome(metric)
        && idle::is_nan(outcome)
    {
        let given = "series on which nothing happens; the query gives";
        return Some((given, outcome.clone()));
    }
    let expects_nan = metric.metric.success_condition.contains("isNaN")
        || metric.metric.failure_condition.contains("isNaN");
    if !expects_nan {
        return None;
    }
    let outcome = evaluate_outcome(metric, &ProviderAnswer::Number(f64::NAN))?;
    Some(("an answer that is", outcome))
}

fn report(
    used: &Used<'_, '_>,
    given: &'static str,
    outcome: &MetricOutcome,
    findings: &mut Findings<'_>,
) {
    let metric = used.metric;
    let (field, condition) = if metric.metric.success_condition.is_empty() {
        ("failureCondition", &metric.metric.failure_condition)
    } else {
        ("successCondition", &metric.metric.success_condition)
    };
    let message = format!(
        "metric `{}` passes without any traffic: 0/0 gives NaN, and that is {}",
        metric.metric.name, outcome.phase
    );
    let finding = findings.report(metric.object, metric.path_of(field), message);
    finding
        .help("say what is good instead, such as `successCondition: result[0] >= 0.95`: NaN is not; or set both conditions, so that NaN is inconclusive")
        .confidence(if metric.has_stand_ins() {
            Confidence::Medium
        } else {
            Confidence::High
        })
        .counterexample(Counterexample::measurement(
            format!("{given} {}", outcome.answer),
            format!("{field}: {condition}"),
            outcome.phase,
        ));
    used.analysis.relate(metric, finding);
}
