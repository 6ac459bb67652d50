//! `rollproof tune` as users call it: settings that meet the demands, the same for any number of threads,
//! written into the manifests without touching anything else.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const ANALYSIS: &str = "\
# Errors of the release.
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: errors
spec:
  metrics:
    - name: errors # the only one
      interval: 10s
      count: 6
      successCondition: result < 0.5
      provider:
        datadog:
          query: errors
";

const ROLLOUT: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
  replicas: 4
  selector:
    matchLabels: {app: shop}
  strategy:
    canary:
      analysis:
        templates:
          - templateName: errors
      steps:
        - setWeight: 25 # a quarter
        - pause: {duration: 2m}
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers:
        - name: shop
          image: shop:v1
";

const SCENARIO: &str = "\
whatIf:
  healthy:
    measurements: [{failed: 0.05}]
  bad:
    measurements: [{failed: 0.8}]
";

fn workplace(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("k8s")).expect("a folder");
    for (file, text) in [
        ("k8s/analysis.yaml", ANALYSIS),
        ("k8s/rollout.yaml", ROLLOUT),
        ("scenario.yaml", SCENARIO),
    ] {
        std::fs::write(folder.join(file), text).expect("written");
    }
    folder
}

fn tune(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rollproof"))
        .args(["tune", "k8s", "--scenario", "scenario.yaml", "--runs", "12"])
        .args(["--budget", "1"])
        .args(arguments)
        .current_dir(folder)
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

#[test]
fn the_best_settings_are_the_same_for_any_number_of_threads() {
    let folder = workplace("tune-threads");
    let of = |threads| {
        let output = tune(
            &folder,
            &[
                "--max-false-abort",
                "10%",
                "--format",
                "json",
                "--threads",
                threads,
            ],
        );
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output)
    };
    let text = of("1");
    assert_eq!(text, of("2"));
    let found: serde_json::Value = serde_json::from_str(&text).expect("json");
    let number = |value: &serde_json::Value, place: &str| {
        let number = value.pointer(place).and_then(serde_json::Value::as_f64);
        number.unwrap_or_else(|| panic!("no {place} in {value}"))
    };
    // One failed measurement of six stops a healthy release: 1 - 0.95^6 = 26 %.
    let stopped = 1.0 - number(&found, "/present/healthy/promoted/share");
    assert!((0.05..0.65).contains(&stopped), "{stopped}");
    let front = found["front"].as_array().expect("a front");
    assert!(!front.is_empty());
    for pair in front.windows(2) {
        assert!(number(&pair[0], "/seconds") <= number(&pair[1], "/seconds"));
        assert!(number(&pair[0], "/harm") > number(&pair[1], "/harm"));
    }
    for tuned in front {
        assert!(number(tuned, "/healthy/promoted/share") >= 0.9);
        assert!(number(tuned, "/bad/aborted/share") >= 0.95);
    }
    assert!(number(&found, "/plays") <= 3000.0);
}

#[test]
fn settings_are_written_and_comments_kept() {
    let folder = workplace("tune-write");
    let arguments = ["--max-false-abort", "10%", "--write", "--choose", "fastest"];
    let output = tune(&folder, &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("a file");
    let (analysis, rollout) = (read("k8s/analysis.yaml"), read("k8s/rollout.yaml"));
    assert_ne!(
        (analysis.as_str(), rollout.as_str()),
        (ANALYSIS, ROLLOUT),
        "{}",
        stdout(&output)
    );
    assert!(analysis.starts_with("# Errors of the release.\n"));
    assert!(analysis.contains("- name: errors # the only one\n"));
    assert!(rollout.contains("# a quarter\n"));
    let changed = |before: &str, after: &str| {
        let kept = after.lines().filter(|line| before.contains(line));
        after.lines().count() - kept.count()
    };
    assert!(changed(ANALYSIS, &analysis) <= 5, "{analysis}");
    assert!(changed(ROLLOUT, &rollout) <= 2, "{rollout}");
    // What was written is now what is: it is as good as was said.
    let again = tune(&folder, &["--max-false-abort", "10%", "--format", "json"]);
    let found: serde_json::Value = serde_json::from_slice(&again.stdout).expect("json");
    assert_eq!(
        found.pointer("/present/isAllowed"),
        Some(&true.into()),
        "{}",
        stderr(&again)
    );
}

#[test]
fn demands_that_nothing_meets_are_told() {
    let folder = workplace("tune-never");
    let output = tune(&folder, &["--max-false-abort", "0", "--min-detect", "100%"]);
    // Six measurements of a coin that is never sure.
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 1)), "{}", stderr(&output));
    if code == Some(1) {
        assert!(
            stdout(&output).contains("No settings meet the demands"),
            "{}",
            stdout(&output)
        );
    }
    for (arguments, wanted) in [
        (&["--min-detect", "95"][..], "is no share"),
        (&["--choose", "best"], "is none of fastest"),
    ] {
        let output = tune(&folder, arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(wanted), "{}", stderr(&output));
    }
}
