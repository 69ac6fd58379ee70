//! A saga's state: everything that is known of it, and nothing that can be derived. Its binary form is the store's, never a topic's.

mod effect;
mod step;
mod timer;
mod world;

use std::collections::BTreeMap;

use sagaline_schemas::message::StepAddress;
use sagaline_schemas::record::End;
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Digest, Millis, Offset, SagaId, wire_enum, wire_struct};

use crate::request::PlaceName;

pub use self::effect::{Effect, KnownBy, Probing, Tries};
pub use self::step::{Approval, Place, PlaceState, Spot, StepRun, StepState, Vote};
pub use self::timer::{Timer, TimerKind, TimerStart};
pub use self::world::{Asking, BoundAlias, FactState, Letter, Loop, LoopFrom, StepWord};

wire_struct! {
    /// One life of one saga.
    pub struct Saga {
        /// Its id.
        pub id: SagaId,
        /// The definition it runs by, for its whole life.
        pub definition: Digest,
        /// Its correlation id.
        pub key: String,
        /// Offset of the record that began it.
        pub started: Offset,
        /// Log time when it began.
        pub started_at: Millis,
        /// What it began with, canonical JSON.
        pub input: Bytes,
        /// The step of another saga that waits for it.
        pub parent: Option<Parent>,
        /// What it is about.
        pub phase: Phase,
        /// Its deadline has passed while it could not act on it.
        pub overdue: bool,
        /// It begins nothing new until it is released; what is under way goes on.
        pub held: Option<Held>,
        /// Whose it is, where a person said so; none: the definition's owner.
        pub owner: Option<String>,
        /// One per step of the definition, in file order.
        pub steps: Vec<StepRun>,
        /// Everything it ever wanted done, in the order in which that was decided.
        pub effects: Vec<Effect>,
        /// Durations and due times. The partition's timers are an index of these.
        pub timers: Vec<Timer>,
        /// One per fact of the definition, in file order.
        pub facts: Vec<FactState>,
        /// One per reaction of the definition: whether its condition held when it was last looked at.
        pub reactions: Vec<bool>,
        /// Events that wait to be wanted, oldest first.
        pub letters: Vec<Letter>,
        /// Other names by which events find it.
        pub aliases: Vec<BoundAlias>,
        /// It has undone something and gone forward again.
        pub went_aside: bool,
        /// How often work went back.
        pub loops: Vec<Loop>,
        /// The command partition per participant: the one it used first.
        pub routes: Vec<Route>,
        /// How long its history is, and the hash over it.
        pub history: HistoryHead,
        /// W3C trace context that it began in.
        pub traceparent: Option<String>,
    }
}

wire_struct! {
    /// The step of another saga that waits for this one.
    pub struct Parent {
        /// The step.
        pub step: StepAddress,
        /// The parent's inbox partition.
        pub partition: u32,
        /// The parent has ended, or wants nothing more of this saga.
        pub released: bool,
    }
}

wire_struct! {
    /// A saga begins nothing new.
    pub struct Held {
        /// Who said so; a reaction's condition where the definition did.
        pub by: String,
        /// Why.
        pub reason: String,
        /// Log time.
        pub since: Millis,
    }
}

wire_enum! {
    /// What a saga is about.
    pub enum Phase {
        /// It takes decisions.
        Running {
            /// Which way.
            direction: Direction,
        },
        /// It decides nothing until a person asks; answers are still recorded.
        Stuck {
            /// Which way it was going.
            direction: Direction,
            /// Why it stopped.
            stuck: Stuck,
        },
        /// It is over.
        Ended {
            /// How.
            end: End,
            /// Log time.
            at: Millis,
            /// Why it went back, where it did.
            cause: Option<Cause>,
        },
    }
}

wire_enum! {
    /// Which way a saga goes.
    pub enum Direction {
        /// Steps are decided.
        Forward,
        /// Some effects are undone, then it goes forward again. Nothing else is decided meanwhile.
        Aside {
            /// What for.
            goal: Goal,
        },
        /// Effects are undone, then it ends.
        Back {
            /// Why.
            cause: Cause,
        },
        /// Everything is settled: what must hold before the end is looked at.
        Ensure {
            /// The end to be.
            end: End,
            /// Why it went back, where it did.
            cause: Option<Cause>,
        },
        /// It had ended, and its end was told; then something came that a person must look at.
        Over {
            /// How it had ended.
            end: End,
            /// Why it went back, where it did.
            cause: Option<Cause>,
        },
    }
}

