//! `ratio-without-traffic-guard`.

use crate::lint::context::{Context, QueryView};
use crate::lint::evaluate::MetricOutcome;
use crate::lint::facts::selectors::ratios;
use crate::lint::facts::{Used, idle, metrics_in_use};
use crate::lint::{Applicability, Confidence, Counterexample, Edit, Findings, Rule};
use crate::promql::ast::Expr;
use crate::source::{Severity, Span};
use crate::spec::analysis::AnalysisPhase;

pub static RULE: Rule = Rule {
    name: "ratio-without-traffic-guard",
    summary: "a ratio gives a verdict although there were no requests",
    severity: Severity::Warning,
    finds: "
Prometheus metrics whose query divides by something that is zero without traffic, where the NaN that
comes out is judged Failed or Successful and nothing in the query or the conditions provides for it.
The query is run over series on which nothing happens. Nothing is found where a filter (`> 0`), another
denominator or a condition with `isNaN` handles it, and where NaN is an error or inconclusive, as it is
with both conditions. Where NaN passes, `nan-passes` weighs it; here it is then only noted which
denominator it comes from.",
    hurts: "
0/0 is no number: every comparison with it is false. At night, on a small share of the traffic or
right after the start the metric fails a healthy version, or lets a broken one pass, for no reason
that has to do with the version.",
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
              (sum(rate(http_requests_total{app=\"shop\"}[5m])) > 0)
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for used in metrics_in_use(context) {
        let metric = used.metric;
        let handles_nan = metric.metric.success_condition.contains("isNaN")
            || metric.metric.failure_condition.contains("isNaN");
        if metric.is_dry_run || handles_nan {
            continue;
        }
        let Some(query) = &metric.query else {
            continue;
        };
        let Ok(parsed) = query.parsed() else {
            continue;
        };
        let Some((_, denominator)) = ratios(parsed).into_iter().next() else {
            continue;
        };
        let Some(outcome) = idle::idle_outcome(metric).filter(|it| idle::is_nan(it)) else {
            continue;
        };
        match outcome.phase {
            AnalysisPhase::Failed | AnalysisPhase::Successful => {
                report(context, &used, query, denominator, outcome, findings);
            }
            AnalysisPhase::Unset
            | AnalysisPhase::Pending
            | AnalysisPhase::Running
            | AnalysisPhase::Error
            | AnalysisPhase::Inconclusive => {}
        }
    }
}

fn report(
    context: &Context<'_>,
    used: &Used<'_, '_>,
    query: &QueryView,
    denominator: &Expr,
    outcome: &MetricOutcome,
    findings: &mut Findings<'_>,
) {
    let metric = used.metric;
    let verdict = if outcome.phase == AnalysisPhase::Failed {
        "fails a healthy version"
    } else {
        "passes"
    };
    let message = format!(
        "without requests this is zero, 0/0 is NaN, and metric `{}` {verdict}",
        metric.metric.name
    );
    let span = query.span(denominator.span);
    let path = metric.path_of("provider.prometheus.query");
    let conditions = [
        ("successCondition", &metric.metric.success_condition),
        ("failureCondition", &metric.metric.failure_condition),
    ];
    let evaluated: Vec<String> = conditions
        .into_iter()
        .filter(|(_, condition)| !condition.is_empty())
        .map(|(field, condition)| format!("{field}: {condition}"))
        .collect();
    let finding = findings.report_at(metric.object, path, span, message);
    finding
        .help("filter the denominator with `> 0`: no requests are then no data, an error that is retried; or name `isNaN(result[0])` in a condition")
        .confidence(if metric.has_stand_ins() {
            Confidence::Medium
        } else {
            Confidence::High
        })
        .counterexample(Counterexample::measurement(
            format!(
                "series on which nothing happens; the query gives {}",
                outcome.answer
            ),
            evaluated.join(", "),
            outcome.phase,
        ));
    // That it passes is the danger of `nan-passes`; this only says where it comes from.
    if outcome.phase == AnalysisPhase::Successful {
        finding.severity(Severity::Info);
    }
    if let Some(edits) = guard(context, span, query, denominator) {
        finding.fix(
            Applicability::Unsafe,
            "divide only by what is above 0",
            edits,
        );
    }
    used.analysis.relate(metric, finding);
}

/// Parentheses and a filter around the denominator, where its text is written as it is.
fn guard(
    context: &Context<'_>,
    span: Span,
    query: &QueryView,
    denominator: &Expr,
) -> Option<Vec<Edit>> {
    let text = query
        .text
        .text
        .get(denominator.span.start..denominator.span.end)?;
    let written = context.sources.slice(span);
    let has_placeholder = written.contains("{{");
    if !has_placeholder && written.split_whitespace().ne(text.split_whitespace()) {
        return None;
    }
    let at = |offset: u32| Span {
        start: offset,
        end: offset,
        ..span
    };
    Some(vec![
        Edit {
            span: at(span.start),
            replacement: "(".to_owned(),
        },
        Edit {
            span: at(span.end),
            replacement: " > 0)".to_owned(),
        },
    ])
}
