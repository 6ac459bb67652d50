//! `rollproof whatif`.

use std::io;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::promql::Store;
use crate::report::timeline::Look;
use crate::report::whatif::{self as report, Examples, ReleaseResult, Study};
use crate::sim::play;
use crate::sim::scenario::Scenario;
use crate::sim::scenario::traffic::ErrorShare;
use crate::source::Sources;
use crate::whatif::gates::{Gate, quantities};
use crate::whatif::vary::{find, parse_values, parse_variation};
use crate::whatif::{
    Axis, Dimension, Release, Releases, Summary, Variant, evaluate, hints, notes_on_answers,
    releases, sensitivity, sweep, typical_run,
};

use super::plays::{Crew, Play, own_command, write_or_print};
use super::{Outcome, simulate};

/// Say what this rollout would do to users: how often a healthy release is aborted, how often a bad
/// one reaches everybody, how fast it is caught, and what it costs.
///
/// Plays many releases with chance in requests, errors, pods and measurements. The scenario says how
/// many requests come and what a healthy and a bad release are. See docs/whatif.md.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rollproof whatif k8s/ --scenario traffic.yaml
  rollproof whatif k8s/ --scenario traffic.yaml --runs 10000 --format json
  rollproof whatif k8s/ --scenario traffic.yaml --vary 'spec.metrics[0].failureLimit=0,1,2,3'
  rollproof whatif k8s/ --scenario traffic.yaml --error-rate 0..0.1:11 --rps 10,100,1000
  rollproof whatif k8s/ --scenario traffic.yaml --fail-on 'false-abort>1%' --fail-on 'missed>5%'

Exit codes: 0 clean, 1 a condition of --fail-on is met, 2 wrong use, 3 internal error")]
pub(super) struct Arguments {
    /// Manifests: files, folders, or - for standard input.
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    play: Play,

    /// Releases of each kind to play.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    runs: u64,

    /// Also play with these values of a field: PATH=v1,v2,... or PATH=a..b:n, where PATH is like
    /// spec.metrics[0].failureLimit, with Kind/name: before it where several objects have one.
    #[arg(long, value_name = "PATH=VALUES")]
    vary: Vec<String>,

    /// Also play releases with these shares of failed requests, such as 0,0.01 or 0..0.1:11.
    #[arg(long, value_name = "SHARES")]
    error_rate: Option<String>,

    /// Also play releases that take this much longer for a request, such as 0s..500ms:6.
    #[arg(long, value_name = "TIMES")]
    latency: Option<String>,

    /// Also play with these numbers of requests per second.
    #[arg(long, value_name = "NUMBERS")]
    rps: Option<String>,

    /// Do not try out what could be changed.
    #[arg(long)]
    no_suggestions: bool,

    /// Runs for each change that is tried out, and for each point of the report's curve.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    detail_runs: Option<u64>,

    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Write the result to this file.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Fail (exit code 1) if this holds, such as false-abort>1%. See docs/whatif.md for the names.
    #[arg(long, value_name = "CONDITION", value_parser = gate)]
    fail_on: Vec<Gate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    /// One JSON object.
    Json,
    /// One line a release and combination of values.
    Csv,
    /// For a comment on a pull request.
    Markdown,
    /// One page that needs nothing else.
    Html,
}

/// Reads a condition; errors name what there is.
pub(super) fn gate(text: &str) -> Result<Gate, String> {
    Gate::parse(text).map_err(|error| {
        let names: Vec<String> = quantities()
            .map(|(name, about)| format!("  {name}: {about}"))
            .collect();
        format!("{error}\n{}", names.join("\n"))
    })
}

/// Default of `--detail-runs`.
const DETAIL_RUNS: u64 = 300;

