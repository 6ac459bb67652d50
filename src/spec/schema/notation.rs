//! Reads the notation of `kubernetes.schema`, which its head explains.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value as Json, json};

use super::shape::{FieldShape, ObjectShape, Shape, Unique};

const TEXT: &str = include_str!("kubernetes.schema");

/// Deepest nesting of shapes; ends what would refer to itself.
const MAX_DEPTH: usize = 32;

/// What the definitions ask of a quantity in text, as Kubernetes' own generator writes it.
const QUANTITY_PATTERN: &str = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";

/// The shape of this name; `None` where there is none.
pub(super) fn shape(name: &str) -> Option<Shape> {
    let shapes = SHAPES.get_or_init(|| Shapes::build(types()));
    shapes
        .built
        .get(name)
        .map(|shape| Shape::clone(shape.as_ref()))
}

/// [`shape`], shared.
pub(super) fn shared_shape(name: &str) -> Option<Arc<Shape>> {
    let shapes = SHAPES.get_or_init(|| Shapes::build(types()));
    shapes.built.get(name).cloned()
}

/// The schema of this name as OpenAPI, without descriptions; `None` where there is none.
pub(super) fn open_api(name: &str) -> Option<Json> {
    open_api_of(types(), name, 0)
}

static SHAPES: OnceLock<Shapes> = OnceLock::new();

struct Shapes {
    built: BTreeMap<&'static str, Arc<Shape>>,
}

/// A shape as written.
struct Type {
    is_atomic: bool,
    fields: Vec<Field>,
}

struct Field {
    name: &'static str,
    is_required: bool,
    value: &'static str,
    default: Option<Json>,
    merge: Option<&'static str>,
}

fn types() -> &'static BTreeMap<&'static str, Type> {
    static TYPES: OnceLock<BTreeMap<&'static str, Type>> = OnceLock::new();
    TYPES.get_or_init(|| read(TEXT))
}

