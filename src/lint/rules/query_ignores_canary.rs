//! `query-ignores-canary`.

use crate::lint::context::{AnalysisPlace, Context};
use crate::lint::facts::canary::{Telling, telling};
use crate::lint::facts::metrics_in_use;
use crate::lint::{Confidence, Findings, Rule};
use crate::source::Severity;

pub static RULE: Rule = Rule {
    name: "query-ignores-canary",
    summary: "the query does not tell the new version from the stable one",
    severity: Severity::Warning,
    finds: "
Queries of a canary's background and step analyses that select the stable and the new version alike: no
label, value, grouping or argument in them tells the two apart by pod template hash, revision, version,
service or role. For queries other than Prometheus' the text is searched for such words. Queries with an
argument whose value is not known are left alone.",
    hurts: "
At a weight of 10% nine of ten requests that are measured are those of the stable version: a new version
of which half the requests fail moves the success rate from 100% to 95%. It passes.",
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
      analysis:
        templates:
          - templateName: success-rate
      steps:
        - setWeight: 10
        - pause: {duration: 10m}
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
      analysis:
        templates:
          - templateName: success-rate
        args:
          - name: hash
            valueFrom:
              podTemplateHashValue: Latest
      steps:
        - setWeight: 10
        - pause: {duration: 10m}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  args:
    - name: hash
  metrics:
    - name: success-rate
      interval: 1m
      successCondition: result[0] >= 0.95
      failureLimit: 1
      provider:
          prometheus:
            address: http://prometheus.monitoring:9090
            query: |
              sum(rate(http_requests_total{app=\"shop\",code!~\"5..\",pod_template_hash=\"{{args.hash}}\"}[5m]))
              /
              sum(rate(http_requests_total{app=\"shop\",pod_template_hash=\"{{args.hash}}\"}[5m]))
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for used in metrics_in_use(context) {
        match used.analysis.place {
            AnalysisPlace::Background { starting_step: _ } | AnalysisPlace::Step { step: _ } => {}
            AnalysisPlace::PrePromotion
            | AnalysisPlace::PostPromotion
            | AnalysisPlace::ExperimentStep {
                step: _,
                analysis: _,
            }
            | AnalysisPlace::Experiment { analysis: _ }
            | AnalysisPlace::Run
            | AnalysisPlace::Alone => continue,
        }
        if telling(&used) != Some(Telling::Alike) {
            continue;
        }
        let metric = used.metric;
        let message = format!(
            "metric `{}` measures the stable version together with the new one",
            metric.metric.name
        );
        let provider = metric.provider().unwrap_or_default();
        let path = if metric.query.is_some() {
            metric.path_of("provider.prometheus.query")
        } else {
            metric.path_of(&format!("provider.{provider}"))
        };
        let finding = findings.report(metric.object, path, message);
        finding
            .help("select the new version: pass its hash (`valueFrom: {podTemplateHashValue: Latest}`) or the canary service as an argument, and match a label with it")
            .confidence(if metric.query.is_some() {
                Confidence::Medium
            } else {
                Confidence::Low
            });
        used.analysis.relate(metric, finding);
    }
}
