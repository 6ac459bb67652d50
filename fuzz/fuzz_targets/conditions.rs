//! Any condition on a few results: a verdict or an error, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rollproof::expr::{Type, Value, compile, evaluate_condition};
use rollproof::time::Timestamp;

fuzz_target!(|data: &[u8]| {
    let Some((selector, text)) = data.split_first() else {
        return;
    };
    let Ok(condition) = std::str::from_utf8(text) else {
        return;
    };
    let result = match selector % 8 {
        0 => Value::Nil,
        1 => Value::Float(f64::NAN),
        2 => Value::floats([0.5, f64::INFINITY, -1.0]),
        3 => Value::array(vec![Value::Nil, Value::from("x"), Value::floats([1.0])]),
        4 => Value::map([
            ("a".to_owned(), Value::array(vec![Value::Float(1.0)])),
            ("s".to_owned(), Value::from("h\u{e9}llo")),
        ]),
        5 => Value::from("text"),
        6 => Value::Bool(true),
        _ => Value::Int(i64::MIN),
    };
    let now = Timestamp::from_secs(1_790_000_000);
    let _ = evaluate_condition(condition, &result, Some(now));
    // A program may meet a result of another type than it was compiled for.
    match compile(condition, &Type::Any) {
        Ok(program) => {
            let _ = program.eval(&result, Some(now));
        }
        Err(error) => {
            assert!(error.span.start <= error.span.end && error.span.end <= condition.len());
            let _ = error.render(condition);
        }
    }
});
