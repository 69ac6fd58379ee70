//! The checkpoints of one inbox partition as they lie in the vault: their names, what was said of each, and which are kept. A manifest is
//! written last and removed first: what has none is no checkpoint, whatever else of it lies there.

use std::collections::{BTreeMap, BTreeSet};

use sagaline_schemas::proof::Key;
use sagaline_schemas::{Digest, LogId, Millis, Offset, Partition};

use super::CheckpointError;
use super::manifest::{self, Manifest, Verdict};
use super::vault::{Object, Vault};

/// Files that no manifest names are removed once they are so old: whoever is taking a checkpoint has written them, or written them again, lately.
const ORPHANED: Millis = 24 * 3_600_000;
/// A file that is there already and older than this is written again, so that nobody takes it for left behind.
pub(super) const REFRESH: Millis = ORPHANED / 2;

/// One partition's place in the vault.
#[derive(Clone, Copy, Debug)]
pub struct Shelf<'a> {
    /// The object store.
    pub vault: &'a Vault,
    /// The log's key.
    pub key: &'a Key,
    /// The log.
    pub log_id: LogId,
    /// Which partition.
    pub partition: Partition,
}

/// A checkpoint whose manifest is sealed by this log's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name on the shelf: its position and a part of its manifest's hash.
    pub id: String,
    /// What it is.
    pub manifest: Manifest,
    /// BLAKE3 of the manifest's bytes.
    pub hash: Digest,
    /// What is known of it.
    pub standing: Standing,
}

/// What is known of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has held it against its log.
    Unverified,
    /// The log folded anew gives the same.
    Verified(Verdict),
    /// It does not.
    Refuted(Verdict),
}

impl Kept {
    /// Every record before this offset is in it.
    pub fn position(&self) -> Offset {
        self.manifest.position
    }

    /// Whether a node may go on from it.
    pub fn is_verified(&self) -> bool {
        matches!(self.standing, Standing::Verified(_))
    }
}

/// What lies under a checkpoint's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The name.
    pub id: String,
    /// The checkpoint, or why it is none.
    pub outcome: Result<Kept, CheckpointError>,
}

