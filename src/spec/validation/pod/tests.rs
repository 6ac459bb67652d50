//! Pod templates with one value changed, and the fields of which the reference's own validation complains
//! (recorded from it, after an API server of version 1.36 had stored the rollout).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::validate_replica_set_template;
use crate::spec::kubernetes::PodTemplate;

const RECORDED: &str = include_str!("../../../../fixtures/pod-templates.jsonl");

/// A template that others change, or such a change.
#[derive(Deserialize)]
struct Line {
    base: String,
    template: Option<PodTemplate>,
    /// Keys and indices of the value.
    #[serde(default)]
    at: Vec<Value>,
    /// What it becomes; it is taken out if this is absent.
    #[serde(default, deserialize_with = "present")]
    value: Option<Value>,
    /// Of a change: what is wrong, none if nothing is; absent if the template cannot even be read.
    fields: Option<Vec<String>>,
}

/// Null is a value, too.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

fn changed(template: &PodTemplate, line: &Line) -> PodTemplate {
    let mut root = Value::Object(template.as_object().clone());
    let (last, before) = line.at.split_last().expect("a place");
    let mut place = &mut root;
    for step in before {
        place = match step {
            Value::String(key) => &mut place[key.as_str()],
            index => &mut place[index.as_u64().expect("an index") as usize],
        };
    }
    match (place, last) {
        (Value::Object(fields), Value::String(key)) => match &line.value {
            Some(value) => drop(fields.insert(key.clone(), value.clone())),
            None => drop(fields.remove(key)),
        },
        (Value::Array(items), index) => {
            let index = index.as_u64().expect("an index") as usize;
            match &line.value {
                Some(value) => items[index] = value.clone(),
                None => drop(items.remove(index)),
            }
        }
        (place, last) => panic!("{last} of {place}"),
    }
    serde_json::from_value(root).expect("a template")
}

#[test]
fn changed_templates_are_refused_as_by_the_reference() {
    let mut templates = BTreeMap::new();
    let (mut count, mut wrong) = (0, Vec::new());
    for text in RECORDED.lines() {
        let line: Line = serde_json::from_str(text).expect("a line");
        if let Some(template) = line.template {
            templates.insert(line.base, template);
            continue;
        }
        count += 1;
        let template = changed(&templates[&line.base], &line);
        let mut found: Vec<String> = (validate_replica_set_template(&template).into_iter())
            .map(|error| error.path)
            .collect();
        found.sort();
        found.dedup();
        let is_alike = match &line.fields {
            Some(fields) => &found == fields,
            None => !found.is_empty(),
        };
        if !is_alike {
            wrong.push(format!("{text}\n  ours: {found:?}"));
        }
    }
    assert!(count > 1000, "{count} changes");
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}
