//! `sort` and its kin. They order the result of an instant query; a range query is always sorted
//! by labels.

use std::cmp::Ordering;

use super::FunctionId;
use crate::promql::annotations::Note;
use crate::promql::ast::Span;
use crate::promql::eval::plan::{Node, NodeKind};
use crate::promql::eval::{EvalError, Evaluator, Series, Steps};

pub(crate) fn sort(
    evaluator: &mut Evaluator<'_>,
    id: FunctionId,
    args: &[Node<'_>],
    span: Span,
    steps: Steps,
) -> Result<Vec<Series>, EvalError> {
    if !steps.is_instant() {
        evaluator.note(Note::SortInRangeQuery, span);
    }
    let Some((vector, names)) = args.split_first() else {
        return Ok(Vec::new());
    };
    let mut series = evaluator.eval(vector, steps)?;
    let names: Vec<&str> = names
        .iter()
        .filter_map(|arg| match &arg.kind {
            NodeKind::Text(text) => Some(*text),
            _ => None,
        })
        .collect();
    match id {
        FunctionId::SortByLabel => series.sort_by(|a, b| by_labels(a, b, &names)),
        FunctionId::SortByLabelDesc => series.sort_by(|a, b| by_labels(b, a, &names)),
        _ => {
            for one in &mut series {
                one.histograms.clear();
            }
            series.retain(|one| !one.is_empty());
            if steps.is_instant() {
                let value = |one: &Series| one.floats.first().map_or(f64::NAN, |point| point.value);
                let descending = id == FunctionId::SortDesc;
                series.sort_by(|a, b| nan_last(value(a), value(b), descending));
            }
        }
    }
    Ok(series)
}

/// By value, NaN last in either direction.
pub(crate) fn nan_last(a: f64, b: f64, descending: bool) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => {
            let ordering = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
            if descending {
                ordering.reverse()
            } else {
                ordering
            }
        }
    }
}

fn by_labels(a: &Series, b: &Series, names: &[&str]) -> Ordering {
    names
        .iter()
        .map(|name| natural(a.labels.get(name), b.labels.get(name)))
        .find(|ordering| ordering.is_ne())
        .unwrap_or_else(|| a.labels.cmp(&b.labels))
}

/// Natural order: runs of digits compare as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        match (left.is_empty(), right.is_empty()) {
            (true, true) => return a.cmp(b),
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        let (x, left_rest) = chunk(left);
        let (y, right_rest) = chunk(right);
        let ordering = match (x.parse::<i64>(), y.parse::<i64>()) {
            (Ok(x), Ok(y)) => x.cmp(&y),
            _ => x.cmp(y),
        };
        if ordering.is_ne() {
            return ordering;
        }
        (left, right) = (left_rest, right_rest);
    }
}

/// The first run of digits, or of other characters.
fn chunk(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text
        .find(|c: char| c.is_ascii_digit() != digits)
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_text_compare_as_numbers() {
        assert_eq!(natural("canary-2", "canary-10"), Ordering::Less);
        assert_eq!(natural("a", "a1"), Ordering::Less);
        assert_eq!(natural("x", "x"), Ordering::Equal);
        assert_eq!(nan_last(f64::NAN, 1.0, true), Ordering::Greater);
    }
}
