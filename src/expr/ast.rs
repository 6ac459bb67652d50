//! The tree of a condition. Every node knows its place in the source.

use std::collections::BTreeSet;
use std::ops::Range;

use super::builtin::Builtin;
use super::types::Type;
use super::value::{Text, Value};

/// A node, its place and, after checking, its static type.
#[derive(Clone, Debug)]
pub struct Node {
    pub kind: NodeKind,
    /// Bytes of the source that errors about this node point at.
    pub span: Range<usize>,
    /// `Unknown` until checked.
    pub ty: Type,
    /// Levels of nodes from here down.
    pub height: u16,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum NodeKind {
    Nil,
    Bool(bool),
    Integer(i64),
    Float(f64),
    String(Text),
    Bytes(Value),
    Identifier(String),
    /// `#`, `#index`, `#acc`; also the hidden one of `.field`.
    Pointer(String),
    Unary(UnaryOperator, Box<Node>),
    Binary(BinaryOperator, Box<Node>, Box<Node>),
    /// Where an `?.` that met nil ends.
    Chain(Box<Node>),
    Member {
        base: Box<Node>,
        property: Box<Node>,
        optional: bool,
        /// Called right away.
        method: bool,
    },
    Slice {
        base: Box<Node>,
        from: Option<Box<Node>>,
        to: Option<Box<Node>>,
    },
    Call {
        callee: Box<Node>,
        arguments: Vec<Node>,
    },
    Builtin(BuiltinCall),
    Predicate(Box<Node>),
    Let {
        name: String,
        value: Box<Node>,
        body: Box<Node>,
    },
    Sequence(Vec<Node>),
    Conditional {
        condition: Box<Node>,
        then: Box<Node>,
        otherwise: Box<Node>,
    },
    Array(Vec<Node>),
    Map(Vec<(Node, Node)>),
    /// An array whose elements were known when compiling.
    Constant(Value),
    /// The right side of `in` over literal integers.
    IntegerSet(BTreeSet<i64>),
    /// The right side of `in` over literal strings.
    StringSet(BTreeSet<Text>),
    /// The sum of written-out elements, added from the right.
    Sum(Vec<Node>),
}

/// A call of a builtin, with what the optimizer made of it.
#[derive(Clone, Debug)]
pub struct BuiltinCall {
    pub builtin: Builtin,
    pub arguments: Vec<Node>,
    /// `filter`, `find`, `findLast`: what to make of an element that was found.
    pub map: Option<Box<Node>>,
    /// `find`, `findLast`: finding nothing is an error.
    pub throws: bool,
    /// `count`: stop counting here.
    pub threshold: Option<i64>,
}

/// Prefix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOperator {
    /// `!`
    Bang,
    /// `not`
    Not,
    Minus,
    Plus,
}

/// Infix operators. `and` and `&&` differ in error texts only, as do `or` and `||`, `**` and `^`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOperator {
    Pipe,
    Or,
    OrBars,
    And,
    AndAmpersands,
    Equal,
    NotEqual,
    Less,
    Greater,
    GreaterOrEqual,
    LessOrEqual,
    In,
    Matches,
    Contains,
    StartsWith,
    EndsWith,
    Range,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Caret,
    Coalesce,
}

impl UnaryOperator {
    /// The operator and how strongly it binds.
    pub fn find(text: &str) -> Option<(Self, u16)> {
        Some(match text {
            "not" => (Self::Not, 50),
            "!" => (Self::Bang, 50),
            "-" => (Self::Minus, 90),
            "+" => (Self::Plus, 90),
            _ => return None,
        })
    }

    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Bang => "!",
            Self::Not => "not",
            Self::Minus => "-",
            Self::Plus => "+",
        }
    }
}

impl BinaryOperator {
    /// The operator and how strongly it binds.
    pub fn find(text: &str) -> Option<(Self, u16)> {
        Some(match text {
            "|" => (Self::Pipe, 0),
            "or" => (Self::Or, 10),
            "||" => (Self::OrBars, 10),
            "and" => (Self::And, 15),
            "&&" => (Self::AndAmpersands, 15),
            "==" => (Self::Equal, 20),
            "!=" => (Self::NotEqual, 20),
            "<" => (Self::Less, 20),
            ">" => (Self::Greater, 20),
            ">=" => (Self::GreaterOrEqual, 20),
            "<=" => (Self::LessOrEqual, 20),
            "in" => (Self::In, 20),
            "matches" => (Self::Matches, 20),
            "contains" => (Self::Contains, 20),
            "startsWith" => (Self::StartsWith, 20),
            "endsWith" => (Self::EndsWith, 20),
            ".." => (Self::Range, 25),
            "+" => (Self::Add, 30),
            "-" => (Self::Subtract, 30),
            "*" => (Self::Multiply, 60),
            "/" => (Self::Divide, 60),
            "%" => (Self::Modulo, 60),
            "**" => (Self::Power, 100),
            "^" => (Self::Caret, 100),
            "??" => (Self::Coalesce, 500),
            _ => return None,
        })
    }

    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Pipe => "|",
            Self::Or => "or",
            Self::OrBars => "||",
            Self::And => "and",
            Self::AndAmpersands => "&&",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::LessOrEqual => "<=",
            Self::In => "in",
            Self::Matches => "matches",
            Self::Contains => "contains",
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Range => "..",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Power => "**",
            Self::Caret => "^",
            Self::Coalesce => "??",
        }
    }

    /// `2 ** 3 ** 2` is `2 ** (3 ** 2)`.
    pub fn is_right_associative(self) -> bool {
        matches!(self, Self::Power | Self::Caret)
    }

    /// Comparisons chain: `1 < x < 3`.
    pub fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Less | Self::Greater | Self::GreaterOrEqual | Self::LessOrEqual
        )
    }

    /// Operators that `not` may stand before.
    pub fn is_negatable(self) -> bool {
        matches!(
            self,
            Self::Contains | Self::Matches | Self::StartsWith | Self::EndsWith | Self::In
        )
    }
}

