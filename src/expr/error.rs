//! What can go wrong with a condition, with the reference's texts and the place in the source.

use std::fmt;
use std::ops::Range;

/// When a condition failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Lexing, parsing, type checking or folding: no result was looked at.
    Compile,
    /// Evaluation.
    Run,
}

/// An error of the language. `Display` is the bare message, as an AnalysisRun shows it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// When it happened.
    pub stage: Stage,
    /// The reference's text where the reference has such an error.
    pub message: String,
    /// Bytes of the source that the error is about.
    pub span: Range<usize>,
}

impl Error {
    pub(crate) fn compile(message: impl Into<String>, span: &Range<usize>) -> Self {
        Self {
            stage: Stage::Compile,
            message: message.into(),
            span: span.clone(),
        }
    }

    pub(crate) fn run(message: impl Into<String>, span: &Range<usize>) -> Self {
        Self {
            stage: Stage::Run,
            message: message.into(),
            span: span.clone(),
        }
    }

    /// The message with `(line:column)` and the line it is in, a caret below the place.
    ///
    /// Lines and columns count from 1; columns count characters. `source` must be the text that
    /// was compiled; a span outside of it is shown at its end.
    pub fn render(&self, source: &str) -> String {
        let mut at = self.span.start.min(source.len());
        while !source.is_char_boundary(at) {
            at -= 1;
        }
        let before = &source[..at];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let line_end = source[line_start..]
            .find('\n')
            .map_or(source.len(), |i| line_start + i);
        if line_start == line_end {
            return self.message.clone();
        }
        let line = before.matches('\n').count() + 1;
        let column = source[line_start..at].chars().count();
        let text = source[line_start..line_end].replace('\t', " ");
        format!(
            "{} ({line}:{})\n | {text}\n | {}^",
            self.message,
            column + 1,
            ".".repeat(column)
        )
    }
}

/// Why a condition gave no verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConditionError {
    /// The condition does not compile, or its evaluation failed.
    Expression(Error),
    /// The value of the condition is not a bool; holds the name of its type.
    NotBool(String),
}

impl fmt::Display for ConditionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expression(error) => error.fmt(f),
            Self::NotBool(type_name) => write!(f, "expected bool, but got {type_name}"),
        }
    }
}

impl std::error::Error for ConditionError {}

impl From<Error> for ConditionError {
    fn from(error: Error) -> Self {
        Self::Expression(error)
    }
}
