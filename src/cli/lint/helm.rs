//! `rollproof lint --helm`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::lint::rendered::{self, Origin};
use crate::lint::{Report, Settings, lint};
use crate::source::{SourceId, Sources, Span};
use crate::spec::bundle::Bundle;

use super::rendering::{self, Arguments};

/// Renders the chart, once or with each of several values files, and lints what comes out.
pub(super) fn check(
    chart: &str,
    arguments: &Arguments,
    settings: &Settings,
) -> io::Result<(Sources, Report)> {
    let mut originals = Originals::default();
    if arguments.each_values.is_empty() {
        let report = one(
            chart,
            arguments,
            &arguments.values,
            settings,
            &mut originals,
        )?;
        return Ok((originals.sources, report));
    }
    let mut renderings = Vec::new();
    for each in each_values(&arguments.each_values)? {
        let mut values = arguments.values.clone();
        values.push(each.clone());
        let report = one(chart, arguments, &values, settings, &mut originals)?;
        if let Some(source) = originals.read(Path::new(&each)) {
            renderings.push((Span::new(source, 0, 0), report));
        }
    }
    Ok((originals.sources, rendered::merge(renderings)))
}

/// The files of the patterns, sorted.
fn each_values(patterns: &[String]) -> io::Result<Vec<String>> {
    let mut files = Vec::new();
    for pattern in patterns {
        let found = glob::glob(pattern)
            .map_err(|error| io::Error::other(format!("--each-values {pattern}: {error}")))?;
        let before = files.len();
        files.extend(found.flatten().map(|path| path.display().to_string()));
        if files.len() == before {
            return Err(io::Error::other(format!(
                "--each-values {pattern}: no file has such a name"
            )));
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}

/// Lints one rendering; its findings point into the originals.
fn one(
    chart: &str,
    arguments: &Arguments,
    values: &[String],
    settings: &Settings,
    originals: &mut Originals,
) -> io::Result<Report> {
    let output = render(chart, arguments, values)?;
    let folder = Path::new(chart);
    let parts = rendered::split_helm(&output);
    let named: Vec<(String, &[u8])> = parts
        .iter()
        .map(|(path, text)| (file_of(folder, path).display().to_string(), text.as_bytes()))
        .collect();
    let files: Vec<(&str, &[u8])> = named
        .iter()
        .map(|(name, text)| (name.as_str(), *text))
        .collect();
    let mut sources = Sources::new();
    let (bundle, problems) = Bundle::read(&mut sources, &files);
    let report = lint(&sources, &bundle, problems, settings);
    let origins: BTreeMap<SourceId, Origin> = sources
        .ids()
        .zip(&parts)
        .map(|(id, (path, _))| (id, originals.origin(folder, path, values)))
        .collect();
    Ok(rendered::translate(
        report,
        &sources,
        &origins,
        &mut originals.sources,
    ))
}

fn render(chart: &str, arguments: &Arguments, values: &[String]) -> io::Result<String> {
    let mut command = vec!["template".to_owned()];
    command.extend(arguments.release_name.clone());
    command.push(chart.to_owned());
    let mut add = |flag: &str, value: &str| {
        command.push(flag.to_owned());
        command.push(value.to_owned());
    };
    if let Some(namespace) = &arguments.namespace {
        add("--namespace", namespace);
    }
    for file in values {
        add("--values", file);
    }
    for value in &arguments.set {
        add("--set", value);
    }
    rendering::run("helm", &command)?.ok_or_else(|| {
        io::Error::other("--helm needs the program `helm`, which was not found on the PATH")
    })
}

/// The template that helm names `chart/templates/x.yaml`: the first part is the name of the chart,
/// not that of its folder.
fn file_of(folder: &Path, path: &str) -> PathBuf {
    let below = path.split_once('/').map_or(path, |(_, below)| below);
    folder.join(below)
}

/// Files of charts, each read once.
#[derive(Default)]
struct Originals {
    sources: Sources,
    read: BTreeMap<PathBuf, Option<SourceId>>,
}

impl Originals {
    fn read(&mut self, path: &Path) -> Option<SourceId> {
        if let Some(known) = self.read.get(path) {
            return *known;
        }
        let added = rendering::add(&mut self.sources, path);
        self.read.insert(path.to_owned(), added);
        added
    }

    fn origin(&mut self, folder: &Path, path: &str, values: &[String]) -> Origin {
        let template = file_of(folder, path);
        let mut origin = Origin {
            is_template: true,
            ..Origin::default()
        };
        origin.files.extend(self.read(&template));
        // The charts above the template's own, the outermost first: helpers are shared by all.
        let below = template.strip_prefix(folder).unwrap_or(&template);
        let mut chart = folder.to_owned();
        let mut names: Vec<String> = Vec::new();
        let parts: Vec<String> = below
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        let mut charts = vec![(chart.clone(), names.clone())];
        for pair in parts.chunks(2) {
            let [charts_folder, name] = pair else { break };
            if charts_folder != "charts" {
                break;
            }
            chart = chart.join("charts").join(name);
            names.push(name.clone());
            charts.push((chart.clone(), names.clone()));
        }
        // A chart's own values are the weakest: what is above it goes over them.
        for (chart, above) in charts.iter().rev() {
            let key = names.get(above.len()..).unwrap_or_default().join(".");
            if let Some(source) = self.read(&chart.join("values.yaml")) {
                origin.values.push((source, key));
            }
            for helper in helpers(&chart.join("templates")) {
                origin.helpers.extend(self.read(&helper));
            }
        }
        for file in values {
            if let Some(source) = self.read(Path::new(file)) {
                origin.values.push((source, names.join(".")));
            }
        }
        origin
    }
}

/// The files of a folder that only hold texts to include.
fn helpers(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with('_'))
        })
        .collect();
    found.sort();
    found
}
