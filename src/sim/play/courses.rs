//! What runs of a scenario have in common.
//!
//! Decisions, pods and traffic weights follow from the answers that measurements got, and of these from
//! all but the value; only the requests and what is measured of them are drawn for each run. So the
//! course of things is played once for all runs that get the same answers, and remembered as what the
//! simulated traffic has to know of it: from when on requests go which way, what is asked when, and how
//! it ends. A run follows what is known as far as its answers lead there; only then the rest is played.
//! Nothing comes out differently for it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

use crate::sim::metrics::{MetricAnswer, MetricRequest, MetricSource as _};
use crate::sim::scenario::Scenario;
use crate::sim::scenario::metrics::ScenarioMetrics;
use crate::sim::scenario::random::RandomPods;
use crate::sim::telemetry::Scene;
use crate::spec::analysis::{Measurement, Metric};
use crate::time::{Duration, Timestamp};

use super::outcome::Row;

/// Most bytes, as estimated, that known courses may take, all of those that are kept at once.
const MOST_BYTES: usize = 8 << 20;
/// Of a stretch without its scenes: its question and the answer that led to it.
const STRETCH_BYTES: usize = 600;
/// Of a scene and a pod in it that no other scene has.
const SCENE_BYTES: usize = 200;
const SCENE_POD_BYTES: usize = 200;

/// Courses that are known, as a tree that branches where answers differ.
#[derive(Debug)]
pub(super) struct Courses {
    tree: RwLock<Tree>,
}

#[derive(Debug)]
struct Tree {
    /// The first is where all courses begin.
    nodes: Vec<Node>,
    /// Those of all stretches by the time when they begin, each once.
    scenes: BTreeMap<Timestamp, Vec<Arc<Scene>>>,
    bytes: usize,
    most_bytes: usize,
}

#[derive(Debug)]
struct Node {
    stretch: Arc<Stretch>,
    /// Numbers of the nodes to which answers lead.
    branches: Vec<(Reply, usize)>,
}

/// From one answer to the next question.
#[derive(Debug, Clone)]
struct Stretch {
    /// Ways of the requests, and from when on they go so.
    scenes: Vec<(Timestamp, Arc<Scene>)>,
    then: Then,
}

#[derive(Debug, Clone)]
enum Then {
    Asks(Question),
    Ends(Box<Ending>),
}

/// A [`MetricRequest`] of its own.
#[derive(Debug, Clone)]
struct Question {
    metric: Arc<Metric>,
    judged: Option<Box<str>>,
    now: Timestamp,
    cluster_time: Timestamp,
}

/// How a run ended, and when.
#[derive(Debug, Clone)]
pub(super) struct Ending {
    pub at: Timestamp,
    pub row: Row,
}

/// What follows from an answer: its measurement without the value, which no decision looks at.
#[derive(Debug, Clone, PartialEq)]
struct Reply {
    measurement: Measurement,
    took: Duration,
}

impl Reply {
    fn of(answer: &MetricAnswer) -> Self {
        Self {
            measurement: Measurement {
                value: String::new(),
                ..answer.measurement.clone()
            },
            took: answer.took,
        }
    }

    fn is_of(&self, answer: &MetricAnswer) -> bool {
        decisive(&self.measurement) == decisive(&answer.measurement) && self.took == answer.took
    }
}

/// All of a measurement but its value.
fn decisive(measurement: &Measurement) -> impl PartialEq {
    let Measurement {
        phase,
        message,
        started_at,
        finished_at,
        value: _,
        metadata,
        resume_at,
    } = measurement;
    (phase, message, started_at, finished_at, metadata, resume_at)
}

/// How far a run came along known courses.
pub(super) enum Followed {
    /// To its end, of which seed and sums of the traffic are another run's.
    Ended(Ending),
    /// As far as these answers.
    Left(Track),
}

/// The course of a run that leaves those that are known, while it is played.
#[derive(Debug, Clone, Default)]
pub(in crate::sim) struct Track {
    /// The node at which the last of the known answers was given; none where no course was known.
    left: Option<usize>,
    /// That answer.
    last_known: Option<Reply>,
    /// Answers that were given along the known course, while they have not been given again.
    known: VecDeque<MetricAnswer>,
    /// Ways of the requests since the last question.
    scenes: Vec<(Timestamp, Arc<Scene>)>,
    /// What came after the last of the known answers.
    stretches: Vec<(Stretch, Reply)>,
}

impl Track {
    /// Whether all that happens has been taken into account by who followed the known course.
    pub fn is_known(&self) -> bool {
        !self.known.is_empty()
    }

    /// The answer that was given here.
    pub fn known_answer(&mut self) -> Option<MetricAnswer> {
        self.known.pop_front()
    }

    pub fn note_scene(&mut self, now: Timestamp, scene: Arc<Scene>) {
        self.scenes.push((now, scene));
    }

