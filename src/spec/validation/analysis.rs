//! Metrics, analysis runs and analysis templates (argo-rollouts `utils/analysis/factory.go`,
//! `analysis/analysis.go`).

use std::collections::BTreeSet;

use regex::Regex;

use crate::spec::analysis::{AnalysisRunSpec, AnalysisTemplateSpec, Argument, Metric};
use crate::spec::metric_provider::MetricProvider;
use crate::spec::templates::{merge_templates, resolve_metric_arguments};

/// Stands for values that are only known when a run starts; the reference's word.
const PLACEHOLDER: &str = "dummy-value";

/// Why a run or a template cannot be measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnalysisError {
    /// Field it is about, such as `spec.metrics[0]`.
    pub path: String,
    /// As the reference puts it into the run's status.
    pub message: String,
}

/// What a run errs with before its first measurement, the first of several only.
///
/// Arguments from secrets count as given.
pub fn validate_analysis_run(spec: &AnalysisRunSpec) -> Option<AnalysisError> {
    let arguments = with_secrets(&spec.args);
    let mut metrics = Vec::with_capacity(spec.metrics.len());
    for (i, metric) in spec.metrics.iter().enumerate() {
        match resolve_metric_arguments(metric, &arguments) {
            Ok(resolved) => metrics.push(resolved),
            Err(reason) => {
                return Some(AnalysisError {
                    path: format!("spec.metrics[{i}]"),
                    message: format!("Unable to resolve metric arguments: {reason}"),
                });
            }
        }
    }
    let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    let dry_run = spec.dry_run.iter().map(|rule| rule.metric_name.as_str());
    let retention = spec
        .measurement_retention
        .iter()
        .map(|rule| rule.metric_name.as_str());
    let (path, reason) = if let Err(reason) = validate_metrics(&metrics) {
        ("spec.metrics", reason)
    } else if let Err(reason) = match_rules("dryRun", dry_run, &names) {
        ("spec.dryRun", reason)
    } else if let Err(reason) = match_rules("measurementRetention", retention, &names) {
        ("spec.measurementRetention", reason)
    } else {
        return None;
    };
    Some(AnalysisError {
        path: path.into(),
        message: format!("Analysis spec invalid: {reason}"),
    })
}

/// What a run of a template would err with, whatever values its open arguments get. `templates`
/// are the template and those it pulls in, see [`super::resolve_template_references`].
pub fn validate_analysis_template(templates: &[&AnalysisTemplateSpec]) -> Option<AnalysisError> {
    let merged = match merge_templates(templates) {
        Ok(merged) => merged,
        Err(message) => {
            return Some(AnalysisError {
                path: "spec".into(),
                message,
            });
        }
    };
    let args = match fill_in(&merged.args) {
        Ok(args) => args,
        Err(message) => {
            return Some(AnalysisError {
                path: "spec.args".into(),
                message,
            });
        }
    };
    validate_analysis_run(&AnalysisRunSpec {
        metrics: merged.metrics,
        args,
        dry_run: merged.dry_run,
        measurement_retention: merged.measurement_retention,
        ..AnalysisRunSpec::default()
    })
}

/// Checks resolved metrics.
///
/// # Errors
/// The first mistake, with the index of its metric.
pub fn validate_metrics(metrics: &[Metric]) -> Result<(), String> {
    if metrics.is_empty() {
        return Err("no metrics specified".into());
    }
    let mut names = BTreeSet::new();
    for (i, metric) in metrics.iter().enumerate() {
        if !names.insert(&metric.name) {
            return Err(format!("metrics[{i}]: duplicate name '{}'", metric.name));
        }
        validate_metric(metric).map_err(|reason| format!("metrics[{i}]: {reason}"))?;
    }
    Ok(())
}

/// Checks one resolved metric.
///
/// # Errors
/// The first mistake.
pub fn validate_metric(metric: &Metric) -> Result<(), String> {
    validate_limits(metric)?;
    if !metric.interval.is_empty() {
        let interval = metric.interval.parse();
        interval.map_err(|error| format!("invalid interval string: {error}"))?;
    }
    if !metric.initial_delay.is_empty() {
        let delay = metric.initial_delay.parse();
        delay.map_err(|error| format!("invalid startDelay string: {error}"))?;
    }
    match provider_count(&metric.provider) {
        0 => Err("no provider specified".into()),
        1 => Ok(()),
        _ => Err("multiple providers specified".into()),
    }
}

