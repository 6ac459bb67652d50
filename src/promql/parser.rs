//! A Pratt parser: operators by binding strength, modifiers as postfix operators.
//!
//! The first error of syntax ends the parse; errors of meaning that do not hide the
//! structure (an unknown function, a bad duration) are collected and parsing goes on.

use std::fmt;

use super::ast::{
    Aggregate, AggregateOp, At, Binary, BinaryOp, Call, Cardinality, DurationExpr, DurationKind,
    DurationOp, Expr, ExprKind, Extension, Length, Matching, MatrixSelector, Modifiers,
    NumberLiteral, Span, Subquery, VectorSelector,
};
use super::functions;
use super::labels::{METRIC_NAME, MatchOp, Matcher, is_valid_name};
use super::lexer::{self, Keyword, Kind, TimeWord, Token};
use super::{duration, gofmt, typecheck};

/// Tallest tree that is accepted, mostly long chains of operators; bounds every walk over it.
pub const MAX_HEIGHT: u32 = 120;
/// Deepest nesting of parentheses, calls and signs; bounds the recursion of the parser.
const MAX_NESTING: u32 = 80;

/// One problem of a query text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    pub span: Span,
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: parse error: {}", self.span, self.message)
    }
}

/// The problems of a query text, at least one; printed as the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseErrors(pub Vec<ParseError>);

impl fmt::Display for ParseErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.first().map_or(Ok(()), |error| error.fmt(f))
    }
}

impl std::error::Error for ParseErrors {}

/// Parses and type-checks a query.
///
/// # Errors
/// Every problem found, with spans; the messages are those of Prometheus.
pub fn parse(input: &str) -> Result<Expr, ParseErrors> {
    let lexed = lexer::tokenize(input);
    let mut parser = Parser {
        input,
        tokens: lexed.tokens,
        lexer_error: lexed.error,
        next: 0,
        depth: 0,
        contexts: Vec::new(),
        errors: Vec::new(),
    };
    let parsed = parser.parse_query();
    let mut errors = parser.errors;
    if let (Ok(mut expr), true) = (parsed, errors.is_empty()) {
        let mut report = |span: Span, message: String| {
            errors.push(ParseError { span, message });
        };
        typecheck::check(&mut expr, input, &mut report);
        if errors.is_empty() {
            return Ok(expr);
        }
    }
    Err(ParseErrors(errors))
}

/// The parse cannot go on; the reason is in `Parser::errors`.
struct Abort;

type Parsed<T> = Result<T, Abort>;

/// What an unexpected token is reported to be in, and what was expected there.
#[derive(Clone, Copy)]
struct Context {
    place: &'static str,
    expected: &'static str,
}

const AGGREGATION: Context = Context {
    place: "aggregation",
    expected: "",
};
const LENGTH_EXPECTED: &str = "number, duration, step(), or range()";

struct Parser<'a> {
    input: &'a str,
    tokens: Vec<Token>,
    lexer_error: Option<String>,
    next: usize,
    depth: u32,
    contexts: Vec<Context>,
    errors: Vec<ParseError>,
}

struct BinaryModifiers {
    matching: Matching,
    return_bool: bool,
}

