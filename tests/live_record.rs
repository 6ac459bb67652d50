//! A recording is decided again with the same outcome, unless something in it is changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const ROLLOUT: &str = r#"
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: checked}
spec:
  args:
  - name: token
    valueFrom: {secretKeyRef: {name: planted, key: value}}
  metrics:
  - name: errors
    interval: 10s
    count: 3
    successCondition: result[0] < 0.05
    provider:
      prometheus:
        address: http://prometheus:9090
        query: errors{token="{{args.token}}"}
        headers: [{key: X-Api-Key, value: plain-header-token}]
---
apiVersion: v1
kind: Secret
metadata: {name: planted}
stringData: {value: p1anted-s3cret}
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: demo}
spec:
  replicas: 4
  selector: {matchLabels: {app: demo}}
  template:
    metadata: {labels: {app: demo}}
    spec: {containers: [{name: c, image: "app:v1"}]}
  strategy:
    canary:
      steps:
      - setWeight: 25
      - analysis: {templates: [{templateName: checked}]}
      - experiment:
          duration: 20s
          templates: [{name: canary, specRef: canary}]
      - setWeight: 50
      - pause: {duration: 1m}
"#;

fn rollproof(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rollproof"))
        .args(arguments)
        .output()
        .unwrap()
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("rollproof-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Simulates, and gives the folder and the file of the recording.
fn record(name: &str) -> (PathBuf, PathBuf) {
    let folder = folder(name);
    let manifests = folder.join("rollout.yaml");
    fs::write(&manifests, ROLLOUT).unwrap();
    let recording = folder.join("recording");
    let simulated = rollproof(&[
        "simulate",
        manifests.to_str().unwrap(),
        "--record",
        recording.to_str().unwrap(),
    ]);
    let said = String::from_utf8_lossy(&simulated.stderr);
    assert!(simulated.status.success(), "{said}");
    let file = recording.join("decisions-00000001.jsonl");
    (recording, file)
}

fn replay(recording: &Path) -> (Option<i32>, String, String) {
    let replayed = rollproof(&["replay", recording.to_str().unwrap()]);
    (
        replayed.status.code(),
        String::from_utf8(replayed.stdout).unwrap(),
        String::from_utf8(replayed.stderr).unwrap(),
    )
}

#[test]
fn a_simulation_is_decided_again_alike() {
    let (recording, file) = record("alike");
    let (code, said, errors) = replay(&recording);
    assert_eq!(code, Some(0), "{said}{errors}");
    assert!(said.ends_with("objects: the same again\n"), "{said}");
    assert!(!said.contains("hang on"), "{said}");
    let lines = fs::read_to_string(&file).unwrap();
    println!(
        "{} lines, {} bytes: {said}",
        lines.lines().count(),
        lines.len()
    );
    for kind in ["Rollout", "AnalysisRun", "Experiment"] {
        let decided = format!("{{\"decided\":{{\"kind\":\"{kind}\"");
        assert!(lines.contains(&decided), "no decision on a {kind}");
    }
    for secret in ["p1anted-s3cret", "plain-header-token"] {
        assert!(!lines.contains(secret), "{secret}");
    }
    fs::remove_dir_all(recording.parent().unwrap()).unwrap();
}

#[test]
fn a_changed_decision_is_shown() {
    let (recording, file) = record("changed");
    let lines = fs::read_to_string(&file).unwrap();
    // The last decision that scales something.
    let at = lines
        .rfind("\"spec.replicas\"")
        .or_else(|| lines.rfind("\"wake_at\":\"2"));
    let at = at.map(|at| at + lines[at..].find(|c: char| c.is_ascii_digit()).unwrap());
    let at = at.expect("a decision with a number");
    let digit = if &lines[at..=at] == "9" { "8" } else { "9" };
    let changed = format!("{}{digit}{}", &lines[..at], &lines[at + 1..]);
    assert_eq!(changed.len(), lines.len());
    fs::write(&file, changed).unwrap();
    let (code, said, errors) = replay(&recording);
    println!("{said}{errors}");
    assert_eq!(code, Some(1));
    assert!(said.contains("recorded  ") && said.contains("now       "));
    assert!(said.ends_with("1 decision otherwise\n"), "{said}");
    fs::remove_dir_all(recording.parent().unwrap()).unwrap();
}

#[test]
fn what_cannot_be_read_is_no_recording() {
    let (recording, file) = record("unreadable");
    let lines = fs::read_to_string(&file).unwrap();
    // The last line of a process that was killed.
    fs::write(&file, &lines[..lines.len() - 10]).unwrap();
    let (code, _, errors) = replay(&recording);
    assert_eq!(code, Some(0));
    assert!(errors.contains("the end is missing"), "{errors}");
    for broken in [
        lines.replacen("\"decision\"", "\"decisions\"", 1),
        lines.replacen("{\"format\":1", "{\"format\":9", 1),
        "no\n".into(),
        lines[lines.find('\n').unwrap() + 1..].to_owned(),
    ] {
        fs::write(&file, broken).unwrap();
        let (code, said, errors) = replay(&recording);
        assert_eq!(code, Some(2), "{said}");
        println!("{errors}");
    }
    fs::remove_file(&file).unwrap();
    let (code, _, errors) = replay(&recording);
    assert_eq!(code, Some(2));
    assert!(errors.contains("there is no recording in"), "{errors}");
    fs::remove_dir_all(recording.parent().unwrap()).unwrap();
}
