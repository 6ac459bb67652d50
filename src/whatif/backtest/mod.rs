//! Analysis templates on real history: what each past release would have got.
//!
//! A past release is played with the engine's decisions, and the queries of its analyses are evaluated on the
//! series that were recorded then. What its canary got of the traffic is as it was then: weights and pauses
//! of the manifests decide only when is measured, and when it ends.
//!
//! | module | job |
//! |---|---|
//! | `releases` | the list of past releases |
//! | `wanted` | which series the queries need, and how far back |

mod releases;
mod wanted;

use serde::Serialize;
use serde_json::{Value, json};

use crate::promql::Store;
use crate::sim::play::Prepared;
use crate::sim::scenario::{Period, Scenario};
use crate::time::Duration;

use super::row::{Ending, Row};

pub use releases::{Label, PastRelease, read_releases};
pub use wanted::{Wanted, wanted};

/// What a past release would have got.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fate {
    pub ending: Ending,
    /// Seconds from the release to its promotion or abort.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Why, in the controller's words; empty where it was promoted.
    pub message: String,
    pub measurements: usize,
    /// Such as queries that found nothing.
    pub notes: Vec<String>,
}

impl Fate {
    /// Whether it is what the label wants: a good release promoted, a bad one aborted.
    pub fn is_right(&self, label: Label) -> bool {
        match label {
            Label::Good => self.ending == Ending::Promoted,
            Label::Bad => self.ending == Ending::Aborted,
        }
    }
}

/// Plays a past release with these manifests on what was recorded, with times from the release on; it is
/// unfinished if it has not ended when the recording does. `base` says what else happens (events, pods).
///
/// # Errors
/// The manifests cannot be played (see [`Prepared::new`]).
pub fn fate(
    objects: &[Value],
    base: &Scenario,
    release: &PastRelease,
    recorded: &Store,
    length: Duration,
) -> Result<Fate, String> {
    let mut scenario = base.clone();
    scenario.expect.clear();
    scenario.until = Some(Period(length));
    // Also without a single recorded series, queries are asked of the recording.
    scenario.series.get_or_insert_default();
    let objects: Vec<Value> = objects
        .iter()
        .map(|object| with_hashes(object, release))
        .collect();
    let prepared = Prepared::new(&objects, &scenario, recorded)?;
    let seed = scenario.seed.unwrap_or(1);
    let play = prepared.play(seed);
    let row = Row::of(&play.outcome, &play.totals);
    let time = row.time_to_promotion.or(row.time_to_abort);
    Ok(Fate {
        ending: row.ending,
        seconds: time.map(|millis| millis as f64 / 1000.0),
        message: if row.ending == Ending::Promoted {
            String::new()
        } else {
            play.outcome.message
        },
        measurements: play.totals.measurements,
        notes: play.notes,
    })
}

/// The object with the hashes that pods had then, where arguments ask for them.
fn with_hashes(object: &Value, release: &PastRelease) -> Value {
    match object {
        Value::Array(items) => items.iter().map(|it| with_hashes(it, release)).collect(),
        Value::Object(fields) => {
            let asked = object
                .pointer("/valueFrom/podTemplateHashValue")
                .and_then(Value::as_str);
            let hash = match asked {
                Some("Latest") => release.canary_hash.as_deref(),
                Some("Stable") => release.stable_hash.as_deref(),
                Some(_) | None => None,
            };
            let given = fields.get("name").and_then(Value::as_str);
            let given = given.and_then(|name| release.args.get(name));
            let is_argument = fields.contains_key("value") || fields.contains_key("valueFrom");
            match (given.map(String::as_str).filter(|_| is_argument), hash) {
                (Some(value), _) | (None, Some(value)) => {
                    json!({"name": fields.get("name"), "value": value})
                }
                (None, None) => fields
                    .iter()
                    .map(|(key, value)| (key.clone(), with_hashes(value, release)))
                    .collect::<serde_json::Map<_, _>>()
                    .into(),
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => object.clone(),
    }
}

/// Whether queries may ask for a hash that the release does not tell.
pub fn lacks_hash(objects: &[Value], release: &PastRelease) -> bool {
    fn asks(value: &Value, hash: &str) -> bool {
        match value {
            Value::Array(items) => items.iter().any(|it| asks(it, hash)),
            Value::Object(fields) => {
                fields.get("podTemplateHashValue").and_then(Value::as_str) == Some(hash)
                    || fields.values().any(|it| asks(it, hash))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }
    let left: Vec<Value> = objects.iter().map(|it| with_hashes(it, release)).collect();
    left.iter()
        .any(|it| asks(it, "Latest") || asks(it, "Stable"))
}

/// How often releases with labels got what they deserve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Confusion {
    pub good_promoted: usize,
    pub good_aborted: usize,
    /// Neither promoted nor aborted.
    pub good_other: usize,
    pub bad_promoted: usize,
    pub bad_aborted: usize,
    pub bad_other: usize,
}

impl Confusion {
    pub fn of<'f>(fates: impl Iterator<Item = (Label, &'f Fate)>) -> Self {
        let mut found = Self::default();
        for (label, fate) in fates {
            let count = match (label, fate.ending) {
                (Label::Good, Ending::Promoted) => &mut found.good_promoted,
                (Label::Good, Ending::Aborted) => &mut found.good_aborted,
                (Label::Good, _) => &mut found.good_other,
                (Label::Bad, Ending::Promoted) => &mut found.bad_promoted,
                (Label::Bad, Ending::Aborted) => &mut found.bad_aborted,
                (Label::Bad, _) => &mut found.bad_other,
            };
            *count = count.saturating_add(1);
        }
        found
    }

    pub fn good(&self) -> usize {
        self.good_promoted + self.good_aborted + self.good_other
    }

    pub fn bad(&self) -> usize {
        self.bad_promoted + self.bad_aborted + self.bad_other
    }
}
