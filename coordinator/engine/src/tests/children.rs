//! Child sagas: each row of the table in `child.rs`, and both ends of each race.

use expect_test::expect;
use sagaline_definition::model::{Compensate, Definition, Template, Word};

use super::stage::{Stage, call_mut, chain, check, check_on, child, definition, expr};

/// a child, then c.
fn made() -> Definition {
    let mut made = chain(&["a", "c"]);
    made.steps[0] = child("x");
    made
}

fn failing(word: Word) -> Definition {
    let mut made = made();
    let sagaline_definition::model::Verb::Saga(child) = &mut made.steps[0].verb else { panic!("a child") };
    child.failed = word;
    made
}

// shows: saga x success, refusal
#[test]
fn what_a_child_says_while_it_is_awaited() {
    check(
        &made(),
        "child x completed 7; ok c",
        &expect![[r#"
        start        -> starts x as k/x
        child x completed 7 -> c
        ok c         -> releases x, Completed
    "#]],
    );
    check(
        &made(),
        "child x compensated",
        &expect![[r#"
        start        -> starts x as k/x
        child x compensated -> turns back, Compensated
    "#]],
    );
    check(
        &made(),
        "child x cancelled",
        &expect![[r#"
        start        -> starts x as k/x
        child x cancelled -> turns back, Compensated
    "#]],
    );
    check(
        &made(),
        "child x not-started",
        &expect![[r#"
        start        -> starts x as k/x
        child x not-started -> turns back, Compensated
    "#]],
    );
    check(
        &made(),
        "child x closed; child x compensated",
        &expect![[r#"
        start        -> starts x as k/x
        child x closed -> turns back, cancels x as k/x
        child x compensated -> Compensated
    "#]],
    );
    check(
        &failing(Word::Stuck),
        "child x compensated; retry; child x completed; ok c",
        &expect![[r#"
        start        -> starts x as k/x
        child x compensated -> stuck: the child saga of x ended Compensated: so it was
        retry        -> goes on, starts x@1 as k/x~1
        child x completed -> c
        ok c         -> releases x@1, Completed
    "#]],
    );
    check(
        &failing(Word::Hold),
        "child x closed; retry x; child x completed; ok c",
        &expect![[r#"
        start        -> starts x as k/x
        child x closed -> holds x
        retry x      -> starts x as k/x
        child x completed -> c
        ok c         -> releases x, Completed
    "#]],
    );
    check(
        &failing(Word::Continue),
        "child x compensated; ok c",
        &expect![[r#"
        start        -> starts x as k/x
        child x compensated -> c, continues x
        ok c         -> Completed
    "#]],
    );
}

// shows: saga x late success, cancel
#[test]
fn what_a_child_says_while_it_is_undone() {
    check(
        &made(),
        "child x completed; no c; child x compensated",
        &expect![[r#"
        start        -> starts x as k/x
        child x completed -> c
        no c         -> turns back, compensates x
        child x compensated -> Compensated
    "#]],
    );
    check(
        &made(),
        "child x completed; no c; child x completed; child x completed; retry; child x compensated",
        &expect![[r#"
            start        -> starts x as k/x
            child x completed -> c
            no c         -> turns back, compensates x
            child x completed -> compensates x
            child x completed -> stuck: x can't be undone: the child saga has completed and can't go back: so it was
            retry        -> goes on, compensates x
            child x compensated -> Compensated
        "#]],
    );
    check(
        &made(),
        "cancel; child x cancelled",
        &expect![[r#"
        start        -> starts x as k/x
        cancel       -> turns back, cancels x as k/x
        child x cancelled -> Cancelled
    "#]],
    );
    check(
        &made(),
        "cancel; child x not-started",
        &expect![[r#"
        start        -> starts x as k/x
        cancel       -> turns back, cancels x as k/x
        child x not-started -> Cancelled
    "#]],
    );
    check(
        &made(),
        "cancel; child x closed; confirm x undone",
        &expect![[r#"
        start        -> starts x as k/x
        cancel       -> turns back, cancels x as k/x
        child x closed -> stuck: x can't be undone: people closed the child saga: so it was
        confirm x undone -> goes on, Cancelled
    "#]],
    );
    // It had completed before the word reached it; whatever it says then, it is undone once.
    check(
        &made(),
        "cancel; child x completed; child x compensated",
        &expect![[r#"
        start        -> starts x as k/x
        cancel       -> turns back, cancels x as k/x
        child x completed -> compensates x
        child x compensated -> Cancelled
    "#]],
    );
    check(
        &made(),
        "cancel; child x compensated; child x completed",
        &expect![[r#"
        start        -> starts x as k/x
        cancel       -> turns back, cancels x as k/x
        child x compensated -> Cancelled
        child x completed ->
    "#]],
    );
}

// shows: key x success
#[test]
fn a_child_that_stays() {
    let mut made = made();
    let sagaline_definition::model::Verb::Saga(child) = &mut made.steps[0].verb else { panic!("a child") };
    child.compensate = false;
    child.key = Some(Template::Expr(expr("input.key")));
    check(
        &made,
        "cancel",
        &expect![[r#"
        start        -> stuck: an expression of x has no value: input.key: no member `key` in {}
        cancel       -> turns back, Cancelled
    "#]],
    );
    child_key(&made);
}

/// The key is fixed when the child begins, and has to be a text.
fn child_key(made: &Definition) {
    let mut stage = Stage::new(made.clone());
    stage.saga.input = sagaline_schemas::wire::Bytes::from(r#"{"key":"mine"}"#);
    check_on(
        stage,
        "child x completed; no c",
        &expect![[r#"
        start        -> starts x as mine
        child x completed -> c
        no c         -> turns back, releases x, Compensated
    "#]],
    );
}

/// A child has a deadline of its own; what its parent's silence, haste or end means to it, it is told under its key.
// shows: saga, key x refusal, timeout, late success, cancel
#[test]
fn a_child_keeps_its_key() {
    let mut made = failing(Word::Stuck);
    let sagaline_definition::model::Verb::Saga(child) = &mut made.steps[0].verb else { panic!("a child") };
    child.key = Some(Template::Expr(expr("input.key")));
    let stage = || {
        let mut stage = Stage::new(made.clone());
        stage.saga.input = sagaline_schemas::wire::Bytes::from(r#"{"key":"mine"}"#);
        stage
    };
    check_on(
        stage(),
        "child x compensated; retry; child x completed; ok c",
        &expect![[r#"
        start        -> starts x as mine
        child x compensated -> stuck: the child saga of x ended Compensated: so it was
        retry        -> goes on, starts x@1 as mine
        child x completed -> c
        ok c         -> releases x@1, Completed
    "#]],
    );
    check_on(
        stage(),
        "deadline; child x cancelled",
        &expect![[r#"
        start        -> starts x as mine
        deadline     -> turns back, cancels x as mine
        child x cancelled -> Compensated
    "#]],
    );
    check_on(
        stage(),
        "deadline; child x completed; child x compensated",
        &expect![[r#"
        start        -> starts x as mine
        deadline     -> turns back, cancels x as mine
        child x completed -> compensates x
        child x compensated -> Compensated
    "#]],
    );
    check_on(
        stage(),
        "cancel; child x cancelled",
        &expect![[r#"
        start        -> starts x as mine
        cancel       -> turns back, cancels x as mine
        child x cancelled -> Cancelled
    "#]],
    );
}

#[test]
fn a_closed_parent_lets_its_child_go_when_it_completes() {
    let mut made = made();
    made.steps[1].after = vec![];
    call_mut(&mut made, 1).refused_else = Word::Stuck;
    check(
        &made,
        "no c; close; child x completed",
        &expect![[r#"
        start        -> starts x as k/x, c
        no c         -> stuck: c was refused: No
        close        -> Closed
        child x completed -> releases x
    "#]],
    );
}

/// As a child: it is kept, with its own children, until its parent lets it go.
// shows: head.result x success, cancel, late success
#[test]
fn a_child_is_kept_for_its_parent() {
    let mut made = made();
    made.result = Some(Template::Expr(expr("c")));
    let stage = || Stage::new(made.clone()).with_parent();
    check_on(
        stage(),
        "child x completed; ok c 9; parent release; parent release",
        &expect![[r#"
        start        -> starts x as k/x
        child x completed -> c
        ok c 9       -> tells its parent: Completed 9, Completed
        parent release -> releases x
        parent release ->
    "#]],
    );
    check_on(
        stage(),
        "child x completed; ok c 9; parent compensate; undone c; child x compensated; parent compensate",
        &expect![[r#"
            start        -> starts x as k/x
            child x completed -> c
            ok c 9       -> tells its parent: Completed 9, Completed
            parent compensate -> turns back, un-c
            undone c     -> compensates x
            child x compensated -> tells its parent: Compensated null, Compensated
            parent compensate -> tells its parent: Compensated null
        "#]],
    );
    check_on(
        stage(),
        "child x completed; parent cancel; ok c; undone c; child x compensated",
        &expect![[r#"
        start        -> starts x as k/x
        child x completed -> c
        parent cancel -> turns back, un-c
        ok c         ->
        undone c     -> compensates x
        child x compensated -> tells its parent: Compensated null, Compensated
    "#]],
    );
    check_on(
        stage(),
        "child x completed; ok c; no c; parent compensate; undone c; child x compensated",
        &expect![[r#"
            start        -> starts x as k/x
            child x completed -> c
            ok c         -> tells its parent: Completed 1, Completed
            no c         -> stuck: the participant says both that c was done and that it was not
            parent compensate -> turns back, un-c
            undone c     -> compensates x
            child x compensated -> tells its parent: Compensated null, Compensated
        "#]],
    );
}

#[test]
fn a_child_with_its_pivot_decided_goes_back_no_more() {
    let mut made = made();
    made.steps[1].pivot = true;
    call_mut(&mut made, 1).compensate = Compensate::Never;
    let stage = || Stage::new(made.clone()).with_parent();
    check_on(
        stage(),
        "child x completed; parent cancel; ok c; parent compensate; parent release",
        &expect![[r#"
        start        -> starts x as k/x
        child x completed -> c
        parent cancel ->
        ok c         -> tells its parent: Completed null, Completed
        parent compensate -> tells its parent: Completed null
        parent release -> releases x
    "#]],
    );
}

#[test]
fn a_result_that_has_no_value_is_no_end() {
    let mut made = definition(vec![child("x")]);
    made.result = Some(Template::Expr(expr("x.parcel")));
    check_on(
        Stage::new(made).with_parent(),
        "child x completed 7; cancel; child x compensated",
        &expect![[r#"
        start        -> starts x as k/x
        child x completed 7 -> stuck: an expression has no value: x.parcel: no member `parcel` in 7
        cancel       -> turns back, compensates x
        child x compensated -> tells its parent: Cancelled null, Cancelled
    "#]],
    );
}
