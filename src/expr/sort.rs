//! Sorting by the order of the language, which not all values have.

use super::budget::Budget;
use super::ops::{Comparison, compare};
use super::value::Value;

/// Up to this length the reference inserts, which keeps equal elements in order.
const INSERTION: usize = 12;

/// Sorts by the first of each pair, keeping equal ones in order. NaN, which is in no order, stays
/// about where it was.
///
/// # Errors
/// Values that have no common order.
pub fn sort<T>(
    items: Vec<(Value, T)>,
    descending: bool,
    budget: &mut Budget,
) -> Result<Vec<(Value, T)>, String> {
    let mut less = |a: &(Value, T), b: &(Value, T)| -> Result<bool, String> {
        budget.steps(1)?;
        if descending {
            compare(Comparison::Less, &b.0, &a.0)
        } else {
            compare(Comparison::Less, &a.0, &b.0)
        }
    };
    merge_sort(items, &mut less)
}

type Less<'l, T> = &'l mut dyn FnMut(&T, &T) -> Result<bool, String>;

fn merge_sort<T>(mut items: Vec<T>, less: Less<'_, T>) -> Result<Vec<T>, String> {
    if items.len() <= INSERTION {
        for i in 1..items.len() {
            let mut at = i;
            while at > 0 && less(&items[at], &items[at - 1])? {
                items.swap(at, at - 1);
                at -= 1;
            }
        }
        return Ok(items);
    }
    let right = items.split_off(items.len() / 2);
    let left = merge_sort(items, less)?;
    let right = merge_sort(right, less)?;
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let mut left = left.into_iter().peekable();
    let mut right = right.into_iter().peekable();
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let from = if less(b, a)? { &mut right } else { &mut left };
        merged.extend(from.next());
    }
    merged.extend(left);
    merged.extend(right);
    Ok(merged)
}
