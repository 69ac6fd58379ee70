//! RocksDB's options, each with its reason: many small values rewritten at every step, outbox entries that live for milliseconds, timers in
//! order; memory bounded for all partitions of a process together.

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, LogLevel, Options, WriteBufferManager,
};
use sagaline_partition::store::Family;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// How much memory the stores of one process may use together, in bytes. Beyond it come some KiB for every open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Blocks read from disk, indexes and filters, and the write buffers.
    pub cache: usize,
    /// What is written and not yet flushed, within `cache`. A store flushes by itself when all of them exceed it.
    pub write_buffers: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self { cache: 96 * MIB, write_buffers: 48 * MIB }
    }
}

/// What the stores of one process share. Cheap to clone.
#[derive(Clone)]
pub struct Shared {
    cache: Cache,
    write_buffers: WriteBufferManager,
}

impl Shared {
    /// Room for all the stores that are opened with it.
    pub fn new(memory: Memory) -> Self {
        let cache = Cache::new_lru_cache(memory.cache);
        // Never stall a writer for memory: the fold must not wait for another partition's flush.
        let write_buffers =
            WriteBufferManager::new_write_buffer_manager_with_cache(memory.write_buffers, false, cache.clone());
        Self { cache, write_buffers }
    }

    /// Bytes in use: cached blocks and write buffers.
    pub fn memory_in_use(&self) -> usize {
        self.cache.get_usage()
    }
}

/// Options of one partition's database.
pub(super) fn database(shared: &Shared, create: bool) -> Options {
    let mut options = Options::default();
    options.create_if_missing(create);
    // A crash may fall between the creation of two families.
    options.create_missing_column_families(true);
    // Without a write-ahead log, only this keeps the families of one batch together.
    options.set_atomic_flush(true);
    options.set_paranoid_checks(true);
    options.set_write_buffer_manager(&shared.write_buffers);
    options.set_max_background_jobs(2);
    // Sixteen partitions stay below the usual limit of 1024 open files.
    options.set_max_open_files(48);
    options.set_max_manifest_file_size(4 * MIB);
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(MIB);
    // Both would keep statistics in memory that nobody reads.
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options
}

/// Every family with its options.
pub(super) fn families(shared: &Shared) -> Vec<ColumnFamilyDescriptor> {
    Family::ALL.into_iter().map(|each| ColumnFamilyDescriptor::new(each.name(), family(each, shared))).collect()
}

fn family(family: Family, shared: &Shared) -> Options {
    let mut options = Options::default();
    options.set_block_based_table_factory(&tables(shared));
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_write_buffer_size(16 * MIB);
    // The default, a MiB, times twenty families, times sixteen partitions, would be memory for nothing.
    options.set_arena_block_size(64 * KIB);
    match family {
        // Entries here live shortly. A file full of deletions is compacted soon, else every scan wades through them.
        Family::Timers | Family::Waiting | Family::Outbox | Family::Early | Family::Queue | Family::Seats => {
            options.add_compact_on_deletion_collector_factory(1024, 512, 0.5)
        }
        Family::Meta
        | Family::Sagas
        | Family::Keys
        | Family::Channels
        | Family::Sources
        | Family::Definitions
        | Family::Contracts
        | Family::Requests
        | Family::History
        | Family::Aliases
        | Family::Told
        | Family::Watchers
        | Family::Asks
        | Family::Gates => {}
    }
    options
}

fn tables(shared: &Shared) -> BlockBasedOptions {
    let mut tables = BlockBasedOptions::default();
    tables.set_block_cache(&shared.cache);
    tables.set_block_size(8 * KIB);
    // Indexes and filters are bounded by the cache like everything else.
    tables.set_cache_index_and_filter_blocks(true);
    tables.set_cache_index_and_filter_blocks_with_high_priority(true);
    tables.set_pin_l0_filter_and_index_blocks_in_cache(true);
    // Most keys that are asked for and not there are first uses of a key or a request.
    tables.set_bloom_filter(10.0, false);
    tables.set_optimize_filters_for_memory(true);
    // From 6 on the footer has a checksum too.
    tables.set_format_version(6);
    tables
}
