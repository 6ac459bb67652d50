//! Schema, completions and man page.

use std::io;

use clap::Args;
use clap_complete::Shell;

use super::Outcome;

/// Print the JSON schema of a file format, for editors.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rollproof schema scenario > scenario.schema.json")]
pub(super) struct SchemaArguments {
    format: Format,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    /// Scenarios, as `simulate` and `test` read them.
    Scenario,
    /// Settings of lint, rollproof.toml.
    Settings,
}

/// Print completions for a shell.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rollproof completions bash > /etc/bash_completion.d/rollproof")]
pub(super) struct CompletionsArguments {
    shell: Shell,
}

/// Print the man page.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rollproof man | man -l -")]
pub(super) struct ManArguments {}

pub(super) fn schema(arguments: &SchemaArguments) -> io::Result<Outcome> {
    let schema = match arguments.format {
        Format::Scenario => crate::sim::scenario::json_schema(),
        Format::Settings => crate::lint::config_schema::json_schema(),
    };
    super::print(&format!("{schema:#}\n"))?;
    Ok(Outcome::Clean)
}

pub(super) fn completions(arguments: &CompletionsArguments) -> io::Result<Outcome> {
    let mut out = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut super::command(),
        "rollproof",
        &mut out,
    );
    super::print(&String::from_utf8_lossy(&out))?;
    Ok(Outcome::Clean)
}

pub(super) fn man(_arguments: &ManArguments) -> io::Result<Outcome> {
    let mut out = Vec::new();
    clap_mangen::Man::new(super::command()).render(&mut out)?;
    super::print(&String::from_utf8_lossy(&out))?;
    Ok(Outcome::Clean)
}
