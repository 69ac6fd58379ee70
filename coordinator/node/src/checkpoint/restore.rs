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
    /// Those of a timeline that the log has lost: at their end it holds another record now.
    pub lost: Vec<Kept>,
    /// A line for each that can't be used.
    pub rejected: Vec<String>,
    /// What kept one from being judged or brought here, and may pass.
    pub hindered: Option<CheckpointError>,
}

impl Choice {
    /// What speaks against those that there are.
    pub fn why(&self) -> String {
        if self.rejected.is_empty() { "there is none".to_owned() } else { self.rejected.join("; ") }
    }

    /// Why nothing of it was used, where that is so for good.
    ///
    /// # Errors
    /// What may be otherwise when it is asked for again: then it is not known that there is none.
    pub fn into_why(self) -> Result<String, CheckpointError> {
        let why = self.why();
        self.hindered.map_or(Ok(why), Err)
    }

    /// Another one that can't be used.
    fn reject(&mut self, id: &str, error: CheckpointError) {
        self.rejected.push(format!("{id}: {error}"));
        if error.may_pass() {
            self.hindered.get_or_insert(error);
        }
    }
}

/// What speaks against a checkpoint.
enum Objection {
    /// It is of records that this log has lost, and holds others instead of.
    Lost(String),
    /// Anything else.
    Unfit(String),
}

impl Restorer<'_> {
    /// The verified checkpoints of no record at or behind `below` from which this log can be folded on.
    ///
    /// # Errors
    /// When the object store or the log does not answer.
    pub fn choose(&self, below: Offset) -> Result<Choice, CheckpointError> {
        let bounds = sealed::bounds(self.log, &self.names.inbox(), self.shelf.partition)?;
        let here = Identity::of(self.log, &self.names.inbox())?;
        let mut choice = Choice::default();
        for Found { id, outcome } in self.shelf.list()? {
            let judged = outcome.and_then(|kept| {
                let objection = self.against(&kept, &here, bounds, below)?;
                Ok((kept, objection))
            });
            match judged {
                Ok((kept, None)) => choice.usable.push(kept),
                Ok((kept, Some(Objection::Lost(why)))) => {
                    choice.lost.push(kept);
                    choice.rejected.push(format!("{id}: {why}"));
                }
                Ok((_, Some(Objection::Unfit(why)))) => choice.rejected.push(format!("{id}: {why}")),
                Err(error) => choice.reject(&id, error),
            }
        }
        Ok(choice)
    }

    /// The checkpoints from which the log as it is now can be folded on, once those of a timeline that it has lost are removed: when it is trimmed
    /// up to one of them, nothing tells that from a good one any more. To be asked before anything is trimmed.
    ///
    /// # Errors
    /// When the object store or the log does not answer: also while a single checkpoint can't be judged.
    pub fn sift(&self) -> Result<Vec<Kept>, CheckpointError> {
        let Choice { usable, lost, hindered, .. } = self.choose(Offset::MAX)?;
        for kept in lost {
            tracing::warn!(
                partition = self.shelf.partition,
                checkpoint = kept.id,
                "removed: the log has lost the records that it was made of, and holds others instead"
            );
            self.shelf.remove(&kept.id)?;
        }
        hindered.map_or(Ok(usable), Err)
    }

    /// What speaks against a checkpoint; none: nothing. Whose timeline it is of comes before what this program makes of it: another program may
    /// be able to use it, once the log was trimmed and nobody can tell any more.
    fn against(
        &self,
        kept: &Kept,
        here: &Identity,
        (start, end): (Offset, Offset),
        below: Offset,
    ) -> Result<Option<Objection>, LogError> {
        let manifest = &kept.manifest;
        let unfit = |why: String| Ok(Some(Objection::Unfit(why)));
        if let Standing::Refuted(verdict) = &kept.standing {
            return unfit(format!("it was refuted by {}: the log folded anew gives another state", verdict.by));
        }
        if manifest.position > below {
            return unfit(format!("it lies behind offset {below}"));
        }
        if !(start..=end).contains(&manifest.position) {
            return unfit(format!("the log holds {start}..{end}, it goes on at {}", manifest.position));
        }
        if let Some(why) = other_log(manifest, here) {
            return unfit(why);
        }
        if let Some(why) = self.other_record(manifest, start)? {
            return Ok(Some(Objection::Lost(why)));
        }
        Ok(self.of_no_use(kept).map(Objection::Unfit))
    }

    /// What of the checkpoint itself, and not of its log, speaks against it.
    fn of_no_use(&self, kept: &Kept) -> Option<String> {
        let manifest = &kept.manifest;
        if !kept.is_verified() {
            return Some("nobody has verified it yet".to_owned());
        }
        if manifest.form != checkpoint::form() {
            return Some(format!("its form is {:?}, this program's {:?}", manifest.form, checkpoint::form()));
        }
        if !self.rules.knows(manifest.rules) {
            let version = manifest.rules;
            return Some(format!("version {version} of the rules is in force there: this program does not know it"));
        }
        let other = manifest.files.iter().find(|file| !checkpoint::is_part(&file.name))?;
        Some(format!("{:?} is no file of a store", other.name))
    }

    /// The log may have been cut before the checkpoint's end, and written anew. Where that record was trimmed, nobody can tell any more: whoever
    /// trims has sifted before.
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
                    choice.reject(&kept.id, error);
                }
            }
        }
        choice.into_why().map(Err)
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
            match self.shelf.vault.get_file(&name, &at, part.bytes)? {
                Some(hash) if hash == part.hash => {}
                Some(_) => return Err(damaged("its content is not what it was")),
                None => return Err(damaged("it is gone")),
            }
        }
        Ok(checkpoint::stamp(side)?)
    }
}

fn other_log(manifest: &Manifest, here: &Identity) -> Option<String> {
    let Manifest { cluster_id, topic_id, .. } = manifest;
    let same = (cluster_id, topic_id) == (&here.cluster_id, &here.topic_id);
    (!same).then(|| {
        format!(
            "it is of the topic {topic_id} in cluster {cluster_id}, this is {} in {}",
            here.topic_id, here.cluster_id
        )
    })
}

/// A folder beside another: on the same disk.
pub(super) fn beside(place: &Path, what: &str) -> PathBuf {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    place.with_file_name(format!("{name}.{what}"))
}
