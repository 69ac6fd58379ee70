//! The embedded log on a disk that loses power, and on one whose bytes change.

use proptest::prelude::*;

use super::platter::{Platter, Unsynced};
use super::*;

/// One life of the log, from power to power.
#[derive(Debug, Clone)]
struct Life {
    /// Bytes of each record, and whether its acknowledgement is awaited before the next.
    appends: Vec<(usize, bool)>,
    /// Calls to the disk before the power fails.
    calls: u64,
    unsynced: Unsynced,
}

fn life() -> impl Strategy<Value = Life> {
    let unsynced = prop_oneof![Just(Unsynced::Lost), Just(Unsynced::Kept), any::<u64>().prop_map(Unsynced::Torn)];
    (prop::collection::vec((0..400usize, any::<bool>()), 0..30), 0..60u64, unsynced)
        .prop_map(|(appends, calls, unsynced)| Life { appends, calls, unsynced })
}

/// Lives one life; what was appended to each partition, and how much of that was acknowledged.
fn live(platter: &Platter, life: &Life, number: &mut usize) -> ([Vec<Vec<u8>>; 2], [usize; 2]) {
    let (mut sent, mut acknowledged) = ([Vec::new(), Vec::new()], [0; 2]);
    let Ok(log) = open(platter) else { return (sent, acknowledged) };
    let mut producer = log.producer().unwrap();
    let mut told = Vec::new();
    for (nth, (size, wait)) in life.appends.iter().enumerate() {
        *number += 1;
        let partition = *number % 2;
        let value = number.to_be_bytes().into_iter().chain(std::iter::repeat_n(7, *size)).collect();
        let record = Record { value, ..Record::default() };
        let ticket = (nth * 2 + partition) as u64;
        if producer.append("inbox", partition as Partition, &record, ticket).is_err() {
            break;
        }
        sent[partition].push(record.value);
        if *wait {
            producer.poll(WAIT, &mut told);
        }
    }
    while producer.in_flight() > 0 {
        producer.poll(WAIT, &mut told);
    }
    for acknowledgement in told.iter().filter(|told| told.outcome.is_ok()) {
        acknowledged[(acknowledgement.ticket % 2) as usize] += 1;
    }
    (sent, acknowledged)
}

fn open(platter: &Platter) -> Result<EmbeddedLog, LogError> {
    let options = Options { disk: Arc::new(platter.clone()), segment_bytes: 1_500, ..Options::default() };
    EmbeddedLog::open_with(Path::new("/log"), options)
}

fn values(log: &EmbeddedLog, partition: Partition) -> Vec<Vec<u8>> {
    read_all(log, partition).into_iter().map(|fetched| fetched.record.value).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// After any number of crashes a partition holds what it held before, then what was appended since, in order, whole: at
    /// least as much of it as was acknowledged.
    #[test]
    fn acknowledged_appends_survive_every_crash(lives in prop::collection::vec(life(), 1..6)) {
        let platter = Platter::default();
        let made = open(&platter).unwrap().create_topic(&inbox()).unwrap();
        let mut before = [Vec::new(), Vec::new()];
        let mut number = 0;
        for life in &lives {
            platter.fail_after(life.calls);
            let (sent, acknowledged) = live(&platter, life, &mut number);
            platter.reboot(life.unsynced);
            let log = open(&platter).unwrap();
            prop_assert_eq!(log.topic("inbox").unwrap(), Some(made.clone()));
            for partition in 0..2 {
                let after = values(&log, partition as Partition);
                let (held, new) = after.split_at(before[partition].len().min(after.len()));
                prop_assert_eq!(held, &before[partition][..], "what was there before");
                prop_assert!(new.len() >= acknowledged[partition], "{} of {acknowledged:?}", new.len());
                prop_assert!(sent[partition].starts_with(new), "in order, and whole");
                before[partition] = after;
            }
        }
    }
}

