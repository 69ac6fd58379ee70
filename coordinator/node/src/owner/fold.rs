//! Reading and folding. A panic decides nothing: the batch is discarded and folded once more on clean caches; if it panics again, the log
//! is looked through for a person's word: `seek.rs` (records.md section 3, line 11).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use sagaline_log::{Fetched, Log, LogError};
use sagaline_partition::state::Folding;
use sagaline_partition::{FaultNote, Folded, Halt, LogRecord, Partition};
use sagaline_schemas::Offset;
use sagaline_schemas::record::Body;

use super::{BOUNDS_EVERY, Failure, Owner, READ_BACKOFF};
use crate::owner::opening::check_last;
use crate::owner::stop::Stop;
use crate::owner::term::Term;
use crate::owner::watch::Next;
use crate::{BootTime, fail_point, sealed};

/// How long a reader that fails again and again is left alone at most.
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
/// Records asked of the log at once.
pub(super) const READ_AT_ONCE: usize = 1_000;
/// A turn folds for at most so long, milliseconds: publishing is to have its share of the second that a turn may take,
const FOLDING: u64 = 500;
/// at most so many records,
const RECORDS: usize = 2_000;
/// bytes,
const BYTES: usize = 16 << 20;
/// and timers, a few at a time.
const TIMERS: u32 = 2_000;
const TIMERS_AT_ONCE: u32 = 100;

impl Owner {
    /// Reads on if nothing is left to fold. False: the log can't be read at the moment.
    pub(super) fn read(&mut self, now: BootTime, wait: Duration) -> Result<bool, Stop> {
        if !self.backlog.is_empty() {
            return Ok(true);
        }
        if let Some(failure) = &self.failure {
            if now < failure.again_at {
                return Ok(false);
            }
            if let Err(stop) = self.open_reader() {
                return self.pass(stop, now);
            }
        }
        let mut records = Vec::new();
        let mut said = self.reader.poll(READ_AT_ONCE, wait, &mut records).map(|()| None);
        self.backlog.extend(records);
        if said.is_ok() && self.backlog.is_empty() && now.saturating_sub(self.bounds_at) >= BOUNDS_EVERY {
            self.bounds_at = now;
            said = self.reader.bounds().map(Some);
        }
        match self.hear(said)? {
            true => self.failure = None,
            false => self.fail_at(now),
        }
        Ok(self.failure.is_none())
    }

    /// Whatever a reader failed with, it may be of no more use, and must not be the reason why a partition stands still: after a while another one takes its
    /// place.
    fn fail_at(&mut self, now: BootTime) {
        let pause = self.failure.as_ref().map_or(READ_BACKOFF, |failure| (failure.pause * 2).min(LONGEST_BACKOFF));
        self.failure = Some(Failure { again_at: now + pause, pause });
    }

    /// The log may have lost our position meanwhile, and even have got other records in its place, without anybody's having been able to say so.
    fn open_reader(&mut self) -> Result<(), Stop> {
        let partition = self.options.partition;
        self.reader = self.log.reader(&self.inbox, partition, self.partition.next()).map_err(Stop::Log)?;
        let last = self.partition.meta().and_then(|meta| Some((meta.next - 1, meta.last_record?)));
        last.map_or(Ok(()), |(offset, last)| check_last(&*self.log, &self.inbox, partition, offset, last))
    }

    fn pass(&mut self, stop: Stop, now: BootTime) -> Result<bool, Stop> {
        let Stop::Log(error) = stop else { return Err(stop) };
        self.hear(Err(error))?;
        self.fail_at(now);
        Ok(false)
    }

