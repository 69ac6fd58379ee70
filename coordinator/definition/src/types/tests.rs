//! Types from Avro schemas, and what fits them.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use sagaline_schemas::Value;

use super::*;

fn types(json: &str) -> BTreeMap<String, Value> {
    match Value::parse(json.as_bytes()).unwrap() {
        Value::Map(map) => map,
        other => panic!("types are a map, not {other}"),
    }
}

fn read(schema: &str) -> String {
    let types = types(&format!(
        r#"{{"T": {schema}, "Money": {{"type": "record", "name": "Money", "fields": [{{"name": "cents", "type": "long"}}]}}}}"#
    ));
    Type::read_avro("T", &types).map_or_else(|error| format!("error: {error}"), |found| spelled(&found))
}

/// A type with its members, which its Display leaves out.
fn spelled(found: &Type) -> String {
    match found {
        Type::Record(name, members) => {
            let members: Vec<String> =
                members.iter().map(|(name, inner)| format!("{name}: {}", spelled(inner))).collect();
            format!("{name}{{{}}}", members.join(", "))
        }
        Type::List(item) => format!("[{}]", spelled(item)),
        Type::Map(value) => format!("map {}", spelled(value)),
        Type::Nullable(inner) => format!("{}?", spelled(inner)),
        other => other.to_string(),
    }
}

#[test]
fn every_avro_schema_has_a_type() {
    let cases = [
        r#""null""#,
        r#""boolean""#,
        r#""int""#,
        r#""long""#,
        r#""float""#,
        r#""double""#,
        r#""bytes""#,
        r#""string""#,
        r#"{"type": "string"}"#,
        r#"{"type": {"type": "long"}}"#,
        r#"{"type": "array", "items": "string"}"#,
        r#"{"type": "map", "values": ["null", "double"]}"#,
        r#"{"type": "enum", "name": "E", "symbols": ["A"]}"#,
        r#"{"type": "fixed", "name": "F", "size": 16}"#,
        r#"["null", "Money"]"#,
        r#"["int", "double"]"#,
        r#"["null", "int", "string"]"#,
        r#"{"type": "long", "logicalType": "timestamp-millis"}"#,
        r#"{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}"#,
        r#"{"type": "string", "logicalType": "uuid"}"#,
        r#"{"type": "record", "fields": [{"name": "a", "type": "int", "default": 1}, {"name": "b", "type": "Money"}]}"#,
        r#"{"type": "record", "name": "R", "fields": [{"name": "items", "type": "array", "items": "Money"}]}"#,
        r#"{"type": "record", "name": "R", "fields": [{"name": "a", "type": {"type": "record", "name": "In", "fields": []}}, {"name": "b", "type": "In"}]}"#,
        r#"{"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}"#,
        r#"{"type": "record", "name": "R", "namespace": "n", "fields": [{"name": "m", "type": "some.where.Money"}]}"#,
    ];
    let found: Vec<String> = cases.into_iter().map(read).collect();
    expect![[r#"
        null
        bool
        int
        int
        double
        double
        string
        string
        string
        int
        [string]
        map double?
        string
        string
        Money{cents: int}?
        double
        any
        int
        string
        string
        T{a: int?, b: Money{cents: int}}
        R{items: [Money{cents: int}]}
        R{a: In{}, b: In{}}
        Node{next: any}
        R{m: Money{cents: int}}"#]]
    .assert_eq(&found.join("\n"));
}

#[test]
fn what_is_no_schema_says_where() {
    let cases = [
        "1",
        r#""Mony""#,
        r#"{"fields": []}"#,
        r#"{"type": "record"}"#,
        r#"{"type": "record", "name": "R", "fields": [{"name": "a", "type": {"type": "array"}}]}"#,
        r#"{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}, {"name": "a", "type": "int"}]}"#,
        r#"{"type": "enum", "name": "E"}"#,
        "[]",
    ];
    let found: Vec<String> = cases.into_iter().map(read).collect();
    expect![[r#"
        error: T: a schema is a name, a list or a map, not int
        error: T: there is no type `Mony`; did you mean `Money`?
        error: T: a schema needs a `type`
        error: T: a record needs a list of `fields`
        error: T.a: an array needs `items`
        error: T: the field `a` stands twice
        error: T: an enum needs a list of `symbols`
        error: T: a union needs a branch"#]]
    .assert_eq(&found.join("\n"));
    assert_eq!(Type::from_avro("Nothing", &BTreeMap::new()), None);
}

fn order() -> Type {
    let types = types(
        r#"{"Order": {"type": "record", "name": "Order", "fields": [
            {"name": "id", "type": "string"}, {"name": "total", "type": "double"}, {"name": "note", "type": ["null", "string"]},
            {"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [{"name": "sku", "type": "string"}]}}},
            {"name": "tags", "type": {"type": "map", "values": "long"}}]}}"#,
    );
    Type::read_avro("Order", &types).unwrap()
}

#[track_caller]
fn fits(json: &str, expected: Expect) {
    let found = order().check(&Value::parse(json.as_bytes()).unwrap());
    expected.assert_eq(&found.map_or_else(|mismatch| mismatch.to_string(), |()| "fits".to_owned()));
}

#[test]
fn values_are_held_against_types() {
    fits(r#"{"id": "1", "total": 2, "lines": [], "tags": {}, "more": 1}"#, expect!["fits"]);
    fits(r#"{"id": "1", "total": 2.5, "note": null, "lines": [{"sku": "a"}], "tags": {"a": 1}}"#, expect!["fits"]);
    fits(r#"{"id": 1, "total": 2, "lines": [], "tags": {}}"#, expect!["id: expected string, got int"]);
    fits(
        r#"{"id": "1", "total": 2, "lines": [{"sku": "a"}, {}], "tags": {}}"#,
        expect!["lines[1].sku: expected string, got nothing"],
    );
    fits(r#"{"id": "1", "total": 2, "lines": [], "tags": {"a": 1.5}}"#, expect!["tags.a: expected int, got double"]);
    fits(r#"{"id": "1", "total": 2, "note": 3, "lines": [], "tags": {}}"#, expect!["note: expected string, got int"]);
    fits("[]", expect!["the value: expected Order, got list"]);
}

#[test]
fn types_are_held_against_types_with_all_that_is_wrong() {
    let given =
        Value::parse(br#"{"id": 1, "totl": 2, "note": null, "lines": [{"sku": null}], "tags": {"a": "x", "b": 2}}"#)
            .unwrap();
    let found: Vec<String> = order().mismatches(&Type::of(&given)).iter().map(Mismatch::to_string).collect();
    expect![[r#"
        id: expected string, got int
        lines[].sku: expected string, got null
        tags.a: expected int, got string
        total: expected double, got nothing
        totl: expected one of `Order`'s members, perhaps `total`, got a name that it does not have"#]]
    .assert_eq(&found.join("\n"));
    let fitting = Value::parse(br#"{"id": "1", "total": 2, "lines": [{"sku": "a"}], "tags": {"a": 1}}"#).unwrap();
    assert_eq!(order().mismatches(&Type::of(&fitting)), vec![]);
    assert_eq!(order().mismatches(&order()), vec![]);
    assert_eq!(order().mismatches(&Type::Any), vec![]);
    assert_eq!(Type::String.mismatches(&Type::Nullable(Box::new(Type::String))).len(), 1);
}
