//! How each version of the rollout answers, at each time.

use std::sync::Arc;

use crate::engine::ReplicaSet;
use crate::sim::scenario::Period;
use crate::sim::scenario::traffic::{
    Behaviour, ErrorShare, Latency, LatencyModel, Noise, Percentiles, TrafficModel,
    VersionBehaviour,
};
use crate::time::Duration;

use super::binomial::Part;
use super::conventions::Variables;
use super::latency::Spread;
use super::poisson::Counts;

const DEFAULT_LATENCY: Latency = Latency::Percentiles(Percentiles {
    p50: Period(Duration::from_millis(50)),
    p99: Period(Duration::from_millis(200)),
});
const DEFAULT_ERROR_CODE: u16 = 500;

/// Values by the seconds since the release from which on they hold.
#[derive(Debug, Clone)]
struct Schedule<T> {
    /// Holds until another one does.
    first: T,
    later: Vec<(f64, T)>,
}

impl<T> Schedule<T> {
    fn new(first: T) -> Self {
        Self {
            first,
            later: Vec::new(),
        }
    }

    /// The first value holds also before its time; none without values.
    fn changing(values: impl Iterator<Item = (Period, T)>) -> Option<Self> {
        let mut values = values.map(|(at, value)| (at.0.as_secs_f64(), value));
        Some(Self {
            first: values.next()?.1,
            later: values.collect(),
        })
    }

    fn at(&self, seconds: f64) -> &T {
        let before = self.later.partition_point(|(at, _)| *at <= seconds);
        let latest = before.checked_sub(1).and_then(|at| self.later.get(at));
        latest.map_or(&self.first, |(_, value)| value)
    }
}

/// How a version answers, at each time.
#[derive(Debug, Clone)]
struct Answers {
    /// Share of the requests that fail.
    errors: Schedule<Arc<Part>>,
    latencies: Schedule<Arc<Spread>>,
    error_code: u16,
}

/// How all versions of a scenario answer. Runs share it, and with it the tables of what is drawn.
#[derive(Debug)]
pub(super) struct Behaviours {
    pub noise: Noise,
    /// Numbers of requests.
    pub counts: Counts,
    stable: Arc<Answers>,
    release: Arc<Answers>,
    special: Vec<Special>,
}

/// How versions with an image or a revision answer.
#[derive(Debug)]
struct Special {
    image: Option<String>,
    revision: Option<i64>,
    answers: Arc<Answers>,
}

impl Behaviours {
    /// `bounds` are those of latencies, in seconds.
    pub fn new(model: &TrafficModel, bounds: &[f64]) -> Self {
        let usual = Answers {
            errors: Schedule::new(Arc::new(Part::new(0.0))),
            latencies: Schedule::new(Arc::new(Spread::new(DEFAULT_LATENCY, bounds))),
            error_code: DEFAULT_ERROR_CODE,
        };
        let stable = usual.with(&model.stable, bounds);
        let special = |special: &VersionBehaviour| {
            let VersionBehaviour {
                image,
                revision,
                errors,
                latency,
                error_code,
            } = special.clone();
            let own = Behaviour {
                errors,
                latency,
                error_code,
            };
            Special {
                image,
                revision,
                answers: Arc::new(stable.with(&own, bounds)),
            }
        };
        Self {
            noise: model.noise,
            counts: Counts::default(),
            release: Arc::new(stable.with(&model.release, bounds)),
            special: model.versions.iter().map(special).collect(),
            stable: Arc::new(stable),
        }
    }

    /// `is_old` tells whether the version was there before the release.
    fn of(&self, image: &str, revision: i64, is_old: bool) -> &Arc<Answers> {
        let is_its = |special: &&Special| {
            let Special {
                image: wanted,
                revision: wanted_revision,
                answers: _,
            } = special;
            wanted.as_ref().is_none_or(|wanted| wanted == image)
                && wanted_revision.is_none_or(|wanted| wanted == revision)
        };
        match (self.special.iter().find(is_its), is_old) {
            (Some(special), _) => &special.answers,
            (None, true) => &self.stable,
            (None, false) => &self.release,
        }
    }
}

