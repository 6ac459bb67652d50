//! Goes through all trials, those with the fewest choices first; of equal states one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

use crate::sim::explore::{Asked, Stop, Trial};
use crate::sim::scenario::{Always, ScenarioEvent};

use super::Bounds;

/// How a search ended.
pub(super) struct Found {
    pub states: usize,
    pub end: End,
}

pub(super) enum End {
    /// Everything was looked at.
    Exhausted,
    Undecided(String),
    Found {
        about: String,
        trial: Box<Trial>,
    },
}

/// A trial and what was done in it so far.
#[derive(Clone)]
pub(super) struct Node {
    pub trial: Trial,
    pub choices: usize,
    pub spent: Spent,
}

/// What was out of the ordinary so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spent {
    pub surprises: usize,
    /// The metrics that do not succeed at present, and which of their possible answers they give.
    pub turned: BTreeMap<String, usize>,
}

impl Spent {
    /// After one more surprise; none where the bound is reached.
    pub fn surprised(&self, bounds: &Bounds) -> Option<Self> {
        (self.surprises < bounds.surprises).then(|| Self {
            surprises: self.surprises.saturating_add(1),
            turned: self.turned.clone(),
        })
    }
}

/// What a question allows to happen, and what it looks for.
pub(super) trait Question {
    /// Answers to try, with what they spend; `None` for the answer of the scenario's traffic.
    fn answers(&self, asked: &Asked, spent: &Spent) -> Vec<(Option<Value>, Spent)>;

    /// What may happen at a state.
    fn events(&self, _trial: &Trial, _spent: &Spent) -> Vec<(ScenarioEvent, Spent)> {
        Vec::new()
    }

    /// Looks at a new state; tells what is wrong, and how it came to that.
    fn look(&mut self, trial: &Trial, is_at_rest: bool) -> Option<(String, Trial)>;

    /// Whether what follows does not matter.
    fn is_decided(&self, trial: &Trial) -> bool;

    /// Whether equal states go on alike.
    fn merges(&self) -> bool {
        true
    }
}

pub(super) fn search(root: &Trial, bounds: &Bounds, question: &mut dyn Question) -> Found {
    let mut seen: BTreeSet<(u64, Spent)> = BTreeSet::new();
    let mut queue = VecDeque::from([Node {
        trial: root.clone(),
        choices: 0,
        spent: Spent::default(),
    }]);
    let (mut states, mut left_out) = (0_usize, None);
    while let Some(mut node) = queue.pop_front() {
        if states >= bounds.states {
            left_out = Some(format!("after {} states", bounds.states));
            break;
        }
        let stop = node.trial.advance(bounds.time);
        let key = (node.trial.fingerprint(), node.spent.clone());
        if question.merges() && !seen.insert(key) {
            continue;
        }
        states = states.saturating_add(1);
        let at_rest = match stop {
            Stop::Asked(asked) => {
                if node.choices >= bounds.choices {
                    left_out = Some(format!("after {} choices", bounds.choices));
                    continue;
                }
                for (value, spent) in question.answers(&asked, &node.spent) {
                    let mut next = node.clone();
                    next.trial.answer(value);
                    next.choices = next.choices.saturating_add(1);
                    next.spent = spent;
                    queue.push_back(next);
                }
                continue;
            }
            Stop::Changed => false,
            Stop::Rest => true,
            Stop::Late => {
                left_out = Some(format!("{} after the release", bounds.time));
                continue;
            }
        };
        if let Some((about, trial)) = question.look(&node.trial, at_rest) {
            return Found {
                states,
                end: End::Found {
                    about,
                    trial: Box::new(trial),
                },
            };
        }
        if question.is_decided(&node.trial) {
            continue;
        }
        if node.choices < bounds.choices {
            for (event, spent) in question.events(&node.trial, &node.spent) {
                let mut next = node.clone();
                next.trial.happen(event);
                next.choices = next.choices.saturating_add(1);
                next.spent = spent;
                queue.push_back(next);
            }
        }
        let promotes = node.trial.waits_for_people() && !node.trial.is_inconclusive();
        match (at_rest, promotes) {
            (false, _) => queue.push_front(node),
            // A pause step without a duration: somebody promotes as planned.
            (true, true) => {
                node.trial.happen(ScenarioEvent {
                    promote: Some(Always(true)),
                    ..ScenarioEvent::default()
                });
                queue.push_front(node);
            }
            (true, false) => {}
        }
    }
    let end = match left_out {
        Some(why) => End::Undecided(why),
        None => End::Exhausted,
    };
    Found { states, end }
}
