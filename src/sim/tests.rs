//! Plays small cases end to end.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::metrics::{ScriptKey, ScriptedMetrics};
use super::pods::SteadyPods;
use super::*;
use crate::engine::Event;
use crate::engine::verbs::Verb;
use crate::time::{Duration, Timestamp};

/// Writes down what changed.
#[derive(Default)]
struct Log {
    start: Option<Timestamp>,
    lines: Vec<String>,
    events: Vec<String>,
    failures: Vec<String>,
    decisions: usize,
    last: BTreeMap<String, String>,
}

impl Log {
    fn put(&mut self, now: Timestamp, name: String, value: String) {
        if self.last.get(&name) != Some(&value) {
            let start = *self.start.get_or_insert(now);
            self.lines.push(format!("{:7.3} {name} {value}", now.since(start).as_secs_f64()));
            self.last.insert(name, value);
        }
    }

    /// The values that a variable took.
    fn values(&self, name: &str) -> Vec<String> {
        self.lines
            .iter()
            .filter_map(|line| line.get(8..)?.strip_prefix(name)?.strip_prefix(' '))
            .map(str::to_owned)
            .collect()
    }
}

impl Observer for Log {
    fn changed(&mut self, now: Timestamp, change: &Change, world: &World) {
        let (namespace, name) = (change.object.namespace.as_str(), change.object.name.as_str());
        match &change.object.kind {
            Kind::Rollout => {
                let Some(rollout) = world.rollout(namespace, name) else {
                    return self.put(now, format!("rollout/{name}"), "deleted".into());
                };
                let status = &rollout.status;
                self.put(now, "phase".into(), status.phase.to_string());
                self.put(now, "message".into(), status.message.clone());
                self.put(now, "step".into(), format!("{:?}", status.current_step_index));
            }
            Kind::ReplicaSet => {
                let set = world.observed(namespace).and_then(|o| o.replica_sets.get(name));
                let value = set.map_or("deleted".to_owned(), |set| set.replicas.to_string());
                let image = set.and_then(|set| set.template.first_image()).unwrap_or(name).to_owned();
                self.put(now, format!("rs/{image}"), value);
            }
            _ => {}
        }
    }

    fn event(&mut self, _: Timestamp, _: &ObjectRef, event: &Event, outcome: EventOutcome) {
        if outcome == EventOutcome::Stored {
            self.events.push(event.reason.clone());
        }
    }

    fn decided(&mut self, _: Timestamp, _: &ObjectRef, _: &DecisionRecord<'_>) {
        self.decisions += 1;
    }

    fn failed(&mut self, now: Timestamp, object: &ObjectRef, reason: &str) {
        self.failures.push(format!("{now} {object}: {reason}"));
    }
}

struct Case {
    simulation: Simulation,
    log: Log,
}

impl Case {
    fn new(objects: &[Value], settings: Settings) -> Self {
        let metrics = ScriptedMetrics::new(ScriptKey::MetricName, BTreeMap::new());
        let pods = SteadyPods::with_usual_broken_images();
        let mut case = Self {
            simulation: Simulation::new(settings, Box::new(metrics), Box::new(pods)),
            log: Log::default(),
        };
        for object in objects {
            case.act(Command::Apply { namespace: "ns".into(), object: object.clone() });
        }
        case
    }

    fn act(&mut self, command: Command) {
        self.simulation.act(command, &mut self.log).unwrap();
    }

    fn verb(&mut self, verb: Verb) {
        self.act(Command::Rollout { namespace: "ns".into(), name: "demo".into(), verb });
    }

    fn run(&mut self, seconds: i64) {
        let end = self.simulation.now() + Duration::from_secs(seconds);
        self.simulation.run_until(end, &mut self.log);
    }

    fn set_image(&mut self, image: &str) {
        self.verb(Verb::SetImage { container: None, image: image.into() });
    }

    fn phase(&self) -> String {
        let rollout = self.simulation.world().rollout("ns", "demo").unwrap();
        rollout.status.phase.to_string()
    }
}

fn quick() -> Settings {
    Settings {
        pod_ready_after: Duration::from_millis(500),
        ..Settings::default()
    }
}

fn rollout(strategy: Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "demo"},
        "spec": {
            "replicas": 5, "selector": {"matchLabels": {"app": "demo"}}, "strategy": strategy,
            "template": {
                "metadata": {"labels": {"app": "demo"}},
                "spec": {"containers": [{"name": "c", "image": "app:v1"}]}
            }
        }
    })
}

fn timed_canary() -> Value {
    rollout(json!({"canary": {"steps": [
        {"setWeight": 20}, {"pause": {"duration": 3}}, {"setWeight": 60}, {"pause": {"duration": 2}}
    ]}}))
}

#[test]
fn a_timed_canary_goes_as_on_the_reference() {
    let mut case = Case::new(&[timed_canary()], quick());
    case.run(2);
    case.set_image("app:v2");
    case.run(20);
    println!("{}", case.log.lines.join("\n"));
    println!("{:?}\n{:?} {}", case.log.events, case.log.failures, case.log.decisions);
    assert_eq!(case.phase(), "Healthy");
    assert_eq!(case.log.values("rs/app:v1"), ["0", "5", "4", "3", "2", "1", "0"]);
    assert_eq!(case.log.values("rs/app:v2"), ["0", "1", "3", "5"]);
    assert_eq!(case.simulation.next_event(), None);
}
