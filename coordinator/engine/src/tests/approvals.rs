//! People decide: who may, how many, what they were shown, and that it is still true.

use expect_test::expect;
use sagaline_definition::model::{Approve, Definition, Patience, Template, Verb, Word};
use sagaline_schemas::Value;

use super::stage::{back_to, call, call_mut, check, definition, expr, fact, step};

fn approve() -> Approve {
    Approve {
        by: vec!["role/manager".to_owned(), "user/eve".to_owned()],
        show: Template::Expr(expr("facts.n")),
        choices: [
            ("yes".to_owned(), Word::Continue),
            ("no".to_owned(), Word::Compensate),
            ("ask".to_owned(), Word::Hold),
            ("again".to_owned(), back_to(0, 1, Word::Stuck)),
            ("leave".to_owned(), Word::Skip),
        ]
        .into(),
        quorum: 1,
        escalate: vec![(24_000, "role/director".to_owned()), (36_000, "user/boss".to_owned())],
        patience: Patience { within: 48_000, remind: None, otherwise: Word::Compensate },
        void_if: None,
    }
}

/// a, then people decide, then c.
fn asks(approve: Approve) -> Definition {
    let steps =
        vec![step("a", Verb::Call(call("a"))), step("p", Verb::Approve(approve)), step("c", Verb::Call(call("c")))];
    let mut made = definition(steps);
    call_mut(&mut made, 2).with = Template::Expr(expr("p"));
    made.facts = vec![fact("n", Value::Int(1))];
    made
}

