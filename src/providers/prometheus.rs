//! The Prometheus provider (argo-rollouts `metricproviders/prometheus`).

use serde_json::Value;

use crate::expr;
use crate::promql::eval::{Sample, SampleValue};
use crate::promql::{self, Outcome};
use crate::spec::metric_provider::{PrometheusMetric, PrometheusRangeQueryArgs};
use crate::spec::string_map::StringMap;
use crate::time::{Duration, Timestamp};

use super::settings::SettingsError;
use super::{Answer, Request, Response};

/// How long an answer is waited for where the metric does not say.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an answer is waited for.
pub fn timeout(metric: &PrometheusMetric) -> Duration {
    metric.timeout.map_or(DEFAULT_TIMEOUT, Duration::from_secs)
}

/// The times that a query is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    Instant(Timestamp),
    Range {
        start: Timestamp,
        end: Timestamp,
        step: Duration,
    },
}

/// Checks what is checked before a query is sent, and computes when it is to be evaluated. An
/// address can also come from the environment of the controller; without one the reference refuses.
///
/// # Errors
/// The first mistake, in the reference's words.
pub fn times(metric: &PrometheusMetric, now: Timestamp) -> Result<Times, SettingsError> {
    let refuse = |field: &str, message: &str| Err(SettingsError::new(field, message));
    if metric.timeout.is_some_and(|seconds| seconds < 0) {
        return refuse(
            "prometheus.timeout",
            "prometheus timeout should not be negative",
        );
    }
    if metric.address.is_empty() {
        return refuse("prometheus", "prometheus address is not configured");
    }
    if !is_url(&metric.address) {
        return refuse("prometheus", "prometheus address is not is url format");
    }
    let basic = &metric.authentication.basic_auth;
    let lacks = match (basic.username.is_empty(), basic.password.is_empty()) {
        (true, false) => Some("username"),
        (false, true) => Some("password"),
        (true, true) | (false, false) => None,
    };
    if let Some(part) = lacks {
        let message = format!("missing mandatory parameter in metric for basic auth setup: {part}");
        return refuse("prometheus", &message);
    }
    let oauth = &metric.authentication.oauth2;
    if !oauth.token_url.is_empty() && (oauth.client_id.is_empty() || oauth.client_secret.is_empty())
    {
        return refuse(
            "prometheus",
            "missing mandatory parameter in metric for OAuth2 setup",
        );
    }
    let Some(range) = &metric.range_query else {
        return Ok(Times::Instant(now));
    };
    let PrometheusRangeQueryArgs { start, end, step } = range;
    let time = |part: &str, expression: &str| {
        expr::evaluate_time(expression, now).map_err(|reason| {
            let field = format!("prometheus.rangeQuery.{part}");
            let message = format!("failed to parse rangeQuery.{part} as time: {reason}");
            SettingsError::new(&field, message)
        })
    };
    Ok(Times::Range {
        start: time("start", start)?,
        end: time("end", end)?,
        step: step.parse().map_err(|reason| {
            let message = format!("failed to parse rangeQuery.step as duration: {reason}");
            SettingsError::new("prometheus.rangeQuery.step", message)
        })?,
    })
}

/// The query of a metric, an instant or a range query, as Prometheus' Go client sends it.
///
/// # Errors
/// See [`times`].
pub fn request(metric: &PrometheusMetric, now: Timestamp) -> Result<Request, String> {
    let query = form_encoded(&metric.query);
    let (path, body) = match times(metric, now).map_err(|error| error.message)? {
        Times::Instant(at) => ("query", format!("query={query}&time={}", at.as_secs_f64())),
        Times::Range { start, end, step } => (
            "query_range",
            format!(
                "end={}&query={query}&start={}&step={}",
                end.as_secs_f64(),
                start.as_secs_f64(),
                step.as_secs_f64()
            ),
        ),
    };
    let mut headers = vec![(
        "Content-Type".to_owned(),
        "application/x-www-form-urlencoded".to_owned(),
    )];
    headers.extend(
        metric
            .headers
            .iter()
            .map(|header| (header.key.clone(), header.value.clone())),
    );
    let base = metric.address.trim_end_matches('/');
    Ok(Request {
        method: "POST".into(),
        url: format!("{base}/api/v1/{path}"),
        headers,
        body,
        insecure: metric.insecure,
        timeout: timeout(metric),
    })
}

