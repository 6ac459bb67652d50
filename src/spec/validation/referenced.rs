//! What a rollout refers to, against the rollout
//! (argo-rollouts `pkg/apis/rollouts/validation/validation_references.go`).

use serde_json::{Map, Value};

use super::analysis::fill_in;
use super::field::{FieldError, Path};
use super::istio::validate_virtual_service;
use super::references::{AnalysisRole, ReferencedAnalysis, ReferencedResources, ReferencedService};
use crate::spec::analysis::{AnalysisTemplateSpec, Argument, DryRun, MeasurementRetention};
use crate::spec::field_path::value_at;
use crate::spec::rollout::{AnalysisRunArgument, Rollout};
use crate::spec::templates::{
    merge_arguments, merge_rules, merge_templates, resolve_metric_arguments,
};

const POD_TEMPLATE_HASH_LABEL: &str = "rollouts-pod-template-hash";
const MANAGED_BY_ANNOTATION: &str = "argo-rollouts.argoproj.io/managed-by-rollouts";

/// Errors of what the rollout refers to, in the reference's order.
pub fn validate_rollout_references(
    rollout: &Rollout,
    resources: &ReferencedResources<'_>,
) -> Vec<FieldError> {
    let ReferencedResources {
        services,
        analyses,
        ingresses,
        virtual_services,
        ambassador_mappings,
        app_mesh_virtual_routers,
    } = resources;
    let mut errors = Vec::new();
    errors.extend(
        services
            .iter()
            .flat_map(|service| validate_service(rollout, service)),
    );
    errors.extend(
        analyses
            .iter()
            .flat_map(|analysis| validate_analysis(rollout, analysis)),
    );
    errors.extend(
        ingresses
            .iter()
            .filter_map(|ingress| validate_ingress(rollout, ingress)),
    );
    errors.extend(
        virtual_services
            .iter()
            .flat_map(|object| validate_virtual_service(rollout, object)),
    );
    errors.extend(
        ambassador_mappings
            .iter()
            .copied()
            .filter_map(validate_mapping),
    );
    errors.extend(
        app_mesh_virtual_routers
            .iter()
            .copied()
            .filter_map(validate_virtual_router),
    );
    errors
}

fn validate_service(rollout: &Rollout, referenced: &ReferencedService<'_>) -> Vec<FieldError> {
    let path = referenced.role.path();
    let service = referenced.service;
    let name = &service.metadata.name;
    let labels = rollout.spec.template.labels();
    let mut errors = Vec::new();
    for (key, value) in &service.spec.selector {
        if key != POD_TEMPLATE_HASH_LABEL && labels.get(key) != Some(value) {
            errors.push(path.invalid(
                name,
                format!("Service \"{name}\" has unmatch label \"{key}\" in rollout"),
            ));
        }
    }
    if let Some(manager) = service.metadata.annotations.get(MANAGED_BY_ANNOTATION)
        && *manager != rollout.metadata.name
    {
        errors.push(path.invalid(
            name,
            format!("Service \"{name}\" is managed by another Rollout"),
        ));
    }
    errors
}

fn validate_analysis(rollout: &Rollout, analysis: &ReferencedAnalysis<'_>) -> Vec<FieldError> {
    let path = analysis.role.path();
    let specs: Vec<(&str, &AnalysisTemplateSpec)> = (analysis.templates.iter())
        .map(|template| (template.metadata.name.as_str(), &template.spec))
        .chain(
            (analysis.cluster_templates.iter())
                .map(|template| (template.metadata.name.as_str(), &template.spec)),
        )
        .collect();
    if let Err(reason) = validate_merge(rollout, analysis, &specs) {
        let names: Vec<&str> = specs.iter().map(|(name, _)| *name).collect();
        return vec![path.invalid(format!("templateNames: [{}]", names.join(" ")), reason)];
    }
    let mut errors = Vec::new();
    for (name, spec) in specs {
        let details = match analysis.role {
            AnalysisRole::Background => open_background_arguments(rollout, spec),
            AnalysisRole::PrePromotion | AnalysisRole::PostPromotion | AnalysisRole::Step(_) => {
                validate_finite(name, spec)
            }
        };
        errors.extend(details.into_iter().map(|detail| path.invalid(name, detail)));
    }
    errors
}

