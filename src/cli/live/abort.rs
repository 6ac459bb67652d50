//! `rollproof abort`.

use std::io;

use clap::Args;

use super::{Connection, Outcome, do_to_each};
use crate::engine::verbs::Verb;

/// Stop an update: all traffic goes back to the stable revision.
///
/// The spec keeps the new revision; `retry rollout` tries it again, `undo` brings the old one back.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rollproof abort demo -n shop")]
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
        |_| Verb::Abort,
        |name, _| format!("rollout '{name}' aborted"),
    )
}
