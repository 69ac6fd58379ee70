//! Damaged files: a store that opens holds what it held at some flush (the position is among it, so that folding goes on from there), or it
//! says that it is damaged. It never holds anything else, and never takes the process down.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::Seeded;
use sagaline_partition::digest::digest;
use sagaline_partition::store::{Store, StoreError};
use sagaline_schemas::ids::Digest;
use sagaline_store::RocksStore;

/// A store with files of every kind, and the digest after each of its batches, the empty store's first: with so little memory RocksDB
/// flushes by itself after any of them.
fn healthy(place: &Path) -> Vec<Digest> {
    let shared = common::cramped();
    let mut store = RocksStore::open(place, &shared).unwrap();
    let mut known = vec![common::digest_of(&store)];
    for n in 1..=24 {
        if n == 17 {
            // From here on the catalogue begins with a summary of all that was before.
            drop(store);
            store = RocksStore::open(place, &shared).unwrap();
        }
        store.commit(&common::batch(n)).unwrap();
        known.push(common::digest_of(&store));
        if n % 4 == 0 {
            store.flush().unwrap();
        }
    }
    known
}

fn files(place: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(place.join("db")).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| wanted(file.file_name().unwrap().to_str().unwrap()) && fs::metadata(file).unwrap().len() > 0);
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("db")).unwrap();
    fs::copy(from.join("FORMAT"), to.join("FORMAT")).unwrap();
    for file in files(from, |_| true) {
        fs::copy(&file, to.join("db").join(file.file_name().unwrap())).unwrap();
    }
}

/// With a cache of its own: RocksDB knows a table by an id within it, and would take a copy's blocks from the cache that the original filled.
fn read_all(place: &Path) -> Result<Digest, StoreError> {
    let store = RocksStore::open(place, &common::cramped())?;
    digest(store.reader().snapshot().as_ref())
}

#[derive(Default, Debug)]
struct Tally {
    damaged: usize,
    latest: usize,
    earlier: usize,
}

/// Opens a copy in which `damage` was done to a file, and checks what comes of it.
fn after(place: &Path, known: &[Digest], file: &Path, damage: impl Fn(&mut Vec<u8>), tally: &mut Tally) {
    let copied = tempfile::tempdir().unwrap();
    copy(place, copied.path());
    let file = copied.path().join("db").join(file.file_name().unwrap());
    let mut content = fs::read(&file).unwrap();
    damage(&mut content);
    fs::write(&file, content).unwrap();
    match read_all(copied.path()) {
        Ok(digest) if Some(&digest) == known.last() => tally.latest += 1,
        Ok(digest) => {
            assert!(known.contains(&digest), "{} opens with contents that never were", file.display());
            tally.earlier += 1;
        }
        Err(StoreError::Corrupt { .. }) => tally.damaged += 1,
        Err(other) => panic!("{}: {other:?}", file.display()),
    }
}

fn flip(at: usize, mask: u8) -> impl Fn(&mut Vec<u8>) {
    move |content| content[at] ^= mask
}

fn length(file: &Path) -> usize {
    fs::metadata(file).unwrap().len() as usize
}

#[test]
fn fifty_flipped_bytes_never_change_what_is_read() {
    let place = tempfile::tempdir().unwrap();
    let known = healthy(place.path());
    let mut seeded = Seeded(50);
    let mut tally = Tally::default();
    let kinds = ["sst", "MANIFEST", "CURRENT", "OPTIONS"];
    for n in 0..50 {
        let kind = kinds[n % kinds.len()];
        let files = files(place.path(), |name| name.contains(kind));
        let file = &files[seeded.below(files.len())];
        let (at, mask) = (seeded.below(length(file)), 1 + seeded.below(255) as u8);
        after(place.path(), &known, file, flip(at, mask), &mut tally);
    }
    assert!(tally.damaged >= 10 && tally.latest >= 10, "the flips reach what is read, and what is not: {tally:?}");
}

/// RocksDB takes a record of its catalogue that seems to reach past the end for a write cut short, and goes on without it and all after
/// it. It must not then open with the families of which it still knows.
#[test]
fn a_shortened_catalogue_is_an_earlier_flush_or_damage() {
    let place = tempfile::tempdir().unwrap();
    let known = healthy(place.path());
    let manifest = &files(place.path(), |name| name.contains("MANIFEST"))[0];
    let mut tally = Tally::default();
    for at in (0..length(manifest)).step_by(29) {
        after(place.path(), &known, manifest, flip(at, 0x80), &mut tally);
        after(place.path(), &known, manifest, |content| content.truncate(at), &mut tally);
    }
    assert!(tally.damaged > 0, "{tally:?}");
}

#[test]
fn a_missing_file_is_damage() {
    let place = tempfile::tempdir().unwrap();
    healthy(place.path());
    for kind in ["sst", "MANIFEST", "CURRENT"] {
        let copied = tempfile::tempdir().unwrap();
        copy(place.path(), copied.path());
        fs::remove_file(&files(copied.path(), |name| name.contains(kind))[0]).unwrap();
        let read = read_all(copied.path());
        assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{kind}: {read:?}");
        RocksStore::destroy(copied.path()).unwrap();
        assert!(read_all(copied.path()).is_ok(), "after destroying it a new store can be made");
    }
}
