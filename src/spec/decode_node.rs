//! From a YAML tree to a typed object, without JSON in between.

use std::fmt;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::decode::MAX_DEPTH;
use super::yaml::{Entry, Node, Number, Value};

/// Decodes a tree as [`super::decode::decode`] decodes its JSON. `None` where a value does not fit
/// its type, or the tree is too deep: decoding the JSON says why.
pub fn decode_node<T: DeserializeOwned>(node: &Node) -> Option<T> {
    if is_deeper(node, MAX_DEPTH) {
        return None;
    }
    T::deserialize(Reader(node)).ok()
}

/// Whether values nest more than so many levels below this one.
fn is_deeper(node: &Node, levels: usize) -> bool {
    let is_deep = |child: &Node| {
        levels
            .checked_sub(1)
            .is_none_or(|levels| is_deeper(child, levels))
    };
    match &node.value {
        Value::Seq(items) => items.iter().any(is_deep),
        Value::Map(map) => map.entries().iter().any(|entry| is_deep(&entry.value)),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::UInt(_)
        | Value::Float(_)
        | Value::String(_) => false,
    }
}

/// That a value does not fit. Untagged types try and fail: words would be made for nothing.
#[derive(Debug)]
struct Misfit;

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value does not fit its type")
    }
}

impl std::error::Error for Misfit {}

impl serde::de::Error for Misfit {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Misfit
    }
}

#[derive(Clone, Copy)]
struct Reader<'de>(&'de Node);

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => visit_int(*value, visitor),
            Value::UInt(value) => visitor.visit_u64(*value),
            Value::Float(value) => match Number::of(*value) {
                Number::Int(value) => visit_int(value, visitor),
                Number::UInt(value) => visitor.visit_u64(value),
                Number::Float(value) => visitor.visit_f64(value),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Seq(items) => {
                let mut items = Items(items.iter());
                let value = visitor.visit_seq(&mut items)?;
                let is_done = items.0.next().is_none();
                is_done.then_some(value).ok_or(Misfit)
            }
            Value::Map(map) => {
                let mut members = Members {
                    rest: map.entries().iter(),
                    value: None,
                };
                let value = visitor.visit_map(&mut members)?;
                let is_done = members.next_given().is_none();
                is_done.then_some(value).ok_or(Misfit)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        if self.0.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    /// Words only: no type of manifests has variants with content that serde tells apart by name.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_enum(Word(self.0.as_str().ok_or(Misfit)?))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier
    }
}

/// As JSON gives integers: without a sign where they have none.
fn visit_int<'de, V: Visitor<'de>>(value: i64, visitor: V) -> Result<V::Value, Misfit> {
    match u64::try_from(value) {
        Ok(value) => visitor.visit_u64(value),
        Err(_) => visitor.visit_i64(value),
    }
}

struct Items<'de>(std::slice::Iter<'de, Node>);

impl<'de> SeqAccess<'de> for &mut Items<'de> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Misfit> {
        let item = self.0.next();
        item.map(|node| seed.deserialize(Reader(node))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Members<'de> {
    rest: std::slice::Iter<'de, Entry>,
    /// The value of the key that was given last.
    value: Option<&'de Node>,
}

impl<'de> Members<'de> {
    /// A null counts as absent, as in Go's decoder.
    fn next_given(&mut self) -> Option<&'de Entry> {
        self.rest.find(|entry| !entry.value.is_null())
    }
}

impl<'de> MapAccess<'de> for &mut Members<'de> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Misfit> {
        let Some(entry) = self.next_given() else {
            return Ok(None);
        };
        self.value = Some(&entry.value);
        let key = BorrowedStrDeserializer::new(&entry.key);
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let value = self.value.take().ok_or(Misfit)?;
        seed.deserialize(Reader(value))
    }
}

/// The name of a variant without content.
struct Word<'de>(&'de str);

impl<'de> EnumAccess<'de> for Word<'de> {
    type Error = Misfit;
    type Variant = Bare;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Bare), Misfit> {
        let name = BorrowedStrDeserializer::new(self.0);
        seed.deserialize(name).map(|variant| (variant, Bare))
    }
}

struct Bare;

impl<'de> VariantAccess<'de> for Bare {
    type Error = Misfit;

    fn unit_variant(self) -> Result<(), Misfit> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Misfit> {
        Err(Misfit)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Misfit> {
        Err(Misfit)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Misfit> {
        Err(Misfit)
    }
}
