//! What a saga knows of the world around it: facts, events that wait to be wanted, names by which it can be found.

use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Millis, SagaId, wire_enum, wire_struct};

wire_struct! {
    /// What is known of one fact.
    pub struct FactState {
        /// Canonical JSON.
        pub value: Bytes,
        /// Its version, where it has one.
        pub seq: Option<i64>,
        /// Log time when it was last told; none: it is the initial value.
        pub told_at: Option<Millis>,
        /// Who set it, where a person did.
        pub by: Option<String>,
        /// How often a participant was asked for it; the newest asking's number.
        pub asked: u32,
        /// How far the newest asking is.
        pub asking: Asking,
    }
}

wire_enum! {
    /// How far the newest asking for a fact is. Whoever waits for a seat is not asked twice: its time goes on once it has asked.
    ///
    /// | is \ comes  | its time, or it may ask | no seat is free | a value: `Succeeded`     | another last word | 30 s  | an older asking's, or a second one |
    /// |-------------|-------------------------|-----------------|--------------------------|-------------------|-------|------------------------------------|
    /// | IDLE        | OPEN                    | WAITS           | -                        | -                 | -     | -                                  |
    /// | OPEN        | OPEN, anew              | WAITS (open)    | IDLE, the fact is so     | IDLE              | LATE  | -                                  |
    /// | LATE        | OPEN, anew              | WAITS (open)    | IDLE, the fact is so     | IDLE              | -     | -                                  |
    /// | WAITS (open)| OPEN, anew              | -               | WAITS, the fact is so    | WAITS             | -     | -                                  |
    /// | WAITS       | OPEN, anew              | -               | -                        | -                 | -     | -                                  |
    #[derive(Copy)]
    pub enum Asking {
        /// Nobody was asked, or whoever was has answered.
        Idle,
        /// An answer is awaited.
        Open,
        /// An answer is awaited, and takes so long that it has no seat any more.
        Late,
        /// It is due, and waits until its participant takes it.
        Waits {
            /// Log time since when.
            since: Millis,
            /// The asking before it has no answer: one that comes is news.
            open: bool,
        },
    }
}

impl Asking {
    /// Whether an answer to the newest asking is news.
    pub fn is_open(self) -> bool {
        match self {
            Self::Open | Self::Late => true,
            Self::Waits { open, .. } => open,
            Self::Idle => false,
        }
    }

    /// The newest asking has its answer.
    pub(crate) fn answered(self) -> Self {
        match self {
            Self::Waits { since, .. } => Self::Waits { since, open: false },
            Self::Idle | Self::Open | Self::Late => Self::Idle,
        }
    }
}

wire_struct! {
    /// An event that waits to be wanted.
    pub struct Letter {
        /// The step that may want it.
        pub step: u32,
        /// Canonical JSON.
        pub event: Bytes,
        /// Log time when it came.
        pub came_at: Millis,
    }
}

wire_struct! {
    /// Another name by which events find the saga.
    pub struct BoundAlias {
        /// Which alias.
        pub alias: String,
        /// Its value.
        pub value: String,
        /// Whom it names instead, where it was taken.
        pub taken_by: Option<SagaId>,
    }
}

wire_struct! {
    /// How often one `back_to` was followed.
    pub struct Loop {
        /// From where.
        pub from: LoopFrom,
        /// How often.
        pub times: u32,
    }
}

wire_enum! {
    /// A word of the definition that says `back_to`. Each has a bound of its own; all items of a step share it, for they go back together.
    #[derive(PartialOrd, Ord)]
    pub enum LoopFrom {
        /// A step's.
        Step {
            /// Its number.
            step: u32,
            /// Which of its words.
            word: StepWord,
        },
        /// A reaction's.
        Reaction {
            /// Its number.
            rule: u32,
        },
    }
}

wire_enum! {
    /// One of a step's words, by what it is said of.
    #[derive(PartialOrd, Ord)]
    pub enum StepWord {
        /// The guard does not hold.
        Guard,
        /// A refusal that is named.
        Refused {
            /// Its code.
            code: String,
        },
        /// Any other refusal.
        RefusedElse,
        /// Attempts used up, or a child that did not complete.
        Failed,
        /// Awaited in vain.
        InVain,
        /// What people chose.
        Choice {
            /// The choice.
            choice: String,
        },
    }
}
