//! The same question for several values of one or two things.

use serde::Serialize;
use serde_json::Value;

use crate::promql::Store;
use crate::sim::scenario::Scenario;
use crate::time::Duration;

use super::releases::{altered, releases, with_requests};
use super::runs::{Effort, Variant, play_all};
use super::summary::{Summary, Tally};
use super::vary::{Field, combinations, with_value};

/// What is varied, and which values it takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Dimension {
    pub axis: Axis,
    pub values: Vec<Value>,
}

/// What can be varied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Axis {
    /// A field of the manifests.
    Field(Field),
    /// Share of the release's requests that fail, 0 to 1.
    ErrorRate,
    /// How much longer the release takes for a request, as a length of time.
    AddedLatency,
    /// Requests per second of all users.
    Requests,
}

impl Axis {
    pub fn name(&self) -> &str {
        match self {
            Axis::Field(field) => &field.address,
            Axis::ErrorRate => "error rate of the release",
            Axis::AddedLatency => "added latency of the release",
            Axis::Requests => "requests per second",
        }
    }

    /// Whether it says how the release fares, so that there is no healthy and no bad one.
    fn is_of_release(&self) -> bool {
        match self {
            Axis::ErrorRate | Axis::AddedLatency => true,
            Axis::Field(_) | Axis::Requests => false,
        }
    }
}

/// Results for all combinations of values.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sweep {
    pub runs: u64,
    pub dimensions: Vec<Varied>,
    /// The last dimension changes fastest.
    pub cells: Vec<Cell>,
}

/// A dimension as it is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Varied {
    pub name: String,
    pub values: Vec<Value>,
    /// Whether the values are shares of failed requests.
    pub is_error_rate: bool,
}

/// Results for one combination.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cell {
    /// One of each dimension.
    pub values: Vec<Value>,
    pub results: Results,
}

/// Of the two releases, or of the one that the dimensions describe.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", untagged)]
pub enum Results {
    Two {
        healthy: Box<Summary>,
        bad: Box<Summary>,
    },
    One {
        release: Box<Summary>,
    },
}

/// Plays all combinations of the dimensions' values, each in all runs.
///
/// # Errors
/// There are too many combinations, or a value fits nothing; else see [`play_all`].
pub fn sweep(
    objects: &[Value],
    scenario: &Scenario,
    traces: &Store,
    dimensions: &[Dimension],
    effort: &Effort<'_>,
) -> Result<Sweep, String> {
    let lists: Vec<Vec<Value>> = dimensions.iter().map(|it| it.values.clone()).collect();
    let cells: Vec<Combination> = combinations(&lists)?
        .into_iter()
        .map(|values| cell(objects, scenario, dimensions, values))
        .collect::<Result<_, _>>()?;
    let count = cells.len();
    let variants: Vec<Variant<'_>> = cells
        .iter()
        .flat_map(|cell| {
            cell.scenarios.iter().map(move |scenario| Variant {
                objects: &cell.objects,
                scenario,
                traces,
            })
        })
        .collect();
    let tallies = play_all(&variants, &[], effort)?;
    let mut summaries = tallies.variants.iter().map(Tally::summary);
    let mut told = Vec::with_capacity(count);
    let mut runs = 0;
    for cell in cells {
        let Combination {
            values,
            objects: _,
            scenarios,
        } = cell;
        let first = summaries.next().map(Box::new);
        let second = if scenarios.len() > 1 {
            summaries.next().map(Box::new)
        } else {
            None
        };
        let results = match (first, second) {
            (Some(healthy), Some(bad)) => Results::Two { healthy, bad },
            (Some(release), None) => Results::One { release },
            (None, _) => continue,
        };
        runs = match &results {
            Results::Two { healthy, bad: _ } => healthy.runs,
            Results::One { release } => release.runs,
        };
        told.push(Cell { values, results });
    }
    let varied = |dimension: &Dimension| Varied {
        name: dimension.axis.name().to_owned(),
        values: dimension.values.clone(),
        is_error_rate: dimension.axis == Axis::ErrorRate,
    };
    Ok(Sweep {
        runs,
        dimensions: dimensions.iter().map(varied).collect(),
        cells: told,
    })
}

/// A combination of values, and what is played for it.
struct Combination {
    values: Vec<Value>,
    objects: Vec<Value>,
    scenarios: Vec<Scenario>,
}

fn cell(
    objects: &[Value],
    scenario: &Scenario,
    dimensions: &[Dimension],
    values: Vec<Value>,
) -> Result<Combination, String> {
    let mut objects = objects.to_vec();
    let mut scenario = scenario.clone();
    let (mut errors, mut added) = (None, None);
    for (dimension, value) in dimensions.iter().zip(&values) {
        match &dimension.axis {
            Axis::Field(field) => objects = with_value(&objects, field, value),
            Axis::ErrorRate => {
                let share = value.as_f64().filter(|share| (0.0..=1.0).contains(share));
                errors = Some(share.ok_or_else(|| format!("{value} is no share from 0 to 1"))?);
            }
            Axis::AddedLatency => {
                let length = match value.as_str() {
                    Some(text) => Duration::parse_go(text).ok(),
                    None => value.as_i64().filter(|it| *it == 0).map(|_| Duration::ZERO),
                };
                let length = length.filter(|length| *length >= Duration::ZERO);
                added = Some(length.ok_or_else(|| format!("{value} is no length of time"))?);
            }
            Axis::Requests => {
                let rate = value.as_f64().filter(|rate| (0.0..=1e9).contains(rate));
                let rate = rate.ok_or_else(|| format!("{value} is no number of requests"))?;
                scenario = with_requests(&scenario, rate)?;
            }
        }
    }
    if (errors.is_some() || added.is_some()) && scenario.traffic.is_none() {
        return Err("the scenario has no traffic: there are no errors or latencies to vary".into());
    }
    let of_release = dimensions
        .iter()
        .any(|dimension| dimension.axis.is_of_release());
    let scenarios = if of_release {
        vec![altered(&scenario, errors, added).scenario]
    } else {
        let both = releases(&scenario)?;
        vec![both.healthy.scenario, both.bad.scenario]
    };
    Ok(Combination {
        values,
        objects,
        scenarios,
    })
}
