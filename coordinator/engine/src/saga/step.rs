//! How far steps are. A place is one item of a step; a step without `for_each` has one place.

use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Millis, wire_enum, wire_struct};

use super::Cause;

wire_struct! {
    /// One place in one round, as people and timers name it.
    #[derive(PartialOrd, Ord)]
    pub struct Spot {
        /// The step's number.
        pub step: u32,
        /// Indices of the items; empty outside `for_each`.
        pub items: Vec<u32>,
        /// How often the place was begun anew before.
        pub round: u32,
    }
}

wire_struct! {
    /// How far a step is.
    pub struct StepRun {
        /// The round in which its places begin.
        pub round: u32,
        /// How far.
        pub state: StepState,
    }
}

wire_enum! {
    /// How far a step is.
    pub enum StepState {
        /// Not begun.
        Waiting,
        /// Its condition was false.
        Skipped,
        /// Begun; done once its places are settled.
        Begun {
            /// One per item; one where there is no `for_each`.
            places: Vec<Place>,
        },
    }
}

wire_struct! {
    /// One item of a step.
    pub struct Place {
        /// The item of `for_each`, canonical JSON.
        pub item: Option<Bytes>,
        /// The input that a person gave instead of the definition's, canonical JSON.
        pub input: Option<Bytes>,
        /// How often it was begun anew before.
        pub round: u32,
        /// How far it is.
        pub state: PlaceState,
    }
}

wire_enum! {
    /// How far a place is.
    ///
    /// WAITING -> GUARDED | QUEUED -> ACTIVE | AWAITING | ASKING -> DONE | KNOWN, or OWED -> a word: SKIPPED | CONTINUED | HELD until a person
    /// releases it.
    pub enum PlaceState {
        /// Its turn comes.
        Waiting,
        /// Its guard does not hold: it is looked at again on each change.
        Guarded,
        /// Its participant takes nothing at the moment: paused, down, or busy up to its limits.
        Queued,
        /// An effect is under way.
        Active {
            /// Number of the effect.
            effect: u32,
        },
        /// It sleeps, or awaits an event or condition.
        Awaiting {
            /// Log time since when.
            since: Millis,
        },
        /// People are asked.
        Asking {
            /// What, whom, and what they have said.
            approval: Approval,
        },
        /// Something happened that asks for a word, and the saga decides nothing at the moment.
        Owed {
            /// What.
            cause: Cause,
            /// The effect, where there is one.
            effect: Option<u32>,
        },
        /// It rests with a work item.
        Held {
            /// Why.
            cause: Cause,
            /// The effect, where there is one.
            effect: Option<u32>,
        },
        /// Its effect happened.
        Done {
            /// Number of the effect.
            effect: u32,
        },
        /// It is done, and this is its result.
        Known {
            /// Canonical JSON.
            value: Bytes,
        },
        /// It is void: what it did, if anything, is undone.
        Skipped,
        /// It counts as done, with a null result; what it did stays.
        Continued,
    }
}

wire_struct! {
    /// People are asked to decide.
    pub struct Approval {
        /// Counts the askings of this step: who decides names what they have seen.
        pub version: i64,
        /// What they are shown, canonical JSON.
        pub shown: Bytes,
        /// Who may decide by now: roles and users.
        pub by: Vec<String>,
        /// Log time of the asking.
        pub since: Millis,
        /// What they have said.
        pub votes: Vec<Vote>,
    }
}

wire_struct! {
    /// What one person has said.
    pub struct Vote {
        /// Who.
        pub by: String,
        /// One of the choices.
        pub choice: String,
        /// Why.
        pub comment: String,
        /// Log time.
        pub at: Millis,
    }
}

impl StepState {
    /// Whether what comes after this step may begin.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Waiting => false,
            Self::Skipped => true,
            Self::Begun { places } => places.iter().all(|place| place.state.is_settled()),
        }
    }

    /// Its places; none before it begins.
    pub fn places(&self) -> &[Place] {
        match self {
            Self::Waiting | Self::Skipped => &[],
            Self::Begun { places } => places,
        }
    }
}

impl PlaceState {
    /// Whether it counts as done.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Waiting
            | Self::Guarded
            | Self::Queued
            | Self::Active { .. }
            | Self::Awaiting { .. }
            | Self::Asking { .. }
            | Self::Owed { .. }
            | Self::Held { .. } => false,
            Self::Done { .. } | Self::Known { .. } | Self::Skipped | Self::Continued => true,
        }
    }

    /// Whether it has its result: skipped and continued places have none.
    pub fn has_result(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Known { .. })
    }

    /// Whether it takes one of the seats of `at_once`.
    pub fn is_under_way(&self) -> bool {
        match self {
            Self::Active { .. } | Self::Awaiting { .. } | Self::Asking { .. } | Self::Owed { .. } => true,
            Self::Waiting
            | Self::Guarded
            | Self::Queued
            | Self::Held { .. }
            | Self::Done { .. }
            | Self::Known { .. }
            | Self::Skipped
            | Self::Continued => false,
        }
    }

    /// Whether no further place need be looked at for the seat that it was offered.
    pub fn takes_seat(&self) -> bool {
        *self == Self::Queued || self.is_under_way()
    }
}
