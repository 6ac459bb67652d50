//! Why a query gives nothing: the part that is empty although its operands are not, or the
//! selector that finds no series or no sample in time.

use std::collections::BTreeSet;

use super::ast::{
    At, Binary, BinaryOp, Call, Expr, ExprKind, Length, Modifiers, Span, ValueType, VectorSelector,
};
use super::duration::NANOS_PER_MILLI;
use super::eval::{Engine, Value};
use super::gofmt::{format_g, quote};
use super::labels::{BUCKET_BOUND, Labels, METRIC_NAME, MatchOp, Matcher, display_name};
use super::query_time::{Extent, show_length};
use super::series::{SeriesData, Store, is_stale};

/// A part of a query that gives nothing, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub span: Span,
    pub message: String,
    pub help: Option<String>,
}

/// The times a query was asked for, in milliseconds; `step` is 0 for an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    pub start: i64,
    pub end: i64,
    pub step: i64,
}

/// Explains a result without series.
pub fn explain_empty(
    engine: &Engine,
    store: &Store,
    expr: &Expr,
    asked: Asked,
    extent: Extent,
) -> Vec<Finding> {
    let mut search = Search {
        engine,
        store,
        extent,
        findings: Vec::new(),
    };
    search.explain(expr, asked);
    search.findings
}

/// Names that a mistyped one may have meant, nearest first.
pub fn near_names<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let farthest = (name.chars().count() / 3).max(1);
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|other| {
            let distance = strsim::osa_distance(name, other);
            let holds = name.len() >= 3 && other.contains(name);
            (distance <= farthest || holds).then_some((distance, other))
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(3).map(|(_, other)| other).collect()
}

/// Functions that need two samples of a series.
const NEEDS_TWO: [&str; 8] = [
    "delta",
    "deriv",
    "double_exponential_smoothing",
    "idelta",
    "increase",
    "irate",
    "predict_linear",
    "rate",
];
const NEEDS_BUCKETS: [&str; 3] = [
    "histogram_fraction",
    "histogram_quantile",
    "histogram_quantiles",
];
const LISTED_MAX: usize = 8;

struct Search<'a> {
    engine: &'a Engine,
    store: &'a Store,
    extent: Extent,
    findings: Vec<Finding>,
}

