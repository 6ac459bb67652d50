//! Tokens to a tree: precedence climbing, the first error wins.

use std::ops::Range;

use super::ast::{BinaryOperator, BuiltinCall, Node, NodeKind, UnaryOperator};
use super::builtin::{Argument, Builtin};
use super::error::Error;
use super::lexer::{Kind, Lexer, Token, is_identifier};
use super::number::{parse_float, parse_int};
use super::types::ArrayKind;
use super::value::{Array, Text, Value};

/// Nodes that a condition may have, as in the reference.
const MAX_NODES: usize = 10_000;
/// Levels of expressions inside of each other, so that parsing cannot exhaust the stack.
const MAX_DEPTH: u16 = 64;
/// Levels of nodes, so that walking the tree cannot; a row of operators is that deep.
const MAX_HEIGHT: u16 = 256;

/// The tree of `source`. `overrides` tells which names the environment takes from the builtins.
///
/// # Errors
/// Text outside of the language, and conditions too large or too deep.
pub fn parse(source: &str, overrides: &dyn Fn(&str) -> bool) -> Result<Node, Error> {
    let mut lexer = Lexer::new(source);
    let current = lexer.next_token()?;
    let mut parser = Parser {
        lexer,
        current,
        stashed: None,
        overrides,
        predicates: 0,
        depth: 0,
        nodes: 0,
    };
    let node = parser.sequence()?;
    if parser.current.kind == Kind::End {
        Ok(node)
    } else {
        Err(parser.unexpected())
    }
}

struct Parser<'s> {
    lexer: Lexer<'s>,
    current: Token,
    stashed: Option<Token>,
    overrides: &'s dyn Fn(&str) -> bool,
    /// Predicates around the current token.
    predicates: u32,
    /// Expressions around the current token.
    depth: u16,
    nodes: usize,
}

