//! Volumes on storage of somebody else: disks of clouds, and network storage.

use super::node::{Node, invalid_each};
use crate::spec::validation::field::{FieldError, Path};
use crate::spec::validation::syntax;

/// Errors of a volume's source of a kind, `None` for kinds that are not of this file.
///
/// The reference reads some fields under the names of Kubernetes' internal types, which are other ones:
/// those are lost, so that these volumes can never be valid there.
pub(super) fn validate_network_volume(
    kind: &str,
    volume: &Node<'_>,
    source: &Node<'_>,
) -> Option<Vec<FieldError>> {
    let required = |fields: &[&str]| {
        let missing = fields.iter().filter_map(|field| source.require(field));
        missing.collect::<Vec<_>>()
    };
    let lost = |fields: &[&str]| {
        let missing = fields.iter().map(|field| source.path(field).required(""));
        missing.collect::<Vec<_>>()
    };
    Some(match kind {
        "gcePersistentDisk" => validate_disk(source, &volume.path("persistentDisk"), "pdName"),
        "awsElasticBlockStore" => validate_disk(source, source.own_path(), "volumeID"),
        "iscsi" => {
            let portal = format!("{}:{}", volume.text("name"), source.text("targetPortal"));
            let is_long = source.get_text("initiatorName").is_some() && portal.len() > 64;
            let detail = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";
            let long = is_long.then(|| volume.path("name").invalid(volume.text("name"), detail));
            let errors = validate_iscsi(source).into_iter();
            errors.chain(long).collect()
        }
        "glusterfs" => [lost(&["endpoints"]), required(&["path"])].concat(),
        "flocker" => validate_flocker(source),
        "rbd" => lost(&["monitors", "image"]),
        "cinder" => [required(&["volumeID"]), validate_secret_name(source)].concat(),
        "cephfs" if source.texts("monitors").is_empty() => lost(&["monitors"]),
        "cephfs" => Vec::new(),
        "quobyte" => validate_quobyte(source),
        "fc" => validate_fibre_channel(source),
        "flexVolume" => validate_flex(source),
        "azureFile" => required(&["secretName", "shareName"]),
        "vsphereVolume" => required(&["volumePath"]),
        "photonPersistentDisk" => required(&["pdID"]),
        "portworxVolume" => required(&["volumeID"]),
        "azureDisk" => validate_azure_disk(source),
        "storageos" => {
            let name = source.check_text("volumeName", syntax::dns_label);
            let namespace = source.check_text("volumeNamespace", syntax::dns_label);
            let missing = required(&["volumeName"]);
            [missing, name, namespace, validate_secret_name(source)].concat()
        }
        "scaleIO" => required(&["gateway", "system", "volumeName"]),
        _ => return None,
    })
}

fn validate_disk(source: &Node<'_>, path: &Path, name: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if source.text(name).is_empty() {
        errors.push(path.child(name).required(""));
    }
    if let Some(number) = source.int("partition").filter(|it| !(0..=255).contains(it)) {
        // 0, for none, is taken as well.
        let detail = "must be between 1 and 255, inclusive";
        errors.push(path.child("partition").invalid(number, detail));
    }
    errors
}

fn validate_secret_name(source: &Node<'_>) -> Vec<FieldError> {
    let secret = source.child("secretRef");
    secret
        .and_then(|it| it.require("name"))
        .into_iter()
        .collect()
}

fn validate_iscsi(source: &Node<'_>) -> Vec<FieldError> {
    const START: &str = "must be valid format starting with iqn, eui, or naa";
    let mut errors = Vec::new();
    errors.extend(source.require("targetPortal"));
    errors.extend(source.require("iqn"));
    let names = [
        (source.text("iqn"), source.path("iqn")),
        (source.text("initiatorName"), source.path("initiatorname")),
    ];
    for (index, (name, path)) in names.into_iter().enumerate() {
        let is_written = index == 0 || source.get_text("initiatorName").is_some();
        if name.is_empty() && index == 0 || !is_written {
            continue;
        }
        match iscsi_name(name) {
            None => errors.push(path.invalid(name, START)),
            Some(false) => errors.push(path.invalid(name, "must be valid format")),
            Some(true) => {}
        }
    }
    if let Some(unit) = source.int("lun")
        && let Some(detail) = syntax::in_range(unit, 0, 255)
    {
        errors.push(source.path("lun").invalid(unit, detail));
    }
    errors
}

/// Whether a name is one of its kind (RFC 3720); `None` for no kind.
fn iscsi_name(name: &str) -> Option<bool> {
    let is_long = |length| {
        let rest = name.get(3..).unwrap_or_default();
        let mut letters = rest.chars();
        // Kubernetes' pattern takes any letter for the dot.
        letters.next().is_some_and(|letter| letter != '\n')
            && letters.clone().count() == length
            && letters.all(|letter| letter.is_ascii_alphanumeric())
    };
    if name.starts_with("eui") {
        Some(is_long(16))
    } else if name.starts_with("naa") {
        Some(is_long(32))
    } else if name.starts_with("iqn") {
        // Kubernetes looks for it anywhere in the name.
        let mut starts = name.match_indices("iqn.");
        Some(starts.any(|(at, _)| name.get(at + 4..).is_some_and(is_qualified_name)))
    } else {
        None
    }
}

