//! Stretches that come in small pieces, as from Kafka, and what an inbox began with when somebody has trimmed it.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sagaline_log::{Fetched, Layer, Log, LogError, Reader, Record};
use sagaline_schemas::record::{Body, Genesis};
use sagaline_schemas::{LogId, Offset};

use super::{Beginnings, bounds, copy_geneses, keep_genesis, read, read_by, record};
use crate::owner::opening::Origin;
use crate::owner::stop::Stop;
use crate::registry::kept_geneses;
use crate::stage::{Disk, Stage, wanted};
use crate::topics::{self, TopicsError};

/// A log that gives one record at a time, nothing at two of three questions, and none of those that compaction has taken.
#[derive(Debug)]
struct Slow {
    log: Arc<dyn Log>,
    gone: BTreeSet<Offset>,
}

struct SlowReader {
    reader: Box<dyn Reader>,
    gone: BTreeSet<Offset>,
    asked: u64,
}

impl Reader for SlowReader {
    fn poll(&mut self, max: usize, wait: Duration, into: &mut Vec<Fetched>) -> Result<(), LogError> {
        self.asked += 1;
        if self.asked.is_multiple_of(3) {
            self.reader.poll(max.min(1), wait, into)?;
            into.retain(|fetched| !self.gone.contains(&fetched.offset));
        }
        Ok(())
    }

    fn bounds(&mut self) -> Result<(Offset, Offset), LogError> {
        self.reader.bounds()
    }
}

impl Layer for Slow {
    fn below(&self) -> &dyn Log {
        &*self.log
    }

    fn reader(&self, topic: &str, partition: u32, from: Offset) -> Result<Box<dyn Reader>, LogError> {
        let (reader, gone) = (self.log.reader(topic, partition, from)?, self.gone.clone());
        Ok(Box::new(SlowReader { reader, gone, asked: 0 }))
    }
}

/// A partition of so many records behind its Genesis.
fn slow(records: usize, gone: impl IntoIterator<Item = Offset>) -> (Stage, Slow) {
    let stage = Stage::bare(1);
    for n in 0..records {
        stage.start(&format!("o-{n}"));
    }
    let log = Slow { log: Arc::clone(&stage.log), gone: gone.into_iter().collect() };
    (stage, log)
}

#[test]
fn a_stretch_is_whole_however_many_pieces_it_comes_in() {
    let (stage, log) = slow(100, []);
    let inbox = stage.names.inbox();
    let found = read(&log, &inbox, 0, 1, 100).unwrap();
    assert!(found.iter().map(|fetched| fetched.offset).eq(1..100));
    let nothing = read_by(&log, &inbox, 0, (7, 7), Instant::now()).unwrap();
    assert_eq!(nothing, Some(Vec::new()));
}

#[test]
fn holes_hold_up_nobody_and_nothing_beyond_the_stretch_is_given() {
    let (stage, log) = slow(30, [3, 8, 9, 10]);
    let inbox = stage.names.inbox();
    let found = read(&log, &inbox, 0, 2, 10).unwrap();
    assert!(found.iter().map(|fetched| fetched.offset).eq([2, 4, 5, 6, 7]), "{found:?}");
    assert_eq!(read(&log, &inbox, 0, 8, 11).unwrap(), Vec::new());
}

#[test]
fn a_stretch_that_does_not_come_in_time_is_none_and_no_part_of_it() {
    // What its log said was there is taken back: a client that waits for it hears nothing.
    let (stage, log) = slow(10, 5..=10);
    let found = read_by(&log, &stage.names.inbox(), 0, (1, 11), Instant::now() + Duration::from_millis(50));
    assert_eq!(found.unwrap(), None);
}

