//! `spec.strategy` of a rollout (argo-rollouts `pkg/apis/rollouts/validation/validation.go`).

use super::canary_step::validate_step;
use super::field::{FieldError, Path};
use super::syntax;
use crate::spec::meta::IntOrString;
use crate::spec::rollout::{AntiAffinity, BlueGreenStrategy, CanaryStrategy, Rollout};

/// Errors of the strategy. Paths of its fields lack `canary` and `blueGreen`.
pub(super) fn validate_strategy(rollout: &Rollout, path: &Path) -> Vec<FieldError> {
    let strategy = &rollout.spec.strategy;
    match (&strategy.blue_green, &strategy.canary) {
        (None, None) => vec![path.child("strategy").required(
            "Rollout has missing field '.spec.strategy.canary or .spec.strategy.blueGreen'",
        )],
        (Some(_), Some(_)) => vec![path.child("strategy").invalid(
            "blueGreen: true canary: true",
            "Multiple Strategies can not be listed",
        )],
        (Some(blue_green), None) => validate_blue_green(rollout, blue_green, path),
        (None, Some(canary)) => validate_canary(rollout, canary, path),
    }
}

fn validate_blue_green(
    rollout: &Rollout,
    blue_green: &BlueGreenStrategy,
    path: &Path,
) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if blue_green.active_service == blue_green.preview_service {
        errors.push(path.child("activeService").invalid(
            &blue_green.active_service,
            "This rollout uses the same service for the active and preview services, but two different services are required.",
        ));
    }
    if let Some(limit) = blue_green.scale_down_delay_revision_limit
        && rollout.spec.revision_history_limit_or_default() < limit
    {
        errors.push(path.child("scaleDownDelayRevisionLimit").invalid(
            limit,
            "This rollout's revision history limit can not be smaller than the rollout's scale down limit",
        ));
    }
    errors.extend(validate_anti_affinity(
        blue_green.anti_affinity.as_ref(),
        path,
    ));
    errors
}

fn validate_canary(rollout: &Rollout, canary: &CanaryStrategy, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    errors.extend(validate_surge(rollout, path));
    if !canary.stable_service.is_empty() && canary.canary_service == canary.stable_service {
        errors.push(path.child("stableService").invalid(
            &canary.stable_service,
            "This rollout uses the same service for the stable and canary services, but two different services are required.",
        ));
    }
    errors.extend(validate_ping_pong(canary, path));
    if requires_services(canary) {
        for (name, service) in [
            ("stableService", &canary.stable_service),
            ("canaryService", &canary.canary_service),
        ] {
            if service.is_empty() {
                errors.push(path.child(name).invalid(
                    service,
                    "Canary service and Stable service must to be set to use Traffic Routing",
                ));
            }
        }
    }
    errors.extend(validate_routing_only_fields(canary, path));
    for (i, step) in canary.steps.iter().enumerate() {
        errors.extend(validate_step(
            rollout,
            canary,
            step,
            path,
            &path.child("steps").index(i),
        ));
    }
    errors.extend(validate_anti_affinity(canary.anti_affinity.as_ref(), path));
    errors
}

fn validate_surge(rollout: &Rollout, path: &Path) -> Option<FieldError> {
    let surge = rollout.spec.max_surge_or_default();
    let unavailable = rollout.spec.max_unavailable_or_default();
    (number_or_percent(&surge) == 0 && number_or_percent(&unavailable) == 0).then(|| {
        path.child("maxSurge")
            .invalid(surge, "MaxSurge and MaxUnavailable both can not be zero")
    })
}

/// The number before `%`, or the number itself; other text counts as 0.
fn number_or_percent(value: &IntOrString) -> i64 {
    match value {
        IntOrString::String(text) if syntax::is_percent(text) => {
            IntOrString::String(text.trim_end_matches('%').into()).int_value()
        }
        IntOrString::String(_) | IntOrString::Int(_) => value.int_value(),
    }
}

