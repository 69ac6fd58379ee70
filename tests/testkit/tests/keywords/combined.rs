//! Words of the language in combinations that nobody planned: loops around branches around items, decisions and deadlines in the middle of
//! undoing, answers that come after their round. What stands in the end, and whether the timeline explains it, is what is looked at.

use std::collections::BTreeMap;

use expect_test::expect;
use sagaline_checker::{Bound, Search};

use super::{WORK, check, definition};

/// Items of which two are enough, beside a step that may go back behind them, within a loop of the step after both.
const OFFERS: &str = "steps:
  - { step: a, call: work.make }
  - together:
      - { step: each, for_each: { n: \"[1, 2, 3]\", at_once: 3, enough: 2, rest: skip }, call: work.make, with: { n: \"${n}\" }, retry: twice, refused: skip, failed: skip }
      - { step: beside, call: work.make, retry: twice, refused: { back_to: a, at_most: 2, else: stuck } }
  - { step: last, call: work.make, retry: twice, refused: { back_to: a, at_most: 1, else: compensate } }";

#[test]
fn items_of_which_some_are_enough_in_a_branch_in_a_loop() {
    let check = |given: &str, expected| check(OFFERS, given, expected);
    // While the rest is made void, the branch beside it asks for another round.
    check(
        "replies: { 'each[2]': [{ ok: { n: 3 }, after: 5s }, ok], undo each: { ok: ~, after: 4s }, beside: [{ refused: No, after: 2s }, ok] }",
        expect![[r#"
                0.0 a
                0.0 each[0] {"n":1}
                0.0 each[1] {"n":2}
                0.0 each[2] {"n":3}
                0.0 beside
                0.0 undo each[2] {"n":3}
                4.0 goes on: what had to be undone is undone
                4.0 undo each[1] {"n":2}
                8.0 undo each[0] {"n":1}
               12.0 undo a
               12.0 goes on: what had to be undone is undone
               12.0 a
               12.0 each[0] {"n":1}
               12.0 each[1] {"n":2}
               12.0 each[2] {"n":3}
               12.0 beside
               12.0 undo each[2] {"n":3}
               16.0 goes on: what had to be undone is undone
               16.0 last
               16.0 completed
            world: a void, each[0] void, each[1] void, each[2] void, beside void, a stands, each[0] stands, each[1] stands, each[2] void, beside stands, last stands
        "#]],
    );
    // One item fails for good in the second round, and the step after both sends it back once more.
    check(
        "replies: { 'each[0]': [ok, refused No], 'each[1]': { ok: { n: 2 }, after: 1s }, 'each[2]': [{ ok: { n: 3 }, after: 3s }, silent], last: [refused No, ok], undo a: { ok: ~, after: 1s } }",
        expect![[r#"
                0.0 a
                0.0 each[0] {"n":1}
                0.0 each[1] {"n":2}
                0.0 each[2] {"n":3}
                0.0 beside
                1.0 undo each[2] {"n":3}
                1.0 goes on: what had to be undone is undone
                1.0 last
                1.0 undo beside
                1.0 undo each[1] {"n":2}
                1.0 undo each[0] {"n":1}
                1.0 undo a
                2.0 goes on: what had to be undone is undone
                2.0 a
                2.0 each[0] {"n":1}
                2.0 each[1] {"n":2}
                2.0 each[2] {"n":3}
                2.0 beside
               13.0 each[2] #2 {"n":3}
               23.0 undo each[2] {"n":3}
               23.0 goes on: what had to be undone is undone
               23.0 last
               23.0 completed
            world: a void, each[0] void, each[1] void, each[2] void, beside void, last void, a stands, each[0] void, each[1] stands, each[2] void, beside stands, last stands
        "#]],
    );
    // Cancelled while the rest is made void, and its answers come in between.
    check(
        "replies: { 'each[2]': { ok: { n: 3 }, after: 6s }, undo each: { ok: ~, after: 4s }, beside: { ok: { n: 1 }, after: 9s } }
    happens: [{ at: 2s, cancel: why not }]",
        expect![[r#"
                0.0 a
                0.0 each[0] {"n":1}
                0.0 each[1] {"n":2}
                0.0 each[2] {"n":3}
                0.0 beside
                0.0 undo each[2] {"n":3}
                2.0 goes back: somebody asked: why not
                4.0 undo beside
                4.0 undo each[1] {"n":2}
                8.0 undo each[0] {"n":1}
               12.0 undo a
               12.0 cancelled: somebody asked: why not
            world: a void, each[0] void, each[1] void, each[2] void, beside void
        "#]],
    );
    // Its time is up while it goes back to a.
    check(
        "replies: { beside: { refused: No, after: 2s }, undo each: [{ failed: busy, times: 16 }, ok], undo a: { ok: ~, after: 5s } }",
        expect![[r#"
                0.0 a
                0.0 each[0] {"n":1}
                0.0 each[1] {"n":2}
                0.0 each[2] {"n":3}
                0.0 beside
                0.0 undo each[2] {"n":3}
                0.3 undo each[2] #2 {"n":3}
                2.2 undo each[2] #3 {"n":3}
                2.8 undo each[2] #4 {"n":3}
                4.5 undo each[2] #5 {"n":3}
               12.2 undo each[2] #6 {"n":3}
               13.7 undo each[2] #7 {"n":3}
               74.2 undo each[2] #8 {"n":3}
              181.9 undo each[2] #9 {"n":3}
              249.7 undo each[2] #10 {"n":3}
              311.1 undo each[2] #11 {"n":3}
              314.3 undo each[2] #12 {"n":3}
              441.9 undo each[2] #13 {"n":3}
              723.0 undo each[2] #14 {"n":3}
              916.0 undo each[2] #15 {"n":3}
              949.5 undo each[2] #16 {"n":3}
              959.7 undo each[2] #17 {"n":3}
              959.7 goes on: what had to be undone is undone
              959.7 undo each[1] {"n":2}
              959.7 undo each[0] {"n":1}
              959.7 undo a
              964.7 goes on: what had to be undone is undone
              964.7 a
              964.7 each[0] {"n":1}
              964.7 each[1] {"n":2}
              964.7 each[2] {"n":3}
              964.7 beside
              964.7 undo each[2] {"n":3}
              964.7 goes on: what had to be undone is undone
              966.7 undo each[1] {"n":2}
              966.7 undo each[0] {"n":1}
              966.7 undo a
              971.7 goes on: what had to be undone is undone
              971.7 a
              971.7 each[0] {"n":1}
              971.7 each[1] {"n":2}
              971.7 each[2] {"n":3}
              971.7 beside
              971.7 undo each[2] {"n":3}
              971.7 goes on: what had to be undone is undone
              973.7 stuck: beside was refused: No
              973.7 stuck: beside was refused: No
            world: a void, each[0] void, each[1] void, each[2] void, beside void, a void, each[0] void, each[1] void, each[2] void, beside void, a stands, each[0] stands, each[1] stands, each[2] void, beside void
        "#]],
    );
    // Not even two are done: the step is done with what it has.
    check(
        "replies: { 'each[0]': refused No, 'each[1]': silent, 'each[2]': { ok: { n: 3 }, after: 1s } }",
        expect![[r#"
                0.0 a
                0.0 each[0] {"n":1}
                0.0 each[1] {"n":2}
                0.0 each[2] {"n":3}
                0.0 beside
               11.0 each[1] #2 {"n":2}
               21.0 undo each[1] {"n":2}
               21.0 goes on: what had to be undone is undone
               21.0 last
               21.0 completed
            world: a stands, each[0] void, each[1] void, each[2] stands, beside stands, last stands
        "#]],
    );
}

/// Two must agree, and each may send it back.
const TWO: &str = "steps:
  - { step: a, call: work.make }
  - step: ask
    approve:
      by: role/clerk
      show: { n: \"${a.n}\" }
      choices: { yes: continue, no: { back_to: a, at_most: 1, else: stuck }, later: hold }
      quorum: 2
      escalate: { 20m: role/head }
      remind: 8m
      within: 30m
      else: skip
  - { step: b, call: work.make }";

#[test]
fn a_cancel_at_the_moment_of_an_escalation() {
    let check = |given: &str, expected| check(TWO, given, expected);
    check(
        "replies: { a: { ok: { n: 1 } } }
    happens:
      - { at: 1m, decide: ask, choice: yes, by: eve, roles: [role/clerk] }
      - { at: 20m, cancel: why not }
      - { at: 20m, decide: ask, choice: yes, by: mia, roles: [role/head] }
      - { at: 21m, decide: ask, choice: yes, by: tom, roles: [role/clerk] }",
        expect![[r#"
                0.0 a
                0.0 waits at ask
             1200.0 goes back: somebody asked: why not
             1200.0 undo a
             1200.0 not taken: the saga goes back behind this step: nothing is decided here any more
             1260.0 not taken: the saga has ended already: Cancelled
             1200.0 cancelled: somebody asked: why not
            world: a void
        "#]],
    );
    // The head may decide from the escalation on; the same person twice is one; a round begins with no votes.
    check(
        "replies: { a: { ok: { n: 1 } } }
    happens:
      - { at: 1m, decide: ask, choice: yes, by: mia, roles: [role/head] }
      - { at: 2m, decide: ask, choice: no, by: eve, roles: [role/clerk] }
      - { at: 21m, decide: ask, choice: no, by: mia, roles: [role/head] }
      - { at: 22m, decide: ask, choice: yes, by: mia, roles: [role/head] }
      - { at: 23m, decide: ask, choice: yes, by: eve, roles: [role/clerk] }
      - { at: 24m, decide: ask, choice: yes, by: eve, roles: [role/clerk] }
      - { at: 25m, decide: ask, choice: later, by: eve, roles: [role/clerk] }",
        expect![[r#"
                0.0 a
                0.0 waits at ask
               60.0 not taken: only role/clerk may decide this
             1200.0 ask goes to role/head
             1260.0 ask: eve, mia chose no
             1260.0 undo a
             1260.0 goes on: what had to be undone is undone
             1260.0 a
             1260.0 waits at ask
             1320.0 not taken: only role/clerk may decide this
             2460.0 ask goes to role/head
             3060.0 b
             3060.0 completed
            world: a void, a stands, b stands
        "#]],
    );
    // Held by a choice, cancelled while it rests; what was undone is not undone again when somebody retries too late.
    check(
        "replies: { a: { ok: { n: 1 } }, undo a: { ok: ~, after: 25s } }
    happens:
      - { at: 1m, decide: ask, choice: later, by: eve, roles: [role/clerk] }
      - { at: 2m, decide: ask, choice: later, by: tom, roles: [role/clerk] }
      - { at: 40m, cancel: why not }
      - { at: 2410s, retry: ask }
      - { at: 2420s, cancel: again }",
        expect![[r#"
                0.0 a
                0.0 waits at ask
              120.0 ask: eve, tom chose later
             2400.0 goes back: somebody asked: why not
             2400.0 undo a
             2410.0 not taken: the saga goes back behind this step
             2420.0 not taken: the saga is going back already
             2425.0 cancelled: somebody asked: why not
            world: a void
        "#]],
    );
}

/// Beside the pivot another branch may fail; what comes after both can't go back.
const PIVOT: &str = "steps:
  - { step: a, call: work.make }
  - together:
      - - { step: calm, sleep: 5s }
        - { step: p, call: work.shout, pivot: true, retry: twice }
      - - { step: b, call: work.make, retry: twice }
        - { step: c, call: work.make, retry: twice }
  - { step: last, call: work.make, retry: twice, failed: hold }";

#[test]
fn a_pivot_in_a_branch() {
    let check = |given: &str, expected| check(PIVOT, given, expected);
    // Before the pivot is decided the other branch sends all back; after it, it can't.
    check(
        "replies: { b: { refused: No, after: 4s } }",
        expect![[r#"
            0.0 a
            0.0 waits at calm
            0.0 b
            4.0 goes back: b was refused: No
            4.0 undo a
            4.0 compensated: b was refused: No
        world: a void, b void
    "#]],
    );
    check(
        "replies: { b: { refused: No, after: 6s }, p: { ok: ~, after: 3s } }
    happens: [{ at: 7s, cancel: why not }, { at: 9s, retry: b }]",
        expect![[r#"
                0.0 a
                0.0 waits at calm
                0.0 b
                5.0 p
                6.0 stuck: b was refused: No
                7.0 not taken: the pivot "p" is decided: the saga only goes forward
                9.0 goes on: somebody asked
                9.0 b
               15.0 stuck: b was refused: No
               15.0 stuck: b was refused: No
            world: a stands, b void, p stands, b void
        "#]],
    );
    // The pivot is refused while the other branch is stuck for its sake: there is nothing to be stuck for any more.
    check(
        "replies: { b: [{ refused: No, after: 6s }, ok], p: { refused: No, after: 4s } }
    happens: [{ at: 20s, retry: all }]",
        expect![[r#"
                0.0 a
                0.0 waits at calm
                0.0 b
                5.0 p
                6.0 stuck: b was refused: No
               20.0 goes on: somebody asked
               20.0 goes back: p was refused: No
               20.0 undo a
               20.0 compensated: p was refused: No
            world: a void, b void, p void
        "#]],
    );
    // Never answered: the pivot's outcome is unknown, nothing goes back, and what is beside it goes on once a person says so.
    check(
        "replies: { p: silent, c: { ok: { n: 1 }, after: 40s } }
    happens: [{ at: 35s, cancel: why not }, { at: 50s, retry: all }, { at: 50m, cancel: again }]",
        expect![[r#"
                0.0 a
                0.0 waits at calm
                0.0 b
                0.0 c
                5.0 p
               11.0 c #2
               16.0 p #2
               21.0 stuck: c failed: no answer in time
               35.0 not taken: the pivot "p" is decided: the saga only goes forward
               40.0 goes on: it happened after all
               40.0 stuck: p failed: no answer in time
               50.0 goes on: somebody asked
               50.0 p #3
               61.0 p #4
               71.0 stuck: p failed: no answer in time
             3000.0 not taken: the pivot "p" is decided: the saga only goes forward
             3000.0 stuck: p failed: no answer in time
            world: a stands, b stands, c stands, p unknown
        "#]],
    );
}

const ROUNDS: &str = "steps:
  - { step: a, call: work.make }
  - { step: b, call: work.make, retry: twice, failed: { back_to: a, at_most: 2, else: compensate } }
  - { step: c, call: work.make, retry: twice }";

#[test]
fn a_success_that_comes_after_its_round() {
    let check = |given: &str, expected| check(ROUNDS, given, expected);
    // While the round before is undone; in the next round; after the end.
    check(
        "replies: { b: [{ ok: { n: 1 }, after: 22s }, silent, ok], undo b: { ok: ~, after: 3s } }",
        expect![[r#"
            0.0 a
            0.0 b
           11.0 b #2
           21.0 undo b
           24.0 undo a
           24.0 goes on: what had to be undone is undone
           24.0 a
           24.0 b
           24.0 c
           24.0 completed
        world: a void, b void, a stands, b stands, c stands
    "#]],
    );
    check(
        "replies: { b: [{ ok: { n: 1 }, after: 40s }, silent, { ok: { n: 2 }, after: 9s }], undo b: [nothing there, ok], c: { ok: { n: 3 }, after: 30s } }",
        expect![[r#"
                0.0 a
                0.0 b
               11.0 b #2
               21.0 undo b
               21.0 undo a
               21.0 goes on: what had to be undone is undone
               21.0 a
               21.0 b
               30.0 c
               40.0 stuck: b was done after its participant had said that there was nothing to undo
               60.0 stuck: b was done after its participant had said that there was nothing to undo
            world: a void, b stands, a stands, b stands, c stands
        "#]],
    );
    check(
        "replies: { b: [{ ok: { n: 1 }, after: 40s }, silent, ok], undo b: [nothing there, { ok: ~, after: 5s }] }
    happens: [{ at: 50s, retry: all }]",
        expect![[r#"
                0.0 a
                0.0 b
               11.0 b #2
               21.0 undo b
               21.0 undo a
               21.0 goes on: what had to be undone is undone
               21.0 a
               21.0 b
               21.0 c
               40.0 stuck: b was done after its participant had said that there was nothing to undo
               50.0 goes on: somebody asked
               50.0 undo b #2
               55.0 goes on: what had to be undone is undone
               55.0 completed
            world: a void, b void, a stands, b stands, c stands
        "#]],
    );
}

const TURNS: &str = "facts:
  ok: { topic: t, key: event.id, value: event.ok, initial: false }
  stop: { topic: t, key: event.id, value: event.stop, initial: false }
react:
  - { if: facts.stop, then: compensate, after_pivot: stuck }
  - { if: facts.ok && facts.stop, then: stuck }
steps:
  - { step: a, call: work.make, retry: twice }
  - { step: until, wait: { until: facts.ok, within: 10m, remind: 2m, else: { back_to: a, at_most: 1, else: compensate } } }
  - { step: b, guard: { if: facts.ok, else: hold }, call: work.make, retry: twice }
  - { step: so, expect: { if: facts.ok, within: 1m, else: hold } }
  - { step: c, call: work.make, retry: twice }";

#[test]
fn what_was_waited_for_turns_false_again() {
    let check = |given: &str, expected| check(TURNS, given, expected);
    // True, and false before b's second attempt; true again in time for its guard; false when it is expected.
    check(
        "replies: { b: [silent, ok] }
    happens:
      - { at: 1m, fact: ok, value: true }
      - { at: 61s, fact: ok, value: false }
      - { at: 2m, fact: ok, value: true }
      - { at: 2m, fact: ok, value: false }
      - { at: 5m, fact: ok, value: true }",
        expect![[r#"
                0.0 a
                0.0 waits at until
               60.0 b
              120.0 b #2
              120.0 waits at so
             3600.0 goes back: its time is up
             3600.0 undo b
             3600.0 undo a
             3600.0 compensated: its time is up
            world: a void, b void
        "#]],
    );
    // It turns true at the last moment, or just after; in the second round the wait is as long as ever.
    check(
        "happens: [{ at: 10m, fact: ok, value: true }]",
        expect![[r#"
            0.0 a
            0.0 waits at until
          600.0 b
          600.0 waits at so
          600.0 c
          600.0 completed
        world: a stands, b stands, c stands
    "#]],
    );
    check(
        "replies: { undo a: { ok: ~, after: 1m } }
    happens: [{ at: 10500ms, fact: ok, value: false }, { at: 601s, fact: ok, value: true }]",
        expect![[r#"
                0.0 a
                0.0 waits at until
              600.0 undo a
              630.1 undo a #2
              660.0 goes on: what had to be undone is undone
              660.0 a
              660.0 waits at until
              660.0 b
              660.0 waits at so
              660.0 c
              660.0 completed
            world: a void, a stands, b stands, c stands
        "#]],
    );
}

#[test]
fn a_reaction_while_it_undoes() {
    let check = |given: &str, expected| check(TURNS, given, expected);
    // The world turns while it goes back to a: it goes back for good once it would go on.
    check(
        "replies: { undo a: { ok: ~, after: 1m } }
    happens: [{ at: 630s, fact: stop, value: true }]",
        expect![[r#"
                0.0 a
                0.0 waits at until
              600.0 undo a
              630.1 undo a #2
              660.0 goes on: what had to be undone is undone
              660.0 goes back: the world turned: facts.stop
              660.0 compensated: the world turned: facts.stop
            world: a void
        "#]],
    );
    // It turns, and back, meanwhile: nothing is left of it.
    check(
        "replies: { undo a: { ok: ~, after: 1m } }
    happens: [{ at: 630s, fact: stop, value: true }, { at: 640s, fact: stop, value: false }, { at: 11m, fact: ok, value: true }]",
        expect![[r#"
                0.0 a
                0.0 waits at until
              600.0 undo a
              630.1 undo a #2
              660.0 goes on: what had to be undone is undone
              660.0 a
              660.0 waits at until
              660.0 b
              660.0 waits at so
              660.0 c
              660.0 completed
            world: a void, a stands, b stands, c stands
        "#]],
    );
    // Once it goes back, no second reaction has a say; its deadline only tells.
    check(
        "replies: { undo b: [{ failed: busy, times: 25 }, ok], c: { ok: { n: 1 }, after: 1m } }
    happens: [{ at: 1s, fact: ok, value: true }, { at: 2s, fact: stop, value: true }, { at: 3s, fact: ok, value: false }, { at: 4s, fact: ok, value: true }]",
        expect![[r#"
                0.0 a
                0.0 waits at until
                1.0 b
                1.0 waits at so
                1.0 c
                2.0 goes back: the world turned: facts.stop
                2.0 undo c
                2.0 undo b
                2.4 undo b #2
                4.3 undo b #3
                5.3 undo b #4
               13.2 undo b #5
               26.8 undo b #6
               33.9 undo b #7
               71.9 undo b #8
              164.8 undo b #9
              398.9 undo b #10
              631.0 undo b #11
              769.0 undo b #12
              975.0 undo b #13
             1203.8 undo b #14
             1364.0 undo b #15
             1575.6 undo b #16
             1736.1 undo b #17
             1879.0 undo b #18
             1916.4 undo b #19
             2197.7 undo b #20
             2197.7 stuck: b can't be undone: the scenario says so
             2197.7 stuck: b can't be undone: the scenario says so
            world: a stands, b unknown, c void
        "#]],
    );
}

/// What the participant says in the end is held against what it said.
const ENSURED: &str = "facts:
  stop: { topic: t, key: event.id, value: event.stop, initial: false }
react: [{ if: facts.stop, then: compensate }]
deadline: { after: 5m, else: compensate }
steps:
  - { step: a, call: work.count, retry: twice }
  - { step: b, call: work.make, retry: twice }
ensure:
  completed: { if: probe.a != null && probe.a.n == a.n, within: 1m }
  compensated: { if: probe.a == null || probe.a.n == 0, within: 1m }";

#[test]
fn an_end_that_does_not_hold() {
    let check = |given: &str, expected| check(ENSURED, given, expected);
    check(
        "replies: { a: { ok: { n: 1 } }, probe a: [{ ok: { n: 7 }, times: 3 }, { ok: { n: 1 } }] }",
        expect![[r#"
                0.0 a
                0.0 b
                0.0 probe a
                6.0 probe a #2
               12.0 probe a #3
               18.0 probe a #4
               18.0 completed
            world: a stands, b stands
        "#]],
    );
    check(
        "replies: { a: { ok: { n: 1 } }, probe a: { ok: { n: 7 } } }
    happens: [{ at: 30s, cancel: why not }]",
        expect![[r#"
                0.0 a
                0.0 b
                0.0 probe a
                6.0 probe a #2
               12.0 probe a #3
               18.0 probe a #4
               24.0 probe a #5
               30.0 goes back: somebody asked: why not
               30.0 undo b
               30.0 undo a
               30.0 probe a #6
               36.0 probe a #7
               42.0 probe a #8
               48.0 probe a #9
               54.0 probe a #10
               60.0 probe a #11
               66.0 probe a #12
               72.0 probe a #13
               78.0 probe a #14
               84.0 probe a #15
               90.0 probe a #16
               90.0 stuck: what must hold before its end does not: probe.a == null || probe.a.n == 0 does not hold
               90.0 stuck: what must hold before its end does not: probe.a == null || probe.a.n == 0 does not hold
            world: a void, b void
        "#]],
    );
    // Stuck before the end; a person has it undone; that end does not hold, either.
    check(
        "replies: { a: { ok: { n: 1 } }, probe a: [{ ok: { n: 7 }, times: 40 }, { ok: { n: 0 } }] }
    happens: [{ at: 2m, cancel: why not }, { at: 3m, fact: stop, value: true }, { at: 20m, retry: all }]",
        expect![[r#"
                0.0 a
                0.0 b
                0.0 probe a
                6.0 probe a #2
               12.0 probe a #3
               18.0 probe a #4
               24.0 probe a #5
               30.0 probe a #6
               36.0 probe a #7
               42.0 probe a #8
               48.0 probe a #9
               54.0 probe a #10
               60.0 probe a #11
               60.0 stuck: what must hold before its end does not: probe.a != null && probe.a.n == a.n does not hold
              120.0 goes back: somebody asked: why not
              120.0 undo b
              120.0 undo a
              120.0 probe a #12
              126.0 probe a #13
              132.0 probe a #14
              138.0 probe a #15
              144.0 probe a #16
              150.0 probe a #17
              156.0 probe a #18
              162.0 probe a #19
              168.0 probe a #20
              174.0 probe a #21
              180.0 probe a #22
              180.0 stuck: what must hold before its end does not: probe.a == null || probe.a.n == 0 does not hold
             1200.0 goes on: somebody asked
             1200.0 probe a #23
             1206.0 probe a #24
             1212.0 probe a #25
             1218.0 probe a #26
             1224.0 probe a #27
             1230.0 probe a #28
             1236.0 probe a #29
             1242.0 probe a #30
             1248.0 probe a #31
             1254.0 probe a #32
             1260.0 probe a #33
             1260.0 stuck: what must hold before its end does not: probe.a == null || probe.a.n == 0 does not hold
             1260.0 stuck: what must hold before its end does not: probe.a == null || probe.a.n == 0 does not hold
            world: a void, b void
        "#]],
    );
    // The world turns, or time is up, while the end is looked at.
    check(
        "replies: { a: { ok: { n: 1 } }, probe a: [{ ok: { n: 7 }, times: 6 }, { ok: { n: 0 } }] }
    happens: [{ at: 30s, fact: stop, value: true }]",
        expect![[r#"
                0.0 a
                0.0 b
                0.0 probe a
                6.0 probe a #2
               12.0 probe a #3
               18.0 probe a #4
               24.0 probe a #5
               30.0 goes back: the world turned: facts.stop
               30.0 undo b
               30.0 undo a
               30.0 probe a #6
               36.0 probe a #7
               36.0 compensated: the world turned: facts.stop
            world: a void, b void
        "#]],
    );
}

/// One branch rests, another goes back behind both.
const RESTS: &str = "steps:
  - { step: a, call: work.make }
  - together:
      - { step: b, call: work.make, retry: twice, refused: hold, failed: hold }
      - { step: c, call: work.make, retry: twice, refused: { back_to: a, at_most: 1, else: compensate }, failed: skip }
  - { step: last, call: work.make, retry: twice, refused: stuck }";

#[test]
fn what_rests_in_one_branch_begins_anew_with_the_others() {
    let check = |given: &str, expected| check(RESTS, given, expected);
    check(
        "replies: { b: [refused No, ok], c: [{ refused: No, after: 5s }, ok], undo a: { ok: ~, after: 8s } }
    happens: [{ at: 9s, retry: b }, { at: 1m, retry: b }]",
        expect![[r#"
                0.0 a
                0.0 b
                0.0 c
                5.0 undo a
                9.0 not taken: the saga goes back behind this step
               13.0 goes on: what had to be undone is undone
               13.0 a
               13.0 b
               13.0 c
               13.0 last
               60.0 not taken: the saga has ended already: Completed
               13.0 completed
            world: a void, b void, c void, a stands, b stands, c stands, last stands
        "#]],
    );
    // Unknown, and held; undone with the round; retried while it is undone; its answer comes in the next round.
    check(
        "replies: { b: [{ ok: { n: 1 }, after: 130s }, silent, ok], c: [{ refused: No, after: 8s }, ok], undo b: { ok: ~, after: 1m }, undo a: { ok: ~, after: 1m } }
    happens: [{ at: 30s, retry: b }, { at: 31s, skip: b }]",
        expect![[r#"
                0.0 a
                0.0 b
                0.0 c
                8.0 undo b
               30.0 not taken: the saga is not stuck, and no such step is held: there is nothing to retry
               31.0 not taken: the definition does not allow it: none of the step's words is `skip` or `continue`
               38.4 undo b #2
               68.0 undo a
               98.1 undo a #2
              128.0 goes on: what had to be undone is undone
              128.0 a
              128.0 b
              128.0 c
              139.0 b #2
              139.0 last
              139.0 completed
            world: a void, b void, c void, a stands, b stands, c stands, last stands
        "#]],
    );
    // Skipping one branch undoes it alone, while the other goes on; a cancel in the middle.
    check(
        "replies: { c: silent, b: { ok: { n: 1 }, after: 40s }, undo c: { ok: ~, after: 30s } }
    happens: [{ at: 25s, cancel: why not }]",
        expect![[r#"
                0.0 a
                0.0 b
                0.0 c
               11.0 b #2
               11.0 c #2
               21.0 undo c
               25.0 goes back: somebody asked: why not
               51.0 undo b
               51.0 undo a
               51.0 cancelled: somebody asked: why not
            world: a void, b void, c void
        "#]],
    );
    check(
        "replies: { c: [{ ok: { n: 5 }, after: 25s }, silent], b: { ok: { n: 1 }, after: 40s }, undo c: [{ failed: busy, times: 2 }, ok], last: refused No }
    happens: [{ at: 10m, retry: last }, { at: 11m, cancel: why not }]",
        expect![[r#"
                0.0 a
                0.0 b
                0.0 c
               11.0 b #2
               11.0 c #2
               21.0 undo c
               21.2 undo c #2
               22.9 undo c #3
               22.9 goes on: what had to be undone is undone
               40.0 last
               40.0 stuck: last was refused: No
              600.0 goes on: somebody asked
              600.0 last
              600.0 stuck: last was refused: No
              660.0 goes back: somebody asked: why not
              660.0 undo b
              660.0 undo a
              660.0 cancelled: somebody asked: why not
            world: a void, b void, c void, last void, last void
        "#]],
    );
}

/// Not only these courses of things: every one, up to two troubles. More of them: `sagaline check --deep`.
#[test]
fn every_path_through_these_ends_as_it_must() {
    let contract = sagaline_language::contract("work.yaml", WORK).unwrap_or_else(|report| panic!("{report}")).value;
    let contracts = BTreeMap::from([("work".to_owned(), contract)]);
    for text in [OFFERS, TWO, PIVOT, ROUNDS, TURNS, ENSURED, RESTS] {
        let bound = Bound { trouble: trouble(), scenes: 60_000, search: Search::Reduced };
        let proof = sagaline_checker::check(&definition(text), &contracts, bound);
        assert!(proof.stories.is_empty(), "{text}\n{proof}");
    }
}

/// `TROUBLE=3` goes deeper, for as long as it takes.
fn trouble() -> u8 {
    std::env::var("TROUBLE").ok().and_then(|trouble| trouble.parse().ok()).unwrap_or(2)
}
