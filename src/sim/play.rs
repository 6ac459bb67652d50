//! Playing a scenario: objects and events in, timeline, totals and verdicts out.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::engine::rollout::{conditions, steps};
use crate::engine::verbs::Verb;
use crate::promql::Store;
use crate::spec::rollout::Rollout;
use crate::spec::rollout_status::{
    PauseCondition, PauseReason, RolloutConditionType, RolloutPhase, RolloutStatus,
};
use crate::time::{Duration, Timestamp};

use super::chance::{Mishaps, RandomPodLives};
use super::command::Command;
use super::faults::{Fault, PodFaultEffect, PodSelection};
use super::recording::Recording;
use super::scenario::metrics::ScenarioMetrics;
use super::scenario::{Expectation, PodChoice, Range, Scenario, ScenarioEvent, Target, Undo};
use super::settings::Settings;
use super::simulation::Simulation;
use super::telemetry::{Telemetry, TrafficTotals};
use super::timeline::{Entry, Explanation, Recorder, Sample, short_image};
use super::world::{Kind, ObjectRef};

/// The first deployment may take this long to come to rest.
const WARM_UP: Duration = Duration::from_secs(24 * 3600);
/// The longest simulation without `until`.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// A rollout that is at rest or waits for people is watched this long.
const AFTERMATH: Duration = Duration::from_secs(15 * 60);

/// What came of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Play {
    pub namespace: String,
    pub rollout: String,
    pub seed: u64,
    pub timeline: Vec<Entry>,
    pub outcome: Outcome,
    pub totals: Totals,
    pub samples: Vec<Sample>,
    pub checks: Vec<Check>,
    /// What the reader should know of how this was found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    #[serde(skip)]
    pub explanations: Vec<Explanation>,
}

/// Where the rollout ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    pub verdict: Verdict,
    pub phase: String,
    pub message: String,
    pub stable_image: String,
    /// Whether it waits because an analysis or an experiment decided nothing.
    pub inconclusive: bool,
    /// Seconds from the release to the end of the simulation.
    pub ended_after: f64,
}

/// The outcome in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// The released version is stable, and all is healthy.
    Promoted,
    Aborted,
    /// Waits for somebody to promote.
    WaitsForPeople,
    /// Healthy, and nothing was released.
    Healthy,
    /// The spec or a reference is refused.
    Invalid,
    /// Not at rest when the simulation ended.
    Unfinished,
    /// Nothing will change any more, but it is not healthy.
    Stuck,
}

impl Verdict {
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Promoted => "promoted",
            Verdict::Aborted => "aborted",
            Verdict::WaitsForPeople => "waits for somebody to promote",
            Verdict::Healthy => "healthy",
            Verdict::Invalid => "invalid",
            Verdict::Unfinished => "unfinished",
            Verdict::Stuck => "stuck",
        }
    }
}

/// Sums over a simulation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Seconds from the release until its version was stable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_full_promotion: Option<f64>,
    /// Seconds from the release to its first measurement that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_first_failure: Option<f64>,
    /// Seconds from the release to its abort.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_abort: Option<f64>,
    /// Seconds from the release until, after its abort, it had no traffic any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_return: Option<f64>,
    /// How long the release had which share of the traffic, up to its promotion or abort.
    pub time_at_share: Vec<TimeAtShare>,
    /// Share of all requests, if traffic is even, that the release served before it was stable or
    /// given up: 0 to 1 of the time until then.
    pub served_by_release: f64,
    /// The highest share of the traffic that the release had, 0 to 1.
    pub highest_share: f64,
    pub peak_pods: i32,
    pub measurements: usize,
    /// Requests since the release, where the scenario has traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficTotals>,
}

/// A share of the traffic and how long the release had it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TimeAtShare {
    /// 0 to 1.
    pub share: f64,
    pub seconds: f64,
}

/// An expectation and whether it held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    pub passed: bool,
    pub expected: String,
    pub found: String,
}

/// Which rollout a scenario is about.
///
/// # Errors
/// There is none, or several and the scenario does not say which.
pub fn choose_rollout(objects: &[Value], scenario: &Scenario) -> Result<(String, String), String> {
    let rollouts: Vec<(String, String)> = objects
        .iter()
        .filter(|object| text(object, "/kind") == "Rollout")
        .map(|object| {
            (
                namespace_of(object),
                text(object, "/metadata/name").to_owned(),
            )
        })
        .filter(|(namespace, name)| {
            scenario
                .rollout
                .as_ref()
                .is_none_or(|wanted| wanted == name)
                && scenario
                    .namespace
                    .as_ref()
                    .is_none_or(|wanted| wanted == namespace)
        })
        .collect();
    match rollouts.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(match &scenario.rollout {
            Some(name) => format!("there is no Rollout {name:?} in these files"),
            None => "there is no Rollout in these files".to_owned(),
        }),
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|(namespace, name)| format!("{namespace}/{name}"))
                .collect();
            Err(format!("there are several Rollouts: {}", names.join(", ")))
        }
    }
}

