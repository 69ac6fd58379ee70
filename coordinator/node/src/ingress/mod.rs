//! Domain events become inbox records: one for each inbox partition that an event concerns, with all its targets there. Records go in runs:
//! the first error ends all of them, and once nothing is in flight each source goes on at the end of its acknowledged prefix (records.md
//! section 2, protocol review F8). Nothing is decided here: re-reading a domain topic is harmless.

mod lost;
mod source;
mod target;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sagaline_log::{Acknowledgement, Fetched, GroupEvent, GroupReader, Log, LogError, Producer};
use sagaline_partition::MAX_TRACEPARENT;
use sagaline_schemas::Partition;
use sagaline_schemas::proof::Key;
use sagaline_schemas::record::{Body, Event, EventOrigin};
use sagaline_schemas::settings::Settings;
use sagaline_schemas::wire::Bytes;
use serde::Serialize;

use crate::owner::stop::Stop;
use crate::registry::{Catalogue, Registry, RegistryReader, Seal};
use crate::topics::Inbox;
use crate::window::{lane_and_number, ticket};
use crate::{BootTime, Names, crowd, sealed};
pub use lost::{Lost, LostInAll};
use source::Source;
use target::{Letter, Sorter};

/// Who has not confirmed the end of the registry for so long appends nothing: another ingress may know more (design section 5).
const FRESH: Duration = Duration::from_secs(10);
/// Records asked for at once.
const READ_AT_ONCE: usize = 1_000;
/// Appends in flight beyond which nothing more is read.
const MAX_IN_FLIGHT: usize = 5_000;
/// How often offsets are committed.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(10);

/// What an ingress is told about itself.
#[derive(Clone, Debug)]
pub struct IngressOptions {
    /// What the topics are called.
    pub names: Names,
    /// The log's key.
    pub key: Key,
    /// The inbox.
    pub inbox: Inbox,
    /// Names this member of the group.
    pub member: String,
}

/// What people are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IngressStatus {
    /// Domain topics that are read.
    pub topics: Vec<String>,
    /// Events read since the start.
    pub read: u64,
    /// Records appended since the start.
    pub appended: u64,
    /// Events that could not be taken over.
    pub skipped: u64,
    /// Definitions that could not judge an event which others took.
    pub unjudged: u64,
    /// Topics that wait for a channel's outbox to shrink.
    pub waiting: Vec<String>,
    /// The newest losses of domain topics: what was gone before it was read.
    pub lost: Vec<Lost>,
    /// All of them since the start.
    pub lost_in_all: LostInAll,
    /// What hinders it at the moment.
    pub trouble: Option<String>,
}

enum Run {
    /// Events are read and appended.
    On,
    /// An append failed: once nothing is in flight, a new run begins.
    Ended { again_at: BootTime },
}

/// Domain events on their way to the inbox.
pub struct Ingress {
    options: IngressOptions,
    log: Arc<dyn Log>,
    producer: Box<dyn Producer>,
    registry: Registry,
    registry_reader: RegistryReader,
    /// What is known, as last confirmed.
    catalogue: Arc<Catalogue>,
    group: Option<Box<dyn GroupReader>>,
    topics: Vec<String>,
    sources: Vec<Source>,
    next_lane: u64,
    run: Run,
    failures: u32,
    committed_at: BootTime,
    crowded: BTreeSet<String>,
    /// When the newest loss was noticed.
    lost_at: Option<BootTime>,
    /// In force in each inbox partition, as far as is known here.
    settings: Vec<Settings>,
    status: IngressStatus,
    arrived: Vec<Acknowledgement>,
}

