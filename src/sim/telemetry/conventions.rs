//! Under which names requests are counted: the tables of the conventions.
//!
//! Sources: the metric references of Istio, ingress-nginx, Linkerd, Traefik and Envoy; for `plain`,
//! the names that Prometheus' instrumentation guide and client libraries suggest.

use std::collections::BTreeMap;

use crate::sim::scenario::traffic::{Convention, LatencyUnit, MetricNames, OwnNames, Reporter};

/// Values of the placeholders in label values.
pub(super) type Variables = BTreeMap<&'static str, String>;

/// The upper bounds of Prometheus' client libraries, in seconds.
const CLIENT_BOUNDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Envoy's, in milliseconds; Istio's proxies have the same.
const ENVOY_BOUNDS: &[f64] = &[
    0.5,
    1.0,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1000.0,
    2500.0,
    5000.0,
    10_000.0,
    30_000.0,
    60_000.0,
    300_000.0,
    600_000.0,
    1_800_000.0,
    3_600_000.0,
];
/// Linkerd's, in milliseconds.
const LINKERD_BOUNDS: &[f64] = &[
    1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 100.0, 200.0, 300.0, 400.0, 500.0,
    1000.0, 2000.0, 3000.0, 4000.0, 5000.0, 10_000.0, 20_000.0, 30_000.0, 40_000.0, 50_000.0,
];
/// Traefik's, in seconds.
const TRAEFIK_BOUNDS: &[f64] = &[0.1, 0.3, 1.2, 5.0];

/// What each scraped pod's series have.
const POD_TARGET: &[(&str, &str)] = &[
    ("namespace", "{namespace}"),
    ("pod", "{pod}"),
    ("instance", "{instance}"),
];

const PLAIN_TARGET: &[(&str, &str)] = &[
    ("job", "{rollout}"),
    ("container", "{container}"),
    ("service", "{service}"),
];

const ISTIO: &[(&str, &str)] = &[
    ("source_app", "istio-ingressgateway"),
    ("source_workload", "istio-ingressgateway"),
    ("source_workload_namespace", "istio-system"),
    ("source_canonical_service", "istio-ingressgateway"),
    ("source_canonical_revision", "latest"),
    ("source_version", "unknown"),
    ("source_cluster", "Kubernetes"),
    ("destination_app", "{app}"),
    ("destination_workload", "{rollout}"),
    ("destination_workload_namespace", "{namespace}"),
    ("destination_version", "{version_or_unknown}"),
    (
        "destination_service",
        "{destination}.{namespace}.svc.cluster.local",
    ),
    ("destination_service_name", "{destination}"),
    ("destination_service_namespace", "{namespace}"),
    ("destination_canonical_service", "{app}"),
    ("destination_canonical_revision", "{version_or_latest}"),
    ("destination_cluster", "Kubernetes"),
    ("request_protocol", "http"),
];

const ISTIO_OUTCOME: &[(&str, &str)] =
    &[("response_code", "{code}"), ("response_flags", "{flags}")];

/// Who counts, which decides how long counters live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// A pod, for itself.
    Pod,
    /// A pod's sidecar, for each service by which it was addressed.
    PodByService,
    /// A gateway, for each service and version behind it.
    Service,
}

impl From<Reporter> for Scope {
    fn from(reporter: Reporter) -> Self {
        match reporter {
            Reporter::Pod => Scope::Pod,
            Reporter::Service => Scope::Service,
        }
    }
}

/// What somebody counts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Instrument {
    pub scope: Scope,
    /// Labels of the scraped target, which `up` has too.
    pub target: Templates,
    /// Labels of all its series besides those of the target.
    pub labels: Templates,
    pub counters: Vec<Counter>,
    pub histogram: Option<Histogram>,
}

