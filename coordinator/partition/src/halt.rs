//! Why a partition stops. Nothing is decided by stopping; each reason says what happened, where, and the way out.

use sagaline_schemas::{Fingerprint, Offset};

use crate::store::StoreError;

/// Why a partition stops.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// The store does not do what it should.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log does not begin as an inbox does.
    #[error(
        "offset {offset} of inbox partition {partition} is no Genesis of it: {detail}. `sagaline topics create` makes an inbox"
    )]
    NoGenesis {
        /// Inbox partition.
        partition: u32,
        /// Offset.
        offset: Offset,
        /// What it is instead.
        detail: String,
    },
    /// This node does not hold the log's key.
    #[error(
        "the log's key is {id:?} with fingerprint {wanted}, this node holds {held}: give it the key that `sagaline init` or `topics create` made"
    )]
    WrongKey {
        /// The key's name.
        id: String,
        /// Its fingerprint.
        wanted: Fingerprint,
        /// What this node holds.
        held: Fingerprint,
    },
    /// This program does not know the partition's rules. Nothing of that record is folded: a build that knows them goes on there.
    #[error(
        "the rules of inbox partition {partition} have version {wanted}, this program knows {}: {}",
        versions(*.oldest, *.newest),
        way_out(*.wanted, *.newest)
    )]
    UnknownRules {
        /// Inbox partition.
        partition: u32,
        /// The log's.
        wanted: u32,
        /// The oldest that this program knows.
        oldest: u32,
        /// The newest.
        newest: u32,
    },
    /// The record is not the one that is folded next.
    #[error("inbox partition {partition} expects offset {expected}, the log gave {got}: records were deleted")]
    Hole {
        /// Inbox partition.
        partition: u32,
        /// The next offset.
        expected: Offset,
        /// What came.
        got: Offset,
    },
    /// The newest owner published other outputs than this fold makes.
    #[error(
        "inbox partition {partition} has diverged: the Progress at offset {offset} confirms other outputs on {channel} through {through} than this node makes. \
         The store is kept. Compare both nodes' builds; `sagaline verify` refolds in a fresh process"
    )]
    Diverged {
        /// Inbox partition.
        partition: u32,
        /// Offset of the Progress.
        offset: Offset,
        /// The channel.
        channel: String,
        /// What it confirms.
        through: String,
    },
    /// A person had an input passed over that this node has folded.
    #[error(
        "the input at {offset}.{timer} is to be passed over (Fault at {fault}), and this store has folded it: it is folded anew without it"
    )]
    PassedOver {
        /// Offset of the input.
        offset: Offset,
        /// Timer within it.
        timer: u32,
        /// Offset of the Fault.
        fault: Offset,
    },
}

fn versions(oldest: u32, newest: u32) -> String {
    if oldest == newest { format!("version {newest}") } else { format!("versions {oldest} to {newest}") }
}

fn way_out(wanted: u32, newest: u32) -> String {
    if wanted > newest {
        format!(
            "run a build that knows version {wanted} on this node. Nothing is lost, nodes with such a build go on; there is no way back to this build"
        )
    } else {
        format!(
            "it has forgotten that version. Have a build that knows it fold the log, raise the rules there (`sagaline upgrade raise`), and start this \
             build on that store: without it, it can't begin at version {wanted}"
        )
    }
}
