//! The six words at each of their places, before and after the pivot, and while the saga is busy with something else.

use expect_test::expect;
use sagaline_definition::model::{Compensate, Decide, Definition, Guard, Patience, Reaction, Until, Verb, Word};
use sagaline_schemas::Value;

use super::stage::{back_to, call, call_mut, chain, check, definition, expr, fact, step};

/// a, then b, whose refusal says this.
fn refused(word: Word) -> Definition {
    let mut made = chain(&["a", "b", "c"]);
    call_mut(&mut made, 1).refused_else = word;
    made
}

fn failed(word: Word) -> Definition {
    let mut made = chain(&["a", "b", "c"]);
    call_mut(&mut made, 1).failed = word;
    made
}

/// a, then b, before each of whose attempts `facts.ok` must hold.
fn guarded(word: Word) -> Definition {
    let mut made = chain(&["a", "b", "c"]);
    made.steps[1].guard = Some(Guard { condition: expr("facts.ok"), otherwise: word });
    made.facts = vec![fact("ok", Value::Bool(true))];
    made
}

/// a, then `facts.ok` is awaited, then c.
fn awaited(word: Word) -> Definition {
    let patience = Patience { within: 5_000, remind: None, otherwise: word };
    let until = Verb::Until(Until { condition: expr("facts.ok"), patience });
    let steps = vec![step("a", Verb::Call(call("a"))), step("b", until), step("c", Verb::Call(call("c")))];
    let mut made = definition(steps);
    made.facts = vec![fact("ok", Value::Bool(false))];
    made
}

fn reacting(then: Word, after_pivot: Word) -> Definition {
    let mut made = chain(&["a", "b", "c"]);
    made.facts = vec![fact("n", Value::Int(0))];
    made.react = vec![Reaction { condition: expr("facts.n > 0"), between: None, then, after_pivot }];
    made
}

fn pivot(mut made: Definition, step: usize) -> Definition {
    made.steps[step].pivot = true;
    call_mut(&mut made, step).compensate = Compensate::Never;
    made
}

// shows: refused: continue, refused: compensate, refused: back_to, refused: hold, refused: stuck
// shows: back_to, back_to.at_most, back_to.else x refusal
// shows: step x refusal
#[test]
fn refused_words() {
    check(
        &refused(Word::Continue),
        "ok a; no b; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> b
        no b         -> c, continues b
        ok c         -> Completed
    "#]],
    );
    check(
        &refused(Word::Skip),
        "ok a; no b; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> b
        no b         -> c, skips b
        ok c         -> Completed
    "#]],
    );
    check(
        &refused(Word::Compensate),
        "ok a; no b; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        no b         -> turns back, un-a
        undone a     -> Compensated
    "#]],
    );
    check(
        &refused(back_to(0, 1, Word::Stuck)),
        "ok a; no b; undone a; ok a; no b; retry; ok b; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> b
        no b         -> steps aside, un-a
        undone a     -> goes on, a@1
        ok a         -> b@1
        no b         -> stuck: b was refused: No
        retry        -> goes on, b@2
        ok b         -> c@1
        ok c         -> Completed
    "#]],
    );
    check(
        &refused(Word::Hold),
        "ok a; no b; retry b {\"x\":1}; no b; release b; ok b; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> b
        no b         -> holds b
        retry b {"x":1} -> b@1({"x":1})
        no b         -> holds b@1
        release b    -> b@2
        ok b         -> c
        ok c         -> Completed
    "#]],
    );
    check(
        &refused(Word::Stuck),
        "ok a; no b; retry b 7; ok b; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> b
        no b         -> stuck: b was refused: No
        retry b 7    -> goes on, b@1(7)
        ok b         -> c
        ok c         -> Completed
    "#]],
    );
}

