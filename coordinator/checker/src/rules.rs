//! The invariants (docs/invariants.md), held by what left the saga and what it was told, not by what it writes down.

use std::collections::BTreeMap;

use sagaline_definition::model::{Definition, Verb};
use sagaline_engine::report::report;
use sagaline_engine::validate::validate;
use sagaline_engine::{Direction, Fact, Goal, Outcome, Outgoing, Phase, PlaceState, Probing, Saga, Spot, TimerKind};
use sagaline_schemas::record::{End, Kind};

use crate::event::{Event, place};
use crate::scene::{Happening, Scene, Setting, compensable, places};
use crate::world::{ChildIs, Deed, World, slot};

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Its name.
    pub rule: &'static str,
    /// What is wrong.
    pub what: String,
}

fn wrong<T>(rule: &'static str, what: String) -> Result<T, Violation> {
    Err(Violation { rule, what })
}

/// What is about to leave the saga, held against all that left it before. `was`: which way the saga went before this turn.
pub fn leaving(
    definition: &Definition,
    saga: &Saga,
    world: &World,
    was: Option<&Direction>,
    out: &Outgoing,
) -> Result<(), Violation> {
    use sagaline_engine::ChildWord;
    let (effect, kind) = match out {
        Outgoing::Command { effect, kind, .. } => (*effect, *kind),
        Outgoing::Child { effect, word: ChildWord::Start { .. } } => (*effect, Kind::Do),
        Outgoing::Child { effect, word: ChildWord::Cancel { .. } | ChildWord::Compensate } => {
            (*effect, Kind::Compensate)
        }
        Outgoing::Child { .. }
        | Outgoing::Ask { .. }
        | Outgoing::Queued { .. }
        | Outgoing::WaitsToAsk { .. }
        | Outgoing::Ended { .. }
        | Outgoing::Bind { .. } => {
            return Ok(());
        }
    };
    let Some(deed) = world.deeds.get(effect as usize) else {
        return wrong("I10", format!("a command leaves for effect {effect}, which is none"));
    };
    match kind {
        Kind::Do | Kind::Ask => doing(definition, saga, world, was, effect, deed),
        Kind::Compensate => undoing(definition, saga, world, effect, deed),
        Kind::Probe => Ok(()),
    }
}

fn named(definition: &Definition, saga: &Saga, effect: u32) -> String {
    saga.effects.get(effect as usize).map_or_else(String::new, |effect| place(definition, &effect.spot()))
}

fn doing(
    definition: &Definition,
    saga: &Saga,
    world: &World,
    was: Option<&Direction>,
    effect: u32,
    deed: &Deed,
) -> Result<(), Violation> {
    let name = named(definition, saga, effect);
    if let Some(other) = world.deeds.iter().position(|deed| deed.undoing) {
        return wrong(
            "I3",
            format!("{name} is commanded while {} is being undone", named(definition, saga, other as u32)),
        );
    }
    if !matches!(was, Some(Direction::Forward | Direction::Aside { .. })) {
        return wrong("I3", format!("{name} is commanded although the saga goes back or has ended"));
    }
    if deed.commanded[1] {
        return wrong("I3", format!("{name} is commanded although it was undone"));
    }
    if deed.commanded[0] {
        return Ok(());
    }
    let of = &saga.effects[effect as usize];
    let twin = (0..world.deeds.len()).find(|other| {
        let (twin, known) = (&saga.effects[*other], &world.deeds[*other]);
        let same = *other != effect as usize && twin.step == of.step && twin.items == of.items;
        same && known.must_be_undone() && (twin.round == of.round || compensable(definition, of.step))
    });
    match twin {
        Some(_) => wrong("I4", format!("{name} is begun a second time while the first may stand")),
        None => Ok(()),
    }
}

