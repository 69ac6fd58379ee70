//! Writing to the inbox, and reading single records and stretches of a topic: what all writers of this node share. Nothing here decides what is
//! written. And what a log whose beginning was trimmed began with: copies of its first records lie in the registry.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sagaline_log::{Fetched, Log, LogError, Reader, Record};
use sagaline_schemas::proof::{self, Key};
use sagaline_schemas::record::{Body, Genesis};
use sagaline_schemas::{Digest, LogId, Offset, Partition, schema};

use crate::topics::append_while;
use crate::{Names, registry};

/// How often, and how long each time, a record that is there is asked for.
const PATIENCE: (u32, Duration) = (20, Duration::from_millis(500));

/// First records of a trimmed partition that tell of which log it is.
const TELLING: Offset = 1_000;
/// How long the records of a stretch are waited for, where the caller has no deadline of its own.
const STRETCH: Duration = Duration::from_secs(30);
/// How long a second reader is waited for, in one turn of who asks.
const SECOND_LOOK: Duration = Duration::from_secs(2);
/// How long they are waited for between two looks at the deadline.
const LOOK: Duration = Duration::from_millis(250);

/// A record of the inbox, proved by the log's key.
pub fn record(key: &Key, log_id: LogId, partition: Partition, body: &Body) -> Record {
    let value = proof::seal(schema::INBOX.fingerprint, key, log_id, partition, body);
    Record { key: Vec::new(), value, headers: Vec::new() }
}

/// What a value of the inbox says, where it is proved by this key; none: it is not, or carries a token.
pub fn proven(key: &Key, log_id: LogId, partition: Partition, value: &[u8]) -> Option<Body> {
    let opened = proof::open(schema::INBOX.fingerprint, value).ok()?;
    (opened.inbox.mac == Some(key.mac(log_id, partition, &value[..opened.covered]))).then_some(opened.inbox.body)
}

/// All records of a stretch that the log holds, however many pieces they come in. Compaction leaves holes, and transactions leave markers: they hold up
/// nobody.
///
/// # Errors
/// When the log can't be read, or does not give them in time.
pub fn read(
    log: &dyn Log,
    topic: &str,
    partition: Partition,
    from: Offset,
    below: Offset,
) -> Result<Vec<Fetched>, LogError> {
    read_by(log, topic, partition, (from, below), Instant::now() + STRETCH)?.ok_or_else(|| LogError::Io {
        place: format!("{topic}/{partition}"),
        detail: format!("records that are there, offsets {from} to {}, did not come in time", below - 1),
    })
}

