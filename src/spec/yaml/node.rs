//! The tree that YAML becomes: JSON's values with a span on every key and value.

use super::path::{self, Place, Step, StepRef};
use crate::source::Span;

/// A value and where it is written. What comes through an alias keeps the span of its definition,
/// except its outermost value, which has the span of the alias.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub span: Span,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    /// Only above `i64::MAX`.
    UInt(u64),
    /// Always finite.
    Float(f64),
    String(String),
    Seq(Vec<Node>),
    Map(Map),
}

/// The kind of a [`Value`], for messages and matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Null,
    Bool,
    Int,
    UInt,
    Float,
    String,
    Seq,
    Map,
}

impl Kind {
    /// How people call it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Bool => "a boolean",
            Kind::Int | Kind::UInt => "an integer",
            Kind::Float => "a number",
            Kind::String => "a string",
            Kind::Seq => "a list",
            Kind::Map => "a map",
        }
    }
}

/// A mapping in the order of writing; keys are unique.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map {
    pub(super) entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    pub key_span: Span,
    pub value: Node,
}

impl Map {
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The entry whose key is equal but for ASCII case, unless one is equal.
    pub fn get_case_insensitive(&self, key: &str) -> Option<&Entry> {
        self.get(key).or_else(|| {
            self.entries
                .iter()
                .find(|entry| entry.key.eq_ignore_ascii_case(key))
        })
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Node {
    pub fn kind(&self) -> Kind {
        match &self.value {
            Value::Null => Kind::Null,
            Value::Bool(_) => Kind::Bool,
            Value::Int(_) => Kind::Int,
            Value::UInt(_) => Kind::UInt,
            Value::Float(_) => Kind::Float,
            Value::String(_) => Kind::String,
            Value::Seq(_) => Kind::Seq,
            Value::Map(_) => Kind::Map,
        }
    }

    pub fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::UInt(_)
            | Value::Float(_)
            | Value::Seq(_)
            | Value::Map(_) => None,
        }
    }

    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::UInt(_)
            | Value::Float(_)
            | Value::String(_)
            | Value::Seq(_) => None,
        }
    }

    pub fn as_seq(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Seq(items) => Some(items),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::UInt(_)
            | Value::Float(_)
            | Value::String(_)
            | Value::Map(_) => None,
        }
    }

    /// The entry of a map; `None` also where this is no map.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.as_map()?.get(key)
    }

    /// The value of an entry of a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Takes the value of an entry out of a map.
    pub fn into_entry(self, key: &str) -> Option<Node> {
        match self.value {
            Value::Map(map) => map
                .entries
                .into_iter()
                .find(|entry| entry.key == key)
                .map(|entry| entry.value),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::UInt(_)
            | Value::Float(_)
            | Value::String(_)
            | Value::Seq(_) => None,
        }
    }

    /// The items of a list.
    pub fn into_items(self) -> Option<Vec<Node>> {
        match self.value {
            Value::Seq(items) => Some(items),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::UInt(_)
            | Value::Float(_)
            | Value::String(_)
            | Value::Map(_) => None,
        }
    }

    /// The value at a path such as `spec.strategy.canary.steps[0].setWeight`; see [`super::path`].
    pub fn at(&self, path: &str) -> Option<&Node> {
        let mut node = self;
        for step in path::steps(path) {
            node = node.step(step)?.1;
        }
        Some(node)
    }

    /// Where a path is written, or the nearest parent that is there.
    pub fn span_of(&self, path: &str) -> Place {
        self.place_of(path::steps(path))
    }

    /// [`Node::span_of`] for a path in steps.
    pub fn place(&self, steps: &[Step]) -> Place {
        self.place_of(steps.iter().map(StepRef::from))
    }

    fn place_of<'p>(&self, mut steps: impl Iterator<Item = StepRef<'p>>) -> Place {
        let mut place = Place {
            key: None,
            value: self.span,
            missing: 0,
        };
        let mut node = self;
        while let Some(step) = steps.next() {
            let Some((key, next)) = node.step(step) else {
                place.missing = 1 + steps.count();
                break;
            };
            place.key = key;
            place.value = next.span;
            node = next;
        }
        place
    }

    fn step(&self, step: StepRef<'_>) -> Option<(Option<Span>, &Node)> {
        match (&self.value, step) {
            (Value::Map(map), StepRef::Key(key)) => {
                let entry = map.get_case_insensitive(key)?;
                Some((Some(entry.key_span), &entry.value))
            }
            // `data[0]` may name a key that looks like a number.
            (Value::Map(map), StepRef::Index(index)) => {
                let entry = map.get(&index.to_string())?;
                Some((Some(entry.key_span), &entry.value))
            }
            (Value::Seq(items), StepRef::Index(index)) => items.get(index).map(|node| (None, node)),
            (
                Value::Seq(_)
                | Value::Null
                | Value::Bool(_)
                | Value::Int(_)
                | Value::UInt(_)
                | Value::Float(_)
                | Value::String(_),
                StepRef::Key(_) | StepRef::Index(_),
            ) => None,
        }
    }

    /// Visits all texts that are values, in order. Depth is bounded by that of the reader.
    pub fn each_text<'n>(&'n self, visit: &mut dyn FnMut(&'n str)) {
        match &self.value {
            Value::String(text) => visit(text),
            Value::Seq(items) => items.iter().for_each(|item| item.each_text(visit)),
            Value::Map(map) => map
                .entries
                .iter()
                .for_each(|entry| entry.value.each_text(visit)),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::UInt(_) | Value::Float(_) => {}
        }
    }

    /// The JSON that Kubernetes sees. A float without a fraction is an integer there (`1e3` is 1000).
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Int(value) => (*value).into(),
            Value::UInt(value) => (*value).into(),
            Value::Float(value) => match Number::of(*value) {
                Number::Int(value) => value.into(),
                Number::UInt(value) => value.into(),
                Number::Float(value) => value.into(),
            },
            Value::String(text) => text.as_str().into(),
            Value::Seq(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(map) => {
                let mut object = serde_json::Map::with_capacity(map.len());
                for entry in &map.entries {
                    object.insert(entry.key.clone(), entry.value.to_json());
                }
                serde_json::Value::Object(object)
            }
        }
    }
}

/// What JSON makes of a float.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Int(i64),
    /// Only above `i64::MAX`.
    UInt(u64),
    Float(f64),
}

impl Number {
    /// Go writes a float under 1e21 without exponent, so that its reader takes a whole one as an integer.
    pub fn of(value: f64) -> Self {
        if value.fract() == 0.0 && value.abs() < 1e21 {
            // The shortest digits, padded with zeros, as Go writes them; not the exact value.
            let digits = value.to_string();
            if let Ok(whole) = digits.parse() {
                return Number::Int(whole);
            }
            if let Ok(whole) = digits.parse() {
                return Number::UInt(whole);
            }
        }
        Number::Float(value)
    }
}
