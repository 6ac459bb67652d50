//! What the commands of the kubectl plugin write (argo-rollouts `pkg/kubectl-argo-rollouts/cmd`).

use serde_json::{Map, Value, json};

use crate::spec::analysis::{AnalysisPhase, Argument};
use crate::spec::decode::decode;
use crate::spec::kubernetes::PodTemplate;
use crate::spec::rollout::Rollout;
use crate::spec::templates::merge_arguments;
use crate::time::Timestamp;

use super::observed::{Observed, ReplicaSet};
use super::{INSTANCE_ID_LABEL, ObjectKey, POD_TEMPLATE_HASH_LABEL};

/// A command about a Rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Of the container with this name, or of all where none is given.
    SetImage {
        container: Option<String>,
        image: String,
    },
    Promote,
    PromoteFull,
    SkipCurrentStep,
    SkipAllSteps,
    Abort,
    Retry,
    Pause,
    /// Back to this revision, or to the previous one.
    Undo {
        revision: Option<i64>,
    },
    /// Pods created before this instant are replaced; none: the present one.
    Restart {
        at: Option<Timestamp>,
    },
    /// The named AnalysisRun, or the first that the Rollout shows as current.
    TerminateAnalysis {
        name: Option<String>,
    },
    /// The named Experiment, or the current one.
    TerminateExperiment {
        name: Option<String>,
    },
    /// The named Experiment, or the current one, starts again.
    RetryExperiment {
        name: Option<String>,
    },
    /// Sets `spec.replicas`.
    Scale {
        replicas: i32,
    },
}

/// What [`writes`] looks at, besides the command itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Not even the Rollout.
    Nothing,
    Rollout,
    /// The Rollout, and its workload where it refers to one.
    Workload,
    /// The Rollout and its ReplicaSets.
    ReplicaSets,
}

impl Verb {
    /// What has to be read before [`writes`] is asked.
    pub fn reading(&self) -> Reading {
        match self {
            Verb::SetImage {
                container: _,
                image: _,
            } => Reading::Workload,
            Verb::Promote
            | Verb::PromoteFull
            | Verb::SkipCurrentStep
            | Verb::SkipAllSteps
            | Verb::TerminateAnalysis { name: None }
            | Verb::TerminateExperiment { name: None }
            | Verb::RetryExperiment { name: None } => Reading::Rollout,
            Verb::Undo { revision: _ } => Reading::ReplicaSets,
            Verb::Abort
            | Verb::Retry
            | Verb::Pause
            | Verb::Restart { at: _ }
            | Verb::TerminateAnalysis { name: Some(_) }
            | Verb::TerminateExperiment { name: Some(_) }
            | Verb::RetryExperiment { name: Some(_) }
            | Verb::Scale { replicas: _ } => Reading::Nothing,
        }
    }
}

/// One write of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    pub target: Target,
    pub patch: Patch,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Rollout,
    /// The Rollout's status subresource.
    RolloutStatus,
    /// The workload that the Rollout refers to.
    Workload(ObjectKey),
    AnalysisRun(String),
    Experiment(String),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Patch {
    /// JSON merge patch (RFC 7386).
    Merge(Value),
    /// Replaces `spec.template`.
    Template(PodTemplate),
}

