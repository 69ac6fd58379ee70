//! Causes, reasons and facts in words for people. Every match over the engine's enums is total: a new kind can't be forgotten here.

use sagaline_definition::model::{Definition, Verb};
use sagaline_engine::{AnswerKind, Cause, Fact, Goal, Outcome, Saga, Spot, Stuck, TimerKind, Undo};
use sagaline_schemas::hash::kind_name;
use sagaline_schemas::record::Happened;

use super::super::model::Status;

pub(super) fn step_name(definition: &Definition, step: u32) -> &str {
    definition.steps.get(step as usize).map_or("?", |step| &step.step)
}

fn fact_name(definition: &Definition, fact: u32) -> &str {
    definition.facts.get(fact as usize).map_or("?", |fact| &fact.fact)
}

fn effect_name<'a>(definition: &'a Definition, saga: &Saga, effect: u32) -> &'a str {
    saga.effects.get(effect as usize).map_or("?", |effect| step_name(definition, effect.step))
}

/// What a step does, as a definition has it.
pub(in super::super) fn verb_in_words(verb: &Verb) -> String {
    match verb {
        Verb::Call(call) => format!("{}.{}", call.participant, call.operation),
        Verb::Saga(child) => format!("saga {}", child.saga),
        Verb::Sleep(_) => "sleep".to_owned(),
        Verb::Wait(wait) => format!("wait {}", wait.topic),
        Verb::Until(until) => format!("until {}", until.condition.source()),
        Verb::Approve(approve) => format!("approve by {}", approve.by.join(", ")),
        Verb::Decide(_) => "decide".to_owned(),
    }
}

pub(super) fn cause_in_words(cause: &Cause) -> String {
    match cause {
        Cause::Cancelled { by, reason } if reason.is_empty() => format!("{by} asked"),
        Cause::Deadline => "the deadline has passed".to_owned(),
        Cause::Cancelled { .. }
        | Cause::Refused { .. }
        | Cause::Failed { .. }
        | Cause::Guard { .. }
        | Cause::TimedOut { .. }
        | Cause::Chosen { .. }
        | Cause::Child { .. }
        | Cause::Reaction { .. }
        | Cause::Parent { .. } => cause.to_string(),
    }
}

pub(super) fn stuck_in_words(definition: &Definition, saga: &Saga, stuck: &Stuck) -> String {
    let name = |effect: &u32| effect_name(definition, saga, *effect);
    match stuck {
        Stuck::Step { cause, .. } => cause_in_words(cause),
        Stuck::Expression { error, .. } => format!("an expression has no value: {error}"),
        Stuck::Contradiction { effect } => {
            format!("the participant of {} said both that it happened and that it did not", name(effect))
        }
        Stuck::Compensation { effect, error } => format!("{} can't be undone: {error}", name(effect)),
        Stuck::LateSuccess { effect } => {
            format!("{} happened after its participant had said that there was nothing to undo", name(effect))
        }
        Stuck::Deadline => "the deadline has passed".to_owned(),
        Stuck::Fault { offset, reason } => format!("the input at offset {offset} was passed over: {reason}"),
        Stuck::Reaction { rule } => {
            let condition = definition.react.get(*rule as usize).map_or("?", |rule| rule.condition.source());
            format!("the world turned: {condition}")
        }
        Stuck::Ensure { found } => format!("what must hold before the end does not: {found}"),
        Stuck::AliasTaken { alias, value, holder } => format!("{alias} {value:?} names saga {holder} already"),
    }
}

pub(super) fn outcome_in_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Decided => "decided".to_owned(),
        Outcome::Sent => "sent".to_owned(),
        Outcome::Succeeded { .. } => "succeeded".to_owned(),
        Outcome::Refused { code, .. } => format!("refused: {code}"),
        Outcome::Unknown { error } => format!("unknown: {error}"),
        Outcome::Contradicted { code, .. } => format!("contradicted: {code}"),
    }
}

pub(super) fn undo_word(undo: &Undo) -> Option<&'static str> {
    match undo {
        Undo::No => None,
        Undo::Listed => Some("to be undone"),
        Undo::Decided | Undo::Sent => Some("being undone"),
        Undo::Compensated { .. } => Some("undone"),
        Undo::NothingThere => Some("nothing there"),
        Undo::UsedUp => Some("not undone"),
    }
}

/// What a timer is for, and of which place.
pub(super) fn timer_in_words(definition: &Definition, kind: TimerKind, at: Option<&Spot>) -> String {
    let what = match kind {
        TimerKind::Deadline => "deadline",
        TimerKind::Attempt => "attempt's time",
        TimerKind::Backoff => "next attempt",
        TimerKind::UndoAttempt => "undoing attempt's time",
        TimerKind::UndoBackoff => "next undoing attempt",
        TimerKind::Forget => "forgotten",
        TimerKind::ProbeAttempt => "probe's time",
        TimerKind::ProbeBackoff => "next probe",
        TimerKind::Sleep => "wakes up",
        TimerKind::Within => "waits until",
        TimerKind::Remind => "reminds",
        TimerKind::Escalate => "goes to somebody else",
        TimerKind::Expected => "should be done",
        TimerKind::Ensure => "must hold",
        TimerKind::AskFact => "is asked for",
        TimerKind::AskTime => "has its answer, or others ask",
    };
    match (kind, at) {
        (_, None) => what.to_owned(),
        (kind, Some(at)) if kind.is_of_fact() => format!("facts.{}: {what}", fact_name(definition, at.step)),
        (_, Some(at)) => format!("{}: {what}", spot_in_words(definition, at)),
    }
}

