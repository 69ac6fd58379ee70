//! A process that writes is killed with SIGKILL, again and again: the store it leaves is one of whole batches, none from before the last
//! flush lost. The child is this test binary itself, told by its environment.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use common::{Expected, Seeded};
use sagaline_partition::store::{Store, StoreError};
use sagaline_store::RocksStore;

const PLACE: &str = "SAGALINE_TEST_STORE";
const KILLS: u64 = 20;

/// The child's part; without its environment it has nothing to do.
#[test]
fn child_commits_until_it_is_killed() {
    let Some(place) = std::env::var_os(PLACE) else { return };
    let mut store = RocksStore::open(place, &common::cramped()).unwrap();
    let mut out = std::io::stdout().lock();
    let first = common::number(&store) + 1;
    writeln!(out, "\nopen {first}").unwrap();
    for n in first.. {
        store.commit(&common::batch(n)).unwrap();
        if n % 16 == 0 {
            store.flush().unwrap();
            writeln!(out, "flushed {n}").unwrap();
        } else {
            writeln!(out, "committed {n}").unwrap();
        }
    }
}

fn child(place: &std::path::Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_commits_until_it_is_killed", "--nocapture", "--test-threads=1"])
        .env(PLACE, place)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Kills the child after so many of its lines, and tells the last batch it said was flushed.
fn kill_after(mut child: Child, lines: usize) -> Option<u64> {
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut flushed = None;
    let mut note = |line: String| {
        if let Some(n) = line.strip_prefix("flushed ") {
            flushed = Some(n.parse().unwrap());
        }
    };
    said.by_ref().skip_while(|line| !line.starts_with("open ")).take(lines).for_each(&mut note);
    child.kill().unwrap();
    child.wait().unwrap();
    said.for_each(&mut note);
    flushed
}

#[test]
fn a_killed_process_leaves_whole_batches_and_every_flushed_one() {
    let place = tempfile::tempdir().unwrap();
    let mut seeded = Seeded(7);
    let mut expected = Expected::new();
    let mut flushed = 0;
    for _ in 0..KILLS {
        let lines = 1 + seeded.below(60);
        flushed = kill_after(child(place.path()), lines).unwrap_or(flushed);
        let store = RocksStore::open(place.path(), &common::cramped()).unwrap();
        let number = common::number(&store);
        assert!(number >= flushed, "batch {flushed} was flushed, the store is at {number}");
        assert_eq!(common::digest_of(&store), expected.after(number), "not the state after batch {number}");
    }
    assert!(flushed > 100, "the children came on");
}

#[test]
fn a_store_that_another_process_has_is_in_use() {
    let place = tempfile::tempdir().unwrap();
    let mut other = child(place.path());
    let mut said = BufReader::new(other.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line.starts_with("open ")));
    let shown = place.path().display().to_string();
    for refused in [RocksStore::open(place.path(), &common::cramped()).map(drop), RocksStore::destroy(place.path())] {
        assert_eq!(refused, Err(StoreError::InUse { place: shown.clone() }));
    }
    other.kill().unwrap();
    other.wait().unwrap();
    RocksStore::open(place.path(), &common::cramped()).unwrap();
}
