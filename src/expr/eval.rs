//! Evaluation of a checked and rewritten tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::bytes::Regex;

use super::ast::{BinaryOperator, BuiltinCall, Node, NodeKind, UnaryOperator};
use super::budget::Budget;
use super::builtin::Builtin;
use super::builtins::{self, elements, new_array, new_map};
use super::error::Error;
use super::methods;
use super::ops::{self, Comparison, Outcome, as_bool, as_text, conversion, to_int};
use super::regexp;
use super::sort::sort;
use super::types::{ArrayKind, EnvironmentFunction, Function, MapKind, Type};
use super::value::{Array, Key, Text, Value};
use crate::time::Timestamp;

/// What a condition can see.
pub struct Inputs<'i> {
    /// The result of the metric and the functions that come with it; nothing in the plain language.
    pub result: Option<&'i Value>,
    /// What `now()` is.
    pub now: Option<Timestamp>,
}

/// The value of `tree`.
///
/// # Errors
/// What cannot be computed, and exhausted budgets.
pub fn eval(tree: &Node, inputs: &Inputs<'_>) -> Result<Value, Error> {
    let mut machine = Machine {
        inputs,
        budget: Budget::default(),
        loops: Vec::new(),
        variables: Vec::new(),
        residue: Vec::new(),
        environment: None,
        patterns: BTreeMap::new(),
    };
    match machine.eval(tree) {
        Ok(value) => Ok(value),
        Err(Stop::Error(error)) => Err(*error),
        // A chain ends inside of the tree.
        Err(Stop::Chain) => Ok(Value::Nil),
    }
}

/// Why evaluation of a node ended without a value.
enum Stop {
    Error(Box<Error>),
    /// `?.` met nil: the chain around it is nil.
    Chain,
}

type Evaluated = Result<Value, Stop>;

struct Machine<'t, 'i> {
    inputs: &'i Inputs<'i>,
    budget: Budget,
    loops: Vec<Loop>,
    variables: Vec<(&'t str, Value)>,
    /// What searching from the end leaves on the reference's stack: a bool for every element
    /// looked at. An operation takes its operands from the top of that stack, so what was computed
    /// before such a search is lost: `1 == findLastIndex(a, p)` compares a bool.
    residue: Vec<Value>,
    /// What `$env` is: the same map wherever it is named.
    environment: Option<Value>,
    patterns: BTreeMap<Text, Regex>,
}

/// A builtin going over elements.
struct Loop {
    items: Arc<Vec<Value>>,
    index: usize,
    accumulator: Value,
}

/// Operands of an operation as they are computed, see [`Machine::residue`].
#[derive(Default)]
struct Operands {
    values: Vec<Value>,
    /// How much residue there was when each value had been computed.
    marks: Vec<usize>,
}

impl Operands {
    fn push(&mut self, value: Value, machine: &Machine<'_, '_>) {
        self.values.push(value);
        self.marks.push(machine.residue.len());
    }

    /// What the operation takes: the values, unless residue came in between.
    fn take_all(self, machine: &mut Machine<'_, '_>) -> Vec<Value> {
        let first = match self.marks.first() {
            Some(first) if *first < machine.residue.len() => *first,
            _ => return self.values,
        };
        let count = self.values.len();
        let mut between = machine.residue.split_off(first).into_iter();
        let mut done = first;
        let mut stack = Vec::new();
        for (value, mark) in self.values.into_iter().zip(self.marks) {
            stack.extend(between.by_ref().take(mark.saturating_sub(done)));
            done = mark;
            stack.push(value);
        }
        let top = stack.split_off(stack.len() - count);
        machine.residue.extend(stack);
        top
    }

