//! What can happen to a release at all: a search through everything that measurements, pods and
//! people may do, within bounds.
//!
//! | module | job |
//! |---|---|
//! | `answers` | what a provider may answer to a metric |
//! | `search` | goes through all trials, breadth first, equal states once |
//! | `properties` | the four questions |

mod answers;
mod properties;
mod search;

use serde::Serialize;
use serde_json::Value;

use crate::promql::Store;
use crate::sim::play::{self, Play};
use crate::sim::scenario::Scenario;
use crate::time::Duration;

/// How far the search goes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bounds {
    /// Choices on the way from the release to an end.
    pub choices: usize,
    /// States that are looked at, for each question.
    pub states: usize,
    /// Things out of the ordinary: people promote, promote fully, abort, retry or pause of their own
    /// accord; pods of the release fail; a metric changes what it answers, from success to another
    /// answer or back; and while requests fail, one measurement without an answer.
    ///
    /// To promotion without evidence this does not apply: each measurement may be answered by
    /// anything but evidence, and nobody interferes.
    pub surprises: usize,
    /// Time after the release.
    #[serde(skip)]
    pub time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            choices: 200,
            states: 20_000,
            surprises: 2,
            time: Duration::from_secs(6 * 3600),
        }
    }
}

/// A question and what was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    pub property: Property,
    /// States that were looked at.
    pub states: usize,
    pub verdict: Verdict,
}

/// What is asked. The bad thing is that it can happen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Property {
    /// Becoming stable without one success that rests on data.
    PromotedWithoutEvidence,
    /// Becoming stable while this share of its requests fails, 0 to 1.
    PromotedWhileFailing(f64),
    /// Coming to rest without being healthy, and without asking or telling anybody.
    StuckForEver,
    /// An abort after which the stable version does not get all traffic.
    AbortKeepsTraffic,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It cannot happen within the bounds.
    Proven,
    /// It can.
    Counterexample(Box<Counterexample>),
    /// Not all could be looked at; why.
    Undecided(String),
}

/// The shortest way there.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counterexample {
    /// What it shows, in a sentence.
    pub about: String,
    /// The scenario that leads there.
    pub scenario: Scenario,
    /// What `simulate` makes of it.
    pub play: Play,
}

/// Asks all questions of a rollout; that about failing requests where a share is given.
///
/// Of the scenario its cluster, release and traffic count.
///
/// # Errors
/// The rollout cannot be chosen or is refused.
pub fn prove(
    objects: &[Value],
    scenario: &Scenario,
    traces: &Store,
    failing: Option<f64>,
    bounds: &Bounds,
) -> Result<Vec<Answer>, String> {
    let plain = Scenario {
        traffic: None,
        series: None,
        ..scenario.clone()
    };
    let root = properties::released(objects, &plain, &Store::new())?;
    let mut answers = vec![properties::without_evidence(&root, bounds)];
    if let Some(share) = failing {
        let failing = properties::failing(scenario, share);
        let root = properties::released(objects, &failing, traces)?;
        answers.push(properties::while_failing(&root, share, bounds));
    }
    answers.extend(properties::stuck_and_abort(&root, bounds));
    let played = |found: search::Found| -> Result<Verdict, String> {
        Ok(match found.end {
            search::End::Exhausted => Verdict::Proven,
            search::End::Undecided(why) => Verdict::Undecided(why),
            search::End::Found { about, trial } => {
                let scenario = trial.scenario(&about);
                Verdict::Counterexample(Box::new(Counterexample {
                    play: play::play_with_traces(objects, &scenario, traces)?,
                    about,
                    scenario,
                }))
            }
        })
    };
    answers
        .into_iter()
        .map(|(property, found)| {
            Ok(Answer {
                property,
                states: found.states,
                verdict: played(found)?,
            })
        })
        .collect()
}
