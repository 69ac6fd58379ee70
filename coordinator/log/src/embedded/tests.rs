//! The embedded log: what survives, when who is told, and what is said when something goes wrong.

mod crashes;
mod platter;

use std::sync::Mutex;
use std::time::Duration;

use self::platter::Platter;

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

#[test]
fn what_was_deleted_is_gone_after_a_restart_and_what_comes_next_is_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(dir.path()).unwrap();
    log.create_topic(&inbox()).unwrap();
    let mut producer = log.producer().unwrap();
    for n in 0..100 {
        producer.append("inbox", n % 2, &record(&n.to_string()), u64::from(n)).unwrap();
    }
    collect(producer.as_mut());
    assert_eq!(log.delete_below("inbox", 0, 20), Ok(20));
    assert_eq!(log.delete_below("inbox", 0, 30), Ok(30));
    drop((log, producer));

    for _ in 0..2 {
        let log = EmbeddedLog::open(dir.path()).unwrap();
        let mut reader = log.reader("inbox", 0, 30).unwrap();
        let mut records = Vec::new();
        reader.poll(1, WAIT, &mut records).unwrap();
        assert_eq!((records[0].offset, &records[0].record), (30, &record("60")));
        assert_eq!(reader.bounds().unwrap().0, 30);
        assert_eq!(log.reader("inbox", 1, 0).unwrap().bounds().unwrap(), (0, 50));
        // Who never committed begins with the first record that there is.
        let mut member = log.join("group", "one", &["inbox".to_owned()]).unwrap();
        let mut events = Vec::new();
        member.poll(1, WAIT, &mut events).unwrap();
        let begins = |event: &crate::GroupEvent| match event {
            crate::GroupEvent::Assigned(places) => places.iter().map(|(_, _, offset)| *offset).collect(),
            _ => Vec::new(),
        };
        assert_eq!(events.iter().map(begins).next(), Some(vec![30, 0]));
    }
}

fn on(platter: &Platter) -> Options {
    Options { disk: Arc::new(platter.clone()), ..Options::default() }
}

/// A log whose writer waits in the sync of the first append, with `count` more behind it.
fn held(platter: &Platter, count: u64, options: Options) -> (EmbeddedLog, Box<dyn Producer>) {
    let log = EmbeddedLog::open_with(Path::new("/log"), options).unwrap();
    log.create_topic(&inbox()).unwrap();
    let mut producer = log.producer().unwrap();
    platter.hold_syncs(true);
    producer.append("inbox", 0, &record("first"), 0).unwrap();
    while log.core.queue.waiting() > 0 {
        std::thread::yield_now();
    }
    for n in 1..=count {
        producer.append("inbox", (n % 2) as Partition, &record("more"), n).unwrap();
    }
    (log, producer)
}

#[test]
fn one_sync_acknowledges_all_that_has_gathered_and_nobody_before() {
    let platter = Platter::default();
    let (log, mut producer) = held(&platter, 500, on(&platter));
    let syncs = platter.syncs();
    let mut told = Vec::new();
    producer.poll(Duration::ZERO, &mut told);
    assert_eq!((told.len(), producer.in_flight()), (0, 501));
    assert_eq!(log.reader("inbox", 0, 0).unwrap().bounds().unwrap(), (0, 0), "nothing is read that may be lost");
    platter.hold_syncs(false);
    assert_eq!(collect(producer.as_mut()).len(), 501);
    assert_eq!(platter.syncs() - syncs, 2, "one for the first, one for all the others");
}

#[test]
fn a_purge_takes_back_what_is_not_being_written() {
    let platter = Platter::default();
    let (log, mut producer) = held(&platter, 10, on(&platter));
    producer.purge();
    platter.hold_syncs(false);
    let (taken, given_up): (Vec<_>, Vec<_>) =
        collect(producer.as_mut()).into_iter().partition(|told| told.outcome.is_ok());
    assert_eq!((taken.len(), given_up.len()), (1, 10));
    assert_eq!((read_all(&log, 0).len(), read_all(&log, 1).len()), (1, 0));
}

#[test]
fn a_full_queue_takes_no_more_until_it_is_written() {
    let platter = Platter::default();
    let (_log, mut producer) = held(&platter, 3, Options { queue_bytes: 60, ..on(&platter) });
    let refused = (0..10).find_map(|n| producer.append("inbox", 0, &record("more"), 100 + n).err());
    assert_eq!(refused, Some(LogError::QueueFull { place: "inbox".to_owned() }));
    platter.hold_syncs(false);
    collect(producer.as_mut());
    producer.append("inbox", 0, &record("more"), 200).unwrap();
    assert!(collect(producer.as_mut())[0].outcome.is_ok());
}

