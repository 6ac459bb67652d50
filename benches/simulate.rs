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

criterion_group!(benches, canary);
criterion_main!(benches);
