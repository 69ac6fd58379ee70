//! Checks of topics and producers.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{LOOK, Subject, noise, numbered, record, text};
use crate::{LogError, NewTopic, Record};

/// A topic is what was asked for, is the same each time it is asked after, and another topic is another.
pub fn a_topic_keeps_its_identity(subject: &Subject) {
    let log = &subject.log;
    assert_eq!(log.topic(&subject.named("none")).unwrap(), None);
    let one = subject.topic("one", 3, &[("message.timestamp.type", "LogAppendTime"), ("retention.ms", "-1")]);
    let two = subject.topic("two", 1, &[]);
    let info = subject.until("the topic", || log.topic(&one).unwrap());
    let other = subject.until("the other topic", || log.topic(&two).unwrap());
    assert_eq!((info.name.as_str(), info.partitions, other.partitions), (one.as_str(), 3, 1));
    assert_ne!(info.id, other.id);
    assert_eq!(info.settings.get("message.timestamp.type").map(String::as_str), Some("LogAppendTime"));
    assert_eq!(info.settings.get("retention.ms").map(String::as_str), Some("-1"));
    assert_eq!(log.topic(&one).unwrap(), Some(info));

    let again = NewTopic { name: one.clone(), partitions: 3, replicas: 1, settings: Vec::new() };
    assert_eq!(log.create_topic(&again), Err(LogError::TopicExists { topic: one }));
    assert!(!log.cluster_id().unwrap().is_empty());
    assert_eq!(log.cluster_id(), log.cluster_id());
}

/// Appending to, or reading, what is not there is an error that names it, at once or as the acknowledgement.
pub fn a_topic_that_is_not_there_is_named(subject: &Subject) {
    let missing = subject.named("missing");
    let there = subject.topic("there", 1, &[]);
    let mut producer = subject.log.producer().unwrap();
    for (name, partition) in [(&missing, 0), (&there, 1)] {
        let outcome = match producer.append(name, partition, &record("x"), 1) {
            Err(error) => Err(error),
            Ok(()) => subject.acknowledgements(producer.as_mut()).remove(0).outcome,
        };
        assert!(matches!(&outcome, Err(LogError::NoTopic { topic }) if topic.contains(name)), "{outcome:?}");
        let error = match subject.log.reader(name, partition, 0) {
            Err(error) => error,
            Ok(mut reader) => subject.until("an error", || reader.poll(1, LOOK, &mut Vec::new()).err()),
        };
        assert!(matches!(&error, LogError::NoTopic { topic } if topic.contains(name)), "{error:?}");
    }
    assert_eq!(producer.in_flight(), 0);
    producer.append(&there, 0, &record("x"), 2).unwrap();
    assert_eq!(subject.acknowledgements(producer.as_mut())[0].outcome, Ok(0));
}

/// Whoever has heard an acknowledgement finds the record at its offset.
pub fn what_is_acknowledged_can_be_read(subject: &Subject) {
    let topic = subject.topic("readable", 1, &[]);
    let mut producer = subject.log.producer().unwrap();
    for n in 0..20 {
        producer.append(&topic, 0, &record(&n.to_string()), n).unwrap();
        assert_eq!(producer.in_flight(), 1);
        let acknowledged = subject.acknowledgements(producer.as_mut());
        assert_eq!((acknowledged.len(), acknowledged[0].ticket), (1, n));
        let offset = acknowledged[0].outcome.clone().unwrap();
        let mut reader = subject.log.reader(&topic, 0, offset).unwrap();
        assert_eq!(reader.bounds().unwrap(), (0, offset + 1));
        let read = &subject.read(&topic, 0, offset, 1)[0];
        assert_eq!((read.offset, text(read)), (offset, n.to_string()));
    }
}

