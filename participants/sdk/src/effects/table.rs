//! The protocol's table (docs/protocol.md): what a command means beside what is remembered of its effect, and what becomes of a handler's outcome.
//! Pure: rows come in, rows to be written go out. Where they lie, and who else may write there, is the stores' business.

// `verdict` is this table, `settle` is what a handler's outcome makes of it.
//
// | command               | Succeeded          | Refused            | Tombstone, Compensated | Intent                                | no row                                        |
// |-----------------------|--------------------|--------------------|------------------------|---------------------------------------|-----------------------------------------------|
// | do                    | the answer         | the answer         | Mark                   | ByKey: run again (see below)          | decided <= horizon: Mark(forgotten)           |
// |                       |                    |                    |                        | None, Transaction: Failed for ever    | else write Intent, run, record, answer        |
// | compensate, Succeeded | run, record        | run, record        | the answer             | run, record                           | first <= horizon: Mark(forgotten)             |
// |                       |                    |                    |                        |                                       | else run, leave a row                         |
// | compensate, Unknown   | run, record        | NothingThere       | the answer             | ByKey: run, record                    | decided <= horizon: Mark(forgotten)           |
// |                       |                    |                    |                        | None, Transaction: Mark(forgotten)    | else leave a Tombstone, NothingThere          |
// | probe: run, and       | yes, with result   | no                 | no                     | unknown                               | decided <= horizon: unknown                   |
// |                       |                    |                    |                        |                                       | else leave a Tombstone, no                    |
// | probe beside the log  | yes, with result   | no                 | no                     | unknown                               | decided <= any horizon: unknown; else no      |
//
// A probe beside the log (`is_beside`) is about a saga that has ended, and nothing is decided by it: it leaves no tombstone, and the row is kept no longer
// for it. Its answer does not go to the effect's inbox, so which horizon is the effect's is not known: any may be.
//
// Whether an effect happened says the row. A probe's handler runs all the same: it says what the business knows of the effect now, which somebody
// may have changed by hand.
//
// A handler's outcome: done and refused become the row. "Come again" of a first run withdraws its intent, since nothing happened. A failure
// leaves the intent open: whether something happened is not known. So does "working": somebody else will say. A refusal of a run again is Failed,
// because the first run may have caused it, unless its code is refused for good. A compensation has no intent: it is safe to repeat by declaration.
//
// An operation in one transaction has no intent that anybody sees: there is an outcome, or nothing happened. An open one was left by a version that
// declared otherwise.

use std::time::Duration;

use sagaline_schemas::Millis;
use sagaline_schemas::command::{Command, FIRST_ATTEMPT_BESIDE, KnownOutcome};
use sagaline_schemas::record::{
    Answer, Compensated, Failed, Happened, Kind, Mark, MarkKind, NothingThere, Probed, Refused, Succeeded, Working,
};
use sagaline_schemas::wire::Bytes;

use super::{Begin, Idempotence, Intent, Promise, ReplyPartition, Row, RowState, Run};
use crate::handler::{HandlerError, HandlerOutcome};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    First,
    Again,
    Undo,
    Ask,
    /// The handler says what the business knows; whether it happened is known already.
    Probe(Happened),
}

/// A row of the table.
#[derive(Clone, Copy)]
enum Wanted {
    Do(Idempotence),
    UndoSucceeded,
    UndoUnknown(Idempotence),
    Probe,
    ProbeBeside,
}

/// A cell of the table.
enum Verdict {
    Then(Then),
    LeaveTombstone(Then),
}

/// How it goes on once the rows are as they should be.
enum Then {
    Answer(Answer),
    Run(Task),
}

/// Without a row: is the effect older than the newest row that was dropped?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    Remembered,
    Forgotten,
}

