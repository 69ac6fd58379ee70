//! What every place for rows must do alike. Memory, RocksDB and PostgreSQL go through the same checks, and are compared over random writes.

use std::path::Path;

use proptest::prelude::*;
use rocksdb::perf::{PerfContext, PerfMetric, PerfStatsLevel, set_perf_stats};
use sagaline_schemas::record::{NothingThere, Succeeded};
use sagaline_schemas::{EffectId, Millis};

use super::postgres::tests::Blocking;
use super::{EffectRows, EffectStoreError, Intent, MemoryRows, ReplyPartition, RocksRows, Row, RowState};

fn effect(n: u8) -> EffectId {
    EffectId::from_bytes([n; 16])
}

fn inbox(partition: u32) -> ReplyPartition {
    ReplyPartition { topic: "inbox".into(), partition }
}

fn row(partition: u32, kept: Millis) -> Row {
    Row { inbox: inbox(partition), kept, state: RowState::Intent(Intent {}) }
}

fn everywhere(check: impl Fn(&mut dyn EffectRows)) {
    check(&mut MemoryRows::new());
    let directory = tempfile::tempdir().unwrap();
    check(&mut RocksRows::open(directory.path()).unwrap());
    check(&mut Blocking::open(&sagaline_test_postgres::schema()));
}

fn held(rows: &dyn EffectRows, effects: impl IntoIterator<Item = u8>) -> Vec<u8> {
    effects.into_iter().filter(|n| rows.row(effect(*n)).unwrap().is_some()).collect()
}

#[test]
fn a_row_is_what_was_put_last() {
    everywhere(|rows| {
        assert_eq!(rows.row(effect(1)).unwrap(), None);
        rows.put(effect(1), &row(0, 5)).unwrap();
        let last = Row { inbox: inbox(0), kept: 7, state: RowState::Succeeded(Succeeded { result: "{}".into() }) };
        rows.put(effect(1), &last).unwrap();
        assert_eq!(rows.row(effect(1)).unwrap(), Some(last));
        rows.remove(effect(1)).unwrap();
        assert_eq!(rows.row(effect(1)).unwrap(), None);
        assert_eq!(rows.horizon(&inbox(0)).unwrap(), None);
    });
}

#[test]
fn the_oldest_are_dropped_first_and_the_horizon_is_the_newest_of_them() {
    everywhere(|rows| {
        for (n, kept) in [(1, 30), (2, -10), (3, 20), (4, 40)] {
            rows.put(effect(n), &row(0, kept)).unwrap();
        }
        assert_eq!(rows.drop_through(&inbox(0), 30, 2).unwrap(), 2);
        assert_eq!((held(rows, 1..=4), rows.horizon(&inbox(0)).unwrap()), (vec![1, 4], Some(20)));
        assert_eq!(rows.drop_through(&inbox(0), 30, 2).unwrap(), 1);
        assert_eq!((held(rows, 1..=4), rows.horizon(&inbox(0)).unwrap()), (vec![4], Some(30)));
        assert_eq!(rows.drop_through(&inbox(0), 30, 2).unwrap(), 0);
    });
}

#[test]
fn a_row_is_kept_by_its_latest_time() {
    everywhere(|rows| {
        rows.put(effect(1), &row(0, 10)).unwrap();
        rows.put(effect(1), &row(0, 50)).unwrap();
        assert_eq!(rows.drop_through(&inbox(0), 40, 10).unwrap(), 0);
        assert_eq!((held(rows, [1]), rows.horizon(&inbox(0)).unwrap()), (vec![1], None));
    });
}

#[test]
fn reply_partitions_do_not_touch_each_other() {
    everywhere(|rows| {
        rows.put(effect(1), &row(0, 10)).unwrap();
        rows.put(effect(2), &row(1, 10)).unwrap();
        let longer = ReplyPartition { topic: "inbox2".into(), partition: 0 };
        rows.put(effect(3), &Row { inbox: longer.clone(), ..row(0, 10) }).unwrap();
        assert_eq!(rows.drop_through(&inbox(0), 100, 10).unwrap(), 1);
        assert_eq!(held(rows, 1..=3), [2, 3]);
        assert_eq!((rows.horizon(&inbox(1)).unwrap(), rows.horizon(&longer).unwrap()), (None, None));
        assert_eq!((rows.latest_horizon("inbox2").unwrap(), rows.latest_horizon("inbox").unwrap()), (Some(10), None));
        assert_eq!(rows.drop_through(&longer, 100, 10).unwrap(), 1);
        rows.put(effect(4), &row(2, 40)).unwrap();
        assert_eq!(rows.drop_through(&inbox(2), 100, 10).unwrap(), 1);
        let latest = |except| rows.latest_horizon(except).unwrap();
        assert_eq!((latest(""), latest("inbox"), latest("inbox2")), (Some(40), Some(10), Some(40)));
    });
}

#[test]
fn memory_loses_in_a_crash_what_was_not_synced_and_nothing_else() {
    let mut rows = MemoryRows::new();
    rows.put(effect(1), &row(0, 10)).unwrap();
    rows.put(effect(2), &row(0, 20)).unwrap();
    rows.sync().unwrap();
    rows.put(effect(2), &row(0, 90)).unwrap();
    rows.put(effect(3), &row(0, 30)).unwrap();
    rows.drop_through(&inbox(0), 10, 10).unwrap();
    rows.crash();
    assert_eq!(held(&rows, 1..=3), [1, 2]);
    assert_eq!((rows.row(effect(2)).unwrap(), rows.horizon(&inbox(0)).unwrap()), (Some(row(0, 20)), None));
}

