//! A whole node with its threads, on the embedded log and RocksDB: from an event to an end, over a restart, and verified by a refold.

mod checkpoints;
mod fitness;
mod upgrade;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sagaline_log::embedded::EmbeddedLog;
use sagaline_log::{Log, NewTopic, Record};
use sagaline_partition::view;
use sagaline_schemas::proof::Key;
use sagaline_schemas::record::{Acked, Body, DefinitionRecord, Fault, Progress};
use sagaline_schemas::settings::Settings;
use sagaline_schemas::{OutputHash, Position};
use sagaline_store::{Memory, MemoryStore, RocksStore, Shared};

use super::{Node, NodeOptions};
use crate::checkpoint::Keeping;
use crate::owner::stop::Stop;
use crate::registry::{ApplyError, ApplyOptions};
use crate::stage::{Desk, contract, definition};
use crate::topics::{self, Wanted};
use crate::verify::{Refold, rebuild};
use crate::{Names, NodeError, PartitionHandle, Standing};

const PARTITIONS: u32 = 2;
const PATIENCE: Duration = Duration::from_secs(60);

fn wanted() -> Wanted {
    let settings = Settings { activation_delay: 0, ..Settings::default() };
    Wanted { partitions: PARTITIONS, replicas: 1, single_broker: true, participants: Vec::new(), settings }
}

fn key() -> Key {
    Key::new("test", [3; 32])
}

fn log_in(dir: &Path) -> Arc<dyn Log> {
    Arc::new(EmbeddedLog::open(&dir.join("log")).unwrap())
}

fn options(dir: &Path) -> NodeOptions {
    NodeOptions { data_dir: Some(dir.join("data")), ..NodeOptions::new("t.", key(), "one") }
}

fn start(dir: &Path, log: &Arc<dyn Log>) -> Result<Node, NodeError> {
    Node::start(options(dir), Arc::clone(log))
}

/// Topics, a running node, the definition applied.
fn started(dir: &Path) -> (Node, Arc<dyn Log>) {
    started_as(dir, None)
}

fn started_as(dir: &Path, checkpoints: Option<Keeping>) -> (Node, Arc<dyn Log>) {
    let log = log_in(dir);
    topics::create(&*log, &Names::new("t."), &key(), &wanted()).unwrap();
    log.create_topic(&NewTopic { name: "orders".to_owned(), partitions: 1, replicas: 1, settings: Vec::new() })
        .unwrap();
    let node = Node::start(NodeOptions { checkpoints, ..options(dir) }, Arc::clone(&log)).unwrap();
    let options = ApplyOptions {
        contracts: vec![contract()],
        definitions: vec![definition()],
        topics: wanted(),
        by: "a test".to_owned(),
    };
    node.apply(&options).unwrap();
    (node, log)
}

fn order(node: &Node, key: &str) {
    let value = format!(r#"{{"type":"placed","order":"{key}"}}"#).into_bytes();
    node.append_to("orders", 0, Record { key: Vec::new(), value, headers: Vec::new() }).unwrap();
}

fn ended(partitions: &[PartitionHandle]) -> i64 {
    partitions.iter().map(|partition| partition.status().counters.ended).sum()
}

/// Answers until as many sagas have ended.
fn answer_until_ended(node: &Node, log: &Arc<dyn Log>, wanted: i64) {
    let mut desk = Desk::on(Arc::clone(log), node.names().of_channel("commands.desk"));
    let partitions = node.partitions();
    let began = std::time::Instant::now();
    while ended(&partitions) < wanted {
        desk.answer();
        partitions[0].wait_status(Duration::from_millis(5), |_| false);
        assert!(began.elapsed() < PATIENCE, "{} of {wanted} ended: {:#?}", ended(&partitions), partitions[0].status());
    }
}

#[test]
fn events_become_sagas_over_a_restart_and_the_stores_are_what_the_log_says() {
    let dir = tempfile::tempdir().unwrap();
    let (node, log) = started(dir.path());
    (0..20).for_each(|n| order(&node, &format!("a-{n}")));
    answer_until_ended(&node, &log, 20);
    node.stop().unwrap();

    let node = start(dir.path(), &log).unwrap();
    (0..20).for_each(|n| order(&node, &format!("b-{n}")));
    answer_until_ended(&node, &log, 40);
    let counts: Vec<usize> = node
        .partitions()
        .iter()
        .map(|partition| view::sagas(&*partition.reader().unwrap(), None, 100).unwrap().len())
        .collect();
    assert_eq!(counts.iter().sum::<usize>(), 40);
    assert!(counts.iter().all(|count| *count > 0), "keys spread over both partitions: {counts:?}");
    node.stop().unwrap();

    for partition in 0..PARTITIONS {
        let shared = Shared::new(Memory::default());
        let store = RocksStore::open(dir.path().join("data").join(format!("partition-{partition}")), &shared).unwrap();
        let refold = Refold { log: &*log, names: &Names::new("t."), key: &key(), partition };
        let verified = refold.verify(&store, &mut |_| Ok(Box::new(MemoryStore::new()))).unwrap();
        assert!(verified.same() && verified.position > 20, "{verified:?}");
    }
}

#[test]
fn a_store_that_was_dropped_is_folded_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (node, log) = started(dir.path());
    (0..10).for_each(|n| order(&node, &format!("a-{n}")));
    answer_until_ended(&node, &log, 10);
    let place = dir.path().join("data/partition-0");
    assert!(rebuild(&place).is_err(), "not while a node runs on it");
    let position = node.partition(0).unwrap().status().position;
    node.stop().unwrap();
    rebuild(&place).unwrap();
    let node = start(dir.path(), &log).unwrap();
    node.wait_folded(0, position - 1, PATIENCE).unwrap();
    assert!(
        node.partitions()
            .iter()
            .all(|partition| partition.wait_status(PATIENCE, |status| status.standing == Standing::Live))
    );
    assert_eq!(ended(&node.partitions()), 10);
}