/// Keys, values and headers come back as they were, the empty, the repeated and the long ones too.
pub fn nothing_of_a_record_is_lost(subject: &Subject) {
    let topic = subject.topic("whole", 1, &[]);
    let header = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
    let records = [
        Record { key: b"key".to_vec(), value: b"value".to_vec(), headers: vec![header("a", b"1"), header("a", b"2")] },
        Record { key: Vec::new(), value: vec![0, 255, 10], headers: vec![header("empty", b"")] },
        Record { key: b"only".to_vec(), value: Vec::new(), headers: Vec::new() },
        Record { key: Vec::new(), value: noise(900_000), headers: vec![header("\u{e9}", &[0, 255])] },
    ];
    subject.append(&topic, 0, &records);
    let read = subject.read(&topic, 0, 0, records.len());
    for (fetched, record) in read.iter().zip(&records) {
        assert!(fetched.record == *record, "offset {} differs", fetched.offset);
        assert_eq!((&*fetched.topic, fetched.partition), (topic.as_str(), 0));
    }
}

/// Records of one producer lie in each partition in the order of their appends, from offset 0 on, without a hole.
pub fn appends_keep_their_order(subject: &Subject) {
    let topic = subject.topic("ordered", 3, &[]);
    let mut producer = subject.log.producer().unwrap();
    for n in 0..3_000u64 {
        producer.append(&topic, (n % 3) as u32, &record(&n.to_string()), n).unwrap();
    }
    let acknowledged = subject.acknowledgements(producer.as_mut());
    let tickets: BTreeSet<u64> = acknowledged.iter().map(|acknowledgement| acknowledgement.ticket).collect();
    assert_eq!((acknowledged.len(), tickets.len()), (3_000, 3_000));
    for acknowledgement in &acknowledged {
        assert_eq!(acknowledgement.outcome, Ok((acknowledgement.ticket / 3) as i64));
    }
    for partition in 0..3 {
        for (nth, fetched) in (0u64..).zip(subject.read(&topic, partition, 0, 1_000)) {
            assert_eq!((fetched.offset, text(&fetched)), (nth as i64, (3 * nth + u64::from(partition)).to_string()));
        }
    }
}

/// Two producers may use the same tickets: each is told of its own.
pub fn producers_are_told_of_their_own(subject: &Subject) {
    let topic = subject.topic("two-producers", 2, &[]);
    let mut one = subject.log.producer().unwrap();
    let mut two = subject.log.producer().unwrap();
    for ticket in 0..50 {
        one.append(&topic, 0, &record("one"), ticket).unwrap();
        two.append(&topic, 1, &record("two"), ticket).unwrap();
    }
    for producer in [&mut one, &mut two] {
        let tickets = subject.acknowledgements(producer.as_mut()).into_iter().map(|told| told.ticket);
        assert!(tickets.eq(0..50));
    }
}

/// A record above `max.message.bytes` is refused with its size and the limit; those around it are taken.
pub fn a_record_that_is_too_large_is_refused(subject: &Subject) {
    let topic = subject.topic("limited", 1, &[("max.message.bytes", "20000")]);
    let mut producer = subject.log.producer().unwrap();
    let large = Record { value: noise(40_000), ..Record::default() };
    producer.append(&topic, 0, &Record { value: noise(10_000), ..Record::default() }, 1).unwrap();
    assert_eq!(subject.acknowledgements(producer.as_mut())[0].outcome, Ok(0));
    let outcome = match producer.append(&topic, 0, &large, 2) {
        Err(error) => Err(error),
        Ok(()) => subject.acknowledgements(producer.as_mut()).remove(0).outcome,
    };
    assert!(matches!(&outcome, Err(LogError::TooLarge { topic: named, .. }) if *named == topic), "{outcome:?}");
    producer.append(&topic, 0, &record("small"), 3).unwrap();
    assert_eq!(subject.acknowledgements(producer.as_mut())[0].outcome, Ok(1));
}

