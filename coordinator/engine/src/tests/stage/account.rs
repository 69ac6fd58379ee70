//! What a saga does, in words, one line a turn.

use std::fmt::Write;

use sagaline_schemas::record::Kind;

use super::Stage;
use crate::Transition;
use crate::fact::Fact;
use crate::saga::{PlaceState, Spot};
use crate::turn::{ChildWord, Outgoing};

impl Stage {
    pub(super) fn write(&mut self, line: &str, transition: &Transition) {
        let turns = transition.facts.iter().filter_map(|fact| match fact {
            Fact::TurnedBack { .. } => Some("turns back".to_owned()),
            Fact::SteppedAside { .. } => Some("steps aside".to_owned()),
            Fact::Resumed { .. } => Some("goes on".to_owned()),
            _ => None,
        });
        let wants = transition.out.iter().map(|out| self.wanted(out));
        let rejected = transition.rejected.iter().map(|rejected| format!("rejected: {rejected}"));
        let happened = transition.facts.iter().filter_map(|fact| self.happened(fact));
        let does: Vec<String> = turns.chain(wants).chain(rejected).chain(happened).collect();
        writeln!(self.account, "{line:<12} -> {}", does.join(", ")).expect("a String takes everything");
    }

    fn wanted(&self, out: &Outgoing) -> String {
        match out {
            Outgoing::Command { effect, kind, attempt, .. } => {
                let effect = &self.saga.effects[*effect as usize];
                let prefix = match kind {
                    Kind::Do => "",
                    Kind::Compensate => "un-",
                    Kind::Probe => "probe-",
                    Kind::Ask => "ask-",
                };
                let again = if *attempt > 1 { format!("#{attempt}") } else { String::new() };
                let input = String::from_utf8(effect.input(*kind).to_vec()).expect("JSON");
                let input = if input == "null" { String::new() } else { format!("({input})") };
                format!("{prefix}{}{again}{input}", self.name(&effect.spot()))
            }
            Outgoing::Ask { fact, attempt, input } => {
                let name = &self.definition.facts[*fact as usize].fact;
                format!("asks for {name}#{attempt}({})", String::from_utf8_lossy(input))
            }
            Outgoing::Queued { participant } => format!("queues at {participant}"),
            Outgoing::WaitsToAsk { fact, participant, since } => {
                format!("waits since {since} to ask {participant} for {}", self.definition.facts[*fact as usize].fact)
            }
            Outgoing::Child { effect, word } => {
                let name = self.name(&self.saga.effects[*effect as usize].spot());
                match word {
                    ChildWord::Start { key } => format!("starts {name} as {key}"),
                    ChildWord::Cancel { key } => format!("cancels {name} as {key}"),
                    ChildWord::Compensate => format!("compensates {name}"),
                    ChildWord::Release => format!("releases {name}"),
                }
            }
            Outgoing::Ended { end, result, .. } => {
                format!("tells its parent: {end:?} {}", String::from_utf8_lossy(result))
            }
            Outgoing::Bind { alias, value } => format!("binds {alias}={value}"),
        }
    }

    fn happened(&self, fact: &Fact) -> Option<String> {
        let step = |step: u32| &self.definition.steps[step as usize].step;
        Some(match fact {
            Fact::Stuck { stuck } => format!("stuck: {}", stuck.sentence(&self.definition, &self.saga.effects)),
            Fact::Ended { end } => format!("{end:?}"),
            Fact::Skipped { step: number } => format!("skips {}", step(*number)),
            Fact::Voided { spot } => format!("skips {}", self.name(spot)),
            Fact::Continued { spot } => format!("continues {}", self.name(spot)),
            Fact::Held { spot, .. } => format!("holds {}", self.name(spot)),
            Fact::Guarded { spot } => format!("guards {}", self.name(spot)),
            Fact::Settled { spot } => format!("{} = {}", self.name(spot), self.known(spot)?),
            Fact::PeopleAsked { spot, by } => format!("asks {} at {}", by.join(", "), self.name(spot)),
            Fact::ApprovalVoid { spot } => format!("void: {}", self.name(spot)),
            Fact::Chosen { choice, by, .. } => format!("{} chose {choice}", by.join(", ")),
            Fact::Reminded { spot } => format!("reminds of {}", self.name(spot)),
            Fact::Escalated { to, .. } => format!("escalates to {to}"),
            Fact::WaitedInVain { spot } => format!("{} in vain", self.name(spot)),
            Fact::StaleNews { .. } => "stale".to_owned(),
            Fact::Overdue { step: Some(number) } => format!("{} is overdue", step(*number)),
            Fact::Overdue { step: None } => "overdue".to_owned(),
            _ => return None,
        })
    }

    /// The result of a place that has it from nobody else.
    fn known(&self, spot: &Spot) -> Option<String> {
        let item = spot.items.first().map_or(0, |item| *item as usize);
        let place = self.saga.steps[spot.step as usize].state.places().get(item)?;
        match &place.state {
            PlaceState::Known { value } => Some(String::from_utf8_lossy(value).into_owned()),
            _ => None,
        }
    }

    fn name(&self, spot: &Spot) -> String {
        let step = &self.definition.steps[spot.step as usize].step;
        let item = spot.items.first().map_or_else(String::new, |item| format!("/{item}"));
        let round = if spot.round > 0 { format!("@{}", spot.round) } else { String::new() };
        format!("{step}{item}{round}")
    }
}
