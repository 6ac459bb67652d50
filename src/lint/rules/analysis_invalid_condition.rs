//! `invalid-condition`.

use crate::expr::{Program, Type, Value};
use crate::lint::context::{ConditionView, Context, MetricView};
use crate::lint::{Confidence, Findings, Rule};
use crate::promql::ast::ValueType;
use crate::source::{Severity, Span};

pub static RULE: Rule = Rule {
    name: "invalid-condition",
    summary: "a condition can never be evaluated",
    severity: Severity::Error,
    finds: "
Success and failure conditions that do not compile: errors of syntax, unknown names, operators that
do not fit, and conditions whose value is no boolean. A condition that compiles but does not fit the
type of the query's answer, such as `result > 0.95` for a vector, is a warning.",
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
        let answer = answer_type(metric);
        for (field, condition) in [
            ("successCondition", &metric.success),
            ("failureCondition", &metric.failure),
        ] {
            if let Some(condition) = condition
                && let Some(mistake) = mistake(metric, condition, answer.as_ref())
            {
                let Mistake {
                    span,
                    reason,
                    severity,
                    help,
                } = mistake;
                let path = metric.path_of(field);
                let message = format!("{path}: {reason}");
                let finding = findings.report_at(metric.object, path, span, message);
                finding.severity(severity);
                finding.help = help;
                if condition.text.has_stand_ins() {
                    finding.confidence(Confidence::Medium);
                }
                analysis.relate(metric, finding);
            }
        }
    }
}

struct Mistake {
    span: Span,
    reason: String,
    severity: Severity,
    help: Option<String>,
}

fn mistake(
    metric: &MetricView<'_>,
    condition: &ConditionView,
    answer: Option<&(Type, &'static str)>,
) -> Option<Mistake> {
    let text = &condition.text;
    let program = match condition.compiled() {
        Err(error) => {
            return Some(Mistake {
                span: text.span(error.span.start, error.span.end),
                reason: error.message.clone(),
                severity: Severity::Error,
                help: None,
            });
        }
        Ok(program) => program,
    };
    if is_never_bool(program) {
        return Some(not_bool(text.whole(), program));
    }
    let (answer_type, answer) = answer?;
    let mut compiled = metric.compiled.borrow_mut();
    match compiled.program(&text.text, answer_type) {
        // Refused when the first answer is there.
        Err(error) => Some(Mistake {
            span: text.span(error.span.start, error.span.end),
            reason: format!("{}, as the answer is {answer}", error.message),
            severity: Severity::Warning,
            help: Some(format!(
                "every measurement errs: write the condition for {answer}"
            )),
        }),
        Ok(program) if is_never_bool(program) => Some(Mistake {
            severity: Severity::Warning,
            ..not_bool(text.whole(), program)
        }),
        Ok(_) => None,
    }
}

fn is_never_bool(program: &Program) -> bool {
    !matches!(program.value_type(), Type::Bool | Type::Unknown | Type::Any)
}

fn not_bool(span: Span, program: &Program) -> Mistake {
    Mistake {
        span,
        reason: format!("expected bool, but got {}", program.value_type().name()),
        severity: Severity::Error,
        help: Some("compare the result, such as `result[0] >= 0.95`".to_owned()),
    }
}

/// The type of the answer, and its name in words, where the query tells.
fn answer_type(metric: &MetricView<'_>) -> Option<(Type, &'static str)> {
    let query = metric.parsed_query()?;
    let is_range = metric
        .metric
        .provider
        .prometheus
        .as_ref()
        .is_some_and(|prometheus| prometheus.range_query.is_some());
    match query.value_type() {
        ValueType::Scalar if !is_range => Some((Type::of(&Value::Float(0.0)), "a number")),
        ValueType::Scalar | ValueType::Vector => {
            let list = "a list of numbers, such as `result[0]`";
            Some((Type::of(&Value::floats([])), list))
        }
        ValueType::Matrix | ValueType::String => None,
    }
}
