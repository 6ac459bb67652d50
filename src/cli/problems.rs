//! Problems shown with their place in the file.

use std::fmt;
use std::io::IsTerminal;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError,
    MietteSpanContents, SourceCode, SourceSpan, SpanContents,
};

use crate::lint::{Counterexample, Finding};
use crate::report::timeline::Look;
use crate::source::{Problem, Severity, Sources, Span};

/// Shows problems on standard error; true if one of them is an error.
pub(super) fn show(sources: &Sources, problems: &[Problem]) -> bool {
    let handler = handler(std::io::stderr().is_terminal());
    for problem in problems {
        eprint!("{}", draw(&handler, &Shown::of_problem(sources, problem)));
    }
    problems.iter().any(Problem::is_error)
}

/// Findings of lint as text, each with its place in the file.
pub(super) fn draw_findings(sources: &Sources, findings: &[Finding], look: Look) -> String {
    let handler = handler(look.colour);
    let handler = if look.width > 0 {
        handler.with_width(look.width)
    } else {
        handler
    };
    findings
        .iter()
        .map(|finding| draw(&handler, &Shown::of_finding(sources, finding)))
        .collect()
}

fn handler(colour: bool) -> GraphicalReportHandler {
    let theme = if colour {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    GraphicalReportHandler::new_themed(theme).with_links(false)
}

fn draw(handler: &GraphicalReportHandler, shown: &Shown<'_>) -> String {
    let mut text = String::new();
    match handler.render_report(&mut text, shown) {
        Ok(()) => text,
        Err(_) => format!("{}: {}\n", shown.code, shown.message),
    }
}

/// A text that is not copied for each of its problems: traces are large.
struct Source<'a> {
    name: &'a str,
    text: &'a str,
}

impl SourceCode for Source<'_> {
    fn read_span<'b>(
        &'b self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'b> + 'b>, MietteError> {
        let found = self.text.read_span(span, lines_before, lines_after)?;
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.to_owned(),
            found.data(),
            *found.span(),
            found.line(),
            found.column(),
            found.line_count(),
        )))
    }
}

/// A problem in the form that miette draws.
struct Shown<'a> {
    message: String,
    code: &'static str,
    help: Option<String>,
    severity: miette::Severity,
    source: Option<Source<'a>>,
    labels: Vec<LabeledSpan>,
}

impl<'a> Shown<'a> {
    fn of_problem(sources: &'a Sources, problem: &Problem) -> Self {
        let Problem {
            severity,
            code,
            message,
            help,
            span,
            related,
        } = problem;
        let mut shown = Self::new(*severity, code, message.clone(), help.clone());
        shown.place(sources, *span, related);
        shown
    }

    fn of_finding(sources: &'a Sources, finding: &Finding) -> Self {
        let Finding {
            rule,
            severity,
            confidence: _,
            message,
            help,
            span,
            path: _,
            object: _,
            related,
            fix: _,
            counterexample,
        } = finding;
        let mut shown = Self::new(*severity, rule, message.clone(), help.clone());
        if let Some(case) = counterexample {
            let Counterexample {
                given,
                evaluated,
                outcome,
            } = case;
            shown.note(format!("shown by: {given}; {evaluated} gives {outcome}"));
        }
        shown.place(sources, *span, related);
        shown
    }

    fn new(severity: Severity, code: &'static str, message: String, help: Option<String>) -> Self {
        Self {
            message,
            code,
            help,
            severity: match severity {
                Severity::Error => miette::Severity::Error,
                Severity::Warning => miette::Severity::Warning,
                Severity::Info => miette::Severity::Advice,
            },
            source: None,
            labels: Vec::new(),
        }
    }

    /// Places in the same file are underlined, others are named below.
    fn place(&mut self, sources: &'a Sources, span: Option<Span>, related: &[(Span, String)]) {
        let home = span.map(|span| span.source);
        let range = |span: Span| (span.start as usize)..(span.end.max(span.start) as usize);
        self.labels.extend(
            span.map(|span| {
                LabeledSpan::new_primary_with_span(Some("here".to_owned()), range(span))
            }),
        );
        for (place, what) in related {
            if Some(place.source) == home {
                let label = LabeledSpan::new_with_span(Some(what.clone()), range(*place));
                self.labels.push(label);
            } else {
                self.note(format!("{what}: {}", sources.describe(*place)));
            }
        }
        // Only labels in order are shown with the lines around them instead of all between them.
        self.labels.sort_by_key(LabeledSpan::offset);
        self.source = home.map(|source| Source {
            name: sources.name(source),
            text: sources.text(source),
        });
    }

    fn note(&mut self, note: String) {
        self.help = Some(match self.help.take() {
            Some(help) => format!("{help}\n{note}"),
            None => note,
        });
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}