    /// Like [`Operands::take_all`] for a fixed number of operands.
    fn take<const N: usize>(self, machine: &mut Machine<'_, '_>) -> [Value; N] {
        let mut values = self.take_all(machine).into_iter();
        std::array::from_fn(|_| values.next().unwrap_or(Value::Nil))
    }
}

/// Two operands, as [`Operands`] without room for more. `mark` is how much residue there was when
/// the first had been computed.
fn pair(machine: &mut Machine<'_, '_>, first: Value, mark: usize, second: Value) -> [Value; 2] {
    let residue = machine.residue.len();
    if residue <= mark {
        return [first, second];
    }
    let operands = Operands {
        values: vec![first, second],
        marks: vec![mark, residue],
    };
    operands.take(machine)
}

fn fail(node: &Node, message: impl Into<String>) -> Stop {
    Stop::Error(Box::new(Error::run(message, &node.span)))
}

/// Attaches the place to an operation's outcome.
fn at<T>(node: &Node, outcome: Result<T, String>) -> Result<T, Stop> {
    outcome.map_err(|message| fail(node, message))
}

fn index_value(index: usize) -> Value {
    Value::Int(i64::try_from(index).unwrap_or(i64::MAX))
}

impl<'t> Machine<'t, '_> {
    fn eval(&mut self, node: &'t Node) -> Evaluated {
        at(node, self.budget.steps(1))?;
        match &node.kind {
            NodeKind::Nil => Ok(Value::Nil),
            NodeKind::Bool(b) => Ok(Value::Bool(*b)),
            NodeKind::Integer(i) => Ok(Value::Int(*i)),
            NodeKind::Float(f) => Ok(Value::Float(*f)),
            NodeKind::String(text) => Ok(Value::String(text.clone())),
            NodeKind::Bytes(value) | NodeKind::Constant(value) => Ok(value.clone()),
            NodeKind::Identifier(name) => Ok(self.identifier(name)),
            NodeKind::Pointer(name) => self.pointer(node, name),
            NodeKind::Unary(operator, operand) => self.unary(node, *operator, operand),
            NodeKind::Binary(operator, left, right) => self.binary(node, *operator, left, right),
            NodeKind::Chain(inner) => match self.eval(inner) {
                Err(Stop::Chain) => Ok(Value::Nil),
                Ok(value) if value.is_nil() => Ok(Value::Nil),
                other => other,
            },
            NodeKind::Member {
                base,
                property,
                optional,
                method: _,
            } => {
                let base = self.eval(base)?;
                if *optional && base.is_nil() {
                    return Err(Stop::Chain);
                }
                let mark = self.residue.len();
                let property = self.eval(property)?.deref();
                let [base, property] = pair(self, base, mark, property);
                at(node, ops::fetch(&base, &property))
            }
            NodeKind::Slice { base, from, to } => self.slice(node, base, from, to),
            NodeKind::Call { callee, arguments } => self.call(node, callee, arguments),
            NodeKind::Builtin(call) => self.builtin(node, call),
            NodeKind::Predicate(body) => self.eval(body),
            NodeKind::Let { name, value, body } => {
                let value = self.eval(value)?;
                self.variables.push((name, value));
                let body = self.eval(body);
                self.variables.pop();
                body
            }
            NodeKind::Sequence(nodes) => {
                let mut last = Value::Nil;
                for node in nodes {
                    last = self.eval(node)?;
                }
                Ok(last)
            }
            NodeKind::Conditional {
                condition,
                then,
                otherwise,
            } => {
                let decided = self.eval(condition)?.deref();
                if at(node, as_bool(&decided))? {
                    self.eval(then)
                } else {
                    self.eval(otherwise)
                }
            }
            NodeKind::Array(nodes) => {
                let mut items = Operands::default();
                for node in nodes {
                    items.push(self.eval(node)?, self);
                }
                let items = items.take_all(self);
                self.array(node, items)
            }
            NodeKind::Map(pairs) => self.map(node, pairs),
            // Sets stand on the right of `in`, which does not evaluate them.
            NodeKind::IntegerSet(_) | NodeKind::StringSet(_) => Ok(Value::Nil),
            NodeKind::Sum(nodes) => {
                let mut items = Operands::default();
                for node in nodes {
                    items.push(self.eval(node)?.deref(), self);
                }
                let mut items = items.take_all(self);
                let mut sum = items.pop().unwrap_or(Value::Int(0));
                while let Some(item) = items.pop() {
                    sum = self.add(node, &item, &sum)?;
                }
                Ok(sum)
            }
        }
    }

