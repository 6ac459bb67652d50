//! `metric-cannot-fail`.

use crate::lint::context::{Context, MetricView};
use crate::lint::edits::set_entry;
use crate::lint::evaluate::{ProviderAnswer, evaluate_outcome};
use crate::lint::facts::limits::{Limits, moderate_failure_limit, phase_after};
use crate::lint::facts::{Used, is_guessed, metrics_in_use};
use crate::lint::{Applicability, Confidence, Counterexample, Findings, Rule};
use crate::source::Severity;
use crate::spec::analysis::AnalysisPhase;

pub static RULE: Rule = Rule {
    name: "metric-cannot-fail",
    summary: "no measurement can make the metric fail",
    severity: Severity::Warning,
    finds: "
Metrics that end Successful whatever is measured: `failureLimit` is as large as the number of
measurements (one, where `count` and `interval` are unset), it is off and nothing else ends the metric,
no condition is set, or the condition holds for every answer that was tried. The engine plays the worst
case: every measurement fails, every measurement is inconclusive. Nothing is found where some sequence
of measurements fails or is inconclusive. Errors of the provider do not count here.",
    hurts: "
The analysis is decoration. Versions that fail every measurement are promoted, with a green
AnalysisRun as their certificate.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  metrics:
    - name: success-rate
      interval: 1m
      count: 3
      successCondition: result[0] >= 0.95
      failureLimit: 3
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
      count: 3
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
        let metric = used.metric;
        // `errors-never-fail` tells of dry runs.
        if metric.is_dry_run || metric.provider().is_none() {
            continue;
        }
        if needs_condition(metric) && metric.success.is_none() && metric.failure.is_none() {
            report_without_condition(&used, findings);
        } else if always_passes(metric) {
            report_constant(&used, findings);
        } else if let Some(limits) = Limits::of(metric) {
            check_limits(context, &used, limits, findings);
        }
    }
}

/// Whether the provider leaves the verdict to the conditions.
fn needs_condition(metric: &MetricView<'_>) -> bool {
    !matches!(metric.provider(), Some("job" | "kayenta" | "plugin") | None)
}

fn report_without_condition(used: &Used<'_, '_>, findings: &mut Findings<'_>) {
    let metric = used.metric;
    let message = format!(
        "metric `{}` has no condition: every answer is a success",
        metric.metric.name
    );
    let finding = findings.report(metric.object, metric.path_of("name"), message);
    finding.help("set `successCondition`, such as `result[0] >= 0.95`");
    used.analysis.relate(metric, finding);
}

/// Whether every kind of answer is a success.
fn always_passes(metric: &MetricView<'_>) -> bool {
    const NUMBERS: [f64; 13] = [
        f64::NEG_INFINITY,
        -1e12,
        -1.0,
        0.0,
        1e-6,
        0.5,
        1.0,
        2.0,
        99.0,
        100.0,
        1e12,
        f64::INFINITY,
        f64::NAN,
    ];
    let is_known = [
        &metric.written.success_condition,
        &metric.written.failure_condition,
    ]
    .into_iter()
    .all(|condition| !is_guessed(metric, condition));
    let passes = |answer: ProviderAnswer| {
        evaluate_outcome(metric, &answer)
            .is_some_and(|outcome| outcome.phase == AnalysisPhase::Successful)
    };
    is_known
        && needs_condition(metric)
        && NUMBERS
            .into_iter()
            .all(|number| passes(ProviderAnswer::Number(number)))
}

fn report_constant(used: &Used<'_, '_>, findings: &mut Findings<'_>) {
    let metric = used.metric;
    let (field, condition) = if metric.metric.success_condition.is_empty() {
        ("failureCondition", &metric.metric.failure_condition)
    } else {
        ("successCondition", &metric.metric.success_condition)
    };
    let message = format!(
        "every answer is a success, so metric `{}` never fails",
        metric.metric.name
    );
    let finding = findings.report(metric.object, metric.path_of(field), message);
    finding
        .help("compare the result with a limit")
        .confidence(Confidence::Medium)
        .counterexample(Counterexample::measurement(
            "numbers from -Inf to +Inf, and NaN".to_owned(),
            format!("{field}: {condition}"),
            AnalysisPhase::Successful,
        ));
    used.analysis.relate(metric, finding);
}

fn check_limits(
    context: &Context<'_>,
    used: &Used<'_, '_>,
    limits: Limits,
    findings: &mut Findings<'_>,
) {
    let metric = used.metric;
    // With both conditions an answer may be neither; some providers know inconclusive too.
    let may_be_inconclusive = metric.success.is_some() && metric.failure.is_some()
        || matches!(metric.provider(), Some("kayenta" | "plugin"));
    // Without an end, the limits are exceeded some time or never.
    let worst = limits.count.unwrap_or(i64::from(i32::MAX)).max(1);
    let ends_badly = |phase| {
        matches!(
            phase_after(&metric.metric, phase, worst),
            AnalysisPhase::Failed | AnalysisPhase::Inconclusive | AnalysisPhase::Error
        )
    };
    if ends_badly(AnalysisPhase::Failed)
        || may_be_inconclusive && ends_badly(AnalysisPhase::Inconclusive)
    {
        return;
    }
    let name = &metric.metric.name;
    let message = match limits.count {
        None => {
            format!("metric `{name}` never fails: `failureLimit` is off, and nothing else ends it")
        }
        Some(1) if metric.metric.count.is_none() => format!(
            "metric `{name}` never fails: it is measured once, as neither `count` nor `interval` is set, and {} may fail",
            failures(limits.failures)
        ),
        Some(count) => format!(
            "metric `{name}` never fails: {} of its {count} may fail",
            failures(limits.failures)
        ),
    };
    let finding = findings.report(metric.object, metric.path_of("failureLimit"), message);
    finding.help("let fewer measurements fail than are taken");
    if let Some(count) = limits.count {
        finding.counterexample(Counterexample {
            given: if count == 1 {
                "the only measurement fails".to_owned()
            } else {
                format!("all {count} measurements fail")
            },
            evaluated: format!("failureLimit: {}", limits.failures),
            outcome: phase_after(&metric.metric, AnalysisPhase::Failed, count)
                .as_str()
                .to_owned(),
        });
        let value = moderate_failure_limit(count);
        let node = metric.object.node.at(&metric.path);
        if let Some(edit) = node
            .and_then(|node| set_entry(context.sources, node, "failureLimit", &value.to_string()))
        {
            let message = format!("set failureLimit to {value}");
            finding.fix(Applicability::Unsafe, message, vec![edit]);
        }
    }
    used.analysis.relate(metric, finding);
}

fn failures(limit: i64) -> String {
    match limit {
        1 => "1 measurement".to_owned(),
        limit if limit < 0 => "all measurements".to_owned(),
        limit => format!("{limit} measurements"),
    }
}
