//! `rollproof simulate`.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::promql::Store;
use crate::report::timeline::{self, Look};
use crate::sim::play::{self, Play, Verdict};
use crate::sim::scenario::{self, Period, Scenario};
use crate::source::Sources;
use crate::spec::bundle::Bundle;
use crate::time::Duration;

use super::{Outcome, input, print, problems, traces};

/// Replay a rollout from start to end, without a cluster.
///
/// Applies the objects to a simulated cluster, waits until they are at rest, releases a new image,
/// and shows what happens, second by virtual second. Without a scenario the release is healthy.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rollproof simulate rollout.yaml                         a healthy release of a new image
  rollproof simulate k8s/ --scenario bad-release.yaml     what the scenario says
  helm template chart | rollproof simulate -              manifests from a pipe
  rollproof simulate k8s/ --explain 2m30s                 why that, at that moment

Exit codes: 0 clean, 1 a failed expectation or a refused rollout, 2 wrong use, 3 internal error")]
pub(super) struct Arguments {
    /// Manifests: files, folders, or - for standard input.
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,

    /// What happens to the rollout, and what is expected (see `rollproof schema scenario`).
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,

    /// Stop at this time after the release, such as 90s or 1h30m.
    #[arg(long, value_name = "TIME", value_parser = period)]
    until: Option<Period>,

    /// Seed of everything random.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// The rollout, where there are several.
    #[arg(long, value_name = "NAME")]
    rollout: Option<String>,

    /// Show what was decided at this time, and why.
    #[arg(long, value_name = "TIME", value_parser = period)]
    explain: Option<Period>,

    /// Record each decision into this folder, to be decided again by `rollproof replay`.
    #[cfg(feature = "live")]
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,

    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    /// One JSON object.
    Json,
}

fn period(text: &str) -> Result<Period, String> {
    let duration = Duration::parse_go(text).map_err(|error| error.to_string())?;
    if duration < Duration::ZERO {
        return Err("a time after the release is not negative".to_owned());
    }
    Ok(Period(duration))
}

pub(super) fn run(arguments: &Arguments, look: Look) -> io::Result<Outcome> {
    let mut sources = Sources::new();
    let Some(objects) = read_objects(&mut sources, &arguments.files)? else {
        return Ok(Outcome::WrongUse);
    };
    let mut scenarios = match &arguments.scenario {
        None => vec![Scenario::default()],
        Some(path) => match read_scenarios(&mut sources, path)? {
            Some(scenarios) => scenarios.into_iter().map(|file| file.scenario).collect(),
            None => return Ok(Outcome::WrongUse),
        },
    };
    let mut outcome = Outcome::Clean;
    let mut results = Vec::new();
    for scenario in &mut scenarios {
        scenario.seed = arguments.seed.or(scenario.seed);
        scenario.until = arguments.until.or(scenario.until);
        if arguments.rollout.is_some() {
            scenario.rollout.clone_from(&arguments.rollout);
        }
        let folder = arguments
            .scenario
            .as_deref()
            .map_or(Path::new(""), traces::folder);
        let Some(traces) = traces::read(&mut sources, folder, scenario)? else {
            return Ok(Outcome::WrongUse);
        };
        match play(arguments, &objects, scenario, &traces)? {
            Ok(play) => {
                let refused = play.outcome.verdict == Verdict::Invalid;
                if refused || play.checks.iter().any(|check| !check.passed) {
                    outcome = Outcome::Findings;
                }
                results.push(play);
            }
            Err(error) => {
                eprintln!("error: {error}");
                return Ok(Outcome::WrongUse);
            }
        }
    }
    match (arguments.format, arguments.explain) {
        (Format::Json, _) => print(&json(&results))?,
        (Format::Text, Some(at)) => {
            for play in &results {
                print(&timeline::explain(&play.explanations, at.0, look))?;
            }
        }
        (Format::Text, None) => {
            for play in &results {
                print(&timeline::render(play, look))?;
            }
        }
    }
    Ok(outcome)
}

#[cfg(feature = "live")]
fn play(
    arguments: &Arguments,
    objects: &[serde_json::Value],
    scenario: &Scenario,
    traces: &Store,
) -> io::Result<Result<Play, String>> {
    let Some(folder) = &arguments.record else {
        return Ok(play::play_with_traces(objects, scenario, traces));
    };
    Ok(match play::play_recorded(objects, scenario, traces) {
        Ok((play, lines)) => {
            crate::live::record::write(folder, &lines)?;
            Ok(play)
        }
        Err(error) => Err(error),
    })
}

#[cfg(not(feature = "live"))]
fn play(
    _arguments: &Arguments,
    objects: &[serde_json::Value],
    scenario: &Scenario,
    traces: &Store,
) -> io::Result<Result<Play, String>> {
    Ok(play::play_with_traces(objects, scenario, traces))
}

/// One object for one scenario, else a list.
fn json(results: &[Play]) -> String {
    let text = match results {
        [one] => serde_json::to_string_pretty(one),
        several => serde_json::to_string_pretty(several),
    };
    // Plays hold numbers and texts only, which always serialize.
    format!("{}\n", text.unwrap_or_default())
}

/// Reads manifests and shows their problems; none where one of them is an error.
pub(super) fn read_objects(
    sources: &mut Sources,
    paths: &[PathBuf],
) -> io::Result<Option<Vec<serde_json::Value>>> {
    let files = input::read_paths(paths)?;
    Ok(objects_of(sources, &files))
}

/// The objects of manifests that were read, whose problems are shown; none where one of them is an error.
pub(super) fn objects_of(
    sources: &mut Sources,
    files: &[(String, Vec<u8>)],
) -> Option<Vec<serde_json::Value>> {
    let named: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    let (bundle, mut found) = Bundle::read(sources, &named);
    let missing = bundle.missing_references();
    found.extend(missing.into_iter().map(|(_, problem)| problem));
    if problems::show(sources, &found) {
        return None;
    }
    let objects = bundle.objects().iter();
    Some(objects.map(|object| object.json().clone()).collect())
}

/// Reads scenarios and shows their problems; none where one of them is an error.
pub(super) fn read_scenarios(
    sources: &mut Sources,
    path: &Path,
) -> io::Result<Option<Vec<scenario::ScenarioFile>>> {
    let (name, bytes) = input::read_file(path)?;
    let (scenarios, found) = scenario::read_bytes(sources, &name, &bytes);
    if problems::show(sources, &found) {
        return Ok(None);
    }
    Ok(Some(scenarios))
}
