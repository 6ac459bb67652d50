//! Operators on values: equality, order, arithmetic, indexing, slicing, membership.
//!
//! Errors are texts; the caller knows the place.

use std::cmp::Ordering;

use super::number::{float_to_int, power};
use super::types::{ArrayKind, Function, MapKind, Method, Type};
use super::value::{Array, Key, Map, Text, Value};
use crate::time::Duration;

/// An operation's value or the reference's error text.
pub type Outcome = Result<Value, String>;

/// The Go type of a value.
pub fn type_name(value: &Value) -> String {
    match value {
        Value::Nil => "<nil>".to_owned(),
        other => Type::of(other).name(),
    }
}

/// The error of a value that is not what an operation needs.
pub fn conversion(value: &Value, wanted: &str) -> String {
    match value {
        Value::Nil => format!("interface conversion: interface {{}} is nil, not {wanted}"),
        other => format!(
            "interface conversion: interface {{}} is {}, not {wanted}",
            type_name(other)
        ),
    }
}

/// The bool that an operator needs.
///
/// # Errors
/// Any other value.
pub fn as_bool(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(b) => Ok(*b),
        other => Err(conversion(other, "bool")),
    }
}

/// The string that a function needs.
///
/// # Errors
/// Any other value.
pub fn as_text(value: &Value) -> Result<&Text, String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(conversion(other, "string")),
    }
}

/// A number of the plain types, as an integer or a float.
#[derive(Clone, Copy)]
enum Number {
    Integer(i64),
    Float(f64),
}

impl Number {
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Int(i) | Value::Int64(i) => Some(Self::Integer(*i)),
            Value::Byte(b) => Some(Self::Integer(i64::from(*b))),
            Value::Float(f) => Some(Self::Float(*f)),
            _ => None,
        }
    }

    fn float(self) -> f64 {
        match self {
            Self::Integer(i) => i as f64,
            Self::Float(f) => f,
        }
    }
}

/// A number as an index or a bound.
///
/// # Errors
/// Values that are no numbers.
pub fn to_int(value: &Value) -> Result<i64, String> {
    match Number::of(value) {
        Some(Number::Integer(i)) => Ok(i),
        Some(Number::Float(f)) => Ok(float_to_int(f)),
        None => Err(format!("invalid operation: int({})", type_name(value))),
    }
}

fn to_float(value: &Value) -> Result<f64, String> {
    Number::of(value)
        .map(Number::float)
        .ok_or_else(|| format!("invalid operation: float({})", type_name(value)))
}

fn compare_numbers(a: Number, b: Number) -> Option<Ordering> {
    match (a, b) {
        (Number::Integer(a), Number::Integer(b)) => Some(a.cmp(&b)),
        (a, b) => a.float().partial_cmp(&b.float()),
    }
}

/// `a == b`. Numbers compare as numbers, arrays element by element, the rest only with its own
/// type. `steps` counts the elements looked at.
pub fn equal(a: &Value, b: &Value, steps: &mut u64) -> bool {
    *steps += 1;
    if let (Some(a), Some(b)) = (Number::of(a), Number::of(b)) {
        return compare_numbers(a, b) == Some(Ordering::Equal);
    }
    match (a, b) {
        (Value::Array(x), Value::Array(y)) if loosely_comparable(x.kind(), y.kind()) => {
            let (x, y) = (x.items(), y.items());
            x.len() == y.len() && x.iter().zip(y).all(|(a, b)| equal(a, b, steps))
        }
        (Value::Time(x), Value::Time(y)) => x.instant() == y.instant(),
        _ => a.is_nil() && b.is_nil() || deep_equal(a, b, steps),
    }
}

/// Slices of plain elements compare element by element if they have the same type or one of them
/// holds anything.
fn loosely_comparable(a: ArrayKind, b: ArrayKind) -> bool {
    let plain = |kind| {
        matches!(
            kind,
            ArrayKind::Any
                | ArrayKind::Int
                | ArrayKind::Float
                | ArrayKind::String
                | ArrayKind::Byte
        )
    };
    plain(a) && plain(b) && (a == b || a == ArrayKind::Any || b == ArrayKind::Any)
}

