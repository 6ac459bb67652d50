//! What happened in a simulation, as people want to read it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::engine::rollout::steps;
use crate::engine::{Decision, Event, EventKind, ReplicaSet};
use crate::spec::analysis::{AnalysisPhase, Measurement, Metric};
use crate::spec::rollout::Rollout;
use crate::spec::rollout_status::{RolloutConditionType, RolloutStatus};
use crate::time::{Duration, Timestamp};

use super::observer::{Change, ChangeKind, DecisionRecord, EventOutcome, Observer};
use super::recording::Recording;
use super::traffic::destinations;
use super::world::{Kind, Namespace, ObjectRef, World};

/// A line of the timeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Seconds since the release, negative before it.
    #[serde(rename = "seconds", serialize_with = "as_seconds")]
    pub at: Duration,
    pub kind: EntryKind,
    pub text: String,
    /// Why, where the engine said so.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum EntryKind {
    /// The scenario or a user did something.
    User,
    Step,
    Weight,
    Scale,
    Pods,
    Service,
    Pause,
    Analysis,
    Measurement,
    Experiment,
    Phase,
    Abort,
    Promotion,
    /// How requests fare.
    Traffic,
    /// Something is wrong.
    Problem,
}

impl EntryKind {
    /// The word in the timeline's second column.
    pub const fn as_str(self) -> &'static str {
        match self {
            EntryKind::User => "user",
            EntryKind::Step => "step",
            EntryKind::Weight => "weight",
            EntryKind::Scale => "scale",
            EntryKind::Pods => "pods",
            EntryKind::Service => "service",
            EntryKind::Pause => "pause",
            EntryKind::Analysis => "analysis",
            EntryKind::Measurement => "measure",
            EntryKind::Experiment => "experiment",
            EntryKind::Phase => "phase",
            EntryKind::Abort => "abort",
            EntryKind::Promotion => "promoted",
            EntryKind::Traffic => "traffic",
            EntryKind::Problem => "problem",
        }
    }
}

/// How much of the traffic, and how many pods, from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// Seconds since the release.
    #[serde(rename = "seconds", serialize_with = "as_seconds")]
    pub at: Duration,
    /// Share of the traffic that the released version gets, 0 to 1.
    pub share: f64,
    /// Pods of the released version.
    pub release_pods: i32,
    /// Pods of all versions.
    pub pods: i32,
}

/// A decision with its reasons, for `--explain`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    #[serde(rename = "seconds", serialize_with = "as_seconds")]
    pub at: Duration,
    pub object: String,
    pub reasons: Vec<String>,
    pub actions: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

fn as_seconds<S: serde::Serializer>(at: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(at.as_secs_f64())
}

/// Records one rollout's timeline, from [`Recorder::start`] on.
#[derive(Debug, Clone)]
pub struct Recorder {
    namespace: String,
    rollout: String,
    /// Whether the story is told. Otherwise entries only say when there was a promotion or an abort,
    /// and why is not explained.
    pub tells: bool,
    /// The instant of the release; before it nothing is recorded.
    origin: Option<Timestamp>,
    /// The version that was current before the release.
    old_hash: String,
    /// Whether another version has been current since.
    release_seen: bool,
    /// The status before the next change; where no story is told, what entries are made of alone.
    previous: Option<RolloutStatus>,
    /// As they were after their last change, as far as a story is told.
    sets: BTreeMap<String, Arc<ReplicaSet>>,
    services: BTreeMap<String, String>,
    phases: BTreeMap<String, AnalysisPhase>,
    last_reasons: Vec<String>,
    pub entries: Vec<Entry>,
    pub samples: Vec<Sample>,
    pub explanations: Vec<Explanation>,
    /// The latest phase of the run that measured a metric, by metric.
    pub run_phases: BTreeMap<String, AnalysisPhase>,
    pub measurements: usize,
    /// What it is recorded into, if it is.
    pub recording: Option<Recording>,
    /// When the first measurement failed, from the release on.
    pub first_failure: Option<Duration>,
}

