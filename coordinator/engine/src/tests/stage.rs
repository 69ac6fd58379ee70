//! A stage for one saga: says in words what comes, writes down what the saga does. After every turn the coordinator dies, and goes on from
//! the saga's bytes; its invariants are looked at.

mod account;
mod script;

use std::collections::BTreeSet;

use sagaline_definition::model::{
    Again, Call, Child, Compensate, Deadline, Definition, Ensure, Jitter, Policy, Start, Step, Template, Verb, Word,
};
use sagaline_definition::{Expr, model};
use sagaline_schemas::wire::{Bytes, Wire};
use sagaline_schemas::{Digest, SagaId, Value};

use crate::Transition;
use crate::saga::{Direction, HistoryHead, Phase, Saga};
use crate::turn::{Gates, Input, Limits, Moment, turn};
use crate::validate::validate;

pub const POLICY: Policy = Policy {
    attempts: 2,
    backoff: 1_000,
    cap: 60_000,
    factor_percent: 200,
    jitter: Jitter::None,
    attempt_timeout: 10_000,
    within: None,
};

/// A chain of calls by these names; each undone by `un-NAME`.
pub fn chain(names: &[&str]) -> Definition {
    definition(names.iter().map(|name| step(name, Verb::Call(call(name)))).collect())
}

/// These steps, one after the other.
pub fn definition(mut steps: Vec<Step>) -> Definition {
    for (i, step) in steps.iter_mut().enumerate() {
        step.after = if i == 0 { vec![] } else { vec![i - 1] };
    }
    Definition {
        saga: "test".to_owned(),
        version: "1.0.0".to_owned(),
        owner: "team".to_owned(),
        contracts: Default::default(),
        start: Start { topic: None, condition: None, key: None, input: None, shape: None, again: Again::Never },
        deadline: Deadline { after: 1_000_000_000, otherwise: Word::Compensate, after_pivot: Word::Stuck },
        facts: vec![],
        react: vec![],
        steps,
        ensure: Ensure::default(),
        result: None,
        calendars: Default::default(),
        rehearsal: None,
    }
}

pub fn step(name: &str, verb: Verb) -> Step {
    Step {
        step: name.to_owned(),
        owner: "team".to_owned(),
        after: vec![],
        at_least: None,
        condition: None,
        for_each: None,
        guard: None,
        verb,
        pivot: false,
        expected: None,
        alias: Default::default(),
    }
}

pub fn call(name: &str) -> Call {
    Call {
        participant: "p".to_owned(),
        operation: name.to_owned(),
        with: Template::Literal(Value::Null),
        retry: POLICY,
        refused: Default::default(),
        refused_else: Word::Compensate,
        failed: Word::Compensate,
        compensate: Compensate::By { operation: format!("un-{name}"), retry: POLICY, with: None },
        probe: None,
    }
}

/// A step that is a child saga.
pub fn child(name: &str) -> Step {
    let child = Child {
        saga: "other".to_owned(),
        definition: Digest([1; 32]),
        key: None,
        with: Template::Literal(Value::Null),
        failed: Word::Compensate,
        compensate: true,
    };
    step(name, Verb::Saga(child))
}

pub fn expr(text: &str) -> Expr {
    Expr::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub fn back_to(step: usize, at_most: u32, otherwise: Word) -> Word {
    Word::BackTo(model::BackTo { step, at_most, otherwise: Box::new(otherwise) })
}

/// A fact that domain events tell.
pub fn fact(name: &str, initial: Value) -> model::FactClause {
    model::FactClause {
        fact: name.to_owned(),
        topic: None,
        condition: None,
        key: None,
        of: None,
        value: None,
        seq: None,
        initial,
        shape: None,
        fresh: None,
        ask: None,
    }
}

pub fn call_mut(definition: &mut Definition, step: usize) -> &mut Call {
    let Verb::Call(call) = &mut definition.steps[step].verb else { panic!("step {step} is no call") };
    call
}

/// Participants whose gates the script opens and closes.
#[derive(Default)]
pub struct TestGates {
    pub closed: BTreeSet<String>,
    pub down: BTreeSet<String>,
}

impl Gates for TestGates {
    fn admit(&mut self, participant: &str) -> bool {
        !self.closed.contains(participant)
    }
    fn admit_question(&mut self, participant: &str) -> bool {
        !self.closed.contains(participant) && !self.down.contains(participant)
    }
    fn is_down(&self, participant: &str) -> bool {
        self.down.contains(participant)
    }
}

pub struct Stage {
    pub definition: Definition,
    pub saga: Saga,
    pub gates: TestGates,
    pub now: i64,
    offset: i64,
    pub account: String,
}

impl Stage {
    /// Of the definition as it is stored, in its normal form.
    pub fn new(definition: Definition) -> Self {
        let stored = Definition::from_normal_form(&definition.normal_form()).expect("its own normal form");
        assert_eq!(stored, definition, "a definition's normal form reads back as the definition");
        let saga = Saga {
            id: SagaId::from_bytes([7; 16]),
            definition: Digest([0; 32]),
            key: "k".to_owned(),
            started: 0,
            started_at: 0,
            input: Bytes::from("{}"),
            parent: None,
            phase: Phase::Running { direction: Direction::Forward },
            overdue: false,
            held: None,
            owner: None,
            facts: vec![],
            reactions: vec![],
            letters: vec![],
            aliases: vec![],
            went_aside: false,
            loops: vec![],
            steps: vec![],
            effects: vec![],
            timers: vec![],
            routes: vec![],
            history: HistoryHead::default(),
            traceparent: None,
        };
        Self { definition: stored, saga, gates: TestGates::default(), now: 0, offset: 0, account: String::new() }
    }

    /// The coordinator dies and goes on from what is stored: the bytes of the saga.
    fn restart(&mut self) {
        let died = self.saga.clone();
        self.saga = Saga::from_bytes(&died.to_bytes()).expect("its own bytes");
        assert_eq!(died, self.saga, "a saga's bytes read back as the saga");
    }

    /// Another saga waits for this one.
    pub fn with_parent(mut self) -> Self {
        let step = sagaline_schemas::message::StepAddress {
            saga: SagaId::from_bytes([9; 16]),
            step: "parent".to_owned(),
            items: vec![],
            round: 0,
        };
        self.saga.parent = Some(crate::Parent { step, partition: 0, released: false });
        self
    }

    pub fn happen(&mut self, line: &str, input: Input) -> Transition {
        self.offset += 1;
        let moment = Moment { offset: self.offset, log_time: self.now };
        let limits = Limits { max_payload: 1_000, max_effects: 100, max_mailbox: 3, keep_ended: 1_000_000 };
        let before = self.saga.clone();
        let transition = turn(&self.definition, &mut self.saga, input, moment, limits, &mut self.gates);
        self.restart();
        self.write(line, &transition);
        if transition.rejected.is_some() {
            assert_eq!(before, self.saga, "what is rejected changes nothing\n{}", self.account);
        }
        if let Err(violation) = validate(&self.definition, &self.saga) {
            panic!("after {line:?}: {violation}\n{}{:?}", self.account, self.saga.phase);
        }
        transition
    }
}

/// Plays a script on a definition and compares the account.
pub fn check(definition: &Definition, script: &str, expected: &expect_test::Expect) {
    check_on(Stage::new(definition.clone()), script, expected);
}

/// The same on a stage that is set already.
pub fn check_on(mut stage: Stage, script: &str, expected: &expect_test::Expect) {
    stage.play(script);
    let lines: String = stage.account.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    expected.assert_eq(&lines);
}
