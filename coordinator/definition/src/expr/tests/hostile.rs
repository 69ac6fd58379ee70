//! Texts and values made to hurt: each ends in a value or a message, on a thread with a small stack.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sagaline_schemas::Value;

use super::super::*;
use super::names;

/// Rust's own default for threads; the fold has more.
const STACK: usize = 2 * 1024 * 1024;

/// Parses, checks and evaluates on a small stack; the message of whatever refuses it.
fn outcome(source: String) -> Result<Value, String> {
    let run = move || {
        let expr = Expr::parse(&source).map_err(|error| error.message)?;
        // Problems are fine; only an end of the process would not be.
        let _ = expr.check(&Scope::from([("input".into(), Type::Any)]));
        let _ = expr.names();
        expr.eval(&names()).map_err(|error| error.message)
    };
    std::thread::Builder::new().stack_size(STACK).spawn(run).unwrap().join().expect("nothing here may panic")
}

#[track_caller]
fn refused(source: String, because: &str) {
    let message = outcome(source).expect_err("this must be refused");
    assert!(message.contains(because), "{message}");
}

#[test]
fn long_and_deep_texts_are_refused_before_they_are_parsed() {
    refused("1+".repeat(3000) + "1", "at most 4096 bytes");
    refused("1+".repeat(2000) + "1", "at most 512 words and signs");
    refused("1+".repeat(250) + "1", "at most 32 levels");
    refused("(".repeat(30) + "1" + &")".repeat(30), "brackets may be 24 deep");
    refused("[".repeat(2000), "brackets may be 24 deep");
    refused("{'a':".repeat(30) + "1" + &"}".repeat(30), "brackets may be 24 deep");
    refused("true?1:".repeat(60) + "2", "choose 24 times");
    refused("!".repeat(4000) + "true", "512 words and signs");
    refused("-".repeat(4000) + "1", "512 words and signs");
    refused(format!("input{}", ".a".repeat(1000)), "512 words and signs");
    refused(format!("input{}", ".a".repeat(200)), "32 levels");
    refused(format!("input{}", "[0]".repeat(100)), "32 levels");
    refused(format!("[1]{}", ".map(x, x)".repeat(60)), "32 levels");
    refused(format!("[{}1]", "1,".repeat(300)), "512 words and signs");
    refused("true && ".repeat(128) + "true", "at most 256 parts");
    refused("\u{0}".into(), "no meaning");
    refused("'".to_owned() + &"(".repeat(3000), "no closing quote");
    refused("'\\q".to_owned() + &"(".repeat(3000), "an escape is one of");
}

#[test]
fn what_keeps_to_the_limits_is_evaluated() {
    assert_eq!(outcome("1+".repeat(30) + "1"), Ok(Value::Int(31)));
    assert_eq!(outcome("(".repeat(24) + "1" + &")".repeat(24)), Ok(Value::Int(1)));
    assert_eq!(outcome("[".repeat(24) + &"]".repeat(24)).map(|value| value.to_string().len()), Ok(48));
    assert_eq!(outcome("false?1:".repeat(24) + "2"), Ok(Value::Int(2)));
    assert_eq!(outcome("!".repeat(511) + "true"), Ok(Value::Bool(false)));
    assert_eq!(outcome("-".repeat(510) + "1"), Ok(Value::Int(1)));
    assert_eq!(outcome("true && ".repeat(127) + "true"), Ok(Value::Bool(true)));
    assert_eq!(outcome("[[1]".to_owned() + &".map(x, x)".repeat(20) + "][0].size()"), Ok(Value::Int(1)));
}

#[test]
fn evaluation_has_a_budget() {
    let ten = "[0,1,2,3,4,5,6,7,8,9]";
    let nested = |body: &str| format!("{ten}.map(a, {ten}.map(b, {ten}.map(c, {ten}.map(d, {body}))))");
    refused(nested("a+b+c+d"), "more than 10000 steps");
    refused(
        format!("{ten}.all(a, {ten}.all(b, {ten}.all(c, {ten}.all(d, {ten}.all(e, true)))))"),
        "more than 10000 steps",
    );
    refused(format!("{}.size() == 1 || true", nested("1")), "more than 10000 steps");
    refused(format!("{ten}.exists(x, x == 9 || {}.size() == 1)", nested("1")), "more than 10000 steps");
    let long = format!("'{}'", "x".repeat(2000));
    refused(format!("{ten}.map(a, {ten}.map(b, {long}))"), "more than 65536 bytes");
    refused(format!("{ten}.map(a, {ten}.map(b, {long} + 'y')).size()"), "more than 65536 bytes");
    refused(
        format!(
            "['{0}'].map(x, x+x).map(x, x+x).map(x, x+x).map(x, x+x).map(x, x+x).map(x, x+x).map(x, x+x)",
            "x".repeat(1000)
        ),
        "more than 65536 bytes",
    );
}

