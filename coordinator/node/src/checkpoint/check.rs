//! Is a checkpoint what its log says? Its files are brought here and read, the log is folded anew from an earlier verified one, or from its
//! first record, and both are compared by their digests. Whoever finds them the same says so beside the checkpoint, and so does who does not.

use std::cell::Cell;
use std::path::Path;

use sagaline_partition::digest::digest;
use sagaline_partition::store::Store;
use sagaline_partition::view;
use sagaline_schemas::{Digest, Offset};
use sagaline_store::checkpoint::{Frozen, discard};
use sagaline_store::{Memory, Shared};

use super::CheckpointError;
use super::manifest::{Source, Verdict};
use super::restore::Restorer;
use super::shelf::Kept;
use super::take::little_memory;
use crate::verify::{Goal, Refold, VerifyError};

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// The checkpoint's files are fetched and read.
    Fetching,
    /// The log is folded.
    Folding {
        /// The record that is folded next.
        at: Offset,
        /// Where it began.
        from: Offset,
        /// Where it ends.
        until: Offset,
    },
}

/// Verifies checkpoints of one partition.
pub struct Check<'a> {
    /// How stores are made of checkpoints.
    pub restorer: Restorer<'a>,
    /// A folder that is ours alone; it is gone afterwards.
    pub scratch: &'a Path,
    /// Who verifies.
    pub by: &'a str,
    /// Is told what is done. False: give up.
    pub watch: &'a dyn Fn(Looked) -> bool,
}

impl Check<'_> {
    /// Verifies one; gives it with what came of it, which is said in the vault, too.
    ///
    /// # Errors
    /// When it can't be said: the checkpoint is damaged, or the log, the disk or the object store does not do what it should.
    pub fn check(&self, kept: &Kept) -> Result<Kept, CheckpointError> {
        let outcome = self.compare(kept);
        discard(self.scratch)?;
        let verdict = outcome?;
        self.restorer.shelf.mark(kept, verdict)
    }

    fn compare(&self, kept: &Kept) -> Result<Verdict, CheckpointError> {
        discard(self.scratch)?;
        std::fs::create_dir_all(self.scratch).map_err(|error| CheckpointError::Disk {
            place: self.scratch.display().to_string(),
            detail: error.to_string(),
        })?;
        let manifest = &kept.manifest;
        let stored = self.stored(kept)?;
        let mut from = Source::Log;
        let shelf = &self.restorer.shelf;
        let refold = Refold {
            log: self.restorer.log,
            names: self.restorer.names,
            key: shelf.key,
            partition: manifest.partition,
        };
        let (until, began) = (manifest.position, Cell::new(0));
        let goal = Goal::before(until);
        let place = self.scratch.join("refold");
        let mut base = |below: Offset| -> Result<Box<dyn Store>, VerifyError> {
            let shared = Shared::new(Memory { cache: 32 << 20, write_buffers: 16 << 20 });
            let based = self.restorer.base(&place, below.min(until - 1), &shared);
            let (store, position) = based.map_err(|error| VerifyError::Base(error.to_string()))?;
            from = position.map_or(Source::Log, |position| Source::Checkpoint { position });
            began.set(position.unwrap_or(0));
            Ok(store)
        };
        let watch = |at: Offset| (self.watch)(Looked::Folding { at, from: began.get(), until });
        let partition = refold.up_to(&goal, &mut base, &watch)?;
        let refolded = digest(&*partition.reader())?;
        drop(partition);
        Ok(Verdict {
            manifest: kept.hash,
            partition: manifest.partition,
            position: until,
            stored,
            refolded,
            from,
            by: self.by.to_owned(),
            at: self.restorer.log.wall_clock(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    /// The digest of what the checkpoint's files hold.
    fn stored(&self, kept: &Kept) -> Result<Digest, CheckpointError> {
        if !(self.watch)(Looked::Fetching) {
            return Err(VerifyError::GivenUp.into());
        }
        let place = self.scratch.join("checkpoint");
        self.restorer.fetch(kept, &place)?;
        let frozen = Frozen::open(&place, &little_memory())?;
        let position = view::meta(&frozen)?.map_or(0, |meta| meta.next);
        if position != kept.position() {
            let detail = format!("its files hold a store at offset {position}");
            return Err(CheckpointError::Damaged { place: self.restorer.shelf.place(&kept.id), detail });
        }
        let stored = digest(&frozen)?;
        drop(frozen);
        discard(&place)?;
        Ok(stored)
    }
}
