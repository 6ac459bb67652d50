//! From the output of `helm template` or `kustomize build` back to the files it was made from.
//!
//! Neither program says which line a line came from. A rendered line is looked for among the lines
//! of the originals: by its text (an expression `{{ ... }}` stands for any text), and of several
//! equal ones by the lines above and around it. What a whole expression produced is placed there.

mod lines;
mod search;

use std::collections::BTreeMap;

use super::{Finding, Report};
use crate::source::{SourceId, Sources, Span};

use search::{Found, Search};

/// What a rendered text was made from; all ids are of the registry of originals.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origin {
    /// The template, or the files that may hold an object and its patches; the likeliest first.
    pub files: Vec<SourceId>,
    /// Files with texts that templates include.
    pub helpers: Vec<SourceId>,
    /// Values, each with the path in the file below which `.Values` begins; later files go over
    /// earlier ones.
    pub values: Vec<(SourceId, String)>,
    /// Whether `{{ ... }}` is an expression in these files.
    pub is_template: bool,
}

/// The parts of the output of `helm template`: path of the template as helm names it, and its text.
pub fn split_helm(output: &str) -> Vec<(String, String)> {
    let mut parts: Vec<(String, String)> = Vec::new();
    let mut pending = "";
    for line in output.split_inclusive('\n') {
        if line.trim_end() == "---" {
            pending = line;
            continue;
        }
        let named = (!pending.is_empty())
            .then(|| line.strip_prefix("# Source: "))
            .flatten();
        if let Some(path) = named {
            let path = path.trim_end();
            if parts.last().is_none_or(|(last, _)| last != path) {
                parts.push((path.to_owned(), String::new()));
            }
        }
        if let Some((_, text)) = parts.last_mut() {
            text.push_str(pending);
            text.push_str(line);
        }
        pending = "";
    }
    parts
}

/// The documents of a text, each without its `---`.
pub fn split_documents(output: &str) -> Vec<&str> {
    let mut documents = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in output.split_inclusive('\n') {
        let next = at + line.len();
        if line.trim_end() == "---" {
            documents.extend(output.get(start..at));
            start = next;
        }
        at = next;
    }
    documents.extend(output.get(start..));
    documents.retain(|document| !document.trim().is_empty());
    documents
}

/// Of these files the one that most likely defines the object that is rendered here.
pub fn home(document: &str, files: &[SourceId], sources: &Sources) -> Option<SourceId> {
    search::home(document, files, sources)
}

/// The report with all places in the originals. Fixes are left out: they would change rendered
/// text. What has no origin keeps its rendered text, which is added to the originals.
pub fn translate(
    report: Report,
    rendered: &Sources,
    origins: &BTreeMap<SourceId, Origin>,
    originals: &mut Sources,
) -> Report {
    let mut kept: BTreeMap<SourceId, SourceId> = BTreeMap::new();
    let Report {
        mut findings,
        files,
        objects,
    } = report;
    for finding in &mut findings {
        let mut related = Vec::new();
        let span = finding
            .span
            .map(|span| move_span(span, rendered, origins, originals, &mut kept, &mut related));
        for (span, what) in &finding.related {
            let moved = move_span(
                *span,
                rendered,
                origins,
                originals,
                &mut kept,
                &mut Vec::new(),
            );
            related.push((moved, what.clone()));
        }
        finding.span = span;
        finding.related = related;
        finding.fix = None;
    }
    Report {
        findings,
        files,
        objects,
    }
}

/// Findings of several renderings in one list: equal ones are said once, with all their places. Each
/// rendering has a name and the place that stands for it, such as its values file.
pub fn merge(renderings: Vec<(Span, Report)>) -> Report {
    let mut merged: Vec<Finding> = Vec::new();
    let (mut files, mut objects) = (0, 0);
    for (values, report) in renderings {
        files = report.files.max(files);
        objects += report.objects;
        for mut finding in report.findings {
            let seen = (values, "found with these values".to_owned());
            match merged.iter_mut().find(|other| is_same(other, &finding)) {
                Some(other) => {
                    if !other.related.contains(&seen) {
                        other.related.push(seen);
                    }
                }
                None => {
                    finding.related.push(seen);
                    merged.push(finding);
                }
            }
        }
    }
    merged.sort_by(|a, b| (a.span, a.rule, &a.message).cmp(&(b.span, b.rule, &b.message)));
    Report {
        findings: merged,
        files,
        objects,
    }
}

fn is_same(left: &Finding, right: &Finding) -> bool {
    left.rule == right.rule
        && left.span == right.span
        && left.message == right.message
        && left.path == right.path
        && left.object == right.object
}

/// Where a place of the rendered text was written; adds what is to be said of it.
fn move_span(
    span: Span,
    rendered: &Sources,
    origins: &BTreeMap<SourceId, Origin>,
    originals: &mut Sources,
    kept: &mut BTreeMap<SourceId, SourceId>,
    related: &mut Vec<(Span, String)>,
) -> Span {
    let text = rendered.text(span.source);
    let search = origins
        .get(&span.source)
        .and_then(|origin| Search::new(text, origin, originals));
    let Some(search) = search else {
        let copy = *kept.entry(span.source).or_insert_with(|| {
            let name = format!("{} (rendered)", rendered.name(span.source));
            originals.add(name, text)
        });
        return Span {
            source: copy,
            ..span
        };
    };
    match search.find(span.start as usize..span.end as usize) {
        Found::Written(place) => place,
        Found::Expression { place, value } => {
            if let Some(value) = value {
                related.push((value, "the value is given here".to_owned()));
            }
            place
        }
        Found::Value(place) => place,
        Found::File(file) => {
            let start = Span::new(file, 0, 0);
            let line = rendered.line_text(span.source, rendered.start(span).line);
            let line = line.unwrap_or_default().trim();
            related.push((
                start,
                format!("which line gives `{line}` could not be found"),
            ));
            start
        }
    }
}

#[cfg(test)]
mod tests;
