//! `rollproof restart`.

use std::io;

use clap::Args;

use super::{Connection, Outcome, do_to_each, now};
use crate::engine::verbs::Verb;
use crate::time::Duration;

/// Replace all pods of a rollout, now or a little later.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rollproof restart demo -n shop
  rollproof restart demo --in 10m -n shop")]
pub(in crate::cli) struct Arguments {
    /// The rollout.
    name: String,

    /// How long from now, such as 30s, 5m or 1h.
    #[arg(long = "in", short = 'i', value_name = "TIME", default_value = "0s", value_parser = delay)]
    delay: Duration,

    #[command(flatten)]
    connection: Connection,
}

fn delay(text: &str) -> Result<Duration, String> {
    let delay = Duration::parse_go(text).map_err(|error| error.to_string())?;
    if delay.is_negative() {
        return Err("pods cannot be restarted in the past".to_owned());
    }
    Ok(delay)
}

pub(super) fn run(arguments: &Arguments, outer: &Connection) -> io::Result<Outcome> {
    let (delay, at) = (arguments.delay, now() + arguments.delay);
    do_to_each(
        &arguments.connection.settings(outer),
        std::slice::from_ref(&arguments.name),
        |_| Verb::Restart { at: Some(at) },
        |name, _| format!("rollout '{name}' restarts in {delay}"),
    )
}