#[test]
fn copies_are_of_the_log_that_is_there_and_outlive_its_beginning() {
    let stage = Stage::bare(2);
    let (log, names, key, inbox) = (&*stage.log, &stage.names, &stage.key, stage.names.inbox());
    let check = || topics::check(log, names, key, true);
    let keep = |log_id| keep_genesis(log, names, key, log_id, 0..2).unwrap();
    let copies = || bounds(log, &names.definitions(), 0).unwrap().1;
    keep(stage.inbox.log_id);
    keep(stage.inbox.log_id);
    assert_eq!(copies(), 2, "what is kept is kept once");
    stage.start("o-1");
    let (_, end) = bounds(log, &inbox, 0).unwrap();
    log.delete_below(&inbox, 0, end).unwrap();
    assert_eq!(check().unwrap(), stage.inbox, "a partition of which nothing is left");

    // The inbox is made anew with the same key, and `definitions` is not.
    stage.simulation.recreate(&inbox).unwrap();
    let anew = topics::create(log, names, key, &wanted(2)).unwrap();
    assert_ne!(anew.log_id, stage.inbox.log_id);
    keep(anew.log_id);
    for partition in 0..2 {
        log.delete_below(&inbox, partition, 1).unwrap();
        assert_eq!(Beginnings::new(log, names, key).of(partition).unwrap().unwrap().genesis.log_id, anew.log_id);
    }
    assert_eq!(check().unwrap(), anew);
    assert_eq!(copy_geneses(log, names, key, 0..2, &|| true), Ok(()));
    assert_eq!(copies(), 4, "of what is trimmed nothing more is kept");
}

#[test]
fn a_partition_without_a_beginning_keeps_no_other_from_being_copied() {
    let stage = Stage::bare(3);
    let (log, names, key) = (&*stage.log, &stage.names, &stage.key);
    stage.simulation.truncate(&names.inbox(), 0, 0).unwrap();
    stage.simulation.put(&names.inbox(), 0, Record::default()).unwrap();
    let error = copy_geneses(log, names, key, 0..3, &|| true).unwrap_err();
    assert!(error.to_string().contains("t.inbox/0 at offset 0"), "{error}");
    assert!(kept_geneses(log, names, key).unwrap().keys().eq(&[1, 2]));
}

#[test]
fn who_is_stopped_copies_nothing_more_and_waits_for_no_answer() {
    let stage = Stage::bare(3);
    let (log, names, key) = (&*stage.log, &stage.names, &stage.key);
    stage.simulation.stall(&names.definitions()).unwrap();
    let asked = Cell::new(0);
    let goes_on = || asked.replace(asked.get() + 1) == 0;
    let unanswered = copy_geneses(log, names, key, 0..3, &goes_on).unwrap_err();
    assert!(matches!(unanswered, LogError::OutcomeUnknown { .. }), "{unanswered}");
    assert_eq!(asked.get(), 2, "before the first, and while its answer does not come");
    assert_eq!(copy_geneses(log, names, key, 0..3, &|| false), Ok(()));
    stage.simulation.mend(&names.definitions()).unwrap();
    stage.simulation.advance(1_000);
    assert!(kept_geneses(log, names, key).unwrap().keys().eq(&[0]));
}

/// Begins an empty partition as one of any log.
fn begin(stage: &Stage, genesis: &Genesis, partition: u32, log_id: LogId) {
    let genesis = Genesis { partition, log_id, ..genesis.clone() };
    let record = record(&stage.key, log_id, partition, &Body::Genesis(genesis));
    stage.simulation.put(&stage.names.inbox(), partition, record).unwrap();
}

/// An inbox that was made anew, behind which an old log's copies were written again; a store of its partition 0, and the old log's id.
fn with_stale_copies() -> (Stage, Disk, Origin, LogId) {
    let mut stage = Stage::bare(3);
    let keep = |stage: &Stage| keep_genesis(&*stage.log, &stage.names, &stage.key, stage.inbox.log_id, 0..3).unwrap();
    keep(&stage);
    let stale = stage.simulation.records(&stage.names.definitions(), 0).unwrap();
    stage.simulation.recreate(&stage.names.inbox()).unwrap();
    let anew = topics::create(&*stage.log, &stage.names, &stage.key, &wanted(3)).unwrap();
    let old = std::mem::replace(&mut stage.inbox, anew).log_id;
    keep(&stage);
    let disk = Disk::default();
    let (mut owner, origin) = stage.try_owner("one", &disk, &Origin::default()).unwrap();
    // Until it has folded all that it wrote itself.
    let end = || bounds(&*stage.log, &stage.names.inbox(), 0).unwrap().1;
    while owner.position() < 2 || owner.position() < end() {
        owner.turn(stage.now(), Duration::ZERO).unwrap();
        stage.simulation.advance(1);
    }
    owner.close().unwrap();
    for copy in stale {
        stage.simulation.put(&stage.names.definitions(), 0, copy.record).unwrap();
    }
    (stage, disk, origin, old)
}

