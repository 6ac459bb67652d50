//! From the API's JSON to what the cache keeps: without what the controller never reads.

use serde_json::{Map, Value, json};

use super::cache::Broken;
use crate::engine::objects::{Kind, Object, ObjectRef};
use crate::spec::decode::decode;

/// Annotation of kubectl with the whole object as it was applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object of the API.
#[derive(Debug)]
pub enum Decoded {
    Object(Object),
    /// A Rollout of another shape; users are told by its status.
    Broken(Box<Broken>),
}

/// Reads an object of a kind.
///
/// # Errors
/// A tree without a name, or, except for Rollouts, of another shape.
pub fn read(kind: &Kind, mut tree: Value) -> Result<(ObjectRef, Decoded), String> {
    trim(kind, &mut tree);
    let text = |path: &str| {
        let found = tree.pointer(path).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    let name = text("/metadata/name");
    let namespace = text("/metadata/namespace");
    if name.is_empty() {
        return Err(format!("a {} has no name", kind.as_str()));
    }
    let reference = ObjectRef::new(kind.clone(), namespace, name);
    if *kind != Kind::Rollout {
        let object = Object::from_json_of(kind, tree)?;
        return Ok((reference, Decoded::Object(object)));
    }
    // Kept only as long as it may be needed; a Rollout is a few kilobytes.
    let rest = match Object::from_json_of(kind, tree.clone()) {
        Ok(object) => return Ok((reference, Decoded::Object(object))),
        Err(message) => (message, tree),
    };
    let (message, mut tree) = rest;
    if let Some(members) = tree.as_object_mut() {
        members.insert("spec".into(), json!({}));
    }
    let rest = match decode(tree.clone()) {
        Ok(rest) => rest,
        Err(_) => {
            // A status that cannot be read is not to be lost, but there is nothing to build on.
            if let Some(members) = tree.as_object_mut() {
                members.insert("status".into(), json!({}));
            }
            decode(tree).map_err(|error| error.to_string())?
        }
    };
    Ok((
        reference,
        Decoded::Broken(Box::new(Broken { rest, message })),
    ))
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

/// Name and resource version of an object that is otherwise of no use.
pub fn metadata(tree: &Value) -> Map<String, Value> {
    let metadata = tree.get("metadata").and_then(Value::as_object);
    metadata.cloned().unwrap_or_default()
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
        let (reference, decoded) = read(&Kind::Rollout, tree.clone()).unwrap();
        assert_eq!(reference, ObjectRef::new(Kind::Rollout, "ns", "r"));
        let Decoded::Object(Object::Rollout(rollout)) = decoded else {
            panic!("not read");
        };
        assert!(rollout.metadata.rest.is_empty());
        assert!(rollout.metadata.annotations.is_empty());
        let mut wrong = tree;
        wrong["spec"]["replicas"] = json!("three");
        let (_, decoded) = read(&Kind::Rollout, wrong).unwrap();
        let Decoded::Broken(broken) = decoded else {
            panic!("read");
        };
        assert_eq!(broken.rest.status.phase.to_string(), "Healthy");
        assert!(broken.message.contains("invalid type"));
    }
}
