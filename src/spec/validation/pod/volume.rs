//! Volumes of a pod template.

use super::container::{validate_field_ref, validate_pull_policy, validate_resource_field_ref};
use super::network_volume::validate_network_volume;
use super::node::{Node, invalid_each};
use super::projected::validate_projected;
use super::volume_claim::validate_ephemeral;
use crate::spec::quantity::Quantity;
use crate::spec::validation::field::{FieldError, Path};
use crate::spec::validation::syntax;

/// Volume types in the order Kubernetes looks at them: field, and the name in the message about a
/// second type where it differs.
const TYPES: [(&str, &str); 30] = [
    ("emptyDir", "emptyDir"),
    ("hostPath", "hostPath"),
    ("gitRepo", "gitRepo"),
    ("gcePersistentDisk", "gcePersistentDisk"),
    ("awsElasticBlockStore", "awsElasticBlockStore"),
    ("secret", "secret"),
    ("nfs", "nfs"),
    ("iscsi", "iscsi"),
    ("glusterfs", "glusterfs"),
    ("flocker", "flocker"),
    ("persistentVolumeClaim", "persistentVolumeClaim"),
    ("rbd", "rbd"),
    ("cinder", "cinder"),
    ("cephfs", "cephFS"),
    ("quobyte", "quobyte"),
    ("downwardAPI", "downwarAPI"),
    ("fc", "fc"),
    ("flexVolume", "flexVolume"),
    ("configMap", "configMap"),
    ("azureFile", "azureFile"),
    ("vsphereVolume", "vsphereVolume"),
    ("photonPersistentDisk", "photonPersistentDisk"),
    ("portworxVolume", "portworxVolume"),
    ("azureDisk", "azureDisk"),
    ("storageos", "storageos"),
    ("projected", "projected"),
    ("scaleIO", "scaleIO"),
    ("csi", "csi"),
    ("ephemeral", "ephemeral"),
    ("image", "image"),
];

const MODE_RULE: &str = "must be a number between 0 and 0777 (octal), both inclusive";

const VOLUME_FIELDS: [&str; 5] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
];

/// Whether it is an empty folder, which it is without a type, too.
pub(super) fn is_empty_dir(volume: &Node<'_>) -> bool {
    volume.get("emptyDir").is_some() || !TYPES.iter().any(|(kind, _)| volume.get(kind).is_some())
}

/// Well-formed volumes, which can be mounted, and the errors of the others.
pub(super) fn validate_volumes<'a>(spec: &Node<'a>) -> (Vec<Node<'a>>, Vec<FieldError>) {
    let mut well_formed: Vec<Node<'a>> = Vec::new();
    let mut errors = Vec::new();
    for volume in spec.items("volumes") {
        let mut own = validate_source(&volume);
        let name = volume.text("name");
        own.extend(volume.require("name"));
        own.extend(volume.check_text("name", syntax::dns_label));
        if well_formed.iter().any(|other| other.text("name") == name) {
            own.push(volume.path("name").duplicate(name));
        }
        if own.is_empty() {
            well_formed.push(volume);
        } else {
            errors.extend(own);
        }
    }
    (well_formed, errors)
}

/// A path below some folder: relative and without `..`.
pub(super) fn validate_descending_path(text: &str, path: &Path) -> Vec<FieldError> {
    let absolute = text
        .starts_with('/')
        .then(|| path.invalid(text, "must be a relative path"));
    absolute
        .into_iter()
        .chain(validate_no_parent(text, path))
        .collect()
}

pub(super) fn validate_no_parent(text: &str, path: &Path) -> Option<FieldError> {
    text.split('/')
        .any(|part| part == "..")
        .then(|| path.invalid(text, "must not contain '..'"))
}

/// Without a type the volume becomes an empty folder by default.
fn validate_source(volume: &Node<'_>) -> Vec<FieldError> {
    let mut sources = TYPES
        .iter()
        .filter_map(|(field, shown)| Some((*field, *shown, volume.child(field)?)));
    let Some((kind, _, source)) = sources.next() else {
        return Vec::new();
    };
    let mut errors = match kind {
        "emptyDir" => validate_empty_dir(&source),
        "hostPath" => validate_host_path(&source),
        "gitRepo" => source
            .require("repository")
            .into_iter()
            .chain(validate_descending_path(
                source.text("directory"),
                &source.path("directory"),
            ))
            .collect(),
        "secret" => source
            .require("secretName")
            .into_iter()
            .chain(validate_keys(&source))
            .collect(),
        "configMap" => source
            .require("name")
            .into_iter()
            .chain(validate_keys(&source))
            .collect(),
        "nfs" => validate_nfs(&source),
        "persistentVolumeClaim" => source.require("claimName").into_iter().collect(),
        "downwardAPI" => {
            let mode = validate_mode(&source, "defaultMode");
            let files = source
                .items("items")
                .into_iter()
                .flat_map(|file| validate_file(&file, source.own_path()));
            mode.into_iter().chain(files).collect()
        }
        "projected" => validate_projected(&source),
        "csi" => validate_csi(&source),
        "ephemeral" => validate_ephemeral(&source),
        // The reference's Kubernetes library has no default for it.
        "image" => (source.require("pullPolicy").into_iter())
            .chain(validate_pull_policy(&source, "pullPolicy"))
            .collect(),
        _ => validate_network_volume(kind, volume, &source).unwrap_or_default(),
    };
    errors.extend(sources.map(|(_, shown, _)| {
        volume
            .path(shown)
            .forbidden("may not specify more than 1 volume type")
    }));
    errors
}

