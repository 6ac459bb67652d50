//! `rollproof prove`.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::report::{self, timeline::Look};
use crate::sim::scenario::{self, Scenario};
use crate::source::Sources;
use crate::whatif::prove::{self, Answer, Bounds, Verdict};

use super::simulate::{read_objects, read_scenarios};
use super::{Outcome, print, traces};

/// Search for the shortest way in which a release goes wrong.
///
/// Tries every answer that a metric provider can give, pods of the release that fail, and what people
/// may do, within bounds: can the release reach 100% without one success that rests on data? Can it
/// get stuck for ever? Does an abort always return all traffic? And with --failing: can it reach 100%
/// while requests fail? What is found is shown as a timeline, and can be written as a scenario.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rollproof prove rollout.yaml                            the questions, within the usual bounds
  rollproof prove k8s/ --failing 5%                       also with 5% of the requests failing
  rollproof prove k8s/ --write-scenario bad.yaml          keep what was found, for `simulate`

Exit codes: 0 all proven or open, 1 something was found, 2 wrong use, 3 internal error")]
pub(super) struct Arguments {
    /// Manifests: files, folders, or - for standard input.
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,

    /// Its cluster, release and traffic are used (see `rollproof schema scenario`).
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,

    /// The rollout, where there are several.
    #[arg(long, value_name = "NAME")]
    rollout: Option<String>,

    /// Share of the release's requests that fail, such as 5% or 0.05.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    failing: Option<f64>,

    /// Most choices on the way from the release to an end.
    #[arg(long, value_name = "N", default_value_t = Bounds::default().choices)]
    depth: usize,

    /// Most states to look at, for each question.
    #[arg(long, value_name = "N", default_value_t = Bounds::default().states)]
    states: usize,

    /// How many things out of the ordinary happen: people act of their own accord, pods of the release
    /// fail, a metric changes what it answers, a measurement of failing requests gets no answer.
    #[arg(long, value_name = "N", default_value_t = Bounds::default().surprises)]
    surprises: usize,

    /// Write what was found first as a scenario.
    #[arg(long, value_name = "FILE")]
    write_scenario: Option<PathBuf>,

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

fn share(text: &str) -> Result<f64, String> {
    let (number, whole) = match text.strip_suffix('%') {
        Some(number) => (number, 100.0),
        None => (text, 1.0),
    };
    match number.trim().parse::<f64>() {
        Ok(number) if (0.0..=whole).contains(&number) => Ok(number / whole),
        Ok(_) | Err(_) => Err("a share is from 0% to 100%, or from 0 to 1".to_owned()),
    }
}

pub(super) fn run(arguments: &Arguments, look: Look) -> io::Result<Outcome> {
    let mut sources = Sources::new();
    let Some(objects) = read_objects(&mut sources, &arguments.files)? else {
        return Ok(Outcome::WrongUse);
    };
    let mut scenario = match &arguments.scenario {
        None => Scenario::default(),
        Some(path) => match read_scenarios(&mut sources, path)? {
            Some(scenarios) => {
                let mut scenarios = scenarios.into_iter();
                scenarios
                    .next()
                    .map(|file| file.scenario)
                    .unwrap_or_default()
            }
            None => return Ok(Outcome::WrongUse),
        },
    };
    if arguments.rollout.is_some() {
        scenario.rollout.clone_from(&arguments.rollout);
    }
    let folder = arguments
        .scenario
        .as_deref()
        .map_or(Path::new(""), traces::folder);
    let Some(traces) = traces::read(&mut sources, folder, &scenario)? else {
        return Ok(Outcome::WrongUse);
    };
    let bounds = Bounds {
        choices: arguments.depth,
        states: arguments.states,
        surprises: arguments.surprises,
        ..Bounds::default()
    };
    let answers = match prove::prove(&objects, &scenario, &traces, arguments.failing, &bounds) {
        Ok(answers) => answers,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(Outcome::WrongUse);
        }
    };
    let found = answers.iter().find_map(|answer| match &answer.verdict {
        Verdict::Counterexample(example) => Some(example),
        Verdict::Proven | Verdict::Undecided(_) => None,
    });
    match arguments.format {
        Format::Text => print(&report::prove::text(&answers, &bounds, look))?,
        Format::Json => print(&json(&answers, &bounds))?,
    }
    if let (Some(path), Some(example)) = (&arguments.write_scenario, found) {
        std::fs::write(path, scenario::write(&example.scenario))?;
        eprintln!(
            "wrote {}; to replay: rollproof simulate FILES --scenario {}",
            path.display(),
            path.display()
        );
    }
    Ok(if found.is_some() {
        Outcome::Findings
    } else {
        Outcome::Clean
    })
}

fn json(answers: &[Answer], bounds: &Bounds) -> String {
    let seconds = bounds.time.as_secs_f64();
    let all = json!({"bounds": bounds, "seconds": seconds, "answers": answers});
    format!("{all:#}\n")
}