#[test]
fn a_stale_copy_speaks_against_no_inbox_and_begins_no_partition() {
    let (stage, _, _, old) = with_stale_copies();
    let (log, names, key, inbox) = (&*stage.log, &stage.names, &stage.key, stage.names.inbox());
    let check = || topics::check(log, names, key, true);
    assert_eq!(check().unwrap(), stage.inbox, "whoever has its beginning needs no copy");

    log.delete_below(&inbox, 0, 1).unwrap();
    assert_eq!(check().unwrap(), stage.inbox, "what is left of it tells of which log it is");
    log.delete_below(&inbox, 1, 1).unwrap();
    let refused = check().unwrap_err();
    let is_told = |error: &TopicsError| {
        let (stale, live) = (old, stage.inbox.log_id);
        matches!(error, TopicsError::OtherCopy { partition: 1, copy, other, .. } if (*copy, *other) == (stale, live))
    };
    assert!(is_told(&refused) && !refused.to_string().contains("delete"), "{refused}");

    // Another partition is lost altogether: it is not begun as one of the old log.
    stage.simulation.truncate(&inbox, 2, 0).unwrap();
    let refused = topics::create(log, names, key, &wanted(3)).unwrap_err();
    assert!(is_told(&refused), "{refused}");
    assert_eq!(bounds(log, &inbox, 2).unwrap(), (0, 0));
}

#[test]
fn where_only_stale_copies_are_left_a_store_knows_better() {
    let (mut stage, disk, origin, old) = with_stale_copies();
    let live = stage.inbox.log_id;
    for partition in 0..3 {
        let (_, end) = bounds(&*stage.log, &stage.names.inbox(), partition).unwrap();
        assert_eq!(stage.log.delete_below(&stage.names.inbox(), partition, end), Ok(end));
    }
    stage.inbox = topics::check(&*stage.log, &stage.names, &stage.key, true).unwrap();
    assert_eq!(stage.inbox.log_id, old);
    let refused = stage.try_owner("one", &disk, &origin).err();
    assert_eq!(refused, Some(Stop::OtherCopy { partition: 0, stored: live, copy: old }));
    let unknown = stage.try_owner("one", &disk, &Origin::default()).err();
    assert!(matches!(unknown, Some(Stop::OtherLog { what: "log", .. })), "{unknown:?}");
}

#[test]
fn partitions_of_two_logs_are_deleted_only_where_nothing_ran() {
    let stage = Stage::bare(3);
    let (log, names, key, inbox) = (&*stage.log, &stage.names, &stage.key, stage.names.inbox());
    keep_genesis(log, names, key, stage.inbox.log_id, 0..3).unwrap();
    let genesis = Beginnings::new(log, names, key).of(2).unwrap().unwrap().genesis;
    stage.simulation.truncate(&inbox, 2, 0).unwrap();
    begin(&stage, &genesis, 2, LogId([9; 16]));
    let told = |words| topics::check(log, names, key, true).unwrap_err().to_string().contains(words);
    assert!(told("delete the topic and run"));
    log.delete_below(&inbox, 1, 1).unwrap();
    assert!(told("don't delete it") && !told("delete the topic"));
}

#[test]
fn a_beginning_that_nobody_kept_is_missed_by_name() {
    let stage = Stage::bare(1);
    stage.start("o-1");
    stage.log.delete_below(&stage.names.inbox(), 0, 1).unwrap();
    keep_genesis(&*stage.log, &stage.names, &stage.key, stage.inbox.log_id, [0]).unwrap();
    let error = topics::check(&*stage.log, &stage.names, &stage.key, true).unwrap_err();
    assert!(error.to_string().contains("before offset 1 were deleted, and `t.definitions` keeps no copy"), "{error}");
}
