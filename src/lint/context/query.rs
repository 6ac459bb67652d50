//! Texts with placeholders, filled in, with a way back to the place where each part is written.

use std::ops::Range;
use std::sync::OnceLock;

use super::analysis::ArgumentView;
use super::text_places::TextPlaces;
use crate::expr;
use crate::promql::{self, ParseErrors, ast::Expr};
use crate::source::{Sources, Span};
use crate::spec::yaml::Node;

/// A text of a metric with its placeholders filled in.
#[derive(Clone, Debug)]
pub struct FilledText {
    /// As the manifest has it.
    pub written: String,
    /// With the values of arguments.
    pub text: String,
    /// In the order of the text.
    pub placeholders: Vec<Placeholder>,
    places: TextPlaces,
}

/// A `{{args.x}}` in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholder {
    /// Name of the argument, without `args.`.
    pub argument: String,
    /// Where it is in the text as written.
    pub written: Range<usize>,
    /// Where its value is in the filled text.
    pub filled: Range<usize>,
    /// Whether no value is known, so that a harmless one stands there.
    pub is_stand_in: bool,
}

/// A Prometheus query.
#[derive(Clone, Debug)]
pub struct QueryView {
    pub text: FilledText,
    parsed: OnceLock<Result<Expr, ParseErrors>>,
}

/// A success or failure condition.
#[derive(Clone, Debug)]
pub struct ConditionView {
    pub text: FilledText,
    compiled: OnceLock<Result<expr::Program, expr::Error>>,
}

impl FilledText {
    /// `node` is where the text is written.
    pub(super) fn new(
        sources: &Sources,
        node: &Node,
        written: &str,
        args: &[ArgumentView],
    ) -> Self {
        let places = TextPlaces::new(node.span, sources.slice(node.span), written);
        let mut filled = Self {
            written: written.to_owned(),
            text: String::with_capacity(written.len()),
            placeholders: Vec::new(),
            places,
        };
        let mut at = 0;
        while let Some((start, end)) = next_placeholder(written, at) {
            filled
                .text
                .push_str(written.get(at..start).unwrap_or_default());
            let tag = written.get(start + 2..end - 2).unwrap_or_default().trim();
            let name = tag.strip_prefix("args.").unwrap_or(tag);
            let known = args
                .iter()
                .find(|argument| argument.name == name)
                .and_then(|argument| argument.value.as_deref());
            let from = filled.text.len();
            let after = written.get(end..).unwrap_or_default();
            let value = known.unwrap_or_else(|| stand_in(&filled.text, after));
            let value = value.to_owned();
            filled.text.push_str(&value);
            filled.placeholders.push(Placeholder {
                argument: name.to_owned(),
                written: start..end,
                filled: from..filled.text.len(),
                is_stand_in: known.is_none(),
            });
            at = end;
        }
        filled.text.push_str(written.get(at..).unwrap_or_default());
        filled
    }

    /// Where bytes `start..end` of the filled text are written; of values that come through
    /// placeholders, the place of the placeholder.
    pub fn span(&self, start: usize, end: usize) -> Span {
        let from = self.to_written(start, false);
        let to = self.to_written(end, true).max(from);
        self.places.span(from, to)
    }

    /// Where the whole text is written.
    pub fn whole(&self) -> Span {
        self.places.whole()
    }

    /// Where a placeholder is written.
    pub fn placeholder_span(&self, placeholder: &Placeholder) -> Span {
        self.places
            .span(placeholder.written.start, placeholder.written.end)
    }

    /// Whether values are guessed.
    pub fn has_stand_ins(&self) -> bool {
        self.placeholders
            .iter()
            .any(|placeholder| placeholder.is_stand_in)
    }

    fn to_written(&self, offset: usize, is_end: bool) -> usize {
        let (mut filled_end, mut written_end) = (0, 0);
        for placeholder in &self.placeholders {
            let Range { start, end } = placeholder.filled;
            let within = if is_end {
                offset > start && offset <= end
            } else {
                offset >= start && offset < end
            };
            if within {
                return if is_end {
                    placeholder.written.end
                } else {
                    placeholder.written.start
                };
            }
            if offset < start || (is_end && offset == start) {
                break;
            }
            (filled_end, written_end) = (end, placeholder.written.end);
        }
        offset.saturating_sub(filled_end) + written_end
    }
}

impl QueryView {
    pub(super) fn new(text: FilledText) -> Self {
        Self {
            text,
            parsed: OnceLock::new(),
        }
    }

    /// Parsed when first asked for: nobody asks about a template that is judged where it is used.
    pub fn parsed(&self) -> &Result<Expr, ParseErrors> {
        self.parsed.get_or_init(|| promql::parse(&self.text.text))
    }

    /// Where a node of the query is written.
    pub fn span(&self, span: promql::ast::Span) -> Span {
        self.text.span(span.start, span.end)
    }
}

impl ConditionView {
    pub(super) fn new(text: FilledText) -> Self {
        Self {
            text,
            compiled: OnceLock::new(),
        }
    }

    /// Compiled for a result of unknown type, when first asked for.
    pub fn compiled(&self) -> &Result<expr::Program, expr::Error> {
        self.compiled
            .get_or_init(|| expr::compile(&self.text.text, &expr::Type::Unknown))
    }
}

/// The names of the arguments that a text has placeholders for, in order.
pub fn argument_names(text: &str) -> impl Iterator<Item = &str> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (start, end) = next_placeholder(text, at)?;
        at = end;
        let tag = text.get(start + 2..end - 2).unwrap_or_default().trim();
        Some(tag.strip_prefix("args.").unwrap_or(tag))
    })
}

/// Start and end of the next `{{...}}`.
fn next_placeholder(text: &str, from: usize) -> Option<(usize, usize)> {
    let start = from + text.get(from..)?.find("{{")?;
    let end = start + text.get(start..)?.find("}}")? + 2;
    Some((start, end))
}

/// A value that fits wherever the placeholder stands: a range, a name, or a number.
fn stand_in(before: &str, after: &str) -> &'static str {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let touches = |c: Option<char>| c.is_some_and(is_word);
    let trimmed = before.trim_end();
    if trimmed.ends_with(['[', ':']) && after.trim_start().starts_with([']', ':', ' '])
        || trimmed.ends_with("offset")
    {
        "5m"
    } else if after.starts_with(['{', '(', '[', '=', '!'])
        || touches(before.chars().next_back())
        || touches(after.chars().next())
        || in_quotes(before)
        || in_label_list(before)
    {
        "x"
    } else {
        "1"
    }
}

fn in_quotes(before: &str) -> bool {
    let mut open = None;
    let mut escaped = false;
    for c in before.chars() {
        match open {
            Some(quote) => {
                if !escaped && c == quote {
                    open = None;
                }
                escaped = !escaped && c == '\\' && quote != '`';
            }
            None if matches!(c, '"' | '\'' | '`') => open = Some(c),
            None => {}
        }
    }
    open.is_some()
}

/// Within `by (...)` and the like, or between braces where a label is expected.
fn in_label_list(before: &str) -> bool {
    let open = before.rfind('(').filter(|open| {
        before
            .get(*open..)
            .is_some_and(|inside| !inside.contains(')'))
    });
    let is_list = open
        .and_then(|open| before.get(..open))
        .is_some_and(|head| {
            let head = head.trim_end();
            [
                "by",
                "without",
                "on",
                "ignoring",
                "group_left",
                "group_right",
            ]
            .iter()
            .any(|word| head.ends_with(word))
        });
    is_list || before.trim_end().ends_with('{')
}
