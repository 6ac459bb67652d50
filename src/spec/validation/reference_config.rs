//! Router settings that have to name one object or a list of them, not both
//! (argo-rollouts `pkg/apis/rollouts/validation/validation_references.go`).

use super::field::{FieldError, Path};
use crate::spec::rollout::CanaryStrategy;
use crate::spec::traffic_routing::RolloutTrafficRouting;

pub(super) fn validate_nginx_config(canary: &CanaryStrategy) -> Option<FieldError> {
    let nginx = routing(canary)?.nginx.as_ref()?;
    let rule = "Either StableIngress or StableIngresses must be configured.";
    let is_single = !nginx.stable_ingress.is_empty();
    exactly_one(is_single, nginx.stable_ingresses.is_some(), "nginx", rule)
}

pub(super) fn validate_alb_config(canary: &CanaryStrategy) -> Option<FieldError> {
    let alb = routing(canary)?.alb.as_ref()?;
    let rule = "Either Ingress or Ingresses must be configured.";
    exactly_one(
        !alb.ingress.is_empty(),
        alb.ingresses.is_some(),
        "alb",
        rule,
    )
}

pub(super) fn validate_istio_config(canary: &CanaryStrategy) -> Option<FieldError> {
    let istio = routing(canary)?.istio.as_ref()?;
    (istio.virtual_service.is_some() == istio.virtual_services.is_some()).then(|| {
        Path::new("spec.strategy.canary.trafficRouting.istio")
            .internal("either VirtualService or VirtualServices must be configured")
    })
}

fn routing(canary: &CanaryStrategy) -> Option<&RolloutTrafficRouting> {
    canary.traffic_routing.as_deref()
}

fn exactly_one(is_single: bool, is_multiple: bool, router: &str, rule: &str) -> Option<FieldError> {
    let fault = match (is_single, is_multiple) {
        (true, true) => "Both are configured.",
        (false, false) => "Neither are configured.",
        (true, false) | (false, true) => return None,
    };
    let path = Path::new("spec.strategy.canary.trafficRouting").child(router);
    Some(path.internal(format!("{rule} {fault}")))
}
