//! Text to tokens, one at a time: a syntax error before a lexical one must win.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::error::Error;
use super::quote::{quote, quote_char};

static LETTER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\p{L}$").ok());
static DIGIT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\p{Nd}$").ok());

/// The class of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Identifier,
    Number,
    String,
    Bytes,
    Operator,
    Bracket,
    End,
}

impl Kind {
    /// The name in syntax error texts.
    fn name(self) -> &'static str {
        match self {
            Self::Identifier => "Identifier",
            Self::Number => "Number",
            Self::String => "String",
            Self::Bytes => "Bytes",
            Self::Operator => "Operator",
            Self::Bracket => "Bracket",
            Self::End => "EOF",
        }
    }
}

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    /// The text of the token; for strings and bytes, what they mean after unescaping.
    pub value: Vec<u8>,
    /// Bytes of the source.
    pub span: Range<usize>,
}

impl Token {
    /// The value of every kind but strings and bytes, which may hold anything.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.value).unwrap_or("")
    }

    pub fn is(&self, kind: Kind, text: &str) -> bool {
        self.kind == kind && self.value == text.as_bytes()
    }

    /// As syntax errors name the token.
    pub fn describe(&self) -> String {
        if self.value.is_empty() {
            self.kind.name().to_owned()
        } else {
            format!("{}({})", self.kind.name(), quote(&self.value))
        }
    }
}

/// Reads tokens from a source; after the end-of-input token, reading on is an error.
pub struct Lexer<'s> {
    source: &'s str,
    start: usize,
    end: usize,
    pending: Option<Token>,
    finished: bool,
}

impl<'s> Lexer<'s> {
    pub fn new(source: &'s str) -> Self {
        Self {
            source,
            start: 0,
            end: 0,
            pending: None,
            finished: false,
        }
    }

    /// The next token.
    ///
    /// # Errors
    /// Malformed literals and characters outside the language.
    pub fn next_token(&mut self) -> Result<Token, Error> {
        if let Some(token) = self.pending.take() {
            return Ok(token);
        }
        loop {
            self.start = self.end;
            let Some(c) = self.bump() else {
                if self.finished {
                    let at = self.source.len();
                    return Err(Error::compile("unexpected end of expression", &(at..at)));
                }
                self.finished = true;
                let from = self
                    .source
                    .char_indices()
                    .next_back()
                    .map_or(0, |(at, _)| at);
                return Ok(Token {
                    kind: Kind::End,
                    value: Vec::new(),
                    span: from..self.source.len(),
                });
            };
            match c {
                c if c.is_whitespace() => {}
                '\'' | '"' => {
                    self.scan_string(c)?;
                    let value = self.unescape(self.start, false)?;
                    return Ok(self.token(Kind::String, value));
                }
                '`' => return self.raw_string(),
                'b' | 'B' if matches!(self.peek(), Some('\'' | '"')) => {
                    let quote = self.bump().unwrap_or('"');
                    self.scan_string(quote)?;
                    let value = self.unescape(self.start + 1, true)?;
                    return Ok(self.token(Kind::Bytes, value));
                }
                '0'..='9' => {
                    self.end = self.start;
                    return self.number();
                }
                '?' => {
                    self.accept(".?");
                    return Ok(self.word_token(Kind::Operator));
                }
                '/' => {
                    if self.accept("/") {
                        while self.bump().is_some_and(|c| c != '\n') {}
                    } else if self.accept("*") {
                        self.block_comment()?;
                    } else {
                        return Ok(self.word_token(Kind::Operator));
                    }
                }
                '#' => return Ok(self.pointer()),
                '|' => {
                    self.accept("|");
                    return Ok(self.word_token(Kind::Operator));
                }
                ':' => {
                    self.accept(":");
                    return Ok(self.word_token(Kind::Operator));
                }
                '(' | '[' | '{' | ')' | ']' | '}' => return Ok(self.word_token(Kind::Bracket)),
                ',' | ';' | '%' | '+' | '-' | '^' => return Ok(self.word_token(Kind::Operator)),
                '&' | '!' | '=' | '*' | '<' | '>' => {
                    self.accept("&=*");
                    return Ok(self.word_token(Kind::Operator));
                }
                '.' => {
                    if self.peek().is_some_and(|c| c.is_ascii_digit()) {
                        // Read on behind the point: another one belongs to the number, too.
                        return self.number();
                    }
                    self.accept(".");
                    return Ok(self.word_token(Kind::Operator));
                }
                c if is_alphanumeric(c) => {
                    while self.peek().is_some_and(is_alphanumeric) {
                        self.bump();
                    }
                    return Ok(self.identifier());
                }
                c => {
                    return Err(self.error(format!("unrecognized character: {}", quote_char(c))));
                }
            }
        }
    }

