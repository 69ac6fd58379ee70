//! Reconciling: what ended sagas' reports say, beside what participants say today.

use std::collections::BTreeMap;

use sagaline_schemas::{EffectId, Millis, SagaId, Value};
use serde::{Deserialize, Serialize};

/// Which effects are to be asked after; one page of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconcile {
    /// Those of this participant only.
    #[serde(default)]
    pub participant: Option<String>,
    /// Those of sagas that ended at most so many milliseconds ago, by the log's wall clock.
    #[serde(default)]
    pub ended_within: Option<Millis>,
    /// Participants that are not asked: their effects are counted only.
    #[serde(default)]
    pub without: Vec<String>,
    /// How long an answer is awaited after the one before, milliseconds.
    #[serde(default)]
    pub patience: Option<u64>,
    /// As the page before said.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// What was asked, and what is to be told of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReconcilePage {
    /// Every effect whose report and participant do not say the same, in words.
    pub told: Vec<Reconciled>,
    /// By participant, what became of the questions.
    pub participants: BTreeMap<String, Tally>,
    /// Ended sagas that were looked at.
    pub sagas: u64,
    /// Effects of theirs after which nobody can be asked: their contract has no probe.
    pub no_probe: u64,
    /// Records in the topic of answers that answered nothing that was asked.
    pub ignored: Ignored,
    /// To be given as `cursor` for what comes after; none: that was all.
    pub next: Option<String>,
}

/// What became of the questions to one participant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// It says what the report says.
    pub same: u64,
    /// It says the opposite.
    pub differs: u64,
    /// It does not know, or the report does not.
    pub unknown: u64,
    /// It has not answered.
    pub silent: u64,
    /// It was not asked, as `without` says.
    pub left_out: u64,
}

/// How report and participant compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// They say the same.
    Same,
    /// They say the opposite.
    Differs,
    /// One of them does not know.
    Unknown,
    /// The participant has not answered.
    Silent,
}

/// What a saga's report says of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reported {
    /// It stands in the world.
    Applied,
    /// It does not: refused, or undone.
    Void,
    /// Nobody found out.
    Unknown,
}

/// What a participant says of an effect: whether it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It can't tell: it has forgotten, or never recorded what became of it.
    Unknown,
}

/// One effect that is told of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reconciled {
    /// How report and participant compare.
    pub verdict: Verdict,
    /// The saga.
    pub saga: SagaId,
    /// Its definition's name.
    pub definition: String,
    /// Its correlation id.
    pub key: String,
    /// The step's name.
    pub step: String,
    /// Indices of the items; empty outside `for_each`.
    pub items: Vec<u32>,
    /// How often the place was begun anew before.
    pub round: u32,
    /// The effect.
    pub effect: EffectId,
    /// Who was asked.
    pub participant: String,
    /// What the report says.
    pub report: Reported,
    /// What the participant says; none: nothing.
    pub says: Option<Says>,
    /// When the saga ended: since then its report says so. Milliseconds since 1970.
    pub since: Millis,
    /// Why it has said nothing, where that is known.
    pub why: Option<String>,
    /// What the probe's operation returned: what the business knows of the effect now.
    pub found: Option<Value>,
}

/// Records in the topic of answers that answered nothing that was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignored {
    /// They are no replies, or can't be read.
    pub unreadable: u64,
    /// Nobody waits for them: repeats, answers that came too late, answers to another run.
    pub not_awaited: u64,
    /// Their token is not the one that the question carried.
    pub unproven: u64,
    /// They are no answer to a probe, or too large.
    pub unfit: u64,
}

impl Ignored {
    /// How many in all.
    pub fn total(&self) -> u64 {
        self.unreadable + self.not_awaited + self.unproven + self.unfit
    }
}
