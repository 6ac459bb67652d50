//! AWS load balancers: weights in an action that an annotation of the ingress describes
//! (argo-rollouts `rollout/trafficrouting/alb/alb.go`).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::spec::go_text;
use crate::spec::object_key::ObjectKey;
use crate::spec::rollout::{HeaderRoutingMatch, Rollout, SetHeaderRoute, StringMatch};
use crate::spec::rollout_status::WeightDestination;
use crate::spec::traffic_routing::{AlbTrafficRouting, RolloutTrafficRouting};

use super::ingress::{self, INGRESS};
use super::json::{annotation, clamped, descendant, list_at, text_at};
use super::managed::managed_names;
use super::{Change, Facts, Note, Objects, Refusal, Router, RouterKind, Split, Writing};

pub(super) struct Alb;

const FACTS: Facts = Facts {
    name: "AWS ALB",
    field: "alb",
    header_routes: true,
    mirror_routes: false,
    experiment_weights: true,
    ping_pong: true,
    needs_services: true,
    max_traffic_weight: false,
    verifies_weights: true,
    kinds: &[RouterKind {
        verbs: &["update"],
        ..INGRESS
    }],
    limits: &[
        "The ingress needs a path that leads to the root service, or to the stable one without a root service.",
        "Headers are compared exactly; two values of one header are alternatives.",
        "With ping-pong services these two are split, also where stable and canary service are named.",
    ],
};

const DEFAULT_PREFIX: &str = "alb.ingress.kubernetes.io";
/// Which annotations of an ingress belong to which Rollout, as JSON.
const BOOKKEEPING: &str = "rollouts.argoproj.io/managed-alb-annotations";
/// Seconds that AWS takes for target group stickiness.
const STICKINESS: std::ops::RangeInclusive<i64> = 1..=604_800;

impl Router for Alb {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn is_used(&self, routing: &RolloutTrafficRouting) -> bool {
        routing.alb.is_some()
    }

    fn write(
        &self,
        rollout: &Rollout,
        objects: &Objects,
        split: &Split,
    ) -> Result<Writing, Refusal> {
        let mut writing = Writing::default();
        let Some(balancer) = Balancer::of(rollout) else {
            return Ok(writing);
        };
        let mut ingresses = balancer.ingresses(objects)?;
        for ingress in &mut ingresses {
            ingress.remove_header_routes(&balancer, &split.header_routes, &mut writing)?;
        }
        for route in &split.header_routes {
            for ingress in &mut ingresses {
                ingress.set_header_route(&balancer, route, &mut writing)?;
            }
        }
        for ingress in &mut ingresses {
            ingress.set_weights(&balancer, split, &mut writing)?;
        }
        Ok(writing)
    }

    fn clear_routes(&self, rollout: &Rollout, objects: &Objects) -> Result<Writing, Refusal> {
        let mut writing = Writing::default();
        if let Some(balancer) = Balancer::of(rollout) {
            for mut ingress in balancer.ingresses(objects)? {
                ingress.remove_header_routes(&balancer, &[], &mut writing)?;
            }
        }
        Ok(writing)
    }

    fn read(&self, rollout: &Rollout, objects: &Objects) -> Result<Split, Refusal> {
        let mut split = Split {
            max_weight: 100,
            ..Split::default()
        };
        let Some(balancer) = Balancer::of(rollout) else {
            return Ok(split);
        };
        split.stable.service_name = balancer.stable.to_owned();
        split.canary.service_name = balancer.canary.to_owned();
        let ingresses = balancer.ingresses(objects)?;
        let Some(ingress) = ingresses.first() else {
            return Ok(split);
        };
        let action = annotation(&ingress.object, &balancer.action_key(balancer.root));
        let action = action.and_then(|text| serde_json::from_str::<Value>(text).ok());
        let Some(action) = action else {
            // What no action describes goes to the service behind the path.
            split.stable.weight = split.max_weight;
            return Ok(split);
        };
        for group in list_at(&action, "/ForwardConfig/TargetGroups") {
            let weight = group.get("Weight").and_then(Value::as_i64).unwrap_or(0);
            let (service, weight) = (text_at(group, "/ServiceName"), clamped(weight));
            if service == balancer.canary {
                split.canary.weight = weight;
            } else if service == balancer.stable {
                split.stable.weight = weight;
            } else {
                split.additional.push(WeightDestination {
                    weight,
                    service_name: service.to_owned(),
                    pod_template_hash: String::new(),
                });
            }
        }
        for name in managed_names(rollout) {
            split
                .header_routes
                .extend(ingress.header_route(&balancer, name));
        }
        Ok(split)
    }
}

/// What the Rollout says about its load balancer.
pub(super) struct Balancer<'a> {
    rollout: &'a Rollout,
    pub(super) alb: &'a AlbTrafficRouting,
    /// The service whose action is written.
    root: &'a str,
    pub(super) stable: &'a str,
    pub(super) canary: &'a str,
}

