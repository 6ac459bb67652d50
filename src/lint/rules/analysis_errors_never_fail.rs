//! `errors-never-fail`.

use crate::lint::context::{AnalysisPlace, AnalysisUse, Context};
use crate::lint::facts::schedule::metric_length;
use crate::lint::facts::{is_number_guessed, metrics_in_use, used_templates};
use crate::lint::{Applicability, Confidence, Counterexample, Edit, Findings, Rule, Setting};
use crate::source::Severity;
use crate::spec::analysis::AnalysisPhase;
use crate::spec::defaults::{CONSECUTIVE_ERROR_LIMIT, ERROR_RETRY_INTERVAL};
use crate::spec::meta::IntOrString;
use crate::time::Duration;

pub static RULE: Rule = Rule {
    name: "errors-never-fail",
    summary: "an analysis that only errs never fails",
    severity: Severity::Warning,
    finds: "
Two ways to an analysis whose errors have no effect. A `consecutiveErrorLimit` that lets errors go on
for longer than `max_error_time`, and for longer than the measurements would take: after an error the
metric is measured again in 10 seconds, so a limit of 1000 means close to three hours. And dry-run rules
that cover every metric of an analysis, so that its result never counts.",
    hurts: "
A wrong address, an expired token or a query that no longer parses measures nothing, for as long as the
rollout takes. Background analysis is then ended with the rollout and counts as successful.",
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
      consecutiveErrorLimit: 100000
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
      consecutiveErrorLimit: 5
      provider:
          prometheus:
            address: http://prometheus.monitoring:9090
            query: |
              sum(rate(http_requests_total{app=\"shop\",code!~\"5..\"}[5m]))
              /
              sum(rate(http_requests_total{app=\"shop\"}[5m]))
",
    settings: &[Setting {
        name: "max_error_time",
        default: "10m",
        about: "longest time, as a Go duration, for which a metric may do nothing but err",
    }],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    check_limits(context, findings);
    let used = used_templates(context);
    for analysis in context.analyses() {
        if analysis.place != AnalysisPlace::Alone || !used.contains(&analysis.owner.span) {
            check_dry_runs(analysis, findings);
        }
    }
}

fn check_limits(context: &Context<'_>, findings: &mut Findings<'_>) {
    let allowed = context
        .settings
        .max_error_time
        .parse()
        .unwrap_or(Duration::MAX);
    for used in metrics_in_use(context) {
        let metric = used.metric;
        let written = metric.written.consecutive_error_limit.as_ref();
        if metric.is_dry_run || is_number_guessed(metric, written) {
            continue;
        }
        let Some(limit) = metric
            .metric
            .consecutive_error_limit
            .as_ref()
            .map(IntOrString::int_value)
        else {
            continue;
        };
        let errors = ERROR_RETRY_INTERVAL.saturating_mul(limit);
        let planned = metric_length(metric).unwrap_or(Duration::ZERO);
        if errors <= allowed.max(planned) {
            continue;
        }
        let message = format!(
            "metric `{}` may err for {} without an effect",
            metric.metric.name,
            in_words(errors)
        );
        let finding = findings.report(
            metric.object,
            metric.path_of("consecutiveErrorLimit"),
            message,
        );
        finding
            .help(format!(
                "leave it at the default of {CONSECUTIVE_ERROR_LIMIT}, or a few more for a flaky provider"
            ))
            .counterexample(Counterexample {
                given: format!("{limit} errors in a row, one every {ERROR_RETRY_INTERVAL}"),
                evaluated: format!("consecutiveErrorLimit: {limit}"),
                outcome: AnalysisPhase::Running.as_str().to_owned(),
            })
            .fix(
                Applicability::Unsafe,
                format!("set consecutiveErrorLimit to {CONSECUTIVE_ERROR_LIMIT}"),
                vec![Edit {
                    span: metric.span_of("consecutiveErrorLimit"),
                    replacement: CONSECUTIVE_ERROR_LIMIT.to_string(),
                }],
            );
        used.analysis.relate(metric, finding);
    }
}

fn check_dry_runs(analysis: &AnalysisUse<'_>, findings: &mut Findings<'_>) {
    let all_dry = !analysis.metrics.is_empty()
        && analysis.missing.is_empty()
        && analysis.metrics.iter().all(|metric| metric.is_dry_run);
    if !all_dry {
        return;
    }
    // The rules of whoever starts the run, or those of a template.
    let places = std::iter::once((analysis.owner, format!("{}.dryRun", analysis.path)))
        .chain(std::iter::once((analysis.owner, "spec.dryRun".to_owned())))
        .chain(
            analysis
                .templates
                .iter()
                .map(|template| (template.object, "spec.dryRun".to_owned())),
        );
    for (object, path) in places {
        if object.node.at(&path).is_none() {
            continue;
        }
        let message = match analysis.metrics.as_slice() {
            [_] => "the only metric is a dry run: the analysis never fails",
            _ => "every metric is a dry run: the analysis never fails",
        };
        findings
            .report(object, path, message)
            .help("dry-run only the metrics that are being tried out, beside one that counts")
            .confidence(Confidence::High);
        return;
    }
}

/// Roughly.
fn in_words(duration: Duration) -> String {
    let minutes = duration.as_secs() / 60;
    match (minutes / 60, minutes / (60 * 24)) {
        (hours, _) if hours < 1 => format!("{minutes} minutes"),
        (1, _) => "an hour".to_owned(),
        (hours, days) if days < 2 => format!("{hours} hours"),
        (_, days) if days < 1000 => format!("{days} days"),
        (_, days) => format!("{} years", days / 365),
    }
}
