//! What a definition may say, and its normal form.

use expect_test::expect;

use super::*;

/// What each step runs after.
fn order(steps: &str) -> String {
    let checked = definition(&with_rest(&format!("steps:\n{steps}\n")));
    let definition = checked.unwrap_or_else(|report| panic!("{report}")).value;
    let names = |step: &sagaline_definition::model::Step| {
        step.after.iter().map(|index| definition.steps[*index].step.clone()).collect::<Vec<_>>().join(" ")
    };
    definition.steps.iter().map(|step| format!("{}({}) ", step.step, names(step))).collect()
}

// shows: head.saga, head.version, head.owner, head.use x success
#[test]
fn every_default_is_said_in_the_normal_form() {
    let text = with_rest(
        "steps:\n  - { step: hold, call: payment.hold }\n  - { step: notify, call: payment.notify, pivot: true }\n",
    );
    let definition = definition(&text).expect("it is right").value;
    let json: serde_json::Value = serde_json::from_slice(&definition.normal_form()).expect("it is JSON");
    expect![[r#"
        {
          "deadline": {
            "after": 86400000,
            "after_pivot": "stuck",
            "else": "compensate"
          },
          "owner": "team",
          "saga": "s",
          "start": {
            "if": null,
            "input": null,
            "key": "event.id",
            "topic": "t"
          },
          "steps": [
            {
              "after": [],
              "if": null,
              "owner": "team",
              "pivot": false,
              "step": "hold",
              "verb": {
                "call": {
                  "compensate": {
                    "by": {
                      "operation": "release",
                      "retry": {
                        "attempt_timeout": 30000,
                        "attempts": 20,
                        "backoff": 1000,
                        "cap": 300000,
                        "factor_percent": 200,
                        "jitter": "full",
                        "within": null
                      }
                    }
                  },
                  "failed": "compensate",
                  "operation": "hold",
                  "participant": "payment",
                  "refused": {},
                  "refused_else": "compensate",
                  "retry": {
                    "attempt_timeout": 30000,
                    "attempts": 5,
                    "backoff": 1000,
                    "cap": 60000,
                    "factor_percent": 200,
                    "jitter": "full",
                    "within": null
                  },
                  "with": {
                    "literal": {}
                  }
                }
              }
            },
            {
              "after": [
                0
              ],
              "if": null,
              "owner": "team",
              "pivot": true,
              "step": "notify",
              "verb": {
                "call": {
                  "compensate": "never",
                  "failed": "stuck",
                  "operation": "notify",
                  "participant": "payment",
                  "refused": {},
                  "refused_else": "compensate",
                  "retry": {
                    "attempt_timeout": 30000,
                    "attempts": 5,
                    "backoff": 1000,
                    "cap": 60000,
                    "factor_percent": 200,
                    "jitter": "full",
                    "within": null
                  },
                  "with": {
                    "literal": {}
                  }
                }
              }
            }
          ],
          "use": {
            "payment": "8688c67219667aa0ed97c60b129a70bb78481efae50a70ddc25c4f2891a0d7dc"
          },
          "version": "1.0.0"
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&json).expect("it was JSON"));
}

#[test]
fn a_normal_form_reads_back() {
    let text = with_rest(
        "policies: { patient: { attempts: 12, backoff: 1s..5m, factor: 1.5, jitter: equal, attempt_timeout: 30s, within: 6h } }
steps:
  - step: charge
    call: payment.charge
    if: input.total > 0
    with: { account: \"${input.account}\", amount: \"${input.total * 2}\", note: \"for ${input.id}\" }
    retry: patient
    refused: { CardExpired: stuck, else: continue }
    failed: stuck
    compensate: { retry: { attempts: 3 } }
",
    );
    let definition = definition(&text).expect("it is right").value;
    let again = Definition::from_normal_form(&definition.normal_form()).expect("it reads back");
    assert_eq!(again, definition);
    assert_eq!(again.digest(), definition.digest());
}

#[test]
fn a_step_runs_after_the_one_above() {
    expect!["a() b(a) c(b) "].assert_eq(&order(
        "  - { step: a, call: payment.hold }\n  - { step: b, call: payment.hold }\n  - { step: c, call: payment.hold }",
    ));
}

// shows: after x success
#[test]
fn after_overrides_what_stands_above() {
    expect!["a() b() c(a) d(b c) e(f) f(d) "].assert_eq(&order(
        "  - { step: a, call: payment.hold }
  - { step: b, call: payment.hold, after: [] }
  - { step: c, call: payment.hold, after: a }
  - { step: d, call: payment.hold, after: [b, c, a] }
  - { step: e, call: payment.hold, after: f }
  - { step: f, call: payment.hold, after: d }",
    ));
}

// shows: together x success
#[test]
fn together_runs_branches_side_by_side() {
    expect!["a() b(a) c(a) d(c) e(a) f(d e) g(b) h(f g) "].assert_eq(&order(
        "  - { step: a, call: payment.hold }
  - together:
      - { step: b, call: payment.hold }
      - - { step: c, call: payment.hold }
        - together:
            - { step: d, call: payment.hold }
            - { step: e, call: payment.hold, after: a }
        - { step: f, call: payment.hold }
      - { step: g, call: payment.hold, after: b }
  - { step: h, call: payment.hold }",
    ));
}

// shows: deadline.after x static error
#[test]
fn durations_have_units() {
    check_head("deadline: { after: 250ms }\n", expect![["ok\n"]]);
    for wrong in ["5", "5 m", "1h30m", "0s", "-1s", "1.5s", "4000d", "99999999999999999999d", "5w", "[1s]", "~"] {
        let report = definition(&with_rest(&format!("deadline: {{ after: {wrong} }}\n"))).expect_err(wrong);
        assert_eq!(report.diagnostics().len(), 1, "{report}");
        assert_eq!(report.diagnostics()[0].line_column(), (1, 20));
    }
    check_head(
        "deadline: { after: 1h30m }\n",
        expect![[r#"
        a.yaml:1:20: error: `1h30m` is no duration
            help: a duration is a whole number and its unit: 250ms, 1s, 5m, 6h, 14d
    "#]],
    );
    check_head(
        "deadline: { after: 4000d }\n",
        expect![[r#"
        a.yaml:1:20: error: `4000d` is no duration
            help: a duration is at most 3650d
    "#]],
    );
}

#[test]
fn mandatory_keys_are_asked_for() {
    check(
        "use: []\n",
        expect![[r#"
        a.yaml:1:1: error: a definition needs `saga`
            help: write `saga: order-fulfilment`
        a.yaml:1:1: error: a definition needs `version`
            help: write `version: 1.0.0`
        a.yaml:1:1: error: a definition needs `owner`
            help: write `owner: team-fulfilment`
        a.yaml:1:1: error: a definition needs `deadline`
            help: write `deadline: { after: 14d, else: compensate }`
        a.yaml:1:1: error: a definition needs `start`
            help: write `start: { topic: orders, key: event.order_id }`
        a.yaml:1:1: error: a definition needs `steps`
            help: write `steps: [{ step: charge, call: payment.charge }]`
    "#]],
    );
    check_head(
        "deadline: { else: stuck }\n",
        expect![[r#"
        a.yaml:1:11: error: `deadline` needs `after`
            help: write `after: 14d`
    "#]],
    );
    check_head(
        "start: { topic: t }\n",
        expect![[r#"
        a.yaml:1:8: error: `start` needs `key`
            help: write `key: event.order_id`
    "#]],
    );
    check_steps(
        "  - { call: payment.hold }\n  - { step: a }\n  - b",
        expect![[r#"
            a.yaml:2:5: error: a step needs `step`
                help: write `step: charge`
            a.yaml:3:5: error: a step needs something to do
                help: write `call: payment.charge`, or another of `call`, `ask`, `saga`, `sleep`, `wait`, `approve`, `decide`, `expect`
            a.yaml:4:5: error: a step is a map, and this is text
                help: write KEY: VALUE lines, or { KEY: VALUE, ... }
        "#]],
    );
    check_head(
        "steps: []\n",
        expect![[r#"
        a.yaml:1:8: error: there is no step
            help: write `- step: NAME` and `call: PARTICIPANT.OPERATION`
    "#]],
    );
    check_head(
        "steps: { step: a }\n",
        expect![[r#"
        a.yaml:1:8: error: `steps` is a list, and this is a map
            help: write `- ITEM` lines, or [ITEM, ...]
    "#]],
    );
}

// shows: head.saga, head.version, head.owner, start.topic x static error
// shows: step x static error
#[test]
fn names_have_a_form() {
    check_head(
        "saga: Order Fulfilment\nversion: v1\nowner: [a]\n",
        expect![[r#"
        a.yaml:1:7: error: `Order Fulfilment` is no name of a saga
            help: a name has a-z, 0-9, - and _, begins with a letter, and has at most 64 characters
        a.yaml:2:10: error: `v1` is no version
            help: a version is MAJOR.MINOR.PATCH: 1.2.0
        a.yaml:3:8: error: an owner is text, and this is a list
            help: write text
    "#]],
    );
    check_head(
        "version: 1.10\n",
        expect![[r#"
        a.yaml:1:10: error: `1.10` is no version
            help: a version is MAJOR.MINOR.PATCH: 1.2.0
    "#]],
    );
    check_steps(
        "  - { step: reserve-goods, call: payment.hold }\n  - { step: input, call: payment.hold }\n  - { step: in, call: payment.hold }",
        expect![[r#"
            a.yaml:2:13: error: `reserve-goods` is no name of a step
                help: it has letters, digits and _, begins with a letter, and has at most 64 characters: expressions read the step's result by it
            a.yaml:3:13: error: `input` is no name of a step
                help: `input` means something else in expressions: choose another name
            a.yaml:4:13: error: `in` is no name of a step
                help: `in` means something else in expressions: choose another name
        "#]],
    );
    check_head(
        "start: { topic: 'a b', key: event.id }\n",
        expect![[r#"
        a.yaml:1:17: error: `a b` is no name of a topic
            help: a topic has letters, digits, . _ and -, and at most 249 characters
    "#]],
    );
    check_head(
        "policies: { 1a: { attempts: 3 } }\n",
        expect![[r#"
            a.yaml:1:13: error: `1a` is no name of a policy
                help: a name has a-z, 0-9, - and _, begins with a letter, and has at most 64 characters
        "#]],
    );
}

// shows: together x static error
#[test]
fn unknown_keys_are_told() {
    check_head(
        "sage: s\nversoin: 1.0.0\nthing: 1\n",
        expect![[r#"
            a.yaml:1:1: error: a definition has no key `sage`
                help: did you mean `saga`?
            a.yaml:2:1: error: a definition has no key `versoin`
                help: did you mean `version`?
            a.yaml:3:1: error: a definition has no key `thing`
                help: there is `saga`, `version`, `owner`, `use`, `types`, `start`, `deadline`, `policies`, `constants`, `calendars`, `facts`, `react`, `steps`, `ensure`, `result`
        "#]],
    );
    check_steps(
        "  - { step: a, call: payment.hold, retires: patient, comment: x }",
        expect![[r#"
            a.yaml:2:36: error: a step has no key `retires`
                help: there is `step`, `owner`, `after`, `if`, `for_each`, `guard`, `expected`, `alias`, `call`, `with`, `retry`, `refused`, `failed`, `pivot`, `compensate`
            a.yaml:2:54: error: a step has no key `comment`
                help: there is `step`, `owner`, `after`, `if`, `for_each`, `guard`, `expected`, `alias`, `call`, `with`, `retry`, `refused`, `failed`, `pivot`, `compensate`
        "#]],
    );
    check_steps(
        "  - { together: [{ step: a, call: payment.hold }], after: b }",
        expect![[r#"
        a.yaml:2:52: error: `together` has no key `after`
            help: there is `together`
    "#]],
    );
}

// shows: start.if, start.key, start.input, start.type x static error
#[test]
fn a_start_reads_the_event() {
    check_head(
        "start: {}\n",
        expect![[r#"
        ok
    "#]],
    );
    check_head(
        "start: { key: event.id, if: true, input: event }\n",
        expect![[r#"
        a.yaml:1:10: error: `key` reads the event, and without `topic` there is none
            help: add `topic: NAME`, or take it out: the saga is started by request only
        a.yaml:1:25: error: `if` reads the event, and without `topic` there is none
            help: add `topic: NAME`, or take it out: the saga is started by request only
        a.yaml:1:35: error: `input` reads the event, and without `topic` there is none
            help: add `topic: NAME`, or take it out: the saga is started by request only
    "#]],
    );
    check_head(
        "start: { topic: t, key: 7, if: event.a + 'x', input: evnt.x }\n",
        expect![[r#"
            a.yaml:1:25: error: `key` must be string, and is int
                help: quote it, or write string(...)
            a.yaml:1:32: error: `if` must be bool, and is string
                help: write a condition: input.total > 100
            a.yaml:1:54: error: `evnt` means nothing here
                help: did you mean `event`?
        "#]],
    );
    check_head(
        "start: { topic: t, key: input.id }\n",
        expect![[r#"
        a.yaml:1:25: error: `input` is not there before the saga has started
            help: read `event`
    "#]],
    );
    check_head(
        "start: { topic: t, key: [event.id] }\n",
        expect![[r#"
            a.yaml:1:25: error: `key` is an expression, and this is a list
                help: write one: input.total > 100
        "#]],
    );
    check_head(
        "start: { topic: t, key: event.id, type: Order }\ntypes: { Ordre: { type: record, fields: [] } }\n",
        expect![[r#"
            a.yaml:1:41: error: there is no type `Order`
                help: did you mean `Ordre`? Or declare it under `types`; a contract's is PARTICIPANT.TYPE
        "#]],
    );
    check_head(
        "start: { topic: t, key: event.id, type: payment.Charge }\n",
        expect![[r#"
        ok
    "#]],
    );
    check_head(
        "start: { topic: t, key: event.id, type: mail.Send }\n",
        expect![[r#"
        a.yaml:1:41: error: `mail` is not among the contracts after `use`
            help: add it: `use: [payment, mail]`
    "#]],
    );
    check_head(
        "start: { topic: t, key: event.id, type: Order, input: \"{'id': 7}\" }\ntypes: { Order: { type: record, fields: [{ name: id, type: string }] } }\n",
        expect![[r#"
            a.yaml:1:55: error: `input`: `id` must be string, and is int
                help: its type asks for string here
        "#]],
    );
}

// shows: retry.attempts, retry.backoff, retry.factor, retry.jitter, retry.attempt_timeout, retry.within x static error
#[test]
fn policies_have_bounds() {
    check_head(
        "policies:
  a: { attempts: 0, backoff: 5m..1s, factor: 0.5, jitter: some, attempt_timeout: 1, within: 1x }
  b: { attempts: 1001, factor: 11 }
  c: { attempt_timeout: 1m, within: 30s }
  d: { backoff: 1s }
  e: 5
",
        expect![[r#"
            a.yaml:2:18: error: `0` is no value of `attempts`
                help: write a whole number from 1 to 1000
            a.yaml:2:30: error: `5m..1s` is no value of `backoff`
                help: the shorter one stands first: 1s..5m
            a.yaml:2:46: error: `0.5` is no value of `factor`
                help: write a number from 1 to 10: 2 doubles each wait
            a.yaml:2:59: error: `some` is no value of `jitter`
                help: write full (from nothing to the whole wait), equal (from half of it) or none
            a.yaml:2:82: error: `1` is no value of `attempt_timeout`
                help: a duration is a whole number and its unit: 250ms, 1s, 5m, 6h, 14d
            a.yaml:2:93: error: `1x` is no value of `within`
                help: a duration is a whole number and its unit: 250ms, 1s, 5m, 6h, 14d
            a.yaml:3:18: error: `1001` is no value of `attempts`
                help: write a whole number from 1 to 1000
            a.yaml:3:32: error: `11` is no value of `factor`
                help: write a number from 1 to 10: 2 doubles each wait
            a.yaml:4:37: error: `within` is shorter than one attempt, which may take 1m
                help: make `within` longer, or `attempt_timeout` shorter
            a.yaml:6:6: error: a policy is a map, and this is a number
                help: write KEY: VALUE lines, or { KEY: VALUE, ... }
        "#]],
    );
}

// shows: retry, compensate.retry x static error
#[test]
fn retry_names_a_policy_or_is_one() {
    check_head(
        "policies: { patient: { attempts: 12 }, broken: { attempts: x } }
steps:
  - { step: a, call: payment.hold, retry: pateint }
  - { step: b, call: payment.hold, retry: { atempts: 3 } }
  - { step: c, call: payment.hold, retry: 3 }
  - { step: d, call: payment.hold, retry: broken, compensate: { retry: patien } }
",
        expect![[r#"
            a.yaml:1:60: error: `x` is no value of `attempts`
                help: write a whole number from 1 to 1000
            a.yaml:3:43: error: there is no policy `pateint`
                help: did you mean `patient`? Or write it here: { attempts: 5, backoff: 1s..1m }
            a.yaml:4:45: error: a policy has no key `atempts`
                help: did you mean `attempts`?
            a.yaml:5:43: error: a policy's name is text, and this is a number
                help: quote it: "3"
            a.yaml:6:72: error: there is no policy `patien`
                help: did you mean `patient`? Or write it here: { attempts: 5, backoff: 1s..1m }
        "#]],
    );
    check_steps(
        "  - { step: a, call: payment.hold, retry: patient }",
        expect![[r#"
        a.yaml:2:43: error: there is no policy `patient`
            help: there is none to choose from; or write it here: { attempts: 5, backoff: 1s..1m }
    "#]],
    );
}

#[test]
fn files_and_definitions_have_limits() {
    let steps: String = (0..=crate::MAX_STEPS).map(|i| format!("  - {{ step: s{i}, call: payment.hold }}\n")).collect();
    check_steps(
        &steps,
        expect![[r#"
            a.yaml:502:13: error: there are 501 steps, and 500 are the most
                help: split the definition: a step may be a `saga` of its own
        "#]],
    );
    let most: String = (0..crate::MAX_STEPS).map(|i| format!("  - {{ step: s{i}, call: payment.hold }}\n")).collect();
    check_steps(&most, expect![["ok\n"]]);
}

#[test]
fn what_is_unused_is_a_warning() {
    check_head(
        "use: [payment, mail]\npolicies: { patient: { attempts: 12 } }\n",
        expect![[r#"
        ok
        a.yaml:1:16: warning: no step calls `mail`
            help: take it out of `use`: each change of its contract would be one of this definition
        a.yaml:2:13: warning: no step uses the policy `patient`
            help: take it out, or name it: `retry: ...`
    "#]],
    );
}

// shows: head.types x static error
#[test]
fn types_are_records_of_known_types() {
    check_head(
        "types: { Order: { type: record, fields: [{ name: id, type: strng }] }, Line: 5 }\n",
        expect![[r#"
        a.yaml:1:60: error: there is no type `strng`
            help: did you mean `string`? Or declare it under `types`
        a.yaml:1:78: error: there is no type `5`
            help: there is `null`, `boolean`, `int`, `long`, `float`, `double`, `bytes`, `string`, `Line`, `Order`; or declare it under `types`
    "#]],
    );
}
