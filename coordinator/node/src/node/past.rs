//! A partition as it was: its log folded into a store of its own, from the newest checkpoint before the place, or from the first record.
//! Beside the fold that runs, which notices nothing of it; one at a time until its store is gone, and no further than a bound.

use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use sagaline_log::{Log, LogError};
use sagaline_partition::store::{Reader, Store};
use sagaline_schemas::{Millis, Offset, Partition};
use sagaline_store::checkpoint::discard;
use sagaline_store::{Memory, MemoryStore, RocksStore, Shared};

use super::{Common, FOLD_STACK, Node, NodeError};
use crate::checkpoint::CheckpointError;
use crate::sealed;
use crate::verify::{Goal, Refold, VerifyError};

/// So many records are folded at most,
const MOST_RECORDS: Offset = 5_000_000;
/// for so long at most.
const LONGEST: Duration = Duration::from_secs(120);

/// Which moment of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Once the record at this offset was folded.
    Offset(Offset),
    /// Once every record was that the broker had by then, milliseconds since 1970.
    Time(Millis),
}

/// A partition as it was at a moment. Its store is gone with it.
pub struct Past<'node> {
    /// The record that was folded next.
    pub next: Offset,
    /// When the last one came, by the broker's clock.
    pub time: Millis,
    /// Where the fold began: a checkpoint's position, or 0.
    pub from: Offset,
    made: Made,
    /// The next past lies in the same folder: it is not begun before this store is gone. Fields are dropped in this order.
    _alone: MutexGuard<'node, ()>,
}

impl Past<'_> {
    /// What the store held.
    pub fn reader(&self) -> &dyn Reader {
        &**self.made.reader.as_ref().expect("it is there until this is dropped")
    }
}

/// The store, and what is known of it.
struct Made {
    reader: Option<Arc<dyn Reader>>,
    next: Offset,
    time: Millis,
    from: Offset,
    scratch: Option<PathBuf>,
}

impl Drop for Made {
    fn drop(&mut self) {
        self.reader = None;
        if let Some(Err(error)) = self.scratch.as_ref().map(discard) {
            tracing::warn!(%error, "a store of the past is left behind");
        }
    }
}

/// Why there is no past.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// The node has no such partition, or no part any more.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Nothing was there yet.
    #[error("inbox partition {partition} had no record then: its first one came at {first}")]
    TooEarly {
        /// Inbox partition.
        partition: Partition,
        /// When its first record came, milliseconds since 1970.
        first: Millis,
    },
    /// The place lies behind the end.
    #[error("inbox partition {partition} has no record at offset {offset} yet: its log ends before {end}")]
    TooLate {
        /// Inbox partition.
        partition: Partition,
        /// What was asked for.
        offset: Offset,
        /// First offset that the log does not hold.
        end: Offset,
    },
    /// What is needed for it is gone.
    #[error(
        "what inbox partition {partition} was then can't be made any more: its log begins at offset {start}, and {why}"
    )]
    Gone {
        /// Inbox partition.
        partition: Partition,
        /// First offset of the log.
        start: Offset,
        /// Why no checkpoint helps.
        why: String,
    },
    /// It takes too long.
    #[error(
        "{records} records of inbox partition {partition} lie between the newest checkpoint before that and the moment: more than are folded for an answer"
    )]
    TooFar {
        /// Inbox partition.
        partition: Partition,
        /// How many.
        records: Offset,
    },
    /// It took too long.
    #[error("the log was folded for {} s, and the moment was not reached", LONGEST.as_secs())]
    TooSlow,
    /// Another is being made.
    #[error("another past is being made at this node: one at a time")]
    Busy,
    /// The fold panicked.
    #[error("the fold panicked on the way: the log of this node says at what")]
    Panicked,
}

impl From<LogError> for PastError {
    fn from(error: LogError) -> Self {
        Self::Node(error.into())
    }
}

impl From<CheckpointError> for PastError {
    fn from(error: CheckpointError) -> Self {
        Self::Node(error.into())
    }
}

impl Node {
    /// A partition as it was at a moment. Nobody else gets one before it is dropped.
    ///
    /// # Errors
    /// Why it can't be made.
    pub fn past(&self, partition: Partition, moment: Moment) -> Result<Past<'_>, PastError> {
        self.partition(partition)?;
        let alone = match self.remembering.try_lock() {
            Ok(alone) => alone,
            Err(TryLockError::WouldBlock) => return Err(PastError::Busy),
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
        };
        let common = Arc::clone(&self.common);
        // A fold needs its own stack.
        let folding = thread::Builder::new().name("past".to_owned()).stack_size(FOLD_STACK);
        let folding = folding.spawn(move || make(&common, partition, moment)).map_err(NodeError::Thread)?;
        let made = folding.join().unwrap_or(Err(PastError::Panicked))?;
        Ok(Past { next: made.next, time: made.time, from: made.from, made, _alone: alone })
    }
}