/// Go's `reflect.DeepEqual`: types must agree at every level.
fn deep_equal(a: &Value, b: &Value, steps: &mut u64) -> bool {
    *steps += 1;
    match (a, b) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) | (Value::Int64(a), Value::Int64(b)) => a == b,
        (Value::Byte(a), Value::Byte(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::String(a), Value::String(b)) | (Value::StatusCode(a), Value::StatusCode(b)) => {
            a == b
        }
        (Value::Array(a), Value::Array(b)) => {
            a.kind() == b.kind()
                && a.items().len() == b.items().len()
                && (a.is_same(b) && a.kind() != ArrayKind::Pair
                    || a.items()
                        .iter()
                        .zip(b.items())
                        .all(|(a, b)| deep_equal(a, b, steps)))
        }
        (Value::Map(a), Value::Map(b)) => {
            a.kind() == b.kind()
                && (a.is_same(b)
                    || a.entries().len() == b.entries().len()
                        && a.entries()
                            .iter()
                            .zip(b.entries())
                            .all(|((key_a, a), (key_b, b))| {
                                !matches!(key_a, Key::NotANumber(_))
                                    && key_a == key_b
                                    && deep_equal(a, b, steps)
                            }))
        }
        (Value::Struct(a), Value::Struct(b)) => {
            a.kind() == b.kind()
                && a.fields()
                    .iter()
                    .zip(b.fields())
                    .all(|(a, b)| deep_equal(a, b, steps))
        }
        (Value::Pointer(a), Value::Pointer(b)) => deep_equal(a, b, steps),
        (Value::Time(a), Value::Time(b)) => a == b,
        (Value::Duration(a), Value::Duration(b)) => a == b,
        (Value::Month(a), Value::Month(b)) | (Value::Weekday(a), Value::Weekday(b)) => a == b,
        (Value::Location(a), Value::Location(b)) => a == b,
        _ => false,
    }
}

/// The operators of order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
}

impl Comparison {
    fn text(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::Greater => ">",
            Self::LessOrEqual => "<=",
            Self::GreaterOrEqual => ">=",
        }
    }

    fn holds(self, ordering: Option<Ordering>) -> bool {
        match (self, ordering) {
            // NaN is on no side of anything.
            (_, None) => false,
            (Self::Less, Some(o)) => o.is_lt(),
            (Self::Greater, Some(o)) => o.is_gt(),
            (Self::LessOrEqual, Some(o)) => o.is_le(),
            (Self::GreaterOrEqual, Some(o)) => o.is_ge(),
        }
    }
}

/// `a < b` and its kin.
///
/// # Errors
/// Values of types that have no common order.
pub fn compare(comparison: Comparison, a: &Value, b: &Value) -> Result<bool, String> {
    let ordering = match (a, b) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Time(a), Value::Time(b)) => Some(a.instant().cmp(&b.instant())),
        (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        _ => match (Number::of(a), Number::of(b)) {
            (Some(a), Some(b)) => compare_numbers(a, b),
            _ => return Err(mismatch(comparison.text(), a, b)),
        },
    };
    Ok(comparison.holds(ordering))
}

fn mismatch(operator: &str, a: &Value, b: &Value) -> String {
    format!(
        "invalid operation: {} {operator} {}",
        type_name(a),
        type_name(b)
    )
}

fn out_of_range() -> String {
    "time is out of range".to_owned()
}

/// `a + b`, except of strings, which [`concat`] joins.
///
/// # Errors
/// Values that cannot be added.
pub fn add(a: &Value, b: &Value) -> Outcome {
    if let (Some(a), Some(b)) = (Number::of(a), Number::of(b)) {
        return Ok(match (a, b) {
            (Number::Integer(a), Number::Integer(b)) => Value::Int(a.wrapping_add(b)),
            (a, b) => Value::Float(a.float() + b.float()),
        });
    }
    match (a, b) {
        (Value::Time(time), Value::Duration(d)) | (Value::Duration(d), Value::Time(time)) => {
            time.add(*d).map(Value::Time).ok_or_else(out_of_range)
        }
        (Value::Duration(a), Value::Duration(b)) => {
            Ok(duration(a.as_nanos().wrapping_add(b.as_nanos())))
        }
        _ => Err(mismatch("+", a, b)),
    }
}

