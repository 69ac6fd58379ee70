//! Definitions in their normal form: every default filled in, every order explicit, every expression parsed. The engine reads nothing else.

mod policy;
mod step;

use std::collections::BTreeMap;

use sagaline_schemas::hash::normal_form_digest;
use sagaline_schemas::{Digest, Value};
use serde::{Deserialize, Serialize};

use crate::expr::Expr;
use crate::rehearsal::Rehearsal;
use crate::types::Type;

pub use self::policy::*;
pub use self::step::*;

/// A definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its name.
    pub saga: String,
    /// Semantic version. One name and version never has two digests.
    pub version: String,
    /// Whose sagas these are.
    pub owner: String,
    /// The contracts it uses: participant -> digest.
    #[serde(rename = "use")]
    pub contracts: BTreeMap<String, Digest>,
    /// How a saga begins.
    pub start: Start,
    /// When it must have ended.
    pub deadline: Deadline,
    /// What is kept current of the world while a saga lives, in file order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<FactClause>,
    /// What follows when the world turns, in file order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub react: Vec<Reaction>,
    /// In file order.
    pub steps: Vec<Step>,
    /// What must hold before an end may be called by its name.
    #[serde(default, skip_serializing_if = "Ensure::is_empty")]
    pub ensure: Ensure,
    /// What a completed saga returns to its parent; sees all step names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Template>,
    /// Calendars that `sleep` names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub calendars: BTreeMap<String, Calendar>,
    /// How time runs, where it is only rehearsed; never said in a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<Rehearsal>,
}

/// How a saga begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The domain topic; none: by request only.
    pub topic: Option<String>,
    /// Which events; sees `event`.
    #[serde(rename = "if")]
    pub condition: Option<Expr>,
    /// The correlation id; sees `event`. Always there with a topic.
    pub key: Option<Expr>,
    /// The saga's input; sees `event`. None: the event itself.
    pub input: Option<Expr>,
    /// The input's type: an input of another shape begins no saga.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "type")]
    pub shape: Option<Type>,
    /// What a start does whose key has had a saga.
    #[serde(default, skip_serializing_if = "Again::is_never")]
    pub again: Again,
}

/// What a start does whose key is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Again {
    /// Nothing: one saga for a key, as long as it is remembered.
    #[default]
    Never,
    /// Another saga begins where the last one has ended; beside a live one it does nothing.
    Ended,
}

impl Again {
    fn is_never(&self) -> bool {
        *self == Self::Never
    }
}

/// When a saga must have ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deadline {
    /// Milliseconds after its start.
    pub after: i64,
    /// What then.
    #[serde(rename = "else")]
    pub otherwise: Word,
    /// What then, once the pivot is decided.
    pub after_pivot: Word,
}

/// What then? (places and meaning: docs/definitions.md)
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// The step counts as done with a null result; what it did stays.
    Continue,
    /// What this step did is made void, then it counts as skipped.
    Skip,
    /// The saga goes back.
    Compensate,
    /// A step and all after it are undone, then run again.
    BackTo(BackTo),
    /// The step rests with a work item; the rest goes on.
    Hold,
    /// The saga waits for a person.
    Stuck,
}

/// Work that loops back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackTo {
    /// The step that runs again, with all that stand after it.
    pub step: StepIndex,
    /// How often, from this place, in one saga.
    pub at_most: u32,
    /// What then; never `back_to`.
    #[serde(rename = "else")]
    pub otherwise: Box<Word>,
}

/// Something that is kept current of the world while a saga lives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactClause {
    /// Its name: `facts.NAME` in expressions.
    pub fact: String,
    /// The domain topic that tells it; none: by hand or `ask` only.
    pub topic: Option<String>,
    /// Which events; sees `event`.
    #[serde(rename = "if")]
    pub condition: Option<Expr>,
    /// Whom an event concerns: the saga's correlation id, or what `of` names; sees `event`. Always there with a topic.
    pub key: Option<Expr>,
    /// The other key that it belongs to, a product's say; sees `input`. None: the saga's own.
    #[serde(rename = "for")]
    pub of: Option<Expr>,
    /// What an event says; sees `event`. Always there with a topic.
    pub value: Option<Expr>,
    /// The version of what it says, an integer: the highest wins; sees `event`. None: the log's order.
    pub seq: Option<Expr>,
    /// What it is until somebody tells.
    pub initial: Value,
    /// The type of its values, where it is said: what tells another is refused, not found out by an expression later.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "type")]
    pub shape: Option<Type>,
    /// How old it may be before it counts as unknown (`null`), milliseconds.
    pub fresh: Option<i64>,
    /// A participant that is asked for it.
    pub ask: Option<AskFact>,
}

/// A fact that a participant is asked for every so often, because no event tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskFact {
    /// The participant.
    pub participant: String,
    /// Its operation, which reads.
    pub operation: String,
    /// The question; sees `input` and `facts`.
    pub with: Template,
    /// How often, milliseconds.
    pub every: i64,
    /// What the answer says; sees `answer`.
    pub value: Expr,
}

/// What follows when a condition on the world turns true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reaction {
    /// Looked at after every input; acts each time it turns from false to true. Sees `input`, `facts` and step names.
    #[serde(rename = "if")]
    pub condition: Expr,
    /// Only while the first of these steps has begun and the second has not.
    pub between: Option<(StepIndex, StepIndex)>,
    /// What then.
    pub then: Word,
    /// What then, once the pivot is decided.
    pub after_pivot: Word,
}

/// What must hold before an end may be called by its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ensure {
    /// Before `completed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<Check>,
    /// Before `compensated` and `cancelled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensated: Option<Check>,
}

impl Ensure {
    fn is_empty(&self) -> bool {
        self.completed.is_none() && self.compensated.is_none()
    }
}

/// Something that must hold, or the saga is stuck.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What; sees `probe.STEP`, what the step's probe found, beside all other names.
    #[serde(rename = "if")]
    pub condition: Expr,
    /// How long it may take to become true, milliseconds.
    pub within: i64,
    /// Steps whose participants are asked first; ascending.
    pub probes: Vec<StepIndex>,
}

/// When work is done somewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// IANA time zone: `Europe/Berlin`.
    pub zone: String,
    /// Days of the week on which work is done, 1 (Monday) to 7; ascending.
    pub days: Vec<u8>,
    /// Minutes of the day from which on work is done, and until which.
    pub hours: (u16, u16),
    /// Days on which it is not, `YYYY-MM-DD`; ascending.
    pub holidays: Vec<String>,
}

impl FactClause {
    /// Whether it may be this.
    ///
    /// # Errors
    /// When that is not of its type.
    pub fn admits(&self, value: &Value) -> Result<(), String> {
        let fits = self.shape.as_ref().map_or(Ok(()), |shape| shape.check(value));
        fits.map_err(|mismatch| format!("type: {mismatch}"))
    }
}

impl Definition {
    /// Canonical JSON: sorted keys, no spaces.
    pub fn normal_form(&self) -> Vec<u8> {
        let json = serde_json::to_vec(self).expect("a definition has text keys only");
        Value::parse(&json).expect("what was just written is JSON").to_json()
    }

    /// Reads a normal form.
    ///
    /// # Errors
    /// When it is not one, or an expression in it breaks a limit.
    pub fn from_normal_form(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// What the definition is named by, for ever.
    pub fn digest(&self) -> Digest {
        normal_form_digest("definition", &self.normal_form())
    }

    /// The number of the step of that name.
    pub fn step_index(&self, name: &str) -> Option<StepIndex> {
        self.steps.iter().position(|step| step.step == name)
    }
}
