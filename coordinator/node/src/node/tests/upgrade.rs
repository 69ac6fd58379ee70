//! Builds of two times side by side on one log: both run before the rules are raised, either way leads back; afterwards the old one has no part.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sagaline_log::{Log, NewTopic};
use sagaline_partition::{Halt, KnownRules, RULES_VERSION, Rules};
use sagaline_schemas::record::{Body, EngineVersion};

use super::{PARTITIONS, PATIENCE, ended, key, order, wanted};
use crate::node::{Node, NodeError, NodeOptions, RaiseError};
use crate::owner::stop::Stop;
use crate::registry::ApplyOptions;
use crate::stage::{Desk, Passing, contract, definition};
use crate::{Names, PartitionStatus, Standing, topics};

const NEXT: u32 = RULES_VERSION + 1;

/// A log that several nodes may share.
struct World(Passing);

impl World {
    fn new() -> Self {
        let passing = Passing::begin();
        topics::create(&*passing.log, &Names::new("t."), &key(), &wanted()).unwrap();
        let orders = NewTopic { name: "orders".to_owned(), partitions: 1, replicas: 1, settings: Vec::new() };
        passing.log.create_topic(&orders).unwrap();
        Self(passing)
    }

    /// The node of this name, by a build that knows the rules up to a version.
    fn node(&self, dir: &Path, name: &str, newest: u32) -> Node {
        let options = NodeOptions {
            data_dir: Some(dir.join(name)),
            rules: KnownRules::up_to(newest),
            ..NodeOptions::new("t.", key(), name)
        };
        Node::start(options, Arc::clone(&self.0.log)).unwrap()
    }

    /// Orders come in at one node, are answered, and all nodes see as many sagas ended.
    fn orders(&self, desk: &mut Desk, at: &Node, nodes: &[&Node], total: i64) {
        for number in total - 10..total {
            order(at, &format!("o-{number}"));
        }
        let began = Instant::now();
        while nodes.iter().any(|node| ended(&node.partitions()) < total) {
            desk.answer();
            at.partitions()[0].wait_status(Duration::from_millis(5), |_| false);
            let counts: Vec<i64> = nodes.iter().map(|node| ended(&node.partitions())).collect();
            assert!(began.elapsed() < PATIENCE, "{counts:?} of {total} ended: {:#?}", at.partitions()[0].status());
        }
    }
}

fn all(node: &Node, wanted: impl Fn(&PartitionStatus) -> bool + Copy) -> bool {
    node.partitions().iter().all(|partition| partition.wait_status(PATIENCE, wanted))
}

fn has_a_part(node: &Node) {
    let any_live = || node.partitions().iter().any(|partition| partition.status().standing == Standing::Live);
    let began = Instant::now();
    while !any_live() {
        node.partitions()[0].wait_status(Duration::from_millis(5), |_| false);
        assert!(began.elapsed() < PATIENCE, "it publishes for nothing: {:#?}", node.partitions()[0].status());
    }
}

fn versions(node: &Node) -> Vec<Option<u32>> {
    node.rules().unwrap().into_iter().map(|rules| rules.map(Rules::version)).collect()
}

fn is_refused(status: &PartitionStatus) -> bool {
    matches!(&status.standing, Standing::Halted { reason } if reason.contains("have version 2, this program knows version 1: run a build"))
}

fn apply(node: &Node) {
    let (contracts, definitions) = (vec![contract()], vec![definition()]);
    node.apply(&ApplyOptions { contracts, definitions, topics: wanted(), by: "a test".to_owned() }).unwrap();
}

