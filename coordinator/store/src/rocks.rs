//! A partition's store in RocksDB: one database, a column family for each family of keys, no write-ahead log. After a crash it is what it
//! was at some flush. Nothing here repairs a database: what is damaged is told, and rebuilt from the log.

pub mod checkpoint;
mod options;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rocksdb::{ColumnFamily, DB, ErrorKind, FlushOptions, Options, ReadOptions, Snapshot, WriteBatch};
use sagaline_partition::store::{Batch, Entry, Family, Read, Reader, Store, StoreError};

use crate::{Trail, durable, format, sidecar};
pub use options::{Memory, Shared};

/// A store of one partition on disk. Dropping it may flush or not: what must survive is flushed by `flush`.
pub struct RocksStore {
    rocks: Arc<Rocks>,
}

struct Rocks {
    place: PathBuf,
    db: DB,
}

impl RocksStore {
    /// Opens the store in the directory `place`, or makes an empty one there. Blocks until RocksDB has checked its files' catalogue; the
    /// content is checked as it is read.
    ///
    /// # Errors
    /// `Format` when another version wrote it, `InUse` when it is open already, `Corrupt` when it is damaged, `Io` when the disk fails.
    pub fn open(place: impl AsRef<Path>, shared: &Shared) -> Result<Self, StoreError> {
        let place = place.as_ref().to_path_buf();
        let database = database(&place);
        format::check(&place, &database)?;
        let create = !has_tables(&database).map_err(|e| durable::io_error(&place, &e))?;
        let db = DB::open_cf_descriptors(&options::database(shared, create), &database, options::families(shared))
            .map_err(|e| told(&place, &e))?;
        Ok(Self { rocks: Arc::new(Rocks { place, db }) })
    }

    /// Removes the store in `place`, its local facts included: the way out when it is damaged or of another version. Nothing happens
    /// when there is none.
    ///
    /// # Errors
    /// `InUse` when it is open, `Io` when the disk refuses.
    pub fn destroy(place: impl AsRef<Path>) -> Result<(), StoreError> {
        let place = place.as_ref();
        let database = database(place);
        if database.exists() {
            DB::destroy(&Options::default(), &database).map_err(|e| told(place, &e))?;
        }
        let removed =
            remove_directory(&database).and_then(|()| sidecar::remove(place)).and_then(|()| format::remove(place));
        removed.map_err(|e| durable::io_error(place, &e))?;
        Trail::save(None, place)
    }
}

impl Rocks {
    fn family(&self, family: Family) -> &ColumnFamily {
        self.db.cf_handle(family.name()).expect("the database was opened with every family")
    }

    fn live(&self) -> View<'_> {
        View { rocks: self, snapshot: None }
    }

    fn told(&self, error: &rocksdb::Error) -> StoreError {
        told(&self.place, error)
    }
}

/// The database as it is now, or as it was when a snapshot was taken.
struct View<'a> {
    rocks: &'a Rocks,
    snapshot: Option<Snapshot<'a>>,
}

impl Read for View<'_> {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let family = self.rocks.family(family);
        let found = match &self.snapshot {
            Some(snapshot) => snapshot.get_cf_opt(family, key, read_options()),
            None => self.rocks.db.get_cf_opt(family, key, &read_options()),
        };
        found.map_err(|e| self.rocks.told(&e))
    }

    fn scan(&self, family: Family, from: &[u8], to: Option<&[u8]>, max: usize) -> Result<Vec<Entry>, StoreError> {
        if to.is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        let family = self.rocks.family(family);
        let mut options = read_options();
        if let Some(to) = to {
            options.set_iterate_upper_bound(to);
        }
        let mut cursor = match &self.snapshot {
            Some(snapshot) => snapshot.raw_iterator_cf_opt(family, options),
            None => self.rocks.db.raw_iterator_cf_opt(family, options),
        };
        cursor.seek(from);
        let mut entries = Vec::new();
        while entries.len() < max
            && let Some((key, value)) = cursor.item()
        {
            entries.push((key.to_vec(), value.to_vec()));
            cursor.next();
        }
        // A cursor ends at damage as it does at the end: only its status tells them apart.
        cursor.status().map_err(|e| self.rocks.told(&e))?;
        Ok(entries)
    }
}

