//! `rollproof terminate`.

use std::io;

use clap::{Args, Subcommand};

use super::{Connection, Outcome, do_to_each};
use crate::engine::verbs::Verb;

/// End a running AnalysisRun or Experiment early.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rollproof terminate analysisrun demo-6cf78c66c5-2-1 -n shop
  rollproof terminate experiment demo-6cf78c66c5-2-0 -n shop")]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    what: What,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Subcommand)]
enum What {
    /// End AnalysisRuns; what they measured until then counts.
    #[command(name = "analysisrun", visible_aliases = ["ar", "analysisruns"])]
    AnalysisRun {
        /// The AnalysisRuns.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// End Experiments.
    #[command(visible_aliases = ["exp", "experiments"])]
    Experiment {
        /// The Experiments.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

pub(super) fn run(arguments: &Arguments, outer: &Connection) -> io::Result<Outcome> {
    let settings = arguments.connection.settings(outer);
    match &arguments.what {
        What::AnalysisRun { names } => do_to_each(
            &settings,
            names,
            |name| Verb::TerminateAnalysis {
                name: Some(name.to_owned()),
            },
            |name, _| format!("analysisRun '{name}' terminated"),
        ),
        What::Experiment { names } => do_to_each(
            &settings,
            names,
            |name| Verb::TerminateExperiment {
                name: Some(name.to_owned()),
            },
            |name, _| format!("experiment '{name}' terminated"),
        ),
    }
}
