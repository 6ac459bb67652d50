//! A rollout of which somebody chooses what happens next: the answer to each measurement, and what
//! people and pods do in between.
//!
//! A [`Trial`] is a value: it is copied where several things might happen. What was chosen can be
//! written as a scenario, which `play` takes to the same end.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use fnv::FnvHasher;
use serde::Serialize;
use serde_json::Value;

use crate::promql::Store;
use crate::spec::analysis::{AnalysisPhase, AnalysisRun, Measurement, Metric};
use crate::spec::rollout::Rollout;
use crate::spec::rollout_status::{PauseReason, RolloutPhase};
use crate::time::{Duration, Timestamp};

use super::metrics::{MetricAnswer, MetricRequest, answer};
use super::play::{Player, Verdict, is_refused, waits_for_people};
use super::queue::Task;
use super::scenario::metrics::candidates;
use super::scenario::{MetricScript, Period, Release, Scenario, ScenarioEvent};
use super::timeline::EntryKind;
use super::traffic::traffic_shares;

/// Answers that were chosen for measurements to come, and those that were given.
#[derive(Debug, Clone, Default)]
pub(super) struct Chosen {
    plan: VecDeque<Option<Value>>,
    /// Metric and value, in the order of the measurements.
    given: Vec<(String, Value)>,
    /// The first metric that was asked beyond the plan.
    open: Option<Box<Asked>>,
}

/// A measurement for which nothing has been chosen.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The metric, arguments resolved.
    pub metric: Metric,
    /// For each phase that conditions can give to an answer with data, such an answer.
    pub judged: Vec<(AnalysisPhase, Value)>,
}

impl Chosen {
    /// The answer that was chosen; none where the scenario's own sources shall answer.
    pub fn measure(&mut self, request: &MetricRequest<'_>) -> Option<MetricAnswer> {
        match self.plan.pop_front() {
            Some(Some(value)) => {
                let answer = answer(request, &value);
                self.given.push((request.metric.name.clone(), value));
                Some(answer)
            }
            Some(None) => None,
            None => {
                if self.open.is_none() {
                    self.open = Some(Box::new(Asked::of(request)));
                }
                Some(answer(request, &Value::from(1)))
            }
        }
    }

    /// Notes an answer that was not chosen, as far as a script can repeat it.
    pub fn note(&mut self, metric: &Metric, measurement: &Measurement) {
        let value = match measurement.phase {
            AnalysisPhase::Error if measurement.value.is_empty() => Value::from("error"),
            _ => script_value(&measurement.value),
        };
        self.given.push((metric.name.clone(), value));
    }
}

/// A measurement's value as scripts have it.
fn script_value(text: &str) -> Value {
    if let Ok(value) = serde_json::from_str(text) {
        return value;
    }
    let inner = text.trim_start_matches('[').trim_end_matches(']');
    let item = |item: &str| match item.trim() {
        "+Inf" => Value::from("Inf"),
        item => serde_json::from_str(item).unwrap_or_else(|_| Value::from(item)),
    };
    if text.starts_with('[') {
        inner.split(',').map(item).collect()
    } else {
        item(inner)
    }
}

impl Asked {
    fn of(request: &MetricRequest<'_>) -> Self {
        let phase_of = |value: &Value| answer(request, value).measurement.phase;
        let mut judged: Vec<(AnalysisPhase, Value)> = Vec::new();
        for value in candidates(request.metric) {
            let is_empty = value.as_array().is_some_and(Vec::is_empty);
            let phase = phase_of(&value);
            let wanted = matches!(
                phase,
                AnalysisPhase::Successful | AnalysisPhase::Failed | AnalysisPhase::Inconclusive
            );
            if wanted && !is_empty && judged.iter().all(|(known, _)| *known != phase) {
                judged.push((phase, value));
            }
        }
        Self {
            metric: request.metric.clone(),
            judged,
        }
    }
}

/// Why a trial stopped.
#[derive(Debug, Clone)]
pub enum Stop {
    /// A measurement waits for an answer to be chosen.
    Asked(Box<Asked>),
    /// Phase, step, pauses or sizes have changed.
    Changed,
    /// Nothing is going to happen any more.
    Rest,
    /// The time that was given is over.
    Late,
}

/// A release under way.
#[derive(Debug, Clone)]
pub struct Trial {
    player: Player,
    scenario: Arc<Scenario>,
    happened: Vec<ScenarioEvent>,
}

impl Trial {
    /// Deploys the first version, and releases another. Of the scenario its cluster, its release and
    /// its traffic count.
    ///
    /// # Errors
    /// The rollout cannot be chosen, or the simulated API server refuses an object.
    pub fn new(objects: &[Value], scenario: &Scenario, traces: &Store) -> Result<Self, String> {
        let mut scenario = Scenario {
            metrics: BTreeMap::new(),
            events: Vec::new(),
            expect: Vec::new(),
            until: None,
            ..scenario.clone()
        };
        let mut player = Player::new(objects, &scenario, traces, None)?;
        player.recorder.tells = false;
        player.start_traffic(scenario.seed.unwrap_or_default());
        player.simulation.metrics.chosen = Some(Chosen::default());
        if scenario.release.is_none() {
            let image = Some(player.next_image());
            scenario.release = Some(Release { image, patch: None });
        }
        if !player.rollout().is_some_and(is_refused) {
            player.release(&scenario);
        }
        Ok(Self {
            player,
            scenario: Arc::new(scenario),
            happened: Vec::new(),
        })
    }

