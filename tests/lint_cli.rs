//! `rollproof lint` as users call it: formats, settings, suppressions, baselines, changes and fixes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// One danger (line 11), one error (line 13).
const TEMPLATE: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  metrics:
    - name: success-rate
      interval: 1m
      count: 5
      failureLimit: 1
      successCondition: len(result) == 0 || result[0] >= 0.95
      provider:
        promtheus:
          address: http://prometheus
          query: up
";

/// A folder of its own for each test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("lint")
        .join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, text).expect("a file");
}

fn lint(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rollproof"))
        .arg("lint")
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

/// Rules found, in order.
fn rules(output: &Output) -> Vec<String> {
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", stdout(output), stderr(output)));
    let findings = report["findings"].as_array().expect("findings");
    findings
        .iter()
        .map(|finding| finding["rule"].as_str().expect("a rule").to_owned())
        .collect()
}

/// The findings in the README are what the command prints. ROLLPROOF_UPDATE=1 writes them anew.
#[test]
fn the_readme_shows_findings() {
    const EXAMPLE: &str = "fixtures/examples/lint/success-rate.yaml";
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let printed = stdout(&lint(root, &[EXAMPLE]));
    let path = root.join("README.md");
    let readme = std::fs::read_to_string(&path).expect("a README");
    let start = format!("```console\n$ rollproof lint {EXAMPLE}\n");
    let (before, rest) = readme.split_once(&start).expect("findings");
    let (shown, after) = rest.split_once("\n```\n").expect("their end");
    if std::env::var_os("ROLLPROOF_UPDATE").is_some() {
        let readme = format!("{before}{start}{}\n```\n{after}", printed.trim_end());
        std::fs::write(&path, readme).expect("README written");
        return;
    }
    assert_eq!(shown, printed.trim_end());
}

#[test]
fn sarif_is_valid() {
    // The schema is not ours to copy: a crate that the tests depend on has it.
    let compiler = Command::new("rustc")
        .arg("-vV")
        .output()
        .expect("rustc starts");
    let compiler = String::from_utf8_lossy(&compiler.stdout).into_owned();
    let host = compiler
        .lines()
        .find_map(|line| line.strip_prefix("host: "));
    // For this platform only: the crates of others may never have been downloaded.
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .args(["--filter-platform", host.expect("a host")])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts");
    let metadata: Value = serde_json::from_slice(&metadata.stdout).expect("metadata");
    let packages = metadata["packages"].as_array().expect("packages");
    let owner = packages
        .iter()
        .find(|package| package["name"] == "serde-sarif");
    let manifest = owner
        .and_then(|package| package["manifest_path"].as_str())
        .expect("its place");
    let schema = Path::new(manifest)
        .with_file_name("src")
        .join("schema.json");
    let mut schema: Value =
        serde_json::from_slice(&std::fs::read(schema).expect("a schema")).expect("JSON");
    // Its pattern of languages has a bracket too many; we name none.
    for owner in ["run", "toolComponent"] {
        let language = schema.pointer_mut(&format!("/definitions/{owner}/properties/language"));
        let language = language.and_then(Value::as_object_mut);
        language.and_then(|it| it.remove("pattern"));
    }
    let validator = jsonschema::validator_for(&schema).expect("a schema");

    let folder = folder("sarif");
    write(&folder, "a file.yaml", TEMPLATE);
    let output = lint(&folder, &["a file.yaml", "--format", "sarif"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let errors: Vec<String> = validator
        .iter_errors(&report)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    let results = report["runs"][0]["results"].as_array().expect("results");
    assert!(!results.is_empty());
    let location = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(location["artifactLocation"]["uri"], "a%20file.yaml");
}

#[test]
fn every_format_names_rule_file_and_line() {
    let folder = folder("formats");
    write(&folder, "t.yaml", TEMPLATE);
    for format in [
        "pretty",
        "json",
        "sarif",
        "junit",
        "github",
        "gitlab",
        "checkstyle",
    ] {
        let output = lint(&folder, &["t.yaml", "--format", format]);
        assert_eq!(output.status.code(), Some(1), "{format}");
        let text = stdout(&output);
        for part in ["unknown-field", "t.yaml", "13"] {
            assert!(text.contains(part), "{format} lacks {part}:\n{text}");
        }
    }
    let github = stdout(&lint(&folder, &["t.yaml", "--format", "github"]));
    assert!(
        github.lines().all(|line| line.starts_with("::")),
        "{github}"
    );
}

#[test]
fn settings_of_the_nearest_file_hold() {
    let folder = folder("settings");
    write(&folder, "k8s/t.yaml", TEMPLATE);
    write(&folder, "old/t.yaml", TEMPLATE);
    write(
        &folder,
        "rollproof.toml",
        "fail_on = \"off\"\n[rules]\nempty-result-passes = \"info\"\n[[overrides]]\nfiles = [\"old/**\"]\nrules = { unknown-field = \"off\", empty-result-passes = \"off\" }\n",
    );
    let output = lint(&folder.join("k8s"), &["t.yaml", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let levels: Vec<(&Value, &Value)> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|finding| (&finding["rule"], &finding["severity"]))
        .filter(|(rule, _)| *rule == "empty-result-passes")
        .collect();
    assert!(
        levels.iter().all(|(_, severity)| *severity == "info"),
        "{levels:?}"
    );
    let old = rules(&lint(&folder, &["old", "--format", "json"]));
    assert!(!old.contains(&"unknown-field".to_owned()), "{old:?}");
}

#[test]
fn mistakes_in_settings_have_their_place() {
    let folder = folder("mistakes");
    write(&folder, "t.yaml", TEMPLATE);
    write(
        &folder,
        "rollproof.toml",
        "max_first_wieght = 3\ntraffic_rps = \"many\"\n[rules]\nno-analsis = \"off\"\noversized-first-weight = \"loud\"\n",
    );
    let output = lint(&folder, &["t.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    for part in [
        "max_first_weight",
        "many",
        "no-analsis",
        "\"off\", \"info\", \"warning\"",
    ] {
        assert!(said.contains(part), "no {part} in\n{said}");
    }
}

#[test]
fn suppressions_hold_where_they_stand() {
    let folder = folder("suppressions");
    let found = |text: &str| {
        write(&folder, "t.yaml", text);
        rules(&lint(&folder, &["t.yaml", "--format", "json"]))
    };
    let both = found(TEMPLATE);
    assert!(both.contains(&"unknown-field".to_owned()), "{both:?}");
    let count = both.len();
    let ignore = "# rollproof: ignore[unknown-field] the webhook renames it";
    let places = [
        TEMPLATE.replace("promtheus:", &format!("promtheus: {ignore}")),
        TEMPLATE.replace(
            "        promtheus:",
            &format!("        {ignore}\n        promtheus:"),
        ),
        format!("{ignore}\n{TEMPLATE}"),
        TEMPLATE.replace(
            "  name: success-rate\nspec",
            "  name: success-rate\n  annotations:\n    rollproof.dev/ignore: unknown-field\nspec",
        ),
    ];
    for text in places {
        let found = found(&text);
        assert!(
            !found.contains(&"unknown-field".to_owned()),
            "{found:?} in\n{text}"
        );
        assert!(
            !found.contains(&"unused-suppression".to_owned()),
            "{found:?} in\n{text}"
        );
        assert!(found.len() < count);
    }
    let elsewhere = TEMPLATE.replace("      count: 5", &format!("      count: 5 {ignore}"));
    assert!(found(&elsewhere).contains(&"unused-suppression".to_owned()));
    let ended = TEMPLATE.replace(
        "promtheus:",
        &format!("promtheus: {ignore} until=2020-01-31"),
    );
    let ended = found(&ended);
    assert!(ended.contains(&"unknown-field".to_owned()), "{ended:?}");
    assert!(
        ended.contains(&"unused-suppression".to_owned()),
        "{ended:?}"
    );
}

#[test]
fn a_baseline_leaves_new_findings() {
    let folder = folder("baseline");
    write(&folder, "t.yaml", TEMPLATE);
    let written = lint(
        &folder,
        &["t.yaml", "--baseline", "base.json", "--write-baseline"],
    );
    assert_eq!(written.status.code(), Some(0), "{}", stderr(&written));
    // Lines may move.
    write(&folder, "t.yaml", &format!("# moved\n\n{TEMPLATE}"));
    let same = lint(
        &folder,
        &["t.yaml", "--baseline", "base.json", "--format", "json"],
    );
    assert_eq!(rules(&same), Vec::<String>::new());
    write(
        &folder,
        "t.yaml",
        &TEMPLATE.replace("      count: 5", "      cuont: 5"),
    );
    let new = lint(
        &folder,
        &["t.yaml", "--baseline", "base.json", "--format", "json"],
    );
    assert_eq!(new.status.code(), Some(1));
    assert!(rules(&new).contains(&"unknown-field".to_owned()));
}

#[test]
fn only_changed_lines_are_judged_on_request() {
    let folder = folder("changed");
    let git = |arguments: &[&str]| {
        Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
            .args(arguments)
            .current_dir(&folder)
            .output()
    };
    if !git(&["init", "-q"]).is_ok_and(|output| output.status.success()) {
        println!("skipped: git is absent");
        return;
    }
    write(&folder, "k8s/t.yaml", TEMPLATE);
    git(&["add", "."]).expect("git");
    git(&["commit", "-qm", "one"]).expect("git");
    let changed = |file: &str| {
        rules(&lint(
            &folder,
            &[file, "--changed-since", "HEAD", "--format", "json"],
        ))
    };
    assert_eq!(changed("k8s"), Vec::<String>::new());
    write(
        &folder,
        "k8s/t.yaml",
        &TEMPLATE.replace("      count: 5", "      cuont: 5"),
    );
    let found = changed("k8s");
    assert_eq!(
        found.iter().filter(|rule| *rule == "unknown-field").count(),
        1,
        "{found:?}"
    );
    write(&folder, "k8s/new.yaml", TEMPLATE);
    assert!(changed("k8s/new.yaml").contains(&"unknown-field".to_owned()));
    let wrong = lint(&folder, &["k8s", "--changed-since", "no-such-branch"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", stderr(&wrong));
    assert!(stderr(&wrong).contains("no-such-branch"));
}

#[test]
fn simulated_counterexamples_can_be_left_out() {
    let folder = folder("demonstrations");
    let rule = rollproof::lint::rules::RULES
        .iter()
        .find(|rule| rule.name == "full-promotion-bypass")
        .expect("a rule");
    write(&folder, "bad.yaml", rule.bad);
    let counterexample = |arguments: &[&str]| {
        let arguments = [&["bad.yaml", "--format", "json"], arguments].concat();
        let output = lint(&folder, &arguments);
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let findings = report["findings"].as_array().expect("findings");
        let mut of_rule = findings.iter().filter(|it| it["rule"] == rule.name);
        of_rule.next().expect("the finding")["counterexample"].clone()
    };
    assert!(counterexample(&[]).is_object());
    assert!(counterexample(&["--no-demonstrations"]).is_null());
    write(&folder, "rollproof.toml", "demonstrations = false\n");
    assert!(counterexample(&[]).is_null());
}
