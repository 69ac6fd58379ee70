//! The JSON Schemas in docs/schema say what the parser says: the same keys everywhere, and every example is valid.

use std::collections::BTreeSet;
use std::fs;

use sagaline_schemas::Value;

use super::whole::{CHILD, CONTRACTS, SKETCH};
use super::*;
use crate::definition::tables;
use crate::literal;
use crate::report::Problems;
use crate::scenario;
use crate::yaml;

const DEFINITION: &str = include_str!("../../../../../docs/schema/definition.schema.json");
const CONTRACT: &str = include_str!("../../../../../docs/schema/contract.schema.json");
const TEST: &str = include_str!("../../../../../docs/schema/test.schema.json");

fn schema(text: &str) -> Value {
    Value::parse(text.as_bytes()).expect("a schema is JSON")
}

/// The keys that a schema's map may have.
fn properties(schema: &Value, name: &str) -> BTreeSet<String> {
    let node = if name.is_empty() { Some(schema) } else { schema.get("$defs").and_then(|defs| defs.get(name)) };
    match node.and_then(|node| node.get("properties")) {
        Some(Value::Map(map)) => map.keys().cloned().collect(),
        _ => panic!("the schema has no map `{name}`"),
    }
}

fn set(keys: impl IntoIterator<Item = &'static str>) -> BTreeSet<String> {
    keys.into_iter().map(str::to_owned).collect()
}

#[test]
fn schemas_have_the_keys_of_the_parser() {
    let (definition, contract) = (schema(DEFINITION), schema(CONTRACT));
    for (name, keys) in tables::DEFINITION.iter().chain([&tables::BACK_TO]) {
        assert_eq!(properties(&definition, name), set(keys.known.iter().copied()), "{name}");
    }
    assert_eq!(properties(&definition, "step"), set(tables::step_keys()));
    for (name, keys) in &tables::CONTRACT {
        assert_eq!(properties(&contract, name), set(keys.known.iter().copied()), "{name}");
    }
}

#[test]
fn the_schema_of_tests_has_the_keys_of_the_parser() {
    let schema = schema(TEST);
    for (name, keys) in [("", scenario::FILE), ("test", scenario::TEST), ("expect", scenario::EXPECT)] {
        assert_eq!(properties(&schema, name), set(keys.known.iter().copied()), "{name}");
    }
    for (name, keys) in [("reply_map", scenario::REPLY), ("happening", scenario::HAPPENING)] {
        assert_eq!(properties(&schema, name), set(keys.known.iter().copied()), "{name}");
    }
}

fn value(text: &str) -> Value {
    let mut problems = Problems::new("example", text);
    let root = yaml::parse(&mut problems).expect("it is YAML");
    literal::value(&root, &mut problems).expect("it has a place in JSON")
}

/// All that makes a value invalid, by the part of JSON Schema that our schemas use.
fn invalid(schema: &Value, root: &Value, value: &Value, path: &str) -> Vec<String> {
    let Value::Map(rules) = schema else { return Vec::new() };
    rules.iter().flat_map(|(rule, wanted)| broken(rule, wanted, schema, root, value, path)).collect()
}

fn broken(rule: &str, wanted: &Value, schema: &Value, root: &Value, value: &Value, path: &str) -> Vec<String> {
    let complaint = |broken: bool| if broken { vec![format!("{path}: {rule} {wanted}: {value}")] } else { Vec::new() };
    let fits = |schema: &Value| invalid(schema, root, value, path).is_empty();
    match (rule, wanted, value) {
        ("$ref", Value::String(name), _) => {
            let name = name.strip_prefix("#/$defs/").expect("a reference into the schema");
            let target = root.get("$defs").and_then(|defs| defs.get(name)).unwrap_or_else(|| panic!("no {name}"));
            invalid(target, root, value, path)
        }
        ("type", Value::String(name), _) => complaint(!is_of(name, value)),
        ("type", Value::List(names), _) => {
            complaint(!names.iter().any(|name| matches!(name, Value::String(name) if is_of(name, value))))
        }
        ("enum", Value::List(values), _) => complaint(!values.contains(value)),
        ("anyOf", Value::List(schemas), _) => complaint(!schemas.iter().any(fits)),
        ("oneOf", Value::List(schemas), _) => complaint(schemas.iter().filter(|one| fits(one)).count() != 1),
        ("required", Value::List(keys), Value::Map(map)) => {
            complaint(keys.iter().any(|key| matches!(key, Value::String(key) if !map.contains_key(key))))
        }
        ("properties", Value::Map(properties), Value::Map(map)) => {
            let known = map.iter().filter_map(|(key, value)| Some((key, properties.get(key)?, value)));
            known.flat_map(|(key, rule, value)| invalid(rule, root, value, &format!("{path}.{key}"))).collect()
        }
        ("additionalProperties", rule, Value::Map(map)) => {
            let listed = |key: &String| schema.get("properties").is_some_and(|listed| listed.get(key).is_some());
            let others = map.iter().filter(|(key, _)| !listed(key));
            match rule {
                Value::Bool(allowed) => complaint(!allowed && others.count() > 0),
                rule => others.flat_map(|(key, value)| invalid(rule, root, value, &format!("{path}.{key}"))).collect(),
            }
        }
        ("items", rule, Value::List(items)) => {
            let each = items.iter().enumerate();
            each.flat_map(|(at, item)| invalid(rule, root, item, &format!("{path}[{at}]"))).collect()
        }
        ("minItems", Value::Int(least), Value::List(items)) => complaint((items.len() as i64) < *least),
        ("maxItems", Value::Int(most), Value::List(items)) => complaint((items.len() as i64) > *most),
        ("minProperties", Value::Int(least), Value::Map(map)) => complaint((map.len() as i64) < *least),
        ("maxProperties", Value::Int(most), Value::Map(map)) => complaint((map.len() as i64) > *most),
        ("dependentRequired", Value::Map(needs), Value::Map(map)) => {
            let met = |needed: &Value| matches!(needed, Value::List(keys) if keys.iter().all(|key| matches!(key, Value::String(key) if map.contains_key(key))));
            complaint(needs.iter().any(|(key, needed)| map.contains_key(key) && !met(needed)))
        }
        ("minimum", Value::Int(least), Value::Int(n)) => complaint(n < least),
        ("maximum", Value::Int(most), Value::Int(n)) => complaint(n > most),
        // Patterns are for editors: the parser's own grammar of each scalar has its tests.
        ("pattern" | "description" | "title" | "default" | "$schema" | "$defs", _, _) => Vec::new(),
        (
            "required"
            | "properties"
            | "additionalProperties"
            | "items"
            | "minItems"
            | "maxItems"
            | "minProperties"
            | "maxProperties"
            | "dependentRequired",
            _,
            _,
        )
        | ("minimum" | "maximum", _, _) => Vec::new(),
        (rule, _, _) => panic!("this test does not know the rule `{rule}`"),
    }
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "object" => matches!(value, Value::Map(_)),
        "array" => matches!(value, Value::List(_)),
        "string" => matches!(value, Value::String(_)),
        "boolean" => matches!(value, Value::Bool(_)),
        "null" => matches!(value, Value::Null),
        "integer" => matches!(value, Value::Int(_)),
        "number" => matches!(value, Value::Int(_) | Value::Float(_)),
        other => panic!("no JSON type `{other}`"),
    }
}