#[test]
fn an_input_that_is_to_be_passed_over_has_the_store_made_anew_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let (node, _log) = started(dir.path());
    let partition = node.partition(0).unwrap();
    assert!(partition.wait_status(PATIENCE, |status| status.standing == Standing::Live));
    let before = partition.status().counters.parked;
    let offset = node
        .append(
            0,
            &Body::EngineVersion(sagaline_schemas::record::EngineVersion { version: 1, by: "a test".to_owned() }),
        )
        .unwrap();
    let (by, reason) = ("ada".to_owned(), "a test".to_owned());
    let fault = node.append(0, &Body::Fault(Fault { offset, timer: 0, by, reason })).unwrap();
    node.wait_folded(0, fault, PATIENCE).unwrap();
    assert!(partition.wait_status(PATIENCE, |status| status.counters.parked > before), "{:#?}", partition.status());
}

#[test]
fn a_version_that_a_partition_knows_otherwise_is_not_activated() {
    let dir = tempfile::tempdir().unwrap();
    let (node, log) = started(dir.path());
    let version = |text: &str, days: &str| {
        let text = [("version: 1.0.0", text), ("after: 14d", days)];
        crate::stage::definition_replacing(&text)
    };
    // An apply that ended after its first append, and was corrected since.
    let half = version("version: 1.1.0", "after: 13d");
    let contracts = half.contracts.values().copied().collect();
    let (digest, normal_form, by) = (half.digest(), half.normal_form().into(), "a test".to_owned());
    node.append(1, &Body::Definition(DefinitionRecord { digest, normal_form, contracts, by })).unwrap();
    let applied = |definition| {
        let (by, topics) = ("a test".to_owned(), wanted());
        node.apply(&ApplyOptions { contracts: vec![], definitions: vec![definition], topics, by })
    };
    let refused = applied(version("version: 1.1.0", "after: 12d")).unwrap_err();
    let NodeError::Apply(ApplyError::OtherDigestAt { kind: "definition", partition: 1, .. }) = refused else {
        panic!("{refused}")
    };
    assert_eq!(node.registry().catalogue().active["errand"], definition().digest(), "as before");
    // All that was told before is kept, and what goes on with it is taken.
    applied(version("version: 1.2.0", "after: 12d")).unwrap();
    applied(half).unwrap_err();
    order(&node, "o-1");
    order(&node, "o-2");
    answer_until_ended(&node, &log, 2);
}

#[test]
fn a_node_whose_partitions_all_halt_goes_on_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let (node, log) = started(dir.path());
    for partition in node.partitions() {
        assert!(partition.wait_status(PATIENCE, |status| status.claim.is_some()));
        let since = partition.status().claim;
        let through = Position { offset: 0, timer: 0, index: 0 };
        let acked = vec![Acked { channel: "events".to_owned(), through, hash: OutputHash([9; 32]) }];
        let other = Progress { wall: log.wall_clock(), since, acked, node: "another build".to_owned() };
        node.append(partition.number, &Body::Progress(other)).unwrap();
    }
    let all_halted = |node: &Node| {
        let halted = |status: &crate::PartitionStatus| matches!(&status.standing, Standing::Halted { reason } if reason.contains("has diverged"));
        node.partitions().iter().all(|partition| partition.wait_status(PATIENCE, halted))
    };
    assert!(all_halted(&node));
    node.stop().unwrap();
    let node = start(dir.path(), &log).unwrap();
    assert!(all_halted(&node), "also from the start");
}

#[test]
fn a_node_without_its_log_says_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let (node, log) = started(dir.path());
    node.stop().unwrap();
    drop(log);
    // Another log under the same stores.
    std::fs::remove_dir_all(dir.path().join("log")).unwrap();
    let log = log_in(dir.path());
    topics::create(&*log, &Names::new("t."), &key(), &wanted()).unwrap();
    let refused = start(dir.path(), &log).err();
    assert!(matches!(refused, Some(NodeError::Stopped(Stop::OtherLog { .. }))), "{refused:?}");
}

#[test]
fn a_store_that_cannot_be_opened_halts_its_partition_until_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let (node, log) = started(dir.path());
    node.stop().unwrap();
    let (place, aside) = (dir.path().join("data/partition-0"), dir.path().join("aside"));
    std::fs::rename(&place, &aside).unwrap();
    std::fs::write(&place, "no directory").unwrap();
    let node = start(dir.path(), &log).unwrap();
    let partition = node.partition(0).unwrap();
    assert!(partition.status().standing.halted().is_some() && partition.stop().unwrap().is_this_nodes());
    let other = node.partition(1).unwrap();
    assert!(other.wait_status(PATIENCE, |status| status.standing == Standing::Live), "alone, it goes on with the rest");
    // At once: where there is nothing, it would make a new store.
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&aside, &link).unwrap();
    std::fs::rename(&link, &place).unwrap();
    assert!(partition.wait_status(PATIENCE, |status| status.standing == Standing::Live), "{:?}", partition.status());
    assert_eq!(partition.stop(), None);
    (0..4).for_each(|n| order(&node, &format!("a-{n}")));
    answer_until_ended(&node, &log, 4);
}