/// The same by a deadline; none: they did not all come by then.
///
/// # Errors
/// When the log can't be read.
pub fn read_by(
    log: &dyn Log,
    topic: &str,
    partition: Partition,
    (from, below): (Offset, Offset),
    deadline: Instant,
) -> Result<Option<Vec<Fetched>>, LogError> {
    let mut records: Vec<Fetched> = Vec::new();
    if from >= below {
        return Ok(Some(records));
    }
    let mut reader = log.reader(topic, partition, from)?;
    loop {
        let next = records.last().map_or(from, |last| last.offset + 1);
        if next >= below || reader.position().is_some_and(|position| position >= below) {
            // Asked for as many as there are without holes, the log goes beyond.
            records.retain(|fetched| fetched.offset < below);
            return Ok(Some(records));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        reader.poll((below - next) as usize, LOOK, &mut records)?;
    }
}

/// Whether the log holds no record from `next` on before the one at `to`, as a reader has said that was given none. Markers of transactions take offsets;
/// but what a client has lost on its way must not be lost: so a second reader is asked (docs/adr/0018). None: it does not say in time.
///
/// # Errors
/// When the log can't be read.
pub fn is_gap(
    log: &dyn Log,
    topic: &str,
    partition: Partition,
    (next, to): (Offset, Offset),
) -> Result<Option<bool>, LogError> {
    let asked = read_by(log, topic, partition, (next, to + 1), Instant::now() + SECOND_LOOK)?;
    Ok(asked.map(|records| records.first().is_some_and(|first| first.offset == to)))
}

/// First offset of a partition, and the first that it does not hold yet, also where its beginning is gone.
///
/// # Errors
/// When the log can't be read.
pub fn bounds(log: &dyn Log, topic: &str, partition: Partition) -> Result<(Offset, Offset), LogError> {
    match log.reader(topic, partition, 0).and_then(|mut reader| reader.bounds()) {
        Err(LogError::OutOfRange { start, end, .. }) => Ok((start, end)),
        bounds => bounds,
    }
}

/// The record at an offset that the log holds.
///
/// # Errors
/// When it holds it no more, or does not give it in time.
pub fn read_one(log: &dyn Log, topic: &str, partition: Partition, offset: Offset) -> Result<Fetched, LogError> {
    next_of(log.reader(topic, partition, offset)?.as_mut(), topic)
}

/// Whether the log holds this very record at an offset: its value's BLAKE3 is known.
///
/// # Errors
/// As `read_one`.
pub fn holds(
    log: &dyn Log,
    topic: &str,
    partition: Partition,
    offset: Offset,
    value: Digest,
) -> Result<bool, LogError> {
    let found = read_one(log, topic, partition, offset)?;
    Ok(blake3::hash(&found.record.value).as_bytes() == &value.0)
}

fn next_of(reader: &mut dyn Reader, topic: &str) -> Result<Fetched, LogError> {
    let mut records = Vec::new();
    for _ in 0..PATIENCE.0 {
        reader.poll(1, PATIENCE.1, &mut records)?;
        if let Some(record) = records.pop() {
            return Ok(record);
        }
    }
    Err(LogError::Io { place: topic.to_owned(), detail: "a record that is there did not come in time".to_owned() })
}

/// What an inbox partition began with.
#[derive(Clone, Debug, PartialEq)]
pub struct Beginning {
    /// Its first record.
    pub genesis: Genesis,
    /// The log has deleted that, and a copy says what it was: of a log of this key, which need not be the one that is there.
    pub is_copy: bool,
}

/// What the partitions of an inbox began with. Copies are read once, for the first of which the beginning is gone.
pub struct Beginnings<'a> {
    log: &'a dyn Log,
    names: &'a Names,
    key: &'a Key,
    copies: Option<BTreeMap<Partition, Vec<Genesis>>>,
}

impl<'a> Beginnings<'a> {
    /// Of this log. Nothing is read yet.
    pub fn new(log: &'a dyn Log, names: &'a Names, key: &'a Key) -> Self {
        Self { log, names, key, copies: None }
    }

    /// What an inbox partition began with, also where that was trimmed away; none: the partition is empty, or began with something else. A copy is
    /// believed only with this key's proof.
    ///
    /// # Errors
    /// When the log can't be read, or its beginning is gone and no copy was kept.
    pub fn of(&mut self, partition: Partition) -> Result<Option<Beginning>, LogError> {
        let Self { log, names, key, .. } = *self;
        let start = match genesis(log, &names.inbox(), partition) {
            Err(LogError::OutOfRange { start, .. }) => start,
            begun => return Ok(begun?.map(|genesis| Beginning { genesis, is_copy: false })),
        };
        let copies = match &mut self.copies {
            Some(copies) => copies,
            None => self.copies.insert(registry::kept_geneses(log, names, key)?),
        };
        let copies = copies.get(&partition).cloned().unwrap_or_default();
        let genesis = of_this_log(log, &names.inbox(), key, partition, copies)?.ok_or_else(|| {
            let detail = format!(
                "the records before offset {start} were deleted, and `{}` keeps no copy of the first one that this key proves",
                names.definitions()
            );
            LogError::Corrupt { place: format!("{}/{partition}", names.inbox()), detail }
        })?;
        Ok(Some(Beginning { genesis, is_copy: true }))
    }
}

