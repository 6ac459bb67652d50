//! Where pods may run: affinity, tolerations, topology spread.

use super::node::{Node, invalid_each};
use crate::spec::meta::LabelSelector;
use crate::spec::validation::field::{FieldError, Path};
use crate::spec::validation::selector::{validate_label_name, validate_label_selector};
use crate::spec::validation::syntax;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
const OPERATOR_RULE: &str = "not a valid selector operator";

pub(super) fn validate_affinity(spec: &Node<'_>) -> Vec<FieldError> {
    let Some(affinity) = spec.child("affinity") else {
        return Vec::new();
    };
    let mut errors = Vec::new();
    if let Some(node_affinity) = affinity.child("nodeAffinity") {
        errors.extend(validate_node_affinity(&node_affinity));
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        if let Some(pod_affinity) = affinity.child(kind) {
            errors.extend(validate_pod_affinity(&pod_affinity));
        }
    }
    errors
}

/// The tolerations of a field.
pub(super) fn validate_tolerations(node: &Node<'_>, field: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for toleration in node.items(field) {
        let key = toleration.text("key");
        let (operator, value, effect) = (
            toleration.text("operator"),
            toleration.text("value"),
            toleration.text("effect"),
        );
        let at_operator = toleration.path("operator");
        if !key.is_empty() {
            errors.extend(validate_label_name(key, &toleration.path("key")));
        } else if operator != "Exists" {
            let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.push(at_operator.invalid(operator, detail));
        }
        if toleration.int("tolerationSeconds").is_some() && effect != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.push(toleration.path("effect").invalid(effect, detail));
        }
        match operator {
            "Equal" | "" => {
                let details = syntax::label_value(value);
                if !details.is_empty() {
                    errors.push(at_operator.invalid(value, details.join(";")));
                }
            }
            "Exists" if !value.is_empty() => {
                errors.push(
                    at_operator.invalid(value, "value must be empty when `operator` is 'Exists'"),
                );
            }
            "Exists" => {}
            other => errors.push(at_operator.not_supported(other, &["Equal", "Exists"])),
        }
        let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        if !effect.is_empty() {
            errors.extend(toleration.one_of("effect", &effects));
        }
    }
    errors
}

pub(super) fn validate_topology_spread(spec: &Node<'_>) -> Vec<FieldError> {
    let constraints = spec.items("topologySpreadConstraints");
    let kind = |constraint: &Node<'_>| {
        (
            constraint.text("topologyKey").to_string(),
            constraint.text("whenUnsatisfiable").to_string(),
        )
    };
    let mut errors = Vec::new();
    for (i, constraint) in constraints.iter().enumerate() {
        let skew = constraint.int("maxSkew").unwrap_or(0);
        errors.extend(positive(skew, &constraint.path("maxSkew")));
        if constraint.text("topologyKey").is_empty() {
            errors.push(constraint.path("topologyKey").required("can not be empty"));
        }
        let actions = ["DoNotSchedule", "ScheduleAnyway"];
        let action = constraint.text("whenUnsatisfiable");
        if !actions.contains(&action) {
            errors.push(
                constraint
                    .path("whenUnsatisfiable")
                    .not_supported(action, &actions),
            );
        }
        let own_kind = kind(constraint);
        if constraints
            .iter()
            .skip(i + 1)
            .any(|other| kind(other) == own_kind)
        {
            let path = constraint.path("{topologyKey, whenUnsatisfiable}");
            errors.push(path.duplicate(format!("{{{}, {}}}", own_kind.0, own_kind.1)));
        }
        if let Some(domains) = constraint.int("minDomains") {
            let path = constraint.path("minDomains");
            errors.extend(positive(domains, &path));
            if action != "DoNotSchedule" {
                let detail = format!(
                    "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
                );
                errors.push(path.invalid(domains, detail));
            }
        }
        errors.extend(constraint.one_of("nodeAffinityPolicy", &["Honor", "Ignore"]));
        errors.extend(constraint.one_of("nodeTaintsPolicy", &["Honor", "Ignore"]));
        let selector = constraint.selector("labelSelector");
        errors.extend(validate_spread_keys(constraint, selector.as_ref()));
        if let Some(selector) = &selector {
            errors.extend(validate_label_selector(
                selector,
                &constraint.path("labelSelector"),
            ));
        }
    }
    errors
}

fn positive(value: i64, path: &Path) -> Option<FieldError> {
    (value <= 0).then(|| path.invalid(value, "must be greater than zero"))
}

fn validate_spread_keys(
    constraint: &Node<'_>,
    selector: Option<&LabelSelector>,
) -> Vec<FieldError> {
    let keys = constraint.texts("matchLabelKeys");
    let path = constraint.path("matchLabelKeys");
    let mut errors = Vec::new();
    if selector.is_none() && !keys.is_empty() {
        errors.push(path.forbidden("must not be specified when labelSelector is not set"));
    }
    for (i, key) in keys.into_iter().enumerate() {
        errors.extend(validate_label_name(key, &path.index(i)));
        let is_selected = selector.is_some_and(|selector| {
            selector.match_labels.contains_key(key)
                || selector
                    .match_expressions
                    .iter()
                    .any(|requirement| requirement.key == key)
        });
        if is_selected {
            errors.push(
                path.index(i)
                    .invalid(key, "exists in both matchLabelKeys and labelSelector"),
            );
        }
    }
    errors
}

