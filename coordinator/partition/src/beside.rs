//! Probes of what ended sagas did, asked beside the fold: the answers go to another topic than the inbox, so that the fold never meets them and
//! nothing is decided by them.

use sagaline_definition::model::{Definition, Verb};
use sagaline_engine::Saga;
use sagaline_schemas::command::Command;
use sagaline_schemas::proof::Key;
use sagaline_schemas::record::{Address, Kind};
use sagaline_schemas::{Millis, Partition};

use crate::command::{Wanted, compose, operation};
use crate::state::Meta;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The log's key: answers are proven by it.
    pub key: &'a Key,
    /// What the saga's partition knows of itself.
    pub meta: &'a Meta,
    /// Where answers go: topic and partition.
    pub reply: (&'a str, Partition),
    /// The attempt's number, of `FIRST_ATTEMPT_BESIDE` or more.
    pub attempt: u32,
    /// The wall clock, milliseconds since 1970.
    pub now: Millis,
    /// Until when an answer is awaited.
    pub deadline: Millis,
}

/// A question, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who is asked.
    pub participant: String,
    /// The partition of its command topic that the saga uses.
    pub partition: Partition,
    /// What is asked.
    pub command: Command,
}

/// Who can be asked about an effect: its participant; none: its contract names no probe, or no command for it was ever sent.
pub fn whom<'a>(definition: &'a Definition, saga: &Saga, effect: u32) -> Option<&'a str> {
    let of = saga.effects.get(effect as usize)?;
    match &definition.steps.get(of.step as usize)?.verb {
        Verb::Call(call) if call.probe.is_some() && of.tries.count > 0 => Some(&call.participant),
        Verb::Call(_)
        | Verb::Saga(_)
        | Verb::Sleep(_)
        | Verb::Wait(_)
        | Verb::Until(_)
        | Verb::Approve(_)
        | Verb::Decide(_) => None,
    }
}

/// The probe of an effect; none: as `whom`.
pub fn probe(asking: Asking<'_>, definition: &Definition, saga: &Saga, effect: u32) -> Option<Question> {
    let participant = whom(definition, saga, effect)?.to_owned();
    let of = saga.effects.get(effect as usize)?;
    let step = definition.steps.get(of.step as usize)?;
    let Verb::Call(call) = &step.verb else { return None };
    let partition = saga.routes.iter().find(|route| route.participant == participant)?.partition;
    let Asking { key, meta, reply: (topic, reply_partition), attempt, now, deadline } = asking;
    let (step, items, round) = (step.step.clone(), of.items.clone(), of.round);
    let address = Address { saga: saga.id, step, items, round, kind: Kind::Probe, attempt };
    let first = if of.probe_tries.count > 0 { of.probe_tries.first } else { now };
    let wanted = Wanted {
        operation: operation(call, Kind::Probe).to_owned(),
        input: of.input(Kind::Probe).clone(),
        known: None,
        decided: of.decided_at,
        first,
        deadline,
    };
    let proof = |command, content| key.token(meta.log_id, meta.partition, command, content);
    let command = compose(definition, saga, address, wanted, (topic.to_owned(), reply_partition), proof);
    Some(Question { participant, partition, command })
}
