use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::engine::{DESIRED_REPLICAS_ANNOTATION, POD_TEMPLATE_HASH_LABEL};

/// `(spec.replicas, status.availableReplicas)`
type Pods = (i32, i32);

fn rollout(canary: Value, replicas: i32, status: Value) -> Rollout {
    let mut all = json!({"stableRS": "stable", "currentPodHash": "canary"});
    for (key, value) in status.as_object().unwrap() {
        all[key] = value.clone();
    }
    serde_json::from_value(json!({
        "spec": {"replicas": replicas, "strategy": {"canary": canary}},
        "status": all,
    }))
    .unwrap()
}

fn replica_set(hash: &str, (replicas, available): Pods) -> ReplicaSet {
    let mut set = ReplicaSet {
        replicas,
        ..ReplicaSet::default()
    };
    set.metadata.name = hash.to_owned();
    set.metadata
        .labels
        .make_mut()
        .insert(POD_TEMPLATE_HASH_LABEL.to_owned(), hash.to_owned());
    set.status.available_replicas = available;
    set.status.replicas = replicas;
    set
}

fn basic(
    replicas: i32,
    weight: i32,
    (surge, unavailable): (Value, Value),
    stable: Pods,
    canary: Pods,
    older: Option<Pods>,
) -> (i32, i32) {
    let rollout = rollout(
        json!({"maxSurge": surge, "maxUnavailable": unavailable, "steps": [{"setWeight": weight}]}),
        replicas,
        json!({}),
    );
    let older: Vec<ReplicaSet> = older
        .into_iter()
        .map(|pods| replica_set("older", pods))
        .collect();
    let older: Vec<&ReplicaSet> = older.iter().collect();
    let counts = basic_canary_replica_counts(
        &rollout,
        Some(&replica_set("canary", canary)),
        Some(&replica_set("stable", stable)),
        &older,
    );
    (counts.stable, counts.canary)
}

#[test]
fn a_basic_canary_moves_within_surge_and_unavailability() {
    // replicas, weight, maxSurge, maxUnavailable, stable, canary -> (stable, canary)
    type Case = (i32, i32, Value, Value, Pods, Pods, (i32, i32));
    let table: [Case; 31] = [
        (10, 100, json!(3), json!(0), (7, 8), (6, 3), (7, 6)),
        (10, 20, json!(2), json!(0), (10, 10), (0, 0), (10, 2)),
        (10, 20, json!("20%"), json!(0), (10, 10), (0, 0), (10, 2)),
        (10, 20, json!("20%"), json!(0), (10, 10), (2, 2), (8, 2)),
        (10, 30, json!(2), json!(0), (10, 10), (0, 0), (10, 2)),
        (10, 20, json!(0), json!(2), (10, 10), (0, 0), (8, 0)),
        (10, 20, json!(0), json!("20%"), (10, 10), (0, 0), (8, 0)),
        (10, 30, json!(0), json!(2), (10, 10), (0, 0), (8, 0)),
        (10, 50, json!(2), json!(1), (10, 10), (0, 0), (9, 2)),
        (10, 0, json!(1), json!(1), (10, 10), (1, 1), (10, 0)),
        (10, 100, json!(1), json!(1), (1, 1), (10, 10), (0, 10)),
        (1, 20, json!(1), json!(0), (1, 1), (0, 0), (1, 1)),
        (1, 90, json!(1), json!(0), (1, 1), (0, 0), (1, 1)),
        (1, 49, json!(0), json!(1), (1, 1), (0, 0), (1, 0)),
        (1, 51, json!(0), json!(1), (1, 1), (0, 0), (0, 0)),
        (1, 51, json!(0), json!(1), (0, 0), (0, 0), (0, 1)),
        (10, 30, json!(0), json!(3), (8, 5), (4, 4), (7, 3)),
        (10, 100, json!(1), json!(0), (10, 2), (10, 8), (2, 9)),
        (10, 5, json!(0), json!(1), (10, 10), (0, 0), (9, 0)),
        (10, 5, json!(0), json!(1), (9, 9), (0, 0), (9, 1)),
        (10, 10, json!("0%"), json!("0%"), (10, 10), (0, 0), (9, 0)),
        (4, 100, json!(1), json!(0), (4, 1), (0, 0), (4, 1)),
        (3, 99, json!(0), json!(2), (3, 3), (0, 0), (1, 0)),
        (3, 99, json!(0), json!(2), (1, 1), (0, 0), (1, 2)),
        (4, 100, json!(1), json!(0), (4, 1), (1, 1), (3, 1)),
        (4, 0, json!(1), json!(0), (0, 0), (4, 4), (1, 4)),
        (4, 0, json!(1), json!(0), (1, 0), (4, 4), (1, 4)),
        (4, 0, json!(1), json!(0), (1, 1), (4, 4), (1, 3)),
        (10, 10, json!(1), json!(1), (10, 10), (0, 0), (9, 1)),
        (10, 30, json!(3), json!(0), (10, 10), (0, 0), (10, 3)),
        (10, 30, json!(0), json!(5), (10, 10), (0, 0), (7, 0)),
    ];
    for (replicas, weight, surge, unavailable, stable, canary, expected) in table {
        let limits = (surge, unavailable);
        let counts = basic(replicas, weight, limits.clone(), stable, canary, None);
        assert_eq!(
            counts, expected,
            "{replicas} {weight}% {limits:?} {stable:?} {canary:?}"
        );
    }
    let older = Some((3, 3));
    let grown = basic(10, 30, (json!(1), json!(0)), (1, 1), (0, 0), older);
    assert_eq!(grown, (7, 1));
    let kept = basic(10, 30, (json!(0), json!(1)), (8, 6), (4, 2), older);
    assert_eq!(kept, (8, 4));
}

