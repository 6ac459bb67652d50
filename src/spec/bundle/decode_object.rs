//! From an object's JSON to its type; type errors become problems at the place of the value.

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::Value as Json;
use serde_path_to_error::Segment;

use super::{Object, ROLLOUTS_GROUP, ROLLOUTS_VERSION, Typed};
use crate::source::{Problem, Span};
use crate::spec::decode::{DecodeError, decode_ref as decode_json};
use crate::spec::decode_node::decode_node;
use crate::spec::yaml::{Node, Step, Value, path};

/// The code of type errors.
pub const TYPE_CODE: &str = "object-type";

/// Type errors that are looked for in one object.
const ERRORS_MAX: usize = 20;

/// Whether a kind is one of Argo Rollouts.
pub fn is_rollouts_kind(kind: &str) -> bool {
    matches!(
        kind,
        "Rollout" | "AnalysisTemplate" | "ClusterAnalysisTemplate" | "AnalysisRun" | "Experiment"
    )
}

/// Types an object by its `apiVersion` and kind.
pub(super) fn decode(object: &Object, problems: &mut Vec<Problem>) -> Typed {
    let api_version = object.api_version.as_str();
    let in_rollouts = api_version.split_once('/') == Some((ROLLOUTS_GROUP, ROLLOUTS_VERSION));
    match (in_rollouts, api_version, object.kind.as_str()) {
        (true, _, "Rollout") => typed(object, problems, Typed::Rollout),
        (true, _, "AnalysisTemplate") => typed(object, problems, Typed::AnalysisTemplate),
        (true, _, "ClusterAnalysisTemplate") => {
            typed(object, problems, Typed::ClusterAnalysisTemplate)
        }
        (true, _, "AnalysisRun") => typed(object, problems, Typed::AnalysisRun),
        (true, _, "Experiment") => typed(object, problems, Typed::Experiment),
        (false, "v1", "Service") => typed(object, problems, Typed::Service),
        (false, "apps/v1", "Deployment") => typed(object, problems, Typed::Deployment),
        (_, _, _) => Typed::Untyped,
    }
}

fn typed<T: DeserializeOwned>(
    object: &Object,
    problems: &mut Vec<Problem>,
    wrap: impl Fn(Box<T>) -> Typed,
) -> Typed {
    let node = &object.node;
    // What a list says of its items is not in the tree.
    if !object.is_listed
        && let Some(value) = decode_node::<T>(node)
    {
        return wrap(Box::new(value));
    }
    // Following the path costs time, which is spent where something is wrong.
    let json = object.json();
    let mut error = match decode_traced::<T>(json) {
        Ok(value) => return wrap(Box::new(value)),
        Err(error) => error,
    };
    // Serde stops at the first error: take the wrong value out and look for the next.
    let mut rest = json.clone();
    let mut seen: Vec<Vec<Step>> = Vec::new();
    loop {
        let problem = describe(&error, node);
        // Name and namespace have been looked at before.
        let is_known = |known: &Problem| known.code == problem.code && known.span == problem.span;
        if !problems.iter().rev().take(ERRORS_MAX).any(is_known) {
            problems.push(problem);
        }
        let steps = error.steps;
        let is_new = !steps.is_empty() && !seen.contains(&steps);
        if !is_new || seen.len() >= ERRORS_MAX || !take_out(&mut rest, &steps) {
            break;
        }
        seen.push(steps);
        match decode_traced::<T>(&rest) {
            Ok(_) => break,
            Err(next) if seen.contains(&next.steps) => break,
            Err(next) => error = next,
        }
    }
    Typed::Broken
}

/// A type error and the path to it.
struct TypeError {
    steps: Vec<Step>,
    message: String,
}

/// Keeps the error with its path as a value, so that the one way of decoding can be used.
struct Traced<T>(Result<T, TypeError>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Traced<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Traced(
            serde_path_to_error::deserialize(deserializer).map_err(|error| TypeError {
                steps: error.path().iter().filter_map(step).collect(),
                message: error.inner().to_string(),
            }),
        ))
    }
}

fn step(segment: &Segment) -> Option<Step> {
    match segment {
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Enum { variant } => Some(Step::Key(variant.clone())),
        Segment::Unknown => None,
    }
}

fn decode_traced<T: DeserializeOwned>(json: &Json) -> Result<T, TypeError> {
    match decode_json::<Traced<T>>(json) {
        Ok(Traced(result)) => result,
        Err(error @ (DecodeError::Type(_) | DecodeError::TooDeep)) => Err(TypeError {
            steps: Vec::new(),
            message: error.to_string(),
        }),
    }
}

