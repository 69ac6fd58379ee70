//! The log on a real Kafka broker: what it must keep when brokers die, topics are deleted and groups change. What every log must do
//! is the conformance suite's.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use sagaline_integration::kafka::{Broker, unique};
use sagaline_log::kafka::KafkaLog;
use sagaline_log::{
    Acknowledgement, Fetched, GroupEvent, GroupReader, Log, LogError, NewTopic, Producer, Reader, Record, TopicInfo,
};

const PATIENCE: Duration = Duration::from_secs(60);
const TURN: Duration = Duration::from_millis(100);

fn connect(broker: &Broker) -> KafkaLog {
    KafkaLog::connect(broker.bootstrap(), &BTreeMap::new()).expect("the broker answers")
}

fn create(log: &KafkaLog, name: &str, partitions: u32, settings: &[(&str, &str)]) -> TopicInfo {
    let settings = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    log.create_topic(&NewTopic { name: name.to_owned(), partitions, replicas: 1, settings }).expect("a topic is made")
}

fn numbered(n: u64) -> Record {
    Record { value: n.to_string().into_bytes(), ..Record::default() }
}

fn number(fetched: &Fetched) -> u64 {
    String::from_utf8_lossy(&fetched.record.value).parse().expect("a numbered record")
}

fn append_all(producer: &mut dyn Producer, topic: &str, numbers: std::ops::Range<u64>) -> Vec<Acknowledgement> {
    let wanted = numbers.end - numbers.start;
    for n in numbers {
        producer.append(topic, 0, &numbered(n), n).expect("queued");
    }
    let (mut all, begin) = (Vec::new(), Instant::now());
    while all.len() < usize::try_from(wanted).expect("few") {
        assert!(begin.elapsed() < PATIENCE, "{} of {wanted} acknowledged", all.len());
        producer.poll(TURN, &mut all);
    }
    all
}

fn read_to(reader: &mut dyn Reader, end: i64) -> Vec<Fetched> {
    let (mut all, begin) = (Vec::<Fetched>::new(), Instant::now());
    while all.last().is_none_or(|last| last.offset + 1 < end) {
        assert!(begin.elapsed() < PATIENCE, "read {} records, the end is {end}", all.len());
        reader.poll(1000, TURN, &mut all).expect("read");
    }
    all
}

/// Polls until the reader fails.
fn failure(reader: &mut dyn Reader) -> LogError {
    let (mut into, begin) = (Vec::new(), Instant::now());
    loop {
        if let Err(error) = reader.poll(1000, TURN, &mut into) {
            return error;
        }
        assert!(begin.elapsed() < PATIENCE, "the reader did not notice; it read {}", into.len());
    }
}

fn admin<T>(broker: &Broker, act: impl AsyncFnOnce(&AdminClient<DefaultClientContext>, &AdminOptions) -> T) -> T {
    let client = ClientConfig::new().set("bootstrap.servers", broker.bootstrap()).create().expect("an admin client");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(act(&client, &AdminOptions::new()))
}

fn delete_topic(broker: &Broker, log: &KafkaLog, name: &str) {
    let deleted = admin(broker, async |client, options| client.delete_topics(&[name], options).await);
    assert!(deleted.expect("asked").iter().all(Result::is_ok));
    let begin = Instant::now();
    while log.topic(name).expect("asked").is_some() {
        assert!(begin.elapsed() < PATIENCE, "the topic does not go");
    }
}

