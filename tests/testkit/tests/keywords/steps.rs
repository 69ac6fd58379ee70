//! Steps: their order, conditions and inputs, reading and sleeping, whatever becomes of their commands.

use expect_test::expect;

use super::{check, definition};

/// a; beside each other b, and c1 before c2; then d.
const TOGETHER: &str = "steps:
  - { step: a, call: work.make, retry: twice }
  - together:
      - { step: b, call: work.make, retry: twice, failed: skip }
      - - { step: c1, call: work.make, retry: twice }
        - { step: c2, call: work.make, retry: twice }
  - { step: d, call: work.make, retry: twice }";

/// The same, said of each step.
const AFTER: &str = "steps:
  - { step: a, call: work.make, retry: twice }
  - { step: b, call: work.make, retry: twice, failed: skip }
  - { step: c1, call: work.make, retry: twice, after: a }
  - { step: c2, call: work.make, retry: twice }
  - { step: d, call: work.make, retry: twice, after: [b, c2] }";

// shows: together, after x success, refusal, timeout, late success, cancel
#[test]
fn what_stands_behind_branches_waits_for_all_of_them() {
    assert_eq!(definition(TOGETHER), definition(AFTER));
    let check = |given: &str, expected| check(TOGETHER, given, expected);
    check(
        "replies: { b: { ok: ~, after: 5s }, c1: { ok: ~, after: 2s }, c2: { ok: ~, after: 1s } }",
        expect![[r#"
            0.0 a
            0.0 b
            0.0 c1
            2.0 c2
            5.0 d
            5.0 completed
        world: a stands, b stands, c1 stands, c2 stands, d stands
    "#]],
    );
    // One branch is refused: what stands behind it never begins, and the other is undone though its answer comes late.
    check(
        "replies: { b: { ok: ~, after: 5s }, c1: { refused: No, after: 2s }, undo b: { ok: ~, after: 4s } }",
        expect![[r#"
                0.0 a
                0.0 b
                0.0 c1
                2.0 goes back: c1 was refused: No
                2.0 undo b
                6.0 undo a
                6.0 compensated: c1 was refused: No
            world: a void, b void, c1 void
        "#]],
    );
    // One branch is silent and left out: what stands behind waits until it is void.
    check(
        "replies: { b: silent, c1: { ok: ~, after: 2s }, undo b: { ok: ~, after: 4s } }",
        expect![[r#"
            0.0 a
            0.0 b
            0.0 c1
            2.0 c2
           11.0 b #2
           21.0 undo b
           25.0 goes on: what had to be undone is undone
           25.0 d
           25.0 completed
        world: a stands, b void, c1 stands, c2 stands, d stands
    "#]],
    );
    check(
        "replies: { b: { ok: ~, after: 5s }, c1: { ok: ~, after: 2s }, c2: { ok: ~, after: 2s }, undo c2: { ok: ~, after: 9s } }
    happens: [{ at: 3s, cancel: why not }]",
        expect![[r#"
                0.0 a
                0.0 b
                0.0 c1
                2.0 c2
                3.0 goes back: somebody asked: why not
                3.0 undo c2
               12.0 undo c1
               12.0 undo b
               12.0 undo a
               12.0 cancelled: somebody asked: why not
            world: a void, b void, c1 void, c2 void
        "#]],
    );
}

// shows: after.at_least, after.of x success, refusal, timeout, late success, cancel
#[test]
fn some_of_several_are_enough_to_go_on() {
    let some = "steps:
  - { step: b, call: work.make, retry: twice, refused: { Soft: continue }, failed: skip, after: [] }
  - { step: c, call: work.make, retry: twice, after: [] }
  - { step: d, call: work.make, retry: twice, after: [] }
  - { step: e, call: work.make, retry: twice, after: { at_least: 2, of: [b, c, d] } }";
    let check = |given: &str, expected| check(some, given, expected);
    check(
        "replies: { b: { ok: ~, after: 1s }, c: { ok: ~, after: 2s }, d: { ok: ~, after: 8s } }",
        expect![[r#"
            0.0 b
            0.0 c
            0.0 d
            2.0 e
            8.0 completed
        world: b stands, c stands, d stands, e stands
    "#]],
    );
    // One that is refused and passed over is done.
    check(
        "replies: { b: { refused: Soft, after: 1s }, c: { ok: ~, after: 2s }, d: { ok: ~, after: 8s } }",
        expect![[r#"
                0.0 b
                0.0 c
                0.0 d
                2.0 e
                8.0 completed
            world: b void, c stands, d stands, e stands
        "#]],
    );
    // One that is silent is waited for no longer than for enough others.
    check(
        "replies: { b: silent, c: { ok: ~, after: 1s }, d: { ok: ~, after: 12s } }",
        expect![[r#"
            0.0 b
            0.0 c
            0.0 d
           11.0 b #2
           11.0 d #2
           12.0 e
           21.0 undo b
           21.0 goes on: what had to be undone is undone
           21.0 completed
        world: b void, c stands, d stands, e stands
    "#]],
    );
    check(
        "replies: { b: silent, c: { ok: ~, after: 1s }, d: { ok: ~, after: 40s } }",
        expect![[r#"
            0.0 b
            0.0 c
            0.0 d
           11.0 b #2
           11.0 d #2
           21.0 undo b
           21.0 goes on: what had to be undone is undone
           21.0 e
           21.0 goes back: d failed: no answer in time
           21.0 undo e
           21.0 undo d
           21.0 undo c
           21.0 compensated: d failed: no answer in time
        world: b void, c void, d void, e void
    "#]],
    );
    // The second success comes when the saga goes back already.
    check(
        "replies: { b: { ok: ~, after: 1s }, c: { refused: No, after: 2s }, d: { ok: ~, after: 5s }, undo d: { ok: ~, after: 9s } }",
        expect![[r#"
                0.0 b
                0.0 c
                0.0 d
                2.0 goes back: c was refused: No
                2.0 undo d
               11.0 undo b
               11.0 compensated: c was refused: No
            world: b void, c void, d void
        "#]],
    );
    check(
        "replies: { b: { ok: ~, after: 1s }, c: { ok: ~, after: 3s }, d: { ok: ~, after: 4s }, undo d: { ok: ~, after: 9s } }
    happens: [{ at: 2s, cancel: why not }]",
        expect![[r#"
                0.0 b
                0.0 c
                0.0 d
                2.0 goes back: somebody asked: why not
                2.0 undo d
               11.0 undo c
               11.0 undo b
               11.0 cancelled: somebody asked: why not
            world: b void, c void, d void
        "#]],
    );
}

// shows: if x success, refusal, timeout, late success, cancel
#[test]
fn a_condition_sees_what_became_of_a_step() {
    let ways = "steps:
  - { step: a, call: work.make, retry: twice, refused: { Soft: continue }, failed: skip }
  - { step: done, call: work.make, if: outcome.a == 'done' }
  - { step: continued, call: work.make, if: outcome.a == 'continued', after: a }
  - { step: skipped, call: work.make, if: outcome.a == 'skipped', after: a }";
    let check = |given: &str, expected| check(ways, given, expected);
    check(
        "replies: { a: ok }",
        expect![[r#"
            0.0 a
            0.0 done
            0.0 completed
        world: a stands, done stands
    "#]],
    );
    check(
        "replies: { a: refused Soft }",
        expect![[r#"
            0.0 a
            0.0 continued
            0.0 completed
        world: a void, continued stands
    "#]],
    );
    check(
        "replies: { a: silent }",
        expect![[r#"
            0.0 a
           11.0 a #2
           21.0 undo a
           21.0 goes on: what had to be undone is undone
           21.0 skipped
           21.0 completed
        world: a void, skipped stands
    "#]],
    );
    // It is done after all, but no longer wanted.
    check(
        "replies: { a: { ok: ~, after: 25s }, undo a: { ok: ~, after: 9s } }",
        expect![[r#"
            0.0 a
           11.0 a #2
           21.0 undo a
           30.0 goes on: what had to be undone is undone
           30.0 skipped
           30.0 completed
        world: a void, skipped stands
    "#]],
    );
    // Nothing is looked at once the saga goes back.
    check(
        "replies: { a: { ok: ~, after: 2s }, undo a: { ok: ~, after: 9s } }
    happens: [{ at: 1s, cancel: why not }]",
        expect![[r#"
                0.0 a
                1.0 goes back: somebody asked: why not
                1.0 undo a
               10.0 cancelled: somebody asked: why not
            world: a void
        "#]],
    );
}

// shows: ask, operations.reads x success, refusal, timeout, late success, cancel
#[test]
fn who_only_asks_leaves_nothing_to_undo() {
    let asks = "steps:
  - { step: a, call: work.make, retry: twice }
  - { step: b, ask: work.look, retry: twice }
  - { step: c, call: work.make, with: { n: \"${b.n}\" }, retry: twice }";
    let check = |given: &str, expected| check(asks, given, expected);
    check(
        "replies: { b: { ok: { n: 7 }, after: 2s } }",
        expect![[r#"
            0.0 a
            0.0 b
            2.0 c {"n":7}
            2.0 completed
        world: a stands, b stands, c stands
    "#]],
    );
    check(
        "replies: { b: { refused: No, after: 2s } }",
        expect![[r#"
            0.0 a
            0.0 b
            2.0 goes back: b was refused: No
            2.0 undo a
            2.0 compensated: b was refused: No
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
           21.0 undo a
           21.0 compensated: b failed: no answer in time
        world: a void, b unknown
    "#]],
    );
    check(
        "replies: { b: { ok: { n: 7 }, after: 25s }, undo a: { ok: ~, after: 9s } }",
        expect![[r#"
            0.0 a
            0.0 b
           11.0 b #2
           21.0 goes back: b failed: no answer in time
           21.0 undo a
           30.0 compensated: b failed: no answer in time
        world: a void, b stands
    "#]],
    );
    check(
        "replies: { b: { ok: { n: 7 }, after: 2s }, undo a: { ok: ~, after: 9s } }
    happens: [{ at: 1s, cancel: why not }]",
        expect![[r#"
                0.0 a
                0.0 b
                1.0 goes back: somebody asked: why not
                1.0 undo a
               10.0 cancelled: somebody asked: why not
            world: a void, b stands
        "#]],
    );
    check(
        "replies: { b: { ok: { n: 7 } }, c: refused No }",
        expect![[r#"
            0.0 a
            0.0 b
            0.0 c {"n":7}
            0.0 goes back: c was refused: No
            0.0 undo a
            0.0 compensated: c was refused: No
        world: a void, b stands, c void
    "#]],
    );
}

/// Told once, as long as the step is not done; whoever goes back is late for nothing.
// shows: expected x success, refusal, timeout, late success, cancel
#[test]
fn only_a_step_that_is_still_under_way_is_overdue() {
    let late = "steps:
  - { step: a, call: work.make }
  - { step: b, call: work.make, expected: 5s, retry: twice }
  - { step: c, call: work.make, retry: { attempt_timeout: 1m } }";
    let check = |given: &str, expected| check(late, given, expected);
    check(
        "replies: { b: { ok: ~, after: 3s }, c: { ok: ~, after: 20s } }",
        expect![[r#"
            0.0 a
            0.0 b
            3.0 c
           23.0 completed
        world: a stands, b stands, c stands
    "#]],
    );
    check(
        "replies: { b: { ok: ~, after: 8s }, c: { ok: ~, after: 20s } }",
        expect![[r#"
            0.0 a
            0.0 b
            5.0 b is overdue
            8.0 c
           28.0 completed
        world: a stands, b stands, c stands
    "#]],
    );
    check(
        "replies: { b: { refused: No, after: 3s }, undo a: { ok: ~, after: 20s } }",
        expect![[r#"
            0.0 a
            0.0 b
            3.0 goes back: b was refused: No
            3.0 undo a
           23.0 compensated: b was refused: No
        world: a void, b void
    "#]],
    );
    check(
        "replies: { b: silent, undo a: { ok: ~, after: 20s } }",
        expect![[r#"
            0.0 a
            0.0 b
            5.0 b is overdue
           11.0 b #2
           21.0 goes back: b failed: no answer in time
           21.0 undo b
           21.0 undo a
           41.0 compensated: b failed: no answer in time
        world: a void, b void
    "#]],
    );
    check(
        "replies: { b: { ok: ~, after: 25s }, undo b: { ok: ~, after: 9s } }",
        expect![[r#"
            0.0 a
            0.0 b
            5.0 b is overdue
           11.0 b #2
           21.0 goes back: b failed: no answer in time
           21.0 undo b
           30.0 undo a
           30.0 compensated: b failed: no answer in time
        world: a void, b void
    "#]],
    );
    check(
        "replies: { b: { ok: ~, after: 25s }, undo b: { ok: ~, after: 9s } }
    happens: [{ at: 3s, cancel: why not }]",
        expect![[r#"
                0.0 a
                0.0 b
                3.0 goes back: somebody asked: why not
                3.0 undo b
               12.0 undo a
               12.0 cancelled: somebody asked: why not
            world: a void, b void
        "#]],
    );
}

/// `failed` is for attempts that are used up, `refused` for a refusal: neither is taken for the other.
// shows: failed x success, refusal, timeout
// shows: refused x success, refusal, timeout
#[test]
fn each_word_has_its_own_occasion() {
    let words = "steps:
  - { step: a, call: work.make, retry: twice, refused: continue, failed: stuck }
  - { step: b, call: work.make, retry: twice, refused: stuck, failed: skip }";
    let check = |given: &str, expected| check(words, given, expected);
    check(
        "replies: { a: [failed, ok], b: [silent, ok] }",
        expect![[r#"
            0.0 a
            1.0 a #2
            1.0 b
           12.0 b #2
           12.0 completed
        world: a stands, b stands
    "#]],
    );
    check(
        "replies: { a: [failed, refused No], b: [failed, refused No] }",
        expect![[r#"
            0.0 a
            1.0 a #2
            1.0 b
            2.0 b #2
            2.0 stuck: b was refused: No
            2.0 stuck: b was refused: No
        world: a void, b void
    "#]],
    );
    check(
        "replies: { b: silent }",
        expect![[r#"
            0.0 a
            0.0 b
           11.0 b #2
           21.0 undo b
           21.0 goes on: what had to be undone is undone
           21.0 completed
        world: a stands, b void
    "#]],
    );
    check(
        "replies: { a: silent }",
        expect![[r#"
            0.0 a
           11.0 a #2
           21.0 stuck: a failed: no answer in time
           21.0 stuck: a failed: no answer in time
        world: a unknown
    "#]],
    );
}

/// A code that the contract has leads where the definition says, if the refusal is what became of it.
// shows: operations.refuses, refused x refusal, timeout, late success, cancel
// shows: operations.refuses x success
#[test]
fn a_refusals_code_is_for_refusals() {
    let codes = "steps:
  - { step: a, call: work.make, retry: twice, refused: { Soft: continue, No: stuck } }
  - { step: b, call: work.make }";
    let check = |given: &str, expected| check(codes, given, expected);
    check(
        "replies: { a: { ok: ~, after: 1s } }",
        expect![[r#"
            0.0 a
            1.0 b
            1.0 completed
        world: a stands, b stands
    "#]],
    );
    check(
        "replies: { a: { refused: Soft, after: 1s } }",
        expect![[r#"
            0.0 a
            1.0 b
            1.0 completed
        world: a void, b stands
    "#]],
    );
    check(
        "replies: { a: { refused: No, after: 1s } }",
        expect![[r#"
            0.0 a
            1.0 stuck: a was refused: No
            1.0 stuck: a was refused: No
        world: a void
    "#]],
    );
    check(
        "replies: { a: silent }",
        expect![[r#"
            0.0 a
           11.0 a #2
           21.0 goes back: a failed: no answer in time
           21.0 undo a
           21.0 compensated: a failed: no answer in time
        world: a void
    "#]],
    );
    // Both can't be true.
    check(
        "replies: { a: [{ ok: ~, after: 12s }, { refused: Soft, after: 500ms }] }",
        expect![[r#"
            0.0 a
           11.0 a #2
           11.5 b
           12.0 stuck: the participant says both that a was done and that it was not
           12.0 stuck: the participant says both that a was done and that it was not
        world: a stands, b stands
    "#]],
    );
    check(
        "replies: { a: { refused: No, after: 2s }, undo a: { ok: ~, after: 9s } }
    happens: [{ at: 1s, cancel: why not }]",
        expect![[r#"
                0.0 a
                1.0 goes back: somebody asked: why not
                1.0 undo a
               10.0 cancelled: somebody asked: why not
            world: a void
        "#]],
    );
}

// shows: pivot x late success
#[test]
fn a_pivot_that_succeeds_after_it_was_given_up_leads_on() {
    let pivot = "steps:
  - { step: a, call: work.make }
  - { step: b, call: work.make, pivot: true, retry: twice }
  - { step: c, call: work.make }";
    check(
        pivot,
        "replies: { b: { ok: ~, after: 25s } }",
        expect![[r#"
            0.0 a
            0.0 b
           11.0 b #2
           21.0 stuck: b failed: no answer in time
           25.0 goes on: it happened after all
           25.0 c
           25.0 completed
        world: a stands, b stands, c stands
    "#]],
    );
    check(
        pivot,
        "replies: { b: { ok: ~, after: 25s } }
    happens: [{ at: 22s, cancel: why not }]",
        expect![[r#"
                0.0 a
                0.0 b
               11.0 b #2
               21.0 stuck: b failed: no answer in time
               22.0 not taken: the pivot "b" is decided: the saga only goes forward
               25.0 goes on: it happened after all
               25.0 c
               25.0 completed
            world: a stands, b stands, c stands
        "#]],
    );
}

/// A guard is looked at before a command and never after it; what waits at one goes back like all else.
// shows: guard.if, guard.else x success, refusal, timeout, late success, cancel
#[test]
fn a_guard_stands_before_commands_only() {
    let guarded = |word: &str| {
        format!(
            "facts: {{ open: {{ initial: true }} }}
steps:
  - {{ step: a, call: work.make }}
  - {{ step: b, call: work.make, retry: twice, refused: {{ Soft: continue }}, guard: {{ if: facts.open == true, else: {word} }} }}
  - {{ step: c, call: work.make }}"
        )
    };
    let shut = "{ at: 1s, fact: open, value: false }";
    check(
        &guarded("stuck"),
        &format!("replies: {{ b: {{ ok: ~, after: 2s }} }}\n    happens: [{shut}]"),
        expect![[r#"
            0.0 a
            0.0 b
            2.0 c
            2.0 completed
        world: a stands, b stands, c stands
    "#]],
    );
    check(
        &guarded("stuck"),
        &format!("replies: {{ b: {{ refused: Soft, after: 2s }} }}\n    happens: [{shut}]"),
        expect![[r#"
                0.0 a
                0.0 b
                2.0 c
                2.0 completed
            world: a stands, b void, c stands
        "#]],
    );
    // The second attempt is not made; what became of the first is found out and undone.
    check(
        &guarded("skip"),
        &format!("replies: {{ b: silent }}\n    happens: [{shut}]"),
        expect![[r#"
            0.0 a
            0.0 b
           11.0 undo b
           11.0 goes on: what had to be undone is undone
           11.0 c
           11.0 completed
        world: a stands, b void, c stands
    "#]],
    );
    check(
        &guarded("stuck"),
        &format!("replies: {{ b: {{ ok: ~, after: 15s }} }}\n    happens: [{shut}]"),
        expect![[r#"
                0.0 a
                0.0 b
               11.0 stuck: the guard of b does not hold
               15.0 goes on: it happened after all
               15.0 c
               15.0 completed
            world: a stands, b stands, c stands
        "#]],
    );
    // It waits for the world, and then nobody waits for it any more.
    check(
        &guarded("hold"),
        "replies: { a: { ok: ~, after: 2s }, undo a: { ok: ~, after: 9s } }
    happens: [{ at: 1s, fact: open, value: false }, { at: 3s, cancel: why not }, { at: 5s, fact: open, value: true }]",
        expect![[r#"
                0.0 a
                3.0 goes back: somebody asked: why not
                3.0 undo a
               12.0 cancelled: somebody asked: why not
            world: a void
        "#]],
    );
}

/// A sleep holds up nobody who goes back, and what stands behind it is not begun when its time comes then.
// shows: sleep x success, refusal, timeout, late success, cancel
#[test]
fn a_sleeper_is_not_waited_for() {
    let sleeps = "deadline: { after: 1m }
steps:
  - { step: a, call: work.make }
  - { step: s, sleep: 20s }
  - { step: b, call: work.make, after: a, retry: { attempts: 1, attempt_timeout: 5m } }
  - { step: c, call: work.make, after: s }";
    let check = |given: &str, expected| check(sleeps, given, expected);
    check(
        "replies: { b: { ok: ~, after: 2s } }",
        expect![[r#"
            0.0 a
            0.0 waits at s
            0.0 b
           20.0 c
           20.0 completed
        world: a stands, b stands, c stands
    "#]],
    );
    check(
        "replies: { b: { refused: No, after: 2s } }",
        expect![[r#"
            0.0 a
            0.0 waits at s
            0.0 b
            2.0 goes back: b was refused: No
            2.0 undo a
            2.0 compensated: b was refused: No
        world: a void, b void
    "#]],
    );
    // Its time comes while the saga goes back.
    check(
        "replies: { b: { refused: No, after: 2s }, undo a: { ok: ~, after: 25s } }",
        expect![[r#"
            0.0 a
            0.0 waits at s
            0.0 b
            2.0 goes back: b was refused: No
            2.0 undo a
           27.0 compensated: b was refused: No
        world: a void, b void
    "#]],
    );
    check(
        "happens: [{ at: 2s, cancel: why not }]\n    replies: { b: silent, undo b: { ok: ~, after: 25s } }",
        expect![[r#"
            0.0 a
            0.0 waits at s
            0.0 b
            2.0 goes back: somebody asked: why not
            2.0 undo b
           27.0 undo a
           27.0 cancelled: somebody asked: why not
        world: a void, b void
    "#]],
    );
    let long = sleeps.replace("20s", "1h");
    super::check(
        &long,
        "replies: { b: ok }",
        expect![[r#"
            0.0 a
            0.0 waits at s
            0.0 b
           60.0 goes back: its time is up
           60.0 undo b
           60.0 undo a
           60.0 compensated: its time is up
        world: a void, b void
    "#]],
    );
}

/// What is said is fixed when the step begins: every attempt and the undoing say the same, whatever the world says by then.
// shows: with x success, refusal, timeout, late success, cancel
#[test]
fn an_input_is_fixed_once() {
    let with = "facts: { n: { initial: 1 } }
steps:
  - { step: a, call: work.make, with: { n: \"${facts.n}\" }, retry: twice }
  - { step: b, call: work.make, with: { n: \"${facts.n}\" }, retry: twice }";
    let check = |given: &str, expected| check(with, given, expected);
    let news = "happens: [{ at: 1s, fact: n, value: 2 }]";
    check(
        &format!("replies: {{ a: [silent, {{ ok: ~, after: 1s }}] }}\n    {news}"),
        expect![[r#"
            0.0 a {"n":1}
           11.0 a #2 {"n":1}
           12.0 b {"n":2}
           12.0 completed
        world: a stands, b stands
    "#]],
    );
    check(
        &format!("replies: {{ a: {{ ok: ~, after: 3s }}, b: refused No }}\n    {news}"),
        expect![[r#"
            0.0 a {"n":1}
            3.0 b {"n":2}
            3.0 goes back: b was refused: No
            3.0 undo a {"n":1}
            3.0 compensated: b was refused: No
        world: a void, b void
    "#]],
    );
    check(
        &format!("replies: {{ a: silent }}\n    {news}"),
        expect![[r#"
            0.0 a {"n":1}
           11.0 a #2 {"n":1}
           21.0 goes back: a failed: no answer in time
           21.0 undo a {"n":1}
           21.0 compensated: a failed: no answer in time
        world: a void
    "#]],
    );
    check(
        &format!("replies: {{ a: {{ ok: ~, after: 25s }}, undo a: [silent, ok] }}\n    {news}"),
        expect![[r#"
            0.0 a {"n":1}
           11.0 a #2 {"n":1}
           21.0 goes back: a failed: no answer in time
           21.0 undo a {"n":1}
           51.1 undo a #2 {"n":1}
           51.1 compensated: a failed: no answer in time
        world: a void
    "#]],
    );
    check(
        "replies: { a: { ok: ~, after: 3s } }
    happens: [{ at: 1s, fact: n, value: 2 }, { at: 2s, cancel: why not }]",
        expect![[r#"
                0.0 a {"n":1}
                2.0 goes back: somebody asked: why not
                2.0 undo a {"n":1}
                2.0 cancelled: somebody asked: why not
            world: a void
        "#]],
    );
}
