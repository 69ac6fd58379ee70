//! Why a participant stops, and what is no reason to.

use sagaline_log::LogError;
use sagaline_schemas::{Offset, Partition};

use crate::contract::ContractErrors;
use crate::effects::EffectStoreError;

/// Why a participant stopped without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The declaration has mistakes.
    #[error("the participant's declaration has mistakes:\n{0}")]
    Contract(#[from] ContractErrors),
    /// The effect store fails.
    #[error(transparent)]
    EffectStore(#[from] EffectStoreError),
    /// The log can't be used.
    #[error("the log can't be used: {0}")]
    Log(#[from] LogError),
    /// Another instance works on the same commands, and neither sees the other's effects.
    #[error(
        "this instance has {held} of the {partitions} partitions of {topic}: another instance has the rest, and effects remembered on local disk \
         are not seen by both, so that an effect could happen twice. Run one instance, or use a store that all of them share"
    )]
    NotAlone {
        /// The command topic.
        topic: String,
        /// Partitions of this instance.
        held: usize,
        /// Partitions of the topic.
        partitions: u32,
    },
    /// Commands were handled before, and nothing is known of them.
    #[error(
        "the commands of {topic}/{partition} were handled up to {offset}, and the effect store is empty: it does not know what was done, and it would be \
         done again. Give this instance the store that was used until now; where that is lost, see 'An empty store' in docs/participants.md, and \
         --accept-empty-store"
    )]
    EmptyStore {
        /// The command topic.
        topic: String,
        /// The partition.
        partition: Partition,
        /// Where its group goes on.
        offset: Offset,
    },
    /// A command of a coordinator whose rules are newer than this participant.
    #[error(
        "{topic}/{partition} has a command at {offset} in the schema {schema:016x}, which this version does not know: update the participant. \
         Until then its commands wait there"
    )]
    Newer {
        /// The command topic.
        topic: String,
        /// The partition.
        partition: Partition,
        /// Where it lies.
        offset: Offset,
        /// Its schema's fingerprint.
        schema: u64,
    },
    /// A transaction needs a database that the effect store and the business share.
    #[error(
        "{operation:?} is declared in one transaction with its effect, and the effect store on local disk has none: use a PostgreSQL store (--postgres)"
    )]
    NoTransactions {
        /// Which operation.
        operation: String,
    },
    /// The thread can't be started, or has died.
    #[error("the participant's log thread died: {0}")]
    Thread(String),
}

/// What a broker that is away causes passes; the rest does not.
pub(super) fn passing(error: LogError) -> Result<(), LogError> {
    match error {
        LogError::Unreachable { .. }
        | LogError::OutcomeUnknown { .. }
        | LogError::Io { .. }
        | LogError::Rewritten { .. }
        | LogError::NoTopic { .. } => {
            tracing::warn!(%error, "no commands for the moment");
            Ok(())
        }
        LogError::TopicExists { .. }
        | LogError::OutOfRange { .. }
        | LogError::TooLarge { .. }
        | LogError::Forbidden { .. }
        | LogError::Corrupt { .. }
        | LogError::InUse { .. }
        | LogError::QueueFull { .. }
        | LogError::Address { .. } => Err(error),
    }
}