#[test]
fn two_builds_run_side_by_side_until_the_rules_are_raised_and_then_the_old_one_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new();
    let old = world.node(dir.path(), "one", RULES_VERSION);
    apply(&old);
    let mut desk = Desk::on(Arc::clone(&world.0.log), old.names().of_channel("commands.desk"));

    // Deployed on the second node, taken back, and deployed again.
    for (newest, total) in [(NEXT, 10), (RULES_VERSION, 20), (NEXT, 30)] {
        let second = world.node(dir.path(), "two", newest);
        has_a_part(&second);
        has_a_part(&old);
        world.orders(&mut desk, &second, &[&old, &second], total);
        assert_eq!((versions(&second), versions(&old)), (vec![Some(1), Some(1)], vec![Some(1), Some(1)]));
        second.stop().unwrap();
    }
    let new = world.node(dir.path(), "two", NEXT);
    has_a_part(&new);
    let refused = old.raise_rules(NEXT, "ada");
    assert!(matches!(refused, Err(RaiseError::Unknown { to: NEXT, newest: RULES_VERSION })), "{refused:?}");

    new.raise_rules(NEXT, "ada").unwrap();
    assert_eq!(versions(&new), [Some(NEXT), Some(NEXT)]);
    assert!(all(&old, is_refused), "{:#?}", old.partitions()[0].status());
    assert!(all(&new, |status| status.standing == Standing::Live), "it has the part of the old one, too");
    let note = Body::EngineVersion(EngineVersion { version: NEXT, by: "ada".to_owned() });
    assert!(matches!(old.append(0, &note), Err(NodeError::Outdated(Stop::Halt(Halt::UnknownRules { .. })))));
    world.orders(&mut desk, &new, &[&new], 40);
    assert!(old.membership_trouble().is_some_and(|why| why.starts_with("left: the rules of inbox partition")));
    assert!(old.ingress().trouble.is_some() && old.ingress().topics.is_empty(), "{:?}", old.ingress());
    old.stop().unwrap();

    // Started again it finds no way back; a build that knows the rules goes on from its stores.
    let old = world.node(dir.path(), "one", RULES_VERSION);
    assert!(all(&old, is_refused), "{:#?}", old.partitions()[0].status());
    old.stop().unwrap();
    let first = world.node(dir.path(), "one", NEXT);
    has_a_part(&first);
    world.orders(&mut desk, &first, &[&first, &new], 50);
    assert_eq!(versions(&first), [Some(NEXT), Some(NEXT)]);
}

#[test]
fn a_raise_that_was_cut_off_goes_on_and_asked_again_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new();
    let node = world.node(dir.path(), "one", NEXT);
    assert!(all(&node, |status| status.standing == Standing::Live));
    // As far as it had come.
    let offset = node.append(1, &Body::EngineVersion(EngineVersion { version: NEXT, by: "ada".to_owned() })).unwrap();
    node.wait_folded(1, offset, PATIENCE).unwrap();
    assert_eq!(versions(&node), [Some(RULES_VERSION), Some(NEXT)]);
    let lower = node.raise_rules(RULES_VERSION, "ada");
    assert!(matches!(lower, Err(RaiseError::Lower { to: RULES_VERSION, partition: 1, in_force: NEXT })), "{lower:?}");

    let raises = || {
        let raises = (0..PARTITIONS).map(|partition| raises_in(&*world.0.log, partition));
        raises.collect::<Vec<usize>>()
    };
    node.raise_rules(NEXT, "ada").unwrap();
    assert_eq!((versions(&node), raises()), (vec![Some(NEXT), Some(NEXT)], vec![1, 1]));
    node.raise_rules(NEXT, "ada").unwrap();
    assert_eq!(raises(), [1, 1]);
}

fn raises_in(log: &dyn Log, partition: u32) -> usize {
    let (mut reader, mut records) = (log.reader("t.inbox", partition, 0).unwrap(), Vec::new());
    reader.poll(1_000, Duration::ZERO, &mut records).unwrap();
    let genesis = crate::sealed::genesis(log, "t.inbox", partition).unwrap().unwrap();
    let body = |value: &[u8]| crate::sealed::proven(&key(), genesis.log_id, partition, value);
    let raises = records.iter().filter(|fetched| matches!(body(&fetched.record.value), Some(Body::EngineVersion(_))));
    raises.count()
}
