//! The effect store: what became of every effect, so that a repeat does nothing and a compensation knows what there is to undo.
//! A pure state machine over `EffectRows`: no clock, no thread, no log, and never an answer that its rows do not back.

// The protocol's table, cell by cell (docs/protocol.md). `verdict` is this table, `EffectStore::finish` is what a handler's outcome makes of it.
//
// | command               | Succeeded          | Refused            | Tombstone, Compensated | Intent                                | no row                                        |
// |-----------------------|--------------------|--------------------|------------------------|---------------------------------------|-----------------------------------------------|
// | do                    | the answer         | the answer         | Mark                   | ByKey: run again (see below)          | decided <= horizon: Mark(forgotten)           |
// |                       |                    |                    |                        | None: Failed for ever                 | else write Intent, run, record, answer        |
// | compensate, Succeeded | run, record        | run, record        | the answer             | run, record                           | first <= horizon: Mark(forgotten)             |
// |                       |                    |                    |                        |                                       | else run, leave a row                         |
// | compensate, Unknown   | run, record        | NothingThere       | the answer             | ByKey: run, record                    | decided <= horizon: Mark(forgotten)           |
// |                       |                    |                    |                        | None: Mark(forgotten)                 | else leave a Tombstone, NothingThere          |
// | probe                 | yes, with result   | no                 | no                     | unknown                               | decided <= horizon: unknown                   |
// |                       |                    |                    |                        |                                       | else leave a Tombstone, no                    |
//
// A handler's outcome: done and refused become the row. "Come again" of a first run withdraws its intent, since nothing happened. A failure
// leaves the intent open: whether something happened is not known. So does "working": somebody else will say. A refusal of a run again is Failed,
// because the first run may have caused it, unless its code is refused for good. A compensation has no intent: it is safe to repeat by declaration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sagaline_schemas::command::{Command, KnownOutcome};
use sagaline_schemas::record::{
    Answer, Compensated, Failed, Happened, Kind, Mark, MarkKind, NothingThere, Probed, Refused, Succeeded, Working,
};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{EffectId, Millis};

use crate::handler::{HandlerError, HandlerOutcome};

#[cfg(test)]
mod conformance;
mod memory;
mod rocks;
mod rows;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;

pub use memory::MemoryRows;
pub use rocks::RocksRows;
pub use rows::{EffectRows, EffectStoreError, Intent, Reach, ReplyPartition, Row, RowState};

/// What a repeat of a handler does in the business, where the effect store can't tell: after a crash between effect and record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotence {
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
#[derive(Debug)]
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
    /// For a compensation: the effect's result, where it is known to have happened.
    pub fn known_result(&self) -> Option<&Bytes> {
        self.known.as_ref()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    First,
    Again,
    Undo,
    Ask,
}

/// A row of the table.
#[derive(Clone, Copy)]
enum Wanted {
    Do(Idempotence),
    UndoSucceeded,
    UndoUnknown(Idempotence),
    Probe,
}

/// A cell of the table.
enum Verdict {
    Answer(Answer),
    LeaveTombstone(Answer),
    Run(Task),
}

/// Without a row: is the effect older than the newest row that was dropped?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    Remembered,
    Forgotten,
}

fn verdict(wanted: Wanted, row: Option<&RowState>, age: Age) -> Verdict {
    use Verdict::{Answer as Say, LeaveTombstone, Run};
    match (wanted, row) {
        (Wanted::Do(_), Some(RowState::Succeeded(done))) => Say(Answer::Succeeded(done.clone())),
        (Wanted::Do(_), Some(RowState::Refused(refused))) => Say(Answer::Refused(refused.clone())),
        (Wanted::Do(_), Some(RowState::Tombstone(_))) => Say(mark(MarkKind::Tombstoned)),
        (Wanted::Do(_), Some(RowState::Compensated(_))) => Say(mark(MarkKind::AlreadyCompensated)),
        (Wanted::Do(Idempotence::ByKey), Some(RowState::Intent(_))) => Run(Task::Again),
        (Wanted::Do(Idempotence::None), Some(RowState::Intent(_))) => Say(failed(LOST.to_owned(), None)),
        (Wanted::Do(_), None) if age == Age::Forgotten => Say(mark(MarkKind::Forgotten)),
        (Wanted::Do(_), None) => Run(Task::First),

        (Wanted::UndoSucceeded | Wanted::UndoUnknown(_), Some(RowState::Compensated(done))) => {
            Say(Answer::Compensated(done.clone()))
        }
        (Wanted::UndoSucceeded | Wanted::UndoUnknown(_), Some(RowState::Tombstone(_))) => Say(nothing_there()),
        (Wanted::UndoSucceeded | Wanted::UndoUnknown(_), Some(RowState::Succeeded(_))) => Run(Task::Undo),
        (Wanted::UndoSucceeded, Some(RowState::Refused(_) | RowState::Intent(_))) => Run(Task::Undo),
        (Wanted::UndoUnknown(_), Some(RowState::Refused(_))) => Say(nothing_there()),
        (Wanted::UndoUnknown(Idempotence::ByKey), Some(RowState::Intent(_))) => Run(Task::Undo),
        (Wanted::UndoUnknown(Idempotence::None), Some(RowState::Intent(_))) => Say(mark(MarkKind::Forgotten)),
        (Wanted::UndoSucceeded | Wanted::UndoUnknown(_), None) if age == Age::Forgotten => {
            Say(mark(MarkKind::Forgotten))
        }
        (Wanted::UndoSucceeded, None) => Run(Task::Undo),
        (Wanted::UndoUnknown(_), None) => LeaveTombstone(nothing_there()),

        (Wanted::Probe, Some(RowState::Succeeded(done))) => Say(probed(Happened::Yes, Some(done.result.clone()))),
        (Wanted::Probe, Some(RowState::Refused(_) | RowState::Tombstone(_) | RowState::Compensated(_))) => {
            Say(probed(Happened::No, None))
        }
        (Wanted::Probe, Some(RowState::Intent(_))) => Say(probed(Happened::Unknown, None)),
        (Wanted::Probe, None) if age == Age::Forgotten => Say(probed(Happened::Unknown, None)),
        (Wanted::Probe, None) => LeaveTombstone(probed(Happened::No, None)),
    }
}

