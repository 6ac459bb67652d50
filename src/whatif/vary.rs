//! Fields of manifests by their address, and other values for them.

use serde_json::{Map, Number, Value};

use crate::spec::schema::shape::Shape;
use crate::spec::schema::shape_of;
use crate::spec::yaml::Step;
use crate::spec::yaml::path;
use crate::time::Duration;

/// Values of one range or list at most.
pub const VALUES_MAX: usize = 100;
/// Combinations of values at most.
pub const COMBINATIONS_MAX: usize = 400;

/// A field of one of the objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Index of the object.
    pub object: usize,
    pub steps: Vec<Step>,
    /// `Kind/name:path`, unambiguous.
    pub address: String,
}

/// What `PATH=v1,v2,...` or `PATH=a..b:n` asks for.
///
/// # Errors
/// It is not of this form, or names too many values.
pub fn parse_variation(text: &str) -> Result<(String, Vec<Value>), String> {
    let (address, values) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} has no `=`: write PATH=v1,v2,... or PATH=a..b:n"))?;
    Ok((address.trim().to_owned(), parse_values(values)?))
}

/// Values separated by commas: numbers, lengths of time, words, or ranges `a..b:n` of n of them.
///
/// # Errors
/// There are none, or too many; a range's ends are of no kind that has something between them.
pub fn parse_values(text: &str) -> Result<Vec<Value>, String> {
    let mut values = Vec::new();
    for part in text.split(',').map(str::trim) {
        if part.is_empty() {
            return Err(format!("a value is missing in {text:?}"));
        }
        match part.split_once("..") {
            Some((start, rest)) => values.extend(range(part, start, rest)?),
            None => values.push(scalar(part)),
        }
        if values.len() > VALUES_MAX {
            return Err(format!("more than {VALUES_MAX} values: {text:?}"));
        }
    }
    Ok(values)
}

/// A number, true, false, null, or a text.
fn scalar(text: &str) -> Value {
    match serde_json::from_str::<Value>(text) {
        Ok(value) if !value.is_array() && !value.is_object() => value,
        Ok(_) | Err(_) => Value::String(text.to_owned()),
    }
}

fn range(part: &str, start: &str, rest: &str) -> Result<Vec<Value>, String> {
    let (end, count) = rest
        .split_once(':')
        .ok_or_else(|| format!("{part:?} does not say how many values: write a..b:n"))?;
    let count: usize = count
        .parse()
        .ok()
        .filter(|count| (2..=VALUES_MAX).contains(count))
        .ok_or_else(|| format!("{count:?} is no number of values from 2 to {VALUES_MAX}"))?;
    let (start, end) = (start.trim(), end.trim());
    let between = |from: f64, to: f64, at: usize| {
        from + (to - from) * at as f64 / (count.saturating_sub(1)) as f64
    };
    if let (Ok(from), Ok(to)) = (start.parse::<f64>(), end.parse::<f64>())
        && from.is_finite()
        && to.is_finite()
    {
        return Ok((0..count).map(|at| number(between(from, to, at))).collect());
    }
    if let (Ok(from), Ok(to)) = (Duration::parse_go(start), Duration::parse_go(end)) {
        let length = |at| {
            let seconds = between(from.as_secs_f64(), to.as_secs_f64(), at);
            // Whole milliseconds: fractions come of the division alone.
            let length = Duration::from_secs_f64((seconds * 1e3).round() / 1e3);
            Value::String(length.to_string())
        };
        return Ok((0..count).map(length).collect());
    }
    Err(format!(
        "{part:?}: only numbers and lengths of time have values between them"
    ))
}

/// Whole where it is, else with nine digits: fractions come of the division alone.
fn number(value: f64) -> Value {
    let value = (value * 1e9).round() / 1e9;
    if value.fract() == 0.0 && value.abs() < 9e15 {
        return Value::from(value as i64);
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// The field at an address `[Kind/name:]path`. It need not be set if the API knows it.
///
/// # Errors
/// No object has such a field, or several have one.
pub fn find(objects: &[Value], address: &str) -> Result<Field, String> {
    let (wanted, text) = match address.split_once(':') {
        Some((object, text)) if object.contains('/') && !object.contains('[') => {
            (Some(object), text)
        }
        Some(_) | None => (None, address),
    };
    let steps = path::parse(text);
    if steps.is_empty() {
        return Err(format!("{address:?} names no field"));
    }
    let named: Vec<(usize, &Value)> = objects
        .iter()
        .enumerate()
        .filter(|(_, object)| wanted.is_none_or(|wanted| name_of(object) == wanted))
        .collect();
    if let (Some(wanted), true) = (wanted, named.is_empty()) {
        let names: Vec<String> = objects.iter().map(name_of).collect();
        return Err(match closest(wanted, names.iter().map(String::as_str)) {
            Some(meant) => format!("there is no {wanted}; did you mean {meant}?"),
            None => format!("there is no {wanted} among {}", names.join(", ")),
        });
    }
    let set: Vec<&(usize, &Value)> = named
        .iter()
        .filter(|(_, object)| get(object, &steps).is_some())
        .collect();
    let known: Vec<&(usize, &Value)> = if set.is_empty() {
        named
            .iter()
            .filter(|(_, object)| may_be_set(object, &steps))
            .collect()
    } else {
        set
    };
    match known.as_slice() {
        [(index, object)] => Ok(Field {
            object: *index,
            address: format!("{}:{}", name_of(object), path::display(&steps)),
            steps,
        }),
        [] => Err(unknown(&named, &steps)),
        several => {
            let addresses: Vec<String> = several
                .iter()
                .map(|(_, object)| format!("{}:{text}", name_of(object)))
                .collect();
            Err(format!(
                "several objects have {text}: write {}",
                addresses.join(" or ")
            ))
        }
    }
}

/// The present value of a field; none where it is not set.
pub fn value_of<'v>(objects: &'v [Value], field: &Field) -> Option<&'v Value> {
    get(objects.get(field.object)?, &field.steps)
}

