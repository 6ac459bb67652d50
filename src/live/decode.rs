//! From the API's JSON to what the cache keeps: without what the controller never reads.

use std::borrow::Cow;

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
    match Object::from_json_of(kind, tree(kind, text)?) {
        Ok(object) => Ok(Decoded::Object(object)),
        Err(message) if *kind == Kind::Rollout => {
            let rest = without_spec(tree(kind, text)?)?;
            Ok(Decoded::Broken(Box::new(Broken { rest, message })))
        }
        Err(message) => Err(message),
    }
}

fn tree(kind: &Kind, text: &str) -> Result<Value, String> {
    let mut tree = serde_json::from_str(text).map_err(|error| error.to_string())?;
    trim(kind, &mut tree);
    Ok(tree)
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

fn trim(kind: &Kind, tree: &mut Value) {
    let Some(members) = tree.as_object_mut() else {
        return;
    };
    let unused: &[&str] = match kind {
        Kind::Service => &["status"],
        // That it has changed is all that counts; who measures reads it himself.
        Kind::Other { group, kind } if group == "batch" && kind == "Job" => &["spec", "status"],
        Kind::Rollout
        | Kind::AnalysisTemplate
        | Kind::ClusterAnalysisTemplate
        | Kind::AnalysisRun
        | Kind::Experiment
        | Kind::ReplicaSet
        | Kind::Pod
        | Kind::Secret
        | Kind::Other { group: _, kind: _ } => &[],
    };
    for key in unused {
        members.swap_remove(*key);
    }
    let Some(metadata) = members.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    for key in ["managedFields", "selfLink"] {
        metadata.swap_remove(key);
    }
    let annotations = metadata.get_mut("annotations");
    if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
        annotations.swap_remove(LAST_APPLIED);
        if annotations.is_empty() {
            metadata.swap_remove("annotations");
        }
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
}
