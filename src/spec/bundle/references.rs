//! What objects refer to by name, and whether it is among the files.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::{Bundle, Object, ROLLOUTS_GROUP, Typed};
use crate::source::{Problem, Severity, Span};
use crate::spec::analysis::{AnalysisTemplate, Argument, ClusterAnalysisTemplate};
use crate::spec::experiment::Experiment;
use crate::spec::kubernetes::Service;
use crate::spec::rollout::{AnalysisTemplateRef, CanaryStrategy, Rollout};
use crate::spec::traffic_routing::RolloutTrafficRouting;
use crate::spec::validation::{ReferenceSource, virtual_service_name};

const TEMPLATE: &str = "AnalysisTemplate";
const CLUSTER_TEMPLATE: &str = "ClusterAnalysisTemplate";

/// The code of problems about analysis templates that are not among the files.
pub const TEMPLATE_MISSING: &str = "template-missing";
/// The code of problems about all else that is not among the files.
pub const REFERENCE_MISSING: &str = "reference-missing";

/// A name in an object that stands for another object.
#[derive(Clone, Debug)]
pub struct Reference<'b> {
    /// Groups in which the object may be; empty text for `v1`.
    pub groups: &'static [&'static str],
    pub kind: String,
    pub namespace: String,
    pub name: String,
    /// The object that refers, which is a template for what nested templates need.
    pub from: &'b Object,
    /// The path of the name in `from`.
    pub path: String,
    /// Where the name is written.
    pub span: Span,
    pub resolved: Option<&'b Object>,
}

/// The objects as one namespace sees them, for [`crate::spec::validation::resolve_references`].
#[derive(Clone, Copy, Debug)]
pub struct InNamespace<'b> {
    bundle: &'b Bundle,
    namespace: &'b str,
}

impl Bundle {
    /// The view of the objects from a namespace.
    pub fn in_namespace<'b>(&'b self, namespace: &'b str) -> InNamespace<'b> {
        InNamespace {
            bundle: self,
            namespace,
        }
    }

    /// All that an object refers to, with what its analysis templates refer to in turn, each
    /// template followed once. Empty for kinds that are not typed.
    pub fn references<'b>(&'b self, object: &'b Object) -> Vec<Reference<'b>> {
        let mut walk = Walk {
            bundle: self,
            from: object,
            namespace: object.namespace_or_default(),
            found: Vec::new(),
        };
        match &object.typed {
            Typed::Rollout(rollout) => walk.rollout(rollout),
            Typed::AnalysisTemplate(template) => {
                walk.templates("spec.templates", &template.spec.templates);
                walk.secrets("spec.args", &template.spec.args);
            }
            Typed::ClusterAnalysisTemplate(template) => {
                walk.templates("spec.templates", &template.spec.templates);
                walk.secrets("spec.args", &template.spec.args);
            }
            Typed::AnalysisRun(run) => walk.secrets("spec.args", &run.spec.args),
            Typed::Experiment(experiment) => walk.experiment(experiment),
            Typed::Service(_) | Typed::Deployment(_) | Typed::Broken | Typed::Untyped => {}
        }
        walk.follow_templates();
        walk.found
    }

    /// What the objects refer to and none of the files holds, each with the object in which the
    /// name stands: warnings, as it may be in the cluster;
    /// of secrets, which seldom lie beside manifests, only a note.
    pub fn missing_references(&self) -> Vec<(&Object, Problem)> {
        let mut problems: Vec<(&Object, Problem)> = Vec::new();
        let mut shown = BTreeSet::new();
        // Of several the last counts, as elsewhere.
        let by_name: LazyCell<ByName<'_>, _> = LazyCell::new(|| {
            self.objects
                .iter()
                .map(|object| ((object.kind.as_str(), object.name.as_str()), object))
                .collect()
        });
        for object in &self.objects {
            for reference in self.references(object) {
                // A template's own needs come up again through all that use it.
                if reference.resolved.is_none() && shown.insert(reference.span) {
                    let problem = describe_missing(&reference, &by_name);
                    problems.push((reference.from, problem));
                }
            }
        }
        problems
    }
}

/// Objects by kind and name, in any namespace.
type ByName<'b> = BTreeMap<(&'b str, &'b str), &'b Object>;

