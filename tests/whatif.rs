//! `rollproof whatif` as users call it: the same result for any number of threads, varied values,
//! gates, errors that say what was meant.

#![allow(
    clippy::disallowed_methods,
    reason = "waits for a program to be at work before it is interrupted"
)]

use std::path::Path;
use std::process::{Command, Output};

const K8S: &str = "fixtures/examples/checkout/k8s";
const SCENARIO: &str = "fixtures/examples/checkout/scenarios/whatif.yaml";

fn rollproof(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rollproof"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("COLUMNS")
        .output()
        .expect("the command starts")
}

fn whatif(arguments: &[&str]) -> Output {
    let all = ["whatif", K8S, "--scenario", SCENARIO];
    rollproof(&[&all, arguments].concat())
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", stderr(output)))
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let common = [
        "--runs",
        "40",
        "--detail-runs",
        "3",
        "--format",
        "json",
        "--threads",
    ];
    let one = whatif(&[&common[..], &["1"]].concat());
    let three = whatif(&[&common[..], &["3"]].concat());
    assert_eq!(one.status.code(), Some(0), "{}", stderr(&one));
    assert_eq!(stdout(&one), stdout(&three));
    let study = json(&one);
    assert_eq!(study.pointer("/healthy/runs"), Some(&40.into()));
    let caught = study
        .pointer("/bad/aborted/share")
        .and_then(serde_json::Value::as_f64);
    assert!(caught > Some(0.9), "{caught:?}");
}

#[test]
fn fields_are_varied() {
    let output = whatif(&[
        "--runs",
        "15",
        "--no-suggestions",
        "--format",
        "json",
        "--vary",
        "AnalysisTemplate/success-rate:spec.metrics[0].failureLimit=0,2",
        "--rps",
        "60,600",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let study = json(&output);
    let cells = study
        .pointer("/sweep/cells")
        .and_then(serde_json::Value::as_array);
    let cells = cells.expect("cells");
    assert_eq!(cells.len(), 4);
    let time = |index: usize| {
        cells[index]
            .pointer("/results/bad/secondsToAbort/mean/value")
            .and_then(serde_json::Value::as_f64)
            .expect("a time")
    };
    assert!(time(2) > time(0), "a higher limit takes longer: {cells:?}");
}

#[test]
fn error_rates_are_varied() {
    let arguments = [
        "--runs",
        "15",
        "--no-suggestions",
        "--error-rate",
        "0,0.5",
        "--format",
        "csv",
    ];
    let output = whatif(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let table = stdout(&output);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 5, "{table}");
    assert!(
        lines[0].starts_with("error rate of the release,release,runs,promoted,"),
        "{table}"
    );
    // Without errors some are still stopped, for slow answers or a gap in the metrics.
    let promoted = |line: &str, rate: &str| -> f64 {
        let rest = line.strip_prefix(&format!("{rate},varied,15,"));
        let share = rest.and_then(|rest| rest.split(',').next());
        share.and_then(|share| share.parse().ok()).expect("a share")
    };
    assert!(promoted(lines[3], "0") > 0.5, "{table}");
    assert!(promoted(lines[4], "0.5") == 0.0, "{table}");
}

#[test]
fn gates_fail_the_command() {
    for (gate, code) in [("caught<50%", 0), ("caught>50%", 1)] {
        let output = whatif(&["--runs", "10", "--no-suggestions", "--fail-on", gate]);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{gate}: {}",
            stdout(&output)
        );
    }
}

#[test]
fn mistakes_are_explained() {
    for (arguments, wanted) in [
        (
            &["--vary", "spec.metrics[0].failureLimit=1"][..],
            "several objects have",
        ),
        (
            &["--vary", "spec.strategy.canary.stepz=1"],
            "did you mean `steps`?",
        ),
        (&["--vary", "spec.replicas"], "PATH=v1,v2"),
        (&["--error-rate", "2"], "no share from 0 to 1"),
        (&["--fail-on", "harm>1%"], "false-abort"),
        (&["--runs", "0"], "--runs"),
    ] {
        let output = whatif(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            stderr(&output).contains(wanted),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-traffic.yaml");
    std::fs::write(&path, "{}\n").expect("written");
    let output = rollproof(&["whatif", K8S, "--scenario", &path.display().to_string()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("nothing tells a bad release"),
        "{}",
        stderr(&output)
    );
}

/// Ctrl-C ends the runs, and what was done is told.
#[test]
#[cfg(unix)]
fn what_is_done_is_kept_when_it_is_interrupted() {
    let mut running = Command::new(env!("CARGO_BIN_EXE_rollproof"))
        .args(["whatif", K8S, "--scenario", SCENARIO, "--runs", "10000000"])
        .args(["--format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the command starts");
    std::thread::sleep(std::time::Duration::from_secs(8));
    let told = Command::new("kill")
        .args(["-INT", &running.id().to_string()])
        .status();
    if !told.is_ok_and(|status| status.success()) {
        println!("skipped: nothing here sends signals");
        let _ = running.kill();
        let _ = running.wait();
        return;
    }
    let output = running.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let study = json(&output);
    let runs = study
        .pointer("/healthy/runs")
        .and_then(serde_json::Value::as_u64)
        .expect("runs");
    assert!((1..10_000_000).contains(&runs), "{runs}");
    assert!(study["notes"].to_string().contains("ended early"));
}
