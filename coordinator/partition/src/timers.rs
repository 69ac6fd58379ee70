//! Timers are an index of what the sagas themselves hold: `Family::Timers` what is due, `Family::Waiting` whose durations have not begun.

use sagaline_definition::model::Definition;
use sagaline_engine::{Input, Saga, Spot, Timer, TimerKind, TimerStart, rest_instead};
use sagaline_schemas::SagaId;

use crate::command::fact_path;
use crate::fold::{FaultNote, Partition};
use crate::halt::Halt;
use crate::keys::{self, TimerKey, TimerOf};
use crate::store::{Family, StoreError};

impl Partition {
    /// A timer is due from now on. Only here and in `disarm` are timers written: which is due first is known without asking the store.
    pub(crate) fn arm(&mut self, key: Vec<u8>) {
        if let Some(first) = &mut self.next_due {
            *first = (*first).into_iter().chain(keys::timer_due(&key)).min();
        }
        self.over.put(Family::Timers, key, Vec::new());
    }

    /// A timer is due no more. If it may have been the first, that one is looked for when it is asked for.
    pub(crate) fn disarm(&mut self, key: Vec<u8>) {
        if self.next_due == Some(keys::timer_due(&key)) {
            self.next_due = None;
        }
        self.over.delete(Family::Timers, key);
    }

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
        for gone in before.iter().filter(|timer| !saga.timers.contains(timer)) {
            if let Some(key) = timer_key(definition, saga, gone) {
                self.disarm(key);
            }
        }
        for new in saga.timers.iter().filter(|timer| !before.contains(timer)) {
            if let Some(key) = timer_key(definition, saga, new) {
                self.arm(key);
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
            self.disarm(key);
            return self.forget(id);
        }
        let Some(saga) = self.over.saga(id)?.cloned() else {
            self.disarm(key);
            return Ok(());
        };
        let definition = self.definition_of(&saga)?;
        let at = spot_of(&definition, kind, place);
        if let Some(note) = fault {
            self.change_saga(id, |definition, saga| rest_instead(definition, saga, kind, at.as_ref()))?;
            self.turn(id, Input::Fault { offset: self.here().offset, reason: note.reason })?;
        } else {
            self.turn(id, Input::Timer { kind, at })?;
        }
        // The saga disarmed it, or it was none of the saga's: either way it has fired.
        self.disarm(key);
        Ok(())
    }
}

fn timer_key(definition: &Definition, saga: &Saga, timer: &Timer) -> Option<Vec<u8>> {
    let TimerStart::Due { at: due } = timer.start else {
        return None;
    };
    let (step, items, round) = match &timer.at {
        Some(at) => (path_of(definition, timer.kind, at.step)?, at.items.clone(), at.round),
        None => (String::new(), Vec::new(), 0),
    };
    let of = TimerOf::Saga { saga: saga.id, step, items, round, kind: timer.kind };
    Some(TimerKey { due, of }.to_key())
}

/// What stands for a place in the order of timers: the step's name, or the fact's where one is asked for.
fn path_of(definition: &Definition, kind: TimerKind, number: u32) -> Option<String> {
    match kind {
        kind if kind.is_of_fact() => definition.facts.get(number as usize).map(|clause| fact_path(&clause.fact)),
        _ => definition.steps.get(number as usize).map(|step| step.step.clone()),
    }
}

/// The way back; none: it is the saga's own.
fn spot_of(definition: &Definition, kind: TimerKind, (path, items, round): (&str, &[u32], u32)) -> Option<Spot> {
    let number = match kind {
        kind if kind.is_of_fact() => definition.facts.iter().position(|clause| fact_path(&clause.fact) == path)?,
        _ => definition.step_index(path)?,
    };
    Some(Spot { step: number as u32, items: items.to_vec(), round })
}
