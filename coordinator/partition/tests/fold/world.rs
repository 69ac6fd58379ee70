//! Facts that belong to another key, and facts that a participant is asked for.

use sagaline_definition::Contract;
use sagaline_definition::model::{AskFact, Definition, Template, Verb};
use sagaline_engine::Fact;
use sagaline_partition::{FaultNote, Faults, LogRecord, Partition, view};
use sagaline_schemas::record::{Answer, ClauseKind, Kind, Succeeded};
use sagaline_schemas::wire::Bytes;
use sagaline_store::MemoryStore;

use crate::events::{expr, fact};
use crate::stage::{Stage, chain, genesis, key};

/// A saga's rate is that of the product that its input names.
fn rated() -> (Definition, Contract) {
    let (mut definition, contract) = chain(&["a"]);
    let mut rate = fact("rate");
    rate.of = Some(expr("has(input.product) ? input.product : null"));
    definition.facts.push(rate);
    (definition, contract)
}

fn stage() -> Stage {
    let (definition, contract) = rated();
    Stage::of(genesis(), &[definition], &contract)
}

fn start(stage: &mut Stage, key: &str, product: &str) {
    let target = stage.target(ClauseKind::Start, "", key);
    stage.tell("orders", &format!(r#"{{"product":"{product}"}}"#), &[target]);
}

fn rate(stage: &mut Stage, product: &str, value: i64, seq: i64) -> i64 {
    let target = stage.target(ClauseKind::Fact, "rate", product);
    stage.tell("world", &format!(r#"{{"key":"{product}","value":{value},"seq":{seq}}}"#), &[target])
}

fn rates(stage: &mut Stage, keys: &[&str]) -> String {
    let one = |key: &&str| String::from_utf8(stage.saga(key).facts[0].value.0.clone()).unwrap();
    keys.iter().map(one).collect::<Vec<_>>().join(" ")
}

// shows: facts.for, facts.seq x success
#[test]
fn who_begins_knows_what_was_told_and_who_watches_is_told() {
    let mut stage = stage();
    rate(&mut stage, "tea", 10, 1);
    start(&mut stage, "one", "tea");
    start(&mut stage, "two", "tea");
    start(&mut stage, "three", "coffee");
    stage.start("four");
    assert_eq!(rates(&mut stage, &["one", "two", "three", "four"]), "10 10 null null");
    rate(&mut stage, "tea", 12, 3);
    rate(&mut stage, "tea", 11, 2);
    rate(&mut stage, "coffee", 7, 1);
    assert_eq!(rates(&mut stage, &["one", "two", "three", "four"]), "12 12 7 null");
    start(&mut stage, "five", "tea");
    assert_eq!(rates(&mut stage, &["five"]), "12", "the highest version, not the last that came");
    stage.refolds_alike();
}

#[test]
fn many_are_told_in_the_order_of_their_ids_and_a_batch_may_end_between_any_two() {
    let mut stage = stage();
    for number in 0..50 {
        start(&mut stage, &format!("k{number}"), "tea");
    }
    stage.ok("a");
    let tea = stage.target(ClauseKind::Fact, "rate", "tea");
    let coffee = stage.target(ClauseKind::Fact, "rate", "coffee");
    stage.tell("world", r#"{"key":"tea","value":1,"seq":1}"#, &[coffee, tea]);
    stage.partition.commit().unwrap();
    let reader = stage.partition.reader();
    let mut places = Vec::new();
    for saga in view::sagas(reader.as_ref(), None, usize::MAX).unwrap() {
        let told = view::history(reader.as_ref(), &saga).unwrap();
        let told = told.iter().find(|entry| entry.facts.iter().any(|fact| matches!(fact, Fact::Told { .. })));
        places.extend(told.map(|entry| entry.timer));
    }
    assert_eq!(places, (1..50).collect::<Vec<u32>>(), "in order, and the ended one is not told");
    stage.refolds_alike();
}

/// Two calls: the second is given the rate, which is not to be older than a minute.
fn fresh_rate() -> (Definition, Contract) {
    let (mut definition, contract) = chain(&["a", "b"]);
    definition.facts = rated().0.facts;
    definition.facts[0].fresh = Some(60_000);
    for step in &mut definition.steps {
        let Verb::Call(call) = &mut step.verb else { unreachable!() };
        (call.with, call.retry.attempts) = (Template::Expr(expr("facts.rate")), 100);
    }
    (definition, contract)
}

/// What b was given.
fn given(stage: &mut Stage) -> String {
    stage.ok("a");
    String::from_utf8(stage.command("b").input.0).unwrap()
}

#[test]
fn a_fact_is_as_old_as_it_is_known_and_not_as_its_saga() {
    for (before, after, expected) in [(30_000, 30_000, "10"), (30_000, 30_001, "null"), (60_001, 0, "null")] {
        let (definition, contract) = fresh_rate();
        let mut stage = Stage::of(genesis(), &[definition], &contract);
        stage.progress();
        rate(&mut stage, "tea", 10, 1);
        stage.pass(before, 10_000);
        start(&mut stage, "one", "tea");
        stage.pass(after, 10_000);
        assert_eq!(given(&mut stage), expected, "{before} ms before it began, {after} ms after");
        stage.refolds_alike();
    }
}

#[test]
fn an_event_that_came_before_its_saga_is_as_old_as_it_is() {
    for (before, after, expected) in [(30_000, 30_000, "10"), (30_000, 30_001, "null")] {
        let (mut definition, contract) = fresh_rate();
        definition.facts[0].of = None;
        let mut stage = Stage::of(genesis(), &[definition], &contract);
        stage.progress();
        rate(&mut stage, "one", 10, 1);
        stage.pass(before, 10_000);
        start(&mut stage, "one", "tea");
        stage.pass(after, 10_000);
        assert_eq!(given(&mut stage), expected, "{before} ms before it began, {after} ms after");
        stage.refolds_alike();
    }
}

#[test]
fn one_of_many_can_be_passed_over() {
    let mut stage = stage();
    for key in ["one", "two", "three"] {
        start(&mut stage, key, "tea");
    }
    let offset = rate(&mut stage, "tea", 5, 1);
    let note = FaultNote { by: "ada".to_owned(), reason: "it kills the fold".to_owned() };
    let faults = Faults::from([((offset, 2), note)]);
    let mut passing = Partition::open(0, Box::new(MemoryStore::new()), key(), faults).unwrap();
    for (offset, (timestamp, value)) in (0..).zip(&stage.log) {
        passing.fold(LogRecord { offset, timestamp: *timestamp, value }, 1_000).unwrap();
    }
    passing.commit().unwrap();
    let sagas = view::sagas(passing.reader().as_ref(), None, usize::MAX).unwrap();
    let stuck: Vec<bool> = sagas.iter().map(|saga| format!("{:?}", saga.phase).contains("Fault")).collect();
    assert_eq!(stuck, [false, true, false]);
}

#[test]
fn no_saga_begins_whose_other_key_is_none() {
    let mut stage = stage();
    let target = stage.target(ClauseKind::Start, "", "k");
    stage.tell("orders", r#"{"product":7}"#, &[target]);
    assert_eq!(stage.parked()[0].detail, "facts.rate.for: a key is a text, this is int");
}

// shows: facts.ask.operation x success
#[test]
fn a_participant_is_asked_every_so_often_and_only_the_newest_question_counts() {
    let (mut definition, contract) = chain(&["a", "look"]);
    let mut stock = fact("stock");
    (stock.topic, stock.key, stock.value, stock.seq) = (None, None, None, None);
    stock.ask = Some(AskFact {
        participant: "p".to_owned(),
        operation: "look".to_owned(),
        with: Template::Expr(expr("input")),
        every: 60_000,
        value: expr("answer.count"),
    });
    definition.facts.push(stock);
    definition.steps.truncate(1);
    let mut stage = Stage::of(genesis(), &[definition], &contract);
    stage.start("k");
    let first = stage.command("look");
    let address = (first.address.step.as_str(), first.address.kind, first.address.attempt);
    assert_eq!(address, ("facts.stock", Kind::Ask, 1));
    let counted =
        |count: i64| Answer::Succeeded(Succeeded { result: Bytes::from(format!(r#"{{"count":{count}}}"#).as_str()) });
    stage.answer("look", counted(4));
    assert_eq!(rates(&mut stage, &["k"]), "4");
    stage.progress();
    stage.pass(60_000, 60_000);
    assert_eq!(stage.command("look").address.attempt, 2);
    stage.raw(crate::stage::reply(&first, counted(9)));
    assert_eq!(rates(&mut stage, &["k"]), "4", "an older question's answer is no news");
    stage.answer("look", counted(3));
    stage.answer("look", counted(8));
    assert_eq!(rates(&mut stage, &["k"]), "3", "an answer counts once");
    stage.ok("a");
    stage.pass(600_000, 60_000);
    assert_eq!(stage.command("look").address.attempt, 2, "who has ended asks no more");
    stage.refolds_alike();
}
