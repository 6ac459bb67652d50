//! What can be set in the manifests, and to which values.

use regex::Regex;
use serde_json::{Value, json};

use crate::whatif::suggestions::{as_length, doubled_and_halved, with_other_windows};
use crate::whatif::vary::{Field, find, value_of, with_value};

use super::front::FieldChange;

/// Fields that are tuned at most: the first ones in the order of the manifests.
const KNOBS_MAX: usize = 48;
/// `consecutiveErrorLimit` of a metric that names none.
const ERROR_LIMIT: i64 = 4;

/// A field and the values that it may take, in their order.
#[derive(Debug, Clone)]
pub(super) struct Knob {
    field: Field,
    /// None: as the manifests have it, which may be not set.
    values: Vec<Option<Value>>,
    /// Index of the present value.
    present: usize,
    /// Fields that are also moved together.
    pub group: Option<Group>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Weights,
    Pauses,
}

impl Group {
    pub const ALL: [Group; 2] = [Group::Weights, Group::Pauses];
}

/// For each knob the index of a value.
pub(super) type Positions = Vec<usize>;

/// All knobs of the manifests.
pub(super) struct Board<'o> {
    objects: &'o [Value],
    pub knobs: Vec<Knob>,
}

impl<'o> Board<'o> {
    pub fn new(objects: &'o [Value]) -> Self {
        let mut knobs = Vec::new();
        for object in objects {
            let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
            let (Some(kind), Some(name)) = (text("/kind"), text("/metadata/name")) else {
                continue;
            };
            let spec = format!("{kind}/{name}:spec");
            match kind {
                "AnalysisTemplate" | "ClusterAnalysisTemplate" => {
                    let metrics = object.pointer("/spec/metrics").and_then(Value::as_array);
                    for (index, metric) in metrics.into_iter().flatten().enumerate() {
                        let path = format!("{spec}.metrics[{index}]");
                        of_metric(objects, metric, &path, &mut knobs);
                    }
                }
                "Rollout" => of_steps(objects, object, &spec, &mut knobs),
                _ => {}
            }
        }
        knobs.truncate(KNOBS_MAX);
        Self { objects, knobs }
    }

    /// The manifests as they are.
    pub fn present(&self) -> Positions {
        self.knobs.iter().map(|knob| knob.present).collect()
    }

    /// The knob moved by some notches; none where it ends before.
    pub fn moved(&self, positions: &Positions, knob: usize, notches: isize) -> Option<Positions> {
        let mut moved = positions.clone();
        let at = moved.get_mut(knob)?;
        *at = at.checked_add_signed(notches)?;
        (*at < self.knobs.get(knob)?.values.len()).then_some(moved)
    }

    /// All knobs of a group moved by some notches, as far as they go; none where none does.
    pub fn moved_together(
        &self,
        positions: &Positions,
        group: Group,
        notches: isize,
    ) -> Option<Positions> {
        let mut moved = positions.clone();
        for (at, knob) in moved.iter_mut().zip(&self.knobs) {
            if knob.group == Some(group) {
                let last = knob.values.len().saturating_sub(1);
                *at = at.saturating_add_signed(notches).min(last);
            }
        }
        (moved != *positions).then_some(moved)
    }

    /// Positions with a knob as the manifests have it.
    pub fn reset(&self, positions: &Positions, knob: usize) -> Option<Positions> {
        let present = self.knobs.get(knob)?.present;
        let mut reset = positions.clone();
        let at = reset.get_mut(knob)?;
        if *at == present {
            return None;
        }
        *at = present;
        Some(reset)
    }

    /// The manifests with these settings.
    pub fn objects(&self, positions: &Positions) -> Vec<Value> {
        let mut objects = self.objects.to_vec();
        for (knob, at) in self.knobs.iter().zip(positions) {
            if let Some(Some(value)) = knob.values.get(*at) {
                objects = with_value(&objects, &knob.field, value);
            }
        }
        objects
    }

    /// What these settings change.
    pub fn changes(&self, positions: &Positions) -> Vec<FieldChange> {
        let mut changes = Vec::new();
        for (knob, at) in self.knobs.iter().zip(positions) {
            if let (true, Some(Some(value))) = (*at != knob.present, knob.values.get(*at)) {
                changes.push(FieldChange {
                    field: knob.field.address.clone(),
                    before: value_of(self.objects, &knob.field)
                        .cloned()
                        .unwrap_or_default(),
                    after: value.clone(),
                    place: knob.field.clone(),
                });
            }
        }
        changes
    }