/// The writes of `verb`, in order; none where there is nothing to do.
///
/// What [`Verb::reading`] does not name may be empty.
///
/// # Errors
/// What the plugin refuses, in words.
pub fn writes(
    rollout: &Rollout,
    verb: &Verb,
    observed: &Observed,
    now: Timestamp,
) -> Result<Vec<Write>, String> {
    let spec = |patch: Value| Write {
        target: Target::Rollout,
        patch: Patch::Merge(patch),
    };
    let status = |patch: Value| Write {
        target: Target::RolloutStatus,
        patch: Patch::Merge(json!({ "status": patch })),
    };
    Ok(match verb {
        Verb::SetImage { container, image } => {
            vec![set_image(rollout, observed, container.as_deref(), image)?]
        }
        Verb::Promote => promote(rollout, spec, status),
        Verb::PromoteFull => {
            let mut writes = Vec::new();
            if rollout.status.current_pod_hash != rollout.status.stable_rs {
                writes.push(status(json!({"promoteFull": true})));
            }
            if rollout.spec.paused {
                writes.push(spec(unpause()));
            }
            writes
        }
        Verb::SkipCurrentStep => {
            refuse_without_steps(rollout)?;
            match next_step_index(rollout) {
                Some(index) => vec![status(json!({ "currentStepIndex": index }))],
                None => Vec::new(),
            }
        }
        Verb::SkipAllSteps => {
            refuse_without_steps(rollout)?;
            vec![status(json!({ "currentStepIndex": step_count(rollout) }))]
        }
        Verb::Abort => vec![status(json!({"abort": true}))],
        Verb::Retry => vec![status(json!({"abort": false}))],
        Verb::Pause => vec![spec(json!({"spec": {"paused": true}}))],
        Verb::Undo { revision } => undo(rollout, observed, *revision)?.into_iter().collect(),
        Verb::Restart { at } => {
            let at = at.unwrap_or(now).truncate_to_seconds();
            vec![spec(json!({"spec": {"restartAt": at}}))]
        }
        Verb::TerminateAnalysis { name } => {
            let name = name
                .clone()
                .or_else(|| current_analysis_run(rollout))
                .ok_or("the rollout shows no analysis run")?;
            vec![Write {
                target: Target::AnalysisRun(name),
                patch: Patch::Merge(json!({"spec": {"terminate": true}})),
            }]
        }
        Verb::TerminateExperiment { name } => vec![Write {
            target: Target::Experiment(experiment_name(rollout, name.as_deref())?),
            patch: Patch::Merge(json!({"spec": {"terminate": true}})),
        }],
        Verb::RetryExperiment { name } => vec![Write {
            target: Target::Experiment(experiment_name(rollout, name.as_deref())?),
            patch: Patch::Merge(json!({"status": null})),
        }],
        Verb::Scale { replicas } => vec![spec(json!({"spec": {"replicas": replicas}}))],
    })
}

/// A run that a user wants of a template.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewRun {
    pub name: Option<String>,
    /// What its name starts with; else the template's name and a hyphen.
    pub generate_name: Option<String>,
    pub namespace: String,
    pub instance_id: Option<String>,
    pub arguments: Vec<Argument>,
}

/// The AnalysisRun of an AnalysisTemplate or ClusterAnalysisTemplate, as the API writes them
/// (`utils/analysis`, `NewAnalysisRunFromUnstructured`).
///
/// # Errors
/// A template without a name where none is given, or an argument without a value.
pub fn new_analysis_run(template: &Value, wanted: &NewRun) -> Result<Value, String> {
    let mut spec = match template.get("spec") {
        Some(Value::Object(spec)) => spec.clone(),
        Some(_) | None => return Err("the template has no spec".to_owned()),
    };
    let arguments = match spec.get("args") {
        None | Some(Value::Null) => wanted.arguments.clone(),
        Some(declared) => {
            let declared: Vec<Argument> =
                decode(declared.clone()).map_err(|error| error.to_string())?;
            merge_arguments(&wanted.arguments, &declared)?
        }
    };
    if !arguments.is_empty() {
        let arguments = serde_json::to_value(arguments).map_err(|error| error.to_string())?;
        spec.insert("args".into(), arguments);
    }
    let mut metadata = Map::new();
    let template_name = template.pointer("/metadata/name").and_then(Value::as_str);
    match (&wanted.name, &wanted.generate_name, template_name) {
        (Some(name), _, _) => metadata.insert("name".into(), name.as_str().into()),
        (None, Some(prefix), _) => metadata.insert("generateName".into(), prefix.as_str().into()),
        (None, None, Some(name)) => {
            metadata.insert("generateName".into(), format!("{name}-").into())
        }
        (None, None, None) => return Err("the template has no name: give the run one".to_owned()),
    };
    metadata.insert("namespace".into(), wanted.namespace.as_str().into());
    for key in ["labels", "annotations"] {
        if let Some(Value::Object(own)) = template.pointer(&format!("/metadata/{key}")) {
            let mut own = own.clone();
            own.shift_remove("kubectl.kubernetes.io/last-applied-configuration");
            metadata.insert(key.into(), Value::Object(own));
        }
    }
    if let Some(id) = &wanted.instance_id {
        metadata.insert("labels".into(), json!({INSTANCE_ID_LABEL: id}));
    }
    Ok(json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": metadata,
        "spec": spec,
    }))
}