/// What an answer of the HTTP API means.
///
/// # Errors
/// In the words of Prometheus' Go client.
pub fn decode(response: &Response) -> Result<Answer, String> {
    let (status, body) = match response {
        Response::Answered { status, body } => (*status, body),
        Response::TimedOut => return Err("context deadline exceeded".into()),
        Response::Unreachable(reason) => return Err(reason.clone()),
    };
    // These two carry an error of the API in the body.
    let is_api_error = matches!(status, 400 | 422);
    if status / 100 != 2 && !is_api_error {
        return Err(match status / 100 {
            4 => format!("client_error: client error: {status}"),
            5 => format!("server_error: server error: {status}"),
            _ => format!("bad_response: bad response code {status}"),
        });
    }
    let body: Value =
        serde_json::from_str(body).map_err(|error| format!("bad_response: {error}"))?;
    let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
    if is_api_error && text("status") == "success" {
        return Err("bad_response: inconsistent body for response code".into());
    }
    if is_api_error || text("status") == "error" {
        return Err(format!("{}: {}", text("errorType"), text("error")));
    }
    let warnings = body
        .get("warnings")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let data = body.get("data").unwrap_or(&Value::Null);
    let (result, text) = decode_data(data)?;
    Ok(Answer {
        result,
        text,
        metadata: warnings_metadata(warnings.iter().filter_map(Value::as_str)),
    })
}

fn decode_data(data: &Value) -> Result<(expr::Value, String), String> {
    let result = data.get("result").unwrap_or(&Value::Null);
    let items = result.as_array().map(Vec::as_slice).unwrap_or_default();
    let values: Vec<f64> = match data.get("resultType").and_then(Value::as_str) {
        Some("scalar") => {
            let value = sample(result)?;
            return Ok((expr::Value::Float(value), sample_text(value)));
        }
        Some("vector") => items
            .iter()
            .map(|item| match item.get("value") {
                Some(pair) => sample(pair),
                // A native histogram leaves the client's float as it was made: zero.
                None if item.get("histogram").is_some() => Ok(0.0),
                None => sample(&Value::Null),
            })
            .collect::<Result<_, _>>()?,
        Some("matrix") => items
            .iter()
            .filter_map(|item| item.get("values")?.as_array())
            .flatten()
            .map(sample)
            .collect::<Result<_, _>>()?,
        Some("string") => return Err(NOT_SUPPORTED.into()),
        Some(other) => return Err(format!("unexpected value type {other:?}")),
        None => return Err("unexpected value type \"<ValueType 0>\"".into()),
    };
    Ok(numbers(values))
}

/// What an evaluated query means: as [`decode`] of the answer that a server makes of it.
///
/// # Errors
/// See [`decode`].
pub fn answer(outcome: &Outcome) -> Result<Answer, String> {
    let Outcome {
        value,
        warnings,
        infos: _,
    } = outcome;
    let (result, text) = match value {
        promql::Value::Scalar(value) => (expr::Value::Float(*value), sample_text(*value)),
        promql::Value::Vector(samples) => {
            let number = |sample: &Sample| match sample.value {
                SampleValue::Float(value) => value,
                SampleValue::Histogram(_) => 0.0,
            };
            numbers(samples.iter().map(number).collect())
        }
        promql::Value::Matrix(series) => {
            let points = series.iter().flat_map(|series| &series.floats);
            numbers(points.map(|point| point.value).collect())
        }
        promql::Value::String(_) => return Err(NOT_SUPPORTED.into()),
    };
    Ok(Answer {
        result,
        text,
        metadata: warnings_metadata(warnings.iter().map(String::as_str)),
    })
}

const NOT_SUPPORTED: &str = "Prometheus metric type not supported";

/// The answer of a query that gives one number.
pub fn scalar_answer(value: f64) -> Answer {
    Answer {
        result: expr::Value::Float(value),
        text: sample_text(value),
        metadata: StringMap::default(),
    }
}

/// The answer of a query that gives a number for each series.
pub fn vector_answer(values: Vec<f64>) -> Answer {
    let (result, text) = numbers(values);
    Answer {
        result,
        text,
        metadata: StringMap::default(),
    }
}

fn numbers(values: Vec<f64>) -> (expr::Value, String) {
    // Most numbers take up to 20 characters.
    let mut text = String::with_capacity(2 + 21 * values.len());
    text.push('[');
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        text.push_str(&sample_text(*value));
    }
    text.push(']');
    (expr::Value::floats(values), text)
}

/// The number of `[time, "number"]`.
fn sample(pair: &Value) -> Result<f64, String> {
    let text = pair
        .get(1)
        .and_then(Value::as_str)
        .ok_or("bad_response: sample without a value")?;
    match text {
        "NaN" => Ok(f64::NAN),
        "+Inf" | "Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        number => number
            .parse()
            .map_err(|_| format!("bad_response: {number:?} is not a number")),
    }
}

/// Go's shortest decimal form without an exponent.
pub fn sample_text(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        (if value > 0.0 { "+Inf" } else { "-Inf" }).into()
    } else {
        value.to_string()
    }
}

fn warnings_metadata<'w>(warnings: impl Iterator<Item = &'w str>) -> StringMap {
    let quoted: Vec<String> = warnings.map(|warning| format!("\"{warning}\"")).collect();
    if quoted.is_empty() {
        return StringMap::default();
    }
    StringMap::from([("warnings".to_owned(), quoted.join(", "))])
}

