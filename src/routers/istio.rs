//! Istio: weights in the routes of virtual services, pod hashes in the subsets of a destination rule
//! (argo-rollouts `rollout/trafficrouting/istio/istio.go`).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::spec::meta::{MANAGED_BY_ANNOTATION, POD_TEMPLATE_HASH_LABEL};
use crate::spec::object_key::ObjectKey;
use crate::spec::rollout::{
    HeaderRoutingMatch, Rollout, RouteMatch, SetHeaderRoute, SetMirrorRoute,
};
use crate::spec::rollout_status::WeightDestination;
use crate::spec::traffic_routing::{
    IstioDestinationRule, IstioTrafficRouting, IstioVirtualService, RolloutTrafficRouting,
};
use crate::spec::validation::istio::{chosen_routes, short_host, virtual_services};
use crate::spec::validation::virtual_service_name;

use super::json::{clamped, descendant, weight_of};
use super::managed::managed_names;
use super::{Change, Facts, Note, Objects, Refusal, Router, RouterKind, Split, Writing};

pub(super) struct Istio;

/// An experiment whose pods have no ports has no service, and is given a destination without a host anew
/// at each look, as the reference does (recorded). It does so without end.
const MOST_WITHOUT_HOST: usize = 200;

const VIRTUAL_SERVICE: RouterKind = RouterKind {
    group: "networking.istio.io",
    version: "v1",
    kind: "VirtualService",
    resource: "virtualservices",
    verbs: &["update"],
};

const DESTINATION_RULE: RouterKind = RouterKind {
    group: "networking.istio.io",
    version: "v1",
    kind: "DestinationRule",
    resource: "destinationrules",
    verbs: &["update"],
};

const FACTS: Facts = Facts {
    name: "Istio",
    field: "istio",
    header_routes: true,
    mirror_routes: true,
    experiment_weights: true,
    ping_pong: true,
    needs_services: false,
    max_traffic_weight: false,
    verifies_weights: false,
    kinds: &[VIRTUAL_SERVICE, DESTINATION_RULE],
    limits: &[
        "Without a destination rule, canary and stable service have to be named.",
        "Header and mirror routes need a virtual service with HTTP routes.",
        "Other destinations of a split route are taken out while they have a weight.",
    ],
};

/// Kinds of routes in a virtual service.
const PROTOCOLS: [&str; 3] = ["http", "tls", "tcp"];

impl Router for Istio {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn is_used(&self, routing: &RolloutTrafficRouting) -> bool {
        routing.istio.is_some()
    }

    fn write(
        &self,
        rollout: &Rollout,
        objects: &Objects,
        split: &Split,
    ) -> Result<Writing, Refusal> {
        let Some(mesh) = Mesh::of(rollout, objects, split)? else {
            return Ok(Writing::default());
        };
        let mut virtual_services = mesh.virtual_services(objects)?;
        let mut writing = Writing::default();
        for service in &mut virtual_services {
            service.set_managed_routes(&mesh, &mut writing)?;
        }
        // Subsets point at the new pods before they get weight, and after the old ones have lost it.
        if mesh.canary_loses_traffic() {
            for service in &mut virtual_services {
                service.set_weights(&mesh, &mut writing)?;
            }
            mesh.set_hashes(&mut writing);
        } else {
            mesh.set_hashes(&mut writing);
            for service in &mut virtual_services {
                service.set_weights(&mesh, &mut writing)?;
            }
        }
        Ok(writing)
    }

    /// The subsets are left as their user wrote them, as by the reference's Istio controller.
    fn release(
        &self,
        rollout: &Rollout,
        objects: &Objects,
        split: &Split,
    ) -> Result<Writing, Refusal> {
        let mut writing = Writing::default();
        if let Some(mesh) = Mesh::of(rollout, objects, split)? {
            for mut service in mesh.virtual_services(objects)? {
                service.set_managed_routes(&mesh, &mut writing)?;
                service.set_weights(&mesh, &mut writing)?;
            }
            mesh.leave_rule(&mut writing);
        }
        Ok(writing)
    }

