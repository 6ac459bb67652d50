//! The web provider: any HTTP endpoint (argo-rollouts `metricproviders/webmetric`).

use serde_json::Value;

use crate::expr;
use crate::spec::metric_provider::WebMetric;
use crate::spec::string_map::StringMap;
use crate::time::Duration;

use super::json_path::JsonPath;
use super::{Answer, Request, Response};

/// Seconds an answer is waited for where the metric does not say.
const DEFAULT_TIMEOUT_SECONDS: i64 = 10;

/// How long an answer is waited for.
pub fn timeout(metric: &WebMetric) -> Duration {
    Duration::from_secs(if metric.timeout_seconds > 0 {
        metric.timeout_seconds
    } else {
        DEFAULT_TIMEOUT_SECONDS
    })
}

/// The request of a metric.
///
/// # Errors
/// Settings that the reference refuses, in its words.
pub fn request(metric: &WebMetric) -> Result<Request, String> {
    path(metric)?;
    let method = if metric.method.is_empty() {
        "GET"
    } else {
        metric.method.as_str()
    };
    let has_body = !metric.body.is_empty();
    if has_body && metric.json_body.is_some() {
        return Err("use either Body or JSONBody; both cannot exists for WebMetric payload".into());
    }
    if (has_body || metric.json_body.is_some()) && method == "GET" {
        return Err(
            "Body/JSONBody can only be used with POST or PUT WebMetric Method types".into(),
        );
    }
    let oauth = &metric.authentication.oauth2;
    if !oauth.token_url.is_empty() && (oauth.client_id.is_empty() || oauth.client_secret.is_empty())
    {
        return Err("missing mandatory parameter in metric for OAuth2 setup".into());
    }
    let mut headers: Vec<(String, String)> = metric
        .headers
        .iter()
        .map(|header| (header.key.clone(), header.value.clone()))
        .collect();
    if metric.json_body.is_some() {
        headers.retain(|(key, _)| !key.eq_ignore_ascii_case("Content-Type"));
        headers.push(("Content-Type".into(), "application/json".into()));
    }
    Ok(Request {
        method: method.to_owned(),
        url: metric.url.clone(),
        headers,
        body: match &metric.json_body {
            Some(body) => body.to_string(),
            None => metric.body.clone(),
        },
        insecure: metric.insecure,
        timeout: timeout(metric),
    })
}

/// What an answer means: the first value that the JSONPath finds, or the text of a body that is no JSON.
///
/// # Errors
/// In the reference's words.
pub fn decode(metric: &WebMetric, response: &Response) -> Result<Answer, String> {
    let (status, body) = match response {
        Response::Answered { status, body } => (*status, body),
        Response::TimedOut => {
            let method = if metric.method.is_empty() {
                "Get"
            } else {
                metric.method.as_str()
            };
            return Err(format!(
                "{method} \"{}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
                metric.url
            ));
        }
        Response::Unreachable(reason) => return Err(reason.clone()),
    };
    if !(200..300).contains(&status) {
        return Err(format!("received non 2xx response code: {status}"));
    }
    let Ok(data) = serde_json::from_str::<Value>(body) else {
        return Ok(Answer {
            result: expr::Value::from(body.as_str()),
            text: body.clone(),
            metadata: StringMap::default(),
        });
    };
    let found = path(metric)?
        .find(&data)
        .map_err(|error| format!("Could not find JSONPath in body: {error}"))?;
    let value = found
        .into_iter()
        .next()
        .ok_or("result of web metric produced no value")?;
    Ok(Answer {
        text: go_json(&value),
        result: expr::Value::from_json(&value),
        metadata: StringMap::default(),
    })
}

/// A document for which the metric's result is `value`; see [`JsonPath::document_with`].
pub fn document(metric: &WebMetric, value: Value) -> Option<Value> {
    path(metric).ok()?.document_with(value)
}

fn path(metric: &WebMetric) -> Result<JsonPath, String> {
    JsonPath::parse(if metric.json_path.is_empty() {
        "{$}"
    } else {
        &metric.json_path
    })
}

/// JSON as Go's `json.Marshal` writes a decoded document: numbers are floats, keys sorted, `<>&`
/// escaped.
fn go_json(value: &Value) -> String {
    let mut out = String::new();
    write_go_json(value, &mut out);
    out
}

// Depth is bounded: the JSON reader accepts 128 levels.
fn write_go_json(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&go_float(number.as_f64().unwrap_or(0.0))),
        Value::String(text) => write_go_string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_go_json(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, item)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_go_string(key, out);
                out.push(':');
                write_go_json(item, out);
            }
            out.push('}');
        }
    }
}

fn write_go_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)))
            }
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Go writes an exponent below 1e-6 and from 1e21 on.
fn go_float(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{value:e}");
        return match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                format!("{digits}e+{exponent}")
            }
            _ => text,
        };
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(json_path: &str) -> WebMetric {
        WebMetric {
            url: "http://m".into(),
            json_path: json_path.into(),
            ..WebMetric::default()
        }
    }

    #[test]
    fn the_first_value_found_counts() {
        let text = |json_path: &str, body: &str| {
            decode(&metric(json_path), &Response::status(200, body)).map(|answer| answer.text)
        };
        assert_eq!(text("{$.value}", r#"{"value": 1}"#), Ok("1".into()));
        assert_eq!(
            text("", r#"{"b": 1.5, "a": "<"}"#),
            Ok(r#"{"a":"\u003c","b":1.5}"#.into())
        );
        assert_eq!(
            text("{$.x}", r#"{"value": 1}"#),
            Err("Could not find JSONPath in body: x is not found".into())
        );
        assert_eq!(text("", "ok"), Ok("ok".into()));
        assert_eq!(go_float(1e21), "1e+21");
        assert_eq!(go_float(1e-7), "1e-7");
        assert_eq!(go_float(123456789.0), "123456789");
    }

    #[test]
    fn requests_are_checked() {
        let with_body = WebMetric {
            body: "x".into(),
            ..metric("")
        };
        assert!(request(&with_body).is_err());
        let post = WebMetric {
            method: "POST".into(),
            ..with_body
        };
        assert_eq!(request(&post).unwrap().body, "x");
        assert!(request(&metric("{.a[}")).is_err());
        assert_eq!(
            decode(&metric(""), &Response::status(500, "")).unwrap_err(),
            "received non 2xx response code: 500"
        );
    }
}
