//! `for_each`: items at once, enough of them, one that fails, the way back over items and branches.

use expect_test::expect;
use sagaline_definition::model::{Check, Compensate, Definition, ForEach, Guard, Word};

use super::stage::{back_to, call_mut, chain, check, child, definition, expr, fact};

/// a, then b for each of these, then c with what came of them.
fn each(list: &str, at_once: u32, enough: Option<u32>) -> Definition {
    let mut made = chain(&["a", "b", "c"]);
    let item = "line".to_owned();
    made.steps[1].for_each = Some(ForEach { item, list: expr(list), at_once, most: 4, enough });
    call_mut(&mut made, 1).with = sagaline_definition::model::Template::Expr(expr("line * 10"));
    call_mut(&mut made, 2).with = sagaline_definition::model::Template::Expr(expr("b"));
    made
}

// shows: for_each, for_each.at_once, with x success
#[test]
fn as_many_at_once_as_allowed_and_results_in_order() {
    check(
        &each("[1, 2, 3]", 2, None),
        "ok a; ok b/1 \"y\"; ok b/2 \"z\"; ok b/0 \"x\"; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> b/0(10), b/1(20)
        ok b/1 "y"   -> b/2(30)
        ok b/2 "z"   ->
        ok b/0 "x"   -> c(["x","y","z"])
        ok c         -> Completed
    "#]],
    );
    check(
        &each("[]", 2, None),
        "ok a; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> c([])
        ok c         -> Completed
    "#]],
    );
}

