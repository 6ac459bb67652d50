//! `rollproof scale`.

use std::io;

use clap::Args;

use super::{Connection, Outcome, do_to_each};
use crate::engine::verbs::Verb;

/// Set how many pods a rollout is to have.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rollproof scale demo --replicas 5 -n shop")]
pub(in crate::cli) struct Arguments {
    /// The rollouts.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,

    /// Pods of the rollout, old and new ones together.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    replicas: i32,

    #[command(flatten)]
    connection: Connection,
}

pub(super) fn run(arguments: &Arguments, outer: &Connection) -> io::Result<Outcome> {
    let replicas = arguments.replicas;
    do_to_each(
        &arguments.connection.settings(outer),
        &arguments.names,
        |_| Verb::Scale { replicas },
        |name, _| format!("rollout '{name}' scaled to {replicas}"),
    )
}
