//! What holds sagas back beside themselves, as the API tells it.

use sagaline_schemas::{Millis, Partition};
use serde::{Deserialize, Serialize};

/// What stands before a participant, a definition's sagas or all sagas, and holds them back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateLine {
    /// `participant/NAME`, `definition/NAME` or `all`.
    pub subject: String,
    /// The participant does not answer.
    pub down: Option<Down>,
    /// A person holds it.
    pub paused: Option<PausedBy>,
    /// Sagas that wait before it.
    pub held: u64,
    /// Questions about facts that wait before it.
    #[serde(default)]
    pub asking: u64,
    /// Commands and questions without an answer, where the contract limits them.
    pub in_flight: u64,
}

/// A participant that does not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Down {
    /// Since when; of several partitions the earliest. Milliseconds since 1970.
    pub since: Millis,
    /// The next command tries from then on.
    pub next: Millis,
    /// Those that think so: each sees only its own commands.
    pub partitions: Vec<Partition>,
}

/// A person's pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PausedBy {
    /// Since when, milliseconds since 1970.
    pub since: Millis,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}
