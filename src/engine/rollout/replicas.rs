//! How many pods canary, preview and stable shall have (argo-rollouts `utils/replicaset/canary.go`
//! and `replicaset.go`).
//!
//! Pure arithmetic on 32-bit counts, done in 64 bits and cut to 32 at the end.

use crate::engine::ReplicaSet;
use crate::spec::defaults::AbortScaleDown;
use crate::spec::rollout::{
    CanaryStrategy, ReplicaProgressThreshold, Rollout, RolloutSpec, SetCanaryScale,
};
use crate::spec::rollout_status::TrafficWeights;

use super::steps;

/// `spec.replicas` for the two sides of a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaCounts {
    pub canary: i32,
    pub stable: i32,
}

/// What a canary's size follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CanarySize {
    /// A number of pods, set by `setCanaryScale.replicas`.
    Replicas(i32),
    /// A share of `maxTrafficWeight`.
    Weight(i32),
}

/// Sizes of canary and stable without traffic routing, where pods carry the weight.
///
/// Grows the stable side first, then the canary, within `spec.replicas` + `maxSurge`. Shrinks the
/// one that is to give way, within `spec.replicas` - `maxUnavailable`, and only after all `older`
/// ReplicaSets were scaled to zero. `new` is the canary; without a distinct `stable` it gets
/// everything at once.
pub fn basic_canary_replica_counts(
    rollout: &Rollout,
    new: Option<&ReplicaSet>,
    stable: Option<&ReplicaSet>,
    older: &[&ReplicaSet],
) -> ReplicaCounts {
    let spec_replicas = i64::from(rollout.spec.replicas_or_default());
    let desired_weight = match canary_size(rollout, new, stable) {
        CanarySize::Weight(weight) => weight,
        CanarySize::Replicas(_) => 0,
    };
    let (max_surge, max_unavailable) = max_surge_and_unavailable(&rollout.spec);
    let max_weight = rollout.spec.max_traffic_weight_or_default();
    let distinct_stable = distinct_stable(new, stable);

    let (desired_new, desired_stable) = match distinct_stable {
        Some(_) => replicas_closest_to_weight(spec_replicas, desired_weight, max_weight, max_surge),
        None => (spec_replicas, 0),
    };

    let new_current = new.map_or(0, |set| i64::from(set.replicas));
    let stable_current = distinct_stable.map_or(0, |set| i64::from(set.replicas));
    let older_current = sum(older, |set| set.replicas);
    let most_allowed = spec_replicas + i64::from(max_surge);
    let mut room = most_allowed - (older_current + new_current + stable_current);

    let mut stable_count = stable_current;
    if distinct_stable.is_some() && stable_current < desired_stable && room > 0 {
        stable_count = desired_stable.min(stable_current + room);
        room -= stable_count - stable_current;
    }
    let mut new_count = new_current;
    if new.is_some() && new_current < desired_new && room > 0 {
        new_count = desired_new.min(new_current + room);
    }
    if older_current > 0 {
        return ReplicaCounts::clamped(new_count, stable_count);
    }

    let least_available = spec_replicas - i64::from(max_unavailable);
    // Growing, pods of the stable side may go whether available or not; shrinking (after an abort,
    // say), those of the canary.
    let growing = new.is_none() || desired_new >= new_current;
    let available = i64::from(replicas_for_scale_down(new, !growing))
        + i64::from(replicas_for_scale_down(stable, growing));
    if available <= least_available {
        return ReplicaCounts::clamped(new_count, stable_count);
    }
    let surplus = available - least_available;
    let limits = Limits {
        most_allowed,
        least_available,
    };
    if !growing {
        new_count = drained_count(new, desired_new, surplus, new_count);
        (new_count, stable_count) = limits.adjust(new, stable, new_count, stable_count);
    } else if distinct_stable.is_some() {
        stable_count = drained_count(stable, desired_stable, surplus, stable_count);
        (stable_count, new_count) = limits.adjust(stable, new, stable_count, new_count);
    }
    ReplicaCounts::clamped(new_count, stable_count)
}

