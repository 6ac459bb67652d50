//! One canary of 8 steps with 60 measurements, from the release to the promotion, decisions
//! recorded; and 20 times the virtual time, which must not cost memory.

use criterion::{Criterion, criterion_group, criterion_main};
use rollproof::sim::scenario::Scenario;
use serde_json::{Value, json};

/// As the command has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn objects(pause: &str) -> Vec<Value> {
    let steps: Vec<Value> = [10, 25, 50, 75]
        .iter()
        .flat_map(|weight| {
            [
                json!({"setWeight": weight}),
                json!({"pause": {"duration": pause}}),
            ]
        })
        .collect();
    vec![
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
            "metadata": {"name": "success-rate"},
            "spec": {"metrics": [{
                "name": "success-rate", "interval": "10s", "successCondition": "result[0] >= 0.95",
                "provider": {"prometheus": {"address": "http://prometheus", "query": "up"}},
            }]},
        }),
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "demo"},
            "spec": {
                "replicas": 10,
                "selector": {"matchLabels": {"app": "demo"}},
                "strategy": {"canary": {
                    "analysis": {"templates": [{"templateName": "success-rate"}]},
                    "steps": steps,
                }},
                "template": {
                    "metadata": {"labels": {"app": "demo"}},
                    "spec": {"containers": [{"name": "app", "image": "app:v1"}]},
                },
            },
        }),
    ]
}

fn canary(criterion: &mut Criterion) {
    let scenario = Scenario::default();
    let objects = objects("2m20s");
    let play = rollproof::sim::play::play(&objects, &scenario).expect("the bench's rollout plays");
    assert!(
        (58..=64).contains(&play.totals.measurements),
        "about 60 measurements, not {}",
        play.totals.measurements
    );
    criterion.bench_function("8 steps, 60 measurements", |bencher| {
        bencher.iter(|| rollproof::sim::play::play(&objects, &scenario));
    });
}

/// 1000 requests a second on 4 pods of two versions for 30 minutes, scraped every 15 seconds, with
/// chance in the counts; 60 queries for the share of failed requests, and 60 for latencies.
fn traffic(criterion: &mut Criterion) {
    let scenario: Scenario = serde_json::from_value(json!({
        "until": "30m",
        "traffic": {
            "requests": 1000, "noise": "poisson",
            "stable": {"errors": 0.002, "latency": {"p50": "80ms", "p99": "300ms"}},
            "release": {"errors": 0.004},
        },
    }))
    .expect("a scenario");
    let mut objects = objects("6m");
    let queries = [
        "sum(rate(http_requests_total{code!~\"5..\"}[2m])) / sum(rate(http_requests_total[2m]))",
        "1.4 - histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[2m])))",
    ];
    let metric = |(index, query): (usize, &&str)| {
        json!({
            "name": format!("m{index}"), "interval": "25s", "successCondition": "result[0] >= 0.95",
            "provider": {"prometheus": {"address": "http://prometheus", "query": query}},
        })
    };
    if let Some(metrics) = objects[0].pointer_mut("/spec/metrics") {
        *metrics = queries.iter().enumerate().map(metric).collect();
    }
    if let Some(replicas) = objects[1].pointer_mut("/spec/replicas") {
        *replicas = json!(4);
    }
    let play = rollproof::sim::play::play(&objects, &scenario).expect("the bench's rollout plays");
    assert!(
        (110..=130).contains(&play.totals.measurements),
        "about 120 measurements, not {}: {:?}",
        play.totals.measurements,
        play.timeline
    );
    criterion.bench_function("traffic of 30 minutes, 120 queries", |bencher| {
        bencher.iter(|| rollproof::sim::play::play(&objects, &scenario));
    });
}

criterion_group!(benches, canary, traffic);
criterion_main!(benches);
