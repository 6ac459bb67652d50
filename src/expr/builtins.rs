//! The builtin functions that take no predicate.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

use super::budget::Budget;
use super::builtin::Builtin;
use super::format::{from_json, print, to_json};
use super::layout::{self, DATE_LAYOUTS};
use super::moment::{Moment, Zone};
use super::number::{float_to_int, parse_float, parse_int};
use super::ops::{self, Comparison, Outcome, as_text, conversion, to_int, type_name};
use super::sort::sort;
use super::strings;
use super::types::{ArrayKind, MapKind, StructKind, Type};
use super::value::{Array, Key, Map, Text, Value};
use crate::time::{Duration, Timestamp};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Calls a builtin.
///
/// # Errors
/// Arguments that it cannot take, with the reference's text, and exhausted budgets.
pub fn call(
    builtin: Builtin,
    arguments: &[Value],
    now: Option<Timestamp>,
    budget: &mut Budget,
) -> Outcome {
    budget.steps(1)?;
    let argument = |i: usize| arguments.get(i).unwrap_or(&Value::Nil);
    let text = |i: usize| as_text(argument(i));
    let first = argument(0);
    let name = builtin.name();
    match builtin {
        Builtin::Len => length(first, budget),
        Builtin::Type => Ok(Value::from(type_of(first))),
        Builtin::Abs => abs(first),
        Builtin::Ceil => round(name, first, f64::ceil),
        Builtin::Floor => round(name, first, f64::floor),
        Builtin::Round => round(name, first, f64::round),
        Builtin::Int => int(first),
        Builtin::Float => float(first),
        Builtin::String => new_text(print(first), budget),
        Builtin::Trim => {
            let bytes = text(0)?.as_bytes();
            budget.text(bytes.len())?;
            budget.cells(strings::count(bytes))?;
            let trimmed = match arguments.len() {
                1 => strings::trim_space(bytes),
                _ => {
                    let set = text(1)?.as_bytes();
                    budget.text(bytes.len().saturating_mul(set.len().max(1)))?;
                    strings::trim(bytes, set)
                }
            };
            new_text(trimmed.to_vec(), budget)
        }
        Builtin::TrimPrefix | Builtin::TrimSuffix => {
            let cut = match arguments.get(1) {
                Some(cut) => as_text(cut)?.as_bytes(),
                None => b" ",
            };
            let bytes = text(0)?.as_bytes();
            let kept = if builtin == Builtin::TrimPrefix {
                bytes.strip_prefix(cut)
            } else {
                bytes.strip_suffix(cut)
            };
            new_text(kept.unwrap_or(bytes).to_vec(), budget)
        }
        Builtin::Upper => new_text(strings::upper(text(0)?.as_bytes()), budget),
        Builtin::Lower => new_text(strings::lower(text(0)?.as_bytes()), budget),
        Builtin::Split | Builtin::SplitAfter => {
            let bytes = text(0)?.as_bytes();
            let separator = text(1)?.as_bytes();
            let limit = match arguments.get(2) {
                Some(limit) => to_int(limit)?,
                None => -1,
            };
            budget.text(bytes.len())?;
            budget.cells(strings::occurrences(bytes, separator))?;
            budget.bytes(bytes.len())?;
            let keep = builtin == Builtin::SplitAfter;
            let parts = strings::split(bytes, separator, keep, limit);
            if limit == 0 {
                return Ok(Value::Array(Array::nil(ArrayKind::String)));
            }
            let parts = parts.into_iter().map(Value::String).collect();
            Ok(Value::Array(Array::new(ArrayKind::String, parts)))
        }
        Builtin::Replace => {
            let (bytes, old, new) = (
                text(0)?.as_bytes(),
                text(1)?.as_bytes(),
                text(2)?.as_bytes(),
            );
            let limit = match arguments.get(3) {
                Some(limit) => to_int(limit)?,
                None => -1,
            };
            budget.text(bytes.len())?;
            let times = strings::occurrences(bytes, old);
            budget.bytes(new.len().saturating_mul(times))?;
            new_text(strings::replace(bytes, old, new, limit), budget)
        }
        Builtin::Repeat => {
            let bytes = text(0)?.as_bytes();
            let times = to_int(argument(1))?;
            let Ok(times) = usize::try_from(times) else {
                return Err(format!(
                    "invalid argument for repeat (expected positive integer, got {times})"
                ));
            };
            if times > 1_000_000 {
                return Err("memory budget exceeded".to_owned());
            }
            budget.elements(bytes.len().saturating_mul(times))?;
            new_text(bytes.repeat(times), budget)
        }
        Builtin::Join => join(first, arguments.get(1), budget),
        Builtin::IndexOf | Builtin::LastIndexOf => {
            let (bytes, needle) = (text(0)?.as_bytes(), text(1)?.as_bytes());
            budget.text(bytes.len())?;
            let found = if builtin == Builtin::IndexOf {
                strings::find(bytes, needle)
            } else {
                strings::find_last(bytes, needle)
            };
            let index = found.and_then(|at| i64::try_from(at).ok());
            Ok(Value::Int(index.unwrap_or(-1)))
        }
        Builtin::HasPrefix => {
            let (bytes, prefix) = (text(0)?, text(1)?);
            Ok(Value::Bool(bytes.as_bytes().starts_with(prefix.as_bytes())))
        }
        Builtin::HasSuffix => {
            let (bytes, suffix) = (text(0)?, text(1)?);
            Ok(Value::Bool(bytes.as_bytes().ends_with(suffix.as_bytes())))
        }
        Builtin::Max => extreme(name, Comparison::Less, arguments, budget),
        Builtin::Min => extreme(name, Comparison::Greater, arguments, budget),
        Builtin::Mean => {
            let mut numbers = Vec::new();
            collect_numbers(name, arguments, &mut numbers, budget)?;
            if numbers.is_empty() {
                return Ok(Value::Float(0.0));
            }
            let total: f64 = mean_total(arguments);
            Ok(Value::Float(total / numbers.len() as f64))
        }
        Builtin::Median => {
            let mut numbers = Vec::new();
            collect_numbers(name, arguments, &mut numbers, budget)?;
            Ok(Value::Float(median(numbers)))
        }
        Builtin::ToJson => {
            let json = to_json(first)?;
            new_text(json.into_bytes(), budget)
        }
        Builtin::FromJson => {
            let bytes = text(0)?.as_bytes();
            budget.cells(bytes.len())?;
            from_json(bytes)
        }
        Builtin::ToBase64 => new_text(BASE64.encode(text(0)?.as_bytes()).into_bytes(), budget),
        Builtin::FromBase64 => {
            let mut bytes = text(0)?.as_bytes().to_vec();
            bytes.retain(|b| !matches!(b, b'\r' | b'\n'));
            match BASE64.decode(&bytes) {
                Ok(decoded) => new_text(decoded, budget),
                Err(_) => Err("illegal base64 data".to_owned()),
            }
        }
        Builtin::Now => {
            let now = now.ok_or("now() needs the time of the evaluation")?;
            let zone = match arguments.first() {
                None => Zone::Local,
                Some(Value::Location(zone)) => zone.clone(),
                Some(_) => {
                    let count = arguments.len();
                    return Err(format!(
                        "invalid number of arguments (expected 0, got {count})"
                    ));
                }
            };
            Moment::from_instant(i128::from(now.as_nanos()), zone)
                .map(Value::Time)
                .ok_or_else(|| "time is out of range".to_owned())
        }
        Builtin::Duration => Duration::parse_go(&text(0)?.to_string_lossy())
            .map(Value::Duration)
            .map_err(|error| error.to_string()),
        Builtin::Date => date(arguments, budget),
        Builtin::Timezone => Zone::load(&text(0)?.to_string_lossy()).map(Value::Location),
        // Whatever goes wrong is nil.
        Builtin::First => Ok(ops::fetch(first, &Value::Int(0)).unwrap_or(Value::Nil)),
        Builtin::Last => Ok(ops::fetch(first, &Value::Int(-1)).unwrap_or(Value::Nil)),
        Builtin::Get => ops::get(first, argument(1)),
        Builtin::Take => take(first, argument(1), budget),
        Builtin::Keys => {
            let map = as_map(first, "cannot get keys from")?;
            budget.cells(map.entries().len())?;
            Ok(Value::array(
                map.entries().keys().map(Key::to_value).collect(),
            ))
        }
        Builtin::Values => {
            let map = as_map(first, "cannot get values from")?;
            budget.cells(map.entries().len())?;
            Ok(Value::array(map.entries().values().cloned().collect()))
        }
        Builtin::ToPairs => {
            let Value::Map(map) = first else {
                return Err(format!("cannot transform {} to pairs", kind_name(first)));
            };
            budget.cells(map.entries().len().saturating_mul(4))?;
            let pair = |(key, value): (&Key, &Value)| {
                let items = vec![key.to_value(), value.clone()];
                Value::Array(Array::new(ArrayKind::Pair, items))
            };
            let pairs = map.entries().iter().map(pair).collect();
            new_array(ArrayKind::Pairs, pairs, budget)
        }
        Builtin::FromPairs => from_pairs(first, budget),
        Builtin::Reverse => {
            let items = items_of(name, first)?;
            budget.elements(items.len())?;
            Ok(Value::array(items.iter().rev().cloned().collect()))
        }
        Builtin::Uniq => {
            let items = items_of(name, first)?;
            budget.cells(items.len())?;
            let mut unique: Vec<Value> = Vec::new();
            for item in items {
                let mut steps = 0;
                let known = unique.iter().any(|seen| ops::equal(item, seen, &mut steps));
                budget.steps(steps)?;
                if !known {
                    unique.push(item.clone());
                }
            }
            Ok(Value::array(unique))
        }
        Builtin::Concat => {
            let mut all = Vec::new();
            for argument in arguments {
                let items = items_of(name, argument)?;
                budget.elements(items.len())?;
                all.extend_from_slice(items);
            }
            if all.is_empty() {
                return Ok(Value::Array(Array::nil(ArrayKind::Any)));
            }
            Ok(Value::array(all))
        }
        Builtin::Flatten => {
            let items = items_of(name, first)?;
            let mut flat = Vec::new();
            flatten(items, &mut flat, budget)?;
            budget.elements(flat.len())?;
            Ok(Value::array(flat))
        }
        Builtin::Sort => sort_values(first, arguments.get(1), budget),
        Builtin::BitNot => {
            let x = integer(first).map_err(|error| format!("{error} to call bitnot"))?;
            Ok(Value::Int(!x))
        }
        Builtin::BitAnd
        | Builtin::BitOr
        | Builtin::BitXor
        | Builtin::BitNand
        | Builtin::BitShl
        | Builtin::BitShr
        | Builtin::BitUshr => {
            let operand =
                |i| integer(argument(i)).map_err(|error| format!("{error} to call {name}"));
            bits(builtin, operand(0)?, operand(1)?)
        }
        Builtin::All
        | Builtin::NoneOf
        | Builtin::Any
        | Builtin::One
        | Builtin::Filter
        | Builtin::Map
        | Builtin::Find
        | Builtin::FindIndex
        | Builtin::FindLast
        | Builtin::FindLastIndex
        | Builtin::Count
        | Builtin::Sum
        | Builtin::GroupBy
        | Builtin::SortBy
        | Builtin::Reduce => Err(format!("builtin {name} needs a predicate")),
    }
}

