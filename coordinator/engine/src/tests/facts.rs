//! The world while a saga lives: the highest version wins, people may know better, participants are asked.

use expect_test::expect;
use sagaline_definition::model::{AskFact, Definition, Reaction, Template, Word};
use sagaline_definition::types::Type;
use sagaline_schemas::Value;
use sagaline_schemas::wire::Bytes;

use super::stage::{Stage, call_mut, chain, check, expr, fact};
use crate::told::{Told, told};
use crate::turn::Input;

/// a, then b is given what is known.
fn knows() -> Definition {
    let mut made = chain(&["a", "b"]);
    made.facts = vec![fact("n", Value::Int(0))];
    call_mut(&mut made, 1).with = Template::Expr(expr("facts"));
    made
}

/// p is asked for the rate.
fn asks(every: i64) -> AskFact {
    AskFact {
        participant: "p".to_owned(),
        operation: "rate".to_owned(),
        with: Template::Expr(expr("facts.n")),
        every,
        value: expr("answer.rate"),
    }
}

// shows: facts.seq x success
#[test]
fn the_highest_version_wins() {
    check(
        &knows(),
        "told n 5 3; told n 6 3; told n 7 2; ok a",
        &expect![[r#"
        start        -> a
        told n 5 3   ->
        told n 6 3   -> stale
        told n 7 2   -> stale
        ok a         -> b({"n":5})
    "#]],
    );
    check(
        &knows(),
        "told n 5; told n 6; ok a",
        &expect![[r#"
        start        -> a
        told n 5     ->
        told n 6     ->
        ok a         -> b({"n":6})
    "#]],
    );
}

/// Without a version a person's word holds until a higher one comes.
#[test]
fn people_may_know_better() {
    check(
        &knows(),
        "told n 5 3; set n 9; told n 6 3; ok a",
        &expect![[r#"
        start        -> a
        told n 5 3   ->
        set n 9      ->
        told n 6 3   -> stale
        ok a         -> b({"n":9})
    "#]],
    );
    check(
        &knows(),
        "told n 5 3; set n 9; told n 6 4; ok a",
        &expect![[r#"
        start        -> a
        told n 5 3   ->
        set n 9      ->
        told n 6 4   ->
        ok a         -> b({"n":6})
    "#]],
    );
    check(
        &knows(),
        "told n 5 3; set n 9 3; set n 9 4; set m 1; set n }; ok a",
        &expect![[r#"
        start        -> a
        told n 5 3   ->
        set n 9 3    -> rejected: version 3 is known already: give a higher one, or none
        set n 9 4    ->
        set m 1      -> rejected: there is no fact "m": the definition has n
        set n }      -> rejected: the value is no JSON: expected value at line 1 column 1
        ok a         -> b({"n":9})
    "#]],
    );
}

// shows: facts.fresh x success, timeout
#[test]
fn what_is_too_old_is_not_known() {
    let mut made = knows();
    made.facts[0].fresh = Some(60_000);
    check(
        &made,
        "told n 5; later 60000; ok a",
        &expect![[r#"
        start        -> a
        told n 5     ->
        ok a         -> b({"n":5})
    "#]],
    );
    check(
        &made,
        "told n 5; later 60001; ok a",
        &expect![[r#"
        start        -> a
        told n 5     ->
        ok a         -> b({"n":null})
    "#]],
    );
    check(
        &made,
        "ok a",
        &expect![[r#"
        start        -> a
        ok a         -> b({"n":null})
    "#]],
    );
}

// shows: facts.ask.every, facts.ask.value, facts.ask.with x success, cancel
// shows: facts.ask.every x timeout
// shows: facts.initial x success
#[test]
fn a_participant_is_asked_every_so_often() {
    let mut made = knows();
    made.facts[0].ask = Some(asks(30_000));
    check(
        &made,
        "answered n {\"rate\":4}; ask n; answered n {\"rate\":4}; ok a; cancel; ask n; undone b; undone a; answered n 1",
        &expect![[r#"
            start        -> asks for n#1(0), a
            answered n {"rate":4} ->
            ask n        -> asks for n#2(4)
            answered n {"rate":4} ->
            ok a         -> b({"n":4})
            cancel       -> turns back, un-b({"n":4})
            ask n        -> asks for n#3(4)
            undone b     -> un-a
            undone a     -> Cancelled
            answered n 1 ->
        "#]],
    );
    check(
        &made,
        "down p; ask n; up p; may ask n; answered n {}; retry; ok a; ok b",
        &expect![[r#"
            start        -> asks for n#1(0), a
            ask n        -> waits since 30000 to ask p for n
            up p         ->
            may ask n    -> asks for n#2(0)
            answered n {} -> stuck: an expression has no value: answer.rate: no member `rate` in {}
            retry        -> goes on
            ok a         -> b({"n":0})
            ok b         -> Completed
        "#]],
    );
}

/// What an answer says of the fact may depend on the saga's input.
// shows: facts.ask.value x success
#[test]
fn an_answer_is_read_with_the_input() {
    let mut made = knows();
    made.facts[0].ask =
        Some(AskFact { value: expr("answer.rate + (has(input.more) ? input.more : 1)"), ..asks(30_000) });
    check(
        &made,
        "answered n {\"rate\":4}; ok a",
        &expect![[r#"
            start        -> asks for n#1(0), a
            answered n {"rate":4} ->
            ok a         -> b({"n":5})
        "#]],
    );
}

/// Who waits to ask keeps its place, is not asked twice, and takes the answer to the asking before as news, once.
// shows: facts.ask.operation x success
// shows: facts.ask.every x success, cancel
#[test]
fn a_question_waits_until_its_participant_takes_it() {
    let mut made = knows();
    made.facts[0].ask = Some(asks(120_000));
    check(
        &made,
        "late n; later 120000; shut p; ask n; answered n {\"rate\":4}; answered n {\"rate\":5}; open p; later 7; may ask n; may ask n; \
         later 9; shut p; ask n; open p; cancel; undone a; may ask n",
        &expect![[r#"
            start        -> asks for n#1(0), a
            late n       ->
            ask n        -> waits since 150000 to ask p for n
            answered n {"rate":4} ->
            answered n {"rate":5} ->
            open p       ->
            may ask n    -> asks for n#2(4)
            may ask n    ->
            ask n        -> waits since 270016 to ask p for n
            open p       ->
            cancel       -> turns back, un-a
            undone a     -> Cancelled
            may ask n    ->
        "#]],
    );
}

/// What is told of a type that the fact has not is refused, whoever tells it: no expression meets it.
// shows: facts.type x success
#[test]
fn a_fact_keeps_its_type() {
    let mut made = knows();
    made.facts[0].shape = Some(Type::Int);
    made.facts[0].value = Some(expr("event.n"));
    let says =
        |event: &str| told(&made.facts[0], &Value::parse(event.as_bytes()).unwrap(), 0).map(|told| told.unwrap().value);
    assert_eq!(says("{\"n\":7}"), Ok(Bytes::from("7")));
    assert_eq!(says("{\"n\":\"7\"}"), Err("type: the value: expected int, got string".to_owned()));
    assert_eq!(says("{\"n\":null}"), Err("type: the value: expected int, got null".to_owned()));
    made.facts[0].ask = Some(asks(30_000));
    check(
        &made,
        "set n \"x\"; answered n {\"rate\":\"x\"}; ask n; answered n {\"rate\":2}; ok a; ok b",
        &expect![[r#"
            start        -> asks for n#1(0), a
            set n "x"    -> rejected: facts.n: type: the value: expected int, got string
            answered n {"rate":"x"} -> rejected: facts.n: type: the value: expected int, got string
            ask n        -> asks for n#2(0)
            answered n {"rate":2} ->
            ok a         -> b({"n":2})
            ok b         -> Completed
        "#]],
    );
}

/// Of what is said, only the first last word to the newest asking counts: also for how old the fact is.
// shows: facts.ask.every x timeout
// shows: facts.ask.every, facts.ask.value x late success
// shows: facts.fresh x late success
#[test]
fn an_answer_counts_once_and_only_to_the_newest_asking() {
    let mut made = knows();
    made.facts[0].fresh = Some(60_000);
    made.facts[0].ask = Some(asks(30_000));
    check(
        &made,
        "ask n; answered n {\"rate\":1} 1; answered n {\"rate\":2}; answered n {\"rate\":3}; ok a",
        &expect![[r#"
            start        -> asks for n#1(null), a
            ask n        -> asks for n#2(null)
            answered n {"rate":1} 1 ->
            answered n {"rate":2} ->
            answered n {"rate":3} ->
            ok a         -> b({"n":2})
        "#]],
    );
    check(
        &made,
        "answered n {\"rate\":2}; later 60001; answered n {\"rate\":2}; ok a",
        &expect![[r#"
            start        -> asks for n#1(null), a
            answered n {"rate":2} ->
            answered n {"rate":2} ->
            ok a         -> b({"n":null})
        "#]],
    );
    check(
        &made,
        "answered n undone; answered n working; answered n failed; answered n {\"rate\":2}; ask n; answered n {\"rate\":3}; ok a",
        &expect![[r#"
            start        -> asks for n#1(null), a
            answered n undone -> rejected: Compensated is no answer to who asks for a fact
            answered n working ->
            answered n failed ->
            answered n {"rate":2} ->
            ask n        -> asks for n#2(null)
            answered n {"rate":3} ->
            ok a         -> b({"n":3})
        "#]],
    );
}

/// What was known before the saga began is as old as it is.
#[test]
fn a_fact_ages_from_when_it_became_known() {
    let mut made = knows();
    made.facts[0].fresh = Some(60_000);
    for (known_at, now, expected) in [(40_000, 100_000, "5"), (39_999, 100_000, "null")] {
        let mut stage = Stage::new(made.clone());
        stage.now = now;
        let told = Told { value: Bytes::from("5"), seq: None, at: known_at };
        stage.happen("start", Input::Start { told: vec![(0, told)] });
        stage.go_on("ok a");
        assert!(stage.account.contains(&format!("b({{\"n\":{expected}}})")), "{}", stage.account);
    }
}

/// Each time it turns true; between two steps only, and then also what has been true before.
// shows: react.if, react.between x success
#[test]
fn reactions_see_edges() {
    let mut made = chain(&["a", "b", "c"]);
    made.facts = vec![fact("n", Value::Int(0))];
    let between = Some((1, 2));
    made.react = vec![Reaction { condition: expr("facts.n > 0"), between, then: Word::Hold, after_pivot: Word::Stuck }];
    check(
        &made,
        "told n 1; ok a; release; ok b; told n 2; ok c",
        &expect![[r#"
        start        -> a
        told n 1     ->
        ok a         ->
        release      -> b
        ok b         -> c
        told n 2     ->
        ok c         -> Completed
    "#]],
    );
    check(
        &made,
        "ok a; told n 1; release; told n 0; told n 1; release; ok b; told n 0; told n 1; ok c",
        &expect![[r#"
            start        -> a
            ok a         -> b
            told n 1     ->
            release      ->
            told n 0     ->
            told n 1     ->
            release      ->
            ok b         -> c
            told n 0     ->
            told n 1     ->
            ok c         -> Completed
        "#]],
    );
    made.react[0].condition = expr("a != null && a > 1");
    made.react[0].between = None;
    check(
        &made,
        "ok a 2; release; ok b; ok c",
        &expect![[r#"
        start        -> a
        ok a 2       ->
        release      -> b
        ok b         -> c
        ok c         -> Completed
    "#]],
    );
}
