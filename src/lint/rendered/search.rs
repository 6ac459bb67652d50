//! The search for the line that a rendered line came from.

use std::ops::Range;

use super::Origin;
use super::lines::{Line, Role, actions, lines};
use crate::source::{SourceId, Sources, Span};
use crate::spec::yaml;

/// Lines around a line that are compared.
const NEIGHBOURS: usize = 8;
/// How far a neighbour may have moved.
const SLACK: usize = 12;
/// Lines above that are tried as an anchor for what an expression gave.
const ANCHORS: usize = 500;
/// Lines above that count as parents.
const PARENTS: usize = 6;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The line stands there.
    Written(Span),
    /// An expression gave it; also where its value is set, if that is known.
    Expression { place: Span, value: Option<Span> },
    /// The text stands in a values file.
    Value(Span),
    /// Only the file is known.
    File(SourceId),
}

/// One rendered text and what it was made from.
pub(super) struct Search<'s> {
    sources: &'s Sources,
    origin: &'s Origin,
    rendered: Vec<Line<'s>>,
    /// The likeliest file.
    first: SourceId,
    /// Files, then helpers.
    originals: Vec<Original<'s>>,
}

struct Original<'s> {
    source: SourceId,
    lines: Vec<Line<'s>>,
}

/// A line of an original that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    score: u32,
    original: usize,
    line: usize,
}

impl<'s> Search<'s> {
    /// None where there is no file to search.
    pub(super) fn new(rendered: &'s str, origin: &'s Origin, sources: &'s Sources) -> Option<Self> {
        let first = *origin.files.first()?;
        let originals = origin
            .files
            .iter()
            .chain(&origin.helpers)
            .map(|source| Original {
                source: *source,
                lines: lines(sources.text(*source), origin.is_template),
            })
            .collect();
        Some(Self {
            sources,
            origin,
            rendered: lines(rendered, false),
            first,
            originals,
        })
    }

    /// Where the bytes of this range were written.
    pub(super) fn find(&self, range: Range<usize>) -> Found {
        let at = self
            .rendered
            .partition_point(|line| line.start <= range.start)
            .saturating_sub(1);
        let Some(line) = self.rendered.get(at) else {
            return self.file(at);
        };
        if let Some(found) = self.best(at) {
            return self.in_line(found, line, range);
        }
        if let Some((original, index)) = self.expression(at) {
            return self.at_expression(original, index, line);
        }
        match self.value(line) {
            Some(place) => Found::Value(place),
            None => self.file(at),
        }
    }

    fn file(&self, at: usize) -> Found {
        let document = self.document(at);
        let files = self.originals.iter().take(self.origin.files.len());
        let best = files
            .rev()
            .max_by_key(|file| kinship(document, &file.lines));
        Found::File(best.map_or(self.first, |file| file.source))
    }

    /// The rendered document that a line is of.
    fn document(&self, at: usize) -> &[Line<'s>] {
        section(&self.rendered, at)
    }

    /// The line that fits best, if one fits at all.
    fn best(&self, at: usize) -> Option<Candidate> {
        let line = self.rendered.get(at)?;
        let mut best: Option<Candidate> = None;
        for (number, original) in self.originals.iter().enumerate() {
            for (index, other) in original.lines.iter().enumerate() {
                let fit = other.fit(line);
                if fit == 0 {
                    continue;
                }
                let Some(context) = self.context(at, &original.lines, index) else {
                    continue;
                };
                let kin = kinship(self.document(at), section(&original.lines, index));
                let candidate = Candidate {
                    score: fit + context + kin,
                    original: number,
                    line: index,
                };
                // Of equals the first.
                if best.is_none_or(|best| candidate.score > best.score) {
                    best = Some(candidate);
                }
            }
        }
        best
    }