const LOST: &str = "an earlier attempt ended without a recorded outcome, and the operation is not safe to repeat: a person has to look";

fn mark(mark: MarkKind) -> Answer {
    Answer::Mark(Mark { mark })
}

fn nothing_there() -> Answer {
    Answer::NothingThere(NothingThere {})
}

fn probed(happened: Happened, result: Option<Bytes>) -> Answer {
    Answer::Probed(Probed { happened, result })
}

fn failed(error: String, retry_after: Option<Duration>) -> Answer {
    let retry_after = retry_after.map(|after| i64::try_from(after.as_millis()).unwrap_or(i64::MAX));
    Answer::Failed(Failed { error, retry_after })
}

/// Remembers effects, and answers or runs accordingly. Commands of one effect come one after the other: the next begins when the run is finished.
pub struct EffectStore {
    rows: Box<dyn EffectRows>,
    retention: Millis,
    newest: BTreeMap<ReplyPartition, Millis>,
    running: BTreeSet<EffectId>,
    dirty: bool,
}

impl EffectStore {
    /// Over these rows. A row whose latest `first` is more than `retention` older than the newest `first` seen of its reply partition may be dropped.
    pub fn new(rows: Box<dyn EffectRows>, retention: Duration) -> Self {
        let retention = Millis::try_from(retention.as_millis()).unwrap_or(Millis::MAX);
        Self { rows, retention, newest: BTreeMap::new(), running: BTreeSet::new(), dirty: false }
    }

    /// Who sees these rows.
    pub fn reach(&self) -> Reach {
        self.rows.reach()
    }

    /// Looks a command up. Neither the answer may leave nor the handler run before the next `sync`.
    ///
    /// # Errors
    /// When the rows can't be read or written, or when another command of the effect is still running.
    pub fn begin(&mut self, command: &Command, promise: impl Into<Promise>) -> Result<Begin, EffectStoreError> {
        let Promise { idempotence, refuses_for_good } = promise.into();
        let effect = command.effect_id;
        let inbox = ReplyPartition { topic: command.reply_topic.clone(), partition: command.reply_partition };
        let Some(wanted) = wanted(command, idempotence) else {
            let (kept, task, known) = (command.first, Task::Ask, None);
            return Ok(Begin::Run(Run { effect, inbox, kept, task, known, refuses_for_good }));
        };
        if self.running.contains(&effect) {
            return Err(EffectStoreError::Running { effect });
        }
        let row = self.rows.row(effect)?;
        let age = self.age(wanted, command, &inbox)?;
        let kept = row.as_ref().map_or(command.first, |row| row.kept.max(command.first));
        self.see(&inbox, command.first);
        if let Some(row) = row.as_ref().filter(|row| row.kept < kept) {
            self.put(effect, Row { kept, ..row.clone() })?;
        }
        match verdict(wanted, row.as_ref().map(|row| &row.state), age) {
            Verdict::Answer(answer) => Ok(Begin::Answer(answer)),
            Verdict::LeaveTombstone(answer) => {
                self.put(effect, Row { inbox, kept, state: RowState::Tombstone(NothingThere {}) })?;
                Ok(Begin::Answer(answer))
            }
            Verdict::Run(task) => {
                let known = known_result(command, row.as_ref());
                if task == Task::First {
                    self.put(effect, Row { inbox: inbox.clone(), kept, state: RowState::Intent(Intent {}) })?;
                }
                self.running.insert(effect);
                Ok(Begin::Run(Run { effect, inbox, kept, task, known, refuses_for_good }))
            }
        }
    }

