//! Values of the language. They keep the Go type that a value has in the reference: error texts
//! name it, and equality, indexing and membership depend on it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::moment::{Moment, Zone};
use super::types::{ArrayKind, Function, MapKind, StructKind};
use crate::time::Duration;

/// A value. Cloning is cheap: everything large is shared.
#[derive(Clone, Debug)]
pub enum Value {
    /// `nil`; also what a nil pointer from a provider becomes.
    Nil,
    Bool(bool),
    /// Go `int`.
    Int(i64),
    /// Go `int64`, the type of `asInt()` and of `duration.Nanoseconds()`.
    Int64(i64),
    /// Go `uint8`, an element of bytes and of strings.
    Byte(u8),
    /// Go `float64`.
    Float(f64),
    String(Text),
    Array(Array),
    Map(Map),
    Struct(Struct),
    /// A non-nil pointer.
    Pointer(Arc<Value>),
    /// Go `types.StatusCode`, a string type of its own.
    StatusCode(Text),
    Time(Moment),
    Duration(Duration),
    /// 1 is January.
    Month(u8),
    /// 0 is Sunday.
    Weekday(u8),
    /// Go `*time.Location`.
    Location(Zone),
    Function(Function),
}

impl Value {
    /// Go `[]interface {}`: a decoded JSON list.
    pub fn array(items: Vec<Value>) -> Self {
        Self::Array(Array::new(ArrayKind::Any, items))
    }

    /// Go `[]float64`: a vector of a metric provider.
    pub fn floats(items: impl IntoIterator<Item = f64>) -> Self {
        let items = items.into_iter().map(Self::Float).collect();
        Self::Array(Array::new(ArrayKind::Float, items))
    }

    /// Go `map[string]interface {}`: a decoded JSON object.
    pub fn map(entries: impl IntoIterator<Item = (String, Value)>) -> Self {
        let entries = entries
            .into_iter()
            .map(|(key, value)| (Key::String(Text::from(key)), value))
            .collect();
        Self::Map(Map::new(MapKind::StringAny, entries))
    }

    /// What Go decodes a JSON document to: numbers are floats.
    pub fn from_json(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Nil,
            serde_json::Value::Bool(b) => Self::Bool(*b),
            serde_json::Value::Number(n) => Self::Float(n.as_f64().unwrap_or(f64::NAN)),
            serde_json::Value::String(s) => Self::from(s.as_str()),
            serde_json::Value::Array(items) => {
                Self::array(items.iter().map(Self::from_json).collect())
            }
            serde_json::Value::Object(entries) => Self::map(
                entries
                    .iter()
                    .map(|(key, value)| (key.clone(), Self::from_json(value))),
            ),
        }
    }

    /// The Go type, as error texts name it; `<nil>` for nil.
    pub fn type_name(&self) -> String {
        super::ops::type_name(self)
    }

    /// The value behind pointers.
    pub(crate) fn deref(self) -> Self {
        let mut value = self;
        while let Self::Pointer(inner) = value {
            value = Arc::unwrap_or_clone(inner);
        }
        value
    }

    /// How many containers are inside of each other.
    pub(crate) fn depth(&self) -> u16 {
        match self {
            Self::Array(array) => array.depth,
            Self::Map(map) => map.depth,
            Self::Struct(value) => value.depth,
            Self::Pointer(inner) => inner.depth().saturating_add(1),
            Self::Nil
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Int64(_)
            | Self::Byte(_)
            | Self::Float(_)
            | Self::String(_)
            | Self::StatusCode(_)
            | Self::Time(_)
            | Self::Duration(_)
            | Self::Month(_)
            | Self::Weekday(_)
            | Self::Location(_)
            | Self::Function(_) => 0,
        }
    }

    /// Nil, or a container that Go never allocated.
    pub(crate) fn is_nil(&self) -> bool {
        match self {
            Self::Nil => true,
            Self::Array(array) => array.nil,
            _ => false,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(Text::from(value))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(Text::from(value))
    }
}

/// A string: bytes that are usually, but not always, UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Arc<[u8]>);

impl Text {
    /// The bytes of the string.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The string, every byte that is not UTF-8 replaced, as Go does it.
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        if let Ok(text) = std::str::from_utf8(&self.0) {
            return Cow::Borrowed(text);
        }
        let mut text = String::with_capacity(self.0.len());
        for chunk in self.0.utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
        }
        Cow::Owned(text)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Arc::from(text.as_bytes()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Arc::from(text.into_bytes()))
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::from(bytes))
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Self(Arc::from(bytes))
    }
}

/// A Go slice or array.
#[derive(Clone, Debug)]
pub struct Array {
    kind: ArrayKind,
    items: Arc<Vec<Value>>,
    depth: u16,
    nil: bool,
}

impl Array {
    /// An array whose elements have the type that `kind` says.
    pub fn new(kind: ArrayKind, items: Vec<Value>) -> Self {
        let depth = items.iter().map(Value::depth).max().unwrap_or(0);
        Self {
            kind,
            items: Arc::new(items),
            depth: depth.saturating_add(1),
            nil: false,
        }
    }

    /// A slice that was never allocated: empty, and equal to nil.
    pub(crate) fn nil(kind: ArrayKind) -> Self {
        Self {
            nil: true,
            ..Self::new(kind, Vec::new())
        }
    }

