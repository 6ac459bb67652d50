//! The schemas of our own types: derived from them, then brought into the form that Kubernetes
//! asks of definitions (a tree without references, one type a node).

use std::collections::BTreeSet;
use std::sync::Arc;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value as Json};

use super::notation;
use super::shape::{FieldShape, ObjectShape, Shape, Unique};
use crate::spec::analysis::{AnalysisRun, AnalysisTemplate};
use crate::spec::experiment::Experiment;
use crate::spec::kubernetes::PodTemplate;
use crate::spec::meta::{DurationString, IntOrString, LabelSelector, ObjectMeta};
use crate::spec::rollout::Rollout;
use crate::time::Timestamp;

/// Names a shape of `kubernetes.schema` in a derived schema.
const SHAPE_KEY: &str = "x-rollproof-shape";

/// On a field: may be left out although it is always written, as Go writes structs.
const OPTIONAL_KEY: &str = "x-optional";
/// On a field: may not be left out although it is only written where it is set.
const REQUIRED_KEY: &str = "x-required";

/// What the definitions call a map that is not looked into.
const OPEN_KEY: &str = "x-kubernetes-preserve-unknown-fields";

/// The shape of objects of a kind of Argo Rollouts.
pub(super) fn shape(kind: &str) -> Option<Shape> {
    let mut object = match to_shape(&derived(kind)?) {
        Shape::Object(object) => object,
        _ => return None,
    };
    // The API server knows metadata better than the definitions say.
    let metadata = notation::shared_shape("ObjectMeta")?;
    for field in &mut object.fields {
        if field.name == "metadata" {
            field.shape = Arc::clone(&metadata);
        }
    }
    Some(Shape::Object(object))
}

/// The OpenAPI schema of a kind of Argo Rollouts, with the descriptions of our types.
pub(super) fn open_api(kind: &str) -> Option<Json> {
    let mut schema = derived(kind)?;
    resolve_shapes(&mut schema);
    Some(schema)
}

fn derived(kind: &str) -> Option<Json> {
    let generator = || {
        let mut settings = SchemaSettings::openapi3();
        settings.inline_subschemas = true;
        // What is always written is required.
        settings = settings.for_serialize();
        settings.meta_schema = None;
        settings.into_generator()
    };
    let schema = match kind {
        "Rollout" => generator().into_root_schema_for::<Rollout>(),
        "AnalysisTemplate" | "ClusterAnalysisTemplate" => {
            generator().into_root_schema_for::<AnalysisTemplate>()
        }
        "AnalysisRun" => generator().into_root_schema_for::<AnalysisRun>(),
        "Experiment" => generator().into_root_schema_for::<Experiment>(),
        _ => return None,
    };
    let mut schema = Json::from(schema);
    structural(&mut schema);
    Some(schema)
}

/// Removes what definitions may not have. Depth is that of our types.
fn structural(schema: &mut Json) {
    if *schema == Json::Bool(true) {
        *schema = serde_json::json!({"type": "object", OPEN_KEY: true});
        return;
    }
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    // Defaults of fields that are absent say nothing; those of the API are given by name.
    members.remove("default");
    if let Some(default) = members.remove("x-default") {
        members.insert("default".into(), default);
    }
    // A struct within an `Option` or with a description of its own.
    for key in ["allOf", "oneOf", "anyOf"] {
        if members.contains_key("x-kubernetes-int-or-string") {
            break;
        }
        if let Some(Json::Array(parts)) = members.remove(key) {
            for part in parts {
                if let Json::Object(part) = part {
                    for (key, value) in part {
                        members.entry(key).or_insert(value);
                    }
                }
            }
        }
    }
    for key in ["title", "nullable", "minimum", "$schema", "components"] {
        members.remove(key);
    }
    if let Some(Json::Array(words)) = members.get_mut("enum") {
        words.retain(|word| !word.is_null());
        if words.is_empty() {
            members.remove("enum");
        }
    }
    // A value of any kind.
    let says_nothing = !members.contains_key("type")
        && !members.contains_key(SHAPE_KEY)
        && !members.contains_key("x-kubernetes-int-or-string");
    if says_nothing {
        members.insert("type".into(), "object".into());
        members.insert(OPEN_KEY.into(), true.into());
    }
    if members.get("additionalProperties").is_some_and(is_anything) {
        members.remove("additionalProperties");
        members.insert(OPEN_KEY.into(), true.into());
    }
    if let Some(values) = members.get_mut("additionalProperties") {
        structural(values);
    }
    if let Some(items) = members.get_mut("items") {
        structural(items);
    }
    let mut required: BTreeSet<String> = strings(members.get("required")).collect();
    if let Some(Json::Object(properties)) = members.get_mut("properties") {
        for (name, field) in properties.iter_mut() {
            structural(field);
            let Some(field) = field.as_object_mut() else {
                continue;
            };
            if field.remove(OPTIONAL_KEY).is_some() {
                required.remove(name);
            }
            if field.remove(REQUIRED_KEY).is_some() {
                required.insert(name.clone());
            }
        }
    }
    members.remove("required");
    if !required.is_empty() {
        members.insert("required".into(), required.into_iter().collect());
    }
}

