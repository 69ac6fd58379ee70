//! The rows of the effect store, and the port to where they lie. Nothing here decides: see the table in `effects.rs`.

use sagaline_schemas::command::Command;
use sagaline_schemas::record::{Compensated, NothingThere, Refused, Succeeded};
use sagaline_schemas::{EffectId, Millis, avro_record, avro_union};

avro_record! {
    /// Where answers go. Log times compare only within one of these, so each has its own horizon.
    #[derive(PartialOrd, Ord)]
    pub struct ReplyPartition {
        /// The inbox topic.
        pub topic: String,
        /// Its partition.
        pub partition: u32,
    }
}

impl ReplyPartition {
    /// Where the command's answer goes.
    pub(crate) fn of(command: &Command) -> Self {
        Self { topic: command.reply_topic.clone(), partition: command.reply_partition }
    }
}

avro_record! {
    /// What is remembered of an effect.
    pub struct Row {
        /// Whose effect it is.
        pub inbox: ReplyPartition,
        /// The latest `first` of the commands seen for it, log time: milliseconds since 1970. It is kept by this.
        pub kept: i64,
        /// What became of it.
        pub state: RowState,
    }
}

avro_union! {
    /// What became of an effect.
    pub enum RowState {
        /// Its handler began. Nobody knows yet, or any more, what came of it.
        Intent(Intent),
        /// It happened.
        Succeeded(Succeeded),
        /// It did not, and never will.
        Refused(Refused),
        /// It was made void before it happened, and never will.
        Tombstone(NothingThere),
        /// It was undone.
        Compensated(Compensated),
    }
}

avro_record! {
    /// A handler began.
    pub struct Intent {}
}

/// Who sees what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Only this instance: no other may run handlers of the participant.
    ThisInstance,
    /// Every instance.
    AllInstances,
}

/// Where the rows of the effect store lie. Writes are seen at once and durable after `sync`; what a crash takes is always the latest of them.
pub trait EffectRows: Send {
    /// What is remembered of an effect.
    ///
    /// # Errors
    /// When the rows can't be read, or are not what was written.
    fn row(&self, effect: EffectId) -> Result<Option<Row>, EffectStoreError>;

    /// Remembers this of an effect, instead of what was.
    ///
    /// # Errors
    /// When it can't be written.
    fn put(&mut self, effect: EffectId, row: &Row) -> Result<(), EffectStoreError>;

    /// Remembers nothing of an effect, as if it had never been seen. The horizon stays.
    ///
    /// # Errors
    /// When it can't be written.
    fn remove(&mut self, effect: EffectId) -> Result<(), EffectStoreError>;

    /// The largest `kept` of the rows dropped of a reply partition; none: none were.
    ///
    /// # Errors
    /// When it can't be read.
    fn horizon(&self, inbox: &ReplyPartition) -> Result<Option<Millis>, EffectStoreError>;

    /// The largest horizon of all reply partitions, but for those of this topic; none: none of them has one.
    ///
    /// # Errors
    /// When it can't be read.
    fn latest_horizon(&self, except: &str) -> Result<Option<Millis>, EffectStoreError>;

    /// Drops rows of a reply partition with `kept <= through`, those with the smallest first, at most so many, and raises the horizon in the same
    /// write. Tells how many.
    ///
    /// # Errors
    /// When it can't be written.
    fn drop_through(
        &mut self,
        inbox: &ReplyPartition,
        through: Millis,
        at_most: usize,
    ) -> Result<usize, EffectStoreError>;

    /// Makes every write so far durable.
    ///
    /// # Errors
    /// When that fails.
    fn sync(&mut self) -> Result<(), EffectStoreError>;

    /// Who sees these rows.
    fn reach(&self) -> Reach;

    /// What tells these rows from all others, for rows that one instance alone sees: it is part of the instance's name in its group, so that an instance
    /// with other rows is never taken for this one come back. None: the instance's name is enough.
    fn name(&self) -> Option<&str> {
        None
    }

    /// Whether commands were ever handled with these rows. Rows that can't tell say yes.
    ///
    /// # Errors
    /// When they can't be read.
    fn in_use(&self) -> Result<bool, EffectStoreError> {
        Ok(true)
    }

    /// Commands are handled with these rows from now on, whatever was handled before without them.
    ///
    /// # Errors
    /// When that can't be remembered.
    fn begin_use(&mut self) -> Result<(), EffectStoreError> {
        Ok(())
    }
}

/// What goes wrong with the effect store. After any of these nothing may be answered: the participant stops, and begins again where it had committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EffectStoreError {
    /// The database fails.
    #[error("the effect store in {place} fails: {detail}. Commands wait until it works again; nothing is lost")]
    Database {
        /// Where it lies.
        place: String,
        /// What the database says.
        detail: String,
    },
    /// Another process has it open.
    #[error(
        "the effect store in {place} is open in another process: stop that one, or give this one a --data directory of its own"
    )]
    InUse {
        /// Its directory.
        place: String,
    },
    /// The database's address is none.
    #[error("this is no address of a PostgreSQL database: {detail}. Write postgres://USER@HOST:PORT/DATABASE")]
    Url {
        /// What is wrong.
        detail: String,
    },
    /// The database can't hold every text.
    #[error(
        "the effect store in {place} has the encoding {found}, which can't hold every text: take a database with UTF8 (CREATE DATABASE .. ENCODING 'UTF8' TEMPLATE template0)"
    )]
    Encoding {
        /// Which.
        place: String,
        /// Its encoding.
        found: String,
    },
    /// A schema's name that would have to be quoted everywhere.
    #[error(
        "{name:?} is no name for the effect store's schema: take a-z, 0-9 and _, not beginning with a digit or pg_, at most 63"
    )]
    Schema {
        /// The name.
        name: String,
    },
    /// Another version of this program wrote it.
    #[error(
        "the effect store in {place} has format {found}, this program reads {expected}: run the version that wrote it"
    )]
    Format {
        /// Its directory.
        place: String,
        /// What it says of itself.
        found: String,
        /// What is read.
        expected: String,
    },
    /// A row is not what was written.
    #[error(
        "the effect store in {place} holds no row of ours at {key}: {detail}. Restore the directory from a backup; don't delete it, it is not a cache"
    )]
    Corrupt {
        /// Its directory.
        place: String,
        /// The key, hexadecimal.
        key: String,
        /// What is wrong.
        detail: String,
    },
    /// Commands of one effect must come one after the other.
    #[error("the effect {effect} has a handler running: finish that run first")]
    Running {
        /// Which.
        effect: EffectId,
    },
}
