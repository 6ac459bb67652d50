//! Containers of a pod template, of all three kinds.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::node::{Node, invalid_each};
use super::probe::{
    validate_lifecycle, validate_liveness_probe, validate_readiness_probe, validate_startup_probe,
};
use super::resources::validate_requirements;
use super::security::validate_container_security;
use super::spec::PodContext;
use super::volume::validate_no_parent;
use super::volume_mount::{validate_volume_devices, validate_volume_mounts};
use crate::spec::quantity::Quantity;
use crate::spec::validation::field::{FieldError, Path};
use crate::spec::validation::syntax;

pub(super) fn validate_containers(spec: &Node<'_>, context: &PodContext<'_>) -> Vec<FieldError> {
    let containers = spec.items("containers");
    let path = spec.path("containers");
    if containers.is_empty() {
        return vec![path.required("")];
    }
    let mut errors = Vec::new();
    let mut names = BTreeSet::new();
    for container in &containers {
        errors.extend(validate_container(container, context));
        let name = container.text("name");
        if !names.insert(name) {
            errors.push(container.path("name").duplicate(name));
        }
        errors.extend(validate_lifecycle(container, context));
        errors.extend(validate_probes(container, context));
        if container.get("restartPolicy").is_some() {
            errors.push(
                container
                    .path("restartPolicy")
                    .forbidden("may not be set for non-init containers"),
            );
        }
    }
    errors.extend(validate_host_ports(&containers));
    errors
}

pub(super) fn validate_init_containers(
    spec: &Node<'_>,
    context: &PodContext<'_>,
) -> Vec<FieldError> {
    let regular = spec.items("containers");
    let mut names: BTreeSet<&str> = regular
        .iter()
        .map(|container| container.text("name"))
        .collect();
    let mut errors = Vec::new();
    for container in spec.items("initContainers") {
        errors.extend(validate_container(&container, context));
        errors.extend(container.one_of("restartPolicy", &["Always"]));
        let name = container.text("name");
        if names.contains(name) {
            errors.push(container.path("name").duplicate(name));
        } else if !name.is_empty() {
            names.insert(name);
        }
        errors.extend(validate_host_ports(std::slice::from_ref(&container)));
        if container.text("restartPolicy") == "Always" {
            errors.extend(validate_lifecycle(&container, context));
            errors.extend(validate_probes(&container, context));
        } else {
            for field in [
                "lifecycle",
                "livenessProbe",
                "readinessProbe",
                "startupProbe",
            ] {
                if container.get(field).is_some() {
                    let detail = "may not be set for init containers without restartPolicy=Always";
                    errors.push(container.path(field).forbidden(detail));
                }
            }
        }
        let policies = container.items("resizePolicy");
        if !policies.is_empty() {
            // Kubernetes shows its internal type.
            let shown = policies.iter().map(|policy| {
                json!({"ResourceName": policy.text("resourceName"), "RestartPolicy": policy.text("restartPolicy")})
            });
            let path = container.path("resizePolicy");
            errors.push(path.invalid(
                Value::Array(shown.collect()),
                "must not be set for init containers",
            ));
        }
    }
    errors
}

const EPHEMERAL_RULE: &str = "cannot be set for an Ephemeral Container";
/// In the order of Kubernetes' type.
const UNSUPPORTED_FOR_EPHEMERAL: [&str; 9] = [
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
];

