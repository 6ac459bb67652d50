//! Gateway API: weights in the backend references of routes. It is named like the plugin of Argo
//! Rollouts that did this before, and takes its settings
//! (rollouts-plugin-trafficrouter-gatewayapi `pkg/plugin/`).

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::spec::meta::LabelSelector;
use crate::spec::object_key::ObjectKey;
use crate::spec::rollout::{
    HeaderRoutingMatch, Rollout, RouteMatch, SetHeaderRoute, SetMirrorRoute, StringMatch,
};
use crate::spec::rollout_status::WeightDestination;
use crate::spec::traffic_routing::RolloutTrafficRouting;

use super::json::{clamped, descendant, list_at, text_at, weight_of};
use super::managed::{managed_names, routes_of_steps};
use super::{Change, Facts, Objects, Refusal, Router, RouterKind, Split, Writing};

pub(super) struct GatewayApi;

/// Key of `trafficRouting.plugins`.
const PLUGIN: &str = "argoproj-labs/gatewayAPI";

const fn route(kind: &'static str, version: &'static str, resource: &'static str) -> RouterKind {
    RouterKind {
        group: "gateway.networking.k8s.io",
        version,
        kind,
        resource,
        verbs: &["update"],
    }
}

const HTTP_ROUTE: RouterKind = route("HTTPRoute", "v1", "httproutes");
const GRPC_ROUTE: RouterKind = route("GRPCRoute", "v1", "grpcroutes");
const TCP_ROUTE: RouterKind = route("TCPRoute", "v1alpha2", "tcproutes");
const TLS_ROUTE: RouterKind = route("TLSRoute", "v1alpha2", "tlsroutes");

const FACTS: Facts = Facts {
    name: "Gateway API",
    field: "plugins.argoproj-labs/gatewayAPI",
    header_routes: true,
    mirror_routes: true,
    experiment_weights: true,
    ping_pong: true,
    needs_services: true,
    max_traffic_weight: true,
    verifies_weights: false,
    kinds: &[HTTP_ROUTE, GRPC_ROUTE, TCP_ROUTE, TLS_ROUTE],
    limits: &[
        "Both services have to be backends of a rule; all rules with both are split, others stay as they are.",
        "Header and mirror routes go into HTTP and GRPC routes, one rule for each rule that is split; several headers have to match together.",
        "Mirror routes are matched by method and path in HTTP routes only, a method exactly.",
        "Services of experiments get the port of the stable one; TCP and TLS routes have no weights for them.",
    ],
};

/// Rules that the API allows in one route.
const RULE_LIMIT: usize = 16;
const IN_PROGRESS_LABEL: (&str, &str) = ("rollouts.argoproj.io/gatewayapi-canary", "in-progress");

impl Router for GatewayApi {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn is_used(&self, routing: &RolloutTrafficRouting) -> bool {
        routing.plugins.contains_key(PLUGIN)
    }

    fn write(
        &self,
        rollout: &Rollout,
        objects: &Objects,
        split: &Split,
    ) -> Result<Writing, Refusal> {
        let mut writing = Writing::default();
        let Some(gateway) = Gateway::of(rollout)? else {
            return Ok(writing);
        };
        for route in gateway.routes(objects)? {
            let mut object = route.object.clone();
            route.set_managed_rules(&gateway, &mut object, split)?;
            route.set_weights(&gateway, &mut object, split)?;
            gateway.set_label(&mut object, split);
            route.update(object, &mut writing);
        }
        Ok(writing)
    }

    fn clear_routes(&self, rollout: &Rollout, objects: &Objects) -> Result<Writing, Refusal> {
        let mut writing = Writing::default();
        let Some(gateway) = Gateway::of(rollout)? else {
            return Ok(writing);
        };
        for route in gateway.routes(objects)? {
            let mut object = route.object.clone();
            route.set_managed_rules(&gateway, &mut object, &Split::default())?;
            route.update(object, &mut writing);
        }
        Ok(writing)
    }

