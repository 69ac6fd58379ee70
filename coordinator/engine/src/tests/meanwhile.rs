//! What waits while the saga goes another way: a participant beside it refuses, is silent or is late, or somebody cancels. What waited is
//! waited for no more: no timer of it is left, and what comes for it changes nothing.

use expect_test::{Expect, expect};
use sagaline_definition::model::{
    Approve, Calendar, Compensate, Definition, Patience, Reaction, Sleep, Template, Until, Verb, Wait, Word,
};
use sagaline_schemas::Value;

use super::stage::{Stage, back_to, call, call_mut, chain, check, definition, expr, fact, step};
use crate::saga::{TimerKind, TimerStart};

/// How b, which runs beside what waits, sends the saga back; then a is being undone.
const WAYS: [(&str, &str); 4] = [
    ("refusal", "no b"),
    ("timeout", "silence b; nothing b"),
    ("cancel", "cancel; nothing b"),
    ("late success", "cancel; ok b; undone b"),
];

/// z, then a, then b and beside it w; z is undone with what is known then.
fn beside(w: Verb) -> Definition {
    let steps = ["z", "a", "b"].map(|name| step(name, Verb::Call(call(name))));
    let mut made = definition(steps.into_iter().chain([step("w", w)]).collect());
    made.steps[3].after = vec![1];
    made.facts = vec![fact("n", Value::Int(0))];
    let Compensate::By { with, .. } = &mut call_mut(&mut made, 0).compensate else { panic!("it is undone") };
    *with = Some(Template::Expr(expr("facts.n")));
    made.calendars = [("office".to_owned(), office())].into();
    made
}

fn office() -> Calendar {
    Calendar { zone: "UTC".to_owned(), days: vec![1, 2, 3, 4, 5], hours: (540, 1_020), holidays: vec![] }
}

/// What wakes, ends, reminds of or passes on the place at w.
fn waits(stage: &Stage) -> String {
    let mut saga = stage.saga.clone();
    saga.begin_durations(stage.now);
    let kinds = [TimerKind::Sleep, TimerKind::Within, TimerKind::Remind, TimerKind::Escalate];
    let of_w = saga.timers.iter().filter(|timer| kinds.contains(&timer.kind));
    let shown = of_w.map(|timer| match timer.start {
        TimerStart::Due { at } => format!("{:?} {at}", timer.kind),
        _ => format!("{:?}", timer.kind),
    });
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() { "nothing".to_owned() } else { shown.join(", ") }
}

/// Whatever way the saga goes: what waited before and after, and what comes of this, until it has ended.
fn goes(made: &Definition, this: &str, expected: &Expect) {
    let mut told = String::new();
    for (name, way) in WAYS {
        let mut stage = Stage::new(made.clone());
        stage.play("ok z; ok a");
        told += &format!("{name}: {}", waits(&stage));
        stage.go_on(way);
        told += &format!(", then {}\n", waits(&stage));
        let before = stage.account.len();
        stage.go_on(this);
        stage.go_on("undone a; undone z");
        told += &stage.account[before..].lines().map(|line| format!("  {}\n", line.trim_end())).collect::<String>();
    }
    expected.assert_eq(&told);
}

/// It comes in time: nothing waits any more, and the saga completes.
fn comes(made: &Definition, this: &str, expected: &Expect) {
    let mut stage = Stage::new(made.clone());
    stage.play("ok z; ok a; ok b");
    let mut told = waits(&stage);
    stage.go_on(this);
    told += &format!(", then {}: {}", waits(&stage), stage.account.lines().last().unwrap_or_default());
    expected.assert_eq(&told);
}

fn patience(otherwise: Word) -> Patience {
    Patience { within: 90_000, remind: Some(40_000), otherwise }
}

fn waiting(otherwise: Word) -> Definition {
    let condition = Some(expr("event.n > 1"));
    let (topic, key) = ("t".to_owned(), expr("event.key"));
    beside(Verb::Wait(Wait { topic, via: None, key, condition, shape: None, patience: patience(otherwise) }))
}

