//! Why an owner gives its partition up. Each reason says what happened, where, and the way out; none of them decides anything.

use sagaline_log::LogError;
use sagaline_partition::store::StoreError;
use sagaline_partition::{FaultNote, Halt};
use sagaline_schemas::{LogId, Offset, Partition};

/// Why an owner gives its partition up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// The fold itself halts.
    #[error(transparent)]
    Halt(Halt),
    /// The store does not do what it should.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log does not do what it should, and asking again does not help.
    #[error(transparent)]
    Log(LogError),
    /// A topic, the inbox above all, is not one that sagas may live by.
    #[error("the topic {topic} is not fit for sagas: {setting} is {found}, it must be {wanted}. {way_out}")]
    Unsafe {
        /// Which topic.
        topic: String,
        /// Which setting.
        setting: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        wanted: String,
        /// What a person can do.
        way_out: String,
    },
    /// The store was made from another log.
    #[error(
        "the store of inbox partition {partition} was folded from {what} {stored}, this is {found}: point the node to its own data \
         directory, or run `sagaline rebuild` if the old log is gone for good"
    )]
    OtherLog {
        /// Inbox partition.
        partition: Partition,
        /// Cluster, topic or log.
        what: &'static str,
        /// What the store knows.
        stored: String,
        /// What is there.
        found: String,
    },
    /// What is known of the log comes from a copy of its beginning, and that is another log's.
    #[error(
        "the store of inbox partition {partition} was folded from this inbox, log {stored}, of which the beginning is gone; the copy of it in the topic \
         `definitions` is of another log, {copy}: it was written late, or again, by somebody who has this key or an old copy. Leave the inbox and the store \
         as they are: write the records `genesis/{stored}/...` of `definitions` again from a copy of that topic, and start the node"
    )]
    OtherCopy {
        /// Inbox partition.
        partition: Partition,
        /// What the store knows.
        stored: LogId,
        /// What the copy says.
        copy: LogId,
    },
    /// The log ends before the store's position: it has lost records.
    #[error(
        "the store of inbox partition {partition} is ahead of its log: it has folded up to offset {position}, the log holds {start}..{end}. \
         The log has lost records. The store is kept; what participants did for the lost records is not undone. After checking the \
         brokers, `sagaline rebuild` folds what is left"
    )]
    AheadOfLog {
        /// Inbox partition.
        partition: Partition,
        /// The store's position.
        position: Offset,
        /// First offset of the log.
        start: Offset,
        /// First offset that it does not hold.
        end: Offset,
    },
    /// The log has lost its beginning, this machine has no store that could go on, and no checkpoint takes its place.
    #[error(
        "inbox partition {partition} can't be folded here: its log begins at offset {start}, and this node has no store that reaches so far. No checkpoint can \
         be used: {why}. Set `checkpoints.url` to where the checkpoints of this log lie, or copy the folder partition-{partition} of another node's \
         `data` while that node is stopped"
    )]
    Beheaded {
        /// Inbox partition.
        partition: Partition,
        /// First offset of the log.
        start: Offset,
        /// Why no checkpoint can be used.
        why: String,
    },
    /// The record before the store's position is another one.
    #[error(
        "inbox partition {partition} holds another record at offset {offset} than the store has folded: the log was cut and written anew. \
         The store is kept. After checking the brokers, `sagaline rebuild` folds the log as it is now"
    )]
    Rewritten {
        /// Inbox partition.
        partition: Partition,
        /// Offset of the record.
        offset: Offset,
    },
    /// A record without the broker's own timestamp.
    #[error(
        "the record at offset {offset} of inbox partition {partition} has no append time: set message.timestamp.type=LogAppendTime"
    )]
    NoAppendTime {
        /// Inbox partition.
        partition: Partition,
        /// Its offset.
        offset: Offset,
    },
    /// The fold panics, twice, the second time on clean caches; or this process has died there again and again.
    #[error(
        "the fold of inbox partition {partition} can't go on at {offset}.{timer}: {panic}. Nothing was decided. \
         `sagaline skip {partition} {offset}.{timer} --reason WHY` has that input passed over"
    )]
    Panicked {
        /// Inbox partition.
        partition: Partition,
        /// The record.
        offset: Offset,
        /// The timer within it; 0: the record itself.
        timer: u32,
        /// What happens, and what the panic said.
        panic: String,
        /// Before this offset no person's word lies that helps.
        heard: Offset,
        /// The claim under which this node published when the input came, where it is certain that nobody has published what the input would decide;
        /// none: somebody may have.
        unsaid: Option<Offset>,
    },
    /// The fold panics here, and another node has folded on.
    #[error(
        "the fold of inbox partition {partition} can't go on at {offset}.{timer}: {panic}. Nothing was decided. The Progress at offset {at} shows that \
         another node has folded that input: let that one go on, and compare both nodes' builds and machines. `sagaline skip` would be refused"
    )]
    PanicsAlone {
        /// Inbox partition.
        partition: Partition,
        /// The record.
        offset: Offset,
        /// The timer within it; 0: the record itself.
        timer: u32,
        /// What the panic said.
        panic: String,
        /// Offset of the Progress.
        at: Offset,
    },
    /// A person had an input passed over that this store has folded: it must be dropped and folded anew.
    #[error(
        "{offset}.{timer} of inbox partition {partition} is to be passed over, and this store has folded it: it is folded anew"
    )]
    Refold {
        /// Inbox partition.
        partition: Partition,
        /// The record.
        offset: Offset,
        /// The timer within it.
        timer: u32,
        /// Where the Fault lies.
        fault: Offset,
        /// What it says.
        note: FaultNote,
    },
}

