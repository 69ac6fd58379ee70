//! One turn of a saga: an input is taken, the saga runs to rest, what it wants and what happened comes out as values.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use sagaline_definition::model::{Call, Child, Definition, Step, Verb};
use sagaline_schemas::record::{Answer, End, Kind};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Millis, Offset, RequestId, SagaId, Value};

use crate::fact::Fact;
use crate::request::{Asked, Person};
use crate::saga::{Direction, Effect, Phase, Place, PlaceState, Saga, Spot, StepState, Stuck, TimerKind};
use crate::told::Told;

/// What can happen to a saga.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// It begins.
    Start {
        /// What is known already of facts that belong to other keys: number and state.
        told: Vec<(u32, Told)>,
    },
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
    /// A participant that was asked for a fact answers; its token is right.
    FactAnswer {
        /// Number of the fact.
        fact: u32,
        /// Which asking.
        attempt: u32,
        /// What it said.
        answer: Answer,
    },
    /// A timer is due.
    Timer {
        /// What it is for.
        kind: TimerKind,
        /// The place; none for the saga's own.
        at: Option<Spot>,
    },
    /// A person asks.
    Request {
        /// The request.
        id: RequestId,
        /// Who.
        by: String,
        /// Their roles.
        roles: Vec<String>,
        /// What.
        asked: Asked,
    },
    /// The world is no longer as it was.
    Told {
        /// Number of the fact.
        fact: u32,
        /// What is told.
        told: Told,
    },
    /// An event came that a step awaits, or will.
    Letter {
        /// Number of the step.
        step: u32,
        /// The event, canonical JSON.
        event: Bytes,
    },
    /// A child saga has ended, or could not begin.
    ChildEnded {
        /// The place that wanted it.
        at: Spot,
        /// How.
        end: End,
        /// The child; none where it could not begin.
        child: Option<SagaId>,
        /// Its result, canonical JSON.
        result: Bytes,
        /// Why, for people.
        reason: String,
    },
    /// The saga that waits for this one says something.
    Parent {
        /// What.
        word: ParentWord,
    },
    /// A participant that this saga waits for takes commands again, or may.
    Admitted,
    /// A participant takes a question that waits for it, or may.
    MayAsk {
        /// Number of the fact.
        fact: u32,
    },
    /// An alias names another saga.
    AliasTaken {
        /// Which alias.
        alias: String,
        /// Its value.
        value: String,
        /// Whom it names.
        holder: SagaId,
    },
    /// An input that killed the fold was passed over.
    Fault {
        /// Offset of that input.
        offset: Offset,
        /// Why it was passed over.
        reason: String,
    },
}

/// What a parent tells its child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParentWord {
    /// Go back, if you still can.
    Cancel {
        /// Why.
        reason: String,
    },
    /// You have completed; go back all the same.
    Compensate {
        /// Why.
        reason: String,
    },
    /// Nothing more is wanted of you.
    Release,
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
    /// Most events of one saga that wait to be wanted.
    pub max_mailbox: u32,
    /// How long an ended saga is kept, milliseconds.
    pub keep_ended: Millis,
}

/// What participants can take at the moment. Part of the fold's state: the same for every replay.
pub trait Gates {
    /// Takes a seat for one more command. False: none is free; the saga is told `Admitted` when that changes.
    fn admit(&mut self, participant: &str) -> bool;
    /// The same for a question about a fact, which never waits behind all commands, nor goes before all; the saga is told `MayAsk`.
    fn admit_question(&mut self, participant: &str) -> bool;
    /// Whether the participant is known not to answer: attempts that bring nothing are not its commands' fault.
    fn is_down(&self, participant: &str) -> bool;
}

/// Participants that take everything.
pub struct OpenGates;

impl Gates for OpenGates {
    fn admit(&mut self, _: &str) -> bool {
        true
    }
    fn admit_question(&mut self, _: &str) -> bool {
        true
    }
    fn is_down(&self, _: &str) -> bool {
        false
    }
}