/// They are refused as a whole too; these are the errors they have besides.
pub(super) fn validate_ephemeral_containers(
    spec: &Node<'_>,
    context: &PodContext<'_>,
) -> Vec<FieldError> {
    let others = [spec.items("containers"), spec.items("initContainers")];
    let others: BTreeSet<&str> = others
        .iter()
        .flatten()
        .map(|container| container.text("name"))
        .collect();
    let mut names = others.clone();
    let mut errors = Vec::new();
    for container in spec.items("ephemeralContainers") {
        errors.extend(validate_container(&container, context));
        let image = container.text("image");
        if image.trim() != image {
            errors.push(
                container
                    .path("image")
                    .invalid(image, "must not have leading or trailing whitespace"),
            );
        }
        let name = container.text("name");
        if !names.insert(name) {
            errors.push(container.path("name").duplicate(name));
        }
        let target = container.text("targetContainerName");
        if !target.is_empty() && !others.contains(target) {
            errors.push(container.path("targetContainerName").not_found(target));
        }
        for field in UNSUPPORTED_FOR_EPHEMERAL {
            if container
                .get(field)
                .is_some_and(|value| field != "resources" || !is_blank(value))
            {
                errors.push(container.path(field).forbidden(EPHEMERAL_RULE));
            }
        }
        for mount in container.items("volumeMounts") {
            for field in ["subPath", "subPathExpr"] {
                if !mount.text(field).is_empty() {
                    errors.push(mount.path(field).forbidden(EPHEMERAL_RULE));
                }
            }
        }
    }
    errors
}

