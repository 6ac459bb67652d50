//! `rollproof diff`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::report::timeline::Look;
use crate::report::whatif::{
    Difference, difference_json, difference_markdown, difference_text, is_worse,
};
use crate::sim::play;
use crate::source::Sources;
use crate::whatif::gates::Gate;
use crate::whatif::{compare, releases};

use super::plays::{Play, own_command, write_or_print};
use super::{Outcome, input, simulate, whatif};

/// Compare two versions of the manifests: what the change does to healthy and to bad releases.
///
/// Both are played with the same chance, so that a difference is theirs. Each version is a file, a
/// folder, or a place in git: REF:PATH, or REF alone for the path of the other version.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rollproof diff old/ new/ --scenario traffic.yaml
  rollproof diff main k8s/ --scenario traffic.yaml --format markdown
  rollproof diff v1.2:k8s v1.3:k8s --scenario traffic.yaml

  rollproof diff main k8s/ --scenario traffic.yaml --fail-on worse --fail-on 'false-abort>1%'

Exit codes: 0 compared, 1 a condition of --fail-on is met, 2 wrong use, 3 internal error")]
pub(super) struct Arguments {
    /// The version before.
    #[arg(value_name = "OLD")]
    old: String,

    /// The version after.
    #[arg(value_name = "NEW")]
    new: String,

    #[command(flatten)]
    play: Play,

    /// Releases of each kind to play with each version.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    runs: u64,

    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Write the result to this file.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Fail (exit code 1) if this holds for NEW, such as false-abort>1%, or if something is surely worse than
    /// in OLD: worse. See docs/whatif.md for the names.
    #[arg(long, value_name = "CONDITION", value_parser = condition)]
    fail_on: Vec<Condition>,
}

/// What fails the command.
#[derive(Debug, Clone)]
enum Condition {
    Worse,
    Gate(Gate),
}

fn condition(text: &str) -> Result<Condition, String> {
    match text.trim() {
        "worse" => Ok(Condition::Worse),
        text => whatif::gate(text).map(Condition::Gate),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    /// One JSON object.
    Json,
    /// For a comment on a pull request.
    Markdown,
}

pub(super) fn run(arguments: &Arguments, look: Look) -> io::Result<Outcome> {
    let mut sources = Sources::new();
    let (old, new) = (&arguments.old, &arguments.new);
    let mut objects: Vec<Vec<Value>> = Vec::new();
    for (version, other) in [(old, new), (new, old)] {
        let files = read_version(version, other)?;
        let Some(found) = simulate::objects_of(&mut sources, &files) else {
            return Ok(Outcome::WrongUse);
        };
        objects.push(found);
    }
    let Some((scenario, traces)) = arguments.play.read(&mut sources)? else {
        return Ok(Outcome::WrongUse);
    };
    let crew = arguments.play.crew();
    let seed = arguments.play.seed(&scenario);
    let found = (|| {
        let [before, after] = objects.as_slice() else {
            return Err("two versions are compared".to_owned());
        };
        let rollout_of = |version: &str, objects: &[Value]| {
            play::choose_rollout(objects, &scenario).map_err(|error| format!("{version}: {error}"))
        };
        rollout_of(old, before)?;
        let (namespace, name) = rollout_of(new, after)?;
        let both = releases(&scenario)?;
        let plays = arguments.runs.saturating_mul(4);
        let comparison = crew.work("releases", plays, arguments.runs, seed, |effort| {
            compare(before, after, &both, &traces, effort)
        })?;
        let after = &comparison.after;
        let gates = arguments
            .fail_on
            .iter()
            .filter_map(|condition| match condition {
                Condition::Worse => None,
                Condition::Gate(gate) => Some(gate.check(&after.healthy, &after.bad)),
            });
        Ok(Difference {
            gates: gates.collect(),
            rollout: format!("{namespace}/{name}"),
            old: old.clone(),
            new: new.clone(),
            command: own_command(&[]),
            seed,
            runs_asked: arguments.runs,
            healthy_about: both.healthy.about,
            bad_about: both.bad.about,
            comparison,
            notes: both.notes,
        })
    })();
    match found {
        Ok(difference) => {
            let text = match arguments.format {
                Format::Text => difference_text(&difference, look),
                Format::Json => difference_json(&difference),
                Format::Markdown => difference_markdown(&difference),
            };
            write_or_print(arguments.output.as_deref(), &text)?;
            let wants_no_worse = arguments
                .fail_on
                .iter()
                .any(|condition| matches!(condition, Condition::Worse));
            let is_met = difference.gates.iter().any(|gate| gate.is_met)
                || (wants_no_worse && is_worse(&difference.comparison));
            Ok(if is_met {
                Outcome::Findings
            } else {
                Outcome::Clean
            })
        }
        Err(error) => {
            eprintln!("error: {error}");
            Ok(Outcome::WrongUse)
        }
    }
}

/// The files of a version: of a path, or of a place in git, whose path is the other version's where it
/// names none.
fn read_version(version: &str, other: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    if Path::new(version).exists() {
        return input::read_paths(&[PathBuf::from(version)]);
    }
    let (reference, path) = match version.split_once(':') {
        Some((reference, path)) => (reference, path),
        None => (
            version,
            other.split_once(':').map_or(other, |(_, path)| path),
        ),
    };
    let listed = git(
        version,
        &["ls-tree", "-r", "--name-only", "-z", reference, "--", path],
    )?;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let mut files = Vec::new();
    for name in listed
        .split('\0')
        .filter(|name| input::is_manifest(Path::new(name)))
    {
        // `./` makes the path count from the present folder, as that of ls-tree does.
        let place = format!("{reference}:./{name}");
        files.push((place.clone(), git(version, &["show", &place])?));
    }
    if files.is_empty() {
        return Err(io::Error::other(format!(
            "{version}: no such file or folder, and nothing at {path} of {reference} in git"
        )));
    }
    Ok(files)
}

/// What git prints.
fn git(version: &str, arguments: &[&str]) -> io::Result<Vec<u8>> {
    let failed = |why: &str| {
        io::Error::other(format!(
            "{version}: no such file or folder; git: {}",
            why.trim()
        ))
    };
    let output = Command::new("git")
        .args(arguments)
        .output()
        .map_err(|error| failed(&error.to_string()))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(failed(&String::from_utf8_lossy(&output.stderr)))
    }
}