/// Whether a run could be made of the templates. The rules of every analysis step of the canary
/// are tried with them, also of other steps, as the reference does.
fn validate_merge(
    rollout: &Rollout,
    analysis: &ReferencedAnalysis<'_>,
    specs: &[(&str, &AnalysisTemplateSpec)],
) -> Result<(), String> {
    let specs: Vec<&AnalysisTemplateSpec> = specs.iter().map(|(_, spec)| *spec).collect();
    let merged = merge_templates(&specs)?;
    merge_arguments(&dummy_arguments(rollout, analysis.args), &merged.args)?;
    let steps = rollout
        .spec
        .strategy
        .canary
        .iter()
        .flat_map(|canary| canary.steps.iter());
    let rules: Vec<(&[DryRun], &[MeasurementRetention])> = steps
        .filter_map(|step| step.analysis.as_ref())
        .map(|analysis| {
            (
                analysis.dry_run.as_slice(),
                analysis.measurement_retention.as_slice(),
            )
        })
        .collect();
    for rules in rules {
        merge_rules(rules, (&merged.dry_run, &merged.measurement_retention))?;
    }
    Ok(())
}

/// Arguments as a run would get them, with stand-ins for hashes. If one names metadata that does
/// not exist, none is given.
fn dummy_arguments(rollout: &Rollout, args: &[AnalysisRunArgument]) -> Vec<Argument> {
    let mut arguments = Vec::with_capacity(args.len());
    for argument in args {
        let value_from = argument.value_from.as_ref();
        let hash = value_from.and_then(|value_from| value_from.pod_template_hash_value.as_deref());
        let field = value_from.and_then(|value_from| value_from.field_ref.as_ref());
        let value = match (hash, field) {
            (Some("Latest"), _) => "dummy-new-hash".into(),
            (Some("Stable"), _) => "dummy-stable-hash".into(),
            (Some(_), _) | (None, None) => argument.value.clone(),
            (None, Some(field)) => match value_at(rollout, &field.field_path) {
                Ok(value) => value,
                Err(_) if field.field_path.starts_with("metadata") => return Vec::new(),
                Err(_) => String::new(),
            },
        };
        arguments.push(Argument {
            name: argument.name.clone(),
            value: Some(value),
            value_from: None,
        });
    }
    arguments
}

/// Metrics outside background analysis have to end by themselves.
fn validate_finite(name: &str, spec: &AnalysisTemplateSpec) -> Vec<String> {
    let resolved = fill_in(&spec.args).and_then(|args| {
        let metrics = spec.metrics.iter();
        metrics
            .map(|metric| resolve_metric_arguments(metric, &args))
            .collect::<Result<Vec<_>, _>>()
    });
    match resolved {
        Err(reason) => vec![format!("AnalysisTemplate {name}: {reason}")],
        Ok(metrics) => metrics
            .iter()
            .filter(|metric| metric.effective_count().is_none())
            .map(|metric| {
                let count = metric.count.as_ref().map_or("<nil>".into(), ToString::to_string);
                format!(
                    "AnalysisTemplate {name} has metric {} which runs indefinitely. Invalid value for count: {count}",
                    metric.name
                )
            })
            .collect(),
    }
}

fn open_background_arguments(rollout: &Rollout, spec: &AnalysisTemplateSpec) -> Vec<String> {
    let canary = rollout.spec.strategy.canary.as_ref();
    let background = canary.and_then(|canary| canary.analysis.as_ref());
    let given = background.map_or(&[][..], |background| &background.analysis.args);
    let open = spec
        .args
        .iter()
        .filter(|argument| argument.value.is_none() && argument.value_from.is_none());
    open.filter(|argument| !given.iter().any(|given| given.name == argument.name))
        .map(|argument| {
            if given.is_empty() {
                "missing analysis arguments in rollout spec".into()
            } else {
                argument.name.clone()
            }
        })
        .collect()
}

