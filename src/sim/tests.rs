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
            self.lines.push(format!(
                "{:7.3} {name} {value}",
                now.since(start).as_secs_f64()
            ));
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
        let (namespace, name): (&str, &str) = (&change.object.namespace, &change.object.name);
        match &change.object.kind {
            Kind::Rollout => {
                let Some(rollout) = world.rollout(namespace, name) else {
                    return self.put(now, format!("rollout/{name}"), "deleted".into());
                };
                let status = &rollout.status;
                self.put(now, "phase".into(), status.phase.to_string());
                self.put(now, "message".into(), status.message.clone());
                self.put(
                    now,
                    "step".into(),
                    format!("{:?}", status.current_step_index),
                );
            }
            Kind::ReplicaSet => {
                let set = world
                    .observed(namespace)
                    .and_then(|o| o.replica_sets.get(name));
                let value = set.map_or("deleted".to_owned(), |set| set.replicas.to_string());
                let image = set
                    .and_then(|set| set.template.first_image())
                    .unwrap_or(name)
                    .to_owned();
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
            case.act(Command::Apply {
                namespace: "ns".into(),
                object: object.clone(),
            });
        }
        case
    }

    fn act(&mut self, command: Command) {
        self.simulation.act(command, &mut self.log).unwrap();
    }

    fn verb(&mut self, verb: Verb) {
        self.act(Command::Rollout {
            namespace: "ns".into(),
            name: "demo".into(),
            verb,
        });
    }

    fn run(&mut self, seconds: i64) {
        let end = self.simulation.now() + Duration::from_secs(seconds);
        self.simulation.run_until(end, &mut self.log);
    }

    fn set_image(&mut self, image: &str) {
        self.verb(Verb::SetImage {
            container: None,
            image: image.into(),
        });
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
    assert_eq!(case.phase(), "Healthy");
    assert_eq!(
        case.log.values("rs/app:v1"),
        ["0", "5", "4", "3", "2", "1", "0"]
    );
    assert_eq!(case.log.values("rs/app:v2"), ["0", "1", "3", "5"]);
    assert_eq!(case.simulation.next_event(), None);
}

#[test]
fn the_same_seed_gives_the_same_course() {
    let play = || {
        let mut case = Case::new(&[timed_canary()], quick());
        case.run(2);
        case.set_image("app:v2");
        case.run(20);
        (case.log.lines, case.log.events)
    };
    assert_eq!(play(), play());
}

#[test]
fn verbs_and_deleted_pods() {
    let paused = rollout(json!({"canary": {"steps": [{"setWeight": 40}, {"pause": {}}]}}));
    let mut case = Case::new(&[paused], quick());
    case.run(2);
    case.set_image("app:v2");
    case.run(5);
    assert_eq!(case.phase(), "Paused");
    case.act(Command::DeletePods(PodSelection {
        namespace: "ns".into(),
        ..PodSelection::default()
    }));
    case.run(2);
    let observed = case.simulation.world().observed("ns").unwrap();
    assert_eq!(observed.pods.len(), 5);
    assert!(observed.pods.values().all(|pod| pod.ready_since.is_some()));
    assert_eq!(case.phase(), "Paused");
    let shares = traffic_shares(case.simulation.world(), "ns", "demo");
    assert_eq!(shares.values().copied().collect::<Vec<_>>().len(), 2);
    case.verb(Verb::Promote);
    case.run(5);
    assert_eq!(case.phase(), "Healthy");
    case.verb(Verb::Undo { revision: None });
    case.run(2);
    case.verb(Verb::Abort);
    case.run(5);
    assert_eq!(case.phase(), "Degraded");
}

#[test]
fn a_broken_image_never_gets_ready_and_the_deadline_passes() {
    let mut case = Case::new(&[timed_canary()], quick());
    case.run(2);
    case.set_image("app:bad");
    case.run(700);
    assert_eq!(case.phase(), "Degraded");
    assert_eq!(case.log.failures, Vec::<String>::new());
}

#[test]
fn a_controller_that_was_down_goes_on_where_it_was() {
    let mut case = Case::new(&[timed_canary()], quick());
    case.run(2);
    case.set_image("app:v2");
    case.run(1);
    case.act(Command::Fault(Fault::ControllerDown {
        up_after: Some(Duration::from_secs(60)),
    }));
    let decisions = case.log.decisions;
    case.run(59);
    assert_eq!(case.log.decisions, decisions);
    assert_eq!(case.phase(), "Paused");
    case.run(10);
    assert_eq!(case.phase(), "Healthy");
}

/// The reference's service controller does so, too (its end-to-end test TestBlueGreenToCanary).
#[test]
fn a_service_that_is_left_chooses_all_revisions_again() {
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "demo"}, "ports": [{"port": 80}]}
    });
    let blue_green = rollout(json!({"blueGreen": {"activeService": "web"}}));
    let demo = || ObjectRef::new(Kind::Rollout, "ns", "demo");
    let to_canary = json!({"spec": {"strategy": {"blueGreen": null, "canary": {}}}});
    for leave in [
        Command::Patch {
            object: demo(),
            patch: to_canary,
        },
        Command::Delete { object: demo() },
    ] {
        let mut case = Case::new(&[service.clone(), blue_green.clone()], quick());
        let look = |case: &Case| {
            let service = &case.simulation.world().observed("ns").unwrap().services["web"];
            let marks = service.metadata.annotations.len();
            (service.spec.selector.len(), marks)
        };
        case.run(5);
        assert_eq!(look(&case), (2, 1));
        case.act(leave);
        case.run(5);
        assert_eq!(look(&case), (1, 0));
    }
}