impl Search<'_> {
    fn find(&mut self, span: Span, message: String, help: Option<String>) {
        let finding = Finding {
            span,
            message,
            help,
        };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Explains an expression that gives nothing.
    fn explain(&mut self, expr: &Expr, asked: Asked) {
        match &expr.kind {
            ExprKind::Number(_) | ExprKind::String(_) => {}
            ExprKind::Paren(inner) => self.explain(inner, asked),
            ExprKind::Unary { negative: _, expr } => self.explain(expr, asked),
            ExprKind::Vector(selector) => {
                let reach = Some(self.engine.settings.lookback);
                self.explain_selector(expr.span, selector, reach, false, asked);
            }
            ExprKind::Matrix(matrix) => {
                let reach = fixed(&matrix.range);
                self.explain_selector(expr.span, &matrix.selector, reach, true, asked);
            }
            ExprKind::Subquery(subquery) => {
                let inner = self.within_subquery(&subquery.range, &subquery.modifiers, asked);
                self.explain(&subquery.expr, inner);
            }
            ExprKind::Binary(binary) => self.explain_binary(expr.span, binary, asked),
            ExprKind::Call(call) => self.explain_call(expr.span, call, asked),
            ExprKind::Aggregate(aggregate) => {
                if self.is_empty(&aggregate.expr, asked) {
                    self.explain(&aggregate.expr, asked);
                } else {
                    let message = format!("{} keeps none of its series", aggregate.op.text());
                    self.find(expr.span, message, None);
                }
            }
        }
    }

    /// Whether an operand gives nothing. One that fails is not empty.
    fn is_empty(&self, expr: &Expr, asked: Asked) -> bool {
        match &expr.unparenthesized().kind {
            ExprKind::Matrix(matrix) => {
                let Some(reach) = fixed(&matrix.range) else {
                    return false;
                };
                let selector = &matrix.selector;
                let (from, to) = evaluated(&selector.modifiers, asked);
                !self
                    .store
                    .select(&selector.matchers)
                    .iter()
                    .any(|(_, data)| {
                        times(data).any(|time| time > from.saturating_sub(reach) && time <= to)
                    })
            }
            ExprKind::Subquery(subquery) => {
                let inner = self.within_subquery(&subquery.range, &subquery.modifiers, asked);
                self.is_empty(&subquery.expr, inner)
            }
            ExprKind::Number(_)
            | ExprKind::String(_)
            | ExprKind::Vector(_)
            | ExprKind::Paren(_)
            | ExprKind::Unary { .. }
            | ExprKind::Binary(_)
            | ExprKind::Call(_)
            | ExprKind::Aggregate(_) => {
                expr.value_type() == ValueType::Vector
                    && self
                        .labels_of(expr, asked)
                        .is_some_and(|labels| labels.is_empty())
            }
        }
    }

    /// The label sets that an expression gives; none where it cannot be evaluated.
    fn labels_of(&self, expr: &Expr, asked: Asked) -> Option<Vec<Labels>> {
        let Asked { start, end, step } = asked;
        let outcome = if step == 0 {
            self.engine.instant(self.store, expr, end)
        } else {
            self.engine.range(self.store, expr, start, end, step)
        };
        match outcome.ok()?.value {
            Value::Vector(samples) => Some(samples.into_iter().map(|s| s.labels).collect()),
            Value::Matrix(series) => Some(series.into_iter().map(|s| s.labels).collect()),
            Value::Scalar(_) | Value::String(_) => None,
        }
    }

    fn within_subquery(&self, range: &Length, modifiers: &Modifiers, asked: Asked) -> Asked {
        let (from, to) = evaluated(modifiers, asked);
        let range = fixed(range).unwrap_or(0);
        let step = self.engine.settings.default_subquery_step;
        Asked {
            start: from.saturating_sub(range),
            end: to,
            // Steps are only a sample of those of the subquery: enough to tell empty from not.
            step: step.max(range / 1000).max(1),
        }
    }

    fn explain_selector(
        &mut self,
        span: Span,
        selector: &VectorSelector,
        reach: Option<i64>,
        is_range: bool,
        asked: Asked,
    ) {
        let found = self.store.select(&selector.matchers);
        if found.is_empty() {
            let (message, help) = no_match(self.store, &selector.matchers);
            self.find(span, message, help);
            return;
        }
        let (from, to) = evaluated(&selector.modifiers, asked);
        let earliest = found.iter().filter_map(|(_, data)| times(data).min()).min();
        let newest = found
            .iter()
            .filter_map(|(_, data)| times(data).filter(|time| *time <= to).max())
            .max();
        let (series, has) = if found.len() == 1 {
            ("the series found".to_owned(), "has")
        } else {
            (format!("the {} series found", found.len()), "have")
        };
        let show = |time| self.extent.show(time);
        let Some(newest) = newest else {
            let first = earliest.map_or_else(String::new, show);
            let message = format!(
                "{series} {has} no sample up to {}: the first is at {first}",
                show(to)
            );
            self.find(span, message, None);
            return;
        };
        let stale = found.iter().any(|(_, data)| {
            data.floats()
                .any(|(time, value)| time == newest && is_stale(value))
        });
        if stale && !is_range {
            let message = format!("{series} had ended by {}: marked stale", show(newest));
            self.find(span, message, None);
            return;
        }
        let Some(reach) = reach else {
            return;
        };
        let age = from.saturating_sub(newest);
        if age < reach {
            let message = format!("{series} {has} samples, but none at the times asked for");
            self.find(span, message, None);
            return;
        }
        let (what, help) = if is_range {
            (
                "the range",
                format!("a range over {} would reach it", show_length(age)),
            )
        } else {
            (
                "the lookback",
                format!(
                    "ask at that time, or with a --lookback-delta over {}",
                    show_length(age)
                ),
            )
        };
        let message = format!(
            "the newest sample of {series}, at {}, is {} older than {}, and {what} is {}",
            show(newest),
            show_length(age),
            show(from),
            show_length(reach)
        );
        self.find(span, message, Some(help));
    }

    fn explain_binary(&mut self, span: Span, binary: &Binary, asked: Asked) {
        let sides = [&binary.lhs, &binary.rhs];
        let empty: Vec<&Expr> = sides
            .into_iter()
            .filter(|side| self.is_empty(side, asked))
            .collect();
        // `unless` with an empty right side keeps its left side.
        let to_blame: &[&Expr] = match (binary.op, empty.as_slice()) {
            (BinaryOp::Unless, [first, ..]) if std::ptr::eq(*first, &binary.lhs) => &empty[..1],
            (BinaryOp::Unless, _) => &[],
            (_, empty) => empty,
        };
        if !to_blame.is_empty() {
            for side in to_blame {
                self.explain(side, asked);
            }
            return;
        }
        let op = binary.op.text();
        let Some(matching) = &binary.matching else {
            let range = self.value_range(sides, asked);
            self.find(span, format!("no element passes `{op}`"), range);
            return;
        };
        if binary.op == BinaryOp::Unless {
            let message = "every element of the left side has a partner on the right";
            self.find(span, message.to_owned(), None);
            return;
        }
        let [left, right] = sides.map(|side| self.labels_of(side, asked).unwrap_or_default());
        let keys = |side: &[Labels]| -> BTreeSet<Labels> {
            side.iter()
                .map(|labels| labels.matching(matching.on, &matching.labels))
                .collect()
        };
        let (left_keys, right_keys) = (keys(&left), keys(&right));
        if left_keys.intersection(&right_keys).next().is_some() {
            self.find(span, format!("no pair of elements passes `{op}`"), None);
            return;
        }
        let message =
            format!("no element on the left of `{op}` has the labels of one on the right");
        let names = |keys: &BTreeSet<Labels>| -> BTreeSet<String> {
            keys.iter()
                .flat_map(|labels| labels.iter().map(|(name, _)| name.to_owned()))
                .collect()
        };
        let (left_names, right_names) = (names(&left_keys), names(&right_keys));
        let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| -> String {
            let only: Vec<&str> = a.difference(b).map(String::as_str).collect();
            listed(&only)
        };
        let mut parts = Vec::new();
        for (side, names) in [
            ("left", only(&left_names, &right_names)),
            ("right", only(&right_names, &left_names)),
        ] {
            if !names.is_empty() {
                parts.push(format!("only on the {side}: {names}"));
            }
        }
        let help = if !parts.is_empty() {
            let common: Vec<&str> = left_names
                .intersection(&right_names)
                .map(String::as_str)
                .collect();
            let hint = if common.is_empty() {
                "; aggregate one side, or take a scalar".to_owned()
            } else {
                format!("; match with on({})", common.join(", "))
            };
            Some(parts.join("; ") + &hint)
        } else {
            let example = |keys: &BTreeSet<Labels>| keys.iter().next().map(Labels::to_string);
            example(&left_keys)
                .zip(example(&right_keys))
                .map(|(left, right)| format!("left: {left}; right: {right}"))
        };
        self.find(span, message, help);
    }

    /// Lowest and highest value of the vector among two sides, where the query is an instant.
    fn value_range(&self, sides: [&Expr; 2], asked: Asked) -> Option<String> {
        let side = sides
            .into_iter()
            .find(|side| side.value_type() == ValueType::Vector)?;
        if asked.step != 0 {
            return None;
        }
        let outcome = self.engine.instant(self.store, side, asked.end).ok()?;
        let Value::Vector(samples) = outcome.value else {
            return None;
        };
        let values: Vec<f64> = samples
            .iter()
            .filter_map(|sample| match &sample.value {
                super::eval::SampleValue::Float(value) => Some(*value),
                super::eval::SampleValue::Histogram(_) => None,
            })
            .collect();
        let low = values.iter().copied().reduce(f64::min)?;
        let high = values.iter().copied().reduce(f64::max)?;
        Some(if low == high || low.is_nan() {
            format!("the value is {}", format_g(low))
        } else {
            format!("the values are {} to {}", format_g(low), format_g(high))
        })
    }

    fn explain_call(&mut self, span: Span, call: &Call, asked: Asked) {
        let name = call.function.name;
        let vectors: Vec<&Expr> = call
            .args
            .iter()
            .filter(|arg| matches!(arg.value_type(), ValueType::Vector | ValueType::Matrix))
            .collect();
        if name.starts_with("absent") {
            let message = format!("{name} gives nothing where there is something");
            self.find(span, message, None);
            return;
        }
        let before = self.findings.len();
        let mut any_empty = false;
        for arg in &vectors {
            if self.is_empty(arg, asked) {
                any_empty = true;
                self.explain(arg, asked);
            }
        }
        if any_empty && self.findings.len() > before {
            return;
        }
        if NEEDS_TWO.contains(&name) {
            let help = vectors.first().and_then(|arg| self.sampling(arg));
            let message = format!("{name} needs two samples of a series within its range");
            self.find(span, message, help);
            return;
        }
        if NEEDS_BUCKETS.contains(&name)
            && let Some(arg) = vectors.first()
            && let Some(labels) = self.labels_of(arg, asked)
            && labels
                .iter()
                .all(|labels| labels.get(BUCKET_BOUND).is_empty())
        {
            let message = format!("{name} needs buckets, but nothing here has the label le");
            let help = match &arg.unparenthesized().kind {
                ExprKind::Aggregate(_) => "keep it in the aggregation: sum by (le, ...) (...)",
                ExprKind::Number(_)
                | ExprKind::String(_)
                | ExprKind::Vector(_)
                | ExprKind::Matrix(_)
                | ExprKind::Subquery(_)
                | ExprKind::Paren(_)
                | ExprKind::Unary { .. }
                | ExprKind::Binary(_)
                | ExprKind::Call(_) => "classic histograms have it on their _bucket series",
            };
            self.find(span, message, Some(help.to_owned()));
            return;
        }
        self.find(span, format!("{name} gives nothing for its argument"), None);
    }

    /// How far apart samples are, and what range takes two of them in.
    fn sampling(&self, arg: &Expr) -> Option<String> {
        let ExprKind::Matrix(matrix) = &arg.unparenthesized().kind else {
            return None;
        };
        let found = self.store.select(&matrix.selector.matchers);
        let (mut gaps, mut length) = (0, 0_i64);
        for (_, data) in &found {
            let count = data.len();
            if count > 1
                && let (Some(first), Some(last)) = (times(data).min(), times(data).max())
            {
                gaps += count - 1;
                length = length.saturating_add(last.saturating_sub(first));
            }
        }
        let apart = length.checked_div(i64::try_from(gaps).ok()?)?;
        if fixed(&matrix.range)? > apart.saturating_mul(2) {
            return None;
        }
        Some(format!(
            "samples are {} apart: take a range of {} or more",
            show_length(apart),
            show_length(apart.saturating_mul(4))
        ))
    }
}

