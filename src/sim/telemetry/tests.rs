//! Queries as users write them, on the traffic of small rollouts.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Telemetry;
use crate::promql::Store;
use crate::sim::chance::Mishaps;
use crate::sim::play::{Play, Prepared, play};
use crate::sim::pods::SteadyPods;
use crate::sim::scenario::Scenario;
use crate::sim::scenario::metrics::ScenarioMetrics;
use crate::sim::{Command, NoObserver, Settings, Simulation};
use crate::time::Duration;

/// A canary that stays at 25 % for long, and asks these queries once, after 4 minutes and 10
/// seconds of it.
fn objects(queries: &[&str], routing: Option<Value>) -> Vec<Value> {
    let metrics: Vec<Value> = queries
        .iter()
        .enumerate()
        .map(|(index, query)| {
            json!({
                "name": format!("m{index}"), "count": 1, "initialDelay": "250s",
                "provider": {"prometheus": {"address": "http://prometheus", "query": query}},
            })
        })
        .collect();
    let service = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
        })
    };
    let mut canary = json!({
        "canaryService": "web-canary", "stableService": "web-stable",
        "analysis": {
            "templates": [{"templateName": "checks"}],
            "args": [
                {"name": "canary", "valueFrom": {"podTemplateHashValue": "Latest"}},
                {"name": "stable", "valueFrom": {"podTemplateHashValue": "Stable"}},
            ],
        },
        "steps": [{"setWeight": 25}, {"pause": {"duration": "20m"}}],
    });
    if let (Some(routing), Some(fields)) = (routing, canary.as_object_mut()) {
        fields.insert("trafficRouting".into(), routing);
    }
    vec![
        service("web-stable"),
        service("web-canary"),
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"},
            "spec": {"rules": [{"host": "web.example", "http": {"paths": [{
                "path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": "web-stable", "port": {"number": 80}}},
            }]}}]},
        }),
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
            "metadata": {"name": "checks"},
            "spec": {"args": [{"name": "canary"}, {"name": "stable"}], "metrics": metrics},
        }),
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "web"},
            "spec": {
                "replicas": 4,
                "selector": {"matchLabels": {"app": "web"}},
                "strategy": {"canary": canary},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "web", "image": "web:v1"}]},
                },
            },
        }),
    ]
}

fn nginx() -> Option<Value> {
    Some(json!({"nginx": {"stableIngress": "web"}}))
}

/// 100 requests a second: of the stable version 1 % fail, of the release 10 %.
fn traffic(more: Value) -> Value {
    let mut traffic = json!({
        "requests": 100,
        "stable": {"errors": 0.01, "latency": "40ms"},
        "release": {"errors": 0.1, "latency": "300ms"},
    });
    merge(&mut traffic, more);
    json!({"traffic": traffic, "until": "6m"})
}

fn merge(into: &mut Value, more: Value) {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
}

fn played(objects: &[Value], scenario: Value) -> Play {
    let scenario: Scenario = serde_json::from_value(scenario).expect("a scenario");
    if let Some(traffic) = &scenario.traffic {
        assert_eq!(traffic.problems(), []);
    }
    play(objects, &scenario).expect("it plays")
}

/// The text of the measurement of each metric, its numbers rounded.
fn values(play: &Play, count: usize) -> Vec<String> {
    (0..count)
        .map(|index| {
            let start = format!("m{index} = ");
            let found = play.timeline.iter().find_map(|entry| {
                let value = entry.text.strip_prefix(&start)?;
                value.split_whitespace().next().map(rounded)
            });
            found.unwrap_or_else(|| format!("no value of m{index}: {:#?}", play.timeline))
        })
        .collect()
}

fn rounded(text: &str) -> String {
    let number = |text: &str| match text.parse::<f64>() {
        Ok(number) => ((number * 1e9).round() / 1e9).to_string(),
        Err(_) => text.to_owned(),
    };
    let inner = text.trim_matches(['[', ']']);
    let numbers: Vec<String> = inner.split(',').map(number).collect();
    format!("[{}]", numbers.join(","))
}

/// Queries with the numbers that they give.
fn check(metrics: Value, routing: Option<Value>, expected: &[(&str, f64)]) {
    let queries: Vec<&str> = expected.iter().map(|(query, _)| *query).collect();
    let scenario = traffic(json!({"metrics": metrics}));
    let play = played(&objects(&queries, routing), scenario);
    for ((query, wanted), text) in expected.iter().zip(values(&play, queries.len())) {
        let found = text.trim_matches(['[', ']']).parse::<f64>();
        let close = found
            .as_ref()
            .is_ok_and(|found| (found - wanted).abs() <= 1e-6 * wanted.abs());
        assert!(close, "{query}\nexpected {wanted}, found {text}");
    }
}

