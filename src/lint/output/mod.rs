//! Formats: one file each, from a report to text.

pub mod checkstyle;
pub mod github;
pub mod gitlab;
pub mod json;
pub mod junit;
mod place;
pub mod sarif;

use super::Report;
use crate::source::Severity;

/// What was found in one line, such as `2 errors, 1 warning in 3 objects of 1 file`.
pub fn summary(report: &Report) -> String {
    let counted = |count: usize, what: &str| {
        let s = if count == 1 { "" } else { "s" };
        format!("{count} {what}{s}")
    };
    let mut parts = Vec::new();
    for (severity, what) in [(Severity::Error, "error"), (Severity::Warning, "warning")] {
        let count = report.count(severity);
        if count > 0 {
            parts.push(counted(count, what));
        }
    }
    match report.count(Severity::Info) {
        0 => {}
        count => parts.push(format!("{count} info")),
    }
    let found = if parts.is_empty() {
        "nothing found".to_owned()
    } else {
        parts.join(", ")
    };
    let objects = counted(report.objects, "object");
    let files = counted(report.files, "file");
    format!("{found} in {objects} of {files}")
}
