//! Events for sagas that live, or not yet: never lost, told once, by the clause of the saga's own version; and what the door lets in.

use std::collections::BTreeMap;

use expect_test::expect;
use sagaline_definition::Expr;
use sagaline_definition::model::{Again, Definition, FactClause, Patience, Verb, Wait, Word};
use sagaline_definition::types::Type;
use sagaline_schemas::Value;
use sagaline_schemas::record::{Answer, ClauseKind, NothingThere, Refused, Succeeded, Target};
use sagaline_schemas::request::{RequestBody, StartRequest};
use sagaline_schemas::wire::Bytes;

use crate::stage::{Stage, chain, genesis, reply, step};

pub fn expr(text: &str) -> Expr {
    Expr::parse(text).unwrap()
}

/// A fact that events of `world` tell.
pub fn fact(name: &str) -> FactClause {
    FactClause {
        fact: name.to_owned(),
        topic: Some("world".to_owned()),
        condition: None,
        key: Some(expr("event.key")),
        of: None,
        value: Some(expr("event.value")),
        seq: Some(expr("event.seq")),
        initial: Value::Null,
        shape: None,
        fresh: None,
        ask: None,
    }
}

/// A wait for an event of `world` that says `value == 'go'`.
pub fn wait(via: Option<&str>) -> Verb {
    Verb::Wait(Wait {
        topic: "world".to_owned(),
        via: via.map(str::to_owned),
        key: expr("event.key"),
        condition: Some(expr("event.value == 'go'")),
        shape: None,
        patience: Patience { within: 3_600_000, remind: None, otherwise: Word::Compensate },
    })
}

/// A call, then a wait; a fact.
fn waiting() -> (Definition, sagaline_definition::Contract) {
    let (mut definition, contract) = chain(&["a"]);
    definition.steps.push(step(1, "settled", wait(None)));
    definition.facts.push(fact("price"));
    (definition, contract)
}

fn stage() -> Stage {
    let (definition, contract) = waiting();
    Stage::of(genesis(), &[definition], &contract)
}