pub(super) fn run(arguments: &Arguments, look: Look) -> io::Result<Outcome> {
    let mut sources = Sources::new();
    let Some(objects) = simulate::read_objects(&mut sources, &arguments.files)? else {
        return Ok(Outcome::WrongUse);
    };
    let Some((scenario, traces)) = arguments.play.read(&mut sources)? else {
        return Ok(Outcome::WrongUse);
    };
    let crew = arguments.play.crew();
    match study(arguments, &objects, &scenario, &traces, &crew) {
        Ok(study) => {
            let text = match arguments.format {
                Format::Text => report::render(&study, look),
                Format::Json => report::json(&study),
                Format::Csv => report::csv(&study).map_err(io::Error::other)?,
                Format::Markdown => report::markdown(&study),
                Format::Html => page(&study, &objects, &scenario, &traces)?,
            };
            write_or_print(arguments.output.as_deref(), &text)?;
            let failed = study.gates.iter().any(|gate| gate.is_met);
            Ok(if failed {
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

fn study(
    arguments: &Arguments,
    objects: &[Value],
    scenario: &Scenario,
    traces: &Store,
    crew: &Crew,
) -> Result<Study, String> {
    let (namespace, name) = play::choose_rollout(objects, scenario)?;
    let Releases {
        healthy,
        bad,
        mut notes,
    } = releases(scenario)?;
    let dimensions = dimensions(arguments, objects)?;
    let seed = arguments.play.seed(scenario);
    let both = Releases {
        healthy,
        bad,
        notes: Vec::new(),
    };
    let plays = |variants: usize, runs: u64| runs.saturating_mul(variants as u64);
    let runs = arguments.runs;
    let found = crew.work("releases", plays(2, runs), runs, seed, |effort| {
        evaluate(objects, &both, traces, effort)
    })?;
    let detail_runs = arguments.detail_runs.unwrap_or(DETAIL_RUNS.min(runs));
    let curve = if arguments.format == Format::Html && scenario.traffic.is_some() {
        let dimension = error_rates(scenario);
        let values = dimension.values.len();
        let swept = crew.work(
            "curve",
            plays(values, detail_runs),
            detail_runs,
            seed,
            |effort| sweep(objects, scenario, traces, &[dimension], effort),
        )?;
        Some(swept).filter(|swept| swept.runs > 0)
    } else {
        None
    };
    let count = dimensions.iter().map(|it| it.values.len()).product();
    let swept = if dimensions.is_empty() {
        None
    } else {
        let swept = crew.work("values", plays(count, runs), runs, seed, |effort| {
            sweep(objects, scenario, traces, &dimensions, effort)
        })?;
        Some(swept)
    };
    let sensitivity = if arguments.no_suggestions || crew.is_stopped() {
        None
    } else {
        let tried = crew.work("changes", 0, detail_runs, seed, |effort| {
            sensitivity(objects, &both, traces, effort)
        })?;
        Some(tried)
    };
    notes.extend(hints(objects, &both.bad.scenario, &found.healthy));
    let played = Variant {
        objects,
        scenario: &both.healthy.scenario,
        traces,
    };
    notes.extend(notes_on_answers(played, seed)?);
    if crew.is_stopped() {
        notes.push("ended early: the figures are of the runs that were done".to_owned());
    }
    let Releases {
        healthy,
        bad,
        notes: _,
    } = both;
    Ok(Study {
        rollout: format!("{namespace}/{name}"),
        command: own_command(&[]),
        base_command: own_command(ASKED_BESIDE),
        seed,
        runs_asked: runs,
        gates: arguments
            .fail_on
            .iter()
            .map(|gate| gate.check(&found.healthy, &found.bad))
            .collect(),
        healthy: ReleaseResult {
            about: healthy.about,
            summary: found.healthy,
        },
        bad: ReleaseResult {
            about: bad.about,
            summary: found.bad,
        },
        sweep: swept,
        curve,
        sensitivity,
        notes,
    })
}

fn dimensions(arguments: &Arguments, objects: &[Value]) -> Result<Vec<Dimension>, String> {
    let mut dimensions = Vec::new();
    for text in &arguments.vary {
        let (address, values) = parse_variation(text)?;
        let field = find(objects, &address)?;
        dimensions.push(Dimension {
            axis: Axis::Field(field),
            values,
        });
    }
    for (axis, text) in [
        (Axis::ErrorRate, &arguments.error_rate),
        (Axis::AddedLatency, &arguments.latency),
        (Axis::Requests, &arguments.rps),
    ] {
        if let Some(text) = text {
            let mut values = parse_values(text)?;
            if axis == Axis::AddedLatency {
                // A plain 0 needs no unit.
                for value in &mut values {
                    if value.as_f64() == Some(0.0) {
                        *value = json!("0s");
                    }
                }
            }
            dimensions.push(Dimension { axis, values });
        }
    }
    Ok(dimensions)
}

/// Options that ask for more than the two releases.
const ASKED_BESIDE: &[&str] = &[
    "--vary",
    "--error-rate",
    "--latency",
    "--rps",
    "--runs",
    "--detail-runs",
    "--format",
    "--fail-on",
];

/// Error rates from none to well above that of a bad release, for the curve of a report.
fn error_rates(scenario: &Scenario) -> Dimension {
    let highest = |errors: &Option<ErrorShare>| match errors {
        None => 0.0,
        Some(ErrorShare::Always(share)) => *share,
        Some(ErrorShare::Changing(changes)) => {
            let shares = changes.from.iter().map(|change| change.share);
            shares.fold(0.0, f64::max)
        }
    };
    let traffic = scenario.traffic.as_ref();
    let kinds = scenario.what_if.as_ref();
    let all = [
        traffic.map(|it| 5.0 * highest(&it.stable.errors)),
        traffic.map(|it| highest(&it.release.errors)),
        kinds.map(|it| highest(&it.bad.errors)),
    ];
    let end = all.into_iter().flatten().fold(0.02, f64::max).min(1.0);
    // Two digits are enough for the steps of a curve.
    let digit = libm::pow(10.0, libm::log10(end / 10.0).floor() - 1.0);
    let step = (end / 10.0 / digit).ceil() * digit;
    let values = (0..=10).map(|at| (f64::from(at) * step * 1e9).round() / 1e9);
    Dimension {
        axis: Axis::ErrorRate,
        values: values.filter(|it| *it <= 1.0).map(|it| json!(it)).collect(),
    }
}

/// The page, with the course of a typical run of each release.
fn page(
    study: &Study,
    objects: &[Value],
    scenario: &Scenario,
    traces: &Store,
) -> io::Result<String> {
    let both = releases(scenario).map_err(io::Error::other)?;
    let typical = |release: &Release, summary: &Summary| {
        let variant = Variant {
            objects,
            scenario: &release.scenario,
            traces,
        };
        typical_run(variant, summary, study.seed).map_err(io::Error::other)
    };
    let healthy = typical(&both.healthy, &study.healthy.summary)?;
    let bad = typical(&both.bad, &study.bad.summary)?;
    let examples = Examples {
        healthy: &healthy,
        bad: &bad,
    };
    report::html(study, Some(examples)).map_err(io::Error::other)
}
