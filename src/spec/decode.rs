//! From a JSON tree to a typed object, with Go's leniency towards `null`.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Decodes `tree` into `T`. A `null` member of an object counts as absent, as in Go's decoder.
///
/// # Errors
/// The first value that does not fit its type, or a tree deeper than [`MAX_DEPTH`].
pub fn decode<T: DeserializeOwned>(tree: Value) -> Result<T, DecodeError> {
    decode_cow(Cow::Owned(tree))
}

/// As [`decode`], without a copy of a tree that has no such members.
///
/// # Errors
/// See [`decode`].
pub fn decode_ref<T: DeserializeOwned>(tree: &Value) -> Result<T, DecodeError> {
    decode_cow(Cow::Borrowed(tree))
}

fn decode_cow<T: DeserializeOwned>(mut tree: Cow<'_, Value>) -> Result<T, DecodeError> {
    if has_null_members(&tree, 0)? {
        drop_null_members(tree.to_mut());
    }
    Ok(T::deserialize(&*tree)?)
}

/// Deepest nesting accepted, the limit of Go's and serde's JSON readers being far above what
/// manifests have.
pub const MAX_DEPTH: usize = 128;

/// Why a tree is no object of the wanted type.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error(transparent)]
    Type(#[from] serde_json::Error),
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

fn has_null_members(tree: &Value, depth: usize) -> Result<bool, DecodeError> {
    if depth > MAX_DEPTH {
        return Err(DecodeError::TooDeep);
    }
    let mut found = false;
    match tree {
        Value::Object(members) => {
            for value in members.values() {
                found |= value.is_null() || has_null_members(value, depth + 1)?;
            }
        }
        Value::Array(items) => {
            for item in items {
                found |= has_null_members(item, depth + 1)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(found)
}

/// Depth has been checked.
fn drop_null_members(tree: &mut Value) {
    match tree {
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            members.values_mut().for_each(drop_null_members);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_null_members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::rollout::Rollout;
    use serde_json::json;

    #[test]
    fn null_counts_as_absent_and_wrong_types_are_errors() {
        let rollout: Rollout =
            decode(json!({"spec": {"replicas": null, "strategy": {"canary": {"steps": null}}}}))
                .unwrap();
        assert_eq!(rollout.spec.replicas, None);
        assert!(rollout.spec.strategy.canary.is_some());
        assert!(decode::<Rollout>(json!({"spec": {"replicas": "three"}})).is_err());
        let mut deep = json!({});
        for _ in 0..200 {
            deep = json!({ "a": deep });
        }
        assert!(matches!(decode::<Rollout>(deep), Err(DecodeError::TooDeep)));
    }
}