    fn read(&self, rollout: &Rollout, objects: &Objects) -> Result<Split, Refusal> {
        let mut split = Split {
            max_weight: rollout.spec.max_traffic_weight_or_default(),
            ..Split::default()
        };
        let Some(gateway) = Gateway::of(rollout)? else {
            return Ok(split);
        };
        split.stable.service_name = gateway.stable.to_owned();
        split.canary.service_name = gateway.canary.to_owned();
        let routes = gateway.routes(objects)?;
        let Some(route) = routes.first() else {
            return Ok(split);
        };
        let rules = list_at(route.object, "/spec/rules");
        let Some(source) = rules.iter().find(|rule| gateway.is_split(rule)) else {
            return Ok(split);
        };
        for backend in list_at(source, "/backendRefs") {
            let weight = clamped(weight_of(backend, 1));
            let service = text_at(backend, "/name");
            if service == gateway.canary {
                split.canary.weight = weight;
            } else if service == gateway.stable {
                split.stable.weight = weight;
            } else if gateway.is_of_experiment(service, &[]) {
                split.additional.push(WeightDestination {
                    weight,
                    service_name: service.to_owned(),
                    pod_template_hash: String::new(),
                });
            }
        }
        for name in managed_names(rollout) {
            let Some(rule) = rules.iter().find(|rule| text_at(rule, "/name") == name) else {
                continue;
            };
            if mirror_of(rule).is_some() {
                split.mirror_routes.push(read_mirror_route(name, rule));
            } else {
                split
                    .header_routes
                    .push(read_header_route(name, rule, source));
            }
        }
        Ok(split)
    }
}

/// A route by its name; header routes go into it only where that is wanted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RouteName {
    name: String,
    use_header_routes: bool,
}

/// The plugin's settings. What it does not know it ignores, and so does this.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Settings {
    http_route: String,
    grpc_route: String,
    tcp_route: String,
    tls_route: String,
    /// That of the Rollout where absent.
    namespace: String,
    http_routes: Vec<RouteName>,
    grpc_routes: Vec<RouteName>,
    tcp_routes: Vec<RouteName>,
    tls_routes: Vec<RouteName>,
    http_route_selector: Option<LabelSelector>,
    grpc_route_selector: Option<LabelSelector>,
    tcp_route_selector: Option<LabelSelector>,
    tls_route_selector: Option<LabelSelector>,
    disable_in_progress_label: bool,
    in_progress_label_key: String,
    in_progress_label_value: String,
}

struct Gateway<'a> {
    rollout: &'a Rollout,
    settings: Settings,
    stable: &'a str,
    canary: &'a str,
}

struct Route<'a> {
    key: ObjectKey,
    object: &'a Value,
    is_http: bool,
    /// Whether its backends can be those of an experiment, and its rules have names.
    has_names: bool,
    takes_managed_rules: bool,
}

impl<'a> Gateway<'a> {
    fn of(rollout: &'a Rollout) -> Result<Option<Self>, Refusal> {
        let canary = rollout.spec.strategy.canary.as_ref();
        let routing = canary.and_then(|canary| canary.traffic_routing.as_deref());
        let Some(settings) = routing.and_then(|routing| routing.plugins.get(PLUGIN)) else {
            return Ok(None);
        };
        let settings = serde_json::from_value(settings.clone())
            .map_err(|error| Refusal::shape(format!("settings of {PLUGIN}: {error}")))?;
        let (stable, canary) = rollout.named_or_ping_pong_services();
        Ok(Some(Self {
            rollout,
            settings,
            stable,
            canary,
        }))
    }

