//! Whom an event concerns: the clauses of definitions that it meets, by inbox partition. What a definition's expressions say is taken as it
//! is; what they can't say becomes a letter that tells why. Pure: the same event and catalogue give the same letters.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sagaline_definition::expr::Names;
use sagaline_definition::model::{FactClause, Verb, Wait};
use sagaline_definition::{Definition, Expr};
use sagaline_log::Fetched;
use sagaline_schemas::hash::{Preimage, alias_home, partition_of};
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
        let clauses = self.clauses(&record.topic);
        if clauses.is_empty() {
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
        for clause in clauses {
            match clause.key(&event) {
                Ok(None) => {}
                Ok(Some(key)) => {
                    for partition in clause.partitions(&key, self.partitions()) {
                        by_partition.entry(partition).or_default().push(clause.target(key.clone()));
                    }
                }
                Err(reason) => reasons.push(format!("{} {}: {reason}", clause.saga, clause.version)),
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

    /// What is asked of an event on a topic: starts by the definitions that are active, facts and waits by every known version, because
    /// a saga stays with the one that it began with.
    fn clauses(&self, topic: &str) -> Vec<Clause<'_>> {
        let mut found = Vec::new();
        for (digest, definition) in self.catalogue.all_active() {
            found.extend(
                Clause::of_start(digest, definition).filter(|_| definition.start.topic.as_deref() == Some(topic)),
            );
        }
        for (digest, known) in &self.catalogue.definitions {
            let definition = &*known.definition;
            let facts = definition.facts.iter().filter(|fact| fact.topic.as_deref() == Some(topic));
            found.extend(facts.filter_map(|fact| Clause::of_fact(*digest, definition, fact)));
            for step in &definition.steps {
                match &step.verb {
                    Verb::Wait(wait) if wait.topic == topic => {
                        found.push(Clause::of_wait(*digest, definition, &step.step, wait));
                    }
                    _ => {}
                }
            }
        }
        found
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

/// One clause of one definition that listens to a topic.
struct Clause<'a> {
    saga: &'a str,
    version: &'a str,
    digest: Digest,
    kind: ClauseKind,
    /// The fact's or step's name; empty for a start.
    name: &'a str,
    condition: Option<&'a Expr>,
    key: &'a Expr,
    via: Option<&'a str>,
    /// Any saga may want to know, whatever its own key is.
    everywhere: bool,
}

impl<'a> Clause<'a> {
    fn of_start(digest: Digest, definition: &'a Definition) -> Option<Self> {
        let start = &definition.start;
        let key = start.key.as_ref()?;
        let condition = start.condition.as_ref();
        Some(Self { condition, ..Self::new(digest, definition, ClauseKind::Start, "", key) })
    }

    fn of_fact(digest: Digest, definition: &'a Definition, fact: &'a FactClause) -> Option<Self> {
        let clause = Self::new(digest, definition, ClauseKind::Fact, &fact.fact, fact.key.as_ref()?);
        Some(Self { condition: fact.condition.as_ref(), everywhere: fact.of.is_some(), ..clause })
    }

    /// A wait's condition may read more than the event: the fold looks at it.
    fn of_wait(digest: Digest, definition: &'a Definition, step: &'a str, wait: &'a Wait) -> Self {
        Self { via: wait.via.as_deref(), ..Self::new(digest, definition, ClauseKind::Wait, step, &wait.key) }
    }

    fn new(digest: Digest, definition: &'a Definition, kind: ClauseKind, name: &'a str, key: &'a Expr) -> Self {
        let (saga, version) = (&*definition.saga, &*definition.version);
        Self { saga, version, digest, kind, name, condition: None, key, via: None, everywhere: false }
    }

    /// Whom the event concerns by this clause; none: nobody.
    fn key(&self, event: &OneEvent) -> Result<Option<String>, String> {
        let place = match self.kind {
            ClauseKind::Start => "start".to_owned(),
            ClauseKind::Fact => format!("facts.{}", self.name),
            ClauseKind::Wait | ClauseKind::React => format!("step {}", self.name),
        };
        if let Some(condition) = self.condition
            && !condition.holds(event).map_err(|error| format!("{place}.if: {error}"))?
        {
            return Ok(None);
        }
        match self.key.eval(event).map_err(|error| format!("{place}.key: {error}"))? {
            Value::String(key) if key.is_empty() => Err(format!("{place}.key is empty")),
            Value::String(key) if key.len() > MAX_KEY => {
                Err(format!("{place}.key has {} bytes, at most {MAX_KEY} are allowed", key.len()))
            }
            Value::String(key) => Ok(Some(key)),
            // Where an event need not name anybody.
            Value::Null if self.kind != ClauseKind::Start => Ok(None),
            other => {
                Err(format!("{place}.key is {other}, of type {}: write string({})", other.kind(), self.key.source()))
            }
        }
    }

    fn partitions(&self, key: &str, count: u32) -> Vec<Partition> {
        match self.via {
            _ if self.everywhere => (0..count).collect(),
            Some(alias) => vec![alias_home(self.saga, alias, key, count)],
            None => vec![partition_of(key, count)],
        }
    }

    fn target(&self, key: String) -> Target {
        let (name, via) = (self.name.to_owned(), self.via.map(str::to_owned));
        Target { definition: self.digest, clause: self.kind, name, key, via }
    }
}

/// What expressions at a definition's door see: `event`, and nothing else.
struct OneEvent(Value);

impl Names for OneEvent {
    fn get(&self, name: &str) -> Option<Cow<'_, Value>> {
        (name == "event").then_some(Cow::Borrowed(&self.0))
    }
}
