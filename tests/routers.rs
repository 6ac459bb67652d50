//! Traffic routers: every file of `fixtures/routers/<router>/` is written, read back, and played.

#[path = "routers/added.rs"]
mod added;
#[path = "routers/cluster.rs"]
mod cluster;
#[path = "routers/docs.rs"]
mod docs;
#[path = "routers/fixture.rs"]
mod fixture;
#[path = "routers/lag.rs"]
mod lag;

use proptest::prelude::*;
use rollproof::routers::{self, Facts, Split, TargetWeights};
use rollproof::spec::rollout_status::{TrafficWeights, WeightDestination};
use serde_json::{Value, json};

use fixture::{Fixture, fixtures};

fn destination(service: &str, weight: i32) -> WeightDestination {
    WeightDestination {
        weight,
        service_name: service.to_owned(),
        pod_template_hash: String::new(),
    }
}

/// A split with the managed routes of the fixture's steps.
fn split(fixture: &Fixture, canary: i32, experiment: Option<i32>, routes: bool) -> Split {
    let additional: Vec<WeightDestination> = experiment
        .into_iter()
        .map(|weight| WeightDestination {
            pod_template_hash: "5d41402abc".to_owned(),
            ..destination("trial", weight)
        })
        .collect();
    let others: i32 = additional.iter().map(|other| other.weight).sum();
    let (headers, mirrors) = fixture.routes();
    let (stable_service, canary_service) = fixture.rollout.ping_pong_or_named_services();
    Split {
        max_weight: 100,
        canary: destination(canary_service, canary),
        stable: destination(stable_service, 100 - canary - others),
        additional,
        header_routes: if routes { headers } else { Vec::new() },
        mirror_routes: if routes { mirrors } else { Vec::new() },
    }
}

/// What a router can hold of a split.
fn holdable(mut split: Split, facts: &Facts) -> Split {
    if !facts.experiment_weights {
        for other in std::mem::take(&mut split.additional) {
            split.stable.weight += other.weight;
        }
    }
    if !facts.header_routes {
        split.header_routes.clear();
    }
    if !facts.mirror_routes {
        split.mirror_routes.clear();
    }
    split
}

fn without_hashes(mut split: Split) -> Split {
    let others = split.additional.iter_mut();
    for part in [&mut split.canary, &mut split.stable]
        .into_iter()
        .chain(others)
    {
        part.pod_template_hash.clear();
    }
    split
}

/// Writes a split, with the status that the engine would have stored.
fn write(fixture: &mut Fixture, split: &Split) -> Vec<routers::Note> {
    let writing = fixture
        .router()
        .write(&fixture.rollout, &fixture.objects, split)
        .unwrap_or_else(|refusal| panic!("{}: {refusal}", fixture.name));
    fixture.apply(writing.changes);
    remember(fixture, split);
    writing.notes
}

/// Puts the weights into the status, as the engine does after writing.
fn remember(fixture: &mut Fixture, split: &Split) {
    fixture.rollout.status.canary.weights = Some(Box::new(TrafficWeights {
        canary: split.canary.clone(),
        stable: split.stable.clone(),
        additional: split.additional.clone(),
        verified: None,
    }));
}

/// Before, split and after of each fixture; the snapshot beside it is what it has after each.
#[test]
fn written_objects() {
    for mut fixture in fixtures() {
        let mut shown = Vec::new();
        for wanted in [
            split(&fixture, 0, None, false),
            split(&fixture, 30, None, true),
        ] {
            let notes = write(&mut fixture, &wanted);
            let notes: Vec<String> = notes
                .iter()
                .map(|note| format!("{}: {}", note.reason, note.message))
                .collect();
            shown.push(json!({
                "canary": wanted.canary.weight,
                "events": notes,
                "objects": fixture.router_objects(),
            }));
        }
        let (_, writing, refusals) = routers::release(&fixture.rollout, &fixture.objects);
        assert_eq!(refusals, [], "{}", fixture.name);
        fixture.apply(writing.changes);
        shown.push(json!({"released": fixture.router_objects()}));
        insta::with_settings!({
            snapshot_path => fixture.folder(),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_yaml_snapshot!(fixture.stem(), shown);
        });
    }
}

