//! The rules of definitions, each with a case that breaks it, and the messages that a person gets.

mod docs;
mod grammar;
mod rules;
mod schema;
mod template;
mod verbs;
mod whole;
mod words;
mod world;

use expect_test::Expect;
use sagaline_definition::{Contract, Definition};

use crate::{Contracts, Report};

const PAYMENT: &str = "
participant: payment
version: 1.0.0
owner: team-payments
types:
  Charge:
    type: record
    fields:
      - { name: account, type: string }
      - { name: amount, type: long }
      - { name: note, type: [null, string], default: null }
  Charged: { type: record, fields: [{ name: reference, type: string }, { name: captured, type: long }] }
  Nothing: { type: record, fields: [] }
operations:
  charge: { in: Charge, out: Charged, idempotent: by_key, compensate: refund, probe: status, refuses: [CardExpired, NoMoney] }
  refund: { in: Charge, idempotent: by_key }
  status: { in: Charge, out: Charged, reads: true }
  notify: { in: Nothing, idempotent: none }
  hold: { in: Nothing, out: Charged, idempotent: by_key, compensate: release }
  release: { in: Nothing, idempotent: by_key }
";

const MAIL: &str = "
participant: mail
version: 1.0.0
owner: team-mail
types:
  Send:
    type: record
    fields:
      - { name: to, type: string }
      - { name: lines, type: array, items: string, default: [] }
      - { name: extra, type: map, values: long, default: {} }
      - { name: urgent, type: boolean, default: false }
      - { name: weight, type: [null, double], default: null }
operations:
  send: { in: Send, idempotent: by_key, refuses: [Bounced] }
";

fn contract(text: &str) -> Contract {
    crate::contract("contract.yaml", text).expect("the contract is right").value
}

fn contracts() -> Contracts {
    [PAYMENT, MAIL].into_iter().map(contract).collect()
}

fn definition(text: &str) -> Result<crate::Checked<Definition>, Report> {
    crate::definition("a.yaml", text, &contracts())
}

/// `ok` with the warnings, or all that is wrong.
fn check(text: &str, expected: Expect) {
    let shown = match definition(text) {
        Ok(checked) => "ok\n".to_owned() + &checked.warnings.plain(),
        Err(report) => report.plain(),
    };
    expected.assert_eq(&shown);
}

/// A definition that is right but for these lines, which come first.
fn with_rest(lines: &str) -> String {
    const REST: [&str; 7] = [
        "saga: s",
        "version: 1.0.0",
        "owner: team",
        "use: [payment]",
        "deadline: { after: 1d }",
        "start: { topic: t, key: event.id }",
        "steps: [{ step: hold, call: payment.hold }]",
    ];
    let said = |key: &str| lines.lines().any(|line| line.starts_with(key));
    let missing = REST.into_iter().filter(|line| !said(&line[..=line.find(':').expect("each is a key")]));
    missing.fold(lines.to_owned(), |text, line| text + line + "\n")
}

/// Checks these lines at the top level, the rest being right.
fn check_head(lines: &str, expected: Expect) {
    check(&with_rest(lines), expected);
}

/// Checks these steps, which begin in line 2, the rest being right.
fn check_steps(steps: &str, expected: Expect) {
    check(&with_rest(&format!("steps:\n{steps}\n")), expected);
}