/// Sizes of canary and stable with traffic routing, where the router carries the weight.
///
/// The stable side stays at full size, unless `dynamicStableScale` is set: then each side is as
/// large as the higher of its desired weight and the weight it has now (`weights`) demands.
///
/// Unlike the reference controller, `abortScaleDownDelaySeconds: 0` keeps an aborted canary at its
/// size, as the API documents it.
pub fn routed_canary_replica_counts(
    rollout: &Rollout,
    new: Option<&ReplicaSet>,
    stable: Option<&ReplicaSet>,
    weights: Option<&TrafficWeights>,
) -> ReplicaCounts {
    let spec_replicas = rollout.spec.replicas_or_default();
    let max_weight = rollout.spec.max_traffic_weight_or_default();
    let (mut canary, desired_weight) = match canary_size(rollout, new, stable) {
        CanarySize::Replicas(replicas) => (replicas, 0),
        CanarySize::Weight(weight) => {
            let count = replicas_for_weight(spec_replicas, weight, max_weight);
            (at_least_min_pods(&rollout.spec, count), weight)
        }
    };
    if let Some(kept) = kept_after_abort(rollout, new) {
        canary = canary.max(kept);
    }
    let dynamic = rollout
        .spec
        .strategy
        .canary
        .as_ref()
        .is_some_and(|canary| canary.dynamic_stable_scale);
    if !dynamic {
        return ReplicaCounts {
            canary,
            stable: spec_replicas,
        };
    }

    let stable_weight = max_weight.saturating_sub(desired_weight);
    let mut stable = replicas_for_weight(spec_replicas, stable_weight, max_weight);
    if let Some(weights) = weights {
        let actual = replicas_for_weight(spec_replicas, weights.stable.weight, max_weight);
        stable = stable.max(actual);
        if rollout.status.abort {
            // Not below what still receives traffic.
            let actual = replicas_for_weight(spec_replicas, weights.canary.weight, max_weight);
            canary = canary.max(actual);
        }
    }
    ReplicaCounts {
        canary: at_least_min_pods(&rollout.spec, canary),
        stable: at_least_min_pods(&rollout.spec, stable),
    }
}

/// Whether the canary, and the stable side where it has to follow, have the size of the current
/// step. Not for other strategies, for which it is false.
///
/// Without traffic routing no pod of an `older` ReplicaSet may be available either.
pub fn at_desired_replica_counts(
    rollout: &Rollout,
    new: Option<&ReplicaSet>,
    stable: Option<&ReplicaSet>,
    older: &[&ReplicaSet],
    weights: Option<&TrafficWeights>,
) -> bool {
    let Some(canary) = rollout.spec.strategy.canary.as_ref() else {
        return false;
    };
    let routed = canary.traffic_routing.is_some();
    let desired = if routed {
        routed_canary_replica_counts(rollout, new, stable, weights)
    } else {
        basic_canary_replica_counts(rollout, new, stable, older)
    };
    let threshold = canary.replica_progress_threshold.as_ref();
    if !replica_progress_threshold_met(threshold, new, desired.canary) {
        return false;
    }
    let stable_created = stable
        .is_some_and(|set| set.replicas == desired.stable && set.status.replicas == desired.stable);
    let stable_may_lag = routed && canary.dynamic_stable_scale;
    if !stable_created && !stable_may_lag {
        return false;
    }
    routed || sum(older, |set| set.status.available_replicas) == 0
}

/// Whether enough of `desired` pods are available: all of them, unless `threshold` asks for less.
pub fn replica_progress_threshold_met(
    threshold: Option<&ReplicaProgressThreshold>,
    replica_set: Option<&ReplicaSet>,
    desired: i32,
) -> bool {
    let Some(set) = replica_set else {
        return false;
    };
    let available = set.status.available_replicas;
    let Some(threshold) = threshold.filter(|threshold| threshold.value >= 0) else {
        return set.replicas == desired && available == desired;
    };
    if threshold.type_ == "Percent" {
        // Exactly what the reference's floating-point test with a tolerance of 1e-10 accepts.
        return desired == 0
            || (f64::from(available) / f64::from(desired) * 100.0) - f64::from(threshold.value)
                >= -1e-10;
    }
    available >= threshold.value
}

