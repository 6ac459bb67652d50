//! Text to tokens. Scanning stops at the first character that cannot begin a token.

use super::ast::{AggregateOp, BinaryOp, Span};
use super::gofmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyword {
    Anchored,
    Bool,
    By,
    Fill,
    FillLeft,
    FillRight,
    GroupLeft,
    GroupRight,
    Ignoring,
    Offset,
    On,
    Smoothed,
    Without,
}

/// Words that name a function of the query's own times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeWord {
    Start,
    End,
    Step,
    Range,
    MaxOf,
    MinOf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    End,
    Error,
    Comma,
    Colon,
    Assign,
    RegexMatch,
    RegexMismatch,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    At,
    Identifier,
    MetricIdentifier,
    String,
    Number,
    Duration,
    Op(BinaryOp),
    Aggregate(AggregateOp),
    Keyword(Keyword),
    Time(TimeWord),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    pub span: Span,
}

impl Token {
    /// How a message names the token.
    pub fn describe(self, input: &str) -> String {
        let text = input.get(self.span.start..self.span.end).unwrap_or("");
        let quoted = || {
            if text.len() > 10 {
                let head: String = text.chars().take(10).collect();
                gofmt::quote(&head) + "..."
            } else {
                gofmt::quote(text)
            }
        };
        match self.kind {
            Kind::End => "end of input".to_owned(),
            Kind::Error => "error".to_owned(),
            Kind::Identifier => format!("identifier {}", gofmt::quote(text)),
            Kind::MetricIdentifier => format!("metric identifier {}", gofmt::quote(text)),
            Kind::String => format!("string {}", quoted()),
            Kind::Number => format!("number {}", quoted()),
            Kind::Duration => format!("duration {}", quoted()),
            Kind::Keyword(_) => format!("<{text}>"),
            Kind::Op(_) | Kind::At | Kind::RegexMatch | Kind::RegexMismatch => {
                format!("<op:{text}>")
            }
            Kind::Aggregate(_) => format!("<aggr:{text}>"),
            Kind::Comma
            | Kind::Colon
            | Kind::Assign
            | Kind::LeftParen
            | Kind::RightParen
            | Kind::LeftBrace
            | Kind::RightBrace
            | Kind::LeftBracket
            | Kind::RightBracket
            | Kind::Time(_) => quoted(),
        }
    }
}

/// The tokens, comments left out; the last is `End` or `Error`.
pub struct Tokens {
    pub tokens: Vec<Token>,
    /// Set when the last token is `Error`.
    pub error: Option<String>,
}

pub fn tokenize(input: &str) -> Tokens {
    let mut lexer = Lexer {
        input,
        pos: 0,
        start: 0,
        line: 1,
        line_start: 0,
        tokens: Vec::new(),
        paren_depth: 0,
        brace_open: false,
        bracket_open: false,
        got_colon: false,
        got_duration: false,
    };
    let error = loop {
        match lexer.scan() {
            Ok(true) => {}
            Ok(false) => break None,
            Err(message) => {
                let span = Span::locate(input, lexer.start, input.len());
                lexer.tokens.push(Token {
                    kind: Kind::Error,
                    span,
                });
                break Some(message);
            }
        }
    };
    Tokens {
        tokens: lexer.tokens,
        error,
    }
}

