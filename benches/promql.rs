//! Instant and range queries over twice 1,000 series of 720 samples at 15 s: counters, and classic
//! buckets. Data and queries are those of the reference engine's benchmark, and like there each
//! round parses its query. Measured is the CPU time of the thread, in which everything runs: the
//! wall clock also counts what else the machine does.

use std::hint::black_box;
use std::time::Duration;

use cpu_time::ThreadTime;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, criterion_group, criterion_main};
use rollproof::promql::labels::Labels;
use rollproof::promql::{Engine, Store, parse};

const SAMPLES: i64 = 720;
const STEP: i64 = 15_000;

/// The time that the thread was on a core.
struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = ThreadTime;
    type Value = Duration;

    fn start(&self) -> ThreadTime {
        ThreadTime::now()
    }

    fn end(&self, start: ThreadTime) -> Duration {
        start.elapsed()
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

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

fn queries(c: &mut Criterion<CpuTime>) {
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
        let expr = || parse(black_box(query)).expect("a query");
        c.bench_function(&format!("instant/{name}"), |b| {
            b.iter(|| engine.instant(&store, &expr(), end).expect("a result"));
        });
        c.bench_function(&format!("range3h15s/{name}"), |b| {
            b.iter(|| {
                let expr = expr();
                engine.range(&store, &expr, 0, end, STEP).expect("a result")
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime).sample_size(10);
    targets = queries
}
criterion_main!(benches);
