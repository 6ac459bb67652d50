//! Finds what a rollout refers to (argo-rollouts `rollout/controller.go`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::field::{FieldError, Path};
use super::reference_config::{validate_alb_config, validate_istio_config, validate_nginx_config};
use crate::spec::analysis::{AnalysisTemplate, ClusterAnalysisTemplate};
use crate::spec::kubernetes::Service;
use crate::spec::rollout::{
    AnalysisRunArgument, AnalysisTemplateRef, CanaryStrategy, Rollout, RolloutAnalysis,
};

/// Most templates followed from one analysis; a reference cycle ends here. (The reference
/// recurses without end.)
const TEMPLATE_LIMIT: usize = 1000;

/// Objects of a cluster, or of files, by name. Namespaced kinds are looked up in the namespace of
/// the rollout unless one is given.
pub trait ReferenceSource {
    fn service(&self, name: &str) -> Option<&Service>;
    fn analysis_template(&self, name: &str) -> Option<&AnalysisTemplate>;
    fn cluster_analysis_template(&self, name: &str) -> Option<&ClusterAnalysisTemplate>;
    /// An Ingress of `networking.k8s.io/v1` or `extensions/v1beta1`.
    fn ingress(&self, name: &str) -> Option<&Value>;
    /// An Istio VirtualService.
    fn virtual_service(&self, namespace: &str, name: &str) -> Option<&Value>;
    /// An Ambassador Mapping.
    fn ambassador_mapping(&self, name: &str) -> Option<&Value>;
    /// An App Mesh VirtualService.
    fn app_mesh_virtual_service(&self, name: &str) -> Option<&Value>;
    /// An App Mesh VirtualRouter.
    fn app_mesh_virtual_router(&self, namespace: &str, name: &str) -> Option<&Value>;
}

/// Everything a rollout refers to, as far as it exists.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReferencedResources<'a> {
    pub services: Vec<ReferencedService<'a>>,
    pub analyses: Vec<ReferencedAnalysis<'a>>,
    pub ingresses: Vec<&'a Value>,
    pub virtual_services: Vec<&'a Value>,
    pub ambassador_mappings: Vec<&'a Value>,
    pub app_mesh_virtual_routers: Vec<&'a Value>,
}

/// A service and what the rollout uses it for.
#[derive(Debug, Clone, PartialEq)]
pub struct ReferencedService<'a> {
    pub role: ServiceRole,
    pub service: &'a Service,
}

/// The templates of one analysis, nested ones included, each once.
#[derive(Debug, Clone, PartialEq)]
pub struct ReferencedAnalysis<'a> {
    pub role: AnalysisRole,
    pub templates: Vec<&'a AnalysisTemplate>,
    pub cluster_templates: Vec<&'a ClusterAnalysisTemplate>,
    pub args: &'a [AnalysisRunArgument],
}

/// What a rollout uses a service for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceRole {
    Active,
    Preview,
    Stable,
    Canary,
    Ping,
    Pong,
}

/// When a rollout runs an analysis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AnalysisRole {
    PrePromotion,
    PostPromotion,
    /// Index of the canary step.
    Step(usize),
    Background,
}

impl ServiceRole {
    pub(super) fn path(self) -> Path {
        Path::new(match self {
            ServiceRole::Active => "spec.strategy.blueGreen.activeService",
            ServiceRole::Preview => "spec.strategy.blueGreen.previewService",
            ServiceRole::Stable => "spec.strategy.canary.stableService",
            ServiceRole::Canary => "spec.strategy.canary.canaryService",
            ServiceRole::Ping => "spec.strategy.canary.pingPong.pingService",
            ServiceRole::Pong => "spec.strategy.canary.pingPong.pongService",
        })
    }
}

impl AnalysisRole {
    pub(super) fn path(self) -> Path {
        match self {
            AnalysisRole::PrePromotion => {
                Path::new("spec.strategy.blueGreen.prePromotionAnalysis.templates")
            }
            AnalysisRole::PostPromotion => {
                Path::new("spec.strategy.blueGreen.postPromotionAnalysis.templates")
            }
            AnalysisRole::Step(index) => Path::new("spec.strategy.canary.steps")
                .index(index)
                .child("analysis.templates"),
            AnalysisRole::Background => Path::new("spec.strategy.canary.analysis.templates"),
        }
    }
}

