//! Sound definitions hold, and every way that they can end is found: each verb, each word.

mod build;

use std::collections::BTreeMap;

use build::{
    approve, back_to, call, call_of, calls, chain, decide, expr, fact, for_each, guard, patience, pivot, prove,
    reaction, sleeping, step, until, wait,
};
use expect_test::{Expect, expect};
use sagaline_definition::Definition;
use sagaline_definition::model::{AskFact, Check, Child, Compensate, Sleep, Template, Verb, Word};
use sagaline_schemas::{Digest, Value};

/// No violation, and these ends and rests.
#[track_caller]
fn holds(definition: &Definition, expected: &Expect) {
    let proof = prove(definition);
    assert!(proof.stories.is_empty(), "{proof}");
    let ends: String = proof.found.ends.keys().map(|end| format!("{end}\n")).collect();
    expected.assert_eq(&ends);
}

fn child(name: &str, compensate: bool) -> sagaline_definition::model::Step {
    let child = Child {
        saga: "child".to_owned(),
        definition: Digest([1; 32]),
        key: None,
        with: Template::Literal(Value::Null),
        failed: Word::Compensate,
        compensate,
    };
    step(name, Verb::Saga(child))
}

#[test]
fn a_chain_of_calls() {
    holds(
        &calls(&["a", "b", "c"]),
        &expect![[r#"
        cancelled
        closed
        compensated
        completed
        stuck: a can't be undone
        stuck: b can't be undone
        stuck: c can't be undone
    "#]],
    );
}

#[test]
fn a_chain_with_a_pivot() {
    holds(
        &chain(vec![call("a"), pivot("b"), call("c")]),
        &expect![[r#"
        cancelled
        closed
        compensated
        completed
        stuck at b
        stuck at c
        stuck at its deadline
        stuck: a can't be undone
    "#]],
    );
}

#[test]
fn every_word_after_a_refusal() {
    let mut definition = calls(&["a", "b", "c"]);
    let words = [
        ("Continue", Word::Continue),
        ("Skip", Word::Skip),
        ("Hold", Word::Hold),
        ("Stuck", Word::Stuck),
        ("Back", back_to(0)),
    ];
    call_of(&mut definition.steps[1]).refused = words.map(|(code, word)| (code.to_owned(), word)).into();
    holds(
        &definition,
        &expect![[r#"
        cancelled
        closed
        compensated
        completed
        held at b
        stuck at b
        stuck: a can't be undone
        stuck: b can't be undone
        stuck: c can't be undone
    "#]],
    );
}

#[test]
fn a_skip_after_failure_and_a_probe() {
    let mut definition = calls(&["a", "b"]);
    call_of(&mut definition.steps[0]).failed = Word::Skip;
    call_of(&mut definition.steps[1]).probe = Some("status".to_owned());
    holds(
        &definition,
        &expect![[r#"
        cancelled
        closed
        compensated
        completed
        stuck: a can't be undone
        stuck: b can't be undone
    "#]],
    );
}

#[test]
fn conditions_and_decisions_are_met_both_ways() {
    let mut definition = chain(vec![decide("route", "input.total > 100"), call("a"), call("b")]);
    definition.steps[1].condition = Some(expr("route == 'yes'"));
    definition.steps[2].condition = Some(expr("a == null || a.ok"));
    let proof = prove(&definition);
    assert!(proof.stories.is_empty(), "{proof}");
    let stands: Vec<&String> = proof.found.outcomes.iter().filter(|outcome| outcome.starts_with("completed")).collect();
    expect![[r#"
        [
            "completed: a",
            "completed: a, b",
            "completed: b",
        ]
    "#]]
    .assert_debug_eq(&stands);
}

#[test]
fn items_of_a_list() {
    let mut definition = calls(&["a", "b"]);
    definition.steps[0].for_each = for_each("input.lines", 2, None);
    holds(
        &definition,
        &expect![[r#"
        cancelled
        closed
        compensated
        completed
        stuck: a can't be undone
        stuck: b can't be undone
    "#]],
    );
    definition.steps[0].for_each = for_each("input.lines", 2, Some(1));
    holds(
        &definition,
        &expect![[r#"
        cancelled
        closed
        compensated
        completed
        stuck: a can't be undone
        stuck: b can't be undone
    "#]],
    );
    definition.steps[0].for_each = for_each("input.lines", 1, None);
    call_of(&mut definition.steps[0]).refused_else = Word::Skip;
    holds(
        &definition,
        &expect![[r#"
        cancelled
        closed
        compensated
        completed
        stuck: a can't be undone
        stuck: b can't be undone
    "#]],
    );
}

#[test]
fn waiting() {
    let mut definition =
        chain(vec![call("a"), wait("w", Word::Compensate), sleeping("s"), until("u", "facts.ready", Word::Stuck)]);
    definition.facts.push(fact("ready", Value::Bool(false)));
    holds(
        &definition,
        &expect![[r#"
        cancelled
        closed
        compensated
        completed
        stuck at u
        stuck: a can't be undone
    "#]],
    );
}

#[test]
fn a_sleep_until_a_date() {
    holds(
        &chain(vec![step("s", Verb::Sleep(Sleep::Until(expr("input.at")))), call("a")]),
        &expect![[r#"
        cancelled
        closed
        compensated
        completed
        stuck: a can't be undone
    "#]],
    );
}

#[test]
fn approvals() {
    let mut asking = approve("approval");
    let Verb::Approve(of) = &mut asking.verb else { panic!("an approval") };
    of.show = Template::Map(BTreeMap::from([("status".to_owned(), Template::Expr(expr("facts.status")))]));
    of.void_if = Some(expr("facts.status != shown.status"));
    of.quorum = 2;
    of.patience = patience(Word::Stuck);
    let mut definition = chain(vec![call("a"), asking, call("b")]);
    definition.facts.push(fact("status", Value::from("placed")));
    holds(
        &definition,
        &expect![[r#"
        cancelled
        closed
        compensated
        completed
        held at approval
        stuck at approval
        stuck: a can't be undone
        stuck: b can't be undone
    "#]],
    );
}

#[test]
fn guards_and_reactions() {
    let mut definition = calls(&["a", "b"]);
    definition.steps[1].guard = guard("facts.status != 'closed'", Word::Hold);
    definition.facts.push(fact("status", Value::from("placed")));
    definition.react.push(reaction("facts.status == 'cancelled'", Word::Compensate));
    definition.react.push(reaction("facts.status == 'odd'", Word::Hold));
    holds(
        &definition,
        &expect![[r#"
        cancelled
        closed
        compensated
        completed
        stuck: a can't be undone
        stuck: b can't be undone
    "#]],
    );
}

#[test]
fn a_reaction_that_goes_back() {
    let mut definition = calls(&["a", "b"]);
    definition.facts.push(fact("rev", Value::Int(1)));
    definition.react.push(reaction("facts.rev > 1", back_to(0)));
    holds(
        &definition,
        &expect![[r#"
        cancelled
        closed
        compensated
        completed
        stuck: a can't be undone
        stuck: b can't be undone
    "#]],
    );
}

#[test]
fn a_fact_that_is_asked_for() {
    let mut definition = chain(vec![call("a"), until("u", "facts.rate > 3", Word::Compensate)]);
    let mut rate = fact("rate", Value::Null);
    (rate.topic, rate.key, rate.value, rate.seq) = (None, None, None, None);
    rate.ask = Some(AskFact {
        participant: "p".to_owned(),
        operation: "rate".to_owned(),
        with: Template::Literal(Value::Null),
        every: 60_000,
        value: expr("answer.rate"),
    });
    rate.initial = Value::Int(0);
    definition.facts.push(rate);
    holds(
        &definition,
        &expect![[r#"
        cancelled
        closed
        compensated
        completed
        stuck: a can't be undone
    "#]],
    );
}

#[test]
fn children() {
    holds(
        &chain(vec![call("a"), child("c", true), call("b")]),
        &expect![[r#"
        cancelled
        closed
        compensated
        completed
        stuck: a can't be undone
        stuck: b can't be undone
        stuck: c can't be undone
    "#]],
    );
    holds(
        &chain(vec![call("a"), child("c", false), pivot("b")]),
        &expect![[r#"
        cancelled
        closed
        compensated
        completed
        stuck at b
        stuck at its deadline
        stuck: a can't be undone
    "#]],
    );
}

#[test]
fn what_must_hold_before_an_end() {
    let mut definition = calls(&["a", "b"]);
    call_of(&mut definition.steps[0]).probe = Some("status".to_owned());
    let check = |condition: &str| Check { condition: expr(condition), within: 10_000, probes: vec![0] };
    definition.ensure.completed = Some(check("probe.a.captured == 7"));
    definition.ensure.compensated = Some(check("probe.a == null"));
    holds(
        &definition,
        &expect![[r#"
        cancelled
        closed
        compensated
        completed
        stuck before its end
        stuck: a can't be undone
        stuck: b can't be undone
    "#]],
    );
}

#[test]
fn compensations_with_an_input_of_their_own() {
    let mut definition = calls(&["a", "b"]);
    let Compensate::By { with, .. } = &mut call_of(&mut definition.steps[0]).compensate else { panic!("undone") };
    *with = Some(Template::Expr(expr("a == null ? 0 : a.amount + 0")));
    holds(
        &definition,
        &expect![[r#"
        cancelled
        closed
        compensated
        completed
        stuck: a can't be undone
        stuck: b can't be undone
    "#]],
    );
}

#[test]
fn any_two_of_three() {
    let mut definition = calls(&["a", "b", "c", "d"]);
    for step in 0..3 {
        definition.steps[step].after = vec![];
    }
    definition.steps[3].after = vec![0, 1, 2];
    definition.steps[3].at_least = Some(2);
    holds(
        &definition,
        &expect![[r#"
        cancelled
        closed
        compensated
        completed
        stuck: a can't be undone
        stuck: b can't be undone
        stuck: c can't be undone
        stuck: d can't be undone
    "#]],
    );
}

#[test]
fn an_attempt_that_fails_while_its_step_is_to_run_again() {
    // Found on a fork whose one branch goes back, while the other one's call, which can't be undone, is under way.
    let mut definition = calls(&["a", "b", "c"]);
    definition.steps[2].after = vec![0];
    call_of(&mut definition.steps[1]).refused_else = back_to(0);
    call_of(&mut definition.steps[2]).compensate = Compensate::Never;
    holds(
        &definition,
        &expect![[r#"
        cancelled
        closed
        compensated
        completed
        stuck: a can't be undone
        stuck: b can't be undone
    "#]],
    );
}

#[test]
fn a_condition_that_has_no_value_yet() {
    let mut definition = chain(vec![until("u", "facts.note.size > 3", Word::Compensate), call("a")]);
    definition.facts.push(fact("note", Value::Null));
    holds(
        &definition,
        &expect![[r#"
        cancelled
        closed
        compensated
        completed
        stuck at an expression of u
        stuck: a can't be undone
    "#]],
    );
}
