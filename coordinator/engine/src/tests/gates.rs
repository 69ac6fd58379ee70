//! Participants that take nothing at the moment: nothing is used up, nothing is registered early, everything goes on by itself.

use expect_test::expect;
use sagaline_definition::model::{ForEach, Template, Word};

use super::stage::{Stage, call_mut, chain, check, check_on, expr};

#[test]
fn nothing_is_registered_before_it_is_admitted() {
    let mut branches = chain(&["a", "b", "c"]);
    branches.steps[1].after = vec![];
    branches.steps[2].after = vec![0, 1];
    call_mut(&mut branches, 0).participant = "q".to_owned();
    // b is decided first, though it stands second: so it is undone last.
    let mut stage = Stage::new(branches);
    stage.gates.closed.insert("q".to_owned());
    check_on(
        stage,
        "ok b; open q; ok a; no c; undone a; undone b",
        &expect![[r#"
        start        -> queues at q, b
        ok b         -> queues at q
        open q       -> a
        ok a         -> c
        no c         -> turns back, un-a
        undone a     -> un-b
        undone b     -> Compensated
    "#]],
    );
}

#[test]
fn a_closed_gate_is_asked_once_a_turn() {
    let mut made = chain(&["a"]);
    made.steps[0].for_each =
        Some(ForEach { item: "n".to_owned(), list: expr("[1, 2, 3]"), at_once: 3, most: 3, enough: None });
    let mut stage = Stage::new(made);
    stage.gates.closed.insert("p".to_owned());
    check_on(
        stage,
        "note here; open p; ok a/0; ok a/1; ok a/2",
        &expect![[r#"
        start        -> queues at p
        note here    -> queues at p
        open p       -> a/0, a/1, a/2
        ok a/0       ->
        ok a/1       ->
        ok a/2       -> Completed
    "#]],
    );
}

#[test]
fn an_attempt_waits_and_is_not_used_up() {
    check(
        &chain(&["a"]),
        "sent a; fail a; shut p; wait a; open p; sent a; ok a",
        &expect![[r#"
        start        -> a
        sent a       ->
        fail a       ->
        wait a       -> queues at p
        open p       -> a#2
        sent a       ->
        ok a         -> Completed
    "#]],
    );
    check(
        &chain(&["a"]),
        "sent a; time a; down p; shut p; wait a; up p; open p; sent a; ok a",
        &expect![[r#"
        start        -> a
        sent a       ->
        time a       ->
        wait a       -> queues at p
        up p         -> queues at p
        open p       -> a#2
        sent a       ->
        ok a         -> Completed
    "#]],
    );
}

/// Four hours without an answer: as many attempts are left as before.
#[test]
fn an_outage_forgives() {
    check(
        &chain(&["a", "b"]),
        "sent a; down p; shut p; time a; later 14400000; up p; open p; sent a; time a; wait a; sent a; ok a; ok b",
        &expect![[r#"
            start        -> a
            sent a       ->
            time a       -> queues at p
            up p         -> queues at p
            open p       -> a#2
            sent a       ->
            time a       ->
            wait a       -> a#3
            sent a       ->
            ok a         -> b
            ok b         -> Completed
        "#]],
    );
}

/// Whoever says that it is out gives that attempt back, and no other: two failures are still two.
#[test]
fn an_attempt_that_met_an_outage_is_given_back() {
    check(
        &chain(&["a"]),
        "sent a; shut p; out a; later 14400000; open p; sent a; fail a; wait a; shut p; out a; open p; sent a; fail a; undone a",
        &expect![[r#"
            start        -> a
            sent a       ->
            out a        -> queues at p
            open p       -> a#2
            sent a       ->
            fail a       ->
            wait a       -> a#3
            out a        -> queues at p
            open p       -> a#4
            sent a       ->
            fail a       -> turns back, un-a
            undone a     -> Compensated
        "#]],
    );
    check(
        &chain(&["a", "b"]),
        "ok a; shut p; no b; open p; sent a; shut p; out a; open p; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        no b         -> turns back, queues at p
        open p       -> un-a
        sent a       ->
        out a        -> queues at p
        open p       -> un-a#2
        undone a     -> Compensated
    "#]],
    );
    check(
        &chain(&["a"]),
        "sent a; shut p; out a; out a; cancel; open p; undone a",
        &expect![[r#"
        start        -> a
        sent a       ->
        out a        -> queues at p
        out a        -> queues at p
        cancel       -> turns back, queues at p
        open p       -> un-a
        undone a     -> Cancelled
    "#]],
    );
}

/// Neither the wait for the participant nor the attempts that met the outage count against the total time.
// shows: retry.within x timeout
#[test]
fn an_outage_takes_nothing_of_the_total_time() {
    let mut made = chain(&["a"]);
    call_mut(&mut made, 0).retry.within = Some(15_000);
    check(
        &made,
        "sent a; later 9000; shut p; out a; later 14400000; open p; sent a; later 9000; shut p; out a; open p; sent a; later 9000; fail a; wait a; sent a; time a; undone a",
        &expect![[r#"
            start        -> a
            sent a       ->
            out a        -> queues at p
            open p       -> a#2
            sent a       ->
            out a        -> queues at p
            open p       -> a#3
            sent a       ->
            fail a       ->
            wait a       -> a#4
            sent a       ->
            time a       -> turns back, un-a
            undone a     -> Compensated
        "#]],
    );
}

#[test]
fn an_undoing_waits_too() {
    check(
        &chain(&["a", "b"]),
        "ok a; shut p; no b; ok a; open p; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        no b         -> turns back, queues at p
        ok a         -> queues at p
        open p       -> un-a
        undone a     -> Compensated
    "#]],
    );
    check(
        &chain(&["a", "b"]),
        "ok a; shut p; no b; down p; open p; sent a; time a; up p; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        no b         -> turns back, queues at p
        open p       -> un-a
        sent a       ->
        time a       -> un-a#2
        up p         ->
        undone a     -> Compensated
    "#]],
    );
}

/// The total time stands still while an attempt waits for something else than its participant.
#[test]
fn time_at_rest_is_not_used_up() {
    let mut made = chain(&["a"]);
    call_mut(&mut made, 0).retry.within = Some(15_000);
    call_mut(&mut made, 0).retry.attempts = 9;
    call_mut(&mut made, 0).with = Template::Literal(Default::default());
    call_mut(&mut made, 0).failed = Word::Stuck;
    check(
        &made,
        "sent a; fail a; shut p; wait a; later 3600000; open p; sent a; time a; wait a; sent a; time a",
        &expect![[r#"
            start        -> a
            sent a       ->
            fail a       ->
            wait a       -> queues at p
            open p       -> a#2
            sent a       ->
            time a       ->
            wait a       -> a#3
            sent a       ->
            time a       -> stuck: a failed: no answer in time
        "#]],
    );
}