/// The services a rollout names, in the order the reference looks them up.
pub fn referenced_services<'a>(rollout: &'a Rollout) -> Vec<(ServiceRole, &'a str)> {
    let strategy = &rollout.spec.strategy;
    let mut services: Vec<(ServiceRole, &str)> = Vec::new();
    let mut add = |role: ServiceRole, name: &'a str| {
        if !name.is_empty() {
            services.push((role, name));
        }
    };
    if let Some(blue_green) = &strategy.blue_green {
        add(ServiceRole::Active, &blue_green.active_service);
        add(ServiceRole::Preview, &blue_green.preview_service);
    } else if let Some(canary) = &strategy.canary {
        add(ServiceRole::Stable, &canary.stable_service);
        add(ServiceRole::Canary, &canary.canary_service);
        if let Some(ping_pong) = &canary.ping_pong {
            add(ServiceRole::Ping, &ping_pong.ping_service);
            add(ServiceRole::Pong, &ping_pong.pong_service);
        }
    }
    services
}

/// The analyses a rollout starts itself, in the order the reference looks them up.
pub fn referenced_analyses(rollout: &Rollout) -> Vec<(AnalysisRole, &RolloutAnalysis)> {
    let strategy = &rollout.spec.strategy;
    let mut analyses = Vec::new();
    if let Some(blue_green) = &strategy.blue_green {
        let pre = blue_green.pre_promotion_analysis.as_ref();
        let post = blue_green.post_promotion_analysis.as_ref();
        analyses.extend(pre.map(|analysis| (AnalysisRole::PrePromotion, analysis)));
        analyses.extend(post.map(|analysis| (AnalysisRole::PostPromotion, analysis)));
    } else if let Some(canary) = &strategy.canary {
        for (index, step) in canary.steps.iter().enumerate() {
            if let Some(analysis) = &step.analysis {
                analyses.push((AnalysisRole::Step(index), analysis));
            }
        }
        let background = canary.analysis.as_ref();
        analyses
            .extend(background.map(|background| (AnalysisRole::Background, &background.analysis)));
    }
    analyses
}

/// Looks up all a rollout refers to. The errors, of what is missing and of router settings that
/// name nothing or too much, come in the reference's order; it reports the first one alone.
pub fn resolve_references<'a>(
    rollout: &'a Rollout,
    source: &'a impl ReferenceSource,
) -> (ReferencedResources<'a>, Vec<FieldError>) {
    let mut found = ReferencedResources::default();
    let mut errors = Vec::new();
    for (role, name) in referenced_services(rollout) {
        match source.service(name) {
            Some(service) => found.services.push(ReferencedService { role, service }),
            None => errors.push(
                role.path()
                    .invalid(name, format!("service \"{name}\" not found")),
            ),
        }
    }
    for (role, analysis) in referenced_analyses(rollout) {
        match resolve_templates(&analysis.templates, role.path(), source) {
            Ok((templates, cluster_templates)) => found.analyses.push(ReferencedAnalysis {
                role,
                templates,
                cluster_templates,
                args: &analysis.args,
            }),
            Err(error) => errors.push(*error),
        }
    }
    if let Some(canary) = &rollout.spec.strategy.canary {
        let nginx = validate_nginx_config(canary);
        let alb = validate_alb_config(canary);
        let has_ingress_names = nginx.is_none() && alb.is_none();
        errors.extend(nginx);
        errors.extend(alb);
        if has_ingress_names {
            resolve_ingresses(canary, source, &mut found, &mut errors);
        }
        let istio = validate_istio_config(canary);
        if istio.is_none() {
            resolve_virtual_services(rollout, canary, source, &mut found, &mut errors);
        }
        errors.extend(istio);
        resolve_ambassador(canary, source, &mut found, &mut errors);
        resolve_app_mesh(rollout, canary, source, &mut found, &mut errors);
    }
    (found, errors)
}