/// A new string, counted.
pub fn new_text(bytes: Vec<u8>, budget: &mut Budget) -> Outcome {
    budget.bytes(bytes.len())?;
    budget.text(bytes.len())?;
    Ok(Value::String(Text::from(bytes)))
}

/// A new array, checked for depth.
pub fn new_array(kind: ArrayKind, items: Vec<Value>, budget: &Budget) -> Outcome {
    let array = Value::Array(Array::new(kind, items));
    budget.depth(array.depth())?;
    Ok(array)
}

fn kind_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "invalid",
        other => Type::of(other).kind().name(),
    }
}

fn items_of<'v>(name: &str, value: &'v Value) -> Result<&'v [Value], String> {
    match value {
        Value::Array(array) => Ok(array.items()),
        other => Err(format!("cannot {name} {}", kind_name(other))),
    }
}

fn as_map<'v>(value: &'v Value, problem: &str) -> Result<&'v Map, String> {
    match value {
        Value::Map(map) => Ok(map),
        other => Err(format!("{problem} {}", kind_name(other))),
    }
}

fn invalid(name: &str, value: &Value) -> String {
    format!("invalid argument for {name} (type {})", type_name(value))
}

fn length(value: &Value, budget: &mut Budget) -> Outcome {
    let length = match value {
        Value::Array(array) => array.items().len(),
        Value::Map(map) => map.entries().len(),
        Value::String(text) | Value::StatusCode(text) => {
            budget.text(text.as_bytes().len())?;
            strings::count(text.as_bytes())
        }
        other => return Err(invalid("len", other)),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::Int64(_) => "int",
        Value::Byte(_) => "uint",
        Value::Float(_) => "float",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Map(_) => "map",
        Value::Struct(value) => match value.kind() {
            StructKind::MetricDataResult => {
                "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types.MetricDataResult"
            }
            StructKind::MessageData => {
                "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types.MessageData"
            }
            StructKind::Location => "time.Location",
        },
        Value::StatusCode(_) => "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types.StatusCode",
        Value::Time(_) => "time.Time",
        Value::Duration(_) => "time.Duration",
        Value::Month(_) => "time.Month",
        Value::Weekday(_) => "time.Weekday",
        Value::Location(_) => "time.Location",
        Value::Function(_) => "func",
        Value::Pointer(_) => "unknown",
    }
}

