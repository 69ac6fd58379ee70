//! Facts that a participant is asked for: what it may answer is of the type that its contract declares, and meets every condition on the
//! fact both ways, also where the fact is only counted from the answer.
#![allow(clippy::unwrap_used)]

mod build;

use std::collections::BTreeMap;

use sagaline_checker::{Bound, check};
use sagaline_definition::contract::{Contract, Idempotence, Operation};
use sagaline_definition::model::{AskFact, Definition, Template, Word};
use sagaline_definition::types::Type;
use sagaline_schemas::Value;

use build::{call, chain, expr, fact, until};

/// `p.status` returns a record with all that an account has.
fn contract() -> Contract {
    let types = r#"{
        "Nothing": {"type":"record","name":"Nothing","fields":[]},
        "Status": {"type":"record","name":"Status","fields":[
            {"name":"captured","type":"long"},{"name":"refunded","type":"long"},{"name":"state","type":"string"}]}}"#;
    let Value::Map(types) = Value::parse(types.as_bytes()).unwrap() else { panic!("types") };
    let status = Operation {
        input: "Nothing".to_owned(),
        output: Some("Status".to_owned()),
        idempotent: Idempotence::Reads,
        compensate: None,
        probe: None,
        refuses: vec![],
        reads: true,
    };
    Contract {
        participant: "p".to_owned(),
        version: "1.0.0".to_owned(),
        owner: "team".to_owned(),
        limits: Default::default(),
        types,
        operations: BTreeMap::from([("status".to_owned(), status)]),
    }
}

/// A call, and then a wait until what a participant says is so.
fn waits(value: &str, shape: Option<Type>, condition: &str) -> Definition {
    let mut known = fact("known", Value::Null);
    (known.topic, known.key, known.value, known.seq, known.shape) = (None, None, None, None, shape);
    known.ask = Some(AskFact {
        participant: "p".to_owned(),
        operation: "status".to_owned(),
        with: Template::Literal(Value::Null),
        every: 60_000,
        value: expr(value),
    });
    let mut definition = chain(vec![call("a"), until("u", condition, Word::Compensate)]);
    definition.facts.push(known);
    definition
}

fn completes(definition: &Definition) -> bool {
    let contracts = BTreeMap::from([("p".to_owned(), contract())]);
    let proof = check(definition, &contracts, Bound::default());
    assert!(proof.stories.is_empty(), "{proof}");
    let ends: Vec<String> = proof.found.ends.keys().map(ToString::to_string).collect();
    assert!(ends.contains(&"compensated".to_owned()), "{ends:?}");
    ends.contains(&"completed".to_owned())
}

#[test]
fn answers_are_of_the_declared_type() {
    for (value, shape) in [
        ("answer.captured", Some(Type::Int)),
        ("answer.state", Some(Type::String)),
        ("answer", contract().type_of("Status")),
    ] {
        assert!(completes(&waits(value, shape, "facts.known != null")), "{value}");
    }
    assert!(completes(&waits(
        "answer",
        contract().type_of("Status"),
        "facts.known != null && facts.known.captured > 7"
    )));
}

#[test]
fn conditions_on_what_is_counted_are_met_both_ways() {
    for (value, condition) in [
        ("answer.captured", "facts.known != null && facts.known > 2.5"),
        ("answer.captured - answer.refunded", "facts.known != null && facts.known > 3"),
        ("answer.captured - answer.refunded", "facts.known != null && facts.known < -3"),
        ("answer.captured + answer.refunded", "facts.known != null && facts.known == 10"),
        ("answer.state == 'open' ? answer.captured : 0", "facts.known != null && facts.known >= 100"),
    ] {
        assert!(completes(&waits(value, Some(Type::Int), condition)), "{value}: {condition}");
    }
}

/// What can't be is not made up: without an end that completes, the check says so by not finding one.
#[test]
fn no_answer_is_of_another_type() {
    assert!(!completes(&waits("answer.captured", Some(Type::Int), "facts.known == 1.5")));
}
