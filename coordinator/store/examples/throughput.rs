//! What the store does under the fold's load: batches of 500 sagas of 1 KB rewritten, each with an outbox entry put now and deleted
//! ten batches later. Prints steps a second, and bytes of memory and disk for each waiting saga.

use std::fs;
use std::path::Path;
use std::time::Instant;

use sagaline_partition::store::{Batch, Family, Read, Store, StoreError};
use sagaline_store::{Memory, RocksStore, Shared};

const SAGAS: u64 = 100_000;
const BATCH: u64 = 500;
const ROUNDS: u64 = 10;
const IN_FLIGHT: u64 = 5_000;

fn main() -> Result<(), StoreError> {
    let place = std::env::temp_dir().join(format!("sagaline-throughput-{}", std::process::id()));
    let shared = Shared::new(Memory::default());
    let mut store = RocksStore::open(&place, &shared)?;
    let before = resident();

    let began = Instant::now();
    for step in (0..SAGAS * ROUNDS).step_by(BATCH as usize) {
        store.commit(&batch(step))?;
    }
    let committed = began.elapsed();
    store.flush()?;
    let flushed = began.elapsed();

    let began = Instant::now();
    for n in 0..SAGAS {
        let key = saga((n * 7919) % SAGAS);
        assert!(store.get(Family::Sagas, &key)?.is_some(), "every saga is there");
    }
    let read = began.elapsed();

    let steps = (SAGAS * ROUNDS) as f64;
    println!(
        "{:>10.0} steps/s committed ({:.0} with the last flush)",
        steps / committed.as_secs_f64(),
        steps / flushed.as_secs_f64()
    );
    println!("{:>10.0} sagas/s read at random", SAGAS as f64 / read.as_secs_f64());
    println!(
        "{:>10} bytes of memory a waiting saga ({} MiB grown, {} MiB in cache and buffers)",
        resident().saturating_sub(before) / SAGAS,
        resident().saturating_sub(before) >> 20,
        shared.memory_in_use() >> 20
    );
    println!("{:>10} bytes of disk a waiting saga", disk(&place) / SAGAS);
    drop(store);
    RocksStore::destroy(&place)
}

fn batch(first: u64) -> Batch {
    let mut batch = Batch::default();
    for step in first..first + BATCH {
        put(&mut batch, Family::Sagas, &saga(step % SAGAS), Some(value(step)));
        put(&mut batch, Family::Outbox, &step.to_be_bytes(), Some(value(step)[..300].to_vec()));
        if let Some(acknowledged) = step.checked_sub(IN_FLIGHT) {
            put(&mut batch, Family::Outbox, &acknowledged.to_be_bytes(), None);
        }
    }
    put(&mut batch, Family::Meta, b"position", Some(first.to_be_bytes().to_vec()));
    batch
}

fn put(batch: &mut Batch, family: Family, key: &[u8], value: Option<Vec<u8>>) {
    batch.writes.entry(family).or_default().insert(key.to_vec(), value);
}

/// Spread like the ids of sagas, which are hashes.
fn saga(n: u64) -> [u8; 16] {
    let spread = (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut key = [0; 16];
    key[..8].copy_from_slice(&spread.to_be_bytes());
    key[8..].copy_from_slice(&n.to_be_bytes());
    key
}

/// 1 KB, half of it random: about what an encoded saga compresses to.
fn value(step: u64) -> Vec<u8> {
    let mut value = vec![b's'; 1024];
    let mut noise = step;
    for word in value[..512].chunks_exact_mut(8) {
        noise = noise.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        word.copy_from_slice(&(noise ^ (noise >> 29)).to_be_bytes());
    }
    value
}

/// Bytes of memory that the process holds.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn disk(place: &Path) -> u64 {
    let files = fs::read_dir(place.join("db")).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}