fn abs(value: &Value) -> Outcome {
    match value {
        Value::Int(i) => Ok(Value::Int(i.wrapping_abs())),
        Value::Int64(i) => Ok(Value::Int64(i.wrapping_abs())),
        Value::Byte(b) => Ok(Value::Byte(*b)),
        Value::Float(f) if *f < 0.0 => Ok(Value::Float(-f)),
        Value::Float(f) => Ok(Value::Float(*f)),
        other => Err(invalid("abs", other)),
    }
}

fn round(name: &str, value: &Value, function: fn(f64) -> f64) -> Outcome {
    match value {
        Value::Float(f) => Ok(Value::Float(function(*f))),
        Value::Int(i) | Value::Int64(i) => Ok(Value::Float(*i as f64)),
        Value::Byte(b) => Ok(Value::Float(f64::from(*b))),
        other => Err(invalid(name, other)),
    }
}

fn int(value: &Value) -> Outcome {
    Ok(Value::Int(match value {
        Value::Int(i) | Value::Int64(i) => *i,
        Value::Byte(b) => i64::from(*b),
        Value::Float(f) => float_to_int(*f),
        Value::Duration(d) => d.as_nanos(),
        Value::Month(n) | Value::Weekday(n) => i64::from(*n),
        Value::String(text) => {
            let text = text.to_string_lossy();
            parse_int(&text, 10).map_err(|_| format!("invalid operation: int({text})"))?
        }
        Value::Nil => return Err("reflect: call of reflect.Value.Type on zero Value".to_owned()),
        other => return Err(format!("invalid operation: int({})", type_name(other))),
    }))
}

