use serde_json::Value;

use super::*;

/// What the reference gives for templates and steps, one a line.
const RECORDED: &str = include_str!("../../../fixtures/pod-template-hashes.jsonl");

#[test]
fn hashes_are_those_of_the_reference() {
    let mut wrong = Vec::new();
    for line in RECORDED.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let found = match (&row["template"], &row["steps"]) {
            (Value::Object(template), _) => {
                let collisions = row["collisions"].as_i64().map(|count| count as i32);
                pod_template_hash(&template.clone().into(), collisions)
            }
            (_, steps) => {
                let spec = serde_json::json!({"strategy": {"canary": {"steps": steps}}});
                let rollout: Rollout =
                    serde_json::from_value(serde_json::json!({"spec": spec})).unwrap();
                step_hash(&rollout)
            }
        };
        if row["hash"] != found {
            wrong.push(format!("{found}: {line}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
