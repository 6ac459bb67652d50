//! `rollproof status`.

use std::io;

use clap::Args;

use super::{Connection, Ended, Outcome, Problem, on_cluster, out};
use crate::engine::objects::{Kind, Object};
use crate::live::user::failure::Failure;
use crate::live::user::follow::{Next, Query, Update, follow};
use crate::live::user::verbs::{read_object, rollout};
use crate::report::objects::displayed_phase;
use crate::spec::rollout_status::RolloutPhase;
use crate::time::Duration;

/// Wait until a rollout is healthy or degraded, and fail unless it is healthy.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rollproof status demo -n shop                    until it is healthy (0) or degraded (1)
  rollproof status demo -n shop --timeout 10m      at most so long
  rollproof status demo -n shop --watch=false      as it is now; 1 only if degraded")]
pub(in crate::cli) struct Arguments {
    /// The rollout.
    name: String,

    /// Whether to wait.
    #[arg(long, short, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    watch: bool,

    /// How long to wait, such as 90s or 10m; 0 for ever.
    #[arg(long, short, value_name = "TIME", default_value = "0s", value_parser = Duration::parse_go)]
    timeout: Duration,

    #[command(flatten)]
    connection: Connection,
}

pub(super) fn run(arguments: &Arguments, outer: &Connection) -> io::Result<Outcome> {
    let settings = if arguments.watch {
        arguments.connection.watching(outer)
    } else {
        arguments.connection.settings(outer)
    };
    on_cluster(&settings, async |cluster| {
        let name = arguments.name.as_str();
        let first = rollout(&cluster, name).await?;
        let (phase, message) = displayed_phase(&first);
        if !arguments.watch {
            out(&format!("{}\n", line(phase, &message, is_final(phase))))?;
            return ended(phase, &message);
        }
        let queries = [Query::named(Kind::Rollout, name)];
        let timeout = u64::try_from(arguments.timeout.as_nanos()).ok();
        let timeout = timeout.filter(|nanos| *nanos > 0);
        let mut last = String::new();
        let result = follow(
            &cluster,
            &queries,
            timeout.map(std::time::Duration::from_nanos),
            |update| {
                let found = match update {
                    Update::Objects(found) => found,
                    Update::Trouble(message) => {
                        eprintln!("warning: {message}");
                        return Ok::<_, Problem>(Next::Watch);
                    }
                };
                let Some(object) = found.iter().flatten().next() else {
                    let reason = format!("rollout {name:?} has been deleted");
                    return Err(Failure::Refused(reason).into());
                };
                let Object::Rollout(rollout) = read_object(&Kind::Rollout, object.clone())? else {
                    return Ok(Next::Watch);
                };
                let (phase, message) = displayed_phase(&rollout);
                let text = line(phase, &message, message.is_empty());
                if text != last {
                    out(&format!("{text}\n"))?;
                    last = text;
                }
                Ok(if is_final(phase) {
                    Next::End((phase, message))
                } else {
                    Next::Watch
                })
            },
        )
        .await?;
        match result {
            Some((phase, message)) => ended(phase, &message),
            None => Err(Failure::Refused(format!(
                "Rollout status watch exceeded timeout; see: rollproof get rollout {name}"
            ))
            .into()),
        }
    })
}

fn is_final(phase: RolloutPhase) -> bool {
    matches!(phase, RolloutPhase::Healthy | RolloutPhase::Degraded)
}

fn line(phase: RolloutPhase, message: &str, is_short: bool) -> String {
    if is_short {
        phase.to_string()
    } else {
        format!("{phase} - {message}")
    }
}

fn ended(phase: RolloutPhase, message: &str) -> Ended {
    match phase {
        RolloutPhase::Degraded => Err(Failure::Refused(format!(
            "The rollout is in a degraded state with message: {message}"
        ))
        .into()),
        RolloutPhase::Healthy
        | RolloutPhase::Progressing
        | RolloutPhase::Paused
        | RolloutPhase::Unset => Ok(Outcome::Clean),
    }
}
