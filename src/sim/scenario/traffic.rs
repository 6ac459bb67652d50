//! The users' requests of a scenario, how versions answer them, and what Prometheus sees of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Period;

/// Users' requests and how the versions answer them. Prometheus metrics without a script are then
/// evaluated on what a Prometheus server would have scraped.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TrafficModel {
    /// Requests per second of all users together.
    pub requests: Load,
    /// How the version answers that was there before the release.
    pub stable: Behaviour,
    /// How all other versions answer; what is absent is as of `stable`.
    pub release: Behaviour,
    /// How certain versions answer, instead; the first that fits counts.
    pub versions: Vec<VersionBehaviour>,
    /// Under which names requests are counted; `plain` if absent.
    pub metrics: Option<Vec<MetricNames>>,
    /// Time between two scrapes; 15s if absent.
    pub scrape_interval: Option<Period>,
    /// Whether counts scatter as those of independent requests do.
    pub noise: Noise,
    /// How long traffic was there before the release; as long as the queries look back if absent.
    pub history: Option<Period>,
}

/// Requests per second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "requests per second: a number, {ramp: {from, to, over}}, {daily: {mean, amplitude, peakAt}}, or {points: [{at, rate}]}"
)]
pub enum Load {
    Constant(f64),
    Ramp(RampLoad),
    Daily(DailyLoad),
    Points(PointsLoad),
}

impl Default for Load {
    fn default() -> Self {
        Load::Constant(0.0)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RampLoad {
    pub ramp: Ramp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DailyLoad {
    pub daily: Daily,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointsLoad {
    /// Straight lines between the points; the first and the last value hold outside of them.
    pub points: Vec<LoadPoint>,
}

/// From one rate to another in a straight line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ramp {
    pub from: f64,
    pub to: f64,
    /// When it begins, from the release on; at the release if absent.
    pub at: Option<Period>,
    /// How long it takes.
    pub over: Period,
}

/// A cosine with a period of 24 hours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Daily {
    pub mean: f64,
    /// From the mean to the peak.
    pub amplitude: f64,
    /// From the release to a peak.
    pub peak_at: Period,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadPoint {
    pub at: Period,
    /// Requests per second.
    pub rate: f64,
}

/// How a version answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Behaviour {
    /// Share of the requests that fail, 0 to 1; none if absent.
    pub errors: Option<ErrorShare>,
    /// How long a request takes, failed or not; `{p50: 50ms, p99: 200ms}` if absent.
    pub latency: Option<LatencyModel>,
    /// HTTP status of failed requests; 500 if absent.
    pub error_code: Option<u16>,
}

/// How the versions with an image or a revision answer; what is absent is as of `stable`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct VersionBehaviour {
    /// The image of its first container.
    pub image: Option<String>,
    pub revision: Option<i64>,
    pub errors: Option<ErrorShare>,
    pub latency: Option<LatencyModel>,
    pub error_code: Option<u16>,
}

/// A share, or shares that change in time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a share of the requests: a number from 0 to 1, or {from: [{at, share}]}"
)]
pub enum ErrorShare {
    Always(f64),
    Changing(ErrorChanges),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorChanges {
    /// Each holds from its time on; the first also before.
    pub from: Vec<ErrorChange>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorChange {
    pub at: Period,
    pub share: f64,
}

/// A distribution of latencies, or distributions that change in time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a latency: a length of time, {p50, p99}, {mean, sd}, or {from: [{at, latency}]}"
)]
pub enum LatencyModel {
    Always(Latency),
    Changing(LatencyChanges),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LatencyChanges {
    /// Each holds from its time on; the first also before.
    pub from: Vec<LatencyChange>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LatencyChange {
    pub at: Period,
    pub latency: Latency,
}

/// A distribution of latencies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a latency: a length of time, {p50, p99} or {mean, sd}"
)]
pub enum Latency {
    /// Every request takes this long.
    Constant(Period),
    /// Log-normal, by its median and its 99th percentile.
    Percentiles(Percentiles),
    /// Log-normal, by its mean and its standard deviation.
    Moments(Moments),
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Percentiles {
    pub p50: Period,
    pub p99: Period,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Moments {
    pub mean: Period,
    pub sd: Period,
}

impl Latency {
    /// Mean and standard deviation of the logarithm of the seconds; none for a constant.
    pub fn log_normal(self) -> Option<(f64, f64)> {
        /// The 99th percentile of the standard normal distribution.
        const Z99: f64 = 2.326_347_874_040_841;
        match self {
            Latency::Constant(_) => None,
            Latency::Percentiles(Percentiles { p50, p99 }) => {
                let (p50, p99) = (p50.0.as_secs_f64(), p99.0.as_secs_f64());
                let mu = libm::log(p50);
                Some((mu, (libm::log(p99) - mu) / Z99))
            }
            Latency::Moments(Moments { mean, sd }) => {
                let (mean, sd) = (mean.0.as_secs_f64(), sd.0.as_secs_f64());
                let variance = libm::log1p((sd / mean) * (sd / mean));
                Some((libm::log(mean) - variance / 2.0, variance.sqrt()))
            }
        }
    }

    /// The same with everything taking this much longer; the standard deviation stays.
    #[must_use]
    pub fn longer_by(self, added: Period) -> Self {
        let longer = |period: Period| Period(period.0 + added.0);
        match self {
            Latency::Constant(period) => Latency::Constant(longer(period)),
            Latency::Percentiles(Percentiles { p50, p99 }) => Latency::Percentiles(Percentiles {
                p50: longer(p50),
                p99: longer(p99),
            }),
            Latency::Moments(Moments { mean, sd }) => Latency::Moments(Moments {
                mean: longer(mean),
                sd,
            }),
        }
    }
}

/// Whether counts scatter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Noise {
    /// Each count is its expected value, also where that is a fraction.
    #[default]
    None,
    /// Requests come and fail independently of one another, drawn from `seed`.
    Poisson,
    /// As many whole requests come as are expected; each fails independently, drawn from `seed`.
    Binomial,
}

/// A convention of metric and label names, or names of one's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "one of plain, istio, nginx, linkerd, traefik, envoy, or names of your own: {requests, duration, per, ...}"
)]
pub enum MetricNames {
    Convention(Convention),
    Own(Box<OwnNames>),
}

