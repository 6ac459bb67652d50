//! Texts as lines that can be compared.

/// What a line of a template does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing that is rendered: empty, a comment, or a statement such as `{{ if }}`.
    Silent,
    /// `---`.
    Separator,
    /// Text that comes out as it is.
    Literal,
    /// Text with expressions in it.
    Mixed,
    /// Nothing but an expression; it may give any number of lines.
    Expression,
}

/// One line.
#[derive(Clone, Debug)]
pub(super) struct Line<'t> {
    /// Offset of the line in its text.
    pub start: usize,
    /// Without the line break.
    pub text: &'t str,
    /// Spaces before the first character.
    pub indent: usize,
    /// Whether it begins an item of a list.
    pub is_item: bool,
    pub role: Role,
    /// What comes out literally, in order and without quotes; an expression stands between two.
    pieces: Vec<String>,
}

/// Statements give no text of their own.
const STATEMENTS: [&str; 9] = [
    "if", "else", "end", "range", "with", "define", "block", "break", "continue",
];

/// The lines of a text.
pub(super) fn lines(text: &str, is_template: bool) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut start = 0;
    // Within an action that goes on over lines.
    let mut is_inside = false;
    for raw in text.split_inclusive('\n') {
        let line = raw.trim_end_matches(['\n', '\r']);
        if is_inside {
            is_inside = !line.contains("}}");
            lines.push(Line {
                start,
                text: line,
                indent: 0,
                is_item: false,
                role: Role::Silent,
                pieces: Vec::new(),
            });
        } else {
            let (parsed, is_open) = parse(line, start, is_template);
            is_inside = is_open;
            lines.push(parsed);
        }
        start += raw.len();
    }
    lines
}

fn parse(text: &str, start: usize, is_template: bool) -> (Line<'_>, bool) {
    let trimmed = text.trim();
    let indent = text.len() - text.trim_start_matches(' ').len();
    let is_item = trimmed == "-" || trimmed.starts_with("- ");
    let (actions, is_open) = if is_template {
        actions(text)
    } else {
        (Vec::new(), false)
    };
    let mut pieces = Vec::new();
    let mut at = 0;
    for (from, to) in &actions {
        pieces.push(text.get(at..*from).unwrap_or_default());
        at = *to;
    }
    pieces.push(text.get(at..).unwrap_or_default());
    let is_bare = pieces.iter().all(|piece| piece.trim().is_empty());
    let gives_text = actions
        .iter()
        .any(|(from, to)| is_expression(text.get(*from..*to).unwrap_or_default()));
    let role = if actions.is_empty() {
        match trimmed {
            "" => Role::Silent,
            "---" => Role::Separator,
            _ if trimmed.starts_with('#') => Role::Silent,
            _ => Role::Literal,
        }
    } else if is_bare && gives_text {
        Role::Expression
    } else if is_bare {
        Role::Silent
    } else {
        Role::Mixed
    };
    let line = Line {
        start,
        text,
        indent,
        is_item,
        role,
        pieces: normal(&pieces),
    };
    (line, is_open)
}

/// The places of all `{{ ... }}` of a line, and whether the last goes on over its end.
pub(super) fn actions(text: &str) -> (Vec<(usize, usize)>, bool) {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(from) = text.get(at..).and_then(|rest| rest.find("{{")) {
        let from = at + from;
        let mut quote = None;
        let mut end = None;
        let bytes = text.as_bytes();
        let mut index = from + 2;
        while let Some(byte) = bytes.get(index) {
            match (quote, byte) {
                (Some(open), byte) if open == *byte => quote = None,
                (Some(b'"'), b'\\') => index += 1,
                (Some(_), _) => {}
                (None, b'"' | b'`') => quote = Some(*byte),
                (None, b'}') if bytes.get(index + 1) == Some(&b'}') => {
                    end = Some(index + 2);
                    break;
                }
                (None, _) => {}
            }
            index += 1;
        }
        match end {
            Some(end) => {
                found.push((from, end));
                at = end;
            }
            None => {
                found.push((from, text.len()));
                return (found, true);
            }
        }
    }
    (found, false)
}

fn is_expression(action: &str) -> bool {
    let inner = action
        .trim_start_matches(['{', '-'])
        .trim_end_matches(['}', '-'])
        .trim();
    let word = inner
        .split(|c: char| !c.is_alphanumeric() && c != '$')
        .next()
        .unwrap_or_default();
    let is_assignment = inner.starts_with('$') && (inner.contains(":=") || inner.contains(" = "));
    !inner.starts_with("/*") && !STATEMENTS.contains(&word) && !is_assignment
}

/// Literal parts without what YAML may write in several ways: quotes, the dash of an item, comments.
fn normal(pieces: &[&str]) -> Vec<String> {
    let last = pieces.len().saturating_sub(1);
    pieces
        .iter()
        .enumerate()
        .map(|(index, piece)| {
            let mut piece = *piece;
            if index == 0 {
                piece = piece.trim_start();
                while let Some(rest) = piece.strip_prefix("- ") {
                    piece = rest.trim_start();
                }
            }
            if index == last && !piece.contains(['"', '\'']) {
                piece = piece.split_once(" #").map_or(piece, |(text, _)| text);
                piece = piece.trim_end();
            }
            piece.replace(['"', '\''], "")
        })
        .collect()
}

impl Line<'_> {
    /// Whether the line is of the content: not silent, no separator, no bare expression.
    pub(super) fn is_content(&self) -> bool {
        matches!(self.role, Role::Literal | Role::Mixed)
    }

    /// How well a rendered line fits this one: 0 not at all.
    pub(super) fn fit(&self, rendered: &Line<'_>) -> u32 {
        let [text] = rendered.pieces.as_slice() else {
            return 0;
        };
        if !self.is_content() || text.is_empty() {
            return 0;
        }
        match self.pieces.as_slice() {
            [own] => 60 * u32::from(own == text),
            [first, middle @ .., last] => {
                let literal: usize = self.pieces.iter().map(|piece| piece.trim().len()).sum();
                let Some(mut rest) = text.strip_prefix(first.trim_end()) else {
                    return 0;
                };
                for piece in middle {
                    match rest.split_once(piece.as_str()) {
                        Some((_, after)) => rest = after,
                        None => return 0,
                    }
                }
                let fits = literal > 1 && rest.ends_with(last.trim_end());
                30 * u32::from(fits)
            }
            [] => 0,
        }
    }

    /// `key` of `key: value`, where the line has one.
    pub(super) fn value_of(&self, key: &str) -> Option<&str> {
        let [text] = self.pieces.as_slice() else {
            return None;
        };
        let rest = text.strip_prefix(key)?.strip_prefix(':')?;
        Some(rest.trim())
    }
}
