//! What the reference rewrites before it runs. Not for speed: rewriting decides which errors are
//! reached (`x.missing > 1 && false` is false, `filter(a, p)[0]` stops at the first hit) and which
//! allocations count against the budget, so it is part of what a condition means.

use std::collections::BTreeSet;

use super::ast::{BinaryOperator, BuiltinCall, Node, NodeKind, UnaryOperator};
use super::builtin::Builtin;
use super::error::Error;
use super::number::power;
use super::types::{Kind, Type};
use super::value::{Text, Value};

/// Folding stops after this many passes over the tree.
const MAX_FOLDS: usize = 1000;

/// Rewrites a checked tree.
///
/// # Errors
/// `1 % 0` among literals.
pub fn optimize(tree: &mut Node) -> Result<(), Error> {
    walk(tree, &mut in_array);
    for _ in 0..MAX_FOLDS {
        let mut applied = false;
        let mut failure = None;
        walk(tree, &mut |node| match fold(node) {
            Ok(folded) => applied = applied || folded,
            Err(error) => failure = failure.take().or(Some(error)),
        });
        if let Some(error) = failure {
            return Err(error);
        }
        if !applied {
            break;
        }
    }
    walk(tree, &mut in_range);
    // Most conditions call none.
    if !tree.any(&|node| matches!(node.kind, NodeKind::Builtin(_))) {
        return Ok(());
    }
    let passes: [fn(&mut Node); 10] = [
        filter_map,
        filter_len,
        filter_last,
        filter_first,
        combine_predicates,
        sum_range,
        sum_array,
        sum_map,
        count_any,
        count_threshold,
    ];
    for mut pass in passes {
        walk(tree, &mut pass);
    }
    Ok(())
}

/// Children first.
fn walk(node: &mut Node, visit: &mut dyn FnMut(&mut Node)) {
    node.for_each_child_mut(&mut |child| walk(child, visit));
    visit(node);
}

/// Replaces what a node is; place and type stay.
fn replace(node: &mut Node, kind: NodeKind) {
    node.kind = kind;
}

fn replace_typed(node: &mut Node, kind: NodeKind, ty: Type) {
    node.kind = kind;
    node.ty = ty;
}

/// Takes a node out of a tree that is about to be replaced.
fn take(node: &mut Node) -> Node {
    let span = node.span.clone();
    std::mem::replace(node, Node::new(NodeKind::Nil, span))
}

fn integers(nodes: &[Node]) -> Option<BTreeSet<i64>> {
    let integer = |node: &Node| match node.kind {
        NodeKind::Integer(value) => Some(value),
        _ => None,
    };
    nodes.iter().map(integer).collect()
}

fn strings(nodes: &[Node]) -> Option<BTreeSet<Text>> {
    let string = |node: &Node| match &node.kind {
        NodeKind::String(text) => Some(text.clone()),
        _ => None,
    };
    nodes.iter().map(string).collect()
}

/// `x in [1, 2]` looks up a set, which holds only what has exactly the type of its elements.
fn in_array(node: &mut Node) {
    let NodeKind::Binary(BinaryOperator::In, left, right) = &mut node.kind else {
        return;
    };
    let NodeKind::Array(nodes) = &right.kind else {
        return;
    };
    if nodes.is_empty() {
        return;
    }
    let set = match integers(nodes) {
        Some(set) if left.ty.kind() == Kind::Int => Some(NodeKind::IntegerSet(set)),
        _ => strings(nodes).map(NodeKind::StringSet),
    };
    if let Some(set) = set {
        right.kind = set;
    }
}

enum Number {
    Integer(i64),
    Float(f64),
}

fn number(node: &Node) -> Option<Number> {
    match node.kind {
        NodeKind::Integer(value) => Some(Number::Integer(value)),
        NodeKind::Float(value) => Some(Number::Float(value)),
        _ => None,
    }
}

fn literal_bool(node: &Node) -> Option<bool> {
    match node.kind {
        NodeKind::Bool(value) => Some(value),
        _ => None,
    }
}

