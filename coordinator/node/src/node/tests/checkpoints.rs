//! A whole node that keeps checkpoints: taken, verified, the inbox trimmed, the disk lost.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sagaline_log::{Log, LogError};
use sagaline_partition::store::Store;
use sagaline_store::{Memory, RocksStore, Shared, checkpoint};

use super::{PARTITIONS, PATIENCE, answer_until_ended, key, order, started_as};
use crate::checkpoint::{Keeping, Vault};
use crate::owner::Restorable;
use crate::owner::stop::Stop;
use crate::verify::Refold;
use crate::{Names, Node, NodeError, NodeOptions, PartitionHandle, registry};

fn keeping(dir: &Path, trim: bool) -> Keeping {
    let vault = Arc::new(Vault::open(&format!("file://{}/vault", dir.display())).unwrap());
    Keeping { vault, every: Some(Duration::from_secs(1)), keep: 2, trim }
}

fn start(dir: &Path, log: &Arc<dyn Log>, checkpoints: Option<Keeping>) -> Result<Node, NodeError> {
    Node::start(NodeOptions { checkpoints, ..super::options(dir) }, Arc::clone(log))
}

fn starts_at(log: &Arc<dyn Log>, partition: u32) -> i64 {
    match log.reader("t.inbox", partition, 0) {
        Err(LogError::OutOfRange { start, .. }) => start,
        _ => 0,
    }
}

/// Position of the newest verified checkpoint, and when it was taken.
fn restorable(partition: &PartitionHandle) -> Option<(i64, i64)> {
    match partition.status().restorable {
        Restorable::From { position, taken_at } => Some((position, taken_at)),
        Restorable::Never | Restorable::Unknown => None,
    }
}

fn wait(what: &str, mut until: impl FnMut() -> bool) {
    let began = Instant::now();
    while !until() {
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A store's files in another place.
fn copy(dir: &Path, partition: u32, to: &str) {
    let from = dir.join(format!("data/partition-{partition}"));
    let to = dir.join(format!("{to}-{partition}"));
    for (name, path) in checkpoint::parts(&from).unwrap() {
        fs::copy(path, checkpoint::part_at(&to, &name).unwrap()).unwrap();
    }
    checkpoint::stamp(&to).unwrap();
}

#[test]
fn a_node_that_lost_its_disk_goes_on_from_verified_checkpoints_of_a_trimmed_log() {
    let dir = tempfile::tempdir().unwrap();
    let (node, log) = started_as(dir.path(), Some(keeping(dir.path(), true)));
    let (mut orders, mut trimmed) = (0, false);
    while !trimmed {
        (0..5).for_each(|n| order(&node, &format!("a-{}", orders + n)));
        orders += 5;
        answer_until_ended(&node, &log, orders);
        trimmed = (0..PARTITIONS).all(|partition| starts_at(&log, partition) > 0);
        assert!(orders < 5_000, "never trimmed: {:?}", node.partitions()[0].keeping_trouble());
    }
    wait("no trouble", || node.partitions().iter().all(|partition| partition.status().trouble.is_none()));
    assert!(node.partitions().iter().all(|partition| restorable(partition).is_some()));
    node.stop().unwrap();
    (0..PARTITIONS).for_each(|partition| copy(dir.path(), partition, "kept"));
    fs::remove_dir_all(dir.path().join("data")).unwrap();

    // Without checkpoints nothing can be folded, and that is said; with them all goes on.
    let refused = start(dir.path(), &log, None).err();
    assert!(matches!(&refused, Some(NodeError::Stopped(Stop::Beheaded { start, .. })) if *start > 0), "{refused:?}");
    let node = start(dir.path(), &log, Some(keeping(dir.path(), true))).unwrap();
    (0..5).for_each(|n| order(&node, &format!("b-{n}")));
    answer_until_ended(&node, &log, orders + 5);
    node.stop().unwrap();

    // What was never lost, folded on, is the same.
    for partition in 0..PARTITIONS {
        let place = |name: &str| dir.path().join(format!("{name}-{partition}"));
        let shared = Shared::new(Memory::default());
        let store = RocksStore::open(place("data/partition"), &shared).unwrap();
        let refold = Refold { log: &*log, names: &Names::new("t."), key: &key(), partition };
        let mut base = |_| -> Result<Box<dyn Store>, _> {
            Ok(Box::new(RocksStore::open(place("kept"), &Shared::new(Memory::default()))?))
        };
        let verified = refold.verify(&store, &mut base).unwrap();
        assert!(verified.same(), "{verified:?}");
    }
}

#[test]
fn a_log_that_somebody_trimmed_below_its_checkpoints_is_opened_and_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let (node, log) = started_as(dir.path(), Some(keeping(dir.path(), false)));
    (0..5).for_each(|n| order(&node, &format!("a-{n}")));
    answer_until_ended(&node, &log, 5);
    let verified = || node.partitions().iter().map(restorable).collect::<Vec<_>>();
    wait("verified checkpoints", || verified().iter().all(Option::is_some));
    let (_, taken_at) = verified()[0].unwrap();
    let age = log.wall_clock() - taken_at;
    assert!((0..60_000).contains(&age), "{age} ms");
    let below: Vec<i64> = verified().into_iter().flatten().map(|(position, _)| position).collect();
    wait("copies of its beginnings", || {
        registry::kept_geneses(&*log, node.names(), &key()).unwrap().len() == PARTITIONS as usize
    });
    node.stop().unwrap();
    for (partition, below) in (0..).zip(below) {
        assert_eq!(log.delete_below("t.inbox", partition, below).unwrap(), below);
    }
    fs::remove_dir_all(dir.path().join("data")).unwrap();

    let node = start(dir.path(), &log, Some(keeping(dir.path(), false))).unwrap();
    (0..5).for_each(|n| order(&node, &format!("b-{n}")));
    answer_until_ended(&node, &log, 10);
    assert!(node.partitions().iter().all(|partition| partition.status().trouble.is_none()));
    node.stop().unwrap();
}

#[test]
fn a_store_that_lags_behind_a_trimmed_log_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (node, log) = started_as(dir.path(), Some(keeping(dir.path(), false)));
    (0..5).for_each(|n| order(&node, &format!("a-{n}")));
    answer_until_ended(&node, &log, 5);
    node.stop().unwrap();
    (0..PARTITIONS).for_each(|partition| copy(dir.path(), partition, "old"));
    let node = start(dir.path(), &log, Some(keeping(dir.path(), true))).unwrap();
    let stored = |partition: u32| {
        let shared = Shared::new(Memory::default());
        let store = RocksStore::open(dir.path().join(format!("old-{partition}")), &shared).unwrap();
        sagaline_partition::view::meta(&store).unwrap().unwrap().next
    };
    let stored: Vec<i64> = (0..PARTITIONS).map(stored).collect();
    let mut orders = 5;
    while !(0..PARTITIONS).all(|partition| starts_at(&log, partition) > stored[partition as usize]) {
        (0..5).for_each(|n| order(&node, &format!("b-{}", orders + n)));
        orders += 5;
        answer_until_ended(&node, &log, orders);
        assert!(orders < 5_000, "never trimmed: {:?}", node.partitions()[0].keeping_trouble());
    }
    node.stop().unwrap();
    for partition in 0..PARTITIONS {
        let place = dir.path().join(format!("data/partition-{partition}"));
        fs::remove_dir_all(&place).unwrap();
        fs::rename(dir.path().join(format!("old-{partition}")), &place).unwrap();
    }
    let node = start(dir.path(), &log, Some(keeping(dir.path(), false))).unwrap();
    (0..5).for_each(|n| order(&node, &format!("c-{n}")));
    answer_until_ended(&node, &log, orders + 5);
    node.stop().unwrap();
}

