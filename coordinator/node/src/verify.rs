//! Is the store what its log says? The log is folded anew into an empty store up to the same place, and both are compared byte for byte by
//! their digests. And the way out when it is not: dropping the store. The live store is only read here.

use std::path::Path;
use std::time::Duration;

use sagaline_log::{Fetched, Log, LogError};
use sagaline_partition::digest::digest;
use sagaline_partition::state::{Folding, Meta};
use sagaline_partition::store::{Read, Store, StoreError};
use sagaline_partition::{FaultNote, Faults, Folded, Halt, LogRecord, Partition, view};
use sagaline_schemas::proof::Key;
use sagaline_schemas::record::Body;
use sagaline_schemas::{Digest, Offset};
use sagaline_store::RocksStore;

use crate::{Names, sealed};

/// Records asked for at once.
const AT_ONCE: usize = 1_000;
/// The batch in memory is written after so many records.
const COMMIT_EVERY: usize = 2_000;
/// Polls that may bring nothing, although the log holds more, before the log is given up.
const MAX_EMPTY: u32 = 100;

/// What was compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Inbox partition.
    pub partition: u32,
    /// Every record below is in it.
    pub position: Offset,
    /// Digest of the store.
    pub stored: Digest,
    /// Digest of the log folded anew.
    pub refolded: Digest,
}

impl Verified {
    /// Whether the store is what its log says.
    pub fn same(&self) -> bool {
        self.stored == self.refolded
    }
}

/// Why nothing could be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The log can't be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log can't be folded.
    #[error(transparent)]
    Halt(Halt),
    /// What it is folded upon could not be had.
    #[error("{0}")]
    Base(String),
    /// Whoever asked waits no more.
    #[error("given up: the node is being stopped")]
    GivenUp,
    /// The log ends before the store.
    #[error(
        "the store of inbox partition {partition} is at offset {position}, its log brings nothing behind {reached}"
    )]
    Short {
        /// Inbox partition.
        partition: u32,
        /// The store's position.
        position: Offset,
        /// How far the log was read.
        reached: Offset,
    },
}

/// What is folded anew.
pub struct Refold<'a> {
    /// The log.
    pub log: &'a dyn Log,
    /// What the topics are called.
    pub names: &'a Names,
    /// The log's key.
    pub key: &'a Key,
    /// Inbox partition.
    pub partition: u32,
}

/// How far a log is folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goal {
    /// The record that is folded next, or is being folded.
    pub next: Offset,
    /// How far that record is.
    pub folding: Folding,
}

impl Goal {
    /// Where a store stands.
    pub fn of(meta: &Meta) -> Self {
        Self { next: meta.next, folding: meta.folding.clone() }
    }

    /// Between two records.
    pub fn before(next: Offset) -> Self {
        Self { next, folding: Folding::Between }
    }

    fn is_met(&self, partition: &Partition) -> bool {
        let place = partition.meta().map(|meta| (meta.next, &meta.folding));
        place == Some((self.next, &self.folding)) || self.folding == Folding::Between && partition.next() >= self.next
    }
}

/// Gives a store to fold upon: empty, or such as once held less of the same log, of no record at or behind the offset that it is told.
pub type Base<'a> = &'a mut dyn FnMut(Offset) -> Result<Box<dyn Store>, VerifyError>;
/// Is told how far the fold is, now and then. False: give up.
pub type Watch<'a> = &'a dyn Fn(Offset) -> bool;

