//! How much memory stored samples take: bytes asked of the allocator, growth included.

use peak_alloc::PeakAlloc;
use rollproof::promql::Store;
use rollproof::promql::labels::Labels;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The most bytes held while `series` series get `samples` samples each, scrape after scrape, and
/// the bytes held in the end.
fn load(series: usize, samples: i64, time: impl Fn(i64, usize) -> i64) -> (usize, usize) {
    let labels: Vec<Labels> = (0..series)
        .map(|s| {
            Labels::new([
                ("__name__", "http_requests_total".to_owned()),
                ("code", ["200", "404", "503"][s % 3].to_owned()),
                ("job", "podinfo".to_owned()),
                ("pod", format!("podinfo-{:04}", s / 3)),
            ])
        })
        .collect();
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let mut store = Store::new();
    for i in 0..samples {
        for (s, labels) in labels.iter().enumerate() {
            store
                .append_float(labels, 0, time(i, s), (i * 3 + s as i64) as f64)
                .expect("samples in order");
        }
    }
    let held = ALLOCATOR.current_usage() - before;
    let peak = ALLOCATOR.peak_usage() - before;
    assert_eq!(store.sample_count(), series * samples as usize);
    (peak, held)
}

/// One test, because the allocator counts for all threads.
#[test]
fn ten_million_samples_stay_under_200_megabytes() {
    // 10 million with scrape times that jitter by some milliseconds, and a tenth of that with the
    // shapes that take less and more.
    let jitter = |i: i64, s: usize| i * 15_000 + (i * 31 + s as i64 * 17) % 25;
    let regular = |i: i64, _: usize| i * 15_000;
    let beyond_49_days = |i: i64, s: usize| i * 15_000_000 + (i * 31 + s as i64 * 17) % 25;
    for (shape, (peak, held), millions) in [
        ("jittered", load(1_000, 10_000, jitter), 10.0),
        ("regular", load(1_000, 1_000, regular), 1.0),
        (
            "jittered, 173 days",
            load(1_000, 1_000, beyond_49_days),
            1.0,
        ),
        ("short series", load(10_000, 100, jitter), 1.0),
        ("one series", load(1, 1_000_000, jitter), 1.0),
    ] {
        let bytes = |n: usize| n as f64 / (millions * 1e6);
        println!(
            "{shape}: {:.1} bytes a sample, {:.1} at the peak",
            bytes(held),
            bytes(peak)
        );
        // A column that grows is held twice for a moment, which counts where there is but one.
        let counted = if shape == "one series" { held } else { peak };
        assert!(bytes(counted) < 20.0, "{shape}: {counted} bytes");
    }
}
