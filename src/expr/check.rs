//! Static types of a condition. What cannot work is an error even where it would not be reached.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::ast::{BinaryOperator, Node, NodeKind, UnaryOperator};
use super::builtin::Builtin;
use super::check_builtin::validate;
use super::error::Error;
use super::regexp;
use super::types::{ArrayKind, Kind, MapKind, Method, Signature, Type};

/// Names of the environment and their types.
pub type Environment = BTreeMap<String, Type>;

/// Gives every node its type.
///
/// # Errors
/// The first type error, in the order of the source.
pub fn check(tree: &mut Node, environment: &Environment) -> Result<(), Error> {
    let mut checker = Checker {
        environment,
        predicates: Vec::new(),
        variables: Vec::new(),
    };
    checker.visit(tree).map(|_| ())
}

pub(super) struct Checker<'e> {
    environment: &'e Environment,
    predicates: Vec<Scope>,
    variables: Vec<(String, Type)>,
}

struct Scope {
    collection: Type,
    names: &'static [(&'static str, Type)],
}

const INDEX: &[(&str, Type)] = &[("index", Type::Int)];
const INDEX_AND_ACC: &[(&str, Type)] = &[("index", Type::Int), ("acc", Type::Unknown)];

type Checked = Result<Type, Error>;

impl Checker<'_> {
    pub(super) fn visit(&mut self, node: &mut Node) -> Checked {
        let ty = self.type_of(node)?;
        node.ty = ty.clone();
        Ok(ty)
    }

    fn type_of(&mut self, node: &mut Node) -> Checked {
        let span = &node.span;
        match &mut node.kind {
            NodeKind::Nil => Ok(Type::Nil),
            NodeKind::Bool(_) => Ok(Type::Bool),
            NodeKind::Integer(_) | NodeKind::IntegerSet(_) => Ok(Type::Int),
            NodeKind::Float(_) => Ok(Type::Float),
            NodeKind::String(_) | NodeKind::StringSet(_) => Ok(Type::String),
            NodeKind::Bytes(value) | NodeKind::Constant(value) => Ok(Type::of(value)),
            NodeKind::Identifier(name) => self.identifier(name, span),
            NodeKind::Pointer(name) => self.pointer(name, span),
            NodeKind::Unary(operator, operand) => {
                let operator = *operator;
                let ty = self.visit(operand)?;
                unary(operator, &ty, span)
            }
            NodeKind::Binary(operator, left, right) => {
                let operator = *operator;
                let left_type = self.visit(left)?.deref();
                let right_type = self.visit(right)?.deref();
                if operator == BinaryOperator::Matches
                    && let NodeKind::String(pattern) = &right.kind
                {
                    regexp::compile(pattern.as_bytes())
                        .map_err(|message| Error::compile(message, span))?;
                }
                binary(operator, &left_type, &right_type, span)
            }
            NodeKind::Chain(inner) => self.visit(inner),
            NodeKind::Member {
                base,
                property,
                optional,
                method,
            } => {
                let (optional, method) = (*optional, *method);
                self.member(base, property, optional, method, span)
            }
            NodeKind::Slice { base, from, to } => self.slice(base, from, to, span),
            NodeKind::Call { callee, arguments } => self.call(callee, arguments, span),
            NodeKind::Builtin(call) => {
                let builtin = call.builtin;
                self.builtin(builtin, &mut call.arguments, span)
            }
            NodeKind::Predicate(body) => self.visit(body),
            NodeKind::Let { name, value, body } => self.declaration(name, value, body, span),
            NodeKind::Sequence(nodes) | NodeKind::Sum(nodes) => {
                let mut last = Type::Unknown;
                for node in nodes {
                    last = self.visit(node)?;
                }
                Ok(last)
            }
            NodeKind::Conditional {
                condition,
                then,
                otherwise,
            } => self.conditional(condition, then, otherwise),
            NodeKind::Array(nodes) => {
                let mut element = Type::Unknown;
                let mut same = true;
                for (i, node) in nodes.iter_mut().enumerate() {
                    let ty = self.visit(node)?;
                    same = same && (i == 0 || ty.kind() == element.kind());
                    element = ty;
                }
                Ok(if same {
                    Type::array_of(element)
                } else {
                    Type::Array(ArrayKind::Any, None)
                })
            }
            NodeKind::Map(pairs) => {
                for (key, value) in pairs {
                    self.visit(key)?;
                    self.visit(value)?;
                }
                Ok(Type::Map(MapKind::StringAny))
            }
        }
    }

    fn identifier(&self, name: &str, span: &Range<usize>) -> Checked {
        if let Some((_, ty)) = self.variables.iter().rev().find(|(n, _)| n == name) {
            return Ok(ty.clone());
        }
        if name == "$env" {
            return Ok(Type::Unknown);
        }
        self.environment_name(name, true, true, span)
    }

    fn environment_name(
        &self,
        name: &str,
        strict: bool,
        builtins: bool,
        span: &Range<usize>,
    ) -> Checked {
        if let Some(ty) = self.environment.get(name) {
            return Ok(ty.clone());
        }
        match Builtin::find(name) {
            Some(builtin) if builtins => Ok(Type::Function(Arc::new(builtin.signature()))),
            _ if strict => Err(Error::compile(format!("unknown name {name}"), span)),
            _ => Ok(Type::Unknown),
        }
    }

    fn pointer(&self, name: &str, span: &Range<usize>) -> Checked {
        let Some(scope) = self.predicates.last() else {
            return Err(Error::compile(
                "cannot use pointer accessor outside predicate",
                span,
            ));
        };
        if name.is_empty() {
            return Ok(if scope.collection.is_unknown() {
                Type::Unknown
            } else {
                scope.collection.element()
            });
        }
        match scope.names.iter().find(|(known, _)| *known == name) {
            Some((_, ty)) => Ok(ty.clone()),
            None => Err(Error::compile(format!("unknown pointer #{name}"), span)),
        }
    }

    fn member(
        &mut self,
        base: &mut Node,
        property: &mut Node,
        optional: bool,
        method: bool,
        span: &Range<usize>,
    ) -> Checked {
        let name = match &property.kind {
            NodeKind::String(text) => Some(text.to_string_lossy().into_owned()),
            _ => None,
        };
        if matches!(&base.kind, NodeKind::Identifier(id) if id == "$env") {
            return match name {
                Some(name) => self.environment_name(&name, !optional, false, span),
                None => Ok(Type::Unknown),
            };
        }
        let base_type = self.visit(base)?;
        let property_type = self.visit(property)?;
        if base_type.is_unknown() {
            return Ok(Type::Unknown);
        }
        if let Some(name) = &name {
            if base_type == Type::Nil {
                return Err(Error::compile(
                    format!("type nil has no field {name}"),
                    span,
                ));
            }
            if let Some(method) = Method::find(&base_type, name) {
                let signature = method.signature(base_type);
                return Ok(Type::Function(Arc::new(signature)));
            }
        }
        let base_type = base_type.deref();
        match &base_type {
            Type::Map(kind) => {
                let fits = property_type.is_assignable_to(&kind.key())
                    || property_type.deref().is_assignable_to(&kind.key())
                    || property_type.is_unknown();
                if !fits {
                    return Err(Error::compile(
                        format!(
                            "cannot use {} to get an element from {}",
                            property_type.name(),
                            base_type.name()
                        ),
                        &property.span,
                    ));
                }
                return Ok(base_type.element());
            }
            Type::Array(_, _) => {
                let property_type = property_type.deref();
                if !property_type.is_integer() && !property_type.is_unknown() {
                    return Err(Error::compile(
                        format!(
                            "array elements can only be selected using an integer (got {})",
                            property_type.name()
                        ),
                        &property.span,
                    ));
                }
                return Ok(base_type.element());
            }
            Type::Struct(kind) => {
                let field = kind
                    .fields()
                    .iter()
                    .find(|(field, _)| Some(*field) == name.as_deref());
                if let Some((_, field)) = field {
                    return Ok(field.to_type());
                }
            }
            _ => {}
        }
        let base_name = base_type.name();
        Err(Error::compile(
            match name {
                Some(name) if method => format!("type {base_name} has no method {name}"),
                Some(name) => format!("type {base_name} has no field {name}"),
                None => format!("type {base_name}[{}] is undefined", property_type.name()),
            },
            span,
        ))
    }

    fn slice(
        &mut self,
        base: &mut Node,
        from: &mut Option<Box<Node>>,
        to: &mut Option<Box<Node>>,
        span: &Range<usize>,
    ) -> Checked {
        let base_type = self.visit(base)?;
        if base_type.is_unknown() {
            return Ok(Type::Unknown);
        }
        if !base_type.is_string() && !base_type.is_array() {
            return Err(Error::compile(
                format!("cannot slice {}", base_type.name()),
                span,
            ));
        }
        for bound in from.iter_mut().chain(to) {
            let ty = self.visit(bound)?.deref();
            if !ty.is_integer() && !ty.is_unknown() {
                return Err(Error::compile(
                    format!("non-integer slice index {}", ty.name()),
                    &bound.span,
                ));
            }
        }
        Ok(base_type)
    }

    fn call(&mut self, callee: &mut Node, arguments: &mut [Node], span: &Range<usize>) -> Checked {
        if matches!(&callee.kind, NodeKind::Identifier(id) if id == "$env") {
            let name = MapKind::StringAny.name();
            return Err(Error::compile(format!("{name} is not callable"), span));
        }
        let ty = self.visit(callee)?;
        if ty.is_unknown() {
            return Ok(Type::Unknown);
        }
        let name = match &callee.kind {
            NodeKind::Identifier(name) => name.clone(),
            NodeKind::Member { property, .. } => match &property.kind {
                NodeKind::String(name) => name.to_string_lossy().into_owned(),
                _ => "function".to_owned(),
            },
            _ => "function".to_owned(),
        };
        match ty {
            Type::Function(signature) => match signature.builtin {
                Some(builtin) => self.function(builtin, arguments, span),
                None => {
                    let mut types = vec![None; arguments.len()];
                    self.arguments(&name, &signature, arguments, &mut types, span)
                        .map_err(Mismatch::into_error)
                }
            },
            Type::Nil => Err(Error::compile(
                format!("{name} is nil; cannot call nil as function"),
                span,
            )),
            other => Err(Error::compile(
                format!("{} is not callable", other.name()),
                span,
            )),
        }
    }

    fn builtin(
        &mut self,
        builtin: Builtin,
        arguments: &mut [Node],
        span: &Range<usize>,
    ) -> Checked {
        if builtin.predicate_arguments().is_some() {
            return self.predicate_builtin(builtin, arguments);
        }
        if builtin == Builtin::Get {
            return self.get(arguments, span);
        }
        self.function(builtin, arguments, span)
    }

    fn predicate_builtin(&mut self, builtin: Builtin, arguments: &mut [Node]) -> Checked {
        let (collection_node, rest) = match arguments.split_first_mut() {
            Some(split) => split,
            // The parser sees to it that there is one.
            None => return Ok(Type::Unknown),
        };
        let collection = self.visit(collection_node)?.deref();
        if !collection.is_array() && !collection.is_unknown() {
            return Err(Error::compile(
                format!(
                    "builtin {} takes only array (got {})",
                    builtin.name(),
                    collection.name()
                ),
                &collection_node.span,
            ));
        }
        let (predicate_node, rest) = match rest.split_first_mut() {
            Some((predicate, rest)) => (Some(predicate), rest),
            None => (None, &mut [] as &mut [Node]),
        };
        let predicate = match predicate_node {
            None => None,
            Some(node) => {
                let names = match builtin {
                    Builtin::Map => INDEX,
                    Builtin::Reduce => INDEX_AND_ACC,
                    _ => &[],
                };
                self.predicates.push(Scope {
                    collection: collection.clone(),
                    names,
                });
                let ty = self.visit(node)?;
                self.predicates.pop();
                Some((ty, node.span.clone()))
            }
        };
        if let Some(last) = rest.first_mut() {
            let ty = self.visit(last)?;
            if builtin == Builtin::SortBy && !ty.is_string() && !ty.is_unknown() {
                return Err(Error::compile(
                    format!("sortBy order argument must be a string (got {})", ty.name()),
                    &last.span,
                ));
            }
        }
        let element = if collection.is_unknown() {
            Type::Unknown
        } else {
            collection.element()
        };
        let Some((predicate, span)) = predicate else {
            return Ok(match builtin {
                Builtin::Sum => element,
                _ => Type::Int,
            });
        };
        // A predicate that is nil has no result.
        if predicate == Type::Nil {
            return match builtin {
                Builtin::Reduce => Err(Error::compile(
                    "predicate should has two input and one output param",
                    &span,
                )),
                Builtin::Sum => Err(Error::compile(
                    "cannot use func(interface {}) as argument (type func(interface {}) bool) to call \
                     sum ",
                    &span,
                )),
                _ => Err(Error::compile(
                    "predicate should has one input and one output param",
                    &span,
                )),
            };
        }
        let may_be_anything = matches!(
            builtin,
            Builtin::Map | Builtin::Sum | Builtin::GroupBy | Builtin::SortBy | Builtin::Reduce
        );
        if !may_be_anything && predicate != Type::Bool && !predicate.is_unknown() {
            return Err(Error::compile(
                format!(
                    "predicate should return boolean (got {})",
                    predicate.go_type().name()
                ),
                &span,
            ));
        }
        Ok(match builtin {
            Builtin::Filter if collection.is_unknown() => Type::Array(ArrayKind::Any, None),
            Builtin::Filter => Type::array_of(element),
            Builtin::Map => Type::array_of(predicate),
            Builtin::Sum => predicate.go_type(),
            Builtin::Find | Builtin::FindLast => element,
            Builtin::FindIndex | Builtin::FindLastIndex | Builtin::Count => Type::Int,
            Builtin::GroupBy => Type::Map(MapKind::AnyArray),
            Builtin::SortBy => collection,
            Builtin::Reduce => predicate,
            _ => Type::Bool,
        })
    }

    fn get(&mut self, arguments: &mut [Node], span: &Range<usize>) -> Checked {
        let [base_node, key_node] = arguments else {
            let count = arguments.len();
            return Err(Error::compile(
                format!("invalid number of arguments (expected 2, got {count})"),
                span,
            ));
        };
        let base = self.visit(base_node)?;
        let key = self.visit(key_node)?.deref();
        if matches!(&base_node.kind, NodeKind::Identifier(id) if id == "$env") {
            let known = match &key_node.kind {
                NodeKind::String(name) => self.environment.get(name.to_string_lossy().as_ref()),
                _ => None,
            };
            return Ok(known.cloned().unwrap_or(Type::Unknown));
        }
        if base.is_unknown() {
            return Ok(Type::Unknown);
        }
        match &base {
            Type::Array(_, _) if key.is_integer() || key.is_unknown() => Ok(base.element()),
            Type::Array(_, _) => Err(Error::compile(
                format!("non-integer slice index {}", key.name()),
                &key_node.span,
            )),
            Type::Map(kind) if key.is_assignable_to(&kind.key()) || key.is_unknown() => {
                Ok(base.element())
            }
            Type::Map(_) => Err(Error::compile(
                format!(
                    "cannot use {} to get an element from {}",
                    key.name(),
                    base.name()
                ),
                &key_node.span,
            )),
            other => Err(Error::compile(
                format!("type {} does not support indexing", other.name()),
                &base_node.span,
            )),
        }
    }

    /// A call of a builtin without a predicate.
    fn function(
        &mut self,
        builtin: Builtin,
        arguments: &mut [Node],
        span: &Range<usize>,
    ) -> Checked {
        let signatures = builtin.signatures();
        if signatures.is_empty() {
            let mut types = Vec::with_capacity(arguments.len());
            for argument in arguments {
                types.push(self.visit(argument)?);
            }
            return validate(builtin, &types).map_err(|message| Error::compile(message, span));
        }
        let mut last = None;
        let mut types = vec![None; arguments.len()];
        for signature in &signatures {
            match self.arguments(builtin.name(), signature, arguments, &mut types, span) {
                Ok(ty) => return Ok(ty),
                Err(Mismatch::Inside(error)) => return Err(error),
                Err(Mismatch::Signature(error)) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            Error::compile(format!("no matching overload for {}", builtin.name()), span)
        }))
    }

    /// Whether `arguments` fit a signature. `types` remembers what was visited already: a call
    /// is tried against every overload, and calls nest.
    fn arguments(
        &mut self,
        name: &str,
        signature: &Signature,
        arguments: &mut [Node],
        types: &mut [Option<Type>],
        span: &Range<usize>,
    ) -> Result<Type, Mismatch> {
        if signature.results.len() + usize::from(signature.fails) > 2 {
            let message = format!("func {name} returns more then two values");
            return Err(Mismatch::signature(message, span));
        }
        let offset = usize::from(signature.method);
        let params = signature.params.get(offset..).unwrap_or(&[]);
        let last = params.len().saturating_sub(1);
        let problem = if signature.variadic {
            (arguments.len() < last).then_some("not enough")
        } else if arguments.len() > params.len() {
            Some("too many")
        } else if arguments.len() < params.len() {
            Some("not enough")
        } else {
            None
        };
        if let Some(problem) = problem {
            // Errors in the arguments come first.
            for (argument, known) in arguments.iter_mut().zip(types) {
                self.visit_once(argument, known)?;
            }
            let message = format!("{problem} arguments to call {name}");
            return Err(Mismatch::signature(message, span));
        }
        for (i, (argument, known)) in arguments.iter_mut().zip(types).enumerate() {
            let ty = self.visit_once(argument, known)?;
            let param = if signature.variadic && i >= last {
                params.get(last)
            } else {
                params.get(i)
            };
            let Some(param) = param else {
                continue;
            };
            if *param == Type::Float && ty.is_integer() {
                make_floats(argument);
                continue;
            }
            if param.is_integer() && ty.is_integer() && param.kind() != ty.kind() {
                continue;
            }
            if ty == Type::Nil {
                if matches!(param.kind(), Kind::Pointer | Kind::Interface) {
                    continue;
                }
                let param = param.name();
                let message = format!("cannot use nil as argument (type {param}) to call {name}");
                return Err(Mismatch::signature(message, &argument.span));
            }
            let fits = ty.is_assignable_to(param)
                || ty.kind() == Kind::Pointer && ty.deref().is_assignable_to(param)
                || ty.is_unknown();
            if !fits {
                let (ty, param) = (ty.name(), param.name());
                let message = format!("cannot use {ty} as argument (type {param}) to call {name} ");
                return Err(Mismatch::signature(message, &argument.span));
            }
        }
        Ok(signature.result())
    }

    fn visit_once(&mut self, node: &mut Node, known: &mut Option<Type>) -> Result<Type, Mismatch> {
        if let Some(ty) = known {
            return Ok(ty.clone());
        }
        let ty = self.visit(node).map_err(Mismatch::Inside)?;
        *known = Some(ty.clone());
        Ok(ty)
    }

    fn declaration(
        &mut self,
        name: &str,
        value: &mut Node,
        body: &mut Node,
        span: &Range<usize>,
    ) -> Checked {
        let taken = if self.environment.contains_key(name) {
            Some("")
        } else if Builtin::find(name).is_some() {
            Some("builtin ")
        } else if self.variables.iter().any(|(known, _)| known == name) {
            Some("variable ")
        } else {
            None
        };
        if let Some(what) = taken {
            return Err(Error::compile(
                format!("cannot redeclare {what}{name}"),
                span,
            ));
        }
        let value_type = self.visit(value)?;
        self.variables.push((name.to_owned(), value_type));
        let body_type = self.visit(body)?;
        self.variables.pop();
        Ok(body_type)
    }

    fn conditional(
        &mut self,
        condition: &mut Node,
        then: &mut Node,
        otherwise: &mut Node,
    ) -> Checked {
        let ty = self.visit(condition)?.deref();
        if ty != Type::Bool && !ty.is_unknown() {
            return Err(Error::compile(
                format!("non-bool expression (type {}) used as condition", ty.name()),
                &condition.span,
            ));
        }
        let then = self.visit(then)?;
        let otherwise = self.visit(otherwise)?;
        Ok(match (&then, &otherwise) {
            (Type::Nil, _) => otherwise,
            (_, Type::Nil) => then,
            _ if !then.is_assignable_to(&otherwise) => Type::Unknown,
            (Type::Array(_, _), Type::Array(_, _)) => {
                let (a, b) = (then.element(), otherwise.element());
                if a.is_assignable_to(&b) && b.is_assignable_to(&a) {
                    then
                } else {
                    Type::Array(ArrayKind::Any, None)
                }
            }
            _ => then,
        })
    }
}

