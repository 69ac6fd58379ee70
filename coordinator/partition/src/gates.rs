//! Gates kept: what a turn asks of them, who waits before them and is called when. The rules of one gate stand in `gate.rs`; what else changes
//! one in `outage.rs`. Everything follows from the log: answers, timers, log time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sagaline_definition::Contract;
use sagaline_definition::model::Definition;
use sagaline_engine::{Direction, Effect, Fact, Gates, Input, Outgoing, Probing, Saga, TimerKind, Transition, Undo};
use sagaline_schemas::record::Kind;
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Digest, Millis, SagaId};

use crate::command::call_of;
use crate::fold::Partition;
use crate::gate::{Circuit, Gate, GateLimits};
use crate::halt::Halt;
use crate::keys::{self, TimerKey, TimerOf};
use crate::overlay::decode;
use crate::progress::corrupt;
use crate::state::{KnownContract, Seat};
use crate::store::{Family, Read, StoreError};

/// Sagas called at once, where no limit of a contract says less.
const CALLED_AT_ONCE: usize = 50;

/// Limits of the participants that a definition uses and whose contracts limit them.
pub(crate) type Limited = Arc<BTreeMap<String, GateLimits>>;

/// What stands before a participant.
pub(crate) fn subject_of(participant: &str) -> String {
    format!("participant/{participant}")
}

/// The gates as one turn of one saga sees them.
pub(crate) struct Door {
    gates: BTreeMap<String, Gate>,
    limited: Limited,
    definition: String,
    now: Millis,
    /// The gate that calls this saga.
    called: Option<String>,
    touched: BTreeSet<String>,
    /// Which gate refused a participant's command.
    refused: BTreeMap<String, String>,
}

impl Door {
    /// The gate that holds this saga whatever it wants.
    fn held_by(&self) -> Option<String> {
        let definition = || format!("definition/{}", self.definition);
        let paused = |subject: &String| self.gates.get(subject).is_some_and(|gate| gate.paused.is_some());
        Some("all".to_owned()).filter(paused).or_else(|| Some(definition()).filter(paused))
    }
}

impl Gates for Door {
    fn admit(&mut self, participant: &str) -> bool {
        if self.gates.is_empty() && self.limited.is_empty() {
            return true;
        }
        let subject = subject_of(participant);
        if let Some(holder) = self.held_by() {
            self.refused.insert(participant.to_owned(), holder);
            return false;
        }
        let limits = self.limited.get(participant);
        if limits.is_none() && !self.gates.contains_key(&subject) {
            return true;
        }
        let gate = self.gates.entry(subject.clone()).or_default();
        gate.limits = limits.copied().unwrap_or_default();
        let admitted = gate.admit(self.now, self.called.as_ref() == Some(&subject));
        if !admitted {
            self.refused.insert(participant.to_owned(), subject.clone());
        }
        self.touched.insert(subject);
        admitted
    }

    fn is_down(&self, participant: &str) -> bool {
        !self.gates.is_empty() && self.gates.get(&subject_of(participant)).is_some_and(Gate::is_down)
    }
}

/// One turn.
impl Partition {
    pub(crate) fn open_door(&mut self, definition: &Definition, saga: &Saga) -> Result<Door, Halt> {
        Ok(Door {
            limited: self.limits_of(saga.definition, definition)?,
            gates: std::mem::take(&mut self.gates),
            definition: definition.saga.clone(),
            now: self.now(),
            called: self.called.clone(),
            touched: BTreeSet::new(),
            refused: BTreeMap::new(),
        })
    }

    /// Seats that were taken are written down, who was refused waits, who was not answered is counted.
    pub(crate) fn close_door(
        &mut self,
        door: Door,
        definition: &Definition,
        saga: &Saga,
        transition: &Transition,
    ) -> Result<(), Halt> {
        let Door { gates, limited, touched, refused, .. } = door;
        self.gates = gates;
        for outgoing in &transition.out {
            match outgoing {
                Outgoing::Command { effect, kind, attempt, .. } if !limited.is_empty() => {
                    self.take_seat(definition, &limited, saga, (*effect, *kind, *attempt))?;
                }
                Outgoing::Queued { participant } => {
                    let subject = refused.get(participant).cloned().unwrap_or_else(|| subject_of(participant));
                    self.wait_before(&subject, saga)?;
                }
                _ => {}
            }
        }
        for subject in touched {
            self.keep_gate(&subject);
        }
        if !limited.is_empty() && !transition.facts.is_empty() {
            self.leave_seats(saga)?;
        }
        if !self.gates.is_empty() && transition.facts.iter().any(|fact| matches!(fact, Fact::Ended { .. })) {
            self.leave_queues(saga)?;
        }
        transition.facts.iter().try_for_each(|fact| self.heed(definition, saga, fact))
    }