fn validate_empty_dir(source: &Node<'_>) -> Vec<FieldError> {
    let limit = source.get("sizeLimit").and_then(Quantity::from_json);
    limit
        .filter(Quantity::is_negative)
        .map(|_| {
            source
                .path("sizeLimit")
                .forbidden("SizeLimit field must be a valid resource quantity")
        })
        .into_iter()
        .collect()
}

fn validate_host_path(source: &Node<'_>) -> Vec<FieldError> {
    if let Some(error) = source.require("path") {
        return vec![error];
    }
    let kinds = [
        "",
        "BlockDevice",
        "CharDevice",
        "Directory",
        "DirectoryOrCreate",
        "File",
        "FileOrCreate",
        "Socket",
    ];
    let parent = validate_no_parent(source.text("path"), &source.path("path"));
    parent
        .into_iter()
        .chain(source.one_of("type", &kinds))
        .collect()
}

fn validate_nfs(source: &Node<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    errors.extend(source.require("server"));
    errors.extend(source.require("path"));
    let path = source.text("path");
    if !path.starts_with('/') {
        errors.push(
            source
                .path("path")
                .invalid(path, "must be an absolute path"),
        );
    }
    errors
}

fn validate_csi(source: &Node<'_>) -> Vec<FieldError> {
    let path = source.path("driver");
    let driver = source.text("driver");
    let mut errors = Vec::new();
    errors.extend(source.require("driver"));
    if driver.len() > 63 {
        errors.push(path.too_long(63));
    }
    errors.extend(invalid_each(
        &path,
        driver,
        syntax::dns_subdomain(&driver.to_lowercase()),
    ));
    if let Some(secret) = source.child("nodePublishSecretRef") {
        errors.extend(secret.require("name"));
        let name = secret.text("name");
        if !name.is_empty() {
            errors.extend(invalid_each(
                &source.path("name"),
                name,
                syntax::dns_subdomain(name),
            ));
        }
    }
    errors
}

fn validate_keys(source: &Node<'_>) -> Vec<FieldError> {
    let mode = validate_mode(source, "defaultMode");
    mode.into_iter()
        .chain(source.items("items").iter().flat_map(validate_key))
        .collect()
}

pub(super) fn validate_key(item: &Node<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    errors.extend(item.require("key"));
    errors.extend(item.require("path"));
    errors.extend(validate_local_path(item.text("path"), &item.path("path")));
    errors.extend(validate_mode(item, "mode"));
    errors
}

pub(super) fn validate_local_path(text: &str, path: &Path) -> Vec<FieldError> {
    let mut errors = validate_descending_path(text, path);
    if text.starts_with("..") && !text.starts_with("../") {
        errors.push(path.invalid(text, "must not start with '..'"));
    }
    errors
}

pub(super) fn validate_mode(node: &Node<'_>, field: &str) -> Option<FieldError> {
    let mode = node.int(field).filter(|mode| !(0..=0o777).contains(mode))?;
    Some(node.path(field).invalid(mode, MODE_RULE))
}

/// A file of the downward API; Kubernetes reports its errors at the volume.
pub(super) fn validate_file(file: &Node<'_>, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let name = file.text("path");
    if name.is_empty() {
        errors.push(path.child("path").required(""));
    }
    errors.extend(validate_local_path(name, &path.child("path")));
    let at = |field: &str| Some(Node::new(file.get(field)?.as_object()?, path.child(field)));
    match (at("fieldRef"), at("resourceFieldRef")) {
        (Some(field), resource) => {
            errors.extend(validate_field_ref(&field, &VOLUME_FIELDS));
            if resource.is_some() {
                let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.push(path.invalid("resource", detail));
            }
        }
        (None, Some(resource)) => errors.extend(validate_resource_field_ref(&resource, true)),
        (None, None) => {
            errors.push(path.required("one of fieldRef and resourceFieldRef is required"))
        }
    }
    if let Some(mode) = file.int("mode").filter(|mode| !(0..=0o777).contains(mode)) {
        errors.push(path.child("mode").invalid(mode, MODE_RULE));
    }
    errors
}
