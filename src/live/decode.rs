//! From the API's JSON to what the cache keeps: without what the controller never reads.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::cache::Broken;
use crate::engine::objects::{Kind, Object};
use crate::spec::decode::decode;
use crate::spec::rollout::Rollout;

/// Annotation of kubectl with the whole object as it was applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object of the API.
#[derive(Debug)]
pub enum Decoded {
    Object(Object),
    /// A Rollout of another shape; users are told by its status.
    Broken(Box<Broken>),
}

/// What tells an object and its version, read without the rest of it.
#[derive(Debug, Deserialize)]
pub struct Stamped<'t> {
    /// `Status` where the answer to a deletion is no object.
    #[serde(borrow, default)]
    pub kind: Cow<'t, str>,
    #[serde(borrow, default)]
    pub metadata: Stamp<'t>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stamp<'t> {
    #[serde(borrow)]
    pub name: Cow<'t, str>,
    #[serde(borrow)]
    pub namespace: Cow<'t, str>,
    #[serde(borrow)]
    pub uid: Cow<'t, str>,
    #[serde(borrow)]
    pub resource_version: Cow<'t, str>,
}

/// Reads what tells an object and its version.
///
/// # Errors
/// Text that is no JSON object.
pub fn stamp(text: &str) -> Result<Stamped<'_>, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// Reads an object of a kind.
///
/// # Errors
/// Text that is no JSON, or, except for Rollouts, an object of another shape.
pub fn read(kind: &Kind, text: &str) -> Result<Decoded, String> {
    let text = without_managed_fields(text);
    match Object::from_text_of(kind, &text) {
        Ok(mut object) => {
            trim(&mut object);
            Ok(Decoded::Object(object))
        }
        Err(message) if *kind == Kind::Rollout => {
            let tree = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            let mut rest = without_spec(tree)?;
            rest.metadata.annotations.make_mut().remove(LAST_APPLIED);
            Ok(Decoded::Broken(Box::new(Broken { rest, message })))
        }
        Err(message) => Err(message),
    }
}

/// An object's text without `metadata.managedFields`, which is often half of it and never read.
fn without_managed_fields(text: &str) -> Cow<'_, str> {
    const NAME: &str = "\"managedFields\":";
    let Some(start) = text.find(NAME) else {
        return Cow::Borrowed(text);
    };
    let value = start + NAME.len();
    let bytes = text.as_bytes();
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut end = None;
    for (index, byte) in bytes.iter().enumerate().skip(value) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    end = Some(index + 1);
                    break;
                }
            }
            _ => {}
        }
    }
    let Some(end) = end.filter(|_| bytes.get(value) == Some(&b'[')) else {
        return Cow::Borrowed(text);
    };
    let (before, after) = match (text.get(..start), text.get(end..)) {
        (Some(before), Some(after)) => (before, after),
        _ => return Cow::Borrowed(text),
    };
    // One of the commas around it goes with it.
    let kept = match after.strip_prefix(',') {
        Some(after) => [before, after],
        None => [before.strip_suffix(',').unwrap_or(before), after],
    };
    Cow::Owned(kept.concat())
}

/// A Rollout with an empty spec; and an empty status where that cannot be read either.
fn without_spec(mut tree: Value) -> Result<Rollout, String> {
    let clear = |tree: &mut Value, key: &str| {
        if let Some(members) = tree.as_object_mut() {
            members.insert(key.into(), json!({}));
        }
    };
    clear(&mut tree, "spec");
    if let Ok(rest) = decode(tree.clone()) {
        return Ok(rest);
    }
    clear(&mut tree, "status");
    decode(tree).map_err(|error| error.to_string())
}

/// Takes out what is never read, and gives back room that reading left unused.
fn trim(object: &mut Object) {
    if let Some(metadata) = object.metadata_mut() {
        metadata.annotations.make_mut().remove(LAST_APPLIED);
        metadata.owner_references.make_mut().shrink_to_fit();
    }
    match object {
        Object::Service(service) => {
            Arc::make_mut(service).rest.remove("status");
        }
        Object::Other { key, value } => {
            let value = Arc::make_mut(value);
            if let Some(annotations) = value.pointer_mut("/metadata/annotations")
                && let Some(annotations) = annotations.as_object_mut()
            {
                annotations.shift_remove(LAST_APPLIED);
            }
            // That a Job has changed is all that counts; who measures reads it himself.
            if key.group == "batch"
                && key.kind == "Job"
                && let Some(members) = value.as_object_mut()
            {
                members.retain(|member, _| member == "metadata");
            }
        }
        Object::Rollout(rollout) => {
            let Rollout { spec, status, .. } = Arc::make_mut(rollout);
            status.conditions.make_mut().shrink_to_fit();
            spec.template.shrink();
            if let Some(canary) = &mut spec.strategy.canary {
                canary.make_mut().steps.make_mut().shrink_to_fit();
            }
        }
        Object::ReplicaSet(set) => Arc::make_mut(set).template.shrink(),
        Object::AnalysisTemplate(_)
        | Object::ClusterAnalysisTemplate(_)
        | Object::AnalysisRun(_)
        | Object::Experiment(_)
        | Object::Pod(_)
        | Object::Secret { name: _, data: _ } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_read_is_dropped_and_broken_rollouts_keep_their_status() {
        let tree = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "r", "namespace": "ns", "uid": "u", "resourceVersion": "7",
                "managedFields": [{}], "annotations": {LAST_APPLIED: "{}"}},
            "spec": {"replicas": 1}, "status": {"phase": "Healthy"}
        });
        let text = tree.to_string();
        let stamped = stamp(&text).unwrap();
        assert_eq!(stamped.metadata.name, "r");
        assert_eq!(stamped.metadata.resource_version, "7");
        let decoded = read(&Kind::Rollout, &text).unwrap();
        let Decoded::Object(Object::Rollout(rollout)) = decoded else {
            panic!("not read");
        };
        assert!(rollout.metadata.rest.is_empty());
        assert!(rollout.metadata.annotations.is_empty());
        let mut wrong = tree;
        wrong["spec"]["replicas"] = json!("three");
        let decoded = read(&Kind::Rollout, &wrong.to_string()).unwrap();
        let Decoded::Broken(broken) = decoded else {
            panic!("read");
        };
        assert_eq!(broken.rest.status.phase.to_string(), "Healthy");
        assert!(broken.message.contains("invalid type"));
    }

    #[test]
    fn managed_fields_are_cut_out_wherever_they_are() {
        for (text, kept) in [
            (
                r#"{"a":1,"managedFields":[{"f":"]\""}],"b":2}"#,
                r#"{"a":1,"b":2}"#,
            ),
            (r#"{"a":1,"managedFields":[]}"#, r#"{"a":1}"#),
            (r#"{"managedFields":[[1]]}"#, "{}"),
            (r#"{"managedFields":["#, r#"{"managedFields":["#),
            (
                r#"{"a":"\"managedFields\":["}"#,
                r#"{"a":"\"managedFields\":["}"#,
            ),
        ] {
            assert_eq!(without_managed_fields(text), kept);
        }
    }
}
