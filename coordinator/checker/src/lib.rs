//! Proves a definition before it runs: explores everything that can happen to a saga through the real engine, with a model of the world
//! beside it, and holds the invariants at every rest. What is found wrong is told as a short story.

mod drawing;
mod event;
mod key;
mod live;
mod moves;
mod plan;
mod rules;
mod scene;
mod search;
mod story;
mod surroundings;
mod values;
mod world;

use std::collections::BTreeMap;

use sagaline_definition::model::{Compensate, Policy, Verb};
use sagaline_definition::{Contract, Definition};

pub use drawing::draw;
pub use event::Event;
pub use moves::Search;
pub use plan::{Plan, plan, plan_with};
pub use rules::Violation;
pub use scene::{Engine, real};
pub use search::{Bound, Found};
pub use story::Story;

use scene::Setting;
use surroundings::Surroundings;

/// Attempts that are explored of any policy: what comes after a second one differs from the first in nothing but time.
const ATTEMPTS: u32 = 2;

/// What came of exploring a definition.
#[derive(Clone, Debug)]
pub struct Proof {
    /// What was found.
    pub found: Found,
    /// What does not hold, as stories, the shortest first.
    pub stories: Vec<Story>,
    /// What was left out, in words.
    pub left_out: Vec<String>,
}

/// Explores a definition with the real engine. Contracts, by participant, say what results look like.
pub fn check(definition: &Definition, contracts: &BTreeMap<String, Contract>, bound: Bound) -> Proof {
    check_with(definition, contracts, bound, &real)
}

/// Explores a definition with an engine of one's own: a broken one, to see that its fault is found.
pub fn check_with(
    definition: &Definition,
    contracts: &BTreeMap<String, Contract>,
    bound: Bound,
    engine: Engine,
) -> Proof {
    let definition = &shortened(definition);
    let around = &Surroundings::of(definition, contracts);
    let live = &live::Live::of(definition);
    let setting = Setting { definition, around, live, engine };
    let found = search::explore(&setting, bound);
    let stories = found.violations.iter().map(|(violation, path)| story::tell(&setting, violation, path)).collect();
    let left_out = story::left_out(definition, around, &found, bound);
    Proof { found, stories, left_out }
}

/// The same with fewer attempts and no total time: the clock of the exploration stands still.
fn shortened(definition: &Definition) -> Definition {
    let mut short = definition.clone();
    let shorten = |policy: &mut Policy| {
        policy.attempts = policy.attempts.min(ATTEMPTS);
        policy.within = None;
    };
    for step in &mut short.steps {
        if let Verb::Call(call) = &mut step.verb {
            shorten(&mut call.retry);
            if let Compensate::By { retry, .. } = &mut call.compensate {
                shorten(retry);
            }
        }
    }
    short
}