    /// A new `[]interface {}`, counted.
    fn array(&mut self, node: &Node, items: Vec<Value>) -> Evaluated {
        at(node, self.budget.elements(items.len()))?;
        at(node, new_array(ArrayKind::Any, items, &self.budget))
    }

    fn map(&mut self, node: &'t Node, pairs: &'t [(Node, Node)]) -> Evaluated {
        let mut evaluated = Operands::default();
        for (key, value) in pairs {
            evaluated.push(self.eval(key)?, self);
            evaluated.push(self.eval(value)?, self);
        }
        at(node, self.budget.elements(pairs.len()))?;
        let mut entries = BTreeMap::new();
        // From the last to the first: of equal keys the first one stays.
        for pair in evaluated.take_all(self).chunks(2).rev() {
            if let [key, value] = pair {
                let key = at(node, as_text(key))?.clone();
                entries.insert(Key::String(key), value.clone());
            }
        }
        at(node, new_map(MapKind::StringAny, entries, &self.budget))
    }

    fn identifier(&mut self, name: &str) -> Value {
        let variable = self
            .variables
            .iter()
            .rev()
            .find(|(known, _)| *known == name);
        if let Some((_, value)) = variable {
            return value.clone();
        }
        if name == "$env" {
            return self.environment();
        }
        let Some(result) = self.inputs.result else {
            return Value::Nil;
        };
        if name == "result" {
            return result.clone();
        }
        // A builtin that is named but not called is nil.
        EnvironmentFunction::ALL
            .into_iter()
            .find(|function| function.name() == name)
            .map_or(Value::Nil, |function| {
                Value::Function(Function::Environment(function))
            })
    }

    fn environment(&mut self) -> Value {
        if let Some(environment) = &self.environment {
            return environment.clone();
        }
        let functions = EnvironmentFunction::ALL.into_iter().map(|function| {
            (
                function.name().to_owned(),
                Value::Function(Function::Environment(function)),
            )
        });
        let environment = match self.inputs.result {
            Some(result) => Value::map(functions.chain([("result".to_owned(), result.clone())])),
            None => Value::map([]),
        };
        self.environment = Some(environment.clone());
        environment
    }

    fn pointer(&self, node: &Node, name: &str) -> Evaluated {
        let Some(frame) = self.loops.last() else {
            return Err(fail(node, "cannot use pointer accessor outside predicate"));
        };
        match name {
            "index" => Ok(index_value(frame.index)),
            "acc" => Ok(frame.accumulator.clone()),
            _ => frame.items.get(frame.index).cloned().ok_or_else(|| {
                fail(
                    node,
                    format!(
                        "runtime error: index out of range [{}] with length {}",
                        frame.index,
                        frame.items.len()
                    ),
                )
            }),
        }
    }

    fn unary(&mut self, node: &Node, operator: UnaryOperator, operand: &'t Node) -> Evaluated {
        let value = self.eval(operand)?.deref();
        match operator {
            UnaryOperator::Bang | UnaryOperator::Not => {
                Ok(Value::Bool(!at(node, as_bool(&value))?))
            }
            UnaryOperator::Plus => Ok(value),
            UnaryOperator::Minus => at(node, ops::negate(&value)),
        }
    }