fn float(value: &Value) -> Outcome {
    Ok(Value::Float(match value {
        Value::Float(f) => *f,
        Value::Int(i) | Value::Int64(i) => *i as f64,
        Value::Byte(b) => f64::from(*b),
        Value::String(text) => {
            let text = text.to_string_lossy();
            parse_float(&text).map_err(|_| format!("invalid operation: float({text})"))?
        }
        other => return Err(format!("invalid operation: float({})", type_name(other))),
    }))
}

fn integer(value: &Value) -> Result<i64, String> {
    match value {
        Value::Int(i) | Value::Int64(i) => Ok(*i),
        Value::Byte(b) => Ok(i64::from(*b)),
        other => Err(format!(
            "cannot use {} as argument (type int)",
            type_name(other)
        )),
    }
}

fn bits(builtin: Builtin, x: i64, y: i64) -> Outcome {
    let shift = || -> Result<Option<u32>, String> {
        if y < 0 {
            return Err(format!(
                "invalid operation: negative shift count {y} (type int)"
            ));
        }
        Ok(u32::try_from(y).ok().filter(|shift| *shift < 64))
    };
    Ok(Value::Int(match builtin {
        Builtin::BitAnd => x & y,
        Builtin::BitOr => x | y,
        Builtin::BitXor => x ^ y,
        Builtin::BitNand => x & !y,
        Builtin::BitShl => shift()?.map_or(0, |shift| x << shift),
        Builtin::BitShr => shift()?.map_or(if x < 0 { -1 } else { 0 }, |shift| x >> shift),
        _ => shift()?.map_or(0, |shift| (x.cast_unsigned() >> shift).cast_signed()),
    }))
}

