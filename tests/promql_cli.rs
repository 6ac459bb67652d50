//! `rollproof promql` as users call it.

use std::path::Path;
use std::process::{Command, Output};

const CHECKOUT: &str = "fixtures/promql/checkout.promtool";
const RECORDED: &str = "fixtures/promql/recorded";

fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("COLUMNS");
    command
}

fn promql(arguments: &[&str]) -> Output {
    command(env!("CARGO_BIN_EXE_rollproof"))
        .arg("promql")
        .args(arguments)
        .output()
        .expect("the command starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(arguments: &[&str]) -> serde_json::Value {
    let mut all = arguments.to_vec();
    all.extend(["--format", "json"]);
    let output = promql(&all);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)))
}

fn temporary(name: &str, text: &str) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).expect("a file written");
    path.display().to_string()
}

/// What the commands of a console block print, each line `$ command` followed by its output.
fn played(block: &str) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_rollproof"));
    let folder = binary.parent().expect("a folder").display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut out = String::new();
    for line in block.lines().filter(|line| line.starts_with("$ ")) {
        let output = command("sh")
            .arg("-c")
            .arg(format!("{{ {}; }} 2>&1", &line[2..]))
            .env("PATH", format!("{folder}:{path}"))
            .output()
            .expect("a shell");
        out.push_str(line);
        out.push('\n');
        let text = stdout(&output);
        out.push_str(text.trim_end());
        if !text.trim_end().is_empty() {
            out.push('\n');
        }
    }
    out
}

/// Every example of the page prints what it shows. ROLLPROOF_UPDATE=1 writes it anew.
#[test]
fn the_examples_of_the_page_print_what_it_shows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/promql.md");
    let page = std::fs::read_to_string(&path).expect("the page");
    let update = std::env::var_os("ROLLPROOF_UPDATE").is_some();
    let mut written = String::new();
    let mut rest = page.as_str();
    while let Some((before, after)) = rest.split_once("```console\n") {
        let (block, after) = after.split_once("```\n").expect("the end of a block");
        written.push_str(before);
        let printed = played(block);
        if !update {
            assert_eq!(block, printed);
        }
        written.push_str("```console\n");
        written.push_str(&printed);
        written.push_str("```\n");
        rest = after;
    }
    written.push_str(rest);
    if update {
        std::fs::write(&path, written).expect("the page written");
    }
}

#[test]
fn the_examples_of_the_help_are_accepted() {
    let help = stdout(&promql(&["--help"]));
    let examples: Vec<&str> = help
        .lines()
        .filter_map(|line| line.trim().strip_prefix("rollproof promql "))
        .collect();
    assert!(examples.len() >= 6, "{help}");
    let query = temporary("query.promql", "up\n");
    for example in examples {
        let text = example
            .replace("dump.om", CHECKOUT)
            .replace("a.csv", CHECKOUT);
        let text = text
            .replace("trace.json", CHECKOUT)
            .replace("recorded/", RECORDED);
        let text = text
            .replace("errors.svg", "-")
            .replace("| jq .data.result", "");
        let text = text.replace("query.promql", &query);
        let printed = played(&format!("$ rollproof promql {text}"));
        for wrong in ["error:", "Usage", "No such file"] {
            assert!(!printed.contains(wrong), "{printed}");
        }
    }
}

#[test]
fn all_formats_are_read_as_one_set_of_series() {
    let answer = json(&[
        "count by (__name__) ({__name__=~\".+\"})",
        "--trace",
        RECORDED,
    ]);
    let elements = answer.pointer("/data/result").and_then(|r| r.as_array());
    let names: Vec<&str> = elements
        .into_iter()
        .flatten()
        .filter_map(|element| element.pointer("/metric/__name__")?.as_str())
        .collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        [
            "gateway.temperature",
            "gateway_requests_created",
            "gateway_requests_total",
            "ingress_errors_total",
            "node_load1",
            "orders_total",
            "queue_length",
            "rpc_duration_seconds",
            "up",
        ]
    );
}

#[test]
fn an_answer_can_be_a_trace_again() {
    for query in ["http_requests_total[1h]", "rpc_duration_seconds[1h]"] {
        let trace = if query.starts_with("http") {
            CHECKOUT
        } else {
            RECORDED
        };
        let first = promql(&[query, "--trace", trace, "--format", "json"]);
        let copy = temporary(&format!("{}.json", &query[..4]), &stdout(&first));
        let second = promql(&[query, "--trace", &copy, "--format", "json"]);
        assert_eq!(stdout(&first), stdout(&second));
        assert!(stdout(&first).len() > 1000);
    }
}

