//! Retry policies: when attempts are made, when they end, and what has no part in it.

use std::fmt::Write;

use expect_test::expect;

use super::{account, check, definition, seconds};

/// Waits of 1 s, 3 s, and then 5 s.
const PATIENT: &str = "steps:
  - { step: a, call: work.make, retry: { attempts: 4, backoff: 1s..5s, factor: 3, jitter: none, attempt_timeout: 10s } }
  - { step: b, call: work.make }";

// shows: retry, retry.attempts, retry.backoff, retry.factor, retry.attempt_timeout x success, refusal, timeout, late success, cancel
#[test]
fn attempts_have_their_times() {
    let check = |given: &str, expected| check(PATIENT, given, expected);
    check(
        "replies: { a: [silent, silent, failed, { ok: ~, after: 9s }] }",
        expect![[r#"
            0.0 a
           11.0 a #2
           24.0 a #3
           29.0 a #4
           38.0 b
           38.0 completed
        world: a stands, b stands
    "#]],
    );
    // A refusal is the last word, though an attempt is left.
    check(
        "replies: { a: [silent, failed, { refused: No, after: 9s }] }",
        expect![[r#"
            0.0 a
           11.0 a #2
           14.0 a #3
           23.0 goes back: a was refused: No
           23.0 compensated: a was refused: No
        world: a void
    "#]],
    );
    check(
        "replies: { a: silent }",
        expect![[r#"
            0.0 a
           11.0 a #2
           24.0 a #3
           39.0 a #4
           49.0 goes back: a failed: no answer in time
           49.0 undo a
           49.0 compensated: a failed: no answer in time
        world: a void
    "#]],
    );
    // An answer to an attempt that was given up is as good as any: while the next one is waited for ...
    check(
        "replies: { a: [silent, { ok: ~, after: 12s }] }",
        expect![[r#"
            0.0 a
           11.0 a #2
           23.0 b
           23.0 completed
        world: a stands, b stands
    "#]],
    );
    // ... and when the saga goes back it is undone.
    check(
        "replies: { a: [{ ok: ~, after: 50s }, silent], undo a: { ok: ~, after: 9s } }",
        expect![[r#"
            0.0 a
           11.0 a #2
           24.0 a #3
           39.0 a #4
           49.0 goes back: a failed: no answer in time
           49.0 undo a
           58.0 compensated: a failed: no answer in time
        world: a void
    "#]],
    );
    // While an attempt is under way, and while the next one is waited for.
    check(
        "replies: { a: silent }\n    happens: [{ at: 15s, cancel: why not }]",
        expect![[r#"
            0.0 a
           11.0 a #2
           15.0 goes back: somebody asked: why not
           15.0 undo a
           15.0 cancelled: somebody asked: why not
        world: a void
    "#]],
    );
    check(
        "replies: { a: silent }\n    happens: [{ at: 23s, cancel: why not }]",
        expect![[r#"
            0.0 a
           11.0 a #2
           23.0 goes back: somebody asked: why not
           23.0 undo a
           23.0 cancelled: somebody asked: why not
        world: a void
    "#]],
    );
}

/// All attempts together; the last is cut short.
// shows: retry.within x success, refusal, timeout, late success, cancel
#[test]
fn a_total_time_ends_attempts() {
    let within = "steps:
  - { step: a, call: work.make, retry: { attempts: 9, backoff: 1s, jitter: none, attempt_timeout: 10s, within: 25s }, failed: skip, refused: stuck, compensate: { retry: { attempts: 9, backoff: 1s, jitter: none, attempt_timeout: 10s } } }
  - { step: b, call: work.make }";
    let check = |given: &str, expected| check(within, given, expected);
    check(
        "replies: { a: [silent, silent, { ok: ~, after: 2s }] }",
        expect![[r#"
            0.0 a
           11.0 a #2
           22.0 a #3
           24.0 b
           24.0 completed
        world: a stands, b stands
    "#]],
    );
    check(
        "replies: { a: [silent, silent, { refused: No, after: 2s }] }",
        expect![[r#"
            0.0 a
           11.0 a #2
           22.0 a #3
           24.0 stuck: a was refused: No
           24.0 stuck: a was refused: No
        world: a void
    "#]],
    );
    check(
        "replies: { a: silent }",
        expect![[r#"
            0.0 a
           11.0 a #2
           22.0 a #3
           25.0 undo a
           25.0 goes on: what had to be undone is undone
           25.0 b
           25.0 completed
        world: a void, b stands
    "#]],
    );
    check(
        "replies: { a: [silent, silent, { ok: ~, after: 4s }], undo a: { ok: ~, after: 9s } }",
        expect![[r#"
            0.0 a
           11.0 a #2
           22.0 a #3
           25.0 undo a
           34.0 goes on: what had to be undone is undone
           34.0 b
           34.0 completed
        world: a void, b stands
    "#]],
    );
    // Undoing has a policy of its own, and may take longer.
    check(
        "replies: { a: silent, undo a: [silent, silent, silent, ok] }
    happens: [{ at: 23s, cancel: why not }]",
        expect![[r#"
                0.0 a
               11.0 a #2
               22.0 a #3
               23.0 goes back: somebody asked: why not
               23.0 undo a
               34.0 undo a #2
               45.0 undo a #3
               56.0 undo a #4
               56.0 cancelled: somebody asked: why not
            world: a void
        "#]],
    );
}

/// When commands leave, in seconds, and what the end is.
fn times(jitter: &str, given: &str) -> String {
    let text = format!(
        "steps:
  - {{ step: a, call: work.make, retry: {{ attempts: 3, backoff: 4s, factor: 2, jitter: {jitter}, attempt_timeout: 10s }} }}"
    );
    let account = account(&definition(&text), given);
    let mut line = String::new();
    for command in &account.commands {
        write!(line, "{}{}, ", seconds(command.at), command.name.replace('a', "")).expect("a String takes everything");
    }
    format!("{line}{}{}", seconds(account.after), account.end)
}

/// `none`: the whole wait; `equal`: half of it at least; `full`: any part. The same saga waits the same time in every replay.
// shows: retry.jitter x success, refusal, timeout, late success, cancel
#[test]
fn a_part_of_each_wait_is_left_to_chance() {
    let cases = [
        ("success", "replies: { a: [silent, silent, ok] }"),
        ("refusal", "replies: { a: [silent, silent, refused No] }"),
        ("timeout", "replies: { a: silent }"),
        ("late success", "replies: { a: [silent, { ok: ~, after: 10100ms }] }"),
        ("cancel", "replies: { a: silent }\n    happens: [{ at: 25s, cancel: why not }]"),
    ];
    let mut table = String::new();
    for (case, given) in cases {
        for jitter in ["none", "equal", "full"] {
            let times = times(jitter, given);
            assert_eq!(times, self::times(jitter, given));
            writeln!(table, "{case:12} {jitter:5} {times}").expect("a String takes everything");
        }
    }
    expect![[r#"
        success      none      0.0,    14.0 #2,    28.0 #3,    28.0completed
        success      equal     0.0,    13.4 #2,    27.3 #3,    27.3completed
        success      full      0.0,    12.8 #2,    26.6 #3,    26.6completed
        refusal      none      0.0,    14.0 #2,    28.0 #3,    28.0compensated
        refusal      equal     0.0,    13.4 #2,    27.3 #3,    27.3compensated
        refusal      full      0.0,    12.8 #2,    26.6 #3,    26.6compensated
        timeout      none      0.0,    14.0 #2,    28.0 #3,    38.0undo ,    38.0compensated
        timeout      equal     0.0,    13.4 #2,    27.3 #3,    37.3undo ,    37.3compensated
        timeout      full      0.0,    12.8 #2,    26.6 #3,    36.6undo ,    36.6compensated
        late success none      0.0,    14.0 #2,    24.1completed
        late success equal     0.0,    13.4 #2,    23.5completed
        late success full      0.0,    12.8 #2,    22.9completed
        cancel       none      0.0,    14.0 #2,    25.0undo ,    25.0cancelled
        cancel       equal     0.0,    13.4 #2,    25.0undo ,    25.0cancelled
        cancel       full      0.0,    12.8 #2,    25.0undo ,    25.0cancelled
    "#]]
    .assert_eq(&table);
}
