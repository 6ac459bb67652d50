//! Pod metadata that belongs to a role (canary, stable, preview, active) and moves with it
//! (argo-rollouts `utils/replicaset/canary.go`).
//!
//! Only what was injected before is taken away again; the annotation
//! [`EPHEMERAL_METADATA_ANNOTATION`] of a ReplicaSet remembers it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::engine::{EPHEMERAL_METADATA_ANNOTATION, ReplicaSet};
use crate::spec::kubernetes::PodTemplate;
use crate::spec::meta::ObjectMeta;
use crate::spec::rollout::PodTemplateMetadata;
use crate::spec::string_map::StringMap;

/// What was injected into the ReplicaSet; none if nothing, or if its annotation cannot be read.
pub fn injected_metadata(set: &ReplicaSet) -> Option<PodTemplateMetadata> {
    let text = set.annotation(EPHEMERAL_METADATA_ANNOTATION)?;
    serde_json::from_str(text).ok().flatten()
}

/// Gives the ReplicaSet's pod template the desired metadata in place of what was injected before.
/// Returns whether something changed; only then the annotation is updated, too.
pub fn sync_replica_set_metadata(
    set: &mut ReplicaSet,
    desired: Option<&PodTemplateMetadata>,
) -> bool {
    let injected = injected_metadata(set);
    let labels = changes(
        &set.template.labels(),
        injected.as_ref(),
        desired,
        labels_of,
    );
    let annotations = changes(
        &set.template.annotations(),
        injected.as_ref(),
        desired,
        annotations_of,
    );
    if labels.is_empty() && annotations.is_empty() {
        return false;
    }
    if !labels.is_empty() {
        apply_to_json(set.template.labels_mut(), labels);
    }
    if !annotations.is_empty() {
        apply_to_json(set.template.annotations_mut(), annotations);
    }
    drop_empty_metadata(&mut set.template);
    // Maps of strings always serialize.
    match desired.map(serde_json::to_string) {
        Some(Ok(text)) => {
            let key = EPHEMERAL_METADATA_ANNOTATION.to_owned();
            set.metadata.annotations.make_mut().insert(key, text);
        }
        Some(Err(_)) | None => {
            let annotations = set.metadata.annotations.make_mut();
            annotations.remove(EPHEMERAL_METADATA_ANNOTATION);
        }
    }
    true
}

/// The same for a running pod; `injected` is what its ReplicaSet's annotation said before.
pub fn sync_pod_metadata(
    metadata: &mut ObjectMeta,
    injected: Option<&PodTemplateMetadata>,
    desired: Option<&PodTemplateMetadata>,
) -> bool {
    let labels = changes(&metadata.labels, injected, desired, labels_of);
    let annotations = changes(&metadata.annotations, injected, desired, annotations_of);
    if labels.is_empty() && annotations.is_empty() {
        return false;
    }
    apply(metadata.labels.make_mut(), labels);
    apply(metadata.annotations.make_mut(), annotations);
    true
}

/// Values to set, or none to remove the key.
fn changes(
    present: &StringMap,
    injected: Option<&PodTemplateMetadata>,
    desired: Option<&PodTemplateMetadata>,
    part: fn(&PodTemplateMetadata) -> &StringMap,
) -> BTreeMap<String, Option<String>> {
    let injected = injected.map(part).into_iter().flatten();
    let desired = desired.map(part);
    let obsolete = injected
        .map(|(key, _)| key)
        .filter(|key| desired.is_none_or(|desired| !desired.contains_key(*key)))
        .filter(|key| present.contains_key(*key))
        .map(|key| (key.clone(), None));
    // An absent key reads as the empty string.
    let wanted = desired
        .into_iter()
        .flatten()
        .filter(|(key, value)| present.get(*key).map_or("", String::as_str) != value.as_str())
        .map(|(key, value)| (key.clone(), Some(value.clone())));
    obsolete.chain(wanted).collect()
}