impl Recorder {
    pub fn new(namespace: &str, rollout: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            rollout: rollout.to_owned(),
            tells: true,
            origin: None,
            old_hash: String::new(),
            release_seen: false,
            previous: None,
            recording: None,
            sets: BTreeMap::new(),
            services: BTreeMap::new(),
            phases: BTreeMap::new(),
            last_reasons: Vec::new(),
            entries: Vec::new(),
            samples: Vec::new(),
            explanations: Vec::new(),
            run_phases: BTreeMap::new(),
            measurements: 0,
            first_failure: None,
        }
    }

    /// From `now` on, everything is recorded, with times that count from it.
    pub fn start(&mut self, now: Timestamp, world: &World) {
        self.origin = Some(now);
        self.old_hash = world
            .rollout(&self.namespace, &self.rollout)
            .map(|rollout| rollout.status.current_pod_hash.clone())
            .unwrap_or_default();
        self.sample(now, world);
    }

    /// Notes what a user or the scenario does.
    pub fn user(&mut self, now: Timestamp, text: impl Into<String>) {
        if self.tells {
            self.note(now, EntryKind::User, text.into());
        }
    }

    /// Notes something that went wrong.
    pub fn problem(&mut self, now: Timestamp, text: impl Into<String>) {
        if self.tells {
            self.note(now, EntryKind::Problem, text.into());
        }
    }

    fn note(&mut self, now: Timestamp, kind: EntryKind, text: String) {
        let Some(origin) = self.origin else { return };
        self.entries.push(Entry {
            at: now.since(origin),
            kind,
            text,
            why: String::new(),
        });
    }

    fn sample(&mut self, now: Timestamp, world: &World) {
        let (Some(origin), Some(rollout)) =
            (self.origin, world.rollout(&self.namespace, &self.rollout))
        else {
            return;
        };
        let status = &rollout.status;
        self.release_seen |= status.current_pod_hash != self.old_hash;
        let share = if self.release_seen {
            destinations(world, &self.namespace, &self.rollout)
                .iter()
                .filter(|destination| destination.hash == status.current_pod_hash)
                .fold(0.0, |share, destination| share + destination.share)
        } else {
            0.0
        };
        let (mut pods, mut release_pods) = (0_i32, 0_i32);
        let place = world.observed(&self.namespace);
        let sets = place
            .into_iter()
            .flat_map(|place| place.replica_sets.values());
        for set in sets.filter(|set| self.is_own(set)) {
            pods = pods.saturating_add(set.status.replicas);
            if set.hash() == status.current_pod_hash {
                release_pods = release_pods.saturating_add(set.status.replicas);
            }
        }
        let at = now.since(origin);
        let sample = Sample {
            at,
            share,
            release_pods,
            pods,
        };
        match self.samples.last_mut() {
            Some(last) if last.at == at => *last = sample,
            Some(last)
                if last.share.to_bits() == share.to_bits()
                    && last.pods == pods
                    && last.release_pods == release_pods => {}
            Some(_) | None => self.samples.push(sample),
        }
    }

    fn rollout_changed(&mut self, now: Timestamp, rollout: &Rollout) {
        let new = &rollout.status;
        if !self.tells {
            self.rollout_changed_quietly(now, new);
            return;
        }
        let Some(old) = &self.previous.replace(new.clone()) else {
            return;
        };
        self.note_step(now, rollout, old, new);
        self.note_weights(now, old, new);
        self.note_pauses(now, rollout, old, new);
        if new.stable_rs != old.stable_rs {
            let name = self.version(&new.stable_rs);
            self.note(now, EntryKind::Promotion, format!("{name} is stable"));
        }
        let condition = |status: &RolloutStatus, type_| {
            crate::engine::rollout::conditions::condition(status, type_)
                .map(|condition| condition.message.clone())
        };
        if new.abort && !old.abort {
            let message = condition(new, RolloutConditionType::Progressing)
                .unwrap_or_else(|| "aborted".to_owned());
            self.note(now, EntryKind::Abort, message);
        }
        if old.abort && !new.abort {
            self.note(now, EntryKind::Abort, "the abort is taken back".to_owned());
        }
        let invalid = condition(new, RolloutConditionType::InvalidSpec);
        if let Some(message) = invalid.filter(|_| {
            condition(old, RolloutConditionType::InvalidSpec)
                != condition(new, RolloutConditionType::InvalidSpec)
        }) {
            self.note(now, EntryKind::Problem, message);
        }
        if new.phase != old.phase {
            let told = new.abort || new.message.starts_with("InvalidSpec");
            let text = if new.message.is_empty() || told {
                new.phase.to_string()
            } else {
                format!("{}: {}", new.phase, new.message)
            };
            self.note(now, EntryKind::Phase, text);
        }
    }

    fn rollout_changed_quietly(&mut self, now: Timestamp, new: &RolloutStatus) {
        let Some(old) = &mut self.previous else {
            self.previous = Some(RolloutStatus {
                stable_rs: new.stable_rs.clone(),
                abort: new.abort,
                ..RolloutStatus::default()
            });
            return;
        };
        let (promoted, aborted) = (new.stable_rs != old.stable_rs, new.abort != old.abort);
        if promoted {
            old.stable_rs.clone_from(&new.stable_rs);
            self.note(now, EntryKind::Promotion, String::new());
        }
        if let (true, Some(old)) = (aborted, &mut self.previous) {
            old.abort = new.abort;
            self.note(now, EntryKind::Abort, String::new());
        }
    }

    fn note_step(
        &mut self,
        now: Timestamp,
        rollout: &Rollout,
        old: &RolloutStatus,
        new: &RolloutStatus,
    ) {
        // After an abort the index goes back to the start, but no step is taken.
        if new.current_step_index == old.current_step_index || new.abort {
            return;
        }
        let Some(canary) = &rollout.spec.strategy.canary else {
            return;
        };
        let count = canary.steps.len();
        let text = match steps::current_step(rollout) {
            Some((index, step)) => {
                format!(
                    "{}/{count} {}",
                    index.saturating_add(1),
                    steps::step_text(step)
                )
            }
            None if count > 0 => format!("all {count} steps are done"),
            None => return,
        };
        self.note(now, EntryKind::Step, text);
    }

    fn note_weights(&mut self, now: Timestamp, old: &RolloutStatus, new: &RolloutStatus) {
        let weight = |status: &RolloutStatus| {
            status
                .canary
                .weights
                .as_ref()
                .map(|weights| (weights.canary.weight, weights.stable.weight))
        };
        if let Some((canary, stable)) = weight(new).filter(|_| weight(new) != weight(old)) {
            self.note(
                now,
                EntryKind::Weight,
                format!("canary {canary}, stable {stable}"),
            );
        }
    }

    fn note_pauses(
        &mut self,
        now: Timestamp,
        rollout: &Rollout,
        old: &RolloutStatus,
        new: &RolloutStatus,
    ) {
        for condition in &new.pause_conditions {
            let known = old
                .pause_conditions
                .iter()
                .any(|other| other.reason == condition.reason);
            if !known {
                let step = steps::current_step(rollout).and_then(|(_, step)| step.pause.as_ref());
                let length = match step {
                    Some(pause) => match &pause.duration {
                        Some(duration) => format!(" for {duration}"),
                        None => " until somebody promotes".to_owned(),
                    },
                    None => String::new(),
                };
                self.note(
                    now,
                    EntryKind::Pause,
                    format!("paused{length} ({})", condition.reason),
                );
            }
        }
        if new.pause_conditions.is_empty() && !old.pause_conditions.is_empty() && !new.abort {
            self.note(now, EntryKind::Pause, "goes on".to_owned());
        }
    }

    /// A version as `image (revision n)`.
    fn version(&self, hash: &str) -> String {
        self.sets
            .values()
            .find(|set| !hash.is_empty() && set.hash() == hash)
            .map_or_else(
                || format!("version {hash}"),
                |set| {
                    let image = set.template.first_image().unwrap_or("?");
                    format!("{} (revision {})", short_image(image), set.revision())
                },
            )
    }

    fn is_own(&self, set: &ReplicaSet) -> bool {
        let owner = set.metadata.controller();
        owner.is_some_and(|owner| owner.kind == "Rollout" && owner.name == self.rollout)
    }

    fn set_changed(&mut self, now: Timestamp, name: &str, place: &Namespace) {
        let Some(new) = place.observed.replica_sets.get(name) else {
            self.sets.remove(name);
            return;
        };
        if !self.tells || !self.is_own(new) {
            return;
        }
        let old = self.sets.insert(name.to_owned(), new.clone());
        let (old_size, old_ready) =
            old.map_or((0, 0), |old| (old.replicas, old.status.ready_replicas));
        let who = self.version(new.hash());
        if new.replicas != old_size {
            let text = format!("{who}: {old_size} → {} pods", new.replicas);
            self.note(now, EntryKind::Scale, text);
        }
        let ready = new.status.ready_replicas;
        let all_ready = ready == new.replicas && ready > old_ready;
        let lost = ready < old_ready && ready < new.replicas;
        if all_ready || lost {
            let text = format!("{who}: {ready} of {} ready", new.replicas);
            self.note(now, EntryKind::Pods, text);
        }
    }

    fn service_changed(&mut self, now: Timestamp, name: &str, place: &Namespace) {
        if !self.tells {
            return;
        }
        let Some(service) = place.observed.services.get(name) else {
            return;
        };
        let Some(hash) = service
            .spec
            .selector
            .get(crate::engine::POD_TEMPLATE_HASH_LABEL)
        else {
            return;
        };
        if self.services.insert(name.to_owned(), hash.clone()).as_ref() != Some(hash) {
            let version = self.version(hash);
            self.note(now, EntryKind::Service, format!("{name} → {version}"));
        }
    }

    fn run_changed(&mut self, now: Timestamp, name: &str, place: &Namespace) {
        let Some(run) = place.observed.analysis_runs.get(name) else {
            return;
        };
        let phase = run.status.phase;
        if !self.tells {
            for metric in run.spec.metrics.iter() {
                match self.run_phases.get_mut(&metric.name) {
                    Some(known) => *known = phase,
                    None => {
                        self.run_phases.insert(metric.name.clone(), phase);
                    }
                }
            }
            return;
        }
        let names: Vec<String> = run
            .spec
            .metrics
            .iter()
            .map(|metric| metric.name.clone())
            .collect();
        for metric in &names {
            self.run_phases.insert(metric.clone(), phase);
        }
        let old = self.phases.insert(name.to_owned(), phase);
        let kind = run
            .metadata
            .labels
            .get(crate::engine::ROLLOUT_TYPE_LABEL)
            .map_or("", String::as_str);
        let kind = match kind {
            "Step" => "analysis of the step",
            "Background" => "background analysis",
            "PrePromotion" => "pre-promotion analysis",
            "PostPromotion" => "post-promotion analysis",
            _ => "analysis",
        };
        if old.is_none() {
            let text = format!("{kind} started: {}", names.join(", "));
            self.note(now, EntryKind::Analysis, text);
        } else if phase.is_completed() && old != Some(phase) {
            let mut text = format!("{kind} {phase}");
            if !run.status.message.is_empty() {
                text = format!("{text}: {}", run.status.message);
            }
            self.note(now, EntryKind::Analysis, text);
        }
    }

    fn experiment_changed(&mut self, now: Timestamp, name: &str, place: &Namespace) {
        if !self.tells {
            return;
        }
        let Some(experiment) = place.observed.experiments.get(name) else {
            return;
        };
        let phase = experiment.status.phase;
        let key = format!("experiment/{name}");
        let old = self.phases.insert(key, phase);
        if old.is_none() {
            self.note(now, EntryKind::Experiment, format!("{name} started"));
        } else if old != Some(phase) {
            self.note(now, EntryKind::Experiment, format!("{name} {phase}"));
        }
    }

    fn explain<S>(&mut self, now: Timestamp, object: &ObjectRef, decision: &Decision<S>) {
        let (Some(origin), true) = (self.origin, self.tells) else {
            return;
        };
        let Decision {
            status,
            actions,
            wake_at: _,
            events: _,
            reasons,
            failure,
        } = decision;
        let idle = status.is_none() && actions.is_empty() && failure.is_none();
        if idle && *reasons == self.last_reasons {
            return;
        }
        self.last_reasons.clone_from(reasons);
        self.explanations.push(Explanation {
            at: now.since(origin),
            object: object.to_string(),
            reasons: reasons.clone(),
            actions: actions
                .iter()
                .map(crate::engine::Action::describe)
                .collect(),
            failure: failure.clone(),
        });
    }
}

