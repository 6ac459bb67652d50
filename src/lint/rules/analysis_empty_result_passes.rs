//! `empty-result-passes`.

use crate::lint::context::{AnalysisUse, Context, MetricView};
use crate::lint::evaluate::{
    MetricOutcome, ProviderAnswer, evaluate_outcome, evaluate_without_series,
};
use crate::lint::{Confidence, Counterexample, Findings, Rule};
use crate::promql::ast::{Expr, ExprKind};
use crate::source::Severity;
use crate::spec::analysis::AnalysisPhase;

pub static RULE: Rule = Rule {
    name: "empty-result-passes",
    summary: "no data counts as a success",
    severity: Severity::Warning,
    finds: "
Metrics that give a Successful measurement where the provider has no data, shown by evaluation: the
query of a Prometheus metric is run over no series at all, and the conditions are asked about what
comes out (an empty vector, or the constant of an `or vector(...)`); Datadog's answer is then nil.
Nothing is found where the measurement errs, fails or is inconclusive, for providers that report
missing data as an error (New Relic, Wavefront, InfluxDB, Graphite), and for queries that ask
whether series are there (`absent`).",
    hurts: "
A typo in a label, a renamed metric or a canary that gets no requests looks like a healthy release:
the analysis passes, and every version is promoted.",
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
      successCondition: len(result) == 0 || result[0] >= 0.95
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
    for (analysis, metric) in context.metrics() {
        // What does not resolve is refused elsewhere; what does not count passes nothing.
        if metric.unresolved.is_some() || metric.is_dry_run {
            continue;
        }
        let parsed = metric.parsed_query();
        let outcome = match metric.provider() {
            Some("prometheus") => parsed
                .filter(|query| !asks_for_absence(query))
                .and_then(|query| evaluate_without_series(metric, query)),
            Some("datadog" | "cloudWatch") => evaluate_outcome(metric, &ProviderAnswer::Empty),
            Some(_) | None => None,
        };
        if let Some(outcome) = outcome
            && outcome.phase == AnalysisPhase::Successful
        {
            report(analysis, metric, &outcome, findings);
        }
    }
}

fn report(
    analysis: &AnalysisUse<'_>,
    metric: &MetricView<'_>,
    outcome: &MetricOutcome,
    findings: &mut Findings<'_>,
) {
    let constant = outcome.answer != "[]" && outcome.answer != "nil";
    let (field, condition) = if !metric.metric.success_condition.is_empty() {
        ("successCondition", metric.metric.success_condition.as_str())
    } else if !metric.metric.failure_condition.is_empty() {
        ("failureCondition", metric.metric.failure_condition.as_str())
    } else {
        ("name", "no condition at all")
    };
    let message = format!(
        "metric `{}` passes without any data: the answer is then {}, which is {}",
        metric.metric.name, outcome.answer, outcome.phase
    );
    let help = if constant {
        "take the constant out of the query, so that no data is an error; or ask for traffic with a metric of its own"
    } else {
        "read the result without a default, such as `result[0] >= 0.95`: that errs on no data"
    };
    let finding = findings.report(metric.object, metric.path_of(field), message);
    finding
        .help(help)
        .confidence(if metric.has_stand_ins() {
            Confidence::Medium
        } else {
            Confidence::High
        })
        .counterexample(Counterexample::measurement(
            format!("no series exist; the provider answers {}", outcome.answer),
            format!("{field}: {condition}"),
            outcome.phase,
        ));
    analysis.relate(metric, finding);
}

/// Whether the query gives a value because series are missing.
fn asks_for_absence(query: &Expr) -> bool {
    let mut pending = vec![query];
    while let Some(expr) = pending.pop() {
        if let ExprKind::Call(call) = &expr.kind
            && matches!(call.function.name, "absent" | "absent_over_time")
        {
            return true;
        }
        pending.extend(expr.children());
    }
    false
}
