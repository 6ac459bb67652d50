//! `kubectl apply` and merge patches on JSON trees.

use serde_json::{Map, Value};

/// JSON merge patch (RFC 7386).
pub(super) fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else {
        return;
    };
    for (key, change) in changes {
        if change.is_null() {
            members.shift_remove(key);
        } else {
            merge_patch(members.entry(key.clone()).or_insert(Value::Null), change);
        }
    }
}

/// `kubectl apply`: what `wanted` names is set, what `last` named and `wanted` does not is removed,
/// all else stays. Lists are replaced as a whole, as for custom resources.
pub(super) fn three_way_merge(live: &mut Value, last: Option<&Value>, wanted: &Value) {
    let Value::Object(wanted_members) = wanted else {
        *live = wanted.clone();
        return;
    };
    if !live.is_object() {
        *live = Value::Object(Map::new());
    }
    let Value::Object(members) = live else {
        return;
    };
    for key in last
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::keys)
    {
        if !wanted_members.contains_key(key) {
            members.shift_remove(key);
        }
    }
    for (key, value) in wanted_members {
        let last_value = last.and_then(|last| last.get(key));
        if value.is_null() {
            members.shift_remove(key);
        } else {
            three_way_merge(
                members.entry(key.clone()).or_insert(Value::Null),
                last_value,
                value,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn merge_patch_follows_the_rfc() {
        let mut target = json!({"a": {"b": 1, "c": 2}, "l": [1, 2]});
        merge_patch(
            &mut target,
            &json!({"a": {"b": null, "d": {"e": null, "f": 3}}, "l": [3]}),
        );
        assert_eq!(target, json!({"a": {"c": 2, "d": {"f": 3}}, "l": [3]}));
    }

    #[test]
    fn apply_keeps_what_others_added() {
        let mut live = json!({"spec": {"selector": {"app": "a", "hash": "x"}, "ports": [1]}});
        let last = json!({"spec": {"selector": {"app": "a"}, "ports": [1]}});
        three_way_merge(
            &mut live,
            Some(&last),
            &json!({"spec": {"selector": {"app": "b"}}}),
        );
        assert_eq!(
            live,
            json!({"spec": {"selector": {"app": "b", "hash": "x"}}})
        );
    }
}