fn validate_ingress(rollout: &Rollout, ingress: &Value) -> Option<FieldError> {
    let canary = rollout.spec.strategy.canary.as_ref()?;
    let routing = canary.traffic_routing.as_deref()?;
    let name = object_name(ingress);
    let lists = |names: &Option<Vec<String>>| names.iter().flatten().any(|listed| listed == name);
    let path = Path::new("spec.strategy.canary.trafficRouting");
    let (field, service) = match (&routing.nginx, &routing.alb) {
        (Some(nginx), _) if lists(&nginx.stable_ingresses) => {
            ("nginx.stableIngresses", &canary.stable_service)
        }
        (Some(nginx), _) if nginx.stable_ingress == name => {
            ("nginx.stableIngress", &canary.stable_service)
        }
        (_, Some(alb)) => {
            let service = if alb.root_service.is_empty() {
                &canary.stable_service
            } else {
                &alb.root_service
            };
            if lists(&alb.ingresses) {
                ("alb.ingresses", service)
            } else if alb.ingress == name {
                ("alb.ingress", service)
            } else {
                return None;
            }
        }
        (Some(_) | None, None) => return None,
    };
    (!has_rule_with_service(ingress, service)).then(|| {
        path.child(field).invalid(
            name,
            format!("ingress `{name}` has no rules using service {service} backend"),
        )
    })
}

/// Backends of `networking.k8s.io/v1` (`service.name`) and of `extensions/v1beta1`
/// (`serviceName`). A backend without a service, at which the reference crashes, is no match.
fn has_rule_with_service(ingress: &Value, service: &str) -> bool {
    let rules = ingress
        .pointer("/spec/rules")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    rules
        .filter_map(|rule| rule.pointer("/http/paths")?.as_array())
        .flatten()
        .filter_map(|path| {
            let backend = path.get("backend")?;
            backend
                .pointer("/service/name")
                .or_else(|| backend.get("serviceName"))
        })
        .any(|name| name.as_str() == Some(service))
}

fn validate_mapping(mapping: &Value) -> Option<FieldError> {
    let weight = mapping
        .pointer("/spec/weight")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    let name = object_name(mapping);
    (weight != 0).then(|| {
        Path::new("spec.weight").invalid(
            name,
            format!("Ambassador mapping \"{name}\" can not define weight"),
        )
    })
}

/// The first mistake of an App Mesh VirtualRouter.
fn validate_virtual_router(router: &Value) -> Option<FieldError> {
    let kind = router
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if kind != "VirtualRouter" {
        let detail = format!("Expected object kind to be VirtualRouter but is {kind}");
        return Some(Path::new("kind").invalid(kind, detail));
    }
    let name = object_name(router);
    let path = Path::new("spec.routes");
    let routes = router.pointer("/spec/routes").and_then(Value::as_array);
    match routes {
        None => Some(path.invalid(
            name,
            format!("No routes defined for AppMesh virtual-router {name}"),
        )),
        Some(routes) if routes.is_empty() => Some(path.invalid(
            name,
            format!("No routes defined for AppMesh virtual-router {name}"),
        )),
        Some(routes) => {
            let mut routes = routes.iter().enumerate();
            routes.find_map(|(i, route)| validate_app_mesh_route(name, i, route, &path.index(i)))
        }
    }
}

fn validate_app_mesh_route(
    router: &str,
    index: usize,
    route: &Value,
    path: &Path,
) -> Option<FieldError> {
    let Some(route) = route.as_object() else {
        let detail =
            format!("Invalid route was found for AppMesh virtual-router {router} at index {index}");
        return Some(path.invalid(router, detail));
    };
    let name = match route.get("name") {
        Some(Value::String(name)) => name.clone(),
        Some(other) => other.to_string(),
        None => "%!s(<nil>)".into(),
    };
    let route_kinds = ["httpRoute", "tcpRoute", "http2Route", "grpcRoute"];
    let rule = route_kinds
        .iter()
        .find_map(|kind| Some((kind, route.get(*kind)?)));
    let Some((kind, rule)) = rule else {
        let detail = format!(
            "Error getting route details for AppMesh virtual-router {router} and route {name}. Error: Route has unsupported route type"
        );
        return Some(path.invalid(router, detail));
    };
    let targets = rule.as_object().and_then(|rule: &Map<String, Value>| {
        rule.get("action")?.get("weightedTargets")?.as_array()
    });
    let path = path.child(kind).child("action.weightedTargets");
    match targets.map(Vec::len) {
        None => Some(path.invalid(
            router,
            format!("Invalid route action found for AppMesh virtual-router {router} and route {name}"),
        )),
        Some(2) => None,
        Some(count) => Some(path.invalid(
            router,
            format!(
                "Invalid number of weightedTargets ({count}) for AppMesh virtual-router {router} and route {name}, expected 2"
            ),
        )),
    }
}

fn object_name(object: &Value) -> &str {
    object
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}
