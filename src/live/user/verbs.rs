//! Commands about a Rollout, AnalysisRun or Experiment: read, ask the engine, write.

use kube::api::{ListParams, Patch};
use serde_json::{Value, json};
use std::sync::Arc;

use super::cluster::Cluster;
use super::failure::Failure;
use crate::engine::objects::{self, Kind, Object};
use crate::engine::verbs::{self, Patch as VerbPatch, Reading, Target, Verb};
use crate::engine::{ObjectKey, Observed};
use crate::spec::meta::LabelSelector;
use crate::spec::rollout::Rollout;
use crate::time::Timestamp;

/// How often a write is tried that somebody else came before, as the plugin does.
const ATTEMPTS: usize = 5;

/// An object that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// `Rollout`, `Deployment`, ...
    pub kind: String,
    pub name: String,
}

/// Does `verb` to the Rollout `name`; gives what was written, in order.
///
/// # Errors
/// What the server or the engine refuses. Writes before a failed one stay.
pub async fn carry_out(
    cluster: &Cluster,
    name: &str,
    verb: &Verb,
    now: Timestamp,
) -> Result<Vec<Written>, Failure> {
    let mut attempt = 1;
    loop {
        match try_once(cluster, name, verb, now).await {
            Err(failure) if failure.is_conflict() && attempt < ATTEMPTS => attempt += 1,
            result => return result,
        }
    }
}

async fn try_once(
    cluster: &Cluster,
    name: &str,
    verb: &Verb,
    now: Timestamp,
) -> Result<Vec<Written>, Failure> {
    let read = read(cluster, name, verb.reading()).await?;
    let writes =
        verbs::writes(&read.rollout, verb, &read.observed, now).map_err(Failure::Refused)?;
    let mut written = Vec::new();
    for write in writes {
        let (kind, name, is_status) = match &write.target {
            Target::Rollout => (Kind::Rollout, name, false),
            Target::RolloutStatus => (Kind::Rollout, name, true),
            Target::Workload(key) => (objects::kind_of(key), key.name.as_str(), false),
            Target::AnalysisRun(name) => (Kind::AnalysisRun, name.as_str(), false),
            Target::Experiment(name) => (Kind::Experiment, name.as_str(), false),
        };
        let patch = match write.patch {
            VerbPatch::Merge(patch) => Patch::Merge(patch),
            VerbPatch::Template(template) => {
                let version = read.version_of(&write.target);
                replace_template(Value::Object(template.as_object().clone()), version)?
            }
        };
        cluster.patch(&kind, name, is_status, &patch).await?;
        written.push(Written {
            kind: kind.as_str().to_owned(),
            name: name.to_owned(),
        });
    }
    Ok(written)
}

/// Nobody else's change is undone where the version is known of what the template was made from.
fn replace_template(template: Value, version: Option<&str>) -> Result<Patch<Value>, Failure> {
    let mut operations =
        vec![json!({"op": "replace", "path": "/spec/template", "value": template})];
    if let Some(version) = version {
        let path = "/metadata/resourceVersion";
        operations.insert(0, json!({"op": "replace", "path": path, "value": version}));
    }
    let patch = serde_json::from_value(Value::Array(operations));
    patch
        .map(Patch::Json)
        .map_err(|error| Failure::Refused(error.to_string()))
}

/// What was read for a command.
#[derive(Default)]
struct Read {
    rollout: Arc<Rollout>,
    observed: Observed,
}

impl Read {
    fn version_of(&self, target: &Target) -> Option<&str> {
        match target {
            Target::Rollout | Target::RolloutStatus => {
                Some(self.rollout.metadata.resource_version.as_str())
            }
            Target::Workload(key) => self
                .observed
                .others
                .get(key)?
                .pointer("/metadata/resourceVersion")?
                .as_str(),
            Target::AnalysisRun(_) | Target::Experiment(_) => None,
        }
        .filter(|version| !version.is_empty())
    }
}

async fn read(cluster: &Cluster, name: &str, reading: Reading) -> Result<Read, Failure> {
    let mut read = Read::default();
    if reading == Reading::Nothing {
        return Ok(read);
    }
    read.rollout = rollout(cluster, name).await?;
    match reading {
        Reading::Nothing | Reading::Rollout => {}
        Reading::Workload => {
            if let Some(workload) = &read.rollout.spec.workload_ref {
                // The plugin takes any workloadRef for a Deployment.
                let key = ObjectKey::new("apps/v1", "Deployment", &workload.name);
                let object = cluster.get(&objects::kind_of(&key), &workload.name).await?;
                read.observed.others.insert(key, Arc::new(object));
            }
        }
        Reading::ReplicaSets => {
            let selector = read.rollout.spec.selector.clone().unwrap_or_default();
            let parameters = ListParams {
                label_selector: selector_text(&selector),
                ..ListParams::default()
            };
            let listed = cluster.list(&Kind::ReplicaSet, false, &parameters).await?;
            for object in listed {
                if let Object::ReplicaSet(set) = read_object(&Kind::ReplicaSet, object)? {
                    let name = set.metadata.name.clone();
                    read.observed.replica_sets.insert(name, set);
                }
            }
        }
    }
    Ok(read)
}

/// The Rollout of this name.
///
/// # Errors
/// What the server refuses, or what it gives that is no Rollout.
pub async fn rollout(cluster: &Cluster, name: &str) -> Result<Arc<Rollout>, Failure> {
    let object = cluster.get(&Kind::Rollout, name).await?;
    match read_object(&Kind::Rollout, object)? {
        Object::Rollout(rollout) => Ok(rollout),
        other => Err(Failure::Refused(format!(
            "{name:?} is a {}",
            other.reference("", "").kind.as_str()
        ))),
    }
}

/// An object as the engine has it.
///
/// # Errors
/// What is of another shape.
pub fn read_object(kind: &Kind, object: Value) -> Result<Object, Failure> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str);
    let name = name.unwrap_or_default().to_owned();
    Object::from_json_of(kind, object).map_err(|reason| Failure::Undecodable { name, reason })
}

/// As `kubectl --selector` has it; none where everything is selected. A requirement of an unknown
/// operator is left out, which gives more than wanted.
fn selector_text(selector: &LabelSelector) -> Option<String> {
    let labels = &selector.match_labels;
    let mut requirements: Vec<String> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    for requirement in &selector.match_expressions {
        let (key, values) = (&requirement.key, requirement.values.join(","));
        match requirement.operator.as_str() {
            "In" => requirements.push(format!("{key} in ({values})")),
            "NotIn" => requirements.push(format!("{key} notin ({values})")),
            "Exists" => requirements.push(key.clone()),
            "DoesNotExist" => requirements.push(format!("!{key}")),
            _ => {}
        }
    }
    (!requirements.is_empty()).then(|| requirements.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::decode::decode;

    #[test]
    fn selectors_are_written_as_the_api_reads_them() {
        let selector: LabelSelector = decode(json!({
            "matchLabels": {"app": "demo", "tier": "web"},
            "matchExpressions": [
                {"key": "a", "operator": "In", "values": ["1", "2"]},
                {"key": "b", "operator": "DoesNotExist"}
            ]
        }))
        .unwrap();
        assert_eq!(
            selector_text(&selector).as_deref(),
            Some("app=demo,tier=web,a in (1,2),!b")
        );
        assert_eq!(selector_text(&LabelSelector::default()), None);
    }
}
