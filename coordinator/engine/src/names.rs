//! The names that a definition's expressions see in a saga: `input`, `now`, `facts`, `probe`, each step's result by the step's name, and
//! what belongs to a place: its item, `event`, `shown`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sagaline_definition::expr::Names;
use sagaline_definition::model::Definition;
use sagaline_schemas::{Millis, Value};

use crate::ledger::Outcome;
use crate::saga::{PlaceState, Saga, Spot, StepState};
use crate::turn::At;

/// A saga as its expressions see it. Payloads are decoded when they are named.
pub(crate) struct SagaNames<'a> {
    definition: &'a Definition,
    saga: &'a Saga,
    now: Millis,
    /// Names of one place only.
    own: Vec<(&'a str, Value)>,
}

impl<'a> SagaNames<'a> {
    /// What every expression sees.
    pub fn of(definition: &'a Definition, saga: &'a Saga, now: Millis) -> Self {
        Self { definition, saga, now, own: Vec::new() }
    }

    /// What the expressions of a place see.
    pub fn at(definition: &'a Definition, saga: &'a Saga, now: Millis, at: At) -> Self {
        let mut names = Self::of(definition, saga, now);
        let item = saga.steps[at.step as usize].state.places().get(at.item).and_then(|place| place.item.as_ref());
        if let (Some(each), Some(item)) = (&definition.steps[at.step as usize].for_each, item) {
            names.own.push((&each.item, Value::parse(item).unwrap_or_default()));
        }
        names
    }

    /// What the expressions about an effect see: its place's names, and its step's name as its own result.
    pub fn of_effect(definition: &'a Definition, saga: &'a Saga, now: Millis, spot: &Spot, effect: u32) -> Self {
        let item = spot.items.first().map_or(0, |item| *item as usize);
        let result = result_of(saga, effect);
        let step = &definition.steps[spot.step as usize];
        Self::at(definition, saga, now, At { step: spot.step, item }).with(&step.step, result.unwrap_or_default())
    }

    /// One name more.
    pub fn with(mut self, name: &'a str, value: Value) -> Self {
        self.own.push((name, value));
        self
    }

    fn facts(&self) -> Value {
        let mut facts = BTreeMap::new();
        for (clause, state) in self.definition.facts.iter().zip(&self.saga.facts) {
            let old = clause.fresh.is_some_and(|fresh| {
                state.told_at.is_none_or(|told_at| told_at.saturating_add(fresh) < self.now)
            });
            let value = if old { Value::Null } else { Value::parse(&state.value).unwrap_or_default() };
            facts.insert(clause.fact.clone(), value);
        }
        Value::Map(facts)
    }

    /// By step, what its newest probe found.
    fn probes(&self) -> Value {
        let mut found = BTreeMap::new();
        for effect in &self.saga.effects {
            if let (Some(step), Some(probed)) = (self.definition.steps.get(effect.step as usize), &effect.probed) {
                found.insert(step.step.clone(), Value::parse(probed).unwrap_or_default());
            }
        }
        Value::Map(found)
    }

    /// A step that is not settled has no result yet: its name is not to be seen.
    fn result(&self, step: usize) -> Option<Value> {
        let run = self.saga.steps.get(step)?;
        let StepState::Begun { places } = &run.state else {
            return matches!(run.state, StepState::Skipped).then_some(Value::Null);
        };
        if self.definition.steps[step].for_each.is_some() {
            let all = places.iter().map(|place| self.of_place(&place.state)).collect::<Option<Vec<_>>>()?;
            return Some(Value::List(all));
        }
        self.of_place(&places.first()?.state)
    }

    fn of_place(&self, state: &PlaceState) -> Option<Value> {
        match state {
            PlaceState::Waiting
            | PlaceState::Guarded
            | PlaceState::Queued
            | PlaceState::Active { .. }
            | PlaceState::Awaiting { .. }
            | PlaceState::Asking { .. }
            | PlaceState::Owed { .. }
            | PlaceState::Held { .. } => None,
            PlaceState::Skipped | PlaceState::Continued => Some(Value::Null),
            PlaceState::Known { value } => Some(Value::parse(value).unwrap_or_default()),
            PlaceState::Done { effect } => result_of(self.saga, *effect),
        }
    }
}

impl Names for SagaNames<'_> {
    fn get(&self, name: &str) -> Option<Cow<'_, Value>> {
        if let Some((_, value)) = self.own.iter().rev().find(|(own, _)| *own == name) {
            return Some(Cow::Borrowed(value));
        }
        match name {
            // What the fold has let in is JSON; anything else reads as null rather than as a reason to stop.
            "input" => Some(Cow::Owned(Value::parse(&self.saga.input).unwrap_or_default())),
            "now" => Some(Cow::Owned(Value::Int(self.now))),
            "facts" => Some(Cow::Owned(self.facts())),
            "probe" => Some(Cow::Owned(self.probes())),
            step => self.result(self.definition.step_index(step)?).map(Cow::Owned),
        }
    }
}

fn result_of(saga: &Saga, effect: u32) -> Option<Value> {
    match &saga.effects.get(effect as usize)?.outcome {
        Outcome::Succeeded { result } | Outcome::Contradicted { result, .. } => {
            Some(Value::parse(result).unwrap_or_default())
        }
        Outcome::Decided | Outcome::Sent | Outcome::Refused { .. } | Outcome::Unknown { .. } => None,
    }
}