    fn clear_routes(&self, rollout: &Rollout, objects: &Objects) -> Result<Writing, Refusal> {
        let mut writing = Writing::default();
        let no_routes = Split::default();
        if let Some(mesh) = Mesh::of(rollout, objects, &no_routes)? {
            for mut service in mesh.virtual_services(objects)? {
                service.set_managed_routes(&mesh, &mut writing)?;
            }
        }
        Ok(writing)
    }

    fn read(&self, rollout: &Rollout, objects: &Objects) -> Result<Split, Refusal> {
        let unknown = Split::default();
        let Some(mesh) = Mesh::of(rollout, objects, &unknown)? else {
            return Ok(unknown);
        };
        let services = mesh.virtual_services(objects)?;
        let Some(service) = services.first() else {
            return Ok(unknown);
        };
        service.read(&mesh)
    }
}

/// What the Rollout says about its routes.
struct Mesh<'a> {
    rollout: &'a Rollout,
    istio: &'a IstioTrafficRouting,
    split: &'a Split,
    stable: &'a str,
    canary: &'a str,
    rule: Option<(&'a IstioDestinationRule, ObjectKey, &'a Value)>,
}

impl<'a> Mesh<'a> {
    fn of(
        rollout: &'a Rollout,
        objects: &'a Objects,
        split: &'a Split,
    ) -> Result<Option<Self>, Refusal> {
        let canary = rollout.spec.strategy.canary.as_ref();
        let routing = canary.and_then(|canary| canary.traffic_routing.as_deref());
        let Some(istio) = routing.and_then(|routing| routing.istio.as_ref()) else {
            return Ok(None);
        };
        let rule = match &istio.destination_rule {
            None => None,
            Some(rule) => {
                let key = DESTINATION_RULE.key(&rule.name);
                let found = objects.get(&key).ok_or_else(|| {
                    Refusal::not_found("DestinationRuleNotFound", &key, DESTINATION_RULE.resource)
                })?;
                if !found.get("spec").is_some_and(Value::is_object) {
                    return Err(Refusal::shape(format!(
                        "DestinationRule `{}` has no spec",
                        rule.name
                    )));
                }
                Some((rule, key, found.as_ref()))
            }
        };
        let (stable, canary) = rollout.named_or_ping_pong_services();
        Ok(Some(Self {
            rollout,
            istio,
            split,
            stable,
            canary,
            rule,
        }))
    }