pub(super) fn spot_in_words(definition: &Definition, spot: &Spot) -> String {
    let items: String = spot.items.iter().map(|item| format!("[{item}]")).collect();
    let round = if spot.round == 0 { String::new() } else { format!(", round {}", spot.round + 1) };
    format!("{}{items}{round}", step_name(definition, spot.step))
}

pub(super) fn fact_in_words(definition: &Definition, saga: &Saga, fact: &Fact) -> String {
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
        Fact::TurnedBack { cause } => format!("goes back: {}", cause_in_words(cause)),
        Fact::SteppedAside { goal: Goal::Void { spots } } => {
            format!("undoes {} alone", spots.iter().map(at).collect::<Vec<_>>().join(", "))
        }
        Fact::SteppedAside { goal: Goal::Again { step, cause } } => {
            format!("goes back to {}: {}", step_name(definition, *step), cause_in_words(cause))
        }
        Fact::Stuck { stuck } => format!("stuck: {}", stuck_in_words(definition, saga, stuck)),
        Fact::Resumed { because } => format!("goes on: {because}"),
        Fact::Overdue { step: None } => "overdue".to_owned(),
        Fact::Overdue { step: Some(step) } => format!("{}: overdue", step_name(definition, *step)),
        Fact::Asked { by, what, reason, refused, .. } => {
            let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            let refused = refused.as_ref().map(|why| format!(", refused: {why}")).unwrap_or_default();
            format!("{by} asked to {what}{reason}{refused}")
        }
        Fact::Ended { end } => format!("ended: {}", Status::from(*end).word()),
        Fact::Reacted { rule } => {
            let condition = definition.react.get(*rule as usize).map_or("?", |rule| rule.condition.source());
            format!("the world turned: {condition}")
        }
        Fact::EnsureFailed { found } => format!("what must hold before the end does not: {found}"),
        Fact::Told { fact, by: None } => format!("facts.{} was told", fact_name(definition, *fact)),
        Fact::Told { fact, by: Some(by) } => format!("{by} set facts.{}", fact_name(definition, *fact)),
        Fact::StaleNews { fact } => format!("old news of facts.{}: not believed", fact_name(definition, *fact)),
        Fact::LetterCame { step } => format!("{}: an event came", step_name(definition, *step)),
        Fact::Guarded { .. }
        | Fact::Settled { .. }
        | Fact::Continued { .. }
        | Fact::Voided { .. }
        | Fact::Held { .. }
        | Fact::Awaits { .. }
        | Fact::WaitedInVain { .. }
        | Fact::PeopleAsked { .. }
        | Fact::Reminded { .. }
        | Fact::Escalated { .. }
        | Fact::ApprovalVoid { .. }
        | Fact::Chosen { .. }
        | Fact::ChildEnded { .. } => place_in_words(definition, fact),
    }
}

/// What happened at one place.
fn place_in_words(definition: &Definition, fact: &Fact) -> String {
    let (spot, what) = match fact {
        Fact::Guarded { spot } => (spot, "its guard does not hold: it waits".to_owned()),
        Fact::Settled { spot } => (spot, "done".to_owned()),
        Fact::Continued { spot } => (spot, "goes on without a result".to_owned()),
        Fact::Voided { spot } => (spot, "void".to_owned()),
        Fact::Held { spot, cause } => (spot, format!("held: {}", cause_in_words(cause))),
        Fact::Awaits { spot } => (spot, "waits".to_owned()),
        Fact::WaitedInVain { spot } => (spot, "waited in vain".to_owned()),
        Fact::PeopleAsked { spot, by } => (spot, format!("asks {}", by.join(", "))),
        Fact::Reminded { spot } => (spot, "reminds its owner".to_owned()),
        Fact::Escalated { spot, to } => (spot, format!("goes to {to}, too")),
        Fact::ApprovalVoid { spot } => (spot, "what was shown is no longer true: asks anew".to_owned()),
        Fact::Chosen { spot, choice, by } => (spot, format!("{} chose {choice}", by.join(", "))),
        Fact::ChildEnded { spot, end } => (spot, format!("its saga ended: {}", Status::from(*end).word())),
        other => return format!("{other:?}"),
    };
    format!("{}: {what}", spot_in_words(definition, spot))
}

fn answer_in_words(answer: &AnswerKind) -> String {
    match answer {
        AnswerKind::Succeeded => "succeeded".to_owned(),
        AnswerKind::Refused { code } => format!("refused: {code}"),
        AnswerKind::Failed { error } => format!("failed: {error}"),
        AnswerKind::Unavailable { error } => format!("out for everybody: {error}"),
        AnswerKind::Working { .. } => "under way".to_owned(),
        AnswerKind::Compensated => "undone".to_owned(),
        AnswerKind::NothingThere => "nothing there".to_owned(),
        AnswerKind::Probed { happened: Happened::Yes } => "it happened".to_owned(),
        AnswerKind::Probed { happened: Happened::No } => "it never happened".to_owned(),
        AnswerKind::Probed { happened: Happened::Unknown } => "nobody can say".to_owned(),
        AnswerKind::Marked { mark } => format!("marked: {mark}"),
    }
}