/// The objects with another value of a field. Missing parents are made.
pub fn with_value(objects: &[Value], field: &Field, value: &Value) -> Vec<Value> {
    let mut objects = objects.to_vec();
    if let Some(object) = objects.get_mut(field.object) {
        set(object, &field.steps, value);
    }
    objects
}

/// All combinations of one value of each list; the last list changes fastest.
///
/// # Errors
/// A list is empty, or there are too many.
pub fn combinations(lists: &[Vec<Value>]) -> Result<Vec<Vec<Value>>, String> {
    let count = lists
        .iter()
        .try_fold(1_usize, |count, list| count.checked_mul(list.len()));
    if !count.is_some_and(|count| (1..=COMBINATIONS_MAX).contains(&count)) {
        return Err(format!(
            "at most {COMBINATIONS_MAX} combinations of values are played"
        ));
    }
    let mut all = vec![Vec::new()];
    for list in lists {
        let longer = all.iter().flat_map(|before: &Vec<Value>| {
            list.iter().map(|value| {
                let mut combination = before.clone();
                combination.push(value.clone());
                combination
            })
        });
        all = longer.collect();
    }
    Ok(all)
}

/// `Kind/name`.
fn name_of(object: &Value) -> String {
    let text = |pointer: &str| {
        let value = object.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    format!("{}/{}", text("/kind"), text("/metadata/name"))
}

fn get<'v>(object: &'v Value, steps: &[Step]) -> Option<&'v Value> {
    let mut value = object;
    for step in steps {
        value = match step {
            Step::Key(key) => value.get(key)?,
            Step::Index(index) => value.get(index)?,
        };
    }
    Some(value)
}

fn set(value: &mut Value, steps: &[Step], new: &Value) {
    let Some((step, rest)) = steps.split_first() else {
        *value = new.clone();
        return;
    };
    match step {
        Step::Key(key) => {
            if !value.is_object() {
                *value = Value::Object(Map::new());
            }
            if let Some(fields) = value.as_object_mut() {
                set(fields.entry(key).or_insert(Value::Null), rest, new);
            }
        }
        Step::Index(index) => {
            if let Some(item) = value.get_mut(index) {
                set(item, rest, new);
            }
        }
    }
}

/// Whether the API knows the field, and all list items on the way are there.
fn may_be_set(object: &Value, steps: &[Step]) -> bool {
    let Some(mut shape) = shape_of_object(object) else {
        return false;
    };
    let mut value = Some(object);
    for step in steps {
        let next = match (shape, step) {
            (Shape::Object(fields), Step::Key(key)) => {
                fields.field(key).map(|field| field.shape.as_ref())
            }
            (Shape::Map(of), Step::Key(_)) => Some(of.as_ref()),
            (Shape::List { items, unique: _ }, Step::Index(index)) => value
                .and_then(|value| value.get(index))
                .map(|_| items.as_ref()),
            (_, Step::Key(_) | Step::Index(_)) => None,
        };
        let Some(next) = next else {
            return false;
        };
        shape = next;
        value = value.and_then(|value| match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => value.get(index),
        });
    }
    true
}

fn shape_of_object(object: &Value) -> Option<&'static Shape> {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    shape_of(text("apiVersion"), text("kind"))
}