#[test]
fn plain_metrics_of_pods() {
    check(
        json!(["plain"]),
        nginx(),
        &[
            ("sum(rate(http_requests_total[1m]))", 100.0),
            (
                r#"sum(rate(http_requests_total{service="web-canary", code!~"5.."}[2m]))
                   / sum(rate(http_requests_total{service="web-canary"}[2m]))"#,
                0.9,
            ),
            (
                r#"sum(rate(http_requests_total{rollouts_pod_template_hash="{{args.stable}}", code=~"5.*"}[2m]))
                   / sum(rate(http_requests_total{rollouts_pod_template_hash="{{args.stable}}"}[2m]))"#,
                0.01,
            ),
            (
                r#"histogram_quantile(0.5, sum by (le) (
                   rate(http_request_duration_seconds_bucket{rollouts_pod_template_hash="{{args.canary}}"}[1m])))"#,
                0.375,
            ),
            (
                r#"sum(rate(http_request_duration_seconds_sum{namespace="default", pod=~"web-{{args.stable}}-.*"}[1m]))
                   / sum(rate(http_request_duration_seconds_count{namespace="default", pod=~"web-{{args.stable}}-.*"}[1m]))"#,
                0.04,
            ),
            (r#"sum(up{app="web", job="web"})"#, 5.0),
            (
                r#"count(count by (pod) (http_requests_total{container="web"}))"#,
                5.0,
            ),
        ],
    );
}

#[test]
fn plain_metrics_without_a_router_split_by_pods() {
    check(
        json!(["plain"]),
        None,
        &[
            (
                r#"sum(rate(http_requests_total{rollouts_pod_template_hash="{{args.canary}}"}[1m]))
                   / sum(rate(http_requests_total[1m]))"#,
                0.25,
            ),
            (
                "count(rate(http_requests_total{code=\"200\"}[1m]) > 24.7)",
                3.0,
            ),
        ],
    );
}

#[test]
fn istio_metrics() {
    check(
        json!(["istio"]),
        nginx(),
        &[
            (
                r#"sum(irate(istio_requests_total{reporter="source", destination_service=~"web-canary.default.svc.cluster.local", response_code!~"5.*"}[2m]))
                   / sum(irate(istio_requests_total{reporter="source", destination_service=~"web-canary.default.svc.cluster.local"}[2m]))"#,
                0.9,
            ),
            (
                r#"sum(rate(istio_requests_total{reporter="destination", destination_service_name="web-stable", response_code=~"5.."}[2m]))
                   / sum(rate(istio_requests_total{reporter="destination", destination_service_name="web-stable"}[2m]))"#,
                0.01,
            ),
            (
                r#"sum(rate(istio_requests_total{reporter="destination", destination_workload="web", rollouts_pod_template_hash="{{args.canary}}"}[2m]))"#,
                25.0,
            ),
            (
                r#"histogram_quantile(0.99, sum by (le) (rate(
                   istio_request_duration_milliseconds_bucket{reporter="source", destination_service_name="web-canary"}[2m])))"#,
                497.5,
            ),
            (
                r#"sum(rate(istio_requests_total{destination_workload_namespace="default", reporter="source"}[1m]))"#,
                100.0,
            ),
        ],
    );
}

#[test]
fn nginx_metrics() {
    check(
        json!(["nginx"]),
        nginx(),
        &[
            (
                r#"sum(rate(nginx_ingress_controller_requests{ingress="web", canary!="", status!~"[4-5].*"}[2m]))
                   / sum(rate(nginx_ingress_controller_requests{ingress="web", canary!=""}[2m]))"#,
                0.9,
            ),
            (
                r#"sum(rate(nginx_ingress_controller_requests{exported_namespace="default", service="web-stable"}[2m]))"#,
                100.0,
            ),
            (
                r#"sum(rate(nginx_ingress_controller_requests{canary="default-web-canary-80", host="web.example"}[2m]))"#,
                25.0,
            ),
            (
                r#"histogram_quantile(0.9, sum by (le) (
                   rate(nginx_ingress_controller_request_duration_seconds_bucket{ingress="web", canary=""}[2m])))"#,
                0.0475,
            ),
        ],
    );
}

