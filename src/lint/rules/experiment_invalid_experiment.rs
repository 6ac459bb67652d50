//! `invalid-experiment`.

use crate::lint::context::Context;
use crate::lint::{Findings, Rule};
use crate::source::Severity;
use crate::spec::bundle::Typed;
use crate::spec::validation::{validate_experiment, validate_experiment_analyses};

pub static RULE: Rule = Rule {
    name: "invalid-experiment",
    summary: "the controller refuses the experiment",
    severity: Severity::Error,
    finds: "
Templates of an Experiment without a selector, with an empty one or with names that are missing or
used twice, deadlines that cannot be met, analyses whose templates cannot be merged or whose arguments
get no value, and a duration that is none.",
    hurts: "
The Experiment gets the condition `InvalidSpec` or ends with phase Error before a pod starts. A
duration that cannot be read is ignored: the Experiment then runs until its analyses end, or for ever.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: Experiment
metadata:
  name: compare
spec:
  duration: 10m
  templates:
    - name: baseline
      selector:
        matchLabels: {}
      template:
        metadata:
          labels: {app: shop}
        spec:
          containers:
            - name: shop
              image: shop:1.0.0
",
    good: "
apiVersion: argoproj.io/v1alpha1
kind: Experiment
metadata:
  name: compare
spec:
  duration: 10m
  templates:
    - name: baseline
      selector:
        matchLabels: {app: shop}
      template:
        metadata:
          labels: {app: shop}
        spec:
          containers:
            - name: shop
              image: shop:1.0.0
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for object in context.bundle.objects() {
        let Typed::Experiment(experiment) = &object.typed else {
            continue;
        };
        if let Some(message) = validate_experiment(experiment) {
            let path = "spec.templates";
            findings.report(object, path, format!("{path}: {message}"));
        }
        let view = context.bundle.in_namespace(object.namespace_or_default());
        for error in validate_experiment_analyses(experiment, &view) {
            // A missing template is told by its own rule.
            if !error.detail.ends_with("not found") {
                findings.report(object, error.path.clone(), error.to_string());
            }
        }
        let duration = &experiment.spec.duration;
        if let (false, Err(error)) = (duration.is_empty(), duration.parse()) {
            let path = "spec.duration";
            findings
                .report(object, path, format!("{path}: {error}"))
                .help("write a duration such as `10m` or `1h30m`");
        }
    }
}
