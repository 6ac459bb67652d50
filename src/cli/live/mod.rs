//! Commands about a live cluster, fit to the habits of the kubectl plugin of Argo Rollouts.
// A terminal's clock is the wall clock.
#![allow(clippy::disallowed_methods)]

mod abort;
mod connection;
mod create;
mod get;
mod list;
mod pause;
mod promote;
mod restart;
mod retry;
mod scale;
mod set;
mod status;
mod terminate;
mod undo;

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Subcommand;

use crate::engine::verbs::Verb;
use crate::live::client::{self, Settings};
use crate::live::user::cluster::Cluster;
use crate::live::user::failure::Failure;
use crate::live::user::verbs::{Written, carry_out};
use crate::time::Timestamp;

use super::{Outcome, print as out};
use crate::report::timeline::Look;
pub(super) use connection::Connection;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Get(get::Arguments),
    List(list::Arguments),
    Status(status::Arguments),
    Promote(promote::Arguments),
    Abort(abort::Arguments),
    Retry(retry::Arguments),
    Pause(pause::Arguments),
    Undo(undo::Arguments),
    Restart(restart::Arguments),
    Set(set::Arguments),
    Terminate(terminate::Arguments),
    Scale(scale::Arguments),
    Create(create::Arguments),
}

/// Flags that say which cluster stand before the commands here, and after them, but not after others.
pub(super) fn keep_off_other_commands(command: clap::Command) -> clap::Command {
    command.mut_args(|argument| match argument.get_help_heading() {
        Some(connection::HEADING) => argument.global(false),
        Some(_) | None => argument,
    })
}

/// Through a link named `kubectl-rollproof` it is a command of kubectl, and calls itself so.
pub(super) fn name_by_link(command: clap::Command) -> clap::Command {
    let program = std::env::args_os().next().map(PathBuf::from);
    let stem = program.as_deref().and_then(Path::file_stem);
    match stem.and_then(|stem| stem.to_str()?.strip_prefix("kubectl-")) {
        Some(plugin) => command.bin_name(format!("kubectl {plugin}")),
        None => command,
    }
}

/// Runs a command; `outer` are the flags before it.
pub(super) fn run(command: &Command, outer: &Connection, look: Look) -> io::Result<Outcome> {
    match command {
        Command::Get(arguments) => get::run(arguments, outer, look),
        Command::List(arguments) => list::run(arguments, outer),
        Command::Status(arguments) => status::run(arguments, outer),
        Command::Promote(arguments) => promote::run(arguments, outer),
        Command::Abort(arguments) => abort::run(arguments, outer),
        Command::Retry(arguments) => retry::run(arguments, outer),
        Command::Pause(arguments) => pause::run(arguments, outer),
        Command::Undo(arguments) => undo::run(arguments, outer),
        Command::Restart(arguments) => restart::run(arguments, outer),
        Command::Set(arguments) => set::run(arguments, outer),
        Command::Terminate(arguments) => terminate::run(arguments, outer),
        Command::Scale(arguments) => scale::run(arguments, outer),
        Command::Create(arguments) => create::run(arguments, outer),
    }
}

/// What a command came to on a cluster.
type Ended = Result<Outcome, Problem>;

/// Why a command ended early.
enum Problem {
    Cluster(Failure),
    Output(io::Error),
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Problem::Cluster(failure)
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Problem::Output(error)
    }
}

/// Connects, runs `action`, and says what went wrong.
fn on_cluster(
    settings: &Settings,
    action: impl AsyncFnOnce(Cluster) -> Ended,
) -> io::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let connected = async {
            let config = client::configure(settings).await?;
            let namespace = config.default_namespace.clone();
            let server = config.cluster_url.to_string();
            let client = client::client(config)?;
            Ok::<_, client::ConnectError>(Cluster {
                client,
                namespace,
                server,
            })
        };
        let cluster = match connected.await {
            Ok(cluster) => cluster,
            Err(error) => {
                eprintln!("error: {error}");
                return Ok(Outcome::WrongUse);
            }
        };
        match action(cluster).await {
            Ok(outcome) => Ok(outcome),
            Err(Problem::Cluster(failure)) => {
                eprintln!("error: {failure}");
                Ok(Outcome::Findings)
            }
            Err(Problem::Output(error)) => Err(error),
        }
    })
}

/// Does `verb` to each of `names`, and prints what `told` makes of it.
fn do_to_each(
    settings: &Settings,
    names: &[String],
    verb: impl Fn(&str) -> Verb,
    told: impl Fn(&str, &[Written]) -> String,
) -> io::Result<Outcome> {
    on_cluster(settings, async |cluster| {
        for name in names {
            let written = carry_out(&cluster, name, &verb(name), now()).await?;
            out(&format!("{}\n", told(name, &written)))?;
        }
        Ok(Outcome::Clean)
    })
}

/// The wall clock.
fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanos = since_epoch.map_or(0, |passed| passed.as_nanos());
    Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
}
