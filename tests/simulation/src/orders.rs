//! What the log decided, read from its commands alone: which effects, in which order, and how they were undone. Knows nothing of the engine.

use std::collections::{BTreeMap, BTreeSet};

use sagaline_schemas::command::Command;
use sagaline_schemas::output::{Notice, NoticeBody, SagaEvent};
use sagaline_schemas::record::Kind;
use sagaline_schemas::wire::Wire;
use sagaline_schemas::{EffectId, Position, SagaId, proof, schema};

use crate::judge::Refold;

/// An effect that was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Which.
    pub effect: EffectId,
    /// Where its first command was decided.
    pub at: Position,
}

/// A saga's commands.
#[derive(Default)]
struct Order {
    decided: Vec<Decided>,
    /// Effects in the order in which their undoing was first decided.
    undone: Vec<EffectId>,
    done_after_undoing: bool,
}

/// All sagas' commands.
#[derive(Default)]
pub struct Orders(BTreeMap<SagaId, Order>);

impl Orders {
    /// What a partition's log decided.
    pub fn read(refold: &Refold) -> Result<Self, String> {
        let mut orders = Self::default();
        let mut seen = BTreeSet::new();
        for (position, command) in commands(refold)? {
            if !seen.insert(command.command_id) {
                return Err(format!("I4: the command {} was decided twice", command.command_id));
            }
            let order = orders.0.entry(command.address.saga).or_default();
            match command.address.kind {
                Kind::Do => {
                    order.done_after_undoing |= !order.undone.is_empty();
                    if !order.decided.iter().any(|decided| decided.effect == command.effect_id) {
                        order.decided.push(Decided { effect: command.effect_id, at: position });
                    }
                }
                Kind::Compensate if !order.undone.contains(&command.effect_id) => order.undone.push(command.effect_id),
                Kind::Compensate | Kind::Probe | Kind::Ask => {}
            }
        }
        Ok(orders)
    }

    /// I2 and I3, as commands show them. Sagas that may go aside, undoing some of their effects and then going on, undo them in several
    /// sequences: of these only what is undone at all is looked at.
    pub fn check(&self, goes_aside: impl Fn(SagaId) -> bool) -> Result<(), String> {
        for (saga, order) in &self.0 {
            let aside = goes_aside(*saga);
            if order.done_after_undoing && !aside {
                return Err(format!("I3: {saga} decided something forward after its compensation had begun"));
            }
            let places: Vec<_> =
                order.undone.iter().map(|effect| order.decided.iter().position(|d| d.effect == *effect)).collect();
            if places.contains(&None) || !aside && !places.is_sorted_by(|before, after| before > after) {
                return Err(format!("I2: {saga} undid its effects in the order {places:?}"));
            }
        }
        Ok(())
    }

    /// A saga's effects in the order in which they were decided.
    pub fn of(&self, saga: SagaId) -> &[Decided] {
        self.0.get(&saga).map_or(&[], |order| &order.decided)
    }
}

/// All commands, in the order in which they were decided.
pub fn commands(refold: &Refold) -> Result<Vec<(Position, Command)>, String> {
    let commands = refold.outputs.iter().filter(|output| output.output.command.is_some());
    let open = |value: &[u8]| proof::open_command(value).map_err(|error| error.to_string());
    commands.map(|output| Ok((output.position, open(&output.output.value)?))).collect()
}

/// What was told of sagas, in order.
pub fn saga_events(refold: &Refold) -> Result<Vec<SagaEvent>, String> {
    let events = refold.outputs.iter().filter(|output| output.channel == "events");
    let mut told = Vec::new();
    for output in events {
        let opened = proof::open_single_object(schema::EVENT.fingerprint, &output.output.value);
        let mut reader = opened.map_err(|error| error.to_string())?;
        match Notice::decode(&mut reader).map_err(|error| error.to_string())?.body {
            NoticeBody::Saga(event) => told.push(event),
            NoticeBody::Participant(_) => {}
        }
    }
    Ok(told)
}
