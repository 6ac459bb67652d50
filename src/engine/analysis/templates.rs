//! From analysis templates to an AnalysisRun, and which runs are kept (argo-rollouts
//! `utils/analysis`, `rollout/analysis.go`). Used by rollouts and experiments.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::{
    INSTANCE_ID_LABEL, Observed, POD_TEMPLATE_HASH_LABEL, REVISION_ANNOTATION, ROLLOUT_TYPE_LABEL,
    ReplicaSet, STEP_INDEX_LABEL,
};
use crate::spec::analysis::{
    AnalysisPhase, AnalysisRun, AnalysisRunSpec, AnalysisTemplate, AnalysisTemplateSpec, Argument,
    ClusterAnalysisTemplate, DryRun, MeasurementRetention,
};
use crate::spec::field_path;
use crate::spec::meta::ObjectMeta;
use crate::spec::rollout::{AnalysisRunArgument, AnalysisTemplateRef, Rollout};
use crate::spec::string_map::StringMap;
use crate::spec::templates::{merge_arguments, merge_rules, merge_templates};

/// The runs a rollout's status shows.
#[derive(Debug, Clone, Default)]
pub struct CurrentRuns {
    pub canary_step: Option<Arc<AnalysisRun>>,
    pub canary_background: Option<Arc<AnalysisRun>>,
    pub pre_promotion: Option<Arc<AnalysisRun>>,
    pub post_promotion: Option<Arc<AnalysisRun>>,
}

impl CurrentRuns {
    pub fn iter(&self) -> impl Iterator<Item = &Arc<AnalysisRun>> {
        [
            &self.canary_step,
            &self.canary_background,
            &self.pre_promotion,
            &self.post_promotion,
        ]
        .into_iter()
        .flatten()
    }
}

/// A run that is to be created, or the one that is there for the same purpose.
#[expect(
    clippy::large_enum_variant,
    reason = "taken apart as soon as it is returned"
)]
pub enum Created {
    New(AnalysisRun),
    Existing(Arc<AnalysisRun>),
}

/// Namespaced and cluster-wide templates.
pub type Templates = (
    Vec<Arc<AnalysisTemplate>>,
    Vec<Arc<ClusterAnalysisTemplate>>,
);

/// The templates referred to and those nested in them, depth first, each once.
///
/// # Errors
/// A template that does not exist, as the API server says it, and templates that refer to each
/// other in a circle (there the reference controller recurses without end).
pub fn resolve_templates(
    observed: &Observed,
    references: &[AnalysisTemplateRef],
) -> Result<Templates, String> {
    let mut found = Templates::default();
    let mut seen = BTreeSet::new();
    let mut open = BTreeSet::new();
    // Pending references, the next one last; a marker after the last nested one of a template.
    let mut pending: Vec<Pending<'_>> = references.iter().rev().map(Pending::Follow).collect();
    while let Some(next) = pending.pop() {
        let reference = match next {
            Pending::Follow(reference) => reference,
            Pending::Close(key) => {
                open.remove(&key);
                continue;
            }
        };
        let name = reference.template_name.as_str();
        let key = (reference.is_cluster_scope(), name);
        if open.contains(&key) {
            return Err(format!("template '{name}' refers to itself"));
        }
        if !seen.insert(key) {
            continue;
        }
        let spec = if reference.is_cluster_scope() {
            let template = observed
                .cluster_analysis_templates
                .get(name)
                .ok_or_else(|| not_found("clusteranalysistemplate", name))?;
            found.1.push(Arc::clone(template));
            &template.spec
        } else {
            let template = observed
                .analysis_templates
                .get(name)
                .ok_or_else(|| not_found("analysistemplate", name))?;
            found.0.push(Arc::clone(template));
            &template.spec
        };
        open.insert(key);
        pending.push(Pending::Close(key));
        pending.extend(spec.templates.iter().rev().map(Pending::Follow));
    }
    Ok(found)
}

