//! Gates kept: what a turn asks of them, who waits before them and is called when. The rules of one gate stand in `gate.rs`; who has a seat in
//! `seats.rs`; what else changes a gate in `outage.rs`. Everything follows from the log: answers, timers, log time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sagaline_definition::Contract;
use sagaline_definition::model::Definition;
use sagaline_engine::{Asking, Fact, Gates, Input, Outgoing, Saga, Transition};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Digest, Millis, SagaId};

use crate::command::call_of;
use crate::fold::Partition;
use crate::gate::{Caller, Circuit, Gate};
use crate::halt::Halt;
use crate::keys::{self, TimerKey, TimerOf};
use crate::limits::GateLimits;
use crate::overlay::decode;
use crate::progress::corrupt;
use crate::state::KnownContract;
use crate::store::{Family, Read, StoreError};

/// Sagas called at once, where no limit of a contract says less.
const CALLED_AT_ONCE: usize = 50;

/// This partition's share in the limits of the participants that a definition uses and whose contracts limit them.
pub(crate) type Limited = Arc<BTreeMap<String, GateLimits>>;

/// What stands before a participant.
pub(crate) fn subject_of(participant: &str) -> String {
    format!("participant/{participant}")
}

/// Whom a gate calls: nobody else goes past those who wait before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Called {
    subject: String,
    caller: Caller,
}

/// The gates as one turn of one saga sees them.
pub(crate) struct Door {
    gates: BTreeMap<String, Gate>,
    limited: Limited,
    definition: String,
    now: Millis,
    /// The gate that calls this saga.
    called: Option<Called>,
    touched: BTreeSet<String>,
    /// Which gate refused what a participant was to take.
    refused: BTreeMap<String, String>,
}

impl Door {
    /// The gate that holds this saga whatever it wants.
    fn held_by(&self) -> Option<String> {
        let definition = || format!("definition/{}", self.definition);
        let paused = |subject: &String| self.gates.get(subject).is_some_and(|gate| gate.paused.is_some());
        Some("all".to_owned()).filter(paused).or_else(|| Some(definition()).filter(paused))
    }

    fn takes(&mut self, participant: &str, caller: Caller) -> bool {
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
        let called = self.called.as_ref().is_some_and(|called| called.caller == caller && called.subject == subject);
        let admitted = gate.admit(self.now, called);
        match admitted {
            true => gate.asked_last = caller == Caller::Question,
            false => _ = self.refused.insert(participant.to_owned(), subject.clone()),
        }
        self.touched.insert(subject);
        admitted
    }
}

impl Gates for Door {
    fn admit(&mut self, participant: &str) -> bool {
        self.takes(participant, Caller::Command)
    }

    fn admit_question(&mut self, participant: &str) -> bool {
        self.takes(participant, Caller::Question)
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
        let refused_by =
            |participant: &str| refused.get(participant).cloned().unwrap_or_else(|| subject_of(participant));
        for outgoing in &transition.out {
            match outgoing {
                Outgoing::Command { effect, kind, attempt, .. } if !limited.is_empty() => {
                    self.take_seat(definition, &limited, saga, (*effect, *kind, *attempt))?;
                }
                Outgoing::Ask { fact, attempt, .. } if !limited.is_empty() => {
                    self.take_seat_to_ask(definition, &limited, saga, (*fact, *attempt))?;
                }
                Outgoing::Queued { participant } => {
                    let subject = refused_by(participant);
                    let key = keys::queue(&subject, saga.started, saga.id);
                    self.wait_before(&subject, key, Caller::Command)?;
                }
                Outgoing::WaitsToAsk { fact, participant, since } => {
                    let subject = refused_by(participant);
                    let key = keys::question(&subject, *since, saga.id, *fact);
                    self.wait_before(&subject, key, Caller::Question)?;
                }
                Outgoing::Command { .. }
                | Outgoing::Ask { .. }
                | Outgoing::Child { .. }
                | Outgoing::Ended { .. }
                | Outgoing::Bind { .. } => {}
            }
        }
        for subject in touched {
            self.keep_gate(&subject);
        }
        // A question's answer need not be news.
        let asks = definition.facts.iter().any(|clause| clause.ask.is_some());
        if !limited.is_empty() && (asks || !transition.facts.is_empty()) {
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
                let share = GateLimits::share(limits.in_flight, limits.rate, self.number, self.begun().partitions);
                limited.insert(participant.clone(), share);
            }
        }
        let limited = Arc::new(limited);
        self.limited.insert(digest, Arc::clone(&limited));
        Ok(limited)
    }
}

