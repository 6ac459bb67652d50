//! Routers take their time: no request may go to a pod that is gone or not ready meanwhile.

use rollproof::engine::verbs::Verb;
use rollproof::sim::metrics::{ScriptKey, ScriptedMetrics};
use rollproof::sim::pods::SteadyPods;
use rollproof::sim::{
    Change, Command, Kind, ObjectRef, Observer, Settings, Simulation, World, destinations,
};
use rollproof::spec::rollout::Rollout;
use rollproof::spec::rollout_status::RolloutPhase;
use rollproof::time::{Duration, Timestamp};
use serde_json::json;

use super::fixture::{Fixture, fixtures};

const NAMESPACE: &str = "shop";
const LAG: Duration = Duration::from_secs(8);

/// Looks after every write where the requests go.
#[derive(Default)]
struct LostRequests {
    has_begun: bool,
    found: Vec<String>,
}

impl Observer for LostRequests {
    fn changed(&mut self, now: Timestamp, _change: &Change, world: &World) {
        let Some(rollout) = world.rollout(NAMESPACE, "demo") else {
            return;
        };
        // Before the first revision is up there is nobody to answer.
        self.has_begun |= rollout.status.phase == RolloutPhase::Healthy;
        let Some(observed) = world.observed(NAMESPACE).filter(|_| self.has_begun) else {
            return;
        };
        for destination in destinations(world, NAMESPACE, "demo") {
            let sets = observed.replica_sets.values();
            let ready: i32 = sets
                .filter(|set| set.hash() == destination.hash)
                .map(|set| set.status.ready_replicas)
                .sum();
            if ready == 0 {
                self.found.push(format!(
                    "{now}: {} of the requests go to service {:?}, {:?} without ready pods",
                    destination.share, destination.service, destination.hash
                ));
            }
        }
    }
}

struct Played {
    simulation: Simulation,
    lost: LostRequests,
}

impl Played {
    fn new(fixture: &Fixture) -> Self {
        let settings = Settings {
            router_lag: LAG,
            ..Settings::default()
        };
        let metrics = ScriptedMetrics::new(ScriptKey::AddressTail, Default::default());
        let pods = SteadyPods::with_usual_broken_images();
        let mut played = Self {
            simulation: Simulation::new(settings, Box::new(metrics), Box::new(pods)),
            lost: LostRequests::default(),
        };
        // What a Rollout owns is made by it: its identity is another one in each cluster.
        let is_owned =
            |object: &&serde_json::Value| object.pointer("/metadata/ownerReferences").is_some();
        for object in fixture.documents.iter().filter(|it| !is_owned(it)) {
            let object = object.clone();
            played.act(Command::Apply {
                namespace: NAMESPACE.to_owned(),
                object,
            });
        }
        played.run(60);
        assert_eq!(played.phase(), RolloutPhase::Healthy, "{}", fixture.name);
        played
    }

    fn act(&mut self, command: Command) {
        let done = self.simulation.act(command, &mut self.lost);
        done.expect("a command that is taken");
    }

    fn verb(&mut self, verb: Verb) {
        self.act(Command::Rollout {
            namespace: NAMESPACE.to_owned(),
            name: "demo".to_owned(),
            verb,
        });
    }

    fn set_image(&mut self, image: &str) {
        self.verb(Verb::SetImage {
            container: None,
            image: image.to_owned(),
        });
    }

    fn run(&mut self, seconds: i64) {
        let end = self.simulation.now() + Duration::from_secs(seconds);
        self.simulation.run_until(end, &mut self.lost);
    }

    fn rollout(&self) -> Rollout {
        let rollout = self.simulation.world().rollout(NAMESPACE, "demo");
        rollout.expect("the rollout").as_ref().clone()
    }

    fn phase(&self) -> RolloutPhase {
        self.rollout().status.phase
    }

    fn assert_none_lost(&self, what: &str) {
        let Some(first) = self.lost.found.first() else {
            return;
        };
        panic!("{what}: {} times, first {first}", self.lost.found.len());
    }
}

/// All fixtures; subsets also without services, which would hide what a late router does: they
/// lead to pods that are there even where the weights are old.
fn played_fixtures() -> Vec<Fixture> {
    let mut played = fixtures();
    for fixture in fixtures() {
        if fixture.name == "istio/subset-level" {
            played.push(without_services(fixture));
        }
    }
    played
}

