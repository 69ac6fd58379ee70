//! What people ask, and why not. What they settle stands in the world report with their name.

use expect_test::expect;
use sagaline_definition::model::{Compensate, Definition, Template, Word};

use super::stage::{POLICY, Stage, back_to, call_mut, chain, check, expr};

fn stuck() -> Definition {
    let mut made = chain(&["a", "b", "c"]);
    call_mut(&mut made, 1).failed = Word::Stuck;
    made
}

#[test]
fn what_nobody_answered_is_confirmed() {
    check(
        &stuck(),
        "ok a; silence b; confirm b done 7; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> b
        sent b       ->
        time b       ->
        wait b       -> b#2
        sent b       ->
        time b       -> stuck: b failed: no answer in time
        confirm b done 7 -> goes on, c
        ok c         -> Completed
    "#]],
    );
    check(
        &stuck(),
        "ok a; silence b; confirm b not; retry; ok b; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> b
        sent b       ->
        time b       ->
        wait b       -> b#2
        sent b       ->
        time b       -> stuck: b failed: no answer in time
        confirm b not ->
        retry        -> goes on, b@1
        ok b         -> c
        ok c         -> Completed
    "#]],
    );
    check(
        &stuck(),
        "ok a; confirm a done; confirm a undone; confirm z done; confirm c done; confirm b not; undone a",
        &expect![[r#"
            start        -> a
            ok a         -> b
            confirm a done -> rejected: its participant has said what became of it: nothing is to be confirmed
            confirm a undone -> rejected: it is not being undone
            confirm z done -> rejected: there is no step "z"
            confirm c done -> rejected: the step "c" has done nothing yet
            confirm b not -> turns back, un-a
            undone a     -> Compensated
        "#]],
    );
    check(
        &stuck(),
        "ok a; cancel; silence b; confirm b undone; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        cancel       -> turns back, un-b
        sent b       ->
        time b       ->
        wait b       -> un-b#2
        sent b       ->
        time b       -> stuck: b can't be undone: no answer in time
        confirm b undone -> goes on, un-a
        undone a     -> Cancelled
    "#]],
    );
    check(
        &stuck(),
        "ok a; cancel; silence b; confirm b not; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        cancel       -> turns back, un-b
        sent b       ->
        time b       ->
        wait b       -> un-b#2
        sent b       ->
        time b       -> stuck: b can't be undone: no answer in time
        confirm b not -> goes on, un-a
        undone a     -> Cancelled
    "#]],
    );
}

#[test]
fn a_contradiction_is_settled() {
    check(
        &chain(&["a", "b"]),
        "ok a; no a; confirm a done; ok b",
        &expect![[r#"
        start        -> a
        ok a         -> b
        no a         -> stuck: the participant says both that a was done and that it was not
        confirm a done -> goes on
        ok b         -> Completed
    "#]],
    );
    check(
        &chain(&["a", "b"]),
        "ok a; no a; confirm a not; undone b",
        &expect![[r#"
            start        -> a
            ok a         -> b
            no a         -> stuck: the participant says both that a was done and that it was not
            confirm a not -> goes on, turns back, un-b
            undone b     -> Compensated
        "#]],
    );
    // Two at once: neither is forgotten.
    check(
        &chain(&["a", "b", "c"]),
        "ok a; ok b; no a; no b; confirm a done; confirm b done; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> b
        ok b         -> c
        no a         -> stuck: the participant says both that a was done and that it was not
        no b         ->
        confirm a done -> goes on, stuck: the participant says both that b was done and that it was not
        confirm b done -> goes on
        ok c         -> Completed
    "#]],
    );
    check(
        &chain(&["a"]),
        "ok a; no a; cancel; retry; confirm a done",
        &expect![[r#"
        start        -> a
        ok a         -> Completed
        no a         -> stuck: the participant says both that a was done and that it was not
        cancel       -> rejected: the saga had ended already: Completed. Confirm what is true, retry it, or close it
        retry        -> rejected: the participant contradicts itself: find out what is true and confirm it, or cancel
        confirm a done -> goes on, Completed
    "#]],
    );
}

/// The step has begun anew since: what happened for the round before is undone alone.
#[test]
fn what_happened_for_another_round_is_undone() {
    let mut made = chain(&["a", "b"]);
    call_mut(&mut made, 1).refused_else = Word::Hold;
    check(
        &made,
        "ok a; no b; retry b; ok b@0; confirm b@0 done; undone b@0; ok b",
        &expect![[r#"
        start        -> a
        ok a         -> b
        no b         -> holds b
        retry b      -> b@1
        ok b@0       -> stuck: the participant says both that b was done and that it was not
        confirm b@0 done -> goes on, un-b
        undone b@0   -> goes on
        ok b         -> Completed
    "#]],
    );
    call_mut(&mut made, 1).refused_else = back_to(0, 1, Word::Stuck);
    check(
        &made,
        "ok a; no b; undone a; ok b@0; confirm b@0 not; ok a; ok b",
        &expect![[r#"
        start        -> a
        ok a         -> b
        no b         -> steps aside, un-a
        undone a     -> goes on, a@1
        ok b@0       -> stuck: the participant says both that b was done and that it was not
        confirm b@0 not -> goes on
        ok a         -> b@1
        ok b         -> Completed
    "#]],
    );
}

#[test]
fn places_are_left_out_where_the_definition_allows_it() {
    check(
        &stuck(),
        "ok a; silence b; skip b; close",
        &expect![[r#"
        start        -> a
        ok a         -> b
        sent b       ->
        time b       ->
        wait b       -> b#2
        sent b       ->
        time b       -> stuck: b failed: no answer in time
        skip b       -> rejected: the definition does not allow it: none of the step's words is `skip` or `continue`
        close        -> Closed
    "#]],
    );
    let mut made = stuck();
    call_mut(&mut made, 1).refused.insert("Gone".to_owned(), Word::Skip);
    check(
        &made,
        "ok a; skip b; silence b; skip b; undone b; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> b
        skip b       -> rejected: the step is neither held nor what the saga is stuck at
        sent b       ->
        time b       ->
        wait b       -> b#2
        sent b       ->
        time b       -> stuck: b failed: no answer in time
        skip b       -> goes on, steps aside, un-b
        undone b     -> goes on, c, skips b
        ok c         -> Completed
    "#]],
    );
    // The same where only the end of its rounds would leave it out.
    let mut made = stuck();
    call_mut(&mut made, 1).refused.insert("Gone".to_owned(), back_to(0, 3, Word::Skip));
    check(
        &made,
        "ok a; silence b; skip b; undone b; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> b
        sent b       ->
        time b       ->
        wait b       -> b#2
        sent b       ->
        time b       -> stuck: b failed: no answer in time
        skip b       -> goes on, steps aside, un-b
        undone b     -> goes on, c, skips b
        ok c         -> Completed
    "#]],
    );
}

#[test]
fn a_saga_is_held_and_let_go() {
    check(
        &chain(&["a", "b"]),
        "hold; hold; ok a; release; release; ok b; hold",
        &expect![[r#"
        start        -> a
        hold         ->
        hold         -> rejected: the saga is held already
        ok a         ->
        release      -> b
        release      -> rejected: the saga is not held
        ok b         -> Completed
        hold         -> rejected: the saga has ended already: Completed
    "#]],
    );
    check(
        &chain(&["a", "b"]),
        "hold; ok a; cancel; hold; undone a",
        &expect![[r#"
        start        -> a
        hold         ->
        ok a         ->
        cancel       -> turns back, un-a
        hold         -> rejected: the saga begins nothing new any more: there is nothing to hold
        undone a     -> Cancelled
    "#]],
    );
    check(
        &chain(&["a"]),
        "assign team-b; note hello; ok a; note later; assign c",
        &expect![[r#"
        start        -> a
        assign team-b ->
        note hello   ->
        ok a         -> Completed
        note later   ->
        assign c     -> rejected: the saga has ended already: Completed
    "#]],
    );
}

#[test]
fn a_held_step_may_be_the_end() {
    let mut made = chain(&["a", "b"]);
    call_mut(&mut made, 1).refused_else = Word::Hold;
    check(
        &made,
        "ok a; no b; retry a; retry z; close",
        &expect![[r#"
        start        -> a
        ok a         -> b
        no b         -> holds b
        retry a      -> rejected: the saga is not stuck, and no such step is held: there is nothing to retry
        retry z      -> rejected: there is no step "z": the definition has a, b
        close        -> Closed
    "#]],
    );
    check(
        &made,
        "ok a; no b; cancel; retry b; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        no b         -> holds b
        cancel       -> turns back, un-a
        retry b      -> rejected: the saga goes back behind this step
        undone a     -> Cancelled
    "#]],
    );
}

/// Its own input, looked at when it is decided; one that has no value is for people.
// shows: compensate.with x success, refusal
#[test]
fn an_undoing_may_have_its_own_input() {
    let mut made = chain(&["a", "b"]);
    let with = Some(Template::Expr(expr("a.id")));
    call_mut(&mut made, 0).compensate = Compensate::By { operation: "un-a".to_owned(), retry: POLICY, with };
    check(
        &made,
        "ok a {\"id\":5}; no b; undone a",
        &expect![[r#"
        start        -> a
        ok a {"id":5} -> b
        no b         -> turns back, un-a(5)
        undone a     -> Compensated
    "#]],
    );
    check(
        &made,
        "ok a {}; no b; retry; confirm a undone; retry",
        &expect![[r#"
        start        -> a
        ok a {}      -> b
        no b         -> turns back, stuck: an expression of a has no value: a.id: no member `id` in {}
        retry        -> goes on, stuck: an expression of a has no value: a.id: no member `id` in {}
        confirm a undone ->
        retry        -> goes on, Compensated
    "#]],
    );
}

#[test]
fn the_report_names_whoever_found_out() {
    let mut stage = Stage::new(stuck());
    stage.play("ok a; silence b; confirm b done 7");
    let report = crate::report::report(&stage.definition, &stage.saga);
    let known: Vec<_> = report.effects.iter().map(|effect| (effect.step.as_str(), effect.known_by.as_str())).collect();
    assert_eq!(known, [("a", "reply"), ("b", "by hand: ada, why not (a letter)"), ("c", "nobody said")]);
}
