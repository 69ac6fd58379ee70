//! What the fold needs of a store: ordered families of keys, and batches that are taken whole or not at all. A port: no store lives here.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The version of the keys and values that the fold writes. Raised with every change to one of them: a store of another version is
/// rebuilt from the log, never misread.
pub const FORMAT: u32 = 9;

/// The families of keys. The discriminant is part of the state digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Family {
    /// One key: position, log time, hashes, settings.
    Meta = 0,
    /// saga id -> saga
    Sagas = 1,
    /// definition name, key -> saga id
    Keys = 2,
    /// due, saga id, timer -> nothing
    Timers = 3,
    /// saga id, timer -> duration that has not begun
    Waiting = 4,
    /// channel, position -> output
    Outbox = 5,
    /// channel -> what is known of it
    Channels = 6,
    /// source -> highest number
    Sources = 7,
    /// digest -> definition
    Definitions = 8,
    /// digest -> contract
    Contracts = 9,
    /// request id -> what became of it
    Requests = 10,
    /// saga id, number -> what happened
    History = 11,
    /// definition name and key, or alias and value; offset -> an event that came before its saga
    Early = 12,
    /// definition name, alias, value -> whom it names
    Aliases = 13,
    /// definition, fact, key -> the newest that was told
    Told = 14,
    /// definition, fact, key, saga id -> nothing
    Watchers = 15,
    /// saga id, fact -> what was asked last
    Asks = 16,
    /// participant, definition or all -> its gate
    Gates = 17,
    /// gate, start of the saga, saga id; or gate, since when it is due, saga id, fact -> nothing
    Queue = 18,
    /// saga id, effect or fact -> the attempt or question that takes a seat
    Seats = 19,
}

impl Family {
    /// Every family, in digest order.
    pub const ALL: [Self; 20] = [
        Self::Meta,
        Self::Sagas,
        Self::Keys,
        Self::Timers,
        Self::Waiting,
        Self::Outbox,
        Self::Channels,
        Self::Sources,
        Self::Definitions,
        Self::Contracts,
        Self::Requests,
        Self::History,
        Self::Early,
        Self::Aliases,
        Self::Told,
        Self::Watchers,
        Self::Asks,
        Self::Gates,
        Self::Queue,
        Self::Seats,
    ];

    /// The family's name in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Sagas => "sagas",
            Self::Keys => "keys",
            Self::Timers => "timers",
            Self::Waiting => "waiting",
            Self::Outbox => "outbox",
            Self::Channels => "channels",
            Self::Sources => "sources",
            Self::Definitions => "definitions",
            Self::Contracts => "contracts",
            Self::Requests => "requests",
            Self::History => "history",
            Self::Early => "early",
            Self::Aliases => "aliases",
            Self::Told => "told",
            Self::Watchers => "watchers",
            Self::Asks => "asks",
            Self::Gates => "gates",
            Self::Queue => "queue",
            Self::Seats => "seats",
        }
    }
}

/// A store that does not do what it should. The fold stops; nothing is decided by it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The bytes are not what was written.
    #[error("the store in {place} is damaged: {detail}. It is a cache: `sagaline rebuild` makes it anew from the log")]
    Corrupt {
        /// Directory.
        place: String,
        /// What is wrong.
        detail: String,
    },
    /// Written by another version of Sagaline.
    #[error(
        "the store in {place} has format {found}, this program writes {expected}: `sagaline rebuild` makes it anew from the log"
    )]
    Format {
        /// Directory.
        place: String,
        /// The format found.
        found: String,
        /// The format that this program knows.
        expected: String,
    },
    /// Another process has it open.
    #[error("the store in {place} is in use by another process")]
    InUse {
        /// Directory.
        place: String,
    },
    /// The disk failed.
    #[error("the store in {place}: {detail}")]
    Io {
        /// Directory.
        place: String,
        /// What the system says.
        detail: String,
    },
}

/// A key with its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Reading. Safe beside a writer in another thread: each call sees whole batches only.
pub trait Read: Send + Sync {
    /// A key's value.
    ///
    /// # Errors
    /// When the store can't be read.
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Entries with `from <= key < to` in key order, at most `max`. `to` none: to the family's end.
    ///
    /// # Errors
    /// When the store can't be read.
    fn scan(&self, family: Family, from: &[u8], to: Option<&[u8]>, max: usize) -> Result<Vec<Entry>, StoreError>;
}

/// A reader that other threads hold while the store is written.
pub trait Reader: Read {
    /// What is there now; later batches don't change it. For several reads that must fit together. Drop it soon: while it lives, nothing
    /// it sees can be removed from the disk.
    fn snapshot(&self) -> Box<dyn Read + '_>;
}

/// Writes to one family: a value, or none for a deletion.
pub type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Writes that are taken whole or not at all.
#[derive(Default, Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// By family.
    pub writes: BTreeMap<Family, Writes>,
}

/// A store of one partition.
pub trait Store: Read {
    /// Takes a batch whole. It need not survive a crash; what survives is some prefix of the batches.
    ///
    /// # Errors
    /// When the store can't be written; then nothing of the batch is there.
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError>;

    /// Makes everything committed survive a crash.
    ///
    /// # Errors
    /// When the disk refuses.
    fn flush(&mut self) -> Result<(), StoreError>;

    /// A reader for other threads.
    fn reader(&self) -> Arc<dyn Reader>;
}
