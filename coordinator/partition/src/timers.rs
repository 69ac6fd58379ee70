//! Timers are an index of what the sagas themselves hold: `Family::Timers` what is due, `Family::Waiting` whose durations have not begun.

use sagaline_definition::model::Definition;
use sagaline_engine::{Input, Saga, Timer, TimerKind, TimerStart};
use sagaline_schemas::SagaId;

use crate::fold::{FaultNote, Partition};
use crate::halt::Halt;
use crate::keys::{TimerKey, TimerOf};
use crate::store::{Family, StoreError};

impl Partition {
    /// Brings the index from what the saga held before to what it holds now.
    pub(crate) fn index_timers(
        &mut self,
        definition: &Definition,
        saga: &Saga,
        before: &[Timer],
    ) -> Result<(), StoreError> {
        if saga.timers == before {
            return Ok(());
        }
        self.next_due = None;
        for gone in before.iter().filter(|timer| !saga.timers.contains(timer)) {
            if let Some(key) = timer_key(definition, saga, gone) {
                self.over.delete(Family::Timers, key);
            }
        }
        for new in saga.timers.iter().filter(|timer| !before.contains(timer)) {
            if let Some(key) = timer_key(definition, saga, new) {
                self.over.put(Family::Timers, key, Vec::new());
            }
        }
        let waits = saga.has_waiting_durations();
        if waits && self.waiting.insert(saga.id) {
            self.over.put(Family::Waiting, saga.id.as_bytes().to_vec(), Vec::new());
        }
        if !waits && self.waiting.remove(&saga.id) {
            self.over.delete(Family::Waiting, saga.id.as_bytes().to_vec());
        }
        Ok(())
    }

    /// A saga's timer is due. `place`: step path, items, round; an empty path is the saga's own.
    pub(crate) fn fire_saga(
        &mut self,
        key: Vec<u8>,
        id: SagaId,
        place: (&str, &[u32], u32),
        kind: TimerKind,
        fault: Option<FaultNote>,
    ) -> Result<(), Halt> {
        if kind == TimerKind::Forget {
            self.over.delete(Family::Timers, key);
            return self.forget(id);
        }
        let Some(saga) = self.over.saga(id)?.cloned() else {
            self.over.delete(Family::Timers, key);
            return Ok(());
        };
        let (step, items, round) = place;
        let definition = self.definition_of(&saga)?;
        let effect = definition.step_index(step).and_then(|step| saga.effect_at(step as u32, items, round));
        if let Some(note) = fault {
            self.change_saga(id, |saga| saga.rest_instead(kind, effect))?;
            self.turn(id, Input::Fault { offset: self.here().offset, reason: note.reason })?;
        } else {
            self.turn(id, Input::Timer { kind, effect })?;
        }
        // The saga disarmed it, or it was none of the saga's: either way it has fired.
        self.over.delete(Family::Timers, key);
        Ok(())
    }
}

fn timer_key(definition: &Definition, saga: &Saga, timer: &Timer) -> Option<Vec<u8>> {
    let TimerStart::Due { at } = timer.start else {
        return None;
    };
    let effect = timer.effect.and_then(|effect| saga.effects.get(effect as usize));
    let (step, items, round) = match effect {
        Some(effect) => (definition.steps.get(effect.step as usize)?.step.clone(), effect.items.clone(), effect.round),
        None => (String::new(), Vec::new(), 0),
    };
    let of = TimerOf::Saga { saga: saga.id, step, items, round, kind: timer.kind };
    Some(TimerKey { due: at, of }.to_key())
}
