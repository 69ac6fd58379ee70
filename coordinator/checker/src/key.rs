//! When two scenes are one. Always: where they differ only in offsets and times, in counts that decide nothing, or in words for people.
//! In the reduced search also where they differ only in the order in which effects of parallel branches were decided: what can follow is
//! then the same but for the order of undoing, and that is held against the path on which the scene was met first.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;

use sagaline_engine::{
    Asking, Cause, Direction, Effect, Goal, Outcome, Phase, PlaceState, Probing, Saga, StepState, Stuck, TimerKind,
    TimerStart, Tries,
};
use sagaline_schemas::wire::{Bytes, Wire};
use xxhash_rust::xxh3::Xxh3;

use crate::moves::Search;
use crate::scene::{Scene, Setting, place_of};
use crate::world::{Deed, Open, Row, World};

/// What a scene is known by.
pub type Key = u128;

/// The key of a scene.
pub fn key(setting: &Setting, scene: &Scene, search: Search) -> Key {
    let (mut saga, mut world) = (scene.saga.clone(), scene.world.clone());
    forget_times(&mut saga);
    forget_words(&mut saga);
    let mut order: Vec<usize> = (0..saga.effects.len()).collect();
    if search == Search::Reduced {
        order = reduce(setting, &mut saga, &mut world);
        order.sort_by_key(|effect| {
            let of = &saga.effects[*effect];
            (of.step, of.items.clone(), of.round)
        });
    }
    renumber(&mut saga, &order);
    let mut bytes = Vec::with_capacity(1024);
    saga.encode(&mut bytes);
    let mut hash = Xxh3::new();
    hash.update(&bytes);
    order.iter().for_each(|effect| world.deeds[*effect].hash(&mut hash));
    world.decided.iter().for_each(|spot| hash.update(&spot.to_bytes()));
    hash.update(&[u8::from(world.cancelled)]);
    hash.digest128()
}

/// Takes out what makes no difference any more. Gives the effects that are left.
fn reduce(setting: &Setting, saga: &mut Saga, world: &mut World) -> Vec<usize> {
    if is_past_its_steps(saga) {
        world.decided.clear();
        forget_steps(setting, saga);
    }
    let unread = setting.live.forget(saga);
    forget_inputs(saga);
    world.decided.retain(|spot| place_of(saga, spot).is_some_and(|place| place.round == spot.round));
    for (effect, deed) in saga.effects.iter().zip(&mut world.deeds) {
        forget_echoes(deed);
        if let (Row::Done(_), true) = (deed.row, unread.contains(&effect.step)) {
            deed.row = Row::Done(0);
        }
    }
    let kept = kept(saga);
    count_rounds_anew(saga, world, &kept);
    kept
}

/// All effects but those that are undone and have no place any more, since their step was done again: nobody reads them, and what still comes for
/// them decides nothing.
fn kept(saga: &mut Saga) -> Vec<usize> {
    let placed: BTreeSet<usize> = numbers_in_places(saga).map(|number| *number as usize).collect();
    let is_gone = |number: usize| {
        let of = &saga.effects[number];
        let again = || saga.effects[number + 1..].iter().any(|later| later.step == of.step && later.items == of.items);
        of.undo.is_void() && of.probing == Probing::No && !placed.contains(&number) && again()
    };
    let stuck = matches!(saga.phase, Phase::Stuck { .. });
    (0..saga.effects.len()).filter(|number| stuck || !is_gone(*number)).collect()
}

/// Rounds only tell one run of a place from another: how many there were is counted by the loops, as long as that matters.
fn count_rounds_anew(saga: &mut Saga, world: &mut World, kept: &[usize]) {
    let mut rounds: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for effect in kept.iter().map(|number| &saga.effects[*number]) {
        rounds.entry(effect.step).or_default().insert(effect.round);
    }
    for (step, run) in (0..).zip(&saga.steps) {
        let of_places = run.state.places().iter().map(|place| place.round);
        rounds.entry(step).or_default().extend(of_places.chain([run.round]));
    }
    let anew = |step: u32, round: &mut u32| {
        *round = rounds.get(&step).map_or(0, |rounds| rounds.range(..*round).count() as u32);
    };
    saga.effects.iter_mut().for_each(|effect| anew(effect.step, &mut effect.round));
    for (step, run) in (0..).zip(&mut saga.steps) {
        anew(step, &mut run.round);
        if let StepState::Begun { places } = &mut run.state {
            places.iter_mut().for_each(|place| anew(step, &mut place.round));
        }
    }
    saga.timers.iter_mut().filter_map(|timer| timer.at.as_mut()).for_each(|at| anew(at.step, &mut at.round));
    world.decided.iter_mut().for_each(|spot| anew(spot.step, &mut spot.round));
    match &mut saga.phase {
        Phase::Stuck { stuck: Stuck::Step { spot, .. }, .. } => anew(spot.step, &mut spot.round),
        Phase::Running { direction } | Phase::Stuck { direction, .. } => {
            if let Direction::Aside { goal: Goal::Void { spots } } = direction {
                spots.iter_mut().for_each(|spot| anew(spot.step, &mut spot.round));
            }
        }
        Phase::Ended { .. } => {}
    }
}

/// Whether nothing that it does from here on depends on where its steps were, but for what the definition reads on the way back.
fn is_past_its_steps(saga: &Saga) -> bool {
    match &saga.phase {
        Phase::Running { direction } | Phase::Stuck { direction, .. } => {
            matches!(direction, Direction::Back { .. } | Direction::Ensure { cause: Some(_), .. })
        }
        Phase::Ended { .. } => true,
    }
}

