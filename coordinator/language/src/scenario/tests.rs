//! What a file of tests means, and every mistake at its place.

use expect_test::{Expect, expect};

use super::*;

const WHOLE: &str = r#"definition: order.yaml
tests:
  - test: a refused card gives the goods back
    input: { total: 30 }
    key: o-1
    clock: "2026-01-05T09:00:00Z"
    replies:
      reserve: [{ failed: busy, times: 2 }, ok]
      charge: refused CardExpired
      undo reserve: { ok: null, after: 2h }
    happens:
      - { at: 1h, fact: status, value: cancelled, seq: 3 }
      - { at: 0, event: settled, data: { id: 1 } }
      - { at: 2h, decide: approval, choice: approve, by: ada, roles: role/manager }
      - { at: 3h, down: payment, lasts: 4h }
      - { at: 4h, retry: all }
    expect:
      commands: [reserve, { charge: { amount: 30 } }]
      waits: [settled]
      end: compensated
      after: 2h
      world: { reserve: void }
      times: { charge: 0 }
"#;

#[test]
fn every_key_is_read() {
    let read = scenarios("order.test.yaml", WHOLE).expect("a file of tests").value;
    let one = &read.scenarios[0];
    assert_eq!((one.line, one.key.as_str(), one.replies.len(), one.happenings.len()), (3, "o-1", 3, 5));
    assert_eq!(one.replies["reserve"][0], Reply { says: Says::Failed, after: 0, times: 2 });
    assert_eq!(one.replies["undo reserve"][0].after, 7_200_000);
    assert_eq!(one.expected.end.as_deref(), Some("compensated"));
    assert_eq!(one.expected.times["charge"], 0);
}

#[track_caller]
fn wrong(from: &str, to: &str, expected: &Expect) {
    assert!(WHOLE.contains(from), "{from} does not stand in the file");
    let report = scenarios("order.test.yaml", &WHOLE.replacen(from, to, 1)).expect_err("a mistake");
    expected.assert_eq(&report.plain());
}

#[test]
fn mistakes_have_places() {
    wrong(
        "replies:",
        "answers:",
        &expect![[r#"
        order.test.yaml:7:5: error: a test has no key `answers`
            help: there is `test`, `input`, `key`, `clock`, `replies`, `happens`, `expect`
    "#]],
    );
    wrong(
        "refused CardExpired",
        "refusd CardExpired",
        &expect![[r#"
        order.test.yaml:9:15: error: `refusd CardExpired` is no reply
            help: write ok, failed, silent, nothing there, never, unknown, or { ok: RESULT }, { refused: CODE }, { outage: WHY }
    "#]],
    );
    wrong(
        "{ failed: busy, times: 2 }",
        "{ times: 0 }",
        &expect![[r#"
        order.test.yaml:8:17: error: a reply says one thing
            help: write ok, failed, silent, nothing there, never, unknown, or { ok: RESULT }, { refused: CODE }, { outage: WHY }
        order.test.yaml:8:26: error: `0` is no number
            help: write a whole number from 1
    "#]],
    );
    wrong(
        "{ at: 4h, retry: all }",
        "{ at: 4x }",
        &expect![[r#"
        order.test.yaml:16:9: error: nothing happens here
            help: write { at: 2h, fact: status, value: cancelled }, or event, decide, cancel, retry, skip, close, hold, release, down
        order.test.yaml:16:15: error: `4x` is no duration
            help: a duration is a whole number and its unit: 250ms, 1s, 5m, 6h, 14d
    "#]],
    );
    wrong(
        "{ at: 4h, retry: all }",
        "{ at: 4h, skip: charge, cancel: a }",
        &expect![[r#"
        order.test.yaml:16:33: error: `skip` and `cancel` are two happenings
            help: write each in braces of its own: those of one moment happen in file order
    "#]],
    );
    wrong(
        "{ at: 4h, retry: all }",
        "{ at: 4h, retry: all, lasts: 4h }",
        &expect![[r#"
        order.test.yaml:16:31: error: `lasts` says nothing of `retry`
            help: take it out; it belongs to `down`
    "#]],
    );
    wrong(
        "choice: approve, ",
        "",
        &expect![[r#"
        order.test.yaml:14:9: error: a happening needs `choice`
            help: write `choice: approve`
    "#]],
    );
    wrong(
        "end: compensated",
        "end: undone",
        &expect![[r#"
        order.test.yaml:20:12: error: `undone` is no end
            help: write one of completed, compensated, cancelled, closed, stuck, held, waiting
    "#]],
    );
    wrong(
        "reserve: void",
        "reserve: gone",
        &expect![[r#"
        order.test.yaml:22:25: error: `gone` is no state
            help: write one of stands, void, unknown
    "#]],
    );
    wrong(
        "[reserve, {",
        "[[reserve], {",
        &expect![[r#"
        order.test.yaml:18:18: error: a command is text, and this is a list
            help: write text
    "#]],
    );
}
