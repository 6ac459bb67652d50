//! Problems shown with their place in the file.

use std::fmt;
use std::io::IsTerminal;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode,
};

use crate::source::{Problem, Severity, Sources, Span};

/// Shows problems on standard error; true if one of them is an error.
pub(super) fn show(sources: &Sources, problems: &[Problem]) -> bool {
    let theme = if std::io::stderr().is_terminal() {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false);
    for problem in problems {
        let mut text = String::new();
        let shown = Shown::new(sources, problem);
        if handler.render_report(&mut text, &shown).is_ok() {
            eprint!("{text}");
        } else {
            eprintln!("{}: {}", problem.code, problem.message);
        }
    }
    problems.iter().any(Problem::is_error)
}

/// A problem in the form that miette draws.
struct Shown {
    message: String,
    code: &'static str,
    help: Option<String>,
    severity: miette::Severity,
    source: Option<NamedSource<String>>,
    labels: Vec<LabeledSpan>,
}

impl Shown {
    fn new(sources: &Sources, problem: &Problem) -> Self {
        let Problem {
            severity,
            code,
            message,
            help,
            span,
            related,
        } = problem;
        let home = span.map(|span| span.source);
        let range = |span: Span| (span.start as usize)..(span.end.max(span.start) as usize);
        let mut labels = Vec::new();
        labels.extend(
            span.map(|span| {
                LabeledSpan::new_primary_with_span(Some("here".to_owned()), range(span))
            }),
        );
        let mut help = help.clone();
        for (place, what) in related {
            if Some(place.source) == home {
                labels.push(LabeledSpan::new_with_span(
                    Some(what.clone()),
                    range(*place),
                ));
            } else {
                let note = format!("{what}: {}", sources.describe(*place));
                help = Some(help.map_or(note.clone(), |help| format!("{help}\n{note}")));
            }
        }
        Self {
            message: message.clone(),
            code,
            help,
            severity: match severity {
                Severity::Error => miette::Severity::Error,
                Severity::Warning => miette::Severity::Warning,
                Severity::Info => miette::Severity::Advice,
            },
            source: home.map(|source| {
                NamedSource::new(sources.name(source), sources.text(source).to_owned())
            }),
            labels,
        }
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Shown {}

impl Diagnostic for Shown {
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
