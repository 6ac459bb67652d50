//! What a cluster needs to run the controller: objects, in the order in which they are applied.

use serde_json::{Value, json};

use super::access::{Rule, Scope, rules};
use crate::spec::schema::definitions::{KINDS, definition};

/// Name of all objects of an installation, and of its image.
pub const NAME: &str = "rollproof";
/// Port of `/metrics`.
pub const METRICS_PORT: u16 = 8090;
/// Port of `/healthz` and `/readyz`.
pub const HEALTH_PORT: u16 = 8080;

/// How the controller is to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Where the controller runs; with `namespaced` also what it looks at.
    pub namespace: String,
    /// Looks at its own namespace only.
    pub namespaced: bool,
    pub image: String,
    /// Looks only at objects that are labelled so.
    pub instance_id: Option<String>,
    /// Pods of the controller, of which one leads.
    pub replicas: u32,
}

/// A part of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Namespace,
    Crds,
    /// Account, roles and their bindings.
    Rbac,
    /// Deployment, and the Service of its metrics.
    Controller,
}

impl Installation {
    /// The objects of a part, each of which can be applied after those before it.
    pub fn objects(&self, part: Part) -> Vec<Value> {
        match part {
            Part::Namespace => vec![json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace},
            })],
            Part::Crds => KINDS.iter().filter_map(|kind| definition(kind)).collect(),
            Part::Rbac => self.rbac(),
            Part::Controller => vec![self.deployment(), self.service()],
        }
    }

    fn rbac(&self) -> Vec<Value> {
        let namespace = self.namespace.as_str();
        let mut objects = vec![json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": NAME, "namespace": namespace, "labels": labels()},
        })];
        let own_name = format!("{NAME}-own");
        if self.namespaced {
            objects.push(role("Role", NAME, Some(namespace), &rules(Scope::Watched)));
            objects.push(binding("RoleBinding", "Role", NAME, namespace));
        } else {
            let mut all = rules(Scope::Watched);
            all.extend(rules(Scope::Cluster));
            objects.push(role("ClusterRole", NAME, None, &all));
            objects.push(binding(
                "ClusterRoleBinding",
                "ClusterRole",
                NAME,
                namespace,
            ));
        }
        objects.push(role("Role", &own_name, Some(namespace), &rules(Scope::Own)));
        objects.push(binding("RoleBinding", "Role", &own_name, namespace));
        if !self.namespaced {
            objects.extend(AGGREGATED.iter().map(aggregated));
        }
        objects
    }

    fn deployment(&self) -> Value {
        let mut arguments = vec!["controller".to_owned()];
        if self.namespaced {
            arguments.push("--namespaced".to_owned());
        }
        if let Some(id) = &self.instance_id {
            arguments.push("--instance-id".to_owned());
            arguments.push(id.clone());
        }
        let probe = |path: &str| json!({"httpGet": {"path": path, "port": "health"}});
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": NAME, "namespace": self.namespace, "labels": labels()},
            "spec": {
                "replicas": self.replicas,
                "selector": {"matchLabels": selector()},
                "template": {
                    "metadata": {"labels": labels()},
                    "spec": {
                        "serviceAccountName": NAME,
                        "securityContext": {
                            "runAsNonRoot": true,
                            "runAsUser": 65532,
                            "seccompProfile": {"type": "RuntimeDefault"},
                        },
                        "containers": [{
                            "name": NAME,
                            "image": self.image,
                            "args": arguments,
                            "ports": [
                                {"name": "metrics", "containerPort": METRICS_PORT},
                                {"name": "health", "containerPort": HEALTH_PORT},
                            ],
                            "livenessProbe": probe("/healthz"),
                            "readinessProbe": probe("/readyz"),
                            "resources": {
                                "requests": {"cpu": "50m", "memory": "64Mi"},
                                "limits": {"memory": "512Mi"},
                            },
                            "securityContext": {
                                "allowPrivilegeEscalation": false,
                                "readOnlyRootFilesystem": true,
                                "capabilities": {"drop": ["ALL"]},
                            },
                        }],
                    },
                },
            },
        })
    }

    fn service(&self) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": format!("{NAME}-metrics"), "namespace": self.namespace, "labels": labels(),
            },
            "spec": {
                "selector": selector(),
                "ports": [{"name": "metrics", "port": METRICS_PORT, "targetPort": "metrics"}],
            },
        })
    }
}

fn labels() -> Value {
    json!({
        "app.kubernetes.io/name": NAME,
        "app.kubernetes.io/component": "rollouts-controller",
        "app.kubernetes.io/part-of": NAME,
    })
}

fn selector() -> Value {
    json!({"app.kubernetes.io/name": NAME})
}

/// A rule as RBAC has it.
pub fn rule_object(rule: &Rule) -> Value {
    json!({"apiGroups": [rule.group], "resources": rule.resources, "verbs": rule.verbs})
}

fn role(kind: &str, name: &str, namespace: Option<&str>, rules: &[Rule]) -> Value {
    let rules: Vec<Value> = rules.iter().map(rule_object).collect();
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
        "metadata": metadata(name, namespace),
        "rules": rules,
    })
}

fn binding(kind: &str, role_kind: &str, name: &str, namespace: &str) -> Value {
    let own = (kind == "RoleBinding").then_some(namespace);
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
        "metadata": metadata(name, own),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": namespace}],
    })
}

fn metadata(name: &str, namespace: Option<&str>) -> Value {
    match namespace {
        Some(namespace) => json!({"name": name, "namespace": namespace, "labels": labels()}),
        None => json!({"name": name, "labels": labels()}),
    }
}

/// Added to the roles `view`, `edit` and `admin` that every cluster has.
struct Aggregated {
    role: &'static str,
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
}

const SEEN: &[&str] = &[
    "rollouts",
    "rollouts/scale",
    "experiments",
    "analysistemplates",
    "clusteranalysistemplates",
    "analysisruns",
];
/// Commands such as `promote` and `abort` write the status.
const USED: &[&str] = &[
    "rollouts",
    "rollouts/scale",
    "rollouts/status",
    "experiments",
    "analysistemplates",
    "clusteranalysistemplates",
    "analysisruns",
];
const USE: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

const AGGREGATED: [Aggregated; 3] = [
    Aggregated {
        role: "view",
        resources: SEEN,
        verbs: &["get", "list", "watch"],
    },
    Aggregated {
        role: "edit",
        resources: USED,
        verbs: USE,
    },
    Aggregated {
        role: "admin",
        resources: USED,
        verbs: USE,
    },
];

fn aggregated(aggregated: &Aggregated) -> Value {
    let Aggregated {
        role,
        resources,
        verbs,
    } = aggregated;
    let mut labels = labels();
    if let Some(labels) = labels.as_object_mut() {
        let key = format!("rbac.authorization.k8s.io/aggregate-to-{role}");
        labels.insert(key, "true".into());
    }
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": format!("{NAME}-aggregate-to-{role}"), "labels": labels},
        "rules": [{"apiGroups": ["argoproj.io"], "resources": resources, "verbs": verbs}],
    })
}
