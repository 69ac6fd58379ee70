//! Whom an event concerns: the clauses of definitions that it meets, by inbox partition. What a definition's expressions say is taken as it
//! is; what they can't say becomes a letter that tells why. Pure: the same event and catalogue give the same letters.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sagaline_definition::Definition;
use sagaline_definition::expr::Names;
use sagaline_log::Fetched;
use sagaline_schemas::hash::{Preimage, partition_of};
use sagaline_schemas::record::{ClauseKind, Target};
use sagaline_schemas::settings::Settings;
use sagaline_schemas::{Digest, Partition, Value};

use crate::registry::Catalogue;

/// Longest correlation id, bytes.
pub const MAX_KEY: usize = 512;

/// What one inbox partition is to be told of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The inbox partition.
    pub partition: Partition,
    /// Whom it concerns there.
    pub targets: Vec<Target>,
    /// Why it concerns nobody: it could not be taken over.
    pub skipped: Option<String>,
}

impl Letter {
    /// An event that could not be taken over.
    pub fn skipped(partition: Partition, reason: String) -> Self {
        Self { partition, targets: Vec::new(), skipped: Some(reason) }
    }
}

/// All letters of one event, by inbox partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sorted {
    /// At most one for each inbox partition.
    pub letters: Vec<Letter>,
    /// Definitions that could not judge the event, and whose reason found no partition without a letter.
    pub unjudged: u32,
}

/// Sorts events.
pub struct Sorter<'a> {
    /// What is known.
    pub catalogue: &'a Catalogue,
    /// In force in each inbox partition.
    pub settings: &'a [Settings],
}

impl Sorter<'_> {
    /// Whom the event concerns.
    pub fn sort(&self, record: &Fetched) -> Sorted {
        let mut listeners = self
            .catalogue
            .all_active()
            .filter(|(_, definition)| definition.start.topic.as_deref() == Some(&*record.topic))
            .peekable();
        if listeners.peek().is_none() {
            return Sorted::default();
        }
        let home = home(record, self.partitions());
        if let Some(reason) = (0..self.partitions()).map(|to| self.too_large(record, to)).min().flatten() {
            return Sorted { letters: vec![Letter::skipped(home, reason)], unjudged: 0 };
        }
        let event = match Value::parse(&record.record.value) {
            Ok(event) => OneEvent(event),
            Err(error) => {
                let letters = vec![Letter::skipped(home, format!("the event is no JSON: {error}"))];
                return Sorted { letters, unjudged: 0 };
            }
        };
        let mut by_partition: BTreeMap<Partition, Vec<Target>> = BTreeMap::new();
        let mut reasons = Vec::new();
        for (digest, definition) in listeners {
            match start_key(definition, &event) {
                Ok(None) => {}
                Ok(Some(key)) => {
                    let targets = by_partition.entry(partition_of(&key, self.partitions())).or_default();
                    targets.push(start_target(digest, key));
                }
                Err(reason) => reasons.push(format!("{} {}: {reason}", definition.saga, definition.version)),
            }
        }
        let mut sorted = self.letters(by_partition, reasons, home);
        for letter in &mut sorted.letters {
            if let Some(reason) = self.too_large(record, letter.partition) {
                *letter = Letter::skipped(letter.partition, reason);
            }
        }
        sorted
    }

    fn partitions(&self) -> u32 {
        self.settings.len() as u32
    }

    /// Why a partition's settings do not let an event in; none: they do.
    fn too_large(&self, record: &Fetched, to: Partition) -> Option<String> {
        let (size, limit) = (record.record.value.len(), self.settings[to as usize].max_payload as usize);
        (size > limit).then(|| format!("the event has {size} bytes, the settings allow {limit}"))
    }

    /// One letter a partition: reasons go to one that has no targets, beginning at the event's home.
    fn letters(&self, by_partition: BTreeMap<Partition, Vec<Target>>, reasons: Vec<String>, home: Partition) -> Sorted {
        let mut sorted = Sorted::default();
        if !reasons.is_empty() {
            let count = self.partitions();
            let free =
                (0..count).map(|nth| (home + nth) % count).find(|partition| !by_partition.contains_key(partition));
            match free {
                Some(partition) => sorted.letters.push(Letter::skipped(partition, reasons.join("; "))),
                None => {
                    sorted.unjudged = reasons.len() as u32;
                    tracing::warn!(reasons = reasons.join("; "), "an event that others took could not be judged");
                }
            }
        }
        let taken = by_partition.into_iter().map(|(partition, targets)| Letter { partition, targets, skipped: None });
        sorted.letters.extend(taken);
        sorted
    }
}

/// Where the reasons of an event go that concerns nobody.
fn home(record: &Fetched, partitions: u32) -> Partition {
    let place = Preimage::new("home").bytes(record.topic.as_bytes()).u32(record.partition).i64(record.offset);
    (xxhash_rust::xxh3::xxh3_64(place.as_bytes()) % u64::from(partitions.max(1))) as Partition
}

fn start_target(definition: Digest, key: String) -> Target {
    Target { definition, clause: ClauseKind::Start, name: String::new(), key, via: None }
}

/// The key of the saga that the event starts; none: it starts none.
fn start_key(definition: &Definition, event: &OneEvent) -> Result<Option<String>, String> {
    if let Some(condition) = &definition.start.condition
        && !condition.holds(event).map_err(|error| format!("start.if: {error}"))?
    {
        return Ok(None);
    }
    let Some(key) = &definition.start.key else { return Err("start.key is missing".to_owned()) };
    match key.eval(event).map_err(|error| format!("start.key: {error}"))? {
        Value::String(key) if key.is_empty() => Err("start.key is empty".to_owned()),
        Value::String(key) if key.len() > MAX_KEY => {
            Err(format!("start.key has {} bytes, at most {MAX_KEY} are allowed", key.len()))
        }
        Value::String(key) => Ok(Some(key)),
        other => Err(format!("start.key is {other}, of type {}: write string({})", other.kind(), key.source())),
    }
}

/// What expressions at a definition's door see: `event`, and nothing else.
struct OneEvent(Value);

impl Names for OneEvent {
    fn get(&self, name: &str) -> Option<Cow<'_, Value>> {
        (name == "event").then_some(Cow::Borrowed(&self.0))
    }
}
