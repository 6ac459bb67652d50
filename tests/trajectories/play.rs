//! Plays a case in the simulator, at the times at which it was played on the reference.

use std::collections::BTreeMap;

use rollproof::engine::verbs::Verb;
use rollproof::sim::metrics::{ScriptKey, ScriptedMetrics};
use rollproof::sim::pods::SteadyPods;
use rollproof::sim::{Command, Kind, ObjectRef, PodSelection, Settings, Simulation};
use rollproof::source::Sources;
use rollproof::spec::yaml;
use rollproof::time::{Duration, Timestamp};
use serde_json::Value;

use super::case::{Action, Condition, Record, Sequence};
use super::compare::equal;
use super::record::Recorder;

/// Stands for `<ns>`; a text that occurs in no case.
const NAMESPACE: &str = "played-namespace-0";
/// The start of every simulation, a whole second.
const START: Timestamp = Timestamp::from_secs(1_700_000_000);
/// From the objects that are referred to, to what refers to them.
const HEAD_START: f64 = 0.3;
/// How long an action is held back at most where what its script waits for has not come about at
/// the recorded time: lengths of pauses are exact to a second only.
const PATIENCE: f64 = 1.5;
/// From what a script waits for, to its being noticed, in the recorder of the reference.
const POLLING: f64 = 0.05;

/// What our controller did, and the commands that were refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Played {
    pub observed: BTreeMap<String, Sequence>,
    pub log: Vec<String>,
}

/// Plays the case of a record.
pub fn play(record: &Record) -> Result<Played, String> {
    let case = &record.case;
    let settings = Settings {
        start: START,
        pod_ready_after: Duration::from_millis(500),
        ..Settings::default()
    };
    let metrics = ScriptedMetrics::new(ScriptKey::AddressTail, case.metrics.clone());
    let pods = SteadyPods {
        broken_images: vec!["bad".into(), "does-not-exist".into()],
    };
    let mut player = Player {
        rollout: &case.rollout,
        simulation: Simulation::new(settings, Box::new(metrics), Box::new(pods)),
        recorder: Recorder::new(START, NAMESPACE, &case.rollout),
        log: Vec::new(),
    };
    player.apply_at_start(&case.objects, *record.actions_done.first().unwrap_or(&0.0))?;

    let mut script = case.actions.iter();
    for ((begun, action), done) in record.actions.iter().zip(&record.actions_done).skip(1) {
        let latest = done + PATIENCE;
        let mut reaction = 0.0;
        for waited in script.by_ref() {
            match waited {
                Action::Wait(condition) => {
                    player.wait(condition, latest);
                    reaction = POLLING + (done - begun);
                }
                Action::Sleep { seconds } => {
                    player.run_until(latest.min(player.seconds() + seconds))
                }
                _ => break, // the action itself
            }
        }
        player.run_until(done.max(player.seconds() + reaction));
        player.act(action)?;
    }
    player.run_until(record.end);
    let end = player.simulation.now();
    Ok(Played {
        observed: player.recorder.finish(end),
        log: player.log,
    })
}

struct Player<'a> {
    rollout: &'a str,
    simulation: Simulation,
    recorder: Recorder,
    log: Vec<String>,
}

