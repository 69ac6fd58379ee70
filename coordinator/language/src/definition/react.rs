//! `react`: what follows when a condition on the world turns true.

use sagaline_definition::model::{Reaction, Word};
use sagaline_definition::types::Type;

use super::expression;
use super::optional;
use super::plan::Plan;
use super::view::{From, View};
use super::words::{self, Ground};
use super::world::World;
use crate::fields::{self, Fields, Keys, did_you_mean};
use crate::report::Problems;
use crate::yaml::Node;

pub const REACTION: Keys = Keys { what: "a reaction", known: &["if", "then", "between", "after_pivot"] };

/// Reads `react`, in file order. None: one of them is wrong; reported.
pub fn read(node: &Node, plan: &Plan<'_>, world: &World<'_>, problems: &mut Problems) -> Option<Vec<Reaction>> {
    let items = fields::list(node, "`react`", problems)?;
    let read: Vec<_> = items.iter().map(|item| reaction(item, plan, world, problems)).collect();
    read.into_iter().collect()
}

fn reaction(node: &Node, plan: &Plan<'_>, world: &World<'_>, problems: &mut Problems) -> Option<Reaction> {
    let fields = Fields::read(node, &REACTION, problems)?;
    let view = View::new(world, From::Anywhere(plan)).without_now();
    let condition = fields.required("if", "if: facts.status == 'cancelled'", problems);
    let condition = condition.and_then(|node| expression::selector(node, "`if`", &Type::Bool, &view, problems));
    let between = fields.get("between").map(|node| between(node, plan, problems));
    let ground = Ground::Reaction { plan, from: between.flatten().map(|(from, _)| from) };
    let then = fields.required("then", "then: compensate", problems);
    let then = then.and_then(|node| words::word(node, &words::REACT, ground, problems));
    let after_pivot = match fields.get("after_pivot") {
        Some(node) => words::word(node, &words::REACT_AFTER_PIVOT, ground, problems),
        None => Some(Word::Stuck),
    };
    Some(Reaction { condition: condition?, between: optional(between)?, then: then?, after_pivot: after_pivot? })
}

/// Two steps, the first surely before the second.
fn between(node: &Node, plan: &Plan<'_>, problems: &mut Problems) -> Option<(usize, usize)> {
    let items = fields::list(node, "`between`", problems)?;
    let [first, second] = items else {
        problems.error(node.span, "`between` names two steps", "write `between: [a, b]`");
        return None;
    };
    let names: Vec<&str> = plan.raw.iter().map(|step| step.name).collect();
    let mut index = |node: &Node| {
        let name = fields::text(node, "a step's name", problems)?;
        let found = plan.index(name);
        if found.is_none() {
            problems.error(node.span, format!("there is no step `{name}`"), did_you_mean(name, &names));
        }
        found
    };
    let (first, last) = (index(first), index(second));
    let (first, last) = (first?, last?);
    if !plan.graph.is_before(first, last) {
        let message = format!("`{}` does not surely begin before `{}`", names[first], names[last]);
        problems.error(node.span, message, "name two steps of which the second runs after the first");
        return None;
    }
    Some((first, last))
}