fn join(array: &Value, glue: Option<&Value>, budget: &mut Budget) -> Outcome {
    let glue = match glue {
        Some(glue) => as_text(glue)?.as_bytes(),
        None => &[],
    };
    let items = match array {
        Value::Array(array) if matches!(array.kind(), ArrayKind::Any | ArrayKind::String) => {
            array.items()
        }
        Value::Nil => return Err("invalid argument for join (type %!s(<nil>))".to_owned()),
        other => return Err(invalid("join", other)),
    };
    let mut parts = Vec::with_capacity(items.len());
    for item in items {
        let part = as_text(item)?.as_bytes();
        budget.bytes(part.len() + glue.len())?;
        parts.push(part);
    }
    new_text(parts.join(glue), budget)
}

fn is_plain_number(value: &Value) -> bool {
    matches!(
        value,
        Value::Int(_) | Value::Int64(_) | Value::Byte(_) | Value::Float(_)
    )
}

/// Numbers, and the types that Go makes of them.
fn number_of_any_kind(value: &Value) -> Option<f64> {
    match value {
        Value::Int(i) | Value::Int64(i) => Some(*i as f64),
        Value::Byte(b) => Some(f64::from(*b)),
        Value::Float(f) => Some(*f),
        Value::Duration(d) => Some(d.as_nanos() as f64),
        Value::Month(n) | Value::Weekday(n) => Some(f64::from(*n)),
        _ => None,
    }
}

/// `max` with `Less`, `min` with `Greater`: the value that gives way to what is beyond it.
fn extreme(name: &str, beaten: Comparison, arguments: &[Value], budget: &mut Budget) -> Outcome {
    let mut best: Option<Value> = None;
    let mut consider = |value: &Value| -> Result<(), String> {
        let better = match &best {
            None => true,
            Some(best) => ops::compare(beaten, best, value)?,
        };
        if better {
            best = Some(value.clone());
        }
        Ok(())
    };
    for argument in arguments {
        match argument {
            Value::Array(array) => {
                budget.items(array.items().len())?;
                for item in array.items() {
                    match item {
                        item if is_plain_number(item) => consider(item)?,
                        Value::Array(_) => {
                            let nested = extreme(name, beaten, std::slice::from_ref(item), budget)?;
                            if !matches!(nested, Value::Nil) {
                                consider(&nested)?;
                            }
                        }
                        other => return Err(invalid(name, other)),
                    }
                }
            }
            number if number_of_any_kind(number).is_some() => consider(number)?,
            // A single argument of another type is its own extreme.
            other if arguments.len() == 1 => return Ok(other.clone()),
            other => return Err(invalid(name, other)),
        }
    }
    Ok(best.unwrap_or(Value::Nil))
}

fn collect_numbers(
    name: &str,
    arguments: &[Value],
    numbers: &mut Vec<f64>,
    budget: &mut Budget,
) -> Result<(), String> {
    budget.items(arguments.len())?;
    budget.cells(arguments.len())?;
    for argument in arguments {
        match argument {
            Value::Array(array) => collect_numbers(name, array.items(), numbers, budget)?,
            other => match number_of_any_kind(other) {
                Some(number) => numbers.push(number),
                None => return Err(invalid(name, other)),
            },
        }
    }
    Ok(())
}

/// The sum in the order of the reference: nested arrays are summed on their own.
fn mean_total(arguments: &[Value]) -> f64 {
    let nested = |item: &Value| match item {
        Value::Array(array) => mean_total(array.items()),
        other => number_of_any_kind(other).unwrap_or(0.0),
    };
    let mut total = 0.0;
    for argument in arguments {
        match argument {
            // Elements of an argument are added one by one.
            Value::Array(array) => {
                for item in array.items() {
                    total += nested(item);
                }
            }
            other => total += nested(other),
        }
    }
    total
}

