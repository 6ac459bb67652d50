//! `auto-promotion-unchecked`.

use crate::lint::context::Context;
use crate::lint::edits::add_entry;
use crate::lint::{Applicability, Confidence, Edit, Findings, Rule};
use crate::source::Severity;

pub static RULE: Rule = Rule {
    name: "auto-promotion-unchecked",
    summary: "a blue-green update is promoted by itself, and nothing has judged it",
    severity: Severity::Warning,
    finds: "
Blue-green rollouts that promote by themselves (`autoPromotionEnabled` is not false) without a
`prePromotionAnalysis`. Where `autoPromotionSeconds` leaves time to look at the preview, the confidence is
medium.",
    hurts: "
All users meet the new version at once, as soon as its pods are ready. Whatever a readiness probe does not
see is seen by everybody first.",
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
    blueGreen:
      activeService: shop-active
      previewService: shop-preview
---
apiVersion: v1
kind: Service
metadata:
  name: shop-active
spec:
  selector: {app: shop}
  ports:
    - port: 80
---
apiVersion: v1
kind: Service
metadata:
  name: shop-preview
spec:
  selector: {app: shop}
  ports:
    - port: 80
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
    blueGreen:
      activeService: shop-active
      previewService: shop-preview
      prePromotionAnalysis:
        templates:
          - templateName: success-rate
---
apiVersion: v1
kind: Service
metadata:
  name: shop-active
spec:
  selector: {app: shop}
  ports:
    - port: 80
---
apiVersion: v1
kind: Service
metadata:
  name: shop-preview
spec:
  selector: {app: shop}
  ports:
    - port: 80
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
      failureLimit: 1
      successCondition: result[0] >= 0.95
      provider:
        prometheus:
          address: http://prometheus.monitoring:9090
          query: |
            sum(rate(http_requests_total{app=\"shop-canary\",code!~\"5..\"}[5m]))
            /
            sum(rate(http_requests_total{app=\"shop-canary\"}[5m]))
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for rollout in &context.rollouts {
        let spec = &rollout.rollout.spec;
        let Some(blue_green) = &spec.strategy.blue_green else {
            continue;
        };
        if !spec.auto_promotion_enabled_or_default() || blue_green.pre_promotion_analysis.is_some()
        {
            continue;
        }
        let strategy = "spec.strategy.blueGreen";
        let field = "spec.strategy.blueGreen.autoPromotionEnabled";
        let is_written = blue_green.auto_promotion_enabled.is_some();
        let path = if is_written { field } else { strategy };
        let place = rollout.object.node.span_of(path);
        let span = if is_written {
            place.value
        } else {
            place.key.unwrap_or(place.value)
        };
        let delay = blue_green.auto_promotion_seconds;
        let message = if delay > 0 {
            format!(
                "all users get the new version {delay} seconds after its pods are ready, and nothing has judged it"
            )
        } else {
            "all users get the new version as soon as its pods are ready, and nothing has judged it"
                .to_owned()
        };
        let finding = findings
            .report_at(rollout.object, path, span, message)
            .help("add a `prePromotionAnalysis` that measures the preview, or set `autoPromotionEnabled: false`")
            .confidence(if delay > 0 {
                Confidence::Medium
            } else {
                Confidence::High
            });
        let edit = if is_written {
            Some(Edit {
                span,
                replacement: "false".to_owned(),
            })
        } else {
            let map = rollout.object.node.at(strategy);
            map.and_then(|map| add_entry(context.sources, map, "autoPromotionEnabled", "false"))
        };
        if let Some(edit) = edit {
            finding.fix(Applicability::Unsafe, "let somebody promote", vec![edit]);
        }
    }
}
