//! How much of its sagas a partition keeps in memory: that does not grow with how many there are, nor with how large they are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use sagaline_engine::{Direction, HistoryHead, Phase, Saga};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Digest, SagaId};

use super::{CACHED_BYTES, CACHED_SAGAS, Overlay};
use crate::store::{Batch, Entry, Family, Read, Reader, Store, StoreError};

/// Enough of a store for values that are got by their keys.
#[derive(Clone, Default)]
struct Values(Arc<Mutex<Stored>>);

#[derive(Default)]
struct Stored {
    values: BTreeMap<(Family, Vec<u8>), Vec<u8>>,
    /// How often it was asked.
    asked: usize,
}

impl Read for Values {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let stored = &mut *self.0.lock().unwrap();
        stored.asked += 1;
        Ok(stored.values.get(&(family, key.to_vec())).cloned())
    }

    fn scan(&self, _: Family, _: &[u8], _: Option<&[u8]>, _: usize) -> Result<Vec<Entry>, StoreError> {
        unreachable!("nothing is scanned here")
    }
}

impl Store for Values {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let values = &mut self.0.lock().unwrap().values;
        for (family, writes) in &batch.writes {
            for (key, value) in writes {
                let value = value.clone().expect("nothing is deleted here");
                values.insert((*family, key.clone()), value);
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn reader(&self) -> Arc<dyn Reader> {
        unreachable!("nobody reads beside")
    }
}

/// Spread as hashes are.
fn id(number: u32) -> SagaId {
    SagaId::from_bytes(*blake3::hash(&number.to_be_bytes()).as_bytes().first_chunk().unwrap())
}

fn saga(number: u32, bytes: usize) -> Box<Saga> {
    Box::new(Saga {
        id: id(number),
        definition: Digest([1; 32]),
        key: format!("saga-{number}"),
        started: 1,
        started_at: 1,
        input: Bytes(vec![b'x'; bytes]),
        parent: None,
        phase: Phase::Running { direction: Direction::Forward },
        overdue: false,
        held: None,
        owner: None,
        steps: Vec::new(),
        effects: Vec::new(),
        timers: Vec::new(),
        facts: Vec::new(),
        reactions: Vec::new(),
        letters: Vec::new(),
        aliases: Vec::new(),
        went_aside: false,
        loops: Vec::new(),
        routes: Vec::new(),
        history: HistoryHead::default(),
        traceparent: None,
    })
}

/// Commits now and then, as an owner does, and gives the most that was kept after a commit: sagas and their bytes.
fn most_kept(sagas: u32, bytes: usize) -> (usize, usize) {
    let store = Values::default();
    let mut over = Overlay::new(Box::new(store.clone()));
    let (mut most, mut largest) = (0, 0);
    for number in 0..sagas {
        over.put_saga(saga(number, bytes));
        if number % 100 == 99 {
            over.commit().unwrap();
            assert_eq!(over.cached, over.sagas.values().map(|cached| cached.bytes).sum::<usize>());
            (most, largest) = (most.max(over.sagas.len()), largest.max(over.cached));
        }
    }
    for number in 0..sagas {
        let found = over.saga(id(number)).unwrap().unwrap();
        assert_eq!(found.key, format!("saga-{number}"), "what is not kept is read again");
    }
    over.commit().unwrap();
    (most.max(over.sagas.len()), largest.max(over.cached))
}

#[test]
fn of_many_sagas_some_are_kept_in_memory() {
    let (most, _) = most_kept(10_000, 10);
    assert!((CACHED_SAGAS / 2..=CACHED_SAGAS).contains(&most), "{most}");
}

#[test]
fn of_large_sagas_few_are_kept_in_memory() {
    let (most, largest) = most_kept(400, 100_000);
    assert!((CACHED_BYTES / 4..=CACHED_BYTES).contains(&largest), "{largest} bytes of {most} sagas");
}

#[test]
fn what_is_kept_is_not_read_again() {
    let store = Values::default();
    let mut over = Overlay::new(Box::new(store.clone()));
    over.put_saga(saga(1, 10));
    over.commit().unwrap();
    for _ in 0..3 {
        let taken = over.take_saga(id(1)).unwrap().unwrap();
        over.put_saga(taken);
        assert!(over.saga(id(1)).unwrap().is_some());
    }
    over.commit().unwrap();
    assert_eq!(store.0.lock().unwrap().asked, 0, "the store was asked");
    // The largest saga alone stays, however large it is.
    over.put_saga(saga(2, 2 * CACHED_BYTES));
    over.commit().unwrap();
    assert!(over.sagas.len() <= 2 && over.saga(id(2)).unwrap().is_some());
}