    /// How well the lines above and around fit; none where the line stands below something else.
    fn context(&self, at: usize, lines: &[Line<'_>], index: usize) -> Option<u32> {
        let parents = parents(&self.rendered, at);
        let others = self::parents(lines, index);
        let mut score = 0;
        let mut next = 0;
        for parent in &parents {
            let parent = self.rendered.get(*parent)?;
            let found = others.iter().enumerate().skip(next).find_map(|(n, other)| {
                let fit = lines.get(*other)?.fit(parent);
                (fit > 0).then_some((n, fit))
            });
            if let Some((n, fit)) = found {
                score += fit / 4;
                next = n + 1;
            }
        }
        if score == 0 && !parents.is_empty() && !others.is_empty() {
            return None;
        }
        for offset in 1..=NEIGHBOURS {
            for (rendered, is_above) in [
                (at.checked_sub(offset), true),
                (at.checked_add(offset), false),
            ] {
                let Some(neighbour) = rendered.and_then(|at| self.rendered.get(at)) else {
                    continue;
                };
                let nearest = (0..=SLACK).find(|moved| {
                    let places = if is_above {
                        [
                            index.checked_sub(offset + moved),
                            (offset > *moved)
                                .then(|| index.checked_sub(offset - moved))
                                .flatten(),
                        ]
                    } else {
                        [
                            index.checked_add(offset + moved),
                            (offset > *moved).then(|| index + offset - moved),
                        ]
                    };
                    places.iter().flatten().any(|place| {
                        lines
                            .get(*place)
                            .is_some_and(|line| line.fit(neighbour) > 0)
                    })
                });
                score += nearest.map_or(0, |moved| 12 / (1 + u32::try_from(moved).unwrap_or(12)));
            }
        }
        Some(score)
    }

    /// The expression that gave a line which stands nowhere: it follows what gave the line above.
    fn expression(&self, at: usize) -> Option<(usize, usize)> {
        let line = self.rendered.get(at)?;
        let above = (at.saturating_sub(ANCHORS)..at).rev();
        let (anchor, from) = above
            .filter(|above| self.rendered.get(*above).is_some_and(Line::is_content))
            .find_map(|above| Some((self.best(above)?, above)))?;
        let original = self.originals.get(anchor.original)?;
        let anchored = original.lines.get(anchor.line)?;
        let deeper = self
            .rendered
            .get(from)
            .is_some_and(|from| line.indent > from.indent || line.is_item);
        if anchored.role == Role::Mixed && deeper && !anchored.text.trim_end().ends_with(':') {
            return Some((anchor.original, anchor.line));
        }
        for (index, other) in original.lines.iter().enumerate().skip(anchor.line + 1) {
            match other.role {
                Role::Expression => return Some((anchor.original, index)),
                Role::Silent => {}
                Role::Separator => return None,
                Role::Literal | Role::Mixed => {
                    let follows = self
                        .rendered
                        .iter()
                        .skip(at)
                        .any(|line| other.fit(line) > 0);
                    if follows {
                        return None;
                    }
                }
            }
        }
        None
    }

    /// The place in a line that fits.
    fn in_line(&self, found: Candidate, line: &Line<'_>, range: Range<usize>) -> Found {
        let Some(original) = self.originals.get(found.original) else {
            return Found::File(self.first);
        };
        let Some(other) = original.lines.get(found.line) else {
            return Found::File(original.source);
        };
        let end = range.end.min(line.start + line.text.len());
        let from = range.start.saturating_sub(line.start);
        let text = line
            .text
            .get(from..end.saturating_sub(line.start))
            .unwrap_or_default();
        let span = |from: usize, to: usize| {
            Span::new(original.source, other.start + from, other.start + to)
        };
        let whole = || {
            let from = other.text.len() - other.text.trim_start().len();
            span(from, other.text.trim_end().len())
        };
        let text = text.trim_end();
        let shift = |from: usize| (from + other.indent).checked_sub(line.indent);
        let same_place = shift(from).filter(|from| {
            let there = other.text.get(*from..from + text.len());
            there == Some(text) && !text.is_empty()
        });
        let written = same_place.or_else(|| {
            let found = other.text.find(text)?;
            (!text.is_empty()).then_some(found)
        });
        let (expressions, _) = if self.origin.is_template {
            actions(other.text)
        } else {
            (Vec::new(), false)
        };
        if let Some(from) = written
            && !expressions
                .iter()
                .any(|(start, end)| from < *end && *start < from + text.len())
        {
            return Found::Written(span(from, from + text.len()));
        }
        match (expressions.first(), expressions.last()) {
            (Some((start, _)), Some((_, end))) => Found::Expression {
                place: span(*start, *end),
                value: self.given(original, found.line, line),
            },
            (_, _) => Found::Written(whole()),
        }
    }

    fn at_expression(&self, original: usize, index: usize, line: &Line<'_>) -> Found {
        let Some(original) = self.originals.get(original) else {
            return Found::File(self.first);
        };
        let Some(other) = original.lines.get(index) else {
            return Found::File(original.source);
        };
        let from = other.start + (other.text.len() - other.text.trim_start().len());
        let to = other.start + other.text.trim_end().len();
        Found::Expression {
            place: Span::new(original.source, from, to),
            value: self.given(original, index, line),
        }
    }

    /// Where the value of the line's expression is set, in the last values file that has it.
    fn given(&self, original: &Original<'_>, index: usize, rendered: &Line<'_>) -> Option<Span> {
        let own = original.lines.get(index)?;
        let mut paths: Vec<String> = value_paths(own.text).collect();
        if paths.is_empty() {
            // `with` and `range` above give `.` its meaning.
            let above = original.lines.iter().take(index).rev();
            let block = above
                .filter(|line| line.role == Role::Silent)
                .find(|line| line.text.contains("with ") || line.text.contains("range "));
            paths.extend(block.into_iter().flat_map(|line| value_paths(line.text)));
        }
        for (source, prefix) in self.origin.values.iter().rev() {
            let stream = yaml::read(self.sources, *source);
            let Some(document) = stream.documents.first() else {
                continue;
            };
            for path in &paths {
                let path = if prefix.is_empty() {
                    path.clone()
                } else {
                    format!("{prefix}.{path}")
                };
                if let Some(node) = document.root.at(&path) {
                    return Some(self.line_within(node.span, rendered));
                }
            }
        }
        None
    }

    /// The line of a values file that is the rendered one, within a value; else the whole value.
    fn line_within(&self, span: Span, rendered: &Line<'_>) -> Span {
        if !self.sources.slice(span).contains('\n') {
            return span;
        }
        let written = lines(self.sources.text(span.source), false);
        let (start, end) = (span.start as usize, span.end as usize);
        let mut within = written
            .iter()
            .filter(|line| line.start + line.text.len() >= start && line.start < end);
        let found = within.find(|line| line.fit(rendered) > 0);
        found.map_or(span, |line| trimmed(span.source, line))
    }

    /// A line of a values file that is the rendered one.
    fn value(&self, rendered: &Line<'_>) -> Option<Span> {
        self.origin.values.iter().rev().find_map(|(source, _)| {
            let written = lines(self.sources.text(*source), false);
            let found = written.iter().find(|line| line.fit(rendered) > 0)?;
            Some(trimmed(*source, found))
        })
    }
}

/// Of these files the one that most likely defines the object.
pub(super) fn home(document: &str, files: &[SourceId], sources: &Sources) -> Option<SourceId> {
    let rendered = lines(document, false);
    let likeness = |source: &&SourceId| {
        let written = lines(sources.text(**source), false);
        let own = written
            .iter()
            .enumerate()
            .filter(|(_, line)| line.role == Role::Separator);
        let starts = std::iter::once(0).chain(own.map(|(index, _)| index + 1));
        starts
            .map(|start| {
                let part = section(&written, start);
                let lines = rendered.iter().filter(|line| line.is_content());
                let common = lines
                    .filter(|line| part.iter().any(|own| own.fit(line) > 0))
                    .count();
                (kinship(&rendered, part), common)
            })
            .max()
            .unwrap_or_default()
    };
    files.iter().rev().max_by_key(likeness).copied()
}

/// What makes two documents the same object: kind and name.
fn kinship(rendered: &[Line<'_>], written: &[Line<'_>]) -> u32 {
    let line = |key: &str| {
        let found = rendered.iter().find(|line| match key {
            "kind" => line.indent == 0 && line.value_of(key).is_some(),
            _ => line.indent > 0 && !line.is_item && line.value_of(key).is_some(),
        });
        found.filter(|line| line.is_content())
    };
    let mut score = 0;
    if let Some(kind) = line("kind") {
        score += 40
            * u32::from(
                written
                    .iter()
                    .any(|line| line.indent == 0 && line.fit(kind) > 0),
            );
    }
    if let Some(name) = line("name") {
        let value = name.value_of("name").unwrap_or_default();
        let fit = written.iter().map(|line| line.fit(name)).max().unwrap_or(0);
        // kustomize may put something before and after a name.
        let is_part = || {
            written
                .iter()
                .filter_map(|line| line.value_of("name"))
                .any(|own| !own.is_empty() && value.contains(own))
        };
        score += if fit > 0 {
            fit * 2 / 3
        } else {
            10 * u32::from(is_part())
        };
    }
    score
}

/// The document around a line.
fn section<'a, 't>(lines: &'a [Line<'t>], at: usize) -> &'a [Line<'t>] {
    let is_border = |line: &Line<'_>| line.role == Role::Separator;
    let before = lines.get(..at).unwrap_or_default();
    let after = lines.get(at..).unwrap_or_default();
    let start = before
        .iter()
        .rposition(is_border)
        .map_or(0, |index| index + 1);
    let end = after
        .iter()
        .position(is_border)
        .map_or(lines.len(), |index| at + index);
    lines.get(start..end.max(start)).unwrap_or_default()
}