#[test]
fn rocksdb_has_rows_and_horizon_after_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut rows = RocksRows::open(directory.path()).unwrap();
    rows.put(effect(1), &row(0, 10)).unwrap();
    rows.put(effect(2), &row(0, 20)).unwrap();
    rows.drop_through(&inbox(0), 10, 10).unwrap();
    rows.sync().unwrap();
    drop(rows);
    let rows = RocksRows::open(directory.path()).unwrap();
    assert_eq!((held(&rows, 1..=2), rows.horizon(&inbox(0)).unwrap()), (vec![2], Some(10)));
}

fn refusal(directory: &Path) -> EffectStoreError {
    RocksRows::open(directory).err().expect("it must not open")
}

#[test]
fn rocksdb_says_what_is_wrong_and_never_guesses() {
    let directory = tempfile::tempdir().unwrap();
    let open = RocksRows::open(directory.path()).unwrap();
    assert!(matches!(refusal(directory.path()), EffectStoreError::InUse { .. }));
    drop(open);

    let families = ["default", "rows", "by_age", "horizons"];
    let raw = rocksdb::DB::open_cf(&rocksdb::Options::default(), directory.path(), families).unwrap();
    raw.put_cf(raw.cf_handle("rows").unwrap(), effect(1).as_bytes(), b"\xff").unwrap();
    drop(raw);
    let rows = RocksRows::open(directory.path()).unwrap();
    let error = rows.row(effect(1)).unwrap_err();
    assert!(matches!(&error, EffectStoreError::Corrupt { key, .. } if key == &"01".repeat(16)), "{error}");
    drop(rows);

    let raw = rocksdb::DB::open_cf(&rocksdb::Options::default(), directory.path(), families).unwrap();
    raw.put(b"format", b"sagaline-effects 9").unwrap();
    drop(raw);
    assert!(matches!(refusal(directory.path()), EffectStoreError::Format { found, .. } if found.ends_with('9')));
}

#[test]
fn rocksdb_does_not_pass_over_what_it_has_dropped_at_every_look() {
    let (directory, all, old) = (tempfile::tempdir().unwrap(), 2_000_u64, 1_900);
    let mut rows = RocksRows::open(directory.path()).unwrap();
    for n in 0..all {
        let mut id = [0; 16];
        id[8..].copy_from_slice(&n.to_be_bytes());
        rows.put(EffectId::from_bytes(id), &row(0, n as Millis)).unwrap();
    }
    set_perf_stats(PerfStatsLevel::EnableCount);
    let mut counted = PerfContext::default();
    counted.reset();
    let mut dropped = 0;
    while dropped < old {
        dropped += rows.drop_through(&inbox(0), old as Millis - 1, 64).unwrap();
    }
    for _ in 0..100 {
        assert_eq!(rows.drop_through(&inbox(0), old as Millis - 1, 64).unwrap(), 0);
    }
    let passed = counted.metric(PerfMetric::InternalDeleteSkippedCount);
    assert!(passed < 2 * all, "{passed} deleted keys were passed over for {old} rows");
}

#[derive(Clone, Debug)]
enum Write {
    Put(u8, u32, Millis),
    Tombstone(u8, u32, Millis),
    Remove(u8),
    Drop(u32, Millis, usize),
    Reopen,
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        4 => (0..6u8, 0..2u32, -3..9i64).prop_map(|(n, p, kept)| Write::Put(n, p, kept)),
        2 => (0..6u8, 0..2u32, -3..9i64).prop_map(|(n, p, kept)| Write::Tombstone(n, p, kept)),
        1 => (0..6u8).prop_map(Write::Remove),
        2 => (0..2u32, -3..9i64, 1..4usize).prop_map(|(p, through, most)| Write::Drop(p, through, most)),
        1 => Just(Write::Reopen),
    ]
}

fn apply(rows: &mut dyn EffectRows, write: &Write) -> usize {
    match write {
        Write::Put(n, p, kept) => rows.put(effect(*n), &row(*p, *kept)).map(|()| 0),
        Write::Tombstone(n, p, kept) => {
            rows.put(effect(*n), &Row { state: RowState::Tombstone(NothingThere {}), ..row(*p, *kept) }).map(|()| 0)
        }
        Write::Remove(n) => rows.remove(effect(*n)).map(|()| 0),
        Write::Drop(p, through, most) => rows.drop_through(&inbox(*p), *through, *most),
        Write::Reopen => rows.sync().map(|()| 0),
    }
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn all_hold_the_same(writes in prop::collection::vec(write(), 1..60)) {
        let directory = tempfile::tempdir().unwrap();
        let mut memory = MemoryRows::new();
        let mut rocks = RocksRows::open(directory.path()).unwrap();
        let schema = sagaline_test_postgres::schema();
        let mut postgres = Blocking::open(&schema);
        for write in &writes {
            let told = apply(&mut memory, write);
            prop_assert_eq!((told, told), (apply(&mut rocks, write), apply(&mut postgres, write)));
            if matches!(write, Write::Reopen) {
                drop(rocks);
                rocks = RocksRows::open(directory.path()).unwrap();
                postgres = Blocking::open(&schema);
            }
            for n in 0..6 {
                let row = memory.row(effect(n)).unwrap();
                prop_assert_eq!(&row, &rocks.row(effect(n)).unwrap());
                prop_assert_eq!(&row, &postgres.row(effect(n)).unwrap());
            }
            for p in 0..2 {
                let horizon = memory.horizon(&inbox(p)).unwrap();
                prop_assert_eq!(horizon, rocks.horizon(&inbox(p)).unwrap());
                prop_assert_eq!(horizon, postgres.horizon(&inbox(p)).unwrap());
            }
            let latest = memory.latest_horizon("").unwrap();
            prop_assert_eq!(latest, rocks.latest_horizon("").unwrap());
            prop_assert_eq!(latest, postgres.latest_horizon("").unwrap());
        }
    }
}
