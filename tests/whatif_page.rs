//! The commands of docs/whatif.md run. They are played with a few runs only.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The blocks of a language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let start = format!("```{language}\n");
    let parts = page.split(start.as_str()).skip(1);
    let block = |part: &str| part.split("```").next().unwrap_or_default().to_owned();
    parts.map(block).collect()
}

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/whatif.md");
    std::fs::read_to_string(path).expect("the page")
}

/// The words of a command, as a shell reads them; what is in quotes holds no quotes.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in command.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn workplace() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("whatif-page");
    let _ = std::fs::remove_dir_all(&folder);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/examples/checkout");
    for version in ["k8s", "old", "new"] {
        std::fs::create_dir_all(folder.join(version)).expect("a folder");
        for entry in std::fs::read_dir(example.join("k8s")).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name");
            std::fs::copy(&path, folder.join(version).join(name)).expect("a file");
        }
    }
    let scenario = example.join("scenarios/whatif.yaml");
    std::fs::copy(scenario, folder.join("traffic.yaml")).expect("a file");
    let list = blocks(&page(), "yaml")
        .into_iter()
        .find(|block| block.starts_with("releases:"));
    std::fs::write(folder.join("releases.yaml"), list.expect("a list")).expect("written");
    std::fs::create_dir_all(folder.join("history")).expect("a folder");
    let mut history = "# TYPE istio_requests counter\n".to_owned();
    // 2026-01-31T11:50:00Z and on.
    for scrape in 0..240 {
        let time = 1_769_860_200 + scrape * 15;
        let _ = writeln!(
            history,
            "istio_requests_total{{destination_service_name=\"checkout-canary\",response_code=\"200\"}} {} {time}",
            scrape * 100
        );
    }
    history.push_str("# EOF\n");
    std::fs::write(folder.join("history/requests.om"), history).expect("written");
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
    let mut commands = std::collections::BTreeSet::new();
    for line in blocks(&page(), "sh").iter().flat_map(|block| block.lines()) {
        let line = line.split(" #").next().unwrap_or_default();
        let mut words = words(line);
        if words.first().is_none_or(|word| word != "rollproof") || words.len() < 2 {
            continue;
        }
        words.remove(0);
        let command = words.first().cloned().unwrap_or_default();
        if line.contains("--prometheus") {
            println!("skipped: tests/backtest.rs has a server: {line}");
            continue;
        }
        if line.contains("diff main") && !has_git {
            println!("skipped: git is absent: {line}");
            continue;
        }
        // A few runs show that a command is understood.
        if let Some(at) = words.iter().position(|word| word == "--runs") {
            words.drain(at..at + 2);
        }
        match command.as_str() {
            "whatif" => words.extend(["--runs", "1", "--no-suggestions"].map(str::to_owned)),
            "diff" => words.extend(["--runs", "2"].map(str::to_owned)),
            "tune" => words.extend(["--runs", "1", "--budget", "1"].map(str::to_owned)),
            _ => {}
        }
        let output = Command::new(env!("CARGO_BIN_EXE_rollproof"))
            .args(&words)
            .current_dir(&folder)
            .output()
            .expect("the command starts");
        let code = output.status.code();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(code, Some(0 | 1)), "{line}: {code:?} {said}");
        count += 1;
        commands.insert(command);
    }
    assert!(count >= 9, "{count} commands were found");
    for command in ["whatif", "diff", "tune", "backtest"] {
        assert!(commands.contains(command), "{commands:?}");
    }
}