    fn binary(
        &mut self,
        node: &Node,
        operator: BinaryOperator,
        left_node: &'t Node,
        right_node: &'t Node,
    ) -> Evaluated {
        use BinaryOperator as Op;
        let left = match self.eval(left_node) {
            // The operator takes nil from a chain as it is.
            Err(Stop::Chain) if operator == Op::Coalesce => Value::Nil,
            other => other?.deref(),
        };
        match operator {
            Op::Or | Op::OrBars | Op::And | Op::AndAmpersands => {
                let is_or = matches!(operator, Op::Or | Op::OrBars);
                if at(node, as_bool(&left))? == is_or {
                    return Ok(left);
                }
                // The right side is the value, bool or not.
                return Ok(self.eval(right_node)?.deref());
            }
            Op::Coalesce if !left.is_nil() => return Ok(left),
            Op::Coalesce => return Ok(self.eval(right_node)?.deref()),
            Op::In => match &right_node.kind {
                NodeKind::IntegerSet(set) => {
                    return at(node, ops::in_integers(&left, set)).map(Value::Bool);
                }
                NodeKind::StringSet(set) => {
                    return at(node, ops::in_strings(&left, set)).map(Value::Bool);
                }
                _ => {}
            },
            _ => {}
        }
        let mark = self.residue.len();
        let right = self.eval(right_node)?.deref();
        let [left, right] = pair(self, left, mark, right);
        let compare =
            |comparison| at(node, ops::compare(comparison, &left, &right)).map(Value::Bool);
        match operator {
            Op::Equal | Op::NotEqual => {
                let equal = self.equal(node, (left_node, &left), (right_node, &right))?;
                Ok(Value::Bool(equal == (operator == Op::Equal)))
            }
            Op::Less => compare(Comparison::Less),
            Op::Greater => compare(Comparison::Greater),
            Op::LessOrEqual => compare(Comparison::LessOrEqual),
            Op::GreaterOrEqual => compare(Comparison::GreaterOrEqual),
            Op::In => {
                let mut steps = 0;
                let found = ops::contains(&left, &right, &mut steps);
                at(node, self.budget.steps(steps))?;
                at(node, found).map(Value::Bool)
            }
            Op::Matches => self.matches(node, right_node, &left, &right),
            Op::Contains | Op::StartsWith | Op::EndsWith => {
                if left.is_nil() || right.is_nil() {
                    return Ok(Value::Bool(false));
                }
                let text = at(node, as_text(&left))?.as_bytes();
                let part = at(node, as_text(&right))?.as_bytes();
                at(node, self.budget.text(text.len()))?;
                Ok(Value::Bool(match operator {
                    Op::StartsWith => text.starts_with(part),
                    Op::EndsWith => text.ends_with(part),
                    _ => super::strings::find(text, part).is_some(),
                }))
            }
            Op::Range => self.range(node, &left, &right),
            Op::Add => self.add(node, &left, &right),
            Op::Subtract => at(node, ops::subtract(&left, &right)),
            Op::Multiply => at(node, ops::multiply(&left, &right)),
            Op::Divide => at(node, ops::divide(&left, &right)),
            Op::Modulo => at(node, ops::modulo(&left, &right)),
            Op::Power | Op::Caret => at(node, ops::exponent(&left, &right)),
            Op::Or | Op::OrBars | Op::And | Op::AndAmpersands | Op::Coalesce | Op::Pipe => Err(
                fail(node, format!("unknown operator ({})", operator.text())),
            ),
        }
    }

    /// Where both types are known to be `int` or `string`, the reference insists on them.
    fn equal(
        &mut self,
        node: &Node,
        (left_node, left): (&Node, &Value),
        (right_node, right): (&Node, &Value),
    ) -> Result<bool, Stop> {
        match (&left_node.ty, &right_node.ty) {
            (Type::Int, Type::Int) => match (left, right) {
                (Value::Int(a), Value::Int(b)) => return Ok(a == b),
                (Value::Int(_), other) | (other, _) => {
                    return Err(fail(node, conversion(other, "int")));
                }
            },
            (Type::String, Type::String) => match (left, right) {
                (Value::String(a), Value::String(b)) => return Ok(a == b),
                (Value::String(_), other) | (other, _) => {
                    return Err(fail(node, conversion(other, "string")));
                }
            },
            _ => {}
        }
        let mut steps = 0;
        let equal = ops::equal(left, right, &mut steps);
        at(node, self.budget.steps(steps))?;
        Ok(equal)
    }

    fn add(&mut self, node: &Node, left: &Value, right: &Value) -> Evaluated {
        if let (Value::String(a), Value::String(b)) = (left, right) {
            let length = a.as_bytes().len() + b.as_bytes().len();
            at(node, self.budget.bytes(length))?;
            return Ok(ops::concat(a, b));
        }
        at(node, ops::add(left, right))
    }

