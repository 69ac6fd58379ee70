//! Sagas as people see them: in a line, step by step, and what of them waits for a person. Words stand in `describe/words.rs`.

mod words;
mod work;

use sagaline_definition::model::{Definition, Verb};
use sagaline_engine::{
    Direction, Effect, Fact, Phase, Place, PlaceState, Saga, StepRun, StepState, Stuck, TimerStart, Undo,
};
use sagaline_partition::state::HistoryEntry;
use sagaline_schemas::Partition;

pub(super) use self::words::verb_in_words;
use self::words::{cause_in_words, fact_in_words, outcome_in_words, stuck_in_words, timer_in_words, undo_word};
pub(super) use self::work::work;
use super::model::{Happening, SagaLine, Status, StepLine, TimerLine};

/// What became of a saga, in a word.
pub(super) fn status(saga: &Saga) -> Status {
    match &saga.phase {
        Phase::Running { direction: Direction::Forward | Direction::Ensure { .. } } if rests(saga) => Status::Held,
        Phase::Running { direction: Direction::Forward | Direction::Ensure { .. } } => Status::Running,
        Phase::Running { direction: Direction::Back { .. } | Direction::Aside { .. } } => Status::Compensating,
        Phase::Running { direction: Direction::Over { end, .. } } => Status::from(*end),
        Phase::Stuck { .. } => Status::Stuck,
        Phase::Ended { end, .. } => Status::from(*end),
    }
}

/// Whether something of it rests until a person lets it go on.
fn rests(saga: &Saga) -> bool {
    saga.held.is_some() || places(saga).any(|(_, place)| matches!(place.state, PlaceState::Held { .. }))
}

fn places(saga: &Saga) -> impl Iterator<Item = (u32, &Place)> {
    let numbered = (0..).zip(&saga.steps);
    numbered.flat_map(|(number, run)| run.state.places().iter().map(move |place| (number, place)))
}

/// A saga in a line.
pub(super) fn line(partition: Partition, definition: &Definition, saga: &Saga) -> SagaLine {
    let (why, ended_at) = match &saga.phase {
        Phase::Running { direction: Direction::Back { cause } } => (Some(cause_in_words(cause)), None),
        Phase::Running { .. } => {
            (saga.held.as_ref().map(|held| format!("{} holds it: {}", held.by, held.reason)), None)
        }
        Phase::Stuck { stuck, .. } => (Some(stuck_in_words(definition, saga, stuck)), None),
        Phase::Ended { at, cause, .. } => (cause.as_ref().map(cause_in_words), Some(*at)),
    };
    let steps = definition.steps.iter().zip(&saga.steps);
    let active = steps.filter(|(_, run)| run.state.places().iter().any(|place| place.state.is_under_way()));
    SagaLine {
        id: saga.id,
        partition,
        definition: definition.saga.clone(),
        version: definition.version.clone(),
        key: saga.key.clone(),
        owner: owner(definition, saga).to_owned(),
        status: status(saga),
        why,
        steps: active.map(|(step, _)| step.step.clone()).collect(),
        waiting_on: waiting_on(definition, saga),
        started_at: saga.started_at,
        ended_at,
        overdue: saga.overdue,
    }
}

fn owner<'a>(definition: &'a Definition, saga: &'a Saga) -> &'a str {
    if let Some(owner) = &saga.owner {
        return owner;
    }
    let step = match &saga.phase {
        Phase::Stuck { stuck, .. } => stuck_step(saga, stuck),
        Phase::Running { .. } | Phase::Ended { .. } => None,
    };
    step.and_then(|step| definition.steps.get(step as usize)).map_or(&definition.owner, |step| &step.owner)
}

fn stuck_step(saga: &Saga, stuck: &Stuck) -> Option<u32> {
    match stuck {
        Stuck::Step { spot, .. } => Some(spot.step),
        Stuck::Expression { step, .. } => *step,
        Stuck::Contradiction { effect } | Stuck::Compensation { effect, .. } | Stuck::LateSuccess { effect } => {
            saga.effects.get(*effect as usize).map(|effect| effect.step)
        }
        Stuck::Deadline
        | Stuck::Fault { .. }
        | Stuck::Reaction { .. }
        | Stuck::Ensure { .. }
        | Stuck::AliasTaken { .. } => None,
    }
}