    fn peek(&self) -> Option<char> {
        self.source[self.end..].chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.end += c.len_utf8();
        Some(c)
    }

    fn accept(&mut self, valid: &str) -> bool {
        match self.peek() {
            Some(c) if valid.contains(c) => {
                self.end += c.len_utf8();
                true
            }
            _ => false,
        }
    }

    fn accept_run(&mut self, valid: &str) {
        while self.accept(valid) {}
    }

    fn word(&self) -> &'s str {
        &self.source[self.start..self.end]
    }

    fn token(&self, kind: Kind, value: Vec<u8>) -> Token {
        Token {
            kind,
            value,
            span: self.start..self.end,
        }
    }

    fn word_token(&self, kind: Kind) -> Token {
        self.token(kind, self.word().as_bytes().to_vec())
    }

    /// An error at the character last read.
    fn error(&self, message: impl Into<String>) -> Error {
        let from = self.source[..self.end]
            .char_indices()
            .next_back()
            .map_or(0, |(at, _)| at);
        Error::compile(message, &(from..self.end))
    }

    /// An error at the end of the input.
    fn error_at_end(&self, message: &str) -> Error {
        Error::compile(message, &(self.source.len()..self.source.len()))
    }

    fn identifier(&self) -> Token {
        let kind = match self.word() {
            "not" | "in" | "or" | "and" | "matches" | "contains" | "startsWith" | "endsWith"
            | "let" | "if" | "else" => Kind::Operator,
            _ => Kind::Identifier,
        };
        self.word_token(kind)
    }

    /// `#`, and the name that follows it without a space.
    fn pointer(&mut self) -> Token {
        self.accept("#");
        let token = self.word_token(Kind::Operator);
        self.start = self.end;
        while self.peek().is_some_and(is_alphanumeric) {
            self.bump();
        }
        if !self.word().is_empty() {
            self.pending = Some(self.word_token(Kind::Identifier));
        }
        token
    }

    fn block_comment(&mut self) -> Result<(), Error> {
        loop {
            match self.bump() {
                None => return Err(self.error_at_end("unclosed comment")),
                Some('*') if self.accept("/") => return Ok(()),
                Some(_) => {}
            }
        }
    }

    fn number(&mut self) -> Result<Token, Error> {
        if self.scan_number() {
            Ok(self.word_token(Kind::Number))
        } else {
            let message = format!("bad number syntax: {}", quote(self.word().as_bytes()));
            Err(self.error(message))
        }
    }

    fn scan_number(&mut self) -> bool {
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.accept_run(digits);
        let end = self.end;
        if self.accept(".") {
            // `1..2` is a range.
            if self.peek() == Some('.') {
                self.end = end;
                return true;
            }
            self.accept_run(digits);
        }
        if self.accept("eE") {
            self.accept("+-");
            self.accept_run(digits);
        }
        if self.peek().is_some_and(is_alphanumeric) {
            self.bump();
            return false;
        }
        true
    }

    /// Finds the closing quote; what lies between is checked for shape only.
    fn scan_string(&mut self, quote: char) -> Result<(), Error> {
        loop {
            match self.bump() {
                Some(c) if c == quote => return Ok(()),
                Some('\n') => return Err(self.error("literal not terminated")),
                None => return Err(self.error_at_end("literal not terminated")),
                Some('\\') => self.scan_escape(quote)?,
                Some(_) => {}
            }
        }
    }

    fn scan_escape(&mut self, quote: char) -> Result<(), Error> {
        let next = self.bump();
        match next {
            Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\') => Ok(()),
            Some(c) if c == quote => Ok(()),
            Some('0'..='7') => self.scan_digits(8, 2),
            Some('x') => self.scan_digits(16, 2),
            Some('u') if self.peek() == Some('{') => {
                self.bump();
                let from = self.end;
                while self.peek().is_some_and(|c| c.is_ascii_hexdigit()) {
                    self.bump();
                }
                let digits = self.end - from;
                if digits == 0 || digits > 6 || !self.accept("}") {
                    return Err(self.error("invalid char escape"));
                }
                Ok(())
            }
            Some('u') => self.scan_digits(16, 4),
            Some('U') => self.scan_digits(16, 8),
            Some(_) => Err(self.error("invalid char escape")),
            None => Err(self.error_at_end("invalid char escape")),
        }
    }

    fn scan_digits(&mut self, base: u32, count: usize) -> Result<(), Error> {
        for _ in 0..count {
            match self.bump() {
                Some(c) if c.is_digit(base) => {}
                Some(_) => return Err(self.error("invalid char escape")),
                None => return Err(self.error_at_end("invalid char escape")),
            }
        }
        Ok(())
    }

    /// What lies between the backticks, two backticks standing for one.
    fn raw_string(&mut self) -> Result<Token, Error> {
        let mut value = String::new();
        loop {
            match self.bump() {
                None => return Err(self.error_at_end("literal not terminated")),
                Some('`') => {
                    if !self.accept("`") {
                        return Ok(self.token(Kind::String, value.into_bytes()));
                    }
                    value.push('`');
                }
                Some(c) => value.push(c),
            }
        }
    }

    /// The meaning of the quoted literal that starts at `from`.
    fn unescape(&self, from: usize, bytes: bool) -> Result<Vec<u8>, Error> {
        let word = self.source[from..self.end]
            .replace("\r\n", "\n")
            .replace('\r', "\n");
        let inner = word.get(1..word.len().saturating_sub(1)).unwrap_or("");
        let mut out = Vec::with_capacity(inner.len());
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            if c != '\\' {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            let Some(escape) = chars.next() else {
                return Err(self.error("unable to unescape string, found '\\' as last character"));
            };
            let code = match escape {
                'a' => 0x07,
                'b' => 0x08,
                'f' => 0x0c,
                'n' => 0x0a,
                'r' => 0x0d,
                't' => 0x09,
                'v' => 0x0b,
                '\\' | '\'' | '"' | '`' | '?' => escape as u32,
                'x' => self.digits(&mut chars, 16, 2, 0)?,
                'u' if bytes => return Err(self.error("unable to unescape string")),
                'U' if bytes => return Err(self.error("unable to unescape string")),
                'u' if chars.as_str().starts_with('{') => {
                    chars.next();
                    let mut code = 0;
                    for c in chars.by_ref() {
                        match c.to_digit(16) {
                            Some(digit) => code = code * 16 + digit,
                            None => break,
                        }
                    }
                    code
                }
                'u' => self.digits(&mut chars, 16, 4, 0)?,
                'U' => self.digits(&mut chars, 16, 8, 0)?,
                '0'..='3' => {
                    let first = escape.to_digit(8).unwrap_or(0);
                    self.digits(&mut chars, 8, 2, first)?
                }
                _ => return Err(self.error("unable to unescape string")),
            };
            if bytes {
                out.push(u8::try_from(code).unwrap_or(u8::MAX));
            } else if code > 0x10_ffff {
                return Err(self.error("unable to unescape string"));
            } else {
                // Lone surrogates become the replacement character.
                let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        Ok(out)
    }

    fn digits(
        &self,
        chars: &mut std::str::Chars<'_>,
        base: u32,
        count: usize,
        first: u32,
    ) -> Result<u32, Error> {
        let mut code = first;
        for _ in 0..count {
            match chars.next().and_then(|c| c.to_digit(base)) {
                Some(digit) => code = code.wrapping_mul(base).wrapping_add(digit),
                None => return Err(self.error("unable to unescape string")),
            }
        }
        Ok(code)
    }
}

/// Whether `text` could be written as a name.
pub fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(is_alphabetic) && chars.all(is_alphanumeric)
}

fn is_alphabetic(c: char) -> bool {
    match c {
        '_' | '$' | 'a'..='z' | 'A'..='Z' => true,
        c if c.is_ascii() => false,
        c => is_match(&LETTER, c),
    }
}

fn is_alphanumeric(c: char) -> bool {
    is_alphabetic(c) || c.is_ascii_digit() || (!c.is_ascii() && is_match(&DIGIT, c))
}

fn is_match(class: &LazyLock<Option<Regex>>, c: char) -> bool {
    class
        .as_ref()
        .is_some_and(|regex| regex.is_match(c.encode_utf8(&mut [0; 4])))
}
