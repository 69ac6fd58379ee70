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

impl Refold<'_> {
    /// Compares a store with its log. `live` must not change meanwhile: a stopped node's store, or a snapshot. `scratch` gives what
    /// is folded on: empty stores, or such as once held less of the same log; more than one is asked for where people had inputs passed over.
    ///
    /// # Errors
    /// When either can't be read, or the log can't be folded.
    pub fn verify(
        &self,
        live: &dyn Read,
        scratch: &mut dyn FnMut() -> Result<Box<dyn Store>, StoreError>,
    ) -> Result<Verified, VerifyError> {
        let position = view::meta(live)?.map_or(0, |meta| meta.next);
        let stored = digest(live)?;
        let refolded = match view::meta(live)? {
            Some(meta) => digest(&*self.refold(&meta, scratch)?.reader())?,
            None => digest(&*scratch()?)?,
        };
        Ok(Verified { partition: self.partition, position, stored, refolded })
    }

    /// Folds the log up to where `until` stands.
    fn refold(
        &self,
        until: &Meta,
        scratch: &mut dyn FnMut() -> Result<Box<dyn Store>, StoreError>,
    ) -> Result<Partition, VerifyError> {
        let mut faults = Faults::new();
        loop {
            let store = scratch()?;
            let mut partition =
                Partition::open(self.partition, store, self.key.clone(), faults.clone()).map_err(VerifyError::Halt)?;
            match self.fold_up_to(&mut partition, until)? {
                Reached::Place => return Ok(partition),
                Reached::Fault { offset, timer, note } => faults.insert((offset, timer), note),
            };
        }
    }

    fn fold_up_to(&self, partition: &mut Partition, until: &Meta) -> Result<Reached, VerifyError> {
        let mut reader = self.log.reader(&self.names.inbox(), self.partition, partition.next())?;
        let (mut records, mut empty) = (Vec::new(), 0);
        while !is_at(partition, until) {
            reader.poll(AT_ONCE, Duration::from_millis(100), &mut records)?;
            empty = if records.is_empty() { empty + 1 } else { 0 };
            if empty > MAX_EMPTY {
                let (partition, position, reached) = (self.partition, until.next, partition.next());
                return Err(VerifyError::Short { partition, position, reached });
            }
            for (number, fetched) in records.drain(..).enumerate() {
                if is_at(partition, until) {
                    break;
                }
                if let Some(fault) = self.fold_one(partition, &fetched, until)? {
                    return Ok(fault);
                }
                if number % COMMIT_EVERY == 0 {
                    partition.commit()?;
                }
            }
        }
        partition.commit()?;
        Ok(Reached::Place)
    }

    /// One record, or as much of it as the store has.
    fn fold_one(
        &self,
        partition: &mut Partition,
        fetched: &Fetched,
        until: &Meta,
    ) -> Result<Option<Reached>, VerifyError> {
        let record = LogRecord { offset: fetched.offset, timestamp: fetched.timestamp, value: &fetched.record.value };
        // Where the store stands in the middle of this record, it is gone through timer by timer.
        let budget = if fetched.offset == until.next { 1 } else { u32::MAX };
        loop {
            partition.take_published();
            match partition.fold(record, budget) {
                Ok(Folded::Whole) => return Ok(None),
                Ok(Folded::More) if is_at(partition, until) => return Ok(None),
                Ok(Folded::More) => {}
                Err(Halt::PassedOver { offset, timer, .. }) => {
                    let note = self.note(until, fetched);
                    return Ok(Some(Reached::Fault { offset, timer, note }));
                }
                Err(halt) => return Err(VerifyError::Halt(halt)),
            }
        }
    }

    fn note(&self, meta: &Meta, fault: &Fetched) -> FaultNote {
        match sealed::proven(self.key, meta.log_id, self.partition, &fault.record.value) {
            Some(Body::Fault(fault)) => FaultNote { by: fault.by, reason: fault.reason },
            Some(_) | None => FaultNote { by: String::new(), reason: String::new() },
        }
    }
}

enum Reached {
    Place,
    Fault { offset: Offset, timer: u32, note: FaultNote },
}

fn is_at(partition: &Partition, until: &Meta) -> bool {
    let place = partition.meta().map(|meta| (meta.next, &meta.folding));
    place == Some((until.next, &until.folding)) || until.folding == Folding::Between && partition.next() >= until.next
}

/// Drops a partition's store: the next start folds its log anew.
///
/// # Errors
/// `InUse` while a node runs on it.
pub fn rebuild(place: &Path) -> Result<(), StoreError> {
    RocksStore::destroy(place)
}