#[test]
fn json_has_the_shape_of_the_api() {
    for (arguments, expected) in [
        (
            &["1.5", "--time", "2.5"][..],
            r#"{"status":"success","data":{"resultType":"scalar","result":[2.5,"1.5"]}}"#,
        ),
        (
            &["\"a\""],
            r#"{"status":"success","data":{"resultType":"string","result":[0,"a"]}}"#,
        ),
        (
            &["nothing"],
            r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#,
        ),
        (
            &["vector(1)", "--start", "0", "--end", "30", "--step", "15"],
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[0,"1"],[15,"1"],[30,"1"]]}]}}"#,
        ),
        (
            &["histogram_quantile(2, vector(1))"],
            r#"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["PromQL warning: bucket label \"le\" is missing or has a malformed value of \"\" (1:23)","PromQL warning: quantile value should be between 0 and 1, got 2 (1:20)"]}"#,
        ),
        (
            &["up{"],
            r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:4: parse error: unexpected end of input inside braces"}"#,
        ),
        (
            &["up", "--start", "1", "--end", "0"],
            r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"end\": end timestamp must not be before start time"}"#,
        ),
        (
            &["up[1m]", "--step", "15"],
            r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": invalid expression type \"range vector\" for range query, must be Scalar or instant Vector"}"#,
        ),
        (
            &["vector(1) + on() (label_replace(vector(1), \"a\", \"b\", \"\", \"\") or vector(1))"],
            r#"{"status":"error","errorType":"execution","error":"found duplicate series for the match group {} on the right hand-side of the operation: [{a=\"b\"}, {}];many-to-many matching not allowed: matching labels must be unique on one side"}"#,
        ),
    ] {
        assert_eq!(json(arguments).to_string(), expected, "{arguments:?}");
    }
}

#[test]
fn exit_codes_say_how_it_ended() {
    let trace = ["--trace", CHECKOUT];
    for (arguments, code) in [
        (&["http_requests_total"][..], 0),
        (&["nothing"], 0),
        (&["nothing", "--check"], 1),
        (&["http_requests_total", "--check"], 0),
        (
            &["histogram_quantile(2, http_requests_total)", "--check"],
            1,
        ),
        (&["sum("], 1),
        (&["http_requests_total", "--max-samples", "1"], 1),
        (&["up", "--time", "soon"], 2),
        (&["up", "--step", "0"], 2),
        (&["up", "--start", "+5m", "--time", "1"], 2),
        (&["up", "--trace-format", "excel"], 2),
        (&["up", "--trace", "no/such/file"], 2),
    ] {
        let output = promql(&[arguments, &trace].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
    assert_eq!(promql(&["--fmt", "up  + 1"]).status.code(), Some(0));
    assert_eq!(
        promql(&["--fmt", "--check", "up  + 1"]).status.code(),
        Some(1)
    );
    assert_eq!(
        promql(&["--fmt", "--check", "up + 1"]).status.code(),
        Some(0)
    );
}

#[test]
fn mistakes_in_traces_have_places_and_can_be_passed_over() {
    let trace = temporary(
        "mistakes.om",
        "up 1 1.0\nup x 2.0\nup{a=\"b} 1 3.0\nup 4 4.0\n# EOF\n",
    );
    let output = promql(&["up", "--trace", &trace]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    for wanted in ["mistakes.om:2:4", "mistakes.om:3:1", "--keep-going"] {
        assert!(stderr(&output).contains(wanted), "{}", stderr(&output));
    }
    let output = promql(&["up", "--trace", &trace, "--keep-going"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).ends_with("\n4\n"), "{}", stdout(&output));
}

#[test]
fn settings_change_results() {
    let late = ["http_requests_total", "--trace", CHECKOUT, "--time", "3600"];
    let count = |more: &[&str]| {
        let answer = json(&[&late, more].concat());
        answer
            .pointer("/data/result")
            .and_then(|r| r.as_array())
            .map(Vec::len)
    };
    assert_eq!(count(&[]), Some(0));
    assert_eq!(count(&["--lookback-delta", "1h"]), Some(4));
}

#[test]
fn a_plot_is_drawn_the_same_each_time() {
    let query = "sum by (version) (rate(http_requests_total[2m]))";
    let draw = || stdout(&promql(&[query, "--trace", CHECKOUT, "--plot", "-"]));
    let svg = draw();
    assert_eq!(svg, draw());
    for wanted in [
        "<svg width=\"960\"",
        "prefers-color-scheme: dark",
        "+10m",
        "{version=",
        query,
    ] {
        assert!(svg.contains(wanted), "{wanted}");
    }
    let path = temporary("plot.svg", "");
    let output = promql(&[query, "--trace", CHECKOUT, "--plot", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(&path).expect("a picture"), svg);
}
