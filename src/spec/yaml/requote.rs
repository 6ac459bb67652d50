//! Quoted texts whose further lines are indented too little: YAML 1.2 refuses them, Kubernetes reads
//! them, and generated CRDs are full of them. They are parsed with blanks put in, which folding drops.

use std::borrow::Cow;

use super::parse::{Range, Raw};

/// Quoted texts that are indented in one document at most; each costs a further parse.
pub(super) const QUOTES_MAX: usize = 64;

/// Blanks to put into a text: offset in that text, count; ordered by offset.
#[derive(Debug, Default)]
pub(super) struct Blanks(Vec<(usize, usize)>);

impl Blanks {
    /// The text with the blanks.
    pub(super) fn apply<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.0.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut out =
            String::with_capacity(text.len() + self.0.iter().map(|(_, n)| n).sum::<usize>());
        let mut done = 0;
        for (at, count) in &self.0 {
            out.push_str(text.get(done..*at).unwrap_or_default());
            out.extend(std::iter::repeat_n(' ', *count));
            done = *at;
        }
        out.push_str(text.get(done..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// Adds what the quoted text at `at` of the text with blanks needs; it begins behind `from`.
    /// `false` where there is no such text.
    pub(super) fn indent(&mut self, text: &str, from: usize, at: usize) -> bool {
        let Some((open, close)) = quote_around(text, from, at) else {
            return false;
        };
        let before = text.get(..open).unwrap_or_default();
        let needed = open - before.rfind('\n').map_or(0, |at| at + 1) + 1;
        let inside = text.get(open..close).unwrap_or_default();
        let added: Vec<(usize, usize)> = inside
            .match_indices('\n')
            .filter_map(|(at, _)| {
                let line = inside.get(at + 1..)?.split('\n').next()?;
                let blanks = line.len() - line.trim_start_matches(' ').len();
                let missing = needed.checked_sub(blanks).filter(|missing| *missing > 0)?;
                (!line.trim().is_empty()).then(|| (self.original(open + at + 1), missing))
            })
            .collect();
        let found = !added.is_empty();
        self.0.extend(added);
        self.0.sort_unstable();
        found
    }

    /// Puts all places of a parsed text back to where they are without the blanks.
    pub(super) fn restore(&self, raw: &mut Raw<'_>, base: usize) {
        if self.0.is_empty() {
            return;
        }
        let back = |(start, end): Range| {
            (
                base + self.original(start.saturating_sub(base)),
                base + self.original(end.saturating_sub(base)),
            )
        };
        for node in &mut raw.nodes {
            node.span = back(node.span);
        }
        for comment in &mut raw.comments {
            comment.0 = back(comment.0);
        }
        if let Some(failure) = &mut raw.failure {
            failure.span = back(failure.span);
        }
    }

    /// The offset without blanks of an offset with them.
    fn original(&self, offset: usize) -> usize {
        let mut put_in = 0;
        for (at, count) in &self.0 {
            if at + put_in >= offset {
                break;
            }
            // Within the blanks: where they were put in.
            if offset < at + put_in + count {
                return *at;
            }
            put_in += count;
        }
        offset - put_in
    }
}

/// The quoted text around `at`, from its opening to its closing quote.
fn quote_around(text: &str, from: usize, at: usize) -> Option<(usize, usize)> {
    let mut start = from;
    while start < at {
        let open = start + text.get(start..at)?.find(['"', '\''])?;
        let body = text.get(open + 1..)?;
        let length = if text.get(open..)?.starts_with('"') {
            double_quoted(body)
        } else {
            single_quoted(body)
        };
        let close = open + 1 + length?;
        if close >= at {
            return Some((open, close));
        }
        start = close + 1;
    }
    None
}

fn double_quoted(body: &str) -> Option<usize> {
    let mut escaped = false;
    body.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

fn single_quoted(body: &str) -> Option<usize> {
    let mut rest = 0;
    loop {
        let at = rest + body.get(rest..)?.find('\'')?;
        if !body.get(at + 1..)?.starts_with('\'') {
            return Some(at);
        }
        rest = at + 2;
    }
}