/// Whether a value is `{}`, which for a field that is no pointer is the same as absent.
fn is_blank(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// What holds for containers of every kind.
fn validate_container(container: &Node<'_>, context: &PodContext<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    errors.extend(container.require("name"));
    errors.extend(container.check_text("name", syntax::dns_label));
    errors.extend(container.require("image"));
    let message_policies = ["File", "FallbackToLogsOnError"];
    let message_policy = container.text_or("terminationMessagePolicy", "File");
    if !message_policies.contains(&message_policy) {
        let path = container.path("terminationMessagePolicy");
        errors.push(path.not_supported(message_policy, &message_policies));
    }
    errors.extend(validate_ports(container));
    errors.extend(validate_environment(container));
    errors.extend(validate_environment_sources(container));
    errors.extend(validate_volume_mounts(container, context));
    errors.extend(validate_volume_devices(container, context));
    errors.extend(validate_pull_policy(container, "imagePullPolicy"));
    errors.extend(validate_requirements(container, context));
    errors.extend(validate_resize_policy(container, context));
    errors.extend(validate_container_security(container));
    errors
}

/// An empty policy gets a default.
pub(super) fn validate_pull_policy(node: &Node<'_>, field: &str) -> Option<FieldError> {
    let policies = ["Always", "IfNotPresent", "Never"];
    match node.text(field) {
        "" => None,
        policy if policies.contains(&policy) => None,
        policy => Some(node.path(field).not_supported(policy, &policies)),
    }
}

fn validate_probes(container: &Node<'_>, context: &PodContext<'_>) -> Vec<FieldError> {
    let mut errors = validate_liveness_probe(container, context);
    errors.extend(validate_readiness_probe(container, context));
    errors.extend(validate_startup_probe(container, context));
    errors
}

fn validate_ports(container: &Node<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut names = BTreeSet::new();
    for port in container.items("ports") {
        let name = port.text("name");
        if !name.is_empty() {
            let details = syntax::port_name(name);
            if details.is_empty() {
                if !names.insert(name) {
                    errors.push(port.path("name").duplicate(name));
                }
            } else {
                errors.extend(invalid_each(&port.path("name"), name, details));
            }
        }
        match port.int("containerPort").unwrap_or(0) {
            0 => errors.push(port.path("containerPort").required("")),
            number => errors.extend(validate_port_number(number, &port.path("containerPort"))),
        }
        if let Some(number) = port.int("hostPort").filter(|number| *number != 0) {
            errors.extend(validate_port_number(number, &port.path("hostPort")));
        }
        let protocol = port.text_or("protocol", "TCP");
        let protocols = ["SCTP", "TCP", "UDP"];
        if !protocols.contains(&protocol) {
            errors.push(port.path("protocol").not_supported(protocol, &protocols));
        }
    }
    errors
}

fn validate_port_number(number: i64, path: &Path) -> Option<FieldError> {
    syntax::port_number(number).map(|detail| path.invalid(number, detail))
}

fn validate_host_ports(containers: &[Node<'_>]) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut taken = BTreeSet::new();
    for port in containers
        .iter()
        .flat_map(|container| container.items("ports"))
    {
        let number = port.int("hostPort").unwrap_or(0);
        let socket = format!(
            "{}/{}/{number}",
            port.text_or("protocol", "TCP"),
            port.text("hostIP")
        );
        if number != 0 && !taken.insert(socket.clone()) {
            errors.push(port.path("hostPort").duplicate(socket));
        }
    }
    errors
}

fn validate_environment(container: &Node<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for variable in container.items("env") {
        errors.extend(variable.require("name"));
        errors.extend(variable.check_text("name", syntax::environment_variable));
        errors.extend(validate_value_from(&variable));
    }
    errors
}

fn validate_value_from(variable: &Node<'_>) -> Vec<FieldError> {
    let Some(from) = variable.child("valueFrom") else {
        return Vec::new();
    };
    let mut errors = Vec::new();
    let mut source_count = 0;
    if let Some(field) = from.child("fieldRef") {
        source_count += 1;
        errors.extend(validate_field_ref(&field, &ENVIRONMENT_FIELDS));
    }
    if let Some(resource) = from.child("resourceFieldRef") {
        source_count += 1;
        errors.extend(validate_resource_field_ref(&resource, false));
    }
    for field in ["configMapKeyRef", "secretKeyRef"] {
        if let Some(key) = from.child(field) {
            source_count += 1;
            errors.extend(validate_key_ref(&key));
        }
    }
    if let Some(file) = from.child("fileKeyRef") {
        source_count += 1;
        for field in ["key", "volumeName", "path"] {
            errors.extend(file.require(field));
        }
        errors.extend(file.check_text("key", syntax::relaxed_environment_variable));
        errors.extend(file.check_text("volumeName", syntax::dns_label));
        errors.extend(validate_no_parent(file.text("path"), &file.path("path")));
    }
    let detail = match source_count {
        0 => {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        }
        _ if !variable.text("value").is_empty() => "may not be specified when `value` is not empty",
        1 => return errors,
        _ => "may not have more than one field specified at a time",
    };
    errors.push(from.own_path().invalid("", detail));
    errors
}

/// In the order messages list them.
const ENVIRONMENT_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// Fields the downward API can name at all.
const DOWNWARD_FIELDS: [&str; 14] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

pub(super) fn validate_field_ref(field: &Node<'_>, supported: &[&str]) -> Vec<FieldError> {
    let path = field.path("fieldPath");
    let name = field.text("fieldPath");
    let version = field.text_or("apiVersion", "v1");
    if name.is_empty() {
        return vec![path.required("")];
    }
    if version != "v1" {
        return vec![path.invalid(
            name,
            format!("error converting fieldPath: unsupported pod version: {version}"),
        )];
    }
    let subscripted = name
        .strip_suffix("']")
        .and_then(|name| name.split_once("['"));
    if let Some((map, key)) = subscripted.filter(|(map, _)| !map.is_empty()) {
        let details = match map {
            "metadata.annotations" => syntax::qualified_name(&key.to_lowercase()),
            "metadata.labels" => syntax::qualified_name(key),
            _ => {
                let detail = format!(
                    "error converting fieldPath: field label does not support subscript: {name}"
                );
                return vec![path.invalid(name, detail)];
            }
        };
        let value = if map == "metadata.annotations" {
            key.to_lowercase()
        } else {
            key.to_string()
        };
        return invalid_each(field.own_path(), &value, details);
    }
    let name = if name == "spec.host" {
        "spec.nodeName"
    } else {
        name
    };
    if !DOWNWARD_FIELDS.contains(&name) {
        return vec![path.invalid(
            name,
            format!("error converting fieldPath: field label not supported: {name}"),
        )];
    }
    if supported.contains(&name) {
        Vec::new()
    } else {
        vec![path.not_supported(name, supported)]
    }
}

const RESOURCE_FIELDS: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// A volume has to name the container; in its environment a container means itself.
pub(super) fn validate_resource_field_ref(field: &Node<'_>, is_volume: bool) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let resource = field.text("resource");
    let is_huge_pages =
        resource.starts_with("requests.hugepages-") || resource.starts_with("limits.hugepages-");
    if is_volume && field.text("containerName").is_empty() {
        errors.push(field.path("containerName").required(""));
    } else if resource.is_empty() {
        errors.push(field.path("resource").required(""));
    } else if !RESOURCE_FIELDS.contains(&resource) && !is_huge_pages {
        errors.push(
            field
                .path("resource")
                .not_supported(resource, &RESOURCE_FIELDS),
        );
    }
    errors.extend(validate_divisor(field, resource));
    errors
}

fn validate_divisor(field: &Node<'_>, resource: &str) -> Option<FieldError> {
    const SIZES: [&str; 13] = [
        "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei",
    ];
    let divisor = field
        .get("divisor")
        .and_then(Quantity::from_json)
        .filter(|divisor| !divisor.is_zero())?;
    let divisor = divisor.to_string();
    let (is_supported, detail) = match resource.split_once('.')?.1 {
        "cpu" => (
            ["1m", "1"].contains(&divisor.as_str()),
            "only divisor's values 1m and 1 are supported with the cpu resource".to_string(),
        ),
        name => {
            let name = match name {
                "memory" => "memory",
                "ephemeral-storage" => "local ephemeral storage",
                _ if name.starts_with("hugepages-") => "hugepages",
                _ => return None,
            };
            let sizes = SIZES.join(", ");
            let detail =
                format!("only divisor's values {sizes} are supported with the {name} resource");
            (SIZES.contains(&divisor.as_str()), detail)
        }
    };
    (!is_supported).then(|| field.path("divisor").invalid(resource, detail))
}

fn validate_key_ref(reference: &Node<'_>) -> Vec<FieldError> {
    let name = reference.text("name");
    let mut errors = invalid_each(&reference.path("name"), name, syntax::dns_subdomain(name));
    errors.extend(reference.require("key"));
    errors.extend(reference.check_text("key", syntax::config_map_key));
    errors
}

/// Faults of the number of sources are reported at the list, as in Kubernetes.
fn validate_environment_sources(container: &Node<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for source in container.items("envFrom") {
        errors.extend(source.check_text("prefix", syntax::environment_variable));
        let references: Vec<Node<'_>> = ["configMapRef", "secretRef"]
            .into_iter()
            .filter_map(|field| source.child(field))
            .collect();
        for reference in &references {
            errors.extend(reference.require("name"));
            errors.extend(reference.check_text("name", |name| {
                // The name may be a prefix, so that a hyphen at its end counts as followed by more.
                match name.strip_suffix('-') {
                    Some(name) if !name.is_empty() => syntax::dns_subdomain(&format!("{name}a")),
                    Some(_) | None => syntax::dns_subdomain(name),
                }
            }));
        }
        let detail = match references.len() {
            0 => "must specify one of: `configMapRef` or `secretRef`",
            1 => continue,
            _ => "may not have more than one field specified at a time",
        };
        errors.push(container.path("envFrom").invalid("", detail));
    }
    errors
}

fn validate_resize_policy(container: &Node<'_>, context: &PodContext<'_>) -> Vec<FieldError> {
    let path = container.path("resizePolicy");
    let mut errors = Vec::new();
    let mut seen = BTreeSet::new();
    for policy in container.items("resizePolicy") {
        let resource = policy.text("resourceName");
        if !seen.insert(resource) {
            errors.push(policy.own_path().duplicate(resource));
        }
        let restart = policy.text("restartPolicy");
        for (text, supported) in [
            (resource, ["cpu", "memory"]),
            (restart, ["NotRequired", "RestartContainer"]),
        ] {
            if text.is_empty() {
                errors.push(path.required(""));
            } else if !supported.contains(&text) {
                errors.push(path.not_supported(text, &supported));
            }
        }
        if context.restart_policy == "Never" && restart != "NotRequired" {
            errors.push(path.invalid(
                restart,
                "must be 'NotRequired' when `restartPolicy` is 'Never'",
            ));
        }
    }
    errors
}
