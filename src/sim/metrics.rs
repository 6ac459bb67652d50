//! What metric providers answer.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::providers::{self, Response};
use crate::spec::analysis::{AnalysisRun, Measurement, Metric};
use crate::time::{Duration, Timestamp};

use super::world::World;

/// Answers measurements. Jobs are not asked here: the simulated cluster runs them.
pub trait MetricSource {
    fn measure(&mut self, request: &MetricRequest<'_>) -> MetricAnswer;
}

/// A measurement to be taken.
#[derive(Debug, Clone, Copy)]
pub struct MetricRequest<'a> {
    pub namespace: &'a str,
    pub run: &'a AnalysisRun,
    /// The metric, arguments resolved.
    pub metric: &'a Metric,
    /// The unfinished measurement to go on with.
    pub resume: Option<&'a Measurement>,
    pub now: Timestamp,
    pub world: &'a World,
}

/// A measurement and how long it took.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricAnswer {
    pub measurement: Measurement,
    pub took: Duration,
}

impl MetricAnswer {
    pub fn at_once(measurement: Measurement) -> Self {
        Self {
            measurement,
            took: Duration::ZERO,
        }
    }
}

/// How a script is found for a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptKey {
    /// By the metric's name.
    MetricName,
    /// By the last segment of the provider's address (`http://host/a/NAME`).
    AddressTail,
}

/// Scripted answers: the n-th request of a script gets its n-th value, the last one repeats; a metric
/// without a script always gets `1`.
///
/// A plain request gets `{"value": v}`, or `v` itself where it is an object; a Prometheus query gets
/// a vector of one sample, or of as many as `v` has elements; `"NaN"`, `"Inf"`, `"-Inf"` are those
/// numbers, `"scalar"` is an answer of type scalar. `"error"` is HTTP status 500, `"timeout"` no answer
/// within the provider's time limit.
#[derive(Debug, Clone, PartialEq)]
pub struct ScriptedMetrics {
    key: ScriptKey,
    scripts: BTreeMap<String, Vec<Value>>,
    asked: BTreeMap<String, usize>,
}

impl ScriptedMetrics {
    pub fn new(key: ScriptKey, scripts: BTreeMap<String, Vec<Value>>) -> Self {
        Self {
            key,
            scripts,
            asked: BTreeMap::new(),
        }
    }

    fn next_value(&mut self, metric: &Metric) -> Value {
        let name = match self.key {
            ScriptKey::MetricName => metric.name.clone(),
            ScriptKey::AddressTail => address_tail(metric),
        };
        let asked = self.asked.entry(name.clone()).or_insert(0);
        let index = *asked;
        *asked = index.saturating_add(1);
        let script = self
            .scripts
            .get(&name)
            .map(Vec::as_slice)
            .unwrap_or_default();
        script
            .get(index)
            .or(script.last())
            .cloned()
            .unwrap_or_else(|| json!(1))
    }
}

impl MetricSource for ScriptedMetrics {
    fn measure(&mut self, request: &MetricRequest<'_>) -> MetricAnswer {
        let metric = request.metric;
        if let Some(refused) = providers::check(metric, request.now) {
            return MetricAnswer::at_once(refused);
        }
        let value = self.next_value(metric);
        let timeout = providers::timeout(metric);
        let (response, took) = match value.as_str() {
            Some("error") => (
                Response::status(
                    500,
                    r#"{"status":"error","errorType":"internal","error":"scripted error"}"#,
                ),
                Duration::ZERO,
            ),
            Some("timeout") => (Response::TimedOut, timeout),
            Some(_) | None if metric.provider.prometheus.is_some() => (
                Response::status(200, prometheus_body(&value, request.now)),
                Duration::ZERO,
            ),
            Some(_) | None if value.is_object() => {
                (Response::status(200, value.to_string()), Duration::ZERO)
            }
            Some(_) | None => (
                Response::status(200, json!({ "value": value }).to_string()),
                Duration::ZERO,
            ),
        };
        MetricAnswer {
            measurement: providers::decode(metric, &response, request.now, request.now + took),
            took,
        }
    }
}

fn address_tail(metric: &Metric) -> String {
    let provider = &metric.provider;
    let address = provider
        .web
        .as_ref()
        .map(|web| web.url.as_str())
        .or_else(|| {
            provider
                .prometheus
                .as_ref()
                .map(|prometheus| prometheus.address.as_str())
        })
        .unwrap_or(&metric.name);
    let path = address.split(['?', '#']).next().unwrap_or_default();
    path.trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn prometheus_body(value: &Value, now: Timestamp) -> String {
    let at = now.as_secs_f64();
    if value.as_str() == Some("scalar") {
        return json!({"status": "success", "data": {"resultType": "scalar", "result": [at, "1"]}})
            .to_string();
    }
    let samples: Vec<Value> = match value {
        Value::Array(values) => values.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            vec![value.clone()]
        }
    };
    let result: Vec<Value> = samples
        .iter()
        .enumerate()
        .map(|(index, sample)| {
            let text = match sample.as_str() {
                Some("Inf") => "+Inf".to_owned(),
                Some(text) => text.to_owned(),
                None => sample.to_string(),
            };
            json!({"metric": {"i": index.to_string()}, "value": [at, text]})
        })
        .collect();
    json!({"status": "success", "data": {"resultType": "vector", "result": result}}).to_string()
}
