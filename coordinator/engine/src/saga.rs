//! A saga's state: everything that is known of it, and nothing that can be derived. Its binary form is the store's, never a topic's.

use std::collections::BTreeMap;

use sagaline_schemas::record::{End, Kind};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Digest, Millis, Offset, SagaId, wire_enum, wire_struct};

use crate::ledger::{Outcome, Undo};

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
        /// What it is about.
        pub phase: Phase,
        /// Its deadline has passed while it could not act on it.
        pub overdue: bool,
        /// One per step of the definition, in file order.
        pub steps: Vec<StepState>,
        /// Everything it ever wanted done, in the order in which that was decided.
        pub effects: Vec<Effect>,
        /// Durations and due times. The partition's timers are an index of these.
        pub timers: Vec<Timer>,
        /// The command partition per participant: the one it used first.
        pub routes: Vec<Route>,
        /// How long its history is, and the hash over it.
        pub history: HistoryHead,
        /// W3C trace context that it began in.
        pub traceparent: Option<String>,
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
        /// Effects are undone.
        Back {
            /// Why.
            cause: Cause,
        },
    }
}

wire_enum! {
    /// Why a saga goes back.
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
    }
}

wire_enum! {
    /// Why a saga waits for a person.
    pub enum Stuck {
        /// A step's word says so.
        Step {
            /// The step.
            step: u32,
            /// What happened.
            cause: Cause,
        },
        /// An expression has no value.
        Expression {
            /// The step; none: the start.
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
    }
}

wire_enum! {
    /// How far a step is.
    pub enum StepState {
        /// Not begun.
        Waiting,
        /// Its condition was false.
        Skipped,
        /// Its effect is under way.
        Active {
            /// Number of the effect.
            effect: u32,
        },
        /// Done, with a result.
        Done {
            /// Number of the effect.
            effect: u32,
        },
        /// Counts as done, with a null result.
        Continued,
    }
}

impl StepState {
    /// Whether what comes after this step may begin.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Waiting | Self::Active { .. } => false,
            Self::Skipped | Self::Done { .. } | Self::Continued => true,
        }
    }
}

wire_struct! {
    /// One thing wanted of the world, over all its attempts, with its own undoing.
    pub struct Effect {
        /// The step's number.
        pub step: u32,
        /// Indices of the items; empty outside `for_each`.
        pub items: Vec<u32>,
        /// How often the step was begun anew before.
        pub round: u32,
        /// Offset of the input by which it was decided.
        pub decided: Offset,
        /// Log time then: what the command carries as `decided`.
        pub decided_at: Millis,
        /// Its input, canonical JSON, the same for every attempt.
        pub input: Bytes,
        /// What became of it.
        pub outcome: Outcome,
        /// Attempts at doing it.
        pub tries: Tries,
        /// What becomes of it when the saga goes back.
        pub undo: Undo,
        /// Attempts at undoing it.
        pub undo_tries: Tries,
        /// Its step's word has not been acted on: the saga was about something else.
        pub owed: bool,
        /// Answers that decided nothing: repeats, marks, late failures.
        pub repeats: u32,
    }
}

wire_struct! {
    /// Attempts of one kind at one effect.
    #[derive(Default)]
    pub struct Tries {
        /// Commands decided; the newest attempt's number.
        pub count: u32,
        /// Attempts that no longer count against the policy: those before a person's retry.
        pub forgiven: u32,
        /// Log time of the first command: what commands carry as `first`.
        pub first: Millis,
        /// When the first counting attempt's clock began.
        pub begun: Option<Millis>,
        /// The next attempt is due, and waits until the saga may decide.
        pub resting: bool,
    }
}

wire_struct! {
    /// A duration that runs, or will from the next Progress on.
    pub struct Timer {
        /// What it is for.
        pub kind: TimerKind,
        /// The effect; none for the saga's own.
        pub effect: Option<u32>,
        /// When.
        pub start: TimerStart,
    }
}

wire_enum! {
    /// What a timer is for. In the order in which timers of one moment fire.
    #[derive(Copy, PartialOrd, Ord)]
    pub enum TimerKind {
        /// The saga's time is up.
        Deadline,
        /// An attempt's time is up.
        Attempt,
        /// The next attempt is due.
        Backoff,
        /// An undoing attempt's time is up.
        UndoAttempt,
        /// The next undoing attempt is due.
        UndoBackoff,
        /// The ended saga is forgotten.
        Forget,
    }
}

wire_enum! {
    /// When a timer fires.
    #[derive(Copy)]
    pub enum TimerStart {
        /// So long after the first Progress to come.
        Waiting {
            /// Milliseconds.
            duration: Millis,
        },
        /// At this log time.
        Due {
            /// Milliseconds since 1970.
            at: Millis,
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

    /// Whether it undoes effects.
    pub fn goes_back(&self) -> bool {
        matches!(self.phase, Phase::Running { direction: Direction::Back { .. } })
    }

    /// Whether it is over.
    pub fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended { .. })
    }

    /// The newest effect of that name and round.
    pub fn effect_at(&self, step: u32, items: &[u32], round: u32) -> Option<u32> {
        let at = self.effects.iter().position(|e| e.step == step && e.round == round && e.items == items)?;
        u32::try_from(at).ok()
    }

    /// Attempts of one kind at an effect.
    pub fn tries(&self, effect: u32, kind: Kind) -> Option<&Tries> {
        let effect = self.effects.get(effect as usize)?;
        match kind {
            Kind::Do => Some(&effect.tries),
            Kind::Compensate => Some(&effect.undo_tries),
            Kind::Probe | Kind::Ask => None,
        }
    }

    /// Time passes: every duration that waited for it begins.
    pub fn begin_durations(&mut self, base: Millis) {
        for timer in &mut self.timers {
            let TimerStart::Waiting { duration } = timer.start else {
                continue;
            };
            timer.start = TimerStart::Due { at: base.saturating_add(duration) };
            let Some(effect) = timer.effect.and_then(|effect| self.effects.get_mut(effect as usize)) else {
                continue;
            };
            match timer.kind {
                TimerKind::Attempt => _ = effect.tries.begun.get_or_insert(base),
                TimerKind::UndoAttempt => _ = effect.undo_tries.begun.get_or_insert(base),
                TimerKind::Deadline | TimerKind::Backoff | TimerKind::UndoBackoff | TimerKind::Forget => {}
            }
        }
    }

    /// A timer is passed over: the attempt that it stood for is due when a person lets the saga go on.
    pub fn rest_instead(&mut self, kind: TimerKind, effect: Option<u32>) {
        self.timers.retain(|timer| (timer.kind, timer.effect) != (kind, effect));
        let Some(effect) = effect.and_then(|effect| self.effects.get_mut(effect as usize)) else {
            return;
        };
        match kind {
            TimerKind::Attempt | TimerKind::Backoff => effect.tries.resting = true,
            TimerKind::UndoAttempt | TimerKind::UndoBackoff => effect.undo_tries.resting = true,
            TimerKind::Deadline | TimerKind::Forget => {}
        }
    }

    /// Whether a duration waits to begin.
    pub fn has_waiting_durations(&self) -> bool {
        self.timers.iter().any(|timer| matches!(timer.start, TimerStart::Waiting { .. }))
    }

    /// Timers by what they are for: the index that the partition keeps.
    pub fn timer_index(&self) -> BTreeMap<(Option<u32>, TimerKind), TimerStart> {
        self.timers.iter().map(|timer| ((timer.effect, timer.kind), timer.start)).collect()
    }
}