    fn virtual_services(&self, objects: &Objects) -> Result<Vec<VirtualService<'a>>, Refusal> {
        virtual_services(self.istio)
            .iter()
            .map(|reference| {
                let (name, namespace) = virtual_service_name(&reference.name);
                let elsewhere =
                    namespace.filter(|namespace| *namespace != self.rollout.metadata.namespace);
                let key = VIRTUAL_SERVICE.key(&match elsewhere {
                    Some(namespace) => format!("{name}.{namespace}"),
                    None => name.to_owned(),
                });
                let found = objects.get(&key).ok_or_else(|| {
                    Refusal::not_found("VirtualServiceNotFound", &key, VIRTUAL_SERVICE.resource)
                })?;
                Ok(VirtualService {
                    reference,
                    name: name.to_owned(),
                    key,
                    object: found.as_ref().clone(),
                })
            })
            .collect()
    }

    /// The canary had traffic and is to have none.
    fn canary_loses_traffic(&self) -> bool {
        let weights = self.rollout.status.canary.weights.as_ref();
        self.split.canary.weight == 0 && weights.is_some_and(|weights| weights.canary.weight > 0)
    }

    fn canary_subset(&self) -> &str {
        self.rule
            .as_ref()
            .map_or("", |(rule, ..)| rule.canary_subset_name.as_str())
    }

    fn stable_subset(&self) -> &str {
        self.rule
            .as_ref()
            .map_or("", |(rule, ..)| rule.stable_subset_name.as_str())
    }

    fn is_additional_subset(&self, subset: &str) -> bool {
        let names = self
            .rule
            .iter()
            .flat_map(|(rule, ..)| &rule.additional_subset_names);
        !subset.is_empty() && names.into_iter().any(|name| name == subset)
    }

    /// Where a managed route leads to.
    fn canary_host(&self) -> &str {
        self.rule
            .as_ref()
            .and_then(|(_, _, object)| object.pointer("/spec/host")?.as_str())
            .filter(|host| !host.is_empty())
            .unwrap_or(self.canary)
    }

    /// Which part of the split a destination belongs to.
    fn role(&self, destination: &Value) -> Role<'_> {
        let text = |path: &str| {
            destination
                .pointer(path)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let (host, subset) = (
            short_host(text("/destination/host")),
            text("/destination/subset"),
        );
        if host.is_empty() {
            Role::Unknown
        } else if host == self.canary || (!subset.is_empty() && subset == self.canary_subset()) {
            Role::Canary
        } else if host == self.stable || (!subset.is_empty() && subset == self.stable_subset()) {
            Role::Stable
        } else if let Some(found) =
            (self.split.additional.iter()).find(|other| other.service_name == host)
        {
            Role::Experiment(found)
        } else if self.is_additional_subset(subset) {
            Role::Kept
        } else {
            Role::Foreign
        }
    }

    /// Takes out of the destination rule what was put there.
    fn leave_rule(&self, writing: &mut Writing) {
        let Some((rule, key, object)) = &self.rule else {
            return;
        };
        let own = [
            rule.canary_subset_name.as_str(),
            rule.stable_subset_name.as_str(),
        ];
        let mut changed = (*object).clone();
        let annotations = changed.pointer_mut("/metadata/annotations");
        if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
            annotations.remove(MANAGED_BY_ANNOTATION);
        }
        let subsets = changed.pointer_mut("/spec/subsets");
        if let Some(subsets) = subsets.and_then(Value::as_array_mut) {
            subsets.retain(|subset| own.contains(&name_of(subset)) || !is_of_experiment(subset));
            for subset in subsets {
                let labels = subset.get_mut("labels").and_then(Value::as_object_mut);
                if let Some(labels) = labels {
                    labels.remove(POD_TEMPLATE_HASH_LABEL);
                }
            }
        }
        if changed != **object {
            writing.changes.push(Change::Update {
                key: key.clone(),
                object: changed,
            });
        }
    }

    /// The subsets of the destination rule select the pods of these revisions.
    fn set_hashes(&self, writing: &mut Writing) {
        let Some((rule, key, object)) = &self.rule else {
            return;
        };
        let mut changed = (*object).clone();
        descendant(&mut changed, &["metadata", "annotations"]).insert(
            MANAGED_BY_ANNOTATION.to_owned(),
            self.rollout.metadata.name.as_str().into(),
        );
        let hashes = [
            (
                &rule.canary_subset_name,
                &self.split.canary.pod_template_hash,
            ),
            (
                &rule.stable_subset_name,
                &self.split.stable.pod_template_hash,
            ),
        ];
        let experiments = &self.split.additional;
        let hashes: Vec<(&String, &String)> = hashes
            .into_iter()
            .chain(
                experiments
                    .iter()
                    .map(|it| (&it.service_name, &it.pod_template_hash)),
            )
            .collect();
        let subsets = descendant(&mut changed, &["spec"])
            .entry("subsets")
            .or_insert_with(|| json!([]));
        if let Some(subsets) = subsets.as_array_mut() {
            subsets.retain(|subset| {
                let name = name_of(subset);
                hashes.iter().any(|(wanted, _)| *wanted == name) || !is_of_experiment(subset)
            });
            for (name, hash) in hashes {
                let found = subsets.iter_mut().find(|subset| name_of(subset) == name);
                match found {
                    Some(subset) => set_hash(subset, hash),
                    None if experiments.iter().any(|it| &it.service_name == name) => {
                        subsets.push(json!({
                            "name": name,
                            "labels": {POD_TEMPLATE_HASH_LABEL: hash},
                        }));
                    }
                    None => {}
                }
            }
        }
        if changed == **object {
            return;
        }
        writing.changes.push(Change::Update {
            key: key.clone(),
            object: changed,
        });
        writing.notes.push(Note {
            reason: "UpdatedDestinationRule",
            message: format!(
                "DestinationRule {} subset updated ({}: {}, {}: {})",
                rule.name,
                rule.canary_subset_name,
                self.split.canary.pod_template_hash,
                rule.stable_subset_name,
                self.split.stable.pod_template_hash
            ),
        });
    }
}

