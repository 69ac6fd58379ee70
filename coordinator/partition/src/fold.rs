//! The fold itself: which record does what. Each record is decoded, proved, deduplicated (lines 1 to 3) and then taken by the file
//! that its kind names. Total: what can't be used is parked; only what makes going on wrong halts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sagaline_definition::Definition;
use sagaline_schemas::output::ParkedReason;
use sagaline_schemas::proof::{self, Key, Opened};
use sagaline_schemas::record::{Body, Genesis};
use sagaline_schemas::{Digest, Millis, Offset, OutputHash, Position, SagaId, Token, schema};

use crate::gate::Gate;
use crate::gates::{Called, Limited};
use crate::halt::Halt;
use crate::keys;
use crate::outbox::Published;
use crate::overlay::{Overlay, decode};
use crate::progress::corrupt;
use crate::rules::KnownRules;
use crate::state::{Attempt, Channel, Counters, Folding, Meta, Output};
use crate::store::{Family, Reader, Store, StoreError};
use crate::view;

/// Outputs read at once when a store is opened.
const PAGE: usize = 1_000;

/// A record of the inbox as the fold reads it: its value and its broker timestamp, nothing else.
#[derive(Clone, Copy, Debug)]
pub struct LogRecord<'a> {
    /// Its offset.
    pub offset: Offset,
    /// The broker's append time, milliseconds since 1970.
    pub timestamp: Millis,
    /// Its value.
    pub value: &'a [u8],
}

/// How far a call of `fold` came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folded {
    /// The record is done.
    Whole,
    /// Timers are left to fire: a batch may end here. Call again with the same record.
    More,
}

/// Inputs to be passed over, by offset and timer, as Fault records in the log say.
pub type Faults = BTreeMap<(Offset, u32), FaultNote>;

/// What a Fault record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultNote {
    /// Who said so.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// One inbox partition.
pub struct Partition {
    pub(crate) number: u32,
    known_rules: KnownRules,
    pub(crate) key: Key,
    pub(crate) over: Overlay,
    pub(crate) meta: Option<Meta>,
    pub(crate) definitions: BTreeMap<Digest, Arc<Definition>>,
    pub(crate) faults: Faults,
    pub(crate) at: Position,
    /// The broker's timestamp of the record that is folded.
    pub(crate) timestamp: Millis,
    pub(crate) published: Vec<Published>,
    /// Commands in the outbox that no answer has settled: whose clocks begin when they leave it. Held in memory only: after a restart it is
    /// every command in the outbox, which costs a look at its saga and changes nothing.
    pub(crate) unanswered: BTreeSet<Attempt>,
    /// The tokens of the newest commands, so that most answers are proved without deriving ids and hashing inputs anew.
    pub(crate) tokens: BTreeMap<Attempt, Token>,
    /// `Family::Waiting`, held in memory: it empties at every Progress.
    pub(crate) waiting: BTreeSet<SagaId>,
    /// `Family::Gates`, held in memory: most participants have none.
    pub(crate) gates: BTreeMap<String, Gate>,
    /// What contracts limit, by definition.
    pub(crate) limited: BTreeMap<Digest, Limited>,
    /// Gates at which a seat became free in this record or with this timer.
    pub(crate) freed: BTreeSet<String>,
    /// The gate that calls the saga whose turn it is.
    pub(crate) called: Option<Called>,
    /// When the first timer is due, where that is known; see `timers.rs`.
    pub(crate) next_due: Option<Option<Millis>>,
    /// `Family::Channels`, held in memory: there are few, and each output changes one. Written when everything is committed.
    pub(crate) channels: BTreeMap<String, Channel>,
    /// The last whole record: hashed when everything is committed.
    pub(crate) last_value: Option<Vec<u8>>,
    /// What comes from a record behind this one was not there at the last commit.
    pub(crate) committed: Offset,
    /// Behind the timer that fired last in this record: nothing is ever armed before it. After a restart it is looked for anew.
    pub(crate) fire_from: Option<Vec<u8>>,
}

impl Partition {
    /// Goes on where the store stands, or begins with an empty one.
    ///
    /// # Errors
    /// When the store can't be read, or belongs to a log whose key or rules this program does not have.
    pub fn open(number: u32, store: Box<dyn Store>, key: Key, faults: Faults) -> Result<Self, Halt> {
        Self::open_as(KnownRules::OWN, number, store, key, faults)
    }

