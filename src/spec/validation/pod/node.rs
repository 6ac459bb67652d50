//! Reads a pod template's JSON together with the path of each part.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::spec::meta::LabelSelector;
use crate::spec::validation::field::{FieldError, Path};

/// A JSON object and where it stands. A member of another type than asked for counts as absent:
/// types are checked elsewhere.
pub(super) struct Node<'a> {
    object: &'a Map<String, Value>,
    own_path: Path,
}

impl<'a> Node<'a> {
    pub fn new(object: &'a Map<String, Value>, own_path: Path) -> Self {
        Node { object, own_path }
    }

    /// Path of the object itself.
    pub fn own_path(&self) -> &Path {
        &self.own_path
    }

    /// Path of a member.
    pub fn path(&self, name: &str) -> Path {
        self.own_path.child(name)
    }

    pub fn value(&self) -> &'a Map<String, Value> {
        self.object
    }

    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// A text, empty if absent.
    pub fn text(&self, name: &str) -> &'a str {
        self.get_text(name).unwrap_or_default()
    }

    pub fn get_text(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.as_str()
    }

    /// A text, or `default` if absent or empty.
    pub fn text_or(&self, name: &str, default: &'a str) -> &'a str {
        match self.text(name) {
            "" => default,
            text => text,
        }
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        self.get(name)?.as_i64()
    }

    /// Whether a member is `true`.
    pub fn is_true(&self, name: &str) -> bool {
        self.get_bool(name) == Some(true)
    }

    pub fn get_bool(&self, name: &str) -> Option<bool> {
        self.get(name)?.as_bool()
    }

    pub fn child(&self, name: &str) -> Option<Node<'a>> {
        let object = self.get(name)?.as_object()?;
        Some(Node::new(object, self.path(name)))
    }

    /// A member as Go reads it into a structure: one without fields if it is absent.
    pub fn child_or_empty(&self, name: &str) -> Node<'a> {
        self.child(name)
            .unwrap_or_else(|| Node::new(nothing(), self.path(name)))
    }

    /// The objects of a list, each at its index; null is one without fields, as Go reads it.
    pub fn items(&self, name: &str) -> Vec<Node<'a>> {
        let Some(items) = self.get(name).and_then(Value::as_array) else {
            return Vec::new();
        };
        let path = self.path(name);
        items
            .iter()
            .enumerate()
            .filter_map(|(i, item)| {
                let object = if item.is_null() {
                    nothing()
                } else {
                    item.as_object()?
                };
                Some(Node::new(object, path.index(i)))
            })
            .collect()
    }

    /// A pod's containers of all three kinds.
    pub fn containers(&self) -> impl Iterator<Item = Node<'a>> {
        ["initContainers", "containers", "ephemeralContainers"]
            .into_iter()
            .flat_map(|kind| self.items(kind))
    }

    /// The texts of a list; null is an empty one, as Go reads it.
    pub fn texts(&self, name: &str) -> Vec<&'a str> {
        let items = self
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let text = |item: &'a Value| match item {
            Value::Null => Some(""),
            item => item.as_str(),
        };
        items.filter_map(text).collect()
    }

    /// Members of an object, by name in order.
    pub fn members(&self, name: &str) -> Vec<(&'a str, &'a Value)> {
        let object = self
            .get(name)
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        let mut members: Vec<_> = object.map(|(key, value)| (key.as_str(), value)).collect();
        members.sort_by_key(|(key, _)| *key);
        members
    }

    pub fn selector(&self, name: &str) -> Option<LabelSelector> {
        let mut selector = self.get(name)?.clone();
        let requirements = selector.get_mut("matchExpressions");
        for requirement in requirements
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if requirement.is_null() {
                *requirement = Value::Object(Map::new());
            }
        }
        serde_json::from_value(selector).ok()
    }

    /// An error at an empty text member.
    pub fn require(&self, name: &str) -> Option<FieldError> {
        self.text(name)
            .is_empty()
            .then(|| self.path(name).required(""))
    }

    /// An error at a number below zero.
    pub fn non_negative(&self, name: &str) -> Option<FieldError> {
        let value = self.int(name).filter(|value| *value < 0)?;
        Some(
            self.path(name)
                .invalid(value, "must be greater than or equal to 0"),
        )
    }

    /// An error at a text that is set and none of `supported`.
    pub fn one_of(&self, name: &str, supported: &[&str]) -> Option<FieldError> {
        let text = self
            .get_text(name)
            .filter(|text| !supported.contains(text))?;
        Some(self.path(name).not_supported(text, supported))
    }

    /// An error at a text that `check` refuses; an empty one is left out.
    pub fn check_text(&self, name: &str, check: impl Fn(&str) -> Vec<String>) -> Vec<FieldError> {
        match self.text(name) {
            "" => Vec::new(),
            text => invalid_each(&self.path(name), text, check(text)),
        }
    }
}

fn nothing() -> &'static Map<String, Value> {
    static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    &NOTHING
}

/// One error a detail.
pub(super) fn invalid_each(
    path: &Path,
    text: &str,
    details: impl IntoIterator<Item = String>,
) -> Vec<FieldError> {
    details
        .into_iter()
        .map(|detail| path.invalid(text, detail))
        .collect()
}
