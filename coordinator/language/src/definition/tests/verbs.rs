//! What each verb takes, and what it refuses.

use expect_test::expect;
use sagaline_definition::model::{Patience, Verb, Word};

use super::*;

// shows: key x static error
#[test]
fn a_step_does_one_thing() {
    check_steps(
        "  - { step: a, call: payment.hold, sleep: 2h }
  - { step: b, wait: { until: input.x, within: 1d, else: stuck }, retry: { attempts: 3 }, pivot: true }
  - { step: c, sleep: 1h, compensate: never, key: x }
  - { step: d, with: {} }",
        expect![[r#"
            a.yaml:2:36: error: a step does one thing: `sleep` stands beside `call`
                help: make it a step of its own
            a.yaml:3:67: error: `retry` says nothing beside `wait`
                help: it stands beside `call`, `ask`
            a.yaml:3:91: error: `pivot` says nothing beside `wait`
                help: it stands beside `call`, `saga`
            a.yaml:4:27: error: `compensate` says nothing beside `sleep`
                help: it stands beside `call`, `saga`
            a.yaml:4:46: error: `key` says nothing beside `sleep`
                help: it stands beside `saga`
            a.yaml:5:5: error: a step needs something to do
                help: write `call: payment.charge`, or another of `call`, `ask`, `saga`, `sleep`, `wait`, `approve`, `decide`, `expect`
        "#]],
    );
}

// shows: ask, operations.reads x static error, success
#[test]
fn who_asks_changes_nothing() {
    check_steps(
        "  - { step: a, ask: payment.status, with: { account: x, amount: 1 } }
  - { step: b, call: payment.status, with: { account: x, amount: \"${a.captured}\" } }",
        expect![[r#"
            ok
        "#]],
    );
    check_steps(
        "  - { step: a, ask: payment.hold }
  - { step: b, ask: payment.status, with: { account: x, amount: 1 }, compensate: never, pivot: true }",
        expect![[r#"
            a.yaml:2:21: error: `payment.hold` has an effect: who asks changes nothing
                help: write `call: payment.hold`
            a.yaml:3:70: error: `compensate` says nothing beside `ask`
                help: it stands beside `call`, `saga`
            a.yaml:3:89: error: `pivot` says nothing beside `ask`
                help: it stands beside `call`, `saga`
        "#]],
    );
}

// shows: sleep.until, sleep.window, sleep.workdays, sleep.calendar x static error
// shows: sleep x static error
#[test]
fn a_sleep_ends_somehow() {
    check_head(
        "calendars: { office: { zone: UTC, days: [mon, tue], hours: 00:00-24:00 } }
steps:
  - { step: a, sleep: 2h }
  - { step: b, sleep: { until: input.at } }
  - { step: c, sleep: { until: \"'2026-12-24T09:00:00Z'\" } }
  - { step: d, sleep: { until: now + 5 } }
  - { step: e, sleep: { window: office } }
  - { step: f, sleep: { workdays: 3, calendar: office } }
",
        expect![[r#"
            ok
            a.yaml:12:7: warning: no step calls `payment`
                help: take it out of `use`: each change of its contract would be one of this definition
        "#]],
    );
    check_head(
        "calendars: { office: { zone: UTC, days: [mon, tue], hours: 00:00-24:00 } }
steps:
  - { step: a, sleep: 2 }
  - { step: b, sleep: { until: true } }
  - { step: c, sleep: { window: ofice } }
  - { step: d, sleep: { workdays: 0, calendar: office } }
  - { step: e, sleep: { workdays: 2 } }
  - { step: f, sleep: { window: office, calendar: office } }
  - { step: g, sleep: { window: office, until: 1 } }
  - { step: h, sleep: {} }
  - { step: i, sleep: [1] }
",
        expect![[r#"
            a.yaml:3:23: error: `2` is no duration
                help: a duration is a whole number and its unit: 250ms, 1s, 5m, 6h, 14d
            a.yaml:4:32: error: `until` must be a time, and is bool
                help: write milliseconds since 1970, or a text: '2026-12-24T09:00:00Z'
            a.yaml:5:33: error: there is no calendar `ofice`
                help: did you mean `office`? Or declare it: `calendars: { office: { ... } }`
            a.yaml:6:35: error: `0` is no number of days
                help: write a whole number from 1 to 1000
            a.yaml:7:23: error: `sleep` needs `calendar`
                help: write `calendar: office`
            a.yaml:8:41: error: `calendar` says nothing beside `window`
                help: it stands beside `workdays`
            a.yaml:9:23: error: `sleep` ends with one of `until`, `window`, `workdays`
                help: write `sleep: 2h`, or `sleep: { until: input.starts_at }`
            a.yaml:10:23: error: `sleep` ends with one of `until`, `window`, `workdays`
                help: write `sleep: 2h`, or `sleep: { until: input.starts_at }`
            a.yaml:11:23: error: a list is no duration
                help: a duration is a whole number and its unit: 250ms, 1s, 5m, 6h, 14d
        "#]],
    );
    check_steps(
        "  - { step: a, sleep: { window: office } }",
        expect![[r#"
        a.yaml:2:33: error: there is no calendar `office`
            help: there is none to choose from; or declare it: `calendars: { office: { ... } }`
    "#]],
    );
}

// shows: wait.topic, wait.within, wait.else, wait.remind, expect.else x static error
#[test]
fn every_wait_ends() {
    check_steps(
        "  - { step: a, wait: { topic: t } }
  - { step: b, wait: { until: input.x } }
  - { step: c, wait: { until: input.x, within: 1d, remind: 2d, else: stuck } }
  - { step: d, wait: { topic: t, within: 1d, else: hold, until: input.x } }
  - { step: e, wait: {} }
  - { step: f, wait: 2h }",
        expect![[r#"
            a.yaml:2:22: error: `wait` needs `within`
                help: write `within: 2d`
            a.yaml:2:22: error: `wait` needs `else`
                help: write `else: stuck`
            a.yaml:3:22: error: `wait: { until }` needs `within`
                help: write `within: 2d`
            a.yaml:3:22: error: `wait: { until }` needs `else`
                help: write `else: stuck`
            a.yaml:4:60: error: nobody would be reminded: the wait is over by then
                help: make it shorter than `within`
            a.yaml:5:24: error: `wait: { until }` has no key `topic`
                help: there is `until`, `within`, `remind`, `else`
            a.yaml:6:22: error: `wait` needs `topic`
                help: write `topic: payments, or until: facts.address != null`
            a.yaml:6:22: error: `wait` needs `key`
                help: write `key: event.order_id`
            a.yaml:6:22: error: `wait` needs `within`
                help: write `within: 2d`
            a.yaml:6:22: error: `wait` needs `else`
                help: write `else: stuck`
            a.yaml:7:22: error: `wait` is a map, and this is text
                help: write KEY: VALUE lines, or { KEY: VALUE, ... }
        "#]],
    );
    check_steps(
        "  - { step: a, expect: { if: input.x == 1 } }",
        expect![[r#"
        a.yaml:2:24: error: `expect` needs `else`
            help: write `else: stuck`
    "#]],
    );
    check_steps(
        "  - { step: a, expect: { if: input.x == 1, else: compensate } }",
        expect![[r#"
        ok
        a.yaml:6:7: warning: no step calls `payment`
            help: take it out of `use`: each change of its contract would be one of this definition
    "#]],
    );
}

// shows: wait.key, wait.via, wait.if x static error
#[test]
fn a_wait_has_a_key() {
    check_steps(
        "  - { step: a, wait: { topic: t, within: 1d, else: skip } }
  - { step: b, wait: { topic: other, within: 1d, else: continue } }
  - { step: c, call: payment.hold, alias: { ref: c.reference } }
  - { step: d, wait: { topic: t, via: ref, within: 1d, else: stuck } }
  - { step: e, wait: { topic: t, via: reff, key: event.ref, within: 1d, else: stuck } }
  - { step: f, wait: { topic: t, key: input.ref, if: event.type == input.type, within: 1d, else: stuck } }
  - { step: g, wait: { topic: t, key: event.n + 1, if: now > 5, within: 1d, else: stuck } }",
        expect![[r#"
            a.yaml:3:22: error: `wait` needs `key`
                help: write `key: event.order_id`
            a.yaml:5:22: error: `wait` needs `key`
                help: write `key: event.order_id`
            a.yaml:6:39: error: no step gives the saga the alias `reff`
                help: did you mean `ref`? Or let an earlier step give it: `alias: { psp_ref: charge.reference }`
            a.yaml:7:39: error: `input` is not seen here: an event is judged before its saga is known
                help: read `event`
            a.yaml:8:39: error: `key` must be string, and is int
                help: quote it, or write string(...)
            a.yaml:8:56: error: `now` is not seen here: this is looked at when something changes, and time alone changes nothing
                help: let a step `sleep` until then, or bound the wait by `within`
        "#]],
    );
    check_steps(
        "  - { step: e, wait: { topic: t, via: ref, key: event.ref, within: 1d, else: stuck } }",
        expect![[r#"
            a.yaml:2:39: error: no step gives the saga the alias `ref`
                help: there is none to choose from; or let an earlier step give it: `alias: { psp_ref: charge.reference }`
        "#]],
    );
}

// shows: wait.type x static error, success
#[test]
fn an_event_may_have_a_type() {
    check_steps(
        "  - { step: a, wait: { topic: t, type: payment.Charged, if: event.captured > 0, within: 1d, else: stuck } }
  - { step: b, wait: { topic: t, type: payment.Charged, if: event.capturd > 0, within: 1d, else: continue } }
  - { step: c, call: payment.hold, if: a.captured > 0 && b.captured > 0 }",
        expect![[r#"
            a.yaml:3:61: error: `Charged` has no member `capturd`; did you mean `captured`?
            a.yaml:4:58: error: `b` may be null: ask first, `b != null && ..` or `b != null ? .. : ..`
        "#]],
    );
}

// shows: approve.by, approve.choices, approve.quorum, approve.escalate, approve.within, approve.else x static error
#[test]
fn an_approval_can_be_decided() {
    let approve = |rest: &str| format!("  - {{ step: a, approve: {{ {rest} }} }}");
    check_steps(
        &approve(
            "by: [role/manager, user/ann@x.org], choices: { yes: continue }, escalate: { 1h: role/boss }, within: 1d, else: stuck",
        ),
        expect![[r#"
            ok
            a.yaml:6:7: warning: no step calls `payment`
                help: take it out of `use`: each change of its contract would be one of this definition
        "#]],
    );
    check_steps(
        &approve("by: manager, choices: {}, quorum: 0, escalate: { soon: boss }, within: 1d, else: done"),
        expect![[r#"
            a.yaml:2:31: error: `manager` is no role or user
                help: write role/NAME or user/NAME: role/manager
            a.yaml:2:49: error: there is nothing to choose from
                help: write { approve: continue, reject: compensate }
            a.yaml:2:61: error: `0` is no number of people
                help: write a whole number from 1 to 100
            a.yaml:2:76: error: `soon` is no duration
                help: a duration is a whole number and its unit: 250ms, 1s, 5m, 6h, 14d
            a.yaml:2:82: error: `boss` is no role or user
                help: write role/NAME or user/NAME: role/manager
            a.yaml:2:108: error: `approve.else` takes no `done`
                help: there is `continue`, `skip`, `compensate`, `back_to`, `hold`, `stuck`
        "#]],
    );
    check_steps(
        &approve("show: 1"),
        expect![[r#"
        a.yaml:2:25: error: `approve` needs `by`
            help: write `by: role/manager`
        a.yaml:2:25: error: `approve` needs `choices`
            help: write `choices: { approve: continue, reject: compensate }`
        a.yaml:2:25: error: `approve` needs `within`
            help: write `within: 2d`
        a.yaml:2:25: error: `approve` needs `else`
            help: write `else: stuck`
    "#]],
    );
    check_steps(
        &approve(
            "by: [user/a, user/b], choices: { yes: continue }, quorum: 3, escalate: { 1h: user/b }, within: 1d, else: stuck",
        ),
        expect![[r#"
            a.yaml:2:85: error: 3 must agree, and 2 may decide
                help: lower `quorum`, or let more people decide: role/manager
        "#]],
    );
    check_steps(
        &approve("by: role/a, choices: { yes: continue }, escalate: { 1d: role/b }, within: 1d, else: stuck"),
        expect![[r#"
            a.yaml:2:77: error: `role/b` would be asked when the time is up
                help: escalate before `within` is over
        "#]],
    );
    check_steps(
        &approve("by: role/a, choices: { yes: continue, no: compensate }, within: 1d, else: stuck"),
        expect![[r#"
            ok
            a.yaml:2:25: warning: nobody else is asked if those who may decide do not
                help: let it escalate: `escalate: { 24h: role/director }`
            a.yaml:6:7: warning: no step calls `payment`
                help: take it out of `use`: each change of its contract would be one of this definition
        "#]],
    );
}

// shows: approve.void_if x static error
#[test]
fn what_was_approved_must_still_be_true() {
    let void_if = |condition: &str| {
        format!(
            "  - {{ step: a, approve: {{ by: role/a, show: {{ total: \"${{input.total}}\", n: 1 }}, choices: {{ yes: continue }}, escalate: {{ 1h: role/b }}, within: 1d, else: stuck, void_if: \"{condition}\" }} }}"
        )
    };
    check_steps(
        &void_if("input.total != shown.total"),
        expect![[r#"
        ok
        a.yaml:6:7: warning: no step calls `payment`
            help: take it out of `use`: each change of its contract would be one of this definition
    "#]],
    );
    check_steps(
        &void_if("input.total > 5"),
        expect![[r#"
        a.yaml:2:168: error: `void_if` does not look at what was shown: it would be void as soon as it is asked, or never
            help: compare with it: facts.status != shown.status
    "#]],
    );
    check_steps(
        &void_if("now > shown.n"),
        expect![[r#"
        a.yaml:2:169: error: `now` is not seen here: this is looked at when something changes, and time alone changes nothing
            help: let a step `sleep` until then, or bound the wait by `within`
    "#]],
    );
    check_steps(
        &void_if("shown.totl == 5 || shown.n == 'x'"),
        expect![[r#"
        a.yaml:2:169: error: this map has no member `totl`; did you mean `total`?
        a.yaml:2:188: error: int and string are never the same
    "#]],
    );
}

#[test]
fn what_people_decided_is_a_result() {
    check_steps(
        "  - { step: a, approve: { by: role/a, choices: { yes: continue, no: continue }, escalate: { 1h: role/b }, within: 1d, else: stuck } }
  - { step: b, call: payment.hold, if: \"a.choice == 'yes' && size(a.by) > 0 && a.comment != ''\" }
  - { step: c, call: payment.hold, if: \"a.choise == 'yes'\" }
  - { step: d, approve: { by: role/a, choices: { yes: continue }, escalate: { 1h: role/b }, within: 1d, else: continue } }
  - { step: e, call: payment.hold, if: \"d.choice == 'yes'\" }
  - { step: f, approve: { by: role/a, choices: { yes: continue, no: { back_to: f, at_most: 2, else: stuck } }, escalate: { 1h: role/b }, within: 1d, else: stuck } }
  - { step: g, approve: { by: role/a, choices: { yes: continue, no: { back_to: g, at_most: 2, else: continue } }, escalate: { 1h: role/b }, within: 1d, else: stuck } }
  - { step: h, call: payment.hold, if: \"f.choice == 'yes' && g.choice == 'yes'\" }",
        expect![[r#"
            a.yaml:4:41: error: `approval` has no member `choise`; did you mean `choice`?
            a.yaml:6:41: error: `d` may be null: ask first, `d != null && ..` or `d != null ? .. : ..`
            a.yaml:9:62: error: `g` may be null: ask first, `g != null && ..` or `g != null ? .. : ..`
        "#]],
    );
}

// shows: decide.if, decide.is x static error
#[test]
fn a_decision_is_exhaustive() {
    check_steps(
        "  - { step: a, decide: [{ if: input.x > 1, is: 7 }, { is: 2.5 }] }
  - { step: b, call: payment.hold, if: a > 3 }
  - { step: c, decide: [{ if: input.x > 1, is: x }] }
  - { step: d, decide: [{ is: x }, { is: y }] }
  - { step: e, decide: [{ if: input.x > 1, is: x }, { is: 5 }] }
  - { step: f, decide: [] }
  - { step: g, decide: [{ if: 5 }, { so: 1 }] }
  - { step: h, decide: manager }
  - { step: i, call: payment.hold, if: a == 'x' }",
        expect![[r#"
            a.yaml:4:25: error: this is decided only if the last condition holds
                help: add an outcome without `if` at its end: { is: auto }
            a.yaml:5:25: error: what stands below is never reached
                help: give it an `if`, or let it stand last
            a.yaml:6:59: error: this is int, and the first outcome is string
                help: let all outcomes be of one type
            a.yaml:7:24: error: there is nothing to decide
                help: write [{ if: input.total > 100, is: manager }, { is: auto }]
            a.yaml:8:25: error: an outcome of `decide` needs `is`
                help: write `is: manager`
            a.yaml:8:31: error: `if` must be bool, and is int
                help: write a condition: input.total > 100
            a.yaml:8:36: error: an outcome of `decide` needs `is`
                help: write `is: manager`
            a.yaml:8:38: error: an outcome of `decide` has no key `so`
                help: there is `if`, `is`
            a.yaml:9:24: error: `decide` is a list, and this is text
                help: write `- ITEM` lines, or [ITEM, ...]
            a.yaml:10:40: error: double and string are never the same
        "#]],
    );
}

// shows: for_each, for_each.at_once, for_each.most, for_each.enough, for_each.rest x static error
#[test]
fn for_each_has_an_item_and_bounds() {
    check_steps(
        "  - { step: a, for_each: { line: input.lines, at_once: 5, most: 10, enough: 2, rest: skip }, call: payment.charge, with: { account: \"${line.account}\", amount: 1 } }
  - { step: b, for_each: { one: a }, call: payment.hold, if: size(a) > 0, guard: { if: one != null && one.captured > 0, else: skip } }
  - { step: c, call: payment.hold, if: \"b != null && b[0] != null && outcome.b[0] == 'done'\" }
  - { step: d, call: payment.hold, if: \"a[0].captured > 0 || outcome.a == 'done'\" }",
        expect![[r#"
            a.yaml:5:41: error: this may be null
            a.yaml:5:62: error: list(string) and string are never the same
        "#]],
    );
    check_steps(
        "  - { step: a, for_each: { at_once: 5 }, call: payment.hold }
  - { step: b, for_each: { x: input.x, y: input.y }, call: payment.hold }
  - { step: c, for_each: { a: input.x }, call: payment.hold }
  - { step: d, for_each: { now: input.x }, call: payment.hold }
  - { step: e, for_each: { x: 5, at_once: 0, most: many }, call: payment.hold }
  - { step: f, for_each: { x: input.x, enough: 2 }, call: payment.hold }
  - { step: g, for_each: { x: input.x, enough: 2, rest: stuck }, call: payment.hold }
  - { step: h, for_each: { x: input.x, rest: skip }, call: payment.hold }
  - { step: i, for_each: { x: input.x }, if: x.y, call: payment.hold }
  - { step: j, for_each: { x: input.x }, pivot: true, call: payment.hold }
  - { step: k, for_each: [x], call: payment.hold }",
        expect![[r#"
            a.yaml:2:26: error: `for_each` needs a name for the item, and a list
                help: write `for_each: { line: input.lines }`
            a.yaml:3:40: error: `x` is the item already
                help: keep one of the two; beside it there is `at_once`, `most`, `enough`, `rest`
            a.yaml:4:28: error: `a` is a step
                help: choose another name for the item: a step's name is its result
            a.yaml:5:28: error: `now` is no name of an item
                help: `now` means something else in expressions: choose another name
            a.yaml:6:31: error: what `for_each` goes through must be list(any), and is int
                help: its type asks for list(any) here
            a.yaml:6:43: error: `0` is no value of `at_once`
                help: write a whole number from 1 to 10000
            a.yaml:6:52: error: `many` is no value of `most`
                help: write a whole number from 1 to 10000
            a.yaml:7:40: error: `enough` leaves a rest
                help: say what becomes of it: `rest: skip`
            a.yaml:8:57: error: the rest can only be skipped
                help: write `rest: skip`: what it did is made void
            a.yaml:9:46: error: without `enough` there is no rest
                help: add `enough: 2`, or take it out
            a.yaml:10:46: error: `x` means nothing here
                help: there is `a`, `b`, `c`, `d`, `e`, `f`, `g`, `h`, `input`
            a.yaml:11:49: error: the pivot is decided once, and `for_each` decides for every item
                help: take out `for_each`, or make another step the pivot
            a.yaml:12:26: error: `for_each` is a map, and this is a list
                help: write KEY: VALUE lines, or { KEY: VALUE, ... }
        "#]],
    );
}

// shows: compensate.call, compensate.with x static error
#[test]
fn a_compensation_may_have_its_own_input() {
    let with = |with: &str| {
        format!(
            "  - {{ step: a, call: payment.charge, with: {{ account: x, amount: 1 }}, compensate: {{ call: refund, with: {with} }} }}"
        )
    };
    check_steps(
        &with("{ account: \"${input.account}\", amount: \"${a != null ? a.captured : 1}\" }"),
        expect![["ok\n"]],
    );
    check_steps(
        &with("{ account: x, amount: \"${a.captured}\" }"),
        expect![[r#"
        ok
        a.yaml:2:105: warning: `a` may have happened without its result being known, and this needs it
            help: test it first: "${a != null ? a.reference : ''}"
    "#]],
    );
    check_steps(
        &with("{ account: 5, amount: \"${a.capturd}\" }"),
        expect![[r#"
        a.yaml:2:116: error: this must be string, and is int
            help: quote it, or write string(...)
        a.yaml:2:130: error: `Charged` has no member `capturd`; did you mean `captured`?
    "#]],
    );
    check_steps(
        "  - { step: a, call: payment.hold, compensate: { call: refund, retry: { attempts: 2 } } }",
        expect![[r#"
            a.yaml:2:56: error: `payment.hold` is undone by `release`, not by `refund`
                help: write `release` or `never`, or leave it out: the contract decides
        "#]],
    );
}

// shows: alias x static error
#[test]
fn an_alias_is_text_of_the_result() {
    check_steps(
        "  - { step: a, call: payment.hold, alias: { ref: a.reference, num: a.captured, Bad: input.x } }
  - { step: b, wait: { topic: t, via: ref, key: event.ref, within: 1d, else: stuck } }",
        expect![[r#"
            a.yaml:2:68: error: an alias must be string, and is int
                help: quote it, or write string(...)
            a.yaml:2:80: error: `Bad` is no name of an alias
                help: a name has a-z, 0-9, - and _, begins with a letter, and has at most 64 characters
        "#]],
    );
    check_steps(
        "  - { step: a, call: payment.hold, alias: { ref: facts.status + a.reference } }
  - { step: b, wait: { topic: t, via: ref, key: event.ref, within: 1d, else: stuck } }",
        expect![[r#"
            a.yaml:2:50: error: `facts` is not seen here: what a saga is known by must not change with them
                help: read `input`, or a step's result
        "#]],
    );
    check_steps(
        "  - { step: a, call: payment.hold, alias: { ref: a.reference } }",
        expect![[r#"
        ok
        a.yaml:2:45: warning: no wait finds the saga by the alias `ref`
            help: take it out, or name it: `wait: { via: ... }`
    "#]],
    );
}

// shows: expected x static error
#[test]
fn a_step_may_be_late() {
    check_steps(
        "  - { step: a, call: payment.hold, expected: soon }",
        expect![[r#"
        a.yaml:2:46: error: `soon` is no duration
            help: a duration is a whole number and its unit: 250ms, 1s, 5m, 6h, 14d
    "#]],
    );
}

// shows: expect.if, expect.within x static error
#[test]
fn what_is_expected_is_a_condition_and_a_duration() {
    check_steps(
        "  - { step: a, expect: { if: 5, within: soon, else: stuck } }",
        expect![[r#"
        a.yaml:2:30: error: `if` must be bool, and is int
            help: write a condition: input.total > 100
        a.yaml:2:41: error: `soon` is no duration
            help: a duration is a whole number and its unit: 250ms, 1s, 5m, 6h, 14d
    "#]],
    );
}

/// An `expect` is a wait for a condition, for no time where it does not say for how long.
// shows: expect.if, expect.within, expect.else x success
#[test]
fn what_is_expected_is_awaited_for_no_time_or_some() {
    let text = with_rest(
        "steps:
  - { step: a, expect: { if: input.x == 1, else: hold } }
  - { step: b, expect: { if: input.x == 1, within: 5m, else: continue } }
",
    );
    let expected = [("input.x == 1", 0, Word::Hold), ("input.x == 1", 300_000, Word::Continue)];
    let made = definition(&text).expect("it is right").value;
    assert_eq!(made.steps.len(), expected.len());
    for (step, (condition, within, otherwise)) in made.steps.iter().zip(expected) {
        let Verb::Until(until) = &step.verb else { panic!("a condition is awaited") };
        assert_eq!(until.condition.source(), condition);
        assert_eq!(until.patience, Patience { within, remind: None, otherwise });
    }
}

// shows: approve.show, approve.remind x static error
#[test]
fn people_are_shown_what_is_there_and_reminded_in_time() {
    check_steps(
        "  - { step: a, approve: { by: role/a, show: { n: \"${inptu.n}\" }, choices: { yes: continue }, escalate: { 1h: role/b }, remind: 2d, within: 1d, else: stuck } }",
        expect![[r#"
            a.yaml:2:53: error: `inptu` means nothing here
                help: did you mean `input`?
            a.yaml:2:128: error: nobody would be reminded: the wait is over by then
                help: make it shorter than `within`
        "#]],
    );
}
