//! Analysis templates made into the spec of a run: merged, and their arguments filled in
//! (argo-rollouts `utils/analysis`, `utils/template`).

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde_json::Value;

use super::analysis::{AnalysisTemplateSpec, Argument, DryRun, MeasurementRetention, Metric};
use super::decode::decode;
use super::go_text;
use super::meta::{DurationString, IntOrString};
use super::metric_provider::{Authentication, MetricProvider, PrometheusMetric, WebMetricHeader};
use super::shared::Shared;

/// Several templates put together: all metrics and rules, and one argument a name.
///
/// # Errors
/// A metric or rule named twice, or an argument with two values.
pub fn merge_templates(
    templates: &[&AnalysisTemplateSpec],
) -> Result<AnalysisTemplateSpec, String> {
    let mut merged = AnalysisTemplateSpec {
        metrics: merge_metrics(templates),
        args: Vec::new(),
        dry_run: Vec::new(),
        measurement_retention: Vec::new(),
        templates: Vec::new(),
    };
    for template in templates {
        merged.dry_run.extend(template.dry_run.iter().cloned());
        merged
            .measurement_retention
            .extend(template.measurement_retention.iter().cloned());
    }
    if let Some(name) = first_duplicate(merged.metrics.iter().map(|metric| &metric.name)) {
        return Err(format!("two metrics have the same name '{name}'"));
    }
    refuse_duplicate_rules(&merged.dry_run, &merged.measurement_retention)?;
    for template in templates {
        for argument in &template.args {
            merge_argument(&mut merged.args, argument)?;
        }
    }
    Ok(merged)
}

/// The metrics of all templates; those of a single one are shared with it.
fn merge_metrics(templates: &[&AnalysisTemplateSpec]) -> Shared<Vec<Metric>> {
    let mut lists = templates.iter().map(|template| &template.metrics);
    let mut having = lists.clone().filter(|metrics| !metrics.is_empty());
    match (having.next(), having.next()) {
        (None, _) => Shared::default(),
        (Some(only), None) => only.clone(),
        (Some(_), Some(_)) => {
            // A metric is large: no room for more.
            let count = lists.clone().map(|metrics| metrics.len()).sum();
            let mut merged = Vec::with_capacity(count);
            lists
                .by_ref()
                .for_each(|metrics| merged.extend_from_slice(metrics));
            merged.into()
        }
    }
}

/// `template` arguments with the values `given` for them; given arguments the template does not
/// declare are left out.
///
/// # Errors
/// A declared argument without any value.
pub fn merge_arguments(given: &[Argument], template: &[Argument]) -> Result<Vec<Argument>, String> {
    let mut merged = template.to_vec();
    for argument in given {
        if let Some(declared) = merged
            .iter_mut()
            .find(|declared| declared.name == argument.name)
        {
            if argument.value.is_some() {
                declared.value.clone_from(&argument.value);
            } else if argument.value_from.is_some() {
                declared.value_from.clone_from(&argument.value_from);
            }
        }
    }
    match merged
        .iter()
        .find(|argument| argument.value.is_none() && argument.value_from.is_none())
    {
        Some(unresolved) => Err(format!("args.{} was not resolved", unresolved.name)),
        None => Ok(merged),
    }
}

/// Rules of whoever starts a run before those of its templates.
///
/// # Errors
/// Two rules for the same metric name.
pub fn merge_rules(
    given: (&[DryRun], &[MeasurementRetention]),
    template: (&[DryRun], &[MeasurementRetention]),
) -> Result<(Vec<DryRun>, Vec<MeasurementRetention>), String> {
    let dry_run = [given.0, template.0].concat();
    let retention = [given.1, template.1].concat();
    refuse_duplicate_rules(&dry_run, &retention)?;
    Ok((dry_run, retention))
}

/// The metrics with every `{{args.x}}` replaced, in any field.
///
/// # Errors
/// An argument without a value, a placeholder of an unknown argument or without an end, or a
/// result that is no metric any more.
pub fn resolve_arguments(
    metrics: &Shared<Vec<Metric>>,
    arguments: &[Argument],
) -> Result<Shared<Vec<Metric>>, String> {
    if metrics.is_empty() {
        return Ok(metrics.clone());
    }
    let values = argument_values(arguments)?;
    // Asked once for all copies of the list.
    let has_placeholder = metrics.digest(|metrics| u32::from(metrics.iter().any(has_placeholder)));
    if has_placeholder == 0 {
        return Ok(metrics.clone());
    }
    let resolved: Result<Vec<Metric>, String> = metrics
        .iter()
        .map(|metric| fill_in_metric(metric, &values))
        .collect();
    resolved.map(Shared::from)
}

/// As [`resolve_arguments`], of a single metric.
///
/// # Errors
/// See [`resolve_arguments`].
pub fn resolve_metric_arguments(metric: &Metric, arguments: &[Argument]) -> Result<Metric, String> {
    fill_in_metric(metric, &argument_values(arguments)?)
}

