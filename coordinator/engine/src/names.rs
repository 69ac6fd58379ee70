//! The names that a definition's expressions see in a saga: `input`, `now`, `facts`, `probe`, `outcome`, each step's result by the step's
//! name, and what belongs to a place: its item, `event`, `shown`. Every step has a value: `null` while it has no result.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;

use sagaline_definition::expr::Names;
use sagaline_definition::model::Definition;
use sagaline_schemas::{Millis, Value};

use crate::ledger::Outcome;
use crate::saga::{Place, PlaceState, Saga, StepState};
use crate::turn::{At, Turn};

/// A saga as its expressions see it. Payloads are decoded when they are named.
pub(crate) struct SagaNames<'a> {
    definition: &'a Definition,
    saga: &'a Saga,
    now: Millis,
    /// Now, as the definition has it.
    world_time: Millis,
    /// The saga's input, decoded once a turn.
    input: &'a OnceCell<Value>,
    /// Names of one place only.
    own: Vec<(&'a str, Value)>,
}

impl Turn<'_> {
    /// What every expression sees.
    pub fn names(&self) -> SagaNames<'_> {
        let (definition, saga, now) = (self.definition, &*self.saga, self.moment.log_time);
        SagaNames { definition, saga, now, world_time: self.world_time(), input: &self.input, own: Vec::new() }
    }

    /// What the expressions of a place see.
    pub fn names_at(&self, at: At) -> SagaNames<'_> {
        let item = self.saga.steps[at.step as usize].state.places().get(at.item).and_then(|place| place.item.as_ref());
        match (&self.step(at.step).for_each, item) {
            (Some(each), Some(item)) => self.names().with(&each.item, Value::parse(item).unwrap_or_default()),
            _ => self.names(),
        }
    }

    /// What the expressions about an effect see: its place's names, and its step's name as its own result.
    pub fn names_of_effect(&self, effect: u32) -> SagaNames<'_> {
        let of = &self.saga.effects[effect as usize];
        let result = result_of(self.saga, effect).unwrap_or_default();
        let names = match (&self.step(of.step).for_each, &of.item) {
            (Some(each), Some(item)) => self.names().with(&each.item, Value::parse(item).unwrap_or_default()),
            _ => self.names(),
        };
        names.with(&self.step(of.step).step, result)
    }
}

impl<'a> SagaNames<'a> {
    /// One name more.
    pub fn with(mut self, name: &'a str, value: Value) -> Self {
        self.own.push((name, value));
        self
    }

    fn facts(&self) -> Value {
        let mut facts = BTreeMap::new();
        for (clause, state) in self.definition.facts.iter().zip(&self.saga.facts) {
            let old = clause
                .fresh
                .is_some_and(|fresh| state.told_at.is_none_or(|told_at| told_at.saturating_add(fresh) < self.now));
            let value = if old { Value::Null } else { Value::parse(&state.value).unwrap_or_default() };
            facts.insert(clause.fact.clone(), value);
        }
        Value::Map(facts)
    }

    /// By step, what the last probe of its newest effect found: by item where the step has items. What was found of an earlier round says nothing
    /// of what was done again.
    fn probes(&self) -> Value {
        let mut found = BTreeMap::new();
        for (number, step) in self.definition.steps.iter().enumerate() {
            let newest = self.saga.newest_effects(number as u32, step.for_each.is_some());
            let probed = |effect: Option<u32>| {
                let of = self.saga.effects.get(effect? as usize)?;
                of.probed.as_ref().map(|it| Value::parse(it).unwrap_or_default())
            };
            let mut values: Vec<Value> = newest.iter().map(|effect| probed(*effect).unwrap_or_default()).collect();
            let value = match step.for_each {
                Some(_) if newest.is_empty() && self.result(number).is_none() => Value::Null,
                Some(_) => Value::List(values),
                None => values.pop().unwrap_or_default(),
            };
            found.insert(step.step.clone(), value);
        }
        Value::Map(found)
    }

    /// By step, what became of it: by item where the step has items.
    fn outcomes(&self) -> Value {
        let mut found = BTreeMap::new();
        for (step, run) in self.definition.steps.iter().zip(&self.saga.steps) {
            let of_place = |place: &Place| Value::from(outcome_word(&place.state));
            let value = match &run.state {
                StepState::Begun { places } if step.for_each.is_some() => {
                    Value::List(places.iter().map(of_place).collect())
                }
                StepState::Waiting | StepState::Skipped if step.for_each.is_some() => Value::List(vec![]),
                StepState::Begun { places } => places.first().map_or(Value::from("open"), of_place),
                StepState::Waiting => Value::from("open"),
                StepState::Skipped => Value::from("skipped"),
            };
            found.insert(step.step.clone(), value);
        }
        Value::Map(found)
    }

    /// None while the step is not settled.
    fn result(&self, step: usize) -> Option<Value> {
        let StepState::Begun { places } = &self.saga.steps.get(step)?.state else { return None };
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
            "input" => {
                Some(Cow::Borrowed(self.input.get_or_init(|| Value::parse(&self.saga.input).unwrap_or_default())))
            }
            "now" => Some(Cow::Owned(Value::Int(self.world_time))),
            "facts" => Some(Cow::Owned(self.facts())),
            "probe" => Some(Cow::Owned(self.probes())),
            "outcome" => Some(Cow::Owned(self.outcomes())),
            step => {
                let step = self.definition.step_index(step)?;
                Some(Cow::Owned(self.result(step).unwrap_or_default()))
            }
        }
    }
}

/// What became of a place, in a word.
fn outcome_word(state: &PlaceState) -> &'static str {
    match state {
        PlaceState::Done { .. } | PlaceState::Known { .. } => "done",
        PlaceState::Skipped => "skipped",
        PlaceState::Continued => "continued",
        PlaceState::Waiting
        | PlaceState::Guarded
        | PlaceState::Queued
        | PlaceState::Active { .. }
        | PlaceState::Awaiting { .. }
        | PlaceState::Asking { .. }
        | PlaceState::Owed { .. }
        | PlaceState::Held { .. } => "open",
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
