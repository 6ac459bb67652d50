//! Which series the queries of the templates need, and how far back.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::expr;
use crate::promql::ast::{At, Expr, ExprKind, Length, Modifiers, VectorSelector};
use crate::promql::labels::{Matcher, display_name};
use crate::promql::{Settings, gofmt, parse};
use crate::spec::metric_provider::PrometheusMetric;
use crate::time::{Duration, Timestamp};

use super::PastRelease;
use super::with_hashes;

/// Series to fetch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Selectors without ranges and modifiers, and how far before a measurement each has to reach.
    pub selectors: BTreeMap<String, Duration>,
    /// Names of metrics that are not asked of Prometheus.
    pub others: Vec<String>,
}

impl Wanted {
    /// The farthest reach.
    pub fn reach(&self) -> Duration {
        let reaches = self.selectors.values().copied();
        reaches.max().unwrap_or(Duration::ZERO)
    }
}

/// What the Prometheus metrics in these objects select for a release. Matchers of arguments whose values are
/// not known before the rollout runs are left out: that gives more series, not fewer.
///
/// # Errors
/// A query cannot be read before its arguments are known, or looks at fixed times.
pub fn wanted(objects: &[Value], release: &PastRelease) -> Result<Wanted, String> {
    let objects: Vec<Value> = objects.iter().map(|it| with_hashes(it, release)).collect();
    let mut arguments: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for object in &objects {
        collect_arguments(object, &mut arguments);
    }
    // Where an argument has several values, all of them may be asked for.
    let known: BTreeMap<String, String> = arguments
        .into_iter()
        .filter_map(|(name, mut values)| {
            values.sort();
            values.dedup();
            let only = values.pop()?;
            values.is_empty().then_some((name, only))
        })
        .collect();
    let mut wanted = Wanted::default();
    for object in &objects {
        collect(object, &known, &mut wanted)?;
    }
    wanted.others.sort();
    wanted.others.dedup();
    Ok(wanted)
}

