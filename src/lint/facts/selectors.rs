//! Which series a query reads, and what it does with them.

use std::ops::Range;

use crate::lint::context::{Placeholder, QueryView};
use crate::promql::ast::{BinaryOp, Expr, ExprKind, Length, Modifiers, Span, VectorSelector};
use crate::time::Duration;

/// A selector in a query.
#[derive(Clone, Debug)]
pub struct Selected<'e> {
    pub selector: &'e VectorSelector,
    /// Of the name and the braces.
    pub span: Span,
    /// Of a range selector.
    pub range: Option<SelectedRange<'e>>,
    /// Names of the functions and aggregations around it, the innermost last.
    pub within: Vec<&'static str>,
    /// The label names that aggregations around it keep apart.
    pub grouping: Vec<&'e str>,
    /// Whether a subquery is around it.
    pub in_subquery: bool,
}

/// The range of a selector.
#[derive(Clone, Copy, Debug)]
pub struct SelectedRange<'e> {
    pub length: &'e Length,
    /// Of the selector with its range.
    pub span: Span,
}

impl Selected<'_> {
    /// The metric name; `None` where it is selected by other means than equality.
    pub fn name(&self) -> Option<&str> {
        use crate::promql::labels::MatchOp;
        self.selector.name.as_deref().or_else(|| {
            self.selector
                .matchers
                .iter()
                .find(|matcher| matcher.name == "__name__" && matcher.op == MatchOp::Equal)
                .map(|matcher| matcher.value.as_str())
        })
    }

    /// The function that takes the range.
    pub fn function(&self) -> Option<&'static str> {
        self.within.last().copied()
    }

    /// The length of the range, where it is written and not computed.
    pub fn window(&self) -> Option<Duration> {
        match self.range?.length {
            Length::Fixed(nanos) => Some(Duration::from_nanos(*nanos)),
            Length::Computed(_) => None,
        }
    }

    /// The bytes of the query between the brackets.
    pub fn window_text(&self, query: &str) -> Option<Range<usize>> {
        let range = self.range?;
        let from = self.span.end;
        let rest = query.get(from..range.span.end)?;
        let open = from + rest.find('[')? + 1;
        let close = open + query.get(open..)?.find(']')?;
        let inside = query.get(open..close)?;
        let start = open + (inside.len() - inside.trim_start().len());
        Some(start..start + inside.trim().len())
    }
}

/// The window of a selector and its bytes in the query; `None` where there is none, where it is
/// computed, and where it comes from an argument without a known value.
pub fn known_window(
    query: &QueryView,
    selected: &Selected<'_>,
) -> Option<(Duration, Range<usize>)> {
    let place = selected.window_text(&query.text.text)?;
    let is_guessed = placeholders_in(query, &place).any(|placeholder| placeholder.is_stand_in);
    (!is_guessed).then_some((selected.window()?, place))
}

/// Placeholders whose values are among these bytes of the query.
pub fn placeholders_in<'q>(
    query: &'q QueryView,
    place: &'q Range<usize>,
) -> impl Iterator<Item = &'q Placeholder> {
    query.text.placeholders.iter().filter(|placeholder| {
        placeholder.filled.start < place.end && place.start < placeholder.filled.end
    })
}

/// Functions that compare samples over time as rates of counters or slopes of gauges do: they give
/// nothing for fewer than two samples.
pub const NEED_TWO_SAMPLES: [&str; 8] = [
    "rate",
    "irate",
    "increase",
    "delta",
    "idelta",
    "deriv",
    "predict_linear",
    "double_exponential_smoothing",
];

/// Functions for counters.
pub const RATES: [&str; 3] = ["rate", "irate", "increase"];

/// All selectors of a query, in the order of the text.
pub fn selectors(query: &Expr) -> Vec<Selected<'_>> {
    let mut found = Vec::new();
    let mut pending: Vec<(&Expr, Around<'_>)> = vec![(query, Around::default())];
    while let Some((expr, around)) = pending.pop() {
        let mut inner = around.clone();
        match &expr.kind {
            ExprKind::Vector(selector) => found.push(around.select(selector, expr.span, None)),
            ExprKind::Matrix(matrix) => {
                let range = SelectedRange {
                    length: &matrix.range,
                    span: expr.span,
                };
                found.push(around.select(&matrix.selector, matrix.selector_span, Some(range)));
            }
            ExprKind::Call(call) => inner.within.push(call.function.name),
            ExprKind::Aggregate(aggregate) => {
                inner.within.push(aggregate.op.text());
                if !aggregate.without {
                    let labels = aggregate.grouping.iter().map(String::as_str);
                    inner.grouping.extend(labels);
                }
            }
            ExprKind::Subquery(_) => inner.in_subquery = true,
            ExprKind::Binary(binary) => {
                if let Some(matching) = binary.matching.as_ref().filter(|matching| matching.on) {
                    inner
                        .grouping
                        .extend(matching.labels.iter().map(String::as_str));
                }
            }
            ExprKind::Number(_)
            | ExprKind::String(_)
            | ExprKind::Paren(_)
            | ExprKind::Unary {
                negative: _,
                expr: _,
            } => {}
        }
        let children = expr.children();
        pending.extend(children.into_iter().map(|child| (child, inner.clone())));
    }
    found.sort_by_key(|selected| selected.span.start);
    found
}

#[derive(Clone, Default)]
struct Around<'e> {
    within: Vec<&'static str>,
    grouping: Vec<&'e str>,
    in_subquery: bool,
}

impl<'e> Around<'e> {
    fn select(
        &self,
        selector: &'e VectorSelector,
        span: Span,
        range: Option<SelectedRange<'e>>,
    ) -> Selected<'e> {
        Selected {
            selector,
            span,
            range,
            within: self.within.clone(),
            grouping: self.grouping.clone(),
            in_subquery: self.in_subquery,
        }
    }
}

/// The outermost divisions of which both sides read series, in the order of the text.
pub fn ratios(query: &Expr) -> Vec<(&Expr, &Expr)> {
    let mut found = Vec::new();
    let mut pending = vec![query];
    while let Some(expr) = pending.pop() {
        if let ExprKind::Binary(binary) = &expr.kind
            && binary.op == BinaryOp::Div
            && binary.lhs.reads_series()
            && binary.rhs.reads_series()
        {
            found.push((&binary.lhs, &binary.rhs));
        } else {
            pending.extend(expr.children());
        }
    }
    found.sort_by_key(|(numerator, _)| numerator.span.start);
    found
}

/// Whether the query gives a latency: a quantile of a histogram, or a metric that is called so.
pub fn is_latency(query: &Expr) -> bool {
    selectors(query).iter().any(|selected| {
        selected.within.contains(&"histogram_quantile")
            || selected.name().is_some_and(is_latency_name)
    })
}

/// Whether a metric is a latency by its name.
pub fn is_latency_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["latency", "duration", "response_time", "request_time"]
        .iter()
        .any(|word| name.contains(word))
}

/// Whether a metric counts events by its name.
pub fn is_counter_name(name: &str) -> bool {
    ["_total", "_count", "_sum", "_bucket"]
        .iter()
        .any(|suffix| name.ends_with(suffix))
}

/// Whether a selector looks at another time than now.
pub fn is_shifted(modifiers: &Modifiers) -> bool {
    modifiers.offset.is_some() || modifiers.at.is_some()
}