/// Size that steps, promotion or an abort ask for.
fn canary_size(
    rollout: &Rollout,
    new: Option<&ReplicaSet>,
    stable: Option<&ReplicaSet>,
) -> CanarySize {
    let status = &rollout.status;
    if status.promote_full
        || status.stable_rs.is_empty()
        || status.current_pod_hash == status.stable_rs
    {
        return CanarySize::Weight(rollout.spec.max_traffic_weight_or_default());
    }
    if let Some(scale) = set_canary_scale_in_use(rollout) {
        if let Some(replicas) = scale.replicas {
            return CanarySize::Replicas(replicas);
        }
        if let Some(weight) = scale.weight {
            return CanarySize::Weight(weight);
        }
    }
    CanarySize::Weight(desired_canary_weight(rollout, new, stable))
}

/// Weight the canary is to get: [`current_set_weight`], but stepwise back through the steps'
/// weights after an abort with `dynamicStableScale`, as fast as the stable side grows.
pub fn desired_canary_weight(
    rollout: &Rollout,
    new: Option<&ReplicaSet>,
    stable: Option<&ReplicaSet>,
) -> i32 {
    let Some(canary) = rollout.spec.strategy.canary.as_ref() else {
        return current_set_weight(rollout);
    };
    let (true, true, Some(new), Some(stable)) = (
        rollout.status.abort,
        canary.dynamic_stable_scale,
        new,
        stable,
    ) else {
        return current_set_weight(rollout);
    };
    let spec_replicas = rollout.spec.replicas_or_default();
    let max_weight = rollout.spec.max_traffic_weight_or_default();
    let missing = i64::from(spec_replicas) - i64::from(stable.status.available_replicas);
    let canary_replicas = match rollout.spec.abort_scale_down_or_default() {
        // A canary that drains on its own must not be outrun.
        AbortScaleDown::After {
            explicit: false,
            delay: _,
        } => missing.max(i64::from(new.status.available_replicas)),
        // One that is kept up (for a while) would hold the weight up forever.
        AbortScaleDown::After {
            explicit: true,
            delay: _,
        }
        | AbortScaleDown::Never => missing,
    };
    canary
        .steps
        .iter()
        .rev()
        .filter_map(|step| step.set_weight)
        .find(|weight| {
            i64::from(replicas_for_weight(spec_replicas, *weight, max_weight)) < canary_replicas
        })
        .unwrap_or(0)
}

/// Weight of the last `setWeight` at or before the current step: 0 if there is none and after an
/// abort, the whole once all steps are done and without steps.
pub fn current_set_weight(rollout: &Rollout) -> i32 {
    if rollout.status.abort {
        return 0;
    }
    match steps::steps_back_from_current(rollout) {
        Some(mut steps) => steps.find_map(|step| step.set_weight).unwrap_or(0),
        None => rollout.spec.max_traffic_weight_or_default(),
    }
}

/// The `setCanaryScale` in force: the last at or before the current step, unless it says
/// `matchTrafficWeight`. Only with traffic routing; after an abort only if the canary is to be
/// kept (`abortScaleDownDelaySeconds: 0`).
fn set_canary_scale_in_use(rollout: &Rollout) -> Option<&SetCanaryScale> {
    routed_canary(&rollout.spec)?;
    if rollout.status.abort && rollout.spec.abort_scale_down_or_default() != AbortScaleDown::Never {
        return None;
    }
    steps::steps_back_from_current(rollout)?
        .find_map(|step| step.set_canary_scale.as_ref())
        .filter(|scale| !scale.match_traffic_weight)
}

/// `count`, raised to `minPodsPerReplicaSet` (but not above `spec.replicas`) unless it is zero.
/// Only with traffic routing.
fn at_least_min_pods(spec: &RolloutSpec, count: i32) -> i32 {
    let min_pods = routed_canary(spec).and_then(|canary| canary.min_pods_per_replica_set);
    match min_pods {
        Some(min_pods) if count != 0 => count.max(min_pods.min(spec.replicas_or_default())),
        Some(_) | None => count,
    }
}

