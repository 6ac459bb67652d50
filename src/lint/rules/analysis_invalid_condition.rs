//! `invalid-condition`.

use crate::expr::{Program, Value};
use crate::lint::context::Context;
use crate::lint::{Findings, Rule};
use crate::source::Severity;
use crate::time::Timestamp;

pub static RULE: Rule = Rule {
    name: "invalid-condition",
    summary: "a condition can never be evaluated",
    severity: Severity::Error,
    finds: "
Success and failure conditions that do not compile: errors of syntax, unknown names, operators that
do not fit, and conditions whose value is no boolean for any answer.",
    hurts: "
Nothing compiles a condition before the first measurement; then every measurement errs and the
analysis ends with phase Error, whatever the metric says.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  metrics:
    - name: success-rate
      successCondition: results[0] >= 0.95
      provider:
        prometheus:
          address: http://prometheus.monitoring:9090
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
        for (field, condition) in [
            ("successCondition", &metric.success),
            ("failureCondition", &metric.failure),
        ] {
            let Some(condition) = condition else {
                continue;
            };
            let path = metric.path_of(field);
            match &condition.compiled {
                Err(error) => {
                    let span = condition.text.span(error.span.start, error.span.end);
                    let message = format!("{path}: {}", error.message);
                    let finding = findings.report_at(metric.object, path, span, message);
                    analysis.relate(metric, finding);
                }
                Ok(program) => {
                    if let Some(type_name) = never_bool(program) {
                        let message =
                            format!("{path}: expected bool, but got {type_name} for any answer");
                        let span = condition.text.whole();
                        let finding = findings.report_at(metric.object, path, span, message);
                        finding.help("compare the result, such as `result[0] >= 0.95`");
                        analysis.relate(metric, finding);
                    }
                }
            }
        }
    }
}

/// The type of the condition's value where no kind of answer makes it a boolean.
fn never_bool(program: &Program) -> Option<String> {
    let answers = [
        Value::Float(1.0),
        Value::floats([1.0]),
        Value::Nil,
        Value::from("text"),
        Value::Bool(true),
    ];
    let mut type_name = None;
    for answer in answers {
        match program.eval(&answer, Some(Timestamp::EPOCH)) {
            Ok(Value::Bool(_)) => return None,
            Ok(other) => type_name = Some(other.type_name()),
            Err(_) => {}
        }
    }
    type_name
}
