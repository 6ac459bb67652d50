//! Where a finding is, as most formats want it.

use crate::lint::Finding;
use crate::source::{Position, Sources};

/// File and lines of a finding; the file's name is empty and the place 1:1 where it has none.
pub(super) struct Place<'s> {
    pub file: &'s str,
    pub start: Position,
    /// One past the last character.
    pub end: Position,
}

pub(super) fn place<'s>(sources: &'s Sources, finding: &Finding) -> Place<'s> {
    match finding.span {
        Some(span) => Place {
            file: sources.name(span.source),
            start: sources.start(span),
            end: sources.end(span),
        },
        None => Place {
            file: "",
            start: Position { line: 1, column: 1 },
            end: Position { line: 1, column: 1 },
        },
    }
}

/// Message and help in one text.
pub(super) fn told(finding: &Finding) -> String {
    match &finding.help {
        Some(help) => format!("{}\n{help}", finding.message),
        None => finding.message.clone(),
    }
}
