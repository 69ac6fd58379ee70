//! Going forward: order, branches, retries, words, requests.

use expect_test::expect;
use sagaline_definition::Expr;
use sagaline_definition::model::Word;

use super::stage::{call_mut, chain, check};

// shows: call, step x success
#[test]
fn a_chain_completes() {
    check(
        &chain(&["a", "b"]),
        "ok a; ok b",
        &expect![[r#"
        start        -> a
        ok a         -> b
        ok b         -> Completed
    "#]],
    );
}

#[test]
fn a_repeated_reply_changes_nothing() {
    check(
        &chain(&["a", "b"]),
        "ok a; ok a; ok b; ok b; ok a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        ok a         ->
        ok b         -> Completed
        ok b         ->
        ok a         ->
    "#]],
    );
}

// shows: after x success
#[test]
fn branches_join() {
    let mut graph = chain(&["a", "b", "c", "d"]);
    graph.steps[2].after = vec![0];
    graph.steps[3].after = vec![1, 2];
    check(
        &graph,
        "ok a; ok c; ok b; ok d",
        &expect![[r#"
        start        -> a
        ok a         -> b, c
        ok c         ->
        ok b         -> d
        ok d         -> Completed
    "#]],
    );
}

// shows: if x success
#[test]
fn a_false_condition_skips() {
    let mut graph = chain(&["a", "b", "c"]);
    graph.steps[1].condition = Some(Expr::parse("a == 2").unwrap());
    check(
        &graph,
        "ok a; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> c, skips b
        ok c         -> Completed
    "#]],
    );
}

#[test]
fn an_expression_without_a_value_is_stuck_and_says_so() {
    let mut graph = chain(&["a", "b"]);
    graph.steps[1].condition = Some(Expr::parse("input.nothing > 1").unwrap());
    check(
        &graph,
        "ok a; retry; cancel; undone a",
        &expect![[r#"
            start        -> a
            ok a         -> stuck: an expression of b has no value: input.nothing > 1: no member `nothing` in {}
            retry        -> goes on, stuck: an expression of b has no value: input.nothing > 1: no member `nothing` in {}
            cancel       -> turns back, un-a
            undone a     -> Cancelled
        "#]],
    );
}

// shows: retry, retry.attempts x timeout
#[test]
fn attempts_are_used_up() {
    check(
        &chain(&["a"]),
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
}

// shows: retry x success
#[test]
fn a_failure_is_followed_by_the_next_attempt() {
    check(
        &chain(&["a"]),
        "sent a; fail a; fail a; wait a; sent a; ok a",
        &expect![[r#"
        start        -> a
        sent a       ->
        fail a       ->
        fail a       ->
        wait a       -> a#2
        sent a       ->
        ok a         -> Completed
    "#]],
    );
}

// shows: retry x late success
#[test]
fn a_late_success_during_the_wait_ends_the_retries() {
    check(
        &chain(&["a", "b"]),
        "sent a; time a; ok a; ok b",
        &expect![[r#"
        start        -> a
        sent a       ->
        time a       ->
        ok a         -> b
        ok b         -> Completed
    "#]],
    );
}

#[test]
fn working_moves_the_clock() {
    check(
        &chain(&["a"]),
        "sent a; working a 50000; time a; wait a; sent a; ok a",
        &expect![[r#"
        start        -> a
        sent a       ->
        working a 50000 ->
        time a       ->
        wait a       -> a#2
        sent a       ->
        ok a         -> Completed
    "#]],
    );
}

// shows: refused x success, refusal
// shows: operations.refuses x refusal
#[test]
fn refusals_by_code() {
    let mut graph = chain(&["a", "b"]);
    call_mut(&mut graph, 0).refused.insert("Soft".to_owned(), Word::Continue);
    check(
        &graph,
        "no a Soft; ok b",
        &expect![[r#"
        start        -> a
        no a Soft    -> b, continues a
        ok b         -> Completed
    "#]],
    );
    call_mut(&mut graph, 0).refused.insert("Hard".to_owned(), Word::Stuck);
    check(
        &graph,
        "no a Hard; retry; ok a; ok b",
        &expect![[r#"
            start        -> a
            no a Hard    -> stuck: a was refused: Hard
            retry        -> goes on, a@1
            ok a         -> b
            ok b         -> Completed
        "#]],
    );
}

// shows: step x timeout
#[test]
fn stuck_after_failure_retries_the_same_effect() {
    let mut graph = chain(&["a"]);
    call_mut(&mut graph, 0).failed = Word::Stuck;
    check(
        &graph,
        "silence a; retry; sent a; ok a",
        &expect![[r#"
            start        -> a
            sent a       ->
            time a       ->
            wait a       -> a#2
            sent a       ->
            time a       -> stuck: a failed: no answer in time
            retry        -> goes on, a#3
            sent a       ->
            ok a         -> Completed
        "#]],
    );
}

#[test]
fn a_word_is_owed_while_stuck_elsewhere() {
    let mut graph = chain(&["a", "b"]);
    graph.steps[1].after = vec![];
    call_mut(&mut graph, 0).failed = Word::Stuck;
    check(
        &graph,
        "silence a; no b; retry; undone a",
        &expect![[r#"
            start        -> a, b
            sent a       ->
            time a       ->
            wait a       -> a#2
            sent a       ->
            time a       -> stuck: a failed: no answer in time
            no b         ->
            retry        -> goes on, turns back, un-a
            undone a     -> Compensated
        "#]],
    );
}

#[test]
fn people_are_told_why_not() {
    check(
        &chain(&["a"]),
        "retry; close; ok a; cancel; retry; close",
        &expect![[r#"
            start        -> a
            retry        -> rejected: the saga is not stuck, and no such step is held: there is nothing to retry
            close        -> rejected: the saga is not stuck, and no step is held: cancel it instead, and its effects are undone
            ok a         -> Completed
            cancel       -> rejected: the saga has ended already: Completed
            retry        -> rejected: the saga has ended already: Completed
            close        -> rejected: the saga has ended already: Completed
        "#]],
    );
}

#[test]
fn the_deadline_turns_back_once() {
    check(
        &chain(&["a", "b"]),
        "ok a; deadline; deadline; nothing b; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        deadline     -> turns back, un-b
        deadline     ->
        nothing b    -> un-a
        undone a     -> Compensated
    "#]],
    );
}
