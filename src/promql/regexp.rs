//! Regular expressions in Go's (RE2) dialect, carried over to the `regex` crate.
//!
//! The dialects differ in a few spellings: Perl classes are ASCII in RE2, `{` may stand for
//! itself, `\Q..\E` quotes, and a class has no set operations.

use regex::{Regex, RegexBuilder};

const SIZE_LIMIT_BYTES: usize = 4 << 20;

/// A pattern that has to match the whole text.
///
/// Most patterns in queries are words, `.`, `.*`, `.+` and `|`: these are matched as they stand,
/// since to compile them takes longer than all else that is done with a query.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// Alternatives.
    Plain(Vec<Vec<Part>>),
    Compiled(Regex),
}

/// A part of a plain alternative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Letter(char),
    /// `.`
    Any,
    /// `.*`; `.+` is `.` and this.
    Rest,
}

impl Pattern {
    /// # Errors
    /// As [`compile_anchored`].
    pub fn new(pattern: &str) -> Result<Self, String> {
        match plain(pattern) {
            Some(alternatives) => Ok(Pattern::Plain(alternatives)),
            None => compile_anchored(pattern).map(Pattern::Compiled),
        }
    }

    pub fn is_match(&self, text: &str) -> bool {
        match self {
            Pattern::Plain(alternatives) => alternatives.iter().any(|parts| fits(parts, text)),
            Pattern::Compiled(regex) => regex.is_match(text),
        }
    }
}

/// The alternatives of a pattern without any other operator.
fn plain(pattern: &str) -> Option<Vec<Vec<Part>>> {
    let mut alternatives = vec![Vec::new()];
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        let parts = alternatives.last_mut()?;
        match letter {
            '|' => alternatives.push(Vec::new()),
            '.' => match letters.next_if(|next| matches!(next, '*' | '+')) {
                Some('*') => parts.push(Part::Rest),
                Some(_) => parts.extend([Part::Any, Part::Rest]),
                None => parts.push(Part::Any),
            },
            '\\' | '^' | '$' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' => return None,
            letter => parts.push(Part::Letter(letter)),
        }
        // `.*?` and `a*` are for the compiler.
        if letters
            .peek()
            .is_some_and(|next| matches!(next, '*' | '+' | '?' | '{'))
        {
            return None;
        }
    }
    Some(alternatives)
}

/// Whether the parts match the whole text. On a mismatch the last `.*` takes one letter more.
fn fits(parts: &[Part], text: &str) -> bool {
    let (mut part, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let letter = text.get(at..).and_then(|rest| rest.chars().next());
        let next = match (parts.get(part), letter) {
            (Some(Part::Rest), _) => {
                part += 1;
                retry = Some((part, at));
                continue;
            }
            (Some(Part::Any), Some(letter)) => Some(letter),
            (Some(Part::Letter(wanted)), Some(letter)) if *wanted == letter => Some(letter),
            (None, None) => return true,
            (Some(Part::Any | Part::Letter(_)) | None, _) => None,
        };
        match (next, retry) {
            (Some(letter), _) => {
                part += 1;
                at += letter.len_utf8();
            }
            (None, Some((after, from))) => {
                let Some(skipped) = text.get(from..).and_then(|rest| rest.chars().next()) else {
                    return false;
                };
                part = after;
                at = from + skipped.len_utf8();
                retry = Some((after, at));
            }
            (None, None) => return false,
        }
    }
}

/// Compiles a pattern that has to match the whole text; `.` also matches a line break.
///
/// # Errors
/// The text says what is wrong with the pattern.
pub fn compile_anchored(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(&format!("^(?s:{})$", translate(pattern)))
        .size_limit(SIZE_LIMIT_BYTES)
        .build()
        .map_err(|error| {
            let text = error.to_string();
            let reason = text
                .lines()
                .last()
                .unwrap_or("")
                .trim_start_matches("error: ");
            format!("error parsing regexp: {reason}: `{pattern}`")
        })
}

/// Fills a replacement template: `$1`, `$name`, `${name}`, `$$`. A `$` that begins none of these
/// stands for itself; a group that does not exist is empty.
pub fn expand(captures: &regex::Captures<'_>, template: &str) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
            continue;
        }
        let word_length = |text: &str| {
            text.len()
                - text
                    .trim_start_matches(|c: char| c == '_' || c.is_alphanumeric())
                    .len()
        };
        let (name, tail) = if let Some(braced) = after.strip_prefix('{') {
            let length = word_length(braced);
            match braced[length..].strip_prefix('}') {
                Some(tail) if length > 0 => (&braced[..length], tail),
                _ => ("", after),
            }
        } else {
            after.split_at(word_length(after))
        };
        if name.is_empty() {
            out.push('$');
            rest = after;
            continue;
        }
        let group = if name.bytes().all(|b| b.is_ascii_digit()) {
            name.parse().ok().and_then(|index| captures.get(index))
        } else {
            captures.name(name)
        };
        out.push_str(group.map_or("", |group| group.as_str()));
        rest = tail;
    }
    out.push_str(rest);
    out
}

fn translate(pattern: &str) -> String {
    let chars: Vec<char> = pattern.chars().collect();
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut i = 0;
    while let Some(&c) = chars.get(i) {
        match c {
            '\\' => i += escape(&chars[i..], false, &mut out),
            '[' => i += class(&chars[i..], &mut out),
            '{' if !is_repetition(&chars[i..]) => {
                out.push_str("\\{");
                i += 1;
            }
            '}' => {
                // Closes a repetition, or stands for itself; the crate takes both.
                out.push('}');
                i += 1;
            }
            c => {
                out.push(c);
                i += 1;
            }
        }
    }
    out
}

