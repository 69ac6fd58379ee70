//! The order workload: five steps in sequence, one saga in ten refused at its fourth. What starts it, what answers it, how it must end.
//! Everything is a function of the saga's number, so that the processes of a run need not tell each other.

use std::collections::BTreeMap;

use sagaline_definition::Expr;
use sagaline_definition::contract::{Contract, Idempotence, Operation};
use sagaline_definition::model::{
    Again, Call, Compensate, Deadline, Definition, Ensure, Jitter, Policy, Start, Step, Template, Verb, Word,
};
use sagaline_schemas::Value;
use sagaline_schemas::command::Command;
use sagaline_schemas::record::{Answer, Compensated, End, Kind, Refused, Succeeded};
use sagaline_schemas::wire::Bytes;

/// Who carries out the steps.
pub const PARTICIPANT: &str = "worker";
/// Bytes of each payload, unless said otherwise.
pub const PAYLOAD: usize = 256;
const STEPS: usize = 5;
const REFUSING: &str = "step-3";

/// The correlation id of a saga.
pub fn key(number: u32) -> String {
    format!("order-{number}")
}

/// The number of the saga with that correlation id.
pub fn number(key: &str) -> Option<u32> {
    key.strip_prefix("order-")?.parse().ok()
}

/// How it ends, and its steps: forward commands, and undos that are carried out.
pub fn end(number: u32) -> (End, u32) {
    if number % 10 == 7 { (End::Compensated, 7) } else { (End::Completed, 5) }
}

/// The event that starts it: JSON of so many bytes, if they hold its key.
pub fn event(number: u32, payload: usize) -> Vec<u8> {
    let head = format!(r#"{{"order":"{}","text":""#, key(number));
    let text = "x".repeat(payload.saturating_sub(head.len() + 2));
    format!(r#"{head}{text}"}}"#).into_bytes()
}

/// What the participant says, at once.
pub fn answer(command: &Command, payload: usize) -> Answer {
    match command.address.kind {
        Kind::Do if command.operation == REFUSING && command.saga.ends_with('7') => {
            Answer::Refused(Refused { code: "No".to_owned(), detail: String::new() })
        }
        Kind::Do => {
            let result = format!(r#"{{"text":"{}"}}"#, "y".repeat(payload.saturating_sub(11)));
            Answer::Succeeded(Succeeded { result: Bytes(result.into_bytes()) })
        }
        Kind::Compensate | Kind::Probe | Kind::Ask => Answer::Compensated(Compensated { result: None }),
    }
}

/// Whether its saga has no command behind this one.
pub fn is_last(command: &Command) -> bool {
    match command.address.kind {
        Kind::Do => command.operation == "step-4",
        Kind::Compensate | Kind::Probe | Kind::Ask => command.operation == "undo-0",
    }
}

/// Five calls in sequence, each with the saga's input as its payload; an event of `topic` starts one.
pub fn definition(topic: &str) -> (Definition, Contract) {
    let operation = |undo: Option<String>| Operation {
        input: "Any".to_owned(),
        output: None,
        idempotent: Idempotence::ByKey,
        compensate: undo,
        probe: None,
        refuses: vec!["No".to_owned()],
        reads: false,
    };
    let mut operations = BTreeMap::new();
    for step in 0..STEPS {
        operations.insert(format!("step-{step}"), operation(Some(format!("undo-{step}"))));
        operations.insert(format!("undo-{step}"), operation(None));
    }
    let contract = Contract {
        participant: PARTICIPANT.to_owned(),
        version: "1.0.0".to_owned(),
        owner: "team".to_owned(),
        limits: Default::default(),
        types: BTreeMap::from([("Any".to_owned(), Value::from("null"))]),
        operations,
    };
    let expression = |text| Expr::parse(text).expect("names and members are expressions");
    let input = expression("input");
    let definition = Definition {
        saga: "order".to_owned(),
        version: "1.0.0".to_owned(),
        owner: "team".to_owned(),
        contracts: BTreeMap::from([(PARTICIPANT.to_owned(), contract.digest())]),
        start: Start {
            topic: Some(topic.to_owned()),
            condition: None,
            key: Some(expression("event.order")),
            input: None,
            shape: None,
            again: Again::Never,
        },
        deadline: Deadline { after: 3_600_000, otherwise: Word::Compensate, after_pivot: Word::Stuck },
        facts: Vec::new(),
        react: Vec::new(),
        steps: (0..STEPS).map(|number| step(number, &input)).collect(),
        ensure: Ensure::default(),
        result: None,
        calendars: BTreeMap::new(),
        rehearsal: None,
    };
    (definition, contract)
}

/// One of the calls, with this as its payload.
fn step(step: usize, input: &Expr) -> Step {
    let retry = Policy {
        attempts: 5,
        backoff: 1_000,
        cap: 60_000,
        factor_percent: 200,
        jitter: Jitter::Full,
        attempt_timeout: 30_000,
        within: None,
    };
    Step {
        step: format!("s{step}"),
        owner: "team".to_owned(),
        after: step.checked_sub(1).into_iter().collect(),
        at_least: None,
        condition: None,
        for_each: None,
        guard: None,
        verb: Verb::Call(Call {
            participant: PARTICIPANT.to_owned(),
            operation: format!("step-{step}"),
            with: Template::Expr(input.clone()),
            retry,
            refused: BTreeMap::new(),
            refused_else: Word::Compensate,
            failed: Word::Compensate,
            compensate: Compensate::By { operation: format!("undo-{step}"), retry, with: None },
            probe: None,
        }),
        pivot: false,
        expected: None,
        alias: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_starts_a_saga_is_as_large_as_said_and_names_it() {
        for saga in [0, 7, 1_234_567] {
            let event = event(saga, PAYLOAD);
            assert_eq!(event.len(), PAYLOAD);
            let event = Value::parse(&event).unwrap();
            let Some(Value::String(named)) = event.get("order") else { panic!("no key in {event}") };
            assert_eq!(number(named), Some(saga));
        }
    }
}
