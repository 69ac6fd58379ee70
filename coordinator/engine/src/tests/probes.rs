//! Probes: what became of an effect that nobody answered for, and whether the world is as it should be before an end.

use expect_test::expect;
use sagaline_definition::model::{Check, Definition, Reaction, Word};
use sagaline_schemas::Value;

use super::stage::{back_to, call_mut, chain, check, expr, fact};

fn probed() -> Definition {
    let mut made = chain(&["a", "b"]);
    call_mut(&mut made, 0).probe = Some("status".to_owned());
    made
}

// shows: operations.probe x success, timeout, late success, cancel
#[test]
fn a_probe_settles_what_nobody_answered() {
    check(
        &probed(),
        "silence a; probed a yes 7; ok b",
        &expect![[r#"
        start        -> a
        sent a       ->
        time a       ->
        wait a       -> a#2
        sent a       ->
        time a       -> probe-a
        probed a yes 7 -> b
        ok b         -> Completed
    "#]],
    );
    check(
        &probed(),
        "silence a; probed a no",
        &expect![[r#"
        start        -> a
        sent a       ->
        time a       ->
        wait a       -> a#2
        sent a       ->
        time a       -> probe-a
        probed a no  -> turns back, Compensated
    "#]],
    );
    check(
        &probed(),
        "silence a; probed a unknown; undone a",
        &expect![[r#"
        start        -> a
        sent a       ->
        time a       ->
        wait a       -> a#2
        sent a       ->
        time a       -> probe-a
        probed a unknown -> turns back, un-a
        undone a     -> Compensated
    "#]],
    );
    check(
        &probed(),
        "silence a; silence a; undone a",
        &expect![[r#"
        start        -> a
        sent a       ->
        time a       ->
        wait a       -> a#2
        sent a       ->
        time a       -> probe-a
        sent a       ->
        time a       ->
        wait a       -> probe-a#2
        sent a       ->
        time a       -> turns back, un-a
        undone a     -> Compensated
    "#]],
    );
    check(
        &probed(),
        "silence a; ok a; probed a yes; ok b",
        &expect![[r#"
        start        -> a
        sent a       ->
        time a       ->
        wait a       -> a#2
        sent a       ->
        time a       -> probe-a
        ok a         -> b
        probed a yes ->
        ok b         -> Completed
    "#]],
    );
    check(
        &probed(),
        "silence a; cancel; probed a no; undone a",
        &expect![[r#"
        start        -> a
        sent a       ->
        time a       ->
        wait a       -> a#2
        sent a       ->
        time a       -> probe-a
        cancel       -> turns back, un-a
        probed a no  ->
        undone a     -> Cancelled
    "#]],
    );
}

/// Nothing is decided while the saga is stuck at something else: not even a probe.
#[test]
fn a_probe_waits_for_the_saga() {
    let mut made = probed();
    made.steps[1].after = vec![];
    call_mut(&mut made, 1).refused_else = Word::Stuck;
    check(
        &made,
        "sent a; time a; wait a; sent a; no b; time a; retry; probed a yes; ok b",
        &expect![[r#"
        start        -> a, b
        sent a       ->
        time a       ->
        wait a       -> a#2
        sent a       ->
        no b         -> stuck: b was refused: No
        time a       ->
        retry        -> goes on, probe-a, b@1
        probed a yes ->
        ok b         -> Completed
    "#]],
    );
}

fn ensured(within: i64) -> Definition {
    let mut made = probed();
    made.facts = vec![fact("n", Value::Int(1))];
    made.ensure.completed = Some(Check { condition: expr("probe.a.sum == facts.n"), within, probes: vec![0] });
    let nothing = expr("probe.a == null || probe.a.sum == 0");
    made.ensure.compensated = Some(Check { condition: nothing, within, probes: vec![0] });
    made
}

// shows: ensure.completed, ensure.if x success, refusal, timeout
// shows: ensure.compensated x success, refusal
#[test]
fn an_end_is_looked_at_before_it_is_called_by_its_name() {
    check(
        &ensured(0),
        "ok a; ok b; probed a yes {\"sum\":1}",
        &expect![[r#"
        start        -> a
        ok a         -> b
        ok b         -> probe-a
        probed a yes {"sum":1} -> Completed
    "#]],
    );
    check(
        &ensured(0),
        "ok a; ok b; probed a yes {\"sum\":2}; retry; probed a yes {\"sum\":1}",
        &expect![[r#"
        start        -> a
        ok a         -> b
        ok b         -> probe-a
        probed a yes {"sum":2} -> stuck: what must hold before its end does not: probe.a.sum == facts.n does not hold
        retry        -> goes on, probe-a#2
        probed a yes {"sum":1} -> Completed
    "#]],
    );
    check(
        &ensured(0),
        "ok a; ok b; silence a; close",
        &expect![[r#"
        start        -> a
        ok a         -> b
        ok b         -> probe-a
        sent a       ->
        time a       ->
        wait a       -> probe-a#2
        sent a       ->
        time a       -> stuck: what must hold before its end does not: probe.a.sum == facts.n: no member `sum` in null
        close        -> Closed
    "#]],
    );
    check(
        &ensured(0),
        "ok a; no b; undone a; probed a no {\"sum\":0}",
        &expect![[r#"
        start        -> a
        ok a         -> b
        no b         -> turns back, un-a
        undone a     -> probe-a
        probed a no {"sum":0} -> Compensated
    "#]],
    );
    check(
        &ensured(0),
        "no a",
        &expect![[r#"
        start        -> a
        no a         -> turns back, probe-a
    "#]],
    );
}

// shows: ensure.within x success, timeout
#[test]
fn it_may_take_its_time() {
    check(
        &ensured(20_000),
        "ok a; ok b; probed a yes {\"sum\":2}; look; probed a yes {\"sum\":1}",
        &expect![[r#"
        start        -> a
        ok a         -> b
        ok b         -> probe-a
        probed a yes {"sum":2} ->
        look         -> probe-a#2
        probed a yes {"sum":1} -> Completed
    "#]],
    );
    check(
        &ensured(20_000),
        "ok a; ok b; probed a unknown; look; probed a yes {\"sum\":2}; told n 2",
        &expect![[r#"
        start        -> a
        ok a         -> b
        ok b         -> probe-a
        probed a unknown ->
        look         -> probe-a#2
        probed a yes {"sum":2} ->
        told n 2     -> Completed
    "#]],
    );
    check(
        &ensured(20_000),
        "ok a; ok b; probed a yes {\"sum\":2}; ensure; deadline; retry; probed a yes {\"sum\":1}",
        &expect![[r#"
            start        -> a
            ok a         -> b
            ok b         -> probe-a
            probed a yes {"sum":2} ->
            ensure       -> stuck: what must hold before its end does not: probe.a.sum == facts.n does not hold
            deadline     -> overdue
            retry        -> goes on, probe-a#2
            probed a yes {"sum":1} -> Completed
        "#]],
    );
}

/// The charge of the first round was refunded; that says nothing of the second one, of which its probe knows nothing.
// shows: ensure.compensated x timeout
#[test]
fn what_was_found_of_an_earlier_round_is_no_answer() {
    let mut made = ensured(0);
    made.ensure.compensated = Some(Check { condition: expr("probe.a.sum == 0"), within: 0, probes: vec![0] });
    call_mut(&mut made, 1).refused.insert("Soft".to_owned(), back_to(0, 1, Word::Compensate));
    check(
        &made,
        "silence a; probed a yes {\"sum\":0}; no b Soft; undone a; ok a; no b; undone a; silence a; retry; probed a no {\"sum\":0}",
        &expect![[r#"
            start        -> a
            sent a       ->
            time a       ->
            wait a       -> a#2
            sent a       ->
            time a       -> probe-a
            probed a yes {"sum":0} -> b
            no b Soft    -> steps aside, un-a
            undone a     -> goes on, a@1
            ok a         -> b@1
            no b         -> turns back, un-a@1
            undone a     -> probe-a@1
            sent a       ->
            time a       ->
            wait a       -> probe-a@1#2
            sent a       ->
            time a       -> stuck: what must hold before its end does not: probe.a.sum == 0: no member `sum` in null
            retry        -> goes on, probe-a@1#3
            probed a no {"sum":0} -> Compensated
        "#]],
    );
}

/// Held by a reaction, it waits for people also once the time for the end is up; then all is looked at anew.
// shows: react.after_pivot x timeout
#[test]
fn a_reaction_may_hold_it_before_its_end() {
    let mut made = ensured(20_000);
    let condition = expr("facts.n > 1");
    made.react = vec![Reaction { condition, between: None, then: Word::Hold, after_pivot: Word::Hold }];
    check(
        &made,
        "ok a; ok b; probed a yes {\"sum\":5}; told n 2; ensure; release; probed a yes {\"sum\":2}",
        &expect![[r#"
            start        -> a
            ok a         -> b
            ok b         -> probe-a
            probed a yes {"sum":5} ->
            told n 2     ->
            ensure       ->
            release      -> probe-a#2
            probed a yes {"sum":2} -> Completed
        "#]],
    );
}

/// Until it has ended, it may still go back.
// shows: ensure.completed, ensure.compensated, ensure.if x cancel
#[test]
fn whoever_finds_it_wrong_may_cancel() {
    check(
        &ensured(0),
        "ok a; ok b; probed a yes {\"sum\":2}; cancel; undone b; undone a; probed a no {\"sum\":0}",
        &expect![[r#"
            start        -> a
            ok a         -> b
            ok b         -> probe-a
            probed a yes {"sum":2} -> stuck: what must hold before its end does not: probe.a.sum == facts.n does not hold
            cancel       -> turns back, un-b
            undone b     -> un-a
            undone a     -> probe-a#2
            probed a no {"sum":0} -> Cancelled
        "#]],
    );
}

/// While the end is looked at the way back is not over: what turns out to stand is undone.
// shows: ensure.compensated, ensure.if x late success
#[test]
fn a_late_success_before_the_end_is_undone() {
    check(
        &ensured(0),
        "cancel; nothing a; ok a; undone a; probed a no {\"sum\":0}",
        &expect![[r#"
        start        -> a
        cancel       -> turns back, un-a
        nothing a    -> probe-a
        ok a         -> turns back, un-a#2
        undone a     -> probe-a#2
        probed a no {"sum":0} -> Cancelled
    "#]],
    );
}

/// Going back has its own check and its own time for it, whatever sent the saga back.
// shows: ensure.compensated x timeout
// shows: ensure.within x refusal, cancel, late success
#[test]
fn the_way_back_may_take_its_time_too() {
    for (script, expected) in [
        (
            "ok a; no b; undone a; probed a yes {\"sum\":2}; ensure; retry; probed a no {\"sum\":0}",
            expect![[r#"
            start        -> a
            ok a         -> b
            no b         -> turns back, un-a
            undone a     -> probe-a
            probed a yes {"sum":2} ->
            ensure       -> stuck: what must hold before its end does not: probe.a == null || probe.a.sum == 0 does not hold
            retry        -> goes on, probe-a#2
            probed a no {"sum":0} -> Compensated
        "#]],
        ),
        (
            "ok a; cancel; nothing b; undone a; probed a yes {\"sum\":2}; look; probed a no {\"sum\":0}",
            expect![[r#"
            start        -> a
            ok a         -> b
            cancel       -> turns back, un-b
            nothing b    -> un-a
            undone a     -> probe-a
            probed a yes {"sum":2} ->
            look         -> probe-a#2
            probed a no {"sum":0} -> Cancelled
        "#]],
        ),
        (
            "cancel; nothing a; ok a; undone a; probed a yes {\"sum\":2}; look; probed a no {\"sum\":0}",
            expect![[r#"
            start        -> a
            cancel       -> turns back, un-a
            nothing a    -> probe-a
            ok a         -> turns back, un-a#2
            undone a     -> probe-a#2
            probed a yes {"sum":2} ->
            look         -> probe-a#3
            probed a no {"sum":0} -> Cancelled
        "#]],
        ),
    ] {
        check(&ensured(20_000), script, &expected);
    }
}

/// What is done after it was left out makes the saga stuck; then its end is looked at again.
// shows: ensure.completed x late success
#[test]
fn a_late_success_before_it_completes() {
    let mut made = ensured(0);
    call_mut(&mut made, 1).failed = Word::Skip;
    check(
        &made,
        "ok a; silence b; nothing b; ok b; retry; undone b; probed a yes {\"sum\":1}",
        &expect![[r#"
        start        -> a
        ok a         -> b
        sent b       ->
        time b       ->
        wait b       -> b#2
        sent b       ->
        time b       -> steps aside, un-b
        nothing b    -> goes on, probe-a, skips b
        ok b         -> stuck: b was done after its participant had said that there was nothing to undo
        retry        -> goes on, un-b#2
        undone b     -> goes on, probe-a#2
        probed a yes {"sum":1} -> Completed
    "#]],
    );
}