wire_enum! {
    /// What a saga steps aside for.
    pub enum Goal {
        /// These places are void: once undone, they count as skipped.
        Void {
            /// Which.
            spots: Vec<Spot>,
        },
        /// A step and all after it run again.
        Again {
            /// The step.
            step: u32,
            /// Why.
            cause: Cause,
        },
    }
}

wire_enum! {
    /// Why a saga goes back, steps aside, or rests.
    pub enum Cause {
        /// Somebody asked.
        Cancelled {
            /// Who.
            by: String,
            /// Why.
            reason: String,
        },
        /// Its time is up.
        Deadline,
        /// A participant refused a step.
        Refused {
            /// The step.
            step: String,
            /// The refusal's code.
            code: String,
        },
        /// A step's attempts are used up, or it could not be decided.
        Failed {
            /// The step.
            step: String,
            /// What happened.
            error: String,
        },
        /// A step's guard does not hold.
        Guard {
            /// The step.
            step: String,
        },
        /// A step waited in vain.
        TimedOut {
            /// The step.
            step: String,
        },
        /// People chose.
        Chosen {
            /// The step.
            step: String,
            /// What.
            choice: String,
            /// Who.
            by: Vec<String>,
        },
        /// A child saga ended otherwise than completed.
        Child {
            /// The step.
            step: String,
            /// How.
            end: End,
            /// Why.
            reason: String,
        },
        /// The world turned.
        Reaction {
            /// The rule's condition.
            condition: String,
        },
        /// The saga that waits for this one goes back.
        Parent {
            /// Why.
            reason: String,
        },
    }
}

wire_enum! {
    /// Why a saga waits for a person.
    pub enum Stuck {
        /// A step's word says so.
        Step {
            /// Which place.
            spot: Spot,
            /// What happened.
            cause: Cause,
        },
        /// An expression has no value.
        Expression {
            /// The step; none: one of the saga's own.
            step: Option<u32>,
            /// The expression, what is wrong and the values concerned.
            error: String,
        },
        /// A participant said both that an effect happened and that it did not.
        Contradiction {
            /// Number of the effect.
            effect: u32,
        },
        /// An effect can't be undone: attempts used up, or the participant has forgotten it.
        Compensation {
            /// Number of the effect.
            effect: u32,
            /// What happened last.
            error: String,
        },
        /// An effect happened after its participant had said that there was nothing to undo.
        LateSuccess {
            /// Number of the effect.
            effect: u32,
        },
        /// Its time is up.
        Deadline,
        /// An input that killed the fold was passed over.
        Fault {
            /// Offset of that input.
            offset: i64,
            /// Why it was passed over.
            reason: String,
        },
        /// A reaction's word says so.
        Reaction {
            /// The rule's number.
            rule: u32,
        },
        /// What must hold before the end does not hold.
        Ensure {
            /// The condition, and what was found.
            found: String,
        },
        /// An alias that it wanted names another saga.
        AliasTaken {
            /// Which alias.
            alias: String,
            /// Its value.
            value: String,
            /// Whom it names.
            holder: SagaId,
        },
    }
}

wire_struct! {
    /// The command partition of one participant.
    pub struct Route {
        /// The participant.
        pub participant: String,
        /// The partition.
        pub partition: u32,
    }
}

wire_struct! {
    /// How long a history is, and the hash over it.
    #[derive(Default)]
    pub struct HistoryHead {
        /// Entries.
        pub length: u32,
        /// BLAKE3 over the last head and the newest entry.
        pub hash: Option<Digest>,
    }
}

impl Saga {
    /// Whether it takes decisions forward.
    pub fn goes_forward(&self) -> bool {
        matches!(self.phase, Phase::Running { direction: Direction::Forward })
    }

    /// Whether it undoes effects, to end or to go on.
    pub fn undoes(&self) -> bool {
        matches!(self.phase, Phase::Running { direction: Direction::Back { .. } | Direction::Aside { .. } })
    }

    /// Which way it goes, or was going when it got stuck; none once it has ended.
    pub fn direction(&self) -> Option<&Direction> {
        match &self.phase {
            Phase::Running { direction } | Phase::Stuck { direction, .. } => Some(direction),
            Phase::Ended { .. } => None,
        }
    }

