//! `rollproof lint --kustomize`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::lint::rendered::{self, Origin};
use crate::lint::{Report, Settings, lint};
use crate::source::{SourceId, Sources};
use crate::spec::bundle::Bundle;
use crate::spec::yaml::{self, Node};

use super::rendering;

/// Names that kustomize looks for in a folder.
const FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// Fields of a kustomization that name files or folders.
const FIELDS: [&str; 6] = [
    "resources",
    "bases",
    "components",
    "patches",
    "patchesStrategicMerge",
    "patchesJson6902",
];

/// Builds the folder and lints what comes out; findings point into the files it was made from.
pub(super) fn check(folder: &Path, settings: &Settings) -> io::Result<(Sources, Report)> {
    let output = build(folder)?;
    let mut originals = Sources::new();
    let mut files = Vec::new();
    collect(folder, &mut originals, &mut files, &mut Vec::new());
    let ids: Vec<SourceId> = files.iter().map(|(_, id)| *id).collect();
    let named: Vec<(String, &str)> = rendered::split_documents(&output)
        .into_iter()
        .map(|document| {
            let home = rendered::home(document, &ids, &originals);
            let name = home.map_or_else(
                || folder.display().to_string(),
                |home| originals.name(home).to_owned(),
            );
            (name, document)
        })
        .collect();
    let read: Vec<(&str, &[u8])> = named
        .iter()
        .map(|(name, document)| (name.as_str(), document.as_bytes()))
        .collect();
    let mut sources = Sources::new();
    let (bundle, problems) = Bundle::read(&mut sources, &read);
    let mut report = lint(&sources, &bundle, problems, settings);
    report.files = ids.len();
    let origin = Origin {
        files: ids,
        ..Origin::default()
    };
    let origins: BTreeMap<SourceId, Origin> =
        sources.ids().map(|id| (id, origin.clone())).collect();
    let report = rendered::translate(report, &sources, &origins, &mut originals);
    Ok((originals, report))
}

fn build(folder: &Path) -> io::Result<String> {
    let folder = folder.display().to_string();
    if let Some(output) = rendering::run("kustomize", &["build".to_owned(), folder.clone()])? {
        return Ok(output);
    }
    let output = rendering::run("kubectl", &["kustomize".to_owned(), folder])?;
    output.ok_or_else(|| {
        io::Error::other(
            "--kustomize needs the program `kustomize` or `kubectl`, and neither was found on the PATH",
        )
    })
}

/// The files that a kustomization is made of; the folders that were seen are not read again.
fn collect(
    folder: &Path,
    sources: &mut Sources,
    files: &mut Vec<(PathBuf, SourceId)>,
    seen: &mut Vec<PathBuf>,
) {
    let canonical = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    if seen.contains(&canonical) {
        return;
    }
    seen.push(canonical);
    let found = FILES.iter().map(|name| folder.join(name));
    let Some(path) = found.into_iter().find(|path| path.is_file()) else {
        return;
    };
    let Some(id) = rendering::add(sources, &path) else {
        return;
    };
    let mut named = Vec::new();
    for document in yaml::read(sources, id).documents {
        for field in FIELDS {
            let entries = document.root.get(field).and_then(Node::as_seq);
            for entry in entries.unwrap_or_default() {
                let text = entry.as_str().or_else(|| entry.get("path")?.as_str());
                named.extend(text.map(|text| joined(folder, text)));
            }
        }
    }
    for path in named {
        if path.is_dir() {
            collect(&path, sources, files, seen);
        } else if !files.iter().any(|(known, _)| *known == path)
            && let Some(id) = rendering::add(sources, &path)
        {
            files.push((path, id));
        }
    }
    // Last: it holds objects only as patches.
    files.push((path, id));
}

/// A path below a folder, without the `x/..` that names nothing.
fn joined(folder: &Path, below: &str) -> PathBuf {
    let mut path = folder.to_owned();
    for part in below.split('/') {
        let can_go_up = path.file_name().is_some();
        match part {
            "" | "." => {}
            ".." if can_go_up => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path
}