impl Ingress {
    /// Reads nothing yet. `registry` is what it shares with the rest of the node.
    ///
    /// # Errors
    /// When the log gives no producer.
    pub fn new(options: IngressOptions, registry: Registry, log: Arc<dyn Log>) -> Result<Self, LogError> {
        let seal = Seal { key: options.key.clone(), log_id: options.inbox.log_id };
        Ok(Self {
            producer: log.producer()?,
            registry_reader: RegistryReader::new(Arc::clone(&log), &options.names, seal, registry.clone()),
            registry,
            catalogue: Arc::default(),
            group: None,
            topics: Vec::new(),
            sources: Vec::new(),
            next_lane: 0,
            run: Run::On,
            failures: 0,
            committed_at: Duration::ZERO,
            crowded: BTreeSet::new(),
            lost_at: None,
            settings: vec![options.inbox.settings.clone(); options.inbox.partitions as usize],
            status: IngressStatus::default(),
            arrived: Vec::new(),
            options,
            log,
        })
    }

    /// What people are told.
    pub fn status(&self) -> &IngressStatus {
        &self.status
    }

    /// Channels whose outbox is over its limit: events that would start sagas which need them are left where they are.
    pub fn set_crowded(&mut self, channels: BTreeSet<String>) {
        self.crowded = channels;
    }

    /// What is in force in each inbox partition; none: not known at the moment, it stays as it was.
    pub fn set_settings(&mut self, known: impl IntoIterator<Item = Option<Settings>>) {
        for (settings, known) in self.settings.iter_mut().zip(known) {
            if let Some(known) = known {
                *settings = known;
            }
        }
    }

    /// Reads, appends, commits. Waits at most `wait` for the next event. Whether anything was done.
    ///
    /// # Errors
    /// When the log can't be read or written: the next turn goes on.
    pub fn turn(&mut self, now: BootTime, wait: Duration) -> Result<bool, LogError> {
        let outcome = self.steps(now, wait);
        self.status.trouble = outcome.as_ref().err().map(ToString::to_string).or_else(|| match self.run {
            Run::Ended { .. } => self.status.trouble.take(),
            Run::On => self.fresh_loss(now),
        });
        outcome
    }

    fn steps(&mut self, now: BootTime, wait: Duration) -> Result<bool, LogError> {
        let answered = self.take_answers(now);
        self.registry_reader.turn(now)?;
        self.follow_registry()?;
        if let Run::Ended { again_at } = self.run {
            if self.producer.in_flight() == 0 && now >= again_at {
                self.begin_run().inspect_err(|_| self.leave())?;
            }
            return Ok(answered);
        }
        let fresh = self.registry.confirmed_at().is_some_and(|at| now.saturating_sub(at) < FRESH);
        let read = fresh && self.producer.in_flight() < MAX_IN_FLIGHT && self.read(now, wait)?;
        // What was appended goes.
        self.producer.poll(Duration::ZERO, &mut self.arrived);
        if now.saturating_sub(self.committed_at) >= COMMIT_EVERY {
            self.committed_at = now;
            self.commit()?;
        }
        Ok(answered || read)
    }

    /// Commits what is acknowledged.
    ///
    /// # Errors
    /// When the log does not take it: the next owner reads a little again.
    pub fn commit(&mut self) -> Result<(), LogError> {
        let Some(group) = self.group.as_mut() else { return Ok(()) };
        self.sources.iter_mut().try_for_each(|source| source.commit(group.as_mut()))
    }

    /// Before it leaves its group, as far as that still takes something: of a member whose session is over it never does.
    fn commit_last(&mut self) {
        if let Err(error) = self.commit() {
            tracing::warn!(%error, "ingress: the last offsets are not committed; a little is read again");
        }
    }

    /// Reads and appends nothing more, and leaves its topics to other nodes: an event that it would judge by rules of old is theirs.
    pub fn rest(&mut self, why: &Stop) {
        self.commit_last();
        self.leave();
        self.topics.clear();
        self.status.topics.clear();
        self.status.trouble = Some(why.to_string());
    }

    fn take_answers(&mut self, now: BootTime) -> bool {
        let mut arrived = std::mem::take(&mut self.arrived);
        self.producer.poll(Duration::ZERO, &mut arrived);
        let some = !arrived.is_empty();
        for Acknowledgement { ticket, outcome } in arrived.drain(..) {
            let (lane, number) = lane_and_number(ticket);
            // Behind an error acknowledgements are void: those records are sent again. Of a source that is gone nobody asks any more.
            let source = self.sources.iter_mut().find(|source| source.lane == lane);
            let (Run::On, Some(source)) = (&self.run, source) else { continue };
            match outcome {
                Ok(_) => {
                    self.failures = 0;
                    source.landed(number);
                }
                Err(error) => self.end_run(&error, now),
            }
        }
        self.arrived = arrived;
        some
    }

