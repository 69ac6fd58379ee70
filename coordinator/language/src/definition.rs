//! Definitions from YAML to their normal form. Each part reads what it can and reports what it can't, so that all mistakes show at once.
//! What a word or keyword means at run time belongs to the engine, never here.

mod calendars;
mod ensure;
mod expression;
mod facts;
mod graph;
mod plan;
mod policy;
mod react;
mod start;
mod step;
mod steps;
#[cfg(test)]
pub mod tables;
mod template;
mod types;
mod verb;
mod view;
mod warnings;
mod words;
mod world;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use sagaline_definition::model::{Deadline, Definition, Ensure, Step, Word};
use sagaline_definition::types::Type;

use crate::contract::avro;
use crate::contracts::{Contracts, Used};
use crate::definitions::{Child, Definitions};
use crate::fields::{self, Fields, Keys, parsed};
use crate::lexical;
use crate::report::Problems;
use crate::yaml::Node;
use plan::Plan;
use step::Reading;
use words::Ground;
use world::World;

pub use steps::flatten;

/// Most steps of a definition.
pub const MAX_STEPS: usize = 500;

const DEFINITION: Keys = Keys {
    what: "a definition",
    known: &[
        "saga",
        "version",
        "owner",
        "use",
        "types",
        "start",
        "deadline",
        "policies",
        "constants",
        "calendars",
        "facts",
        "react",
        "steps",
        "ensure",
        "result",
    ],
};
const DEADLINE: Keys = Keys { what: "`deadline`", known: &["after", "else", "after_pivot"] };

/// Who a definition is and when its sagas end.
struct Head {
    saga: Option<String>,
    version: Option<String>,
    owner: Option<String>,
    deadline: Option<Deadline>,
}

/// Reads a definition, and the type of its result; what is wrong goes to `problems`.
pub fn read(root: &Node, contracts: &Contracts, children: &Definitions, problems: &mut Problems) -> Option<Child> {
    let read = whole(root, contracts, children, problems);
    problems.drop_shadows();
    read
}

fn whole(root: &Node, contracts: &Contracts, children: &Definitions, problems: &mut Problems) -> Option<Child> {
    let fields = Fields::read(root, &DEFINITION, problems)?;
    let head = head(&fields, problems);
    let mut world = world(&fields, contracts, children, problems);
    let start = start::read(&fields, &world, problems);
    if let Some((start, input)) = &start {
        world.input = input.clone();
        world.start = start.topic.clone().zip(start.key.clone());
    }
    if let Some(node) = fields.get("facts") {
        (world.facts, world.told) = facts::declared(node, &world);
    }
    let raw = fields.required("steps", "steps: [{ step: charge, call: payment.charge }]", problems);
    let raw = raw.map(|node| flatten(node, problems)).unwrap_or_default();
    let plan = Plan::of(&raw, &world, problems);
    let facts = fields.get("facts").map_or(Some(Vec::new()), |node| facts::read(node, &world, problems));
    let react = fields.get("react").map_or(Some(Vec::new()), |node| react::read(node, &plan, &world, problems));
    let steps = steps(&plan, &world, head.owner.as_deref().unwrap_or_default(), problems);
    let ensure = fields.get("ensure");
    let ensure = ensure.map_or(Some(Ensure::default()), |node| ensure::read(node, &plan, &world, problems));
    let result = fields.get("result").map(|node| ensure::result(node, &plan, &world, problems));
    let (result, result_type) = optional(result)?.map_or((None, Type::Null), |(result, of)| (Some(result), of));
    let definition = Definition {
        saga: head.saga?,
        version: head.version?,
        owner: head.owner?,
        contracts: world.used.digests(),
        start: start?.0,
        deadline: head.deadline?,
        facts: facts?,
        react: react?,
        steps: steps?,
        ensure: ensure?,
        result,
        calendars: world
            .calendars
            .iter()
            .map(|(name, read)| Some((name.clone(), read.clone()?)))
            .collect::<Option<_>>()?,
        rehearsal: None,
    };
    warnings::irreversible(&definition, &plan, problems);
    warnings::begun_twice(&definition, &plan, children, problems);
    warnings::begun_for_each(&definition, &plan, children, problems);
    warnings::unused(&fields, &plan, &world, problems);
    Some(Child { definition, result: result_type })
}

fn head(fields: &Fields<'_>, problems: &mut Problems) -> Head {
    let saga = fields.required("saga", "saga: order-fulfilment", problems);
    let saga = saga.and_then(|node| parsed(node, "name of a saga", lexical::name, problems));
    let version = fields.required("version", "version: 1.0.0", problems);
    let version = version.and_then(|node| parsed(node, "version", lexical::version, problems));
    let owner = fields.required("owner", "owner: team-fulfilment", problems);
    let owner = owner.and_then(|node| fields::owner(node, problems));
    let deadline = fields.required("deadline", "deadline: { after: 14d, else: compensate }", problems);
    let deadline = deadline.and_then(|node| self::deadline(node, problems));
    Head {
        saga: saga.map(str::to_owned),
        version: version.map(str::to_owned),
        owner: owner.map(str::to_owned),
        deadline,
    }
}

fn world<'a>(
    fields: &Fields<'a>,
    contracts: &'a Contracts,
    children: &'a Definitions,
    problems: &mut Problems,
) -> World<'a> {
    World {
        used: Used::read(fields.get("use"), contracts, problems),
        types: fields.get("types").map_or(Some(BTreeMap::new()), |node| avro::types(node, problems)),
        policies: fields.get("policies").map_or_else(BTreeMap::new, |node| policy::named(node, problems)),
        constants: fields.get("constants").map_or_else(BTreeMap::new, |node| world::constants(node, problems)),
        calendars: fields.get("calendars").map_or_else(BTreeMap::new, |node| calendars::named(node, problems)),
        children,
        input: Type::Any,
        start: None,
        facts: BTreeMap::new(),
        told: BTreeSet::new(),
        uses: RefCell::default(),
    }
}

fn steps(plan: &Plan<'_>, world: &World<'_>, owner: &str, problems: &mut Problems) -> Option<Vec<Step>> {
    let reading = |index| Reading { world, plan, index };
    let read: Vec<_> = (0..plan.raw.len()).map(|index| step::read(reading(index), owner, problems)).collect();
    if read.is_empty() { None } else { read.into_iter().collect() }
}

fn deadline(node: &Node, problems: &mut Problems) -> Option<Deadline> {
    let fields = Fields::read(node, &DEADLINE, problems)?;
    let after = fields.required("after", "after: 14d", problems);
    let after = after.and_then(|node| parsed(node, "duration", lexical::duration, problems));
    let otherwise = match fields.get("else") {
        Some(node) => words::word(node, &words::DEADLINE, Ground::Outside, problems),
        None => Some(Word::Compensate),
    };
    let after_pivot = match fields.get("after_pivot") {
        Some(node) => words::word(node, &words::DEADLINE_AFTER_PIVOT, Ground::Outside, problems),
        None => Some(Word::Stuck),
    };
    Some(Deadline { after: after?, otherwise: otherwise?, after_pivot: after_pivot? })
}

/// A key that may be missing, but not be wrong.
fn optional<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        Some(None) => None,
        Some(some) => Some(some),
        None => Some(None),
    }
}

#[cfg(test)]
mod tests;
