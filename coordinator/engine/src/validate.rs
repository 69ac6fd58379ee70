//! Invariants of one saga, run as code: one property each. Tests and the simulation look after every turn; nothing acts on them.

use sagaline_definition::model::{Compensate, Definition, Verb};

use crate::ledger::{Outcome, Undo};
use crate::saga::{Direction, Phase, PlaceState, Probing, Saga, TimerKind};

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
    no_word_is_owed_by_a_saga_that_decides(saga)?;
    what_is_waited_for_has_an_end(saga)?;
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
        // What stepping aside had begun to undo is finished first, then comes what a cancel or deadline listed behind it.
        (Some(open), Some(newest)) if newest > open && !saga.went_aside && saga.undoes() => {
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
        End::Completed if !saga.steps.iter().all(|step| step.state.is_settled()) => {
            Err("completed with a step that is not done".to_owned())
        }
        End::Compensated | End::Cancelled => {
            let left = saga.effects.iter().position(|effect| {
                is_compensable(&definition.steps[effect.step as usize].verb)
                    && effect.may_stand()
                    && !matches!(effect.undo, Undo::Compensated { .. } | Undo::NothingThere)
            });
            left.map_or(Ok(()), |effect| Err(format!("I2: ended {end:?}, but effect {effect} is not undone")))
        }
        End::Completed | End::Closed | End::NotStarted => Ok(()),
    }
}

fn is_compensable(verb: &Verb) -> bool {
    match verb {
        Verb::Call(call) => matches!(call.compensate, Compensate::By { .. }),
        Verb::Saga(child) => child.compensate,
        Verb::Sleep(_) | Verb::Wait(_) | Verb::Until(_) | Verb::Approve(_) | Verb::Decide(_) => false,
    }
}

/// I1: a saga that runs waits for an answer, an event, a person, a change of the world, or a timer.
fn at_rest_something_is_awaited(saga: &Saga) -> Result<(), Violation> {
    let awaited = match &saga.phase {
        Phase::Running { direction: Direction::Forward } => {
            saga.held.is_some() || places(saga).any(|state| !state.is_settled() && *state != PlaceState::Waiting)
        }
        Phase::Running { direction: Direction::Back { .. } | Direction::Aside { .. } } => {
            saga.effects.iter().any(|effect| matches!(effect.undo, Undo::Decided | Undo::Sent))
        }
        Phase::Running { direction: Direction::Ensure { .. } } => {
            let probes = saga.effects.iter().any(|effect| effect.probing != Probing::No);
            probes || saga.timers.iter().any(|timer| timer.kind == TimerKind::Ensure)
        }
        Phase::Stuck { .. } | Phase::Ended { .. } => true,
    };
    if awaited { Ok(()) } else { Err(format!("I1: nothing is awaited in {:?}", saga.phase)) }
}

fn places(saga: &Saga) -> impl Iterator<Item = &PlaceState> {
    saga.steps.iter().flat_map(|step| step.state.places()).map(|place| &place.state)
}

fn no_word_is_owed_by_a_saga_that_decides(saga: &Saga) -> Result<(), Violation> {
    let owed = places(saga).any(|state| matches!(state, PlaceState::Owed { .. }));
    if owed && saga.goes_forward() { Err("I1: a word is owed, and nobody acts on it".to_owned()) } else { Ok(()) }
}

/// I1: what sleeps or waits, and may still go on, has a timer that ends it.
fn what_is_waited_for_has_an_end(saga: &Saga) -> Result<(), Violation> {
    let forward = matches!(saga.direction(), Some(Direction::Forward | Direction::Aside { .. }));
    for (number, step) in (0..).zip(&saga.steps) {
        for (item, place) in step.state.places().iter().enumerate() {
            let waits = matches!(place.state, PlaceState::Awaiting { .. } | PlaceState::Asking { .. });
            let ends = |timer: &&crate::saga::Timer| {
                let its = timer.at.as_ref().is_some_and(|at| {
                    at.step == number && at.round == place.round && at.items.first().is_none_or(|at| *at as usize == item)
                });
                its && matches!(timer.kind, TimerKind::Sleep | TimerKind::Within)
            };
            if forward && waits && !saga.timers.iter().any(|timer| ends(&timer)) {
                return Err(format!("I1: step {number} item {item} waits for ever"));
            }
        }
    }
    Ok(())
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