    /// All routes that are named or selected, each once.
    fn routes<'o>(&self, objects: &'o Objects) -> Result<Vec<Route<'o>>, Refusal> {
        let settings = &self.settings;
        let kinds = [
            (
                &HTTP_ROUTE,
                &settings.http_routes,
                &settings.http_route,
                &settings.http_route_selector,
            ),
            (
                &GRPC_ROUTE,
                &settings.grpc_routes,
                &settings.grpc_route,
                &settings.grpc_route_selector,
            ),
            (
                &TCP_ROUTE,
                &settings.tcp_routes,
                &settings.tcp_route,
                &settings.tcp_route_selector,
            ),
            (
                &TLS_ROUTE,
                &settings.tls_routes,
                &settings.tls_route,
                &settings.tls_route_selector,
            ),
        ];
        let mut routes: Vec<Route<'o>> = Vec::new();
        for (kind, list, single, selector) in kinds {
            let single = RouteName {
                name: single.clone(),
                use_header_routes: true,
            };
            let mut names: Vec<RouteName> = list.clone();
            names.extend(Some(single).filter(|single| !single.name.is_empty()));
            if let Some(selector) = selector {
                names.extend(selected(kind, selector, objects)?);
            }
            let has_names = kind == &HTTP_ROUTE || kind == &GRPC_ROUTE;
            for name in names {
                let key = kind.key(&self.object_name(&name.name));
                if routes.iter().any(|route| route.key == key) {
                    continue;
                }
                let object = objects.get(&key).ok_or_else(|| {
                    Refusal::not_found("TrafficRoutingError", &key, kind.resource)
                })?;
                routes.push(Route {
                    key,
                    object,
                    is_http: kind == &HTTP_ROUTE,
                    has_names,
                    takes_managed_rules: has_names && name.use_header_routes,
                });
            }
        }
        if routes.is_empty() {
            return Err(Refusal::shape(
                "No routes configured. At least one of 'httpRoutes', 'grpcRoutes', 'tcpRoutes', 'tlsRoutes', 'httpRoute', 'grpcRoute', 'tcpRoute' or 'tlsRoute' must be set",
            ));
        }
        Ok(routes)
    }

    /// Objects of another namespace are named `name.namespace`.
    fn object_name(&self, name: &str) -> String {
        let namespace = &self.settings.namespace;
        if namespace.is_empty()
            || *namespace == self.rollout.metadata.namespace
            || name.ends_with(&format!(".{namespace}"))
        {
            name.to_owned()
        } else {
            format!("{name}.{namespace}")
        }
    }

    /// Whether both services are backends of a rule.
    fn is_split(&self, rule: &Value) -> bool {
        let has = |service: &str| {
            list_at(rule, "/backendRefs")
                .iter()
                .any(|backend| text_at(backend, "/name") == service)
        };
        has(self.stable) && has(self.canary)
    }

    /// Whether a service was or is made for an experiment of this Rollout.
    fn is_of_experiment(&self, service: &str, now: &[WeightDestination]) -> bool {
        let weights = self.rollout.status.canary.weights.iter();
        let before = weights.flat_map(|weights| &weights.additional);
        before.chain(now).any(|other| other.service_name == service)
    }

    /// A label tells others, as GitOps tools, that the weights are not theirs at the moment.
    fn set_label(&self, object: &mut Value, split: &Split) {
        let settings = &self.settings;
        if settings.disable_in_progress_label {
            return;
        }
        let key = match settings.in_progress_label_key.as_str() {
            "" => IN_PROGRESS_LABEL.0,
            key => key,
        };
        if split.canary.weight != 0 {
            let value = match settings.in_progress_label_value.as_str() {
                "" => IN_PROGRESS_LABEL.1,
                value => value,
            };
            descendant(object, &["metadata", "labels"]).insert(key.to_owned(), value.into());
        } else if let Some(Value::Object(labels)) = object.pointer_mut("/metadata/labels") {
            labels.shift_remove(key);
        }
    }
}

