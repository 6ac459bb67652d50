//! The four questions.

use serde_json::{Value, json};

use crate::promql::Store;
use crate::sim::explore::{Asked, Stop, Trial};
use crate::sim::play;
use crate::sim::scenario::traffic::{ErrorShare, Noise, TrafficModel};
use crate::sim::scenario::{Always, CrashPods, PodTrouble, Scenario, ScenarioEvent};
use crate::spec::rollout_status::RolloutPhase;
use crate::time::Duration;

use super::answers::{bad, good, possible};
use super::search::{Found, Question, Spent, search};
use super::{Bounds, Property};

/// An abort is given this long to return the traffic.
const LONGEST_ABORT: Duration = Duration::from_secs(3 * 3600);
/// The first deployment has revision 1.
const REVISION_OF_RELEASE: i64 = 2;

/// The rollout at the moment of the release.
pub(super) fn released(
    objects: &[Value],
    scenario: &Scenario,
    traces: &Store,
) -> Result<Trial, String> {
    let trial = Trial::new(objects, scenario, traces)?;
    if trial.is_refused() {
        let refused = play::play_with_traces(objects, scenario, traces)?;
        return Err(refused.outcome.message);
    }
    Ok(trial)
}

/// The scenario with a release of whose requests this share fails, without noise.
pub(super) fn failing(scenario: &Scenario, share: f64) -> Scenario {
    let stock = || -> TrafficModel {
        // A number is a load.
        serde_json::from_value(json!({"requests": 100})).unwrap_or_default()
    };
    let mut traffic = scenario.traffic.clone().unwrap_or_else(stock);
    traffic.noise = Noise::None;
    traffic.release.errors = Some(ErrorShare::Always(share));
    Scenario {
        traffic: Some(traffic),
        ..scenario.clone()
    }
}

pub(super) fn without_evidence(root: &Trial, bounds: &Bounds) -> (Property, Found) {
    let found = search(root, bounds, &mut WithoutEvidence);
    (Property::PromotedWithoutEvidence, found)
}

struct WithoutEvidence;

impl Question for WithoutEvidence {
    fn answers(&self, asked: &Asked, spent: &Spent) -> Vec<(Option<Value>, Spent)> {
        possible(asked)
            .into_iter()
            .filter(|possible| !possible.is_evidence)
            .map(|possible| (Some(possible.value), spent.clone()))
            .collect()
    }

    fn look(&mut self, trial: &Trial, _is_at_rest: bool) -> Option<(String, Trial)> {
        trial.is_promoted().then(|| {
            let about = match trial.measurements() {
                0 => "the release reaches 100% before anything is measured".to_owned(),
                1 => "the release reaches 100% after one measurement, which shows no success"
                    .to_owned(),
                count => format!(
                    "the release reaches 100% after {count} measurements, none a success that rests on data"
                ),
            };
            (about, trial.clone())
        })
    }

    fn is_decided(&self, trial: &Trial) -> bool {
        trial.is_aborted()
    }
}

pub(super) fn while_failing(root: &Trial, share: f64, bounds: &Bounds) -> (Property, Found) {
    let found = search(root, bounds, &mut WhileFailing { share, bounds });
    (Property::PromotedWhileFailing(share), found)
}

struct WhileFailing<'b> {
    share: f64,
    bounds: &'b Bounds,
}

impl Question for WhileFailing<'_> {
    fn answers(&self, asked: &Asked, spent: &Spent) -> Vec<(Option<Value>, Spent)> {
        let has_traffic = asked.metric.provider.prometheus.is_some();
        // What other providers measure is not known: they are taken to see it where they can.
        let seen = if has_traffic { None } else { bad(asked) };
        let mut answers = vec![(seen, spent.clone())];
        if let Some(spent) = spent.surprised(self.bounds) {
            answers.push((Some(json!("error")), spent.clone()));
            if has_traffic {
                answers.push((Some(json!([])), spent));
            }
        }
        answers
    }

    fn look(&mut self, trial: &Trial, _is_at_rest: bool) -> Option<(String, Trial)> {
        trial.is_promoted().then(|| {
            let percent = (self.share * 10_000.0).round() / 100.0;
            let about = format!(
                "the release reaches 100% although {percent}% of its requests fail, after {} measurements",
                trial.measurements()
            );
            (about, trial.clone())
        })
    }

    fn is_decided(&self, trial: &Trial) -> bool {
        trial.is_aborted()
    }

    // What queries see depends on how the weights were before, too.
    fn merges(&self) -> bool {
        false
    }
}

pub(super) fn stuck_and_abort(root: &Trial, bounds: &Bounds) -> [(Property, Found); 2] {
    let stuck = search(root, bounds, &mut Anything::new(bounds, Looks::ForRest));
    let abort = search(root, bounds, &mut Anything::new(bounds, Looks::ForAborts));
    [
        (Property::StuckForEver, stuck),
        (Property::AbortKeepsTraffic, abort),
    ]
}

/// Everything may happen.
struct Anything<'b> {
    bounds: &'b Bounds,
    looks: Looks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looks {
    ForRest,
    /// A rollout that people paused stays as it is, aborted or not, until they resume it: so they do
    /// not pause here.
    ForAborts,
}

