//! The Experiment that a canary step asks for (argo-rollouts `rollout/experiment.go`,
//! `utils/experiment/filter.go`).

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::analysis::templates;
use crate::engine::hash::pod_template_hash;
use crate::engine::{POD_TEMPLATE_HASH_LABEL, REVISION_ANNOTATION, ReplicaSet};
use crate::spec::analysis::AnalysisPhase;
use crate::spec::experiment::{
    Experiment, ExperimentAnalysisTemplateRef, ExperimentSpec, TemplateService, TemplateSpec,
    TemplateStatus,
};
use crate::spec::meta::ObjectMeta;
use crate::spec::rollout::{
    Rollout, RolloutExperimentStepAnalysisTemplateRef, RolloutExperimentTemplate,
};
use crate::spec::rollout_status::WeightDestination;
use crate::spec::string_map::StringMap;

use super::steps;

/// What [`create_with_collision`] found out.
#[derive(Debug, Clone, PartialEq)]
pub enum Created {
    /// To be created, under a name that is free.
    New(Box<Experiment>),
    /// There already, unfinished and the same.
    Existing(Arc<Experiment>),
}

/// The Experiment of the current step, or of the last one before it; none if there is none.
/// It has no owner yet.
///
/// # Errors
/// A `specRef` that is neither `canary` nor `stable`, or an argument that cannot be resolved.
pub fn experiment_of_step(
    rollout: &Rollout,
    stable: &ReplicaSet,
    new: &ReplicaSet,
) -> Result<Option<Experiment>, String> {
    let Some(step) = steps::current_experiment_step(rollout) else {
        return Ok(None);
    };
    let hash = pod_template_hash(&rollout.spec.template, rollout.status.collision_count);
    let index = rollout.status.current_step_index.unwrap_or(0);
    let annotations = &rollout.metadata.annotations;
    let revision = annotations
        .get(REVISION_ANNOTATION)
        .cloned()
        .unwrap_or_default();
    let name = format!("{}-{hash}-{revision}-{index}", rollout.metadata.name);
    let mut labels = rollout.metadata.labels.clone();
    labels
        .make_mut()
        .insert(POD_TEMPLATE_HASH_LABEL.to_owned(), hash);

    let templates = step
        .templates
        .iter()
        .map(|template| template_spec(template, stable, new))
        .collect::<Result<_, _>>()?;
    let analyses = step
        .analyses
        .iter()
        .map(|analysis| analysis_reference(analysis, rollout, stable, new))
        .collect::<Result<_, _>>()?;
    Ok(Some(Experiment {
        api_version: "argoproj.io/v1alpha1".to_owned(),
        kind: "Experiment".to_owned(),
        metadata: ObjectMeta {
            name,
            namespace: rollout.metadata.namespace.clone(),
            labels,
            annotations: StringMap::from([(REVISION_ANNOTATION.to_owned(), revision)]).into(),
            ..ObjectMeta::default()
        },
        spec: ExperimentSpec {
            templates,
            duration: step.duration.clone(),
            progress_deadline_seconds: rollout.spec.progress_deadline_seconds,
            terminate: false,
            analyses,
            scale_down_delay_seconds: step.scale_down_delay_seconds,
            dry_run: step.dry_run.clone(),
            measurement_retention: Vec::new(),
            analysis_run_metadata: step.analysis_run_metadata.clone(),
        },
        ..Experiment::default()
    }))
}

/// Finds a free name for `wanted` (`NAME`, `NAME-1`, ...), unless it meets an unfinished
/// Experiment of the same owner and spec on the way, which then is the wanted one.
pub fn create_with_collision(
    existing: &BTreeMap<String, Arc<Experiment>>,
    mut wanted: Experiment,
) -> Created {
    let base_name = wanted.metadata.name.clone();
    let mut collisions: u32 = 0;
    while let Some(other) = existing.get(&wanted.metadata.name) {
        let same_owner = match (other.metadata.controller(), wanted.metadata.controller()) {
            (Some(other), Some(wanted)) => other.uid == wanted.uid,
            (Some(_) | None, _) => false,
        };
        if !other.status.phase.is_completed()
            && same_owner
            && same_apart_from_terminate(&other.spec, &wanted.spec)
        {
            return Created::Existing(Arc::clone(other));
        }
        collisions = collisions.saturating_add(1);
        wanted.metadata.name = format!("{base_name}-{collisions}");
    }
    Created::New(Box::new(wanted))
}