/// A scheme and a host, as the reference asks for.
pub(super) fn is_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, rest)| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        !scheme.is_empty()
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
            && !host.is_empty()
    })
}

/// `application/x-www-form-urlencoded`.
pub fn form_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte))
            }
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(body: &str) -> Result<String, String> {
        decode(&Response::status(200, body)).map(|answer| answer.text)
    }

    #[test]
    fn values_are_written_as_go_writes_them() {
        let vector = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{},"value":[1,"0.99"]},{"metric":{},"value":[1,"NaN"]},{"metric":{},"value":[1,"+Inf"]},
            {"metric":{},"value":[1,"1e21"]}]}}"#;
        assert_eq!(
            text_of(vector),
            Ok("[0.99,NaN,+Inf,1000000000000000000000]".into())
        );
        let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#;
        assert_eq!(text_of(scalar), Ok("1".into()));
        let empty = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
        assert_eq!(text_of(empty), Ok("[]".into()));
    }

    #[test]
    fn an_evaluated_query_means_what_a_server_answers() {
        let mut store = promql::Store::new();
        promql::notation::load(&mut store, "load 1m\n  a{x=\"1\"} 1e21 NaN -0\n  a{x=\"2\"} 0.1 -Inf 3\n  h {{schema:0 count:2 sum:3 buckets:[2]}}x2\n")
            .expect("series");
        let engine = promql::Engine::default();
        for query in [
            "a",
            "h",
            "-a",
            "vector(1)",
            "scalar(a{x=\"2\"})",
            "\"text\"",
            "a[3m]",
            "none",
            "rate(a[2m])",
            "histogram_quantile(2, h)",
        ] {
            let expr = promql::parse(query).expect("a query");
            for at in [0, 60_000, 120_000] {
                let outcome = engine.instant(&store, &expr, at).expect("a result");
                let body = promql::http_api::success(&outcome, at).to_string();
                let told = |answer: Result<Answer, String>| {
                    answer.map(|it| (format!("{:?}", it.result), it.text, it.metadata))
                };
                let decoded = decode(&Response::status(200, body));
                assert_eq!(told(answer(&outcome)), told(decoded), "{query} at {at}");
            }
        }
    }

    #[test]
    fn errors_are_worded_as_by_the_go_client() {
        let failed = |status, body| decode(&Response::status(status, body)).unwrap_err();
        assert_eq!(failed(500, ""), "server_error: server error: 500");
        let bad = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
        assert_eq!(failed(400, bad), "bad_data: parse error");
    }

    #[test]
    fn queries_are_encoded() {
        let metric = PrometheusMetric {
            address: "http://prometheus:9090/".into(),
            query: "sum(rate(x{a=\"b\"}[1m]))".into(),
            ..PrometheusMetric::default()
        };
        let request = request(&metric, Timestamp::from_secs(5)).unwrap();
        assert_eq!(request.url, "http://prometheus:9090/api/v1/query");
        assert_eq!(
            request.body,
            "query=sum%28rate%28x%7Ba%3D%22b%22%7D%5B1m%5D%29%29&time=5"
        );
        assert!(super::request(&PrometheusMetric::default(), Timestamp::EPOCH).is_err());
    }

    fn ranged(start: &str, end: &str, step: &str) -> PrometheusMetric {
        PrometheusMetric {
            address: "http://prometheus:9090".into(),
            query: "up".into(),
            range_query: Some(PrometheusRangeQueryArgs {
                start: start.into(),
                end: end.into(),
                step: step.into(),
            }),
            ..PrometheusMetric::default()
        }
    }

    #[test]
    fn a_range_is_computed_from_now() {
        let metric = ranged("now() - duration('5m')", "now()", "1m");
        let request = request(&metric, Timestamp::from_secs(1000)).unwrap();
        assert_eq!(request.url, "http://prometheus:9090/api/v1/query_range");
        assert_eq!(request.body, "end=1000&query=up&start=700&step=60");
        let series = r#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"a":"1"},"values":[[1,"1"],[2,"2"]]},{"metric":{"a":"2"},"values":[[1,"3"]]}]}}"#;
        assert_eq!(text_of(series), Ok("[1,2,3]".into()));
        let empty = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
        assert_eq!(text_of(empty), Ok("[]".into()));
    }

    #[test]
    fn a_range_without_times_is_refused() {
        let refused = |start, end, step| {
            times(&ranged(start, end, step), Timestamp::EPOCH)
                .unwrap_err()
                .message
        };
        assert_eq!(
            refused("1 + 1", "now()", "1m"),
            "failed to parse rangeQuery.start as time: expected time.Time, but got int"
        );
        assert_eq!(
            refused("now()", "hello", "1m"),
            "failed to parse rangeQuery.end as time: unknown name hello"
        );
        assert_eq!(
            refused("now()", "now()", "often"),
            "failed to parse rangeQuery.step as duration: time: invalid duration \"often\""
        );
    }
}
