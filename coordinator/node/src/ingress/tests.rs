//! Ingress on a simulated log: what reaches the inbox, in which order, and what an error costs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sagaline_log::simulated::Faults;
use sagaline_log::{NewTopic, Record};
use sagaline_schemas::hash::partition_of;
use sagaline_schemas::record::{Body, Event};

use super::{Ingress, IngressOptions};
use crate::registry::Registry;
use crate::sealed;
use crate::stage::{Desk, Disk, Stage, definition_with, ended};

fn stage_with_orders(inbox: u32, partitions: u32) -> Stage {
    let stage = Stage::new(inbox);
    let settings = Vec::new();
    stage.log.create_topic(&NewTopic { name: "orders".to_owned(), partitions, replicas: 1, settings }).unwrap();
    stage
}

fn ingress(stage: &Stage) -> Ingress {
    let options = IngressOptions {
        names: stage.names.clone(),
        key: stage.key.clone(),
        inbox: stage.inbox.clone(),
        member: "one".to_owned(),
    };
    Ingress::new(options, Registry::default(), Arc::clone(&stage.log)).unwrap()
}

fn order(stage: &Stage, partition: u32, value: &str) {
    let record = Record { key: Vec::new(), value: value.as_bytes().to_vec(), headers: Vec::new() };
    stage.simulation.put("orders", partition, record).unwrap();
}