    /// Goes on to the next moment at which there is something to choose, at most up to this long
    /// after the release.
    pub fn advance(&mut self, limit: Duration) -> Stop {
        let limit = self.player.origin + limit;
        loop {
            let Some(next) = self.player.simulation.next_event() else {
                return Stop::Rest;
            };
            if self.player.is_settled(next) {
                return Stop::Rest;
            }
            if next > limit {
                return Stop::Late;
            }
            let before = self.player.clone();
            self.player
                .step_to(next, &self.scenario, &mut BTreeMap::new());
            let chosen = self.player.simulation.metrics.chosen.as_mut();
            if let Some(asked) = chosen.and_then(|chosen| chosen.open.take()) {
                self.player = before;
                return Stop::Asked(asked);
            }
            if self.player.last_key != before.last_key {
                return Stop::Changed;
            }
        }
    }

    /// Chooses an answer for the next measurement that has none; none for that of the scenario's
    /// traffic.
    pub fn answer(&mut self, value: Option<Value>) {
        if let Some(chosen) = &mut self.player.simulation.metrics.chosen {
            chosen.plan.push_back(value);
        }
    }

    /// Lets something happen now.
    pub fn happen(&mut self, mut event: ScenarioEvent) {
        event.at = Some(Period(self.elapsed()));
        self.player.happen(&event);
        self.happened.push(event);
    }

    /// Time since the release.
    pub fn elapsed(&self) -> Duration {
        self.player.simulation.now().since(self.player.origin)
    }

    fn rollout(&self) -> Option<&Rollout> {
        self.player.rollout()
    }

    /// Whether the spec or a reference is refused.
    pub fn is_refused(&self) -> bool {
        self.rollout().is_none_or(is_refused)
    }

    /// Whether the release has become stable.
    pub fn is_promoted(&self) -> bool {
        let entries = &self.player.recorder.entries;
        entries
            .iter()
            .any(|entry| entry.kind == EntryKind::Promotion)
    }

    pub fn is_aborted(&self) -> bool {
        self.rollout().is_some_and(|rollout| rollout.status.abort)
    }

    pub fn phase(&self) -> RolloutPhase {
        self.rollout()
            .map_or(RolloutPhase::Unset, |rollout| rollout.status.phase)
    }

    /// Whether it goes on only when somebody promotes it.
    pub fn waits_for_people(&self) -> bool {
        self.rollout().is_some_and(waits_for_people)
    }

    /// Whether it is paused because a measurement decided nothing.
    pub fn is_inconclusive(&self) -> bool {
        self.rollout().is_some_and(|rollout| {
            rollout
                .status
                .pause_conditions
                .iter()
                .any(|condition| match condition.reason {
                    PauseReason::InconclusiveAnalysis | PauseReason::InconclusiveExperiment => true,
                    PauseReason::CanaryPauseStep | PauseReason::BlueGreenPause => false,
                })
        })
    }

    pub fn verdict(&self) -> Verdict {
        match self.rollout() {
            Some(rollout) => self.player.verdict(rollout),
            None => Verdict::Stuck,
        }
    }

    /// Share of the traffic that the stable version gets, 0 to 1.
    pub fn stable_share(&self) -> f64 {
        let Some(rollout) = self.rollout() else {
            return 0.0;
        };
        let world = self.player.simulation.world();
        let shares = traffic_shares(world, &self.player.namespace, &self.player.name);
        shares
            .get(&rollout.status.stable_rs)
            .copied()
            .unwrap_or(0.0)
    }

    /// Pods of the stable version that are available.
    pub fn stable_pods(&self) -> i32 {
        let hash = self
            .rollout()
            .map(|rollout| rollout.status.stable_rs.as_str());
        let world = self.player.simulation.world();
        let sets = world.observed(&self.player.namespace);
        sets.into_iter()
            .flat_map(|observed| observed.replica_sets.values())
            .filter(|set| hash.is_some_and(|hash| !hash.is_empty() && set.hash() == hash))
            .map(|set| set.status.available_replicas)
            .sum()
    }

    /// Measurements so far.
    pub fn measurements(&self) -> usize {
        self.player.recorder.measurements
    }

    /// What was chosen, as a scenario that ends by itself.
    pub fn scenario(&self, about: &str) -> Scenario {
        let mut metrics: BTreeMap<String, MetricScript> = BTreeMap::new();
        let given = self.player.simulation.metrics.chosen.as_ref();
        for (name, value) in given.into_iter().flat_map(|chosen| &chosen.given) {
            let script = metrics
                .entry(name.clone())
                .or_insert_with(|| MetricScript::Answers(Vec::new()));
            if let MetricScript::Answers(answers) = script {
                answers.push(value.clone());
            }
        }
        Scenario {
            about: about.to_owned(),
            metrics,
            events: self.happened.clone(),
            ..self.scenario.as_ref().clone()
        }
    }

