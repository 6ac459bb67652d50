//! One JSON object, for tools. Its shape is stable within a `version`.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::lint::{Edit, Finding, Fix, Report, severity_name};
use crate::source::{Severity, Sources, Span};

/// Version of the shape.
const VERSION: u32 = 1;

/// The report as one object with `version`, `findings` and `summary`. Lines and columns count from
/// 1, columns in characters; an end is one past the last character.
pub fn render(sources: &Sources, report: &Report) -> String {
    let findings = FindingList {
        sources,
        findings: &report.findings,
    };
    let object = Object {
        version: VERSION,
        findings,
        summary: json!({
            "files": report.files,
            "objects": report.objects,
            "findings": report.findings.len(),
            "error": report.count(Severity::Error),
            "warning": report.count(Severity::Warning),
            "info": report.count(Severity::Info),
        }),
    };
    // All of it can be written: keys are texts, and nothing fails.
    serde_json::to_string_pretty(&object).unwrap_or_default()
}

#[derive(Serialize)]
struct Object<'r> {
    version: u32,
    findings: FindingList<'r>,
    summary: Value,
}

/// Made one after the other while they are written: many of them take much memory.
struct FindingList<'r> {
    sources: &'r Sources,
    findings: &'r [Finding],
}

impl Serialize for FindingList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sources = self.sources;
        let findings = self.findings.iter();
        serializer.collect_seq(findings.map(|finding| Written(sources, finding)))
    }
}

/// Something with places, and the texts that the places are in.
struct Written<'r, T>(&'r Sources, &'r T);

impl Serialize for Written<'_, Finding> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Written(sources, finding) = self;
        let Finding {
            rule,
            severity,
            confidence,
            message,
            help,
            span,
            path,
            object,
            related,
            fix,
            counterexample,
        } = finding;
        let mut out = serializer.serialize_map(None)?;
        out.serialize_entry("rule", rule)?;
        out.serialize_entry("severity", severity_name(*severity))?;
        out.serialize_entry("confidence", confidence)?;
        out.serialize_entry("message", message)?;
        out.serialize_entry("help", help)?;
        add_place(&mut out, sources, *span)?;
        out.serialize_entry("path", path)?;
        out.serialize_entry("object", object)?;
        let related: Vec<_> = related.iter().map(|it| Written(sources, it)).collect();
        out.serialize_entry("related", &related)?;
        let fix = fix.as_ref().map(|fix| Written(sources, fix));
        out.serialize_entry("fix", &fix)?;
        out.serialize_entry("counterexample", counterexample)?;
        out.end()
    }
}

impl Serialize for Written<'_, (Span, String)> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Written(sources, (span, what)) = self;
        let mut out = serializer.serialize_map(None)?;
        add_place(&mut out, sources, Some(*span))?;
        out.serialize_entry("message", what)?;
        out.end()
    }
}

impl Serialize for Written<'_, Fix> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Written(
            sources,
            Fix {
                message,
                applicability,
                edits,
            },
        ) = self;
        let mut out = serializer.serialize_map(None)?;
        out.serialize_entry("message", message)?;
        out.serialize_entry("applicability", applicability)?;
        let edits: Vec<_> = edits.iter().map(|it| Written(sources, it)).collect();
        out.serialize_entry("edits", &edits)?;
        out.end()
    }
}

impl Serialize for Written<'_, Edit> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Written(sources, Edit { span, replacement }) = self;
        let mut out = serializer.serialize_map(None)?;
        add_place(&mut out, sources, Some(*span))?;
        out.serialize_entry("replacement", replacement)?;
        out.end()
    }
}

fn add_place<M: SerializeMap>(
    out: &mut M,
    sources: &Sources,
    span: Option<Span>,
) -> Result<(), M::Error> {
    let start = span.map(|span| sources.start(span));
    let end = span.map(|span| sources.end(span));
    out.serialize_entry("file", &span.map(|span| sources.name(span.source)))?;
    out.serialize_entry("line", &start.map(|start| start.line))?;
    out.serialize_entry("column", &start.map(|start| start.column))?;
    out.serialize_entry("end_line", &end.map(|end| end.line))?;
    out.serialize_entry("end_column", &end.map(|end| end.column))
}