fn validate_limits(metric: &Metric) -> Result<(), String> {
    let number = |field: &Option<crate::spec::meta::IntOrString>| {
        field.as_ref().map_or(0, |value| value.int_value())
    };
    let count = number(&metric.count);
    let failures = number(&metric.failure_limit);
    let successes = number(&metric.consecutive_success_limit);
    let inconclusive = number(&metric.inconclusive_limit);
    if successes < 0 {
        return Err("consecutiveSuccessLimit must be >= 0".into());
    }
    if failures < -1 {
        return Err("failureLimit must be >= 0, or -1 to be disabled".into());
    }
    if successes == 0 && failures == -1 {
        return Err("failureLimit and consecutiveSuccessLimit cannot both be disabled".into());
    }
    if inconclusive < 0 {
        return Err("inconclusiveLimit must be >= 0".into());
    }
    if number(&metric.consecutive_error_limit) < 0 {
        return Err("consecutiveErrorLimit must be >= 0".into());
    }
    if count > 0 {
        if failures >= 0 && count < failures.saturating_add(successes) {
            return Err(format!(
                "count ({count}) must be >= failureLimit + consecutiveSuccessLimit ({failures} + {successes}) if both >= 0"
            ));
        }
        if failures < 0 && count < successes {
            return Err("count must be >= consecutiveSuccessLimit".into());
        }
        if count < inconclusive {
            return Err("count must be >= inconclusiveLimit".into());
        }
    }
    if count > 1 && metric.interval.is_empty() {
        return Err("interval must be specified when count > 1".into());
    }
    Ok(())
}

/// Every plugin counts as a provider.
fn provider_count(provider: &MetricProvider) -> usize {
    let MetricProvider {
        prometheus,
        kayenta,
        web,
        datadog,
        wavefront,
        new_relic,
        job,
        cloud_watch,
        graphite,
        influxdb,
        skywalking,
        plugin,
    } = provider;
    let built_in = [
        prometheus.is_some(),
        kayenta.is_some(),
        web.is_some(),
        datadog.is_some(),
        wavefront.is_some(),
        new_relic.is_some(),
        job.is_some(),
        cloud_watch.is_some(),
        graphite.is_some(),
        influxdb.is_some(),
        skywalking.is_some(),
    ];
    built_in.iter().filter(|is_set| **is_set).count() + plugin.len()
}

/// Gives every argument a value.
///
/// # Errors
/// An argument with both `value` and `valueFrom`.
pub(super) fn fill_in(args: &[Argument]) -> Result<Vec<Argument>, String> {
    args.iter()
        .map(|argument| {
            if argument.value.is_some() && argument.value_from.is_some() {
                return Err(format!(
                    "arg '{}' has both Value and ValueFrom fields",
                    argument.name
                ));
            }
            let value = argument.value.clone().or_else(|| Some(PLACEHOLDER.into()));
            Ok(Argument {
                value,
                ..argument.clone()
            })
        })
        .collect()
}

fn with_secrets(args: &[Argument]) -> Vec<Argument> {
    args.iter()
        .map(|argument| {
            let value_from = argument.value_from.as_ref();
            let mut argument = argument.clone();
            if value_from.is_some_and(|value_from| value_from.secret_key_ref.is_some()) {
                argument.value = Some("temp-for-secret".into());
            }
            argument
        })
        .collect()
}

/// Every rule is a regular expression that has to match a metric's name somewhere; one that is
/// none matches nothing.
fn match_rules<'a>(
    field: &str,
    rules: impl Iterator<Item = &'a str>,
    metric_names: &[&str],
) -> Result<(), String> {
    for (i, rule) in rules.enumerate() {
        let is_used = Regex::new(rule)
            .is_ok_and(|pattern| metric_names.iter().any(|name| pattern.is_match(name)));
        if !is_used {
            return Err(format!(
                "{field}[{i}]: Rule didn't match any metric name(s)"
            ));
        }
    }
    Ok(())
}
