//! Scenarios as files.

use std::fmt::Write as _;

use serde_json::Value;

use super::Scenario;

/// The scenario as a file that `simulate` takes: YAML, one line for each event.
pub fn write(scenario: &Scenario) -> String {
    let mut out = String::new();
    // Our own types always serialize.
    let Ok(Value::Object(fields)) = serde_json::to_value(scenario) else {
        return out;
    };
    for (key, value) in fields {
        let value = if key == "metrics" {
            value
        } else {
            pruned(value)
        };
        let _ = match value {
            Value::Null => Ok(()),
            Value::String(text) if text.is_empty() => Ok(()),
            Value::Array(items) if items.is_empty() => Ok(()),
            Value::Object(members) if members.is_empty() => Ok(()),
            Value::Array(items) => {
                let lines: Vec<String> = items.iter().map(|item| format!("  - {item}\n")).collect();
                write!(out, "{key}:\n{}", lines.concat())
            }
            Value::Object(members) => {
                let line = |(name, value): (&String, &Value)| {
                    format!("  {}: {value}\n", Value::from(name.as_str()))
                };
                let lines: Vec<String> = members.iter().map(line).collect();
                write!(out, "{key}:\n{}", lines.concat())
            }
            value @ (Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                writeln!(out, "{key}: {value}")
            }
        };
    }
    out
}

/// Without what is absent.
fn pruned(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| (key, pruned(value)))
            .filter(|(_, value)| match value {
                Value::Null => false,
                Value::String(text) => !text.is_empty(),
                Value::Array(items) => !items.is_empty(),
                Value::Object(members) => !members.is_empty(),
                Value::Bool(_) | Value::Number(_) => true,
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(pruned).collect(),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
    }
}
