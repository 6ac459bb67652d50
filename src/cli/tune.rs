//! `rollproof tune`.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::lint::values::{NewValue, write_values};
use crate::report::timeline::Look;
use crate::report::whatif::{TuningReport, tuning_html, tuning_json, tuning_text};
use crate::sim::play;
use crate::source::Sources;
use crate::whatif::releases;
use crate::whatif::tune::{Bounds, Choice, Demands, Tuned, tune};
use crate::whatif::vary::with_value;

use super::lint::fixes;
use super::plays::{Play, own_command, write_or_print};
use super::{Outcome, input, print, simulate};

/// Search weights, pauses, counts, intervals, limits, windows and thresholds that are fast and do little harm.
///
/// Plays many settings with the same chance, few times at first and more often those that do well, and tells
/// those of which none is both slower and more harmful than another, under the demands for wrong decisions.
/// --write writes the chosen ones into the manifests; comments stay. See docs/whatif.md.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rollproof tune k8s/ --scenario traffic.yaml
  rollproof tune k8s/ --scenario traffic.yaml --max-false-abort 1% --min-detect 95%
  rollproof tune k8s/ --scenario traffic.yaml --choose fastest --write
  rollproof tune k8s/ --scenario traffic.yaml --format html -o tune.html

Exit codes: 0 settings were found, 1 none meet the demands, 2 wrong use, 3 internal error")]
pub(super) struct Arguments {
    /// Manifests: files, folders, or - for standard input.
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    play: Play,

    /// Share of the healthy releases that may fail to reach everybody.
    #[arg(long, value_name = "SHARE", default_value = "1%", value_parser = share)]
    max_false_abort: f64,

    /// Share of the bad releases that have to be aborted.
    #[arg(long, value_name = "SHARE", default_value = "95%", value_parser = share)]
    min_detect: f64,

    /// Which of the best settings to take: fastest, safest, balanced, or their number.
    #[arg(long, value_name = "WHICH", default_value = "balanced", value_parser = choice)]
    choose: Choice,

    /// Write the chosen settings into the manifests.
    #[arg(long)]
    write: bool,

    /// Releases of each kind to play for the settings that are told.
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    runs: u64,

    /// Simulations to play in all, about.
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    budget: u64,

    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Write the result to this file.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    /// One JSON object.
    Json,
    /// One page that needs nothing else.
    Html,
}

/// `1%`, or `0.01`.
fn share(text: &str) -> Result<f64, String> {
    let share = match text.trim().strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|it| it / 100.0),
        None => text.trim().parse::<f64>(),
    };
    let share = share.ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("{text:?} is no share: write 1% or 0.01"))
}

fn choice(text: &str) -> Result<Choice, String> {
    match text {
        "fastest" => Ok(Choice::Fastest),
        "safest" => Ok(Choice::Safest),
        "balanced" => Ok(Choice::Balanced),
        number => number
            .parse()
            .ok()
            .filter(|number| *number > 0)
            .map(Choice::Number)
            .ok_or_else(|| format!("{text:?} is none of fastest, safest, balanced, 1, 2, ...")),
    }
}

pub(super) fn run(arguments: &Arguments, look: Look) -> io::Result<Outcome> {
    let mut sources = Sources::new();
    let files = input::read_paths(&arguments.files)?;
    let is_stdin = |(name, _): &(String, Vec<u8>)| name == "<stdin>";
    if arguments.write && files.iter().any(is_stdin) {
        eprintln!("error: --write needs files to write to, not standard input");
        return Ok(Outcome::WrongUse);
    }
    let Some(objects) = simulate::objects_of(&mut sources, &files) else {
        return Ok(Outcome::WrongUse);
    };
    let Some((scenario, traces)) = arguments.play.read(&mut sources)? else {
        return Ok(Outcome::WrongUse);
    };
    let crew = arguments.play.crew();
    let seed = arguments.play.seed(&scenario);
    let demands = Demands {
        max_false_abort: arguments.max_false_abort,
        min_detect: arguments.min_detect,
    };
    let bounds = Bounds {
        runs: arguments.runs,
        plays: arguments.budget,
    };
    let found = (|| {
        let (namespace, name) = play::choose_rollout(&objects, &scenario)?;
        let both = releases(&scenario)?;
        let tuning = crew.work("settings", bounds.plays, bounds.runs, seed, |effort| {
            tune(&objects, &both, &traces, demands, bounds, effort)
        })?;
        let mut notes = both.notes;
        if crew.is_stopped() {
            notes.push("ended early: the figures are of what was played".to_owned());
        }
        let chosen = arguments.choose.index(&tuning.front);
        if let (Choice::Number(number), None, false) =
            (arguments.choose, chosen, tuning.front.is_empty())
        {
            return Err(format!(
                "--choose {number}: there are {} best settings",
                tuning.front.len()
            ));
        }
        Ok(TuningReport {
            rollout: format!("{namespace}/{name}"),
            command: own_command(&[]),
            seed,
            healthy_about: both.healthy.about,
            bad_about: both.bad.about,
            tuning,
            chosen,
            notes,
        })
    })();
    let report = match found {
        Ok(report) => report,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(Outcome::WrongUse);
        }
    };
    let text = match arguments.format {
        Format::Text => tuning_text(&report, look),
        Format::Json => tuning_json(&report),
        Format::Html => tuning_html(&report).map_err(io::Error::other)?,
    };
    write_or_print(arguments.output.as_deref(), &text)?;
    let Some(tuned) = report.chosen.and_then(|it| report.tuning.front.get(it)) else {
        return Ok(Outcome::Findings);
    };
    if arguments.write || (arguments.format == Format::Text && arguments.output.is_none()) {
        return patch(arguments, &objects, &files, tuned, look);
    }
    Ok(Outcome::Clean)
}

/// Shows what the settings change in the files, and writes it where that is wanted.
fn patch(
    arguments: &Arguments,
    objects: &[serde_json::Value],
    files: &[(String, Vec<u8>)],
    tuned: &Tuned,
    look: Look,
) -> io::Result<Outcome> {
    let mut wanted = objects.to_vec();
    let mut values = Vec::new();
    for change in &tuned.changes {
        wanted = with_value(&wanted, &change.place, &change.after);
        values.push(NewValue {
            object: change.place.object,
            steps: change.place.steps.clone(),
            value: change.after.clone(),
        });
    }
    let texts = match write_values(files, &values, &wanted) {
        Ok(texts) => texts,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(Outcome::WrongUse);
        }
    };
    if arguments.format == Format::Text && arguments.output.is_none() {
        print(&format!("\n{}", fixes::diff(files, &texts, look)))?;
    }
    if arguments.write {
        for ((name, _), text) in files.iter().zip(&texts) {
            if let Some(text) = text {
                std::fs::write(name, text)
                    .map_err(|error| input::named(Path::new(name), &error.to_string()))?;
                eprintln!("wrote {name}");
            }
        }
    } else if !tuned.changes.is_empty() {
        print("\n--write writes this into the manifests; --choose takes other settings.\n")?;
    }
    Ok(Outcome::Clean)
}