/// Who counts requests under the names that users know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Convention {
    /// The pods: `http_requests_total`, `http_request_duration_seconds`.
    Plain,
    /// Sidecars and the ingress gateway: `istio_requests_total`, ...
    Istio,
    /// ingress-nginx: `nginx_ingress_controller_requests`, ...
    Nginx,
    /// Linkerd's proxies: `response_total`, `response_latency_ms`.
    Linkerd,
    /// `traefik_service_requests_total`, ...
    Traefik,
    /// An Envoy gateway's clusters: `envoy_cluster_upstream_rq`, ...
    Envoy,
}

/// Metric and label names of one's own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct OwnNames {
    /// Name of the counter of requests.
    pub requests: Option<String>,
    /// Name of the histogram of latencies, without `_bucket`.
    pub duration: Option<String>,
    /// Who counts: each pod, or a gateway for each service.
    pub per: Reporter,
    /// Unit of the histogram.
    pub unit: LatencyUnit,
    /// Upper bounds of the histogram's buckets, in its unit, without `+Inf`; those of Prometheus'
    /// client libraries if absent.
    pub buckets: Option<Vec<f64>>,
    /// The counter's label with the HTTP status; `code` if absent, none if empty.
    pub code_label: Option<String>,
    /// Further labels. `{namespace}`, `{pod}`, `{service}`, `{rollout}`, `{hash}`, `{app}`,
    /// `{version}`, `{port}` in a value stand for those of the pod or service.
    pub labels: BTreeMap<String, String>,
}

/// Who counts requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Reporter {
    /// Counters start with the pod, and from 0 after a crash.
    #[default]
    Pod,
    /// Counters of a gateway, for each service and version behind it.
    Service,
}

/// Unit of a histogram of latencies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LatencyUnit {
    #[default]
    Seconds,
    Milliseconds,
}

impl TrafficModel {
    /// What is wrong with the numbers, as (path below `traffic`, message).
    pub fn problems(&self) -> Vec<(String, String)> {
        let Self {
            requests,
            stable,
            release,
            versions,
            metrics,
            scrape_interval,
            noise: _,
            history: _,
        } = self;
        let mut problems = Vec::new();
        let mut report = |path: &str, message: Option<String>| {
            problems.extend(message.map(|message| (path.to_owned(), message)));
        };
        report("requests", load_problem(requests));
        for (path, behaviour) in [("stable", stable), ("release", release)] {
            let Behaviour {
                errors,
                latency,
                error_code,
            } = behaviour;
            report(path, behaviour_problem(errors, latency, *error_code));
        }
        for (index, version) in versions.iter().enumerate() {
            let VersionBehaviour {
                image,
                revision,
                errors,
                latency,
                error_code,
            } = version;
            let path = format!("versions[{index}]");
            if image.is_none() && revision.is_none() {
                let message = "give the image or the revision of the version";
                report(&path, Some(message.to_owned()));
            }
            report(&path, behaviour_problem(errors, latency, *error_code));
        }
        for (index, names) in metrics.iter().flatten().enumerate() {
            if let MetricNames::Own(own) = names {
                report(&format!("metrics[{index}]"), names_problem(own));
            }
        }
        if scrape_interval.is_some_and(|interval| interval.0 < crate::time::Duration::SECOND) {
            let message = "scrapes are at least one second apart";
            report("scrapeInterval", Some(message.to_owned()));
        }
        problems
    }
}