    /// A number that is equal for trials that go on alike: of all that a controller can see and of
    /// all that is due, with times relative to now, without what only identifies or tells.
    pub fn fingerprint(&self) -> u64 {
        let simulation = &self.player.simulation;
        let mut hasher = Fingerprint {
            hasher: FnvHasher::default(),
            now: simulation.now(),
        };
        for (name, place) in &simulation.world().namespaces {
            name.hash(&mut hasher.hasher);
            hasher.objects(&place.rollouts);
            let observed = &place.observed;
            hasher.objects(&observed.replica_sets);
            hasher.objects(&observed.services);
            for (name, run) in &observed.analysis_runs {
                hasher.object(name, &without_history(run));
            }
            hasher.objects(&observed.experiments);
            hasher.objects(&observed.pods);
            for (key, value) in &observed.others {
                key.name.hash(&mut hasher.hasher);
                hasher.value(value);
            }
            for traffic in place.traffic.values() {
                format!("{:?} {:?}", traffic.wanted, traffic.effective).hash(&mut hasher.hasher);
                hasher.instant(traffic.since);
            }
        }
        for (at, task) in simulation.queue.due() {
            hasher.instant(at);
            match task {
                Task::Reconcile(object) => object.hash(&mut hasher.hasher),
                Task::PodReady { pod, token: _ } => ("ready", &pod.name).hash(&mut hasher.hasher),
                Task::PodCrash { pod, token: _ } => ("crash", &pod.name).hash(&mut hasher.hasher),
                Task::JobEnd {
                    namespace: _,
                    name,
                    uid: _,
                    succeeded,
                } => (name, succeeded).hash(&mut hasher.hasher),
                Task::Answers {
                    run,
                    uid: _,
                    epoch: _,
                    answers,
                } => {
                    run.hash(&mut hasher.hasher);
                    for answer in answers {
                        (&answer.metric, answer.result.phase.to_string()).hash(&mut hasher.hasher);
                    }
                }
                Task::TrafficEffective { namespace, rollout } => {
                    (namespace, rollout).hash(&mut hasher.hasher);
                }
                Task::ControllerStart => "start".hash(&mut hasher.hasher),
            }
        }
        format!("{:?}", simulation.faults.pods).hash(&mut hasher.hasher);
        format!("{:?}", simulation.failures).hash(&mut hasher.hasher);
        if let Some(chosen) = &simulation.metrics.chosen {
            format!("{:?}", chosen.plan).hash(&mut hasher.hasher);
        }
        hasher.hasher.finish()
    }
}

/// The run without what its measurements were and only tells: counters and the latest measurement hold
/// all that is decided on (see [`crate::engine::analysis`]).
fn without_history(run: &AnalysisRun) -> AnalysisRun {
    let mut run = run.clone();
    for result in &mut run.status.metric_results {
        let last = result.measurements.last().cloned();
        result.measurements = Vec::from_iter(last).into();
        result.successful = 0;
        result.error = 0;
        let Some(metric) = run.spec.metrics.iter().find(|it| it.name == result.name) else {
            continue;
        };
        // Both may be arguments, which are set where they are here.
        if metric.count.is_none() && !metric.interval.is_empty() {
            result.count = 0;
        }
        if metric.consecutive_success_limit.is_none() {
            result.consecutive_success = 0;
        }
    }
    run
}

struct Fingerprint {
    hasher: FnvHasher,
    now: Timestamp,
}

/// Fields that only identify an object or tell about it, on which nothing is decided.
const TELLING: &[&str] = &[
    "uid",
    "resourceVersion",
    "message",
    "value",
    "summary",
    "managedFields",
];

impl Fingerprint {
    fn instant(&mut self, at: Timestamp) {
        at.since(self.now).as_nanos().hash(&mut self.hasher);
    }

    fn objects<T: Serialize>(&mut self, objects: &BTreeMap<String, Arc<T>>) {
        for (name, object) in objects {
            self.object(name, object.as_ref());
        }
    }

    fn object<T: Serialize>(&mut self, name: &str, object: &T) {
        name.hash(&mut self.hasher);
        // Our own types always serialize.
        self.value(&serde_json::to_value(object).unwrap_or_default());
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => 0_u8.hash(&mut self.hasher),
            Value::Bool(value) => value.hash(&mut self.hasher),
            Value::Number(number) => number.to_string().hash(&mut self.hasher),
            Value::String(text) => match Timestamp::parse(text) {
                Ok(at) if text.len() >= 20 => self.instant(at),
                Ok(_) | Err(_) => text.hash(&mut self.hasher),
            },
            Value::Array(items) => {
                for item in items {
                    self.value(item);
                }
                items.len().hash(&mut self.hasher);
            }
            Value::Object(fields) => {
                for (key, value) in fields {
                    if !TELLING.contains(&key.as_str()) {
                        key.hash(&mut self.hasher);
                        self.value(value);
                    }
                }
            }
        }
    }
}