/// Two strings, one after the other.
pub fn concat(a: &Text, b: &Text) -> Value {
    Value::String(Text::from([a.as_bytes(), b.as_bytes()].concat()))
}

/// `a - b`.
///
/// # Errors
/// Values that cannot be subtracted.
pub fn subtract(a: &Value, b: &Value) -> Outcome {
    if let (Some(a), Some(b)) = (Number::of(a), Number::of(b)) {
        return Ok(match (a, b) {
            (Number::Integer(a), Number::Integer(b)) => Value::Int(a.wrapping_sub(b)),
            (a, b) => Value::Float(a.float() - b.float()),
        });
    }
    match (a, b) {
        (Value::Time(a), Value::Time(b)) => Ok(Value::Duration(a.since(b))),
        (Value::Time(time), Value::Duration(d)) => {
            let back = Duration::from_nanos(d.as_nanos().wrapping_neg());
            time.add(back).map(Value::Time).ok_or_else(out_of_range)
        }
        (Value::Duration(a), Value::Duration(b)) => {
            Ok(duration(a.as_nanos().wrapping_sub(b.as_nanos())))
        }
        _ => Err(mismatch("-", a, b)),
    }
}

/// `a * b`.
///
/// # Errors
/// Values that cannot be multiplied.
pub fn multiply(a: &Value, b: &Value) -> Outcome {
    let number = |value: &Value| match value {
        Value::Duration(d) => Some(Number::Integer(d.as_nanos())),
        other => Number::of(other),
    };
    let (Some(x), Some(y)) = (number(a), number(b)) else {
        return Err(mismatch("*", a, b));
    };
    let is_duration = matches!(a, Value::Duration(_)) || matches!(b, Value::Duration(_));
    Ok(match (x, y) {
        (Number::Integer(x), Number::Integer(y)) if is_duration => duration(x.wrapping_mul(y)),
        (Number::Integer(x), Number::Integer(y)) => Value::Int(x.wrapping_mul(y)),
        // A duration times a float is a plain float.
        (x, y) => Value::Float(x.float() * y.float()),
    })
}

fn duration(nanos: i64) -> Value {
    Value::Duration(Duration::from_nanos(nanos))
}

/// `a / b`, always a float.
///
/// # Errors
/// Values that are no numbers.
pub fn divide(a: &Value, b: &Value) -> Outcome {
    match (Number::of(a), Number::of(b)) {
        (Some(a), Some(b)) => Ok(Value::Float(a.float() / b.float())),
        _ => Err(mismatch("/", a, b)),
    }
}

/// `a % b` of integers.
///
/// # Errors
/// Other values, and zero on the right.
pub fn modulo(a: &Value, b: &Value) -> Outcome {
    match (Number::of(a), Number::of(b)) {
        (Some(Number::Integer(_)), Some(Number::Integer(0))) => {
            Err("runtime error: integer divide by zero".to_owned())
        }
        (Some(Number::Integer(a)), Some(Number::Integer(b))) => Ok(Value::Int(a.wrapping_rem(b))),
        _ => Err(mismatch("%", a, b)),
    }
}

/// `a ** b`.
///
/// # Errors
/// Values that are no numbers.
pub fn exponent(a: &Value, b: &Value) -> Outcome {
    Ok(Value::Float(power(to_float(a)?, to_float(b)?)))
}

/// `-a`.
///
/// # Errors
/// Values that are no numbers.
pub fn negate(value: &Value) -> Outcome {
    match value {
        Value::Int(i) => Ok(Value::Int(i.wrapping_neg())),
        Value::Int64(i) => Ok(Value::Int64(i.wrapping_neg())),
        Value::Byte(b) => Ok(Value::Byte(b.wrapping_neg())),
        Value::Float(f) => Ok(Value::Float(-f)),
        other => Err(format!("invalid operation: - {}", type_name(other))),
    }
}

/// The method `name` of a value, bound to it.
fn method(value: &Value, key: &Value) -> Option<Value> {
    let Value::String(name) = key else {
        return None;
    };
    let method = Method::find(&Type::of(value), &name.to_string_lossy())?;
    Some(Value::Function(Function::Method(
        value.clone().into(),
        method,
    )))
}

