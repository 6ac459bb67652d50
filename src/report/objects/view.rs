//! What is shown of a Rollout or an Experiment, made from objects.

use std::collections::BTreeSet;

use serde::Serialize;

use super::pods::PodView;
use crate::engine::rollout::phase::rollout_phase;
use crate::engine::rollout::replicas::current_set_weight;
use crate::engine::rollout::steps::current_step;
use crate::engine::{
    EXPERIMENT_TEMPLATE_NAME_ANNOTATION, Observed, REVISION_ANNOTATION, ReplicaSet,
    SCALE_DOWN_DEADLINE_ANNOTATION,
};
use crate::providers::job::JOB_NAME_KEY;
use crate::spec::analysis::{AnalysisPhase, AnalysisRun};
use crate::spec::experiment::Experiment;
use crate::spec::kubernetes::PodTemplate;
use crate::spec::meta::{ConditionStatus, ObjectMeta};
use crate::spec::rollout::Rollout;
use crate::spec::rollout_status::{PingPongType, RolloutPhase};
use crate::time::Timestamp;

/// How good something is; an icon in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    Ok,
    Progressing,
    Waiting,
    Paused,
    Warning,
    Bad,
    Unknown,
    Neutral,
    None,
}

/// What a line of the tree is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Kind {
    ReplicaSet,
    Pod,
    Experiment,
    AnalysisRun,
    Job,
}

/// A line of the tree, and the lines under it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    pub kind: Kind,
    pub name: String,
    pub status: String,
    pub mark: Mark,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// Which part it has in its owner: `stable`, `canary`, `active`, `preview`, `ping`, `pong`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<&'static str>,
    /// When it is to be scaled to zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_down_at: Option<Timestamp>,
    /// Measurements of a run by outcome: good, failed, inconclusive, in error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measurements: Option<[i64; 4]>,
    /// Ready containers of a pod, and all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<(usize, usize)>,
    #[serde(skip_serializing_if = "is_zero")]
    pub restarts: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Item>,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// An image in use, and as what.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImageUse {
    pub image: String,
    /// Tags of [`Item`]; `Σ:name` for the template of an experiment.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
}

/// Counts of pods.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replicas {
    pub desired: i32,
    pub current: i32,
    pub updated: i32,
    pub ready: i32,
    pub available: i32,
}

/// What belongs to one revision.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RevisionView {
    pub revision: i64,
    pub items: Vec<Item>,
}

/// A Rollout as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutView {
    pub name: String,
    pub namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    pub status: RolloutPhase,
    pub mark: Mark,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// `Canary`, `BlueGreen`, or "".
    pub strategy: &'static str,
    /// Steps done, and all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<(i32, usize)>,
    /// As the steps want it; of a canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_weight: Option<i32>,
    /// As routers or counts of pods have it; of a canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual_weight: Option<i32>,
    pub images: Vec<ImageUse>,
    pub replicas: Replicas,
    /// Newest first.
    pub revisions: Vec<RevisionView>,
}

/// An Experiment as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentView {
    pub namespace: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    pub images: Vec<ImageUse>,
    #[serde(flatten)]
    pub item: Item,
}

/// Phase and message, where the controller may not have seen the newest spec yet
/// (argo-rollouts `utils/rollout`, `GetRolloutPhase`).
pub fn displayed_phase(rollout: &Rollout) -> (RolloutPhase, String) {
    let waiting = |what: &str| {
        (
            RolloutPhase::Progressing,
            format!("waiting for rollout {what}"),
        )
    };
    let status = &rollout.status;
    let observed: Option<i64> = status.observed_generation.parse().ok();
    if observed.is_some_and(|observed| observed < rollout.metadata.generation) {
        return waiting("spec update to be observed");
    }
    if status.pause_conditions.is_empty() && status.controller_pause {
        return waiting("to unpause");
    }
    if status.phase != RolloutPhase::Unset {
        return (status.phase, status.message.clone());
    }
    rollout_phase(&rollout.spec, status)
}

