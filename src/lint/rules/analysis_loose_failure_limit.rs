//! `loose-failure-limit`.

use crate::lint::context::Context;
use crate::lint::edits::set_entry;
use crate::lint::facts::limits::{Limits, moderate_failure_limit};
use crate::lint::facts::metrics_in_use;
use crate::lint::facts::schedule::{Measurements, measurements};
use crate::lint::{Applicability, Confidence, Findings, Rule, Setting};
use crate::source::Severity;

pub static RULE: Rule = Rule {
    name: "loose-failure-limit",
    summary: "most measurements may fail and the analysis still passes",
    severity: Severity::Warning,
    finds: "
A `failureLimit` that lets more than `max_failure_share` of the measurements fail, where they are counted
by `count`, or by the time of the steps that a background analysis goes along with. Where all of them may
fail by `count`, that is `metric-cannot-fail`.",
    hurts: "
A version that is broken for most of the time is promoted. Measurements that fail say something; one or
two may be chance, more than half are not.",
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
      failureLimit: 7
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
        name: "max_failure_share",
        default: "0.5",
        about: "largest share of measurements that may fail, 0 to 1",
    }],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for used in metrics_in_use(context) {
        let metric = used.metric;
        let Some(limits) = Limits::of(metric) else {
            continue;
        };
        let Measurements::Number(number) = measurements(&used) else {
            continue;
        };
        // `metric-cannot-fail` tells of the last.
        let cannot_fail = limits.count.is_some_and(|count| limits.failures >= count);
        if metric.is_dry_run || limits.failures < 1 || number < 1 || cannot_fail {
            continue;
        }
        let allowed = limits.failures.min(number);
        if allowed as f64 / number as f64 <= context.settings.max_failure_share {
            continue;
        }
        let by_time = limits.count != Some(number);
        let message = format!(
            "metric `{}` passes although {allowed} of {number} measurements fail",
            metric.metric.name
        );
        let value = moderate_failure_limit(number);
        let finding = findings.report(metric.object, metric.path_of("failureLimit"), message);
        finding
            .help(if by_time {
                format!(
                    "the steps leave time for {number} measurements: measure more often, or set `failureLimit: {value}`"
                )
            } else {
                format!("let fewer fail, such as `failureLimit: {value}`")
            })
            .confidence(if by_time {
                Confidence::Medium
            } else {
                Confidence::High
            });
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
