//! Service Mesh Interface: a `TrafficSplit` that the Rollout owns
//! (argo-rollouts `rollout/trafficrouting/smi/smi.go`).

use serde_json::{Value, json};

use crate::spec::rollout::Rollout;
use crate::spec::rollout_status::WeightDestination;
use crate::spec::traffic_routing::RolloutTrafficRouting;

use super::json::{clamped, descendant, list_at, text_at, weight_of};
use super::owned::{is_owned, owner_references};
use super::{Change, Facts, Note, Objects, Refusal, Router, RouterKind, Split, Writing};

pub(super) struct Smi;

/// `v1alpha2` is served by all meshes that serve `v1alpha3`; both are alike in what is written here.
const TRAFFIC_SPLIT: RouterKind = RouterKind {
    group: "split.smi-spec.io",
    version: "v1alpha2",
    kind: "TrafficSplit",
    resource: "trafficsplits",
    verbs: &["create", "update"],
};

const FACTS: Facts = Facts {
    name: "SMI TrafficSplit",
    field: "smi",
    header_routes: false,
    mirror_routes: false,
    experiment_weights: true,
    ping_pong: false,
    needs_services: true,
    max_traffic_weight: false,
    verifies_weights: false,
    kinds: &[TRAFFIC_SPLIT],
    limits: &[
        "The TrafficSplit is the Rollout's own: it is created, and one that belongs to another is refused.",
        "The version of a TrafficSplit that is there is kept; a new one is `v1alpha2` unless the namespace has others.",
    ],
};

impl Router for Smi {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn is_used(&self, routing: &RolloutTrafficRouting) -> bool {
        routing.smi.is_some()
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
        let key = TRAFFIC_SPLIT.key(settings.name);
        let Some(present) = objects.get(&key) else {
            let version = version_in_use(objects);
            writing.changes.push(Change::Create {
                key,
                object: json!({
                    "apiVersion": version,
                    "kind": TRAFFIC_SPLIT.kind,
                    "metadata": {
                        "name": settings.name,
                        "namespace": rollout.metadata.namespace,
                        "ownerReferences": owner_references(rollout),
                    },
                    "spec": {
                        "service": settings.root,
                        "backends": settings.backends(split, &version),
                    },
                }),
            });
            writing.notes.push(Note {
                reason: "TrafficSplitCreated",
                message: format!("TrafficSplit `{}` created", settings.name),
            });
            return Ok(writing);
        };
        if !is_owned(present, rollout) {
            return Err(Refusal::shape(format!(
                "Rollout does not own TrafficSplit `{}`",
                settings.name
            )));
        }
        let backends = settings.backends(split, text_at(present, "/apiVersion"));
        let mut object = (**present).clone();
        let spec = descendant(&mut object, &["spec"]);
        spec.insert("service".to_owned(), settings.root.into());
        spec.insert("backends".to_owned(), backends);
        if object != **present {
            writing.changes.push(Change::Update { key, object });
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
        let key = TRAFFIC_SPLIT.key(settings.name);
        let found = objects.get(&key).ok_or_else(|| {
            Refusal::not_found("TrafficSplitNotFound", &key, TRAFFIC_SPLIT.resource)
        })?;
        split.stable.service_name = settings.stable.to_owned();
        split.canary.service_name = settings.canary.to_owned();
        for backend in list_at(found, "/spec/backends") {
            let weight = clamped(weight_of(backend, 0));
            let service = text_at(backend, "/service");
            if service == settings.canary {
                split.canary.weight = weight;
            } else if service == settings.stable {
                split.stable.weight = weight;
            } else {
                split.additional.push(WeightDestination {
                    weight,
                    service_name: service.to_owned(),
                    pod_template_hash: String::new(),
                });
            }
        }
        Ok(split)
    }
}

struct Settings<'a> {
    name: &'a str,
    root: &'a str,
    stable: &'a str,
    canary: &'a str,
}

impl<'a> Settings<'a> {
    fn of(rollout: &'a Rollout) -> Option<Self> {
        let canary = rollout.spec.strategy.canary.as_ref()?;
        let smi = canary.traffic_routing.as_deref()?.smi.as_ref()?;
        let or = |text: &'a str, default: &'a str| if text.is_empty() { default } else { text };
        Some(Self {
            name: or(&smi.traffic_split_name, &rollout.metadata.name),
            root: or(&smi.root_service, &canary.stable_service),
            stable: &canary.stable_service,
            canary: &canary.canary_service,
        })
    }

    /// Weights are quantities in `v1alpha1`, numbers in all later versions.
    fn backends(&self, split: &Split, version: &str) -> Value {
        let backend = |service: &str, weight: i32| {
            if version.ends_with("/v1alpha1") {
                json!({"service": service, "weight": weight.to_string()})
            } else {
                json!({"service": service, "weight": weight})
            }
        };
        let others = split.additional.iter();
        std::iter::once(backend(self.canary, split.canary.weight))
            .chain(others.map(|other| backend(&other.service_name, other.weight)))
            .chain(std::iter::once(backend(self.stable, split.stable.weight)))
            .collect()
    }
}

/// The version of the namespace's traffic splits, or the default one.
fn version_in_use(objects: &Objects) -> String {
    let others = objects
        .iter()
        .filter(|(key, _)| key.group == TRAFFIC_SPLIT.group && key.kind == TRAFFIC_SPLIT.kind);
    others
        .map(|(_, object)| text_at(object, "/apiVersion"))
        .find(|version| version.starts_with(TRAFFIC_SPLIT.group))
        .map_or_else(
            || format!("{}/{}", TRAFFIC_SPLIT.group, TRAFFIC_SPLIT.version),
            str::to_owned,
        )
}
