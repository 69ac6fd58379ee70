//! A stage for one saga: says in words what comes, writes down what the saga does. After every turn its invariants are looked at.

use std::fmt::Write;

use sagaline_definition::model::{
    Again, Call, Compensate, Deadline, Definition, Ensure, Jitter, Policy, Start, Step, Template, Verb, Word,
};
use sagaline_schemas::record::{
    Answer, Compensated, Failed, Kind, Mark, MarkKind, NothingThere, Refused, Succeeded, Working,
};
use sagaline_schemas::wire::{Bytes, Wire};
use sagaline_schemas::{Digest, RequestId, SagaId, Value};

use crate::fact::Fact;
use crate::saga::{Direction, HistoryHead, Phase, Saga, TimerKind, TimerStart};
use crate::turn::{Input, Limits, Moment, OpenGates, Outgoing, turn};
use crate::validate::validate;
use crate::{Asked, Transition};

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
    let steps = names.iter().enumerate().map(|(i, name)| Step {
        step: (*name).to_owned(),
        owner: "team".to_owned(),
        after: if i == 0 { vec![] } else { vec![i - 1] },
        at_least: None,
        condition: None,
        for_each: None,
        guard: None,
        verb: Verb::Call(call(name)),
        pivot: false,
        expected: None,
        alias: Default::default(),
    });
    Definition {
        saga: "test".to_owned(),
        version: "1.0.0".to_owned(),
        owner: "team".to_owned(),
        contracts: Default::default(),
        start: Start { topic: None, condition: None, key: None, input: None, shape: None, again: Again::Never },
        deadline: Deadline { after: 1_000_000, otherwise: Word::Compensate, after_pivot: Word::Stuck },
        facts: vec![],
        react: vec![],
        steps: steps.collect(),
        ensure: Ensure::default(),
        result: None,
        calendars: Default::default(),
    }
}