impl<'b> Anything<'b> {
    fn new(bounds: &'b Bounds, looks: Looks) -> Self {
        Self { bounds, looks }
    }
}

impl Question for Anything<'_> {
    fn answers(&self, asked: &Asked, spent: &Spent) -> Vec<(Option<Value>, Spent)> {
        let name = &asked.metric.name;
        let all = possible(asked);
        let usual = all.iter().position(|it| it.is_evidence).unwrap_or(0);
        let present = spent.turned.get(name).copied().unwrap_or(usual);
        let mut answers = Vec::new();
        for (index, possible) in all.into_iter().enumerate() {
            if index == present {
                answers.insert(0, (Some(possible.value), spent.clone()));
            } else if let Some(mut spent) = spent.surprised(self.bounds) {
                if index == usual {
                    spent.turned.remove(name);
                } else {
                    spent.turned.insert(name.clone(), index);
                }
                answers.push((Some(possible.value), spent));
            }
        }
        answers
    }

    fn events(&self, trial: &Trial, spent: &Spent) -> Vec<(ScenarioEvent, Spent)> {
        let Some(spent) = spent.surprised(self.bounds) else {
            return Vec::new();
        };
        let mut events = verb_events(trial);
        if self.looks == Looks::ForRest {
            events.push(ScenarioEvent {
                pause: Some(Always(true)),
                ..ScenarioEvent::default()
            });
        }
        events.extend(trouble_events());
        let events = events.into_iter();
        events.map(|event| (event, spent.clone())).collect()
    }

    fn look(&mut self, trial: &Trial, is_at_rest: bool) -> Option<(String, Trial)> {
        match self.looks {
            Looks::ForRest => (is_at_rest && is_stuck(trial)).then(|| {
                let about = format!(
                    "the rollout comes to rest as {} and nothing will wake it",
                    trial.phase()
                );
                (about, trial.clone())
            }),
            Looks::ForAborts if trial.is_promoted() => None,
            Looks::ForAborts => aborted(trial),
        }
    }

    fn is_decided(&self, trial: &Trial) -> bool {
        match self.looks {
            Looks::ForRest => trial.is_promoted(),
            Looks::ForAborts => trial.is_promoted() || trial.is_aborted(),
        }
    }
}

fn verb_events(trial: &Trial) -> Vec<ScenarioEvent> {
    let done = Some(Always(true));
    let event = ScenarioEvent::default;
    let mut events = vec![
        ScenarioEvent {
            promote: done,
            ..event()
        },
        ScenarioEvent {
            promote_full: done,
            ..event()
        },
    ];
    events.push(if trial.is_aborted() {
        ScenarioEvent {
            retry: done,
            ..event()
        }
    } else {
        ScenarioEvent {
            abort: done,
            ..event()
        }
    });
    events
}

fn trouble_events() -> [ScenarioEvent; 2] {
    [
        ScenarioEvent {
            pods: Some(PodTrouble {
                revision: Some(REVISION_OF_RELEASE),
                never_ready: Some("CrashLoopBackOff".to_owned()),
                ..PodTrouble::default()
            }),
            ..ScenarioEvent::default()
        },
        ScenarioEvent {
            crash_pods: Some(CrashPods {
                revision: Some(REVISION_OF_RELEASE),
                ..CrashPods::default()
            }),
            ..ScenarioEvent::default()
        },
    ]
}

/// Whether it rests without being healthy, and nobody is asked or told: neither a pause that waits
/// for people, nor an abort, nor the phase Degraded.
fn is_stuck(trial: &Trial) -> bool {
    if trial.is_aborted() || trial.waits_for_people() || trial.is_promoted() {
        return false;
    }
    match trial.phase() {
        RolloutPhase::Healthy | RolloutPhase::Degraded => false,
        RolloutPhase::Paused | RolloutPhase::Progressing | RolloutPhase::Unset => true,
    }
}

/// Aborts here, where that has not happened, and looks whether the stable version gets all traffic.
fn aborted(trial: &Trial) -> Option<(String, Trial)> {
    let mut trial = trial.clone();
    let at = trial.elapsed();
    if !trial.is_aborted() {
        trial.happen(ScenarioEvent {
            abort: Some(Always(true)),
            ..ScenarioEvent::default()
        });
    }
    let limit = at + LONGEST_ABORT;
    loop {
        match trial.advance(limit) {
            Stop::Asked(asked) => trial.answer(Some(good(&asked))),
            Stop::Changed => {}
            Stop::Rest | Stop::Late => break,
        }
    }
    let share = trial.stable_share();
    let is_back = share >= 1.0 - 1e-9 && trial.stable_pods() > 0;
    // A release that was complete before the abort came is stable itself; and after `promote --full` the
    // controller takes aborts back.
    if is_back || trial.is_promoted() || !trial.is_aborted() {
        return None;
    }
    let percent = (share * 1000.0).round() / 10.0;
    let about = format!("after an abort at {at} the stable version gets {percent}% of the traffic");
    Some((about, trial))
}
