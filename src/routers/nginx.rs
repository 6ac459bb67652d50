//! NGINX ingress controllers: the weight in annotations of a canary ingress that is made beside
//! every stable one (argo-rollouts `rollout/trafficrouting/nginx/nginx.go`).

use serde_json::{Map, Value, json};

use crate::spec::object_key::ObjectKey;
use crate::spec::rollout::Rollout;
use crate::spec::traffic_routing::{NginxTrafficRouting, RolloutTrafficRouting};

use super::ingress::{self, CLASS_ANNOTATION, INGRESS};
use super::json::{annotation, descendant, list_at, text_at};
use super::owned::{is_owned, owner_references};
use super::{Change, Facts, Note, Objects, Refusal, Router, Split, Writing};

pub(super) struct Nginx;

const FACTS: Facts = Facts {
    name: "NGINX Ingress",
    field: "nginx",
    header_routes: false,
    mirror_routes: false,
    experiment_weights: false,
    ping_pong: false,
    needs_services: true,
    max_traffic_weight: true,
    verifies_weights: false,
    kinds: &[INGRESS],
    limits: &[
        "The canary ingress has the rules of the stable one that lead to the stable service; other rules are not split.",
        "Header and cookie conditions are annotations of the canary ingress (`additionalIngressAnnotations`), not steps.",
    ],
};

const CANARY_SUFFIX: &str = "-canary";
/// Longest name of a Kubernetes object, in bytes.
const NAME_LIMIT: usize = 253;

impl Router for Nginx {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn is_used(&self, routing: &RolloutTrafficRouting) -> bool {
        routing.nginx.is_some()
    }

    fn write(
        &self,
        rollout: &Rollout,
        objects: &Objects,
        split: &Split,
    ) -> Result<Writing, Refusal> {
        let mut writing = Writing::default();
        let Some(settings) = Settings::of(rollout) else {
            return Ok(writing);
        };
        for name in settings.stable_ingresses() {
            let (stable_key, stable) = ingress::find(objects, name).ok_or_else(|| {
                Refusal::shape(format!(
                    "error retrieving stableIngress `{name}` from cache: ingress.networking.k8s.io \"{name}\" not found"
                ))
            })?;
            let key = ObjectKey {
                name: canary_name(&rollout.metadata.name, name),
                ..stable_key
            };
            let wanted = settings.canary_ingress(stable, &key.name, split)?;
            let weight = split.canary.weight;
            let Some(present) = objects.get(&key) else {
                writing.notes.push(Note {
                    reason: "CreatingCanaryIngress",
                    message: format!(
                        "Creating canary ingress `{}` with weight `{weight}`",
                        key.name
                    ),
                });
                writing.changes.push(Change::Create {
                    key,
                    object: wanted,
                });
                continue;
            };
            if !is_owned(present, rollout) {
                return Err(Refusal::shape(format!(
                    "canary ingress `{}` controlled by different object",
                    key.name
                )));
            }
            let object = settings.updated(present, &wanted);
            if object == **present {
                continue;
            }
            writing.notes.push(Note {
                reason: "PatchingCanaryIngress",
                message: format!(
                    "Updating Ingress `{}` to desiredWeight '{weight}'",
                    key.name
                ),
            });
            writing.changes.push(Change::Update { key, object });
        }
        Ok(writing)
    }

    /// Without the canary ingress everything goes to stable.
    fn release(
        &self,
        rollout: &Rollout,
        objects: &Objects,
        _split: &Split,
    ) -> Result<Writing, Refusal> {
        let mut writing = Writing::default();
        let Some(settings) = Settings::of(rollout) else {
            return Ok(writing);
        };
        for name in settings.stable_ingresses() {
            let canary = ingress::find(objects, &canary_name(&rollout.metadata.name, name));
            if let Some((key, _)) = canary.filter(|(_, object)| is_owned(object, rollout)) {
                writing.changes.push(Change::Delete { key });
            }
        }
        Ok(writing)
    }

    fn read(&self, rollout: &Rollout, objects: &Objects) -> Result<Split, Refusal> {
        let mut split = Split {
            max_weight: 100,
            ..Split::default()
        };
        let Some(settings) = Settings::of(rollout) else {
            return Ok(split);
        };
        split.stable.service_name = settings.stable.to_owned();
        split.canary.service_name = settings.canary.to_owned();
        let canary = (settings.stable_ingresses().first())
            .and_then(|name| ingress::find(objects, &canary_name(&rollout.metadata.name, name)));
        if let Some((_, canary)) = canary {
            let number = |name: &str| -> Option<i32> {
                annotation(canary, &settings.key(name))?.parse().ok()
            };
            let is_on = annotation(canary, &settings.key("canary")) == Some("true");
            split.max_weight = number("canary-weight-total").unwrap_or(100);
            split.canary.weight = number("canary-weight").filter(|_| is_on).unwrap_or(0);
        }
        split.stable.weight = split.max_weight.saturating_sub(split.canary.weight);
        Ok(split)
    }
}

