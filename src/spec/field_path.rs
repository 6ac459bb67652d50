//! Reads values of a rollout by path, for arguments with `fieldRef`.

use serde_json::Value;

use super::go_text::quote;
use super::meta::ObjectMeta;
use super::rollout::Rollout;
use super::string_map::StringMap;
use super::validation::syntax;

/// The value a `fieldRef` names: metadata as the downward API reads it, anything else by walking
/// the rollout as JSON (argo-rollouts `utils/analysis/factory.go`).
///
/// # Errors
/// A path that names nothing, or no plain value; worded as in the reference.
pub fn value_at(rollout: &Rollout, path: &str) -> Result<String, String> {
    if path.starts_with("metadata") {
        metadata_value(&rollout.metadata, path)
    } else {
        walk(rollout, path)
    }
}

/// A metadata field by the downward API's paths (Kubernetes `pkg/fieldpath`).
///
/// # Errors
/// A path the downward API does not know.
pub fn metadata_value(meta: &ObjectMeta, path: &str) -> Result<String, String> {
    if let Some((map_path, key)) = subscript(path) {
        let (map, syntax_errors) = match map_path {
            "metadata.annotations" => (
                &meta.annotations,
                syntax::qualified_name(&key.to_lowercase()),
            ),
            "metadata.labels" => (&meta.labels, syntax::qualified_name(key)),
            _ => {
                return Err(format!(
                    "fieldPath {} does not support subscript",
                    quote(path)
                ));
            }
        };
        if !syntax_errors.is_empty() {
            return Err(format!(
                "invalid key subscript in {path}: {}",
                syntax_errors.join(";")
            ));
        }
        return Ok(map.get(key).cloned().unwrap_or_default());
    }
    match path {
        "metadata.annotations" => Ok(format_map(&meta.annotations)),
        "metadata.labels" => Ok(format_map(&meta.labels)),
        "metadata.name" => Ok(meta.name.clone()),
        "metadata.namespace" => Ok(meta.namespace.clone()),
        "metadata.uid" => Ok(meta.uid.clone()),
        _ => Err(format!("unsupported fieldPath: {path}")),
    }
}

/// `metadata.labels['key']` into map and key.
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (map, key) = path.strip_suffix("']")?.split_once("['")?;
    (!map.is_empty()).then_some((map, key))
}

fn format_map(map: &StringMap) -> String {
    let lines: Vec<String> = map
        .iter()
        .map(|(key, value)| format!("{key}={}", quote(value)))
        .collect();
    lines.join("\n")
}

fn walk(rollout: &Rollout, path: &str) -> Result<String, String> {
    let invalid = || format!("invalid path {path} in rollout");
    let tree = serde_json::to_value(rollout).map_err(|error| error.to_string())?;
    let mut current = &tree;
    for section in path
        .split(['.', '[', ']'])
        .filter(|section| !section.is_empty())
    {
        current = match current {
            Value::Array(items) => {
                let index: i64 = section
                    .parse()
                    .map_err(|_| format!("invalid index '{section}'"))?;
                usize::try_from(index)
                    .ok()
                    .and_then(|index| items.get(index))
                    .ok_or_else(|| format!("index {index} out of range"))?
            }
            Value::Object(members) => members.get(section).unwrap_or(&Value::Null),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(invalid());
            }
        };
    }
    match current {
        Value::Null => Err(invalid()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(number) => Ok(go_float(number)),
        Value::String(text) => Ok(text.clone()),
        Value::Array(_) | Value::Object(_) => Err(format!(
            "path {path} in rollout must terminate in a primitive value"
        )),
    }
}

/// Go's `%v` of the `float64` a JSON number becomes: exponents from 1e+21 on and below 1e-4.
fn go_float(number: &serde_json::Number) -> String {
    let value = number.as_f64().unwrap_or(f64::NAN);
    let magnitude = value.abs();
    if value == 0.0 || (1e-4..1e21).contains(&magnitude) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let (sign, digits) = match exponent.strip_prefix('-') {
                Some(digits) => ('-', digits),
                None => ('+', exponent),
            };
            format!("{mantissa}e{sign}{digits:0>2}")
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::decode::decode;

    #[test]
    fn paths_name_metadata_or_plain_values() {
        let rollout: Rollout = decode(serde_json::json!({
            "metadata": {"name": "r", "labels": {"b": "2", "a": "1"}},
            "spec": {"replicas": 3, "strategy": {"canary": {"steps": [{"setWeight": 20}]}}}
        }))
        .unwrap();
        assert_eq!(value_at(&rollout, "metadata.labels['a']"), Ok("1".into()));
        assert_eq!(
            value_at(&rollout, "metadata.labels"),
            Ok("a=\"1\"\nb=\"2\"".into())
        );
        assert_eq!(
            value_at(&rollout, "metadata.bogus"),
            Err("unsupported fieldPath: metadata.bogus".into())
        );
        assert_eq!(
            value_at(&rollout, "spec.strategy.canary.steps[0].setWeight"),
            Ok("20".into())
        );
        assert_eq!(
            value_at(&rollout, "spec.strategy.canary.steps[1].setWeight"),
            Err("index 1 out of range".into())
        );
        assert_eq!(
            value_at(&rollout, "spec.nope"),
            Err("invalid path spec.nope in rollout".into())
        );
        assert!(value_at(&rollout, "spec.strategy").is_err());
    }
}