impl<'a> Balancer<'a> {
    pub(super) fn of(rollout: &'a Rollout) -> Option<Self> {
        let canary = rollout.spec.strategy.canary.as_ref()?;
        let alb = canary.traffic_routing.as_deref()?.alb.as_ref()?;
        let (stable, canary_service) = rollout.ping_pong_or_named_services();
        Some(Self {
            rollout,
            alb,
            root: if alb.root_service.is_empty() {
                &canary.stable_service
            } else {
                &alb.root_service
            },
            stable,
            canary: canary_service,
        })
    }

    pub(super) fn ingress_names(&self) -> &'a [String] {
        match &self.alb.ingresses {
            Some(names) => names,
            None => std::slice::from_ref(&self.alb.ingress),
        }
    }

    fn ingresses(&self, objects: &Objects) -> Result<Vec<Ingress>, Refusal> {
        let names = self.ingress_names().iter();
        names
            .map(|name| {
                let (key, object) = ingress::find(objects, name).ok_or_else(|| {
                    Refusal::not_found("TrafficRoutingError", &INGRESS.key(name), "ingress")
                })?;
                if !ingress::has_service(object, self.root) {
                    return Err(Refusal::shape(format!(
                        "ingress does not have service `{}` in rules",
                        self.root
                    )));
                }
                Ok(Ingress {
                    key,
                    object: (**object).clone(),
                })
            })
            .collect()
    }

    fn key(&self, kind: &str, name: &str) -> String {
        let prefix = if self.alb.annotation_prefix.is_empty() {
            DEFAULT_PREFIX
        } else {
            &self.alb.annotation_prefix
        };
        format!("{prefix}/{kind}.{name}")
    }

    fn action_key(&self, name: &str) -> String {
        self.key("actions", name)
    }

    fn condition_key(&self, name: &str) -> String {
        self.key("conditions", name)
    }

    /// An action that forwards to services by weight.
    fn action(&self, weights: &[(&str, i32)]) -> Result<String, Refusal> {
        let groups: Vec<Value> = weights
            .iter()
            .map(|(service, weight)| {
                let mut group = Map::new();
                if !service.is_empty() {
                    group.insert("ServiceName".to_owned(), (*service).into());
                }
                let port = self.alb.service_port.to_string();
                group.insert("ServicePort".to_owned(), port.into());
                group.insert("Weight".to_owned(), (*weight).into());
                group.into()
            })
            .collect();
        let mut forward = json!({"TargetGroups": groups});
        let stickiness = self.alb.stickiness_config.as_ref();
        if let Some(stickiness) = stickiness.filter(|stickiness| stickiness.enabled) {
            if !STICKINESS.contains(&stickiness.duration_seconds) {
                return Err(Refusal::shape(
                    "TargetGroupStickinessConfig's duration must be between 1 and 604800 seconds (7 days)!",
                ));
            }
            forward["TargetGroupStickinessConfig"] = json!({
                "Enabled": true,
                "DurationSeconds": stickiness.duration_seconds,
            });
        }
        Ok(go_text::json(
            &json!({"Type": "forward", "ForwardConfig": forward}),
        ))
    }
}

struct Ingress {
    key: ObjectKey,
    object: Value,
}

impl Ingress {
    fn update(&mut self, object: Value, about: &str, writing: &mut Writing) {
        if object == self.object {
            return;
        }
        self.object = object.clone();
        writing.notes.push(Note {
            reason: "PatchingALBIngress",
            message: format!("Updating Ingress `{}` {about}", self.key.name),
        });
        writing.changes.push(Change::Update {
            key: self.key.clone(),
            object,
        });
    }

    fn set_weights(
        &mut self,
        balancer: &Balancer<'_>,
        split: &Split,
        writing: &mut Writing,
    ) -> Result<(), Refusal> {
        let others = split.additional.iter();
        let weights: Vec<(&str, i32)> = std::iter::once((balancer.canary, split.canary.weight))
            .chain(others.map(|other| (other.service_name.as_str(), other.weight)))
            .chain(std::iter::once((balancer.stable, split.stable.weight)))
            .collect();
        let key = balancer.action_key(balancer.root);
        let mut object = self.object.clone();
        set_annotation(&mut object, &key, balancer.action(&weights)?);
        keep_books(&mut object, balancer, |keys| add(keys, &key))?;
        let about = format!("to desiredWeight '{}'", split.canary.weight);
        self.update(object, &about, writing);
        Ok(())
    }

    /// An action of its own at the head of all paths, and the condition under which it is taken.
    fn set_header_route(
        &mut self,
        balancer: &Balancer<'_>,
        route: &SetHeaderRoute,
        writing: &mut Writing,
    ) -> Result<(), Refusal> {
        let (action, condition) = (
            balancer.action_key(&route.name),
            balancer.condition_key(&route.name),
        );
        let mut object = self.object.clone();
        set_annotation(
            &mut object,
            &action,
            balancer.action(&[(balancer.canary, 100)])?,
        );
        set_annotation(&mut object, &condition, conditions(route)?);
        keep_books(&mut object, balancer, |keys| {
            add(keys, &action);
            add(keys, &condition);
        })?;
        let is_legacy = ingress::is_legacy(&object);
        let is_new = !ingress::has_service(&object, &route.name);
        let names = managed_names(balancer.rollout);
        for paths in ingress::paths_mut(&mut object) {
            if is_new {
                paths.insert(0, ingress::annotated_path(&route.name, is_legacy));
            }
            paths.sort_by_key(|path| {
                let service = ingress::service_of(path);
                let place = names.iter().position(|name| *name == service);
                place.unwrap_or(names.len())
            });
        }
        self.update(object, &format!("to headerRoute '{}'", route.name), writing);
        Ok(())
    }

