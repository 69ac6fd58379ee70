//! When two scenes are one. Always: where they differ only in offsets and times, in counts that decide nothing, or in words for people.
//! In the reduced search also where they differ only in the order in which effects of parallel branches were decided: what can follow is
//! then the same but for the order of undoing, and that is held against the path on which the scene was met first.

use std::collections::BTreeSet;
use std::hash::Hash;

use sagaline_definition::model::{Compensate, Definition, Step, Verb};
use sagaline_engine::{
    Asking, Cause, Direction, Effect, Goal, Outcome, Phase, PlaceState, Saga, StepState, Stuck, TimerKind, TimerStart,
    Tries,
};
use sagaline_schemas::wire::{Bytes, Wire};
use xxhash_rust::xxh3::Xxh3;

use crate::moves::Search;
use crate::scene::{Scene, Setting};
use crate::world::{Deed, Open, Row};

/// What a scene is known by.
pub type Key = u128;

/// The key of a scene.
pub fn key(setting: &Setting, scene: &Scene, search: Search) -> Key {
    let mut saga = scene.saga.clone();
    let order = order(&saga, search);
    let reduced = search == Search::Reduced;
    forget_times(&mut saga);
    forget_words(&mut saga);
    let over = reduced && is_past_its_steps(&saga);
    if over && !looks_back(setting.definition) {
        forget_steps(&mut saga);
    }
    let unread = if reduced { setting.live.forget(&mut saga) } else { BTreeSet::new() };
    renumber(&mut saga, &order);
    let mut bytes = Vec::with_capacity(1024);
    saga.encode(&mut bytes);
    let mut hash = Xxh3::new();
    hash.update(&bytes);
    for effect in order {
        let mut deed = scene.world.deeds[effect];
        if reduced {
            forget_echoes(&mut deed);
            if let (Row::Done(_), true) = (deed.row, unread.contains(&scene.saga.effects[effect].step)) {
                deed.row = Row::Done(0);
            }
        }
        deed.hash(&mut hash);
    }
    if !over {
        scene.world.decided.iter().for_each(|spot| hash.update(&spot.to_bytes()));
    }
    hash.update(&[u8::from(scene.world.cancelled)]);
    hash.digest128()
}

/// Whether nothing that it does from here on depends on where its steps were, but for what the definition reads on the way back.
fn is_past_its_steps(saga: &Saga) -> bool {
    match &saga.phase {
        Phase::Running { direction } | Phase::Stuck { direction, .. } => matches!(direction, Direction::Back { .. }),
        Phase::Ended { .. } => true,
    }
}

/// Whether something is read while the saga goes back: a compensation's own input, or what must hold before the end.
fn looks_back(definition: &Definition) -> bool {
    let own = |step: &Step| match &step.verb {
        Verb::Call(call) => matches!(&call.compensate, Compensate::By { with: Some(_), .. }),
        Verb::Saga(child) => child.key.is_some(),
        Verb::Sleep(_) | Verb::Wait(_) | Verb::Until(_) | Verb::Approve(_) | Verb::Decide(_) => false,
    };
    definition.ensure.compensated.is_some() || definition.steps.iter().any(own)
}

fn forget_steps(saga: &mut Saga) {
    saga.steps.clear();
    saga.facts.clear();
    saga.reactions.clear();
    saga.letters.clear();
    saga.loops.clear();
    saga.held = None;
    saga.input = Bytes::from("");
    for effect in &mut saga.effects {
        effect.tries.count = effect.tries.count.min(1);
        effect.tries.forgiven = 0;
        effect.tries.resting = false;
    }
}

/// What is under way of an effect whose answer has come can only be answered with the same once more.
fn forget_echoes(deed: &mut Deed) {
    if deed.row != Row::Empty && (deed.told_done || deed.told_refused || deed.told_void) {
        deed.open[0] = Open::default();
    }
}

/// Numbers of the effects in the order in which the key has them.
fn order(saga: &Saga, search: Search) -> Vec<usize> {
    let mut order: Vec<usize> = (0..saga.effects.len()).collect();
    if search == Search::Reduced {
        order.sort_by_key(|effect| {
            let of = &saga.effects[*effect];
            (of.step, of.items.clone(), of.round)
        });
    }
    order
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

fn renumber(saga: &mut Saga, order: &[usize]) {
    if order.is_sorted() {
        return;
    }
    let mut number = vec![0; order.len()];
    order.iter().enumerate().for_each(|(new, old)| number[*old] = new as u32);
    let effects: Vec<Effect> = order.iter().map(|old| saga.effects[*old].clone()).collect();
    saga.effects = effects;
    for run in &mut saga.steps {
        let StepState::Begun { places } = &mut run.state else { continue };
        for place in places {
            match &mut place.state {
                PlaceState::Active { effect } | PlaceState::Done { effect } => *effect = number[*effect as usize],
                PlaceState::Owed { effect: Some(effect), .. } | PlaceState::Held { effect: Some(effect), .. } => {
                    *effect = number[*effect as usize];
                }
                _ => {}
            }
        }
    }
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