#[test]
fn linkerd_metrics() {
    check(
        json!(["linkerd"]),
        nginx(),
        &[
            (
                r#"sum(rate(response_total{direction="inbound", namespace="default", rollouts_pod_template_hash="{{args.canary}}", classification="success"}[2m]))
                   / sum(rate(response_total{direction="inbound", namespace="default", rollouts_pod_template_hash="{{args.canary}}"}[2m]))"#,
                0.9,
            ),
            (
                r#"sum(rate(response_total{direction="outbound", dst_service="web-stable", classification="failure"}[2m]))"#,
                0.75,
            ),
            (
                r#"histogram_quantile(0.95, sum by (le) (
                   rate(response_latency_ms_bucket{direction="outbound", dst_service="web-canary"}[2m])))"#,
                295.0,
            ),
        ],
    );
}

#[test]
fn traefik_metrics() {
    check(
        json!(["traefik"]),
        nginx(),
        &[
            (
                r#"sum(rate(traefik_service_requests_total{service=~"default-web-canary-.*@kubernetescrd", code=~"2.*"}[2m]))
                   / sum(rate(traefik_service_requests_total{service=~"default-web-canary-.*@kubernetescrd"}[2m]))"#,
                0.9,
            ),
            (
                r#"sum(rate(traefik_service_request_duration_seconds_bucket{service="default-web-stable-80@kubernetescrd", le="0.1"}[2m]))
                   / sum(rate(traefik_service_request_duration_seconds_count{service="default-web-stable-80@kubernetescrd"}[2m]))"#,
                1.0,
            ),
        ],
    );
}

#[test]
fn envoy_metrics() {
    check(
        json!(["envoy"]),
        nginx(),
        &[
            (
                r#"sum(rate(envoy_cluster_upstream_rq{envoy_cluster_name="default_web-canary_80", envoy_response_code!~"5.*"}[2m]))
                   / sum(rate(envoy_cluster_upstream_rq{envoy_cluster_name="default_web-canary_80"}[2m]))"#,
                0.9,
            ),
            (
                r#"sum(rate(envoy_cluster_upstream_rq_xx{envoy_cluster_name=~".*web-stable.*", envoy_response_code_class="5"}[2m]))
                   / sum(rate(envoy_cluster_upstream_rq_total{envoy_cluster_name=~".*web-stable.*"}[2m]))"#,
                0.01,
            ),
            (
                r#"histogram_quantile(0.5, sum by (le) (rate(envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="default_web-stable_80"}[2m])))"#,
                37.5,
            ),
        ],
    );
}

