//! Values that the reference cannot read into Go's types. The CRD says nothing of volumes, so that
//! there such values reach it.

use serde_json::Value;

use crate::spec::go_types::{Kind, fields};
use crate::spec::quantity::Quantity;
use crate::spec::validation::field::{FieldError, Path};

/// Deepest nesting that is looked at; no type of the API needs more.
const MAX_DEPTH: usize = 64;

/// Volumes with values of another type than Go's.
pub(super) fn validate_volume_types(volumes: &Value, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let volume = Kind::Object("Volume");
    let kind = Kind::List(Box::new(volume));
    validate_type(volumes, &kind, path, 0, &mut errors);
    errors
}

fn validate_type(
    value: &Value,
    kind: &Kind,
    path: &Path,
    depth: usize,
    errors: &mut Vec<FieldError>,
) {
    // Go leaves what is null as it was.
    if value.is_null() || depth > MAX_DEPTH {
        return;
    }
    let wanted = match kind {
        Kind::Pointer(target) => return validate_type(value, target, path, depth, errors),
        Kind::Any | Kind::Time => return,
        Kind::Object(name) => {
            if let Some(object) = value.as_object() {
                for field in fields(name) {
                    if let Some(value) = object.get(field.name) {
                        let path = path.child(field.name);
                        validate_type(value, &field.kind, &path, depth + 1, errors);
                    }
                }
                return;
            }
            "an object"
        }
        Kind::List(item) => {
            if let Some(items) = value.as_array() {
                for (index, value) in items.iter().enumerate() {
                    validate_type(value, item, &path.index(index), depth + 1, errors);
                }
                return;
            }
            "a list"
        }
        Kind::Map(of) => {
            if let Some(object) = value.as_object() {
                for (key, value) in object {
                    validate_type(value, of, &path.key(key), depth + 1, errors);
                }
                return;
            }
            "an object"
        }
        Kind::Text if value.is_string() => return,
        Kind::Text => "a string",
        Kind::Flag if value.is_boolean() => return,
        Kind::Flag => "true or false",
        Kind::Number if whole(value).is_some() => return,
        Kind::Number => "a whole number",
        Kind::Number32 if whole(value).is_some_and(|it| i32::try_from(it).is_ok()) => return,
        Kind::Number32 => "a whole number of 32 bits",
        Kind::Port if value.is_string() || whole(value).is_some() => return,
        Kind::Port => "a number or a string",
        Kind::Quantity if Quantity::from_json(value).is_some() => return,
        Kind::Quantity => "a quantity such as 500m or 1Gi",
    };
    errors.push(path.invalid(value, format!("must be {wanted}")));
}

/// The API takes 1.0 for a whole number.
fn whole(value: &Value) -> Option<i64> {
    let of_float = || {
        let float = value.as_f64()?;
        let is_whole = float == float.trunc() && float.abs() < 9e15;
        is_whole.then_some(float as i64)
    };
    value.as_i64().or_else(of_float)
}