fn read(text: &'static str) -> BTreeMap<&'static str, Type> {
    let mut types = BTreeMap::new();
    let mut current: Option<(&'static str, Type)> = None;
    for line in text.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(field) = line.strip_prefix("  ") {
            if let (Some((_, shape)), Some(field)) = (&mut current, read_field(field)) {
                shape.fields.push(field);
            }
            continue;
        }
        types.extend(current.take());
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        let shape = Type {
            is_atomic: rest == "atomic",
            fields: Vec::new(),
        };
        current = Some((name, shape));
    }
    types.extend(current);
    types
}

/// `name!: type = default merge`.
fn read_field(line: &'static str) -> Option<Field> {
    let (name, rest) = line.split_once(": ")?;
    let (value, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let (default, merge) = match rest.strip_prefix("= ") {
        Some(rest) => {
            let (default, merge) = rest.split_once(' ').unwrap_or((rest, ""));
            (serde_json::from_str(default).ok(), merge)
        }
        None => (None, rest),
    };
    Some(Field {
        is_required: name.ends_with('!'),
        name: name.trim_end_matches('!'),
        value,
        default,
        merge: (!merge.is_empty()).then_some(merge),
    })
}

/// The text between a list's or map's brackets.
fn inside(value: &'static str, open: char, close: char) -> Option<&'static str> {
    value.strip_prefix(open)?.strip_suffix(close)
}

/// The fields of `map(a,b)`.
fn merge_keys(merge: Option<&'static str>) -> Option<Vec<String>> {
    let keys = merge?.strip_prefix("map(")?.strip_suffix(')')?;
    Some(keys.split(',').map(str::to_owned).collect())
}

impl Shapes {
    fn build(types: &'static BTreeMap<&'static str, Type>) -> Self {
        let mut shapes = Self {
            built: BTreeMap::new(),
        };
        for name in types.keys() {
            shapes.named(types, name, 0);
        }
        shapes
    }

    fn named(
        &mut self,
        types: &'static BTreeMap<&'static str, Type>,
        name: &'static str,
        depth: usize,
    ) -> Arc<Shape> {
        if let Some(built) = self.built.get(name) {
            return Arc::clone(built);
        }
        let Some(written) = types.get(name).filter(|_| depth < MAX_DEPTH) else {
            return Arc::new(Shape::Any);
        };
        let mut object = ObjectShape::default();
        for field in &written.fields {
            if field.is_required {
                object.required.push(field.name.to_owned());
            }
            object.fields.push(FieldShape {
                name: field.name.to_owned(),
                shape: self.value(types, field.value, field.merge, depth + 1),
                default: field.default.clone(),
            });
        }
        object.fields.sort_by(|a, b| a.name.cmp(&b.name));
        let shape = Arc::new(Shape::Object(object));
        self.built.insert(name, Arc::clone(&shape));
        shape
    }

    fn value(
        &mut self,
        types: &'static BTreeMap<&'static str, Type>,
        value: &'static str,
        merge: Option<&'static str>,
        depth: usize,
    ) -> Arc<Shape> {
        if let Some(items) = inside(value, '[', ']') {
            return Arc::new(Shape::List {
                items: self.value(types, items, None, depth),
                unique: match (merge_keys(merge), merge) {
                    (Some(keys), _) => Unique::Fields(keys),
                    (None, Some("set")) => Unique::Value,
                    (None, Some(_) | None) => Unique::No,
                },
            });
        }
        if let Some(values) = inside(value, '{', '}') {
            return Arc::new(Shape::Map(self.value(types, values, None, depth)));
        }
        Arc::new(match value {
            "string" => Shape::Text {
                words: Vec::new(),
                is_time: false,
            },
            "time" => Shape::Text {
                words: Vec::new(),
                is_time: true,
            },
            "boolean" => Shape::Boolean,
            "int32" => Shape::Integer(32),
            "int64" => Shape::Integer(64),
            "intOrString" => Shape::IntOrString,
            "quantity" => Shape::Quantity,
            "quantities" => Shape::Quantities,
            "any" => Shape::Any,
            name => return self.named(types, name, depth),
        })
    }
}

fn open_api_of(
    types: &'static BTreeMap<&'static str, Type>,
    name: &str,
    depth: usize,
) -> Option<Json> {
    let written = types.get(name).filter(|_| depth < MAX_DEPTH)?;
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in &written.fields {
        if field.is_required {
            required.push(Json::from(field.name));
        }
        let mut schema = open_api_value(types, field.value, depth + 1)?;
        if let Some(members) = schema.as_object_mut() {
            if let Some(default) = &field.default {
                members.insert("default".into(), default.clone());
            }
            if let Some(merge) = field.merge {
                if field.value.starts_with('{') {
                    members.insert("x-kubernetes-map-type".into(), merge.into());
                } else if let Some(keys) = merge_keys(Some(merge)) {
                    members.insert("x-kubernetes-list-map-keys".into(), keys.into());
                    members.insert("x-kubernetes-list-type".into(), "map".into());
                } else {
                    members.insert("x-kubernetes-list-type".into(), merge.into());
                }
            }
        }
        properties.insert(field.name.to_owned(), schema);
    }
    let mut schema = json!({"type": "object", "properties": properties});
    if let Some(members) = schema.as_object_mut() {
        if !required.is_empty() {
            members.insert("required".into(), required.into());
        }
        if written.is_atomic {
            members.insert("x-kubernetes-map-type".into(), "atomic".into());
        }
    }
    Some(schema)
}

fn open_api_value(
    types: &'static BTreeMap<&'static str, Type>,
    value: &'static str,
    depth: usize,
) -> Option<Json> {
    if let Some(items) = inside(value, '[', ']') {
        let items = open_api_value(types, items, depth)?;
        return Some(json!({"type": "array", "items": items}));
    }
    if let Some(values) = inside(value, '{', '}') {
        let values = open_api_value(types, values, depth)?;
        return Some(json!({"type": "object", "additionalProperties": values}));
    }
    Some(match value {
        "string" | "boolean" => json!({ "type": value }),
        "time" => json!({"type": "string", "format": "date-time"}),
        "int32" | "int64" => json!({"type": "integer", "format": value}),
        "intOrString" => int_or_string(),
        "quantity" => {
            let mut schema = int_or_string();
            if let Some(members) = schema.as_object_mut() {
                members.insert("pattern".into(), QUANTITY_PATTERN.into());
            }
            schema
        }
        "any" | "quantities" => json!({"x-kubernetes-preserve-unknown-fields": true}),
        name => return open_api_of(types, name, depth),
    })
}

/// As Kubernetes' generator writes it.
pub(super) fn int_or_string() -> Json {
    json!({
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "x-kubernetes-int-or-string": true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_is_used_is_written() {
        for (name, written) in types() {
            assert!(open_api(name).is_some(), "{name}");
            assert!(!written.fields.is_empty(), "{name}");
        }
    }
}