/// Experiments that history limits, or the end of their ReplicaSet, leave no place for; the
/// newest are kept. Unfinished ones of a present ReplicaSet are never among them.
pub fn experiments_to_delete(
    experiments: &[Arc<Experiment>],
    replica_sets: &[&ReplicaSet],
    limit_successful: i32,
    limit_unsuccessful: i32,
) -> Vec<Arc<Experiment>> {
    if experiments.is_empty() {
        return Vec::new();
    }
    let is_deleted: BTreeMap<&str, bool> = replica_sets
        .iter()
        .map(|set| (set.hash(), set.metadata.deletion_timestamp.is_some()))
        .collect();
    let mut newest_first = experiments.to_vec();
    newest_first.sort_by_cached_key(|experiment| {
        let metadata = &experiment.metadata;
        Reverse((metadata.creation_timestamp, metadata.name.clone()))
    });
    let (mut successful, mut unsuccessful) = (0, 0);
    newest_first.retain(|experiment| {
        let hash = experiment.metadata.labels.get(POD_TEMPLATE_HASH_LABEL);
        if hash.and_then(|hash| is_deleted.get(hash.as_str())) != Some(&false) {
            return true;
        }
        let (kept, limit) = match experiment.status.phase {
            AnalysisPhase::Successful => (&mut successful, limit_successful),
            AnalysisPhase::Failed | AnalysisPhase::Error | AnalysisPhase::Inconclusive => {
                (&mut unsuccessful, limit_unsuccessful)
            }
            AnalysisPhase::Unset | AnalysisPhase::Pending | AnalysisPhase::Running => return false,
        };
        let over_limit = *kept >= limit;
        if !over_limit {
            *kept += 1;
        }
        over_limit
    });
    newest_first
}

/// Traffic weights of the templates of the running Experiment, in the order of its status.
pub fn weight_destinations(
    rollout: &Rollout,
    current: Option<&Experiment>,
) -> Vec<WeightDestination> {
    let running = current.filter(|current| current.status.phase == AnalysisPhase::Running);
    let (Some(step), Some(running)) = (steps::current_experiment_step(rollout), running) else {
        return Vec::new();
    };
    let destination = |status: &TemplateStatus| {
        let template = step
            .templates
            .iter()
            .find(|template| template.name == status.name)?;
        Some(WeightDestination {
            weight: template.weight?,
            service_name: status.service_name.clone(),
            pod_template_hash: status.pod_template_hash.clone(),
        })
    };
    running
        .status
        .template_statuses
        .iter()
        .filter_map(destination)
        .collect()
}

fn template_spec(
    template: &RolloutExperimentTemplate,
    stable: &ReplicaSet,
    new: &ReplicaSet,
) -> Result<TemplateSpec, String> {
    let source = match template.spec_ref.as_str() {
        "canary" => new,
        "stable" => stable,
        _ => return Err("Invalid template step SpecRef: must be canary or stable".to_owned()),
    };
    let mut selector = template
        .selector
        .clone()
        .unwrap_or_else(|| source.selector.clone());
    let mut pod_template = source.template.clone();
    let metadata = &template.metadata;
    if !metadata.labels.is_empty() {
        let labels = pod_template.labels_mut();
        let selected = selector.match_labels.make_mut();
        for (key, value) in &metadata.labels {
            labels.insert(key.clone(), value.clone().into());
            selected.insert(key.clone(), value.clone());
        }
    }
    if !metadata.annotations.is_empty() {
        let annotations = pod_template.annotations_mut();
        for (key, value) in &metadata.annotations {
            annotations.insert(key.clone(), value.clone().into());
        }
    }
    let service = match (&template.service, template.weight) {
        (Some(service), _) => Some(service.clone()),
        // Traffic needs a service to go to.
        (None, Some(_)) => Some(TemplateService::default()),
        (None, None) => None,
    };
    Ok(TemplateSpec {
        name: template.name.clone(),
        replicas: template.replicas,
        min_ready_seconds: source.min_ready_seconds,
        selector: Some(selector),
        template: pod_template,
        service,
    })
}

