//! The file FORMAT beside the database: which program may read it. A store of another version is refused, never misread.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sagaline_partition::store::{FORMAT, StoreError};

use crate::durable;

/// The version of this crate's own layout: the families and their options.
const LAYOUT: u32 = 1;

/// Passes when the store was written by this version, or is not there yet: then it is given this version.
pub(crate) fn check(place: &Path, database: &Path) -> Result<(), StoreError> {
    match found(place)? {
        None if !database.exists() => create(place).map_err(|e| durable::io_error(place, &e)),
        found => judge(place, found.as_deref()),
    }
}

/// Whether this program may read the store in `place`. Nothing is opened or changed.
///
/// # Errors
/// `Format` where it was written in another form, `Io` where that can't be known.
pub fn readable(place: &Path) -> Result<(), StoreError> {
    judge(place, found(place)?.as_deref())
}

fn found(place: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    durable::read(&file(place)).map_err(|e| durable::io_error(place, &e))
}

fn judge(place: &Path, found: Option<&[u8]>) -> Result<(), StoreError> {
    match found {
        Some(found) if found == expected().as_bytes() => Ok(()),
        Some(found) => Err(other_version(place, &String::from_utf8_lossy(found))),
        None => Err(other_version(place, "unknown (the file FORMAT is missing)")),
    }
}

/// Forgets the version; the last act of removing a store, so that a removal cut short is seen.
pub(crate) fn remove(place: &Path) -> io::Result<()> {
    durable::remove(&file(place))
}

/// Whether a version is told there.
pub(crate) fn is_at(place: &Path) -> bool {
    file(place).exists()
}

pub(crate) fn create(place: &Path) -> io::Result<()> {
    fs::create_dir_all(place)?;
    durable::replace(&file(place), expected().as_bytes())
}

fn file(place: &Path) -> PathBuf {
    place.join("FORMAT")
}

pub(crate) fn expected() -> String {
    format!("sagaline store, layout {LAYOUT}, entries {FORMAT}\n")
}

fn other_version(place: &Path, found: &str) -> StoreError {
    StoreError::Format {
        place: place.display().to_string(),
        found: found.trim().chars().take(80).collect(),
        expected: expected().trim().to_owned(),
    }
}
