//! Who gets which share of the traffic.

use std::collections::BTreeMap;

use crate::engine::{Observed, ReplicaSet, Split};
use crate::spec::rollout_status::WeightDestination;
use crate::time::Timestamp;

use super::world::World;

/// What the routers of a rollout were told.
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    pub wanted: Split,
    /// What has taken effect; none before the first configuration did.
    pub effective: Option<Split>,
    /// When `wanted` was set.
    pub since: Timestamp,
}

/// Where a part of the users' requests goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Destination<'w> {
    /// The service that is addressed, "" where none is known.
    pub service: &'w str,
    /// Pod template hash of the version that answers.
    pub hash: &'w str,
    /// Of all requests, above 0 to 1.
    pub share: f64,
}

/// Where the requests go, shares summing to 1; empty where nobody gets any. Header and mirror routes
/// are not counted, as nobody knows how many requests they take.
///
/// By the weights in effect where the rollout has a router; otherwise by the active service's
/// selector (blue-green) or by ready pods, which a service behind all revisions balances over.
pub fn destinations<'w>(world: &'w World, namespace: &str, rollout: &str) -> Vec<Destination<'w>> {
    let Some(place) = world.namespaces.get(namespace) else {
        return Vec::new();
    };
    let Some(object) = place.rollouts.get(rollout) else {
        return Vec::new();
    };
    if let Some(table) = place
        .traffic
        .get(rollout)
        .and_then(|traffic| traffic.effective.as_ref())
    {
        return weighted(table, &place.observed);
    }
    if let Some(blue_green) = &object.spec.strategy.blue_green {
        return selected_hash(&place.observed, &blue_green.active_service)
            .map(|hash| Destination {
                service: &blue_green.active_service,
                hash,
                share: 1.0,
            })
            .into_iter()
            .collect();
    }
    let ready = place
        .observed
        .replica_sets
        .values()
        .filter(|set| {
            set.metadata
                .controller()
                .is_some_and(|owner| owner.kind == "Rollout" && owner.uid == object.metadata.uid)
        })
        .map(|set| Destination {
            service: "",
            hash: set.hash(),
            share: ready_pods(set),
        });
    normalized(ready.collect())
}

/// Share of the traffic per pod template hash; see [`destinations`].
pub fn traffic_shares(world: &World, namespace: &str, rollout: &str) -> BTreeMap<String, f64> {
    let mut shares = BTreeMap::new();
    for destination in destinations(world, namespace, rollout) {
        *shares.entry(destination.hash.to_owned()).or_insert(0.0) += destination.share;
    }
    shares
}

fn ready_pods(set: &ReplicaSet) -> f64 {
    f64::from(set.status.ready_replicas.max(0))
}

fn weighted<'w>(table: &'w Split, observed: &'w Observed) -> Vec<Destination<'w>> {
    let Split {
        max_weight: _,
        canary,
        stable,
        additional,
        header_routes: _,
        mirror_routes: _,
    } = table;
    let destinations = [canary, stable].into_iter().chain(additional);
    let weighted = destinations.map(|destination| {
        let WeightDestination {
            weight,
            service_name,
            pod_template_hash,
        } = destination;
        Destination {
            service: service_name,
            hash: selected_hash(observed, service_name).unwrap_or(pod_template_hash),
            share: f64::from((*weight).max(0)),
        }
    });
    normalized(weighted.collect())
}

/// The pod template hash that a service selects.
fn selected_hash<'w>(observed: &'w Observed, service: &str) -> Option<&'w str> {
    let selector = &observed.services.get(service)?.spec.selector;
    selector
        .get(crate::engine::POD_TEMPLATE_HASH_LABEL)
        .map(String::as_str)
}

fn normalized(mut parts: Vec<Destination<'_>>) -> Vec<Destination<'_>> {
    parts.retain(|part| part.share > 0.0);
    let total: f64 = parts.iter().map(|part| part.share).sum();
    for part in &mut parts {
        part.share /= total;
    }
    parts
}
