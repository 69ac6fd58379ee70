//! Going back: the exact reverse of what was decided, whatever comes late, twice or in contradiction.

use expect_test::expect;
use sagaline_definition::model::{Compensate, Word};

use super::stage::{call_mut, chain, check};

// shows: call, compensate x refusal
#[test]
fn refusal_at_every_step() {
    let abc = chain(&["a", "b", "c"]);
    check(
        &abc,
        "no a",
        &expect![[r#"
        start        -> a
        no a         -> turns back, Compensated
    "#]],
    );
    check(
        &abc,
        "ok a; no b; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        no b         -> turns back, un-a
        undone a     -> Compensated
    "#]],
    );
    check(
        &abc,
        "ok a; ok b; no c; undone b; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        ok b         -> c
        no c         -> turns back, un-b
        undone b     -> un-a
        undone a     -> Compensated
    "#]],
    );
}

// shows: call, compensate x timeout
#[test]
fn timeout_at_every_step() {
    let abc = chain(&["a", "b", "c"]);
    check(
        &abc,
        "silence a; nothing a",
        &expect![[r#"
        start        -> a
        sent a       ->
        time a       ->
        wait a       -> a#2
        sent a       ->
        time a       -> turns back, un-a
        nothing a    -> Compensated
    "#]],
    );
    check(
        &abc,
        "ok a; silence b; nothing b; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        sent b       ->
        time b       ->
        wait b       -> b#2
        sent b       ->
        time b       -> turns back, un-b
        nothing b    -> un-a
        undone a     -> Compensated
    "#]],
    );
    check(
        &abc,
        "ok a; ok b; silence c; undone c; undone b; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        ok b         -> c
        sent c       ->
        time c       ->
        wait c       -> c#2
        sent c       ->
        time c       -> turns back, un-c
        undone c     -> un-b
        undone b     -> un-a
        undone a     -> Compensated
    "#]],
    );
}

#[test]
fn failure_at_every_step() {
    let abc = chain(&["a", "b", "c"]);
    check(
        &abc,
        "sent a; fail a; wait a; fail a; nothing a",
        &expect![[r#"
        start        -> a
        sent a       ->
        fail a       ->
        wait a       -> a#2
        fail a       -> turns back, un-a
        nothing a    -> Compensated
    "#]],
    );
    check(
        &abc,
        "ok a; sent b; fail b; wait b; fail b; nothing b; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        sent b       ->
        fail b       ->
        wait b       -> b#2
        fail b       -> turns back, un-b
        nothing b    -> un-a
        undone a     -> Compensated
    "#]],
    );
    check(
        &abc,
        "ok a; ok b; sent c; fail c; wait c; fail c; nothing c; undone b; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        ok b         -> c
        sent c       ->
        fail c       ->
        wait c       -> c#2
        fail c       -> turns back, un-c
        nothing c    -> un-b
        undone b     -> un-a
        undone a     -> Compensated
    "#]],
    );
}

// shows: call, compensate x cancel
#[test]
fn cancel_at_every_step() {
    let abc = chain(&["a", "b", "c"]);
    check(
        &abc,
        "cancel; nothing a",
        &expect![[r#"
        start        -> a
        cancel       -> turns back, un-a
        nothing a    -> Cancelled
    "#]],
    );
    check(
        &abc,
        "ok a; cancel; nothing b; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        cancel       -> turns back, un-b
        nothing b    -> un-a
        undone a     -> Cancelled
    "#]],
    );
    check(
        &abc,
        "ok a; ok b; cancel; undone c; undone b; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        ok b         -> c
        cancel       -> turns back, un-c
        undone c     -> un-b
        undone b     -> un-a
        undone a     -> Cancelled
    "#]],
    );
    check(
        &abc,
        "ok a; cancel; cancel; ok b; undone b; undone a; cancel",
        &expect![[r#"
        start        -> a
        ok a         -> b
        cancel       -> turns back, un-b
        cancel       -> rejected: the saga is going back already
        ok b         ->
        undone b     -> un-a
        undone a     -> Cancelled
        cancel       -> rejected: the saga has ended already: Cancelled
    "#]],
    );
}

// shows: call, compensate x late success
#[test]
fn late_success_after_compensation_began() {
    let ab = chain(&["a", "b"]);
    check(
        &ab,
        "ok a; silence b; ok b; undone b; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        sent b       ->
        time b       ->
        wait b       -> b#2
        sent b       ->
        time b       -> turns back, un-b
        ok b         ->
        undone b     -> un-a
        undone a     -> Compensated
    "#]],
    );
    check(
        &ab,
        "ok a; cancel; ok b; undone b; undone a; ok b; ok a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        cancel       -> turns back, un-b
        ok b         ->
        undone b     -> un-a
        undone a     -> Cancelled
        ok b         ->
        ok a         ->
    "#]],
    );
}

// shows: refused x cancel
#[test]
fn late_refusal_takes_an_effect_off_the_list() {
    let mut abc = chain(&["a", "b", "c"]);
    abc.steps[1].after = vec![];
    abc.steps[2].after = vec![];
    check(
        &abc,
        "ok a; ok b; cancel; no b; undone c; undone b; undone a",
        &expect![[r#"
            start        -> a, b, c
            ok a         ->
            ok b         ->
            cancel       -> turns back, un-c
            no b         -> stuck: the participant says both that b was done and that it was not
            undone c     ->
            undone b     -> rejected: there was no command of kind Compensate with attempt 1
            undone a     -> rejected: there was no command of kind Compensate with attempt 1
        "#]],
    );
    check(
        &abc,
        "cancel; no b; nothing c; nothing a",
        &expect![[r#"
        start        -> a, b, c
        cancel       -> turns back, un-c
        no b         ->
        nothing c    -> un-a
        nothing a    -> Cancelled
    "#]],
    );
}

// shows: retry x refusal
#[test]
fn refusal_after_retries() {
    check(
        &chain(&["a", "b"]),
        "ok a; sent b; fail b; wait b; sent b; no b; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        sent b       ->
        fail b       ->
        wait b       -> b#2
        sent b       ->
        no b         -> turns back, un-a
        undone a     -> Compensated
    "#]],
    );
}

// shows: refused, step x late success
#[test]
fn contradictions_are_for_people() {
    let ab = chain(&["a", "b"]);
    check(
        &ab,
        "ok a; no a; retry; ok b; cancel; undone b; undone a",
        &expect![[r#"
            start        -> a
            ok a         -> b
            no a         -> stuck: the participant says both that a was done and that it was not
            retry        -> rejected: the participant contradicts itself: find out what is true and confirm it, or cancel
            ok b         ->
            cancel       -> turns back, un-b
            undone b     -> un-a
            undone a     -> Cancelled
        "#]],
    );
    check(
        &ab,
        "ok a; no b; ok b; retry; undone a; undone b",
        &expect![[r#"
            start        -> a
            ok a         -> b
            no b         -> turns back, un-a
            ok b         -> stuck: the participant says both that b was done and that it was not
            retry        -> goes on
            undone a     -> un-b
            undone b     -> Compensated
        "#]],
    );
}

#[test]
fn a_success_after_nothing_there_is_undone_again() {
    let ab = chain(&["a", "b"]);
    check(
        &ab,
        "ok a; cancel; nothing b; ok b; undone a; undone b",
        &expect![[r#"
        start        -> a
        ok a         -> b
        cancel       -> turns back, un-b
        nothing b    -> un-a
        ok b         ->
        undone a     -> un-b#2
        undone b     -> Cancelled
    "#]],
    );
    check(
        &ab,
        "ok a; cancel; nothing b; undone a; ok b; retry; nothing b; undone b",
        &expect![[r#"
            start        -> a
            ok a         -> b
            cancel       -> turns back, un-b
            nothing b    -> un-a
            undone a     -> Cancelled
            ok b         -> stuck: b was done after its participant had said that there was nothing to undo
            retry        -> goes on, un-b#2
            nothing b    -> stuck: b was done after its participant had said that there was nothing to undo
            undone b     -> goes on, Cancelled
        "#]],
    );
}

#[test]
fn a_compensation_that_keeps_failing_is_stuck_never_failed() {
    let ab = chain(&["a", "b"]);
    check(
        &ab,
        "ok a; no b; silence a; retry; sent a; undone a",
        &expect![[r#"
            start        -> a
            ok a         -> b
            no b         -> turns back, un-a
            sent a       ->
            time a       ->
            wait a       -> un-a#2
            sent a       ->
            time a       -> stuck: a can't be undone: no answer in time
            retry        -> goes on, un-a#3
            sent a       ->
            undone a     -> Compensated
        "#]],
    );
    check(
        &ab,
        "ok a; no b; silence a; undone a",
        &expect![[r#"
            start        -> a
            ok a         -> b
            no b         -> turns back, un-a
            sent a       ->
            time a       ->
            wait a       -> un-a#2
            sent a       ->
            time a       -> stuck: a can't be undone: no answer in time
            undone a     -> goes on, Compensated
        "#]],
    );
    check(
        &ab,
        "ok a; no b; forgotten a; close",
        &expect![[r#"
            start        -> a
            ok a         -> b
            no b         -> turns back, un-a
            forgotten a  -> stuck: a can't be undone: the participant no longer remembers the effect
            close        -> Closed
        "#]],
    );
}

// shows: compensate x success
#[test]
fn what_is_never_compensated_stays() {
    let mut abc = chain(&["a", "b", "c"]);
    call_mut(&mut abc, 1).compensate = Compensate::Never;
    check(
        &abc,
        "ok a; ok b; no c; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        ok b         -> c
        no c         -> turns back, un-a
        undone a     -> Compensated
    "#]],
    );
}

// shows: pivot x success, refusal, timeout, cancel
// shows: step x cancel
#[test]
fn after_the_pivot_only_forward() {
    let mut abc = chain(&["a", "b", "c"]);
    abc.steps[1].pivot = true;
    call_mut(&mut abc, 1).compensate = Compensate::Never;
    call_mut(&mut abc, 2).failed = Word::Stuck;
    check(
        &abc,
        "ok a; cancel; deadline; retry; ok b; silence c; retry; ok c",
        &expect![[r#"
            start        -> a
            ok a         -> b
            cancel       -> rejected: the pivot "b" is decided: the saga only goes forward
            deadline     -> stuck: its time is up
            retry        -> goes on
            ok b         -> c
            sent c       ->
            time c       ->
            wait c       -> c#2
            sent c       ->
            time c       -> stuck: c failed: no answer in time
            retry        -> goes on, c#3
            ok c         -> Completed
        "#]],
    );
    check(
        &abc,
        "ok a; no b; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        no b         -> turns back, un-a
        undone a     -> Compensated
    "#]],
    );
    check(
        &abc,
        "ok a; silence b; cancel; retry; ok b; ok c",
        &expect![[r#"
            start        -> a
            ok a         -> b
            sent b       ->
            time b       ->
            wait b       -> b#2
            sent b       ->
            time b       -> stuck: b failed: no answer in time
            cancel       -> rejected: the pivot "b" is decided: the saga only goes forward
            retry        -> goes on, b#3
            ok b         -> c
            ok c         -> Completed
        "#]],
    );
    check(
        &abc,
        "ok a; ok b; no c; close",
        &expect![[r#"
            start        -> a
            ok a         -> b
            ok b         -> c
            no c         -> stuck: c was refused: No
            close        -> Closed
        "#]],
    );
}

#[test]
fn an_undoing_whose_next_attempt_fell_due_while_the_saga_was_stuck_goes_on_with_the_retry() {
    check(
        &chain(&["a", "b"]),
        "ok a; no b; fail a; ok b; wait a; retry; undone a; undone b",
        &expect![[r#"
            start        -> a
            ok a         -> b
            no b         -> turns back, un-a
            fail a       ->
            ok b         -> stuck: the participant says both that b was done and that it was not
            wait a       ->
            retry        -> goes on, un-a#2
            undone a     -> un-b
            undone b     -> Compensated
        "#]],
    );
}

#[test]
fn a_contradiction_outweighs_the_reason_it_finds() {
    let mut ab = chain(&["a", "b"]);
    call_mut(&mut ab, 0).refused_else = Word::Stuck;
    check(
        &ab,
        "no a; ok a; retry; cancel; undone a",
        &expect![[r#"
            start        -> a
            no a         -> stuck: a was refused: No
            ok a         -> stuck: the participant says both that a was done and that it was not
            retry        -> rejected: the participant contradicts itself: find out what is true and confirm it, or cancel
            cancel       -> turns back, un-a
            undone a     -> Cancelled
        "#]],
    );
}

#[test]
fn what_people_closed_stays_closed() {
    let mut ab = chain(&["a", "b"]);
    call_mut(&mut ab, 1).refused_else = Word::Stuck;
    check(
        &ab,
        "ok a; no b; close; ok b; retry",
        &expect![[r#"
            start        -> a
            ok a         -> b
            no b         -> stuck: b was refused: No
            close        -> Closed
            ok b         ->
            retry        -> rejected: the saga has ended already: Closed
        "#]],
    );
    let ab = chain(&["a", "b"]);
    check(
        &ab,
        "ok a; no b; ok b; close; sent a; fail a; forgotten a; retry",
        &expect![[r#"
            start        -> a
            ok a         -> b
            no b         -> turns back, un-a
            ok b         -> stuck: the participant says both that b was done and that it was not
            close        -> Closed
            sent a       ->
            fail a       ->
            forgotten a  ->
            retry        -> rejected: the saga has ended already: Closed
        "#]],
    );
}

#[test]
fn no_participant_can_put_an_undoing_off_for_ever() {
    let a = chain(&["a"]);
    check(
        &a,
        "cancel; sent a; working a 9223372036854775807; time a; wait a; sent a; undone a",
        &expect![[r#"
        start        -> a
        cancel       -> turns back, un-a
        sent a       ->
        working a 9223372036854775807 ->
        time a       ->
        wait a       -> un-a#2
        sent a       ->
        undone a     -> Cancelled
    "#]],
    );
    check(
        &a,
        "cancel; sent a; fail a 9223372036854775807; wait a; sent a; undone a",
        &expect![[r#"
        start        -> a
        cancel       -> turns back, un-a
        sent a       ->
        fail a 9223372036854775807 ->
        wait a       -> un-a#2
        sent a       ->
        undone a     -> Cancelled
    "#]],
    );
}
