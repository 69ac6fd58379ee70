//! The compacted topic `definitions`: which contracts and definitions are known, and which definition a new start names. Ingress and API
//! read it; the fold never does. What is appended here was appended to every inbox partition before (protocol review M9).

mod apply;
mod entry;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sagaline_definition::model::Verb;
use sagaline_definition::{Contract, Definition};
use sagaline_log::{Fetched, Log, LogError, Reader};
use sagaline_schemas::proof::Key;
use sagaline_schemas::record::Genesis;
use sagaline_schemas::{Digest, Millis, Offset, Partition};

use crate::{BootTime, Names, sealed};
pub use apply::{Applied, Apply, ApplyError, ApplyOptions, Took};
pub use entry::{Entry, Seal, genesis_entry};
use entry::{genesis_of, genesis_partition};

/// How often the end of the registry is asked for.
const REFRESH: Duration = Duration::from_secs(1);
/// Records asked for at once.
const AT_ONCE: usize = 500;

/// Refused records that are remembered.
const MOST_REFUSED: usize = 100;

/// A contract that every inbox partition knows.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownContract {
    /// The contract.
    pub contract: Contract,
    /// Partitions of its command topic.
    pub command_partitions: u32,
}

/// A definition that every inbox partition knows.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownDefinition {
    /// The definition.
    pub definition: Arc<Definition>,
    /// Since when: the registry's append time, milliseconds since 1970.
    pub since: Millis,
}

/// What is known at one moment.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// By digest.
    pub contracts: BTreeMap<Digest, KnownContract>,
    /// By digest.
    pub definitions: BTreeMap<Digest, KnownDefinition>,
    /// By name: the digest that a new start names.
    pub active: BTreeMap<String, Digest>,
    /// Partitions of this inbox of whose beginning a copy lies there.
    pub begun: BTreeSet<Partition>,
    /// Records of the topic that changed nothing, since they prove nothing or can't be read: the newest, offset and why.
    pub refused: BTreeMap<Offset, String>,
}

impl Catalogue {
    /// The definition of that name that new starts name.
    pub fn active(&self, name: &str) -> Option<(Digest, &Arc<Definition>)> {
        let digest = *self.active.get(name)?;
        Some((digest, &self.definitions.get(&digest)?.definition))
    }

    /// All definitions that new starts name.
    pub fn all_active(&self) -> impl Iterator<Item = (Digest, &Arc<Definition>)> {
        self.active.keys().filter_map(|name| self.active(name))
    }

    /// The domain topics that any known definition reads.
    pub fn topics(&self) -> Vec<String> {
        let topics = self.definitions.values().flat_map(|known| topics_of(&known.definition));
        topics.collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn take(&mut self, record: &Fetched, seal: &Seal) {
        match Entry::read(&record.record, seal) {
            Ok(Entry::Contract { digest, contract, command_partitions }) => {
                self.contracts.insert(digest, KnownContract { contract, command_partitions });
            }
            Ok(Entry::Definition { digest, definition }) => {
                let since = self.definitions.get(&digest).map_or(record.timestamp, |known| known.since);
                self.definitions.insert(digest, KnownDefinition { definition: definition.into(), since });
            }
            Ok(Entry::Active { name, digest }) => {
                self.active.insert(name, digest);
            }
            Ok(Entry::Genesis { partition, .. }) => {
                self.begun.insert(partition);
            }
            // What an inbox of old began with, of the same key and name.
            Err(_) if genesis_of(&seal.key, &record.record).is_some() => {}
            Err(detail) => {
                // Of the same key only the newest record stays: a copy that it replaces is lost.
                if let Some(partition) = genesis_partition(seal.log_id, &record.record.key) {
                    self.begun.remove(&partition);
                }
                tracing::error!(offset = record.offset, detail, "a record of the registry is refused");
                self.refused.insert(record.offset, detail);
                while self.refused.len() > MOST_REFUSED {
                    self.refused.pop_first();
                }
            }
        }
    }
}

/// The copies of inbox partitions' beginnings that lie in the topic, by partition, as far as this key proves them: one of each log, the newest last.
///
/// # Errors
/// When the topic can't be read.
pub fn kept_geneses(log: &dyn Log, names: &Names, key: &Key) -> Result<BTreeMap<Partition, Vec<Genesis>>, LogError> {
    let topic = names.definitions();
    let (mut next, end) = sealed::bounds(log, &topic, 0)?;
    let mut kept: BTreeMap<Partition, Vec<Genesis>> = BTreeMap::new();
    while next < end {
        let below = end.min(next + AT_ONCE as Offset);
        let records = sealed::read(log, &topic, 0, next, below)?;
        for (partition, genesis) in records.iter().filter_map(|fetched| genesis_of(key, &fetched.record)) {
            let copies = kept.entry(partition).or_default();
            copies.retain(|copy| copy.log_id != genesis.log_id);
            copies.push(genesis);
        }
        next = below;
    }
    Ok(kept)
}

/// The domain topics that a definition reads: for starts, facts and waits.
pub fn topics_of(definition: &Definition) -> impl Iterator<Item = String> {
    let facts = definition.facts.iter().filter_map(|fact| fact.topic.clone());
    let waits = definition.steps.iter().filter_map(|step| match &step.verb {
        Verb::Wait(wait) => Some(wait.topic.clone()),
        Verb::Call(_) | Verb::Saga(_) | Verb::Sleep(_) | Verb::Until(_) | Verb::Approve(_) | Verb::Decide(_) => None,
    });
    definition.start.topic.clone().into_iter().chain(facts).chain(waits)
}

/// What is known and when that was confirmed, for all threads of a node.
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<Mutex<Confirmed>>);

