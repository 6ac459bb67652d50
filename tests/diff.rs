//! `rollproof diff` as users call it: two versions, from folders and from git, and conditions on them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder with the example as `old`, and as `new` without the analysis that finds errors.
fn workplace(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/examples/checkout");
    for version in ["old", "new"] {
        std::fs::create_dir_all(folder.join(version)).expect("a folder");
        for entry in std::fs::read_dir(example.join("k8s")).expect("a folder") {
            let path = entry.expect("an entry").path();
            let text = std::fs::read_to_string(&path).expect("a manifest");
            let text = if version == "new" {
                text.replace("result[0] >= 0.98", "result[0] >= 0.5")
            } else {
                text
            };
            let name = path.file_name().expect("a name");
            std::fs::write(folder.join(version).join(name), text).expect("written");
        }
    }
    std::fs::copy(
        example.join("scenarios/whatif.yaml"),
        folder.join("traffic.yaml"),
    )
    .expect("copied");
    folder
}

fn diff(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rollproof"))
        .arg("diff")
        .args(arguments)
        .args(["--scenario", "traffic.yaml", "--runs", "12"])
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
fn a_worse_version_is_told_to_be_worse() {
    let folder = workplace("diff-worse");
    let output = diff(&folder, &["old", "new", "--fail-on", "worse"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(
        text.contains("Worse: bad releases promoted, bad releases aborted"),
        "{text}"
    );
    let output = diff(&folder, &["new", "old", "--fail-on", "worse"]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(stdout(&output).contains("Nothing is surely worse"));
    let output = diff(&folder, &["old", "old", "--format", "markdown"]);
    assert!(
        stdout(&output).contains("**No difference that is more than chance.**"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let folder = workplace("diff-threads");
    let of = |threads| {
        let output = diff(
            &folder,
            &["old", "new", "--format", "json", "--threads", threads],
        );
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output)
    };
    let text = of("1");
    assert_eq!(text, of("2"));
    let found: serde_json::Value = serde_json::from_str(&text).expect("json");
    let share = |place: &str| found.pointer(place).and_then(serde_json::Value::as_f64);
    assert!(share("/before/bad/promoted/share") < Some(0.2));
    assert!(share("/after/bad/promoted/share") > Some(0.5));
    assert_eq!(found.pointer("/badChanges/promoted/runs"), Some(&12.into()));
}

#[test]
fn conditions_fail_the_command() {
    let folder = workplace("diff-conditions");
    for (condition, code) in [("missed>50%", 1), ("caught>50%", 0)] {
        let output = diff(&folder, &["old", "new", "--fail-on", condition]);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{condition}: {}",
            stdout(&output)
        );
        assert!(stdout(&output).contains(condition));
    }
    for (arguments, wanted) in [
        (&["old", "new", "--fail-on", "bad"][..], "compares nothing"),
        (&["old", "missing"], "missing: no such file or folder"),
    ] {
        let output = diff(&folder, arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(wanted), "{}", stderr(&output));
    }
}

#[test]
fn versions_may_be_in_git() {
    let folder = workplace("diff-git");
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
            .args(arguments)
            .current_dir(&folder)
            .output();
        output.is_ok_and(|output| output.status.success())
    };
    let is_ready = git(&["init", "-q", "-b", "main"])
        && git(&["add", "old", "traffic.yaml"])
        && git(&["commit", "-qm", "one"]);
    if !is_ready {
        println!("skipped: git is absent");
        return;
    }
    let changed = std::fs::read_to_string(folder.join("new/analysis.yaml")).expect("a manifest");
    std::fs::write(folder.join("old/analysis.yaml"), changed).expect("written");
    let by_files = diff(&folder, &["main:old", "new", "--format", "json"]);
    let by_reference = diff(&folder, &["main", "old", "--format", "json"]);
    let figures = |output: &Output| {
        assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
        let mut found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("json");
        let fields = found.as_object_mut().expect("an object");
        for named in ["old", "new", "command"] {
            fields.remove(named);
        }
        found
    };
    assert_eq!(figures(&by_files), figures(&by_reference));
    let output = diff(&folder, &["other", "old"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("git:"), "{}", stderr(&output));
}