impl Route<'_> {
    fn update(&self, object: Value, writing: &mut Writing) {
        if object != *self.object {
            writing.changes.push(Change::Update {
                key: self.key.clone(),
                object,
            });
        }
    }

    /// Managed rules come first, in the order of `managedRoutes`; all others stay as they are.
    fn set_managed_rules(
        &self,
        gateway: &Gateway<'_>,
        object: &mut Value,
        split: &Split,
    ) -> Result<(), Refusal> {
        if !self.takes_managed_rules {
            return Ok(());
        }
        let names = managed_names(gateway.rollout);
        if names.is_empty() {
            return Ok(());
        }
        let present = list_at(object, "/spec/rules");
        let is_named = |rule: &Value| {
            names
                .iter()
                .any(|name| is_name(text_at(rule, "/name"), name))
        };
        let sources: Vec<&Value> = present
            .iter()
            .filter(|rule| !is_named(rule) && mirror_to(rule, gateway.canary).is_none())
            .filter(|rule| gateway.is_split(rule))
            .collect();
        // Older versions of the API drop the names of rules: these are known by their content.
        let (headers, mirrors) = routes_of_steps(gateway.rollout);
        let mut made = Vec::new();
        for route in headers.iter().filter(|route| !route.match_.is_empty()) {
            made.extend(self.header_rules(gateway, route, &sources)?);
        }
        for route in mirrors.iter().filter(|route| !route.match_.is_empty()) {
            made.extend(self.mirror_rules(gateway, route, &sources)?);
        }
        let made: Vec<Value> = made.iter().map(bare).collect();
        let is_managed = |rule: &Value| {
            is_named(rule) || (rule.get("name").is_none() && made.contains(&bare(rule)))
        };
        let mut wanted = Vec::new();
        for name in &names {
            if let Some(route) = split.header_routes.iter().find(|route| route.name == *name) {
                wanted.extend(self.header_rules(gateway, route, &sources)?);
            }
            if let Some(route) = split.mirror_routes.iter().find(|route| route.name == *name) {
                wanted.extend(self.mirror_rules(gateway, route, &sources)?);
            }
        }
        let kept = present.iter().filter(|rule| is_managed(rule));
        let is_same = kept.clone().count() == wanted.len()
            && kept.zip(&wanted).all(|(old, new)| {
                let is_renamed = old
                    .get("name")
                    .is_some_and(|name| new.get("name") != Some(name));
                !is_renamed && bare(old) == bare(new)
            });
        if is_same {
            return Ok(());
        }
        let others = present.iter().filter(|rule| !is_managed(rule)).cloned();
        let rules: Vec<Value> = wanted.into_iter().chain(others).collect();
        if rules.len() > RULE_LIMIT {
            return Err(Refusal::shape(format!(
                "{} {} would have {} rules with its managed routes, {RULE_LIMIT} are allowed",
                self.key.kind,
                self.key.name,
                rules.len()
            )));
        }
        descendant(object, &["spec"]).insert("rules".to_owned(), rules.into());
        Ok(())
    }

    fn header_rules(
        &self,
        gateway: &Gateway<'_>,
        route: &SetHeaderRoute,
        sources: &[&Value],
    ) -> Result<Vec<Value>, Refusal> {
        let mut headers = Vec::new();
        for condition in &route.match_ {
            let value = condition.header_value.clone().unwrap_or_default();
            headers.push(header(&condition.header_name, &value)?);
        }
        let rules = sources.iter().enumerate().map(|(index, source)| {
            let mut rule = named_rule(&route.name, index);
            let matches = self.source_matches(source).into_iter().map(|mut found| {
                add_headers(&mut found, &headers);
                found
            });
            rule.insert("matches".to_owned(), matches.collect());
            if let Some(filters) = source.get("filters") {
                rule.insert("filters".to_owned(), filters.clone());
            }
            copy_settings(source, &mut rule);
            let mut backend = canary_backend(gateway, source);
            backend.insert("weight".to_owned(), 1.into());
            rule.insert("backendRefs".to_owned(), json!([backend]));
            Value::Object(rule)
        });
        Ok(rules.collect())
    }

    fn mirror_rules(
        &self,
        gateway: &Gateway<'_>,
        route: &SetMirrorRoute,
        sources: &[&Value],
    ) -> Result<Vec<Value>, Refusal> {
        let mut rules = Vec::new();
        for (index, source) in sources.iter().enumerate() {
            let mut rule = named_rule(&route.name, index);
            let mut matches = Vec::new();
            for found in self.source_matches(source) {
                for condition in &route.match_ {
                    matches.push(self.narrowed(found.clone(), condition)?);
                }
            }
            rule.insert("matches".to_owned(), matches.into());
            let mut filters = list_at(source, "/filters").to_vec();
            let mut mirror = json!({"backendRef": canary_backend(gateway, source)});
            if let Some(percentage) = route.percentage.filter(|percentage| *percentage < 100) {
                mirror["percent"] = percentage.into();
            }
            filters.push(json!({"type": "RequestMirror", "requestMirror": mirror}));
            rule.insert("filters".to_owned(), filters.into());
            copy_settings(source, &mut rule);
            let backends = list_at(source, "/backendRefs").to_vec();
            rule.insert("backendRefs".to_owned(), backends.into());
            rules.push(Value::Object(rule));
        }
        Ok(rules)
    }

    /// The matches of a rule, those that the API server would add included.
    fn source_matches(&self, source: &Value) -> Vec<Value> {
        let mut matches = list_at(source, "/matches").to_vec();
        if matches.is_empty() {
            matches.push(json!({}));
        }
        if self.is_http {
            for found in &mut matches {
                descendant(found, &[])
                    .entry("path")
                    .or_insert_with(|| json!({"type": "PathPrefix", "value": "/"}));
            }
        }
        matches
    }

    /// Narrows a match by the condition of a mirror route.
    fn narrowed(&self, mut found: Value, condition: &RouteMatch) -> Result<Value, Refusal> {
        let RouteMatch {
            method,
            path,
            headers,
        } = condition;
        if !self.is_http && (method.is_some() || path.is_some()) {
            return Err(Refusal::shape(format!(
                "{} {}: only the headers of a mirror route can be matched",
                self.key.kind, self.key.name
            )));
        }
        if let Some(method) = method {
            if method.exact.is_empty() {
                return Err(Refusal::shape(
                    "a mirror route's method can only be matched exactly",
                ));
            }
            descendant(&mut found, &[]).insert("method".to_owned(), method.exact.clone().into());
        }
        if let Some(path) = path {
            let StringMatch {
                exact,
                prefix,
                regex,
            } = path;
            let (kind, value) = if !exact.is_empty() {
                ("Exact", exact)
            } else if !prefix.is_empty() {
                ("PathPrefix", prefix)
            } else {
                ("RegularExpression", regex)
            };
            descendant(&mut found, &[])
                .insert("path".to_owned(), json!({"type": kind, "value": value}));
        }
        let mut added = Vec::new();
        for (name, value) in headers {
            added.push(header(name, value)?);
        }
        add_headers(&mut found, &added);
        Ok(found)
    }

    fn set_weights(
        &self,
        gateway: &Gateway<'_>,
        object: &mut Value,
        split: &Split,
    ) -> Result<(), Refusal> {
        let rules = object
            .pointer_mut("/spec/rules")
            .and_then(Value::as_array_mut);
        let mut is_found = false;
        for rule in rules.into_iter().flatten() {
            if !gateway.is_split(rule) {
                continue;
            }
            is_found = true;
            if let Some(backends) = rule.get_mut("backendRefs").and_then(Value::as_array_mut) {
                self.split_backends(gateway, backends, split);
            }
        }
        if is_found {
            return Ok(());
        }
        let mut kind = self.key.kind.clone();
        if let Some(protocol) = kind.strip_suffix("Route") {
            kind = format!("{}Route", protocol.to_lowercase());
        }
        Err(Refusal::shape(format!(
            "backendRef was not found in {kind}"
        )))
    }

    fn split_backends(&self, gateway: &Gateway<'_>, backends: &mut Vec<Value>, split: &Split) {
        let additional: &[WeightDestination] = if self.has_names {
            &split.additional
        } else {
            &[]
        };
        let others: i32 = additional
            .iter()
            .fold(0, |sum, other| sum.saturating_add(other.weight));
        let stable_weight = split
            .max_weight
            .saturating_sub(split.canary.weight)
            .saturating_sub(others)
            .max(0);
        // Only services of experiments are ever taken out.
        backends.retain(|backend| {
            let service = text_at(backend, "/name");
            service == gateway.stable
                || service == gateway.canary
                || !gateway.is_of_experiment(service, &[])
                || additional.iter().any(|other| other.service_name == service)
        });
        let pattern = backends
            .iter()
            .find(|backend| text_at(backend, "/name") == gateway.stable)
            .cloned();
        for other in additional {
            let is_there =
                (backends.iter()).any(|backend| text_at(backend, "/name") == other.service_name);
            if let (false, Some(mut added)) = (is_there, pattern.clone()) {
                let fields = descendant(&mut added, &[]);
                fields.insert("name".to_owned(), other.service_name.as_str().into());
                fields.shift_remove("filters");
                backends.push(added);
            }
        }
        for backend in backends {
            let service = text_at(backend, "/name");
            let weight = if service == gateway.canary {
                split.canary.weight
            } else if service == gateway.stable {
                stable_weight
            } else if let Some(other) =
                (additional.iter()).find(|other| other.service_name == service)
            {
                other.weight
            } else {
                continue;
            };
            descendant(backend, &[]).insert("weight".to_owned(), weight.into());
        }
    }
}

