//! What pods of Windows may have and those of Linux may not, and the other way round.

use super::node::{Node, invalid_each};
use crate::spec::validation::field::FieldError;
use crate::spec::validation::syntax;

const OPTIONS: &str = "windowsOptions";
const OF_LINUX: &str = "cannot be set for a windows pod";
const SPEC_BYTE_LIMIT: usize = 64 * 1024;

/// Fields of a pod's security context that are Linux's own. What stands beside the security context in
/// manifests (`hostPID` and its like) is lost before it is validated.
const POD_FIELDS: [&str; 11] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "seLinuxChangePolicy",
];
/// `privileged` is left out by the reference before it validates.
const CONTAINER_FIELDS: [&str; 9] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
];

/// The security contexts of the pod and of its containers.
fn contexts<'a>(spec: &Node<'a>) -> (Option<Node<'a>>, Vec<Node<'a>>) {
    let containers = spec.containers();
    let of_containers = containers.filter_map(|container| container.child("securityContext"));
    (spec.child("securityContext"), of_containers.collect())
}

/// What does not fit the system that the pod names, `spec.os.name`.
pub(super) fn validate_system(spec: &Node<'_>, system: Option<&str>) -> Vec<FieldError> {
    let (pod, containers) = contexts(spec);
    let forbidden = |context: &Node<'_>, fields: &[&str], detail: &str| -> Vec<FieldError> {
        let is_set = |field: &&&str| match context.get(field) {
            Some(value) => {
                **field != "sysctls" || value.as_array().is_some_and(|it| !it.is_empty())
            }
            None => false,
        };
        let set = fields.iter().filter(is_set);
        set.map(|field| context.path(field).forbidden(detail))
            .collect()
    };
    let mut errors = Vec::new();
    match system {
        Some("windows") => {
            errors.extend(
                pod.iter()
                    .flat_map(|it| forbidden(it, &POD_FIELDS, OF_LINUX)),
            );
            let of_containers = containers.iter();
            errors.extend(of_containers.flat_map(|it| forbidden(it, &CONTAINER_FIELDS, OF_LINUX)));
        }
        Some("linux") => {
            let detail = "windows options cannot be set for a linux pod";
            let all = pod.iter().chain(&containers);
            errors.extend(all.flat_map(|it| forbidden(it, &[OPTIONS], detail)));
        }
        Some(_) | None => {}
    }
    errors
}

/// Processes of the host: all containers or none, and only in the host's network, which is lost before
/// it is validated.
pub(super) fn validate_host_processes(spec: &Node<'_>) -> Vec<FieldError> {
    let host_process = |context: &Node<'_>| context.child(OPTIONS)?.get_bool("hostProcess");
    let (pod, containers) = contexts(spec);
    let of_pod = pod.as_ref().and_then(host_process);
    let all = spec.containers().count();
    let mut errors = Vec::new();
    let mut count = if of_pod == Some(true) {
        all - containers.len()
    } else {
        0
    };
    for security in &containers {
        let own = host_process(security);
        if let (Some(of_pod), Some(own)) = (of_pod, own)
            && of_pod != own
        {
            let path = security.path(OPTIONS).child("hostProcess");
            let detail = format!(
                "pod hostProcess value must be identical if both are specified, was {of_pod}"
            );
            errors.push(path.invalid(own, detail));
        }
        count += usize::from(own.or(of_pod) == Some(true));
    }
    if count == 0 {
        return errors;
    }
    if count != all {
        let detail = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        errors.push(spec.own_path().invalid("", detail));
    }
    let detail = "hostNetwork must be true if pod contains any hostProcess containers";
    errors.push(spec.path("hostNetwork").invalid(false, detail));
    errors.push(
        spec.own_path()
            .forbidden("hostProcess containers are disallowed by cluster policy"),
    );
    errors
}

/// `windowsOptions` of a security context.
pub(super) fn validate_windows_options(security: &Node<'_>) -> Vec<FieldError> {
    let Some(options) = security.child(OPTIONS) else {
        return Vec::new();
    };
    let mut errors = Vec::new();
    if let Some(name) = options.get_text("gmsaCredentialSpecName") {
        let path = options.path("gmsaCredentialSpecName");
        errors.extend(invalid_each(&path, name, syntax::dns_subdomain(name)));
    }
    if let Some(spec) = options.get_text("gmsaCredentialSpec") {
        let path = options.path("gmsaCredentialSpec");
        if spec.is_empty() {
            errors.push(path.invalid(spec, "gmsaCredentialSpec cannot be an empty string"));
        } else if spec.len() > SPEC_BYTE_LIMIT {
            errors.push(path.invalid(spec, "gmsaCredentialSpec size must be under 64 KiB"));
        }
    }
    if let Some(name) = options.get_text("runAsUserName") {
        let path = options.path("runAsUserName");
        let details = user_name_details(name).into_iter().map(str::to_owned);
        errors.extend(invalid_each(&path, name, details));
    }
    errors
}

/// What is wrong with `DOMAIN\user` or `user`.
fn user_name_details(name: &str) -> Vec<&'static str> {
    if name.is_empty() {
        return vec!["runAsUserName cannot be an empty string"];
    }
    if name.chars().any(|letter| letter.is_ascii_control()) {
        return vec!["runAsUserName cannot contain control characters"];
    }
    if name.matches('\\').count() > 1 {
        return vec!["runAsUserName cannot contain more than one backslash"];
    }
    let (domain, user) = match name.split_once('\\') {
        Some((domain, user)) => (Some(domain), user),
        None => (None, name),
    };
    let checks = [
        (
            domain.is_some_and(|domain| domain.len() >= 256),
            "runAsUserName's Domain length must be under 256 characters",
        ),
        (
            domain.is_some_and(|domain| !is_net_bios_name(domain) && !has_dns_name(domain)),
            "runAsUserName's Domain doesn't match the NetBios nor the DNS format",
        ),
        (user.is_empty(), "runAsUserName's User cannot be empty"),
        (
            user.len() > 104,
            "runAsUserName's User length must not be longer than 104 characters",
        ),
        (
            !user.is_empty() && user.chars().all(|letter| ". ".contains(letter)),
            "runAsUserName's User cannot contain only periods or spaces",
        ),
        (
            user.contains(|letter| "\"/\\:;|=,+*?<>@[]".contains(letter)),
            "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]",
        ),
    ];
    let wrong = checks.into_iter().filter(|(is_wrong, _)| *is_wrong);
    wrong.map(|(_, detail)| detail).collect()
}

fn is_net_bios_name(text: &str) -> bool {
    let is_letter = |letter: char| !"\\/:*?\"<>|".contains(letter);
    !text.starts_with('.')
        && (1..=15).contains(&text.chars().count())
        && text.chars().all(is_letter)
}

fn has_dns_name(text: &str) -> bool {
    syntax::dns_subdomain(text).is_empty()
}
