//! `spec` of a pod template.

use std::net::IpAddr;

use super::container::{
    validate_containers, validate_ephemeral_containers, validate_init_containers,
};
use super::node::{Node, invalid_each};
use super::resources::{validate_limits, validate_resource_claims};
use super::scheduling::{validate_affinity, validate_tolerations, validate_topology_spread};
use super::security::validate_pod_security;
use super::volume::{is_empty_dir, validate_volumes};
use super::windows::{validate_host_processes, validate_system};
use crate::spec::validation::field::{FieldError, Path};
use crate::spec::validation::{selector, syntax};

const DEFAULT_GRACE_PERIOD_SECONDS: i64 = 30;
const NAMESERVER_LIMIT: usize = 3;
const SEARCH_PATH_LIMIT: usize = 32;
const SEARCH_LIST_LENGTH_LIMIT: usize = 2048;

/// What containers need to know of their pod.
pub(super) struct PodContext<'a> {
    /// Well-formed volumes.
    pub volumes: Vec<Node<'a>>,
    pub claim_names: Vec<&'a str>,
    pub grace_period_seconds: i64,
    /// `spec.os.name`.
    pub os: Option<&'a str>,
    pub restart_policy: &'a str,
}

pub(super) fn validate_pod_spec(spec: &Node<'_>) -> Vec<FieldError> {
    let (volumes, mut errors) = validate_volumes(spec);
    let (claim_names, claim_errors) = validate_resource_claims(spec);
    errors.extend(claim_errors);
    let context = PodContext {
        volumes,
        claim_names,
        grace_period_seconds: spec
            .int("terminationGracePeriodSeconds")
            .unwrap_or(DEFAULT_GRACE_PERIOD_SECONDS),
        os: spec.child("os").map(|os| os.text("name")),
        restart_policy: spec.text_or("restartPolicy", "Always"),
    };
    errors.extend(validate_containers(spec, &context));
    errors.extend(validate_init_containers(spec, &context));
    errors.extend(validate_ephemeral_containers(spec, &context));
    let policies = ["Always", "OnFailure", "Never"];
    if !policies.contains(&context.restart_policy) {
        errors.push(
            spec.path("restartPolicy")
                .not_supported(context.restart_policy, &policies),
        );
    }
    let dns_policy = spec.text_or("dnsPolicy", "ClusterFirst");
    let dns_policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    if !dns_policies.contains(&dns_policy) {
        errors.push(
            spec.path("dnsPolicy")
                .not_supported(dns_policy, &dns_policies),
        );
    }
    errors.extend(validate_node_selector(spec));
    errors.extend(validate_pod_security(spec));
    errors.extend(validate_affinity(spec));
    errors.extend(validate_dns_config(spec, dns_policy));
    for gate in spec.items("readinessGates") {
        let condition = gate.text("conditionType");
        errors.extend(invalid_each(
            &gate.path("conditionType"),
            condition,
            syntax::qualified_name(condition),
        ));
    }
    errors.extend(validate_scheduling_gates(spec));
    errors.extend(validate_topology_spread(spec));
    errors.extend(validate_hostname_override(spec));
    errors.extend(spec.check_text("serviceAccountName", syntax::dns_subdomain));
    errors.extend(spec.check_text("nodeName", syntax::dns_subdomain));
    if let Some(deadline) = spec.int("activeDeadlineSeconds")
        && let Some(detail) = syntax::in_range(deadline, 1, i64::from(i32::MAX))
    {
        errors.push(spec.path("activeDeadlineSeconds").invalid(deadline, detail));
    }
    errors.extend(spec.check_text("hostname", syntax::dns_label));
    errors.extend(spec.check_text("subdomain", syntax::dns_label));
    errors.extend(validate_tolerations(spec, "tolerations"));
    errors.extend(validate_host_aliases(spec));
    errors.extend(spec.check_text("priorityClassName", syntax::dns_subdomain));
    if let Some(name) = spec.get_text("runtimeClassName") {
        errors.extend(invalid_each(
            &spec.path("runtimeClassName"),
            name,
            syntax::dns_subdomain(name),
        ));
    }
    errors.extend(validate_preemption_policy(spec));
    if spec.child("overhead").is_some() {
        errors.extend(validate_limits(
            &spec.members("overhead"),
            &spec.path("overhead"),
        ));
    }
    if let Some(os) = spec.child("os") {
        errors.extend(os.require("name"));
        let name = os.text("name");
        if !["", "linux", "windows"].contains(&name) {
            errors.push(os.own_path().not_supported(name, &["linux", "windows"]));
        }
    }
    errors.extend(validate_file_volumes(spec));
    errors.extend(validate_host_processes(spec));
    errors.extend(validate_system(spec, context.os));
    errors
}

/// Volumes that variables are read from: those of the type `emptyDir`, which is the default.
fn validate_file_volumes(spec: &Node<'_>) -> Vec<FieldError> {
    let volumes = spec.items("volumes");
    let mut errors = Vec::new();
    for variable in spec.containers().flat_map(|it| it.items("env")) {
        let from = variable.child("valueFrom");
        let Some(file) = from.and_then(|from| from.child("fileKeyRef")) else {
            continue;
        };
        let (name, path) = (file.text("volumeName"), file.path("volumeName"));
        // The last one of a name counts.
        match volumes
            .iter()
            .rev()
            .find(|volume| volume.text("name") == name)
        {
            None => errors.push(path.not_found(name)),
            Some(volume) if !is_empty_dir(volume) => {
                errors.push(path.invalid(name, "referenced volume must be of type emptyDir"));
            }
            Some(_) => {}
        }
    }
    errors
}