/// Whose destination it is.
enum Role<'a> {
    Canary,
    Stable,
    Experiment(&'a WeightDestination),
    /// A subset that the Rollout names as additional: its weight is its user's.
    Kept,
    /// Left over from an experiment, or unknown.
    Foreign,
    /// Without a host nothing can be said.
    Unknown,
}

struct VirtualService<'a> {
    reference: &'a IstioVirtualService,
    name: String,
    key: ObjectKey,
    object: Value,
}

impl VirtualService<'_> {
    fn routes(&self, protocol: &str) -> Option<&Vec<Value>> {
        self.object
            .pointer(&format!("/spec/{protocol}"))?
            .as_array()
    }

    /// Indices of the routes whose weights are split.
    fn chosen(&self, protocol: &str) -> Result<Vec<usize>, Refusal> {
        let routes = self.object.pointer(&format!("/spec/{protocol}"));
        match routes.filter(|routes| routes.is_array()) {
            Some(routes) => chosen_routes(protocol, self.reference, routes).map_err(Refusal::shape),
            None => Ok(Vec::new()),
        }
    }

    fn update(&self, message: String, writing: &mut Writing) {
        writing.changes.push(Change::Update {
            key: self.key.clone(),
            object: self.object.clone(),
        });
        writing.notes.push(Note {
            reason: "Updated VirtualService",
            message: format!("VirtualService `{}` {message}", self.name),
        });
    }

    /// Managed routes come first, in the order of `managedRoutes`; all others stay as they are.
    fn set_managed_routes(
        &mut self,
        mesh: &Mesh<'_>,
        writing: &mut Writing,
    ) -> Result<(), Refusal> {
        let Some(present) = self.routes("http") else {
            return Ok(());
        };
        let names = managed_names(mesh.rollout);
        let weighted = self.chosen("http")?;
        let pattern = weighted.first().and_then(|index| present.get(*index));
        let headers = mesh.split.header_routes.iter();
        let mirrors = mesh.split.mirror_routes.iter();
        let wanted: Vec<(String, Value)> = headers
            .map(|route| {
                (
                    format!("set headerRoute '{}'", route.name),
                    header_route(mesh, route, pattern),
                )
            })
            .chain(mirrors.map(|route| {
                (
                    format!("set mirrorRoute '{}'", route.name),
                    mirror_route(mesh, route, pattern),
                )
            }))
            .collect();
        let mut messages = Vec::new();
        let mut managed = Vec::new();
        for name in &names {
            let old = present.iter().find(|route| name_of(route) == *name);
            let new = wanted.iter().find(|(_, route)| name_of(route) == *name);
            match (old, new) {
                (Some(old), Some((_, new))) if is_same_managed(old, new) => {
                    managed.push(old.clone())
                }
                (_, Some((message, new))) => {
                    messages.push(message.clone());
                    managed.push(new.clone());
                }
                (Some(_), None) if wanted.is_empty() => {
                    messages.push("removed all managed routes.".to_owned());
                }
                (Some(_), None) => messages.push(format!("removed managed route '{name}'")),
                (None, None) => {}
            }
        }
        let is_managed = |route: &&Value| names.contains(&name_of(route));
        let others = present.iter().filter(|route| !is_managed(route)).cloned();
        let routes: Vec<Value> = managed.into_iter().chain(others).collect();
        if routes == *present {
            return Ok(());
        }
        descendant(&mut self.object, &["spec"]).insert("http".to_owned(), routes.into());
        messages.dedup();
        let message = if messages.is_empty() {
            "ordered managed routes".to_owned()
        } else {
            messages.join(", ")
        };
        self.update(message, writing);
        Ok(())
    }

    fn set_weights(&mut self, mesh: &Mesh<'_>, writing: &mut Writing) -> Result<(), Refusal> {
        let names = managed_names(mesh.rollout);
        let (mut changed, mut is_found) = (false, false);
        for protocol in PROTOCOLS {
            let mut indices: BTreeSet<usize> = self.chosen(protocol)?.into_iter().collect();
            let routes = self.routes(protocol).into_iter().flatten().enumerate();
            // What does not match a mirror's conditions goes on as the weights say.
            indices.extend(routes.filter_map(|(index, route)| {
                let is_mirror = protocol == "http" && route.get("mirror").is_some();
                (is_mirror && names.contains(&name_of(route))).then_some(index)
            }));
            for index in indices {
                is_found = true;
                let path = format!("/spec/{protocol}/{index}/route");
                let Some(destinations) =
                    self.object.pointer_mut(&path).and_then(Value::as_array_mut)
                else {
                    return Err(Refusal::shape(format!(
                        "Invalid casting: field '{protocol}[].route' is not of type '[]interface'"
                    )));
                };
                changed |= split_destinations(destinations, mesh);
            }
        }
        if !is_found {
            return Err(Refusal::shape(format!(
                "VirtualService `{}` has no routes to split",
                self.name
            )));
        }
        if changed {
            let message = format!("set to desiredWeight '{}'", mesh.split.canary.weight);
            self.update(message, writing);
        }
        Ok(())
    }

    fn read(&self, mesh: &Mesh<'_>) -> Result<Split, Refusal> {
        let mut split = Split {
            max_weight: 100,
            ..Split::default()
        };
        split.stable.service_name = mesh.stable.to_owned();
        split.canary.service_name = mesh.canary.to_owned();
        for protocol in PROTOCOLS {
            let chosen = self.chosen(protocol)?;
            let route = (chosen.first())
                .and_then(|index| self.routes(protocol)?.get(*index)?.get("route")?.as_array());
            let Some(destinations) = route else { continue };
            for destination in destinations {
                let weight = clamped(weight_of(destination, 0));
                match mesh.role(destination) {
                    Role::Canary => split.canary.weight = weight,
                    Role::Stable => split.stable.weight = weight,
                    Role::Experiment(_) | Role::Kept | Role::Foreign if weight > 0 => {
                        let host = destination.pointer("/destination/host");
                        let host = host.and_then(Value::as_str).unwrap_or_default();
                        split.additional.push(WeightDestination {
                            weight,
                            service_name: short_host(host).to_owned(),
                            pod_template_hash: String::new(),
                        });
                    }
                    Role::Experiment(_) | Role::Kept | Role::Foreign | Role::Unknown => {}
                }
            }
            // One destination alone needs no weight.
            if let [only] = destinations.as_slice()
                && only.get("weight").is_none()
            {
                match mesh.role(only) {
                    Role::Canary => split.canary.weight = 100,
                    Role::Stable => split.stable.weight = 100,
                    Role::Experiment(_) | Role::Kept | Role::Foreign | Role::Unknown => {}
                }
            }
            break;
        }
        if let Some((_, _, object)) = &mesh.rule {
            let subsets = object.pointer("/spec/subsets").and_then(Value::as_array);
            for subset in subsets.into_iter().flatten() {
                let hash = hash_of(subset).to_owned();
                let name = name_of(subset);
                if name == mesh.canary_subset() {
                    split.canary.pod_template_hash = hash;
                } else if name == mesh.stable_subset() {
                    split.stable.pod_template_hash = hash;
                } else if let Some(other) =
                    (split.additional.iter_mut()).find(|other| other.service_name == name)
                {
                    other.pod_template_hash = hash;
                }
            }
        }
        let names = managed_names(mesh.rollout);
        for route in self.routes("http").into_iter().flatten() {
            if !names.contains(&name_of(route)) {
                continue;
            }
            if route.get("mirror").is_some() {
                split.mirror_routes.push(read_mirror_route(route));
            } else {
                split.header_routes.push(read_header_route(route));
            }
        }
        Ok(split)
    }
}

