//! Conformance of the condition language with recorded answers of the reference evaluator.
//!
//! Reads `golden.jsonl` of the folder in `ROLLPROOF_EXPR_GOLDEN`, by default `../shared/expr`; its
//! README has the format. `ROLLPROOF_EXPR_LIST=1` lists what failed and which error texts differ.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rollproof::expr::{
    Array, ArrayKind, Key, Map, MapKind, Struct, StructKind, Text, Value, compile, compile_plain,
    evaluate_condition,
};
use rollproof::time::Timestamp;
use serde_json::{Value as Json, json};

/// Rows that must pass in the default folder.
const RATCHET: usize = 3395;

/// The rows were recorded some time after this.
const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

#[derive(Default)]
struct Tally {
    passed: usize,
    total: usize,
}

impl Tally {
    fn count(&mut self, passed: bool) {
        self.total += 1;
        self.passed += usize::from(passed);
    }
}

#[test]
fn expr() {
    let folder = std::env::var_os("ROLLPROOF_EXPR_GOLDEN");
    let is_default = folder.is_none();
    let folder = folder.map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/expr"),
        PathBuf::from,
    );
    let path = folder.join("golden.jsonl");
    let Ok(rows) = std::fs::read_to_string(&path) else {
        println!("expr: skipped, {} is not there", path.display());
        return;
    };
    let list = std::env::var_os("ROLLPROOF_EXPR_LIST").is_some();
    let mut all = Tally::default();
    let mut conditions = Tally::default();
    let mut raw = Tally::default();
    let mut texts = Tally::default();
    for line in rows.lines() {
        let row: Json = serde_json::from_str(line).expect("a row is JSON");
        let expression = row["expr"].as_str().expect("a row has an expression");
        let expected = &row["go"];
        let actual = match row["env"].get("result") {
            Some(result) => condition(expression, &to_value(result)),
            None => plain(expression),
        };
        let passed = agrees(expected, &actual);
        all.count(passed);
        if row["env"].get("result").is_some() {
            conditions.count(passed);
        } else {
            raw.count(passed);
        }
        if expected.get("error").is_some() {
            texts.count(expected["error"] == actual["error"]);
        }
        if list && (!passed || expected.get("error") != actual.get("error")) {
            let verdict = if passed { "text" } else { "FAILED" };
            println!(
                "{verdict} {} {expression:?} on {}\n    expected {expected}\n    got      {actual}",
                row["id"], row["env"]
            );
        }
    }
    println!("expr: passed {} of {}", all.passed, all.total);
    println!(
        "expr: condition rows {} of {}",
        conditions.passed, conditions.total
    );
    println!("expr: raw rows {} of {}", raw.passed, raw.total);
    println!(
        "expr: equal error texts {} of {}",
        texts.passed, texts.total
    );
    if is_default {
        assert!(all.passed >= RATCHET, "fewer than {RATCHET} rows pass");
    }
}

