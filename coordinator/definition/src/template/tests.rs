//! Templates at their boundary: what a step's `with` becomes.

use std::collections::BTreeMap;

use super::*;

fn names() -> BTreeMap<String, Value> {
    let input =
        Value::parse(br#"{"id": 7, "price": 2.5, "lines": [{"sku": "a"}], "name": "Ann", "none": null}"#).unwrap();
    BTreeMap::from([("input".to_owned(), input)])
}

fn expr(source: &str) -> Template {
    Template::Expr(Expr::parse(source).unwrap())
}

fn text(parts: &[&str]) -> Template {
    let part = |part: &&str| match part.strip_prefix('$') {
        Some(source) => TextPart::Expr(Expr::parse(source).unwrap()),
        None => TextPart::Literal((*part).to_owned()),
    };
    Template::Text(parts.iter().map(part).collect())
}

fn map(entries: &[(&str, Template)]) -> Template {
    Template::Map(entries.iter().map(|(name, entry)| ((*name).to_owned(), entry.clone())).collect())
}

#[test]
fn a_lone_expression_keeps_its_type_and_a_text_joins() {
    let template = map(&[
        ("order", expr("input.id")),
        ("label", text(&["#", "$input.id", " for ", "$input.name", " at ", "$input.price", "", "$input.id > 1"])),
        ("lines", Template::List(vec![expr("input.lines[0]"), Template::Literal(Value::from("x"))])),
    ]);
    let value = template.eval(&names()).unwrap();
    assert_eq!(value.to_string(), r##"{"label":"#7 for Ann at 2.5true","lines":[{"sku":"a"},"x"],"order":7}"##);
}

#[test]
fn what_can_not_stand_in_a_text_says_so() {
    let error = |parts: &[&str]| text(parts).eval(&names()).unwrap_err().to_string();
    assert_eq!(error(&["$input.lines"]), "input.lines: only a text, number or bool can stand in a text, this is list");
    assert_eq!(error(&["$input.none"]), "input.none: only a text, number or bool can stand in a text, this is null");
    assert_eq!(error(&["$input.nope"]), "input.nope: no member `nope` in {id, lines, name, none, price}");
}

#[test]
fn checking_finds_all_with_their_places() {
    let scope = Scope::from([("input".to_owned(), Type::of(&names()["input"]))]);
    let template = map(&[
        ("a", expr("inptu.id")),
        ("b", Template::List(vec![expr("input.id"), text(&["x", "$input.lines"])])),
        ("c", map(&[("d", expr("input.nmae"))])),
    ]);
    let found: Vec<String> = template.check(&scope).unwrap_err().iter().map(TemplateProblem::to_string).collect();
    let expected = [
        "a: `inptu` is not known here; did you mean `input`?",
        "b.1: only a string, number or bool can stand in a text, this is list(map)",
        "c.d: this map has no member `nmae`; did you mean `name`?",
    ];
    assert_eq!(found, expected);
}

#[test]
fn checking_finds_the_type() {
    let scope = Scope::from([("input".to_owned(), Type::of(&names()["input"]))]);
    let template = map(&[("id", expr("input.id + 1")), ("text", text(&["$input.id"]))]);
    let wanted =
        Type::Record("Order".into(), BTreeMap::from([("id".into(), Type::Int), ("text".into(), Type::String)]));
    assert_eq!(wanted.mismatches(&template.check(&scope).unwrap()), vec![]);
    assert_eq!(template.exprs().len(), 2);
}
