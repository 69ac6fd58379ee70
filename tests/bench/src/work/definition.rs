//! The definitions behind each kind of work, and the one contract that they share.

use std::collections::BTreeMap;

use sagaline_definition::Expr;
use sagaline_definition::contract::{Contract, Idempotence, Operation};
use sagaline_definition::model::{
    Again, Call, Compensate, Deadline, Definition, Ensure, Jitter, Patience, Policy, Sleep, Start, Step, Template,
    Verb, Wait, Word,
};
use sagaline_node::Names;
use sagaline_schemas::{Digest, Value};

use super::{PARTICIPANT, Work};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// The operation of that number.
pub fn operation(number: u32) -> String {
    format!("step-{number}")
}

fn undo(number: u32) -> String {
    format!("undo-{number}")
}

/// What the participant can do: as many operations as the longest of these needs.
pub fn contract(works: &[Work]) -> Contract {
    let able = |undo: Option<String>| Operation {
        input: "Any".to_owned(),
        output: None,
        idempotent: Idempotence::ByKey,
        compensate: undo,
        probe: None,
        refuses: vec!["No".to_owned()],
        reads: false,
    };
    let mut operations = BTreeMap::new();
    for number in 0..works.iter().map(|work| work.operations()).max().unwrap_or_default() {
        operations.insert(operation(number), able(Some(undo(number))));
        operations.insert(undo(number), able(None));
    }
    Contract {
        participant: PARTICIPANT.to_owned(),
        version: "1.0.0".to_owned(),
        owner: "team".to_owned(),
        limits: Default::default(),
        types: BTreeMap::from([("Any".to_owned(), Value::from("null"))]),
        operations,
    }
}

/// What makes them known to a node.
pub fn definitions(works: &[Work], names: &Names) -> (Vec<Definition>, Contract) {
    let contract = contract(works);
    let defined = works.iter().map(|work| work.definition(&work.topic(names), contract.digest()));
    (defined.collect(), contract)
}

impl Work {
    /// An event of `topic` starts one. Each call has the saga's input as its payload.
    pub fn definition(self, topic: &str, contract: Digest) -> Definition {
        let steps = match self {
            Self::Order | Self::Chain(_) => (0..self.operations()).map(|number| call(number, number)).collect(),
            Self::Waiting => vec![call(0, 0), step(1, Verb::Wait(arrival(topic)))],
            Self::Sleeping => vec![step(0, Verb::Sleep(Sleep::Until(expression("input.due")))), call(1, 0)],
        };
        Definition {
            saga: self.to_string(),
            version: "1.0.0".to_owned(),
            owner: "team".to_owned(),
            contracts: BTreeMap::from([(PARTICIPANT.to_owned(), contract)]),
            start: Start {
                topic: Some(topic.to_owned()),
                condition: None,
                key: Some(expression("event.order")),
                input: None,
                shape: None,
                again: Again::Never,
            },
            deadline: Deadline {
                after: if self == Self::Waiting { 60 * DAY } else { HOUR },
                otherwise: Word::Compensate,
                after_pivot: Word::Stuck,
            },
            facts: Vec::new(),
            react: Vec::new(),
            steps,
            ensure: Ensure::default(),
            result: None,
            calendars: BTreeMap::new(),
            rehearsal: None,
        }
    }
}

fn expression(text: &str) -> Expr {
    Expr::parse(text).expect("what this file writes are expressions")
}

/// The step of that number calls the operation of that one.
fn call(number: u32, of: u32) -> Step {
    let retry = Policy {
        attempts: 5,
        backoff: 1_000,
        cap: 60_000,
        factor_percent: 200,
        jitter: Jitter::Full,
        attempt_timeout: 30_000,
        within: None,
    };
    let call = Call {
        participant: PARTICIPANT.to_owned(),
        operation: operation(of),
        with: Template::Expr(expression("input")),
        retry,
        refused: BTreeMap::new(),
        refused_else: Word::Compensate,
        failed: Word::Compensate,
        compensate: Compensate::By { operation: undo(of), retry, with: None },
        probe: None,
    };
    step(number, Verb::Call(call))
}

/// No event says so.
fn arrival(topic: &str) -> Wait {
    Wait {
        topic: topic.to_owned(),
        via: None,
        key: expression("event.order"),
        condition: Some(expression("event.text == 'arrived'")),
        shape: None,
        patience: Patience { within: 21 * DAY, remind: None, otherwise: Word::Compensate },
    }
}

fn step(number: u32, verb: Verb) -> Step {
    Step {
        step: format!("s{number}"),
        owner: "team".to_owned(),
        after: number.checked_sub(1).map(|before| before as usize).into_iter().collect(),
        at_least: None,
        condition: None,
        for_each: None,
        guard: None,
        verb,
        pivot: false,
        expected: None,
        alias: BTreeMap::new(),
    }
}