fn median(mut numbers: Vec<f64>) -> f64 {
    // NaN comes first.
    numbers.sort_by(|a, b| match (a.is_nan(), b.is_nan()) {
        (true, true) => std::cmp::Ordering::Equal,
        (true, false) => std::cmp::Ordering::Less,
        (false, true) => std::cmp::Ordering::Greater,
        (false, false) => a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal),
    });
    let middle = numbers.len() / 2;
    let at = |i: usize| numbers.get(i).copied().unwrap_or(0.0);
    match numbers.len() {
        0 => 0.0,
        length if length % 2 == 1 => at(middle),
        _ => (at(middle - 1) + at(middle)) / 2.0,
    }
}

fn take(array: &Value, number: &Value, budget: &mut Budget) -> Outcome {
    let Value::Array(array) = array else {
        return Err(format!("cannot take from {}", kind_name(array)));
    };
    let number = match number {
        Value::Int(i) | Value::Int64(i) => *i,
        Value::Duration(d) => d.as_nanos(),
        Value::Month(n) | Value::Weekday(n) => i64::from(*n),
        other => return Err(format!("cannot take {} elements", kind_name(other))),
    };
    if array.kind() == ArrayKind::Pair {
        return Err("reflect.Value.Slice: slice of unaddressable array".to_owned());
    }
    let items = array.items();
    let Ok(number) = usize::try_from(number) else {
        return Err("reflect.Value.Slice: slice index out of bounds".to_owned());
    };
    let items = items.get(..number).unwrap_or(items).to_vec();
    budget.cells(items.len())?;
    Ok(Value::Array(Array::new(array.kind(), items)))
}

fn from_pairs(pairs: &Value, budget: &mut Budget) -> Outcome {
    let Value::Array(pairs) = pairs else {
        return Err(format!("cannot transform {} from pairs", kind_name(pairs)));
    };
    budget.cells(pairs.items().len().saturating_mul(2))?;
    let mut entries = BTreeMap::new();
    for pair in pairs.items() {
        let pair = pair.clone().deref();
        let Value::Array(items) = &pair else {
            return Err(format!("invalid pair {}", super::format::display(&pair)));
        };
        let [key, value] = items.items() else {
            return Err(format!(
                "invalid pair length {}",
                super::format::display(&pair)
            ));
        };
        let key = Key::of(key, entries.len()).ok_or_else(|| ops::unhashable(key))?;
        entries.insert(key, value.clone());
    }
    new_map(MapKind::AnyAny, entries, budget)
}

/// A new map, checked for depth.
pub fn new_map(kind: MapKind, entries: BTreeMap<Key, Value>, budget: &Budget) -> Outcome {
    let map = Value::Map(Map::new(kind, entries));
    budget.depth(map.depth())?;
    Ok(map)
}

fn flatten(items: &[Value], flat: &mut Vec<Value>, budget: &mut Budget) -> Result<(), String> {
    budget.items(items.len())?;
    for item in items {
        match item.clone().deref() {
            Value::Array(inner) => {
                budget.cells(inner.items().len())?;
                flatten(inner.items(), flat, budget)?;
            }
            other => flat.push(other),
        }
    }
    Ok(())
}

fn sort_values(array: &Value, order: Option<&Value>, budget: &mut Budget) -> Outcome {
    let items = match array {
        Value::Array(array)
            if matches!(
                array.kind(),
                ArrayKind::Any | ArrayKind::Int | ArrayKind::Float | ArrayKind::String
            ) =>
        {
            Some(array.shared())
        }
        _ => None,
    };
    let descending = match order {
        None => false,
        Some(Value::String(order)) => match order.as_bytes() {
            b"asc" => false,
            b"desc" => true,
            _ => {
                return Err(format!(
                    "invalid order {}, expected asc or desc",
                    order.to_string_lossy()
                ));
            }
        },
        Some(other) => {
            return Err(format!(
                "sort order argument must be a string (got {})",
                type_name(other)
            ));
        }
    };
    // Other values sort to nothing.
    let Some(items) = items else {
        return Ok(Value::Array(Array::nil(ArrayKind::Any)));
    };
    budget.elements(items.len())?;
    let pairs = items.iter().map(|item| (item.clone(), ())).collect();
    let sorted = sort(pairs, descending, budget)?;
    Ok(Value::array(
        sorted.into_iter().map(|(item, ())| item).collect(),
    ))
}

