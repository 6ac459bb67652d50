//! Reading JSON objects, and changing them in place.

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

/// The text at a JSON pointer, "" where there is none.
pub(super) fn text_at<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The list at a JSON pointer, empty where there is none.
pub(super) fn list_at<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// `weight` of a destination: `default` where it has none. A quantity is read as text, too.
pub(super) fn weight_of(destination: &Value, default: i64) -> i64 {
    match destination.get("weight") {
        None | Some(Value::Null) => default,
        Some(Value::String(text)) => text.parse().unwrap_or(0),
        Some(weight) => weight
            .as_i64()
            // Beyond the type's range it is cut to it.
            .or(weight.as_f64().map(|weight| weight as i64))
            .unwrap_or(0),
    }
}

/// An annotation of an object.
pub(super) fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object
        .pointer("/metadata/annotations")?
        .get(key)
        .and_then(Value::as_str)
}

/// A weight as the API's 32 bits have it.
pub(super) fn clamped(weight: i64) -> i32 {
    i32::try_from(weight).unwrap_or(if weight < 0 { i32::MIN } else { i32::MAX })
}
