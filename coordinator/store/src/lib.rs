//! The stores behind `sagaline_partition::store`: RocksDB for real, memory for tests and simulation. Both take batches whole and lose at most
//! the tail since the last flush. A store is a cache of the log: nothing that only this machine knows may lie in it; that is the sidecar's.

mod durable;
mod format;
mod memory;
mod rocks;
mod sidecar;
mod trail;

pub use format::readable;
pub use memory::MemoryStore;
pub use rocks::{Memory, RocksStore, Shared, checkpoint};
pub use sidecar::{Halt, Sidecar};
pub use trail::Trail;
