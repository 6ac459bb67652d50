//! Applying fixes to texts, round by round.

use super::{Applicability, Edit, Report, Settings, lint};
use crate::source::{Severity, Sources};
use crate::spec::bundle::Bundle;
use crate::spec::edit;

/// A fix may uncover another one; more rounds than this mean that they undo each other.
const MAX_ROUNDS: usize = 10;

/// The text of each file after its fixes; none where there are none. A round that makes an error
/// appear is taken back.
pub fn fix(
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
    ids.map(|(source, (_, bytes))| {
        let text = sources.text(source);
        // What was not read as it is written cannot be written back.
        if text.as_bytes() != bytes {
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

/// Lints files given as name and content.
pub fn check(files: &[(String, Vec<u8>)], settings: &Settings) -> (Sources, Report) {
    let named: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    let mut sources = Sources::new();
    let (bundle, problems) = Bundle::read(&mut sources, &named);
    let report = lint(&sources, &bundle, problems, settings);
    (sources, report)
}
