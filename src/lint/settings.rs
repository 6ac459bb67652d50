//! What can be set. Every field has a default; how settings are read from a file is not said here.

use std::collections::BTreeMap;

use glob::Pattern;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::source::Severity;

use crate::spec::meta::DurationString;

/// Settings of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The present day, `YYYY-MM-DD`; without it no suppression ends.
    pub today: Option<String>,
    /// Severity of a rule's findings, by rule.
    pub levels: BTreeMap<String, Level>,
    /// Severities that hold for some files only; later ones count more.
    #[serde(skip)]
    pub overrides: Vec<Override>,
    /// Whether the files hold everything: what is referred to and not there is then an error.
    pub complete: bool,
    /// Whether findings come with counterexamples that take a simulation, milliseconds each.
    pub demonstrations: bool,
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
    /// How many times the requests of a stable pod a canary pod may get.
    pub max_canary_load: f64,
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
    /// Longest time for which a metric may do nothing but err, as a Go duration.
    pub max_error_time: DurationString,
}

/// Severities by rule for the files that a pattern fits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Override {
    pub files: Vec<Pattern>,
    pub levels: BTreeMap<String, Level>,
}

impl Override {
    /// Whether a pattern fits the file's path or the end of it, from a folder's name on.
    pub fn holds_for(&self, file: &str) -> bool {
        let file = file.strip_prefix("./").unwrap_or(file).replace('\\', "/");
        let starts = std::iter::once(0).chain(file.match_indices('/').map(|(at, _)| at + 1));
        let tails: Vec<&str> = starts.filter_map(|start| file.get(start..)).collect();
        self.files
            .iter()
            .any(|pattern| tails.iter().any(|tail| pattern.matches(tail)))
    }
}

/// A severity that a rule is given, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Off,
    Info,
    Warning,
    Error,
}

impl Level {
    /// None for what is not to be shown.
    pub fn severity(self) -> Option<Severity> {
        match self {
            Level::Off => None,
            Level::Info => Some(Severity::Info),
            Level::Warning => Some(Severity::Warning),
            Level::Error => Some(Severity::Error),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            today: None,
            levels: BTreeMap::new(),
            overrides: Vec::new(),
            complete: false,
            demonstrations: true,
            target_version: (1, 10),
            traffic_rps: 10.0,
            scrape_interval: "30s".into(),
            max_first_weight: 20,
            max_weight_factor: 4.0,
            max_weight_points: 50,
            max_canary_load: 2.0,
            max_weight_error: 5,
            max_false_abort_rate: 0.05,
            max_miss_rate: 0.2,
            brittle_measurements: 5,
            max_failure_share: 0.5,
            max_error_time: "10m".into(),
        }
    }
}
