//! `invalid-analysis`.

use crate::lint::context::Context;
use crate::lint::{Findings, Rule};
use crate::source::Severity;
use crate::spec::analysis::{AnalysisTemplateSpec, Argument, Metric};
use crate::spec::bundle::{Object, Typed};
use crate::spec::templates::resolve_metric_arguments;
use crate::spec::validation::{
    AnalysisError, resolve_template_references, validate_analysis_run, validate_analysis_template,
    validate_metric,
};

pub static RULE: Rule = Rule {
    name: "invalid-analysis",
    summary: "the analysis ends with an error before it measures",
    severity: Severity::Error,
    finds: "
AnalysisTemplates and AnalysisRuns whose run would be refused: limits and counts that contradict each
other, intervals that are no durations, several providers or none, metrics named twice, arguments that
are used and not declared, rules for metrics that do not exist. Arguments of a template that have no
value are taken as given.",
    hurts: "
Nothing looks at the template until a rollout uses it. The run then ends with phase Error before the
first measurement, and the rollout is aborted.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  metrics:
    - name: success-rate
      count: 5
      successCondition: result[0] >= 0.95
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
      count: 5
      interval: 1m
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
    for object in context.bundle.objects() {
        match &object.typed {
            Typed::AnalysisTemplate(template) => {
                check_template(context, object, &template.spec, findings);
            }
            Typed::ClusterAnalysisTemplate(template) => {
                check_template(context, object, &template.spec, findings);
            }
            Typed::AnalysisRun(run) => {
                let spec = &run.spec;
                let errors = check_metrics(object, &spec.metrics, &spec.args, findings);
                report_run(object, validate_analysis_run(spec), &errors, findings);
            }
            Typed::Rollout(_)
            | Typed::Experiment(_)
            | Typed::Service(_)
            | Typed::Deployment(_)
            | Typed::Broken
            | Typed::Untyped => {}
        }
    }
}

fn check_template(
    context: &Context<'_>,
    object: &Object,
    spec: &AnalysisTemplateSpec,
    findings: &mut Findings<'_>,
) {
    let errors = check_metrics(object, &spec.metrics, &spec.args, findings);
    let view = context.bundle.in_namespace(object.namespace_or_default());
    match resolve_template_references(&spec.templates, &view) {
        // A missing template is told by its own rule.
        Err(error) if error.detail.ends_with("not found") => {}
        Err(error) => {
            findings.report(object, error.path.clone(), error.to_string());
        }
        Ok((templates, cluster_templates)) => {
            let mut specs = vec![spec];
            specs.extend(templates.iter().map(|template| &template.spec));
            specs.extend(cluster_templates.iter().map(|template| &template.spec));
            report_run(
                object,
                validate_analysis_template(&specs),
                &errors,
                findings,
            );
        }
    }
}

/// Checks every metric by itself; gives what was found. A run names the first one only.
fn check_metrics(
    object: &Object,
    metrics: &[Metric],
    args: &[Argument],
    findings: &mut Findings<'_>,
) -> Vec<String> {
    let args: Vec<Argument> = args
        .iter()
        .map(|argument| Argument {
            value: Some(
                argument
                    .value
                    .clone()
                    .unwrap_or_else(|| "dummy-value".into()),
            ),
            ..argument.clone()
        })
        .collect();
    let mut found = Vec::new();
    for (index, metric) in metrics.iter().enumerate() {
        let Ok(resolved) = resolve_metric_arguments(metric, &args) else {
            continue;
        };
        if let Err(reason) = validate_metric(&resolved) {
            let path = format!("spec.metrics[{index}]");
            let field = field_of(&reason);
            let place = if field.is_empty() {
                path.clone()
            } else {
                format!("{path}.{field}")
            };
            findings.report(object, place, format!("{path}: {reason}"));
            found.push(reason);
        }
    }
    found
}

/// The field of a metric that a message is about.
fn field_of(reason: &str) -> &'static str {
    const FIELDS: [(&str, &str); 8] = [
        ("count", "count"),
        ("interval must", "interval"),
        ("invalid interval", "interval"),
        ("invalid startDelay", "initialDelay"),
        ("consecutiveSuccessLimit", "consecutiveSuccessLimit"),
        ("failureLimit", "failureLimit"),
        ("inconclusiveLimit", "inconclusiveLimit"),
        ("consecutiveErrorLimit", "consecutiveErrorLimit"),
    ];
    let known = FIELDS.iter().find(|(start, _)| reason.starts_with(start));
    match known {
        Some((_, field)) => field,
        None if reason.contains("provider") => "provider",
        None => "",
    }
}

fn report_run(
    object: &Object,
    error: Option<AnalysisError>,
    known: &[String],
    findings: &mut Findings<'_>,
) {
    let Some(AnalysisError { path, message }) = error else {
        return;
    };
    // One metric's mistake has been reported at the metric.
    if !known
        .iter()
        .any(|reason| message.ends_with(reason.as_str()))
    {
        findings.report(object, path.clone(), format!("{path}: {message}"));
    }
}