fn validate_ping_pong(canary: &CanaryStrategy, path: &Path) -> Vec<FieldError> {
    let Some(ping_pong) = &canary.ping_pong else {
        return Vec::new();
    };
    let mut errors = Vec::new();
    let routing = canary.traffic_routing.as_deref();
    let alb_path = path.child("trafficRouting.alb");
    if routing.is_some_and(|routing| {
        routing.alb.is_none() && routing.istio.is_none() && routing.plugins.is_empty()
    }) {
        errors.push(alb_path.invalid(
            serde_json::Value::Null,
            "Ping-pong feature works with the ALB, Istio, and plugin-based traffic routers only",
        ));
    }
    let (ping, pong) = (&ping_pong.ping_service, &ping_pong.pong_service);
    let ping_path = path.child("pingPong.pingService");
    for (service_path, service) in [
        (&ping_path, ping),
        (&path.child("pingPong.pongService"), pong),
    ] {
        if service.is_empty() {
            errors.push(service_path.invalid(
                service,
                "Ping service and Pong service must to be set to use Ping-Pong feature",
            ));
        }
    }
    if ping == pong {
        errors.push(ping_path.invalid(
            ping,
            "This rollout uses the same service for the ping and pong services, but two different services are required.",
        ));
    }
    let alb = routing.and_then(|routing| routing.alb.as_ref());
    if alb.is_some_and(|alb| alb.root_service.is_empty()) {
        errors.push(alb_path.child("rootService").invalid(
            "",
            "Root service field is required for the configuration with ALB and ping-pong feature enabled",
        ));
    }
    errors
}

/// Whether a router is set that needs both `canaryService` and `stableService`.
fn requires_services(canary: &CanaryStrategy) -> bool {
    let Some(routing) = &canary.traffic_routing else {
        return false;
    };
    let has_ping_pong = canary.ping_pong.is_some();
    let splits_by_host = routing
        .istio
        .as_ref()
        .is_some_and(|istio| istio.destination_rule.is_none());
    let is_router_of_ping_pong = routing.alb.is_some() || splits_by_host;
    (is_router_of_ping_pong && !has_ping_pong)
        || routing.smi.is_some()
        || routing.apisix.is_some()
        || routing.ambassador.is_some()
        || routing.nginx.is_some()
        || routing.app_mesh.is_some()
        || routing.traefik.is_some()
}

fn validate_routing_only_fields(canary: &CanaryStrategy, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let delay = canary.scale_down_delay_seconds;
    let dynamic_path = path.child("dynamicStableScale");
    let Some(routing) = &canary.traffic_routing else {
        if let Some(delay) = delay {
            errors.push(path.child("scaleDownDelaySeconds").invalid(
                delay,
                "Canary scaleDownDelaySeconds can only be used with traffic routing",
            ));
        }
        if canary.dynamic_stable_scale {
            errors.push(dynamic_path.invalid(
                true,
                "Canary dynamicStableScale can only be used with traffic routing",
            ));
        }
        return errors;
    };
    if delay.is_some() && canary.dynamic_stable_scale {
        errors.push(dynamic_path.invalid(
            true,
            "Canary dynamicStableScale cannot be used with scaleDownDelaySeconds",
        ));
    }
    if let Some(limit) = routing.max_traffic_weight
        && routing.nginx.is_none()
        && routing.plugins.is_empty()
    {
        errors.push(path.child("trafficRouting.maxTrafficWeight").invalid(
            limit,
            "Canary maxTrafficWeight in traffic routing only supported in Nginx and Plugins",
        ));
    }
    errors
}

fn validate_anti_affinity(
    anti_affinity: Option<&AntiAffinity>,
    strategy_path: &Path,
) -> Vec<FieldError> {
    let Some(anti_affinity) = anti_affinity else {
        return Vec::new();
    };
    let path = strategy_path.child("antiAffinity");
    let preferred = anti_affinity
        .preferred_during_scheduling_ignored_during_execution
        .as_ref();
    let has_required = anti_affinity
        .required_during_scheduling_ignored_during_execution
        .is_some();
    let mut errors = Vec::new();
    if preferred.is_some() == has_required {
        errors.push(path.invalid(
            format!(
                "antiAffinity.PreferredDuringSchedulingIgnoredDuringExecution: {} antiAffinity.RequiredDuringSchedulingIgnoredDuringExecution: {has_required}",
                preferred.is_some()
            ),
            "AntiAffinity must have exactly one strategy listed",
        ));
    }
    if let Some(preferred) = preferred
        && !(1..=100).contains(&preferred.weight)
    {
        errors.push(path.child("weight").invalid(
            preferred.weight,
            "AntiAffinity weight must be between 1-100",
        ));
    }
    errors
}
