//! Routes of Istio virtual services (argo-rollouts `rollout/trafficrouting/istio/istio.go`).

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::field::{FieldError, Path};
use super::references::virtual_service_name;
use crate::spec::decode::decode;
use crate::spec::rollout::{Rollout, StringMatch};
use crate::spec::traffic_routing::{
    IstioDestinationRule, IstioTrafficRouting, IstioVirtualService, ManagedRoute, TcpRoute,
    TlsRoute,
};

/// Errors of one virtual service for the rollout that names it.
pub(super) fn validate_virtual_service(rollout: &Rollout, object: &Value) -> Vec<FieldError> {
    let canary = rollout.spec.strategy.canary.as_ref();
    let routing = canary.and_then(|canary| canary.traffic_routing.as_deref());
    let Some((routing, istio)) =
        routing.and_then(|routing| Some((routing, routing.istio.as_ref()?)))
    else {
        return vec![
            Path::new("spec.strategy.canary.trafficRouting.istio").invalid(
                &rollout.metadata.name,
                "Rollout object is not configured with Istio traffic routing",
            ),
        ];
    };
    let object_name = object
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let references = virtual_services(istio);
    let Some(reference) = references
        .iter()
        .find(|reference| virtual_service_name(&reference.name).0 == object_name)
    else {
        return Vec::new();
    };
    let path = virtual_service_path(istio);
    let services = rollout.named_or_ping_pong_services();
    let wanted = Destinations {
        stable: services.0,
        canary: services.1,
        rule: istio.destination_rule.as_ref(),
    };
    let managed = routing.managed_routes.as_deref().unwrap_or_default();
    let routes = |kind: &str| {
        object
            .pointer(&format!("/spec/{kind}"))
            .filter(|routes| routes.is_array())
    };
    let (http, tls, tcp) = (routes("http"), routes("tls"), routes("tcp"));
    let mut errors = Vec::new();
    if http.is_none() && tls.is_none() && tcp.is_none() {
        errors.push(
            "Unable to get any of the HTTP, TCP or TLS routes for the Istio VirtualService"
                .to_string(),
        );
    }
    errors.extend(http.and_then(|http| {
        check("HTTP", http, |routes| {
            validate_http(&reference.routes, routes, managed, &wanted)
        })
    }));
    errors.extend(tls.and_then(|tls| {
        check("TLS", tls, |routes| {
            let (names, field) = (&reference.tls_routes, ("tls", "tlsRoutes"));
            let chosen = choose_tls(names, routes)?;
            validate_port_routes(chosen, !names.is_empty(), routes, &wanted, field)
        })
    }));
    errors.extend(tcp.and_then(|tcp| {
        check("TCP", tcp, |routes| {
            let (names, field) = (&reference.tcp_routes, ("tcp", "tcpRoutes"));
            let chosen = choose_tcp(names, routes)?;
            validate_port_routes(chosen, !names.is_empty(), routes, &wanted, field)
        })
    }));
    errors
        .into_iter()
        .map(|detail| path.invalid(object_name, detail))
        .collect()
}

/// The virtual services named, one or several.
pub(crate) fn virtual_services(istio: &IstioTrafficRouting) -> &[IstioVirtualService] {
    match (&istio.virtual_services, &istio.virtual_service) {
        (Some(several), _) => several,
        (None, Some(one)) => std::slice::from_ref(one),
        (None, None) => &[],
    }
}

pub(super) fn virtual_service_path(istio: &IstioTrafficRouting) -> Path {
    let field = if istio.virtual_services.is_some() {
        "virtualServices"
    } else {
        "virtualService"
    };
    Path::new("spec.strategy.canary.trafficRouting.istio")
        .child(field)
        .child("name")
}