    fn heed(&mut self, definition: &Definition, saga: &Saga, fact: &Fact) -> Result<(), Halt> {
        let spot = match fact {
            Fact::TimedOut { spot, .. } => spot,
            _ => return Ok(()),
        };
        let effect = saga.effect_at(spot.step, &spot.items, spot.round);
        match effect.and_then(|effect| call_of(definition, saga, effect)) {
            Some(call) => self.no_answer(&call.participant),
            None => Ok(()),
        }
    }

    fn limits_of(&mut self, digest: Digest, definition: &Definition) -> Result<Limited, StoreError> {
        if let Some(known) = self.limited.get(&digest) {
            return Ok(Arc::clone(known));
        }
        let mut limited = BTreeMap::new();
        for (participant, contract) in &definition.contracts {
            let Some(known) = self.over.read::<KnownContract>(Family::Contracts, &contract.0)? else { continue };
            let limits = Contract::from_normal_form(&known.normal_form).map(|contract| contract.limits);
            let limits = limits.map_err(|_| corrupt("contracts"))?;
            if limits.in_flight.is_some() || limits.rate.is_some() {
                let limits = GateLimits { in_flight: limits.in_flight, rate: limits.rate };
                limited.insert(participant.clone(), limits);
            }
        }
        let limited = Arc::new(limited);
        self.limited.insert(digest, Arc::clone(&limited));
        Ok(limited)
    }
}

/// Seats: one for each effect of a saga whose contract limits what is in flight.
impl Partition {
    fn take_seat(
        &mut self,
        definition: &Definition,
        limited: &Limited,
        saga: &Saga,
        (effect, kind, attempt): (u32, Kind, u32),
    ) -> Result<(), Halt> {
        let Some(call) = call_of(definition, saga, effect) else { return Ok(()) };
        if limited.get(&call.participant).is_none_or(|limits| limits.in_flight.is_none()) {
            return Ok(());
        }
        let key = keys::seat(saga.id, effect);
        let participant = call.participant.clone();
        // The attempt before, or what is undone now, had one: it is the same.
        if self.over.get(Family::Seats, &key)?.is_some() {
            self.gates.entry(subject_of(&participant)).or_default().leave();
        }
        self.over.write(Family::Seats, key, &Seat { participant, kind, attempt });
        Ok(())
    }

    /// Whose answer nobody waits for any more gives the seat back.
    fn leave_seats(&mut self, saga: &Saga) -> Result<(), Halt> {
        let prefix = saga.id.as_bytes();
        for (key, seat) in self.over.scan(Family::Seats, prefix, keys::after_prefix(prefix).as_deref(), usize::MAX)? {
            let seat: Seat = decode(Family::Seats, &seat)?;
            let effect = key.last_chunk::<4>().map(|effect| u32::from_be_bytes(*effect));
            let effect = effect.and_then(|effect| saga.effects.get(effect as usize)).ok_or_else(|| corrupt("seats"))?;
            if !is_awaited(saga, effect, &seat) {
                self.leave(key, &seat)?;
            }
        }
        Ok(())
    }

    fn leave(&mut self, key: Vec<u8>, seat: &Seat) -> Result<(), Halt> {
        self.over.delete(Family::Seats, key);
        let subject = subject_of(&seat.participant);
        self.gates.entry(subject.clone()).or_default().leave();
        self.keep_gate(&subject);
        self.freed.insert(subject);
        Ok(())
    }
}

/// Whether the attempt is under way, and its answer means something.
fn is_awaited(saga: &Saga, effect: &Effect, seat: &Seat) -> bool {
    let Some(tries) = effect.tries(seat.kind).filter(|tries| tries.count == seat.attempt && !tries.resting) else {
        return false;
    };
    let spot = effect.spot();
    let rests = |kind| saga.timers.iter().any(|timer| timer.kind == kind && timer.at.as_ref() == Some(&spot));
    let goes_back = matches!(saga.direction(), None | Some(Direction::Back { .. } | Direction::Over { .. }));
    tries.count > 0
        && match seat.kind {
            Kind::Compensate => matches!(effect.undo, Undo::Decided | Undo::Sent) && !rests(TimerKind::UndoBackoff),
            Kind::Probe => effect.probing != Probing::No && !rests(TimerKind::ProbeBackoff),
            Kind::Do | Kind::Ask => {
                // Once a probe asks what became of it, no attempt's answer is waited for: the probe must find a seat.
                let open = effect.outcome.is_open() && effect.undo == Undo::No && effect.probing == Probing::No;
                open && !goes_back && !rests(TimerKind::Backoff)
            }
        }
}

/// Who waits.
impl Partition {
    /// Once, however often the saga asks; the oldest saga is called first.
    fn wait_before(&mut self, subject: &str, saga: &Saga) -> Result<(), Halt> {
        let key = keys::queue(subject, saga.started, saga.id);
        if self.over.get(Family::Queue, &key)?.is_some() {
            return Ok(());
        }
        self.over.put(Family::Queue, key, Vec::new());
        self.gates.entry(subject.to_owned()).or_default().held += 1;
        self.keep_gate(subject);
        Ok(())
    }