fn verdict(wanted: Wanted, row: Option<&RowState>, age: Age) -> Verdict {
    let say = |answer| Verdict::Then(Then::Answer(answer));
    let run = |task| Verdict::Then(Then::Run(task));
    let probe = |happened| run(Task::Probe(happened));
    match (wanted, row) {
        (Wanted::Do(_), Some(RowState::Succeeded(done))) => say(Answer::Succeeded(done.clone())),
        (Wanted::Do(_), Some(RowState::Refused(refused))) => say(Answer::Refused(refused.clone())),
        (Wanted::Do(_), Some(RowState::Tombstone(_))) => say(mark(MarkKind::Tombstoned)),
        (Wanted::Do(_), Some(RowState::Compensated(_))) => say(mark(MarkKind::AlreadyCompensated)),
        (Wanted::Do(Idempotence::ByKey), Some(RowState::Intent(_))) => run(Task::Again),
        (Wanted::Do(Idempotence::None | Idempotence::Transaction), Some(RowState::Intent(_))) => {
            say(failed(LOST.to_owned(), None))
        }
        (Wanted::Do(_), None) if age == Age::Forgotten => say(mark(MarkKind::Forgotten)),
        (Wanted::Do(_), None) => run(Task::First),

        (Wanted::UndoSucceeded | Wanted::UndoUnknown(_), Some(RowState::Compensated(done))) => {
            say(Answer::Compensated(done.clone()))
        }
        (Wanted::UndoSucceeded | Wanted::UndoUnknown(_), Some(RowState::Tombstone(_))) => say(nothing_there()),
        (Wanted::UndoSucceeded | Wanted::UndoUnknown(_), Some(RowState::Succeeded(_))) => run(Task::Undo),
        (Wanted::UndoSucceeded, Some(RowState::Refused(_) | RowState::Intent(_))) => run(Task::Undo),
        (Wanted::UndoUnknown(_), Some(RowState::Refused(_))) => say(nothing_there()),
        (Wanted::UndoUnknown(Idempotence::ByKey), Some(RowState::Intent(_))) => run(Task::Undo),
        (Wanted::UndoUnknown(Idempotence::None | Idempotence::Transaction), Some(RowState::Intent(_))) => {
            say(mark(MarkKind::Forgotten))
        }
        (Wanted::UndoSucceeded | Wanted::UndoUnknown(_), None) if age == Age::Forgotten => {
            say(mark(MarkKind::Forgotten))
        }
        (Wanted::UndoSucceeded, None) => run(Task::Undo),
        (Wanted::UndoUnknown(_), None) => Verdict::LeaveTombstone(Then::Answer(nothing_there())),

        (Wanted::Probe | Wanted::ProbeBeside, Some(RowState::Succeeded(_))) => probe(Happened::Yes),
        (
            Wanted::Probe | Wanted::ProbeBeside,
            Some(RowState::Refused(_) | RowState::Tombstone(_) | RowState::Compensated(_)),
        ) => probe(Happened::No),
        (Wanted::Probe | Wanted::ProbeBeside, Some(RowState::Intent(_))) => probe(Happened::Unknown),
        (Wanted::Probe | Wanted::ProbeBeside, None) if age == Age::Forgotten => probe(Happened::Unknown),
        (Wanted::Probe, None) => Verdict::LeaveTombstone(Then::Run(Task::Probe(Happened::No))),
        (Wanted::ProbeBeside, None) => probe(Happened::No),
    }
}

/// Of an intent that nobody can say anything about.
const LOST: &str = "an earlier attempt ended without a recorded outcome, and the operation is not safe to repeat: a person has to look";

fn mark(mark: MarkKind) -> Answer {
    Answer::Mark(Mark { mark })
}

fn nothing_there() -> Answer {
    Answer::NothingThere(NothingThere {})
}

/// PostgreSQL has no text with a NUL in it. A repeat is to be answered as the first one was, on every store.
fn refused(code: String, detail: String) -> Refused {
    let storable = |text: String| if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text };
    Refused { code: storable(code), detail: storable(detail) }
}

pub(super) fn failed(error: String, retry_after: Option<Duration>) -> Answer {
    let retry_after = retry_after.map(millis);
    Answer::Failed(Failed { error, retry_after, outage: false })
}

