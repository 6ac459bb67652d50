//! `brittle-failure-limit`.

use crate::lint::context::{Context, MetricView};
use crate::lint::edits::set_entry;
use crate::lint::facts::canary::queries_of;
use crate::lint::facts::limits::{Limits, moderate_failure_limit};
use crate::lint::facts::metrics_in_use;
use crate::lint::facts::schedule::{Measurements, measurements};
use crate::lint::facts::selectors::{is_latency, is_latency_name, ratios};
use crate::lint::{Applicability, Confidence, Findings, Rule, Setting};
use crate::source::Severity;

pub static RULE: Rule = Rule {
    name: "brittle-failure-limit",
    summary: "one odd measurement of many fails the analysis",
    severity: Severity::Warning,
    finds: "
Ratios and latencies with a `failureLimit` of 0 (also where it is unset) that are measured
`brittle_measurements` times or more, by `count` or by the time of the steps that a background analysis
goes along with. Metrics that count events one by one, such as restarts, are left out.",
    hurts: "
A ratio of few requests or a 99th percentile now and then passes its limit on a healthy version too.
The more often it is measured, the surer the release is aborted for nothing, and people learn to retry
without looking.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  metrics:
    - name: success-rate
      interval: 1m
      count: 10
      successCondition: result[0] >= 0.95
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
      count: 10
      successCondition: result[0] >= 0.95
      failureLimit: 2
      provider:
          prometheus:
            address: http://prometheus.monitoring:9090
            query: |
              sum(rate(http_requests_total{app=\"shop\",code!~\"5..\"}[5m]))
              /
              sum(rate(http_requests_total{app=\"shop\"}[5m]))
",
    settings: &[Setting {
        name: "brittle_measurements",
        default: "5",
        about: "measurements from which on a `failureLimit` of 0 counts as brittle",
    }],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    let many = i64::from(context.settings.brittle_measurements);
    for used in metrics_in_use(context) {
        let metric = used.metric;
        let Some(confidence) = scatters(metric) else {
            continue;
        };
        if metric.is_dry_run || Limits::of(metric).is_none_or(|limits| limits.failures != 0) {
            continue;
        }
        let name = &metric.metric.name;
        let (message, number) = match measurements(&used) {
            Measurements::Number(number) if number >= many => (
                format!("one failure of {number} measurements fails metric `{name}`"),
                number,
            ),
            Measurements::Endless => (
                format!("the first failure of any number of measurements fails metric `{name}`"),
                many,
            ),
            Measurements::Number(_) | Measurements::Unknown => continue,
        };
        let path = if metric.written.failure_limit.is_some() {
            metric.path_of("failureLimit")
        } else if metric.written.count.is_some() {
            metric.path_of("count")
        } else {
            metric.path_of("interval")
        };
        let value = moderate_failure_limit(number).max(1);
        let finding = findings.report(metric.object, path, message);
        finding
            .help(format!(
                "let some measurements fail, such as `failureLimit: {value}`: a bad version fails more than that"
            ))
            .confidence(confidence);
        let node = metric.object.node.at(&metric.path);
        if let Some(edit) = node
            .and_then(|node| set_entry(context.sources, node, "failureLimit", &value.to_string()))
        {
            let message = format!("set failureLimit to {value}");
            finding.fix(Applicability::Unsafe, message, vec![edit]);
        }
        used.analysis.relate(metric, finding);
    }
}

/// Whether the metric is a ratio or a latency, which scatter by chance, and how sure that is.
fn scatters(metric: &MetricView<'_>) -> Option<Confidence> {
    if let Some(query) = &metric.query {
        let parsed = query.parsed().as_ref().ok()?;
        let scatters = !ratios(parsed).is_empty() || is_latency(parsed);
        return scatters.then_some(Confidence::Medium);
    }
    let text = queries_of(metric)?;
    let formula = metric
        .written
        .provider
        .datadog
        .as_ref()
        .map_or("", |datadog| datadog.formula.as_str());
    let is_ratio = formula.contains('/') || text.contains(" / ");
    (is_ratio || is_latency_name(&text)).then_some(Confidence::Low)
}