/// Pods out of `replicas` for a share `weight` of `max_weight`, rounded up. All of them where the
/// whole is zero, since no share can be told.
fn replicas_for_weight(replicas: i32, weight: i32, max_weight: i32) -> i32 {
    if max_weight == 0 {
        return replicas;
    }
    // A float-to-integer cast saturates.
    (f64::from(weight) * f64::from(replicas) / f64::from(max_weight)).ceil() as i32
}

/// Pods allowed above `spec.replicas`; 0 for blue-green.
pub fn max_surge(spec: &RolloutSpec) -> i32 {
    max_surge_and_unavailable(spec).0
}

/// Pods of `spec.replicas` that need not be available.
pub fn max_unavailable(spec: &RolloutSpec) -> i32 {
    max_surge_and_unavailable(spec).1
}

/// `spec.replicas` for the ReplicaSet of the present pod template. `all` are the Rollout's
/// ReplicaSets, `new` among them.
///
/// # Errors
/// The Rollout has no strategy.
pub fn new_replica_set_replicas(
    rollout: &Rollout,
    all: &[&ReplicaSet],
    new: &ReplicaSet,
    weights: Option<&TrafficWeights>,
) -> Result<i32, String> {
    let strategy = &rollout.spec.strategy;
    if let Some(blue_green) = &strategy.blue_green {
        let desired = rollout.spec.replicas_or_default();
        return Ok(match blue_green.preview_replica_count {
            Some(preview) if previews(rollout, all, new) => preview,
            Some(_) | None => desired,
        });
    }
    if let Some(canary) = &strategy.canary {
        let stable = stable_replica_set(rollout, Some(new), all);
        let counts = if canary.traffic_routing.is_some() {
            routed_canary_replica_counts(rollout, Some(new), stable, weights)
        } else {
            let older = other_replica_sets(Some(new), stable, all);
            basic_canary_replica_counts(rollout, Some(new), stable, &older)
        };
        return Ok(counts.canary);
    }
    Err("no rollout strategy provided".to_owned())
}

/// Pods of a ReplicaSet that count as available when scaling down: those that are and will stay,
/// or all it shall have if availability does not matter.
fn replicas_for_scale_down(set: Option<&ReplicaSet>, ignore_availability: bool) -> i32 {
    let Some(set) = set else {
        return 0;
    };
    if set.replicas < set.status.available_replicas || ignore_availability {
        return set.replicas;
    }
    set.status.available_replicas
}

/// Whether it is scaled up and all its pods are available.
pub fn is_available(set: Option<&ReplicaSet>) -> bool {
    set.is_some_and(|set| {
        let available = set.status.available_replicas;
        set.replicas != 0 && available != 0 && set.replicas <= available
    })
}

/// Whether it alone has all pods of the Rollout, was scaled for that, and all are available.
pub fn is_saturated(rollout: &Rollout, set: Option<&ReplicaSet>) -> bool {
    let replicas = rollout.spec.replicas_or_default();
    set.is_some_and(|set| {
        set.replicas == replicas
            && set.desired_replicas() == Some(replicas)
            && set.status.available_replicas == replicas
    })
}

/// The ReplicaSet of `status.stableRS`, if it still exists.
fn stable_replica_set<'a>(
    rollout: &Rollout,
    new: Option<&'a ReplicaSet>,
    all: &[&'a ReplicaSet],
) -> Option<&'a ReplicaSet> {
    let stable_hash = rollout.status.stable_rs.as_str();
    if stable_hash.is_empty() {
        return None;
    }
    new.into_iter()
        .chain(all.iter().copied())
        .find(|set| set.hash() == stable_hash)
}

