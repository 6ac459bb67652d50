//! A run's spec made ready to be measured: checked, arguments and secrets filled in.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::MeasurementAnswer;
use crate::engine::Observed;
use crate::expr;
use crate::spec::analysis::{AnalysisRun, AnalysisRunSpec, Argument, Metric};
use crate::spec::shared::Shared;
use crate::spec::templates::resolve_arguments;
use crate::spec::validation::validate_analysis_run;

/// Measurements kept of each metric unless the spec says otherwise.
const RETAINED_MEASUREMENTS: usize = 10;

/// What is put in the place of a secret (argo-rollouts `utils/log`).
pub const REDACTED: &str = "*****";

/// A run's metrics and rules.
pub(super) struct Prepared {
    /// Arguments filled in, also from secrets: fit to be measured, not to be shown.
    pub metrics: Shared<Vec<Metric>>,
    /// Names of metrics that do not count.
    pub dry_run: BTreeSet<String>,
    /// How many measurements to keep, by metric.
    retention: BTreeMap<String, usize>,
    /// Longest first, so that one that holds another leaves no rest.
    secrets: Vec<String>,
}

impl Prepared {
    /// # Errors
    /// The message of a run that cannot be measured.
    pub fn new(
        run: &AnalysisRun,
        observed: &Observed,
        answers: &[MeasurementAnswer],
    ) -> Result<Self, String> {
        let spec = &run.spec;
        // A run that has measured was checked before its first measurement.
        let checked = !run.status.metric_results.is_empty() || !answers.is_empty();
        if let Some(error) = (!checked).then(|| validate_analysis_run(spec)).flatten() {
            return Err(error.message);
        }
        let unresolved = |reason| format!("Unable to resolve metric arguments: {reason}");
        let (arguments, secrets) = read_secrets(&spec.args, observed).map_err(unresolved)?;
        let metrics = resolve_arguments(&spec.metrics, &arguments).map_err(unresolved)?;
        let prepared = Self {
            dry_run: dry_run_metrics(spec, &metrics),
            retention: retention(spec, &metrics),
            metrics,
            secrets,
        };
        prepared
            .check_conditions(run, answers)
            .map_err(|reason| prepared.redact(&format!("Analysis spec invalid: {reason}")))?;
        Ok(prepared)
    }

    /// How many measurements of this metric to keep.
    pub fn retained(&self, metric: &str) -> usize {
        self.retention
            .get(metric)
            .copied()
            .unwrap_or(RETAINED_MEASUREMENTS)
    }

    /// `text` without the values of secrets.
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = text.replace(secret.as_str(), REDACTED);
        }
        text
    }

    /// A condition that no result can satisfy is a mistake in the spec. (The reference takes it for
    /// an error of each measurement, which it repeats every ten seconds.) A metric in dry run
    /// shall not end the run, and one that has been measured has shown its condition to work.
    fn check_conditions(
        &self,
        run: &AnalysisRun,
        answers: &[MeasurementAnswer],
    ) -> Result<(), String> {
        let results = &run.status.metric_results;
        for (i, metric) in self.metrics.iter().enumerate() {
            if self.dry_run.contains(&metric.name)
                || results.iter().any(|result| result.name == metric.name)
                || answers.iter().any(|answer| answer.metric == metric.name)
            {
                continue;
            }
            for (kind, condition) in [
                ("successCondition", &metric.success_condition),
                ("failureCondition", &metric.failure_condition),
            ] {
                if condition.is_empty() {
                    continue;
                }
                expr::compile(condition, &expr::Type::Unknown).map_err(|error| {
                    format!("metrics[{i}]: could not evaluate {kind} \"{condition}\": {error}")
                })?;
            }
        }
        Ok(())
    }
}

/// Arguments with the values of secrets, and these values.
fn read_secrets(
    arguments: &[Argument],
    observed: &Observed,
) -> Result<(Vec<Argument>, Vec<String>), String> {
    let mut resolved = arguments.to_vec();
    let mut values = BTreeSet::new();
    for argument in &mut resolved {
        let Some(reference) = argument
            .value_from
            .as_ref()
            .and_then(|from| from.secret_key_ref.as_ref())
        else {
            continue;
        };
        let (name, key) = (&reference.name, &reference.key);
        let secret = observed
            .secrets
            .get(name)
            .ok_or_else(|| format!("secrets {name:?} not found"))?;
        let value = secret
            .get(key)
            .ok_or_else(|| format!("key '{key}' does not exist in secret '{name}'"))?;
        if !value.is_empty() {
            values.insert(value.clone());
        }
        argument.value = Some(value.clone());
    }
    let mut secrets: Vec<String> = values.into_iter().collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    Ok((resolved, secrets))
}

fn dry_run_metrics(spec: &AnalysisRunSpec, metrics: &[Metric]) -> BTreeSet<String> {
    spec.dry_run
        .iter()
        .flat_map(|rule| matching(&rule.metric_name, metrics))
        .collect()
}

/// Of several rules for a metric the last one counts.
fn retention(spec: &AnalysisRunSpec, metrics: &[Metric]) -> BTreeMap<String, usize> {
    let mut retention = BTreeMap::new();
    for rule in &spec.measurement_retention {
        for name in matching(&rule.metric_name, metrics) {
            let limit = usize::try_from(rule.limit).unwrap_or(0);
            let limit = if limit == 0 {
                RETAINED_MEASUREMENTS
            } else {
                limit
            };
            retention.insert(name, limit);
        }
    }
    retention
}

/// Names in which the pattern is found.
fn matching(pattern: &str, metrics: &[Metric]) -> Vec<String> {
    let Ok(pattern) = Regex::new(pattern) else {
        return Vec::new();
    };
    metrics
        .iter()
        .filter(|metric| pattern.is_match(&metric.name))
        .map(|metric| metric.name.clone())
        .collect()
}