impl Refold<'_> {
    /// Compares a store with its log. `live` must not change meanwhile: a stopped node's store, or a snapshot. More than one base is asked for
    /// where people had inputs passed over.
    ///
    /// # Errors
    /// When either can't be read, or the log can't be folded.
    pub fn verify(&self, live: &dyn Read, base: Base<'_>) -> Result<Verified, VerifyError> {
        let position = view::meta(live)?.map_or(0, |meta| meta.next);
        let stored = digest(live)?;
        let refolded = match view::meta(live)? {
            Some(meta) => digest(&*self.up_to(&Goal::of(&meta), base, &|_| true)?.reader())?,
            None => digest(&*base(0)?)?,
        };
        Ok(Verified { partition: self.partition, position, stored, refolded })
    }

    /// Folds the log from a base on up to the goal.
    ///
    /// # Errors
    /// When the log can't be read or folded, or `watch` gives up.
    pub fn up_to(&self, goal: &Goal, base: Base<'_>, watch: Watch<'_>) -> Result<Partition, VerifyError> {
        let mut faults = Faults::new();
        loop {
            // An input that is passed over must not be in what is folded upon.
            let below = faults.keys().map(|(offset, _)| *offset).min().unwrap_or(goal.next).min(goal.next);
            let store = base(below)?;
            let mut partition =
                Partition::open(self.partition, store, self.key.clone(), faults.clone()).map_err(VerifyError::Halt)?;
            match self.fold_up_to(&mut partition, goal, watch)? {
                Reached::Place => return Ok(partition),
                Reached::Fault { offset, timer, note } => faults.insert((offset, timer), note),
            };
        }
    }

    fn fold_up_to(&self, partition: &mut Partition, goal: &Goal, watch: Watch<'_>) -> Result<Reached, VerifyError> {
        let mut reader = self.log.reader(&self.names.inbox(), self.partition, partition.next())?;
        let (mut records, mut empty, mut uncommitted) = (Vec::new(), 0, 0);
        while !goal.is_met(partition) {
            if !watch(partition.next()) {
                return Err(VerifyError::GivenUp);
            }
            reader.poll(AT_ONCE, Duration::from_millis(100), &mut records)?;
            empty = if records.is_empty() { empty + 1 } else { 0 };
            if empty > MAX_EMPTY {
                let (partition, position, reached) = (self.partition, goal.next, partition.next());
                return Err(VerifyError::Short { partition, position, reached });
            }
            for fetched in records.drain(..) {
                if goal.is_met(partition) {
                    break;
                }
                if let Some(fault) = self.fold_one(partition, &fetched, goal)? {
                    return Ok(fault);
                }
                uncommitted += 1;
                if uncommitted >= COMMIT_EVERY {
                    partition.commit()?;
                    uncommitted = 0;
                }
            }
        }
        partition.commit()?;
        Ok(Reached::Place)
    }

    /// One record, or as much of it as the goal says.
    fn fold_one(
        &self,
        partition: &mut Partition,
        fetched: &Fetched,
        goal: &Goal,
    ) -> Result<Option<Reached>, VerifyError> {
        let record = LogRecord { offset: fetched.offset, timestamp: fetched.timestamp, value: &fetched.record.value };
        // Where the goal lies in the middle of this record, it is gone through timer by timer.
        let budget = if fetched.offset == goal.next { 1 } else { u32::MAX };
        loop {
            partition.take_published();
            match partition.fold(record, budget) {
                Ok(Folded::Whole) => return Ok(None),
                Ok(Folded::More) if goal.is_met(partition) => return Ok(None),
                Ok(Folded::More) => {}
                Err(Halt::PassedOver { offset, timer, .. }) => {
                    let note = self.note(partition, fetched);
                    return Ok(Some(Reached::Fault { offset, timer, note }));
                }
                Err(halt) => return Err(VerifyError::Halt(halt)),
            }
        }
    }

    fn note(&self, partition: &Partition, fault: &Fetched) -> FaultNote {
        let log_id = partition.meta().map(|meta| meta.log_id);
        match log_id.and_then(|log_id| sealed::proven(self.key, log_id, self.partition, &fault.record.value)) {
            Some(Body::Fault(fault)) => FaultNote { by: fault.by, reason: fault.reason },
            Some(_) | None => FaultNote { by: String::new(), reason: String::new() },
        }
    }
}

enum Reached {
    Place,
    Fault { offset: Offset, timer: u32, note: FaultNote },
}

/// Drops a partition's store: the next start folds its log anew.
///
/// # Errors
/// `InUse` while a node runs on it.
pub fn rebuild(place: &Path) -> Result<(), StoreError> {
    RocksStore::destroy(place)
}
