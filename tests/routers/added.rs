//! A router as somebody would add it: one file. `docs/routers.md` shows it.

// example begins
use rollproof::routers::{Change, Facts, Objects, Refusal, Router, RouterKind, Split, Writing};
use rollproof::spec::rollout::Rollout;
use rollproof::spec::traffic_routing::RolloutTrafficRouting;
use serde_json::{Value, json};

/// A proxy whose `Share` object holds the canary's percentage, named like the Rollout.
pub struct ShareProxy;

const SHARE: RouterKind = RouterKind {
    group: "proxy.example",
    version: "v1",
    kind: "Share",
    resource: "shares",
    verbs: &["update"],
};

const FACTS: Facts = Facts {
    name: "Share proxy",
    field: "plugins.example/share",
    header_routes: false,
    mirror_routes: false,
    experiment_weights: false,
    ping_pong: false,
    needs_services: true,
    max_traffic_weight: false,
    verifies_weights: false,
    kinds: &[SHARE],
    limits: &["The Share has to be there."],
};

impl Router for ShareProxy {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn is_used(&self, routing: &RolloutTrafficRouting) -> bool {
        routing.plugins.contains_key("example/share")
    }

    fn write(
        &self,
        rollout: &Rollout,
        objects: &Objects,
        split: &Split,
    ) -> Result<Writing, Refusal> {
        let key = SHARE.key(&rollout.metadata.name);
        let present = objects
            .get(&key)
            .ok_or_else(|| Refusal::not_found("ShareNotFound", &key, SHARE.resource))?;
        let mut object = (**present).clone();
        let Some(percent) = object.pointer_mut("/spec/canaryPercent") else {
            return Err(Refusal::shape("the Share has no spec.canaryPercent"));
        };
        *percent = json!(split.canary.weight);
        let mut writing = Writing::default();
        if object != **present {
            writing.changes.push(Change::Update { key, object });
        }
        Ok(writing)
    }

    fn read(&self, rollout: &Rollout, objects: &Objects) -> Result<Split, Refusal> {
        let key = SHARE.key(&rollout.metadata.name);
        let percent = objects
            .get(&key)
            .and_then(|share| share.pointer("/spec/canaryPercent"))
            .and_then(Value::as_i64)
            .and_then(|percent| i32::try_from(percent).ok());
        let mut split = Split {
            max_weight: 100,
            ..Split::default()
        };
        split.canary.weight = percent.unwrap_or(0);
        split.stable.weight = 100 - split.canary.weight;
        Ok(split)
    }
}
// example ends

#[test]
fn the_example_works() {
    let text = "
apiVersion: proxy.example/v1
kind: Share
metadata: {name: demo}
spec: {canaryPercent: 0, timeout: foreign-1}
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: demo}
spec: {strategy: {canary: {trafficRouting: {plugins: {example/share: {}}}}}}
";
    let mut fixture = super::Fixture::of("example", text);
    let wanted = super::split(&fixture, 40, None, false);
    let writing = ShareProxy.write(&fixture.rollout, &fixture.objects, &wanted);
    fixture.apply(writing.expect("the Share is there").changes);
    let read = ShareProxy.read(&fixture.rollout, &fixture.objects);
    assert_eq!(read.map(|split| split.canary.weight), Ok(40));
    assert_eq!(fixture.markers().len(), 1);
    assert_eq!(ShareProxy.facts().name, "Share proxy");
}