fn date(arguments: &[Value], budget: &mut Budget) -> Outcome {
    let (zone, rest) = match arguments.split_first() {
        Some((Value::Location(zone), rest)) => (Some(zone.clone()), rest),
        _ => (None, arguments),
    };
    let Some(value) = rest.first() else {
        return Err("runtime error: index out of range [0] with length 0".to_owned());
    };
    let value = as_text(value)?.as_bytes();
    budget.text(value.len())?;
    let parsed = match rest {
        [_, layout] => layout::parse(as_text(layout)?.as_bytes(), value, zone.as_ref())?,
        [_, layout, zone] => {
            let layout = as_text(layout)?.as_bytes();
            let zone = Zone::load(&as_text(zone)?.to_string_lossy())?;
            layout::parse(layout, value, Some(&zone))?
        }
        _ => DATE_LAYOUTS
            .iter()
            .find_map(|layout| layout::parse(layout.as_bytes(), value, zone.as_ref()).ok())
            .ok_or_else(|| format!("invalid date {}", String::from_utf8_lossy(value)))?,
    };
    Ok(Value::Time(parsed))
}

/// `asInt(value)` of Argo Rollouts.
///
/// # Errors
/// Values that are no numbers, and texts of none.
pub fn as_int(value: &Value) -> Outcome {
    Ok(Value::Int64(match value {
        Value::Int(i) | Value::Int64(i) => *i,
        Value::Byte(b) => i64::from(*b),
        Value::Float(f) => float_to_int(*f),
        Value::String(text) => parse_int(&text.to_string_lossy(), 10)
            .map_err(|reason| not_a_number("ParseInt", text, reason))?,
        other => return Err(unsupported("asInt", other)),
    }))
}

/// `asFloat(value)` of Argo Rollouts.
///
/// # Errors
/// Values that are no numbers, and texts of none.
pub fn as_float(value: &Value) -> Outcome {
    Ok(Value::Float(match value {
        Value::Float(f) => *f,
        Value::Int(i) | Value::Int64(i) => *i as f64,
        Value::Byte(b) => f64::from(*b),
        Value::String(text) => parse_float(&text.to_string_lossy())
            .map_err(|reason| not_a_number("ParseFloat", text, reason))?,
        other => return Err(unsupported("asFloat", other)),
    }))
}

fn not_a_number(function: &str, text: &Text, reason: &str) -> String {
    let quoted = super::quote::quote(text.as_bytes());
    format!("strconv.{function}: parsing {quoted}: {reason}")
}

fn unsupported(function: &str, value: &Value) -> String {
    format!(
        "{function}() not supported on {} {}",
        type_name(value),
        super::format::display(value)
    )
}

/// The float that `isNaN` and `isInf` need.
///
/// # Errors
/// Any other value, also other numbers.
pub fn exact_float(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(f) => Ok(*f),
        other => Err(conversion(other, "float64")),
    }
}

/// The elements that a builtin with a predicate goes over: those of an array, the bytes of a
/// string.
///
/// # Errors
/// Values without a length.
pub fn elements(value: &Value) -> Result<Arc<Vec<Value>>, String> {
    match value {
        Value::Array(array) => Ok(array.shared()),
        Value::String(text) | Value::StatusCode(text) => Ok(Arc::new(
            text.as_bytes().iter().copied().map(Value::Byte).collect(),
        )),
        Value::Map(map) if map.entries().is_empty() => Ok(Arc::default()),
        Value::Map(_) => Err("reflect: call of reflect.Value.Index on map Value".to_owned()),
        Value::Nil => Err("reflect: call of reflect.Value.Len on zero Value".to_owned()),
        other => Err(format!(
            "reflect: call of reflect.Value.Len on {} Value",
            type_name(other)
        )),
    }
}
