//! Routes that a Rollout makes and takes away again.

use crate::spec::rollout::{Rollout, SetHeaderRoute, SetMirrorRoute};

/// Names of a Rollout's managed routes: those of `managedRoutes` in their order, then those that
/// only its steps name.
pub(super) fn managed_names(rollout: &Rollout) -> Vec<&str> {
    let Some(canary) = &rollout.spec.strategy.canary else {
        return Vec::new();
    };
    let routing = canary.traffic_routing.iter();
    let declared = routing.flat_map(|routing| routing.managed_routes.iter().flatten());
    let (headers, mirrors) = routes_of_steps(rollout);
    let all = declared
        .map(|route| route.name.as_str())
        .chain(headers.into_iter().map(|route| route.name.as_str()))
        .chain(mirrors.into_iter().map(|route| route.name.as_str()));
    let mut names: Vec<&str> = Vec::new();
    for name in all.filter(|name| !name.is_empty()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// All header and mirror routes that the steps set or remove.
pub(super) fn routes_of_steps(rollout: &Rollout) -> (Vec<&SetHeaderRoute>, Vec<&SetMirrorRoute>) {
    let steps = rollout.spec.strategy.canary.iter();
    let steps = steps.flat_map(|canary| canary.steps.iter());
    let headers = steps
        .clone()
        .filter_map(|step| step.set_header_route.as_deref());
    let mirrors = steps.filter_map(|step| step.set_mirror_route.as_deref());
    (headers.collect(), mirrors.collect())
}
