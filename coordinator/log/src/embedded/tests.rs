//! The embedded log: what survives, and what is said when something does not.

use std::time::Duration;

use super::*;
use crate::{Acknowledgement, Fetched, Record};

const WAIT: Duration = Duration::from_secs(20);

fn inbox() -> NewTopic {
    let settings = vec![("message.timestamp.type".to_owned(), "LogAppendTime".to_owned())];
    NewTopic { name: "inbox".to_owned(), partitions: 2, replicas: 3, settings }
}

fn record(text: &str) -> Record {
    Record { key: Vec::new(), value: text.into(), headers: vec![("h".to_owned(), b"1".to_vec())] }
}

fn collect(producer: &mut dyn Producer) -> Vec<Acknowledgement> {
    let mut acknowledged = Vec::new();
    while producer.in_flight() > 0 {
        producer.poll(WAIT, &mut acknowledged);
    }
    acknowledged
}

fn read_all(log: &EmbeddedLog, partition: Partition) -> Vec<Fetched> {
    let mut reader = log.reader("inbox", partition, 0).unwrap();
    let (_, end) = reader.bounds().unwrap();
    let mut records = Vec::new();
    while (records.len() as Offset) < end {
        reader.poll(100, WAIT, &mut records).unwrap();
    }
    records
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(dir.path()).unwrap();
    let made = log.create_topic(&inbox()).unwrap();
    let mut producer = log.producer().unwrap();
    for n in 0..1000 {
        producer.append("inbox", n % 2, &record(&n.to_string()), u64::from(n)).unwrap();
    }
    let acknowledged = collect(producer.as_mut());
    assert_eq!(acknowledged.len(), 1000);
    let before = read_all(&log, 1);
    let cluster = log.cluster_id().unwrap();
    drop((log, producer));

    let log = EmbeddedLog::open(dir.path()).unwrap();
    assert_eq!(log.topic("inbox").unwrap(), Some(made));
    assert_eq!(log.cluster_id().unwrap(), cluster);
    assert_eq!(read_all(&log, 1), before);
    assert_eq!(before.len(), 500);
    assert_eq!(before[7].record, record("15"));
}
