//! The anti-affinity term that keeps pods of a new revision away from the stable ones
//! (argo-rollouts `utils/replicaset/replicaset.go`).
//!
//! An affinity is the JSON of `spec.affinity` of a pod template.

use serde_json::{Map, Value, json};

use crate::engine::POD_TEMPLATE_HASH_LABEL;
use crate::engine::hash::pod_template_hash;
use crate::spec::rollout::{AntiAffinity, Rollout};

const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

/// The strategy's setting, if it asks for a term at all.
pub fn anti_affinity(rollout: &Rollout) -> Option<&AntiAffinity> {
    let strategy = &rollout.spec.strategy;
    let of_canary = strategy
        .canary
        .as_ref()
        .and_then(|canary| canary.anti_affinity.as_ref());
    let of_blue_green = strategy
        .blue_green
        .as_ref()
        .and_then(|blue_green| blue_green.anti_affinity.as_ref());
    of_canary.or(of_blue_green).filter(|setting| {
        setting
            .preferred_during_scheduling_ignored_during_execution
            .is_some()
            || setting
                .required_during_scheduling_ignored_during_execution
                .is_some()
    })
}

/// The affinity for a ReplicaSet of the present pod template: the template's own, and the injected
/// term while there is another stable revision.
pub fn affinity_with_injected_rule(rollout: &Rollout) -> Option<Value> {
    let affinity = rollout
        .spec
        .template
        .spec()
        .and_then(|spec| spec.get("affinity"))
        .filter(|affinity| !affinity.is_null())
        .cloned();
    let Some(setting) = anti_affinity(rollout) else {
        return affinity;
    };
    if rollout.status.stable_rs.is_empty() || rollout.status.stable_rs == current_hash(rollout) {
        return affinity;
    }
    let rule = json!({
        "labelSelector": {"matchExpressions": [{
            "key": POD_TEMPLATE_HASH_LABEL,
            "operator": "In",
            "values": [rollout.status.stable_rs],
        }]},
        "namespaces": [rollout.metadata.namespace],
        "topologyKey": "kubernetes.io/hostname",
    });
    let (list, term) = match &setting.preferred_during_scheduling_ignored_during_execution {
        Some(preferred) => (
            PREFERRED,
            json!({"weight": preferred.weight, "podAffinityTerm": rule}),
        ),
        None => (REQUIRED, rule),
    };
    let mut affinity = into_object(affinity);
    let mut pod_anti_affinity = into_object(affinity.shift_remove("podAntiAffinity"));
    let mut terms = match pod_anti_affinity.shift_remove(list) {
        Some(Value::Array(terms)) => terms,
        Some(_) | None => Vec::new(),
    };
    terms.push(term);
    pod_anti_affinity.insert(list.to_owned(), Value::Array(terms));
    affinity.insert(
        "podAntiAffinity".to_owned(),
        Value::Object(pod_anti_affinity),
    );
    Some(Value::Object(affinity))
}

/// The stable hash that the injected term names; none if no term was injected.
pub fn injected_hash<'a>(affinity: Option<&'a Value>, rollout: &Rollout) -> Option<&'a str> {
    let (list, index) = injected_position(affinity?, rollout)?;
    hash_of_term(affinity?.get("podAntiAffinity")?.get(list)?.get(index)?)
}

/// The affinity without the injected term; none if nothing is left.
pub fn affinity_without_injected_rule(
    affinity: Option<&Value>,
    rollout: &Rollout,
) -> Option<Value> {
    let affinity = affinity.filter(|affinity| !affinity.is_null())?;
    let Some((list, index)) = injected_position(affinity, rollout) else {
        return Some(affinity.clone());
    };
    let mut affinity = into_object(Some(affinity.clone()));
    let mut pod_anti_affinity = into_object(affinity.shift_remove("podAntiAffinity"));
    if let Some(terms) = pod_anti_affinity
        .get_mut(list)
        .and_then(Value::as_array_mut)
    {
        if index < terms.len() {
            terms.remove(index);
        }
        if terms.is_empty() {
            pod_anti_affinity.shift_remove(list);
        }
    }
    if !pod_anti_affinity.is_empty() {
        affinity.insert(
            "podAntiAffinity".to_owned(),
            Value::Object(pod_anti_affinity),
        );
    }
    (!affinity.is_empty()).then_some(Value::Object(affinity))
}