struct Lexer<'a> {
    input: &'a str,
    pos: usize,
    start: usize,
    /// The line of `start`, and where that line begins.
    line: u32,
    line_start: usize,
    tokens: Vec<Token>,
    paren_depth: usize,
    brace_open: bool,
    bracket_open: bool,
    got_colon: bool,
    got_duration: bool,
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_alpha(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

fn is_alphanumeric(c: char) -> bool {
    is_alpha(c) || c.is_ascii_digit()
}

fn time_word_in_duration(word: &str) -> Option<TimeWord> {
    match word.to_ascii_lowercase().as_str() {
        "step" => Some(TimeWord::Step),
        "range" => Some(TimeWord::Range),
        "max_of" => Some(TimeWord::MaxOf),
        "min_of" => Some(TimeWord::MinOf),
        _ => None,
    }
}

fn keyword(word: &str) -> Option<Kind> {
    let lower = word.to_ascii_lowercase();
    if let Some(op) = AggregateOp::ALL.into_iter().find(|op| op.text() == lower) {
        return Some(Kind::Aggregate(op));
    }
    Some(match lower.as_str() {
        "and" => Kind::Op(BinaryOp::And),
        "or" => Kind::Op(BinaryOp::Or),
        "unless" => Kind::Op(BinaryOp::Unless),
        "atan2" => Kind::Op(BinaryOp::Atan2),
        "offset" => Kind::Keyword(Keyword::Offset),
        "smoothed" => Kind::Keyword(Keyword::Smoothed),
        "anchored" => Kind::Keyword(Keyword::Anchored),
        "by" => Kind::Keyword(Keyword::By),
        "without" => Kind::Keyword(Keyword::Without),
        "on" => Kind::Keyword(Keyword::On),
        "ignoring" => Kind::Keyword(Keyword::Ignoring),
        "group_left" => Kind::Keyword(Keyword::GroupLeft),
        "group_right" => Kind::Keyword(Keyword::GroupRight),
        "fill" => Kind::Keyword(Keyword::Fill),
        "fill_left" => Kind::Keyword(Keyword::FillLeft),
        "fill_right" => Kind::Keyword(Keyword::FillRight),
        "bool" => Kind::Keyword(Keyword::Bool),
        "start" => Kind::Time(TimeWord::Start),
        "end" => Kind::Time(TimeWord::End),
        "inf" | "nan" => Kind::Number,
        other => return time_word_in_duration(other).map(Kind::Time),
    })
}

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        self.input
            .get(self.pos..)
            .and_then(|rest| rest.chars().next())
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn accept(&mut self, valid: impl Fn(char) -> bool) -> bool {
        match self.peek() {
            Some(c) if valid(c) => {
                self.pos += c.len_utf8();
                true
            }
            _ => false,
        }
    }

    fn emit(&mut self, kind: Kind) {
        let column = (self.start - self.line_start) as u32 + 1;
        let span = Span {
            start: self.start,
            end: self.pos,
            line: self.line,
            column,
        };
        self.tokens.push(Token { kind, span });
        self.begin();
    }

    /// Begins the next token here.
    fn begin(&mut self) {
        let passed = self
            .input
            .as_bytes()
            .get(self.start..self.pos)
            .unwrap_or_default();
        for (i, _) in passed.iter().enumerate().filter(|(_, b)| **b == b'\n') {
            self.line += 1;
            self.line_start = self.start + i + 1;
        }
        self.start = self.pos;
    }

    fn text(&self) -> &str {
        self.input.get(self.start..self.pos).unwrap_or("")
    }

    fn skip_spaces(&mut self) {
        while self.accept(is_space) {}
        self.begin();
    }

    /// Scans at most one token. `false` after the end.
    fn scan(&mut self) -> Result<bool, String> {
        if self.peek() == Some('#') {
            while self.peek().is_some_and(|c| c != '\n' && c != '\r') {
                self.next();
            }
            self.begin();
            return Ok(true);
        }
        if self.peek().is_some_and(is_space) {
            self.skip_spaces();
            return Ok(true);
        }
        if self.brace_open {
            return self.scan_in_braces().map(|()| true);
        }
        let Some(c) = self.next() else {
            if self.paren_depth != 0 {
                return Err("unclosed left parenthesis".to_owned());
            }
            if self.bracket_open {
                return Err("unclosed left bracket".to_owned());
            }
            self.emit(Kind::End);
            return Ok(false);
        };
        match c {
            ',' => self.emit(Kind::Comma),
            '*' => self.emit(Kind::Op(BinaryOp::Mul)),
            '/' => self.emit(Kind::Op(BinaryOp::Div)),
            '%' => self.emit(Kind::Op(BinaryOp::Mod)),
            '+' => self.emit(Kind::Op(BinaryOp::Add)),
            '-' => self.emit(Kind::Op(BinaryOp::Sub)),
            '^' => self.emit(Kind::Op(BinaryOp::Pow)),
            '@' => self.emit(Kind::At),
            '=' => match self.peek() {
                Some('=') => {
                    self.next();
                    self.emit(Kind::Op(BinaryOp::Eq));
                }
                Some('~') => return Err("unexpected character after '=': '~'".to_owned()),
                _ => self.emit(Kind::Assign),
            },
            '!' => match self.next() {
                Some('=') => self.emit(Kind::Op(BinaryOp::Ne)),
                other => {
                    return Err(format!(
                        "unexpected character after '!': {}",
                        gofmt::quote_char(other)
                    ));
                }
            },
            '<' | '>' => {
                let less = c == '<';
                let op = match self.peek() {
                    Some('=') => {
                        self.next();
                        if less { BinaryOp::Le } else { BinaryOp::Ge }
                    }
                    Some('/') => {
                        self.next();
                        if less {
                            BinaryOp::TrimUpper
                        } else {
                            BinaryOp::TrimLower
                        }
                    }
                    _ if less => BinaryOp::Lt,
                    _ => BinaryOp::Gt,
                };
                self.emit(Kind::Op(op));
            }
            '"' | '\'' => self.scan_string(c)?,
            '`' => self.scan_raw_string()?,
            '(' => {
                self.emit(Kind::LeftParen);
                self.paren_depth += 1;
            }
            ')' => self.close_paren()?,
            '{' => {
                self.emit(Kind::LeftBrace);
                self.brace_open = true;
            }
            '[' => {
                if self.bracket_open {
                    return Err("unexpected left bracket '['".to_owned());
                }
                self.got_colon = false;
                self.emit(Kind::LeftBracket);
                self.bracket_open = true;
                self.scan_bracket_head()?;
            }
            ']' => {
                if !self.bracket_open {
                    return Err("unexpected right bracket ']'".to_owned());
                }
                self.emit(Kind::RightBracket);
                self.bracket_open = false;
            }
            c if c.is_ascii_digit()
                || (c == '.' && self.peek().is_some_and(|d| d.is_ascii_digit())) =>
            {
                self.pos = self.start;
                self.scan_number_or_duration()?;
            }
            c if is_alpha(c) || c == ':' => {
                if !self.bracket_open {
                    self.pos = self.start;
                    self.scan_word();
                } else if c == ':' {
                    if self.got_colon {
                        return Err("unexpected colon ':'".to_owned());
                    }
                    self.emit(Kind::Colon);
                    self.got_colon = true;
                } else if !self.scan_duration_word(c) {
                    return Err(format!(
                        "unexpected character: {}, expected ':'",
                        gofmt::quote_char(Some(c))
                    ));
                }
            }
            c => {
                return Err(format!(
                    "unexpected character: {}",
                    gofmt::quote_char(Some(c))
                ));
            }
        }
        Ok(true)
    }

    fn close_paren(&mut self) -> Result<(), String> {
        if self.paren_depth == 0 {
            self.start = self.pos;
            return Err("unexpected right parenthesis ')'".to_owned());
        }
        self.emit(Kind::RightParen);
        self.paren_depth -= 1;
        Ok(())
    }

    /// What follows a left bracket, up to and with its first number.
    fn scan_bracket_head(&mut self) -> Result<(), String> {
        loop {
            self.skip_spaces();
            let Some(c) = self.next() else {
                return Err("unexpected end of input in duration expression".to_owned());
            };
            match c {
                ']' => {
                    self.emit(Kind::RightBracket);
                    self.bracket_open = false;
                    self.got_colon = false;
                    return Ok(());
                }
                ':' => {
                    let problem = if !self.got_duration {
                        "unexpected colon before duration in duration expression"
                    } else if self.got_colon {
                        "unexpected repeated colon in duration expression"
                    } else {
                        self.emit(Kind::Colon);
                        self.got_colon = true;
                        continue;
                    };
                    self.start = self.pos;
                    return Err(problem.to_owned());
                }
                '(' => {
                    self.emit(Kind::LeftParen);
                    self.paren_depth += 1;
                }
                ')' => self.close_paren()?,
                '+' => self.emit(Kind::Op(BinaryOp::Add)),
                '-' => self.emit(Kind::Op(BinaryOp::Sub)),
                '*' => self.emit(Kind::Op(BinaryOp::Mul)),
                '/' => self.emit(Kind::Op(BinaryOp::Div)),
                '%' => self.emit(Kind::Op(BinaryOp::Mod)),
                '^' => self.emit(Kind::Op(BinaryOp::Pow)),
                ',' => self.emit(Kind::Comma),
                c if c.is_ascii_digit()
                    || (c == '.' && self.peek().is_some_and(|d| d.is_ascii_digit())) =>
                {
                    self.pos = self.start;
                    self.got_duration = true;
                    return self.scan_number_or_duration();
                }
                c if is_alpha(c) && self.scan_duration_word(c) => {}
                c => {
                    return Err(format!(
                        "unexpected character in duration expression: {}",
                        gofmt::quote_char(Some(c))
                    ));
                }
            }
        }
    }

    fn scan_duration_word(&mut self, first: char) -> bool {
        if !matches!(first.to_ascii_lowercase(), 's' | 'r' | 'm') {
            return false;
        }
        while self.accept(is_alpha) {}
        match time_word_in_duration(self.text()) {
            Some(word) => {
                self.emit(Kind::Time(word));
                true
            }
            None => false,
        }
    }

    fn scan_in_braces(&mut self) -> Result<(), String> {
        let Some(c) = self.next() else {
            return Err("unexpected end of input inside braces".to_owned());
        };
        match c {
            ',' => self.emit(Kind::Comma),
            '"' | '\'' => self.scan_string(c)?,
            '`' => self.scan_raw_string()?,
            '=' => {
                let kind = if self.accept(|c| c == '~') {
                    Kind::RegexMatch
                } else {
                    Kind::Assign
                };
                self.emit(kind);
            }
            '!' => match self.next() {
                Some('~') => self.emit(Kind::RegexMismatch),
                Some('=') => self.emit(Kind::Op(BinaryOp::Ne)),
                other => {
                    return Err(format!(
                        "unexpected character after '!' inside braces: {}",
                        gofmt::quote_char(other)
                    ));
                }
            },
            '{' => return Err("unexpected left brace '{'".to_owned()),
            '}' => {
                self.emit(Kind::RightBrace);
                self.brace_open = false;
            }
            c if is_alpha(c) => {
                while self.accept(is_alphanumeric) {}
                self.emit(Kind::Identifier);
            }
            c => {
                return Err(format!(
                    "unexpected character inside braces: {}",
                    gofmt::quote_char(Some(c))
                ));
            }
        }
        Ok(())
    }

    fn scan_string(&mut self, quote: char) -> Result<(), String> {
        loop {
            match self.next() {
                Some('\\') => self.scan_escape(quote)?,
                None | Some('\n') => return Err("unterminated quoted string".to_owned()),
                Some('\u{fffd}') => return Err("invalid UTF-8 rune".to_owned()),
                Some(c) if c == quote => break,
                Some(_) => {}
            }
        }
        self.emit(Kind::String);
        Ok(())
    }

    fn scan_escape(&mut self, quote: char) -> Result<(), String> {
        const UNTERMINATED: &str = "escape sequence not terminated";
        let Some(c) = self.next() else {
            return Err(UNTERMINATED.to_owned());
        };
        let (digits, radix, limit, mut value) = match c {
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => return Ok(()),
            c if c == quote => return Ok(()),
            '0'..='7' => (2, 8, 255, c.to_digit(8).unwrap_or(0)),
            'x' => (2, 16, 255, 0),
            'u' => (4, 16, 0x10_ffff, 0),
            'U' => (8, 16, 0x10_ffff, 0),
            c => {
                return Err(format!(
                    "unknown escape sequence {}",
                    gofmt::describe_char(Some(c))
                ));
            }
        };
        for _ in 0..digits {
            let Some(c) = self.next() else {
                return Err(UNTERMINATED.to_owned());
            };
            let Some(digit) = c.to_digit(radix) else {
                return Err(format!(
                    "illegal character {} in escape sequence",
                    gofmt::describe_char(Some(c))
                ));
            };
            value = value.wrapping_mul(radix).wrapping_add(digit);
        }
        if value > limit || (0xd800..0xe000).contains(&value) {
            return Err("escape sequence is an invalid Unicode code point".to_owned());
        }
        Ok(())
    }

    fn scan_raw_string(&mut self) -> Result<(), String> {
        loop {
            match self.next() {
                None => return Err("unterminated raw string".to_owned()),
                Some('\u{fffd}') => return Err("invalid UTF-8 rune".to_owned()),
                Some('`') => break,
                Some(_) => {}
            }
        }
        self.emit(Kind::String);
        Ok(())
    }

    fn scan_number_or_duration(&mut self) -> Result<(), String> {
        if self.scan_number() {
            self.emit(Kind::Number);
            return Ok(());
        }
        if self.scan_rest_of_duration() {
            self.emit(Kind::Duration);
            return Ok(());
        }
        Err(format!(
            "bad number or duration syntax: {}",
            gofmt::quote(self.text())
        ))
    }

    /// Scans digits, dots, exponents and underscores; validity is left to the parser.
    fn scan_number(&mut self) -> bool {
        let begin = self.pos;
        let mut hex = false;
        if self.accept(|c| c == '0') && self.accept(|c| c == 'x' || c == 'X') {
            self.accept(|c| c == '_');
            hex = true;
        }
        let is_digit = move |c: char| {
            if hex {
                c.is_ascii_hexdigit()
            } else {
                c.is_ascii_digit()
            }
        };
        self.accept(|c| c == '.');
        self.accept(is_digit);
        let mut dot_seen = false;
        let mut exponent_seen = false;
        while let Some(c) = self.peek() {
            match c {
                '.' => {
                    if dot_seen {
                        self.next();
                        return false;
                    }
                    self.next();
                    dot_seen = true;
                    if self.accept(|c| c == '_' || c == '.') || hex {
                        return false;
                    }
                }
                'e' | 'E' => {
                    if exponent_seen {
                        self.next();
                        return false;
                    }
                    self.next();
                    exponent_seen = true;
                    self.accept(|c| c == '+' || c == '-');
                    if self.accept(|c| matches!(c, '.' | '_' | 'e' | 'E')) || self.peek().is_none()
                    {
                        return false;
                    }
                }
                '_' => {
                    self.next();
                    if self.accept(|c| matches!(c, '.' | '_' | 'e' | 'E')) || self.peek().is_none()
                    {
                        return false;
                    }
                }
                c if is_digit(c) => while self.accept(is_digit) {},
                _ => break,
            }
        }
        self.pos != begin && !self.peek().is_some_and(is_alphanumeric)
    }

    fn scan_rest_of_duration(&mut self) -> bool {
        if !self.accept(|c| "smhdwy".contains(c)) {
            return false;
        }
        self.accept(|c| c == 's');
        while self.accept(|c| c.is_ascii_digit()) {
            while self.accept(|c| c.is_ascii_digit()) {}
            if !self.accept(|c| "smhdw".contains(c)) {
                return false;
            }
            self.accept(|c| c == 's');
        }
        !self.accept(is_alphanumeric)
    }

    fn scan_word(&mut self) {
        while self.accept(|c| is_alphanumeric(c) || c == ':') {}
        let word = self.text();
        let kind = match keyword(word) {
            // These were metric names before they were modifiers.
            Some(Kind::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight))
                if !self.followed_by_paren() =>
            {
                Kind::Identifier
            }
            Some(kind) => kind,
            None if word.contains(':') => Kind::MetricIdentifier,
            None => Kind::Identifier,
        };
        self.emit(kind);
    }

    fn followed_by_paren(&self) -> bool {
        self.input
            .get(self.pos..)
            .is_some_and(|rest| rest.trim_start_matches(is_space).starts_with('('))
    }
}