    fn range(&mut self, node: &Node, from: &Value, to: &Value) -> Evaluated {
        let from = at(node, to_int(from))?;
        let to = at(node, to_int(to))?;
        let size = to.wrapping_sub(from).wrapping_add(1).max(0);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        at(node, self.budget.elements(size))?;
        at(node, self.budget.items(size))?;
        let items = (from..=to).take(size).map(Value::Int).collect();
        Ok(Value::Array(Array::new(ArrayKind::Int, items)))
    }

    fn matches(
        &mut self,
        node: &Node,
        pattern_node: &Node,
        text: &Value,
        pattern: &Value,
    ) -> Evaluated {
        let is_literal = matches!(pattern_node.kind, NodeKind::String(_));
        if text.is_nil() || pattern.is_nil() && !is_literal {
            return Ok(Value::Bool(false));
        }
        let bytes;
        let haystack = match text {
            Value::String(text) => text.as_bytes(),
            Value::Array(array) if array.kind() == ArrayKind::Byte => {
                bytes = array
                    .items()
                    .iter()
                    .map(|item| match item {
                        Value::Byte(b) => *b,
                        _ => 0,
                    })
                    .collect::<Vec<u8>>();
                &bytes
            }
            other => return Err(fail(node, conversion(other, "[]uint8"))),
        };
        let pattern = at(node, as_text(pattern))?;
        if !self.patterns.contains_key(pattern) {
            // Compiling costs far more than looking at a node.
            let cost = 2_000 + 100 * u64::try_from(pattern.as_bytes().len()).unwrap_or(u64::MAX);
            at(node, self.budget.steps(cost))?;
            let regex = at(node, regexp::compile(pattern.as_bytes()))?;
            self.patterns.insert(pattern.clone(), regex);
        }
        let cost = haystack
            .len()
            .saturating_mul(pattern.as_bytes().len().max(8));
        at(node, self.budget.text(cost))?;
        let found = self
            .patterns
            .get(pattern)
            .is_some_and(|regex| regex.is_match(haystack));
        Ok(Value::Bool(found))
    }

    fn slice(
        &mut self,
        node: &Node,
        base: &'t Node,
        from: &'t Option<Box<Node>>,
        to: &'t Option<Box<Node>>,
    ) -> Evaluated {
        let base = self.eval(base)?;
        let length = match to {
            Some(_) => Value::Nil,
            None => Value::Int(at(node, ops::slice_length(&base))?),
        };
        let mut operands = Operands::default();
        operands.push(base, self);
        let to = match to {
            Some(to) => self.eval(to)?.deref(),
            None => length,
        };
        operands.push(to, self);
        let from = match from {
            Some(from) => self.eval(from)?.deref(),
            None => Value::Int(0),
        };
        operands.push(from, self);
        let [base, to, from] = operands.take(self);
        let slice = at(node, ops::slice(&base, &from, &to))?;
        match &slice {
            Value::Array(array) => at(node, self.budget.cells(array.items().len()))?,
            Value::String(text) => at(node, self.budget.bytes(text.as_bytes().len()))?,
            _ => {}
        }
        Ok(slice)
    }

    fn call(&mut self, node: &Node, callee: &'t Node, arguments: &'t [Node]) -> Evaluated {
        let mut values = Operands::default();
        for argument in arguments {
            let value = self.eval(argument)?;
            // A function that takes anything also takes pointers.
            let is_pointer = matches!(argument.ty, Type::Pointer(_));
            let wants_any = match &callee.ty {
                Type::Function(signature) => signature.params.last() == Some(&Type::Any),
                _ => true,
            };
            let value = if is_pointer && !wants_any {
                value.deref()
            } else {
                value
            };
            values.push(value, self);
        }
        let values = values.take_all(self);
        match self.eval(callee)? {
            Value::Function(function) => {
                let result = self.inputs.result.unwrap_or(&Value::Nil);
                let value = at(node, methods::call(&function, &values, result))?;
                if let Value::String(text) = &value {
                    at(node, self.budget.bytes(text.as_bytes().len()))?;
                }
                Ok(value)
            }
            Value::Nil => Err(fail(node, "invalid operation: cannot call nil")),
            other => Err(fail(
                node,
                format!(
                    "invalid operation: cannot call non-function of type {}",
                    ops::type_name(&other)
                ),
            )),
        }
    }

