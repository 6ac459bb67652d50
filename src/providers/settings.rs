//! Settings of a metric that its provider refuses before it asks (argo-rollouts
//! `metricproviders/`).

use crate::spec::analysis::Metric;
use crate::spec::metric_provider::{DatadogMetric, GraphiteMetric, MetricProvider};
use crate::time::{Duration, Timestamp};

use super::{prometheus, web};

/// A mistake in the settings of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    /// Below `provider`, such as `prometheus.timeout`.
    pub field: String,
    /// In the reference's words.
    pub message: String,
}

impl SettingsError {
    pub(super) fn new(field: &str, message: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            message: message.into(),
        }
    }
}

/// The first mistake of a metric whose arguments are resolved. Providers that check nothing
/// themselves, and those that are not known here (plugins), have none.
pub fn settings_error(metric: &Metric) -> Option<SettingsError> {
    let MetricProvider {
        prometheus,
        kayenta: _,
        web,
        datadog,
        wavefront: _,
        new_relic: _,
        job: _,
        cloud_watch: _,
        graphite,
        influxdb: _,
        skywalking: _,
        plugin: _,
    } = &metric.provider;
    if let Some(prometheus) = prometheus {
        prometheus::times(prometheus, Timestamp::EPOCH).err()
    } else if let Some(web) = web {
        web::request(web)
            .err()
            .map(|message| SettingsError::new("web", message))
    } else if let Some(datadog) = datadog {
        check_datadog(datadog)
            .err()
            .map(|message| SettingsError::new("datadog", message))
    } else {
        graphite.as_ref().and_then(check_graphite)
    }
}

fn check_datadog(datadog: &DatadogMetric) -> Result<(), String> {
    let refuse = |reason: &str| Err(reason.to_owned());
    let has_query = !datadog.query.is_empty();
    // The API server fills in v1.
    let is_v1 = matches!(datadog.api_version.as_str(), "" | "v1");
    if !has_query && datadog.queries.is_empty() {
        return refuse("Must have either a query or queries. Please review the Analysis Template.");
    }
    if has_query && !datadog.queries.is_empty() {
        return refuse(
            "Cannot have both a query and queries. Please review the Analysis Template.",
        );
    }
    if is_v1 && !has_query {
        return refuse(
            "Query is empty. API Version v1 only supports using the query parameter in your Analysis Template.",
        );
    }
    if !datadog.formula.is_empty() && datadog.queries.is_empty() {
        return refuse(
            "Formula are only valid when queries are set. Please review the Analysis Template.",
        );
    }
    if datadog.formula.is_empty() && datadog.queries.len() > 1 {
        return refuse("When multiple queries are provided you must include a formula.");
    }
    if is_v1 && !datadog.aggregator.is_empty() {
        return refuse("Aggregator is not supported in v1. Please review the Analysis Template.");
    }
    if !datadog.request_timeout.is_empty() {
        match datadog.request_timeout.parse() {
            Err(error) => {
                return Err(format!(
                    "Could not parse the request timeout: {error}. Please review the Analysis Template."
                ));
            }
            Ok(timeout) if timeout <= Duration::ZERO => {
                return refuse(
                    "Request timeout must be a positive duration (e.g. 30s). Please review the Analysis Template.",
                );
            }
            Ok(_) => {}
        }
    }
    if datadog.secret_ref.namespaced && datadog.secret_ref.name.is_empty() {
        return refuse("secret name is required for namespaced credentials");
    }
    Ok(())
}

fn check_graphite(graphite: &GraphiteMetric) -> Option<SettingsError> {
    let address = &graphite.address;
    (address.is_empty() || !parses_as_url(address)).then(|| {
        SettingsError::new(
            "graphite",
            format!("Graphite address {address} is not a valid URL"),
        )
    })
}

/// As Go's `url.Parse` does, which takes nearly everything for a path.
fn parses_as_url(text: &str) -> bool {
    if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) || text.starts_with(':') {
        return false;
    }
    let (before_query, _) = text.split_once('?').unwrap_or((text, ""));
    let first_segment = before_query.split('/').next().unwrap_or_default();
    match first_segment.split_once(':') {
        None => !has_bad_escape(before_query),
        // What is no scheme may have no colon before the first slash.
        Some((scheme, rest)) => {
            let mut letters = scheme.chars();
            let is_scheme = letters.next().is_some_and(|c| c.is_ascii_alphabetic())
                && letters.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
            let after = before_query.get(scheme.len() + 1..).unwrap_or(rest);
            let host = after
                .strip_prefix("//")
                .map(|after| after.split('/').next().unwrap_or_default());
            is_scheme && host.is_none_or(is_host) && !has_bad_escape(before_query)
        }
    }
}

fn is_host(host: &str) -> bool {
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let port = match host.rsplit_once(']') {
        Some((_, after)) => after,
        None => host
            .find(':')
            .and_then(|colon| host.get(colon..))
            .unwrap_or(""),
    };
    let has_good_port = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    has_good_port && !host.contains([' ', '<', '>', '"', '\\', '^', '`', '{', '}', '|'])
}

fn has_bad_escape(text: &str) -> bool {
    text.match_indices('%').any(|(at, _)| {
        !text
            .as_bytes()
            .get(at + 1..at + 3)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}