/// Something that the saga wants of the world outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// A command.
    Command {
        /// Number of the effect.
        effect: u32,
        /// What is wanted.
        kind: Kind,
        /// Which attempt.
        attempt: u32,
        /// When its time is up as far as is known: milliseconds since 1970.
        deadline: Millis,
    },
    /// A participant is to be asked for a fact.
    Ask {
        /// Number of the fact.
        fact: u32,
        /// Which asking, from 1.
        attempt: u32,
        /// The question, canonical JSON.
        input: Bytes,
    },
    /// It waits until a participant takes commands again.
    Queued {
        /// The participant.
        participant: String,
    },
    /// A question about a fact waits until its participant takes it.
    WaitsToAsk {
        /// Number of the fact.
        fact: u32,
        /// The participant.
        participant: String,
        /// Log time since when: who waits longest asks first.
        since: Millis,
    },
    /// A child saga is told something.
    Child {
        /// Number of the effect.
        effect: u32,
        /// What.
        word: ChildWord,
    },
    /// The parent is told how this saga ended.
    Ended {
        /// How.
        end: End,
        /// What it returns, canonical JSON.
        result: Bytes,
        /// Why, for people.
        reason: String,
    },
    /// Events may find it by another name from now on.
    Bind {
        /// The alias.
        alias: String,
        /// Its value.
        value: String,
    },
}

/// What a child saga is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChildWord {
    /// Begin.
    Start {
        /// Its correlation id.
        key: String,
    },
    /// Go back, if you still can.
    Cancel {
        /// Its correlation id.
        key: String,
    },
    /// You have completed; go back all the same.
    Compensate,
    /// Nothing more is wanted of you.
    Release,
}

/// What comes of a turn, beside the saga's new state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transition {
    /// What it wants, in order.
    pub out: Vec<Outgoing>,
    /// What happened, in order.
    pub facts: Vec<Fact>,
    /// Why an input was not taken. Then nothing else changed.
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
    /// The event finds no room, or nobody who could want it.
    #[error("{0}")]
    Event(String),
}

/// Takes one input.
pub fn turn(
    definition: &Definition,
    saga: &mut Saga,
    input: Input,
    moment: Moment,
    limits: Limits,
    gates: &mut dyn Gates,
) -> Transition {
    // An acknowledgement begins a clock, and changes nothing that a decision could read.
    let decides = !matches!(input, Input::Sent { .. });
    let out = Transition::default();
    let mut turn = Turn { definition, saga, moment, limits, gates, out, full: BTreeSet::new(), input: OnceCell::new() };
    turn.take(input);
    if decides {
        turn.run_to_rest();
    }
    turn.out
}

/// A saga in the middle of a turn.
pub(crate) struct Turn<'a> {
    pub definition: &'a Definition,
    pub saga: &'a mut Saga,
    pub moment: Moment,
    pub limits: Limits,
    pub gates: &'a mut dyn Gates,
    pub out: Transition,
    /// Participants that have no seat free: no place need ask them again before the next turn.
    pub full: BTreeSet<String>,
    /// The saga's input, decoded when an expression first reads it.
    pub input: OnceCell<Value>,
}

/// A place by its numbers: the step's, and the item's within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    pub step: u32,
    pub item: usize,
}

impl<'a> Turn<'a> {
    pub fn effect(&mut self, effect: u32) -> &mut Effect {
        self.saga.effects.get_mut(effect as usize).expect("effects are only appended, and numbered as they are")
    }

