//! Invariants of one saga, run as code: one property each. Tests and the simulation look after every turn; nothing acts on them.

use sagaline_definition::model::{Compensate, Definition, Verb};
use sagaline_schemas::record::End;

use crate::ledger::{Outcome, Undo};
use crate::loops;
use crate::saga::{Direction, Goal, KnownBy, Phase, PlaceState, Probing, Saga, TimerKind};

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
    nothing_is_tried_that_nobody_waits_for(saga)?;
    nothing_is_listed_that_nobody_undoes(saga)?;
    nothing_strays(definition, saga)?;
    an_end_leaves_nothing_open(definition, saga)?;
    an_end_leaves_no_timers(saga)?;
    at_rest_something_is_awaited(saga)?;
    no_word_is_owed_by_a_saga_that_decides(saga)?;
    what_is_waited_for_has_an_end(definition, saga)?;
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
        let late =
            matches!(effect.outcome, Outcome::Contradicted { .. }) || matches!(effect.known, KnownBy::Person { .. });
        effect.undo == Undo::Listed && effect.undo_tries.count == 0 && !late
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

/// I3: attempts at doing go on only where a place waits for this very effect.
fn nothing_is_tried_that_nobody_waits_for(saga: &Saga) -> Result<(), Violation> {
    for timer in &saga.timers {
        let (TimerKind::Attempt | TimerKind::Backoff, Some(at)) = (timer.kind, &timer.at) else { continue };
        let effect = saga.effect_at(at.step, &at.items, at.round);
        if effect.is_none_or(|effect| !places(saga).any(|place| effect_of(place) == Some(effect))) {
            return Err(format!("I3: an attempt's clock runs for {at:?}, where nobody waits for it"));
        }
    }
    Ok(())
}

/// The effect that a place waits for.
fn effect_of(place: &PlaceState) -> Option<u32> {
    match place {
        PlaceState::Active { effect } => Some(*effect),
        PlaceState::Owed { effect, .. } | PlaceState::Held { effect, .. } => *effect,
        PlaceState::Waiting
        | PlaceState::Guarded
        | PlaceState::Queued
        | PlaceState::Awaiting { .. }
        | PlaceState::Asking { .. }
        | PlaceState::Done { .. }
        | PlaceState::Known { .. }
        | PlaceState::Skipped
        | PlaceState::Continued => None,
    }
}

/// I2: whatever is listed is undone before the saga goes on, or a person is asked.
fn nothing_is_listed_that_nobody_undoes(saga: &Saga) -> Result<(), Violation> {
    let undoes = match &saga.phase {
        Phase::Running { direction: Direction::Back { .. } | Direction::Aside { .. } } | Phase::Stuck { .. } => true,
        Phase::Running { .. } => false,
        Phase::Ended { end, .. } => *end == End::Closed,
    };
    let listed = saga.effects.iter().position(|effect| effect.undo == Undo::Listed || under_way(&effect.undo));
    match listed {
        Some(effect) if !undoes => Err(format!("I2: effect {effect} is to be undone, and nobody does it")),
        Some(_) | None => Ok(()),
    }
}

/// I4: of one place at most the newest effect stands while the saga goes forward, and after it has completed.
fn nothing_strays(definition: &Definition, saga: &Saga) -> Result<(), Violation> {
    let stands = match &saga.phase {
        Phase::Running { direction } => matches!(direction, Direction::Forward),
        Phase::Stuck { .. } => false,
        Phase::Ended { end, .. } => *end == End::Completed,
    };
    for (number, effect) in saga.effects.iter().enumerate() {
        let newer = saga.effects[number + 1..].iter().any(|e| e.step == effect.step && e.items == effect.items);
        let undoable = is_compensable(&definition.steps[effect.step as usize].verb);
        if stands && newer && undoable && effect.may_stand() && !effect.undo.is_void() {
            return Err(format!("I4: effect {number} may stand beside a newer one of the same place"));
        }
    }
    Ok(())
}

/// I5: of an ended saga nothing is due but that it is forgotten.
fn an_end_leaves_no_timers(saga: &Saga) -> Result<(), Violation> {
    let left = saga.timers.iter().find(|timer| timer.kind != TimerKind::Forget);
    match left {
        Some(timer) if saga.is_ended() => Err(format!("I5: {timer:?} runs in an ended saga")),
        Some(_) | None => Ok(()),
    }
}

fn an_end_leaves_nothing_open(definition: &Definition, saga: &Saga) -> Result<(), Violation> {
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
                    && !effect.undo.is_void()
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
            // One that is listed waits for its participant.
            saga.effects.iter().any(|effect| matches!(effect.undo, Undo::Listed | Undo::Decided | Undo::Sent))
        }
        Phase::Running { direction: Direction::Over { .. } } => false,
        Phase::Running { direction: Direction::Ensure { .. } } => {
            let probes = saga.effects.iter().any(|effect| effect.probing != Probing::No);
            saga.held.is_some() || probes || saga.timers.iter().any(|timer| timer.kind == TimerKind::Ensure)
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
fn what_is_waited_for_has_an_end(definition: &Definition, saga: &Saga) -> Result<(), Violation> {
    let forward = matches!(saga.direction(), Some(Direction::Forward | Direction::Aside { .. }));
    // What these steps awaited means nothing any more: they are about to begin anew.
    let redone = match saga.direction() {
        Some(Direction::Aside { goal: Goal::Again { step, .. } }) => loops::from_here(definition, *step),
        _ => Default::default(),
    };
    for (number, step) in (0..).zip(&saga.steps) {
        for (item, place) in step.state.places().iter().enumerate() {
            let waits = matches!(place.state, PlaceState::Awaiting { .. } | PlaceState::Asking { .. });
            let ends = |timer: &&crate::saga::Timer| {
                let its = timer.at.as_ref().is_some_and(|at| {
                    at.step == number
                        && at.round == place.round
                        && at.items.first().is_none_or(|at| *at as usize == item)
                });
                its && matches!(timer.kind, TimerKind::Sleep | TimerKind::Within)
            };
            if forward && waits && !redone.contains(&number) && !saga.timers.iter().any(|timer| ends(&timer)) {
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
