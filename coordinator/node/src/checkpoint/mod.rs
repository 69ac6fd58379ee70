//! Checkpoints of inbox partitions: a store as it was at one offset, in an object store, believed only once the log folded anew gives the same
//! (docs/adr/0014). Nothing here is known to a fold, and nothing here is in the log: a checkpoint is a cache that outlives its machine.

mod check;
mod manifest;
mod restore;
mod shelf;
mod take;
#[cfg(test)]
mod tests;
mod trim;
mod vault;

use std::sync::Arc;
use std::time::Duration;

use sagaline_log::LogError;
use sagaline_partition::store::StoreError;

pub use check::{Check, Looked};
pub use manifest::{Manifest, Part, Source, Verdict};
pub use restore::{Choice, Restorer};
pub use shelf::{Found, Kept, Shelf, Standing};
pub use take::{About, upload};
pub use trim::{Place, bound};
pub use vault::{Object, Vault};

use crate::owner::stop::{log_may_pass, store_may_pass};
use crate::verify::VerifyError;

/// How a node keeps checkpoints.
#[derive(Clone, Debug)]
pub struct Keeping {
    /// Where they lie.
    pub vault: Arc<Vault>,
    /// How often one of each partition is taken; none: only when somebody asks.
    pub every: Option<Duration>,
    /// How many verified ones of each partition are kept, two at least.
    pub keep: usize,
    /// Whether records of the inbox are deleted that no store needs any more.
    pub trim: bool,
}

/// What goes wrong with checkpoints. Each says what, where, and the way out; none of them stops a fold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// This is not where checkpoints can lie.
    #[error("{url:?} is no place for checkpoints: {detail}")]
    Address {
        /// What was given.
        url: String,
        /// What would be right.
        detail: String,
    },
    /// The object store does not do what it should.
    #[error("the checkpoints at {place} can't be reached: {detail}")]
    Vault {
        /// Which object.
        place: String,
        /// What the object store says.
        detail: String,
    },
    /// The local disk does not do what it should.
    #[error("{place}: {detail}")]
    Disk {
        /// File or folder.
        place: String,
        /// What the system says.
        detail: String,
    },
    /// No holder of the log's key has written this about this log.
    #[error(
        "{place} is not sealed with this log's key: it was damaged, belongs to another log, or was written by somebody else. It is not used"
    )]
    Unproven {
        /// Which object.
        place: String,
    },
    /// It is sealed, and not what this program reads.
    #[error("{place} can't be read by this program: {detail}")]
    Unreadable {
        /// Which object.
        place: String,
        /// What is wrong.
        detail: String,
    },
    /// A file is not what the manifest says.
    #[error("{place} is damaged: {detail}. The checkpoint is not used")]
    Damaged {
        /// Which object.
        place: String,
        /// What is wrong.
        detail: String,
    },
    /// There is none that could be used.
    #[error("inbox partition {partition} has no checkpoint that can be used: {why}")]
    None {
        /// Inbox partition.
        partition: u32,
        /// What speaks against those that there are.
        why: String,
    },
    /// This node keeps none.
    #[error("this node keeps no checkpoints: set `checkpoints.url` in its configuration")]
    NotKept,
    /// The owner of the store could not make one.
    #[error("no checkpoint of inbox partition {partition} was made: {why}")]
    NotMade {
        /// Inbox partition.
        partition: u32,
        /// Why.
        why: String,
    },
    /// Whoever asked waits no more.
    #[error("given up: the node is being stopped")]
    GivenUp,
    /// A store does not do what it should.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log does not do what it should.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log can't be folded anew.
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

impl CheckpointError {
    /// Whether asking again may help, though nobody has said a word: the object store, the log or the disk did not do what it should.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Vault { .. } | Self::Disk { .. } | Self::GivenUp => true,
            Self::Store(error) => store_may_pass(error),
            Self::Log(error) => log_may_pass(error),
            Self::Address { .. }
            | Self::Unproven { .. }
            | Self::Unreadable { .. }
            | Self::Damaged { .. }
            | Self::None { .. }
            | Self::NotKept
            | Self::NotMade { .. }
            | Self::Verify(_) => false,
        }
    }
}