/// Why a call does not fit a signature.
enum Mismatch {
    /// An argument is wrong in itself: so it is for every signature.
    Inside(Error),
    Signature(Error),
}

impl Mismatch {
    fn signature(message: String, span: &Range<usize>) -> Self {
        Self::Signature(Error::compile(message, span))
    }

    fn into_error(self) -> Error {
        match self {
            Self::Inside(error) | Self::Signature(error) => error,
        }
    }
}

/// Literal integers that are passed as a float become floats.
fn make_floats(node: &mut Node) {
    match &mut node.kind {
        NodeKind::Integer(value) => {
            node.kind = NodeKind::Float(*value as f64);
            node.ty = Type::Float;
        }
        NodeKind::Unary(_, operand) => make_floats(operand),
        NodeKind::Binary(
            BinaryOperator::Add | BinaryOperator::Subtract | BinaryOperator::Multiply,
            left,
            right,
        ) => {
            make_floats(left);
            make_floats(right);
        }
        _ => {}
    }
}

fn unary(operator: UnaryOperator, ty: &Type, span: &Range<usize>) -> Checked {
    let ty = ty.deref();
    match operator {
        UnaryOperator::Bang | UnaryOperator::Not if ty == Type::Bool || ty.is_unknown() => {
            Ok(Type::Bool)
        }
        UnaryOperator::Plus | UnaryOperator::Minus if ty.is_number() => Ok(ty),
        UnaryOperator::Plus | UnaryOperator::Minus if ty.is_unknown() => Ok(Type::Unknown),
        _ => Err(Error::compile(
            format!(
                "invalid operation: {} (mismatched type {})",
                operator.text(),
                ty.name()
            ),
            span,
        )),
    }
}

