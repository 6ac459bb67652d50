//! `steady-interval-without-count`.

use crate::lint::context::{AnalysisPlace, Context};
use crate::lint::edits::insert_entry;
use crate::lint::facts::schedule::{Ending, ending};
use crate::lint::facts::{is_guessed, is_number_guessed, metrics_in_use};
use crate::lint::{Applicability, Findings, Rule};
use crate::source::Severity;

pub static RULE: Rule = Rule {
    name: "steady-interval-without-count",
    summary: "a metric is measured without end",
    severity: Severity::Warning,
    finds: "
Metrics with an `interval` and no `count`, where an analysis uses them. As a step of a canary, before or
after a promotion, or as an analysis that an experiment has to complete, such a run never ends: that is a
warning. In background analysis, which is ended with the rollout, it is only noted. Templates that nothing
in the files uses are left out, since the use decides.",
    hurts: "
A step waits for its run to end, and this one never does: the controller refuses such a Rollout
(`runs indefinitely`) if it knows the template by then, and otherwise the rollout hangs at that step.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
  replicas: 10
  selector:
    matchLabels: {app: shop}
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers:
        - name: shop
          image: shop:1.0.0
  strategy:
    canary:
      steps:
        - setWeight: 10
        - pause: {duration: 10m}
        - analysis:
            templates:
              - templateName: success-rate
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  metrics:
    - name: success-rate
      interval: 1m
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
    good: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
  replicas: 10
  selector:
    matchLabels: {app: shop}
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers:
        - name: shop
          image: shop:1.0.0
  strategy:
    canary:
      steps:
        - setWeight: 10
        - pause: {duration: 10m}
        - analysis:
            templates:
              - templateName: success-rate
---
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
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for used in metrics_in_use(context) {
        let metric = used.metric;
        if metric.metric.effective_count().is_some()
            || is_guessed(metric, metric.written.interval.as_str())
            || is_number_guessed(metric, metric.written.count.as_ref())
        {
            continue;
        }
        let severity = match used.analysis.place {
            AnalysisPlace::Background { starting_step: _ } => Severity::Info,
            AnalysisPlace::Step { step: _ }
            | AnalysisPlace::PrePromotion
            | AnalysisPlace::PostPromotion => Severity::Warning,
            AnalysisPlace::ExperimentStep {
                step: _,
                analysis: _,
            }
            | AnalysisPlace::Experiment { analysis: _ }
                if ending(&used) == Ending::ByItself =>
            {
                Severity::Warning
            }
            AnalysisPlace::ExperimentStep {
                step: _,
                analysis: _,
            }
            | AnalysisPlace::Experiment { analysis: _ }
            | AnalysisPlace::Run
            | AnalysisPlace::Alone => continue,
        };
        let name = &metric.metric.name;
        let message = if severity == Severity::Info {
            format!("metric `{name}` is measured until the rollout ends: it has no `count`")
        } else {
            format!("metric `{name}` has no `count`, so the rollout waits for its end for ever")
        };
        let finding = findings.report(metric.object, metric.path_of("interval"), message);
        finding
            .severity(severity)
            .help(if severity == Severity::Info {
                "fine if it is meant; in a step such a metric would never end"
            } else {
                "set `count`, the number of measurements after which the metric ends"
            });
        let node = metric.object.node.at(&metric.path);
        if severity == Severity::Warning
            && let Some(edit) =
                node.and_then(|node| insert_entry(context.sources, node, "count", "5"))
        {
            finding.fix(Applicability::Unsafe, "measure 5 times", vec![edit]);
        }
        used.analysis.relate(metric, finding);
    }
}
