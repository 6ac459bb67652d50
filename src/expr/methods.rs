//! Calling functions: those of the environment, and methods of times and durations.

use super::builtins::{as_float, as_int, exact_float};
use super::format::{month_name, time_text, weekday_name};
use super::layout;
use super::moment::{Moment, Zone};
use super::ops::{Outcome, as_text, type_name};
use super::types::{EnvironmentFunction, Function, Type};
use super::value::{Text, Value};
use crate::time::Duration;

/// Calls `function` where `result` is the result of the metric.
///
/// # Errors
/// Arguments that the function cannot take.
pub fn call(function: &Function, arguments: &[Value], result: &Value) -> Outcome {
    match function {
        Function::Environment(function) => environment(*function, arguments, result),
        Function::Method(receiver, method) => {
            expect_count(arguments, method.0.params.len())?;
            for (argument, param) in arguments.iter().zip(method.0.params) {
                if Type::of(argument) != *param {
                    return Err(format!(
                        "reflect: Call using {} as type {}",
                        type_name(argument),
                        param.name()
                    ));
                }
            }
            match receiver.as_ref() {
                Value::Time(time) => time_method(time, method.0.name, arguments),
                Value::Duration(duration) => duration_method(*duration, method.0.name, arguments),
                Value::Month(month) => Ok(Value::from(month_name(*month))),
                Value::Weekday(day) => Ok(Value::from(weekday_name(*day))),
                Value::Location(zone) => Ok(Value::from(zone.name())),
                other => Err(unknown(method.0.name, other)),
            }
        }
    }
}

fn expect_count(arguments: &[Value], expected: usize) -> Result<(), String> {
    if arguments.len() == expected {
        return Ok(());
    }
    Err(format!(
        "invalid number of arguments: expected {expected}, got {}",
        arguments.len()
    ))
}

fn unknown(name: &str, receiver: &Value) -> String {
    format!("cannot fetch {name} from {}", type_name(receiver))
}

fn environment(function: EnvironmentFunction, arguments: &[Value], result: &Value) -> Outcome {
    let expected = match function {
        EnvironmentFunction::Default => 2,
        EnvironmentFunction::AsInt
        | EnvironmentFunction::AsFloat
        | EnvironmentFunction::IsNaN
        | EnvironmentFunction::IsInf
        | EnvironmentFunction::IsNil => 1,
    };
    expect_count(arguments, expected)?;
    let first = arguments.first().unwrap_or(&Value::Nil);
    match function {
        EnvironmentFunction::AsInt => as_int(first),
        EnvironmentFunction::AsFloat => as_float(first),
        EnvironmentFunction::IsNaN => Ok(Value::Bool(exact_float(first)?.is_nan())),
        EnvironmentFunction::IsInf => Ok(Value::Bool(exact_float(first)?.is_infinite())),
        // Both look at the result, whatever they are given.
        EnvironmentFunction::IsNil => Ok(Value::Bool(result.is_nil())),
        EnvironmentFunction::Default if result.is_nil() => {
            Ok(arguments.get(1).cloned().unwrap_or(Value::Nil))
        }
        EnvironmentFunction::Default => Ok(result.clone()),
    }
}

