//! The effect store: what became of every effect, so that a repeat does nothing and a compensation knows what there is to undo.
//! A state machine over `EffectRows`: no clock, no thread, no log, and never an answer that its rows do not back. What it answers says `table.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sagaline_schemas::command::Command;
use sagaline_schemas::record::{Answer, Kind};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{EffectId, Millis, Value};

use crate::handler::HandlerOutcome;
use table::{Look, Task, Write};

#[cfg(test)]
mod conformance;
mod memory;
mod postgres;
mod rocks;
mod rows;
mod table;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod world;

pub use memory::MemoryRows;
pub(crate) use postgres::SharedEffects;
pub use postgres::{Limits, PostgresStore, Transaction};
pub use rocks::RocksRows;
pub use rows::{EffectRows, EffectStoreError, Intent, Reach, ReplyPartition, Row, RowState};

/// What a repeat of a handler does in the business, where the effect store can't tell: after a crash between effect and record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotence {
    /// Done and recorded in one transaction of the business's database: `Participant::on_transaction`. A repeat does nothing.
    Transaction,
    /// Safe to repeat under the same effect id. The compensation closes that id in the business, so that a call that stalled can't land later.
    ByKey,
    /// A repeat does it again: an outcome that was lost is decided by a person.
    None,
}

/// What an operation promises of its repeats.
#[derive(Clone, Debug)]
pub struct Promise {
    /// What a repeat does.
    pub idempotence: Idempotence,
    /// Codes that are never said of an effect that was done, or may still be done by an earlier run: see `Participant::refuses_for_good`.
    pub refuses_for_good: Arc<[String]>,
}

impl From<Idempotence> for Promise {
    fn from(idempotence: Idempotence) -> Self {
        Self { idempotence, refuses_for_good: Arc::default() }
    }
}

/// What a command begins.
#[derive(Debug)]
pub enum Begin {
    /// The handler does not run: this is the answer.
    Answer(Answer),
    /// The handler is to run, and its outcome goes to `EffectStore::finish`.
    Run(Run),
}

/// A handler's run that the store waits for.
#[derive(Clone, Debug)]
#[must_use = "the effect stays without an outcome until the run is finished"]
pub struct Run {
    effect: EffectId,
    inbox: ReplyPartition,
    kept: Millis,
    task: Task,
    known: Option<Bytes>,
    refuses_for_good: Arc<[String]>,
}

impl Run {
    /// What the handler gets: a probe's is told which effect is meant, every other gets the command's input.
    pub fn input(&self, command: &Command) -> Bytes {
        match self.task {
            Task::Probe(_) => {
                let effect_id = Value::from(&*self.effect.to_string());
                Bytes(Value::Map([("effect_id".to_owned(), effect_id)].into()).to_json())
            }
            Task::First | Task::Again | Task::Undo | Task::Ask => command.input.clone(),
        }
    }

    /// For a compensation: the effect's result, where it is known to have happened.
    pub fn known_result(&self) -> Option<&Bytes> {
        self.known.as_ref()
    }
}

/// A name of the system's randomness: another one each time.
fn unlike_any_other() -> String {
    format!("{:016x}", RandomState::new().hash_one(Instant::now()))
}

/// Where a participant's effects are remembered.
pub enum Store {
    /// In rows that this instance alone sees.
    Local(Box<dyn EffectRows>),
    /// In a database that all instances share.
    Postgres(PostgresStore),
}

/// Which rows may be forgotten: those that are older, by the log's time, than the newest command seen of their reply partition less the retention.
#[derive(Debug)]
pub(crate) struct Retention {
    keep: Millis,
    newest: BTreeMap<ReplyPartition, Millis>,
}

impl Retention {
    pub fn new(keep: Duration) -> Self {
        Self { keep: Millis::try_from(keep.as_millis()).unwrap_or(Millis::MAX), newest: BTreeMap::new() }
    }

    /// A command came. One beside the log has the time of a wall clock, which says nothing here.
    pub fn see(&mut self, command: &Command) {
        if command.address.kind == Kind::Ask || table::is_beside(command) {
            return;
        }
        let (inbox, first) = (ReplyPartition::of(command), command.first);
        let newest = self.newest.entry(inbox).or_insert(first);
        *newest = first.max(*newest);
    }

