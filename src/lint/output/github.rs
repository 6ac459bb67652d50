//! Workflow commands of GitHub Actions: each finding becomes an annotation on its lines.

use std::fmt::Write as _;

use super::place::{place, told};
use crate::lint::Report;
use crate::source::{Severity, Sources};

/// A line a finding.
pub fn render(sources: &Sources, report: &Report) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        let command = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "notice",
        };
        let place = place(sources, finding);
        let mut properties = String::new();
        if !place.file.is_empty() {
            let _ = write!(
                properties,
                "file={},line={},col={},endLine={},endColumn={},",
                property(place.file),
                place.start.line,
                place.start.column,
                place.end.line,
                place.end.column
            );
        }
        let title = property(finding.rule);
        let _ = writeln!(
            out,
            "::{command} {properties}title={title}::{}",
            data(&told(finding))
        );
    }
    out
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
