//! Where containers mount volumes and block devices.

use std::collections::BTreeSet;

use super::node::Node;
use super::spec::PodContext;
use super::volume::{validate_descending_path, validate_no_parent};
use crate::spec::validation::field::FieldError;

/// Some faults are reported at the list, as in Kubernetes.
pub(super) fn validate_volume_mounts(
    container: &Node<'_>,
    context: &PodContext<'_>,
) -> Vec<FieldError> {
    let list_path = container.path("volumeMounts");
    let devices = container.items("volumeDevices");
    let mut errors = Vec::new();
    let mut mount_paths = BTreeSet::new();
    for mount in container.items("volumeMounts") {
        let (name, mount_path) = (mount.text("name"), mount.text("mountPath"));
        errors.extend(mount.require("name"));
        if !context
            .volumes
            .iter()
            .any(|volume| volume.text("name") == name)
        {
            errors.push(mount.path("name").not_found(name));
        }
        errors.extend(mount.require("mountPath"));
        if !mount_paths.insert(mount_path) {
            errors.push(
                mount
                    .path("mountPath")
                    .invalid(mount_path, "must be unique"),
            );
        }
        if devices.iter().any(|device| device.text("name") == name) {
            errors.push(
                mount
                    .path("name")
                    .invalid(name, "must not already exist in volumeDevices"),
            );
        }
        if devices
            .iter()
            .any(|device| device.text("devicePath") == mount_path)
        {
            let detail = "must not already exist as a path in volumeDevices";
            errors.push(mount.path("mountPath").invalid(mount_path, detail));
        }
        let (sub_path, expression) = (mount.text("subPath"), mount.text("subPathExpr"));
        if !sub_path.is_empty() {
            errors.extend(validate_descending_path(
                sub_path,
                &list_path.child("subPath"),
            ));
        }
        if !expression.is_empty() {
            if !sub_path.is_empty() {
                let detail = "subPathExpr and subPath are mutually exclusive";
                errors.push(mount.path("subPathExpr").invalid(expression, detail));
            }
            errors.extend(validate_descending_path(
                expression,
                &list_path.child("subPathExpr"),
            ));
        }
        errors.extend(validate_propagation(container, &mount));
        errors.extend(validate_recursive_read_only(container, &mount));
    }
    errors
}

pub(super) fn validate_volume_devices(
    container: &Node<'_>,
    context: &PodContext<'_>,
) -> Vec<FieldError> {
    let mounts = container.items("volumeMounts");
    let mut errors = Vec::new();
    let (mut paths, mut names) = (BTreeSet::new(), BTreeSet::new());
    for device in container.items("volumeDevices") {
        let (name, device_path) = (device.text("name"), device.text("devicePath"));
        let (at_name, at_path) = (device.path("name"), device.path("devicePath"));
        let volume = context
            .volumes
            .iter()
            .find(|volume| volume.text("name") == name);
        errors.extend(device.require("name"));
        if names.contains(name) {
            errors.push(at_name.invalid(name, "must be unique"));
        }
        match volume {
            Some(volume)
                if volume.get("persistentVolumeClaim").is_none()
                    && volume.get("ephemeral").is_none() =>
            {
                let detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                errors.push(at_name.invalid(name, detail));
            }
            Some(_) => {}
            None => errors.push(at_name.not_found(name)),
        }
        errors.extend(device.require("devicePath"));
        if paths.contains(device_path) {
            errors.push(at_path.invalid(device_path, "must be unique"));
        }
        if validate_no_parent(device_path, &at_path).is_some() {
            errors.push(at_path.invalid(device_path, "can not contain backsteps ('..')"));
        } else {
            paths.insert(device_path);
        }
        if mounts.iter().any(|mount| mount.text("name") == name) {
            errors.push(at_name.invalid(name, "must not already exist in volumeMounts"));
        }
        if mounts
            .iter()
            .any(|mount| mount.text("mountPath") == device_path)
        {
            errors.push(at_path.invalid(
                device_path,
                "must not already exist as a path in volumeMounts",
            ));
        }
        if !name.is_empty() {
            names.insert(name);
        }
    }
    errors
}

/// The reference has taken `privileged: true` away before, so bidirectional mounts never pass.
fn validate_propagation(container: &Node<'_>, mount: &Node<'_>) -> Option<FieldError> {
    let path = container.path("volumeMounts").child("mountPropagation");
    match mount.get_text("mountPropagation")? {
        "HostToContainer" | "None" => None,
        "Bidirectional" => Some(path.forbidden(
            "Bidirectional mount propagation is available only to privileged containers",
        )),
        other => Some(path.not_supported(other, &["Bidirectional", "HostToContainer", "None"])),
    }
}

fn validate_recursive_read_only(container: &Node<'_>, mount: &Node<'_>) -> Vec<FieldError> {
    let path = container.path("volumeMounts").child("recursiveReadOnly");
    match mount.get_text("recursiveReadOnly") {
        None | Some("Disabled") => Vec::new(),
        Some("Enabled" | "IfPossible") => {
            let mut errors = Vec::new();
            if !mount.is_true("readOnly") {
                errors.push(path.forbidden("may only be specified when readOnly is true"));
            }
            if mount
                .get_text("mountPropagation")
                .is_some_and(|propagation| propagation != "None")
            {
                let detail = "may only be specified when mountPropagation is None or not specified";
                errors.push(path.forbidden(detail));
            }
            errors
        }
        Some(other) => vec![path.not_supported(other, &["Disabled", "Enabled", "IfPossible"])],
    }
}
