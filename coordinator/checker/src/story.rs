//! Stories: what came, what the saga did, what is wrong. And what an exploration was, in a few lines.

use std::fmt;

use sagaline_definition::model::{Definition, Verb};
use sagaline_engine::{ChildWord, Fact, Outgoing, Saga, Transition};

use crate::Proof;
use crate::event::{Event, command, place};
use crate::moves::Search;
use crate::rules::Violation;
use crate::scene::{Scene, Setting};
use crate::search::{Bound, Found};
use crate::surroundings::Surroundings;

/// How an invariant comes not to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// What does not hold.
    pub violation: Violation,
    /// What came, and what the saga did.
    pub lines: Vec<(String, Vec<String>)>,
}

/// Plays a path once more, for its reader.
pub fn tell(setting: &Setting, violation: &Violation, path: &[Event]) -> Story {
    let mut scene = Scene::new();
    let mut lines = Vec::new();
    for event in path {
        let came = event.tell(setting.definition, &scene.saga, setting.around);
        let happening = scene.play(setting, event);
        let did = happening.transitions.iter().flat_map(|transition| did(setting.definition, &scene.saga, transition));
        lines.push((came, did.collect()));
    }
    Story { violation: violation.clone(), lines }
}

fn did(definition: &Definition, saga: &Saga, transition: &Transition) -> Vec<String> {
    let name =
        |effect: u32| saga.effects.get(effect as usize).map_or_else(String::new, |of| place(definition, &of.spot()));
    let mut did: Vec<String> = transition.rejected.iter().map(|why| format!("it is not taken: {why}")).collect();
    did.extend(transition.facts.iter().filter_map(|fact| fact_in_words(definition, fact)));
    did.extend(transition.out.iter().filter_map(|out| match out {
        Outgoing::Command { effect, kind, attempt, .. } => {
            let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            Some(format!("it commands {}{again}", command(*kind, &name(*effect))))
        }
        Outgoing::Child { effect, word } => Some(match word {
            ChildWord::Start { .. } => format!("it starts the child saga of {}", name(*effect)),
            ChildWord::Cancel { .. } => format!("it cancels the child saga of {}", name(*effect)),
            ChildWord::Compensate => format!("it has the child saga of {} undone", name(*effect)),
            ChildWord::Release => format!("it needs the child saga of {} no more", name(*effect)),
        }),
        Outgoing::Ask { .. }
        | Outgoing::Queued { .. }
        | Outgoing::WaitsToAsk { .. }
        | Outgoing::Ended { .. }
        | Outgoing::Bind { .. } => None,
    }));
    did
}

fn fact_in_words(definition: &Definition, fact: &Fact) -> Option<String> {
    let step = |step: u32| definition.steps.get(step as usize).map_or("", |step| step.step.as_str());
    Some(match fact {
        Fact::Skipped { step: at } => format!("it skips {}", step(*at)),
        Fact::Continued { spot } => format!("it goes on without {}", place(definition, spot)),
        Fact::Voided { spot } => format!("it leaves out {}", place(definition, spot)),
        Fact::Guarded { spot } => format!("{} waits for its guard", place(definition, spot)),
        Fact::Held { spot, cause } => format!("{} is held: {cause}", place(definition, spot)),
        Fact::Awaits { spot } => format!("it waits at {}", place(definition, spot)),
        Fact::PeopleAsked { spot, by } => format!("it asks {} at {}", by.join(", "), place(definition, spot)),
        Fact::ApprovalVoid { spot } => format!("what was shown at {} is no longer true", place(definition, spot)),
        Fact::SteppedAside { .. } => "it steps aside to undo something".to_owned(),
        Fact::TurnedBack { cause } => format!("it goes back: {cause}"),
        Fact::Stuck { stuck } => format!("it is stuck: {stuck:?}"),
        Fact::Resumed { because } => format!("it goes on: {because}"),
        Fact::Reacted { rule } => format!("it reacts: {}", definition.react.get(*rule as usize)?.condition),
        Fact::Ended { end } => format!("it ends: {end:?}"),
        Fact::UsedUp { spot, .. } => format!("the attempts at {} are used up", place(definition, spot)),
        _ => return None,
    })
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (came, did)) in (1..).zip(&self.lines) {
            writeln!(f, "{number:>3}. {came}")?;
            for line in did {
                writeln!(f, "     -> {line}")?;
            }
        }
        writeln!(f, "     {} does not hold: {}", self.violation.rule, self.violation.what)
    }
}

/// What an exploration did not look at.
pub fn left_out(definition: &Definition, around: &Surroundings, found: &Found, bound: Bound) -> Vec<String> {
    let mut left_out = Vec::new();
    if found.cut > 0 {
        left_out.push(format!(
            "{} happenings that would have been trouble number {} of their paths",
            found.cut,
            bound.trouble + 1
        ));
    }
    if found.unfinished {
        left_out.push(format!("everything beyond {} scenes", bound.scenes));
    }
    left_out.extend(around.left_out.iter().cloned());
    let retried = definition.steps.iter().any(|step| matches!(step.verb, Verb::Call(_)));
    if retried {
        left_out.push("attempts after the second, and total times of attempts".to_owned());
    }
    if definition.facts.iter().any(|fact| fact.fresh.is_some()) {
        left_out.push("facts that grow too old".to_owned());
    }
    if bound.search == Search::Reduced && definition.steps.iter().filter(|step| step.after.is_empty()).count() > 1 {
        left_out.push("orders of parallel branches that lead to the same".to_owned());
    }
    left_out
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = &self.found;
        writeln!(f, "{} states, {} transitions, {} deep", found.scenes, found.transitions, found.depth)?;
        for (end, count) in &found.ends {
            writeln!(f, "  {count:>7} {end}")?;
        }
        self.left_out.iter().try_for_each(|what| writeln!(f, "  left out: {what}"))?;
        for story in &self.stories {
            writeln!(f, "\n{story}")?;
        }
        Ok(())
    }
}
