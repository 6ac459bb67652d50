//! Reading what the command line names: files, folders, standard input.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::promql::load::{self, Format};

/// Bytes that are read of one file at most; the reader refuses what is longer.
const BYTES_MAX: u64 = (crate::spec::yaml::BYTES_MAX as u64) + 1;

/// Files as (name, content). A folder gives its YAML and JSON files, sorted, with those of its
/// sub-folders; `-` is standard input.
///
/// # Errors
/// A path that does not exist or cannot be read, with its name.
pub(super) fn read_paths(paths: &[PathBuf]) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            files.push(("<stdin>".to_owned(), read_limited(io::stdin().lock())?));
        } else if path.is_dir() {
            let before = files.len();
            read_folder(path, &mut files)?;
            if files.len() == before {
                return Err(named(path, "holds no .yaml, .yml or .json file"));
            }
        } else {
            files.push(read_file(path)?);
        }
    }
    Ok(files)
}

/// One file as (name, content).
///
/// # Errors
/// As [`read_paths`].
pub(super) fn read_file(path: &Path) -> io::Result<(String, Vec<u8>)> {
    let open = fs::File::open(path).map_err(|error| named(path, &error.to_string()))?;
    let bytes = read_limited(open).map_err(|error| named(path, &error.to_string()))?;
    Ok((path.display().to_string(), bytes))
}

/// The files that `--trace` names, sorted within folders, and those of folders whose ending no
/// trace format has.
///
/// # Errors
/// A folder that cannot be read or holds no trace.
pub(super) fn trace_paths(paths: &[PathBuf]) -> io::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut traces, mut skipped) = (Vec::new(), Vec::new());
    for path in paths {
        if !path.is_dir() {
            traces.push(path.clone());
            continue;
        }
        let before = traces.len();
        let mut found = Vec::new();
        walk(path, &mut found)?;
        for file in found {
            if Format::of_ending(&file.to_string_lossy()).is_some() {
                traces.push(file);
            } else {
                skipped.push(file);
            }
        }
        if traces.len() == before {
            return Err(named(
                path,
                "holds no file with the ending of a trace format",
            ));
        }
    }
    Ok((traces, skipped))
}

/// One trace as (name, content); `-` is standard input.
///
/// # Errors
/// As [`read_paths`]; also a file that is too long.
pub(super) fn read_trace(path: &Path) -> io::Result<(String, Vec<u8>)> {
    if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        return Ok(("<stdin>".to_owned(), bytes));
    }
    let bytes = fs::read(path).map_err(|error| named(path, &error.to_string()))?;
    if bytes.len() as u64 > load::BYTES_MAX {
        return Err(named(path, "is over 4 GB: split it"));
    }
    Ok((path.display().to_string(), bytes))
}

fn read_folder(folder: &Path, files: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    let mut paths = Vec::new();
    walk(folder, &mut paths)?;
    for path in paths.iter().filter(|path| is_manifest(path)) {
        files.push(read_file(path)?);
    }
    Ok(())
}

/// The files of a folder and its sub-folders, sorted, without hidden ones.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = fs::read_dir(folder).map_err(|error| named(folder, &error.to_string()))?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    paths.sort();
    for path in paths {
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            // A link to a folder above would not end.
            if !path.is_symlink() {
                walk(&path, files)?;
            }
        } else {
            files.push(path);
        }
    }
    Ok(())
}

pub(super) fn is_manifest(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ending == "yaml" || ending == "yml" || ending == "json")
}

fn read_limited(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// An error about a path.
pub(super) fn named(path: &Path, what: &str) -> io::Error {
    io::Error::other(format!("{}: {what}", path.display()))
}
