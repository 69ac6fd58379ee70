//! What lies beside the database: the version, the local facts; and the removal of all of it.

mod common;

use std::fs;

use sagaline_partition::store::{Store, StoreError};
use sagaline_store::{Halt, RocksStore, Sidecar};

#[test]
fn a_store_of_another_version_is_refused_untouched_and_can_be_made_anew() {
    let (place, shared) = (tempfile::tempdir().unwrap(), common::cramped());
    let mut store = RocksStore::open(place.path(), &shared).unwrap();
    store.commit(&common::batch(1)).unwrap();
    store.flush().unwrap();
    drop(store);
    let format = place.path().join("FORMAT");
    let written = fs::read_to_string(&format).unwrap();
    fs::write(&format, "sagaline store, layout 0, entries 0\n").unwrap();
    assert_eq!(
        RocksStore::open(place.path(), &shared).map(drop),
        Err(StoreError::Format {
            place: place.path().display().to_string(),
            found: "sagaline store, layout 0, entries 0".to_owned(),
            expected: written.trim().to_owned(),
        })
    );
    fs::remove_file(&format).unwrap();
    let refused = RocksStore::open(place.path(), &shared).map(drop);
    assert!(matches!(&refused, Err(StoreError::Format { found, .. }) if found.contains("missing")), "{refused:?}");
    RocksStore::destroy(place.path()).unwrap();
    let store = RocksStore::open(place.path(), &shared).unwrap();
    assert_eq!(common::number(&store), 0);
}

#[test]
fn a_store_is_opened_once() {
    let (place, shared) = (tempfile::tempdir().unwrap(), common::cramped());
    let store = RocksStore::open(place.path(), &shared).unwrap();
    let in_use = StoreError::InUse { place: place.path().display().to_string() };
    assert_eq!(RocksStore::open(place.path(), &shared).map(drop), Err(in_use.clone()));
    assert_eq!(RocksStore::destroy(place.path()), Err(in_use));
    drop(store);
    RocksStore::open(place.path(), &shared).unwrap();
}

#[test]
fn the_sidecar_outlives_the_process_and_goes_with_the_store() {
    let (place, shared) = (tempfile::tempdir().unwrap(), common::cramped());
    drop(RocksStore::open(place.path(), &shared).unwrap());
    assert_eq!(Sidecar::load(place.path()), Ok(Sidecar::default()));
    let facts = Sidecar {
        cluster_id: Some("cluster".to_owned()),
        topic_id: Some("topic".to_owned()),
        halted: Some(Halt { offset: Some(7), reason: "the fold panicked twice".to_owned() }),
    };
    facts.save(place.path()).unwrap();
    assert_eq!(Sidecar::load(place.path()), Ok(facts));
    fs::write(place.path().join("local.json"), "{").unwrap();
    assert!(matches!(Sidecar::load(place.path()), Err(StoreError::Corrupt { .. })));
    RocksStore::destroy(place.path()).unwrap();
    assert_eq!(Sidecar::load(place.path()), Ok(Sidecar::default()));
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "nothing is left");
    RocksStore::destroy(place.path().join("never-there")).unwrap();
}

#[test]
fn a_place_that_cannot_be_written_is_an_io_error() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = RocksStore::open(file.join("store"), &common::cramped()).map(drop);
    assert!(matches!(refused, Err(StoreError::Io { .. })), "{refused:?}");
}