    fn end_run(&mut self, error: &LogError, now: BootTime) {
        let wait = FIRST_BACKOFF.saturating_mul(1 << self.failures.min(10)).min(LAST_BACKOFF);
        self.failures += 1;
        tracing::warn!(%error, "ingress: an append failed, the acknowledged prefix is gone on from");
        self.status.trouble = Some(error.to_string());
        self.producer.purge();
        self.run = Run::Ended { again_at: now + wait };
    }

    /// Nothing is in flight: each source goes on where its acknowledged prefix ends.
    fn begin_run(&mut self) -> Result<(), LogError> {
        if let Some(group) = self.group.as_mut() {
            for source in &mut self.sources {
                source.begin_run(group.as_mut())?;
            }
        }
        self.run = Run::On;
        Ok(())
    }

    /// Other definitions may read other topics.
    fn follow_registry(&mut self) -> Result<(), LogError> {
        self.catalogue = self.registry.catalogue();
        let topics = self.catalogue.topics();
        if topics == self.topics && (self.group.is_some() || topics.is_empty()) {
            return Ok(());
        }
        self.commit_last();
        self.leave();
        if !topics.is_empty() {
            self.group = Some(self.log.join(&self.options.names.ingress_group(), &self.options.member, &topics)?);
        }
        self.status.topics.clone_from(&topics);
        self.topics = topics;
        Ok(())
    }

    /// Gives everything back, to join again: what was read and is not committed is read again. After a failure nobody knows which events
    /// were handed out and not taken.
    fn leave(&mut self) {
        self.group = None;
        self.sources.clear();
        self.producer.purge();
        self.run = Run::On;
    }

