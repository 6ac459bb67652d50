//! Applying fixes to texts, round by round.

use super::rules::read_invalid_yaml;
use super::{Applicability, Edit, Finding, Report, Settings, lint};
use crate::source::{Severity, Sources};
use crate::spec::bundle::Bundle;
use crate::spec::edit;

/// A fix may uncover another one; more rounds than this mean that they undo each other.
const MAX_ROUNDS: usize = 10;

/// The text of each file after its fixes; none where there are none. A fix that makes an error appear
/// is not applied.
pub fn fix(
    files: &[(String, Vec<u8>)],
    settings: &Settings,
    is_unsafe: bool,
) -> Vec<Option<String>> {
    let mut present = files.to_vec();
    for _ in 0..MAX_ROUNDS {
        let (sources, before) = check(&present, settings);
        let fixes = wanted(&before, is_unsafe);
        let is_worse = |fixes: &[&[Edit]]| {
            let (_, after) = check(&apply(&present, &sources, fixes), settings);
            after.count(Severity::Error) > before.count(Severity::Error)
                || unreadable(&after) > unreadable(&before)
        };
        let mut good = Vec::new();
        if !fixes.is_empty() {
            add_harmless(&mut good, &fixes, &is_worse);
        }
        let next = apply(&present, &sources, &good);
        if next == present {
            break;
        }
        present = next;
    }
    let changed = files.iter().zip(present);
    changed
        .map(|((_, before), (_, after))| {
            let is_changed = *before != after;
            is_changed.then(|| String::from_utf8_lossy(&after).into_owned())
        })
        .collect()
}

/// Adds the fixes but for those that make it worse, which are found by halves: they are few.
fn add_harmless<'f>(
    good: &mut Vec<&'f [Edit]>,
    fixes: &[&'f [Edit]],
    is_worse: &impl Fn(&[&[Edit]]) -> bool,
) {
    let known = good.len();
    good.extend(fixes);
    if !is_worse(good) {
        return;
    }
    good.truncate(known);
    if fixes.len() > 1 {
        let (first, second) = fixes.split_at(fixes.len() / 2);
        add_harmless(good, first, is_worse);
        add_harmless(good, second, is_worse);
    }
}

/// Errors of reading the files.
fn unreadable(report: &Report) -> usize {
    let is_of_reading = |finding: &&Finding| {
        finding.severity == Severity::Error && finding.rule == read_invalid_yaml::RULE.name
    };
    report.findings.iter().filter(is_of_reading).count()
}

/// The edits of each fix that is asked for.
fn wanted(report: &Report, is_unsafe: bool) -> Vec<&[Edit]> {
    report
        .findings
        .iter()
        .filter_map(|finding| finding.fix.as_ref())
        .filter(|fix| match fix.applicability {
            Applicability::Safe => true,
            Applicability::Unsafe => is_unsafe,
        })
        .map(|fix| fix.edits.as_slice())
        .collect()
}

/// The files with as many of the fixes as fit together.
fn apply(
    files: &[(String, Vec<u8>)],
    sources: &Sources,
    fixes: &[&[Edit]],
) -> Vec<(String, Vec<u8>)> {
    let ids = sources.ids().zip(files);
    ids.map(|(source, (name, bytes))| {
        let text = sources.text(source);
        // What was not read as it is written cannot be written back.
        if text.as_bytes() != bytes {
            return (name.clone(), bytes.clone());
        }
        let own = fixes
            .iter()
            .copied()
            .filter(|edits| edits.iter().all(|edit| edit.span.source == source));
        let changed = edit::apply(text, own);
        (name.clone(), changed.into_bytes())
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

#[cfg(test)]
mod tests {
    use super::*;

    const REPLICAS: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: shop}
spec:
  REPLICAS
  sellector:
    matchLabels: {app: shop}
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers: [{name: shop, image: 'shop:1.0.0'}]
  strategy:
    canary: {}
";

    fn fixed(text: &str) -> Option<String> {
        let files = [("f".to_owned(), text.as_bytes().to_vec())];
        fix(&files, &Settings::default(), true).remove(0)
    }

    #[test]
    fn a_field_is_not_renamed_to_one_that_is_there() {
        let text = REPLICAS.replace("REPLICAS", "replicas: 3\n  replica: 4");
        let wanted = text.replace("sellector", "selector");
        assert_eq!(fixed(&text), Some(wanted.clone()));
        assert_eq!(fixed(&wanted), None);
    }

    #[test]
    fn of_two_fields_that_would_become_the_same_one_is_renamed() {
        let text = REPLICAS.replace("REPLICAS", "replica: 3\n  replicsa: 4");
        let wanted = text
            .replace("sellector", "selector")
            .replace("replica:", "replicas:");
        assert_eq!(fixed(&text), Some(wanted.clone()));
        assert_eq!(fixed(&wanted), None);
    }
}