fn unpause() -> Value {
    json!({"spec": {"paused": false}})
}

/// `cmd/promote`: of pause conditions and step index only one is changed.
fn promote(
    rollout: &Rollout,
    spec: impl Fn(Value) -> Write,
    status: impl Fn(Value) -> Write,
) -> Vec<Write> {
    let shown = &rollout.status;
    let paused = !shown.pause_conditions.is_empty();
    let inconclusive = rollout.spec.strategy.canary.is_some()
        && shown
            .canary
            .current_step_analysis_run_status
            .as_ref()
            .is_some_and(|run| run.status == AnalysisPhase::Inconclusive);
    let next_index = next_step_index(rollout);
    let status_patch = if inconclusive && paused && shown.controller_pause {
        next_index.map(|index| {
            json!({"pauseConditions": null, "controllerPause": false, "currentStepIndex": index})
        })
    } else if paused {
        Some(json!({"pauseConditions": null}))
    } else if rollout.spec.strategy.canary.is_some() {
        next_index.map(|index| json!({"pauseConditions": null, "currentStepIndex": index}))
    } else {
        None
    };
    let mut writes: Vec<Write> = status_patch.map(status).into_iter().collect();
    if rollout.spec.paused {
        writes.push(spec(unpause()));
    }
    writes
}

fn step_count(rollout: &Rollout) -> usize {
    let canary = rollout.spec.strategy.canary.as_ref();
    canary.map_or(0, |canary| canary.steps.len())
}

/// The step index after the current step; none without steps.
fn next_step_index(rollout: &Rollout) -> Option<i64> {
    let count = i64::try_from(step_count(rollout))
        .ok()
        .filter(|count| *count > 0)?;
    let index = i64::from(rollout.status.current_step_index.unwrap_or(0));
    Some(if index < count { index + 1 } else { index })
}

fn refuse_without_steps(rollout: &Rollout) -> Result<(), String> {
    if rollout.spec.strategy.blue_green.is_some() {
        return Err("Cannot skip steps of a bluegreen rollout. Run without a flags".into());
    }
    if rollout.spec.strategy.canary.is_some() && step_count(rollout) == 0 {
        return Err("Cannot skip steps of a rollout without steps".into());
    }
    Ok(())
}

fn experiment_name(rollout: &Rollout, name: Option<&str>) -> Result<String, String> {
    let current = rollout.status.canary.current_experiment.as_str();
    match name {
        Some(name) => Ok(name.to_owned()),
        None if current.is_empty() => Err("the rollout shows no experiment".into()),
        None => Ok(current.to_owned()),
    }
}

fn current_analysis_run(rollout: &Rollout) -> Option<String> {
    let (canary, blue_green) = (&rollout.status.canary, &rollout.status.blue_green);
    [
        &canary.current_background_analysis_run_status,
        &canary.current_step_analysis_run_status,
        &blue_green.pre_promotion_analysis_run_status,
        &blue_green.post_promotion_analysis_run_status,
    ]
    .into_iter()
    .flatten()
    .map(|run| run.name.clone())
    .next()
}

