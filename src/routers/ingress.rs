//! Ingresses, in the form of `networking.k8s.io/v1` and in that of the older groups.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::spec::object_key::ObjectKey;

use super::json::{list_at, text_at};
use super::{Objects, RouterKind};

/// The annotation that names the ingress controller where `ingressClassName` does not.
pub(super) const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

pub(super) const INGRESS: RouterKind = RouterKind {
    group: "networking.k8s.io",
    version: "v1",
    kind: "Ingress",
    resource: "ingresses",
    verbs: &["create", "update", "delete"],
};

const LEGACY_GROUP: &str = "extensions";

/// An ingress by its name: of `networking.k8s.io`, or else of the older group.
pub(super) fn find<'a>(objects: &'a Objects, name: &str) -> Option<(ObjectKey, &'a Arc<Value>)> {
    let current = INGRESS.key(name);
    let legacy = ObjectKey {
        group: LEGACY_GROUP.to_owned(),
        ..current.clone()
    };
    [current, legacy]
        .into_iter()
        .find_map(|key| objects.get(&key).map(|object| (key, object)))
}

/// Whether backends are written as `serviceName` and `servicePort`.
pub(super) fn is_legacy(ingress: &Value) -> bool {
    text_at(ingress, "/apiVersion").ends_with("/v1beta1")
}

/// Name of the service behind a path; "" where the backend is none.
pub(super) fn service_of(path: &Value) -> &str {
    let name = text_at(path, "/backend/service/name");
    if name.is_empty() {
        text_at(path, "/backend/serviceName")
    } else {
        name
    }
}

/// Gives a path's backend another service, at the same port.
pub(super) fn set_service(path: &mut Value, service: &str) {
    for pointer in ["/backend/service/name", "/backend/serviceName"] {
        if let Some(name) = path.pointer_mut(pointer) {
            *name = service.into();
        }
    }
}

pub(super) fn has_service(ingress: &Value, service: &str) -> bool {
    list_at(ingress, "/spec/rules")
        .iter()
        .flat_map(|rule| list_at(rule, "/http/paths"))
        .any(|path| service_of(path) == service)
}

/// The paths of each rule that has some.
pub(super) fn paths_mut(ingress: &mut Value) -> impl Iterator<Item = &mut Vec<Value>> {
    let rules = ingress
        .pointer_mut("/spec/rules")
        .and_then(Value::as_array_mut);
    rules
        .into_iter()
        .flatten()
        .filter_map(|rule| rule.pointer_mut("/http/paths")?.as_array_mut())
}

/// A path whose backend an annotation describes.
pub(super) fn annotated_path(service: &str, is_legacy: bool) -> Value {
    let backend = if is_legacy {
        json!({"serviceName": service, "servicePort": "use-annotation"})
    } else {
        json!({"service": {"name": service, "port": {"name": "use-annotation"}}})
    };
    json!({"path": "/*", "pathType": "ImplementationSpecific", "backend": backend})
}
