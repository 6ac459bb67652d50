//! Objects that a Rollout creates: they carry its owner reference and go with it.

use serde_json::{Value, json};

use crate::spec::rollout::Rollout;

use super::json::list_at;

/// `metadata.ownerReferences` with the Rollout as the controller.
pub(super) fn owner_references(rollout: &Rollout) -> Value {
    json!([rollout.owner_reference()])
}

/// Whether the Rollout is the controller of an object.
pub(super) fn is_owned(object: &Value, rollout: &Rollout) -> bool {
    let controller = list_at(object, "/metadata/ownerReferences")
        .iter()
        .find(|owner| owner.get("controller") == Some(&Value::Bool(true)));
    controller.and_then(|owner| owner.get("uid")?.as_str()) == Some(&rollout.metadata.uid)
}

/// A copy of an object for creation under another name: without what the API server gives.
pub(super) fn copy_for_creation(object: &Value, name: &str, rollout: &Rollout) -> Value {
    let mut copy = object.clone();
    if let Some(fields) = copy.as_object_mut() {
        fields.shift_remove("status");
    }
    let metadata = super::json::descendant(&mut copy, &["metadata"]);
    for field in [
        "resourceVersion",
        "generation",
        "uid",
        "creationTimestamp",
        "managedFields",
        "selfLink",
    ] {
        metadata.shift_remove(field);
    }
    metadata.insert("name".to_owned(), name.into());
    metadata.insert("ownerReferences".to_owned(), owner_references(rollout));
    copy
}