    /// Up to which `kept` rows may be dropped, by reply partition.
    pub fn expired(&self) -> impl Iterator<Item = (&ReplyPartition, Millis)> {
        self.newest.iter().map(|(inbox, newest)| (inbox, newest.saturating_sub(self.keep)))
    }
}

/// Remembers effects, and answers or runs accordingly. Commands of one effect come one after the other: the next begins when the run is finished.
pub struct EffectStore {
    rows: Box<dyn EffectRows>,
    retention: Retention,
    running: BTreeSet<EffectId>,
    dirty: bool,
}

impl EffectStore {
    /// Over these rows. A row whose latest `first` is more than `retention` older than the newest `first` seen of its reply partition may be dropped.
    pub fn new(rows: Box<dyn EffectRows>, retention: Duration) -> Self {
        Self { rows, retention: Retention::new(retention), running: BTreeSet::new(), dirty: false }
    }

    /// Who sees these rows.
    pub fn reach(&self) -> Reach {
        self.rows.reach()
    }

    /// What tells its rows from all others; none: many instances share them.
    pub fn name(&self) -> Option<&str> {
        self.rows.name()
    }

    /// As `EffectRows::in_use`.
    ///
    /// # Errors
    /// When the rows can't be read.
    pub fn in_use(&self) -> Result<bool, EffectStoreError> {
        self.rows.in_use()
    }

    /// As `EffectRows::begin_use`.
    ///
    /// # Errors
    /// When that can't be remembered.
    pub fn begin_use(&mut self) -> Result<(), EffectStoreError> {
        self.rows.begin_use()
    }

    /// Looks a command up. Neither the answer may leave nor the handler run before the next `sync`.
    ///
    /// # Errors
    /// When the rows can't be read or written, or when another command of the effect is still running.
    pub fn begin(&mut self, command: &Command, promise: impl Into<Promise>) -> Result<Begin, EffectStoreError> {
        let effect = command.effect_id;
        if command.address.kind == Kind::Ask {
            return Ok(table::look(command, promise.into(), None, None).begin);
        }
        if self.running.contains(&effect) {
            return Err(EffectStoreError::Running { effect });
        }
        let inbox = ReplyPartition::of(command);
        let row = self.rows.row(effect)?;
        let horizon = match row {
            Some(_) => None,
            None if table::is_beside(command) => self.rows.latest_horizon(&inbox.topic)?,
            None => self.rows.horizon(&inbox)?,
        };
        self.retention.see(command);
        let Look { write, begin } = table::look(command, promise.into(), row.as_ref(), horizon);
        if let Some(row) = write {
            self.put(effect, &row)?;
        }
        if matches!(begin, Begin::Run(_)) {
            self.running.insert(effect);
        }
        Ok(begin)
    }

    /// Records what became of a run. The answer may not leave before the next `sync`.
    ///
    /// # Errors
    /// When the rows can't be written. Then the outcome is not recorded, and nothing may be answered.
    pub fn finish(&mut self, run: Run, outcome: HandlerOutcome) -> Result<Answer, EffectStoreError> {
        let effect = run.effect;
        if run.task != Task::Ask {
            self.running.remove(&effect);
        }
        let (write, answer) = table::settle(run, outcome);
        match write {
            Write::Nothing => {}
            Write::Put(row) => self.put(effect, &row)?,
            Write::Remove => {
                self.dirty = true;
                self.rows.remove(effect)?;
            }
        }
        Ok(answer)
    }

    /// Makes all that was written durable. Costs nothing when nothing was.
    ///
    /// # Errors
    /// When the rows can't be made durable. Then nothing of what they back may be answered or run.
    pub fn sync(&mut self) -> Result<(), EffectStoreError> {
        if self.dirty {
            self.rows.sync()?;
            self.dirty = false;
        }
        Ok(())
    }

    /// Drops rows past their retention, oldest first, at most so many of each reply partition, and raises its horizon. Tells how many.
    ///
    /// # Errors
    /// When the rows can't be written.
    pub fn drop_expired(&mut self, at_most: usize) -> Result<usize, EffectStoreError> {
        let mut dropped = 0;
        for (inbox, through) in self.retention.expired() {
            dropped += self.rows.drop_through(inbox, through, at_most)?;
        }
        self.dirty |= dropped > 0;
        Ok(dropped)
    }

    fn put(&mut self, effect: EffectId, row: &Row) -> Result<(), EffectStoreError> {
        self.dirty = true;
        self.rows.put(effect, row)
    }
}
