//! What needs no broker, or a mock one that fails on command. The log's own promises are tested on a real broker, in tests/integration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::admin::{Admin, Limits};
use super::connection::Connections;
use super::producer::KafkaProducer;
use super::properties::Properties;
use super::{KafkaLog, ffi};
use crate::clock::{Clock, SystemClock};
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

/// Producers of one log on a mock cluster, which can't describe topics: its one topic is told.
fn producers_on<const N: usize>(cluster: &MockCluster<'_, DefaultProducerContext>) -> [KafkaProducer; N] {
    cluster.create_topic("t", 2, 1).expect("the mock makes topics");
    let bootstrap = cluster.bootstrap_servers();
    let properties = Properties::default();
    let admin = Arc::new(Admin::connect(&bootstrap, &properties).expect("the mock answers"));
    let connections = Arc::new(Connections::new(properties.producer(&bootstrap), &bootstrap));
    std::array::from_fn(|_| {
        let mut producer = KafkaProducer::new(Arc::clone(&connections), Arc::clone(&admin)).expect("a producer");
        producer.know("t", Limits { partitions: 2, bytes: usize::MAX });
        producer
    })
}

/// What goes with the next poll, unless it is alone.
fn hold(producer: &mut KafkaProducer, partition: u32, ticket: u64) {
    let record = Record { value: ticket.to_string().into_bytes(), ..Record::default() };
    producer.append("t", partition, &record, ticket).expect("queued");
}

/// Appends, and goes.
fn append(producer: &mut KafkaProducer, ticket: u64) {
    hold(producer, 0, ticket);
    producer.hand_over();
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
    let [mut producer] = producers_on(&cluster);
    append(&mut producer, 1);
    assert_eq!(outcomes(&mut producer, 1), [Acknowledgement { ticket: 1, outcome: Ok(0) }]);

    cluster.broker_down(1).expect("the broker goes");
    append(&mut producer, 2);
    append(&mut producer, 3);
    ffi::plant_fatal_error(producer.connection().client(), c"planted");
    cluster.broker_up(1).expect("the broker comes back");

    let lost = outcomes(&mut producer, 2);
    // The second waits for the first, and which of them is given up first is nobody's to know.
    assert_eq!(lost.iter().map(|a| a.ticket).collect::<BTreeSet<_>>(), BTreeSet::from([2, 3]));
    assert!(lost.iter().all(is_unknown), "{lost:?}");
    assert_eq!(producer.in_flight(), 0);
    append(&mut producer, 4);
    let after = outcomes(&mut producer, 1);
    assert!(after[0].ticket == 4 && after[0].outcome.is_ok(), "{after:?}");
}

#[test]
fn what_is_purged_is_unknown_and_later_records_are_taken() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    let [mut producer] = producers_on(&cluster);
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
    let [mut producer] = producers_on(&cluster);
    append(&mut producer, 0);
    outcomes(&mut producer, 1);
    append(&mut producer, 1);
    let (begin, mut into) = (Instant::now(), Vec::new());
    producer.poll(Duration::from_secs(30), &mut into);
    assert_eq!(into.len(), 1);
    assert!(begin.elapsed() < Duration::from_secs(10), "poll used its timeout up: {:?}", begin.elapsed());
    assert_eq!(producer.connection().over(), None);
}

/// The mock gives offsets from 0 on: a record that lies at 1 tells that one lies before it, and no other.
#[test]
fn what_was_given_up_while_no_broker_answered_is_never_sent() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    let [mut one, mut two, mut gone] = producers_on(&cluster);
    append(&mut two, 0);
    assert_eq!(outcomes(&mut two, 1)[0].outcome, Ok(0));
    cluster.broker_down(1).expect("the broker goes");
    append(&mut one, 1);
    append(&mut gone, 1);
    one.purge();
    drop(gone);
    assert!(is_unknown(&outcomes(&mut one, 1)[0]));
    cluster.broker_up(1).expect("the broker comes back");
    append(&mut two, 2);
    assert_eq!(outcomes(&mut two, 1)[0].outcome, Ok(1));
}

#[test]
fn who_gives_up_without_a_broker_gives_up_for_all_and_all_go_on() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    let [mut one, mut two] = producers_on(&cluster);
    cluster.broker_down(1).expect("the broker goes");
    // Each alone on its lane: both are under way.
    append(&mut one, 7);
    hold(&mut two, 1, 7);
    one.purge();
    for producer in [&mut one, &mut two] {
        let given_up = outcomes(producer, 1);
        assert!(given_up[0].ticket == 7 && is_unknown(&given_up[0]), "{given_up:?}");
    }
    cluster.broker_up(1).expect("the broker comes back");
    for (offset, producer) in (0..).zip([&mut two, &mut one]) {
        append(producer, 8);
        assert_eq!(outcomes(producer, 1), [Acknowledgement { ticket: 8, outcome: Ok(offset) }]);
    }
}

#[test]
fn who_gives_up_while_the_broker_answers_disturbs_nobody() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    let [mut one, mut two] = producers_on(&cluster);
    append(&mut one, 0);
    outcomes(&mut one, 1);
    for ticket in 0..100 {
        append(&mut one, ticket);
        append(&mut two, ticket);
    }
    one.purge();
    assert_eq!(outcomes(&mut one, 100).len(), 100);
    let kept = outcomes(&mut two, 100);
    assert!(kept.iter().map(|a| a.ticket).eq(0..100) && kept.iter().all(|a| a.outcome.is_ok()), "{kept:?}");
}

