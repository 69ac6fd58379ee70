//! Contracts: what they may say, and how mistakes in them are told.

use expect_test::{Expect, expect};

/// The contract's normal form and its warnings, or all that is wrong with it.
fn check(text: &str, expected: Expect) {
    let shown = match crate::contract("payment.yaml", text) {
        Ok(checked) => {
            String::from_utf8_lossy(&checked.value.normal_form()).into_owned() + "\n" + &checked.warnings.plain()
        }
        Err(report) => report.plain(),
    };
    expected.assert_eq(&shown);
}

/// A contract with these operations and the types `Charge` and `Charged`.
fn check_operations(operations: &str, expected: Expect) {
    let types =
        "{ Charge: { type: record, fields: [{ name: amount, type: long }] }, Charged: { type: record, fields: [] } }";
    let text = format!("participant: payment\nversion: 1.0.0\nowner: team\ntypes: {types}\noperations:\n{operations}");
    check(&text, expected);
}

/// A contract with these types.
fn check_types(types: &str, expected: Expect) {
    check(&format!("participant: payment\nversion: 1.0.0\nowner: team\noperations: {{}}\ntypes:\n{types}"), expected);
}

// shows: contract.participant, contract.version, contract.owner, contract.types, operations.in, operations.out, operations.idempotent, operations.compensate, operations.probe, operations.refuses, operations.reads x success
#[test]
fn a_contract_in_its_normal_form() {
    check_operations(
        "  charge: { in: Charge, out: Charged, idempotent: by_key, compensate: refund, probe: status, refuses: [CardExpired] }
  refund: { in: Charge, idempotent: transaction }
  status: { in: Charge, reads: true }
",
        expect![[r#"
            {"limits":{"in_flight":null,"rate":null},"operations":{"charge":{"compensate":"refund","idempotent":"by_key","input":"Charge","output":"Charged","probe":"status","reads":false,"refuses":["CardExpired"]},"refund":{"compensate":null,"idempotent":"transaction","input":"Charge","output":null,"probe":null,"reads":false,"refuses":[]},"status":{"compensate":null,"idempotent":"reads","input":"Charge","output":null,"probe":null,"reads":true,"refuses":[]}},"owner":"team","participant":"payment","types":{"Charge":{"fields":[{"name":"amount","type":"long"}],"name":"Charge","type":"record"},"Charged":{"fields":[],"name":"Charged","type":"record"}},"version":"1.0.0"}
        "#]],
    );
}

// shows: limits.in_flight, limits.rate x static error
#[test]
fn limits_are_counted_and_paced() {
    let head = "participant: payment\nversion: 1.0.0\nowner: team\ntypes: {}\noperations: {}\n";
    check(
        &format!("{head}limits: {{ in_flight: 200, rate: 50/s }}\n"),
        expect![[r#"
        {"limits":{"in_flight":200,"rate":50},"operations":{},"owner":"team","participant":"payment","types":{},"version":"1.0.0"}
    "#]],
    );
    check(
        &format!("{head}limits: {{ in_flight: 0, rate: 50/m, burst: 3 }}\n"),
        expect![[r#"
        payment.yaml:6:22: error: `0` is no limit
            help: write a whole number above 0: 200
        payment.yaml:6:37: error: `limits` has no key `burst`
            help: there is `in_flight`, `rate`
    "#]],
    );
}

#[test]
fn nothing_mandatory_may_be_missing() {
    check(
        "limits: {}\n",
        expect![[r#"
        payment.yaml:1:1: error: a contract needs `participant`
            help: write `participant: payment`
        payment.yaml:1:1: error: a contract needs `version`
            help: write `version: 1.0.0`
        payment.yaml:1:1: error: a contract needs `owner`
            help: write `owner: team-payments`
        payment.yaml:1:1: error: a contract needs `types`
            help: write `types: { Charge: { type: record, fields: [...] } }`
        payment.yaml:1:1: error: a contract needs `operations`
            help: write `operations: { charge: { in: Charge, idempotent: by_key } }`
    "#]],
    );
    check(
        "- a\n",
        expect![[r#"
        payment.yaml:1:1: error: a contract is a map, and this is a list
            help: write KEY: VALUE lines, or { KEY: VALUE, ... }
    "#]],
    );
}

// shows: contract.participant, contract.version, contract.owner x static error
#[test]
fn names_and_versions_have_a_form() {
    check(
        "participant: Payment Service\nversion: 1.10\nowner: 7\ntypes: {}\noperations: { do-it: {} }\n",
        expect![[r#"
            payment.yaml:1:14: error: `Payment Service` is no participant's name
                help: a name has a-z, 0-9, - and _, begins with a letter, and has at most 64 characters
            payment.yaml:2:10: error: `1.10` is no version
                help: a version is MAJOR.MINOR.PATCH: 1.2.0
            payment.yaml:3:8: error: an owner is text, and this is a number
                help: quote it: "7"
            payment.yaml:5:15: error: `do-it` is no name of an operation
                help: it has letters, digits and _, begins with a letter, and has at most 64 characters
            payment.yaml:5:15: error: `do-it` does not say what a repeat does
                help: write `idempotent: by_key` (safe to repeat), `transaction` or `none`; or `reads: true`
            payment.yaml:5:22: error: an operation needs `in`
                help: write `in: Charge`
        "#]],
    );
}

// shows: contract.owner x static error
#[test]
fn nobody_owns_no_contract() {
    check(
        "participant: payment\nversion: 1.0.0\nowner: \"\"\ntypes: {}\noperations: {}\n",
        expect![[r#"
            payment.yaml:3:8: error: nobody is the owner
                help: name the team that looks after it: team-payments
        "#]],
    );
}

#[test]
fn unknown_keys_are_told() {
    check_operations(
        "  charge: { in: Charge, idempotent: by_key, compensates: refund, refuse: [A] }\n",
        expect![[r#"
        payment.yaml:6:45: error: an operation has no key `compensates`
            help: did you mean `compensate`?
        payment.yaml:6:66: error: an operation has no key `refuse`
            help: did you mean `refuses`?
    "#]],
    );
}

// shows: operations.idempotent x static error
#[test]
fn an_operation_says_what_a_repeat_does() {
    check_operations(
        "  charge: { in: Charge }\n  refund: { in: Charge, idempotent: sometimes }\n",
        expect![[r#"
        payment.yaml:6:3: error: `charge` does not say what a repeat does
            help: write `idempotent: by_key` (safe to repeat), `transaction` or `none`; or `reads: true`
        payment.yaml:7:37: error: `sometimes` is no idempotence
            help: write by_key (safe to repeat), transaction (one with the effect store) or none
    "#]],
    );
}

// shows: operations.compensate, operations.probe x static error
#[test]
fn what_compensates_is_safe_to_repeat() {
    check_operations(
        "  charge: { in: Charge, idempotent: none, compensate: refund }
  refund: { in: Charge, idempotent: none }
  twice: { in: Charge, idempotent: by_key, compensate: twice }
  look: { in: Charge, reads: true, compensate: charge, probe: charge }
",
        expect![[r#"
            payment.yaml:6:55: error: `refund` compensates, and so may be repeated: it is neither by_key nor transaction
                help: make `refund` `idempotent: by_key` or `transaction`
            payment.yaml:8:56: error: an operation can't compensate itself
                help: name the one that undoes it
            payment.yaml:9:48: error: `look` only reads: there is nothing to compensate
                help: take out `compensate`, or `reads: true`
            payment.yaml:9:63: error: `charge` is asked what happened, and does not say that it only reads
                help: make `charge` `reads: true`
        "#]],
    );
}

// shows: operations.in, operations.out, operations.compensate, operations.probe, operations.refuses, operations.reads x static error
#[test]
fn operations_and_types_must_be_there() {
    check_operations(
        "  charge: { in: Chrage, out: 1, idempotent: by_key, compensate: refnud, probe: state, refuses: [A, A, 1b] }
  refund: { in: Charge, idempotent: by_key, refuses: A, reads: yes }
",
        expect![[r#"
            payment.yaml:6:17: error: there is no type `Chrage` in `types`
                help: did you mean `Charge`?
            payment.yaml:6:30: error: a type's name is text, and this is a number
                help: quote it: "1"
            payment.yaml:6:100: error: the code `A` stands twice
                help: keep one of the two
            payment.yaml:6:103: error: `1b` is no refusal's code
                help: it has letters, digits and _, begins with a letter, and has at most 64 characters
            payment.yaml:7:54: error: `refuses` is a list, and this is text
                help: write `- ITEM` lines, or [ITEM, ...]
            payment.yaml:7:64: error: `reads` is `true` or `false`
                help: write `true`, or take it out
        "#]],
    );
}

#[test]
fn types_are_avro() {
    check_types(
        "  Order: { type: record, fields: [{ name: lines, type: array, items: Line }, { name: note, type: [null, string], default: null }] }
  Line: { type: record, fields: [{ name: sku, type: string }, { name: kind, type: { type: enum, name: Kind, symbols: [a, b] } }] }
  Other: { type: record, name: Other, fields: [{ name: line, type: Line }, { name: at, type: { type: long, logicalType: timestamp-millis } }] }
",
        expect![[r#"
            {"limits":{"in_flight":null,"rate":null},"operations":{},"owner":"team","participant":"payment","types":{"Line":{"fields":[{"name":"sku","type":"string"},{"name":"kind","type":{"name":"Kind","symbols":["a","b"],"type":"enum"}}],"name":"Line","type":"record"},"Order":{"fields":[{"name":"lines","type":{"items":"Line","type":"array"}},{"default":null,"name":"note","type":["null","string"]}],"name":"Order","type":"record"},"Other":{"fields":[{"name":"line","type":"Line"},{"name":"at","type":{"logicalType":"timestamp-millis","type":"long"}}],"name":"Other","type":"record"}},"version":"1.0.0"}
        "#]],
    );
}

// shows: contract.types x static error
#[test]
fn types_that_are_not_avro_are_refused() {
    check_types(
        "  A: { type: record, fields: [{ name: x, type: strnig }, { type: string }, y] }
  B: { type: record }
  C: string
  D: { fields: [] }
  E: { type: record, name: F, fields: [] }
  9: { type: record, fields: [] }
  G: { type: record, fields: { x: string } }
  H: { type: record, fields: [{ name: k, type: { type: enum, name: K, symbols: [a] } }, { name: l, type: K }] }
  I: { type: record, fields: [{ name: k, type: K }] }
",
        expect![[r#"
            payment.yaml:6:48: error: there is no type `strnig`
                help: did you mean `string`? Or declare it under `types`
            payment.yaml:6:58: error: a field needs `name`
                help: write `{ name: amount, type: long }`
            payment.yaml:6:76: error: a field is a map, and this is text
                help: write KEY: VALUE lines, or { KEY: VALUE, ... }
            payment.yaml:8:3: error: the type `C` is no record, enum or fixed
                help: write `type: record` and `fields:`; other types have no name of their own
            payment.yaml:9:6: error: an Avro schema needs `type`
                help: write `type: record`, or the name of a type
            payment.yaml:10:3: error: the type `E` calls itself "F"
                help: take out its `name`: the key is its name
            payment.yaml:11:3: error: `9` is no name of a type
                help: it has letters, digits and _, begins with a letter, and has at most 64 characters
            payment.yaml:12:30: error: `fields` is a list, and this is a map
                help: write `- ITEM` lines, or [ITEM, ...]
            payment.yaml:14:48: error: there is no type `K`
                help: there is `null`, `boolean`, `int`, `long`, `float`, `double`, `bytes`, `string`, `9`, `A`, `B`, `C`, `D`, `E`, `G`, `H`, `I`; or declare it under `types`
        "#]],
    );
    check_types(
        "  A: { type: record, fields: [{ name: x, type: long, default: text }] }
  B: { type: record, fields: [{ name: a, type: A }] }
  C: { type: enum, symbols: [a, a] }
  D: { type: fixed }
",
        expect![[r#"
            payment.yaml:6:3: error: the type `A` is no Avro schema: `default`'s value type of field `x` in `A` must be a `"long"`. Got: String("text")
                help: see the Avro specification, section Schema Declaration
            payment.yaml:8:3: error: the type `C` is no Avro schema: Duplicate enum symbol a
                help: see the Avro specification, section Schema Declaration
            payment.yaml:9:3: error: the type `D` is no Avro schema: Fixed schema has no `size`
                help: see the Avro specification, section Schema Declaration
        "#]],
    );
}
