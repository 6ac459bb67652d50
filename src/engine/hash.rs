//! Hashes that name revisions.

use std::hash::Hasher;

use fnv::FnvHasher;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::spec::kubernetes::PodTemplate;
use crate::spec::rollout::Rollout;

/// Letters that cannot form words, as Kubernetes uses them in generated names.
const SAFE_LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Hash of a pod template: the value of the `rollouts-pod-template-hash` label.
///
/// It differs from the hash of the reference controller, which depends on Go's memory layout.
/// ReplicaSets that another controller made are found by equal templates, not by hash.
/// `collision_count` tells apart templates whose hashes are equal.
pub fn pod_template_hash(template: &PodTemplate, collision_count: Option<i32>) -> String {
    let digest = template.digest(|object| {
        let mut hasher = FnvHasher::default();
        feed_object(&mut hasher, object);
        hasher.finish()
    });
    let mut hasher = FnvHasher::with_key(digest);
    if let Some(count) = collision_count {
        hasher.write_i32(count);
    }
    safe_encode(hasher.finish())
}

/// Hash of a canary's steps; "" for any other strategy.
pub fn step_hash(rollout: &Rollout) -> String {
    let strategy = &rollout.spec.strategy;
    match &strategy.canary {
        Some(canary) if strategy.blue_green.is_none() => {
            safe_encode(canary.steps.digest(|steps| {
                let mut hasher = FnvHasher::default();
                feed_serializable(&mut hasher, steps);
                hasher.finish()
            }))
        }
        _ => String::new(),
    }
}

fn feed_serializable(hasher: &mut FnvHasher, value: &impl Serialize) {
    // Our own types always serialize; an error would only make the hash coarser.
    if let Ok(json) = serde_json::to_value(value) {
        feed(hasher, &json);
    }
}

/// Feeds a value in a form in which the order of keys does not matter.
fn feed(hasher: &mut FnvHasher, value: &Value) {
    match value {
        Value::Null => hasher.write_u8(0),
        Value::Bool(value) => hasher.write(&[1, u8::from(*value)]),
        Value::Number(number) => {
            hasher.write_u8(2);
            hasher.write(number.to_string().as_bytes());
        }
        Value::String(text) => {
            hasher.write_u8(3);
            hasher.write(text.as_bytes());
        }
        Value::Array(items) => {
            hasher.write_u8(4);
            hasher.write_usize(items.len());
            for item in items {
                feed(hasher, item);
            }
        }
        Value::Object(fields) => feed_object(hasher, fields),
    }
}

fn feed_object(hasher: &mut FnvHasher, fields: &Map<String, Value>) {
    hasher.write_u8(5);
    hasher.write_usize(fields.len());
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_by(|left, right| left.0.cmp(right.0));
    for (key, value) in fields {
        hasher.write(key.as_bytes());
        hasher.write_u8(0);
        feed(hasher, value);
    }
}

/// Ten letters are enough to tell revisions apart and short enough for names.
fn safe_encode(mut hash: u64) -> String {
    let base = SAFE_LETTERS.len() as u64;
    (0..10)
        .map(|_| {
            let letter = SAFE_LETTERS[(hash % base) as usize];
            hash /= base;
            char::from(letter)
        })
        .collect()
}