fn told(stage: &mut Stage, key: &str, value: &str, seq: i64) {
    let targets = [stage.target(ClauseKind::Fact, "price", key), stage.target(ClauseKind::Wait, "settled", key)];
    stage.tell("world", &format!(r#"{{"key":"{key}","value":"{value}","seq":{seq}}}"#), &targets);
}

fn price(stage: &mut Stage, key: &str) -> String {
    String::from_utf8(stage.saga(key).facts[0].value.0.clone()).unwrap()
}

fn refused(stage: &Stage) -> String {
    stage.parked().iter().map(|parked| format!("{:?}: {}\n", parked.reason, parked.detail)).collect()
}

// shows: wait.key, wait.topic x success
#[test]
fn an_event_before_while_and_after_the_wait() {
    for before in [0, 1, 2] {
        let mut stage = stage();
        let steps: [fn(&mut Stage) -> i64; 2] = [|stage| stage.start("k"), |stage| stage.ok("a")];
        for (at, step) in steps.iter().enumerate() {
            if at == before {
                told(&mut stage, "k", "go", 1);
            }
            step(&mut stage);
        }
        if before == 2 {
            told(&mut stage, "k", "go", 1);
        }
        assert!(stage.phase("k").contains("Completed"), "event after {before} steps: {}", stage.phase("k"));
        assert_eq!(price(&mut stage, "k"), "\"go\"");
        stage.refolds_alike();
    }
}

// shows: facts.value, facts.seq x success
#[test]
fn early_events_are_told_in_order_and_stale_ones_recognised() {
    let mut stage = stage();
    told(&mut stage, "k", "first", 1);
    told(&mut stage, "k", "third", 3);
    told(&mut stage, "k", "second", 2);
    told(&mut stage, "other", "not ours", 9);
    stage.start("k");
    assert_eq!(price(&mut stage, "k"), "\"third\"");
    assert_eq!(stage.parked().len(), 0);
    stage.refolds_alike();
}

#[test]
fn no_more_early_events_than_the_settings_allow() {
    let (definition, contract) = waiting();
    let mut genesis = genesis();
    genesis.settings.max_mailbox = 2;
    let mut stage = Stage::of(genesis, &[definition], &contract);
    for seq in 1..=3 {
        told(&mut stage, "k", "go", seq);
    }
    expect![[r#"
        Refused: 2 events wait for "k" already, the settings allow no more
        Refused: 2 events wait for "k" already, the settings allow no more
    "#]]
    .assert_eq(&refused(&stage));
    stage.start("k");
    stage.ok("a");
    assert!(stage.phase("k").contains("Completed"));
}

#[test]
fn early_events_are_dropped_in_their_time_and_not_before() {
    let mut stage = stage();
    let keep = stage.genesis.settings.keep_early_events;
    stage.progress();
    told(&mut stage, "k", "go", 1);
    told(&mut stage, "l", "go", 1);
    stage.now += keep - 1;
    stage.progress();
    stage.start("k");
    assert_eq!(price(&mut stage, "k"), "\"go\"");
    stage.now += 1;
    stage.progress();
    stage.start("l");
    assert_eq!(price(&mut stage, "l"), "null");
    assert_eq!(stage.partition.meta().unwrap().counters.early_dropped, 1);
    stage.refolds_alike();
}

// shows: facts.key, facts.value x success
#[test]
fn a_saga_is_told_once_by_its_own_versions_clause() {
    let (first, contract) = waiting();
    let mut second = first.clone();
    second.version = "2.0.0".to_owned();
    second.facts[0].value = Some(expr("'2: ' + event.value"));
    // What it calls the key is something else: an event for k by the first version is none for k by this one.
    let mut third = first.clone();
    third.version = "3.0.0".to_owned();
    third.facts[0].key = Some(expr("event.value"));
    let mut stage = Stage::of(genesis(), &[first.clone(), second.clone(), third.clone()], &contract);
    for (version, key) in [(&first, "one"), (&second, "two"), (&third, "three")] {
        stage.definition = version.digest();
        stage.start(key);
    }
    for key in ["one", "two", "three"] {
        let target = |version: &Definition| Target {
            definition: version.digest(),
            ..stage.target(ClauseKind::Fact, "price", key)
        };
        let targets = [target(&first), target(&second)];
        stage.tell("world", &format!(r#"{{"key":"{key}","value":"x","seq":1}}"#), &targets);
        let history = stage.saga(key).history.length;
        assert_eq!(history, if key == "three" { 1 } else { 2 }, "told once: {key}");
    }
    let prices: Vec<String> = ["one", "two", "three"].iter().map(|key| price(&mut stage, key)).collect();
    assert_eq!(prices, ["\"x\"", "\"2: x\"", "null"]);
}

#[test]
fn what_no_saga_can_use_is_set_aside_with_its_reason() {
    let mut stage = stage();
    stage.start("k");
    for (data, clause, name) in [
        (r#"{"key":"k"}"#, ClauseKind::Fact, "price"),
        (r#"{"key":"k","value":1,"seq":"x"}"#, ClauseKind::Fact, "price"),
        (r#"{"key":"k"}"#, ClauseKind::Wait, "settled"),
        ("{}", ClauseKind::Fact, "weather"),
        ("{}", ClauseKind::React, ""),
        ("{", ClauseKind::Fact, "price"),
    ] {
        let target = stage.target(clause, name, "k");
        stage.tell("world", data, &[target]);
    }
    stage.ok("a");
    told(&mut stage, "k", "go", 1);
    told(&mut stage, "k", "go", 2);
    expect![[r#"
        Refused: facts.price: event.value: no member `value` in {key}
        Refused: facts.price: event.seq: a version is a whole number, this is string
        Refused: event.value == 'go': no member `value` in {key}
        Refused: test has no fact "weather"
        Refused: no definition of this version reacts to an event itself
        Undecodable: the event is no JSON: EOF while parsing an object at line 1 column 1
        Refused: the saga has ended
    "#]]
    .assert_eq(&refused(&stage));
}

// shows: start.type, head.types x success
#[test]
fn the_door_holds_an_input_against_its_type() {
    let (mut definition, contract) = chain(&["a"]);
    let line = Type::Record("Line".to_owned(), BTreeMap::from([("sku".to_owned(), Type::String)]));
    let members = BTreeMap::from([("lines".to_owned(), Type::List(Box::new(line)))]);
    definition.start.shape = Some(Type::Record("Order".to_owned(), members));
    let mut stage = Stage::of(genesis(), &[definition], &contract);
    let target = stage.target(ClauseKind::Start, "", "k");
    stage.tell("orders", r#"{"lines":[{"sku":"x"},{"sku":7}]}"#, std::slice::from_ref(&target));
    stage.tell("orders", r#"{"lines":{}}"#, std::slice::from_ref(&target));
    let start = |input: &str| {
        let definition = target.definition;
        RequestBody::Start(StartRequest { definition, input: Bytes::from(input), traceparent: None })
    };
    expect!["refused: start.type: lines: expected list(Line), got nothing"].assert_eq(&stage.ask(1, "k", start("{}")));
    expect![[r#"
        Refused: start.type: lines[1].sku: expected string, got int
        Refused: start.type: lines: expected list(Line), got map
    "#]]
    .assert_eq(&refused(&stage));
    assert_eq!(stage.ask(2, "k", start(r#"{"lines":[],"more":1}"#)), "taken");
}

// shows: start.again x success
#[test]
fn a_key_begins_again_where_the_definition_says_so_and_its_last_saga_is_over() {
    let (mut definition, contract) = chain(&["a"]);
    definition.start.again = Again::Ended;
    let mut stage = Stage::of(genesis(), &[definition], &contract);
    stage.start("k");
    stage.start("k");
    let first = stage.saga("k").id;
    assert_eq!(stage.partition.meta().unwrap().counters.repeated_starts, 1, "beside a live one it does nothing");
    stage.ok("a");
    stage.now += 1_000;
    stage.start("k");
    let second = stage.saga("k").id;
    assert_ne!(first, second);
    stage.partition.commit().unwrap();
    let reader = stage.partition.reader();
    assert!(sagaline_partition::view::saga(reader.as_ref(), first).unwrap().is_some(), "the first is kept by its id");
    stage.progress();
    let keep = stage.genesis.settings.keep_ended;
    stage.now += keep - 1_000;
    stage.progress();
    stage.now += 500_000;
    stage.progress();
    stage.partition.commit().unwrap();
    assert!(sagaline_partition::view::saga(reader.as_ref(), first).unwrap().is_none(), "the first is forgotten");
    assert_eq!(stage.saga("k").id, second, "its key is not its own any more");
    stage.refolds_alike();
}

/// What comes for a key between two lives is for the second: nothing can come of the first any more.
#[test]
fn what_is_told_between_two_lives_is_for_the_next() {
    let (mut definition, contract) = waiting();
    definition.start.again = Again::Ended;
    let mut stage = Stage::of(genesis(), &[definition], &contract);
    stage.start("k");
    told(&mut stage, "k", "go", 1);
    stage.ok("a");
    assert!(stage.phase("k").contains("Completed"), "{}", stage.phase("k"));
    stage.now += 1_000;
    told(&mut stage, "k", "go", 2);
    assert_eq!(stage.parked().len(), 0);
    stage.start("k");
    assert_eq!(price(&mut stage, "k"), "\"go\"");
    stage.ok("a");
    assert!(stage.phase("k").contains("Completed"), "the event was there before its wait: {}", stage.phase("k"));
    stage.refolds_alike();
}

fn refuses(stage: &mut Stage) {
    let refusal = Refused { code: "No".to_owned(), detail: String::new() };
    stage.answer("a", Answer::Refused(refusal));
}

fn stays_silent(stage: &mut Stage) {
    stage.progress();
    stage.pass(60_000, 5_000);
}

fn is_cancelled(stage: &mut Stage) {
    stage.cancel(1, "k");
}

fn is_done_late(stage: &mut Stage) {
    stage.ok("a");
}

fn is_undone(stage: &mut Stage) {
    stage.undone("un-a");
}

/// How it ends, and what happens until then.
type Way<'a> = (&'a str, &'a [fn(&mut Stage)]);

/// Not while it goes back: only once it is over, whatever sent it back.
// shows: start.again x refusal, timeout, late success, cancel
#[test]
fn a_key_begins_again_after_any_end() {
    let ways: [Way; 4] = [
        ("Compensated", &[refuses]),
        ("Compensated", &[stays_silent, is_undone]),
        ("Cancelled", &[is_cancelled, is_undone]),
        ("Cancelled", &[is_cancelled, is_done_late, is_undone]),
    ];
    for (end, way) in ways {
        let (mut definition, contract) = chain(&["a"]);
        definition.start.again = Again::Ended;
        let mut stage = Stage::of(genesis(), &[definition], &contract);
        stage.start("k");
        let first = stage.saga("k").id;
        for happens in way {
            let (phase, parked) = (stage.phase("k"), stage.parked().len());
            stage.start("k");
            assert_eq!(stage.saga("k").id, first, "it is not over: {phase}");
            assert_eq!(stage.parked().len() - parked, usize::from(!phase.contains("Forward")), "{phase}");
            happens(&mut stage);
        }
        let too_early =
            format!("the saga {first} of the key \"k\" is still going back: a start is taken again when it has ended");
        assert!(stage.parked().iter().all(|parked| parked.detail == too_early), "{}", refused(&stage));
        assert!(stage.phase("k").contains(&format!("Ended {{ end: {end}")), "{}", stage.phase("k"));
        stage.start("k");
        assert_ne!(stage.saga("k").id, first, "after {end}");
        assert!(stage.phase("k").contains("Forward"), "{}", stage.phase("k"));
        assert_eq!(stage.partition.meta().unwrap().counters.repeated_starts, way.len() as i64);
        stage.refolds_alike();
    }
}

/// It is no repeat: what nobody takes later must not be lost without a word. Sent again when the last one is over, it begins another one.
// shows: start.again x cancel
#[test]
fn a_start_that_comes_too_early_is_set_aside_as_it_came() {
    for again in [Again::Never, Again::Ended] {
        let (mut definition, contract) = chain(&["a"]);
        definition.start.again = again;
        let mut stage = Stage::of(genesis(), &[definition], &contract);
        stage.start("k");
        stage.start("k");
        assert!(stage.parked().is_empty(), "beside one that goes forward it is a repeat");
        stage.cancel(1, "k");
        let at = stage.start("k");
        let parked = stage.parked();
        match again {
            Again::Never => assert!(parked.is_empty(), "one saga for a key: it will never begin"),
            Again::Ended => {
                assert_eq!(parked.len(), 1);
                assert_eq!((parked[0].offset, parked[0].body.as_ref()), (at, &stage.log[at as usize].1[..]));
            }
        }
        stage.refolds_alike();
    }
}

// shows: start.again x late success
#[test]
fn a_start_beside_one_that_ended_and_waits_for_a_person_is_set_aside() {
    let (mut definition, contract) = chain(&["a"]);
    definition.start.again = Again::Ended;
    let mut stage = Stage::of(genesis(), &[definition], &contract);
    stage.start("k");
    let (first, wanted) = (stage.saga("k").id, stage.command("a"));
    stage.cancel(1, "k");
    stage.answer("un-a", Answer::NothingThere(NothingThere {}));
    stage.raw(reply(&wanted, Answer::Succeeded(Succeeded { result: Bytes::from("{}") })));
    stage.start("k");
    let why = "has ended and waits for a person: a start is taken again when it is settled";
    assert_eq!(refused(&stage), format!("Refused: the saga {first} of the key \"k\" {why}\n"));
    stage.refolds_alike();
}

/// What is done after all is the business of the saga that wanted it, not of the key's next one.
// shows: start.again x late success
#[test]
fn a_late_success_finds_its_own_saga() {
    let (mut definition, contract) = chain(&["a"]);
    definition.start.again = Again::Ended;
    let mut stage = Stage::of(genesis(), &[definition], &contract);
    stage.start("k");
    let (first, wanted) = (stage.saga("k").id, stage.command("a"));
    stage.cancel(1, "k");
    stage.answer("un-a", Answer::NothingThere(NothingThere {}));
    stage.start("k");
    let second = stage.saga("k").id;
    stage.raw(reply(&wanted, Answer::Succeeded(Succeeded { result: Bytes::from("{}") })));
    assert_eq!(stage.saga("k").id, second);
    assert!(stage.phase("k").contains("Forward"), "{}", stage.phase("k"));
    let reader = stage.partition.reader();
    let late = sagaline_partition::view::saga(reader.as_ref(), first).unwrap().expect("it is kept");
    assert!(format!("{:?}", late.phase).contains("LateSuccess"), "{:?}", late.phase);
    stage.ok("a");
    assert!(stage.phase("k").contains("Completed"), "{}", stage.phase("k"));
}

// shows: start.input x success
#[test]
fn a_saga_begins_with_what_its_start_makes_of_the_event() {
    let (mut definition, contract) = chain(&["a"]);
    definition.start.input = Some(expr("{'n': event.total * 2}"));
    let mut stage = Stage::of(genesis(), &[definition], &contract);
    let target = |key: &str| stage.target(ClauseKind::Start, "", key);
    let (k, l) = (target("k"), target("l"));
    stage.tell("orders", r#"{"total":4,"more":true}"#, &[k]);
    stage.tell("orders", r#"{"more":true}"#, &[l]);
    assert_eq!(stage.saga("k").input, Bytes::from(r#"{"n":8}"#));
    assert_eq!(stage.phase("l"), "none");
    assert_eq!(refused(&stage), "Refused: start.input: {'n': event.total * 2}: no member `total` in {more}\n");
}

/// An event that is not about the fact tells nothing of it, early or late.
// shows: facts.if x success
#[test]
fn only_events_that_are_meant_tell_a_fact() {
    let (mut definition, contract) = waiting();
    definition.facts[0].condition = Some(expr("event.value != 'no'"));
    let mut stage = Stage::of(genesis(), &[definition], &contract);
    told(&mut stage, "k", "yes", 1);
    told(&mut stage, "k", "no", 2);
    stage.start("k");
    assert_eq!(price(&mut stage, "k"), "\"yes\"");
    told(&mut stage, "k", "no", 3);
    assert_eq!(price(&mut stage, "k"), "\"yes\"");
    told(&mut stage, "k", "now", 4);
    assert_eq!(price(&mut stage, "k"), "\"now\"");
}
