//! Keywords of the language in every case, from a definition's text to what its saga does and when: the text is read, its normal form is
//! read back and played in virtual time. The marks (`shows:`) say what docs/keywords.md takes from a test.

mod attempts;
mod back;
mod combined;
mod items;
mod people;
mod steps;
mod undoing;

use expect_test::Expect;
use sagaline_definition::Definition;
use sagaline_language::Contracts;
use sagaline_testkit::{Account, Stage};

/// `make` is undone by `unmake` and probed by nobody, `count` is probed; `look` reads; nothing undoes `shout`.
const WORK: &str = "
participant: work
version: 1.0.0
owner: team-work
types:
  In: { type: record, fields: [{ name: n, type: [null, long], default: null }] }
  Out: { type: record, fields: [{ name: n, type: long }] }
operations:
  make: { in: In, out: Out, idempotent: by_key, compensate: unmake, refuses: [No, Soft] }
  count: { in: In, out: Out, idempotent: by_key, compensate: unmake, probe: look, refuses: [No] }
  unmake: { in: In, idempotent: by_key }
  look: { in: In, out: Out, reads: true, refuses: [No] }
  shout: { in: In, idempotent: none }
";

/// Said unless the definition says it itself. `twice`: attempts at 0 s and 11 s, given up at 21 s.
const REST: [&str; 7] = [
    "saga: s",
    "version: 1.0.0",
    "owner: team",
    "use: [work]",
    "start: {}",
    "deadline: { after: 1h }",
    "policies: { twice: { attempts: 2, backoff: 1s, jitter: none, attempt_timeout: 10s } }",
];

/// The definition, as the log has it.
fn definition(text: &str) -> Definition {
    let contract = sagaline_language::contract("work.yaml", WORK).unwrap_or_else(|report| panic!("{report}"));
    let contracts: Contracts = [contract.value].into_iter().collect();
    let said = |key: &str| text.lines().any(|line| line.starts_with(key));
    let missing = REST.into_iter().filter(|line| !said(&line[..=line.find(':').expect("each is a key")]));
    let whole = missing.fold(text.to_owned(), |text, line| format!("{text}\n{line}"));
    let read = sagaline_language::definition("s.yaml", &whole, &contracts).unwrap_or_else(|report| panic!("{report}"));
    Definition::from_normal_form(&read.value.normal_form()).expect("a normal form reads back")
}

/// What becomes of it, given `replies` and `happens` as a file of tests says them.
fn account(definition: &Definition, given: &str) -> Account {
    let file = format!("definition: s.yaml\ntests:\n  - test: t\n    expect: {{}}\n    {given}\n");
    let file = sagaline_language::scenario::scenarios("s.test.yaml", &file).unwrap_or_else(|report| panic!("{report}"));
    Stage::of(definition, &file.value.scenarios[0]).expect("a stage").play()
}

/// What happens when, one line each, with the inputs of commands that have one.
fn told(account: &Account) -> String {
    let mut commands = account.commands.iter().peekable();
    let line = |(at, what): &(i64, String)| {
        let input =
            commands.next_if(|command| command.name == *what && command.at == *at).map(|it| it.input.to_string());
        let input =
            input.filter(|input| input != "{}" && input != "null").map_or_else(String::new, |it| format!(" {it}"));
        format!("{} {what}{input}\n", seconds(*at))
    };
    let timeline: String = account.timeline.iter().map(line).collect();
    let why = if account.because.is_empty() { String::new() } else { format!(": {}", account.because) };
    let world = account.world.iter().map(|(effect, state)| format!("{effect} {state}")).collect::<Vec<_>>().join(", ");
    format!("{timeline}{} {}{why}\nworld: {world}\n", seconds(account.after), account.end)
}

fn seconds(millis: i64) -> String {
    format!("{:>7.1}", millis as f64 / 1_000.0)
}

/// Plays it and compares what happened.
fn check(text: &str, given: &str, expected: Expect) {
    expected.assert_eq(&told(&account(&definition(text), given)));
}
