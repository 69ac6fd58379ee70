//! Facts, reactions, checks, calendars, constants: what is declared for all steps.

use expect_test::expect;

use super::*;

/// Checks these facts, which begin in line 2, with one step that reads `facts.x`.
fn check_facts(facts: &str, expected: Expect) {
    check_head(
        &format!("facts:\n{facts}\nsteps: [{{ step: a, call: payment.hold, if: facts.x != null }}]\n"),
        expected,
    );
}

// shows: facts.topic, facts.key, facts.value, facts.if, facts.for, facts.seq, facts.initial, facts.fresh x static error
// shows: facts.type, facts.ask.operation, facts.ask.every, facts.ask.with, facts.ask.value x static error
#[test]
fn a_fact_says_who_tells_it() {
    check_facts("  x: {}", expect![["ok\n"]]);
    check_facts(
        "  x: { topic: t, key: event.id, value: event.x, seq: event.n, initial: 5, fresh: 1h, type: long }",
        expect![["ok\n"]],
    );
    check_facts(
        "  x: { ask: { operation: payment.status, with: { account: \"${input.account}\", amount: 1 }, every: 1h, value: answer.captured } }",
        expect![["ok\n"]],
    );
    check_facts(
        "  x: { topic: t }
  in: {}
  y: { key: event.id, if: event.x, for: input.y, value: event.y, seq: event.n }
  z: { topic: t, key: event.n + 1, value: event.x, seq: \"'1'\", type: long, initial: many, fresh: now, for: event.x }
  p: { topic: t, key: input.id, value: facts.x }
  q: { ask: { operation: payment.hold } }
  r: { ask: { operation: payment.status, with: { account: 1, amount: \"${facts.x}\" }, every: 1h, value: answer.reference }, type: long }
  s: { ask: { operation: payment.status, with: { account: x, amount: 1 }, every: 1h }, type: long }
  t: [x]",
        expect![[r#"
            a.yaml:2:6: error: a fact needs `key`
                help: write `key: event.order_id`
            a.yaml:2:6: error: a fact needs `value`
                help: write `value: event.status`
            a.yaml:3:3: error: `in` is no name of a fact
                help: `in` means something else in expressions: choose another name
            a.yaml:4:8: error: `key` reads the event, and without `topic` there is none
                help: add `topic: NAME`, or take it out: it is set by hand, or by `ask`
            a.yaml:4:23: error: `if` reads the event, and without `topic` there is none
                help: add `topic: NAME`, or take it out: it is set by hand, or by `ask`
            a.yaml:4:36: error: `for` reads the event, and without `topic` there is none
                help: add `topic: NAME`, or take it out: it is set by hand, or by `ask`
            a.yaml:4:50: error: `value` reads the event, and without `topic` there is none
                help: add `topic: NAME`, or take it out: it is set by hand, or by `ask`
            a.yaml:4:66: error: `seq` reads the event, and without `topic` there is none
                help: add `topic: NAME`, or take it out: it is set by hand, or by `ask`
            a.yaml:5:23: error: `key` must be string, and is int
                help: quote it, or write string(...)
            a.yaml:5:57: error: `seq` must be int, and is string
                help: its type asks for int here
            a.yaml:5:85: error: `initial` must be int, and is string
                help: its type asks for int here
            a.yaml:5:98: error: `now` is no duration
                help: a duration is a whole number and its unit: 250ms, 1s, 5m, 6h, 14d
            a.yaml:5:108: error: `event` is seen where an event is judged: in `start`, `facts` and `wait`
                help: read `input`: it is what `start.input` made of the event
            a.yaml:6:23: error: `input` is not seen here: an event is judged before its saga is known
                help: read `event`
            a.yaml:6:40: error: `facts` is not seen here: an event is judged before its saga is known
                help: read `event`
            a.yaml:7:13: error: `ask` needs `every`
                help: write `every: 1h`
            a.yaml:7:26: error: `payment.hold` has an effect, and a fact is only asked for
                help: name an operation that says `reads: true` in its contract
            a.yaml:8:59: error: this must be string, and is int
                help: quote it, or write string(...)
            a.yaml:8:104: error: `value` must be int, and is string
                help: its type asks for int here
            a.yaml:9:13: error: the answer must be int, and is Charged
                help: its type asks for int here
            a.yaml:10:6: error: a fact is a map, and this is a list
                help: write KEY: VALUE lines, or { KEY: VALUE, ... }
        "#]],
    );
}

// shows: facts.type x success
#[test]
fn facts_have_types() {
    check_head(
        "facts:
  known: { topic: t, key: event.id, value: event.x, initial: 5 }
  fresh: { topic: t, key: event.id, value: event.x, initial: 5, fresh: 1h }
  typed: { topic: t, key: event.id, value: event.x, type: payment.Charged }
  any: { topic: t, key: event.id, value: event.x }
steps:
  - { step: a, call: payment.hold, if: facts.known > 1 && facts.any > 1 }
  - { step: b, call: payment.hold, if: facts.known == 'x' }
  - { step: c, call: payment.hold, if: facts.fresh > 1 }
  - { step: d, call: payment.hold, if: has(facts.fresh) && facts.fresh > 1 && facts.typed != null && facts.typed.captured > 1 }
  - { step: e, call: payment.hold, if: facts.knwn > 1 }
",
        expect![[r#"
            a.yaml:8:40: error: int and string are never the same
            a.yaml:9:40: error: `facts.fresh` may be null: ask first, `facts.fresh != null && ..` or `facts.fresh != null ? .. : ..`
            a.yaml:11:40: error: `facts` has no member `knwn`; did you mean `known`?
        "#]],
    );
    check_steps(
        "  - { step: a, call: payment.hold, if: facts.x > 1 && constants.y > 1 }",
        expect![[r#"
        a.yaml:2:40: error: no fact is declared
            help: declare it: `facts: { status: { topic: orders, key: event.order_id, value: event.status } }`
        a.yaml:2:55: error: no constant is declared
            help: declare it: `constants: { max_total: 1000000 }`
    "#]],
    );
}

// shows: react.if, react.then, react.between, react.after_pivot x static error
#[test]
fn reactions_look_at_changes() {
    let reactions = |reactions: &str| {
        format!(
            "facts: {{ x: {{ initial: 1 }} }}\nsteps: [{{ step: a, call: payment.hold }}, {{ step: b, call: payment.hold }}, {{ step: c, call: payment.hold, after: a }}]\nreact:\n{reactions}\n"
        )
    };
    check_head(
        &reactions(
            "  - { if: facts.x > 1, then: compensate }
  - { if: facts.x > 2 && a != null && a.captured > 0, then: hold, between: [a, b], after_pivot: continue }
  - { if: facts.x > 3, then: { back_to: a, at_most: 2, else: stuck }, between: [a, b] }",
        ),
        expect![["ok\n"]],
    );
    check_head(
        &reactions(
            "  - { then: skip }
  - { if: now > 1, then: stuck }
  - { if: a.captured > 0, then: stuck }
  - { if: facts.x > 1, then: stuck, between: [b, a] }
  - { if: facts.x > 1, then: stuck, between: [a] }
  - { if: facts.x > 1, then: stuck, between: [a, x] }
  - { if: facts.x > 1, then: { back_to: a, at_most: 2, else: stuck } }
  - { if: facts.x > 1, then: { back_to: b, at_most: 2, else: stuck }, between: [a, c] }
  - { if: facts.x > 1, then: stuck, after_pivot: compensate }",
        ),
        expect![[r#"
            a.yaml:4:5: error: a reaction needs `if`
                help: write `if: facts.status == 'cancelled'`
            a.yaml:4:13: error: `skip` can't stand at `react.then`
                help: it takes `continue`, `compensate`, `back_to`, `hold`, `stuck`
            a.yaml:5:11: error: `now` is not seen here: this is looked at when something changes, and time alone changes nothing
                help: let a step `sleep` until then, or bound the wait by `within`
            a.yaml:6:11: error: `a` may be null: ask first, `a != null && ..` or `a != null ? .. : ..`
            a.yaml:7:46: error: `b` does not surely begin before `a`
                help: name two steps of which the second runs after the first
            a.yaml:8:46: error: `between` names two steps
                help: write `between: [a, b]`
            a.yaml:9:50: error: there is no step `x`
                help: there is `a`, `b`, `c`
            a.yaml:10:41: error: nobody knows what has run by then, and so what is to run again
                help: bound it: `between: [a, b]`; then every step up to the first of the two can be gone back to
            a.yaml:11:41: error: not every way to what follows `a` leads through `b`
                help: name one of `a`
            a.yaml:12:50: error: `compensate` can't stand at `react.after_pivot`
                help: it takes `continue`, `hold`, `stuck`
        "#]],
    );
}

// shows: ensure.completed, ensure.compensated, ensure.if, ensure.within x static error
#[test]
fn an_end_is_checked_by_probes() {
    let ensure = |ensure: &str| {
        format!(
            "steps:\n  - {{ step: a, call: payment.charge, with: {{ account: x, amount: 1 }} }}\n  - {{ step: b, call: payment.hold, if: input.b }}\n  - {{ step: c, for_each: {{ x: input.xs }}, call: payment.charge, with: {{ account: x, amount: 1 }} }}\nensure: {ensure}\n"
        )
    };
    check_head(
        &ensure("{ completed: { if: \"probe.a.captured == 1 && probe.c.all(p, p.captured > 0)\", within: 5m } }"),
        expect![[r#"
            ok
        "#]],
    );
    check_head(
        &ensure("{ compensated: { if: \"!has(probe.a.captured) || probe.a.captured == 0\" } }"),
        expect![["ok\n"]],
    );
    check_head(
        &ensure("{ compensated: { if: probe.a.captured == 0 } }"),
        expect![[r#"
        a.yaml:5:30: error: `probe.a` may be null: ask first, `probe.a != null && ..` or `probe.a != null ? .. : ..`
    "#]],
    );
    check_head(
        &ensure("{ completed: { if: probe.b.captured == 0 } }"),
        expect![[r#"
            a.yaml:5:28: error: nobody can be asked how `b` stands: what it calls has no probe
                help: give the operation one in its contract: `probe: status`, which reads
        "#]],
    );
    check_head(
        &ensure("{ completed: { if: \"probe['a'].captured == 0\" } }"),
        expect![[r#"
        a.yaml:5:28: error: `probe` is read step by step
            help: write probe.STEP: probe.charge.captured
    "#]],
    );
    check_head(
        &ensure("{ done: {}, completed: { within: soon } }"),
        expect![[r#"
        a.yaml:5:11: error: `ensure` has no key `done`
            help: there is `completed`, `compensated`
        a.yaml:5:32: error: a check needs `if`
            help: write `if: probe.charge.captured == input.total`
        a.yaml:5:42: error: `soon` is no duration
            help: a duration is a whole number and its unit: 250ms, 1s, 5m, 6h, 14d
    "#]],
    );
    check_steps(
        "  - { step: a, call: payment.hold, if: probe.a.captured == 1 || shown.x }",
        expect![[r#"
        a.yaml:2:40: error: `probe` is seen by `ensure` only
            help: read the step's result: a step's name is its result
        a.yaml:2:65: error: `shown` is seen by `void_if` only
            help: read `input`, `facts` or earlier steps
    "#]],
    );
}

// shows: head.result x static error
#[test]
fn a_result_sees_all_steps() {
    let result = |result: &str| {
        format!(
            "steps: [{{ step: a, call: payment.hold }}, {{ step: b, call: payment.hold, if: input.b }}]\nresult: {result}\n"
        )
    };
    check_head(&result("{ ref: \"${a.reference}\", b: \"${b != null ? b.reference : ''}\" }"), expect![["ok\n"]]);
    check_head(
        &result("{ ref: \"${a.referenc}\", b: \"${b.reference}\", c: \"${c}\" }"),
        expect![[r#"
        a.yaml:2:19: error: `Charged` has no member `referenc`; did you mean `reference`?
        a.yaml:2:39: error: `b` may be null: ask first, `b != null && ..` or `b != null ? .. : ..`
        a.yaml:2:60: error: `c` means nothing here
            help: there is `a`, `b`, `input`
    "#]],
    );
}

// shows: calendars.days, calendars.holidays, calendars.hours, calendars.zone x static error
#[test]
fn calendars_have_days_and_hours() {
    check_head(
        "calendars:
  a: { zone: Berlin, days: fri-mon, hours: 17:00-09:00, holidays: [2026-02-29, 2026-13-01, x, 2026-12-25, 2026-12-25] }
  b: { zone: europe/berlin, days: [], hours: 9-17 }
  c: { days: [monday], hours: 09:00-24:01, holiday: [] }
  e: { zone: Europe/Belrin, days: sun, hours: 00:00-24:00 }
  D: { zone: America/Argentina/Buenos_Aires, days: sun, hours: 00:00-24:00, holidays: [2028-02-29] }
",
        expect![[r#"
            a.yaml:2:14: error: `Berlin` is no time zone
                help: a zone is AREA/CITY as in the IANA database, or UTC: Europe/Berlin
            a.yaml:2:28: error: `fri-mon` is no span of days
                help: the earlier day of the week stands first: mon-fri; else write a list: [sun, mon]
            a.yaml:2:44: error: `17:00-09:00` is no span of hours
                help: the earlier time stands first; a night is two calendars
            a.yaml:2:68: error: `2026-02-29` is no date
                help: there is no such day
            a.yaml:2:80: error: `2026-13-01` is no date
                help: there is no such day
            a.yaml:2:92: error: `x` is no date
                help: a day is YYYY-MM-DD: 2026-12-25
            a.yaml:2:107: error: `2026-12-25` stands twice
                help: keep one of the two
            a.yaml:3:14: error: `europe/berlin` is no time zone
                help: a zone is AREA/CITY as in the IANA database, or UTC: Europe/Berlin
            a.yaml:3:35: error: no work is ever done in this calendar
                help: name the days: mon-fri, or [mon, tue]
            a.yaml:3:46: error: `9-17` is no span of hours
                help: write from when until when: 09:00-17:00
            a.yaml:4:6: error: a calendar needs `zone`
                help: write `zone: Europe/Berlin`
            a.yaml:4:15: error: `monday` is no day of the week
                help: a day is one of mon, tue, wed, thu, fri, sat, sun
            a.yaml:4:31: error: `09:00-24:01` is no span of hours
                help: write from when until when: 09:00-17:00
            a.yaml:4:44: error: a calendar has no key `holiday`
                help: did you mean `holidays`?
            a.yaml:5:14: error: `Europe/Belrin` is no time zone
                help: the IANA database has no such zone
            a.yaml:6:3: error: `D` is no name of a calendar
                help: a name has a-z, 0-9, - and _, begins with a letter, and has at most 64 characters
        "#]],
    );
}

// shows: head.constants x static error, success
#[test]
fn constants_are_written_out() {
    let text = with_rest(
        "constants: { max: 100, who: \"it's me\", limits: { gold: 5 } }
steps: [{ step: a, call: payment.charge, if: input.x > constants.max && constants.limits.gold > 1, with: { account: \"${constants.who}\", amount: \"${constants.max}\" } }]
start: { topic: t, key: event.id, if: event.total > constants.max }
",
    );
    let definition = definition(&text).unwrap_or_else(|report| panic!("{report}")).value;
    assert_eq!(definition.start.condition.as_ref().map(|c| c.source()), Some("event.total > 100"));
    assert_eq!(
        definition.steps[0].condition.as_ref().map(|c| c.source()),
        Some("input.x > 100 && {'gold': 5}.gold > 1")
    );
    assert!(!String::from_utf8_lossy(&definition.normal_form()).contains("constants"));
    check_head(
        "constants: { max: 100, in: 5, bad: .inf }
steps:
  - { step: a, call: payment.hold, if: constants.mx > 1 }
  - { step: b, call: payment.hold, if: constants.max == 'x' }
  - { step: c, call: payment.hold, if: size(constants) > 1 }
  - { step: d, call: payment.hold, if: constants.bad > 1 }
",
        expect![[r#"
            a.yaml:1:24: error: `in` is no name of a constant
                help: `in` means something else in expressions: choose another name
            a.yaml:1:36: error: `.inf` is no number that JSON can carry
                help: JSON has no infinity and no NaN: quote it, if it is text
            a.yaml:3:40: error: `constants` has no member `mx`; did you mean `max`?
            a.yaml:4:40: error: int and string are never the same
            a.yaml:5:45: error: `constants` is read one by one: constants.NAME
        "#]],
    );
}

#[test]
fn what_nobody_reads_is_a_warning() {
    check_head(
        "constants: { max: 100 }
calendars: { office: { zone: UTC, days: mon, hours: 09:00-17:00 } }
facts: { x: { topic: t, key: event.id, value: event.x } }
",
        expect![[r#"
            ok
            a.yaml:1:14: warning: no expression reads the constant `max`
                help: take it out, or read it: `constants.NAME`
            a.yaml:2:14: warning: no step sleeps by the calendar `office`
                help: take it out, or name it: `sleep: { window: ... }`
            a.yaml:3:10: warning: no expression reads the fact `x`
                help: take it out, or read it: `facts.NAME`
        "#]],
    );
}

// shows: wait.until x static error
#[test]
fn a_wait_that_only_a_person_can_end_is_a_warning() {
    check_head(
        "facts: { told: { topic: t, key: event.id, value: event.x }, by_hand: {} }
steps:
  - { step: a, wait: { until: facts.told != null, within: 1d, else: stuck } }
  - { step: b, wait: { until: facts.by_hand != null, within: 1d, else: stuck } }
  - { step: c, wait: { until: input.x == 1, within: 1d, else: stuck } }
  - { step: d, wait: { until: now > 5, within: 1d, else: stuck } }
",
        expect![[r#"
            a.yaml:6:31: error: `now` is not seen here: this is looked at when something changes, and time alone changes nothing
                help: let a step `sleep` until then, or bound the wait by `within`
        "#]],
    );
    check_head(
        "facts: { by_hand: {} }
steps:
  - { step: b, wait: { until: facts.by_hand != null, within: 1d, else: stuck } }
  - { step: c, wait: { until: input.x == 1, within: 1d, else: stuck } }
",
        expect![[r#"
            ok
            a.yaml:3:31: warning: no event and no participant tells what this waits for: only a person can end it
                help: wait for a fact that has a `topic` or `ask`
            a.yaml:4:31: warning: no event and no participant tells what this waits for: only a person can end it
                help: wait for a fact that has a `topic` or `ask`
            a.yaml:8:7: warning: no step calls `payment`
                help: take it out of `use`: each change of its contract would be one of this definition
        "#]],
    );
}

// shows: start.again x static error
#[test]
fn another_saga_for_a_key_is_said() {
    check_head("start: { topic: t, key: event.id, again: ended }\n", expect![["ok\n"]]);
    check_head(
        "start: { topic: t, key: event.id, again: always }\n",
        expect![[r#"
        a.yaml:1:42: error: `always` is no value of `again`
            help: write `never` (one saga for a key), or `ended` (another one once the last has ended)
    "#]],
    );
}
