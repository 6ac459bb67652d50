//! The hook that uses an installed rollproof, with the real pre-commit: the one that
//! ROLLPROOF_PRE_COMMIT names, or of the PATH. ROLLPROOF_PRE_COMMIT_RUST=1 also tries the hook that
//! builds rollproof, which takes minutes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const GOOD: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: errors
spec:
  metrics:
    - name: errors
      interval: 1m
      count: 5
      successCondition: len(result) > 0 && result[0] < 0.05
      provider:
        prometheus:
          address: http://prometheus
          query: sum(rate(errors[5m]))
";

fn pre_commit() -> Option<PathBuf> {
    let named = std::env::var_os("ROLLPROOF_PRE_COMMIT").map(PathBuf::from);
    named.or_else(|| {
        let path = std::env::var_os("PATH")?;
        let mut found = std::env::split_paths(&path).map(|folder| folder.join("pre-commit"));
        found.find(|program| program.is_file())
    })
}

fn run(program: &Path, folder: &Path, arguments: &[&str]) -> Output {
    let binary = Path::new(env!("CARGO_BIN_EXE_rollproof"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = binary.parent().map(Path::to_owned).into_iter();
    let path = std::env::join_paths(folders.chain(std::env::split_paths(&path))).expect("a PATH");
    Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("PATH", path)
        .env("PRE_COMMIT_HOME", folder.with_extension("home"))
        .output()
        .expect("the program starts")
}

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// Its output.
fn git(folder: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
    let arguments: Vec<&str> = identity
        .into_iter()
        .chain(arguments.iter().copied())
        .collect();
    let output = run(Path::new("git"), folder, &arguments);
    assert!(output.status.success(), "{}", told(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// An empty folder of this name.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("pre-commit")
        .join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// A repository that holds the hooks as they are here, whether or not this is a repository itself.
fn hooks_alone() -> PathBuf {
    const HOOKS: &str = ".pre-commit-hooks.yaml";
    let folder = folder("hooks");
    let hooks = Path::new(env!("CARGO_MANIFEST_DIR")).join(HOOKS);
    std::fs::copy(hooks, folder.join(HOOKS)).expect("a copy");
    git(&folder, &["init", "-q"]);
    git(&folder, &["add", "."]);
    git(&folder, &["commit", "-qm", "hooks"]);
    folder
}

fn try_hook(program: &Path, hooks: &Path, hook: &str) {
    let folder = folder(hook);
    std::fs::create_dir_all(folder.join("chart/templates")).expect("a folder");
    // Beside the repository, since it is no manifest.
    let config = folder.with_extension("yaml");
    let revision = git(hooks, &["rev-parse", "HEAD"]);
    let hooks = hooks.to_str().expect("a path in UTF-8");
    let text = format!(
        "repos: [{{repo: '{hooks}', rev: {}, hooks: [{{id: {hook}}}]}}]\n",
        revision.trim()
    );
    std::fs::write(&config, text).expect("written");
    let config = config.to_str().expect("a path in UTF-8");
    let run_hook = |wanted: bool| {
        git(&folder, &["add", "."]);
        let arguments = ["run", "--config", config, "--all-files", "--verbose"];
        let output = run(program, &folder, &arguments);
        let told = told(&output);
        assert_eq!(output.status.success(), wanted, "{told}");
        told
    };
    git(&folder, &["init", "-q"]);
    std::fs::write(folder.join("chart/templates/x.yaml"), "{{- if }}\n").expect("a file");
    std::fs::write(folder.join("good.yaml"), GOOD).expect("a file");
    let said = run_hook(true);
    assert!(said.contains("in 1 object of 1 file"), "{said}");
    std::fs::write(folder.join("bad.yaml"), GOOD.replace("count:", "cuont:")).expect("a file");
    let said = run_hook(false);
    assert!(
        said.contains("unknown-field") && said.contains("bad.yaml:9"),
        "{said}"
    );
}

#[test]
fn hooks_find_what_a_commit_holds() {
    let Some(program) = pre_commit() else {
        println!("skipped: pre-commit is absent; set ROLLPROOF_PRE_COMMIT to the program");
        return;
    };
    try_hook(&program, &hooks_alone(), "rollproof-system");
    if std::env::var_os("ROLLPROOF_PRE_COMMIT_RUST").is_some() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        try_hook(&program, root, "rollproof");
    } else {
        println!("skipped: the hook that builds rollproof; set ROLLPROOF_PRE_COMMIT_RUST=1");
    }
}
