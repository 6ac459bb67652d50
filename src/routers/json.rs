//! Changing JSON objects in place.

use serde_json::{Map, Value};

/// The object at the end of `path`. What is absent on the way, or no object, is made one.
pub(super) fn descendant<'a>(value: &'a mut Value, path: &[&str]) -> &'a mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let Value::Object(fields) = value else {
        unreachable!("made an object above")
    };
    match path.split_first() {
        None => fields,
        Some((first, rest)) => descendant(fields.entry(*first).or_insert(Value::Null), rest),
    }
}
