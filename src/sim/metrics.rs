//! What metric providers answer.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::expr;
use crate::providers::{self, Answer, Response, web};
use crate::spec::analysis::{Measurement, Metric};
use crate::spec::string_map::StringMap;
use crate::time::{Duration, Timestamp};

use super::world::World;

/// Answers measurements. Jobs are not asked here: the simulated cluster runs them.
pub trait MetricSource {
    fn measure(&mut self, request: &MetricRequest<'_>) -> MetricAnswer;

    /// Tells that time goes on from `now`, the world being as it is then until the next call.
    fn time_passes(&mut self, _now: Timestamp, _world: &World) {}
}

impl<M: MetricSource + ?Sized> MetricSource for Box<M> {
    fn measure(&mut self, request: &MetricRequest<'_>) -> MetricAnswer {
        self.as_mut().measure(request)
    }

    fn time_passes(&mut self, now: Timestamp, world: &World) {
        self.as_mut().time_passes(now, world);
    }
}

/// A measurement to be taken.
#[derive(Debug, Clone, Copy)]
pub struct MetricRequest<'a> {
    /// The metric, arguments resolved.
    pub metric: &'a Metric,
    /// Pod template hash of the version that the run judges; none where the run does not say it.
    pub judged: Option<&'a str>,
    /// On the controller's clock.
    pub now: Timestamp,
    /// On everybody else's.
    pub cluster_time: Timestamp,
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
/// - A Prometheus query gets a vector of one sample, or of as many as the value has elements.
/// - A web request gets the value itself where it is an object, else the document in which the
///   metric's `jsonPath` finds it (`{"value": v}` without a path).
/// - Of other providers the value is what conditions call `result`.
/// - `"NaN"`, `"Inf"`, `"-Inf"` are those numbers; `"scalar"` is an answer of type scalar; `"error"` is
///   HTTP status 500, `"timeout"` no answer within the provider's time limit.
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
        let value = self.next_value(request.metric);
        answer(request, &value)
    }
}

/// The measurement for a value of a script.
pub(super) fn answer(request: &MetricRequest<'_>, value: &Value) -> MetricAnswer {
    let metric = request.metric;
    let now = request.now;
    if !providers::is_known(metric) {
        return MetricAnswer::at_once(judge_value(metric, value, now));
    }
    if let Some(refused) = providers::check(metric, now) {
        return MetricAnswer::at_once(refused);
    }
    let (response, took) = match value.as_str() {
        Some("error") => (
            Response::status(
                500,
                r#"{"status":"error","errorType":"internal","error":"scripted error"}"#,
            ),
            Duration::ZERO,
        ),
        Some("timeout") => (Response::TimedOut, providers::timeout(metric)),
        Some(_) | None => (
            Response::status(200, body(metric, value, request.now)),
            Duration::ZERO,
        ),
    };
    MetricAnswer {
        measurement: providers::decode(metric, &response, request.now, request.now + took),
        took,
    }
}

/// Of a provider whose answers are not known here, the value is what conditions call `result`.
fn judge_value(metric: &Metric, value: &Value, now: Timestamp) -> Measurement {
    let float = match value.as_str() {
        Some(failure @ ("error" | "timeout")) => {
            return providers::error_measurement(format!("scripted {failure}"), now, now);
        }
        Some("NaN") => Some(f64::NAN),
        Some("Inf") => Some(f64::INFINITY),
        Some("-Inf") => Some(f64::NEG_INFINITY),
        Some(_) | None => None,
    };
    let answer = Answer {
        result: float.map_or_else(|| expr::Value::from_json(value), expr::Value::Float),
        text: value.to_string(),
        metadata: StringMap::default(),
    };
    providers::judge(metric, answer, now, now)
}

fn body(metric: &Metric, value: &Value, now: Timestamp) -> String {
    let provider = &metric.provider;
    if provider.prometheus.is_some() {
        return prometheus_body(value, now);
    }
    if value.is_object() {
        return value.to_string();
    }
    let web = (provider.web.as_ref()).filter(|web| !web.json_path.is_empty());
    web.and_then(|web| web::document(web, value.clone()))
        .unwrap_or_else(|| json!({ "value": value }))
        .to_string()
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
