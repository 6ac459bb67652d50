//! Which way requests go: what is seen of pods, services and weights, apart from how many there are.
//!
//! A scene does not depend on chance, so that runs in which the same happens have it in common.

use std::sync::Arc;

use crate::engine::{POD_TEMPLATE_HASH_LABEL, Pod, ReplicaSet, Split};
use crate::sim::traffic::Destination;
use crate::sim::world::Namespace;
use crate::spec::kubernetes::Service;
use crate::spec::rollout::Rollout;

use super::versions::{Version, app_of};

/// Which way requests go from a moment on.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::sim) struct Scene {
    /// Those of versions that were not seen before.
    pub new_sets: Vec<Arc<ReplicaSet>>,
    /// In the order of their names.
    pub pods: Vec<ScenePod>,
    pub ways: Vec<SceneWay>,
}

/// A pod of some version.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sim) struct ScenePod {
    pub pod: Arc<Pod>,
    /// Of its version.
    pub hash: Arc<str>,
    /// By which a monitor finds it.
    pub service: Arc<str>,
}

/// Where a share of all requests goes.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sim) struct SceneWay {
    /// The service that is addressed.
    pub service: Arc<str>,
    /// Of the version that answers.
    pub hash: Arc<str>,
    /// Of all requests, above 0 to 1.
    pub share: f64,
    /// Where nothing has gone this way before.
    pub new_gateway: Option<NewGateway>,
}

/// What the metrics of proxies and ingresses call a way.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sim) struct NewGateway {
    pub port: i64,
    /// The stable service.
    pub primary: String,
    /// NGINX' name of the canary's upstream, "" for other ways.
    pub canary_upstream: String,
    pub ingress: String,
    pub host: String,
}

/// Where a rollout lives.
#[derive(Clone, Copy)]
pub(super) struct Place<'w> {
    pub namespace: &'w str,
    pub objects: &'w Namespace,
    pub rollout: &'w Rollout,
}

/// What was seen before.
pub(super) struct Known<'k> {
    pub surroundings: &'k Surroundings,
    pub scene: &'k Scene,
    pub versions: &'k [Version],
    /// Whether requests for a service have gone to the version with a hash.
    pub has_gateway: &'k dyn Fn(&str, &str) -> bool,
}

