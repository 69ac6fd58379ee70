//! Checkpoints, as the API takes and gives them, and as `sagaline checkpoint list` does without a node.

use sagaline_schemas::{Digest, Millis, Offset, Partition};
use serde::{Deserialize, Serialize};

use super::{Happening, SagaDetail};
use crate::checkpoint::{Found, Kept, Source, Standing};

/// All checkpoints of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointPage {
    /// Where they lie.
    pub url: String,
    /// Inbox partitions.
    pub partitions: u32,
    /// By partition, the newest first.
    pub checkpoints: Vec<CheckpointLine>,
}

/// What is known of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointWord {
    /// Nobody has held it against its log.
    Unverified,
    /// The log folded anew gives the same.
    Verified,
    /// It does not: it is never used.
    Refuted,
    /// It is damaged, or nobody with the log's key has written it: it is never used.
    Unusable,
}

/// One checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointLine {
    /// Inbox partition.
    pub partition: Partition,
    /// Its name.
    pub id: String,
    /// What is known of it.
    pub word: CheckpointWord,
    /// Why it can't be used; none: nothing is known to be wrong.
    pub why: Option<String>,
    /// What it holds; none where it can't be read.
    pub holds: Option<CheckpointHolds>,
}

/// What a checkpoint holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointHolds {
    /// Every record before this offset.
    pub position: Offset,
    /// The state digest.
    pub state: Digest,
    /// Its files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Who took it.
    pub taken_by: String,
    /// When, milliseconds since 1970.
    pub taken_at: Millis,
    /// Who verified or refuted it; none: nobody.
    pub judged_by: Option<String>,
    /// When.
    pub judged_at: Option<Millis>,
    /// From where on the log was folded anew for that: an earlier checkpoint's position; 0: from its first record.
    pub judged_from: Option<Offset>,
}

impl CheckpointLine {
    /// As it lies there.
    pub fn of(partition: Partition, found: &Found) -> Self {
        match &found.outcome {
            Ok(kept) => Self::of_kept(kept),
            Err(error) => Self {
                partition,
                id: found.id.clone(),
                word: CheckpointWord::Unusable,
                why: Some(error.to_string()),
                holds: None,
            },
        }
    }

    /// As it lies there, sealed by this log's key.
    pub fn of_kept(kept: &Kept) -> Self {
        let manifest = &kept.manifest;
        let (word, verdict) = match &kept.standing {
            Standing::Unverified => (CheckpointWord::Unverified, None),
            Standing::Verified(verdict) => (CheckpointWord::Verified, Some(verdict)),
            Standing::Refuted(verdict) => (CheckpointWord::Refuted, Some(verdict)),
        };
        let refuted = verdict.filter(|_| word == CheckpointWord::Refuted);
        let from = |source: &Source| match source {
            Source::Log => 0,
            Source::Checkpoint { position } => *position,
        };
        Self {
            partition: manifest.partition,
            id: kept.id.clone(),
            word,
            why: refuted
                .map(|verdict| format!("it holds {}, the log folded anew gives {}", verdict.stored, verdict.refolded)),
            holds: Some(CheckpointHolds {
                position: manifest.position,
                state: manifest.state,
                files: manifest.files.len(),
                bytes: manifest.bytes(),
                taken_by: manifest.taken_by.clone(),
                taken_at: manifest.taken_at,
                judged_by: verdict.map(|verdict| verdict.by.clone()),
                judged_at: verdict.map(|verdict| verdict.at),
                judged_from: verdict.map(|verdict| from(&verdict.from)),
            }),
        }
    }
}

/// A saga as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastPage {
    /// The saga; `position` is the record that came next.
    pub saga: SagaDetail,
    /// What had happened to it.
    pub history: Vec<Happening>,
    /// When the last record before that came, by the broker's clock: milliseconds since 1970.
    pub time: Millis,
    /// From where on the log was folded anew for it.
    pub folded_from: Offset,
}

/// A checkpoint is to be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakeCheckpoint {
    /// Of this inbox partition.
    pub partition: Partition,
}