#[test]
fn promote_full_ignores_the_weight_but_not_the_limits() {
    for (surge, unavailable, expected) in [(4, 4, (0, 4)), (3, 0, (4, 3))] {
        let rollout = rollout(
            json!({"maxSurge": surge, "maxUnavailable": unavailable, "steps": [{"setWeight": 1}]}),
            4,
            json!({"promoteFull": true}),
        );
        let (canary, stable) = (replica_set("canary", (0, 0)), replica_set("stable", (4, 4)));
        let counts = basic_canary_replica_counts(&rollout, Some(&canary), Some(&stable), &[]);
        assert_eq!((counts.stable, counts.canary), expected);
    }
}

#[test]
fn without_a_stable_revision_the_new_one_gets_everything() {
    let first = rollout(
        json!({"steps": [{"setWeight": 10}]}),
        10,
        json!({"stableRS": ""}),
    );
    let set = replica_set("stable", (9, 9));
    for stable in [None, Some(&set)] {
        let counts = basic_canary_replica_counts(&first, Some(&set), stable, &[]);
        assert_eq!(
            counts,
            ReplicaCounts {
                canary: 10,
                stable: 0
            }
        );
    }
}

#[test]
fn counts_come_closest_to_the_weight() {
    // replicas, surge, [(weight, canary, stable)]
    type Case<'a> = (i64, i32, &'a [(i32, i64, i64)]);
    let table: &[Case] = &[
        (0, 0, &[(0, 0, 0), (50, 0, 0), (100, 0, 0)]),
        (0, 1, &[(0, 0, 0), (50, 0, 0), (100, 0, 0)]),
        (
            1,
            0,
            &[
                (0, 0, 1),
                (1, 0, 1),
                (49, 0, 1),
                (50, 1, 0),
                (99, 1, 0),
                (100, 1, 0),
            ],
        ),
        (
            1,
            1,
            &[
                (0, 0, 1),
                (1, 1, 1),
                (49, 1, 1),
                (50, 1, 1),
                (99, 1, 1),
                (100, 1, 0),
            ],
        ),
        (
            2,
            0,
            &[(0, 0, 2), (1, 1, 1), (50, 1, 1), (99, 1, 1), (100, 2, 0)],
        ),
        (
            2,
            1,
            &[(0, 0, 2), (1, 1, 2), (50, 1, 1), (99, 2, 1), (100, 2, 0)],
        ),
        (
            3,
            0,
            &[
                (10, 1, 2),
                (25, 1, 2),
                (33, 1, 2),
                (34, 1, 2),
                (49, 1, 2),
                (50, 2, 1),
            ],
        ),
        (
            3,
            1,
            &[
                (10, 1, 3),
                (25, 1, 3),
                (33, 1, 2),
                (34, 1, 2),
                (49, 2, 2),
                (50, 2, 2),
            ],
        ),
        (
            10,
            0,
            &[(1, 1, 9), (14, 1, 9), (15, 2, 8), (16, 2, 8), (99, 9, 1)],
        ),
        (
            10,
            1,
            &[
                (0, 0, 10),
                (1, 1, 10),
                (18, 2, 9),
                (19, 2, 9),
                (20, 2, 8),
                (23, 2, 8),
            ],
        ),
        (10, 1, &[(24, 3, 8), (25, 3, 8), (99, 10, 1), (100, 10, 0)]),
    ];
    for (replicas, surge, weights) in table {
        for (weight, canary, stable) in *weights {
            let counts = replicas_closest_to_weight(*replicas, *weight, 100, *surge);
            assert_eq!(
                counts,
                (*canary, *stable),
                "{replicas} {weight}% surge {surge}"
            );
        }
    }
}

