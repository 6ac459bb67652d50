//! Steps of a canary (argo-rollouts `pkg/apis/rollouts/validation/validation.go`).

use super::field::{FieldError, Path};
use crate::spec::field_path::metadata_value;
use crate::spec::rollout::{
    AnalysisRunArgument, CanaryStep, CanaryStrategy, Rollout, SetMirrorRoute, StringMatch,
};
use crate::spec::traffic_routing::{ManagedRoute, RolloutTrafficRouting};

const STEP_RULE: &str = "Step must have one of the following set: experiment, setWeight, setCanaryScale, plugin or pause";
const MATCH_MISSING: &str =
    "StringMatch value missed, match value must have one of the following: exact, regex, prefix";

/// Errors of one step at `path`; some are reported at the strategy's path instead.
pub(super) fn validate_step(
    rollout: &Rollout,
    canary: &CanaryStrategy,
    step: &CanaryStep,
    strategy_path: &Path,
    path: &Path,
) -> Vec<FieldError> {
    let routing = canary.traffic_routing.as_deref();
    let mut errors = Vec::new();
    errors.extend(validate_action_count(step, path));
    let limit = rollout.spec.max_traffic_weight_or_default();
    if let Some(weight) = step.set_weight
        && (weight < 0 || weight > limit)
    {
        errors.push(path.child("setWeight").invalid(
            weight,
            format!("SetWeight needs to be between 0 and {limit}"),
        ));
    }
    if let Some(pause) = &step.pause
        && pause.duration_seconds() < 0
    {
        errors.push(path.child("pause.duration").invalid(
            pause.duration_seconds(),
            "Duration needs to be greater than 0",
        ));
    }
    if step.set_canary_scale.is_some() && routing.is_none() {
        errors.push(
            strategy_path
                .child("trafficRouting")
                .required("SetCanaryScale requires TrafficRouting to be set"),
        );
    }
    errors.extend(validate_header_route(step, routing, path));
    errors.extend(validate_mirror_route(step, routing, path));
    errors.extend(validate_managed_routes(step, routing, strategy_path, path));
    errors.extend(validate_experiment_weights(step, routing, path));
    errors.extend(validate_arguments(rollout, step, path));
    errors
}

fn validate_action_count(step: &CanaryStep, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let exclusive = [
        step.set_weight.is_some(),
        step.pause.is_some(),
        step.experiment.is_some(),
        step.analysis.is_some(),
    ];
    let count = exclusive.iter().filter(|is_set| **is_set).count();
    if count > 1 {
        errors.push(path.invalid(
            format!(
                "step.Experiment: {} step.Pause: {} step.SetWeight: {} step.Analysis: {}",
                step.experiment.is_some(),
                step.pause.is_some(),
                step.set_weight.is_some(),
                step.analysis.is_some()
            ),
            STEP_RULE,
        ));
    }
    let has_other = step.set_canary_scale.is_some()
        || step.set_header_route.is_some()
        || step.set_mirror_route.is_some()
        || step.plugin.is_some();
    if count == 0 && !has_other {
        // The reference prints whether each is absent.
        errors.push(path.invalid(
            "step.Experiment: true step.Pause: true step.SetWeight: true step.Analysis: true step.SetCanaryScale: true step.SetHeaderRoute: true step.SetMirrorRoute: true step.Plugin: true",
            STEP_RULE,
        ));
    }
    errors
}

fn validate_header_route(
    step: &CanaryStep,
    routing: Option<&RolloutTrafficRouting>,
    path: &Path,
) -> Vec<FieldError> {
    let Some(route) = &step.set_header_route else {
        return Vec::new();
    };
    let path = path.child("setHeaderRoute");
    let router = routing.filter(|routing| {
        routing.istio.is_some()
            || routing.alb.is_some()
            || routing.apisix.is_some()
            || !routing.plugins.is_empty()
    });
    let Some(routing) = router else {
        return vec![path.invalid(
            route,
            "SetHeaderRoute requires TrafficRouting, supports Istio and ALB and Apisix",
        )];
    };
    let matches = route.match_.iter().enumerate();
    matches
        .filter_map(|(i, header)| {
            let path = path.child("match").index(i);
            match &header.header_value {
                None => Some(path.invalid(serde_json::Value::Null, MATCH_MISSING)),
                Some(value) if routing.alb.is_some() => validate_exact_match(value, &path),
                Some(value) => validate_match(value, &path),
            }
        })
        .collect()
}

