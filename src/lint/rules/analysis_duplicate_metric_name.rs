//! `duplicate-metric-name`.

use crate::lint::context::Context;
use crate::lint::{Findings, Rule};
use crate::source::Severity;

pub static RULE: Rule = Rule {
    name: "duplicate-metric-name",
    summary: "two metrics of an analysis have the same name",
    severity: Severity::Error,
    finds: "
Metrics of the same name in a template or an AnalysisRun, and in the templates that an analysis puts
together. Where a template is not among the files, so that it is not sure that the controller gets that
far, it is a warning.",
    hurts: "
Results are kept by the name of the metric. The controller refuses the Rollout (`two metrics have the
same name`), and a run that names a metric twice ends with an error before it measures.",
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
    - name: success-rate
      interval: 1m
      count: 5
      successCondition: result[0] <= 0.05
      failureLimit: 1
      provider:
          prometheus:
            address: http://prometheus.monitoring:9090
            query: |
              sum(rate(http_requests_total{app=\"shop\",code=~\"5..\"}[5m]))
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
    - name: error-rate
      interval: 1m
      count: 5
      successCondition: result[0] <= 0.05
      failureLimit: 1
      provider:
          prometheus:
            address: http://prometheus.monitoring:9090
            query: |
              sum(rate(http_requests_total{app=\"shop\",code=~\"5..\"}[5m]))
              /
              sum(rate(http_requests_total{app=\"shop\"}[5m]))
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for analysis in context.analyses() {
        for (index, metric) in analysis.metrics.iter().enumerate() {
            let earlier = analysis.metrics.get(..index).unwrap_or_default();
            let Some(first) = earlier
                .iter()
                .find(|earlier| earlier.written.name == metric.written.name)
            else {
                continue;
            };
            let name = &metric.written.name;
            let is_own = std::ptr::eq(first.object, metric.object);
            let message = if is_own {
                format!(
                    "duplicate name: there are two metrics `{name}`, and the run ends with an error"
                )
            } else {
                format!(
                    "two metrics have the same name `{name}` when the templates are put together"
                )
            };
            let finding = findings.report(metric.object, metric.path_of("name"), message);
            finding
                .help("give one of them another name")
                .related(first.span_of("name"), "the other one");
            if !is_own && !analysis.missing.is_empty() {
                finding.severity(Severity::Warning);
            }
            analysis.relate(metric, finding);
        }
    }
}
