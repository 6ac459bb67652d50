//! Instant and range queries over 1,000 series of 720 samples at 15 s.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use rollproof::promql::labels::Labels;
use rollproof::promql::{Engine, Store, parse};

const SAMPLES: i64 = 720;
const STEP: i64 = 15_000;

fn append(store: &mut Store, labels: &Labels, increment: i64, phase: i64) {
    let mut value = 0;
    for i in 0..SAMPLES {
        if (i + phase) % 311 == 310 {
            value = 0;
        }
        store
            .append_float(labels, 0, i * STEP, value as f64)
            .expect("samples in order");
        value += increment + (i * 7 + phase) % 5;
    }
}

fn store() -> Store {
    let mut store = Store::new();
    for s in 0..1000 {
        let code = ["200", "201", "404", "503"][s % 4];
        let pod = format!("podinfo-{:02}", s / 20);
        let path = format!("/p{}", s / 4 % 5);
        let labels = [
            ("__name__", "x"),
            ("job", "podinfo"),
            ("pod", &pod),
            ("code", code),
            ("path", &path),
        ];
        append(
            &mut store,
            &Labels::new(labels),
            1 + s as i64 % 17,
            s as i64,
        );
    }
    let bounds = [
        "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf",
    ];
    for s in 0..1000 {
        let pod = format!("podinfo-{:02}", s / 10);
        let labels = [
            ("__name__", "b_bucket"),
            ("job", "podinfo"),
            ("pod", &pod),
            ("le", bounds[s % 10]),
        ];
        append(
            &mut store,
            &Labels::new(labels),
            3 * (1 + s as i64 % 10),
            s as i64 / 10,
        );
    }
    store.shrink_to_fit();
    store
}

fn queries(c: &mut Criterion) {
    let store = store();
    let engine = Engine::default();
    let end = (SAMPLES - 1) * STEP;
    for (name, query) in [
        ("rate", "sum by (pod)(rate(x[5m]))"),
        (
            "hq",
            "histogram_quantile(0.99, sum by (le)(rate(b_bucket[5m])))",
        ),
        (
            "ratio",
            "sum(rate(x{code!~\"5..\"}[5m])) / sum(rate(x[5m]))",
        ),
    ] {
        let expr = parse(query).expect("a query");
        c.bench_function(&format!("instant/{name}"), |b| {
            b.iter(|| {
                engine
                    .instant(&store, black_box(&expr), end)
                    .expect("a result")
            });
        });
        c.bench_function(&format!("range3h15s/{name}"), |b| {
            b.iter(|| {
                engine
                    .range(&store, black_box(&expr), 0, end, STEP)
                    .expect("a result")
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = queries
}
criterion_main!(benches);
