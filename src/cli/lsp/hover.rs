//! What is shown of the text under the pointer: findings with their rule, and fields.

use lsp_types::{Hover, HoverContents, MarkupContent, MarkupKind, Position, Uri};

use crate::cli::lint::PAGES;
use crate::lint::rules;

use super::convert::{offset, path_of, range};
use super::fields;
use super::workspace::Workspace;

/// Findings at a position, each with its rule, then the field.
pub(super) fn hover(workspace: &Workspace, uri: &Uri, position: Position) -> Option<Hover> {
    let path = path_of(uri)?;
    let mut parts = Vec::new();
    let mut shown = None;
    if let Some(source) = workspace.source(&path) {
        let checked = workspace.checked();
        for finding in &checked.report.findings {
            let Some(span) = finding.span.filter(|span| span.source == source) else {
                continue;
            };
            let place = range(&checked.sources, span);
            if place.start <= position && position <= place.end {
                shown = shown.or(Some(place));
                parts.push(rule_text(finding.rule, &finding.message));
            }
        }
    }
    let text = workspace.text(&path)?;
    // The whole line counts: the pointer may be on the key or on the value.
    let at = offset(text, Position::new(position.line, u32::MAX));
    let place = fields::place(text, at);
    if let Some(key) = place.key {
        let mut path = place.path;
        path.push(key);
        if let Some(schema) = fields::schema(&place.kind, &path) {
            let about = schema["description"].as_str();
            let about = about.or(schema["type"].as_str()).unwrap_or_default();
            parts.push(format!("`{}`\n\n{about}", path.join(".")));
        }
    }
    (!parts.is_empty()).then(|| Hover {
        contents: HoverContents::Markup(MarkupContent {
            kind: MarkupKind::Markdown,
            value: parts.join("\n\n---\n\n"),
        }),
        range: shown,
    })
}

fn rule_text(name: &str, message: &str) -> String {
    let Some(rule) = rules::find(name) else {
        return message.to_owned();
    };
    format!(
        "**{name}**: {message}\n\n{}\n\n{}\n\n[More]({PAGES}/{name}.md)",
        rule.finds.trim(),
        rule.hurts.trim()
    )
}
