//! Takes measurements: asks providers over HTTP, runs Jobs. What to ask and what an answer means
//! is said by [`crate::providers`].

mod http;
mod jobs;
mod oauth;

use std::borrow::Cow;

use tokio::time::Instant;

use crate::engine::analysis::MeasurementAnswer;
use crate::providers::{self, Request, Response};
use crate::spec::analysis::{AnalysisRun, Measurement, Metric};
use crate::spec::metric_provider::{Authentication, MetricProvider, OAuth2Config};
use crate::time::{Duration, Timestamp};

use super::redact::{Redactor, basic_credentials, secrets_of_metric};

use http::HttpClients;
use oauth::Tokens;

pub use http::MAX_BODY;

/// Characters of a measurement's value that are kept: a status is limited to about a megabyte.
const MAX_VALUE: usize = 64 << 10;

/// Carries out [`crate::engine::Action::Measure`] and [`crate::engine::Action::StopMeasurement`].
pub struct Measurer {
    /// Where Jobs run.
    client: kube::Client,
    http: HttpClients,
    tokens: Tokens,
    /// Of Prometheus metrics that name none.
    prometheus_address: String,
}

/// The cluster could not be asked. It says nothing about the measurement, which is to be
/// tried again.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    #[error("{0}")]
    Cluster(#[from] Box<kube::Error>),
}

impl From<kube::Error> for MeasureError {
    fn from(error: kube::Error) -> Self {
        MeasureError::Cluster(Box::new(error))
    }
}

impl Measurer {
    /// `prometheus_address` is for Prometheus metrics that name none (the reference reads it from
    /// `ARGO_ROLLOUTS_PROMETHEUS_ADDRESS`); may be empty.
    pub fn new(client: kube::Client, prometheus_address: String) -> Self {
        Self {
            client,
            http: HttpClients::default(),
            tokens: Tokens::default(),
            prometheus_address,
        }
    }

    /// Takes a measurement of `metric`, arguments resolved, or goes on with the unfinished one in
    /// `resume`. `now` is when it starts. What `secrets` holds, and what the metric authenticates
    /// with, does not come back.
    ///
    /// # Errors
    /// The cluster did not serve a Job; whatever else fails is a measurement in phase Error.
    pub async fn measure(
        &self,
        run: &AnalysisRun,
        metric: &Metric,
        resume: Option<&Measurement>,
        secrets: &Redactor,
        now: Timestamp,
    ) -> Result<MeasurementAnswer, MeasureError> {
        let mut secrets = secrets.with(secrets_of_metric(metric));
        let result = match (provider_of(metric), resume) {
            (Provider::Job, Some(unfinished)) => {
                jobs::look(&self.client, run, unfinished, now).await?
            }
            (Provider::Job, None) => jobs::start(&self.client, run, metric, now).await?,
            (Provider::Prometheus | Provider::Web, _) => self.ask(metric, &mut secrets, now).await,
            (Provider::NotBuilt(name), _) => {
                let message = format!("the metric provider {name} is not built yet");
                providers::error_measurement(message, now, now)
            }
            (Provider::None, _) => {
                let message = format!("no valid provider in metric '{}'", metric.name);
                providers::error_measurement(message, now, now)
            }
        };
        Ok(MeasurementAnswer {
            metric: metric.name.clone(),
            result: presentable(result, &secrets),
        })
    }

    /// Deletes the Job of a measurement that is not wanted any more.
    ///
    /// # Errors
    /// The cluster did not delete it.
    pub async fn stop(
        &self,
        run: &AnalysisRun,
        measurement: &Measurement,
    ) -> Result<(), MeasureError> {
        jobs::stop(&self.client, run, measurement).await
    }