#[test]
fn large_values_cost_what_they_weigh() {
    let text = Value::String("x".repeat(200_000));
    let given = BTreeMap::from([("a".to_owned(), text.clone()), ("b".to_owned(), text.clone())]);
    let eval = |source: &str| Expr::parse(source).unwrap().eval(&given).map_err(|error| error.message);
    assert_eq!(eval("a"), Ok(text), "what was given may pass through whole");
    assert!(eval("[a]").unwrap_err().contains("more than 65536 bytes"));
    assert_eq!(eval("a == b && a.size() == 200000"), Ok(Value::Bool(true)));
    assert!(eval("[1, 2, 3, 4].all(x, a == b)").unwrap_err().contains("more than 10000 steps"));
}

#[test]
fn a_result_is_not_too_deep_to_be_read_again() {
    let mut deep = Value::Null;
    for _ in 0..99 {
        deep = Value::List(vec![deep]);
    }
    let given = BTreeMap::from([("deep".to_owned(), deep)]);
    let eval = |source: &str| Expr::parse(source).unwrap().eval(&given).map_err(|error| error.message);
    assert!(Value::parse(&eval("[deep]").unwrap().to_json()).is_ok());
    assert_eq!(eval("[[deep]]").unwrap_err(), "the result has more than 100 levels");
}

fn token() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "input",
        "reserve",
        ".",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        "?",
        ":",
        ",",
        "+",
        "-",
        "*",
        "/",
        "%",
        "!",
        "==",
        "!=",
        "<",
        ">=",
        "&&",
        "||",
        " in ",
        "1",
        "2.5",
        "-1",
        "'x'",
        "'tags'",
        "null",
        "true",
        "false",
        ".map(k, ",
        ".all(k, ",
        ".exists(k, ",
        ".filter(k, ",
        "k",
        "has(",
        "size(",
        "string(",
        "int(",
        "total",
        "lines",
        "tags",
        "0x1",
        "1e3",
        " ",
        "\n",
        "max(",
        ".size()",
        "9223372036854775807",
    ])
}

/// A text that mostly parses.
fn sound() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "input",
        "input.total",
        "input.price",
        "input.lines",
        "input.tags",
        "input.name",
        "reserve",
        "k",
        "1",
        "0",
        "-1",
        "1.5",
        "'x'",
        "true",
        "null",
        "[]",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            (
                inner.clone(),
                prop::sample::select(vec!["+", "-", "*", "/", "%", "==", "<", "&&", "||", " in "]),
                inner.clone()
            )
                .prop_map(|(a, op, b)| format!("({a}{op}{b})")),
            (inner.clone(), prop::sample::select(vec!["all", "exists", "exists_one", "map", "filter"]), inner.clone())
                .prop_map(|(a, each, b)| format!("{a}.{each}(k, {b})")),
            (prop::sample::select(vec!["size", "string", "int", "double", "max", "!", "-"]), inner.clone())
                .prop_map(|(f, a)| format!("{f}({a})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}[{b}]")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("[{a}, {{'k': {b}}}]")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tokens_end_in_a_value_or_a_message(tokens in prop::collection::vec(token(), 0..60)) {
        let _ = outcome(tokens.concat());
    }

    #[test]
    fn any_text_ends_in_a_value_or_a_message(text in "\\PC{0,40}") {
        let _ = outcome(text);
    }

    #[test]
    fn sound_texts_evaluate_twice_alike_and_to_something_that_can_be_read_again(source in sound()) {
        let first = outcome(source.clone());
        prop_assert_eq!(&first, &outcome(source));
        if let Ok(value) = first {
            prop_assert_eq!(Value::parse(&value.to_json()).unwrap(), value);
        }
    }
}