impl Observer for Recorder {
    fn wants_events(&self) -> bool {
        self.tells
    }

    fn wants_decisions(&self) -> bool {
        self.tells || self.recording.is_some()
    }

    fn changed(&mut self, now: Timestamp, change: &Change, world: &World) {
        let object = &change.object;
        let Some(place) = world.namespaces.get(&self.namespace) else {
            return;
        };
        if *object.namespace != *self.namespace {
            return;
        }
        match &object.kind {
            Kind::Rollout if *object.name == *self.rollout => {
                if let Some(rollout) = place.rollouts.get(&*object.name) {
                    self.rollout_changed(now, rollout);
                }
            }
            Kind::ReplicaSet => self.set_changed(now, &object.name, place),
            Kind::Service => self.service_changed(now, &object.name, place),
            Kind::AnalysisRun if change.kind != ChangeKind::Deleted => {
                self.run_changed(now, &object.name, place);
            }
            Kind::Experiment if change.kind != ChangeKind::Deleted => {
                self.experiment_changed(now, &object.name, place);
            }
            Kind::Rollout
            | Kind::AnalysisTemplate
            | Kind::ClusterAnalysisTemplate
            | Kind::AnalysisRun
            | Kind::Experiment
            | Kind::Pod
            | Kind::Secret
            | Kind::Other { .. } => return,
        }
        self.sample(now, world);
    }

