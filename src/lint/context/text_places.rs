//! From places in the value of a YAML scalar to places in the file.

use crate::source::Span;

/// Where each byte of a scalar's value is written. Values that cannot be followed (folded in an
/// unusual way, or read through an alias) have one place for all.
#[derive(Clone, Debug)]
pub struct TextPlaces {
    whole: Span,
    /// In the order of the value; empty where it could not be followed.
    runs: Vec<Run>,
    /// Bytes of the value, where it could be followed.
    length: usize,
}

/// Bytes of the value that are written one after the other, each as long as the others.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// The first byte of the value.
    value: u32,
    /// Where it is written, from the beginning of the scalar.
    written: u32,
    /// How long each is written.
    width: u32,
}

impl TextPlaces {
    /// `written` is the text under `span`, `value` what YAML makes of it.
    pub fn new(span: Span, written: &str, value: &str) -> Self {
        let runs = align(written, value);
        Self {
            whole: span,
            length: runs.as_ref().map_or(0, |_| value.len()),
            runs: runs.unwrap_or_default(),
        }
    }

    /// The place of bytes `start..end` of the value; the whole scalar where it cannot be told.
    pub fn span(&self, start: usize, end: usize) -> Span {
        let last = end.max(start + 1).saturating_sub(1);
        let past = self.length.checked_sub(1).and_then(|at| self.byte(at));
        match (self.byte(start), self.byte(last), past) {
            (Some(from), Some(to), _) if end > start => from.to(to),
            (Some(from), Some(_), _) => Span {
                end: from.start,
                ..from
            },
            // One past the end of the text, where parsers say that something is missing.
            (None, _, Some(past)) => Span {
                start: past.end,
                ..past
            },
            (Some(_) | None, None, _) | (None, Some(_), None) => self.whole,
        }
    }

    /// The place of one byte of the value.
    fn byte(&self, at: usize) -> Option<Span> {
        if at >= self.length {
            return None;
        }
        let after = self.runs.partition_point(|run| run.value as usize <= at);
        let run = self.runs.get(after.checked_sub(1)?)?;
        let width = run.width as usize;
        let from =
            self.whole.start as usize + run.written as usize + (at - run.value as usize) * width;
        Some(Span::new(self.whole.source, from, from + width))
    }

    pub fn whole(&self) -> Span {
        self.whole
    }
}

/// Where in `written` the bytes of `value` are.
fn align(written: &str, value: &str) -> Option<Vec<Run>> {
    let raw = written.as_bytes();
    let quote = raw
        .first()
        .copied()
        .filter(|byte| matches!(byte, b'"' | b'\''));
    let mut at = match raw.first()? {
        b'"' | b'\'' => 1,
        // The header of a block scalar ends with its line.
        b'|' | b'>' => raw.iter().position(|byte| *byte == b'\n')? + 1,
        _ => 0,
    };
    let mut runs: Vec<Run> = Vec::new();
    let mut add = |index: usize, at: usize, width: usize| {
        let (value, written) = (u32::try_from(index).ok()?, u32::try_from(at).ok()?);
        let width = u32::try_from(width).ok()?;
        let goes_on = runs.last().is_some_and(|run| {
            run.width == width && run.written + (value - run.value) * width == written
        });
        if !goes_on {
            runs.push(Run {
                value,
                written,
                width,
            });
        }
        Some(())
    };
    for (index, wanted) in value.bytes().enumerate() {
        loop {
            let Some(found) = raw.get(at).copied() else {
                // The last line break of a block scalar may lie outside of its span.
                if wanted == b'\n' {
                    add(index, at, 0)?;
                    break;
                }
                return None;
            };
            let is_escape = quote == Some(b'"') && found == b'\\';
            let length = if is_escape {
                let letter = raw.get(at + 1).copied()?;
                // A line that is continued has no value.
                if letter == b'\n' {
                    at += 2;
                    continue;
                }
                escape_length(letter)?
            } else if found == wanted {
                // Two single quotes are one.
                1 + usize::from(quote == Some(b'\'') && found == b'\'')
            } else if matches!(found, b'\n' | b'\r') && matches!(wanted, b' ' | b'\n') {
                // Folded: a line break is a blank.
                1
            } else if matches!(found, b' ' | b'\t' | b'\n' | b'\r') {
                at += 1;
                continue;
            } else {
                return None;
            };
            add(index, at, length)?;
            at += length;
            break;
        }
    }
    Some(runs)
}

/// Bytes of an escape by its letter. Escapes of several bytes in the value are not followed.
fn escape_length(letter: u8) -> Option<usize> {
    match letter {
        b'0' | b'a' | b'b' | b't' | b'\t' | b'n' | b'v' | b'f' | b'r' | b'e' | b' ' | b'"'
        | b'/' | b'\\' | b'\n' => Some(2),
        b'x' => Some(4),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    fn shown(yaml: &str, value: &str, part: &str) -> String {
        let mut sources = Sources::new();
        let id = sources.add("f", yaml);
        let places = TextPlaces::new(Span::new(id, 0, yaml.len()), yaml, value);
        let start = value.find(part).unwrap();
        sources
            .slice(places.span(start, start + part.len()))
            .to_owned()
    }

    #[test]
    fn places_are_found_in_every_style() {
        assert_eq!(shown("a + b", "a + b", "b"), "b");
        assert_eq!(
            shown("\"a \\\"q\\\" b\"", "a \"q\" b", "\"q\""),
            "\\\"q\\\""
        );
        assert_eq!(shown("'it''s b'", "it's b", "b"), "b");
        assert_eq!(
            shown(
                "|\n    sum(\n      rate(x)\n    )\n",
                "sum(\n  rate(x)\n)\n",
                "rate(x)"
            ),
            "rate(x)"
        );
        assert_eq!(
            shown(
                ">-\n  sum by (a)\n  (rate)\n",
                "sum by (a) (rate)",
                "(rate)"
            ),
            "(rate)"
        );
    }
}