fn unfetchable(from: &Value, key: &Value) -> String {
    format!(
        "cannot fetch {} from {}",
        super::format::display(key),
        type_name(from)
    )
}

/// The element of a map, `None` if there is none.
fn lookup<'m>(map: &'m Map, key: &Value) -> Result<Option<&'m Value>, String> {
    let key = match (map.kind(), key) {
        // Nil stands for the zero value of the key type.
        (MapKind::StringAny, Value::Nil) => Key::String(Text::from("")),
        (MapKind::StringAny, Value::String(text)) => Key::String(text.clone()),
        (MapKind::StringAny, other) => return Err(not_assignable(other, "string")),
        (MapKind::AnyAny | MapKind::AnyArray, other) => {
            Key::of(other, usize::MAX).ok_or_else(|| unhashable(other))?
        }
    };
    Ok(map.entries().get(&key))
}

/// The error of a key that a map cannot have.
pub fn unhashable(value: &Value) -> String {
    format!(
        "runtime error: hash of unhashable type {}",
        type_name(value)
    )
}

fn not_assignable(value: &Value, wanted: &str) -> String {
    format!(
        "reflect.Value.MapIndex: value of type {} is not assignable to type {wanted}",
        type_name(value)
    )
}

/// `from[key]` and `from.key`.
///
/// # Errors
/// Nil, indexes out of range, fields that do not exist. What a map does not hold is nil.
pub fn fetch(from: &Value, key: &Value) -> Outcome {
    if let Some(method) = method(from, key) {
        return Ok(method);
    }
    let behind = from.clone().deref();
    match &behind {
        Value::Array(array) => {
            let (index, length) = index_in(key, array.items().len())?;
            let item = usize::try_from(index)
                .ok()
                .and_then(|i| array.items().get(i));
            item.cloned()
                .ok_or_else(|| index_out_of_range(index, length))
        }
        Value::String(text) | Value::StatusCode(text) => {
            let (index, length) = index_in(key, text.as_bytes().len())?;
            let byte = usize::try_from(index)
                .ok()
                .and_then(|i| text.as_bytes().get(i));
            byte.map(|byte| Value::Byte(*byte))
                .ok_or_else(|| index_out_of_range(index, length))
        }
        Value::Map(map) => Ok(match (lookup(map, key)?, map.kind()) {
            (Some(value), _) => value.clone(),
            (None, MapKind::StringAny | MapKind::AnyAny) => Value::Nil,
            (None, MapKind::AnyArray) => Value::Array(Array::nil(ArrayKind::Any)),
        }),
        Value::Struct(value) => {
            let name = as_text(key)?;
            value
                .field(&name.to_string_lossy())
                .cloned()
                .ok_or_else(|| unfetchable(from, key))
        }
        Value::Time(_) => {
            as_text(key)?;
            Err(unfetchable(from, key))
        }
        _ => Err(unfetchable(from, key)),
    }
}

/// The index counted from the start, and the length.
fn index_in(key: &Value, length: usize) -> Result<(i64, i64), String> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let index = to_int(key)?;
    Ok(if index < 0 {
        (index.wrapping_add(length), length)
    } else {
        (index, length)
    })
}

fn index_out_of_range(index: i64, length: i64) -> String {
    format!("index out of range: {index} (array length is {length})")
}

/// `get(from, key)`: like [`fetch`], but what is not there is nil.
///
/// # Errors
/// Keys of the wrong type.
pub fn get(from: &Value, key: &Value) -> Outcome {
    if let Some(method) = method(from, key) {
        return Ok(method);
    }
    let at = |length: usize| -> Result<Option<usize>, String> {
        let (index, _) = index_in(key, length)?;
        Ok(usize::try_from(index).ok())
    };
    Ok(match from {
        Value::Array(array) => at(array.items().len())?
            .and_then(|i| array.items().get(i))
            .cloned(),
        Value::String(text) | Value::StatusCode(text) => at(text.as_bytes().len())?
            .and_then(|i| text.as_bytes().get(i))
            .map(|byte| Value::Byte(*byte)),
        Value::Map(map) => lookup(map, key)?.cloned(),
        Value::Struct(value) => value.field(&as_text(key)?.to_string_lossy()).cloned(),
        Value::Time(_) => {
            as_text(key)?;
            None
        }
        _ => None,
    }
    .unwrap_or(Value::Nil))
}