fn analysis_reference(
    analysis: &RolloutExperimentStepAnalysisTemplateRef,
    rollout: &Rollout,
    stable: &ReplicaSet,
    new: &ReplicaSet,
) -> Result<ExperimentAnalysisTemplateRef, String> {
    let RolloutExperimentStepAnalysisTemplateRef {
        name,
        template_name,
        cluster_scope,
        args,
        required_for_completion,
    } = analysis;
    Ok(ExperimentAnalysisTemplateRef {
        name: name.clone(),
        template_name: template_name.clone(),
        cluster_scope: *cluster_scope,
        args: templates::build_arguments(args, Some(stable), new, rollout)?,
        required_for_completion: *required_for_completion,
    })
}

fn same_apart_from_terminate(left: &ExperimentSpec, right: &ExperimentSpec) -> bool {
    let unterminated = |spec: &ExperimentSpec| {
        let mut spec = spec.clone();
        spec.terminate = false;
        spec
    };
    unterminated(left) == unterminated(right)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::spec::meta::OwnerReference;
    use crate::time::Timestamp;

    fn rollout() -> Rollout {
        serde_json::from_value(json!({
            "metadata": {
                "name": "demo", "namespace": "ns", "labels": {"team": "a"},
                "annotations": {"rollout.argoproj.io/revision": "2"},
            },
            "spec": {
                "progressDeadlineSeconds": 60,
                "strategy": {"canary": {"steps": [
                    {"setWeight": 10},
                    {"experiment": {
                        "duration": "3s", "scaleDownDelaySeconds": 5, "dryRun": [{"metricName": "m"}],
                        "analysisRunMetadata": {"labels": {"l": "1"}},
                        "templates": [
                            {"name": "baseline", "specRef": "stable", "weight": 5,
                             "metadata": {"labels": {"app": "base"}, "annotations": {"a": "b"}},
                             "selector": {"matchLabels": {"app": "base"}}},
                            {"name": "candidate", "specRef": "canary", "replicas": 3,
                             "service": {"name": "svc"}},
                        ],
                    }},
                ]}},
            },
            "status": {"currentStepIndex": 1},
        }))
        .unwrap()
    }

    fn replica_set(hash: &str) -> ReplicaSet {
        serde_json::from_value(json!({
            "metadata": {"name": hash, "labels": {POD_TEMPLATE_HASH_LABEL: hash}},
            "minReadySeconds": 7,
            "selector": {"matchLabels": {"app": "demo", POD_TEMPLATE_HASH_LABEL: hash}},
            "template": {"metadata": {"labels": {"app": "demo", POD_TEMPLATE_HASH_LABEL: hash}}},
        }))
        .unwrap()
    }

    #[test]
    fn a_step_becomes_an_experiment() {
        let rollout = rollout();
        let (stable, new) = (replica_set("old"), replica_set("new"));
        let experiment = experiment_of_step(&rollout, &stable, &new)
            .unwrap()
            .unwrap();
        let hash = pod_template_hash(&rollout.spec.template, None);
        assert_eq!(experiment.metadata.name, format!("demo-{hash}-2-1"));
        assert_eq!(
            experiment.metadata.labels.get(POD_TEMPLATE_HASH_LABEL),
            Some(&hash)
        );
        assert_eq!(experiment.metadata.labels.len(), 2);
        let spec = &experiment.spec;
        assert_eq!(
            (
                spec.progress_deadline_seconds,
                spec.scale_down_delay_seconds
            ),
            (Some(60), Some(5))
        );
        let [baseline, candidate] = spec.templates.as_slice() else {
            panic!("two templates")
        };
        assert_eq!(baseline.template.labels().get("app").unwrap(), "base");
        assert_eq!(
            baseline
                .template
                .labels()
                .get(POD_TEMPLATE_HASH_LABEL)
                .unwrap(),
            "old"
        );
        assert_eq!(baseline.template.annotations().get("a").unwrap(), "b");
        assert_eq!(baseline.selector.as_ref().unwrap().match_labels.len(), 1);
        assert_eq!(baseline.service, Some(TemplateService::default()));
        assert_eq!((baseline.min_ready_seconds, baseline.replicas), (7, None));
        assert_eq!(candidate.selector.as_ref(), Some(&new.selector));
        assert_eq!(candidate.service.as_ref().unwrap().name, "svc");
        assert_eq!(candidate.replicas, Some(3));
    }

    #[test]
    fn an_unknown_spec_ref_is_an_error() {
        let mut rollout = rollout();
        let canary = rollout.spec.strategy.canary.as_mut().unwrap();
        canary.make_mut().steps.make_mut()[1]
            .experiment
            .as_mut()
            .unwrap()
            .templates[0]
            .spec_ref = "old".into();
        let set = replica_set("x");
        assert!(experiment_of_step(&rollout, &set, &set).is_err());
        rollout.status.current_step_index = Some(0);
        assert_eq!(experiment_of_step(&rollout, &set, &set), Ok(None));
    }

    fn owned(name: &str, phase: &str, uid: &str) -> Experiment {
        let mut experiment: Experiment =
            serde_json::from_value(json!({"metadata": {"name": name}, "status": {"phase": phase}}))
                .unwrap();
        let owner = OwnerReference {
            uid: uid.to_owned(),
            controller: Some(true),
            ..OwnerReference::default()
        };
        experiment.metadata.owner_references = vec![owner].into();
        experiment
    }

    #[test]
    fn a_taken_name_gets_a_number_unless_it_is_the_same() {
        let created = |others: &[Experiment]| {
            let existing = others
                .iter()
                .map(|other| (other.metadata.name.clone(), Arc::new(other.clone())))
                .collect();
            match create_with_collision(&existing, owned("e", "", "u")) {
                Created::New(experiment) => format!("new {}", experiment.metadata.name),
                Created::Existing(experiment) => format!("existing {}", experiment.metadata.name),
            }
        };
        assert_eq!(created(&[]), "new e");
        assert_eq!(created(&[owned("e", "Running", "u")]), "existing e");
        assert_eq!(created(&[owned("e", "Running", "other")]), "new e-1");
        let mut terminated = owned("e", "Running", "u");
        terminated.spec.terminate = true;
        assert_eq!(created(&[terminated]), "existing e");
        let mut different = owned("e", "Running", "u");
        different.spec.duration = "1s".into();
        assert_eq!(created(&[different]), "new e-1");
        let finished = [owned("e", "Failed", "u"), owned("e-1", "Successful", "u")];
        assert_eq!(created(&finished), "new e-2");
    }

    #[test]
    fn history_keeps_the_newest_of_each_kind() {
        let present = replica_set("here");
        let mut leaving = replica_set("leaving");
        leaving.metadata.deletion_timestamp = Some(Timestamp::EPOCH);
        let experiment = |name: &str, phase: &str, hash: Option<&str>, created: i64| {
            let mut experiment = owned(name, phase, "u");
            experiment.metadata.creation_timestamp = Some(Timestamp::from_secs(created));
            if let Some(hash) = hash {
                let key = POD_TEMPLATE_HASH_LABEL.to_owned();
                let labels = experiment.metadata.labels.make_mut();
                labels.insert(key, hash.to_owned());
            }
            Arc::new(experiment)
        };
        let experiments = [
            experiment("s1", "Successful", Some("here"), 1),
            experiment("s2", "Successful", Some("here"), 2),
            experiment("f3", "Failed", Some("here"), 3),
            experiment("i4", "Inconclusive", Some("here"), 4),
            experiment("r5", "Running", Some("here"), 5),
            experiment("n6", "Running", None, 6),
            experiment("g7", "Successful", Some("gone"), 7),
            experiment("l8", "Successful", Some("leaving"), 8),
        ];
        let deleted = experiments_to_delete(&experiments, &[&present, &leaving], 1, 1);
        let names: Vec<&str> = deleted
            .iter()
            .map(|experiment| experiment.metadata.name.as_str())
            .collect();
        assert_eq!(names, ["l8", "g7", "n6", "f3", "s1"]);
    }

    #[test]
    fn only_a_running_experiment_gets_traffic() {
        let rollout = rollout();
        let mut experiment = owned("e", "Running", "u");
        experiment.status.template_statuses = serde_json::from_value(json!([
            {"name": "candidate", "serviceName": "svc"},
            {"name": "baseline", "serviceName": "e-baseline", "podTemplateHash": "h"},
        ]))
        .unwrap();
        let expected = WeightDestination {
            weight: 5,
            service_name: "e-baseline".to_owned(),
            pod_template_hash: "h".to_owned(),
        };
        assert_eq!(weight_destinations(&rollout, Some(&experiment)), [expected]);
        experiment.status.phase = AnalysisPhase::Pending;
        assert!(weight_destinations(&rollout, Some(&experiment)).is_empty());
        assert!(weight_destinations(&rollout, None).is_empty());
    }
}
