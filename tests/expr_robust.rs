//! The condition language against hostile input: nothing panics, and everything ends.

use proptest::prelude::*;
use rollproof::expr::{Type, Value, compile, compile_plain, evaluate_condition};
use rollproof::time::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

/// Texts made of what the language is made of.
fn expression() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        Just("result"),
        Just("#"),
        Just("#acc"),
        Just("#index"),
        Just("$env"),
        Just("1"),
        Just("0"),
        Just("-1"),
        Just("1.5"),
        Just("9223372036854775807"),
        Just("'a'"),
        Just("'\\xff'"),
        Just("b'\\xff'"),
        Just("nil"),
        Just("true"),
        Just("("),
        Just(")"),
        Just("["),
        Just("]"),
        Just("{"),
        Just("}"),
        Just(","),
        Just(":"),
        Just(";"),
        Just("."),
        Just("?."),
        Just("?"),
        Just("??"),
        Just("|"),
        Just(".."),
        Just("+"),
        Just("-"),
        Just("*"),
        Just("/"),
        Just("%"),
        Just("**"),
        Just("=="),
        Just("<"),
        Just("&&"),
        Just("||"),
        Just("not "),
        Just(" in "),
        Just(" matches "),
        Just("let x = "),
        Just("x"),
        Just("if "),
        Just(" else "),
        Just("map("),
        Just("filter("),
        Just("reduce("),
        Just("sortBy("),
        Just("groupBy("),
        Just("repeat("),
        Just("split("),
        Just("date("),
        Just("duration("),
        Just("fromJSON("),
        Just("toJSON("),
        Just("len("),
        Just("max("),
        Just("median("),
        Just("flatten("),
        Just("findLast("),
        Just("asInt("),
        Just("isNaN("),
        Just("string("),
        Just("take("),
        Just("fromPairs("),
        Just("bitshl("),
        Just("é"),
    ];
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

fn results() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Nil),
        any::<f64>().prop_map(Value::Float),
        any::<i64>().prop_map(Value::Int),
        ".*".prop_map(Value::from),
        prop::collection::vec(any::<f64>(), 0..5).prop_map(Value::floats),
        Just(Value::array(vec![
            Value::Nil,
            Value::from("x"),
            Value::floats([1.0])
        ])),
        Just(Value::map([("a".to_owned(), Value::Float(1.0))])),
    ]
}

proptest! {
    #[test]
    fn any_text_gives_a_verdict_or_an_error(text in ".*", result in results()) {
        let _ = evaluate_condition(&text, &result, Some(NOW));
    }

    #[test]
    fn any_tokens_give_a_verdict_or_an_error(text in expression(), result in results()) {
        let _ = evaluate_condition(&text, &result, Some(NOW));
        if let Err(error) = compile_plain(&text) {
            prop_assert!(error.span.start <= error.span.end && error.span.end <= text.len());
            prop_assert!(error.render(&text).starts_with(&error.message));
        }
    }

    #[test]
    fn a_result_of_another_type_gives_an_error_at_worst(
        text in expression(), expected in results(), result in results(),
    ) {
        if let Ok(program) = compile(&text, &Type::of(&expected)) {
            let _ = program.eval(&result, None);
        }
    }
}

fn error_of(source: &str) -> String {
    let value = compile_plain(source).and_then(|program| program.eval(&Value::Nil, None));
    value
        .err()
        .map_or_else(String::new, |error| error.to_string())
}

#[test]
fn budgets_end_what_would_not_end() {
    let memory = "memory budget exceeded";
    assert_eq!(error_of("map(1..999999, repeat('a', #))"), memory);
    assert_eq!(error_of("reduce(1..100, #acc + #acc, 'a')"), memory);
    assert_eq!(error_of("repeat('a', 9999999)"), memory);
    assert_eq!(error_of("1..9999999"), memory);
    let steps = "step budget exceeded";
    assert_eq!(
        error_of("let x = 1..9999; any(x, any(x, any(x, # > 99999)))"),
        steps
    );
    assert_eq!(error_of("uniq(1..99999)"), steps);
    assert_eq!(
        error_of("reduce(1..99999, [#acc], [])"),
        "recursion depth exceeded"
    );
    assert_eq!(error_of("now()"), "now() needs the time of the evaluation");
}

#[test]
fn nesting_ends_with_an_error() {
    for (open, close) in [("(", ")"), ("[", "]"), ("-", ""), ("!", ""), ("{a: ", "}")] {
        let deep = format!("{}1{}", open.repeat(5000), close.repeat(5000));
        assert!(error_of(&deep).contains("nested deeper"), "{open}");
    }
    let chains = [
        vec!["1"; 5000].join(" + "),
        vec!["true"; 5000].join(" && "),
        format!("1{}", " ? 1 : 1".repeat(2000)),
        format!("[1]{}", "[0]".repeat(4000)),
        format!("{}1", "let x = 1; ".repeat(3000)),
        format!("{}1", "if true { 1 } else ".repeat(3000)),
        format!("{}1{}", "sort(".repeat(3000), ")".repeat(3000)),
    ];
    for chain in chains {
        assert!(!error_of(&chain).is_empty());
    }
    // What is shared between comparisons is counted every time.
    let shared = format!("{}1{}", "1 < (".repeat(60), " < 1) < 1".repeat(60));
    assert!(!error_of(&shared).is_empty());
    // Overloads are not tried anew on every level.
    let overloads = format!("{}[1]{}", "sort(".repeat(60), ")".repeat(60));
    assert_eq!(error_of(&overloads), "");
}

#[test]
fn what_is_just_not_too_deep_is_evaluated() {
    let nested = |open: &str, close: &str, times: usize| {
        format!("{}[1]{}", open.repeat(times), close.repeat(times))
    };
    let deep = [
        nested("(", ")", 62),
        nested("[", "]", 62),
        nested("{a: ", "}", 62),
        nested("map([1], ", ")", 62),
        nested("filter(", ", true)", 62),
        nested("reduce(", ", #, [1])", 62),
        nested("if true { ", " } else { 1 }", 31),
        nested("true ? ", " : 1", 62),
        nested("let x = (", "); x", 31),
        nested("first([", "])", 31),
        nested("string(", ")", 62),
        vec!["1"; 250].join(" + "),
        vec!["result == nil"; 250].join(" && "),
        format!("[1]{}", "[0:1]".repeat(250)),
        format!("nil{}", " ?? nil".repeat(250)),
    ];
    for source in deep {
        let verdict = evaluate_condition(&source, &Value::Nil, None);
        let message = verdict
            .err()
            .map_or_else(String::new, |error| error.to_string());
        assert!(!message.contains("nested deeper"), "{source}");
    }
}

#[test]
fn errors_point_at_their_place() {
    let error = compile_plain("1 +\n  foo").expect_err("an unknown name");
    assert_eq!(error.span, 6..9);
    assert_eq!(
        error.render("1 +\n  foo"),
        "unknown name foo (2:3)\n |   foo\n | ..^"
    );
}
