//! Manifests that other programs make: what they were made with, and running them.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::lint::{Report, Settings};
use crate::source::Sources;

use super::{helm, kustomize};

#[derive(Debug, Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// Lint what `helm template` makes of this chart; findings point into the chart.
    #[arg(long, value_name = "CHART", conflicts_with_all = ["files", "fix", "diff", "kustomize"])]
    pub(super) helm: Option<String>,

    /// With --helm: values files, as helm takes them.
    #[arg(short = 'f', long = "values", value_name = "FILE", requires = "helm")]
    pub(super) values: Vec<String>,

    /// With --helm: lint once with each values file of this pattern, over those of -f.
    #[arg(long, value_name = "PATTERN", requires = "helm")]
    pub(super) each_values: Vec<String>,

    /// With --helm: values, as helm takes them.
    #[arg(long, value_name = "KEY=VALUE", requires = "helm")]
    pub(super) set: Vec<String>,

    /// With --helm: name of the release.
    #[arg(long, value_name = "NAME", requires = "helm")]
    pub(super) release_name: Option<String>,

    /// With --helm: namespace of the release.
    #[arg(short, long, value_name = "NAMESPACE", requires = "helm")]
    pub(super) namespace: Option<String>,

    /// Lint what `kustomize build` makes of this folder; findings point into its files.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["files", "fix", "diff"])]
    pub(super) kustomize: Option<PathBuf>,
}

/// Lints what is to be rendered; none where nothing is.
///
/// # Errors
/// A program that is missing or fails, with what it said.
pub(super) fn check(
    arguments: &Arguments,
    settings: &Settings,
) -> io::Result<Option<(Sources, Report)>> {
    if let Some(chart) = &arguments.helm {
        helm::check(chart, arguments, settings).map(Some)
    } else if let Some(folder) = &arguments.kustomize {
        kustomize::check(folder, settings).map(Some)
    } else {
        Ok(None)
    }
}

/// What a program prints; none where it is missing.
pub(super) fn run(program: &str, arguments: &[String]) -> io::Result<Option<String>> {
    let output = match Command::new(program).args(arguments).output() {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(io::Error::other(format!(
                "{program} cannot be run: {error}"
            )));
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(io::Error::other(format!(
            "`{program} {}` failed ({}):\n{}",
            arguments.join(" "),
            output.status,
            said.trim()
        )));
    }
    String::from_utf8(output.stdout)
        .map(Some)
        .map_err(|_| io::Error::other(format!("{program} printed what is not UTF-8")))
}

/// The text of a file under the name to show; none where it cannot be read.
pub(super) fn add(sources: &mut Sources, path: &Path) -> Option<crate::source::SourceId> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(sources.add(path.display().to_string(), text))
}