    /// The Go type.
    pub fn kind(&self) -> ArrayKind {
        self.kind
    }

    /// The elements.
    pub fn items(&self) -> &[Value] {
        &self.items
    }

    pub(crate) fn shared(&self) -> Arc<Vec<Value>> {
        Arc::clone(&self.items)
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.items, &other.items)
    }
}

/// A Go map, in the order of its keys.
#[derive(Clone, Debug)]
pub struct Map {
    kind: MapKind,
    entries: Arc<BTreeMap<Key, Value>>,
    depth: u16,
}

impl Map {
    /// A map whose keys and elements have the types that `kind` says.
    pub fn new(kind: MapKind, entries: BTreeMap<Key, Value>) -> Self {
        let depth = entries.values().map(Value::depth).max().unwrap_or(0);
        Self {
            kind,
            entries: Arc::new(entries),
            depth: depth.saturating_add(1),
        }
    }

    /// The Go type.
    pub fn kind(&self) -> MapKind {
        self.kind
    }

    /// The entries.
    pub fn entries(&self) -> &BTreeMap<Key, Value> {
        &self.entries
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.entries, &other.entries)
    }
}

/// A key of a map. Keys of different types are different keys: 1 is not 1.0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Nil,
    Bool(bool),
    Int(i64),
    Int64(i64),
    Byte(u8),
    /// Neither NaN nor a negative zero.
    Float(OrderedFloat),
    /// NaN is never equal to itself: every one is a key of its own, told apart by a number.
    NotANumber(usize),
    String(Text),
    StatusCode(Text),
    Time(Moment),
    Duration(Duration),
    Month(u8),
    Weekday(u8),
    Location(Zone),
    Pair(Box<[Key; 2]>),
}

impl Key {
    /// The key that `value` is, `None` for what Go cannot hash. `fresh` numbers a NaN.
    pub(crate) fn of(value: &Value, fresh: usize) -> Option<Self> {
        Some(match value {
            Value::Nil => Self::Nil,
            Value::Bool(b) => Self::Bool(*b),
            Value::Int(i) => Self::Int(*i),
            Value::Int64(i) => Self::Int64(*i),
            Value::Byte(b) => Self::Byte(*b),
            Value::Float(f) if f.is_nan() => Self::NotANumber(fresh),
            Value::Float(f) => Self::Float(OrderedFloat(*f + 0.0)),
            Value::String(text) => Self::String(text.clone()),
            Value::StatusCode(text) => Self::StatusCode(text.clone()),
            Value::Time(time) => Self::Time(time.clone()),
            Value::Duration(d) => Self::Duration(*d),
            Value::Month(m) => Self::Month(*m),
            Value::Weekday(d) => Self::Weekday(*d),
            Value::Location(zone) => Self::Location(zone.clone()),
            Value::Array(array) if array.kind == ArrayKind::Pair => match array.items() {
                [a, b] => Self::Pair(Box::new([Self::of(a, fresh)?, Self::of(b, fresh)?])),
                _ => return None,
            },
            Value::Array(_)
            | Value::Map(_)
            | Value::Struct(_)
            | Value::Pointer(_)
            | Value::Function(_) => return None,
        })
    }

    /// The value that the key was made from.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Nil => Value::Nil,
            Self::Bool(b) => Value::Bool(*b),
            Self::Int(i) => Value::Int(*i),
            Self::Int64(i) => Value::Int64(*i),
            Self::Byte(b) => Value::Byte(*b),
            Self::Float(f) => Value::Float(f.0),
            Self::NotANumber(_) => Value::Float(f64::NAN),
            Self::String(text) => Value::String(text.clone()),
            Self::StatusCode(text) => Value::StatusCode(text.clone()),
            Self::Time(time) => Value::Time(time.clone()),
            Self::Duration(d) => Value::Duration(*d),
            Self::Month(m) => Value::Month(*m),
            Self::Weekday(d) => Value::Weekday(*d),
            Self::Location(zone) => Value::Location(zone.clone()),
            Self::Pair(pair) => Value::Array(Array::new(
                ArrayKind::Pair,
                pair.iter().map(Self::to_value).collect(),
            )),
        }
    }
}

/// A float with a total order, to sort keys by.
#[derive(Clone, Copy, Debug)]
pub struct OrderedFloat(pub f64);

impl PartialEq for OrderedFloat {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for OrderedFloat {}

impl PartialOrd for OrderedFloat {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OrderedFloat {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// A Go struct.
#[derive(Clone, Debug)]
pub struct Struct {
    kind: StructKind,
    fields: Arc<Vec<Value>>,
    depth: u16,
}

impl Struct {
    /// A struct with its fields in the order of [`StructKind::fields`].
    pub fn new(kind: StructKind, fields: Vec<Value>) -> Self {
        let depth = fields.iter().map(Value::depth).max().unwrap_or(0);
        Self {
            kind,
            fields: Arc::new(fields),
            depth: depth.saturating_add(1),
        }
    }

    /// The Go type.
    pub fn kind(&self) -> StructKind {
        self.kind
    }

    /// The fields, in the order of [`StructKind::fields`].
    pub fn fields(&self) -> &[Value] {
        &self.fields
    }

    pub(crate) fn field(&self, name: &str) -> Option<&Value> {
        let at = self
            .kind
            .fields()
            .iter()
            .position(|(field, _)| *field == name)?;
        self.fields.get(at)
    }
}
