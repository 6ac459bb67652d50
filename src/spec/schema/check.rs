//! An object against its shape, as the API server judges it with strict field validation.

use super::shape::{ObjectShape, Shape, Unique};
use crate::source::Span;
use crate::spec::quantity::is_quantity;
use crate::spec::yaml::{Entry, Map, Node, Step, Value, path};
use crate::time::Timestamp;

/// A value that does not fit.
#[derive(Clone, Debug, PartialEq)]
pub struct SchemaError {
    pub kind: SchemaErrorKind,
    /// Such as `spec.strategy.canary.steps[0].setWeight`.
    pub path: String,
    /// The value, or the key where that is wrong.
    pub span: Span,
    /// With the path.
    pub message: String,
}

/// How a value does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaErrorKind {
    /// There is no such field; the names of those that there are.
    UnknownField {
        known: Vec<String>,
    },
    MissingField,
    /// Of another type, or none of the allowed values.
    Value,
    /// An item of a list that has to be unique.
    Duplicate,
}

/// All errors of an object. A null counts as absent, as the API server removes it.
pub fn check(shape: &Shape, node: &Node) -> Vec<SchemaError> {
    let mut checker = Checker {
        path: Vec::new(),
        errors: Vec::new(),
    };
    checker.value(shape, node, None);
    checker.errors
}

struct Checker<'n> {
    path: Vec<PathStep<'n>>,
    errors: Vec<SchemaError>,
}

#[derive(Clone, Copy)]
enum PathStep<'n> {
    Key(&'n str),
    Index(usize),
}

impl<'n> Checker<'n> {
    /// Recursion is bounded by the depth of the tree, which the reader bounds.
    fn value(&mut self, shape: &Shape, node: &'n Node, key: Option<Span>) {
        match (shape, &node.value) {
            (Shape::Any, _)
            | (Shape::Boolean, Value::Bool(_))
            | (Shape::OpenMap | Shape::Quantities, Value::Null)
            | (Shape::OpenMap, Value::Map(_)) => {}
            (Shape::Object(object), Value::Map(map)) => self.object(object, map, node, key),
            (Shape::Map(values), Value::Map(map)) => {
                for entry in map.entries() {
                    self.entry(values, entry);
                }
            }
            (Shape::List { items, unique }, Value::Seq(nodes)) => {
                for (index, item) in nodes.iter().enumerate() {
                    self.path.push(PathStep::Index(index));
                    self.value(items, item, None);
                    self.path.pop();
                }
                self.uniqueness(items, unique, nodes);
            }
            (Shape::Text { words, is_time }, Value::String(text)) => {
                if !words.is_empty() && !words.contains(text) {
                    let message = format!(
                        "{text:?} is none of {}",
                        words
                            .iter()
                            .map(|word| format!("`{word}`"))
                            .collect::<Vec<_>>()
                            .join(", ")
                    );
                    self.error(SchemaErrorKind::Value, node.span, &message);
                }
                if *is_time && text.parse::<Timestamp>().is_err() {
                    let message = format!("{text:?} is no time such as `2026-01-31T12:00:00Z`");
                    self.error(SchemaErrorKind::Value, node.span, &message);
                }
            }
            (Shape::Integer(bits), Value::Int(_) | Value::UInt(_) | Value::Float(_)) => {
                match whole(node) {
                    None => self.wrong_type("an integer", node),
                    Some(number) if *bits == 32 && i32::try_from(number).is_err() => {
                        let message = format!("{number} does not fit into 32 bits");
                        self.error(SchemaErrorKind::Value, node.span, &message);
                    }
                    Some(_) => {}
                }
            }
            (Shape::Number, Value::Int(_) | Value::UInt(_) | Value::Float(_)) => {}
            (Shape::IntOrString, Value::String(_)) => {}
            (
                Shape::IntOrString | Shape::Quantity,
                Value::Int(_) | Value::UInt(_) | Value::Float(_),
            ) => {
                if whole(node).is_none() {
                    self.wrong_type("an integer or a string", node);
                }
            }
            (Shape::Quantity, Value::String(text)) => self.quantity(text, node),
            (Shape::Quantities, Value::Map(map)) => {
                for entry in map.entries() {
                    self.path.push(PathStep::Key(&entry.key));
                    match &entry.value.value {
                        Value::String(text) => self.quantity(text, &entry.value),
                        Value::Null | Value::Int(_) | Value::UInt(_) | Value::Float(_) => {}
                        Value::Bool(_) | Value::Seq(_) | Value::Map(_) => {
                            self.wrong_type("a quantity such as `500m` or `1Gi`", &entry.value);
                        }
                    }
                    self.path.pop();
                }
            }
            (
                Shape::Object(_)
                | Shape::OpenMap
                | Shape::Map(_)
                | Shape::List {
                    items: _,
                    unique: _,
                }
                | Shape::Text {
                    words: _,
                    is_time: _,
                }
                | Shape::Integer(_)
                | Shape::Number
                | Shape::Boolean
                | Shape::IntOrString
                | Shape::Quantity
                | Shape::Quantities,
                _,
            ) => self.wrong_type(type_name(shape), node),
        }
    }