fn apply(target: &mut StringMap, changes: BTreeMap<String, Option<String>>) {
    for (key, value) in changes {
        match value {
            Some(value) => target.insert(key, value),
            None => target.remove(&key),
        };
    }
}

fn apply_to_json(target: &mut Map<String, Value>, changes: BTreeMap<String, Option<String>>) {
    for (key, value) in changes {
        match value {
            Some(value) => target.insert(key, Value::String(value)),
            None => target.shift_remove(&key),
        };
    }
}

/// Leaves no empty objects where there was nothing before.
fn drop_empty_metadata(template: &mut PodTemplate) {
    let is_empty =
        |value: Option<&Value>| value.and_then(Value::as_object).is_some_and(Map::is_empty);
    let Some(metadata) = template
        .as_object_mut()
        .get_mut("metadata")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    for key in ["labels", "annotations"] {
        if is_empty(metadata.get(key)) {
            metadata.shift_remove(key);
        }
    }
    if metadata.is_empty() {
        template.as_object_mut().shift_remove("metadata");
    }
}

fn labels_of(metadata: &PodTemplateMetadata) -> &StringMap {
    &metadata.labels
}

fn annotations_of(metadata: &PodTemplateMetadata) -> &StringMap {
    &metadata.annotations
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata(value: Value) -> PodTemplateMetadata {
        serde_json::from_value(value).unwrap()
    }

    fn replica_set(template: Value) -> ReplicaSet {
        serde_json::from_value(json!({"template": template})).unwrap()
    }

    #[test]
    fn metadata_comes_changes_and_goes() {
        let template = json!({"metadata": {"labels": {"app": "a"}}, "spec": {}});
        let original = replica_set(template);
        let mut set = original.clone();
        let canary = metadata(json!({"labels": {"role": "canary"}, "annotations": {"x": "1"}}));
        assert!(sync_replica_set_metadata(&mut set, Some(&canary)));
        assert!(!sync_replica_set_metadata(&mut set, Some(&canary)));
        assert_eq!(injected_metadata(&set), Some(canary.clone()));
        assert_eq!(
            set.annotation(EPHEMERAL_METADATA_ANNOTATION),
            Some(r#"{"labels":{"role":"canary"},"annotations":{"x":"1"}}"#)
        );
        assert_eq!(
            set.template.labels().get("role").map(String::as_str),
            Some("canary")
        );

        let stable = metadata(json!({"labels": {"role": "stable"}}));
        assert!(sync_replica_set_metadata(&mut set, Some(&stable)));
        assert_eq!(
            set.template.labels().get("role").map(String::as_str),
            Some("stable")
        );
        assert!(set.template.annotations().is_empty());

        assert!(sync_replica_set_metadata(&mut set, None));
        assert_eq!(set, original);
        assert!(!sync_replica_set_metadata(&mut set, None));
    }

    #[test]
    fn what_others_wrote_stays() {
        let mut pod = ObjectMeta::default();
        pod.labels.make_mut().insert("mesh".into(), "on".into());
        let canary = metadata(json!({"labels": {"role": "canary", "empty": ""}}));
        assert!(sync_pod_metadata(&mut pod, None, Some(&canary)));
        assert_eq!(pod.labels.len(), 2);
        assert!(!sync_pod_metadata(&mut pod, Some(&canary), Some(&canary)));
        assert!(sync_pod_metadata(&mut pod, Some(&canary), None));
        assert_eq!(pod.labels.keys().collect::<Vec<_>>(), ["mesh"]);
    }

    #[test]
    fn an_unreadable_annotation_counts_as_none() {
        for text in ["foo", "null"] {
            let mut set = replica_set(json!({}));
            let key = EPHEMERAL_METADATA_ANNOTATION.to_owned();
            let annotations = set.metadata.annotations.make_mut();
            annotations.insert(key, text.to_owned());
            assert_eq!(injected_metadata(&set), None);
        }
    }
}
