//! Holds what we recorded beside what the reference did.

use std::collections::BTreeMap;

use serde_json::Value;

use super::case::{Record, Sequence};

/// How far the times of equal entries may lie apart, in seconds. The reference, played again,
/// stays within it in 99 % of all variables.
pub const TOLERANCE: f64 = 2.0;
/// Records hold tenths of seconds.
const ROUNDING: f64 = 0.05;

/// One stable variable of one case.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub variable: String,
    pub expected: Sequence,
    pub ours: Sequence,
    pub difference: Option<Difference>,
}

/// The first thing that differs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Difference {
    /// The values do, from this entry on.
    Values { entry: usize },
    /// The values are equal, but this entry came later (or, negative, earlier) by so many seconds.
    Times { entry: usize, late_by: f64 },
}

/// Compares every stable variable of a record with ours, in order of name.
pub fn compare(record: &Record, ours: &BTreeMap<String, Sequence>) -> Vec<Comparison> {
    record
        .observed
        .iter()
        .filter(|(_, variable)| variable.stable)
        .map(|(name, variable)| {
            let ours = ours.get(name).cloned().unwrap_or_default();
            Comparison {
                variable: name.clone(),
                difference: difference(&variable.sequence, &ours),
                expected: variable.sequence.clone(),
                ours,
            }
        })
        .collect()
}

fn difference(expected: &Sequence, ours: &Sequence) -> Option<Difference> {
    let length = expected.len().max(ours.len());
    let differs = |entry: &usize| match (expected.get(*entry), ours.get(*entry)) {
        (Some((_, expected)), Some((_, ours))) => !equal(expected, ours),
        _ => true,
    };
    if let Some(entry) = (0..length).find(differs) {
        return Some(Difference::Values { entry });
    }
    expected
        .iter()
        .zip(ours)
        .map(|((expected, _), (ours, _))| ours - expected)
        .enumerate()
        .find(|(_, late_by)| late_by.abs() > TOLERANCE + ROUNDING)
        .map(|(entry, late_by)| Difference::Times { entry, late_by })
}

/// Equal as JSON values; 1 and 1.0 are.
pub fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| equal(l, r))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, value)| right.get(key).is_some_and(|other| equal(value, other)))
        }
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_count_before_times() {
        let expected = vec![(0.0, json!(1)), (1.0, json!({"a": 2}))];
        let near = vec![(1.9, json!(1.0)), (3.0, json!({"a": 2}))];
        let late = vec![(0.0, json!(1)), (3.2, json!({"a": 2}))];
        let short = vec![(9.0, json!(1))];
        assert_eq!(difference(&expected, &near), None);
        assert!(matches!(
            difference(&expected, &late),
            Some(Difference::Times { entry: 1, .. })
        ));
        assert_eq!(
            difference(&expected, &short),
            Some(Difference::Values { entry: 1 })
        );
        assert_eq!(
            difference(&expected, &vec![]),
            Some(Difference::Values { entry: 0 })
        );
    }
}
