//! Line 7: a saga is found, takes its turn in the engine, and what comes of it is written: its state, its timers' index, its history, what
//! it wants of the world. The only place that calls the engine.

use std::sync::Arc;

use sagaline_definition::model::Definition;
use sagaline_engine::{
    Direction, Fact, HistoryHead, Input, Limits, Moment, Outgoing, Parent, Phase, Rejected, Saga, Transition, turn,
};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Digest, Millis, Position, SagaId, hash};

use crate::fold::Partition;
use crate::halt::Halt;
use crate::keys;
use crate::store::{Family, StoreError};

/// Most bytes of a trace context, which every command repeats; a longer one is none (W3C Trace Context has 55).
pub const MAX_TRACEPARENT: usize = 256;

/// A saga to be, which the door has let in.
pub(crate) struct Begin {
    pub definition: Digest,
    pub key: String,
    pub input: Bytes,
    pub traceparent: Option<String>,
    pub parent: Option<Parent>,
    /// Number of the target in its record.
    pub index: u32,
}

/// What became of an input.
pub(crate) enum Turned {
    /// There is no such saga.
    Unknown,
    /// It was taken.
    Taken,
    /// It was not, and nothing changed.
    Rejected(String),
}

impl Partition {
    /// The newest saga that lives or lived under a key.
    pub(crate) fn saga_of_key(&self, definition: &str, key: &str) -> Result<Option<SagaId>, StoreError> {
        let found = self.over.get(Family::Keys, &keys::key(definition, key))?;
        Ok(found.and_then(|bytes| bytes.try_into().ok()).map(SagaId::from_bytes))
    }

    /// A saga begins, takes its first turn, and is told what came before it.
    pub(crate) fn begin_saga(&mut self, definition: &Definition, begin: Begin) -> Result<SagaId, Halt> {
        let meta = self.meta_mut();
        meta.counters.started += 1;
        let id = hash::saga_id(meta.log_id, meta.partition, self.at.offset, begin.index);
        let saga = Box::new(self.new_saga(id, begin));
        let key = saga.key.clone();
        self.take_over_names(&definition.saga, &key)?;
        self.over.put(Family::Keys, keys::key(&definition.saga, &key), id.as_bytes().to_vec());
        self.watch(definition, &saga, true);
        let told = self.known_facts(definition, &saga)?;
        self.over.put_saga(saga);
        self.turn(id, Input::Start { told })?;
        self.tell_early(definition, &key, id)?;
        Ok(id)
    }

    /// The saga that had the key before is over: by the names that it had, events find the one that begins. It may well get the same ones.
    fn take_over_names(&mut self, definition: &str, key: &str) -> Result<(), Halt> {
        let Some(before) = self.saga_of_key(definition, key)? else { return Ok(()) };
        let Some(before) = self.over.saga(before)?.cloned() else { return Ok(()) };
        let definition = self.definition_of(&before)?;
        self.unbind_all(&definition, &before)
    }

    fn new_saga(&self, id: SagaId, begin: Begin) -> Saga {
        Saga {
            id,
            definition: begin.definition,
            key: begin.key,
            started: self.at.offset,
            started_at: self.told_time(),
            input: begin.input,
            parent: begin.parent,
            phase: Phase::Running { direction: Direction::Forward },
            overdue: false,
            held: None,
            owner: None,
            steps: Vec::new(),
            effects: Vec::new(),
            timers: Vec::new(),
            facts: Vec::new(),
            reactions: Vec::new(),
            letters: Vec::new(),
            aliases: Vec::new(),
            went_aside: false,
            loops: Vec::new(),
            routes: Vec::new(),
            history: HistoryHead::default(),
            traceparent: begin.traceparent.filter(|trace| trace.len() <= MAX_TRACEPARENT),
        }
    }

