//! What the commands that play with chance have in common: whatif, diff, tune and backtest.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::promql::Store;
use crate::sim::scenario::Scenario;
use crate::source::Sources;
use crate::whatif::Effort;

use super::{input, print, simulate, traces};

/// What is played, and how.
#[derive(Debug, Args)]
pub(super) struct Play {
    /// The requests, and what a healthy and a bad release are (see `rollproof schema scenario`).
    #[arg(long, value_name = "FILE")]
    scenario: PathBuf,

    /// Seed of everything random; the scenario's if not given, else 1.
    #[arg(long, value_name = "K")]
    seed: Option<u64>,

    /// Threads; as many as there are cores if not given. The result does not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    /// The rollout, where there are several.
    #[arg(long, value_name = "NAME")]
    rollout: Option<String>,
}

impl Play {
    /// The scenario, about the rollout that is asked for, and its traces; none where there is an error.
    pub fn read(&self, sources: &mut Sources) -> io::Result<Option<(Scenario, Store)>> {
        let path = &self.scenario;
        let Some(scenarios) = simulate::read_scenarios(sources, path)? else {
            return Ok(None);
        };
        let count = scenarios.len();
        let mut scenarios = scenarios.into_iter();
        let (Some(file), None) = (scenarios.next(), scenarios.next()) else {
            eprintln!(
                "error: {}: has {count} scenarios; give a file with one",
                path.display()
            );
            return Ok(None);
        };
        let mut scenario = file.scenario;
        if self.rollout.is_some() {
            scenario.rollout.clone_from(&self.rollout);
        }
        let traces = traces::read(sources, traces::folder(path), &scenario)?;
        Ok(traces.map(|traces| (scenario, traces)))
    }

    pub fn seed(&self, scenario: &Scenario) -> u64 {
        self.seed.or(scenario.seed).unwrap_or(1)
    }

    pub fn crew(&self) -> Crew {
        Crew::new(self.threads)
    }
}

/// Threads that play, a progress bar, and Ctrl-C.
pub(super) struct Crew {
    threads: usize,
    stop: Arc<AtomicBool>,
}

impl Crew {
    pub fn new(threads: Option<u16>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let heard = stop.clone();
        // The second Ctrl-C ends the program. Without a handler the first one does, as usual.
        let _ = ctrlc::set_handler(move || {
            if heard.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        });
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            threads: threads.map_or_else(cores, usize::from),
            stop,
        }
    }

    /// Whether somebody has pressed Ctrl-C.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Lets the threads work on something, and shows how far it is; `plays` 0: nobody knows how much
    /// there is to do.
    pub fn work<T>(
        &self,
        what: &'static str,
        plays: u64,
        runs: u64,
        seed: u64,
        work: impl FnOnce(&Effort<'_>) -> Result<T, String>,
    ) -> Result<T, String> {
        let bar = if plays > 0 {
            ProgressBar::new(plays)
        } else {
            ProgressBar::no_length()
        };
        let template = if plays > 0 {
            "{msg:10} {wide_bar} {human_pos}/{human_len} eta {eta}"
        } else {
            "{msg:10} {spinner} {human_pos}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        let result = work(&Effort {
            runs,
            seed,
            threads: self.threads,
            stop: &self.stop,
            progress: &|| bar.inc(1),
        });
        bar.finish_and_clear();
        result
    }
}

/// Writes to the file, or prints.
pub(super) fn write_or_print(output: Option<&Path>, text: &str) -> io::Result<()> {
    match output {
        Some(path) => {
            std::fs::write(path, text).map_err(|error| input::named(path, &error.to_string()))
        }
        None => print(text),
    }
}

/// Options that do not matter for the result.
const WITHOUT_EFFECT: &[&str] = &["--threads", "--output", "-o", "--color"];

/// The command line as a shell would read it, without what does not matter for the result, and without
/// these options.
pub(super) fn own_command(without: &[&str]) -> String {
    let mut words = vec!["rollproof".to_owned()];
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (argument.as_str(), None),
        };
        if WITHOUT_EFFECT.contains(&name) || without.contains(&name) {
            if value.is_none() {
                arguments.next();
            }
        } else {
            words.push(quoted(&argument));
        }
    }
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,+%@".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}
