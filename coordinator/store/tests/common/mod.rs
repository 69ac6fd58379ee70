//! What the store's tests share: a seeded source of numbers, batches that are a function of their number, and the state after each.
#![allow(dead_code, reason = "every test binary uses its own part")]

use sagaline_partition::digest::digest;
use sagaline_partition::store::{Batch, Family, Store};
use sagaline_schemas::ids::Digest;
use sagaline_store::{Memory, MemoryStore, RocksStore, Shared};

/// The key under which batch `n` writes n.
pub const NUMBER: &[u8] = b"number";

/// Seeded numbers: SplitMix64, so that a failure can be repeated.
pub struct Seeded(pub u64);

impl Seeded {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// Write buffers so small that RocksDB flushes and compacts by itself all the time.
pub fn cramped() -> Shared {
    Shared::new(Memory { cache: 4 << 20, write_buffers: 1 << 20 })
}

/// Batch number `n`: its number, and a hundred writes and deletions over all families.
pub fn batch(n: u64) -> Batch {
    let mut seeded = Seeded(n);
    let mut batch = Batch::default();
    put(&mut batch, Family::Meta, NUMBER, Some(n.to_be_bytes().to_vec()));
    for _ in 0..100 {
        let family = Family::ALL[1 + seeded.below(Family::ALL.len() - 1)];
        let key = (seeded.below(300) as u32).to_be_bytes();
        let value = (seeded.below(3) > 0).then(|| value(&mut seeded));
        put(&mut batch, family, &key, value);
    }
    batch
}

fn value(seeded: &mut Seeded) -> Vec<u8> {
    let length = seeded.below(600);
    (0..length).map(|_| seeded.next() as u8).collect()
}

pub fn put(batch: &mut Batch, family: Family, key: &[u8], value: Option<Vec<u8>>) {
    batch.writes.entry(family).or_default().insert(key.to_vec(), value);
}

/// The number of the last batch that a store holds; 0 when it holds none.
pub fn number(store: &dyn Store) -> u64 {
    let found = store.get(Family::Meta, NUMBER).expect("readable");
    found.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().expect("8 bytes")))
}

/// The digest of a store as it is now.
pub fn digest_of(store: &RocksStore) -> Digest {
    digest(store.reader().snapshot().as_ref()).expect("readable")
}

/// What a store must hold after each batch, computed on the reference store.
pub struct Expected {
    store: MemoryStore,
    at: u64,
}

impl Expected {
    pub fn new() -> Self {
        Self { store: MemoryStore::new(), at: 0 }
    }

    /// The digest after batches 1..=n; `n` never falls.
    pub fn after(&mut self, n: u64) -> Digest {
        assert!(n >= self.at, "the store went back from batch {} to {n}", self.at);
        while self.at < n {
            self.at += 1;
            self.store.commit(&batch(self.at)).expect("memory");
        }
        digest(&self.store).expect("memory")
    }
}