// shows: for_each.most x success
#[test]
fn a_list_that_is_too_long_is_a_failure_of_the_step() {
    let mut made = each("[1, 2, 3, 4, 5]", 2, None);
    check(
        &made,
        "ok a; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> turns back, un-a
        undone a     -> Compensated
    "#]],
    );
    call_mut(&mut made, 1).failed = Word::Skip;
    check(
        &made,
        "ok a; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> c([null]), skips b/0
        ok c         -> Completed
    "#]],
    );
    made = each("facts.n == 1 ? [1] : [1, 2, 3, 4, 5]", 2, None);
    made.facts = vec![fact("n", sagaline_schemas::Value::Int(0))];
    call_mut(&mut made, 1).failed = Word::Hold;
    check(
        &made,
        "ok a; told n 1; retry b/0; ok b/0; ok c",
        &expect![[r#"
            start        -> a
            ok a         -> holds b/0
            told n 1     ->
            retry b/0    -> b/0@1(10)
            ok b/0       -> c([1])
            ok c         -> Completed
        "#]],
    );
}

// shows: for_each, with x refusal
#[test]
fn the_way_back_is_the_exact_reverse_over_items() {
    check(
        &each("[1, 2, 3]", 2, None),
        "ok a; ok b/1; ok b/2; no b/0; undone b/2; undone b/1; undone a",
        &expect![[r#"
            start        -> a
            ok a         -> b/0(10), b/1(20)
            ok b/1       -> b/2(30)
            ok b/2       ->
            no b/0       -> turns back, un-b/2(30)
            undone b/2   -> un-b/1(20)
            undone b/1   -> un-a
            undone a     -> Compensated
        "#]],
    );
    let mut branches = each("[1, 2]", 1, None);
    branches.steps[2].after = vec![0];
    call_mut(&mut branches, 2).with = sagaline_definition::model::Template::Literal(Default::default());
    check(
        &branches,
        "ok a; ok b/0; ok c; no b/1; undone c; undone b/0; undone a",
        &expect![[r#"
            start        -> a
            ok a         -> b/0(10), c
            ok b/0       -> b/1(20)
            ok c         ->
            no b/1       -> turns back, un-c
            undone c     -> un-b/0(10)
            undone b/0   -> un-a
            undone a     -> Compensated
        "#]],
    );
}

// shows: for_each x timeout
#[test]
fn one_that_is_skipped_is_null_among_the_results() {
    let mut made = each("[1, 2]", 2, None);
    call_mut(&mut made, 1).failed = Word::Skip;
    check(
        &made,
        "ok a; silence b/0; ok b/1; undone b/0; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> b/0(10), b/1(20)
        sent b/0     ->
        time b/0     ->
        wait b/0     -> b/0#2(10)
        sent b/0     ->
        time b/0     -> steps aside, un-b/0(10)
        ok b/1       ->
        undone b/0   -> goes on, c([null,1]), skips b/0
        ok c         -> Completed
    "#]],
    );
}

/// What is under way when enough are done is undone alone, newest first; what has not begun never does.
// shows: for_each.enough, for_each.rest x success, late success, cancel
#[test]
fn enough_is_enough() {
    check(
        &each("[1, 2, 3, 4]", 3, Some(1)),
        "ok a; ok b/1; nothing b/2; ok b/0; undone b/0; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> b/0(10), b/1(20), b/2(30)
        ok b/1       -> steps aside, un-b/2(30), skips b/3
        nothing b/2  -> un-b/0(10)
        ok b/0       ->
        undone b/0   -> goes on, c([null,1,null,null]), skips b/0, skips b/2
        ok c         -> Completed
    "#]],
    );
    check(
        &each("[1, 2, 3]", 1, Some(2)),
        "ok a; ok b/0; ok b/1; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> b/0(10)
        ok b/0       -> b/1(20)
        ok b/1       -> c([1,1,null]), skips b/2
        ok c         -> Completed
    "#]],
    );
    check(
        &each("[1, 2, 3]", 3, Some(1)),
        "ok a; ok b/1; cancel; nothing b/2; undone b/1; undone b/0; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b/0(10), b/1(20), b/2(30)
        ok b/1       -> steps aside, un-b/2(30)
        cancel       -> turns back
        nothing b/2  -> un-b/1(20)
        undone b/1   -> un-b/0(10)
        undone b/0   -> un-a
        undone a     -> Cancelled
    "#]],
    );
}

/// The word of the step says what becomes of an item, and nothing counts again at the end: a guard behind it does, where somebody wants it.
// shows: for_each.enough x refusal, timeout
#[test]
fn fewer_than_enough_are_what_there_is() {
    let mut made = each("[1, 2, 3]", 3, Some(2));
    call_mut(&mut made, 1).refused_else = Word::Skip;
    call_mut(&mut made, 1).failed = Word::Continue;
    let condition = expr("b.filter(done, done != null).size() >= 2");
    made.steps[2].guard = Some(Guard { condition, otherwise: Word::Compensate });
    check(
        &made,
        "ok a; no b/0; silence b/1; ok b/2; undone b/2; undone b/1; undone a",
        &expect![[r#"
            start        -> a
            ok a         -> b/0(10), b/1(20), b/2(30)
            no b/0       -> skips b/0
            sent b/1     ->
            time b/1     ->
            wait b/1     -> b/1#2(20)
            sent b/1     ->
            time b/1     -> continues b/1
            ok b/2       -> turns back, un-b/2(30)
            undone b/2   -> un-b/1(20)
            undone b/1   -> un-a
            undone a     -> Compensated
        "#]],
    );
    check(
        &each("[1]", 3, Some(2)),
        "ok a; ok b/0; ok c",
        &expect![[r#"
            start        -> a
            ok a         -> b/0(10)
            ok b/0       -> c([1])
            ok c         -> Completed
        "#]],
    );
}

#[test]
fn children_for_each_item_have_keys_of_their_own() {
    let mut made = definition(vec![child("x")]);
    made.steps[0].for_each =
        Some(ForEach { item: "line".to_owned(), list: expr("[1, 2]"), at_once: 2, most: 4, enough: None });
    check(
        &made,
        "child x/0 completed; child x/1 compensated; child x/0 compensated",
        &expect![[r#"
            start        -> starts x/0 as k/x/0, starts x/1 as k/x/1
            child x/0 completed ->
            child x/1 compensated -> turns back, compensates x/0
            child x/0 compensated -> Compensated
        "#]],
    );
}

/// What happened for another round is undone with the item that it was for, though the list is another one by now.
// shows: compensate.with, for_each x late success
#[test]
fn an_item_of_another_round_is_undone_as_what_it_was() {
    let mut made = each("facts.list", 2, None);
    made.facts = vec![fact("list", sagaline_schemas::Value::List(vec![]))];
    let with = sagaline_definition::model::Template::Expr(expr("line"));
    let Compensate::By { with: of, .. } = &mut call_mut(&mut made, 1).compensate else { panic!("it is undone") };
    *of = Some(with);
    call_mut(&mut made, 1).refused_else = back_to(0, 1, Word::Stuck);
    check(
        &made,
        "told list [7]; ok a; no b/0; undone a; told list [9]; ok a; ok b/0@0; confirm b/0@0 done; undone b/0@0; ok b/0; ok c",
        &expect![[r#"
            start        -> a
            told list [7] ->
            ok a         -> b/0(70)
            no b/0       -> steps aside, un-a
            undone a     -> goes on, a@1
            told list [9] ->
            ok a         -> b/0@1(90)
            ok b/0@0     -> stuck: the participant says both that b, item 0 was done and that it was not
            confirm b/0@0 done -> goes on, un-b/0(7)
            undone b/0@0 -> goes on
            ok b/0       -> c@1([1])
            ok c         -> Completed
        "#]],
    );
}

/// The list was begun in a round before, and not again: its probes are a list all the same.
// shows: ensure.compensated x success
#[test]
fn what_is_found_of_a_list_is_a_list_on_the_way_back() {
    let mut made = each("[1, 2]", 5, None);
    call_mut(&mut made, 1).probe = Some("status".to_owned());
    call_mut(&mut made, 2).refused.insert("Soft".to_owned(), back_to(0, 1, Word::Compensate));
    let condition = expr("probe.b == null || probe.b.all(it, it == 0)");
    made.ensure.compensated = Some(Check { condition, within: 0, probes: vec![1] });
    check(
        &made,
        "ok a; ok b/0; ok b/1; no c Soft; undone b/1; undone b/0; undone a; no a; probed b/0 no 0; probed b/1 no 0",
        &expect![[r#"
            start        -> a
            ok a         -> b/0(10), b/1(20)
            ok b/0       ->
            ok b/1       -> c([1,1])
            no c Soft    -> steps aside, un-b/1(20)
            undone b/1   -> un-b/0(10)
            undone b/0   -> un-a
            undone a     -> goes on, a@1
            no a         -> turns back, probe-b/0(10), probe-b/1(20)
            probed b/0 no 0 ->
            probed b/1 no 0 -> Compensated
        "#]],
    );
}
