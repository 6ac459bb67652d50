//! Errors of a field, worded as Kubernetes words them (`apimachinery` `util/validation/field`).

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::spec::go_text;

/// A field that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldError {
    /// Where, in the reference's notation: `spec.strategy.steps[0].setWeight`. Paths of strategy
    /// fields lack `canary` and `blueGreen`, as they do in the reference.
    pub path: String,
    pub kind: FieldErrorKind,
    /// Why; may be empty.
    pub detail: String,
}

/// What is wrong with a field. Values are as JSON.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldErrorKind {
    /// Absent or empty.
    Required,
    /// Malformed or out of range.
    Invalid {
        value: Value,
    },
    /// None of the allowed words.
    NotSupported {
        value: Value,
    },
    /// Has to be unique and is not.
    Duplicate {
        value: Value,
    },
    /// Not allowed here.
    Forbidden,
    TooLong,
    /// Names something that does not exist.
    NotFound {
        value: Value,
    },
    /// The reference reports some mistakes of users as its own.
    Internal,
}

impl FieldErrorKind {
    /// Kubernetes' machine-readable reason, such as `FieldValueRequired`.
    pub const fn reason(&self) -> &'static str {
        match self {
            FieldErrorKind::Required => "FieldValueRequired",
            FieldErrorKind::Invalid { .. } => "FieldValueInvalid",
            FieldErrorKind::NotSupported { .. } => "FieldValueNotSupported",
            FieldErrorKind::Duplicate { .. } => "FieldValueDuplicate",
            FieldErrorKind::Forbidden => "FieldValueForbidden",
            FieldErrorKind::TooLong => "FieldValueTooLong",
            FieldErrorKind::NotFound { .. } => "FieldValueNotFound",
            FieldErrorKind::Internal => "InternalError",
        }
    }

    /// The offending value, where the message shows it.
    pub const fn value(&self) -> Option<&Value> {
        match self {
            FieldErrorKind::Invalid { value }
            | FieldErrorKind::NotSupported { value }
            | FieldErrorKind::Duplicate { value }
            | FieldErrorKind::NotFound { value } => Some(value),
            FieldErrorKind::Required
            | FieldErrorKind::Forbidden
            | FieldErrorKind::TooLong
            | FieldErrorKind::Internal => None,
        }
    }
}

impl fmt::Display for FieldError {
    /// `path: Invalid value: "x": detail`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match &self.kind {
            FieldErrorKind::Required => "Required value",
            FieldErrorKind::Invalid { .. } => "Invalid value",
            FieldErrorKind::NotSupported { .. } => "Unsupported value",
            FieldErrorKind::Duplicate { .. } => "Duplicate value",
            FieldErrorKind::Forbidden => "Forbidden",
            FieldErrorKind::TooLong => "Too long",
            FieldErrorKind::NotFound { .. } => "Not found",
            FieldErrorKind::Internal => "Internal error",
        };
        write!(f, "{}: {words}", self.path)?;
        match self.kind.value() {
            None => {}
            Some(Value::String(text)) => write!(f, ": {}", go_text::quote(text))?,
            Some(value) => write!(f, ": {}", go_text::json(value))?,
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for FieldError {}

/// Path to a field.
#[derive(Debug, Clone)]
pub(crate) struct Path(Cow<'static, str>);

impl Path {
    pub const fn new(root: &'static str) -> Self {
        Path(Cow::Borrowed(root))
    }

    /// `name` may hold several parts joined by dots.
    pub fn child(&self, name: &str) -> Self {
        self.with(".", name, "")
    }

    pub fn index(&self, index: usize) -> Self {
        Path(format!("{}[{index}]", self.0).into())
    }

    pub fn key(&self, key: &str) -> Self {
        self.with("[", key, "]")
    }

    /// Paths are made far more often than shown, and formatting takes its time.
    fn with(&self, before: &str, step: &str, after: &str) -> Self {
        Path([&self.0, before, step, after].concat().into())
    }

    pub fn required(&self, detail: impl Into<String>) -> FieldError {
        self.error(FieldErrorKind::Required, detail)
    }

    pub fn forbidden(&self, detail: impl Into<String>) -> FieldError {
        self.error(FieldErrorKind::Forbidden, detail)
    }

    pub fn internal(&self, detail: impl Into<String>) -> FieldError {
        self.error(FieldErrorKind::Internal, detail)
    }

    pub fn invalid(&self, value: impl Serialize, detail: impl Into<String>) -> FieldError {
        let value = to_json(value);
        self.error(FieldErrorKind::Invalid { value }, detail)
    }

    pub fn duplicate(&self, value: impl Serialize) -> FieldError {
        let value = to_json(value);
        self.error(FieldErrorKind::Duplicate { value }, "")
    }

    /// `supported` in the order it is to be listed.
    pub fn not_supported(&self, value: impl Serialize, supported: &[&str]) -> FieldError {
        let value = to_json(value);
        let words: Vec<String> = supported.iter().map(|word| go_text::quote(word)).collect();
        let detail = if words.is_empty() {
            String::new()
        } else {
            format!("supported values: {}", words.join(", "))
        };
        self.error(FieldErrorKind::NotSupported { value }, detail)
    }

    /// `limit` in bytes.
    pub fn too_long(&self, limit: usize) -> FieldError {
        self.error(
            FieldErrorKind::TooLong,
            format!("may not be more than {limit} bytes"),
        )
    }

    pub fn not_found(&self, value: impl Serialize) -> FieldError {
        let value = to_json(value);
        self.error(FieldErrorKind::NotFound { value }, "")
    }

    fn error(&self, kind: FieldErrorKind, detail: impl Into<String>) -> FieldError {
        FieldError {
            path: self.0.to_string(),
            kind,
            detail: detail.into(),
        }
    }
}

/// Our types always serialize; should one not, the message shows `null`.
fn to_json(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}