impl Node {
    /// A node of which the type is not known yet.
    pub fn new(kind: NodeKind, span: Range<usize>) -> Self {
        let mut node = Self {
            kind,
            span,
            ty: Type::Unknown,
            height: 0,
        };
        let mut height = 0;
        node.for_each_child(&mut |child| height = height.max(child.height));
        node.height = height.saturating_add(1);
        node
    }

    /// How many nodes there are from here down.
    pub fn count(&self) -> usize {
        let mut count = 1usize;
        self.for_each_child(&mut |child| count = count.saturating_add(child.count()));
        count
    }

    /// Whether `test` holds for this node or one below.
    pub fn any(&self, test: &dyn Fn(&Node) -> bool) -> bool {
        let mut found = test(self);
        self.for_each_child(&mut |child| found = found || child.any(test));
        found
    }

    /// Calls `f` for the nodes directly below, in the order of the source.
    pub fn for_each_child<'n>(&'n self, f: &mut dyn FnMut(&'n Node)) {
        match &self.kind {
            NodeKind::Nil
            | NodeKind::Bool(_)
            | NodeKind::Integer(_)
            | NodeKind::Float(_)
            | NodeKind::String(_)
            | NodeKind::Bytes(_)
            | NodeKind::Identifier(_)
            | NodeKind::Pointer(_)
            | NodeKind::Constant(_)
            | NodeKind::IntegerSet(_)
            | NodeKind::StringSet(_) => {}
            NodeKind::Unary(_, node) | NodeKind::Chain(node) | NodeKind::Predicate(node) => f(node),
            NodeKind::Binary(_, left, right) => {
                f(left);
                f(right);
            }
            NodeKind::Member { base, property, .. } => {
                f(base);
                f(property);
            }
            NodeKind::Slice { base, from, to } => {
                f(base);
                from.iter().chain(to).for_each(|node| f(node));
            }
            NodeKind::Call { callee, arguments } => {
                f(callee);
                arguments.iter().for_each(f);
            }
            NodeKind::Builtin(call) => {
                call.arguments.iter().for_each(&mut *f);
                call.map.iter().for_each(|node| f(node));
            }
            NodeKind::Let { value, body, .. } => {
                f(value);
                f(body);
            }
            NodeKind::Sequence(nodes) | NodeKind::Array(nodes) | NodeKind::Sum(nodes) => {
                nodes.iter().for_each(f);
            }
            NodeKind::Conditional {
                condition,
                then,
                otherwise,
            } => {
                f(condition);
                f(then);
                f(otherwise);
            }
            NodeKind::Map(pairs) => pairs.iter().for_each(|(key, value)| {
                f(key);
                f(value);
            }),
        }
    }

    /// Like [`Node::for_each_child`], to change them. What the optimizer moved into
    /// [`BuiltinCall::map`] is left alone: it has been optimized where it was.
    pub fn for_each_child_mut(&mut self, f: &mut dyn FnMut(&mut Node)) {
        match &mut self.kind {
            NodeKind::Nil
            | NodeKind::Bool(_)
            | NodeKind::Integer(_)
            | NodeKind::Float(_)
            | NodeKind::String(_)
            | NodeKind::Bytes(_)
            | NodeKind::Identifier(_)
            | NodeKind::Pointer(_)
            | NodeKind::Constant(_)
            | NodeKind::IntegerSet(_)
            | NodeKind::StringSet(_) => {}
            NodeKind::Unary(_, node) | NodeKind::Chain(node) | NodeKind::Predicate(node) => f(node),
            NodeKind::Binary(_, left, right) => {
                f(left);
                f(right);
            }
            NodeKind::Member { base, property, .. } => {
                f(base);
                f(property);
            }
            NodeKind::Slice { base, from, to } => {
                f(base);
                from.iter_mut().chain(to).for_each(|node| f(node));
            }
            NodeKind::Call { callee, arguments } => {
                f(callee);
                arguments.iter_mut().for_each(f);
            }
            NodeKind::Builtin(call) => call.arguments.iter_mut().for_each(f),
            NodeKind::Let { value, body, .. } => {
                f(value);
                f(body);
            }
            NodeKind::Sequence(nodes) | NodeKind::Array(nodes) | NodeKind::Sum(nodes) => {
                nodes.iter_mut().for_each(f);
            }
            NodeKind::Conditional {
                condition,
                then,
                otherwise,
            } => {
                f(condition);
                f(then);
                f(otherwise);
            }
            NodeKind::Map(pairs) => pairs.iter_mut().for_each(|(key, value)| {
                f(key);
                f(value);
            }),
        }
    }
}
