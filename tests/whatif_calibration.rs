//! Simulated probabilities against the exact ones of independent requests.
//!
//! As many pods of the release as of the stable version, an analysis of n measurements in its only step. Each
//! measurement looks at the requests since the one before, as differences of counters: `rate()` and
//! `increase()` would not see the first errors of a pod (its series of errors begins with them), and
//! extrapolate. Then the share of failed requests of each measurement is a binomial number over n, the
//! measurements are independent, and the probability of an abort is known.
//!
//! The number of runs is `ROLLPROOF_CALIBRATION_RUNS`, by default 400. Deviations are given in
//! standard deviations of the simulated share.

use std::sync::atomic::AtomicBool;

use rollproof::promql::Store;
use rollproof::sim::scenario::Scenario;
use rollproof::whatif::{Effort, Ending, Variant, play_all};
use serde_json::{Value, json};

/// Share of failed requests that a measurement may see.
const LIMIT: f64 = 0.02;
const SIGMAS: f64 = 4.0;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Setting {
    /// Requests in each interval.
    requests: u32,
    /// True share of failed requests.
    errors: f64,
    count: u32,
    failure_limit: u32,
    noise: &'static str,
    /// Pods of the release.
    pods: u32,
}

fn objects(setting: &Setting) -> Vec<Value> {
    let counter = |code: &str, offset: &str| {
        format!(
            "(sum(http_requests_total{{rollouts_pod_template_hash=\"{{{{args.hash}}}}\"{code}}} {offset}) or vector(0))"
        )
    };
    let errors = ", code=\"500\"";
    let query = format!(
        "({} - {}) / ({} - {})",
        counter(errors, ""),
        counter(errors, "offset 10s"),
        counter("", ""),
        counter("", "offset 10s"),
    );
    vec![
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
            "metadata": {"name": "errors"},
            "spec": {
                "args": [{"name": "hash"}],
                "metrics": [{
                    "name": "errors", "initialDelay": "20s", "interval": "10s",
                    "count": setting.count, "failureLimit": setting.failure_limit,
                    "successCondition": format!("result[0] <= {LIMIT}"),
                    "provider": {"prometheus": {"address": "http://prometheus", "query": query}},
                }],
            },
        }),
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "demo"},
            "spec": {
                "replicas": setting.pods * 2,
                "selector": {"matchLabels": {"app": "demo"}},
                "strategy": {"canary": {
                    "steps": [
                        {"setWeight": 50},
                        {"analysis": {
                            "templates": [{"templateName": "errors"}],
                            "args": [{
                                "name": "hash",
                                "valueFrom": {"podTemplateHashValue": "Latest"},
                            }],
                        }},
                    ],
                }},
                "template": {
                    "metadata": {"labels": {"app": "demo"}},
                    "spec": {"containers": [{"name": "app", "image": "app:v1"}]},
                },
            },
        }),
    ]
}

fn scenario(setting: &Setting) -> Scenario {
    // Half of the requests go to the release.
    let per_second = f64::from(setting.requests) * 2.0 / 10.0;
    serde_json::from_value(json!({
        "until": format!("{}s", 60 + 10 * setting.count),
        "traffic": {
            "requests": per_second, "noise": setting.noise, "scrapeInterval": "10s",
            "stable": {"errors": 0.001},
            "release": {"errors": setting.errors},
        },
    }))
    .expect("a scenario")
}

/// Simulated number of aborts.
fn aborts(settings: &[Setting], runs: u64) -> Vec<u64> {
    let traces = Store::new();
    let parts: Vec<(Vec<Value>, Scenario)> = settings
        .iter()
        .map(|setting| (objects(setting), scenario(setting)))
        .collect();
    let variants: Vec<Variant<'_>> = parts
        .iter()
        .map(|(objects, scenario)| Variant {
            objects,
            scenario,
            traces: &traces,
        })
        .collect();
    let effort = Effort {
        runs,
        seed: 1,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        stop: &AtomicBool::new(false),
        progress: &|| {},
    };
    let tallies = play_all(&variants, &[], &effort).expect("playable");
    let of = |tally: &rollproof::whatif::Tally| {
        let summary = tally.summary();
        let decided = summary.share(Ending::Promoted).count + summary.share(Ending::Aborted).count;
        assert_eq!(
            decided, runs,
            "each run is promoted or aborted: {summary:?}"
        );
        summary.aborted.count
    };
    tallies.variants.iter().map(of).collect()
}

