//! Results of scenario tests: for people, and as JUnit XML.

use std::fmt::Write as _;

use anstyle::AnsiColor;

use super::timeline::Look;
use super::xml::escape;

/// One scenario's result.
#[derive(Debug, Clone, PartialEq)]
pub struct TestResult {
    /// File and place: `tests/bad.yaml:1`.
    pub name: String,
    pub about: String,
    /// Why it failed, a line each; empty where it passed.
    pub failures: Vec<String>,
    /// How many expectations it has.
    pub expectations: usize,
}

impl TestResult {
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// A line a test, its failures, and a sum.
pub fn render(results: &[TestResult], look: Look) -> String {
    let mut out = String::new();
    for result in results {
        let mark = if result.passed() {
            look.paint(AnsiColor::Green.on_default(), "ok    ")
        } else {
            look.paint(AnsiColor::Red.on_default().bold(), "FAILED")
        };
        let about = if result.about.is_empty() {
            String::new()
        } else {
            format!("  {}", result.about)
        };
        let _ = writeln!(out, "{mark} {}{about}", result.name);
        for failure in &result.failures {
            let _ = writeln!(out, "       {failure}");
        }
    }
    let passed = results.iter().filter(|result| result.passed()).count();
    let _ = writeln!(out, "{passed} of {} scenarios passed", results.len());
    out
}

/// JUnit XML, as CI systems read it.
pub fn junit(results: &[TestResult]) -> String {
    let failures = results.iter().filter(|result| !result.passed()).count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites tests=\"{0}\" failures=\"{failures}\">\n  <testsuite name=\"rollproof\" tests=\"{0}\" failures=\"{failures}\">",
        results.len()
    );
    for result in results {
        let name = escape(&result.name);
        if result.passed() {
            let _ = writeln!(
                out,
                "    <testcase classname=\"rollproof\" name=\"{name}\"/>"
            );
            continue;
        }
        let text = escape(&result.failures.join("\n"));
        let first = escape(result.failures.first().map_or("", String::as_str));
        let _ = writeln!(
            out,
            "    <testcase classname=\"rollproof\" name=\"{name}\">\n      <failure message=\"{first}\">{text}</failure>\n    </testcase>"
        );
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}