impl Scene {
    /// What `present` shows beside what was `known`.
    pub(super) fn new(
        place: Place<'_>,
        present: &Surroundings,
        destinations: &[Destination<'_>],
        known: &Known<'_>,
    ) -> Self {
        let Place {
            namespace: _,
            objects,
            rollout,
        } = place;
        let mut new_sets: Vec<Arc<ReplicaSet>> = Vec::new();
        for set in &present.sets {
            let owned = set.metadata.controller().is_some_and(|owner| {
                (owner.kind == "Rollout" && owner.name == rollout.metadata.name)
                    || owner.kind == "Experiment"
            });
            let is_known = known.versions.iter().any(|it| it.hash == set.hash())
                || new_sets.iter().any(|it| it.hash() == set.hash());
            if owned && !is_known {
                new_sets.push(Arc::clone(set));
            }
        }
        let mut same_pods: &[ScenePod] = &[];
        if present.has_services_of(known.surroundings) {
            same_pods = &known.scene.pods;
        }
        let mut pods: Vec<ScenePod> = Vec::with_capacity(present.pods.len());
        let mut before = same_pods.iter().peekable();
        for pod in &present.pods {
            while before
                .next_if(|old| old.pod.metadata.name < pod.metadata.name)
                .is_some()
            {}
            if let Some(same) = before.next_if(|old| Arc::ptr_eq(&old.pod, pod)) {
                pods.push(same.clone());
            } else if let Some(hash) = pod.metadata.labels.get(POD_TEMPLATE_HASH_LABEL) {
                let service = monitored_service(objects, rollout, pod, hash);
                let [hash, service] = [hash.as_str(), service].map(|text| shared_text(&pods, text));
                pods.push(ScenePod {
                    pod: Arc::clone(pod),
                    hash,
                    service,
                });
            }
        }
        let ways = destinations.iter().filter_map(|destination| {
            let version = known.versions.iter().find(|it| it.hash == destination.hash);
            let set = new_sets.iter().find(|set| set.hash() == destination.hash);
            let app = match (version, set) {
                (Some(version), _) => version.app.clone(),
                (None, Some(set)) => app_of(set, &rollout.metadata.name),
                (None, None) => return None,
            };
            let service: Arc<str> = match destination.service {
                "" => addressed_service(objects, rollout, app).into(),
                named => named.into(),
            };
            let has_gateway = (known.has_gateway)(&service, destination.hash);
            Some(SceneWay {
                new_gateway: (!has_gateway).then(|| NewGateway::of(place, &service)),
                service,
                hash: destination.hash.into(),
                share: destination.share,
            })
        });
        Self {
            ways: ways.collect(),
            new_sets,
            pods,
        }
    }
}

/// A text that pods have in common, without a copy of its own.
fn shared_text(pods: &[ScenePod], text: &str) -> Arc<str> {
    let mut texts = pods.iter().flat_map(|pod| [&pod.hash, &pod.service]);
    let known = texts.find(|known| known.as_ref() == text);
    known.map_or_else(|| Arc::from(text), Arc::clone)
}

impl NewGateway {
    fn of(place: Place<'_>, service: &str) -> Self {
        let Place {
            namespace,
            objects,
            rollout,
        } = place;
        let ports = objects.observed.services.get(service);
        let port = ports
            .and_then(|service| service.spec.ports.first())
            .map_or(80, |port| port.port.into());
        let [primary, canary] = services_of(rollout);
        let primary = if primary.is_empty() { service } else { primary };
        let canary_upstream = if service == canary && service != primary {
            format!("{namespace}-{service}-{port}")
        } else {
            String::new()
        };
        let ingress = ingress_name(rollout);
        let host = objects
            .observed
            .other("networking.k8s.io/v1", "Ingress", &ingress)
            .and_then(|ingress| ingress.pointer("/spec/rules/0/host")?.as_str())
            .unwrap_or_default()
            .to_owned();
        Self {
            port,
            primary: primary.to_owned(),
            canary_upstream,
            ingress,
            host,
        }
    }
}

/// Pods that are not among those known, or not found in the same way, both in the order of their names.
pub(super) fn changed_pods<'p>(
    known: &'p [ScenePod],
    present: &'p [ScenePod],
) -> impl Iterator<Item = &'p ScenePod> {
    let mut known = known.iter().peekable();
    let is_same = |old: &ScenePod, pod: &ScenePod| {
        Arc::ptr_eq(&old.pod, &pod.pod) && old.service == pod.service
    };
    present.iter().filter(move |pod| {
        // Mostly all are the same.
        if known.next_if(|old| is_same(old, pod)).is_some() {
            return false;
        }
        while known
            .next_if(|old| old.pod.metadata.name < pod.pod.metadata.name)
            .is_some()
        {}
        known.next_if(|old| is_same(old, pod)).is_none()
    })
}

/// What the requests' way depends on; while it stays the same, nothing has to be looked at again.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Surroundings {
    pods: Vec<Arc<Pod>>,
    sets: Vec<Arc<ReplicaSet>>,
    services: Vec<Arc<Service>>,
    table: Option<Split>,
    stable_hash: String,
    /// The services of the stable and of the new version.
    own_services: [String; 2],
}

impl Surroundings {
    pub fn of(place: &Namespace, rollout: &Rollout) -> Self {
        let observed = &place.observed;
        Self {
            pods: observed.pods.values().cloned().collect(),
            sets: observed.replica_sets.values().cloned().collect(),
            services: observed.services.values().cloned().collect(),
            table: place
                .traffic
                .get(&rollout.metadata.name)
                .and_then(|traffic| traffic.effective.clone()),
            stable_hash: rollout.status.stable_rs.clone(),
            own_services: services_of(rollout).map(str::to_owned),
        }
    }

    /// Whether the services of pods that stay the same do too.
    fn has_services_of(&self, other: &Self) -> bool {
        same(&self.services, other.services.iter())
            && self.stable_hash == other.stable_hash
            && self.own_services == other.own_services
    }