impl Parser<'_> {
    fn next(&mut self) -> Result<(), Error> {
        self.current = match self.stashed.take() {
            Some(token) => token,
            None => self.lexer.next_token()?,
        };
        Ok(())
    }

    fn error(&self, message: impl Into<String>) -> Error {
        Error::compile(message, &self.current.span)
    }

    fn unexpected(&self) -> Error {
        self.error(format!("unexpected token {}", self.current.describe()))
    }

    fn is(&self, kind: Kind, text: &str) -> bool {
        self.current.is(kind, text)
    }

    fn expect(&mut self, kind: Kind, text: &str) -> Result<(), Error> {
        if self.is(kind, text) {
            self.next()
        } else {
            Err(self.unexpected())
        }
    }

    fn expect_identifier(&mut self) -> Result<Token, Error> {
        if self.current.kind != Kind::Identifier {
            return Err(self.unexpected());
        }
        let token = self.current.clone();
        self.next()?;
        Ok(token)
    }

    fn count(&mut self, nodes: usize) -> Result<(), Error> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            return Err(self.error("compilation failed: expression exceeds maximum allowed nodes"));
        }
        Ok(())
    }

    fn node(&mut self, kind: NodeKind, span: &Range<usize>) -> Result<Node, Error> {
        self.count(1)?;
        let node = Node::new(kind, span.clone());
        if node.height > MAX_HEIGHT {
            return Err(self.too_deep(MAX_HEIGHT));
        }
        Ok(node)
    }

    fn too_deep(&self, levels: u16) -> Error {
        self.error(format!(
            "compilation failed: expression is nested deeper than {levels} levels"
        ))
    }

    fn sequence(&mut self) -> Result<Node, Error> {
        let first = self.expression(0)?;
        if !self.is(Kind::Operator, ";") {
            return Ok(first);
        }
        let span = first.span.clone();
        let mut nodes = vec![first];
        while self.is(Kind::Operator, ";") {
            self.next()?;
            if self.current.kind == Kind::End {
                break;
            }
            nodes.push(self.expression(0)?);
        }
        if nodes.len() == 1 {
            return Ok(nodes.remove(0));
        }
        self.node(NodeKind::Sequence(nodes), &span)
    }

    /// An expression of operators that bind at least as strongly as `precedence`.
    fn expression(&mut self, precedence: u16) -> Result<Node, Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.too_deep(MAX_DEPTH));
        }
        let node = self.expression_at_depth(precedence)?;
        self.depth -= 1;
        Ok(node)
    }

    fn expression_at_depth(&mut self, precedence: u16) -> Result<Node, Error> {
        if precedence == 0 && self.is(Kind::Operator, "let") {
            return self.declaration();
        }
        if precedence == 0 && self.is(Kind::Operator, "if") {
            return self.conditional_if();
        }
        let mut left = self.primary()?;
        let mut after_coalesce = false;
        while self.current.kind == Kind::Operator {
            let mut operator_token = self.current.clone();
            let negated = operator_token.is(Kind::Operator, "not");
            if negated {
                let not_token = operator_token;
                self.next()?;
                match BinaryOperator::find(self.current.text()) {
                    Some((operator, binding)) if operator.is_negatable() => {
                        if binding < precedence {
                            let operator = std::mem::replace(&mut self.current, not_token);
                            self.stashed = Some(operator);
                            break;
                        }
                    }
                    _ => return Err(self.unexpected()),
                }
                operator_token = self.current.clone();
            }
            let Some((operator, binding)) = BinaryOperator::find(operator_token.text()) else {
                break;
            };
            if binding < precedence {
                break;
            }
            self.next()?;
            if operator == BinaryOperator::Pipe {
                let name = self.expect_identifier()?;
                left = self.call(&name, vec![left], true)?;
                after_coalesce = false;
                continue;
            }
            if after_coalesce && operator != BinaryOperator::Coalesce {
                return Err(Error::compile(
                    format!(
                        "Operator ({}) and coalesce expressions (??) cannot be mixed. Wrap either \
                         by parentheses.",
                        operator.text()
                    ),
                    &operator_token.span,
                ));
            }
            if operator.is_comparison() {
                left = self.comparison(left, operator, operator_token.span, binding)?;
                after_coalesce = false;
                continue;
            }
            let right = if operator.is_right_associative() {
                self.expression(binding)?
            } else {
                self.expression(binding + 1)?
            };
            let span = operator_token.span;
            let kind = NodeKind::Binary(operator, Box::new(left), Box::new(right));
            left = self.node(kind, &span)?;
            if negated {
                left = self.node(NodeKind::Unary(UnaryOperator::Not, Box::new(left)), &span)?;
            }
            after_coalesce = operator == BinaryOperator::Coalesce;
        }
        if precedence == 0 {
            left = self.ternary(left)?;
        }
        Ok(left)
    }

    /// `a < b < c` is `a < b && b < c`.
    fn comparison(
        &mut self,
        left: Node,
        operator: BinaryOperator,
        span: Range<usize>,
        binding: u16,
    ) -> Result<Node, Error> {
        let mut root: Option<Node> = None;
        let (mut left, mut operator, mut span) = (left, operator, span);
        loop {
            let right = self.expression(binding + 1)?;
            let next = BinaryOperator::find(self.current.text())
                .filter(|(op, _)| self.current.kind == Kind::Operator && op.is_comparison());
            let shared = if next.is_some() {
                // The middle is looked at twice; counting it twice bounds what nesting costs.
                self.count(right.count())?;
                Some(right.clone())
            } else {
                None
            };
            let kind = NodeKind::Binary(operator, Box::new(left), Box::new(right));
            let compared = self.node(kind, &span)?;
            let joined = match root.take() {
                None => compared,
                Some(before) => self.node(
                    NodeKind::Binary(
                        BinaryOperator::AndAmpersands,
                        Box::new(before),
                        Box::new(compared),
                    ),
                    &span,
                )?,
            };
            match (next, shared) {
                (Some((next, _)), Some(shared)) => {
                    root = Some(joined);
                    left = shared;
                    operator = next;
                    span = self.current.span.clone();
                    self.next()?;
                }
                _ => return Ok(joined),
            }
        }
    }

    fn declaration(&mut self) -> Result<Node, Error> {
        self.expect(Kind::Operator, "let")?;
        let name = self.expect_identifier()?;
        self.expect(Kind::Operator, "=")?;
        let value = self.expression(0)?;
        self.expect(Kind::Operator, ";")?;
        let body = self.sequence()?;
        self.node(
            NodeKind::Let {
                name: name.text().to_owned(),
                value: Box::new(value),
                body: Box::new(body),
            },
            &name.span,
        )
    }

    fn conditional_if(&mut self) -> Result<Node, Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.too_deep(MAX_DEPTH));
        }
        let span = self.current.span.clone();
        self.next()?;
        let condition = self.expression(0)?;
        let then = self.block()?;
        self.expect(Kind::Operator, "else")?;
        let otherwise = if self.is(Kind::Operator, "if") {
            self.conditional_if()?
        } else {
            self.block()?
        };
        self.depth -= 1;
        self.node(
            NodeKind::Conditional {
                condition: Box::new(condition),
                then: Box::new(then),
                otherwise: Box::new(otherwise),
            },
            &span,
        )
    }

    fn block(&mut self) -> Result<Node, Error> {
        self.expect(Kind::Bracket, "{")?;
        let node = self.sequence()?;
        self.expect(Kind::Bracket, "}")?;
        Ok(node)
    }

    fn ternary(&mut self, condition: Node) -> Result<Node, Error> {
        let mut node = condition;
        while self.is(Kind::Operator, "?") {
            let span = self.current.span.clone();
            self.next()?;
            let then = if self.is(Kind::Operator, ":") {
                self.count(node.count())?;
                node.clone()
            } else {
                self.expression(0)?
            };
            self.expect(Kind::Operator, ":")?;
            let otherwise = self.expression(0)?;
            node = self.node(
                NodeKind::Conditional {
                    condition: Box::new(node),
                    then: Box::new(then),
                    otherwise: Box::new(otherwise),
                },
                &span,
            )?;
        }
        Ok(node)
    }

    fn primary(&mut self) -> Result<Node, Error> {
        let token = self.current.clone();
        if token.kind == Kind::Operator
            && let Some((operator, binding)) = UnaryOperator::find(token.text())
        {
            self.next()?;
            let operand = self.expression(binding)?;
            let node = self.node(NodeKind::Unary(operator, Box::new(operand)), &token.span)?;
            return self.postfix(node);
        }
        if token.is(Kind::Bracket, "(") {
            self.next()?;
            let node = self.sequence()?;
            self.expect(Kind::Bracket, ")")?;
            return self.postfix(node);
        }
        if self.predicates > 0 && (token.is(Kind::Operator, "#") || token.is(Kind::Operator, ".")) {
            let mut name = String::new();
            if token.is(Kind::Operator, "#") {
                self.next()?;
                if self.current.kind == Kind::Identifier {
                    name = self.current.text().to_owned();
                    self.next()?;
                }
            }
            let node = self.node(NodeKind::Pointer(name), &token.span)?;
            return self.postfix(node);
        }
        if token.is(Kind::Operator, "::") {
            self.next()?;
            let name = self.expect_identifier()?;
            let node = self.call(&name, Vec::new(), false)?;
            return self.postfix(node);
        }
        self.secondary()
    }

    fn secondary(&mut self) -> Result<Node, Error> {
        let token = self.current.clone();
        let node = match token.kind {
            Kind::Identifier => {
                self.next()?;
                // Nothing can be selected from these three.
                match token.text() {
                    "true" => return self.node(NodeKind::Bool(true), &token.span),
                    "false" => return self.node(NodeKind::Bool(false), &token.span),
                    "nil" => return self.node(NodeKind::Nil, &token.span),
                    _ if self.is(Kind::Bracket, "(") => self.call(&token, Vec::new(), true)?,
                    name => self.node(NodeKind::Identifier(name.to_owned()), &token.span)?,
                }
            }
            Kind::Number => {
                self.next()?;
                return self.number(&token);
            }
            Kind::String => {
                self.next()?;
                let text = Text::from(token.value.as_slice());
                self.node(NodeKind::String(text), &token.span)?
            }
            Kind::Bytes => {
                self.next()?;
                let bytes = token.value.iter().copied().map(Value::Byte).collect();
                let value = Value::Array(Array::new(ArrayKind::Byte, bytes));
                self.node(NodeKind::Bytes(value), &token.span)?
            }
            Kind::Bracket if token.is(Kind::Bracket, "[") => self.array(&token.span)?,
            Kind::Bracket if token.is(Kind::Bracket, "{") => self.map(&token.span)?,
            Kind::Bracket | Kind::Operator | Kind::End => return Err(self.unexpected()),
        };
        self.postfix(node)
    }

    fn number(&mut self, token: &Token) -> Result<Node, Error> {
        let text = token.text().replace('_', "");
        let lower = text.to_lowercase();
        let integer = |digits: &str, base: u32, what: &str| {
            parse_int(digits, base)
                .map(NodeKind::Integer)
                .map_err(|reason| {
                    format!(
                        "invalid {what} literal: strconv.ParseInt: parsing \"{text}\": {reason}"
                    )
                })
        };
        let kind = if let Some(digits) = lower.strip_prefix("0x") {
            integer(digits, 16, "hex")
        } else if lower.contains(['.', 'e']) {
            parse_float(&text).map(NodeKind::Float).map_err(|reason| {
                format!("invalid float literal: strconv.ParseFloat: parsing \"{text}\": {reason}")
            })
        } else if let Some(digits) = lower.strip_prefix("0b") {
            integer(digits, 2, "binary")
        } else if let Some(digits) = lower.strip_prefix("0o") {
            integer(digits, 8, "octal")
        } else {
            integer(&lower, 10, "integer")
        };
        match kind {
            Ok(kind) => self.node(kind, &token.span),
            Err(message) => Err(Error::compile(message, &token.span)),
        }
    }

    /// A call of `name`; `arguments` holds what a pipe put in front.
    fn call(
        &mut self,
        name: &Token,
        mut arguments: Vec<Node>,
        may_be_overridden: bool,
    ) -> Result<Node, Error> {
        let is_overridden = may_be_overridden && (self.overrides)(name.text());
        let builtin = Builtin::find(name.text()).filter(|_| !is_overridden);
        let Some(builtin) = builtin else {
            let callee = NodeKind::Identifier(name.text().to_owned());
            let callee = Box::new(self.node(callee, &name.span)?);
            let arguments = self.arguments(arguments)?;
            return self.node(NodeKind::Call { callee, arguments }, &name.span);
        };
        match builtin.predicate_arguments() {
            Some((kinds, required)) => {
                self.expect(Kind::Bracket, "(")?;
                let piped = arguments.len();
                let expected = kinds.len() - piped;
                for (i, kind) in kinds.iter().enumerate().skip(piped) {
                    if self.is(Kind::Bracket, ")") {
                        if i >= required {
                            break;
                        }
                        return Err(self.error(format!("expected at least {expected} arguments")));
                    }
                    if i > piped {
                        self.expect(Kind::Operator, ",")?;
                    }
                    arguments.push(match kind {
                        Argument::Expression => self.expression(0)?,
                        Argument::Predicate => self.predicate()?,
                    });
                }
                if self.is(Kind::Operator, ",") {
                    self.next()?;
                }
                self.expect(Kind::Bracket, ")")?;
            }
            None => arguments = self.arguments(arguments)?,
        }
        let call = BuiltinCall {
            builtin,
            arguments,
            map: None,
            throws: false,
            threshold: None,
        };
        self.node(NodeKind::Builtin(call), &name.span)
    }

    fn arguments(&mut self, mut arguments: Vec<Node>) -> Result<Vec<Node>, Error> {
        let piped = arguments.len();
        self.expect(Kind::Bracket, "(")?;
        while !self.is(Kind::Bracket, ")") {
            if arguments.len() > piped {
                self.expect(Kind::Operator, ",")?;
            }
            if self.is(Kind::Bracket, ")") {
                break;
            }
            arguments.push(self.expression(0)?);
        }
        self.expect(Kind::Bracket, ")")?;
        Ok(arguments)
    }

    fn predicate(&mut self) -> Result<Node, Error> {
        let span = self.current.span.clone();
        let with_brackets = self.is(Kind::Bracket, "{");
        if with_brackets {
            self.next()?;
        }
        self.predicates += 1;
        let node = if with_brackets {
            self.sequence()?
        } else {
            let node = self.expression(0)?;
            if self.is(Kind::Operator, ";") {
                return Err(self.error("wrap predicate with brackets { and }"));
            }
            node
        };
        self.predicates -= 1;
        if with_brackets {
            self.expect(Kind::Bracket, "}")?;
        }
        self.node(NodeKind::Predicate(Box::new(node)), &span)
    }

    fn array(&mut self, span: &Range<usize>) -> Result<Node, Error> {
        self.expect(Kind::Bracket, "[")?;
        let mut nodes = Vec::new();
        while !self.is(Kind::Bracket, "]") {
            if !nodes.is_empty() {
                self.expect(Kind::Operator, ",")?;
                if self.is(Kind::Bracket, "]") {
                    break;
                }
            }
            nodes.push(self.expression(0)?);
        }
        self.expect(Kind::Bracket, "]")?;
        self.node(NodeKind::Array(nodes), span)
    }

    fn map(&mut self, span: &Range<usize>) -> Result<Node, Error> {
        self.expect(Kind::Bracket, "{")?;
        let mut pairs = Vec::new();
        while !self.is(Kind::Bracket, "}") {
            if !pairs.is_empty() {
                self.expect(Kind::Operator, ",")?;
                if self.is(Kind::Bracket, "}") {
                    break;
                }
                if self.is(Kind::Operator, ",") {
                    return Err(self.unexpected());
                }
            }
            let key = match self.current.kind {
                Kind::Number | Kind::String | Kind::Identifier => {
                    let text = Text::from(self.current.value.as_slice());
                    let span = self.current.span.clone();
                    let key = self.node(NodeKind::String(text), &span)?;
                    self.next()?;
                    key
                }
                Kind::Bracket if self.is(Kind::Bracket, "(") => self.expression(0)?,
                Kind::Bracket | Kind::Bytes | Kind::Operator | Kind::End => {
                    return Err(self.error(format!(
                        "a map key must be a quoted string, a number, a identifier, or an \
                         expression enclosed in parentheses (unexpected token {})",
                        self.current.describe()
                    )));
                }
            };
            self.expect(Kind::Operator, ":")?;
            let value = self.expression(0)?;
            self.count(1)?;
            pairs.push((key, value));
        }
        self.expect(Kind::Bracket, "}")?;
        self.node(NodeKind::Map(pairs), span)
    }

    /// What is selected from `node`: `.name`, `?.name`, calls of these, `[index]`, `[from:to]`.
    fn postfix(&mut self, node: Node) -> Result<Node, Error> {
        let mut node = node;
        loop {
            let optional = self.is(Kind::Operator, "?.");
            if optional || self.is(Kind::Operator, ".") {
                self.next()?;
                if optional && self.is(Kind::Bracket, "[") {
                    node = self.index(node, true)?;
                } else {
                    node = self.selection(node, optional)?;
                }
            } else if self.is(Kind::Bracket, "[") {
                node = self.index(node, false)?;
            } else {
                return Ok(node);
            }
        }
    }

    fn selection(&mut self, node: Node, optional: bool) -> Result<Node, Error> {
        let name = self.current.clone();
        self.next()?;
        // Operators like `in` are valid names here.
        let is_name = name.kind == Kind::Identifier
            || (name.kind == Kind::Operator && is_identifier(name.text()));
        if !is_name {
            return Err(self.error("expected name"));
        }
        let property = NodeKind::String(Text::from(name.text()));
        let property = Box::new(self.node(property, &name.span)?);
        // A chain goes on to the end of the selections.
        let (base, in_chain) = match node.kind {
            NodeKind::Chain(inner) => (inner, true),
            _ => (Box::new(node), false),
        };
        let method = self.is(Kind::Bracket, "(");
        let member = NodeKind::Member {
            base,
            property,
            optional,
            method,
        };
        let mut node = self.node(member, &name.span)?;
        if method {
            let arguments = self.arguments(Vec::new())?;
            let callee = Box::new(node);
            node = self.node(NodeKind::Call { callee, arguments }, &name.span)?;
        }
        if in_chain || optional {
            node = self.node(NodeKind::Chain(Box::new(node)), &name.span)?;
        }
        Ok(node)
    }

    fn index(&mut self, node: Node, optional: bool) -> Result<Node, Error> {
        let span = self.current.span.clone();
        let base = Box::new(node);
        self.next()?;
        let from = if self.is(Kind::Operator, ":") {
            None
        } else {
            Some(Box::new(self.expression(0)?))
        };
        let node = if self.is(Kind::Operator, ":") {
            self.next()?;
            let to = if self.is(Kind::Bracket, "]") {
                None
            } else {
                Some(Box::new(self.expression(0)?))
            };
            self.node(NodeKind::Slice { base, from, to }, &span)?
        } else if let Some(property) = from {
            let member = NodeKind::Member {
                base,
                property,
                optional,
                method: false,
            };
            let node = self.node(member, &span)?;
            if optional {
                self.node(NodeKind::Chain(Box::new(node)), &span)?
            } else {
                node
            }
        } else {
            return Err(self.unexpected());
        };
        self.expect(Kind::Bracket, "]")?;
        Ok(node)
    }
}