/// What a route has to lead to.
struct Destinations<'a> {
    stable: &'a str,
    canary: &'a str,
    rule: Option<&'a IstioDestinationRule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HttpRoute {
    name: String,
    #[serde(rename = "match")]
    _match: Vec<HttpMatch>,
    route: Vec<RouteDestination>,
    #[serde(rename = "mirror")]
    _mirror: Option<Destination>,
    #[serde(rename = "mirrorPercentage")]
    _mirror_percentage: Option<Percent>,
}

/// Read only to refuse what the reference cannot decode.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HttpMatch {
    #[serde(rename = "method")]
    _method: Option<StringMatch>,
    #[serde(rename = "uri")]
    _uri: Option<StringMatch>,
    #[serde(rename = "headers")]
    _headers: BTreeMap<String, StringMatch>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Percent {
    #[serde(rename = "value")]
    _value: f64,
}

/// A TLS or TCP route; a TCP match has no hosts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PortRoute {
    #[serde(rename = "match")]
    matches: Vec<PortMatch>,
    route: Vec<RouteDestination>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PortMatch {
    port: i64,
    sni_hosts: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RouteDestination {
    destination: Destination,
    #[serde(rename = "weight")]
    _weight: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Destination {
    host: String,
    subset: String,
}

fn check<R: DeserializeOwned>(
    kind: &str,
    routes: &Value,
    validate: impl FnOnce(&[R]) -> Result<(), String>,
) -> Option<String> {
    match decode::<Vec<R>>(routes.clone()) {
        Err(_) => Some(format!(
            "Unable to get {kind} routes for Istio VirtualService"
        )),
        Ok(routes) => validate(&routes).err().map(|reason| {
            format!("Istio VirtualService has invalid {kind} routes. Error: {reason}")
        }),
    }
}

/// Indices of the routes of `http`, `tls` or `tcp` in a virtual service that a reference means.
///
/// # Errors
/// Routes that cannot be read, or a reference without a route; in the reference's words.
pub(crate) fn chosen_routes(
    protocol: &str,
    reference: &IstioVirtualService,
    routes: &Value,
) -> Result<Vec<usize>, String> {
    fn read<R: DeserializeOwned>(protocol: &str, routes: &Value) -> Result<Vec<R>, String> {
        decode(routes.clone()).map_err(|error| format!("{protocol} routes: {error}"))
    }
    match protocol {
        "tls" => choose_tls(&reference.tls_routes, &read(protocol, routes)?),
        "tcp" => choose_tcp(&reference.tcp_routes, &read(protocol, routes)?),
        _ => choose_http(&reference.routes, &read(protocol, routes)?),
    }
}

/// Without names the only route counts, or else the first unnamed one.
fn choose_http(names: &[String], routes: &[HttpRoute]) -> Result<Vec<usize>, String> {
    if names.is_empty() {
        let chosen = match routes {
            [_] => Some(0),
            several => several.iter().position(|route| route.name.is_empty()),
        };
        return Ok(chosen.into_iter().collect());
    }
    let find = |name: &String| {
        let found = routes.iter().position(|route| route.name == *name);
        found.ok_or_else(|| {
            format!("HTTP Route '{name}' is not found in the defined Virtual Service.")
        })
    };
    names.iter().map(find).collect()
}

fn validate_http(
    names: &[String],
    routes: &[HttpRoute],
    managed: &[ManagedRoute],
    wanted: &Destinations<'_>,
) -> Result<(), String> {
    for index in choose_http(names, routes)? {
        validate_destinations(&routes[index].route, wanted)?;
    }
    let is_managed = |route: &HttpRoute| managed.iter().any(|managed| managed.name == route.name);
    if names.is_empty() && routes.iter().filter(|route| !is_managed(route)).count() > 1 {
        return Err(only_route("http", "routes"));
    }
    Ok(())
}

fn choose_tls(references: &[TlsRoute], routes: &[PortRoute]) -> Result<Vec<usize>, String> {
    let is_match = |reference: &TlsRoute, route: &PortRoute| {
        let hosts: BTreeSet<&String> = route
            .matches
            .iter()
            .flat_map(|route_match| &route_match.sni_hosts)
            .collect();
        single_port(route) == Some(reference.port)
            && reference.sni_hosts.len() == hosts.len()
            && hosts.iter().all(|host| reference.sni_hosts.contains(host))
    };
    choose_port_routes(references, routes, is_match, "TLS")
}

fn choose_tcp(references: &[TcpRoute], routes: &[PortRoute]) -> Result<Vec<usize>, String> {
    let is_match =
        |reference: &TcpRoute, route: &PortRoute| single_port(route) == Some(reference.port);
    choose_port_routes(references, routes, is_match, "TCP")
}

fn choose_port_routes<R>(
    references: &[R],
    routes: &[PortRoute],
    is_match: impl Fn(&R, &PortRoute) -> bool,
    kind: &str,
) -> Result<Vec<usize>, String> {
    if references.is_empty() {
        return Ok(if routes.is_empty() { vec![] } else { vec![0] });
    }
    let mut chosen = Vec::new();
    for reference in references {
        let before = chosen.len();
        let routes = routes.iter().enumerate();
        chosen.extend(routes.filter_map(|(i, route)| is_match(reference, route).then_some(i)));
        if chosen.len() == before {
            return Err(format!(
                "No matching {kind} routes found in the defined Virtual Service."
            ));
        }
    }
    Ok(chosen)
}

/// The port of all matches; 0 without matches, none if they differ.
fn single_port(route: &PortRoute) -> Option<i64> {
    let ports: BTreeSet<i64> = route
        .matches
        .iter()
        .map(|route_match| route_match.port)
        .collect();
    match ports.len() {
        0 => Some(0),
        1 => ports.first().copied(),
        _ => None,
    }
}

fn validate_port_routes(
    chosen: Vec<usize>,
    is_named: bool,
    routes: &[PortRoute],
    wanted: &Destinations<'_>,
    (field, setting): (&str, &str),
) -> Result<(), String> {
    // The reference fails on an empty list.
    if !is_named && routes.is_empty() {
        return Err(only_route(field, setting));
    }
    for index in chosen {
        validate_destinations(&routes[index].route, wanted)?;
    }
    if !is_named && routes.len() > 1 {
        return Err(only_route(field, setting));
    }
    Ok(())
}

fn only_route(field: &str, setting: &str) -> String {
    format!(
        "spec.{field}[] should be set in VirtualService and it must have exactly one route when omitting spec.strategy.canary.trafficRouting.istio.virtualService.{setting}"
    )
}

/// With a destination rule subsets count, otherwise the first part of the host.
fn validate_destinations(
    route: &[RouteDestination],
    wanted: &Destinations<'_>,
) -> Result<(), String> {
    let has_subset =
        |subset: &str| !subset.is_empty() && route.iter().any(|to| to.destination.subset == subset);
    let has_host = |service: &str| {
        !service.is_empty()
            && route
                .iter()
                .any(|to| short_host(&to.destination.host) == service)
    };
    match wanted.rule {
        Some(rule) if !has_subset(&rule.canary_subset_name) => Err(format!(
            "Canary DestinationRule subset '{}' not found in route",
            rule.canary_subset_name
        )),
        Some(rule) if !has_subset(&rule.stable_subset_name) => Err(format!(
            "Stable DestinationRule subset '{}' not found in route",
            rule.stable_subset_name
        )),
        None if !has_host(wanted.canary) => Err(format!(
            "Canary Service '{}' not found in route",
            wanted.canary
        )),
        None if !has_host(wanted.stable) => Err(format!(
            "Stable Service '{}' not found in route",
            wanted.stable
        )),
        Some(_) | None => Ok(()),
    }
}

/// A host that begins with a dot counts as empty.
pub(crate) fn short_host(host: &str) -> &str {
    host.split_once('.').map_or(host, |(first, _)| first)
}
