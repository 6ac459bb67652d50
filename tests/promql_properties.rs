//! Properties of the PromQL engine on damaged queries: nothing panics, and what is printed is
//! read back as the same.

use proptest::prelude::*;
use rollproof::promql::eval::{Sample, SampleValue};
use rollproof::promql::labels::Labels;
use rollproof::promql::{Engine, Recall, Settings, Store, Value, notation, parse, printer};

const QUERIES: &[&str] = &[
    "sum by (pod)(rate(x_total{code!~\"5..\"}[5m] offset 1m)) / on(pod) group_left(zone) sum(rate(x_total[5m]))",
    "histogram_quantile(0.99, sum by (le)(rate(b_bucket[5m:30s] @ end())))",
    "topk(3, h </ 2.5) or (g >/ -1) unless on() vector(time() % 60)",
    "avg_over_time(g[1m+30s:step()]) atan2 -2 ^ 3 ^ 0x1F",
    "label_replace(g, \"dst\", \"${1}-$2\", \"pod\", \"(.)(.*)\") == bool 1e3",
    "rate(x_total[max_of(5m, range())] anchored) + increase(x_total[2m] smoothed)",
    "count_values without (pod) (\"v\", {\"a b\"=~\"c|\", __name__=\"g\"})",
    "info(rate(x_total[2m]), {__name__=~\".+_info\"}) + ignoring(a) fill_left(0) fill_right(-Inf) g",
    "predict_linear(g[10m:1m], 3600) < 5 and absent_over_time(nope[1h])",
    "quantile(0.5, histogram_fraction(-Inf, 1, h)) + -limit_ratio(-0.5, g) # comment",
    "sort_desc(double_exponential_smoothing(g[5m], 0.5, 0.1)) - scalar(g{pod='a'}) * day_of_week()",
    "histogram_quantiles(h, \"q\", 0, 0.5, 1) + stddev_over_time(rate(h[3m])[10m:])",
];

/// Aggregations and selectors whose series are remembered from query to query.
const REPEATED: &[&str] = &[
    "sum(rate(x_total{code=~\"5..\"}[2m])) / sum(rate(x_total[2m]))",
    "histogram_quantile(0.9, sum by (le) (rate(b_bucket[2m])))",
    "sum by (pod, zone) (increase({pod!=\"b\",__name__=~\".+\"}[1m])) or sum by (pod) (x_total)",
    "avg by (__name__, pod) (last_over_time({pod=~\"a|c\"}[3m]))",
    "max without (pod) (delta({__name__=~\".+\"}[2m])) + on(code) group_right() count without (pod) (x_total)",
    "sum by (pod) (sum by (pod) (rate(x_total[1m]))) > topk by (pod) (1, g)",
    "sum by (v) (count_values by (pod) (\"v\", g))",
    "rate(x_total[2m:30s]) - rate({__name__=\"x_total\"}[2m])",
    "quantile by (code) (0.5, irate({__name__=~\"x.*|g\"}[2m] offset 15s))",
    "rate(x_total[2m]) + on(pod, code) group_left() sum by (pod, code) (increase(x_total[1m]))",
    "stddev without (code) (delta(x_total[5m])) or -avg by (pod) (max_over_time(x_total[1m]))",
];

const PIECES: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "@",
    "-",
    "+",
    "/",
    "*",
    "^",
    "==",
    "</",
    " by ",
    " offset ",
    "5m",
    "1e308",
    "9223372036854775807",
    "-0.0",
    "NaN",
    "Inf",
    "\"\\x",
    "'",
    "`",
    "#",
    "é",
    "start()",
    "sum",
    "rate",
    "h",
    "g",
    "0",
    "[1ms:1ms]",
    " bool ",
    " on ",
    "9999999999y",
    "\u{10ffc5}",
    "\n",
];

