//! Source ids, spans, and the problems that point at them.

use std::fmt;

/// A text known to [`Sources`], by the order in which it was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u32);

/// A place in a source: byte offsets, half open, `start <= end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    pub source: SourceId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The span of `start..end`; offsets over `u32::MAX` are clamped, an end before the start gives an empty span.
    pub fn new(source: SourceId, start: usize, end: usize) -> Self {
        let start = u32::try_from(start).unwrap_or(u32::MAX);
        let end = u32::try_from(end).unwrap_or(u32::MAX).max(start);
        Self { source, start, end }
    }

    /// The smallest span that holds both; `self` where the sources differ.
    pub fn to(self, other: Span) -> Span {
        if self.source != other.source {
            return self;
        }
        Span {
            source: self.source,
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }

    /// Whether `other` lies within this span.
    pub fn holds(self, other: Span) -> bool {
        self.source == other.source && self.start <= other.start && other.end <= self.end
    }
}

/// A line and a column as editors show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// From 1.
    pub line: u32,
    /// From 1, in Unicode characters.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The registry of all texts that were read: the only holder of their names and contents.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
}

#[derive(Clone, Debug)]
struct SourceFile {
    name: String,
    text: String,
    /// Byte offset at which each line starts; never empty.
    line_starts: Vec<u32>,
}

impl Sources {
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a text under the name to show (usually its path). Two texts may share a name.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> SourceId {
        let text = text.into();
        let mut line_starts = vec![0];
        for (offset, _) in text.match_indices('\n') {
            match u32::try_from(offset + 1) {
                Ok(start) => line_starts.push(start),
                Err(_) => break,
            }
        }
        let id = SourceId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.files.push(SourceFile {
            name: name.into(),
            text,
            line_starts,
        });
        id
    }

    /// All ids, in the order of adding.
    pub fn ids(&self) -> impl Iterator<Item = SourceId> + '_ {
        (0..self.files.len()).filter_map(|index| u32::try_from(index).ok().map(SourceId))
    }

    /// The name given to [`Sources::add`]; empty for an id of another registry.
    pub fn name(&self, id: SourceId) -> &str {
        self.file(id).map_or("", |file| file.name.as_str())
    }

    /// The whole text; empty for an id of another registry.
    pub fn text(&self, id: SourceId) -> &str {
        self.file(id).map_or("", |file| file.text.as_str())
    }

    /// The text under a span; empty where the span does not lie on character borders of its source.
    pub fn slice(&self, span: Span) -> &str {
        self.text(span.source)
            .get(span.start as usize..span.end as usize)
            .unwrap_or("")
    }

    /// Line and column of a byte offset; an offset past the end gives the end.
    pub fn position(&self, id: SourceId, offset: u32) -> Position {
        let Some(file) = self.file(id) else {
            return Position { line: 1, column: 1 };
        };
        let index = file
            .line_starts
            .partition_point(|start| *start <= offset)
            .saturating_sub(1);
        let start = file.line_starts.get(index).copied().unwrap_or(0) as usize;
        let end = (offset as usize).min(file.text.len());
        let before = file.text.as_bytes().get(start..end).unwrap_or(&[]);
        // A byte that continues no character starts one.
        let characters = before.iter().filter(|byte| (**byte & 0xC0) != 0x80).count();
        Position {
            line: u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1),
            column: u32::try_from(characters)
                .unwrap_or(u32::MAX)
                .saturating_add(1),
        }
    }

    /// Line and column of the first byte of a span.
    pub fn start(&self, span: Span) -> Position {
        self.position(span.source, span.start)
    }

    /// Line and column one past the last byte of a span.
    pub fn end(&self, span: Span) -> Position {
        self.position(span.source, span.end)
    }

    /// The text of a line (from 1) without its line break; `None` where there is no such line.
    pub fn line_text(&self, id: SourceId, line: u32) -> Option<&str> {
        let file = self.file(id)?;
        let index = (line as usize).checked_sub(1)?;
        let start = *file.line_starts.get(index)? as usize;
        let rest = file.text.get(start..)?;
        let line = rest.split('\n').next().unwrap_or(rest);
        Some(line.strip_suffix('\r').unwrap_or(line))
    }

    /// `name:line:column` of the start of a span.
    pub fn describe(&self, span: Span) -> String {
        format!("{}:{}", self.name(span.source), self.start(span))
    }

    fn file(&self, id: SourceId) -> Option<&SourceFile> {
        self.files.get(id.0 as usize)
    }
}

/// How much a [`Problem`] weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Kubernetes or the controller would refuse this.
    Error,
    /// Accepted, but probably not what was meant.
    Warning,
    /// Worth knowing.
    Info,
}

/// Something wrong with what was read. Reading returns a value plus problems and never fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    /// A stable name for tools, kebab case, such as `yaml-syntax`.
    pub code: &'static str,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    pub span: Option<Span>,
    /// Other places that belong to the problem, each with what is there.
    pub related: Vec<(Span, String)>,
}

impl Problem {
    pub fn error(code: &'static str, message: impl Into<String>, span: Span) -> Self {
        Self::new(Severity::Error, code, message, span)
    }

    pub fn warning(code: &'static str, message: impl Into<String>, span: Span) -> Self {
        Self::new(Severity::Warning, code, message, span)
    }

    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub fn with_related(mut self, span: Span, what: impl Into<String>) -> Self {
        self.related.push((span, what.into()));
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    fn new(severity: Severity, code: &'static str, message: impl Into<String>, span: Span) -> Self {
        Self {
            severity,
            code,
            message: message.into(),
            help: None,
            span: Some(span),
            related: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let mut sources = Sources::new();
        let id = sources.add("a.yaml", "é: 1\r\nb: ü2\n");
        let at = |offset| sources.position(id, offset).to_string();
        assert_eq!(at(0), "1:1");
        assert_eq!(at(2), "1:2");
        assert_eq!(at(7), "2:1");
        assert_eq!(at(12), "2:5");
        assert_eq!(at(14), "3:1");
        assert_eq!(at(999), "3:1");
        assert_eq!(sources.line_text(id, 1), Some("é: 1"));
        assert_eq!(sources.line_text(id, 2), Some("b: ü2"));
        assert_eq!(sources.line_text(id, 3), Some(""));
        assert_eq!(sources.line_text(id, 4), None);
        assert_eq!(sources.describe(Span::new(id, 7, 8)), "a.yaml:2:1");
    }
}
