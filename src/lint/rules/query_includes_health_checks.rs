//! `query-includes-health-checks`.

use serde_json::{Map, Value as Json};

use crate::lint::context::{Context, RolloutView};
use crate::lint::facts::metrics_in_use;
use crate::lint::facts::selectors::{Selected, selectors};
use crate::lint::{Confidence, Findings, Rule};
use crate::source::Severity;
use crate::spec::yaml::Node;

pub static RULE: Rule = Rule {
    name: "query-includes-health-checks",
    summary: "probes are counted as requests",
    severity: Severity::Info,
    finds: "
Requests counted by the application, under names that by convention have a label for the path (`uri`,
`handler`, `path`, `route`, ...), where the pod template has an HTTP probe on the port that serves requests
and no matcher of the query leaves the path of the probe out. Metrics of meshes and gateways are left
alone, as those do not count probes, and probes on a port of their own.",
    hurts: "
Probes come every few seconds and succeed as long as the process lives. On a new version with little
traffic they are most of the requests, and its errors disappear among them.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
  replicas: 10
  selector:
    matchLabels: {app: shop}
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers:
        - name: shop
          image: shop:1.0.0
          ports:
            - name: http
              containerPort: 8080
          readinessProbe:
            httpGet:
              path: /healthz
              port: 8080
  strategy:
    canary:
      analysis:
        templates:
          - templateName: success-rate
        args:
          - name: hash
            valueFrom:
              podTemplateHashValue: Latest
      steps:
        - setWeight: 10
        - pause: {duration: 10m}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  args:
    - name: hash
  metrics:
    - name: success-rate
      interval: 1m
      successCondition: result[0] >= 0.95
      failureLimit: 1
      provider:
          prometheus:
            address: http://prometheus.monitoring:9090
            query: |
              sum(rate(http_server_requests_seconds_count{status!~\"5..\",pod_template_hash=\"{{args.hash}}\"}[5m]))
              /
              sum(rate(http_server_requests_seconds_count{pod_template_hash=\"{{args.hash}}\"}[5m]))
",
    good: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
  replicas: 10
  selector:
    matchLabels: {app: shop}
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers:
        - name: shop
          image: shop:1.0.0
          ports:
            - name: http
              containerPort: 8080
          readinessProbe:
            httpGet:
              path: /healthz
              port: 8080
  strategy:
    canary:
      analysis:
        templates:
          - templateName: success-rate
        args:
          - name: hash
            valueFrom:
              podTemplateHashValue: Latest
      steps:
        - setWeight: 10
        - pause: {duration: 10m}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  args:
    - name: hash
  metrics:
    - name: success-rate
      interval: 1m
      successCondition: result[0] >= 0.95
      failureLimit: 1
      provider:
          prometheus:
            address: http://prometheus.monitoring:9090
            query: |
              sum(rate(http_server_requests_seconds_count{status!~\"5..\",pod_template_hash=\"{{args.hash}}\",uri!=\"/healthz\"}[5m]))
              /
              sum(rate(http_server_requests_seconds_count{pod_template_hash=\"{{args.hash}}\",uri!=\"/healthz\"}[5m]))
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for used in metrics_in_use(context) {
        let (Some(rollout), Some(query)) = (used.rollout, &used.metric.query) else {
            continue;
        };
        let Ok(parsed) = query.parsed() else {
            continue;
        };
        let Some(probe) = probes(rollout).into_iter().next() else {
            continue;
        };
        let metric = used.metric;
        // One finding a query: the first selector tells enough.
        let Some(selected) = selectors(parsed)
            .into_iter()
            .find(|selected| counts_probes(selected, &probe))
        else {
            continue;
        };
        let message = format!(
            "metric `{}` counts the probes of `{}` as requests",
            metric.metric.name, probe.path
        );
        let finding = findings.report_at(
            metric.object,
            metric.path_of("provider.prometheus.query"),
            query.span(selected.span),
            message,
        );
        finding
            .help(format!(
                "leave them out by the label that has the path, such as `uri!=\"{}\"`",
                probe.path
            ))
            .confidence(Confidence::Low)
            .related(rollout.span_of(&probe.place), "the probe");
        used.analysis.relate(metric, finding);
    }
}

struct Probe {
    path: String,
    /// Path in the rollout; that of the template where a workload has it.
    place: String,
}

/// HTTP probes on ports that serve requests.
fn probes(rollout: &RolloutView<'_>) -> Vec<Probe> {
    let mut probes = Vec::new();
    let served = served_ports(rollout);
    for (index, container) in rollout.rollout.spec.template.containers().enumerate() {
        for kind in ["readinessProbe", "livenessProbe"] {
            let Some(get) = container
                .get(kind)
                .and_then(|probe| probe.get("httpGet"))
                .and_then(Json::as_object)
            else {
                continue;
            };
            let port = get
                .get("port")
                .and_then(|port| port_number(container, port));
            if port.is_some_and(|port| served.is_empty() || served.contains(&port)) {
                let path = get.get("path").and_then(Json::as_str).unwrap_or("/");
                probes.push(Probe {
                    path: path.to_owned(),
                    place: format!("spec.template.spec.containers[{index}].{kind}.httpGet"),
                });
            }
        }
    }
    probes
}

/// A port of a container by number or name.
fn port_number(container: &Map<String, Json>, port: &Json) -> Option<i64> {
    match port {
        Json::Number(number) => number.as_i64(),
        Json::String(name) => name.parse().ok().or_else(|| {
            let ports = container.get("ports")?.as_array()?;
            let named = ports
                .iter()
                .find(|port| port.get("name").and_then(Json::as_str) == Some(name))?;
            named.get("containerPort")?.as_i64()
        }),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

/// Ports that the rollout's services lead to; else the first port of each container. Empty where
/// none is told.
fn served_ports(rollout: &RolloutView<'_>) -> Vec<i64> {
    let template = &rollout.rollout.spec.template;
    let by_services = rollout
        .services
        .iter()
        .filter_map(|service| service.found.map(|(object, _)| object))
        .filter_map(|object| object.node.get("spec")?.get("ports")?.as_seq())
        .flatten()
        .filter_map(|port| port.get("targetPort").or_else(|| port.get("port")))
        .map(Node::to_json);
    let mut ports: Vec<i64> = Vec::new();
    for port in by_services {
        ports.extend(
            template
                .containers()
                .filter_map(|container| port_number(container, &port)),
        );
    }
    if ports.is_empty() {
        let first = |container: &Map<String, Json>| {
            container
                .get("ports")?
                .as_array()?
                .first()?
                .get("containerPort")?
                .as_i64()
        };
        ports.extend(template.containers().filter_map(first));
    }
    ports
}

/// Labels that hold the path of a request.
const PATH_LABELS: [&str; 8] = [
    "path",
    "uri",
    "handler",
    "route",
    "endpoint",
    "url",
    "http_route",
    "http_target",
];

/// Whether the selector takes requests for the probe's path, by the conventions for names.
fn counts_probes(selected: &Selected<'_>, probe: &Probe) -> bool {
    const NAMES: [&str; 8] = [
        "http_requests_total",
        "http_request_total",
        "http_request_duration_",
        "http_requests_duration_",
        "http_server_requests_",
        "http_server_request_duration_",
        "http_server_duration_",
        "flask_http_request_",
    ];
    let Some(name) = selected.name() else {
        return false;
    };
    let mut paths = selected
        .selector
        .matchers
        .iter()
        .filter(|matcher| PATH_LABELS.contains(&matcher.name.as_str()))
        .peekable();
    let has_paths = paths.peek().is_some() || NAMES.iter().any(|known| name.starts_with(known));
    has_paths && paths.all(|matcher| matcher.matches(&probe.path))
}
