//! Everybody does what they can: participants answer, people help, time passes. Then every saga ends.

use sagaline_schemas::record::{Answer, Compensated, End, Happened, Kind, Probed, Succeeded};
use sagaline_schemas::request::Finding;
use sagaline_schemas::wire::Bytes;

use super::making::{ask, vote};
use super::witness::Witness;
use crate::ledger::Undo;
use crate::saga::{Phase, PlaceState, Probing, Stuck, TimerKind, TimerStart};
use crate::tests::stage::Stage;
use crate::told::Told;
use crate::turn::Input;
use crate::{Asked, PlaceName};

/// Rounds of help that must be enough.
const ENOUGH: usize = 120;

pub fn bring_to_its_end(stage: &mut Stage, witness: &mut Witness) {
    stage.gates = Default::default();
    witness.give(stage, Input::Admitted);
    for round in 0..ENOUGH {
        if stage.saga.is_ended() {
            return;
        }
        help(stage, witness, round);
    }
    panic!("the saga does not end: {:?}\n{}", stage.saga.phase, stage.account);
}

fn help(stage: &mut Stage, witness: &mut Witness, round: usize) {
    let reason = "so".to_owned();
    if let Phase::Stuck { stuck, .. } = stage.saga.phase.clone() {
        let asked = match stuck {
            _ if round > ENOUGH / 2 => Asked::Close { reason },
            Stuck::Contradiction { effect } => {
                let place = name(stage, effect);
                Asked::Confirm { place, finding: Finding::Done, result: None, reason, evidence: String::new() }
            }
            _ => Asked::Retry { place: None, input: None, reason },
        };
        return witness.give(stage, ask(asked));
    }
    if stage.saga.held.is_some() && round.is_multiple_of(2) {
        witness.give(stage, ask(Asked::Release { place: None, reason: reason.clone() }));
    }
    if round > ENOUGH / 4 && round.is_multiple_of(7) {
        witness.give(stage, ask(Asked::Cancel { reason }));
    }
    answer_everything(stage, witness);
    if stage.saga.goes_forward() && round.is_multiple_of(2) {
        for (fact, value) in [(0, "true"), (1, "1")] {
            let told = Told { value: Bytes::from(value), seq: None, at: stage.now };
            witness.give(stage, Input::Told { fact, told });
        }
    }
    decide_everything(stage, witness, round);
    fire_the_next(stage, witness, round > ENOUGH / 3);
}

fn name(stage: &Stage, effect: u32) -> PlaceName {
    let of = &stage.saga.effects[effect as usize];
    PlaceName {
        step: stage.definition.steps[of.step as usize].step.clone(),
        items: of.items.clone(),
        round: Some(of.round),
    }
}

fn answer_everything(stage: &mut Stage, witness: &mut Witness) {
    for effect in 0..stage.saga.effects.len() {
        let of = stage.saga.effects[effect].clone();
        if of.child_key.is_some() {
            let end = match (&of.undo, of.outcome.is_undecided()) {
                (Undo::Decided | Undo::Sent, _) => End::Compensated,
                (Undo::No, true) => End::Completed,
                _ => continue,
            };
            let (at, result) = (of.spot(), Bytes::from("1"));
            let child = Some(sagaline_schemas::SagaId::from_bytes([3; 16]));
            witness.give(stage, Input::ChildEnded { at, end, child, result, reason: String::new() });
            continue;
        }
        let (kind, answer) = match (&of.undo, of.probing, of.outcome.is_open()) {
            (Undo::Decided | Undo::Sent, _, _) => (Kind::Compensate, Answer::Compensated(Compensated { result: None })),
            (_, Probing::Outcome | Probing::Ensure, _) => {
                let result = Some(Bytes::from("1"));
                (Kind::Probe, Answer::Probed(Probed { happened: Happened::Yes, found: result.clone(), result }))
            }
            (Undo::No, Probing::No, true) => (Kind::Do, Answer::Succeeded(Succeeded { result: Bytes::from("1") })),
            _ => continue,
        };
        let attempt = of.tries(kind).map_or(0, |tries| tries.count);
        witness.give(stage, Input::Answer { effect: effect as u32, kind, attempt, answer, instance: String::new() });
    }
}

fn decide_everything(stage: &mut Stage, witness: &mut Witness, round: usize) {
    for step in 0..stage.saga.steps.len() {
        for item in 0..stage.saga.steps[step].state.places().len() {
            let Some(place) = stage.saga.steps[step].state.places().get(item) else { continue };
            let each = stage.definition.steps[step].for_each.is_some();
            let items = if each { vec![item as u32] } else { vec![] };
            let name = PlaceName { step: stage.definition.steps[step].step.clone(), items, round: None };
            let asked = match &place.state {
                PlaceState::Asking { .. } => vote(&name, "yes", stage),
                PlaceState::Awaiting { .. } => Asked::Signal { step: name.step, event: Bytes::from(r#"{"n":9}"#) },
                PlaceState::Held { .. } if round > ENOUGH / 2 => Asked::Close { reason: String::new() },
                PlaceState::Held { .. } => Asked::Release { place: Some(name), reason: String::new() },
                _ => continue,
            };
            witness.give(stage, ask(asked));
        }
    }
}

/// The deadline last, and only when nothing else has helped.
fn fire_the_next(stage: &mut Stage, witness: &mut Witness, even_the_deadline: bool) {
    stage.saga.begin_durations(stage.now);
    let fires = |kind: TimerKind| even_the_deadline || kind != TimerKind::Deadline;
    let due = |start: TimerStart| match start {
        TimerStart::Due { at } => at,
        TimerStart::Waiting { .. } => i64::MAX,
    };
    let timers = stage.saga.timers.iter().filter(|timer| fires(timer.kind));
    if let Some(next) = timers.min_by_key(|timer| due(timer.start)).cloned() {
        stage.now = stage.now.max(due(next.start));
        witness.give(stage, Input::Timer { kind: next.kind, at: next.at });
    }
}
