//! SARIF 2.1.0, as code scanning services read it.

use serde_json::{Value, json};

use crate::lint::{Applicability, Finding, Fix, Report, Rule, rules};
use crate::source::{Severity, Sources, Span};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// One run with all rules and findings. `pages` is the address below which each rule has a page.
pub fn render(sources: &Sources, report: &Report, pages: &str) -> Value {
    let rules: Vec<Value> = rules::RULES
        .iter()
        .map(|rule| descriptor(rule, pages))
        .collect();
    let results: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| result(sources, finding))
        .collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "rollproof",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": pages,
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn descriptor(rule: &Rule, pages: &str) -> Value {
    json!({
        "id": rule.name,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.finds.trim()},
        "help": {"text": rule.hurts.trim(), "markdown": rule.page()},
        "helpUri": format!("{pages}/{}.md", rule.name),
        "defaultConfiguration": {"level": level(rule.severity)},
    })
}

fn result(sources: &Sources, finding: &Finding) -> Value {
    let index = rules::RULES
        .iter()
        .position(|rule| rule.name == finding.rule);
    let mut message = finding.message.clone();
    if let Some(help) = &finding.help {
        message = format!("{message}. {help}");
    }
    let mut result = json!({
        "ruleId": finding.rule,
        "level": level(finding.severity),
        "message": {"text": message},
        "partialFingerprints": {"rollproof/v1": finding.fingerprint(sources)},
        "properties": {"confidence": finding.confidence, "path": finding.path},
    });
    if let Some(index) = index {
        result["ruleIndex"] = index.into();
    }
    if let Some(span) = finding.span {
        let mut location = location(sources, span);
        if let Some(object) = &finding.object {
            let name = format!("{} {}/{}", object.kind, object.namespace, object.name);
            location["logicalLocations"] = json!([{"fullyQualifiedName": name, "kind": "object"}]);
        }
        result["locations"] = json!([location]);
    }
    if !finding.related.is_empty() {
        let related = finding
            .related
            .iter()
            .enumerate()
            .map(|(id, (span, what))| {
                let mut location = location(sources, *span);
                location["id"] = id.into();
                location["message"] = json!({"text": what});
                location
            });
        result["relatedLocations"] = related.collect();
    }
    if let Some(fix) = &finding.fix {
        result["fixes"] = json!([fix_json(sources, fix)]);
    }
    result
}

fn location(sources: &Sources, span: Span) -> Value {
    json!({"physicalLocation": {
        "artifactLocation": {"uri": uri(sources.name(span.source))},
        "region": region(sources, span),
    }})
}

fn region(sources: &Sources, span: Span) -> Value {
    let (start, end) = (sources.start(span), sources.end(span));
    json!({
        "startLine": start.line,
        "startColumn": start.column,
        "endLine": end.line,
        "endColumn": end.column,
    })
}

fn fix_json(sources: &Sources, fix: &Fix) -> Value {
    let Fix {
        message,
        applicability,
        edits,
    } = fix;
    let mut files: Vec<(&str, Vec<Value>)> = Vec::new();
    for edit in edits {
        let name = sources.name(edit.span.source);
        let replacement = json!({
            "deletedRegion": region(sources, edit.span),
            "insertedContent": {"text": edit.replacement},
        });
        match files.iter_mut().find(|(file, _)| *file == name) {
            Some((_, replacements)) => replacements.push(replacement),
            None => files.push((name, vec![replacement])),
        }
    }
    let changes: Vec<Value> = files
        .into_iter()
        .map(|(name, replacements)| {
            json!({"artifactLocation": {"uri": uri(name)}, "replacements": replacements})
        })
        .collect();
    let safety = match applicability {
        Applicability::Safe => "",
        Applicability::Unsafe => " (changes what happens)",
    };
    json!({"description": {"text": format!("{message}{safety}")}, "artifactChanges": changes})
}

/// A relative path as a relative URI.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'\\' => uri.push('/'),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}