/// After a purge every append has exactly one acknowledgement, those that say where a record lies are true, and the producer
/// goes on.
pub fn a_purge_answers_for_everything(subject: &Subject) {
    let topic = subject.topic("purged", 1, &[]);
    let mut producer = subject.log.producer().unwrap();
    for (ticket, record) in (0..).zip(numbered(500)) {
        producer.append(&topic, 0, &record, ticket).unwrap();
    }
    producer.purge();
    let acknowledged = subject.acknowledgements(producer.as_mut());
    let tickets: BTreeSet<u64> = acknowledged.iter().map(|acknowledgement| acknowledgement.ticket).collect();
    assert_eq!((acknowledged.len(), tickets.len()), (500, 500));
    for acknowledgement in acknowledged {
        match acknowledgement.outcome {
            Ok(offset) => {
                let read = &subject.read(&topic, 0, offset, 1)[0];
                assert_eq!(text(read), acknowledgement.ticket.to_string());
            }
            Err(error) => assert!(matches!(error, LogError::OutcomeUnknown { .. }), "{error:?}"),
        }
    }
    producer.append(&topic, 0, &record("after"), 500).unwrap();
    let after = subject.acknowledgements(producer.as_mut());
    assert_eq!(after.len(), 1);
    assert_eq!(text(&subject.read(&topic, 0, after[0].outcome.clone().unwrap(), 1)[0]), "after");
    let mut none = Vec::new();
    producer.poll(Duration::ZERO, &mut none);
    assert_eq!(none, []);
}

/// Who purges while the log answers gives up its own: what another producer of the same log has in flight is acknowledged, where it lies and in
/// its order.
pub fn a_purge_leaves_the_others_alone(subject: &Subject) {
    let topic = subject.topic("not-purged", 1, &[]);
    let mut purged = subject.log.producer().unwrap();
    let mut other = subject.log.producer().unwrap();
    for producer in [&mut purged, &mut other] {
        producer.append(&topic, 0, &record("first"), 0).unwrap();
        subject.acknowledgements(producer.as_mut());
    }
    for (ticket, record) in (0..).zip(numbered(100)) {
        purged.append(&topic, 0, &record, ticket).unwrap();
        other.append(&topic, 0, &record, ticket).unwrap();
    }
    purged.purge();
    let acknowledged = subject.acknowledgements(other.as_mut());
    assert!(acknowledged.iter().map(|acknowledgement| acknowledgement.ticket).eq(0..100));
    let offsets: Vec<_> = acknowledged.into_iter().map(|acknowledgement| acknowledgement.outcome.unwrap()).collect();
    assert!(offsets.is_sorted(), "{offsets:?}");
    for (number, offset) in (0..).zip(offsets).step_by(33) {
        assert_eq!(text(&subject.read(&topic, 0, offset, 1)[0]), number.to_string());
    }
    assert_eq!(subject.acknowledgements(purged.as_mut()).len(), 100);
}

/// With LogAppendTime the timestamps of a partition never go back, and are near the log's wall clock; without it the record
/// says that the time is not the log's.
pub fn append_times_never_go_back(subject: &Subject) {
    let stamped = subject.topic("stamped", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let before = subject.log.wall_clock();
    for _ in 0..5 {
        subject.append(&stamped, 0, &numbered(20));
        (subject.tick)();
    }
    let after = subject.log.wall_clock();
    let read = subject.read(&stamped, 0, 0, 100);
    assert!(read.iter().all(|fetched| fetched.append_time));
    assert!(read.is_sorted_by_key(|fetched| fetched.timestamp));
    let near = before - 60_000..=after + 60_000;
    assert!(read.iter().all(|fetched| near.contains(&fetched.timestamp)), "{near:?}: {read:?}");

    let created = subject.topic("created", 1, &[("message.timestamp.type", "CreateTime")]);
    subject.append(&created, 0, &numbered(1));
    assert!(!subject.read(&created, 0, 0, 1)[0].append_time);
}