#[test]
fn all_producers_survive_a_client_that_failed_for_good() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    let [mut one, mut two, mut idle] = producers_on(&cluster);
    cluster.broker_down(1).expect("the broker goes");
    append(&mut one, 1);
    append(&mut two, 1);
    ffi::plant_fatal_error(one.connection().client(), c"planted");
    cluster.broker_up(1).expect("the broker comes back");
    for producer in [&mut one, &mut two] {
        let lost = outcomes(producer, 1);
        assert!(is_unknown(&lost[0]), "{lost:?}");
    }
    for (offset, producer) in (0..).zip([&mut idle, &mut one, &mut two]) {
        append(producer, 2);
        assert_eq!(outcomes(producer, 1), [Acknowledgement { ticket: 2, outcome: Ok(offset) }]);
        assert_eq!(producer.connection().over(), None);
    }
}

#[test]
fn who_learns_of_a_narrow_topic_leaves_the_others_where_they_are() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    let [mut one, two, mut three] = producers_on(&cluster);
    let wide = one.connection().batch;
    assert_eq!(two.connection().batch, wide);
    append(&mut one, 1);
    let narrow = three.narrow(1000).expect("a client with smaller batches");
    assert_eq!((narrow, one.connection().batch, two.connection().batch), (1000, wide, wide));
    append(&mut three, 1);
    assert_eq!((outcomes(&mut one, 1).len(), outcomes(&mut three, 1).len()), (1, 1));
}

#[test]
fn what_was_appended_behind_another_record_goes_with_the_next_poll_and_not_without_one() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    let [mut silent, mut other] = producers_on(&cluster);
    append(&mut other, 0);
    hold(&mut silent, 0, 1);
    drop(silent);
    append(&mut other, 2);
    assert_eq!(outcomes(&mut other, 2)[1].outcome, Ok(1));
}

#[test]
fn what_a_lane_holds_is_not_sent_after_a_sleep_before_its_sender_could_give_it_up() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    let [mut zombie, mut other] = producers_on(&cluster);
    cluster.broker_down(1).expect("the broker goes");
    for ticket in 0..20 {
        append(&mut zombie, ticket);
    }
    let connection = zombie.connection();
    let now = SystemClock.since_boot();
    assert!(connection.is_awake_at(now));
    assert!(!connection.is_awake_at(now + Duration::from_secs(60)), "nobody looked for a minute");
    connection.rest_until(Duration::MAX);

    cluster.broker_up(1).expect("the broker comes back");
    assert_eq!(outcomes(&mut zombie, 1), [Acknowledgement { ticket: 0, outcome: Ok(0) }]);
    zombie.purge();
    let given_up = outcomes(&mut zombie, 19);
    assert!(given_up.iter().map(|a| a.ticket).eq(1..20) && given_up.iter().all(is_unknown), "{given_up:?}");
    zombie.connection().rest_until(Duration::ZERO);
    append(&mut other, 20);
    assert_eq!(outcomes(&mut other, 1)[0].outcome, Ok(1));
}

/// What librdkafka does to a partition whose leader it has lost sight of, while the broker answers for all others.
#[test]
fn a_client_without_an_answer_for_a_minute_gives_way_to_another() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    let [mut one, mut two] = producers_on(&cluster);
    cluster.broker_down(1).expect("the broker goes");
    append(&mut one, 1);
    append(&mut two, 2);
    let now = SystemClock.since_boot();
    one.connection().ask_lanes(now + Duration::from_secs(50));
    assert_eq!(one.connection().over(), None);
    one.connection().ask_lanes(now + Duration::from_secs(70));
    let over = one.connection().over().expect("it is given up");
    assert!(over.starts_with("no answer for t/0 in "), "{over}");
    for producer in [&mut one, &mut two] {
        let lost = outcomes(producer, 1);
        assert!(is_unknown(&lost[0]), "{lost:?}");
    }
    cluster.broker_up(1).expect("the broker comes back");
    for (offset, producer) in (0..).zip([&mut two, &mut one]) {
        append(producer, 3);
        assert_eq!(outcomes(producer, 1), [Acknowledgement { ticket: 3, outcome: Ok(offset) }]);
        assert_eq!(producer.connection().over(), None);
    }
}

/// As where a partition's leader is away, or has too few replicas: whoever takes the place of the client does no better, and all other partitions are
/// disturbed by the change.
#[test]
fn a_partition_that_cannot_be_written_disturbs_the_others_ever_more_seldom() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    let [mut one] = producers_on(&cluster);
    cluster.broker_down(1).expect("the broker goes");
    let mut disturbed = Vec::new();
    for ticket in 0..4 {
        append(&mut one, ticket);
        let now = SystemClock.since_boot();
        let seconds = (0..3_600).find(|seconds| {
            one.connection().ask_lanes(now + Duration::from_secs(*seconds));
            one.connection().over().is_some()
        });
        disturbed.push(seconds.map(|seconds| seconds / 60));
        assert!(is_unknown(&outcomes(&mut one, 1)[0]));
    }
    assert_eq!(disturbed, [Some(1), Some(2), Some(4), Some(8)]);
    cluster.broker_up(1).expect("the broker comes back");
    append(&mut one, 4);
    assert_eq!(outcomes(&mut one, 1), [Acknowledgement { ticket: 4, outcome: Ok(0) }]);
    one.connection().ask_lanes(SystemClock.since_boot());
    cluster.broker_down(1).expect("the broker goes");
    append(&mut one, 5);
    one.connection().ask_lanes(SystemClock.since_boot() + Duration::from_secs(70));
    assert!(one.connection().over().is_some(), "it had its answers again");
}
