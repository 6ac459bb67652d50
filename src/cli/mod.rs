//! The command line: one file a command. The only place that reads files, prints and exits.
//!
//! Exit codes: 0 clean, 1 findings or a failed expectation, 2 wrong use (also files that cannot be
//! read), 3 an internal error.

mod backtest;
#[cfg(feature = "live")]
mod controller;
mod diff;
mod explain;
mod input;
mod lint;
#[cfg(feature = "live")]
mod live;
mod lsp;
#[cfg(feature = "live")]
mod manifests;
mod manual;
mod plays;
mod problems;
mod promql;
mod prove;
#[cfg(feature = "live")]
mod reference_flags;
#[cfg(feature = "live")]
mod replay;
mod simulate;
mod test;
mod traces;
mod tune;
mod whatif;

use std::io::{IsTerminal, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::report::timeline::Look;

/// Simulates, lints and questions Argo Rollouts offline.
#[derive(Debug, Parser)]
#[command(
    name = "rollproof",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,

    /// When to use colours.
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    color: Colour,

    #[cfg(feature = "live")]
    #[command(flatten)]
    connection: live::Connection,
}

#[derive(Debug, Subcommand)]
enum Command {
    Simulate(simulate::Arguments),
    Test(test::Arguments),
    #[cfg(feature = "live")]
    Replay(replay::Arguments),
    Lint(lint::Arguments),
    Lsp(lsp::Arguments),
    #[cfg(feature = "live")]
    Controller(controller::Arguments),
    #[cfg(feature = "live")]
    Manifests(manifests::Arguments),
    Explain(explain::Arguments),
    Promql(promql::Arguments),
    Prove(prove::Arguments),
    Whatif(Box<whatif::Arguments>),
    Diff(diff::Arguments),
    Tune(Box<tune::Arguments>),
    Backtest(Box<backtest::Arguments>),
    Schema(manual::SchemaArguments),
    Completions(manual::CompletionsArguments),
    Man(manual::ManArguments),
    #[cfg(feature = "live")]
    #[command(flatten)]
    Live(live::Command),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Colour {
    /// On terminals, unless NO_COLOR is set.
    Auto,
    Always,
    Never,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Clean,
    /// Findings, or an expectation that failed.
    Findings,
    /// The command line, or a file named on it, cannot be used.
    WrongUse,
}

/// Parses the command line, runs the command, and gives its exit code.
pub fn main() -> ExitCode {
    let arguments = match Arguments::from_arg_matches(&command().get_matches()) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    match catch_unwind(AssertUnwindSafe(|| run(&arguments))) {
        Ok(Ok(Outcome::Clean)) => ExitCode::SUCCESS,
        Ok(Ok(Outcome::Findings)) => ExitCode::from(1),
        Ok(Ok(Outcome::WrongUse)) => ExitCode::from(2),
        // Whoever read our output went away: nothing is left to say.
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
        Err(_) => {
            eprintln!("this is a bug of rollproof; please report it with the input that caused it");
            ExitCode::from(3)
        }
    }
}

/// The command line as it is parsed, helped with and completed.
fn command() -> clap::Command {
    let command = Arguments::command();
    #[cfg(feature = "live")]
    let command = live::name_by_link(live::keep_off_other_commands(command));
    command
}

fn run(arguments: &Arguments) -> std::io::Result<Outcome> {
    #[cfg(feature = "live")]
    if !arguments.connection.is_empty() && !matches!(arguments.command, Command::Live(_)) {
        eprintln!(
            "error: which cluster is said before commands about rollouts only; see --help after it"
        );
        return Ok(Outcome::WrongUse);
    }
    let look = look(arguments.color);
    match &arguments.command {
        Command::Simulate(arguments) => simulate::run(arguments, look),
        Command::Test(arguments) => test::run(arguments, look),
        #[cfg(feature = "live")]
        Command::Replay(arguments) => replay::run(arguments, look),
        Command::Lint(arguments) => lint::run(arguments, look),
        Command::Lsp(arguments) => lsp::run(arguments),
        #[cfg(feature = "live")]
        Command::Controller(arguments) => controller::run(arguments),
        #[cfg(feature = "live")]
        Command::Manifests(arguments) => manifests::run(arguments),
        Command::Explain(arguments) => explain::run(arguments),
        Command::Promql(arguments) => promql::run(arguments, look),
        Command::Prove(arguments) => prove::run(arguments, look),
        Command::Whatif(arguments) => whatif::run(arguments, look),
        Command::Diff(arguments) => diff::run(arguments, look),
        Command::Tune(arguments) => tune::run(arguments, look),
        Command::Backtest(arguments) => backtest::run(arguments, look),
        Command::Schema(arguments) => manual::schema(arguments),
        Command::Completions(arguments) => manual::completions(arguments),
        Command::Man(arguments) => manual::man(arguments),
        #[cfg(feature = "live")]
        Command::Live(command) => live::run(command, &arguments.connection, look),
    }
}

fn look(colour: Colour) -> Look {
    let terminal = std::io::stdout().is_terminal();
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let width = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok())
        .unwrap_or(0);
    Look {
        colour: match colour {
            Colour::Auto => terminal && !no_colour,
            Colour::Always => true,
            Colour::Never => false,
        },
        width,
    }
}

/// Prints to standard output; a closed pipe is an error to end by, not a panic.
fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
