//! Writes since the last commit, over the store: the fold reads its own writes, and a batch is taken whole or dropped whole.

use std::collections::BTreeMap;

use sagaline_engine::Saga;
use sagaline_schemas::SagaId;
use sagaline_schemas::wire::Wire;

use crate::store::{Batch, Entry, Family, Reader, Store, StoreError};

/// Decoded sagas that are kept over a commit.
const CACHED_SAGAS: usize = 4_000;

/// The store with what is not committed yet.
pub struct Overlay {
    store: Box<dyn Store>,
    batch: Batch,
    sagas: BTreeMap<SagaId, Cached>,
}

struct Cached {
    saga: Saga,
    changed: bool,
}

impl Overlay {
    pub fn new(store: Box<dyn Store>) -> Self {
        Self { store, batch: Batch::default(), sagas: BTreeMap::new() }
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

    /// Reads a value that this crate wrote.
    pub fn read<T: Wire>(&self, family: Family, key: &[u8]) -> Result<Option<T>, StoreError> {
        self.get(family, key)?.map(|bytes| decode(family, &bytes)).transpose()
    }

    pub fn write(&mut self, family: Family, key: Vec<u8>, value: &impl Wire) {
        self.put(family, key, value.to_bytes());
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
            self.sagas.insert(id, Cached { saga, changed: false });
        }
        Ok(self.sagas.get(&id).map(|cached| &cached.saga))
    }

    /// The saga, taken out to be changed: `put_saga` brings it back.
    pub fn take_saga(&mut self, id: SagaId) -> Result<Option<Saga>, StoreError> {
        match self.sagas.remove(&id) {
            Some(cached) => Ok(Some(cached.saga)),
            None => self.read::<Saga>(Family::Sagas, id.as_bytes()),
        }
    }

    pub fn put_saga(&mut self, saga: Saga) {
        self.sagas.insert(saga.id, Cached { saga, changed: true });
    }

    pub fn delete_saga(&mut self, id: SagaId) {
        self.sagas.remove(&id);
        self.delete(Family::Sagas, id.as_bytes().to_vec());
    }

    /// Everything since the last commit, whole.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        let sagas = self.batch.writes.entry(Family::Sagas).or_default();
        for (id, cached) in self.sagas.iter_mut().filter(|(_, cached)| cached.changed) {
            sagas.insert(id.as_bytes().to_vec(), Some(cached.saga.to_bytes()));
            cached.changed = false;
        }
        self.store.commit(&self.batch)?;
        self.batch = Batch::default();
        if self.sagas.len() > CACHED_SAGAS {
            self.sagas.clear();
        }
        Ok(())
    }

    /// Forgets everything since the last commit.
    pub fn discard(&mut self) {
        self.batch = Batch::default();
        self.sagas.clear();
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