// shows: wait.within, wait.else, wait.remind, wait.if x success, refusal, cancel
// shows: wait.remind, wait.if x late success
#[test]
fn an_event() {
    comes(
        &waiting(Word::Stuck),
        "letter w {\"n\":2}",
        &expect![[r#"Within 90000, Remind 40000, then nothing: letter w {"n":2} -> w = {"n":2}, Completed"#]],
    );
    goes(
        &waiting(Word::Stuck),
        "letter w {\"m\":1}",
        &expect![[r#"
        refusal: Within 90000, Remind 40000, then nothing
          letter w {"m":1} ->
          undone a     -> un-z(0)
          undone z     -> Compensated
        timeout: Within 90000, Remind 40000, then nothing
          letter w {"m":1} ->
          undone a     -> un-z(0)
          undone z     -> Compensated
        cancel: Within 90000, Remind 40000, then nothing
          letter w {"m":1} ->
          undone a     -> un-z(0)
          undone z     -> Cancelled
        late success: Within 90000, Remind 40000, then nothing
          letter w {"m":1} ->
          undone a     -> un-z(0)
          undone z     -> Cancelled
    "#]],
    );
}

// shows: wait.if x timeout
#[test]
fn an_event_that_is_not_meant_ends_no_wait() {
    check(
        &waiting(Word::Continue),
        "ok z; ok a; ok b; letter w {\"n\":1}; within w",
        &expect![[r#"
        start        -> z
        ok z         -> a
        ok a         -> b
        ok b         ->
        letter w {"n":1} ->
        within w     -> w in vain, continues w, Completed
    "#]],
    );
}

// shows: wait.until, expect.if, expect.within, expect.else x success, refusal, cancel, late success
#[test]
fn a_condition() {
    let made = beside(Verb::Until(Until { condition: expr("facts.n > 0"), patience: patience(Word::Stuck) }));
    comes(&made, "told n 1", &expect!["Within 90000, Remind 40000, then nothing: told n 1     -> w = null, Completed"]);
    goes(
        &made,
        "told n 1",
        &expect![[r#"
        refusal: Within 90000, Remind 40000, then nothing
          told n 1     ->
          undone a     -> un-z(1)
          undone z     -> Compensated
        timeout: Within 90000, Remind 40000, then nothing
          told n 1     ->
          undone a     -> un-z(1)
          undone z     -> Compensated
        cancel: Within 90000, Remind 40000, then nothing
          told n 1     ->
          undone a     -> un-z(1)
          undone z     -> Cancelled
        late success: Within 90000, Remind 40000, then nothing
          told n 1     ->
          undone a     -> un-z(1)
          undone z     -> Cancelled
    "#]],
    );
}

// shows: sleep.until, sleep.window, sleep.workdays, sleep.calendar x refusal, timeout, late success, cancel
#[test]
fn time() {
    let workdays = Sleep::Workdays { calendar: "office".to_owned(), days: 2 };
    for (sleep, expected) in [
        (
            Sleep::Until(expr("50000")),
            expect![[r#"
            refusal: Sleep 50000, then nothing
              undone a     -> un-z(0)
              undone z     -> Compensated
            timeout: Sleep 50000, then nothing
              undone a     -> un-z(0)
              undone z     -> Compensated
            cancel: Sleep 50000, then nothing
              undone a     -> un-z(0)
              undone z     -> Cancelled
            late success: Sleep 50000, then nothing
              undone a     -> un-z(0)
              undone z     -> Cancelled
        "#]],
        ),
        (
            Sleep::Window("office".to_owned()),
            expect![[r#"
            refusal: Sleep 32400000, then nothing
              undone a     -> un-z(0)
              undone z     -> Compensated
            timeout: Sleep 32400000, then nothing
              undone a     -> un-z(0)
              undone z     -> Compensated
            cancel: Sleep 32400000, then nothing
              undone a     -> un-z(0)
              undone z     -> Cancelled
            late success: Sleep 32400000, then nothing
              undone a     -> un-z(0)
              undone z     -> Cancelled
        "#]],
        ),
        (
            workdays,
            expect![[r#"
            refusal: Sleep 378000000, then nothing
              undone a     -> un-z(0)
              undone z     -> Compensated
            timeout: Sleep 378000000, then nothing
              undone a     -> un-z(0)
              undone z     -> Compensated
            cancel: Sleep 378000000, then nothing
              undone a     -> un-z(0)
              undone z     -> Cancelled
            late success: Sleep 378000000, then nothing
              undone a     -> un-z(0)
              undone z     -> Cancelled
        "#]],
        ),
    ] {
        goes(&beside(Verb::Sleep(sleep)), "", &expected);
    }
}

fn asking(otherwise: Word) -> Definition {
    beside(Verb::Approve(Approve {
        by: vec!["user/eve".to_owned(), "user/ann".to_owned()],
        show: Template::Expr(expr("facts.n")),
        choices: [("yes".to_owned(), Word::Continue), ("no".to_owned(), Word::Stuck)].into(),
        quorum: 2,
        escalate: vec![(24_000, "user/boss".to_owned())],
        patience: patience(otherwise),
        void_if: Some(expr("facts.n != shown")),
    }))
}

// shows: approve.by, approve.choices, approve.else, approve.escalate, approve.quorum x refusal, late success, cancel
// shows: approve.remind, approve.show, approve.void_if, approve.within x refusal, late success, cancel
// shows: approve.within, approve.else, approve.remind x success
#[test]
fn people() {
    comes(
        &asking(Word::Stuck),
        "vote w yes by eve; vote w yes by ann",
        &expect![[
            r#"Within 90000, Remind 40000, Escalate 24000, then nothing: vote w yes by ann -> eve, ann chose yes, w = {"by":["eve","ann"],"choice":"yes","comment":"why not","shown":0}, Completed"#
        ]],
    );
    goes(
        &asking(Word::Stuck),
        "told n 1; vote w yes by eve; vote w no by ann",
        &expect![[r#"
        refusal: Within 90000, Remind 40000, Escalate 24000, then nothing
          told n 1     ->
          vote w yes by eve -> rejected: the saga goes back behind this step: nothing is decided here any more
          vote w no by ann -> rejected: the saga goes back behind this step: nothing is decided here any more
          undone a     -> un-z(1)
          undone z     -> Compensated
        timeout: Within 90000, Remind 40000, Escalate 24000, then nothing
          told n 1     ->
          vote w yes by eve -> rejected: the saga goes back behind this step: nothing is decided here any more
          vote w no by ann -> rejected: the saga goes back behind this step: nothing is decided here any more
          undone a     -> un-z(1)
          undone z     -> Compensated
        cancel: Within 90000, Remind 40000, Escalate 24000, then nothing
          told n 1     ->
          vote w yes by eve -> rejected: the saga goes back behind this step: nothing is decided here any more
          vote w no by ann -> rejected: the saga goes back behind this step: nothing is decided here any more
          undone a     -> un-z(1)
          undone z     -> Cancelled
        late success: Within 90000, Remind 40000, Escalate 24000, then nothing
          told n 1     ->
          vote w yes by eve -> rejected: the saga goes back behind this step: nothing is decided here any more
          vote w no by ann -> rejected: the saga goes back behind this step: nothing is decided here any more
          undone a     -> un-z(1)
          undone z     -> Cancelled
    "#]],
    );
}

/// One of two has decided when the time is up: that is no decision, and who decides now is late. Asked again, they are shown what is so then.
// shows: approve.by, approve.choices, approve.quorum, approve.remind, approve.show, approve.void_if x timeout, late success
// shows: approve.within, approve.else x timeout, late success
#[test]
fn people_who_are_silent_and_then_late() {
    check(
        &asking(Word::Hold),
        "ok z; ok a; ok b; vote w yes by eve; remind w; within w; vote w yes by ann; told n 1; release w; vote w yes by eve; vote w yes by ann",
        &expect![[r#"
            start        -> z
            ok z         -> a
            ok a         -> b, asks user/eve, user/ann at w
            ok b         ->
            vote w yes by eve ->
            remind w     -> reminds of w
            within w     -> w in vain, holds w
            vote w yes by ann -> rejected: nobody is asked at this step now
            told n 1     ->
            release w    -> asks user/eve, user/ann at w@1
            vote w yes by eve ->
            vote w yes by ann -> eve, ann chose yes, w@1 = {"by":["eve","ann"],"choice":"yes","comment":"why not","shown":1}, Completed
        "#]],
    );
}

// shows: choices: stuck
#[test]
fn a_choice_may_leave_it_to_a_person() {
    check(
        &asking(Word::Hold),
        "ok z; ok a; ok b; vote w no by eve; vote w no by ann; retry",
        &expect![[r#"
        start        -> z
        ok z         -> a
        ok a         -> b, asks user/eve, user/ann at w
        ok b         ->
        vote w no by eve ->
        vote w no by ann -> eve, ann chose no, stuck: w: eve, ann chose no
        retry        -> goes on, asks user/eve, user/ann at w@1
    "#]],
    );
}

/// News counts while the saga goes back: the highest version, and not for longer than it is fresh.
// shows: facts.initial, facts.value, facts.seq, facts.fresh x refusal, timeout, late success, cancel
#[test]
fn what_is_known() {
    let mut made = beside(Verb::Sleep(Sleep::For(90_000)));
    goes(
        &made,
        "",
        &expect![[r#"
        refusal: Sleep 90000, then nothing
          undone a     -> un-z(0)
          undone z     -> Compensated
        timeout: Sleep 90000, then nothing
          undone a     -> un-z(0)
          undone z     -> Compensated
        cancel: Sleep 90000, then nothing
          undone a     -> un-z(0)
          undone z     -> Cancelled
        late success: Sleep 90000, then nothing
          undone a     -> un-z(0)
          undone z     -> Cancelled
    "#]],
    );
    goes(
        &made,
        "told n 5 3; told n 4 2",
        &expect![[r#"
        refusal: Sleep 90000, then nothing
          told n 5 3   ->
          told n 4 2   -> stale
          undone a     -> un-z(5)
          undone z     -> Compensated
        timeout: Sleep 90000, then nothing
          told n 5 3   ->
          told n 4 2   -> stale
          undone a     -> un-z(5)
          undone z     -> Compensated
        cancel: Sleep 90000, then nothing
          told n 5 3   ->
          told n 4 2   -> stale
          undone a     -> un-z(5)
          undone z     -> Cancelled
        late success: Sleep 90000, then nothing
          told n 5 3   ->
          told n 4 2   -> stale
          undone a     -> un-z(5)
          undone z     -> Cancelled
    "#]],
    );
    made.facts[0].fresh = Some(60_000);
    goes(
        &made,
        "told n 5; later 60001",
        &expect![[r#"
        refusal: Sleep 90000, then nothing
          told n 5     ->
          undone a     -> un-z
          undone z     -> Compensated
        timeout: Sleep 90000, then nothing
          told n 5     ->
          undone a     -> un-z
          undone z     -> Compensated
        cancel: Sleep 90000, then nothing
          told n 5     ->
          undone a     -> un-z
          undone z     -> Cancelled
        late success: Sleep 90000, then nothing
          told n 5     ->
          undone a     -> un-z
          undone z     -> Cancelled
    "#]],
    );
}

/// Who is asked for a fact is asked on while the saga goes back, and when they have refused.
// shows: facts.ask.every, facts.ask.with, facts.ask.value x refusal, timeout, late success
#[test]
fn what_is_asked_for() {
    let mut made = beside(Verb::Sleep(Sleep::For(90_000)));
    made.facts[0].ask = Some(sagaline_definition::model::AskFact {
        participant: "p".to_owned(),
        operation: "rate".to_owned(),
        with: Template::Expr(expr("facts.n")),
        every: 30_000,
        value: expr("answer.rate"),
    });
    goes(
        &made,
        "answered n refused; ask n; answered n {\"rate\":4}; ask n; answered n {\"rate\":5} 2",
        &expect![[r#"
        refusal: Sleep 90000, then nothing
          answered n refused ->
          ask n        -> asks for n#2(0)
          answered n {"rate":4} ->
          ask n        -> asks for n#3(4)
          answered n {"rate":5} 2 ->
          undone a     -> un-z(4)
          undone z     -> Compensated
        timeout: Sleep 90000, then nothing
          answered n refused ->
          ask n        -> asks for n#2(0)
          answered n {"rate":4} ->
          ask n        -> asks for n#3(4)
          answered n {"rate":5} 2 ->
          undone a     -> un-z(4)
          undone z     -> Compensated
        cancel: Sleep 90000, then nothing
          answered n refused ->
          ask n        -> asks for n#2(0)
          answered n {"rate":4} ->
          ask n        -> asks for n#3(4)
          answered n {"rate":5} 2 ->
          undone a     -> un-z(4)
          undone z     -> Cancelled
        late success: Sleep 90000, then nothing
          answered n refused ->
          ask n        -> asks for n#2(0)
          answered n {"rate":4} ->
          ask n        -> asks for n#3(4)
          answered n {"rate":5} 2 ->
          undone a     -> un-z(4)
          undone z     -> Cancelled
    "#]],
    );
}

fn reacting(then: Word, after_pivot: Word) -> Definition {
    let mut made = beside(Verb::Sleep(Sleep::For(90_000)));
    let between = Some((1, 3));
    made.steps[3].after = vec![2];
    made.react = vec![Reaction { condition: expr("facts.n > 0"), between, then, after_pivot }];
    made
}

// shows: react.if, react.then x refusal, timeout, late success, cancel
// shows: react.between x cancel
#[test]
fn a_saga_that_goes_back_reacts_no_more() {
    goes(
        &reacting(Word::Stuck, Word::Stuck),
        "told n 1",
        &expect![[r#"
        refusal: nothing, then nothing
          told n 1     ->
          undone a     -> un-z(1)
          undone z     -> Compensated
        timeout: nothing, then nothing
          told n 1     ->
          undone a     -> un-z(1)
          undone z     -> Compensated
        cancel: nothing, then nothing
          told n 1     ->
          undone a     -> un-z(1)
          undone z     -> Cancelled
        late success: nothing, then nothing
          told n 1     ->
          undone a     -> un-z(1)
          undone z     -> Cancelled
    "#]],
    );
    check(
        &reacting(Word::Compensate, Word::Stuck),
        "ok z; ok a; told n 1; ok b; undone b; undone a; undone z",
        &expect![[r#"
            start        -> z
            ok z         -> a
            ok a         -> b
            told n 1     -> turns back, un-b
            ok b         ->
            undone b     -> un-a
            undone a     -> un-z(1)
            undone z     -> Compensated
        "#]],
    );
}

/// However the step before came to its end, refused, given up or done after all: the part of the saga that is between is over.
// shows: react.between x refusal, timeout, late success
#[test]
fn what_is_between_ends_with_the_step_before() {
    for (failed, script, expected) in [
        (
            Word::Skip,
            "ok z; ok a; no b; told n 1; wake w",
            expect![[r#"
            start        -> z
            ok z         -> a
            ok a         -> b
            no b         -> continues b
            told n 1     ->
            wake w       -> w = null, Completed
        "#]],
        ),
        (
            Word::Skip,
            "ok z; ok a; silence b; nothing b; told n 1; wake w",
            expect![[r#"
            start        -> z
            ok z         -> a
            ok a         -> b
            sent b       ->
            time b       ->
            wait b       -> b#2
            sent b       ->
            time b       -> steps aside, un-b
            nothing b    -> goes on, skips b
            told n 1     ->
            wake w       -> w = null, Completed
        "#]],
        ),
        (
            Word::Hold,
            "ok z; ok a; silence b; ok b; told n 1; wake w",
            expect![[r#"
            start        -> z
            ok z         -> a
            ok a         -> b
            sent b       ->
            time b       ->
            wait b       -> b#2
            sent b       ->
            time b       -> holds b
            ok b         ->
            told n 1     ->
            wake w       -> w = null, Completed
        "#]],
        ),
        (
            Word::Hold,
            "ok z; ok a; silence b; told n 1",
            expect![[r#"
            start        -> z
            ok z         -> a
            ok a         -> b
            sent b       ->
            time b       ->
            wait b       -> b#2
            sent b       ->
            time b       -> holds b
            told n 1     -> stuck: the world turned: facts.n > 0
        "#]],
        ),
    ] {
        let mut made = reacting(Word::Stuck, Word::Stuck);
        call_mut(&mut made, 2).refused_else = Word::Continue;
        call_mut(&mut made, 2).failed = failed;
        check(&made, script, &expected);
    }
}

// shows: react.after_pivot x refusal, timeout, late success, cancel
#[test]
fn what_follows_once_the_pivot_is_decided() {
    let mut made = reacting(Word::Compensate, Word::Hold);
    made.steps[2].pivot = true;
    call_mut(&mut made, 2).compensate = Compensate::Never;
    call_mut(&mut made, 2).failed = Word::Stuck;
    let held = "ok z; ok a; told n 1; ";
    for (this, expected) in [
        (
            "no b; undone a; undone z",
            expect![[r#"
            start        -> z
            ok z         -> a
            ok a         -> b
            told n 1     ->
            no b         -> turns back, un-a
            undone a     -> un-z(1)
            undone z     -> Compensated
        "#]],
        ),
        (
            "silence b; retry; ok b; release; wake w",
            expect![[r#"
            start        -> z
            ok z         -> a
            ok a         -> b
            told n 1     ->
            sent b       ->
            time b       ->
            wait b       -> b#2
            sent b       ->
            time b       -> stuck: b failed: no answer in time
            retry        -> goes on, b#3
            ok b         ->
            release      ->
            wake w       -> w = null, Completed
        "#]],
        ),
        (
            "ok b; release; wake w",
            expect![[r#"
            start        -> z
            ok z         -> a
            ok a         -> b
            told n 1     ->
            ok b         ->
            release      ->
            wake w       -> w = null, Completed
        "#]],
        ),
        (
            "cancel; ok b; release; wake w",
            expect![[r#"
            start        -> z
            ok z         -> a
            ok a         -> b
            told n 1     ->
            cancel       -> rejected: the pivot "b" is decided: the saga only goes forward
            ok b         ->
            release      ->
            wake w       -> w = null, Completed
        "#]],
        ),
    ] {
        check(&made, &format!("{held}{this}"), &expected);
    }
}

// shows: react after the pivot: continue, react after the pivot: stuck
#[test]
fn words_after_the_pivot() {
    for (word, script, expected) in [
        (
            Word::Continue,
            "ok z; ok a; told n 1; ok b; wake w",
            expect![[r#"
            start        -> z
            ok z         -> a
            ok a         -> b
            told n 1     ->
            ok b         ->
            wake w       -> w = null, Completed
        "#]],
        ),
        (
            Word::Stuck,
            "ok z; ok a; told n 1; ok b; retry; wake w",
            expect![[r#"
            start        -> z
            ok z         -> a
            ok a         -> b
            told n 1     -> stuck: the world turned: facts.n > 0
            ok b         ->
            retry        -> goes on
            wake w       -> w = null, Completed
        "#]],
        ),
    ] {
        let mut made = reacting(Word::Compensate, word);
        made.steps[2].pivot = true;
        call_mut(&mut made, 2).compensate = Compensate::Never;
        check(&made, script, &expected);
    }
}

/// Its time is up while it goes back: that is told, and nothing else follows. Whoever ends in time has none left.
// shows: deadline.after, deadline.else x success, refusal, timeout, cancel
#[test]
fn a_deadline_on_the_way_back() {
    let mut made = beside(Verb::Sleep(Sleep::For(90_000)));
    made.deadline.otherwise = Word::Stuck;
    goes(
        &made,
        "deadline",
        &expect![[r#"
        refusal: Sleep 90000, then nothing
          deadline     -> overdue
          undone a     -> un-z(0)
          undone z     -> Compensated
        timeout: Sleep 90000, then nothing
          deadline     -> overdue
          undone a     -> un-z(0)
          undone z     -> Compensated
        cancel: Sleep 90000, then nothing
          deadline     -> overdue
          undone a     -> un-z(0)
          undone z     -> Cancelled
        late success: Sleep 90000, then nothing
          deadline     -> overdue
          undone a     -> un-z(0)
          undone z     -> Cancelled
    "#]],
    );
    let mut stage = Stage::new(made);
    stage.play("ok z; ok a; ok b; wake w");
    assert!(stage.account.ends_with("Completed\n"), "{}", stage.account);
    assert!(stage.saga.timers.iter().all(|timer| timer.kind != TimerKind::Deadline), "{:?}", stage.saga.timers);
}

// shows: deadline.after_pivot x success, refusal, late success
#[test]
fn a_deadline_once_the_pivot_is_decided() {
    let mut made = chain(&["a", "b", "c"]);
    made.steps[1].pivot = true;
    call_mut(&mut made, 1).compensate = Compensate::Never;
    let mut in_time = Stage::new(made.clone());
    in_time.play("ok a; ok b; ok c");
    assert!(in_time.account.ends_with("Completed\n"), "{}", in_time.account);
    assert!(in_time.saga.timers.iter().all(|timer| timer.kind != TimerKind::Deadline), "{:?}", in_time.saga.timers);
    check(
        &made,
        "ok a; deadline; no b; retry; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        deadline     -> stuck: its time is up
        no b         ->
        retry        -> goes on, turns back, un-a
        undone a     -> Compensated
    "#]],
    );
    check(
        &made,
        "ok a; deadline; ok b; retry; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> b
        deadline     -> stuck: its time is up
        ok b         ->
        retry        -> goes on, c
        ok c         -> Completed
    "#]],
    );
}

/// A decision that is gone back to is taken anew, by what is known then.
// shows: decide.if, decide.is x refusal
#[test]
fn a_decision_is_taken_anew() {
    use sagaline_definition::model::{Arm, Decide};
    let arms = vec![
        Arm { condition: Some(expr("facts.n > 0")), is: Value::from("many") },
        Arm { condition: None, is: Value::from("none") },
    ];
    let mut made = definition(vec![step("d", Verb::Decide(Decide { arms })), step("a", Verb::Call(call("a")))]);
    made.facts = vec![fact("n", Value::Int(0))];
    call_mut(&mut made, 1).with = Template::Expr(expr("d"));
    call_mut(&mut made, 1).refused_else = back_to(0, 1, Word::Stuck);
    check(
        &made,
        "told n 1; no a; ok a",
        &expect![[r#"
        start        -> a("none"), d = "none"
        told n 1     ->
        no a         -> steps aside, goes on, a@1("many"), d@1 = "many"
        ok a         -> Completed
    "#]],
    );
}

/// Only who completes has a result: a parent is told of no other.
// shows: head.result x refusal, timeout
#[test]
fn a_result_is_of_whoever_completes() {
    let mut made = chain(&["a"]);
    made.result = Some(Template::Expr(expr("a")));
    for (script, expected) in [
        (
            "ok a 7",
            expect![[r#"
            start        -> a
            ok a 7       -> tells its parent: Completed 7, Completed
        "#]],
        ),
        (
            "no a",
            expect![[r#"
            start        -> a
            no a         -> turns back, tells its parent: Compensated null, Compensated
        "#]],
        ),
        (
            "silence a; nothing a",
            expect![[r#"
            start        -> a
            sent a       ->
            time a       ->
            wait a       -> a#2
            sent a       ->
            time a       -> turns back, un-a
            nothing a    -> tells its parent: Compensated null, Compensated
        "#]],
        ),
    ] {
        super::stage::check_on(Stage::new(made.clone()).with_parent(), script, &expected);
    }
}