/// What is left of a saga that only undoes, or has: what is read on the way, and its effects.
fn forget_steps(setting: &Setting, saga: &mut Saga) {
    for (step, run) in saga.steps.iter_mut().enumerate() {
        if !setting.live.is_read_on_the_way_back(step) {
            (run.round, run.state) = (0, StepState::Waiting);
        }
    }
    saga.reactions.clear();
    saga.letters.clear();
    saga.held = None;
    for effect in &mut saga.effects {
        effect.tries.count = effect.tries.count.min(1);
        effect.tries.forgiven = 0;
        effect.tries.resting = false;
    }
}

/// What a command carries decides nothing: it was evaluated when the effect was decided, and participants answer as they like.
fn forget_inputs(saga: &mut Saga) {
    for effect in &mut saga.effects {
        effect.input = Bytes::from("");
        effect.undo_input = None;
    }
}

/// The numbers of effects that places have.
fn numbers_in_places(saga: &mut Saga) -> impl Iterator<Item = &mut u32> {
    let places = saga.steps.iter_mut().filter_map(|run| match &mut run.state {
        StepState::Begun { places } => Some(places),
        StepState::Waiting | StepState::Skipped => None,
    });
    places.flatten().filter_map(|place| match &mut place.state {
        PlaceState::Active { effect } | PlaceState::Done { effect } => Some(effect),
        PlaceState::Owed { effect, .. } | PlaceState::Held { effect, .. } => effect.as_mut(),
        PlaceState::Waiting
        | PlaceState::Guarded
        | PlaceState::Queued
        | PlaceState::Awaiting { .. }
        | PlaceState::Asking { .. }
        | PlaceState::Skipped
        | PlaceState::Continued
        | PlaceState::Known { .. } => None,
    })
}

/// What is under way of an effect whose answer has come can only be answered with the same once more.
fn forget_echoes(deed: &mut Deed) {
    if deed.row != Row::Empty && (deed.told_done || deed.told_refused || deed.told_void) {
        deed.open[0] = Open::default();
    }
}

fn forget_times(saga: &mut Saga) {
    // What it changes is no matter to the saga.
    saga.timers.retain(|timer| timer.kind != TimerKind::AskTime);
    for timer in &mut saga.timers {
        timer.start = TimerStart::Due { at: 0 };
    }
    saga.timers.sort_by(|a, b| (a.kind, &a.at).cmp(&(b.kind, &b.at)));
    for effect in &mut saga.effects {
        effect.decided = 0;
        effect.repeats = 0;
        [&mut effect.tries, &mut effect.undo_tries, &mut effect.probe_tries].into_iter().for_each(forget_attempts);
    }
    for fact in &mut saga.facts {
        fact.seq = fact.seq.map(|_| 0);
        fact.asked = 0;
        fact.asking = Asking::Idle;
    }
    for run in &mut saga.steps {
        let StepState::Begun { places } = &mut run.state else { continue };
        for place in places {
            if let PlaceState::Asking { approval } = &mut place.state {
                approval.version = 0;
            }
        }
    }
    saga.loops.sort_by(|a, b| a.from.cmp(&b.from));
}

/// Only those that count matter, and whether there were any.
fn forget_attempts(tries: &mut Tries) {
    let counting = tries.count.saturating_sub(tries.forgiven);
    tries.forgiven = tries.forgiven.min(1);
    tries.count = counting + tries.forgiven;
}

/// Causes decide only whether the saga was cancelled, and which word is owed.
fn forget_words(saga: &mut Saga) {
    for effect in &mut saga.effects {
        if let Outcome::Unknown { error } = &mut effect.outcome {
            error.clear();
        }
    }
    let mut blur = |cause: &mut Cause| {
        if !matches!(cause, Cause::Cancelled { .. }) {
            *cause = Cause::Deadline;
        }
    };
    match &mut saga.phase {
        Phase::Running { direction } | Phase::Stuck { direction, .. } => match direction {
            Direction::Back { cause } | Direction::Aside { goal: Goal::Again { cause, .. } } => blur(cause),
            Direction::Ensure { cause: Some(cause), .. } | Direction::Over { cause: Some(cause), .. } => blur(cause),
            Direction::Forward | Direction::Aside { .. } | Direction::Ensure { .. } | Direction::Over { .. } => {}
        },
        Phase::Ended { cause, .. } => cause.iter_mut().for_each(&mut blur),
    }
    if let Phase::Stuck { stuck: Stuck::Compensation { error, .. }, .. } = &mut saga.phase {
        error.clear();
    }
}

/// The effects of that order only, and their numbers everywhere.
fn renumber(saga: &mut Saga, order: &[usize]) {
    if order.len() == saga.effects.len() && order.is_sorted() {
        return;
    }
    let mut number = vec![0; saga.effects.len()];
    order.iter().enumerate().for_each(|(new, old)| number[*old] = new as u32);
    let effects: Vec<Effect> = order.iter().map(|old| saga.effects[*old].clone()).collect();
    saga.effects = effects;
    numbers_in_places(saga).for_each(|effect| *effect = number[*effect as usize]);
    let stuck = match &mut saga.phase {
        Phase::Stuck { stuck, .. } => Some(stuck),
        Phase::Running { .. } | Phase::Ended { .. } => None,
    };
    if let Some(Stuck::Contradiction { effect } | Stuck::Compensation { effect, .. } | Stuck::LateSuccess { effect }) =
        stuck
    {
        *effect = number[*effect as usize];
    }
}