impl Parser<'_> {
    fn peek(&self) -> Token {
        let token = self.tokens.get(self.next).or(self.tokens.last()).copied();
        token.unwrap_or(Token {
            kind: Kind::End,
            span: Span::default(),
        })
    }

    fn peek_second(&self) -> Kind {
        self.tokens
            .get(self.next + 1)
            .map_or(Kind::End, |token| token.kind)
    }

    fn advance(&mut self) -> Token {
        let token = self.peek();
        if self.next + 1 < self.tokens.len() {
            self.next += 1;
        }
        token
    }

    fn accept(&mut self, kind: Kind) -> Option<Token> {
        (self.peek().kind == kind).then(|| self.advance())
    }

    fn text(&self, span: Span) -> &str {
        self.input.get(span.start..span.end).unwrap_or("")
    }

    fn error(&mut self, span: Span, message: impl Into<String>) {
        self.errors.push(ParseError {
            span,
            message: message.into(),
        });
    }

    /// Reports the next token as unexpected in the innermost context.
    fn unexpected(&mut self) -> Abort {
        let context = self.contexts.last().copied().unwrap_or(Context {
            place: "",
            expected: "",
        });
        self.unexpected_in(context.place, context.expected)
    }

    fn unexpected_in(&mut self, place: &str, expected: &str) -> Abort {
        let token = self.peek();
        let message = if token.kind == Kind::Error {
            self.lexer_error.clone().unwrap_or_default()
        } else {
            let mut message = format!("unexpected {}", token.describe(self.input));
            if !place.is_empty() {
                message.push_str(" in ");
                message.push_str(place);
            }
            if !expected.is_empty() {
                message.push_str(", expected ");
                message.push_str(expected);
            }
            message
        };
        self.error(token.span, message);
        Abort
    }

    fn expect(&mut self, kind: Kind) -> Parsed<Token> {
        match self.accept(kind) {
            Some(token) => Ok(token),
            None => Err(self.unexpected()),
        }
    }

    fn within<T>(
        &mut self,
        context: Context,
        parse: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<T> {
        self.contexts.push(context);
        let result = parse(self);
        self.contexts.pop();
        result
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_NESTING {
            let span = self.peek().span;
            self.error(
                span,
                format!("expression is nested deeper than {MAX_NESTING} levels"),
            );
            return Err(Abort);
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    fn node(&mut self, kind: ExprKind, span: Span) -> Parsed<Expr> {
        let mut expr = Expr {
            kind,
            span,
            height: 1,
        };
        expr.height = 1 + expr
            .children()
            .iter()
            .map(|child| child.height)
            .max()
            .unwrap_or(0);
        if expr.height > MAX_HEIGHT {
            self.error(
                span,
                format!("expression is nested deeper than {MAX_HEIGHT} levels"),
            );
            return Err(Abort);
        }
        Ok(expr)
    }

    fn parse_query(&mut self) -> Parsed<Expr> {
        if self.peek().kind == Kind::End {
            let span = if self.input.is_empty() {
                Span::default()
            } else {
                Span::locate(self.input, 0, 0)
            };
            self.error(span, "no expression found in input");
            return Err(Abort);
        }
        let expr = self.parse_expr(0)?;
        self.expect(Kind::End)?;
        Ok(expr)
    }

    fn parse_expr(&mut self, min_precedence: u8) -> Parsed<Expr> {
        self.nested(|parser| {
            let mut lhs = parser.parse_operand()?;
            while let Kind::Op(op) = parser.peek().kind {
                if op.precedence() < min_precedence {
                    break;
                }
                parser.advance();
                let modifiers = parser.parse_binary_modifiers()?;
                let right_associative = op == BinaryOp::Pow;
                let rhs = parser.parse_expr(op.precedence() + u8::from(!right_associative))?;
                let span = lhs.span.to(rhs.span);
                let binary = Binary {
                    op,
                    lhs,
                    rhs,
                    matching: Some(modifiers.matching),
                    return_bool: modifiers.return_bool,
                };
                lhs = parser.node(ExprKind::Binary(Box::new(binary)), span)?;
            }
            Ok(lhs)
        })
    }

    /// A signed or plain operand with its postfix modifiers.
    fn parse_operand(&mut self) -> Parsed<Expr> {
        let token = self.peek();
        if let Kind::Op(op @ (BinaryOp::Add | BinaryOp::Sub)) = token.kind {
            self.advance();
            let negative = op == BinaryOp::Sub;
            let operand = self.parse_expr(BinaryOp::Mul.precedence() + 1)?;
            let span = token.span.to(operand.span);
            let kind = match operand.kind {
                ExprKind::Number(NumberLiteral { value, is_duration }) => {
                    ExprKind::Number(NumberLiteral {
                        value: if negative { -value } else { value },
                        is_duration,
                    })
                }
                kind => ExprKind::Unary {
                    negative,
                    expr: Box::new(Expr { kind, ..operand }),
                },
            };
            return self.node(kind, span);
        }
        let primary = self.parse_primary()?;
        self.parse_postfix(primary)
    }

    fn parse_primary(&mut self) -> Parsed<Expr> {
        let token = self.peek();
        let called = self.peek_second() == Kind::LeftParen;
        match token.kind {
            Kind::Number | Kind::Duration => {
                let number = self.parse_number_literal()?;
                self.node(ExprKind::Number(number), token.span)
            }
            Kind::String => {
                self.advance();
                let text = self.unquote(token);
                self.node(ExprKind::String(text), token.span)
            }
            Kind::LeftParen => {
                self.advance();
                let inner = self.parse_expr(0)?;
                let close = self.expect(Kind::RightParen)?;
                self.node(ExprKind::Paren(Box::new(inner)), token.span.to(close.span))
            }
            Kind::LeftBrace => self.parse_vector_selector(),
            Kind::Identifier | Kind::Time(_) if called => self.parse_call(),
            Kind::Aggregate(op)
                if called
                    || matches!(
                        self.peek_second(),
                        Kind::Keyword(Keyword::By | Keyword::Without)
                    ) =>
            {
                self.parse_aggregate(op)
            }
            Kind::Identifier
            | Kind::MetricIdentifier
            | Kind::Time(_)
            | Kind::Aggregate(_)
            | Kind::Op(BinaryOp::And | BinaryOp::Or | BinaryOp::Unless)
            | Kind::Keyword(
                Keyword::By
                | Keyword::Without
                | Keyword::Offset
                | Keyword::Anchored
                | Keyword::Smoothed
                | Keyword::Fill
                | Keyword::FillLeft
                | Keyword::FillRight,
            ) => self.parse_vector_selector(),
            Kind::End
            | Kind::Error
            | Kind::Comma
            | Kind::Colon
            | Kind::Assign
            | Kind::RegexMatch
            | Kind::RegexMismatch
            | Kind::RightParen
            | Kind::RightBrace
            | Kind::LeftBracket
            | Kind::RightBracket
            | Kind::At
            | Kind::Op(_)
            | Kind::Keyword(
                Keyword::Bool
                | Keyword::On
                | Keyword::Ignoring
                | Keyword::GroupLeft
                | Keyword::GroupRight,
            ) => Err(self.unexpected()),
        }
    }

    fn parse_postfix(&mut self, mut expr: Expr) -> Parsed<Expr> {
        loop {
            match self.peek().kind {
                Kind::LeftBracket => expr = self.parse_range(expr)?,
                Kind::At => self.parse_at(&mut expr)?,
                Kind::Keyword(Keyword::Offset) => self.parse_offset(&mut expr)?,
                Kind::Keyword(Keyword::Anchored) => {
                    let token = self.advance();
                    self.extend(&mut expr, Extension::Anchored, token);
                }
                Kind::Keyword(Keyword::Smoothed) => {
                    let token = self.advance();
                    self.extend(&mut expr, Extension::Smoothed, token);
                }
                _ => return Ok(expr),
            }
        }
    }

    // Literals.

    fn parse_number_literal(&mut self) -> Parsed<NumberLiteral> {
        let token = self.peek();
        let is_duration = match token.kind {
            Kind::Number => false,
            Kind::Duration => true,
            _ => return Err(self.unexpected()),
        };
        self.advance();
        let text = self.text(token.span);
        let parsed = if is_duration {
            duration::parse_millis(text).map(|millis| millis as f64 / 1000.0)
        } else {
            gofmt::parse_number(text).map_err(|error| format!("error parsing number: {error}"))
        };
        let value = parsed.unwrap_or_else(|message| {
            self.error(token.span, message);
            0.0
        });
        Ok(NumberLiteral { value, is_duration })
    }

    fn unquote(&mut self, token: Token) -> String {
        let text = self.text(token.span);
        match gofmt::unquote(text) {
            Some(unquoted) => unquoted,
            None => {
                let message = format!(
                    "error unquoting string {}: invalid syntax",
                    gofmt::quote(text)
                );
                self.error(token.span, message);
                String::new()
            }
        }
    }

    // Selectors.

    fn parse_vector_selector(&mut self) -> Parsed<Expr> {
        let first = self.peek();
        let mut span = first.span;
        let name = if first.kind == Kind::LeftBrace {
            None
        } else {
            self.advance();
            Some(self.text(first.span).to_owned())
        };
        let mut matchers = Vec::new();
        if self.peek().kind == Kind::LeftBrace {
            span = span.to(self.parse_matchers(&mut matchers)?);
        }
        if let Some(name) = &name {
            matchers.push(Matcher::equal(METRIC_NAME, name.clone()));
        }
        let selector = VectorSelector {
            name,
            matchers,
            modifiers: Modifiers::default(),
            extension: Extension::None,
        };
        self.node(ExprKind::Vector(selector), span)
    }

    fn parse_matchers(&mut self, matchers: &mut Vec<Matcher>) -> Parsed<Span> {
        const PLACE: &str = "label matching";
        self.expect(Kind::LeftBrace)?;
        loop {
            if let Some(close) = self.accept(Kind::RightBrace) {
                return Ok(close.span);
            }
            self.parse_matcher(matchers)?;
            if self.accept(Kind::Comma).is_none() && self.peek().kind != Kind::RightBrace {
                return Err(self.unexpected_in(PLACE, "\",\" or \"}\""));
            }
        }
    }

    fn parse_matcher(&mut self, matchers: &mut Vec<Matcher>) -> Parsed<()> {
        const PLACE: &str = "label matching";
        let name_token = self.peek();
        let name = match name_token.kind {
            Kind::Identifier => {
                self.advance();
                self.text(name_token.span).to_owned()
            }
            Kind::String => {
                self.advance();
                self.unquote(name_token)
            }
            _ => return Err(self.unexpected_in(PLACE, "identifier or \"}\"")),
        };
        let op = match self.peek().kind {
            Kind::Assign => MatchOp::Equal,
            Kind::Op(BinaryOp::Ne) => MatchOp::NotEqual,
            Kind::RegexMatch => MatchOp::Regex,
            Kind::RegexMismatch => MatchOp::NotRegex,
            _ if name_token.kind == Kind::String => {
                matchers.push(Matcher::equal(METRIC_NAME, name));
                return Ok(());
            }
            _ => return Err(self.unexpected_in(PLACE, "label matching operator")),
        };
        self.advance();
        let Some(value_token) = self.accept(Kind::String) else {
            return Err(self.unexpected_in(PLACE, "string"));
        };
        let value = self.unquote(value_token);
        match Matcher::new(op, name, value) {
            Ok(matcher) => matchers.push(matcher),
            Err(message) => self.error(name_token.span.to(value_token.span), message),
        }
        Ok(())
    }

    fn parse_range(&mut self, expr: Expr) -> Parsed<Expr> {
        let open = self.expect(Kind::LeftBracket)?;
        let context = Context {
            place: "subquery or range selector",
            expected: LENGTH_EXPECTED,
        };
        let range = self.within(context, Self::parse_positive_length)?;
        if let Some(close) = self.accept(Kind::RightBracket) {
            return self.matrix_selector(expr, range, open.span.to(close.span));
        }
        if self.accept(Kind::Colon).is_none() {
            return Err(self.unexpected_in("subquery or range", "\":\" or \"]\""));
        }
        let step = if self.peek().kind == Kind::RightBracket {
            None
        } else {
            let context = Context {
                place: "subquery selector",
                expected: "number, duration, step(), range(), or \"]\"",
            };
            Some(self.within(context, Self::parse_positive_length)?)
        };
        let Some(close) = self.accept(Kind::RightBracket) else {
            return Err(self.unexpected_in("subquery selector", "\"]\""));
        };
        let span = expr.span.to(close.span);
        let subquery = Subquery {
            expr,
            range,
            step,
            modifiers: Modifiers::default(),
        };
        self.node(ExprKind::Subquery(Box::new(subquery)), span)
    }

    fn matrix_selector(&mut self, expr: Expr, range: Length, brackets: Span) -> Parsed<Expr> {
        let span = expr.span.to(brackets);
        let ExprKind::Vector(selector) = expr.kind else {
            self.error(brackets, "ranges only allowed for vector selectors");
            return Err(Abort);
        };
        if is_set(selector.modifiers.offset.as_ref()) {
            self.error(brackets, "no offset modifiers allowed before range");
        } else if selector.modifiers.at.is_some() {
            self.error(brackets, "no @ modifiers allowed before range");
        }
        let matrix = MatrixSelector {
            selector,
            selector_span: expr.span,
            range,
        };
        self.node(ExprKind::Matrix(matrix), span)
    }

    // Modifiers.

    fn parse_at(&mut self, expr: &mut Expr) -> Parsed<()> {
        const PLACE: &str = "@";
        const EXPECTED: &str = "timestamp";
        self.expect(Kind::At)?;
        let token = self.peek();
        let (at, end) = match token.kind {
            Kind::Time(word @ (TimeWord::Start | TimeWord::End)) => {
                self.advance();
                let close = self.within(
                    Context {
                        place: PLACE,
                        expected: EXPECTED,
                    },
                    |parser| {
                        parser.expect(Kind::LeftParen)?;
                        parser.expect(Kind::RightParen)
                    },
                )?;
                (
                    if word == TimeWord::Start {
                        At::Start
                    } else {
                        At::End
                    },
                    close.span,
                )
            }
            Kind::Number | Kind::Duration | Kind::Op(BinaryOp::Add | BinaryOp::Sub) => {
                let negative = match token.kind {
                    Kind::Op(op) => {
                        self.advance();
                        op == BinaryOp::Sub
                    }
                    _ => false,
                };
                let number_token = self.peek();
                let context = Context {
                    place: PLACE,
                    expected: EXPECTED,
                };
                let number = self.within(context, Self::parse_number_literal)?;
                let seconds = if negative {
                    -number.value
                } else {
                    number.value
                };
                if !seconds.is_finite() || seconds >= i64::MAX as f64 || seconds <= i64::MIN as f64
                {
                    let shown = gofmt::format_f_precision(seconds, 6);
                    self.error(
                        expr.span,
                        format!("timestamp out of bounds for @ modifier: {shown}"),
                    );
                }
                (
                    At::Time((seconds * 1000.0).round() as i64),
                    number_token.span,
                )
            }
            _ => return Err(self.unexpected_in(PLACE, EXPECTED)),
        };
        let span = expr.span;
        match modifiers_of(expr) {
            Some(modifiers) if modifiers.at.is_none() => {
                modifiers.at = Some(at);
                expr.span = span.to(end);
            }
            Some(_) => self.error(span, "@ <timestamp> may not be set multiple times"),
            None => self.error(
                span,
                "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
            ),
        }
        Ok(())
    }

    fn parse_offset(&mut self, expr: &mut Expr) -> Parsed<()> {
        let context = Context {
            place: "offset",
            expected: LENGTH_EXPECTED,
        };
        self.expect(Kind::Keyword(Keyword::Offset))?;
        let value = self.within(context, Self::parse_offset_length)?;
        let end = value.span;
        let offset = to_length(value);
        let span = expr.span;
        match modifiers_of(expr) {
            Some(modifiers) if !is_set(modifiers.offset.as_ref()) => {
                modifiers.offset = Some(offset);
                expr.span = span.to(end);
            }
            Some(_) => self.error(span, "offset may not be set multiple times"),
            None => self.error(
                span,
                "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
            ),
        }
        Ok(())
    }

    fn extend(&mut self, expr: &mut Expr, extension: Extension, token: Token) {
        let word = self.text(token.span).to_ascii_lowercase();
        let span = expr.span;
        let selector = match &mut expr.kind {
            ExprKind::Vector(selector) => selector,
            ExprKind::Matrix(matrix) => &mut matrix.selector,
            ExprKind::Subquery(_) => {
                return self.error(
                    span,
                    format!("{word} modifier is not supported for subqueries"),
                );
            }
            ExprKind::Number(_)
            | ExprKind::String(_)
            | ExprKind::Paren(_)
            | ExprKind::Unary { .. }
            | ExprKind::Binary(_)
            | ExprKind::Call(_)
            | ExprKind::Aggregate(_) => {
                return self.error(span, format!("{word} modifier not implemented"));
            }
        };
        if selector.extension != Extension::None && selector.extension != extension {
            return self.error(
                span,
                "anchored and smoothed modifiers cannot be used together",
            );
        }
        selector.extension = extension;
    }

    // Durations.

    fn parse_positive_length(&mut self) -> Parsed<Length> {
        let value = self.parse_duration_expr(0)?;
        if let DurationKind::Number(number) = value.kind
            && number.value <= 0.0
        {
            self.error(value.span, "duration must be greater than 0");
        }
        Ok(to_length(value))
    }

    /// An offset is one signed term, so that what follows belongs to the expression around it;
    /// only a term that begins with a parenthesis goes on with operators.
    fn parse_offset_length(&mut self) -> Parsed<DurationExpr> {
        let token = self.peek();
        match token.kind {
            Kind::LeftParen => self.parse_duration_expr(0),
            Kind::Op(op @ (BinaryOp::Add | BinaryOp::Sub)) => {
                self.advance();
                let operand = self.parse_duration_primary()?;
                Ok(self.sign_duration(token, op == BinaryOp::Sub, operand))
            }
            _ => self.parse_duration_primary(),
        }
    }

    fn parse_duration_expr(&mut self, min_precedence: u8) -> Parsed<DurationExpr> {
        self.nested(|parser| {
            let mut lhs = parser.parse_duration_operand()?;
            while let Kind::Op(binary_op) = parser.peek().kind {
                let op = match binary_op {
                    BinaryOp::Add => DurationOp::Add,
                    BinaryOp::Sub => DurationOp::Sub,
                    BinaryOp::Mul => DurationOp::Mul,
                    BinaryOp::Div => DurationOp::Div,
                    BinaryOp::Mod => DurationOp::Mod,
                    BinaryOp::Pow => DurationOp::Pow,
                    _ => break,
                };
                if binary_op.precedence() < min_precedence {
                    break;
                }
                let op_token = parser.advance();
                let next_precedence = binary_op.precedence() + u8::from(op != DurationOp::Pow);
                let rhs = parser.parse_duration_expr(next_precedence)?;
                if matches!(rhs.kind, DurationKind::Number(number) if number.value == 0.0) {
                    match op {
                        DurationOp::Div => parser.error(op_token.span, "division by zero"),
                        DurationOp::Mod => parser.error(op_token.span, "modulo by zero"),
                        DurationOp::Add | DurationOp::Sub | DurationOp::Mul | DurationOp::Pow => {}
                    }
                }
                let span = lhs.span.to(rhs.span);
                let height = 1 + lhs.height.max(rhs.height);
                if height > MAX_HEIGHT {
                    parser.error(
                        span,
                        format!("expression is nested deeper than {MAX_HEIGHT} levels"),
                    );
                    return Err(Abort);
                }
                let kind = DurationKind::Binary(op, Box::new(lhs), Box::new(rhs));
                lhs = DurationExpr {
                    kind,
                    span,
                    wrapped: false,
                    height,
                };
            }
            Ok(lhs)
        })
    }

    fn parse_duration_operand(&mut self) -> Parsed<DurationExpr> {
        let token = self.peek();
        if let Kind::Op(op @ (BinaryOp::Add | BinaryOp::Sub)) = token.kind {
            self.advance();
            let operand = self.parse_duration_expr(BinaryOp::Mul.precedence() + 1)?;
            return Ok(self.sign_duration(token, op == BinaryOp::Sub, operand));
        }
        self.parse_duration_primary()
    }

    fn sign_duration(
        &mut self,
        sign: Token,
        negative: bool,
        operand: DurationExpr,
    ) -> DurationExpr {
        let span = sign.span.to(operand.span);
        match operand.kind {
            DurationKind::Number(mut number) => {
                if negative {
                    number.value = -number.value;
                }
                DurationExpr {
                    kind: DurationKind::Number(number),
                    span,
                    ..operand
                }
            }
            _ if !negative => operand,
            _ => {
                let height = operand.height + 1;
                DurationExpr {
                    kind: DurationKind::Minus(Box::new(operand)),
                    span,
                    wrapped: false,
                    height,
                }
            }
        }
    }

    fn parse_duration_primary(&mut self) -> Parsed<DurationExpr> {
        let token = self.peek();
        let leaf = |kind, span| DurationExpr {
            kind,
            span,
            wrapped: false,
            height: 1,
        };
        match token.kind {
            Kind::Number | Kind::Duration => {
                let mut number = self.parse_number_literal()?;
                let limit = 2f64.powi(63) / 1e9;
                if number.value > limit || number.value < -limit {
                    self.error(token.span, "duration out of range");
                    number.value = 0.0;
                }
                Ok(leaf(DurationKind::Number(number), token.span))
            }
            Kind::Time(word @ (TimeWord::Step | TimeWord::Range)) => {
                self.advance();
                self.expect(Kind::LeftParen)?;
                let close = self.expect(Kind::RightParen)?;
                let kind = if word == TimeWord::Step {
                    DurationKind::Step
                } else {
                    DurationKind::Range
                };
                Ok(leaf(kind, token.span.to(close.span)))
            }
            Kind::Time(word @ (TimeWord::MaxOf | TimeWord::MinOf)) => {
                self.advance();
                self.expect(Kind::LeftParen)?;
                let lhs = Box::new(self.parse_duration_expr(0)?);
                self.expect(Kind::Comma)?;
                let rhs = Box::new(self.parse_duration_expr(0)?);
                let close = self.expect(Kind::RightParen)?;
                let height = 1 + lhs.height.max(rhs.height);
                let kind = if word == TimeWord::MaxOf {
                    DurationKind::MaxOf(lhs, rhs)
                } else {
                    DurationKind::MinOf(lhs, rhs)
                };
                Ok(DurationExpr {
                    kind,
                    span: token.span.to(close.span),
                    wrapped: false,
                    height,
                })
            }
            Kind::LeftParen => {
                self.advance();
                let inner = self.parse_duration_expr(0)?;
                let close = self.expect(Kind::RightParen)?;
                let span = token.span.to(close.span);
                let height = inner.height + 1;
                Ok(match inner.kind {
                    DurationKind::Number(_) => DurationExpr {
                        kind: DurationKind::Plus(Box::new(inner)),
                        span,
                        wrapped: true,
                        height,
                    },
                    kind => DurationExpr {
                        kind,
                        span: inner.span,
                        wrapped: true,
                        height: inner.height,
                    },
                })
            }
            _ => Err(self.unexpected()),
        }
    }

    // Calls and aggregations.

    fn parse_call(&mut self) -> Parsed<Expr> {
        let name = self.advance();
        let (args, end) = self.parse_arguments()?;
        let function_name = self.text(name.span).to_owned();
        let Some(function) = functions::lookup(&function_name) else {
            let message = format!(
                "unknown function with name {}",
                gofmt::quote(&function_name)
            );
            self.error(name.span, message);
            // Stands in, so that the rest of the text is still looked at.
            return self.node(
                ExprKind::Paren(Box::new(placeholder(name.span))),
                name.span.to(end),
            );
        };
        self.node(ExprKind::Call(Call { function, args }), name.span.to(end))
    }

    fn parse_arguments(&mut self) -> Parsed<(Vec<Expr>, Span)> {
        self.expect(Kind::LeftParen)?;
        let mut args = Vec::new();
        if let Some(close) = self.accept(Kind::RightParen) {
            return Ok((args, close.span));
        }
        args.push(self.parse_expr(0)?);
        while let Some(comma) = self.accept(Kind::Comma) {
            if matches!(self.peek().kind, Kind::RightParen | Kind::Comma) {
                self.error(
                    comma.span,
                    "trailing commas not allowed in function call args",
                );
            } else {
                args.push(self.parse_expr(0)?);
            }
        }
        Ok((args, self.expect(Kind::RightParen)?.span))
    }

    fn parse_aggregate(&mut self, op: AggregateOp) -> Parsed<Expr> {
        let head = self.advance();
        let (grouping, mut args, end) = self.within(AGGREGATION, |parser| {
            let mut grouping = parser.parse_grouping()?;
            let (args, mut end) = parser.parse_arguments()?;
            if grouping.is_none() {
                grouping = parser.parse_grouping()?;
                if let Some((_, _, grouping_end)) = &grouping {
                    end = *grouping_end;
                }
            }
            Ok((grouping, args, end))
        })?;
        let span = head.span.to(end);
        let expected = if op.has_parameter() { 2 } else { 1 };
        if args.is_empty() {
            self.error(span, "no arguments for aggregate expression provided");
        } else if args.len() != expected {
            let message = format!(
                "wrong number of arguments for aggregate expression provided, expected {expected}, got {}",
                args.len()
            );
            self.error(span, message);
        }
        let expr = args.pop().unwrap_or_else(|| placeholder(span));
        let parameter = op
            .has_parameter()
            .then(|| args.pop().unwrap_or_else(|| placeholder(span)));
        let (without, grouping) = match grouping {
            Some((without, labels, _)) => (without, labels),
            None => (false, Vec::new()),
        };
        let aggregate = Aggregate {
            op,
            expr,
            parameter,
            without,
            grouping,
        };
        self.node(ExprKind::Aggregate(Box::new(aggregate)), span)
    }

    /// `by (...)` or `without (...)`, if one comes next.
    fn parse_grouping(&mut self) -> Parsed<Option<(bool, Vec<String>, Span)>> {
        let without = match self.peek().kind {
            Kind::Keyword(Keyword::By) => false,
            Kind::Keyword(Keyword::Without) => true,
            _ => return Ok(None),
        };
        self.advance();
        let (labels, end) = self.parse_label_list()?;
        Ok(Some((without, labels, end)))
    }

    fn parse_label_list(&mut self) -> Parsed<(Vec<String>, Span)> {
        const PLACE: &str = "grouping opts";
        if self.accept(Kind::LeftParen).is_none() {
            return Err(self.unexpected_in(PLACE, "\"(\""));
        }
        let mut labels = Vec::new();
        loop {
            if let Some(close) = self.accept(Kind::RightParen) {
                return Ok((labels, close.span));
            }
            labels.push(self.parse_grouping_label()?);
            if self.accept(Kind::Comma).is_none() && self.peek().kind != Kind::RightParen {
                return Err(self.unexpected_in(PLACE, "\",\" or \")\""));
            }
        }
    }

    fn parse_grouping_label(&mut self) -> Parsed<String> {
        let token = self.peek();
        let name = match token.kind {
            Kind::Identifier
            | Kind::MetricIdentifier
            | Kind::Aggregate(_)
            | Kind::Keyword(_)
            | Kind::Time(_)
            | Kind::Op(BinaryOp::And | BinaryOp::Or | BinaryOp::Unless | BinaryOp::Atan2) => {
                self.advance();
                self.text(token.span).to_owned()
            }
            Kind::String => {
                self.advance();
                self.unquote(token)
            }
            _ => return Err(self.unexpected_in("grouping opts", "label")),
        };
        if !is_valid_name(&name) {
            self.error(
                token.span,
                format!("invalid label name for grouping: {}", gofmt::quote(&name)),
            );
        }
        Ok(name)
    }

    // Modifiers of binary operators.

    fn parse_binary_modifiers(&mut self) -> Parsed<BinaryModifiers> {
        let return_bool = self.accept(Kind::Keyword(Keyword::Bool)).is_some();
        let mut matching = Matching {
            cardinality: Cardinality::OneToOne,
            on: false,
            labels: Vec::new(),
            include: Vec::new(),
            fill_left: None,
            fill_right: None,
        };
        if let Kind::Keyword(word @ (Keyword::On | Keyword::Ignoring)) = self.peek().kind {
            self.advance();
            matching.on = word == Keyword::On;
            matching.labels = self.parse_label_list()?.0;
            if let Kind::Keyword(word @ (Keyword::GroupLeft | Keyword::GroupRight)) =
                self.peek().kind
            {
                self.advance();
                matching.cardinality = if word == Keyword::GroupLeft {
                    Cardinality::ManyToOne
                } else {
                    Cardinality::OneToMany
                };
                if self.peek().kind == Kind::LeftParen {
                    matching.include = self.parse_label_list()?.0;
                }
            }
        }
        match self.peek().kind {
            Kind::Keyword(Keyword::Fill) => {
                let value = self.parse_fill_value()?;
                matching.fill_left = Some(value);
                matching.fill_right = Some(value);
            }
            Kind::Keyword(Keyword::FillLeft) => {
                matching.fill_left = Some(self.parse_fill_value()?);
                if self.peek().kind == Kind::Keyword(Keyword::FillRight) {
                    matching.fill_right = Some(self.parse_fill_value()?);
                }
            }
            Kind::Keyword(Keyword::FillRight) => {
                matching.fill_right = Some(self.parse_fill_value()?);
                if self.peek().kind == Kind::Keyword(Keyword::FillLeft) {
                    matching.fill_left = Some(self.parse_fill_value()?);
                }
            }
            _ => {}
        }
        Ok(BinaryModifiers {
            matching,
            return_bool,
        })
    }

    fn parse_fill_value(&mut self) -> Parsed<f64> {
        self.advance();
        self.expect(Kind::LeftParen)?;
        let mut sign = 1.0;
        if let Kind::Op(op @ (BinaryOp::Add | BinaryOp::Sub)) = self.peek().kind {
            self.advance();
            if op == BinaryOp::Sub {
                sign = -1.0;
            }
        }
        let number = self.parse_number_literal()?;
        self.expect(Kind::RightParen)?;
        Ok(sign * number.value)
    }
}

/// Whether an offset counts as written; `offset 0` does not.
fn is_set(offset: Option<&Length>) -> bool {
    offset.is_some_and(|offset| *offset != Length::Fixed(0))
}

fn modifiers_of(expr: &mut Expr) -> Option<&mut Modifiers> {
    match &mut expr.kind {
        ExprKind::Vector(selector) => Some(&mut selector.modifiers),
        ExprKind::Matrix(matrix) => Some(&mut matrix.selector.modifiers),
        ExprKind::Subquery(subquery) => Some(&mut subquery.modifiers),
        ExprKind::Number(_)
        | ExprKind::String(_)
        | ExprKind::Paren(_)
        | ExprKind::Unary { .. }
        | ExprKind::Binary(_)
        | ExprKind::Call(_)
        | ExprKind::Aggregate(_) => None,
    }
}

fn to_length(value: DurationExpr) -> Length {
    match value.kind {
        DurationKind::Number(number) => Length::Fixed((number.value * 1e9).round() as i64),
        _ => Length::Computed(value),
    }
}

fn placeholder(span: Span) -> Expr {
    let kind = ExprKind::Number(NumberLiteral {
        value: 0.0,
        is_duration: false,
    });

    Expr {
        kind,
        span,
        height: 1,
    }
}