/// Everything whose word is awaited.
fn waiting_on(definition: &Definition, saga: &Saga) -> Vec<String> {
    if saga.is_ended() {
        return Vec::new();
    }
    let verb = |step: u32| definition.steps.get(step as usize).map(|step| &step.verb);
    let open = saga.effects.iter().filter(|effect| is_awaited(effect));
    let mut awaited: Vec<String> = open.filter_map(|effect| verb(effect.step)).map(participant).collect();
    for (step, place) in places(saga) {
        match (&place.state, verb(step)) {
            (PlaceState::Queued, Some(verb)) => awaited.push(participant(verb)),
            (PlaceState::Awaiting { .. }, Some(Verb::Wait(wait))) => awaited.push(wait.topic.clone()),
            (PlaceState::Awaiting { .. }, Some(Verb::Sleep(_))) => awaited.push("time".to_owned()),
            (PlaceState::Awaiting { .. }, _) => awaited.push("facts".to_owned()),
            (PlaceState::Asking { approval }, _) => awaited.extend(approval.by.iter().cloned()),
            _ => {}
        }
    }
    awaited.sort();
    awaited.dedup();
    awaited
}

fn is_awaited(effect: &Effect) -> bool {
    effect.outcome.is_open() && effect.undo == Undo::No || matches!(effect.undo, Undo::Decided | Undo::Sent)
}

fn participant(verb: &Verb) -> String {
    match verb {
        Verb::Call(call) => call.participant.clone(),
        Verb::Saga(child) => child.saga.clone(),
        Verb::Sleep(_) | Verb::Wait(_) | Verb::Until(_) | Verb::Approve(_) | Verb::Decide(_) => verb_in_words(verb),
    }
}

/// How each step stands, item by item.
pub(super) fn steps(definition: &Definition, saga: &Saga) -> Vec<StepLine> {
    let mut lines = Vec::new();
    for (number, (step, run)) in (0..).zip(definition.steps.iter().zip(&saga.steps)) {
        let places = run.state.places();
        if places.is_empty() {
            lines.push(step_line(step.step.clone(), run_word(run), &step.verb, None));
        }
        for (item, place) in (0..).zip(places) {
            let items: &[u32] = if step.for_each.is_some() { &[item] } else { &[] };
            let name = if items.is_empty() { step.step.clone() } else { format!("{}[{item}]", step.step) };
            let newest = saga.effects.iter().rev().find(|effect| effect.step == number && effect.items == items);
            lines.push(step_line(name, place_word(&place.state), &step.verb, newest));
        }
    }
    lines
}

fn step_line(step: String, state: &str, verb: &Verb, effect: Option<&Effect>) -> StepLine {
    StepLine {
        step,
        state: state.to_owned(),
        call: verb_in_words(verb),
        attempts: effect.map_or(0, |effect| effect.tries.count),
        outcome: effect.map(|effect| outcome_in_words(&effect.outcome)),
        undo: effect.and_then(|effect| undo_word(&effect.undo)).map(str::to_owned),
    }
}

fn run_word(run: &StepRun) -> &'static str {
    match &run.state {
        StepState::Waiting => "waiting",
        StepState::Skipped => "skipped",
        StepState::Begun { .. } => "done",
    }
}

fn place_word(state: &PlaceState) -> &'static str {
    match state {
        PlaceState::Waiting => "waiting",
        PlaceState::Guarded => "guarded",
        PlaceState::Queued => "queued",
        PlaceState::Active { .. } => "active",
        PlaceState::Awaiting { .. } => "waits",
        PlaceState::Asking { .. } => "asks",
        PlaceState::Owed { .. } => "owed",
        PlaceState::Held { .. } => "held",
        PlaceState::Done { .. } | PlaceState::Known { .. } => "done",
        PlaceState::Skipped => "skipped",
        PlaceState::Continued => "continued",
    }
}

/// Durations that run.
pub(super) fn timers(definition: &Definition, saga: &Saga) -> Vec<TimerLine> {
    let line = |timer: &sagaline_engine::Timer| {
        let due = match timer.start {
            TimerStart::Waiting { .. } => None,
            TimerStart::Due { at } => Some(at),
        };
        TimerLine { what: timer_in_words(definition, timer.kind, timer.at.as_ref()), due }
    };
    saga.timers.iter().map(line).collect()
}

/// What happened by one input, fact by fact.
pub(super) fn happenings(definition: &Definition, saga: &Saga, entry: &HistoryEntry) -> Vec<Happening> {
    let happening = |fact: &Fact| Happening {
        offset: entry.offset,
        timer: entry.timer,
        time: entry.time,
        what: fact_in_words(definition, saga, fact),
        fact: serde_json::to_value(fact).expect("a fact has text keys and finite numbers only"),
    };
    entry.facts.iter().map(happening).collect()
}
