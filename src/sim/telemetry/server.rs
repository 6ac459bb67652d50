//! What a Prometheus server answers to a provider: its HTTP API over a store.

use serde_json::{Value, json};

use crate::promql::ast::Expr;
use crate::promql::eval::{ErrorKind, SampleValue};
use crate::promql::gofmt::format_f;
use crate::promql::{self, Engine, EvalError, Outcome, ParseErrors, Store};
use crate::providers::Response;
use crate::providers::prometheus::Times;
use crate::time::{Duration, Timestamp};

/// Most steps of a range query.
const MAX_STEPS: i64 = 11_000;

/// The answer of a stock server that holds these series.
pub(super) fn answer(store: &Store, expr: &Result<Expr, ParseErrors>, times: Times) -> Response {
    let outcome = match times {
        Times::Instant(at) => parsed(expr).and_then(|expr| {
            Engine::default()
                .instant(store, expr, millis(at))
                .map_err(|error| evaluation_failed(&error))
        }),
        Times::Range { start, end, step } => check_range(start, end, step).and_then(|()| {
            Engine::default()
                .range(
                    store,
                    parsed(expr)?,
                    millis(start),
                    millis(end),
                    step.as_millis(),
                )
                .map_err(|error| evaluation_failed(&error))
        }),
    };
    match outcome {
        Ok(outcome) => {
            let at = match times {
                Times::Instant(at) => at,
                Times::Range { end, .. } => end,
            };
            Response::status(200, body(&outcome, at.as_secs_f64()).to_string())
        }
        Err(response) => response,
    }
}

fn millis(at: Timestamp) -> i64 {
    at.as_nanos().div_euclid(1_000_000)
}

fn parsed(expr: &Result<Expr, ParseErrors>) -> Result<&Expr, Response> {
    expr.as_ref().map_err(|errors| {
        failed(
            400,
            "bad_data",
            &format!("invalid parameter \"query\": {errors}"),
        )
    })
}

fn check_range(start: Timestamp, end: Timestamp, step: Duration) -> Result<(), Response> {
    let refused = |message: &str| Err(failed(400, "bad_data", message));
    if end < start {
        return refused("invalid parameter \"end\": end timestamp must not be before start time");
    }
    if step.as_millis() <= 0 {
        return refused(
            "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer",
        );
    }
    if end.since(start).as_nanos() / step.as_nanos() > MAX_STEPS {
        return refused(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        );
    }
    Ok(())
}

fn evaluation_failed(error: &EvalError) -> Response {
    match error.kind {
        ErrorKind::Execution | ErrorKind::TooManySamples => {
            failed(422, "execution", &error.message)
        }
        ErrorKind::Timeout => failed(503, "timeout", &error.message),
    }
}

fn failed(status: u16, kind: &str, message: &str) -> Response {
    let body = json!({"status": "error", "errorType": kind, "error": message});
    Response::status(status, body.to_string())
}

/// As far as the provider reads it: of labels and native histograms only that there are some.
fn body(outcome: &Outcome, at: f64) -> Value {
    let Outcome {
        value,
        warnings,
        infos: _,
    } = outcome;
    let (kind, result) = match value {
        promql::Value::Scalar(value) => ("scalar", json!([at, format_f(*value)])),
        promql::Value::String(text) => ("string", json!([at, text])),
        promql::Value::Vector(samples) => (
            "vector",
            samples
                .iter()
                .map(|sample| match &sample.value {
                    SampleValue::Float(value) => {
                        json!({"metric": {}, "value": [at, format_f(*value)]})
                    }
                    SampleValue::Histogram(_) => json!({"metric": {}, "histogram": [at, {}]}),
                })
                .collect(),
        ),
        promql::Value::Matrix(series) => (
            "matrix",
            series
                .iter()
                .map(|series| {
                    let values: Vec<Value> = series
                        .floats
                        .iter()
                        .map(|point| json!([point.time as f64 / 1000.0, format_f(point.value)]))
                        .collect();
                    json!({"metric": {}, "values": values})
                })
                .collect(),
        ),
    };
    let data = json!({"resultType": kind, "result": result});
    json!({"status": "success", "data": data, "warnings": warnings})
}
