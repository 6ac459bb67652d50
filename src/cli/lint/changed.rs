//! Only what differs from a commit: asks git which lines that are.

use std::collections::BTreeMap;
use std::io;
use std::process::Command;

use crate::lint::Report;
use crate::source::{Sources, Span};

/// First and last changed line, each.
type Lines = Vec<(u32, u32)>;

/// Leaves the findings that touch a changed line, or are related to one.
pub(super) fn keep_changed(
    reference: &str,
    sources: &Sources,
    report: &mut Report,
) -> io::Result<()> {
    if reference.starts_with('-') {
        return Err(io::Error::other(format!("{reference:?} is no commit")));
    }
    let difference = git(&[
        "diff",
        "--relative",
        "--unified=0",
        "--no-color",
        "--no-ext-diff",
        reference,
        "--",
    ])?;
    let mut changed = changed_lines(&difference);
    for file in git(&["ls-files", "--others", "--exclude-standard"])?.lines() {
        changed.insert(file.to_owned(), vec![(1, u32::MAX)]);
    }
    let touches = |span: Span| {
        let (start, end) = (sources.start(span).line, sources.end(span).line);
        let name = sources.name(span.source);
        let lines = changed.get(name.strip_prefix("./").unwrap_or(name));
        lines.is_some_and(|lines| {
            lines
                .iter()
                .any(|(first, last)| *first <= end && start <= *last)
        })
    };
    report.findings.retain(|finding| {
        finding.span.is_none_or(touches) || finding.related.iter().any(|(span, _)| touches(*span))
    });
    Ok(())
}

fn git(arguments: &[&str]) -> io::Result<String> {
    let output = Command::new("git")
        .arg("-c")
        .arg("core.quotePath=false")
        .args(arguments)
        .output()
        .map_err(|error| io::Error::other(format!("git cannot be run: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("git: {}", said.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Lines of the new side, by file. A deletion counts as a change of the lines around it.
fn changed_lines(difference: &str) -> BTreeMap<String, Lines> {
    let mut changed: BTreeMap<String, Lines> = BTreeMap::new();
    let mut file = None;
    for line in difference.lines() {
        if let Some(name) = line.strip_prefix("+++ ") {
            file = name.strip_prefix("b/").map(str::to_owned);
        } else if let (Some(file), Some(hunk)) = (&file, line.strip_prefix("@@ ")) {
            let new = hunk.split(' ').find_map(|part| part.strip_prefix('+'));
            let mut numbers = new.unwrap_or_default().split(',').map(str::parse::<u32>);
            let (Some(Ok(start)), count) = (numbers.next(), numbers.next()) else {
                continue;
            };
            let range = match count {
                Some(Ok(0)) => (start, start.saturating_add(1)),
                Some(Ok(count)) => (start, start.saturating_add(count - 1)),
                Some(Err(_)) | None => (start, start),
            };
            changed.entry(file.clone()).or_default().push(range);
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::changed_lines;

    #[test]
    fn hunks_give_lines_of_the_new_side() {
        let text = "+++ b/k8s/a.yaml\n@@ -1,2 +3,4 @@ x\n@@ -9 +9 @@\n@@ -20,3 +18,0 @@\n+++ /dev/null\n@@ -1 +0,0 @@\n";
        let lines = changed_lines(text);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines["k8s/a.yaml"], [(3, 6), (9, 9), (18, 19)]);
    }
}
