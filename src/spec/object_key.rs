//! Names of objects whose kind has no type here.

use serde::{Deserialize, Serialize};

/// Names an object of a namespace. Versions of one group are the same object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ObjectKey {
    /// API group, "" for the core group.
    pub group: String,
    pub kind: String,
    pub name: String,
}

impl ObjectKey {
    /// `api_version` is `group/version`, or `version` for the core group.
    pub fn new(api_version: &str, kind: &str, name: &str) -> Self {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        Self {
            group: group.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
        }
    }
}

impl From<ObjectKey> for String {
    fn from(key: ObjectKey) -> Self {
        format!("{}/{}/{}", key.group, key.kind, key.name)
    }
}

impl TryFrom<String> for ObjectKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut parts = text.splitn(3, '/').map(str::to_owned);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(group), Some(kind), Some(name)) => Ok(Self { group, kind, name }),
            _ => Err(format!("expected group/kind/name, got {text:?}")),
        }
    }
}
