//! The manifests of the opened folders, as they are on disk or, where it is newer, in the editor.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use lsp_types::Uri;

use crate::cli::input;
use crate::lint::config::{self, Config};
use crate::lint::{Report, Settings, lint};
use crate::source::{Problem, SourceId, Sources};
use crate::spec::bundle::Bundle;

use super::convert;

/// A text in the editor.
struct Open {
    text: String,
    version: i32,
}

/// What the last check gave.
#[derive(Default)]
pub(super) struct Checked {
    pub(super) sources: Sources,
    pub(super) bundle: Bundle,
    pub(super) report: Report,
    /// Problems of settings files.
    pub(super) problems: Vec<Problem>,
}

pub(super) struct Workspace {
    folders: Vec<PathBuf>,
    on_disk: BTreeMap<PathBuf, String>,
    open: BTreeMap<PathBuf, Open>,
    checked: Checked,
    /// Files of which the editor was told something.
    told: BTreeSet<PathBuf>,
    has_changed: bool,
}

impl Workspace {
    pub(super) fn new(folders: Vec<PathBuf>) -> Self {
        Self {
            folders,
            on_disk: BTreeMap::new(),
            open: BTreeMap::new(),
            checked: Checked::default(),
            told: BTreeSet::new(),
            has_changed: true,
        }
    }

    /// Reads all files of the folders anew.
    pub(super) fn read_folders(&mut self) {
        self.on_disk.clear();
        for folder in &self.folders {
            // A folder without manifests, or that has gone, has nothing to check.
            let files = input::read_paths(std::slice::from_ref(folder)).unwrap_or_default();
            for (name, bytes) in files {
                if let Ok(text) = String::from_utf8(bytes) {
                    self.on_disk.insert(PathBuf::from(name), text);
                }
            }
        }
        self.has_changed = true;
    }

    pub(super) fn open(&mut self, uri: &Uri, text: String, version: i32) {
        if let Some(path) = convert::path_of(uri) {
            self.open.insert(path, Open { text, version });
            self.has_changed = true;
        }
    }

    pub(super) fn close(&mut self, uri: &Uri) {
        if let Some(path) = convert::path_of(uri) {
            self.open.remove(&path);
            self.has_changed = true;
        }
    }

    /// Checks everything if something has changed; false if nothing has.
    pub(super) fn check(&mut self) -> bool {
        if !std::mem::take(&mut self.has_changed) {
            return false;
        }
        let mut texts: BTreeMap<&Path, &str> = BTreeMap::new();
        for (path, text) in &self.on_disk {
            texts.insert(path, text);
        }
        for (path, open) in &self.open {
            texts.insert(path, &open.text);
        }
        let named: Vec<(String, &[u8])> = texts
            .iter()
            .filter(|(path, text)| is_manifest(path, text))
            .map(|(path, text)| (path.display().to_string(), text.as_bytes()))
            .collect();
        let files: Vec<(&str, &[u8])> = named
            .iter()
            .map(|(name, bytes)| (name.as_str(), *bytes))
            .collect();
        let mut sources = Sources::new();
        let (bundle, problems) = Bundle::read(&mut sources, &files);
        let (settings, wrong) = self.settings(&mut sources);
        let report = lint(&sources, &bundle, problems, &settings);
        self.checked = Checked {
            sources,
            bundle,
            report,
            problems: wrong,
        };
        true
    }

    /// The settings file of the first folder, or of one above it; as far as it can be read.
    fn settings(&self, sources: &mut Sources) -> (Settings, Vec<Problem>) {
        let folder = self.folders.first();
        let mut places = folder.into_iter().flat_map(|folder| folder.ancestors());
        let found = places.find_map(|folder| {
            let path = folder.join(config::FILE_NAME);
            let text = self.open.get(&path).map(|open| open.text.clone());
            Some((
                path.clone(),
                text.or_else(|| fs::read_to_string(&path).ok())?,
            ))
        });
        let (Config { mut settings, .. }, problems) = match found {
            Some((path, text)) => {
                let source = sources.add(path.display().to_string(), text);
                config::read(sources, source)
            }
            None => (Config::default(), Vec::new()),
        };
        settings.today = Some(crate::cli::lint::today());
        (settings, problems)
    }

    pub(super) fn checked(&self) -> &Checked {
        &self.checked
    }

    /// The text of a file as the editor has it, or else as it is on disk.
    pub(super) fn text(&self, path: &Path) -> Option<&str> {
        let open = self.open.get(path).map(|open| open.text.as_str());
        open.or_else(|| self.on_disk.get(path).map(String::as_str))
    }

    pub(super) fn version(&self, path: &Path) -> Option<i32> {
        self.open.get(path).map(|open| open.version)
    }

    /// The id of a file in the last check.
    pub(super) fn source(&self, path: &Path) -> Option<SourceId> {
        let name = path.display().to_string();
        let sources = &self.checked.sources;
        sources.ids().find(|id| sources.name(*id) == name)
    }

    /// Files of which the editor has to be told: those in `now`, open ones, and those of last time.
    pub(super) fn files_to_tell(&mut self, now: BTreeSet<PathBuf>) -> Vec<PathBuf> {
        let mut all = now.clone();
        all.extend(self.open.keys().cloned());
        all.extend(std::mem::replace(&mut self.told, now));
        all.into_iter().collect()
    }
}

/// Whether a file holds objects: other YAML files and templates of charts are none of our business.
fn is_manifest(path: &Path, text: &str) -> bool {
    let is_yaml = path
        .extension()
        .is_some_and(|ending| ending == "yaml" || ending == "yml" || ending == "json");
    let has_kind = text
        .lines()
        .any(|line| line.starts_with("kind:") || line.trim_start().starts_with("\"kind\""));
    let chart = path
        .ancestors()
        .find(|folder| folder.file_name().is_some_and(|name| name == "templates"))
        .and_then(Path::parent);
    let is_template = chart.is_some_and(|chart| chart.join("Chart.yaml").is_file());
    is_yaml && (has_kind || text.contains("argoproj.io/")) && !is_template
}
