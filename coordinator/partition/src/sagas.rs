//! Line 7: a saga is found, takes its turn in the engine, and what comes of it is written: its state, its timers' index, its history,
//! its commands and events. The only place that calls the engine.

use std::sync::Arc;

use sagaline_definition::model::{Call, Compensate, Definition, Verb};
use sagaline_engine::{
    Direction, Fact, HistoryHead, Input, Limits, Moment, Outcome, Outgoing, Phase, Rejected, Route, Saga, Transition,
    turn,
};
use sagaline_schemas::command::{Command, Known, KnownOutcome, KnownSucceeded, KnownUnknown};
use sagaline_schemas::proof::write_single_object;
use sagaline_schemas::record::{Address, Kind};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Digest, Millis, Position, SagaId, hash, schema};

use crate::fold::Partition;
use crate::halt::Halt;
use crate::keys;
use crate::outbox::channel_of_commands;
use crate::state::{CommandRef, KnownContract};
use crate::store::{Family, StoreError};

/// Most bytes of a correlation id: it lies in keys, commands and events.
pub(crate) const MAX_KEY: usize = 1024;

/// Most bytes of a trace context, which every command repeats; a longer one is none (W3C Trace Context has 55).
pub const MAX_TRACEPARENT: usize = 256;

/// A saga to be.
pub(crate) struct Begin {
    pub definition: Digest,
    pub key: String,
    pub input: Bytes,
    pub traceparent: Option<String>,
    /// Number of the target in its record.
    pub index: u32,
}

impl Partition {
    /// The saga that lives or lived under a key.
    pub(crate) fn saga_of_key(&self, definition: &str, key: &str) -> Result<Option<SagaId>, StoreError> {
        let found = self.over.get(Family::Keys, &keys::key(definition, key))?;
        Ok(found.and_then(|bytes| bytes.try_into().ok()).map(SagaId::from_bytes))
    }

    /// A saga begins, and takes its first turn.
    pub(crate) fn begin_saga(&mut self, definition: &Definition, begin: Begin) -> Result<SagaId, Halt> {
        let meta = self.meta_mut();
        meta.counters.started += 1;
        let id = hash::saga_id(meta.log_id, meta.partition, self.at.offset, begin.index);
        let saga = Saga {
            id,
            definition: begin.definition,
            key: begin.key,
            started: self.at.offset,
            started_at: self.told_time(),
            input: begin.input,
            phase: Phase::Running { direction: Direction::Forward },
            overdue: false,
            steps: Vec::new(),
            effects: Vec::new(),
            timers: Vec::new(),
            routes: Vec::new(),
            history: HistoryHead::default(),
            traceparent: begin.traceparent.filter(|trace| trace.len() <= MAX_TRACEPARENT),
        };
        self.over.put(Family::Keys, keys::key(&definition.saga, &saga.key), id.as_bytes().to_vec());
        self.over.put_saga(saga);
        self.turn(id, Input::Start)?;
        Ok(id)
    }

    /// A saga takes a turn. None: there is no such saga.
    pub(crate) fn turn(&mut self, id: SagaId, input: Input) -> Result<Option<Option<Rejected>>, Halt> {
        let Some(mut saga) = self.over.take_saga(id)? else {
            return Ok(None);
        };
        let definition = self.definition_of(&saga)?;
        let settings = &self.begun().settings;
        let limits = Limits {
            max_payload: settings.max_payload,
            max_effects: settings.max_effects,
            keep_ended: settings.keep_ended,
        };
        let moment = Moment { offset: self.at.offset, log_time: self.begun().log_time };
        let timers = saga.timers.clone();
        let was_ended = saga.is_ended();
        let transition = turn(&definition, &mut saga, input, moment, limits);
        if !was_ended && let Phase::Ended { at, .. } = &mut saga.phase {
            *at = self.told_time();
        }
        self.index_timers(&definition, &saga, &timers)?;
        self.carry_out(&definition, &mut saga, &transition)?;
        self.over.put_saga(saga);
        Ok(Some(transition.rejected))
    }