/// The view of a Rollout; `observed` and `pods` may hold more than what belongs to it.
pub fn rollout_view(rollout: &Rollout, observed: &Observed, pods: &[PodView]) -> RolloutView {
    let uid = rollout.metadata.uid.as_str();
    let sets = owned(
        observed.replica_sets.values().map(AsRef::as_ref),
        uid,
        |set| &set.metadata,
    );
    let experiments = owned(observed.experiments.values().map(AsRef::as_ref), uid, |e| {
        &e.metadata
    });
    let runs = owned(
        observed.analysis_runs.values().map(AsRef::as_ref),
        uid,
        |run| &run.metadata,
    );
    let mut images = Vec::new();
    for set in sets.iter().filter(|set| set.status.replicas > 0) {
        let tags = tags(rollout, set).into_iter().map(str::to_owned);
        add_images(&mut images, &set.template, tags.collect());
    }
    for experiment in &experiments {
        add_images_of(experiment, observed, &mut images);
    }
    images.sort_by(|a: &ImageUse, b| a.image.cmp(&b.image));

    let mut revisions: Vec<RevisionView> = Vec::new();
    let mut add = |revision: i64, item: Item| match revisions
        .iter_mut()
        .find(|known| known.revision == revision)
    {
        Some(known) => known.items.push(item),
        None => revisions.push(RevisionView {
            revision,
            items: vec![item],
        }),
    };
    for set in &sets {
        add(set.revision(), set_item(set, tags(rollout, set), pods));
    }
    for experiment in &experiments {
        let item = experiment_item(experiment, observed, pods);
        add(revision(&experiment.metadata), item);
    }
    for run in &runs {
        add(revision(&run.metadata), run_item(run));
    }
    revisions.sort_by_key(|revision| std::cmp::Reverse(revision.revision));

    let (status, message) = displayed_phase(rollout);
    let shown = &rollout.status;
    let canary = rollout.spec.strategy.canary.as_ref();
    let set_weight = canary.map(|_| current_set_weight(rollout));
    RolloutView {
        name: rollout.metadata.name.clone(),
        namespace: rollout.metadata.namespace.clone(),
        created: rollout.metadata.creation_timestamp,
        status,
        mark: phase_mark(status),
        message,
        strategy: strategy(rollout),
        step: canary
            .filter(|canary| !canary.steps.is_empty())
            .and_then(|canary| Some((shown.current_step_index?, canary.steps.len()))),
        set_weight,
        actual_weight: set_weight.map(|set_weight| actual_weight(rollout, set_weight, &sets)),
        images,
        replicas: Replicas {
            desired: rollout.spec.replicas_or_default(),
            current: shown.replicas,
            updated: shown.updated_replicas,
            ready: shown.ready_replicas,
            available: shown.available_replicas,
        },
        revisions,
    }
}

/// The view of an Experiment; see [`rollout_view`].
pub fn experiment_view(
    experiment: &Experiment,
    observed: &Observed,
    pods: &[PodView],
) -> ExperimentView {
    let mut images = Vec::new();
    add_images_of(experiment, observed, &mut images);
    images.sort_by(|a, b| a.image.cmp(&b.image));
    ExperimentView {
        namespace: experiment.metadata.namespace.clone(),
        message: experiment.status.message.clone(),
        images,
        item: experiment_item(experiment, observed, pods),
    }
}

/// `Canary`, `BlueGreen`, or "".
pub(super) fn strategy(rollout: &Rollout) -> &'static str {
    let strategy = &rollout.spec.strategy;
    if strategy.canary.is_some() {
        "Canary"
    } else if strategy.blue_green.is_some() {
        "BlueGreen"
    } else {
        ""
    }
}

fn actual_weight(rollout: &Rollout, set_weight: i32, sets: &[&ReplicaSet]) -> i32 {
    let whole = rollout.spec.max_traffic_weight_or_default();
    let (status, canary) = (&rollout.status, &rollout.spec.strategy.canary);
    if current_step(rollout).is_none() {
        return whole;
    }
    if status.available_replicas <= 0 {
        return 0;
    }
    if canary
        .as_ref()
        .is_some_and(|canary| canary.traffic_routing.is_some())
    {
        let weights = status.canary.weights.as_ref();
        return weights.map_or(set_weight, |weights| weights.canary.weight);
    }
    let canary_set = sets
        .iter()
        .find(|set| tags(rollout, set).contains(&"canary"));
    let available = canary_set.map_or(0, |set| set.status.available_replicas);
    let share = i64::from(available) * i64::from(whole) / i64::from(status.available_replicas);
    i32::try_from(share).unwrap_or(whole)
}

