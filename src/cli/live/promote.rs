//! `rollproof promote`.

use std::io;

use clap::Args;

use super::{Connection, Outcome, do_to_each};
use crate::engine::verbs::Verb;

/// Let a rollout go on: past a pause, past its current step, or to its end.
///
/// Of a rollout that is paused the pause ends; else it goes on from its current step.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rollproof promote demo -n shop              end the pause, or the current step
  rollproof promote demo --full               skip steps, pauses and analyses")]
pub(in crate::cli) struct Arguments {
    /// The rollout.
    name: String,

    /// To the end at once: without steps, pauses and analyses.
    #[arg(long, conflicts_with_all = ["skip_current_step", "skip_all_steps"])]
    full: bool,

    /// Go on from the current step, also while paused.
    #[arg(long, short = 'c', conflicts_with = "skip_all_steps")]
    skip_current_step: bool,

    /// Go on behind the last step.
    #[arg(long, short = 'a')]
    skip_all_steps: bool,

    #[command(flatten)]
    connection: Connection,
}

pub(super) fn run(arguments: &Arguments, outer: &Connection) -> io::Result<Outcome> {
    let (verb, word) = if arguments.full {
        (Verb::PromoteFull, "fully promoted")
    } else if arguments.skip_current_step {
        (Verb::SkipCurrentStep, "promoted")
    } else if arguments.skip_all_steps {
        (Verb::SkipAllSteps, "promoted")
    } else {
        (Verb::Promote, "promoted")
    };
    do_to_each(
        &arguments.connection.settings(outer),
        std::slice::from_ref(&arguments.name),
        |_| verb.clone(),
        |name, written| {
            let idle = if written.is_empty() {
                "; nothing was left to do"
            } else {
                ""
            };
            format!("rollout '{name}' {word}{idle}")
        },
    )
}