fn argument_values(arguments: &[Argument]) -> Result<BTreeMap<String, String>, String> {
    let mut values = BTreeMap::new();
    for argument in arguments {
        let value = argument
            .value
            .as_ref()
            .ok_or_else(|| format!("argument \"{}\" was not supplied", argument.name))?;
        // The text is JSON, so that a value stands inside quotes there.
        let quoted = go_text::quote(value);
        let inner = quoted
            .get(1..quoted.len().saturating_sub(1))
            .unwrap_or_default();
        values.insert(format!("args.{}", argument.name), inner.to_string());
    }
    Ok(values)
}

fn has_placeholder(metric: &Metric) -> bool {
    let mut search = PlaceholderSearch::default();
    // What cannot be written is told where it is filled in.
    serde_json::to_writer(&mut search, metric).is_err() || search.found
}

fn fill_in_metric(metric: &Metric, values: &BTreeMap<String, String>) -> Result<Metric, String> {
    // Most metrics end here.
    if let Some(filled) = fill_in_texts(metric, values) {
        return Ok(filled);
    }
    if !has_placeholder(metric) {
        return Ok(metric.clone());
    }
    let tree = serde_json::to_value(metric).map_err(|error| error.to_string())?;
    let mut filled = tree.clone();
    if fill_in_tree(&mut filled, values) {
        return decode(filled).map_err(|error| error.to_string());
    }
    let text = substitute(&go_text::json(&tree), values)?;
    let tree = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    decode(tree).map_err(|error| error.to_string())
}

/// Fills each text of a metric that asks Prometheus by itself. `None` for what else there may be, and
/// where that may not be the same as filling the JSON text.
fn fill_in_texts(metric: &Metric, values: &BTreeMap<String, String>) -> Option<Metric> {
    let text = |text: &str| fill_in_text(text, values);
    let duration = |written: &DurationString| text(&written.0).map(DurationString);
    let number = |number: &Option<IntOrString>| {
        Some(match number {
            Some(IntOrString::String(written)) => Some(IntOrString::String(text(written)?)),
            Some(IntOrString::Int(_)) | None => number.clone(),
        })
    };
    let Metric {
        name,
        interval,
        initial_delay,
        count,
        success_condition,
        failure_condition,
        failure_limit,
        inconclusive_limit,
        consecutive_error_limit,
        provider,
        consecutive_success_limit,
    } = metric;
    let prometheus = provider.prometheus.as_ref()?;
    let PrometheusMetric {
        address,
        query,
        authentication,
        timeout,
        insecure,
        headers,
        range_query: None,
    } = prometheus
    else {
        return None;
    };
    let filled = Metric {
        name: text(name)?,
        interval: duration(interval)?,
        initial_delay: duration(initial_delay)?,
        count: number(count)?,
        success_condition: text(success_condition)?,
        failure_condition: text(failure_condition)?,
        failure_limit: number(failure_limit)?,
        inconclusive_limit: number(inconclusive_limit)?,
        consecutive_error_limit: number(consecutive_error_limit)?,
        provider: MetricProvider {
            prometheus: Some(PrometheusMetric {
                address: text(address)?,
                query: text(query)?,
                authentication: Authentication::default(),
                timeout: *timeout,
                insecure: *insecure,
                headers: headers
                    .iter()
                    .map(|WebMetricHeader { key, value }| {
                        Some(WebMetricHeader {
                            key: text(key)?,
                            value: text(value)?,
                        })
                    })
                    .collect::<Option<_>>()?,
                range_query: None,
            }),
            ..MetricProvider::default()
        },
        consecutive_success_limit: number(consecutive_success_limit)?,
    };
    let MetricProvider {
        prometheus: _,
        kayenta: None,
        web: None,
        datadog: None,
        wavefront: None,
        new_relic: None,
        job: None,
        cloud_watch: None,
        graphite: None,
        influxdb: None,
        skywalking: None,
        plugin,
    } = provider
    else {
        return None;
    };
    (plugin.is_empty() && *authentication == Authentication::default()).then_some(filled)
}

/// Looks whether JSON that is written holds `{{`, which it does inside of strings only, where it is not
/// escaped and so comes in one piece.
#[derive(Default)]
struct PlaceholderSearch {
    found: bool,
}