    fn builtin(&mut self, node: &'t Node, call: &'t BuiltinCall) -> Evaluated {
        if call.builtin.predicate_arguments().is_some() {
            return self.predicate_builtin(node, call);
        }
        let mut values = Operands::default();
        for argument in &call.arguments {
            values.push(self.eval(argument)?.deref(), self);
        }
        let values = values.take_all(self);
        let outcome: Outcome =
            builtins::call(call.builtin, &values, self.inputs.now, &mut self.budget);
        at(node, outcome)
    }

    fn predicate_builtin(&mut self, node: &'t Node, call: &'t BuiltinCall) -> Evaluated {
        let Some(collection) = call.arguments.first() else {
            return Err(fail(node, "missing collection"));
        };
        let collection_value = self.eval(collection)?.deref();
        let items = at(node, elements(&collection_value))?;
        self.loops.push(Loop {
            items: Arc::clone(&items),
            index: 0,
            accumulator: Value::Nil,
        });
        let value = self.run_loop(node, call, &items);
        self.loops.pop();
        value
    }

    /// Moves the innermost loop to an element.
    fn go_to(&mut self, node: &Node, index: usize) -> Result<(), Stop> {
        at(node, self.budget.steps(1))?;
        if let Some(frame) = self.loops.last_mut() {
            frame.index = index;
        }
        Ok(())
    }

    fn set_accumulator(&mut self, value: Value) {
        if let Some(frame) = self.loops.last_mut() {
            frame.accumulator = value;
        }
    }

    fn accumulator(&mut self) -> Value {
        self.loops
            .last_mut()
            .map_or(Value::Nil, |frame| frame.accumulator.clone())
    }

    /// The predicate at the current element, or the element itself if there is none.
    fn test(&mut self, node: &Node, call: &'t BuiltinCall) -> Evaluated {
        match call.arguments.get(1) {
            Some(predicate) => self.eval(predicate),
            None => self.pointer(node, ""),
        }
    }

    fn holds(&mut self, node: &Node, call: &'t BuiltinCall) -> Result<bool, Stop> {
        let value = self.test(node, call)?;
        at(node, as_bool(&value))
    }

    /// What a found element becomes.
    fn mapped(&mut self, node: &Node, call: &'t BuiltinCall) -> Evaluated {
        match &call.map {
            Some(map) => self.eval(map),
            None => self.pointer(node, ""),
        }
    }

    fn run_loop(
        &mut self,
        node: &'t Node,
        call: &'t BuiltinCall,
        items: &Arc<Vec<Value>>,
    ) -> Evaluated {
        let length = items.len();
        match call.builtin {
            Builtin::All | Builtin::NoneOf | Builtin::Any => {
                // What ends the loop, and with which value.
                let (stop, verdict) = match call.builtin {
                    Builtin::All => (false, false),
                    Builtin::NoneOf => (true, false),
                    _ => (true, true),
                };
                for index in 0..length {
                    self.go_to(node, index)?;
                    if self.holds(node, call)? == stop {
                        return Ok(Value::Bool(verdict));
                    }
                }
                Ok(Value::Bool(!verdict))
            }
            Builtin::One | Builtin::Count => {
                let mut count = 0;
                for index in 0..length {
                    self.go_to(node, index)?;
                    if self.holds(node, call)? {
                        count += 1;
                        if call.threshold.is_some_and(|threshold| count >= threshold) {
                            break;
                        }
                    }
                }
                Ok(if call.builtin == Builtin::One {
                    Value::Bool(count == 1)
                } else {
                    Value::Int(count)
                })
            }
            Builtin::Filter => {
                let mut found = Operands::default();
                for index in 0..length {
                    self.go_to(node, index)?;
                    if self.holds(node, call)? {
                        found.push(self.mapped(node, call)?, self);
                    }
                }
                let found = found.take_all(self);
                self.array(node, found)
            }
            Builtin::Map => {
                let mut mapped = Operands::default();
                for index in 0..length {
                    self.go_to(node, index)?;
                    mapped.push(self.test(node, call)?, self);
                }
                let mapped = mapped.take_all(self);
                self.array(node, mapped)
            }
            Builtin::Find | Builtin::FindIndex | Builtin::FindLast | Builtin::FindLastIndex => {
                self.find(node, call, length)
            }
            Builtin::Sum => {
                let mut sum = Value::Int(0);
                for index in 0..length {
                    self.go_to(node, index)?;
                    let item = self.test(node, call)?;
                    sum = self.add(node, &item, &sum)?;
                }
                Ok(sum)
            }
            Builtin::GroupBy => self.group_by(node, call, items),
            Builtin::SortBy => self.sort_by(node, call, items),
            _ => self.reduce(node, call, length),
        }
    }