/// Writes one escape and returns its length in characters.
fn escape(chars: &[char], in_class: bool, out: &mut String) -> usize {
    let Some(&c) = chars.get(1) else {
        out.push('\\');
        return 1;
    };
    let wrap = |body: &str, negated: bool| match (in_class, negated) {
        (true, false) => body.to_owned(),
        (_, true) => format!("[^{body}]"),
        (false, false) => format!("[{body}]"),
    };
    match c {
        'd' | 'D' => out.push_str(&wrap("0-9", c == 'D')),
        'w' | 'W' => out.push_str(&wrap("0-9A-Za-z_", c == 'W')),
        's' | 'S' => out.push_str(&wrap("\\t\\n\\x0c\\r ", c == 'S')),
        'b' if !in_class => out.push_str("(?-u:\\b)"),
        'Q' if !in_class => {
            let mut i = 2;
            while i < chars.len() && !(chars[i] == '\\' && chars.get(i + 1) == Some(&'E')) {
                out.push_str(&regex::escape(&chars[i].to_string()));
                i += 1;
            }
            return (i + 2).min(chars.len());
        }
        c => {
            out.push('\\');
            out.push(c);
        }
    }
    2
}

/// Writes one character class and returns its length in characters.
fn class(chars: &[char], out: &mut String) -> usize {
    out.push('[');
    let mut i = 1;
    if chars.get(i) == Some(&'^') {
        out.push('^');
        i += 1;
    }
    if chars.get(i) == Some(&']') {
        out.push_str("\\]");
        i += 1;
    }
    while let Some(&c) = chars.get(i) {
        match c {
            ']' => {
                out.push(']');
                return i + 1;
            }
            '\\' => i += escape(&chars[i..], true, out),
            '[' if chars.get(i + 1) == Some(&':') => {
                let end = (i + 2..chars.len())
                    .find(|&j| chars[j] == ':' && chars.get(j + 1) == Some(&']'));
                match end {
                    Some(end) => {
                        out.extend(&chars[i..end + 2]);
                        i = end + 2;
                    }
                    None => {
                        out.push_str("\\[");
                        i += 1;
                    }
                }
            }
            '[' | '&' | '~' => {
                out.push('\\');
                out.push(c);
                i += 1;
            }
            '-' if chars.get(i + 1) == Some(&'-') => {
                out.push_str("\\-");
                i += 1;
            }
            c => {
                out.push(c);
                i += 1;
            }
        }
    }
    i
}

/// Whether the characters begin `{n}`, `{n,}` or `{n,m}`.
fn is_repetition(chars: &[char]) -> bool {
    let Some(end) = chars.iter().position(|c| *c == '}') else {
        return false;
    };
    let body: String = chars[1..end].iter().collect();
    let (low, high) = body.split_once(',').unwrap_or((&body, ""));
    !low.is_empty() && low.bytes().chain(high.bytes()).all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_spellings_compile() {
        for (pattern, yes, no) in [
            ("a{b}", "a{b}", "ab"),
            ("\\d+", "12", "٣"),
            ("[\\w-]+", "a-b_1", "ä"),
            ("\\Qa.b\\E", "a.b", "axb"),
            ("[[a]", "[", "b"),
            ("5..", "503", "404"),
            ("(?i:ab)", "AB", "xy"),
            ("", "", "x"),
        ] {
            let compiled = compile_anchored(pattern);
            assert!(
                compiled
                    .as_ref()
                    .is_ok_and(|re| re.is_match(yes) && !re.is_match(no)),
                "{pattern}: {compiled:?}"
            );
        }
        assert!(compile_anchored("(").is_err());
        assert!(compile_anchored("*").is_err());
    }

    proptest::proptest! {
        #[test]
        fn plain_patterns_match_as_compiled_ones(pattern in "[ab.|*+]{0,7}", text in "[abä\n]{0,5}") {
            if let (Some(alternatives), Ok(compiled)) = (plain(&pattern), compile_anchored(&pattern)) {
                let is_match = Pattern::Plain(alternatives).is_match(&text);
                proptest::prop_assert_eq!(is_match, compiled.is_match(&text));
            }
        }
    }

    #[test]
    fn usual_patterns_are_plain() {
        for pattern in ["5..", "2..|3..", ".*", "GET|POST", "shop-.+", "", "/api/v1"] {
            assert!(plain(pattern).is_some(), "{pattern}");
        }
        for pattern in ["5[0-9]+", "a*", "(a|b)", "\\d", "a{2}", ".*?"] {
            assert!(plain(pattern).is_none(), "{pattern}");
        }
    }

    #[test]
    fn templates_expand() {
        let re = compile_anchored("(?P<x>a)(b)").unwrap();
        let captures = re.captures("ab").unwrap();
        for (template, expected) in [
            ("$1-$2", "a-b"),
            ("${x}y", "ay"),
            ("$1x", ""),
            ("$$", "$"),
            ("$", "$"),
            ("a${", "a${"),
            ("$9", ""),
        ] {
            assert_eq!(expand(&captures, template), expected, "{template}");
        }
    }
}
