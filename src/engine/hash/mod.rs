//! Hashes that name revisions: those of the reference controller, so that what it made is found by
//! name, and what is made here by it.

mod go_json;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::spec::kubernetes::PodTemplate;
use crate::spec::rollout::Rollout;

/// Letters that cannot form words, as Kubernetes uses them in generated names.
const SAFE_LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Hash of a pod template: the value of the `rollouts-pod-template-hash` label.
///
/// `collision_count` tells apart templates whose hashes are equal. Source: `ComputePodTemplateHash` of
/// the reference; `fixtures/pod-template-hashes.jsonl` holds what it gives.
pub fn pod_template_hash(template: &PodTemplate, collision_count: Option<i32>) -> String {
    let digest = template.digest(|object| {
        Fnv32::default()
            .fed(go_json::object("PodTemplateSpec", object).as_bytes())
            .0
    });
    let mut hasher = Fnv32(digest);
    if let Some(count) = collision_count {
        let [a, b, c, d] = count.to_le_bytes();
        hasher = hasher.fed(&[a, b, c, d, 0, 0, 0, 0]);
    }
    hasher.safe_text()
}

/// Hash of a canary's steps; "" for any other strategy. Source: `ComputeStepHash` of the reference.
pub fn step_hash(rollout: &Rollout) -> String {
    let strategy = &rollout.spec.strategy;
    match &strategy.canary {
        Some(canary) if strategy.blue_green.is_none() => {
            let digest = canary.steps.digest(|steps| {
                // Our own types always serialize; an error would only make the hash coarser.
                let text = match serde_json::to_value(steps) {
                    Ok(Value::Array(steps)) if !steps.is_empty() => {
                        go_json::list("CanaryStep", &steps)
                    }
                    Ok(_) | Err(_) => "null".to_owned(),
                };
                Fnv32::default().fed(text.as_bytes()).0
            });
            Fnv32(digest).safe_text()
        }
        _ => String::new(),
    }
}

/// The FNV-1a hash of 32 bits (Fowler, Noll and Vo), which the crate `fnv` does not have.
struct Fnv32(u32);

impl Default for Fnv32 {
    fn default() -> Self {
        Self(0x811c_9dc5)
    }
}

impl Fnv32 {
    fn fed(self, bytes: &[u8]) -> Self {
        let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        Self(bytes.iter().fold(self.0, step))
    }

    /// Its decimal digits, each as a safe letter.
    fn safe_text(&self) -> String {
        let letter = |digit: u8| SAFE_LETTERS[usize::from(digit) % SAFE_LETTERS.len()];
        let mut text = self.0.to_string().into_bytes();
        text.iter_mut().for_each(|digit| *digit = letter(*digit));
        // Of letters only.
        String::from_utf8(text).unwrap_or_default()
    }
}
