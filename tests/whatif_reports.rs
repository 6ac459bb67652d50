//! The sample reports of reports/ are what the commands print. ROLLPROOF_UPDATE=1 writes them anew.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder with the example as `old`, as `new` after the first change that its report suggests, and the
/// scenario: so that commands, which are printed, name no place of this machine.
fn workplace(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/examples/checkout");
    for version in ["old", "new"] {
        std::fs::create_dir_all(folder.join(version)).expect("a folder");
        for entry in std::fs::read_dir(example.join("k8s")).expect("a folder") {
            let path = entry.expect("an entry").path();
            let mut text = std::fs::read_to_string(&path).expect("a manifest");
            if version == "new" {
                let before = "      interval: 30s\n";
                text = text.replace(before, &format!("{before}      failureLimit: 1\n"));
            }
            let name = path.file_name().expect("a name");
            std::fs::write(folder.join(version).join(name), text).expect("written");
        }
    }
    let scenario = example.join("scenarios/whatif.yaml");
    std::fs::copy(scenario, folder.join("traffic.yaml")).expect("copied");
    folder
}

fn is_as_committed(file: &str, arguments: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_rollproof"))
        .args(arguments)
        .args(["--scenario", "traffic.yaml"])
        .current_dir(workplace(&format!("report-{file}")))
        .env_remove("COLUMNS")
        .output()
        .expect("the command starts");
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("reports").join(file);
    if std::env::var_os("ROLLPROOF_UPDATE").is_some() {
        std::fs::write(&path, &output.stdout).expect("written");
        return;
    }
    let committed = std::fs::read(&path).unwrap_or_default();
    assert!(
        committed == output.stdout,
        "reports/{file} is out of date: run this test with ROLLPROOF_UPDATE=1"
    );
}

const WHATIF: [&str; 6] = ["whatif", "old", "--runs", "200", "--detail-runs", "20"];

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimization")]
fn whatif_page() {
    let arguments = [&WHATIF[..], &["--format", "html"]].concat();
    is_as_committed("whatif-checkout.html", &arguments);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimization")]
fn whatif_comment() {
    let arguments = [&WHATIF[..], &["--format", "markdown"]].concat();
    is_as_committed("whatif-checkout.md", &arguments);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimization")]
fn difference_comment() {
    let arguments = ["diff", "old", "new", "--runs", "40", "--format", "markdown"];
    is_as_committed("diff-checkout.md", &arguments);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimization")]
fn tuning_page() {
    let arguments = "tune old --runs 20 --budget 200 --format html";
    is_as_committed(
        "tune-checkout.html",
        &arguments.split(' ').collect::<Vec<_>>(),
    );
}