/// Those that are neither new nor stable, in the given order.
fn other_replica_sets<'a>(
    new: Option<&ReplicaSet>,
    stable: Option<&ReplicaSet>,
    all: &[&'a ReplicaSet],
) -> Vec<&'a ReplicaSet> {
    let is = |set: &ReplicaSet, other: Option<&ReplicaSet>| {
        other.is_some_and(|other| other.name() == set.name())
    };
    all.iter()
        .copied()
        .filter(|set| !is(set, new) && !is(set, stable))
        .collect()
}

impl ReplicaCounts {
    fn clamped(canary: i64, stable: i64) -> Self {
        Self {
            canary: clamp(canary),
            stable: clamp(stable),
        }
    }
}

/// Bounds on the pods of canary and stable together.
struct Limits {
    most_allowed: i64,
    least_available: i64,
}

impl Limits {
    /// Corrects the counts of the side that gives way (`drained`, whose availability was ignored)
    /// and of the other one, so that neither bound is broken. Returns both in this order.
    fn adjust(
        &self,
        drained: Option<&ReplicaSet>,
        other: Option<&ReplicaSet>,
        drained_count: i64,
        other_count: i64,
    ) -> (i64, i64) {
        let Some(other) = other else {
            return (drained_count, other_count);
        };
        let available = |set: &ReplicaSet| i64::from(set.status.available_replicas);
        let over_limit = |drained_count: i64, other_count: i64| {
            (drained_count + other_count - self.most_allowed).max(0)
        };
        // First the other side gives back what it has above the upper bound ...
        let cut = other_count - over_limit(drained_count, other_count);
        let drained_available = drained.map_or(0, |set| available(set).min(drained_count));
        let total_available = drained_available + available(other).min(cut);
        // ... but it keeps pods that are needed for the lower bound; for them the drained side pays.
        let lost = (available(other) - cut).max(0);
        let lacking = (self.least_available - total_available).max(0);
        let other_count = cut + lost.min(lacking);
        (
            drained_count - over_limit(drained_count, other_count),
            other_count,
        )
    }
}

/// `count`, or where the ReplicaSet is above `desired` the least that `surplus` allows.
fn drained_count(set: Option<&ReplicaSet>, desired: i64, surplus: i64, count: i64) -> i64 {
    match set.map(|set| i64::from(set.replicas)) {
        Some(replicas) if replicas > desired => desired.max(replicas - surplus),
        Some(_) | None => count,
    }
}

/// What a weight comes to where pods carry it: the sizes that a canary without traffic routing has
/// at rest at this weight. Negative weights and maxima, which validation refuses, count as none.
pub fn pods_for_weight(rollout: &Rollout, weight: i32) -> ReplicaCounts {
    let replicas = i64::from(rollout.spec.replicas_or_default().max(0));
    let max_weight = rollout.spec.max_traffic_weight_or_default().max(1);
    let weight = weight.clamp(0, max_weight);
    let (canary, stable) =
        replicas_closest_to_weight(replicas, weight, max_weight, max_surge(&rollout.spec));
    ReplicaCounts::clamped(canary, stable)
}

/// Canary and stable counts whose share comes closest to the weight. They sum to `replicas`, or to
/// one more if pods may surge. Neither side is empty at a weight between none and all, if at least
/// two pods are allowed.
///
/// Reproduced from the reference: without surge, a weight half a pod below all of them (95 of 100
/// for 10 pods, 75 for 2) leaves no option, and the canary gets none.
fn replicas_closest_to_weight(
    replicas: i64,
    weight: i32,
    max_weight: i32,
    max_surge: i32,
) -> (i64, i64) {
    if replicas == 0 {
        return (0, 0);
    }
    let share = (replicas as f64 * f64::from(weight)) / f64::from(max_weight);
    let (ceiling, floor) = (clamp_share(share.ceil()), clamp_share(share.floor()));
    let may_be_empty = weight == max_weight || weight == 0 || (replicas == 1 && max_surge == 0);
    // At equal distance the larger canary wins.
    let tied =
        |total: i64| (total as f64 * (f64::from(weight) / f64::from(max_weight))).fract() == 0.5;
    let floor_allowed = |total: i64| !tied(total) && (floor != 0 || may_be_empty);

    let may_surge = max_surge > 0;
    let options = [
        (ceiling < replicas || may_be_empty).then_some((ceiling, replicas)),
        floor_allowed(replicas).then_some((floor, replicas)),
        may_surge.then_some((ceiling, replicas + 1)),
        (may_surge && floor_allowed(replicas + 1)).then_some((floor, replicas + 1)),
    ];
    let distance = |(canary, total): (i64, i64)| {
        let actual = (canary as f64 * f64::from(max_weight)) / total as f64;
        (actual - f64::from(weight)).abs()
    };
    let closest = options.into_iter().flatten().reduce(|best, option| {
        if distance(option) < distance(best) {
            option
        } else {
            best
        }
    });
    closest.map_or((0, replicas), |(canary, total)| (canary, total - canary))
}