    fn read(&mut self, now: BootTime, wait: Duration) -> Result<bool, LogError> {
        self.heed_crowds().inspect_err(|_| self.leave())?;
        let Some(group) = self.group.as_mut() else { return Ok(false) };
        let mut events = Vec::new();
        let wait = if self.producer.in_flight() > 0 { wait.min(Duration::from_millis(2)) } else { wait };
        let polled = group.poll(READ_AT_ONCE, wait, &mut events);
        let some = !events.is_empty();
        let catalogue = Arc::clone(&self.catalogue);
        for event in events {
            match event {
                GroupEvent::Assigned(places) => self.assigned(places).inspect_err(|_| self.leave())?,
                GroupEvent::Revoked(places) => {
                    self.sources.retain(|source| !places.iter().any(|(topic, partition)| source.is(topic, *partition)))
                }
                // A run that ended in the middle of a batch reads the rest of it again.
                GroupEvent::Record(_) if matches!(self.run, Run::Ended { .. }) => {}
                GroupEvent::Record(record) => self.take(&catalogue, &record, now),
            }
        }
        match polled {
            Ok(()) => Ok(some),
            Err(LogError::OutOfRange { topic, partition, start, end, .. }) => {
                self.find_place(&topic, partition, (start, end), now).map(|()| true)
            }
            Err(LogError::Rewritten { places }) => {
                let why = format!(
                    "{places} was cut and written anew: what took the place of events that were read starts nothing"
                );
                self.note_loss(places, None, why, now);
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    fn assigned(&mut self, places: Vec<(Arc<str>, Partition, i64)>) -> Result<(), LogError> {
        for (topic, partition, from) in places {
            let missing = || LogError::NoTopic { topic: topic.to_string() };
            let id = self.log.topic(&topic)?.ok_or_else(missing)?.id;
            self.sources.retain(|source| !source.is(&topic, partition));
            self.sources.push(Source::new(self.next_lane, topic, id, partition, from));
            self.next_lane += 1;
        }
        Ok(())
    }

    fn take(&mut self, catalogue: &Catalogue, record: &Fetched, now: BootTime) {
        let Some(index) = self.sources.iter().position(|source| source.is(&record.topic, record.partition)) else {
            return;
        };
        self.status.read += 1;
        let sorted = Sorter { catalogue, settings: &self.settings }.sort(record);
        self.status.unjudged += u64::from(sorted.unjudged);
        for letter in sorted.letters {
            if let Err(error) = self.append(index, record, letter) {
                return self.end_run(&error, now);
            }
        }
        self.sources[index].read_past(record.offset);
    }

    fn append(&mut self, index: usize, record: &Fetched, letter: Letter) -> Result<(), LogError> {
        self.status.skipped += u64::from(letter.skipped.is_some());
        let to = letter.partition;
        let inbox = self.options.names.inbox();
        let sealed = self.sealed(index, record, letter);
        let limit = self.settings[to as usize].max_record as usize;
        let appended = match sealed.value.len() > limit {
            true => Err(format!("its record has {} bytes, the settings allow {limit}", sealed.value.len())),
            false => match self.append_sealed(index, &inbox, to, record.offset, &sealed) {
                Err(error @ LogError::TooLarge { .. }) => Err(error.to_string()),
                appended => Ok(appended),
            },
        };
        match appended {
            Ok(appended) => appended,
            // What can't be appended becomes an event without targets that says why; that one is small.
            Err(why) => {
                let sealed = self.sealed(index, record, Letter::skipped(to, why));
                self.status.skipped += 1;
                self.append_sealed(index, &inbox, to, record.offset, &sealed)
            }
        }
    }

    fn append_sealed(
        &mut self,
        index: usize,
        inbox: &str,
        to: Partition,
        at: i64,
        sealed: &sagaline_log::Record,
    ) -> Result<(), LogError> {
        let source = &mut self.sources[index];
        self.producer.append(inbox, to, sealed, ticket(source.lane, source.next_number()))?;
        source.appended(to, at);
        self.status.appended += 1;
        Ok(())
    }

    fn sealed(&self, index: usize, record: &Fetched, letter: Letter) -> sagaline_log::Record {
        let source = &self.sources[index];
        let origin = EventOrigin {
            topic_id: source.topic_id,
            partition: record.partition,
            generation: 0,
            prev: source.prev(letter.partition),
            at: record.offset,
        };
        let data = if letter.skipped.is_some() { Bytes::default() } else { Bytes(record.record.value.clone()) };
        let event = Event {
            origin,
            topic: record.topic.to_string(),
            timestamp: record.timestamp,
            data,
            content_type: "application/json".to_owned(),
            traceparent: header(record, "traceparent").filter(|trace| trace.len() <= MAX_TRACEPARENT),
            targets: letter.targets,
            skipped: letter.skipped,
        };
        sealed::record(&self.options.key, self.options.inbox.log_id, letter.partition, &Body::Event(event))
    }

    /// Topics that start sagas for a crowded channel are not read on.
    fn heed_crowds(&mut self) -> Result<(), LogError> {
        let Some(group) = self.group.as_mut() else { return Ok(()) };
        if self.crowded.is_empty() && self.status.waiting.is_empty() {
            return Ok(());
        }
        let waits = |topic: &str| {
            let mut starts = self.catalogue.all_active().map(|(_, definition)| definition);
            starts.any(|start| {
                start.start.topic.as_deref() == Some(topic) && crowd::hindrance(start, &self.crowded).is_some()
            })
        };
        let waiting: Vec<String> = self.topics.iter().filter(|topic| waits(topic)).cloned().collect();
        for source in &mut self.sources {
            source.set_paused(group.as_mut(), waiting.contains(&source.topic.to_string()))?;
        }
        self.status.waiting = waiting;
        Ok(())
    }
}

fn header(record: &Fetched, name: &str) -> Option<String> {
    let (_, value) = record.record.headers.iter().find(|(header, _)| header == name)?;
    String::from_utf8(value.clone()).ok()
}
