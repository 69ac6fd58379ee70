//! Going back to a step: rounds, and what ends them.

use expect_test::expect;

use super::check;

const LOOP: &str = "steps:
  - { step: a, call: work.make }
  - { step: b, call: work.make, retry: twice, refused: { back_to: a, at_most: 1, else: stuck } }";

/// Once more is allowed, and is enough: nobody asks what else.
// shows: back_to, back_to.at_most, back_to.else x success, refusal
#[test]
fn a_second_round_may_be_the_last() {
    check(
        LOOP,
        "replies: { b: [refused No, ok] }",
        expect![[r#"
            0.0 a
            0.0 b
            0.0 undo a
            0.0 goes on: what had to be undone is undone
            0.0 a
            0.0 b
            0.0 completed
        world: a void, b void, a stands, b stands
    "#]],
    );
    check(
        LOOP,
        "replies: { b: [refused No, refused No] }",
        expect![[r#"
            0.0 a
            0.0 b
            0.0 undo a
            0.0 goes on: what had to be undone is undone
            0.0 a
            0.0 b
            0.0 stuck: b was refused: No
            0.0 stuck: b was refused: No
        world: a void, b void, a stands, b void
    "#]],
    );
}

/// What one word has used up is none of the others'.
// shows: back_to.at_most x refusal, timeout
#[test]
fn each_word_counts_its_own_rounds() {
    check(
        "steps:
  - { step: a, call: work.make }
  - step: b
    call: work.make
    retry: twice
    refused: { No: { back_to: a, at_most: 1, else: stuck }, Soft: { back_to: b, at_most: 1, else: continue } }
    failed: { back_to: a, at_most: 1, else: hold }",
        "replies: { b: [refused No, refused Soft, silent, silent, refused Soft] }",
        expect![[r#"
                0.0 a
                0.0 b
                0.0 undo a
                0.0 goes on: what had to be undone is undone
                0.0 a
                0.0 b
                0.0 goes on: what had to be undone is undone
                0.0 b
               11.0 b #2
               21.0 undo b
               21.0 undo a
               21.0 goes on: what had to be undone is undone
               21.0 a
               21.0 b
               21.0 completed
            world: a void, b void, a void, b void, b void, a stands, b void
        "#]],
    );
}

/// A saga that is cancelled begins no round, and the end of its rounds is none of its business.
// shows: back_to, back_to.at_most, back_to.else x cancel
#[test]
fn who_is_cancelled_goes_no_more_rounds() {
    check(
        LOOP,
        "replies: { b: refused No, undo a: { ok: ~, after: 5s } }
    happens: [{ at: 2s, cancel: why not }]",
        expect![[r#"
                0.0 a
                0.0 b
                0.0 undo a
                2.0 goes back: somebody asked: why not
                5.0 cancelled: somebody asked: why not
            world: a void, b void
        "#]],
    );
    // In the last round: the refusal that would lead to `else` comes when the saga goes back already.
    check(
        LOOP,
        "replies: { b: [refused No, { refused: No, after: 3s }], undo b: { ok: ~, after: 9s } }
    happens: [{ at: 2s, cancel: why not }]",
        expect![[r#"
                0.0 a
                0.0 b
                0.0 undo a
                0.0 goes on: what had to be undone is undone
                0.0 a
                0.0 b
                2.0 goes back: somebody asked: why not
                2.0 undo b
               11.0 undo a
               11.0 cancelled: somebody asked: why not
            world: a void, b void, a void, b void
        "#]],
    );
}
