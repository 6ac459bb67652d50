//! How each version of the rollout answers, at each time.

use crate::engine::ReplicaSet;
use crate::sim::scenario::Period;
use crate::sim::scenario::traffic::{
    Behaviour, ErrorShare, Latency, LatencyModel, Percentiles, TrafficModel, VersionBehaviour,
};
use crate::time::Duration;

use super::binomial::Part;
use super::conventions::Variables;
use super::latency::Spread;

const DEFAULT_LATENCY: Latency = Latency::Percentiles(Percentiles {
    p50: Period(Duration::from_millis(50)),
    p99: Period(Duration::from_millis(200)),
});
const DEFAULT_ERROR_CODE: u16 = 500;

/// Values by the seconds since the release from which on they hold; the first one also before.
#[derive(Debug, Clone, PartialEq)]
struct Schedule<T>(Vec<(f64, T)>);

impl<T: Copy> Schedule<T> {
    fn at(&self, seconds: f64) -> Option<T> {
        let next = self.0.partition_point(|(at, _)| *at <= seconds);
        self.0.get(next.saturating_sub(1)).map(|(_, value)| *value)
    }
}

/// A version: what it is, and how it answers at present.
#[derive(Debug, Clone)]
pub(super) struct Version {
    /// Pod template hash.
    pub hash: String,
    pub image: String,
    /// Whether it was there before the release.
    pub is_old: bool,
    pub app: String,
    /// Its label `version`, "" where there is none.
    version: String,
    pub container: String,
    pub container_port: i64,
    /// HTTP status of failed requests.
    pub error_code: u16,
    errors: Schedule<f64>,
    latencies: Schedule<Latency>,
    /// Share of the requests that fail now.
    pub failing: Part,
    /// How long requests take now.
    pub latency: Spread,
}

impl Version {
    pub fn new(model: &TrafficModel, set: &ReplicaSet, is_old: bool, rollout: &str) -> Self {
        let image = set.template.first_image().unwrap_or_default();
        let special = model.versions.iter().find(|version| {
            version.image.as_ref().is_none_or(|wanted| wanted == image)
                && version
                    .revision
                    .is_none_or(|wanted| wanted == set.revision())
        });
        let special = special.map(|special| {
            let VersionBehaviour {
                image: _,
                revision: _,
                errors,
                latency,
                error_code,
            } = special.clone();
            Behaviour {
                errors,
                latency,
                error_code,
            }
        });
        let own = match (special, is_old) {
            (Some(special), _) => special,
            (None, true) => model.stable.clone(),
            (None, false) => model.release.clone(),
        };
        let stable = &model.stable;
        let errors = match own.errors.as_ref().or(stable.errors.as_ref()) {
            None => vec![(0.0, 0.0)],
            Some(ErrorShare::Always(share)) => vec![(0.0, *share)],
            Some(ErrorShare::Changing(changes)) => changes
                .from
                .iter()
                .map(|change| (change.at.0.as_secs_f64(), change.share))
                .collect(),
        };
        let latencies = match own.latency.as_ref().or(stable.latency.as_ref()) {
            None => vec![(0.0, DEFAULT_LATENCY)],
            Some(LatencyModel::Always(latency)) => vec![(0.0, *latency)],
            Some(LatencyModel::Changing(changes)) => changes
                .from
                .iter()
                .map(|change| (change.at.0.as_secs_f64(), change.latency))
                .collect(),
        };
        let labels = set.template.labels();
        let label = |names: [&str; 2]| {
            let mut found = names.into_iter().filter_map(|name| labels.get(name));
            found.next().cloned().unwrap_or_default()
        };
        let container = set.template.containers().next();
        let app = label(["app", "app.kubernetes.io/name"]);
        Self {
            hash: set.hash().to_owned(),
            image: image.to_owned(),
            is_old,
            app: if app.is_empty() {
                rollout.to_owned()
            } else {
                app
            },
            version: label(["version", "app.kubernetes.io/version"]),
            container: container
                .and_then(|container| container.get("name")?.as_str())
                .unwrap_or_default()
                .to_owned(),
            container_port: container
                .and_then(|container| container.get("ports")?.get(0)?.get("containerPort"))
                .and_then(serde_json::Value::as_i64)
                .unwrap_or(80),
            error_code: own
                .error_code
                .or(stable.error_code)
                .unwrap_or(DEFAULT_ERROR_CODE),
            errors: Schedule(errors),
            latencies: Schedule(latencies),
            failing: Part::new(0.0),
            latency: Spread::default(),
        }
    }

    /// What stands for it in label values, with what else does.
    pub fn variables<const N: usize>(&self, more: [(&'static str, String); N]) -> Variables {
        let or = |other: &str| {
            if self.version.is_empty() {
                other.to_owned()
            } else {
                self.version.clone()
            }
        };
        let own = [
            ("app", self.app.clone()),
            ("version", self.version.clone()),
            ("version_or_unknown", or("unknown")),
            ("version_or_latest", or("latest")),
        ];
        own.into_iter().chain(more).collect()
    }

    /// Lets it answer as at this time, in seconds since the release.
    pub fn set_time(&mut self, seconds: f64, bounds: &[f64]) {
        self.failing = Part::new(self.errors.at(seconds).unwrap_or(0.0));
        let latency = self.latencies.at(seconds).unwrap_or(DEFAULT_LATENCY);
        self.latency = Spread::new(latency, bounds);
    }
}

/// Seconds since the release at which some version begins to answer differently.
pub(super) fn change_times(model: &TrafficModel) -> Vec<f64> {
    let of_versions = model
        .versions
        .iter()
        .map(|version| (&version.errors, &version.latency));
    let all = [&model.stable, &model.release]
        .into_iter()
        .map(|behaviour| (&behaviour.errors, &behaviour.latency))
        .chain(of_versions);
    let mut times = Vec::new();
    for (errors, latency) in all {
        if let Some(ErrorShare::Changing(changes)) = errors {
            times.extend(changes.from.iter().map(|change| change.at));
        }
        if let Some(LatencyModel::Changing(changes)) = latency {
            times.extend(changes.from.iter().map(|change| change.at));
        }
    }
    times.sort();
    times.dedup();
    times.iter().map(|at| at.0.as_secs_f64()).collect()
}