    fn remove_header_routes(
        &mut self,
        balancer: &Balancer<'_>,
        kept: &[SetHeaderRoute],
        writing: &mut Writing,
    ) -> Result<(), Refusal> {
        let names = managed_names(balancer.rollout);
        let mut gone = names;
        gone.retain(|name| !kept.iter().any(|route| route.name == *name));
        if gone.is_empty() {
            return Ok(());
        }
        let mut object = self.object.clone();
        let mut keys = Vec::new();
        for name in &gone {
            keys.extend([balancer.action_key(name), balancer.condition_key(name)]);
            for paths in ingress::paths_mut(&mut object) {
                if let Some(at) = (paths.iter()).position(|path| ingress::service_of(path) == *name)
                {
                    paths.remove(at);
                }
            }
        }
        if object.pointer("/metadata/annotations").is_some() {
            let annotations = descendant(&mut object, &["metadata", "annotations"]);
            for key in &keys {
                annotations.shift_remove(key);
            }
        }
        keep_books(&mut object, balancer, |managed| {
            managed.retain(|key| !keys.contains(key));
        })?;
        self.update(object, "removing managed routes", writing);
        Ok(())
    }

    fn header_route(&self, balancer: &Balancer<'_>, name: &str) -> Option<SetHeaderRoute> {
        annotation(&self.object, &balancer.action_key(name))?;
        let conditions = annotation(&self.object, &balancer.condition_key(name))?;
        let conditions: Vec<Value> = serde_json::from_str(conditions).ok()?;
        let values = |condition: &Value| -> Vec<HeaderRoutingMatch> {
            let header_name = text_at(condition, "/httpHeaderConfig/httpHeaderName");
            let values = list_at(condition, "/httpHeaderConfig/values").iter();
            values
                .filter_map(Value::as_str)
                .map(|value| HeaderRoutingMatch {
                    header_name: header_name.to_owned(),
                    header_value: Some(StringMatch {
                        exact: value.to_owned(),
                        ..StringMatch::default()
                    }),
                })
                .collect()
        };
        Some(SetHeaderRoute {
            name: name.to_owned(),
            match_: conditions.iter().flat_map(values).collect(),
        })
    }
}

fn set_annotation(object: &mut Value, key: &str, text: String) {
    descendant(object, &["metadata", "annotations"]).insert(key.to_owned(), text.into());
}

fn add(keys: &mut Vec<String>, key: &str) {
    if !keys.iter().any(|present| present == key) {
        keys.push(key.to_owned());
    }
}

/// Notes which annotations are the Rollout's. The notes of other Rollouts stay.
fn keep_books(
    object: &mut Value,
    balancer: &Balancer<'_>,
    change: impl FnOnce(&mut Vec<String>),
) -> Result<(), Refusal> {
    let text = annotation(object, BOOKKEEPING).unwrap_or_default();
    let mut books: BTreeMap<String, Option<Vec<String>>> = if text.is_empty() {
        BTreeMap::new()
    } else {
        serde_json::from_str(text).map_err(|error| {
            Refusal::shape(format!("annotation {BOOKKEEPING} cannot be read: {error}"))
        })?
    };
    let own = books.entry(balancer.rollout.metadata.name.clone());
    change(own.or_default().get_or_insert_default());
    set_annotation(object, BOOKKEEPING, go_text::json(&json!(books)));
    Ok(())
}

/// Values of the same header are alternatives of one condition.
fn conditions(route: &SetHeaderRoute) -> Result<String, Refusal> {
    let mut by_header: Vec<(&str, Vec<&str>)> = Vec::new();
    for condition in &route.match_ {
        let header = condition.header_name.as_str();
        let value = condition.header_value.as_ref();
        let Some(value) = value.filter(|value| !value.exact.is_empty()) else {
            return Err(Refusal::shape(format!(
                "header route {}: only exact values of header {header} can be compared",
                route.name
            )));
        };
        match by_header.iter_mut().find(|(name, _)| *name == header) {
            Some((_, values)) => values.push(&value.exact),
            None => by_header.push((header, vec![&value.exact])),
        }
    }
    let all: Vec<Value> = by_header
        .into_iter()
        .map(|(header, values)| {
            json!({
                "field": "http-header",
                "httpHeaderConfig": {"httpHeaderName": header, "values": values},
            })
        })
        .collect();
    Ok(go_text::json(&all.into()))
}
