//! GitLab's code quality report.

use serde_json::{Value, json};

use super::place::{place, told};
use crate::lint::Report;
use crate::source::{Severity, Sources};

/// A list with an element a finding. Findings without a file are left out: the format has no place
/// for them.
pub fn render(sources: &Sources, report: &Report) -> Value {
    let findings = report
        .findings
        .iter()
        .filter(|finding| finding.span.is_some());
    findings
        .map(|finding| {
            let place = place(sources, finding);
            let severity = match finding.severity {
                Severity::Error => "critical",
                Severity::Warning => "major",
                Severity::Info => "info",
            };
            json!({
                "description": told(finding),
                "check_name": finding.rule,
                "fingerprint": finding.fingerprint(sources),
                "severity": severity,
                "location": {
                    "path": place.file,
                    "lines": {"begin": place.start.line, "end": place.end.line},
                },
            })
        })
        .collect()
}
