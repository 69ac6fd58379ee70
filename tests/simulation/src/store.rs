//! The memory store behind a handle that outlives its owner, so that a crash loses what was not flushed and nothing else.

use std::sync::{Arc, Mutex, MutexGuard};

use sagaline_partition::state::Meta;
use sagaline_partition::store::{Batch, Entry, Family, Read, Reader, Store, StoreError};
use sagaline_schemas::wire::Wire;
use sagaline_store::MemoryStore;

/// A store that survives its owner. A clone is the same store.
#[derive(Clone)]
pub struct Disk {
    store: Arc<Mutex<MemoryStore>>,
    blind: bool,
}

impl Disk {
    /// An empty one. `blind`: pages of the outbox are empty, so that nobody sees what an earlier term has left there.
    pub fn new(blind: bool) -> Self {
        Self { store: Arc::default(), blind }
    }

    fn lock(&self) -> MutexGuard<'_, MemoryStore> {
        self.store.lock().expect("nothing panics with the store in hand")
    }

    /// The machine loses power.
    pub fn crash(&self) {
        let mut store = self.lock();
        *store = std::mem::take(&mut *store).crash();
    }

    /// Changes one byte. False: there is nothing yet.
    pub fn tamper(&self) -> bool {
        let mut store = self.lock();
        let key = sagaline_partition::keys::META;
        let Ok(Some(bytes)) = store.get(Family::Meta, key) else { return false };
        let mut meta = Meta::from_bytes(&bytes).expect("the store holds what the fold wrote");
        meta.output_hash.0[7] ^= 1;
        let mut batch = Batch::default();
        batch.writes.entry(Family::Meta).or_default().insert(key.to_vec(), Some(meta.to_bytes()));
        store.commit(&batch).and_then(|()| store.flush()).is_ok()
    }
}

impl Read for Disk {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.lock().get(family, key)
    }

    fn scan(&self, family: Family, from: &[u8], to: Option<&[u8]>, max: usize) -> Result<Vec<Entry>, StoreError> {
        // Trimming looks at all entries, publishing at a page.
        if self.blind && family == Family::Outbox && max != usize::MAX {
            return Ok(Vec::new());
        }
        self.lock().scan(family, from, to, max)
    }
}

impl Store for Disk {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.lock().commit(batch)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.lock().flush()
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.lock().reader()
    }
}
