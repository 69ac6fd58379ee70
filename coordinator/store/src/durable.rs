//! Small files that are replaced whole: after a crash there is the old file or the new one, never a part, never none.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use sagaline_partition::store::StoreError;

/// Replaces a file's content, and returns when that survives a power failure.
pub(crate) fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    let staged = file.with_extension("new");
    let mut writer = File::create(&staged)?;
    writer.write_all(content)?;
    writer.sync_all()?;
    fs::rename(&staged, file)?;
    sync_parent(file)
}

/// A file's content, none when there is no such file.
pub(crate) fn read(file: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(file) {
        Ok(content) => Ok(Some(content)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Removes a file if it is there, and returns when that survives a power failure.
pub(crate) fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Ok(()) => sync_parent(file),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

/// A rename or a removal is in the directory, which has a sync of its own.
pub(crate) fn sync_parent(file: &Path) -> io::Result<()> {
    File::open(file.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// A disk's error as the port tells it.
pub(crate) fn io_error(place: &Path, error: &io::Error) -> StoreError {
    StoreError::Io { place: place.display().to_string(), detail: error.to_string() }
}