fn fold(node: &mut Node) -> Result<bool, Error> {
    let literal = match &mut node.kind {
        NodeKind::Unary(operator, operand) => match (operator, &operand.kind) {
            (UnaryOperator::Minus, NodeKind::Integer(i)) => {
                Some(NodeKind::Integer(i.wrapping_neg()))
            }
            (UnaryOperator::Minus, NodeKind::Float(f)) => Some(NodeKind::Float(-f)),
            (UnaryOperator::Plus, NodeKind::Integer(i)) => Some(NodeKind::Integer(*i)),
            (UnaryOperator::Plus, NodeKind::Float(f)) => Some(NodeKind::Float(*f)),
            (UnaryOperator::Bang | UnaryOperator::Not, NodeKind::Bool(b)) => {
                Some(NodeKind::Bool(!b))
            }
            _ => None,
        },
        NodeKind::Binary(operator, left, right) => match operator {
            BinaryOperator::And
            | BinaryOperator::AndAmpersands
            | BinaryOperator::Or
            | BinaryOperator::OrBars => {
                let is_and = matches!(
                    operator,
                    BinaryOperator::And | BinaryOperator::AndAmpersands
                );
                let (a, b) = (literal_bool(left), literal_bool(right));
                // The literal that leaves the other side as it is.
                if a == Some(is_and) {
                    let mut kept = take(right);
                    kept.ty = node.ty.clone();
                    kept.span = node.span.clone();
                    *node = kept;
                    return Ok(true);
                }
                if b == Some(is_and) {
                    let mut kept = take(left);
                    kept.ty = node.ty.clone();
                    kept.span = node.span.clone();
                    *node = kept;
                    return Ok(true);
                }
                (a == Some(!is_and) || b == Some(!is_and)).then_some(NodeKind::Bool(!is_and))
            }
            BinaryOperator::Equal => match (&left.kind, &right.kind) {
                (NodeKind::Integer(a), NodeKind::Integer(b)) => Some(NodeKind::Bool(a == b)),
                (NodeKind::String(a), NodeKind::String(b)) => Some(NodeKind::Bool(a == b)),
                (NodeKind::Bool(a), NodeKind::Bool(b)) => Some(NodeKind::Bool(a == b)),
                _ => None,
            },
            BinaryOperator::Add => match (&left.kind, &right.kind) {
                (NodeKind::String(a), NodeKind::String(b)) => {
                    let joined = [a.as_bytes(), b.as_bytes()].concat();
                    Some(NodeKind::String(Text::from(joined)))
                }
                _ => fold_numbers(*operator, left, right, &node.span)?,
            },
            _ => fold_numbers(*operator, left, right, &node.span)?,
        },
        NodeKind::Array(nodes) if !nodes.is_empty() => {
            let scalar = |node: &Node| match &node.kind {
                NodeKind::Integer(i) => Some(Value::Int(*i)),
                NodeKind::Float(f) => Some(Value::Float(*f)),
                NodeKind::String(text) => Some(Value::String(text.clone())),
                NodeKind::Bool(b) => Some(Value::Bool(*b)),
                _ => None,
            };
            let items: Option<Vec<Value>> = nodes.iter().map(scalar).collect();
            items.map(|items| NodeKind::Constant(Value::array(items)))
        }
        NodeKind::Builtin(call) => return Ok(fold_filters(call)),
        _ => None,
    };
    let Some(kind) = literal else {
        return Ok(false);
    };
    let ty = match &kind {
        NodeKind::Bool(_) => Type::Bool,
        NodeKind::Integer(_) => Type::Int,
        NodeKind::Float(_) => Type::Float,
        NodeKind::String(_) => Type::String,
        NodeKind::Constant(value) => Type::of(value),
        _ => node.ty.clone(),
    };
    replace_typed(node, kind, ty);
    Ok(true)
}