/// What comes after reads what was chosen: only an approval that may end without a choice is left out.
#[test]
fn an_approval_is_left_out_only_where_its_result_may_be_missing() {
    check(
        &asks(approve()),
        "ok a; vote p ask by eve; skip p; release p; vote p yes by eve; ok c",
        &expect![[r#"
            start        -> a
            ok a         -> asks role/manager, user/eve at p
            vote p ask by eve -> eve chose ask, holds p
            skip p       -> rejected: the definition does not allow it: steps after it may read what was chosen, and none of its words but a choice is `skip` or `continue`. Retry it, and it is asked anew
            release p    -> asks role/manager, user/eve at p@1
            vote p yes by eve -> c({"by":["eve"],"choice":"yes","comment":"why not","shown":1}), eve chose yes, p@1 = {"by":["eve"],"choice":"yes","comment":"why not","shown":1}
            ok c         -> Completed
        "#]],
    );
    let in_vain = Patience { otherwise: Word::Continue, ..approve().patience };
    check(
        &asks(Approve { patience: in_vain, ..approve() }),
        "ok a; vote p ask by eve; skip p; ok c",
        &expect![[r#"
            start        -> a
            ok a         -> asks role/manager, user/eve at p
            vote p ask by eve -> eve chose ask, holds p
            skip p       -> c, skips p
            ok c         -> Completed
        "#]],
    );
    let mut once_more = approve();
    once_more.choices.insert("again".to_owned(), back_to(1, 1, Word::Continue));
    check(
        &asks(once_more.clone()),
        "ok a; vote p ask by eve; skip p; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> asks role/manager, user/eve at p
        vote p ask by eve -> eve chose ask, holds p
        skip p       -> c, skips p
        ok c         -> Completed
    "#]],
    );
    check(
        &asks(once_more),
        "ok a; vote p again by eve; vote p again by eve; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> asks role/manager, user/eve at p
        vote p again by eve -> steps aside, goes on, eve chose again, asks role/manager, user/eve at p@1
        vote p again by eve -> c@1, eve chose again, continues p@1
        ok c         -> Completed
    "#]],
    );
}

// shows: choices: continue, choices: compensate, choices: hold, choices: back_to
// shows: approve.choices, approve.by, approve.show x success
#[test]
fn choices() {
    check(
        &asks(approve()),
        "ok a; vote p yes by eve; ok c; vote p no by eve",
        &expect![[r#"
        start        -> a
        ok a         -> asks role/manager, user/eve at p
        vote p yes by eve -> c({"by":["eve"],"choice":"yes","comment":"why not","shown":1}), eve chose yes, p = {"by":["eve"],"choice":"yes","comment":"why not","shown":1}
        ok c         -> Completed
        vote p no by eve -> rejected: the saga has ended already: Completed
    "#]],
    );
    check(
        &asks(approve()),
        "ok a; vote p no by ada:manager; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> asks role/manager, user/eve at p
        vote p no by ada:manager -> turns back, un-a, ada chose no
        undone a     -> Compensated
    "#]],
    );
    check(
        &asks(approve()),
        "ok a; vote p ask by eve; vote p yes by eve; release p; vote p yes by eve; ok c",
        &expect![[r#"
            start        -> a
            ok a         -> asks role/manager, user/eve at p
            vote p ask by eve -> eve chose ask, holds p
            vote p yes by eve -> rejected: nobody is asked at this step now
            release p    -> asks role/manager, user/eve at p@1
            vote p yes by eve -> c({"by":["eve"],"choice":"yes","comment":"why not","shown":1}), eve chose yes, p@1 = {"by":["eve"],"choice":"yes","comment":"why not","shown":1}
            ok c         -> Completed
        "#]],
    );
    check(
        &asks(approve()),
        "ok a; vote p again by eve; undone a; ok a; vote p again by eve; retry; vote p yes by eve; ok c",
        &expect![[r#"
            start        -> a
            ok a         -> asks role/manager, user/eve at p
            vote p again by eve -> steps aside, un-a, eve chose again
            undone a     -> goes on, a@1
            ok a         -> asks role/manager, user/eve at p@1
            vote p again by eve -> eve chose again, stuck: p: eve chose again
            retry        -> goes on, asks role/manager, user/eve at p@2
            vote p yes by eve -> c@1({"by":["eve"],"choice":"yes","comment":"why not","shown":1}), eve chose yes, p@2 = {"by":["eve"],"choice":"yes","comment":"why not","shown":1}
            ok c         -> Completed
        "#]],
    );
    check(
        &asks(approve()),
        "ok a; vote p leave by eve; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> asks role/manager, user/eve at p
        vote p leave by eve -> c, eve chose leave, skips p
        ok c         -> Completed
    "#]],
    );
}

// shows: approve.by, approve.choices x cancel, late success
#[test]
fn not_everybody_and_not_anything() {
    check(
        &asks(approve()),
        "ok a; vote p yes by ada; vote p yes by bob:clerk; vote p maybe by eve; vote p yes by eve 1; vote a yes by eve",
        &expect![[r#"
            start        -> a
            ok a         -> asks role/manager, user/eve at p
            vote p yes by ada -> rejected: only role/manager, user/eve may decide this
            vote p yes by bob:clerk -> rejected: only role/manager, user/eve may decide this
            vote p maybe by eve -> rejected: there is no choice "maybe": choose one of again, ask, leave, no, yes
            vote p yes by eve 1 -> rejected: what was shown has changed: look at version 2 first
            vote a yes by eve -> rejected: the step is no approval
        "#]],
    );
    check(
        &asks(approve()),
        "ok a; cancel; vote p yes by eve; undone a; vote p yes by eve",
        &expect![[r#"
        start        -> a
        ok a         -> asks role/manager, user/eve at p
        cancel       -> turns back, un-a
        vote p yes by eve -> rejected: the saga goes back behind this step: nothing is decided here any more
        undone a     -> Cancelled
        vote p yes by eve -> rejected: the saga has ended already: Cancelled
    "#]],
    );
}

// shows: approve.quorum x success
#[test]
fn a_quorum_makes_the_same_choice_and_people_change_their_minds() {
    let two = Approve { quorum: 2, ..approve() };
    check(
        &asks(two),
        "ok a; vote p yes by eve; vote p yes by eve; vote p no by eve; vote p yes by ada:manager; vote p yes by eve; ok c",
        &expect![[r#"
            start        -> a
            ok a         -> asks role/manager, user/eve at p
            vote p yes by eve ->
            vote p yes by eve ->
            vote p no by eve ->
            vote p yes by ada:manager ->
            vote p yes by eve -> c({"by":["ada","eve"],"choice":"yes","comment":"why not","shown":1}), ada, eve chose yes, p = {"by":["ada","eve"],"choice":"yes","comment":"why not","shown":1}
            ok c         -> Completed
        "#]],
    );
}

// shows: approve.escalate x success, timeout
// shows: approve.within, approve.else x timeout
#[test]
fn it_escalates_and_ends() {
    check(
        &asks(approve()),
        "ok a; vote p yes by dan:director; escalate p; vote p yes by dan:director; ok c",
        &expect![[r#"
            start        -> a
            ok a         -> asks role/manager, user/eve at p
            vote p yes by dan:director -> rejected: only role/manager, user/eve may decide this
            escalate p   -> escalates to role/director
            vote p yes by dan:director -> c({"by":["dan"],"choice":"yes","comment":"why not","shown":1}), dan chose yes, p = {"by":["dan"],"choice":"yes","comment":"why not","shown":1}
            ok c         -> Completed
        "#]],
    );
    check(
        &asks(approve()),
        "ok a; escalate p; escalate p; within p; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> asks role/manager, user/eve at p
        escalate p   -> escalates to role/director
        escalate p   -> escalates to user/boss
        within p     -> turns back, un-a, p in vain
        undone a     -> Compensated
    "#]],
    );
}

/// What was shown must be true while people decide, and until something follows from what they decided.
// shows: approve.void_if, approve.show x success
#[test]
fn what_is_no_longer_true_is_asked_anew() {
    let void_if = Some(expr("facts.n != shown"));
    let made = asks(Approve { void_if, ..approve() });
    check(
        &made,
        "ok a; told n 2; vote p yes by eve 2; vote p yes by eve; told n 3; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> asks role/manager, user/eve at p
        told n 2     -> void: p, asks role/manager, user/eve at p
        vote p yes by eve 2 -> rejected: what was shown has changed: look at version 3 first
        vote p yes by eve -> c({"by":["eve"],"choice":"yes","comment":"why not","shown":2}), eve chose yes, p = {"by":["eve"],"choice":"yes","comment":"why not","shown":2}
        told n 3     ->
        ok c         -> Completed
    "#]],
    );
    check(
        &made,
        "hold; ok a; release; hold; vote p yes by eve; told n 2; release; vote p yes by eve; ok c",
        &expect![[r#"
            start        -> a
            hold         ->
            ok a         ->
            release      -> asks role/manager, user/eve at p
            hold         ->
            vote p yes by eve -> eve chose yes, p = {"by":["eve"],"choice":"yes","comment":"why not","shown":1}
            told n 2     -> void: p, asks role/manager, user/eve at p
            release      ->
            vote p yes by eve -> c({"by":["eve"],"choice":"yes","comment":"why not","shown":2}), eve chose yes, p = {"by":["eve"],"choice":"yes","comment":"why not","shown":2}
            ok c         -> Completed
        "#]],
    );
    let never = Approve { void_if: Some(expr("facts.n > 1")), show: Template::Literal(Value::Null), ..approve() };
    check(
        &asks(never),
        "ok a; told n 2; told n 1; retry; vote p yes by eve; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> asks role/manager, user/eve at p
        told n 2     -> void: p, stuck: an expression of p has no value: `void_if` holds for what is true now: nobody could approve it
        told n 1     ->
        retry        -> goes on
        vote p yes by eve -> c({"by":["eve"],"choice":"yes","comment":"why not","shown":null}), eve chose yes, p = {"by":["eve"],"choice":"yes","comment":"why not","shown":null}
        ok c         -> Completed
    "#]],
    );
}