fn selected(
    kind: &RouterKind,
    selector: &LabelSelector,
    objects: &Objects,
) -> Result<Vec<RouteName>, Refusal> {
    let mut names = Vec::new();
    let candidates = objects
        .iter()
        .filter(|(key, _)| key.group == kind.group && key.kind == kind.kind);
    for (key, object) in candidates {
        let labels = object.pointer("/metadata/labels").cloned();
        let labels =
            serde_json::from_value(labels.unwrap_or_else(|| json!({}))).unwrap_or_default();
        let matches = selector.matches(&labels).ok_or_else(|| {
            Refusal::shape(format!(
                "the selector of {} has an unknown operator",
                kind.kind
            ))
        })?;
        if matches {
            names.push(RouteName {
                name: key.name.clone(),
                use_header_routes: false,
            });
        }
    }
    Ok(names)
}

/// Names of rules are unique in a route: the further rules of a managed route are numbered.
fn named_rule(name: &str, index: usize) -> Map<String, Value> {
    let name = if index == 0 {
        name.to_owned()
    } else {
        format!("{name}-{index}")
    };
    Map::from_iter([("name".to_owned(), name.into())])
}

fn is_name(rule: &str, managed: &str) -> bool {
    rule.strip_prefix(managed).is_some_and(|rest| {
        rest.is_empty()
            || rest
                .strip_prefix('-')
                .is_some_and(|number| number.parse::<u32>().is_ok())
    })
}

