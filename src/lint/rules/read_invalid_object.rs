//! `invalid-object`.

use crate::lint::context::Context;
use crate::lint::{Findings, Rule};
use crate::source::Severity;
use crate::spec::bundle::{Object, ROLLOUTS_GROUP, TYPE_CODE, is_rollouts_kind};
use crate::spec::validation::syntax::{dns_label, dns_subdomain, label_value, qualified_name};
use crate::spec::yaml::Map;

/// Bytes of all annotations of an object at most.
const ANNOTATIONS_BYTES_MAX: usize = 256 << 10;

pub static RULE: Rule = Rule {
    name: "invalid-object",
    summary: "an object without kind, version or a name that Kubernetes takes",
    severity: Severity::Error,
    finds: "
Documents that are no object, objects without `kind`, a version of the API that does not exist, and
names, labels and annotations that the API server refuses. Objects that are given twice are a
warning.",
    hurts: "
Nothing reads an object without a kind; the API server refuses the others.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: Shop_Front
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
    canary: {}
",
    good: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop-front
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
    canary: {}
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for problem in &context.problems {
        if problem.code.starts_with("object-") && problem.code != TYPE_CODE {
            findings.report_problem(problem, context.object_at(problem.span));
        }
    }
    for object in context.bundle.objects() {
        if is_rollouts_kind(&object.kind) && object.group() == ROLLOUTS_GROUP {
            check_metadata(object, findings);
        }
    }
}

/// As the API server checks the metadata of custom objects (`apimachinery` `api/validation`).
fn check_metadata(object: &Object, findings: &mut Findings<'_>) {
    let mut report = |path: &str, place: String, reason: String| {
        findings.report(object, place, format!("{path}: {reason}"));
    };
    let metadata = object.node.get("metadata");
    let text = |key: &str| metadata.and_then(|metadata| metadata.get(key)?.as_str());
    let name = text("name").unwrap_or_default();
    if !name.is_empty() {
        for reason in dns_subdomain(name) {
            report("metadata.name", "metadata.name".to_owned(), reason);
        }
    } else if let Some(prefix) = text("generateName") {
        // What is appended is fine after a dash.
        let name = prefix.strip_suffix('-').map_or(prefix, |stem| stem);
        for reason in dns_subdomain(name).into_iter().filter(|_| !name.is_empty()) {
            report(
                "metadata.generateName",
                "metadata.generateName".to_owned(),
                reason,
            );
        }
    }
    if let Some(namespace) = text("namespace").filter(|namespace| !namespace.is_empty()) {
        for reason in dns_label(namespace) {
            report(
                "metadata.namespace",
                "metadata.namespace".to_owned(),
                reason,
            );
        }
    }
    let entries = |key: &str| {
        metadata
            .and_then(|metadata| metadata.get(key)?.as_map())
            .map_or(&[][..], Map::entries)
            .iter()
            .map(|entry| (&entry.key, entry.value.as_str().unwrap_or_default()))
    };
    for (key, value) in entries("labels") {
        for reason in qualified_name(key).into_iter().chain(label_value(value)) {
            report("metadata.labels", format!("metadata.labels[{key}]"), reason);
        }
    }
    let mut size = 0_usize;
    for (key, value) in entries("annotations") {
        size = size.saturating_add(key.len() + value.len());
        // Prefixes of annotations may have capital letters.
        for reason in qualified_name(&key.to_ascii_lowercase()) {
            report(
                "metadata.annotations",
                format!("metadata.annotations[{key}]"),
                reason,
            );
        }
    }
    if size > ANNOTATIONS_BYTES_MAX {
        let reason = format!("may not be more than {ANNOTATIONS_BYTES_MAX} bytes");
        report(
            "metadata.annotations",
            "metadata.annotations".to_owned(),
            reason,
        );
    }
}
