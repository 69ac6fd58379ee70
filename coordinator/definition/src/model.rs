//! Definitions in their normal form: every default filled in, every order explicit, every expression parsed. The engine reads nothing else.

use std::collections::BTreeMap;

use sagaline_schemas::hash::normal_form_digest;
use sagaline_schemas::{Digest, Value};
use serde::{Deserialize, Serialize};

use crate::expr::Expr;

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
    /// In file order.
    pub steps: Vec<Step>,
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

/// What then? (records: design section 5)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// The step counts as done with a null result; what it did stays.
    Continue,
    /// The saga goes back.
    Compensate,
    /// The saga waits for a person.
    Stuck,
}

/// Number of a step in file order.
pub type StepIndex = usize;

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its name, by which expressions see its result.
    pub step: String,
    /// Whose it is; the definition's owner unless said.
    pub owner: String,
    /// Steps that must be done, skipped or continued before it; ascending, each below... or above it in the file, never in a circle.
    pub after: Vec<StepIndex>,
    /// Looked at once, when all of `after` are done: false skips the step.
    #[serde(rename = "if")]
    pub condition: Option<Expr>,
    /// What it does.
    pub verb: Verb,
    /// From its decision on the saga only goes forward.
    pub pivot: bool,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// A command to a participant, and its answer.
    Call(Call),
}

/// A command to a participant, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The participant.
    pub participant: String,
    /// Its operation.
    pub operation: String,
    /// The input: literals with `${CEL}` in them.
    pub with: Template,
    /// Attempts and their times.
    pub retry: Policy,
    /// What on a refusal, by code.
    pub refused: BTreeMap<String, Word>,
    /// What on any other refusal.
    pub refused_else: Word,
    /// What when attempts or total time are used up.
    pub failed: Word,
    /// How it is undone.
    pub compensate: Compensate,
}

/// How a call is undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compensate {
    /// By this operation of the same participant.
    By {
        /// The operation.
        operation: String,
        /// Attempts and their times.
        retry: Policy,
    },
    /// Never: said openly, or it is the pivot.
    Never,
    /// There is nothing to undo: it only reads.
    Reads,
}

/// Attempts and their times, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Most attempts, at least 1.
    pub attempts: u32,
    /// Wait before the second attempt.
    pub backoff: i64,
    /// Longest wait.
    pub cap: i64,
    /// Each wait is the last one times this, in per cent: 200 doubles.
    pub factor_percent: u32,
    /// How much of the wait is left to chance.
    pub jitter: Jitter,
    /// How long one attempt may take.
    pub attempt_timeout: i64,
    /// How long all of them may take together; none: no limit but the saga's deadline.
    pub within: Option<i64>,
}

/// How much of a backoff is left to chance. Chance is a hash of the command id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Jitter {
    /// All: between nothing and the whole wait.
    Full,
    /// Half: between half of the wait and the whole.
    Equal,
    /// Nothing.
    None,
}

/// A literal with expressions in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Template {
    /// As it stands.
    Literal(Value),
    /// `"${CEL}"` alone: the expression's value, of whatever type.
    Expr(Expr),
    /// Text with expressions in it.
    Text(Vec<TextPart>),
    /// A list.
    List(Vec<Template>),
    /// A map.
    Map(BTreeMap<String, Template>),
}

/// A piece of a text with expressions in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextPart {
    /// As it stands.
    Literal(String),
    /// `${CEL}`: a text, number or bool.
    Expr(Expr),
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
