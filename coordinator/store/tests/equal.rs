//! RocksDB and memory hold the same after any batches, flushes and reopenings.

#![allow(clippy::unwrap_used)]

mod common;

use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;
use sagaline_partition::digest::digest;
use sagaline_partition::store::{Batch, Family, Read, Store};
use sagaline_store::{MemoryStore, RocksStore, Shared};

#[derive(Debug, Clone)]
enum Act {
    Commit(Vec<(Family, Vec<u8>, Option<Vec<u8>>)>),
    Flush,
    Reopen,
    Scan { family: Family, from: Vec<u8>, to: Option<Vec<u8>>, max: usize },
}

/// Few keys, so that they meet; at the ends of the order, where bounds go wrong.
fn key() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![Just(0_u8), Just(1), Just(b'a'), Just(0xFF)], 0..4)
}

fn family() -> impl Strategy<Value = Family> {
    (0..Family::ALL.len()).prop_map(|at| Family::ALL[at])
}

fn bytes(length: Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), length)
}

fn act() -> impl Strategy<Value = Act> {
    let write = (family(), key(), proptest::option::weighted(0.7, bytes(0..40)));
    let scan = (family(), key(), proptest::option::of(key()), 0..20_usize);
    prop_oneof![
        12 => vec(write, 0..30).prop_map(Act::Commit),
        3 => Just(Act::Flush),
        1 => Just(Act::Reopen),
        6 => scan.prop_map(|(family, from, to, max)| Act::Scan { family, from, to, max }),
    ]
}

fn commit(stores: [&mut dyn Store; 2], writes: Vec<(Family, Vec<u8>, Option<Vec<u8>>)>) {
    let mut batch = Batch::default();
    for (family, key, value) in writes {
        common::put(&mut batch, family, &key, value);
    }
    for store in stores {
        store.commit(&batch).unwrap();
    }
}

fn run(acts: Vec<Act>) -> Result<(), TestCaseError> {
    let place = tempfile::tempdir().unwrap();
    let shared: Shared = common::cramped();
    let mut rocks = RocksStore::open(place.path(), &shared).unwrap();
    let mut memory = MemoryStore::new();
    for act in acts {
        match act {
            Act::Commit(writes) => commit([&mut rocks, &mut memory], writes),
            Act::Flush => rocks.flush().unwrap(),
            Act::Reopen => {
                rocks.flush().unwrap();
                drop(rocks);
                rocks = RocksStore::open(place.path(), &shared).unwrap();
            }
            Act::Scan { family, from, to, max } => prop_assert_eq!(
                rocks.scan(family, &from, to.as_deref(), max).unwrap(),
                memory.scan(family, &from, to.as_deref(), max).unwrap()
            ),
        }
    }
    for family in Family::ALL {
        let all = memory.scan(family, b"", None, usize::MAX).unwrap();
        for (key, value) in &all {
            prop_assert_eq!(rocks.get(family, key).unwrap(), Some(value.clone()));
        }
        prop_assert_eq!(rocks.scan(family, b"", None, usize::MAX).unwrap(), all);
    }
    prop_assert_eq!(digest(&rocks).unwrap(), digest(&memory).unwrap());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rocks_equals_memory(acts in vec(act(), 1..60)) {
        run(acts)?;
    }
}