fn complaints(schema_text: &str, text: &str) -> Vec<String> {
    let schema = schema(schema_text);
    invalid(&schema, &schema, &value(text), "")
}

#[test]
fn every_example_is_valid() {
    let pages = super::docs::examples().iter().map(|example| super::docs::whole(example)).collect::<Vec<_>>();
    let texts = pages.iter().map(String::as_str).chain(CONTRACTS).chain([CHILD, SKETCH, PAYMENT, MAIL]);
    for text in texts {
        let schema = if text.trim_start().starts_with("participant:") { CONTRACT } else { DEFINITION };
        assert_eq!(complaints(schema, text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn the_tests_of_the_stories_are_valid() {
    let examples = sagaline_test_sources::root().join("docs/examples");
    let mut seen = 0;
    for folder in fs::read_dir(examples).expect("the examples can be read") {
        for file in fs::read_dir(folder.expect("an entry").path()).expect("a folder") {
            let path = file.expect("an entry").path();
            if path.to_string_lossy().ends_with(".test.yaml") {
                let text = fs::read_to_string(&path).expect("a file");
                assert_eq!(complaints(TEST, &text), Vec::<String>::new(), "{}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 5, "{seen} files of tests");
}

#[test]
fn tests_that_the_parser_refuses_are_not_valid() {
    let test = |rest: &str| format!("definition: a.yaml\ntests: [{{ test: a, {rest} }}]\n");
    let wrong = [
        "definition: a.yaml\n".to_owned(),
        test("input: 1"),
        test("expect: { ends: completed }"),
        test("expect: { end: done }"),
        test("expect: { world: { a: gone } }"),
        test("expect: {}, replies: { a: { ok: 1, refused: B } }"),
        test("expect: {}, replies: { a: { ok: 1, times: 0 } }"),
        test("expect: {}, replies: { a: { after: 1s } }"),
        test("expect: {}, happens: [{ fact: a, value: 1 }]"),
        test("expect: {}, happens: [{ at: 1s }]"),
        test("expect: {}, happens: [{ at: 1s, down: payment }]"),
        test("expect: {}, happens: [{ at: 1s, decide: a }]"),
        test("expect: {}, happens: [{ at: 1s, cancel: a, skip: b }]"),
        test("expect: {}, happens: [{ at: 1s, cancel: a, lasts: 4h }]"),
        test("expect: {}, happens: [{ at: 1s, event: a, value: 1 }]"),
        test("expect: { commands: [{ a: 1, b: 2 }] }"),
    ];
    for text in wrong {
        assert!(!complaints(TEST, &text).is_empty(), "{text}");
        assert!(scenario::scenarios("a.test.yaml", &text).is_err(), "{text}");
    }
}

#[test]
fn what_is_wrong_is_not_valid() {
    let step = |step: &str| with_rest(&format!("steps: [{step}]\n"));
    let wrong = [
        with_rest("facts: { x: { topics: t } }\n"),
        with_rest("deadline: { else: stuck }\n"),
        with_rest("deadline: { after: 1d, else: hold }\n"),
        with_rest("react: [{ if: facts.x, then: skip }]\n"),
        step("{ step: a }"),
        step("{ step: a, call: payment.hold, sleep: 1h }"),
        step("{ step: a, wait: { topic: t, key: event.id, else: stuck } }"),
        step("{ step: a, call: payment.hold, failed: continue }"),
        step("{ step: a, call: payment.hold, failed: { back_to: a, else: stuck } }"),
        step("{ step: a, approve: { by: role/a, choices: {}, within: 1d, else: stuck } }"),
        step("{ step: a, call: payment.hold, retry: { attempts: 0 } }"),
    ];
    for text in wrong {
        assert!(!complaints(DEFINITION, &text).is_empty(), "{text}");
        assert!(definition(&text).is_err(), "{text}");
    }
}