/// Whether the injected term names a revision that is no longer the stable one.
pub fn injected_rule_needs_update(affinity: Option<&Value>, rollout: &Rollout) -> bool {
    let stable = &rollout.status.stable_rs;
    injected_hash(affinity, rollout).is_some_and(|hash| hash != stable)
        && *stable != current_hash(rollout)
}

/// List and index of the injected term.
fn injected_position(affinity: &Value, rollout: &Rollout) -> Option<(&'static str, usize)> {
    let setting = anti_affinity(rollout)?;
    let list = match setting.preferred_during_scheduling_ignored_during_execution {
        Some(_) => PREFERRED,
        None => REQUIRED,
    };
    let terms = affinity.get("podAntiAffinity")?.get(list)?.as_array()?;
    let index = terms.iter().position(|term| requirement(term).is_some())?;
    Some((list, index))
}

/// The requirement on the template hash in a term of either list.
fn requirement(term: &Value) -> Option<&Value> {
    term.get("podAffinityTerm")
        .unwrap_or(term)
        .get("labelSelector")?
        .get("matchExpressions")?
        .as_array()?
        .iter()
        .find(|requirement| {
            requirement.get("key").and_then(Value::as_str) == Some(POD_TEMPLATE_HASH_LABEL)
        })
}

fn hash_of_term(term: &Value) -> Option<&str> {
    requirement(term)?.get("values")?.get(0)?.as_str()
}

fn current_hash(rollout: &Rollout) -> String {
    pod_template_hash(&rollout.spec.template, rollout.status.collision_count)
}

fn into_object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(object)) => object,
        Some(_) | None => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(setting: Value, affinity: Value, stable: &str) -> Rollout {
        serde_json::from_value(json!({
            "metadata": {"namespace": "ns"},
            "spec": {
                "strategy": {"canary": {"antiAffinity": setting}},
                "template": {"spec": {"affinity": affinity}},
            },
            "status": {"stableRS": stable},
        }))
        .unwrap()
    }

    #[test]
    fn a_term_is_injected_found_and_removed() {
        let own = json!({"podAntiAffinity": {REQUIRED: [{"topologyKey": "zone"}]}});
        for (setting, list) in [
            (json!({PREFERRED: {"weight": 7}}), PREFERRED),
            (json!({REQUIRED: {}}), REQUIRED),
        ] {
            for own in [json!(null), own.clone()] {
                let rollout = rollout(setting.clone(), own.clone(), "old");
                let injected = affinity_with_injected_rule(&rollout).unwrap();
                let terms = injected["podAntiAffinity"][list].as_array().unwrap();
                let term = terms.last().unwrap();
                assert_eq!(hash_of_term(term), Some("old"));
                assert_eq!(injected_hash(Some(&injected), &rollout), Some("old"));
                assert!(!injected_rule_needs_update(Some(&injected), &rollout));
                let restored = affinity_without_injected_rule(Some(&injected), &rollout);
                assert_eq!(restored.unwrap_or(Value::Null), own);
            }
        }
    }

    #[test]
    fn a_term_for_a_former_stable_revision_is_outdated() {
        let setting = json!({PREFERRED: {"weight": 7}});
        let before = rollout(setting.clone(), json!(null), "old");
        let injected = affinity_with_injected_rule(&before);
        assert_eq!(
            injected.as_ref().unwrap()["podAntiAffinity"][PREFERRED][0]["weight"],
            7
        );
        let mut after = rollout(setting, json!(null), "newer");
        assert!(injected_rule_needs_update(injected.as_ref(), &after));
        after.status.stable_rs = current_hash(&after);
        assert!(!injected_rule_needs_update(injected.as_ref(), &after));
        assert_eq!(affinity_with_injected_rule(&after), None);
    }

    #[test]
    fn nothing_is_injected_unasked() {
        let own = json!({"nodeAffinity": {}});
        for setting in [json!(null), json!({})] {
            let rollout = rollout(setting, own.clone(), "old");
            assert_eq!(affinity_with_injected_rule(&rollout), Some(own.clone()));
            assert_eq!(injected_hash(Some(&own), &rollout), None);
        }
        let first = rollout(json!({REQUIRED: {}}), json!(null), "");
        assert_eq!(affinity_with_injected_rule(&first), None);
    }
}
