//! The simulated log: its faults, and that a seed repeats a run.

use std::time::Duration;

use super::*;
use crate::{Acknowledgement, GroupEvent, Ticket};

fn topic(name: &str) -> NewTopic {
    let settings = vec![("message.timestamp.type".to_owned(), "LogAppendTime".to_owned())];
    NewTopic { name: name.to_owned(), partitions: 4, replicas: 1, settings }
}

fn record(n: u64) -> Record {
    Record { value: n.to_string().into_bytes(), ..Record::default() }
}

fn simulation(faults: Faults) -> (Simulation, SimulatedLog) {
    let simulation = Simulation::new(7);
    let log = simulation.log();
    log.create_topic(&topic("inbox")).unwrap();
    simulation.set_faults(faults);
    (simulation, log)
}

/// Appends `count` records to partition 0.
fn append(producer: &mut dyn Producer, count: Ticket) {
    for n in 0..count {
        producer.append("inbox", 0, &record(n), n).unwrap();
    }
}

fn told(producer: &mut dyn Producer) -> Vec<Acknowledgement> {
    let mut told = Vec::new();
    producer.poll(Duration::ZERO, &mut told);
    told
}

fn values(simulation: &Simulation) -> Vec<String> {
    let records = simulation.records("inbox", 0).unwrap();
    records.into_iter().map(|fetched| String::from_utf8(fetched.record.value).unwrap()).collect()
}

#[test]
fn nothing_lands_and_nobody_is_told_before_its_time() {
    let (simulation, log) = simulation(Faults { landing_ms: 10..=10, acknowledgement_ms: 5..=5, ..Faults::default() });
    let mut producer = log.producer().unwrap();
    append(producer.as_mut(), 1);
    simulation.advance(9);
    assert_eq!(values(&simulation), Vec::<String>::new());
    simulation.advance(1);
    assert_eq!(values(&simulation), ["0"]);
    assert_eq!(simulation.records("inbox", 0).unwrap()[0].timestamp, EPOCH + 10);
    assert_eq!(told(producer.as_mut()), []);
    simulation.advance(5);
    assert_eq!(told(producer.as_mut()), [Acknowledgement { ticket: 0, outcome: Ok(0) }]);
    assert_eq!(producer.in_flight(), 0);
}

#[test]
fn delays_keep_the_order_of_one_producer() {
    let (simulation, log) = simulation(Faults { landing_ms: 0..=50, acknowledgement_ms: 0..=50, ..Faults::default() });
    let mut producer = log.producer().unwrap();
    append(producer.as_mut(), 100);
    simulation.advance(100);
    let expected: Vec<String> = (0..100).map(|n: u64| n.to_string()).collect();
    assert_eq!(values(&simulation), expected);
    assert!(told(producer.as_mut()).iter().map(|told| told.ticket).eq(0..100));
}

