//! Checks of readers of one partition.

use std::time::Duration;

use super::{LOOK, Subject, numbered, record, text};
use crate::LogError;

/// A reader begins at any offset held or at the end, and is told when it is anywhere else.
pub fn a_reader_begins_anywhere_and_no_further(subject: &Subject) {
    let topic = subject.topic("bounds", 2, &[]);
    subject.append(&topic, 0, &numbered(10));
    for from in 0..10 {
        let read = subject.read(&topic, 0, from, 10 - from as usize);
        assert!(read.iter().map(|fetched| fetched.offset).eq(from..10));
    }
    let mut reader = subject.log.reader(&topic, 0, 10).unwrap();
    let mut none = Vec::new();
    reader.poll(10, Duration::ZERO, &mut none).unwrap();
    assert_eq!(none, []);
    assert_eq!(reader.bounds().unwrap(), (0, 10));
    assert_eq!(subject.log.reader(&topic, 1, 0).unwrap().bounds().unwrap(), (0, 0));

    let error = match subject.log.reader(&topic, 0, 11) {
        Err(error) => error,
        Ok(mut reader) => subject.until("an error", || reader.poll(1, LOOK, &mut Vec::new()).err()),
    };
    assert_eq!(error, LogError::OutOfRange { topic, partition: 0, offset: 11, start: 0, end: 10 });
}

/// A reader at the end is given what is appended after it began, each record once, whoever appends.
pub fn a_reader_sees_what_comes(subject: &Subject) {
    let topic = subject.topic("tailed", 1, &[]);
    let mut reader = subject.log.reader(&topic, 0, 0).unwrap();
    let mut records = Vec::new();
    for round in 0..10 {
        subject.append(&topic, 0, &[record(&round.to_string())]);
        subject.until("the record", || {
            reader.poll(10, LOOK, &mut records).unwrap();
            (records.len() > round).then_some(())
        });
    }
    assert!(records.iter().map(text).eq((0..10).map(|n: u32| n.to_string())));
    assert!(records.iter().map(|fetched| fetched.offset).eq(0..10));
}

/// Readers know nothing of each other: one that is out of range, one that is dropped, one that reads the same partition from elsewhere, or one
/// that nobody polls changes nothing for the rest.
pub fn readers_leave_each_other_alone(subject: &Subject) {
    let topic = subject.topic("beside", 2, &[]);
    for partition in 0..2 {
        subject.append(&topic, partition, &numbered(10));
    }
    let mut steady = subject.log.reader(&topic, 0, 0).unwrap();
    let idle = subject.log.reader(&topic, 1, 0).unwrap();
    let mut records = Vec::new();
    let mut read = |count: usize| {
        subject.until("the steady reader's records", || {
            steady.poll(100, LOOK, &mut records).unwrap();
            (records.len() >= count).then_some(())
        });
        assert!(records.iter().map(|fetched| fetched.offset).eq(0..count as i64));
    };
    read(10);
    match subject.log.reader(&topic, 1, 11) {
        Err(error) => assert!(matches!(error, LogError::OutOfRange { offset: 11, .. }), "{error:?}"),
        Ok(mut lost) => drop(subject.until("an error", || lost.poll(1, LOOK, &mut Vec::new()).err())),
    }
    assert!(subject.read(&topic, 0, 4, 6).iter().map(|fetched| fetched.offset).eq(4..10));
    subject.append(&topic, 0, &numbered(5));
    read(15);
    drop(idle);
    subject.append(&topic, 0, &numbered(5));
    read(20);
}

/// A partition can be read again as soon as its reader is gone, from an earlier offset as from a later one, and nothing that the one before had
/// fetched and not handed out comes again.
pub fn a_partition_is_read_again_from_elsewhere(subject: &Subject) {
    let topic = subject.topic("again", 1, &[]);
    subject.append(&topic, 0, &numbered(200));
    let mut beside = subject.log.reader(&topic, 0, 0).unwrap();
    for from in [150, 20, 190, 0, 199, 20] {
        let mut reader = subject.log.reader(&topic, 0, from).unwrap();
        let mut records = Vec::new();
        subject.until("records", || {
            reader.poll(3, LOOK, &mut records).unwrap();
            (records.len() >= 3.min(200 - from as usize)).then_some(())
        });
        let end = from + records.len() as i64;
        assert!(records.iter().map(|fetched| fetched.offset).eq(from..end), "from {from}: {records:?}");
    }
    let mut records = Vec::new();
    subject.until("all records", || {
        beside.poll(200, LOOK, &mut records).unwrap();
        (records.len() == 200).then_some(())
    });
}

/// Records below an offset are gone for good; all others are where they were, and the next one lands where it would have.
pub fn deleted_records_are_gone_and_no_others(subject: &Subject) {
    let topic = subject.topic("trimmed", 2, &[]);
    subject.append(&topic, 0, &numbered(10));
    subject.append(&topic, 1, &numbered(3));
    let log = &subject.log;
    assert_eq!(log.delete_below(&topic, 0, 4), Ok(4));
    assert_eq!(log.delete_below(&topic, 0, 2), Ok(4), "what is gone is gone already");
    assert_eq!(log.reader(&topic, 0, 4).unwrap().bounds().unwrap(), (4, 10));
    let read = subject.read(&topic, 0, 4, 6);
    assert!(read.iter().map(text).eq((4..10).map(|n: u32| n.to_string())));
    assert!(read.iter().map(|fetched| fetched.offset).eq(4..10));
    let gone = log.reader(&topic, 0, 3).err();
    assert_eq!(gone, Some(LogError::OutOfRange { topic: topic.clone(), partition: 0, offset: 3, start: 4, end: 10 }));
    let behind = log.delete_below(&topic, 0, 11);
    assert_eq!(behind, Err(LogError::OutOfRange { topic: topic.clone(), partition: 0, offset: 11, start: 4, end: 10 }));
    assert_eq!(subject.read(&topic, 1, 0, 3).len(), 3, "another partition has all of its records");

    // Up to the end: nothing is left, and offsets go on.
    assert_eq!(log.delete_below(&topic, 0, 10), Ok(10));
    assert_eq!(log.reader(&topic, 0, 10).unwrap().bounds().unwrap(), (10, 10));
    assert_eq!(subject.append(&topic, 0, &[record("next")]), [10]);
    assert_eq!(text(&subject.read(&topic, 0, 10, 1)[0]), "next");
    let nowhere = log.delete_below(&subject.named("nowhere"), 0, 1).err();
    assert!(matches!(nowhere, Some(LogError::NoTopic { .. })), "{nowhere:?}");
}
