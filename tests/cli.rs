//! The command as users call it: outputs, exit codes, errors with places.

use std::path::Path;
use std::process::{Command, Output};

const K8S: &str = "fixtures/examples/checkout/k8s";
const BAD: &str = "fixtures/examples/checkout/scenarios/bad-release.yaml";
const GOOD: &str = "fixtures/examples/checkout/scenarios/good-release.yaml";
const TRAFFIC: &str = "fixtures/examples/checkout/scenarios/traffic.yaml";

fn rollproof(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rollproof"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("COLUMNS")
        .output()
        .expect("the command starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A scenario of the test's own, in the folder for temporary files.
fn scenario(name: &str, text: &str) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).expect("scenario written");
    path.display().to_string()
}

/// The picture in the README is what its first command prints. ROLLPROOF_UPDATE=1 draws it anew.
#[test]
fn the_readme_shows_what_is_printed() {
    let output = rollproof(&["simulate", K8S, "--scenario", BAD]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).expect("a README");
    let (before, rest) = readme.split_once("\n```text\n").expect("a picture");
    let (shown, after) = rest.split_once("\n```\n").expect("its end");
    let printed = stdout(&output);
    if std::env::var_os("ROLLPROOF_UPDATE").is_some() {
        let readme = format!("{before}\n```text\n{}\n```\n{after}", printed.trim_end());
        std::fs::write(&path, readme).expect("README written");
        return;
    }
    assert_eq!(shown, printed.trim_end());
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let arguments = ["simulate", K8S, "--scenario", GOOD, "--format", "json"];
    let (first, second) = (rollproof(&arguments), rollproof(&arguments));
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    assert_eq!(first.stdout, second.stdout);
    let plays: serde_json::Value = serde_json::from_slice(&first.stdout).expect("JSON");
    assert_eq!(
        plays.pointer("/0/outcome/verdict"),
        Some(&"promoted".into())
    );
}

/// Queries are judged on traffic, and what came of the requests is told.
#[test]
fn traffic_stands_in_for_scripts() {
    let output = rollproof(&["test", K8S, "--scenario", TRAFFIC]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let output = rollproof(&["simulate", K8S, "--scenario", TRAFFIC]);
    insta::assert_snapshot!(stdout(&output));
}

/// A recorded trace, whose release was five minutes after its start.
#[test]
fn traces_stand_in_for_scripts() {
    let series = "load 15s
  istio_requests_total{destination_service_name=\"checkout-canary\",response_code=\"200\"} 0+90x200
  istio_requests_total{destination_service_name=\"checkout-canary\",response_code=\"503\"} 0+10x200
";
    scenario("recorded.promtool", series);
    let text = "metrics: {p99-seconds: [0.2]}
traces: [{file: recorded.promtool, releaseAt: +5m}]
expect: [{aborted: true, message: success-rate}]
";
    let path = scenario("traces.yaml", text);
    let output = rollproof(&["simulate", K8S, "--scenario", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let shown = stdout(&output);
    assert!(
        shown.contains("success-rate = [0.8999999999999999] Failed"),
        "{shown}"
    );

    let path = scenario("lost.yaml", "traces: [{file: nowhere.csv}]\n");
    let output = rollproof(&["simulate", K8S, "--scenario", &path]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("nowhere.csv"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_manifest_alone_gets_an_answer() {
    let output = rollproof(&["simulate", K8S]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stdout(&output).contains("outcome   promoted"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn a_moment_is_explained() {
    let output = rollproof(&["simulate", K8S, "--scenario", BAD, "--explain", "1m20s"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("because"), "{}", stdout(&output));
}

#[test]
fn tests_pass_or_fail_with_their_place() {
    let output = rollproof(&["test", K8S, "--scenario", BAD, "--scenario", GOOD]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(
        stdout(&output).ends_with("3 of 3 scenarios passed\n"),
        "{}",
        stdout(&output)
    );

    let wrong = scenario("wrong.yaml", "about: wrong\nexpect:\n- phase: Degraded\n");
    let output = rollproof(&["test", K8S, "--scenario", &wrong]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stdout(&output)
            .contains("wrong.yaml:3:3: expected at the end: phase Degraded; found phase Healthy"),
        "{}",
        stdout(&output)
    );

    let output = rollproof(&["test", K8S, "--scenario", &wrong, "--format", "junit"]);
    assert!(
        stdout(&output).contains("<failure message="),
        "{}",
        stdout(&output)
    );
}

#[test]
fn a_scenario_with_mistakes_is_refused_with_places() {
    let text = "events:\n- at: 1m\n- abort: true\nexpect:\n- phase: Great\n- {}\n";
    let path = scenario("mistakes.yaml", text);
    let output = rollproof(&["simulate", K8S, "--scenario", &path]);
    assert_eq!(output.status.code(), Some(2));
    let shown = stderr(&output);
    for wanted in [
        "mistakes.yaml:2:",
        "nothing happens",
        "no time",
        "never in the phase",
        "nothing is expected",
    ] {
        assert!(shown.contains(wanted), "{wanted} in {shown}");
    }
}

#[test]
fn a_refused_rollout_is_a_finding() {
    let rollout = "apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  strategy: {blueGreen: {activeService: nowhere}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: web}]}
";
    let path = scenario("refused.yaml", rollout);
    let output = rollproof(&["simulate", &path]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(
        stdout(&output).contains("service \"nowhere\" not found"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn wrong_use_has_its_exit_code() {
    for arguments in [
        &["simulate"][..],
        &["simulate", "no/such/file.yaml"],
        &["simulate", K8S, "--until", "soon"],
        &["simulate", K8S, "--rollout", "nobody"],
        &["no-such-command"],
    ] {
        let output = rollproof(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}