/// Splits `name`, `name.namespace` or either with `.cluster.local` into name and namespace.
pub fn virtual_service_name(reference: &str) -> (&str, Option<&str>) {
    let reference = reference
        .strip_suffix(".cluster.local")
        .unwrap_or(reference);
    match reference.rsplit_once('.') {
        Some((name, namespace)) => (name, Some(namespace)),
        None => (reference, None),
    }
}

/// Templates of a namespace and of the cluster.
pub type Templates<'a> = (Vec<&'a AnalysisTemplate>, Vec<&'a ClusterAnalysisTemplate>);

/// The templates a template pulls in, and those that these pull in.
///
/// # Errors
/// A template that is missing, or more than 1000 of them, as in a cycle; at `spec.templates`.
pub fn resolve_template_references<'a>(
    references: &'a [AnalysisTemplateRef],
    source: &'a impl ReferenceSource,
) -> Result<Templates<'a>, Box<FieldError>> {
    resolve_templates(references, Path::new("spec.templates"), source)
}

/// Follows references depth first, as the reference does, and keeps the first template of a name.
///
/// # Errors
/// A template that is missing (nested ones are reported at `spec.templates`), or more than
/// [`TEMPLATE_LIMIT`] of them, as in a cycle.
pub(super) fn resolve_templates<'a>(
    references: &'a [AnalysisTemplateRef],
    path: Path,
    source: &'a impl ReferenceSource,
) -> Result<Templates<'a>, Box<FieldError>> {
    let mut templates = Vec::new();
    let mut cluster_templates = Vec::new();
    let mut seen = BTreeSet::new();
    let mut followed = 0;
    let mut pending: Vec<(&AnalysisTemplateRef, Path)> = references
        .iter()
        .rev()
        .map(|reference| (reference, path.clone()))
        .collect();
    while let Some((reference, path)) = pending.pop() {
        let name = &reference.template_name;
        followed += 1;
        if followed > TEMPLATE_LIMIT {
            return Err(Box::new(
                path.invalid(name, "templates refer to each other without end"),
            ));
        }
        let is_cluster_scope = reference.is_cluster_scope();
        let is_new = seen.insert((is_cluster_scope, name));
        let nested = if is_cluster_scope {
            let template = source.cluster_analysis_template(name).ok_or_else(|| {
                path.invalid(name, format!("ClusterAnalysisTemplate '{name}' not found"))
            })?;
            if is_new {
                cluster_templates.push(template);
            }
            &template.spec.templates
        } else {
            let template = source.analysis_template(name).ok_or_else(|| {
                path.invalid(name, format!("AnalysisTemplate '{name}' not found"))
            })?;
            if is_new {
                templates.push(template);
            }
            &template.spec.templates
        };
        let nested_path = Path::new("spec.templates");
        pending.extend(
            nested
                .iter()
                .rev()
                .map(|reference| (reference, nested_path.clone())),
        );
    }
    Ok((templates, cluster_templates))
}

/// With both routers set the reference looks at those of ALB only.
fn resolve_ingresses<'a>(
    canary: &CanaryStrategy,
    source: &'a impl ReferenceSource,
    found: &mut ReferencedResources<'a>,
    errors: &mut Vec<FieldError>,
) {
    let Some(routing) = &canary.traffic_routing else {
        return;
    };
    let (names, path, value): (Vec<&String>, &str, Value) = match (&routing.alb, &routing.nginx) {
        (Some(alb), _) => match &alb.ingresses {
            Some(names) => (
                names.iter().collect(),
                "alb.ingresses",
                names.clone().into(),
            ),
            None => (
                vec![&alb.ingress],
                "alb.ingress",
                alb.ingress.clone().into(),
            ),
        },
        (None, Some(nginx)) => match &nginx.stable_ingresses {
            Some(names) => (
                names.iter().collect(),
                "nginx.StableIngresses",
                names.clone().into(),
            ),
            None => (
                vec![&nginx.stable_ingress],
                "nginx.stableIngress",
                nginx.stable_ingress.clone().into(),
            ),
        },
        (None, None) => return,
    };
    let path = Path::new("spec.strategy.canary.trafficRouting").child(path);
    for name in names {
        match source.ingress(name) {
            Some(ingress) => found.ingresses.push(ingress),
            None => errors.push(path.invalid(
                &value,
                format!("ingress.networking.k8s.io \"{name}\" not found"),
            )),
        }
    }
}

