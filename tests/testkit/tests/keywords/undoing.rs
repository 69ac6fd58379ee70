//! Undoing: its input and its attempts, whatever is known of what it undoes.

use expect_test::expect;

use super::{check, definition};

/// a is undone with what is known of it, in three attempts.
const UNDONE: &str = "steps:
  - { step: a, call: work.make, retry: twice, compensate: { call: unmake, with: { n: \"${a != null ? a.n : 0}\" }, retry: { attempts: 3, backoff: 2s..10s, factor: 3, jitter: none, attempt_timeout: 5s } } }
  - { step: b, call: work.make, retry: twice }";

// shows: compensate.with, compensate.retry x success, refusal, timeout, late success, cancel
#[test]
fn an_undoing_has_its_own_input_and_its_own_attempts() {
    let check = |given: &str, expected| check(UNDONE, given, expected);
    // Nothing is undone that nobody wants undone.
    check(
        "replies: { a: { ok: { n: 7 } } }",
        expect![[r#"
            0.0 a
            0.0 b
            0.0 completed
        world: a stands, b stands
    "#]],
    );
    check(
        "replies: { a: { ok: { n: 7 } }, b: refused No, undo a: [failed, { ok: ~, after: 4s }] }",
        expect![[r#"
            0.0 a
            0.0 b
            0.0 goes back: b was refused: No
            0.0 undo a {"n":7}
            2.0 undo a #2 {"n":7}
            6.0 compensated: b was refused: No
        world: a void, b void
    "#]],
    );
    // Nobody says what became of a, and nobody that it is undone.
    check(
        "replies: { a: silent, undo a: silent }",
        expect![[r#"
                0.0 a
               11.0 a #2
               21.0 goes back: a failed: no answer in time
               21.0 undo a {"n":0}
               28.0 undo a #2 {"n":0}
               39.0 undo a #3 {"n":0}
               44.0 stuck: a can't be undone: no answer in time
               44.0 stuck: a can't be undone: no answer in time
            world: a unknown
        "#]],
    );
    // a's result comes when its undoing is decided: that is not decided anew. Its own answer comes between two attempts.
    check(
        "replies: { a: [silent, { ok: { n: 7 }, after: 12s }], undo a: [silent, { ok: ~, after: 6s }] }",
        expect![[r#"
            0.0 a
           11.0 a #2
           21.0 goes back: a failed: no answer in time
           21.0 undo a {"n":0}
           28.0 undo a #2 {"n":0}
           34.0 compensated: a failed: no answer in time
        world: a void
    "#]],
    );
    check(
        "replies: { a: { ok: { n: 7 } }, b: { ok: ~, after: 4s }, undo a: [silent, ok], undo b: ok }
    happens: [{ at: 3s, cancel: why not }]",
        expect![[r#"
                0.0 a
                0.0 b
                3.0 goes back: somebody asked: why not
                3.0 undo b
                3.0 undo a {"n":7}
               10.0 undo a #2 {"n":7}
               10.0 cancelled: somebody asked: why not
            world: a void, b void
        "#]],
    );
}

/// The contract says what undoes an operation, unless the definition does.
// shows: operations.compensate x success, refusal, timeout, late success, cancel
#[test]
fn the_contract_says_what_undoes() {
    let steps = |first: &str| {
        format!(
            "steps:\n  - {{ step: a, call: work.{first}, retry: twice }}\n  - {{ step: b, call: work.make, retry: twice }}"
        )
    };
    assert_eq!(
        definition(&steps("make")),
        definition(&steps("make").replacen("twice }", "twice, compensate: unmake }", 1))
    );
    let check = |given: &str, expected| check(&steps("make"), given, expected);
    check(
        "replies: { b: refused No }",
        expect![[r#"
            0.0 a
            0.0 b
            0.0 goes back: b was refused: No
            0.0 undo a
            0.0 compensated: b was refused: No
        world: a void, b void
    "#]],
    );
    check(
        "replies: { b: silent }",
        expect![[r#"
            0.0 a
            0.0 b
           11.0 b #2
           21.0 goes back: b failed: no answer in time
           21.0 undo b
           21.0 undo a
           21.0 compensated: b failed: no answer in time
        world: a void, b void
    "#]],
    );
    check(
        "replies: { b: { ok: ~, after: 25s }, undo b: { ok: ~, after: 9s } }",
        expect![[r#"
            0.0 a
            0.0 b
           11.0 b #2
           21.0 goes back: b failed: no answer in time
           21.0 undo b
           30.0 undo a
           30.0 compensated: b failed: no answer in time
        world: a void, b void
    "#]],
    );
    check(
        "replies: { b: { ok: ~, after: 2s } }\n    happens: [{ at: 1s, cancel: why not }]",
        expect![[r#"
            0.0 a
            0.0 b
            1.0 goes back: somebody asked: why not
            1.0 undo b
            1.0 undo a
            1.0 cancelled: somebody asked: why not
        world: a void, b void
    "#]],
    );
    // Nothing undoes a shout: who shouts says so, and it stands.
    super::check(
        &steps("shout").replacen("twice }", "twice, compensate: never }", 1),
        "replies: { b: refused No }",
        expect![[r#"
                0.0 a
                0.0 b
                0.0 goes back: b was refused: No
                0.0 compensated: b was refused: No
            world: a stands, b void
        "#]],
    );
}

/// Who is asked what became of an effect need not answer any more when its participant has said so itself.
// shows: operations.probe x success, refusal, timeout, late success, cancel
#[test]
fn a_probe_asks_until_it_is_known() {
    let probed = "steps:
  - { step: a, call: work.count, retry: twice }
  - { step: b, call: work.make }";
    let check = |given: &str, expected| check(probed, given, expected);
    check(
        "replies: { a: silent, probe a: { ok: ~, after: 2s } }",
        expect![[r#"
            0.0 a
           11.0 a #2
           21.0 probe a
           23.0 b
           23.0 completed
        world: a stands, b stands
    "#]],
    );
    check(
        "replies: { a: silent, probe a: never }",
        expect![[r#"
            0.0 a
           11.0 a #2
           21.0 probe a
           21.0 goes back: a was refused: NeverHappened
           21.0 compensated: a was refused: NeverHappened
        world: a void
    "#]],
    );
    // A refusal while it is asked, and one that nobody asks for any more.
    check(
        "replies: { a: { refused: No, after: 23s }, probe a: { ok: ~, after: 5s } }",
        expect![[r#"
            0.0 a
           11.0 a #2
           21.0 probe a
           23.0 goes back: a was refused: No
           23.0 compensated: a was refused: No
        world: a void
    "#]],
    );
    check(
        "replies: { a: silent, probe a: silent }",
        expect![[r#"
            0.0 a
           11.0 a #2
           21.0 probe a
           32.0 probe a #2
           42.0 goes back: a failed: no answer in time
           42.0 undo a
           42.0 compensated: a failed: no answer in time
        world: a void
    "#]],
    );
    check(
        "replies: { a: { ok: ~, after: 23s }, probe a: { ok: ~, after: 5s } }",
        expect![[r#"
            0.0 a
           11.0 a #2
           21.0 probe a
           23.0 b
           23.0 completed
        world: a stands, b stands
    "#]],
    );
    check(
        "replies: { a: silent, probe a: { ok: ~, after: 5s }, undo a: { ok: ~, after: 9s } }
    happens: [{ at: 22s, cancel: why not }]",
        expect![[r#"
                0.0 a
               11.0 a #2
               21.0 probe a
               22.0 goes back: somebody asked: why not
               22.0 undo a
               31.0 cancelled: somebody asked: why not
            world: a void
        "#]],
    );
}