impl Shelf<'_> {
    fn root(&self) -> String {
        format!("{}/partition-{}", self.log_id, self.partition)
    }

    fn named(&self, id: &str, document: &str) -> String {
        format!("{}/checkpoints/{id}/{document}", self.root())
    }

    /// Where a file of this content lies.
    pub(super) fn file(&self, hash: Digest) -> String {
        format!("{}/files/{hash}", self.root())
    }

    /// Where a checkpoint's manifest lies, for messages.
    pub fn place(&self, id: &str) -> String {
        self.vault.place(&self.named(id, "manifest"))
    }

    /// Every checkpoint there is, the newest first.
    ///
    /// # Errors
    /// When the object store does not give them. What is wrong with a single one stands in its place.
    pub fn list(&self) -> Result<Vec<Found>, CheckpointError> {
        let below = format!("{}/checkpoints", self.root());
        let mut there: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for object in self.vault.list(&below)? {
            let rest = object.name.strip_prefix(&below).unwrap_or_default().trim_start_matches('/');
            if let Some((id, document)) = rest.split_once('/') {
                there.entry(id.to_owned()).or_default().insert(document.to_owned());
            }
        }
        let whole = there.into_iter().rev().filter(|(_, documents)| documents.contains("manifest"));
        Ok(whole.map(|(id, documents)| Found { outcome: self.read(&id, &documents), id }).collect())
    }

    /// The checkpoints that are sealed by this log's key, the newest first.
    ///
    /// # Errors
    /// As `list`.
    pub fn kept(&self) -> Result<Vec<Kept>, CheckpointError> {
        Ok(self.list()?.into_iter().filter_map(|found| found.outcome.ok()).collect())
    }

    fn read(&self, id: &str, documents: &BTreeSet<String>) -> Result<Kept, CheckpointError> {
        let place = self.place(id);
        let gone = || CheckpointError::Damaged { place: place.clone(), detail: "it was removed just now".to_owned() };
        let bytes = self.vault.get(&self.named(id, "manifest"))?.ok_or_else(gone)?;
        let manifest: Manifest = manifest::open(self.key, self.log_id, &place, &bytes)?;
        let hash = Digest(*blake3::hash(&bytes).as_bytes());
        // A true manifest under another's name, or of another partition, is a forgery all the same.
        if id != name_of(&manifest, hash) || manifest.partition != self.partition || manifest.log_id != self.log_id {
            return Err(CheckpointError::Unproven { place });
        }
        let standing =
            match (self.verdict(id, hash, documents, "refuted")?, self.verdict(id, hash, documents, "verified")?) {
                (Some(verdict), _) => Standing::Refuted(verdict),
                (None, Some(verdict)) if verdict.same(&manifest) => Standing::Verified(verdict),
                (None, _) => Standing::Unverified,
            };
        Ok(Kept { id: id.to_owned(), manifest, hash, standing })
    }

    /// What is said of a checkpoint; none: nothing, or nothing that is sealed and about it.
    fn verdict(
        &self,
        id: &str,
        hash: Digest,
        documents: &BTreeSet<String>,
        word: &str,
    ) -> Result<Option<Verdict>, CheckpointError> {
        if !documents.contains(word) {
            return Ok(None);
        }
        let name = self.named(id, word);
        let place = self.vault.place(&name);
        let Some(bytes) = self.vault.get(&name)? else { return Ok(None) };
        match manifest::open::<Verdict>(self.key, self.log_id, &place, &bytes) {
            Ok(verdict) if verdict.manifest == hash => Ok(Some(verdict)),
            Ok(_) | Err(CheckpointError::Unproven { .. }) => {
                tracing::error!(place, "a word about a checkpoint that proves nothing: it is ignored");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Puts a checkpoint on the shelf. Its files are there.
    ///
    /// # Errors
    /// When the object store refuses.
    pub(super) fn add(&self, manifest: Manifest) -> Result<Kept, CheckpointError> {
        let bytes = manifest::seal(self.key, self.log_id, &manifest);
        let hash = Digest(*blake3::hash(&bytes).as_bytes());
        let id = name_of(&manifest, hash);
        self.vault.put(&self.named(&id, "manifest"), bytes)?;
        Ok(Kept { id, manifest, hash, standing: Standing::Unverified })
    }

    /// Says of a checkpoint what came of folding the log anew. Who said so first stays.
    ///
    /// # Errors
    /// When the object store refuses.
    pub(super) fn mark(&self, kept: &Kept, verdict: Verdict) -> Result<Kept, CheckpointError> {
        let same = verdict.same(&kept.manifest);
        let word = if same { "verified" } else { "refuted" };
        self.vault.create(&self.named(&kept.id, word), manifest::seal(self.key, self.log_id, &verdict))?;
        let standing = if same { Standing::Verified(verdict) } else { Standing::Refuted(verdict) };
        Ok(Kept { standing, ..kept.clone() })
    }

    /// Removes checkpoints older than the `keep` newest of those that are usable, and files that none needs any more; the one at which the log
    /// begins stays, too: behind it all is still there. `usable`: from which this log can be folded on, the newest first, as `Restorer::choose`
    /// gives them: what can't be used takes the place of none. Gives how many checkpoints went.
    ///
    /// # Errors
    /// When the object store refuses; then the rest is for another time.
    pub fn clear(&self, usable: &[Kept], keep: usize, start: Offset, now: Millis) -> Result<usize, CheckpointError> {
        let Some(oldest) = usable.get(keep.max(2) - 1).map(|kept| kept.id.clone()) else { return Ok(0) };
        let found = self.list()?;
        let begins = |found: &Found| found.outcome.as_ref().is_ok_and(|kept| start > 0 && kept.position() == start);
        let stays = |found: &Found| found.id >= oldest || begins(found);
        let (kept, old): (Vec<Found>, Vec<Found>) = found.into_iter().partition(stays);
        for found in &old {
            self.remove(&found.id)?;
        }
        // Where a manifest can't be read it is not known which files it needs: none is removed.
        let Ok(kept) = kept.into_iter().map(|found| found.outcome).collect::<Result<Vec<Kept>, _>>() else {
            return Ok(old.len());
        };
        let needed: BTreeSet<String> =
            kept.iter().flat_map(|kept| &kept.manifest.files).map(|file| self.file(file.hash)).collect();
        for Object { name, modified, .. } in self.vault.list(&format!("{}/files", self.root()))? {
            if !needed.contains(&name) && now.saturating_sub(modified) > ORPHANED {
                self.vault.remove(&name)?;
            }
        }
        Ok(old.len())
    }

    /// Removes those that hold the record at `from` and not the one at `below`. Gives how many.
    ///
    /// # Errors
    /// When the object store refuses.
    pub fn remove_between(&self, from: Offset, below: Offset) -> Result<usize, CheckpointError> {
        let between = |kept: &Kept| from < kept.position() && kept.position() <= below;
        let found: Vec<Kept> = self.kept()?.into_iter().filter(between).collect();
        found.iter().try_for_each(|kept| self.remove(&kept.id))?;
        Ok(found.len())
    }

    /// Removes a checkpoint. Its files go with `clear`, once none needs them.
    ///
    /// # Errors
    /// When the object store refuses.
    pub fn remove(&self, id: &str) -> Result<(), CheckpointError> {
        ["manifest", "verified", "refuted"].into_iter().try_for_each(|word| self.vault.remove(&self.named(id, word)))
    }
}

/// In the order of positions.
fn name_of(manifest: &Manifest, hash: Digest) -> String {
    format!("{:020}-{}", manifest.position, &hash.to_string()[..12])
}