/// Gives the destinations of one route their weights; true if that changed anything.
fn split_destinations(destinations: &mut Vec<Value>, mesh: &Mesh<'_>) -> bool {
    let kept: i64 = destinations
        .iter()
        .filter(|destination| {
            let subset = destination.pointer("/destination/subset");
            mesh.is_additional_subset(subset.and_then(Value::as_str).unwrap_or_default())
        })
        .map(|destination| weight_of(destination, 0))
        .sum();
    let canary = i64::from(mesh.split.canary.weight);
    // Istio refuses negative weights.
    let stable = i64::from(mesh.split.stable.weight)
        .saturating_sub(kept)
        .max(0);
    let before = destinations.clone();
    let mut missing: Vec<&WeightDestination> = mesh.split.additional.iter().collect();
    destinations.retain_mut(|destination| {
        let present = weight_of(destination, 0);
        let wanted = match mesh.role(destination) {
            Role::Canary => canary,
            Role::Stable => stable,
            Role::Experiment(found) => {
                missing.retain(|other| other.service_name != found.service_name);
                i64::from(found.weight)
            }
            Role::Kept | Role::Unknown => return true,
            Role::Foreign => return present == 0,
        };
        if present != wanted
            && let Some(destination) = destination.as_object_mut()
        {
            destination.insert("weight".to_owned(), wanted.into());
        }
        true
    });
    missing.sort_by(|left, right| left.service_name.cmp(&right.service_name));
    let is_unknown = |destination: &&Value| matches!(mesh.role(destination), Role::Unknown);
    let mut unknown = destinations.iter().filter(is_unknown).count();
    for other in missing.iter().filter(|other| other.weight != 0) {
        if other.service_name.is_empty() {
            if unknown >= MOST_WITHOUT_HOST {
                continue;
            }
            unknown += 1;
        }
        destinations.push(json!({
            "weight": other.weight,
            "destination": {"host": other.service_name},
        }));
    }
    *destinations != before
}

