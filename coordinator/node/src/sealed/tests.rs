//! Stretches that come in small pieces, as from Kafka, and what an inbox began with when somebody has trimmed it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sagaline_log::{Fetched, GroupReader, Log, LogError, NewTopic, Producer, Reader, TopicInfo};
use sagaline_schemas::{Millis, Offset};

use super::{begun_with, bounds, keep_genesis, read, read_by};
use crate::stage::{Stage, wanted};
use crate::topics;

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

impl Log for Slow {
    fn reader(&self, topic: &str, partition: u32, from: Offset) -> Result<Box<dyn Reader>, LogError> {
        let (reader, gone) = (self.log.reader(topic, partition, from)?, self.gone.clone());
        Ok(Box::new(SlowReader { reader, gone, asked: 0 }))
    }

    fn name(&self) -> String {
        self.log.name()
    }
    fn cluster_id(&self) -> Result<String, LogError> {
        self.log.cluster_id()
    }
    fn topic(&self, name: &str) -> Result<Option<TopicInfo>, LogError> {
        self.log.topic(name)
    }
    fn create_topic(&self, topic: &NewTopic) -> Result<TopicInfo, LogError> {
        self.log.create_topic(topic)
    }
    fn delete_below(&self, topic: &str, partition: u32, offset: Offset) -> Result<Offset, LogError> {
        self.log.delete_below(topic, partition, offset)
    }
    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        self.log.producer()
    }
    fn join(&self, group: &str, member: &str, topics: &[String]) -> Result<Box<dyn GroupReader>, LogError> {
        self.log.join(group, member, topics)
    }
    fn wall_clock(&self) -> Millis {
        self.log.wall_clock()
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
        assert_eq!(begun_with(log, names, key, partition).unwrap().unwrap().log_id, anew.log_id);
    }
    assert_eq!(check().unwrap(), anew);
    keep(anew.log_id);
    assert_eq!(copies(), 4, "and of what is trimmed nothing more is kept");
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