fn ln_choose(n: u32, k: u32) -> f64 {
    let ln_factorial = |n: u32| libm::lgamma(f64::from(n) + 1.0);
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

/// Probability of more than `limit` hits.
fn above(trials: u32, hit: f64, limit: u32) -> f64 {
    (limit.saturating_add(1)..=trials)
        .map(|k| {
            let (hits, rest) = (f64::from(k), f64::from(trials - k));
            (ln_choose(trials, k) + hits * hit.ln() + rest * (-hit).ln_1p()).exp()
        })
        .sum()
}

/// Probability that a measurement fails.
fn measurement_fails(setting: &Setting) -> f64 {
    let with = |requests: u32| {
        // Not more than the limit of them may fail; 2 of 100 are not more than 0.02.
        let allowed = (0..=requests)
            .take_while(|failed| f64::from(*failed) / f64::from(requests) <= LIMIT)
            .last();
        allowed.map_or(1.0, |allowed| above(requests, setting.errors, allowed))
    };
    match setting.noise {
        "binomial" => with(setting.requests),
        // The number of requests is a Poisson number; without requests 0/0 is no success.
        _ => {
            let mean = f64::from(setting.requests);
            let end = (mean + 12.0 * mean.sqrt() + 20.0) as u32;
            (0..=end)
                .map(|n| {
                    let ln = f64::from(n) * mean.ln() - mean - libm::lgamma(f64::from(n) + 1.0);
                    ln.exp() * if n == 0 { 1.0 } else { with(n) }
                })
                .sum()
        }
    }
}

fn exact(setting: &Setting) -> f64 {
    above(
        setting.count,
        measurement_fails(setting),
        setting.failure_limit,
    )
}

fn settings() -> Vec<Setting> {
    let usual = Setting {
        requests: 20,
        errors: 0.01,
        count: 10,
        failure_limit: 0,
        noise: "binomial",
        pods: 1,
    };
    let mut settings = Vec::new();
    for errors in [0.01, 0.005, 0.02, 0.03] {
        for requests in [20, 100, 1000] {
            for failure_limit in [0, 1, 2] {
                settings.push(Setting {
                    requests,
                    errors,
                    failure_limit,
                    ..usual
                });
            }
        }
    }
    for noise in ["binomial", "poisson"] {
        for (count, failure_limit) in [(5, 1), (20, 3)] {
            settings.push(Setting {
                requests: 60,
                count,
                failure_limit,
                noise,
                ..usual
            });
            settings.push(Setting {
                requests: 60,
                count,
                failure_limit,
                noise,
                pods: 3,
                ..usual
            });
        }
        settings.push(Setting {
            requests: 100,
            failure_limit: 1,
            noise,
            ..usual
        });
    }
    settings.dedup();
    settings
}

#[test]
fn simulated_probabilities_are_the_exact_ones() {
    let runs: u64 = std::env::var("ROLLPROOF_CALIBRATION_RUNS")
        .ok()
        .and_then(|runs| runs.parse().ok())
        .unwrap_or(400);
    let settings = settings();
    assert!(settings.len() >= 30);
    let simulated = aborts(&settings, runs);
    let mut within = 0;
    println!("noise     requests errors count limit pods   exact simulated deviation");
    for (setting, aborts) in settings.iter().zip(&simulated) {
        let exact = exact(setting);
        let share = *aborts as f64 / runs as f64;
        let sigma = (exact * (1.0 - exact) / runs as f64).sqrt();
        // Probabilities near 0 or 1: one run more or less is no deviation.
        let deviation = (share - exact) / sigma.max(0.5 / runs as f64);
        println!(
            "{:9} {:8} {:5.1}% {:5} {:5} {:4} {:6.2}% {:8.2}% {:8.2}σ",
            setting.noise,
            setting.requests,
            setting.errors * 100.0,
            setting.count,
            setting.failure_limit,
            setting.pods,
            exact * 100.0,
            share * 100.0,
            deviation
        );
        within += usize::from(deviation.abs() <= SIGMAS);
    }
    println!("whatif_calibration: passed {within} of {}", settings.len());
    assert_eq!(within, settings.len(), "see the table (--nocapture)");
}

/// The orientation that the mathematics gives: 87 % and 27 % false aborts.
#[test]
fn the_exact_probabilities_are_the_known_ones() {
    let setting = settings()[0];
    assert!(
        (exact(&setting) - 0.866).abs() < 1e-3,
        "{}",
        exact(&setting)
    );
    let lenient = Setting {
        failure_limit: 2,
        ..setting
    };
    assert!((exact(&lenient) - 0.27).abs() < 5e-3, "{}", exact(&lenient));
}