#[test]
fn a_routed_canary_follows_scale_then_weight() {
    let routed = |replicas: i32, weight: i32, extra: Value, status: Value| {
        let mut step = json!({"setWeight": weight});
        let mut canary = json!({"trafficRouting": {}});
        for (key, value) in extra.as_object().unwrap() {
            let target = if key == "setCanaryScale" {
                &mut step
            } else {
                &mut canary
            };
            target[key] = value.clone();
        }
        canary["steps"] = json!([step]);
        let counts =
            routed_canary_replica_counts(&rollout(canary, replicas, status), None, None, None);
        (counts.stable, counts.canary)
    };
    for (replicas, weight, extra, status, expected) in [
        (10, 10, json!({}), json!({}), (10, 1)),
        (
            1,
            100,
            json!({"setCanaryScale": {"replicas": 9}}),
            json!({}),
            (1, 9),
        ),
        (
            4,
            100,
            json!({"setCanaryScale": {"weight": 200}}),
            json!({}),
            (4, 8),
        ),
        (
            10,
            20,
            json!({"setCanaryScale": {"replicas": 9, "weight": 100, "matchTrafficWeight": true}}),
            json!({}),
            (10, 2),
        ),
        (
            1,
            0,
            json!({"setCanaryScale": {"replicas": 1}, "abortScaleDownDelaySeconds": 0}),
            json!({"abort": true}),
            (1, 1),
        ),
        (
            1,
            0,
            json!({"setCanaryScale": {"replicas": 1}, "abortScaleDownDelaySeconds": 30}),
            json!({"abort": true}),
            (1, 0),
        ),
        (
            10,
            5,
            json!({"minPodsPerReplicaSet": 2}),
            json!({}),
            (10, 2),
        ),
        (
            1,
            100,
            json!({"minPodsPerReplicaSet": 2}),
            json!({"promoteFull": true}),
            (1, 1),
        ),
    ] {
        assert_eq!(
            routed(replicas, weight, extra.clone(), status),
            expected,
            "{weight}% {extra}"
        );
    }
}

#[test]
fn an_aborted_canary_that_is_to_stay_keeps_its_size() {
    let canary = json!({
        "trafficRouting": {}, "abortScaleDownDelaySeconds": 0, "steps": [{"setWeight": 50}]
    });
    let aborted = rollout(canary, 10, json!({"abort": true}));
    let set = replica_set("canary", (5, 5));
    let counts = routed_canary_replica_counts(&aborted, Some(&set), None, None);
    assert_eq!(
        counts,
        ReplicaCounts {
            canary: 5,
            stable: 10
        }
    );
}