/// Plays a scenario that names no traces with these objects.
///
/// # Errors
/// The rollout cannot be chosen, or the simulated API server refuses an object.
pub fn play(objects: &[Value], scenario: &Scenario) -> Result<Play, String> {
    if let Some(trace) = scenario.traces.first() {
        return Err(format!("the trace {} was not read", trace.file));
    }
    play_with_traces(objects, scenario, &Store::new())
}

/// Plays a scenario with these objects, and with the series of its traces, whose times count from
/// the release in milliseconds.
///
/// # Errors
/// See [`play`].
pub fn play_with_traces(
    objects: &[Value],
    scenario: &Scenario,
    traces: &Store,
) -> Result<Play, String> {
    let player = Player::new(objects, scenario, traces, None)?;
    Ok(player.play(scenario, scenario.seed.unwrap_or_default()).0)
}

/// The same, with the recording of all decisions.
///
/// # Errors
/// See [`play`].
pub fn play_recorded(
    objects: &[Value],
    scenario: &Scenario,
    traces: &Store,
) -> Result<(Play, String), String> {
    let player = Player::new(objects, scenario, traces, Some(Recording::default()))?;
    Ok(player.play(scenario, scenario.seed.unwrap_or_default()))
}

/// A scenario and objects that are at rest before the release, to be played with many seeds.
///
/// What does not depend on chance is done once: objects are read and applied, the first version is
/// deployed, queries are looked through. Playing it leaves it as it is, so threads may share it.
#[derive(Debug, Clone)]
pub struct Prepared {
    scenario: Scenario,
    player: Player,
}

impl Prepared {
    /// Gets everything ready; the scenario's own seed does not matter.
    ///
    /// # Errors
    /// See [`play`].
    pub fn new(objects: &[Value], scenario: &Scenario, traces: &Store) -> Result<Self, String> {
        Ok(Self {
            scenario: scenario.clone(),
            player: Player::new(objects, scenario, traces, None)?,
        })
    }

    /// The same as [`play_with_traces`] of the scenario with this seed.
    pub fn play(&self, seed: u64) -> Play {
        self.player.clone().play(&self.scenario, seed).0
    }

    /// The same end as that of [`Prepared::play`], in less time, without the story.
    pub fn outcome(&self, seed: u64) -> Row {
        let mut player = self.player.clone();
        player.recorder.tells = false;
        let Play {
            namespace: _,
            rollout: _,
            seed: _,
            timeline: _,
            outcome,
            totals,
            samples: _,
            checks: _,
            notes: _,
            explanations: _,
        } = player.play(&self.scenario, seed).0;
        Row {
            seed,
            outcome,
            totals,
        }
    }
}

/// What came of one of many runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    pub seed: u64,
    pub outcome: Outcome,
    pub totals: Totals,
}

#[derive(Debug, Clone)]
pub(super) struct Player {
    pub simulation: Simulation<ScenarioMetrics, RandomPodLives>,
    pub recorder: Recorder,
    pub namespace: String,
    pub name: String,
    /// The release.
    pub origin: Timestamp,
    released: bool,
    /// Phase, step and pauses, and since when they have been the same.
    pub last_key: Option<StateKey>,
    last_key_at: Timestamp,
}

/// What has to change so that something goes on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StateKey {
    phase: RolloutPhase,
    step: Option<i32>,
    pauses: Vec<PauseCondition>,
    replicas: i32,
    stable: String,
}

impl StateKey {
    fn of(status: &RolloutStatus) -> Self {
        Self {
            phase: status.phase,
            step: status.current_step_index,
            pauses: status.pause_conditions.clone(),
            replicas: status.replicas,
            stable: status.stable_rs.clone(),
        }
    }

    /// Whether it is that of this status; without a copy.
    fn is_of(&self, status: &RolloutStatus) -> bool {
        let Self {
            phase,
            step,
            pauses,
            replicas,
            stable,
        } = self;
        *phase == status.phase
            && *step == status.current_step_index
            && *pauses == status.pause_conditions
            && *replicas == status.replicas
            && *stable == status.stable_rs
    }
}