    /// Records what became of a run. The answer may not leave before the next `sync`.
    ///
    /// # Errors
    /// When the rows can't be written. Then the outcome is not recorded, and nothing may be answered.
    pub fn finish(&mut self, run: Run, outcome: HandlerOutcome) -> Result<Answer, EffectStoreError> {
        self.running.remove(&run.effect);
        match (run.task, outcome) {
            (Task::First | Task::Again, Ok(result)) => {
                let done = Succeeded { result };
                self.record(run, RowState::Succeeded(done.clone()))?;
                Ok(Answer::Succeeded(done))
            }
            (task @ (Task::First | Task::Again), Err(HandlerError::Refused { code, detail }))
                if task == Task::First || run.refuses_for_good.contains(&code) =>
            {
                let refused = Refused { code, detail };
                self.record(run, RowState::Refused(refused.clone()))?;
                Ok(Answer::Refused(refused))
            }
            (Task::First, Err(HandlerError::Retry { after, reason })) => {
                self.rows.remove(run.effect)?;
                self.dirty = true;
                Ok(failed(reason, after))
            }
            (Task::First | Task::Again, Err(HandlerError::Refused { code, detail })) => Ok(failed(
                format!("{code} ({detail}), but an earlier attempt without an outcome may have gone through"),
                None,
            )),
            (Task::Undo, Ok(result)) => {
                let done = Compensated { result: Some(result) };
                self.record(run, RowState::Compensated(done.clone()))?;
                Ok(Answer::Compensated(done))
            }
            (Task::Undo, Err(HandlerError::Refused { code, detail })) => {
                Ok(failed(format!("a compensation can't be refused, but the handler says {code}: {detail}"), None))
            }
            (Task::Ask, Ok(result)) => Ok(Answer::Succeeded(Succeeded { result })),
            (Task::Ask, Err(HandlerError::Refused { code, detail })) => Ok(Answer::Refused(Refused { code, detail })),
            (Task::Again | Task::Undo | Task::Ask, Err(HandlerError::Retry { after, reason })) => {
                Ok(failed(reason, after))
            }
            (Task::First | Task::Again | Task::Undo | Task::Ask, Err(HandlerError::Failed { error })) => {
                Ok(failed(error, None))
            }
            (Task::First | Task::Again | Task::Undo | Task::Ask, Err(HandlerError::Working { until })) => {
                Ok(Answer::Working(Working { until }))
            }
        }
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
        for (inbox, newest) in &self.newest {
            dropped += self.rows.drop_through(inbox, newest.saturating_sub(self.retention), at_most)?;
        }
        self.dirty |= dropped > 0;
        Ok(dropped)
    }

    fn age(&self, wanted: Wanted, command: &Command, inbox: &ReplyPartition) -> Result<Age, EffectStoreError> {
        let time = match wanted {
            Wanted::UndoSucceeded => command.first,
            Wanted::Do(_) | Wanted::UndoUnknown(_) | Wanted::Probe => command.decided,
        };
        let forgotten = self.rows.horizon(inbox)?.is_some_and(|horizon| time <= horizon);
        Ok(if forgotten { Age::Forgotten } else { Age::Remembered })
    }

    fn see(&mut self, inbox: &ReplyPartition, first: Millis) {
        match self.newest.get_mut(inbox) {
            Some(newest) => *newest = first.max(*newest),
            None => drop(self.newest.insert(inbox.clone(), first)),
        }
    }

    fn record(&mut self, run: Run, state: RowState) -> Result<(), EffectStoreError> {
        self.put(run.effect, Row { inbox: run.inbox, kept: run.kept, state })
    }

    fn put(&mut self, effect: EffectId, row: Row) -> Result<(), EffectStoreError> {
        self.dirty = true;
        self.rows.put(effect, &row)
    }
}

/// Which row of the table; none: a question, which the table does not concern.
fn wanted(command: &Command, declared: Idempotence) -> Option<Wanted> {
    match command.address.kind {
        Kind::Do => Some(Wanted::Do(declared)),
        Kind::Probe => Some(Wanted::Probe),
        Kind::Ask => None,
        Kind::Compensate => match command.known.as_ref().map(|known| &known.outcome) {
            Some(KnownOutcome::Succeeded(_)) => Some(Wanted::UndoSucceeded),
            // Without a word of what is known, nothing is.
            Some(KnownOutcome::Unknown(_)) | None => Some(Wanted::UndoUnknown(declared)),
        },
    }
}

/// The row knows better than a command that was decided before the answer came.
fn known_result(command: &Command, row: Option<&Row>) -> Option<Bytes> {
    match (row.map(|row| &row.state), command.known.as_ref().map(|known| &known.outcome)) {
        (Some(RowState::Succeeded(done)), _) => Some(done.result.clone()),
        (_, Some(KnownOutcome::Succeeded(known))) => Some(known.result.clone()),
        (_, Some(KnownOutcome::Unknown(_)) | None) => None,
    }
}