/// Says how far the path leads in the object where it leads farthest, and what there is instead.
fn unknown(objects: &[(usize, &Value)], steps: &[Step]) -> String {
    let reach = |object: &Value| {
        let longest = (0..=steps.len()).rev();
        let mut prefixes = longest.filter_map(|length| steps.get(..length));
        prefixes
            .find(|prefix| get(object, prefix).is_some())
            .map_or(0, <[Step]>::len)
    };
    let text = path::display(steps);
    let best = objects
        .iter()
        .map(|(_, object)| (reach(object), *object))
        .reduce(|best, next| if next.0 > best.0 { next } else { best });
    let Some((length, object)) = best else {
        return format!("no object has a field {text}");
    };
    let (prefix, missing) = (steps.get(..length).unwrap_or_default(), steps.get(length));
    let parent = get(object, prefix);
    let place = format!("{}:{}", name_of(object), path::display(prefix));
    match (missing, parent) {
        (Some(Step::Index(index)), Some(Value::Array(items))) => format!(
            "{place} has {} item{}: there is no [{index}]",
            items.len(),
            if items.len() == 1 { "" } else { "s" }
        ),
        (Some(Step::Key(key)), Some(parent)) => {
            let mut known: Vec<&str> = fields_at(object, prefix);
            if let Some(fields) = parent.as_object() {
                known.extend(fields.keys().map(String::as_str));
            }
            known.sort_unstable();
            known.dedup();
            match closest(key, known.iter().copied()) {
                Some(meant) => {
                    format!("{text} is no field of {place}; did you mean `{meant}`?")
                }
                None => format!("{text} is no field: {place} has {}", known.join(", ")),
            }
        }
        (Some(_) | None, _) => format!("no object has a field {text}"),
    }
}

/// The fields that the API knows at a place.
fn fields_at(object: &Value, steps: &[Step]) -> Vec<&'static str> {
    let mut shape = shape_of_object(object);
    for step in steps {
        shape = match (shape, step) {
            (Some(Shape::Object(fields)), Step::Key(key)) => {
                fields.field(key).map(|field| field.shape.as_ref())
            }
            (Some(Shape::Map(of)), Step::Key(_)) => Some(of.as_ref()),
            (Some(Shape::List { items, unique: _ }), Step::Index(_)) => Some(items.as_ref()),
            (_, Step::Key(_) | Step::Index(_)) => None,
        };
    }
    match shape {
        Some(Shape::Object(fields)) => fields
            .fields
            .iter()
            .map(|field| field.name.as_str())
            .collect(),
        Some(_) | None => Vec::new(),
    }
}

/// The nearest of some words, if it is near.
fn closest<'w>(word: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    words
        .map(|known| (strsim::jaro_winkler(word, known), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn objects() -> Vec<Value> {
        vec![
            json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
                "metadata": {"name": "a"},
                "spec": {"metrics": [{"name": "m", "interval": "30s", "provider": {}}]}}),
            json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
                "metadata": {"name": "web"},
                "spec": {"replicas": 3, "strategy": {"canary": {"steps": [{"setWeight": 5}]}}}}),
        ]
    }

    #[test]
    fn fields_are_found_also_where_they_are_not_set() {
        let objects = objects();
        let field = find(&objects, "spec.metrics[0].failureLimit").expect("a known field");
        assert_eq!(
            field.address,
            "AnalysisTemplate/a:spec.metrics[0].failureLimit"
        );
        assert_eq!(value_of(&objects, &field), None);
        let changed = with_value(&objects, &field, &json!(2));
        assert_eq!(value_of(&changed, &field), Some(&json!(2)));
        let field = find(
            &objects,
            "Rollout/web:spec.strategy.canary.steps[0].setWeight",
        );
        assert_eq!(
            value_of(&objects, &field.expect("a field")),
            Some(&json!(5))
        );
    }

    #[test]
    fn wrong_addresses_are_explained() {
        let two: Vec<Value> = objects().into_iter().chain(objects()).collect();
        for (objects, address, wanted) in [
            (
                &objects(),
                "spec.metrics[0].failureLimt",
                "did you mean `failureLimit`?",
            ),
            (
                &objects(),
                "spec.metrics[1].count",
                "has 1 item: there is no [1]",
            ),
            (
                &objects(),
                "Rollout/wep:spec.replicas",
                "did you mean Rollout/web?",
            ),
            (&objects(), "", "names no field"),
            (&two, "spec.replicas", "several objects have spec.replicas"),
        ] {
            let error = find(objects, address).expect_err(address);
            assert!(error.contains(wanted), "{address}: {error}");
        }
    }

    #[test]
    fn values_are_lists_and_ranges() {
        let values = |text: &str| parse_values(text);
        assert_eq!(
            values("0,1,30s,true"),
            Ok(vec![json!(0), json!(1), json!("30s"), json!(true)])
        );
        assert_eq!(
            values("0..1:5"),
            Ok(vec![
                json!(0),
                json!(0.25),
                json!(0.5),
                json!(0.75),
                json!(1)
            ])
        );
        assert_eq!(
            values("30s..2m:4"),
            Ok(["30s", "1m0s", "1m30s", "2m0s"]
                .map(|it| json!(it))
                .to_vec())
        );
        for wrong in ["", "1,,2", "1..2", "1..2:1", "1..2:1000", "a..b:3"] {
            assert!(values(wrong).is_err(), "{wrong}");
        }
        assert!(parse_variation("spec.replicas").is_err());
    }
}
