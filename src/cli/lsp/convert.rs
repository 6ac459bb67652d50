//! Between our places and findings and those of the protocol. Columns of the protocol count UTF-16
//! units, from 0.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use lsp_types::{
    CodeAction, CodeActionKind, CodeActionOrCommand, CodeDescription, Diagnostic,
    DiagnosticRelatedInformation, DiagnosticSeverity, Location, NumberOrString, Position, Range,
    TextEdit, Uri, WorkspaceEdit, WorkspaceFolder,
};
use serde::Deserialize;

use crate::cli::lint::PAGES;
use crate::lint::{Applicability, Finding};
use crate::source::{Severity, Sources, Span};

use super::workspace::Workspace;

const SOURCE: &str = "rollproof";

/// What is read of `InitializeParams`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Opened {
    workspace_folders: Option<Vec<WorkspaceFolder>>,
    /// Older editors give this one folder only.
    root_uri: Option<Uri>,
}

/// The folders that the editor has opened.
pub(super) fn folders(parameters: &Opened) -> Vec<PathBuf> {
    let given = parameters.workspace_folders.iter().flatten();
    let mut folders: Vec<PathBuf> = given.filter_map(|folder| path_of(&folder.uri)).collect();
    if folders.is_empty() {
        folders.extend(parameters.root_uri.as_ref().and_then(path_of));
    }
    folders
}

