//! `missing-field`.

use crate::lint::context::Context;
use crate::lint::{Findings, Rule};
use crate::source::Severity;
use crate::spec::schema::check::SchemaErrorKind;

pub static RULE: Rule = Rule {
    name: "missing-field",
    summary: "a field that the API asks for is not there",
    severity: Severity::Error,
    finds: "
Fields that the API's schema requires, such as the name of an analysis or the services of a blue-green
strategy. A field that is null counts as absent; one with a default does not.",
    hurts: "
The API server refuses the object.",
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
    blueGreen:
      previewService: shop-preview
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
    blueGreen:
      activeService: shop
      previewService: shop-preview
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for (object, error) in &context.schema_errors {
        if error.kind == SchemaErrorKind::MissingField {
            let message = error.message.clone();
            findings.report_at(object, error.path.clone(), error.span, message);
        }
    }
}
