//! Go's string functions, on bytes that need not be UTF-8.

use super::value::Text;

/// The characters of a string, bytes that are none of them standing for themselves.
fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let valid = chunk.valid();
        let chars = valid
            .char_indices()
            .map(move |(i, c)| &valid.as_bytes()[i..i + c.len_utf8()]);
        chars.chain(chunk.invalid().chunks(1))
    })
}

/// How many characters there are.
pub fn count(bytes: &[u8]) -> usize {
    pieces(bytes).count()
}

/// Where `needle` first occurs.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

/// Where `needle` last occurs.
pub fn find_last(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::rfind(haystack, needle)
}

/// Without white space at both ends.
pub fn trim_space(bytes: &[u8]) -> &[u8] {
    trim_matches(bytes, |piece| {
        std::str::from_utf8(piece).is_ok_and(|s| s.chars().all(char::is_whitespace))
    })
}

/// Without the characters of `set` at both ends.
pub fn trim<'b>(bytes: &'b [u8], set: &[u8]) -> &'b [u8] {
    let set: Vec<&[u8]> = pieces(set).collect();
    trim_matches(bytes, |piece| set.contains(&piece))
}

fn trim_matches(bytes: &[u8], matches: impl Fn(&[u8]) -> bool) -> &[u8] {
    let all: Vec<&[u8]> = pieces(bytes).collect();
    let length = |piece: &&[u8]| piece.len();
    let matched = |piece: &&&[u8]| matches(piece);
    let start: usize = all.iter().take_while(matched).map(length).sum();
    if start == bytes.len() {
        return &[];
    }
    let end: usize = all.iter().rev().take_while(matched).map(length).sum();
    &bytes[start..bytes.len() - end]
}

/// Upper case, character by character.
pub fn upper(bytes: &[u8]) -> Vec<u8> {
    map_chars(bytes, |c| {
        let mut upper = c.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(one), None) => one,
            // Go never makes one character several.
            _ => c,
        }
    })
}

/// Lower case, character by character.
pub fn lower(bytes: &[u8]) -> Vec<u8> {
    map_chars(bytes, |c| c.to_lowercase().next().unwrap_or(c))
}

fn map_chars(bytes: &[u8], map: impl Fn(char) -> char) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            out.extend_from_slice(map(c).encode_utf8(&mut [0; 4]).as_bytes());
        }
        for _ in chunk.invalid() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out
}

/// The parts between separators, each with what follows it if `keep`; at most `limit` of them,
/// any number below zero for all. An empty separator splits into characters.
pub fn split(bytes: &[u8], separator: &[u8], keep: bool, limit: i64) -> Vec<Text> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if limit == 0 {
        return Vec::new();
    }
    let mut parts = Vec::new();
    let mut rest = bytes;
    if separator.is_empty() {
        for piece in pieces(bytes) {
            if parts.len() + 1 == limit {
                break;
            }
            rest = &rest[piece.len()..];
            parts.push(Text::from(piece));
        }
        if !rest.is_empty() {
            parts.push(Text::from(rest));
        }
        return parts;
    }
    while parts.len() + 1 < limit {
        let Some(at) = find(rest, separator) else {
            break;
        };
        let after = at + separator.len();
        let end = if keep { after } else { at };
        parts.push(Text::from(&rest[..end]));
        rest = &rest[after..];
    }
    parts.push(Text::from(rest));
    parts
}

/// How often [`replace`] replaces.
pub fn occurrences(bytes: &[u8], old: &[u8]) -> usize {
    if old.is_empty() {
        return count(bytes) + 1;
    }
    memchr::memmem::find_iter(bytes, old).count()
}

/// With `new` for the first `limit` occurrences of `old`, any number below zero for all. An empty
/// `old` occurs before every character and at the end.
pub fn replace(bytes: &[u8], old: &[u8], new: &[u8], limit: i64) -> Vec<u8> {
    let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut out = Vec::with_capacity(bytes.len());
    if old.is_empty() {
        for piece in pieces(bytes) {
            if left > 0 {
                out.extend_from_slice(new);
                left -= 1;
            }
            out.extend_from_slice(piece);
        }
        if left > 0 {
            out.extend_from_slice(new);
        }
        return out;
    }
    let mut rest = bytes;
    while left > 0 {
        let Some(at) = find(rest, old) else {
            break;
        };
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(new);
        rest = &rest[at + old.len()..];
        left -= 1;
    }
    out.extend_from_slice(rest);
    out
}
