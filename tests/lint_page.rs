//! The commands of docs/lint.md run, and its settings are read.

use std::path::{Path, PathBuf};
use std::process::Command;

use rollproof::lint::config;
use rollproof::source::Sources;

/// The blocks of a language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let start = format!("```{language}\n");
    let parts = page.split(start.as_str()).skip(1);
    let block = |part: &str| part.split("```").next().unwrap_or_default().to_owned();
    parts.map(block).collect()
}

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lint.md");
    std::fs::read_to_string(path).expect("the page")
}

fn workplace() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lint-page");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("k8s")).expect("a folder");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/examples/checkout/k8s");
    for entry in std::fs::read_dir(source).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name");
        std::fs::copy(&path, folder.join("k8s").join(name)).expect("a file");
    }
    folder
}

#[test]
fn commands_run() {
    let folder = workplace();
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
            .args(arguments)
            .current_dir(&folder)
            .output();
        output.is_ok_and(|output| output.status.success())
    };
    let has_git =
        git(&["init", "-q", "-b", "main"]) && git(&["add", "."]) && git(&["commit", "-qm", "one"]);
    let mut count = 0;
    for line in blocks(&page(), "sh").iter().flat_map(|block| block.lines()) {
        let command = line.split(" #").next().unwrap_or_default();
        let words: Vec<&str> = command.split_whitespace().collect();
        let Some(("rollproof", arguments)) =
            words.split_first().map(|(first, rest)| (*first, rest))
        else {
            continue;
        };
        // Programs of others: tests/helm.rs runs these.
        if command.contains("--helm") || command.contains("--kustomize") {
            continue;
        }
        if command.contains("--changed-since") && !has_git {
            println!("skipped: git is absent: {command}");
            continue;
        }
        let output = Command::new(env!("CARGO_BIN_EXE_rollproof"))
            .args(arguments)
            .current_dir(&folder)
            .output()
            .expect("the command starts");
        let code = output.status.code();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(code, Some(0 | 1)), "{command}: {code:?} {said}");
        count += 1;
    }
    assert!(count >= 7, "{count} commands were found");
}

#[test]
fn settings_are_read() {
    let page = page();
    let settings = &blocks(&page, "toml")[0];
    let mut sources = Sources::new();
    let source = sources.add("rollproof.toml", settings.as_str());
    let (_, problems) = config::read(&sources, source);
    assert!(problems.is_empty(), "{problems:?}");
}
