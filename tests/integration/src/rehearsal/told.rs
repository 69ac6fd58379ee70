//! What a history tells, without what real time makes different: the same form of a virtual history and of a real one, so that they can be
//! counted against each other.

use std::collections::{BTreeMap, BTreeSet};

use sagaline_definition::Definition;
use sagaline_schemas::Millis;
use serde_json::Value as Json;

/// Something that happened, in words that are equal where the same happened, and when.
#[derive(Clone, Debug)]
pub struct Told {
    /// What.
    pub what: String,
    /// The number of its turn, or its real time.
    pub at: Millis,
}

/// Facts in order, each with its time. Left out is what depends on how fast somebody is: answers, reminders, attempts that follow on silence, questions
/// that are asked every so often; of the probes before the end there may be more, so each place counts once.
pub fn told<'a>(definition: &Definition, facts: impl IntoIterator<Item = (Millis, &'a Json)>) -> Vec<Told> {
    let (mut silent, mut probed) = (BTreeSet::new(), BTreeSet::new());
    let mut told = Vec::new();
    for (at, fact) in facts {
        let Some((word, said)) = fact.as_object().and_then(|fact| fact.iter().next()) else { continue };
        let what = match word.as_str() {
            "answered" | "reminded" | "overdue" | "asked" => None,
            "timed_out" => {
                silent.insert((command(definition, said), said["attempt"].as_u64().unwrap_or(0)));
                None
            }
            "decided" => {
                let (command, attempt) = (command(definition, said), said["attempt"].as_u64().unwrap_or(0));
                match said["kind"].as_str() {
                    Some("ask") => None,
                    Some("probe") => probed.insert(command.clone()).then_some(command),
                    _ if attempt > 1 && silent.contains(&(command.clone(), attempt - 1)) => None,
                    _ => Some(command),
                }
            }
            "told" if is_asked(definition, said) => None,
            _ => Some(format!("{word} {}", named(definition, said))),
        };
        told.extend(what.map(|what| Told { what, at }));
    }
    told
}

/// How often each is told.
pub fn counted(told: &[Told]) -> BTreeMap<&str, usize> {
    let mut counted = BTreeMap::new();
    for one in told {
        *counted.entry(one.what.as_str()).or_default() += 1;
    }
    counted
}

fn command(definition: &Definition, said: &Json) -> String {
    format!("{} {}", said["kind"].as_str().unwrap_or("?"), place(definition, &said["spot"]))
}

fn is_asked(definition: &Definition, said: &Json) -> bool {
    let number = said["fact"].as_u64().unwrap_or(u64::MAX) as usize;
    definition.facts.get(number).is_some_and(|clause| clause.ask.is_some())
}

/// `reserve[1]`, `asked (round 2)`.
pub fn place(definition: &Definition, spot: &Json) -> String {
    let step = definition.steps.get(spot["step"].as_u64().unwrap_or(u64::MAX) as usize);
    let items = spot["items"].as_array().into_iter().flatten();
    let items: String = items.map(|item| format!("[{item}]")).collect();
    let round = spot["round"].as_u64().filter(|round| *round > 0).map(|round| format!(" (round {})", round + 1));
    format!("{}{items}{}", step.map_or("?", |step| &step.step), round.unwrap_or_default())
}

fn named(definition: &Definition, said: &Json) -> String {
    match said {
        Json::Object(members) if members.contains_key("spot") => {
            let mut rest = members.clone();
            let spot = rest.remove("spot").unwrap_or_default();
            let rest = if rest.is_empty() { String::new() } else { format!(" {}", Json::Object(rest)) };
            format!("{}{rest}", place(definition, &spot))
        }
        other => other.to_string(),
    }
}
