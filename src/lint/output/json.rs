//! One JSON object, for tools. Its shape is stable within a `version`.

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
        let findings = self.findings.iter();
        serializer.collect_seq(findings.map(|finding| finding_json(self.sources, finding)))
    }
}

fn finding_json(sources: &Sources, finding: &Finding) -> Value {
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
    let mut out = json!({
        "rule": rule,
        "severity": severity_name(*severity),
        "confidence": confidence,
        "message": message,
        "help": help,
    });
    let mut add = |key: &str, value: Value| {
        if let Some(members) = out.as_object_mut() {
            members.insert(key.to_owned(), value);
        }
    };
    for (key, value) in place(sources, *span) {
        add(key, value);
    }
    add("path", json!(path));
    add("object", json!(object));
    let related: Vec<Value> = related
        .iter()
        .map(|(span, what)| {
            let mut members: serde_json::Map<String, Value> = place(sources, Some(*span))
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect();
            members.insert("message".to_owned(), json!(what));
            Value::Object(members)
        })
        .collect();
    add("related", Value::Array(related));
    add(
        "fix",
        fix.as_ref()
            .map_or(Value::Null, |fix| fix_json(sources, fix)),
    );
    add("counterexample", json!(counterexample));
    out
}

fn place(sources: &Sources, span: Option<Span>) -> [(&'static str, Value); 5] {
    let file = span.map(|span| sources.name(span.source));
    let start = span.map(|span| sources.start(span));
    let end = span.map(|span| sources.end(span));
    [
        ("file", json!(file)),
        ("line", json!(start.map(|start| start.line))),
        ("column", json!(start.map(|start| start.column))),
        ("end_line", json!(end.map(|end| end.line))),
        ("end_column", json!(end.map(|end| end.column))),
    ]
}

fn fix_json(sources: &Sources, fix: &Fix) -> Value {
    let Fix {
        message,
        applicability,
        edits,
    } = fix;
    let edits: Vec<Value> = edits
        .iter()
        .map(|Edit { span, replacement }| {
            let mut members: serde_json::Map<String, Value> = place(sources, Some(*span))
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect();
            members.insert("replacement".to_owned(), json!(replacement));
            Value::Object(members)
        })
        .collect();
    json!({"message": message, "applicability": applicability, "edits": edits})
}
