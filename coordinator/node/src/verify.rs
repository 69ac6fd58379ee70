//! Is the store what its log says? The log is folded anew into an empty store up to the same place, and both are compared byte for byte by
//! their digests. And the way out when it is not: dropping the store. The live store is only read here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use sagaline_log::{Fetched, Log, LogError};
use sagaline_partition::digest::digest;
use sagaline_partition::state::{Folding, Meta};
use sagaline_partition::store::{Read, Store, StoreError};
use sagaline_partition::{FaultNote, Faults, Folded, Halt, LogRecord, Partition, view};
use sagaline_schemas::proof::Key;
use sagaline_schemas::{Digest, Offset};
use sagaline_store::RocksStore;

use crate::owner::fold::{note_of, panic_text, timer_of};
use crate::owner::seek::{Heard, Search};
use crate::{Names, sealed};

/// Records asked for at once.
const AT_ONCE: usize = 1_000;
/// The batch in memory is written after so many records.
const COMMIT_EVERY: usize = 2_000;
/// Polls that may bring nothing, although the log holds more, before the log is given up.
const MAX_EMPTY: u32 = 100;
/// How long each of them waits.
const POLL: Duration = Duration::from_millis(100);

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
    /// The fold panics, and nobody has had the input passed over.
    #[error(
        "the fold of inbox partition {partition} can't go on at {offset}.{timer}: it panics: {panic}. No Fault that counts lies ahead in the log: `sagaline skip {partition} {offset}.{timer} --reason WHY` has that input passed over, at a node that runs"
    )]
    Panicked {
        /// Inbox partition.
        partition: u32,
        /// The record.
        offset: Offset,
        /// The timer within it; 0: the record itself.
        timer: u32,
        /// What the panic said.
        panic: String,
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
                Reached::Fault { offset, timer, note } => {
                    if faults.insert((offset, timer), note).is_some() {
                        let panic = "so it does when the input is passed over, as a Fault says".to_owned();
                        return Err(VerifyError::Panicked { partition: self.partition, offset, timer, panic });
                    }
                }
            }
        }
    }

    fn fold_up_to(&self, partition: &mut Partition, goal: &Goal, watch: Watch<'_>) -> Result<Reached, VerifyError> {
        let mut reader = self.log.reader(&self.names.inbox(), self.partition, partition.next())?;
        let (mut records, mut empty, mut uncommitted) = (Vec::new(), 0, 0);
        while !goal.is_met(partition) {
            if !watch(partition.next()) {
                return Err(VerifyError::GivenUp);
            }
            reader.poll(AT_ONCE, POLL, &mut records)?;
            empty = if records.is_empty() { empty + 1 } else { 0 };
            if empty > MAX_EMPTY {
                let (partition, position, reached) = (self.partition, goal.next, partition.next());
                return Err(VerifyError::Short { partition, position, reached });
            }
            for fetched in records.drain(..) {
                if goal.is_met(partition) {
                    break;
                }
                if let Some(fault) = self.fold_one(partition, &fetched, goal, watch)? {
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
        watch: Watch<'_>,
    ) -> Result<Option<Reached>, VerifyError> {
        if partition.meta().is_some() && partition.next() < fetched.offset {
            self.bridge(partition, fetched.offset)?;
            if goal.is_met(partition) {
                return Ok(None);
            }
        }
        let record = LogRecord { offset: fetched.offset, timestamp: fetched.timestamp, value: &fetched.record.value };
        // Where the goal lies in the middle of this record, it is gone through timer by timer.
        let budget = if fetched.offset == goal.next { 1 } else { u32::MAX };
        loop {
            partition.take_published();
            let folded = match catch_unwind(AssertUnwindSafe(|| partition.fold(record, budget))) {
                Ok(folded) => folded,
                Err(panic) => {
                    return self.look_ahead(partition, fetched.offset, panic_text(panic.as_ref()), watch).map(Some);
                }
            };
            match folded {
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

    /// Goes on to the record at `to`, before which the reader was given none.
    fn bridge(&self, partition: &mut Partition, to: Offset) -> Result<(), VerifyError> {
        let (inbox, next) = (self.names.inbox(), partition.next());
        match sealed::is_gap(self.log, &inbox, self.partition, (next, to))? {
            Some(true) => partition.bridge(to).map_err(VerifyError::Halt),
            Some(false) => Err(VerifyError::Halt(Halt::Hole { partition: self.partition, expected: next, got: to })),
            None => {
                let detail = format!("whether it holds anything from offset {next} to {to} is not known in time");
                Err(LogError::Io { place: inbox, detail }.into())
            }
        }
    }

    /// Who panics looks ahead for a word about that input, as an owner does (records.md section 3, line 11): the Fault lies behind it, where a fold
    /// that panics never comes, and may lie behind the goal, too. A panic decides nothing else, so it is not tried twice.
    fn look_ahead(
        &self,
        partition: &Partition,
        offset: Offset,
        panic: String,
        watch: Watch<'_>,
    ) -> Result<Reached, VerifyError> {
        let timer = timer_of(partition);
        tracing::warn!(partition = self.partition, offset, timer, panic, "the refold panicked: a Fault is looked for");
        let panicked = || VerifyError::Panicked { partition: self.partition, offset, timer, panic };
        let Some(ahead) = partition.look_ahead(offset, timer) else { return Err(panicked()) };
        let inbox = self.names.inbox();
        let (_, end) = sealed::bounds(self.log, &inbox, self.partition)?;
        let mut search = Search::behind(offset, ahead, self.log, &inbox, self.partition)?;
        let mut empty = 0;
        while search.position() < end {
            if !watch(offset) {
                return Err(VerifyError::GivenUp);
            }
            match search.go_on(POLL)? {
                Heard::Word { note, .. } => return Ok(Reached::Fault { offset, timer, note }),
                // Another program has folded it: no Fault counts any more.
                Heard::Vouched { .. } => break,
                Heard::Nothing => empty = 0,
                Heard::Silence => empty += 1,
            }
            if empty > MAX_EMPTY {
                let (partition, position, reached) = (self.partition, end, search.position());
                return Err(VerifyError::Short { partition, position, reached });
            }
        }
        Err(panicked())
    }

    fn note(&self, partition: &Partition, fault: &Fetched) -> FaultNote {
        let log_id = partition.meta().map(|meta| meta.log_id);
        note_of(log_id.and_then(|log_id| sealed::proven(self.key, log_id, self.partition, &fault.record.value)))
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

#[cfg(test)]
mod tests;