fn time_method(time: &Moment, name: &str, arguments: &[Value]) -> Outcome {
    let civil = time.civil();
    let out_of_range = || "time is out of range".to_owned();
    let moved = |moment: Option<Moment>| moment.map(Value::Time).ok_or_else(out_of_range);
    let first = arguments.first().unwrap_or(&Value::Nil);
    let int = |i: usize| match arguments.get(i) {
        Some(Value::Int(n)) => *n,
        _ => 0,
    };
    let duration = match first {
        Value::Duration(duration) => *duration,
        _ => Duration::ZERO,
    };
    let other = match first {
        Value::Time(other) => other,
        _ => time,
    };
    let nanos = time.instant();
    // As in Go, what does not fit wraps around.
    let wrapped = |number: i128| Value::Int64(number as i64);
    match name {
        "Add" => moved(time.add(duration)),
        "AddDate" => moved(time.add_date(int(0), int(1), int(2))),
        "After" => Ok(Value::Bool(nanos > other.instant())),
        "Before" => Ok(Value::Bool(nanos < other.instant())),
        "Compare" => Ok(Value::Int(match nanos.cmp(&other.instant()) {
            std::cmp::Ordering::Less => -1,
            std::cmp::Ordering::Equal => 0,
            std::cmp::Ordering::Greater => 1,
        })),
        "Day" => Ok(Value::Int(civil.day)),
        "Equal" => Ok(Value::Bool(nanos == other.instant())),
        "Format" => {
            let bytes = layout::format(time, as_text(first)?.as_bytes());
            Ok(Value::String(Text::from(bytes)))
        }
        "Hour" => Ok(Value::Int(civil.hour)),
        "ISOWeek" => Ok(Value::Int(time.iso_week().0)),
        "In" => match first {
            Value::Location(zone) => Ok(Value::Time(time.in_zone(zone.clone()))),
            other => Err(unknown(name, other)),
        },
        "IsDST" => Ok(Value::Bool(time.offset().2)),
        "IsZero" => Ok(Value::Bool(time.is_zero())),
        "Local" => Ok(Value::Time(time.in_zone(Zone::Local))),
        "Location" => Ok(Value::Location(time.zone().clone())),
        "Minute" => Ok(Value::Int(civil.minute)),
        "Month" => Ok(Value::Month(u8::try_from(civil.month).unwrap_or(0))),
        "Nanosecond" => Ok(Value::Int(i64::from(time.nanos()))),
        "Round" => moved(time.round(duration)),
        "Second" => Ok(Value::Int(civil.second)),
        "String" => Ok(Value::String(Text::from(time_text(time)))),
        "Sub" => Ok(Value::Duration(time.since(other))),
        "Truncate" => moved(time.truncate(duration)),
        "UTC" => Ok(Value::Time(time.in_zone(Zone::Utc))),
        "Unix" => Ok(Value::Int64(time.seconds())),
        "UnixMicro" => Ok(wrapped(nanos.div_euclid(1_000))),
        "UnixMilli" => Ok(wrapped(nanos.div_euclid(1_000_000))),
        "UnixNano" => Ok(wrapped(nanos)),
        "Weekday" => Ok(Value::Weekday(civil.weekday)),
        "Year" => Ok(Value::Int(civil.year)),
        "YearDay" => Ok(Value::Int(civil.year_day)),
        "Zone" => Ok(Value::from(time.offset().1)),
        // More than two results: the first, where the checker did not see it.
        "Clock" => Ok(Value::Int(civil.hour)),
        "Date" => Ok(Value::Int(civil.year)),
        _ => Err(unknown(name, &Value::Time(time.clone()))),
    }
}

fn duration_method(duration: Duration, name: &str, arguments: &[Value]) -> Outcome {
    let nanos = duration.as_nanos();
    let value = |nanos: i64| Ok(Value::Duration(Duration::from_nanos(nanos)));
    let step = match arguments.first() {
        Some(Value::Duration(step)) => step.as_nanos(),
        _ => 0,
    };
    // Whole units and the rest apart, as Go does it.
    let units = |per_unit: i64| {
        Ok(Value::Float(
            (nanos / per_unit) as f64 + (nanos % per_unit) as f64 / per_unit as f64,
        ))
    };
    match name {
        "Abs" => value(nanos.saturating_abs()),
        "Hours" => units(3_600_000_000_000),
        "Minutes" => units(60_000_000_000),
        "Seconds" => units(1_000_000_000),
        "Milliseconds" => Ok(Value::Int64(nanos / 1_000_000)),
        "Microseconds" => Ok(Value::Int64(nanos / 1_000)),
        "Nanoseconds" => Ok(Value::Int64(nanos)),
        "String" => Ok(Value::from(duration.to_string())),
        "Truncate" if step <= 0 => value(nanos),
        "Truncate" => value(nanos - nanos % step),
        "Round" if step <= 0 => value(nanos),
        "Round" => {
            let rest = i128::from(nanos % step);
            let down = i128::from(nanos) - rest;
            let rounded = if rest.abs() * 2 < i128::from(step) {
                down
            } else {
                down + i128::from(step) * i128::from(nanos.signum())
            };
            let limit = if nanos < 0 { i64::MIN } else { i64::MAX };
            value(i64::try_from(rounded).unwrap_or(limit))
        }
        _ => Err(unknown(name, &Value::Duration(duration))),
    }
}
