//! Making a store of a checkpoint: which one may be used, and bringing it onto the disk. What can't be used is told and passed by; a store
//! is there whole or not at all, whenever the process dies.

use std::path::{Path, PathBuf};

use sagaline_log::{Log, LogError};
use sagaline_partition::KnownRules;
use sagaline_partition::store::Store;
use sagaline_schemas::Offset;
use sagaline_store::{RocksStore, Shared, Sidecar, checkpoint};

use super::CheckpointError;
use super::manifest::Manifest;
use super::shelf::{Found, Kept, Shelf, Standing};
use crate::owner::opening::Identity;
use crate::{Names, sealed};

/// Makes stores of one partition of one log.
pub struct Restorer<'a> {
    /// Its checkpoints.
    pub shelf: Shelf<'a>,
    /// Its log.
    pub log: &'a dyn Log,
    /// What the topics are called.
    pub names: &'a Names,
    /// The rules by which it is to be folded on.
    pub rules: KnownRules,
}

/// What can be used, and what speaks against the others.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// The newest first.
    pub usable: Vec<Kept>,
    /// A line for each that can't be used.
    pub rejected: Vec<String>,
}

impl Choice {
    /// What speaks against those that there are.
    pub fn why(&self) -> String {
        if self.rejected.is_empty() { "there is none".to_owned() } else { self.rejected.join("; ") }
    }
}

