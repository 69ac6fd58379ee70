//! `for_each`: items side by side, enough of them, too many of them.

use expect_test::expect;

use super::check;

/// Three items, two at once.
const EACH: &str = "steps:
  - { step: a, call: work.make }
  - { step: b, for_each: { n: \"[1, 2, 3]\", at_once: 2 }, call: work.make, with: { n: \"${n}\" }, retry: twice, failed: skip }
  - { step: c, call: work.make }";

// shows: for_each, for_each.at_once x success, refusal, timeout, late success, cancel
#[test]
fn no_more_items_at_once_than_allowed() {
    let check = |given: &str, expected| check(EACH, given, expected);
    check(
        "replies: { 'b[0]': { ok: ~, after: 5s }, 'b[1]': { ok: ~, after: 2s }, 'b[2]': { ok: ~, after: 9s } }",
        expect![[r#"
            0.0 a
            0.0 b[0] {"n":1}
            0.0 b[1] {"n":2}
            2.0 b[2] {"n":3}
           11.0 c
           11.0 completed
        world: a stands, b[0] stands, b[1] stands, b[2] stands, c stands
    "#]],
    );
    // What has not begun when one is refused never does; what is under way is undone though its answer comes late.
    check(
        "replies: { 'b[0]': { refused: No, after: 2s }, 'b[1]': { ok: ~, after: 4s }, undo b: { ok: ~, after: 9s } }",
        expect![[r#"
                0.0 a
                0.0 b[0] {"n":1}
                0.0 b[1] {"n":2}
                2.0 goes back: b was refused: No
                2.0 undo b[1] {"n":2}
               11.0 undo a
               11.0 compensated: b was refused: No
            world: a void, b[0] void, b[1] void
        "#]],
    );
    // Who is silent keeps its seat until it is given up.
    check(
        "replies: { 'b[0]': silent, 'b[1]': { ok: ~, after: 2s }, 'b[2]': { ok: ~, after: 2s } }",
        expect![[r#"
            0.0 a
            0.0 b[0] {"n":1}
            0.0 b[1] {"n":2}
            2.0 b[2] {"n":3}
           11.0 b[0] #2 {"n":1}
           21.0 undo b[0] {"n":1}
           21.0 goes on: what had to be undone is undone
           21.0 c
           21.0 completed
        world: a stands, b[0] void, b[1] stands, b[2] stands, c stands
    "#]],
    );
    check(
        "replies: { b: { ok: ~, after: 3s }, undo b: { ok: ~, after: 9s } }
    happens: [{ at: 2s, cancel: why not }]",
        expect![[r#"
                0.0 a
                0.0 b[0] {"n":1}
                0.0 b[1] {"n":2}
                2.0 goes back: somebody asked: why not
                2.0 undo b[1] {"n":2}
               11.0 undo b[0] {"n":1}
               20.0 undo a
               20.0 cancelled: somebody asked: why not
            world: a void, b[0] void, b[1] void
        "#]],
    );
}

/// Two of six are enough: what is under way then is made void, what has not begun never does.
// shows: for_each.enough, for_each.rest x success, refusal, timeout, late success, cancel
#[test]
fn enough_of_them_and_the_rest_is_made_void() {
    let enough = "steps:
  - { step: a, call: work.make }
  - { step: b, for_each: { n: \"[1, 2, 3, 4, 5, 6]\", at_once: 4, enough: 2, rest: skip }, call: work.make, with: { n: \"${n}\" }, retry: twice, refused: { Soft: continue } }
  - { step: c, call: work.make }";
    let check = |given: &str, expected| check(enough, given, expected);
    let ok = "{ ok: ~, after: 2s }";
    check(
        &format!(
            "replies: {{ 'b[0]': {ok}, 'b[1]': {ok}, b: {{ ok: ~, after: 5s }}, undo b: {{ ok: ~, after: 1s }} }}"
        ),
        expect![[r#"
            0.0 a
            0.0 b[0] {"n":1}
            0.0 b[1] {"n":2}
            0.0 b[2] {"n":3}
            0.0 b[3] {"n":4}
            2.0 b[4] {"n":5}
            2.0 undo b[4] {"n":5}
            3.0 undo b[3] {"n":4}
            4.0 undo b[2] {"n":3}
            5.0 goes on: what had to be undone is undone
            5.0 c
            5.0 completed
        world: a stands, b[0] stands, b[1] stands, b[2] void, b[3] void, b[4] void, c stands
    "#]],
    );
    // One that was refused is not one that is done; one that is refused when it is made void needs no undoing.
    check(
        &format!(
            "replies: {{ 'b[0]': {{ refused: Soft, after: 1s }}, 'b[1]': {ok}, 'b[2]': {{ ok: ~, after: 3s }}, 'b[3]': {{ refused: No, after: 4s }}, 'b[4]': silent, 'b[5]': silent, undo b: {{ ok: ~, after: 9s }} }}"
        ),
        expect![[r#"
                0.0 a
                0.0 b[0] {"n":1}
                0.0 b[1] {"n":2}
                0.0 b[2] {"n":3}
                0.0 b[3] {"n":4}
                1.0 b[4] {"n":5}
                2.0 b[5] {"n":6}
                3.0 undo b[5] {"n":6}
               12.0 undo b[4] {"n":5}
               21.0 goes on: what had to be undone is undone
               21.0 c
               21.0 completed
            world: a stands, b[0] void, b[1] stands, b[2] stands, b[3] void, b[4] void, b[5] void, c stands
        "#]],
    );
    // Nobody waits until the silent ones are given up, and they are void when they say so, asked twice if need be.
    check(
        &format!("replies: {{ 'b[0]': {ok}, b: silent, 'b[3]': {{ ok: ~, after: 12s }}, 'undo b[1]': [silent, ok] }}"),
        expect![[r#"
            0.0 a
            0.0 b[0] {"n":1}
            0.0 b[1] {"n":2}
            0.0 b[2] {"n":3}
            0.0 b[3] {"n":4}
            2.0 b[4] {"n":5}
           11.0 b[1] #2 {"n":2}
           11.0 b[2] #2 {"n":3}
           11.0 b[3] #2 {"n":4}
           12.0 undo b[4] {"n":5}
           12.0 undo b[2] {"n":3}
           12.0 undo b[1] {"n":2}
           42.2 undo b[1] #2 {"n":2}
           42.2 goes on: what had to be undone is undone
           42.2 c
           42.2 completed
        world: a stands, b[0] stands, b[1] void, b[2] void, b[3] stands, b[4] void, c stands
    "#]],
    );
    check(
        &format!(
            "replies: {{ 'b[0]': {ok}, 'b[1]': {ok}, b: {{ ok: ~, after: 4s }}, undo b: {{ ok: ~, after: 5s }} }}\n    happens: [{{ at: 3s, cancel: why not }}]"
        ),
        expect![[r#"
                0.0 a
                0.0 b[0] {"n":1}
                0.0 b[1] {"n":2}
                0.0 b[2] {"n":3}
                0.0 b[3] {"n":4}
                2.0 b[4] {"n":5}
                2.0 undo b[4] {"n":5}
                3.0 goes back: somebody asked: why not
                7.0 undo b[3] {"n":4}
               12.0 undo b[2] {"n":3}
               17.0 undo b[1] {"n":2}
               22.0 undo b[0] {"n":1}
               27.0 undo a
               27.0 cancelled: somebody asked: why not
            world: a void, b[0] void, b[1] void, b[2] void, b[3] void, b[4] void
        "#]],
    );
}

/// A list that is too long is a failure of the step, before anybody was asked anything.
// shows: for_each.most x success, timeout, cancel
#[test]
fn a_list_that_is_too_long_rests_with_people() {
    let most = |list: &str| {
        format!(
            "steps:
  - {{ step: a, call: work.make }}
  - {{ step: b, for_each: {{ n: \"{list}\", most: 2 }}, call: work.make, with: {{ n: \"${{n}}\" }}, failed: hold }}"
        )
    };
    check(
        &most("[1, 2]"),
        "replies: {}",
        expect![[r#"
            0.0 a
            0.0 b[0] {"n":1}
            0.0 b[1] {"n":2}
            0.0 completed
        world: a stands, b[0] stands, b[1] stands
    "#]],
    );
    check(
        &most("[1, 2, 3]"),
        "happens: [{ at: 5s, cancel: why not }]",
        expect![[r#"
            0.0 a
            5.0 goes back: somebody asked: why not
            5.0 undo a
            5.0 cancelled: somebody asked: why not
        world: a void
    "#]],
    );
    check(
        &most("[1, 2, 3]"),
        "replies: {}",
        expect![[r#"
            0.0 a
         3600.0 goes back: its time is up
         3600.0 undo a
         3600.0 compensated: its time is up
        world: a void
    "#]],
    );
}