struct Settings<'a> {
    rollout: &'a Rollout,
    nginx: &'a NginxTrafficRouting,
    max_weight: Option<i32>,
    stable: &'a str,
    canary: &'a str,
}

impl<'a> Settings<'a> {
    fn of(rollout: &'a Rollout) -> Option<Self> {
        let canary = rollout.spec.strategy.canary.as_ref()?;
        let routing = canary.traffic_routing.as_deref()?;
        Some(Self {
            rollout,
            nginx: routing.nginx.as_ref()?,
            max_weight: routing.max_traffic_weight,
            stable: &canary.stable_service,
            canary: &canary.canary_service,
        })
    }

    fn stable_ingresses(&self) -> &'a [String] {
        match &self.nginx.stable_ingresses {
            Some(names) => names,
            None => std::slice::from_ref(&self.nginx.stable_ingress),
        }
    }

    fn prefix(&self) -> &str {
        self.rollout.spec.nginx_annotation_prefix_or_default()
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix())
    }

    fn canary_ingress(&self, stable: &Value, name: &str, split: &Split) -> Result<Value, Refusal> {
        let mut rules = Vec::new();
        for rule in list_at(stable, "/spec/rules") {
            let mut rule = rule.clone();
            let paths = rule
                .pointer_mut("/http/paths")
                .and_then(Value::as_array_mut);
            let mut leads_to_stable = false;
            for path in paths.into_iter().flatten() {
                if ingress::service_of(path) == self.stable {
                    leads_to_stable = true;
                    ingress::set_service(path, self.canary);
                }
            }
            if leads_to_stable {
                rules.push(rule);
            }
        }
        if rules.is_empty() {
            return Err(Refusal::shape(format!(
                "ingress `{}` has no rules using service {} backend",
                text_at(stable, "/metadata/name"),
                self.stable
            )));
        }
        let mut spec = Map::new();
        for field in ["ingressClassName", "tls"] {
            if let Some(value) = stable.get("spec").and_then(|spec| spec.get(field)) {
                spec.insert(field.to_owned(), value.clone());
            }
        }
        spec.insert("rules".to_owned(), rules.into());
        let annotations = self.annotations(stable, split);
        Ok(json!({
            "apiVersion": stable.get("apiVersion").cloned().unwrap_or_else(|| "networking.k8s.io/v1".into()),
            "kind": INGRESS.kind,
            "metadata": {
                "name": name,
                "namespace": self.rollout.metadata.namespace,
                "annotations": annotations,
                "ownerReferences": owner_references(self.rollout),
            },
            "spec": spec,
        }))
    }

    fn annotations(&self, stable: &Value, split: &Split) -> Map<String, Value> {
        let mut annotations = Map::new();
        if let Some(class) = annotation(stable, CLASS_ANNOTATION) {
            annotations.insert(CLASS_ANNOTATION.to_owned(), class.into());
        }
        for (name, value) in &self.nginx.additional_ingress_annotations {
            let key = if name.starts_with(self.prefix()) {
                name.clone()
            } else {
                self.key(name)
            };
            annotations.insert(key, value.as_str().into());
        }
        for (key, value) in &self.nginx.canary_ingress_annotations {
            annotations.insert(key.clone(), value.as_str().into());
        }
        annotations.insert(self.key("canary"), "true".into());
        let weight = split.canary.weight.to_string();
        annotations.insert(self.key("canary-weight"), weight.into());
        if let Some(total) = self.max_weight {
            annotations.insert(self.key("canary-weight-total"), total.to_string().into());
        }
        annotations
    }

    /// The present canary ingress with the wanted annotations, classes, TLS and rules; what others
    /// added stays.
    fn updated(&self, present: &Value, wanted: &Value) -> Value {
        let mut object = present.clone();
        let annotations = descendant(&mut object, &["metadata", "annotations"]);
        let total = self.key("canary-weight-total");
        if let Some(Value::Object(wanted)) = wanted.pointer("/metadata/annotations") {
            // A total of former days would make the weight a smaller share.
            if !wanted.contains_key(&total) {
                annotations.shift_remove(&total);
            }
            for (key, value) in wanted {
                annotations.insert(key.clone(), value.clone());
            }
        }
        let spec = descendant(&mut object, &["spec"]);
        for field in ["ingressClassName", "tls", "rules"] {
            match wanted.get("spec").and_then(|spec| spec.get(field)) {
                Some(value) => {
                    spec.insert(field.to_owned(), value.clone());
                }
                None => {
                    spec.shift_remove(field);
                }
            }
        }
        object
    }
}

/// `<rollout>-<ingress>-canary`, cut where it would be too long for a name.
fn canary_name(rollout: &str, stable: &str) -> String {
    let mut prefix = format!("{rollout}-{stable}");
    let mut end = prefix.len().min(NAME_LIMIT - CANARY_SUFFIX.len());
    while !prefix.is_char_boundary(end) {
        end -= 1;
    }
    prefix.truncate(end);
    prefix + CANARY_SUFFIX
}