    fn event(&mut self, now: Timestamp, object: &ObjectRef, event: &Event, outcome: EventOutcome) {
        // Aborts and failed analyses are told by what follows from them.
        let told = event.reason == "RolloutAborted"
            || event.reason.starts_with("AnalysisRun")
            || event.reason.starts_with("Metric");
        if self.tells
            && event.kind == EventKind::Warning
            && outcome == EventOutcome::Stored
            && object.kind == Kind::Rollout
            && *object.name == *self.rollout
            && !told
        {
            self.note(
                now,
                EntryKind::Problem,
                format!("{}: {}", event.reason, event.message),
            );
        }
    }

    fn decided(&mut self, now: Timestamp, object: &ObjectRef, record: &DecisionRecord<'_>) {
        if let Some(recording) = &mut self.recording {
            recording.add(now, record);
        }
        match record {
            DecisionRecord::Rollout { decision, .. } => self.explain(now, object, decision),
            DecisionRecord::AnalysisRun { decision, .. } => self.explain(now, object, decision),
            DecisionRecord::Experiment { decision, .. } => self.explain(now, object, decision),
        }
    }

    fn measured(
        &mut self,
        now: Timestamp,
        _run: &ObjectRef,
        metric: &Metric,
        result: &Measurement,
    ) {
        if result.phase == AnalysisPhase::Running {
            return;
        }
        if let Some(origin) = self.origin {
            self.measurements = self.measurements.saturating_add(1);
            if result.phase == AnalysisPhase::Failed && self.first_failure.is_none() {
                self.first_failure = Some(now.since(origin));
            }
        }
        if !self.tells {
            return;
        }
        let value = if result.value.is_empty() {
            String::new()
        } else {
            format!(" = {}", result.value)
        };
        let mut text = format!("{}{value} {}", metric.name, result.phase);
        if !result.message.is_empty() {
            text = format!("{text}: {}", result.message);
        }
        if let Some(warnings) = result.metadata.get("warnings") {
            text = format!("{text}; warnings: {warnings}");
        }
        self.note(now, EntryKind::Measurement, text);
        if let (Some(entry), false) = (self.entries.last_mut(), self.origin.is_none()) {
            entry.why = condition_text(metric);
        }
    }

    fn failed(&mut self, now: Timestamp, object: &ObjectRef, reason: &str) {
        if !self.tells {
            return;
        }
        let text = format!("{object}: {reason}");
        let repeated = self
            .entries
            .iter()
            .rev()
            .take(3)
            .any(|entry| entry.text == text);
        if !repeated {
            self.note(now, EntryKind::Problem, text);
        }
    }
}

/// An image without its registry and path.
pub fn short_image(image: &str) -> &str {
    image.rsplit('/').next().unwrap_or(image)
}

/// The conditions that a measurement was judged by.
fn condition_text(metric: &Metric) -> String {
    let mut parts = Vec::new();
    if !metric.success_condition.is_empty() {
        parts.push(format!("success: {}", metric.success_condition));
    }
    if !metric.failure_condition.is_empty() {
        parts.push(format!("failure: {}", metric.failure_condition));
    }
    parts.join(", ")
}