/// A length in milliseconds, where the query gives it as a number.
fn fixed(length: &Length) -> Option<i64> {
    match length {
        Length::Fixed(nanos) => Some(nanos / NANOS_PER_MILLI),
        Length::Computed(_) => None,
    }
}

/// First and last time at which something with these modifiers is evaluated.
fn evaluated(modifiers: &Modifiers, asked: Asked) -> (i64, i64) {
    let offset = modifiers.offset.as_ref().and_then(fixed).unwrap_or(0);
    let (from, to) = match modifiers.at {
        Some(At::Time(time)) => (time, time),
        Some(At::Start) => (asked.start, asked.start),
        Some(At::End) => (asked.end, asked.end),
        None => (asked.start, asked.end),
    };
    (from.saturating_sub(offset), to.saturating_sub(offset))
}

fn times(data: &SeriesData) -> impl Iterator<Item = i64> {
    let floats = data.floats().map(|(time, _)| time);
    floats.chain(data.histograms().iter().map(|sample| sample.time))
}

fn fits(labels: &Labels, matcher: &Matcher) -> bool {
    matcher.matches(labels.get(&matcher.name))
}

/// `a, b, c and 4 more`.
fn listed(texts: &[&str]) -> String {
    let shown = texts.get(..LISTED_MAX).unwrap_or(texts);
    let rest = texts.len() - shown.len();
    if rest == 0 {
        shown.join(", ")
    } else {
        format!("{} and {rest} more", shown.join(", "))
    }
}