    /// A saga takes a turn.
    pub(crate) fn turn(&mut self, id: SagaId, input: Input) -> Result<Turned, Halt> {
        let Some(mut saga) = self.over.take_saga(id)? else {
            return Ok(Turned::Unknown);
        };
        let definition = self.definition_of(&saga)?;
        let settings = &self.begun().settings;
        let limits = Limits {
            max_payload: settings.max_payload,
            max_effects: settings.max_effects,
            max_mailbox: settings.max_mailbox,
            keep_ended: settings.keep_ended,
        };
        let moment = Moment { offset: self.at.offset, log_time: self.begun().log_time };
        let timers = saga.timers.clone();
        let was_over = saga.is_ended();
        let mut door = self.open_door(&definition, &saga)?;
        let mut transition = turn(&definition, &mut saga, input, moment, limits, &mut door);
        if !was_over && let Phase::Ended { at, .. } = &mut saga.phase {
            *at = self.told_time();
        }
        self.close_door(door, &definition, &saga, &transition)?;
        self.index_timers(&definition, &saga, &timers)?;
        if saga.is_ended() != was_over {
            self.watch(&definition, &saga, was_over);
        }
        self.carry_out(&definition, &mut saga, &mut transition)?;
        self.over.put_saga(saga);
        Ok(match transition.rejected {
            None => Turned::Taken,
            Some(Rejected::Request(why) | Rejected::Answer(why) | Rejected::Event(why)) => Turned::Rejected(why),
        })
    }

    /// A change that is no turn: only timers and places move.
    pub(crate) fn change_saga(&mut self, id: SagaId, change: impl FnOnce(&Definition, &mut Saga)) -> Result<(), Halt> {
        let Some(mut saga) = self.over.take_saga(id)? else {
            self.stop_waiting(id);
            return Ok(());
        };
        let definition = self.definition_of(&saga)?;
        let timers = saga.timers.clone();
        change(&definition, &mut saga);
        self.index_timers(&definition, &saga, &timers)?;
        self.over.put_saga(saga);
        Ok(())
    }

    pub(crate) fn definition_of(&mut self, saga: &Saga) -> Result<Arc<Definition>, Halt> {
        let known = self.definition(saga.definition)?;
        Ok(known.ok_or_else(|| StoreError::Corrupt {
            place: "family definitions".to_owned(),
            detail: format!("saga {} runs by {}, which is not there", saga.id, saga.definition),
        })?)
    }

    /// What the saga wants goes where it belongs, in order: each a channel's output, or a place in a queue.
    fn carry_out(&mut self, definition: &Definition, saga: &mut Saga, transition: &mut Transition) -> Result<(), Halt> {
        for outgoing in &transition.out {
            match outgoing {
                Outgoing::Command { effect, kind, attempt, deadline } => {
                    self.command(definition, saga, (*effect, *kind, *attempt), *deadline)?;
                }
                Outgoing::Ask { fact, attempt, input } => self.ask_fact(definition, saga, *fact, *attempt, input)?,
                // The door has its place in the queue.
                Outgoing::Queued { .. } | Outgoing::WaitsToAsk { .. } => {}
                Outgoing::Child { effect, word } => self.tell_child(definition, saga, *effect, word)?,
                Outgoing::Ended { end, result, reason } => self.tell_parent(saga, *end, result, reason)?,
                Outgoing::Bind { alias, value } => self.ask_to_bind(definition, saga, alias, value)?,
            }
        }
        let ended = transition.facts.iter().filter(|fact| matches!(fact, Fact::Ended { .. })).count();
        self.meta_mut().counters.ended += ended as i64;
        let facts = self.remember(saga, std::mem::take(&mut transition.facts));
        self.tell(definition, saga, &facts)
    }

    /// An ended saga's time of being remembered is over. Its key may name a newer one by now.
    pub(crate) fn forget(&mut self, id: SagaId) -> Result<(), Halt> {
        let Some(saga) = self.over.take_saga(id)? else {
            return Ok(());
        };
        let definition = self.definition_of(&saga)?;
        if self.saga_of_key(&definition.saga, &saga.key)? == Some(id) {
            self.over.delete(Family::Keys, keys::key(&definition.saga, &saga.key));
        }
        for number in 0..saga.history.length {
            self.over.delete(Family::History, keys::history(id, number));
        }
        for fact in (0..).zip(&definition.facts).filter_map(|(fact, clause)| clause.ask.as_ref().map(|_| fact)) {
            self.over.delete(Family::Asks, keys::ask(id, fact));
        }
        self.unbind_all(&definition, &saga)?;
        self.stop_waiting(id);
        self.over.delete_saga(id);
        Ok(())
    }

    fn stop_waiting(&mut self, id: SagaId) {
        if self.waiting.remove(&id) {
            self.over.delete(Family::Waiting, id.as_bytes().to_vec());
        }
    }

    pub(crate) fn now(&self) -> Millis {
        self.begun().log_time
    }

    pub(crate) fn here(&self) -> Position {
        self.at
    }
}