fn validate_mirror_route(
    step: &CanaryStep,
    routing: Option<&RolloutTrafficRouting>,
    path: &Path,
) -> Vec<FieldError> {
    let Some(route) = &step.set_mirror_route else {
        return Vec::new();
    };
    let path = path.child("setMirrorRoute");
    let mut errors = Vec::new();
    if !routing.is_some_and(|routing| routing.istio.is_some() || !routing.plugins.is_empty()) {
        errors.push(path.invalid(
            route,
            "SetMirrorRoute requires TrafficRouting, supports Istio and Plugins",
        ));
    }
    errors.extend(validate_mirror_matches(route, &path));
    errors
}

/// The reference looks at the method twice and never at the headers.
fn validate_mirror_matches(route: &SetMirrorRoute, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (i, route_match) in route.match_.iter().enumerate() {
        let path = path.child("match").index(i);
        for value in [&route_match.method, &route_match.path, &route_match.method]
            .into_iter()
            .flatten()
        {
            errors.extend(validate_match(value, &path));
        }
    }
    errors
}

fn validate_exact_match(value: &StringMatch, path: &Path) -> Option<FieldError> {
    let is_exact = !value.exact.is_empty() && value.regex.is_empty() && value.prefix.is_empty();
    (!is_exact).then(|| {
        path.invalid(
            value,
            "SetHeaderRoute match value invalid. ALB supports 'exact' value only",
        )
    })
}

fn validate_match(value: &StringMatch, path: &Path) -> Option<FieldError> {
    let kinds = [&value.exact, &value.regex, &value.prefix];
    match kinds.iter().filter(|kind| !kind.is_empty()).count() {
        0 => Some(path.invalid(value, MATCH_MISSING)),
        1 => None,
        _ => Some(path.invalid(
            value,
            "StringMatch match value must have exactly one of the following: exact, regex, prefix",
        )),
    }
}

fn validate_managed_routes(
    step: &CanaryStep,
    routing: Option<&RolloutTrafficRouting>,
    strategy_path: &Path,
    path: &Path,
) -> Vec<FieldError> {
    let header = step
        .set_header_route
        .as_ref()
        .map(|route| ("setHeaderRoute", &route.name));
    let mirror = step
        .set_mirror_route
        .as_ref()
        .map(|route| ("setMirrorRoute", &route.name));
    let Some(routing) = routing else {
        return Vec::new();
    };
    if header.is_none() && mirror.is_none() {
        return Vec::new();
    }
    let Some(managed) = &routing.managed_routes else {
        return vec![
            strategy_path
                .child("trafficRouting.managedRoutes")
                .required(
                    "Rollout has missing field 'spec.strategy.canary.trafficRouting.managedRoutes'",
                ),
        ];
    };
    let is_managed = |name: &String| {
        managed
            .iter()
            .any(|route: &ManagedRoute| route.name == *name)
    };
    [header, mirror]
        .into_iter()
        .flatten()
        .filter(|(_, name)| !is_managed(name))
        .map(|(action, name)| {
            path.child(action).invalid(
                name,
                "Steps define a route that does not exist in spec.strategy.canary.trafficRouting.managedRoutes",
            )
        })
        .collect()
}

fn validate_experiment_weights(
    step: &CanaryStep,
    routing: Option<&RolloutTrafficRouting>,
    path: &Path,
) -> Vec<FieldError> {
    let detail = match routing {
        None => "Experiment template weight cannot be set unless TrafficRouting is enabled",
        Some(routing)
            if routing.alb.is_none()
                && routing.smi.is_none()
                && routing.istio.is_none()
                && routing.plugins.is_empty() =>
        {
            "Experiment template weight is only available for TrafficRouting with SMI, ALB, Istio and Plugins at this time"
        }
        Some(_) => return Vec::new(),
    };
    let templates = step
        .experiment
        .iter()
        .flat_map(|experiment| experiment.templates.iter().enumerate());
    templates
        .filter_map(|(i, template)| {
            let path = path.child("experiment.templates").index(i).child("weight");
            template.weight.map(|weight| path.invalid(weight, detail))
        })
        .collect()
}

fn validate_arguments(rollout: &Rollout, step: &CanaryStep, path: &Path) -> Vec<FieldError> {
    let experiment = step
        .experiment
        .iter()
        .flat_map(|experiment| &experiment.analyses);
    let arguments: Vec<&AnalysisRunArgument> = experiment
        .flat_map(|analysis| &analysis.args)
        .chain(step.analysis.iter().flat_map(|analysis| &analysis.args))
        .collect();
    let field_refs = arguments
        .iter()
        .filter_map(|argument| argument.value_from.as_ref()?.field_ref.as_ref());
    field_refs
        .filter(|field_ref| field_ref.field_path.starts_with("metadata"))
        .filter(|field_ref| metadata_value(&rollout.metadata, &field_ref.field_path).is_err())
        .map(|_| {
            path.child("analyses").invalid(
                &arguments,
                "Analyses arguments must refer to valid object metadata supported by downwardAPI",
            )
        })
        .collect()
}