#[test]
fn dynamic_stable_scale_takes_the_higher_of_actual_and_desired_weight() {
    // maximal weight step, further steps, abort, actual canary weight, canary, stable -> (canary, stable)
    type Case<'a> = (&'a [i32], bool, i32, Option<Pods>, Option<Pods>, (i32, i32));
    let table: [Case; 8] = [
        (&[20, 60], true, 60, Some((6, 6)), Some((4, 4)), (6, 8)),
        (&[20, 60], true, 60, Some((1, 1)), Some((4, 4)), (6, 8)),
        (&[20, 60], true, 60, Some((2, 2)), Some((8, 4)), (6, 8)),
        (&[20, 60], true, 60, None, None, (6, 10)),
        (&[10], false, 10, None, None, (1, 9)),
        (&[20], false, 10, None, None, (2, 9)),
        (&[20], true, 20, None, None, (2, 10)),
        (&[20], true, 10, None, None, (1, 10)),
    ];
    for (weights, abort, actual, canary, stable, expected) in table {
        let steps: Vec<Value> = weights
            .iter()
            .map(|weight| json!({"setWeight": weight}))
            .collect();
        let rollout = rollout(
            json!({"trafficRouting": {}, "dynamicStableScale": true, "steps": steps}),
            10,
            json!({"abort": abort}),
        );
        let mut traffic = TrafficWeights::default();
        traffic.canary.weight = actual;
        traffic.stable.weight = 100 - actual;
        let canary = canary.map(|pods| replica_set("canary", pods));
        let stable = stable.map(|pods| replica_set("stable", pods));
        let counts = routed_canary_replica_counts(
            &rollout,
            canary.as_ref(),
            stable.as_ref(),
            Some(&traffic),
        );
        assert_eq!(
            (counts.canary, counts.stable),
            expected,
            "{weights:?} {abort} {actual}"
        );
    }
}

#[test]
fn shares_are_rounded_up() {
    for (weight, replicas) in [(0, 0), (20, 2), (25, 3), (33, 4), (99, 10), (100, 10)] {
        assert_eq!(replicas_for_weight(10, weight, 100), replicas);
    }
    assert_eq!(replicas_for_weight(23, 100_000_000, 100_000_000), 23);
    assert_eq!(replicas_for_weight(i32::MAX, i32::MAX, 1), i32::MAX);
    assert_eq!(replicas_for_weight(7, 5, 0), 7);
}

#[test]
fn surge_and_unavailability_are_never_both_zero() {
    for (surge, unavailable, replicas, expected) in [
        ("0%", "0%", 0, (0, 1)),
        ("39%", "39%", 10, (4, 3)),
        ("oops", "39%", 10, (0, 0)),
        ("55%", "urg", 10, (0, 0)),
        ("25", "25", 10, (3, 2)),
    ] {
        let canary = json!({"maxSurge": surge, "maxUnavailable": unavailable});
        let rollout = rollout(canary, replicas, json!({}));
        assert_eq!(
            surge_and_unavailable(&rollout.spec),
            expected,
            "{surge} {unavailable}"
        );
    }
    let unavailable = |replicas: i32, value: Value| {
        max_unavailable(&rollout(json!({"maxUnavailable": value}), replicas, json!({})).spec)
    };
    assert_eq!(unavailable(10, json!(5)), 5);
    assert_eq!(unavailable(5, json!(10)), 5);
    assert_eq!(unavailable(0, json!(10)), 0);
    assert_eq!(unavailable(5, json!("100%")), 5);
    let blue_green: Rollout =
        serde_json::from_value(json!({"spec": {"strategy": {"blueGreen": {}}}})).unwrap();
    assert_eq!(
        (
            max_surge(&blue_green.spec),
            max_unavailable(&blue_green.spec)
        ),
        (0, 0)
    );
}

#[test]
fn the_weight_is_that_of_the_last_weight_step() {
    let at = |index: i32, abort: bool| {
        let steps = json!([{"pause": {}}, {"setWeight": 10}, {"pause": {}}]);
        let status = json!({"currentStepIndex": index, "abort": abort});
        current_set_weight(&rollout(json!({"steps": steps}), 10, status))
    };
    assert_eq!(
        [at(0, false), at(1, false), at(2, false), at(3, false)],
        [0, 10, 10, 100]
    );
    assert_eq!(at(1, true), 0);
}

