//! Parts of objects that are copied and hashed far more often than changed.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::string_map::StringMap;

/// A value that copies share until one of them changes, and that remembers its digest.
#[derive(Clone, Default)]
pub struct Shared<T>(Arc<Content<T>>);

#[derive(Default)]
struct Content<T> {
    value: T,
    digest: OnceLock<u32>,
}

impl<T: Clone> Clone for Content<T> {
    fn clone(&self) -> Self {
        Self::from(self.value.clone())
    }
}

impl<T> From<T> for Content<T> {
    fn from(value: T) -> Self {
        Self {
            value,
            digest: OnceLock::new(),
        }
    }
}

impl<T> Shared<T> {
    /// The digest that `compute` gives; it is asked once for all copies, so that every caller has
    /// to mean the same function.
    pub fn digest(&self, compute: impl FnOnce(&T) -> u32) -> u32 {
        *self.0.digest.get_or_init(|| compute(&self.0.value))
    }
}

impl<T: Clone> Shared<T> {
    /// The value for changing; what shares it stays as it is.
    pub fn make_mut(&mut self) -> &mut T {
        let content = Arc::make_mut(&mut self.0);
        content.digest = OnceLock::new();
        &mut content.value
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(Content::from(value)))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.value == other.0.value
    }
}

impl<T: Eq> Eq for Shared<T> {}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.value.fmt(f)
    }
}

impl<T: Serialize> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.value.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::from)
    }
}

impl<T: JsonSchema> JsonSchema for Shared<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// For `skip_serializing_if`.
pub(super) fn is_empty_list<T>(list: &Shared<Vec<T>>) -> bool {
    list.is_empty()
}

/// For `skip_serializing_if`.
pub(super) fn is_empty_map(map: &Shared<StringMap>) -> bool {
    map.is_empty()
}

#[cfg(test)]
mod tests {
    use super::Shared;

    #[test]
    fn a_change_leaves_copies_and_their_digest_alone() {
        let length = |text: &String| text.len() as u32;
        let one = Shared::from("abc".to_owned());
        let mut two = one.clone();
        assert_eq!(two.digest(length), 3);
        two.make_mut().push('d');
        assert_eq!((one.digest(length), two.digest(length)), (3, 4));
        assert_ne!(one, two);
    }
}