/// The length that a slice without an end goes to.
///
/// # Errors
/// Values without a length.
pub fn slice_length(value: &Value) -> Result<i64, String> {
    let length = match value {
        Value::Array(array) => array.items().len(),
        Value::String(text) | Value::StatusCode(text) => text.as_bytes().len(),
        Value::Map(map) => map.entries().len(),
        other => {
            return Err(format!(
                "invalid argument for len (type {})",
                type_name(other)
            ));
        }
    };
    Ok(i64::try_from(length).unwrap_or(i64::MAX))
}

/// `value[from:to]`, cut to what is there.
///
/// # Errors
/// Values that have no slices, bounds that are no numbers.
pub fn slice(value: &Value, from: &Value, to: &Value) -> Outcome {
    let behind = value.clone().deref();
    let range = |length: usize| -> Result<std::ops::Range<usize>, String> {
        let limit = i64::try_from(length).unwrap_or(i64::MAX);
        let bound = |value: &Value| -> Result<i64, String> {
            let bound = to_int(value)?;
            Ok(if bound < 0 {
                bound.saturating_add(limit).max(0)
            } else {
                bound
            })
        };
        let (from, to) = (bound(from)?, bound(to)?);
        let to = to.min(limit);
        let from = from.min(to);
        Ok(usize::try_from(from).unwrap_or(0)..usize::try_from(to).unwrap_or(0))
    };
    let text = |text: &Text| -> Result<Text, String> {
        let range = range(text.as_bytes().len())?;
        Ok(Text::from(text.as_bytes().get(range).unwrap_or(&[])))
    };
    match &behind {
        Value::Array(array) => {
            let kind = match array.kind() {
                ArrayKind::Pair => ArrayKind::Any,
                kind => kind,
            };
            let items = array.items();
            let items = items.get(range(items.len())?).unwrap_or(&[]);
            Ok(Value::Array(Array::new(kind, items.to_vec())))
        }
        Value::String(value) => Ok(Value::String(text(value)?)),
        Value::StatusCode(value) => Ok(Value::StatusCode(text(value)?)),
        _ => Err(format!("cannot slice {}", super::format::display(from))),
    }
}

/// `needle in haystack`. `steps` counts the elements looked at.
///
/// # Errors
/// Haystacks that hold nothing, keys of the wrong type.
pub fn contains(needle: &Value, haystack: &Value, steps: &mut u64) -> Result<bool, String> {
    match haystack {
        Value::Nil => Ok(false),
        Value::Array(array) => Ok(array.items().iter().any(|item| equal(item, needle, steps))),
        Value::Map(map) => Ok(lookup(map, needle)?.is_some()),
        Value::Struct(value) => match needle {
            Value::String(name) => Ok(value.field(&name.to_string_lossy()).is_some()),
            other => Err(not_a_field(other, haystack)),
        },
        // Its fields are private.
        Value::Time(_) => match needle {
            Value::String(_) => Ok(false),
            other => Err(not_a_field(other, haystack)),
        },
        Value::Pointer(inner) => contains(needle, inner, steps),
        other => Err(format!(
            "operator \"in\" not defined on {}",
            type_name(other)
        )),
    }
}

fn not_a_field(needle: &Value, haystack: &Value) -> String {
    format!(
        "cannot use {} as field name of {}",
        type_name(needle),
        type_name(haystack)
    )
}

/// `needle in` a set of literal integers.
///
/// # Errors
/// Values that are no `int`.
pub fn in_integers(needle: &Value, set: &std::collections::BTreeSet<i64>) -> Result<bool, String> {
    match needle {
        Value::Nil => Ok(set.contains(&0)),
        Value::Int(i) => Ok(set.contains(i)),
        other => Err(not_assignable(other, "int")),
    }
}

/// `needle in` a set of literal strings.
///
/// # Errors
/// Values that are no string.
pub fn in_strings(needle: &Value, set: &std::collections::BTreeSet<Text>) -> Result<bool, String> {
    match needle {
        Value::Nil => Ok(set.contains(&Text::from(""))),
        Value::String(text) => Ok(set.contains(text)),
        other => Err(not_assignable(other, "string")),
    }
}
