//! A schema as a tree that is fast to walk.

use std::sync::Arc;

use serde_json::Value as Json;

/// What a value has to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Anything.
    Any,
    Object(ObjectShape),
    /// A map that is not looked into.
    OpenMap,
    /// Any keys, values of one shape.
    Map(Arc<Shape>),
    List {
        items: Arc<Shape>,
        unique: Unique,
    },
    Text {
        /// The allowed words; empty for any text.
        words: Vec<String>,
        is_time: bool,
    },
    /// Bits of a signed integer, 32 or 64.
    Integer(u8),
    Number,
    Boolean,
    IntOrString,
    /// An integer, or a text such as `500m` or `1Gi`.
    Quantity,
    /// A map of quantities that nothing checks before the object is decoded.
    Quantities,
}

/// Fields and which of them have to be there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObjectShape {
    /// Sorted by name.
    pub fields: Vec<FieldShape>,
    pub required: Vec<String>,
}

/// A field of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldShape {
    pub name: String,
    pub shape: Arc<Shape>,
    /// What the API server fills in.
    pub default: Option<Json>,
}

/// What the items of a list may not have in common.
#[derive(Clone, Debug, PartialEq)]
pub enum Unique {
    /// Nothing is asked.
    No,
    /// Their value.
    Value,
    /// These fields together.
    Fields(Vec<String>),
}

impl ObjectShape {
    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&FieldShape> {
        self.fields
            .binary_search_by(|field| field.name.as_str().cmp(name))
            .ok()
            .and_then(|index| self.fields.get(index))
    }
}