/// Rounds of the one word are none of the other's.
// shows: back_to.at_most x refusal, timeout
#[test]
fn each_word_has_its_own_bound() {
    let mut made = refused(back_to(0, 1, Word::Stuck));
    call_mut(&mut made, 1).refused.insert("Soft".to_owned(), back_to(1, 1, Word::Continue));
    call_mut(&mut made, 1).failed = back_to(0, 1, Word::Hold);
    made.steps[1].guard = Some(Guard { condition: expr("facts.ok"), otherwise: back_to(0, 1, Word::Compensate) });
    made.facts = vec![fact("ok", Value::Bool(true))];
    check(
        &made,
        "ok a; no b; undone a; ok a; no b Soft; silence b; undone b; undone a; told ok false; ok a; undone a; told ok true; ok a; no b Soft; ok c",
        &expect![[r#"
            start        -> a
            ok a         -> b
            no b         -> steps aside, un-a
            undone a     -> goes on, a@1
            ok a         -> b@1
            no b Soft    -> steps aside, goes on, b@2
            sent b       ->
            time b       ->
            wait b       -> b@2#2
            sent b       ->
            time b       -> steps aside, un-b@2
            undone b     -> un-a@1
            undone a     -> goes on, a@2
            told ok false ->
            ok a         -> steps aside, un-a@2
            undone a     -> goes on, a@3
            told ok true ->
            ok a         -> b@4
            no b Soft    -> c@4, continues b@4
            ok c         -> Completed
        "#]],
    );
}

// shows: failed: skip, failed: compensate, failed: back_to, failed: hold, failed: stuck
// shows: failed, back_to, back_to.at_most, back_to.else x timeout, late success
// shows: failed x refusal
#[test]
fn failed_words() {
    check(
        &failed(Word::Skip),
        "ok a; silence b; ok b; undone b; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> b
        sent b       ->
        time b       ->
        wait b       -> b#2
        sent b       ->
        time b       -> steps aside, un-b
        ok b         ->
        undone b     -> goes on, c, skips b
        ok c         -> Completed
    "#]],
    );
    check(
        &failed(Word::Compensate),
        "ok a; silence b; undone b; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        sent b       ->
        time b       ->
        wait b       -> b#2
        sent b       ->
        time b       -> turns back, un-b
        undone b     -> un-a
        undone a     -> Compensated
    "#]],
    );
    check(
        &failed(back_to(1, 1, Word::Compensate)),
        "ok a; silence b; nothing b; ok b@0; retry; undone b@0; silence b; nothing b; undone a",
        &expect![[r#"
            start        -> a
            ok a         -> b
            sent b       ->
            time b       ->
            wait b       -> b#2
            sent b       ->
            time b       -> steps aside, un-b
            nothing b    -> goes on, b@1
            ok b@0       -> stuck: b was done after its participant had said that there was nothing to undo
            retry        -> goes on, un-b#2
            undone b@0   -> goes on
            sent b       ->
            time b       ->
            wait b       -> b@1#2
            sent b       ->
            time b       -> turns back, un-b@1
            nothing b    -> un-a
            undone a     -> Compensated
        "#]],
    );
    check(
        &failed(Word::Hold),
        "ok a; silence b; retry b 7; retry b; ok b; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> b
        sent b       ->
        time b       ->
        wait b       -> b#2
        sent b       ->
        time b       -> holds b
        retry b 7    -> rejected: it is not known what became of it with its input: another could do it twice
        retry b      -> b#3
        ok b         -> c
        ok c         -> Completed
    "#]],
    );
    check(
        &failed(Word::Hold),
        "ok a; silence b; ok b; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> b
        sent b       ->
        time b       ->
        wait b       -> b#2
        sent b       ->
        time b       -> holds b
        ok b         -> c
        ok c         -> Completed
    "#]],
    );
    check(
        &failed(Word::Hold),
        "ok a; silence b; no b; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        sent b       ->
        time b       ->
        wait b       -> b#2
        sent b       ->
        time b       -> holds b
        no b         -> turns back, un-a
        undone a     -> Compensated
    "#]],
    );
    check(
        &failed(Word::Stuck),
        "ok a; silence b; ok b; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> b
        sent b       ->
        time b       ->
        wait b       -> b#2
        sent b       ->
        time b       -> stuck: b failed: no answer in time
        ok b         -> goes on, c
        ok c         -> Completed
    "#]],
    );
}

// shows: guard: skip, guard: compensate, guard: back_to, guard: hold, guard: stuck
// shows: guard.if, guard.else x success
#[test]
fn guard_words() {
    let shut = "told ok false; ok a; ";
    check(
        &guarded(Word::Skip),
        &format!("{shut} ok c"),
        &expect![[r#"
        start        -> a
        told ok false ->
        ok a         -> c, skips b
        ok c         -> Completed
    "#]],
    );
    check(
        &guarded(Word::Compensate),
        &format!("{shut} undone a"),
        &expect![[r#"
        start        -> a
        told ok false ->
        ok a         -> turns back, un-a
        undone a     -> Compensated
    "#]],
    );
    check(
        &guarded(back_to(0, 1, Word::Compensate)),
        &format!("{shut} undone a; ok a; undone a@1"),
        &expect![[r#"
        start        -> a
        told ok false ->
        ok a         -> steps aside, un-a
        undone a     -> goes on, a@1
        ok a         -> turns back, un-a@1
        undone a@1   -> Compensated
    "#]],
    );
    check(
        &guarded(Word::Stuck),
        &format!("{shut} retry; told ok true; retry; ok b; ok c"),
        &expect![[r#"
        start        -> a
        told ok false ->
        ok a         -> stuck: the guard of b does not hold
        retry        -> goes on, stuck: the guard of b does not hold
        told ok true ->
        retry        -> goes on, b@2
        ok b         -> c
        ok c         -> Completed
    "#]],
    );
    check(
        &guarded(Word::Hold),
        &format!("{shut} told ok true; ok b; ok c"),
        &expect![[r#"
        start        -> a
        told ok false ->
        ok a         -> guards b
        told ok true -> b
        ok b         -> c
        ok c         -> Completed
    "#]],
    );
}

/// What is under way when the guard no longer holds gets no other attempt; what it did is not forgotten.
// shows: guard.if, guard.else x timeout, late success
#[test]
fn a_guard_stands_before_every_attempt() {
    let late = "ok a; sent b; time b; told ok false; wait b; ";
    check(
        &guarded(Word::Skip),
        &format!("{late} nothing b; ok c"),
        &expect![[r#"
        start        -> a
        ok a         -> b
        sent b       ->
        time b       ->
        told ok false ->
        wait b       -> steps aside, un-b
        nothing b    -> goes on, c, skips b
        ok c         -> Completed
    "#]],
    );
    check(
        &guarded(Word::Hold),
        &format!("{late} told ok true; ok b; ok c"),
        &expect![[r#"
        start        -> a
        ok a         -> b
        sent b       ->
        time b       ->
        told ok false ->
        wait b       ->
        told ok true -> b#2
        ok b         -> c
        ok c         -> Completed
    "#]],
    );
    check(
        &guarded(Word::Stuck),
        &format!("{late} ok b; ok c"),
        &expect![[r#"
        start        -> a
        ok a         -> b
        sent b       ->
        time b       ->
        told ok false ->
        wait b       -> stuck: the guard of b does not hold
        ok b         -> goes on, c
        ok c         -> Completed
    "#]],
    );
}

// shows: else: continue, else: compensate, else: back_to, else: hold, else: stuck
// shows: wait.until x success, timeout, late success
// shows: wait.else, wait.within, expect.within x timeout
#[test]
fn words_of_a_wait() {
    check(
        &awaited(Word::Continue),
        "ok a; within b; ok c",
        &expect![[r#"
        start        -> a
        ok a         ->
        within b     -> c, b in vain, continues b
        ok c         -> Completed
    "#]],
    );
    check(
        &awaited(Word::Skip),
        "ok a; within b; ok c",
        &expect![[r#"
        start        -> a
        ok a         ->
        within b     -> c, b in vain, skips b
        ok c         -> Completed
    "#]],
    );
    check(
        &awaited(Word::Compensate),
        "ok a; within b; undone a",
        &expect![[r#"
        start        -> a
        ok a         ->
        within b     -> turns back, un-a, b in vain
        undone a     -> Compensated
    "#]],
    );
    check(
        &awaited(back_to(0, 1, Word::Compensate)),
        "ok a; within b; undone a; ok a; told ok true; ok c",
        &expect![[r#"
        start        -> a
        ok a         ->
        within b     -> steps aside, un-a, b in vain
        undone a     -> goes on, a@1
        ok a         ->
        told ok true -> c@1, b@1 = null
        ok c         -> Completed
    "#]],
    );
    check(
        &awaited(Word::Hold),
        "ok a; within b; told ok true; release b; ok c",
        &expect![[r#"
        start        -> a
        ok a         ->
        within b     -> b in vain, holds b
        told ok true ->
        release b    -> c, b@1 = null
        ok c         -> Completed
    "#]],
    );
    check(
        &awaited(Word::Stuck),
        "ok a; within b; told ok true; retry; ok c",
        &expect![[r#"
        start        -> a
        ok a         ->
        within b     -> b in vain, stuck: b waited in vain
        told ok true ->
        retry        -> goes on, c, b@1 = null
        ok c         -> Completed
    "#]],
    );
}

/// `expect`: now, or else.
// shows: expect.if x success, timeout
// shows: expect.else x timeout
#[test]
fn what_is_expected_takes_no_time() {
    let mut made = awaited(Word::Compensate);
    let Verb::Until(until) = &mut made.steps[1].verb else { panic!("a wait") };
    until.patience.within = 0;
    check(
        &made,
        "told ok true; ok a; ok c",
        &expect![[r#"
        start        -> a
        told ok true ->
        ok a         -> c, b = null
        ok c         -> Completed
    "#]],
    );
    check(
        &made,
        "ok a; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> turns back, un-a, b in vain
        undone a     -> Compensated
    "#]],
    );
}

// shows: deadline: compensate, deadline: stuck
// shows: deadline.after, deadline.else x timeout, late success
// shows: deadline.after_pivot x timeout, cancel
#[test]
fn deadline_words() {
    let abc = chain(&["a", "b", "c"]);
    check(
        &abc,
        "ok a; deadline; nothing b; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        deadline     -> turns back, un-b
        nothing b    -> un-a
        undone a     -> Compensated
    "#]],
    );
    let mut stuck = abc.clone();
    stuck.deadline.otherwise = Word::Stuck;
    check(
        &stuck,
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
    check(
        &pivot(abc, 1),
        "ok a; deadline; cancel; retry; ok b; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> b
        deadline     -> stuck: its time is up
        cancel       -> rejected: the pivot "b" is decided: the saga only goes forward
        retry        -> goes on
        ok b         -> c
        ok c         -> Completed
    "#]],
    );
}

// shows: react: continue, react: compensate, react: back_to, react: hold, react: stuck
// shows: react.then, react.if x success
#[test]
fn react_words() {
    check(
        &reacting(Word::Continue, Word::Stuck),
        "told n 1; ok a; ok b; ok c",
        &expect![[r#"
        start        -> a
        told n 1     ->
        ok a         -> b
        ok b         -> c
        ok c         -> Completed
    "#]],
    );
    check(
        &reacting(Word::Compensate, Word::Stuck),
        "ok a; told n 1; nothing b; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        told n 1     -> turns back, un-b
        nothing b    -> un-a
        undone a     -> Compensated
    "#]],
    );
    check(
        &reacting(back_to(1, 1, Word::Stuck), Word::Stuck),
        "ok a; ok b; told n 1; nothing c; undone b; told n 0; told n 2; retry; ok b; ok c",
        &expect![[r#"
            start        -> a
            ok a         -> b
            ok b         -> c
            told n 1     -> steps aside, un-c
            nothing c    -> un-b
            undone b     -> goes on, b@1
            told n 0     ->
            told n 2     -> stuck: the world turned: facts.n > 0
            retry        -> goes on
            ok b         -> c@1
            ok c         -> Completed
        "#]],
    );
    check(
        &reacting(Word::Hold, Word::Stuck),
        "told n 1; ok a; release; ok b; ok c",
        &expect![[r#"
        start        -> a
        told n 1     ->
        ok a         ->
        release      -> b
        ok b         -> c
        ok c         -> Completed
    "#]],
    );
    check(
        &reacting(Word::Stuck, Word::Stuck),
        "told n 1; ok a; retry; ok b; ok c",
        &expect![[r#"
        start        -> a
        told n 1     -> stuck: the world turned: facts.n > 0
        ok a         ->
        retry        -> goes on, b
        ok b         -> c
        ok c         -> Completed
    "#]],
    );
}

/// After the pivot every way back reads `stuck`, and the rule has a word of its own.
// shows: react after the pivot: hold
// shows: react.after_pivot x success
#[test]
fn after_the_pivot_no_word_goes_back() {
    let after = |mut made: Definition| {
        made = pivot(made, 0);
        made
    };
    check(
        &after(refused(Word::Compensate)),
        "ok a; no b; retry; ok b; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> b
        no b         -> stuck: b was refused: No
        retry        -> goes on, b@1
        ok b         -> c
        ok c         -> Completed
    "#]],
    );
    check(
        &after(refused(back_to(0, 3, Word::Compensate))),
        "ok a; no b; retry; ok b; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> b
        no b         -> stuck: b was refused: No
        retry        -> goes on, b@1
        ok b         -> c
        ok c         -> Completed
    "#]],
    );
    check(
        &after(failed(Word::Skip)),
        "ok a; silence b; nothing b; ok c",
        &expect![[r#"
        start        -> a
        ok a         -> b
        sent b       ->
        time b       ->
        wait b       -> b#2
        sent b       ->
        time b       -> steps aside, un-b
        nothing b    -> goes on, c, skips b
        ok c         -> Completed
    "#]],
    );
    check(
        &after(guarded(Word::Compensate)),
        "told ok false; ok a; told ok true; retry; ok b; ok c",
        &expect![[r#"
        start        -> a
        told ok false ->
        ok a         -> stuck: the guard of b does not hold
        told ok true ->
        retry        -> goes on, b@1
        ok b         -> c
        ok c         -> Completed
    "#]],
    );
    check(
        &after(awaited(Word::Compensate)),
        "ok a; within b; told ok true; retry; ok c",
        &expect![[r#"
        start        -> a
        ok a         ->
        within b     -> b in vain, stuck: b waited in vain
        told ok true ->
        retry        -> goes on, c, b@1 = null
        ok c         -> Completed
    "#]],
    );
    check(
        &after(reacting(Word::Compensate, Word::Hold)),
        "told n 1; ok a; release; ok b; ok c",
        &expect![[r#"
        start        -> a
        told n 1     ->
        ok a         ->
        release      -> b
        ok b         -> c
        ok c         -> Completed
    "#]],
    );
    check(
        &pivot(chain(&["a", "b"]), 1),
        "ok a; no b; undone a",
        &expect![[r#"
        start        -> a
        ok a         -> b
        no b         -> turns back, un-a
        undone a     -> Compensated
    "#]],
    );
}

/// Two branches: while one is stuck, or undoes something, the word of the other is owed.
// shows: failed x cancel
#[test]
fn a_word_is_owed_while_the_saga_is_busy() {
    let mut branches = chain(&["a", "b", "c"]);
    branches.steps[1].after = vec![];
    call_mut(&mut branches, 0).failed = Word::Skip;
    call_mut(&mut branches, 1).refused_else = Word::Hold;
    check(
        &branches,
        "silence a; no b; nothing a; retry b; ok b; ok c",
        &expect![[r#"
        start        -> a, b
        sent a       ->
        time a       ->
        wait a       -> a#2
        sent a       ->
        time a       -> steps aside, un-a
        no b         ->
        nothing a    -> goes on, skips a, holds b
        retry b      -> b@1
        ok b         -> c
        ok c         -> Completed
    "#]],
    );
    call_mut(&mut branches, 1).refused_else = Word::Compensate;
    check(
        &branches,
        "silence a; no b; nothing a",
        &expect![[r#"
        start        -> a, b
        sent a       ->
        time a       ->
        wait a       -> a#2
        sent a       ->
        time a       -> steps aside, un-a
        no b         ->
        nothing a    -> goes on, turns back, skips a, Compensated
    "#]],
    );
    check(
        &branches,
        "silence a; cancel; nothing a; undone b",
        &expect![[r#"
        start        -> a, b
        sent a       ->
        time a       ->
        wait a       -> a#2
        sent a       ->
        time a       -> steps aside, un-a
        cancel       -> turns back
        nothing a    -> un-b
        undone b     -> Cancelled
    "#]],
    );
    check(
        &branches,
        "silence a; sent b; time b; wait b; nothing a; ok b; ok c",
        &expect![[r#"
        start        -> a, b
        sent a       ->
        time a       ->
        wait a       -> a#2
        sent a       ->
        time a       -> steps aside, un-a
        sent b       ->
        time b       ->
        wait b       ->
        nothing a    -> goes on, b#2, skips a
        ok b         -> c
        ok c         -> Completed
    "#]],
    );
    check(
        &branches,
        "silence a; silence a; cancel; retry; nothing a; undone b",
        &expect![[r#"
        start        -> a, b
        sent a       ->
        time a       ->
        wait a       -> a#2
        sent a       ->
        time a       -> steps aside, un-a
        sent a       ->
        time a       ->
        wait a       -> un-a#2
        sent a       ->
        time a       -> stuck: a can't be undone: no answer in time
        cancel       -> turns back, stuck: a can't be undone: its attempts were used up before
        retry        -> goes on, un-a#3
        nothing a    -> un-b
        undone b     -> Cancelled
    "#]],
    );
}

/// A word may stand at a decision that follows: it is taken once.
// shows: decide.if, decide.is x success
#[test]
fn a_decision_is_taken_once() {
    use sagaline_definition::model::Arm;
    let arms = vec![
        Arm { condition: Some(expr("facts.ok")), is: Value::from("yes") },
        Arm { condition: None, is: Value::from("no") },
    ];
    let steps = vec![step("route", Verb::Decide(Decide { arms })), step("a", Verb::Call(call("a")))];
    let mut made = definition(steps);
    made.facts = vec![fact("ok", Value::Bool(false))];
    made.steps[1].condition = Some(expr("route == 'no'"));
    check(
        &made,
        "told ok true; ok a",
        &expect![[r#"
        start        -> a, route = "no"
        told ok true ->
        ok a         -> Completed
    "#]],
    );
}
