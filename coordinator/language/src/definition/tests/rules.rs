//! Each static rule, broken.

use expect_test::expect;

use super::*;

#[test]
fn ten_mistakes_are_shown_at_once() {
    check(
        "saga: Orders
version: '1'
use: [payment, shiping]
start: { topic: orders, key: evnt.id }
deadline: { after: 2 weeks, else: continue }
steps:
  - step: charge
    call: payment.chrage
    retry: patient
  - step: charge
    call: payment.charge
    with: { account: 7, amount: \"${inptu.total}\" }
    refused: { CardExpird: hold }
  - step: tell
    after: dispatch
    call: payment.notify
    facts: {}
",
        expect![[r#"
            a.yaml:1:1: error: a definition needs `owner`
                help: write `owner: team-fulfilment`
            a.yaml:1:7: error: `Orders` is no name of a saga
                help: a name has a-z, 0-9, - and _, begins with a letter, and has at most 64 characters
            a.yaml:2:10: error: `1` is no version
                help: a version is MAJOR.MINOR.PATCH: 1.2.0
            a.yaml:3:16: error: there is no contract of `shiping`
                help: there is `mail`, `payment`; or put its contract into contracts/shiping.yaml beside the definition
            a.yaml:4:30: error: `evnt` means nothing here
                help: did you mean `event`?
            a.yaml:5:20: error: `2 weeks` is no duration
                help: a duration is a whole number and its unit: 250ms, 1s, 5m, 6h, 14d
            a.yaml:5:35: error: `continue` can't stand at `deadline.else`
                help: it takes `compensate`, `stuck`
            a.yaml:8:11: error: `payment` has no operation `chrage`
                help: did you mean `charge`?
            a.yaml:9:12: error: there is no policy `patient`
                help: there is none to choose from; or write it here: { attempts: 5, backoff: 1s..1m }
            a.yaml:10:11: error: there are two steps `charge`
                help: rename one: the other stands in line 7
            a.yaml:12:22: error: this must be string, and is int
                help: quote it, or write string(...)
            a.yaml:12:36: error: `inptu` means nothing here
                help: did you mean `input`?
            a.yaml:13:16: error: `payment.charge` never refuses with `CardExpird`
                help: did you mean `CardExpired`?
            a.yaml:14:11: error: `payment.notify` has an effect, and nothing undoes it
                help: give it a compensation in its contract, or say `compensate: never` or `pivot: true` here
            a.yaml:15:12: error: there is no step `dispatch`
                help: there is `charge`, `tell`
            a.yaml:17:5: error: a step has no key `facts`
                help: there is `step`, `owner`, `after`, `if`, `for_each`, `guard`, `expected`, `alias`, `call`, `with`, `retry`, `refused`, `failed`, `pivot`, `compensate`
        "#]],
    );
}

// shows: head.use x static error
// shows: call x static error
#[test]
fn participants_and_operations_must_be_known() {
    check_head(
        "use: [payment, mial]\n",
        expect![[r#"
            a.yaml:1:16: error: there is no contract of `mial`
                help: did you mean `mail`? Or put its contract into contracts/mial.yaml beside the definition
        "#]],
    );
    check_head(
        "use: [payment, payment, 7]\n",
        expect![[r#"
            a.yaml:1:16: error: `payment` stands twice
                help: keep one of the two
            a.yaml:1:25: error: a participant's name is text, and this is a number
                help: quote it: "7"
        "#]],
    );
    check_head(
        "use: payment\n",
        expect![[r#"
        a.yaml:1:6: error: `use` is a list, and this is text
            help: write `- ITEM` lines, or [ITEM, ...]
        a.yaml:7:29: error: `payment` is not among the contracts after `use`
            help: add it: `use: [payment]`
    "#]],
    );
    check_steps(
        "  - { step: a, call: payment.chrage }\n  - { step: b, call: mail.send }\n  - { step: c, call: pament.hold }\n  - { step: d, call: hold }\n  - { step: e, call: 5 }",
        expect![[r#"
            a.yaml:2:22: error: `payment` has no operation `chrage`
                help: did you mean `charge`?
            a.yaml:3:22: error: `mail` is not among the contracts after `use`
                help: add it: `use: [payment, mail]`
            a.yaml:4:22: error: `pament` is not among the contracts after `use`
                help: did you mean `payment`?
            a.yaml:5:22: error: `hold` names no operation of a participant
                help: write PARTICIPANT.OPERATION: payment.charge
            a.yaml:6:22: error: `call` is text, and this is a number
                help: quote it: "5"
        "#]],
    );
}

#[test]
fn step_names_are_there_once() {
    check_steps(
        "  - { step: a, call: payment.hold }\n  - { step: a, call: payment.hold }",
        expect![[r#"
        a.yaml:3:13: error: there are two steps `a`
            help: rename one: the other stands in line 2
    "#]],
    );
}

// shows: after x static error
#[test]
fn after_names_steps() {
    check_steps(
        "  - { step: first, call: payment.hold }\n  - { step: b, call: payment.hold, after: [frist, 7] }",
        expect![[r#"
            a.yaml:3:44: error: there is no step `frist`
                help: did you mean `first`?
            a.yaml:3:51: error: a step's name is text, and this is a number
                help: quote it: "7"
        "#]],
    );
}

#[test]
fn circles_and_what_they_block_are_refused() {
    check_steps(
        "  - { step: a, call: payment.hold, after: c }
  - { step: b, call: payment.hold }
  - { step: c, call: payment.hold }
  - { step: d, call: payment.hold }
  - { step: e, call: payment.hold, after: e }
  - { step: f, call: payment.hold, after: [] }",
        expect![[r#"
            a.yaml:2:43: error: a circle: a waits for c waits for b waits for a
                help: take one of them out of the other's `after`
            a.yaml:5:13: error: nobody reaches `d`: it waits for `c`, which never ends
                help: break the circle that it waits for
            a.yaml:6:43: error: a circle: e waits for e
                help: take one of them out of the other's `after`
        "#]],
    );
}

// shows: compensate, operations.compensate x static error
#[test]
fn an_effect_is_undone_or_stays_openly() {
    check_steps(
        "  - { step: tell, call: payment.notify }",
        expect![[r#"
        a.yaml:2:13: error: `payment.notify` has an effect, and nothing undoes it
            help: give it a compensation in its contract, or say `compensate: never` or `pivot: true` here
    "#]],
    );
    check_steps("  - { step: tell, call: payment.notify, compensate: never }", expect![["ok\n"]]);
    check_steps("  - { step: tell, call: payment.notify, pivot: true }", expect![["ok\n"]]);
    check_steps(
        "  - { step: tell, call: payment.notify, compensate: release }",
        expect![[r#"
        a.yaml:2:53: error: `payment.notify` has an effect, and nothing undoes it
            help: give it a compensation in its contract, or say `compensate: never` or `pivot: true` here
    "#]],
    );
    check_steps("  - { step: hold, call: payment.hold, compensate: release }", expect![["ok\n"]]);
    check_steps(
        "  - { step: hold, call: payment.hold, compensate: refund }",
        expect![[r#"
        a.yaml:2:51: error: `payment.hold` is undone by `release`, not by `refund`
            help: write `release` or `never`, or leave it out: the contract decides
    "#]],
    );
    check_steps(
        "  - { step: hold, call: payment.hold, compensate: { operation: release } }",
        expect![[r#"
            a.yaml:2:53: error: `compensate` has no key `operation`
                help: there is `call`, `with`, `retry`
        "#]],
    );
    check_steps(
        "  - { step: look, call: payment.status, with: { account: a, amount: 1 }, compensate: never }",
        expect![[r#"
            a.yaml:2:86: error: `payment.status` only reads: there is nothing to undo
                help: take out `compensate`
        "#]],
    );
}

// shows: pivot x static error
#[test]
fn there_is_one_pivot_and_it_has_an_effect() {
    check_steps(
        "  - { step: a, call: payment.hold, pivot: true }\n  - { step: b, call: payment.hold, pivot: true }",
        expect![[r#"
            a.yaml:3:43: error: `a` is the pivot already
                help: keep one: a definition has one pivot
        "#]],
    );
    check_steps(
        "  - { step: a, call: payment.hold, pivot: yes }",
        expect![[r#"
        a.yaml:2:43: error: `pivot` is `true` or `false`
            help: write `true`, or take it out
    "#]],
    );
    check_steps(
        "  - { step: a, call: payment.hold, pivot: true, compensate: release }",
        expect![[r#"
        a.yaml:2:61: error: the pivot is never undone
            help: take out `compensate`, or make another step the pivot
    "#]],
    );
    check_steps(
        "  - { step: a, call: payment.status, with: { account: a, amount: 1 }, pivot: true }",
        expect![[r#"
        a.yaml:2:13: error: `payment.status` only reads, and so can't be the pivot
            help: make a step with an effect the pivot
    "#]],
    );
}

#[test]
fn nothing_goes_back_behind_the_pivot() {
    check_steps(
        "  - { step: a, call: payment.hold, pivot: true, refused: compensate, failed: compensate }
  - { step: b, call: payment.hold, refused: compensate, failed: compensate }
  - { step: c, call: payment.charge, with: { account: a, amount: 1 }, refused: { CardExpired: compensate, else: stuck } }
  - { step: beside, after: [], call: payment.hold, refused: compensate, failed: compensate }",
        expect![[r#"
            a.yaml:2:78: error: nothing goes back once the pivot `a` is decided
                help: write `stuck`, or leave it out: that is the default here
            a.yaml:3:45: error: nothing goes back once the pivot `a` is decided
                help: write `stuck`, or leave it out: that is the default here
            a.yaml:3:65: error: nothing goes back once the pivot `a` is decided
                help: write `stuck`, or leave it out: that is the default here
            a.yaml:4:95: error: nothing goes back once the pivot `a` is decided
                help: write `stuck`, or leave it out: that is the default here
        "#]],
    );
    check_steps(
        "  - { step: a, call: payment.hold, pivot: true, if: input.x }
  - { step: b, call: payment.hold, refused: compensate, failed: compensate }",
        expect![["ok\n"]],
    );
    check_steps(
        "  - { step: a, call: payment.hold, pivot: true, refused: { else: continue } }
  - { step: b, call: payment.hold, refused: compensate, failed: compensate }",
        expect![["ok\n"]],
    );
    let text =
        with_rest("steps:\n  - { step: a, call: payment.hold, pivot: true }\n  - { step: b, call: payment.hold }\n");
    let steps = definition(&text).expect("it is right").value.steps;
    let words = |index: usize| {
        let sagaline_definition::model::Verb::Call(call) = &steps[index].verb else { panic!("a call") };
        format!("{:?} {:?}", call.refused_else, call.failed)
    };
    expect!["Compensate Stuck, Stuck Stuck"].assert_eq(&format!("{}, {}", words(0), words(1)));
}

// shows: deadline.else, deadline.after_pivot x static error
// shows: failed x static error
#[test]
fn words_stand_where_they_mean_something() {
    check_head(
        "deadline: { after: 1d, else: continue, after_pivot: compensate }\n",
        expect![[r#"
        a.yaml:1:30: error: `continue` can't stand at `deadline.else`
            help: it takes `compensate`, `stuck`
        a.yaml:1:53: error: `compensate` can't stand at `deadline.after_pivot`
            help: it takes `stuck`
    "#]],
    );
    check_head(
        "deadline: { after: 1d, else: hold, after_pivot: { back_to: a } }\n",
        expect![[r#"
        a.yaml:1:30: error: `hold` can't stand at `deadline.else`
            help: it takes `compensate`, `stuck`
        a.yaml:1:49: error: `back_to` can't stand at `deadline.after_pivot`
            help: it takes `stuck`
    "#]],
    );
    check_steps(
        "  - { step: a, call: payment.hold, refused: hold, failed: continue }",
        expect![[r#"
            a.yaml:2:59: error: `continue` can't stand at `failed`
                help: it takes `skip`, `compensate`, `back_to`, `hold`, `stuck`
        "#]],
    );
    check_steps(
        "  - { step: a, call: payment.hold, refused: contineu, failed: 7 }",
        expect![[r#"
            a.yaml:2:45: error: `refused` takes no `contineu`
                help: did you mean `continue`?
            a.yaml:2:63: error: `failed` takes no `7`
                help: there is `skip`, `compensate`, `back_to`, `hold`, `stuck`
        "#]],
    );
    check_steps(
        "  - { step: a, call: payment.hold, refused: [stuck], failed: { else: stuck } }",
        expect![[r#"
            a.yaml:2:45: error: `refused` takes a word, and this is a list
                help: write `continue`, `skip`, `compensate`, `back_to`, `hold`, `stuck`
            a.yaml:2:62: error: `failed` takes a word, and this is a map
                help: write `skip`, `compensate`, `back_to`, `hold`, `stuck`
        "#]],
    );
}

// shows: refused, operations.refuses x static error
#[test]
fn codes_are_those_of_the_contract() {
    check_steps(
        "  - step: charge
    call: payment.charge
    with: { account: a, amount: 1 }
    refused: { CardExpird: continue, NoMoney: compensate, else: stuck }
  - { step: hold, call: payment.hold, refused: { Never: stuck } }",
        expect![[r#"
            a.yaml:5:16: error: `payment.charge` never refuses with `CardExpird`
                help: did you mean `CardExpired`?
            a.yaml:6:50: error: `payment.hold` never refuses with `Never`
                help: there is `else`
        "#]],
    );
}

#[test]
fn names_in_expressions_must_be_there() {
    check_steps(
        "  - { step: a, call: payment.hold, if: inptu.x == a.reference }
  - { step: b, call: payment.hold, if: \"event.x && facts.status == 'x' && c.captured > 0 && now > 0\" }
  - { step: c, call: payment.hold, after: a, if: b.captured > 0 }",
        expect![[r#"
            a.yaml:2:40: error: `inptu` means nothing here
                help: did you mean `input`?
            a.yaml:2:51: error: `a` has no result yet: it is this step
                help: read `input` and the results of earlier steps
            a.yaml:3:41: error: `event` is seen where an event is judged: in `start`, `facts` and `wait`
                help: read `input`: it is what `start.input` made of the event
            a.yaml:3:52: error: no fact is declared
                help: declare it: `facts: { status: { topic: orders, key: event.order_id, value: event.status } }`
            a.yaml:3:75: error: `c` is not surely done before `b`
                help: add `c` to its `after`
            a.yaml:4:50: error: `b` is not surely done before `c`
                help: add `b` to its `after`
        "#]],
    );
}

// shows: if x static error
#[test]
fn expressions_must_be_cel_and_of_their_type() {
    check_steps(
        "  - { step: a, call: payment.hold, if: input.x + }
  - { step: b, call: payment.hold, if: input.x + 1 }
  - { step: c, call: payment.hold, if: \"a.referense == 'x' || a.captured == 'x'\" }
  - { step: d, call: payment.hold, if: matches(input.x) }
  - { step: e, call: payment.hold, if: }
  - step: f
    call: payment.hold
    if: |
      input.x == 1 &&
      a.capturd == 2
  - { step: g, call: payment.hold, if: \"a.reference\" }",
        expect![[r#"
            a.yaml:2:40: error: the expression ends too early
            a.yaml:3:40: error: `if` must be bool, and is int
                help: write a condition: input.total > 100
            a.yaml:4:41: error: `a` may be null: ask first, `a != null && ..` or `a != null ? .. : ..`
            a.yaml:4:63: error: `a` may be null: ask first, `a != null && ..` or `a != null ? .. : ..`
            a.yaml:5:40: error: regular expressions are left out here: use startsWith, endsWith or contains
            a.yaml:6:38: error: `if` is an expression, and this is nothing
                help: write one: input.total > 100
            a.yaml:11:7: error: `a` may be null: ask first, `a != null && ..` or `a != null ? .. : ..`
            a.yaml:12:41: error: `a` may be null: ask first, `a != null && ..` or `a != null ? .. : ..`
        "#]],
    );
}

#[test]
fn a_result_that_may_be_missing_is_tested_first() {
    let steps = |condition: &str| {
        format!(
            "  - {{ step: skipped, call: payment.hold, if: input.x }}
  - {{ step: refusable, call: payment.charge, with: {{ account: a, amount: 1 }}, refused: {{ NoMoney: continue }} }}
  - {{ step: safe, call: payment.hold }}
  - {{ step: next, call: payment.hold, if: \"{condition}\" }}"
        )
    };
    check_steps(&steps("safe.captured > 0"), expect![["ok\n"]]);
    check_steps(
        &steps("skipped.captured > 0"),
        expect![[r#"
        a.yaml:5:44: error: `skipped` may be null: ask first, `skipped != null && ..` or `skipped != null ? .. : ..`
    "#]],
    );
    check_steps(
        &steps("refusable.captured > 0"),
        expect![[r#"
        a.yaml:5:44: error: `refusable` may be null: ask first, `refusable != null && ..` or `refusable != null ? .. : ..`
    "#]],
    );
    check_steps(&steps("skipped != null && skipped.captured > 0"), expect![["ok\n"]]);
    check_steps(&steps("refusable != null ? refusable.captured > 0 : false"), expect![["ok\n"]]);
}

#[test]
fn an_effect_that_stays_before_a_way_back_is_a_warning() {
    check_steps(
        "  - { step: tell, call: payment.notify, compensate: never }\n  - { step: hold, call: payment.hold }",
        expect![[r#"
            ok
            a.yaml:2:13: warning: `tell` is never undone, and `hold` may still send the saga back
                help: let `tell` run after `hold`, or after a pivot
        "#]],
    );
    check_steps(
        "  - { step: hold, call: payment.hold, pivot: true }\n  - { step: tell, call: payment.notify, compensate: never }",
        expect![["ok\n"]],
    );
}

#[test]
fn a_broken_contract_is_complained_of_once() {
    let mut contracts = Contracts::default();
    contracts.insert_broken("payment");
    let text = with_rest("steps: [{ step: a, call: payment.hold, with: { x: \"${inptu}\" } }]\n");
    let report = crate::definition("a.yaml", &text, &contracts).expect_err("there is a mistake beside it");
    expect![[r#"
        a.yaml:1:54: error: `inptu` means nothing here
            help: did you mean `input`?
    "#]]
    .assert_eq(&report.plain());
}

// shows: guard.if, guard.else, owner x static error
#[test]
fn a_guard_is_a_condition_and_a_word_and_an_owner_a_name() {
    check_steps(
        "  - { step: a, call: payment.hold, guard: { if: input.x + 1, else: skip } }
  - { step: b, call: payment.hold, guard: { if: inptu.x } }
  - { step: c, call: payment.hold, guard: { else: continue } }
  - { step: d, call: payment.hold, owner: [team] }
  - { step: e, call: payment.hold, owner: 7 }
  - { step: f, call: payment.hold, owner: \"\" }",
        expect![[r#"
            a.yaml:2:49: error: `if` must be bool, and is int
                help: write a condition: input.total > 100
            a.yaml:3:43: error: `guard` needs `else`
                help: write `else: compensate`
            a.yaml:3:49: error: `inptu` means nothing here
                help: did you mean `input`?
            a.yaml:4:43: error: `guard` needs `if`
                help: write `if: facts.status != 'cancelled'`
            a.yaml:4:51: error: `continue` can't stand at `guard.else`
                help: it takes `skip`, `compensate`, `back_to`, `hold`, `stuck`
            a.yaml:5:43: error: an owner is text, and this is a list
                help: write text
            a.yaml:6:43: error: an owner is text, and this is a number
                help: quote it: "7"
            a.yaml:7:43: error: nobody is the owner
                help: name the team that looks after it: team-payments
        "#]],
    );
    check_head(
        "owner: ' '\n",
        expect![[r#"
            a.yaml:1:8: error: nobody is the owner
                help: name the team that looks after it: team-payments
        "#]],
    );
}
