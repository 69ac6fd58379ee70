//! What the API takes and gives, as JSON. The command line reads the same types back: one form, said once.

mod ask;
mod checkpoints;
mod gates;
mod reconcile;
mod settings;
mod upgrade;

use std::collections::BTreeMap;

use sagaline_schemas::record::End;
use sagaline_schemas::{Digest, Millis, Offset, Partition, SagaId, Value};
use serde::{Deserialize, Serialize};

pub use self::ask::*;
pub use self::checkpoints::*;
pub use self::gates::*;
pub use self::reconcile::*;
pub use self::settings::*;
pub use self::upgrade::*;

/// What became of a saga, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Steps are decided.
    Running,
    /// Effects are undone.
    Compensating,
    /// It goes on where it can, but something of it rests until a person lets it go on.
    Held,
    /// It waits for a person.
    Stuck,
    /// Every step is done or skipped.
    Completed,
    /// What was done is undone.
    Compensated,
    /// Undone because somebody asked.
    Cancelled,
    /// Ended by people.
    Closed,
    /// A child that could not begin.
    NotStarted,
}

impl Status {
    /// Every word, in the order in which counts are shown.
    pub const ALL: [Self; 9] = [
        Self::Running,
        Self::Compensating,
        Self::Held,
        Self::Stuck,
        Self::Completed,
        Self::Compensated,
        Self::Cancelled,
        Self::Closed,
        Self::NotStarted,
    ];

    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Compensating => "compensating",
            Self::Held => "held",
            Self::Stuck => "stuck",
            Self::Completed => "completed",
            Self::Compensated => "compensated",
            Self::Cancelled => "cancelled",
            Self::Closed => "closed",
            Self::NotStarted => "not_started",
        }
    }

    /// Whether it is over.
    pub fn is_ended(self) -> bool {
        !matches!(self, Self::Running | Self::Compensating | Self::Held | Self::Stuck)
    }
}

impl From<End> for Status {
    fn from(end: End) -> Self {
        match end {
            End::Completed => Self::Completed,
            End::Compensated => Self::Compensated,
            End::Cancelled => Self::Cancelled,
            End::Closed => Self::Closed,
            End::NotStarted => Self::NotStarted,
        }
    }
}

/// How fresh an answer is: how far a partition is folded, and how far its log goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fresh {
    /// Inbox partition.
    pub partition: Partition,
    /// The record that is folded next.
    pub position: Offset,
    /// First offset that the log does not hold.
    pub log_end: Offset,
}

/// One saga in a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SagaLine {
    /// Its id.
    pub id: SagaId,
    /// Its inbox partition.
    pub partition: Partition,
    /// The definition's name.
    pub definition: String,
    /// The definition's version.
    pub version: String,
    /// The correlation id.
    pub key: String,
    /// Who is to look after it: of the step that it is stuck at, else of the definition.
    pub owner: String,
    /// What became of it.
    pub status: Status,
    /// Why it is stuck, goes back or went back.
    pub why: Option<String>,
    /// Steps that are under way.
    pub steps: Vec<String>,
    /// What is awaited: participants, roles, topics, child sagas, `time`.
    pub waiting_on: Vec<String>,
    /// When it began: log time, or its record's own where that is later; milliseconds since 1970.
    pub started_at: Millis,
    /// When it ended, likewise.
    pub ended_at: Option<Millis>,
    /// Its deadline has passed while it could not act on it.
    pub overdue: bool,
}

/// A page of sagas, in the order of their ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SagaPage {
    /// The sagas.
    pub sagas: Vec<SagaLine>,
    /// To be given as `cursor` for what comes after; none: that was all.
    pub next: Option<SagaId>,
    /// How fresh.
    pub fresh: Vec<Fresh>,
}

/// How one step stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepLine {
    /// Its name; with the item's number in `for_each`.
    pub step: String,
    /// `waiting`, `guarded`, `queued`, `active`, `waits`, `asks`, `held`, `owed`, `done`, `skipped` or `continued`.
    pub state: String,
    /// What it does: `payment.charge`, `wait psp.webhooks`.
    pub call: String,
    /// Attempts of its newest effect.
    pub attempts: u32,
    /// What became of its newest effect.
    pub outcome: Option<String>,
    /// What became of undoing it.
    pub undo: Option<String>,
}

/// Something that waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkItem {
    /// The saga in a line.
    pub saga: SagaLine,
    /// `stuck`, `held` or `approval`.
    pub kind: String,
    /// The step; none: the saga as a whole.
    pub step: Option<String>,
    /// Indices of the items; empty outside `for_each`.
    pub items: Vec<u32>,
    /// Whose it is: a team, or the roles and users that may decide.
    pub owner: String,
    /// Why.
    pub why: String,
    /// Log time since when, where it is known.
    pub since: Option<Millis>,
    /// What can be done about it.
    pub actions: Vec<String>,
    /// Of an approval: the version that a decision names.
    pub version: Option<i64>,
    /// Of an approval: what is to be decided about.
    pub shown: Option<Value>,
    /// Of an approval: who has said what so far.
    pub votes: Vec<String>,
}

