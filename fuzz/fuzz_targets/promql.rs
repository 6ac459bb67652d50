//! Queries, well-formed or not, on a few random series: a result or an error, never a panic; what
//! is printed parses again to the same text.
//!
//! `cargo +nightly fuzz run promql`

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use rollproof::promql::ast::{AggregateOp, Expr, ValueType};
use rollproof::promql::diagnose::{Asked, explain_empty};
use rollproof::promql::functions::FUNCTIONS;
use rollproof::promql::histogram::{Bucket, CUSTOM_SCHEMA, Histogram, ResetHint};
use rollproof::promql::labels::Labels;
use rollproof::promql::query_time::Extent;
use rollproof::promql::series::stale_marker;
use rollproof::promql::{Engine, Settings, Store, http_api, parse, printer};

const NAMES: [&str; 5] = ["a", "b_total", "c_bucket", "h", "target_info"];
const LABELS: [&str; 4] = ["le", "job", "instance", "x y"];
const VALUES: [&str; 6] = ["", "1", "0.5", "+Inf", "a", "b"];
const DURATIONS: [&str; 8] = ["1ms", "15s", "1m", "5m", "1h", "0s", "step()", "(1m + 30s)"];
const OPERATORS: [&str; 18] = [
    "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "</", ">/", "and",
    "or", "unless",
];
const MATCHINGS: [&str; 9] = [
    "",
    "bool",
    "on (job)",
    "ignoring (job, le)",
    "on (job) group_left (instance)",
    "ignoring (le) group_right ()",
    "on () fill (1)",
    "fill_left (0)",
    "fill_right (NaN) ",
];
const MODIFIERS: [&str; 8] = [
    "",
    " offset 1m",
    " offset -5m",
    " @ 60",
    " @ start()",
    " @ end() offset 15s",
    " anchored",
    " smoothed",
];
const NUMBERS: [&str; 12] = [
    "0", "1", "-1", "0.5", "2", "NaN", "Inf", "-Inf", "1e300", "5e-324", "0x1F", "1h",
];
const DEPTH_MAX: u32 = 5;
/// Milliseconds between samples.
const INTERVAL: i64 = 15_000;

#[derive(Arbitrary, Debug)]
enum Point {
    Missing,
    Stale,
    Small(i8),
    Float(f64),
    Histogram(GivenHistogram),
}

#[derive(Arbitrary, Debug)]
struct GivenHistogram {
    schema: u8,
    hint: u8,
    zero: u8,
    sum: i16,
    positive: Vec<(i8, u8)>,
    negative: Vec<(i8, u8)>,
}

#[derive(Debug)]
struct Case {
    query: String,
    /// Made by the grammar below, hence of the right syntax.
    series: Vec<([u8; 5], Vec<Point>)>,
    at: i16,
    length: u8,
    step: u8,
    features: u8,
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let query = if u.ratio(1, 8)? {
            String::arbitrary(u)?
        } else {
            expression(u, ValueType::Vector, 0)?
        };
        let mut series = Vec::new();
        for _ in 0..u.int_in_range(0..=6)? {
            let mut points = Vec::new();
            for _ in 0..u.int_in_range(0..=24)? {
                points.push(Point::arbitrary(u)?);
            }
            series.push((u.arbitrary()?, points));
        }
        Ok(Self {
            query,
            series,
            at: u.arbitrary()?,
            length: u.arbitrary()?,
            step: u.arbitrary()?,
            features: u.arbitrary()?,
        })
    }
}

