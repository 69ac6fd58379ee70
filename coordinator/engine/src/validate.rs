//! Invariants of one saga, run as code: one property each. Tests and the simulation look after every turn; nothing acts on them.

use sagaline_definition::model::Definition;

use crate::ledger::{Outcome, Undo};
use crate::saga::{Direction, Phase, Saga, StepState, TimerKind};

/// A property that does not hold, in words.
pub type Violation = String;

/// All of them.
///
/// # Errors
/// The first that does not hold.
pub fn validate(definition: &Definition, saga: &Saga) -> Result<(), Violation> {
    one_undo_at_a_time(saga)?;
    undone_in_reverse(saga)?;
    nothing_done_while_going_back(saga)?;
    an_end_leaves_nothing_open(definition, saga)?;
    at_rest_something_is_awaited(saga)?;
    timers_are_unique(saga)
}

fn under_way(undo: &Undo) -> bool {
    matches!(undo, Undo::Decided | Undo::Sent | Undo::UsedUp)
}

fn one_undo_at_a_time(saga: &Saga) -> Result<(), Violation> {
    let open = saga.effects.iter().filter(|effect| under_way(&effect.undo)).count();
    if open > 1 { Err(format!("I2: {open} effects are being undone at once")) } else { Ok(()) }
}

/// Whatever is listed was decided before whatever is under way. One that is listed again had its turn: a participant said that there was
/// nothing to undo, and then that it had happened. One that was refused, and then happened after all, came too late for its turn.
fn undone_in_reverse(saga: &Saga) -> Result<(), Violation> {
    let open = saga.effects.iter().position(|effect| under_way(&effect.undo));
    let newest = saga.effects.iter().rposition(|effect| {
        let first_time = effect.undo_tries.count == 0 && !matches!(effect.outcome, Outcome::Contradicted { .. });
        effect.undo == Undo::Listed && first_time
    });
    match (open, newest) {
        (Some(open), Some(newest)) if newest > open && matches!(saga.phase, Phase::Running { .. }) => {
            Err(format!("I2: effect {open} is undone before effect {newest}"))
        }
        _ => Ok(()),
    }
}

fn nothing_done_while_going_back(saga: &Saga) -> Result<(), Violation> {
    let back = matches!(&saga.phase, Phase::Running { direction: Direction::Back { .. } });
    let doing = saga.timers.iter().any(|timer| matches!(timer.kind, TimerKind::Attempt | TimerKind::Backoff));
    if back && doing { Err("I3: an attempt's clock runs while the saga goes back".to_owned()) } else { Ok(()) }
}

fn an_end_leaves_nothing_open(definition: &Definition, saga: &Saga) -> Result<(), Violation> {
    use sagaline_schemas::record::End;
    let Phase::Ended { end, .. } = &saga.phase else {
        return Ok(());
    };
    match end {
        End::Completed if !saga.steps.iter().all(StepState::is_settled) => {
            Err("completed with a step that is not done".to_owned())
        }
        End::Compensated | End::Cancelled => {
            let left = saga.effects.iter().position(|effect| {
                let by = matches!(
                    definition.steps[effect.step as usize].verb,
                    sagaline_definition::model::Verb::Call(ref call)
                        if matches!(call.compensate, sagaline_definition::model::Compensate::By { .. })
                );
                by && effect.outcome.may_stand()
                    && !matches!(effect.undo, Undo::Compensated { .. } | Undo::NothingThere)
            });
            left.map_or(Ok(()), |effect| Err(format!("I2: ended {end:?}, but effect {effect} is not undone")))
        }
        End::Completed | End::Closed | End::NotStarted => Ok(()),
    }
}

/// I1: a saga that runs waits for an answer, an acknowledgement or a timer.
fn at_rest_something_is_awaited(saga: &Saga) -> Result<(), Violation> {
    let awaited = match &saga.phase {
        Phase::Running { direction: Direction::Forward } => {
            saga.effects.iter().any(|effect| effect.outcome.is_open() && !effect.tries.resting)
        }
        Phase::Running { direction: Direction::Back { .. } } => {
            let open = |undo: &Undo| matches!(undo, Undo::Decided | Undo::Sent);
            saga.effects.iter().any(|effect| open(&effect.undo) && !effect.undo_tries.resting)
        }
        Phase::Stuck { .. } | Phase::Ended { .. } => true,
    };
    if awaited { Ok(()) } else { Err(format!("I1: nothing is awaited in {:?}", saga.phase)) }
}

fn timers_are_unique(saga: &Saga) -> Result<(), Violation> {
    if saga.timer_index().len() == saga.timers.len() { Ok(()) } else { Err("a timer stands twice".to_owned()) }
}

/// Whether an effect of the saga is known to stand in the world, by its ledger.
pub fn stands(outcome: &Outcome, undo: &Undo) -> Option<bool> {
    match (outcome, undo) {
        (_, Undo::Compensated { .. } | Undo::NothingThere) => Some(false),
        (Outcome::Succeeded { .. } | Outcome::Contradicted { .. }, Undo::No | Undo::Listed) => Some(true),
        (Outcome::Refused { .. }, _) => Some(false),
        (Outcome::Decided | Outcome::Sent | Outcome::Unknown { .. }, _)
        | (Outcome::Succeeded { .. } | Outcome::Contradicted { .. }, Undo::Decided | Undo::Sent | Undo::UsedUp) => None,
    }
}