/// A page of work, in the order of the sagas' ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkPage {
    /// The items.
    pub work: Vec<WorkItem>,
    /// To be given as `cursor` for what comes after; none: that was all.
    pub next: Option<SagaId>,
    /// How fresh.
    pub fresh: Vec<Fresh>,
}

/// A duration that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerLine {
    /// What it is for.
    pub what: String,
    /// Log time; none: it starts with the next Progress.
    pub due: Option<Millis>,
}

/// Something that happened to a saga.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Happening {
    /// Offset of the input.
    pub offset: Offset,
    /// Number of the timer within it; 0 for the record itself.
    pub timer: u32,
    /// When: log time, or its record's own where that is later; milliseconds since 1970.
    pub time: Millis,
    /// In words.
    pub what: String,
    /// The fact itself.
    pub fact: serde_json::Value,
}

/// One saga with all that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SagaDetail {
    /// The saga in a line.
    #[serde(flatten)]
    pub line: SagaLine,
    /// What it began with.
    pub input: Value,
    /// Every step, item by item.
    pub steps_in_order: Vec<StepLine>,
    /// What waits for a person.
    pub work: Vec<WorkItem>,
    /// Durations that run.
    pub timers: Vec<TimerLine>,
    /// The world report: every effect, what became of it, how that is known.
    pub report: serde_json::Value,
    /// How fresh.
    pub fresh: Fresh,
}

/// A saga's history, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The saga.
    pub id: SagaId,
    /// What happened. Its hash chain was checked when this was read.
    pub history: Vec<Happening>,
    /// How fresh.
    pub fresh: Fresh,
}

/// How many sagas are where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// By status; a status without sagas is 0.
    pub by_status: BTreeMap<Status, u64>,
    /// How fresh.
    pub fresh: Vec<Fresh>,
}

/// A definition that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionLine {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is named by, for ever.
    pub digest: Digest,
    /// Whether new starts name it.
    pub active: bool,
    /// Whose its sagas are.
    pub owner: String,
    /// The domain topic that starts it.
    pub topic: Option<String>,
    /// Its steps: `charge: payment.charge`.
    pub steps: Vec<String>,
}

/// A contract that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractLine {
    /// The participant.
    pub participant: String,
    /// Its version.
    pub version: String,
    /// What it is named by, for ever.
    pub digest: Digest,
    /// Who runs the participant.
    pub owner: String,
    /// Partitions of its command topic.
    pub command_partitions: u32,
    /// Its operations.
    pub operations: Vec<String>,
}

/// Definitions and contracts to be applied, as JSON in their normal forms: what `sagaline check --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// Who applies.
    pub by: String,
    /// Contracts.
    #[serde(default)]
    pub contracts: Vec<sagaline_definition::Contract>,
    /// Definitions.
    #[serde(default)]
    pub definitions: Vec<sagaline_definition::Definition>,
}

/// What was applied, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Participants with the digest of their contract.
    pub contracts: Vec<(String, Digest)>,
    /// Definitions with their digest, active from now on.
    pub definitions: Vec<(String, Digest)>,
}

/// Domain events for the embedded log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// The domain topic.
    pub topic: String,
    /// The member of each event that is its record's key; none: no key.
    #[serde(default)]
    pub key: Option<String>,
    /// The events.
    pub events: Vec<Value>,
}

/// How many events were appended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// How many.
    pub sent: usize,
}

/// An input that is to be passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skip {
    /// Inbox partition.
    pub partition: Partition,
    /// Offset of the input.
    pub offset: Offset,
    /// Timer within it; 0: the record itself.
    #[serde(default)]
    pub timer: u32,
    /// Who says so.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Where the word that an input is to be passed over lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Inbox partition.
    pub partition: Partition,
    /// Offset of the Fault.
    pub fault: Offset,
}

/// A record that was set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedLine {
    /// Where the record lay: inbox partition.
    pub partition: Partition,
    /// And offset.
    pub offset: Offset,
    /// When: log time, or its record's own where that is later; milliseconds since 1970.
    pub time: Millis,
    /// Why, in a word.
    pub reason: String,
    /// What is wrong, and what would help.
    pub detail: String,
    /// Length of the record, bytes.
    pub length: i64,
    /// BLAKE3 of the record.
    pub digest: Digest,
}

/// The newest records that were set aside, newest last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedPage {
    /// The records.
    pub parked: Vec<ParkedLine>,
    /// How many lie in the topic.
    pub total: i64,
}

/// What the API says instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// For programs.
    pub code: ErrorCode,
    /// What happened, and where.
    pub message: String,
    /// What a person can do.
    pub help: String,
}

/// Kinds of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The question is not well formed.
    BadRequest,
    /// It is larger than allowed.
    TooLarge,
    /// Not from here.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The answer is no.
    Refused,
    /// Too much waits to be sent: later.
    Busy,
    /// The partition folds no more, until a person has done something.
    Halted,
    /// The log can't be reached.
    Unreachable,
    /// Not in time.
    Timeout,
    /// The store or the program does not do what it should.
    Broken,
}
