//! JUnit XML: a test case for each finding, and one that passes where there is none.

use std::fmt::Write as _;

use super::place::{place, told};
use crate::lint::{Report, severity_name};
use crate::report::xml::escape;
use crate::source::Sources;

/// All findings as failures of one suite.
pub fn render(sources: &Sources, report: &Report) -> String {
    let count = report.findings.len();
    let tests = count.max(1);
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"{tests}\" failures=\"{count}\">\n  <testsuite name=\"rollproof lint\" tests=\"{tests}\" failures=\"{count}\">\n"
    );
    for finding in &report.findings {
        let place = place(sources, finding);
        let at = format!("{}:{}", place.file, place.start);
        let _ = writeln!(
            out,
            "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\">\n      <failure type=\"{}\" message=\"{}\">{}</failure>\n    </testcase>",
            finding.rule,
            escape(&at),
            escape(place.file),
            place.start.line,
            severity_name(finding.severity),
            escape(&finding.message).replace('\n', "&#10;"),
            escape(&format!("{at}\n{}", told(finding)))
        );
    }
    if count == 0 {
        out.push_str("    <testcase classname=\"rollproof\" name=\"nothing found\"/>\n");
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}
