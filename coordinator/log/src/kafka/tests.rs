//! What needs no broker, or a mock one that fails on command. The log's own promises are tested on a real broker, in tests/integration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::admin::{Admin, Limits};
use super::producer::KafkaProducer;
use super::properties::Properties;
use super::{KafkaLog, ffi};
use crate::{Acknowledgement, LogError, Producer, Record};

fn given(properties: &[(&str, &str)]) -> BTreeMap<String, String> {
    properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn refusal(properties: &[(&str, &str)]) -> String {
    // Refused before anybody is asked: nobody listens at this address.
    KafkaLog::connect("127.0.0.1:1", &given(properties)).expect_err("refused").to_string()
}

#[test]
fn a_property_that_order_or_durability_hang_on_is_refused_with_the_reason() {
    for name in ["acks", "enable.idempotence", "message.timeout.ms", "auto.offset.reset", "enable.auto.commit"] {
        let error = refusal(&[(name, "1")]);
        assert!(error.contains(name) && error.contains("can't be set: "), "{error}");
    }
}

#[test]
fn a_mistaken_property_is_named_and_its_value_is_not() {
    for name in ["sasl.pasword", "security.protocol", "socket.timeout.ms"] {
        let error = refusal(&[(name, "hunter2")]);
        assert!(error.contains(name) && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_log_shows_no_secret() {
    let properties = Properties::new(&given(&[("sasl.password", "hunter2")])).expect("a known property");
    let shown = format!("{properties:?}");
    assert!(shown.contains("sasl.password") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn no_broker_is_said_soon_and_with_the_reason() {
    let begin = Instant::now();
    let error = KafkaLog::connect("127.0.0.1:1", &BTreeMap::new()).expect_err("nobody listens there");
    assert!(begin.elapsed() < Duration::from_secs(8));
    let LogError::Unreachable { address, detail } = error else { panic!("{error}") };
    assert_eq!(address, "127.0.0.1:1");
    assert!(detail.contains("refused"), "{detail}");
}

/// A producer on a mock cluster, which can't describe topics: its one topic is told.
fn producer_on(cluster: &MockCluster<'_, DefaultProducerContext>) -> KafkaProducer {
    cluster.create_topic("t", 1, 1).expect("the mock makes topics");
    let bootstrap = cluster.bootstrap_servers();
    let properties = Properties::default();
    let admin = Arc::new(Admin::connect(&bootstrap, &properties).expect("the mock answers"));
    let mut producer = KafkaProducer::new(properties.producer(&bootstrap), admin).expect("a producer");
    producer.know("t", Limits { partitions: 1, bytes: 1000 });
    producer
}

fn append(producer: &mut KafkaProducer, ticket: u64) {
    let record = Record { value: ticket.to_string().into_bytes(), ..Record::default() };
    producer.append("t", 0, &record, ticket).expect("queued");
}

fn outcomes(producer: &mut KafkaProducer, count: usize) -> Vec<Acknowledgement> {
    let (mut all, begin) = (Vec::new(), Instant::now());
    while all.len() < count {
        assert!(begin.elapsed() < Duration::from_secs(20), "only {all:?} of {count}");
        producer.poll(Duration::from_millis(100), &mut all);
    }
    all
}

fn is_unknown(acknowledgement: &Acknowledgement) -> bool {
    matches!(acknowledgement.outcome, Err(LogError::OutcomeUnknown { .. }))
}

#[test]
fn a_producer_that_failed_for_good_answers_for_everything_in_flight_and_goes_on() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    let mut producer = producer_on(&cluster);
    append(&mut producer, 1);
    assert_eq!(outcomes(&mut producer, 1), [Acknowledgement { ticket: 1, outcome: Ok(0) }]);

    cluster.broker_down(1).expect("the broker goes");
    append(&mut producer, 2);
    append(&mut producer, 3);
    ffi::plant_fatal_error(producer.client(), c"planted");
    cluster.broker_up(1).expect("the broker comes back");

    let lost = outcomes(&mut producer, 2);
    assert_eq!(lost.iter().map(|a| a.ticket).collect::<Vec<_>>(), [2, 3]);
    assert!(lost.iter().all(is_unknown), "{lost:?}");
    assert_eq!(producer.in_flight(), 0);
    append(&mut producer, 4);
    let after = outcomes(&mut producer, 1);
    assert!(after[0].ticket == 4 && after[0].outcome.is_ok(), "{after:?}");
}

#[test]
fn what_is_purged_is_unknown_and_later_records_are_taken() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    let mut producer = producer_on(&cluster);
    cluster.broker_down(1).expect("the broker goes");
    for ticket in 0..3 {
        append(&mut producer, ticket);
    }
    producer.purge();
    let purged = outcomes(&mut producer, 3);
    assert!(purged.iter().all(is_unknown), "{purged:?}");
    cluster.broker_up(1).expect("the broker comes back");
    append(&mut producer, 3);
    assert!(outcomes(&mut producer, 1)[0].outcome.is_ok());
}

#[test]
fn waiting_for_an_outcome_costs_no_more_than_the_outcome_takes() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    let mut producer = producer_on(&cluster);
    append(&mut producer, 0);
    outcomes(&mut producer, 1);
    append(&mut producer, 1);
    let (begin, mut into) = (Instant::now(), Vec::new());
    producer.poll(Duration::from_secs(30), &mut into);
    assert_eq!(into.len(), 1);
    assert!(begin.elapsed() < Duration::from_secs(10), "poll used its timeout up: {:?}", begin.elapsed());
    assert_eq!(producer.client().fatal_error(), None);
}