    pub fn note_answer(&mut self, request: &MetricRequest<'_>, answer: &MetricAnswer) {
        let MetricRequest {
            metric,
            judged,
            now,
            cluster_time,
        } = *request;
        let same = self.stretches.iter().rev().find_map(|(stretch, _)| {
            let Then::Asks(question) = &stretch.then else {
                return None;
            };
            (*question.metric == *metric).then(|| Arc::clone(&question.metric))
        });
        let question = Question {
            metric: same.unwrap_or_else(|| Arc::new(metric.clone())),
            judged: judged.map(Box::from),
            now,
            cluster_time,
        };
        let stretch = Stretch {
            scenes: std::mem::take(&mut self.scenes),
            then: Then::Asks(question),
        };
        self.stretches.push((stretch, Reply::of(answer)));
    }
}

impl Courses {
    /// Those of one of `count` scenarios that are played at once. None where pods fare by chance: each run
    /// has a course of its own then.
    pub fn of(scenario: &Scenario, count: usize) -> Option<Self> {
        let random = scenario.random.as_ref();
        let steady = random.is_none_or(|random| random.pods == RandomPods::default());
        steady.then(|| Self {
            tree: RwLock::new(Tree::new(MOST_BYTES / count.max(1))),
        })
    }

    /// Lets metrics that were started answer along the known courses.
    pub fn follow(&self, metrics: &mut ScenarioMetrics) -> Followed {
        let mut known = VecDeque::new();
        let mut place = self.root();
        let mut left = None;
        while let Some((number, stretch)) = place {
            for (at, scene) in &stretch.scenes {
                metrics.change_scene(*at, scene);
            }
            let question = match &stretch.then {
                Then::Asks(question) => question,
                Then::Ends(ending) => return Followed::Ended(Ending::clone(ending)),
            };
            let answer = metrics.measure(&MetricRequest {
                metric: &question.metric,
                judged: question.judged.as_deref(),
                now: question.now,
                cluster_time: question.cluster_time,
            });
            place = self.after(number, &answer);
            left = Some(number);
            known.push_back(answer);
        }
        Followed::Left(Track {
            left,
            last_known: known.back().map(Reply::of),
            known,
            scenes: Vec::new(),
            stretches: Vec::new(),
        })
    }

    fn root(&self) -> Option<(usize, Arc<Stretch>)> {
        let tree = self.tree.read().unwrap_or_else(PoisonError::into_inner);
        Some((0, Arc::clone(&tree.nodes.first()?.stretch)))
    }

    /// Where this answer at a node leads to.
    fn after(&self, node: usize, answer: &MetricAnswer) -> Option<(usize, Arc<Stretch>)> {
        let tree = self.tree.read().unwrap_or_else(PoisonError::into_inner);
        let mut branches = tree.nodes.get(node)?.branches.iter();
        let (_, next) = branches.find(|(reply, _)| reply.is_of(answer))?;
        Some((*next, Arc::clone(&tree.nodes.get(*next)?.stretch)))
    }

    /// Remembers a course that was played to its end, as far as there is room.
    pub fn learn(&self, track: Track, ending: Ending) {
        let Track {
            left,
            last_known,
            known: _,
            scenes,
            stretches,
        } = track;
        let last = Stretch {
            scenes,
            then: Then::Ends(Box::new(ending)),
        };
        let mut tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
        let mut before = left.zip(last_known);
        for (stretch, reply) in stretches {
            match tree.branch(before, stretch) {
                Some(node) => before = Some((node, reply)),
                None => return,
            }
        }
        tree.branch(before, last);
    }
}

impl Tree {
    fn new(most_bytes: usize) -> Self {
        Self {
            nodes: Vec::new(),
            scenes: BTreeMap::new(),
            bytes: 0,
            most_bytes,
        }
    }

    /// The node to which the reply at a node leads, or, without them, where all courses begin. It is
    /// made if it is not there and there is room.
    fn branch(&mut self, before: Option<(usize, Reply)>, mut stretch: Stretch) -> Option<usize> {
        let known = match &before {
            None => (!self.nodes.is_empty()).then_some(0),
            Some((node, reply)) => {
                let mut branches = self.nodes.get(*node)?.branches.iter();
                branches.find(|(it, _)| it == reply).map(|(_, next)| *next)
            }
        };
        if known.is_some() || self.bytes >= self.most_bytes {
            return known;
        }
        let number = self.nodes.len();
        self.share_scenes(&mut stretch.scenes);
        self.bytes = self.bytes.saturating_add(STRETCH_BYTES);
        self.nodes.push(Node {
            stretch: Arc::new(stretch),
            branches: Vec::new(),
        });
        if let Some((node, reply)) = before {
            self.nodes.get_mut(node)?.branches.push((reply, number));
        }
        Some(number)
    }