/// The lines that a line is below of, the nearest first.
fn parents(lines: &[Line<'_>], at: usize) -> Vec<usize> {
    let mut found = Vec::new();
    let Some(mut child) = lines.get(at) else {
        return found;
    };
    for (index, line) in lines.iter().enumerate().take(at).rev() {
        if line.role == Role::Separator || found.len() == PARENTS {
            break;
        }
        // A list may stand at the indentation of its key.
        let holds = line.indent < child.indent
            || line.indent == child.indent && child.is_item && !line.is_item;
        if line.is_content() && holds {
            found.push(index);
            child = line;
        }
    }
    found
}

/// Paths after `.Values.` in a text.
fn value_paths(text: &str) -> impl Iterator<Item = String> {
    text.match_indices(".Values.").filter_map(|(at, mark)| {
        let rest = text.get(at + mark.len()..)?;
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '.' | '-'))
            .unwrap_or(rest.len());
        let path = rest.get(..end)?.trim_end_matches(['.', '-']);
        (!path.is_empty()).then(|| path.to_owned())
    })
}

fn trimmed(source: SourceId, line: &Line<'_>) -> Span {
    let from = line.start + (line.text.len() - line.text.trim_start().len());
    Span::new(source, from, line.start + line.text.trim_end().len())
}