    pub fn step(&self, step: u32) -> &'a Step {
        self.definition.steps.get(step as usize).expect("a saga has as many steps as its definition")
    }

    pub fn step_of(&self, effect: u32) -> &'a Step {
        let step = self.saga.effects.get(effect as usize).map(|effect| effect.step);
        self.step(step.expect("effects are only appended, and numbered as they are"))
    }

    /// What an effect is: only calls and children make any.
    pub fn deed(&self, effect: u32) -> Deed<'a> {
        match &self.step_of(effect).verb {
            Verb::Call(call) => Deed::Call(call),
            Verb::Saga(child) => Deed::Child(child),
            Verb::Sleep(_) | Verb::Wait(_) | Verb::Until(_) | Verb::Approve(_) | Verb::Decide(_) => {
                unreachable!("only calls and children register effects")
            }
        }
    }

    pub fn place(&mut self, at: At) -> &mut Place {
        match &mut self.saga.steps[at.step as usize].state {
            StepState::Begun { places } => places.get_mut(at.item).expect("places are numbered as they are"),
            StepState::Waiting | StepState::Skipped => unreachable!("only a step that has begun has places"),
        }
    }

    /// The place of that name and round, if it is still in that round.
    pub fn at(&self, spot: &Spot) -> Option<At> {
        let item = spot.items.first().map_or(0, |item| *item as usize);
        let place = self.saga.steps.get(spot.step as usize)?.state.places().get(item)?;
        (place.round == spot.round).then_some(At { step: spot.step, item })
    }

    pub fn spot(&mut self, at: At) -> Spot {
        let items = if self.step(at.step).for_each.is_some() { vec![at.item as u32] } else { vec![] };
        Spot { step: at.step, items, round: self.place(at).round }
    }

    /// The place that an effect belongs to, if the place still waits for this very effect.
    pub fn place_of(&mut self, effect: u32) -> Option<At> {
        let spot = self.effect(effect).spot();
        let at = self.at(&spot)?;
        match &self.place(at).state {
            PlaceState::Active { effect: of } => *of == effect,
            PlaceState::Owed { effect: of, .. } | PlaceState::Held { effect: of, .. } => *of == Some(effect),
            PlaceState::Waiting
            | PlaceState::Guarded
            | PlaceState::Queued
            | PlaceState::Awaiting { .. }
            | PlaceState::Asking { .. }
            | PlaceState::Done { .. }
            | PlaceState::Known { .. }
            | PlaceState::Skipped
            | PlaceState::Continued => false,
        }
        .then_some(at)
    }

    pub fn fact(&mut self, fact: Fact) {
        self.out.facts.push(fact);
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Start { told } => self.start(told),
            Input::Sent { effect, kind, attempt, base } => self.sent(effect, kind, attempt, base),
            Input::Answer { effect, kind, attempt, answer, instance } => {
                self.answer(effect, kind, attempt, answer, instance);
            }
            Input::FactAnswer { fact, attempt, answer } => self.fact_answered(fact, attempt, answer),
            Input::Timer { kind, at } => self.timer(kind, at),
            Input::Request { id, by, roles, asked } => self.request(id, &Person { by, roles }, asked),
            Input::Told { fact, told } => self.take_told(fact, told, None),
            Input::Letter { step, event } => self.letter(step, event),
            Input::ChildEnded { at, end, child, result, reason } => self.child_ended(&at, end, child, result, reason),
            Input::Parent { word } => self.parent_says(word),
            Input::Admitted => {}
            Input::MayAsk { fact } => self.may_ask(fact),
            Input::AliasTaken { alias, value, holder } => self.alias_taken(&alias, &value, holder),
            Input::Fault { offset, reason } => self.become_stuck(Stuck::Fault { offset, reason }),
        }
    }

    /// What an input changed may let the saga go on, and what it left undecided earlier may be decided now.
    fn run_to_rest(&mut self) {
        loop {
            let Phase::Running { direction } = &self.saga.phase else { return };
            let before = std::mem::discriminant(direction);
            match direction {
                Direction::Forward => self.advance(),
                Direction::Aside { .. } | Direction::Back { .. } => self.undo_next(),
                Direction::Ensure { .. } => self.look_at_end(),
                Direction::Over { end, cause } => {
                    let (end, cause) = (*end, cause.clone());
                    self.end_again(end, cause);
                }
            }
            match &self.saga.phase {
                Phase::Running { direction } if std::mem::discriminant(direction) != before => {}
                Phase::Running { .. } | Phase::Stuck { .. } | Phase::Ended { .. } => return,
            }
        }
    }
}

/// What an effect is.
#[derive(Clone, Copy)]
pub(crate) enum Deed<'a> {
    /// A command to a participant.
    Call(&'a Call),
    /// Another saga.
    Child(&'a Child),
}