/// A closed log of several files, with 40 records.
fn closed() -> Platter {
    let platter = Platter::default();
    let log = open(&platter).unwrap();
    log.create_topic(&inbox()).unwrap();
    for n in 0..20u64 {
        let mut producer = log.producer().unwrap();
        for partition in 0..2 {
            producer.append("inbox", partition, &record(&format!("{n} {}", "x".repeat(100))), n).unwrap();
        }
        collect(producer.as_mut());
    }
    platter
}

fn journals(platter: &Platter) -> Vec<String> {
    let names = platter.names();
    assert!(names.len() > 2, "several files: {names:?}");
    names
}

#[test]
fn no_changed_byte_is_ever_read_as_another_record() {
    let platter = closed();
    let good = open(&platter).map(|log| (values(&log, 0), values(&log, 1))).unwrap();
    let (mut named, mut harmless) = (0, 0);
    for name in journals(&platter) {
        let mut length = 0;
        platter.edit(&name, |bytes| length = bytes.len());
        for at in 0..length {
            let mut whole = Vec::new();
            platter.edit(&name, |bytes| {
                whole = bytes.clone();
                bytes[at] ^= 0x10;
            });
            match open(&platter) {
                Err(LogError::Corrupt { place, .. }) => {
                    assert!(place.contains(&name), "{place} is not {name}");
                    named += 1;
                }
                Err(other) => panic!("byte {at} of {name}: {other}"),
                Ok(log) => {
                    assert_eq!((values(&log, 0), values(&log, 1)), good, "byte {at} of {name}");
                    harmless += 1;
                }
            }
            platter.edit(&name, |bytes| *bytes = whole);
        }
    }
    // Only the marks at the end, of the last openings and closings, may be cut off for torn.
    assert!(named > 20 * harmless, "{named} named, {harmless} harmless");
}

#[test]
fn a_file_that_is_missing_is_noticed() {
    let platter = closed();
    let names = journals(&platter);
    platter.remove(&names[1]);
    let error = open(&platter).unwrap_err().to_string();
    assert!(error.starts_with(&format!("/log/{} at byte 0: the file before it ends at", names[2])), "{error}");
}

#[test]
fn bytes_that_change_under_a_running_log_are_named() {
    let platter = closed();
    let log = open(&platter).unwrap();
    let name = &journals(&platter)[1];
    let mut at = 0;
    platter.edit(name, |bytes| {
        at = bytes.windows(4).position(|window| window == b"xxxx").unwrap();
        bytes[at] = b'y';
    });
    let mut errors = Vec::new();
    for partition in 0..2 {
        let mut reader = log.reader("inbox", partition, 0).unwrap();
        let mut records = Vec::new();
        while records.len() < 20 {
            if let Err(error) = reader.poll(100, WAIT, &mut records) {
                errors.push(error);
                break;
            }
        }
        assert!(records.iter().all(|fetched| !fetched.record.value.contains(&b'y')));
    }
    assert!(matches!(&errors[..], [LogError::Corrupt { place, .. }] if place.contains(name)), "{errors:?}");
}

#[test]
fn after_a_failed_sync_nothing_is_taken_and_everything_can_be_read() {
    let platter = Platter::default();
    let log = open(&platter).unwrap();
    log.create_topic(&inbox()).unwrap();
    let mut producer = log.producer().unwrap();
    producer.append("inbox", 0, &record("safe"), 1).unwrap();
    assert_eq!(collect(producer.as_mut())[0].outcome, Ok(0));
    // The write is still done, its sync is not.
    platter.fail_after(1);
    producer.append("inbox", 0, &record("lost"), 2).unwrap();
    let told = collect(producer.as_mut());
    assert!(matches!(told[0].outcome, Err(LogError::OutcomeUnknown { .. })), "{told:?}");
    assert!(matches!(producer.append("inbox", 0, &record("more"), 3), Err(LogError::Io { .. })));
    assert!(matches!(log.create_topic(&NewTopic { name: "b".into(), ..inbox() }), Err(LogError::Io { .. })));
    platter.fail_after(u64::MAX);
    assert_eq!(values(&log, 0), [b"safe"]);
}