fn load_problem(load: &Load) -> Option<String> {
    let rates: Vec<f64> = match load {
        Load::Constant(rate) => vec![*rate],
        Load::Ramp(ramp) => vec![ramp.ramp.from, ramp.ramp.to],
        Load::Daily(daily) => {
            let Daily {
                mean,
                amplitude,
                peak_at: _,
            } = &daily.daily;
            vec![*mean, *amplitude, mean - amplitude]
        }
        Load::Points(points) => {
            let points = &points.points;
            if points.is_empty() || points.windows(2).any(|pair| pair[0].at >= pair[1].at) {
                return Some("points are in the order of time, at least one".to_owned());
            }
            points.iter().map(|point| point.rate).collect()
        }
    };
    let wrong = rates.iter().any(|rate| !(0.0..=1e9).contains(rate));
    wrong.then(|| "requests per second are never negative, and at most 1e9".to_owned())
}

pub(super) fn behaviour_problem(
    errors: &Option<ErrorShare>,
    latency: &Option<LatencyModel>,
    error_code: Option<u16>,
) -> Option<String> {
    let (shares, share_times): (Vec<f64>, Vec<Period>) = match errors {
        None => (Vec::new(), vec![Period::default()]),
        Some(ErrorShare::Always(share)) => (vec![*share], vec![Period::default()]),
        Some(ErrorShare::Changing(changes)) => changes
            .from
            .iter()
            .map(|change| (change.share, change.at))
            .unzip(),
    };
    let (latencies, latency_times): (Vec<Latency>, Vec<Period>) = match latency {
        None => (Vec::new(), vec![Period::default()]),
        Some(LatencyModel::Always(latency)) => (vec![*latency], vec![Period::default()]),
        Some(LatencyModel::Changing(changes)) => changes
            .from
            .iter()
            .map(|change| (change.latency, change.at))
            .unzip(),
    };
    if shares.iter().any(|share| !(0.0..=1.0).contains(share)) {
        return Some("a share of failed requests is from 0 to 1".to_owned());
    }
    for times in [share_times, latency_times] {
        if times.is_empty() || times.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Some("`from` is in the order of time, with at least one entry".to_owned());
        }
    }
    let zero = Period::default();
    for latency in latencies {
        let wrong = match latency {
            Latency::Constant(_) => None,
            Latency::Percentiles(Percentiles { p50, p99 }) => {
                (p50 <= zero || p99 < p50).then_some("p50 is above zero, and p99 not below it")
            }
            Latency::Moments(Moments { mean, sd: _ }) => {
                (mean <= zero).then_some("the mean latency is above zero")
            }
        };
        if let Some(message) = wrong {
            return Some(message.to_owned());
        }
    }
    error_code
        .filter(|code| !(400..600).contains(code))
        .map(|code| format!("{code} is no HTTP status of a failed request"))
}

fn names_problem(own: &OwnNames) -> Option<String> {
    let OwnNames {
        requests,
        duration,
        per: _,
        unit: _,
        buckets,
        code_label,
        labels,
    } = own;
    if requests.is_none() && duration.is_none() {
        return Some(
            "give the name of a counter, `requests`, or of a histogram, `duration`".into(),
        );
    }
    let names = requests.iter().chain(duration).chain(labels.keys());
    let codes = code_label.iter().filter(|label| !label.is_empty());
    for name in names.chain(codes) {
        if !crate::promql::labels::is_valid_name(name) {
            return Some(format!("{name:?} names no metric and no label"));
        }
    }
    let bounds = buckets.as_deref().unwrap_or(&[1.0]);
    let rising = bounds.windows(2).all(|pair| pair[0] < pair[1]);
    let finite = bounds.iter().all(|bound| bound.is_finite());
    (!rising || !finite || bounds.is_empty())
        .then(|| "upper bounds of buckets are finite numbers in rising order".to_owned())
}
