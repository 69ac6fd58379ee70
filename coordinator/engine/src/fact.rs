//! What happened to a saga, as values: the history's vocabulary, and what `events` is made from.

use sagaline_schemas::record::{End, Happened, Kind};
use sagaline_schemas::{Millis, RequestId, wire_enum};

use crate::saga::{Cause, Goal, Spot, Stuck};

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
        /// What a probe found.
        Probed {
            /// Whether it happened.
            happened: Happened,
        },
        /// What all commands of the participant need is away.
        Unavailable {
            /// For people.
            error: String,
        },
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
        /// A step's guard does not hold: it is looked at again on each change.
        Guarded {
            /// The place.
            spot: Spot,
        },
        /// A place is done.
        Settled {
            /// The place.
            spot: Spot,
        },
        /// A place counts as done, without a result; what it did stays.
        Continued {
            /// The place.
            spot: Spot,
        },
        /// A place is void: what it did, if anything, is undone.
        Voided {
            /// The place.
            spot: Spot,
        },
        /// A place rests with a work item.
        Held {
            /// The place.
            spot: Spot,
            /// Why.
            cause: Cause,
        },
        /// A place waits for time, an event or a condition.
        Awaits {
            /// The place.
            spot: Spot,
        },
        /// What a place waited for did not come in time.
        WaitedInVain {
            /// The place.
            spot: Spot,
        },
        /// People are asked to decide.
        PeopleAsked {
            /// The place.
            spot: Spot,
            /// Who may.
            by: Vec<String>,
        },
        /// Somebody is reminded of a wait.
        Reminded {
            /// The place.
            spot: Spot,
        },
        /// Nobody decided: somebody else may, too.
        Escalated {
            /// The place.
            spot: Spot,
            /// Who.
            to: String,
        },
        /// What was shown is no longer true.
        ApprovalVoid {
            /// The place.
            spot: Spot,
        },
        /// People have decided.
        Chosen {
            /// The place.
            spot: Spot,
            /// What.
            choice: String,
            /// Who.
            by: Vec<String>,
        },
        /// A child saga ended.
        ChildEnded {
            /// The place that wanted it.
            spot: Spot,
            /// How.
            end: End,
        },
        /// A fact has changed.
        Told {
            /// Its number.
            fact: u32,
            /// Who set it, where a person did.
            by: Option<String>,
        },
        /// News of a fact was older than what is known.
        StaleNews {
            /// Its number.
            fact: u32,
        },
        /// An event came that a step awaits, or will.
        LetterCame {
            /// The step.
            step: u32,
        },
        /// The world turned, and the definition says something of it.
        Reacted {
            /// The rule's number.
            rule: u32,
        },
        /// What must hold before the end does not hold.
        EnsureFailed {
            /// The condition, and what was found.
            found: String,
        },
        /// Some effects are undone, then it goes on.
        SteppedAside {
            /// What for.
            goal: Goal,
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
        /// It takes longer than it should.
        Overdue {
            /// The step that does; none: the saga's time is up, and it can't act on it.
            step: Option<u32>,
        },
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
