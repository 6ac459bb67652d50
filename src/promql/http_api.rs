//! Results in the shape of Prometheus' HTTP API.

use serde_json::{Map, Number, Value as Json, json};

use super::eval::ErrorKind;
use super::eval::{
    EvalError, FloatPoint, HistogramPoint, Outcome, Sample, SampleValue, Series, Value,
};
use super::gofmt::format_api;
use super::histogram::Histogram;
use super::labels::Labels;

/// The answer to a query; `at` is the time of an instant query, in milliseconds.
pub fn success(outcome: &Outcome, at: i64) -> Json {
    let Outcome {
        value,
        warnings,
        infos,
    } = outcome;
    let (result_type, result) = match value {
        Value::Vector(samples) => {
            let samples = samples.iter().map(|sample| sample_json(sample, at));
            ("vector", samples.collect())
        }
        Value::Matrix(series) => ("matrix", series.iter().map(series_json).collect()),
        Value::Scalar(value) => ("scalar", json!([seconds(at), format_api(*value)])),
        Value::String(text) => ("string", json!([seconds(at), text])),
    };
    let mut answer = json!({
        "status": "success",
        "data": {"resultType": result_type, "result": Json::Array(Vec::new())},
    });
    if let Some(place) = answer.pointer_mut("/data/result") {
        *place = result;
    }
    add_remarks(&mut answer, "warnings", warnings);
    add_remarks(&mut answer, "infos", infos);
    answer
}

/// The answer to a query that cannot be read; `parameter` is the one of the request.
pub fn bad_parameter(parameter: &str, message: &str) -> Json {
    let message = format!("invalid parameter {parameter:?}: {message}");
    error("bad_data", &message)
}

/// The answer to a request that asks for too much.
pub fn bad_request(message: &str) -> Json {
    error("bad_data", message)
}

/// The answer to a query that cannot be evaluated.
pub fn failure(failed: &EvalError) -> Json {
    let kind = match failed.kind {
        ErrorKind::Execution | ErrorKind::TooManySamples => "execution",
        ErrorKind::Timeout => "timeout",
    };
    error(kind, &failed.message)
}

fn error(kind: &str, message: &str) -> Json {
    json!({"status": "error", "errorType": kind, "error": message})
}

fn add_remarks(answer: &mut Json, key: &str, remarks: &[String]) {
    if let (Json::Object(answer), false) = (answer, remarks.is_empty()) {
        answer.insert(key.to_owned(), json!(remarks));
    }
}

fn sample_json(sample: &Sample, at: i64) -> Json {
    let Sample { labels, value } = sample;
    let metric = metric(labels);
    match value {
        SampleValue::Float(value) => {
            json!({"metric": metric, "value": [seconds(at), format_api(*value)]})
        }
        SampleValue::Histogram(value) => {
            json!({"metric": metric, "histogram": [seconds(at), histogram(value)]})
        }
    }
}

fn series_json(series: &Series) -> Json {
    let mut object = Map::new();
    object.insert("metric".to_owned(), metric(&series.labels));
    if !series.floats.is_empty() {
        let point = |point: &FloatPoint| json!([seconds(point.time), format_api(point.value)]);
        let values = series.floats.iter().map(point).collect();
        object.insert("values".to_owned(), values);
    }
    if !series.histograms.is_empty() {
        let point =
            |point: &HistogramPoint| json!([seconds(point.time), histogram(&point.histogram)]);
        let values = series.histograms.iter().map(point).collect();
        object.insert("histograms".to_owned(), values);
    }
    Json::Object(object)
}

fn metric(labels: &Labels) -> Json {
    labels
        .iter()
        .map(|(name, value)| (name.to_owned(), Json::from(value)))
        .collect::<Map<_, _>>()
        .into()
}

/// Seconds with at most three decimals, whole ones without a point.
fn seconds(millis: i64) -> Number {
    if millis % 1000 == 0 {
        return Number::from(millis / 1000);
    }
    Number::from_f64(millis as f64 / 1000.0).unwrap_or_else(|| Number::from(millis / 1000))
}

fn histogram(histogram: &Histogram) -> Json {
    let mut object = Map::new();
    object.insert("count".to_owned(), format_api(histogram.count).into());
    object.insert("sum".to_owned(), format_api(histogram.sum).into());
    let buckets: Vec<Json> = histogram
        .all_buckets()
        .iter()
        .filter(|bucket| bucket.count != 0.0)
        .map(|bucket| {
            let boundaries = match (bucket.lower_inclusive, bucket.upper_inclusive) {
                (false, true) => 0,
                (true, false) => 1,
                (false, false) => 2,
                (true, true) => 3,
            };
            json!([
                boundaries,
                format_api(bucket.lower),
                format_api(bucket.upper),
                format_api(bucket.count)
            ])
        })
        .collect();
    if !buckets.is_empty() {
        object.insert("buckets".to_owned(), buckets.into());
    }
    object.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_seconds() {
        assert_eq!(
            json!([seconds(1_435_781_451_781), seconds(15_000)]).to_string(),
            "[1435781451.781,15]"
        );
    }
}
