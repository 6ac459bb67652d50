//! The course of a scenario: the first deployment, its events in time, and until when it is watched.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::engine::rollout::{conditions, steps};
use crate::promql::Store;
use crate::spec::rollout::Rollout;
use crate::spec::rollout_status::{
    PauseCondition, PauseReason, RolloutConditionType, RolloutPhase, RolloutStatus,
};
use crate::time::{Duration, Timestamp};

use super::courses::{Ending, Track};
use super::expectations::Check;
use super::outcome::{Play, Row};
use super::{choose_rollout, namespace_of, text};
use crate::sim::chance::{Mishaps, RandomPodLives};
use crate::sim::command::Command;
use crate::sim::recording::Recording;
use crate::sim::scenario::Scenario;
use crate::sim::scenario::metrics::ScenarioMetrics;
use crate::sim::settings::Settings;
use crate::sim::simulation::Simulation;
use crate::sim::telemetry::Telemetry;
use crate::sim::timeline::Recorder;

/// The first deployment may take this long to come to rest.
const WARM_UP: Duration = Duration::from_secs(24 * 3600);
/// The longest simulation without `until`.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// A rollout that is at rest or waits for people is watched this long.
const AFTERMATH: Duration = Duration::from_secs(15 * 60);

#[derive(Debug, Clone)]
pub(in crate::sim) struct Player {
    pub simulation: Simulation<ScenarioMetrics, RandomPodLives>,
    pub recorder: Recorder,
    pub namespace: String,
    pub name: String,
    /// The release.
    pub origin: Timestamp,
    /// Phase, step and pauses, and since when they have been the same.
    pub last_key: Option<StateKey>,
    last_key_at: Timestamp,
}

/// What has to change so that something goes on.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sim) struct StateKey {
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
            last_key: None,
            last_key_at: Timestamp::from_secs(0),
        };
        player.recorder.recording = recording;
        player.set_up(objects)?;
        Ok(player)
    }

    /// What came of it, and its recording.
    pub(super) fn play(mut self, scenario: &Scenario, seed: u64) -> (Play, String) {
        self.start_traffic(seed);
        let checks = self.run(scenario);
        let recording = self.recorder.recording.take();
        let lines = recording.map(|recording| recording.lines);
        (self.finish(seed, checks), lines.unwrap_or_default())
    }

    /// How it ends, and what other runs can know of it; without the story.
    pub(super) fn end(mut self, scenario: &Scenario, seed: u64) -> (Ending, Track) {
        self.recorder.tells = false;
        self.start_traffic(seed);
        let checks = self.run(scenario);
        let track = self.simulation.metrics.track.take();
        let at = self.simulation.now();
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
        } = self.finish(seed, checks);
        let row = Row {
            seed,
            outcome,
            totals,
        };
        (Ending { at, row }, track.unwrap_or_default())
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
        let Simulation {
            now,
            metrics,
            store,
            ..
        } = &mut self.simulation;
        let whole = *now + metrics.history();
        // Who followed known courses has started them.
        if metrics.track.is_none() {
            metrics.start(seed, *now, &store.world);
        }
        self.simulation.settings.seed = seed;
        self.simulation.pod_model.start_trouble();
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
}

enum Moment {
    Event(usize),
    Expectation(usize),
}

/// Whether the controller refuses the spec or something it refers to.
pub(in crate::sim) fn is_refused(rollout: &Rollout) -> bool {
    conditions::condition(&rollout.status, RolloutConditionType::InvalidSpec).is_some()
}

/// Whether a paused rollout goes on only when somebody promotes it.
pub(in crate::sim) fn waits_for_people(rollout: &Rollout) -> bool {
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
