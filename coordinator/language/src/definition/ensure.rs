//! `ensure`: what must hold before an end may be called by its name; and `result`, what the end hands to a parent.

use std::collections::BTreeMap;

use sagaline_definition::Expr;
use sagaline_definition::model::{Check, Ensure, Template};
use sagaline_definition::types::Type;

use super::expression;
use super::plan::Plan;
use super::steps::VerbName;
use super::view::{From, View};
use super::world::World;
use super::{optional, template};
use crate::contracts::Target;
use crate::fields::{Fields, Keys, parsed};
use crate::lexical;
use crate::report::Problems;
use crate::yaml::Node;

pub const ENSURE: Keys = Keys { what: "`ensure`", known: &["completed", "compensated"] };
pub const CHECK: Keys = Keys { what: "a check", known: &["if", "within"] };

/// Reads `ensure`. None: it is wrong; reported.
pub fn read(node: &Node, plan: &Plan<'_>, world: &World<'_>, problems: &mut Problems) -> Option<Ensure> {
    let fields = Fields::read(node, &ENSURE, problems)?;
    let completed = fields.get("completed").map(|node| check(node, From::Completed(plan), plan, world, problems));
    let compensated = fields.get("compensated").map(|node| check(node, From::Compensated(plan), plan, world, problems));
    Some(Ensure { completed: optional(completed)?, compensated: optional(compensated)? })
}

/// Reads `result`, and its type. None: it is wrong; reported.
pub fn result(node: &Node, plan: &Plan<'_>, world: &World<'_>, problems: &mut Problems) -> Option<(Template, Type)> {
    let view = View::new(world, From::Completed(plan));
    let read = template::template(node, &Type::Any, &view, problems)?;
    let found = template::type_of(&read, &view);
    Some((read, found))
}

fn check(node: &Node, from: From<'_>, plan: &Plan<'_>, world: &World<'_>, problems: &mut Problems) -> Option<Check> {
    let fields = Fields::read(node, &CHECK, problems)?;
    let probes = probes(from, plan, world);
    let probe = Type::Record("probe".to_owned(), probes.clone());
    let view = View::new(world, from).with("probe", probe);
    let node = fields.required("if", "if: probe.charge.captured == input.total", problems);
    let condition = node.filter(|node| all_probed(node, plan, &probes, problems));
    let condition = condition.and_then(|node| expression::selector(node, "`if`", &Type::Bool, &view, problems));
    let within = fields.get("within").map(|node| parsed(node, "duration", lexical::duration, problems));
    let within = optional(within)?.unwrap_or(0);
    let (condition, node) = (condition?, node?);
    let Some(asked) = condition.members("probe") else {
        problems.error(node.span, "`probe` is read step by step", "write probe.STEP: probe.charge.captured");
        return None;
    };
    let asked = (0..plan.raw.len()).filter(|step| asked.contains(plan.raw[*step].name));
    Some(Check { condition, within, probes: asked.collect() })
}

/// Whether each step that is asked for has a probe. None of a step that is not there: the expression says that better.
fn all_probed(node: &Node, plan: &Plan<'_>, probes: &BTreeMap<String, Type>, problems: &mut Problems) -> bool {
    let expr = super::plan::scalar(node).and_then(|source| Expr::parse(source).ok());
    let asked = expr.and_then(|expr| expr.members("probe")).unwrap_or_default();
    let unprobed = asked.iter().filter(|name| plan.index(name).is_some() && !probes.contains_key(*name));
    let unprobed: Vec<&String> = unprobed.collect();
    for name in &unprobed {
        let message = format!("nobody can be asked how `{name}` stands: what it calls has no probe");
        problems.error(node.span, message, "give the operation one in its contract: `probe: status`, which reads");
    }
    unprobed.is_empty()
}

/// What the probe of each step finds, where its contract has one: nothing, if the step was not run.
fn probes(from: From<'_>, plan: &Plan<'_>, world: &World<'_>) -> BTreeMap<String, Type> {
    let mut found = BTreeMap::new();
    for (step, result) in plan.raw.iter().zip(&plan.results) {
        let called = step.verb.filter(|verb| *verb == VerbName::Call).and_then(|verb| step.fields.get(verb.name()));
        let target = called.and_then(super::plan::scalar).and_then(|written| world.used.find(written));
        let Some(probe) = target.and_then(|target| target.probe()) else { continue };
        // On the way back any item may be one that was never begun.
        let goes_back = matches!(from, From::Compensated(_));
        let item = probe_item(&probe, result.item_may_miss || goes_back);
        let whole = if result.repeated { Type::List(Box::new(item)) } else { item };
        found.insert(step.name.to_owned(), if result.may_be_skipped || goes_back { whole.or_null() } else { whole });
    }
    found
}

fn probe_item(probe: &Target<'_>, may_miss: bool) -> Type {
    let found = probe.output();
    if may_miss { found.or_null() } else { found }
}