#[test]
fn a_checkpoint_is_taken_when_asked_and_an_unreachable_vault_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let keeping = Keeping { every: None, ..keeping(dir.path(), false) };
    let (node, log) = started_as(dir.path(), Some(keeping));
    (0..5).for_each(|n| order(&node, &format!("a-{n}")));
    answer_until_ended(&node, &log, 5);
    let taken = node.take_checkpoint(0).unwrap();
    assert!(taken.position() > 0 && taken.manifest.taken_by == "one");
    let (_, found) = node.checkpoints().unwrap();
    assert_eq!(found[0][0].outcome.as_ref().unwrap().id, taken.id);
    assert!(node.take_checkpoint(PARTITIONS).is_err());
    // Asked to stop, it waits for no checkpoint.
    let asked = std::thread::scope(|scope| {
        let asked = scope.spawn(|| (0..200).find_map(|_| node.take_checkpoint(1).err()));
        node.common.stopping.store(true, std::sync::atomic::Ordering::Relaxed);
        let began = Instant::now();
        let refused = asked.join().unwrap();
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        refused
    });
    assert!(matches!(asked, Some(NodeError::Stopping | NodeError::Checkpoint(_))), "{asked:?}");
    node.stop().unwrap();
    let keeping = Keeping { every: None, ..self::keeping(dir.path(), false) };
    let keeping_vault = Arc::clone(&keeping.vault);
    let node = start(dir.path(), &log, Some(keeping)).unwrap();
    wait("a look into the vault", || node.partitions().iter().all(|at| at.status().restorable == Restorable::Never));
    // A file stands where the folder was.
    fs::remove_dir_all(dir.path().join("vault")).unwrap();
    fs::write(dir.path().join("vault"), b"").unwrap();
    assert!(matches!(node.take_checkpoint(1), Err(NodeError::Checkpoint(_))));
    (0..5).for_each(|n| order(&node, &format!("b-{n}")));
    answer_until_ended(&node, &log, 10);
    node.stop().unwrap();
    assert!(!dir.path().join("data/checkpoint-0").exists(), "nothing is left behind");
    // Who can't look does not say that there is none.
    let keeping = Keeping { vault: Arc::clone(&keeping_vault), every: None, keep: 2, trim: false };
    let node = start(dir.path(), &log, Some(keeping)).unwrap();
    wait("a vault that can't be looked into", || node.partitions().iter().all(|at| at.keeping_trouble().is_some()));
    assert!(node.partitions().iter().all(|at| at.status().restorable == Restorable::Unknown));
    node.stop().unwrap();
}
