//! `rollproof lint`.

mod baseline;
mod changed;
pub(super) mod fixes;
mod helm;
mod kustomize;
mod rendering;

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::lint::config::{self, Config};
use crate::lint::{self, Level, Report, output};
use crate::report::timeline::Look;
use crate::source::{Severity, Sources};
use crate::time::Timestamp;

use super::{Outcome, input, print, problems};

/// Find what a cluster would refuse, and what would hurt although it is accepted.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rollproof lint k8s/                        all manifests of a folder
  rollproof lint --helm chart -f prod.yaml   what a Helm chart becomes
  rollproof lint --kustomize overlays/prod   what a kustomization becomes
  helm template chart | rollproof lint -     manifests from a pipe
  rollproof lint k8s/ --diff                 what --fix would change
  rollproof lint k8s/ --changed-since main   only what a branch has touched
  rollproof explain empty-result-passes      what a rule finds, and why it hurts

Exit codes: 0 clean, 1 findings at or above --fail-on, 2 wrong use, 3 internal error")]
pub(super) struct Arguments {
    /// Manifests: files, folders, or - for standard input.
    #[arg(required_unless_present_any = ["helm", "kustomize"], value_name = "FILES")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    rendering: rendering::Arguments,

    /// How to print the findings.
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    format: Format,

    /// Settings file; otherwise the nearest rollproof.toml, here or in a folder above.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Apply fixes that surely do what was meant.
    #[arg(long)]
    fix: bool,

    /// With --fix or --diff: also fixes that change what happens.
    #[arg(long = "unsafe")]
    r#unsafe: bool,

    /// Show what --fix would change, and change nothing.
    #[arg(long)]
    diff: bool,

    /// Leave out findings that this file lists.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,

    /// Write all present findings to the baseline.
    #[arg(long, requires = "baseline")]
    write_baseline: bool,

    /// Only findings on lines that differ from this commit or branch (needs git).
    #[arg(long, value_name = "REF")]
    changed_since: Option<String>,

    /// The least severity of a finding that makes the command fail.
    /// error unless the settings file says otherwise.
    #[arg(long, value_enum, value_name = "SEVERITY")]
    fail_on: Option<FailOn>,

    /// The files hold everything: what is referred to and not among them is an error.
    #[arg(long)]
    complete: bool,

    /// Faster: leave out counterexamples that take a simulation. The findings stay.
    #[arg(long)]
    no_demonstrations: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Pretty,
    /// One JSON object.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// JUnit XML.
    Junit,
    /// Annotations of GitHub Actions.
    Github,
    /// GitLab's code quality report.
    Gitlab,
    /// Checkstyle XML.
    Checkstyle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Error,
    Warning,
    Info,
    Never,
}

/// Where the rules' pages are.
pub(super) const PAGES: &str = "https://github.com/rollproof/rollproof/blob/main/docs/rules";

pub(super) fn run(arguments: &Arguments, look: Look) -> io::Result<Outcome> {
    let Some(config) = read_config(arguments.config.as_deref())? else {
        return Ok(Outcome::WrongUse);
    };
    let mut settings = config.settings;
    settings.complete |= arguments.complete;
    settings.demonstrations &= !arguments.no_demonstrations;
    settings.today = Some(today());
    let rendered = rendering::check(&arguments.rendering, &settings)?;
    let mut files = input::read_paths(&arguments.files)?;
    if arguments.fix || arguments.diff {
        let fixed = fixes::fix(&files, &settings, arguments.r#unsafe);
        if arguments.diff {
            print(&fixes::diff(&files, &fixed, look))?;
            let differs = fixed.iter().any(Option::is_some);
            return Ok(if differs {
                Outcome::Findings
            } else {
                Outcome::Clean
            });
        }
        fixes::write(&mut files, fixed)?;
    }
    let (sources, mut report) = rendered.unwrap_or_else(|| lint::fixes::check(&files, &settings));
    if let Some(path) = &arguments.baseline {
        if arguments.write_baseline {
            baseline::write(path, &sources, &report)?;
            eprintln!(
                "{} findings written to {}",
                report.findings.len(),
                path.display()
            );
            return Ok(Outcome::Clean);
        }
        baseline::subtract(path, &sources, &mut report)?;
    }
    if let Some(reference) = &arguments.changed_since {
        changed::keep_changed(reference, &sources, &mut report)?;
    }
    print(&match arguments.format {
        Format::Pretty => {
            let findings = problems::draw_findings(&sources, &report.findings, look);
            format!("{findings}{}\n", output::summary(&report))
        }
        Format::Json => output::json::render(&sources, &report) + "\n",
        Format::Sarif => format!("{:#}\n", output::sarif::render(&sources, &report, PAGES)),
        Format::Junit => output::junit::render(&sources, &report),
        Format::Github => output::github::render(&sources, &report),
        Format::Gitlab => format!("{:#}\n", output::gitlab::render(&sources, &report)),
        Format::Checkstyle => output::checkstyle::render(&sources, &report),
    })?;
    let fail_on = arguments.fail_on.or(match config.fail_on {
        Some(Level::Off) => Some(FailOn::Never),
        Some(Level::Info) => Some(FailOn::Info),
        Some(Level::Warning) => Some(FailOn::Warning),
        Some(Level::Error) | None => None,
    });
    Ok(if fails(&report, fail_on.unwrap_or(FailOn::Error)) {
        Outcome::Findings
    } else {
        Outcome::Clean
    })
}

/// The settings file that is named, or the nearest one; none where it has mistakes, which are shown.
fn read_config(named: Option<&Path>) -> io::Result<Option<Config>> {
    let found = match named {
        Some(path) => Some(path.to_owned()),
        None => {
            let here = std::env::current_dir()?;
            let places = here
                .ancestors()
                .map(|folder| folder.join(config::FILE_NAME));
            places.into_iter().find(|path| path.is_file())
        }
    };
    let Some(path) = found else {
        return Ok(Some(Config::default()));
    };
    let (name, bytes) = input::read_file(&path)?;
    let mut sources = Sources::new();
    let source = sources.add(name, String::from_utf8_lossy(&bytes));
    let (config, problems) = config::read(&sources, source);
    Ok((!problems::show(&sources, &problems)).then_some(config))
}

/// The present day, in UTC. The one clock of lint: rules get it as a setting.
#[allow(clippy::disallowed_methods)]
pub(super) fn today() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs());
    let now = Timestamp::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    now.to_string().chars().take(10).collect()
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