    /// Whether weights do not fall from step to step more than they do now.
    pub fn is_sensible(&self, positions: &Positions) -> bool {
        let weights = |positions: &Positions| {
            let of_weights = self.knobs.iter().zip(positions);
            let of_weights = of_weights.filter(|(knob, _)| knob.group == Some(Group::Weights));
            let weights: Vec<i64> = of_weights
                .map(|(knob, at)| {
                    let value = knob.values.get(*at).and_then(Option::as_ref);
                    let value = value.or_else(|| value_of(self.objects, &knob.field));
                    value.and_then(Value::as_i64).unwrap_or(0)
                })
                .collect();
            let falls = weights
                .windows(2)
                .filter(|pair| pair.first() >= pair.last());
            falls.count()
        };
        weights(positions) <= weights(&self.present())
    }
}

fn of_metric(objects: &[Value], metric: &Value, path: &str, knobs: &mut Vec<Knob>) {
    let whole = |name: &str, default: i64| match metric.get(name) {
        None | Some(Value::Null) => Some(default),
        Some(value) => value.as_i64(),
    };
    let mut add = |name: &str, values: Vec<Value>, present: &Value| {
        knobs.extend(knob(
            objects,
            &format!("{path}.{name}"),
            values,
            present,
            None,
        ));
    };
    if let Some(limit) = whole("failureLimit", 0).filter(|limit| (0..1000).contains(limit)) {
        let values = (0..=limit + 3).map(|it| json!(it)).collect();
        add("failureLimit", values, &json!(limit));
    }
    if let Some(count) = whole("count", 0).filter(|count| (1..1000).contains(count)) {
        let values = [count / 4, count / 2, count, count * 2, count * 4];
        let values = values.into_iter().filter(|it| *it > 0);
        add("count", values.map(|it| json!(it)).collect(), &json!(count));
    }
    let errors = whole("consecutiveErrorLimit", ERROR_LIMIT);
    if let Some(limit) = errors.filter(|limit| (1..1000).contains(limit)) {
        let values = [limit / 2, limit, limit * 2].map(|it| json!(it)).to_vec();
        add("consecutiveErrorLimit", values, &json!(limit));
    }
    if let Some(interval) = metric.get("interval").and_then(Value::as_str) {
        let values = lengths(interval).into_iter().map(|it| json!(it)).collect();
        add("interval", values, &json!(interval));
    }
    for name in ["successCondition", "failureCondition"] {
        if let Some(condition) = metric.get(name).and_then(Value::as_str) {
            let values = thresholds(condition).into_iter().map(|it| json!(it));
            add(name, values.collect(), &json!(condition));
        }
    }
    let query = metric
        .pointer("/provider/prometheus/query")
        .and_then(Value::as_str);
    if let Some(query) = query {
        let mut values = ladder(query, with_other_windows);
        // Windows of four times the length say nothing new of a short rollout.
        values.truncate(4);
        let values = values.into_iter().map(|it| json!(it)).collect();
        add("provider.prometheus.query", values, &json!(query));
    }
}

fn of_steps(objects: &[Value], rollout: &Value, spec: &str, knobs: &mut Vec<Knob>) {
    let steps = rollout
        .pointer("/spec/strategy/canary/steps")
        .and_then(Value::as_array);
    for (index, step) in steps.into_iter().flatten().enumerate() {
        let path = format!("{spec}.strategy.canary.steps[{index}]");
        let weight = step.get("setWeight").and_then(Value::as_i64);
        if let Some(weight) = weight.filter(|weight| (1..100).contains(weight)) {
            let others = [
                weight / 4,
                weight / 2,
                weight,
                weight * 3 / 2,
                weight * 2,
                weight * 4,
            ];
            let mut values: Vec<i64> = others
                .into_iter()
                .filter(|it| (1..100).contains(it))
                .collect();
            values.dedup();
            let values = values.into_iter().map(|it| json!(it)).collect();
            let address = format!("{path}.setWeight");
            let group = Some(Group::Weights);
            knobs.extend(knob(objects, &address, values, &json!(weight), group));
        }
        if let Some(pause) = step.pointer("/pause/duration")
            && let Some(length) = as_length(pause)
        {
            let values = lengths(&length).into_iter().map(|it| {
                // As it stands, so that nothing changes that should not.
                if it == length {
                    pause.clone()
                } else {
                    json!(it)
                }
            });
            let address = format!("{path}.pause.duration");
            let group = Some(Group::Pauses);
            knobs.extend(knob(objects, &address, values.collect(), pause, group));
        }
    }
}

