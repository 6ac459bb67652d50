//! Values as text: what `fmt` prints with `%v`, and JSON both ways.

use std::fmt::Write;

use base64::Engine;

use super::layout::{self, RFC3339_NANO};
use super::moment::{MONTHS, Moment, WEEKDAYS};
use super::number::{format_float, format_json_float};
use super::types::ArrayKind;
use super::value::{Key, Text, Value};

/// The value as Go's `%v` prints it, for error texts.
pub fn display(value: &Value) -> String {
    String::from_utf8_lossy(&print(value)).into_owned()
}

/// The value as Go's `%v` prints it.
pub fn print(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    print_to(&mut out, value);
    out
}

fn print_to(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Nil => out.extend_from_slice(b"<nil>"),
        Value::Bool(b) => out.extend_from_slice(b.to_string().as_bytes()),
        Value::Int(i) | Value::Int64(i) => out.extend_from_slice(i.to_string().as_bytes()),
        Value::Byte(b) => out.extend_from_slice(b.to_string().as_bytes()),
        Value::Float(f) => out.extend_from_slice(format_float(*f).as_bytes()),
        Value::String(text) | Value::StatusCode(text) => out.extend_from_slice(text.as_bytes()),
        Value::Array(array) => print_list(out, b"[", array.items(), b"]"),
        Value::Struct(value) => print_list(out, b"{", value.fields(), b"}"),
        Value::Map(map) => {
            out.extend_from_slice(b"map[");
            for (i, (key, value)) in map.entries().iter().enumerate() {
                if i > 0 {
                    out.push(b' ');
                }
                print_to(out, &key.to_value());
                out.push(b':');
                print_to(out, value);
            }
            out.push(b']');
        }
        Value::Pointer(inner) => print_to(out, inner),
        Value::Time(time) => out.extend_from_slice(&time_text(time)),
        Value::Duration(d) => out.extend_from_slice(d.to_string().as_bytes()),
        Value::Month(m) => out.extend_from_slice(month_name(*m).as_bytes()),
        Value::Weekday(d) => out.extend_from_slice(weekday_name(*d).as_bytes()),
        Value::Location(zone) => out.extend_from_slice(zone.name().as_bytes()),
        Value::Function(_) => out.extend_from_slice(b"func"),
    }
}

fn print_list(out: &mut Vec<u8>, open: &[u8], items: &[Value], close: &[u8]) {
    out.extend_from_slice(open);
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        print_to(out, item);
    }
    out.extend_from_slice(close);
}

/// The time as its `String()` shows it.
pub fn time_text(time: &Moment) -> Vec<u8> {
    layout::format(time, b"2006-01-02 15:04:05.999999999 -0700 MST")
}

/// The English name; 1 is January.
pub fn month_name(month: u8) -> String {
    let name = usize::from(month)
        .checked_sub(1)
        .and_then(|i| MONTHS.get(i));
    name.map_or_else(|| format!("%!Month({month})"), |name| (*name).to_owned())
}

/// The English name; 0 is Sunday.
pub fn weekday_name(weekday: u8) -> String {
    let name = WEEKDAYS.get(usize::from(weekday));
    name.map_or_else(
        || format!("%!Weekday({weekday})"),
        |name| (*name).to_owned(),
    )
}

/// Indented JSON.
///
/// # Errors
/// Values that JSON cannot have: NaN, infinities, functions, maps with other keys than strings.
pub fn to_json(value: &Value) -> Result<String, String> {
    let mut out = String::new();
    write_json(&mut out, value, 0)?;
    Ok(out)
}

