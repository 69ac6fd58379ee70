//! Sagas and facts in words for people. Every match over the engine's enums is total: a new kind of fact can't be forgotten here.

use sagaline_definition::model::{Definition, Verb};
use sagaline_engine::{
    AnswerKind, Cause, Direction, Fact, Outcome, Phase, Saga, Spot, StepState, Stuck, TimerKind, TimerStart, Undo,
};
use sagaline_partition::state::HistoryEntry;
use sagaline_schemas::Partition;
use sagaline_schemas::hash::kind_name;

use super::model::{Happening, SagaLine, Status, StepLine, TimerLine};

/// What became of a saga, in a word.
pub(super) fn status(saga: &Saga) -> Status {
    match &saga.phase {
        Phase::Running { direction: Direction::Forward } => Status::Running,
        Phase::Running { direction: Direction::Back { .. } } => Status::Compensating,
        Phase::Stuck { .. } => Status::Stuck,
        Phase::Ended { end, .. } => Status::from(*end),
    }
}

/// A saga in a line.
pub(super) fn line(partition: Partition, definition: &Definition, saga: &Saga) -> SagaLine {
    let (why, ended_at) = match &saga.phase {
        Phase::Running { direction: Direction::Forward } => (None, None),
        Phase::Running { direction: Direction::Back { cause } } => (Some(cause_in_words(cause)), None),
        Phase::Stuck { stuck, .. } => (Some(stuck_in_words(definition, saga, stuck)), None),
        Phase::Ended { at, cause, .. } => (cause.as_ref().map(cause_in_words), Some(*at)),
    };
    let active = definition.steps.iter().zip(&saga.steps).filter(|(_, state)| state_word(saga, state) == "active");
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

fn owner<'a>(definition: &'a Definition, saga: &Saga) -> &'a str {
    let step = match &saga.phase {
        Phase::Stuck { stuck, .. } => stuck_step(saga, stuck),
        Phase::Running { .. } | Phase::Ended { .. } => None,
    };
    step.and_then(|step| definition.steps.get(step as usize)).map_or(&definition.owner, |step| &step.owner)
}

fn stuck_step(saga: &Saga, stuck: &Stuck) -> Option<u32> {
    match stuck {
        Stuck::Step { step, .. } => Some(*step),
        Stuck::Expression { step, .. } => *step,
        Stuck::Contradiction { effect } | Stuck::Compensation { effect, .. } | Stuck::LateSuccess { effect } => {
            saga.effects.get(*effect as usize).map(|effect| effect.step)
        }
        Stuck::Deadline | Stuck::Fault { .. } => None,
    }
}

fn waiting_on(definition: &Definition, saga: &Saga) -> Vec<String> {
    let awaited = saga.effects.iter().filter(|effect| match saga.phase {
        Phase::Ended { .. } => false,
        Phase::Running { .. } | Phase::Stuck { .. } => {
            effect.outcome.is_open() || matches!(effect.undo, Undo::Decided | Undo::Sent)
        }
    });
    let mut participants: Vec<String> = awaited
        .filter_map(|effect| definition.steps.get(effect.step as usize))
        .map(|step| participant(&step.verb))
        .collect();
    participants.sort();
    participants.dedup();
    participants
}

fn participant(Verb::Call(call): &Verb) -> String {
    call.participant.clone()
}

fn step_name(definition: &Definition, step: u32) -> &str {
    definition.steps.get(step as usize).map_or("?", |step| &step.step)
}

fn effect_name<'a>(definition: &'a Definition, saga: &Saga, effect: u32) -> &'a str {
    saga.effects.get(effect as usize).map_or("?", |effect| step_name(definition, effect.step))
}

fn cause_in_words(cause: &Cause) -> String {
    match cause {
        Cause::Cancelled { by, reason } if reason.is_empty() => format!("{by} asked"),
        Cause::Cancelled { by, reason } => format!("{by} asked: {reason}"),
        Cause::Deadline => "the deadline has passed".to_owned(),
        Cause::Refused { step, code } => format!("{step} was refused: {code}"),
        Cause::Failed { step, error } => format!("{step} failed: {error}"),
    }
}

fn stuck_in_words(definition: &Definition, saga: &Saga, stuck: &Stuck) -> String {
    match stuck {
        Stuck::Step { cause, .. } => cause_in_words(cause),
        Stuck::Expression { error, .. } => format!("an expression has no value: {error}"),
        Stuck::Contradiction { effect } => {
            format!(
                "the participant of {} said both that it happened and that it did not",
                effect_name(definition, saga, *effect)
            )
        }
        Stuck::Compensation { effect, error } => {
            format!("{} can't be undone: {error}", effect_name(definition, saga, *effect))
        }
        Stuck::LateSuccess { effect } => {
            format!(
                "{} happened after its participant had said that there was nothing to undo",
                effect_name(definition, saga, *effect)
            )
        }
        Stuck::Deadline => "the deadline has passed".to_owned(),
        Stuck::Fault { offset, reason } => format!("the input at offset {offset} was passed over: {reason}"),
    }
}

/// How each step stands.
pub(super) fn steps(definition: &Definition, saga: &Saga) -> Vec<StepLine> {
    let numbered = (0..).zip(definition.steps.iter().zip(&saga.steps));
    numbered
        .map(|(number, (step, state))| {
            let Verb::Call(call) = &step.verb;
            let effect = saga.effects.iter().rev().find(|effect| effect.step == number);
            StepLine {
                step: step.step.clone(),
                state: state_word(saga, state).to_owned(),
                call: format!("{}.{}", call.participant, call.operation),
                attempts: effect.map_or(0, |effect| effect.tries.count),
                outcome: effect.map(|effect| outcome_in_words(&effect.outcome)),
                undo: effect.and_then(|effect| undo_word(&effect.undo)).map(str::to_owned),
            }
        })
        .collect()
}