fn collect_arguments(value: &Value, arguments: &mut BTreeMap<String, Vec<String>>) {
    match value {
        Value::Array(items) => {
            for item in items {
                collect_arguments(item, arguments);
            }
        }
        Value::Object(fields) => {
            let listed = fields.get("args").and_then(Value::as_array);
            for argument in listed.into_iter().flatten() {
                let text = |key: &str| argument.get(key).and_then(Value::as_str);
                let Some(name) = text("name") else { continue };
                if let Some(value) = text("value") {
                    let values = arguments.entry(name.to_owned()).or_default();
                    values.push(value.to_owned());
                } else if argument.get("valueFrom").is_some() {
                    // Another value that nobody knows yet.
                    let values = arguments.entry(name.to_owned()).or_default();
                    values.extend(["{{a}}", "{{b}}"].map(str::to_owned));
                }
            }
            for field in fields.values() {
                collect_arguments(field, arguments);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn collect(
    value: &Value,
    arguments: &BTreeMap<String, String>,
    wanted: &mut Wanted,
) -> Result<(), String> {
    match value {
        Value::Array(items) => {
            for item in items {
                collect(item, arguments, wanted)?;
            }
        }
        Value::Object(fields) => {
            if let (Some(name), Some(provider)) = (fields.get("name"), fields.get("provider")) {
                let name = name.as_str().unwrap_or_default();
                return match provider.get("prometheus") {
                    Some(settings) => add(name, settings, arguments, wanted),
                    None => {
                        wanted.others.push(name.to_owned());
                        Ok(())
                    }
                };
            }
            for field in fields.values() {
                collect(field, arguments, wanted)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(())
}

fn add(
    name: &str,
    settings: &Value,
    arguments: &BTreeMap<String, String>,
    wanted: &mut Wanted,
) -> Result<(), String> {
    let fail = |why: &str| format!("metric {name}: {why}");
    let metric: PrometheusMetric =
        serde_json::from_value(settings.clone()).map_err(|error| fail(&error.to_string()))?;
    let query = substituted(&metric.query, arguments);
    let expr = parse(&query).map_err(|errors| {
        fail(&if query.contains("{{") {
            format!(
                "the query cannot be read before its arguments are known: give their values under `args` of \
                 the releases ({errors})"
            )
        } else {
            errors.to_string()
        })
    })?;
    let before = match &metric.range_query {
        None => Duration::ZERO,
        Some(range) => {
            // Any moment does: what counts is the distance.
            let now = Timestamp::from_secs(1_700_000_000);
            let start = expr::evaluate_time(&substituted(&range.start, arguments), now);
            now.since(start.map_err(|error| fail(&format!("rangeQuery.start: {error}")))?)
        }
    };
    let mut found = Vec::new();
    selectors(&expr, before, &mut found).map_err(fail)?;
    for (selector, reach) in found {
        let known = wanted.selectors.entry(selector).or_insert(Duration::ZERO);
        *known = (*known).max(reach);
    }
    Ok(())
}

/// All selectors of an expression that is evaluated up to `before` ago.
fn selectors(
    expr: &Expr,
    before: Duration,
    found: &mut Vec<(String, Duration)>,
) -> Result<(), &'static str> {
    let lookback = Duration::from_millis(Settings::default().lookback);
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) => {}
        ExprKind::Vector(selector) => {
            let reach = before + moved(&selector.modifiers)? + lookback;
            found.push((selector_text(selector)?, reach));
        }
        ExprKind::Matrix(matrix) => {
            let reach = before + moved(&matrix.selector.modifiers)? + length(&matrix.range)?;
            found.push((selector_text(&matrix.selector)?, reach + lookback));
        }
        ExprKind::Subquery(subquery) => {
            let before = before + moved(&subquery.modifiers)? + length(&subquery.range)?;
            selectors(&subquery.expr, before, found)?;
        }
        ExprKind::Paren(_)
        | ExprKind::Unary { .. }
        | ExprKind::Binary(_)
        | ExprKind::Call(_)
        | ExprKind::Aggregate(_) => {
            for child in expr.children() {
                selectors(child, before, found)?;
            }
        }
    }
    Ok(())
}

fn length(length: &Length) -> Result<Duration, &'static str> {
    match length {
        Length::Fixed(nanos) => Ok(Duration::from_nanos(*nanos)),
        Length::Computed(_) => Err("a window that is computed cannot be fetched beforehand"),
    }
}

fn moved(modifiers: &Modifiers) -> Result<Duration, &'static str> {
    let Modifiers { offset, at } = modifiers;
    let at: &Option<At> = at;
    if at.is_some() {
        return Err("a query with `@` looks at fixed times, which cannot be fetched beforehand");
    }
    match offset {
        None => Ok(Duration::ZERO),
        Some(offset) => length(offset).map(|offset| offset.max(Duration::ZERO)),
    }
}

/// The matchers, without those whose value is not known.
fn selector_text(selector: &VectorSelector) -> Result<String, &'static str> {
    let known = |matcher: &&Matcher| !matcher.value.contains("{{");
    let mut texts: Vec<String> = selector
        .matchers
        .iter()
        .filter(known)
        .map(|matcher| {
            let (name, op) = (display_name(&matcher.name), matcher.op.text());
            format!("{name}{op}{}", gofmt::quote(&matcher.value))
        })
        .collect();
    if !selector
        .matchers
        .iter()
        .any(|it| known(&it) && !it.matches(""))
    {
        return Err(
            "all series would have to be fetched: give the values of its arguments under `args` of the releases",
        );
    }
    texts.sort();
    Ok(format!("{{{}}}", texts.join(",")))
}

/// The text with the known arguments filled in.
fn substituted(text: &str, arguments: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((key, tail)) = after.split_once("}}") else {
            out.push_str("{{");
            out.push_str(after);
            return out;
        };
        let name = key.trim().strip_prefix("args.");
        match name.and_then(|name| arguments.get(name)) {
            Some(value) => out.push_str(value),
            None => out.push_str(&format!("{{{{{key}}}}}")),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(query: &str) -> Result<Wanted, String> {
        let objects = [
            json!({"spec": {"strategy": {"canary": {"analysis": {"args": [
                {"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}},
                {"name": "service", "value": "shop"},
                {"name": "pod", "valueFrom": {"fieldRef": {"fieldPath": "x"}}},
            ]}}}}}),
            json!({"spec": {"metrics": [
                {"name": "m", "provider": {"prometheus": {"query": query}}},
                {"name": "w", "provider": {"web": {}}},
            ]}}),
        ];
        let release = json!({"name": "1", "start": "0", "canaryHash": "abc"});
        let release: PastRelease = serde_json::from_value(release).expect("a release");
        wanted(&objects, &release)
    }

    #[test]
    fn selectors_have_the_values_of_arguments() {
        let found = of(
            "sum(rate(a{hash=\"{{args.hash}}\",pod=\"{{args.pod}}\"}[2m] offset 1h)) / max_over_time(b{s=\"{{args.service}}\"}[10m:1m])",
        )
        .expect("readable");
        let wanted: Vec<(&str, i64)> = found
            .selectors
            .iter()
            .map(|(selector, reach)| (selector.as_str(), reach.as_secs_f64() as i64))
            .collect();
        assert_eq!(
            wanted,
            [
                ("{__name__=\"a\",hash=\"abc\"}", 3600 + 120 + 300),
                ("{__name__=\"b\",s=\"shop\"}", 600 + 300),
            ]
        );
        assert_eq!(found.others, ["w"]);
    }

    #[test]
    fn what_cannot_be_fetched_is_told() {
        for (query, why) in [
            ("a @ 100", "fixed times"),
            ("{{args.metric}}", "arguments are known"),
            ("{x=\"{{args.pod}}\"}", "all series"),
        ] {
            let error = of(query).expect_err(query);
            assert!(error.contains(why), "{query}: {error}");
        }
    }
}
