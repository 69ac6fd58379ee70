//! Timers and timeouts, judged from the records of the log alone: by both clocks of each Progress, and without the fold's own arithmetic.

use std::collections::{BTreeMap, BTreeSet};

use sagaline_definition::Definition;
use sagaline_definition::model::{Compensate, Verb};
use sagaline_schemas::command::Command;
use sagaline_schemas::record::{Answer, Body, Kind, Progress};
use sagaline_schemas::{Digest, EffectId, Millis, Offset, Position, hash, proof, schema};

use crate::judge::Refold;
use crate::orders::commands;

/// Two clocks further apart let no time pass.
const TOLERANCE: u64 = 60_000;

/// What the log's key has made, and replies, which another proof stands for.
fn bodies(refold: &Refold) -> impl Iterator<Item = (Offset, Millis, Body)> {
    let taken = refold.records.iter().filter(|fetched| !refold.unproven.contains(&fetched.offset));
    taken.filter_map(|fetched| {
        let opened = proof::open(schema::INBOX.fingerprint, &fetched.record.value).ok()?;
        Some((fetched.offset, fetched.timestamp, opened.inbox.body))
    })
}

/// Every Progress, with its broker timestamp.
pub fn progresses(refold: &Refold) -> Vec<(Offset, Millis, Progress)> {
    bodies(refold)
        .filter_map(|(offset, timestamp, body)| match body {
            Body::Progress(progress) => Some((offset, timestamp, progress)),
            _ => None,
        })
        .collect()
}

/// I5: an attempt that follows a silent one was decided at a Progress whose clocks both stand at least the attempt's time behind both
/// clocks of the Progress that acknowledged the silent one's command.
pub fn timers_are_never_early(refold: &Refold, definitions: &BTreeMap<Digest, Definition>) -> Result<(), String> {
    let progresses = progresses(refold);
    let answered = answers(refold);
    let events: BTreeSet<Offset> =
        bodies(refold).filter_map(|(offset, _, body)| matches!(body, Body::Event(_)).then_some(offset)).collect();
    let mut last: BTreeMap<(EffectId, bool), (Position, String)> = BTreeMap::new();
    for ((position, command), channel) in commands(refold)?.into_iter().zip(channels(refold)) {
        let Some(timeout) = attempt_timeout(&command, refold, definitions) else { continue };
        let lane = (command.effect_id, command.address.kind == Kind::Compensate);
        let before = last.insert(lane, (position, channel));
        let Some((sent, channel)) = before.filter(|_| position.timer > 0) else { continue };
        let silent = !answered
            .iter()
            .any(|(effect, offset, _)| *effect == lane.0 && (sent.offset..position.offset).contains(offset));
        let fired = progresses.iter().find(|(offset, ..)| *offset == position.offset);
        let Some((_, timestamp, fired)) = fired else {
            // News of another key's fact are told to one saga after the other, numbered as timers are: a guard may hold again.
            if events.contains(&position.offset) {
                continue;
            }
            return Err(format!(
                "I5: {} was decided by a timer at {position}, which is no Progress",
                command.command_id
            ));
        };
        // What two clocks that disagree acknowledge is sent all the same; its time begins when they agree again.
        let begun = progresses
            .iter()
            .skip_while(|(.., progress)| {
                !progress.acked.iter().any(|acked| acked.channel == channel && acked.through >= sent)
            })
            .find(|(_, timestamp, progress)| progress.wall.abs_diff(*timestamp) <= TOLERANCE);
        let Some((_, base_timestamp, base)) = begun else {
            return Err(format!(
                "I5: the attempt before {} timed out before its command was acknowledged",
                command.command_id
            ));
        };
        let (now, base) = (fired.wall.min(*timestamp), base.wall.max(*base_timestamp));
        if silent && now < base + timeout {
            return Err(format!(
                "I5: {} was decided {} ms after the attempt before was sent",
                command.command_id,
                now - base
            ));
        }
    }
    Ok(())
}

/// How long an attempt may take by its saga's definition as it was written; none: it is no attempt at an effect.
fn attempt_timeout(command: &Command, refold: &Refold, definitions: &BTreeMap<Digest, Definition>) -> Option<Millis> {
    let saga = refold.sagas.iter().find(|saga| saga.id == command.address.saga)?;
    let step = definitions.get(&saga.definition)?.steps.iter().find(|step| step.step == command.address.step)?;
    match (&step.verb, command.address.kind) {
        (Verb::Call(call), Kind::Do) => Some(call.retry.attempt_timeout),
        (Verb::Call(call), Kind::Compensate) => match &call.compensate {
            Compensate::By { retry, .. } => Some(retry.attempt_timeout),
            Compensate::Never | Compensate::Reads => None,
        },
        _ => None,
    }
}

/// Whatever the backlog answers never times out: nothing is tried again behind an answer in the log.
pub fn no_timeout_that_the_log_answers(refold: &Refold) -> Result<(), String> {
    let answered = answers(refold);
    for (position, command) in commands(refold)? {
        if command.address.kind != Kind::Do || command.address.attempt == 1 {
            continue;
        }
        let known = answered
            .iter()
            .find(|(effect, offset, settles)| *settles && *effect == command.effect_id && *offset < position.offset);
        if let Some((_, offset, _)) = known {
            return Err(format!(
                "the command {} at {position} repeats what offset {offset} had answered",
                command.command_id
            ));
        }
    }
    Ok(())
}

fn channels(refold: &Refold) -> impl Iterator<Item = String> {
    refold.outputs.iter().filter(|output| output.output.command.is_some()).map(|output| output.channel.clone())
}

/// Answers to do and undo that lie in the log, true or not, with whether they settle that the effect happened or did not.
fn answers(refold: &Refold) -> Vec<(EffectId, Offset, bool)> {
    let commands = refold.outputs.iter().filter(|output| output.output.command.is_some());
    let tokens: BTreeSet<_> =
        commands.filter_map(|output| Some(proof::open_command(&output.output.value).ok()?.token)).collect();
    bodies(refold)
        .filter_map(|(offset, _, body)| match body {
            Body::Reply(reply) => {
                let address = &reply.address;
                let effect = hash::effect_id(address.saga, &address.step, &address.items, address.round);
                let decides = matches!(reply.answer, Answer::Succeeded(_) | Answer::Refused(_));
                let settles = decides && tokens.contains(&reply.token);
                Some((effect, offset, settles))
            }
            _ => None,
        })
        .collect()
}