fn header_route(mesh: &Mesh<'_>, route: &SetHeaderRoute, pattern: Option<&Value>) -> Value {
    let matches: Vec<Value> = route
        .match_
        .iter()
        .map(|condition| {
            let value = json!(condition.header_value.clone().unwrap_or_default());
            json!({"headers": {condition.header_name.as_str(): value}})
        })
        .collect();
    json!({
        "name": route.name,
        "match": matches,
        "route": [{"weight": 100, "destination": canary_destination(mesh, pattern)}],
    })
}

fn mirror_route(mesh: &Mesh<'_>, route: &SetMirrorRoute, pattern: Option<&Value>) -> Value {
    let matches: Vec<Value> = route
        .match_
        .iter()
        .map(|condition| {
            let RouteMatch {
                method,
                path,
                headers,
            } = condition;
            let mut fields = Map::new();
            if let Some(method) = method {
                fields.insert("method".to_owned(), json!(method));
            }
            if let Some(path) = path {
                fields.insert("uri".to_owned(), json!(path));
            }
            if !headers.is_empty() {
                fields.insert("headers".to_owned(), json!(headers));
            }
            Value::Object(fields)
        })
        .collect();
    let mut destinations = pattern
        .and_then(|pattern| pattern.get("route"))
        .cloned()
        .unwrap_or_else(|| json!([]));
    for destination in destinations.as_array_mut().into_iter().flatten() {
        if weight_of(destination, 0) == 0
            && let Some(destination) = destination.as_object_mut()
        {
            destination.shift_remove("weight");
        }
    }
    json!({
        "name": route.name,
        "match": matches,
        "route": destinations,
        "mirror": canary_destination(mesh, pattern),
        "mirrorPercentage": {"value": route.percentage.unwrap_or(100)},
    })
}