fn call(name: &str) -> Call {
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

pub fn call_mut(definition: &mut Definition, step: usize) -> &mut Call {
    let Verb::Call(call) = &mut definition.steps[step].verb else { panic!("step {step} is no call") };
    call
}

pub struct Stage {
    pub definition: Definition,
    pub saga: Saga,
    now: i64,
    offset: i64,
    account: String,
}

impl Stage {
    pub fn new(definition: Definition) -> Self {
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
        Self { definition, saga, now: 0, offset: 0, account: String::new() }
    }

    /// Plays a script, one happening a line; gives the account.
    pub fn play(mut self, script: &str) -> String {
        self.happen("start", Input::Start { told: vec![] });
        for line in script.split(';').map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["sent", step] => self.sent(line, step),
                ["time", step] => self.fire(line, step, [TimerKind::Attempt, TimerKind::UndoAttempt]),
                ["wait", step] => self.fire(line, step, [TimerKind::Backoff, TimerKind::UndoBackoff]),
                ["silence", step] => self.silence(step),
                ["deadline"] => self.happen(line, Input::Timer { kind: TimerKind::Deadline, at: None }),
                ["cancel"] => self.ask(line, Asked::Cancel { reason: "why not".to_owned() }),
                ["retry"] => self.ask(line, Asked::Retry { place: None, input: None, reason: "why not".to_owned() }),
                ["close"] => self.ask(line, Asked::Close { reason: "why not".to_owned() }),
                [answer, rest @ ..] => self.answer(line, answer, rest),
                [] => {}
            }
        }
        self.account
    }

    fn effect(&self, step: &str) -> u32 {
        let at = self.definition.step_index(step).unwrap_or_else(|| panic!("no step {step}")) as u32;
        self.saga.effects.iter().rposition(|e| e.step == at).unwrap_or_else(|| panic!("no effect of {step}")) as u32
    }

    /// The kind of command that is out for an effect.
    fn kind(&self, effect: u32) -> Kind {
        if self.saga.effects[effect as usize].undo_tries.count > 0 { Kind::Compensate } else { Kind::Do }
    }

    fn newest(&self, effect: u32, kind: Kind) -> u32 {
        self.saga.effects[effect as usize].tries(kind).unwrap().count
    }

    fn sent(&mut self, line: &str, step: &str) {
        let effect = self.effect(step);
        let kind = self.kind(effect);
        let attempt = self.newest(effect, kind);
        self.happen(line, Input::Sent { effect, kind, attempt, base: Some(self.now) });
    }

    /// Time passes until the timer fires.
    fn fire(&mut self, line: &str, step: &str, kinds: [TimerKind; 2]) {
        self.saga.begin_durations(self.now);
        let spot = Some(self.saga.effects[self.effect(step) as usize].spot());
        let timer = self.saga.timers.iter().find(|t| t.at == spot && kinds.contains(&t.kind)).cloned();
        let timer = timer.unwrap_or_else(|| panic!("{line}: no such timer runs in {:?}", self.saga.timers));
        let TimerStart::Due { at } = timer.start else { unreachable!("begun just now") };
        self.now = self.now.max(at);
        self.happen(line, Input::Timer { kind: timer.kind, at: spot });
    }

    /// Nobody answers any attempt.
    fn silence(&mut self, step: &str) {
        self.sent(&format!("sent {step}"), step);
        for _ in 1..POLICY.attempts {
            self.fire(&format!("time {step}"), step, [TimerKind::Attempt, TimerKind::UndoAttempt]);
            self.fire(&format!("wait {step}"), step, [TimerKind::Backoff, TimerKind::UndoBackoff]);
            self.sent(&format!("sent {step}"), step);
        }
        self.fire(&format!("time {step}"), step, [TimerKind::Attempt, TimerKind::UndoAttempt]);
    }

    fn ask(&mut self, line: &str, asked: Asked) {
        let id = RequestId::from_bytes([1; 16]);
        self.happen(line, Input::Request { id, by: "ada".to_owned(), roles: vec![], asked });
    }

    fn answer(&mut self, line: &str, answer: &str, rest: &[&str]) {
        let effect = self.effect(rest[0]);
        let (kind, answer) = match (answer, rest) {
            ("ok", [_]) => (Kind::Do, Answer::Succeeded(Succeeded { result: Bytes::from("1") })),
            ("no", [_]) => (Kind::Do, Answer::Refused(Refused { code: "No".to_owned(), detail: String::new() })),
            ("no", [_, code]) => {
                (Kind::Do, Answer::Refused(Refused { code: (*code).to_owned(), detail: String::new() }))
            }
            ("fail", [_]) => (self.kind(effect), Answer::Failed(Failed { error: "oh".to_owned(), retry_after: None })),
            ("fail", [_, after]) => {
                let retry_after = Some(after.parse().unwrap());
                (self.kind(effect), Answer::Failed(Failed { error: "oh".to_owned(), retry_after }))
            }
            ("working", [_, until]) => (self.kind(effect), Answer::Working(Working { until: until.parse().unwrap() })),
            ("undone", [_]) => (Kind::Compensate, Answer::Compensated(Compensated { result: None })),
            ("nothing", [_]) => (Kind::Compensate, Answer::NothingThere(NothingThere {})),
            ("forgotten", [_]) => (self.kind(effect), Answer::Mark(Mark { mark: MarkKind::Forgotten })),
            other => panic!("{line}: {other:?} is no happening"),
        };
        let attempt = self.newest(effect, kind).max(1);
        self.happen(line, Input::Answer { effect, kind, attempt, answer, instance: "i".to_owned() });
    }

    fn happen(&mut self, line: &str, input: Input) {
        self.offset += 1;
        let moment = Moment { offset: self.offset, log_time: self.now };
        let limits = Limits { max_payload: 1_000, max_effects: 100, max_mailbox: 3, keep_ended: 1_000_000 };
        let transition = turn(&self.definition, &mut self.saga, input, moment, limits, &mut OpenGates);
        let copy = Saga::from_bytes(&self.saga.to_bytes()).expect("its own bytes");
        assert_eq!(copy, self.saga, "a saga's bytes read back as the saga");
        if let Err(violation) = validate(&self.definition, &self.saga) {
            panic!("after {line:?}: {violation}\n{}", self.account);
        }
        self.write(line, &transition);
    }

    fn write(&mut self, line: &str, transition: &Transition) {
        let mut does = Vec::new();
        for out in &transition.out {
            let Outgoing::Command { effect, kind, attempt, .. } = out else {
                does.push(format!("{out:?}"));
                continue;
            };
            let effect = &self.saga.effects[*effect as usize];
            let step = &self.definition.steps[effect.step as usize].step;
            let prefix = if *kind == Kind::Compensate { "un-" } else { "" };
            let again = if *attempt > 1 { format!("#{attempt}") } else { String::new() };
            let round = effect.round;
            let round = if round > 0 { format!("@{round}") } else { String::new() };
            does.push(format!("{prefix}{step}{round}{again}"));
        }
        if let Some(rejected) = &transition.rejected {
            does.push(format!("rejected: {rejected}"));
        }
        for fact in &transition.facts {
            match fact {
                Fact::Stuck { stuck } => does.push(format!("stuck: {stuck:?}")),
                Fact::TurnedBack { .. } => does.insert(0, "turns back".to_owned()),
                Fact::Ended { end } => does.push(format!("{end:?}")),
                Fact::Skipped { step } => does.push(format!("skips {}", self.definition.steps[*step as usize].step)),
                Fact::Continued { spot } => {
                    does.push(format!("continues {}", self.definition.steps[spot.step as usize].step))
                }
                Fact::Overdue { .. } => does.push("overdue".to_owned()),
                _ => {}
            }
        }
        writeln!(self.account, "{line:<12} -> {}", does.join(", ")).expect("a String takes everything");
    }
}

/// Plays a script on a definition and compares the account.
pub fn check(definition: &Definition, script: &str, expected: &expect_test::Expect) {
    let account = Stage::new(definition.clone()).play(script);
    let lines: String = account.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    expected.assert_eq(&lines);
}
