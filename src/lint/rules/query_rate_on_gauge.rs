//! `rate-on-gauge`.

use crate::lint::context::{Context, QueryView};
use crate::lint::facts::selectors::{RATES, Selected, is_shifted, selectors};
use crate::lint::facts::{Used, metrics_in_use};
use crate::lint::{Applicability, Confidence, Edit, Findings, Rule};
use crate::source::{Severity, Span};

pub static RULE: Rule = Rule {
    name: "rate-on-gauge",
    summary: "a rate of what is no counter, or a counter without a rate",
    severity: Severity::Warning,
    finds: "
`rate`, `irate` and `increase` on metrics that are gauges by the conventions for names (bytes in use,
temperatures, ratios, queue lengths, `up`, the `kube_` metrics), and `_total` counters that are read without
a rate, as well as buckets that go into `histogram_quantile` without one. Counting, presence and a
difference to an earlier time (`offset`) are fine without.",
    hurts: "
A rate takes each fall of a gauge for a restart and adds it up: the number means nothing. A counter
without a rate is the sum since its process started: last month's errors fail today's release, and a
pod that restarts makes it fall.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: errors
spec:
  metrics:
    - name: errors
      interval: 1m
      count: 5
      successCondition: result[0] < 100
      failureLimit: 1
      provider:
          prometheus:
            address: http://prometheus.monitoring:9090
            query: |
              sum(http_requests_total{app=\"shop\",code=~\"5..\"})
",
    good: "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: errors
spec:
  metrics:
    - name: errors
      interval: 1m
      count: 5
      successCondition: result[0] < 100
      failureLimit: 1
      provider:
          prometheus:
            address: http://prometheus.monitoring:9090
            query: |
              sum(increase(http_requests_total{app=\"shop\",code=~\"5..\"}[5m]))
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for used in metrics_in_use(context) {
        let Some(query) = &used.metric.query else {
            continue;
        };
        let Ok(parsed) = query.parsed() else {
            continue;
        };
        let selected = selectors(parsed);
        // A difference to an earlier time does what a rate does.
        let is_difference = selected
            .iter()
            .any(|one| is_shifted(&one.selector.modifiers));
        for one in &selected {
            let Some(name) = one.name() else {
                continue;
            };
            let takes_rate = one.function().filter(|name| RATES.contains(name));
            if let Some(function) = takes_rate
                && is_gauge_name(name)
            {
                report_gauge(&used, query, one, (function, name), findings);
            } else if !is_difference && is_raw_counter(one, name) {
                report_counter(&used, query, one, name, findings);
            }
        }
    }
}

/// Functions and aggregations for which the value of a counter does not matter.
const VALUE_DOES_NOT_MATTER: [&str; 8] = [
    "absent",
    "count",
    "group",
    "timestamp",
    "info",
    "limitk",
    "limit_ratio",
    "label_replace",
];

fn is_raw_counter(selected: &Selected<'_>, name: &str) -> bool {
    let is_plain = selected.range.is_none()
        && !selected.in_subquery
        && !selected
            .within
            .iter()
            .any(|function| VALUE_DOES_NOT_MATTER.contains(function));
    let is_quantile = selected.within.contains(&"histogram_quantile");
    is_plain && (name.ends_with("_total") || name.ends_with("_bucket") && is_quantile)
}

/// Whether a metric is a gauge by its name.
fn is_gauge_name(name: &str) -> bool {
    // Recorded rules hold anything.
    if name.contains(':') || crate::lint::facts::selectors::is_counter_name(name) {
        return false;
    }
    const WHOLE: [&str; 2] = ["up", "ALERTS"];
    const STARTS: [&str; 7] = [
        "kube_",
        "node_load",
        "go_goroutines",
        "go_threads",
        "container_memory_",
        "process_resident_memory",
        "process_virtual_memory",
    ];
    const ENDS: [&str; 32] = [
        "_ratio",
        "_percent",
        "_percentage",
        "_celsius",
        "_temperature",
        "_info",
        "_current",
        "_in_progress",
        "_inflight",
        "_in_flight",
        "_active",
        "_length",
        "_size",
        "_depth",
        "_usage",
        "_utilization",
        "_free",
        "_available",
        "_limit",
        "_replicas",
        "_connections",
        "_threads",
        "_usage_bytes",
        "_memory_bytes",
        "_used_bytes",
        "_free_bytes",
        "_available_bytes",
        "_limit_bytes",
        "_size_bytes",
        "_timestamp_seconds",
        "_open_fds",
        "_ready",
    ];
    WHOLE.contains(&name)
        || STARTS.iter().any(|start| name.starts_with(start))
        || ENDS.iter().any(|end| name.ends_with(end))
}

fn report_gauge(
    used: &Used<'_, '_>,
    query: &QueryView,
    selected: &Selected<'_>,
    (function, name): (&str, &str),
    findings: &mut Findings<'_>,
) {
    let metric = used.metric;
    let message =
        format!("`{function}` of `{name}` means nothing: by its name it is a gauge, not a counter");
    let finding = findings.report_at(
        metric.object,
        metric.path_of("provider.prometheus.query"),
        query.span(selected.span),
        message,
    );
    finding
        .help("use the value itself, `avg_over_time`, or `deriv` for how fast it changes")
        .confidence(Confidence::Low);
    used.analysis.relate(metric, finding);
}

fn report_counter(
    used: &Used<'_, '_>,
    query: &QueryView,
    selected: &Selected<'_>,
    name: &str,
    findings: &mut Findings<'_>,
) {
    let metric = used.metric;
    let message = format!("`{name}` without a rate is the sum since its process started");
    let span = query.span(selected.span);
    let at = |offset: u32| Span {
        start: offset,
        end: offset,
        ..span
    };
    let finding = findings.report_at(
        metric.object,
        metric.path_of("provider.prometheus.query"),
        span,
        message,
    );
    finding
        .help("take `rate(...[5m])` or `increase(...[5m])` of it")
        .confidence(Confidence::Medium)
        .fix(
            Applicability::Unsafe,
            "take the rate over 5 minutes",
            vec![
                Edit {
                    span: at(span.start),
                    replacement: "rate(".to_owned(),
                },
                Edit {
                    span: at(span.end),
                    replacement: "[5m])".to_owned(),
                },
            ],
        );
    used.analysis.relate(metric, finding);
}