/// A rule without its name and without weights, which follow the split.
fn bare(rule: &Value) -> Value {
    let mut rule = rule.clone();
    if let Some(fields) = rule.as_object_mut() {
        fields.shift_remove("name");
    }
    let backends = rule.get_mut("backendRefs").and_then(Value::as_array_mut);
    for backend in backends.into_iter().flatten() {
        if let Some(fields) = backend.as_object_mut() {
            fields.shift_remove("weight");
        }
    }
    rule
}

/// Timeouts and the like hold for the managed rule as for the one that it narrows.
fn copy_settings(source: &Value, rule: &mut Map<String, Value>) {
    for (field, value) in source.as_object().into_iter().flatten() {
        if !["name", "matches", "filters", "backendRefs"].contains(&field.as_str()) {
            rule.insert(field.clone(), value.clone());
        }
    }
}

fn canary_backend(gateway: &Gateway<'_>, source: &Value) -> Map<String, Value> {
    let mut backend = Map::from_iter([
        ("group".to_owned(), "".into()),
        ("kind".to_owned(), "Service".into()),
        ("name".to_owned(), gateway.canary.into()),
    ]);
    let found = list_at(source, "/backendRefs")
        .iter()
        .find(|backend| text_at(backend, "/name") == gateway.canary);
    for field in ["namespace", "port"] {
        if let Some(value) = found.and_then(|found| found.get(field)) {
            backend.insert(field.to_owned(), value.clone());
        }
    }
    backend
}