fn fold_numbers(
    operator: BinaryOperator,
    left: &Node,
    right: &Node,
    span: &std::ops::Range<usize>,
) -> Result<Option<NodeKind>, Error> {
    use BinaryOperator as Op;
    let (Some(left), Some(right)) = (number(left), number(right)) else {
        return Ok(None);
    };
    if let (Number::Integer(a), Number::Integer(b)) = (&left, &right) {
        let folded = match operator {
            Op::Add => Some(a.wrapping_add(*b)),
            Op::Subtract => Some(a.wrapping_sub(*b)),
            Op::Multiply => Some(a.wrapping_mul(*b)),
            Op::Modulo if *b == 0 => {
                return Err(Error::compile("integer divide by zero", span));
            }
            Op::Modulo => Some(a.wrapping_rem(*b)),
            _ => None,
        };
        if let Some(folded) = folded {
            return Ok(Some(NodeKind::Integer(folded)));
        }
    }
    let float = |number| match number {
        Number::Integer(i) => i as f64,
        Number::Float(f) => f,
    };
    let (a, b) = (float(left), float(right));
    Ok(match operator {
        Op::Add => Some(a + b),
        Op::Subtract => Some(a - b),
        Op::Multiply => Some(a * b),
        Op::Divide => Some(a / b),
        Op::Power | Op::Caret => Some(power(a, b)),
        _ => None,
    }
    .map(NodeKind::Float))
}

/// `filter(filter(a, p), q)` is `filter(a, p && q)`.
fn fold_filters(call: &mut BuiltinCall) -> bool {
    if call.builtin != Builtin::Filter {
        return false;
    }
    let [collection, outer] = call.arguments.as_mut_slice() else {
        return false;
    };
    let NodeKind::Builtin(inner_call) = &mut collection.kind else {
        return false;
    };
    if inner_call.builtin != Builtin::Filter {
        return false;
    }
    let [inner_collection, inner] = inner_call.arguments.as_mut_slice() else {
        return false;
    };
    if join_predicates(BinaryOperator::AndAmpersands, inner, outer) {
        *collection = take(inner_collection);
        return true;
    }
    false
}

/// Makes `second` the two predicates joined by `operator`.
fn join_predicates(operator: BinaryOperator, first: &mut Node, second: &mut Node) -> bool {
    let (NodeKind::Predicate(a), NodeKind::Predicate(b)) = (&mut first.kind, &mut second.kind)
    else {
        return false;
    };
    let span = b.span.clone();
    let left = Box::new(take(a));
    let right = Box::new(take(b));
    **b = Node::new(NodeKind::Binary(operator, left, right), span);
    true
}

/// `x in 1..3` for an integer is two comparisons.
fn in_range(node: &mut Node) {
    let span = node.span.clone();
    let NodeKind::Binary(BinaryOperator::In, left, right) = &mut node.kind else {
        return;
    };
    if left.ty.kind() != Kind::Int {
        return;
    }
    let NodeKind::Binary(BinaryOperator::Range, from, to) = &mut right.kind else {
        return;
    };
    if !matches!(
        (&from.kind, &to.kind),
        (NodeKind::Integer(_), NodeKind::Integer(_))
    ) {
        return;
    }
    let compare = |operator, left: Node, right: Node| {
        let kind = NodeKind::Binary(operator, Box::new(left), Box::new(right));
        Box::new(Node::new(kind, span.clone()))
    };
    let low = compare(
        BinaryOperator::GreaterOrEqual,
        left.as_ref().clone(),
        take(from),
    );
    let high = compare(BinaryOperator::LessOrEqual, take(left), take(to));
    replace(node, NodeKind::Binary(BinaryOperator::And, low, high));
}

fn as_call(node: &mut Node, builtin: Builtin, arguments: usize) -> Option<&mut BuiltinCall> {
    match &mut node.kind {
        NodeKind::Builtin(call) if call.builtin == builtin && call.arguments.len() == arguments => {
            Some(call)
        }
        _ => None,
    }
}