#[test]
fn thresholds_lower_what_counts_as_done() {
    let met = |threshold: Value, pods: Pods, desired: i32| {
        let threshold: Option<ReplicaProgressThreshold> =
            serde_json::from_value(threshold).unwrap();
        let set = replica_set("canary", pods);
        replica_progress_threshold_met(threshold.as_ref(), Some(&set), desired)
    };
    assert!(met(json!(null), (10, 10), 10));
    assert!(!met(json!(null), (10, 9), 10));
    assert!(!met(json!({"type": "Percent", "value": -1}), (10, 9), 10));
    assert!(met(json!({"type": "Percent", "value": 90}), (10, 9), 10));
    assert!(!met(json!({"type": "Percent", "value": 91}), (10, 9), 10));
    assert!(met(json!({"type": "Percent", "value": 70}), (10, 7), 10));
    assert!(met(json!({"type": "Percent", "value": 70}), (0, 0), 0));
    assert!(met(json!({"type": "Pods", "value": 9}), (10, 9), 10));
    assert!(!met(json!({"type": "Pods", "value": 9}), (10, 8), 10));
    assert!(!replica_progress_threshold_met(None, None, 0));
}

#[test]
fn desired_counts_include_the_stable_side_and_older_pods() {
    let reached = |canary: Pods, stable: Pods, older: Pods| {
        let rollout = rollout(
            json!({"maxSurge": 1, "maxUnavailable": 1, "steps": [{"setWeight": 50}]}),
            4,
            json!({}),
        );
        at_desired_replica_counts(
            &rollout,
            Some(&replica_set("canary", canary)),
            Some(&replica_set("stable", stable)),
            &[&replica_set("older", older)],
            None,
        )
    };
    assert!(reached((2, 2), (2, 2), (0, 0)));
    assert!(reached((2, 2), (2, 1), (0, 0)));
    assert!(!reached((2, 1), (2, 2), (0, 0)));
    assert!(!reached((2, 2), (3, 3), (0, 0)));
    assert!(!reached((2, 2), (2, 2), (0, 1)));
}

#[test]
fn a_preview_keeps_its_own_size_until_promoted() {
    let replicas = |status: Value, active: &str| {
        let mut all = json!({"currentPodHash": "new", "blueGreen": {"activeSelector": active}});
        for (key, value) in status.as_object().unwrap() {
            all[key] = value.clone();
        }
        let rollout: Rollout = serde_json::from_value(json!({
            "spec": {"replicas": 10, "strategy": {"blueGreen": {"previewReplicaCount": 3}}},
            "status": all,
        }))
        .unwrap();
        let (new, old) = (replica_set("new", (0, 0)), replica_set("old", (10, 10)));
        new_replica_set_replicas(&rollout, &[&new, &old], &new, None).unwrap()
    };
    assert_eq!(replicas(json!({}), "old"), 3);
    assert_eq!(replicas(json!({}), "new"), 10);
    assert_eq!(replicas(json!({}), "gone"), 10);
    assert_eq!(replicas(json!({"promoteFull": true}), "old"), 10);
    let past = json!({"activeSelector": "old", "scaleUpPreviewCheckPoint": true});
    assert_eq!(replicas(json!({"blueGreen": past}), "old"), 10);
    assert_eq!(
        replicas(json!({"blueGreen": past, "currentPodHash": "x"}), "old"),
        3
    );
    let paused = json!([{"reason": "BlueGreenPause"}]);
    assert_eq!(
        replicas(json!({"blueGreen": past, "pauseConditions": paused}), "old"),
        3
    );

    let set = replica_set("new", (0, 0));
    assert!(new_replica_set_replicas(&Rollout::default(), &[&set], &set, None).is_err());
}

