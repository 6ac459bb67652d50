//! Go's regular expressions on the `regex` crate: the same language, a slightly different syntax.
//!
//! A pattern is checked against Go's syntax and rewritten; matching takes linear time.

use regex::bytes::{Regex, RegexBuilder};

/// Bytes that a compiled pattern may take.
const SIZE_LIMIT: usize = 4 << 20;
/// Go's limit for a counted repetition.
const MAX_REPEAT: u32 = 1000;

/// The classes that are written `[:alpha:]`.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// A compiled pattern.
///
/// # Errors
/// Patterns outside of Go's syntax, with Go's text.
pub fn compile(pattern: &[u8]) -> Result<Regex, String> {
    let failure = |reason: &str, what: &str| {
        if what.is_empty() {
            format!("error parsing regexp: {reason}")
        } else {
            format!("error parsing regexp: {reason}: `{what}`")
        }
    };
    let Ok(text) = std::str::from_utf8(pattern) else {
        let shown = String::from_utf8_lossy(pattern);
        return Err(failure("invalid UTF-8", &shown));
    };
    let mut translator = Translator {
        text,
        at: 0,
        out: String::with_capacity(text.len() + 16),
        groups: 0,
    };
    translator
        .run()
        .map_err(|(reason, what)| failure(reason, &what))?;
    RegexBuilder::new(&translator.out)
        .size_limit(SIZE_LIMIT)
        .dfa_size_limit(SIZE_LIMIT)
        .nest_limit(250)
        .build()
        .map_err(|_| failure("expression too large or not supported", text))
}

type Failure = (&'static str, String);

/// What stands before a repetition operator.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing that could be repeated.
    Nothing,
    /// Something.
    Item,
    /// A repetition that started at this byte.
    Repetition(usize),
}

struct Translator<'p> {
    text: &'p str,
    at: usize,
    out: String,
    groups: usize,
}