impl Stop {
    /// Whether the reason lies with this node, as far as it can tell: another one may well go on.
    #[must_use]
    pub fn is_this_nodes(&self) -> bool {
        match self {
            Self::Store(_)
            | Self::Log(_)
            | Self::OtherLog { .. }
            | Self::AheadOfLog { .. }
            | Self::Beheaded { .. }
            | Self::Rewritten { .. }
            | Self::PanicsAlone { .. }
            | Self::Halt(Halt::Store(_) | Halt::WrongKey { .. }) => true,
            // Outside of the fold.
            Self::Panicked { offset, .. } => *offset < 0,
            Self::Halt(
                Halt::NoGenesis { .. }
                | Halt::UnknownRules { .. }
                | Halt::Hole { .. }
                | Halt::Diverged { .. }
                | Halt::PassedOver { .. },
            )
            | Self::Unsafe { .. }
            | Self::OtherCopy { .. }
            | Self::NoAppendTime { .. }
            | Self::Refold { .. } => false,
        }
    }

    /// Whether trying again may help, though nobody has said a word: a disk that was full, a store that somebody else had open.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        let (Self::Store(error) | Self::Halt(Halt::Store(error))) = self else { return false };
        store_may_pass(error)
    }

    /// The same, where it was found for all partitions, as one of them tells it.
    #[must_use]
    pub fn of(self, partition: Partition) -> Self {
        match self {
            Self::OtherLog { what, stored, found, .. } => Self::OtherLog { partition, what, stored, found },
            stop => stop,
        }
    }
}

/// Whether trying a store again may help: a disk that was full, a store that somebody else had open.
pub(crate) fn store_may_pass(error: &StoreError) -> bool {
    matches!(error, StoreError::Io { .. } | StoreError::InUse { .. })
}

/// Whether asking the log again may help.
pub(crate) fn log_may_pass(error: &LogError) -> bool {
    match error {
        LogError::Unreachable { .. }
        | LogError::Io { .. }
        | LogError::QueueFull { .. }
        | LogError::OutcomeUnknown { .. } => true,
        LogError::Address { .. }
        | LogError::NoTopic { .. }
        | LogError::TopicExists { .. }
        | LogError::OutOfRange { .. }
        | LogError::Rewritten { .. }
        | LogError::TooLarge { .. }
        | LogError::Forbidden { .. }
        | LogError::Corrupt { .. }
        | LogError::InUse { .. } => false,
    }
}
