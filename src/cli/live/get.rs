//! `rollproof get`.

use std::io::{self, IsTerminal};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::{Connection, Ended, Outcome, on_cluster, out};
use crate::engine::objects::Kind;
use crate::live::user::cluster::Cluster;
use crate::live::user::failure::Failure;
use crate::live::user::follow::{Found, Next, Query, Update, follow, gather};
use crate::live::user::views;
use crate::report::objects::{experiment_text, rollout_text};
use crate::report::timeline::Look;
use crate::time::Timestamp;

/// Show a rollout or an experiment, and what belongs to it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rollproof get rollout demo -n shop
  rollproof get rollout demo -n shop --watch
  rollproof get experiment demo-6cf78c66c5-2-0 -n shop -o json")]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    what: What,

    /// Show it again whenever something changes.
    #[arg(long, short, global = true)]
    watch: bool,

    /// Stop watching after so many seconds; 0 for never.
    #[arg(long, global = true, value_name = "N", default_value_t = 0)]
    timeout_seconds: u64,

    /// Without colours, as --color never.
    #[arg(long, global = true)]
    no_color: bool,

    /// How to print it.
    #[arg(long, short, global = true, value_enum, default_value_t = Format::Text)]
    output: Format,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show a rollout: summary, and revisions with their ReplicaSets, pods, runs and experiments.
    #[command(visible_aliases = ["ro", "rollouts"])]
    Rollout {
        /// The rollout.
        name: String,
    },
    /// Show an experiment with its ReplicaSets, pods and runs.
    #[command(visible_aliases = ["exp", "experiments"])]
    Experiment {
        /// The experiment.
        name: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    /// What is shown, as JSON; the objects themselves are had by kubectl.
    Json,
}

pub(super) fn run(arguments: &Arguments, outer: &Connection, look: Look) -> io::Result<Outcome> {
    let look = Look {
        colour: look.colour && !arguments.no_color,
        ..look
    };
    let settings = if arguments.watch {
        arguments.connection.watching(outer)
    } else {
        arguments.connection.settings(outer)
    };
    on_cluster(&settings, async |cluster| {
        let shown = |found: &Found, now: Timestamp| match &arguments.what {
            What::Rollout { name } => {
                let view = views::rollout(name, found)?;
                Ok(view.map(|view| match arguments.output {
                    Format::Text => rollout_text(&view, now, look),
                    Format::Json => json(&view),
                }))
            }
            What::Experiment { name } => {
                let view = views::experiment(name, found)?;
                Ok(view.map(|view| match arguments.output {
                    Format::Text => experiment_text(&view, now, look),
                    Format::Json => json(&view),
                }))
            }
        };
        let (kind, name, queries) = match &arguments.what {
            What::Rollout { name } => (Kind::Rollout, name, views::rollout_queries(name)),
            What::Experiment { name } => (Kind::Experiment, name, views::experiment_queries(name)),
        };
        if arguments.watch {
            // What cannot be read at all is said at once, not tried again and again.
            cluster.get(&kind, name).await?;
            let timeout = Some(arguments.timeout_seconds).filter(|seconds| *seconds > 0);
            watch(&cluster, &queries, timeout.map(Duration::from_secs), shown).await
        } else {
            match shown(&gather(&cluster, &queries).await?, super::now())? {
                Some(text) => out(&text)?,
                // The server's own words.
                None => drop(cluster.get(&kind, name).await?),
            }
            Ok(Outcome::Clean)
        }
    })
}

async fn watch(
    cluster: &Cluster,
    queries: &[Query],
    timeout: Option<Duration>,
    shown: impl Fn(&Found, Timestamp) -> Result<Option<String>, Failure>,
) -> Ended {
    // Cleared, a terminal shows one state; elsewhere a state follows the other.
    let clear = if io::stdout().is_terminal() {
        "\x1b[H\x1b[2J\x1b[3J"
    } else {
        ""
    };
    let mut last = String::new();
    let ended = follow(cluster, queries, timeout, |update| {
        match update {
            Update::Trouble(message) => eprintln!("warning: {message}"),
            Update::Objects(found) => match shown(found, super::now())? {
                None => {
                    eprintln!("it has been deleted");
                    return Ok::<_, super::Problem>(Next::End(Outcome::Findings));
                }
                Some(text) if text != last => {
                    out(&format!("{clear}{text}"))?;
                    last = text;
                }
                Some(_) => {}
            },
        }
        Ok(Next::Watch)
    })
    .await?;
    Ok(ended.unwrap_or(Outcome::Clean))
}

/// Views hold texts and numbers only, which always serialize.
fn json(view: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(view).unwrap_or_default();
    format!("{text}\n")
}
