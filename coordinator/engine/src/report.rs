//! The world report: what state the world is in now, effect by effect, and how that is known.

use sagaline_definition::model::{Definition, Verb};
use sagaline_schemas::record::End;
use sagaline_schemas::{Millis, SagaId, Value};
use serde::Serialize;

use crate::ledger::{Outcome, Undo};
use crate::saga::{Effect, FactState, KnownBy, Phase, Saga, Stuck};
use crate::validate::stands;

/// The state of the world as far as one saga has to do with it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorldReport {
    /// The saga.
    pub saga: SagaId,
    /// The definition's name.
    pub definition: String,
    /// The correlation id.
    pub key: String,
    /// How it ended; none: it has not.
    pub end: Option<End>,
    /// Log time of the end.
    pub ended_at: Option<Millis>,
    /// Why it waits for a person, in one sentence; none: it does not.
    pub stuck: Option<String>,
    /// Every effect, in the order in which they were decided.
    pub effects: Vec<EffectReport>,
    /// The facts as they were.
    pub facts: Vec<FactReport>,
}

/// One fact as the saga last knew it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FactReport {
    /// Its name.
    pub fact: String,
    /// Its value.
    pub value: Value,
    /// Its version, where it has one.
    pub seq: Option<i64>,
    /// Log time when it was told; none: it is the initial value.
    pub told_at: Option<Millis>,
    /// Who set it, where a person did.
    pub by: Option<String>,
}

/// What became of one effect.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EffectReport {
    /// The step's name.
    pub step: String,
    /// Indices of the items; empty outside `for_each`.
    pub items: Vec<u32>,
    /// How often the place was begun anew before.
    pub round: u32,
    /// The participant; `saga` for a child saga.
    pub participant: String,
    /// Its operation; a child saga's definition.
    pub operation: String,
    /// What was asked for.
    pub input: Value,
    /// Whether it stands in the world; none: not known.
    pub stands: Option<bool>,
    /// What became of doing it.
    pub outcome: &'static str,
    /// What it returned, or the refusal's code, or what happened last.
    pub detail: Value,
    /// What became of undoing it; none: it was not to be undone.
    pub undo: Option<&'static str>,
    /// Attempts at doing it.
    pub attempts: u32,
    /// Attempts at undoing it.
    pub undo_attempts: u32,
    /// How this is known.
    pub known_by: String,
    /// What its last probe found.
    pub probed: Option<Value>,
}

/// The report as of now.
pub fn report(definition: &Definition, saga: &Saga) -> WorldReport {
    let (end, ended_at) = match &saga.phase {
        Phase::Ended { end, at, .. } => (Some(*end), Some(*at)),
        Phase::Running { .. } | Phase::Stuck { .. } => (None, None),
    };
    WorldReport {
        saga: saga.id,
        definition: definition.saga.clone(),
        key: saga.key.clone(),
        end,
        ended_at,
        stuck: why_stuck(definition, saga),
        effects: saga.effects.iter().map(|effect| effect_report(definition, effect)).collect(),
        facts: definition
            .facts
            .iter()
            .zip(&saga.facts)
            .map(|(clause, state)| fact_report(&clause.fact, state))
            .collect(),
    }
}

/// Why a saga waits for a person, in one sentence; none: it does not.
pub fn why_stuck(definition: &Definition, saga: &Saga) -> Option<String> {
    match &saga.phase {
        Phase::Stuck { stuck, .. } => Some(stuck.sentence(definition, &saga.effects)),
        Phase::Running { .. } | Phase::Ended { .. } => None,
    }
}

