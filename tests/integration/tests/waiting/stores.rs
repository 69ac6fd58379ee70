//! What lies in the stores of a stopped node, by family: as they were flushed, and as they are once RocksDB has compacted them. Measured on copies:
//! the node's own stores stay as they are.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use rocksdb::{BottommostLevelCompaction, Cache, CompactOptions, DB, Env, Options, properties};

/// Bytes and files of all partitions together.
#[derive(Debug, Default)]
pub struct Stores {
    /// Inbox partitions.
    pub partitions: usize,
    /// Bytes of tables as the node left them.
    pub flushed: u64,
    /// Bytes of the same once compacted.
    pub compacted: u64,
    /// Of `compacted`, by family, the large ones first.
    pub families: Vec<(String, u64)>,
}

/// Looks at every `partition-N` in that folder.
pub fn measure(stores: &Path) -> Result<Stores> {
    let mut all = Stores::default();
    let mut families: BTreeMap<String, u64> = BTreeMap::new();
    for entry in std::fs::read_dir(stores)? {
        let copy = copy(&entry?.path().join("db"))?;
        let (db, names) = open(copy.path())?;
        all.partitions += 1;
        all.flushed += sizes(&db, &names)?.values().sum::<u64>();
        compact(&db, &names)?;
        for (name, bytes) in sizes(&db, &names)? {
            *families.entry(name).or_default() += bytes;
        }
    }
    all.compacted = families.values().sum();
    all.families = families.into_iter().filter(|(_, bytes)| *bytes > 0).collect();
    all.families.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    Ok(all)
}

/// To the last deletion: a table that lies at the bottom already is written anew, too.
fn compact(db: &DB, names: &[String]) -> Result<()> {
    let mut options = CompactOptions::default();
    options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
    for name in names {
        let family = db.cf_handle(name).context("it was just opened")?;
        db.compact_range_cf_opt(family, None::<&[u8]>, None::<&[u8]>, &options);
    }
    Ok(())
}

/// Tables never change: they are linked.
fn copy(database: &Path) -> Result<tempfile::TempDir> {
    let beside =
        database.parent().and_then(Path::parent).and_then(Path::parent).context("a store lies three folders deep")?;
    let copy = tempfile::tempdir_in(beside)?;
    for entry in std::fs::read_dir(database)? {
        let path = entry?.path();
        let to = copy.path().join(path.file_name().context("a file has a name")?);
        match path.extension().is_some_and(|extension| extension == "sst") {
            true => std::fs::hard_link(&path, to)?,
            false => std::fs::copy(&path, to).map(|_| ())?,
        }
    }
    Ok(copy)
}

/// With the options that the node wrote beside it: the same compression, the same filters.
fn open(database: &Path) -> Result<(DB, Vec<String>)> {
    let (options, families) = Options::load_latest(database, Env::new()?, false, Cache::new_lru_cache(64 << 20))?;
    let names = families.iter().map(|family| family.name().to_owned()).collect();
    Ok((DB::open_cf_descriptors(&options, database, families)?, names))
}

fn sizes(db: &DB, names: &[String]) -> Result<BTreeMap<String, u64>> {
    let mut sizes = BTreeMap::new();
    for name in names {
        let family = db.cf_handle(name).context("it was just opened")?;
        let bytes = db.property_int_value_cf(family, properties::LIVE_SST_FILES_SIZE)?;
        sizes.insert(name.clone(), bytes.context("RocksDB knows its tables")?);
    }
    Ok(sizes)
}