fn undoing(definition: &Definition, saga: &Saga, world: &World, effect: u32, deed: &Deed) -> Result<(), Violation> {
    let name = named(definition, saga, effect);
    let Some(direction @ (Direction::Back { .. } | Direction::Aside { .. })) = saga.direction() else {
        return wrong("I3", format!("{name} is undone although the saga does not go back"));
    };
    if deed.undoing {
        return Ok(());
    }
    if !compensable(definition, saga.effects[effect as usize].step) {
        return wrong("I2", format!("{name} is undone, which can't be"));
    }
    if !deed.must_be_undone() {
        return wrong("I2", format!("{name} is undone, although it never happened or is void already"));
    }
    if let Some(other) = world.deeds.iter().position(|deed| deed.undoing) {
        return wrong("I2", format!("{name} is undone beside {}", named(definition, saga, other as u32)));
    }
    let at = world.order.iter().position(|other| *other == effect).unwrap_or(0);
    let newer = world.order[at + 1..].iter().find(|other| {
        let spot = saga.effects[**other as usize].spot();
        let counts = world.deeds[**other as usize].must_be_undone() && compensable(definition, spot.step);
        counts && is_concerned(definition, direction, &spot)
    });
    match newer {
        Some(newer) => {
            wrong("I2", format!("{name} is undone before {}, which was decided later", named(definition, saga, *newer)))
        }
        None => Ok(()),
    }
}

/// Whether what the saga undoes includes a place.
fn is_concerned(definition: &Definition, direction: &Direction, spot: &Spot) -> bool {
    match direction {
        Direction::Back { .. } => true,
        Direction::Aside { goal: Goal::Void { spots } } => spots.contains(spot),
        Direction::Aside { goal: Goal::Again { step, .. } } => {
            comes_after(definition, spot.step as usize, *step as usize)
        }
        Direction::Forward | Direction::Ensure { .. } | Direction::Over { .. } => false,
    }
}

fn comes_after(definition: &Definition, step: usize, first: usize) -> bool {
    step == first || definition.steps[step].after.iter().any(|before| comes_after(definition, *before, first))
}

/// A whole happening, from rest to rest.
pub fn happened(
    setting: &Setting,
    before: &Scene,
    event: &Event,
    happening: &Happening,
    after: &Scene,
) -> Result<(), Violation> {
    let definition = setting.definition;
    let event = match event {
        Event::Slowly(event) => event,
        event => event,
    };
    validate(definition, &after.saga).map_err(|what| Violation { rule: "engine", what })?;
    taken(definition, before, event, happening, after)?;
    pivot_holds(definition, before, after)?;
    news_arrive(setting, before, event, happening, after)?;
    books_agree(definition, after)?;
    silence_is_noticed(definition, after)?;
    decided_once(definition, before, happening)?;
    if !before.saga.is_ended() || matches!(event, Event::Late(..)) {
        end_is_true(definition, after)?;
    }
    Ok(())
}

