//! What the traffic routers that a rollout names can do.

use crate::routers::ROUTERS;
use crate::spec::traffic_routing::RolloutTrafficRouting;

/// A traffic router that a rollout names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouterAbilities {
    /// As its users call it.
    pub name: &'static str,
    /// Its field of `trafficRouting`.
    pub field: &'static str,
    pub header_routes: bool,
    pub mirror_routes: bool,
}

/// What the reference controller's routers do (argo-rollouts `rollout/trafficrouting`): field,
/// name, header routes, mirror routes.
const REFERENCE: [(&str, &str, bool, bool); 8] = [
    ("istio", "Istio", true, true),
    ("nginx", "NGINX", false, false),
    ("alb", "AWS ALB", true, false),
    ("smi", "SMI", false, false),
    ("ambassador", "Ambassador", false, false),
    ("appMesh", "AWS App Mesh", false, false),
    ("traefik", "Traefik", false, false),
    ("apisix", "Apisix", true, false),
];

/// The routers named, without plugins, of which nothing is known. A router that this program
/// writes itself says what it can; for others, what the reference does counts.
pub fn named_routers(routing: &RolloutTrafficRouting) -> Vec<RouterAbilities> {
    let RolloutTrafficRouting {
        istio,
        nginx,
        alb,
        smi,
        ambassador,
        app_mesh,
        traefik,
        managed_routes: _,
        apisix,
        plugins: _,
        max_traffic_weight: _,
    } = routing;
    let is_named = [
        istio.is_some(),
        nginx.is_some(),
        alb.is_some(),
        smi.is_some(),
        ambassador.is_some(),
        app_mesh.is_some(),
        traefik.is_some(),
        apisix.is_some(),
    ];
    let named = REFERENCE.iter().zip(is_named).filter(|(_, named)| *named);
    named
        .map(|((field, name, header_routes, mirror_routes), _)| {
            let built = ROUTERS
                .iter()
                .map(|router| router.facts())
                .find(|facts| facts.field == *field);
            RouterAbilities {
                name,
                field,
                header_routes: built.map_or(*header_routes, |facts| facts.header_routes),
                mirror_routes: built.map_or(*mirror_routes, |facts| facts.mirror_routes),
            }
        })
        .collect()
}