    /// Who has ended waits for nobody.
    fn leave_queues(&mut self, saga: &Saga) -> Result<(), Halt> {
        let waits_at = self.gates.iter().filter(|(_, gate)| gate.held > 0).map(|(subject, _)| subject.clone());
        for subject in waits_at.collect::<Vec<String>>() {
            let key = keys::queue(&subject, saga.started, saga.id);
            if self.over.get(Family::Queue, &key)?.is_some() {
                self.over.delete(Family::Queue, key);
                let gate = self.gates.entry(subject.clone()).or_default();
                gate.held = gate.held.saturating_sub(1);
                self.keep_gate(&subject);
            }
        }
        Ok(())
    }

    /// Seats became free in this record, or with this timer: who waits for them is called at once.
    pub(crate) fn call_for_freed(&mut self) -> Result<(), Halt> {
        let mut left = CALLED_AT_ONCE;
        while let Some(subject) = self.freed.pop_first() {
            left -= self.call(&subject, left)?;
        }
        Ok(())
    }

    /// A gate's time has come.
    pub(crate) fn gate_due(&mut self, subject: &str) -> Result<(), Halt> {
        if let Some(gate) = self.gates.get_mut(subject) {
            gate.due = None;
        }
        if !self.faults.contains_key(&(self.at.offset, self.at.timer)) {
            self.call(subject, CALLED_AT_ONCE)?;
        }
        self.keep_gate(subject);
        Ok(())
    }

    /// Calls those who wait, while the gate lets them in. Gives how many were called.
    fn call(&mut self, subject: &str, most: usize) -> Result<usize, Halt> {
        if self.gates.get(subject).is_none_or(|gate| gate.held == 0) {
            return Ok(0);
        }
        let mut called = 0;
        for key in self.waiting_before(subject, most)? {
            let now = self.now();
            let Some(gate) = self.gates.get_mut(subject).filter(|gate| gate.would_admit(now)) else { break };
            gate.held = gate.held.saturating_sub(1);
            if matches!(gate.circuit, Circuit::Open { .. }) {
                gate.tried = Bytes(key.clone());
            }
            let id = key.last_chunk::<16>().map(|id| SagaId::from_bytes(*id)).ok_or_else(|| corrupt("queue"))?;
            self.over.delete(Family::Queue, key);
            self.called = Some(subject.to_owned());
            let turned = self.turn(id, Input::Admitted);
            self.called = None;
            turned?;
            called += 1;
        }
        self.keep_gate(subject);
        Ok(called)
    }

    /// The oldest first; while it is only tried, those behind the last that tried, and then from the oldest on.
    fn waiting_before(&self, subject: &str, most: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let prefix = keys::channel(subject);
        let to = keys::after_prefix(&prefix);
        let tried = self.gates.get(subject).map(|gate| &gate.tried).filter(|tried| !tried.is_empty());
        let behind = tried.map_or_else(|| prefix.clone(), |tried| [tried, &[0][..]].concat());
        let mut waiting = self.over.scan(Family::Queue, &behind, to.as_deref(), most)?;
        if waiting.len() < most && behind != prefix {
            waiting.extend(self.over.scan(Family::Queue, &prefix, Some(&behind), most - waiting.len())?);
        }
        Ok(waiting.into_iter().map(|(key, _)| key).collect())
    }

    /// Writes a gate, and arms its timer anew. One that says nothing is not kept.
    pub(crate) fn keep_gate(&mut self, subject: &str) {
        let now = self.now();
        let Some(gate) = self.gates.get_mut(subject) else { return };
        let due = gate.next_call(now);
        let timer = |due| TimerKey { due, of: TimerOf::Gate { subject: subject.to_owned() } }.to_key();
        let before = std::mem::replace(&mut gate.due, due);
        if gate.is_idle() {
            self.gates.remove(subject);
            self.over.delete(Family::Gates, subject.as_bytes().to_vec());
        } else {
            self.over.write(Family::Gates, subject.as_bytes().to_vec(), gate);
        }
        if due != before {
            before.into_iter().for_each(|before| self.disarm(timer(before)));
            due.into_iter().for_each(|due| self.arm(timer(due)));
        }
    }

    /// The gates as they are committed.
    pub(crate) fn read_gates(&self) -> Result<BTreeMap<String, Gate>, StoreError> {
        stored_gates(&self.over.scan(Family::Gates, &[], None, usize::MAX)?)
    }
}

/// Every gate that says something, by what it stands before: `participant/NAME`, `definition/NAME`, `all`.
///
/// # Errors
/// When the store can't be read.
pub fn gates(read: &dyn Read) -> Result<BTreeMap<String, Gate>, StoreError> {
    stored_gates(&read.scan(Family::Gates, &[], None, usize::MAX)?)
}

fn stored_gates(entries: &[(Vec<u8>, Vec<u8>)]) -> Result<BTreeMap<String, Gate>, StoreError> {
    let gate = |(subject, gate): &(Vec<u8>, Vec<u8>)| {
        Ok((String::from_utf8_lossy(subject).into_owned(), decode(Family::Gates, gate)?))
    };
    entries.iter().map(gate).collect()
}