/// The canary, at the port of the route whose weights are split.
fn canary_destination(mesh: &Mesh<'_>, pattern: Option<&Value>) -> Value {
    let mut destination = json!({"host": mesh.canary_host()});
    let port = pattern.and_then(|pattern| pattern.pointer("/route/0/destination/port/number"));
    if let Some(port) = port {
        destination["port"] = json!({"number": port});
    }
    if !mesh.canary_subset().is_empty() {
        destination["subset"] = mesh.canary_subset().into();
    }
    destination
}

/// The weights of a mirror route follow the split, so that they do not count.
fn is_same_managed(old: &Value, new: &Value) -> bool {
    let fields: &[&str] = if new.get("mirror").is_some() {
        &["match", "mirror", "mirrorPercentage"]
    } else {
        &["match", "route", "mirror"]
    };
    fields.iter().all(|field| old.get(field) == new.get(field))
}

fn read_header_route(route: &Value) -> SetHeaderRoute {
    let matches = route.get("match").and_then(Value::as_array);
    let conditions = matches.into_iter().flatten().filter_map(|condition| {
        let (name, value) = condition.get("headers")?.as_object()?.iter().next()?;
        Some(HeaderRoutingMatch {
            header_name: name.clone(),
            header_value: serde_json::from_value(value.clone()).ok(),
        })
    });
    SetHeaderRoute {
        name: name_of(route).to_owned(),
        match_: conditions.collect(),
    }
}

fn read_mirror_route(route: &Value) -> SetMirrorRoute {
    let matches = route.get("match").and_then(Value::as_array);
    let field = |condition: &Value, name: &str| condition.get(name).cloned();
    let conditions = matches.into_iter().flatten().map(|condition| RouteMatch {
        method: field(condition, "method").and_then(|it| serde_json::from_value(it).ok()),
        path: field(condition, "uri").and_then(|it| serde_json::from_value(it).ok()),
        headers: field(condition, "headers")
            .and_then(|it| serde_json::from_value(it).ok())
            .unwrap_or_default(),
    });
    let percentage = route
        .pointer("/mirrorPercentage/value")
        .and_then(Value::as_f64);
    SetMirrorRoute {
        name: name_of(route).to_owned(),
        match_: conditions.collect(),
        // A share beyond the type's range is cut to it.
        percentage: percentage.map(|percentage| percentage as i32),
    }
}

fn name_of(object: &Value) -> &str {
    object
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn hash_of(subset: &Value) -> &str {
    subset
        .get("labels")
        .and_then(|labels| labels.get(POD_TEMPLATE_HASH_LABEL)?.as_str())
        .unwrap_or_default()
}

/// A subset as it is made for an experiment: a name, and the hash as its only label.
fn is_of_experiment(subset: &Value) -> bool {
    let labels = subset.get("labels").and_then(Value::as_object);
    subset.as_object().is_some_and(|fields| fields.len() == 2)
        && labels.is_some_and(|labels| labels.len() == 1)
        && !hash_of(subset).is_empty()
}

fn set_hash(subset: &mut Value, hash: &str) {
    let labels = descendant(subset, &["labels"]);
    if hash.is_empty() {
        labels.shift_remove(POD_TEMPLATE_HASH_LABEL);
    } else {
        labels.insert(POD_TEMPLATE_HASH_LABEL.to_owned(), hash.into());
    }
}