fn set_image(
    rollout: &Rollout,
    observed: &Observed,
    container: Option<&str>,
    image: &str,
) -> Result<Write, String> {
    // The plugin takes any workloadRef for a Deployment.
    let (target, mut template) = match &rollout.spec.workload_ref {
        None => (Target::Rollout, rollout.spec.template.clone()),
        Some(workload) => {
            let key = ObjectKey::new("apps/v1", "Deployment", &workload.name);
            let template = observed
                .others
                .get(&key)
                .ok_or_else(|| format!("deployments.apps {:?} not found", workload.name))?
                .pointer("/spec/template")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default();
            (Target::Workload(key), PodTemplate::from(template))
        }
    };
    let wanted = |candidate: &Map<String, Value>| match container {
        Some(name) => candidate.get("name").and_then(Value::as_str) == Some(name),
        None => true,
    };
    let mut found = false;
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        let candidates = template
            .spec_mut()
            .get_mut(list)
            .and_then(Value::as_array_mut);
        for candidate in candidates
            .into_iter()
            .flatten()
            .filter_map(Value::as_object_mut)
        {
            if wanted(candidate) {
                candidate.insert("image".into(), image.into());
                found = true;
            }
        }
    }
    if !found {
        let name = container.unwrap_or("*");
        return Err(format!("unable to find container named \"{name}\""));
    }
    Ok(Write {
        target,
        patch: Patch::Template(template),
    })
}

fn undo(
    rollout: &Rollout,
    observed: &Observed,
    revision: Option<i64>,
) -> Result<Option<Write>, String> {
    let source = match revision.filter(|revision| *revision > 0) {
        Some(revision) => owned_sets(rollout, observed)
            .find(|set| set.revision() == revision)
            .ok_or_else(|| format!("unable to find specified revision {revision} in history"))?,
        None => {
            let mut newest_first: Vec<&ReplicaSet> = owned_sets(rollout, observed).collect();
            newest_first.sort_by_key(|set| std::cmp::Reverse(set.revision()));
            newest_first.get(1).copied().ok_or_else(|| {
                format!("no revision found for rollout {:?}", rollout.metadata.name)
            })?
        }
    };
    let mut template = source.template.clone();
    template.labels_mut().shift_remove(POD_TEMPLATE_HASH_LABEL);
    let Some(workload) = &rollout.spec.workload_ref else {
        let mut present = rollout.spec.template.clone();
        present.labels_mut().shift_remove(POD_TEMPLATE_HASH_LABEL);
        if says_no_more(
            &Value::Object(present.as_object().clone()),
            &Value::Object(template.as_object().clone()),
        ) {
            return Ok(None);
        }
        return Ok(Some(Write {
            target: Target::Rollout,
            patch: Patch::Template(template),
        }));
    };
    let key = match workload.kind.as_str() {
        "Deployment" => ObjectKey::new("apps/v1", "Deployment", &workload.name),
        "ReplicaSet" => ObjectKey::new("apps/v1", "ReplicaSet", &workload.name),
        "PodTemplate" => ObjectKey::new("v1", "PodTemplate", &workload.name),
        kind => return Err(format!("workload of type {kind} is not supported")),
    };
    Ok(Some(Write {
        target: Target::Workload(key),
        patch: Patch::Template(template),
    }))
}

/// Whether all that `some` says holds in `all`: nothing and empty say nothing, lists are compared
/// item by item (apimachinery `Semantic.DeepDerivative`). The server fills in the ReplicaSet's defaults.
fn says_no_more(some: &Value, all: &Value) -> bool {
    match (some, all) {
        (Value::Null, _) => true,
        (Value::Object(some), all) if some.is_empty() => all.is_object() || all.is_null(),
        (Value::Object(some), Value::Object(all)) => some
            .iter()
            .all(|(key, value)| says_no_more(value, all.get(key).unwrap_or(&Value::Null))),
        (Value::Array(some), all) if some.is_empty() => all.is_array() || all.is_null(),
        (Value::Array(some), Value::Array(all)) => {
            some.len() == all.len()
                && some
                    .iter()
                    .zip(all)
                    .all(|(some, all)| says_no_more(some, all))
        }
        (Value::String(some), _) if some.is_empty() => true,
        (Value::Bool(_) | Value::Number(_) | Value::String(_), all) => some == all,
        (Value::Object(_) | Value::Array(_), _) => false,
    }
}