impl Player<'_> {
    fn seconds(&self) -> f64 {
        self.simulation.now().since(START).as_secs_f64()
    }

    /// Does nothing where that time is past.
    fn run_until(&mut self, seconds: f64) {
        let end = instant(seconds);
        if end > self.simulation.now() {
            self.simulation.run_until(end, &mut self.recorder);
        }
    }

    /// What others refer to comes first.
    fn apply_at_start(&mut self, text: &str, stored: f64) -> Result<(), String> {
        let documents = documents(text)?;
        let acts = |object: &Value| {
            matches!(
                object["kind"].as_str(),
                Some("Rollout" | "AnalysisRun" | "Experiment")
            )
        };
        self.run_until((stored - HEAD_START).max(0.0));
        for object in documents.iter().filter(|object| !acts(object)) {
            self.apply(object);
        }
        self.run_until(stored);
        for object in documents.iter().filter(|object| acts(object)) {
            self.apply(object);
        }
        Ok(())
    }

    fn apply(&mut self, object: &Value) {
        self.command(Command::Apply {
            namespace: NAMESPACE.into(),
            object: object.clone(),
        });
    }

    fn command(&mut self, command: Command) {
        if let Err(refused) = self.simulation.act(command, &mut self.recorder) {
            self.log.push(refused);
        }
    }

    fn verb(&mut self, verb: Verb) {
        self.command(Command::Rollout {
            namespace: NAMESPACE.into(),
            name: self.rollout.to_owned(),
            verb,
        });
    }

    fn act(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::Wait(_) | Action::Sleep { .. } => {}
            Action::SetImage { image } => self.verb(Verb::SetImage {
                container: None,
                image: image.clone(),
            }),
            Action::Promote => self.verb(Verb::Promote),
            Action::PromoteFull => self.verb(Verb::PromoteFull),
            Action::SkipCurrentStep => self.verb(Verb::SkipCurrentStep),
            Action::SkipAllSteps => self.verb(Verb::SkipAllSteps),
            Action::Abort => self.verb(Verb::Abort),
            Action::Retry => self.verb(Verb::Retry),
            Action::Pause => self.verb(Verb::Pause),
            Action::Restart => self.verb(Verb::Restart { at: None }),
            Action::Undo { revision } => self.verb(Verb::Undo {
                revision: *revision,
            }),
            Action::TerminateAnalysis { name } => {
                self.verb(Verb::TerminateAnalysis { name: name.clone() });
            }
            Action::TerminateExperiment { name } => {
                self.verb(Verb::TerminateExperiment { name: name.clone() });
            }
            Action::Patch { patch } => self.command(Command::Patch {
                object: ObjectRef::new(Kind::Rollout, NAMESPACE, self.rollout),
                patch: patch.clone(),
            }),
            Action::Apply { text } => {
                for object in documents(text)? {
                    self.apply(&object);
                }
            }
            Action::Delete { kind, name } => {
                let kind = Kind::parse(kind)?;
                let name = name.replace("<ns>", NAMESPACE);
                self.command(Command::Delete {
                    object: ObjectRef::new(kind, NAMESPACE, name),
                });
            }
            Action::DeletePods => self.command(Command::DeletePods(PodSelection {
                namespace: NAMESPACE.into(),
                ..PodSelection::default()
            })),
        }
        Ok(())
    }

    /// Goes on until the condition holds, or to the deadline.
    fn wait(&mut self, condition: &Condition, deadline: f64) {
        while !self.holds(condition) && self.seconds() < deadline {
            let next = self.simulation.next_event();
            let next = next.map_or(deadline, |next| next.since(START).as_secs_f64());
            // A reconciliation that is due at once is part of the present instant.
            self.run_until(next.min(deadline).max(self.seconds() + 0.001));
        }
    }

    fn holds(&self, condition: &Condition) -> bool {
        if condition.concerns_rollout() {
            let Some(rollout) = self.recorder.main_rollout() else {
                return false;
            };
            let status = &rollout.status;
            let Condition {
                phase,
                step,
                message,
                var: _,
            } = condition;
            let observed = status.observed_generation == rollout.metadata.generation.to_string();
            let phase = phase
                .as_deref()
                .is_none_or(|it| it == status.phase.as_str());
            let at_step = status.current_step_index.map(i64::from);
            let step = step.is_none_or(|it| Some(it) == at_step);
            let message = message
                .as_deref()
                .is_none_or(|it| status.message.contains(it));
            if !(observed && phase && step && message) {
                return false;
            }
        }
        condition.var.iter().all(|(variable, expected)| {
            let present = self.recorder.present(variable);
            present.is_some_and(|present| equal(&present, expected))
        })
    }
}

/// To the nearest millisecond.
fn instant(seconds: f64) -> Timestamp {
    let since_start = Duration::from_millis((seconds * 1000.0).round() as i64);
    START.checked_add(since_start).unwrap_or(Timestamp::MAX)
}

fn documents(text: &str) -> Result<Vec<Value>, String> {
    let address = format!("http://127.0.0.1:9901/{NAMESPACE}");
    let text = text
        .replace("<ns>", NAMESPACE)
        .replace("<metrics>", &address);
    let mut sources = Sources::new();
    let source = sources.add("case", text);
    let stream = yaml::read(&sources, source);
    match stream.problems.iter().find(|problem| problem.is_error()) {
        Some(problem) => Err(format!("YAML: {}", problem.message)),
        None => Ok(stream
            .documents
            .iter()
            .map(|document| document.root.to_json())
            .filter(|object| !object.is_null())
            .collect()),
    }
}