#[test]
fn an_experiment_without_ports_does_not_fill_a_virtual_service_without_end() {
    let service = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": {"app": "demo"}, "ports": [{"port": 80}]}
        })
    };
    let destination =
        |host: &str, weight: u8| json!({"destination": {"host": host}, "weight": weight});
    let virtual_service = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "vs"},
        "spec": {"hosts": ["demo"], "http": [{
            "name": "primary", "route": [destination("stable", 100), destination("canary", 0)],
        }]},
    });
    let canary = rollout(json!({"canary": {
        "stableService": "stable", "canaryService": "canary",
        "trafficRouting": {"istio": {"virtualService": {"name": "vs"}}},
        "steps": [{"setWeight": 10}, {"experiment": {
            "duration": "1m", "templates": [{"name": "baseline", "specRef": "stable", "weight": 5}],
        }}],
    }}));
    let objects = [
        service("stable"),
        service("canary"),
        virtual_service,
        canary,
    ];
    let mut case = Case::new(&objects, quick());
    case.run(5);
    case.set_image("app:v2");
    case.run(50);
    let observed = case.simulation.world().observed("ns").unwrap();
    let written = observed.other("networking.istio.io/v1", "VirtualService", "vs");
    let route = written.and_then(|it| it.pointer("/spec/http/0/route")?.as_array());
    assert_eq!(route.map(Vec::len), Some(202));
    case.run(60);
    assert_eq!(case.phase(), "Healthy");
}

#[test]
fn refused_writes_are_tried_again() {
    let mut case = Case::new(&[timed_canary()], quick());
    case.run(2);
    case.act(Command::Fault(Fault::RefuseWrites { count: 7 }));
    case.set_image("app:v2");
    case.run(20);
    assert_eq!(case.log.failures.len(), 7);
    assert_eq!(case.phase(), "Healthy");
    assert_eq!(case.log.values("rs/app:v2"), ["0", "1", "3", "5"]);
}

#[test]
fn crashed_pods_come_back() {
    let mut case = Case::new(&[timed_canary()], quick());
    case.run(2);
    case.act(Command::Fault(Fault::CrashPods {
        selection: PodSelection {
            namespace: "ns".into(),
            limit: Some(2),
            ..PodSelection::default()
        },
        restart_after: Some(Duration::from_secs(3)),
    }));
    let ready = |case: &Case| {
        let observed = case.simulation.world().observed("ns").unwrap();
        observed
            .replica_sets
            .values()
            .map(|set| set.status.ready_replicas)
            .sum::<i32>()
    };
    case.run(1);
    assert_eq!(ready(&case), 3);
    case.run(3);
    assert_eq!(ready(&case), 5);
}

#[test]
fn a_jumped_clock_shortens_a_pause() {
    let mut case = Case::new(&[timed_canary()], quick());
    case.run(2);
    case.set_image("app:v2");
    case.run(1);
    case.act(Command::Fault(Fault::ClockOffset(Duration::from_secs(
        3600,
    ))));
    case.run(1);
    assert_ne!(
        case.log.values("step").last().map(String::as_str),
        Some("Some(1)")
    );
}

#[test]
fn deployments_roll_and_are_rolled_up_by_their_owner() {
    let deployment = |image: &str| {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {
                "replicas": 3, "selector": {"matchLabels": {"app": "demo"}},
                "template": {
                    "metadata": {"labels": {"app": "demo"}},
                    "spec": {"containers": [{"name": "c", "image": image}]}
                }
            }
        })
    };
    let mut case = Case::new(&[deployment("app:v1")], quick());
    case.run(2);
    case.act(Command::Apply {
        namespace: "ns".into(),
        object: deployment("app:v2"),
    });
    case.run(5);
    assert_eq!(case.log.values("rs/app:v1"), ["3", "2", "1", "0"]);
    assert_eq!(case.log.values("rs/app:v2"), ["1", "2", "3"]);
    case.act(Command::Delete {
        object: ObjectRef::new(Kind::parse("deploy").unwrap(), "ns", "web"),
    });
    assert!(
        case.simulation
            .world()
            .observed("ns")
            .unwrap()
            .pods
            .is_empty()
    );
    assert_eq!(case.simulation.next_event(), None);
}

#[test]
fn nothing_grows_with_time() {
    let mut case = Case::new(&[timed_canary()], quick());
    case.run(2);
    case.act(Command::Fault(Fault::Pods {
        selection: PodSelection {
            namespace: "ns".into(),
            ..PodSelection::default()
        },
        effect: PodFaultEffect::CrashAfter {
            ready_for: Duration::from_secs(10),
            restart_after: Some(Duration::from_secs(10)),
        },
    }));
    case.act(Command::DeletePods(PodSelection {
        namespace: "ns".into(),
        ..PodSelection::default()
    }));
    case.run(20_000);
    assert_eq!(case.simulation.pods.len(), 5);
    assert!(case.simulation.queue.len() < 20);
}
