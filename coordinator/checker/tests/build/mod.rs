//! Small definitions, made in code.
#![allow(dead_code, reason = "each test uses what it needs")]

use std::collections::BTreeMap;

use sagaline_checker::{Bound, Engine, Proof, Search, check_with, real};
use sagaline_definition::Expr;
use sagaline_definition::model::{
    Again, Approve, Arm, BackTo, Call, Compensate, Deadline, Decide, Definition, Ensure, FactClause, ForEach, Guard,
    Jitter, Patience, Policy, Reaction, Sleep, Start, Step, Template, Until, Verb, Wait, Word,
};
use sagaline_schemas::Value;

/// Two attempts.
pub const POLICY: Policy = Policy {
    attempts: 2,
    backoff: 1_000,
    cap: 60_000,
    factor_percent: 200,
    jitter: Jitter::None,
    attempt_timeout: 10_000,
    within: None,
};

pub fn expr(source: &str) -> Expr {
    Expr::parse(source).expect("an expression")
}

/// Steps one after the other.
pub fn chain(steps: Vec<Step>) -> Definition {
    let mut definition = Definition {
        saga: "test".to_owned(),
        version: "1.0.0".to_owned(),
        owner: "team".to_owned(),
        contracts: BTreeMap::new(),
        start: Start { topic: None, condition: None, key: None, input: None, shape: None, again: Again::Never },
        deadline: Deadline { after: 1_000_000, otherwise: Word::Compensate, after_pivot: Word::Stuck },
        facts: vec![],
        react: vec![],
        steps,
        ensure: Ensure::default(),
        result: None,
        calendars: BTreeMap::new(),
        rehearsal: None,
    };
    for number in 1..definition.steps.len() {
        definition.steps[number].after = vec![number - 1];
    }
    definition
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
        alias: BTreeMap::new(),
    }
}

/// A call that is undone by `un-NAME`.
pub fn call(name: &str) -> Step {
    step(
        name,
        Verb::Call(Call {
            participant: "p".to_owned(),
            operation: name.to_owned(),
            with: Template::Literal(Value::Null),
            retry: POLICY,
            refused: BTreeMap::new(),
            refused_else: Word::Compensate,
            failed: Word::Compensate,
            compensate: Compensate::By { operation: format!("un-{name}"), retry: POLICY, with: None },
            probe: None,
        }),
    )
}

pub fn calls(names: &[&str]) -> Definition {
    chain(names.iter().map(|name| call(name)).collect())
}

pub fn call_of(step: &mut Step) -> &mut Call {
    let Verb::Call(call) = &mut step.verb else { panic!("{} is no call", step.step) };
    call
}

/// A call from which on the saga only goes forward.
pub fn pivot(name: &str) -> Step {
    let mut step = call(name);
    step.pivot = true;
    call_of(&mut step).compensate = Compensate::Never;
    call_of(&mut step).failed = Word::Stuck;
    step
}

pub fn patience(otherwise: Word) -> Patience {
    Patience { within: 100_000, remind: None, otherwise }
}

pub fn approve(name: &str) -> Step {
    let choices = [("approve", Word::Continue), ("reject", Word::Compensate), ("question", Word::Hold)];
    step(
        name,
        Verb::Approve(Approve {
            by: vec!["role/manager".to_owned()],
            show: Template::Literal(Value::Null),
            choices: choices.map(|(choice, word)| (choice.to_owned(), word)).into(),
            quorum: 1,
            escalate: vec![(10_000, "role/director".to_owned())],
            patience: patience(Word::Compensate),
            void_if: None,
        }),
    )
}

pub fn wait(name: &str, otherwise: Word) -> Step {
    step(
        name,
        Verb::Wait(Wait {
            topic: "t".to_owned(),
            via: None,
            key: expr("event.id"),
            condition: None,
            shape: None,
            patience: patience(otherwise),
        }),
    )
}

pub fn until(name: &str, condition: &str, otherwise: Word) -> Step {
    step(name, Verb::Until(Until { condition: expr(condition), patience: patience(otherwise) }))
}

pub fn sleeping(name: &str) -> Step {
    step(name, Verb::Sleep(Sleep::For(1_000)))
}

pub fn decide(name: &str, condition: &str) -> Step {
    let arms = vec![
        Arm { condition: Some(expr(condition)), is: Value::from("yes") },
        Arm { condition: None, is: Value::from("no") },
    ];
    step(name, Verb::Decide(Decide { arms }))
}

pub fn fact(name: &str, initial: Value) -> FactClause {
    FactClause {
        fact: name.to_owned(),
        topic: Some("facts".to_owned()),
        condition: None,
        key: Some(expr("event.id")),
        of: None,
        value: Some(expr("event.value")),
        seq: Some(expr("event.seq")),
        initial,
        shape: None,
        fresh: None,
        ask: None,
    }
}

pub fn reaction(condition: &str, then: Word) -> Reaction {
    Reaction { condition: expr(condition), between: None, then, after_pivot: Word::Stuck }
}

pub fn guard(condition: &str, otherwise: Word) -> Option<Guard> {
    Some(Guard { condition: expr(condition), otherwise })
}

pub fn for_each(list: &str, at_once: u32, enough: Option<u32>) -> Option<ForEach> {
    Some(ForEach { item: "item".to_owned(), list: expr(list), at_once, most: 10, enough })
}

pub fn back_to(step: usize) -> Word {
    Word::BackTo(BackTo { step, at_most: 1, otherwise: Box::new(Word::Compensate) })
}

pub fn explore(definition: &Definition, trouble: u8, search: Search, engine: Engine) -> Proof {
    check_with(definition, &BTreeMap::new(), Bound { trouble, search, ..Bound::default() }, engine)
}

/// The default search with the real engine.
pub fn prove(definition: &Definition) -> Proof {
    explore(definition, 2, Search::Reduced, &real)
}