/// Who waits.
impl Partition {
    /// Once, however often the saga wants it: the oldest saga is called first, and the oldest question.
    fn wait_before(&mut self, subject: &str, key: Vec<u8>, caller: Caller) -> Result<(), Halt> {
        if self.over.get(Family::Queue, &key)?.is_some() {
            return Ok(());
        }
        self.over.put(Family::Queue, key, Vec::new());
        self.gates.entry(subject.to_owned()).or_default().joins(caller);
        self.keep_gate(subject);
        Ok(())
    }

    /// Who has ended waits for nobody, and asks nobody.
    fn leave_queues(&mut self, saga: &Saga) -> Result<(), Halt> {
        let waits_at = self.gates.iter().filter(|(_, gate)| gate.is_awaited()).map(|(subject, _)| subject.clone());
        for subject in waits_at.collect::<Vec<String>>() {
            let mut left = self.leave_queue(&subject, keys::queue(&subject, saga.started, saga.id), Caller::Command)?;
            for (fact, state) in (0..).zip(&saga.facts) {
                if let Asking::Waits { since, .. } = state.asking {
                    let key = keys::question(&subject, since, saga.id, fact);
                    left |= self.leave_queue(&subject, key, Caller::Question)?;
                }
            }
            if left {
                self.keep_gate(&subject);
            }
        }
        Ok(())
    }

    /// Whether it waited there.
    fn leave_queue(&mut self, subject: &str, key: Vec<u8>, caller: Caller) -> Result<bool, Halt> {
        if self.over.get(Family::Queue, &key)?.is_none() {
            return Ok(false);
        }
        self.over.delete(Family::Queue, key);
        self.gates.entry(subject.to_owned()).or_default().leaves_line(caller);
        Ok(true)
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

    /// Calls those who wait, while the gate lets them in: of the two lines in turn. Gives how many were called.
    fn call(&mut self, subject: &str, most: usize) -> Result<usize, Halt> {
        let Some(gate) = self.gates.get(subject).filter(|gate| gate.is_awaited()) else { return Ok(0) };
        let (held, asking) = (gate.held > 0, gate.asking > 0);
        let commands = if held { self.waiting_before(subject, most)? } else { Vec::new() };
        let questions = if asking { self.asking_before(subject, most)? } else { Vec::new() };
        let (mut commands, mut questions) = (commands.into_iter(), questions.into_iter());
        let mut called = 0;
        while called < most {
            let now = self.now();
            let Some(gate) = self.gates.get(subject).filter(|gate| gate.would_admit(now)) else { break };
            let command = |key| (Caller::Command, key);
            let question = |key| (Caller::Question, key);
            let next = match gate.next_caller() {
                Caller::Command => commands.next().map(command).or_else(|| questions.next().map(question)),
                Caller::Question => questions.next().map(question).or_else(|| commands.next().map(command)),
            };
            let Some((caller, key)) = next else { break };
            called += usize::from(self.call_one(subject, caller, key)?);
        }
        self.keep_gate(subject);
        Ok(called)
    }

    /// False: it waits no longer, for the turn of another that was called has ended its saga.
    fn call_one(&mut self, subject: &str, caller: Caller, key: Vec<u8>) -> Result<bool, Halt> {
        if !self.leave_queue(subject, key.clone(), caller)? {
            return Ok(false);
        }
        let gate = self.gates.entry(subject.to_owned()).or_default();
        gate.asked_last = caller == Caller::Question;
        let (saga, input) = match caller {
            Caller::Command => {
                let saga = key.last_chunk::<16>().map(|id| SagaId::from_bytes(*id)).ok_or_else(|| corrupt("queue"))?;
                if matches!(gate.circuit, Circuit::Open { .. }) {
                    gate.tried = Bytes(key);
                }
                (saga, Input::Admitted)
            }
            Caller::Question => {
                let (saga, fact) = keys::question_of(&key).ok_or_else(|| corrupt("queue"))?;
                (saga, Input::MayAsk { fact })
            }
        };
        self.called = Some(Called { subject: subject.to_owned(), caller });
        let turned = self.turn(saga, input);
        self.called = None;
        turned.map(|_| true)
    }

    fn asking_before(&self, subject: &str, most: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let prefix = keys::questions(subject);
        let to = keys::after_prefix(&prefix);
        let waiting = self.over.scan(Family::Queue, &prefix, to.as_deref(), most)?;
        Ok(waiting.into_iter().map(|(key, _)| key).collect())
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