/// Label names, and values with placeholders.
pub(super) type Templates = Vec<(String, String)>;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Counter {
    pub name: String,
    /// Labels that tell outcomes apart.
    pub outcome: Templates,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Histogram {
    /// Without `_bucket`.
    pub name: String,
    pub outcome: Templates,
    pub unit: LatencyUnit,
    /// In that unit.
    pub bounds: Vec<f64>,
}

impl Histogram {
    /// How many of its units a second has.
    pub fn per_second(&self) -> f64 {
        match self.unit {
            LatencyUnit::Seconds => 1.0,
            LatencyUnit::Milliseconds => 1000.0,
        }
    }
}

/// What is counted under these names.
pub(super) fn instruments(names: &[MetricNames]) -> Vec<Instrument> {
    names
        .iter()
        .flat_map(|names| match names {
            MetricNames::Convention(convention) => known(*convention),
            MetricNames::Own(own) => vec![own_instrument(own)],
        })
        .collect()
}

fn templates(parts: &[&[(&str, &str)]]) -> Templates {
    parts
        .iter()
        .flat_map(|part| part.iter())
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn counter(name: &str, outcome: &[(&str, &str)]) -> Counter {
    Counter {
        name: name.to_owned(),
        outcome: templates(&[outcome]),
    }
}

fn histogram(
    name: &str,
    outcome: &[(&str, &str)],
    unit: LatencyUnit,
    bounds: &[f64],
) -> Option<Histogram> {
    Some(Histogram {
        name: name.to_owned(),
        outcome: templates(&[outcome]),
        unit,
        bounds: bounds.to_vec(),
    })
}

fn known(convention: Convention) -> Vec<Instrument> {
    use LatencyUnit::{Milliseconds, Seconds};
    match convention {
        Convention::Plain => vec![Instrument {
            scope: Scope::Pod,
            target: templates(&[POD_TARGET, PLAIN_TARGET]),
            labels: templates(&[&[("method", "GET")]]),
            counters: vec![counter("http_requests_total", &[("code", "{code}")])],
            histogram: histogram("http_request_duration_seconds", &[], Seconds, CLIENT_BOUNDS),
        }],
        Convention::Istio => {
            let reporter = |scope, target: &[&[(&str, &str)]], own: &[(&str, &str)]| Instrument {
                scope,
                target: templates(target),
                labels: templates(&[ISTIO, own]),
                counters: vec![counter("istio_requests_total", ISTIO_OUTCOME)],
                histogram: histogram(
                    "istio_request_duration_milliseconds",
                    ISTIO_OUTCOME,
                    Milliseconds,
                    ENVOY_BOUNDS,
                ),
            };
            vec![
                reporter(
                    Scope::PodByService,
                    &[POD_TARGET, &[("job", "kubernetes-pods")]],
                    &[
                        ("reporter", "destination"),
                        ("connection_security_policy", "mutual_tls"),
                    ],
                ),
                reporter(
                    Scope::Service,
                    &[&[
                        ("job", "kubernetes-pods"),
                        ("namespace", "istio-system"),
                        ("pod", "istio-ingressgateway-0"),
                        ("instance", "istio-ingressgateway-0:15090"),
                        ("app", "istio-ingressgateway"),
                    ]],
                    &[
                        ("reporter", "source"),
                        ("connection_security_policy", "unknown"),
                    ],
                ),
            ]
        }
        Convention::Nginx => {
            let outcome: &[(&str, &str)] = &[("status", "{code}")];
            vec![Instrument {
                scope: Scope::Service,
                target: templates(&[&[
                    ("job", "ingress-nginx-controller-metrics"),
                    ("instance", "ingress-nginx-controller-0:10254"),
                    ("pod", "ingress-nginx-controller-0"),
                ]]),
                // What a canary answers is counted for the main ingress and its service; the name
                // of its upstream is in `canary`.
                labels: templates(&[&[
                    ("controller_class", "k8s.io/ingress-nginx"),
                    ("controller_namespace", "ingress-nginx"),
                    ("controller_pod", "ingress-nginx-controller-0"),
                    ("host", "{host}"),
                    ("ingress", "{ingress}"),
                    ("namespace", "{namespace}"),
                    ("exported_namespace", "{namespace}"),
                    ("service", "{primary}"),
                    ("exported_service", "{primary}"),
                    ("canary", "{canary_upstream}"),
                    ("method", "GET"),
                    ("path", "/"),
                ]]),
                counters: vec![counter("nginx_ingress_controller_requests", outcome)],
                histogram: histogram(
                    "nginx_ingress_controller_request_duration_seconds",
                    outcome,
                    Seconds,
                    CLIENT_BOUNDS,
                ),
            }]
        }
        Convention::Linkerd => {
            let latency_outcome: &[(&str, &str)] = &[("status_code", "{code}")];
            let side = |scope, target: &[&[(&str, &str)]], own: &[(&str, &str)]| Instrument {
                scope,
                target: templates(target),
                labels: templates(&[
                    &[
                        ("authority", "{destination}.{namespace}.svc.cluster.local"),
                        ("tls", "true"),
                    ],
                    own,
                ]),
                counters: vec![
                    counter("request_total", &[]),
                    counter(
                        "response_total",
                        &[
                            ("classification", "{classification}"),
                            ("status_code", "{code}"),
                        ],
                    ),
                ],
                histogram: histogram(
                    "response_latency_ms",
                    latency_outcome,
                    Milliseconds,
                    LINKERD_BOUNDS,
                ),
            };
            vec![
                side(
                    Scope::PodByService,
                    &[POD_TARGET, &[("job", "linkerd-proxy")]],
                    &[("direction", "inbound"), ("rollout", "{rollout}")],
                ),
                side(
                    Scope::Service,
                    &[&[
                        ("job", "linkerd-proxy"),
                        ("namespace", "ingress"),
                        ("deployment", "ingress"),
                        ("pod", "ingress-0"),
                        ("instance", "ingress-0:4191"),
                    ]],
                    &[
                        ("direction", "outbound"),
                        ("dst_namespace", "{namespace}"),
                        ("dst_service", "{destination}"),
                        ("dst_rollout", "{rollout}"),
                    ],
                ),
            ]
        }
        Convention::Traefik => {
            let outcome: &[(&str, &str)] = &[("code", "{code}")];
            vec![Instrument {
                scope: Scope::Service,
                target: templates(&[&[
                    ("job", "traefik"),
                    ("namespace", "traefik"),
                    ("pod", "traefik-0"),
                    ("instance", "traefik-0:9100"),
                ]]),
                labels: templates(&[&[
                    ("service", "{namespace}-{destination}-{port}@kubernetescrd"),
                    ("method", "GET"),
                    ("protocol", "http"),
                ]]),
                counters: vec![counter("traefik_service_requests_total", outcome)],
                histogram: histogram(
                    "traefik_service_request_duration_seconds",
                    outcome,
                    Seconds,
                    TRAEFIK_BOUNDS,
                ),
            }]
        }
        Convention::Envoy => vec![Instrument {
            scope: Scope::Service,
            target: templates(&[&[
                ("job", "envoy"),
                ("namespace", "projectcontour"),
                ("pod", "envoy-0"),
                ("instance", "envoy-0:8002"),
            ]]),
            labels: templates(&[&[("envoy_cluster_name", "{namespace}_{destination}_{port}")]]),
            counters: vec![
                counter("envoy_cluster_upstream_rq_total", &[]),
                counter(
                    "envoy_cluster_upstream_rq",
                    &[("envoy_response_code", "{code}")],
                ),
                counter(
                    "envoy_cluster_upstream_rq_xx",
                    &[("envoy_response_code_class", "{class}")],
                ),
            ],
            histogram: histogram(
                "envoy_cluster_upstream_rq_time",
                &[],
                Milliseconds,
                ENVOY_BOUNDS,
            ),
        }],
    }
}

fn own_instrument(own: &OwnNames) -> Instrument {
    let OwnNames {
        requests,
        duration,
        per,
        unit,
        buckets,
        code_label,
        labels,
    } = own;
    let code = code_label.as_deref().unwrap_or("code");
    let outcome: &[(&str, &str)] = if code.is_empty() {
        &[]
    } else {
        &[(code, "{code}")]
    };
    let scope = Scope::from(*per);
    let target = match per {
        Reporter::Pod => templates(&[POD_TARGET, PLAIN_TARGET]),
        Reporter::Service => templates(&[&[
            ("job", "gateway"),
            ("namespace", "{namespace}"),
            ("service", "{destination}"),
        ]]),
    };
    let per_second = match unit {
        LatencyUnit::Seconds => 1.0,
        LatencyUnit::Milliseconds => 1000.0,
    };
    Instrument {
        scope,
        target,
        labels: labels
            .iter()
            .map(|(name, value)| {
                let value = match per {
                    Reporter::Pod => value.clone(),
                    Reporter::Service => value.replace("{service}", "{destination}"),
                };
                (name.clone(), value)
            })
            .collect(),
        counters: requests.iter().map(|name| counter(name, outcome)).collect(),
        histogram: duration.as_ref().map(|name| Histogram {
            name: name.clone(),
            outcome: Vec::new(),
            unit: *unit,
            bounds: buckets.clone().unwrap_or_else(|| {
                CLIENT_BOUNDS
                    .iter()
                    .map(|bound| bound * per_second)
                    .collect()
            }),
        }),
    }
}

/// A label value with its placeholders replaced; what is not known stays.
pub(super) fn fill(template: &str, variables: &[&Variables]) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let known = after.split_once('}').and_then(|(name, tail)| {
            let value = variables.iter().find_map(|known| known.get(name))?;
            Some((value, tail))
        });
        match known {
            Some((value, tail)) => {
                out.push_str(value);
                rest = tail;
            }
            None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}
