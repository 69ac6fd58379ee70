//! Writes since the last commit, over the store: the fold reads its own writes, and a batch is taken whole or dropped whole.

use std::collections::{BTreeMap, BTreeSet};

use sagaline_engine::Saga;
use sagaline_schemas::SagaId;
use sagaline_schemas::wire::Wire;

use crate::store::{Batch, Entry, Family, Reader, Store, StoreError};

/// Decoded sagas that are kept over a commit; of more, half are dropped.
const CACHED_SAGAS: usize = 4_000;

/// The store with what is not committed yet.
pub struct Overlay {
    store: Box<dyn Store>,
    batch: Batch,
    sagas: BTreeMap<SagaId, Box<Saga>>,
    /// Those of `sagas` that are not in `batch` as they are.
    changed: BTreeSet<SagaId>,
    /// Where values are encoded: it has grown once for all of them.
    scratch: Vec<u8>,
}

impl Overlay {
    pub fn new(store: Box<dyn Store>) -> Self {
        Self { store, batch: Batch::default(), sagas: BTreeMap::new(), changed: BTreeSet::new(), scratch: Vec::new() }
    }

    pub fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.batch.writes.get(&family).and_then(|writes| writes.get(key)) {
            Some(value) => Ok(value.clone()),
            None => self.store.get(family, key),
        }
    }

    pub fn put(&mut self, family: Family, key: Vec<u8>, value: Vec<u8>) {
        self.batch.writes.entry(family).or_default().insert(key, Some(value));
    }

    pub fn delete(&mut self, family: Family, key: Vec<u8>) {
        self.batch.writes.entry(family).or_default().insert(key, None);
    }

    /// Takes back a `put` since the last commit, of a key that the store never had.
    pub fn unput(&mut self, family: Family, key: &[u8]) {
        if let Some(writes) = self.batch.writes.get_mut(&family) {
            writes.remove(key);
        }
    }

    /// Reads a value that this crate wrote.
    pub fn read<T: Wire>(&self, family: Family, key: &[u8]) -> Result<Option<T>, StoreError> {
        self.get(family, key)?.map(|bytes| decode(family, &bytes)).transpose()
    }

    pub fn write(&mut self, family: Family, key: Vec<u8>, value: &impl Wire) {
        self.scratch.clear();
        value.encode(&mut self.scratch);
        self.put(family, key, self.scratch.clone());
    }

    /// Entries with `from <= key < to` in key order, at most `max`.
    pub fn scan(&self, family: Family, from: &[u8], to: Option<&[u8]>, max: usize) -> Result<Vec<Entry>, StoreError> {
        let Some(writes) = self.batch.writes.get(&family) else {
            return self.store.scan(family, from, to, max);
        };
        let in_range = |key: &[u8]| to.is_none_or(|to| key < to);
        let mut ours = writes.range(from.to_vec()..).take_while(|(key, _)| in_range(key)).peekable();
        let mut merged = Vec::new();
        let mut page_from = from.to_vec();
        loop {
            let page = self.store.scan(family, &page_from, to, max)?;
            let last_page = page.len() < max;
            let page_end = page.last().map(|(key, _)| [key.as_slice(), &[0]].concat());
            for (key, value) in page {
                while let Some((k, v)) = ours.next_if(|(k, _)| **k < key) {
                    merged.extend(v.clone().map(|v| (k.clone(), v)));
                }
                match ours.next_if(|(k, _)| **k == key) {
                    Some((k, v)) => merged.extend(v.clone().map(|v| (k.clone(), v))),
                    None => merged.push((key, value)),
                }
            }
            if last_page {
                merged.extend(ours.filter_map(|(k, v)| v.clone().map(|v| (k.clone(), v))).take(max));
                break;
            }
            match page_end {
                Some(end) if merged.len() < max => page_from = end,
                _ => break,
            }
        }
        merged.truncate(max);
        Ok(merged)
    }

    /// The saga, to be looked at.
    pub fn saga(&mut self, id: SagaId) -> Result<Option<&Saga>, StoreError> {
        if !self.sagas.contains_key(&id) {
            let Some(saga) = self.read::<Saga>(Family::Sagas, id.as_bytes())? else {
                return Ok(None);
            };
            self.sagas.insert(id, Box::new(saga));
        }
        Ok(self.sagas.get(&id).map(|saga| &**saga))
    }

    /// The saga, taken out to be changed: `put_saga` brings it back.
    pub fn take_saga(&mut self, id: SagaId) -> Result<Option<Box<Saga>>, StoreError> {
        match self.sagas.remove(&id) {
            Some(saga) => Ok(Some(saga)),
            None => Ok(self.read::<Saga>(Family::Sagas, id.as_bytes())?.map(Box::new)),
        }
    }

    pub fn put_saga(&mut self, saga: Box<Saga>) {
        self.changed.insert(saga.id);
        self.sagas.insert(saga.id, saga);
    }

    pub fn delete_saga(&mut self, id: SagaId) {
        self.sagas.remove(&id);
        self.changed.remove(&id);
        self.delete(Family::Sagas, id.as_bytes().to_vec());
    }

    /// Everything since the last commit, whole.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        for id in std::mem::take(&mut self.changed) {
            let saga = self.sagas.get(&id).expect("a saga that changed was put back");
            self.scratch.clear();
            saga.encode(&mut self.scratch);
            let writes = self.batch.writes.entry(Family::Sagas).or_default();
            writes.insert(id.as_bytes().to_vec(), Some(self.scratch.clone()));
            // Nothing comes to it any more but what comes late.
            if saga.is_ended() {
                self.sagas.remove(&id);
            }
        }
        self.store.commit(&self.batch)?;
        self.batch = Batch::default();
        self.make_room();
        Ok(())
    }

    /// Ids are hashes: those below the middle are any half of them.
    fn make_room(&mut self) {
        if self.sagas.len() > CACHED_SAGAS
            && let Some(middle) = self.sagas.keys().nth(self.sagas.len() / 2).copied()
        {
            self.sagas = self.sagas.split_off(&middle);
        }
    }

    /// Forgets everything since the last commit.
    pub fn discard(&mut self) {
        self.batch = Batch::default();
        self.sagas.clear();
        self.changed.clear();
    }

    pub fn flush(&mut self) -> Result<(), StoreError> {
        self.store.flush()
    }

    pub fn reader(&self) -> std::sync::Arc<dyn Reader> {
        self.store.reader()
    }
}

/// Reads a value that this crate wrote.
pub fn decode<T: Wire>(family: Family, bytes: &[u8]) -> Result<T, StoreError> {
    T::from_bytes(bytes)
        .map_err(|error| StoreError::Corrupt { place: format!("family {}", family.name()), detail: error.to_string() })
}
