//! Metric providers: what to ask, and what an answer means. No HTTP.
//!
//! A provider builds a [`Request`] from a metric whose arguments are resolved, and decodes the
//! [`Response`] into a measurement (argo-rollouts `metricproviders/`).

pub mod conditions;
pub mod job;
pub mod json_path;
pub mod prometheus;
pub mod settings;
pub mod web;

use crate::expr::Value;
use crate::spec::analysis::{AnalysisPhase, Measurement, Metric};
use crate::spec::string_map::StringMap;
use crate::time::{Duration, Timestamp};

use conditions::Compiled;

/// An HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// Accept any server certificate.
    pub insecure: bool,
    pub timeout: Duration,
}

/// What came of an HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    Answered {
        status: u16,
        body: String,
    },
    /// No answer within the time limit.
    TimedOut,
    /// No connection; in words.
    Unreachable(String),
}

impl Response {
    pub fn status(status: u16, body: impl Into<String>) -> Self {
        Response::Answered {
            status,
            body: body.into(),
        }
    }
}

/// The value that conditions call `result`, its text in the measurement, and metadata.
#[derive(Debug, Clone)]
pub struct Answer {
    pub result: Value,
    pub text: String,
    pub metadata: StringMap,
}

/// The request of a metric that is asked over HTTP.
///
/// # Errors
/// What the provider refuses before asking, or a provider that is not known here.
pub fn request(metric: &Metric, now: Timestamp) -> Result<Request, String> {
    match asked_provider(metric)? {
        Asked::Prometheus(prometheus) => prometheus::request(prometheus, now),
        Asked::Web(web) => web::request(web),
    }
}

/// How long the provider waits for an answer.
pub fn timeout(metric: &Metric) -> Duration {
    let provider = &metric.provider;
    if let Some(web) = &provider.web {
        return web::timeout(web);
    }
    provider
        .prometheus
        .as_ref()
        .map_or(prometheus::DEFAULT_TIMEOUT, prometheus::timeout)
}

/// The measurement that results without asking, where the provider refuses to ask.
pub fn check(metric: &Metric, now: Timestamp) -> Option<Measurement> {
    request(metric, now)
        .err()
        .map(|message| error_measurement(message, now, now))
}

/// The finished measurement that an answer gives, judged by the metric's conditions.
pub fn decode(
    metric: &Metric,
    response: &Response,
    started_at: Timestamp,
    finished_at: Timestamp,
) -> Measurement {
    let answer = asked_provider(metric).and_then(|provider| match provider {
        Asked::Prometheus(_) => prometheus::decode(response),
        Asked::Web(web) => web::decode(web, response),
    });
    match answer {
        Err(message) => error_measurement(message, started_at, finished_at),
        Ok(answer) => judge(metric, answer, started_at, finished_at),
    }
}

/// The finished measurement of an answer, judged by the metric's conditions.
pub fn judge(
    metric: &Metric,
    answer: Answer,
    started_at: Timestamp,
    finished_at: Timestamp,
) -> Measurement {
    judge_compiled(
        metric,
        answer,
        started_at,
        finished_at,
        &mut Compiled::default(),
    )
}

/// The same with conditions that may have been compiled before.
pub fn judge_compiled(
    metric: &Metric,
    answer: Answer,
    started_at: Timestamp,
    finished_at: Timestamp,
    compiled: &mut Compiled,
) -> Measurement {
    let Answer {
        result,
        text,
        metadata,
    } = answer;
    match conditions::judge(metric, &result, finished_at, compiled) {
        Err(message) => error_measurement(message, started_at, finished_at),
        Ok(phase) => Measurement {
            phase,
            message: String::new(),
            started_at: Some(started_at),
            finished_at: Some(finished_at),
            value: text,
            metadata,
            resume_at: None,
        },
    }
}

/// A measurement that erred.
pub fn error_measurement(
    message: String,
    started_at: Timestamp,
    finished_at: Timestamp,
) -> Measurement {
    Measurement {
        phase: AnalysisPhase::Error,
        message,
        started_at: Some(started_at),
        finished_at: Some(finished_at),
        value: String::new(),
        metadata: StringMap::default(),
        resume_at: None,
    }
}

/// Whether requests and answers of the metric's provider are known here.
pub fn is_known(metric: &Metric) -> bool {
    asked_provider(metric).is_ok()
}

enum Asked<'a> {
    Prometheus(&'a crate::spec::metric_provider::PrometheusMetric),
    Web(&'a crate::spec::metric_provider::WebMetric),
}

fn asked_provider(metric: &Metric) -> Result<Asked<'_>, String> {
    let provider = &metric.provider;
    // In the order in which the reference looks (`metricproviders/metricproviders.go`).
    if let Some(prometheus) = &provider.prometheus {
        Ok(Asked::Prometheus(prometheus))
    } else if let Some(web) = &provider.web {
        Ok(Asked::Web(web))
    } else {
        Err(format!("no valid provider in metric '{}'", metric.name))
    }
}