#[derive(Clone, Debug, Default)]
struct Confirmed {
    catalogue: Arc<Catalogue>,
    at: Option<BootTime>,
}

impl Registry {
    fn confirmed(&self) -> Confirmed {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is known.
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.confirmed().catalogue
    }

    /// When its end was last reached; none: never.
    pub fn confirmed_at(&self) -> Option<BootTime> {
        self.confirmed().at
    }
}

/// Follows the topic. One per node.
pub struct RegistryReader {
    log: Arc<dyn Log>,
    topic: String,
    seal: Seal,
    reader: Option<Box<dyn Reader>>,
    catalogue: Arc<Catalogue>,
    next: Offset,
    /// The end to be reached, and when it was asked for.
    goal: Option<(Offset, BootTime)>,
    shared: Registry,
}

impl RegistryReader {
    /// At the topic's beginning.
    pub fn new(log: Arc<dyn Log>, names: &Names, seal: Seal, shared: Registry) -> Self {
        let topic = names.definitions();
        Self { log, topic, seal, reader: None, catalogue: Arc::default(), next: 0, goal: None, shared }
    }

    /// Reads on; confirms what is known each time that the end is reached. A failure is met again a little later: until then the
    /// catalogue grows old, which its readers see.
    ///
    /// # Errors
    /// When the log can't be read.
    pub fn turn(&mut self, now: BootTime) -> Result<(), LogError> {
        let fresh = self.shared.confirmed_at().is_some_and(|at| now.saturating_sub(at) < REFRESH);
        if self.goal.is_none() && fresh {
            return Ok(());
        }
        let outcome = self.read(now);
        if outcome.is_err() {
            self.reader = None;
        }
        outcome
    }

    fn read(&mut self, now: BootTime) -> Result<(), LogError> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => self.reader.insert(self.log.reader(&self.topic, 0, self.next)?),
        };
        let (end, asked) = match self.goal {
            Some(goal) => goal,
            None => (reader.bounds()?.1, now),
        };
        self.goal = Some((end, asked));
        let mut records = Vec::new();
        if self.next < end {
            reader.poll(AT_ONCE, Duration::from_millis(50), &mut records)?;
        }
        for record in &records {
            // Compaction leaves holes: what counts is how far one has come.
            self.next = record.offset + 1;
            Arc::make_mut(&mut self.catalogue).take(record, &self.seal);
        }
        if records.is_empty() && self.next < end {
            self.next = self.next.max(reader.position().unwrap_or(self.next));
        }
        if self.next >= end {
            self.goal = None;
            let confirmed = Confirmed { catalogue: Arc::clone(&self.catalogue), at: Some(asked) };
            *self.shared.0.lock().unwrap_or_else(PoisonError::into_inner) = confirmed;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