fn describe_missing(reference: &Reference<'_>, by_name: &ByName<'_>) -> Problem {
    let Reference {
        kind,
        namespace,
        name,
        ..
    } = reference;
    let place = if super::is_of_cluster(kind) {
        String::new()
    } else {
        format!(" in namespace `{namespace}`")
    };
    let code = if matches!(kind.as_str(), TEMPLATE | CLUSTER_TEMPLATE) {
        TEMPLATE_MISSING
    } else {
        REFERENCE_MISSING
    };
    let mut problem = Problem::warning(
        code,
        format!("no {kind} `{name}`{place} among the files"),
        reference.span,
    );
    if kind == "Secret" {
        problem.severity = Severity::Info;
    }
    let other = |kind: &str| by_name.get(&(kind, name.as_str())).copied();
    if let Some(elsewhere) = other(kind) {
        return problem
            .with_help("check the namespace of both, and the group of the other's apiVersion")
            .with_related(
                elsewhere.span_of("metadata.name"),
                "one of this name is here",
            );
    }
    let of_other_scope = match kind.as_str() {
        TEMPLATE => other(CLUSTER_TEMPLATE).map(|found| (found, "set `clusterScope: true`")),
        CLUSTER_TEMPLATE => other(TEMPLATE).map(|found| (found, "remove `clusterScope: true`")),
        _ => None,
    };
    match of_other_scope {
        Some((found, help)) => problem.with_help(help).with_related(
            found.span_of("metadata.name"),
            format!("a {} of this name is here", found.kind),
        ),
        None => problem.with_help("read its file too, unless the cluster has it already"),
    }
}

struct Walk<'b> {
    bundle: &'b Bundle,
    from: &'b Object,
    namespace: &'b str,
    found: Vec<Reference<'b>>,
}