fn resolve_virtual_services<'a>(
    rollout: &Rollout,
    canary: &CanaryStrategy,
    source: &'a impl ReferenceSource,
    found: &mut ReferencedResources<'a>,
    errors: &mut Vec<FieldError>,
) {
    let Some(istio) = canary
        .traffic_routing
        .as_ref()
        .and_then(|routing| routing.istio.as_ref())
    else {
        return;
    };
    let path = super::istio::virtual_service_path(istio);
    for reference in super::istio::virtual_services(istio) {
        let (name, namespace) = virtual_service_name(&reference.name);
        let namespace = namespace.unwrap_or(&rollout.metadata.namespace);
        match source.virtual_service(namespace, name) {
            Some(object) => found.virtual_services.push(object),
            None => errors.push(path.invalid(
                name,
                format!("virtualservices.networking.istio.io \"{name}\" not found"),
            )),
        }
    }
}

fn resolve_ambassador<'a>(
    canary: &CanaryStrategy,
    source: &'a impl ReferenceSource,
    found: &mut ReferencedResources<'a>,
    errors: &mut Vec<FieldError>,
) {
    let Some(ambassador) = canary
        .traffic_routing
        .as_ref()
        .and_then(|routing| routing.ambassador.as_ref())
    else {
        return;
    };
    let path = Path::new("spec.strategy.canary.trafficRouting.ambassador.mappings");
    if ambassador.mappings.is_empty() {
        errors.push(path.invalid(Value::Null, "must provide at least one mapping"));
    }
    for name in &ambassador.mappings {
        match source.ambassador_mapping(name) {
            Some(mapping) => found.ambassador_mappings.push(mapping),
            None => errors.push(path.invalid(
                name,
                format!("mappings.getambassador.io \"{name}\" not found"),
            )),
        }
    }
}

fn resolve_app_mesh<'a>(
    rollout: &Rollout,
    canary: &CanaryStrategy,
    source: &'a impl ReferenceSource,
    found: &mut ReferencedResources<'a>,
    errors: &mut Vec<FieldError>,
) {
    let Some(app_mesh) = canary
        .traffic_routing
        .as_ref()
        .and_then(|routing| routing.app_mesh.as_ref())
    else {
        return;
    };
    let path = Path::new("spec.strategy.canary.trafficRouting.appmesh.virtualService");
    let Some(reference) = &app_mesh.virtual_service else {
        errors.push(path.invalid(Value::Null, "must provide virtual-service"));
        return;
    };
    let name = &reference.name;
    let own_namespace = rollout.metadata.namespace.as_str();
    let value = format!("{name}.{own_namespace}");
    let Some(virtual_service) = source.app_mesh_virtual_service(name) else {
        errors.push(path.invalid(
            value,
            format!("virtualservices.appmesh.k8s.aws \"{name}\" not found"),
        ));
        return;
    };
    let Some(router_reference) =
        virtual_service.pointer("/spec/provider/virtualRouter/virtualRouterRef")
    else {
        // Not a field error in the reference, but the rollout does not go on either.
        errors.push(path.invalid(
            value,
            "virtual-service must use a virtual-router as its provider",
        ));
        return;
    };
    let text = |key: &str| {
        router_reference
            .get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let name = text("name").unwrap_or_default();
    let namespace = text("namespace").unwrap_or(own_namespace);
    match source.app_mesh_virtual_router(namespace, name) {
        Some(router) => found.app_mesh_virtual_routers.push(router),
        None => errors.push(path.invalid(
            value,
            format!("virtualrouters.appmesh.k8s.aws \"{name}\" not found"),
        )),
    }
}
