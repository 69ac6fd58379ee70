//! Durations and due times. The list in the saga is the truth, the partition's timers are an index of it.

use sagaline_schemas::{Millis, wire_enum, wire_struct};

use super::Spot;

wire_struct! {
    /// A duration that runs, or will from the next Progress on.
    pub struct Timer {
        /// What it is for.
        pub kind: TimerKind,
        /// The place and round; none for the saga's own. A fact's number stands for the step's where the kind says so.
        pub at: Option<Spot>,
        /// When.
        pub start: TimerStart,
    }
}

wire_enum! {
    /// What a timer is for. In the order in which timers of one moment and place fire.
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
        /// A probe's time is up.
        ProbeAttempt,
        /// The next probe is due.
        ProbeBackoff,
        /// A sleep is over.
        Sleep,
        /// A wait's time is up.
        Within,
        /// Somebody is reminded of a wait.
        Remind,
        /// A wait goes to somebody else.
        Escalate,
        /// A step takes longer than it should.
        Expected,
        /// What must hold before the end does not hold in time.
        Ensure,
        /// A participant is asked for a fact; the place's step is the fact's number.
        AskFact,
        /// The answer about a fact takes too long to keep its seat; the place's step is the fact's number.
        AskTime,
    }
}

impl TimerKind {
    /// Whether a fact's number stands where others have a step's.
    pub fn is_of_fact(self) -> bool {
        matches!(self, Self::AskFact | Self::AskTime)
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

impl Timer {
    /// The step it belongs to; none for the saga's own.
    pub fn step(&self) -> Option<u32> {
        self.at.as_ref().map(|at| at.step)
    }
}