/// The file of an address; none where it is no file.
pub(super) fn path_of(uri: &Uri) -> Option<PathBuf> {
    let rest = uri.as_str().strip_prefix("file://")?;
    let path = rest.get(rest.find('/')?..)?;
    let mut bytes = Vec::with_capacity(path.len());
    let mut left = path.bytes();
    while let Some(byte) = left.next() {
        if byte == b'%' {
            let mut digit = || char::from(left.next()?).to_digit(16);
            let value = digit()? * 16 + digit()?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let path = String::from_utf8(bytes).ok()?;
    // `/C:/x` is a path with a drive.
    let drive = path.get(1..).filter(|rest| {
        let mut characters = rest.chars();
        characters.next().is_some_and(|c| c.is_ascii_alphabetic()) && characters.next() == Some(':')
    });
    Some(PathBuf::from(drive.unwrap_or(&path)))
}

/// The address of a file.
pub(super) fn uri_of(path: &Path) -> Option<Uri> {
    let mut text = String::from("file://");
    let path = path.to_str()?;
    if !path.starts_with('/') {
        text.push('/');
    }
    for byte in path.bytes() {
        match byte {
            b'\\' => text.push('/'),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                text.push(char::from(byte));
            }
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    Uri::from_str(&text).ok()
}

/// The findings of each file that the editor has to be told of, with the version of its text.
pub(super) fn diagnostics(workspace: &mut Workspace) -> Vec<(Uri, Vec<Diagnostic>, Option<i32>)> {
    let checked = workspace.checked();
    let mut found: Vec<(PathBuf, Diagnostic)> = Vec::new();
    let sources = &checked.sources;
    for finding in &checked.report.findings {
        let file = finding
            .span
            .map(|span| PathBuf::from(sources.name(span.source)));
        found.extend(file.zip(diagnostic(sources, finding)));
    }
    for problem in &checked.problems {
        if let Some(span) = problem.span {
            let path = PathBuf::from(sources.name(span.source));
            found.push((
                path,
                Diagnostic {
                    range: range(sources, span),
                    severity: Some(severity(problem.severity)),
                    source: Some(SOURCE.to_owned()),
                    message: told(&problem.message, problem.help.as_deref()),
                    ..Diagnostic::default()
                },
            ));
        }
    }
    let files: BTreeSet<PathBuf> = found.iter().map(|(path, _)| path.clone()).collect();
    let to_tell = workspace.files_to_tell(files).into_iter();
    to_tell
        .filter_map(|path| {
            let own = found.iter().filter(|(file, _)| *file == path);
            let diagnostics = own.map(|(_, diagnostic)| diagnostic.clone()).collect();
            Some((uri_of(&path)?, diagnostics, workspace.version(&path)))
        })
        .collect()
}

/// The fixes of findings in a range.
pub(super) fn actions(workspace: &Workspace, uri: &Uri, wanted: Range) -> Vec<CodeActionOrCommand> {
    let checked = workspace.checked();
    let sources = &checked.sources;
    let Some(source) = path_of(uri).and_then(|path| workspace.source(&path)) else {
        return Vec::new();
    };
    let is_here = |finding: &&Finding| {
        finding.span.is_some_and(|span| {
            let range = range(sources, span);
            span.source == source && range.start <= wanted.end && wanted.start <= range.end
        })
    };
    let findings = checked.report.findings.iter().filter(is_here);
    findings
        .filter_map(|finding| {
            let fix = finding.fix.as_ref()?;
            // Edits of other files would need the versions of their texts.
            let is_own = fix.edits.iter().all(|edit| edit.span.source == source);
            let edits: Vec<TextEdit> = fix
                .edits
                .iter()
                .map(|edit| TextEdit::new(range(sources, edit.span), edit.replacement.clone()))
                .collect();
            let (note, is_preferred) = match fix.applicability {
                Applicability::Safe => ("", true),
                Applicability::Unsafe => (" (unsafe: changes what happens)", false),
            };
            let action = CodeAction {
                title: format!("{}{note}", fix.message),
                kind: Some(CodeActionKind::QUICKFIX),
                diagnostics: diagnostic(sources, finding).map(|it| vec![it]),
                edit: Some(WorkspaceEdit {
                    changes: Some([(uri.clone(), edits)].into_iter().collect()),
                    ..WorkspaceEdit::default()
                }),
                is_preferred: Some(is_preferred),
                ..CodeAction::default()
            };
            is_own.then_some(CodeActionOrCommand::CodeAction(action))
        })
        .collect()
}

fn diagnostic(sources: &Sources, finding: &Finding) -> Option<Diagnostic> {
    let related = finding.related.iter().filter_map(|(span, what)| {
        let uri = uri_of(Path::new(sources.name(span.source)))?;
        Some(DiagnosticRelatedInformation {
            location: Location::new(uri, range(sources, *span)),
            message: what.clone(),
        })
    });
    let page = Uri::from_str(&format!("{PAGES}/{}.md", finding.rule)).ok();
    Some(Diagnostic {
        range: range(sources, finding.span?),
        severity: Some(severity(finding.severity)),
        code: Some(NumberOrString::String(finding.rule.to_owned())),
        code_description: page.map(|href| CodeDescription { href }),
        source: Some(SOURCE.to_owned()),
        message: told(&finding.message, finding.help.as_deref()),
        related_information: Some(related.collect()),
        ..Diagnostic::default()
    })
}

fn told(message: &str, help: Option<&str>) -> String {
    match help {
        Some(help) => format!("{message}\n{help}"),
        None => message.to_owned(),
    }
}

fn severity(severity: Severity) -> DiagnosticSeverity {
    match severity {
        Severity::Error => DiagnosticSeverity::ERROR,
        Severity::Warning => DiagnosticSeverity::WARNING,
        Severity::Info => DiagnosticSeverity::INFORMATION,
    }
}

pub(super) fn range(sources: &Sources, span: Span) -> Range {
    let position = |at: crate::source::Position| {
        let text = sources.line_text(span.source, at.line).unwrap_or_default();
        let before = text.chars().take(at.column.saturating_sub(1) as usize);
        let units: usize = before.map(char::len_utf16).sum();
        Position::new(
            at.line.saturating_sub(1),
            u32::try_from(units).unwrap_or(u32::MAX),
        )
    };
    Range::new(position(sources.start(span)), position(sources.end(span)))
}

/// The byte at a position of a text; the end of the line or text where it has no such place.
pub(super) fn offset(text: &str, position: Position) -> usize {
    let mut start = 0;
    for line in text.split_inclusive('\n').take(position.line as usize) {
        start += line.len();
    }
    let rest = text.get(start..).unwrap_or_default();
    let line = rest.split(['\n', '\r']).next().unwrap_or_default();
    let mut units = 0;
    for (at, character) in line.char_indices() {
        if units >= position.character as usize {
            return start + at;
        }
        units += character.len_utf16();
    }
    start + line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_paths_agree() {
        let path = Path::new("/a b/ü%20.yaml");
        let uri = uri_of(path).expect("an address");
        assert_eq!(uri.as_str(), "file:///a%20b/%C3%BC%2520.yaml");
        assert_eq!(path_of(&uri).as_deref(), Some(path));
        let drive = Uri::from_str("file:///C%3A/x.yaml").expect("an address");
        assert_eq!(path_of(&drive), Some(PathBuf::from("C:/x.yaml")));
        let web = Uri::from_str("https://example.com/x").expect("an address");
        assert_eq!(path_of(&web), None);
    }

    #[test]
    fn columns_count_utf16_units() {
        let mut sources = Sources::new();
        let text = "a: 1\nb: 😀x\n";
        let source = sources.add("a", text);
        let at = text.find('x').expect("x");
        let place = range(&sources, Span::new(source, at, at + 1));
        assert_eq!(place.start, Position::new(1, 5));
        assert_eq!(offset(text, place.start), at);
        assert_eq!(offset(text, Position::new(9, 9)), text.len());
        assert_eq!(offset(text, Position::new(0, 99)), 4);
    }
}