#[test]
fn names_of_ones_own() {
    check(
        json!([
            {
                "requests": "calls_total", "duration": "call_ms", "unit": "milliseconds",
                "buckets": [20, 200, 2000], "codeLabel": "status", "labels": {"team": "{app}s"},
            },
            {"requests": "edge_calls", "per": "service", "codeLabel": "", "labels": {"to": "{service}"}},
        ]),
        nginx(),
        &[
            (
                r#"sum(rate(calls_total{status="500", team="webs", service="web-canary"}[2m]))"#,
                2.5,
            ),
            (
                r#"sum(rate(call_ms_bucket{le="200.0"}[2m])) / sum(rate(call_ms_count[2m]))"#,
                0.75,
            ),
            (r#"sum(rate(edge_calls{to="web-canary"}[2m]))"#, 25.0),
        ],
    );
}

/// Values of queries with a scenario of one's own.
fn asked(queries: &[&str], scenario: Value) -> Vec<String> {
    values(&played(&objects(queries, nginx()), scenario), queries.len())
}

#[test]
fn series_begin_end_and_reset_with_their_pods() {
    let mut scenario = traffic(json!({}));
    merge(
        &mut scenario,
        json!({"events": [
            {"at": "2m", "crashPods": {"image": "web:v1", "count": 1, "readyAgainAfter": "1m"}},
            {"at": "2m", "deletePods": {"image": "web:v2", "count": 1}},
        ], "release": {"image": "web:v2"}}),
    );
    let found = asked(
        &[
            // A crashed pod counts from 0 again, and is not there meanwhile.
            "sum(resets(http_requests_total{code=\"200\"}[4m]))",
            "min_over_time(sum(up{rollouts_pod_template_hash=\"{{args.stable}}\"})[3m:15s])",
            // The pod of the release and its successor, of which one is there.
            "count(count by (pod) (present_over_time(up{rollouts_pod_template_hash=\"{{args.canary}}\"}[4m])))",
            "count(up{rollouts_pod_template_hash=\"{{args.canary}}\"})",
            "sum(increase(http_requests_total{service=\"web-canary\"}[1m]))",
        ],
        scenario,
    );
    assert_eq!(found, ["[1]", "[3]", "[2]", "[1]", "[1500]"]);
}

#[test]
fn without_errors_there_is_no_series_of_errors() {
    let scenario = traffic(json!({"release": {"errors": 0}, "stable": {"errors": 0}}));
    let found = asked(
        &["sum(rate(http_requests_total{code=~\"5..\"}[1m])) / sum(rate(http_requests_total[1m]))"],
        scenario,
    );
    assert_eq!(found, ["[]"]);
}

#[test]
fn requests_without_a_pod_fail_at_the_gateway() {
    let mut scenario = traffic(json!({"metrics": ["istio", "plain"]}));
    merge(
        &mut scenario,
        // The router goes on for half a minute to send requests to where no pod is.
        json!({
            "events": [{"at": "2m", "crashPods": {"image": "web:v2"}}],
            "release": {"image": "web:v2"}, "cluster": {"routerLag": "30s"},
        }),
    );
    let queries = [
        "istio_requests_total{reporter=\"source\", response_code=\"503\", response_flags=\"UH\"}",
        "istio_requests_total{reporter=\"destination\", response_code=\"503\"}",
    ];
    let play = played(&objects(&queries, nginx()), scenario);
    assert_eq!(values(&play, 2), ["[750.575]", "[]"]);
    let totals = play.totals.traffic.expect("totals");
    assert!(totals.failed_because_of_release > 750.0, "{totals:?}");
}

#[test]
fn chance_is_that_of_the_seed() {
    let queries = [
        "sum(rate(http_requests_total{service=\"web-canary\", code=\"500\"}[2m]))",
        "sum(rate(http_requests_total[2m]))",
    ];
    let run = |seed: u64, queries: &[&str]| {
        let mut scenario = traffic(json!({"noise": "poisson"}));
        merge(&mut scenario, json!({"seed": seed}));
        asked(queries, scenario)
    };
    let found = run(1, &queries);
    assert_eq!(found, run(1, &queries));
    assert_ne!(found, run(2, &queries));
    // What else is looked at changes no count.
    let with_more = [
        queries[0],
        queries[1],
        "up",
        "http_request_duration_seconds_bucket > 1e9",
    ];
    assert_eq!(found, run(1, &with_more)[..2]);
    let number = |text: &str| {
        text.trim_matches(['[', ']'])
            .parse::<f64>()
            .expect("a number")
    };
    assert!((number(&found[0]) - 2.5).abs() < 0.5, "{found:?}");
    assert!((number(&found[1]) - 100.0).abs() < 5.0, "{found:?}");
}

#[test]
fn a_prepared_scenario_plays_as_one_that_is_played_at_once() {
    let queries = [
        "sum(rate(http_requests_total{code=\"500\"}[1m])) / sum(rate(http_requests_total[1m]))",
        "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[1m])))",
        "sum(irate(http_requests_total[5m]))",
    ];
    let variants = [
        json!({}),
        json!({"noise": "poisson"}),
        json!({"noise": "poisson", "metrics": ["istio", "plain"], "scrapeInterval": "10s"}),
    ];
    let happenings = [
        json!({"until": "30m"}),
        json!({"events": [{"at": "90s", "crashPods": {"count": 1, "readyAgainAfter": "20s"}}]}),
        json!({"cluster": {"routerLag": "7s"}, "events": [{"at": "5m", "abort": true}]}),
        json!({"expect": [{"by": "20m", "weight": 100}, {"at": "3m", "weight": 25}]}),
    ];
    for (variant, happening) in variants
        .iter()
        .zip(happenings.iter().cycle())
        .chain(happenings.iter().map(|happening| (&variants[1], happening)))
    {
        let routing = (*happening != happenings[0]).then(nginx).flatten();
        let mut objects = objects(&queries, routing);
        let condition = json!("result[0] < 30.001");
        objects[3]["spec"]["metrics"][2]["successCondition"] = condition;
        let mut scenario = traffic(variant.clone());
        merge(&mut scenario, happening.clone());
        let read = |scenario: &Value| serde_json::from_value(scenario.clone()).expect("a scenario");
        let prepared = Prepared::new(&objects, &read(&scenario), &Store::new()).expect("it plays");
        for seed in [0, 1, 7, u64::MAX] {
            merge(&mut scenario, json!({"seed": seed}));
            let at_once = play(&objects, &read(&scenario)).expect("it plays");
            assert_eq!(prepared.play(seed), at_once, "{scenario}");
            let row = prepared.outcome(seed);
            assert_eq!(
                (row.seed, &row.outcome, &row.totals),
                (seed, &at_once.outcome, &at_once.totals),
                "{scenario}"
            );
        }
    }
}

#[test]
fn a_failing_query_is_an_error_as_of_a_server() {
    let queries = [
        "sum(rate(a[1m])",
        "http_requests_total + on() http_requests_total",
    ];
    let play = played(&objects(&queries, nginx()), traffic(json!({})));
    let error = |start: &str| {
        play.timeline
            .iter()
            .any(|entry| entry.text.starts_with(start))
    };
    assert!(
        error("m0 Error: bad_data: invalid parameter \"query\": 1:16: parse error: "),
        "{:#?}",
        play.timeline
    );
    assert!(error("m1 Error: execution: "), "{:#?}", play.timeline);
}

#[test]
fn series_of_the_scenario_are_seen() {
    let found = asked(
        &["queue", "rate(jobs_total[2m])"],
        json!({"series": "load 1m\n  queue 1 2 3 4 5 6\n  jobs_total 0+60x10\n", "until": "6m"}),
    );
    assert_eq!(found, ["[5]", "[1]"]);
}

#[test]
fn ranges_are_asked_for() {
    let mut objects = objects(&["sum(rate(http_requests_total[1m]))"], nginx());
    let provider = objects[3]
        .pointer_mut("/spec/metrics/0/provider/prometheus")
        .and_then(Value::as_object_mut)
        .expect("a provider");
    provider.insert(
        "rangeQuery".into(),
        json!({"start": "now() - duration('2m')", "end": "now()", "step": "1m"}),
    );
    let play = played(&objects, traffic(json!({})));
    assert_eq!(values(&play, 1), ["[100,100,100]"]);
}

#[test]
fn memory_does_not_grow_with_time() {
    let objects = objects(&["sum(rate(http_requests_total[5m]))"], nginx());
    let scenario: Scenario = serde_json::from_value(traffic(json!({}))).expect("a scenario");
    let telemetry = Telemetry::new(&scenario, ("default", "web"), &objects, &Store::new())
        .expect("no series to read")
        .expect("traffic");
    let metrics = ScenarioMetrics::new(
        "default",
        "web",
        &BTreeMap::new(),
        Mishaps::new(Vec::new()),
        Some(telemetry),
    );
    let mut simulation = Simulation::new(Settings::default(), metrics, SteadyPods::default());
    for object in objects {
        let namespace = "default".to_owned();
        simulation
            .act(Command::Apply { namespace, object }, &mut NoObserver)
            .expect("applied");
    }
    let start = simulation.now() + Duration::from_secs(60);
    simulation.run_until(start, &mut NoObserver);
    let Simulation { metrics, store, .. } = &mut simulation;
    let telemetry = metrics.telemetry.as_mut().expect("telemetry");
    telemetry.start(0, start, start, &store.world);
    let mut samples = Vec::new();
    for hour in 1..=24 {
        let now = start + Duration::from_secs(hour * 3600);
        simulation.run_until(now, &mut NoObserver);
        let telemetry = simulation.metrics.telemetry.as_mut().expect("telemetry");
        telemetry.totals(now);
        let traffic = telemetry.traffic.as_mut().expect("traffic");
        traffic.fleet.write(&mut telemetry.store);
        samples.push(telemetry.store.sample_count());
    }
    // 4 pods with 2 series each; kept for 2 to 4 hours.
    let most = samples.iter().max().copied().unwrap_or_default();
    assert!(most <= 8 * (4 * 240 + 2), "{samples:?}");
    let least_later = samples.iter().skip(3).min().copied().unwrap_or_default();
    assert!(least_later >= 8 * 2 * 240, "{samples:?}");
    let now = simulation.now();
    let telemetry = simulation.metrics.telemetry.as_mut().expect("telemetry");
    let still_counted = telemetry.totals(now).expect("totals");
    assert!((still_counted.requests - 24.0 * 360_000.0).abs() < 1.0);
}