impl Restorer<'_> {
    /// The verified checkpoints of no record at or behind `below` from which this log can be folded on.
    ///
    /// # Errors
    /// When the object store or the log does not answer.
    pub fn choose(&self, below: Offset) -> Result<Choice, CheckpointError> {
        let bounds = sealed::bounds(self.log, &self.names.inbox(), self.shelf.partition)?;
        let mut choice = Choice::default();
        for Found { id, outcome } in self.shelf.list()? {
            let judged = outcome.map_err(|error| error.to_string()).and_then(|kept| {
                let spoken = self.against(&kept, bounds, below).map_err(|error| error.to_string())?;
                spoken.map_or(Ok(kept), Err)
            });
            match judged {
                Ok(kept) => choice.usable.push(kept),
                Err(why) => choice.rejected.push(format!("{id}: {why}")),
            }
        }
        Ok(choice)
    }

    /// What speaks against a checkpoint; none: nothing.
    fn against(&self, kept: &Kept, (start, end): (Offset, Offset), below: Offset) -> Result<Option<String>, LogError> {
        let manifest = &kept.manifest;
        match &kept.standing {
            Standing::Verified(_) => {}
            Standing::Unverified => return Ok(Some("nobody has verified it yet".to_owned())),
            Standing::Refuted(verdict) => {
                return Ok(Some(format!("it was refuted by {}: the log folded anew gives another state", verdict.by)));
            }
        }
        if manifest.position > below {
            return Ok(Some(format!("it lies behind offset {below}")));
        }
        if !(start..=end).contains(&manifest.position) {
            return Ok(Some(format!("the log holds {start}..{end}, it goes on at {}", manifest.position)));
        }
        if manifest.form != checkpoint::form() {
            return Ok(Some(format!("its form is {:?}, this program's {:?}", manifest.form, checkpoint::form())));
        }
        if !self.rules.knows(manifest.rules) {
            return Ok(Some(format!(
                "version {} of the rules is in force there: this program does not know it",
                manifest.rules
            )));
        }
        if let Some(other) = manifest.files.iter().find(|file| !checkpoint::is_part(&file.name)) {
            return Ok(Some(format!("{:?} is no file of a store", other.name)));
        }
        Ok(self.other_log(manifest)?.or(self.other_record(manifest, start)?))
    }

    fn other_log(&self, manifest: &Manifest) -> Result<Option<String>, LogError> {
        let here = Identity::of(self.log, &self.names.inbox())?;
        let Manifest { cluster_id, topic_id, .. } = manifest;
        let same = (cluster_id, topic_id) == (&here.cluster_id, &here.topic_id);
        Ok((!same).then(|| {
            format!(
                "it is of the topic {topic_id} in cluster {cluster_id}, this is {} in {}",
                here.topic_id, here.cluster_id
            )
        }))
    }

    /// The log may have been cut before the checkpoint's end, and written anew.
    fn other_record(&self, manifest: &Manifest, start: Offset) -> Result<Option<String>, LogError> {
        let last = manifest.position - 1;
        let Some(wanted) = manifest.last_record.filter(|_| last >= start) else { return Ok(None) };
        let same = sealed::holds(self.log, &self.names.inbox(), self.shelf.partition, last, wanted)?;
        Ok((!same).then(|| format!("the log holds another record at offset {last}: it was cut and written anew")))
    }

    /// Makes a store in `place`, where none is, of the newest checkpoint that can be used and brought here; gives it. None: there is no such
    /// checkpoint, and why.
    ///
    /// # Errors
    /// When the object store, the log or the disk does not do what it should.
    pub fn restore(&self, place: &Path, below: Offset) -> Result<Result<Kept, String>, CheckpointError> {
        let mut choice = self.choose(below)?;
        for kept in std::mem::take(&mut choice.usable) {
            match self.bring(&kept, place) {
                Ok(()) => return Ok(Ok(kept)),
                Err(error @ (CheckpointError::Disk { .. } | CheckpointError::Store(_))) => return Err(error),
                Err(error) => {
                    tracing::error!(partition = self.shelf.partition, checkpoint = kept.id, %error, "passed by");
                    choice.rejected.push(format!("{}: {error}", kept.id));
                }
            }
        }
        Ok(Err(choice.why()))
    }

    /// What a log is folded upon: a store in `place` of the newest checkpoint that can be used, with its position, or where the log is whole,
    /// an empty one.
    ///
    /// # Errors
    /// When there is neither, or something does not do what it should.
    pub fn base(
        &self,
        place: &Path,
        below: Offset,
        shared: &Shared,
    ) -> Result<(Box<dyn Store>, Option<Offset>), CheckpointError> {
        checkpoint::discard(place)?;
        let position = match self.restore(place, below)? {
            Ok(kept) => Some(kept.position()),
            Err(why) => {
                let partition = self.shelf.partition;
                let (start, _) = sealed::bounds(self.log, &self.names.inbox(), partition)?;
                if start > 0 {
                    let why = format!("the log begins at offset {start}: {why}");
                    return Err(CheckpointError::None { partition, why });
                }
                None
            }
        };
        Ok((Box::new(RocksStore::open(place, shared)?), position))
    }

    /// Makes a store in `place`, where none is, of one checkpoint.
    ///
    /// # Errors
    /// `Damaged` when a file is not what the manifest says; else when the object store or the disk does not do what it should.
    pub fn bring(&self, kept: &Kept, place: &Path) -> Result<(), CheckpointError> {
        let side = beside(place, "restoring");
        self.fetch(kept, &side)?;
        let (cluster_id, topic_id) = (kept.manifest.cluster_id.clone(), kept.manifest.topic_id.clone());
        Sidecar { cluster_id: Some(cluster_id), topic_id: Some(topic_id), halted: None }.save(&side)?;
        Ok(checkpoint::install(&side, place)?)
    }

    /// Brings a checkpoint's files into `side`, each of which is what the manifest says.
    ///
    /// # Errors
    /// As `bring`.
    pub fn fetch(&self, kept: &Kept, side: &Path) -> Result<(), CheckpointError> {
        checkpoint::discard(side)?;
        for part in &kept.manifest.files {
            let name = self.shelf.file(part.hash);
            let damaged = |detail: &str| CheckpointError::Damaged {
                place: self.shelf.vault.place(&name),
                detail: detail.to_owned(),
            };
            if !checkpoint::is_part(&part.name) {
                return Err(damaged("it is no file of a store"));
            }
            let at = checkpoint::part_at(side, &part.name)?;
            match self.shelf.vault.get_file(&name, &at)? {
                Some(hash) if hash == part.hash => {}
                Some(_) => return Err(damaged("its content is not what it was")),
                None => return Err(damaged("it is gone")),
            }
        }
        Ok(checkpoint::stamp(side)?)
    }
}

/// A folder beside another: on the same disk.
pub(super) fn beside(place: &Path, what: &str) -> PathBuf {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    place.with_file_name(format!("{name}.{what}"))
}