/// The objects that `uid` owns; newest revision first, then oldest first.
fn owned<'a, T>(
    objects: impl Iterator<Item = &'a T>,
    uid: &str,
    metadata: impl Fn(&T) -> &ObjectMeta,
) -> Vec<&'a T> {
    let is_owned = |object: &&T| {
        let owners = &metadata(object).owner_references;
        owners.iter().any(|owner| owner.uid == uid)
    };
    let mut found: Vec<&T> = objects.filter(is_owned).collect();
    found.sort_by(|a, b| {
        let (a, b) = (metadata(a), metadata(b));
        revision(b)
            .cmp(&revision(a))
            .then(a.creation_timestamp.cmp(&b.creation_timestamp))
            .then(a.name.cmp(&b.name))
    });
    found
}

fn revision(metadata: &ObjectMeta) -> i64 {
    let text = metadata.annotations.get(REVISION_ANNOTATION);
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Which part a ReplicaSet has in its Rollout.
fn tags(rollout: &Rollout, set: &ReplicaSet) -> Vec<&'static str> {
    let (status, hash) = (&rollout.status, set.hash());
    let mut tags = Vec::new();
    if let Some(canary) = &rollout.spec.strategy.canary {
        let is_stable = status.stable_rs == hash;
        if is_stable {
            tags.push("stable");
        } else if status.current_pod_hash == hash {
            tags.push("canary");
        }
        if canary.ping_pong.is_some() && !tags.is_empty() {
            let stable_is_ping = status.canary.stable_ping_pong == PingPongType::Ping;
            tags.push(if is_stable == stable_is_ping {
                "ping"
            } else {
                "pong"
            });
        }
    }
    if rollout.spec.strategy.blue_green.is_some() {
        if status.stable_rs == hash {
            tags.push("stable");
        }
        if status.blue_green.active_selector == hash {
            tags.push("active");
        } else if status.blue_green.preview_selector == hash {
            tags.push("preview");
        }
    }
    tags
}

fn add_images_of(experiment: &Experiment, observed: &Observed, images: &mut Vec<ImageUse>) {
    let all = observed.replica_sets.values().map(AsRef::as_ref);
    let sets = owned(all, &experiment.metadata.uid, |set: &ReplicaSet| {
        &set.metadata
    });
    for set in sets.into_iter().filter(|set| set.status.replicas > 0) {
        let template = set.annotation(EXPERIMENT_TEMPLATE_NAME_ANNOTATION);
        let tags = template.map(|name| format!("Σ:{name}"));
        add_images(images, &set.template, tags.into_iter().collect());
    }
}

fn add_images(images: &mut Vec<ImageUse>, template: &PodTemplate, tags: BTreeSet<String>) {
    for (_, image) in template.images() {
        match images.iter_mut().find(|known| known.image == image) {
            Some(known) => known.tags.extend(tags.iter().cloned()),
            None => images.push(ImageUse {
                image: image.to_owned(),
                tags: tags.clone(),
            }),
        }
    }
}

impl Item {
    fn new(kind: Kind, metadata: &ObjectMeta, status: &str, mark: Mark) -> Self {
        Self {
            kind,
            name: metadata.name.clone(),
            status: status.to_owned(),
            mark,
            created: metadata.creation_timestamp,
            tags: Vec::new(),
            scale_down_at: None,
            measurements: None,
            ready: None,
            restarts: 0,
            children: Vec::new(),
        }
    }
}

fn set_item(set: &ReplicaSet, tags: Vec<&'static str>, pods: &[PodView]) -> Item {
    let (status, mark) = set_health(set);
    let deadline = set.annotation(SCALE_DOWN_DEADLINE_ANNOTATION);
    let mut mine: Vec<&PodView> = pods
        .iter()
        .filter(|pod| pod.owner_uids.contains(&set.metadata.uid))
        .collect();
    mine.sort_by(|a, b| a.created.cmp(&b.created).then(a.name.cmp(&b.name)));
    Item {
        tags,
        scale_down_at: deadline.and_then(|text| Timestamp::parse(text).ok()),
        children: mine.into_iter().map(pod_item).collect(),
        ..Item::new(Kind::ReplicaSet, &set.metadata, status, mark)
    }
}