fn without_services(mut fixture: Fixture) -> Fixture {
    fixture.name.push_str(" without services");
    for object in &mut fixture.documents {
        let canary = object.pointer_mut("/spec/strategy/canary");
        if let Some(canary) = canary.and_then(serde_json::Value::as_object_mut) {
            canary.shift_remove("stableService");
            canary.shift_remove("canaryService");
        }
    }
    fixture
}

/// The check finds what it looks for: pods that go before the router has heard of it.
#[test]
fn too_short_a_delay_loses_requests() {
    let mut fixture = played_fixtures().pop().expect("subsets without services");
    for object in &mut fixture.documents {
        if let Some(canary) = object.pointer_mut("/spec/strategy/canary") {
            canary["scaleDownDelaySeconds"] = json!(1);
        }
    }
    let mut played = Played::new(&fixture);
    played.set_image("app:v2");
    played.run(180);
    assert!(!played.lost.found.is_empty());
}

#[test]
fn promotion_abort_and_rollback_lose_no_request() {
    for fixture in played_fixtures() {
        let name = &fixture.name;
        let mut played = Played::new(&fixture);
        played.set_image("app:v2");
        played.run(180);
        assert_eq!(played.phase(), RolloutPhase::Healthy, "{name}");
        played.assert_none_lost(&format!("{name}: promotion"));

        played.set_image("app:v3");
        played.run(25);
        played.verb(Verb::Abort);
        played.run(120);
        assert_eq!(played.phase(), RolloutPhase::Degraded, "{name}");
        played.assert_none_lost(&format!("{name}: abort"));

        played.verb(Verb::Retry);
        played.run(25);
        // Back to the stable revision in the midst of an update.
        played.set_image("app:v2");
        played.run(120);
        assert_eq!(played.phase(), RolloutPhase::Healthy, "{name}");
        played.assert_none_lost(&format!("{name}: back to stable"));

        played.set_image("app:v4");
        played.run(25);
        // Another revision in the midst of an update.
        played.set_image("app:v5");
        played.run(180);
        played.assert_none_lost(&format!("{name}: changed in the midst"));
        played.verb(Verb::Undo { revision: None });
        played.run(180);
        assert_eq!(played.phase(), RolloutPhase::Healthy, "{name}");
        played.assert_none_lost(&format!("{name}: rollback"));
    }
}

/// Taken out of the spec in the midst of an update, a router is left as it was found.
#[test]
fn a_removed_router_is_left_on_stable() {
    for mut fixture in fixtures() {
        let mut played = Played::new(&fixture);
        played.set_image("app:v2");
        played.run(25);
        let rollout = ObjectRef::new(Kind::Rollout, NAMESPACE, "demo");
        let steps = json!([{"setWeight": 20}, {"pause": {}}]);
        let patch = json!({
            "spec": {"strategy": {"canary": {"trafficRouting": null, "steps": steps}}},
        });
        played.act(Command::Patch {
            object: rollout,
            patch,
        });
        played.run(5);
        // The router is gone from its spec, but which service is stable may have changed.
        fixture.rollout.status = played.rollout().status;
        assert_on_stable(&mut fixture, &played);
    }
}

#[test]
fn a_deleted_rollout_leaves_traffic_on_stable() {
    for mut fixture in fixtures() {
        let mut played = Played::new(&fixture);
        played.set_image("app:v2");
        played.run(25);
        fixture.rollout.status = played.rollout().status;
        played.act(Command::Delete {
            object: ObjectRef::new(Kind::Rollout, NAMESPACE, "demo"),
        });
        played.run(5);
        assert_on_stable(&mut fixture, &played);
    }
}

fn assert_on_stable(fixture: &mut Fixture, played: &Played) {
    let observed = played.simulation.world().observed(NAMESPACE);
    fixture.objects = observed.expect("the namespace").others.clone();
    let read = fixture.router().read(&fixture.rollout, &fixture.objects);
    let Ok(split) = read else {
        // What was the Rollout's own is gone with it.
        assert!(fixture.objects.is_empty(), "{}: {read:?}", fixture.name);
        return;
    };
    assert_eq!(split.canary.weight, 0, "{}", fixture.name);
    assert_eq!(split.stable.weight, split.max_weight, "{}", fixture.name);
    assert_eq!(split.header_routes, [], "{}", fixture.name);
    assert_eq!(split.mirror_routes, [], "{}", fixture.name);
}