/// Kills the broker three times with records in flight. Each record is in the log once, in the order in which it was appended, at the
/// offset that its acknowledgement named.
#[test]
fn a_broker_killed_in_the_middle_of_appends_loses_and_repeats_nothing() {
    let broker = Broker::start().expect("a broker of its own");
    let log = connect(&broker);
    let topic = unique("killed");
    create(&log, &topic, 1, &[]);
    let mut producer = log.producer().expect("a producer");
    let (mut sent, mut acknowledged) = (0, Vec::new());
    for _ in 0..3 {
        let target = acknowledged.len() + 2_000;
        let mut go_on = |acknowledged: &mut Vec<Acknowledgement>| {
            while producer.in_flight() < 500 {
                producer.append(&topic, 0, &numbered(sent), sent).expect("queued, broker or not");
                sent += 1;
            }
            producer.poll(TURN, acknowledged);
        };
        while acknowledged.len() < target {
            go_on(&mut acknowledged);
        }
        std::thread::scope(|scope| {
            let killer = scope.spawn(|| broker.kill());
            while !killer.is_finished() {
                go_on(&mut acknowledged);
            }
            killer.join().expect("no panic").expect("killed");
        });
        go_on(&mut acknowledged);
        assert!(producer.in_flight() > 0, "records must wait for the broker");
        broker.start_again().expect("up again");
    }
    let begin = Instant::now();
    while producer.in_flight() > 0 {
        assert!(begin.elapsed() < PATIENCE, "{} records without an outcome", producer.in_flight());
        producer.poll(TURN, &mut acknowledged);
    }

    let mut reader = log.reader(&topic, 0, 0).expect("a reader");
    let (start, end) = reader.bounds().expect("bounds");
    assert_eq!(start, 0);
    let records = read_to(&mut *reader, end);
    let numbers: Vec<u64> = records.iter().map(number).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "repeated or out of order");
    for Acknowledgement { ticket, outcome } in acknowledged {
        let offset = outcome.expect("a producer that waits for the broker learns every outcome");
        assert_eq!(numbers[usize::try_from(offset).expect("an offset")], ticket);
    }
    assert_eq!(u64::try_from(numbers.len()).expect("few"), sent);
}

#[test]
fn a_topic_tells_its_settings() {
    let broker = Broker::shared();
    let log = connect(broker);
    let name = unique("settings");
    let settings =
        [("retention.ms", "-1"), ("message.timestamp.type", "LogAppendTime"), ("max.message.bytes", "2097152")];
    let info = create(&log, &name, 3, &settings);
    assert_eq!((info.partitions, info.replicas), (3, 1));
    for (setting, value) in settings {
        assert_eq!(info.settings[setting], value);
    }
    for setting in ["cleanup.policy", "min.insync.replicas", "retention.bytes", "unclean.leader.election.enable"] {
        assert!(info.settings.contains_key(setting), "{setting}: {info:?}");
    }
    assert_eq!(log.topic(&name), Ok(Some(info)));
    assert_eq!(log.topic(&unique("never-made")), Ok(None));
    assert!(!log.cluster_id().expect("an id").is_empty());
}

#[test]
fn a_topic_made_again_has_another_id_and_a_reader_past_its_end_notices() {
    let broker = Broker::shared();
    let log = connect(broker);
    let name = unique("again");
    let first = create(&log, &name, 1, &[]);
    let mut producer = log.producer().expect("a producer");
    append_all(&mut *producer, &name, 0..10);
    let mut reader = log.reader(&name, 0, 10).expect("a reader at the end");
    delete_topic(broker, &log, &name);
    let second = create(&log, &name, 1, &[]);
    assert_ne!(first.id, second.id);
    let error = failure(&mut *reader);
    assert!(matches!(error, LogError::OutOfRange { offset: 10, .. } | LogError::NoTopic { .. }), "{error}");
    assert_eq!(failure(&mut *reader), error, "a reader that lost its place does not find another");
}

#[test]
fn records_that_were_deleted_are_out_of_range_with_the_bounds() {
    let broker = Broker::shared();
    let log = connect(broker);
    let topic = unique("trimmed");
    create(&log, &topic, 1, &[]);
    let mut producer = log.producer().expect("a producer");
    append_all(&mut *producer, &topic, 0..10);
    log.delete_below(&topic, 0, 4).expect("trimmed");
    let error = log.reader(&topic, 0, 3).err().expect("3 is gone");
    assert_eq!(error, LogError::OutOfRange { topic: topic.clone(), partition: 0, offset: 3, start: 4, end: 10 });
    let error = log.reader(&topic, 0, 11).err().expect("11 is not there");
    assert!(matches!(error, LogError::OutOfRange { offset: 11, .. }), "{error}");
    let mut reader = log.reader(&topic, 0, 4).expect("4 is there");
    assert_eq!(reader.bounds(), Ok((4, 10)));
    assert_eq!(read_to(&mut *reader, 10).iter().map(number).collect::<Vec<_>>(), [4, 5, 6, 7, 8, 9]);
}

