//! One of many random runs, as what-if reports need them: a canary of 6 steps on 10 pods over 20
//! virtual minutes, scraped every 15 seconds, with chance in the counts, judged every minute by the
//! share of failed requests and by the 95th percentile of latencies. The aim is a millisecond a run and core,
//! 10,000 runs in five seconds on two.

use std::sync::atomic::AtomicBool;

use criterion::{Criterion, criterion_group, criterion_main};
use rollproof::promql::Store;
use rollproof::sim::play::Prepared;
use rollproof::sim::scenario::Scenario;
use rollproof::whatif::{Effort, Variant, play_all};
use serde_json::{Value, json};

/// As the command has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn objects() -> Vec<Value> {
    let steps: Vec<Value> = [(10, "6m"), (30, "6m"), (60, "8m")]
        .iter()
        .flat_map(|(weight, pause)| {
            [
                json!({"setWeight": weight}),
                json!({"pause": {"duration": pause}}),
            ]
        })
        .collect();
    let metric = |name: &str, condition: &str, query: &str| {
        json!({
            "name": name, "interval": "60s", "successCondition": condition, "failureLimit": 2,
            "provider": {"prometheus": {"address": "http://prometheus", "query": query}},
        })
    };
    vec![
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
            "metadata": {"name": "healthy"},
            "spec": {"metrics": [
                metric(
                    "errors", "result[0] < 0.02",
                    "sum(rate(http_requests_total{code=~\"5..\"}[2m])) / sum(rate(http_requests_total[2m]))",
                ),
                metric(
                    "latency", "result[0] < 0.5",
                    "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[2m])))",
                ),
            ]},
        }),
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "demo"},
            "spec": {
                "replicas": 10,
                "selector": {"matchLabels": {"app": "demo"}},
                "strategy": {"canary": {
                    "analysis": {"templates": [{"templateName": "healthy"}]},
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

fn scenario() -> Scenario {
    serde_json::from_value(json!({
        "traffic": {
            "requests": 100, "noise": "poisson",
            "stable": {"errors": 0.002, "latency": {"p50": "80ms", "p99": "300ms"}},
            "release": {"errors": 0.004},
        },
    }))
    .expect("a scenario")
}

fn runs(criterion: &mut Criterion) {
    let (objects, scenario) = (objects(), scenario());
    let prepared = Prepared::new(&objects, &scenario, &Store::new()).expect("it plays");
    let play = prepared.play(0);
    assert!(
        (36..=44).contains(&play.totals.measurements),
        "about 40 measurements, not {}: {:?}",
        play.totals.measurements,
        play.timeline
    );
    let mut seed = 0;
    let mut next = || {
        seed += 1;
        seed
    };
    criterion.bench_function("outcome of a run", |bencher| {
        bencher.iter(|| prepared.outcome(next()));
    });
    criterion.bench_function("play of a run", |bencher| {
        bencher.iter(|| prepared.play(next()));
    });
    criterion.bench_function("play without preparation", |bencher| {
        bencher.iter(|| rollproof::sim::play::play(&objects, &scenario));
    });
}

/// As `rollproof whatif` plays them, with all that is done once.
fn many_runs(criterion: &mut Criterion) {
    let (objects, scenario, traces) = (objects(), scenario(), Store::new());
    let variant = Variant {
        objects: &objects,
        scenario: &scenario,
        traces: &traces,
    };
    let mut seed = 0;
    let mut group = criterion.benchmark_group("on two threads");
    group.sample_size(10);
    group.bench_function("1,000 runs", |bencher| {
        bencher.iter(|| {
            seed += 1;
            let effort = Effort {
                runs: 1_000,
                seed,
                threads: 2,
                stop: &AtomicBool::new(false),
                progress: &|| {},
            };
            play_all(&[variant], &[], &effort)
        });
    });
    group.finish();
}

criterion_group!(benches, runs, many_runs);
criterion_main!(benches);