fn condition(expression: &str, result: &Value) -> Json {
    match evaluate_condition(expression, result, Some(NOW)) {
        Ok(verdict) => json!({ "bool": verdict }),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

fn plain(expression: &str) -> Json {
    let value = compile_plain(expression).and_then(|p| p.eval(&Value::Nil, Some(NOW)));
    match value {
        Ok(value) => json!({ "type": value.type_name(), "value": from_value(&value) }),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

/// The same value, or an error on both sides, for some errors with the same text.
fn agrees(expected: &Json, actual: &Json) -> bool {
    let Some(error) = expected.get("error").and_then(Json::as_str) else {
        return expected == actual;
    };
    let fixed = [
        "expected bool, but got ",
        "unknown name ",
        "index out of range",
    ];
    match actual.get("error") {
        Some(text) if fixed.iter().any(|prefix| error.starts_with(prefix)) => text == error,
        Some(_) => true,
        None => false,
    }
}

fn to_value(typed: &Json) -> Value {
    let value = &typed["value"];
    let strings = |name: &str| match value.get(name) {
        Some(Json::String(text)) => Value::Pointer(Value::from(text.as_str()).into()),
        _ => Value::Nil,
    };
    match typed["type"].as_str().expect("a result has a type") {
        "int" => Value::Int(value.as_i64().expect("an int")),
        "[]float64" => Value::floats(items(value).iter().map(float)),
        "[]map[string]interface {}" => {
            let maps = items(value).iter().map(dynamic).collect();
            Value::Array(Array::new(ArrayKind::Map, maps))
        }
        "[]types.MetricDataResult" => {
            let results = items(value)
                .iter()
                .map(|item| to_value(&json!({ "type": "types.MetricDataResult", "value": item })))
                .collect();
            Value::Array(Array::new(ArrayKind::MetricDataResult, results))
        }
        "types.MetricDataResult" => Value::Struct(Struct::new(
            StructKind::MetricDataResult,
            vec![
                strings("Id"),
                strings("Label"),
                Value::Array(Array::new(ArrayKind::MessageData, Vec::new())),
                Value::StatusCode(Text::from(value["StatusCode"].as_str().unwrap_or(""))),
                Value::Array(Array::new(ArrayKind::Time, Vec::new())),
                Value::floats(items(&value["Values"]).iter().map(float)),
            ],
        )),
        "<nil>"
        | "*float64"
        | "float64"
        | "string"
        | "bool"
        | "map[string]interface {}"
        | "[]interface {}" => dynamic(value),
        other => panic!("unknown type {other}"),
    }
}

fn items(value: &Json) -> &[Json] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn float(value: &Json) -> f64 {
    match value.get("$f").and_then(Json::as_str) {
        Some("NaN") => f64::NAN,
        Some("+Inf") => f64::INFINITY,
        Some("-Inf") => f64::NEG_INFINITY,
        Some(other) => panic!("unknown float {other}"),
        None => value.as_f64().expect("a float"),
    }
}

fn dynamic(value: &Json) -> Value {
    match value {
        Json::Object(entries) if entries.contains_key("$f") => Value::Float(float(value)),
        Json::Object(entries) => {
            let entries: BTreeMap<Key, Value> = entries
                .iter()
                .map(|(key, value)| (Key::String(Text::from(key.as_str())), dynamic(value)))
                .collect();
            Value::Map(Map::new(MapKind::StringAny, entries))
        }
        Json::Array(items) => Value::array(items.iter().map(dynamic).collect()),
        Json::Null => Value::Nil,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(_) => Value::Float(float(value)),
        Json::String(text) => Value::from(text.as_str()),
    }
}

fn from_value(value: &Value) -> Json {
    match value {
        Value::Nil => Json::Null,
        Value::Bool(b) => json!(b),
        Value::Int(i) | Value::Int64(i) => json!(i),
        Value::Byte(b) => json!(b),
        Value::Month(n) | Value::Weekday(n) => json!(n),
        Value::Float(f) if f.is_nan() => json!({ "$f": "NaN" }),
        Value::Float(f) if f.is_infinite() => {
            json!({ "$f": format!("{f:+}").replace("inf", "Inf") })
        }
        Value::Float(f) => json!(f),
        Value::String(text) | Value::StatusCode(text) => json!(text.to_string_lossy()),
        Value::Array(array) => array.items().iter().map(from_value).collect(),
        Value::Map(map) if map.kind() == MapKind::StringAny => {
            let entry = |(key, value): (&Key, &Value)| match key {
                Key::String(text) => (text.to_string_lossy().into_owned(), from_value(value)),
                other => panic!("unexpected key {other:?}"),
            };
            Json::Object(map.entries().iter().map(entry).collect())
        }
        Value::Map(map) => {
            let pair = |(key, value): (&Key, &Value)| {
                json!([from_value(&key.to_value()), from_value(value)])
            };
            json!({ "$keyed": map.entries().iter().map(pair).collect::<Vec<_>>() })
        }
        Value::Time(_) => {
            let text = method(value, "Format(\"2006-01-02T15:04:05.999999999Z07:00\")");
            json!({ "$time": from_value(&text) })
        }
        Value::Duration(d) => json!({ "$duration": d.as_nanos() }),
        Value::Location(_) | Value::Struct(_) => json!({}),
        Value::Pointer(inner) => from_value(inner),
        Value::Function(_) => json!("func"),
    }
}

/// Calls a method by way of the language itself.
fn method(value: &Value, call: &str) -> Value {
    let source = format!("result.{call}");
    let program = compile(&source, &rollproof::expr::Type::of(value)).expect("a method call");
    program.eval(value, None).expect("a value")
}
