//! `lint --helm` and `lint --kustomize` with the real programs. Each test says so where the program
//! is absent: `helm` of the PATH, or the one that HELM names; `kustomize` or `kubectl` of the PATH.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const TEMPLATE: &str = "\
{{- if .Values.analysis.enabled }}
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: {{ .Release.Name }}-errors
spec:
  metrics:
    - name: errors
      interval: {{ .Values.analysis.interval }}
      cuont: 5
      successCondition: result[0] < 0.05
      provider:
        {{- toYaml .Values.provider | nindent 8 }}
{{- end }}
";

const VALUES: &str = "\
analysis:
  enabled: true
  interval: 30s
provider:
  prometheus:
    address: http://prometheus:9090
    query: sum(rate(errors[1m])
";

/// A folder of its own for each test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("rendering")
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

/// The PATH with the folder of the program that HELM names before all others.
fn path() -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let helm = std::env::var_os("HELM").map(PathBuf::from);
    let first = helm.as_deref().and_then(Path::parent).map(Path::to_owned);
    std::env::join_paths(first.into_iter().chain(std::env::split_paths(&path))).expect("a PATH")
}

fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&path())
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn is_there(program: &str) -> bool {
    find(program).is_some()
}

fn lint(folder: &Path, arguments: &[&str]) -> Output {
    lint_with(path().as_ref(), folder, arguments)
}

/// With the programs of this PATH.
fn lint_with(path: &OsStr, folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rollproof"))
        .arg("lint")
        .args(arguments)
        .current_dir(folder)
        .env("PATH", path)
        .output()
        .expect("the command starts")
}

