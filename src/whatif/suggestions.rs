//! What to change: each change of one thing is played, and told with what came of it.

use regex::Regex;
use serde::Serialize;
use serde_json::{Value, json};

use crate::promql::Store;
use crate::time::Duration;

use super::pairs::{Change, Changes, Pairs};
use super::releases::Releases;
use super::runs::{Effort, Variant, play_all};
use super::summary::{Summary, Tally};
use super::vary::{find, value_of, with_value};

/// Changes that are tried at most.
const CHANGES_MAX: usize = 40;
/// A time or a number of requests has to fall by this part to be worth a change.
const WORTHWHILE: f64 = 0.1;

/// A change of one thing in the manifests, and what comes of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Suggestion {
    /// `Kind/name:path` of what is changed.
    pub field: String,
    /// Present value; null where it is not set.
    pub before: Value,
    pub after: Value,
    pub healthy: Summary,
    pub bad: Summary,
    /// Against the manifests as they are, run by run.
    pub healthy_changes: Changes,
    pub bad_changes: Changes,
    pub worth: Worth,
}

/// Whether a change is for the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Worth {
    /// Fewer wrong decisions: healthy releases that are not promoted, bad ones that are.
    DecidesBetter,
    /// No more wrong decisions; fewer failed requests of a bad release, or a faster promotion.
    CostsLess,
    /// Nothing is surely better, or something else is surely worse.
    NotWorthIt,
    /// More wrong decisions.
    DecidesWorse,
}

impl Worth {
    pub fn is_better(self) -> bool {
        match self {
            Worth::DecidesBetter | Worth::CostsLess => true,
            Worth::NotWorthIt | Worth::DecidesWorse => false,
        }
    }
}

impl Suggestion {
    /// By how much the share of wrong decisions changes, and half of the 95 % interval of that.
    pub fn wrong_decisions(&self) -> (f64, f64) {
        wrong_change(&self.healthy_changes, &self.bad_changes)
    }
}

fn wrong_change(of_healthy: &Changes, of_bad: &Changes) -> (f64, f64) {
    let half =
        |change: Option<Change>| change.map_or(0.0, |it| it.difference.high - it.difference.value);
    let value = |change: Option<Change>| change.map_or(0.0, |it| it.difference.value);
    (
        value(of_bad.promoted) - value(of_healthy.promoted),
        half(of_bad.promoted).hypot(half(of_healthy.promoted)),
    )
}

/// All changes that were tried, the best first.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sensitivity {
    pub runs: u64,
    pub changes: Vec<Suggestion>,
}

/// Plays the manifests as they are and with each change, in the same runs.
///
/// # Errors
/// See [`play_all`].
pub fn sensitivity(
    objects: &[Value],
    releases: &Releases,
    traces: &Store,
    effort: &Effort<'_>,
) -> Result<Sensitivity, String> {
    let candidates = candidates(objects);
    let changed: Vec<Vec<Value>> = candidates.iter().map(|it| it.objects.clone()).collect();
    let manifests = std::iter::once(objects).chain(changed.iter().map(Vec::as_slice));
    let variants: Vec<Variant<'_>> = manifests
        .flat_map(|objects| {
            [&releases.healthy, &releases.bad].map(|release| Variant {
                objects,
                scenario: &release.scenario,
                traces,
            })
        })
        .collect();
    let pairs: Vec<(usize, usize)> = (2..variants.len())
        .map(|index| (index % 2, index))
        .collect();
    let tallies = play_all(&variants, &pairs, effort)?;
    let mut changes = Vec::new();
    for (index, candidate) in candidates.into_iter().enumerate() {
        let of = |offset: usize| tallies.variants.get(index * 2 + 2 + offset);
        let pair = |offset: usize| tallies.pairs.get(index * 2 + offset);
        let (Some(healthy), Some(bad), Some(healthy_pair), Some(bad_pair)) =
            (of(0), of(1), pair(0), pair(1))
        else {
            continue;
        };
        let (healthy_changes, bad_changes) =
            (Pairs::changes(healthy_pair), Pairs::changes(bad_pair));
        let (healthy, bad) = (healthy.summary(), bad.summary());
        changes.push(Suggestion {
            worth: worth(&healthy, &bad, &healthy_changes, &bad_changes),
            field: candidate.field,
            before: candidate.before,
            after: candidate.after,
            healthy,
            bad,
            healthy_changes,
            bad_changes,
        });
    }
    // The best first; among equals as they stand in the manifests.
    changes.sort_by(|a, b| {
        let rank = |it: &Suggestion| match it.worth {
            Worth::DecidesBetter => 0,
            Worth::CostsLess => 1,
            Worth::NotWorthIt => 2,
            Worth::DecidesWorse => 3,
        };
        let wrong = |it: &Suggestion| wrong_decisions(&it.healthy, &it.bad);
        rank(a).cmp(&rank(b)).then(wrong(a).total_cmp(&wrong(b)))
    });
    Ok(Sensitivity {
        runs: tallies.variants.first().map_or(0, Tally::runs),
        changes,
    })
}