    /// The same scenes, in common with other courses: mostly pods come and go at the same times whatever
    /// was measured.
    fn share_scenes(&mut self, scenes: &mut [(Timestamp, Arc<Scene>)]) {
        for (at, scene) in scenes {
            let known = self.scenes.entry(*at).or_default();
            match known.iter().find(|known| *known == scene) {
                Some(same) => *scene = Arc::clone(same),
                None => {
                    let pods = scene.pods.len().saturating_mul(SCENE_POD_BYTES);
                    self.bytes = self.bytes.saturating_add(SCENE_BYTES).saturating_add(pods);
                    known.push(Arc::clone(scene));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::promql::Store;
    use crate::sim::play::Prepared;

    fn objects() -> Vec<Value> {
        let metric = |name: &str, query: &str, condition: &str| {
            json!({
                "name": name, "interval": "30s", "successCondition": condition,
                "failureLimit": 2, "consecutiveErrorLimit": 1,
                "provider": {"prometheus": {"address": "http://prometheus", "query": query}},
            })
        };
        let errors = "sum(rate(http_requests_total{code=~\"5..\"}[1m])) / sum(rate(http_requests_total[1m]))";
        vec![
            json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
                "metadata": {"name": "healthy"},
                "spec": {"metrics": [
                    metric("errors", errors, "result[0] < 0.022"),
                    metric("scripted", "up", "result[0] == 1"),
                ]},
            }),
            json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
                "metadata": {"name": "demo"},
                "spec": {
                    "replicas": 4,
                    "selector": {"matchLabels": {"app": "demo"}},
                    "strategy": {"canary": {
                        "analysis": {"templates": [{"templateName": "healthy"}]},
                        "steps": [
                            {"setWeight": 25}, {"pause": {"duration": "2m"}},
                            {"setWeight": 50}, {"pause": {"duration": "2m"}},
                        ],
                    }},
                    "template": {
                        "metadata": {"labels": {"app": "demo"}},
                        "spec": {"containers": [{"name": "app", "image": "app:v1"}]},
                    },
                },
            }),
        ]
    }

    #[test]
    fn a_run_that_follows_what_is_known_ends_as_if_it_had_been_played() {
        let scenario: Scenario = serde_json::from_value(json!({
            "traffic": {"requests": 20, "noise": "poisson", "stable": {"errors": 0.01}},
            "release": {"image": "app:v2"},
            "metrics": {"scripted": [1]},
            "random": {"measurements": [{"metric": "scripted", "noData": 0.03, "failed": 0.03}]},
            "events": [{"at": "3m", "deletePods": {"count": 1}}],
            "expect": [{"at": "150s", "failedRequests": 1000}, {"by": "1m", "weight": 25}],
        }))
        .expect("a scenario");
        let prepared = Prepared::new(&objects(), &scenario, &Store::new()).expect("it plays");
        let mut verdicts = BTreeMap::new();
        let mut alone = 0;
        for seed in 0..80 {
            let row = prepared.outcome(seed);
            let player = prepared.player.clone();
            let (ending, _) = player.end(&scenario, seed);
            assert_eq!(row, ending.row);
            *verdicts
                .entry(format!("{:?}", row.outcome.verdict))
                .or_insert(0) += 1;
            alone += row.totals.measurements + 1;
        }
        assert!(verdicts.len() > 1, "{verdicts:?}");
        let courses = prepared.courses.as_ref().expect("pods are steady");
        let tree = courses.tree.read().expect("no panic");
        assert!(
            tree.nodes.len() * 3 < alone,
            "{} of {alone}",
            tree.nodes.len()
        );
        let scenes: usize = tree.scenes.values().map(Vec::len).sum();
        let used: usize = (tree.nodes.iter()).map(|it| it.stretch.scenes.len()).sum();
        assert!(scenes < used, "{scenes} of {used}");
    }

    #[test]
    fn what_is_known_is_bounded() {
        let mut tree = Tree::new(60_000);
        let end = |number: u64| Stretch {
            scenes: Vec::new(),
            then: Then::Asks(Question {
                metric: Arc::default(),
                judged: None,
                now: Timestamp::from_secs(number as i64),
                cluster_time: Timestamp::from_secs(0),
            }),
        };
        let reply = |number: u64| Reply {
            measurement: Measurement {
                message: number.to_string(),
                ..Measurement::default()
            },
            took: Duration::ZERO,
        };
        assert_eq!(tree.branch(None, end(0)), Some(0));
        let made =
            (0..100_000).map_while(|number| tree.branch(Some((0, reply(number))), end(number)));
        assert!(made.count() <= 60_000 / STRETCH_BYTES);
        assert_eq!(tree.branch(None, end(1)), Some(0), "what is known is found");
        assert_eq!(tree.branch(Some((0, reply(0))), end(1)), Some(1));
    }
}
