//! Taking a checkpoint from where the owner of the store has left it to the vault: its digest, its files, and last its manifest. It runs
//! beside the fold and never holds it up.

use std::path::Path;

use sagaline_partition::digest::digest;
use sagaline_partition::view;
use sagaline_schemas::Millis;
use sagaline_store::checkpoint::{Frozen, form, parts};
use sagaline_store::{Memory, Shared};

use super::CheckpointError;
use super::manifest::{Manifest, Part};
use super::shelf::{Kept, REFRESH, Shelf};
use super::vault::hash;
use crate::owner::opening::Identity;

/// What a store does not know of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Its log.
    pub identity: Identity,
    /// The node that takes it.
    pub node: String,
    /// The log's wall clock, after the last record was folded.
    pub now: Millis,
}

/// Memory for reading a checkpoint once: of its own, so that what is read is what lies on the disk.
pub(super) fn little_memory() -> Shared {
    Shared::new(Memory { cache: 8 << 20, write_buffers: 4 << 20 })
}

/// Uploads the checkpoint that lies in `place`. Files that are there already are not sent again. Interrupted, or given up once `go_on` says
/// no, it was never there.
///
/// # Errors
/// When the checkpoint can't be read, or the object store refuses.
pub fn upload(
    shelf: &Shelf<'_>,
    place: &Path,
    about: &About,
    go_on: &dyn Fn() -> bool,
) -> Result<Kept, CheckpointError> {
    let manifest = describe(place, about)?;
    let local = parts(place)?;
    for ((_, path), part) in local.iter().zip(&manifest.files) {
        if !go_on() {
            return Err(CheckpointError::GivenUp);
        }
        let name = shelf.file(part.hash);
        let there = shelf.vault.head(&name)?;
        if there.is_none_or(|there| there.bytes != part.bytes || about.now.saturating_sub(there.modified) > REFRESH) {
            shelf.vault.put_file(&name, path)?;
        }
    }
    for part in &manifest.files {
        let name = shelf.file(part.hash);
        if shelf.vault.head(&name)?.is_none_or(|there| there.bytes != part.bytes) {
            let detail = "it was written and is not there: who else removes objects here?".to_owned();
            return Err(CheckpointError::Damaged { place: shelf.vault.place(&name), detail });
        }
    }
    shelf.add(manifest)
}

fn describe(place: &Path, about: &About) -> Result<Manifest, CheckpointError> {
    let frozen = Frozen::open(place, &little_memory())?;
    let state = digest(&frozen)?;
    let begun = || CheckpointError::Disk {
        place: place.display().to_string(),
        detail: "the checkpoint holds no record: there is nothing to keep yet".to_owned(),
    };
    let meta = view::meta(&frozen)?.ok_or_else(begun)?;
    drop(frozen);
    let Identity { cluster_id, topic_id } = about.identity.clone();
    let mut files = Vec::new();
    for (name, path) in parts(place)? {
        let (hash, bytes) = hash(&path)?;
        files.push(Part { name, bytes, hash });
    }
    Ok(Manifest {
        log_id: meta.log_id,
        cluster_id,
        topic: meta.topic,
        topic_id,
        partition: meta.partition,
        partitions: meta.partitions,
        position: meta.next,
        last_record: meta.last_record,
        log_time: meta.log_time,
        state,
        form: form(),
        rules: meta.rules_version,
        taken_by: about.node.clone(),
        taken_at: about.now,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        files,
    })
}
