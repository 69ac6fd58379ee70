//! What every store promises, on each store alike.

#![allow(clippy::unwrap_used)]

mod common;

use common::put;
use sagaline_partition::digest::digest;
use sagaline_partition::store::{Batch, Entry, Family, Read, Store};
use sagaline_store::{MemoryStore, RocksStore};

/// A family, a key, and its value or its deletion.
type Write<'a> = (Family, &'a [u8], Option<&'a [u8]>);

fn on_every_store(check: impl Fn(&mut dyn Store)) {
    check(&mut MemoryStore::new());
    let place = tempfile::tempdir().unwrap();
    check(&mut RocksStore::open(place.path(), &common::cramped()).unwrap());
}

fn commit(store: &mut dyn Store, family: Family, writes: &[(&[u8], Option<&[u8]>)]) {
    let mut batch = Batch::default();
    for (key, value) in writes {
        put(&mut batch, family, key, value.map(<[u8]>::to_vec));
    }
    store.commit(&batch).unwrap();
}

fn keys(entries: Vec<Entry>) -> Vec<Vec<u8>> {
    entries.into_iter().map(|(key, _)| key).collect()
}

#[test]
fn a_new_store_is_empty() {
    on_every_store(|store| {
        for family in Family::ALL {
            assert_eq!(store.get(family, b"").unwrap(), None);
            assert_eq!(store.scan(family, b"", None, 10).unwrap(), []);
        }
    });
}

#[test]
fn a_value_is_got_replaced_and_deleted() {
    on_every_store(|store| {
        commit(store, Family::Sagas, &[(b"a", Some(b"1")), (b"", Some(b"")), (b"gone", None)]);
        assert_eq!(store.get(Family::Sagas, b"a").unwrap().as_deref(), Some(&b"1"[..]));
        assert_eq!(
            store.get(Family::Sagas, b"").unwrap().as_deref(),
            Some(&b""[..]),
            "an empty key with an empty value is there"
        );
        assert_eq!(store.get(Family::Sagas, b"gone").unwrap(), None);
        commit(store, Family::Sagas, &[(b"a", Some(b"2"))]);
        assert_eq!(store.get(Family::Sagas, b"a").unwrap().as_deref(), Some(&b"2"[..]));
        commit(store, Family::Sagas, &[(b"a", None)]);
        assert_eq!(store.get(Family::Sagas, b"a").unwrap(), None);
    });
}

#[test]
fn families_share_no_keys() {
    on_every_store(|store| {
        for family in Family::ALL {
            commit(store, family, &[(b"same", Some(&[family as u8]))]);
        }
        for family in Family::ALL {
            assert_eq!(store.get(family, b"same").unwrap(), Some(vec![family as u8]));
            assert_eq!(store.scan(family, b"", None, 10).unwrap(), [(b"same".to_vec(), vec![family as u8])]);
        }
    });
}

#[test]
fn a_scan_is_ordered_bounded_and_half_open() {
    on_every_store(|store| {
        let all: [&[u8]; 7] = [b"", b"\x00", b"a", b"a\x00", b"ab", b"b", b"\xff\xff"];
        let writes: Vec<_> = all.iter().rev().map(|key| (*key, Some(&b"v"[..]))).collect();
        commit(store, Family::Timers, &writes);
        let scan = |from: &[u8], to: Option<&[u8]>, max| keys(store.scan(Family::Timers, from, to, max).unwrap());
        assert_eq!(scan(b"", None, usize::MAX), all);
        assert_eq!(scan(b"a", Some(b"b"), 10), [&b"a"[..], b"a\x00", b"ab"], "all keys that begin with a");
        assert_eq!(scan(b"a\x00", None, 2), [&b"a\x00"[..], b"ab"]);
        assert_eq!(scan(b"aa", Some(b"ab"), 10), Vec::<Vec<u8>>::new(), "the end is excluded");
        for (from, to) in [(&b"b"[..], &b"a"[..]), (b"a", b"a"), (b"", b"")] {
            assert_eq!(scan(from, Some(to), 10), Vec::<Vec<u8>>::new(), "an empty range");
        }
        assert_eq!(scan(b"", None, 0), Vec::<Vec<u8>>::new());
        assert_eq!(scan(b"", Some(&[0xFF; 64]), 10), all, "a bound beyond every key");
    });
}

