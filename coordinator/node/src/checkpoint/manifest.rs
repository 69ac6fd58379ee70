//! What is said of a checkpoint, and how it is proven: a line with the seal, then JSON. The seal is over the JSON's bytes as they lie there,
//! by the log's key, for one log and one kind of document.

use sagaline_schemas::proof::Key;
use sagaline_schemas::{Digest, LogId, Millis, Offset};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::CheckpointError;

/// What opens every document: whose it is, and the version of its form.
const OPENING: &str = "sagaline document 1 ";
/// Digits of a seal.
const DIGITS: usize = 64;

/// A document of one kind.
pub trait Document: Serialize + DeserializeOwned {
    /// What its seal is for: one kind never stands for another.
    const KIND: &'static str;
}

/// A checkpoint: which state it is, of which log, and of which files it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The log.
    pub log_id: LogId,
    /// The cluster in which it lies.
    pub cluster_id: String,
    /// The inbox topic.
    pub topic: String,
    /// Its id there.
    pub topic_id: String,
    /// Which partition of it.
    pub partition: u32,
    /// Of how many.
    pub partitions: u32,
    /// Every record before this offset is folded, and nothing of the one at it.
    pub position: Offset,
    /// BLAKE3 of the last of them.
    pub last_record: Option<Digest>,
    /// Log time there.
    pub log_time: Millis,
    /// The state digest (records.md section 1).
    pub state: Digest,
    /// The form of the store, as its file FORMAT tells it.
    pub form: String,
    /// The rules in force there.
    pub rules: u32,
    /// The node that took it.
    pub taken_by: String,
    /// When, by the log's wall clock. Every record in it was appended before.
    pub taken_at: Millis,
    /// Its program.
    pub program: String,
    /// The files of the store.
    pub files: Vec<Part>,
}

/// A file of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its name in the store.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// BLAKE3 of its content: its name among the objects.
    pub hash: Digest,
}

impl Manifest {
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

impl Document for Manifest {
    const KIND: &'static str = "checkpoint";
}

/// What came of folding the log anew up to a checkpoint's position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// BLAKE3 of the manifest's bytes as they lie there.
    pub manifest: Digest,
    /// The inbox partition.
    pub partition: u32,
    /// The checkpoint's position.
    pub position: Offset,
    /// The state digest of what its files hold.
    pub stored: Digest,
    /// The state digest of the log folded anew.
    pub refolded: Digest,
    /// What the refold began with.
    pub from: Source,
    /// Who verified: a node, or a person at the command line.
    pub by: String,
    /// When.
    pub at: Millis,
    /// With which program.
    pub program: String,
}

/// What a refold began with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// The log's first record.
    Log,
    /// Another checkpoint, verified before.
    Checkpoint {
        /// Its position.
        position: Offset,
    },
}

impl Verdict {
    /// Whether the checkpoint is what its log says, and what its manifest says.
    pub fn same(&self, manifest: &Manifest) -> bool {
        self.stored == self.refolded && self.stored == manifest.state
    }
}

impl Document for Verdict {
    const KIND: &'static str = "verdict";
}

/// A document's bytes.
pub fn seal<T: Document>(key: &Key, log_id: LogId, document: &T) -> Vec<u8> {
    let mut content = serde_json::to_vec_pretty(document).expect("text keys and whole numbers only");
    content.push(b'\n');
    let seal = key.document(log_id, T::KIND, &content);
    [format!("{OPENING}{seal}\n").into_bytes(), content].concat()
}

/// The document that these bytes are.
///
/// # Errors
/// `Unproven` when this log's key has not sealed them as such, `Unreadable` when they are sealed and this program does not know their form.
pub fn open<T: Document>(key: &Key, log_id: LogId, place: &str, bytes: &[u8]) -> Result<T, CheckpointError> {
    let unproven = || CheckpointError::Unproven { place: place.to_owned() };
    let rest = bytes.strip_prefix(OPENING.as_bytes()).ok_or_else(unproven)?;
    let (said, rest) = rest.split_at_checked(DIGITS).ok_or_else(unproven)?;
    let content = rest.strip_prefix(b"\n").ok_or_else(unproven)?;
    let said: Option<Digest> = std::str::from_utf8(said).ok().and_then(|said| said.parse().ok());
    if said != Some(key.document(log_id, T::KIND, content)) {
        return Err(unproven());
    }
    serde_json::from_slice(content)
        .map_err(|error| CheckpointError::Unreadable { place: place.to_owned(), detail: error.to_string() })
}