/// A run of these templates: metrics, rules and arguments merged, arguments valued.
///
/// # Errors
/// What cannot be merged, and arguments without a value; worded as in the reference.
#[expect(
    clippy::too_many_arguments,
    reason = "the parts of a run, each from another owner"
)]
pub fn new_run(
    templates: &[Arc<AnalysisTemplate>],
    cluster_templates: &[Arc<ClusterAnalysisTemplate>],
    arguments: &[Argument],
    dry_run: &[DryRun],
    measurement_retention: &[MeasurementRetention],
    labels: StringMap,
    annotations: StringMap,
    name: &str,
    generate_name: &str,
    namespace: &str,
) -> Result<AnalysisRun, String> {
    let specs: Vec<&AnalysisTemplateSpec> = templates
        .iter()
        .map(|template| &template.spec)
        .chain(cluster_templates.iter().map(|template| &template.spec))
        .collect();
    let merged = merge_templates(&specs)?;
    let args = merge_arguments(arguments, &merged.args)?;
    let (dry_run, measurement_retention) = merge_rules(
        (dry_run, measurement_retention),
        (&merged.dry_run, &merged.measurement_retention),
    )?;
    Ok(AnalysisRun {
        api_version: "argoproj.io/v1alpha1".to_owned(),
        kind: "AnalysisRun".to_owned(),
        metadata: ObjectMeta {
            name: name.to_owned(),
            generate_name: generate_name.to_owned(),
            namespace: namespace.to_owned(),
            labels: labels.into(),
            annotations: annotations.into(),
            ..ObjectMeta::default()
        },
        spec: AnalysisRunSpec {
            metrics: merged.metrics,
            args,
            dry_run,
            measurement_retention,
            ..AnalysisRunSpec::default()
        },
        ..AnalysisRun::default()
    })
}

/// Values of a rollout's arguments: given, a pod template hash, or a field of the rollout.
///
/// # Errors
/// A metadata path that does not exist; another path that does not exist, if no later argument
/// has a readable one (in the reference, a later success hides the failure and the value is
/// empty); an unknown kind of hash; the hash of a stable ReplicaSet where there is none.
pub fn build_arguments(
    arguments: &[AnalysisRunArgument],
    stable: Option<&ReplicaSet>,
    new: &ReplicaSet,
    rollout: &Rollout,
) -> Result<Vec<Argument>, String> {
    let mut built = Vec::with_capacity(arguments.len());
    let mut failure = None;
    for argument in arguments {
        let mut value = argument.value.clone();
        if let Some(from) = &argument.value_from {
            if let Some(which) = &from.pod_template_hash_value {
                value = match which.as_str() {
                    "Latest" => new.hash().to_owned(),
                    "Stable" => stable
                        .ok_or("there is no stable ReplicaSet to take the pod template hash of")?
                        .hash()
                        .to_owned(),
                    unknown => {
                        return Err(format!(
                            "podTemplateHashValue of argument '{}' is neither Stable nor Latest: '{unknown}'",
                            argument.name
                        ));
                    }
                };
            } else if let Some(field) = &from.field_ref {
                match field_path::value_at(rollout, &field.field_path) {
                    Ok(found) => {
                        value = found;
                        if !field.field_path.starts_with("metadata") {
                            failure = None;
                        }
                    }
                    Err(reason) if field.field_path.starts_with("metadata") => return Err(reason),
                    Err(reason) => {
                        value = String::new();
                        failure = Some(reason);
                    }
                }
            }
        }
        built.push(Argument {
            name: argument.name.clone(),
            value: Some(value),
            value_from: None,
        });
    }
    match failure {
        Some(reason) => Err(reason),
        None => Ok(built),
    }
}

/// Labels of a run started by the canary step with this index.
pub fn step_labels(index: usize, hash: &str) -> StringMap {
    let mut labels = labels("Step", hash);
    labels.insert(STEP_INDEX_LABEL.to_owned(), index.to_string());
    labels
}