fn strings(list: Option<&Json>) -> impl Iterator<Item = String> + '_ {
    let items = list.and_then(Json::as_array).into_iter().flatten();
    items.filter_map(|item| item.as_str().map(str::to_owned))
}

fn is_anything(schema: &Json) -> bool {
    *schema == Json::Bool(true) || schema.as_object().is_some_and(Map::is_empty)
}

/// Puts the schemas of Kubernetes' shapes where they are named.
fn resolve_shapes(schema: &mut Json) {
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    if let Some(Json::String(name)) = members.remove(SHAPE_KEY)
        && let Some(Json::Object(shape)) = notation::open_api(&name)
    {
        for (key, value) in shape {
            members.entry(key).or_insert(value);
        }
        return;
    }
    for key in ["items", "additionalProperties"] {
        if let Some(below) = members.get_mut(key) {
            resolve_shapes(below);
        }
    }
    if let Some(Json::Object(properties)) = members.get_mut("properties") {
        properties.values_mut().for_each(resolve_shapes);
    }
}

fn to_shape(schema: &Json) -> Shape {
    let text = |key: &str| schema.get(key).and_then(Json::as_str);
    if let Some(shape) = text(SHAPE_KEY).and_then(notation::shape) {
        return shape;
    }
    if schema.get("x-kubernetes-int-or-string").is_some() {
        return Shape::IntOrString;
    }
    match text("type") {
        Some("string") => Shape::Text {
            words: strings(schema.get("enum")).collect(),
            is_time: text("format") == Some("date-time"),
        },
        Some("boolean") => Shape::Boolean,
        Some("integer") => Shape::Integer(if text("format") == Some("int32") {
            32
        } else {
            64
        }),
        Some("number") => Shape::Number,
        Some("array") => Shape::List {
            items: Arc::new(schema.get("items").map_or(Shape::Any, to_shape)),
            unique: Unique::No,
        },
        Some("object") if schema.get(OPEN_KEY).is_some() => Shape::OpenMap,
        Some("object") => match schema.get("additionalProperties") {
            Some(values) => Shape::Map(Arc::new(to_shape(values))),
            None => Shape::Object(to_object(schema)),
        },
        Some(_) | None => Shape::Any,
    }
}

fn to_object(schema: &Json) -> ObjectShape {
    let properties = schema.get("properties").and_then(Json::as_object);
    let mut fields: Vec<FieldShape> = properties
        .into_iter()
        .flatten()
        .map(|(name, schema)| FieldShape {
            name: name.clone(),
            shape: Arc::new(to_shape(schema)),
            default: schema.get("default").cloned(),
        })
        .collect();
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    ObjectShape {
        fields,
        required: strings(schema.get("required")).collect(),
    }
}

/// A schema that is one of Kubernetes' shapes.
pub(crate) fn kubernetes_shape(name: &str) -> Schema {
    let mut schema = json_schema!({});
    schema.insert(SHAPE_KEY.to_owned(), name.into());
    schema
}

/// The `spec` of a Job.
pub(crate) fn job_spec(_: &mut SchemaGenerator) -> Schema {
    kubernetes_shape("JobSpec")
}

/// Labels and annotations.
pub(crate) fn pod_metadata(_: &mut SchemaGenerator) -> Schema {
    kubernetes_shape("PodMetadata")
}

macro_rules! schema_of {
    ($type:ident, $schema:expr) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

schema_of!(PodTemplate, kubernetes_shape("PodTemplateSpec"));
schema_of!(LabelSelector, kubernetes_shape("LabelSelector"));
schema_of!(ObjectMeta, json_schema!({"type": "object"}));
schema_of!(DurationString, json_schema!({"type": "string"}));
schema_of!(
    Timestamp,
    json_schema!({"type": "string", "format": "date-time"})
);
schema_of!(
    IntOrString,
    json_schema!({
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "x-kubernetes-int-or-string": true,
    })
);
