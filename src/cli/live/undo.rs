//! `rollproof undo`.

use std::io;

use clap::Args;

use super::{Connection, Outcome, do_to_each};
use crate::engine::verbs::Verb;

/// Bring back the pod template of an earlier revision.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rollproof undo demo -n shop                      the revision before the newest
  rollproof undo demo --to-revision 3 -n shop")]
pub(in crate::cli) struct Arguments {
    /// The rollout.
    name: String,

    /// The revision, as `rollproof get rollout` shows it; 0 for the one before the newest.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    to_revision: i64,

    #[command(flatten)]
    connection: Connection,
}

pub(super) fn run(arguments: &Arguments, outer: &Connection) -> io::Result<Outcome> {
    let revision = Some(arguments.to_revision).filter(|revision| *revision > 0);
    do_to_each(
        &arguments.connection.settings(outer),
        std::slice::from_ref(&arguments.name),
        |_| Verb::Undo { revision },
        |name, written| {
            if written.is_empty() {
                let revision = arguments.to_revision;
                format!("skipped rollback (current template already matches revision {revision})")
            } else {
                format!("rollout '{name}' undo")
            }
        },
    )
}
