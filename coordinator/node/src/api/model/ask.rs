//! What people ask of sagas through the API, and what becomes of it.

use sagaline_schemas::request::Finding;
use sagaline_schemas::{Offset, Partition, RequestId, SagaId, Value};
use serde::{Deserialize, Serialize};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// A saga is to begin: `definition`, `key`, `input`.
    Start,
    /// Go back.
    Cancel,
    /// Go on where it is stuck.
    Retry,
    /// End it by hand: `evidence`.
    Close,
    /// Settle what became of an effect: `step`, `finding`, `result`, `evidence`.
    Confirm,
    /// Leave a step out: `step`.
    Skip,
    /// Set a fact: `fact`, `value`, `seq`.
    SetFact,
    /// Decide an approval: `step`, `version`, `choice`.
    Decide,
    /// Say that something has happened: `step`, `value`.
    Signal,
    /// Have it begin nothing new.
    Hold,
    /// Let it, or a held step, go on: `step`.
    Release,
    /// Make it somebody's: `owner`.
    Assign,
    /// Add a remark to its history.
    Note,
    /// Have a participant, a definition's sagas or everything wait: `subject`.
    Pause,
    /// Let them go on: `subject`.
    Resume,
}

/// A person's request. Whom it concerns: `saga`, or `definition` and `key`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// What is asked.
    pub kind: Wish,
    /// Who asks.
    pub by: String,
    /// The saga's id.
    #[serde(default)]
    pub saga: Option<SagaId>,
    /// The definition's name.
    #[serde(default)]
    pub definition: Option<String>,
    /// The correlation id.
    #[serde(default)]
    pub key: Option<String>,
    /// What the saga begins with; `{}` unless said.
    #[serde(default)]
    pub input: Option<Value>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// Where the proof lies that the world is as it should be: for `close` and `confirm`.
    #[serde(default)]
    pub evidence: Option<String>,
    /// The roles of who asks: `role/NAME`.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The step meant.
    #[serde(default)]
    pub step: Option<String>,
    /// Indices of the items; empty outside `for_each`.
    #[serde(default)]
    pub items: Vec<u32>,
    /// The round meant; none: the newest.
    #[serde(default)]
    pub round: Option<u32>,
    /// What was found out about an effect.
    #[serde(default)]
    pub finding: Option<Finding>,
    /// The effect's result, where it was done.
    #[serde(default)]
    pub result: Option<Value>,
    /// The fact meant.
    #[serde(default)]
    pub fact: Option<String>,
    /// The fact's value, or the event that is signalled.
    #[serde(default)]
    pub value: Option<Value>,
    /// The fact's version; none: it holds until a higher one comes.
    #[serde(default)]
    pub seq: Option<i64>,
    /// The version of the approval that was looked at.
    #[serde(default)]
    pub version: Option<i64>,
    /// What is decided.
    #[serde(default)]
    pub choice: Option<String>,
    /// For whom it is decided, by somebody who stands in for them.
    #[serde(default)]
    pub on_behalf_of: Option<String>,
    /// Whose it is from now on.
    #[serde(default)]
    pub owner: Option<String>,
    /// `participant/NAME`, `definition/NAME` or `all`.
    #[serde(default)]
    pub subject: Option<String>,
}

impl Ask {
    /// A request that says who asks and what, and nothing else yet.
    pub fn new(kind: Wish, by: String) -> Self {
        Self {
            kind,
            by,
            saga: None,
            definition: None,
            key: None,
            input: None,
            reason: None,
            evidence: None,
            roles: Vec::new(),
            step: None,
            items: Vec::new(),
            round: None,
            finding: None,
            result: None,
            fact: None,
            value: None,
            seq: None,
            version: None,
            choice: None,
            on_behalf_of: None,
            owner: None,
            subject: None,
        }
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Outcome {
    /// It was taken.
    Taken {
        /// The saga it concerned.
        saga: SagaId,
    },
    /// The key has or had a saga already: this one.
    Exists {
        /// That saga.
        saga: SagaId,
    },
    /// It was taken; it concerned no single saga.
    Done,
    /// It was not taken.
    Refused {
        /// Why, and what is possible.
        reason: String,
    },
}

/// A request on its way, or what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Its id: asking again with it is asking once.
    pub id: RequestId,
    /// The inbox partition that takes it.
    pub partition: Partition,
    /// Where it lies in the inbox.
    pub offset: Offset,
    /// None: it is not folded yet; ask for it again.
    pub outcome: Option<Outcome>,
}