    /// What the log says of itself: does it still hold our position?
    pub(super) fn hear(&mut self, said: Result<Option<(Offset, Offset)>, LogError>) -> Result<bool, Stop> {
        let (partition, position) = (self.options.partition, self.partition.next());
        match said {
            Ok(None) => {
                self.trouble = None;
                Ok(true)
            }
            Ok(Some((start, end))) if position < start || position > end => {
                Err(Stop::AheadOfLog { partition, position, start, end })
            }
            Ok(Some((start, end))) => {
                (self.log_start, self.log_end) = (start, end);
                self.trouble = None;
                Ok(true)
            }
            // The client has seen by a leader's epoch that what it had read is no longer there, whatever came into its place.
            Err(LogError::OutOfRange { start, end, .. }) if (start..=end).contains(&position) => {
                Err(Stop::Rewritten { partition, offset: position - 1 })
            }
            Err(LogError::OutOfRange { start, end, .. }) => Err(Stop::AheadOfLog { partition, position, start, end }),
            Err(error @ LogError::Corrupt { .. }) => Err(Stop::Log(error)),
            // Also `NoTopic`: brokers that are just starting say so of every topic. One made anew is seen by its end.
            Err(error) => {
                self.trouble = Some(error.to_string());
                Ok(false)
            }
        }
    }

    /// Folds what was read, within a turn's bounds. Whether anything was.
    pub(super) fn fold_backlog(&mut self) -> Result<bool, Stop> {
        let (mut records, mut bytes, mut timers) = (0, 0, 0);
        let began = self.log.wall_clock();
        let over = |log: &dyn Log| log.wall_clock().abs_diff(began) >= FOLDING;
        let outputs_before = self.partition.meta().map(|meta| meta.output_hash);
        while records < RECORDS && bytes < BYTES && timers < TIMERS && !over(&*self.log) {
            let Some(at_once) = self.look_out()? else { break };
            let Some(record) = self.backlog.pop_front() else { break };
            if !record.append_time {
                return Err(Stop::NoAppendTime { partition: self.options.partition, offset: record.offset });
            }
            if self.partition.next() < record.offset && !self.bridge(record.offset)? {
                self.backlog.push_front(record);
                break;
            }
            let length = record.record.value.len();
            records += 1;
            match self.fold_one(&record, at_once)? {
                Some(Folded::Whole) => bytes += length,
                Some(Folded::More) => {
                    timers += TIMERS_AT_ONCE;
                    self.backlog.push_front(record);
                }
                None => break,
            }
        }
        self.dirty |= records > 0;
        self.uncommitted += bytes;
        self.unflushed += bytes;
        if matches!(self.term, Term::Live { .. })
            && self.partition.meta().map(|meta| meta.output_hash) != outputs_before
        {
            fail_point::pass(fail_point::AFTER_DECIDE);
        }
        Ok(records > 0)
    }

    /// Goes on to the record at `to`, before which the reader was given none. False: whether there is one is not known at the moment.
    fn bridge(&mut self, to: Offset) -> Result<bool, Stop> {
        let (partition, next) = (self.options.partition, self.partition.next());
        match sealed::is_gap(&*self.log, &self.inbox, partition, (next, to)) {
            Ok(Some(true)) => {
                tracing::info!(partition, next, to, "no records there: somebody writes to the inbox in transactions");
                self.partition.bridge(to)?;
                Ok(true)
            }
            Ok(Some(false)) => Err(Stop::Halt(Halt::Hole { partition, expected: next, got: to })),
            Ok(None) => {
                self.trouble = Some(format!("not known yet: does the log hold anything from offset {next} to {to}?"));
                Ok(false)
            }
            Err(error) => {
                self.hear(Err(error))?;
                Ok(false)
            }
        }
    }

    /// How many timers of the next record are folded at once; none: it is not folded now.
    fn look_out(&mut self) -> Result<Option<u32>, Stop> {
        if self.seeking.is_some() {
            return Ok(None);
        }
        match (self.backlog.front().map(|next| next.offset), &self.watch) {
            (None, _) => Ok(None),
            (Some(_), None) => Ok(Some(TIMERS_AT_ONCE)),
            (Some(offset), Some(_)) => self.watched(offset),
        }
    }

