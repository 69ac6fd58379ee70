//! Checkpoints: what was flushed, whole, while the store goes on; made anew from copies of the files, or not at all.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::{Expected, batch, cramped, digest_of};
use sagaline_partition::digest::digest;
use sagaline_partition::store::{Store, StoreError};
use sagaline_store::checkpoint::{self, Frozen};
use sagaline_store::{RocksStore, Sidecar};

/// Copies a checkpoint's parts, as a download does.
fn copy(from: &Path, to: &Path) {
    for (name, path) in checkpoint::parts(from).unwrap() {
        fs::copy(path, checkpoint::part_at(to, &name).unwrap()).unwrap();
    }
}

#[test]
fn it_holds_what_was_flushed_while_the_store_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (place, taken) = (dir.path().join("store"), dir.path().join("taken"));
    let mut store = RocksStore::open(&place, &cramped()).unwrap();
    let mut expected = Expected::new();
    for n in 1..=30 {
        store.commit(&batch(n)).unwrap();
    }
    store.flush().unwrap();
    store.checkpointer().make(&taken).unwrap();
    for n in 31..=60 {
        store.commit(&batch(n)).unwrap();
    }
    store.flush().unwrap();
    let before: Vec<_> = parts_with_content(&taken);
    assert_eq!(digest(&Frozen::open(&taken, &cramped()).unwrap()).unwrap(), expected.after(30));
    assert_eq!(before, parts_with_content(&taken), "reading has changed a file");
    assert_eq!(digest_of(&store), expected.after(60));

    // One that is there already makes room for the next.
    store.checkpointer().make(&taken).unwrap();
    assert_eq!(digest(&Frozen::open(&taken, &cramped()).unwrap()).unwrap(), expected.after(60));
}

fn parts_with_content(place: &Path) -> Vec<(String, Vec<u8>)> {
    let parts = checkpoint::parts(place).unwrap();
    parts.into_iter().map(|(name, path)| (name, fs::read(path).unwrap())).collect()
}

#[test]
fn copies_of_its_files_become_a_store_that_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (place, taken, side, other) =
        (dir.path().join("store"), dir.path().join("taken"), dir.path().join("side"), dir.path().join("other"));
    let mut store = RocksStore::open(&place, &cramped()).unwrap();
    (1..=20).for_each(|n| store.commit(&batch(n)).unwrap());
    store.flush().unwrap();
    store.checkpointer().make(&taken).unwrap();
    copy(&taken, &side);
    let unnamed = checkpoint::install(&side, &other).unwrap_err();
    assert!(matches!(unnamed, StoreError::Format { .. }) && !other.exists(), "{unnamed}");
    checkpoint::stamp(&side).unwrap();
    let sidecar = Sidecar { cluster_id: Some("c".to_owned()), topic_id: Some("t".to_owned()), halted: None };
    sidecar.save(&side).unwrap();
    assert!(!RocksStore::is_at(&other));
    checkpoint::install(&side, &other).unwrap();
    assert!(RocksStore::is_at(&other) && !side.exists());
    assert_eq!(Sidecar::load(&other).unwrap(), sidecar);
    let mut restored = RocksStore::open(&other, &cramped()).unwrap();
    let mut expected = Expected::new();
    assert_eq!(digest_of(&restored), expected.after(20));
    restored.commit(&batch(21)).unwrap();
    assert_eq!(digest_of(&restored), expected.after(21));
}

#[test]
fn an_unfinished_copy_is_no_store() {
    let dir = tempfile::tempdir().unwrap();
    let (side, other) = (dir.path().join("side"), dir.path().join("other"));
    checkpoint::stamp(&side).unwrap();
    let refused = checkpoint::install(&side, &other).unwrap_err();
    assert!(matches!(&refused, StoreError::Corrupt { .. }) && !other.exists(), "{refused}");
    checkpoint::discard(&side).unwrap();
    assert!(!side.exists());
}

#[test]
fn names_lead_nowhere_else() {
    for name in ["CURRENT", "000012.sst", "MANIFEST-000004", "OPTIONS-000007", "000013.log"] {
        assert!(checkpoint::is_part(name), "{name}");
    }
    for name in
        ["", "LOCK", "LOG", "..", "../CURRENT", "a.sst", "/etc/1.sst", "1.sst/x", "MANIFEST-", "MANIFEST-1/..", ".sst"]
    {
        assert!(!checkpoint::is_part(name), "{name}");
    }
}