/// Shares of healthy releases that are not promoted, and of bad ones that are.
fn wrong_decisions(healthy: &Summary, bad: &Summary) -> f64 {
    1.0 - healthy.promoted.share + bad.promoted.share
}

fn worth(healthy: &Summary, bad: &Summary, of_healthy: &Changes, of_bad: &Changes) -> Worth {
    let (wrong, doubt) = wrong_change(of_healthy, of_bad);
    if wrong < -doubt {
        return Worth::DecidesBetter;
    }
    if wrong > doubt {
        return Worth::DecidesWorse;
    }
    let relative = |change: Option<Change>, after: Option<f64>| {
        let (change, after) = (change?, after?);
        let before = after - change.difference.value;
        (change.is_certain && before > 0.0).then(|| change.difference.value / before)
    };
    let requests = relative(
        of_bad.failed_because_of_release,
        bad.failed_because_of_release.map(|it| it.mean.value),
    );
    let time = relative(
        of_healthy.seconds_to_promotion,
        healthy.seconds_to_promotion.map(|it| it.mean.value),
    );
    let effects: Vec<f64> = requests.into_iter().chain(time).collect();
    let better = effects.iter().any(|effect| *effect <= -WORTHWHILE);
    let worse = effects.iter().any(|effect| *effect >= WORTHWHILE);
    if better && !worse {
        Worth::CostsLess
    } else {
        Worth::NotWorthIt
    }
}

struct Candidate {
    field: String,
    before: Value,
    after: Value,
    objects: Vec<Value>,
}

/// Changes of one thing: limits, counts, intervals and windows of each metric; the first weight, and
/// all pauses of the steps together.
fn candidates(objects: &[Value]) -> Vec<Candidate> {
    let mut found = Vec::new();
    for object in objects {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let (kind, name) = (text("/kind"), text("/metadata/name"));
        let (Some(kind), Some(name)) = (kind, name) else {
            continue;
        };
        let prefix = format!("{kind}/{name}:spec");
        match kind {
            "AnalysisTemplate" | "ClusterAnalysisTemplate" => {
                let metrics = object.pointer("/spec/metrics").and_then(Value::as_array);
                for (index, metric) in metrics.into_iter().flatten().enumerate() {
                    of_metric(
                        objects,
                        metric,
                        &format!("{prefix}.metrics[{index}]"),
                        &mut found,
                    );
                }
            }
            "Rollout" => of_steps(objects, object, &prefix, &mut found),
            _ => {}
        }
    }
    found.truncate(CHANGES_MAX);
    found
}

fn of_metric(objects: &[Value], metric: &Value, path: &str, found: &mut Vec<Candidate>) {
    let mut add = |name: &str, after: Value| {
        found.extend(candidate(objects, &format!("{path}.{name}"), after));
    };
    let whole = |name: &str| metric.get(name).map_or(Some(0), Value::as_i64);
    if let Some(limit) = whole("failureLimit").filter(|limit| *limit >= 0) {
        add("failureLimit", json!(limit + 1));
        if limit > 0 {
            add("failureLimit", json!(limit - 1));
        }
    }
    if let Some(count) = whole("count").filter(|count| *count > 0) {
        add("count", json!(count * 2));
        if count > 1 {
            add("count", json!(count / 2));
        }
    }
    let interval = metric.get("interval").and_then(Value::as_str);
    for after in interval.into_iter().flat_map(doubled_and_halved) {
        add("interval", json!(after));
    }
    let query = metric
        .pointer("/provider/prometheus/query")
        .and_then(Value::as_str);
    for after in query.into_iter().flat_map(with_other_windows) {
        add("provider.prometheus.query", json!(after));
    }
}