fn header(name: &str, value: &StringMatch) -> Result<Value, Refusal> {
    let StringMatch {
        exact,
        prefix,
        regex,
    } = value;
    let (kind, value) = if !exact.is_empty() {
        ("Exact", exact.clone())
    } else if !prefix.is_empty() {
        ("RegularExpression", format!("{prefix}.*"))
    } else if !regex.is_empty() {
        ("RegularExpression", regex.clone())
    } else {
        return Err(Refusal::shape("invalid header match type"));
    };
    Ok(json!({"type": kind, "name": name, "value": value}))
}

fn add_headers(found: &mut Value, headers: &[Value]) {
    if headers.is_empty() {
        return;
    }
    let list = descendant(found, &[])
        .entry("headers")
        .or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut() {
        list.extend(headers.iter().cloned());
    }
}

fn mirror_of(rule: &Value) -> Option<&Value> {
    list_at(rule, "/filters")
        .iter()
        .find_map(|filter| filter.get("requestMirror"))
}

fn mirror_to<'a>(rule: &'a Value, service: &str) -> Option<&'a Value> {
    mirror_of(rule).filter(|mirror| text_at(mirror, "/backendRef/name") == service)
}

fn read_string(value: &Value) -> StringMatch {
    let text = text_at(value, "/value").to_owned();
    let mut read = StringMatch::default();
    match text_at(value, "/type") {
        "RegularExpression" => read.regex = text,
        "PathPrefix" => read.prefix = text,
        _ => read.exact = text,
    }
    read
}

fn read_header_route(name: &str, rule: &Value, source: &Value) -> SetHeaderRoute {
    // The source rule's own headers come first.
    let own = list_at(source, "/matches/0/headers").len();
    let headers = list_at(rule, "/matches/0/headers").iter().skip(own);
    SetHeaderRoute {
        name: name.to_owned(),
        match_: headers
            .map(|header| HeaderRoutingMatch {
                header_name: text_at(header, "/name").to_owned(),
                header_value: Some(read_string(header)),
            })
            .collect(),
    }
}

fn read_mirror_route(name: &str, rule: &Value) -> SetMirrorRoute {
    let matches = list_at(rule, "/matches").iter().map(|found| {
        let method = text_at(found, "/method");
        RouteMatch {
            method: (!method.is_empty()).then(|| StringMatch {
                exact: method.to_owned(),
                ..StringMatch::default()
            }),
            path: found.get("path").map(read_string),
            headers: list_at(found, "/headers")
                .iter()
                .map(|header| (text_at(header, "/name").to_owned(), read_string(header)))
                .collect(),
        }
    });
    let percent = mirror_of(rule).and_then(|mirror| mirror.get("percent")?.as_i64());
    SetMirrorRoute {
        name: name.to_owned(),
        match_: matches.collect(),
        percentage: percent.map(clamped),
    }
}