impl<'p> Translator<'p> {
    fn rest(&self) -> &'p str {
        &self.text[self.at..]
    }

    fn run(&mut self) -> Result<(), Failure> {
        let mut before = Before::Nothing;
        while let Some(c) = self.rest().chars().next() {
            let start = self.at;
            match c {
                '(' => {
                    self.group()?;
                    before = Before::Nothing;
                }
                ')' => {
                    if self.groups == 0 {
                        return Err(("unexpected )", self.text.to_owned()));
                    }
                    self.groups -= 1;
                    self.copy(1);
                    before = Before::Item;
                }
                '|' => {
                    self.copy(1);
                    before = Before::Nothing;
                }
                '*' | '+' | '?' => {
                    self.at += 1;
                    self.repetition(start, before)?;
                    before = Before::Repetition(start);
                }
                '{' => match counted(self.rest()) {
                    Some((length, min, max)) => {
                        self.at += length;
                        let operator = &self.text[start..self.at];
                        let too_many = min > MAX_REPEAT || max.is_some_and(|m| m > MAX_REPEAT);
                        if too_many || max.is_some_and(|max| min > max) {
                            return Err(("invalid repeat count", operator.to_owned()));
                        }
                        self.repetition(start, before)?;
                        before = Before::Repetition(start);
                    }
                    None => {
                        self.out.push_str("\\{");
                        self.at += 1;
                        before = Before::Item;
                    }
                },
                '[' => {
                    self.class()?;
                    before = Before::Item;
                }
                '\\' => {
                    before = self.escape(before)?;
                }
                '}' | ']' => {
                    self.out.push('\\');
                    self.copy(1);
                    before = Before::Item;
                }
                c => {
                    self.copy(c.len_utf8());
                    before = Before::Item;
                }
            }
        }
        if self.groups > 0 {
            return Err(("missing closing )", self.text.to_owned()));
        }
        Ok(())
    }

    fn copy(&mut self, length: usize) {
        self.out.push_str(&self.text[self.at..self.at + length]);
        self.at += length;
    }

    /// The operator read from `start` on, and the `?` that makes it prefer little.
    fn repetition(&mut self, start: usize, before: Before) -> Result<(), Failure> {
        if self.rest().starts_with('?') {
            self.at += 1;
        }
        match before {
            Before::Nothing => Err((
                "missing argument to repetition operator",
                self.text[start..self.at].to_owned(),
            )),
            Before::Repetition(first) => Err((
                "invalid nested repetition operator",
                self.text[first..self.at].to_owned(),
            )),
            Before::Item => {
                self.out.push_str(&self.text[start..self.at]);
                Ok(())
            }
        }
    }

    /// An opening parenthesis with what makes its group special.
    fn group(&mut self) -> Result<(), Failure> {
        let rest = self.rest();
        let Some(extension) = rest.strip_prefix("(?") else {
            self.groups += 1;
            self.copy(1);
            return Ok(());
        };
        let named = extension
            .strip_prefix("P<")
            .or_else(|| extension.strip_prefix('<'));
        if let Some(name_on) = named {
            let Some(end) = name_on.find('>') else {
                return Err(("invalid named capture", rest.to_owned()));
            };
            let name = &name_on[..end];
            let length = rest.len() - name_on.len() + end + 1;
            let is_word = |c: char| c == '_' || c.is_ascii_alphanumeric();
            if name.is_empty() || !name.chars().all(is_word) {
                return Err(("invalid named capture", rest[..length].to_owned()));
            }
            self.groups += 1;
            // The name does not matter for matching, and may be no name elsewhere.
            self.out.push('(');
            self.at += length;
            return Ok(());
        }
        let mut negated = false;
        let mut any = false;
        for (i, c) in extension.char_indices() {
            match c {
                'i' | 'm' | 's' | 'U' => any = true,
                '-' if !negated => {
                    negated = true;
                    any = false;
                }
                ':' | ')' if !negated || any => {
                    self.copy(2 + i + 1);
                    if c == ':' {
                        self.groups += 1;
                    }
                    return Ok(());
                }
                _ => {
                    let end = 2 + i + c.len_utf8();
                    return Err(("invalid or unsupported Perl syntax", rest[..end].to_owned()));
                }
            }
        }
        Err(("missing closing )", self.text.to_owned()))
    }

    fn escape(&mut self, before: Before) -> Result<Before, Failure> {
        let rest = self.rest();
        let Some(c) = rest[1..].chars().next() else {
            return Err(("trailing backslash at end of expression", String::new()));
        };
        let replacement = match c {
            'A' => "\\A",
            'b' => "(?-u:\\b)",
            'B' => "(?-u:\\B)",
            'z' => "\\z",
            'Q' => {
                let literal = &rest[2..];
                let (literal, length) = match literal.find("\\E") {
                    Some(end) => (&literal[..end], 2 + end + 2),
                    None => (literal, rest.len()),
                };
                self.out.push_str(&regex::escape(literal));
                self.at += length;
                return Ok(if literal.is_empty() {
                    before
                } else {
                    Before::Item
                });
            }
            _ => {
                let class = self.escaped_class()?;
                self.out.push_str(&class);
                return Ok(Before::Item);
            }
        };
        self.out.push_str(replacement);
        self.at += 1 + c.len_utf8();
        Ok(Before::Item)
    }

    /// An escape that stands for a character or a class, in or out of brackets.
    fn escaped_class(&mut self) -> Result<String, Failure> {
        let rest = self.rest();
        let invalid = |length: usize| {
            let end = length.min(rest.len());
            let end = (0..=end)
                .rev()
                .find(|i| rest.is_char_boundary(*i))
                .unwrap_or(0);
            ("invalid escape sequence", rest[..end].to_owned())
        };
        let Some(c) = rest[1..].chars().next() else {
            return Err(("trailing backslash at end of expression", String::new()));
        };
        let simple = match c {
            'd' => Some("[0-9]"),
            'D' => Some("[^0-9]"),
            's' => Some("[\\t\\n\\x0C\\r ]"),
            'S' => Some("[^\\t\\n\\x0C\\r ]"),
            'w' => Some("[0-9A-Za-z_]"),
            'W' => Some("[^0-9A-Za-z_]"),
            'a' => Some("\\x07"),
            'f' => Some("\\x0C"),
            'n' => Some("\\n"),
            'r' => Some("\\r"),
            't' => Some("\\t"),
            'v' => Some("\\x0B"),
            _ => None,
        };
        if let Some(simple) = simple {
            self.at += 2;
            return Ok(simple.to_owned());
        }
        match c {
            'p' | 'P' => self.unicode_class(c == 'P'),
            'x' => {
                let digits = &rest[2..];
                let (code, length) = if let Some(braced) = digits.strip_prefix('{') {
                    let end = braced.find('}').ok_or_else(|| invalid(rest.len()))?;
                    (u32::from_str_radix(&braced[..end], 16), 2 + 1 + end + 1)
                } else {
                    let two = digits.get(..2).ok_or_else(|| invalid(rest.len()))?;
                    (u32::from_str_radix(two, 16), 4)
                };
                let code = code.map_err(|_| invalid(length))?;
                self.at += length;
                literal(code).ok_or_else(|| invalid(length))
            }
            '0'..='7' => {
                // One digit from 1 to 7 would be a reference to a group.
                let digits = rest[1..].bytes().take(3);
                let length = digits.take_while(|b| (b'0'..=b'7').contains(b)).count();
                if c != '0' && length < 2 {
                    return Err(invalid(2));
                }
                let code = u32::from_str_radix(&rest[1..=length], 8).map_err(|_| invalid(2))?;
                self.at += 1 + length;
                literal(code).ok_or_else(|| invalid(1 + length))
            }
            c if c.is_ascii_punctuation() => {
                self.at += 2;
                literal(c as u32).ok_or_else(|| invalid(2))
            }
            c => Err(invalid(1 + c.len_utf8())),
        }
    }

    fn unicode_class(&mut self, negated: bool) -> Result<String, Failure> {
        let rest = self.rest();
        let after = &rest[2..];
        let (name, length) = if let Some(braced) = after.strip_prefix('{') {
            let Some(end) = braced.find('}') else {
                return Err(("invalid character class range", rest.to_owned()));
            };
            (&braced[..end], 2 + 1 + end + 1)
        } else {
            match after.chars().next() {
                Some(c) => (&after[..c.len_utf8()], 2 + c.len_utf8()),
                None => return Err(("invalid character class range", rest.to_owned())),
            }
        };
        let (name, negated) = match name.strip_prefix('^') {
            Some(name) => (name, !negated),
            None => (name, negated),
        };
        let bad = || ("invalid character class range", rest[..length].to_owned());
        let is_name = |c: char| c == '_' || c.is_ascii_alphanumeric();
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(bad());
        }
        let class = match (name, negated) {
            ("Any", false) => "[\\x00-\\x{10FFFF}]".to_owned(),
            ("Any", true) => "[^\\x00-\\x{10FFFF}]".to_owned(),
            (name, false) => format!("\\p{{{name}}}"),
            (name, true) => format!("\\P{{{name}}}"),
        };
        if Regex::new(&class).is_err() {
            return Err(bad());
        }
        self.at += length;
        Ok(class)
    }

    fn class(&mut self) -> Result<(), Failure> {
        let start = self.at;
        let missing = |text: &str| ("missing closing ]", text[start..].to_owned());
        self.at += 1;
        let negated = self.rest().starts_with('^');
        if negated {
            self.at += 1;
        }
        self.out.push_str(if negated { "[^" } else { "[" });
        let mut first = true;
        loop {
            let rest = self.rest();
            let Some(c) = rest.chars().next() else {
                return Err(missing(self.text));
            };
            if c == ']' && !first {
                self.at += 1;
                self.out.push(']');
                return Ok(());
            }
            first = false;
            if let Some(named) = rest.strip_prefix("[:")
                && let Some(end) = named.find(":]")
            {
                let length = 2 + end + 2;
                let name = &rest[..length];
                let posix = name[2..length - 2].strip_prefix('^');
                if !POSIX.contains(&posix.unwrap_or(&name[2..length - 2])) {
                    return Err(("invalid character class range", name.to_owned()));
                }
                self.out.push_str(name);
                self.at += length;
                continue;
            }
            let range_start = self.at;
            let low = self.class_item()?;
            let Some(low) = low else {
                continue;
            };
            let rest = self.rest();
            let is_range = rest.len() >= 2 && rest.starts_with('-') && !rest.starts_with("-]");
            if !is_range {
                self.push_literal(low);
                continue;
            }
            self.at += 1;
            if self.rest().is_empty() {
                return Err(missing(self.text));
            }
            let high = self.class_item_of_range()?;
            if high < low {
                return Err((
                    "invalid character class range",
                    self.text[range_start..self.at].to_owned(),
                ));
            }
            self.push_literal(low);
            self.out.push('-');
            self.push_literal(high);
        }
    }

    fn push_literal(&mut self, code: u32) {
        if let Some(text) = literal(code) {
            self.out.push_str(&text);
        }
    }

    /// A single character, or `None` after a class was written out.
    fn class_item(&mut self) -> Result<Option<u32>, Failure> {
        let rest = self.rest();
        match rest.chars().next() {
            Some('\\') => {
                let text = self.escaped_class()?;
                match literal_code(&text) {
                    Some(code) => Ok(Some(code)),
                    None => {
                        self.out.push_str(&text);
                        Ok(None)
                    }
                }
            }
            Some(c) => {
                self.at += c.len_utf8();
                Ok(Some(c as u32))
            }
            None => Err(("missing closing ]", self.text.to_owned())),
        }
    }

    fn class_item_of_range(&mut self) -> Result<u32, Failure> {
        let (start, length) = (self.at, self.out.len());
        match self.class_item()? {
            Some(code) => Ok(code),
            None => {
                self.out.truncate(length);
                let escape = self.text[start..self.at].to_owned();
                Err(("invalid escape sequence", escape))
            }
        }
    }
}