/// What must be taken is taken: answers, cancellations before the pivot, the way out of a saga that is stuck.
fn taken(
    definition: &Definition,
    before: &Scene,
    event: &Event,
    happening: &Happening,
    after: &Scene,
) -> Result<(), Violation> {
    let rejected = happening.transitions.iter().find_map(|transition| transition.rejected.as_ref());
    match (event, rejected) {
        (Event::Answer(..) | Event::Late(..) | Event::Again(..), Some(why)) => {
            wrong("I1", format!("an answer is not taken: {why}"))
        }
        (Event::Close, Some(why)) => wrong("I1", format!("it is stuck and can't even be closed: {why}")),
        (Event::Cancel, Some(why)) => {
            let forward = matches!(before.saga.direction(), Some(Direction::Forward | Direction::Aside { .. }));
            match forward && pivot(definition, before).is_none() {
                true => wrong("I1", format!("a cancellation before the pivot is not taken: {why}")),
                false => Ok(()),
            }
        }
        (Event::LateVote(..), None) => wrong("I6", "a vote on what no longer counts is taken".to_owned()),
        (Event::Timer(kind, at), _) => {
            let past = |timer: &&sagaline_engine::Timer| {
                timer.kind == *kind
                    && timer.at == *at
                    && timer.start == sagaline_engine::TimerStart::Due { at: crate::surroundings::NOW }
            };
            match after.saga.timers.iter().find(past) {
                Some(_) => wrong("I5", format!("the timer {kind:?} fires and stays")),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// The step whose pivot was commanded, and not refused.
fn pivot(definition: &Definition, scene: &Scene) -> Option<u32> {
    let decided = |(effect, deed): (usize, &Deed)| {
        let step = scene.saga.effects[effect].step;
        (definition.steps[step as usize].pivot && deed.commanded[0] && !deed.told_refused).then_some(step)
    };
    scene.world.deeds.iter().enumerate().find_map(decided)
}

fn goes_back(scene: &Scene) -> bool {
    let back = matches!(scene.saga.direction(), Some(Direction::Back { .. }));
    back || matches!(scene.saga.phase, Phase::Ended { end: End::Compensated | End::Cancelled, .. })
}

fn pivot_holds(definition: &Definition, before: &Scene, after: &Scene) -> Result<(), Violation> {
    match (pivot(definition, before), pivot(definition, after)) {
        (Some(step), Some(_)) if goes_back(after) && !goes_back(before) => wrong(
            "I3",
            format!("it goes back although its pivot {:?} is decided", definition.steps[step as usize].step),
        ),
        _ => Ok(()),
    }
}

/// Nothing that comes from outside is lost.
fn news_arrive(
    setting: &Setting,
    before: &Scene,
    event: &Event,
    happening: &Happening,
    after: &Scene,
) -> Result<(), Violation> {
    let definition = setting.definition;
    let taken = happening.transitions.iter().all(|transition| transition.rejected.is_none());
    match event {
        Event::Letter(step, event) if taken && is_wanted(setting, before, *step, *event) && !after.saga.is_ended() => {
            let lying = |scene: &Scene| scene.saga.letters.iter().filter(|letter| letter.step == *step).count();
            let known = |scene: &Scene| {
                let places = scene.saga.steps[*step as usize].state.places();
                places.iter().filter(|place| matches!(place.state, PlaceState::Known { .. })).count()
            };
            if lying(after) + known(after) < lying(before) + known(before) + 1 {
                return wrong("I1", format!("an event for {:?} is lost", definition.steps[*step as usize].step));
            }
        }
        Event::Told(fact, _) if definition.facts[*fact as usize].ask.is_none() && !after.saga.is_ended() => {
            let fact = *fact as usize;
            if before.saga.facts[fact] == after.saga.facts[fact] {
                return wrong("I1", format!("news of {:?} is lost", definition.facts[fact].fact));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Whether a step of a saga that goes forward waits for such an event, or will.
fn is_wanted(setting: &Setting, before: &Scene, step: u32, event: usize) -> bool {
    let Verb::Wait(wait) = &setting.definition.steps[step as usize].verb else { return false };
    let forward = matches!(before.saga.direction(), Some(Direction::Forward | Direction::Aside { .. }));
    let names = BTreeMap::from([("event".to_owned(), setting.around.events[step as usize][event].clone())]);
    let fits = wait.condition.as_ref().is_none_or(|condition| condition.holds(&names) == Ok(true));
    forward && fits && !before.saga.steps[step as usize].state.is_settled()
}

/// The ledger says what the saga was told.
fn books_agree(definition: &Definition, after: &Scene) -> Result<(), Violation> {
    for (number, (deed, effect)) in (0..).zip(after.world.deeds.iter().zip(&after.saga.effects)) {
        let done = matches!(effect.outcome, Outcome::Succeeded { .. } | Outcome::Contradicted { .. });
        let refused = matches!(effect.outcome, Outcome::Refused { .. } | Outcome::Contradicted { .. });
        let void = effect.undo.is_void();
        let name = || named(definition, &after.saga, number);
        if deed.told_done && !done {
            return wrong("I2", format!("it was told that {} is done, and takes it for {:?}", name(), effect.outcome));
        }
        if deed.told_refused && !refused && !deed.told_void {
            return wrong(
                "I2",
                format!("it was told that {} did not happen, and takes it for {:?}", name(), effect.outcome),
            );
        }
        if deed.told_void && !void && !deed.told_refused {
            return wrong("I2", format!("it was told that {} is void, and takes it for {:?}", name(), effect.undo));
        }
        if done && !deed.told_done || void && !deed.told_void {
            return wrong("I2", format!("nobody told it what it believes of {}", name()));
        }
    }
    Ok(())
}

/// I1: whoever is asked may be silent for ever. Somebody must notice.
fn silence_is_noticed(definition: &Definition, after: &Scene) -> Result<(), Violation> {
    let saga = &after.saga;
    let has = |spot: &Spot, kinds: &[TimerKind]| {
        saga.timers.iter().any(|timer| timer.at.as_ref() == Some(spot) && kinds.contains(&timer.kind))
    };
    for (number, (deed, effect)) in (0..).zip(after.world.deeds.iter().zip(&saga.effects)) {
        let spot = effect.spot();
        let unsent = deed.open.iter().any(|open| open.unsent);
        if unsent || deed.child != ChildIs::Nothing || !matches!(saga.phase, Phase::Running { .. }) {
            continue;
        }
        let waits =
            places(definition, saga).any(|(at, state)| at == spot && *state == PlaceState::Active { effect: number });
        let rests = effect.tries.resting || effect.probe_tries.resting || effect.probing != Probing::No;
        let doing = saga.goes_forward() && waits && !rests && !has(&spot, &[TimerKind::Attempt, TimerKind::Backoff]);
        let open = deed.open[slot(Kind::Compensate)].newest && deed.undoing;
        let undoing = saga.undoes() && open && !has(&spot, &[TimerKind::UndoAttempt]);
        if doing || undoing {
            return wrong(
                "I1",
                format!("nobody would notice that {} is never answered", named(definition, saga, number)),
            );
        }
    }
    Ok(())
}

fn decided_once(definition: &Definition, before: &Scene, happening: &Happening) -> Result<(), Violation> {
    let chosen = happening.transitions.iter().flat_map(|transition| &transition.facts);
    for fact in chosen {
        if let Fact::Chosen { spot, .. } = fact
            && before.world.decided.contains(spot)
        {
            return wrong("I6", format!("{} is decided a second time", place(definition, spot)));
        }
    }
    Ok(())
}

/// An end is what it says: of every effect the world is as the report has it, and nothing is left that should be void.
fn end_is_true(definition: &Definition, after: &Scene) -> Result<(), Violation> {
    let Phase::Ended { end, .. } = after.saga.phase else { return Ok(()) };
    if end == End::Closed {
        return Ok(());
    }
    if end == End::Completed {
        completed_wholly(definition, after)?;
    }
    let told = report(definition, &after.saga);
    for (number, (deed, told)) in (0..).zip(after.world.deeds.iter().zip(&told.effects)) {
        let name = || named(definition, &after.saga, number);
        if end != End::Completed
            && compensable(definition, after.saga.effects[number as usize].step)
            && deed.must_be_undone()
        {
            return wrong("I2", format!("it ends {end:?}, but {} is not undone", name()));
        }
        match (told.stands, deed.stands()) {
            (Some(true), Some(false)) => {
                return wrong("I2", format!("the report says that {} stands, and it does not", name()));
            }
            (Some(false), Some(true)) => {
                return wrong("I2", format!("the report says that {} is void, and it stands", name()));
            }
            (Some(false), None) if deed.child == ChildIs::Nothing => {
                return wrong("I2", format!("the report says that {} is void, and it may still happen", name()));
            }
            _ => {}
        }
    }
    let expected = after.world.cancelled;
    if (end == End::Cancelled) != expected && end != End::Completed {
        return wrong("I1", format!("it ends {end:?}, but cancelled it was {}", if expected { "" } else { "not" }));
    }
    Ok(())
}

/// Every step is done or left out, and what was left out stands nowhere.
fn completed_wholly(definition: &Definition, after: &Scene) -> Result<(), Violation> {
    if let Some(step) = after.saga.steps.iter().position(|step| !step.state.is_settled()) {
        return wrong("I1", format!("it completes without {:?}", definition.steps[step].step));
    }
    for (spot, state) in places(definition, &after.saga) {
        let standing = after.saga.effects.iter().zip(&after.world.deeds).any(|(effect, deed)| {
            effect.spot() == spot && deed.must_be_undone() && compensable(definition, effect.step)
        });
        if *state == PlaceState::Skipped && standing {
            return wrong("I2", format!("{} is left out, but what it did is not undone", place(definition, &spot)));
        }
        let undone = after
            .saga
            .effects
            .iter()
            .zip(&after.world.deeds)
            .any(|(effect, deed)| effect.spot() == spot && deed.told_void);
        if matches!(state, PlaceState::Done { .. }) && undone {
            return wrong("I2", format!("{} counts as done, but it is undone", place(definition, &spot)));
        }
    }
    Ok(())
}