fn describe(error: &TypeError, node: &Node) -> Problem {
    let (steps, span) = locate(error, node);
    let shown = path::display(&steps);
    let name = if shown.is_empty() {
        "the object"
    } else {
        &shown
    };
    let (wrong_type, rest) = match error.message.strip_prefix("invalid type: ") {
        Some(rest) => (true, Some(rest)),
        None => (false, error.message.strip_prefix("invalid value: ")),
    };
    let parts = rest.and_then(|rest| rest.split_once(", expected "));
    let message = match parts {
        Some((_, expected)) if wrong_type => {
            let found = node
                .at(&shown)
                .map_or("another value", |value| value.kind().name());
            format!("`{name}` must be {}, not {found}", describe_type(expected))
        }
        Some((found, expected)) => {
            format!("`{name}`: {found} does not fit {}", describe_type(expected))
        }
        None if error.message.ends_with("untagged enum IntOrString") => {
            format!("`{name}` must be an integer or a string such as `25%`")
        }
        None => format!("`{name}`: {}", error.message),
    };
    Problem::error(TYPE_CODE, message, span)
}

/// The path and place of the wrong value. A flattened struct loses the end of the path: then the
/// only value below that reads like the wrong one is taken.
fn locate(error: &TypeError, node: &Node) -> (Vec<Step>, Span) {
    let base = node.place(&error.steps);
    let unexpected = error
        .message
        .strip_prefix("invalid type: ")
        .and_then(|rest| rest.split_once(", expected "))
        .map(|(unexpected, _)| unexpected);
    let below = node.at(&path::display(&error.steps));
    if let (Some(unexpected), Some(below)) = (unexpected, below)
        && base.missing == 0
        && !reads_like(below, unexpected)
    {
        let mut found = Vec::new();
        search(below, unexpected, &mut error.steps.clone(), &mut found);
        if let [(steps, span)] = found.as_slice() {
            return (steps.clone(), *span);
        }
    }
    (error.steps.clone(), base.best())
}

/// Whether serde would call a value so: ``integer `5` ``, `string "a"`, `sequence`, `map`.
fn reads_like(node: &Node, unexpected: &str) -> bool {
    match &node.value {
        Value::Null => unexpected == "null" || unexpected == "unit value",
        Value::Bool(value) => unexpected == format!("boolean `{value}`"),
        Value::Int(value) => unexpected == format!("integer `{value}`"),
        Value::UInt(value) => unexpected == format!("integer `{value}`"),
        Value::Float(value) => {
            unexpected == format!("floating point `{value}`")
                || unexpected == format!("integer `{value}`")
        }
        Value::String(value) => unexpected == format!("string {value:?}"),
        Value::Seq(_) => unexpected == "sequence",
        Value::Map(_) => unexpected == "map",
    }
}

fn search(
    node: &Node,
    unexpected: &str,
    steps: &mut Vec<Step>,
    found: &mut Vec<(Vec<Step>, Span)>,
) {
    let children: Vec<(Step, &Node)> = match &node.value {
        Value::Seq(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| (Step::Index(index), item))
            .collect(),
        Value::Map(map) => map
            .entries()
            .iter()
            .map(|entry| (Step::Key(entry.key.clone()), &entry.value))
            .collect(),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::UInt(_)
        | Value::Float(_)
        | Value::String(_) => Vec::new(),
    };
    for (step, child) in children {
        steps.push(step);
        if reads_like(child, unexpected) {
            found.push((steps.clone(), child.span));
        }
        search(child, unexpected, steps, found);
        steps.pop();
    }
}

/// Rust's names of types in words.
fn describe_type(expected: &str) -> &str {
    match expected {
        "i8" | "i16" | "u8" | "u16" | "u32" | "u64" | "usize" => "an integer",
        "i32" => "an integer of 32 bits",
        "i64" => "an integer of 64 bits",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        _ if expected.starts_with("struct ") => "a map",
        _ => expected,
    }
}

/// Sets the value at a path to null, which counts as absent.
fn take_out(json: &mut Json, steps: &[Step]) -> bool {
    let mut at = json;
    for step in steps {
        let next = match step {
            Step::Key(key) => at.get_mut(key.as_str()),
            Step::Index(index) => at.get_mut(*index),
        };
        match next {
            Some(next) => at = next,
            None => return false,
        }
    }
    let there = !at.is_null();
    *at = Json::Null;
    there
}