impl Stuck {
    /// For people: what stopped the saga, with the names of its definition.
    pub fn sentence(&self, definition: &Definition, effects: &[Effect]) -> String {
        let name = |step: u32| definition.steps.get(step as usize).map_or("?", |step| &step.step);
        let place = |step: u32, items: &[u32]| match items.first() {
            Some(item) => format!("{}, item {item}", name(step)),
            None => name(step).to_owned(),
        };
        let effect = |number: u32| effects.get(number as usize).map_or("?".to_owned(), |of| place(of.step, &of.items));
        match self {
            Self::Step { spot, cause } if spot.items.is_empty() => format!("{cause}"),
            Self::Step { spot, cause } => format!("{cause} (at {})", place(spot.step, &spot.items)),
            Self::Expression { step: Some(step), error } => {
                format!("an expression of {} has no value: {error}", name(*step))
            }
            Self::Expression { step: None, error } => format!("an expression has no value: {error}"),
            Self::Contradiction { effect: of } => {
                format!("the participant says both that {} was done and that it was not", effect(*of))
            }
            Self::Compensation { effect: of, error } => format!("{} can't be undone: {error}", effect(*of)),
            Self::LateSuccess { effect: of } => {
                format!("{} was done after its participant had said that there was nothing to undo", effect(*of))
            }
            Self::Deadline => "its time is up".to_owned(),
            Self::Fault { offset, reason } => format!("the input at offset {offset} was passed over: {reason}"),
            Self::Reaction { rule } => {
                let rule = definition.react.get(*rule as usize);
                format!("the world turned: {}", rule.map_or("?", |rule| rule.condition.source()))
            }
            Self::Ensure { found } => format!("what must hold before its end does not: {found}"),
            Self::AliasTaken { alias, value, holder } => format!("{alias} {value:?} names another saga: {holder}"),
        }
    }
}

fn fact_report(fact: &str, state: &FactState) -> FactReport {
    FactReport {
        fact: fact.to_owned(),
        value: Value::parse(&state.value).unwrap_or_default(),
        seq: state.seq,
        told_at: state.told_at,
        by: state.by.clone(),
    }
}

fn effect_report(definition: &Definition, effect: &Effect) -> EffectReport {
    let step = &definition.steps[effect.step as usize];
    let (participant, operation) = match &step.verb {
        Verb::Call(call) => (call.participant.clone(), call.operation.clone()),
        Verb::Saga(child) => ("saga".to_owned(), child.saga.clone()),
        Verb::Sleep(_) | Verb::Wait(_) | Verb::Until(_) | Verb::Approve(_) | Verb::Decide(_) => Default::default(),
    };
    let (outcome, detail) = match &effect.outcome {
        Outcome::Decided => ("decided", Value::Null),
        Outcome::Sent => ("sent", Value::Null),
        Outcome::Succeeded { result } => ("succeeded", Value::parse(result).unwrap_or_default()),
        Outcome::Refused { code, .. } => ("refused", Value::from(code.as_str())),
        Outcome::Unknown { error } => ("unknown", Value::from(error.as_str())),
        Outcome::Contradicted { code, .. } => ("contradicted", Value::from(code.as_str())),
    };
    EffectReport {
        step: step.step.clone(),
        round: effect.round,
        items: effect.items.clone(),
        participant,
        operation,
        input: Value::parse(&effect.input).unwrap_or_default(),
        stands: stands(&effect.outcome, &effect.undo),
        outcome,
        detail,
        undo: undo_word(&effect.undo),
        attempts: effect.tries.count,
        undo_attempts: effect.undo_tries.count,
        known_by: known_by(effect),
        probed: effect.probed.as_ref().map(|found| Value::parse(found).unwrap_or_default()),
    }
}

fn undo_word(undo: &Undo) -> Option<&'static str> {
    match undo {
        Undo::No => None,
        Undo::Listed => Some("listed"),
        Undo::Decided => Some("decided"),
        Undo::Sent => Some("sent"),
        Undo::Compensated { .. } => Some("compensated"),
        Undo::NothingThere => Some("nothing there"),
        Undo::UsedUp => Some("not undone"),
    }
}

fn known_by(effect: &Effect) -> String {
    if let KnownBy::Person { by, reason, evidence } = &effect.known {
        return format!("by hand: {by}, {reason} ({evidence})");
    }
    let probed = effect.known == KnownBy::Probe;
    match (&effect.outcome, &effect.undo) {
        (_, Undo::Compensated { .. } | Undo::NothingThere) => "reply to the compensation",
        (Outcome::Succeeded { .. } | Outcome::Refused { .. }, _) if probed => "probe",
        (Outcome::Succeeded { .. } | Outcome::Refused { .. }, _) => "reply",
        (Outcome::Contradicted { .. }, _) => "two replies that contradict each other",
        (Outcome::Decided | Outcome::Sent | Outcome::Unknown { .. }, _) => "nobody said",
    }
    .to_owned()
}
