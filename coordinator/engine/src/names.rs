//! The names that a definition's expressions see in a saga: `input`, `now`, and each step's result by the step's name.

use std::borrow::Cow;

use sagaline_definition::expr::Names;
use sagaline_definition::model::Definition;
use sagaline_schemas::{Millis, Value};

use crate::ledger::Outcome;
use crate::saga::{Saga, StepState};

/// A saga as its expressions see it. Payloads are decoded when they are named.
pub(crate) struct SagaNames<'a> {
    pub definition: &'a Definition,
    pub saga: &'a Saga,
    pub now: Millis,
}

impl Names for SagaNames<'_> {
    fn get(&self, name: &str) -> Option<Cow<'_, Value>> {
        match name {
            "input" => Some(decode(&self.saga.input)),
            "now" => Some(Cow::Owned(Value::Int(self.now))),
            step => {
                let step = self.definition.step_index(step)?;
                self.result(self.saga.steps.get(step)?)
            }
        }
    }
}

impl SagaNames<'_> {
    /// A step that is not done has no result yet: its name is not to be seen.
    fn result(&self, state: &StepState) -> Option<Cow<'_, Value>> {
        match state {
            StepState::Waiting | StepState::Active { .. } => None,
            StepState::Skipped | StepState::Continued => Some(Cow::Owned(Value::Null)),
            StepState::Done { effect } => match &self.saga.effects.get(*effect as usize)?.outcome {
                Outcome::Succeeded { result } | Outcome::Contradicted { result, .. } => Some(decode(result)),
                Outcome::Decided | Outcome::Sent | Outcome::Refused { .. } | Outcome::Unknown { .. } => None,
            },
        }
    }
}

/// What the fold has let in is JSON; anything else reads as null rather than as a reason to stop.
fn decode(json: &[u8]) -> Cow<'_, Value> {
    Cow::Owned(Value::parse(json).unwrap_or_default())
}
