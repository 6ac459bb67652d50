//! `unknown-field`.

use crate::lint::context::Context;
use crate::lint::{Applicability, Edit, Findings, Rule};
use crate::source::Severity;
use crate::spec::bundle::Object;
use crate::spec::schema::check::SchemaErrorKind;
use crate::spec::yaml::Node;

pub static RULE: Rule = Rule {
    name: "unknown-field",
    summary: "the API has no such field",
    severity: Severity::Error,
    finds: "
Fields that the API does not know, mostly misspelt or at the wrong depth; names of fields count with
their case. `creationTimestamp: null` in a pod template, which generators write, is a warning only. Kinds that are checked: those of Argo Rollouts with their pod templates, Service and Ingress.",
    hurts: "
With strict field validation (`kubectl apply` by default) the object is refused. Without it the field is
dropped in silence, and the default holds in its place.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
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
      stepz:
        - setWeight: 10
",
    good: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
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
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for (object, error) in &context.schema_errors {
        let SchemaErrorKind::UnknownField { known } = &error.kind else {
            continue;
        };
        let message = format!("`{}` is no field of the API", error.path);
        let finding = findings.report_at(object, error.path.clone(), error.span, message);
        if is_generated(object, &error.path) {
            finding
                .severity(Severity::Warning)
                .help("generators write it for nothing: remove the line");
            continue;
        }
        let name = context.sources.slice(error.span).trim_matches(['"', '\'']);
        if let Some(meant) = closest(name, known) {
            let finding = finding.help(format!("did you mean `{meant}`?"));
            // Set twice it would be refused too.
            if is_beside(object, &error.path, name, meant) {
                continue;
            }
            let applicability = if meant.eq_ignore_ascii_case(name) {
                Applicability::Safe
            } else {
                Applicability::Unsafe
            };
            let edit = Edit {
                span: error.span,
                replacement: meant.to_owned(),
            };
            finding.fix(applicability, format!("rename it to `{meant}`"), vec![edit]);
        }
    }
}

/// `creationTimestamp: null`, which the types of Kubernetes write into every pod template.
fn is_generated(object: &Object, path: &str) -> bool {
    path.ends_with("metadata.creationTimestamp") && object.node.at(path).is_some_and(Node::is_null)
}

/// Whether the map of the field `name` at `path` has the field `meant` already.
fn is_beside(object: &Object, path: &str, name: &str, meant: &str) -> bool {
    path.strip_suffix(name)
        .is_some_and(|parent| object.node.at(&format!("{parent}{meant}")).is_some())
}

/// The known name that differs least, if it is by little.
fn closest<'k>(name: &str, known: &'k [String]) -> Option<&'k str> {
    let limit = (name.chars().count() / 3).clamp(1, 3);
    let lower = name.to_ascii_lowercase();
    known
        .iter()
        .map(|other| {
            (
                strsim::damerau_levenshtein(&lower, &other.to_ascii_lowercase()),
                other,
            )
        })
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, other)| other.as_str())
}
