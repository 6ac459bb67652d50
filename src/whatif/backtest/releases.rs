//! The list of past releases, as YAML or CSV.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::source::Sources;
use crate::spec::yaml;

/// Releases of one list at most.
const RELEASES_MAX: usize = 10_000;

/// A release of the past.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PastRelease {
    /// Such as a version or a revision.
    #[serde(alias = "revision", deserialize_with = "text_or_number")]
    pub name: String,
    /// When its image was set: RFC 3339, seconds since 1970, or relative to the traces (`+5m`, `-5m`).
    #[serde(deserialize_with = "text_or_number")]
    pub start: String,
    /// Whether it was a good one, as is known today.
    #[serde(default)]
    pub label: Option<Label>,
    /// `rollouts-pod-template-hash` of its pods then.
    #[serde(default)]
    pub canary_hash: Option<String>,
    /// That of the stable version's pods.
    #[serde(default)]
    pub stable_hash: Option<String>,
    /// Other values of arguments of analyses.
    #[serde(default)]
    pub args: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Label {
    Good,
    Bad,
}

impl Label {
    pub const fn as_str(self) -> &'static str {
        match self {
            Label::Good => "good",
            Label::Bad => "bad",
        }
    }
}

fn text_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(serde::de::Error::custom("not a text or a number"))
        }
    }
}

/// Reads a list: YAML (a list, or one under `releases`), or CSV with a header where the file's name ends so.
/// In CSV the columns are the fields, and `args.NAME` for arguments; empty cells are not set.
///
/// # Errors
/// The file is not of this form; the message names the place.
pub fn read_releases(name: &str, bytes: &[u8]) -> Result<Vec<PastRelease>, String> {
    let listed = if name.to_ascii_lowercase().ends_with(".csv") {
        of_csv(bytes)
    } else {
        of_yaml(name, bytes)
    };
    let listed = listed.map_err(|error| format!("{name}: {error}"))?;
    if listed.is_empty() {
        return Err(format!("{name}: there is no release in it"));
    }
    if listed.len() > RELEASES_MAX {
        return Err(format!("{name}: more than {RELEASES_MAX} releases"));
    }
    listed
        .into_iter()
        .enumerate()
        .map(|(index, value)| {
            serde_json::from_value(value)
                .map_err(|error| format!("{name}: releases[{index}]: {error}"))
        })
        .collect()
}

fn of_yaml(name: &str, bytes: &[u8]) -> Result<Vec<Value>, String> {
    let mut sources = Sources::new();
    let (_, stream) = yaml::read_bytes(&mut sources, name, bytes);
    if let Some(problem) = stream.problems.iter().find(|problem| problem.is_error()) {
        return Err(problem.message.clone());
    }
    let document = stream.documents.into_iter().next();
    let value = document.map_or(Value::Null, |document| document.root.to_json());
    let list = match value {
        Value::Object(mut fields) if fields.len() == 1 => fields.remove("releases"),
        other => Some(other),
    };
    match list {
        Some(Value::Array(items)) => Ok(items),
        Some(_) | None => Err(
            "it is no list of releases: write `releases:` and a list of `name` and `start`".into(),
        ),
    }
}

fn of_csv(bytes: &[u8]) -> Result<Vec<Value>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let mut listed = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let mut release = json!({});
        for (column, cell) in header.iter().zip(&record) {
            if cell.is_empty() {
                continue;
            }
            match column.strip_prefix("args.") {
                Some(argument) => release["args"][argument] = json!(cell),
                None => release[column] = json!(cell),
            }
        }
        listed.push(release);
        if listed.len() > RELEASES_MAX {
            break;
        }
    }
    Ok(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_yaml_or_csv() {
        let yaml = "releases:\n  - {revision: 7, start: 2026-01-31T12:00:00Z, label: bad, canaryHash: abc}\n  - name: '8'\n    start: 1769860800\n    args: {service: x}\n";
        let csv = "revision, start, label, canaryHash, args.service\n7, 2026-01-31T12:00:00Z, bad, abc,\n8, 1769860800,,, x\n";
        let of_yaml = read_releases("r.yaml", yaml.as_bytes()).expect("a list");
        assert_eq!(Ok(of_yaml.clone()), read_releases("r.csv", csv.as_bytes()));
        assert_eq!(of_yaml[0].label, Some(Label::Bad));
        assert_eq!(
            of_yaml[1].args.get("service").map(String::as_str),
            Some("x")
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (text, wanted) in [
            ("releases: []", "there is no release"),
            ("a: 1", "no list of releases"),
            ("- {name: a}", "releases[0]: missing field `start`"),
            ("- {name: a, start: 1, label: fine}", "releases[0]"),
            ("- {name: a, start: 1, hash: b}", "unknown field `hash`"),
        ] {
            let error = read_releases("r.yaml", text.as_bytes()).expect_err(text);
            assert!(error.contains(wanted), "{error}");
        }
    }
}
