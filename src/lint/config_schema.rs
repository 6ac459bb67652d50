//! The schema of `rollproof.toml`, for editors: from the settings' types and what the rules declare.

use serde_json::{Map, Value as Json, json};

use super::rules::RULES;
use super::{Rule, Settings};

/// JSON schema (draft 2020-12) of a settings file.
pub fn json_schema() -> Json {
    let settings = schemars::schema_for!(Settings).to_value();
    let mut properties = settings["properties"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    // These are not written as fields of the file.
    for name in ["today", "levels"] {
        properties.remove(name);
    }
    let version = json!({
        "description": properties["target_version"]["description"],
        "type": "string",
        "pattern": "^v?[0-9]+\\.[0-9]+(\\.[0-9]+)?$",
        "default": "1.10",
    });
    properties.insert("target_version".to_owned(), version);
    let mut names: Vec<&Rule> = RULES.to_vec();
    names.sort_by_key(|rule| rule.name);
    let rules: Map<String, Json> = names
        .iter()
        .map(|rule| (rule.name.to_owned(), rule_schema(rule, &properties)))
        .collect();
    let levels: Map<String, Json> = names
        .iter()
        .map(|rule| (rule.name.to_owned(), level(rule.summary)))
        .collect();
    properties.insert(
        "fail_on".to_owned(),
        level("The least severity of a finding that makes the command fail; error by default"),
    );
    properties.insert(
        "rules".to_owned(),
        json!({
            "description": "Severities and settings by rule",
            "type": "object",
            "properties": rules,
            "additionalProperties": false,
        }),
    );
    properties.insert(
        "overrides".to_owned(),
        json!({
            "description": "Severities for some files; later ones count more",
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "files": {
                        "description": "Patterns of paths, such as legacy/**",
                        "type": "array",
                        "items": {"type": "string"},
                    },
                    "rules": {
                        "type": "object",
                        "properties": levels,
                        "additionalProperties": false,
                    },
                },
                "additionalProperties": false,
            },
        }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rollproof settings",
        "description": "The file rollproof.toml",
        "type": "object",
        "$defs": {"level": {"enum": ["off", "info", "warning", "error"]}},
        "properties": properties,
        "additionalProperties": false,
    })
}

fn level(description: &str) -> Json {
    json!({"description": description, "$ref": "#/$defs/level"})
}

/// A severity, or a table with it and the settings of the rule.
fn rule_schema(rule: &Rule, settings: &Map<String, Json>) -> Json {
    let mut fields = Map::new();
    fields.insert("severity".to_owned(), level("Severity of its findings"));
    for setting in rule.settings {
        let mut field = settings.get(setting.name).cloned().unwrap_or_default();
        if let Some(field) = field.as_object_mut() {
            field.insert("description".to_owned(), setting.about.into());
        }
        fields.insert(setting.name.to_owned(), field);
    }
    json!({
        "description": rule.summary,
        "anyOf": [
            {"$ref": "#/$defs/level"},
            {"type": "object", "properties": fields, "additionalProperties": false},
        ],
    })
}