    fn find(&mut self, node: &Node, call: &'t BuiltinCall, length: usize) -> Evaluated {
        let from_end = matches!(call.builtin, Builtin::FindLast | Builtin::FindLastIndex);
        for step in 0..length {
            let index = if from_end { length - 1 - step } else { step };
            self.go_to(node, index)?;
            if from_end {
                at(node, self.budget.cells(1))?;
                self.residue.push(Value::Bool(true));
            }
            if self.holds(node, call)? {
                return match call.builtin {
                    Builtin::FindIndex | Builtin::FindLastIndex => Ok(index_value(index)),
                    _ => self.mapped(node, call),
                };
            }
        }
        if from_end {
            self.residue.push(Value::Bool(false));
        }
        if call.throws {
            return Err(fail(node, "reflect: slice index out of range"));
        }
        Ok(Value::Nil)
    }

    fn group_by(
        &mut self,
        node: &Node,
        call: &'t BuiltinCall,
        items: &Arc<Vec<Value>>,
    ) -> Evaluated {
        let mut groups: BTreeMap<Key, Vec<Value>> = BTreeMap::new();
        for (index, item) in items.iter().enumerate() {
            self.go_to(node, index)?;
            let value = self.test(node, call)?;
            let key = Key::of(&value, index)
                .ok_or_else(|| format!("hash of unhashable type: {}", ops::type_name(&value)));
            at(node, self.budget.cells(2))?;
            groups.entry(at(node, key)?).or_default().push(item.clone());
        }
        let entries = groups
            .into_iter()
            .map(|(key, group)| (key, Value::array(group)))
            .collect();
        at(node, new_map(MapKind::AnyArray, entries, &self.budget))
    }

    fn sort_by(
        &mut self,
        node: &Node,
        call: &'t BuiltinCall,
        items: &Arc<Vec<Value>>,
    ) -> Evaluated {
        let order = match call.arguments.get(2) {
            Some(order) => self.eval(order)?,
            None => Value::from("asc"),
        };
        let descending = match &order {
            Value::String(order) => match order.as_bytes() {
                b"asc" => false,
                b"desc" => true,
                _ => return Err(fail(node, "unknown order, use asc or desc")),
            },
            _ => return Err(fail(node, "sortBy order argument must be a string")),
        };
        let mut keyed = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            self.go_to(node, index)?;
            keyed.push((self.test(node, call)?, item.clone()));
        }
        let sorted = at(node, sort(keyed, descending, &mut self.budget))?;
        let items = sorted.into_iter().map(|(_, item)| item).collect();
        self.array(node, items)
    }

    fn reduce(&mut self, node: &Node, call: &'t BuiltinCall, length: usize) -> Evaluated {
        let start = match call.arguments.get(2) {
            Some(initial) => {
                let initial = self.eval(initial)?.deref();
                self.set_accumulator(initial);
                0
            }
            None if length == 0 => {
                return Err(fail(node, "reduce of empty array with no initial value"));
            }
            None => {
                let first = self.pointer(node, "")?;
                self.set_accumulator(first);
                1
            }
        };
        for index in start..length {
            self.go_to(node, index)?;
            let value = self.test(node, call)?;
            self.set_accumulator(value);
        }
        Ok(self.accumulator())
    }
}
