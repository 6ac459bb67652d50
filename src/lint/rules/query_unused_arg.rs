//! `query-unused-arg`.

use std::collections::BTreeSet;

use crate::lint::context::{AnalysisPlace, AnalysisUse, Context, argument_names};
use crate::lint::edits::remove_item;
use crate::lint::{Applicability, Findings, Rule};
use crate::source::{Severity, Sources};
use crate::spec::bundle::Object;
use crate::spec::yaml::Node;

pub static RULE: Rule = Rule {
    name: "query-unused-arg",
    summary: "an argument is declared or passed and never used",
    severity: Severity::Warning,
    finds: "
Arguments that a template declares and neither its metrics nor those it is merged with use, and
arguments that a Rollout or an Experiment passes although no template declares them. Templates that are
not among the files may use them; then nothing is found.",
    hurts: "
Mostly it is a placeholder that is missing or spelled otherwise: the query then measures something else
than the argument says, such as all versions instead of one.",
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
    for declaring in context.analyses() {
        if matches!(declaring.place, AnalysisPlace::Alone | AnalysisPlace::Run) {
            check_declared(context, declaring, findings);
        } else if declaring.missing.is_empty() && !declaring.templates.is_empty() {
            check_passed(context, declaring, findings);
        }
    }
}

fn check_declared(context: &Context<'_>, analysis: &AnalysisUse<'_>, findings: &mut Findings<'_>) {
    let object = analysis.owner;
    let args = object.node.get("spec").and_then(|spec| spec.get("args"));
    let Some(declared) = args.and_then(Node::as_seq) else {
        return;
    };
    // Whatever it is merged with: where it is used, and the templates that it names.
    let mut names = BTreeSet::new();
    add_names(context.sources, object, &mut names);
    // Most templates use what they declare: only the others are looked for in all places of use.
    let mut declared_names = declared.iter().filter_map(|it| it.get("name")?.as_str());
    if declared_names.all(|name| names.contains(name)) {
        return;
    }
    for other in context.analyses() {
        let is_merged = other
            .templates
            .iter()
            .any(|template| std::ptr::eq(template.object, object));
        if is_merged {
            if !other.missing.is_empty() {
                return;
            }
            for template in &other.templates {
                add_names(context.sources, template.object, &mut names);
            }
        }
    }
    let is_used_alone = analysis.place == AnalysisPlace::Alone;
    if is_used_alone && !add_nested(context, object, &mut names) {
        return;
    }
    for (index, argument) in declared.iter().enumerate() {
        let Some(name) = argument.get("name").and_then(Node::as_str) else {
            continue;
        };
        if names.contains(name) {
            continue;
        }
        let message =
            format!("argument `{name}` is declared, and nothing uses `{{{{args.{name}}}}}`");
        let finding = findings.report(object, format!("spec.args[{index}].name"), message);
        finding.help("use it in the query, or remove it");
        let list = object.node.at("spec.args");
        if let Some(edit) = list.and_then(|list| remove_item(context.sources, list, index)) {
            finding.fix(Applicability::Unsafe, "remove the argument", vec![edit]);
        }
    }
}

fn check_passed(context: &Context<'_>, analysis: &AnalysisUse<'_>, findings: &mut Findings<'_>) {
    let object = analysis.owner;
    let path = format!("{}.args", analysis.path);
    let Some(list) = object.node.at(&path) else {
        return;
    };
    for (index, item) in list.as_seq().unwrap_or_default().iter().enumerate() {
        let Some(name) = item.get("name").and_then(|node| node.as_str()) else {
            continue;
        };
        if !analysis
            .undeclared
            .iter()
            .any(|(undeclared, _)| undeclared == name)
        {
            continue;
        }
        let message =
            format!("argument `{name}` is passed, and no template of the analysis declares it");
        let finding = findings.report(object, format!("{path}[{index}].name"), message);
        finding.help("declare it in `args` of the template and use it, or do not pass it");
        for template in &analysis.templates {
            finding.related(
                template.object.span_of("metadata.name"),
                "a template of the analysis",
            );
        }
        if let Some(edit) = remove_item(context.sources, list, index) {
            // Arguments that nothing declares are dropped anyway.
            finding.fix(Applicability::Safe, "do not pass the argument", vec![edit]);
        }
    }
}

/// Names in placeholders of an object: in all its texts, and as its metrics are written, since a
/// placeholder without quotes is no text to YAML.
fn add_names(sources: &Sources, object: &Object, names: &mut BTreeSet<String>) {
    if let Some(spec) = object.node.get("spec") {
        spec.each_text(&mut |text| names.extend(argument_names(text).map(str::to_owned)));
    }
    let written = sources.slice(object.span_of("spec.metrics"));
    names.extend(argument_names(written).map(str::to_owned));
}

/// Adds the names that templates named by this one use; false where one is not among the files.
fn add_nested(context: &Context<'_>, object: &Object, names: &mut BTreeSet<String>) -> bool {
    let mut seen: Vec<&Object> = vec![object];
    let mut next = 0;
    while let Some(from) = seen.get(next).copied() {
        next += 1;
        for reference in context.bundle.references(from) {
            if !reference.kind.ends_with("AnalysisTemplate") {
                continue;
            }
            let Some(template) = reference.resolved else {
                return false;
            };
            if !seen.iter().any(|known| std::ptr::eq(*known, template)) {
                add_names(context.sources, template, names);
                seen.push(template);
            }
        }
    }
    true
}
