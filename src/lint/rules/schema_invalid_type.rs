//! `invalid-type`.

use std::collections::BTreeSet;

use crate::lint::context::Context;
use crate::lint::{Findings, Rule};
use crate::source::{Severity, Span};
use crate::spec::bundle::TYPE_CODE;
use crate::spec::schema::check::SchemaErrorKind;

pub static RULE: Rule = Rule {
    name: "invalid-type",
    summary: "a value has another type than the API wants",
    severity: Severity::Error,
    finds: "
Values that do not fit the API's schema: a string where a number is wanted, words that are none of
the allowed ones, dates and quantities that cannot be read, list entries that have to be unique and
are not. Kinds that are checked: those of Argo Rollouts, Service and Ingress.",
    hurts: "
The API server refuses the object. Numbers and booleans in labels, arguments and environment
variables have to stand in quotes.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
  selector:
    matchLabels: {app: shop}
  replicas: \"3\"
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers:
        - name: shop
          image: shop:1.0.0
  strategy:
    canary: {}
",
    good: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
  selector:
    matchLabels: {app: shop}
  replicas: 3
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers:
        - name: shop
          image: shop:1.0.0
  strategy:
    canary: {}
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for (object, error) in &context.schema_errors {
        match &error.kind {
            SchemaErrorKind::Value | SchemaErrorKind::Duplicate => {
                let message = error.message.clone();
                findings.report_at(object, error.path.clone(), error.span, message);
            }
            SchemaErrorKind::UnknownField { known: _ } | SchemaErrorKind::MissingField => {}
        }
    }
    // What the types refuse beyond the schema.
    let known: BTreeSet<Span> = context
        .schema_errors
        .iter()
        .map(|(_, error)| error.span)
        .collect();
    for problem in &context.problems {
        let is_known = problem.span.is_some_and(|span| known.contains(&span));
        if problem.code == TYPE_CODE && !is_known {
            findings.report_problem(problem, context.object_at(problem.span));
        }
    }
}
