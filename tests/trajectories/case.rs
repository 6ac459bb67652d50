//! A record of the reference controller: the case that was played, and what was seen.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// A value from each time (seconds since the record's start) on.
pub type Sequence = Vec<(f64, Value)>;

/// One file of the folder.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    pub case: Case,
    /// What was done, when it was begun; the first is the applying of the case's objects.
    #[serde(deserialize_with = "timed_actions")]
    pub actions: Vec<(f64, Action)>,
    /// When each action had returned.
    pub actions_done: Vec<f64>,
    /// When observation ended.
    pub end: f64,
    pub observed: BTreeMap<String, Variable>,
    #[expect(dead_code, reason = "part of the format")]
    ok: bool,
    #[expect(dead_code, reason = "part of the format")]
    log: Vec<String>,
}

/// A case as it was written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    #[expect(dead_code, reason = "equals the file's name")]
    name: String,
    #[expect(dead_code, reason = "part of the format")]
    about: String,
    #[serde(default = "main_rollout")]
    pub rollout: String,
    /// YAML documents.
    pub objects: String,
    /// Scripted answers by name.
    #[serde(default)]
    pub metrics: BTreeMap<String, Vec<Value>>,
    #[serde(deserialize_with = "script")]
    pub actions: Vec<Action>,
    /// Part of `end` already.
    #[serde(default)]
    #[expect(dead_code, reason = "part of the format")]
    settle: Option<f64>,
}

/// A variable as it was seen in the first repetition.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// Whether all repetitions saw the same values.
    pub stable: bool,
    pub sequence: Sequence,
    #[serde(default)]
    #[expect(dead_code, reason = "part of the format")]
    spread: Option<f64>,
    #[serde(default)]
    #[expect(dead_code, reason = "part of the format")]
    variants: Vec<Vec<Value>>,
}

/// One entry of a script.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    Wait(Condition),
    Sleep { seconds: f64 },
    SetImage { image: String },
    Promote,
    PromoteFull,
    SkipCurrentStep,
    SkipAllSteps,
    Abort,
    Retry,
    Pause,
    Restart,
    Undo { revision: Option<i64> },
    TerminateAnalysis { name: Option<String> },
    TerminateExperiment { name: Option<String> },
    Patch { patch: Value },
    Apply { text: String },
    Delete { kind: String, name: String },
    DeletePods,
}

/// What a script waits for; all must hold.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    pub phase: Option<String>,
    pub step: Option<i64>,
    /// A part of the message.
    pub message: Option<String>,
    /// The present values of observed variables.
    #[serde(default)]
    pub var: BTreeMap<String, Value>,
}

impl Condition {
    /// Whether it looks at the rollout itself, so that its latest spec must have been observed.
    pub fn concerns_rollout(&self) -> bool {
        self.phase.is_some() || self.step.is_some() || self.message.is_some()
    }
}

impl Record {
    /// Reads one file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let record: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let scripted: Vec<&Action> = record
            .case
            .actions
            .iter()
            .filter(|action| !matches!(action, Action::Wait(_) | Action::Sleep { .. }))
            .collect();
        let done: Vec<&Action> = record.actions.iter().skip(1).map(|(_, it)| it).collect();
        // A script that was broken off by a wait in vain has fewer.
        if record.actions.len() != record.actions_done.len() || !scripted.starts_with(&done) {
            return Err("the recorded actions are not those of the script".into());
        }
        Ok(record)
    }
}

fn main_rollout() -> String {
    "demo".into()
}

fn script<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Action>, D::Error> {
    let entries = Vec::<Map<String, Value>>::deserialize(from)?;
    entries
        .into_iter()
        .map(|entry| action(entry).map_err(serde::de::Error::custom))
        .collect()
}

fn timed_actions<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Vec<(f64, Action)>, D::Error> {
    let entries = Vec::<(f64, Map<String, Value>)>::deserialize(from)?;
    entries
        .into_iter()
        .map(|(time, entry)| Ok((time, action(entry).map_err(serde::de::Error::custom)?)))
        .collect()
}

fn action(mut entry: Map<String, Value>) -> Result<Action, String> {
    let timeout = entry.remove("timeout");
    let mut entries = entry.into_iter();
    let (Some((verb, argument)), None) = (entries.next(), entries.next()) else {
        return Err("an action has one key".into());
    };
    if timeout.is_some() && verb != "wait" {
        return Err(format!("timeout beside {verb}"));
    }
    let text = || match &argument {
        Value::String(text) => Ok(text.clone()),
        other => Err(format!("{verb}: expected a text, got {other}")),
    };
    let optional_text = || match &argument {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        other => Err(format!("{verb}: expected a text or nothing, got {other}")),
    };
    Ok(match verb.as_str() {
        "wait" => Action::Wait(serde_json::from_value(argument).map_err(|e| e.to_string())?),
        "sleep" => Action::Sleep {
            seconds: argument.as_f64().ok_or("sleep: expected a number")?,
        },
        "setImage" => Action::SetImage { image: text()? },
        "promote" => Action::Promote,
        "promoteFull" => Action::PromoteFull,
        "skipCurrentStep" => Action::SkipCurrentStep,
        "skipAllSteps" => Action::SkipAllSteps,
        "abort" => Action::Abort,
        "retry" => Action::Retry,
        "pause" => Action::Pause,
        "restart" => Action::Restart,
        "undo" => Action::Undo {
            revision: argument.as_i64().filter(|revision| *revision != 0),
        },
        "terminateAnalysis" => Action::TerminateAnalysis {
            name: optional_text()?,
        },
        "terminateExperiment" => Action::TerminateExperiment {
            name: optional_text()?,
        },
        "patch" => Action::Patch { patch: argument },
        "apply" => Action::Apply { text: text()? },
        "delete" => {
            let text = text()?;
            let (kind, name) = text
                .split_once(' ')
                .ok_or("delete: expected kind and name")?;
            Action::Delete {
                kind: kind.into(),
                name: name.into(),
            }
        }
        "deletePods" => Action::DeletePods,
        other => return Err(format!("unknown action {other}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_actions_are_errors() {
        let entry = |text: &str| action(serde_json::from_str(text).unwrap());
        assert_eq!(entry(r#"{"abort": null}"#), Ok(Action::Abort));
        assert_eq!(
            entry(r#"{"delete": "analysistemplate t"}"#),
            Ok(Action::Delete {
                kind: "analysistemplate".into(),
                name: "t".into()
            })
        );
        assert!(entry(r#"{"dance": 1}"#).is_err());
        assert!(entry(r#"{"abort": null, "timeout": 3}"#).is_err());
        assert!(entry(r#"{"wait": {"phase": "Paused"}, "timeout": 3}"#).is_ok());
        assert!(entry(r#"{"wait": {"mood": "Paused"}}"#).is_err());
    }
}
