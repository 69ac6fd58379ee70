//! Other names by which events find a saga. An alias lies in the partition of its hash, which may say that it names another saga.

use sagaline_schemas::{SagaId, Value};

use crate::saga::{BoundAlias, Stuck};
use crate::turn::{Outgoing, Turn};

impl Turn<'_> {
    /// A step has its result: what it is known by is bound.
    pub fn bind_aliases(&mut self, number: u32) {
        for (alias, value) in &self.step(number).alias {
            match value.eval(&self.names()) {
                Ok(Value::String(value)) => self.bind(alias, value),
                Ok(_) => self.stuck_at_expression(Some(number), format!("{}: an alias is a text", value.source())),
                Err(error) => self.stuck_at_expression(Some(number), error.to_string()),
            }
        }
    }

    fn bind(&mut self, alias: &str, value: String) {
        if self.saga.aliases.iter().any(|bound| bound.alias == alias && bound.value == value) {
            return;
        }
        let alias = alias.to_owned();
        self.saga.aliases.push(BoundAlias { alias: alias.clone(), value: value.clone(), taken_by: None });
        self.out.out.push(Outgoing::Bind { alias, value });
    }

    /// Whether a step that is done calls the saga so now, or one that is not done may yet.
    pub fn may_be_called(&self, alias: &str, value: &str) -> bool {
        self.definition.steps.iter().zip(&self.saga.steps).any(|(step, run)| {
            let Some(of) = step.alias.get(alias) else { return false };
            if !run.state.is_settled() {
                return true;
            }
            let has_result = run.state.places().iter().any(|place| place.state.has_result());
            has_result && of.eval(&self.names()).is_ok_and(|named| named == Value::String(value.to_owned()))
        })
    }

    /// No event can find the saga by it: a person decides, now or when nothing else is in the way.
    pub fn alias_taken(&mut self, alias: &str, value: &str, holder: SagaId) {
        let bound = self.saga.aliases.iter_mut().find(|bound| bound.alias == alias && bound.value == value);
        if let Some(bound) = bound {
            bound.taken_by = Some(holder);
        }
    }

    /// Whether all names are the saga's own; it is stuck where one is not.
    pub fn is_found_by_its_names(&mut self) -> bool {
        let taken = self.saga.aliases.iter().find_map(|bound| Some((bound.clone(), bound.taken_by?)));
        let Some((BoundAlias { alias, value, .. }, holder)) = taken else { return true };
        self.become_stuck(Stuck::AliasTaken { alias, value, holder });
        false
    }

    /// Names whose expression had no value when its step was done: a person has let the saga go on, and it must not go on without them.
    pub fn bind_what_is_not(&mut self) {
        for number in 0..self.saga.steps.len() as u32 {
            let state = &self.saga.steps[number as usize].state;
            if state.is_settled() && state.places().iter().any(|place| place.state.has_result()) {
                self.bind_aliases(number);
            }
        }
    }

    /// A person wants the names tried again: who held them may be gone.
    pub fn bind_again(&mut self) {
        for bound in &mut self.saga.aliases {
            if bound.taken_by.take().is_some() {
                self.out.out.push(Outgoing::Bind { alias: bound.alias.clone(), value: bound.value.clone() });
            }
        }
    }
}
