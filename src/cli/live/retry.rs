//! `rollproof retry`.

use std::io;

use clap::{Args, Subcommand};

use super::{Connection, Outcome, do_to_each};
use crate::engine::verbs::Verb;

/// Try an aborted rollout or a failed experiment again.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rollproof retry rollout demo -n shop
  rollproof retry experiment demo-6cf78c66c5-2 -n shop")]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    what: What,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Try an aborted update again, from its first step.
    #[command(visible_aliases = ["ro", "rollouts"])]
    Rollout {
        /// The rollouts.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Start a failed experiment again.
    #[command(visible_aliases = ["exp", "experiments"])]
    Experiment {
        /// The experiments.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

pub(super) fn run(arguments: &Arguments, outer: &Connection) -> io::Result<Outcome> {
    let settings = arguments.connection.settings(outer);
    match &arguments.what {
        What::Rollout { names } => do_to_each(
            &settings,
            names,
            |_| Verb::Retry,
            |name, _| format!("rollout '{name}' retried"),
        ),
        What::Experiment { names } => do_to_each(
            &settings,
            names,
            |name| Verb::RetryExperiment {
                name: Some(name.to_owned()),
            },
            |name, _| format!("experiment '{name}' retried"),
        ),
    }
}
