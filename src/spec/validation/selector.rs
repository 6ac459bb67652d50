//! Label selectors and label maps (`apimachinery` `meta/v1/validation`).

use super::field::{FieldError, Path};
use super::syntax;
use crate::spec::meta::{LabelSelector, LabelSelectorRequirement};
use crate::spec::string_map::StringMap;

/// Errors of `selector`; a selector without any can be evaluated.
pub(crate) fn validate_label_selector(selector: &LabelSelector, path: &Path) -> Vec<FieldError> {
    let mut errors = validate_labels(&selector.match_labels, &path.child("matchLabels"));
    for (i, requirement) in selector.match_expressions.iter().enumerate() {
        errors.extend(validate_requirement(
            requirement,
            &path.child("matchExpressions").index(i),
        ));
    }
    errors
}

/// Errors of keys and values; both are reported at `path` itself, in the order of keys.
pub(crate) fn validate_labels(labels: &StringMap, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (key, value) in labels {
        errors.extend(validate_label_name(key, path));
        errors.extend(
            syntax::label_value(value)
                .into_iter()
                .map(|detail| path.invalid(value, detail)),
        );
    }
    errors
}

pub(crate) fn validate_label_name(name: &str, path: &Path) -> Vec<FieldError> {
    let details = syntax::qualified_name(name);
    details
        .into_iter()
        .map(|detail| path.invalid(name, detail))
        .collect()
}

fn validate_requirement(requirement: &LabelSelectorRequirement, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let values = path.child("values");
    match requirement.operator.as_str() {
        "In" | "NotIn" => {
            if requirement.values.is_empty() {
                errors
                    .push(values.required("must be specified when `operator` is 'In' or 'NotIn'"));
            }
        }
        "Exists" | "DoesNotExist" => {
            if !requirement.values.is_empty() {
                errors.push(values.forbidden(
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                ));
            }
        }
        other => errors.push(
            path.child("operator")
                .invalid(other, "not a valid selector operator"),
        ),
    }
    errors.extend(validate_label_name(&requirement.key, &path.child("key")));
    for (i, value) in requirement.values.iter().enumerate() {
        let details = syntax::label_value(value);
        errors.extend(
            details
                .into_iter()
                .map(|detail| values.index(i).invalid(value, detail)),
        );
    }
    errors
}