fn store() -> Store {
    let mut store = Store::new();
    let script = "load 30s
        x_total{pod=\"a\",code=\"200\"} 0+5x10 3+2x10 stale 7
        x_total{pod=\"b\",code=\"503\"} 1e300 2 NaN Inf _ 5
        g{pod=\"a\"} 1 -2 3.5 NaN -Inf 4x15
        g{pod=\"b\",zone=\"z\"} 5x20
        b_bucket{le=\"1\"} 0+1x20
        b_bucket{le=\"5\"} 0+9x20
        b_bucket{le=\"10\"} 0+4x20
        b_bucket{le=\"+Inf\"} 0+10x20
        h{pod=\"a\"} {{schema:1 count:12 sum:8 z_bucket:2 z_bucket_w:0.1 buckets:[1 2 3] n_buckets:[4]}}x9
        h{pod=\"b\"} {{schema:-53 count:5 sum:NaN custom_values:[1 2] buckets:[1 2 2]}}+{{schema:-53 count:1 sum:1 custom_values:[1 2] buckets:[1]}}x9
        h{pod=\"c\"} 1 {{schema:3 count:2 sum:1 offset:-5 buckets:[1 0 0 1] counter_reset_hint:gauge}}x5 2
        target_info{instance=\"i\",job=\"j\",version=\"v1\"} 1x20
";
    notation::load(&mut store, script).expect("a good script");
    store
}

/// What a result holds at a time, as text, sorted.
fn at_time(value: Value, time: i64) -> Vec<String> {
    let mut found: Vec<String> = match value {
        Value::Vector(samples) => {
            let text = |sample: &Sample| format!("{} {:?}", sample.labels, sample.value);
            samples.iter().map(text).collect()
        }
        Value::Matrix(series) => series
            .iter()
            .flat_map(|one| {
                let floats = one.floats.iter().filter(|point| point.time == time);
                floats.map(|point| format!("{} {:?}", one.labels, SampleValue::Float(point.value)))
            })
            .collect(),
        Value::Scalar(_) | Value::String(_) => Vec::new(),
    };
    found.sort();
    found
}

/// One damage: at a place, cut some bytes and put a piece.
fn damage(query: &str, place: usize, cut: usize, piece: usize) -> String {
    let chars: Vec<char> = query.chars().collect();
    let place = place % (chars.len() + 1);
    let end = (place + cut).min(chars.len());
    let head: String = chars[..place].iter().collect();
    let tail: String = chars[end..].iter().collect();
    let piece = PIECES
        .get(piece % (PIECES.len() + 1))
        .copied()
        .unwrap_or("");
    format!("{head}{piece}{tail}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn damaged_queries_do_not_panic(
        first in 0..QUERIES.len(),
        second in 0..QUERIES.len(),
        operator in 0..5usize,
        damages in prop::collection::vec((any::<usize>(), 0..12usize, any::<usize>()), 0..4),
    ) {
        let joined = match operator {
            0 => format!("{} or ({})", QUERIES[first], QUERIES[second]).replace("# comment", ""),
            _ => QUERIES[first].to_owned(),
        };
        let query = damages.iter().fold(joined, |query, (place, cut, piece)| damage(&query, *place, *cut, *piece));
        if let Ok(expr) = parse(&query) {
            let printed = expr.to_string();
            let again = parse(&printed);
            prop_assert!(again.is_ok(), "{query} printed as {printed}: {again:?}");
            prop_assert_eq!(again.map(|expr| expr.to_string()), Ok(printed.clone()));
            let pretty = printer::pretty(&expr);
            prop_assert_eq!(parse(&pretty).map(|expr| expr.to_string()), Ok(printed));
            let store = store();
            let settings = Settings { max_work: 2_000_000, ..Settings::promqltest() };
            for settings in [settings, Settings { delayed_name_removal: false, ..settings }] {
                let engine = Engine::new(settings);
                let _ = engine.instant(&store, &expr, 300_000);
                let _ = engine.instant(&store, &expr, i64::MIN);
                let _ = engine.range(&store, &expr, 0, 600_000, 45_000);
                let _ = engine.range(&store, &expr, i64::MIN, i64::MAX, 1);
            }
        }
    }

    #[test]
    fn any_text_parses_or_not(text in "\\PC{0,60}") {
        let _ = parse(&text);
        let _ = notation::parse_series(&text);
    }

    #[test]
    fn any_series_line_is_read_or_not(
        items in prop::collection::vec("(_|stale|[-+]?[0-9.e]{1,4}|\\{\\{[a-z_]{1,8}:[-0-9]{1,3}( buckets:\\[[0-9 ]{0,9}\\])?\\}\\})(x[0-9]{1,2})?", 0..6)
    ) {
        let line = format!("load 1m\n m{{a=\"b\"}} {}", items.join(" "));
        let mut store = Store::new();
        let _ = notation::load(&mut store, &line);
        let expr = parse("sum(rate(m[5m])) + histogram_quantile(0.5, m)").expect("a query");
        let _ = Engine::default().range(&store, &expr, 0, 600_000, 60_000);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn what_is_remembered_changes_no_result(
        batches in prop::collection::vec(
            (
                prop::collection::vec((0..3usize, 0..4usize, 0..4usize, 0..6u8), 0..8),
                0..30u8,
                any::<bool>(),
                prop::bool::weighted(0.1),
            ),
            1..12,
        ),
    ) {
        let names = ["x_total", "b_bucket", "g"];
        let (pods, others) = (["a", "b", "c", ""], ["200", "503", "+Inf", ""]);
        let mut store = Store::new();
        let mut recall = Recall::default();
        for (number, (samples, drop, delayed, started)) in batches.into_iter().enumerate() {
            let time = number as i64 * 15_000;
            for (name, pod, other, value) in samples {
                let labels = Labels::new([
                    ("__name__", names[name]),
                    ("pod", pods[pod]),
                    (["code", "le", "zone"][name], others[other]),
                ]);
                let value = match value {
                    0 => rollproof::promql::series::stale_marker(),
                    1 => f64::NAN,
                    2 => 1.0,
                    value => f64::from(value) * number as f64,
                };
                let start = if started { time - 20_000 } else { 0 };
                let _ = store.append_float(&labels, start, time, value);
            }
            if drop == 0 {
                store.clear();
            } else if drop < 5 {
                store.drop_before(time - 30_000);
            }
            let settings = Settings {
                delayed_name_removal: delayed,
                use_start_timestamps: started,
                ..Settings::default()
            };
            let engine = Engine::new(settings);
            for query in REPEATED.iter().chain(QUERIES) {
                let expr = parse(query).expect("a query");
                let alone = engine.instant(&store, &expr, time + 5_000);
                let again = engine.instant_recalling(&store, &expr, time + 5_000, Some(&mut recall));
                // As text, in which NaN is equal to itself.
                prop_assert_eq!(format!("{alone:?}"), format!("{again:?}"), "{}", query);
            }
            // One time alone goes other ways than several.
            for query in REPEATED {
                let expr = parse(query).expect("a query");
                let at = time + 5_000;
                let once = engine.instant(&store, &expr, at).map(|outcome| at_time(outcome.value, at));
                let several = engine.range(&store, &expr, at - 15_000, at, 15_000);
                if let (Ok(once), Ok(several)) = (once, several) {
                    prop_assert_eq!(once, at_time(several.value, at), "{}", query);
                }
            }
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [
        ("(", ")"),
        ("-", ""),
        ("abs(", ")"),
        ("1+", ""),
        ("sum(", ")"),
    ] {
        let text = format!("{}x{}", open.repeat(100_000), close.repeat(100_000));
        assert!(parse(&text).is_err(), "{open}");
    }
    let chain = vec!["x"; 10_000].join(" + ");
    assert!(parse(&chain).is_err());
    // What is accepted can also be printed and evaluated.
    for text in [
        vec!["g"; 115].join(" or "),
        format!("{}g{}", "-(".repeat(39), ")".repeat(39)),
    ] {
        let expr = parse(&text).expect("not too deep");
        assert_eq!(
            parse(&printer::pretty(&expr)).map(|expr| expr.to_string()),
            Ok(text)
        );
        assert!(Engine::default().instant(&store(), &expr, 300_000).is_ok());
    }
}