#[test]
fn a_scan_sees_neither_what_was_deleted_nor_what_is_below() {
    on_every_store(|store| {
        for n in 0..1000_u32 {
            commit(store, Family::Outbox, &[(&n.to_be_bytes(), Some(b"output"))]);
        }
        store.flush().unwrap();
        for n in 0..999_u32 {
            commit(store, Family::Outbox, &[(&n.to_be_bytes(), None)]);
        }
        assert_eq!(keys(store.scan(Family::Outbox, b"", None, 10).unwrap()), [999_u32.to_be_bytes()]);
    });
}

#[test]
fn a_reader_sees_commits_and_a_snapshot_does_not() {
    on_every_store(|store| {
        commit(store, Family::Keys, &[(b"a", Some(b"1"))]);
        let reader = store.reader();
        let snapshot = reader.snapshot();
        commit(store, Family::Keys, &[(b"a", Some(b"2")), (b"b", Some(b"2"))]);
        store.flush().unwrap();
        assert_eq!(reader.get(Family::Keys, b"a").unwrap().as_deref(), Some(&b"2"[..]));
        assert_eq!(keys(reader.scan(Family::Keys, b"", None, 10).unwrap()), [b"a", b"b"]);
        assert_eq!(snapshot.get(Family::Keys, b"a").unwrap().as_deref(), Some(&b"1"[..]));
        assert_eq!(keys(snapshot.scan(Family::Keys, b"", None, 10).unwrap()), [b"a"]);
    });
}

/// Each batch moves one unit between two families. Whoever reads both in one snapshot must find one unit in all.
#[test]
fn another_thread_sees_whole_batches_only() {
    on_every_store(|store| {
        let unit = |family, there: bool| {
            let mut batch = Batch::default();
            for (at, is) in [(Family::Sagas, there), (Family::Channels, !there)] {
                put(&mut batch, at, b"unit", is.then(|| vec![family as u8]));
            }
            batch
        };
        store.commit(&unit(Family::Sagas, true)).unwrap();
        let reader = store.reader();
        std::thread::scope(|threads| {
            let watcher = threads.spawn(move || {
                for _ in 0..2000 {
                    let snapshot = reader.snapshot();
                    let here = snapshot.get(Family::Sagas, b"unit").unwrap().is_some();
                    let there = snapshot.get(Family::Channels, b"unit").unwrap().is_some();
                    assert!(here != there, "half a batch was seen");
                }
            });
            let mut there = false;
            while !watcher.is_finished() {
                store.commit(&unit(Family::Sagas, there)).unwrap();
                there = !there;
            }
            watcher.join().unwrap();
        });
    });
}

#[test]
fn the_digest_covers_every_byte_and_is_the_same_on_each_store() {
    let digests = std::sync::Mutex::new(Vec::new());
    on_every_store(|store| {
        // More than one page, with its last entry on a page's end.
        for n in 0..512_u32 {
            commit(store, Family::History, &[(&n.to_be_bytes(), Some(b"happened"))]);
        }
        let before = digest(store).unwrap();
        let differing: [Write<'_>; 4] = [
            (Family::History, &511_u32.to_be_bytes(), Some(b"Happened")),
            (Family::History, &511_u32.to_be_bytes(), None),
            (Family::Requests, b"", Some(b"")),
            (Family::History, &[0, 0, 1, 255, 0], Some(b"")),
        ];
        for (family, key, value) in differing {
            let old = store.get(family, key).unwrap();
            commit(store, family, &[(key, value)]);
            assert_ne!(digest(store).unwrap(), before, "{family:?} {key:?} {value:?}");
            commit(store, family, &[(key, old.as_deref())]);
            assert_eq!(digest(store).unwrap(), before);
        }
        digests.lock().unwrap().push(before);
    });
    let digests = digests.into_inner().unwrap();
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn memory_after_a_crash_is_as_it_was_flushed() {
    let mut store = MemoryStore::new();
    commit(&mut store, Family::Sagas, &[(b"a", Some(b"1"))]);
    store.flush().unwrap();
    commit(&mut store, Family::Sagas, &[(b"a", None), (b"b", Some(b"2"))]);
    let store = store.crash();
    assert_eq!(keys(store.scan(Family::Sagas, b"", None, 10).unwrap()), [b"a"]);
}