#[test]
fn every_router_has_fixtures() {
    for facts in routers::facts() {
        assert!(
            fixtures()
                .iter()
                .any(|it| it.router().facts().name == facts.name),
            "{} has no fixture",
            facts.name
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What was written is read, whatever was written before; nothing foreign is lost, and writing
    /// the same again changes nothing.
    #[test]
    fn written_splits_are_read(
        sequence in prop::collection::vec((0..=100_i32, prop::option::of(1..=100_i32), any::<bool>()), 1..5)
    ) {
        for mut fixture in fixtures() {
            let markers = fixture.markers();
            let facts = fixture.router().facts();
            for (canary, experiment, routes) in &sequence {
                let experiment = experiment.map(|weight| weight.min(100 - canary)).filter(|it| *it > 0);
                let wanted = split(&fixture, *canary, experiment, *routes);
                write(&mut fixture, &wanted);
                let read = fixture.router().read(&fixture.rollout, &fixture.objects);
                let read = read.map(without_hashes);
                prop_assert_eq!(read.as_ref(), Ok(&without_hashes(holdable(wanted.clone(), facts))), "{}", &fixture.name);
                let again = fixture.router().write(&fixture.rollout, &fixture.objects, &wanted);
                prop_assert_eq!(again.map(|writing| writing.changes), Ok(Vec::new()), "{}", &fixture.name);
                prop_assert_eq!(&fixture.markers(), &markers, "{}", &fixture.name);
            }
            let (_, writing, _) = routers::release(&fixture.rollout, &fixture.objects);
            fixture.apply(writing.changes);
            let read = fixture.router().read(&fixture.rollout, &fixture.objects);
            let stable = split(&fixture, 0, None, false);
            prop_assert_eq!(read.map(without_hashes), Ok(stable), "{}", &fixture.name);
            prop_assert_eq!(&fixture.markers(), &markers, "{}", &fixture.name);
        }
    }
}

/// An object that is missing or of another shape is refused as a whole.
#[test]
fn nothing_is_half_written() {
    for fixture in fixtures() {
        for key in fixture.objects.keys() {
            let mut broken = fixture.objects.clone();
            broken.insert(key.clone(), std::sync::Arc::new(json!({"spec": "?"})));
            let wanted = split(&fixture, 40, None, true);
            let outcome = fixture.router().write(&fixture.rollout, &broken, &wanted);
            assert!(outcome.is_err(), "{}: {key:?} is broken", fixture.name);
            broken.remove(key);
            let outcome = fixture.router().write(&fixture.rollout, &broken, &wanted);
            let is_own = fixture.router().facts().field == "smi";
            assert!(
                outcome.is_err() || is_own,
                "{}: {key:?} is gone",
                fixture.name
            );
        }
    }
}

/// Answers of AWS as its command line prints them.
#[test]
fn target_weights() {
    let text = include_str!("../fixtures/routers/alb/aws-answers.json");
    let answers: Value = serde_json::from_str(text).expect("the answers are JSON");
    let answers = TargetWeights::from_aws(&answers);
    let mut fixture = fixtures()
        .into_iter()
        .find(|it| it.name == "alb/header-route")
        .expect("the fixture is there");
    fixture.set_load_balancer("main", "k8s-shop-main-0a1b2c.eu-west-1.elb.amazonaws.com");
    let verify = |canary| {
        let wanted = split(&fixture, canary, None, false);
        routers::verify(&fixture.rollout, &fixture.objects, &wanted, &answers)
            .expect("the rollout has an ALB")
    };
    assert!(verify(20).is_verified);
    let other = verify(60);
    assert!(!other.is_verified);
    assert_eq!(other.warnings.len(), 1);
    assert!(
        other.warnings[0]
            .message
            .ends_with("not verified: canary weight 60 not yet set (current: 20)"),
        "{:?}",
        other.warnings
    );
    let status = &other.balancers[0];
    assert_eq!(status.ingress, "main");
    assert_eq!(
        status.load_balancer.full_name,
        "k8s-shop-main-0a1b2c/50dc6c495c0c9188"
    );
    assert_eq!(
        status.canary_target_group.full_name,
        "k8s-shop-canary-1111111111/73e2d6bc24d8a067"
    );
    assert_eq!(
        status.stable_target_group.name,
        "k8s-shop-stable-2222222222"
    );
}