    /// A change that is no turn: only timers move.
    pub(crate) fn change_saga(&mut self, id: SagaId, change: impl FnOnce(&mut Saga)) -> Result<(), Halt> {
        let Some(mut saga) = self.over.take_saga(id)? else {
            self.stop_waiting(id);
            return Ok(());
        };
        let definition = self.definition_of(&saga)?;
        let timers = saga.timers.clone();
        change(&mut saga);
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

    fn carry_out(&mut self, definition: &Definition, saga: &mut Saga, transition: &Transition) -> Result<(), Halt> {
        for outgoing in &transition.commands {
            self.command(definition, saga, outgoing)?;
        }
        let ended = transition.facts.iter().filter(|fact| matches!(fact, Fact::Ended { .. })).count();
        self.meta_mut().counters.ended += ended as i64;
        self.remember(saga, &transition.facts);
        self.tell(definition, saga, &transition.facts)
    }

    /// An attempt becomes a command in its participant's channel.
    fn command(&mut self, definition: &Definition, saga: &mut Saga, outgoing: &Outgoing) -> Result<(), Halt> {
        let call = call_of(definition, saga, outgoing.effect);
        let partition = self.route(definition, saga, &call.participant)?;
        let command = self.compose(definition, saga, outgoing);
        let reference = CommandRef {
            id: command.command_id,
            saga: saga.id,
            effect: outgoing.effect,
            kind: outgoing.kind,
            attempt: outgoing.attempt,
        };
        let value = write_single_object(schema::COMMAND.fingerprint, &command);
        let id = *command.command_id.as_bytes();
        let channel = channel_of_commands(&call.participant);
        self.output(&channel, id, saga.id.as_bytes(), Some(partition), value, Some(reference))?;
        Ok(())
    }

    fn compose(&self, definition: &Definition, saga: &Saga, outgoing: &Outgoing) -> Command {
        let address = address(definition, saga, outgoing.effect, outgoing.kind, outgoing.attempt);
        let effect = &saga.effects[outgoing.effect as usize];
        let effect_id = hash::effect_id(saga.id, &address.step, &address.items, address.round);
        let command_id = hash::command_id(effect_id, outgoing.kind, outgoing.attempt);
        let operation = operation(definition, saga, outgoing.effect, outgoing.kind).to_owned();
        let content = hash::content(&operation, &effect.input);
        let first = saga.tries(outgoing.effect, outgoing.kind).map_or(0, |tries| tries.first);
        Command {
            address,
            command_id,
            effect_id,
            token: self.key.token(self.begun().log_id, self.number, command_id, content),
            content,
            operation,
            input: effect.input.clone(),
            known: (outgoing.kind == Kind::Compensate).then(|| known(&effect.outcome)),
            decided: effect.decided_at,
            first,
            deadline: outgoing.deadline,
            reply_topic: self.begun().topic.clone(),
            reply_partition: self.number,
            saga: format!("{}/{}", definition.saga, saga.key),
            traceparent: saga.traceparent.clone(),
        }
    }

    /// A saga keeps the partition that it first used on a command topic, whatever becomes of the topic (protocol review M11).
    fn route(&mut self, definition: &Definition, saga: &mut Saga, participant: &str) -> Result<u32, Halt> {
        if let Some(route) = saga.routes.iter().find(|route| route.participant == participant) {
            return Ok(route.partition);
        }
        let digest = definition.contracts.get(participant);
        let known = match digest {
            Some(digest) => self.over.read::<KnownContract>(Family::Contracts, &digest.0)?,
            None => None,
        };
        let count = known.map_or(1, |contract| contract.command_partitions);
        let partition = hash::partition_of(&saga.key, count);
        saga.routes.push(Route { participant: participant.to_owned(), partition });
        Ok(partition)
    }

    /// An ended saga's time of being remembered is over.
    pub(crate) fn forget(&mut self, id: SagaId) -> Result<(), Halt> {
        let Some(saga) = self.over.take_saga(id)? else {
            return Ok(());
        };
        let definition = self.definition_of(&saga)?;
        self.over.delete(Family::Keys, keys::key(&definition.saga, &saga.key));
        for number in 0..saga.history.length {
            self.over.delete(Family::History, keys::history(id, number));
        }
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

/// The step that an effect belongs to, as a call.
pub(crate) fn call_of<'a>(definition: &'a Definition, saga: &Saga, effect: u32) -> &'a Call {
    let step = saga.effects[effect as usize].step as usize;
    let Verb::Call(call) = &definition.steps[step].verb;
    call
}

/// The operation that a command of this kind wants.
pub(crate) fn operation<'a>(definition: &'a Definition, saga: &Saga, effect: u32, kind: Kind) -> &'a str {
    let call = call_of(definition, saga, effect);
    match (kind, &call.compensate) {
        (Kind::Compensate, Compensate::By { operation, .. }) => operation,
        (Kind::Compensate, Compensate::Never | Compensate::Reads) | (Kind::Do | Kind::Probe | Kind::Ask, _) => {
            &call.operation
        }
    }
}

fn address(definition: &Definition, saga: &Saga, effect: u32, kind: Kind, attempt: u32) -> Address {
    let of = &saga.effects[effect as usize];
    Address {
        saga: saga.id,
        step: definition.steps[of.step as usize].step.clone(),
        items: of.items.clone(),
        round: of.round,
        kind,
        attempt,
    }
}

fn known(outcome: &Outcome) -> Known {
    let outcome = match outcome {
        Outcome::Succeeded { result } | Outcome::Contradicted { result, .. } => {
            KnownOutcome::Succeeded(KnownSucceeded { result: result.clone() })
        }
        Outcome::Decided | Outcome::Sent | Outcome::Refused { .. } | Outcome::Unknown { .. } => {
            KnownOutcome::Unknown(KnownUnknown {})
        }
    };
    Known { outcome }
}