fn values_of<'a>(series: &[&'a Labels], name: &str) -> BTreeSet<&'a str> {
    series
        .iter()
        .map(|labels| labels.get(name))
        .filter(|value| !value.is_empty())
        .collect()
}

/// Which of the matchers rules everything out, and what there is instead.
fn no_match(store: &Store, matchers: &[Matcher]) -> (String, Option<String>) {
    let all: Vec<&Labels> = store.series().map(|(labels, _)| labels).collect();
    if all.is_empty() {
        return ("there are no series at all".to_owned(), None);
    }
    let (names, others): (Vec<&Matcher>, Vec<&Matcher>) = matchers
        .iter()
        .partition(|matcher| matcher.name == METRIC_NAME);
    let named: Vec<&Labels> = all
        .iter()
        .copied()
        .filter(|labels| names.iter().all(|matcher| fits(labels, matcher)))
        .collect();
    if named.is_empty() {
        let known = values_of(&all, METRIC_NAME);
        let Some(matcher) = names
            .first()
            .filter(|m| names.len() == 1 && m.op == MatchOp::Equal)
        else {
            let known: Vec<&str> = known.into_iter().collect();
            let message = "no series has a name that fits".to_owned();
            return (message, Some(format!("names: {}", listed(&known))));
        };
        let near = near_names(&matcher.value, known.iter().copied());
        let help = if near.is_empty() {
            let known: Vec<&str> = known.into_iter().collect();
            format!("names: {}", listed(&known))
        } else {
            format!("did you mean {}?", near.join(" or "))
        };
        let message = format!("no series is named {}", quote(&matcher.value));
        return (message, Some(help));
    }
    let what = match names.as_slice() {
        [matcher] if matcher.op == MatchOp::Equal => format!("series of {}", matcher.value),
        _ => "series".to_owned(),
    };
    let excluding = others
        .iter()
        .find(|matcher| !named.iter().any(|labels| fits(labels, matcher)));
    let Some(matcher) = excluding else {
        let message = format!("each matcher fits some {what}, but none fits all matchers");
        return (message, None);
    };
    let label = &matcher.name;
    let values = values_of(&named, label);
    if values.is_empty() {
        let names: BTreeSet<&str> = named
            .iter()
            .flat_map(|labels| labels.iter().map(|(name, _)| name))
            .filter(|name| *name != METRIC_NAME)
            .collect();
        let near = near_names(label, names.iter().copied());
        let names: Vec<&str> = names.into_iter().collect();
        let help = match near.first() {
            Some(near) => format!("did you mean {}?", display_name(near)),
            None if names.is_empty() => "they have no labels".to_owned(),
            None => format!("labels: {}", listed(&names)),
        };
        let message = format!("no {what} has the label {}", display_name(label));
        return (message, Some(help));
    }
    let near = match matcher.op {
        MatchOp::Equal => near_names(&matcher.value, values.iter().copied()),
        MatchOp::NotEqual | MatchOp::Regex | MatchOp::NotRegex => Vec::new(),
    };
    let values: Vec<&str> = values.into_iter().collect();
    let mut help = format!("values of {}: {}", display_name(label), listed(&values));
    if let Some(near) = near.first() {
        help = format!("did you mean {}? {help}", quote(near));
    }
    (format!("no {what} fits {matcher}"), Some(help))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::{notation, parse};

    const TRACE: &str = r#"load 1m
  http_requests_total{code="200", pod="a"} 0+60x20
  http_requests_total{code="500", pod="a"} 0+1x20
  latency_bucket{le="0.1", pod="a"} 0+1x20
  latency_bucket{le="+Inf", pod="a"} 0+2x20
  gone 1 2 3 stale
  late _x15 1
"#;

    fn explained(query: &str, minutes: i64) -> Vec<String> {
        let mut store = Store::new();
        notation::load(&mut store, TRACE).expect("a trace");
        let expr = parse(query).expect("a query");
        let at = minutes * 60_000;
        let asked = Asked {
            start: at,
            end: at,
            step: 0,
        };
        let extent = Extent {
            first: 0,
            last: 1_200_000,
        };
        let found = explain_empty(&Engine::default(), &store, &expr, asked, extent);
        found
            .into_iter()
            .map(|finding| {
                let help = finding.help.map(|help| format!(" | {help}"));
                let text = &query[finding.span.start..finding.span.end];
                format!("{text}: {}{}", finding.message, help.unwrap_or_default())
            })
            .collect()
    }

    #[test]
    fn the_empty_part_is_named() {
        for (query, at, expected) in [
            (
                "sum(rate(http_request_total[5m]))",
                10,
                "http_request_total[5m]: no series is named \"http_request_total\" | did you mean http_requests_total?",
            ),
            (
                "http_requests_total{cod=\"200\"}",
                10,
                "http_requests_total{cod=\"200\"}: no series of http_requests_total has the label cod | did you mean code?",
            ),
            (
                "http_requests_total{code=\"404\"}",
                10,
                "http_requests_total{code=\"404\"}: no series of http_requests_total fits code=\"404\" | values of code: 200, 500",
            ),
            (
                "http_requests_total{code=~\"2..\", pod=\"a\"} > 1e9",
                10,
                "http_requests_total{code=~\"2..\", pod=\"a\"} > 1e9: no element passes `>` | the value is 600",
            ),
            (
                "http_requests_total",
                60,
                "http_requests_total: the newest sample of the 2 series found, at +20m, is 40m older than +1h, and the lookback is 5m | ask at that time, or with a --lookback-delta over 40m",
            ),
            (
                "gone",
                5,
                "gone: the series found had ended by +3m: marked stale",
            ),
            (
                "late",
                5,
                "late: the series found has no sample up to +5m: the first is at +15m",
            ),
            (
                "rate(http_requests_total[30s])",
                10,
                "rate(http_requests_total[30s]): rate needs two samples of a series within its range | samples are 1m apart: take a range of 4m or more",
            ),
            (
                "histogram_quantile(0.9, sum(rate(latency_bucket[5m])))",
                10,
                "histogram_quantile(0.9, sum(rate(latency_bucket[5m]))): histogram_quantile needs buckets, but nothing here has the label le | keep it in the aggregation: sum by (le, ...) (...)",
            ),
            (
                "http_requests_total / latency_bucket",
                10,
                "http_requests_total / latency_bucket: no element on the left of `/` has the labels of one on the right | only on the left: code; only on the right: le; match with on(pod)",
            ),
            (
                "absent(http_requests_total)",
                10,
                "absent(http_requests_total): absent gives nothing where there is something",
            ),
            (
                "max_over_time(nothing[5m:1m])",
                10,
                "nothing: no series is named \"nothing\" | names: gone, http_requests_total, late, latency_bucket",
            ),
        ] {
            let found = explained(query, at);
            assert_eq!(found, [expected], "{query}");
        }
    }
}
