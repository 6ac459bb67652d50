//! Resource requirements and claims.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::node::{Node, invalid_each};
use super::spec::PodContext;
use crate::spec::quantity::Quantity;
use crate::spec::validation::field::{FieldError, Path};
use crate::spec::validation::syntax;

const CONTAINER_RESOURCES: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// Counted objects: whole numbers only.
const COUNTED_RESOURCES: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];
const QUOTA_RESOURCES: [&str; 8] = [
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "storage",
    "requests.storage",
];

pub(super) fn validate_requirements(
    container: &Node<'_>,
    context: &PodContext<'_>,
) -> Vec<FieldError> {
    let Some(resources) = container.child("resources") else {
        return Vec::new();
    };
    let limits = resources.members("limits");
    let requests = resources.members("requests");
    let mut errors: Vec<FieldError> = (limits.iter())
        .flat_map(|(name, value)| {
            validate_resource(name, value, &resources.path("limits").key(name))
        })
        .collect();
    for (name, value) in &requests {
        errors.extend(validate_resource(
            name,
            value,
            &resources.path("requests").key(name),
        ));
        let limit = limits
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, limit)| *limit);
        errors.extend(validate_request(&resources, name, value, limit));
    }
    errors.extend(validate_huge_pages(
        &limits,
        &requests,
        resources.own_path(),
    ));
    errors.extend(validate_claim_uses(&resources, &context.claim_names));
    errors
}

/// Limits alone, as an overhead is.
pub(super) fn validate_limits(limits: &[(&str, &Value)], path: &Path) -> Vec<FieldError> {
    let at_limits = path.child("limits");
    let each = limits
        .iter()
        .flat_map(|(name, value)| validate_resource(name, value, &at_limits.key(name)));
    each.chain(validate_huge_pages(limits, &[], path)).collect()
}

/// Names of the pod's claims, and the errors of the claims.
pub(super) fn validate_resource_claims<'a>(spec: &Node<'a>) -> (Vec<&'a str>, Vec<FieldError>) {
    let mut names: Vec<&'a str> = Vec::new();
    let mut errors = Vec::new();
    for claim in spec.items("resourceClaims") {
        let name = claim.text("name");
        if name.is_empty() {
            errors.push(claim.path("name").required(""));
        } else if names.contains(&name) {
            errors.push(claim.path("name").duplicate(name));
        } else {
            errors.extend(invalid_each(
                &claim.path("name"),
                name,
                syntax::dns_label(name),
            ));
            names.push(name);
        }
        let sources = ["resourceClaimName", "resourceClaimTemplateName"];
        let detail = match sources
            .iter()
            .filter(|source| claim.get_text(source).is_some())
            .count()
        {
            0 => Some("must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"),
            1 => None,
            _ => Some(
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
            ),
        };
        // Kubernetes shows its internal type.
        let shown = json!({
            "Name": name,
            "ResourceClaimName": claim.get_text("resourceClaimName"),
            "ResourceClaimTemplateName": claim.get_text("resourceClaimTemplateName"),
        });
        errors.extend(detail.map(|detail| claim.own_path().invalid(shown, detail)));
        for source in sources {
            if let Some(name) = claim.get_text(source) {
                errors.extend(invalid_each(
                    &claim.path(source),
                    name,
                    syntax::dns_subdomain(name),
                ));
            }
        }
    }
    (names, errors)
}

/// Name and amount of one resource.
fn validate_resource(name: &str, value: &Value, path: &Path) -> Vec<FieldError> {
    let mut errors = validate_resource_name(name, path);
    let Some(quantity) = Quantity::from_json(value) else {
        return errors;
    };
    if quantity.is_negative() {
        errors.push(path.invalid(quantity.to_string(), "must be greater than or equal to 0"));
    }
    if (COUNTED_RESOURCES.contains(&name) || is_extended(name)) && !quantity.is_whole() {
        errors.push(path.invalid(quantity.to_string(), "must be an integer"));
    }
    errors
}

