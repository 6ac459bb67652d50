//! Playing a scenario: objects and events in, timeline, totals and verdicts out.
//!
//! | file | job |
//! |---|---|
//! | `courses` | what runs with the same answers have in common |
//! | `player` | the first deployment, the course of time, when nothing goes on any more |
//! | `events` | the release and what else a scenario lets happen |
//! | `expectations` | whether what is expected came |
//! | `outcome` | what came of it, in sums and in a word |

mod courses;
mod events;
mod expectations;
mod outcome;
mod player;

use serde_json::Value;

use crate::promql::Store;

use courses::{Courses, Ending, Followed};

use super::recording::Recording;
use super::scenario::Scenario;
use super::simulation::Simulation;
pub(super) use courses::Track;
pub use expectations::Check;
pub use outcome::{Outcome, Play, Row, TimeAtShare, Totals, Verdict};
pub(super) use player::{Player, is_refused, waits_for_people};

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
/// deployed, queries are looked through; and what follows from the same answers of metrics is not done
/// again. Threads may share it: what comes of a seed does not depend on what was played before.
#[derive(Debug)]
pub struct Prepared {
    scenario: Scenario,
    player: Player,
    courses: Option<Courses>,
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
            courses: Courses::of(scenario, 1),
        })
    }

    /// The same as one of so many that are kept at once, which share the memory for what runs have in
    /// common.
    pub fn among(self, count: usize) -> Self {
        let Self {
            scenario,
            player,
            courses: _,
        } = self;
        Self {
            courses: Courses::of(&scenario, count),
            scenario,
            player,
        }
    }

    /// The same as [`play_with_traces`] of the scenario with this seed.
    pub fn play(&self, seed: u64) -> Play {
        self.player.clone().play(&self.scenario, seed).0
    }

    /// The same end as that of [`Prepared::play`], in less time, without the story.
    pub fn outcome(&self, seed: u64) -> Row {
        let Some(courses) = &self.courses else {
            return self.player.clone().end(&self.scenario, seed).0.row;
        };
        let mut metrics = self.player.simulation.metrics.clone();
        let Simulation { now, store, .. } = &self.player.simulation;
        metrics.start(seed, *now, &store.world);
        match courses.follow(&mut metrics) {
            Followed::Ended(Ending { at, mut row }) => {
                row.seed = seed;
                row.totals.traffic = metrics.traffic_totals(at);
                row
            }
            Followed::Left(track) => {
                metrics.track = Some(track);
                let mut player = self.player.clone();
                player.simulation.metrics = metrics;
                let (ending, track) = player.end(&self.scenario, seed);
                let row = ending.row.clone();
                courses.learn(track, ending);
                row
            }
        }
    }
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
