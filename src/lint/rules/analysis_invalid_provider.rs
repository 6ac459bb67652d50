//! `invalid-provider`.

use crate::lint::context::Context;
use crate::lint::{Findings, Rule};
use crate::providers::settings::settings_error;
use crate::source::Severity;

pub static RULE: Rule = Rule {
    name: "invalid-provider",
    summary: "the provider refuses the settings of the metric",
    severity: Severity::Error,
    finds: "
Settings that a provider refuses before it asks: addresses that are no URL, half of an
authentication, negative timeouts, queries and formulas of Datadog that do not go together, a body with
GET, a JSONPath that cannot be read, and the range of a range query. Values that come from arguments
without a value are not judged.",
    hurts: "
Every measurement errs, and the analysis ends with phase Error.",
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
          address: prometheus.monitoring
          query: sum(rate(http_requests_total{code!~\"5..\"}[5m])) / sum(rate(http_requests_total[5m]))
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
        if metric.unresolved.is_some() {
            continue;
        }
        let Some(error) = settings_error(&metric.metric) else {
            continue;
        };
        // An error that depends on a guessed value is none.
        let is_sure = ["http://stand-in.example", "1m"].iter().all(|value| {
            metric
                .filled_with(value)
                .and_then(|filled| settings_error(&filled))
                .is_some_and(|other| other.message == error.message)
        });
        if !is_sure {
            continue;
        }
        let path = metric.path_of(&format!("provider.{}", error.field));
        let message = format!("{path}: {}", error.message);
        let finding = findings.report(metric.object, path, message);
        analysis.relate(metric, finding);
    }
}
