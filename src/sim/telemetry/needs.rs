//! What the queries of templates need: which metrics, and how far back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::expr;
use crate::promql::ast::{Expr, ExprKind, Length, Modifiers, VectorSelector};
use crate::promql::labels::{METRIC_NAME, MatchOp};
use crate::promql::{ParseErrors, Settings, parse};
use crate::spec::metric_provider::PrometheusMetric;
use crate::time::{Duration, Timestamp};

/// How far back queries look where that cannot be seen.
const UNKNOWN_REACH: Duration = Duration::from_secs(2 * 3600);
/// Nothing is kept longer than this.
const LONGEST_REACH: Duration = Duration::from_secs(8 * 24 * 3600);

/// What has to be scraped and kept.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Needs {
    /// Whether there is any query at all.
    pub any: bool,
    /// Names of metrics; none for all of them.
    names: Option<BTreeSet<String>>,
    /// How far back from its time a query looks.
    pub reach: Duration,
    /// The queries, with arguments as far as they are known.
    pub queries: BTreeMap<String, Query>,
}

/// A query that was read.
pub(super) type Query = Arc<Result<Expr, ParseErrors>>;

impl Needs {
    /// Of the Prometheus metrics in these objects (templates, and whatever else holds metrics),
    /// without those that are scripted.
    pub fn of<'v>(
        objects: impl Iterator<Item = &'v Value> + Clone,
        scripted: &dyn Fn(&str) -> bool,
    ) -> Self {
        let mut arguments = BTreeMap::new();
        for object in objects.clone() {
            collect_arguments(object, &mut arguments);
        }
        let mut needs = Self {
            any: false,
            names: Some(BTreeSet::new()),
            reach: Duration::ZERO,
            queries: BTreeMap::new(),
        };
        for object in objects {
            needs.collect(object, &arguments, scripted);
        }
        needs.reach = needs.reach.min(LONGEST_REACH);
        needs
    }

    /// Whether a metric of this name is looked at.
    pub fn wants(&self, name: &str) -> bool {
        self.any && self.names.as_ref().is_none_or(|names| names.contains(name))
    }

    /// Looks for metrics with a Prometheus provider anywhere in the object.
    fn collect(
        &mut self,
        value: &Value,
        arguments: &BTreeMap<String, String>,
        scripted: &dyn Fn(&str) -> bool,
    ) {
        if let Some(provider) = value.pointer("/provider/prometheus") {
            let name = value.get("name").and_then(Value::as_str);
            if !name.is_some_and(scripted) {
                match serde_json::from_value(provider.clone()) {
                    Ok(metric) => self.add(&metric, arguments),
                    Err(_) => self.add_unknown(),
                }
            }
            return;
        }
        match value {
            Value::Array(items) => {
                for item in items {
                    self.collect(item, arguments, scripted);
                }
            }
            Value::Object(fields) => {
                for field in fields.values() {
                    self.collect(field, arguments, scripted);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn add_unknown(&mut self) {
        self.any = true;
        self.names = None;
        self.reach = self.reach.max(UNKNOWN_REACH);
    }

    fn add(&mut self, metric: &PrometheusMetric, arguments: &BTreeMap<String, String>) {
        if names_are_open(&metric.query) {
            self.add_unknown();
        }
        let text = substituted(&metric.query, arguments);
        let query = Query::new(parse(&text));
        self.queries.insert(text, Query::clone(&query));
        let Ok(expr) = query.as_ref() else {
            self.add_unknown();
            return;
        };
        self.any = true;
        let range = metric.range_query.as_ref().map_or(Duration::ZERO, |range| {
            // Any moment does: what counts is the distance.
            let now = Timestamp::from_secs(1_700_000_000);
            expr::evaluate_time(&substituted(&range.start, arguments), now)
                .map_or(UNKNOWN_REACH, |start| now.since(start))
        });
        match self.reach_of(expr, range) {
            Some(reach) => self.reach = self.reach.max(reach),
            None => self.reach = self.reach.max(UNKNOWN_REACH),
        }
    }

    /// How far back the expression looks if it is evaluated up to `before` ago; none if that
    /// cannot be seen.
    fn reach_of(&mut self, expr: &Expr, before: Duration) -> Option<Duration> {
        let lookback = Duration::from_millis(Settings::default().lookback);
        match &expr.kind {
            ExprKind::Number(_) | ExprKind::String(_) => Some(before),
            ExprKind::Vector(selector) => {
                self.add_names(selector);
                Some(before + modified(&selector.modifiers)? + lookback)
            }
            ExprKind::Matrix(matrix) => {
                self.add_names(&matrix.selector);
                Some(before + modified(&matrix.selector.modifiers)? + fixed(&matrix.range)?)
            }
            ExprKind::Subquery(subquery) => {
                let before = before + modified(&subquery.modifiers)? + fixed(&subquery.range)?;
                self.reach_of(&subquery.expr, before)
            }
            ExprKind::Paren(_)
            | ExprKind::Unary { .. }
            | ExprKind::Binary(_)
            | ExprKind::Call(_)
            | ExprKind::Aggregate(_) => {
                let mut reach = before;
                let mut known = true;
                for child in expr.children() {
                    match self.reach_of(child, before) {
                        Some(of_child) => reach = reach.max(of_child),
                        None => known = false,
                    }
                }
                known.then_some(reach)
            }
        }
    }

    fn add_names(&mut self, selector: &VectorSelector) {
        let name = selector
            .matchers
            .iter()
            .find(|matcher| matcher.name == METRIC_NAME && matcher.op == MatchOp::Equal);
        match (name, &mut self.names) {
            (Some(matcher), Some(names)) => {
                names.insert(matcher.value.clone());
            }
            (None, _) => self.names = None,
            (Some(_), None) => {}
        }
    }
}

fn fixed(length: &Length) -> Option<Duration> {
    match length {
        Length::Fixed(nanos) => Some(Duration::from_nanos(*nanos)),
        Length::Computed(_) => None,
    }
}

/// How far back modifiers move a selector; none for a time that is not the query's.
fn modified(modifiers: &Modifiers) -> Option<Duration> {
    let Modifiers { offset, at } = modifiers;
    match (offset, at) {
        (None, None) => Some(Duration::ZERO),
        (Some(offset), None) => fixed(offset).map(|offset| offset.max(Duration::ZERO)),
        (_, Some(_)) => None,
    }
}

/// Whether an argument stands where it may become a part of a metric's name: outside of quotes and
/// of brackets.
fn names_are_open(query: &str) -> bool {
    let mut quote = None;
    let mut in_range = false;
    let mut previous = ' ';
    for letter in query.chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter && previous != '\\' => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(letter),
            (None, '[') => in_range = true,
            (None, ']') => in_range = false,
            (None, '{') if previous == '{' && !in_range => return true,
            (None, _) => {}
        }
        previous = letter;
    }
    false
}

/// The values that arguments have in any of the objects: the latest one wins.
fn collect_arguments(value: &Value, arguments: &mut BTreeMap<String, String>) {
    match value {
        Value::Array(items) => {
            for item in items {
                collect_arguments(item, arguments);
            }
        }
        Value::Object(fields) => {
            for argument in fields
                .get("args")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                let text = |key: &str| argument.get(key).and_then(Value::as_str);
                if let (Some(name), Some(value)) = (text("name"), text("value")) {
                    arguments.insert(name.to_owned(), value.to_owned());
                }
            }
            for field in fields.values() {
                collect_arguments(field, arguments);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The text with arguments filled in; one without a value becomes some word.
fn substituted(text: &str, arguments: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((key, tail)) = after.split_once("}}") else {
            break;
        };
        let value = key
            .trim()
            .strip_prefix("args.")
            .and_then(|name| arguments.get(name));
        out.push_str(value.map_or("unknown", String::as_str));
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn needs(query: &str) -> Needs {
        let objects = [json!({"spec": {
            "args": [{"name": "window", "value": "10m"}],
            "metrics": [{"name": "m", "provider": {"prometheus": {"query": query}}}],
        }})];
        Needs::of(objects.iter(), &|name| name == "scripted")
    }

    #[test]
    fn the_reach_of_a_query_is_seen() {
        for (query, seconds) in [
            ("up", 300),
            ("rate(a[1m])", 60),
            ("rate(a[5m] offset 1h) / rate(b[1m])", 3900),
            ("max_over_time(rate(a[1m])[30m:1m])", 1860),
            ("rate(a[{{args.window}}])", 600),
            ("rate(a[{{ args.other }}])", 7200),
            ("rate(a[5m] @ 1000)", 7200),
            ("rate(a[90d])", 8 * 86_400),
            ("vector(1)", 0),
        ] {
            assert_eq!(needs(query).reach, Duration::from_secs(seconds), "{query}");
        }
    }

    #[test]
    fn only_metrics_that_are_looked_at_are_wanted() {
        let found = needs("sum(rate(a{x=\"{{args.y}}\"}[1m])) / b");
        assert!(found.wants("a") && found.wants("b") && !found.wants("c"));
        assert!(needs("{{args.metric}}_total").wants("c"));
        assert!(needs("{__name__=~\"a.*\"}").wants("c"));
        let scripted = [
            json!({"metrics": [{"name": "scripted", "provider": {"prometheus": {"query": "a"}}}]}),
        ];
        assert!(!Needs::of(scripted.iter(), &|name| name == "scripted").any);
    }
}
