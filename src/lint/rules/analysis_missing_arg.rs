//! `missing-arg`.

use crate::lint::context::{AnalysisPlace, ArgumentOrigin, Context};
use crate::lint::{Findings, Rule};
use crate::source::Severity;
use crate::spec::bundle::Workload;

pub static RULE: Rule = Rule {
    name: "missing-arg",
    summary: "an argument of a template gets no value",
    severity: Severity::Error,
    finds: "
Arguments that a template declares without a value, and that the Rollout or Experiment using it does not
pass. Where a template of the analysis is not among the files, its own value may count; then nothing is
found.",
    hurts: "
The controller refuses the Rollout (`args.x was not resolved`, condition `InvalidSpec`): no new version
goes out. An Experiment ends with an error.",
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
    for analysis in context.analyses() {
        if !analysis.missing.is_empty()
            || matches!(analysis.place, AnalysisPlace::Alone | AnalysisPlace::Run)
            || !(analysis.arguments.iter()).any(|it| it.origin == ArgumentOrigin::Missing)
        {
            continue;
        }
        // Without its workload a rollout is not looked at so far.
        let is_refused = !context.rollouts.iter().any(|rollout| {
            std::ptr::eq(rollout.object, analysis.owner)
                && matches!(
                    rollout.workload,
                    Workload::Missing(_) | Workload::Refused(_)
                )
        });
        for argument in analysis.arguments.iter() {
            if argument.origin != ArgumentOrigin::Missing {
                continue;
            }
            // As the controller names the place.
            let place = match analysis.place {
                AnalysisPlace::Experiment { analysis: _ } => analysis.path.clone(),
                AnalysisPlace::Background { starting_step: _ }
                | AnalysisPlace::Step { step: _ }
                | AnalysisPlace::PrePromotion
                | AnalysisPlace::PostPromotion
                | AnalysisPlace::ExperimentStep {
                    step: _,
                    analysis: _,
                }
                | AnalysisPlace::Run
                | AnalysisPlace::Alone => format!("{}.templates", analysis.path),
            };
            let message = format!(
                "{place}: argument `{}` gets no value: args.{} was not resolved",
                argument.name, argument.name
            );
            let args = format!("{}.args", analysis.path);
            let owner = analysis.owner;
            let path = if owner.node.at(&args).is_some() {
                args
            } else {
                analysis.path.clone()
            };
            let span = owner
                .node
                .span_of(&path)
                .key
                .unwrap_or_else(|| owner.span_of(&path));
            let finding = findings.report_at(owner, path, span, message);
            finding
                .help(format!(
                    "pass `{}` in `args`, or give it a `value` in the template",
                    argument.name
                ))
                .related(argument.declared, "declared here without a value");
            if !is_refused {
                finding.severity(Severity::Warning);
            }
        }
    }
}