impl Player {
    /// Deploys the first version and waits until it is at rest. Nothing of that depends on the seed.
    pub fn new(
        objects: &[Value],
        scenario: &Scenario,
        traces: &Store,
        recording: Option<Recording>,
    ) -> Result<Self, String> {
        let (namespace, name) = choose_rollout(objects, scenario)?;
        let mut settings = Settings::default();
        let cluster = &scenario.cluster;
        settings.pod_ready_after = cluster
            .pod_ready_after
            .map_or(settings.pod_ready_after, |it| it.0);
        settings.router_lag = cluster.router_lag.map_or(settings.router_lag, |it| it.0);
        settings.reconcile_delay = cluster
            .reconcile_delay
            .map_or(settings.reconcile_delay, |it| it.0);
        let telemetry = Telemetry::new(scenario, (&namespace, &name), objects, traces)?;
        let random = scenario.random.clone().unwrap_or_default();
        let mishaps = Mishaps::new(random.measurements);
        let metrics =
            ScenarioMetrics::new(&namespace, &name, &scenario.metrics, mishaps, telemetry);
        let pods = RandomPodLives::new(random.pods);
        let mut player = Self {
            recorder: Recorder::new(&namespace, &name),
            simulation: Simulation::new(settings, metrics, pods),
            namespace,
            name,
            origin: Timestamp::from_secs(0),
            released: false,
            last_key: None,
            last_key_at: Timestamp::from_secs(0),
        };
        player.recorder.recording = recording;
        player.set_up(objects)?;
        Ok(player)
    }

    /// What came of it, and its recording.
    fn play(mut self, scenario: &Scenario, seed: u64) -> (Play, String) {
        self.start_traffic(seed);
        let checks = self.run(scenario);
        let recording = self.recorder.recording.take();
        let lines = recording.map(|recording| recording.lines);
        (self.finish(seed, checks), lines.unwrap_or_default())
    }

    fn set_up(&mut self, objects: &[Value]) -> Result<(), String> {
        // What others refer to comes first, as a careful user would apply it.
        let order = |object: &&Value| match text(object, "/kind") {
            "Rollout" => 1,
            "AnalysisRun" | "Experiment" => 2,
            _ => 0,
        };
        let mut sorted: Vec<&Value> = objects.iter().collect();
        sorted.sort_by_key(order);
        for object in sorted {
            let mut object = object.clone();
            if let Some(fields) = object.as_object_mut() {
                fields.shift_remove("status");
            }
            let namespace = namespace_of(&object);
            self.simulation
                .act(Command::Apply { namespace, object }, &mut self.recorder)?;
        }
        let limit = self.simulation.now() + WARM_UP;
        while let Some(next) = self.simulation.next_event().filter(|next| *next <= limit) {
            self.simulation.run_until(next, &mut self.recorder);
            let done = self.rollout().is_some_and(|rollout| {
                rollout.status.phase == RolloutPhase::Healthy && rollout.is_observed()
            });
            let refused = self.rollout().is_some_and(is_refused);
            if done || refused || self.is_settled(self.simulation.now()) {
                break;
            }
        }
        let whole = (self.simulation.now() + Duration::from_millis(999)).truncate_to_seconds();
        self.simulation.run_until(whole, &mut self.recorder);
        Ok(())
    }

    /// Lets requests come, drawn with this seed, for as long as they should have come before the
    /// release; then everything is recorded.
    pub fn start_traffic(&mut self, seed: u64) {
        self.simulation.settings.seed = seed;
        self.simulation.metrics.start(seed);
        self.simulation.pod_model.start_trouble();
        let started = self.simulation.now();
        let mut whole = started;
        if let Some(telemetry) = &mut self.simulation.metrics.telemetry {
            whole = started + telemetry.history();
            telemetry.start(seed, started, whole, &self.simulation.store.world);
        }
        self.simulation.run_until(whole, &mut self.recorder);
        self.origin = whole;
        self.last_key_at = whole;
        self.recorder.start(whole, self.simulation.world());
        if let Some(rollout) = self.rollout().cloned()
            && rollout.status.phase != RolloutPhase::Healthy
        {
            let text = format!(
                "the first deployment is {}: {}",
                rollout.status.phase, rollout.status.message
            );
            self.recorder.problem(whole, text);
        }
    }

    pub fn rollout(&self) -> Option<&Rollout> {
        self.simulation
            .world()
            .rollout(&self.namespace, &self.name)
            .map(std::convert::AsRef::as_ref)
    }