fn pick<'a>(u: &mut Unstructured<'_>, from: &[&'a str]) -> arbitrary::Result<&'a str> {
    u.choose(from).copied()
}

fn selector(u: &mut Unstructured<'_>) -> arbitrary::Result<String> {
    let name = pick(u, &NAMES)?;
    if u.ratio(1, 2)? {
        return Ok(name.to_owned());
    }
    let label = pick(u, &["le", "job", "instance", "\"x y\"", "__name__"])?;
    let op = pick(u, &["=", "!=", "=~", "!~"])?;
    let value = pick(u, &["", "1", "a", ".+", "a|b", "(.*)1"])?;
    Ok(format!("{name}{{{label}{op}\"{value}\"}}"))
}

fn expression(
    u: &mut Unstructured<'_>,
    wanted: ValueType,
    depth: u32,
) -> arbitrary::Result<String> {
    let leaf = depth >= DEPTH_MAX || u.is_empty();
    Ok(match wanted {
        ValueType::String => format!("\"{}\"", pick(u, &["job", "a", "$1", "(.*)", "le", ""])?),
        ValueType::Scalar => match u.int_in_range(0..=if leaf { 0 } else { 3 })? {
            0 => pick(u, &NUMBERS)?.to_owned(),
            1 => format!("scalar({})", expression(u, ValueType::Vector, depth + 1)?),
            2 => pick(u, &["time()", "pi()", "step()", "start()"])?.to_owned(),
            _ => {
                let left = expression(u, ValueType::Scalar, depth + 1)?;
                let right = expression(u, ValueType::Scalar, depth + 1)?;
                format!("({left} {} {right})", pick(u, &OPERATORS[..7])?)
            }
        },
        ValueType::Matrix => {
            let range = pick(u, &DURATIONS)?;
            let modifier = pick(u, &MODIFIERS)?;
            if leaf || u.ratio(2, 3)? {
                format!("{}[{range}]{modifier}", selector(u)?)
            } else {
                let inner = expression(u, ValueType::Vector, depth + 1)?;
                let step = pick(u, &["", "15s", "1m", "7s"])?;
                format!("({inner})[{range}:{step}]{}", pick(u, &MODIFIERS[..6])?)
            }
        }
        ValueType::Vector => match u.int_in_range(0..=if leaf { 0 } else { 4 })? {
            0 => format!("{}{}", selector(u)?, pick(u, &MODIFIERS)?),
            1 => {
                let left = expression(u, ValueType::Vector, depth + 1)?;
                let kind = if u.ratio(1, 3)? {
                    ValueType::Scalar
                } else {
                    ValueType::Vector
                };
                let right = expression(u, kind, depth + 1)?;
                let matching = pick(u, &MATCHINGS)?;
                format!("({left}) {} {matching} ({right})", pick(u, &OPERATORS)?)
            }
            2 => {
                let op = u.choose(&AggregateOp::ALL)?;
                let by = pick(
                    u,
                    &["", "by (job)", "by (le)", "without (le, instance)", "by ()"],
                )?;
                let mut args = String::new();
                if op.has_parameter() {
                    let kind = if *op == AggregateOp::CountValues {
                        ValueType::String
                    } else {
                        ValueType::Scalar
                    };
                    args = format!("{}, ", expression(u, kind, depth + 1)?);
                }
                let inner = expression(u, ValueType::Vector, depth + 1)?;
                format!("{} {by} ({args}{inner})", op.text())
            }
            3 => format!("-({})", expression(u, ValueType::Vector, depth + 1)?),
            _ => {
                let function = u.choose(FUNCTIONS)?;
                let mut args = Vec::new();
                for kind in function.args {
                    args.push(expression(u, *kind, depth + 1)?);
                }
                if function.variadic != 0
                    && let Some(kind) = function.args.last()
                    && u.ratio(1, 2)?
                {
                    args.push(expression(u, *kind, depth + 1)?);
                }
                format!("{}({})", function.name, args.join(", "))
            }
        },
    })
}

fn labels(choice: &[u8; 5]) -> Labels {
    let pick = |from: &[&'static str], at: u8| from[usize::from(at) % from.len()];
    let [name, values @ ..] = choice;
    let named = std::iter::once(("__name__", pick(&NAMES, *name)));
    let labelled = LABELS
        .into_iter()
        .zip(values.iter().map(|at| pick(&VALUES, *at)));
    Labels::new(named.chain(labelled))
}

fn histogram(given: &GivenHistogram) -> Histogram {
    let custom = given.schema % 4 == 3;
    let side = |buckets: &[(i8, u8)]| -> Vec<Bucket> {
        let mut side: Vec<Bucket> = buckets
            .iter()
            .map(|(index, count)| Bucket {
                index: if custom {
                    i32::from(*index).rem_euclid(4)
                } else {
                    i32::from(*index)
                },
                count: f64::from(*count),
            })
            .collect();
        side.sort_by_key(|bucket| bucket.index);
        side.dedup_by_key(|bucket| bucket.index);
        side
    };
    let positive = side(&given.positive);
    let negative = if custom {
        Vec::new()
    } else {
        side(&given.negative)
    };
    let zero_count = if custom { 0.0 } else { f64::from(given.zero) };
    let buckets = positive.iter().chain(&negative);
    Histogram {
        hint: if given.hint % 4 == 0 {
            ResetHint::Gauge
        } else {
            ResetHint::Unknown
        },
        schema: if custom {
            CUSTOM_SCHEMA
        } else {
            i32::from(given.schema % 13) - 4
        },
        zero_threshold: if custom { 0.0 } else { 0.001 },
        zero_count,
        count: zero_count + buckets.map(|bucket| bucket.count).sum::<f64>(),
        sum: f64::from(given.sum),
        positive,
        negative,
        custom_bounds: if custom {
            [0.5, 1.0, 2.5].into()
        } else {
            [].into()
        },
    }
}

fn store(case: &Case) -> Store {
    let mut store = Store::new();
    for (choice, points) in &case.series {
        let labels = labels(choice);
        for (time, point) in (0..).step_by(INTERVAL as usize).zip(points) {
            // A series given twice keeps what came first.
            let _ = match point {
                Point::Missing => Ok(()),
                Point::Stale => store.append_float(&labels, 0, time, stale_marker()),
                Point::Small(value) => {
                    store.append_float(&labels, time - 1, time, f64::from(*value))
                }
                Point::Float(value) => store.append_float(&labels, 0, time, *value),
                Point::Histogram(given) => {
                    store.append_histogram(&labels, 0, time, histogram(given))
                }
            };
        }
    }
    store
}

fn check_text(query: &str, expr: &Expr) {
    assert!(query.get(expr.span.start..expr.span.end).is_some());
    for printed in [expr.to_string(), printer::pretty(expr)] {
        let again = parse(&printed).unwrap_or_else(|error| panic!("{printed}: {error}"));
        assert_eq!(again.to_string(), expr.to_string());
    }
}

fuzz_target!(|case: Case| {
    let expr = match parse(&case.query) {
        Ok(expr) => expr,
        Err(errors) => {
            assert!(!errors.0.is_empty() && !errors.to_string().is_empty());
            for error in &errors.0 {
                assert!(error.span.start <= error.span.end && error.span.end <= case.query.len());
            }
            return;
        }
    };
    check_text(&case.query, &expr);
    let store = store(&case);
    let engine = Engine::new(Settings {
        delayed_name_removal: case.features & 1 != 0,
        use_start_timestamps: case.features & 2 != 0,
        type_and_unit_labels: case.features & 4 != 0,
        max_samples: 20_000,
        max_work: 2_000_000,
        ..Settings::default()
    });
    let start = i64::from(case.at) * 1000;
    let end = start + i64::from(case.length) * 5_000;
    let step = 1_000 + i64::from(case.step) * 1_000;
    let extent = Extent {
        first: 0,
        last: 24 * INTERVAL,
    };
    let evaluated = [
        (
            engine.instant(&store, &expr, start),
            Asked {
                start,
                end: start,
                step: 0,
            },
        ),
        (
            engine.range(&store, &expr, start, end, step),
            Asked { start, end, step },
        ),
    ];
    for (outcome, asked) in evaluated {
        match outcome {
            Ok(outcome) => {
                let _ = http_api::success(&outcome, asked.end).to_string();
                for finding in explain_empty(&engine, &store, &expr, asked, extent) {
                    assert!(
                        case.query
                            .get(finding.span.start..finding.span.end)
                            .is_some()
                    );
                }
            }
            Err(error) => assert!(!error.message.is_empty()),
        }
    }
});