/// Labels of a canary's background run.
pub fn background_labels(hash: &str) -> StringMap {
    labels("Background", hash)
}

/// Labels of a blue-green run before the switch.
pub fn pre_promotion_labels(hash: &str) -> StringMap {
    labels("PrePromotion", hash)
}

/// Labels of a blue-green run after the switch.
pub fn post_promotion_labels(hash: &str) -> StringMap {
    labels("PostPromotion", hash)
}

/// The label of the controller instance, if the owner has one: its runs belong to the same.
pub fn instance_id_label(owner: &ObjectMeta) -> Option<(String, String)> {
    let id = owner.labels.get(INSTANCE_ID_LABEL)?;
    (!id.is_empty()).then(|| (INSTANCE_ID_LABEL.to_owned(), id.clone()))
}

/// Names the run so that no other has its name, appending `.1`, `.2`, ... Where a run in the way
/// is unfinished, asks for the same and has the same controller, it is the one.
pub fn create_with_collision_counter(
    existing: &BTreeMap<String, Arc<AnalysisRun>>,
    mut run: AnalysisRun,
) -> Created {
    let base = run.metadata.name.clone();
    let mut collisions = 0_u64;
    while let Some(other) = existing.get(&run.metadata.name) {
        if !other.status.phase.is_completed()
            && asks_the_same(&run.spec, &other.spec)
            && has_same_controller(&run, other)
        {
            return Created::Existing(Arc::clone(other));
        }
        collisions = collisions.saturating_add(1);
        run.metadata.name = format!("{base}.{collisions}");
    }
    Created::New(run)
}

/// Runs to delete: of revisions whose ReplicaSet is gone, and finished ones beyond the limits, the
/// oldest first to go. Newest first.
pub fn runs_to_delete(
    runs: &[Arc<AnalysisRun>],
    replica_sets: &[&ReplicaSet],
    successful_limit: i32,
    unsuccessful_limit: i32,
) -> Vec<Arc<AnalysisRun>> {
    if runs.is_empty() {
        return Vec::new();
    }
    let kept_hashes: BTreeSet<&str> = replica_sets
        .iter()
        .filter(|set| set.metadata.deletion_timestamp.is_none())
        .map(|set| set.hash())
        .collect();
    let mut newest_first: Vec<&Arc<AnalysisRun>> = runs.iter().collect();
    newest_first.sort_by_key(|run| {
        let revision: Option<i64> = run
            .metadata
            .annotations
            .get(REVISION_ANNOTATION)
            .and_then(|text| text.parse().ok());
        Reverse((
            run.metadata.creation_timestamp,
            revision,
            &run.metadata.name,
        ))
    });
    let mut successful = 0;
    let mut unsuccessful = 0;
    let mut is_kept = |run: &AnalysisRun| {
        let hash = run.metadata.labels.get(POD_TEMPLATE_HASH_LABEL);
        if !hash.is_some_and(|hash| kept_hashes.contains(hash.as_str())) {
            return false;
        }
        let (count, limit) = match run.status.phase {
            AnalysisPhase::Successful => (&mut successful, successful_limit),
            AnalysisPhase::Failed | AnalysisPhase::Error | AnalysisPhase::Inconclusive => {
                (&mut unsuccessful, unsuccessful_limit)
            }
            AnalysisPhase::Unset | AnalysisPhase::Pending | AnalysisPhase::Running => return true,
        };
        let fits = *count < limit;
        *count += i32::from(fits);
        fits
    };
    newest_first
        .into_iter()
        .filter(|run| !is_kept(run))
        .cloned()
        .collect()
}

/// Cluster scope and name.
type TemplateKey<'a> = (bool, &'a str);

