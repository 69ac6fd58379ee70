//! What can happen to a saga in its world, and how a story tells it.

use sagaline_definition::model::Definition;
use sagaline_engine::{Saga, Spot, TimerKind};
use sagaline_schemas::record::{End, Kind};

use crate::surroundings::Surroundings;
use crate::world::{OTHER_CODE, Said};

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It begins, with that input of those that are tried.
    Start(usize),
    /// The log acknowledges a command that it was slow to.
    Acknowledged(u32, Kind),
    /// Something else happens, and the log is slow to acknowledge what the saga commands then.
    Slowly(Box<Event>),
    /// A participant takes a command, and its answer comes.
    Answer(u32, Kind, Said),
    /// An attempt that was given up is answered after all.
    Late(u32, Kind),
    /// A command comes to its participant once more, and is answered once more.
    Again(u32, Kind),
    /// Nobody answers in time; whether the participant took the command all the same.
    Silence(u32, Kind, bool),
    /// Any other timer fires.
    Timer(TimerKind, Option<Spot>),
    /// An event comes for a waiting step.
    Letter(u32, usize),
    /// A fact changes.
    Told(u32, usize),
    /// Somebody chooses: the place, the choice, and who.
    Vote(Spot, String, usize),
    /// Somebody votes on what they saw before it changed, or was decided.
    LateVote(Spot, String),
    /// A child saga ends.
    Child(u32, End, u8),
    /// Somebody cancels it.
    Cancel,
    /// Somebody lets it go on where it is stuck, or that place where it is held.
    Retry(Option<Spot>),
    /// Somebody ends it by hand.
    Close,
    /// Somebody releases the saga.
    Release,
    /// Somebody leaves out the place.
    Skip(Spot),
    /// Somebody finds out what became of an effect.
    Confirm(u32),
}

impl Event {
    /// One line of a story.
    pub fn tell(&self, definition: &Definition, saga: &Saga, around: &Surroundings) -> String {
        let effect = |effect: &u32| match saga.effects.get(*effect as usize) {
            Some(effect) => place(definition, &effect.spot()),
            None => "an effect that is none".to_owned(),
        };
        match self {
            Self::Start(input) => format!("it begins with {}", around.inputs[*input]),
            Self::Slowly(event) => {
                format!("{}; the log is slow to acknowledge what follows", event.tell(definition, saga, around))
            }
            Self::Acknowledged(of, kind) => format!("the log acknowledges {}", command(*kind, &effect(of))),
            Self::Answer(of, kind, said) => {
                let step = saga.effects.get(*of as usize).map_or(0, |effect| effect.step as usize);
                format!("{} is answered: {}", command(*kind, &effect(of)), answer(definition, around, step, *said))
            }
            Self::Late(of, kind) => {
                format!(
                    "an attempt at {} that was given up reaches its participant and is answered",
                    command(*kind, &effect(of))
                )
            }
            Self::Again(of, kind) => {
                format!("{} comes to its participant once more, and is answered once more", command(*kind, &effect(of)))
            }
            Self::Silence(of, kind, done) => {
                let done = if *done { "done, but" } else { "not done, and" };
                format!("{}: {done} nobody answers in time", command(*kind, &effect(of)))
            }
            Self::Timer(kind, at) => timer(definition, *kind, at.as_ref()),
            Self::Letter(step, event) => {
                let name = &definition.steps[*step as usize].step;
                format!("an event for {name:?} comes: {}", around.events[*step as usize][*event])
            }
            Self::Told(fact, news) => {
                let name = &definition.facts[*fact as usize].fact;
                format!("facts.{name}: {}", around.news[*fact as usize][*news])
            }
            Self::Vote(spot, choice, person) => {
                format!("person {} chooses {choice:?} at {}", person + 1, place(definition, spot))
            }
            Self::LateVote(spot, choice) => {
                format!("somebody chooses {choice:?} at {}, having seen what no longer counts", place(definition, spot))
            }
            Self::Child(of, end, _) => format!("the child saga of {} ends: {end:?}", effect(of)),
            Self::Cancel => "somebody cancels it".to_owned(),
            Self::Retry(None) => "somebody retries it".to_owned(),
            Self::Retry(Some(spot)) => format!("somebody retries {}", place(definition, spot)),
            Self::Close => "somebody closes it".to_owned(),
            Self::Release => "somebody releases it".to_owned(),
            Self::Skip(spot) => format!("somebody leaves out {}", place(definition, spot)),
            Self::Confirm(of) => format!("somebody finds out what became of {}", effect(of)),
        }
    }
}

