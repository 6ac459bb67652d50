//! Changes to the text of a map that keep all else as it is.

use super::Edit;
use crate::source::{Sources, Span};
use crate::spec::yaml::{Entry, Node, Value};

/// Takes an entry out of a block map, with its line and the comment behind it. None where that
/// is not surely right: flow maps, the only entry, several entries in a line, and values that are
/// an anchor or an alias.
pub fn remove_entry(sources: &Sources, map: &Node, key: &str) -> Option<Edit> {
    let entry = map.entry(key)?;
    if map.as_map()?.len() < 2 {
        return None;
    }
    let text = sources.text(map.span.source);
    let (start, end) = own_lines(text, entry)?;
    let has_anchor = text.get(start..end)?.contains(['&', '*']);
    (!has_anchor).then(|| Edit {
        span: Span::new(map.span.source, start, end),
        replacement: String::new(),
    })
}

/// Adds an entry with a scalar value behind the last one of a map; none where the place cannot be
/// told for sure.
pub fn add_entry(sources: &Sources, map: &Node, key: &str, value: &str) -> Option<Edit> {
    let entries = map.as_map()?.entries();
    let (first, last) = (entries.first()?, entries.last()?);
    let text = sources.text(map.span.source);
    let end = last.value.span.end as usize;
    let span = Span::new(map.span.source, end, end);
    if is_flow(sources, map) {
        return Some(Edit {
            span,
            replacement: format!(", {key}: {value}"),
        });
    }
    // A value of several lines may end with its line break or without.
    let is_scalar = last.value.as_map().is_none() && last.value.as_seq().is_none();
    let is_of_one_line = !text.get(last.key_span.start as usize..end)?.contains('\n');
    if !is_scalar || !is_of_one_line {
        return None;
    }
    let key_start = first.key_span.start as usize;
    let line_start = text.get(..key_start)?.rfind('\n').map_or(0, |at| at + 1);
    let indent = " ".repeat(text.get(line_start..key_start)?.chars().count());
    let line_end = text
        .get(end..)?
        .find('\n')
        .map_or(text.len(), |at| end + at);
    Some(Edit {
        span: Span::new(map.span.source, line_end, line_end),
        replacement: format!("\n{indent}{key}: {value}"),
    })
}

/// Adds an entry to a map near its start: behind the first one where that is a scalar of one line,
/// such as a name, else before it. `None` for an empty map, and for an alias.
pub fn insert_entry(sources: &Sources, map: &Node, key: &str, value: &str) -> Option<Edit> {
    let first = map.as_map()?.entries().first()?;
    // An alias writes its entries elsewhere.
    if !map.span.holds(first.key_span) {
        return None;
    }
    let source = first.key_span.source;
    let start = first.key_span.start as usize;
    if is_flow(sources, map) {
        return Some(Edit {
            span: Span::new(source, start, start),
            replacement: format!("{key}: {value}, "),
        });
    }
    let column = usize::try_from(sources.start(first.key_span).column).ok()?;
    let indent = " ".repeat(column.checked_sub(1)?);
    let text = sources.text(source);
    let end = first.value.span.end as usize;
    let is_scalar = first.value.as_map().is_none() && first.value.as_seq().is_none();
    let written = text.get(start..end).unwrap_or("\n");
    if is_scalar && !first.value.is_null() && !written.contains('\n') {
        let rest = text.get(end..)?;
        let line_end = end + rest.find(['\r', '\n']).unwrap_or(rest.len());
        return Some(Edit {
            span: Span::new(source, line_end, line_end),
            replacement: format!("\n{indent}{key}: {value}"),
        });
    }
    Some(Edit {
        span: Span::new(source, start, start),
        replacement: format!("{key}: {value}\n{indent}"),
    })
}

/// Sets the value of an entry of a map that is a plain scalar, or adds the entry.
pub fn set_entry(sources: &Sources, map: &Node, key: &str, value: &str) -> Option<Edit> {
    match map.get(key) {
        Some(node) => match node.value {
            Value::Seq(_) | Value::Map(_) | Value::Null => None,
            Value::Bool(_) | Value::Int(_) | Value::UInt(_) | Value::Float(_) => Some(Edit {
                span: node.span,
                replacement: value.to_owned(),
            }),
            Value::String(_) => {
                let is_plain_line = !sources.slice(node.span).starts_with(['|', '>']);
                is_plain_line.then(|| Edit {
                    span: node.span,
                    replacement: value.to_owned(),
                })
            }
        },
        None => insert_entry(sources, map, key, value),
    }
}