    async fn ask(&self, metric: &Metric, secrets: &mut Redactor, now: Timestamp) -> Measurement {
        let began = Instant::now();
        let metric = self.with_address(metric);
        let response = self.respond(&metric, secrets, now).await;
        let elapsed = i64::try_from(began.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let finished = now + Duration::from_nanos(elapsed);
        match response {
            Ok(response) => providers::decode(&metric, &response, now, finished),
            Err(message) => providers::error_measurement(message, now, finished),
        }
    }

    fn with_address<'m>(&self, metric: &'m Metric) -> Cow<'m, Metric> {
        let mut metric = Cow::Borrowed(metric);
        let names_none = metric
            .provider
            .prometheus
            .as_ref()
            .is_some_and(|prometheus| prometheus.address.is_empty());
        if names_none && let Some(prometheus) = &mut metric.to_mut().provider.prometheus {
            prometheus.address.clone_from(&self.prometheus_address);
        }
        metric
    }

    /// # Errors
    /// What is refused before it is asked.
    async fn respond(
        &self,
        metric: &Metric,
        secrets: &mut Redactor,
        now: Timestamp,
    ) -> Result<Response, String> {
        let mut request = providers::request(metric, now)?;
        let provider = &metric.provider;
        // Of the reference's clients the one for insecure web metrics ignores proxies.
        let proxied = !(provider.web.is_some() && request.insecure);
        let authentication = authentication(provider);
        if let Some(Authentication {
            sigv4,
            oauth2: _,
            basic_auth,
        }) = authentication
        {
            if *sigv4 != Default::default() && request.url.contains("aps-workspaces") {
                return Err("authentication by sigv4 is not built yet".to_owned());
            }
            if !basic_auth.username.is_empty() && !has_header(&request, "Authorization") {
                let credentials = basic_credentials(&basic_auth.username, &basic_auth.password);
                let header = ("Authorization".to_owned(), format!("Basic {credentials}"));
                request.headers.push(header);
            }
        }
        let oauth = authentication
            .map(|authentication| &authentication.oauth2)
            .filter(|oauth| !oauth.token_url.is_empty());
        if let Some(oauth) = oauth {
            let token = self
                .tokens
                .get(&self.http, oauth, &request, proxied, now)
                .await?;
            *secrets = secrets.with([token.access_token.clone()]);
            // Headers of a Prometheus metric come after it and win; those of a web metric do not.
            if provider.web.is_some() || !has_header(&request, "Authorization") {
                request
                    .headers
                    .retain(|(key, _)| !key.eq_ignore_ascii_case("Authorization"));
                request
                    .headers
                    .push(("Authorization".to_owned(), token.header));
            }
        }
        let response = self.http.send(&request, proxied).await;
        if let Some(oauth) = oauth {
            self.forget_refused(oauth, &response);
        }
        Ok(match response {
            // A server, or what stands before it, that takes no POST (Go's client falls back too).
            Response::Answered {
                status: 405 | 501, ..
            } if provider.prometheus.is_some() => self.http.send(&as_get(request), proxied).await,
            response => response,
        })
    }

    fn forget_refused(&self, oauth: &OAuth2Config, response: &Response) {
        if matches!(response, Response::Answered { status: 401, .. }) {
            self.tokens.forget(oauth);
        }
    }
}

enum Provider {
    Prometheus,
    Web,
    Job,
    NotBuilt(String),
    None,
}

/// A valid metric has exactly one.
fn provider_of(metric: &Metric) -> Provider {
    let MetricProvider {
        prometheus,
        kayenta,
        web,
        datadog,
        wavefront,
        new_relic,
        job,
        cloud_watch,
        graphite,
        influxdb,
        skywalking,
        plugin,
    } = &metric.provider;
    if prometheus.is_some() {
        return Provider::Prometheus;
    }
    if job.is_some() {
        return Provider::Job;
    }
    if web.is_some() {
        return Provider::Web;
    }
    let not_built = [
        (kayenta.is_some(), "kayenta"),
        (datadog.is_some(), "datadog"),
        (wavefront.is_some(), "wavefront"),
        (new_relic.is_some(), "newRelic"),
        (cloud_watch.is_some(), "cloudWatch"),
        (graphite.is_some(), "graphite"),
        (influxdb.is_some(), "influxdb"),
        (skywalking.is_some(), "skywalking"),
    ];
    let plugin = plugin.keys().next();
    not_built
        .into_iter()
        .find(|(is_set, _)| *is_set)
        .map(|(_, name)| name.to_owned())
        .or_else(|| plugin.map(|name| format!("plugin {name}")))
        .map_or(Provider::None, Provider::NotBuilt)
}

fn authentication(provider: &MetricProvider) -> Option<&Authentication> {
    let prometheus = provider.prometheus.as_ref();
    let web = provider.web.as_ref();
    prometheus
        .map(|prometheus| &prometheus.authentication)
        .or_else(|| web.map(|web| &web.authentication))
}

fn has_header(request: &Request, name: &str) -> bool {
    let mut headers = request.headers.iter();
    headers.any(|(key, _)| key.eq_ignore_ascii_case(name))
}

fn as_get(request: Request) -> Request {
    Request {
        method: "GET".into(),
        url: format!("{}?{}", request.url, request.body),
        body: String::new(),
        ..request
    }
}

/// Without secrets, and no larger than a status can hold.
fn presentable(measurement: Measurement, secrets: &Redactor) -> Measurement {
    let Measurement {
        phase,
        message,
        started_at,
        finished_at,
        value,
        metadata,
        resume_at,
    } = measurement;
    let fit = |text: &str| {
        let text = secrets.text(text);
        match text.char_indices().nth(MAX_VALUE) {
            Some((end, _)) => format!("{} (cut)", text.get(..end).unwrap_or_default()),
            None => text.into_owned(),
        }
    };
    Measurement {
        phase,
        message: fit(&message),
        started_at,
        finished_at,
        value: fit(&value),
        metadata: metadata
            .iter()
            .map(|(key, text)| (fit(key), fit(text)))
            .collect(),
        resume_at,
    }
}
