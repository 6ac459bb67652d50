//! `rollproof test`.

use std::io;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::report::test_results::{TestResult, junit, render};
use crate::report::timeline::Look;
use crate::sim::play;
use crate::source::Sources;

use super::{Outcome, print, simulate, traces};

/// Run scenarios with expectations, as unit tests of a rollout.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rollproof test k8s/ --scenario tests/bad.yaml --scenario tests/good.yaml
  rollproof test k8s/ --scenario tests/bad.yaml --format junit > report.xml

Exit codes: 0 all passed, 1 a failed expectation, 2 wrong use, 3 internal error")]
pub(super) struct Arguments {
    /// Manifests: files, folders, or - for standard input.
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,

    /// Scenarios to run; a file may hold several documents.
    #[arg(long, required = true, value_name = "FILE")]
    scenario: Vec<PathBuf>,

    /// How to print the results.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    /// JUnit XML.
    Junit,
}

pub(super) fn run(arguments: &Arguments, look: Look) -> io::Result<Outcome> {
    let mut sources = Sources::new();
    let Some(objects) = simulate::read_objects(&mut sources, &arguments.files)? else {
        return Ok(Outcome::WrongUse);
    };
    let mut results = Vec::new();
    for path in &arguments.scenario {
        let Some(scenarios) = simulate::read_scenarios(&mut sources, path)? else {
            return Ok(Outcome::WrongUse);
        };
        for file in scenarios {
            let place = sources.describe(file.span);
            let mut failures = Vec::new();
            if file.scenario.expect.is_empty() {
                failures.push("the scenario expects nothing: a test that cannot fail".to_owned());
            }
            let folder = traces::folder(path);
            let Some(traces) = traces::read(&mut sources, folder, &file.scenario)? else {
                return Ok(Outcome::WrongUse);
            };
            match play::play_with_traces(&objects, &file.scenario, &traces) {
                Ok(play) => {
                    for (check, span) in play.checks.iter().zip(&file.expectations) {
                        if !check.passed {
                            failures.push(format!(
                                "{}: expected {}; found {}",
                                sources.describe(*span),
                                check.expected,
                                check.found
                            ));
                        }
                    }
                }
                Err(error) => failures.push(error),
            }
            results.push(TestResult {
                name: place,
                about: file.scenario.about.clone(),
                failures,
                expectations: file.scenario.expect.len(),
            });
        }
    }
    let text = match arguments.format {
        Format::Text => render(&results, look),
        Format::Junit => junit(&results),
    };
    print(&text)?;
    Ok(if results.iter().all(TestResult::passed) {
        Outcome::Clean
    } else {
        Outcome::Findings
    })
}