/// None where there is nothing to choose.
fn knob(
    objects: &[Value],
    address: &str,
    values: Vec<Value>,
    present: &Value,
    group: Option<Group>,
) -> Option<Knob> {
    let mut different: Vec<Value> = Vec::new();
    for value in values {
        if !different.contains(&value) {
            different.push(value);
        }
    }
    let at = different.iter().position(|value| value == present)?;
    if different.len() < 2 {
        return None;
    }
    let values = different.into_iter().enumerate();
    Some(Knob {
        field: find(objects, address).ok()?,
        values: values
            .map(|(index, value)| (index != at).then_some(value))
            .collect(),
        present: at,
        group,
    })
}

/// Half and a quarter of it, itself, twice and four times of it, as far as there are such.
fn ladder(text: &str, doubled_and_halved: fn(&str) -> Vec<String>) -> Vec<String> {
    let doubled = |text: &str| doubled_and_halved(text).into_iter().next();
    // Where there is no half, there is only the double.
    let halved = |text: &str| doubled_and_halved(text).into_iter().nth(1);
    let half = halved(text);
    let quarter = half.as_deref().and_then(halved);
    let double = doubled(text);
    let fourfold = double.as_deref().and_then(doubled);
    let below = quarter.into_iter().chain(half);
    below
        .chain(std::iter::once(text.to_owned()))
        .chain(double)
        .chain(fourfold)
        .collect()
}

fn lengths(text: &str) -> Vec<String> {
    ladder(text, doubled_and_halved)
}

/// A condition with other thresholds, from low to high, where it compares the result with one number.
fn thresholds(condition: &str) -> Vec<String> {
    let Ok(comparison) = Regex::new(r"(result(?:\[0\])?\s*(?:>=|<=|>|<)\s*)(\d+(?:\.\d+)?)") else {
        return Vec::new();
    };
    let mut found = comparison.captures_iter(condition);
    let (Some(only), None) = (found.next(), found.next()) else {
        return Vec::new();
    };
    let Some(number) = only.get(2) else {
        return Vec::new();
    };
    let Ok(present) = number.as_str().parse::<f64>() else {
        return Vec::new();
    };
    if present <= 0.0 {
        return Vec::new();
    }
    // What is near 1 is a share of good requests: then the share of bad ones is what is varied.
    let is_share = present > 0.5 && present < 1.0;
    let factors = [0.25, 0.5, 0.75, 1.5, 2.0, 3.0];
    let mut numbers: Vec<f64> = factors
        .into_iter()
        .map(|factor| {
            if is_share {
                1.0 - (1.0 - present) * factor
            } else {
                present * factor
            }
        })
        .map(|value| {
            let digits = 3.0 - libm::log10(value.min(1.0 - value).abs().max(1e-9)).floor();
            let power = libm::pow(10.0, digits.clamp(0.0, 9.0));
            (value * power).round() / power
        })
        .filter(|value| *value > 0.0 && (!is_share || *value < 1.0))
        .collect();
    numbers.push(present);
    numbers.sort_by(f64::total_cmp);
    let (before, after) = (
        condition.get(..number.start()).unwrap_or_default(),
        condition.get(number.end()..).unwrap_or_default(),
    );
    numbers
        .into_iter()
        .map(|value| {
            if value == present {
                condition.to_owned()
            } else {
                format!("{before}{value}{after}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_of_the_result() {
        assert_eq!(
            thresholds("len(result) > 0 && result[0] >= 0.98"),
            [0.94, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995]
                .map(|it| format!("len(result) > 0 && result[0] >= {it}"))
        );
        assert_eq!(
            thresholds("result[0] < 0.4").first().map(String::as_str),
            Some("result[0] < 0.1")
        );
        assert!(thresholds("result[0] > 1 && result[0] < 3").is_empty());
        assert!(thresholds("all(result, # < 3)").is_empty());
    }

    #[test]
    fn lengths_have_their_order() {
        assert_eq!(lengths("1m"), ["15s", "30s", "1m", "2m0s", "4m0s"]);
        assert_eq!(lengths("1s"), ["1s", "2s", "4s"]);
    }
}
