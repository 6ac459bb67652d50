//! `invalid-query`.

use crate::lint::context::Context;
use crate::lint::{Confidence, Findings, Rule};
use crate::source::Severity;

pub static RULE: Rule = Rule {
    name: "invalid-query",
    summary: "the query is no PromQL",
    severity: Severity::Error,
    finds: "
Prometheus queries with errors of syntax or of types, with the place in the query. Placeholders of
arguments without a value are taken for whatever fits where they stand.",
    hurts: "
Prometheus answers every measurement with an error, and the analysis ends with phase Error.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  metrics:
    - name: success-rate
      successCondition: result[0] >= 0.95
      provider:
        prometheus:
          address: http://prometheus.monitoring:9090
          query: sum(rate(http_requests_total{code!~\"5..\"}[5m]) / sum(rate(http_requests_total[5m]))
",
    good: "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  metrics:
    - name: success-rate
      successCondition: result[0] >= 0.95
      provider:
        prometheus:
          address: http://prometheus.monitoring:9090
          query: sum(rate(http_requests_total{code!~\"5..\"}[5m])) / sum(rate(http_requests_total[5m]))
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for (analysis, metric) in context.metrics() {
        let Some(query) = &metric.query else {
            continue;
        };
        let Err(errors) = query.parsed() else {
            continue;
        };
        for error in &errors.0 {
            let path = metric.path_of("provider.prometheus.query");
            let message = format!("{path}: {}", error.message);
            let span = query.span(error.span);
            let finding = findings.report_at(metric.object, path, span, message);
            if query.text.has_stand_ins() {
                finding.confidence(Confidence::Medium);
            }
            analysis.relate(metric, finding);
        }
    }
}
