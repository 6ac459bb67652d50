//! Merge patches of what differs, so that fields not known here are never touched.

use serde_json::{Map, Value};

/// The JSON merge patch (RFC 7386) from `old` to `new`; none where nothing differs. Lists are
/// replaced as a whole.
pub fn merge_patch(old: &Value, new: &Value) -> Option<Value> {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let mut patch = Map::new();
            for (key, value) in new {
                let change = match old.get(key) {
                    Some(before) => merge_patch(before, value),
                    None if value.is_null() => None,
                    None => Some(without_nulls(value)),
                };
                patch.extend(change.map(|change| (key.clone(), change)));
            }
            for key in old.keys().filter(|key| !new.contains_key(*key)) {
                patch.insert(key.clone(), Value::Null);
            }
            (!patch.is_empty()).then_some(Value::Object(patch))
        }
        _ => (old != new).then(|| new.clone()),
    }
}

/// A null in a new part would mean removal, which is what it means in an object, too.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(_, value)| !value.is_null());
            Value::Object(
                kept.map(|(key, value)| (key.clone(), without_nulls(value)))
                    .collect(),
            )
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patches_hold_the_difference_only() {
        let old = json!({"a": 1, "b": {"c": [1, 2], "d": "x"}, "gone": true});
        let new = json!({"a": 1, "b": {"c": [2], "d": "x", "e": {"f": null, "g": 1}}});
        assert_eq!(
            merge_patch(&old, &new),
            Some(json!({"b": {"c": [2], "e": {"g": 1}}, "gone": null}))
        );
        assert_eq!(merge_patch(&old, &old), None);
        assert_eq!(merge_patch(&json!({"a": null}), &json!({"a": null})), None);
    }
}