/// [`max_surge`] and [`max_unavailable`] at once.
fn max_surge_and_unavailable(spec: &RolloutSpec) -> (i32, i32) {
    let replicas = spec.replicas_or_default();
    let (surge, unavailable) = match &spec.strategy.canary {
        Some(_) => surge_and_unavailable(spec),
        None => {
            let unavailable = spec.max_unavailable_or_default().scaled(replicas, false);
            (0, unavailable.unwrap_or(0))
        }
    };
    let unavailable = if replicas == 0 {
        0
    } else {
        unavailable.min(replicas)
    };
    (surge, unavailable)
}

/// Surge and unavailability; never both zero, since nothing could move then. Both are zero if one
/// of them is no number, which validation refuses.
fn surge_and_unavailable(spec: &RolloutSpec) -> (i32, i32) {
    let replicas = spec.replicas_or_default();
    let surge = spec.max_surge_or_default().scaled(replicas, true);
    let unavailable = spec.max_unavailable_or_default().scaled(replicas, false);
    match (surge, unavailable) {
        (Ok(0), Ok(0)) => (0, 1),
        (Ok(surge), Ok(unavailable)) => (surge, unavailable),
        (Err(_), _) | (_, Err(_)) => (0, 0),
    }
}

/// Whether `new` is a preview that has not yet been promoted.
fn previews(rollout: &Rollout, all: &[&ReplicaSet], new: &ReplicaSet) -> bool {
    let status = &rollout.status;
    let active = all
        .iter()
        .find(|set| set.hash() == status.blue_green.active_selector);
    if active.is_none_or(|active| active.name() == new.name()) || status.promote_full {
        return false;
    }
    if new.hash() != status.current_pod_hash {
        return true;
    }
    let paused = rollout.spec.paused || !status.pause_conditions.is_empty();
    paused || !status.blue_green.scale_up_preview_check_point
}

/// Size of an aborted canary that is not to be scaled down.
fn kept_after_abort(rollout: &Rollout, new: Option<&ReplicaSet>) -> Option<i32> {
    let kept = rollout.status.abort
        && routed_canary(&rollout.spec).is_some()
        && rollout.spec.abort_scale_down_or_default() == AbortScaleDown::Never;
    new.filter(|_| kept).map(|set| set.replicas)
}

fn distinct_stable<'a>(
    new: Option<&ReplicaSet>,
    stable: Option<&'a ReplicaSet>,
) -> Option<&'a ReplicaSet> {
    stable.filter(|stable| new.is_none_or(|new| new.name() != stable.name()))
}

fn routed_canary(spec: &RolloutSpec) -> Option<&CanaryStrategy> {
    spec.strategy
        .canary
        .as_deref()
        .filter(|canary| canary.traffic_routing.is_some())
}

fn sum(sets: &[&ReplicaSet], count: impl Fn(&ReplicaSet) -> i32) -> i64 {
    sets.iter().map(|set| i64::from(count(set))).sum()
}

/// Counts beyond 32 bits in either direction are cut.
fn clamp(count: i64) -> i32 {
    count.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

fn clamp_share(share: f64) -> i64 {
    i64::from(share as i32)
}

#[cfg(test)]
#[path = "replicas_tests.rs"]
mod tests;
