//! `rollproof pause`.

use std::io;

use clap::Args;

use super::{Connection, Outcome, do_to_each};
use crate::engine::verbs::Verb;

/// Pause a rollout (`spec.paused`) until it is promoted.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rollproof pause demo -n shop")]
pub(in crate::cli) struct Arguments {
    /// The rollouts.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,

    #[command(flatten)]
    connection: Connection,
}

pub(super) fn run(arguments: &Arguments, outer: &Connection) -> io::Result<Outcome> {
    do_to_each(
        &arguments.connection.settings(outer),
        &arguments.names,
        |_| Verb::Pause,
        |name, _| format!("rollout '{name}' paused"),
    )
}
