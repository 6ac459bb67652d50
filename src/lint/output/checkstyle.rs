//! Checkstyle XML, which most review tools read.

use std::fmt::Write as _;

use super::place::{place, told};
use crate::lint::{Report, severity_name};
use crate::report::xml::escape;
use crate::source::Sources;

/// Findings by file.
pub fn render(sources: &Sources, report: &Report) -> String {
    let mut out =
        String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<checkstyle version=\"4.3\">\n");
    let mut open: Option<&str> = None;
    for finding in &report.findings {
        let place = place(sources, finding);
        if open != Some(place.file) {
            if open.is_some() {
                out.push_str("  </file>\n");
            }
            let _ = writeln!(out, "  <file name=\"{}\">", escape(place.file));
            open = Some(place.file);
        }
        let _ = writeln!(
            out,
            "    <error line=\"{}\" column=\"{}\" severity=\"{}\" message=\"{}\" source=\"rollproof.{}\"/>",
            place.start.line,
            place.start.column,
            severity_name(finding.severity),
            escape(&told(finding)).replace('\n', "&#10;"),
            finding.rule
        );
    }
    if open.is_some() {
        out.push_str("  </file>\n");
    }
    out.push_str("</checkstyle>\n");
    out
}
