//! Counts and prints.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;
use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::case::Sequence;
use super::compare::{Comparison, Difference};
use super::exceptions::Exceptions;

/// First words of the names of cases about routers, which are counted apart.
const ROUTER_AREAS: [&str; 6] = ["istio", "nginx", "alb", "smi", "apisix", "routers"];

/// Variables passed, of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: usize,
    pub of: usize,
}

/// All that was compared so far.
#[derive(Debug, Default)]
pub struct Report {
    areas: BTreeMap<String, Tally>,
    excepted: usize,
    failures: String,
    shows_all: bool,
}

/// Numbers below which the suite fails, for the default folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ratchet {
    pub total: usize,
    pub routers: usize,
    pub areas: BTreeMap<String, usize>,
}

impl Report {
    /// `shows_all`: what passed is shown side by side as well.
    pub fn new(shows_all: bool) -> Self {
        Self {
            shows_all,
            ..Self::default()
        }
    }

    /// `log` holds the commands that were refused while the case was played.
    pub fn add(
        &mut self,
        case: &str,
        comparisons: &[Comparison],
        log: &[String],
        exceptions: &Exceptions,
    ) {
        for refused in log {
            let _ = writeln!(self.failures, "{case}: refused: {refused}");
        }
        let area = case.split('-').next().unwrap_or(case).to_owned();
        let tally = self.areas.entry(area).or_default();
        for comparison in comparisons {
            tally.of += 1;
            match &comparison.difference {
                None => {
                    tally.passed += 1;
                    if self.shows_all {
                        self.failures += &side_by_side(case, comparison, None);
                    }
                }
                Some(_) if exceptions.cover(case, comparison) => {
                    tally.passed += 1;
                    self.excepted += 1;
                }
                Some(difference) => {
                    self.failures += &side_by_side(case, comparison, Some(*difference));
                }
            }
        }
    }

    /// A case that could not be played: all its variables fail.
    pub fn add_unplayed(&mut self, case: &str, variables: usize, reason: &str) {
        let area = case.split('-').next().unwrap_or(case).to_owned();
        self.areas.entry(area).or_default().of += variables;
        let _ = writeln!(self.failures, "{case}: not played: {reason}");
    }

    /// Side by side, what differs.
    pub fn failures(&self) -> &str {
        &self.failures
    }

    /// Total of the areas that are (or are not) about routers.
    pub fn total(&self, routers: bool) -> Tally {
        let mut total = Tally::default();
        for (area, tally) in &self.areas {
            if is_router(area) == routers {
                total.passed += tally.passed;
                total.of += tally.of;
            }
        }
        total
    }

    /// The lines that are always printed.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        for routers in [false, true] {
            for (area, Tally { passed, of }) in &self.areas {
                if is_router(area) == routers {
                    let _ = writeln!(text, "trajectories/{area}: passed {passed} of {of}");
                }
            }
        }
        let Tally { passed, of } = self.total(true);
        let _ = writeln!(text, "trajectories: {} by exception", self.excepted);
        let _ = writeln!(text, "trajectories (routers): passed {passed} of {of}");
        let Tally { passed, of } = self.total(false);
        let _ = writeln!(text, "trajectories: passed {passed} of {of}");
        text
    }

    /// What fell below the ratchet.
    pub fn below(&self, ratchet: &Ratchet) -> Vec<String> {
        let Ratchet {
            total,
            routers,
            areas,
        } = ratchet;
        let mut below = Vec::new();
        let mut check = |name: &str, passed: usize, least: usize| {
            if passed < least {
                below.push(format!("{name}: {passed} passed, {least} did before"));
            }
        };
        check("total", self.total(false).passed, *total);
        check("routers", self.total(true).passed, *routers);
        for (area, least) in areas {
            let passed = self.areas.get(area).map_or(0, |tally| tally.passed);
            check(area, passed, *least);
        }
        below
    }
}

fn is_router(area: &str) -> bool {
    ROUTER_AREAS.contains(&area)
}

/// With keys in order, so that equal values are equal texts.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(canonical).collect(),
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
            let fields = sorted.into_iter();
            fields
                .map(|(key, it)| (key.clone(), canonical(it)))
                .collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// The two sequences in two columns, aligned at equal values.
fn side_by_side(case: &str, comparison: &Comparison, difference: Option<Difference>) -> String {
    let Comparison {
        variable,
        expected,
        ours,
        difference: _,
    } = comparison;
    let why = match difference {
        None => "equal".to_owned(),
        Some(Difference::Values { entry }) => format!("values differ from entry {entry}"),
        Some(Difference::Times { entry, late_by }) => {
            format!("entry {entry} is {late_by:+.1} s off")
        }
    };
    let mut text = format!("{case}: {variable}: {why}\n");
    let values = |sequence: &Sequence| -> Vec<String> {
        sequence
            .iter()
            .map(|(_, value)| canonical(value).to_string())
            .collect()
    };
    let (left, right) = (values(expected), values(ours));
    let width = left.iter().map(|it| it.chars().count()).max();
    let width = width.unwrap_or(0).clamp(9, 90);
    let mut row = |mark: char, from: Option<usize>, to: Option<usize>| {
        let time = |sequence: &Sequence, at: Option<usize>| {
            let time = at.and_then(|at| sequence.get(at)).map(|(time, _)| *time);
            time.map_or(String::new(), |time| format!("{time:.2}"))
        };
        let value = |values: &[String], at: Option<usize>| {
            at.and_then(|at| values.get(at))
                .cloned()
                .unwrap_or_default()
        };
        let _ = writeln!(
            text,
            "  {mark} {:>6} {:<width$} | {:>6} {}",
            time(expected, from),
            value(&left, from),
            time(ours, to),
            value(&right, to),
        );
    };
    for op in capture_diff_slices(Algorithm::Lcs, &left, &right) {
        match op {
            DiffOp::Equal {
                old_index,
                new_index,
                len,
            } => (0..len).for_each(|at| row(' ', Some(old_index + at), Some(new_index + at))),
            DiffOp::Delete {
                old_index, old_len, ..
            } => (0..old_len).for_each(|at| row('-', Some(old_index + at), None)),
            DiffOp::Insert {
                new_index, new_len, ..
            } => (0..new_len).for_each(|at| row('+', None, Some(new_index + at))),
            DiffOp::Replace {
                old_index,
                old_len,
                new_index,
                new_len,
            } => (0..old_len.max(new_len)).for_each(|at| {
                row(
                    '!',
                    (at < old_len).then_some(old_index + at),
                    (at < new_len).then_some(new_index + at),
                );
            }),
        }
    }
    text
}
