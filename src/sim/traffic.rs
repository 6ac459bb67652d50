//! Who gets which share of the traffic.

use std::collections::BTreeMap;

use crate::engine::{Observed, ReplicaSet, RouteTable};
use crate::spec::rollout_status::WeightDestination;
use crate::time::Timestamp;

use super::world::World;

/// What the routers of a rollout were told.
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    pub wanted: RouteTable,
    /// What has taken effect; none before the first configuration did.
    pub effective: Option<RouteTable>,
    /// When `wanted` was set.
    pub since: Timestamp,
}

/// Share of the traffic per pod template hash, summing to 1; empty where nobody gets any.
///
/// By the weights in effect where the rollout has a router; otherwise by the active service's
/// selector (blue-green) or by ready pods, which a service behind all revisions balances over.
pub fn traffic_shares(world: &World, namespace: &str, rollout: &str) -> BTreeMap<String, f64> {
    let Some(place) = world.namespaces.get(namespace) else {
        return BTreeMap::new();
    };
    let Some(object) = place.rollouts.get(rollout) else {
        return BTreeMap::new();
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
            .map(|hash| BTreeMap::from([(hash, 1.0)]))
            .unwrap_or_default();
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
        .map(|set| (ready_pods(set), set.hash().to_owned()));
    normalized(ready)
}

fn ready_pods(set: &ReplicaSet) -> f64 {
    f64::from(set.status.ready_replicas.max(0))
}

fn weighted(table: &RouteTable, observed: &Observed) -> BTreeMap<String, f64> {
    let RouteTable {
        max_weight: _,
        canary,
        stable,
        additional,
        header_routes: _,
        mirror_routes: _,
    } = table;
    let destinations = [canary, stable].into_iter().chain(additional);
    normalized(destinations.map(|destination| {
        let WeightDestination {
            weight,
            service_name,
            pod_template_hash,
        } = destination;
        let hash =
            selected_hash(observed, service_name).unwrap_or_else(|| pod_template_hash.clone());
        (f64::from((*weight).max(0)), hash)
    }))
}

/// The pod template hash that a service selects.
fn selected_hash(observed: &Observed, service: &str) -> Option<String> {
    let selector = &observed.services.get(service)?.spec.selector;
    selector
        .get(crate::engine::POD_TEMPLATE_HASH_LABEL)
        .cloned()
}

fn normalized(parts: impl Iterator<Item = (f64, String)>) -> BTreeMap<String, f64> {
    let mut shares = BTreeMap::new();
    for (part, hash) in parts {
        if part > 0.0 {
            *shares.entry(hash).or_insert(0.0) += part;
        }
    }
    let total: f64 = shares.values().sum();
    for share in shares.values_mut() {
        *share /= total;
    }
    shares
}
