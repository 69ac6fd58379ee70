//! What a life of a process was folding into a store, beside it on the disk: whoever opens the store of a life that died knows where. It is no fact of
//! the log: it lies beside the database, never in it.

use std::path::{Path, PathBuf};

use sagaline_partition::store::StoreError;
use serde::{Deserialize, Serialize};

use crate::durable;

/// How far a life is known to have come. None of them: it ended cleanly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Trail {
    /// It has the store open, and did not say where it folds.
    Open,
    /// It folds one of these records.
    Stretch {
        /// The first.
        from: i64,
        /// Behind the last.
        to: i64,
    },
    /// It folds this input.
    Input {
        /// The record.
        offset: i64,
        /// The timer within it; 0: the record itself.
        timer: u32,
        /// So many lives before it have died there, one after the other.
        died: u32,
    },
}

impl Trail {
    /// The trail at the store in `place`; none: nobody has it open, nobody died with it.
    ///
    /// # Errors
    /// When the file can't be read, or is not what was written.
    pub fn load(place: impl AsRef<Path>) -> Result<Option<Self>, StoreError> {
        let place = place.as_ref();
        let Some(content) = durable::read(&file(place)).map_err(|e| durable::io_error(place, &e))? else {
            return Ok(None);
        };
        serde_json::from_slice(&content).map(Some).map_err(|e| StoreError::Corrupt {
            place: place.display().to_string(),
            detail: format!("{}: {e}. It may be deleted", file(place).display()),
        })
    }

    /// Replaces it; none removes it. It survives a power failure once this returns. The store must have been opened before: its directory is there.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(trail: Option<&Self>, place: impl AsRef<Path>) -> Result<(), StoreError> {
        let place = place.as_ref();
        let outcome = match trail {
            None => durable::remove(&file(place)),
            Some(trail) => {
                let content = serde_json::to_vec(trail).expect("numbers always encode");
                durable::replace(&file(place), &content)
            }
        };
        outcome.map_err(|e| durable::io_error(place, &e))
    }
}

fn file(place: &Path) -> PathBuf {
    place.join("folding.json")
}