/// `map(filter(a, p), f)` maps while it filters.
fn filter_map(node: &mut Node) {
    let uses_index = |node: &Node| {
        node.any(&|node| matches!(&node.kind, NodeKind::Pointer(name) if name == "index"))
    };
    let Some(call) = as_call(node, Builtin::Map, 2) else {
        return;
    };
    let [collection, predicate] = call.arguments.as_mut_slice() else {
        return;
    };
    if uses_index(predicate) {
        return;
    }
    let Some(filter) = as_call(collection, Builtin::Filter, 2) else {
        return;
    };
    if filter.map.is_some() {
        return;
    }
    let NodeKind::Predicate(body) = &mut predicate.kind else {
        return;
    };
    let filter = BuiltinCall {
        builtin: Builtin::Filter,
        arguments: std::mem::take(&mut filter.arguments),
        map: Some(Box::new(take(body))),
        throws: false,
        threshold: None,
    };
    replace(node, NodeKind::Builtin(filter));
}

/// `len(filter(a, p))` counts.
fn filter_len(node: &mut Node) {
    let Some(call) = as_call(node, Builtin::Len, 1) else {
        return;
    };
    let filter = call
        .arguments
        .first_mut()
        .and_then(|node| as_call(node, Builtin::Filter, 2));
    if let Some(filter) = filter {
        let count = BuiltinCall {
            builtin: Builtin::Count,
            arguments: std::mem::take(&mut filter.arguments),
            map: None,
            throws: false,
            threshold: None,
        };
        replace(node, NodeKind::Builtin(count));
    }
}

/// `filter(a, p)[-1]` and `last(filter(a, p))` search from the end.
fn filter_last(node: &mut Node) {
    find_instead(node, -1, Builtin::Last, Builtin::FindLast);
}

/// `filter(a, p)[0]` and `first(filter(a, p))` stop at the first hit.
fn filter_first(node: &mut Node) {
    find_instead(node, 0, Builtin::First, Builtin::Find);
}

fn find_instead(node: &mut Node, index: i64, outer: Builtin, find: Builtin) {
    let (filter, throws) = match &mut node.kind {
        NodeKind::Member {
            base,
            property,
            optional: false,
            ..
        } if matches!(property.kind, NodeKind::Integer(i) if i == index) => {
            (as_call(base, Builtin::Filter, 2), true)
        }
        NodeKind::Builtin(call) if call.builtin == outer => match call.arguments.as_mut_slice() {
            [only] => (as_call(only, Builtin::Filter, 2), false),
            _ => (None, false),
        },
        _ => (None, false),
    };
    if let Some(filter) = filter {
        let find = BuiltinCall {
            builtin: find,
            arguments: std::mem::take(&mut filter.arguments),
            map: filter.map.take(),
            throws,
            threshold: None,
        };
        replace(node, NodeKind::Builtin(find));
    }
}

/// `all(a, p) && all(a, q)` is `all(a, p && q)`, and so for `any` with or, `none` with and.
fn combine_predicates(node: &mut Node) {
    use BinaryOperator as Op;
    let NodeKind::Binary(operator, left, right) = &mut node.kind else {
        return;
    };
    let (NodeKind::Builtin(left_call), NodeKind::Builtin(right_call)) =
        (&mut left.kind, &mut right.kind)
    else {
        return;
    };
    let joined = match (left_call.builtin, *operator) {
        (Builtin::All, Op::And | Op::AndAmpersands) | (Builtin::Any, Op::Or | Op::OrBars) => {
            *operator
        }
        (Builtin::NoneOf, Op::And) => Op::Or,
        (Builtin::NoneOf, Op::AndAmpersands) => Op::OrBars,
        _ => return,
    };
    if left_call.builtin != right_call.builtin {
        return;
    }
    let ([collection, first], [other, second]) = (
        left_call.arguments.as_mut_slice(),
        right_call.arguments.as_mut_slice(),
    ) else {
        return;
    };
    let is_same = collection.ty.is_same_go_type(&other.ty) && same(collection, other);
    if !is_same || !join_predicates(joined, first, second) {
        return;
    }
    if let NodeKind::Predicate(body) = &mut second.kind {
        combine_predicates(body);
    }
    let call = BuiltinCall {
        builtin: left_call.builtin,
        arguments: vec![take(collection), take(second)],
        map: None,
        throws: false,
        threshold: None,
    };
    replace(node, NodeKind::Builtin(call));
}

