//! Parts that all Kubernetes objects share (`apimachinery` `meta/v1` and `util/intstr`).

use std::borrow::Cow;
use std::fmt;
use std::num::{IntErrorKind, ParseIntError};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::go_text::quote;
use super::shared::{Shared, is_empty_list, is_empty_map};
use super::string_map::StringMap;
use super::text_enum::text_enum;
use crate::time::{Duration, DurationError, Timestamp};

/// Label with the hash of the pod template, on ReplicaSets, pods and service selectors.
pub const POD_TEMPLATE_HASH_LABEL: &str = "rollouts-pod-template-hash";
/// Annotation on a Service or a router's object: the Rollout that manages it.
pub const MANAGED_BY_ANNOTATION: &str = "argo-rollouts.argoproj.io/managed-by-rollouts";

/// Name, labels and life of an object.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectMeta {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub generate_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource_version: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub generation: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_timestamp: Option<Timestamp>,
    #[serde(skip_serializing_if = "is_empty_map")]
    pub labels: Shared<StringMap>,
    #[serde(skip_serializing_if = "is_empty_map")]
    pub annotations: Shared<StringMap>,
    #[serde(skip_serializing_if = "is_empty_list")]
    pub owner_references: Shared<Vec<OwnerReference>>,
    /// Fields not named here (`finalizers`, `managedFields`, ...), kept for writing back.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl ObjectMeta {
    /// The owner with `controller: true`.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references
            .iter()
            .find(|owner| owner.controller == Some(true))
    }
}

/// An object that owns this one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OwnerReference {
    pub api_version: String,
    pub kind: String,
    pub name: String,
    pub uid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controller: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_owner_deletion: Option<bool>,
}

/// Selects objects by label; all requirements must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    #[serde(skip_serializing_if = "is_empty_map")]
    pub match_labels: Shared<StringMap>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<LabelSelectorRequirement>,
}

impl LabelSelector {
    /// Whether nothing is required, so that everything matches.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// Whether `labels` meet every requirement; `None` if an operator is unknown.
    pub fn matches(&self, labels: &StringMap) -> Option<bool> {
        let mut all = self
            .match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value));
        for requirement in &self.match_expressions {
            all &= requirement.matches(labels)?;
        }
        Some(all)
    }
}