/// Takes an item out of a block list of several items, with its whole lines. `None` where the item
/// shares a line with anything else.
pub fn remove_item(sources: &Sources, list: &Node, index: usize) -> Option<Edit> {
    let items = list.as_seq()?;
    let item = items.get(index)?;
    if items.len() < 2 || is_flow(sources, list) {
        return None;
    }
    let text = sources.text(item.span.source);
    let (from, to) = (item.span.start as usize, item.span.end as usize);
    let line = text.get(..from)?.rfind('\n').map_or(0, |at| at + 1);
    // Only the dash stands before it.
    if text.get(line..from)?.trim() != "-" {
        return None;
    }
    let content_end = text.get(..to)?.trim_end().len().max(from);
    let end = text
        .get(content_end..)?
        .find('\n')
        .map_or(text.len(), |at| content_end + at + 1);
    let rest = text.get(content_end..end)?.trim();
    (rest.is_empty() || rest.starts_with('#')).then(|| Edit {
        span: Span::new(item.span.source, line, end),
        replacement: String::new(),
    })
}

fn is_flow(sources: &Sources, node: &Node) -> bool {
    sources.slice(node.span).starts_with(['{', '['])
}

/// From the start of the entry's first line to the start of the line behind its last, if nothing
/// else is written there.
fn own_lines(text: &str, entry: &Entry) -> Option<(usize, usize)> {
    let key_start = entry.key_span.start as usize;
    let value_end = entry.value.span.end.max(entry.key_span.end) as usize;
    let start = text.get(..key_start)?.rfind('\n').map_or(0, |at| at + 1);
    if !text.get(start..key_start)?.trim().is_empty() {
        return None;
    }
    let behind = text.get(value_end..)?;
    let line_end = behind.find('\n').unwrap_or(behind.len());
    let rest = behind.get(..line_end)?.trim_matches([':', ' ', '\t', '\r']);
    if !rest.is_empty() && !rest.starts_with('#') {
        return None;
    }
    let end = (value_end + line_end + 1).min(text.len());
    Some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::yaml;

    fn edited(yaml: &str, edit: impl Fn(&Sources, &Node) -> Option<Edit>) -> Option<String> {
        let mut sources = Sources::new();
        let (id, stream) = yaml::read_bytes(&mut sources, "f", yaml.as_bytes());
        let node = stream.documents.into_iter().next()?.root;
        let Edit { span, replacement } = edit(&sources, node.at("a")?)?;
        let mut text = sources.text(id).to_owned();
        text.replace_range(span.start as usize..span.end as usize, &replacement);
        Some(text)
    }

    #[test]
    fn entries_are_removed_with_their_line() {
        let remove = |sources: &Sources, map: &Node| remove_entry(sources, map, "b");
        assert_eq!(
            edited("a:\n  b: 1 # x\n  c: 2\n", remove).as_deref(),
            Some("a:\n  c: 2\n")
        );
        assert_eq!(
            edited("a:\n  c: 2\n  b: 1", remove).as_deref(),
            Some("a:\n  c: 2\n")
        );
        assert_eq!(edited("a:\n  b: 1\n", remove), None);
        assert_eq!(edited("a: {b: 1, c: 2}\n", remove), None);
        assert_eq!(edited("a:\n  b: &x 1\n  c: 2\n", remove), None);
    }

    #[test]
    fn entries_are_inserted_near_the_start() {
        let insert = |sources: &Sources, map: &Node| insert_entry(sources, map, "d", "1");
        for (before, after) in [
            (
                "a:\n  b: 1 # x\n  c: 2\n",
                "a:\n  b: 1 # x\n  d: 1\n  c: 2\n",
            ),
            ("a:\n  b:\n    - 1\n", "a:\n  d: 1\n  b:\n    - 1\n"),
            ("a: {b: 1}\n", "a: {d: 1, b: 1}\n"),
        ] {
            assert_eq!(edited(before, insert).as_deref(), Some(after));
        }
        assert_eq!(edited("x: &x {b: 1}\na: *x\n", insert), None);
    }

    #[test]
    fn items_are_removed_with_their_lines() {
        let remove = |sources: &Sources, list: &Node| remove_item(sources, list, 1);
        assert_eq!(
            edited("a:\n  - b: 1\n  - b: 2\n    c: 3 # x\n  - b: 4\n", remove).as_deref(),
            Some("a:\n  - b: 1\n  - b: 4\n")
        );
        assert_eq!(edited("a: [1, 2]\n", remove), None);
    }

    #[test]
    fn entries_are_added_in_the_style_of_the_map() {
        let add = |sources: &Sources, map: &Node| add_entry(sources, map, "d", "on");
        assert_eq!(
            edited("a:\n  b: 1\n  c: 2 # x\ne: 1\n", add).as_deref(),
            Some("a:\n  b: 1\n  c: 2 # x\n  d: on\ne: 1\n")
        );
        assert_eq!(
            edited("a: {b: 1}\n", add).as_deref(),
            Some("a: {b: 1, d: on}\n")
        );
        assert_eq!(edited("a:\n  b: |\n    x\n", add), None);
    }
}
