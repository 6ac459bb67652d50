//! Security contexts of pods and containers.

use std::collections::BTreeSet;

use serde_json::json;

use super::node::Node;
use super::volume::validate_descending_path;
use super::windows::validate_windows_options;
use crate::spec::validation::field::FieldError;
use crate::spec::validation::syntax;

const SYSCTL_LENGTH_LIMIT: usize = 253;
const SYSCTL_PATTERN: &str =
    "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";

pub(super) fn validate_pod_security(spec: &Node<'_>) -> Vec<FieldError> {
    let Some(security) = spec.child("securityContext") else {
        return Vec::new();
    };
    let mut errors = Vec::new();
    for field in ["fsGroup", "runAsUser", "runAsGroup"] {
        errors.extend(validate_id(&security, field));
    }
    let groups = security
        .get("supplementalGroups")
        .and_then(|groups| groups.as_array());
    for (i, group) in groups.into_iter().flatten().enumerate() {
        if let Some(id) = group.as_i64()
            && let Some(detail) = syntax::user_id(id)
        {
            errors.push(
                security
                    .path("supplementalGroups")
                    .index(i)
                    .invalid(id, detail),
            );
        }
    }
    errors.extend(validate_sysctls(&security));
    errors.extend(security.one_of("fsGroupChangePolicy", &["Always", "OnRootMismatch"]));
    errors.extend(validate_seccomp(&security));
    errors.extend(validate_app_armor(&security));
    errors.extend(security.one_of("supplementalGroupsPolicy", &["Merge", "Strict"]));
    errors.extend(security.one_of("seLinuxChangePolicy", &["MountOption", "Recursive"]));
    errors.extend(validate_windows_options(&security));
    errors
}

/// `privileged` is left out by the reference before it validates.
pub(super) fn validate_container_security(container: &Node<'_>) -> Vec<FieldError> {
    let Some(security) = container.child("securityContext") else {
        return Vec::new();
    };
    let mut errors = Vec::new();
    for field in ["runAsUser", "runAsGroup"] {
        errors.extend(validate_id(&security, field));
    }
    errors.extend(security.one_of("procMount", &["Default", "Unmasked"]));
    if security.text("procMount") == "Unmasked" {
        let path = security.path("procMount");
        errors.push(path.invalid("Unmasked", "`hostUsers` must be false to use `Unmasked`"));
    }
    errors.extend(validate_seccomp(&security));
    let capabilities = security.child("capabilities");
    let adds_sys_admin = capabilities
        .is_some_and(|capabilities| capabilities.texts("add").contains(&"CAP_SYS_ADMIN"));
    if security.get_bool("allowPrivilegeEscalation") == Some(false) && adds_sys_admin {
        let detail =
            "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
        errors.push(security.own_path().invalid(security.value(), detail));
    }
    errors.extend(validate_windows_options(&security));
    errors.extend(validate_app_armor(&security));
    errors
}

fn validate_id(security: &Node<'_>, field: &str) -> Option<FieldError> {
    let id = security.int(field)?;
    syntax::user_id(id).map(|detail| security.path(field).invalid(id, detail))
}

fn validate_sysctls(security: &Node<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut names = BTreeSet::new();
    for sysctl in security.items("sysctls") {
        let path = sysctl.path("name");
        let name = sysctl.text("name");
        if name.is_empty() {
            errors.push(path.required(""));
        } else if !is_sysctl_name(name) {
            let detail = format!(
                "must have at most {SYSCTL_LENGTH_LIMIT} characters and match regex {SYSCTL_PATTERN}"
            );
            errors.push(path.invalid(name, detail));
        } else if names.contains(name) {
            errors.push(path.duplicate(name));
        }
        names.insert(name);
    }
    errors
}

/// As [`SYSCTL_PATTERN`] has it.
fn is_sysctl_name(name: &str) -> bool {
    let is_edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let is_segment = |segment: &str| {
        is_edge(segment.chars().next())
            && is_edge(segment.chars().next_back())
            && segment
                .chars()
                .all(|c| is_edge(Some(c)) || c == '-' || c == '_')
    };
    name.len() <= SYSCTL_LENGTH_LIMIT && name.split(['.', '/']).all(is_segment)
}

fn validate_seccomp(security: &Node<'_>) -> Vec<FieldError> {
    let Some(profile) = security.child("seccompProfile") else {
        return Vec::new();
    };
    let mut errors = Vec::new();
    let kind = profile.text("type");
    let path = profile.path("localhostProfile");
    match kind {
        "Localhost" | "RuntimeDefault" | "Unconfined" => {}
        "" => errors.push(
            profile
                .path("type")
                .required("type is required when seccompProfile is set"),
        ),
        other => {
            let supported = ["Localhost", "RuntimeDefault", "Unconfined"];
            errors.push(profile.path("type").not_supported(other, &supported));
        }
    }
    match (kind == "Localhost", profile.get_text("localhostProfile")) {
        (true, None) => errors.push(path.required("must be set when seccomp type is Localhost")),
        (true, Some(file)) => errors.extend(validate_descending_path(file, &path)),
        (false, Some(_)) => {
            errors.push(path.invalid(
                json!({"Type": kind, "LocalhostProfile": profile.get_text("localhostProfile")}),
                "can only be set when seccomp type is Localhost",
            ));
        }
        (false, None) => {}
    }
    errors
}

fn validate_app_armor(security: &Node<'_>) -> Vec<FieldError> {
    let Some(profile) = security.child("appArmorProfile") else {
        return Vec::new();
    };
    let path = profile.path("localhostProfile");
    let file = profile.get_text("localhostProfile");
    match profile.text("type") {
        "Localhost" => match file {
            None | Some("") => vec![path.required("must be set when AppArmor type is Localhost")],
            Some(file) if file.trim() != file => {
                vec![path.invalid(file, "must not be padded with whitespace")]
            }
            Some(file) if file.len() > 4095 => vec![path.too_long(4095)],
            Some(_) => Vec::new(),
        },
        "RuntimeDefault" | "Unconfined" => match file {
            Some(file) => {
                vec![path.invalid(file, "can only be set when AppArmor type is Localhost")]
            }
            None => Vec::new(),
        },
        "" => vec![
            profile
                .path("type")
                .required("type is required when appArmorProfile is set"),
        ],
        other => {
            let supported = ["Localhost", "RuntimeDefault", "Unconfined"];
            vec![profile.path("type").not_supported(other, &supported)]
        }
    }
}