/// A requirement on one label.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelectorRequirement {
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`; others are left to validation.
    pub operator: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

impl LabelSelectorRequirement {
    fn matches(&self, labels: &StringMap) -> Option<bool> {
        let value = labels.get(&self.key);
        match self.operator.as_str() {
            "In" => Some(value.is_some_and(|v| self.values.contains(v))),
            "NotIn" => Some(value.is_none_or(|v| !self.values.contains(v))),
            "Exists" => Some(value.is_some()),
            "DoesNotExist" => Some(value.is_none()),
            _ => None,
        }
    }
}

/// A number of 32 bits, or a string that may be a percentage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum IntOrString {
    Int(i32),
    String(String),
}

impl IntOrString {
    /// The number, or the string read as one: 0 if it is none, the nearest number if it is beyond
    /// 64 bits.
    pub fn int_value(&self) -> i64 {
        match self {
            IntOrString::Int(value) => i64::from(*value),
            IntOrString::String(text) => {
                text.parse()
                    .unwrap_or_else(|error: ParseIntError| match error.kind() {
                        IntErrorKind::PosOverflow => i64::MAX,
                        IntErrorKind::NegOverflow => i64::MIN,
                        _ => 0,
                    })
            }
        }
    }

    /// The number itself, or a percentage of `total`.
    ///
    /// Every string counts as a percentage, with or without `%`, which is how the reference
    /// scales `maxSurge` and `maxUnavailable` (`intstr.GetValueFromIntOrPercent`).
    ///
    /// # Errors
    /// A string that is no integer after removing `%`, or a result beyond 32 bits.
    pub fn scaled(&self, total: i32, round_up: bool) -> Result<i32, String> {
        let value = match self {
            IntOrString::Int(value) => return Ok(*value),
            IntOrString::String(text) => {
                let number = match text.strip_suffix('%') {
                    Some(number) if !number.contains('%') => Cow::Borrowed(number),
                    Some(_) | None => Cow::Owned(text.replace('%', "")),
                };
                let percent = parse_go_int(&number).map_err(|reason| {
                    let text = quote(text);
                    format!("invalid value for IntOrString: invalid value {text}: {reason}")
                })?;
                let share = percent as f64 * f64::from(total) / 100.0;
                // A float-to-integer cast saturates.
                (if round_up {
                    share.ceil()
                } else {
                    share.floor()
                }) as i64
            }
        };
        i32::try_from(value)
            .map_err(|_| format!("invalid value for IntOrString: {self} is out of range"))
    }
}

impl Default for IntOrString {
    fn default() -> Self {
        IntOrString::Int(0)
    }
}

impl fmt::Display for IntOrString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IntOrString::Int(value) => write!(f, "{value}"),
            IntOrString::String(text) => f.write_str(text),
        }
    }
}

impl From<i32> for IntOrString {
    fn from(value: i32) -> Self {
        IntOrString::Int(value)
    }
}

impl From<&str> for IntOrString {
    fn from(text: &str) -> Self {
        IntOrString::String(text.into())
    }
}

/// Go's `strconv.Atoi`: an optional sign and decimal digits.
///
/// # Errors
/// Go's error text.
pub(crate) fn parse_go_int(text: &str) -> Result<i64, String> {
    text.parse::<i64>().map_err(|error| {
        let reason = match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.Atoi: parsing {}: {reason}", quote(text))
    })
}

/// A Go duration as written; whether it is one shows only when it is used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DurationString(pub String);

impl DurationString {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The duration.
    ///
    /// # Errors
    /// Text that is no Go duration; the empty string is none.
    pub fn parse(&self) -> Result<Duration, DurationError> {
        Duration::parse_go(&self.0)
    }
}

impl fmt::Display for DurationString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for DurationString {
    fn from(text: &str) -> Self {
        DurationString(text.into())
    }
}

impl From<Duration> for DurationString {
    fn from(duration: Duration) -> Self {
        DurationString(duration.to_string())
    }
}

text_enum! {
    /// State of a condition.
    #[derive(Default)]
    pub enum ConditionStatus {
        True = "True",
        False = "False",
        #[default]
        Unknown = "Unknown",
    }
}

/// For fields that Go leaves out when they are zero.
pub(crate) fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// For fields that Go leaves out when they are false.
pub(crate) fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_scale_as_the_reference_scales_them() {
        let percent = |text: &str| IntOrString::from(text);
        assert_eq!(percent("25%").scaled(10, true), Ok(3));
        assert_eq!(percent("25%").scaled(10, false), Ok(2));
        assert_eq!(percent("25").scaled(10, true), Ok(3));
        assert_eq!(IntOrString::Int(7).scaled(10, true), Ok(7));
        assert_eq!(
            percent("x%").scaled(10, true),
            Err("invalid value for IntOrString: invalid value \"x%\": strconv.Atoi: parsing \"x\": invalid syntax".into())
        );
        assert_eq!(percent("-3").int_value(), -3);
        assert_eq!(percent("{{args.n}}").int_value(), 0);
    }

    #[test]
    fn selectors_match_labels() {
        let selector: LabelSelector = serde_json::from_value(serde_json::json!({
            "matchLabels": {"app": "a"},
            "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["db"]}]
        }))
        .unwrap();
        let labels = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_string(), (*v).to_string()))
                .collect()
        };
        assert_eq!(selector.matches(&labels(&[("app", "a")])), Some(true));
        assert_eq!(
            selector.matches(&labels(&[("app", "a"), ("tier", "db")])),
            Some(false)
        );
        assert_eq!(selector.matches(&labels(&[])), Some(false));
    }
}