impl Answers {
    /// As these where they are not of its own.
    fn with(&self, own: &Behaviour, bounds: &[f64]) -> Self {
        let Behaviour {
            errors,
            latency,
            error_code,
        } = own;
        let part = |share| Arc::new(Part::new(share));
        let errors = errors.as_ref().and_then(|errors| match errors {
            ErrorShare::Always(share) => Some(Schedule::new(part(*share))),
            ErrorShare::Changing(changes) => {
                let each = changes.from.iter();
                Schedule::changing(each.map(|change| (change.at, part(change.share))))
            }
        });
        let spread = |latency| Arc::new(Spread::new(latency, bounds));
        let latencies = latency.as_ref().and_then(|latency| match latency {
            LatencyModel::Always(latency) => Some(Schedule::new(spread(*latency))),
            LatencyModel::Changing(changes) => {
                let each = changes.from.iter();
                Schedule::changing(each.map(|change| (change.at, spread(change.latency))))
            }
        });
        Self {
            errors: errors.unwrap_or_else(|| self.errors.clone()),
            latencies: latencies.unwrap_or_else(|| self.latencies.clone()),
            error_code: error_code.unwrap_or(self.error_code),
        }
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
    pub container_port: i64,
    /// What stands for it and its pods in label values.
    pub variables: Variables,
    /// HTTP status of failed requests.
    pub error_code: u16,
    answers: Arc<Answers>,
    /// Share of the requests that fail now.
    pub failing: Arc<Part>,
    /// How long requests take now.
    pub latency: Arc<Spread>,
}

impl Version {
    /// As it answers at a time, in seconds since the release.
    pub fn new(
        behaviours: &Behaviours,
        set: &ReplicaSet,
        is_old: bool,
        (namespace, rollout): (&str, &str),
        seconds: f64,
    ) -> Self {
        let image = set.template.first_image().unwrap_or_default();
        let answers = behaviours.of(image, set.revision(), is_old);
        let labels = set.template.labels();
        let app = app_of(set, rollout);
        let version = labels.get("version");
        let version = version.or_else(|| labels.get("app.kubernetes.io/version"));
        let version = version.cloned().unwrap_or_default();
        let version_or = |other: &str| {
            if version.is_empty() {
                other.to_owned()
            } else {
                version.clone()
            }
        };
        let container = set.template.containers().next();
        let container_port = container
            .and_then(|container| container.get("ports")?.get(0)?.get("containerPort"))
            .and_then(serde_json::Value::as_i64)
            .unwrap_or(80);
        let container = container
            .and_then(|container| container.get("name")?.as_str())
            .unwrap_or_default();
        let variables = Variables::from([
            ("namespace", namespace.to_owned()),
            ("rollout", rollout.to_owned()),
            ("hash", set.hash().to_owned()),
            ("app", app.clone()),
            ("version_or_unknown", version_or("unknown")),
            ("version_or_latest", version_or("latest")),
            ("version", version),
            ("container", container.to_owned()),
            ("port", container_port.to_string()),
        ]);
        Self {
            hash: set.hash().to_owned(),
            image: image.to_owned(),
            is_old,
            app,
            container_port,
            variables,
            error_code: answers.error_code,
            failing: Arc::clone(answers.errors.at(seconds)),
            latency: Arc::clone(answers.latencies.at(seconds)),
            answers: Arc::clone(answers),
        }
    }

    /// What stands for it and a gateway before it in label values.
    pub fn gateway_variables<const N: usize>(
        &self,
        gateway: [(&'static str, String); N],
    ) -> Variables {
        let mut variables = self.variables.clone();
        variables.remove("container");
        variables.extend(gateway);
        variables
    }

    /// Lets it answer as at this time, in seconds since the release.
    pub fn set_time(&mut self, seconds: f64) {
        self.failing = Arc::clone(self.answers.errors.at(seconds));
        self.latency = Arc::clone(self.answers.latencies.at(seconds));
    }
}

/// The application's name; that of the rollout where labels do not say it.
pub(super) fn app_of(set: &ReplicaSet, rollout: &str) -> String {
    let labels = set.template.labels();
    let named = labels.get("app");
    let named = named.or_else(|| labels.get("app.kubernetes.io/name"));
    let named = named.filter(|name| !name.is_empty());
    named.map_or_else(|| rollout.to_owned(), Clone::clone)
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