fn placed(stage: &Stage, partition: u32, key: &str) {
    order(stage, partition, &format!(r#"{{"type":"placed","order":"{key}"}}"#));
}

/// Turns for a while of virtual time. What the log does not do is met again.
fn turn_for(stage: &Stage, ingress: &mut Ingress, ms: u64) {
    for _ in 0..ms / 10 {
        let _ = ingress.turn(stage.now(), Duration::ZERO);
        stage.simulation.advance(10);
    }
}

/// All events of an inbox partition.
fn events(stage: &Stage, partition: u32) -> Vec<Event> {
    let records = stage.simulation.records(&stage.names.inbox(), partition).unwrap();
    let proven = |value: &[u8]| sealed::proven(&stage.key, stage.inbox.log_id, partition, value);
    let event = |body| match body {
        Body::Event(event) => Some(event),
        _ => None,
    };
    records.iter().filter_map(|record| proven(&record.record.value).and_then(event)).collect()
}

// shows: start.topic, start.key, start.if x success
#[test]
fn an_event_becomes_a_saga() {
    let stage = stage_with_orders(1, 1);
    let (mut ingress, mut owner, mut desk) = (ingress(&stage), stage.owner("one", &Disk::default()), Desk::new(&stage));
    placed(&stage, 0, "o-1");
    placed(&stage, 0, "o-1");
    order(&stage, 0, r#"{"type":"changed","order":"o-2"}"#);
    placed(&stage, 0, "o-3");
    turn_for(&stage, &mut ingress, 2_000);
    stage.run(&mut [&mut owner], &mut desk, |owners| ended(owners[0]) == 2);
    assert_eq!(events(&stage, 0).len(), 3, "what concerns nobody costs nothing");
    assert_eq!(owner.status().unwrap().counters.repeated_starts, 1);
}

#[test]
fn what_cannot_be_taken_over_says_why_and_the_next_event_is_taken() {
    let stage = stage_with_orders(1, 1);
    let (mut ingress, mut owner, mut desk) = (ingress(&stage), stage.owner("one", &Disk::default()), Desk::new(&stage));
    let long = "x".repeat(600);
    for bad in ["{", r#"{"type":"placed","order":7}"#, r#"{"type":"placed","order":""}"#, r#"{"order":"o-1"}"#] {
        order(&stage, 0, bad);
    }
    placed(&stage, 0, &long);
    order(&stage, 0, &format!(r#"{{"type":"placed","order":"big","more":"{}"}}"#, "y".repeat(300_000)));
    placed(&stage, 0, "good");
    turn_for(&stage, &mut ingress, 2_000);
    let told: Vec<String> = events(&stage, 0).into_iter().filter_map(|event| event.skipped).collect();
    for (reason, words) in
        told.iter().zip(["no JSON", "write string(", "empty", "start.if", "at most 512", "the settings allow"])
    {
        assert!(reason.contains(words), "{reason:?} should say {words:?}");
    }
    assert_eq!(told.len(), 6);
    stage.run(&mut [&mut owner], &mut desk, |owners| ended(owners[0]) == 1);
    assert_eq!(owner.status().unwrap().counters.parked, 6);
}

#[test]
fn a_lost_middle_is_sent_again_and_nothing_is_lost_or_done_twice() {
    let stage = stage_with_orders(1, 3);
    let (mut ingress, mut owner, mut desk) = (ingress(&stage), stage.owner("one", &Disk::default()), Desk::new(&stage));
    turn_for(&stage, &mut ingress, 100);
    stage.simulation.set_faults(Faults {
        unknown_lost: 30,
        unknown_landed: 30,
        landing_ms: 0..=20,
        ..Faults::default()
    });
    for n in 0..300 {
        placed(&stage, n % 3, &format!("o-{n}"));
        if n % 10 == 0 {
            turn_for(&stage, &mut ingress, 50);
        }
    }
    turn_for(&stage, &mut ingress, 60_000);
    stage.simulation.set_faults(Faults::default());
    turn_for(&stage, &mut ingress, 20_000);
    stage.run(&mut [&mut owner], &mut desk, |owners| ended(owners[0]) == 300);
    assert_eq!(desk.seen.len(), 600);
    let counters = owner.status().unwrap().counters;
    assert!(counters.repeated_events > 0, "faults that repeat nothing prove nothing: {counters:?}");
}

#[test]
fn a_crash_goes_on_at_the_committed_offset() {
    let stage = stage_with_orders(1, 1);
    for n in 0..40 {
        placed(&stage, 0, &format!("o-{n}"));
    }
    for _ in 0..5 {
        // Dropped with appends in flight and without a last commit.
        let mut crashing = ingress(&stage);
        stage.simulation.set_faults(Faults { landing_ms: 5..=40, orphan_lost: 500, ..Faults::default() });
        turn_for(&stage, &mut crashing, 30);
        drop(crashing);
        stage.simulation.advance(60_000);
    }
    stage.simulation.set_faults(Faults::default());
    let (mut last, mut owner, mut desk) = (ingress(&stage), stage.owner("one", &Disk::default()), Desk::new(&stage));
    turn_for(&stage, &mut last, 5_000);
    stage.run(&mut [&mut owner], &mut desk, |owners| ended(owners[0]) == 40);
    assert_eq!(desk.seen.len(), 80);
}

#[test]
fn each_inbox_partition_has_a_chain_of_its_own() {
    let stage = stage_with_orders(4, 1);
    let mut ingress = ingress(&stage);
    for n in 0..50 {
        placed(&stage, 0, &format!("o-{n}"));
    }
    turn_for(&stage, &mut ingress, 2_000);
    let mut reached = BTreeSet::new();
    for partition in 0..4 {
        let mut prev = -1;
        for event in events(&stage, partition) {
            assert_eq!(event.origin.prev, prev);
            prev = event.origin.at;
            assert!(event.targets.iter().all(|target| partition_of(&target.key, 4) == partition));
            reached.insert(event.origin.at);
        }
    }
    assert_eq!(reached, (0..50).collect());
}

#[test]
fn who_does_not_know_the_registrys_end_appends_nothing() {
    let stage = stage_with_orders(1, 1);
    let mut ingress = ingress(&stage);
    placed(&stage, 0, "o-1");
    turn_for(&stage, &mut ingress, 500);
    assert_eq!(events(&stage, 0).len(), 1);
    stage.simulation.set_faults(Faults { read_error: 1_000, ..Faults::default() });
    placed(&stage, 0, "o-2");
    turn_for(&stage, &mut ingress, 20_000);
    assert!(ingress.status().trouble.is_some());
    assert_eq!(events(&stage, 0).len(), 1);
    stage.simulation.set_faults(Faults::default());
    turn_for(&stage, &mut ingress, 2_000);
    assert_eq!(events(&stage, 0).len(), 2);
    assert_eq!(ingress.status().trouble, None);
}

#[test]
fn a_crowded_channel_leaves_its_events_where_they_are() {
    let stage = stage_with_orders(1, 1);
    let mut ingress = ingress(&stage);
    turn_for(&stage, &mut ingress, 100);
    ingress.set_crowded(["commands.desk".to_owned()].into());
    placed(&stage, 0, "o-1");
    turn_for(&stage, &mut ingress, 1_000);
    assert_eq!(events(&stage, 0).len(), 0);
    assert_eq!(ingress.status().waiting, ["orders"]);
    ingress.set_crowded(["events".to_owned()].into());
    turn_for(&stage, &mut ingress, 1_000);
    assert_eq!((events(&stage, 0).len(), &*ingress.status().waiting), (0, &["orders".to_owned()][..]));
    // No saga of this definition writes there.
    ingress.set_crowded(["commands.another".to_owned(), "inbox.0".to_owned()].into());
    turn_for(&stage, &mut ingress, 1_000);
    assert_eq!(events(&stage, 0).len(), 1);
}

#[test]
fn a_new_version_is_named_by_the_next_start_and_its_topic_is_read() {
    let stage = stage_with_orders(1, 1);
    let mut ingress = ingress(&stage);
    placed(&stage, 0, "o-1");
    turn_for(&stage, &mut ingress, 1_000);
    let next = definition_with("version: 1.0.0", "version: 1.1.0");
    stage.apply(&[], std::slice::from_ref(&next)).unwrap();
    turn_for(&stage, &mut ingress, 2_000);
    placed(&stage, 0, "o-2");
    turn_for(&stage, &mut ingress, 1_000);
    let named: Vec<_> = events(&stage, 0).iter().map(|event| event.targets[0].definition).collect();
    assert_eq!(named, [stage.definition, next.digest()]);
}

#[test]
fn each_inbox_partition_lets_in_what_its_own_settings_allow() {
    let stage = stage_with_orders(2, 1);
    let mut ingress = ingress(&stage);
    let tight = sagaline_schemas::settings::Settings { max_payload: 60, ..stage.inbox.settings.clone() };
    ingress.set_settings([Some(tight.clone()), None]);
    let (near, far) = (key_of_partition(0), key_of_partition(1));
    let long = |key: &str| format!(r#"{{"type":"placed","order":"{key}","note":"{}"}}"#, "x".repeat(40));
    order(&stage, 0, &long(&near));
    order(&stage, 0, &long(&far));
    turn_for(&stage, &mut ingress, 1_000);
    let told = events(&stage, 0)[0].skipped.clone();
    assert!(told.is_some_and(|why| why.ends_with("the settings allow 60")), "{:?}", events(&stage, 0));
    assert_eq!(events(&stage, 1)[0].targets.len(), 1);
    ingress.set_settings([None, Some(tight)]);
    order(&stage, 0, &long(&far));
    turn_for(&stage, &mut ingress, 1_000);
    assert_eq!(ingress.status().skipped, 2);
}

fn key_of_partition(wanted: u32) -> String {
    (0..).map(|n| format!("k-{n}")).find(|key| partition_of(key, 2) == wanted).unwrap()
}

fn origins(stage: &Stage) -> Vec<i64> {
    events(stage, 0).iter().map(|event| event.origin.at).collect()
}

#[test]
fn events_that_were_deleted_unread_are_counted_and_the_rest_is_read() {
    let stage = stage_with_orders(1, 2);
    let mut rested = ingress(&stage);
    (0..3).for_each(|n| placed(&stage, 0, &format!("o-{n}")));
    turn_for(&stage, &mut rested, 3_000);
    drop(rested);
    (3..10).for_each(|n| placed(&stage, 0, &format!("o-{n}")));
    placed(&stage, 1, "other");
    stage.log.delete_below("orders", 0, 8).unwrap();

    let mut ingress = ingress(&stage);
    turn_for(&stage, &mut ingress, 3_000);
    assert_eq!(origins(&stage).len(), 6, "what is there is read, of every partition: {:?}", origins(&stage));
    let lost = ingress.status().lost.clone();
    assert_eq!(lost.iter().map(|lost| (&*lost.place, lost.events)).collect::<Vec<_>>(), [("orders/0", Some(5))]);
    let trouble = ingress.status().trouble.clone().unwrap();
    assert!(trouble.contains("5 events of orders/0, offsets 3 to 7, were deleted"), "{trouble}");
    for _ in 0..60 {
        turn_for(&stage, &mut ingress, 10_000);
    }
    assert_eq!((ingress.status().trouble.clone(), ingress.status().lost.len()), (None, 1), "told, and it goes on");

    drop(ingress);
    let mut again = super::tests::ingress(&stage);
    placed(&stage, 0, "o-10");
    turn_for(&stage, &mut again, 3_000);
    assert_eq!((again.status().lost.len(), origins(&stage).last()), (0, Some(&10)), "a restart finds its place");
}

#[test]
fn a_topic_that_lost_its_end_is_gone_on_from_there() {
    let stage = stage_with_orders(1, 1);
    let mut ingress = ingress(&stage);
    (0..10).for_each(|n| placed(&stage, 0, &format!("o-{n}")));
    turn_for(&stage, &mut ingress, 3_000);
    stage.simulation.truncate("orders", 0, 4).unwrap();
    turn_for(&stage, &mut ingress, 3_000);
    assert!(ingress.status().trouble.as_ref().is_some_and(|why| why.contains("orders/0 has lost its end")));
    drop(ingress);
    let mut again = super::tests::ingress(&stage);
    placed(&stage, 0, "new");
    turn_for(&stage, &mut again, 3_000);
    assert_eq!((again.status().lost.len(), origins(&stage).last()), (0, Some(&4)), "a restart finds its place");
}

#[test]
fn a_topic_that_was_made_anew_is_read_from_its_start() {
    let stage = stage_with_orders(1, 1);
    let (mut ingress, mut owner, mut desk) = (ingress(&stage), stage.owner("one", &Disk::default()), Desk::new(&stage));
    (0..5).for_each(|n| placed(&stage, 0, &format!("o-{n}")));
    turn_for(&stage, &mut ingress, 3_000);
    stage.simulation.recreate("orders").unwrap();
    placed(&stage, 0, "new");
    turn_for(&stage, &mut ingress, 3_000);
    assert_eq!(ingress.status().lost[0].events, None);
    assert!(ingress.status().lost[0].why.contains("was made anew"));
    stage.run(&mut [&mut owner], &mut desk, |owners| ended(owners[0]) == 6);
}
