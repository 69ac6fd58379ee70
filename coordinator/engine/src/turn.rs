//! One turn of a saga: an input is taken, the saga runs to rest, what it wants and what happened comes out as values.

use sagaline_definition::model::{Call, Definition, Step, Verb};
use sagaline_schemas::record::{Answer, End, Kind};
use sagaline_schemas::{Millis, Offset, RequestId};

use crate::fact::{Fact, Spot};
use crate::request::Asked;
use crate::saga::{Cause, Direction, Effect, Phase, Saga, Stuck, Timer, TimerKind, TimerStart};

/// What can happen to a saga.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// It begins.
    Start,
    /// The log has acknowledged a command.
    Sent {
        /// Number of the effect.
        effect: u32,
        /// What was wanted.
        kind: Kind,
        /// Which attempt.
        attempt: u32,
        /// When the attempt's clock begins, milliseconds since 1970; none: at the first Progress that lets time pass.
        base: Option<Millis>,
    },
    /// A participant answers; its token is right.
    Answer {
        /// Number of the effect.
        effect: u32,
        /// What was wanted.
        kind: Kind,
        /// Which attempt.
        attempt: u32,
        /// What became of it.
        answer: Answer,
        /// Which instance answers.
        instance: String,
    },
    /// A timer is due.
    Timer {
        /// What it is for.
        kind: TimerKind,
        /// The effect; none for the saga's own.
        effect: Option<u32>,
    },
    /// A person asks.
    Request {
        /// The request.
        id: RequestId,
        /// Who.
        by: String,
        /// What.
        asked: Asked,
    },
    /// An input that killed the fold was passed over.
    Fault {
        /// Offset of that input.
        offset: Offset,
        /// Why it was passed over.
        reason: String,
    },
}

/// When a turn takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Offset of the input.
    pub offset: Offset,
    /// Log time, milliseconds since 1970.
    pub log_time: Millis,
}

/// What the log's settings allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest payload, bytes.
    pub max_payload: u32,
    /// Most effects of one saga.
    pub max_effects: u32,
    /// How long an ended saga is kept, milliseconds.
    pub keep_ended: Millis,
}

/// A command that the saga wants to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Number of the effect.
    pub effect: u32,
    /// What is wanted.
    pub kind: Kind,
    /// Which attempt.
    pub attempt: u32,
    /// When its time is up as far as is known: milliseconds since 1970.
    pub deadline: Millis,
}

/// What comes of a turn, beside the saga's new state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transition {
    /// Commands, in order.
    pub commands: Vec<Outgoing>,
    /// What happened, in order.
    pub facts: Vec<Fact>,
    /// Why a request or answer was not taken. Then nothing else changed.
    pub rejected: Option<Rejected>,
}

/// Why an input was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// What a person asked for is not possible; says why, and what is.
    #[error("{0}")]
    Request(String),
    /// The answer is not one that the command can have.
    #[error("{0}")]
    Answer(String),
}

/// Takes one input.
pub fn turn(definition: &Definition, saga: &mut Saga, input: Input, moment: Moment, limits: Limits) -> Transition {
    let mut turn = Turn { definition, saga, moment, limits, out: Transition::default() };
    match input {
        Input::Start => turn.start(),
        Input::Sent { effect, kind, attempt, base } => turn.sent(effect, kind, attempt, base),
        Input::Answer { effect, kind, attempt, answer, instance } => {
            turn.answer(effect, kind, attempt, answer, instance)
        }
        Input::Timer { kind, effect } => turn.timer(kind, effect),
        Input::Request { id, by, asked } => turn.request(id, by, asked),
        Input::Fault { offset, reason } => turn.fault(offset, reason),
    }
    turn.out
}

/// A saga in the middle of a turn.
pub(crate) struct Turn<'a> {
    pub definition: &'a Definition,
    pub saga: &'a mut Saga,
    pub moment: Moment,
    pub limits: Limits,
    pub out: Transition,
}

