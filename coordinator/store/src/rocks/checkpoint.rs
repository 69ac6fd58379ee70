//! Checkpoints of a store: the whole database as it was at one flush, by hard links, in a folder that has the form of a store; and making
//! a store of files that were such a checkpoint elsewhere. Where copies are kept, and who believes them, is not known here.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rocksdb::DB;
use rocksdb::checkpoint::Checkpoint;
use sagaline_partition::store::{Entry, Family, Read, StoreError};

use super::{Rocks, RocksStore, Shared, database, has_tables, options, remove_directory, told};
use crate::{durable, format};

/// Makes checkpoints of an open store. While it lives, the database stays open.
#[derive(Clone)]
pub struct Checkpointer {
    rocks: Arc<Rocks>,
}

impl RocksStore {
    /// Makes checkpoints of this store.
    pub fn checkpointer(&self) -> Checkpointer {
        Checkpointer { rocks: Arc::clone(&self.rocks) }
    }

    /// Whether a store lies in `place`, whatever its form.
    pub fn is_at(place: impl AsRef<Path>) -> bool {
        database(place.as_ref()).exists() || format::is_at(place.as_ref())
    }
}

impl Checkpointer {
    /// Makes one in `place`, in the form of a store; what lies there is removed before. It holds what was flushed: flush first. Takes some
    /// milliseconds, for the tables are linked, not copied: `place` must be on the store's disk.
    ///
    /// # Errors
    /// `Io` when the disk refuses.
    pub fn make(&self, place: impl AsRef<Path>) -> Result<(), StoreError> {
        let place = place.as_ref();
        let refused = |e: &io::Error| durable::io_error(place, e);
        remove_directory(place).map_err(|e| refused(&e))?;
        fs::create_dir_all(place).map_err(|e| refused(&e))?;
        let made = Checkpoint::new(&self.rocks.db).and_then(|taken| taken.create_checkpoint(database(place)));
        made.map_err(|e| told(place, &e))?;
        stamp(place)
    }
}

/// A checkpoint, open for reading: no file of it is ever changed.
pub struct Frozen {
    rocks: Rocks,
}

impl Frozen {
    /// Opens it. With a `Shared` of its own it is read from the disk, whatever the store it was made of has in memory.
    ///
    /// # Errors
    /// `Format` when another version wrote it, `Corrupt` when it is damaged or not there, `Io` when the disk fails.
    pub fn open(place: impl AsRef<Path>, shared: &Shared) -> Result<Self, StoreError> {
        let place = place.as_ref().to_path_buf();
        format::readable(&place)?;
        let (options, families) = (options::database(shared, false), options::families(shared));
        let db = DB::open_cf_descriptors_read_only(&options, database(&place), families, false)
            .map_err(|e| told(&place, &e))?;
        Ok(Self { rocks: Rocks { place, db } })
    }
}

impl Read for Frozen {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.rocks.get(family, key)
    }

    fn scan(&self, family: Family, from: &[u8], to: Option<&[u8]>, max: usize) -> Result<Vec<Entry>, StoreError> {
        self.rocks.scan(family, from, to, max)
    }
}

/// Whether a file of this name is part of a checkpoint. Names that come from elsewhere lead nowhere else.
pub fn is_part(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name == "CURRENT"
        || name.strip_suffix(".sst").is_some_and(digits)
        || name.strip_suffix(".log").is_some_and(digits)
        || name.strip_prefix("MANIFEST-").is_some_and(digits)
        || name.strip_prefix("OPTIONS-").is_some_and(digits)
}

/// The files of a checkpoint by name, with where they lie.
///
/// # Errors
/// `Io` when the folder can't be read.
pub fn parts(place: impl AsRef<Path>) -> Result<Vec<(String, PathBuf)>, StoreError> {
    let place = place.as_ref();
    let listed = || -> io::Result<Vec<(String, PathBuf)>> {
        let mut parts = Vec::new();
        for file in fs::read_dir(database(place))? {
            let file = file?;
            let name = file.file_name().to_string_lossy().into_owned();
            if is_part(&name) {
                parts.push((name, file.path()));
            }
        }
        parts.sort();
        Ok(parts)
    };
    listed().map_err(|e| durable::io_error(place, &e))
}

/// Where a part lies in a store that is being put together in `place`. Its folder is made.
///
/// # Errors
/// `Io` when the disk refuses.
pub fn part_at(place: impl AsRef<Path>, name: &str) -> Result<PathBuf, StoreError> {
    let place = place.as_ref();
    debug_assert!(is_part(name), "whoever puts a store together has looked at the names");
    fs::create_dir_all(database(place)).map_err(|e| durable::io_error(place, &e))?;
    Ok(database(place).join(name))
}

/// The form of the stores that this program writes and reads, as the file FORMAT tells it.
pub fn form() -> String {
    format::expected().trim().to_owned()
}

/// Says of the files in `place` that they are a store of this program's form.
///
/// # Errors
/// `Io` when the disk refuses.
pub fn stamp(place: impl AsRef<Path>) -> Result<(), StoreError> {
    let place = place.as_ref();
    format::create(place).map_err(|e| durable::io_error(place, &e))
}

/// Puts a store that was put together in `side` into `place`, where none is. After a crash it is there whole, or not at all.
///
/// # Errors
/// `Io` when the disk refuses, `Corrupt` when `side` is no whole store.
pub fn install(side: impl AsRef<Path>, place: impl AsRef<Path>) -> Result<(), StoreError> {
    let (side, place) = (side.as_ref(), place.as_ref());
    let refused = |e: &io::Error| durable::io_error(place, e);
    format::readable(side)?;
    if !has_tables(&database(side)).map_err(|e| refused(&e))? {
        return Err(StoreError::Corrupt { place: side.display().to_string(), detail: "it has no tables".to_owned() });
    }
    let durably = || -> io::Result<()> {
        File::open(database(side))?.sync_all()?;
        File::open(side)?.sync_all()?;
        remove_directory(place)?;
        fs::rename(side, place)?;
        durable::sync_parent(place)
    };
    durably().map_err(|e| refused(&e))
}

/// Removes what was being put together, or a checkpoint that is of no more use.
///
/// # Errors
/// `Io` when the disk refuses.
pub fn discard(place: impl AsRef<Path>) -> Result<(), StoreError> {
    let place = place.as_ref();
    remove_directory(place).map_err(|e| durable::io_error(place, &e))
}
