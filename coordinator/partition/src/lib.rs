//! One inbox partition: a pure fold over its records, on a store. Knows no Kafka, no sockets, no wall clock, no threads.
//! records.md's fold has eleven numbered lines; the comments `Line 1` .. `Line 11` name the place of each.

pub mod beside;
mod command;
pub mod digest;
mod door;
mod early;
mod event;
mod facts;
mod fault;
mod fold;
pub mod gate;
mod gates;
mod given;
mod halt;
mod history;
pub mod keys;
mod known;
pub mod limits;
mod mail;
mod message;
mod outage;
mod outbox;
mod overlay;
mod progress;
mod reply;
mod request;
mod rules;
mod sagas;
mod seats;
pub mod state;
pub mod store;
mod timers;
pub mod view;

pub use fault::{Ahead, LookAhead};
pub use fold::{FaultNote, Faults, Folded, LogRecord, Partition};
pub use halt::Halt;
pub use outbox::{EVENTS, Published, channel_of_commands, goes_to_inbox};
pub use rules::{KnownRules, OLDEST_RULES, RULES_VERSION, Rules};
pub use sagas::MAX_TRACEPARENT;
