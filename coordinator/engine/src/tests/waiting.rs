//! Waits: for an event that may come before, while and after; for a condition; for time. Nothing is lost, nothing waits for ever.

use std::collections::BTreeMap;

use expect_test::expect;
use sagaline_definition::model::{Calendar, Definition, Patience, Sleep, Verb, Wait, Word};
use sagaline_definition::rehearsal::Rehearsal;
use sagaline_definition::types::Type;
use sagaline_schemas::Value;

use super::stage::{back_to, call, call_mut, check, definition, expr, fact, step};

/// a, then an event is awaited, then c.
fn waits(condition: Option<&str>) -> Definition {
    let wait = Wait {
        topic: "t".to_owned(),
        via: None,
        key: expr("event.key"),
        condition: condition.map(expr),
        shape: None,
        patience: Patience { within: 90_000, remind: Some(40_000), otherwise: Word::Compensate },
    };
    let steps = vec![step("a", Verb::Call(call("a"))), step("w", Verb::Wait(wait)), step("c", Verb::Call(call("c")))];
    let mut made = definition(steps);
    call_mut(&mut made, 2).with = sagaline_definition::model::Template::Expr(expr("w"));
    made.facts = vec![fact("n", Value::Int(0))];
    made
}

/// One that is of another shape is refused with the reason; what the condition does not want need not be of it.
// shows: wait.type x success
#[test]
fn an_event_of_another_type_is_refused() {
    let of_type = |condition| {
        let mut made = waits(condition);
        let Verb::Wait(wait) = &mut made.steps[1].verb else { panic!("a wait") };
        wait.shape = Some(Type::Record("News".to_owned(), BTreeMap::from([("n".to_owned(), Type::Int)])));
        made
    };
    check(
        &of_type(None),
        "letter w {\"n\":\"x\"}; ok a; letter w 7; letter w {}; signal w {}; letter w {\"n\":1,\"more\":2}; ok c",
        &expect![[r#"
            start        -> a
            letter w {"n":"x"} -> rejected: wait.type: n: expected int, got string
            ok a         ->
            letter w 7   -> rejected: wait.type: the value: expected News, got int
            letter w {}  -> rejected: wait.type: n: expected int, got nothing
            signal w {}  -> rejected: wait.type: n: expected int, got nothing
            letter w {"n":1,"more":2} -> c({"more":2,"n":1}), w = {"n":1,"more":2}
            ok c         -> Completed
        "#]],
    );
    check(
        &of_type(Some("event.kind == 'a'")),
        "ok a; letter w {\"kind\":\"b\"}; letter w {\"kind\":\"a\"}; letter w {\"kind\":\"a\",\"n\":1}; ok c",
        &expect![[r#"
            start        -> a
            ok a         ->
            letter w {"kind":"b"} ->
            letter w {"kind":"a"} -> rejected: wait.type: n: expected int, got nothing
            letter w {"kind":"a","n":1} -> c({"kind":"a","n":1}), w = {"kind":"a","n":1}
            ok c         -> Completed
        "#]],
    );
}

// shows: wait.within, wait.else x timeout, late success
// shows: wait.remind x timeout
#[test]
fn an_event_counts_whenever_it_comes() {
    check(
        &waits(None),
        "letter w {\"n\":1}; ok a; ok c",
        &expect![[r#"
        start        -> a
        letter w {"n":1} ->
        ok a         -> c({"n":1}), w = {"n":1}
        ok c         -> Completed
    "#]],
    );
    check(
        &waits(None),
        "ok a; letter w {\"n\":1}; ok c; letter w {\"n\":2}",
        &expect![[r#"
        start        -> a
        ok a         ->
        letter w {"n":1} -> c({"n":1}), w = {"n":1}
        ok c         -> Completed
        letter w {"n":2} -> rejected: the saga has ended
    "#]],
    );
    check(
        &waits(None),
        "ok a; remind w; remind w; within w; letter w 1; undone a",
        &expect![[r#"
        start        -> a
        ok a         ->
        remind w     -> reminds of w
        remind w     -> reminds of w
        within w     -> turns back, un-a, w in vain
        letter w 1   ->
        undone a     -> Compensated
    "#]],
    );
    check(
        &waits(None),
        "letter a 1; ok a; signal w 5; signal w 6; ok c",
        &expect![[r#"
        start        -> a
        letter a 1   -> rejected: no step of this saga awaits such an event
        ok a         ->
        signal w 5   -> c(5), w = 5
        signal w 6   -> rejected: the step "w" does not want it: the step is done
        ok c         -> Completed
    "#]],
    );
}

/// The oldest that fits; one that never can is not kept, one that may is.
// shows: wait.if x success
#[test]
fn only_the_event_that_is_meant() {
    check(
        &waits(Some("event.n > 1")),
        "letter w {\"n\":1}; letter w {\"n\":2}; letter w {\"n\":3}; letter w {\"m\":3}; ok a; ok c",
        &expect![[r#"
            start        -> a
            letter w {"n":1} ->
            letter w {"n":2} ->
            letter w {"n":3} ->
            letter w {"m":3} -> rejected: event.n > 1: no member `n` in {m}
            ok a         -> c({"n":2}), w = {"n":2}
            ok c         -> Completed
        "#]],
    );
    check(
        &waits(Some("event > facts.n")),
        "ok a; told n 5; letter w 3; told n 2; ok c",
        &expect![[r#"
        start        -> a
        ok a         ->
        told n 5     ->
        letter w 3   ->
        told n 2     -> c(3), w = 3
        ok c         -> Completed
    "#]],
    );
}

#[test]
fn a_mailbox_has_an_end() {
    check(
        &waits(Some("event > facts.n")),
        "letter w 0; letter w 0; letter w 0; letter w 1; ok a; told n -1; ok c",
        &expect![[r#"
            start        -> a
            letter w 0   ->
            letter w 0   ->
            letter w 0   ->
            letter w 1   -> rejected: 3 events wait for this saga already, the settings allow no more
            ok a         ->
            told n -1    -> c(0), w = 0
            ok c         -> Completed
        "#]],
    );
}

/// After `back_to` the step waits again, for another event; one that came too early for the first round is there for the second.
#[test]
fn a_round_has_events_of_its_own() {
    let mut made = waits(None);
    call_mut(&mut made, 2).refused_else = back_to(1, 2, Word::Compensate);
    check(
        &made,
        "ok a; letter w 1; letter w 2; no c; no c; letter w 3; ok c",
        &expect![[r#"
        start        -> a
        ok a         ->
        letter w 1   -> c(1), w = 1
        letter w 2   ->
        no c         -> steps aside, goes on, c@1(2), w@1 = 2
        no c         -> steps aside, goes on
        letter w 3   -> c@2(3), w@2 = 3
        ok c         -> Completed
    "#]],
    );
}

fn sleeps(sleep: Sleep) -> Definition {
    let mut made = definition(vec![step("s", Verb::Sleep(sleep)), step("c", Verb::Call(call("c")))]);
    let office = Calendar {
        zone: "Europe/Berlin".to_owned(),
        days: vec![1, 2, 3, 4, 5],
        hours: (9 * 60, 17 * 60),
        holidays: vec!["1970-01-02".to_owned()],
    };
    made.calendars = [("office".to_owned(), office)].into();
    call_mut(&mut made, 1).with = sagaline_definition::model::Template::Expr(expr("now"));
    made
}

/// The stage's clock begins on Thursday, 1970-01-01, 01:00 in Berlin.
#[test]
fn in_a_rehearsal_dates_come_sooner_and_now_is_the_definitions_time() {
    let rehearsal = Rehearsal { of: 86_400_000, takes: 2_000, as_of: 0 };
    let rehearsed = |sleep| sleeps(sleep).rehearsed(rehearsal, &BTreeMap::new());
    // Until 09:00 there are eight hours, which are two thirds of a second. Long sleeps are as short, short ones as long as they are.
    check(
        &rehearsed(Sleep::Window("office".to_owned())),
        "wake s; ok c",
        &expect![[r#"
        start        ->
        wake s       -> c(28771200), s = null
        ok c         -> Completed
    "#]],
    );
    check(
        &rehearsed(Sleep::For(21 * 86_400_000)),
        "wake s; ok c",
        &expect![[r#"
            start        ->
            wake s       -> c(1814400000), s = null
            ok c         -> Completed
        "#]],
    );
    check(
        &rehearsed(Sleep::For(500)),
        "wake s; ok c",
        &expect![[r#"
            start        ->
            wake s       -> c(21600000), s = null
            ok c         -> Completed
        "#]],
    );
}

// shows: sleep.until, sleep.window, sleep.workdays, sleep.calendar x success
// shows: calendars.days, calendars.holidays, calendars.hours, calendars.zone x success
// shows: sleep x success, cancel
#[test]
fn sleeps_end() {
    check(
        &sleeps(Sleep::For(2_000)),
        "wake s; ok c",
        &expect![[r#"
        start        ->
        wake s       -> c(2000), s = null
        ok c         -> Completed
    "#]],
    );
    check(
        &sleeps(Sleep::Until(expr("'1970-01-01T01:00:00Z'"))),
        "wake s; ok c",
        &expect![[r#"
        start        ->
        wake s       -> c(3600000), s = null
        ok c         -> Completed
    "#]],
    );
    check(
        &sleeps(Sleep::Until(expr("0 - 5"))),
        "ok c",
        &expect![[r#"
        start        -> c(0), s = null
        ok c         -> Completed
    "#]],
    );
    check(
        &sleeps(Sleep::Window("office".to_owned())),
        "wake s; ok c",
        &expect![[r#"
        start        ->
        wake s       -> c(28800000), s = null
        ok c         -> Completed
    "#]],
    );
    check(
        &sleeps(Sleep::Workdays { calendar: "office".to_owned(), days: 1 }),
        "wake s; ok c",
        &expect![[r#"
        start        ->
        wake s       -> c(374400000), s = null
        ok c         -> Completed
    "#]],
    );
    check(
        &sleeps(Sleep::Until(expr("'soon'"))),
        "cancel",
        &expect![[r#"
        start        -> stuck: an expression of s has no value: 'soon': "soon" is no time: failed to parse four digit integer as year: invalid digit, expected 0-9 but got s
        cancel       -> turns back, Cancelled
    "#]],
    );
    check(
        &sleeps(Sleep::For(2_000)),
        "cancel",
        &expect![[r#"
        start        ->
        cancel       -> turns back, Cancelled
    "#]],
    );
}

// shows: expected x timeout
#[test]
fn a_step_that_takes_longer_than_it_should_is_told_of() {
    let mut made = waits(None);
    made.steps[1].expected = Some(7_000);
    check(
        &made,
        "ok a; expected w; letter w 1; ok c",
        &expect![[r#"
        start        -> a
        ok a         ->
        expected w   -> w is overdue
        letter w 1   -> c(1), w = 1
        ok c         -> Completed
    "#]],
    );
}

/// Other names: bound once the step is done; one that names another saga is a matter for a person.
// shows: alias x success
#[test]
fn aliases() {
    let mut made = waits(None);
    made.steps[0].alias = [("ref".to_owned(), expr("a.reference"))].into();
    check(
        &made,
        "ok a {\"reference\":\"r7\"}; letter w 1; ok c",
        &expect![[r#"
        start        -> a
        ok a {"reference":"r7"} -> binds ref=r7
        letter w 1   -> c(1), w = 1
        ok c         -> Completed
    "#]],
    );
    check(
        &made,
        "ok a {\"reference\":\"r7\"}; taken ref r7; retry; letter w 1; ok c; taken ref r7",
        &expect![[r#"
        start        -> a
        ok a {"reference":"r7"} -> binds ref=r7
        taken ref r7 -> stuck: ref "r7" names another saga: 05050505-0505-0505-0505-050505050505
        retry        -> goes on, binds ref=r7
        letter w 1   -> c(1), w = 1
        ok c         -> Completed
        taken ref r7 ->
    "#]],
    );
    check(
        &made,
        "ok a {\"reference\":7}; retry; cancel; undone a",
        &expect![[r#"
        start        -> a
        ok a {"reference":7} -> stuck: an expression of a has no value: a.reference: an alias is a text
        retry        -> goes on, stuck: an expression of a has no value: a.reference: an alias is a text
        cancel       -> turns back, un-a
        undone a     -> Cancelled
    "#]],
    );
    check(
        &made,
        "ok a {\"reference\":\"r7\"}; fault; taken ref r7; retry; cancel; undone a",
        &expect![[r#"
        start        -> a
        ok a {"reference":"r7"} -> binds ref=r7
        fault        -> stuck: the input at offset 3 was passed over: why not
        taken ref r7 ->
        retry        -> goes on, binds ref=r7
        cancel       -> turns back, un-a
        undone a     -> Cancelled
    "#]],
    );
}

/// Only the step's own result gives a name, and only to a saga that goes forward.
// shows: alias x success, refusal, timeout, late success, cancel
#[test]
fn only_a_result_gives_a_name() {
    let mut made = definition(vec![step("a", Verb::Call(call("a"))), step("b", Verb::Call(call("b")))]);
    made.steps[0].alias = [("ref".to_owned(), expr("a.reference"))].into();
    call_mut(&mut made, 0).refused_else = Word::Continue;
    call_mut(&mut made, 0).failed = Word::Skip;
    check(
        &made,
        "no a; ok b",
        &expect![[r#"
        start        -> a
        no a         -> b, continues a
        ok b         -> Completed
    "#]],
    );
    check(
        &made,
        "silence a; undone a; ok b",
        &expect![[r#"
        start        -> a
        sent a       ->
        time a       ->
        wait a       -> a#2
        sent a       ->
        time a       -> steps aside, un-a
        undone a     -> goes on, b, skips a
        ok b         -> Completed
    "#]],
    );
    check(
        &made,
        "sent a; time a; ok a {\"reference\":\"r7\"}; ok b",
        &expect![[r#"
        start        -> a
        sent a       ->
        time a       ->
        ok a {"reference":"r7"} -> binds ref=r7, b
        ok b         -> Completed
    "#]],
    );
    check(
        &made,
        "silence a; ok a {\"reference\":\"r7\"}; undone a; ok b",
        &expect![[r#"
        start        -> a
        sent a       ->
        time a       ->
        wait a       -> a#2
        sent a       ->
        time a       -> steps aside, un-a
        ok a {"reference":"r7"} ->
        undone a     -> goes on, b, skips a
        ok b         -> Completed
    "#]],
    );
    check(
        &made,
        "cancel; ok a {\"reference\":\"r7\"}; undone a",
        &expect![[r#"
        start        -> a
        cancel       -> turns back, un-a
        ok a {"reference":"r7"} ->
        undone a     -> Cancelled
    "#]],
    );
}

/// An event names the saga by what a step returned. Once that step has begun anew it tells of what was undone: it is no news of the step
/// that came after, whether it lies in the mailbox, comes while the step is undone, or later.
// shows: alias x refusal, late success
#[test]
fn an_event_about_what_was_undone_is_let_go() {
    let mut made = waits(None);
    made.steps[0].alias = [("ref".to_owned(), expr("a"))].into();
    let Verb::Wait(wait) = &mut made.steps[1].verb else { panic!("a wait") };
    wait.via = Some("ref".to_owned());
    call_mut(&mut made, 2).refused_else = back_to(0, 2, Word::Stuck);
    let old = r#"letter w {"key":"r1"}"#;
    check(
        &made,
        &format!(
            r#"ok a "r1"; {old}; {old}; no c; {old}; undone a; {old}; ok a "r2"; {old}; letter w {{"key":"r2"}}; ok c"#
        ),
        &expect![[r#"
            start        -> a
            ok a "r1"    -> binds ref=r1
            letter w {"key":"r1"} -> c({"key":"r1"}), w = {"key":"r1"}
            letter w {"key":"r1"} ->
            no c         -> steps aside, un-a
            letter w {"key":"r1"} ->
            undone a     -> goes on, a@1
            letter w {"key":"r1"} ->
            ok a "r2"    -> binds ref=r2
            letter w {"key":"r1"} ->
            letter w {"key":"r2"} -> c@1({"key":"r2"}), w@1 = {"key":"r2"}
            ok c         -> Completed
        "#]],
    );
}