/// Whether two nodes are written alike.
fn same(a: &Node, b: &Node) -> bool {
    use NodeKind as K;
    let alike = match (&a.kind, &b.kind) {
        (K::Nil, K::Nil)
        | (K::Chain(_), K::Chain(_))
        | (K::Predicate(_), K::Predicate(_))
        | (K::Sequence(_), K::Sequence(_))
        | (K::Conditional { .. }, K::Conditional { .. })
        | (K::Array(_), K::Array(_))
        | (K::Map(_), K::Map(_))
        | (K::Sum(_), K::Sum(_))
        | (K::Call { .. }, K::Call { .. }) => true,
        (K::Bool(a), K::Bool(b)) => a == b,
        (K::Integer(a), K::Integer(b)) => a == b,
        (K::Float(a), K::Float(b)) => a.to_bits() == b.to_bits(),
        (K::String(a), K::String(b)) => a == b,
        (K::Identifier(a), K::Identifier(b)) | (K::Pointer(a), K::Pointer(b)) => a == b,
        (K::Unary(a, _), K::Unary(b, _)) => a == b,
        (K::Binary(a, _, _), K::Binary(b, _, _)) => a == b,
        (K::Member { optional: a, .. }, K::Member { optional: b, .. }) => a == b,
        (
            K::Slice {
                from: from_a,
                to: to_a,
                ..
            },
            K::Slice {
                from: from_b,
                to: to_b,
                ..
            },
        ) => from_a.is_some() == from_b.is_some() && to_a.is_some() == to_b.is_some(),
        (K::Builtin(a), K::Builtin(b)) => a.builtin == b.builtin,
        (K::Let { name: a, .. }, K::Let { name: b, .. }) => a == b,
        (K::IntegerSet(a), K::IntegerSet(b)) => a == b,
        (K::StringSet(a), K::StringSet(b)) => a == b,
        (K::Bytes(a) | K::Constant(a), K::Bytes(b) | K::Constant(b)) => {
            format!("{a:?}") == format!("{b:?}")
        }
        _ => false,
    };
    if !alike {
        return false;
    }
    let mut children_a = Vec::new();
    let mut children_b = Vec::new();
    a.for_each_child(&mut |child| children_a.push(child));
    b.for_each_child(&mut |child| children_b.push(child));
    children_a.len() == children_b.len()
        && children_a.iter().zip(children_b).all(|(a, b)| same(a, b))
}

/// `sum` and `reduce` over a written-out range need no loop.
fn sum_range(node: &mut Node) {
    let NodeKind::Builtin(call) = &node.kind else {
        return;
    };
    let Some((collection, rest)) = call.arguments.split_first() else {
        return;
    };
    let NodeKind::Binary(BinaryOperator::Range, from, to) = &collection.kind else {
        return;
    };
    let (NodeKind::Integer(from), NodeKind::Integer(to)) = (&from.kind, &to.kind) else {
        return;
    };
    if to < from {
        return;
    }
    let count = to.wrapping_sub(*from).wrapping_add(1);
    let sum = count.wrapping_mul(from.wrapping_add(*to)) / 2;
    let result = match (call.builtin, rest) {
        (Builtin::Sum, []) => Some(sum),
        (Builtin::Sum, [predicate]) => sum_of_predicate(sum, count, predicate),
        (Builtin::Reduce, [predicate]) if is_plain_sum(predicate) => Some(sum),
        (Builtin::Reduce, [predicate, initial]) if is_plain_sum(predicate) => match initial.kind {
            NodeKind::Integer(initial) => Some(initial.wrapping_add(sum)),
            _ => None,
        },
        _ => None,
    };
    if let Some(result) = result {
        replace_typed(node, NodeKind::Integer(result), Type::Int);
    }
}

