//! Claims that pods bring along: the template of an ephemeral volume.

use super::node::Node;
use crate::spec::quantity::Quantity;
use crate::spec::validation::field::FieldError;
use crate::spec::validation::selector::validate_label_selector;
use crate::spec::validation::syntax;

const ACCESS_MODES: [&str; 4] = [
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
];
const CLAIM: &str = "PersistentVolumeClaim";

/// The template's metadata are lost before they are validated.
pub(super) fn validate_ephemeral(source: &Node<'_>) -> Vec<FieldError> {
    let Some(template) = source.child("volumeClaimTemplate") else {
        return vec![source.path("volumeClaimTemplate").required("")];
    };
    validate_claim(&template.child_or_empty("spec"))
}

fn validate_claim(spec: &Node<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let modes = spec.texts("accessModes");
    let at_modes = spec.path("accessModes");
    if modes.is_empty() {
        errors.push(at_modes.required("at least 1 access mode is required"));
    }
    if let Some(selector) = spec.selector("selector") {
        errors.extend(validate_label_selector(&selector, &spec.path("selector")));
    }
    let (known, unknown): (Vec<&str>, Vec<&str>) =
        (modes.iter()).partition(|mode| ACCESS_MODES.contains(mode));
    errors.extend(
        unknown
            .iter()
            .map(|mode| at_modes.not_supported(mode, &ACCESS_MODES)),
    );
    let (alone, shared): (Vec<&str>, Vec<&str>) =
        (known.into_iter()).partition(|mode| *mode == "ReadWriteOncePod");
    if !alone.is_empty() && !shared.is_empty() {
        errors.push(at_modes.forbidden("may not use ReadWriteOncePod with other access modes"));
    }
    let at_storage = spec.path("resources").key("storage");
    let requests = spec.child("resources").and_then(|it| it.child("requests"));
    let storage = requests.and_then(|requests| Some(requests.value().get("storage")?.clone()));
    match storage.map(|storage| Quantity::from_json(&storage)) {
        None => errors.push(at_storage.required("")),
        Some(Some(storage)) if !storage.is_zero() && !storage.is_negative() => {}
        Some(storage) => {
            let shown = storage.map_or_else(|| "0".to_owned(), |storage| storage.to_string());
            errors.push(at_storage.invalid(shown, "must be greater than zero"));
        }
    }
    for class in ["storageClassName", "volumeAttributesClassName"] {
        errors.extend(spec.check_text(class, syntax::dns_subdomain));
    }
    errors.extend(spec.one_of("volumeMode", &["Block", "Filesystem"]));
    errors.extend(validate_sources(spec));
    errors
}

/// What the volume is filled from.
fn validate_sources(spec: &Node<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (source, reference) = (spec.child("dataSource"), spec.child("dataSourceRef"));
    for source in [&source, &reference].into_iter().flatten() {
        errors.extend(source.require("name"));
        errors.extend(source.require("kind"));
        let kind = source.text("kind");
        if source.text("apiGroup").is_empty() && kind != CLAIM {
            let detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
            errors.push(source.own_path().invalid(kind, detail));
        }
        errors.extend(source.check_text("apiGroup", syntax::dns_subdomain));
    }
    let Some(reference) = reference else {
        return errors;
    };
    errors.extend(reference.check_text("namespace", syntax::dns_label));
    let Some(source) = source else {
        return errors;
    };
    // Kubernetes shows the path of the other field as the value.
    if !reference.text("namespace").is_empty() {
        let detail = "may not be specified when dataSourceRef.namespace is specified";
        errors.push(spec.own_path().invalid("dataSource", detail));
    } else if ["name", "kind"]
        .iter()
        .any(|it| source.text(it) != reference.text(it))
        || source.get_text("apiGroup") != reference.get_text("apiGroup")
    {
        errors.push(
            spec.own_path()
                .invalid("dataSource", "must match dataSourceRef"),
        );
    }
    errors
}
