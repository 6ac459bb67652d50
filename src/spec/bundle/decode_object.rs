//! From an object's JSON to its type; type errors become problems at the place of the value.

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::Value as Json;
use serde_path_to_error::Segment;

use super::{ROLLOUTS_GROUP, ROLLOUTS_VERSION, Typed};
use crate::source::Problem;
use crate::spec::decode::{DecodeError, decode as decode_json};
use crate::spec::yaml::{Node, Step, path};

/// The code of type errors.
pub(super) const TYPE_CODE: &str = "object-type";

/// Type errors that are looked for in one object.
const ERRORS_MAX: usize = 20;

pub(super) fn is_rollouts_kind(kind: &str) -> bool {
    matches!(
        kind,
        "Rollout" | "AnalysisTemplate" | "ClusterAnalysisTemplate" | "AnalysisRun" | "Experiment"
    )
}

/// Types an object by its `apiVersion` and kind.
pub(super) fn decode(
    api_version: &str,
    kind: &str,
    node: &Node,
    json: &Json,
    problems: &mut Vec<Problem>,
) -> Typed {
    let in_rollouts = api_version.split_once('/') == Some((ROLLOUTS_GROUP, ROLLOUTS_VERSION));
    match (in_rollouts, api_version, kind) {
        (true, _, "Rollout") => typed(node, json, problems, Typed::Rollout),
        (true, _, "AnalysisTemplate") => typed(node, json, problems, Typed::AnalysisTemplate),
        (true, _, "ClusterAnalysisTemplate") => {
            typed(node, json, problems, Typed::ClusterAnalysisTemplate)
        }
        (true, _, "AnalysisRun") => typed(node, json, problems, Typed::AnalysisRun),
        (true, _, "Experiment") => typed(node, json, problems, Typed::Experiment),
        (false, "v1", "Service") => typed(node, json, problems, Typed::Service),
        (false, "apps/v1", "Deployment") => typed(node, json, problems, Typed::Deployment),
        (_, _, _) => Typed::Untyped,
    }
}

fn typed<T: DeserializeOwned>(
    node: &Node,
    json: &Json,
    problems: &mut Vec<Problem>,
    wrap: impl Fn(Box<T>) -> Typed,
) -> Typed {
    let mut error = match decode_traced::<T>(json.clone()) {
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
        match decode_traced::<T>(rest.clone()) {
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

fn decode_traced<T: DeserializeOwned>(json: Json) -> Result<T, TypeError> {
    match decode_json::<Traced<T>>(json) {
        Ok(Traced(result)) => result,
        Err(error @ (DecodeError::Type(_) | DecodeError::TooDeep)) => Err(TypeError {
            steps: Vec::new(),
            message: error.to_string(),
        }),
    }
}

fn describe(error: &TypeError, node: &Node) -> Problem {
    let place = node.place(&error.steps);
    let shown = path::display(&error.steps);
    let name = if shown.is_empty() {
        "the object"
    } else {
        &shown
    };
    let expected = error
        .message
        .strip_prefix("invalid type: ")
        .and_then(|rest| rest.split_once(", expected "))
        .map(|(_, expected)| expected);
    let found = node
        .at(&shown)
        .map(|value| value.kind().name())
        .unwrap_or("another value");
    let message = match expected {
        Some(expected) => format!("`{name}` must be {}, not {found}", describe_type(expected)),
        None => format!("`{name}`: {}", error.message),
    };
    Problem::error(TYPE_CODE, message, place.best())
}

/// Rust's names of types in words.
fn describe_type(expected: &str) -> &str {
    match expected {
        "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "usize" => "an integer",
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