/// A step whose effect has got its last answer, and whose word led elsewhere, is under way no more.
fn state_word(saga: &Saga, state: &StepState) -> &'static str {
    match state {
        StepState::Waiting => "waiting",
        StepState::Skipped => "skipped",
        StepState::Done { .. } => "done",
        StepState::Continued => "continued",
        StepState::Active { effect } => match saga.effects.get(*effect as usize).map(|effect| &effect.outcome) {
            Some(Outcome::Refused { .. }) => "refused",
            Some(Outcome::Unknown { .. }) => "failed",
            Some(Outcome::Contradicted { .. }) => "contradicted",
            Some(Outcome::Decided | Outcome::Sent | Outcome::Succeeded { .. }) | None => "active",
        },
    }
}

fn outcome_in_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Decided => "decided".to_owned(),
        Outcome::Sent => "sent".to_owned(),
        Outcome::Succeeded { .. } => "succeeded".to_owned(),
        Outcome::Refused { code, .. } => format!("refused: {code}"),
        Outcome::Unknown { error } => format!("unknown: {error}"),
        Outcome::Contradicted { code, .. } => format!("contradicted: {code}"),
    }
}

fn undo_word(undo: &Undo) -> Option<&'static str> {
    match undo {
        Undo::No => None,
        Undo::Listed => Some("to be undone"),
        Undo::Decided | Undo::Sent => Some("being undone"),
        Undo::Compensated { .. } => Some("undone"),
        Undo::NothingThere => Some("nothing there"),
        Undo::UsedUp => Some("not undone"),
    }
}

/// Durations that run.
pub(super) fn timers(definition: &Definition, saga: &Saga) -> Vec<TimerLine> {
    let line = |timer: &sagaline_engine::Timer| {
        let what = match timer.kind {
            TimerKind::Deadline => "deadline",
            TimerKind::Attempt => "attempt's time",
            TimerKind::Backoff => "next attempt",
            TimerKind::UndoAttempt => "undoing attempt's time",
            TimerKind::UndoBackoff => "next undoing attempt",
            TimerKind::Forget => "forgotten",
        };
        let of = timer.effect.map(|effect| format!("{}: ", effect_name(definition, saga, effect))).unwrap_or_default();
        let due = match timer.start {
            TimerStart::Waiting { .. } => None,
            TimerStart::Due { at } => Some(at),
        };
        TimerLine { what: format!("{of}{what}"), due }
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

fn fact_in_words(definition: &Definition, saga: &Saga, fact: &Fact) -> String {
    let at = |spot: &Spot| spot_in_words(definition, spot);
    match fact {
        Fact::Started => "started".to_owned(),
        Fact::Skipped { step } => format!("{}: skipped, its condition is false", step_name(definition, *step)),
        Fact::Decided { spot, kind, attempt } => {
            format!("{}: {} decided, attempt {attempt}", at(spot), kind_name(*kind))
        }
        Fact::Answered { spot, kind, attempt, answer, instance } => {
            let from = if instance.is_empty() { String::new() } else { format!(" ({instance})") };
            format!("{}: {} attempt {attempt}: {}{from}", at(spot), kind_name(*kind), answer_in_words(answer))
        }
        Fact::TimedOut { spot, kind, attempt } => {
            format!("{}: {} attempt {attempt}: no answer in time", at(spot), kind_name(*kind))
        }
        Fact::UsedUp { spot, kind } => format!("{}: {}: attempts used up", at(spot), kind_name(*kind)),
        Fact::Continued { step } => format!("{}: goes on without a result", step_name(definition, *step)),
        Fact::TurnedBack { cause } => format!("goes back: {}", cause_in_words(cause)),
        Fact::Stuck { stuck } => format!("stuck: {}", stuck_in_words(definition, saga, stuck)),
        Fact::Resumed { because } => format!("goes on: {because}"),
        Fact::Overdue => "overdue".to_owned(),
        Fact::Asked { by, what, reason, refused, .. } => {
            let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            let refused = refused.as_ref().map(|why| format!(", refused: {why}")).unwrap_or_default();
            format!("{by} asked to {what}{reason}{refused}")
        }
        Fact::Ended { end } => format!("ended: {}", Status::from(*end).word()),
    }
}

fn spot_in_words(definition: &Definition, spot: &Spot) -> String {
    let items: String = spot.items.iter().map(|item| format!("[{item}]")).collect();
    let round = if spot.round == 0 { String::new() } else { format!(", round {}", spot.round + 1) };
    format!("{}{items}{round}", step_name(definition, spot.step))
}

fn answer_in_words(answer: &AnswerKind) -> String {
    match answer {
        AnswerKind::Succeeded => "succeeded".to_owned(),
        AnswerKind::Refused { code } => format!("refused: {code}"),
        AnswerKind::Failed { error } => format!("failed: {error}"),
        AnswerKind::Working { .. } => "under way".to_owned(),
        AnswerKind::Compensated => "undone".to_owned(),
        AnswerKind::NothingThere => "nothing there".to_owned(),
        AnswerKind::Marked { mark } => format!("marked: {mark}"),
    }
}