/// Findings as `rule file:line`, each with its related places as `message file:line`.
fn findings(output: &Output) -> Vec<(String, Vec<String>)> {
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let place = |value: &Value, name: &str| {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        format!("{} {}:{}", text(name), text("file"), value["line"])
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    list(&report["findings"])
        .iter()
        .map(|finding| {
            let related = list(&finding["related"]);
            let related = related.iter().map(|it| place(it, "message")).collect();
            (place(finding, "rule"), related)
        })
        .collect()
}

fn chart(name: &str) -> PathBuf {
    let folder = folder(name);
    write(
        &folder,
        "charts/shop/Chart.yaml",
        "apiVersion: v2\nname: web-shop\nversion: 1.0.0\n",
    );
    write(&folder, "charts/shop/values.yaml", VALUES);
    write(&folder, "charts/shop/templates/analysis.yaml", TEMPLATE);
    folder
}

#[test]
fn findings_point_into_the_chart() {
    if !is_there("helm") {
        println!("skipped: helm is absent; set HELM to the program");
        return;
    }
    let folder = chart("helm");
    let output = lint(&folder, &["--helm", "charts/shop", "--format", "json"]);
    let found = findings(&output);
    let template = "charts/shop/templates/analysis.yaml";
    let has = |wanted: &str| found.iter().find(|(place, _)| place == wanted);
    assert!(
        has(&format!("unknown-field {template}:10")).is_some(),
        "{found:#?}"
    );
    let query =
        has(&format!("invalid-query {template}:13")).unwrap_or_else(|| panic!("{found:#?}"));
    let given = "the value is given here charts/shop/values.yaml:7".to_owned();
    assert!(query.1.contains(&given), "{query:?}");

    // Settings of a path hold for the template.
    let off =
        format!("[[overrides]]\nfiles = [\"{template}\"]\nrules = {{ unknown-field = \"off\" }}\n");
    write(&folder, "rollproof.toml", &off);
    let found = findings(&lint(
        &folder,
        &["--helm", "charts/shop", "--format", "json"],
    ));
    assert!(
        !found
            .iter()
            .any(|(place, _)| place.starts_with("unknown-field")),
        "{found:#?}"
    );
}

#[test]
fn equal_findings_of_several_values_files_are_said_once() {
    if !is_there("helm") {
        println!("skipped: helm is absent; set HELM to the program");
        return;
    }
    let folder = chart("each-values");
    write(&folder, "values-a.yaml", "analysis: {interval: 10s}\n");
    write(
        &folder,
        "values-b.yaml",
        "provider: {prometheus: {query: up}}\n",
    );
    let arguments = [
        "--helm",
        "charts/shop",
        "--each-values",
        "values-*.yaml",
        "--format",
        "json",
    ];
    let found = findings(&lint(&folder, &arguments));
    let related = |rule: &str| -> Vec<&str> {
        let of_rule: Vec<_> = found
            .iter()
            .filter(|(place, _)| place.starts_with(rule))
            .collect();
        assert_eq!(of_rule.len(), 1, "{found:#?}");
        let related = of_rule[0].1.iter().map(String::as_str);
        related.filter(|it| it.starts_with("found with")).collect()
    };
    let a = "found with these values values-a.yaml:1";
    let b = "found with these values values-b.yaml:1";
    assert_eq!(related("unknown-field"), [a, b]);
    assert_eq!(related("invalid-query"), [a]);
}

#[test]
fn what_helm_says_of_its_failure_is_shown() {
    if !is_there("helm") {
        println!("skipped: helm is absent; set HELM to the program");
        return;
    }
    let folder = chart("helm-fails");
    write(
        &folder,
        "charts/shop/templates/wrong.yaml",
        "{{ fail \"no luck\" }}\n",
    );
    let output = lint(&folder, &["--helm", "charts/shop"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("no luck"), "{said}");
}

#[test]
fn a_missing_program_is_named() {
    let folder = chart("missing");
    for (flag, wanted) in [("--helm", "`helm`"), ("--kustomize", "`kubectl`")] {
        let output = Command::new(env!("CARGO_BIN_EXE_rollproof"))
            .args(["lint", flag, "charts/shop"])
            .current_dir(&folder)
            .env("PATH", "")
            .output()
            .expect("the command starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains(wanted) && said.contains("not found") || said.contains("neither"),
            "{said}"
        );
    }
}

#[test]
fn findings_point_into_what_kustomize_reads() {
    let folder = folder("kustomize");
    let base = TEMPLATE
        .lines()
        .filter(|line| !line.starts_with("{{"))
        .map(|line| match line.trim() {
            "name: {{ .Release.Name }}-errors" => "  name: errors\n".to_owned(),
            "interval: {{ .Values.analysis.interval }}" => "      interval: 30s\n".to_owned(),
            "{{- toYaml .Values.provider | nindent 8 }}" => {
                "        prometheus:\n          address: http://p\n          query: up\n".to_owned()
            }
            _ => format!("{line}\n"),
        })
        .collect::<String>();
    write(
        &folder,
        "base/kustomization.yaml",
        "resources: [analysis.yaml]\n",
    );
    write(&folder, "base/analysis.yaml", &base);
    write(
        &folder,
        "prod/kustomization.yaml",
        "resources: [../base]\nnamePrefix: prod-\npatches:\n  - path: patch.yaml\n",
    );
    write(
        &folder,
        "prod/patch.yaml",
        "apiVersion: argoproj.io/v1alpha1\nkind: AnalysisTemplate\nmetadata:\n  name: errors\nspec:\n  argz: []\n",
    );
    // Each of the two programs that can build it, with no other on the PATH.
    for program in ["kustomize", "kubectl"] {
        let Some(file) = find(program) else {
            println!("skipped: {program} is not there");
            continue;
        };
        let only = folder.join("only").join(program);
        std::fs::create_dir_all(&only).expect("a folder");
        let link = only.join(program);
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(file, link).expect("a link");
        let arguments = ["--kustomize", "prod", "--format", "json"];
        let output = lint_with(only.as_ref(), &folder, &arguments);
        let found: Vec<String> = findings(&output)
            .into_iter()
            .map(|(place, _)| place)
            .collect();
        for wanted in [
            "unknown-field base/analysis.yaml:9",
            "unknown-field prod/patch.yaml:6",
        ] {
            assert!(found.contains(&wanted.to_owned()), "{program}: {found:#?}");
        }
    }
}