    /// The same, while this life writes down where it is.
    fn watched(&mut self, offset: Offset) -> Result<Option<u32>, Stop> {
        let timer = timer_of(&self.partition);
        let Some(watch) = &mut self.watch else { return Ok(Some(TIMERS_AT_ONCE)) };
        let alone = Some(u32::from(timer > 0));
        match watch.before(offset, timer)? {
            Next::Fold => Ok(Some(TIMERS_AT_ONCE)),
            Next::Alone => Ok(alone),
            Next::CaughtUp => {
                self.watch = None;
                Ok(Some(TIMERS_AT_ONCE))
            }
            Next::Deadly(_) if self.options.faults.contains_key(&(offset, timer)) => Ok(alone),
            Next::Deadly(died) => {
                tracing::error!(
                    partition = self.options.partition,
                    offset,
                    timer,
                    died,
                    "not folded: lives have died there"
                );
                let what = format!("{died} lives of this node have died there, one after the other");
                self.begin_seeking(offset, timer, what)?;
                self.read_again().map(|()| None)
            }
        }
    }

    /// None: it panicked, and is folded again from the last commit on.
    fn fold_one(&mut self, fetched: &Fetched, at_once: u32) -> Result<Option<Folded>, Stop> {
        let record = LogRecord { offset: fetched.offset, timestamp: fetched.timestamp, value: &fetched.record.value };
        let (partition, faults) = (&mut self.partition, &self.options.faults);
        let folding = AssertUnwindSafe(|| {
            if !faults.contains_key(&(record.offset, 0)) {
                fail_point::fold(record.offset);
            }
            partition.fold(record, at_once)
        });
        match catch_unwind(folding) {
            Ok(Ok(folded)) => {
                if folded == Folded::Whole && self.panicked.is_some_and(|(offset, _)| offset <= fetched.offset) {
                    self.panicked = None;
                }
                Ok(Some(folded))
            }
            Ok(Err(Halt::PassedOver { offset, timer, .. })) => Err(self.refold(fetched, offset, timer)),
            Ok(Err(halt)) => Err(Stop::Halt(halt)),
            Err(panic) => self.after_panic(fetched.offset, panic_text(panic.as_ref())).map(|()| None),
        }
    }

    fn refold(&self, fetched: &Fetched, offset: Offset, timer: u32) -> Stop {
        let (partition, fault) = (self.options.partition, fetched.offset);
        let note = note_of(self.proven(fetched));
        Stop::Refold { partition, offset, timer, fault, note }
    }

    fn proven(&self, fetched: &Fetched) -> Option<Body> {
        let log_id = self.partition.meta()?.log_id;
        sealed::proven(&self.options.key, log_id, self.options.partition, &fetched.record.value)
    }

    fn after_panic(&mut self, offset: Offset, panic: String) -> Result<(), Stop> {
        let partition = self.options.partition;
        let timer = timer_of(&self.partition);
        tracing::error!(partition, offset, timer, panic, "the fold panicked: nothing is decided");
        self.furthest = self.furthest.max(Some((offset, timer)));
        if self.panicked == Some((offset, timer)) {
            // Before discarding: a partition that never was committed then knows its own log no more.
            self.begin_seeking(offset, timer, format!("it panics: {panic}"))?;
        }
        self.panicked = Some((offset, timer));
        self.partition.discard()?;
        self.dirty = false;
        self.uncommitted = 0;
        self.read_again()
    }

    /// From the record on that is folded next.
    fn read_again(&mut self) -> Result<(), Stop> {
        self.backlog.clear();
        let (partition, next) = (self.options.partition, self.partition.next());
        self.reader = self.log.reader(&self.inbox, partition, next).map_err(Stop::Log)?;
        self.failure = None;
        Ok(())
    }
}

/// The timer that fires next, within the record that is folded; 0: the record itself.
pub(crate) fn timer_of(partition: &Partition) -> u32 {
    match partition.meta().map(|meta| &meta.folding) {
        Some(Folding::Firing { timers }) => timers + 1,
        Some(Folding::Telling { told, .. }) => told + 1,
        Some(Folding::Between | Folding::Beginning { .. }) | None => 0,
    }
}

/// What a Fault says that is proven; of anything else, nothing.
pub(crate) fn note_of(proven: Option<Body>) -> FaultNote {
    match proven {
        Some(Body::Fault(fault)) => FaultNote { by: fault.by, reason: fault.reason },
        Some(_) | None => FaultNote { by: String::new(), reason: String::new() },
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it said nothing".to_owned())
}