    /// As `open`, by a program that knows these rules.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_as(
        known_rules: KnownRules,
        number: u32,
        store: Box<dyn Store>,
        key: Key,
        faults: Faults,
    ) -> Result<Self, Halt> {
        let meta =
            store.get(Family::Meta, keys::META)?.map(|bytes| decode::<Meta>(Family::Meta, &bytes)).transpose()?;
        let mut partition = Self {
            number,
            known_rules,
            key,
            over: Overlay::new(store),
            meta,
            definitions: BTreeMap::new(),
            faults,
            at: Position { offset: 0, timer: 0, index: 0 },
            timestamp: 0,
            published: Vec::new(),
            unanswered: BTreeSet::new(),
            tokens: BTreeMap::new(),
            waiting: BTreeSet::new(),
            gates: BTreeMap::new(),
            limited: BTreeMap::new(),
            freed: BTreeSet::new(),
            called: None,
            next_due: None,
            channels: BTreeMap::new(),
            last_value: None,
            committed: 0,
            fire_from: None,
        };
        partition.read_caches()?;
        if let Some(meta) = &partition.meta {
            partition.check_key(&meta.key_id, meta.key_fingerprint)?;
            known_rules.check(number, meta.rules_version)?;
        }
        Ok(partition)
    }

    /// A Fault lies ahead in the log: that input is to be passed over. Nothing changes for one that is folded already.
    pub fn learn_fault(&mut self, offset: Offset, timer: u32, note: FaultNote) {
        self.faults.insert((offset, timer), note);
    }

    /// Offset of the record to be folded next, or being folded.
    pub fn next(&self) -> Offset {
        self.meta.as_ref().map_or(0, |meta| meta.next)
    }

    /// What `reader` shows: every record before this offset.
    pub fn committed(&self) -> Offset {
        self.committed
    }

    /// What the partition knows of itself; none before its Genesis.
    pub fn meta(&self) -> Option<&Meta> {
        self.meta.as_ref()
    }

    /// Folds a record, or `budget` timers of it at most. With a budget of 0 the record's own doing alone, before any timer.
    ///
    /// # Errors
    /// When going on would be wrong. Everything since the last commit is then to be discarded.
    pub fn fold(&mut self, record: LogRecord<'_>, budget: u32) -> Result<Folded, Halt> {
        if record.offset != self.next() {
            return Err(Halt::Hole { partition: self.number, expected: self.next(), got: record.offset });
        }
        self.at = Position { offset: record.offset, timer: 0, index: 0 };
        self.timestamp = record.timestamp;
        let Some(meta) = &self.meta else {
            self.begin(record)?;
            return self.done(record);
        };
        if meta.folding == Folding::Between {
            match self.faults.get(&(record.offset, 0)).cloned() {
                Some(note) => self.pass_over(record, &note)?,
                None => self.take(record)?,
            }
            self.call_for_freed()?;
        }
        match self.go_on_with_timers(budget)? {
            Folded::More => Ok(Folded::More),
            Folded::Whole => self.done(record),
        }
    }

    /// The log holds no record before this offset: what lies between are markers of somebody's transactions, which take offsets. Nothing follows from them.
    /// Whether that is so only the log's reader can know.
    ///
    /// # Errors
    /// `Hole` where a record is half folded, none was folded yet, or the offset does not lie ahead.
    pub fn bridge(&mut self, to: Offset) -> Result<(), Halt> {
        let (partition, expected) = (self.number, self.next());
        let hole = Halt::Hole { partition, expected, got: to };
        let Some(meta) = self.meta.as_mut().filter(|meta| meta.folding == Folding::Between) else { return Err(hole) };
        if to <= expected {
            return Err(hole);
        }
        meta.next = to;
        // Of a marker nobody can say whether the log still holds it.
        (meta.last_record, self.last_value) = (None, None);
        Ok(())
    }

    fn done(&mut self, record: LogRecord<'_>) -> Result<Folded, Halt> {
        let meta = self.meta_mut();
        meta.next = record.offset + 1;
        meta.folding = Folding::Between;
        let last = self.last_value.get_or_insert_default();
        last.clear();
        last.extend_from_slice(record.value);
        Ok(Folded::Whole)
    }

    /// The first record says what this inbox is.
    fn begin(&mut self, record: LogRecord<'_>) -> Result<(), Halt> {
        let no_genesis = |detail: String| Halt::NoGenesis { partition: self.number, offset: record.offset, detail };
        let opened =
            proof::open(schema::INBOX.fingerprint, record.value).map_err(|error| no_genesis(error.to_string()))?;
        let Body::Genesis(genesis) = &opened.inbox.body else {
            return Err(no_genesis("it is another record".to_owned()));
        };
        self.check_key(&genesis.key_id, genesis.key_fingerprint)?;
        if opened.inbox.mac != Some(self.key.mac(genesis.log_id, self.number, &record.value[..opened.covered])) {
            return Err(no_genesis("its proof is wrong".to_owned()));
        }
        if genesis.partition != self.number || genesis.partitions == 0 || genesis.partition >= genesis.partitions {
            return Err(no_genesis(format!("it is that of partition {} of {}", genesis.partition, genesis.partitions)));
        }
        self.known_rules.check(self.number, genesis.rules_version)?;
        self.meta = Some(first_meta(genesis));
        Ok(())
    }

    fn check_key(&self, id: &str, wanted: sagaline_schemas::Fingerprint) -> Result<(), Halt> {
        let held = self.key.fingerprint();
        if held == wanted { Ok(()) } else { Err(Halt::WrongKey { id: id.to_owned(), wanted, held }) }
    }

    /// Lines 1 and 2: decode, prove. Line 3 is each kind's own.
    fn take(&mut self, record: LogRecord<'_>) -> Result<(), Halt> {
        let opened = match proof::open(schema::INBOX.fingerprint, record.value) {
            Ok(opened) => opened,
            Err(error) => return self.park(record.value, ParkedReason::Undecodable, error.to_string()),
        };
        if let Err(detail) = self.prove(record, &opened) {
            return self.park(record.value, ParkedReason::Unproven, detail.to_owned());
        }
        // What is too large still counts in its channel's chain: `event.rs` and `message.rs` park it.
        if self.is_too_large(record) && !matches!(opened.inbox.body, Body::Event(_) | Body::Message(_)) {
            return self.park_too_large(record);
        }
        self.dispatch(record, opened)
    }

    /// Line 2: a mac of the log's key; a reply's token is looked at where its saga is known.
    pub(crate) fn prove(&self, record: LogRecord<'_>, opened: &Opened) -> Result<(), &'static str> {
        let own = || self.key.mac(self.begun().log_id, self.number, &record.value[..opened.covered]);
        match (&opened.inbox.body, opened.inbox.mac) {
            (Body::Reply(_), None) => Ok(()),
            (Body::Reply(_), Some(_)) => Err("a reply carries a token, no mac"),
            (_, None) => Err("it has no mac"),
            (_, Some(mac)) if mac == own() => Ok(()),
            (_, Some(_)) => Err("its mac is wrong"),
        }
    }

    pub(crate) fn is_too_large(&self, record: LogRecord<'_>) -> bool {
        record.value.len() > self.begun().settings.max_record as usize
    }

    pub(crate) fn park_too_large(&mut self, record: LogRecord<'_>) -> Result<(), Halt> {
        let detail =
            format!("it has {} bytes, the settings allow {}", record.value.len(), self.begun().settings.max_record);
        self.park(record.value, ParkedReason::TooLarge, detail)
    }

    fn dispatch(&mut self, record: LogRecord<'_>, opened: Opened) -> Result<(), Halt> {
        match opened.inbox.body {
            Body::Genesis(_) => {
                self.park(record.value, ParkedReason::Refused, "the partition has its Genesis".to_owned())
            }
            Body::Settings(change) if change.version > self.begun().settings_version => {
                let meta = self.meta_mut();
                meta.settings_version = change.version;
                meta.settings = change.settings;
                Ok(())
            }
            Body::Settings(change) => {
                let detail = format!("settings {} are in force", self.begun().settings_version);
                self.park_unless(change.version == self.begun().settings_version, record, ParkedReason::Refused, detail)
            }
            Body::EngineVersion(change) if !self.begun().rules().at_least(change.version) => {
                self.known_rules.check(self.number, change.version)?;
                self.meta_mut().rules_version = change.version;
                Ok(())
            }
            Body::EngineVersion(change) => {
                let detail = format!("rules {} are in force", self.begun().rules_version);
                self.park_unless(change.version == self.begun().rules_version, record, ParkedReason::Refused, detail)
            }
            Body::Contract(contract) => self.contract(record, contract),
            Body::Definition(definition) => self.definition_record(record, definition),
            Body::Event(event) => self.event(record, event),
            Body::Message(message) => self.message(record, message),
            Body::Request(request) => self.request(record, request),
            Body::Reply(reply) => self.reply(record, reply),
            Body::Progress(progress) => self.progress(record, progress),
            Body::Fault(fault) => self.fault(record, fault),
        }
    }

    /// What was folded since the last commit is taken whole.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        if let Some(meta) = &mut self.meta {
            if let Some(last) = &self.last_value {
                meta.last_record = Some(Digest(*blake3::hash(last).as_bytes()));
            }
            self.over.write(Family::Meta, keys::META.to_vec(), meta);
        }
        for (channel, state) in &self.channels {
            self.over.write(Family::Channels, channel.as_bytes().to_vec(), state);
        }
        self.over.commit()?;
        self.committed = self.next();
        Ok(())
    }

    /// What was folded since the last commit is forgotten, and every cache with it: line 11's "once more on clean caches".
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn discard(&mut self) -> Result<(), StoreError> {
        self.over.discard();
        self.definitions.clear();
        self.limited.clear();
        self.freed.clear();
        self.called = None;
        self.published.clear();
        self.next_due = None;
        self.fire_from = None;
        self.tokens.clear();
        self.last_value = None;
        self.meta = self.over.read::<Meta>(Family::Meta, keys::META)?;
        self.read_caches()
    }

    /// What of the store is held in memory, as it was committed.
    fn read_caches(&mut self) -> Result<(), StoreError> {
        self.waiting = self.read_waiting()?;
        self.unanswered = self.read_unanswered()?;
        self.gates = self.read_gates()?;
        self.channels = self.read_channels()?;
        self.committed = self.next();
        Ok(())
    }

    fn read_unanswered(&self) -> Result<BTreeSet<Attempt>, StoreError> {
        let mut unanswered = BTreeSet::new();
        let mut from = Vec::new();
        loop {
            let page = self.over.scan(Family::Outbox, &from, None, PAGE)?;
            for (_, bytes) in &page {
                unanswered.extend(decode::<Output>(Family::Outbox, bytes)?.command.map(|command| command.attempt()));
            }
            match page.into_iter().nth(PAGE - 1) {
                Some((last, _)) => from = [last.as_slice(), &[0]].concat(),
                None => return Ok(unanswered),
            }
        }
    }

    fn read_channels(&self) -> Result<BTreeMap<String, Channel>, StoreError> {
        Ok(view::channels(&*self.over.reader())?.into_iter().collect())
    }

    fn read_waiting(&self) -> Result<BTreeSet<SagaId>, StoreError> {
        let stored = self.over.scan(Family::Waiting, &[], None, usize::MAX)?;
        let saga = |key: Vec<u8>| key.try_into().map(SagaId::from_bytes).map_err(|_| corrupt("waiting"));
        stored.into_iter().map(|(key, _)| saga(key)).collect()
    }

    /// Everything committed survives a crash from here on.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        self.over.flush()
    }

    /// What is committed, for other threads.
    pub fn reader(&self) -> Arc<dyn Reader> {
        self.over.reader()
    }

    pub(crate) fn meta_mut(&mut self) -> &mut Meta {
        self.meta.as_mut().expect("every record but the first finds the partition begun")
    }

    /// When something happens, as people are told. Log time stands still while nobody appends a Progress: what comes after a quiet week would
    /// seem to be a week old. Nothing is decided by it.
    pub(crate) fn told_time(&self) -> Millis {
        self.begun().log_time.max(self.timestamp)
    }

    pub(crate) fn begun(&self) -> &Meta {
        self.meta.as_ref().expect("every record but the first finds the partition begun")
    }
}

fn first_meta(genesis: &Genesis) -> Meta {
    Meta {
        log_id: genesis.log_id,
        partition: genesis.partition,
        partitions: genesis.partitions,
        topic: genesis.topic.clone(),
        rules_version: genesis.rules_version,
        key_id: genesis.key_id.clone(),
        key_fingerprint: genesis.key_fingerprint,
        settings_version: 0,
        settings: genesis.settings.clone(),
        next: 0,
        folding: Folding::Between,
        last_record: None,
        log_time: 0,
        fired_through: 0,
        output_hash: OutputHash::ZERO,
        newest_claim: None,
        claimed_by: String::new(),
        vouched: None,
        clock_fault: None,
        counters: Counters::default(),
    }
}