    fn entry(&mut self, shape: &Shape, entry: &'n Entry) {
        if !entry.value.is_null() {
            self.path.push(PathStep::Key(&entry.key));
            self.value(shape, &entry.value, Some(entry.key_span));
            self.path.pop();
        }
    }

    fn object(&mut self, object: &ObjectShape, map: &'n Map, node: &Node, key: Option<Span>) {
        for entry in map.entries() {
            match object.field(&entry.key) {
                Some(field) => self.entry(&field.shape, entry),
                None => {
                    let known = object.fields.iter().map(|field| field.name.clone());
                    let known = known.collect();
                    self.path.push(PathStep::Key(&entry.key));
                    let kind = SchemaErrorKind::UnknownField { known };
                    self.error(kind, entry.key_span, "there is no such field");
                    self.path.pop();
                }
            }
        }
        for name in &object.required {
            let is_given = map.get(name).is_some_and(|entry| !entry.value.is_null());
            let has_default = || {
                object
                    .field(name)
                    .is_some_and(|field| field.default.is_some())
            };
            if !is_given && !has_default() {
                let place = key.unwrap_or(Span {
                    end: node.span.start,
                    ..node.span
                });
                let mut path = self.shown();
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
                self.errors.push(SchemaError {
                    kind: SchemaErrorKind::MissingField,
                    span: place,
                    message: format!("`{path}` is required"),
                    path,
                });
            }
        }
    }

    /// Compares items as the API server does, after defaults.
    fn uniqueness(&mut self, items: &Shape, unique: &Unique, nodes: &'n [Node]) {
        let identities: Vec<Vec<Option<String>>> = match unique {
            Unique::No => return,
            Unique::Value => nodes
                .iter()
                .map(|node| vec![Some(node.to_json().to_string())])
                .collect(),
            Unique::Fields(keys) => nodes
                .iter()
                .map(|node| {
                    keys.iter()
                        .map(|key| {
                            let given = node.get(key).filter(|value| !value.is_null());
                            match given {
                                Some(value) => Some(value.to_json().to_string()),
                                None => default_of(items, key),
                            }
                        })
                        .collect()
                })
                .collect(),
        };
        for (index, identity) in identities.iter().enumerate() {
            let is_known = identities.iter().take(index).any(|other| other == identity);
            if is_known && let Some(node) = nodes.get(index) {
                self.path.push(PathStep::Index(index));
                let what = match unique {
                    Unique::Fields(keys) => {
                        format!("a second item with this {}", keys.join(" and "))
                    }
                    Unique::No | Unique::Value => "a second item with this value".to_owned(),
                };
                self.error(SchemaErrorKind::Duplicate, node.span, &what);
                self.path.pop();
            }
        }
    }

    fn quantity(&mut self, text: &str, node: &Node) {
        if !is_quantity(text) {
            let message = format!("{text:?} is no quantity such as `500m` or `1Gi`");
            self.error(SchemaErrorKind::Value, node.span, &message);
        }
    }

    fn wrong_type(&mut self, wanted: &str, node: &Node) {
        let path = self.shown();
        let name = if path.is_empty() { "the object" } else { &path };
        let message = format!("`{name}` must be {wanted}, not {}", node.kind().name());
        self.errors.push(SchemaError {
            kind: SchemaErrorKind::Value,
            span: node.span,
            message,
            path,
        });
    }

    fn error(&mut self, kind: SchemaErrorKind, span: Span, reason: &str) {
        let path = self.shown();
        self.errors.push(SchemaError {
            kind,
            span,
            message: format!("`{path}`: {reason}"),
            path,
        });
    }

    fn shown(&self) -> String {
        let steps: Vec<Step> = self
            .path
            .iter()
            .map(|step| match step {
                PathStep::Key(key) => Step::Key((*key).to_owned()),
                PathStep::Index(index) => Step::Index(*index),
            })
            .collect();
        path::display(&steps)
    }
}

fn default_of(items: &Shape, key: &str) -> Option<String> {
    match items {
        Shape::Object(object) => object.field(key)?.default.as_ref().map(ToString::to_string),
        Shape::Any
        | Shape::OpenMap
        | Shape::Map(_)
        | Shape::List {
            items: _,
            unique: _,
        }
        | Shape::Text {
            words: _,
            is_time: _,
        }
        | Shape::Integer(_)
        | Shape::Number
        | Shape::Boolean
        | Shape::IntOrString
        | Shape::Quantity
        | Shape::Quantities => None,
    }
}

/// The integer that JSON makes of a number: `1e3` and `2.0` are integers.
fn whole(node: &Node) -> Option<i128> {
    match node.to_json() {
        serde_json::Value::Number(number) => number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from)),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::String(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_) => None,
    }
}

fn type_name(shape: &Shape) -> &'static str {
    match shape {
        Shape::Any => "anything",
        Shape::Object(_) | Shape::OpenMap | Shape::Map(_) | Shape::Quantities => "a map",
        Shape::List {
            items: _,
            unique: _,
        } => "a list",
        Shape::Text {
            words: _,
            is_time: _,
        } => "a string",
        Shape::Integer(_) => "an integer",
        Shape::Number => "a number",
        Shape::Boolean => "a boolean",
        Shape::IntOrString => "an integer or a string",
        Shape::Quantity => "a quantity such as `500m` or `1Gi`",
    }
}