/// `# + #acc` or `#acc + #`.
fn is_plain_sum(predicate: &Node) -> bool {
    let NodeKind::Predicate(body) = &predicate.kind else {
        return false;
    };
    let NodeKind::Binary(BinaryOperator::Add, left, right) = &body.kind else {
        return false;
    };
    match (&left.kind, &right.kind) {
        (NodeKind::Pointer(a), NodeKind::Pointer(b)) => {
            matches!((a.as_str(), b.as_str()), ("", "acc") | ("acc", ""))
        }
        _ => false,
    }
}

fn sum_of_predicate(sum: i64, count: i64, predicate: &Node) -> Option<i64> {
    let NodeKind::Predicate(body) = &predicate.kind else {
        return None;
    };
    let is_element = |node: &Node| matches!(&node.kind, NodeKind::Pointer(n) if n.is_empty());
    if is_element(body) {
        return Some(sum);
    }
    let NodeKind::Binary(operator, left, right) = &body.kind else {
        return None;
    };
    let (constant, element_first) = match (&left.kind, &right.kind) {
        (_, NodeKind::Integer(k)) if is_element(left) => (*k, true),
        (NodeKind::Integer(k), _) if is_element(right) => (*k, false),
        _ => return None,
    };
    let all = count.wrapping_mul(constant);
    match operator {
        BinaryOperator::Multiply => Some(constant.wrapping_mul(sum)),
        BinaryOperator::Add => Some(sum.wrapping_add(all)),
        BinaryOperator::Subtract if element_first => Some(sum.wrapping_sub(all)),
        BinaryOperator::Subtract => Some(all.wrapping_sub(sum)),
        _ => None,
    }
}

/// `sum([a, b, c])` is `a + (b + c)`.
fn sum_array(node: &mut Node) {
    let Some(call) = as_call(node, Builtin::Sum, 1) else {
        return;
    };
    let Some(NodeKind::Array(nodes)) = call.arguments.first_mut().map(|node| &mut node.kind) else {
        return;
    };
    if nodes.len() >= 2 {
        let nodes = std::mem::take(nodes);
        replace(node, NodeKind::Sum(nodes));
    }
}

/// `sum(map(a, f))` is `sum(a, f)`.
fn sum_map(node: &mut Node) {
    let Some(call) = as_call(node, Builtin::Sum, 1) else {
        return;
    };
    let map = call
        .arguments
        .first_mut()
        .and_then(|node| as_call(node, Builtin::Map, 2));
    if let Some(map) = map {
        call.arguments = std::mem::take(&mut map.arguments);
    }
}

/// The call of `count` and the number it is compared with.
fn compared_count(node: &mut Node) -> Option<(BinaryOperator, &mut BuiltinCall, i64)> {
    let NodeKind::Binary(operator, left, right) = &mut node.kind else {
        return None;
    };
    let NodeKind::Integer(number) = right.kind else {
        return None;
    };
    let operator = *operator;
    as_call(left, Builtin::Count, 2).map(|call| (operator, call, number))
}

/// `count(a, p) > 0` is `any(a, p)`.
fn count_any(node: &mut Node) {
    if let Some((BinaryOperator::Greater, call, 0) | (BinaryOperator::GreaterOrEqual, call, 1)) =
        compared_count(node)
    {
        let any = BuiltinCall {
            builtin: Builtin::Any,
            arguments: std::mem::take(&mut call.arguments),
            map: None,
            throws: false,
            threshold: None,
        };
        replace(node, NodeKind::Builtin(any));
    }
}

/// A compared `count` stops when the comparison is decided.
fn count_threshold(node: &mut Node) {
    let Some((operator, call, number)) = compared_count(node) else {
        return;
    };
    if number < 0 {
        return;
    }
    let threshold = match operator {
        BinaryOperator::Greater | BinaryOperator::LessOrEqual => number.checked_add(1),
        BinaryOperator::GreaterOrEqual | BinaryOperator::Less => Some(number),
        _ => None,
    };
    call.threshold = threshold.filter(|threshold| *threshold > 1);
}