/// `reserve`, `reserve[1]`, `reserve, round 2`
pub fn place(definition: &Definition, spot: &Spot) -> String {
    let mut text = definition.steps.get(spot.step as usize).map_or_else(String::new, |step| step.step.clone());
    spot.items.iter().for_each(|item| text.push_str(&format!("[{item}]")));
    if spot.round > 0 {
        text.push_str(&format!(" (round {})", spot.round + 1));
    }
    text
}

/// A command, as a story calls it.
pub fn command(kind: Kind, place: &str) -> String {
    match kind {
        Kind::Do => place.to_owned(),
        Kind::Compensate => format!("the undoing of {place}"),
        Kind::Probe => format!("the probe of {place}"),
        Kind::Ask => format!("the question about {place}"),
    }
}

fn answer(definition: &Definition, around: &Surroundings, step: usize, said: Said) -> String {
    let value =
        |number: u8| around.results[step].get(usize::from(number)).map_or_else(String::new, ToString::to_string);
    match said {
        Said::Done(number) => format!("done, {}", value(number)),
        Said::Refused(number) => {
            let codes = codes(definition, step);
            format!("refused, {}", codes.get(usize::from(number)).map_or(OTHER_CODE, String::as_str))
        }
        Said::Failed => "this attempt failed".to_owned(),
        Said::Undone => "undone".to_owned(),
        Said::NothingThere => "nothing there to undo".to_owned(),
        Said::Marked => "void already".to_owned(),
        Said::Yes(number) => format!("it happened, {}", value(number)),
        Said::No => "it never happened".to_owned(),
        Said::Unknown => "nobody knows".to_owned(),
    }
}

fn timer(definition: &Definition, kind: TimerKind, at: Option<&Spot>) -> String {
    let at = at.map(|spot| place(definition, spot)).unwrap_or_default();
    match kind {
        TimerKind::Deadline => "its deadline passes".to_owned(),
        TimerKind::Sleep => format!("the sleep of {at} is over"),
        TimerKind::Within => format!("{at} has waited in vain"),
        TimerKind::Remind => format!("somebody is reminded of {at}"),
        TimerKind::Escalate => format!("{at} goes to somebody else"),
        TimerKind::Expected => format!("{at} takes longer than expected"),
        TimerKind::Ensure => "the time to make the end true is up".to_owned(),
        TimerKind::Backoff => format!("the next attempt at {at} is due"),
        TimerKind::UndoBackoff => format!("the next attempt to undo {at} is due"),
        TimerKind::ProbeBackoff if at.is_empty() => "the end is looked at again".to_owned(),
        TimerKind::ProbeBackoff => format!("the next probe of {at} is due"),
        TimerKind::Attempt | TimerKind::UndoAttempt | TimerKind::ProbeAttempt => {
            format!("an attempt at {at} takes too long")
        }
        TimerKind::Forget => "it is forgotten".to_owned(),
        TimerKind::AskFact => "a fact is asked for".to_owned(),
        TimerKind::AskTime => "the answer about a fact takes long".to_owned(),
    }
}

/// Codes of refusals that a step's definition tells apart.
pub fn codes(definition: &Definition, step: usize) -> Vec<String> {
    match &definition.steps[step].verb {
        sagaline_definition::model::Verb::Call(call) => call.refused.keys().cloned().collect(),
        _ => Vec::new(),
    }
}