    fn run(&mut self, scenario: &Scenario) -> Vec<Check> {
        let refused = self.rollout().is_some_and(is_refused);
        // Nothing can be released of a rollout that is refused; events may mend it.
        if !refused || scenario.release.is_some() {
            self.release(scenario);
        }
        let mut checks: BTreeMap<usize, Check> = BTreeMap::new();
        let mut moments: Vec<(Timestamp, Moment)> = Vec::new();
        for (index, event) in scenario.events.iter().enumerate() {
            let at = event.at.map_or(Duration::ZERO, |at| at.0);
            moments.push((self.origin + at, Moment::Event(index)));
        }
        for (index, expectation) in scenario.expect.iter().enumerate() {
            if let Some(at) = expectation.at.or(expectation.by) {
                moments.push((self.origin + at.0, Moment::Expectation(index)));
            }
        }
        // Events before expectations of the same instant: what is expected is expected after them.
        moments.sort_by_key(|(at, moment)| (*at, matches!(moment, Moment::Expectation(_))));
        let until = scenario.until.map(|until| self.origin + until.0);
        for (at, moment) in moments {
            if until.is_some_and(|until| at > until) {
                continue;
            }
            self.advance(at, scenario, &mut checks);
            match moment {
                Moment::Event(index) => {
                    if let Some(event) = scenario.events.get(index) {
                        self.happen(event);
                    }
                }
                Moment::Expectation(index) => {
                    if let Some(expectation) = scenario.expect.get(index) {
                        checks
                            .entry(index)
                            .or_insert_with(|| self.check(expectation));
                    }
                }
            }
        }
        match until {
            Some(until) => self.advance(until, scenario, &mut checks),
            None => self.advance_to_rest(scenario, &mut checks),
        }
        for (index, expectation) in scenario.expect.iter().enumerate() {
            checks
                .entry(index)
                .or_insert_with(|| self.check(expectation));
        }
        checks.into_values().collect()
    }

    /// Runs to `end`, looking at each event whether an expectation with `by` holds.
    fn advance(
        &mut self,
        end: Timestamp,
        scenario: &Scenario,
        checks: &mut BTreeMap<usize, Check>,
    ) {
        while let Some(next) = self.simulation.next_event().filter(|next| *next <= end) {
            self.step_to(next, scenario, checks);
        }
        self.simulation.run_until(end, &mut self.recorder);
    }

