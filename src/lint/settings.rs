//! What can be set. Every field has a default; how settings are read from a file is not said here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::spec::meta::DurationString;

/// Settings of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Severity of a rule's findings, by rule.
    pub levels: BTreeMap<String, Level>,
    /// Whether the files hold everything: what is referred to and not there is then an error.
    pub complete: bool,
    /// Version of Argo Rollouts that will run the objects, major and minor.
    pub target_version: (u32, u32),
    /// Requests per second that a rollout gets in all.
    pub traffic_rps: f64,
    /// How often Prometheus scrapes, as a Go duration.
    pub scrape_interval: DurationString,
    /// Largest share of traffic, in percent, that a first step may send at once.
    pub max_first_weight: i32,
    /// How many times the canary's weight may grow between two looks at it.
    pub max_weight_factor: f64,
    /// How many points the canary's weight may grow between two looks at it.
    pub max_weight_points: i32,
    /// Points by which the weight that replicas give may differ from the weight asked for.
    pub max_weight_error: i32,
    /// Largest share of healthy releases that an analysis may abort, 0 to 1.
    pub max_false_abort_rate: f64,
    /// Largest share of releases at twice the limit that an analysis may let through, 0 to 1.
    pub max_miss_rate: f64,
    /// Measurements from which on a `failureLimit` of 0 counts as brittle.
    pub brittle_measurements: i32,
    /// Largest share of measurements that may fail, 0 to 1.
    pub max_failure_share: f64,
}

/// A severity that a rule is given, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Off,
    Info,
    Warning,
    Error,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            levels: BTreeMap::new(),
            complete: false,
            target_version: (1, 10),
            traffic_rps: 10.0,
            scrape_interval: "30s".into(),
            max_first_weight: 20,
            max_weight_factor: 4.0,
            max_weight_points: 50,
            max_weight_error: 5,
            max_false_abort_rate: 0.05,
            max_miss_rate: 0.2,
            brittle_measurements: 5,
            max_failure_share: 0.5,
        }
    }
}