#[test]
fn an_unknown_outcome_is_sometimes_in_the_log_and_sometimes_not() {
    let (simulation, log) = simulation(Faults { unknown_landed: 300, unknown_lost: 300, ..Faults::default() });
    let mut producer = log.producer().unwrap();
    append(producer.as_mut(), 200);
    let landed = values(&simulation);
    let (mut unknown_there, mut unknown_gone, mut known) = (0, 0, 0);
    for Acknowledgement { ticket, outcome } in told(producer.as_mut()) {
        let there = landed.contains(&ticket.to_string());
        match outcome {
            Ok(offset) => {
                assert_eq!(landed[offset as usize], ticket.to_string());
                known += 1;
            }
            Err(LogError::OutcomeUnknown { .. }) if there => unknown_there += 1,
            Err(LogError::OutcomeUnknown { .. }) => unknown_gone += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(unknown_there > 20 && unknown_gone > 20 && known > 20, "{unknown_there} {unknown_gone} {known}");
    assert_eq!(unknown_there + unknown_gone + known, 200);
}

#[test]
fn a_duplicate_lands_twice_and_is_told_once() {
    let (simulation, log) = simulation(Faults { duplicated: 1000, landing_ms: 1..=1, ..Faults::default() });
    let mut producer = log.producer().unwrap();
    append(producer.as_mut(), 2);
    simulation.advance(10);
    assert_eq!(values(&simulation), ["0", "1", "0", "1"]);
    assert_eq!(told(producer.as_mut()).len(), 2);
}

#[test]
fn records_of_a_dead_producer_land_later_or_never() {
    for (lost, landed) in [(0, 10), (1000, 0)] {
        let (simulation, log) = simulation(Faults { orphan_lost: lost, landing_ms: 5..=5, ..Faults::default() });
        let mut producer = log.producer().unwrap();
        append(producer.as_mut(), 10);
        drop(producer);
        assert_eq!(values(&simulation).len(), 0);
        simulation.advance(5);
        assert_eq!(values(&simulation).len(), landed);
    }
}

#[test]
fn purge_answers_for_all_and_what_is_under_way_may_land() {
    let (simulation, log) = simulation(Faults { landing_ms: 5..=5, ..Faults::default() });
    let mut producer = log.producer().unwrap();
    append(producer.as_mut(), 3);
    producer.purge();
    let told = told(producer.as_mut());
    assert!(told.iter().all(|told| matches!(told.outcome, Err(LogError::OutcomeUnknown { .. }))));
    assert_eq!((told.len(), producer.in_flight()), (3, 0));
    simulation.advance(5);
    assert_eq!(values(&simulation).len(), 3);
}

#[test]
fn a_stalled_topic_holds_its_records_and_a_refusing_one_names_its_reason() {
    let (simulation, log) = simulation(Faults::default());
    let mut producer = log.producer().unwrap();
    simulation.stall("inbox").unwrap();
    append(producer.as_mut(), 2);
    simulation.advance(60_000);
    assert_eq!((values(&simulation).len(), producer.in_flight()), (0, 2));
    simulation.mend("inbox").unwrap();
    assert_eq!(values(&simulation), ["0", "1"]);
    assert_eq!(told(producer.as_mut()).len(), 2);

    let error = LogError::Forbidden { topic: "inbox".to_owned(), detail: "no".to_owned() };
    simulation.refuse("inbox", error.clone()).unwrap();
    append(producer.as_mut(), 1);
    assert_eq!(told(producer.as_mut()), [Acknowledgement { ticket: 0, outcome: Err(error) }]);
}

#[test]
fn append_times_follow_the_brokers_clock_back() {
    let (simulation, log) = simulation(Faults::default());
    let mut producer = log.producer().unwrap();
    simulation.set_broker_skew(1_000);
    append(producer.as_mut(), 1);
    simulation.set_broker_skew(-1_000);
    append(producer.as_mut(), 1);
    let records = simulation.records("inbox", 0).unwrap();
    assert_eq!((records[0].timestamp, records[1].timestamp), (EPOCH + 1_000, EPOCH - 1_000));
    assert_eq!(simulation.log_with_clock(-5).wall_clock(), EPOCH - 5);
}

#[test]
fn a_reader_of_a_topic_cut_short_is_told_so() {
    let (simulation, log) = simulation(Faults::default());
    append(log.producer().unwrap().as_mut(), 10);
    let mut reader = log.reader("inbox", 0, 10).unwrap();
    simulation.truncate("inbox", 0, 4).unwrap();
    let error = reader.poll(1, Duration::ZERO, &mut Vec::new()).unwrap_err();
    let expected = LogError::OutOfRange { topic: "inbox".to_owned(), partition: 0, offset: 10, start: 0, end: 4 };
    assert_eq!(error, expected);
    log.delete_below("inbox", 0, 2).unwrap();
    assert_eq!(reader.bounds().unwrap(), (2, 4));

    let before = log.topic("inbox").unwrap().unwrap();
    let after = simulation.recreate("inbox").unwrap();
    assert_ne!(before.id, after.id);
    assert_eq!(reader.bounds().unwrap(), (0, 0));
}

#[test]
fn read_errors_lose_no_record() {
    let (simulation, log) = simulation(Faults::default());
    append(log.producer().unwrap().as_mut(), 50);
    simulation.set_faults(Faults { read_error: 500, ..Faults::default() });
    let mut member = log.join("g", "m", &["inbox".to_owned()]).unwrap();
    let (mut events, mut errors) = (Vec::new(), 0);
    while events.len() < 51 {
        errors += u32::from(member.poll(7, Duration::ZERO, &mut events).is_err());
    }
    let records = events.iter().filter_map(|event| match event {
        GroupEvent::Record(fetched) => Some(fetched.offset),
        GroupEvent::Assigned(_) | GroupEvent::Revoked(_) => None,
    });
    assert!(records.eq(0..50));
    assert!(errors > 0);
}

#[test]
fn members_share_partitions_and_a_silent_one_loses_its_own() {
    let (simulation, log) = simulation(Faults::default());
    let topics = ["inbox".to_owned()];
    let mut first = log.join("g", "a", &topics).unwrap();
    let mut second = log.join("g", "b", &topics).unwrap();
    assert_eq!(changes(first.as_mut()), ["+0 +1 +2 +3"]);
    assert_eq!(changes(second.as_mut()), [""; 0], "nothing is free yet");
    assert_eq!(changes(first.as_mut()), ["-1 -3"]);
    assert_eq!(changes(second.as_mut()), ["+1 +3"]);
    second.commit("inbox", 1, 0).unwrap();

    simulation.advance(groups::SESSION_TIMEOUT_MS as u64);
    changes(first.as_mut());
    simulation.advance(1);
    assert_eq!(changes(first.as_mut()), ["+1 +3"]);
    assert!(matches!(second.commit("inbox", 1, 0), Err(LogError::Forbidden { .. })), "a zombie commits nothing");
    assert_eq!(changes(second.as_mut()), ["-1 -3"]);
    drop(first);
    assert_eq!(changes(second.as_mut()), ["+0 +1 +2 +3"]);
}

fn changes(member: &mut dyn GroupReader) -> Vec<String> {
    let mut events = Vec::new();
    member.poll(10, Duration::ZERO, &mut events).unwrap();
    let sign = |sign: &str, partitions: Vec<Partition>| {
        partitions.iter().map(|partition| format!("{sign}{partition}")).collect::<Vec<_>>().join(" ")
    };
    let text = |event| match event {
        GroupEvent::Assigned(places) => sign("+", places.into_iter().map(|(_, partition, _)| partition).collect()),
        GroupEvent::Revoked(places) => sign("-", places.into_iter().map(|(_, partition)| partition).collect()),
        GroupEvent::Record(fetched) => format!("record {}", fetched.offset),
    };
    events.into_iter().map(text).collect()
}

#[test]
fn a_seed_repeats_a_run() {
    let run = |seed| {
        let simulation = Simulation::new(seed);
        let log = simulation.log();
        log.create_topic(&topic("inbox")).unwrap();
        simulation.set_faults(Faults {
            unknown_landed: 100,
            unknown_lost: 100,
            duplicated: 100,
            orphan_lost: 500,
            read_error: 0,
            landing_ms: 0..=20,
            acknowledgement_ms: 0..=20,
        });
        let mut seen = Vec::new();
        for _ in 0..5 {
            let mut producer = log.producer().unwrap();
            append(producer.as_mut(), 50);
            simulation.advance(10);
            producer.poll(Duration::ZERO, &mut seen);
        }
        while simulation.advance_to_next() {}
        (seen, simulation.records("inbox", 0).unwrap(), log.cluster_id().unwrap())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).1, run(2).1);
}
