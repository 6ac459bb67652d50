//! `rollproof lint`.

use std::io;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::lint::{Report, Settings, lint, output};
use crate::report::timeline::Look;
use crate::source::{Severity, Sources};
use crate::spec::bundle::Bundle;

use super::{Outcome, input, print, problems};

/// Find what a cluster would refuse, and what would hurt although it is accepted.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rollproof lint k8s/                        all manifests of a folder
  helm template chart | rollproof lint -     manifests from a pipe
  rollproof explain empty-result-passes      what a rule finds, and why it hurts

Exit codes: 0 clean, 1 findings at or above --fail-on, 2 wrong use, 3 internal error")]
pub(super) struct Arguments {
    /// Manifests: files, folders, or - for standard input.
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,

    /// How to print the findings.
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    format: Format,

    /// The least severity of a finding that makes the command fail.
    #[arg(long, value_enum, default_value_t = FailOn::Error, value_name = "SEVERITY")]
    fail_on: FailOn,

    /// The files hold everything: what is referred to and not among them is an error.
    #[arg(long)]
    complete: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Pretty,
    /// One JSON object.
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Error,
    Warning,
    Info,
    Never,
}

pub(super) fn run(arguments: &Arguments, look: Look) -> io::Result<Outcome> {
    let files = input::read_paths(&arguments.files)?;
    let named: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    let mut sources = Sources::new();
    let (bundle, problems) = Bundle::read(&mut sources, &named);
    let settings = Settings {
        complete: arguments.complete,
        ..Settings::default()
    };
    let report = lint(&sources, &bundle, problems, &settings);
    match arguments.format {
        Format::Pretty => {
            let findings = problems::draw_findings(&sources, &report.findings, look);
            print(&format!("{findings}{}\n", output::summary(&report)))?;
        }
        Format::Json => print(&format!("{:#}\n", output::json::render(&sources, &report)))?,
    }
    Ok(if fails(&report, arguments.fail_on) {
        Outcome::Findings
    } else {
        Outcome::Clean
    })
}

fn fails(report: &Report, fail_on: FailOn) -> bool {
    let limit = match fail_on {
        FailOn::Error => Severity::Error,
        FailOn::Warning => Severity::Warning,
        FailOn::Info => Severity::Info,
        FailOn::Never => return false,
    };
    // The greater severity comes first.
    report
        .findings
        .iter()
        .any(|finding| finding.severity <= limit)
}
