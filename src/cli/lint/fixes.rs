//! Applying fixes to files.

use std::fs;
use std::io;

use anstyle::AnsiColor;
use similar::{ChangeTag, TextDiff};

use crate::lint::{Applicability, Edit, Report, Settings};
use crate::report::timeline::Look;
use crate::source::{Severity, Sources};
use crate::spec::edit;

use super::check;

/// A fix may uncover another one; more rounds than this mean that they undo each other.
const MAX_ROUNDS: usize = 10;

/// The text of each file after its fixes; none where there are none. A round that makes an error
/// appear is taken back.
pub(super) fn fix(
    files: &[(String, Vec<u8>)],
    settings: &Settings,
    is_unsafe: bool,
) -> Vec<Option<String>> {
    let mut present = files.to_vec();
    let mut fixed: Vec<Option<String>> = vec![None; files.len()];
    for _ in 0..MAX_ROUNDS {
        let (sources, report) = check(&present, settings);
        let changed = round(&present, &sources, &report, is_unsafe);
        if changed.iter().all(Option::is_none) {
            break;
        }
        let mut next = present.clone();
        for ((_, bytes), text) in next.iter_mut().zip(&changed) {
            if let Some(text) = text {
                *bytes = text.clone().into_bytes();
            }
        }
        let (_, after) = check(&next, settings);
        if after.count(Severity::Error) > report.count(Severity::Error) {
            break;
        }
        for (text, changed) in fixed.iter_mut().zip(changed) {
            *text = changed.or_else(|| text.take());
        }
        present = next;
    }
    for ((_, bytes), text) in files.iter().zip(&mut fixed) {
        if text.as_ref().is_some_and(|text| text.as_bytes() == bytes) {
            *text = None;
        }
    }
    fixed
}

fn round(
    files: &[(String, Vec<u8>)],
    sources: &Sources,
    report: &Report,
    is_unsafe: bool,
) -> Vec<Option<String>> {
    let groups: Vec<&[Edit]> = report
        .findings
        .iter()
        .filter_map(|finding| finding.fix.as_ref())
        .filter(|fix| match fix.applicability {
            Applicability::Safe => true,
            Applicability::Unsafe => is_unsafe,
        })
        .map(|fix| fix.edits.as_slice())
        .collect();
    let ids = sources.ids().zip(files);
    ids.map(|(source, (name, bytes))| {
        let text = sources.text(source);
        // What was not read as it is written cannot be written back.
        if name == "<stdin>" || text.as_bytes() != bytes {
            return None;
        }
        let own = groups
            .iter()
            .copied()
            .filter(|edits| edits.iter().all(|edit| edit.span.source == source));
        let (changed, applied) = edit::apply(text, own);
        (applied.contains(&true) && changed != text).then_some(changed)
    })
    .collect()
}

/// Writes the fixed files.
pub(super) fn write(files: &mut [(String, Vec<u8>)], fixed: Vec<Option<String>>) -> io::Result<()> {
    let mut count = 0;
    for ((name, bytes), text) in files.iter_mut().zip(fixed) {
        if let Some(text) = text {
            fs::write(&*name, &text)
                .map_err(|error| io::Error::other(format!("{name}: {error}")))?;
            *bytes = text.into_bytes();
            count += 1;
        }
    }
    if count > 0 {
        eprintln!("fixed {count} file{}", if count == 1 { "" } else { "s" });
    }
    Ok(())
}

/// A unified diff of all files that fixes change.
pub(super) fn diff(files: &[(String, Vec<u8>)], fixed: &[Option<String>], look: Look) -> String {
    let mut out = String::new();
    for ((name, bytes), text) in files.iter().zip(fixed) {
        let Some(text) = text else { continue };
        let old = String::from_utf8_lossy(bytes);
        let diff = TextDiff::from_lines(old.as_ref(), text.as_str());
        out.push_str(&format!("--- a/{name}\n+++ b/{name}\n"));
        for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
            out.push_str(&format!("{}\n", hunk.header()));
            for change in hunk.iter_changes() {
                let line = change.to_string_lossy();
                let line = line.trim_end_matches('\n');
                out.push_str(&match change.tag() {
                    ChangeTag::Equal => format!(" {line}"),
                    ChangeTag::Delete => {
                        look.paint(AnsiColor::Red.on_default(), &format!("-{line}"))
                    }
                    ChangeTag::Insert => {
                        look.paint(AnsiColor::Green.on_default(), &format!("+{line}"))
                    }
                });
                out.push('\n');
            }
        }
    }
    out
}
