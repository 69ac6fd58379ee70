//! A store in memory, for tests and simulation. It keeps what was last flushed beside what was committed, so that a crash can be played.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use sagaline_partition::store::{Batch, Entry, Family, Read, Reader, Store, StoreError, Writes};

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// Shared until written: a snapshot costs nothing until the next batch, and then only the families that the batch touches.
#[derive(Default, Clone)]
struct Families(BTreeMap<Family, Arc<Entries>>);

/// A store of one partition in memory.
#[derive(Default)]
pub struct MemoryStore {
    committed: Arc<Committed>,
    flushed: Families,
}

#[derive(Default)]
struct Committed(RwLock<Families>);

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a process would find after a crash: the state at the last flush. Readers of before keep what they saw.
    pub fn crash(self) -> Self {
        let committed = Arc::new(Committed(RwLock::new(self.flushed.clone())));
        Self { committed, flushed: self.flushed }
    }
}

impl Read for Families {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(&family).and_then(|entries| entries.get(key)).cloned())
    }

    fn scan(&self, family: Family, from: &[u8], to: Option<&[u8]>, max: usize) -> Result<Vec<Entry>, StoreError> {
        let Some(entries) = self.0.get(&family) else { return Ok(Vec::new()) };
        if to.is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        let range = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
        Ok(entries.range::<[u8], _>(range).take(max).map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

impl Families {
    fn apply(&mut self, batch: &Batch) {
        for (family, writes) in &batch.writes {
            write(Arc::make_mut(self.0.entry(*family).or_default()), writes);
        }
    }
}

fn write(entries: &mut Entries, writes: &Writes) {
    for (key, value) in writes {
        match value {
            Some(value) => entries.insert(key.clone(), value.clone()),
            None => entries.remove(key),
        };
    }
}

impl Committed {
    /// A thread that panicked can't have left half a batch for others to see but by running out of memory, which aborts.
    fn view(&self) -> Families {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Read for Committed {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(family, key)
    }

    fn scan(&self, family: Family, from: &[u8], to: Option<&[u8]>, max: usize) -> Result<Vec<Entry>, StoreError> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).scan(family, from, to, max)
    }
}

impl Reader for Committed {
    fn snapshot(&self) -> Box<dyn Read + '_> {
        Box::new(self.view())
    }
}

impl Read for MemoryStore {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.committed.get(family, key)
    }

    fn scan(&self, family: Family, from: &[u8], to: Option<&[u8]>, max: usize) -> Result<Vec<Entry>, StoreError> {
        self.committed.scan(family, from, to, max)
    }
}

impl Store for MemoryStore {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.committed.0.write().unwrap_or_else(PoisonError::into_inner).apply(batch);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.flushed = self.committed.view();
        Ok(())
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.committed.clone()
    }
}
