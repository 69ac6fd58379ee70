//! What only this machine knows about a partition's store: which topic it was folded from, why it halted. It lies beside the database,
//! never in it, because a database must be the same on every machine.

use std::path::{Path, PathBuf};

use sagaline_partition::store::StoreError;
use serde::{Deserialize, Serialize};

use crate::durable;

/// Local facts about one store, in a small file that is replaced whole.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sidecar {
    /// The cluster that the log was read from.
    pub cluster_id: Option<String>,
    /// The inbox topic's id there: a topic that was deleted and made again has another one.
    pub topic_id: Option<String>,
    /// Why the partition is not folded on, until a person decides.
    pub halted: Option<Halt>,
}

/// Why a partition halted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Halt {
    /// The record at which it halted, when it was one record's doing.
    pub offset: Option<i64>,
    /// What happened and what a person can do.
    pub reason: String,
}

impl Sidecar {
    /// The facts beside the store in `place`; none are known of a new store.
    ///
    /// # Errors
    /// When the file can't be read, or is not what was written.
    pub fn load(place: impl AsRef<Path>) -> Result<Self, StoreError> {
        let place = place.as_ref();
        let Some(content) = durable::read(&file(place)).map_err(|e| durable::io_error(place, &e))? else {
            return Ok(Self::default());
        };
        serde_json::from_slice(&content).map_err(|e| StoreError::Corrupt {
            place: place.display().to_string(),
            detail: format!("{}: {e}", file(place).display()),
        })
    }

    /// Replaces the facts. They survive a power failure once this returns. The store must have been opened before: its directory is there.
    ///
    /// # Errors
    /// When the disk refuses; then the facts of before are still there.
    pub fn save(&self, place: impl AsRef<Path>) -> Result<(), StoreError> {
        let place = place.as_ref();
        let content = serde_json::to_vec_pretty(self).expect("strings and integers always encode");
        durable::replace(&file(place), &content).map_err(|e| durable::io_error(place, &e))
    }
}

pub(crate) fn remove(place: &Path) -> std::io::Result<()> {
    durable::remove(&file(place))
}

fn file(place: &Path) -> PathBuf {
    place.join("local.json")
}