impl Read for Rocks {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.live().get(family, key)
    }

    fn scan(&self, family: Family, from: &[u8], to: Option<&[u8]>, max: usize) -> Result<Vec<Entry>, StoreError> {
        self.live().scan(family, from, to, max)
    }
}

impl Reader for Rocks {
    fn snapshot(&self) -> Box<dyn Read + '_> {
        Box::new(View { rocks: self, snapshot: Some(self.db.snapshot()) })
    }
}

impl Read for RocksStore {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.rocks.get(family, key)
    }

    fn scan(&self, family: Family, from: &[u8], to: Option<&[u8]>, max: usize) -> Result<Vec<Entry>, StoreError> {
        self.rocks.scan(family, from, to, max)
    }
}

impl Store for RocksStore {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        // At once as large as it becomes: growing to megabytes copies them again and again.
        let mut writes = WriteBatch::with_capacity_bytes(size(batch));
        for (family, entries) in &batch.writes {
            let family = self.rocks.family(*family);
            for (key, value) in entries {
                match value {
                    Some(value) => writes.put_cf(family, key, value),
                    None => writes.delete_cf(family, key),
                }
            }
        }
        self.rocks.db.write_without_wal(writes).map_err(|e| self.rocks.told(&e))
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        // All families by name: RocksDB flushes only those together that are named together.
        let families: Vec<&ColumnFamily> = Family::ALL.into_iter().map(|family| self.rocks.family(family)).collect();
        let families: Vec<&&ColumnFamily> = families.iter().collect();
        self.rocks.db.flush_cfs_opt(&families, &FlushOptions::default()).map_err(|e| self.rocks.told(&e))
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.rocks.clone()
    }
}

/// Bytes of a batch in RocksDB's form, at most: after its header, beside each key and value a tag, the family and two lengths.
fn size(batch: &Batch) -> usize {
    const HEADER: usize = 12;
    const BESIDE: usize = 16;
    let entries = batch.writes.values().flatten();
    HEADER + entries.map(|(key, value)| BESIDE + key.len() + value.as_ref().map_or(0, Vec::len)).sum::<usize>()
}

fn read_options() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_verify_checksums(true);
    options
}

fn database(place: &Path) -> PathBuf {
    place.join("db")
}

/// Whether tables lie there: a database that has them is never made anew, even when its catalogue is gone.
fn has_tables(database: &Path) -> io::Result<bool> {
    if !database.exists() {
        return Ok(false);
    }
    for file in fs::read_dir(database)? {
        if file?.path().extension().is_some_and(|extension| extension == "sst") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn remove_directory(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// RocksDB's error as the port tells it. It has strings only: a lock that is held and a file that is gone are recognised by their words.
fn told(place: &Path, error: &rocksdb::Error) -> StoreError {
    let detail = error.to_string();
    let place = place.display().to_string();
    match error.kind() {
        ErrorKind::IOError if detail.contains("/LOCK: ") => StoreError::InUse { place },
        ErrorKind::IOError if detail.contains("No such file") => StoreError::Corrupt { place, detail },
        ErrorKind::IOError
        | ErrorKind::Busy
        | ErrorKind::Aborted
        | ErrorKind::TimedOut
        | ErrorKind::TryAgain
        | ErrorKind::ShutdownInProgress => StoreError::Io { place, detail },
        ErrorKind::NotFound
        | ErrorKind::Corruption
        | ErrorKind::NotSupported
        | ErrorKind::InvalidArgument
        | ErrorKind::MergeInProgress
        | ErrorKind::Incomplete
        | ErrorKind::Expired
        | ErrorKind::CompactionTooLarge
        | ErrorKind::ColumnFamilyDropped
        | ErrorKind::Unknown => StoreError::Corrupt { place, detail },
    }
}