impl io::Write for PlaceholderSearch {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.found = self.found || piece.windows(2).any(|pair| pair == b"{{");
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Fills the placeholders of each string by itself. False where that may not be the same as filling
/// the JSON text: a placeholder without a value or an end, text that JSON or Go would escape within
/// one, a number that Go writes in another way.
fn fill_in_tree(tree: &mut Value, values: &BTreeMap<String, String>) -> bool {
    match tree {
        Value::Null | Value::Bool(_) => true,
        Value::Number(number) => !number.is_f64(),
        Value::String(text) => match fill_in_text(text, values) {
            Some(filled) => {
                *text = filled;
                true
            }
            None => false,
        },
        Value::Array(items) => items.iter_mut().all(|item| fill_in_tree(item, values)),
        Value::Object(members) => members
            .iter_mut()
            .all(|(key, value)| !key.contains("{{") && fill_in_tree(value, values)),
    }
}

fn fill_in_text(text: &str, values: &BTreeMap<String, String>) -> Option<String> {
    let is_plain = |text: &str| {
        let is_plain = |c: char| matches!(c, ' '..='~') && !"\"\\<>&".contains(c);
        text.chars().all(is_plain)
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (tag, after) = after.split_once("}}")?;
        let value = values.get(tag.trim())?;
        if !is_plain(tag) || !is_plain(value) {
            return None;
        }
        out.push_str(before);
        out.push_str(value);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// `template` with every `{{key}}` replaced by its value; blanks around a key are ignored.
///
/// # Errors
/// A placeholder that has no value (the last such one is named) or no end.
pub fn substitute(template: &str, values: &BTreeMap<String, String>) -> Result<String, String> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    let mut unresolved = None;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((tag, after)) = after.split_once("}}") else {
            return Err(format!(
                "Cannot find end tag=\"}}}}\" in the template={} starting from {}",
                go_text::quote(template),
                go_text::quote(after)
            ));
        };
        match values.get(tag.trim()) {
            Some(value) => out.push_str(value),
            None => unresolved = Some(tag),
        }
        rest = after;
    }
    out.push_str(rest);
    match unresolved {
        Some(tag) => Err(format!("failed to resolve {{{{{tag}}}}}")),
        None => Ok(out),
    }
}

fn merge_argument(merged: &mut Vec<Argument>, argument: &Argument) -> Result<(), String> {
    let Some(previous) = merged
        .iter_mut()
        .find(|previous| previous.name == argument.name)
    else {
        merged.push(argument.clone());
        return Ok(());
    };
    match (&previous.value, &argument.value) {
        (Some(old), Some(new)) if old != new => Err(format!(
            "Argument `{}` specified multiple times with different values: '{old}', '{new}'",
            argument.name
        )),
        (Some(_), Some(_) | None) => Ok(()),
        (None, _) => {
            *previous = argument.clone();
            Ok(())
        }
    }
}

fn refuse_duplicate_rules(
    dry_run: &[DryRun],
    retention: &[MeasurementRetention],
) -> Result<(), String> {
    if let Some(name) = first_duplicate(dry_run.iter().map(|rule| &rule.metric_name)) {
        return Err(format!(
            "two Dry-Run metric rules have the same name '{name}'"
        ));
    }
    if let Some(name) = first_duplicate(retention.iter().map(|rule| &rule.metric_name)) {
        return Err(format!(
            "two Measurement Retention metric rules have the same name '{name}'"
        ));
    }
    Ok(())
}

fn first_duplicate<'a>(
    mut names: impl ExactSizeIterator<Item = &'a String> + Clone,
) -> Option<&'a String> {
    // A set costs more than looking at a few of them again.
    if names.len() <= 8 {
        let earlier = names.clone();
        let is_earlier =
            |(index, name): &(usize, &String)| earlier.clone().take(*index).any(|it| it == *name);
        return names.enumerate().find(is_earlier).map(|(_, name)| name);
    }
    let mut seen = BTreeSet::new();
    names.find(|name| !seen.insert(*name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn argument(name: &str, value: Option<&str>) -> Argument {
        Argument {
            name: name.into(),
            value: value.map(Into::into),
            value_from: None,
        }
    }

    #[test]
    fn arguments_are_filled_in_everywhere() {
        let metric: Metric = decode(json!({
            "name": "m", "count": "{{args.n}}", "successCondition": "result < {{ args.x }}",
            "provider": {"plugin": {"p": {"deep": ["{{args.x}}"]}}}
        }))
        .unwrap();
        let arguments = [argument("n", Some("3")), argument("x", Some("\"q\"\n"))];
        let resolved = resolve_metric_arguments(&metric, &arguments).unwrap();
        assert_eq!(resolved.count, Some("3".into()));
        assert_eq!(resolved.success_condition, "result < \"q\"\n");
        assert_eq!(
            resolve_metric_arguments(&metric, &arguments[..1]).unwrap_err(),
            "failed to resolve {{args.x}}"
        );
        assert_eq!(
            resolve_metric_arguments(&metric, &[argument("n", None)]).unwrap_err(),
            "argument \"n\" was not supplied"
        );
    }

    #[test]
    fn the_first_value_of_an_argument_wins_and_two_are_refused() {
        let spec = |value: Option<&str>| AnalysisTemplateSpec {
            args: vec![argument("a", value)],
            ..AnalysisTemplateSpec::default()
        };
        let (none, one, two) = (spec(None), spec(Some("1")), spec(Some("2")));
        assert_eq!(
            merge_templates(&[&none, &one, &none]).unwrap().args,
            one.args
        );
        assert!(merge_templates(&[&one, &two]).is_err());
        assert_eq!(
            merge_arguments(&[], &none.args).unwrap_err(),
            "args.a was not resolved"
        );
        assert_eq!(merge_arguments(&two.args, &one.args).unwrap(), two.args);
    }
}
