//! What a saga wants of participants, as commands: attempts at effects, and questions about facts.

use sagaline_definition::model::{Call, Compensate, Definition, Verb};
use sagaline_engine::{Outcome, Route, Saga};
use sagaline_schemas::command::{Command, Known, KnownOutcome, KnownSucceeded, KnownUnknown};
use sagaline_schemas::proof::write_single_object;
use sagaline_schemas::record::{Address, Kind};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{CommandId, Content, Millis, Token, hash, schema};

use crate::fold::Partition;
use crate::halt::Halt;
use crate::keys;
use crate::outbox::channel_of_commands;
use crate::state::{Asked, Attempt, CommandRef, KnownContract, Meta};
use crate::store::Family;

/// Tokens kept in memory.
const MOST_TOKENS: usize = 16_384;

/// What a question about a fact is addressed by, where a command has its step.
pub(crate) fn fact_path(fact: &str) -> String {
    format!("facts.{fact}")
}

impl Partition {
    /// An attempt (effect, kind, number) becomes a command in its participant's channel.
    pub(crate) fn command(
        &mut self,
        definition: &Definition,
        saga: &mut Saga,
        (effect, kind, attempt): (u32, Kind, u32),
        deadline: Millis,
    ) -> Result<(), Halt> {
        let Some(call) = call_of(definition, saga, effect) else { return Ok(()) };
        let of = &saga.effects[effect as usize];
        let step = definition.steps[of.step as usize].step.clone();
        let address = Address { saga: saga.id, step, items: of.items.clone(), round: of.round, kind, attempt };
        let asked = Wanted {
            operation: operation(call, kind).to_owned(),
            input: of.input(kind).clone(),
            known: (kind == Kind::Compensate).then(|| known(&of.outcome)),
            decided: of.decided_at,
            first: of.tries(kind).map_or(0, |tries| tries.first),
            deadline,
        };
        let command = self.compose(definition, saga, address, asked);
        let reference = CommandRef { id: command.command_id, saga: saga.id, effect, kind, attempt };
        self.remember_token(reference.attempt(), command.token);
        self.send(definition, saga, &call.participant, command, Some(reference))
    }

    /// A participant is asked for a fact. Only the newest question's answer is news: what it asked is kept.
    pub(crate) fn ask_fact(
        &mut self,
        definition: &Definition,
        saga: &mut Saga,
        fact: u32,
        attempt: u32,
        input: &Bytes,
    ) -> Result<(), Halt> {
        let clause = &definition.facts[fact as usize];
        let Some(ask) = &clause.ask else { return Ok(()) };
        let step = fact_path(&clause.fact);
        let address = Address { saga: saga.id, step, items: Vec::new(), round: 0, kind: Kind::Ask, attempt };
        let now = self.now();
        let (operation, deadline) = (ask.operation.clone(), now.saturating_add(ask.every));
        let wanted = Wanted { operation, input: input.clone(), known: None, decided: now, first: now, deadline };
        let command = self.compose(definition, saga, address, wanted);
        let asked = Asked { attempt, content: command.content };
        self.over.write(Family::Asks, keys::ask(saga.id, fact), &asked);
        self.send(definition, saga, &ask.participant, command, None)
    }

    fn send(
        &mut self,
        definition: &Definition,
        saga: &mut Saga,
        participant: &str,
        command: Command,
        reference: Option<CommandRef>,
    ) -> Result<(), Halt> {
        let partition = self.route(definition, saga, participant)?;
        let id = *command.command_id.as_bytes();
        let value = write_single_object(schema::COMMAND.fingerprint, &command);
        let channel = channel_of_commands(participant);
        self.output(&channel, id, saga.id.as_bytes(), Some(partition), value, reference)?;
        Ok(())
    }

    /// Any half of those that are kept may go: sagas' ids are hashes. None is kept that could not be derived any more: what is to be undone
    /// may be known better than it was for the attempts before.
    fn remember_token(&mut self, attempt: Attempt, token: Token) {
        if attempt.kind == Kind::Compensate {
            let before = Attempt { number: 0, ..attempt }..attempt;
            let passed: Vec<Attempt> = self.tokens.range(before).map(|(attempt, _)| *attempt).collect();
            for attempt in passed {
                self.tokens.remove(&attempt);
            }
        }
        self.tokens.insert(attempt, token);
        if self.tokens.len() > MOST_TOKENS
            && let Some(middle) = self.tokens.keys().nth(MOST_TOKENS / 2).copied()
        {
            self.tokens = self.tokens.split_off(&middle);
        }
    }

    fn compose(&self, definition: &Definition, saga: &Saga, address: Address, wanted: Wanted) -> Command {
        let Meta { log_id, topic, .. } = self.begun();
        let proof = |command, content| self.key.token(*log_id, self.number, command, content);
        compose(definition, saga, address, wanted, (topic.clone(), self.number), proof)
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
}

/// A command with the ids that follow from its address. `reply`: the topic and partition where its answer goes.
pub(crate) fn compose(
    definition: &Definition,
    saga: &Saga,
    address: Address,
    wanted: Wanted,
    (reply_topic, reply_partition): (String, u32),
    proof: impl FnOnce(CommandId, Content) -> Token,
) -> Command {
    let effect_id = hash::effect_id(saga.id, &address.step, &address.items, address.round);
    let command_id = hash::command_id(effect_id, address.kind, address.attempt);
    let Wanted { operation, input, known, decided, first, deadline } = wanted;
    let content = hash::content(&operation, &input);
    Command {
        address,
        command_id,
        effect_id,
        token: proof(command_id, content),
        content,
        operation,
        input,
        known,
        decided,
        first,
        deadline,
        reply_topic,
        reply_partition,
        saga: format!("{}/{}", definition.saga, saga.key),
        traceparent: saga.traceparent.clone(),
    }
}

/// What a command says beside its address.
pub(crate) struct Wanted {
    pub operation: String,
    pub input: Bytes,
    pub known: Option<Known>,
    pub decided: Millis,
    pub first: Millis,
    pub deadline: Millis,
}

/// The step that an effect belongs to, as a call; none: it is a child saga.
pub(crate) fn call_of<'a>(definition: &'a Definition, saga: &Saga, effect: u32) -> Option<&'a Call> {
    let step = saga.effects.get(effect as usize)?.step;
    match &definition.steps.get(step as usize)?.verb {
        Verb::Call(call) => Some(call),
        Verb::Saga(_) | Verb::Sleep(_) | Verb::Wait(_) | Verb::Until(_) | Verb::Approve(_) | Verb::Decide(_) => None,
    }
}

/// The operation that a command of this kind wants.
pub(crate) fn operation(call: &Call, kind: Kind) -> &str {
    match (kind, &call.compensate, &call.probe) {
        (Kind::Compensate, Compensate::By { operation, .. }, _) => operation,
        (Kind::Probe, _, Some(probe)) => probe,
        (Kind::Compensate | Kind::Do | Kind::Probe | Kind::Ask, _, _) => &call.operation,
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