fn set_health(set: &ReplicaSet) -> (&'static str, Mark) {
    let status = &set.status;
    if set.metadata.generation > status.observed_generation {
        return ("Progressing", Mark::Progressing);
    }
    let failure = status.conditions.iter().any(|condition| {
        condition.type_ == "ReplicaFailure" && condition.status == ConditionStatus::True
    });
    if failure {
        ("ReplicaFailure", Mark::Bad)
    } else if status.available_replicas < set.replicas {
        ("Progressing", Mark::Progressing)
    } else if set.replicas == 0 {
        ("ScaledDown", Mark::Neutral)
    } else {
        ("Healthy", Mark::Ok)
    }
}

fn pod_item(pod: &PodView) -> Item {
    let metadata = ObjectMeta {
        name: pod.name.clone(),
        creation_timestamp: pod.created,
        ..ObjectMeta::default()
    };
    Item {
        ready: Some((pod.ready_containers, pod.containers)),
        restarts: pod.restarts,
        ..Item::new(Kind::Pod, &metadata, &pod.status, pod.mark())
    }
}

fn experiment_item(experiment: &Experiment, observed: &Observed, pods: &[PodView]) -> Item {
    let uid = experiment.metadata.uid.as_str();
    let sets = owned(
        observed.replica_sets.values().map(AsRef::as_ref),
        uid,
        |set| &set.metadata,
    );
    let runs = owned(
        observed.analysis_runs.values().map(AsRef::as_ref),
        uid,
        |run| &run.metadata,
    );
    let sets = sets.into_iter().map(|set| set_item(set, Vec::new(), pods));
    let phase = experiment.status.phase;
    Item {
        children: sets.chain(runs.into_iter().map(run_item)).collect(),
        ..Item::new(
            Kind::Experiment,
            &experiment.metadata,
            phase.as_str(),
            analysis_mark(phase),
        )
    }
}

fn run_item(run: &AnalysisRun) -> Item {
    let results = &run.status.metric_results;
    let mut outcomes = [0_i64; 4];
    for result in results {
        let counts = [
            result.successful,
            result.failed,
            result.inconclusive,
            result.error,
        ];
        for (total, count) in outcomes.iter_mut().zip(counts) {
            *total = total.saturating_add(i64::from(count));
        }
    }
    let measurements = (results.iter()).flat_map(|result| result.measurements.iter());
    let jobs = measurements.filter_map(|measurement| {
        let metadata = ObjectMeta {
            name: measurement.metadata.get(JOB_NAME_KEY)?.clone(),
            creation_timestamp: measurement.started_at,
            ..ObjectMeta::default()
        };
        let phase = measurement.phase;
        Some(Item::new(
            Kind::Job,
            &metadata,
            phase.as_str(),
            analysis_mark(phase),
        ))
    });
    let phase = run.status.phase;
    Item {
        measurements: Some(outcomes),
        children: jobs.collect(),
        ..Item::new(
            Kind::AnalysisRun,
            &run.metadata,
            phase.as_str(),
            analysis_mark(phase),
        )
    }
}

fn phase_mark(phase: RolloutPhase) -> Mark {
    match phase {
        RolloutPhase::Healthy => Mark::Ok,
        RolloutPhase::Degraded => Mark::Bad,
        RolloutPhase::Progressing => Mark::Progressing,
        RolloutPhase::Paused => Mark::Paused,
        RolloutPhase::Unset => Mark::None,
    }
}

pub(super) fn analysis_mark(phase: AnalysisPhase) -> Mark {
    match phase {
        AnalysisPhase::Successful => Mark::Ok,
        AnalysisPhase::Inconclusive => Mark::Unknown,
        AnalysisPhase::Failed => Mark::Bad,
        AnalysisPhase::Error => Mark::Warning,
        AnalysisPhase::Running => Mark::Progressing,
        AnalysisPhase::Pending => Mark::Waiting,
        AnalysisPhase::Unset => Mark::None,
    }
}
