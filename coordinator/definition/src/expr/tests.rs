//! Expressions at their boundary: text and names in, value or message out.

use std::collections::BTreeMap;

use sagaline_schemas::Value;

use super::*;

fn names() -> BTreeMap<String, Value> {
    let json = br#"{
        "input": {"total": 129, "price": 1.5, "email": "a@b.c", "lines": [{"sku": "x", "quantity": 2}, {"sku": "y", "quantity": 3}],
                  "tags": {"zeta": 1, "alpha": 2, "mid": 3}, "none": null, "name": "Zo\u00eb"},
        "reserve": null
    }"#;
    match Value::parse(json).unwrap() {
        Value::Map(map) => map,
        _ => unreachable!(),
    }
}

fn eval(source: &str) -> String {
    match Expr::parse(source) {
        Err(error) => format!("parse at {}: {error}", error.offset),
        Ok(expr) => expr.eval(&names()).map_or_else(|error| format!("error: {}", error.message), |value| value.to_string()),
    }
}

#[test]
fn smoke() {
    for s in ["1 + 2", "input.lines.map(l, l.sku)", "input.total > 100 && input.email.contains('@')", "has(reserve.x)", "input.tags.map(k, k)",
        "input.none != null", "input.nope == null", "1 +", "a = b", "\"Zo\u{eb}\" == input.name && nope", "input..x", "(1", "1 2", "x ? y", "if", "9999999999999999999999", "foo(1)", "input.name.matches('x')", "'Zo\u{eb}' + )", "[1,2][0]", "{'a': 1}.a", "size(input.lines)", "input.lines.size()", "!!true", "--5", "5 - -5", "Foo{a: 1}", "1u", ".x"] {
        eprintln!("{s} => {}", eval(s));
    }
}