impl Turn<'_> {
    pub fn effect(&mut self, effect: u32) -> &mut Effect {
        self.saga.effects.get_mut(effect as usize).expect("effects are only appended, and numbered as they are")
    }

    pub fn step_of(&self, effect: u32) -> &Step {
        let step = self.saga.effects.get(effect as usize).map(|effect| effect.step);
        self.step(step.expect("effects are only appended, and numbered as they are"))
    }

    pub fn step(&self, step: u32) -> &Step {
        self.definition.steps.get(step as usize).expect("a saga has as many steps as its definition")
    }

    pub fn call(&self, effect: u32) -> &Call {
        let Verb::Call(call) = &self.step_of(effect).verb;
        call
    }

    pub fn spot(&mut self, effect: u32) -> Spot {
        let effect = self.effect(effect);
        Spot { step: effect.step, items: effect.items.clone(), round: effect.round }
    }

    pub fn fact(&mut self, fact: Fact) {
        self.out.facts.push(fact);
    }

    /// The timer runs from the next Progress on; it replaces one of the same kind.
    pub fn arm_after(&mut self, kind: TimerKind, effect: Option<u32>, duration: Millis) {
        self.arm(kind, effect, TimerStart::Waiting { duration });
    }

    /// The timer is due at a time; it replaces one of the same kind.
    pub fn arm_at(&mut self, kind: TimerKind, effect: Option<u32>, at: Millis) {
        // One that is armed while timers fire is due later than this moment: else a moment need never end.
        self.arm(kind, effect, TimerStart::Due { at: at.max(self.moment.log_time.saturating_add(1)) });
    }

    fn arm(&mut self, kind: TimerKind, effect: Option<u32>, start: TimerStart) {
        self.disarm(kind, effect);
        self.saga.timers.push(Timer { kind, effect, start });
    }

    pub fn disarm(&mut self, kind: TimerKind, effect: Option<u32>) {
        self.saga.timers.retain(|timer| (timer.kind, timer.effect) != (kind, effect));
    }

    pub fn has_timer(&self, kind: TimerKind, effect: Option<u32>) -> bool {
        self.saga.timers.iter().any(|timer| (timer.kind, timer.effect) == (kind, effect))
    }

    /// It waits for a person. An end that turns out to be wrong ends no longer, unless people made it: they have seen the world.
    /// Of two reasons the first stays, but for a contradiction: no retry mends that one.
    pub fn become_stuck(&mut self, stuck: Stuck) {
        let contradiction = matches!(stuck, Stuck::Contradiction { .. });
        let direction = match &self.saga.phase {
            Phase::Running { direction } => direction.clone(),
            Phase::Stuck { stuck: Stuck::Contradiction { .. }, .. } => return,
            Phase::Stuck { direction, .. } if contradiction => direction.clone(),
            Phase::Stuck { .. } | Phase::Ended { end: End::Closed, .. } => return,
            Phase::Ended { cause: Some(cause), .. } => Direction::Back { cause: cause.clone() },
            Phase::Ended { cause: None, .. } => Direction::Forward,
        };
        self.disarm(TimerKind::Forget, None);
        self.fact(Fact::Stuck { stuck: stuck.clone() });
        self.saga.phase = Phase::Stuck { direction, stuck };
    }

    pub fn end(&mut self, end: End, cause: Option<Cause>) {
        self.saga.phase = Phase::Ended { end, at: self.moment.log_time, cause };
        self.saga.timers.clear();
        self.arm_after(TimerKind::Forget, None, self.limits.keep_ended);
        self.fact(Fact::Ended { end });
    }

    fn start(&mut self) {
        self.saga.steps = self.definition.steps.iter().map(|_| crate::saga::StepState::Waiting).collect();
        self.fact(Fact::Started);
        self.arm_after(TimerKind::Deadline, None, self.definition.deadline.after);
        self.advance();
    }

    fn fault(&mut self, offset: Offset, reason: String) {
        self.become_stuck(Stuck::Fault { offset, reason });
    }
}
