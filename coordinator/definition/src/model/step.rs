//! Steps in their normal form: what each does, when, and what follows.

use std::collections::BTreeMap;

use sagaline_schemas::{Digest, Value};
use serde::{Deserialize, Serialize};

use super::{Policy, Word};
use crate::expr::Expr;
use crate::types::Type;

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
    /// Steps that must be done, skipped or continued before it; ascending, each below or above it in the file, never in a circle.
    pub after: Vec<StepIndex>,
    /// How many of `after` are enough; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<u32>,
    /// Looked at once, when enough of `after` are done: false skips the step.
    #[serde(rename = "if")]
    pub condition: Option<Expr>,
    /// Once for each item of a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<ForEach>,
    /// Must hold in the moment a command is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
    /// What it does.
    pub verb: Verb,
    /// From its decision on the saga only goes forward.
    pub pivot: bool,
    /// How long it should take, milliseconds: after that it is overdue, which somebody is told, and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<i64>,
    /// Other names by which events may find the saga once the step is done; each a text, sees the step's own result too.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub alias: BTreeMap<String, Expr>,
}

impl Step {
    /// All its words, whatever for.
    pub fn words(&self) -> impl Iterator<Item = &Word> {
        self.choices().chain(self.words_but_choices())
    }

    /// What becomes of each choice that people have.
    pub fn choices(&self) -> impl Iterator<Item = &Word> {
        let approve = match &self.verb {
            Verb::Approve(approve) => Some(approve),
            Verb::Call(_) | Verb::Saga(_) | Verb::Sleep(_) | Verb::Wait(_) | Verb::Until(_) | Verb::Decide(_) => None,
        };
        approve.into_iter().flat_map(|approve| approve.choices.values())
    }

    /// What becomes of it when something is not as it should be.
    pub fn words_but_choices(&self) -> impl Iterator<Item = &Word> {
        let mut words: Vec<&Word> = self.guard.iter().map(|guard| &guard.otherwise).collect();
        match &self.verb {
            Verb::Call(call) => words.extend(call.refused.values().chain([&call.refused_else, &call.failed])),
            Verb::Saga(child) => words.push(&child.failed),
            Verb::Wait(wait) => words.push(&wait.patience.otherwise),
            Verb::Until(until) => words.push(&until.patience.otherwise),
            Verb::Approve(approve) => words.push(&approve.patience.otherwise),
            Verb::Sleep(_) | Verb::Decide(_) => {}
        }
        words.into_iter()
    }
}

/// A step that runs once for each item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForEach {
    /// The item's name in the step's expressions.
    pub item: String,
    /// The list; looked at once.
    pub list: Expr,
    /// How many items at once, at least 1.
    pub at_once: u32,
    /// Most items; a longer list is a failure of the step.
    pub most: u32,
    /// So many done are enough: the rest is skipped, and what it did made void. None: all.
    pub enough: Option<u32>,
}

/// What must hold in the moment a command is decided, before every attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// The condition.
    #[serde(rename = "if")]
    pub condition: Expr,
    /// What if it does not: skip, compensate, back_to, stuck, or hold: looked at again on each change.
    #[serde(rename = "else")]
    pub otherwise: Word,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// A command to a participant, and its answer. `ask` is a call of an operation that reads.
    Call(Call),
    /// Another saga, awaited, and undone with this one.
    Saga(Child),
    /// Time passes.
    Sleep(Sleep),
    /// An event is awaited.
    Wait(Wait),
    /// A condition on facts and results is awaited; `wait: { until: }` and `expect`.
    Until(Until),
    /// People decide.
    Approve(Approve),
    /// A named decision: taken once, recorded, owned.
    Decide(Decide),
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
    /// The operation that tells whether it happened, where the contract has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<String>,
}

/// How an effect is undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compensate {
    /// By this operation of the same participant.
    By {
        /// The operation.
        operation: String,
        /// Attempts and their times.
        retry: Policy,
        /// Its own input; sees the step's result and what the step saw. None: the effect's input.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        with: Option<Template>,
    },
    /// Never: said openly, or it is the pivot.
    Never,
    /// There is nothing to undo: it only reads.
    Reads,
}

/// Another saga as a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Child {
    /// Its definition's name.
    pub saga: String,
    /// Its definition.
    pub definition: Digest,
    /// Its correlation id, a text. None: derived from this saga's and the step.
    pub key: Option<Template>,
    /// Its input.
    pub with: Template,
    /// What if it ends otherwise than completed.
    pub failed: Word,
    /// Whether it is undone with this saga; else it stays, which is said openly.
    pub compensate: bool,
}

/// How long a saga sleeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sleep {
    /// Milliseconds.
    For(i64),
    /// Until a time that the data names: milliseconds since 1970, or RFC 3339.
    Until(Expr),
    /// Until work is done in a calendar; at once where it is.
    Window(String),
    /// So many days of work in a calendar, then its next window.
    Workdays {
        /// The calendar.
        calendar: String,
        /// How many, at least 1.
        days: u32,
    },
}

/// An event is awaited. One that came before the wait counts too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// The domain topic.
    pub topic: String,
    /// The alias by which the event names the saga; none: by its correlation id.
    pub via: Option<String>,
    /// Whom an event concerns; sees `event`.
    pub key: Expr,
    /// Which events; sees `event`, and what the step sees once it waits.
    #[serde(rename = "if")]
    pub condition: Option<Expr>,
    /// The event's type: one of another shape is refused when it comes, not found out by an expression later.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "type")]
    pub shape: Option<Type>,
    /// How long.
    pub patience: Patience,
}

/// A condition is awaited.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Until {
    /// Looked at when the step begins and on each change.
    pub condition: Expr,
    /// How long.
    pub patience: Patience,
}

/// How long a step waits, who is reminded, and what then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patience {
    /// Milliseconds; 0: it must be so at once.
    pub within: i64,
    /// The owner is reminded every so many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remind: Option<i64>,
    /// What when the time is up.
    #[serde(rename = "else")]
    pub otherwise: Word,
}

/// People decide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// Who may: `role/NAME` or `user/NAME`.
    pub by: Vec<String>,
    /// What they see: frozen when they are asked, `shown` in expressions.
    pub show: Template,
    /// What each choice means.
    pub choices: BTreeMap<String, Word>,
    /// How many people must make the same choice, at least 1.
    pub quorum: u32,
    /// Who else may, after so many milliseconds; ascending.
    pub escalate: Vec<(i64, String)>,
    /// How long.
    pub patience: Patience,
    /// What makes it void: what was approved must still be true. Then it is asked anew.
    pub void_if: Option<Expr>,
}

/// A named decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decide {
    /// The first whose condition holds; the last has none.
    pub arms: Vec<Arm>,
}

/// One outcome of a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// When.
    #[serde(rename = "if")]
    pub condition: Option<Expr>,
    /// The step's result then.
    pub is: Value,
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