/// Clocks that the test sets.
#[derive(Debug, Default)]
struct SetClock(Mutex<(Millis, Duration)>);

impl Clock for SetClock {
    fn wall(&self) -> Millis {
        self.0.lock().unwrap().0
    }

    fn since_boot(&self) -> Duration {
        self.0.lock().unwrap().1
    }
}

#[test]
fn append_times_go_on_when_the_wall_clock_jumps() {
    let platter = Platter::default();
    let clock = Arc::new(SetClock::default());
    let stamp = |wall: Millis, boots: [u64; 2]| {
        *clock.0.lock().unwrap() = (wall, Duration::from_millis(boots[0]));
        let log = EmbeddedLog::open_with(Path::new("/log"), Options { clock: clock.clone(), ..on(&platter) }).unwrap();
        if log.topic("inbox").unwrap().is_none() {
            log.create_topic(&inbox()).unwrap();
        }
        *clock.0.lock().unwrap() = (-1, Duration::from_millis(boots[1]));
        let mut producer = log.producer().unwrap();
        producer.append("inbox", 0, &record("x"), 1).unwrap();
        collect(producer.as_mut());
        assert!(read_all(&log, 0).iter().all(|fetched| fetched.append_time));
        (read_all(&log, 0).last().unwrap().timestamp, log.wall_clock())
    };
    assert_eq!(stamp(10_000, [0, 500]), (10_500, 10_500), "the wall clock at the start, then the time that passed");
    assert_eq!(stamp(2_000, [0, 7]), (10_507, 10_507), "a wall clock set back holds nobody up");
    assert_eq!(stamp(90_000, [50, 51]), (90_001, 90_001));
}

#[test]
fn a_second_process_is_told_that_the_log_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(dir.path()).unwrap();
    let error = EmbeddedLog::open(dir.path()).unwrap_err();
    assert_eq!(error, LogError::InUse { place: dir.path().display().to_string() });
    drop(log);
    EmbeddedLog::open(dir.path()).unwrap();
}

#[test]
fn a_journal_of_another_form_is_refused() {
    let platter = Platter::default();
    let entry = |format| entry::Entry::Sealed(entry::Sealed { format, cluster: random_id().unwrap(), at: 0 });
    let mut bytes = Vec::new();
    entry::put_frame(&mut bytes, 0, 0, &entry(3));
    platter.open(Path::new("/log/00000000000000000000.journal")).unwrap().write(&bytes, 0).unwrap();
    let error = EmbeddedLog::open_with(Path::new("/log"), on(&platter)).unwrap_err().to_string();
    let expected =
        "/log/00000000000000000000.journal at byte 0: the journal has form 3, this program reads forms 1 and 2";
    assert_eq!(error, expected);
}

#[test]
fn commits_survive_a_restart() {
    let platter = Platter::default();
    let log = EmbeddedLog::open_with(Path::new("/log"), on(&platter)).unwrap();
    log.create_topic(&inbox()).unwrap();
    let member = |log: &EmbeddedLog| {
        let mut member = log.join("g", "m", &["inbox".to_owned()]).unwrap();
        let mut events = Vec::new();
        member.poll(1, WAIT, &mut events).unwrap();
        (member, events)
    };
    let mut producer = log.producer().unwrap();
    producer.append("inbox", 1, &record("x"), 1).unwrap();
    collect(producer.as_mut());
    let (mut first, _) = member(&log);
    first.commit("inbox", 1, 1).unwrap();
    drop((log, first, producer));
    let log = EmbeddedLog::open_with(Path::new("/log"), on(&platter)).unwrap();
    let (_second, events) = member(&log);
    assert_eq!(events, [crate::GroupEvent::Assigned(vec![("inbox".into(), 0, 0), ("inbox".into(), 1, 1)])]);
}

#[test]
fn a_frame_is_good_in_one_place_only() {
    let mut bytes = Vec::new();
    let sealed = entry::Sealed { format: 1, cluster: random_id().unwrap(), at: 0 };
    entry::put_frame(&mut bytes, 100, 90, &entry::Entry::Sealed(sealed));
    let head = entry::Head::read(bytes[..entry::HEAD].try_into().unwrap());
    assert!(head.proves(&bytes[entry::HEAD..], 100));
    assert!(!head.proves(&bytes[entry::HEAD..], 101));
}
