//! Routes that a Rollout makes and takes away again.

use crate::spec::rollout::Rollout;

/// Names of a Rollout's managed routes: those of `managedRoutes` in their order, then those that
/// only its steps name.
pub(super) fn managed_names(rollout: &Rollout) -> Vec<&str> {
    let Some(canary) = &rollout.spec.strategy.canary else {
        return Vec::new();
    };
    let routing = canary.traffic_routing.iter();
    let declared = routing.flat_map(|routing| routing.managed_routes.iter().flatten());
    let headers = canary
        .steps
        .iter()
        .filter_map(|step| step.set_header_route.as_ref());
    let mirrors = canary
        .steps
        .iter()
        .filter_map(|step| step.set_mirror_route.as_ref());
    let all = declared
        .map(|route| route.name.as_str())
        .chain(headers.map(|route| route.name.as_str()))
        .chain(mirrors.map(|route| route.name.as_str()));
    let mut names: Vec<&str> = Vec::new();
    for name in all.filter(|name| !name.is_empty()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