/// A character by its number, in or out of brackets.
fn literal(code: u32) -> Option<String> {
    char::from_u32(code).map(|_| format!("\\x{{{code:X}}}"))
}

/// The number in what [`literal`] wrote, and of the escapes that stand for one character.
fn literal_code(text: &str) -> Option<u32> {
    match text {
        "\\n" => Some(0x0a),
        "\\r" => Some(0x0d),
        "\\t" => Some(0x09),
        "\\x07" => Some(0x07),
        "\\x0B" => Some(0x0b),
        "\\x0C" => Some(0x0c),
        _ => {
            let digits = text.strip_prefix("\\x{")?.strip_suffix('}')?;
            u32::from_str_radix(digits, 16).ok()
        }
    }
}

/// `{2}`, `{2,}` or `{2,3}` at the start: length, least and most. Anything else is literal.
fn counted(text: &str) -> Option<(usize, u32, Option<u32>)> {
    let end = text.find('}')?;
    let inner = text.get(1..end)?;
    let number = |digits: &str| -> Option<u32> {
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        // Leading zeros make it a literal; too large counts are refused by the caller.
        let zeros = digits.len() > 1 && digits.starts_with('0');
        (plain && !zeros).then(|| digits.parse().unwrap_or(u32::MAX))
    };
    let (min, max) = match inner.split_once(',') {
        None => {
            let count = number(inner)?;
            (count, Some(count))
        }
        Some((min, "")) => (number(min)?, None),
        Some((min, max)) => (number(min)?, Some(number(max)?)),
    };
    Some((end + 1, min, max))
}
