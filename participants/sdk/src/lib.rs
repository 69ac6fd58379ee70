//! The SDK for participants: it does what the protocol asks (docs/protocol.md), so that an author writes handlers and nothing else.
//! The effect store (`effects`) decides, the runner reads, answers and commits. No participant's business lives here, and no fault injection.

pub mod cli;
mod contract;
pub mod effects;
mod handler;
mod participant;
mod payload;
mod runner;

pub use contract::{ContractError, ContractErrors};
pub use effects::{Idempotence, Transaction};
pub use handler::{Effect, HandlerError, HandlerOutcome, Known};
pub use participant::{Config, Participant};
pub use payload::{EffectKey, Nothing, Payload};
#[doc(hidden)]
pub use payload::{field, record};
pub use runner::RunError;
#[doc(hidden)]
pub use sagaline_schemas::wire::Named;
#[doc(hidden)]
pub use serde_json::Value as Json;
/// The same version of the database's library as the SDK's.
pub use sqlx;