fn validate_resource_name(name: &str, path: &Path) -> Vec<FieldError> {
    let mut errors = invalid_each(path, name, syntax::qualified_name(name));
    let is_short = !name.contains('/');
    let is_huge_pages = name.starts_with("hugepages-");
    let is_container_resource = CONTAINER_RESOURCES.contains(&name) || is_huge_pages;
    let is_standard = is_container_resource
        || COUNTED_RESOURCES.contains(&name)
        || QUOTA_RESOURCES.contains(&name)
        || name.starts_with("requests.hugepages-");
    if errors.is_empty() && is_short && !is_standard {
        errors.push(path.invalid(name, "must be a standard resource type or fully qualified"));
    }
    if is_short && !is_container_resource {
        errors.push(path.invalid(name, "must be a standard resource for containers"));
    }
    if !is_native(name) && !is_extended(name) {
        errors.push(path.invalid(name, "doesn't follow extended resource name standard"));
    }
    errors
}

/// Resources that may not be overcommitted need a limit that equals the request.
fn validate_request(
    resources: &Node<'_>,
    name: &str,
    value: &Value,
    limit: Option<&Value>,
) -> Option<FieldError> {
    let path = resources.path("requests");
    let may_overcommit = is_native(name) && !name.starts_with("hugepages-");
    let Some(limit) = limit else {
        let detail = "Limit must be set for non overcommitable resources";
        return (!may_overcommit).then(|| resources.path("limits").required(detail));
    };
    let (request, limit) = (Quantity::from_json(value)?, Quantity::from_json(limit)?);
    let rule = if !may_overcommit && request != limit {
        "equal to"
    } else if request > limit {
        "less than or equal to"
    } else {
        return None;
    };
    Some(path.invalid(
        request.to_string(),
        format!("must be {rule} {name} limit of {limit}"),
    ))
}

fn validate_huge_pages(
    limits: &[(&str, &Value)],
    requests: &[(&str, &Value)],
    path: &Path,
) -> Option<FieldError> {
    let has =
        |wanted: &dyn Fn(&str) -> bool| limits.iter().chain(requests).any(|(name, _)| wanted(name));
    let has_huge_pages = has(&|name| name.starts_with("hugepages-"));
    let has_compute = has(&|name| name == "cpu" || name == "memory");
    (has_huge_pages && !has_compute).then(|| path.forbidden("HugePages require cpu or memory"))
}

fn validate_claim_uses(resources: &Node<'_>, claim_names: &[&str]) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for claim in resources.items("claims") {
        let path = claim.own_path();
        let (name, request) = (claim.text("name"), claim.text("request"));
        if name.is_empty() {
            errors.push(path.required(""));
            continue;
        }
        if seen.contains(name) {
            errors.push(path.duplicate(name));
        } else {
            let key = if request.is_empty() {
                name.to_string()
            } else {
                format!("{name}/{request}")
            };
            errors.extend(claim.check_text("request", syntax::dns_label));
            let prefix = format!("{name}/");
            if seen.contains(&key) {
                errors.push(path.duplicate(&key));
            } else if request.is_empty() {
                let overlaps = seen.iter().filter(|other| other.starts_with(&prefix));
                errors.extend(overlaps.map(|_| path.duplicate(name)));
            }
            seen.insert(key);
        }
        if !claim_names.contains(&name) {
            errors.push(unknown_claim(name, claim_names, path));
        }
    }
    errors
}

fn unknown_claim(name: &str, claim_names: &[&str], path: &Path) -> FieldError {
    let mut sorted = claim_names.to_vec();
    sorted.sort_unstable();
    let names = if sorted.is_empty() {
        " which is empty".into()
    } else {
        format!(": {}", sorted.join(", "))
    };
    let mut error = path.not_found(name);
    error.detail = format!("must be one of the names in pod.spec.resourceClaims{names}");
    error
}

fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && syntax::qualified_name(&format!("requests.{name}")).is_empty()
}