/// The ReplicaSets that the Rollout controls.
fn owned_sets<'a>(
    rollout: &'a Rollout,
    observed: &'a Observed,
) -> impl Iterator<Item = &'a ReplicaSet> {
    observed
        .replica_sets
        .values()
        .map(AsRef::as_ref)
        .filter(|set| {
            set.metadata
                .controller()
                .is_some_and(|owner| owner.uid == rollout.metadata.uid)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(status: Value) -> Rollout {
        decode(json!({
            "metadata": {"name": "demo", "uid": "u"},
            "spec": {
                "template": {"spec": {"containers": [{"name": "c", "image": "app:v1"}]}},
                "strategy": {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}]}}
            },
            "status": status
        }))
        .unwrap()
    }

    fn written(rollout: &Rollout, verb: Verb) -> Vec<Write> {
        writes(rollout, &verb, &Observed::default(), Timestamp::EPOCH).unwrap()
    }

    fn status_patch(patch: Value) -> Vec<Write> {
        vec![Write {
            target: Target::RolloutStatus,
            patch: Patch::Merge(json!({ "status": patch })),
        }]
    }

    #[test]
    fn promote_clears_the_pause_or_raises_the_index() {
        let paused = rollout(
            json!({"currentStepIndex": 1, "pauseConditions": [{"reason": "CanaryPauseStep"}]}),
        );
        assert_eq!(
            written(&paused, Verb::Promote),
            status_patch(json!({"pauseConditions": null}))
        );
        let running = rollout(json!({"currentStepIndex": 0}));
        assert_eq!(
            written(&running, Verb::Promote),
            status_patch(json!({"pauseConditions": null, "currentStepIndex": 1}))
        );
        let done = rollout(json!({"currentStepIndex": 2}));
        assert_eq!(
            written(&done, Verb::SkipCurrentStep),
            status_patch(json!({"currentStepIndex": 2}))
        );
        let inconclusive = rollout(json!({
            "currentStepIndex": 0, "controllerPause": true,
            "pauseConditions": [{"reason": "InconclusiveAnalysisRun"}],
            "canary": {"currentStepAnalysisRunStatus": {"name": "r", "status": "Inconclusive"}}
        }));
        assert_eq!(
            written(&inconclusive, Verb::Promote),
            status_patch(
                json!({"pauseConditions": null, "controllerPause": false, "currentStepIndex": 1})
            )
        );
        assert_eq!(
            written(&inconclusive, Verb::TerminateAnalysis { name: None })[0].target,
            Target::AnalysisRun("r".into())
        );
    }

    #[test]
    fn full_promotion_needs_an_update_in_progress() {
        let healthy = rollout(json!({"currentPodHash": "a", "stableRS": "a"}));
        assert_eq!(written(&healthy, Verb::PromoteFull), []);
        let updating = rollout(json!({"currentPodHash": "b", "stableRS": "a"}));
        assert_eq!(
            written(&updating, Verb::PromoteFull),
            status_patch(json!({"promoteFull": true}))
        );
    }

    #[test]
    fn images_are_set_by_container() {
        let object = rollout(json!({}));
        let all = Verb::SetImage {
            container: None,
            image: "app:v2".into(),
        };
        let Patch::Template(template) = &written(&object, all)[0].patch else {
            panic!("not a template");
        };
        assert_eq!(template.first_image(), Some("app:v2"));
        let unknown = Verb::SetImage {
            container: Some("x".into()),
            image: "i".into(),
        };
        assert!(writes(&object, &unknown, &Observed::default(), Timestamp::EPOCH).is_err());
    }
}
