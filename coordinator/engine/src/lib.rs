//! The engine: one saga, its definition, an input and the time go in; the saga's next state, commands and facts come out.
//! Pure. It knows no topics, stores, threads, clocks, randomness or logging, and it never panics on any input.
//!
//! Where to find a rule: outcomes of effects in `ledger.rs`, attempts and backoff in `attempts.rs`, going forward in `forward.rs`,
//! going back in `compensation.rs`, the words in `words.rs`, what people may ask in `request.rs`.

mod answer;
mod attempts;
mod compensation;
mod fact;
mod forward;
pub mod ledger;
mod names;
pub mod report;
mod request;
mod saga;
mod text;
mod timer;
mod turn;
pub mod validate;
mod words;

pub use fact::{AnswerKind, Fact, Spot};
pub use ledger::{Outcome, Undo};
pub use request::Asked;
pub use saga::{
    Cause, Direction, Effect, HistoryHead, Phase, Route, Saga, StepState, Stuck, Timer, TimerKind, TimerStart, Tries,
};
pub use text::{MAX_TEXT, shortened};
pub use turn::{Input, Limits, Moment, Outgoing, Rejected, Transition, turn};

#[cfg(test)]
mod tests;