fn make(common: &Common, partition: Partition, moment: Moment) -> Result<Made, PastError> {
    let (log, inbox) = (&*common.log, common.names.inbox());
    let (start, end) = sealed::bounds(log, &inbox, partition)?;
    let last = match moment {
        Moment::Offset(offset) if offset >= end => return Err(PastError::TooLate { partition, offset, end }),
        Moment::Offset(offset) => offset,
        Moment::Time(time) => last_by(log, &inbox, partition, (start, end), time)?,
    };
    // What lies before the log's first record has a time no more; a checkpoint may still reach it, to the record.
    let time = if last >= start { sealed::read_one(log, &inbox, partition, last)?.timestamp } else { 0 };
    let (scratch, from) = (common.beside("past".to_owned()).ok(), std::cell::Cell::new(0));
    let refold = Refold { log, names: &common.names, key: &common.options.key, partition };
    let mut too_far = None;
    let mut base = |below: Offset| -> Result<Box<dyn Store>, VerifyError> {
        let (store, position) = base(common, partition, scratch.as_ref(), below)?;
        from.set(position);
        let records = last + 1 - position;
        if records > MOST_RECORDS {
            too_far = Some(records);
            return Err(VerifyError::GivenUp);
        }
        Ok(store)
    };
    let began = Instant::now();
    let watch = |_| began.elapsed() < LONGEST && !common.stopping();
    let folded = refold.up_to(&Goal::before(last + 1), &mut base, &watch);
    let made = |reader| Made { reader, next: last + 1, time, from: from.get(), scratch: scratch.clone() };
    match folded {
        Ok(folded) => Ok(made(Some(folded.reader()))),
        Err(error) => {
            // What was begun is removed with it.
            drop(made(None));
            Err(match (error, too_far) {
                (_, Some(records)) => PastError::TooFar { partition, records },
                (VerifyError::GivenUp, None) if common.stopping() => NodeError::Stopping.into(),
                (VerifyError::GivenUp, None) => PastError::TooSlow,
                (VerifyError::Base(why), None) => PastError::Gone { partition, start, why },
                (VerifyError::Log(error), None) => error.into(),
                (error, None) => CheckpointError::Verify(error).into(),
            })
        }
    }
}

/// A store to fold upon, and its position.
fn base(
    common: &Common,
    partition: Partition,
    scratch: Option<&PathBuf>,
    below: Offset,
) -> Result<(Box<dyn Store>, Offset), VerifyError> {
    let Some(place) = scratch else { return Ok((Box::new(MemoryStore::new()), 0)) };
    let shared = Shared::new(Memory { cache: 32 << 20, write_buffers: 16 << 20 });
    match &common.options.checkpoints {
        Some(keeping) => {
            let based = common.restorer(keeping, partition).base(place, below, &shared);
            let (store, position) = based.map_err(|error| VerifyError::Base(error.to_string()))?;
            Ok((store, position.unwrap_or(0)))
        }
        None => {
            let (start, _) = sealed::bounds(&*common.log, &common.names.inbox(), partition)?;
            if start > 0 {
                return Err(VerifyError::Base(CheckpointError::NotKept.to_string()));
            }
            discard(place)?;
            Ok((Box::new(RocksStore::open(place, &shared)?), 0))
        }
    }
}

/// The last record that the broker had by then: its times never go back but at a change of leaders, by what their clocks lie apart.
fn last_by(
    log: &dyn Log,
    inbox: &str,
    partition: Partition,
    (start, end): (Offset, Offset),
    time: Millis,
) -> Result<Offset, PastError> {
    // The records below `from` came by then, that at `to` did not.
    let (mut from, mut to) = (start, end);
    while from < to {
        let middle = from + (to - from) / 2;
        if sealed::read_one(log, inbox, partition, middle)?.timestamp <= time { from = middle + 1 } else { to = middle }
    }
    if from > start {
        return Ok(from - 1);
    }
    if start == end {
        return Err(PastError::TooEarly { partition, first: log.wall_clock() });
    }
    let first = sealed::read_one(log, inbox, partition, start)?.timestamp;
    if start == 0 { Err(PastError::TooEarly { partition, first }) } else { gone(partition, start) }
}

fn gone(partition: Partition, start: Offset) -> Result<Offset, PastError> {
    let why =
        "where a time lies before that is not known: ask for an offset, at which a checkpoint may still be".to_owned();
    Err(PastError::Gone { partition, start, why })
}
