//! Replays what the reference controller was recorded to do on a real API server.
//!
//! `cargo test --release --test trajectories -- --nocapture` reads the folder that
//! `ROLLPROOF_TRAJECTORIES` names, `../shared/trajectories` by default. Further variables:
//!
//! - `ROLLPROOF_TRAJECTORIES_FAILED=1` prints what differs, side by side (reference on the left),
//!   `=all` everything;
//! - `ROLLPROOF_TRAJECTORIES_CASE=GLOB` plays these cases only, and holds no ratchet against them.

#[path = "trajectories/case.rs"]
mod case;
#[path = "trajectories/compare.rs"]
mod compare;
#[path = "trajectories/exceptions.rs"]
mod exceptions;
#[path = "trajectories/play.rs"]
mod play;
#[path = "trajectories/record.rs"]
mod record;
#[path = "trajectories/report.rs"]
mod report;

use std::path::{Path, PathBuf};

use case::Record;
use exceptions::Exceptions;
use report::{Ratchet, Report};

const EXCEPTIONS: &str = include_str!("trajectories_exceptions.toml");
const RATCHET: &str = include_str!("trajectories/ratchet.toml");

#[test]
fn trajectories() {
    let (folder, is_default) = folder();
    let Some(files) = record_files(&folder) else {
        println!("trajectories: skipped, {} is absent", folder.display());
        return;
    };
    let filter = std::env::var("ROLLPROOF_TRAJECTORIES_CASE").ok();
    let filter = filter.map(|glob| glob::Pattern::new(&glob).expect("a glob"));
    let exceptions = Exceptions::parse(EXCEPTIONS).expect("the exceptions file is well-formed");
    let shown = std::env::var("ROLLPROOF_TRAJECTORIES_FAILED").ok();
    let mut report = Report::new(shown.as_deref() == Some("all"));
    let mut unsteady = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        if filter.as_ref().is_some_and(|it| !it.matches(&name)) {
            continue;
        }
        let record = read(&file);
        match play::play(&record) {
            Ok(played) => {
                if play::play(&record).as_ref() != Ok(&played) {
                    unsteady.push(name.to_string());
                }
                let comparisons = compare::compare(&record, &played.observed);
                report.add(&name, &comparisons, &played.log, &exceptions);
            }
            Err(reason) => {
                let stable = record.observed.values().filter(|it| it.stable);
                report.add_unplayed(&name, stable.count(), &reason);
            }
        }
    }

    if shown.is_some() {
        print!("{}", report.failures());
    }
    let ratchet: Ratchet = toml::from_str(RATCHET).expect("the ratchet is well-formed");
    let is_whole = is_default && filter.is_none();
    if is_whole {
        for pattern in exceptions.unused() {
            println!("trajectories: unused exception: {pattern}");
        }
    }
    print!("{}", report.summary());
    assert!(unsteady.is_empty(), "two replays differ: {unsteady:?}");
    if is_whole {
        let below = report.below(&ratchet);
        assert!(below.is_empty(), "below the ratchet: {below:?}");
    }
}

/// The comparison itself is sound: a record equals itself.
#[test]
fn a_record_equals_itself() {
    let Some(files) = record_files(&folder().0) else {
        println!("skipped, no records");
        return;
    };
    for file in files {
        let record = read(&file);
        let sequences = record.observed.iter();
        let own = sequences.map(|(name, variable)| (name.clone(), variable.sequence.clone()));
        let comparisons = compare::compare(&record, &own.collect());
        let differs = comparisons.iter().find(|it| it.difference.is_some());
        assert_eq!(differs, None, "{}", file.display());
    }
}

/// `docs/differences-from-the-reference.md` says what the exceptions file says.
/// `ROLLPROOF_UPDATE_DOCS=1` writes it.
#[test]
fn differences_page() {
    let exceptions = Exceptions::parse(EXCEPTIONS).expect("the exceptions file is well-formed");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/differences-from-the-reference.md");
    if std::env::var_os("ROLLPROOF_UPDATE_DOCS").is_some() {
        std::fs::write(&file, exceptions.page()).expect("the page can be written");
    }
    let page = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        page == exceptions.page(),
        "{} is out of date: run with ROLLPROOF_UPDATE_DOCS=1",
        file.display()
    );
}

/// The folder, and whether it is the default one.
fn folder() -> (PathBuf, bool) {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/trajectories");
    match std::env::var_os("ROLLPROOF_TRAJECTORIES") {
        Some(folder) => (folder.into(), false),
        None => (default, true),
    }
}

/// The records of a folder, by name; none where it is absent.
fn record_files(folder: &Path) -> Option<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).ok()?;
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a folder that can be read").path())
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .collect();
    files.sort();
    Some(files)
}

fn read(file: &Path) -> Record {
    let text = std::fs::read_to_string(file).expect("a record that can be read");
    Record::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
