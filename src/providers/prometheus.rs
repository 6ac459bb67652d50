//! The Prometheus provider (argo-rollouts `metricproviders/prometheus`).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::expr;
use crate::spec::metric_provider::PrometheusMetric;
use crate::time::{Duration, Timestamp};

use super::settings::{SettingsError, time_of};
use super::{Answer, Request, Response};

/// How long an answer is waited for where the metric does not say.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an answer is waited for.
pub fn timeout(metric: &PrometheusMetric) -> Duration {
    metric.timeout.map_or(DEFAULT_TIMEOUT, Duration::from_secs)
}

/// The instant query of a metric.
///
/// # Errors
/// Settings that the reference refuses, in its words; range queries, which are not known here yet.
pub fn request(metric: &PrometheusMetric, now: Timestamp) -> Result<Request, String> {
    check_settings(metric).map_err(|error| error.message)?;
    if metric.range_query.is_some() {
        return Err("rangeQuery is not supported".into());
    }
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
        url: format!("{base}/api/v1/query"),
        headers,
        body: format!(
            "query={}&time={}",
            form_encoded(&metric.query),
            now.as_secs_f64()
        ),
        insecure: metric.insecure,
        timeout: timeout(metric),
    })
}

/// Checks what is checked before a query is sent. An address can also come from the environment of
/// the controller; without one the reference refuses.
///
/// # Errors
/// The first mistake, in the reference's words.
pub fn check_settings(metric: &PrometheusMetric) -> Result<(), SettingsError> {
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
        return Ok(());
    };
    for (part, expression) in [("start", &range.start), ("end", &range.end)] {
        if let Err(reason) = time_of(expression) {
            let field = format!("prometheus.rangeQuery.{part}");
            let message = format!("failed to parse rangeQuery.{part} as time: {reason}");
            return refuse(&field, &message);
        }
    }
    if let Err(reason) = range.step.parse() {
        let message = format!("failed to parse rangeQuery.step as duration: {reason}");
        return refuse("prometheus.rangeQuery.step", &message);
    }
    Ok(())
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
        metadata: warnings_metadata(warnings),
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
            .map(|item| sample(item.get("value").unwrap_or(&Value::Null)))
            .collect::<Result<_, _>>()?,
        Some("matrix") => items
            .iter()
            .filter_map(|item| item.get("values")?.as_array())
            .flatten()
            .map(sample)
            .collect::<Result<_, _>>()?,
        Some("string") => return Err("Prometheus metric type not supported".into()),
        Some(other) => return Err(format!("unexpected value type {other:?}")),
        None => return Err("unexpected value type \"<ValueType 0>\"".into()),
    };
    let texts: Vec<String> = values.iter().map(|value| sample_text(*value)).collect();
    let text = format!("[{}]", texts.join(","));
    Ok((expr::Value::floats(values), text))
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

fn warnings_metadata(warnings: &[Value]) -> BTreeMap<String, String> {
    let quoted: Vec<String> = warnings
        .iter()
        .filter_map(Value::as_str)
        .map(|warning| format!("\"{warning}\""))
        .collect();
    if quoted.is_empty() {
        return BTreeMap::new();
    }
    BTreeMap::from([("warnings".to_owned(), quoted.join(", "))])
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
fn form_encoded(text: &str) -> String {
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
}