fn of_steps(objects: &[Value], rollout: &Value, prefix: &str, found: &mut Vec<Candidate>) {
    let path = format!("{prefix}.strategy.canary.steps");
    let steps = rollout
        .pointer("/spec/strategy/canary/steps")
        .and_then(Value::as_array);
    let Some(steps) = steps else { return };
    let weights = steps.iter().enumerate().filter_map(|(index, step)| {
        let weight = step.get("setWeight").and_then(Value::as_i64)?;
        Some((index, weight))
    });
    let weights: Vec<(usize, i64)> = weights.filter(|(_, weight)| *weight > 0).collect();
    if let Some((index, weight)) = weights.first() {
        let next = weights.get(1).map_or(100, |(_, weight)| *weight);
        let others = [weight / 2, weight * 2];
        for after in others.into_iter().filter(|it| *it > 0 && *it < next) {
            let field = format!("{path}[{index}].setWeight");
            found.extend(candidate(objects, &field, json!(after)));
        }
    }
    for which in [0, 1] {
        let mut changed = steps.clone();
        let mut any = false;
        for step in &mut changed {
            let duration = step.pointer("/pause/duration").and_then(as_length);
            if let (Some(duration), Some(pause)) = (duration, step.pointer_mut("/pause/duration"))
                && let Some(other) = doubled_and_halved(&duration).into_iter().nth(which)
            {
                *pause = json!(other);
                any = true;
            }
        }
        if any {
            found.extend(
                candidate(objects, &path, Value::Array(changed)).map(|candidate| Candidate {
                    field: format!("{path}[*].pause.duration"),
                    before: Value::Null,
                    after: json!(if which == 0 { "doubled" } else { "halved" }),
                    ..candidate
                }),
            );
        }
    }
}

/// A duration as Go writes it; plain numbers are seconds.
pub(super) fn as_length(value: &Value) -> Option<String> {
    match value {
        Value::Number(seconds) => Some(format!("{seconds}s")),
        Value::String(text) if text.parse::<u64>().is_ok() => Some(format!("{text}s")),
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn candidate(objects: &[Value], address: &str, after: Value) -> Option<Candidate> {
    let field = find(objects, address).ok()?;
    Some(Candidate {
        before: value_of(objects, &field).cloned().unwrap_or_default(),
        objects: with_value(objects, &field, &after),
        field: field.address,
        after,
    })
}

/// Twice and half of a length of time; whole seconds only, and none below a second.
pub(super) fn doubled_and_halved(text: &str) -> Vec<String> {
    let Ok(length) = Duration::parse_go(text) else {
        return Vec::new();
    };
    let seconds = length.as_secs_f64().floor();
    [seconds * 2.0, (seconds / 2.0).floor()]
        .into_iter()
        .filter(|other| *other >= 1.0 && *other < 1e6)
        .map(|other| Duration::from_secs_f64(other).to_string())
        .collect()
}

/// The query with all its windows doubled, and halved, where they are all of one length.
pub(super) fn with_other_windows(query: &str) -> Vec<String> {
    let Ok(window) = Regex::new(r"\[(\d+)([smh])\]") else {
        return Vec::new();
    };
    let mut windows: Vec<(&str, &str)> = window
        .captures_iter(query)
        .filter_map(|found| Some((found.get(1)?.as_str(), found.get(2)?.as_str())))
        .collect();
    windows.sort_unstable();
    windows.dedup();
    let [(number, unit)] = windows.as_slice() else {
        return Vec::new();
    };
    let factor = match *unit {
        "s" => 1,
        "m" => 60,
        _ => 3600,
    };
    let Some(seconds) = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
    else {
        return Vec::new();
    };
    [seconds.saturating_mul(2), seconds / 2]
        .into_iter()
        .filter(|other| *other > 0)
        .map(|other| {
            let text = if other % 60 == 0 {
                format!("[{}m]", other / 60)
            } else {
                format!("[{other}s]")
            };
            window.replace_all(query, text.as_str()).into_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_changed_together() {
        let query = "sum(rate(a[1m])) / sum(rate(b[1m]))";
        assert_eq!(
            with_other_windows(query),
            [
                "sum(rate(a[2m])) / sum(rate(b[2m]))",
                "sum(rate(a[30s])) / sum(rate(b[30s]))",
            ]
        );
        assert!(with_other_windows("rate(a[1m]) / rate(b[5m])").is_empty());
        assert!(with_other_windows("up").is_empty());
    }

    #[test]
    fn lengths_of_time_are_doubled_and_halved() {
        assert_eq!(doubled_and_halved("30s"), ["1m0s", "15s"]);
        assert_eq!(doubled_and_halved("1s"), ["2s"]);
        assert!(doubled_and_halved("soon").is_empty());
    }
}