fn validate_node_affinity(affinity: &Node<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(required) = affinity.child(REQUIRED) {
        let terms = required.items("nodeSelectorTerms");
        if terms.is_empty() {
            let path = required.path("nodeSelectorTerms");
            errors.push(path.required("must have at least one node selector term"));
        }
        errors.extend(terms.iter().flat_map(|term| validate_node_term(term, true)));
    }
    for term in affinity.items(PREFERRED) {
        errors.extend(validate_weight(&term));
        if let Some(preference) = term.child("preference") {
            errors.extend(validate_node_term(&preference, false));
        }
    }
    errors
}

fn validate_weight(term: &Node<'_>) -> Option<FieldError> {
    let weight = term.int("weight").unwrap_or(0);
    (!(1..=100).contains(&weight)).then(|| {
        term.path("weight")
            .invalid(weight, "must be in the range 1-100")
    })
}

/// Values are looked at only where a term is required.
fn validate_node_term(term: &Node<'_>, checks_values: bool) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for requirement in term.items("matchExpressions") {
        let values = requirement.texts("values");
        let at_values = requirement.path("values");
        match requirement.text("operator") {
            "In" | "NotIn" if values.is_empty() => {
                errors.push(
                    at_values.required("must be specified when `operator` is 'In' or 'NotIn'"),
                );
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(at_values.forbidden(detail));
            }
            "Gt" | "Lt" if values.len() != 1 => {
                errors
                    .push(at_values.required(
                        "must be specified single value when `operator` is 'Lt' or 'Gt'",
                    ));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            other => errors.push(requirement.path("operator").invalid(other, OPERATOR_RULE)),
        }
        errors.extend(validate_label_name(
            requirement.text("key"),
            &requirement.path("key"),
        ));
        if checks_values {
            for (i, value) in values.into_iter().enumerate() {
                errors.extend(invalid_each(
                    &at_values.index(i),
                    value,
                    syntax::label_value(value),
                ));
            }
        }
    }
    errors.extend(
        term.items("matchFields")
            .iter()
            .flat_map(validate_node_field),
    );
    errors
}

fn validate_node_field(requirement: &Node<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let values = requirement.texts("values");
    match requirement.text("operator") {
        "In" | "NotIn" if values.len() != 1 => {
            let detail =
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
            errors.push(requirement.path("values").required(detail));
        }
        "In" | "NotIn" => {}
        other => errors.push(requirement.path("operator").invalid(other, OPERATOR_RULE)),
    }
    match requirement.text("key") {
        "metadata.name" => {
            for (i, value) in values.into_iter().enumerate() {
                let path = requirement.path("values").index(i);
                errors.extend(invalid_each(&path, value, syntax::dns_subdomain(value)));
            }
        }
        key => errors.push(
            requirement
                .path("key")
                .invalid(key, "not a valid field selector key"),
        ),
    }
    errors
}

fn validate_pod_affinity(affinity: &Node<'_>) -> Vec<FieldError> {
    let mut errors: Vec<FieldError> = affinity
        .items(REQUIRED)
        .iter()
        .flat_map(validate_pod_term)
        .collect();
    let empty = serde_json::Map::new();
    for weighted in affinity.items(PREFERRED) {
        errors.extend(validate_weight(&weighted));
        let absent = Node::new(&empty, weighted.path("podAffinityTerm"));
        errors.extend(validate_pod_term(
            &weighted.child("podAffinityTerm").unwrap_or(absent),
        ));
    }
    errors
}

fn validate_pod_term(term: &Node<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let selector = term.selector("labelSelector");
    if let Some(selector) = &selector {
        errors.extend(validate_label_selector(
            selector,
            &term.path("labelSelector"),
        ));
    }
    if let Some(selector) = term.selector("namespaceSelector") {
        errors.extend(validate_label_selector(
            &selector,
            &term.path("namespaceSelector"),
        ));
    }
    for namespace in term.texts("namespaces") {
        errors.extend(invalid_each(
            &term.path("namespace"),
            namespace,
            syntax::dns_label(namespace),
        ));
    }
    errors.extend(validate_term_keys(term, selector.as_ref()));
    let topology_key = term.text("topologyKey");
    let path = term.path("topologyKey");
    if topology_key.is_empty() {
        errors.push(path.required("can not be empty"));
    }
    errors.extend(validate_label_name(topology_key, &path));
    errors
}

/// A key may stand once in the selector, where Kubernetes itself puts it.
fn validate_term_keys(term: &Node<'_>, selector: Option<&LabelSelector>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for field in ["matchLabelKeys", "mismatchLabelKeys"] {
        let keys = term.texts(field);
        if keys.is_empty() {
            continue;
        }
        if selector.is_none() {
            errors.push(
                term.path(field)
                    .forbidden("must not be specified when labelSelector is not set"),
            );
            continue;
        }
        for (i, key) in keys.into_iter().enumerate() {
            errors.extend(validate_label_name(key, &term.path(field).index(i)));
        }
    }
    let keys = term.texts("matchLabelKeys");
    if let Some(selector) = selector {
        let mut selected: Vec<&str> = selector.match_labels.keys().map(String::as_str).collect();
        for requirement in &selector.match_expressions {
            let key = requirement.key.as_str();
            if let Some(i) = keys.iter().rposition(|other| *other == key)
                && selected.contains(&key)
            {
                let path = term.own_path().index(i);
                errors.push(path.invalid(key, "exists in both matchLabelKeys and labelSelector"));
            }
            selected.push(key);
        }
    }
    let mismatched = term.texts("mismatchLabelKeys");
    for (i, key) in keys.into_iter().enumerate() {
        if mismatched.contains(&key) {
            let path = term.path("matchLabelKeys").index(i);
            errors.push(path.invalid(key, "exists in both matchLabelKeys and mismatchLabelKeys"));
        }
    }
    errors
}