impl<'b> Walk<'b> {
    fn rollout(&mut self, rollout: &Rollout) {
        if let Some(workload) = &rollout.spec.workload_ref {
            let groups: &'static [&'static str] = match workload.kind.as_str() {
                "PodTemplate" => &[""],
                _ => &["apps"],
            };
            let kind = workload.kind.clone();
            self.add_kind(groups, kind, &workload.name, "spec.workloadRef.name".into());
        }
        if let Some(blue_green) = &rollout.spec.strategy.blue_green {
            let base = "spec.strategy.blueGreen";
            for (field, name) in [
                ("activeService", &blue_green.active_service),
                ("previewService", &blue_green.preview_service),
            ] {
                self.service(name, format!("{base}.{field}"));
            }
            for (field, analysis) in [
                ("prePromotionAnalysis", &blue_green.pre_promotion_analysis),
                ("postPromotionAnalysis", &blue_green.post_promotion_analysis),
            ] {
                if let Some(analysis) = analysis {
                    self.templates(&format!("{base}.{field}.templates"), &analysis.templates);
                }
            }
        }
        if let Some(canary) = &rollout.spec.strategy.canary {
            self.canary(canary);
        }
    }

    fn canary(&mut self, canary: &CanaryStrategy) {
        let base = "spec.strategy.canary";
        self.service(&canary.stable_service, format!("{base}.stableService"));
        self.service(&canary.canary_service, format!("{base}.canaryService"));
        if let Some(ping_pong) = &canary.ping_pong {
            self.service(
                &ping_pong.ping_service,
                format!("{base}.pingPong.pingService"),
            );
            self.service(
                &ping_pong.pong_service,
                format!("{base}.pingPong.pongService"),
            );
        }
        if let Some(background) = &canary.analysis {
            let path = format!("{base}.analysis.templates");
            self.templates(&path, &background.analysis.templates);
        }
        for (index, step) in canary.steps.iter().enumerate() {
            let path = format!("{base}.steps[{index}]");
            if let Some(analysis) = &step.analysis {
                self.templates(&format!("{path}.analysis.templates"), &analysis.templates);
            }
            if let Some(experiment) = &step.experiment {
                for (at, analysis) in experiment.analyses.iter().enumerate() {
                    self.template(
                        analysis.is_cluster_scope(),
                        &analysis.template_name,
                        format!("{path}.experiment.analyses[{at}].templateName"),
                    );
                }
            }
        }
        if let Some(routing) = &canary.traffic_routing {
            self.routing(routing);
        }
    }

    fn routing(&mut self, routing: &RolloutTrafficRouting) {
        let base = "spec.strategy.canary.trafficRouting";
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
        const INGRESS: &[&str] = &["networking.k8s.io", "extensions"];
        const ISTIO: &[&str] = &["networking.istio.io"];
        const APP_MESH: &[&str] = &["appmesh.k8s.aws"];
        if let Some(istio) = istio {
            let mut virtual_service = |name: &str, path: String| {
                let (name, namespace) = virtual_service_name(name);
                let namespace = namespace.unwrap_or(self.namespace).to_owned();
                self.add(ISTIO, "VirtualService".into(), namespace, name, path);
            };
            if let Some(one) = &istio.virtual_service {
                virtual_service(&one.name, format!("{base}.istio.virtualService.name"));
            }
            for (index, one) in istio.virtual_services.iter().flatten().enumerate() {
                let path = format!("{base}.istio.virtualServices[{index}].name");
                virtual_service(&one.name, path);
            }
            if let Some(rule) = &istio.destination_rule {
                let path = format!("{base}.istio.destinationRule.name");
                self.add_kind(ISTIO, "DestinationRule".into(), &rule.name, path);
            }
        }
        let mut ingress = |name: &str, path: String| {
            self.add_kind(INGRESS, "Ingress".into(), name, path);
        };
        if let Some(nginx) = nginx {
            ingress(&nginx.stable_ingress, format!("{base}.nginx.stableIngress"));
            for (index, name) in nginx.stable_ingresses.iter().flatten().enumerate() {
                ingress(name, format!("{base}.nginx.stableIngresses[{index}]"));
            }
        }
        if let Some(alb) = alb {
            ingress(&alb.ingress, format!("{base}.alb.ingress"));
            for (index, name) in alb.ingresses.iter().flatten().enumerate() {
                ingress(name, format!("{base}.alb.ingresses[{index}]"));
            }
            self.service(&alb.root_service, format!("{base}.alb.rootService"));
        }
        if let Some(smi) = smi {
            // The TrafficSplit is made by the controller.
            self.service(&smi.root_service, format!("{base}.smi.rootService"));
        }
        for (index, name) in ambassador.iter().flat_map(|a| &a.mappings).enumerate() {
            let path = format!("{base}.ambassador.mappings[{index}]");
            self.add_kind(&["getambassador.io"], "Mapping".into(), name, path);
        }
        if let Some(app_mesh) = app_mesh {
            if let Some(service) = &app_mesh.virtual_service {
                let path = format!("{base}.appMesh.virtualService.name");
                self.add_kind(APP_MESH, "VirtualService".into(), &service.name, path);
            }
            if let Some(group) = &app_mesh.virtual_node_group {
                for (field, node) in [
                    ("canaryVirtualNodeRef", &group.canary_virtual_node_ref),
                    ("stableVirtualNodeRef", &group.stable_virtual_node_ref),
                ] {
                    if let Some(node) = node {
                        let path = format!("{base}.appMesh.virtualNodeGroup.{field}.name");
                        self.add_kind(APP_MESH, "VirtualNode".into(), &node.name, path);
                    }
                }
            }
        }
        if let Some(traefik) = traefik {
            self.add_kind(
                &["traefik.io", "traefik.containo.us"],
                "TraefikService".into(),
                &traefik.weighted_traefik_service_name,
                format!("{base}.traefik.weightedTraefikServiceName"),
            );
        }
        if let Some(route) = apisix.as_ref().and_then(|apisix| apisix.route.as_ref()) {
            let path = format!("{base}.apisix.route.name");
            self.add_kind(
                &["apisix.apache.org"],
                "ApisixRoute".into(),
                &route.name,
                path,
            );
        }
    }

    fn experiment(&mut self, experiment: &Experiment) {
        for (index, analysis) in experiment.spec.analyses.iter().enumerate() {
            let path = format!("spec.analyses[{index}]");
            self.template(
                analysis.is_cluster_scope(),
                &analysis.template_name,
                format!("{path}.templateName"),
            );
            self.secrets(&format!("{path}.args"), &analysis.args);
        }
    }

    fn templates(&mut self, path: &str, references: &[AnalysisTemplateRef]) {
        for (index, reference) in references.iter().enumerate() {
            self.template(
                reference.is_cluster_scope(),
                &reference.template_name,
                format!("{path}[{index}].templateName"),
            );
        }
    }

    fn template(&mut self, is_cluster_scope: bool, name: &str, path: String) {
        let kind = if is_cluster_scope {
            CLUSTER_TEMPLATE
        } else {
            TEMPLATE
        };
        self.add_kind(&[ROLLOUTS_GROUP], kind.into(), name, path);
    }

    fn secrets(&mut self, path: &str, args: &[Argument]) {
        for (index, argument) in args.iter().enumerate() {
            let secret = argument
                .value_from
                .as_ref()
                .and_then(|from| from.secret_key_ref.as_ref());
            if let Some(secret) = secret {
                let path = format!("{path}[{index}].valueFrom.secretKeyRef.name");
                self.add_kind(&[""], "Secret".into(), &secret.name, path);
            }
        }
    }

    fn service(&mut self, name: &str, path: String) {
        self.add_kind(&[""], "Service".into(), name, path);
    }

    fn add_kind(
        &mut self,
        groups: &'static [&'static str],
        kind: String,
        name: &str,
        path: String,
    ) {
        let namespace = self.namespace.to_owned();
        self.add(groups, kind, namespace, name, path);
    }

    fn add(
        &mut self,
        groups: &'static [&'static str],
        kind: String,
        namespace: String,
        name: &str,
        path: String,
    ) {
        // An optional name that is not given.
        if name.is_empty() {
            return;
        }
        let resolved = groups
            .iter()
            .find_map(|group| self.bundle.find(group, &kind, &namespace, name));
        self.found.push(Reference {
            groups,
            kind,
            namespace,
            name: name.to_owned(),
            from: self.from,
            span: self.from.span_of(&path),
            path,
            resolved,
        });
    }

    /// Adds what the templates found refer to, each template once: cycles end.
    fn follow_templates(&mut self) {
        let mut seen = BTreeSet::new();
        let mut next = 0;
        while let Some(reference) = self.found.get(next) {
            next += 1;
            let Some(object) = reference.resolved else {
                continue;
            };
            let spec = match &object.typed {
                Typed::AnalysisTemplate(template) => &template.spec,
                Typed::ClusterAnalysisTemplate(template) => &template.spec,
                Typed::Rollout(_)
                | Typed::AnalysisRun(_)
                | Typed::Experiment(_)
                | Typed::Service(_)
                | Typed::Deployment(_)
                | Typed::Broken
                | Typed::Untyped => continue,
            };
            if std::ptr::eq(object, self.from) || !seen.insert(object.span) {
                continue;
            }
            // What a cluster template names is looked up in the namespace of the run.
            let root = std::mem::replace(&mut self.from, object);
            self.templates("spec.templates", &spec.templates);
            self.secrets("spec.args", &spec.args);
            self.from = root;
        }
    }
}