#[test]
fn availability_and_saturation() {
    let rollout = rollout(json!({}), 2, json!({}));
    let mut set = replica_set("canary", (2, 2));
    assert!(is_available(Some(&set)));
    assert!(!is_saturated(&rollout, Some(&set)));
    set.metadata
        .annotations
        .make_mut()
        .insert(DESIRED_REPLICAS_ANNOTATION.to_owned(), "2".to_owned());
    assert!(is_saturated(&rollout, Some(&set)));
    set.status.available_replicas = 1;
    assert!(!is_available(Some(&set)));
    assert!(!is_saturated(&rollout, Some(&set)) && !is_available(None));
    assert!(!is_available(Some(&replica_set("canary", (0, 0)))));
}

fn any_pods() -> impl Strategy<Value = Pods> {
    (0..30i32, 0..30i32)
}

proptest! {
    #[test]
    fn no_input_overflows(
        replicas: i32, weight: i32, surge: i32, unavailable: i32,
        stable: Pods, canary: Pods, older: Pods, max_weight: i32, dynamic: bool, abort: bool,
    ) {
        let routing = json!({"maxTrafficWeight": max_weight});
        let steps = json!([{"setWeight": weight}]);
        let canary_set = replica_set("canary", canary);
        let stable_set = replica_set("stable", stable);
        let older_set = replica_set("older", older);
        for routing in [json!(null), routing] {
            let rollout = rollout(
                json!({
                    "maxSurge": surge, "maxUnavailable": unavailable, "steps": steps,
                    "trafficRouting": routing, "dynamicStableScale": dynamic,
                }),
                replicas,
                json!({"abort": abort}),
            );
            at_desired_replica_counts(
                &rollout, Some(&canary_set), Some(&stable_set), &[&older_set, &older_set],
                Some(&TrafficWeights::default()),
            );
        }
    }

    /// Neither side grows beyond what surge allows, and none of the available pods below the
    /// bound is given up.
    #[test]
    fn a_basic_canary_stays_within_its_limits(
        replicas in 0..30i32, weight in 0..=100i32, surge in 0..5i32, unavailable in 0..5i32,
        stable in any_pods(), canary in any_pods(),
    ) {
        let limits = (json!(surge), json!(unavailable));
        let (new_stable, new_canary) = basic(replicas, weight, limits, stable, canary, None);
        prop_assert!(new_stable >= 0 && new_canary >= 0);
        let (before, after) = (stable.0 + canary.0, new_stable + new_canary);
        prop_assert!(after <= before.max(replicas + surge));
        let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
        let available = |stable_count: i32, canary_count: i32| {
            stable.1.min(stable_count) + canary.1.min(canary_count)
        };
        let least = (replicas - unavailable.min(replicas)).min(available(stable.0, canary.0));
        prop_assert!(available(new_stable, new_canary) >= least);
    }

    #[test]
    fn closest_counts_sum_up_and_grow_with_the_weight(
        replicas in 1..200i64, weight in 0..100i32, surge in 0..3i32,
    ) {
        let without_option = |weight: i32| {
            surge == 0 && 2 * replicas * i64::from(weight) == 100 * (2 * replicas - 1)
        };
        let (canary, stable) = replicas_closest_to_weight(replicas, weight, 100, surge);
        let total = canary + stable;
        prop_assert!(total == replicas || (surge > 0 && total == replicas + 1));
        if replicas > 1 && without_option(weight) {
            prop_assert_eq!((canary, stable), (0, replicas));
        } else {
            if weight > 0 && replicas + i64::from(surge) > 1 {
                prop_assert!(canary > 0 && stable > 0);
            }
            let (next, _) = replicas_closest_to_weight(replicas, weight + 1, 100, surge);
            prop_assert!(next >= canary || without_option(weight + 1));
        }
    }

    #[test]
    fn shares_grow_with_the_weight(replicas in 0..1000i32, weight in 0..100i32) {
        let count = replicas_for_weight(replicas, weight, 100);
        prop_assert!(count <= replicas);
        prop_assert!(count <= replicas_for_weight(replicas, weight + 1, 100));
        prop_assert!(i64::from(count) * 100 >= i64::from(weight) * i64::from(replicas));
    }
}