    pub fn step_to(
        &mut self,
        at: Timestamp,
        scenario: &Scenario,
        checks: &mut BTreeMap<usize, Check>,
    ) {
        self.simulation.run_until(at, &mut self.recorder);
        let rollout = self.rollout();
        let is_same = match (rollout, &self.last_key) {
            (Some(rollout), Some(key)) => key.is_of(&rollout.status),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !is_same {
            self.last_key = rollout.map(|rollout| StateKey::of(&rollout.status));
            self.last_key_at = at;
        }
        for (index, expectation) in scenario.expect.iter().enumerate() {
            if expectation.by.is_some() && !checks.contains_key(&index) {
                let check = self.check(expectation);
                if check.passed {
                    checks.insert(index, check);
                }
            }
        }
    }

    fn advance_to_rest(&mut self, scenario: &Scenario, checks: &mut BTreeMap<usize, Check>) {
        let limit = self.origin + LONGEST;
        while let Some(next) = self.simulation.next_event().filter(|next| *next <= limit) {
            if self.is_settled(next) {
                break;
            }
            self.step_to(next, scenario, checks);
        }
    }

    /// Whether nothing of interest will happen up to `next`.
    pub fn is_settled(&self, next: Timestamp) -> bool {
        let Some(rollout) = self.rollout() else {
            return true;
        };
        let at_rest = match rollout.status.phase {
            RolloutPhase::Healthy | RolloutPhase::Degraded => true,
            RolloutPhase::Paused => waits_for_people(rollout),
            RolloutPhase::Progressing | RolloutPhase::Unset => false,
        };
        rollout.is_observed() && at_rest && next.since(self.last_key_at) > AFTERMATH
    }

    pub fn release(&mut self, scenario: &Scenario) {
        let release = match &scenario.release {
            Some(release) => release.clone(),
            None if scenario.events.is_empty() => super::scenario::Release::default(),
            None => return,
        };
        self.released = true;
        let image = match (&release.image, &release.patch) {
            (Some(image), _) => Some(image.clone()),
            (None, None) => Some(self.next_image()),
            (None, Some(_)) => None,
        };
        if let Some(image) = image {
            self.set_image(&image);
        }
        if let Some(patch) = release.patch {
            self.patch(patch);
        }
    }

    /// For a release that the user did not name: another image of the first container, which is the
    /// application; those after it are sidecars.
    pub fn next_image(&self) -> String {
        match self.stable_container() {
            Some((container, image)) => format!("{container}={image}-next"),
            None => "image:v1-next".to_owned(),
        }
    }

    fn present_image(&self) -> String {
        self.stable_container()
            .map(|(_, image)| image)
            .unwrap_or_default()
    }

    /// Name and image of the stable version's first container.
    fn stable_container(&self) -> Option<(String, String)> {
        let world = self.simulation.world();
        let hash = self
            .rollout()
            .map(|rollout| rollout.status.stable_rs.clone())
            .unwrap_or_default();
        world
            .observed(&self.namespace)
            .into_iter()
            .flat_map(|observed| observed.replica_sets.values())
            .find(|set| !hash.is_empty() && set.hash() == hash)
            .and_then(|set| set.template.images().next())
            .map(|(container, image)| (container.to_owned(), image.to_owned()))
    }

    fn set_image(&mut self, image: &str) {
        let (container, image) = match image.split_once('=') {
            Some((container, image)) => (Some(container.to_owned()), image.to_owned()),
            None => (None, image.to_owned()),
        };
        let text = format!(
            "set image {} (was {})",
            short_image(&image),
            short_image(&self.present_image())
        );
        self.verb(Verb::SetImage { container, image }, &text);
    }

    fn patch(&mut self, patch: Value) {
        let text = format!("patch {patch}");
        let object = ObjectRef::new(Kind::Rollout, &self.namespace, &self.name);
        self.act(Command::Patch { object, patch }, &text);
    }

    fn verb(&mut self, verb: Verb, text: &str) {
        let command = Command::Rollout {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            verb,
        };
        self.act(command, text);
    }

    fn act(&mut self, command: Command, text: &str) {
        let now = self.simulation.now();
        self.recorder.user(now, text);
        if let Err(error) = self.simulation.act(command, &mut self.recorder) {
            self.recorder.problem(now, format!("refused: {error}"));
        }
    }

    fn pods(&self, choice: &PodChoice) -> PodSelection {
        PodSelection {
            namespace: self.namespace.clone(),
            owner: Some(self.name.clone()),
            image: choice.image.clone(),
            hash: None,
            revision: choice.revision,
            limit: choice.count,
        }
    }

    pub fn happen(&mut self, event: &ScenarioEvent) {
        let ScenarioEvent {
            at: _,
            set_image,
            promote,
            promote_full,
            skip_current_step,
            skip_all_steps,
            abort,
            retry,
            pause,
            undo,
            restart,
            scale,
            terminate_analysis,
            terminate_experiment,
            patch,
            apply,
            delete,
            delete_pods,
            crash_pods,
            pods,
            outage,
            controller_down,
            clock_jump,
            refuse_writes,
        } = event;
        if let Some(image) = set_image {
            self.set_image(image);
        }
        let verbs = [
            (promote, Verb::Promote, "promote"),
            (promote_full, Verb::PromoteFull, "promote --full"),
            (
                skip_current_step,
                Verb::SkipCurrentStep,
                "promote --skip-current-step",
            ),
            (
                skip_all_steps,
                Verb::SkipAllSteps,
                "promote --skip-all-steps",
            ),
            (abort, Verb::Abort, "abort"),
            (retry, Verb::Retry, "retry"),
            (pause, Verb::Pause, "pause"),
            (restart, Verb::Restart { at: None }, "restart"),
        ];
        for (given, verb, text) in verbs {
            if given.is_some() {
                self.verb(verb, text);
            }
        }
        match undo {
            Some(Undo::Previous(_)) => self.verb(Verb::Undo { revision: None }, "undo"),
            Some(Undo::Revision(revision)) => {
                let text = format!("undo --to-revision={revision}");
                self.verb(
                    Verb::Undo {
                        revision: Some(*revision),
                    },
                    &text,
                );
            }
            None => {}
        }
        let named = |target: &Target| match target {
            Target::Current(_) => None,
            Target::Named(name) => Some(name.clone()),
        };
        if let Some(target) = terminate_analysis {
            self.verb(
                Verb::TerminateAnalysis {
                    name: named(target),
                },
                "terminate analysisrun",
            );
        }
        if let Some(target) = terminate_experiment {
            self.verb(
                Verb::TerminateExperiment {
                    name: named(target),
                },
                "terminate experiment",
            );
        }
        if let Some(replicas) = scale {
            let command = Command::Scale {
                namespace: self.namespace.clone(),
                name: self.name.clone(),
                replicas: *replicas,
            };
            self.act(command, &format!("scale to {replicas}"));
        }
        if let Some(patch) = patch {
            self.patch(patch.clone());
        }
        if let Some(object) = apply {
            let text = format!(
                "apply {} {}",
                text(object, "/kind"),
                text(object, "/metadata/name")
            );
            let namespace = self.namespace.clone();
            self.act(
                Command::Apply {
                    namespace,
                    object: object.clone(),
                },
                &text,
            );
        }
        if let Some(words) = delete {
            self.delete(words);
        }
        if let Some(choice) = delete_pods {
            let selection = self.pods(choice);
            self.act(Command::DeletePods(selection), "delete pods");
        }
        if let Some(crash) = crash_pods {
            let choice = PodChoice {
                image: crash.image.clone(),
                revision: crash.revision,
                count: crash.count,
            };
            let fault = Fault::CrashPods {
                selection: self.pods(&choice),
                restart_after: crash.ready_again_after.map(|after| after.0),
            };
            self.act(Command::Fault(fault), "pods crash");
        }
        if let Some(trouble) = pods {
            let choice = PodChoice {
                image: trouble.image.clone(),
                revision: trouble.revision,
                count: None,
            };
            let effect = if let Some(reason) = &trouble.never_ready {
                PodFaultEffect::NeverReady {
                    waiting_reason: reason.clone(),
                }
            } else if let Some(after) = trouble.crash_after {
                PodFaultEffect::CrashAfter {
                    ready_for: after.0,
                    restart_after: trouble.ready_again_after.map(|after| after.0),
                }
            } else if let Some(after) = trouble.ready_after {
                PodFaultEffect::ReadyAfter(after.0)
            } else {
                PodFaultEffect::None
            };
            let text = match &effect {
                PodFaultEffect::None => "pods live as usual again".to_owned(),
                PodFaultEffect::NeverReady { waiting_reason } => {
                    format!("pods do not become ready any more ({waiting_reason})")
                }
                PodFaultEffect::ReadyAfter(after) => format!("pods become ready after {after}"),
                PodFaultEffect::CrashAfter {
                    ready_for,
                    restart_after: _,
                } => {
                    format!("pods crash after {ready_for}")
                }
            };
            let selection = self.pods(&choice);
            self.act(Command::Fault(Fault::Pods { selection, effect }), &text);
        }
        if let Some(outage) = outage {
            let message = outage
                .message
                .clone()
                .unwrap_or_else(|| "connection refused".to_owned());
            let until = outage.lasts.map(|lasts| self.simulation.now() + lasts.0);
            let text = match &outage.metric {
                Some(metric) => format!("the provider of {metric} does not answer"),
                None => "metric providers do not answer".to_owned(),
            };
            let fault = Fault::ProviderOutage {
                metric: outage.metric.clone(),
                message,
                until,
            };
            self.act(Command::Fault(fault), &text);
        }
        if let Some(after) = controller_down {
            let fault = Fault::ControllerDown {
                up_after: Some(after.0),
            };
            self.act(
                Command::Fault(fault),
                &format!("the controller is down for {}", after.0),
            );
        }
        if let Some(jump) = clock_jump {
            let text = format!("the controller's clock jumps by {}", jump.0);
            self.act(Command::Fault(Fault::ClockOffset(jump.0)), &text);
        }
        if let Some(count) = refuse_writes {
            let text = format!("the API server refuses the next {count} writes");
            self.act(Command::Fault(Fault::RefuseWrites { count: *count }), &text);
        }
    }

    fn delete(&mut self, words: &str) {
        let now = self.simulation.now();
        let parsed = match words.split_whitespace().collect::<Vec<_>>().as_slice() {
            [kind, name] => Kind::parse(kind).map(|kind| (kind, (*name).to_owned())),
            _ => Err(format!("expected `KIND NAME`, got {words:?}")),
        };
        match parsed {
            Ok((kind, name)) => {
                let object = ObjectRef::new(kind, &self.namespace, name);
                self.act(Command::Delete { object }, &format!("delete {words}"));
            }
            Err(error) => self.recorder.problem(now, error),
        }
    }

    /// Holds an expectation against the present state.
    fn check(&mut self, expectation: &Expectation) -> Check {
        let mut expected = Vec::new();
        let mut found = Vec::new();
        let mut passed = true;
        let mut compare = |what: &str, wanted: String, present: String, holds: bool| {
            expected.push(format!("{what} {wanted}"));
            found.push(format!("{what} {present}"));
            passed &= holds;
        };
        let Expectation {
            at,
            by,
            phase,
            message,
            step,
            weight,
            aborted,
            stable_image,
            pods,
            analysis,
            max_weight,
            served,
            failed_requests,
            failed_because_of_release,
        } = expectation;
        let status = self
            .rollout()
            .map(|rollout| rollout.status.clone())
            .unwrap_or_default();
        if let Some(wanted) = phase {
            let present = status.phase.to_string();
            compare("phase", wanted.clone(), present.clone(), *wanted == present);
        }
        if let Some(wanted) = message {
            let holds = status.message.contains(wanted.as_str());
            compare(
                "message",
                format!("{wanted:?}"),
                format!("{:?}", status.message),
                holds,
            );
        }
        if let Some(wanted) = step {
            let present = status.current_step_index;
            let text = present.map_or("none".to_owned(), |present| present.to_string());
            compare("step", wanted.to_string(), text, present == Some(*wanted));
        }
        if let Some(wanted) = aborted {
            compare(
                "aborted",
                wanted.to_string(),
                status.abort.to_string(),
                *wanted == status.abort,
            );
        }
        if let Some(wanted) = stable_image {
            let present = self.present_image();
            compare(
                "stable image",
                wanted.clone(),
                present.clone(),
                *wanted == present,
            );
        }
        // Sums over the whole timeline: only where they are asked for, as `by` asks at each event.
        let totals = (max_weight.is_some() || served.is_some()).then(|| self.totals());
        let totals = totals.as_ref();
        let failures = (failed_requests.is_some() || failed_because_of_release.is_some())
            .then(|| self.traffic_totals())
            .flatten();
        let sample = self.recorder.samples.last();
        let share = sample.map_or(0.0, |sample| sample.share * 100.0);
        let numbers = [
            ("weight", weight, share),
            (
                "pods",
                pods,
                sample.map_or(0.0, |sample| f64::from(sample.pods)),
            ),
            (
                "highest weight",
                max_weight,
                totals.map_or(0.0, |totals| totals.highest_share * 100.0),
            ),
            (
                "served by the release",
                served,
                totals.map_or(0.0, |totals| totals.served_by_release * 100.0),
            ),
            (
                "failed requests",
                failed_requests,
                failures.map_or(0.0, |totals| totals.failed),
            ),
            (
                "failed because of the release",
                failed_because_of_release,
                failures.map_or(0.0, |totals| totals.failed_because_of_release),
            ),
        ];
        for (what, wanted, present) in numbers {
            if let Some(wanted) = wanted {
                compare(
                    what,
                    range_text(wanted),
                    number_text(present),
                    wanted.holds(present),
                );
            }
        }
        for (metric, wanted) in analysis {
            let present = self
                .recorder
                .run_phases
                .get(metric)
                .map_or("never measured".to_owned(), ToString::to_string);
            compare(
                &format!("analysis of {metric}"),
                wanted.clone(),
                present.clone(),
                *wanted == present,
            );
        }
        let when = match (at, by) {
            (Some(at), _) => format!("at {}: ", at.0),
            (None, Some(by)) => format!("by {}: ", by.0),
            (None, None) => "at the end: ".to_owned(),
        };
        Check {
            passed,
            expected: format!("{when}{}", expected.join(", ")),
            found: found.join(", "),
        }
    }

    fn totals(&mut self) -> Totals {
        let promoted_at = self
            .recorder
            .entries
            .iter()
            .find(|entry| entry.kind == super::timeline::EntryKind::Promotion)
            .map(|entry| entry.at);
        let aborted_at = self
            .recorder
            .entries
            .iter()
            .find(|entry| entry.kind == super::timeline::EntryKind::Abort)
            .map(|entry| entry.at);
        let end = self.simulation.now().since(self.origin);
        let update_end = promoted_at
            .into_iter()
            .chain(aborted_at)
            .min()
            .unwrap_or(end);
        let samples = &self.recorder.samples;
        let mut at_share: BTreeMap<u64, f64> = BTreeMap::new();
        let (mut served, mut highest) = (0.0, 0.0_f64);
        for (index, sample) in samples.iter().enumerate() {
            if sample.at > update_end {
                break;
            }
            let until = samples
                .get(index.saturating_add(1))
                .map_or(update_end, |next| next.at.min(update_end));
            let seconds = (until - sample.at).as_secs_f64();
            highest = highest.max(sample.share);
            if seconds > 0.0 {
                served += sample.share * seconds;
                *at_share.entry(sample.share.to_bits()).or_insert(0.0) += seconds;
            }
        }
        // Shares are not negative: their bits have the order of the numbers.
        let time_at_share = at_share
            .into_iter()
            .map(|(share, seconds)| TimeAtShare {
                share: f64::from_bits(share),
                seconds,
            })
            .collect();
        let length = update_end.as_secs_f64();
        let returned_at = aborted_at.and_then(|aborted| {
            let before = samples.partition_point(|sample| sample.at <= aborted);
            let present = before.checked_sub(1).and_then(|index| samples.get(index));
            if present.is_some_and(|sample| sample.share <= 0.0) {
                return Some(aborted);
            }
            let mut after = samples.iter().skip(before);
            after.find(|sample| sample.share <= 0.0).map(|it| it.at)
        });
        Totals {
            time_to_full_promotion: promoted_at.map(Duration::as_secs_f64),
            time_to_first_failure: self.recorder.first_failure.map(Duration::as_secs_f64),
            time_to_abort: aborted_at.map(Duration::as_secs_f64),
            time_to_return: returned_at.map(Duration::as_secs_f64),
            time_at_share,
            served_by_release: if length > 0.0 { served / length } else { 0.0 },
            highest_share: highest,
            peak_pods: samples.iter().map(|sample| sample.pods).max().unwrap_or(0),
            measurements: self.recorder.measurements,
            traffic: self.traffic_totals(),
        }
    }

    fn traffic_totals(&mut self) -> Option<TrafficTotals> {
        let now = self.simulation.now();
        self.simulation.metrics.telemetry.as_mut()?.totals(now)
    }

    pub fn verdict(&self, rollout: &Rollout) -> Verdict {
        let status = &rollout.status;
        if is_refused(rollout) {
            return Verdict::Invalid;
        }
        if status.abort {
            return Verdict::Aborted;
        }
        match status.phase {
            RolloutPhase::Healthy => {
                let promoted = self
                    .recorder
                    .entries
                    .iter()
                    .any(|entry| entry.kind == super::timeline::EntryKind::Promotion);
                if promoted {
                    Verdict::Promoted
                } else {
                    Verdict::Healthy
                }
            }
            RolloutPhase::Paused if waits_for_people(rollout) => Verdict::WaitsForPeople,
            RolloutPhase::Degraded => Verdict::Stuck,
            RolloutPhase::Paused | RolloutPhase::Progressing | RolloutPhase::Unset => {
                if self.simulation.next_event().is_some() {
                    Verdict::Unfinished
                } else {
                    Verdict::Stuck
                }
            }
        }
    }

    fn finish(mut self, seed: u64, checks: Vec<Check>) -> Play {
        let rollout = self.rollout().cloned().unwrap_or_default();
        let outcome = Outcome {
            verdict: self.verdict(&rollout),
            phase: rollout.status.phase.to_string(),
            message: rollout.status.message.clone(),
            stable_image: self.present_image(),
            inconclusive: rollout.status.pause_conditions.iter().any(|condition| {
                match condition.reason {
                    PauseReason::InconclusiveAnalysis | PauseReason::InconclusiveExperiment => true,
                    PauseReason::CanaryPauseStep | PauseReason::BlueGreenPause => false,
                }
            }),
            ended_after: self.simulation.now().since(self.origin).as_secs_f64(),
        };
        let totals = self.totals();
        let mut timeline = self.recorder.entries;
        let mut notes = Vec::new();
        if let Some(telemetry) = &self.simulation.metrics.telemetry
            && self.recorder.tells
        {
            notes = telemetry.notes();
            timeline.extend(telemetry.entries());
            // What caused a change stands before the change.
            timeline.sort_by_key(|entry| entry.at);
        }
        Play {
            namespace: self.namespace,
            rollout: self.name,
            seed,
            timeline,
            outcome,
            totals,
            samples: self.recorder.samples,
            checks,
            notes,
            explanations: self.recorder.explanations,
        }
    }
}

enum Moment {
    Event(usize),
    Expectation(usize),
}

/// Whether the controller refuses the spec or something it refers to.
pub(super) fn is_refused(rollout: &Rollout) -> bool {
    conditions::condition(&rollout.status, RolloutConditionType::InvalidSpec).is_some()
}

/// Whether a paused rollout goes on only when somebody promotes it.
pub(super) fn waits_for_people(rollout: &Rollout) -> bool {
    if rollout.spec.paused {
        return true;
    }
    rollout
        .status
        .pause_conditions
        .iter()
        .any(|condition| match condition.reason {
            PauseReason::InconclusiveAnalysis | PauseReason::InconclusiveExperiment => true,
            PauseReason::CanaryPauseStep => steps::current_step(rollout)
                .and_then(|(_, step)| step.pause.as_ref())
                .is_some_and(|pause| pause.duration.is_none()),
            PauseReason::BlueGreenPause => rollout
                .spec
                .strategy
                .blue_green
                .as_ref()
                .is_some_and(|blue_green| blue_green.auto_promotion_seconds == 0),
        })
}

fn text<'v>(object: &'v Value, pointer: &str) -> &'v str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn namespace_of(object: &Value) -> String {
    let namespace = text(object, "/metadata/namespace");
    if namespace.is_empty() {
        "default".to_owned()
    } else {
        namespace.to_owned()
    }
}

fn range_text(range: &Range) -> String {
    match range {
        Range::Exactly(value) => number_text(*value),
        Range::Between(bounds) => match (bounds.min, bounds.max) {
            (Some(min), Some(max)) => format!("{} to {}", number_text(min), number_text(max)),
            (Some(min), None) => format!("at least {}", number_text(min)),
            (None, Some(max)) => format!("at most {}", number_text(max)),
            (None, None) => "any".to_owned(),
        },
    }
}

fn number_text(value: f64) -> String {
    let rounded = (value * 1000.0).round() / 1000.0;
    format!("{rounded}")
}