/// Of copies of what a partition began with, that of the log which is there: most of its first records are proved for that one. Where nothing is left
/// that tells, the newest; none: there is no copy.
fn of_this_log(
    log: &dyn Log,
    inbox: &str,
    key: &Key,
    partition: Partition,
    mut copies: Vec<Genesis>,
) -> Result<Option<Genesis>, LogError> {
    if copies.len() < 2 {
        return Ok(copies.pop());
    }
    let (start, end) = bounds(log, inbox, partition)?;
    let records = read(log, inbox, partition, start, end.min(start + TELLING))?;
    let proofs = |log_id: LogId| {
        records.iter().filter(|fetched| proven(key, log_id, partition, &fetched.record.value).is_some()).count()
    };
    // Of several that are equal, the last.
    Ok(copies.into_iter().max_by_key(|copy| proofs(copy.log_id)))
}

/// Keeps copies of what partitions of this log began with in the registry, while they still begin so: whoever trims them, even by hand, leaves a log
/// that can be opened. Nothing happens where there is one already, as the registry read to its end says.
///
/// # Errors
/// When the log can't be read, or does not take them.
pub fn keep_genesis(
    log: &dyn Log,
    names: &Names,
    key: &Key,
    log_id: LogId,
    partitions: impl IntoIterator<Item = Partition>,
) -> Result<(), LogError> {
    let kept = registry::kept_geneses(log, names, key)?;
    // An inbox that was made anew has other beginnings than the one of which copies may lie there.
    let is_missing = |partition: &Partition| {
        kept.get(partition).is_none_or(|copies| copies.iter().all(|copy| copy.log_id != log_id))
    };
    copy_geneses(log, names, key, partitions.into_iter().filter(is_missing), &|| true)
}

/// Copies what these partitions begin with into the registry. One that can't be read keeps no other from being copied; of one that begins later nothing is
/// left to be copied. Ends early where `goes_on` says so.
///
/// # Errors
/// The first partition's that could not be copied.
pub fn copy_geneses(
    log: &dyn Log,
    names: &Names,
    key: &Key,
    partitions: impl IntoIterator<Item = Partition>,
    goes_on: &dyn Fn() -> bool,
) -> Result<(), LogError> {
    let (mut producer, mut answers, mut outcome) = (None, Vec::new(), Ok(()));
    for partition in partitions {
        if !goes_on() {
            break;
        }
        match first_record(log, names, key, partition) {
            Ok(None) => {}
            Ok(Some(copy)) => {
                let producer = match &mut producer {
                    Some(producer) => producer,
                    None => producer.insert(log.producer()?),
                };
                // What the topic does not take of one partition it takes of none.
                append_while(producer.as_mut(), (&names.definitions(), 0), &copy, &mut answers, goes_on)?;
            }
            Err(error) => outcome = outcome.and(Err(error)),
        }
    }
    outcome
}

/// The copy of what a partition begins with; none: it begins later.
fn first_record(log: &dyn Log, names: &Names, key: &Key, partition: Partition) -> Result<Option<Record>, LogError> {
    let first = match read_one(log, &names.inbox(), partition, 0) {
        Err(LogError::OutOfRange { .. }) => return Ok(None),
        first => first?,
    };
    let copy = registry::genesis_entry(key, partition, &first.record.value).ok_or_else(|| LogError::Corrupt {
        place: format!("{}/{partition} at offset 0", names.inbox()),
        detail: "its first record is no Genesis that this key proves: no copy is kept, nothing is trimmed".to_owned(),
    })?;
    Ok(Some(copy))
}

/// The Genesis of an inbox partition that has all its records, whatever key proves it; none: the partition is empty, or begins with something else.
///
/// # Errors
/// When the log can't be read, or its beginning is gone.
pub fn genesis(log: &dyn Log, inbox: &str, partition: Partition) -> Result<Option<Genesis>, LogError> {
    let mut reader = log.reader(inbox, partition, 0)?;
    if reader.bounds()?.1 == 0 {
        return Ok(None);
    }
    let first = next_of(reader.as_mut(), inbox)?;
    match proof::open(schema::INBOX.fingerprint, &first.record.value).map(|opened| opened.inbox.body) {
        Ok(Body::Genesis(genesis)) => Ok(Some(genesis)),
        Ok(_) | Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
