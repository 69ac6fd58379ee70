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
        expect![[r#""#]],
    );
    // One item fails for good in the second round, and the step after both sends it back once more.
    check(
        "replies: { 'each[0]': [ok, refused No], 'each[1]': { ok: { n: 2 }, after: 1s }, 'each[2]': [{ ok: { n: 3 }, after: 3s }, silent], last: [refused No, ok], undo a: { ok: ~, after: 1s } }",
        expect![[r#""#]],
    );
    // Cancelled while the rest is made void, and its answers come in between.
    check(
        "replies: { 'each[2]': { ok: { n: 3 }, after: 6s }, undo each: { ok: ~, after: 4s }, beside: { ok: { n: 1 }, after: 9s } }
    happens: [{ at: 2s, cancel: why not }]",
        expect![[r#""#]],
    );
    // Its time is up while it goes back to a.
    check(
        "replies: { beside: { refused: No, after: 2s }, undo each: { ok: ~, after: 20m }, undo a: { ok: ~, after: 30m } }",
        expect![[r#""#]],
    );
    // Not even two are done: the step is done with what it has.
    check(
        "replies: { 'each[0]': refused No, 'each[1]': silent, 'each[2]': { ok: { n: 3 }, after: 1s } }",
        expect![[r#""#]],
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
        "happens:
      - { at: 1m, decide: ask, choice: yes, by: eve, roles: [role/clerk] }
      - { at: 20m, cancel: why not }
      - { at: 20m, decide: ask, choice: yes, by: mia, roles: [role/head] }
      - { at: 21m, decide: ask, choice: yes, by: tom, roles: [role/clerk] }",
        expect![[r#""#]],
    );
    // The head may decide from the escalation on; the same person twice is one; a round begins with no votes.
    check(
        "happens:
      - { at: 1m, decide: ask, choice: yes, by: mia, roles: [role/head] }
      - { at: 2m, decide: ask, choice: no, by: eve, roles: [role/clerk] }
      - { at: 21m, decide: ask, choice: no, by: mia, roles: [role/head] }
      - { at: 22m, decide: ask, choice: yes, by: mia, roles: [role/head] }
      - { at: 23m, decide: ask, choice: yes, by: eve, roles: [role/clerk] }
      - { at: 24m, decide: ask, choice: yes, by: eve, roles: [role/clerk] }
      - { at: 25m, decide: ask, choice: later, by: eve, roles: [role/clerk] }",
        expect![[r#""#]],
    );
    // Held by a choice, cancelled while it rests; what was undone is not undone again when somebody retries too late.
    check(
        "replies: { undo a: { ok: ~, after: 10m } }
    happens:
      - { at: 1m, decide: ask, choice: later, by: eve, roles: [role/clerk] }
      - { at: 2m, decide: ask, choice: later, by: tom, roles: [role/clerk] }
      - { at: 40m, cancel: why not }
      - { at: 41m, retry: ask }
      - { at: 42m, cancel: again }",
        expect![[r#""#]],
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
    check("replies: { b: { refused: No, after: 4s } }", expect![[r#""#]]);
    check(
        "replies: { b: { refused: No, after: 6s }, p: { ok: ~, after: 3s } }
    happens: [{ at: 7s, cancel: why not }, { at: 9s, retry: b }]",
        expect![[r#""#]],
    );
    // The pivot is refused while the other branch is stuck for its sake: there is nothing to be stuck for any more.
    check(
        "replies: { b: [{ refused: No, after: 6s }, ok], p: { refused: No, after: 4s } }
    happens: [{ at: 20s, retry: all }]",
        expect![[r#""#]],
    );
    // Never answered: the pivot's outcome is unknown, nothing goes back, and what is beside it goes on once a person says so.
    check(
        "replies: { p: silent, c: { ok: { n: 1 }, after: 40s } }
    happens: [{ at: 35s, cancel: why not }, { at: 50s, retry: all }, { at: 50m, cancel: again }]",
        expect![[r#""#]],
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
    check("replies: { b: [{ ok: { n: 1 }, after: 22s }, silent, ok], undo b: { ok: ~, after: 3s } }", expect![[r#""#]]);
    check(
        "replies: { b: [{ ok: { n: 1 }, after: 40s }, silent, { ok: { n: 2 }, after: 9s }], undo b: [nothing there, ok], c: { ok: { n: 3 }, after: 30s } }",
        expect![[r#""#]],
    );
    check(
        "replies: { b: [{ ok: { n: 1 }, after: 40s }, silent, ok], undo b: [nothing there, { ok: ~, after: 5s }] }
    happens: [{ at: 50s, retry: all }]",
        expect![[r#""#]],
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
        expect![[r#""#]],
    );
    // It turns true at the last moment, or just after; in the second round the wait is as long as ever.
    check("happens: [{ at: 10m, fact: ok, value: true }]", expect![[r#""#]]);
    check(
        "replies: { undo a: { ok: ~, after: 1m } }
    happens: [{ at: 10500ms, fact: ok, value: false }, { at: 601s, fact: ok, value: true }]",
        expect![[r#""#]],
    );
}

#[test]
fn a_reaction_while_it_undoes() {
    let check = |given: &str, expected| check(TURNS, given, expected);
    // The world turns while it goes back to a: it goes back for good once it would go on.
    check(
        "replies: { undo a: { ok: ~, after: 1m } }
    happens: [{ at: 630s, fact: stop, value: true }]",
        expect![[r#""#]],
    );
    // It turns, and back, meanwhile: nothing is left of it.
    check(
        "replies: { undo a: { ok: ~, after: 1m } }
    happens: [{ at: 630s, fact: stop, value: true }, { at: 640s, fact: stop, value: false }, { at: 11m, fact: ok, value: true }]",
        expect![[r#""#]],
    );
    // Once it goes back, no second reaction has a say; its deadline only tells.
    check(
        "replies: { undo b: { ok: ~, after: 2h }, c: { ok: { n: 1 }, after: 1m } }
    happens: [{ at: 1s, fact: ok, value: true }, { at: 2s, fact: stop, value: true }, { at: 3s, fact: ok, value: false }, { at: 4s, fact: ok, value: true }]",
        expect![[r#""#]],
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
        expect![[r#""#]],
    );
    check(
        "replies: { a: { ok: { n: 1 } }, probe a: { ok: { n: 7 } } }
    happens: [{ at: 30s, cancel: why not }]",
        expect![[r#""#]],
    );
    // Stuck before the end; a person has it undone; that end does not hold, either.
    check(
        "replies: { a: { ok: { n: 1 } }, probe a: [{ ok: { n: 7 }, times: 40 }, { ok: { n: 0 } }] }
    happens: [{ at: 2m, cancel: why not }, { at: 3m, fact: stop, value: true }, { at: 20m, retry: all }]",
        expect![[r#""#]],
    );
    // The world turns, or time is up, while the end is looked at.
    check(
        "replies: { a: { ok: { n: 1 } }, probe a: [{ ok: { n: 7 }, times: 6 }, { ok: { n: 0 } }] }
    happens: [{ at: 30s, fact: stop, value: true }]",
        expect![[r#""#]],
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
        "replies: { b: [refused No, ok], c: [{ refused: No, after: 1m }, ok] }
    happens: [{ at: 2m, retry: b }]",
        expect![[r#""#]],
    );
    // Unknown, and held; undone with the round; retried while it is undone; its answer comes in the next round.
    check(
        "replies: { b: [{ ok: { n: 1 }, after: 130s }, silent, ok], c: [{ refused: No, after: 8s }, ok], undo b: { ok: ~, after: 1m }, undo a: { ok: ~, after: 1m } }
    happens: [{ at: 30s, retry: b }, { at: 31s, skip: b }]",
        expect![[r#""#]],
    );
    // Skipping one branch undoes it alone, while the other goes on; a cancel in the middle.
    check(
        "replies: { c: silent, b: { ok: { n: 1 }, after: 40s }, undo c: { ok: ~, after: 30s } }
    happens: [{ at: 25s, cancel: why not }]",
        expect![[r#""#]],
    );
    check(
        "replies: { c: [{ ok: { n: 5 }, after: 25s }, silent], b: { ok: { n: 1 }, after: 40s }, undo c: [{ failed: busy, times: 2 }, ok], last: refused No }
    happens: [{ at: 10m, retry: last }, { at: 11m, cancel: why not }]",
        expect![[r#""#]],
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
