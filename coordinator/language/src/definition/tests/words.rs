//! The six words: where each may stand (records.md section 5), and where a loop may go back to.

use expect_test::expect;
use sagaline_definition::model::{Verb, Word};

use super::*;

const WORDS: [&str; 6] = ["continue", "skip", "compensate", "{ back_to: a, at_most: 2, else: stuck }", "hold", "stuck"];

/// Which words a place takes, in the table's order: `+` or `-`. The word stands for `WORD`.
fn row(definition: &str) -> String {
    let taken = |word: &&str| {
        let text = with_rest(&definition.replace("WORD", word));
        match super::definition(&text) {
            Ok(_) => '+',
            Err(report) => {
                assert_eq!(
                    report.diagnostics().iter().filter(|d| d.severity() == crate::Severity::Error).count(),
                    1,
                    "{report}"
                );
                assert!(report.plain().contains("can't stand at"), "{report}");
                '-'
            }
        }
    };
    WORDS.iter().map(taken).collect()
}

#[test]
fn each_word_stands_where_the_table_says() {
    let step = |rest: &str| format!("steps: [{{ step: a, call: payment.hold }}, {{ step: b, {rest} }}]\n");
    let wait = "topic: t, key: event.id, within: 1d";
    let approve = "by: role/a, within: 1d";
    let rows = [
        ("guard.else", step("call: payment.hold, guard: { if: input.x, else: WORD }")),
        ("refused", step("call: payment.hold, refused: WORD")),
        ("refused by code", step("call: payment.charge, with: { account: a, amount: 1 }, refused: { NoMoney: WORD }")),
        ("refused else", step("call: payment.hold, refused: { else: WORD }")),
        ("failed", step("call: payment.hold, failed: WORD")),
        ("wait.else", step(&format!("wait: {{ {wait}, else: WORD }}"))),
        ("until.else", step("wait: { until: input.x, within: 1d, else: WORD }")),
        ("approve.else", step(&format!("approve: {{ {approve}, choices: {{ yes: continue }}, else: WORD }}"))),
        ("approve.choices", step(&format!("approve: {{ {approve}, choices: {{ yes: WORD }}, else: stuck }}"))),
        ("expect.else", step("expect: { if: input.x, else: WORD }")),
        ("deadline.else", "deadline: { after: 1d, else: WORD }\n".to_owned()),
        ("after_pivot", "deadline: { after: 1d, after_pivot: WORD }\n".to_owned()),
        ("react.then", "steps: [{ step: a, call: payment.hold }, { step: b, call: payment.hold }]\nreact: [{ if: input.x, between: [a, b], then: WORD }]\n".to_owned()),
        ("after_pivot", "react: [{ if: input.x, then: stuck, after_pivot: WORD }]\n".to_owned()),
    ];
    let table: String = rows.iter().map(|(place, text)| format!("{place:16} {}\n", row(text))).collect();
    // continue, skip, compensate, back_to, hold, stuck
    expect![[r#"
        guard.else       -+++++
        refused          ++++++
        refused by code  ++++++
        refused else     ++++++
        failed           -+++++
        wait.else        ++++++
        until.else       ++++++
        approve.else     ++++++
        approve.choices  ++++++
        expect.else      ++++++
        deadline.else    --+--+
        after_pivot      -----+
        react.then       +-++++
        after_pivot      +---++
    "#]]
    .assert_eq(&table);
}

#[test]
fn where_nothing_is_made_void_skip_is_continue() {
    let text = with_rest("steps: [{ step: a, call: payment.hold, refused: skip, failed: skip }]\n");
    let steps = definition(&text).expect("it is right").value.steps;
    let Verb::Call(call) = &steps[0].verb else { panic!("a call") };
    assert_eq!((&call.refused_else, &call.failed), (&Word::Continue, &Word::Skip));
}

// shows: back_to, back_to.at_most, back_to.else x static error
#[test]
fn a_loop_is_bounded_and_leads_back_over_every_way() {
    check_steps(
        "  - { step: a, call: payment.hold }
  - together:
      - { step: b, call: payment.hold }
      - { step: c, call: payment.hold, refused: { back_to: b, at_most: 2, else: stuck } }
  - { step: d, call: payment.hold, refused: { back_to: x, at_most: 2, else: stuck }, failed: { back_to: a, at_most: 0, else: compensate } }
  - { step: e, call: payment.hold, refused: back_to, failed: { back_to: a } }
  - { step: f, call: payment.hold, refused: { back_to: a, at_most: 2, else: { back_to: b, at_most: 2, else: stuck } } }
  - { step: g, call: payment.hold, failed: { back_to: g, at_most: 2, else: continue }, refused: { back_to: h, at_most: 1, else: stuck } }
  - { step: h, call: payment.hold, failed: { back_to: c, at_most: 9, else: hold, then: x } }",
        expect![[r#"
            a.yaml:5:60: error: not every way to `c` leads through `b`
                help: name one of `a`, `c`
            a.yaml:6:56: error: there is no step `x`
                help: there is `a`, `b`, `c`, `d`
            a.yaml:6:117: error: `0` is no number of rounds
                help: write a whole number from 1 to 1000
            a.yaml:7:45: error: `back_to` says where to, how often at most, and what then
                help: write { back_to: STEP, at_most: 3, else: stuck }
            a.yaml:7:62: error: `back_to` needs `at_most`
                help: write `at_most: 3`
            a.yaml:7:62: error: `back_to` needs `else`
                help: write `else: stuck`
            a.yaml:8:77: error: what comes after a loop can't be a loop
                help: write another word: stuck
            a.yaml:9:76: error: `continue` can't stand at `failed`
                help: it takes `skip`, `compensate`, `back_to`, `hold`, `stuck`
            a.yaml:9:108: error: not every way to `g` leads through `h`
                help: name one of `a`, `b`, `c`, `d`, `e`, `f`, `g`
            a.yaml:10:82: error: `back_to` has no key `then`
                help: there is `back_to`, `at_most`, `else`
        "#]],
    );
    check_steps(
        "  - { step: a, call: payment.hold }
  - { step: b, call: payment.hold, refused: { back_to: b, at_most: 2, else: { back_to: a, at_most: 1, else: stuck } } }",
        expect![[r#"
            a.yaml:3:77: error: what comes after a loop can't be a loop
                help: write another word: stuck
        "#]],
    );
}

#[test]
fn what_may_not_have_run_is_no_way_back() {
    check_steps(
        "  - { step: a, call: payment.hold }
  - { step: b, call: payment.hold, after: a }
  - { step: c, call: payment.hold, after: a }
  - { step: d, call: payment.hold, after: { at_least: 1, of: [b, c] }, refused: { back_to: b, at_most: 2, else: stuck } }
  - { step: e, call: payment.hold, after: d, refused: { back_to: a, at_most: 2, else: stuck } }",
        expect![[r#"
            a.yaml:5:92: error: not every way to `d` leads through `b`
                help: name one of `a`, `d`
        "#]],
    );
}

#[test]
fn no_loop_leads_over_the_pivot() {
    check_steps(
        "  - { step: a, call: payment.hold }
  - { step: p, call: payment.hold, pivot: true, refused: { back_to: a, at_most: 2, else: compensate }, failed: { back_to: a, at_most: 2, else: stuck } }
  - { step: b, call: payment.hold, failed: { back_to: a, at_most: 2, else: stuck } }
  - { step: c, call: payment.hold, failed: { back_to: b, at_most: 2, else: stuck } }
  - { step: d, call: payment.hold, failed: { back_to: b, at_most: 2, else: compensate } }
  - { step: beside, after: a, call: payment.hold, failed: { back_to: a, at_most: 2, else: stuck } }",
        expect![[r#"
            a.yaml:3:123: error: the pivot `p` may be decided by then, and nothing goes back over it
                help: go back to a step after `p`
            a.yaml:4:55: error: the pivot `p` may be decided by then, and nothing goes back over it
                help: go back to a step after `p`
            a.yaml:6:76: error: nothing goes back once the pivot `p` is decided
                help: write `stuck`, or leave it out: that is the default here
            a.yaml:7:70: error: the pivot `p` may be decided by then, and nothing goes back over it
                help: go back to a step after `p`
        "#]],
    );
}

// shows: guard.else x static error
#[test]
fn nothing_goes_back_behind_the_pivot_at_any_place() {
    check_steps(
        "  - { step: p, call: payment.hold, pivot: true }
  - { step: a, wait: { topic: t, within: 1d, else: compensate } }
  - { step: b, expect: { if: input.x, else: compensate } }
  - { step: c, approve: { by: role/a, choices: { no: compensate }, within: 1d, else: compensate } }
  - { step: d, call: payment.hold, guard: { if: input.x, else: compensate } }
  - { step: e, call: payment.hold, failed: { back_to: d, at_most: 1, else: compensate } }",
        expect![[r#"
            a.yaml:3:52: error: nothing goes back once the pivot `p` is decided
                help: write `stuck`
            a.yaml:4:45: error: nothing goes back once the pivot `p` is decided
                help: write `stuck`
            a.yaml:5:54: error: nothing goes back once the pivot `p` is decided
                help: write `stuck`
            a.yaml:5:86: error: nothing goes back once the pivot `p` is decided
                help: write `stuck`
            a.yaml:6:64: error: nothing goes back once the pivot `p` is decided
                help: write `stuck`
            a.yaml:7:76: error: nothing goes back once the pivot `p` is decided
                help: write `stuck`, or leave it out: that is the default here
        "#]],
    );
}

// shows: after.at_least, after.of x static error
#[test]
fn some_of_several_may_be_enough() {
    check_steps(
        "  - together: [{ step: a, call: payment.hold }, { step: b, call: payment.hold }, { step: c, call: payment.hold }]
  - { step: d, call: payment.hold, after: { at_least: 2, of: [a, b, c] }, if: a != null && a.captured > 0 }
  - { step: e, call: payment.hold, after: { at_least: 2, of: [a, b, c] }, if: a.captured > 0 }
  - { step: f, call: payment.hold, after: { at_least: 4, of: [a, b, c] } }
  - { step: g, call: payment.hold, after: { at_least: 1 } }
  - { step: h, call: payment.hold, after: { of: [a, b], atleast: 1 } }",
        expect![[r#"
            a.yaml:4:79: error: `a` may be null: ask first, `a != null && ..` or `a != null ? .. : ..`
            a.yaml:5:55: error: `4` is no number of these steps
                help: write a whole number from 1 to 3: so many stand after `of`
            a.yaml:6:43: error: `after` needs `of`
                help: write `of: [a, b, c]`
            a.yaml:7:43: error: `after` needs `at_least`
                help: write `at_least: 2`
            a.yaml:7:57: error: `after` has no key `atleast`
                help: did you mean `at_least`?
        "#]],
    );
    let text = with_rest(
        "steps:
  - together: [{ step: a, call: payment.hold }, { step: b, call: payment.hold }]
  - { step: c, call: payment.hold, after: { at_least: 1, of: [b, a] } }
  - { step: d, call: payment.hold, after: { at_least: 2, of: [a, b] } }
",
    );
    let steps = definition(&text).expect("it is right").value.steps;
    assert_eq!((steps[2].after.as_slice(), steps[2].at_least), ([0, 1].as_slice(), Some(1)));
    assert_eq!((steps[3].after.as_slice(), steps[3].at_least), ([0, 1].as_slice(), None));
}

#[test]
fn what_is_passed_over_has_no_result() {
    let steps = |word: &str| {
        format!(
            "  - {{ step: a, call: payment.hold, {word} }}\n  - {{ step: b, call: payment.hold, if: a.captured > 0 }}"
        )
    };
    check_steps(&steps("failed: hold"), expect![["ok\n"]]);
    for word in [
        "failed: skip",
        "refused: skip",
        "refused: { else: { back_to: a, at_most: 2, else: continue } }",
        "guard: { if: input.x, else: skip }",
    ] {
        let report = definition(&with_rest(&format!("steps:\n{}\n", steps(word)))).expect_err(word);
        assert!(report.plain().contains("`a` may be null"), "{word}: {report}");
    }
}

#[test]
fn a_steps_if_tests_results_for_the_whole_step() {
    check_steps(
        "  - { step: a, call: payment.hold, failed: skip }
  - { step: b, call: payment.charge, if: a != null && input.x, with: { account: \"${a.reference}\", amount: \"${a.captured}\" } }
  - { step: c, call: payment.charge, if: has(a.captured), for_each: { n: \"[a.captured]\" }, with: { account: \"${a.reference}\", amount: \"${n}\" } }
  - { step: d, call: payment.charge, if: a != null || input.x, with: { account: \"${a.reference}\", amount: 1 } }
  - { step: e, call: payment.charge, if: a == null, with: { account: \"${a.reference}\", amount: 1 } }",
        expect![[r#"
            a.yaml:5:84: error: `a` may be null: ask first, `a != null && ..` or `a != null ? .. : ..`
            a.yaml:6:73: error: `a` may be null: ask first, `a != null && ..` or `a != null ? .. : ..`
        "#]],
    );
}

#[test]
fn an_outcome_says_what_became_of_a_step() {
    check_steps(
        "  - { step: a, call: payment.charge, with: { account: a, amount: 1 }, refused: { NoMoney: continue } }
  - { step: b, call: payment.hold, if: outcome.a == 'continued' }
  - { step: c, call: payment.hold, after: a, if: outcome.b == 'done' || outcome.c == 1 }",
        expect![[r#"
            a.yaml:4:50: error: `outcome` has no member `b`
            a.yaml:4:73: error: `outcome` has no member `c`
        "#]],
    );
}