fn out(error: String, retry_after: Option<Duration>) -> Answer {
    let retry_after = retry_after.map(millis);
    Answer::Failed(Failed { error, retry_after, outage: true })
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A command beside what is remembered of its effect.
pub(super) struct Look {
    /// What is to be remembered before anything is answered or run; none: nothing changes.
    pub write: Option<Row>,
    /// How it goes on.
    pub begin: Begin,
}

/// Whether this is asked of what has ended, beside the log: no saga ever asks under such a number.
pub(super) fn is_beside(command: &Command) -> bool {
    command.address.kind == Kind::Probe && command.address.attempt >= FIRST_ATTEMPT_BESIDE
}

/// What a command begins. `horizon` is asked for only where there is no row: the command's own reply partition's, or the latest of all where it is asked
/// beside the log.
pub(super) fn look(command: &Command, promise: Promise, row: Option<&Row>, horizon: Option<Millis>) -> Look {
    let Promise { idempotence, refuses_for_good } = promise;
    let (effect, inbox) = (command.effect_id, ReplyPartition::of(command));
    let kept = row.map_or(command.first, |row| row.kept.max(command.first));
    let run = |task, known| Begin::Run(Run { effect, inbox: inbox.clone(), kept, task, known, refuses_for_good });
    let Some(wanted) = wanted(command, idempotence) else {
        return Look { write: None, begin: run(Task::Ask, None) };
    };
    let sees = !is_beside(command);
    let seen = row.filter(|row| sees && row.kept < kept).map(|row| Row { kept, ..row.clone() });
    let leave = |state| Some(Row { inbox: inbox.clone(), kept, state });
    let begin = |then| match then {
        Then::Answer(answer) => Begin::Answer(answer),
        Then::Run(task) => run(task, known_result(command, row)),
    };
    match verdict(wanted, row.map(|row| &row.state), age(wanted, command, horizon)) {
        Verdict::Then(Then::Run(Task::First)) => {
            Look { write: leave(RowState::Intent(Intent {})), begin: begin(Then::Run(Task::First)) }
        }
        Verdict::Then(then) => Look { write: seen, begin: begin(then) },
        Verdict::LeaveTombstone(then) => {
            Look { write: leave(RowState::Tombstone(NothingThere {})), begin: begin(then) }
        }
    }
}

/// What a handler's outcome is to be remembered as.
#[derive(Debug, PartialEq)]
pub(super) enum Write {
    /// The row stays as it is.
    Nothing,
    /// This row instead.
    Put(Row),
    /// As if the effect had never been seen.
    Remove,
}

/// What becomes of a run, where nobody else has touched the row meanwhile.
pub(super) fn settle(run: Run, outcome: HandlerOutcome) -> (Write, Answer) {
    let Run { inbox, kept, task, known, refuses_for_good, .. } = run;
    let put = |state| Write::Put(Row { inbox, kept, state });
    match (task, outcome) {
        (Task::First | Task::Again, Ok(result)) => {
            let done = Succeeded { result };
            (put(RowState::Succeeded(done.clone())), Answer::Succeeded(done))
        }
        (task @ (Task::First | Task::Again), Err(HandlerError::Refused { code, detail }))
            if task == Task::First || refuses_for_good.contains(&code) =>
        {
            let refused = refused(code, detail);
            (put(RowState::Refused(refused.clone())), Answer::Refused(refused))
        }
        (Task::First, Err(HandlerError::Retry { after, reason })) => (Write::Remove, failed(reason, after)),
        (Task::First | Task::Again, Err(HandlerError::Refused { code, detail })) => {
            let error = format!("{code} ({detail}), but an earlier attempt without an outcome may have gone through");
            (Write::Nothing, failed(error, None))
        }
        (Task::Undo, Ok(result)) => {
            let done = Compensated { result: Some(result) };
            (put(RowState::Compensated(done.clone())), Answer::Compensated(done))
        }
        (Task::Undo, Err(HandlerError::Refused { code, detail })) => {
            let error = format!("a compensation can't be refused, but the handler says {code}: {detail}");
            (Write::Nothing, failed(error, None))
        }
        (Task::Ask, Ok(result)) => (Write::Nothing, Answer::Succeeded(Succeeded { result })),
        (Task::Probe(happened), Ok(found)) => {
            let result = known.filter(|_| happened == Happened::Yes);
            (Write::Nothing, Answer::Probed(Probed { happened, result, found: Some(found) }))
        }
        (Task::Probe(_), Err(HandlerError::Refused { code, detail })) => {
            let error = format!("a probe can't be refused, but the handler says {code}: {detail}");
            (Write::Nothing, failed(error, None))
        }
        (Task::Ask, Err(HandlerError::Refused { code, detail })) => {
            (Write::Nothing, Answer::Refused(refused(code, detail)))
        }
        (Task::Again | Task::Undo | Task::Ask | Task::Probe(_), Err(HandlerError::Retry { after, reason })) => {
            (Write::Nothing, failed(reason, after))
        }
        (Task::First | Task::Again | Task::Undo | Task::Ask | Task::Probe(_), Err(HandlerError::Failed { error })) => {
            (Write::Nothing, failed(error, None))
        }
        (
            Task::First | Task::Again | Task::Undo | Task::Ask | Task::Probe(_),
            Err(HandlerError::Unavailable { error, retry_after }),
        ) => (Write::Nothing, out(error, retry_after)),
        (Task::First | Task::Again | Task::Undo | Task::Ask | Task::Probe(_), Err(HandlerError::Working { until })) => {
            (Write::Nothing, Answer::Working(Working { until }))
        }
    }
}

/// What becomes of a run whose row may have been touched by another instance. `own`: the open intent there is this run's.
///
/// Only the run whose intent stands may withdraw it or refuse: another one may be under way. What was recorded meanwhile is the answer. But what
/// happened, happened: a success behind a refusal is recorded and told, so that the contradiction is seen.
pub(super) fn settle_shared(run: Run, row: Option<&Row>, own: bool, outcome: HandlerOutcome) -> (Write, Answer) {
    let declared = Wanted::Do(Idempotence::ByKey);
    match (run.task, row.map(|row| &row.state), &outcome) {
        (Task::Undo, Some(RowState::Compensated(done)), _) => (Write::Nothing, Answer::Compensated(done.clone())),
        (Task::First | Task::Again, Some(RowState::Refused(_)), Ok(_)) => settle(run, outcome),
        (
            Task::First | Task::Again,
            Some(
                state @ (RowState::Succeeded(_)
                | RowState::Refused(_)
                | RowState::Tombstone(_)
                | RowState::Compensated(_)),
            ),
            _,
        ) => match verdict(declared, Some(state), Age::Remembered) {
            Verdict::Then(Then::Answer(answer)) => (Write::Nothing, answer),
            Verdict::Then(Then::Run(_)) | Verdict::LeaveTombstone(_) => unreachable!("a do that is over has an answer"),
        },
        (Task::First | Task::Again, Some(RowState::Intent(_)) | None, _) if !own => {
            let doubtful = Run { task: Task::Again, refuses_for_good: std::sync::Arc::default(), ..run };
            settle(doubtful, outcome)
        }
        (Task::First | Task::Again | Task::Undo | Task::Ask | Task::Probe(_), _, _) => settle(run, outcome),
    }
}

fn age(wanted: Wanted, command: &Command, horizon: Option<Millis>) -> Age {
    let time = match wanted {
        Wanted::UndoSucceeded => command.first,
        Wanted::Do(_) | Wanted::UndoUnknown(_) | Wanted::Probe | Wanted::ProbeBeside => command.decided,
    };
    if horizon.is_some_and(|horizon| time <= horizon) { Age::Forgotten } else { Age::Remembered }
}

/// Which row of the table; none: a question, which the table does not concern.
fn wanted(command: &Command, declared: Idempotence) -> Option<Wanted> {
    match command.address.kind {
        Kind::Do => Some(Wanted::Do(declared)),
        Kind::Probe if is_beside(command) => Some(Wanted::ProbeBeside),
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