    /// Whether it is over.
    pub fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended { .. })
    }

    /// The effect of that place and round.
    pub fn effect_at(&self, step: u32, items: &[u32], round: u32) -> Option<u32> {
        let at = self.effects.iter().position(|e| e.step == step && e.round == round && e.items == items)?;
        u32::try_from(at).ok()
    }

    /// The newest effect of a step; of one that goes through a list, of each of its places: those of the list as it is now, or as it was, where
    /// the step has not begun anew.
    pub fn newest_effects(&self, step: u32, goes_through_a_list: bool) -> Vec<Option<u32>> {
        let all = || (0..).zip(&self.effects).filter(|(_, effect)| effect.step == step);
        if !goes_through_a_list {
            return all().last().map(|(number, _)| Some(number)).into_iter().collect();
        }
        let item = |effect: &Effect| effect.items.first().map_or(0, |item| *item as usize);
        let count = match self.steps.get(step as usize).map(|run| &run.state) {
            Some(StepState::Begun { places }) => places.len(),
            Some(StepState::Waiting | StepState::Skipped) | None => {
                all().map(|(_, effect)| item(effect) + 1).max().unwrap_or(0)
            }
        };
        let mut newest = vec![None; count];
        for (number, effect) in all() {
            if let Some(place) = newest.get_mut(item(effect)) {
                *place = Some(number);
            }
        }
        newest
    }

    /// The effect that people mean: of the round that they name, or the newest.
    pub fn effect_meant(&self, step: u32, place: &PlaceName) -> Option<u32> {
        let fits = |effect: &Effect| {
            let round = place.round.is_none_or(|round| effect.round == round);
            effect.step == step && effect.items == place.items && round
        };
        self.effects.iter().rposition(fits).and_then(|at| u32::try_from(at).ok())
    }

    /// Time passes: every duration that waited for it begins.
    pub fn begin_durations(&mut self, base: Millis) {
        for timer in &mut self.timers {
            let TimerStart::Waiting { duration } = timer.start else {
                continue;
            };
            timer.start = TimerStart::Due { at: base.saturating_add(duration) };
            let Some(at) = &timer.at else { continue };
            let of = |e: &&mut Effect| e.step == at.step && e.round == at.round && e.items == at.items;
            let tries = |e| tries_of_clock(e, timer.kind);
            if let Some(tries) = self.effects.iter_mut().find(of).and_then(tries) {
                tries.begin(base);
            }
        }
    }

    /// Whether a duration waits to begin.
    pub fn has_waiting_durations(&self) -> bool {
        self.timers.iter().any(|timer| matches!(timer.start, TimerStart::Waiting { .. }))
    }

    /// Timers by what they are for: the index that the partition keeps.
    pub fn timer_index(&self) -> BTreeMap<(Option<Spot>, TimerKind), TimerStart> {
        self.timers.iter().map(|timer| ((timer.at.clone(), timer.kind), timer.start)).collect()
    }
}

/// The attempts whose clock a timer is; none where it is no attempt's.
fn tries_of_clock(effect: &mut Effect, kind: TimerKind) -> Option<&mut Tries> {
    match kind {
        TimerKind::Attempt => Some(&mut effect.tries),
        TimerKind::UndoAttempt => Some(&mut effect.undo_tries),
        TimerKind::ProbeAttempt => Some(&mut effect.probe_tries),
        TimerKind::Deadline
        | TimerKind::Backoff
        | TimerKind::UndoBackoff
        | TimerKind::ProbeBackoff
        | TimerKind::Forget
        | TimerKind::Sleep
        | TimerKind::Within
        | TimerKind::Remind
        | TimerKind::Escalate
        | TimerKind::Expected
        | TimerKind::Ensure
        | TimerKind::AskFact
        | TimerKind::AskTime => None,
    }
}

/// For people: one sentence.
impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cancelled { by, reason } => write!(f, "{by} asked: {reason}"),
            Self::Deadline => f.write_str("its time is up"),
            Self::Refused { step, code } => write!(f, "{step} was refused: {code}"),
            Self::Failed { step, error } => write!(f, "{step} failed: {error}"),
            Self::Guard { step } => write!(f, "the guard of {step} does not hold"),
            Self::TimedOut { step } => write!(f, "{step} waited in vain"),
            Self::Chosen { step, choice, by } => write!(f, "{step}: {} chose {choice}", by.join(", ")),
            Self::Child { step, end, reason } => write!(f, "the child saga of {step} ended {end:?}: {reason}"),
            Self::Reaction { condition } => write!(f, "the world turned: {condition}"),
            Self::Parent { reason } => write!(f, "the saga that waits for it goes back: {reason}"),
        }
    }
}
