//! JSON as Go writes its typed objects: fields in the order of declaration, what is empty left out or
//! written as nothing, amounts in canonical form. The reference hashes such texts.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::spec::go_types::{Kind, fields};
use crate::spec::quantity::Quantity;

/// Deepest nesting that is written; no type of the API needs more.
const MAX_DEPTH: usize = 64;

/// The text that Go makes of an object of a type of `go_types.txt`.
pub(super) fn object(type_name: &str, value: &Map<String, Value>) -> String {
    let mut writer = Writer::default();
    writer.object(type_name, Some(value), 0);
    writer.text
}

/// The same of a list of such objects.
pub(super) fn list(type_name: &str, values: &[Value]) -> String {
    let texts: Vec<String> = values
        .iter()
        .filter_map(Value::as_object)
        .map(|value| object(type_name, value))
        .collect();
    format!("[{}]", texts.join(","))
}

/// Whether Go takes the value for empty. Values that are structures never are.
fn is_empty(kind: &Kind, value: Option<&Value>) -> bool {
    let Some(value) = value else {
        return !matches!(kind, Kind::Port | Kind::Quantity | Kind::Object(_));
    };
    match kind {
        Kind::Text => value.as_str() == Some(""),
        Kind::Flag => value.as_bool() == Some(false),
        Kind::Number | Kind::Number32 => value.as_f64() == Some(0.0),
        Kind::List(_) => value.as_array().is_some_and(Vec::is_empty),
        Kind::Map(_) => value.as_object().is_some_and(Map::is_empty),
        Kind::Port | Kind::Quantity | Kind::Time | Kind::Any => false,
        Kind::Pointer(_) | Kind::Object(_) => false,
    }
}

#[derive(Default)]
struct Writer {
    text: String,
}

impl Writer {
    fn object(&mut self, type_name: &str, value: Option<&Map<String, Value>>, depth: usize) {
        let mut separator = '{';
        for field in fields(type_name) {
            let value = value
                .and_then(|fields| fields.get(field.name))
                .filter(|value| !value.is_null());
            if field.is_optional && is_empty(&field.kind, value) {
                continue;
            }
            self.text.push(separator);
            separator = ',';
            self.string(field.name);
            self.text.push(':');
            self.value(&field.kind, value, depth + 1);
        }
        if separator == '{' {
            self.text.push('{');
        }
        self.text.push('}');
    }

    fn value(&mut self, kind: &Kind, value: Option<&Value>, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        match (kind, value) {
            (Kind::Pointer(target), Some(_)) => self.value(target, value, depth),
            (Kind::Object(name), _) => self.object(name, value.and_then(Value::as_object), depth),
            (Kind::List(item), Some(Value::Array(items))) => {
                self.text.push('[');
                for (index, value) in items.iter().enumerate() {
                    if index > 0 {
                        self.text.push(',');
                    }
                    self.value(item, Some(value).filter(|it| !it.is_null()), depth + 1);
                }
                self.text.push(']');
            }
            (Kind::Map(kind), Some(Value::Object(fields))) => {
                self.map(fields, |writer, value| {
                    writer.value(kind, Some(value).filter(|it| !it.is_null()), depth + 1);
                });
            }
            (Kind::Quantity, Some(value)) => match Quantity::from_json(value) {
                Some(quantity) => self.string(&quantity.to_string()),
                None => self.any(value),
            },
            (_, Some(value)) => self.any(value),
            (Kind::Text, None) => self.text.push_str("\"\""),
            (Kind::Flag, None) => self.text.push_str("false"),
            (Kind::Number | Kind::Number32 | Kind::Port, None) => self.text.push('0'),
            (Kind::Quantity, None) => self.text.push_str("\"0\""),
            (Kind::Time | Kind::Any | Kind::Pointer(_) | Kind::List(_) | Kind::Map(_), None) => {
                self.text.push_str("null")
            }
        }
    }

    fn any(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.string(text),
            Value::Number(number) => match number.as_f64() {
                // The API takes 1.0 for a whole number.
                Some(float) if number.is_f64() && float == float.trunc() => {
                    let _ = write!(self.text, "{float:.0}");
                }
                Some(_) | None => {
                    let _ = write!(self.text, "{number}");
                }
            },
            Value::Array(items) => {
                self.text.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.text.push(',');
                    }
                    self.any(item);
                }
                self.text.push(']');
            }
            Value::Object(fields) => self.map(fields, Self::any),
            Value::Null | Value::Bool(_) => {
                let _ = write!(self.text, "{value}");
            }
        }
    }

    /// A map, by its keys.
    fn map(&mut self, fields: &Map<String, Value>, mut each: impl FnMut(&mut Self, &Value)) {
        let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
        self.text.push('{');
        for (index, (key, value)) in sorted.into_iter().enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            self.string(key);
            self.text.push(':');
            each(self, value);
        }
        self.text.push('}');
    }

    /// Escaped as for a page of HTML, which is Go's habit.
    fn string(&mut self, text: &str) {
        self.text.push('"');
        for letter in text.chars() {
            match letter {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                '\u{8}' => self.text.push_str("\\b"),
                '\u{c}' => self.text.push_str("\\f"),
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                    let _ = write!(self.text, "\\u{:04x}", u32::from(letter));
                }
                other => self.text.push(other),
            }
        }
        self.text.push('"');
    }
}