    pub fn is_of(&self, place: &Namespace, rollout: &Rollout) -> bool {
        let observed = &place.observed;
        let table = place
            .traffic
            .get(&rollout.metadata.name)
            .and_then(|traffic| traffic.effective.as_ref());
        same(&self.pods, observed.pods.values())
            && same(&self.sets, observed.replica_sets.values())
            && same(&self.services, observed.services.values())
            && self.table.as_ref() == table
            && self.stable_hash == rollout.status.stable_rs
    }
}

fn same<'a, T: 'a>(known: &[Arc<T>], present: impl ExactSizeIterator<Item = &'a Arc<T>>) -> bool {
    known.len() == present.len()
        && known
            .iter()
            .zip(present)
            .all(|(known, present)| Arc::ptr_eq(known, present))
}

/// The services of the stable and of the new version.
fn services_of(rollout: &Rollout) -> [&str; 2] {
    let strategy = &rollout.spec.strategy;
    if let Some(canary) = &strategy.canary {
        [&canary.stable_service, &canary.canary_service]
    } else if let Some(blue_green) = &strategy.blue_green {
        [&blue_green.active_service, &blue_green.preview_service]
    } else {
        ["", ""]
    }
}

fn selects(service: &Service, pod: &Pod) -> bool {
    let selector = &service.spec.selector;
    !selector.is_empty()
        && selector
            .iter()
            .all(|(name, value)| pod.metadata.labels.get(name) == Some(value))
}

/// The service by which a monitor finds the pod: the one of its version, else any.
fn monitored_service<'w>(
    place: &'w Namespace,
    rollout: &'w Rollout,
    pod: &Pod,
    hash: &str,
) -> &'w str {
    let [stable, canary] = services_of(rollout);
    let first = if hash == rollout.status.stable_rs {
        [stable, canary]
    } else {
        [canary, stable]
    };
    let services = &place.observed.services;
    let own = first.into_iter().find(|name| {
        services
            .get(*name)
            .is_some_and(|service| selects(service, pod))
    });
    own.or_else(|| {
        let any = services.iter().find(|(_, service)| selects(service, pod));
        any.map(|(name, _)| name.as_str())
    })
    .unwrap_or_default()
}

/// The service that clients address where the weights name none: the host of the virtual service,
/// else a service for all versions, else the stable one, else one that is called like the application.
fn addressed_service(place: &Namespace, rollout: &Rollout, app: String) -> String {
    let routing = rollout
        .spec
        .strategy
        .canary
        .as_ref()
        .and_then(|canary| canary.traffic_routing.as_deref());
    let virtual_service = routing
        .and_then(|routing| routing.istio.as_ref())
        .and_then(|istio| {
            let several = istio.virtual_services.iter().flatten();
            istio.virtual_service.iter().chain(several).next()
        });
    let host = virtual_service.and_then(|named| {
        let name = named.name.rsplit('/').next().unwrap_or(&named.name);
        place
            .observed
            .other("networking.istio.io/v1", "VirtualService", name)?
            .pointer("/spec/http/0/route/0/destination/host")?
            .as_str()
    });
    if let Some(host) = host {
        return host.split('.').next().unwrap_or(host).to_owned();
    }
    let [stable, _] = services_of(rollout);
    let of_all = place.observed.services.iter().find(|(_, service)| {
        let selector = &service.spec.selector;
        !selector.contains_key(POD_TEMPLATE_HASH_LABEL)
            && place.observed.pods.values().any(|pod| {
                selects(service, pod) && pod.metadata.labels.contains_key(POD_TEMPLATE_HASH_LABEL)
            })
    });
    match of_all {
        Some((name, _)) => name.clone(),
        None if !stable.is_empty() => stable.to_owned(),
        None => app,
    }
}

fn ingress_name(rollout: &Rollout) -> String {
    let nginx = rollout
        .spec
        .strategy
        .canary
        .as_ref()
        .and_then(|canary| canary.traffic_routing.as_deref()?.nginx.as_ref());
    let first = nginx.and_then(|nginx| {
        let several = nginx.stable_ingresses.iter().flatten();
        [&nginx.stable_ingress]
            .into_iter()
            .chain(several)
            .find(|name| !name.is_empty())
    });
    first.unwrap_or(&rollout.metadata.name).clone()
}