fn comparable(left: &Type, right: &Type) -> bool {
    left.is_unknown()
        || right.is_unknown()
        || *left == Type::Nil
        || *right == Type::Nil
        || left.is_number() && right.is_number()
        || left.is_array() && right.is_array()
        || left.is_assignable_to(right)
}

/// Whether one side is unknown and the other, if it is known, passes one of the tests.
fn maybe(left: &Type, right: &Type, tests: &[fn(&Type) -> bool]) -> bool {
    let passes = |ty: &Type| tests.iter().any(|test| test(ty));
    match (left.is_unknown(), right.is_unknown()) {
        (true, true) => true,
        (true, false) => passes(right),
        (false, true) => passes(left),
        (false, false) => false,
    }
}

fn is_time(ty: &Type) -> bool {
    *ty == Type::Time
}

fn is_duration(ty: &Type) -> bool {
    *ty == Type::Duration
}

fn is_bool(ty: &Type) -> bool {
    *ty == Type::Bool
}

fn promoted(left: &Type, right: &Type) -> Type {
    if *left == Type::Float || *right == Type::Float {
        Type::Float
    } else {
        Type::Int
    }
}

fn binary(operator: BinaryOperator, l: &Type, r: &Type, span: &Range<usize>) -> Checked {
    use BinaryOperator as Op;
    let both = |test: fn(&Type) -> bool| test(l) && test(r);
    let number: fn(&Type) -> bool = Type::is_number;
    let integer: fn(&Type) -> bool = Type::is_integer;
    let string: fn(&Type) -> bool = Type::is_string;
    let ty = match operator {
        Op::Equal | Op::NotEqual => comparable(l, r).then_some(Type::Bool),
        Op::Or | Op::OrBars | Op::And | Op::AndAmpersands => {
            (both(is_bool) || maybe(l, r, &[is_bool])).then_some(Type::Bool)
        }
        Op::Less | Op::Greater | Op::GreaterOrEqual | Op::LessOrEqual => {
            let tests = [number, string, is_time, is_duration];
            let fits = tests.into_iter().any(both) || maybe(l, r, &tests);
            fits.then_some(Type::Bool)
        }
        Op::Subtract if both(number) => Some(promoted(l, r)),
        Op::Subtract if both(is_time) || both(is_duration) => Some(Type::Duration),
        Op::Subtract if is_time(l) && is_duration(r) => Some(Type::Time),
        Op::Subtract => maybe(l, r, &[number, is_time, is_duration]).then_some(Type::Unknown),
        Op::Multiply if both(number) => Some(promoted(l, r)),
        Op::Multiply
            if both(is_duration) || is_duration(l) && number(r) || number(l) && is_duration(r) =>
        {
            Some(Type::Duration)
        }
        Op::Multiply => maybe(l, r, &[number, is_duration]).then_some(Type::Unknown),
        Op::Divide | Op::Power | Op::Caret => {
            (both(number) || maybe(l, r, &[number])).then_some(Type::Float)
        }
        Op::Modulo => (both(integer) || maybe(l, r, &[integer])).then_some(Type::Int),
        Op::Add if both(number) => Some(promoted(l, r)),
        Op::Add if both(string) => Some(Type::String),
        Op::Add if is_time(l) && is_duration(r) || is_duration(l) && is_time(r) => Some(Type::Time),
        Op::Add if both(is_duration) => Some(Type::Duration),
        Op::Add => maybe(l, r, &[number, string, is_time, is_duration]).then_some(Type::Unknown),
        Op::In => membership(l, r, span)?,
        Op::Matches => {
            let bytes = matches!(l, Type::Array(ArrayKind::Byte, _));
            ((string(l) || bytes) && string(r) || maybe(l, r, &[string])).then_some(Type::Bool)
        }
        Op::Contains | Op::StartsWith | Op::EndsWith => {
            (both(string) || maybe(l, r, &[string])).then_some(Type::Bool)
        }
        Op::Range => (both(integer) || maybe(l, r, &[integer])).then(|| Type::array_of(Type::Int)),
        Op::Coalesce => Some(match (l, r) {
            (Type::Nil, _) => r.clone(),
            (_, Type::Nil) => l.clone(),
            _ if r.is_assignable_to(l) => l.clone(),
            _ => Type::Unknown,
        }),
        // The parser turns pipes into calls.
        Op::Pipe => None,
    };
    ty.ok_or_else(|| {
        Error::compile(
            format!(
                "invalid operation: {} (mismatched types {} and {})",
                operator.text(),
                l.name(),
                r.name()
            ),
            span,
        )
    })
}

fn membership(l: &Type, r: &Type, span: &Range<usize>) -> Result<Option<Type>, Error> {
    if (l.is_string() || l.is_unknown()) && r.kind() == Kind::Struct {
        return Ok(Some(Type::Bool));
    }
    if let Type::Map(kind) = r {
        let key = kind.key();
        if !l.is_unknown() && !l.is_assignable_to(&key) {
            return Err(Error::compile(
                format!("cannot use {} as type {} in map key", l.name(), key.name()),
                span,
            ));
        }
        return Ok(Some(Type::Bool));
    }
    if r.is_array() {
        let element = r.element();
        if !comparable(l, &element) {
            return Err(Error::compile(
                format!(
                    "cannot use {} as type {} in array",
                    l.name(),
                    element.name()
                ),
                span,
            ));
        }
        return Ok(Some(Type::Bool));
    }
    Ok((r.is_unknown() || l.is_unknown() && r.is_string()).then_some(Type::Bool))
}