fn write_json(out: &mut String, value: &Value, level: usize) -> Result<(), String> {
    match value {
        Value::Nil => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(i) | Value::Int64(i) => out.push_str(&i.to_string()),
        Value::Byte(b) => out.push_str(&b.to_string()),
        Value::Float(f) => {
            let text = format_json_float(*f)
                .ok_or_else(|| format!("json: unsupported value: {}", format_float(*f)))?;
            out.push_str(&text);
        }
        Value::String(text) | Value::StatusCode(text) => write_json_string(out, text.as_bytes()),
        Value::Array(_) if value.is_nil() => out.push_str("null"),
        Value::Array(array) if array.kind() == ArrayKind::Byte => {
            let bytes: Vec<u8> = array
                .items()
                .iter()
                .map(|item| match item {
                    Value::Byte(b) => *b,
                    _ => 0,
                })
                .collect();
            let text = base64::engine::general_purpose::STANDARD.encode(bytes);
            write_json_string(out, text.as_bytes());
        }
        Value::Array(array) => {
            let items = array.items();
            write_json_block(out, '[', ']', level, items.len(), |out, i, level| {
                write_json(out, items.get(i).unwrap_or(&Value::Nil), level)
            })?;
        }
        Value::Map(map) => {
            let mut entries = Vec::with_capacity(map.entries().len());
            for (key, value) in map.entries() {
                match key {
                    Key::String(text) => entries.push((text.clone(), value)),
                    _ => return Err(unsupported_type(map.kind().name())),
                }
            }
            if map.kind() != super::types::MapKind::StringAny {
                return Err(unsupported_type(map.kind().name()));
            }
            write_json_object(out, &entries, level)?;
        }
        Value::Struct(value) => {
            let entries: Vec<(Text, &Value)> = value
                .kind()
                .fields()
                .iter()
                .zip(value.fields())
                .map(|((name, _), value)| (Text::from(*name), value))
                .collect();
            write_json_object(out, &entries, level)?;
        }
        Value::Pointer(inner) => write_json(out, inner, level)?,
        Value::Time(time) => {
            let year = time.civil().year;
            if !(0..=9999).contains(&year) {
                return Err(
                    "json: error calling MarshalJSON for type time.Time: Time.MarshalJSON: year \
                     outside of range [0,9999]"
                        .to_owned(),
                );
            }
            write_json_string(out, &layout::format(time, RFC3339_NANO.as_bytes()));
        }
        Value::Duration(d) => out.push_str(&d.as_nanos().to_string()),
        Value::Month(n) | Value::Weekday(n) => out.push_str(&n.to_string()),
        Value::Location(_) => out.push_str("{}"),
        Value::Function(_) => {
            return Err(unsupported_type(&super::ops::type_name(value)));
        }
    }
    Ok(())
}

fn unsupported_type(name: &str) -> String {
    format!("json: unsupported type: {name}")
}

fn write_json_object(
    out: &mut String,
    entries: &[(Text, &Value)],
    level: usize,
) -> Result<(), String> {
    write_json_block(out, '{', '}', level, entries.len(), |out, i, level| {
        if let Some((key, value)) = entries.get(i) {
            write_json_string(out, key.as_bytes());
            out.push_str(": ");
            write_json(out, value, level)?;
        }
        Ok(())
    })
}

fn write_json_block(
    out: &mut String,
    open: char,
    close: char,
    level: usize,
    count: usize,
    mut item: impl FnMut(&mut String, usize, usize) -> Result<(), String>,
) -> Result<(), String> {
    out.push(open);
    for i in 0..count {
        out.push_str(if i > 0 { ",\n" } else { "\n" });
        out.push_str(&"  ".repeat(level + 1));
        item(out, i, level + 1)?;
    }
    if count > 0 {
        out.push('\n');
        out.push_str(&"  ".repeat(level));
    }
    out.push(close);
    Ok(())
}

fn write_json_string(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\u{0}'..='\u{1f}' => {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\u{:04x}", c as u32);
                }
                c => out.push(c),
            }
        }
        for _ in chunk.invalid() {
            out.push_str("\\ufffd");
        }
    }
    out.push('"');
}

/// The value of a JSON document.
///
/// # Errors
/// Texts that are not JSON, numbers beyond floats, more than 127 levels.
pub fn from_json(text: &[u8]) -> Result<Value, String> {
    let text = String::from_utf8_lossy(text);
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(json) => Ok(Value::from_json(&json)),
        Err(error) if error.to_string().starts_with("number out of range") => {
            Err("json: cannot unmarshal number into Go value of type float64".to_owned())
        }
        Err(error) if error.is_eof() => Err("unexpected end of JSON input".to_owned()),
        Err(error) => {
            let line = text
                .lines()
                .nth(error.line().saturating_sub(1))
                .unwrap_or("");
            let at = error.column().saturating_sub(1).min(line.len());
            match line.get(at..).and_then(|rest| rest.chars().next()) {
                Some(c) if error.to_string().starts_with("trailing characters") => {
                    Err(format!("invalid character {c:?} after top-level value"))
                }
                Some(c) => Err(format!(
                    "invalid character {c:?} looking for beginning of value"
                )),
                None => Err(error.to_string()),
            }
        }
    }
}