impl InNamespace<'_> {
    fn json(&self, groups: &[&str], kind: &str, namespace: &str, name: &str) -> Option<&Json> {
        groups
            .iter()
            .find_map(|group| self.bundle.find(group, kind, namespace, name))
            .map(|object| object.json())
    }
}

impl ReferenceSource for InNamespace<'_> {
    fn service(&self, name: &str) -> Option<&Service> {
        match &self.bundle.find("", "Service", self.namespace, name)?.typed {
            Typed::Service(service) => Some(service),
            Typed::Rollout(_)
            | Typed::AnalysisTemplate(_)
            | Typed::ClusterAnalysisTemplate(_)
            | Typed::AnalysisRun(_)
            | Typed::Experiment(_)
            | Typed::Deployment(_)
            | Typed::Broken
            | Typed::Untyped => None,
        }
    }

    fn analysis_template(&self, name: &str) -> Option<&AnalysisTemplate> {
        let object = self
            .bundle
            .find(ROLLOUTS_GROUP, TEMPLATE, self.namespace, name)?;
        match &object.typed {
            Typed::AnalysisTemplate(template) => Some(template),
            Typed::Rollout(_)
            | Typed::ClusterAnalysisTemplate(_)
            | Typed::AnalysisRun(_)
            | Typed::Experiment(_)
            | Typed::Service(_)
            | Typed::Deployment(_)
            | Typed::Broken
            | Typed::Untyped => None,
        }
    }

    fn cluster_analysis_template(&self, name: &str) -> Option<&ClusterAnalysisTemplate> {
        let object = self
            .bundle
            .find(ROLLOUTS_GROUP, CLUSTER_TEMPLATE, "", name)?;
        match &object.typed {
            Typed::ClusterAnalysisTemplate(template) => Some(template),
            Typed::Rollout(_)
            | Typed::AnalysisTemplate(_)
            | Typed::AnalysisRun(_)
            | Typed::Experiment(_)
            | Typed::Service(_)
            | Typed::Deployment(_)
            | Typed::Broken
            | Typed::Untyped => None,
        }
    }

    fn ingress(&self, name: &str) -> Option<&Json> {
        let groups = ["networking.k8s.io", "extensions"];
        self.json(&groups, "Ingress", self.namespace, name)
    }

    fn virtual_service(&self, namespace: &str, name: &str) -> Option<&Json> {
        self.json(&["networking.istio.io"], "VirtualService", namespace, name)
    }

    fn ambassador_mapping(&self, name: &str) -> Option<&Json> {
        self.json(&["getambassador.io"], "Mapping", self.namespace, name)
    }

    fn app_mesh_virtual_service(&self, name: &str) -> Option<&Json> {
        self.json(&["appmesh.k8s.aws"], "VirtualService", self.namespace, name)
    }

    fn app_mesh_virtual_router(&self, namespace: &str, name: &str) -> Option<&Json> {
        self.json(&["appmesh.k8s.aws"], "VirtualRouter", namespace, name)
    }
}