enum Pending<'a> {
    Follow(&'a AnalysisTemplateRef),
    Close(TemplateKey<'a>),
}

fn not_found(kind: &str, name: &str) -> String {
    format!("{kind}.argoproj.io {name:?} not found")
}

fn labels(rollout_type: &str, hash: &str) -> StringMap {
    StringMap::from([
        (POD_TEMPLATE_HASH_LABEL.to_owned(), hash.to_owned()),
        (ROLLOUT_TYPE_LABEL.to_owned(), rollout_type.to_owned()),
    ])
}

/// Whether both measure the same; how they end does not matter.
fn asks_the_same(left: &AnalysisRunSpec, right: &AnalysisRunSpec) -> bool {
    let AnalysisRunSpec {
        metrics,
        args,
        terminate: _,
        dry_run,
        measurement_retention,
        ttl_strategy: _,
    } = left;
    *metrics == right.metrics
        && *args == right.args
        && *dry_run == right.dry_run
        && *measurement_retention == right.measurement_retention
}

fn has_same_controller(left: &AnalysisRun, right: &AnalysisRun) -> bool {
    match (left.metadata.controller(), right.metadata.controller()) {
        (Some(left), Some(right)) => left.uid == right.uid,
        (Some(_), None) | (None, Some(_) | None) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::spec::decode::decode;
    use crate::time::Timestamp;

    fn reference(name: &str) -> AnalysisTemplateRef {
        AnalysisTemplateRef {
            template_name: name.into(),
            ..AnalysisTemplateRef::default()
        }
    }

    fn observed(templates: &[(&str, Value)]) -> Observed {
        let mut observed = Observed::default();
        for (name, spec) in templates {
            let template: AnalysisTemplate =
                decode(json!({"metadata": {"name": name}, "spec": spec})).unwrap();
            observed
                .analysis_templates
                .insert((*name).to_owned(), Arc::new(template));
        }
        observed
    }

    #[test]
    fn nested_templates_come_once_and_depth_first() {
        let observed = observed(&[
            (
                "a",
                json!({"templates": [{"templateName": "b"}, {"templateName": "c"}]}),
            ),
            ("b", json!({"templates": [{"templateName": "d"}]})),
            ("c", json!({"templates": [{"templateName": "d"}]})),
            ("d", json!({})),
            ("loop", json!({"templates": [{"templateName": "pool"}]})),
            ("pool", json!({"templates": [{"templateName": "loop"}]})),
            ("broken", json!({"templates": [{"templateName": "gone"}]})),
        ]);
        let (own, cluster) =
            resolve_templates(&observed, &[reference("a"), reference("d")]).unwrap();
        let names: Vec<&str> = own.iter().map(|t| t.metadata.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "d", "c"]);
        assert!(cluster.is_empty());
        assert_eq!(
            resolve_templates(&observed, &[reference("broken")]).unwrap_err(),
            "analysistemplate.argoproj.io \"gone\" not found"
        );
        assert!(resolve_templates(&observed, &[reference("loop")]).is_err());
    }

    fn replica_set(hash: &str) -> ReplicaSet {
        let mut set = ReplicaSet::default();
        set.metadata
            .labels
            .make_mut()
            .insert(POD_TEMPLATE_HASH_LABEL.into(), hash.into());
        set
    }

    #[test]
    fn arguments_come_from_hashes_and_fields() {
        let rollout: Rollout = decode(json!({
            "metadata": {"name": "demo", "namespace": "ns", "labels": {"x": "y"}},
            "spec": {"replicas": 3},
            "status": {"canary": {"weights": {"canary": {"weight": 20}}}}
        }))
        .unwrap();
        let build = |args: Value| {
            let args: Vec<AnalysisRunArgument> = decode(args).unwrap();
            build_arguments(
                &args,
                Some(&replica_set("old")),
                &replica_set("new"),
                &rollout,
            )
            .map(|built| {
                let values = built.into_iter().map(|arg| arg.value.unwrap_or_default());
                values.collect::<Vec<_>>()
            })
        };
        let field =
            |path: &str| json!({"name": "f", "valueFrom": {"fieldRef": {"fieldPath": path}}});
        assert_eq!(
            build(json!([
                {"name": "v", "value": "plain"},
                {"name": "s", "valueFrom": {"podTemplateHashValue": "Stable"}},
                {"name": "l", "valueFrom": {"podTemplateHashValue": "Latest"}},
                field("metadata.labels['x']"),
                field("spec.replicas"),
                field("status.canary.weights.canary.weight"),
            ])),
            Ok(["plain", "old", "new", "y", "3", "20"]
                .map(String::from)
                .to_vec())
        );
        assert!(build(json!([field("metadata.none")])).is_err());
        assert_eq!(
            build(json!([field("spec.none")])),
            Err("invalid path spec.none in rollout".into())
        );
        assert_eq!(
            build(json!([field("spec.none"), field("spec.replicas")])),
            Ok(vec![String::new(), "3".into()])
        );
    }

    fn run(name: &str, owner: &str, phase: AnalysisPhase, created: i64) -> AnalysisRun {
        let mut run: AnalysisRun = decode(json!({
            "metadata": {
                "name": name,
                "labels": {POD_TEMPLATE_HASH_LABEL: "h"},
                "ownerReferences": [{"uid": owner, "controller": true}]
            }
        }))
        .unwrap();
        run.status.phase = phase;
        run.metadata.creation_timestamp = Some(Timestamp::from_secs(created));
        run
    }

    fn created_name(existing: &[AnalysisRun], new: AnalysisRun) -> (bool, String) {
        let existing = existing
            .iter()
            .map(|run| (run.metadata.name.clone(), Arc::new(run.clone())))
            .collect();
        match create_with_collision_counter(&existing, new) {
            Created::New(run) => (true, run.metadata.name),
            Created::Existing(run) => (false, run.metadata.name.clone()),
        }
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number_unless_the_run_is_the_same() {
        let new = run("r", "me", AnalysisPhase::Unset, 0);
        let running = run("r", "me", AnalysisPhase::Running, 0);
        let finished = run("r", "me", AnalysisPhase::Successful, 0);
        let foreign = run("r", "you", AnalysisPhase::Running, 0);
        assert_eq!(created_name(&[], new.clone()), (true, "r".into()));
        assert_eq!(created_name(&[running], new.clone()), (false, "r".into()));
        assert_eq!(
            created_name(std::slice::from_ref(&finished), new.clone()),
            (true, "r.1".into())
        );
        let first = run("r.1", "me", AnalysisPhase::Failed, 0);
        assert_eq!(
            created_name(&[finished, first], new.clone()),
            (true, "r.2".into())
        );
        assert_eq!(created_name(&[foreign], new), (true, "r.1".into()));
    }

    #[test]
    fn limits_keep_the_newest_finished_runs() {
        let runs: Vec<Arc<AnalysisRun>> = [
            run("a", "me", AnalysisPhase::Successful, 1),
            run("b", "me", AnalysisPhase::Successful, 2),
            run("c", "me", AnalysisPhase::Failed, 3),
            run("d", "me", AnalysisPhase::Error, 4),
            run("e", "me", AnalysisPhase::Running, 0),
        ]
        .into_iter()
        .map(Arc::new)
        .collect();
        let names = |sets: &[&ReplicaSet], limits: (i32, i32)| -> Vec<String> {
            runs_to_delete(&runs, sets, limits.0, limits.1)
                .iter()
                .map(|run| run.metadata.name.clone())
                .collect()
        };
        let set = replica_set("h");
        assert_eq!(names(&[&set], (1, 1)), ["c", "a"]);
        assert_eq!(names(&[&set], (5, 0)), ["d", "c"]);
        assert_eq!(names(&[&replica_set("other")], (5, 5)).len(), 5);
        let mut going = set.clone();
        going.metadata.deletion_timestamp = Some(Timestamp::EPOCH);
        assert_eq!(names(&[&going], (5, 5)).len(), 5);
    }
}
