//! The engine: one saga, its definition, an input and the time go in; the saga's next state, commands and facts come out.
//! Pure. It knows no topics, stores, threads, clocks, randomness or logging, and it never panics on any input.
//!
//! Where to find a rule: outcomes of effects in `ledger.rs`, what an answer means in `answer.rs`, attempts and backoff in `attempts.rs`, going
//! forward in `forward.rs`, going back and aside in `compensation.rs`, the six words in `words.rs`, what people may ask in `request.rs`.

mod alias;
mod answer;
mod approve;
mod attempts;
mod by_hand;
pub mod calendar;
mod call;
mod child;
mod compensation;
mod ending;
mod fact;
mod forward;
pub mod ledger;
mod loops;
mod names;
mod probe;
pub mod report;
mod request;
mod saga;
mod text;
mod timer;
mod told;
mod turn;
pub mod validate;
mod wait;
mod words;

pub use by_hand::NOT_DONE_BY_HAND;
pub use fact::{AnswerKind, Fact};
pub use ledger::{Outcome, Undo};
pub use loops::from_here;
pub use probe::NEVER_HAPPENED;
pub use request::{Asked, PlaceName};
pub use saga::{
    Approval, Asking, BoundAlias, Cause, Direction, Effect, FactState, Goal, Held, HistoryHead, KnownBy, Letter, Loop,
    LoopFrom, Parent, Phase, Place, PlaceState, Probing, Route, Saga, Spot, StepRun, StepState, StepWord, Stuck, Timer,
    TimerKind, TimerStart, Tries, Vote,
};
pub use text::{MAX_TEXT, shortened};
pub use timer::rest_instead;
pub use told::{Told, told};
pub use turn::{ChildWord, Gates, Input, Limits, Moment, OpenGates, Outgoing, ParentWord, Rejected, Transition, turn};

#[cfg(test)]
mod tests;
