//! Leaving a router: when it is taken out of the spec, or the Rollout is deleted.
//!
//! What a Rollout was routed by is remembered in an annotation of it, as its spec no longer says so
//! when it counts.

use crate::spec::rollout::{CanaryStep, CanaryStrategy, Rollout};
use crate::spec::rollout_status::WeightDestination;

use super::{Change, Objects, ROUTERS, Refusal, Split, Writing, used_by};

/// Annotation on a Rollout: its services, routers and managed routes, as JSON of a canary strategy.
pub const ROUTING_ANNOTATION: &str = "rollproof.dev/traffic-routing";

/// What [`ROUTING_ANNOTATION`] has to say; none where no router is used that is built.
pub fn remembered(rollout: &Rollout) -> Option<String> {
    let canary = rollout.spec.strategy.canary.as_ref()?;
    let routing = canary.traffic_routing.as_deref()?;
    used_by(routing).next()?;
    let steps = canary.steps.iter();
    let steps: Vec<CanaryStep> = steps
        .filter(|step| step.set_header_route.is_some() || step.set_mirror_route.is_some())
        .cloned()
        .collect();
    let kept = CanaryStrategy {
        canary_service: canary.canary_service.clone(),
        stable_service: canary.stable_service.clone(),
        ping_pong: canary.ping_pong.clone(),
        traffic_routing: Some(Box::new(routing.clone())),
        steps: steps.into(),
        ..CanaryStrategy::default()
    };
    serde_json::to_string(&kept).ok()
}

/// The Rollout as it was routed before, with those routers only that it has no longer.
pub fn removed(rollout: &Rollout) -> Option<Rollout> {
    let text = rollout.metadata.annotations.get(ROUTING_ANNOTATION)?;
    let mut before: CanaryStrategy = serde_json::from_str(text).ok()?;
    let now = rollout.spec.strategy.canary.as_ref();
    let now = now.and_then(|canary| canary.traffic_routing.as_deref());
    let routing = before.traffic_routing.as_mut()?;
    if let Some(now) = now {
        let kept = |is_kept: bool| !is_kept;
        routing.istio = routing.istio.take().filter(|_| kept(now.istio.is_some()));
        routing.nginx = routing.nginx.take().filter(|_| kept(now.nginx.is_some()));
        routing.alb = routing.alb.take().filter(|_| kept(now.alb.is_some()));
        routing.smi = routing.smi.take().filter(|_| kept(now.smi.is_some()));
        routing.apisix = routing.apisix.take().filter(|_| kept(now.apisix.is_some()));
        routing
            .plugins
            .retain(|key, _| !now.plugins.contains_key(key));
    }
    used_by(routing).next()?;
    let mut ghost = rollout.clone();
    ghost.spec.strategy.blue_green = None;
    ghost.spec.strategy.canary = Some(before.into());
    Some(ghost)
}

/// Takes the Rollout's routers back to where they would be without it: all weight on stable, no
/// managed route. A router whose objects are gone or of another shape is left out, and said.
pub fn release(rollout: &Rollout, objects: &Objects) -> (Split, Writing, Vec<Refusal>) {
    let max_weight = rollout.spec.max_traffic_weight_or_default();
    let (stable, canary) = rollout.ping_pong_or_named_services();
    let destination = |service: &str, hash: &str, weight| WeightDestination {
        weight,
        service_name: service.to_owned(),
        pod_template_hash: hash.to_owned(),
    };
    let split = Split {
        max_weight,
        canary: destination(canary, &rollout.status.current_pod_hash, 0),
        stable: destination(stable, &rollout.status.stable_rs, max_weight),
        ..Split::default()
    };
    let (mut writing, mut refusals) = (Writing::default(), Vec::new());
    let canary = rollout.spec.strategy.canary.as_ref();
    let routing = canary.and_then(|canary| canary.traffic_routing.as_deref());
    let used = ROUTERS
        .iter()
        .filter(|router| routing.is_some_and(|routing| router.is_used(routing)));
    for router in used {
        match router.release(rollout, objects, &split) {
            Ok(Writing { changes, notes }) => {
                // What is gone routes nothing, and does not come back to say so.
                let (created, kept): (Vec<_>, Vec<_>) = changes
                    .into_iter()
                    .partition(|change| matches!(change, Change::Create { .. }));
                writing.changes.extend(kept);
                if created.is_empty() {
                    writing.notes.extend(notes);
                }
            }
            Err(refusal) => refusals.push(refusal),
        }
    }
    (split, writing, refusals)
}
