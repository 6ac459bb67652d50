//! Annotations of a pod template, among them those that Kubernetes gives a meaning.

use serde_json::{Map, Value};

use super::node::Node;
use super::scheduling::validate_tolerations;
use super::volume::validate_descending_path;
use crate::spec::go_text;
use crate::spec::kubernetes::PodTemplate;
use crate::spec::validation::field::{FieldError, Path};
use crate::spec::validation::syntax;

/// Most bytes that keys and values have together.
const BYTE_LIMIT: usize = 256 * 1024;
const MIRROR: &str = "kubernetes.io/config.mirror";
const TOLERATIONS: &str = "scheduler.alpha.kubernetes.io/tolerations";
const SECCOMP_OF_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_OF_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

pub(super) fn validate_annotations(
    template: &PodTemplate,
    path: &Path,
    spec: &Node<'_>,
) -> Vec<FieldError> {
    let annotations = template.annotations();
    let mut errors = Vec::new();
    for key in annotations.keys() {
        let details = syntax::qualified_name(&key.to_lowercase());
        errors.extend(details.into_iter().map(|detail| path.invalid(key, detail)));
    }
    let size: usize = annotations
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    if size > BYTE_LIMIT {
        errors.push(path.too_long(BYTE_LIMIT));
    }
    for (key, value) in &annotations {
        errors.extend(validate_meaning(key, value, path, spec));
    }
    errors
}

fn validate_meaning(key: &str, value: &str, path: &Path, spec: &Node<'_>) -> Vec<FieldError> {
    let at_key = path.key(key);
    match key {
        MIRROR if spec.text("nodeName").is_empty() => {
            let detail = "must set spec.nodeName if mirror pod annotation is set";
            vec![at_key.invalid(value, detail)]
        }
        TOLERATIONS if !value.is_empty() => match serde_json::from_str::<Value>(value) {
            Ok(list @ (Value::Array(_) | Value::Null)) => {
                let object = Map::from_iter([(TOLERATIONS.to_owned(), list)]);
                let node = Node::new(&object, path.clone());
                validate_tolerations(&node, TOLERATIONS)
            }
            Ok(_) => vec![path.invalid(TOLERATIONS, "must be a list of tolerations")],
            Err(error) => vec![path.invalid(TOLERATIONS, error.to_string())],
        },
        SECCOMP_OF_POD => validate_seccomp(value, &path.child(key)),
        _ if key.starts_with(SECCOMP_OF_CONTAINER) => validate_seccomp(value, &path.child(key)),
        _ => match key.strip_prefix(APP_ARMOR) {
            Some(container) => validate_app_armor(container, value, &at_key, spec),
            None => Vec::new(),
        },
    }
}

fn validate_seccomp(profile: &str, path: &Path) -> Vec<FieldError> {
    match profile.strip_prefix("localhost/") {
        Some(file) => validate_descending_path(file, path),
        None if ["runtime/default", "docker/default", "unconfined"].contains(&profile) => {
            Vec::new()
        }
        None => vec![path.invalid(profile, "must be a valid seccomp profile")],
    }
}

fn validate_app_armor(
    container: &str,
    profile: &str,
    path: &Path,
    spec: &Node<'_>,
) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if !spec.containers().any(|it| it.text("name") == container) {
        errors.push(path.invalid(container, "container not found"));
    }
    let is_known = ["", "runtime/default", "unconfined"].contains(&profile)
        || profile.starts_with("localhost/");
    if !is_known {
        let detail = format!("invalid AppArmor profile name: {}", go_text::quote(profile));
        errors.push(path.invalid(profile, detail));
    }
    errors
}