#[test]
fn what_a_topic_can_t_take_is_said_at_once() {
    let log = connect(Broker::shared());
    let topic = unique("limits");
    create(&log, &topic, 1, &[("max.message.bytes", "300000"), ("message.timestamp.type", "LogAppendTime")]);
    let mut producer = log.producer().expect("a producer");
    let missing = unique("missing");
    assert_eq!(producer.append(&missing, 0, &numbered(0), 0), Err(LogError::NoTopic { topic: missing }));
    let error = producer.append(&topic, 1, &numbered(0), 0).expect_err("it has one partition");
    assert!(matches!(error, LogError::NoTopic { .. }), "{error}");
    let large = Record { value: vec![0; 300_000], ..Record::default() };
    let error = producer.append(&topic, 0, &large, 0).expect_err("too large");
    assert!(matches!(error, LogError::TooLarge { limit: 300_000, .. }), "{error}");

    assert_eq!(producer.in_flight(), 0);

    // The largest that is taken is really taken by the broker, headers and all, though nothing in it can be compressed.
    let noise = (0..299_800_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let headers = vec![("sagaline-id".to_owned(), vec![7; 40])];
    let record = Record { key: b"key".to_vec(), value: noise, headers };
    producer.append(&topic, 0, &record, 1).expect("queued");
    let mut all = Vec::new();
    while all.is_empty() {
        producer.poll(TURN, &mut all);
    }
    assert_eq!(all, [Acknowledgement { ticket: 1, outcome: Ok(0) }]);
    let read = read_to(&mut *log.reader(&topic, 0, 0).expect("a reader"), 1);
    assert_eq!(read[0].record, record);
    assert!(read[0].append_time);
}

/// The limit holds for a batch: many records that are each small enough must not be refused together.
#[test]
fn a_narrow_topic_takes_many_records_at_once() {
    let log = connect(Broker::shared());
    let (wide, narrow) = (unique("wide"), unique("narrow"));
    create(&log, &wide, 1, &[]);
    create(&log, &narrow, 1, &[("max.message.bytes", "2000")]);
    let mut producer = log.producer().expect("a producer");
    // With these in flight the producer learns of the narrow topic.
    for n in 0..500 {
        producer.append(&wide, 0, &numbered(n), n).expect("queued");
    }
    for n in 500..1000 {
        let noise = (0..500).map(|i: u64| ((n * 500 + i).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8).collect();
        producer.append(&narrow, 0, &Record { value: noise, ..Record::default() }, n).expect("queued");
    }
    let (mut all, begin) = (Vec::new(), Instant::now());
    while producer.in_flight() > 0 {
        assert!(begin.elapsed() < PATIENCE, "{} of 1000 acknowledged", all.len());
        producer.poll(TURN, &mut all);
    }
    all.sort_by_key(|acknowledgement| acknowledgement.ticket);
    let offsets = |range: std::ops::Range<usize>| all[range].iter().map(|a| a.outcome.clone()).collect::<Vec<_>>();
    assert_eq!(offsets(0..500), (0..500).map(Ok).collect::<Vec<_>>());
    assert_eq!(offsets(500..1000), (0..500).map(Ok).collect::<Vec<_>>());
}

/// Polls until `done` says so, and returns everything that came.
fn events(
    members: &mut [&mut Box<dyn GroupReader>],
    mut done: impl FnMut(&[Vec<GroupEvent>]) -> bool,
) -> Vec<Vec<GroupEvent>> {
    let mut all = vec![Vec::new(); members.len()];
    let begin = Instant::now();
    while !done(&all) {
        assert!(begin.elapsed() < PATIENCE, "{all:?}");
        for (member, into) in members.iter_mut().zip(&mut all) {
            member.poll(100, TURN, into).expect("polled");
        }
    }
    all
}

fn assignments(events: &[GroupEvent]) -> Vec<(u32, i64)> {
    let given = events.iter().filter_map(|event| match event {
        GroupEvent::Assigned(places) => Some(places.iter().map(|(_, partition, offset)| (*partition, *offset))),
        GroupEvent::Record(_) | GroupEvent::Revoked(_) => None,
    });
    let mut given: Vec<_> = given.flatten().collect();
    given.sort_unstable();
    given
}

fn numbers(events: &[GroupEvent]) -> Vec<u64> {
    let record = |event: &GroupEvent| match event {
        GroupEvent::Record(fetched) => Some(number(fetched)),
        GroupEvent::Assigned(_) | GroupEvent::Revoked(_) => None,
    };
    events.iter().filter_map(record).collect()
}

#[test]
fn a_member_that_comes_back_goes_on_where_it_committed() {
    let log = connect(Broker::shared());
    let (topic, group) = (unique("group"), unique("g"));
    let topics = [topic.clone()];
    create(&log, &topic, 1, &[]);
    let mut producer = log.producer().expect("a producer");
    append_all(&mut *producer, &topic, 0..10);

    let mut member = log.join(&group, "a", &topics).expect("joined");
    let seen = events(&mut [&mut member], |all| numbers(&all[0]).len() == 10);
    assert_eq!(assignments(&seen[0]), [(0, 0)]);
    member.commit(&topic, 0, 7).expect("committed");
    member.seek(&topic, 0, 3).expect("sought");
    let again = events(&mut [&mut member], |all| numbers(&all[0]).len() == 7);
    assert_eq!(numbers(&again[0]), [3, 4, 5, 6, 7, 8, 9]);
    drop(member);

    let mut member = log.join(&group, "a", &topics).expect("joined again");
    let seen = events(&mut [&mut member], |all| numbers(&all[0]).len() == 3);
    assert_eq!(assignments(&seen[0]), [(0, 7)]);
    assert_eq!(numbers(&seen[0]), [7, 8, 9]);
}

#[test]
fn a_paused_partition_gives_nothing_until_it_is_resumed() {
    let log = connect(Broker::shared());
    let (topic, other, group) = (unique("paused"), unique("running"), unique("g"));
    create(&log, &topic, 1, &[]);
    create(&log, &other, 1, &[]);
    let mut member = log.join(&group, "a", &[topic.clone(), other.clone()]).expect("joined");
    events(&mut [&mut member], |all| assignments(&all[0]).len() == 2);
    member.pause(&topic, 0).expect("paused");
    let mut producer = log.producer().expect("a producer");
    append_all(&mut *producer, &topic, 0..5);
    append_all(&mut *producer, &other, 10..15);
    let seen = events(&mut [&mut member], |all| numbers(&all[0]).len() >= 5);
    assert_eq!(numbers(&seen[0]), [10, 11, 12, 13, 14]);
    member.resume(&topic, 0).expect("resumed");
    let seen = events(&mut [&mut member], |all| numbers(&all[0]).len() >= 5);
    assert_eq!(numbers(&seen[0]), [0, 1, 2, 3, 4]);
}

#[test]
fn a_partition_that_was_paused_when_it_was_taken_away_is_open_when_it_comes_back() {
    let log = connect(Broker::shared());
    let (topic, group) = (unique("paused"), unique("g"));
    create(&log, &topic, 2, &[]);
    let mut member = log.join(&group, "a", std::slice::from_ref(&topic)).expect("joined");
    events(&mut [&mut member], |all| assignments(&all[0]).len() == 2);
    (0..2).for_each(|partition| member.pause(&topic, partition).expect("paused"));
    let mut second = log.join(&group, "b", std::slice::from_ref(&topic)).expect("joined");
    let seen = events(&mut [&mut member, &mut second], |all| assignments(&all[1]).len() == 1);
    let (lent, _) = assignments(&seen[1])[0];
    drop(second);
    events(&mut [&mut member], |all| assignments(&all[0]).len() == 1);
    let mut producer = log.producer().expect("a producer");
    for n in 0..5 {
        producer.append(&topic, lent, &numbered(n), n).expect("queued");
    }
    let begin = Instant::now();
    while producer.in_flight() > 0 {
        assert!(begin.elapsed() < PATIENCE, "not acknowledged");
        producer.poll(TURN, &mut Vec::new());
    }
    let seen = events(&mut [&mut member], |all| numbers(&all[0]).len() >= 5);
    assert_eq!(numbers(&seen[0]), [0, 1, 2, 3, 4]);
}

#[test]
fn two_members_share_the_partitions_and_a_revoked_one_can_t_be_committed() {
    let log = connect(Broker::shared());
    let (topic, group) = (unique("shared"), unique("g"));
    let topics = [topic.clone()];
    create(&log, &topic, 2, &[]);
    let mut first = log.join(&group, "a", &topics).expect("joined");
    events(&mut [&mut first], |all| assignments(&all[0]).len() == 2);
    let mut second = log.join(&group, "b", &topics).expect("joined");
    let seen = events(&mut [&mut first, &mut second], |all| assignments(&all[1]).len() == 1);
    let [GroupEvent::Revoked(revoked)] = seen[0].as_slice() else { panic!("{:?}", seen[0]) };
    assert_eq!(revoked.iter().map(|(_, partition)| *partition).collect::<Vec<_>>(), [assignments(&seen[1])[0].0]);
    let lost = revoked[0].1;
    assert!(first.commit(&topic, lost, 0).is_err());
    first.commit(&topic, 1 - lost, 0).expect("the other is still its own");
    second.commit(&topic, lost, 0).expect("the new owner commits");
}

#[test]
fn a_topic_is_joined_when_it_appears() {
    let log = connect(Broker::shared());
    let (topic, group) = (unique("later"), unique("g"));
    let mut member = log.join(&group, "a", std::slice::from_ref(&topic)).expect("joined");
    let mut into = Vec::new();
    member.poll(10, TURN, &mut into).expect("a topic that is not there is no error");
    create(&log, &topic, 1, &[]);
    let seen = events(&mut [&mut member], |all| !assignments(&all[0]).is_empty());
    assert_eq!(assignments(&seen[0]), [(0, 0)]);
}

#[test]
fn a_member_that_comes_back_for_other_topics_gets_them() {
    let log = connect(Broker::shared());
    let (topic, other, group) = (unique("before"), unique("after"), unique("g"));
    create(&log, &topic, 1, &[]);
    create(&log, &other, 1, &[]);
    let mut member = log.join(&group, "a", std::slice::from_ref(&topic)).expect("joined");
    events(&mut [&mut member], |all| assignments(&all[0]).len() == 1);
    drop(member);
    let mut member = log.join(&group, "a", &[topic, other]).expect("joined again");
    events(&mut [&mut member], |all| assignments(&all[0]).len() == 2);
}

#[test]
fn of_two_members_of_one_name_the_first_gives_up() {
    let log = connect(Broker::shared());
    let (topic, group) = (unique("twice"), unique("g"));
    create(&log, &topic, 1, &[]);
    let mut first = log.join(&group, "a", std::slice::from_ref(&topic)).expect("joined");
    events(&mut [&mut first], |all| !assignments(&all[0]).is_empty());
    let mut second = log.join(&group, "a", std::slice::from_ref(&topic)).expect("joined");
    let (mut of_first, mut of_second, begin) = (Vec::new(), Vec::new(), Instant::now());
    let error = loop {
        assert!(begin.elapsed() < PATIENCE, "the first did not notice");
        second.poll(10, TURN, &mut of_second).expect("the second goes on");
        if let Err(error) = first.poll(10, TURN, &mut of_first) {
            break error;
        }
    };
    assert!(matches!(error, LogError::InUse { .. }), "{error}");
    let revoked = of_first.iter().filter(|event| matches!(event, GroupEvent::Revoked(_))).count();
    assert_eq!(revoked, 2, "before it gives up, what it had is told to be gone each time: {of_first:?}");
    drop(first);
    while !matches!(of_second.last(), Some(GroupEvent::Assigned(_))) {
        assert!(begin.elapsed() < PATIENCE, "the second has nothing");
        second.poll(10, TURN, &mut of_second).expect("the second goes on");
    }
}
