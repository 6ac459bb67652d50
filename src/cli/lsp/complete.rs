//! Completion of fields, words and names of templates.

use lsp_types::{CompletionItem, CompletionItemKind, Documentation, Position, Uri};
use serde_json::Value as Json;

use crate::spec::bundle::ROLLOUTS_GROUP;
use crate::spec::schema::definitions::KINDS;

use super::convert::{offset, path_of};
use super::fields::{self, Place};
use super::workspace::Workspace;

/// What can be written at a position.
pub(super) fn complete(
    workspace: &Workspace,
    uri: &Uri,
    position: Position,
) -> Vec<CompletionItem> {
    let Some(path) = path_of(uri) else {
        return Vec::new();
    };
    let Some(text) = workspace.text(&path) else {
        return Vec::new();
    };
    let place = fields::place(text, offset(text, position));
    match &place.key {
        Some(key) => values(workspace, &place, key),
        None => names(&place),
    }
}

fn values(workspace: &Workspace, place: &Place, key: &str) -> Vec<CompletionItem> {
    if key == "templateName" {
        return templates(workspace);
    }
    let words: Vec<String> = match (key, place.path.is_empty()) {
        ("kind", true) => KINDS.iter().map(|kind| (*kind).to_owned()).collect(),
        ("apiVersion", true) => vec![format!("{ROLLOUTS_GROUP}/v1alpha1")],
        (_, _) => {
            let mut path = place.path.clone();
            path.push(key.to_owned());
            let schema = fields::schema(&place.kind, &path).unwrap_or_default();
            let boolean = schema["type"] == "boolean";
            let words = schema["enum"].as_array().into_iter().flatten();
            let words = words.filter_map(Json::as_str).map(str::to_owned);
            let boolean = ["true", "false"].into_iter().filter(|_| boolean);
            words.chain(boolean.map(str::to_owned)).collect()
        }
    };
    words
        .into_iter()
        .map(|word| CompletionItem {
            label: word,
            kind: Some(CompletionItemKind::VALUE),
            ..CompletionItem::default()
        })
        .collect()
}

/// The analysis templates of all files.
fn templates(workspace: &Workspace) -> Vec<CompletionItem> {
    let bundle = &workspace.checked().bundle;
    let kinds = ["AnalysisTemplate", "ClusterAnalysisTemplate"];
    let mut items: Vec<CompletionItem> = kinds
        .iter()
        .flat_map(|kind| bundle.of_kind(ROLLOUTS_GROUP, kind))
        .filter(|object| !object.name.is_empty())
        .map(|object| CompletionItem {
            label: object.name.clone(),
            kind: Some(CompletionItemKind::REFERENCE),
            detail: Some(object.kind.clone()),
            ..CompletionItem::default()
        })
        .collect();
    items.dedup_by(|a, b| a.label == b.label && a.detail == b.detail);
    items
}

/// The fields that are not there yet.
fn names(place: &Place) -> Vec<CompletionItem> {
    let schema = fields::schema(&place.kind, &place.path).unwrap_or_default();
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .collect();
    let known = schema["properties"].as_object();
    let mut items: Vec<CompletionItem> = known
        .into_iter()
        .flatten()
        .filter(|(name, _)| !place.siblings.contains(name))
        .map(|(name, field)| {
            let kind = field["type"].as_str().unwrap_or("any");
            let is_required = required.contains(&name.as_str());
            let end = match kind {
                "object" | "array" => ":",
                _ => ": ",
            };
            let description = field["description"].as_str();
            CompletionItem {
                label: name.clone(),
                kind: Some(CompletionItemKind::FIELD),
                detail: Some(if is_required {
                    format!("{kind}, required")
                } else {
                    kind.to_owned()
                }),
                documentation: description.map(|text| Documentation::String(text.to_owned())),
                insert_text: Some(format!("{name}{end}")),
                // What has to be there comes first.
                sort_text: Some(format!("{}{name}", u8::from(!is_required))),
                ..CompletionItem::default()
            }
        })
        .collect();
    if place.path.is_empty() && place.kind.is_empty() {
        for name in ["apiVersion", "kind"] {
            if !place.siblings.iter().any(|sibling| sibling == name) {
                items.push(CompletionItem {
                    label: name.to_owned(),
                    kind: Some(CompletionItemKind::FIELD),
                    insert_text: Some(format!("{name}: ")),
                    ..CompletionItem::default()
                });
            }
        }
    }
    items
}
