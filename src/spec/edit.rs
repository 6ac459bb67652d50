//! Changing texts where they are written, so that comments, order and anchors stay.

use crate::source::Span;

/// Replaces the text of a span; an empty span inserts, an empty text deletes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edit {
    pub span: Span,
    pub replacement: String,
}

/// `text` with as many groups of edits as fit together, in their order: a group is applied wholly or
/// not at all. All spans are of the text's own source.
pub fn apply<'e>(text: &str, groups: impl IntoIterator<Item = &'e [Edit]>) -> String {
    let mut chosen: Vec<&Edit> = Vec::new();
    for group in groups {
        let fits = group.iter().enumerate().all(|(index, edit)| {
            let range = edit.span.start as usize..edit.span.end as usize;
            let earlier = group.iter().take(index);
            text.get(range).is_some()
                && !chosen
                    .iter()
                    .copied()
                    .chain(earlier)
                    .any(|other| touches(edit, other))
        });
        if fits {
            chosen.extend(group);
        }
    }
    chosen.sort_by_key(|edit| edit.span);
    let mut changed = String::with_capacity(text.len());
    let mut at = 0;
    for edit in chosen {
        changed.push_str(text.get(at..edit.span.start as usize).unwrap_or_default());
        changed.push_str(&edit.replacement);
        at = edit.span.end as usize;
    }
    changed.push_str(text.get(at..).unwrap_or_default());
    changed
}

/// Whether two edits concern the same text. Two insertions at one place do: their order would matter.
fn touches(left: &Edit, right: &Edit) -> bool {
    let (left, right) = (left.span, right.span);
    if left.start == left.end || right.start == right.end {
        left.start <= right.end && right.start <= left.end
    } else {
        left.start < right.end && right.start < left.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    #[test]
    fn groups_are_applied_wholly_or_not_at_all() {
        let mut sources = Sources::new();
        let source = sources.add("a", "one two three");
        let edit = |start, end, text: &str| Edit {
            span: Span::new(source, start, end),
            replacement: text.to_owned(),
        };
        let first = [edit(0, 3, "1"), edit(8, 13, "3")];
        let clash = [edit(4, 7, "2"), edit(10, 11, "x")];
        let last = [edit(7, 7, "!")];
        let groups: [&[Edit]; 3] = [&first, &clash, &last];
        assert_eq!(apply(sources.text(source), groups), "1 two! 3");
    }
}
