//! Shows dangers by evaluation: what a metric makes of a given answer of its provider.

use super::context::MetricView;
use crate::expr::Value;
use crate::promql::ast::Expr;
use crate::promql::{self, Engine, Store};
use crate::providers::Answer;
use crate::providers::conditions::judge;
use crate::providers::prometheus::{sample_text, scalar_answer, vector_answer};
use crate::spec::analysis::AnalysisPhase;
use crate::spec::metric_provider::MetricProvider;
use crate::spec::string_map::StringMap;
use crate::time::Timestamp;

/// An answer of a metric provider.
#[derive(Clone, Debug, PartialEq)]
pub enum ProviderAnswer {
    /// No data: an empty vector, list or nil, by provider.
    Empty,
    /// One number, which may be NaN; a vector of it where the provider gives vectors.
    Number(f64),
    /// Several series, as far as the provider can give them.
    Numbers(Vec<f64>),
}

/// What a metric made of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricOutcome {
    pub phase: AnalysisPhase,
    /// Why it erred; else empty.
    pub message: String,
    /// The answer as the conditions see it, such as `[]`, `nil` or `[NaN]`.
    pub answer: String,
}

/// The outcome of one measurement, by the provider's decoder and the metric's conditions.
///
/// `None` for providers that this program does not decode (job, web, kayenta, plugins), and
/// where the provider cannot give such an answer.
pub fn evaluate_outcome(metric: &MetricView<'_>, answer: &ProviderAnswer) -> Option<MetricOutcome> {
    let MetricProvider {
        prometheus,
        kayenta: _,
        web: _,
        datadog,
        wavefront,
        new_relic,
        job: _,
        cloud_watch,
        graphite,
        influxdb,
        skywalking: _,
        plugin: _,
    } = &metric.metric.provider;
    let numbers: &[f64] = match answer {
        ProviderAnswer::Empty => &[],
        ProviderAnswer::Number(number) => std::slice::from_ref(number),
        ProviderAnswer::Numbers(numbers) => numbers,
    };
    if prometheus.is_some() {
        // Only the query tells a scalar from a vector.
        let is_scalar = metric
            .parsed_query()
            .is_some_and(|query| query.value_type() == promql::ast::ValueType::Scalar);
        let answer = match (is_scalar, numbers) {
            (true, [number]) => scalar_answer(*number),
            (true, _) => return None,
            (false, numbers) => vector_answer(numbers.to_vec()),
        };
        return Some(judged_answer(metric, answer));
    }
    if datadog.is_some() {
        return Some(match numbers {
            [] => judged(metric, Value::Nil, "nil"),
            [number] => judged(metric, Value::Float(*number), &sample_text(*number)),
            several => judged(metric, Value::floats(several.iter().copied()), "a list"),
        });
    }
    if cloud_watch.is_some() && numbers.is_empty() {
        return Some(judged(metric, Value::array(Vec::new()), "[]"));
    }
    // These say that there is no data and ask no condition.
    let errs_on_nothing =
        wavefront.is_some() || new_relic.is_some() || influxdb.is_some() || graphite.is_some();
    (errs_on_nothing && numbers.is_empty()).then(|| MetricOutcome {
        phase: AnalysisPhase::Error,
        message: "the provider reports that there is no data".to_owned(),
        answer: "no data".to_owned(),
    })
}

/// The outcome of a Prometheus metric where no series exists at all: the query is evaluated over
/// nothing. `None` for a query that reads no series, or that cannot be evaluated.
pub fn evaluate_without_series(metric: &MetricView<'_>, query: &Expr) -> Option<MetricOutcome> {
    if !query.reads_series() {
        return None;
    }
    evaluate_over(metric, query, &Store::new(), 0)
}

/// The outcome of a Prometheus metric over these series, at a time in milliseconds since the
/// epoch. `None` for a query that cannot be evaluated, or that gives native histograms.
pub fn evaluate_over(
    metric: &MetricView<'_>,
    query: &Expr,
    store: &Store,
    at: i64,
) -> Option<MetricOutcome> {
    let outcome = Engine::default().instant(store, query, at).ok()?;
    let answer = match outcome.value {
        promql::Value::Scalar(number) => scalar_answer(number),
        promql::Value::Vector(samples) => {
            let numbers: Option<Vec<f64>> = samples
                .iter()
                .map(|sample| match &sample.value {
                    crate::promql::eval::SampleValue::Float(value) => Some(*value),
                    crate::promql::eval::SampleValue::Histogram(_) => None,
                })
                .collect();
            vector_answer(numbers?)
        }
        promql::Value::Matrix(_) | promql::Value::String(_) => return None,
    };
    Some(judged_answer(metric, answer))
}

fn judged(metric: &MetricView<'_>, result: Value, text: &str) -> MetricOutcome {
    let answer = Answer {
        result,
        text: text.to_owned(),
        metadata: StringMap::default(),
    };
    judged_answer(metric, answer)
}

fn judged_answer(metric: &MetricView<'_>, answer: Answer) -> MetricOutcome {
    let compiled = &mut *metric.compiled.borrow_mut();
    let judged = judge(&metric.metric, &answer.result, Timestamp::EPOCH, compiled);
    let (phase, message) = match judged {
        Ok(phase) => (phase, String::new()),
        Err(message) => (AnalysisPhase::Error, message),
    };
    MetricOutcome {
        phase,
        message,
        answer: answer.text,
    }
}
