//! All maps of the language and the keys they may have: what docs/schema is held against. For tests only.

use super::{calendars, ensure, facts, policy, react, start, step, steps, verb, words};
use crate::contract;
use crate::fields::Keys;

/// Each map by the name of its schema.
pub const DEFINITION: [(&str, &Keys); 21] = [
    ("", &super::DEFINITION),
    ("start", &start::START),
    ("deadline", &super::DEADLINE),
    ("policy", &policy::POLICY),
    ("calendar", &calendars::CALENDAR),
    ("fact", &facts::FACT),
    ("ask_fact", &facts::ASK),
    ("reaction", &react::REACTION),
    ("ensure", &ensure::ENSURE),
    ("check", &ensure::CHECK),
    ("together", &steps::TOGETHER),
    ("at_least", &steps::AFTER),
    ("guard", &step::GUARD),
    ("for_each", &step::FOR_EACH),
    ("compensate", &verb::compensate::COMPENSATE),
    ("sleep", &verb::sleep::SLEEP),
    ("wait_event", &verb::wait::WAIT),
    ("wait_until", &verb::wait::UNTIL),
    ("expect", &verb::wait::EXPECT),
    ("approve", &verb::approve::APPROVE),
    ("arm", &verb::decide::ARM),
];

/// A loop is a map where a word is wanted.
pub const BACK_TO: (&str, &Keys) = ("back_to", &words::BACK_TO);

/// The same for contracts.
pub const CONTRACT: [(&str, &Keys); 3] =
    [("", &contract::CONTRACT), ("limits", &contract::LIMITS), ("operation", &contract::OPERATION)];

/// The keys of all steps together.
pub fn step_keys() -> Vec<&'static str> {
    let verbs = steps::VerbName::ALL;
    let own = verbs.iter().flat_map(|verb| verb.beside().iter().copied().chain([verb.name()]));
    steps::COMMON.iter().copied().chain(own).collect()
}