fn validate_node_selector(spec: &Node<'_>) -> Vec<FieldError> {
    let labels = spec.members("nodeSelector").into_iter();
    let labels =
        labels.filter_map(|(key, value)| Some((key.to_string(), value.as_str()?.to_string())));
    selector::validate_labels(&labels.collect(), &spec.path("nodeSelector"))
}

fn validate_dns_config(spec: &Node<'_>, policy: &str) -> Vec<FieldError> {
    let path = spec.path("dnsConfig");
    let config = spec.child("dnsConfig");
    if policy == "None" {
        match &config {
            None => {
                return vec![path.required("must provide `dnsConfig` when `dnsPolicy` is None")];
            }
            Some(config) if config.texts("nameservers").is_empty() => {
                let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
                return vec![config.path("nameservers").required(detail)];
            }
            Some(_) => {}
        }
    }
    let Some(config) = config else {
        return Vec::new();
    };
    let mut errors = Vec::new();
    let nameservers = config.texts("nameservers");
    let nameserver_path = config.path("nameservers");
    if nameservers.len() > NAMESERVER_LIMIT {
        let detail = format!("must not have more than {NAMESERVER_LIMIT} nameservers");
        errors.push(nameserver_path.invalid(&nameservers, detail));
    }
    for (i, address) in nameservers.iter().enumerate() {
        errors.extend(validate_ip(address, &nameserver_path.index(i)));
    }
    let searches = config.texts("searches");
    let search_path = config.path("searches");
    if searches.len() > SEARCH_PATH_LIMIT {
        let detail = format!("must not have more than {SEARCH_PATH_LIMIT} search paths");
        errors.push(search_path.invalid(&searches, detail));
    }
    if searches.join(" ").len() > SEARCH_LIST_LENGTH_LIMIT {
        let detail = format!(
            "must not have more than {SEARCH_LIST_LENGTH_LIMIT} characters (including spaces) in the search list"
        );
        errors.push(search_path.invalid(&searches, detail));
    }
    for (i, search) in searches.iter().enumerate() {
        let search = search.strip_suffix('.').unwrap_or(search);
        errors.extend(invalid_each(
            &search_path.index(i),
            search,
            syntax::dns_subdomain(search),
        ));
    }
    for option in config.items("options") {
        if option.text("name").is_empty() {
            errors.push(option.own_path().required("must not be empty"));
        }
    }
    errors
}

fn validate_scheduling_gates(spec: &Node<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut seen = Vec::new();
    for gate in spec.items("schedulingGates") {
        let name = gate.text("name");
        errors.extend(invalid_each(
            gate.own_path(),
            name,
            syntax::qualified_name(name),
        ));
        if seen.contains(&name) {
            errors.push(gate.own_path().duplicate(name));
        }
        seen.push(name);
    }
    errors
}

fn validate_hostname_override(spec: &Node<'_>) -> Vec<FieldError> {
    let Some(name) = spec.get_text("hostnameOverride") else {
        return Vec::new();
    };
    let path = spec.path("hostnameOverride");
    let mut errors = Vec::new();
    if spec.is_true("setHostnameAsFQDN") {
        errors.push(path.forbidden("may not be specified when setHostnameAsFQDN is true"));
    }
    if name.len() > 64 {
        errors.push(path.too_long(64));
    }
    errors.extend(invalid_each(&path, name, syntax::dns_subdomain(name)));
    errors
}

fn validate_host_aliases(spec: &Node<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for alias in spec.items("hostAliases") {
        errors.extend(validate_ip(alias.text("ip"), &alias.path("ip")));
        for (i, name) in alias.texts("hostnames").into_iter().enumerate() {
            let path = alias.path("hostnames").index(i);
            errors.extend(invalid_each(&path, name, syntax::dns_subdomain(name)));
        }
    }
    errors
}

fn validate_preemption_policy(spec: &Node<'_>) -> Option<FieldError> {
    let path = spec.path("preemptionPolicy");
    match spec.get_text("preemptionPolicy")? {
        "PreemptLowerPriority" | "Never" => None,
        "" => Some(path.required("")),
        other => Some(path.not_supported(other, &["PreemptLowerPriority", "Never"])),
    }
}

/// Zeros in front of a number of an IPv4 address are allowed, as Kubernetes allows them here.
fn validate_ip(text: &str, path: &Path) -> Option<FieldError> {
    let parts: Vec<&str> = text.split('.').collect();
    let without_zeros: Vec<&str> = (parts.iter())
        .map(|part| match part.trim_start_matches('0') {
            "" if !part.is_empty() => "0",
            digits => digits,
        })
        .collect();
    let is_address =
        text.parse::<IpAddr>().is_ok() || without_zeros.join(".").parse::<IpAddr>().is_ok();
    (!is_address).then(|| {
        path.invalid(
            text,
            "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        )
    })
}