/// Year and month, a domain, and something after a colon.
fn is_qualified_name(text: &str) -> bool {
    let is_digits = |text: Option<&str>| {
        text.is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_date = is_digits(text.get(..4))
        && text.get(4..5) == Some("-")
        && is_digits(text.get(5..7))
        && text.get(7..8) == Some(".");
    let Some((domain, own)) = text.get(8..).and_then(|rest| rest.split_once(':')) else {
        return false;
    };
    let is_domain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let is_own = |letter: char| !",;*&$|".contains(letter) && !letter.is_ascii_whitespace();
    is_date
        && !domain.is_empty()
        && domain.bytes().all(is_domain)
        && !own.is_empty()
        && own.chars().all(is_own)
}

fn validate_flocker(source: &Node<'_>) -> Vec<FieldError> {
    let (name, id) = (source.text("datasetName"), source.text("datasetUUID"));
    let path = source.own_path();
    let mut errors = Vec::new();
    match (name.is_empty(), id.is_empty()) {
        (true, true) => {
            errors.push(path.required("one of datasetName and datasetUUID is required"));
        }
        (false, false) => {
            let detail = "datasetName and datasetUUID can not be specified simultaneously";
            errors.push(path.invalid("resource", detail));
        }
        (true, false) | (false, true) => {}
    }
    if name.contains('/') {
        errors.push(
            source
                .path("datasetName")
                .invalid(name, "must not contain '/'"),
        );
    }
    errors
}

fn validate_quobyte(source: &Node<'_>) -> Vec<FieldError> {
    const PAIRS: &str = "must be a host:port pair or multiple pairs separated by commas";
    let mut errors = Vec::new();
    let registry = source.text("registry");
    if registry.is_empty() {
        errors.push(source.path("registry").required(PAIRS));
    } else if source.text("tenant").len() >= 65 {
        let detail = "must be a UUID and may not exceed a length of 64 characters";
        errors.push(source.path("tenant").required(detail));
    } else {
        let wrong = registry.split(',').filter(|pair| !is_host_and_port(pair));
        errors.extend(wrong.map(|_| source.path("registry").invalid(registry, PAIRS)));
    }
    errors.extend(source.require("volume"));
    errors
}

/// As Go splits it: one colon, or an address in brackets before it.
fn is_host_and_port(text: &str) -> bool {
    match text.strip_prefix('[') {
        Some(rest) => {
            (rest.split_once("]:"))
                .is_some_and(|(host, port)| ![host, port].iter().any(|it| it.contains(['[', ']'])))
                && !text
                    .rsplit_once("]:")
                    .is_some_and(|(_, port)| port.contains(':'))
        }
        None => text.matches(':').count() == 1 && !text.contains(['[', ']']),
    }
}

fn validate_fibre_channel(source: &Node<'_>) -> Vec<FieldError> {
    let (targets, ids) = (source.texts("targetWWNs"), source.texts("wwids"));
    let at_targets = source.path("targetWWNs");
    let mut errors = Vec::new();
    match (targets.is_empty(), ids.is_empty()) {
        (true, true) => errors
            .push(at_targets.required("must specify either targetWWNs or wwids, but not both")),
        (false, false) => {
            let detail = "targetWWNs and wwids can not be specified simultaneously";
            errors.push(at_targets.invalid(&targets, detail));
        }
        (true, false) | (false, true) => {}
    }
    if targets.is_empty() {
        return errors;
    }
    let at_unit = source.path("lun");
    match source.int("lun") {
        None => errors.push(at_unit.required("lun is required if targetWWNs is specified")),
        Some(unit) => errors
            .extend(syntax::in_range(unit, 0, 255).map(|detail| at_unit.invalid(unit, detail))),
    }
    errors
}

fn validate_flex(source: &Node<'_>) -> Vec<FieldError> {
    let mut errors: Vec<FieldError> = source.require("driver").into_iter().collect();
    for (key, _) in source.members("options") {
        let namespace = key.split_once('/').map_or(key, |(namespace, _)| namespace);
        let namespace = format!(".{}", namespace.to_lowercase());
        if namespace.ends_with(".kubernetes.io") || namespace.ends_with(".k8s.io") {
            let detail = "kubernetes.io and k8s.io namespaces are reserved".to_owned();
            errors.extend(invalid_each(
                &source.path("options").key(key),
                key,
                [detail],
            ));
        }
    }
    errors
}

/// The address of the disk is lost on the way, see [`validate_network_volume`].
fn validate_azure_disk(source: &Node<'_>) -> Vec<FieldError> {
    const MANAGED: &str = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
    const BLOB: &str =
        "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";
    let at_address = source.path("diskURI");
    let mut errors: Vec<FieldError> = source.require("diskName").into_iter().collect();
    errors.push(at_address.required(""));
    errors.extend(source.one_of("cachingMode", &["None", "ReadOnly", "ReadWrite"]));
    errors.extend(source.one_of("kind", &["Dedicated", "Managed", "Shared"]));
    let supported = if source.text("kind") == "Managed" {
        MANAGED
    } else {
        BLOB
    };
    errors.push(at_address.not_supported("", &[supported]));
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_iscsi() {
        for (name, expected) in [
            ("iqn.2001-04.com.example:storage", Some(true)),
            ("iqn.2001-04.com.example", Some(false)),
            ("iqn.2001-4.com.example:x", Some(false)),
            ("iqn.2001-04.com.example:a b", Some(false)),
            ("eui.02004567A425678D", Some(true)),
            ("eui.02004567A425678", Some(false)),
            ("naa.52004567BA64678D", Some(false)),
            ("naa.52004567BA64678D52004567BA64678D", Some(true)),
            ("x", None),
        ] {
            assert_eq!(iscsi_name(name), expected, "{name}");
        }
    }

    #[test]
    fn hosts_with_ports() {
        for (text, expected) in [
            ("h:1", true),
            ("[::1]:1", true),
            ("h", false),
            ("::1:1", false),
            ("[::1]", false),
            ("[::1]:1:2", false),
        ] {
            assert_eq!(is_host_and_port(text), expected, "{text}");
        }
    }
}
