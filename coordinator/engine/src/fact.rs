//! What happened to a saga, as values: the history's vocabulary, and what `events` is made from.

use sagaline_schemas::record::{End, Kind};
use sagaline_schemas::{Millis, RequestId, wire_enum, wire_struct};

use crate::saga::{Cause, Stuck};

wire_struct! {
    /// One step's effect, as people name it.
    pub struct Spot {
        /// The step's number.
        pub step: u32,
        /// Indices of the items; empty outside `for_each`.
        pub items: Vec<u32>,
        /// How often the step was begun anew before.
        pub round: u32,
    }
}

wire_enum! {
    /// What an answer said, without its payload.
    pub enum AnswerKind {
        /// Done.
        Succeeded,
        /// Definitely not done.
        Refused {
            /// The refusal's code.
            code: String,
        },
        /// The attempt brought nothing.
        Failed {
            /// For people.
            error: String,
        },
        /// Under way.
        Working {
            /// Until then.
            until: Millis,
        },
        /// Undone.
        Compensated,
        /// There was nothing to undo.
        NothingThere,
        /// The effect store held a mark instead of an answer.
        Marked {
            /// Which.
            mark: String,
        },
    }
}

wire_enum! {
    /// Something that happened to a saga.
    pub enum Fact {
        /// It began.
        Started,
        /// A step's condition was false.
        Skipped {
            /// The step.
            step: u32,
        },
        /// A command was decided.
        Decided {
            /// Which effect.
            spot: Spot,
            /// What is wanted.
            kind: Kind,
            /// Which attempt.
            attempt: u32,
        },
        /// A participant answered.
        Answered {
            /// Which effect.
            spot: Spot,
            /// What was wanted.
            kind: Kind,
            /// Which attempt.
            attempt: u32,
            /// What it said.
            answer: AnswerKind,
            /// Which instance answered.
            instance: String,
        },
        /// An attempt's time is up.
        TimedOut {
            /// Which effect.
            spot: Spot,
            /// What was wanted.
            kind: Kind,
            /// Which attempt.
            attempt: u32,
        },
        /// Attempts or total time are used up.
        UsedUp {
            /// Which effect.
            spot: Spot,
            /// What was wanted.
            kind: Kind,
        },
        /// A step counts as done without a result.
        Continued {
            /// The step.
            step: u32,
        },
        /// It goes back.
        TurnedBack {
            /// Why.
            cause: Cause,
        },
        /// It waits for a person.
        Stuck {
            /// Why.
            stuck: Stuck,
        },
        /// It goes on.
        Resumed {
            /// Why.
            because: String,
        },
        /// Its time is up, and it can't act on it.
        Overdue,
        /// A person asked for something.
        Asked {
            /// The request.
            request: RequestId,
            /// Who.
            by: String,
            /// What.
            what: String,
            /// Why.
            reason: String,
            /// Why not, where it was refused.
            refused: Option<String>,
        },
        /// It ended.
        Ended {
            /// How.
            end: End,
        },
    }
}
