//! Writes since the last commit, over the store: the fold reads its own writes, and a batch is taken whole or dropped whole.

use std::collections::BTreeMap;

use sagaline_engine::Saga;
use sagaline_schemas::SagaId;
use sagaline_schemas::wire::{Wire, WireError};

use crate::store::{Batch, Entry, Family, Reader, Store, StoreError};

/// Decoded sagas that are kept over a commit: at most so many,
const CACHED_SAGAS: usize = 4_000;
/// and so many bytes of them, as they are stored. Of more, half are dropped.
const CACHED_BYTES: usize = 8 << 20;

/// The store with what is not committed yet.
pub struct Overlay {
    store: Box<dyn Store>,
    batch: Batch,
    sagas: BTreeMap<SagaId, Cached>,
    /// Bytes of all of `sagas`.
    cached: usize,
    /// Those of `sagas` that are not in `batch` as they are; some may be gone since.
    changed: Vec<SagaId>,
    /// Where values are encoded: it has grown once for all of them.
    scratch: Vec<u8>,
}

/// A saga as it is in memory.
#[derive(Default)]
struct Cached {
    /// None while it is taken out.
    saga: Option<Box<Saga>>,
    /// How long it is in the store; 0 while it is not there as it is.
    bytes: usize,
    /// Whether `Overlay::changed` names it.
    changed: bool,
}

impl Overlay {
    pub fn new(store: Box<dyn Store>) -> Self {
        Self {
            store,
            batch: Batch::default(),
            sagas: BTreeMap::new(),
            cached: 0,
            changed: Vec::new(),
            scratch: Vec::new(),
        }
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
        self.merge(family, (from, to, max), Vec::clone, |value| value)
    }

    /// Their keys, and what `read` makes of each value: a value that is not committed is not copied for it.
    pub fn scan_as<T>(
        &self,
        family: Family,
        from: &[u8],
        to: Option<&[u8]>,
        read: impl Fn(&[u8]) -> T,
    ) -> Result<Vec<(Vec<u8>, T)>, StoreError> {
        self.merge(family, (from, to, usize::MAX), |value| read(value), |value| read(&value))
    }

    fn merge<T>(
        &self,
        family: Family,
        (from, to, max): (&[u8], Option<&[u8]>, usize),
        ours_as: impl Fn(&Vec<u8>) -> T,
        stored_as: impl Fn(Vec<u8>) -> T,
    ) -> Result<Vec<(Vec<u8>, T)>, StoreError> {
        let as_wanted = |(key, value): Entry| (key, stored_as(value));
        let Some(writes) = self.batch.writes.get(&family) else {
            return Ok(self.store.scan(family, from, to, max)?.into_iter().map(as_wanted).collect());
        };
        let in_range = |key: &[u8]| to.is_none_or(|to| key < to);
        let put =
            |(key, value): (&Vec<u8>, &Option<Vec<u8>>)| value.as_ref().map(|value| (key.clone(), ours_as(value)));
        let mut ours = writes.range(from.to_vec()..).take_while(|(key, _)| in_range(key)).peekable();
        let mut merged = Vec::new();
        let mut page_from = from.to_vec();
        loop {
            let page = self.store.scan(family, &page_from, to, max)?;
            let last_page = page.len() < max;
            let page_end = page.last().map(|(key, _)| [key.as_slice(), &[0]].concat());
            for (key, value) in page {
                while let Some(own) = ours.next_if(|(k, _)| **k < key) {
                    merged.extend(put(own));
                }
                match ours.next_if(|(k, _)| **k == key) {
                    Some(own) => merged.extend(put(own)),
                    None => merged.push(as_wanted((key, value))),
                }
            }
            if last_page {
                merged.extend(ours.filter_map(put).take(max));
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
        if self.sagas.get(&id).is_none_or(|cached| cached.saga.is_none()) {
            let Some(stored) = self.get(Family::Sagas, id.as_bytes())? else {
                return Ok(None);
            };
            let cached = self.sagas.entry(id).or_default();
            cached.saga = Some(Box::new(decode::<Saga>(Family::Sagas, &stored)?));
            self.cached = self.cached - cached.bytes + stored.len();
            cached.bytes = stored.len();
        }
        Ok(self.cached(id))
    }

    /// The saga, if it is in memory: to be looked at again.
    pub fn cached(&self, id: SagaId) -> Option<&Saga> {
        self.sagas.get(&id)?.saga.as_deref()
    }

    /// The saga, taken out to be changed: `put_saga` brings it back to its place.
    pub fn take_saga(&mut self, id: SagaId) -> Result<Option<Box<Saga>>, StoreError> {
        if let Some(cached) = self.sagas.get_mut(&id)
            && let Some(saga) = cached.saga.take()
        {
            self.cached -= std::mem::take(&mut cached.bytes);
            return Ok(Some(saga));
        }
        Ok(self.read::<Saga>(Family::Sagas, id.as_bytes())?.map(Box::new))
    }

    pub fn put_saga(&mut self, saga: Box<Saga>) {
        let id = saga.id;
        let cached = self.sagas.entry(id).or_default();
        self.cached -= std::mem::take(&mut cached.bytes);
        cached.saga = Some(saga);
        if !std::mem::replace(&mut cached.changed, true) {
            self.changed.push(id);
        }
    }

    pub fn delete_saga(&mut self, id: SagaId) {
        self.uncache(id);
        self.delete(Family::Sagas, id.as_bytes().to_vec());
    }

    fn uncache(&mut self, id: SagaId) {
        if let Some(Cached { bytes, .. }) = self.sagas.remove(&id) {
            self.cached -= bytes;
        }
    }

    /// Everything since the last commit, whole.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        for id in std::mem::take(&mut self.changed) {
            // One that is not there was deleted.
            let Some(cached) = self.sagas.get_mut(&id) else { continue };
            cached.changed = false;
            let saga = cached.saga.as_ref().expect("a saga that changed was put back");
            self.scratch.clear();
            saga.encode(&mut self.scratch);
            let ended = saga.is_ended();
            self.cached = self.cached - cached.bytes + self.scratch.len();
            cached.bytes = self.scratch.len();
            let writes = self.batch.writes.entry(Family::Sagas).or_default();
            writes.insert(id.as_bytes().to_vec(), Some(self.scratch.clone()));
            // Nothing comes to it any more but what comes late.
            if ended {
                self.uncache(id);
            }
        }
        self.store.commit(&self.batch)?;
        self.batch = Batch::default();
        self.make_room();
        Ok(())
    }

    /// Ids are hashes: those below the middle are any half of them.
    fn make_room(&mut self) {
        while self.sagas.len() > 1 && (self.sagas.len() > CACHED_SAGAS || self.cached > CACHED_BYTES) {
            let Some(middle) = self.sagas.keys().nth(self.sagas.len() / 2).copied() else { return };
            self.sagas = self.sagas.split_off(&middle);
            self.cached = self.sagas.values().map(|cached| cached.bytes).sum();
        }
    }

    /// Forgets everything since the last commit.
    pub fn discard(&mut self) {
        self.batch = Batch::default();
        self.sagas.clear();
        self.cached = 0;
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
    T::from_bytes(bytes).map_err(|error| unreadable(family, &error))
}

/// A value that this crate wrote is not what it should be.
pub fn unreadable(family: Family, error: &WireError) -> StoreError {
    StoreError::Corrupt { place: format!("family {}", family.name()), detail: error.to_string() }
}

#[cfg(test)]
mod tests;
